//! Timers of one loop: nanoseconds, exact order, never early.
//!
//! Near timers are in a heap (`front`), all others in a wheel (`wheel`); a timer has at most one entry
//! in all, so cancelling leaves nothing behind and memory is settled when a timer is created. Moving
//! a deadline to a later time leaves the entry where it is: when it surfaces too early it is filed
//! again. That makes pushing back an idle timeout a matter of writing its node.
//!
//! The structure never reads a clock. Time comes in through [`Timers::resolve`] and
//! [`Timers::begin_expiry`], and may stand still or go backwards.
#![forbid(unsafe_code)]

mod front;
mod node;
mod room;
mod wheel;

use front::Front;
use node::{At, Node, Place, State};
use room::{reserve_seldom_used, reserve_total};
use std::num::NonZeroU32;
use wheel::{CHUNK, Chunk, Detached, Earliest, Scan, Wheel, granule};

/// Index of a timer; owned by whoever created it, until it is destroyed.
///
/// It carries no generation: a key kept beyond [`Timers::destroy`] may name a later timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimerKey(NonZeroU32);

impl TimerKey {
    /// One more than the index, so that an optional key takes no more room than a key.
    fn of(index: u32) -> TimerKey {
        TimerKey(NonZeroU32::MIN.saturating_add(index))
    }

    #[inline]
    fn index(self) -> u32 {
        self.0.get() - 1
    }
}

/// Memory for one more timer could not be had. Nothing was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoMemory;

/// A timer whose time has come; it is stopped when it is handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    /// The timer.
    pub key: TimerKey,
    /// What it was created with.
    pub owner: u64,
    /// The deadline it was armed with, in ns; at or before the pass's time.
    pub deadline: i64,
}

/// Up to this many entries the first bucket is searched for its earliest deadline where it lies. A
/// larger one is split first, which raises the horizon ahead of the clock: worth it only where many
/// timers wait anyway, since what is armed before the horizon then goes to the heap.
const SCAN_LIMIT: u32 = 64;

/// A key has 32 bits, a place 30 bits of position, some of which chunk headers use up.
const MAX_TIMERS: usize = 1 << 28;

const NO_FREE: u64 = u64::MAX;

/// Everything armed with an earlier order and due at `now` belongs to the pass.
#[derive(Clone, Copy)]
struct Pass {
    now: i64,
    order_limit: u64,
}

/// The timers of one loop. See the module's description; all times are in ns on one clock of the
/// caller's, over the whole range of `i64`.
pub struct Timers {
    nodes: Vec<Node>,
    /// By index, as `nodes`.
    states: Vec<State>,
    /// Unused nodes, linked by their owners.
    first_free: u64,
    front: Front,
    wheel: Wheel,
    /// The wheel's earliest deadline and its timer, as last found. No entry of the wheel is earlier;
    /// the timer itself may since have gone.
    wheel_first: Option<(i64, u32)>,
    /// Timers marked since the last reading, and some that no longer are.
    listed: Vec<u32>,
    /// By place in that list: what to add to the next reading. Apart from the nodes, so that pushing back a million timers
    /// touches little memory.
    delays: Vec<i64>,
    marked: usize,
    armed: usize,
    next_order: u64,
    pass: Option<Pass>,
    /// Due timers which the current pass must leave alone.
    aside: Vec<u32>,
}

#[cfg(test)]
impl Timers {
    /// What a timer that waits for long has written: its node, its state, its place in the wheel.
    pub(crate) const BYTES: usize = size_of::<node::Node>() + size_of::<node::State>() + size_of::<u32>();
}

impl Default for Timers {
    fn default() -> Timers {
        Timers::new()
    }
}

impl Timers {
    /// An empty set of timers. Allocates nothing.
    pub const fn new() -> Timers {
        Timers {
            nodes: Vec::new(),
            states: Vec::new(),
            first_free: NO_FREE,
            front: Front::new(),
            wheel: Wheel::new(),
            wheel_first: None,
            listed: Vec::new(),
            delays: Vec::new(),
            marked: 0,
            armed: 0,
            next_order: 0,
            pass: None,
            aside: Vec::new(),
        }
    }

