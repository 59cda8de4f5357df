//! The front: a 4-ary heap of the timers that are near, in exact (deadline, arming order).
//!
//! Each node knows its index in the heap, so that an entry is removed when its timer is cancelled and
//! nothing stale stays behind. Entries carry their key: comparing does not touch the nodes.

use super::NoMemory;
use super::node::{Node, Place, State};

/// Children per heap node: four entries of 24 bytes are one and a half cache lines, and the heap is
/// half as deep as a binary one.
const ARITY: usize = 4;

#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) deadline: i64,
    pub(super) order: u64,
    pub(super) index: u32,
}

impl Entry {
    #[inline]
    fn before(&self, other: &Entry) -> bool {
        (self.deadline, self.order) < (other.deadline, other.order)
    }
}

#[derive(Default)]
pub(super) struct Front {
    heap: Vec<Entry>,
}

impl Front {
    pub(super) const fn new() -> Front {
        Front { heap: Vec::new() }
    }

    /// Makes room for `timers` entries, so that `push` never allocates.
    pub(super) fn reserve(&mut self, timers: usize) -> Result<(), NoMemory> {
        super::room::reserve_seldom_used(&mut self.heap, timers)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    #[inline]
    pub(super) fn top(&self) -> Option<Entry> {
        self.heap.first().copied()
    }

    #[inline]
    pub(super) fn push(&mut self, states: &mut [State], node: &Node, index: u32) {
        let entry = Entry { deadline: node.deadline, order: node.order, index };
        self.heap.push(entry);
        self.sift_up(states, self.heap.len() - 1, entry);
    }

    /// Takes out the entry at `hole`; its node's place is left for the caller to write.
    pub(super) fn remove(&mut self, states: &mut [State], hole: usize) {
        let Some(last) = self.heap.pop() else { return };
        if hole >= self.heap.len() {
            return;
        }
        if hole > 0 && last.before(&self.heap[(hole - 1) / ARITY]) {
            self.sift_up(states, hole, last);
        } else {
            self.sift_down(states, hole, last);
        }
    }

    #[inline]
    fn settle(&mut self, states: &mut [State], at: usize, entry: Entry) {
        self.heap[at] = entry;
        states[entry.index as usize].place = Place::front(at);
    }

    #[inline]
    fn sift_up(&mut self, states: &mut [State], mut at: usize, entry: Entry) {
        while at > 0 {
            let parent = (at - 1) / ARITY;
            let above = self.heap[parent];
            if !entry.before(&above) {
                break;
            }
            self.settle(states, at, above);
            at = parent;
        }
        self.settle(states, at, entry);
    }

    fn sift_down(&mut self, states: &mut [State], mut at: usize, entry: Entry) {
        while let Some(child) = self.earliest_child(at) {
            let below = self.heap[child];
            if !below.before(&entry) {
                break;
            }
            self.settle(states, at, below);
            at = child;
        }
        self.settle(states, at, entry);
    }

    #[inline]
    fn earliest_child(&self, at: usize) -> Option<usize> {
        let first = at * ARITY + 1;
        let end = (first + ARITY).min(self.heap.len());
        let children = self.heap.get(first..end)?;
        let mut best = 0;
        for (i, child) in children.iter().enumerate().skip(1) {
            if child.before(&children[best]) {
                best = i;
            }
        }
        (!children.is_empty()).then_some(first + best)
    }
}
