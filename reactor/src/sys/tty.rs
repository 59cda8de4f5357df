//! Terminals and pipes: what can be done with them beside reading and writing.

use super::socket::{check, own};
use super::{Fd, errno};
use crate::base::error::{Error, Result};
use std::os::fd::{AsRawFd, OwnedFd};

/// In which directions a descriptor was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// It can be read.
    pub reads: bool,
    /// It can be written.
    pub writes: bool,
}

/// In which directions a descriptor was opened.
///
/// # Errors
/// [`Error::BAD_FD`].
pub fn access(fd: Fd) -> Result<Access> {
    // SAFETY: takes no pointers.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) }).map_err(|_| Error::BAD_FD)?;
    let mode = flags & libc::O_ACCMODE;
    Ok(Access { reads: mode != libc::O_WRONLY, writes: mode != libc::O_RDONLY })
}

/// The same terminal or pipe opened once more: O_NONBLOCK belongs to what was opened, and others may share that.
///
/// # Errors
/// [`Error::NOT_SUPPORTED`] for anything else, and where the system has no names for descriptors; the system's.
#[cfg(target_os = "linux")]
pub fn reopen(fd: &OwnedFd) -> Result<OwnedFd> {
    // SAFETY: all zero is a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a structure of ours.
    check(unsafe { libc::fstat(fd.as_raw_fd(), &mut stat) })?;
    let is_pipe = stat.st_mode & libc::S_IFMT == libc::S_IFIFO;
    if !is_pipe && (!is_tty(fd.as_raw_fd()) || is_master(fd.as_raw_fd())) {
        return Err(Error::NOT_SUPPORTED);
    }
    // SAFETY: takes no pointers.
    let mode = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })? & libc::O_ACCMODE;
    let path = format!("/proc/self/fd/{}\0", fd.as_raw_fd());
    let flags = mode | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
    // SAFETY: a string that ends with zero.
    own(unsafe { libc::open(path.as_ptr().cast(), flags) })
}

/// Where the system has no names for descriptors.
///
/// # Errors
/// [`Error::NOT_SUPPORTED`].
#[cfg(not(target_os = "linux"))]
pub fn reopen(_fd: &OwnedFd) -> Result<OwnedFd> {
    Err(Error::NOT_SUPPORTED)
}

/// Whether a descriptor is a terminal.
pub fn is_tty(fd: Fd) -> bool {
    // SAFETY: takes no pointers.
    unsafe { libc::isatty(fd) == 1 }
}

/// Whether a descriptor is the side of a terminal on which its window is drawn. Opened once more it is another terminal.
#[cfg(target_os = "linux")]
fn is_master(fd: Fd) -> bool {
    let mut number: libc::c_uint = 0;
    // SAFETY: a variable of ours; only masters have such a number.
    unsafe { libc::ioctl(fd, libc::TIOCGPTN, &mut number) == 0 }
}

/// How a terminal treats what is typed.
#[derive(Clone, Copy)]
pub struct Saved(libc::termios);

/// Makes a terminal hand over each key as it is typed, without echo; what to go back to.
///
/// # Errors
/// The system's: ENOTTY.
pub fn set_raw(fd: Fd) -> Result<Saved> {
    // SAFETY: all zero is a valid termios.
    let mut before: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: a structure of ours.
    check(unsafe { libc::tcgetattr(fd, &mut before) })?;
    let mut raw = before;
    // SAFETY: a structure of ours, filled above.
    unsafe { libc::cfmakeraw(&mut raw) };
    // Line feeds still return the carriage, or what a program prints becomes stairs.
    raw.c_oflag |= libc::OPOST;
    apply(fd, &Saved(raw))?;
    Ok(Saved(before))
}

/// Goes back.
///
/// # Errors
/// The system's.
pub fn apply(fd: Fd, saved: &Saved) -> Result<()> {
    loop {
        // At once, for waiting until all was written (TCSADRAIN) lasts as long as the terminal is stopped.
        // SAFETY: the structure lives through the call.
        if unsafe { libc::tcsetattr(fd, libc::TCSANOW, &saved.0) } == 0 {
            return Ok(());
        }
        if errno() != libc::EINTR {
            return Err(Error::os(errno()));
        }
    }
}

/// Columns and rows of a terminal.
///
/// # Errors
/// The system's: ENOTTY.
pub fn window_size(fd: Fd) -> Result<(u16, u16)> {
    // SAFETY: all zero is a valid winsize.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: a structure of ours.
    check(unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &mut size) })?;
    Ok((size.ws_col, size.ws_row))
}
