//! Have we come through a fork? Answered without a system call, in a signal handler too.
//!
//! On Linux a page of memory that the kernel wipes in a forked child (MADV_WIPEONFORK) holds the number of forks seen;
//! finding it wiped, a child takes the next number. It sees forks that bypass the C library as well. Elsewhere, and
//! where the kernel refuses the advice, `pthread_atfork` keeps the number.

use std::sync::atomic::{AtomicU64, Ordering};

static LAST: AtomicU64 = AtomicU64::new(1);

/// A number that is the same until the process forks, and then a new one in the child. Never 0.
#[inline]
pub fn epoch() -> u64 {
    let mark = mark();
    match mark.load(Ordering::Relaxed) {
        0 => after_fork(mark),
        epoch => epoch,
    }
}

/// The same without writing anything: `None` in a child that has not called [`epoch`] yet. For signal handlers.
pub fn known_epoch() -> Option<u64> {
    match mark().load(Ordering::Relaxed) {
        0 => None,
        epoch => Some(epoch),
    }
}

#[cold]
fn after_fork(mark: &AtomicU64) -> u64 {
    let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    match mark.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => next,
        Err(other) => other,
    }
}

#[cfg(unix)]
mod page {
    use super::{AtomicU64, LAST, Ordering};
    use std::sync::atomic::AtomicPtr;

    static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(std::ptr::null_mut());
    static FALLBACK: AtomicU64 = AtomicU64::new(1);

    #[inline]
    pub(super) fn mark() -> &'static AtomicU64 {
        let page = PAGE.load(Ordering::Acquire);
        if page.is_null() {
            return install();
        }
        // SAFETY: PAGE only ever holds a pointer to a mapping that is never unmapped, or to FALLBACK.
        unsafe { &*page }
    }

    #[cold]
    fn install() -> &'static AtomicU64 {
        let fresh = match wiped_page() {
            Some(page) => page,
            None => fallback(),
        };
        // Losing a race costs one page that stays mapped; both contenders then agree on the winner's.
        match PAGE.compare_exchange(std::ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: as in `mark`.
            Ok(_) => unsafe { &*fresh },
            // SAFETY: as in `mark`.
            Err(winner) => unsafe { &*winner },
        }
    }

    #[cfg(target_os = "linux")]
    fn wiped_page() -> Option<*mut AtomicU64> {
        const SIZE: usize = 4096;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh anonymous mapping; nothing existing is replaced.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), SIZE, protection, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: the mapping was just made and is SIZE bytes long (the kernel rounds up to its page size).
        if unsafe { libc::madvise(page, SIZE, libc::MADV_WIPEONFORK) } != 0 {
            return None;
        }
        let mark = page.cast::<AtomicU64>();
        // SAFETY: page-aligned, zeroed and ours.
        unsafe { (*mark).store(LAST.load(Ordering::Relaxed), Ordering::Relaxed) };
        Some(mark)
    }

    #[cfg(not(target_os = "linux"))]
    fn wiped_page() -> Option<*mut AtomicU64> {
        None
    }

    fn fallback() -> *mut AtomicU64 {
        extern "C" fn in_child() {
            FALLBACK.store(0, Ordering::Relaxed);
        }
        FALLBACK.store(LAST.load(Ordering::Relaxed), Ordering::Relaxed);
        // SAFETY: the handler only stores to an atomic.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        (&raw const FALLBACK).cast_mut()
    }
}

#[cfg(unix)]
use page::mark;

#[cfg(not(unix))]
fn mark() -> &'static AtomicU64 {
    &LAST
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn h57_a_child_sees_another_epoch() {
        // mutation: `wiped_page` leaves out the madvise.
        let here = epoch();
        assert_eq!(epoch(), here);
        // SAFETY: the child only reads memory and leaves by _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let first = known_epoch().is_none();
            let changed = epoch() != here && epoch() == epoch();
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(if first && changed { 0 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: waits for the child made above.
        unsafe { libc::waitpid(child, &mut status, 0) };
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0);
        assert_eq!(epoch(), here);
    }
}
