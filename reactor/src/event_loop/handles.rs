//! The verbs that every handle has.

use super::core::{Entry, HookKind, REFERENCED, Slot};
use super::jobs::JobKind;
use super::releases::Release;
use super::{EventLoop, Sink};
use crate::base::error::{Error, Result};
use crate::base::id::Id;

/// What kind of handle it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Watches a descriptor.
    Io,
    /// A timer.
    Timer,
    /// Watches a signal.
    Signal,
    /// Can be sent to.
    Async,
    /// A hook of that kind.
    Hook(HookKind),
    /// Something that ends with one event.
    Job(JobKind),
    /// Accepts connections.
    Listener,
    /// A connected stream.
    Conn,
    /// A rate limit.
    Rate,
    /// An open file, or one that is being opened.
    File,
    /// A process.
    Process,
    /// Watches files.
    Watch,
    /// A socket for datagrams.
    Udp,
}

/// A live handle, for those who look for what keeps a loop alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandleInfo {
    /// What it is.
    pub kind: Kind,
    /// Something can still come of it.
    pub active: bool,
    /// It keeps the loop alive while it is active.
    pub referenced: bool,
    /// The descriptor (-1: a file that is not open yet), the signal's number, the timer's deadline (-1: stopped), the
    /// process's number, how many directories are watched; else 0.
    pub value: i64,
    /// What an I/O watcher waits for; else 0.
    pub interest: u32,
}

impl<S: Sink> EventLoop<S> {
    /// Closes a handle: its id is dead when this returns and no further event of it comes. Its user is released at the end
    /// of the turn, or of the next one when none is going on.
    ///
    /// # Errors
    /// [`Error::STALE`](crate::Error::STALE), [`Error::KIND`](crate::Error::KIND) for the loop's own id,
    /// [`Error::FORKED`](crate::Error::FORKED), [`Error::PANIC`](crate::Error::PANIC).
    pub fn close(&self, id: Id) -> Result<()> {
        self.core()?.close(id)
    }

    /// Whether the id is that of an open handle.
    ///
    /// # Errors
    /// [`Error::FORKED`](crate::Error::FORKED), [`Error::PANIC`](crate::Error::PANIC).
    pub fn is_open(&self, id: Id) -> Result<bool> {
        Ok(self.core()?.table.get(id).is_some())
    }

    /// What it carries for its owner.
    ///
    /// # Errors
    /// As [`EventLoop::close`].
    pub fn user(&self, id: Id) -> Result<S::User> {
        self.core()?.entry(id).map(|entry| entry.user.clone())
    }

    /// Gives it something else to carry; `change` makes it from what it carries now, which is released at the end of the
    /// turn.
    ///
    /// # Errors
    /// As [`EventLoop::close`], and [`Error::NO_MEMORY`](crate::Error::NO_MEMORY); [`Error::BUSY`] when a thread may be using
    /// what the handle carries.
    pub fn change_user(&self, id: Id, change: impl FnOnce(&S::User) -> S::User) -> Result<()> {
        let mut core = self.core()?;
        core.entry(id)?;
        if matches!(&core.entry(id)?.slot, Slot::Job(job) if job.uses_user()) {
            return Err(Error::BUSY.because("a thread may be using what is to be released"));
        }
        core.reserve_release()?;
        let entry = core.entry(id)?;
        let fresh = change(&entry.user);
        let before = std::mem::replace(&mut entry.user, fresh);
        core.releases.push(Release::Handle(Id::NONE, before));
        Ok(())
    }

    /// Whether it keeps the loop alive while it is active.
    ///
    /// # Errors
    /// As [`EventLoop::close`].
    pub fn set_referenced(&self, id: Id, referenced: bool) -> Result<()> {
        self.core()?.set_referenced(id, referenced)
    }

    /// What it is and does.
    ///
    /// # Errors
    /// As [`EventLoop::close`].
    pub fn info(&self, id: Id) -> Result<HandleInfo> {
        let mut core = self.core()?;
        let mut info = describe(core.entry(id)?);
        info.active = core.is_active(id);
        info.referenced = core.table.marks(id).is_some_and(|marks| marks & REFERENCED != 0);
        if info.kind == Kind::Timer {
            info.value = core.timer_deadline(id)?.0.unwrap_or(-1);
        }
        Ok(info)
    }

