//! What a turn does and what it costs, through real descriptors.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use tidegate_reactor::event_loop::async_send;
use tidegate_reactor::event_loop::closures::{Callback, Loop};
use tidegate_reactor::interest::{READ, WRITE};
use tidegate_reactor::{Closures, Error, Event, Id, Mode};

fn pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

fn counting(count: &Rc<Cell<u32>>) -> Callback {
    let count = count.clone();
    Closures::callback(move |_, _, _| count.set(count.get() + 1))
}

#[test]
fn h29_level_is_the_default_and_reports_what_was_left() {
    // mutation: `mode` in sys/poller registers Level as Edge.
    let event_loop = Closures::new_loop().unwrap();
    let (mut mine, mut theirs) = pair();
    let count = Rc::new(Cell::new(0));
    event_loop.io_open(mine.as_raw_fd(), READ, Mode::default(), 0, counting(&count), true).unwrap();
    theirs.write_all(b"ab").unwrap();
    for turn in 1..=3 {
        event_loop.run_nowait().unwrap();
        assert_eq!(count.get(), turn, "unread bytes are reported again");
    }
    let mut byte = [0];
    mine.read_exact(&mut byte).unwrap();
    event_loop.run_nowait().unwrap();
    assert_eq!(count.get(), 4);
    mine.read_exact(&mut byte).unwrap();
    event_loop.run_nowait().unwrap();
    assert_eq!(count.get(), 4);
}

#[test]
fn edge_reports_an_arrival_once() {
    // mutation: `mode` in sys/poller registers Edge as Level.
    let event_loop = Closures::new_loop().unwrap();
    let (mine, mut theirs) = pair();
    let count = Rc::new(Cell::new(0));
    event_loop.io_open(mine.as_raw_fd(), READ, Mode::Edge, 0, counting(&count), true).unwrap();
    for arrival in 1..=3 {
        theirs.write_all(b"x").unwrap();
        event_loop.run_nowait().unwrap();
        event_loop.run_nowait().unwrap();
        assert_eq!(count.get(), arrival);
    }
}

#[test]
fn oneshot_watchers_of_one_descriptor_are_told_and_armed_separately() {
    // mutation: `event` does not mark a oneshot descriptor for the watchers that remain.
    let event_loop = Closures::new_loop().unwrap();
    let (mine, mut theirs) = pair();
    let (reads, writes) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let reader = event_loop.io_open(mine.as_raw_fd(), READ, Mode::Oneshot, 0, counting(&reads), true).unwrap();
    event_loop.io_open(mine.as_raw_fd(), WRITE, Mode::Oneshot, 0, counting(&writes), true).unwrap();
    event_loop.run_nowait().unwrap();
    assert_eq!((reads.get(), writes.get()), (0, 1));
    theirs.write_all(b"x").unwrap();
    for _ in 0..3 {
        event_loop.run_nowait().unwrap();
    }
    assert_eq!((reads.get(), writes.get()), (1, 1), "the reader was armed again although the writer had reported");
    event_loop.io_set_interest(reader, READ).unwrap();
    event_loop.run_nowait().unwrap();
    assert_eq!((reads.get(), writes.get()), (2, 1));
}

#[test]
fn h37_readiness_that_nothing_comes_of_does_no_harm() {
    // mutation: (of the promise) the loop reads by itself and blocks.
    let event_loop = Closures::new_loop().unwrap();
    let (mine, mut theirs) = pair();
    let again = mine.try_clone().unwrap();
    let blocked = Rc::new(Cell::new(0));
    let seen = blocked.clone();
    let read = Closures::callback(move |_, _, _| match (&again).read(&mut [0; 8]) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => seen.set(seen.get() + 1),
        other => drop(other.unwrap()),
    });
    // The second watcher finds that the first has read everything.
    event_loop.io_open(mine.as_raw_fd(), READ, Mode::Level, 0, read.clone(), true).unwrap();
    event_loop.io_open(mine.as_raw_fd(), READ, Mode::Level, 0, read, true).unwrap();
    theirs.write_all(b"x").unwrap();
    event_loop.run_nowait().unwrap();
    assert_eq!(blocked.get(), 1);
    event_loop.run_nowait().unwrap();
    assert_eq!(blocked.get(), 1);
}

#[test]
fn h31_a_short_timer_costs_one_wait() {
    // mutation: `time_to_next` gives whole milliseconds, rounded down.
    let event_loop = Closures::new_loop().unwrap();
    let count = Rc::new(Cell::new(0));
    let timer = event_loop.timer_open(counting(&count), true).unwrap();
    for tick in 1..=20 {
        event_loop.timer_start(timer, 300_000, 0).unwrap();
        let before = event_loop.stats().unwrap().waits;
        event_loop.run_once().unwrap();
        assert_eq!(count.get(), tick);
        assert_eq!(event_loop.stats().unwrap().waits - before, 1, "one wait to the timer, neither early nor busy");
    }
}

