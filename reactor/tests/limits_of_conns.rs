//! Rate limits by a clock that is set by hand, and descriptors that go from connection to connection.

mod bench;
mod shape;

use bench::{Bench, SECOND, ending, nothing};
use shape::shape;
use std::cell::{Cell, RefCell};
use std::io::{IoSlice, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use tidegate_reactor::event_loop::closures::Callback;
use tidegate_reactor::event_loop::{RateConfig, Shape, Timeouts};
use tidegate_reactor::{Closures, Error, Event, Id};

/// A callback that counts the bytes that come.
fn counting(total: &Rc<Cell<usize>>) -> Callback {
    let total = total.clone();
    Closures::callback(move |_, _, event| {
        if let Event::Data(bytes) = event {
            total.set(total.get() + bytes.len());
        }
    })
}

#[test]
fn reading_keeps_to_the_rate_and_its_burst() {
    // mutation: conn_read does not ask for an allowance, or does not spend it.
    let bench = Bench::new();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let total = Rc::new(Cell::new(0));
    let conn = bench.wrap(ours, shape(), counting(&total));
    let rate =
        bench.event_loop.rate_open(RateConfig { read: 1000, read_burst: 100, ..RateConfig::default() }, nothing());
    bench.event_loop.conn_join_rate(conn, rate.unwrap()).unwrap();
    theirs.write_all(&[7; 5000]).unwrap();
    bench.turns(20);
    assert_eq!(total.get(), 100, "the burst");
    for second in 1..=4 {
        for _ in 0..20 {
            bench.after(SECOND / 20);
        }
        assert_eq!(total.get(), 100 + 1000 * second);
    }
    let waits = bench.event_loop.stats().unwrap().events;
    bench.turns(50);
    assert_eq!(bench.event_loop.stats().unwrap().events, waits, "who waits for the rate does not spin");
    bench.event_loop.close(rate.unwrap()).unwrap();
    bench.turns(5);
    assert_eq!(total.get(), 5000, "without the limit the rest comes at once");
}

#[test]
fn what_a_limit_holds_back_is_not_refused_by_the_peer() {
    // mutation: the write timeout counts while the limit lets nothing pass.
    let bench = Bench::new();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let over = Rc::new(Cell::new(None));
    let told = over.clone();
    let timeouts = Timeouts { write_ns: SECOND / 4, ..Timeouts::default() };
    let conn = bench.wrap(
        ours,
        Shape { timeouts, ..shape() },
        Closures::callback(move |_, _, event| {
            if let Event::ConnOver { reason } = event {
                told.set(Some(reason));
            }
        }),
    );
    let config = RateConfig { write: 1, write_burst: 1, ..RateConfig::default() };
    let rate = bench.event_loop.rate_open(config, nothing()).unwrap();
    bench.event_loop.conn_join_rate(conn, rate).unwrap();
    bench.event_loop.conn_write(conn, &[IoSlice::new(b"12345")]).unwrap();
    let (mut received, mut buffer) = (0, [0; 16]);
    for _ in 0..60 {
        bench.after(SECOND / 10);
        while let Ok(count @ 1..) = theirs.read(&mut buffer) {
            received += count;
        }
    }
    assert_eq!((received, over.get()), (5, None));
}

#[test]
fn a_limit_that_holds_bytes_back_is_not_the_peers_silence() {
    // mutation: the idle time counts meanwhile; the times do not count anew when the limit lets something pass.
    for idle in [false, true] {
        for write in [false, true] {
            let bench = Bench::new();
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let over = Rc::new(Cell::new(None));
            let timeouts = match idle {
                true => Timeouts { idle_ns: SECOND / 4, ..Timeouts::default() },
                false => Timeouts { read_ns: SECOND / 4, ..Timeouts::default() },
            };
            let conn = bench.wrap(ours, Shape { timeouts, ..shape() }, ending(&over));
            let config = RateConfig { read: 1, read_burst: 1, write: 1, write_burst: 1 };
            let rate = bench.event_loop.rate_open(config, nothing()).unwrap();
            bench.event_loop.conn_join_rate(conn, rate).unwrap();
            match write {
                true => drop(bench.event_loop.conn_write(conn, &[IoSlice::new(b"12345678")]).unwrap()),
                false => theirs.write_all(b"12345678").unwrap(),
            }
            for _ in 0..60 {
                bench.after(SECOND / 10);
                // Who only writes is silent all the same.
                assert_eq!(over.get().filter(|_| idle || !write), None, "idle {idle}, write {write}");
            }
            for _ in 0..60 {
                bench.after(SECOND / 10);
            }
            assert_eq!(over.get(), Some(Error::TIMED_OUT.code()), "silence at last: idle {idle}, write {write}");
        }
    }
}

#[test]
fn what_is_discarded_in_the_end_is_not_limited() {
    // mutation: a connection that is finishing keeps to its rate.
    let bench = Bench::new();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let over = Rc::new(Cell::new(None));
    let conn = bench.wrap(ours, shape(), ending(&over));
    let config = RateConfig { read: 1, read_burst: 1, ..RateConfig::default() };
    let rate = bench.event_loop.rate_open(config, nothing()).unwrap();
    bench.event_loop.conn_join_rate(conn, rate).unwrap();
    theirs.write_all(&[1; 10_000]).unwrap();
    theirs.shutdown(std::net::Shutdown::Write).unwrap();
    bench.turns(5);
    bench.event_loop.conn_finish(conn).unwrap();
    bench.turns(5);
    assert_eq!(over.get(), Some(0));
}

#[test]
fn writing_keeps_to_the_rate_of_a_group() {
    let bench = Bench::new();
    let rate =
        bench.event_loop.rate_open(RateConfig { write: 2000, write_burst: 200, ..RateConfig::default() }, nothing());
    let rate = rate.unwrap();
    let mut peers = Vec::new();
    for _ in 0..2 {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let conn = bench.wrap(ours, shape(), nothing());
        bench.event_loop.conn_join_rate(conn, rate).unwrap();
        bench.event_loop.conn_write(conn, &[IoSlice::new(&[9; 10_000])]).unwrap();
        peers.push((conn, theirs, 0));
    }
    let received = |peers: &mut Vec<(Id, UnixStream, usize)>| {
        let mut buffer = [0; 65_536];
        for (_, theirs, total) in peers.iter_mut() {
            while let Ok(count @ 1..) = theirs.read(&mut buffer) {
                *total += count;
            }
        }
        peers.iter().map(|peer| peer.2).sum::<usize>()
    };
    bench.turns(20);
    assert_eq!(received(&mut peers), 200);
    for _ in 0..100 {
        bench.after(SECOND / 20);
    }
    assert_eq!(received(&mut peers), 200 + 5 * 2000);
    let (first, second) = (peers[0].2, peers[1].2);
    assert!(first > 2000 && second > 2000, "both have their share: {first}, {second}");
    assert_eq!(
        bench.event_loop.conn_join_rate(peers[0].0, rate),
        Err(Error::EXISTS.because("the connection obeys this limit already"))
    );
    bench.event_loop.conn_leave_rate(peers[0].0, rate).unwrap();
    bench.turns(20);
    received(&mut peers);
    assert_eq!(peers[0].2, 10_000);
    assert!(bench.event_loop.conn_leave_rate(peers[0].0, rate).is_err());
}

#[test]
fn h46_descriptors_arrive_whole_and_before_their_bytes() {
    // mutation: room for fewer numbers in the control buffer; conn_passed after conn_frame.
    let event_loop = Closures::new_loop().unwrap();
    for count in [1_usize, 2, 253] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let log: Rc<RefCell<Vec<String>>> = Rc::default();
        let told = log.clone();
        let on_event = Closures::callback(move |event_loop, id, event| match event {
            Event::Passed(numbers) => {
                told.borrow_mut().push(format!("{} descriptors", numbers.len()));
                for number in numbers {
                    // SAFETY: the event gives them away.
                    drop(unsafe { OwnedFd::from_raw_fd(*number) });
                }
            }
            Event::Data(bytes) => {
                told.borrow_mut().push(format!("{} bytes", bytes.len()));
                event_loop.close(id).unwrap();
            }
            _ => {}
        });
        let open = |stream: UnixStream, shape: Shape, callback| {
            event_loop.conn_open(&mut Some(OwnedFd::from(stream)), Rc::new(shape), callback, true).unwrap()
        };
        let takes = open(theirs, Shape { takes_descriptors: true, ..shape() }, on_event);
        let sends = open(ours, shape(), nothing());
        let files: Vec<_> =
            (0..count).map(|_| Arc::new(OwnedFd::from(std::fs::File::open("/dev/null").unwrap()))).collect();
        let witness = files[0].clone();
        event_loop.conn_pass(sends, files, b"hello").unwrap();
        while event_loop.is_open(takes).unwrap() {
            event_loop.run_once().unwrap();
        }
        assert_eq!(*log.borrow(), [format!("{count} descriptors"), "5 bytes".to_owned()]);
        assert_eq!(Arc::strong_count(&witness), 1, "ours are closed once they are sent");
        event_loop.close(sends).unwrap();
    }
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let conn = event_loop.conn_open(&mut Some(OwnedFd::from(ours)), Rc::new(shape()), nothing(), true).unwrap();
    let file = || Arc::new(OwnedFd::from(std::fs::File::open("/dev/null").unwrap()));
    for (count, bytes) in [(0, &b"x"[..]), (254, b"x"), (1, b"")] {
        let files = (0..count).map(|_| file()).collect();
        assert_eq!(event_loop.conn_pass(conn, files, bytes).map_err(|error| error.code()), Err(Error::INVALID.code()));
    }
}

#[test]
fn h46_descriptors_that_nobody_asked_for_are_closed() {
    // mutation: every connection reads with room for descriptors (then this waits for ever).
    let event_loop = Closures::new_loop().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let total = Rc::new(Cell::new(0));
    let open = |stream: UnixStream, callback| {
        event_loop.conn_open(&mut Some(OwnedFd::from(stream)), Rc::new(shape()), callback, true).unwrap()
    };
    let (sends, ignores) = (open(ours, nothing()), open(theirs, counting(&total)));
    let (mut reading, writing) = UnixStream::pair().unwrap();
    event_loop.conn_pass(sends, vec![Arc::new(OwnedFd::from(writing))], b"x").unwrap();
    while total.get() == 0 {
        event_loop.run_once().unwrap();
    }
    // A stream ends only when every copy of its other end is closed.
    assert_eq!(reading.read(&mut [0; 1]).unwrap(), 0);
    event_loop.close(ignores).unwrap();
}
