//! The descriptor through which other threads and signal handlers end a wait.
//!
//! On Linux an eventfd, registered edge-triggered and never read: every write is a new edge on the kernels we support,
//! so waking costs one system call and being woken none. Elsewhere a pipe that is emptied.

use super::{Poller, WAKE_KEY};
use crate::base::error::{Error, Result};
use crate::base::interest::{self, Mode};
use crate::sys::{Fd, errno};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// See the module.
pub struct Waker {
    write: OwnedFd,
    #[cfg_attr(target_os = "linux", allow(dead_code))]
    read: Option<OwnedFd>,
}

impl Waker {
    /// A waker that is not registered anywhere yet.
    pub fn new() -> Result<Waker> {
        Waker::open()
    }

    #[cfg(target_os = "linux")]
    fn open() -> Result<Waker> {
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(Error::os(errno()));
        }
        // SAFETY: `fd` was just made and has no other owner.
        Ok(Waker { write: unsafe { OwnedFd::from_raw_fd(fd) }, read: None })
    }

    #[cfg(not(target_os = "linux"))]
    fn open() -> Result<Waker> {
        let mut ends = [-1; 2];
        // SAFETY: room for two numbers.
        if unsafe { libc::pipe(ends.as_mut_ptr()) } < 0 {
            return Err(Error::os(errno()));
        }
        // SAFETY: both were just made and have no other owner.
        let (read, write) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
        for end in ends {
            // SAFETY: numbers of ours; the calls take no pointers.
            unsafe {
                (libc::fcntl(end, libc::F_SETFL, libc::O_NONBLOCK), libc::fcntl(end, libc::F_SETFD, libc::FD_CLOEXEC))
            };
        }
        Ok(Waker { write, read: Some(read) })
    }

    /// Where a wake writes.
    pub fn write_fd(&self) -> Fd {
        self.write.as_raw_fd()
    }

    /// Makes writes end the waits of this poller, which report [`WAKE_KEY`].
    pub fn register(&self, poller: &Poller) -> Result<()> {
        let read = self.read.as_ref().unwrap_or(&self.write);
        let mode = if self.read.is_none() && poller.supports(Mode::Edge) { Mode::Edge } else { Mode::Level };
        poller.add(
            read.as_raw_fd(),
            super::Registration { key: WAKE_KEY, interest: interest::READ, mode, without_urgent: false },
        )
    }

    /// Ends a wait, from any thread. A loop's port does the same by the number alone.
    pub fn ring(&self) {
        crate::sys::port::write_wake(self.write_fd());
    }

    /// Called after [`WAKE_KEY`] was reported.
    pub fn woken(&self) {
        if let Some(read) = &self.read {
            let mut scratch = [0u8; 512];
            // SAFETY: `scratch` has that many bytes; the descriptor does not block.
            while unsafe { libc::read(read.as_raw_fd(), scratch.as_mut_ptr().cast(), scratch.len()) } > 0 {}
        }
    }
}
