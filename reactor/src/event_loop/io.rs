//! Watching descriptors of the caller's.

use super::core::{Core, IoSlot, IoTimeout, Slot};
use super::{EventLoop, Sink};
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::base::interest::{INTERESTS, Mode};
use crate::sys::Fd;

impl<S: Sink> EventLoop<S> {
    /// Watches a descriptor, which stays the caller's and shall not block. Several watchers on one descriptor share its
    /// registration and its mode. No interest: opened stopped. `timeout_ns` above 0: an event also comes whenever that long
    /// none has.
    ///
    /// # Errors
    /// [`Error::INVALID`], [`Error::BAD_FD`], [`Error::EXISTS`] for another mode than other watchers use,
    /// [`Error::NOT_SUPPORTED`], [`Error::NO_MEMORY`], [`Error::LIMIT`], [`Error::FORKED`], [`Error::PANIC`], the system's.
    pub fn io_open(
        &self, fd: Fd, interest: u32, mode: Mode, timeout_ns: i64, user: S::User, referenced: bool,
    ) -> Result<Id> {
        check_interest(interest)?;
        check_timeout(timeout_ns)?;
        let mut core = self.core()?;
        let id = core.reserve(user, referenced)?;
        let opened = core.io_begin(id, fd, interest, mode, timeout_ns);
        if opened.is_err() {
            core.unreserve(id);
        }
        opened.map(|()| id)
    }

    /// What the watcher waits for from now on; nothing: it is stopped. Several changes in a turn cost the last one.
    ///
    /// # Errors
    /// [`Error::INVALID`], [`Error::BAD_FD`] when the descriptor was found to be closed, [`Error::KIND`], [`Error::STALE`],
    /// [`Error::FORKED`], [`Error::PANIC`].
    pub fn io_set_interest(&self, id: Id, interest: u32) -> Result<()> {
        check_interest(interest)?;
        let mut core = self.core()?;
        let descriptor = core.io(id)?.descriptor;
        core.descriptors.set_interest(descriptor, id, interest)?;
        let io = core.io(id)?;
        io.interest = interest as u8;
        let timeout = io.running_timeout();
        core.set_active(id, interest != 0);
        match timeout {
            Some((timer, _)) if interest == 0 => core.timers.cancel(timer),
            Some((timer, after_ns)) => core.timers.push_back(timer, after_ns),
            None => {}
        }
        Ok(())
    }

    /// What it waits for.
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn io_interest(&self, id: Id) -> Result<u32> {
        self.core()?.io(id).map(|io| io.interest.into())
    }

    /// Which descriptor it watches.
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn io_fd(&self, id: Id) -> Result<Fd> {
        self.core()?.io(id).map(|io| io.fd)
    }

    /// How long without an event makes an event; 0 or -1: no time does. Counts anew from now.
    ///
    /// # Errors
    /// [`Error::INVALID`], [`Error::NO_MEMORY`], [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn io_set_timeout(&self, id: Id, timeout_ns: i64) -> Result<()> {
        check_timeout(timeout_ns)?;
        let mut core = self.core()?;
        let io = core.io(id)?;
        let (known, started) = (io.timer(), io.interest != 0);
        let after_ns = timeout_ns.max(0);
        let timer = match known {
            Some(timer) => timer,
            None if after_ns == 0 => return Ok(()),
            None => core.timers.create(id.raw())?,
        };
        core.io(id)?.timeout = Some(Box::new(IoTimeout { timer, after_ns }));
        if after_ns > 0 && started {
            core.timers.push_back(timer, after_ns);
        } else {
            core.timers.cancel(timer);
        }
        Ok(())
    }
}

impl<S: Sink> Core<S> {
    fn io(&mut self, id: Id) -> Result<&mut IoSlot> {
        match &mut self.entry(id)?.slot {
            Slot::Io(io) => Ok(io),
            _ => Err(Error::KIND),
        }
    }

    /// Whether the loop itself has registered it.
    fn is_own(&self, fd: Fd) -> bool {
        fd == self.waker.write_fd()
            || self.owned.contains(fd)
            || self.wall_watch.as_ref().is_some_and(|watch| fd == watch.fd())
    }

    fn io_begin(&mut self, id: Id, fd: Fd, interest: u32, mode: Mode, timeout_ns: i64) -> Result<()> {
        if self.is_own(fd) {
            return Err(Error::EXISTS.because("the descriptor is one of the loop's own"));
        }
        let timer = if timeout_ns > 0 { Some(self.timers.create(id.raw())?) } else { None };
        let descriptor = match self.descriptors.open(&self.poller, fd, id, interest, mode) {
            Ok(descriptor) => descriptor,
            Err(error) => {
                if let Some(timer) = timer {
                    self.timers.destroy(timer);
                }
                return Err(error);
            }
        };
        if let Some(timer) = timer.filter(|_| interest != 0) {
            self.timers.push_back(timer, timeout_ns);
        }
        let oneshot = mode == Mode::Oneshot;
        let interest = interest as u8;
        let timeout = timer.map(|timer| Box::new(IoTimeout { timer, after_ns: timeout_ns }));
        self.entry(id)?.slot = Slot::Io(IoSlot { fd, descriptor, interest, oneshot, timeout });
        self.set_active(id, interest != 0);
        Ok(())
    }
}

fn check_interest(interest: u32) -> Result<()> {
    if interest & !INTERESTS != 0 { Err(Error::invalid("the interest has unknown bits")) } else { Ok(()) }
}

fn check_timeout(timeout_ns: i64) -> Result<()> {
    if timeout_ns < -1 { Err(Error::invalid("the timeout is below -1")) } else { Ok(()) }
}
