//! The descriptor that a foreign loop watches: an epoll object around ours, which stays the same when ours is replaced.

use super::{Fd, errno};
use crate::base::error::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// See the module. Where there is no epoll the inner object itself is watched.
pub struct Outer(OwnedFd);

impl Outer {
    /// Around the poller object `inner`.
    #[cfg(target_os = "linux")]
    pub fn new(inner: Fd) -> Result<Outer> {
        let outer = Outer(create()?);
        outer.watch(inner)?;
        Ok(outer)
    }

    /// A second number for the poller object `inner`.
    #[cfg(not(target_os = "linux"))]
    pub fn new(inner: Fd) -> Result<Outer> {
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::fcntl(inner, libc::F_DUPFD_CLOEXEC, 0) };
        if fd < 0 {
            return Err(Error::os(errno()));
        }
        // SAFETY: `fd` was just made and has no other owner.
        Ok(Outer(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The number to watch for reading.
    pub fn fd(&self) -> Fd {
        self.0.as_raw_fd()
    }

    /// Watches another object; the one before has left by being closed.
    #[cfg(target_os = "linux")]
    pub fn watch(&self, inner: Fd) -> Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        // SAFETY: `event` lives through the call; both numbers are ours.
        let result = unsafe { libc::epoll_ctl(self.fd(), libc::EPOLL_CTL_ADD, inner, &mut event) };
        if result < 0 { Err(Error::os(errno())) } else { Ok(()) }
    }

    /// Watches another object.
    #[cfg(not(target_os = "linux"))]
    pub fn watch(&self, inner: Fd) -> Result<()> {
        // SAFETY: both numbers are ours; the one that is replaced is closed.
        if unsafe { libc::dup2(inner, self.fd()) } < 0 { Err(Error::os(errno())) } else { Ok(()) }
    }

    /// In a forked child: the same number, but an object that is not shared with the parent.
    #[cfg(target_os = "linux")]
    pub fn separate_from_parent(&self) -> Result<()> {
        let fresh = create()?;
        // SAFETY: both numbers are ours; the child's copy of the shared object is closed.
        let result = unsafe { libc::dup3(fresh.as_raw_fd(), self.fd(), libc::O_CLOEXEC) };
        if result < 0 { Err(Error::os(errno())) } else { Ok(()) }
    }

    /// In a forked child: nothing is shared.
    #[cfg(not(target_os = "linux"))]
    pub fn separate_from_parent(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn create() -> Result<OwnedFd> {
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if fd < 0 {
        return Err(Error::os(errno()));
    }
    // SAFETY: `fd` was just made and has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
