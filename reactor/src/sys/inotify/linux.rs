//! inotify.

use super::mask;
use crate::base::error::{Error, Result};
use crate::sys::{Fd, errno, set_errno};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::ptr::NonNull;

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

/// How a directory is opened that lies on the way to another one: it must be entered, but need not be readable.
pub(super) const STEP: libc::c_int = libc::O_PATH;

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

/// What is in a directory: names, and whether each is a directory (not a symbolic link to one).
///
/// # Errors
/// The system's, [`Error::NO_MEMORY`].
pub(super) fn entries(directory: OwnedFd) -> Result<Vec<(Vec<u8>, bool)>> {
    let (number, mut listing) = (directory.as_raw_fd(), Listing::open(directory)?);
    let mut all = Vec::new();
    while let Some((name, kind)) = listing.next()? {
        if name != c"." && name != c".." {
            all.try_reserve(1)?;
            all.push((name.to_bytes().to_vec(), names_directory(number, name, kind)?));
        }
    }
    Ok(all)
}

/// A directory that is being read. Its descriptor is the C library's.
struct Listing(NonNull<libc::DIR>);

impl Listing {
    fn open(directory: OwnedFd) -> Result<Listing> {
        // SAFETY: a descriptor that is ours to give away.
        let opened =
            NonNull::new(unsafe { libc::fdopendir(directory.as_raw_fd()) }).ok_or_else(|| Error::os(errno()))?;
        // It is closed with the listing from now on.
        let _ = directory.into_raw_fd();
        Ok(Listing(opened))
    }

    /// The next name, and what it is if the file system says so. The name is there until the next call.
    fn next(&mut self) -> Result<Option<(&CStr, u8)>> {
        loop {
            set_errno(0);
            // SAFETY: open as long as `self` is.
            let entry = unsafe { libc::readdir64(self.0.as_ptr()) };
            if !entry.is_null() {
                // SAFETY: an entry whose name ends with a zero. It may be shorter than its type says: no reference to it.
                return Ok(Some(unsafe { (CStr::from_ptr((&raw const (*entry).d_name).cast()), (*entry).d_type) }));
            }
            match errno() {
                0 => return Ok(None),
                libc::EINTR => {}
                other => return Err(Error::os(other)),
            }
        }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        // SAFETY: open, and nobody uses it any more.
        unsafe { libc::closedir(self.0.as_ptr()) };
    }
}

/// Some file systems do not say of what kind their entries are.
fn names_directory(directory: Fd, name: &CStr, kind: u8) -> Result<bool> {
    if kind != libc::DT_UNKNOWN {
        return Ok(kind == libc::DT_DIR);
    }
    // SAFETY: all zero is a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a string that ends with a zero, and room for the answer.
    if unsafe { libc::fstatat(directory, name.as_ptr(), &raw mut stat, libc::AT_SYMLINK_NOFOLLOW) } == 0 {
        return Ok(stat.st_mode & libc::S_IFMT == libc::S_IFDIR);
    }
    match errno() {
        // It has vanished, or could not be entered anyway.
        libc::ENOENT | libc::EACCES => Ok(false),
        other => Err(Error::os(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_system_does_not_say_of_an_entry_is_looked_for() {
        // mutation: an unknown kind is no directory's; the link is followed.
        let path = std::env::temp_dir().join(format!("tidegate-kinds-{}", std::process::id()));
        std::fs::create_dir_all(path.join("d")).unwrap();
        std::os::unix::fs::symlink("d", path.join("link")).unwrap();
        std::fs::write(path.join("file"), "").unwrap();
        let open = || OwnedFd::from(std::fs::File::open(&path).unwrap());
        let directory = open();
        for (name, expected) in [(c"d", true), (c"link", false), (c"file", false), (c"none", false)] {
            assert_eq!(names_directory(directory.as_raw_fd(), name, libc::DT_UNKNOWN), Ok(expected), "{name:?}");
        }
        let mut all = entries(open()).unwrap();
        all.sort();
        let expected = [("d", true), ("file", false), ("link", false)];
        assert_eq!(all, expected.map(|(name, is)| (name.as_bytes().to_vec(), is)));
        std::fs::remove_dir_all(path).unwrap();
    }
}