#[test]
fn h30_no_post_is_lost_in_a_storm_against_a_sleeping_loop() {
    // mutation: `wait` does not look at the inbox after it has armed the port.
    const EACH: u32 = 20_000;
    let event_loop = Closures::new_loop().unwrap();
    let id = event_loop.id();
    let ran = Arc::new(AtomicU32::new(0));
    let poster = {
        let ran = ran.clone();
        std::thread::spawn(move || {
            for turn in 1..=EACH {
                let ran_there = ran.clone();
                Closures::post(id, move |event_loop| {
                    if ran_there.fetch_add(1, Ordering::SeqCst) + 1 == EACH {
                        tidegate_reactor::event_loop::stop(event_loop.id()).unwrap();
                    }
                })
                .unwrap();
                // Waiting for each lets the loop fall asleep again and again: a wake that is lost ends here for ever.
                while turn % 2 == 0 && ran.load(Ordering::SeqCst) < turn {
                    std::hint::spin_loop();
                    std::thread::yield_now();
                }
            }
        })
    };
    event_loop.hold().unwrap();
    event_loop.run().unwrap();
    poster.join().unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), EACH);
}

#[test]
fn h11_sends_and_posts_race_with_the_end_of_the_loop() {
    // mutation: Visit's drop does not leave the port (the end of the loop then waits for ever).
    for _ in 0..200 {
        let event_loop = Closures::new_loop().unwrap();
        let handle = event_loop.async_open(Closures::callback(|_, _, _| {}), true).unwrap();
        let (id, start) = (event_loop.id(), Arc::new(Barrier::new(3)));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let start = start.clone();
                std::thread::spawn(move || {
                    start.wait();
                    for _ in 0..50 {
                        let results = [Closures::post(id, |_| {}), async_send(handle)];
                        assert!(
                            results.iter().all(|result| matches!(result, Ok(()) | Err(Error::STALE))),
                            "{results:?}"
                        );
                    }
                })
            })
            .collect();
        start.wait();
        event_loop.run_nowait().unwrap();
        drop(event_loop);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(Closures::post(id, |_| {}), Err(Error::STALE));
        assert_eq!(async_send(handle), Err(Error::STALE));
    }
}

#[test]
fn h15_hooks_that_open_close_and_stop_each_other_in_every_phase() {
    // mutation: `next_hook` does not look whether the hook is still started.
    use tidegate_reactor::event_loop::HookKind::{Check, Idle, Prepare};
    for kind in [Idle, Prepare, Check] {
        let event_loop = Closures::new_loop().unwrap();
        let calls: Rc<RefCell<Vec<&str>>> = Rc::default();
        let note = |name: &'static str| {
            let calls = calls.clone();
            Closures::callback(move |_, _, _| calls.borrow_mut().push(name))
        };
        let others: Rc<RefCell<Vec<Id>>> = Rc::default();
        let (victims, log, late) = (others.clone(), calls.clone(), note("late"));
        let first = Closures::callback(move |event_loop: &Loop, id, _| {
            log.borrow_mut().push("first");
            event_loop.close(victims.borrow()[0]).unwrap();
            event_loop.hook_stop(victims.borrow()[1]).unwrap();
            event_loop.hook_open(kind, late.clone(), true).unwrap();
            event_loop.close(id).unwrap();
        });
        event_loop.hook_open(kind, first, true).unwrap();
        for name in ["closed", "stopped", "kept"] {
            let id = event_loop.hook_open(kind, note(name), true).unwrap();
            others.borrow_mut().push(id);
        }
        event_loop.run_nowait().unwrap();
        assert_eq!(*calls.borrow(), ["first", "kept"], "{kind:?}");
        calls.borrow_mut().clear();
        event_loop.run_nowait().unwrap();
        assert_eq!(*calls.borrow(), ["kept", "late"], "{kind:?}");
    }
}

#[test]
fn h43_no_callback_comes_from_inside_a_call() {
    // mutation: `io_open` delivers at once what is ready already.
    let event_loop = Closures::new_loop().unwrap();
    let (mine, mut theirs) = pair();
    theirs.write_all(b"x").unwrap();
    let count = Rc::new(Cell::new(0));
    let id = event_loop.io_open(mine.as_raw_fd(), READ, Mode::Level, 0, counting(&count), true).unwrap();
    let timer = event_loop.timer_open(counting(&count), true).unwrap();
    event_loop.timer_start(timer, 0, 0).unwrap();
    event_loop.defer(Closures::task(|_| {})).unwrap();
    event_loop.close(timer).unwrap();
    event_loop.close(id).unwrap();
    assert_eq!(count.get(), 0);
    event_loop.run_nowait().unwrap();
    assert_eq!(count.get(), 0);
}

