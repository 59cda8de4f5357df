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
    shares: [Share; 2],
    timer: TimerKey,
}

/// What each of several may have at once, so that the first does not take it all.
#[derive(Clone, Copy)]
struct Share {
    bytes: u64,
    until_ns: i64,
}

const ALL: Share = Share { bytes: u64::MAX, until_ns: 0 };

/// When there is less than this for each of those who wait, only the first of them go on: smaller pieces cost more than they
/// carry.
const SMALLEST_SHARE: u64 = 512;

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
                let rate = Rate {
                    buckets: buckets(config, now_ns),
                    waiting: [Vec::new(), Vec::new()],
                    shares: [ALL, ALL],
                    timer,
                };
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
        let rate = core.rate(id)?;
        (rate.buckets, rate.shares) = (buckets(config, now_ns), [ALL, ALL]);
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
        self.rate_mut(id).map_or(u64::MAX, |rate| {
            let Share { bytes, until_ns } = rate.shares[way as usize];
            rate.buckets[way as usize].available_of(now_ns, if now_ns < until_ns { bytes } else { u64::MAX })
        })
    }

    pub(super) fn rate_take(&mut self, id: Id, way: Way, bytes: u64) {
        if let Some(rate) = self.rate_mut(id) {
            rate.buckets[way as usize].take(bytes);
        }
    }

    /// Lets a connection that does not wait yet wait until the limit lets something pass; whether there is anything to wait
    /// for.
    pub(super) fn rate_wait(&mut self, id: Id, way: Way, conn: Id) -> bool {
        let now_ns = self.now_ns;
        let Some(rate) = self.rate_mut(id) else { return false };
        let waiting = &mut rate.waiting[way as usize];
        if waiting.try_reserve(1).is_err() {
            return false;
        }
        waiting.push(conn);
        let wait_ns = rate.buckets[way as usize].wait_ns(now_ns);
        self.rate_come_by(id, wait_ns);
        true
    }

    /// A connection does not wait any more.
    pub(super) fn rate_forget(&mut self, id: Id, conn: Id) {
        if let Some(rate) = self.rate_mut(id) {
            rate.waiting.iter_mut().for_each(|waiting| waiting.retain(|known| *known != conn));
        }
    }

    /// Comes by again after so long, at the latest.
    fn rate_come_by(&mut self, id: Id, after_ns: i64) {
        let now_ns = self.now_ns;
        let Some(timer) = self.rate_mut(id).map(|rate| rate.timer) else { return };
        let due = now_ns.saturating_add(after_ns);
        if self.timers.deadline_at(timer, now_ns).is_none_or(|known| known > due) {
            self.timers.arm(timer, due);
        }
    }

    /// Something may pass again: those who wait try. Each has its share of what is there, and who was let on goes to the end of
    /// the queue when it waits again, so that all have the same in the end.
    pub(super) fn rate_let_on(&mut self, id: Id) {
        let now_ns = self.now_ns;
        for way in [Way::Read, Way::Write] {
            let Some(rate) = self.rate_mut(id) else { return };
            let (bucket, waiting) = (&mut rate.buckets[way as usize], &mut rate.waiting[way as usize]);
            if waiting.is_empty() {
                continue;
            }
            let wait_ns = bucket.wait_ns(now_ns);
            if wait_ns > 0 {
                self.rate_come_by(id, wait_ns);
                continue;
            }
            let (available, pause_ns) = (bucket.available(now_ns), bucket.pause_ns());
            let most = usize::try_from(available / SMALLEST_SHARE).unwrap_or(usize::MAX);
            let count = most.clamp(1, waiting.len());
            let on: Vec<Id> = waiting.drain(..count).collect();
            let bytes = (available / count as u64).max(1);
            rate.shares[way as usize] = Share { bytes, until_ns: now_ns.saturating_add(pause_ns) };
            if !waiting.is_empty() {
                self.rate_come_by(id, pause_ns);
            }
            for conn in on {
                self.conn_let_on(conn, way);
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
