//! Rate limits by a clock that is set by hand, and descriptors that go from connection to connection.

mod shape;

use shape::shape;
use std::cell::{Cell, RefCell};
use std::io::{IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use tidegate_reactor::event_loop::clock::ManualClock;
use tidegate_reactor::event_loop::closures::{Callback, Loop};
use tidegate_reactor::event_loop::{Clock, RateConfig, Shape, Timeouts};
use tidegate_reactor::sys::socket_options::set_buffers;
use tidegate_reactor::{Closures, Error, Event, Id, LoopOptions};

const SECOND: i64 = 1_000_000_000;

struct Bench {
    event_loop: Loop,
    clock: Rc<ManualClock>,
}

impl Bench {
    fn new() -> Bench {
        let clock = Rc::new(ManualClock::default());
        let options = LoopOptions { clock: Clock::Manual(clock.clone()), ..LoopOptions::default() };
        Bench { event_loop: Closures::new_loop_with(options).unwrap(), clock }
    }

    fn wrap(&self, stream: impl Into<OwnedFd>, shape: Shape, callback: Callback) -> Id {
        let mut fd = Some(stream.into());
        self.event_loop.conn_open(&mut fd, Rc::new(shape), callback, true).unwrap()
    }

    fn turns(&self, count: usize) {
        for _ in 0..count {
            self.event_loop.run_nowait().unwrap();
        }
    }

    fn after(&self, nanoseconds: i64) {
        self.clock.monotonic_ns.set(self.clock.monotonic_ns.get() + nanoseconds);
        self.turns(20);
    }
}

/// A callback that counts the bytes that come.
fn counting(total: &Rc<Cell<usize>>) -> Callback {
    let total = total.clone();
    Closures::callback(move |_, _, event| {
        if let Event::Data(bytes) = event {
            total.set(total.get() + bytes.len());
        }
    })
}

fn nothing() -> Callback {
    Closures::callback(|_, _, _| {})
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

/// A callback that notes why it is over.
fn ending(over: &Rc<Cell<Option<i32>>>) -> Callback {
    let over = over.clone();
    Closures::callback(move |_, _, event| {
        if let Event::ConnOver { reason } = event {
            over.set(Some(reason));
        }
    })
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
fn what_moves_on_one_side_of_a_relay_keeps_the_other_from_being_idle() {
    // mutation: only what a connection has moved itself counts.
    let bench = Bench::new();
    let ((left, mut left_peer), (right, mut right_peer)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    right_peer.set_nonblocking(true).unwrap();
    left_peer.set_nonblocking(true).unwrap();
    let over = Rc::new(Cell::new(None));
    let timeouts = Timeouts { idle_ns: SECOND, ..Timeouts::default() };
    let patient = Shape { timeouts, ..shape() };
    let (left, right) = (bench.wrap(left, patient.clone(), ending(&over)), bench.wrap(right, patient, ending(&over)));
    bench.event_loop.conn_pipe(left, right).unwrap();
    let mut sent = 0;
    while let Ok(count @ 1..) = left_peer.write(&[5; 65_536]) {
        sent += count;
        bench.turns(3);
    }
    left_peer.shutdown(std::net::Shutdown::Write).unwrap();
    // The right peer takes a part each quarter of a second: the left side has nothing to do for a long time.
    let (mut received, mut buffer) = (0, vec![0; 200_000]);
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
    // mutation: `conn_comes_late` finds nothing.
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
        if comes {
            theirs.write_all(b"in time").unwrap();
        }
        bench.after(5 * SECOND);
        let expected = if comes { (7, None) } else { (0, Some(Error::TIMED_OUT.code())) };
        assert_eq!((total.get(), over.get()), expected, "{timeouts:?}");
        bench.after(5 * SECOND);
        assert_eq!(over.get(), Some(Error::TIMED_OUT.code()));
    }
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
