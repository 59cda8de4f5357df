//! Files: the calls that wait for the disk, made on the threads of a pool.
//!
//! All signals are blocked there. What a failed write sends to its own thread (SIGPIPE, SIGXFSZ) is taken away again, so
//! that the error is all that the program sees.

use super::socket::{check, own};
use super::{errno, signal};
use crate::base::error::{Error, Result};
use crate::base::file::{FileInfo, FileKind, Listing};
use libc::{c_int, off_t};
use std::ffi::{CStr, OsStr};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;

/// How a file shall be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct OpenFlags {
    pub read: bool,
    pub write: bool,
    pub create: bool,
    pub exclusive: bool,
    pub truncate: bool,
    pub append: bool,
    pub directory: bool,
    pub no_follow: bool,
    /// Opening and what follows does not wait, for the other end of a FIFO for instance.
    pub no_wait: bool,
}

impl OpenFlags {
    fn native(self) -> c_int {
        let access = match (self.read, self.write) {
            (_, false) => libc::O_RDONLY,
            (false, true) => libc::O_WRONLY,
            (true, true) => libc::O_RDWR,
        };
        let rest = [
            (self.create, libc::O_CREAT),
            (self.exclusive, libc::O_EXCL),
            (self.truncate, libc::O_TRUNC),
            (self.append, libc::O_APPEND),
            (self.directory, libc::O_DIRECTORY),
            (self.no_follow, libc::O_NOFOLLOW),
            (self.no_wait, libc::O_NONBLOCK),
        ];
        let rest = rest.iter().filter(|(wanted, _)| *wanted).fold(0, |all, (_, bit)| all | bit);
        // A terminal that is opened must not become the program's.
        access | rest | libc::O_CLOEXEC | libc::O_NOCTTY
    }
}

/// Where in a file an operation works; the current position, which it moves, without one.
pub type At = Option<i64>;

/// Why the last call failed; the signal that it has sent to this thread is taken away.
fn failure() -> Error {
    let error = errno();
    match error {
        libc::EPIPE => signal::take_own(libc::SIGPIPE),
        libc::EFBIG => signal::take_own(libc::SIGXFSZ),
        _ => {}
    }
    Error::os(error)
}

/// Repeats a call that a signal has cut off; its count.
fn retry(mut call: impl FnMut() -> isize) -> Result<usize> {
    loop {
        match usize::try_from(call()) {
            Ok(count) => return Ok(count),
            Err(_) if errno() == libc::EINTR => {}
            Err(_) => return Err(failure()),
        }
    }
}

/// The same for calls that answer 0.
fn retry_code(mut call: impl FnMut() -> c_int) -> Result<()> {
    retry(|| call() as isize).map(drop)
}

/// Opens a file that programs which are started do not inherit.
///
/// # Errors
/// The system's.
pub fn open(path: &CStr, flags: OpenFlags, mode: u32) -> Result<OwnedFd> {
    // SAFETY: the path lives through the call.
    let fd = retry(|| unsafe { libc::open(path.as_ptr(), flags.native(), mode) as isize })?;
    own(fd as c_int)
}

/// Whether a number is that of an open descriptor.
pub fn is_open(fd: super::Fd) -> bool {
    // SAFETY: takes no pointers.
    check(unsafe { libc::fcntl(fd, libc::F_GETFD) }).is_ok()
}

/// One read; 0 at the end.
///
/// # Errors
/// The system's.
pub fn read(fd: &OwnedFd, room: &mut [MaybeUninit<u8>], at: At) -> Result<usize> {
    // A file has nothing beyond the largest position; the system would refuse to look there.
    let most = at.map_or(usize::MAX, |at| usize::try_from(i64::MAX - at).unwrap_or(usize::MAX));
    let (raw, to, length) = (fd.as_raw_fd(), room.as_mut_ptr().cast(), room.len().min(most));
    retry(|| match at {
        // SAFETY: room of ours that lives through the call.
        Some(at) => unsafe { libc::pread(raw, to, length, at as off_t) },
        // SAFETY: as above.
        None => unsafe { libc::read(raw, to, length) },
    })
}

/// One read behind what a buffer has, at most up to `length` bytes in all, for which it must have room.
///
/// # Errors
/// The system's.
pub fn read_on(fd: &OwnedFd, buffer: &mut Vec<u8>, length: usize, at: At) -> Result<usize> {
    let begin = buffer.len();
    let room = buffer.spare_capacity_mut();
    let most = length.saturating_sub(begin).min(room.len());
    let count = read(fd, &mut room[..most], at)?.min(most);
    // SAFETY: the system has written that many of the bytes behind the old length.
    unsafe { buffer.set_len(begin + count) };
    Ok(count)
}

