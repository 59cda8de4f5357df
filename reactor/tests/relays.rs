//! Relaying one connection into another: nothing is lost, nothing grows, and the ends are passed on.

mod shape;

use shape::shape;
use std::cell::RefCell;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use tidegate_reactor::event_loop::closures::{Callback, Loop};
use tidegate_reactor::event_loop::{Shape, Timeouts};
use tidegate_reactor::{Closures, Event, Id};

type Log = Rc<RefCell<Vec<String>>>;

fn pair() -> (TcpStream, TcpStream) {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    (client, server.accept().unwrap().0)
}

fn wrap(event_loop: &Loop, stream: TcpStream, callback: Callback) -> Id {
    let shape = Shape { high_mark: 100_000, low_mark: 20_000, ..shape() };
    event_loop.conn_open(&mut Some(OwnedFd::from(stream)), Rc::new(shape), callback, true).unwrap()
}

fn noting(log: &Log) -> Callback {
    let log = log.clone();
    Closures::callback(move |_, _, event| {
        // How often more than the high mark waits depends on the system's buffers.
        if event != Event::Opened && event != Event::Drained {
            log.borrow_mut().push(format!("{event:?}"));
        }
    })
}

fn pattern(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

#[test]
fn every_byte_arrives_both_ways_in_large_and_small_pieces() {
    // mutation: conn_keep_rest forwards nothing; conn_pass_on counts what was taken as passed.
    for piece in [1 << 20, 70_000, 1000] {
        let (event_loop, log) = (Closures::new_loop().unwrap(), Log::default());
        let ((one, a), (other, b)) = (pair(), pair());
        let (a, b) = (wrap(&event_loop, a, noting(&log)), wrap(&event_loop, b, noting(&log)));
        event_loop.conn_pipe(a, b).unwrap();
        let talk = |mut stream: TcpStream, seed: u64| {
            thread::spawn(move || {
                let sent = pattern(4 << 20, seed);
                let mut writing = stream.try_clone().unwrap();
                let copy = sent.clone();
                let writer = thread::spawn(move || {
                    copy.chunks(piece).for_each(|chunk| writing.write_all(chunk).unwrap());
                    writing.shutdown(Shutdown::Write).unwrap();
                });
                let mut received = Vec::new();
                stream.read_to_end(&mut received).unwrap();
                writer.join().unwrap();
                (sent, received)
            })
        };
        let (left, right) = (talk(one, 11), talk(other, 77));
        event_loop.run().unwrap();
        let ((sent, received), (sent_back, received_back)) = (left.join().unwrap(), right.join().unwrap());
        assert!(sent == received_back && sent_back == received, "pieces of {piece}");
        assert_eq!(*log.borrow(), ["ConnOver { reason: 0 }", "ConnOver { reason: 0 }"]);
    }
}

#[test]
fn h41_a_slow_reader_slows_the_sender_down() {
    // mutation: conn_forward does not set PARTNER_FULL.
    let (event_loop, log) = (Closures::new_loop().unwrap(), Log::default());
    let ((mut one, a), (mut other, b)) = (pair(), pair());
    one.set_nonblocking(true).unwrap();
    let (a, b) = (wrap(&event_loop, a, noting(&log)), wrap(&event_loop, b, noting(&log)));
    event_loop.conn_pipe(a, b).unwrap();
    let (mut sent, mut idle) = (0, 0);
    let block = [5; 65_536];
    // Until nothing has gone on for some turns: the system's buffers are full.
    while idle < 50 {
        idle += 1;
        while let Ok(count) = one.write(&block) {
            (sent, idle) = (sent + count, 0);
        }
        event_loop.run_nowait().unwrap();
        let queued = event_loop.conn_stats(b).unwrap().queued;
        assert!(queued <= 100_000 + 65_536, "{queued}");
    }
    drop(one);
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        other.read_to_end(&mut all).unwrap();
        all.len()
    });
    event_loop.run().unwrap();
    assert_eq!(reader.join().unwrap(), sent);
}

#[test]
fn what_breaks_on_one_side_breaks_on_the_other() {
    let (event_loop, log) = (Closures::new_loop().unwrap(), Log::default());
    let ((one, a), (mut other, b)) = (pair(), pair());
    let (a, b) = (wrap(&event_loop, a, noting(&log)), wrap(&event_loop, b, noting(&log)));
    event_loop.conn_pipe(a, b).unwrap();
    tidegate_reactor::sys::stream::reset_on_close(std::os::fd::AsRawFd::as_raw_fd(&one));
    drop(one);
    event_loop.run().unwrap();
    let reset = format!("ConnOver {{ reason: {} }}", -libc::ECONNRESET);
    assert_eq!(*log.borrow(), [reset.clone(), reset]);
    assert!(other.read(&mut [0; 1]).is_err(), "it is reset, too");
    assert!(event_loop.conn_pipe(a, b).is_err());
}

