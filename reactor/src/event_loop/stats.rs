//! What a loop tells about itself.

use super::core::SlowHook;
use super::releases::Release;
use super::{EventLoop, Sink};
use crate::base::error::{Error, Result};
use crate::base::id::Id;

/// Counts and times since the loop was made. Times in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Turns begun.
    pub turns: u64,
    /// Events and posts delivered.
    pub events: u64,
    /// Time spent outside the wait, in runs.
    pub busy_ns: i64,
    /// Time spent waiting.
    pub idle_ns: i64,
    /// How late the latest timer of the last turn with timers was.
    pub lag_ns: i64,
    /// The largest lag of all.
    pub max_lag_ns: i64,
    /// The longest callback while a slow-callback hook was set.
    pub longest_callback_ns: i64,
    /// How often the loop asked the system for events.
    pub waits: u64,
    /// Handles open now.
    pub open_handles: u64,
    /// Those that keep the loop alive.
    pub active_handles: u64,
    /// Posts and deferred calls waiting now.
    pub queued_posts: u64,
}

impl<S: Sink> EventLoop<S> {
    /// The counts as they are now.
    ///
    /// # Errors
    /// [`Error::FORKED`], [`Error::PANIC`].
    pub fn stats(&self) -> Result<Stats> {
        let core = self.core()?;
        let queued = self.inbox.len() + core.deferred.len() + core.turn.post_count();
        Ok(Stats {
            open_handles: core.table.len() as u64,
            active_handles: core.active as u64,
            queued_posts: queued as u64,
            ..core.stats
        })
    }

    /// The clock reading of the turn, or of the last one: cheap, and as old as the turn.
    ///
    /// # Errors
    /// [`Error::FORKED`], [`Error::PANIC`].
    pub fn now_ns(&self) -> Result<i64> {
        self.core().map(|core| core.now_ns)
    }

    /// Reports every callback that takes `threshold_ns` or longer, at the price of reading the clock after each. The hook
    /// before, if any, is released; `None` ends it.
    ///
    /// # Errors
    /// [`Error::INVALID`] for a threshold below 1, [`Error::NO_MEMORY`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn set_slow_hook(&self, hook: Option<(i64, S::User)>) -> Result<()> {
        if hook.as_ref().is_some_and(|hook| hook.0 < 1) {
            return Err(Error::invalid("the threshold must be at least 1 ns"));
        }
        let mut core = self.core()?;
        core.reserve_release()?;
        self.slow_after_ns.set(hook.as_ref().map_or(0, |hook| hook.0));
        let fresh = hook.map(|(_, user)| SlowHook { user });
        if let Some(before) = std::mem::replace(&mut core.slow, fresh) {
            core.releases.push(Release::Handle(Id::NONE, before.user));
        }
        Ok(())
    }
}