/// One write.
///
/// # Errors
/// The system's.
pub fn write(fd: &OwnedFd, bytes: &[u8], at: At) -> Result<usize> {
    let (raw, from, length) = (fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len());
    retry(|| match at {
        // SAFETY: bytes of ours that live through the call.
        Some(at) => unsafe { libc::pwrite(raw, from, length, at as off_t) },
        // SAFETY: as above.
        None => unsafe { libc::write(raw, from, length) },
    })
}

/// Waits until what was written is on the disk; `data_only`: without what only describes the file.
///
/// # Errors
/// The system's: EIO and ENOSPC of writes that were answered long ago, EINVAL for what has no disk.
pub fn sync(fd: &OwnedFd, data_only: bool) -> Result<()> {
    let raw = fd.as_raw_fd();
    #[cfg(any(target_os = "macos", target_os = "ios"))]
    let data_only = data_only && false;
    retry_code(|| {
        #[cfg(not(any(target_os = "macos", target_os = "ios")))]
        if data_only {
            // SAFETY: takes no pointers.
            return unsafe { libc::fdatasync(raw) };
        }
        // SAFETY: takes no pointers.
        unsafe { libc::fsync(raw) }
    })
}

/// Sets the permissions of an open file.
///
/// # Errors
/// The system's: EPERM, EROFS.
pub fn set_mode(fd: &OwnedFd, mode: u32) -> Result<()> {
    let raw = fd.as_raw_fd();
    // SAFETY: takes no pointers.
    retry_code(|| unsafe { libc::fchmod(raw, mode as libc::mode_t) })
}

/// Cuts a file off, or lengthens it with zeroes.
///
/// # Errors
/// The system's: EFBIG, EINVAL for what has no length.
pub fn truncate(fd: &OwnedFd, size: i64) -> Result<()> {
    let raw = fd.as_raw_fd();
    // SAFETY: takes no pointers.
    retry_code(|| unsafe { libc::ftruncate(raw, size as off_t) })
}

fn stat_with(call: impl FnOnce(*mut libc::stat) -> c_int) -> Result<FileInfo> {
    let mut raw = MaybeUninit::<libc::stat>::zeroed();
    check(call(raw.as_mut_ptr()))?;
    // SAFETY: all zero is valid, and the system has filled it in.
    let raw = unsafe { raw.assume_init() };
    // The members' types differ from system to system.
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
    Ok(FileInfo {
        kind: kind_of_mode(raw.st_mode as u32),
        mode: raw.st_mode as u32 & 0o7777,
        file_size: raw.st_size as u64,
        inode: raw.st_ino as u64,
        device: raw.st_dev as u64,
        links: raw.st_nlink as u64,
        uid: raw.st_uid as u32,
        gid: raw.st_gid as u32,
        blocks: raw.st_blocks as u64,
        block_size: raw.st_blksize as u64,
        accessed_ns: ns(raw.st_atime as i64, raw.st_atime_nsec as i64),
        modified_ns: ns(raw.st_mtime as i64, raw.st_mtime_nsec as i64),
        changed_ns: ns(raw.st_ctime as i64, raw.st_ctime_nsec as i64),
    })
}

