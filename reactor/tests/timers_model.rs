//! The timers against a model that keeps everything in one list and searches it.
//!
//! Seen to fail when a bucket that holds a timer since pushed back is taken for settled, when the heap sifts only one
//! way on removal, when the entry that fills a hole keeps its old place, when an insertion does not lower the known
//! earliest deadline, and when an entry stays where it is although its deadline was moved to an earlier time.

mod limited;

use limited::limited;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tidegate_reactor::base::timers::{TimerKey, Timers};

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Stopped,
    Armed { deadline: i64, order: u64 },
    Marked { delay: i64 },
}

/// What the structure must do, in the plainest way: one state a slot, searched in full.
#[derive(Default)]
struct Model {
    slots: Vec<Option<State>>,
    orders: u64,
}

impl Model {
    fn order(&mut self) -> u64 {
        self.orders += 1;
        self.orders
    }

    fn set(&mut self, slot: usize, state: State) {
        if let Some(old) = &mut self.slots[slot] {
            *old = state;
        }
    }

    fn resolve(&mut self, slot: usize, now: i64) {
        if let Some(State::Marked { delay }) = self.slots[slot] {
            let order = self.order();
            self.slots[slot] = Some(State::Armed { deadline: now.saturating_add(delay), order });
        }
    }

    fn deadlines(&self) -> impl Iterator<Item = (i64, u64, usize)> + '_ {
        self.slots.iter().enumerate().filter_map(|(slot, state)| match *state {
            Some(State::Armed { deadline, order }) => Some((deadline, order, slot)),
            _ => None,
        })
    }

    fn pop_due(&mut self, now: i64, order_limit: u64) -> Option<(i64, usize)> {
        let due = |&(deadline, order, _): &(i64, u64, usize)| deadline <= now && order <= order_limit;
        let (deadline, _, slot) = self.deadlines().filter(due).min()?;
        self.set(slot, State::Stopped);
        Some((deadline, slot))
    }

    fn has_marked(&self) -> bool {
        self.slots.iter().flatten().any(|state| matches!(state, State::Marked { .. }))
    }
}

/// More than two chunks' and one scan's worth, so that buckets of every size occur.
const SLOTS: usize = 160;

/// A deadline relative to the clock, or absolute.
#[derive(Clone, Copy, Debug)]
enum When {
    After(i64),
    At(i64),
}

#[derive(Clone, Debug)]
enum Op {
    Create(usize),
    Destroy(usize),
    Arm(usize, When),
    /// From the first slot on this many, each a step later than the last.
    ArmMany(usize, When, i64),
    PushBack(usize, i64),
    PushBackMany(usize, usize, i64),
    Cancel(usize),
    CancelMany(usize, usize),
    Resolve(i64),
    Next,
    /// The clock moves by so much; between two due timers one of these is done.
    Expire(i64, Vec<Op>),
}

fn spans() -> impl Strategy<Value = i64> {
    prop_oneof![
        3 => Just(0),
        4 => 0..4i64,
        8 => (0..60u32, any::<u64>()).prop_map(|(bits, raw)| (raw & ((1 << bits) - 1)) as i64),
        2 => -1_000_000..0i64,
        1 => prop_oneof![Just(i64::MAX), Just(i64::MIN), Just(1 << 31), Just(-1)],
    ]
}

fn whens() -> impl Strategy<Value = When> {
    prop_oneof![
        8 => spans().prop_map(When::After),
        2 => prop_oneof![Just(0), Just(i64::MAX), Just(i64::MIN), Just(50_000_000), Just(1 << 40)]
            .prop_map(When::At),
        1 => any::<i64>().prop_map(When::At),
    ]
}

fn steps() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), Just(1), Just(70_000), Just(9_000_000), Just(4_000_000_000)]
}

fn simple_ops() -> impl Strategy<Value = Op> {
    let slot = || 0..SLOTS;
    prop_oneof![
        4 => slot().prop_map(Op::Create),
        1 => slot().prop_map(Op::Destroy),
        6 => (slot(), whens()).prop_map(|(slot, when)| Op::Arm(slot, when)),
        2 => (slot(), whens(), steps()).prop_map(|(slot, when, step)| Op::ArmMany(slot, when, step)),
        4 => (slot(), spans()).prop_map(|(slot, delay)| Op::PushBack(slot, delay)),
        1 => (slot(), slot(), spans()).prop_map(|(from, to, delay)| Op::PushBackMany(from, to, delay)),
        3 => slot().prop_map(Op::Cancel),
        1 => (slot(), slot()).prop_map(|(from, to)| Op::CancelMany(from, to)),
        2 => spans().prop_map(Op::Resolve),
        2 => Just(Op::Next),
    ]
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => simple_ops(),
        1 => (spans(), prop::collection::vec(simple_ops(), 0..8))
            .prop_map(|(step, between)| Op::Expire(step, between)),
    ]
}

/// The structure and the model side by side.
#[derive(Default)]
struct Pair {
    timers: Timers,
    keys: Vec<Option<TimerKey>>,
    /// Marked since the last reading.
    listed: Vec<TimerKey>,
    model: Model,
    now: i64,
}

