//! Chapter: signals.

use crate::convert::{Sized_, options, out};
use crate::types::{TG_UNREF, tg_handle, tg_loop, tg_release_cb};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use tidegate_reactor::{Error, Result};

/// A signal was delivered to the process, `count` times since the last call.
pub type tg_signal_cb =
    Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void, signum: c_int, count: u64)>;

/// What a signal watcher shall do. Set up with `TG_SIGNAL_OPTIONS_INIT`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_signal_options {
    /// The size of the structure.
    pub size: usize,
    /// Whom to call (NULL on a batch loop).
    pub callback: tg_signal_cb,
    /// Passed to the callback (a batch loop: the number in its records).
    pub user: *mut c_void,
    /// Gives `user` back; may be NULL.
    pub release: tg_release_cb,
    /// TG_UNREF or 0.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: repr(C), `size` first; pointers and optional functions may have any bits, they are only carried.
unsafe impl Sized_ for tg_signal_options {
    members!(tg_signal_options: callback, user, release, flags, reserved);
    const DEFAULT: Self =
        tg_signal_options { size: 0, callback: None, user: null_mut(), release: None, flags: 0, reserved: 0 };
}

/// Watches a signal. Any number of watchers in any number of loops may watch the same; each is told of every delivery, and
/// deliveries that come together are told together with their count. The process's disposition changes when the first
/// watcher is opened and goes back when the last one is closed, unless the program has changed it meanwhile. Signals of
/// faults (SIGSEGV, SIGBUS, SIGFPE, SIGILL) are worth watching only when somebody sends them: a fault itself happens again
/// when the handler returns, without end.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned.
/// Errors: TG_EINVAL (`out` is NULL; a number outside 1 to 64; unknown flags; no callback; functions on a batch loop),
/// -EINVAL (SIGKILL, SIGSTOP, and those that the C library keeps for itself), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND,
/// TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable; the functions may be called with
/// `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_signal_open(
    loop_: tg_loop, signum: c_int, options: *const tg_signal_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_signal_open(loop_, signum, options, out), {
        // SAFETY: the caller's promise.
        let (options, out) = unsafe { (self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (options?, out?);
            out.write(open(loop_, signum, options)?);
            Ok(())
        })()
    })
}

fn open(loop_: tg_loop, signum: c_int, options: tg_signal_options) -> Result<tg_handle> {
    if options.reserved != 0 {
        return Err(Error::invalid("a reserved member is not 0"));
    }
    let id = open_with!(loop_, options, Signal, TG_UNREF, |event_loop, user, referenced| {
        event_loop.signal_open(signum, user, referenced)
    })?;
    Ok(id.raw())
}
