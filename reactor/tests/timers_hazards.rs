//! The timers and the hazards of time, one by one. Each comment names the mutation of the timers under which its
//! test was seen to fail.

mod limited;

use std::collections::BTreeMap;

use limited::limited;
use tidegate_reactor::base::timers::{TimerKey, Timers};

/// xorshift64*: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn created(timers: &mut Timers, count: usize) -> Vec<TimerKey> {
    (0..count).map(|owner| timers.create(owner as u64).unwrap()).collect()
}

/// Owners and deadlines of one whole pass.
fn pass(timers: &mut Timers, now: i64) -> Vec<(u64, i64)> {
    timers.resolve(now);
    timers.begin_expiry(now);
    std::iter::from_fn(|| timers.pop_due()).map(|due| (due.owner, due.deadline)).collect()
}

fn owners(timers: &mut Timers, now: i64) -> Vec<u64> {
    pass(timers, now).into_iter().map(|(owner, _)| owner).collect()
}

/// Deadlines from nanoseconds to hours ahead, every tenth equal to an earlier one.
fn mixed_deadlines(random: &mut Random, count: usize) -> Vec<i64> {
    let mut deadlines: Vec<i64> = Vec::with_capacity(count);
    for at in 0..count {
        let bits = random.below(44);
        let again = at > 0 && random.below(10) == 0;
        let fresh = random.below(1 << bits) as i64;
        let deadline = if again { deadlines[random.below(at as u64) as usize] } else { fresh };
        deadlines.push(deadline);
    }
    deadlines
}

/// Mutation: `pop_due` lets a timer pass whose granule, instead of whose deadline, has come.
#[test]
fn h50_100_000_random_timers_in_order_and_never_early() {
    limited(|| {
        const COUNT: usize = 100_000;
        let mut random = Random(0x5EED_0050);
        let mut timers = Timers::new();
        let keys = created(&mut timers, COUNT);
        let deadlines = mixed_deadlines(&mut random, COUNT);
        keys.iter().zip(&deadlines).for_each(|(&key, &deadline)| timers.arm(key, deadline));
        let (mut last, mut fired, mut turn) = ((i64::MIN, 0), 0, 0u64);
        while let Some(next) = timers.next_deadline() {
            // Turns come exactly in time, a nanosecond early, or late by up to 16 ms.
            let late = [0, -1, 1, random.below(1 << 24) as i64][turn as usize % 4];
            let now = next + late;
            turn += 1;
            let due = pass(&mut timers, now);
            assert_eq!(due.is_empty(), late < 0, "due when told and not before");
            for (owner, deadline) in due {
                assert!(deadline <= now, "early by {} ns", deadline - now);
                assert_eq!(deadline, deadlines[owner as usize]);
                assert!((deadline, owner) > last, "out of order");
                last = (deadline, owner);
                fired += 1;
            }
            assert!(timers.next_deadline().is_none_or(|next| next > now), "left behind");
        }
        assert_eq!(fired, COUNT);
    });
}

/// Mutation: heap entries compare by deadline alone.
#[test]
fn equal_deadlines_fire_in_arming_order() {
    limited(|| {
        let mut random = Random(0x5EED_0001);
        for deadline in [i64::MIN, 0, 5, 3_000_000_000, i64::MAX] {
            let mut timers = Timers::new();
            let keys = created(&mut timers, 1_000);
            timers.resolve(0);
            let mut order: Vec<u64> = (0..1_000).collect();
            (1..1_000).for_each(|at| order.swap(at, random.below(at as u64 + 1) as usize));
            keys.iter().for_each(|&key| timers.arm(key, deadline));
            order.iter().for_each(|&owner| timers.arm(keys[owner as usize], deadline));
            assert_eq!(owners(&mut timers, deadline), order);
        }
    });
}

/// A timer's place among equals is that of its push back, not of its first arming.
/// Mutation: `resolve` leaves the order as it was.
#[test]
fn pushed_back_timers_keep_the_order_of_their_marks() {
    limited(|| {
        let mut timers = Timers::new();
        let keys = created(&mut timers, 3);
        keys.iter().for_each(|&key| timers.arm(key, 10));
        timers.push_back(keys[2], 100);
        timers.push_back(keys[0], 100);
        assert_eq!(timers.deadline_at(keys[0], 7), Some(107));
        timers.resolve(50);
        timers.arm(keys[1], 150);
        assert_eq!(timers.next_deadline(), Some(150));
        assert_eq!(owners(&mut timers, 149), []);
        assert_eq!(owners(&mut timers, 150), [2, 0, 1]);
    });
}

