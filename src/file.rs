//! Chapter: files.

use crate::convert::{self, Sized_, options, out};
use crate::registry::{self, find_handle};
use crate::types::{tg_fd, tg_handle, tg_loop, tg_release_cb};
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::null_mut;
use tidegate_reactor::sys::file::OpenFlags;
use tidegate_reactor::{Error, Result};

/// Opens the handle of a file or of an operation in the loop that `$found` is.
macro_rules! open_file {
    ($found:expr, $options:expr, |$event_loop:ident, $user:ident, $referenced:ident| $open:expr) => {{
        let options = $options;
        if options.reserved != 0 {
            return Err(tidegate_reactor::Error::invalid("a reserved member is not 0"));
        }
        open_in!($found, options, File, $crate::types::TG_UNREF, |$event_loop, $user, $referenced| $open)
    }};
}

pub mod operations;
pub mod path;
pub(crate) mod results;

/// Flag: a file is opened for reading.
pub const TG_FILE_READ: u32 = 0x1;
/// Flag: a file is opened for writing.
pub const TG_FILE_WRITE: u32 = 0x2;
/// Flag: a file that is not there is made.
pub const TG_FILE_CREATE: u32 = 0x4;
/// Flag: only a file that is not there is taken. Needs TG_FILE_CREATE.
pub const TG_FILE_EXCLUSIVE: u32 = 0x8;
/// Flag: what is in the file is thrown away. Needs TG_FILE_WRITE.
pub const TG_FILE_TRUNCATE: u32 = 0x10;
/// Flag: every write goes to the file's end, whatever its offset. Needs TG_FILE_WRITE.
pub const TG_FILE_APPEND: u32 = 0x20;
/// Flag: only a directory is taken, to be synchronised for instance. Not with TG_FILE_CREATE.
pub const TG_FILE_DIRECTORY: u32 = 0x40;
/// Flag: a symbolic link is not followed.
pub const TG_FILE_NO_FOLLOW: u32 = 0x80;
/// Flag of tg_file_sync: what only describes the file (its times) need not be on the disk.
pub const TG_FILE_DATA_ONLY: u32 = 0x100;
/// In the `bits` of a TG_RECORD_FILE of tg_path_list, beside the number of entries: further records of the same handle bring
/// the rest.
pub const TG_FILE_MORE: u32 = 0x4000_0000;

/// Type of file: the file system does not tell.
pub const TG_TYPE_UNKNOWN: u32 = 0;
/// Type of file: bytes with positions.
pub const TG_TYPE_REGULAR: u32 = 1;
/// Type of file: a directory.
pub const TG_TYPE_DIRECTORY: u32 = 2;
/// Type of file: a symbolic link.
pub const TG_TYPE_LINK: u32 = 3;
/// Type of file: a named pipe.
pub const TG_TYPE_FIFO: u32 = 4;
/// Type of file: the name of a Unix socket.
pub const TG_TYPE_SOCKET: u32 = 5;
/// Type of file: a device of characters, such as a terminal.
pub const TG_TYPE_CHARACTER: u32 = 6;
/// Type of file: a device of blocks, such as a disk.
pub const TG_TYPE_BLOCK: u32 = 7;

/// What the system knows of a file. Times in nanoseconds since 1970.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_file_info {
    /// The size of this structure.
    pub size: usize,
    /// How many bytes are in it.
    pub file_size: u64,
    /// How many blocks of 512 bytes it occupies.
    pub blocks: u64,
    /// How many bytes are read and written best at a time.
    pub block_size: u64,
    /// Its number in its file system.
    pub inode: u64,
    /// Its file system.
    pub device: u64,
    /// How many names it has.
    pub links: u64,
    /// When it was last read, as far as the file system keeps that.
    pub accessed_ns: i64,
    /// When it was last written.
    pub modified_ns: i64,
    /// When any of this was last changed.
    pub changed_ns: i64,
    /// TG_TYPE_…
    pub file_type: u32,
    /// Its permissions, as in chmod.
    pub mode: u32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

