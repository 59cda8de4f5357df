//! Chapter: connections (writing).

use crate::convert;
use crate::error::noted;
use crate::registry::{find_handle, find_handle_inline};
use crate::types::{tg_buffer, tg_fd, tg_free_cb, tg_handle};
use std::ffi::{c_int, c_void};
use std::io::IoSlice;
use std::sync::Arc;
use tidegate_reactor::base::out_queue::Buffer;
use tidegate_reactor::{Error, Result};

/// Writes bytes: what the system takes goes out at once, the rest when it takes more. Everything is accepted or nothing is;
/// what was accepted arrives in order, or `on_close` says that it may not have.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `data` is copied as far as it has to wait.
/// Returns: 0, or 1 when more than the high watermark waits now: wait for `on_drain` before writing more.
/// Errors: TG_EINVAL (`data` is NULL, or `length` is impossible), TG_ENOBUFS (more than the limit would wait), TG_ENOMEM, TG_ESTALE, TG_EKIND,
/// TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not open yet, by name), -EPIPE (after tg_conn_shutdown or
/// tg_conn_finish, or the connection is over); -EPIPE, -ECONNRESET and the like when the system refuses: then the connection is
/// over, after what the peer had sent before was delivered (unless reading is paused).
///
/// # Safety
/// `data` is NULL or has `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_conn_write(conn: tg_handle, data: *const c_void, length: usize) -> c_int {
    guard!(tg_conn_write(conn, data, length), {
        // SAFETY: the caller's promise.
        unsafe { convert::bytes(data.cast(), length) }.and_then(|bytes| write(conn, bytes))
    })
}

#[inline(always)]
fn write(conn: tg_handle, bytes: &[u8]) -> Result<bool> {
    let (found, id) = find_handle_inline(conn)?;
    found.event_loop.conn_write_bytes(id, bytes)
}

fn write_pieces(conn: tg_handle, pieces: &[IoSlice<'_>]) -> Result<bool> {
    let (found, id) = find_handle(conn)?;
    found.event_loop.conn_write(id, pieces)
}

/// The same with several pieces, at most 1,024, as if they were one.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: the pieces are copied as far as they have to wait.
/// Returns: 0, or 1 when more than the high watermark waits now.
/// Errors: TG_EINVAL (a NULL or an impossible length; more than 1,024 pieces), and as tg_conn_write.
///
/// # Safety
/// `buffers` is NULL or has `count` elements, each of which names readable memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_conn_writev(conn: tg_handle, buffers: *const tg_buffer, count: usize) -> c_int {
    guard!(tg_conn_writev(conn, buffers, count), {
        // SAFETY: the caller's promise.
        unsafe { convert::pieces(buffers, count) }.and_then(|pieces| write_pieces(conn, &pieces))
    })
}

/// Writes bytes without copying them: the memory is the library's until `free` gives it back. With a NULL `free` it must stay
/// as it is as long as the connection lives. Until it is given back it counts its bytes and 128 more for the watermarks and the
/// limit.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `data` is the library's once 0 or 1 was returned, until `free(data, length, argument, status)`, which comes
/// before the connection's own release.
/// Returns: 0, or 1 when more than the high watermark waits now.
/// Errors: as tg_conn_write.
///
/// # Safety
/// `data` is NULL or has `length` bytes that stay as they are until it is given back; `free` may be called on the loop's
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_conn_write_owned(
    conn: tg_handle, data: *mut c_void, length: usize, free: tg_free_cb, argument: *mut c_void,
) -> c_int {
    guard!(tg_conn_write_owned(conn, data, length, free, argument), {
        // SAFETY: the caller's promise.
        unsafe { convert::bytes(data.cast_const().cast::<u8>(), length) }.and_then(|_| {
            let (found, id) = find_handle(conn)?;
            let buffer = Box::new(Lent { data, length, free, argument });
            let written = found.event_loop.conn_write_owned(id, buffer);
            // Coming back, it is the caller's, and dropping it does nothing.
            written.map_err(|(error, _)| error)
        })
    })
}

/// Memory of the caller's.
struct Lent {
    data: *mut c_void,
    length: usize,
    free: tg_free_cb,
    argument: *mut c_void,
}

impl Buffer for Lent {
    fn bytes(&self) -> &[u8] {
        // SAFETY: checked when it came, and unchanged until it is given back by the caller's promise.
        unsafe { convert::bytes(self.data.cast_const().cast(), self.length) }.unwrap_or_default()
    }

    fn release(self: Box<Self>, status: i32) {
        if let Some(free) = self.free {
            // SAFETY: the caller's function and memory, accepted together and given back once.
            unsafe { free(self.data, self.length, self.argument, status) };
        }
    }
}

