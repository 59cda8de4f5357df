//! Finds the group behind an id, in a forked child too.
//!
//! A thread of the parent that was looking a group up at the fork has left the lock of its place shut in the child for ever.
//! So a place says without its lock which process it belongs to, and where the group is that a child may free.

use super::Group;
use crate::registry;
use crate::types::tg_group;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use tidegate_reactor::base::id::TAGS;
use tidegate_reactor::sys::lock::Lock;
use tidegate_reactor::sys::{annotate, fork};
use tidegate_reactor::{Error, Id, Result};

/// One tag's.
struct Place {
    /// The process whose threads may take the lock, by [`fork::epoch`]: that of the last group here.
    epoch: AtomicU64,
    group: Lock<Option<Arc<Group>>>,
    /// The same group, for a forked child. Set only while the group is live.
    inherited: AtomicPtr<Group>,
}

static PLACES: [Place; TAGS] = [const { Place::new() }; TAGS];

impl Place {
    const fn new() -> Place {
        Place { epoch: AtomicU64::new(0), group: Lock::new(None), inherited: AtomicPtr::new(null_mut()) }
    }

    /// The owner of the tag makes its place one of this process.
    fn own(&self) {
        annotate::atomic_memory(&raw const self.epoch as usize, size_of::<AtomicU64>());
        annotate::atomic_memory(&raw const self.inherited as usize, size_of::<AtomicPtr<Group>>());
        if self.is_forked() {
            // No thread of this process has taken the lock: `find` has turned all away.
            self.group.recover_after_fork(|| None);
            self.epoch.store(fork::epoch(), Ordering::Release);
        }
    }

    fn is_forked(&self) -> bool {
        self.epoch.load(Ordering::Acquire) != fork::epoch()
    }
}

fn place(id: Id) -> &'static Place {
    &PLACES[id.tag() as usize]
}

/// Puts a new group under its id.
pub(super) fn put(group: Group) {
    let (id, group) = (group.claim.id(), Arc::new(group));
    let place = place(id);
    place.own();
    place.inherited.store(Arc::as_ptr(&group).cast_mut(), Ordering::Release);
    *place.group.lock() = Some(group);
    registry::set_group(id, id.generation());
}

/// The group of that id; it stays valid for the caller when another thread frees it.
///
/// # Errors
/// [`Error::STALE`], [`Error::KIND`] for a live loop or poller, or a handle of the calling thread, [`Error::FORKED`].
pub(super) fn find(raw: tg_group) -> Result<Arc<Group>> {
    let id = Id::from_raw(raw);
    registry::check_group(id)?;
    let place = place(id);
    if place.is_forked() {
        return Err(Error::FORKED);
    }
    // Looked at again: it may have been freed, and the tag given to another one.
    place.group.lock().as_ref().filter(|group| group.claim.id() == id).cloned().ok_or(Error::STALE)
}

/// Takes a group of this process out.
///
/// # Errors
/// [`Error::STALE`] when another thread has.
pub(super) fn take(id: Id) -> Result<()> {
    let place = place(id);
    // Held to the end: its tag is not free before the place is empty.
    let _mine = place.group.lock().take_if(|group| group.claim.id() == id).ok_or(Error::STALE)?;
    place.inherited.store(null_mut(), Ordering::Release);
    registry::set_group(id, 0);
    Ok(())
}

/// In a forked child: takes the parent's group out, if `check` allows it. What it consists of is never freed, for threads that
/// exist only in the parent may have had it in hand; nor is its tag, so that nobody ever waits for the lock.
///
/// # Errors
/// Those of `check`; [`Error::STALE`] when another thread has taken it, in the parent before the fork or in the child.
pub(super) fn take_inherited(id: Id, check: impl FnOnce(&Group) -> Result<()>) -> Result<&'static Group> {
    let inherited = &place(id).inherited;
    let pointer = inherited.load(Ordering::Acquire);
    // SAFETY: while the pointer was set, the place kept the group alive; the thread that would have dropped it afterwards is
    // the parent's, and no thread of the child drops it.
    let group = unsafe { pointer.as_ref() }.ok_or(Error::STALE)?;
    check(group)?;
    let taken = inherited.compare_exchange(pointer, null_mut(), Ordering::AcqRel, Ordering::Relaxed);
    taken.map_err(|_| Error::STALE)?;
    registry::set_group(id, 0);
    Ok(group)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn h57_a_place_that_was_locked_at_the_fork_takes_a_new_group() {
        // mutation: `own` does not recover the lock.
        static PLACE: Place = Place::new();
        // As a thread of the parent leaves it.
        std::mem::forget(PLACE.group.lock());
        PLACE.own();
        assert!(!PLACE.is_forked());
        let (done, wait) = channel();
        thread::spawn(move || done.send(PLACE.group.lock().is_none()));
        assert_eq!(wait.recv_timeout(Duration::from_secs(60)), Ok(true));
    }
}
