//! Linux's own poller object with its own masks: what the epoll-shaped facade needs and `polling` cannot say
//! (adopting a descriptor, EPOLLEXCLUSIVE, every mask, the caller's own 64 bits as data).

use super::{Fd, errno};
use crate::base::error::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// One event in the kernel's terms.
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeEvent {
    /// EPOLL* bits.
    pub events: u32,
    /// What was given at registration.
    pub data: u64,
}

/// An epoll descriptor of our own, made here or adopted.
pub struct NativePoller(OwnedFd);

/// What to do with a registration.
#[derive(Clone, Copy, Debug)]
pub enum Control {
    /// Register.
    Add,
    /// Change.
    Modify,
    /// Remove.
    Remove,
}

impl NativePoller {
    /// A new one.
    pub fn new() -> Result<NativePoller> {
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(Error::os(errno()));
        }
        // SAFETY: `fd` was just made and has no other owner.
        Ok(NativePoller(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Takes over an epoll descriptor of the caller's, who no longer owns it if this succeeds.
    ///
    /// # Errors
    /// [`Error::BAD_FD`] when it is not open.
    pub fn adopt(fd: Fd) -> Result<NativePoller> {
        // SAFETY: takes no pointers; a wrong number is an error of the call.
        if fd < 0 || unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            return Err(Error::BAD_FD);
        }
        // SAFETY: open (just checked), and the caller hands its ownership over.
        Ok(NativePoller(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The descriptor.
    pub fn fd(&self) -> Fd {
        self.0.as_raw_fd()
    }

    /// Registers, changes or removes.
    ///
    /// # Errors
    /// The kernel's.
    pub fn control(&self, control: Control, fd: Fd, event: NativeEvent) -> Result<()> {
        let operation = match control {
            Control::Add => libc::EPOLL_CTL_ADD,
            Control::Modify => libc::EPOLL_CTL_MOD,
            Control::Remove => libc::EPOLL_CTL_DEL,
        };
        let mut event = libc::epoll_event { events: event.events, u64: event.data };
        // SAFETY: `event` lives through the call; both numbers are only looked up by the kernel.
        let result = unsafe { libc::epoll_ctl(self.fd(), operation, fd, &mut event) };
        if result < 0 { Err(Error::os(errno())) } else { Ok(()) }
    }

    /// Waits at most `timeout_ns` (-1: for ever) and tells of at most `room` events, in the kernel's order.
    ///
    /// # Errors
    /// EINTR when a signal handler ran; EBADF, EINVAL when what was adopted is not an epoll descriptor;
    /// [`Error::NO_MEMORY`].
    pub fn wait(&self, room: usize, timeout_ns: i64, mut tell: impl FnMut(NativeEvent)) -> Result<()> {
        super::count_wait();
        let mut raw: Vec<libc::epoll_event> = Vec::new();
        raw.try_reserve_exact(room)?;
        let found = self.wait_raw(&mut raw, room, timeout_ns)?;
        // SAFETY: the kernel wrote `found` events, at most `room`.
        unsafe { raw.set_len(found) };
        for event in raw {
            tell(NativeEvent { events: event.events, data: event.u64 });
        }
        Ok(())
    }

    fn wait_raw(&self, raw: &mut Vec<libc::epoll_event>, room: usize, timeout_ns: i64) -> Result<usize> {
        static OLD_KERNEL: AtomicBool = AtomicBool::new(false);
        if timeout_ns <= 0 || OLD_KERNEL.load(Ordering::Relaxed) {
            return self.wait_milliseconds(raw, room, timeout_ns);
        }
        let timeout = libc::timespec { tv_sec: timeout_ns / 1_000_000_000, tv_nsec: timeout_ns % 1_000_000_000 };
        let no_mask = std::ptr::null::<libc::sigset_t>();
        // SAFETY: the buffer has room for `room` events; the timeout lives through the call; no mask is given.
        let found = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.fd(),
                raw.as_mut_ptr(),
                room as i32,
                &raw const timeout,
                no_mask,
                0usize,
            )
        };
        if found >= 0 {
            return Ok(found as usize);
        }
        // Some sandboxes answer EPERM for calls that they do not know.
        if ![libc::ENOSYS, libc::EPERM].contains(&errno()) {
            return Err(Error::os(errno()));
        }
        OLD_KERNEL.store(true, Ordering::Relaxed);
        self.wait_milliseconds(raw, room, timeout_ns)
    }

    /// Now and for ever need no more than milliseconds, and the older call is the cheaper one.
    fn wait_milliseconds(&self, raw: &mut Vec<libc::epoll_event>, room: usize, timeout_ns: i64) -> Result<usize> {
        let rounded = timeout_ns.saturating_add(999_999) / 1_000_000;
        let milliseconds = if timeout_ns < 0 { -1 } else { i32::try_from(rounded).unwrap_or(i32::MAX) };
        // SAFETY: as above.
        let found = unsafe { libc::epoll_wait(self.fd(), raw.as_mut_ptr(), room as i32, milliseconds) };
        if found < 0 { Err(Error::os(errno())) } else { Ok(found as usize) }
    }
}
