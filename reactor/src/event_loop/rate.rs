//! Rate limits, which connections join: alone, or as a group that shares one.

use super::core::{Core, Slot};
use super::{EventLoop, Sink};
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::base::rate::Bucket;
use crate::base::timers::TimerKey;

/// Bytes a second, and how many may come at once after a pause; 0: no limit, and a second's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateConfig {
    /// Bytes that may be read a second.
    pub read: u64,
    /// Bytes that may be written a second.
    pub write: u64,
    /// Bytes that may be read at once.
    pub read_burst: u64,
    /// Bytes that may be written at once.
    pub write_burst: u64,
}

/// In which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Read,
    Write,
}

/// A rate limit.
pub(super) struct Rate {
    buckets: [Bucket; 2],
    /// Connections that wait for it, in each direction.
    waiting: [Vec<Id>; 2],
    timer: TimerKey,
}

impl<S: Sink> EventLoop<S> {
    /// A rate limit. It never keeps the loop alive, and has no events; its user is only carried.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`], [`Error::LIMIT`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn rate_open(&self, config: RateConfig, user: S::User) -> Result<Id> {
        let mut core = self.core()?;
        let now_ns = core.clock.monotonic_ns();
        let id = core.reserve(user, false)?;
        match core.timers.create(id.raw()) {
            Ok(timer) => {
                let rate = Rate { buckets: buckets(config, now_ns), waiting: [Vec::new(), Vec::new()], timer };
                core.entry(id)?.slot = Slot::Rate(Box::new(rate));
                Ok(id)
            }
            Err(error) => {
                core.unreserve(id);
                Err(error.into())
            }
        }
    }

    /// Changes it; its stores are full.
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn rate_set(&self, id: Id, config: RateConfig) -> Result<()> {
        let mut core = self.core()?;
        let now_ns = core.clock.monotonic_ns();
        core.rate(id)?.buckets = buckets(config, now_ns);
        core.rate_let_on(id);
        Ok(())
    }
}

fn buckets(config: RateConfig, now_ns: i64) -> [Bucket; 2] {
    [Bucket::new(config.read, config.read_burst, now_ns), Bucket::new(config.write, config.write_burst, now_ns)]
}

impl<S: Sink> Core<S> {
    pub(super) fn rate(&mut self, id: Id) -> Result<&mut Rate> {
        match &mut self.entry(id)?.slot {
            Slot::Rate(rate) => Ok(rate),
            _ => Err(Error::KIND),
        }
    }

    fn rate_mut(&mut self, id: Id) -> Option<&mut Rate> {
        match &mut self.table.get_mut(id)?.slot {
            Slot::Rate(rate) => Some(rate),
            _ => None,
        }
    }

    /// How many bytes the limit lets pass now. One that is closed is none.
    pub(super) fn rate_available(&mut self, id: Id, way: Way) -> u64 {
        let now_ns = self.now_ns;
        self.rate_mut(id).map_or(u64::MAX, |rate| rate.buckets[way as usize].available(now_ns))
    }

    pub(super) fn rate_take(&mut self, id: Id, way: Way, bytes: u64) {
        if let Some(rate) = self.rate_mut(id) {
            rate.buckets[way as usize].take(bytes);
        }
    }

    /// Lets a connection wait until the limit lets something pass; whether there is anything to wait for.
    pub(super) fn rate_wait(&mut self, id: Id, way: Way, conn: Id) -> bool {
        let now_ns = self.now_ns;
        let Some(rate) = self.rate_mut(id) else { return false };
        let waiting = &mut rate.waiting[way as usize];
        if !waiting.contains(&conn) {
            if waiting.try_reserve(1).is_err() {
                return false;
            }
            waiting.push(conn);
        }
        let (timer, wait_ns) = (rate.timer, rate.buckets[way as usize].wait_ns(now_ns));
        let due = now_ns.saturating_add(wait_ns);
        if self.timers.deadline_at(timer, now_ns).is_none_or(|known| known > due) {
            self.timers.arm(timer, due);
        }
        true
    }

    /// Something may pass again: those who wait try. Who came first goes last the next time, so that all have their share.
    pub(super) fn rate_let_on(&mut self, id: Id) {
        for way in [Way::Read, Way::Write] {
            let Some(rate) = self.rate_mut(id) else { return };
            let waiting = std::mem::take(&mut rate.waiting[way as usize]);
            for conn in &waiting {
                self.conn_let_on(*conn, way);
            }
        }
    }

    /// Nobody is limited by it any more.
    pub(super) fn rate_dispose(&mut self, rate: Rate) {
        self.timers.destroy(rate.timer);
        for (way, waiting) in [Way::Read, Way::Write].into_iter().zip(rate.waiting) {
            for conn in waiting {
                self.conn_let_on(conn, way);
            }
        }
    }
}
