//! What must not fail when there is no memory. In a file, and so a process, of its own: its allocator refuses on demand.

mod shape;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use tidegate_reactor::event_loop::clock::ManualClock;
use tidegate_reactor::event_loop::closures::{Callback, Loop};
use tidegate_reactor::event_loop::{Clock, Shape, Timeouts};
use tidegate_reactor::{Closures, Event, Id, LoopOptions};

const SECOND: i64 = 1_000_000_000;
/// More than what a list has room for that never had more than one entry.
const CONNS: usize = 40;

struct Refusing;

#[global_allocator]
static ALLOCATOR: Refusing = Refusing;

thread_local! {
    static REFUSES: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: everything is the system allocator's, or nothing.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        if REFUSES.get() { std::ptr::null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises; it came from there.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises; it came from there.
        if REFUSES.get() { std::ptr::null_mut() } else { unsafe { System.realloc(block, layout, size) } }
    }
}

/// Does something while no memory can be had. What fails in it must not panic, which would take some.
fn without_memory<T>(act: impl FnOnce() -> T) -> T {
    REFUSES.set(true);
    let done = act();
    REFUSES.set(false);
    done
}

fn shape() -> Rc<Shape> {
    let timeouts = Timeouts { idle_ns: 10 * SECOND, ..Timeouts::default() };
    Rc::new(Shape { timeouts, tells_eof: true, tells_timeout: true, ..shape::shape() })
}

struct Bench {
    event_loop: Loop,
    clock: Rc<ManualClock>,
    log: Rc<RefCell<Vec<String>>>,
    conns: Vec<Id>,
    peers: Vec<UnixStream>,
}

impl Bench {
    /// Connections that were opened one a turn, so that the loop's lists have stayed small.
    fn new() -> Bench {
        let clock = Rc::new(ManualClock::default());
        let options = LoopOptions { clock: Clock::Manual(clock.clone()), ..LoopOptions::default() };
        let event_loop = Closures::new_loop_with(options).unwrap();
        let mut bench = Bench { event_loop, clock, log: Rc::default(), conns: Vec::new(), peers: Vec::new() };
        for _ in 0..CONNS {
            let (mine, theirs) = UnixStream::pair().unwrap();
            let callback = bench.callback();
            let mut fd = Some(OwnedFd::from(mine));
            bench.conns.push(bench.event_loop.conn_open(&mut fd, shape(), callback, true).unwrap());
            bench.peers.push(theirs);
            bench.turns();
        }
        bench.log.borrow_mut().clear();
        bench
    }

    fn callback(&self) -> Callback {
        let log = self.log.clone();
        Closures::callback(move |_, _, event| {
            log.borrow_mut().push(match event {
                Event::Data(bytes) => format!("{} bytes", bytes.len()),
                Event::ConnOver { reason } => format!("over {}", reason != 0),
                other => format!("{other:?}"),
            });
        })
    }

    fn turns(&self) {
        for _ in 0..3 {
            self.event_loop.run_nowait().unwrap();
        }
    }

    fn after(&self, nanoseconds: i64) {
        self.clock.monotonic_ns.set(self.clock.monotonic_ns.get() + nanoseconds);
        self.turns();
    }

    /// Whether the command succeeds for all those, while no memory can be had.
    fn all(&self, mut conns: impl Iterator<Item = Id>, command: impl Fn(&Loop, Id) -> bool) -> bool {
        without_memory(|| conns.all(|id| command(&self.event_loop, id)))
    }

    fn told(&self, what: &str) -> usize {
        let log = std::mem::take(&mut *self.log.borrow_mut());
        assert!(log.iter().all(|line| line == what), "{log:?}");
        log.len()
    }
}

#[test]
fn h66_what_was_noted_without_memory_is_done_all_the_same() {
    // mutation: Noted::push forgets it when there is no room; flush_dirty or conn_stamp does not look at all handles.
    let bench = Bench::new();
    for id in &bench.conns {
        bench.event_loop.conn_pause(*id, true).unwrap();
        bench.turns();
    }
    bench.after(9 * SECOND);
    assert!(bench.all(bench.conns.iter().copied(), |event_loop, id| event_loop.conn_pause(id, false).is_ok()));
    bench.turns();
    bench.peers.iter().for_each(|mut peer| peer.write_all(b"abc").unwrap());
    bench.turns();
    assert_eq!(bench.told("3 bytes"), CONNS, "the poller knows of all of them");
    bench.after(9 * SECOND);
    assert_eq!(bench.told(""), 0);
    bench.after(2 * SECOND);
    assert_eq!(bench.told("TimedOut(Idle)"), CONNS, "the idle time goes on from what has happened last");
}

#[test]
fn h66_what_ends_without_memory_is_told() {
    // mutation: Noted::next ends with what was noted.
    let bench = Bench::new();
    for pair in bench.conns.chunks(2) {
        bench.event_loop.conn_pipe(pair[0], pair[1]).unwrap();
        bench.turns();
    }
    let firsts = bench.conns.iter().copied().step_by(2);
    assert!(bench.all(firsts, |event_loop, id| event_loop.conn_abort(id).is_ok()));
    bench.turns();
    assert_eq!(bench.told("over true"), CONNS / 2);
}

#[test]
fn h66_closing_takes_no_memory() {
    // mutation: release_handle does not offer what the handle carries.
    let bench = Bench::new();
    let timers: Vec<Id> = (0..CONNS).map(|_| bench.event_loop.timer_open(bench.callback(), true).unwrap()).collect();
    let held = Rc::strong_count(&bench.log);
    assert_eq!(held, 1 + 2 * CONNS);
    let all = bench.conns.iter().chain(&timers).copied();
    assert!(bench.all(all, |event_loop, id| event_loop.close(id).is_ok()));
    assert_eq!(bench.event_loop.open_handles(), 0);
    bench.turns();
    assert_eq!(Rc::strong_count(&bench.log), 1, "each user was given back");
}
