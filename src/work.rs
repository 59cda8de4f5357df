//! Chapter: work on other threads.

use crate::convert::{Sized_, options, out};
use crate::registry::find_handle;
use crate::types::{TG_UNREF, tg_handle, tg_loop, tg_release_cb};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use tidegate_reactor::{Error, Result};

/// What is to be done, on a thread of the loop's pool. `user` is that of the options. Not to be left by longjmp; a foreign
/// exception ends the process.
pub type tg_work_fn = Option<unsafe extern "C-unwind" fn(user: *mut c_void) -> i64>;

/// The work is over: `status` is 0 and `result` what the function returned; or `status` says why it was not done:
/// TG_ECANCELED; TG_EFORKED, it was going on when the process forked and the loop was reopened in the child. The handle closes
/// when the callback returns.
pub type tg_work_cb =
    Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void, status: c_int, result: i64)>;

/// How work shall be reported. Set up with `TG_WORK_OPTIONS_INIT`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_work_options {
    /// The size of the structure.
    pub size: usize,
    /// Whom to call at the end (NULL on a batch loop).
    pub callback: tg_work_cb,
    /// Passed to the function and the callback (a batch loop: also the number in its records).
    pub user: *mut c_void,
    /// Gives `user` back; may be NULL.
    pub release: tg_release_cb,
    /// TG_UNREF or 0.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: repr(C), `size` first; pointers and optional functions may have any bits, they are only carried.
unsafe impl Sized_ for tg_work_options {
    members!(tg_work_options: callback, user, release, flags, reserved);
    const DEFAULT: Self =
        tg_work_options { size: 0, callback: None, user: null_mut(), release: None, flags: 0, reserved: 0 };
}

/// A function and its argument on their way to another thread.
struct Call {
    run: unsafe extern "C-unwind" fn(*mut c_void) -> i64,
    user: *mut c_void,
}

// SAFETY: the library only carries the pointer; whether what it points to may be used on another thread is the promise of
// the caller of `tg_work_open`.
unsafe impl Send for Call {}

impl Call {
    fn make(self) -> i64 {
        // SAFETY: the caller's function and pointer, which is not released before the function has returned.
        unsafe { (self.run)(self.user) }
    }
}

/// Runs a function on a thread of the loop's pool, for what would keep the loop waiting. Its result comes to the callback, on
/// the loop's thread, and the handle closes. Threads are started when they are needed, at most as many as the loop's
/// `work_threads`, and end after some seconds without work; all signals are blocked in them. Work waits in the order of these
/// calls. Closing the handle keeps work from being begun if it has not; if it has, it runs to its end unseen, and `user` is
/// released after that. tg_loop_free waits for work that is going on.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned, and the function's while it runs.
/// Errors: TG_EINVAL (`run` or `out` is NULL; unknown flags; no callback; functions on a batch loop), TG_ENOBUFS (max_jobs of
/// the loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EAGAIN (no thread can be
/// started).
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable; `run` may be called with `user` on
/// another thread, the other functions on the loop's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_work_open(
    loop_: tg_loop, run: tg_work_fn, options: *const tg_work_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_work_open(loop_, run, options, out), {
        // SAFETY: the caller's promise.
        let (options, out) = unsafe { (self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (options?, out?);
            out.write(open(loop_, run, options)?);
            Ok(())
        })()
    })
}

fn open(loop_: tg_loop, run: tg_work_fn, options: tg_work_options) -> Result<tg_handle> {
    let run = run.ok_or(Error::invalid("there is no function to run"))?;
    if options.reserved != 0 {
        return Err(Error::invalid("a reserved member is not 0"));
    }
    let call = Call { run, user: options.user };
    let id = open_with!(loop_, options, Work, TG_UNREF, |event_loop, user, referenced| {
        event_loop.work_open(move || call.make(), user, referenced)
    })?;
    Ok(id.raw())
}

/// Keeps work (or a look-up, or an operation on files) from being begun: its callback then comes with TG_ECANCELED, in the
/// next turn.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Returns: 1 when it is cancelled (or was already), 0 when it is running or over already: then its callback comes as usual.
/// Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_handle_cancel(handle: tg_handle) -> c_int {
    guard!(tg_handle_cancel(handle), find_handle(handle).and_then(|(found, id)| found.event_loop.job_cancel(id)))
}