/// Pushing back in every turn, as traffic does to an idle timeout, costs no entries and no firing.
/// Mutation: `settle_top` takes the entry's deadline for the timer's.
#[test]
fn timers_pushed_back_in_time_never_fire() {
    limited(|| {
        let mut timers = Timers::new();
        let keys = created(&mut timers, 200);
        keys.iter().for_each(|&key| timers.push_back(key, 1_000_000_000));
        for now in (0..20_000_000_000).step_by(90_000_000) {
            assert_eq!(owners(&mut timers, now), [], "at {now}");
            keys.iter().for_each(|&key| timers.push_back(key, 1_000_000_000));
            assert!(timers.has_marked());
            timers.resolve(now);
            assert_eq!(timers.next_deadline(), Some(now + 1_000_000_000));
            assert_eq!((timers.armed_count(), timers.stale_entries()), (200, 0));
        }
    });
}

/// Mutation: `pop_due` does not compare with the pass's order limit.
#[test]
fn h24_timer_armed_anew_in_a_pass_waits_for_the_next() {
    limited(|| {
        let mut timers = Timers::new();
        let keys = created(&mut timers, 2);
        keys.iter().for_each(|&key| timers.arm(key, 0));
        for turn in 1..100 {
            timers.begin_expiry(turn);
            let mut fired = Vec::new();
            while let Some(due) = timers.pop_due() {
                fired.push(due.owner);
                assert!(fired.len() <= 2, "a zero timer keeps its own pass alive");
                timers.arm(due.key, if due.owner == 0 { 0 } else { turn });
            }
            assert_eq!(fired, [0, 1]);
            assert_eq!(timers.next_deadline(), Some(0));
        }
    });
}

/// What a pass's own callbacks stop or arm anew is not handed out by it any more.
/// Mutation: `cancel` leaves entries of the heap in place.
#[test]
fn h04_timers_stopped_in_the_middle_of_a_pass_are_skipped() {
    limited(|| {
        let mut timers = Timers::new();
        let keys = created(&mut timers, 6);
        keys.iter().for_each(|&key| timers.arm(key, 1));
        timers.begin_expiry(2);
        assert_eq!(timers.pop_due().map(|due| due.owner), Some(0));
        timers.cancel(keys[1]);
        timers.destroy(keys[2]);
        timers.push_back(keys[3], 0);
        timers.arm(keys[4], 1);
        let reused = timers.create(7).unwrap();
        timers.arm(reused, 1);
        assert_eq!(timers.pop_due().map(|due| due.owner), Some(5));
        assert_eq!(timers.pop_due(), None);
        assert_eq!(timers.pop_due(), None, "a pass that has ended stays so");
        assert_eq!(owners(&mut timers, 2), [4, 7, 3]);
    });
}

/// A timer that a pass has set aside, because it was armed anew during it, can be cancelled like any other.
/// Mutation: `unlink` does not tell the timer that fills the gap where it now is.
#[test]
fn timers_set_aside_by_a_pass_can_be_cancelled() {
    limited(|| {
        let mut timers = Timers::new();
        let keys = created(&mut timers, 6);
        keys.iter().for_each(|&key| timers.arm(key, 1));
        timers.begin_expiry(2);
        assert_eq!(timers.pop_due().map(|due| due.owner), Some(0));
        keys[1..4].iter().for_each(|&key| timers.arm(key, 0));
        assert_eq!(timers.pop_due().map(|due| due.owner), Some(4));
        timers.cancel(keys[1]);
        timers.cancel(keys[3]);
        assert_eq!((timers.armed_count(), timers.stale_entries()), (2, 0));
        assert_eq!(timers.pop_due().map(|due| due.owner), Some(5));
        assert_eq!(timers.pop_due(), None);
        assert_eq!(owners(&mut timers, 2), [2]);
    });
}

