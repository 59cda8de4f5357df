//! Chapter: watching descriptors.

use crate::convert::{Sized_, options, out};
use crate::registry::find_handle;
use crate::types::{TG_UNREF, tg_fd, tg_handle, tg_loop, tg_release_cb};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use tidegate_reactor::interest;
use tidegate_reactor::{Error, Mode, Result};

/// Bytes can be read, a connection can be accepted, or the end has come.
pub const TG_READ: u32 = 0x1;
/// There is urgent data (TCP's out-of-band byte, a pty's change of state).
pub const TG_PRIORITY: u32 = 0x2;
/// Bytes can be written, or a connect has ended.
pub const TG_WRITE: u32 = 0x4;
/// Only reported, unasked: something is wrong with the descriptor. The directions asked for are reported ready as well.
pub const TG_ERROR: u32 = 0x8;
/// Reported unasked when the peer is gone; the directions asked for are then reported ready as well. Asked for, it is also
/// reported when the peer will send no more.
pub const TG_HANGUP: u32 = 0x10;

/// Trigger mode: reported as long as it is ready.
pub const TG_LEVEL: u32 = 0;
/// Trigger mode: reported when it becomes ready.
pub const TG_EDGE: u32 = 1;
/// Trigger mode: reported once; then it has no interest until tg_io_set_interest.
pub const TG_ONESHOT: u32 = 2;

/// A descriptor is ready: `ready` has TG_READ … TG_HANGUP and `status` is 0. Or `ready` is 0 and `status` says why:
/// TG_ETIMEDOUT, no event came within the watcher's timeout; TG_EBADFD (or the system's code), the descriptor was closed or
/// lost: the watcher is stopped for good, close it.
pub type tg_io_cb = Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void, ready: u32, status: c_int)>;

/// How a descriptor shall be watched. Set up with `TG_IO_OPTIONS_INIT`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_io_options {
    /// The size of the structure.
    pub size: usize,
    /// Whom to call (NULL on a batch loop).
    pub callback: tg_io_cb,
    /// Passed to the callback (a batch loop: the number in its records).
    pub user: *mut c_void,
    /// Gives `user` back; may be NULL.
    pub release: tg_release_cb,
    /// TG_UNREF or 0.
    pub flags: u32,
    /// TG_LEVEL, TG_EDGE or TG_ONESHOT; the same for all watchers of a descriptor.
    pub mode: u32,
    /// After so many nanoseconds without an event one comes with TG_ETIMEDOUT, again and again; 0 or -1: never.
    pub timeout_ns: i64,
}

// SAFETY: repr(C), `size` first; pointers and optional functions may have any bits, they are only carried.
unsafe impl Sized_ for tg_io_options {
    members!(tg_io_options: callback, user, release, flags, mode, timeout_ns);
    const DEFAULT: Self = tg_io_options {
        size: 0,
        callback: None,
        user: null_mut(),
        release: None,
        flags: 0,
        mode: TG_LEVEL,
        timeout_ns: 0,
    };
}

/// Trigger modes come from C as numbers.
pub(crate) fn mode(mode: u32) -> Result<Mode> {
    match mode {
        TG_LEVEL => Ok(Mode::Level),
        TG_EDGE => Ok(Mode::Edge),
        TG_ONESHOT => Ok(Mode::Oneshot),
        _ => Err(Error::invalid("the mode is not TG_LEVEL, TG_EDGE or TG_ONESHOT")),
    }
}

const _: () = assert!(
    TG_READ == interest::READ
        && TG_PRIORITY == interest::PRIORITY
        && TG_WRITE == interest::WRITE
        && TG_ERROR == interest::ERROR
        && TG_HANGUP == interest::HANGUP
);

/// Watches a descriptor of the caller's, which should not block and is not closed by the library: close the watcher first,
/// then the descriptor. Several watchers may share a descriptor; they are told in the order of opening. A regular file is
/// always ready. With no `interest` it is opened stopped.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: the descriptor stays the caller's; `options->user` is the library's once 0 was returned.
/// Errors: TG_EINVAL (`out` is NULL; unknown interest, mode or flags; a timeout below -1; no callback; functions on a batch
/// loop), TG_EBADFD (`fd` is not open), TG_EEXIST (another watcher uses another mode), TG_ENOTSUP (the mode is not to be had
/// here), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's, such as
/// -ENOSPC.
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable; the functions may be called with
/// `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_io_open(
    loop_: tg_loop, fd: tg_fd, interest: u32, options: *const tg_io_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_io_open(loop_, fd, interest, options, out), {
        // SAFETY: the caller's promise.
        let (options, out) = unsafe { (self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (options?, out?);
            out.write(open(loop_, fd, interest, options)?);
            Ok(())
        })()
    })
}

fn open(loop_: tg_loop, fd: tg_fd, interest: u32, options: tg_io_options) -> Result<tg_handle> {
    let mode = mode(options.mode)?;
    let id = open_with!(loop_, options, Io, TG_UNREF, |event_loop, user, referenced| {
        event_loop.io_open(fd, interest, mode, options.timeout_ns, user, referenced)
    })?;
    Ok(id.raw())
}

/// What the watcher waits for from now on; 0 stops it. Changes within a turn are collected: however often it changes, the
/// kernel is told once. Also arms a TG_ONESHOT watcher again.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (unknown bits), TG_EBADFD (the descriptor was found to be closed), TG_ESTALE, TG_EKIND,
/// TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_io_set_interest(io: tg_handle, interest: u32) -> c_int {
    guard!(tg_io_set_interest(io, interest), {
        find_handle(io).and_then(|(found, id)| found.event_loop.io_set_interest(id, interest))
    })
}

/// What the watcher waits for.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_io_get_interest(io: tg_handle, out: *mut u32) -> c_int {
    guard!(tg_io_get_interest(io, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let (found, id) = find_handle(io)?;
            out.write(found.event_loop.io_interest(id)?);
            Ok(())
        })
    })
}

/// Which descriptor it watches.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_io_get_fd(io: tg_handle, out: *mut tg_fd) -> c_int {
    guard!(tg_io_get_fd(io, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let (found, id) = find_handle(io)?;
            out.write(found.event_loop.io_fd(id)?);
            Ok(())
        })
    })
}

/// After how many nanoseconds without an event one comes with TG_ETIMEDOUT; 0 or -1: never. Counts anew from now.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (below -1), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_io_set_timeout(io: tg_handle, timeout_ns: i64) -> c_int {
    guard!(tg_io_set_timeout(io, timeout_ns), {
        find_handle(io).and_then(|(found, id)| found.event_loop.io_set_timeout(id, timeout_ns))
    })
}
