//! Chapter: connections (settings and counters).

use super::options::{framing, timeouts, watermarks};
use crate::address::tg_address;
use crate::convert::{Sized_, options, out, sized_out};
use crate::registry::{Loop, find_handle};
use crate::types::{tg_fd, tg_handle};
use std::ffi::c_int;
use tidegate_reactor::sys::socket_options::StreamOption;
use tidegate_reactor::sys::{socket, tty};
use tidegate_reactor::{Id, Result};

/// The times of a connection. Set up with `TG_CONN_TIMEOUTS_INIT`; 0: the default, -1: for ever, as in `tg_conn_options`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_conn_timeouts {
    /// The size of the structure.
    pub size: usize,
    /// How long connecting may take.
    pub connect_ns: i64,
    /// How long nothing may be received while reading is not paused.
    pub read_ns: i64,
    /// How long the peer may take nothing of what waits to be written.
    pub write_ns: i64,
    /// How long nothing may come or go.
    pub idle_ns: i64,
    /// How long tg_conn_finish waits for the peer's end once everything is written.
    pub linger_ns: i64,
}

// SAFETY: repr(C), `size` first, integers only.
unsafe impl Sized_ for tg_conn_timeouts {
    members!(tg_conn_timeouts: connect_ns, read_ns, write_ns, idle_ns, linger_ns);
    const DEFAULT: Self =
        tg_conn_timeouts { size: 0, connect_ns: 0, read_ns: 0, write_ns: 0, idle_ns: 0, linger_ns: 0 };
}

/// What a connection has done so far.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_conn_stats {
    /// Set by the caller to the size of the structure.
    pub size: usize,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes passed to the system.
    pub bytes_out: u64,
    /// Bytes accepted and still waiting, those of files included.
    pub queued: u64,
    /// When it was opened, on tg_now_ns's clock.
    pub opened_ns: i64,
}

// SAFETY: repr(C), `size` first, integers only.
unsafe impl Sized_ for tg_conn_stats {
    members!(tg_conn_stats: bytes_in, bytes_out, queued, opened_ns);
    const DEFAULT: Self = tg_conn_stats { size: 0, bytes_in: 0, bytes_out: 0, queued: 0, opened_ns: 0 };
}

/// Changes the times of a connection; they count anew from now.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `timeouts` is copied.
/// Errors: TG_EINVAL (a time below -1), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not
/// open yet, by name).
///
/// # Safety
/// `timeouts` is NULL (the defaults) or as large as its first member says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_conn_set_timeouts(conn: tg_handle, timeouts: *const tg_conn_timeouts) -> c_int {
    guard!(tg_conn_set_timeouts(conn, timeouts), {
        // SAFETY: the caller's promise.
        unsafe { options(timeouts) }.and_then(|given| {
            let (found, id) = find_handle(conn)?;
            let times =
                self::timeouts(given.connect_ns, given.read_ns, given.write_ns, given.idle_ns, given.linger_ns)?;
            found.event_loop.conn_set_timeouts(id, times)
        })
    })
}

/// Changes how what arrives is cut into pieces: TG_FRAMING_…, and the longest frame in bytes (0: 65,536). It holds for what was
/// not delivered yet.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (an unknown number; a batch loop and more than 65,536 bytes), TG_ENOMEM, TG_ESTALE, TG_EKIND,
/// TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not open yet, by name).
#[unsafe(no_mangle)]
pub extern "C" fn tg_conn_set_framing(conn: tg_handle, framing: u32, max_frame: usize) -> c_int {
    guard!(tg_conn_set_framing(conn, framing, max_frame), {
        find_handle(conn).and_then(|(found, id)| {
            let batch = found.is_batch();
            let (framing, most) = self::framing(framing, max_frame, batch)?;
            found.event_loop.conn_set_framing(id, framing, most)
        })
    })
}

/// Changes the watermarks and the limit, in bytes; 0: the defaults, as in `tg_conn_options`.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (unless low ≤ high ≤ limit), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not
/// open yet, by name).
#[unsafe(no_mangle)]
pub extern "C" fn tg_conn_set_watermarks(conn: tg_handle, low: usize, high: usize, limit: usize) -> c_int {
    guard!(tg_conn_set_watermarks(conn, low, high, limit), {
        find_handle(conn).and_then(|(found, id)| {
            let (low, high, limit) = watermarks(low, high, limit)?;
            found.event_loop.conn_set_watermarks(id, low, high, limit)
        })
    })
}

/// What a connection has done so far. `out->size` is set by the caller (`TG_CONN_STATS_INIT`).
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL, or its size is not set), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC,
/// -ENOTCONN (not open yet, by name).
///
/// # Safety
/// `out` is NULL or as large as its first member says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_conn_get_stats(conn: tg_handle, out: *mut tg_conn_stats) -> c_int {
    guard!(tg_conn_get_stats(conn, out), {
        // SAFETY: the caller's promise.
        unsafe { sized_out(out) }.and_then(|out| {
            let (found, id) = find_handle(conn)?;
            let stats = found.event_loop.conn_stats(id)?;
            out.write(tg_conn_stats {
                size: 0,
                bytes_in: stats.bytes_in,
                bytes_out: stats.bytes_out,
                queued: stats.queued,
                opened_ns: stats.opened_ns,
            });
            Ok(())
        })
    })
}

