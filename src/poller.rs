//! Chapter: the poller, and waiting once.

use crate::convert::{Sized_, array_out, options, out};
use crate::io::mode;
use crate::registry::{self, find_poller};
use crate::types::{tg_fd, tg_poller};
use std::ffi::c_int;
use std::sync::Arc;
use tidegate_reactor::base::interest::INTERESTS;
use tidegate_reactor::sys::port::Claim;
use tidegate_reactor::{Error, Poller, PollerEvent, PollerOptions, Result};

mod native;
mod once;

use native::Native;
pub use once::{TG_INVALID, TG_POLL_INTERRUPTIBLE, TG_POLL_NATIVE, tg_poll_item, tg_poll_once};

/// Flag of `tg_poller_options`: a regular file is refused with -EPERM, as the kernel does, instead of being always ready.
pub const TG_POLLER_STRICT: u32 = 0x1;
/// Flag of `tg_poller_options`: a wait ends with -EINTR when a signal handler has run, instead of going on.
pub const TG_POLLER_INTERRUPTIBLE: u32 = 0x2;
/// Flag of `tg_poller_options`, Linux: masks are the kernel's own (EPOLLIN, EPOLLET, EPOLLEXCLUSIVE …), modes are 0, and
/// the kernel's errors pass through. `data` may be anything but all ones.
pub const TG_POLLER_NATIVE: u32 = 0x4;

/// How a poller shall be made. Set up with `TG_POLLER_OPTIONS_INIT`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_poller_options {
    /// The size of the structure.
    pub size: usize,
    /// TG_POLLER_…
    pub flags: u32,
    /// With TG_POLLER_NATIVE: an epoll descriptor to take over instead of making one; -1: none.
    pub adopt_fd: tg_fd,
}

// SAFETY: repr(C), `size` first, integers only.
unsafe impl Sized_ for tg_poller_options {
    members!(tg_poller_options: flags, adopt_fd);
    const DEFAULT: Self = tg_poller_options { size: 0, flags: 0, adopt_fd: -1 };
}

/// One descriptor that is ready.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_poller_event {
    /// What was given when it was added.
    pub data: u64,
    /// TG_READ … TG_HANGUP (TG_POLLER_NATIVE: the kernel's mask).
    pub ready: u32,
    /// 0.
    pub reserved: u32,
}

/// A poller of either kind.
pub(crate) struct Waiter {
    kind: Kind,
    /// Its id, given back when the last user has let go.
    _claim: ClaimCell,
}

#[expect(clippy::large_enum_variant, reason = "always behind an Arc")]
enum Kind {
    Portable(Poller),
    Native(Native),
}

/// Only dropped, never used, so that it may be shared.
struct ClaimCell(#[expect(dead_code, reason = "held for its drop")] Claim);

// SAFETY: the claim inside is not reachable; it is only dropped, by one thread.
unsafe impl Sync for ClaimCell {}

/// Makes a poller: descriptors are registered once and waited for together, without callbacks. NULL options are the
/// defaults.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: the poller is the caller's until tg_poller_free; an adopted descriptor is the poller's once 0 was returned.
/// Errors: TG_EINVAL (`out` is NULL; options with a wrong size or unknown flags; `adopt_fd` without TG_POLLER_NATIVE),
/// TG_EBADFD (`adopt_fd` is not open), TG_ENOTSUP (TG_POLLER_NATIVE elsewhere than on Linux), TG_ELIMIT (1,024 loops and
/// pollers are live), TG_ENOMEM, -EMFILE, -ENFILE, TG_EPANIC.
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_poller_new(options: *const tg_poller_options, out: *mut tg_poller) -> c_int {
    guard!(tg_poller_new(options, out), {
        // SAFETY: the caller's promise.
        let checked = unsafe { (self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (checked.0?, checked.1?);
            out.write(make(options)?);
            Ok(())
        })()
    })
}

fn make(options: tg_poller_options) -> Result<tg_poller> {
    const KNOWN: u32 = TG_POLLER_STRICT | TG_POLLER_INTERRUPTIBLE | TG_POLLER_NATIVE;
    crate::handle::check_flags(options.flags, KNOWN)?;
    let native = options.flags & TG_POLLER_NATIVE != 0;
    if options.adopt_fd < -1 || (options.adopt_fd != -1 && !native) {
        return Err(Error::invalid("only a native poller can adopt a descriptor"));
    }
    let claim = Claim::new()?;
    let engine = PollerOptions {
        strict: options.flags & TG_POLLER_STRICT != 0,
        interruptible: options.flags & TG_POLLER_INTERRUPTIBLE != 0,
    };
    let kind = if native {
        Kind::Native(Native::new(options.adopt_fd, engine.interruptible)?)
    } else {
        Kind::Portable(Poller::new(claim.tag(), claim.floor(), engine)?)
    };
    let id = claim.id();
    registry::add_poller(id, Arc::new(Waiter { kind, _claim: ClaimCell(claim) }));
    Ok(id.raw())
}

/// Frees a poller. Waits that are going on in other threads end with TG_ESTALE (one on an adopted descriptor when it would
/// have ended anyway). In a forked child it closes the child's copies and leaves the parent's registrations alone.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_poller_free(poller: tg_poller) -> c_int {
    guard!(
        tg_poller_free(poller),
        registry::remove_poller(poller).map(|(waiter, forked)| {
            if let Some(waiter) = waiter {
                end(waiter, forked);
            }
        })
    )
}

