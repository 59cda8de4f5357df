//! Time as the loop sees it, on clocks that are set by hand.

use std::cell::RefCell;
use std::rc::Rc;
use tidegate_reactor::event_loop::Clock;
use tidegate_reactor::event_loop::clock::ManualClock;
use tidegate_reactor::event_loop::closures::Loop;
use tidegate_reactor::{Closures, Event, Id, LoopOptions};

const MS: i64 = 1_000_000;

struct World {
    clock: Rc<ManualClock>,
    event_loop: Loop,
    log: Rc<RefCell<Vec<(Id, u64)>>>,
}

impl World {
    fn new() -> World {
        let clock = Rc::new(ManualClock::default());
        clock.wall_ns.set(1_000_000_000 * MS);
        let options = LoopOptions { clock: Clock::Manual(clock.clone()), ..LoopOptions::default() };
        World { clock, event_loop: Closures::new_loop_with(options).unwrap(), log: Rc::default() }
    }

    /// A timer that writes down its id and how many ticks it has missed.
    fn timer(&self) -> Id {
        let log = self.log.clone();
        let note = Closures::callback(move |_, id, event| match event {
            Event::Timer { missed } => log.borrow_mut().push((id, missed)),
            other => panic!("{other:?}"),
        });
        self.event_loop.timer_open(note, true).unwrap()
    }

    /// Sets the monotonic clock and runs a turn; what fired.
    fn at(&self, now_ns: i64) -> Vec<(Id, u64)> {
        self.clock.monotonic_ns.set(now_ns);
        self.turn()
    }

    fn turn(&self) -> Vec<(Id, u64)> {
        self.event_loop.run_nowait().unwrap();
        self.log.take()
    }
}

#[test]
fn h52_a_repeating_timer_keeps_its_grid_for_a_thousand_periods() {
    // mutation: `expire` arms the next tick from `now` instead of from the deadline.
    let world = World::new();
    let timer = world.timer();
    world.event_loop.timer_start(timer, 10 * MS, 10 * MS).unwrap();
    let mut ticks = 0;
    for period in 1..=1000 {
        // Every turn is late by another amount below a period.
        let late = (period * 7_919) % (10 * MS);
        ticks += world.at(period * 10 * MS + late).len();
    }
    assert_eq!(ticks, 1000);
    assert_eq!(world.event_loop.timer_remaining_ns(timer).unwrap(), 10 * MS - (1000 * 7_919) % (10 * MS));
}

#[test]
fn h52_missed_ticks_are_counted_and_the_grid_is_kept() {
    // mutation: `expire` reports no missed ticks.
    let world = World::new();
    let timer = world.timer();
    world.event_loop.timer_start(timer, 10 * MS, 10 * MS).unwrap();
    assert_eq!(world.at(45 * MS), [(timer, 3)]);
    assert_eq!(world.event_loop.timer_remaining_ns(timer).unwrap(), 5 * MS);
    assert_eq!(world.at(49 * MS), []);
    assert_eq!(world.at(50 * MS), [(timer, 0)]);
}

#[test]
fn h53_relative_timers_do_not_follow_the_wall_clock() {
    // mutation: `timer_start` reads the wall clock.
    let world = World::new();
    let timer = world.timer();
    world.event_loop.timer_start(timer, 10 * MS, 0).unwrap();
    world.clock.wall_ns.set(world.clock.wall_ns.get() + 3_600_000 * MS);
    assert_eq!(world.at(9 * MS), []);
    world.clock.wall_ns.set(0);
    assert_eq!(world.at(10 * MS), [(timer, 0)]);
}

#[test]
fn h53_wall_clock_timers_follow_jumps_both_ways() {
    // mutation: `settle` passes the monotonic reading to the wall timers.
    let world = World::new();
    let wall = world.clock.wall_ns.get();
    let timer = world.timer();
    world.event_loop.timer_start_at(timer, true, wall + 60_000 * MS, 0).unwrap();
    // Back by an hour: now it is further away.
    world.clock.wall_ns.set(wall - 3_600_000 * MS);
    assert_eq!(world.at(61_000 * MS), []);
    assert_eq!(world.event_loop.timer_remaining_ns(timer).unwrap(), 3_660_000 * MS);
    // Forward beyond it.
    world.clock.wall_ns.set(wall + 60_000 * MS);
    assert_eq!(world.turn(), [(timer, 0)]);
}

#[test]
fn h55_a_clock_that_stands_still_neither_loses_a_timer_nor_spins_in_one_turn() {
    // mutation: `begin_expiry` hands out what was armed in the pass (see the timers' own tests).
    let world = World::new();
    let again = Rc::new(RefCell::new(0));
    let count = again.clone();
    let rearm = Closures::callback(move |event_loop: &Loop, id, _| {
        *count.borrow_mut() += 1;
        event_loop.timer_start(id, 0, 0).unwrap();
    });
    let timer = world.event_loop.timer_open(rearm, true).unwrap();
    world.event_loop.timer_start(timer, 0, 0).unwrap();
    for turn in 1..=5 {
        world.at(0);
        assert_eq!(*again.borrow(), turn);
    }
}

#[test]
fn h51_a_timer_started_after_long_work_counts_from_then() {
    // mutation: `timer_start` uses the turn's cached reading of the clock.
    let world = World::new();
    let clock = world.clock.clone();
    let (late, log) = (world.timer(), world.log.clone());
    let work = Closures::callback(move |event_loop: &Loop, _, _| {
        clock.monotonic_ns.set(clock.monotonic_ns.get() + 2_000 * MS);
        event_loop.timer_start(late, 1_000 * MS, 0).unwrap();
    });
    let worker = world.event_loop.timer_open(work, true).unwrap();
    world.event_loop.timer_start(worker, 0, 0).unwrap();
    assert_eq!(world.at(0), []);
    assert_eq!(world.at(2_999 * MS), []);
    assert_eq!(world.at(3_000 * MS), [(late, 0)]);
    assert!(log.borrow().is_empty());
}

#[test]
fn pushing_back_counts_from_the_next_reading_of_the_clock() {
    // mutation: `timer_restart` uses the turn's cached reading of the clock.
    let world = World::new();
    let timer = world.timer();
    world.event_loop.timer_start(timer, 10 * MS, 0).unwrap();
    assert_eq!(world.at(5 * MS), []);
    world.clock.monotonic_ns.set(9 * MS);
    world.event_loop.timer_restart(timer).unwrap();
    assert_eq!(world.at(10 * MS), []);
    assert_eq!(world.at(19 * MS), []);
    assert_eq!(world.at(20 * MS), [(timer, 0)]);
}

#[test]
fn h54_the_longest_delays_do_not_wrap() {
    // mutation: `timer_start` adds without saturating.
    let world = World::new();
    world.clock.monotonic_ns.set(i64::MAX / 2);
    let timer = world.timer();
    world.event_loop.timer_start(timer, i64::MAX, i64::MAX).unwrap();
    assert_eq!(world.turn(), []);
    assert!(world.event_loop.timer_remaining_ns(timer).unwrap() > 0);
    assert!(world.event_loop.timeout_ns().unwrap() > 0);
}