    /// Creates a stopped timer that carries `owner`, a value of the caller's.
    ///
    /// All memory that later operations on it may need is obtained here; none of them allocates.
    ///
    /// # Errors
    /// [`NoMemory`] when the allocator refuses, or at 2^28 timers.
    pub fn create(&mut self, owner: u64) -> Result<TimerKey, NoMemory> {
        if self.first_free == NO_FREE {
            return self.extend(owner);
        }
        let index = self.first_free as u32;
        self.first_free = std::mem::replace(&mut self.nodes[index as usize].owner, owner);
        self.states[index as usize].set_live(true);
        Ok(TimerKey::of(index))
    }

    fn extend(&mut self, owner: u64) -> Result<TimerKey, NoMemory> {
        let index = self.nodes.len();
        if index >= MAX_TIMERS {
            return Err(NoMemory);
        }
        let timers = index + 1;
        reserve_total(&mut self.nodes, timers)?;
        reserve_total(&mut self.states, timers)?;
        reserve_seldom_used(&mut self.listed, timers)?;
        reserve_seldom_used(&mut self.delays, timers)?;
        reserve_seldom_used(&mut self.aside, timers)?;
        self.front.reserve(timers)?;
        self.wheel.reserve(timers)?;
        let mut state = State::FREE;
        state.set_live(true);
        self.nodes.push(Node { owner, ..Node::default() });
        self.states.push(state);
        Ok(TimerKey::of(index as u32))
    }

    /// Cancels a timer and gives its key back. Harmless when repeated before the next `create`.
    pub fn destroy(&mut self, key: TimerKey) {
        self.cancel(key);
        let state = &mut self.states[key.index() as usize];
        if state.is_live() {
            state.set_live(false);
            self.nodes[key.index() as usize].owner = self.first_free;
            self.first_free = u64::from(key.index());
        }
    }

    /// Arms a timer, or arms it anew, at an absolute `deadline`; any value is valid, one in the past
    /// is due at once. It takes a new place in the arming order.
    #[inline]
    pub fn arm(&mut self, key: TimerKey, deadline: i64) {
        let order = self.take_order();
        let state = &mut self.states[key.index() as usize];
        if !state.is_live() {
            return;
        }
        if !state.is_armed() {
            self.armed += 1;
        }
        if state.is_marked() {
            state.set_marked(false);
            self.marked -= 1;
        }
        self.nodes[key.index() as usize].order = order;
        self.set_deadline(key.index(), deadline);
    }

    /// Pushes a timer back: at the next [`resolve`](Timers::resolve) its deadline becomes that
    /// reading plus `delay`, clamped to the range of `i64`. It takes its place in the arming order at
    /// that reading, among others in the order in which they were first marked for it. A stopped
    /// timer is armed by it. O(1), touches its state only, and the list of those that wait for a reading.
    #[inline]
    pub fn push_back(&mut self, key: TimerKey, delay: i64) {
        let state = &mut self.states[key.index() as usize];
        if !state.is_live() {
            return;
        }
        match state.listed_at() {
            Some(at) => self.delays[at] = delay,
            None => {
                debug_assert!(self.listed.len() < self.nodes.len(), "a timer is listed once");
                state.set_listed_at(self.listed.len());
                self.listed.push(key.index());
                self.delays.push(delay);
            }
        }
        if !state.is_marked() {
            self.armed += usize::from(!state.is_armed());
            self.marked += 1;
            state.set_marked(true);
        }
    }

    /// A reading of the clock: gives all marked timers their deadlines. Belongs before
    /// [`next_deadline`](Timers::next_deadline) and [`begin_expiry`](Timers::begin_expiry) of the
    /// same reading; a timer that is still marked then takes no part in them.
    pub fn resolve(&mut self, now: i64) {
        self.follow_clock(now);
        for at in 0..self.listed.len() {
            let index = self.listed[at];
            let state = &mut self.states[index as usize];
            state.set_unlisted();
            if state.is_marked() {
                state.set_marked(false);
                let deadline = now.saturating_add(self.delays[at]);
                // It counts from this reading, and so does its place in the arming order.
                let order = self.take_order();
                self.nodes[index as usize].order = order;
                self.set_deadline(index, deadline);
            }
        }
        self.listed.clear();
        self.delays.clear();
        self.marked = 0;
    }

