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
