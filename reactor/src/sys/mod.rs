//! Everything that touches the operating system, and the only unsafe code of the engine.
//!
//! What the upper layers may call:
//!
//! | item | what it is |
//! |---|---|
//! | [`clock`] | the monotonic and the wall clock in nanoseconds; [`clock::WallWatch`] tells of jumps |
//! | [`fork`] | the number of forks this process has come through, without a system call |
//! | [`thread`] | a number for the calling thread that is never reused; how many processors there are |
//! | [`lock::Lock`] | a mutex that a forked child can take back |
//! | [`port`] | the thread-safe door of each loop: claim, wake, stop, pending signals |
//! | [`poller::Poller`] | register descriptors, wait for readiness, be woken |
//! | [`pool::Pool`] | threads for what would block |
//! | [`nest::Outer`] | the stable descriptor for nesting in a foreign loop |
//! | [`native::NativePoller`] | the operating system's own poller object with its own masks (Linux) |
//! | [`poll_once`] | wait for a set of descriptors once, without registering anything |
//! | [`signal`] | subscribe a loop to a signal, count deliveries |
//! | [`socket`] | make and name sockets; addresses as the system has them |
//! | [`stream`] | read, write, accept, connect, copy files to streams; never SIGPIPE |
//! | [`splice`] | move bytes from stream to stream inside the kernel |
//! | [`tty`] | terminals: mode and size; opening one anew |
//! | [`bound`] | listening sockets, and the files of Unix sockets |
//! | [`resolve`] | look up hosts and the names of addresses, which blocks |
//! | [`file`] | open, read, write, stat, copy: what waits for the disk |
//! | [`shared_file::SharedFile`] | an open file that operations on other threads share |
//! | [`process`] | start, watch, signal and reap processes |
//! | [`inotify`] | changes of files and directories, one raw event after another (Linux) |
//! | [`datagram`] | send and receive many datagrams a call; errors and who caused them |
//! | [`socket_options`] | options of sockets of several kinds; groups |
//! | [`annotate`] | tells helgrind about our synchronisation (test builds only) |
//!
//! Nothing else of this folder is visible above it.

pub mod annotate;
pub mod bound;
pub mod clock;
pub mod datagram;
pub mod file;
pub mod fork;
pub mod inotify;
pub mod lock;
#[cfg(target_os = "linux")]
pub mod native;
pub mod nest;
pub mod poll_once;
pub mod poller;
pub mod pool;
pub mod port;
pub mod process;
pub mod resolve;
pub mod shared_file;
pub mod signal;
pub mod socket;
pub mod socket_options;
pub mod splice;
pub mod stream;
pub mod thread;
pub mod tty;

use std::sync::atomic::{AtomicU64, Ordering};

/// A descriptor as the operating system numbers it.
#[cfg(unix)]
pub type Fd = std::os::fd::RawFd;
/// A descriptor as the operating system numbers it.
#[cfg(windows)]
pub type Fd = std::os::windows::io::RawSocket;

/// How many times this process has waited, by whatever means of this library.
static WAITS: AtomicU64 = AtomicU64::new(0);

/// How many times this process has waited, by whatever means of this library.
pub fn waits() -> u64 {
    WAITS.load(Ordering::Relaxed)
}

pub(crate) fn count_wait() {
    WAITS.fetch_add(1, Ordering::Relaxed);
}

#[cfg(unix)]
pub(crate) fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

#[cfg(unix)]
pub(crate) fn set_errno(value: i32) {
    #[cfg(target_os = "linux")]
    // SAFETY: the address of this thread's errno is valid for the thread's life.
    unsafe {
        *libc::__errno_location() = value;
    }
    #[cfg(any(target_os = "macos", target_os = "ios", target_os = "freebsd", target_os = "dragonfly"))]
    // SAFETY: as above.
    unsafe {
        *libc::__error() = value;
    }
    #[cfg(any(target_os = "netbsd", target_os = "openbsd", target_os = "android"))]
    // SAFETY: as above.
    unsafe {
        *libc::__errno() = value;
    }
}