/// Its descriptor, for options that the library has no words for. It must not be closed, read or written.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's; the descriptor stays the library's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not open yet, by
/// name).
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_conn_get_fd(conn: tg_handle, out: *mut tg_fd) -> c_int {
    guard!(tg_conn_get_fd(conn, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            out.write(fd_of(find_handle(conn)?)?);
            Ok(())
        })
    })
}

fn fd_of((found, id): (&'static Loop, Id)) -> Result<tg_fd> {
    found.event_loop.conn_fd(id)
}

/// The address of our end: of IPv4 when the peer's is, whatever the socket's family.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTSOCK, -ENOTCONN (not
/// open yet, by name).
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_conn_get_local(conn: tg_handle, out: *mut tg_address) -> c_int {
    guard!(tg_conn_get_local(conn, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let address = socket::local_address(fd_of(find_handle(conn)?)?)?.unmapped();
            out.write(tg_address::from_engine(&address));
            Ok(())
        })
    })
}

/// The address of the peer: of IPv4 when it comes from there, whatever the socket's family. The system forgets it when the connection breaks: what a listener accepts comes with it, which is
/// the time to keep it.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN, -ENOTSOCK.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_conn_get_peer(conn: tg_handle, out: *mut tg_address) -> c_int {
    guard!(tg_conn_get_peer(conn, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let address = socket::peer_address(fd_of(find_handle(conn)?)?)?;
            out.write(tg_address::from_engine(&address));
            Ok(())
        })
    })
}

/// Option: small writes are sent at once (TCP); 0 or 1.
pub const TG_OPTION_NO_DELAY: u32 = 1;
/// Option: the peer of a silent connection is probed; 0 or 1.
pub const TG_OPTION_KEEP_ALIVE: u32 = 2;
/// Option: how many bytes the system keeps for sending.
pub const TG_OPTION_SEND_BUFFER: u32 = 3;
/// Option: how many bytes the system keeps of what has arrived.
pub const TG_OPTION_RECEIVE_BUFFER: u32 = 4;
/// Option: how many routers a packet may pass; 1 to 255.
pub const TG_OPTION_TTL: u32 = 5;

fn option(option: u32) -> Result<StreamOption> {
    match option {
        TG_OPTION_NO_DELAY => Ok(StreamOption::NoDelay),
        TG_OPTION_KEEP_ALIVE => Ok(StreamOption::KeepAlive),
        TG_OPTION_SEND_BUFFER => Ok(StreamOption::SendBuffer),
        TG_OPTION_RECEIVE_BUFFER => Ok(StreamOption::ReceiveBuffer),
        TG_OPTION_TTL => Ok(StreamOption::TimeToLive),
        _ => Err(tidegate_reactor::Error::invalid("not one of the TG_OPTION_ numbers")),
    }
}

/// Sets an option of the socket that a connection is: TG_OPTION_…
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (an unknown option, a value out of its range), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
/// TG_EPANIC, -ENOTCONN, -ENOTSOCK, -EOPNOTSUPP (not with this protocol).
#[unsafe(no_mangle)]
pub extern "C" fn tg_conn_set_option(conn: tg_handle, option: u32, value: c_int) -> c_int {
    guard!(tg_conn_set_option(conn, option, value), {
        find_handle(conn).and_then(|found| self::option(option)?.set(fd_of(found)?, value))
    })
}

/// What an option of the socket that a connection is is set to: TG_OPTION_… (Linux answers twice what a buffer was set to.)
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL, an unknown option), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC,
/// -ENOTCONN, -ENOTSOCK, -EOPNOTSUPP (not with this protocol).
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_conn_get_option(conn: tg_handle, option: u32, out: *mut c_int) -> c_int {
    guard!(tg_conn_get_option(conn, option, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let found = find_handle(conn)?;
            out.write(self::option(option)?.get(fd_of(found)?)?);
            Ok(())
        })
    })
}

/// Columns and rows of the terminal that a connection is.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: the out-parameters stay the caller's.
/// Errors: TG_EINVAL (a NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTTY, -ENOTCONN (not open yet,
/// by name).
///
/// # Safety
/// `columns` and `rows` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_conn_get_window_size(conn: tg_handle, columns: *mut u16, rows: *mut u16) -> c_int {
    guard!(tg_conn_get_window_size(conn, columns, rows), {
        // SAFETY: the caller's promise.
        let (columns, rows) = unsafe { (self::out(columns), self::out(rows)) };
        (|| {
            let (columns, rows) = (columns?, rows?);
            let size = tty::window_size(fd_of(find_handle(conn)?)?)?;
            columns.write(size.0);
            rows.write(size.1);
            Ok(())
        })()
    })
}

/// Makes the terminal that a connection is hand over each key as it is typed, without echo (1), or treat lines as it did
/// before (0). Closing the connection does that, too.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (neither 0 nor 1), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTTY, -ENOTCONN (not
/// open yet, by name).
#[unsafe(no_mangle)]
pub extern "C" fn tg_conn_set_raw(conn: tg_handle, raw: c_int) -> c_int {
    guard!(tg_conn_set_raw(conn, raw), {
        find_handle(conn).and_then(|(found, id)| {
            let raw = match raw {
                0 => false,
                1 => true,
                _ => return Err(tidegate_reactor::Error::invalid("raw is neither 0 nor 1")),
            };
            found.event_loop.conn_set_raw(id, raw)
        })
    })
}
