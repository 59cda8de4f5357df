//! Which thread is calling.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    static TOKEN: Cell<u64> = const { Cell::new(0) };
}

static LAST: AtomicU64 = AtomicU64::new(0);

/// A number for the calling thread: never 0, and never given to another one, also after this thread has ended.
#[inline]
pub fn token() -> u64 {
    TOKEN.with(|token| match token.get() {
        0 => first_use(token),
        known => known,
    })
}

#[cold]
fn first_use(token: &Cell<u64>) -> u64 {
    let fresh = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    token.set(fresh);
    fresh
}

/// How many processors this process may use.
#[cfg(target_os = "linux")]
pub fn processors() -> usize {
    // SAFETY: all zero is an empty set; the call writes to it as far as it is large.
    let (set, result) = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        let result = libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set);
        (set, result)
    };
    // Fails where there are more processors than the set has room for: then the number does not matter.
    // SAFETY: a set of ours.
    if result < 0 { 0 } else { unsafe { libc::CPU_COUNT(&set) as usize } }
}

/// How many processors this process may use.
#[cfg(not(target_os = "linux"))]
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}
