//! What is done with the names of files.

use super::{TG_FILE_EXCLUSIVE, TG_FILE_NO_FOLLOW, opening, path_of, tg_file_options};
use crate::handle::check_flags;
use crate::registry::find_loop;
use crate::types::{tg_handle, tg_loop};
use std::ffi::{c_char, c_int};
use tidegate_reactor::base::file::FileResult;
use tidegate_reactor::io::file as steps;
use tidegate_reactor::sys::file;
use tidegate_reactor::{Error, Result};

fn operate(
    loop_: tg_loop, options: tg_file_options, act: impl FnOnce(usize) -> FileResult + Send + 'static,
) -> Result<tg_handle> {
    let id = open_file!(find_loop(loop_)?, options, |event_loop, user, referenced| {
        event_loop.path_operation(act, user, referenced)
    })?;
    Ok(id.raw())
}

fn check_mode(mode: u32) -> Result<()> {
    if mode & !0o7777 != 0 { Err(Error::invalid("the mode has more than permissions")) } else { Ok(()) }
}

/// Asks what the system knows of a path: the result's `info`. `flags`: TG_FILE_NO_FOLLOW (of a symbolic link itself) or 0.
/// See tg_file_read for what all operations have in common.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `path` is copied; `options->user` is the library's once 0 was returned.
/// Errors: TG_EINVAL (`path` or `out` is NULL; unknown flags; no callback; functions on a batch loop), TG_ENOBUFS (max_jobs
/// of the loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EAGAIN (no thread can be
/// started).
///
/// # Safety
/// `path` is NULL or a string; `options` is NULL or as large as its first member says; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_path_stat(
    loop_: tg_loop, path: *const c_char, flags: u32, options: *const tg_file_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_path_stat(loop_, path, flags, options, out), {
        let open = |options: tg_file_options| {
            // SAFETY: the caller's promise.
            let path = unsafe { path_of(path) }?;
            check_flags(flags, TG_FILE_NO_FOLLOW)?;
            operate(loop_, options, move |_| file::stat_path(&path, flags == 0).into())
        };
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, open) }
    })
}

/// Gives a file the name `to`, in one step; a file that had it loses it. Both must be in one file system (-EXDEV). See
/// tg_file_read for what all operations have in common.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: both paths are copied; `options->user` is the library's once 0 was returned.
/// Errors: those of tg_path_stat.
///
/// # Safety
/// As tg_path_stat.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_path_rename(
    loop_: tg_loop, from: *const c_char, to: *const c_char, options: *const tg_file_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_path_rename(loop_, from, to, options, out), {
        let open = |options: tg_file_options| {
            // SAFETY: the caller's promise.
            let (from, to) = unsafe { (path_of(from)?, path_of(to)?) };
            operate(loop_, options, move |_| file::rename(&from, &to).into())
        };
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, open) }
    })
}

/// Removes a name; the file goes with its last name, when nobody has it open any more. Directories: tg_path_rmdir. See
/// tg_file_read for what all operations have in common.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `path` is copied; `options->user` is the library's once 0 was returned.
/// Errors: those of tg_path_stat.
///
/// # Safety
/// As tg_path_stat.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_path_unlink(
    loop_: tg_loop, path: *const c_char, options: *const tg_file_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_path_unlink(loop_, path, options, out), {
        let open = |options: tg_file_options| {
            // SAFETY: the caller's promise.
            let path = unsafe { path_of(path) }?;
            operate(loop_, options, move |_| file::unlink(&path).into())
        };
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, open) }
    })
}

/// Makes a directory with the permissions `mode`, less the process's umask. See tg_file_read for what all operations have
/// in common.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `path` is copied; `options->user` is the library's once 0 was returned.
/// Errors: those of tg_path_stat; TG_EINVAL (`mode` has other bits than 07777).
///
/// # Safety
/// As tg_path_stat.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_path_mkdir(
    loop_: tg_loop, path: *const c_char, mode: u32, options: *const tg_file_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_path_mkdir(loop_, path, mode, options, out), {
        let open = |options: tg_file_options| {
            // SAFETY: the caller's promise.
            let path = unsafe { path_of(path) }?;
            check_mode(mode)?;
            operate(loop_, options, move |_| file::make_directory(&path, mode).into())
        };
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, open) }
    })
}

/// Removes a directory, which must be empty. See tg_file_read for what all operations have in common.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `path` is copied; `options->user` is the library's once 0 was returned.
/// Errors: those of tg_path_stat.
///
/// # Safety
/// As tg_path_stat.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_path_rmdir(
    loop_: tg_loop, path: *const c_char, options: *const tg_file_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_path_rmdir(loop_, path, options, out), {
        let open = |options: tg_file_options| {
            // SAFETY: the caller's promise.
            let path = unsafe { path_of(path) }?;
            operate(loop_, options, move |_| file::remove_directory(&path).into())
        };
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, open) }
    })
}

/// Asks what is in a directory: the result's `entries`, without "." and "..", in the file system's order, all in one event.
/// On a batch loop a list that needs more than 66,048 bytes comes in several records, one a turn: each but the last has
/// TG_FILE_MORE in its `bits`, and the handle closes with the last; tg_close before keeps the rest from coming. The
/// directory is read as a whole before the first event, and what was not told yet is held in memory. See tg_file_read for what
/// all operations have in common.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `path` is copied; `options->user` is the library's once 0 was returned.
/// Errors: those of tg_path_stat.
///
/// # Safety
/// As tg_path_stat.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_path_list(
    loop_: tg_loop, path: *const c_char, options: *const tg_file_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_path_list(loop_, path, options, out), {
        let open = |options: tg_file_options| {
            // SAFETY: the caller's promise.
            let path = unsafe { path_of(path) }?;
            operate(loop_, options, move |most| file::list(&path, most).into())
        };
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, open) }
    })
}

/// Copies a file to the name `to`: its bytes and permissions. A file that has the name is overwritten; with
/// TG_FILE_EXCLUSIVE in `flags` (else 0) that is -EEXIST. A file is not copied to itself (-EINVAL). What has no
/// end is not copied (-EINVAL for a FIFO or a device; -EISDIR), nor is anything written to a FIFO (-EINVAL, or -ENXIO when nobody
/// reads it): nothing waits. Of the permissions those in 0777 are copied. After an error the copy is there, and not whole. See tg_file_read for what all operations have in common.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: both paths are copied; `options->user` is the library's once 0 was returned.
/// Errors: those of tg_path_stat.
///
/// # Safety
/// As tg_path_stat.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_path_copy(
    loop_: tg_loop, from: *const c_char, to: *const c_char, flags: u32, options: *const tg_file_options,
    out: *mut tg_handle,
) -> c_int {
    guard!(tg_path_copy(loop_, from, to, flags, options, out), {
        let open = |options: tg_file_options| {
            // SAFETY: the caller's promise.
            let (from, to) = unsafe { (path_of(from)?, path_of(to)?) };
            check_flags(flags, TG_FILE_EXCLUSIVE)?;
            operate(loop_, options, move |_| steps::copy_path(&from, &to, flags != 0))
        };
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, open) }
    })
}
