//! When connections are given up, by a clock that is set by hand.

mod bench;
mod shape;

use bench::{Bench, SECOND, ending, nothing};
use shape::shape;
use std::cell::Cell;
use std::io::{IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use tidegate_reactor::base::interest::{Mode, WRITE};
use tidegate_reactor::event_loop::{Shape, Timeouts};
use tidegate_reactor::sys::socket_options::set_buffers;
use tidegate_reactor::{Closures, Error, Event, Id};

#[test]
fn what_moves_on_one_side_of_a_relay_keeps_the_other_from_being_idle() {
    // mutation: only what a connection has moved itself counts, or only what its partner's own timer has found.
    for other_idle_ns in [SECOND, -1] {
        relayed_to_a_slow_one(other_idle_ns);
    }
}

fn relayed_to_a_slow_one(other_idle_ns: i64) {
    let bench = Bench::new();
    let ((left, mut left_peer), (right, mut right_peer)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    right_peer.set_nonblocking(true).unwrap();
    left_peer.set_nonblocking(true).unwrap();
    let over = Rc::new(Cell::new(None));
    let timeouts = Timeouts { idle_ns: SECOND, ..Timeouts::default() };
    let right_timeouts = Timeouts { idle_ns: other_idle_ns, ..Timeouts::default() };
    let left = bench.wrap(left, Shape { timeouts, ..shape() }, ending(&over));
    let right = bench.wrap(right, Shape { timeouts: right_timeouts, ..shape() }, ending(&over));
    bench.event_loop.conn_pipe(left, right).unwrap();
    let mut sent = 0;
    while let Ok(count @ 1..) = left_peer.write(&[5; 65_536]) {
        sent += count;
        bench.turns(3);
    }
    left_peer.shutdown(std::net::Shutdown::Write).unwrap();
    // The right peer takes a part each quarter of a second: the left side has nothing to do for a long time.
    let (mut received, mut buffer) = (0, vec![0; 20_000]);
    while received < sent && over.get().is_none() {
        bench.after(SECOND / 4);
        received += right_peer.read(&mut buffer).unwrap_or(0);
    }
    assert_eq!((received, over.get()), (sent, None));
    for _ in 0..3 {
        bench.after(SECOND / 2);
    }
    assert_eq!(over.get(), Some(Error::TIMED_OUT.code()), "now both are");
}

/// A connection over TCP with 16 MiB on their way, more than the system keeps, to a peer that takes a part of them each half second. Whether it
/// stops after an eighth; how many arrive, and how the connection ends.
fn slowly(timeouts: Timeouts, finish: bool, stops: bool) -> (usize, Option<i32>) {
    const ALL: usize = 16 << 20;
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_nonblocking(true).unwrap();
    // What its system has taken and it has not, nobody here can know.
    set_buffers(peer.as_raw_fd(), 131_072, 0).unwrap();
    let over = Rc::new(Cell::new(None));
    let ours = listener.accept().unwrap().0;
    let conn = bench.wrap(ours, Shape { timeouts, limit: 2 * ALL, ..shape() }, ending(&over));
    bench.event_loop.conn_write(conn, &[IoSlice::new(&vec![1; ALL])]).unwrap();
    if finish {
        bench.event_loop.conn_finish(conn).unwrap();
    }
    let (mut received, mut part) = (0, vec![0; 524_288]);
    while received < if stops { ALL / 8 } else { ALL } && over.get().is_none() {
        bench.after(SECOND / 2);
        if let Ok(count) = peer.read(&mut part) {
            received += count;
        }
    }
    if stops {
        (0..12).for_each(|_| bench.after(SECOND / 2));
    } else {
        drop(peer);
        bench.turns(10);
    }
    (received, over.get())
}

#[test]
fn who_takes_what_the_system_has_is_neither_stuck_nor_idle() {
    // mutation: `conn_count_taken` is not asked when a time seems to be over (whole answers are lost then), or finds progress
    // each time (who is stuck is never found out).
    let some =
        |write, idle, linger| Timeouts { write_ns: write, idle_ns: idle, linger_ns: linger, ..Timeouts::default() };
    let cases = [(some(SECOND, 0, 0), false), (some(0, SECOND, 0), false), (some(60 * SECOND, 0, SECOND), true)];
    for (timeouts, finish) in cases {
        let (received, over) = slowly(timeouts, finish, false);
        assert_eq!((received, over.unwrap_or(0)), (16 << 20, 0), "{timeouts:?}");
        if !finish {
            assert_eq!(slowly(timeouts, finish, true).1, Some(Error::TIMED_OUT.code()), "{timeouts:?}");
        }
    }
}

/// How many eighths of a second pass until a connection is over whose times are a second, and whose peer takes something in the
/// first of them and nothing more.
fn eighths_until_over(timeouts: Timeouts, length: usize, prepare: impl FnOnce(&Bench, Id)) -> u32 {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_nonblocking(true).unwrap();
    let over = Rc::new(Cell::new(None));
    let conn = bench.wrap(listener.accept().unwrap().0, Shape { timeouts, limit: 64 << 20, ..shape() }, ending(&over));
    prepare(&bench, conn);
    bench.event_loop.conn_write(conn, &[IoSlice::new(&vec![1; length])]).unwrap();
    if timeouts.linger_ns > 0 {
        bench.event_loop.conn_finish(conn).unwrap();
    }
    bench.turns(5);
    let mut passed = 0;
    while over.get().is_none() && passed < 100 {
        bench.after(SECOND / 8);
        passed += 1;
        if passed == 1 {
            let _ = peer.read(&mut vec![0; 1 << 20]);
        }
    }
    passed
}

#[test]
fn who_takes_nothing_is_found_out_a_quarter_of_the_time_late_at_most() {
    // mutation: what the peer takes is looked up when the time is over only: what it took at first counts from then on.
    let none = Timeouts::default();
    let of = |write_ns, idle_ns, linger_ns| Timeouts { write_ns, idle_ns, linger_ns, ..none };
    for (timeouts, length) in [(of(SECOND, 0, 0), 16 << 20), (of(0, SECOND, 0), 16 << 20), (of(0, 0, SECOND), 5000)] {
        let passed = eighths_until_over(timeouts, length, |_, _| {});
        assert!((8..=12).contains(&passed), "{passed} eighths: {timeouts:?}");
    }
    // The other side of a relay has no times, or others: it is asked about this one's.
    for other in [-1, SECOND / 100] {
        let (kept, _other_peer) = UnixStream::pair().unwrap();
        let passed = eighths_until_over(of(0, SECOND, 0), 5000, |bench, conn| {
            let partner =
                bench.wrap(kept, Shape { timeouts: of(0, other, 0), tells_timeout: true, ..shape() }, nothing());
            bench.event_loop.conn_write(partner, &[IoSlice::new(&[1; 5000])]).unwrap();
            bench.event_loop.conn_pipe(conn, partner).unwrap();
        });
        assert!((8..=12).contains(&passed), "{passed} eighths, the other's idle time is {other}");
    }
}

#[test]
fn a_loop_that_is_late_asks_before_a_time_is_over() {
    // mutation: `conn_comes_late` finds nothing, or only once.
    for (timeouts, comes) in [(1, true), (2, true), (1, false), (2, false)].map(|(which, comes)| {
        let read_ns = if which == 1 { SECOND } else { 0 };
        (Timeouts { read_ns, idle_ns: SECOND - read_ns, ..Timeouts::default() }, comes)
    }) {
        let bench = Bench::new();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (over, total) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(0)));
        let (told, count) = (over.clone(), total.clone());
        let callback = Closures::callback(move |_, _, event| match event {
            Event::Data(bytes) => count.set(count.get() + bytes.len()),
            Event::ConnOver { reason } => told.set(Some(reason)),
            _ => {}
        });
        bench.wrap(ours, Shape { timeouts, ..shape() }, callback);
        bench.turns(3);
        for round in 1..=3 {
            if comes {
                theirs.write_all(b"in time").unwrap();
            }
            bench.after(5 * SECOND);
            let expected = if comes { (round * 7, None) } else { (0, Some(Error::TIMED_OUT.code())) };
            assert_eq!((total.get(), over.get()), expected, "{timeouts:?}");
        }
        bench.after(5 * SECOND);
        assert_eq!(over.get(), Some(Error::TIMED_OUT.code()));
    }
}

