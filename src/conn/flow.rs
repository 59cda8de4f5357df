//! Chapter: connections (reading, pausing, ending, relaying).

use crate::convert;
use crate::registry::find_handle;
use crate::types::tg_handle;
use std::ffi::{c_int, c_void};
use tidegate_reactor::Error;

/// Reads into memory of the caller's, on a connection with `on_readable` (or TG_CONN_PULL): what is there, at most `size`
/// bytes, without waiting.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `buffer` stays the caller's.
/// Returns: how many bytes were read; 0 when the peer has ended its direction (or `size` is 0).
/// Errors: TG_EINVAL (`buffer` is NULL), TG_EBUSY (the data of this connection comes to `on_data`), TG_ESTALE, TG_EKIND,
/// TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EAGAIN (nothing is there, or its rate limit is used up), -ENOTCONN (not open yet, by
/// name, or being finished); -ECONNRESET and the like, after which the connection is over.
///
/// # Safety
/// `buffer` is NULL or has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_conn_read(conn: tg_handle, buffer: *mut c_void, size: usize) -> c_int {
    guard!(tg_conn_read(conn, buffer, size), {
        // More than a count can say is not read at once.
        let size = size.min(c_int::MAX as usize);
        // SAFETY: the caller's promise; bytes have no invalid values, and reading only writes to them.
        unsafe { convert::array(buffer.cast::<u8>(), size) }.and_then(|buffer| {
            let (found, id) = find_handle(conn)?;
            found.event_loop.conn_read(id, buffer)
        })
    })
}

/// Pauses reading: what the peer sends stays with the system, which slows the peer down. Its end waits, too, and that it has
/// reset the connection, unless something is written.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not open yet, by name).
#[unsafe(no_mangle)]
pub extern "C" fn tg_conn_pause(conn: tg_handle) -> c_int {
    guard!(tg_conn_pause(conn), find_handle(conn).and_then(|(found, id)| found.event_loop.conn_pause(id, true)))
}

/// Resumes reading; harmless when it is not paused.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not open yet, by name).
#[unsafe(no_mangle)]
pub extern "C" fn tg_conn_resume(conn: tg_handle) -> c_int {
    guard!(tg_conn_resume(conn), find_handle(conn).and_then(|(found, id)| found.event_loop.conn_pause(id, false)))
}

/// Ends our direction when everything accepted is written (half-close); further writes are refused with -EPIPE. Reading goes
/// on. When the peer ends its direction as well, the connection is over with reason 0. What another one that is relayed into it
/// still receives breaks the relay.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not open yet, by name).
#[unsafe(no_mangle)]
pub extern "C" fn tg_conn_shutdown(conn: tg_handle) -> c_int {
    guard!(tg_conn_shutdown(conn), find_handle(conn).and_then(|(found, id)| found.event_loop.conn_shutdown(id)))
}

/// Ends a connection in good order and loses nothing: writes what was accepted, ends our direction, and reads and discards
/// until the peer ends its own or the linger time, which begins then, is over. Then `on_close` comes. (Closing at once, while
/// the peer is still sending, would reset the connection, and the peer might never see the last of what was written.) One that
/// is relayed into it is finished, too, as nothing takes what it receives any more; one into which it is relayed gets the end.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not open yet, by name).
#[unsafe(no_mangle)]
pub extern "C" fn tg_conn_finish(conn: tg_handle) -> c_int {
    guard!(tg_conn_finish(conn), find_handle(conn).and_then(|(found, id)| found.event_loop.conn_finish(id)))
}

/// Closes a connection as tg_close does, and resets it: the peer sees an error instead of an end. (With TCP: pipes and Unix
/// sockets know no reset, and their peers see an end.)
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_conn_abort(conn: tg_handle) -> c_int {
    guard!(tg_conn_abort(conn), find_handle(conn).and_then(|(found, id)| found.event_loop.conn_abort(id)))
}

/// Relays two connections into each other: what one receives is written to the other, inside the library, and reading from
/// one rests while more than the high watermark waits in the other. The end of one becomes the end of our direction of the
/// other; when both have ended, both are over with reason 0. When one breaks, the other is reset (as by tg_conn_abort) and over
/// for the same reason; when one is closed in the middle, for TG_ECANCELED. When the peer of one takes nothing any more (-EPIPE), what it has
/// sent still passes, and what would go to it is dropped: at its end the other one is finished, with the same reason if anything
/// was dropped. tg_conn_finish on one finishes both. `on_data` and `on_readable` do not come any more, and what is
/// held behind a frame that is being delivered passes on when its callback returns; the rest stays as it was. The other
/// one's limit is not looked at: at most one read comes on top of its high watermark.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (twice the same, or of different loops), TG_EEXIST (one is relayed already), TG_ENOBUFS (more is held than
/// the limit of the other one), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EPIPE (one is being
/// finished, or over), -ENOTCONN (not open yet, by name).
#[unsafe(no_mangle)]
pub extern "C" fn tg_conn_pipe(conn: tg_handle, other: tg_handle) -> c_int {
    guard!(tg_conn_pipe(conn, other), {
        find_handle(conn).and_then(|(found, id)| {
            let (_, other) = find_handle(other)?;
            if id.tag() != other.tag() {
                return Err(Error::invalid("the connections belong to different loops"));
            }
            found.event_loop.conn_pipe(id, other)
        })
    })
}

/// Relays one connection into another, one way: as tg_conn_pipe does with each direction. When the peer of `to` takes nothing
/// any more, `from` is reset.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: as tg_conn_pipe, -ENOTCONN (not open yet, by name).
#[unsafe(no_mangle)]
pub extern "C" fn tg_conn_forward(from: tg_handle, to: tg_handle) -> c_int {
    guard!(tg_conn_forward(from, to), {
        find_handle(from).and_then(|(found, id)| {
            let (_, to) = find_handle(to)?;
            if id.tag() != to.tag() {
                return Err(Error::invalid("the connections belong to different loops"));
            }
            found.event_loop.conn_relay(id, to)
        })
    })
}
