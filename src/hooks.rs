//! Chapter: hooks of the turn.

use crate::asyncs::{check_post, tg_post_cb};
use crate::callbacks::Post;
use crate::convert::{Sized_, options, out};
use crate::registry::{self, find_handle, find_loop};
use crate::types::{TG_UNREF, tg_handle, tg_loop, tg_release_cb};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use tidegate_reactor::event_loop::HookKind;
use tidegate_reactor::{Error, Result};

/// The hook's place in the turn has come.
pub type tg_hook_cb = Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void)>;

/// What a hook shall do. Set up with `TG_HOOK_OPTIONS_INIT`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_hook_options {
    /// The size of the structure.
    pub size: usize,
    /// Whom to call (NULL on a batch loop).
    pub callback: tg_hook_cb,
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
unsafe impl Sized_ for tg_hook_options {
    members!(tg_hook_options: callback, user, release, flags, reserved);
    const DEFAULT: Self =
        tg_hook_options { size: 0, callback: None, user: null_mut(), release: None, flags: 0, reserved: 0 };
}

/// A hook that is called just before the loop waits; opened started. Those of a kind are called in the order of starting.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned.
/// Errors: TG_EINVAL (`out` is NULL; unknown flags; no callback; functions on a batch loop), TG_ENOMEM, TG_ELIMIT,
/// TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable; the functions may be called with
/// `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_prepare_open(
    loop_: tg_loop, options: *const tg_hook_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_prepare_open(loop_, options, out), {
        // SAFETY: the caller's promise.
        let checked = unsafe { (self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (checked.0?, checked.1?);
            out.write(open(loop_, HookKind::Prepare, options)?);
            Ok(())
        })()
    })
}

/// A hook that is called after the I/O of a turn; opened started.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned.
/// Errors: TG_EINVAL (`out` is NULL; unknown flags; no callback; functions on a batch loop), TG_ENOMEM, TG_ELIMIT,
/// TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable; the functions may be called with
/// `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_check_open(loop_: tg_loop, options: *const tg_hook_options, out: *mut tg_handle) -> c_int {
    guard!(tg_check_open(loop_, options, out), {
        // SAFETY: the caller's promise.
        let checked = unsafe { (self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (checked.0?, checked.1?);
            out.write(open(loop_, HookKind::Check, options)?);
            Ok(())
        })()
    })
}

/// A hook that is called at the beginning of every turn; opened started. While one is started the loop does not sleep.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned.
/// Errors: TG_EINVAL (`out` is NULL; unknown flags; no callback; functions on a batch loop), TG_ENOMEM, TG_ELIMIT,
/// TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable; the functions may be called with
/// `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_idle_open(loop_: tg_loop, options: *const tg_hook_options, out: *mut tg_handle) -> c_int {
    guard!(tg_idle_open(loop_, options, out), {
        // SAFETY: the caller's promise.
        let checked = unsafe { (self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (checked.0?, checked.1?);
            out.write(open(loop_, HookKind::Idle, options)?);
            Ok(())
        })()
    })
}

fn open(loop_: tg_loop, kind: HookKind, options: tg_hook_options) -> Result<tg_handle> {
    if options.reserved != 0 {
        return Err(Error::invalid("a reserved member is not 0"));
    }
    let id = open_with!(loop_, options, Hook, TG_UNREF, |event_loop, user, referenced| {
        event_loop.hook_open(kind, user, referenced)
    })?;
    Ok(id.raw())
}

/// Starts a stopped hook, behind the others of its kind; harmless when it is started. It is called from the next time its
/// place in the turn comes.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_hook_start(hook: tg_handle) -> c_int {
    guard!(tg_hook_start(hook), find_handle(hook).and_then(|(found, id)| found.event_loop.hook_start(id)))
}

/// Stops a hook; harmless when it is stopped.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_hook_stop(hook: tg_handle) -> c_int {
    guard!(tg_hook_stop(hook), find_handle(hook).and_then(|(found, id)| found.event_loop.hook_stop(id)))
}

/// Calls a function in the loop's next turn: one that defers itself cannot starve the I/O. If the loop is freed first, only
/// `release` is called. On a batch loop `callback` and `release` are NULL, and a TG_RECORD_POST with `user` comes.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `user` is the library's once 0 was returned, until `release` gives it back.
/// Errors: TG_EINVAL (no callback; functions on a batch loop), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
/// TG_EPANIC.
///
/// # Safety
/// `callback` and `release` may be called with `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_defer(
    loop_: tg_loop, callback: tg_post_cb, user: *mut c_void, release: tg_release_cb,
) -> c_int {
    guard!(tg_defer(loop_, callback, user, release), {
        find_loop(loop_).and_then(|found| {
            check_post(registry::is_batch(loop_)?, callback, release)?;
            found.event_loop.defer(Post { callback, user, release })
        })
    })
}