/// Sends a part of a file behind what waits, by the kernel alone where it can (Linux: sendfile). A file that turns out to be
/// shorter ends the connection with -EIO. While it waits it counts 16 KiB for the watermarks and the limit, whatever its length:
/// it takes no memory, but a descriptor.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `file` stays the caller's, who may close it at once: the library works on a duplicate.
/// Returns: 0, or 1 when more than the high watermark waits now: wait for `on_drain` before sending more.
/// Errors: TG_EINVAL (a negative offset; a length below -1; an end above INT64_MAX; not a regular file that is open for
/// reading), TG_EBADFD, TG_ENOBUFS (more than the limit waits already), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD,
/// TG_EFORKED, TG_EPANIC, -EPIPE (after tg_conn_shutdown or tg_conn_finish, or the connection is over), -EMFILE, -ENOTCONN (not
/// open yet, by name).
#[unsafe(no_mangle)]
pub extern "C" fn tg_conn_send_file(conn: tg_handle, file: tg_fd, offset: i64, length: i64) -> c_int {
    guard!(tg_conn_send_file(conn, file, offset, length), send_file(conn, file, offset, length))
}

fn send_file(conn: tg_handle, file: tg_fd, offset: i64, length: i64) -> Result<bool> {
    if offset < 0 || length < -1 || offset.checked_add(length).is_none() {
        return Err(Error::invalid("a negative offset, a length below -1, or an end above INT64_MAX"));
    }
    let (found, id) = find_handle(conn)?;
    let size = tidegate_reactor::sys::stream::regular_size(file)?;
    if !tidegate_reactor::sys::tty::access(file)?.reads {
        return Err(Error::invalid("the file is not open for reading"));
    }
    let rest = u64::try_from(size.saturating_sub(offset)).unwrap_or(0);
    let length = u64::try_from(length).unwrap_or(rest);
    let file = Arc::new(tidegate_reactor::sys::socket::duplicate(file)?);
    found.event_loop.conn_send_file(id, file, offset, length)
}

/// Passes descriptors to the peer of a Unix socket with the first of some bytes (at least one), behind what waits. The peer
/// gets duplicates. Each counts 16 KiB for the watermarks and the limit while it waits.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: everything stays the caller's, who may close the descriptors at once: the library works on duplicates.
/// Returns: 0, or 1 when more than the high watermark waits now.
/// Errors: TG_EINVAL (a NULL; no descriptors or more than 253; no bytes; not a Unix socket), TG_EBADFD, TG_ENOBUFS, TG_ENOMEM,
/// TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EPIPE, -EMFILE, -ENOTCONN (not open yet, by name).
///
/// # Safety
/// `descriptors` is NULL or has `count` elements; `data` is NULL or has `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_conn_write_descriptors(
    conn: tg_handle, descriptors: *const tg_fd, count: usize, data: *const c_void, length: usize,
) -> c_int {
    guard!(tg_conn_write_descriptors(conn, descriptors, count, data, length), {
        // SAFETY: the caller's promise.
        let (numbers, bytes) =
            unsafe { (convert::array(descriptors.cast_mut(), count), convert::bytes(data.cast(), length)) };
        (|| pass(conn, numbers?, bytes?))()
    })
}

fn pass(conn: tg_handle, numbers: &[tg_fd], bytes: &[u8]) -> Result<bool> {
    let (found, id) = find_handle(conn)?;
    // Before anything is duplicated: the wrong kind of handle costs nothing.
    found.event_loop.conn_fd(id)?;
    if numbers.len() > tidegate_reactor::sys::stream::MOST_DESCRIPTORS {
        return Err(Error::invalid("more than 253 descriptors"));
    }
    let duplicate = |(index, fd): (usize, &tg_fd)| match tidegate_reactor::sys::socket::duplicate(*fd) {
        Ok(duplicate) => Ok(Arc::new(duplicate)),
        Err(error) => Err(noted(error, format_args!("descriptors[{index}] = {fd}"))),
    };
    let duplicates: Result<Vec<_>> = numbers.iter().enumerate().map(duplicate).collect();
    found.event_loop.conn_pass(id, duplicates?, bytes)
}

/// Marks a place in what is written: `on_written` comes with the token when everything accepted until now was passed to the
/// system, or will not be. Until then it counts 128 bytes for the watermarks and the limit.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ENOBUFS (more than the limit waits already), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
/// TG_EPANIC, -EPIPE (the connection is over), -ENOTCONN (not open yet, by name).
#[unsafe(no_mangle)]
pub extern "C" fn tg_conn_mark(conn: tg_handle, token: u64) -> c_int {
    guard!(tg_conn_mark(conn, token), {
        find_handle(conn).and_then(|(found, id)| found.event_loop.conn_mark(id, token))
    })
}
