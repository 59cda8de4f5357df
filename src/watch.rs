//! Chapter: watching files.

use crate::convert::{Sized_, options, out, string};
use crate::types::{TG_UNREF, tg_handle, tg_loop, tg_release_cb};
use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;
use tidegate_reactor::base::change;
use tidegate_reactor::{Error, Result};

/// Change: it is new in its directory, or was found in a directory that is new.
pub const TG_CHANGE_CREATED: u32 = 0x1;
/// Change: it was removed.
pub const TG_CHANGE_DELETED: u32 = 0x2;
/// Change: its contents were changed.
pub const TG_CHANGE_MODIFIED: u32 = 0x4;
/// Change: its permissions, owner, times or number of names were changed.
pub const TG_CHANGE_ATTRIBUTES: u32 = 0x8;
/// Change: it was moved away from this name.
pub const TG_CHANGE_MOVED_FROM: u32 = 0x10;
/// Change: it was moved to this name, maybe in the place of another.
pub const TG_CHANGE_MOVED_TO: u32 = 0x20;
/// Change: the watched directory itself (of a file: its directory) was removed, moved or unmounted. Nothing more will come.
pub const TG_CHANGE_SELF_GONE: u32 = 0x40;
/// Change: there were more changes than the system keeps, and some are lost. Look for yourself what is there.
pub const TG_CHANGE_OVERFLOW: u32 = 0x80;
/// Change: said with the others: it is a directory.
pub const TG_CHANGE_DIRECTORY: u32 = 0x100;

const _: () = assert!(
    TG_CHANGE_CREATED == change::CREATED
        && TG_CHANGE_DELETED == change::DELETED
        && TG_CHANGE_MODIFIED == change::MODIFIED
        && TG_CHANGE_ATTRIBUTES == change::ATTRIBUTES
        && TG_CHANGE_MOVED_FROM == change::MOVED_FROM
        && TG_CHANGE_MOVED_TO == change::MOVED_TO
        && TG_CHANGE_SELF_GONE == change::SELF_GONE
        && TG_CHANGE_OVERFLOW == change::OVERFLOW
        && TG_CHANGE_DIRECTORY == change::DIRECTORY
);

/// Flag of a watch: the directory with everything below it, also what comes up later. Symbolic links below it are not followed.
pub const TG_WATCH_RECURSIVE: u32 = 0x2;
/// Flag of a watch: the path is that of a file, which need not be there yet.
pub const TG_WATCH_FILE: u32 = 0x4;

/// What has changed. Valid during the callback.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_change {
    /// The size of the structure.
    pub size: usize,
    /// TG_CHANGE_…
    pub changes: u32,
    /// The same number, not 0, for both halves of a move; else 0.
    pub cookie: u32,
    /// Of whom: below the watched directory (`a/b/c` in a recursive watch), of whatever bytes the file system has; empty for
    /// the watched path itself.
    pub name: *const c_char,
}

/// Something has changed. `status` is 0; or the code of an error, `change->changes` 0, and what `change->name` names is not
/// watched: -ENOSPC, the system watches no more directories for this user (the others go on); for the empty name the whole
/// watch has ended: the error with which tg_loop_reopen could not set it up anew in a forked child.
pub type tg_watch_cb =
    Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void, status: c_int, change: *const tg_change)>;

/// What a watch shall do. Set up with `TG_WATCH_OPTIONS_INIT`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_watch_options {
    /// The size of the structure.
    pub size: usize,
    /// Whom to call (NULL on a batch loop).
    pub callback: tg_watch_cb,
    /// Passed to the callback (a batch loop: the number in its records).
    pub user: *mut c_void,
    /// Gives `user` back; may be NULL.
    pub release: tg_release_cb,
    /// TG_UNREF, TG_WATCH_… or 0.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: repr(C), `size` first; pointers and optional functions may have any bits, they are only carried.
unsafe impl Sized_ for tg_watch_options {
    members!(tg_watch_options: callback, user, release, flags, reserved);
    const DEFAULT: Self =
        tg_watch_options { size: 0, callback: None, user: null_mut(), release: None, flags: 0, reserved: 0 };
}

/// Watches a directory or a file for changes, from this call on. Of a directory it tells what happens to its entries; of a
/// file (through its directory) what happens to that name, so that a file which is replaced, as editors and log rotation
/// do, or removed and made again, stays watched. A symbolic link to a directory is followed, once; of one to a file the link's
/// own name is watched, not what it points to. A recursive watch reads the whole tree during this call, and each new directory
/// when it comes up; what it finds there is told as created. Each watch takes one of the user's inotify objects (usually 128),
/// each directory one of the user's watches. Changes that come too fast may be told together, and beyond what the system keeps (usually 16,384) they are lost
/// and TG_CHANGE_OVERFLOW says so. Changes made on another machine of a network file system are not seen.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned; `path` is read during the call.
/// Errors: TG_EINVAL (`path` or `out` is NULL; the path cannot be that of a file; TG_WATCH_RECURSIVE with TG_WATCH_FILE; unknown
/// flags; no callback; functions on a batch loop), TG_ENOTSUP (other systems than Linux), TG_ENOMEM, TG_ELIMIT, TG_ESTALE,
/// TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOENT, -ENOTDIR, -EACCES, -EMFILE (no more inotify objects or
/// descriptors), -ENOSPC (no more watches), -ENAMETOOLONG.
///
/// # Safety
/// `path` is NULL or a string; `options` is NULL or as large as its first member says; `out` is NULL or writable; the
/// functions may be called with `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_watch_open(
    loop_: tg_loop, path: *const c_char, options: *const tg_watch_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_watch_open(loop_, path, options, out), {
        // SAFETY: the caller's promise.
        let (path, options, out) = unsafe { (string(path), self::options(options), self::out(out)) };
        (|| {
            let (path, options, out) = (path?.to_bytes(), options?, out?);
            out.write(open(loop_, path, options)?);
            Ok(())
        })()
    })
}

fn open(loop_: tg_loop, path: &[u8], options: tg_watch_options) -> Result<tg_handle> {
    if options.reserved != 0 {
        return Err(Error::invalid("a reserved member is not 0"));
    }
    let (recursive, file) = (options.flags & TG_WATCH_RECURSIVE != 0, options.flags & TG_WATCH_FILE != 0);
    let known = TG_UNREF | TG_WATCH_RECURSIVE | TG_WATCH_FILE;
    let id = open_with!(loop_, options, Watch, known, |event_loop, user, referenced| {
        event_loop.watch_open(path, recursive, file, user, referenced)
    })?;
    Ok(id.raw())
}
