//! Chapter: version and process.

use crate::convert::{Sized_, sized_out};
use crate::registry;
use std::ffi::{c_char, c_int};
use tidegate_reactor::sys;

/// What the process has of this library.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_process_stats {
    /// Set by the caller to the size of the structure.
    pub size: usize,
    /// Loops that are not freed.
    pub live_loops: u64,
    /// Pollers that are not freed.
    pub live_pollers: u64,
    /// How often loops, pollers and tg_poll_once have waited since the process began.
    pub waits: u64,
}

// SAFETY: repr(C), `size` first, integers only.
unsafe impl Sized_ for tg_process_stats {
    members!(tg_process_stats: live_loops, live_pollers, waits);
    const DEFAULT: Self = tg_process_stats { size: 0, live_loops: 0, live_pollers: 0, waits: 0 };
}

const NAME: &[u8] = concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes();

/// The version of the library that is running: "major.minor.patch". Compare with TG_VERSION, that of the header.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: the text is static.
/// Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn tg_version() -> *const c_char {
    total!(tg_version, c"".as_ptr(), NAME.as_ptr().cast())
}

/// The same as a number: major << 16 | minor << 8 | patch. Compare with TG_VERSION_NUMBER.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Errors: none; 0 after an internal failure.
#[unsafe(no_mangle)]
pub extern "C" fn tg_version_number() -> u32 {
    total!(tg_version_number, 0, {
        let part = |text: &str| text.parse::<u32>().unwrap_or(0);
        let major = part(env!("CARGO_PKG_VERSION_MAJOR"));
        let minor = part(env!("CARGO_PKG_VERSION_MINOR"));
        (major << 16) | (minor << 8) | part(env!("CARGO_PKG_VERSION_PATCH"))
    })
}

/// What the loops of this build wait with: "epoll", "kqueue" or "iocp".
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: the text is static.
/// Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn tg_backend_name() -> *const c_char {
    total!(tg_backend_name, c"".as_ptr(), {
        if cfg!(target_os = "linux") {
            c"epoll".as_ptr()
        } else if cfg!(windows) {
            c"iocp".as_ptr()
        } else {
            c"kqueue".as_ptr()
        }
    })
}

/// Counts of the whole process, for tests and for finding leaks. `out->size` is set by the caller.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL, or its size is not set), TG_EPANIC.
///
/// # Safety
/// `out` is NULL or as large as its first member says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_get_process_stats(out: *mut tg_process_stats) -> c_int {
    guard!(tg_get_process_stats(out), {
        // SAFETY: the caller's promise.
        unsafe { sized_out(out) }.map(|out| {
            let (live_loops, live_pollers) = registry::count();
            out.write(tg_process_stats { size: 0, live_loops, live_pollers, waits: sys::waits() });
        })
    })
}

/// The monotonic clock in nanoseconds: what deadlines are measured by. It stands still while the machine is suspended.
///
/// Thread: any, and signal handlers.
/// Callable from callbacks: yes.
/// Errors: none; 0 after an internal failure.
#[unsafe(no_mangle)]
pub extern "C" fn tg_now_ns() -> i64 {
    total!(tg_now_ns, 0, sys::clock::monotonic_ns())
}
