//! What is done with an open file.

use super::results::{Owned, Owning};
use super::{TG_FILE_DATA_ONLY, copy_of, opening, tg_file_options};
use crate::convert::{self, Lent};
use crate::handle::check_flags;
use crate::registry::{Loop, find_handle};
use crate::types::{tg_buffer, tg_free_cb, tg_handle};
use std::ffi::{c_int, c_void};
use tidegate_reactor::event_loop::Kind;
use tidegate_reactor::{Error, Id, Result};

/// Opens an operation's handle in the loop of a file.
macro_rules! operation {
    ($file:expr, $options:expr, |$event_loop:ident, $id:ident, $user:ident, $referenced:ident| $open:expr) => {{
        let (found, $id) = find_file($file)?;
        let id: Id = open_file!(found, $options, |$event_loop, $user, $referenced| $open)?;
        Ok(id.raw())
    }};
}

/// Reads up to `length` bytes at `offset` of a file, into memory of the operation's, which the callback is shown; fewer
/// only at the file's end, 0 behind it. `offset` -1: one read from the current position, which it moves; it may bring
/// fewer. The memory is taken in this call, and counts for max_job_bytes of the loop until the callback comes.
///
/// Like all operations on files: it runs on a thread of the loop's pool, several at a time and in no order; the callback
/// comes once, and the handle closes. One that must follow another is asked for in the other's callback. tg_handle_cancel
/// keeps it from being begun; tg_close of its handle too, and if it has begun, it runs to its end unseen, after which
/// `user` is released.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned.
/// Errors: TG_EINVAL (`out` is NULL; an offset below -1; unknown flags; no callback; functions on a batch loop; on a batch
/// loop, more than 66,048 bytes), TG_ENOBUFS (max_jobs or max_job_bytes of the loop), TG_ENOMEM (for `length` bytes, too), TG_ELIMIT,
/// TG_ESTALE, TG_EKIND (`file` is not one), TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EAGAIN (no thread can be started).
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_file_read(
    file: tg_handle, offset: i64, length: usize, options: *const tg_file_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_file_read(file, offset, length, options, out), {
        let open = |options: tg_file_options| {
            operation!(file, options, |event_loop, id, user, referenced| {
                event_loop.file_read(id, offset, length, user, referenced)
            })
        };
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, open) }
    })
}

/// As tg_file_read, into memory of the caller's, which is lent to the operation: nobody may use it until `free_function`
/// is called with it, on the loop's thread, exactly once, before `user` is released. Its `status` is the callback's, or
/// TG_ECANCELED when that did not come. With NULL it is lent until the callback comes, or until `user` is released without
/// one. On a batch loop there are no functions: it is lent until one of the records TG_RECORD_FILE and TG_RECORD_CLOSED; the
/// number of bytes has no limit, and none of them count for max_job_bytes.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `buffer` and `options->user` are the library's once 0 was returned.
/// Errors: those of tg_file_read; TG_EINVAL (`buffer` is NULL although `length` is not 0).
///
/// # Safety
/// `buffer` has room for `length` bytes; `options` is NULL or as large as its first member says; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_file_read_into(
    file: tg_handle, offset: i64, buffer: *mut c_void, length: usize, free_function: tg_free_cb,
    options: *const tg_file_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_file_read_into(file, offset, buffer, length, free_function, options, out), {
        let open = |options: tg_file_options| {
            // SAFETY: the caller's promise.
            let room = unsafe { convert::lent(buffer.cast(), length) }?;
            read_into(file, offset, room, free_function, options)
        };
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, open) }
    })
}

fn read_into(
    file: tg_handle, offset: i64, room: Lent, free: tg_free_cb, options: tg_file_options,
) -> Result<tg_handle> {
    let owned = Owned::offer(options.callback, &room, free, true);
    let carried = owned.as_ref();
    let open = || {
        operation!(file, options, |event_loop, id, user, referenced| {
            event_loop.file_read_into(id, offset, room, user.owning(carried)?, referenced)
        })
    };
    owned.keep_if(open())
}

