//! A loop inside another one's.

use crate::convert::out;
use crate::registry::find_loop;
use crate::types::{tg_fd, tg_loop};
use std::ffi::c_int;

/// For nesting in a foreign loop: a descriptor that is readable while this loop has something to do. It stays the same for
/// the loop's life. Watch it for reading, sleep at most tg_loop_get_timeout_ns, then call tg_loop_run_nowait (or
/// tg_batch_turn).
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: the descriptor is the loop's; do not close it.
/// Errors: TG_EINVAL (`out` is NULL), -EMFILE, -ENFILE, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_loop_get_backend_fd(loop_: tg_loop, out: *mut tg_fd) -> c_int {
    guard!(tg_loop_get_backend_fd(loop_, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            out.write(find_loop(loop_)?.event_loop.backend_fd()?);
            Ok(())
        })
    })
}

/// For nesting: how many nanoseconds may pass until the loop must run even if its backend descriptor stays silent. 0: it
/// must run now; -1: any time. Ask before each sleep: it also tells the kernel what has changed.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_loop_get_timeout_ns(loop_: tg_loop, out: *mut i64) -> c_int {
    guard!(tg_loop_get_timeout_ns(loop_, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            out.write(find_loop(loop_)?.event_loop.timeout_ns()?);
            Ok(())
        })
    })
}