// SAFETY: repr(C), and its members fill it (abi_layout.c checks the offsets).
unsafe impl crate::convert::Plain for tg_file_info {}

/// A name in a directory.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_file_entry {
    /// The name alone, with a zero behind it.
    pub name: *const c_char,
    /// Its length.
    pub name_length: u32,
    /// TG_TYPE_…
    pub file_type: u32,
}

/// How an operation has ended. Valid until the callback returns.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_file_result {
    /// The size of this structure.
    pub size: usize,
    /// How many bytes were read, written or copied, or how many entries there are; the descriptor that was opened; else 0.
    /// Bytes count even when an error has come after them.
    pub value: i64,
    /// Reads: the bytes.
    pub data: *const c_void,
    /// Lists: the entries.
    pub entries: *const tg_file_entry,
    /// Stats: the answer.
    pub info: *const tg_file_info,
    /// 0, or why not all was done: -errno, TG_ECANCELED, TG_ENOMEM, TG_EFORKED.
    pub status: c_int,
    /// 0.
    pub reserved: u32,
}

/// An operation on files is over, and its handle closes when the callback returns. Or a file was opened, and its handle
/// lives on if the status is 0.
pub type tg_file_cb =
    Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void, result: *const tg_file_result)>;

/// How a file or an operation shall be reported. Set up with `TG_FILE_OPTIONS_INIT`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_file_options {
    /// The size of the structure.
    pub size: usize,
    /// Whom to call at the end (NULL on a batch loop).
    pub callback: tg_file_cb,
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
unsafe impl Sized_ for tg_file_options {
    members!(tg_file_options: callback, user, release, flags, reserved);
    const DEFAULT: Self =
        tg_file_options { size: 0, callback: None, user: null_mut(), release: None, flags: 0, reserved: 0 };
}

/// What every function here does with its last two arguments: `open` makes a handle of the options.
///
/// # Safety
/// As [`options`] and [`out`].
unsafe fn opening(
    options: *const tg_file_options, out: *mut tg_handle, open: impl FnOnce(tg_file_options) -> Result<tg_handle>,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let (options, out) = unsafe { (self::options(options)?, self::out(out)?) };
    out.write(open(options)?);
    Ok(())
}

/// A path for another thread.
///
/// # Safety
/// As [`convert::string`].
unsafe fn path_of(text: *const c_char) -> Result<CString> {
    // SAFETY: the caller's promise.
    let text = unsafe { convert::string(text) }?;
    CString::from_vec_with_nul(copy_of(text.to_bytes_with_nul())?).map_err(|_| Error::NO_MEMORY)
}

/// Bytes for another thread.
fn copy_of(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// Opens a file on a thread of the loop's pool (that of tg_work_open). The callback gets status 0 and the descriptor as
/// value, and the file stays open until tg_close; or it gets the reason (-ENOENT, -EACCES, …), and the handle closes when
/// it returns. Operations may be asked for at once: they wait until the file is open, without occupying a thread, and end
/// with the same status if it cannot be. Once it is open the handle is not active: it keeps no run going.
///
/// `flags`: TG_FILE_READ, _WRITE or both, and _CREATE, _EXCLUSIVE, _TRUNCATE, _APPEND, _DIRECTORY, _NO_FOLLOW. `mode`: the
/// permissions of a file that is made, less the process's umask. Programs that are started do not inherit the descriptor.
/// What runs on the pool runs with the user and permissions that the process has at that time, not at the time of
/// the call. Opening a named pipe waits for its other end, and occupies a thread meanwhile.
///
/// tg_close is immediate; operations that were asked for before go on. The descriptor is closed on a thread of the pool when
/// the last of them is over, at the latest when tg_loop_free returns (in a call if no thread can be started). What closing
/// could report is lost: tg_file_sync reports it.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `path` is copied; `options->user` is the library's once 0 was returned.
/// Errors: TG_EINVAL (`path` or `out` is NULL; flags that are unknown or do not go together; `mode` has other bits than
/// 07777; no callback; functions on a batch loop), TG_ENOBUFS (max_jobs of the loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE,
/// TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EAGAIN (no thread can be started).
///
/// # Safety
/// `path` is NULL or a string; `options` is NULL or as large as its first member says; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_file_open(
    loop_: tg_loop, path: *const c_char, flags: u32, mode: u32, options: *const tg_file_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_file_open(loop_, path, flags, mode, options, out), {
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, |options| open(loop_, path_of(path)?, flags, mode, options)) }
    })
}

