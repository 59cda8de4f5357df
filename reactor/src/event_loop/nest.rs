//! Nesting the loop in a foreign one: a descriptor to watch, and how long the foreign loop may sleep.

use super::{EventLoop, Sink};
use crate::base::error::Result;
use crate::sys::Fd;
use crate::sys::nest::Outer;

impl<S: Sink> EventLoop<S> {
    /// A descriptor that is readable while the loop has something to do; it stays the same for the loop's life. Watch it,
    /// sleep at most [`EventLoop::timeout_ns`], then [`EventLoop::run_nowait`].
    ///
    /// # Errors
    /// [`Error::FORKED`](crate::Error::FORKED), [`Error::PANIC`](crate::Error::PANIC), the system's (EMFILE).
    pub fn backend_fd(&self) -> Result<Fd> {
        let mut core = self.core()?;
        if core.outer.is_none() {
            core.outer = Some(Outer::new(core.poller.fd())?);
        }
        Ok(core.outer.as_ref().map_or(-1, Outer::fd))
    }

    /// How long may pass until the loop must run, if the backend descriptor stays silent: 0 not at all, -1 for ever. Ask
    /// before each sleep: it also tells the kernel what has changed.
    ///
    /// # Errors
    /// [`Error::FORKED`](crate::Error::FORKED), [`Error::PANIC`](crate::Error::PANIC).
    pub fn timeout_ns(&self) -> Result<i64> {
        let mut core = self.core()?;
        let core = &mut *core;
        core.descriptors.flush(&core.poller);
        core.flush_owned();
        let asked = self.claim.has_signals() || self.claim.wake_asked() || self.claim.stop_asked();
        // A turn that was paused for lack of room has more to deliver.
        if asked
            || core.turn.is_open() && !self.is_running()
            || self.inbox.pending()
            || core.asyncs.pending()
            || core.jobs.pending()
        {
            return Ok(0);
        }
        let now_ns = core.clock.monotonic_ns();
        core.conn_stamp(now_ns);
        Ok(core.time_to_next(now_ns, -1))
    }
}
