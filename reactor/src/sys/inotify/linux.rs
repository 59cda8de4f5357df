//! inotify.

use super::mask;
use crate::base::error::{Error, Result};
use crate::sys::{Fd, errno};
use std::borrow::Cow;
use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The longest path that a system call takes, without the zero at its end.
const LONGEST: usize = libc::PATH_MAX as usize - 1;

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

/// Watches a directory; its number. One that is watched already keeps its number. `follow`: a symbolic link is followed.
///
/// # Errors
/// The system's: ENOSPC when the user's watches are used up, ENOENT, ENOTDIR, EACCES.
pub fn add(fd: Fd, path: &[u8], follow: bool) -> Result<i32> {
    let (path, held) = shortened(path)?;
    let path = text(&path)?;
    let told = mask::MODIFY | mask::ATTRIB | mask::MOVED_FROM | mask::MOVED_TO | mask::CREATE | mask::DELETE;
    let own = mask::DELETE_SELF | mask::MOVE_SELF;
    let how = libc::IN_ONLYDIR | libc::IN_EXCL_UNLINK | if follow || held.is_some() { 0 } else { libc::IN_DONT_FOLLOW };
    // SAFETY: a string that ends with a zero.
    let number = unsafe { libc::inotify_add_watch(fd, path.as_ptr(), told | own | how) };
    if number < 0 { Err(Error::os(errno())) } else { Ok(number) }
}

fn text(path: &[u8]) -> Result<CString> {
    CString::new(path).map_err(|_| Error::invalid("a zero in a path"))
}

/// A path that system calls take. A directory whose own is too long is opened piece by piece and has a short one while it
/// is open.
///
/// # Errors
/// The system's: ENAMETOOLONG for one long name, ENOENT, ENOTDIR, EACCES, EMFILE.
pub(super) fn shortened(path: &[u8]) -> Result<(Cow<'_, [u8]>, Option<OwnedFd>)> {
    if path.len() <= LONGEST {
        return Ok((Cow::Borrowed(path), None));
    }
    let (mut rest, mut held) = (path, None);
    while rest.len() > LONGEST {
        let cut = rest[..=LONGEST].iter().rposition(|byte| *byte == b'/').filter(|at| *at > 0);
        let cut = cut.ok_or(Error::os(libc::ENAMETOOLONG))?;
        held = Some(open_below(held.as_ref(), &rest[..cut])?);
        rest = &rest[cut + 1..];
    }
    let last = open_below(held.as_ref(), rest)?;
    Ok((Cow::Owned(format!("/proc/self/fd/{}", last.as_raw_fd()).into_bytes()), Some(last)))
}

/// Opens a directory, by its path from another one, to be a place only.
fn open_below(from: Option<&OwnedFd>, path: &[u8]) -> Result<OwnedFd> {
    let path = text(path)?;
    let from = from.map_or(libc::AT_FDCWD, AsRawFd::as_raw_fd);
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: a string that ends with a zero.
    let fd = unsafe { libc::openat(from, path.as_ptr(), flags) };
    if fd < 0 {
        return Err(Error::os(errno()));
    }
    // SAFETY: just opened, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
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