/// Writes bytes at `offset` of a file: all of them, unless there is an error; then the value says how many were written
/// before it. `offset` -1: at the current position, which it moves. They are copied before this returns, and the copy counts
/// for max_job_bytes of the loop until the callback comes; tg_file_write_owned makes none. See tg_file_read
/// for what all operations have in common. A file that was opened with TG_FILE_APPEND takes them at its end. A
/// SIGPIPE or SIGXFSZ that this causes does not reach the program.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `data` stays the caller's; `options->user` is the library's once 0 was returned.
/// Errors: those of tg_file_read, without the limit of a batch loop; TG_EINVAL (`data` is NULL although `length` is not 0,
/// or `length` is impossible).
///
/// # Safety
/// `data` has `length` bytes; `options` is NULL or as large as its first member says; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_file_write(
    file: tg_handle, offset: i64, data: *const c_void, length: usize, options: *const tg_file_options,
    out: *mut tg_handle,
) -> c_int {
    guard!(tg_file_write(file, offset, data, length, options, out), {
        let open = |options: tg_file_options| {
            // SAFETY: the caller's promise.
            let bytes = unsafe { convert::bytes(data.cast(), length) }?;
            write(file, offset, length, || copy_of(bytes), options)
        };
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, open) }
    })
}

/// The copy is made when it is known that it may be held.
fn write(
    file: tg_handle, offset: i64, length: usize, copy: impl FnOnce() -> Result<Vec<u8>>, options: tg_file_options,
) -> Result<tg_handle> {
    let held = length as u64;
    operation!(file, options, |event_loop, id, user, referenced| {
        event_loop.file_may_hold(id, held)?;
        event_loop.file_write(id, offset, copy()?, held, user, referenced)
    })
}

/// As tg_file_write, from several pieces of memory, one behind the other.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: the array and what it points to stay the caller's; `options->user` is the library's once 0 was returned.
/// Errors: those of tg_file_write; TG_EINVAL (`buffers` is NULL although `count` is not 0, or the sum is impossible).
///
/// # Safety
/// `buffers` has `count` elements, each with as many bytes as it says; `options` is NULL or as large as its first member
/// says; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_file_writev(
    file: tg_handle, offset: i64, buffers: *const tg_buffer, count: usize, options: *const tg_file_options,
    out: *mut tg_handle,
) -> c_int {
    guard!(tg_file_writev(file, offset, buffers, count, options, out), {
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, |options| write_pieces(file, offset, buffers, count, options)) }
    })
}

/// # Safety
/// As tg_file_writev says.
unsafe fn write_pieces(
    file: tg_handle, offset: i64, buffers: *const tg_buffer, count: usize, options: tg_file_options,
) -> Result<tg_handle> {
    // SAFETY: the caller's promise.
    let buffers = unsafe { convert::elements(buffers, count) }?;
    // SAFETY: the caller's promise, for each of them.
    let pieces = || buffers.iter().enumerate().map(|(index, buffer)| unsafe { convert::piece(index, buffer) });
    let mut sum = 0_usize;
    for piece in pieces() {
        sum = sum.checked_add(piece?.len()).ok_or(Error::invalid("the pieces are too long together"))?;
    }
    let gather = || {
        let mut all = Vec::new();
        all.try_reserve_exact(sum)?;
        for piece in pieces() {
            all.extend_from_slice(piece?);
        }
        Ok(all)
    };
    write(file, offset, sum, gather, options)
}

/// As tg_file_write, without copying, and without a limit of bytes: they are the caller's own. The memory is lent to the operation, and nobody may change it until `free_function`
/// is called with it, on the loop's thread, exactly once, before `user` is released: when the operation is over, cancelled
/// or closed, or its loop is freed. Its `status` is the callback's, or TG_ECANCELED when that did not come; then all, a
/// part or nothing was written. With NULL it is lent until the callback comes, or until `user` is released without one (on a
/// batch loop, which has no functions, until one of the records TG_RECORD_FILE and TG_RECORD_CLOSED).
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `data` and `options->user` are the library's once 0 was returned.
/// Errors: those of tg_file_write.
///
/// # Safety
/// `data` has `length` bytes; `options` is NULL or as large as its first member says; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_file_write_owned(
    file: tg_handle, offset: i64, data: *mut c_void, length: usize, free_function: tg_free_cb,
    options: *const tg_file_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_file_write_owned(file, offset, data, length, free_function, options, out), {
        let open = |options: tg_file_options| {
            // SAFETY: the caller's promise.
            let bytes = unsafe { convert::lent(data.cast(), length) }?;
            write_owned(file, offset, bytes, free_function, options)
        };
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, open) }
    })
}

