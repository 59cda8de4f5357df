//! Readiness of descriptors. `polling` owns the operating system's object and registers with it; on Linux we wait on
//! that object ourselves (one system call instead of five a wait, see `direct.rs`), elsewhere through `polling`.

#[cfg(all(target_os = "linux", not(feature = "portable-wait")))]
mod direct;
#[cfg(all(target_os = "linux", not(feature = "portable-wait")))]
use direct as wait;
#[cfg(any(not(target_os = "linux"), feature = "portable-wait"))]
mod portable;
#[cfg(any(not(target_os = "linux"), feature = "portable-wait"))]
use portable as wait;

#[cfg(target_os = "linux")]
mod raw;
mod waker;

pub use wait::ReadyList;
pub use waker::Waker;

use super::Fd;
use crate::base::error::{Error, Result};
use crate::base::interest::{self, Mode, Readiness};
use polling::{Event, PollMode};
use std::os::fd::{AsRawFd, BorrowedFd};

/// The key under which the waker reports; no id has operation 14.
pub const WAKE_KEY: u64 = 14 << 60;

/// One descriptor that is ready.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The key it was registered with.
    pub key: u64,
    /// What it is ready for.
    pub readiness: Readiness,
}

/// How a descriptor shall be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Reported with every event.
    pub key: u64,
    /// What to wait for, not 0.
    pub interest: u32,
    /// When to report.
    pub mode: Mode,
    /// Leave urgent data out although reading is asked for (`polling` includes it).
    pub without_urgent: bool,
}

/// The operating system's poller object.
pub struct Poller {
    inner: polling::Poller,
}

impl Poller {
    /// A new one.
    pub fn new() -> Result<Poller> {
        Ok(Poller { inner: polling::Poller::new()? })
    }

    /// Whether this platform offers the mode.
    pub fn supports(&self, mode: Mode) -> bool {
        match mode {
            Mode::Level => self.inner.supports_level(),
            Mode::Edge => self.inner.supports_edge(),
            Mode::Oneshot => true,
        }
    }

    /// Registers a descriptor.
    ///
    /// # Errors
    /// The operating system's: EEXIST, EBADF, EPERM for a regular file, ENOMEM, ENOSPC.
    pub fn add(&self, fd: Fd, how: Registration) -> Result<()> {
        check_number(fd)?;
        if let Some(done) = self.raw_control(RawControl::Add, fd, how) {
            return done;
        }
        // SAFETY: `fd` is a number of the caller's; a wrong one is an error of the call. The registration is removed
        // before any descriptor of ours is closed, and one that the program closes itself leaves by itself.
        let added = unsafe { self.inner.add_with_mode(fd, event(how), mode(how.mode)) };
        added.map_err(Error::from)
    }

    /// Changes a registration.
    ///
    /// # Errors
    /// The operating system's: ENOENT, EBADF.
    pub fn modify(&self, fd: Fd, how: Registration) -> Result<()> {
        check_number(fd)?;
        if let Some(done) = self.raw_control(RawControl::Modify, fd, how) {
            return done;
        }
        // SAFETY: not -1 (checked); the call only passes the number on.
        let source = unsafe { BorrowedFd::borrow_raw(fd) };
        self.inner.modify_with_mode(source, event(how), mode(how.mode)).map_err(Error::from)
    }

    /// Removes a registration.
    ///
    /// # Errors
    /// The operating system's: ENOENT, EBADF.
    pub fn delete(&self, fd: Fd) -> Result<()> {
        check_number(fd)?;
        // SAFETY: not -1 (checked); the call only passes the number on.
        let source = unsafe { BorrowedFd::borrow_raw(fd) };
        self.inner.delete(source).map_err(Error::from)
    }

    /// The descriptor of the object itself: readable while anything is ready.
    pub fn fd(&self) -> Fd {
        self.inner.as_raw_fd()
    }

    /// Waits: at most `timeout_ns` (-1: for ever), until something is ready or the waker is written to.
    ///
    /// # Errors
    /// EINTR when a signal handler ran (direct wait only); others are failures of the object.
    pub fn wait(&self, list: &mut ReadyList, timeout_ns: i64) -> Result<()> {
        super::count_wait();
        wait::wait(&self.inner, list, timeout_ns)
    }

    /// What `polling` cannot say goes to the object directly.
    #[cfg(target_os = "linux")]
    fn raw_control(&self, control: RawControl, fd: Fd, how: Registration) -> Option<Result<()>> {
        let beyond = interest::PRIORITY | interest::HANGUP;
        if how.interest & beyond == 0 && !how.without_urgent && how.interest != 0 {
            return None;
        }
        Some(raw::control(self.fd(), control, fd, how))
    }

    #[cfg(not(target_os = "linux"))]
    fn raw_control(&self, _control: RawControl, _fd: Fd, _how: Registration) -> Option<Result<()>> {
        None
    }

    /// In a forked child: takes the place of the inherited object, under which the parent goes on undisturbed. Dropping
    /// the old one would deregister descriptors from the object that is shared with the parent; so first its number is
    /// made to mean another object.
    #[cfg(target_os = "linux")]
    pub fn leave_to_parent(self) {
        if let Ok(stranger) = polling::Poller::new() {
            // SAFETY: both numbers are ours; dup3 closes the child's copy of the shared object and nothing else.
            unsafe { libc::dup3(stranger.as_raw_fd(), self.fd(), libc::O_CLOEXEC) };
        }
    }

    /// In a forked child: a kqueue is not inherited, so there is nothing to leave.
    #[cfg(not(target_os = "linux"))]
    pub fn leave_to_parent(self) {}
}

/// Which change to make directly.
#[derive(Clone, Copy)]
pub(crate) enum RawControl {
    Add,
    Modify,
}

/// Numbers that are not descriptors must not reach types for which they are invalid.
fn check_number(fd: Fd) -> Result<()> {
    if fd < 0 { Err(Error::BAD_FD) } else { Ok(()) }
}

fn event(how: Registration) -> Event {
    let readable = how.interest & (interest::READ | interest::HANGUP) != 0;
    Event::new(how.key as usize, readable, how.interest & interest::WRITE != 0)
}

fn mode(mode: Mode) -> PollMode {
    match mode {
        Mode::Level => PollMode::Level,
        Mode::Edge => PollMode::Edge,
        Mode::Oneshot => PollMode::Oneshot,
    }
}