fn end(waiter: Arc<Waiter>, forked: bool) {
    if !forked {
        match &waiter.kind {
            Kind::Portable(poller) => poller.shut(),
            Kind::Native(native) => native.shut(),
        }
        return;
    }
    // The other threads of the parent, which may hold it too, do not exist here.
    if let Ok(Waiter { kind: Kind::Portable(poller), .. }) = Arc::try_unwrap(waiter) {
        poller.leave_to_parent();
    }
}

/// Adds a descriptor. `data` comes with its events. With no interest it is known and silent.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: the descriptor stays the caller's: remove it before it is closed.
/// Errors: TG_EINVAL (unknown bits or mode), -EINVAL (its own descriptor), TG_EBADFD, TG_EEXIST (it is added already),
/// -EPERM (a regular file, TG_POLLER_STRICT), TG_ENOTSUP (the mode is not to be had here), TG_ENOMEM, TG_ELIMIT, TG_ESTALE,
/// TG_EKIND, TG_EFORKED, TG_EPANIC; -ENOSPC and, with TG_POLLER_NATIVE, the kernel's in place of ours.
#[unsafe(no_mangle)]
pub extern "C" fn tg_poller_add(poller: tg_poller, fd: tg_fd, interest: u32, mode: u32, data: u64) -> c_int {
    guard!(tg_poller_add(poller, fd, interest, mode, data), {
        find_poller(poller).and_then(|waiter| match &waiter.kind {
            Kind::Portable(portable) => {
                let mode = check(interest, mode)?;
                portable.add(fd, interest, mode, data)
            }
            Kind::Native(native) => native.add(fd, interest, mode, data),
        })
    })
}

/// Changes what a descriptor was added with; arms one that was reported with TG_ONESHOT again.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (unknown bits or mode), TG_ENOENT (it is not added), TG_EBADFD (it was closed), TG_ENOTSUP, TG_ESTALE,
/// TG_EKIND, TG_EFORKED, TG_EPANIC, -ENOMEM, -ENOSPC; with TG_POLLER_NATIVE the kernel's in place of ours.
#[unsafe(no_mangle)]
pub extern "C" fn tg_poller_modify(poller: tg_poller, fd: tg_fd, interest: u32, mode: u32, data: u64) -> c_int {
    guard!(tg_poller_modify(poller, fd, interest, mode, data), {
        find_poller(poller).and_then(|waiter| match &waiter.kind {
            Kind::Portable(portable) => {
                let mode = check(interest, mode)?;
                portable.modify(fd, interest, mode, data)
            }
            Kind::Native(native) => native.modify(fd, interest, mode, data),
        })
    })
}

fn check(interest: u32, mode_number: u32) -> Result<tidegate_reactor::Mode> {
    if interest & !INTERESTS != 0 {
        return Err(Error::invalid("the interest has unknown bits"));
    }
    mode(mode_number)
}