fn write_owned(
    file: tg_handle, offset: i64, bytes: Lent, free: tg_free_cb, options: tg_file_options,
) -> Result<tg_handle> {
    let owned = Owned::offer(options.callback, &bytes, free, false);
    let carried = owned.as_ref();
    let open = || {
        operation!(file, options, |event_loop, id, user, referenced| {
            event_loop.file_write(id, offset, bytes, 0, user.owning(carried)?, referenced)
        })
    };
    owned.keep_if(open())
}

/// Waits until what was written to a file is on its disk. `flags`: TG_FILE_DATA_ONLY or 0. Only writes that were over
/// before this was asked for are sure to be among it. See tg_file_read for what all operations have in common.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned.
/// Errors: those of tg_file_read, without its limits.
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_file_sync(
    file: tg_handle, flags: u32, options: *const tg_file_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_file_sync(file, flags, options, out), {
        let open = |options: tg_file_options| {
            check_flags(flags, TG_FILE_DATA_ONLY)?;
            operation!(file, options, |event_loop, id, user, referenced| {
                event_loop.file_sync(id, flags == TG_FILE_DATA_ONLY, user, referenced)
            })
        };
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, open) }
    })
}

/// Asks what the system knows of a file: the result's `info`. See tg_file_read for what all operations have in common.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned.
/// Errors: those of tg_file_read, without its limits.
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_file_stat(file: tg_handle, options: *const tg_file_options, out: *mut tg_handle) -> c_int {
    guard!(tg_file_stat(file, options, out), {
        let open = |options: tg_file_options| {
            operation!(file, options, |event_loop, id, user, referenced| event_loop.file_stat(id, user, referenced))
        };
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, open) }
    })
}

/// Sets a file's length to `file_size` bytes: what is beyond is lost, what is missing is zeroes. See tg_file_read for what all
/// operations have in common.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned.
/// Errors: those of tg_file_read, without its limits; TG_EINVAL (a negative size).
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_file_truncate(
    file: tg_handle, file_size: i64, options: *const tg_file_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_file_truncate(file, file_size, options, out), {
        let open = |options: tg_file_options| {
            operation!(file, options, |event_loop, id, user, referenced| {
                event_loop.file_truncate(id, file_size, user, referenced)
            })
        };
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, open) }
    })
}

/// Copies up to `length` bytes from one file to another of the same loop, or within one; fewer at the first one's end, so
/// that UINT64_MAX copies all. Inside the system where it can (which shares the blocks, or sends them without touching
/// them), else through memory. An offset of -1 is the current position. Ranges of one file that overlap give -EINVAL. See
/// tg_file_read for what all operations have in common.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned.
/// Errors: those of tg_file_read, without its limits; TG_EINVAL (the files are of different loops).
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_file_copy(
    from: tg_handle, to: tg_handle, from_offset: i64, to_offset: i64, length: u64, options: *const tg_file_options,
    out: *mut tg_handle,
) -> c_int {
    guard!(tg_file_copy(from, to, from_offset, to_offset, length, options, out), {
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, |options| copy((from, from_offset), (to, to_offset), length, options)) }
    })
}

fn copy(from: (tg_handle, i64), to: (tg_handle, i64), length: u64, options: tg_file_options) -> Result<tg_handle> {
    let ((_, from_id), (_, to_id)) = (find_file(from.0)?, find_file(to.0)?);
    if from_id.tag() != to_id.tag() {
        return Err(Error::invalid("the files are of different loops"));
    }
    operation!(from.0, options, |event_loop, id, user, referenced| {
        event_loop.file_copy((id, from.1), (to_id, to.1), length, user, referenced)
    })
}

/// Whatever else may be wrong: first of all it must be a file.
fn find_file(file: tg_handle) -> Result<(&'static Loop, Id)> {
    let (found, id) = find_handle(file)?;
    let info = found.event_loop.info(id)?;
    if info.kind == Kind::File { Ok((found, id)) } else { Err(Error::KIND) }
}
