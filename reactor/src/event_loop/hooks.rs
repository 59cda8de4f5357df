//! Prepare, check and idle hooks, deferred calls, and async handles.

use super::core::{Core, HookKind, Slot};
use super::{EventLoop, Sink};
use crate::base::error::{Error, Result};
use crate::base::id::Id;

impl<S: Sink> EventLoop<S> {
    /// A hook, started: it is called in every turn, in the order of starting.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`], [`Error::LIMIT`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn hook_open(&self, kind: HookKind, user: S::User, referenced: bool) -> Result<Id> {
        let mut core = self.core()?;
        core.hooks[kind as usize].try_reserve(1)?;
        let of_this_kind = core.hooks[kind as usize].len() + 1;
        core.turn.reserve(of_this_kind, 0, 0)?;
        let id = core.reserve(user, referenced)?;
        core.entry(id)?.slot = Slot::Hook(kind);
        core.hooks[kind as usize].push(id);
        core.set_active(id, true);
        Ok(id)
    }

    /// Starts a stopped hook, behind the others of its kind; harmless when it is started.
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::NO_MEMORY`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn hook_start(&self, id: Id) -> Result<()> {
        let mut core = self.core()?;
        let kind = core.hook(id)?;
        if !core.hooks[kind as usize].contains(&id) {
            core.hooks[kind as usize].try_reserve(1)?;
            let of_this_kind = core.hooks[kind as usize].len() + 1;
            core.turn.reserve(of_this_kind, 0, 0)?;
            core.hooks[kind as usize].push(id);
        }
        core.set_active(id, true);
        Ok(())
    }

    /// Stops a hook; harmless when it is stopped.
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn hook_stop(&self, id: Id) -> Result<()> {
        let mut core = self.core()?;
        let kind = core.hook(id)?;
        core.hooks[kind as usize].retain(|other| *other != id);
        core.set_active(id, false);
        Ok(())
    }

    /// Calls the post in the next turn.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn defer(&self, post: S::Post) -> Result<()> {
        let mut core = self.core()?;
        core.deferred.try_reserve(1)?;
        core.deferred.push(post);
        Ok(())
    }

    /// A handle to which any thread, and any signal handler, may send (see [`super::async_send`]).
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`], [`Error::LIMIT`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn async_open(&self, user: S::User, referenced: bool) -> Result<Id> {
        let mut core = self.core()?;
        let at_most = core.asyncs_open + 1;
        core.turn.reserve(0, at_most, 0)?;
        let id = core.reserve(user, referenced)?;
        core.asyncs_open = at_most;
        core.entry(id)?.slot = Slot::Async;
        core.asyncs.open(id);
        core.set_active(id, true);
        Ok(id)
    }

    /// Keeps runs going although nothing else does, until as many [`EventLoop::unhold`]s.
    ///
    /// # Errors
    /// [`Error::FORKED`], [`Error::PANIC`].
    pub fn hold(&self) -> Result<()> {
        self.core()?.holds += 1;
        Ok(())
    }

    /// Takes one hold back.
    ///
    /// # Errors
    /// [`Error::INVALID`] when there is none, [`Error::FORKED`], [`Error::PANIC`].
    pub fn unhold(&self) -> Result<()> {
        let mut core = self.core()?;
        core.holds = core.holds.checked_sub(1).ok_or(Error::invalid("the loop is not held"))?;
        Ok(())
    }
}

impl<S: Sink> Core<S> {
    fn hook(&mut self, id: Id) -> Result<HookKind> {
        match self.entry(id)?.slot {
            Slot::Hook(kind) => Ok(kind),
            _ => Err(Error::KIND),
        }
    }
}
