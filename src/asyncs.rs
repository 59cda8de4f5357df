//! Chapter: other threads.

use crate::callbacks::Post;
use crate::convert::{Sized_, options, out};
use crate::handle::no_functions;
use crate::registry::{self, POSTS};
use crate::types::{TG_UNREF, tg_handle, tg_loop, tg_release_cb};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use tidegate_reactor::event_loop::async_send;
use tidegate_reactor::{Error, Id, Result};

/// A posted or deferred call has its turn.
pub type tg_post_cb = Option<unsafe extern "C-unwind" fn(loop_: tg_loop, user: *mut c_void)>;

/// Somebody has sent to the handle, once or more since the last call.
pub type tg_async_cb = Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void)>;

/// What an async handle shall do. Set up with `TG_ASYNC_OPTIONS_INIT`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_async_options {
    /// The size of the structure.
    pub size: usize,
    /// Whom to call (NULL on a batch loop).
    pub callback: tg_async_cb,
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
unsafe impl Sized_ for tg_async_options {
    members!(tg_async_options: callback, user, release, flags, reserved);
    const DEFAULT: Self =
        tg_async_options { size: 0, callback: None, user: null_mut(), release: None, flags: 0, reserved: 0 };
}

/// What is posted or deferred fits the kind of the loop.
pub(crate) fn check_post(is_batch: bool, callback: tg_post_cb, release: tg_release_cb) -> Result<()> {
    match is_batch {
        true if callback.is_some() || release.is_some() => Err(no_functions()),
        false if callback.is_none() => Err(Error::invalid("there is no callback")),
        _ => Ok(()),
    }
}

/// Calls a function on the loop's thread in its next turn, after those that were posted before. If the loop is freed first,
/// only `release` is called. On a batch loop `callback` and `release` are NULL, and a record with `user` comes.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: `user` is the library's once 0 was returned, until `release`, on the loop's thread, gives it back.
/// Errors: TG_EINVAL (no callback; functions on a batch loop), TG_ENOBUFS (as many wait as the loop's options allow),
/// TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `callback` and `release` may be called with `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_post(
    loop_: tg_loop, callback: tg_post_cb, user: *mut c_void, release: tg_release_cb,
) -> c_int {
    guard!(tg_post(loop_, callback, user, release), {
        registry::check_from_any_thread(loop_).and_then(|()| {
            check_post(registry::is_batch(loop_)?, callback, release)?;
            POSTS.post(Id::from_raw(loop_), Post { callback, user, release })
        })
    })
}

/// A handle through which any thread, and any signal handler, can make the loop call a function. It allocates nothing when
/// sent to; sends that come before the call are told together. While it is open it keeps the loop alive, unless TG_UNREF.
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
pub unsafe extern "C" fn tg_async_open(loop_: tg_loop, options: *const tg_async_options, out: *mut tg_handle) -> c_int {
    guard!(tg_async_open(loop_, options, out), {
        // SAFETY: the caller's promise.
        let (options, out) = unsafe { (self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (options?, out?);
            out.write(open(loop_, options)?);
            Ok(())
        })()
    })
}

fn open(loop_: tg_loop, options: tg_async_options) -> Result<tg_handle> {
    if options.reserved != 0 {
        return Err(Error::invalid("a reserved member is not 0"));
    }
    let id = open_with!(loop_, options, Async, TG_UNREF, |event_loop, user, referenced| {
        event_loop.async_open(user, referenced)
    })?;
    Ok(id.raw())
}

/// Makes the loop call the handle's function in its next turn. A failure leaves no words in tg_last_error: a signal handler
/// could not make them.
///
/// Thread: any, and signal handlers.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE (not an open async handle, also when it is an open handle of another kind: a thread that is not the
/// loop's cannot tell), TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_async_send(async_: tg_handle) -> c_int {
    guard_signal!(tg_async_send(async_), async_send(Id::from_raw(async_)))
}
