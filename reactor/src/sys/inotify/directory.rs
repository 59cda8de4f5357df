//! A directory that is open, so that it stays the same one whatever becomes of its names.

use super::imp;
use crate::base::error::{Error, Result};
use crate::sys::Fd;
use crate::sys::socket::{check, own};
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};

/// See the module. As long as one of a removed directory exists, the system does not tell of the removal.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: Vec<u8>,
}

/// What tells a directory from all others that are there at the time.
pub type Identity = (u64, u64);

impl Directory {
    /// Opens one by its path; symbolic links are followed.
    ///
    /// # Errors
    /// The system's: ENOENT, ENOTDIR, EACCES, EMFILE, ENAMETOOLONG.
    pub fn open(path: &[u8]) -> Result<Directory> {
        Ok(Directory { fd: open_at(libc::AT_FDCWD, path, 0)?, path: path.to_vec() })
    }

    /// Opens one below it, however far down; no symbolic link on the way is followed. The empty path is the directory itself.
    ///
    /// # Errors
    /// The system's: ENOENT, ENOTDIR, ELOOP, EACCES, EMFILE, ENAMETOOLONG for a single name.
    pub fn below(&self, path: &[u8]) -> Result<Directory> {
        let whole = [&self.path[..], path].join(&b'/');
        let mut names = if path.is_empty() { &b"."[..] } else { path }.split(|byte| *byte == b'/');
        let last = names.next_back().unwrap_or_default();
        // Name by name, so that none of them is a link's, and the whole may be longer than a system call takes.
        let above = names.try_fold(None, |at, name| self.next(at, name, imp::STEP).map(Some))?;
        Ok(Directory { fd: self.next(above, last, 0)?, path: whole })
    }

    fn next(&self, at: Option<OwnedFd>, name: &[u8], how: libc::c_int) -> Result<OwnedFd> {
        open_at(at.as_ref().unwrap_or(&self.fd).as_raw_fd(), name, libc::O_NOFOLLOW | how)
    }

    /// Which one it is.
    ///
    /// # Errors
    /// The system's.
    pub fn identity(&self) -> Result<Identity> {
        // SAFETY: all zero is a valid stat.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: room for the answer.
        check(unsafe { libc::fstat(self.fd.as_raw_fd(), &raw mut stat) })?;
        #[allow(clippy::unnecessary_cast, reason = "their types differ between systems")]
        Ok((stat.st_dev as u64, stat.st_ino as u64))
    }

    /// Watches it; its number.
    ///
    /// # Errors
    /// As [`add`](super::imp::add).
    pub fn watch(&self, watches: Fd) -> Result<i32> {
        self.by_name(|name| imp::add(watches, name))
    }

    /// What is in it: names, and whether each is a directory (not a symbolic link to one). It is read through its own
    /// descriptor, so that none more is needed, and closed.
    ///
    /// # Errors
    /// The system's, [`Error::NO_MEMORY`].
    pub fn entries(self) -> Result<Vec<(Vec<u8>, bool)>> {
        imp::entries(self.fd)
    }

    /// For calls that want a path.
    fn by_name<T>(&self, mut call: impl FnMut(&[u8]) -> Result<T>) -> Result<T> {
        let name = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        call(name.as_bytes()).or_else(|error| match -error.code() {
            // There is no /proc, or it is closed to a process that has changed its user.
            libc::ENOENT | libc::EACCES => call(&self.path),
            _ => Err(error),
        })
    }
}

fn open_at(from: Fd, path: &[u8], more: libc::c_int) -> Result<OwnedFd> {
    let path = CString::new(path).map_err(|_| Error::invalid("a zero in a path"))?;
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC | more;
    // SAFETY: a string that ends with a zero.
    own(unsafe { libc::openat(from, path.as_ptr(), flags) })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn no_link_on_the_way_is_followed() {
        // mutation: only the last name may be no link's.
        let path = std::env::temp_dir().join(format!("tidegate-beneath-{}", std::process::id()));
        std::fs::create_dir_all(path.join("real/deep/end")).unwrap();
        std::os::unix::fs::symlink("real", path.join("link")).unwrap();
        std::os::unix::fs::symlink("deep", path.join("real/in")).unwrap();
        let root = Directory::open(path.as_os_str().as_bytes()).unwrap();
        let end = Directory::open(path.join("real/deep/end").as_os_str().as_bytes()).unwrap().identity();
        assert_eq!(root.below(b"real/deep/end").unwrap().identity(), end);
        assert_eq!(root.below(b"").unwrap().identity(), root.identity());
        for name in [&b"link"[..], b"link/deep", b"real/in", b"real/in/end"] {
            let code = root.below(name).unwrap_err().code();
            assert!([-libc::ELOOP, -libc::ENOTDIR].contains(&code), "{code}");
        }
        std::fs::remove_dir_all(path).unwrap();
    }
}
