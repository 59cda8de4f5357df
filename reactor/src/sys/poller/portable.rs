//! The wait through `polling`, for kqueue and IOCP (and on Linux for tests). It returns early on no signal: `polling`
//! goes on waiting after EINTR.

use super::Ready;
use crate::base::error::Result;
use crate::base::interest::{self, Readiness};
use std::num::NonZeroUsize;
use std::time::Duration;

/// What one wait found.
pub struct ReadyList {
    events: polling::Events,
    ready: Vec<Ready>,
}

impl ReadyList {
    /// Room for that many events a wait (at least 1).
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`](crate::base::error::Error::NO_MEMORY).
    pub fn with_capacity(capacity: usize) -> Result<ReadyList> {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        let mut ready = Vec::new();
        ready.try_reserve_exact(capacity.get())?;
        Ok(ReadyList { events: polling::Events::with_capacity(capacity), ready })
    }

    /// How many were found.
    pub fn len(&self) -> usize {
        self.ready.len()
    }

    /// Whether none was found.
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.ready.clear();
    }

    /// One of those found, in the system's order.
    pub fn get(&self, index: usize) -> Option<Ready> {
        self.ready.get(index).copied()
    }
}

pub(super) fn wait(poller: &polling::Poller, list: &mut ReadyList, timeout_ns: i64) -> Result<()> {
    list.events.clear();
    list.ready.clear();
    // kqueue refuses timeouts of centuries: a day is enough, the caller looks again.
    const DAY_NS: i64 = 86_400_000_000_000;
    let timeout = (timeout_ns >= 0).then(|| Duration::from_nanos(timeout_ns.min(DAY_NS) as u64));
    poller.wait(&mut list.events, timeout)?;
    for event in list.events.iter() {
        let mut bits = 0;
        let pairs = [
            (event.readable, interest::READ),
            (event.writable, interest::WRITE),
            (event.is_priority(), interest::PRIORITY),
            (event.is_interrupt(), interest::HANGUP),
            (event.is_err() == Some(true), interest::ERROR),
        ];
        for (said, bit) in pairs {
            if said {
                bits |= bit;
            }
        }
        list.ready.push(Ready { key: event.key as u64, readiness: Readiness { bits, half_closed: false } });
    }
    Ok(())
}
