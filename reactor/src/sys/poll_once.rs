//! poll(2): waits for a set of descriptors once, without registering anything. No limit on their number or value, and
//! regular files are always ready.

use super::{Fd, errno};
use crate::base::error::{Error, Result};

/// One descriptor: what to wait for and what was found, as poll(2) has it.
#[cfg(unix)]
pub type PollFd = libc::pollfd;

/// An entry for [`poll_once`]; a negative descriptor is passed over.
pub fn entry(fd: Fd, events: i16) -> PollFd {
    libc::pollfd { fd, events, revents: 0 }
}

/// Waits at most `timeout_ns` (-1: for ever); how many entries have something to report.
///
/// # Errors
/// EINTR when a signal handler ran; EINVAL when there are more entries than the process may have descriptors; ENOMEM.
pub fn poll_once(entries: &mut [PollFd], timeout_ns: i64) -> Result<usize> {
    super::count_wait();
    let found = wait(entries, timeout_ns);
    if found < 0 { Err(Error::os(errno())) } else { Ok(found as usize) }
}

#[cfg(target_os = "linux")]
fn wait(entries: &mut [PollFd], timeout_ns: i64) -> i32 {
    let timeout = libc::timespec { tv_sec: timeout_ns / 1_000_000_000, tv_nsec: timeout_ns % 1_000_000_000 };
    let timeout = if timeout_ns < 0 { std::ptr::null() } else { &raw const timeout };
    // SAFETY: the slice is valid for its length; the timeout lives through the call; no signal mask is given.
    unsafe { libc::ppoll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, timeout, std::ptr::null()) }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn wait(entries: &mut [PollFd], timeout_ns: i64) -> i32 {
    // Rounded up, so that the wait never ends before its time.
    let rounded = timeout_ns.saturating_add(999_999) / 1_000_000;
    let milliseconds = if timeout_ns < 0 { -1 } else { i32::try_from(rounded).unwrap_or(i32::MAX) };
    // SAFETY: the slice is valid for its length.
    unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, milliseconds) }
}
