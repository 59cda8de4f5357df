//! The loop in a forked child.

use super::core::{Release, Slot};
use super::{EventLoop, Sink};
use crate::base::error::{Error, Result};
use crate::sys::poller::{Poller, Waker};
use crate::sys::signal;

impl<S: Sink> EventLoop<S> {
    /// Rebuilds an inherited loop: its handles live on in the child with kernel objects of their own, and the parent's are
    /// left alone. Posts and signals that were on their way at the fork stay with the parent. Inside a callback the run
    /// goes on when it returns.
    ///
    /// # Errors
    /// [`Error::INVALID`] in the process that made the loop, [`Error::PANIC`], the system's (EMFILE): then the loop is
    /// still [`Error::FORKED`] and can be freed.
    pub fn reopen(&self) -> Result<()> {
        if self.poisoned.get() {
            return Err(Error::PANIC);
        }
        if !self.claim.is_forked() {
            return Err(Error::invalid("the loop was not inherited by a fork"));
        }
        let fresh = Poller::new()?;
        let waker = Waker::new()?;
        waker.register(&fresh)?;
        let mut core = self.core.try_borrow_mut().map_err(|_| Error::REENTRANT)?;
        let core = &mut *core;
        if let Some(outer) = &core.outer {
            outer.separate_from_parent()?;
            outer.watch(fresh.fd())?;
        }
        std::mem::replace(&mut core.poller, fresh).leave_to_parent();
        core.waker = waker;
        core.turn.forget_events();
        signal::take_back_after_fork();
        for (signum, id) in &core.signals {
            if let Some(Slot::Signal(watched)) = core.table.get_mut(*id).map(|entry| &mut entry.slot) {
                watched.seen = signal::deliveries(*signum);
            }
        }
        // They are the parent's: their users are given back here without having run.
        let inherited = self.inbox.take_back_after_fork();
        core.releases.extend(inherited.into_iter().map(Release::Post));
        self.inbox.open(self.claim.floor(), self.max_posts);
        self.claim.reopen(core.waker.write_fd(), self.running.get());
        core.rewatch_wall_clock()?;
        core.descriptors.move_to(&core.poller);
        Ok(())
    }
}
