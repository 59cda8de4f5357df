//! The loop in a forked child.

use super::core::{Core, Slot};
use super::timer::wall_registration;
use super::{EventLoop, Sink};
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::sys::clock::WallWatch;
use crate::sys::poller::{Poller, Waker};
use crate::sys::shared_file::SharedFile;
use crate::sys::signal;

const INSIDE: Error = Error::BUSY.because("a thread of the parent was inside the loop at the fork");

impl<S: Sink> EventLoop<S> {
    /// Rebuilds an inherited loop: its handles live on in the child with kernel objects of their own, and the parent's are
    /// left alone. Posts, deferred calls and signals that were on their way at the fork stay with the parent; their users
    /// are given back here without having been called. Inside a callback the run goes on when it returns.
    ///
    /// # Errors
    /// [`Error::INVALID`] in the process that made the loop; [`Error::BUSY`] when a thread of the parent that does not exist
    /// here was inside the loop at the fork: it can only be freed; [`Error::NO_MEMORY`], [`Error::PANIC`], the system's
    /// (EMFILE). Then the loop is still [`Error::FORKED`].
    pub fn reopen(&self) -> Result<()> {
        if self.poisoned.get() {
            return Err(Error::PANIC);
        }
        if !self.claim.is_forked() {
            return Err(Error::invalid("the loop was not inherited by a fork"));
        }
        let mut core = self.core.try_borrow_mut().map_err(|_| INSIDE)?;
        let core = &mut *core;
        // Everything that can fail comes before anything is changed.
        let parts = core.fresh_parts()?;
        core.take_parts(parts);
        if !self.is_running() {
            self.runner.set(0);
            core.turn.abandon();
        }
        core.turn.forget_events();
        core.restore_after_fork();
        core.release_posts(self.inbox.take_back_after_fork());
        core.release_undelivered();
        self.inbox.open(self.claim.floor(), self.max_posts);
        self.claim.reopen(core.waker.write_fd(), self.is_running());
        core.descriptors.move_to(&core.poller);
        core.move_owned();
        Ok(())
    }
}

/// The kernel objects of a loop, made but not in use.
struct Parts {
    poller: Poller,
    waker: Waker,
    wall_watch: Option<WallWatch>,
}

impl<S: Sink> Core<S> {
    fn fresh_parts(&self) -> Result<Parts> {
        let (poller, waker) = (Poller::new()?, Waker::new()?);
        waker.register(&poller)?;
        let wall_watch = if self.wall_watch.is_some() { Some(WallWatch::new()?) } else { None };
        if let Some(watch) = &wall_watch {
            poller.add(watch.fd(), wall_registration())?;
        }
        if let Some(outer) = &self.outer {
            outer.separate_from_parent()?;
            outer.watch(poller.fd())?;
        }
        Ok(Parts { poller, waker, wall_watch })
    }

    fn take_parts(&mut self, parts: Parts) {
        std::mem::replace(&mut self.poller, parts.poller).leave_to_parent();
        self.waker = parts.waker;
        self.wall_watch = parts.wall_watch;
    }

    /// Signals and sends that were on their way are the parent's; what a watcher waits for is what it says itself.
    fn restore_after_fork(&mut self) {
        self.asyncs.forget_sends();
        self.udp.forget_received();
        self.conns.begin_anew();
        let over = self.jobs.begin_anew();
        for id in over {
            self.release_handle(id);
        }
        let all: Vec<Id> = self.table.iter().map(|(id, _)| id).collect();
        for id in all {
            match self.table.get_mut(id).map(|entry| &mut entry.slot) {
                Some(Slot::Signal(watched)) => watched.seen = signal::deliveries(watched.signum),
                Some(Slot::Async) => self.asyncs.open(id),
                Some(Slot::Connecting(_)) => self.connect_after_fork(id),
                Some(Slot::Job(job)) => self.jobs.end_inherited(job),
                Some(Slot::File(file)) => {
                    self.jobs.end_inherited(&mut file.job);
                    let fresh = SharedFile::settled(Err(Error::FORKED));
                    let shared = std::mem::replace(&mut file.shared, fresh).after_fork();
                    // One whose opening ends with an error below closes with its handle.
                    file.shared = SharedFile::settled(shared);
                }
                Some(Slot::Udp(_)) => self.udp_begin_anew(id),
                Some(Slot::Io(io)) => {
                    let (descriptor, interest) = (io.descriptor, io.interest.into());
                    // Fails for a descriptor that is known to be lost, whose watcher was or will be told.
                    let _ = self.descriptors.set_interest(descriptor, id, interest);
                }
                Some(Slot::Process(_)) => self.owned_always(id),
                Some(Slot::Watch(_)) => self.watch_after_fork(id),
                _ => {}
            }
        }
    }
}
