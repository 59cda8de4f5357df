//! A mutex that a forked child can take back.

use super::annotate;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// A short lock around `T`. Never held while user code runs or while a call waits.
pub struct Lock<T>(Mutex<T>);

/// The locked value.
pub struct Locked<'a, T> {
    guard: MutexGuard<'a, T>,
    name: usize,
}

impl<T> Lock<T> {
    /// An open lock.
    pub const fn new(value: T) -> Lock<T> {
        Lock(Mutex::new(value))
    }

    fn name(&self) -> usize {
        &raw const *self as usize
    }

    /// Waits for the lock.
    pub fn lock(&self) -> Locked<'_, T> {
        let guard = self.0.lock();
        annotate::happens_after(self.name());
        Locked { guard, name: self.name() }
    }

    /// In a forked child: when another thread of the parent held the lock at the fork, that thread does not exist here
    /// and may have left `T` half changed. The lock is opened and `T` replaced; the old value is leaked, not dropped.
    pub fn take_back_after_fork(&self, fresh: T) {
        match self.0.try_lock() {
            Some(mut guard) => *guard = fresh,
            None => self.break_open(fresh),
        }
    }

    /// The same, but a value that nobody was changing at the fork is kept.
    pub fn recover_after_fork(&self, fresh: impl FnOnce() -> T) {
        if self.0.try_lock().is_none() {
            self.break_open(fresh());
        }
    }

    fn break_open(&self, fresh: T) {
        // SAFETY: in a freshly forked child this is the only thread, so nobody else uses the value, and the holder
        // of the lock is gone. The old value is overwritten without being read.
        unsafe { std::ptr::write(self.0.data_ptr(), fresh) };
        // SAFETY: the lock is held, by a thread that does not exist in this process.
        unsafe { self.0.force_unlock() };
    }
}

/// Lets those who hold a lock wait until others have changed what it guards.
#[derive(Default)]
pub struct Bell(Condvar);

impl Bell {
    /// Gives the lock up until somebody rings; it is held again afterwards. May end without reason.
    pub fn wait<T>(&self, locked: &mut Locked<'_, T>) {
        annotate::happens_before(locked.name);
        self.0.wait(&mut locked.guard);
        annotate::happens_after(locked.name);
    }

    /// The same for at most so long; whether somebody rang.
    pub fn wait_for<T>(&self, locked: &mut Locked<'_, T>, most: Duration) -> bool {
        annotate::happens_before(locked.name);
        let timed_out = self.0.wait_for(&mut locked.guard, most).timed_out();
        annotate::happens_after(locked.name);
        !timed_out
    }

    /// Lets all go on who wait.
    pub fn ring(&self) {
        self.0.notify_all();
    }

    /// Lets one go on who waits.
    pub fn ring_one(&self) {
        self.0.notify_one();
    }
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<T> Drop for Locked<'_, T> {
    fn drop(&mut self) {
        annotate::happens_before(self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h13_a_lock_held_at_the_fork_is_taken_back_with_a_fresh_value() {
        // mutation: `take_back_after_fork` drops the old value, or leaves the lock shut.
        let lock = Lock::new(vec![1, 2, 3]);
        std::mem::forget(lock.lock());
        lock.take_back_after_fork(vec![9]);
        assert_eq!(*lock.lock(), vec![9]);
        lock.take_back_after_fork(Vec::new());
        assert!(lock.lock().is_empty());
    }
}
