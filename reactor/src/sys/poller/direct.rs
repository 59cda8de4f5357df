//! The direct wait of Linux: `epoll_pwait2` (nanoseconds), or `epoll_wait` where the kernel is older than 5.11.
//!
//! `polling`'s own wait costs five system calls (timerfd_settime, epoll_ctl, epoll_wait, a read of its eventfd,
//! epoll_ctl). Its eventfd and timerfd are in the set, but never report, because we never use them.

use super::{Ready, raw};
use crate::base::error::{Error, Result};
use crate::sys::errno;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

/// What one wait found.
pub struct ReadyList {
    events: Vec<libc::epoll_event>,
}

impl ReadyList {
    /// Room for that many events a wait (at least 1).
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`].
    pub fn with_capacity(capacity: usize) -> Result<ReadyList> {
        let mut events = Vec::new();
        events.try_reserve_exact(capacity.max(1))?;
        Ok(ReadyList { events })
    }

    /// How many were found.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether none was found.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.events.clear();
    }

    /// One of those found, in the kernel's order.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Ready> {
        self.events.get(index).map(raw::ready)
    }
}

static OLD_KERNEL: AtomicBool = AtomicBool::new(false);

pub(super) fn wait(poller: &polling::Poller, list: &mut ReadyList, timeout_ns: i64) -> Result<()> {
    list.events.clear();
    let room = i32::try_from(list.events.capacity()).unwrap_or(i32::MAX);
    let epoll = poller.as_raw_fd();
    let mut found = -1;
    // Now and for ever need no nanoseconds, and the older call is the cheaper one.
    let exact = timeout_ns > 0 && !OLD_KERNEL.load(Ordering::Relaxed);
    if exact {
        found = pwait2(epoll, &mut list.events, room, timeout_ns);
        // Some sandboxes answer EPERM for calls that they do not know.
        if found < 0 && [libc::ENOSYS, libc::EPERM].contains(&errno()) {
            OLD_KERNEL.store(true, Ordering::Relaxed);
        }
    }
    if !exact || OLD_KERNEL.load(Ordering::Relaxed) {
        // SAFETY: the buffer has room for `room` events.
        found = unsafe { libc::epoll_wait(epoll, list.events.as_mut_ptr(), room, milliseconds(timeout_ns)) };
    }
    if found < 0 {
        return Err(Error::os(errno()));
    }
    // SAFETY: the kernel wrote `found` events, at most `room`.
    unsafe { list.events.set_len(found as usize) };
    Ok(())
}

fn pwait2(epoll: i32, events: &mut Vec<libc::epoll_event>, room: i32, timeout_ns: i64) -> i32 {
    let timeout = libc::timespec { tv_sec: timeout_ns / 1_000_000_000, tv_nsec: timeout_ns % 1_000_000_000 };
    let timeout = if timeout_ns < 0 { std::ptr::null() } else { &raw const timeout };
    let no_mask = std::ptr::null::<libc::sigset_t>();
    // SAFETY: the buffer has room for `room` events; the timeout lives through the call; no signal mask is given.
    let found =
        unsafe { libc::syscall(libc::SYS_epoll_pwait2, epoll, events.as_mut_ptr(), room, timeout, no_mask, 0usize) };
    found as i32
}

/// Rounded up, so that a wait never ends before its time; capped below 2^31.
pub(super) fn milliseconds(timeout_ns: i64) -> i32 {
    if timeout_ns < 0 {
        return -1;
    }
    let rounded = timeout_ns / 1_000_000 + i64::from(timeout_ns % 1_000_000 != 0);
    i32::try_from(rounded).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn h31_sub_millisecond_waits_round_up_not_to_a_busy_zero() {
        // mutation: divide without rounding up.
        assert_eq!(milliseconds(1), 1);
        assert_eq!(milliseconds(999_999), 1);
        assert_eq!(milliseconds(1_000_000), 1);
        assert_eq!(milliseconds(1_000_001), 2);
        assert_eq!(milliseconds(0), 0);
        assert_eq!(milliseconds(-1), -1);
    }

    #[test]
    fn h54_huge_waits_are_capped() {
        // mutation: cast instead of try_from.
        assert_eq!(milliseconds(i64::MAX), i32::MAX);
    }
}
