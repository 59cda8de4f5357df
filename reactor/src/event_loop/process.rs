//! Processes: one event when it has ended, and the handle closes.

use super::core::{Core, Slot, Told};
use super::limits::MAX_STDIO;
use super::owned::Owned;
use super::{Event, EventLoop, Sink};
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::base::interest::READ;
use crate::sys::process::{self, Command, Process, Spawned};
use crate::sys::signal::MAX_SIGNAL;
use std::os::fd::OwnedFd;

pub(super) struct ProcessSlot {
    pub(super) owned: Owned,
    pub(super) process: Process,
    /// This process's ends of pipes and sockets that were not taken yet.
    ends: Vec<Option<OwnedFd>>,
    kill_on_close: bool,
    /// Its end was told.
    over: bool,
}

impl<S: Sink> EventLoop<S> {
    /// Starts a program. When it has ended the handle gets [`Event::Exit`] and closes. Closed before, it goes on, or is
    /// killed, and is reaped in either case.
    ///
    /// # Errors
    /// As [`process::spawn`], and [`Error::INVALID`] for no arguments or more than 1,024 descriptors, [`Error::LIMIT`], [`Error::FORKED`], [`Error::PANIC`]; ENOSPC when the poller takes no
    /// more descriptors, and then a program that had been started is killed.
    pub fn process_open(
        &self, command: &Command<'_>, kill_on_close: bool, user: S::User, referenced: bool,
    ) -> Result<Id> {
        if command.stdio.len() > MAX_STDIO {
            return Err(Error::invalid("more than 1,024 descriptors"));
        }
        if command.argv.is_empty() {
            return Err(Error::invalid("a program has at least its name as an argument"));
        }
        let mut core = self.core()?;
        let id = core.reserve(user, referenced)?;
        let spawned = process::spawn(command);
        let opened = spawned.and_then(|spawned| core.process_insert(id, spawned, kill_on_close));
        if opened.is_err() {
            core.unreserve(id);
        }
        opened.map(|()| id)
    }

    /// Watches any process. The event says how it has ended if it is a child of this process, which is left to be reaped by
    /// whoever has started it.
    ///
    /// # Errors
    /// As [`process::watch`], and [`Error::INVALID`] for a number that is none, [`Error::NO_MEMORY`], [`Error::LIMIT`],
    /// [`Error::FORKED`], [`Error::PANIC`].
    pub fn process_watch(&self, pid: i32, user: S::User, referenced: bool) -> Result<Id> {
        if pid <= 0 {
            return Err(Error::invalid("not the number of a process"));
        }
        let mut core = self.core()?;
        let id = core.reserve(user, referenced)?;
        let watched = process::watch(pid).map(|(process, fd)| Spawned { process, fd, ends: Vec::new() });
        let opened = watched.and_then(|watched| core.process_insert(id, watched, false));
        if opened.is_err() {
            core.unreserve(id);
        }
        opened.map(|()| id)
    }

    /// Sends a signal to the process, and to no other (0: looks whether it is there).
    ///
    /// # Errors
    /// [`Error::INVALID`] for a number outside 0 to 64, [`Error::NOT_FOUND`] when it is gone, the system's (EPERM);
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], also for a process of the parent's, [`Error::PANIC`].
    pub fn process_kill(&self, id: Id, signum: i32) -> Result<()> {
        let mut core = self.core()?;
        let slot = core.process(id)?;
        if !(0..=MAX_SIGNAL).contains(&signum) {
            return Err(Error::invalid("signal numbers go from 0 to 64"));
        }
        if slot.process.is_inherited() {
            return Err(Error::FORKED.because("the process is one of the parent's"));
        }
        slot.process.kill(slot.owned.fd(), signum)
    }

    /// Its number.
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn process_pid(&self, id: Id) -> Result<i32> {
        Ok(self.core()?.process(id)?.process.pid())
    }

    /// This process's end of a pipe or socket that was made for the child's descriptor `index`. It is the caller's from
    /// then on; those that nobody takes are closed with the handle.
    ///
    /// # Errors
    /// [`Error::INVALID`] for a number beyond those that were asked for, [`Error::NOT_FOUND`] when it was nothing with an
    /// end here, or was taken; [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn process_take_stdio(&self, id: Id, index: usize) -> Result<OwnedFd> {
        let mut core = self.core()?;
        let end = core.process(id)?.ends.get_mut(index).ok_or(Error::invalid("no such descriptor was asked for"))?;
        end.take().ok_or(Error::NOT_FOUND.because("it is not a pipe or socket, or was taken"))
    }
}

impl<S: Sink> Core<S> {
    fn process_insert(&mut self, id: Id, spawned: Spawned, kill_on_close: bool) -> Result<()> {
        let Spawned { process, fd, ends } = spawned;
        match self.own(id, fd, READ) {
            Ok(owned) => {
                let slot = ProcessSlot { owned, process, ends, kill_on_close, over: false };
                self.entry(id)?.slot = Slot::Process(Box::new(slot));
                self.set_active(id, true);
                Ok(())
            }
            Err(error) => {
                process.end_now();
                Err(error)
            }
        }
    }

    fn process(&mut self, id: Id) -> Result<&mut ProcessSlot> {
        match &mut self.entry(id)?.slot {
            Slot::Process(slot) => Ok(slot),
            _ => Err(Error::KIND),
        }
    }

    pub(super) fn process_close(&mut self, id: Id, slot: ProcessSlot) {
        let fd = self.release_owned(id, slot.owned);
        if !slot.over {
            slot.process.leave(fd, slot.kill_on_close);
        }
    }

    /// Its descriptor says that it has ended.
    pub(super) fn process_ready(&mut self, id: Id) -> Option<(Id, S::User, Told)> {
        let slot = self.process(id).ok()?;
        let exit = slot.process.exit(slot.owned.fd())?;
        slot.over = !slot.process.is_inherited();
        self.set_active(id, false);
        let user = self.user(id)?;
        self.stats.events += 1;
        Some((id, user, Told::Last(Event::Exit { status: exit.status, code: exit.code, signal: exit.signal })))
    }
}
