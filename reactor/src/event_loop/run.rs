//! Running: one turn after the other until there is a reason to end.

use super::turn::Step;
use super::{EventLoop, Sink};
use crate::base::error::{Error, Result};
use crate::sys::thread;

const RUNNING: Error = Error::REENTRANT.because("the loop is running");

/// While one of these lives the loop is running.
struct Running<'a, S: Sink>(&'a EventLoop<S>);

impl<'a, S: Sink> Running<'a, S> {
    fn begin(event_loop: &'a EventLoop<S>) -> Result<Running<'a, S>> {
        if event_loop.is_running() {
            // A child that was forked inside a callback is told what it is first.
            return Err(event_loop.core().err().filter(|error| error.is(Error::FORKED)).unwrap_or(RUNNING));
        }
        drop(event_loop.core()?);
        event_loop.claim.disarm();
        event_loop.runner.set(thread::token());
        Ok(Running(event_loop))
    }
}

impl<S: Sink> Drop for Running<'_, S> {
    fn drop(&mut self) {
        self.0.runner.set(0);
        if !self.0.claim.is_forked() {
            self.0.claim.arm();
        }
    }
}

impl<S: Sink> EventLoop<S> {
    /// Runs until nothing keeps the loop alive or it is stopped; whether anything was left.
    ///
    /// # Errors
    /// [`Error::REENTRANT`] inside a run, [`Error::FORKED`], [`Error::PANIC`], the system's.
    pub fn run(&self) -> Result<bool> {
        let running = Running::begin(self)?;
        self.core()?.turn.run_begins();
        while self.may_go_on()? {
            running.0.turn(-1)?;
        }
        self.ended()
    }

    /// As [`EventLoop::run`], and does something after each turn.
    ///
    /// # Errors
    /// As [`EventLoop::run`].
    pub fn run_watched(&self, mut after_turn: impl FnMut(&Self)) -> Result<bool> {
        let running = Running::begin(self)?;
        self.core()?.turn.run_begins();
        while self.may_go_on()? {
            running.0.turn(-1)?;
            after_turn(self);
        }
        self.ended()
    }

    /// Runs turns until one has delivered something; whether anything is left. Ends without any when the loop is woken or
    /// stopped. When nothing keeps it alive it runs one turn that does not wait.
    ///
    /// # Errors
    /// As [`EventLoop::run`].
    pub fn run_once(&self) -> Result<bool> {
        let running = Running::begin(self)?;
        let before = self.events_before_run()?;
        while !self.claim.stop_asked() {
            running.0.turn(-1)?;
            let core = self.core()?;
            if core.stats.events != before || core.turn.woken || !core.is_alive() {
                break;
            }
        }
        self.ended()
    }

    /// Runs one turn that does not wait; whether anything is left.
    ///
    /// # Errors
    /// As [`EventLoop::run`].
    pub fn run_nowait(&self) -> Result<bool> {
        let running = Running::begin(self)?;
        self.core()?.turn.run_begins();
        if !self.claim.stop_asked() {
            running.0.turn(0)?;
        }
        self.ended()
    }

    /// Runs until the monotonic clock shows `deadline_ns`, or there is another reason to end; whether anything is left. One
    /// turn is run even when the deadline has passed or nothing keeps the loop alive (then it does not wait).
    ///
    /// # Errors
    /// As [`EventLoop::run`].
    pub fn run_until(&self, deadline_ns: i64) -> Result<bool> {
        let running = Running::begin(self)?;
        self.core()?.turn.run_begins();
        while !self.claim.stop_asked() {
            let rest = deadline_ns.saturating_sub(self.core()?.clock.monotonic_ns()).max(0);
            running.0.turn(rest)?;
            if rest == 0 || !self.is_alive()? {
                break;
            }
        }
        self.ended()
    }

    /// Runs at most one turn that waits at most `longest_wait_ns` (-1: for ever), or what is left of one that was paused for
    /// lack of room. Neither a stop nor the lack of handles keeps it from waiting: it is the caller's loop.
    ///
    /// # Errors
    /// As [`EventLoop::run`].
    pub fn run_turn(&self, longest_wait_ns: i64) -> Result<()> {
        let running = Running::begin(self)?;
        self.core()?.turn.waits_for_nothing = true;
        running.0.turn(longest_wait_ns)
    }

    /// Whether anything keeps the loop alive.
    ///
    /// # Errors
    /// [`Error::FORKED`], [`Error::PANIC`].
    pub fn is_alive(&self) -> Result<bool> {
        Ok(self.core()?.is_alive() || self.inbox.pending())
    }

    /// Takes the request to stop, if there is one.
    pub fn take_stop(&self) -> bool {
        self.claim.take_stop()
    }

    fn events_before_run(&self) -> Result<u64> {
        let mut core = self.core()?;
        core.turn.run_begins();
        Ok(core.stats.events)
    }

    fn may_go_on(&self) -> Result<bool> {
        Ok(!self.claim.stop_asked() && self.is_alive()?)
    }

    fn ended(&self) -> Result<bool> {
        self.claim.take_stop();
        self.core()?.run_ends();
        self.is_alive()
    }

    fn turn(&self, longest_wait_ns: i64) -> Result<()> {
        loop {
            let step = self.core_inline()?.step(&self.claim, self.inbox, &self.sink, longest_wait_ns)?;
            match step {
                Step::Deliver(id, user, told) => {
                    self.dispatch(id, &user, told);
                    drop(user);
                    self.plain_reads()?;
                }
                Step::Found => self.plain_reads()?,
                Step::Post(post) => self.dispatch_post(post),
                Step::Release(release) => self.release(release),
                Step::Pause | Step::End => return Ok(()),
            }
        }
    }
}
