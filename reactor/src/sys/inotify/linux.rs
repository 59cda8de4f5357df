//! inotify.

use super::mask;
use crate::base::error::{Error, Result};
use crate::sys::{Fd, errno};
use std::ffi::CString;
use std::os::fd::{FromRawFd, OwnedFd};

/// A new object, without watches. It does not block.
///
/// # Errors
/// EMFILE: the process's descriptors, or the user's inotify objects, are used up.
pub fn open() -> Result<OwnedFd> {
    // SAFETY: flags only.
    let fd = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
    if fd < 0 {
        return Err(Error::os(errno()));
    }
    // SAFETY: just made, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Watches a directory; its number. One that is watched already keeps its number. Symbolic links are followed.
///
/// # Errors
/// The system's: ENOSPC when the user's watches are used up, ENOENT, ENOTDIR, EACCES.
pub(super) fn add(fd: Fd, path: &[u8]) -> Result<i32> {
    let path = CString::new(path).map_err(|_| Error::invalid("a zero in a path"))?;
    let told = mask::MODIFY | mask::ATTRIB | mask::MOVED_FROM | mask::MOVED_TO | mask::CREATE | mask::DELETE;
    let own = mask::DELETE_SELF | mask::MOVE_SELF;
    let how = libc::IN_ONLYDIR | libc::IN_EXCL_UNLINK;
    // SAFETY: a string that ends with a zero.
    let number = unsafe { libc::inotify_add_watch(fd, path.as_ptr(), told | own | how) };
    if number < 0 { Err(Error::os(errno())) } else { Ok(number) }
}

/// Ends a watch.
pub fn remove(fd: Fd, watch: i32) {
    // SAFETY: numbers. It fails when the watch has ended by itself.
    unsafe { libc::inotify_rm_watch(fd, watch) };
}

/// Takes events; how many bytes, 0 when there are none.
///
/// # Errors
/// The system's.
pub fn read(fd: Fd, room: &mut [u8]) -> Result<usize> {
    loop {
        // SAFETY: room for that many bytes.
        let got = unsafe { libc::read(fd, room.as_mut_ptr().cast(), room.len()) };
        if got >= 0 {
            return Ok(got as usize);
        }
        match errno() {
            libc::EINTR => {}
            libc::EAGAIN => return Ok(0),
            other => return Err(Error::os(other)),
        }
    }
}

/// Whether events are waiting.
pub fn pending(fd: Fd) -> bool {
    let mut bytes: libc::c_int = 0;
    // SAFETY: an int to write to.
    unsafe { libc::ioctl(fd, libc::FIONREAD, &mut bytes) == 0 && bytes > 0 }
}