    /// Whether a timer waits for [`resolve`](Timers::resolve), which is needless otherwise.
    #[inline]
    pub fn has_marked(&self) -> bool {
        self.marked != 0
    }

    /// Stops a timer; harmless when it is stopped.
    #[inline]
    pub fn cancel(&mut self, key: TimerKey) {
        let state = &mut self.states[key.index() as usize];
        if !state.is_armed() {
            return;
        }
        self.armed -= 1;
        if state.is_marked() {
            state.set_marked(false);
            self.marked -= 1;
        }
        self.unlink(key.index());
    }

    /// Whether a timer is armed; a marked one is.
    #[inline]
    pub fn is_armed(&self, key: TimerKey) -> bool {
        self.states[key.index() as usize].is_armed()
    }

    /// The deadline of a timer, `None` when it is stopped. For a marked one it is what a
    /// [`resolve`](Timers::resolve) at `now` would give it.
    pub fn deadline_at(&self, key: TimerKey, now: i64) -> Option<i64> {
        let node = &self.nodes[key.index() as usize];
        let state = &self.states[key.index() as usize];
        if let Some(at) = state.listed_at().filter(|_| state.is_marked()) {
            return Some(now.saturating_add(self.delays[at]));
        }
        state.is_armed().then_some(node.deadline)
    }

    /// How many timers are armed, marked ones included.
    #[inline]
    pub fn armed_count(&self) -> usize {
        self.armed
    }

    /// Queue entries without an armed timer. Removal is immediate, so this is what the structure's
    /// own counts say and 0 unless they are wrong; O(timers), for tests.
    pub fn stale_entries(&self) -> usize {
        let queued = self.front.len() + self.wheel.len() + self.aside.len();
        let placed = self.states.iter().filter(|state| state.place != Place::NOWHERE).count();
        queued.abs_diff(placed)
    }

    /// The earliest deadline of all, exact once marked timers are resolved; one that is still marked
    /// may make the answer too early.
    pub fn next_deadline(&mut self) -> Option<i64> {
        self.restore_aside();
        loop {
            if self.settle_top() {
                return self.front.top().map(|top| top.deadline);
            }
            if let Some(deadline) = self.known_wheel_first() {
                return Some(deadline);
            }
            let first = self.wheel.earliest()?;
            if first.count > SCAN_LIMIT {
                self.open(first);
                continue;
            }
            match self.wheel.scan(&self.nodes, first) {
                Scan::Exact(index) => {
                    self.wheel_first = Some((self.nodes[index as usize].deadline, index));
                }
                Scan::Outdated => {
                    let entries = self.wheel.detach(first);
                    self.file_all(entries);
                }
            }
        }
    }

    /// Begins an expiry pass: what was armed before this call with a deadline at or before `now` is
    /// due in it, what is armed or armed anew later is not. A pass under way is ended.
    pub fn begin_expiry(&mut self, now: i64) {
        self.restore_aside();
        self.follow_clock(now);
        self.pass = Some(Pass { now, order_limit: self.next_order });
    }

    /// The pass's next due timer by deadline, then arming order; `None` ends the pass.
    ///
    /// Anything may be done to any timer between two calls: one that is cancelled or armed anew is
    /// skipped.
    pub fn pop_due(&mut self) -> Option<Due> {
        let pass = self.pass?;
        loop {
            if !self.settle_top() {
                if self.open_due(granule(pass.now)) {
                    continue;
                }
                break;
            }
            let Some(top) = self.front.top().filter(|top| top.deadline <= pass.now) else { break };
            self.front.remove(&mut self.states, 0);
            if top.order < pass.order_limit {
                return Some(self.expire(top.index));
            }
            self.states[top.index as usize].place = Place::aside(self.aside.len());
            self.aside.push(top.index);
        }
        self.restore_aside();
        self.pass = None;
        None
    }

    fn expire(&mut self, index: u32) -> Due {
        self.states[index as usize].place = Place::NOWHERE;
        self.armed -= 1;
        let node = &self.nodes[index as usize];
        Due { key: TimerKey::of(index), owner: node.owner, deadline: node.deadline }
    }

