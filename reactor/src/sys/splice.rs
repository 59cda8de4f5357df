//! Moving bytes from stream to stream inside the kernel (Linux), through a pipe that both ends are ours.

use super::Fd;
use super::socket::{check, own};
use super::stream::without_sigpipe;
use crate::base::error::Result;
use std::os::fd::{AsRawFd, OwnedFd};

/// The most that one splice moves: what a pipe holds by default.
pub const SPLICE_SIZE: usize = 65_536;

/// See the module.
pub struct SplicePipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl SplicePipe {
    /// An empty pipe that does not block.
    ///
    /// # Errors
    /// The system's: EMFILE; [`Error::NOT_SUPPORTED`](crate::Error::NOT_SUPPORTED) elsewhere than on Linux.
    #[cfg(target_os = "linux")]
    pub fn new() -> Result<SplicePipe> {
        let mut ends = [-1; 2];
        // SAFETY: room for two numbers.
        check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) })?;
        Ok(SplicePipe { read: own(ends[0])?, write: own(ends[1])? })
    }

    /// Elsewhere there is nothing like it.
    ///
    /// # Errors
    /// [`Error::NOT_SUPPORTED`](crate::Error::NOT_SUPPORTED).
    #[cfg(not(target_os = "linux"))]
    pub fn new() -> Result<SplicePipe> {
        Err(crate::Error::NOT_SUPPORTED)
    }

    /// The end to read what could not be moved on.
    pub fn rest(&self) -> Fd {
        self.read.as_raw_fd()
    }

    /// Moves what is there into the pipe; 0 is the end.
    ///
    /// # Errors
    /// The system's: EAGAIN, ECONNRESET, EINVAL for what cannot be moved.
    pub fn take(&self, from: Fd) -> Result<usize> {
        splice(from, self.write.as_raw_fd(), SPLICE_SIZE)
    }

    /// Moves so much of the pipe on, as far as the stream takes it.
    ///
    /// # Errors
    /// The system's: EAGAIN, EPIPE, ECONNRESET.
    pub fn pass_on(&self, to: Fd, count: usize) -> Result<usize> {
        without_sigpipe(count, || splice(self.read.as_raw_fd(), to, count))
    }
}

#[cfg(target_os = "linux")]
fn splice(from: Fd, to: Fd, count: usize) -> Result<usize> {
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    loop {
        // SAFETY: no offsets are given; the numbers are only looked up.
        let moved = unsafe { libc::splice(from, std::ptr::null_mut(), to, std::ptr::null_mut(), count, flags) };
        match check(moved.signum() as i32) {
            Err(error) if error.code() == -libc::EINTR => {}
            checked => return checked.map(|_| moved as usize),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn splice(_from: Fd, _to: Fd, _count: usize) -> Result<usize> {
    Err(crate::Error::NOT_SUPPORTED)
}