/// Removes a descriptor. Waits that begin afterwards do not report it.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Errors: TG_ENOENT (it is not added), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC; with TG_POLLER_NATIVE the kernel's in
/// place of ours.
#[unsafe(no_mangle)]
pub extern "C" fn tg_poller_remove(poller: tg_poller, fd: tg_fd) -> c_int {
    guard!(tg_poller_remove(poller, fd), {
        find_poller(poller).and_then(|waiter| match &waiter.kind {
            Kind::Portable(portable) => portable.remove(fd),
            Kind::Native(native) => native.remove(fd),
        })
    })
}

/// Waits at most `timeout_ns` (-1: for ever) until something is ready, and fills `events` from its start, with at most
/// 1,024 at once.
///
/// Thread: any; several may wait at once.
/// Callable from callbacks: yes, but it keeps the loop from running.
/// Ownership: `events` stays the caller's.
/// Returns: how many are ready; 0 when the time is over or tg_poller_wake was called.
/// Errors: TG_EINVAL (`events` is NULL, `capacity` is 0, a timeout below -1), -EINTR (TG_POLLER_INTERRUPTIBLE), -EINVAL and
/// -EBADF (what was adopted is not an epoll descriptor, or was closed), TG_ENOMEM,
/// TG_ESTALE (also when it is freed meanwhile), TG_EKIND, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `events` is NULL or has room for `capacity` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_poller_wait(
    poller: tg_poller, events: *mut tg_poller_event, capacity: usize, timeout_ns: i64,
) -> c_int {
    guard!(tg_poller_wait(poller, events, capacity, timeout_ns), {
        // SAFETY: the caller's promise.
        unsafe { array_out(events.cast::<PollerEvent>(), capacity) }.and_then(|events| {
            if events.is_empty() || timeout_ns < -1 {
                return Err(Error::invalid("there is no room for events, or the timeout is below -1"));
            }
            let waiter = find_poller(poller)?;
            let room = events.len().min(AT_ONCE);
            match &waiter.kind {
                Kind::Portable(portable) => portable.wait(&mut events[..room], timeout_ns),
                Kind::Native(native) => native.wait(&mut events[..room], timeout_ns),
            }
        })
    })
}

/// Events that one wait takes at most: 12 KiB of the kernel's structures.
const AT_ONCE: usize = 1024;

// The engine writes its events where the caller has room for ours.
const _: () = assert!(
    size_of::<tg_poller_event>() == size_of::<PollerEvent>()
        && std::mem::offset_of!(tg_poller_event, data) == std::mem::offset_of!(PollerEvent, data)
        && std::mem::offset_of!(tg_poller_event, ready) == std::mem::offset_of!(PollerEvent, ready)
);

/// Ends one wait, or the next one when none is going on; it returns 0 events if nothing else is ready.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Errors: TG_ENOTSUP (the descriptor was adopted), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_poller_wake(poller: tg_poller) -> c_int {
    guard!(tg_poller_wake(poller), {
        find_poller(poller).and_then(|waiter| match &waiter.kind {
            Kind::Portable(portable) => portable.wake(),
            Kind::Native(native) => native.wake(),
        })
    })
}

/// The poller's own descriptor, readable while anything is ready.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: the descriptor is the poller's; do not close it.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_poller_get_fd(poller: tg_poller, out: *mut tg_fd) -> c_int {
    guard!(tg_poller_get_fd(poller, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let waiter = find_poller(poller)?;
            out.write(match &waiter.kind {
                Kind::Portable(portable) => portable.fd()?,
                Kind::Native(native) => native.fd(),
            });
            Ok(())
        })
    })
}

/// How often the poller has asked the operating system for events.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_poller_get_waits(poller: tg_poller, out: *mut u64) -> c_int {
    guard!(tg_poller_get_waits(poller, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let waiter = find_poller(poller)?;
            out.write(match &waiter.kind {
                Kind::Portable(portable) => portable.waits(),
                Kind::Native(native) => native.waits(),
            });
            Ok(())
        })
    })
}