    /// Keeps the horizon at the clock, so that new timers are filed as near to their bucket of
    /// opening as can be.
    #[inline]
    fn follow_clock(&mut self, now: i64) {
        let unused = self.front.is_empty() && self.aside.is_empty();
        self.wheel.raise_horizon(granule(now), unused);
    }

    #[inline]
    fn take_order(&mut self) -> u64 {
        let order = self.next_order;
        self.next_order += 1;
        order
    }

    /// Gives a timer its deadline. A queued entry stays where it is unless it would surface too late.
    #[inline]
    fn set_deadline(&mut self, index: u32, deadline: i64) {
        let node = &mut self.nodes[index as usize];
        let earlier = deadline < node.deadline;
        node.deadline = deadline;
        match self.states[index as usize].place.at() {
            At::Nowhere => self.file(index),
            At::Wheel(_) | At::Front(_) if earlier => {
                self.unlink(index);
                self.file(index);
            }
            _ => {}
        }
    }

    /// Queues a timer that has no entry.
    #[inline]
    fn file(&mut self, index: u32) {
        self.file_at(index, self.nodes[index as usize].deadline);
    }

    /// As `file`, with the deadline already at hand.
    #[inline]
    fn file_at(&mut self, index: u32, deadline: i64) {
        if !self.wheel.is_beyond(deadline) {
            self.front.push(&mut self.states, &self.nodes[index as usize], index);
            return;
        }
        let place = self.wheel.insert(deadline, index);
        self.states[index as usize].place = place;
        if self.wheel_first.is_some_and(|(first, _)| deadline < first) {
            self.wheel_first = Some((deadline, index));
        }
    }

    /// Takes a timer's entry out of whatever queue holds it.
    #[inline]
    fn unlink(&mut self, index: u32) {
        match std::mem::replace(&mut self.states[index as usize].place, Place::NOWHERE).at() {
            At::Wheel(position) => self.wheel.remove(&mut self.states, position),
            At::Front(at) => self.front.remove(&mut self.states, at),
            At::Aside(at) => {
                self.aside.swap_remove(at);
                if let Some(&moved) = self.aside.get(at) {
                    self.states[moved as usize].place = Place::aside(at);
                }
            }
            At::Nowhere => {}
        }
    }

    fn restore_aside(&mut self) {
        while let Some(index) = self.aside.pop() {
            self.file(index);
        }
    }

    /// Makes the heap's top entry a true one; false when the heap is empty.
    #[inline]
    fn settle_top(&mut self) -> bool {
        while let Some(top) = self.front.top() {
            let node = &self.nodes[top.index as usize];
            let marked = self.states[top.index as usize].is_marked();
            if !marked && (node.deadline, node.order) == (top.deadline, top.order) {
                return true;
            }
            self.front.remove(&mut self.states, 0);
            self.states[top.index as usize].place = Place::NOWHERE;
            if !marked {
                self.file(top.index);
            }
        }
        false
    }

    fn known_wheel_first(&self) -> Option<i64> {
        let (deadline, index) = self.wheel_first?;
        let queued = self.states[index as usize].place.in_wheel();
        (queued && self.nodes[index as usize].deadline == deadline).then_some(deadline)
    }

    /// Opens the first bucket if it begins at or before granule `limit`.
    fn open_due(&mut self, limit: u64) -> bool {
        match self.wheel.earliest() {
            Some(first) if first.start <= limit => {
                self.open(first);
                true
            }
            _ => false,
        }
    }

    fn open(&mut self, first: Earliest) {
        let entries = self.wheel.open(first);
        self.file_all(entries);
    }

    fn file_all(&mut self, mut entries: Detached) {
        let mut room = Chunk::BLANK;
        let mut deadlines = [0; CHUNK];
        while let Some(indices) = self.wheel.next_entries(&mut entries, &mut room) {
            // The nodes lie anywhere in memory. Reading them all before any is filed lets the
            // processor wait for many at a time, instead of for each before a branch on it.
            for (deadline, &index) in deadlines.iter_mut().zip(indices) {
                *deadline = self.nodes[index as usize].deadline;
            }
            for (&deadline, &index) in deadlines.iter().zip(indices) {
                self.file_at(index, deadline);
            }
        }
    }
}