fn open(loop_: tg_loop, path: CString, flags: u32, mode: u32, options: tg_file_options) -> Result<tg_handle> {
    let known = TG_FILE_DATA_ONLY - 1;
    if flags & !known != 0 {
        return Err(Error::invalid("unknown flags"));
    }
    let has = |flag| flags & flag != 0;
    let flags = OpenFlags {
        read: has(TG_FILE_READ),
        write: has(TG_FILE_WRITE),
        create: has(TG_FILE_CREATE),
        exclusive: has(TG_FILE_EXCLUSIVE),
        truncate: has(TG_FILE_TRUNCATE),
        append: has(TG_FILE_APPEND),
        directory: has(TG_FILE_DIRECTORY),
        no_follow: has(TG_FILE_NO_FOLLOW),
        no_wait: false,
    };
    let id = open_file!(registry::find_loop(loop_)?, options, |event_loop, user, referenced| {
        event_loop.file_open(path, flags, mode, user, referenced)
    })?;
    Ok(id.raw())
}

/// Makes a file of a descriptor that is open already: one that was inherited, or standard input that comes from a file. It is
/// the file's from then on, and closed as tg_file_open says. There is no event: options may be NULL, a callback is never
/// called. Its flags are left alone. What may wait for ever (a terminal, a pipe) occupies a thread of the pool while it is
/// read, and tg_loop_free waits for that: watch those with tg_io_open instead.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `fd` and `options->user` are the library's once 0 was returned.
/// Errors: TG_EINVAL (`out` is NULL; unknown flags; functions on a batch loop), TG_EBADFD (`fd` is not open), TG_EEXIST (a
/// listener, connection or the like owns it), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
/// TG_EPANIC.
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable; nobody else closes `fd` any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_file_adopt(
    loop_: tg_loop, fd: tg_fd, options: *const tg_file_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_file_adopt(loop_, fd, options, out), {
        // SAFETY: the caller's promise.
        unsafe { opening(options, out, |options| adopt(loop_, fd, options)) }
    })
}

unsafe extern "C-unwind" fn nothing_to_tell(_self: tg_handle, _user: *mut c_void, _result: *const tg_file_result) {}

fn adopt(loop_: tg_loop, fd: tg_fd, mut options: tg_file_options) -> Result<tg_handle> {
    if options.callback.is_none() && registry::is_batch(loop_) == Ok(false) {
        options.callback = Some(nothing_to_tell);
    }
    let id = open_file!(registry::find_loop(loop_)?, options, |event_loop, user, referenced| {
        // SAFETY: found open, and given away by the caller of tg_file_adopt.
        event_loop.file_adopt(fd, || unsafe { convert::take_descriptor(fd) }, user, referenced)
    })?;
    Ok(id.raw())
}

/// The descriptor of a file, for calls that the library does not have. It stays the file's, and must not be closed.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL), TG_EBUSY (it is being opened), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
/// TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_file_get_fd(file: tg_handle, out: *mut tg_fd) -> c_int {
    guard!(tg_file_get_fd(file, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let (found, id) = find_handle(file)?;
            out.write(found.event_loop.file_fd(id)?);
            Ok(())
        })
    })
}