#[test]
fn h67_ending_a_loop_reports_and_releases_what_was_open() {
    // mutation: `close_everything` leaves handles with interest in the table.
    let mut event_loop = Closures::new_loop().unwrap();
    let witness = Rc::new(());
    for _ in 0..10 {
        let witness = witness.clone();
        let keep = Closures::callback(move |_, _, _| drop(witness.clone()));
        let timer = event_loop.timer_open(keep, true).unwrap();
        event_loop.timer_start(timer, 1_000_000_000, 0).unwrap();
    }
    let posted = Arc::new(());
    let carried = posted.clone();
    event_loop.defer(Closures::task(move |_| drop(carried))).unwrap();
    assert_eq!(event_loop.shutdown(), Some(10));
    assert_eq!(Rc::strong_count(&witness), 1, "every user was given back");
    assert_eq!(Arc::strong_count(&posted), 1, "and what was deferred");
    assert_eq!(event_loop.timer_open(Closures::callback(|_, _, _| {}), true), Err(Error::PANIC));
}

#[test]
fn h04_events_of_a_batch_reach_nobody_who_was_stopped_or_closed_meanwhile() {
    // mutation: `tell_io` does not look at the watcher's interest as it is now.
    let event_loop = Closures::new_loop().unwrap();
    let (mine, mut theirs) = pair();
    let ids: Rc<RefCell<Vec<Id>>> = Rc::default();
    let told = Rc::new(Cell::new(0));
    // Watchers of one descriptor: whom to tell is settled before the first of them is called.
    for _ in 0..4 {
        let (ids_there, told) = (ids.clone(), told.clone());
        let end_others = Closures::callback(move |event_loop: &Loop, me, event| {
            assert!(matches!(event, Event::Io { status: 0, .. }));
            told.set(told.get() + 1);
            let others: Vec<Id> = ids_there.borrow().iter().copied().filter(|id| *id != me).collect();
            event_loop.io_set_interest(others[0], 0).unwrap();
            event_loop.close(others[1]).unwrap();
            event_loop.io_set_interest(others[2], WRITE).unwrap();
        });
        let id = event_loop.io_open(mine.as_raw_fd(), READ, Mode::Level, 0, end_others, true).unwrap();
        ids.borrow_mut().push(id);
    }
    theirs.write_all(b"x").unwrap();
    event_loop.run_nowait().unwrap();
    assert_eq!(told.get(), 1);
}

#[test]
fn h29_an_edge_watcher_that_begins_again_hears_of_what_is_ready_already() {
    // mutation: `flush_one` makes no call when the union of interests is what it was.
    let event_loop = Closures::new_loop().unwrap();
    let (mine, mut theirs) = pair();
    theirs.write_all(b"x").unwrap();
    let (first, second) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let watcher = event_loop.io_open(mine.as_raw_fd(), READ, Mode::Edge, 0, counting(&first), true).unwrap();
    event_loop.run_nowait().unwrap();
    assert_eq!(first.get(), 1);
    // Stopped and started between two waits: the kernel sees no difference, but the watcher waits anew.
    event_loop.io_set_interest(watcher, 0).unwrap();
    event_loop.io_set_interest(watcher, READ).unwrap();
    event_loop.run_nowait().unwrap();
    assert_eq!(first.get(), 2);
    event_loop.io_open(mine.as_raw_fd(), READ, Mode::Edge, 0, counting(&second), true).unwrap();
    event_loop.run_nowait().unwrap();
    assert_eq!(second.get(), 1, "a second watcher hears of it like a first");
    event_loop.io_set_interest(watcher, READ).unwrap();
    let before = first.get();
    event_loop.run_nowait().unwrap();
    assert_eq!(first.get(), before, "setting what is set already is no new beginning");
}

#[test]
fn h67_the_end_of_a_loop_takes_time_in_proportion() {
    // mutation: `close_everything` looks for the next handle from the first place on (minutes instead of an instant).
    let mut event_loop = Closures::new_loop().unwrap();
    let callback = Closures::callback(|_, _, _| {});
    for _ in 0..150_000 {
        event_loop.timer_open(callback.clone(), true).unwrap();
    }
    assert_eq!(event_loop.shutdown(), Some(150_000));
}

/// Notes when it is dropped.
struct Noting(u32, Rc<RefCell<Vec<u32>>>);

impl Drop for Noting {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

#[test]
fn releases_come_in_the_order_in_which_they_came_to_be() {
    // mutation: Releases::push does not count the handles before it; take_rest takes the last one first.
    let event_loop = Closures::new_loop().unwrap();
    let order = Rc::new(RefCell::new(Vec::new()));
    let callback = |number: u32| {
        let noting = Noting(number, order.clone());
        Closures::callback(move |_, _, _| {
            let _ = &noting;
        })
    };
    let ids: Vec<Id> = (0..4).map(|number| event_loop.timer_open(callback(number), true).unwrap()).collect();
    for round in 0..2 {
        event_loop.close(ids[2 * round + 1]).unwrap();
        event_loop.change_user(ids[2 * round], |_| callback(10 + round as u32)).unwrap();
        event_loop.close(ids[2 * round]).unwrap();
        assert!(order.borrow().is_empty(), "nothing is given back before the end of the turn");
        event_loop.run_nowait().unwrap();
        let first = 2 * round as u32;
        assert_eq!(order.take(), [first + 1, first, 10 + round as u32]);
    }
}