#[test]
fn the_directions_do_not_wait_for_each_other() {
    // mutation: Conn::reads rests while HELD, whatever the connection is relayed to. Then this waits for ever.
    let (event_loop, log) = (Closures::new_loop().unwrap(), Log::default());
    let ((mut one, a), (mut other, b)) = (pair(), pair());
    let (a, b) = (wrap(&event_loop, a, noting(&log)), wrap(&event_loop, b, noting(&log)));
    event_loop.conn_pipe(a, b).unwrap();
    const SIZE: usize = 24 << 20;
    let upload = thread::spawn(move || {
        // Reads only when everything is written.
        one.write_all(&vec![1; SIZE]).unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        let mut received = Vec::new();
        one.read_to_end(&mut received).unwrap();
        received.len()
    });
    let mut reading = other.try_clone().unwrap();
    let reader = thread::spawn(move || {
        let mut received = Vec::new();
        reading.read_to_end(&mut received).unwrap();
        received.len()
    });
    let download = thread::spawn(move || {
        other.write_all(&vec![2; SIZE]).unwrap();
        other.shutdown(Shutdown::Write).unwrap();
    });
    event_loop.run().unwrap();
    download.join().unwrap();
    assert_eq!((upload.join().unwrap(), reader.join().unwrap()), (SIZE, SIZE));
}

#[test]
fn a_time_that_is_over_resets_both_sides() {
    // mutation: conn_over resets the partners only.
    let (event_loop, log) = (Closures::new_loop().unwrap(), Log::default());
    let ((mut one, a), (mut other, b)) = (pair(), pair());
    let (a, b) = (wrap(&event_loop, a, noting(&log)), wrap(&event_loop, b, noting(&log)));
    event_loop.conn_pipe(a, b).unwrap();
    event_loop.conn_set_timeouts(a, Timeouts { idle_ns: 20_000_000, ..Timeouts::default() }).unwrap();
    event_loop.run().unwrap();
    assert_eq!(log.borrow().len(), 2);
    assert!(one.read(&mut [0; 1]).is_err(), "the silent one saw an end");
    assert!(other.read(&mut [0; 1]).is_err(), "its partner saw an end");
}

#[test]
fn an_answer_that_was_received_arrives_although_more_is_sent_to_who_gave_it() {
    // mutation: `conn_forward` fails the source whatever has become of its target.
    for pieces in 1..4 {
        let (event_loop, log) = (Closures::new_loop().unwrap(), Log::default());
        let ((mut asks, front), (mut answers, back)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        let shape = Rc::new(Shape { high_mark: 4 << 20, low_mark: 1 << 20, ..shape() });
        let open = |stream: UnixStream| {
            event_loop.conn_open(&mut Some(OwnedFd::from(stream)), shape.clone(), noting(&log), true).unwrap()
        };
        event_loop.conn_pipe(open(front), open(back)).unwrap();
        let turns = || (0..20).for_each(|_| assert!(event_loop.run_nowait().is_ok()));
        let answer = pattern(900_000, 5);
        for part in answer.chunks(50_000) {
            answers.write_all(part).unwrap();
            turns();
        }
        drop(answers);
        turns();
        for _ in 0..pieces {
            asks.write_all(&[1; 100]).unwrap();
            turns();
        }
        asks.set_nonblocking(true).unwrap();
        let (mut got, mut part) = (Vec::new(), vec![0; 65_536]);
        loop {
            match asks.read(&mut part) {
                Ok(0) => break,
                Ok(count) => got.extend_from_slice(&part[..count]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{} bytes", got.len()),
            }
            turns();
        }
        assert!(got == answer, "{} of {} bytes, {pieces} pieces", got.len(), answer.len());
    }
}

#[test]
fn who_dies_after_its_end_is_noticed() {
    // mutation: `conn_tell_eof` does not wait for more of one that is relayed.
    let (event_loop, log) = (Closures::new_loop().unwrap(), Log::default());
    let ((_asks, front), (answers, back)) = (pair(), pair());
    event_loop.conn_pipe(wrap(&event_loop, front, noting(&log)), wrap(&event_loop, back, noting(&log))).unwrap();
    let turns = || (0..20).for_each(|_| assert!(event_loop.run_nowait().is_ok()));
    answers.shutdown(Shutdown::Write).unwrap();
    turns();
    assert!(log.borrow().is_empty(), "{:?}", log.borrow());
    tidegate_reactor::sys::stream::reset_on_close(answers.as_raw_fd());
    drop(answers);
    turns();
    assert!(log.borrow().iter().any(|told| told.starts_with("ConnOver")), "{:?}", log.borrow());
}

#[test]
fn a_reset_that_only_the_shutdown_sees_is_the_reason() {
    // mutation: `conn_shut_now` ignores ENOTCONN.
    let (event_loop, log) = (Closures::new_loop().unwrap(), Log::default());
    let (theirs, ours) = pair();
    let shape = Rc::new(Shape { tells_eof: true, ..shape() });
    let fd = &mut Some(OwnedFd::from(ours));
    let conn = event_loop.conn_open(fd, shape, noting(&log), true).unwrap();
    drop(theirs);
    (0..5).for_each(|_| assert!(event_loop.run_nowait().is_ok()));
    assert_eq!(*log.borrow(), ["Eof"]);
    event_loop.conn_write(conn, &[IoSlice::new(b"lost")]).unwrap();
    event_loop.conn_finish(conn).unwrap();
    (0..5).for_each(|_| assert!(event_loop.run_nowait().is_ok()));
    assert_eq!(log.borrow()[1..], [format!("ConnOver {{ reason: {} }}", -libc::EPIPE)]);
}