/// Descriptors beyond the limit that most shells set.
fn allow_descriptors(count: u64) {
    // SAFETY: all zero is a valid limit, which is written to.
    let mut limit: libc::rlimit = unsafe { std::mem::zeroed() };
    // SAFETY: room for the answer.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }, 0);
    assert!(limit.rlim_max >= count, "no more than {} descriptors are allowed", limit.rlim_max);
    limit.rlim_cur = limit.rlim_cur.max(count);
    // SAFETY: reads the limit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
}

#[test]
fn a_late_loop_with_more_ready_than_a_turn_takes_forgets_nobody() {
    // mutation: `conn_comes_late` thinks that all events come in one turn.
    allow_descriptors(4096);
    let bench = Bench::new();
    let (_reader, writer) = std::io::pipe().unwrap();
    let others: Vec<_> = (0..1500).map(|_| writer.try_clone().unwrap()).collect();
    for other in &others {
        bench.event_loop.io_open(other.as_raw_fd(), WRITE, Mode::Level, -1, nothing(), true).unwrap();
    }
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let (over, timeouts) = (Rc::new(Cell::new(None)), Timeouts { idle_ns: SECOND, ..Timeouts::default() });
    bench.wrap(ours, Shape { timeouts, ..shape() }, ending(&over));
    bench.turns(6);
    theirs.write_all(b"in time, behind all the others").unwrap();
    bench.clock.monotonic_ns.set(bench.clock.monotonic_ns.get() + 5 * SECOND);
    bench.turns(6);
    assert_eq!(over.get(), None);
    bench.after(5 * SECOND);
    assert_eq!(over.get(), Some(Error::TIMED_OUT.code()), "nothing more has come");
}

