//! Systems without inotify.

use crate::base::error::{Error, Result};
use crate::sys::Fd;
use std::os::fd::OwnedFd;

/// Not to be had.
///
/// # Errors
/// [`Error::NOT_SUPPORTED`].
pub fn open() -> Result<OwnedFd> {
    Err(Error::NOT_SUPPORTED.because("changes of files cannot be watched on this system"))
}

/// Not to be had.
///
/// # Errors
/// [`Error::NOT_SUPPORTED`].
pub(super) fn add(_fd: Fd, _path: &[u8]) -> Result<i32> {
    Err(Error::NOT_SUPPORTED)
}

/// Not to be had.
///
/// # Errors
/// [`Error::NOT_SUPPORTED`].
pub(super) fn entries(_directory: OwnedFd) -> Result<Vec<(Vec<u8>, bool)>> {
    Err(Error::NOT_SUPPORTED)
}

/// Nothing special.
pub(super) const STEP: libc::c_int = 0;

/// Nothing to do.
pub fn remove(_fd: Fd, _watch: i32) {}

/// There are none.
///
/// # Errors
/// None.
pub fn read(_fd: Fd, _room: &mut [u8]) -> Result<usize> {
    Ok(0)
}

/// There are none.
pub fn pending(_fd: Fd) -> bool {
    false
}
