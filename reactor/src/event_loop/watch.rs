//! Changes of files and directories.

use super::core::{Core, Slot, Told};
use super::owned::Owned;
use super::{EventLoop, Sink};
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::base::interest::READ;
use crate::io::changes::Changes;

pub(super) struct WatchSlot {
    pub(super) owned: Owned,
    pub(super) changes: Changes,
}

impl<S: Sink> EventLoop<S> {
    /// Watches a directory (`recursive`: with everything below it) or a file. `file`: the path is that of a file, which need
    /// not be there. The handle gets an [`Event::Change`](super::Event::Change) for each change.
    ///
    /// # Errors
    /// As [`Changes::open`], and [`Error::LIMIT`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn watch_open(&self, path: &[u8], recursive: bool, file: bool, user: S::User, referenced: bool) -> Result<Id> {
        if recursive && file {
            return Err(Error::invalid("a file has nothing below it"));
        }
        let mut core = self.core()?;
        let id = core.reserve(user, referenced)?;
        let opened = Changes::open(path, recursive, file)
            .and_then(|(changes, fd)| Ok(WatchSlot { owned: core.own(id, fd, READ)?, changes }));
        match opened {
            Ok(slot) => {
                core.entry(id)?.slot = Slot::Watch(Box::new(slot));
                core.set_active(id, true);
                Ok(id)
            }
            Err(error) => {
                core.unreserve(id);
                Err(error)
            }
        }
    }
}

impl<S: Sink> Core<S> {
    fn watch(&mut self, id: Id) -> Option<&mut WatchSlot> {
        match &mut self.table.get_mut(id)?.slot {
            Slot::Watch(slot) => Some(slot),
            _ => None,
        }
    }

    pub(super) fn watch_ready(&mut self, id: Id) -> Option<(Id, S::User, Told)> {
        let slot = self.watch(id)?;
        if !slot.changes.has_more() {
            let fd = slot.owned.fd();
            slot.changes.read(fd);
        }
        self.next_change(id)
    }

    /// One change; the others that were read with it follow in the same turn.
    pub(super) fn next_change(&mut self, id: Id) -> Option<(Id, S::User, Told)> {
        let slot = self.watch(id)?;
        let change = slot.changes.pop()?;
        let (more, over) = (slot.changes.has_more(), slot.changes.is_over());
        if more {
            self.turn.more = Some(id);
        } else if over {
            self.owned_want(id, 0);
            self.set_active(id, false);
        }
        let user = self.user(id)?;
        self.stats.events += 1;
        Some((id, user, Told::Change(Box::new(change))))
    }

    /// In a forked child: what the inherited object tells is the parent's.
    pub(super) fn watch_after_fork(&mut self, id: Id) {
        let Some(slot) = self.watch(id) else { return };
        if slot.changes.is_over() {
            return;
        }
        let fresh = slot.changes.begin_anew();
        if let Err(error) = fresh.and_then(|fd| self.replace_owned(id, fd)) {
            if let Some(slot) = self.watch(id) {
                slot.changes.fail(error);
            }
            self.owned_always(id);
        }
    }
}