#[test]
fn a_late_loop_sees_the_end_that_it_lingered_for() {
    // mutation: `conn_comes_late` does not look for what a finishing connection waits for, or takes any bytes for it.
    for ends in [true, false] {
        let bench = Bench::new();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let over = Rc::new(Cell::new(None));
        let timeouts = Timeouts { linger_ns: SECOND, ..Timeouts::default() };
        let conn = bench.wrap(ours, Shape { timeouts, ..shape() }, ending(&over));
        bench.event_loop.conn_finish(conn).unwrap();
        bench.turns(3);
        theirs.set_nonblocking(true).unwrap();
        while theirs.write(&[1; 4096]).is_ok() {}
        if ends {
            theirs.shutdown(std::net::Shutdown::Write).unwrap();
        }
        bench.after(5 * SECOND);
        assert_eq!(over.get(), Some(if ends { 0 } else { Error::TIMED_OUT.code() }));
    }
}

#[test]
fn what_the_peer_took_before_the_first_look_counts_for_it() {
    // mutation: what is found at the first look is no progress.
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_nonblocking(true).unwrap();
    set_buffers(peer.as_raw_fd(), 131_072, 0).unwrap();
    let over = Rc::new(Cell::new(None));
    let timeouts = Timeouts { idle_ns: 8 * SECOND, ..Timeouts::default() };
    let conn = bench.wrap(listener.accept().unwrap().0, Shape { timeouts, ..shape() }, ending(&over));
    bench.turns(3);
    bench.after(SECOND);
    bench.event_loop.conn_write(conn, &[IoSlice::new(&[1; 1 << 20])]).unwrap();
    // Nobody looks before the eighth second: it is not known that the peer takes a part in the seventh.
    for second in 1..14 {
        bench.after(SECOND);
        assert_eq!(over.get(), None, "{second} s after the bytes");
        if second == 6 {
            let _ = peer.read(&mut vec![0; 524_288]);
        }
    }
    (0..8).for_each(|_| bench.after(SECOND));
    assert_eq!(over.get(), Some(Error::TIMED_OUT.code()));
}

#[test]
fn who_empties_a_pipe_slowly_takes_something() {
    // mutation: `not_taken` does not know about pipes.
    let bench = Bench::new();
    let (mut theirs, ours) = std::io::pipe().unwrap();
    let over = Rc::new(Cell::new(None));
    let timeouts = Timeouts { write_ns: SECOND, ..Timeouts::default() };
    let conn = bench.wrap(ours, Shape { timeouts, ..shape() }, ending(&over));
    bench.event_loop.conn_write(conn, &[IoSlice::new(&[1; 200_000])]).unwrap();
    for _ in 0..30 {
        bench.after(SECOND / 2);
        theirs.read_exact(&mut [0; 100]).unwrap();
        assert_eq!(over.get(), None);
    }
    (0..5).for_each(|_| bench.after(SECOND / 2));
    assert_eq!(over.get(), Some(Error::TIMED_OUT.code()));
}

