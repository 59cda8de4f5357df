//! What rate limits and connections have to do with each other.

use super::state::flag;
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::event_loop::core::{Core, Told};
use crate::event_loop::rate::Way;
use crate::event_loop::{Event, EventLoop, Sink};

/// Limits that one connection can obey: its own, and that of a group.
pub(super) const MOST_RATES: usize = 2;

impl<S: Sink> EventLoop<S> {
    /// Lets a connection obey a rate limit from now on, besides another one that it may obey already.
    ///
    /// # Errors
    /// [`Error::EXISTS`] when it obeys it already, [`Error::NO_BUFFERS`] when it obeys two others,
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn conn_join_rate(&self, id: Id, rate: Id) -> Result<()> {
        let mut core = self.core()?;
        let live = core.conn_live_rates(id)?;
        core.rate(rate)?;
        if live.contains(&rate) {
            return Err(Error::EXISTS.because("the connection obeys this limit already"));
        }
        let free = live.iter().position(|known| *known == Id::NONE);
        let free = free.ok_or(Error::NO_BUFFERS.because("a connection obeys at most two limits"))?;
        let extra = core.conn(id)?.extra();
        extra.rates = live;
        extra.rates[free] = rate;
        Ok(())
    }

    /// Lets a connection go without a rate limit.
    ///
    /// # Errors
    /// [`Error::NOT_FOUND`] when it does not obey it, [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`],
    /// [`Error::PANIC`].
    pub fn conn_leave_rate(&self, id: Id, rate: Id) -> Result<()> {
        let mut core = self.core()?;
        let live = core.conn_live_rates(id)?;
        core.rate(rate)?;
        let known = live.iter().position(|known| *known == rate);
        let known = known.ok_or(Error::NOT_FOUND.because("the connection does not obey this limit"))?;
        core.conn(id)?.extra().rates[known] = Id::NONE;
        for rate in live {
            core.rate_forget(rate, id);
        }
        core.conn_let_on(id, Way::Read);
        core.conn_let_on(id, Way::Write);
        Ok(())
    }
}

impl<S: Sink> Core<S> {
    /// The limits that it obeys and that are still there.
    fn conn_live_rates(&mut self, id: Id) -> Result<[Id; MOST_RATES]> {
        let mut rates = self.conn(id)?.rates();
        for rate in &mut rates {
            if self.rate(*rate).is_err() {
                *rate = Id::NONE;
            }
        }
        Ok(rates)
    }

    /// How many bytes may pass now. When none may the connection waits until some may.
    pub(super) fn conn_allowance(&mut self, id: Id, way: Way) -> usize {
        let Some(conn) = self.conn_mut(id) else { return usize::MAX };
        if conn.has(slowed(way)) {
            return 0;
        }
        let rates = conn.rates();
        let mut most = u64::MAX;
        for rate in rates.into_iter().filter(|rate| *rate != Id::NONE) {
            let available = self.rate_available(rate, way);
            if available == 0 && self.rate_wait(rate, way, id) {
                if let Some(conn) = self.conn_mut(id) {
                    conn.flags |= slowed(way);
                }
                self.conn_rewait(id);
                return 0;
            }
            most = most.min(available);
        }
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    pub(super) fn conn_spend(&mut self, id: Id, way: Way, bytes: usize) {
        let rates = self.conn_mut(id).map_or([Id::NONE; MOST_RATES], |conn| conn.rates());
        for rate in rates.into_iter().filter(|rate| *rate != Id::NONE) {
            self.rate_take(rate, way, bytes as u64);
        }
    }

    /// A program that reads by itself is told that it can when it may.
    pub(super) fn conn_tell_readable(&mut self, id: Id) -> Option<(Id, S::User, Told)> {
        if self.conn_mut(id)?.is_limited() && self.conn_allowance(id, Way::Read) == 0 {
            return None;
        }
        self.delivery(id, Event::Readable)
    }

    /// A limit that it waited for lets something pass.
    pub(in crate::event_loop) fn conn_let_on(&mut self, id: Id, way: Way) {
        if let Some(conn) = self.conn_mut(id) {
            conn.flags &= !slowed(way);
            // The peer's time begins when we listen, or it can take something.
            let moved = if matches!(way, Way::Write) { flag::HAS_WRITTEN } else { flag::HAS_READ };
            self.conn_touch(id, moved | flag::REARM);
            self.conn_rewait(id);
        }
    }
}

fn slowed(way: Way) -> u32 {
    match way {
        Way::Read => flag::SLOWED,
        Way::Write => flag::WRITE_SLOWED,
    }
}
