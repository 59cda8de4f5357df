//! Chapter: rate limits.

use crate::callbacks::{Callback, User};
use crate::convert::{Sized_, options, out};
use crate::registry::{find_handle, find_loop};
use crate::types::{tg_handle, tg_loop, tg_release_cb};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use tidegate_reactor::event_loop::RateConfig;
use tidegate_reactor::{Error, Result};

/// A rate limit. Set up with `TG_RATE_OPTIONS_INIT`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_rate_options {
    /// The size of the structure.
    pub size: usize,
    /// Only carried.
    pub user: *mut c_void,
    /// Gives `user` back; may be NULL (a batch loop: must be).
    pub release: tg_release_cb,
    /// Bytes that may be read a second; 0: no limit.
    pub read: u64,
    /// Bytes that may be written a second; 0: no limit.
    pub write: u64,
    /// Bytes that may be read at once after a pause; 0: a second's.
    pub read_burst: u64,
    /// Bytes that may be written at once after a pause; 0: a second's.
    pub write_burst: u64,
}

// SAFETY: repr(C), `size` first; pointers and optional functions may have any bits, they are only carried.
unsafe impl Sized_ for tg_rate_options {
    members!(tg_rate_options: user, release, read, write, read_burst, write_burst);
    const DEFAULT: Self =
        tg_rate_options { size: 0, user: null_mut(), release: None, read: 0, write: 0, read_burst: 0, write_burst: 0 };
}

impl tg_rate_options {
    fn config(&self) -> RateConfig {
        RateConfig { read: self.read, write: self.write, read_burst: self.read_burst, write_burst: self.write_burst }
    }
}

/// Opens a rate limit: connections that join it (tg_conn_join_rate) together read and write no faster. One connection by
/// itself, or a whole group, is slowed down by its peers' being slowed down: nothing is lost. It never keeps a loop alive.
/// Closing it frees its connections of it.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned.
/// Errors: TG_EINVAL (`out` is NULL; a release on a batch loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD,
/// TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable; `release` may be called with `user` on
/// the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_rate_open(loop_: tg_loop, options: *const tg_rate_options, out: *mut tg_handle) -> c_int {
    guard!(tg_rate_open(loop_, options, out), {
        // SAFETY: the caller's promise.
        let (options, out) = unsafe { (self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (options?, out?);
            out.write(open(loop_, options)?);
            Ok(())
        })()
    })
}

fn open(loop_: tg_loop, options: tg_rate_options) -> Result<tg_handle> {
    let found = find_loop(loop_)?;
    if options.release.is_some() && found.is_batch() {
        return Err(crate::handle::no_functions());
    }
    let user = User { callback: Callback::None, user: options.user, release: options.release };
    let id = found.event_loop.rate_open(options.config(), user)?;
    Ok(id.raw())
}

/// Changes a rate limit; what may come at once is there in full. `user` and `release` of the options must be NULL.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options` is copied.
/// Errors: TG_EINVAL (a user or release), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `options` is NULL (no limit) or as large as its first member says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_rate_set_limits(rate: tg_handle, options: *const tg_rate_options) -> c_int {
    guard!(tg_rate_set_limits(rate, options), {
        // SAFETY: the caller's promise.
        unsafe { self::options(options) }.and_then(|options| {
            if !options.user.is_null() || options.release.is_some() {
                return Err(Error::invalid("the user of a rate limit is changed by tg_handle_set_user"));
            }
            let (found, id) = find_handle(rate)?;
            found.event_loop.rate_set(id, options.config())
        })
    })
}

/// Lets a connection obey a rate limit, besides another one that it may obey: its own, and a group's.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (of different loops), TG_EEXIST (it obeys it already), TG_ENOBUFS (it obeys two others), TG_ESTALE,
/// TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not open yet, by name).
#[unsafe(no_mangle)]
pub extern "C" fn tg_conn_join_rate(conn: tg_handle, rate: tg_handle) -> c_int {
    guard!(tg_conn_join_rate(conn, rate), {
        find_handle(conn).and_then(|(found, id)| {
            let (_, rate) = find_handle(rate)?;
            if id.tag() != rate.tag() {
                return Err(Error::invalid("the connection and the limit belong to different loops"));
            }
            found.event_loop.conn_join_rate(id, rate)
        })
    })
}

/// Lets a connection go without a rate limit.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ENOENT (it does not obey it), TG_ESTALE (one of them is closed), TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
/// TG_EPANIC, -ENOTCONN (not open yet, by name).
#[unsafe(no_mangle)]
pub extern "C" fn tg_conn_leave_rate(conn: tg_handle, rate: tg_handle) -> c_int {
    guard!(tg_conn_leave_rate(conn, rate), {
        find_handle(conn).and_then(|(found, id)| {
            let (_, rate) = find_handle(rate)?;
            found.event_loop.conn_leave_rate(id, rate)
        })
    })
}
