//! Waiting once for a set of descriptors.

use crate::convert::array;
use crate::error::noted;
use crate::types::tg_fd;
use std::ffi::c_int;
use tidegate_reactor::base::interest::{ERROR, HANGUP, INTERESTS, PRIORITY, READ, Readiness, WRITE};
use tidegate_reactor::sys::clock;
use tidegate_reactor::sys::poll_once::{PollFd, entry, poll_once};
use tidegate_reactor::{Error, Result};

/// Flag of tg_poll_once: ends with -EINTR when a signal handler has run, instead of going on.
pub const TG_POLL_INTERRUPTIBLE: u32 = 0x1;
/// Flag of tg_poll_once: `interest` and `ready` are poll(2)'s own masks.
pub const TG_POLL_NATIVE: u32 = 0x2;
/// Only reported by tg_poll_once: the descriptor is not open.
pub const TG_INVALID: u32 = 0x20;

/// One descriptor of a set.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_poll_item {
    /// The descriptor; a negative one is passed over.
    pub fd: tg_fd,
    /// What to wait for: TG_READ … TG_HANGUP. TG_ERROR and TG_HANGUP are reported unasked.
    pub interest: u32,
    /// Written: what it is ready for, and TG_INVALID when it is not open; 0 when nothing.
    pub ready: u32,
}

/// Waits at most `timeout_ns` (-1: for ever) until one of a set of descriptors is ready: select() without its limit, for
/// any number of them and of any value. Nothing is registered and nothing remembered. Regular files are always ready.
///
/// Thread: any.
/// Callable from callbacks: yes, but it keeps the loop from running.
/// Ownership: `items` stays the caller's; only `ready` is written.
/// Returns: how many have something to report; 0 when the time is over.
/// Errors: TG_EINVAL (`items` is NULL although `count` is not 0, a timeout below -1, unknown flags or bits), -EINTR
/// (TG_POLL_INTERRUPTIBLE), -EINVAL (more than the process may have descriptors), TG_ENOMEM, TG_EPANIC.
///
/// # Safety
/// `items` is NULL or has `count` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_poll_once(items: *mut tg_poll_item, count: usize, timeout_ns: i64, flags: u32) -> c_int {
    guard!(tg_poll_once(items, count, timeout_ns, flags), {
        // SAFETY: the caller's promise.
        unsafe { array(items, count) }.and_then(|items| wait(items, timeout_ns, flags))
    })
}

fn wait(items: &mut [tg_poll_item], timeout_ns: i64, flags: u32) -> Result<usize> {
    if flags & !(TG_POLL_INTERRUPTIBLE | TG_POLL_NATIVE) != 0 || timeout_ns < -1 {
        return Err(Error::invalid("unknown flags, or a timeout below -1"));
    }
    let native = flags & TG_POLL_NATIVE != 0;
    let known = if native { u32::from(u16::MAX) } else { INTERESTS };
    if let Some((index, item)) = items.iter().enumerate().find(|(_, item)| item.interest & !known != 0) {
        let error = Error::invalid("an interest has unknown bits");
        return Err(noted(error, format_args!("items[{index}].interest = {:#x}", item.interest)));
    }
    let mut entries: Vec<PollFd> = Vec::new();
    entries.try_reserve_exact(items.len())?;
    let mask = |item: &tg_poll_item| if native { item.interest as u16 as i16 } else { to_native(item.interest) };
    entries.extend(items.iter().map(|item| entry(item.fd, mask(item))));
    let found = wait_until(&mut entries, timeout_ns, flags & TG_POLL_INTERRUPTIBLE != 0)?;
    let mut ready = 0;
    for (item, entry) in items.iter_mut().zip(&entries) {
        item.ready = match native {
            true => u32::from(entry.revents as u16),
            false => from_native(entry.revents, item.interest),
        };
        ready += usize::from(item.ready != 0);
    }
    // With no interest in a direction that is ready there may be fewer than the system counted.
    debug_assert!(ready <= found);
    Ok(ready)
}

fn wait_until(entries: &mut [PollFd], timeout_ns: i64, interruptible: bool) -> Result<usize> {
    let deadline = (timeout_ns >= 0).then(|| clock::monotonic_ns().saturating_add(timeout_ns));
    loop {
        let rest = deadline.map_or(-1, |deadline| deadline.saturating_sub(clock::monotonic_ns()).max(0));
        match poll_once(entries, rest) {
            Err(error) if error.code() == -libc::EINTR && !interruptible => {}
            found => return found,
        }
    }
}

const PAIRS: [(i16, u32); 5] = [
    (libc::POLLIN, READ),
    (libc::POLLPRI, PRIORITY),
    (libc::POLLOUT, WRITE),
    (libc::POLLERR, ERROR),
    (libc::POLLHUP, HANGUP),
];

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const HALF_CLOSED: i16 = libc::POLLRDHUP;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const HALF_CLOSED: i16 = 0;

fn to_native(interest: u32) -> i16 {
    let asked = PAIRS[..3].iter().filter(|(_, bit)| interest & bit != 0).fold(0, |mask, (flag, _)| mask | flag);
    if interest & HANGUP != 0 { asked | HALF_CLOSED } else { asked }
}

fn from_native(events: i16, interest: u32) -> u32 {
    let bits = PAIRS.iter().filter(|(flag, _)| events & flag != 0).fold(0, |bits, (_, bit)| bits | bit);
    let readiness = Readiness { bits, half_closed: events & HALF_CLOSED != 0 };
    let invalid = if events & libc::POLLNVAL != 0 { TG_INVALID } else { 0 };
    let unasked = bits & (ERROR | HANGUP);
    readiness.for_interest(interest) | unasked | invalid
}