/// Mutations: `resolve` adds with wrap-around; `granule` does not map the sign.
#[test]
fn h54_huge_values_are_clamped_and_ordered() {
    limited(|| {
        let deadlines = [i64::MAX, 1 << 31, i64::MIN, -1, 0, 1, i64::MAX - 1, (1 << 31) * 1_000_000, 1 << 62];
        let mut timers = Timers::new();
        let keys = created(&mut timers, deadlines.len());
        keys.iter().zip(deadlines).for_each(|(&key, deadline)| timers.arm(key, deadline));
        let mut sorted = deadlines;
        sorted.sort_unstable();
        for deadline in sorted {
            assert_eq!(timers.next_deadline(), Some(deadline));
            if deadline > i64::MIN {
                assert_eq!(pass(&mut timers, deadline - 1), []);
            }
            assert_eq!(pass(&mut timers, deadline).len(), 1);
        }
        for (delay, now, deadline) in [(i64::MAX, 1, i64::MAX), (i64::MIN, -1, i64::MIN), (i64::MAX, i64::MIN, -1)] {
            timers.push_back(keys[0], delay);
            assert_eq!(timers.deadline_at(keys[0], now), Some(deadline));
            timers.resolve(now);
            assert_eq!(timers.next_deadline(), Some(deadline));
        }
    });
}

/// Mutations: `pop_due` wants the clock to be past the deadline; `raise_horizon` asserts that its target is not
/// below the horizon.
#[test]
fn h55_clock_that_stands_still_or_goes_back_does_no_harm() {
    limited(|| {
        const START: i64 = 1 << 40;
        let mut random = Random(0x5EED_0055);
        let mut timers = Timers::new();
        let keys = created(&mut timers, 500);
        let mut waiting: BTreeMap<u64, i64> = BTreeMap::new();
        timers.resolve(START);
        for (owner, &key) in keys.iter().enumerate() {
            waiting.insert(owner as u64, START + random.below(1 << 36) as i64);
            timers.arm(key, waiting[&(owner as u64)]);
        }
        for turn in 0.. {
            let Some(next) = timers.next_deadline() else { break };
            assert_eq!(Some(&next), waiting.values().min());
            for now in [next, next, next - 1, next - (1 << 38), i64::MIN] {
                for (owner, deadline) in pass(&mut timers, now) {
                    assert!(deadline <= now);
                    assert_eq!(waiting.remove(&owner), Some(deadline));
                }
            }
            assert!(waiting.values().all(|&deadline| deadline > next), "due and left behind");
            if let Some(free) = (0..500).find(|owner| turn < 1_000 && !waiting.contains_key(owner)) {
                let bits = random.below(37);
                waiting.insert(free, next + 1 + random.below(1 << bits) as i64);
                timers.arm(keys[free as usize], waiting[&free]);
            }
        }
        assert_eq!((waiting.len(), timers.armed_count()), (0, 0));
    });
}

/// A mark that is taken back and made again takes no further memory.
/// Mutation: `push_back` lists a timer without asking whether it is listed.
#[test]
fn marking_again_after_a_cancel_lists_a_timer_once() {
    limited(|| {
        let mut timers = Timers::new();
        for round in 0..10 {
            let key = timers.create(round).unwrap();
            timers.push_back(key, 1);
            timers.cancel(key);
            assert!(!timers.has_marked());
            timers.push_back(key, 2);
            timers.destroy(key);
        }
        timers.resolve(0);
        assert_eq!((timers.armed_count(), timers.next_deadline()), (0, None));
    });
}

/// Cancelling leaves nothing behind, wherever the entry was.
/// Mutation: `unlink` leaves the entries of the wheel in place.
#[test]
fn a_million_cancels_leave_no_stale_entries() {
    limited(|| {
        let mut random = Random(0x5EED_0002);
        let mut timers = Timers::new();
        let keys = created(&mut timers, 1_000);
        for round in 0..1_000i64 {
            timers.resolve(round * 1_000_000);
            for &key in &keys {
                timers.arm(key, round * 1_000_000 + random.below(1 << 34) as i64);
            }
            if round % 3 == 0 {
                timers.next_deadline();
            }
            keys.iter().for_each(|&key| timers.cancel(key));
            assert_eq!((timers.stale_entries(), timers.armed_count()), (0, 0));
        }
        assert_eq!(timers.next_deadline(), None);
    });
}
