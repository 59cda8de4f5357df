//! Clocks, in nanoseconds.

/// The monotonic clock. It does not advance while the machine is suspended (CLOCK_MONOTONIC).
#[inline]
pub fn monotonic_ns() -> i64 {
    read(Which::Monotonic)
}

/// The wall clock: nanoseconds since 1970, which jumps when somebody sets it.
pub fn wall_ns() -> i64 {
    read(Which::Wall)
}

enum Which {
    Monotonic,
    Wall,
}

#[cfg(unix)]
#[inline]
fn read(which: Which) -> i64 {
    let clock = match which {
        Which::Monotonic => libc::CLOCK_MONOTONIC,
        Which::Wall => libc::CLOCK_REALTIME,
    };
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec of ours that lives through the call. These two clocks always exist.
    unsafe { libc::clock_gettime(clock, &mut now) };
    // The fields are narrower on other systems.
    #[allow(clippy::unnecessary_cast)]
    let (seconds, nanoseconds) = (now.tv_sec as i64, now.tv_nsec as i64);
    seconds * 1_000_000_000 + nanoseconds
}

#[cfg(not(unix))]
fn read(which: Which) -> i64 {
    use std::sync::OnceLock;
    use std::time::{Instant, SystemTime};
    static START: OnceLock<Instant> = OnceLock::new();
    let since = match which {
        Which::Monotonic => START.get_or_init(Instant::now).elapsed(),
        Which::Wall => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
    };
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(target_os = "linux")]
pub use watch::WallWatch;

#[cfg(target_os = "linux")]
mod watch {
    use crate::base::error::{Error, Result};
    use crate::sys::{Fd, errno};
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    /// A descriptor that becomes readable when somebody sets the wall clock.
    pub struct WallWatch(OwnedFd);

    impl WallWatch {
        /// Begins to watch.
        pub fn new() -> Result<WallWatch> {
            // SAFETY: takes no pointers.
            let fd = unsafe { libc::timerfd_create(libc::CLOCK_REALTIME, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
            if fd < 0 {
                return Err(Error::os(errno()));
            }
            // SAFETY: `fd` was just made and has no other owner.
            let watch = WallWatch(unsafe { OwnedFd::from_raw_fd(fd) });
            watch.arm()?;
            Ok(watch)
        }

        /// The descriptor to wait on.
        pub fn fd(&self) -> Fd {
            self.0.as_raw_fd()
        }

        /// Watches for the next jump. Called after each report.
        ///
        /// A timer of the far future that the kernel cancels when the clock is set (TFD_TIMER_CANCEL_ON_SET): the
        /// cancellation is what makes the descriptor readable.
        pub fn arm(&self) -> Result<()> {
            let far = libc::itimerspec {
                it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
                it_value: libc::timespec { tv_sec: i64::MAX / 1_000_000_000, tv_nsec: 0 },
            };
            let mut count = [0u8; 8];
            // SAFETY: `count` is 8 bytes of ours; the descriptor does not block.
            unsafe { libc::read(self.fd(), count.as_mut_ptr().cast(), count.len()) };
            let flags = libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET;
            // SAFETY: `far` lives through the call; no old value is asked for.
            let result = unsafe { libc::timerfd_settime(self.fd(), flags, &far, std::ptr::null_mut()) };
            if result < 0 { Err(Error::os(errno())) } else { Ok(()) }
        }
    }
}