impl Pair {
    fn new() -> Pair {
        let mut pair = Pair::default();
        pair.keys.resize(SLOTS, None);
        pair.model.slots.resize(SLOTS, None);
        (0..SLOTS / 2).for_each(|slot| pair.create(slot));
        pair
    }

    fn create(&mut self, slot: usize) {
        if self.keys[slot].is_none() {
            self.keys[slot] = Some(self.timers.create(slot as u64).unwrap());
            self.model.slots[slot] = Some(State::Stopped);
        }
    }

    fn destroy(&mut self, slot: usize) {
        if let Some(key) = self.keys[slot].take() {
            self.timers.destroy(key);
            self.model.slots[slot] = None;
        }
    }

    fn arm(&mut self, slot: usize, when: When, later: i64) {
        let deadline = match when {
            When::After(span) => self.now.saturating_add(span),
            When::At(deadline) => deadline,
        };
        let deadline = deadline.saturating_add(later);
        if let Some(key) = self.keys[slot] {
            self.timers.arm(key, deadline);
            let order = self.model.order();
            self.model.set(slot, State::Armed { deadline, order });
        }
    }

    fn push_back(&mut self, slot: usize, delay: i64) {
        if let Some(key) = self.keys[slot] {
            self.timers.push_back(key, delay);
            self.model.set(slot, State::Marked { delay });
            if !self.listed.contains(&key) {
                self.listed.push(key);
            }
        }
    }

    fn cancel(&mut self, slot: usize) {
        if let Some(key) = self.keys[slot] {
            self.timers.cancel(key);
            self.model.set(slot, State::Stopped);
        }
    }

    fn resolve(&mut self, step: i64) {
        self.now = self.now.saturating_add(step);
        self.timers.resolve(self.now);
        // Those marked before a reading take their places in the order in which they were first marked.
        for key in std::mem::take(&mut self.listed) {
            if let Some(slot) = self.keys.iter().position(|other| *other == Some(key)) {
                self.model.resolve(slot, self.now);
            }
        }
    }

    fn check_next(&mut self) {
        let next = self.timers.next_deadline();
        let true_next = self.model.deadlines().min().map(|(deadline, ..)| deadline);
        if self.model.has_marked() {
            assert!(next.unwrap_or(i64::MAX) <= true_next.unwrap_or(i64::MAX));
        } else {
            assert_eq!(next, true_next);
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Create(slot) => self.create(slot),
            Op::Destroy(slot) => self.destroy(slot),
            Op::Arm(slot, when) => self.arm(slot, when, 0),
            Op::ArmMany(from, when, step) => {
                (from..SLOTS).for_each(|slot| self.arm(slot, when, step * slot as i64));
            }
            Op::PushBack(slot, delay) => self.push_back(slot, delay),
            Op::PushBackMany(from, to, delay) => {
                (from..to).for_each(|slot| self.push_back(slot, delay));
            }
            Op::Cancel(slot) => self.cancel(slot),
            Op::CancelMany(from, to) => (from..to).for_each(|slot| self.cancel(slot)),
            Op::Resolve(step) => self.resolve(step),
            Op::Next => self.check_next(),
            Op::Expire(step, ref between) => self.expire(step, between),
        }
        self.check();
    }

    fn expire(&mut self, step: i64, between: &[Op]) {
        self.resolve(step);
        let (now, order_limit) = (self.now, self.model.orders);
        self.timers.begin_expiry(now);
        let mut between = between.iter();
        loop {
            let due = self.timers.pop_due();
            let owner_and_deadline = due.map(|due| (due.deadline, due.owner as usize));
            assert_eq!(owner_and_deadline, self.model.pop_due(now, order_limit));
            let Some(due) = due else { break };
            assert_eq!(self.keys[due.owner as usize], Some(due.key));
            if let Some(op) = between.next() {
                self.apply(op);
            }
        }
        assert_eq!(self.timers.pop_due(), None);
    }

    fn check(&self) {
        let mut armed = 0;
        for (key, state) in self.keys.iter().zip(&self.model.slots) {
            let (Some(key), Some(state)) = (*key, *state) else { continue };
            let deadline = match state {
                State::Stopped => None,
                State::Armed { deadline, .. } => Some(deadline),
                State::Marked { delay, .. } => Some(self.now.saturating_add(delay)),
            };
            assert_eq!(self.timers.deadline_at(key, self.now), deadline);
            assert_eq!(self.timers.is_armed(key), deadline.is_some());
            armed += usize::from(deadline.is_some());
        }
        assert_eq!(self.timers.armed_count(), armed);
        assert_eq!(self.timers.has_marked(), self.model.has_marked());
        assert_eq!(self.timers.stale_entries(), 0);
    }
}

#[test]
fn random_operations_match_the_model() {
    limited(|| {
        let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
        let sequences = prop::collection::vec(ops(), 1..120);
        let run = |sequence: Vec<Op>| {
            let mut pair = Pair::new();
            sequence.iter().for_each(|op| pair.apply(op));
            pair.resolve(0);
            pair.check_next();
            Ok(())
        };
        TestRunner::new(config).run(&sequences, run).unwrap();
    });
}