fn ns(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

fn kind_of_mode(mode: u32) -> FileKind {
    #[allow(clippy::unnecessary_cast)]
    match mode & libc::S_IFMT as u32 {
        kind if kind == libc::S_IFREG as u32 => FileKind::Regular,
        kind if kind == libc::S_IFDIR as u32 => FileKind::Directory,
        kind if kind == libc::S_IFLNK as u32 => FileKind::Link,
        kind if kind == libc::S_IFIFO as u32 => FileKind::Fifo,
        kind if kind == libc::S_IFSOCK as u32 => FileKind::Socket,
        kind if kind == libc::S_IFCHR as u32 => FileKind::Character,
        kind if kind == libc::S_IFBLK as u32 => FileKind::Block,
        _ => FileKind::Unknown,
    }
}

/// What the system knows of an open file.
///
/// # Errors
/// The system's.
pub fn stat(fd: &OwnedFd) -> Result<FileInfo> {
    // SAFETY: room for the answer.
    stat_with(|raw| unsafe { libc::fstat(fd.as_raw_fd(), raw) })
}

/// What the system knows of a name; of a symbolic link itself unless it is to be followed.
///
/// # Errors
/// The system's: ENOENT, EACCES.
pub fn stat_path(path: &CStr, follow: bool) -> Result<FileInfo> {
    // SAFETY: the path lives through the call, and there is room for the answer.
    stat_with(|raw| unsafe { if follow { libc::stat(path.as_ptr(), raw) } else { libc::lstat(path.as_ptr(), raw) } })
}

/// Gives a file another name, which what had that name loses.
///
/// # Errors
/// The system's: ENOENT, EXDEV, EACCES.
pub fn rename(from: &CStr, to: &CStr) -> Result<()> {
    // SAFETY: both paths live through the call.
    retry_code(|| unsafe { libc::rename(from.as_ptr(), to.as_ptr()) })
}

/// Removes a name that is not a directory's.
///
/// # Errors
/// The system's: ENOENT, EISDIR, EACCES.
pub fn unlink(path: &CStr) -> Result<()> {
    // SAFETY: the path lives through the call.
    retry_code(|| unsafe { libc::unlink(path.as_ptr()) })
}

/// Makes a directory.
///
/// # Errors
/// The system's: EEXIST, ENOENT, EACCES.
pub fn make_directory(path: &CStr, mode: u32) -> Result<()> {
    // SAFETY: the path lives through the call.
    retry_code(|| unsafe { libc::mkdir(path.as_ptr(), mode as libc::mode_t) })
}

/// Removes an empty directory.
///
/// # Errors
/// The system's: ENOTEMPTY, ENOENT, EACCES.
pub fn remove_directory(path: &CStr) -> Result<()> {
    // SAFETY: the path lives through the call.
    retry_code(|| unsafe { libc::rmdir(path.as_ptr()) })
}

/// What is in a directory, without itself and its parent, in the system's order, in pieces of at most so many bytes.
///
/// # Errors
/// [`Error::NO_MEMORY`], the system's: ENOENT, ENOTDIR, EACCES.
pub fn list(path: &CStr, most: usize) -> Result<Listing> {
    let mut listing = Listing::default();
    for entry in std::fs::read_dir(OsStr::from_bytes(path.to_bytes()))? {
        let entry = entry?;
        // Another process may have removed it meanwhile.
        let kind = entry.file_type().map_or(FileKind::Unknown, kind_of_type);
        listing.push(entry.file_name().as_bytes(), kind, most)?;
    }
    Ok(listing)
}

fn kind_of_type(kind: std::fs::FileType) -> FileKind {
    match () {
        () if kind.is_file() => FileKind::Regular,
        () if kind.is_dir() => FileKind::Directory,
        () if kind.is_symlink() => FileKind::Link,
        () if kind.is_fifo() => FileKind::Fifo,
        () if kind.is_socket() => FileKind::Socket,
        () if kind.is_char_device() => FileKind::Character,
        () if kind.is_block_device() => FileKind::Block,
        () => FileKind::Unknown,
    }
}

/// Moves bytes from file to file inside the system, as many as it likes; 0 at the end.
///
/// # Errors
/// The system's, among them that these two files cannot be copied in this way.
#[cfg(target_os = "linux")]
pub fn copy_range(from: &OwnedFd, from_at: At, to: &OwnedFd, to_at: At, length: usize) -> Result<usize> {
    let (mut from_at, mut to_at) = (from_at, to_at);
    let place = |at: &mut At| at.as_mut().map_or(std::ptr::null_mut(), |at| &raw mut *at);
    let (from_at, to_at) = (place(&mut from_at), place(&mut to_at));
    // SAFETY: the two places are NULL or live through the call.
    retry(|| unsafe { libc::copy_file_range(from.as_raw_fd(), from_at, to.as_raw_fd(), to_at, length, 0) })
}

/// The same in the older way, to the current position of any kind of descriptor.
///
/// # Errors
/// As [`copy_range`].
#[cfg(target_os = "linux")]
pub fn send_range(from: &OwnedFd, from_at: At, to: &OwnedFd, length: usize) -> Result<usize> {
    let mut from_at = from_at;
    let from_at = from_at.as_mut().map_or(std::ptr::null_mut(), |at| &raw mut *at);
    // SAFETY: the place is NULL or lives through the call.
    retry(|| unsafe { libc::sendfile(to.as_raw_fd(), from.as_raw_fd(), from_at, length) })
}

/// Other systems copy through memory.
///
/// # Errors
/// ENOSYS.
#[cfg(not(target_os = "linux"))]
pub fn copy_range(_from: &OwnedFd, _from_at: At, _to: &OwnedFd, _to_at: At, _length: usize) -> Result<usize> {
    Err(Error::os(libc::ENOSYS))
}

/// Other systems copy through memory.
///
/// # Errors
/// ENOSYS.
#[cfg(not(target_os = "linux"))]
pub fn send_range(_from: &OwnedFd, _from_at: At, _to: &OwnedFd, _length: usize) -> Result<usize> {
    Err(Error::os(libc::ENOSYS))
}
