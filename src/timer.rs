//! Chapter: timers.

use crate::convert::{Sized_, options, out};
use crate::registry::{Loop, find_handle, find_loop};
use crate::types::{TG_UNREF, tg_handle, tg_loop, tg_release_cb};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use tidegate_reactor::{Error, Id, Result};

/// Clock of a deadline: tg_now_ns().
pub const TG_CLOCK_MONOTONIC: u32 = 0;
/// Clock of a deadline: nanoseconds since 1970. The timer follows when the clock is set.
pub const TG_CLOCK_REALTIME: u32 = 1;

/// A timer is due. `missed` more ticks of a repeating one have passed meanwhile; they get no call of their own.
pub type tg_timer_cb = Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void, missed: u64)>;

/// What a timer shall do. Set up with `TG_TIMER_OPTIONS_INIT`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_timer_options {
    /// The size of the structure.
    pub size: usize,
    /// Whom to call (NULL on a batch loop).
    pub callback: tg_timer_cb,
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
unsafe impl Sized_ for tg_timer_options {
    members!(tg_timer_options: callback, user, release, flags, reserved);
    const DEFAULT: Self =
        tg_timer_options { size: 0, callback: None, user: null_mut(), release: None, flags: 0, reserved: 0 };
}

/// Opens a timer and starts it: due `delay_ns` from now, then, if `repeat_ns` is above 0, at every multiple of that after
/// the first time, however late the calls are. With `delay_ns` -1 it is opened stopped. Timers are never early; they are
/// called in the order of their deadlines, equal ones in the order of starting. One that has fired once is stopped, not
/// closed: it can be started again.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned.
/// Errors: TG_EINVAL (`out` is NULL; a delay below -1 or a negative repeat; unknown flags; no callback; functions on a batch
/// loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable; the functions may be called with
/// `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_timer_open(
    loop_: tg_loop, delay_ns: i64, repeat_ns: i64, options: *const tg_timer_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_timer_open(loop_, delay_ns, repeat_ns, options, out), {
        // SAFETY: the caller's promise.
        let (options, out) = unsafe { (self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (options?, out?);
            out.write(open(loop_, delay_ns, repeat_ns, options)?);
            Ok(())
        })()
    })
}

fn open(loop_: tg_loop, delay_ns: i64, repeat_ns: i64, options: tg_timer_options) -> Result<tg_handle> {
    if delay_ns < -1 || repeat_ns < 0 {
        return Err(Error::invalid("delay_ns is below -1 or repeat_ns negative"));
    }
    if options.reserved != 0 {
        return Err(Error::invalid("a reserved member is not 0"));
    }
    let id = open_with!(loop_, options, Timer, TG_UNREF, |event_loop, user, referenced| {
        event_loop.timer_open(user, referenced)
    })?;
    if delay_ns >= 0 {
        // Cannot fail: the timer was just opened, and the times were checked.
        start(find_loop(loop_)?, id, delay_ns, repeat_ns)?;
    }
    Ok(id.raw())
}

fn start(found: &Loop, id: Id, delay_ns: i64, repeat_ns: i64) -> Result<()> {
    found.event_loop.timer_start(id, delay_ns, repeat_ns)
}

/// Starts it, or starts it anew: as in tg_timer_open.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (a negative time), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_timer_start(timer: tg_handle, delay_ns: i64, repeat_ns: i64) -> c_int {
    guard!(tg_timer_start(timer, delay_ns, repeat_ns), {
        find_handle(timer).and_then(|(found, id)| start(found, id, delay_ns, repeat_ns))
    })
}

/// Starts it for a reading of a clock: TG_CLOCK_MONOTONIC or TG_CLOCK_REALTIME. A deadline that has passed is due at once;
/// a repeating one keeps to the grid of its deadline.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (an unknown clock, a negative repeat), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
/// TG_EPANIC, -EMFILE.
#[unsafe(no_mangle)]
pub extern "C" fn tg_timer_start_at(timer: tg_handle, clock: u32, deadline_ns: i64, repeat_ns: i64) -> c_int {
    guard!(tg_timer_start_at(timer, clock, deadline_ns, repeat_ns), {
        find_handle(timer).and_then(|(found, id)| {
            if clock > TG_CLOCK_REALTIME {
                return Err(Error::invalid("the clock is not TG_CLOCK_MONOTONIC or TG_CLOCK_REALTIME"));
            }
            let wall = clock == TG_CLOCK_REALTIME;
            found.event_loop.timer_start_at(id, wall, deadline_ns, repeat_ns)
        })
    })
}

/// Stops it; harmless when it is stopped.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_timer_stop(timer: tg_handle) -> c_int {
    guard!(tg_timer_stop(timer), find_handle(timer).and_then(|(found, id)| found.event_loop.timer_stop(id)))
}

/// Pushes it back: counts its repeat, or its delay if it has none, anew from the loop's next reading of the clock (late by
/// at most a turn, never early). A few nanoseconds: made for idle timeouts that are pushed back by every packet. Also
/// starts a stopped one.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (it was never started with a delay), TG_ENOTSUP (it is on TG_CLOCK_REALTIME), TG_ESTALE, TG_EKIND,
/// TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_timer_restart(timer: tg_handle) -> c_int {
    guard!(tg_timer_restart(timer), find_handle(timer).and_then(|(found, id)| found.event_loop.timer_restart(id)))
}

/// How many nanoseconds until it is due: 0 when it is, -1 when it is stopped.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_timer_get_remaining_ns(timer: tg_handle, out: *mut i64) -> c_int {
    guard!(tg_timer_get_remaining_ns(timer, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let (found, id) = find_handle(timer)?;
            out.write(found.event_loop.timer_remaining_ns(id)?);
            Ok(())
        })
    })
}
