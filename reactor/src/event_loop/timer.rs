//! Timers.

use super::core::{Core, Slot, TimerSlot};
use super::turn::WALL_KEY;
use super::{EventLoop, Sink};
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::base::interest::{Mode, READ};
use crate::sys::clock::WallWatch;
use crate::sys::poller::Registration;

impl<S: Sink> EventLoop<S> {
    /// A timer that is not started yet.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`], [`Error::LIMIT`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn timer_open(&self, user: S::User, referenced: bool) -> Result<Id> {
        let mut core = self.core()?;
        let id = core.reserve(user, referenced)?;
        match core.timers.create(id.raw()) {
            Ok(key) => {
                core.entry(id)?.slot = Slot::Timer(TimerSlot { key, wall: false, repeats: false, again_ns: -1 });
                Ok(id)
            }
            Err(error) => {
                core.unreserve(id);
                Err(error.into())
            }
        }
    }

    /// Starts it, or starts it anew: first after `delay_ns` from now, then, if `repeat_ns` is above 0, at every multiple of
    /// that after the first.
    ///
    /// # Errors
    /// [`Error::INVALID`] for negative times, [`Error::KIND`], [`Error::STALE`], [`Error::NO_MEMORY`], [`Error::FORKED`],
    /// [`Error::PANIC`].
    pub fn timer_start(&self, id: Id, delay_ns: i64, repeat_ns: i64) -> Result<()> {
        if delay_ns < 0 || repeat_ns < 0 {
            return Err(Error::invalid("a delay or repeat is negative"));
        }
        let mut core = self.core()?;
        core.timer_use_clock(id, false)?;
        let deadline = core.clock.monotonic_ns().saturating_add(delay_ns);
        core.timer_arm(id, deadline, delay_ns, repeat_ns)
    }

    /// Starts it for a reading of the monotonic clock, or with `wall` of the wall clock: then it follows when that is set.
    ///
    /// # Errors
    /// [`Error::INVALID`] for a negative repeat, [`Error::KIND`], [`Error::STALE`], [`Error::NO_MEMORY`],
    /// [`Error::FORKED`], [`Error::PANIC`], the system's.
    pub fn timer_start_at(&self, id: Id, wall: bool, deadline_ns: i64, repeat_ns: i64) -> Result<()> {
        if repeat_ns < 0 {
            return Err(Error::invalid("a repeat is negative"));
        }
        let mut core = self.core()?;
        core.timer_use_clock(id, wall)?;
        core.timer_arm(id, deadline_ns, -1, repeat_ns)
    }

    /// Stops it; harmless when it is stopped.
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn timer_stop(&self, id: Id) -> Result<()> {
        let mut core = self.core()?;
        let timer = core.timer(id)?;
        let (key, wall) = (timer.key, timer.wall);
        core.timers_of(wall).cancel(key);
        core.set_active(id, false);
        Ok(())
    }

    /// Counts its repeat, or its delay if it has none, anew from the next reading of the clock. O(1), the cheapest way to
    /// push a timeout back.
    ///
    /// # Errors
    /// [`Error::INVALID`] when it has neither, [`Error::NOT_SUPPORTED`] on the wall clock, [`Error::KIND`],
    /// [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn timer_restart(&self, id: Id) -> Result<()> {
        let mut core = self.core()?;
        let core = &mut *core;
        let entry = core.entry(id)?;
        let Slot::Timer(timer) = &entry.slot else { return Err(Error::KIND) };
        if timer.wall {
            return Err(Error::NOT_SUPPORTED.because("a timer of the wall clock has no delay to count anew"));
        }
        let delay_ns = timer.again_ns;
        if delay_ns < 0 {
            return Err(Error::invalid("the timer was never started with a delay"));
        }
        let key = timer.key;
        core.timers.push_back(key, delay_ns);
        core.set_active(id, true);
        Ok(())
    }

    /// How long until it is due: 0 when it is, -1 when it is stopped.
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn timer_remaining_ns(&self, id: Id) -> Result<i64> {
        let mut core = self.core()?;
        let (deadline, now) = core.timer_deadline(id)?;
        Ok(deadline.map_or(-1, |deadline| deadline.saturating_sub(now).max(0)))
    }
}

impl<S: Sink> Core<S> {
    fn timer(&mut self, id: Id) -> Result<&mut TimerSlot> {
        match &mut self.entry(id)?.slot {
            Slot::Timer(timer) => Ok(timer),
            _ => Err(Error::KIND),
        }
    }

    /// Its deadline, and what its clock shows.
    pub(super) fn timer_deadline(&mut self, id: Id) -> Result<(Option<i64>, i64)> {
        let timer = self.timer(id)?;
        let (key, wall) = (timer.key, timer.wall);
        let now = if wall { self.clock.wall_ns() } else { self.clock.monotonic_ns() };
        Ok((self.timers_of(wall).deadline_at(key, now), now))
    }

    fn timer_arm(&mut self, id: Id, deadline: i64, delay_ns: i64, repeat_ns: i64) -> Result<()> {
        let timer = self.timer(id)?;
        timer.repeats = repeat_ns > 0;
        timer.again_ns = if timer.repeats { repeat_ns } else { delay_ns };
        let (key, wall) = (timer.key, timer.wall);
        self.timers_of(wall).arm(key, deadline);
        self.set_active(id, true);
        Ok(())
    }

    /// Each clock has its own queue.
    fn timer_use_clock(&mut self, id: Id, wall: bool) -> Result<()> {
        let timer = self.timer(id)?;
        if timer.wall == wall {
            return Ok(());
        }
        let old = timer.key;
        if wall {
            self.watch_wall_clock()?;
        }
        let key = self.timers_of(wall).create(id.raw())?;
        self.timers_of(!wall).destroy(old);
        let timer = self.timer(id)?;
        (timer.key, timer.wall) = (key, wall);
        Ok(())
    }

    /// Makes the wait end when somebody sets the clock.
    fn watch_wall_clock(&mut self) -> Result<()> {
        if self.wall_watch.is_some() {
            return Ok(());
        }
        let watch = WallWatch::new()?;
        self.poller.add(watch.fd(), wall_registration())?;
        self.wall_watch = Some(watch);
        Ok(())
    }
}

/// How a watch of the wall clock is registered.
pub(super) fn wall_registration() -> Registration {
    Registration { key: WALL_KEY, interest: READ, mode: Mode::Level, without_urgent: false }
}