    /// Every open handle, in the order of their slots.
    ///
    /// # Errors
    /// [`Error::FORKED`](crate::Error::FORKED), [`Error::PANIC`](crate::Error::PANIC).
    pub fn for_each_handle(&self, mut see: impl FnMut(Id)) -> Result<usize> {
        let core = self.core()?;
        core.table.iter().for_each(|(id, _)| see(id));
        Ok(core.table.len())
    }

    /// How many connections are open.
    ///
    /// # Errors
    /// [`Error::FORKED`](crate::Error::FORKED), [`Error::PANIC`](crate::Error::PANIC).
    pub fn open_conns(&self) -> Result<usize> {
        Ok(self.core()?.conns.count)
    }

    /// One line a handle: id, kind, what it watches, whether it is active and referenced.
    ///
    /// # Errors
    /// [`Error::FORKED`](crate::Error::FORKED), [`Error::PANIC`](crate::Error::PANIC).
    pub fn dump(&self, out: &mut dyn std::fmt::Write) -> Result<()> {
        let mut ids = Vec::new();
        ids.try_reserve(self.open_handles())?;
        self.for_each_handle(|id| ids.push(id))?;
        for id in ids {
            let info = self.info(id)?;
            let active = if info.active { "active" } else { "stopped" };
            let referenced = if info.referenced { "" } else { ", unreferenced" };
            let subject = match info.kind {
                Kind::Io => format!("io fd {} interest {:#x}", info.value, info.interest),
                Kind::Timer if info.active => format!("timer due {} ns", info.value),
                Kind::Timer => "timer".to_owned(),
                Kind::Signal => format!("signal {}", info.value),
                Kind::Async => "async".to_owned(),
                Kind::Hook(HookKind::Idle) => "idle".to_owned(),
                Kind::Hook(HookKind::Prepare) => "prepare".to_owned(),
                Kind::Hook(HookKind::Check) => "check".to_owned(),
                Kind::Job(JobKind::Work) => "work".to_owned(),
                Kind::Listener => format!("listener fd {}", info.value),
                Kind::Rate => "rate".to_owned(),
                Kind::Conn => format!("conn fd {} interest {:#x}", info.value, info.interest),
                Kind::Job(JobKind::Resolve) => "resolve".to_owned(),
                Kind::Job(JobKind::File) => "file operation".to_owned(),
                Kind::File => format!("file fd {}", info.value),
                Kind::Process => format!("process {}", info.value),
                Kind::Watch => format!("watch of {} directories", info.value),
                Kind::Udp => format!("udp fd {} interest {:#x}", info.value, info.interest),
            };
            // Writing into memory does not fail; another writer may, and then has what it took.
            let _ = writeln!(out, "{id:?} {subject}, {active}{referenced}");
        }
        Ok(())
    }
}

fn describe<U>(entry: &Entry<U>) -> HandleInfo {
    let (kind, value, interest) = match &entry.slot {
        Slot::Io(io) => (Kind::Io, i64::from(io.fd), io.interest.into()),
        Slot::Timer(_) => (Kind::Timer, -1, 0),
        Slot::Signal(watched) => (Kind::Signal, i64::from(watched.signum), 0),
        Slot::Async | Slot::Opening => (Kind::Async, 0, 0),
        Slot::Hook(kind) => (Kind::Hook(*kind), 0, 0),
        Slot::Job(job) => (Kind::Job(job.kind), 0, 0),
        Slot::Listener(listener) => (Kind::Listener, i64::from(listener.owned.fd()), listener.owned.interest()),
        Slot::Rate(_) => (Kind::Rate, 0, 0),
        Slot::Connecting(_) => (Kind::Conn, -1, 0),
        Slot::Conn(conn) => (Kind::Conn, i64::from(conn.owned.fd()), conn.owned.interest()),
        Slot::File(file) => (Kind::File, file.number(), 0),
        Slot::Process(slot) => (Kind::Process, i64::from(slot.process.pid()), 0),
        Slot::Watch(slot) => (Kind::Watch, slot.changes.directories() as i64, 0),
        Slot::Udp(udp) => (Kind::Udp, i64::from(udp.owned.fd()), udp.owned.interest()),
    };
    HandleInfo { kind, active: false, referenced: false, value, interest }
}
