//! Signals. Several watchers and several loops may watch one; each is told of every delivery.

use super::core::{SignalSlot, Slot};
use super::{EventLoop, Sink};
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::sys::signal;

impl<S: Sink> EventLoop<S> {
    /// Watches a signal, process-wide; the program's own disposition rests until the last watcher is closed.
    ///
    /// # Errors
    /// [`Error::INVALID`] for a number outside 1 to 64, [`Error::NO_MEMORY`], [`Error::LIMIT`], [`Error::FORKED`],
    /// [`Error::PANIC`], the system's (EINVAL for SIGKILL and SIGSTOP).
    pub fn signal_open(&self, signum: i32, user: S::User, referenced: bool) -> Result<Id> {
        if !(1..=signal::MAX_SIGNAL).contains(&signum) {
            return Err(Error::invalid("signal numbers go from 1 to 64"));
        }
        let mut core = self.core()?;
        core.signals.try_reserve(1)?;
        let watchers = core.signals.len() + 1;
        core.turn.reserve(0, 0, watchers)?;
        let id = core.reserve(user, referenced)?;
        if !core.signals.iter().any(|(other, _)| *other == signum) {
            if let Err(error) = signal::subscribe(core.id.tag(), signum) {
                core.unreserve(id);
                return Err(error);
            }
        }
        core.signals.push((signum, id));
        core.entry(id)?.slot = Slot::Signal(SignalSlot { signum, seen: signal::deliveries(signum) });
        core.set_active(id, true);
        Ok(id)
    }
}
