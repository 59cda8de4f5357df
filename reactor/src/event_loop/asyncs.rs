//! Async handles: sent from any thread and from signal handlers, without a lock and without memory.
//!
//! Each tag has a tree of slots that is never freed, grown only when a handle is opened, so that a send that comes too late
//! finds a slot whose generation is another, and nothing else. A slot that has been sent to is linked into the tag's list
//! at most once, until the loop takes the whole list.

use crate::base::error::{Error, Result};
use crate::base::id::{Id, TAGS};
use crate::sys::port::port;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Children of a node: three levels of 8 bits are the 24 of an index.
const FAN: usize = 256;

type Leaf = [Slot; FAN];
type Branch = [OnceLock<Box<Leaf>>; FAN];
type Root = [OnceLock<Box<Branch>>; FAN];

struct Slot {
    /// The generation of the open handle (0: none), shifted left by two, and PENDING and QUEUED.
    state: AtomicU64,
    /// The next one in the list, plus 1.
    next: AtomicU32,
}

/// Sent to since it was last delivered.
const PENDING: u64 = 1;
/// Linked into the list.
const QUEUED: u64 = 2;

pub(super) struct Asyncs {
    root: OnceLock<Box<Root>>,
    /// The first one in the list, plus 1.
    head: AtomicU32,
}

static ASYNCS: [Asyncs; TAGS] = [const { Asyncs { root: OnceLock::new(), head: AtomicU32::new(0) } }; TAGS];

pub(super) fn of(tag: u16) -> &'static Asyncs {
    &ASYNCS[tag as usize % TAGS]
}

/// Sends to an async handle: its event comes in the loop's next turn, once for any number of sends until then.
///
/// # Errors
/// [`Error::STALE`] when it is not an open async handle, [`Error::FORKED`].
pub fn send(id: Id) -> Result<()> {
    if id.operation() != 0 {
        return Err(Error::STALE);
    }
    let visit = port(id.tag()).enter_any()?;
    of(id.tag()).send(id)?;
    visit.wake_if_armed();
    Ok(())
}

impl Asyncs {
    fn slot(&self, index: u32) -> Option<&Slot> {
        let [_, high, middle, low] = index.to_be_bytes().map(usize::from);
        Some(&self.root.get()?[high].get()?[middle].get()?[low])
    }

    fn slot_or_grow(&self, index: u32) -> &Slot {
        let [_, high, middle, low] = index.to_be_bytes().map(usize::from);
        let root = self.root.get_or_init(|| Box::new([const { OnceLock::new() }; FAN]));
        let branch = root[high].get_or_init(|| Box::new([const { OnceLock::new() }; FAN]));
        let leaf = branch[middle]
            .get_or_init(|| Box::new([const { Slot { state: AtomicU64::new(0), next: AtomicU32::new(0) } }; FAN]));
        crate::sys::annotate::atomic_memory(&raw const **leaf as usize, size_of::<Leaf>());
        &leaf[low]
    }

    /// Lets sends to the handle in.
    pub(super) fn open(&self, id: Id) {
        let slot = self.slot_or_grow(id.index());
        crate::sys::annotate::atomic_memory(&raw const *self as usize, size_of::<Asyncs>());
        slot.set_generation(id.generation());
    }

    /// From now on sends to it are errors; one that is pending is forgotten.
    pub(super) fn close(&self, id: Id) {
        if let Some(slot) = self.slot(id.index()) {
            slot.set_generation(0);
        }
    }

    fn send(&self, id: Id) -> Result<()> {
        let slot = self.slot(id.index()).ok_or(Error::STALE)?;
        let generation = u64::from(id.generation());
        if generation == 0 {
            return Err(Error::STALE);
        }
        let mut before = slot.state.load(Ordering::SeqCst);
        loop {
            if before >> 2 != generation {
                return Err(Error::STALE);
            }
            if before & PENDING != 0 {
                return Ok(());
            }
            let after = before | PENDING | QUEUED;
            match slot.state.compare_exchange(before, after, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) if before & QUEUED == 0 => break self.link(slot, id.index()),
                Ok(_) => break,
                Err(changed) => before = changed,
            }
        }
        Ok(())
    }

    fn link(&self, slot: &Slot, index: u32) {
        let mut head = self.head.load(Ordering::SeqCst);
        loop {
            slot.next.store(head, Ordering::SeqCst);
            match self.head.compare_exchange(head, index + 1, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return,
                Err(changed) => head = changed,
            }
        }
    }

    /// In a forked child: sends that were on their way are the parent's. Every open handle is opened anew after this.
    pub(super) fn forget_sends(&self) {
        self.head.store(0, Ordering::SeqCst);
        let leaves = self.root.get().into_iter().flat_map(|root| root.iter()).filter_map(OnceLock::get);
        for slot in leaves.flat_map(|branch| branch.iter()).filter_map(OnceLock::get).flat_map(|leaf| leaf.iter()) {
            slot.state.store(0, Ordering::SeqCst);
        }
    }

    /// Whether anything was sent to.
    pub(super) fn pending(&self) -> bool {
        self.head.load(Ordering::SeqCst) != 0
    }

    /// Lists those that were sent to, in the order of their first sends. `tag` is that of the loop.
    pub(super) fn take(&self, tag: u16, into: &mut Vec<Id>) {
        if !self.pending() {
            return;
        }
        let start = into.len();
        let mut next = self.head.swap(0, Ordering::SeqCst);
        while next != 0 {
            let index = next - 1;
            let Some(slot) = self.slot(index) else { break };
            next = slot.next.load(Ordering::SeqCst);
            let state = slot.state.fetch_and(!(PENDING | QUEUED), Ordering::SeqCst);
            if state & PENDING != 0 {
                into.push(Id::new(tag, (state >> 2) as u32, index));
            }
        }
        into[start..].reverse();
    }
}

impl Slot {
    /// Changes the owner; a link in the list stays until the list is taken.
    fn set_generation(&self, generation: u32) {
        let fresh = u64::from(generation) << 2;
        let mut before = self.state.load(Ordering::SeqCst);
        while let Err(changed) =
            self.state.compare_exchange(before, fresh | (before & QUEUED), Ordering::SeqCst, Ordering::SeqCst)
        {
            before = changed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_coalesce_and_keep_the_order_of_the_first() {
        let asyncs = of(1000);
        let (a, b) = (Id::new(1000, 5, 70_000), Id::new(1000, 5, 3));
        asyncs.open(a);
        asyncs.open(b);
        for id in [a, b, a, a] {
            asyncs.send(id).unwrap();
        }
        let mut taken = Vec::new();
        asyncs.take(1000, &mut taken);
        assert_eq!(taken, [a, b]);
        asyncs.take(1000, &mut taken);
        assert_eq!(taken.len(), 2);
    }

    #[test]
    fn h12_a_send_before_the_close_does_not_reach_the_next_owner_of_the_slot() {
        // mutation: set_generation keeps PENDING.
        let asyncs = of(1001);
        let (old, new) = (Id::new(1001, 1, 0), Id::new(1001, 2, 0));
        asyncs.open(old);
        asyncs.send(old).unwrap();
        asyncs.close(old);
        assert_eq!(asyncs.send(old), Err(Error::STALE));
        asyncs.open(new);
        let mut taken = Vec::new();
        asyncs.take(1001, &mut taken);
        assert!(taken.is_empty(), "{taken:?}");
        asyncs.send(new).unwrap();
        asyncs.take(1001, &mut taken);
        assert_eq!(taken, [new]);
    }
}