#[test]
fn what_comes_from_a_peer_that_takes_nothing_does_not_keep_it() {
    // mutation: `conn_comes_late` takes any event for one that may help.
    let of = |write_ns, linger_ns| Timeouts { write_ns, linger_ns, ..Timeouts::default() };
    for (timeouts, length) in [(of(SECOND, 0), 16 << 20), (of(60 * SECOND, SECOND), 5000)] {
        let bench = Bench::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        peer.set_nonblocking(true).unwrap();
        let over = Rc::new(Cell::new(None));
        let conn = bench.wrap(
            listener.accept().unwrap().0,
            Shape { timeouts, limit: 64 << 20, hold: false, ..shape() },
            ending(&over),
        );
        bench.event_loop.conn_write(conn, &[IoSlice::new(&vec![1; length])]).unwrap();
        if timeouts.linger_ns > 0 {
            bench.event_loop.conn_finish(conn).unwrap();
        }
        let mut passed = 0;
        while over.get().is_none() && passed < 40 {
            // More than a turn reads, so that something is always there.
            while peer.write(&[2; 65_536]).is_ok() {}
            bench.clock.monotonic_ns.set(bench.clock.monotonic_ns.get() + SECOND / 8);
            bench.turns(1);
            passed += 1;
        }
        assert!((8..=13).contains(&passed), "{passed} eighths: {timeouts:?}");
    }
}

#[test]
fn times_that_are_set_anew_count_anew() {
    // mutation: `conn_set_timeouts` leaves the linger time as it was.
    let linger = |linger_ns| Timeouts { linger_ns, ..Timeouts::default() };
    for (before, after, expected) in [(0, SECOND, 20), (SECOND, SECOND, 20), (SECOND, 0, 40)] {
        let bench = Bench::new();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let over = Rc::new(Cell::new(None));
        let conn = bench.wrap(ours, Shape { timeouts: linger(before), ..shape() }, ending(&over));
        bench.event_loop.conn_finish(conn).unwrap();
        bench.turns(3);
        let mut tenths = 0;
        while over.get().is_none() && tenths < 40 {
            if tenths == 9 {
                bench.event_loop.conn_set_timeouts(conn, linger(after)).unwrap();
            }
            bench.after(SECOND / 10);
            tenths += 1;
        }
        assert!((expected - 1..=expected).contains(&tenths), "{before} {after}: {tenths}");
    }
}

#[test]
fn times_count_from_the_reading_of_the_clock_after_a_rest() {
    // mutation: `conn_arm` counts what the peer has taken from the reading before, which may be long ago.
    let of = |write_ns, idle_ns| Timeouts { write_ns, idle_ns, ..Timeouts::default() };
    for timeouts in [of(2 * SECOND, 0), of(0, 2 * SECOND)] {
        const ALL: usize = 16 << 20;
        let bench = Bench::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        peer.set_nonblocking(true).unwrap();
        let over = Rc::new(Cell::new(None));
        let ours = listener.accept().unwrap().0;
        let conn = bench.wrap(ours, Shape { timeouts, limit: 4 * ALL, ..shape() }, ending(&over));
        bench.event_loop.conn_write(conn, &[IoSlice::new(&vec![1; ALL])]).unwrap();
        let (mut received, mut part) = (0, vec![0; 1 << 20]);
        while received < ALL {
            bench.turns(1);
            received += peer.read(&mut part).unwrap_or(0);
        }
        // The program does something else for a while, and then goes on.
        bench.clock.monotonic_ns.set(bench.clock.monotonic_ns.get() + 3 * SECOND);
        bench.event_loop.conn_write(conn, &[IoSlice::new(&vec![1; ALL])]).unwrap();
        bench.turns(3);
        assert_eq!(over.get(), None, "{timeouts:?}");
        (0..3).for_each(|_| bench.after(SECOND));
        assert_eq!(over.get(), Some(Error::TIMED_OUT.code()), "{timeouts:?}");
    }
}
