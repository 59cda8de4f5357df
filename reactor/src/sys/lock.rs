//! A mutex that a forked child can take back.
//!
//! It is the standard library's, whose whole state is in its own words (where the system has futexes). One that keeps its
//! waiting threads in a table of the process will not do: the child inherits entries of threads that it does not have, and a
//! new thread with the memory of an old one is then queued twice.

use super::annotate;
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// A short lock around `T`. Never held while user code runs or while a call waits.
pub struct Lock<T>(UnsafeCell<Mutex<T>>);

// SAFETY: the cell is only written in a freshly forked child, by its only thread.
unsafe impl<T: Send> Sync for Lock<T> {}

/// The locked value.
pub struct Locked<'a, T> {
    /// `None` only while a bell has it.
    guard: Option<MutexGuard<'a, T>>,
    name: usize,
}

impl<T> Lock<T> {
    /// An open lock.
    pub const fn new(value: T) -> Lock<T> {
        Lock(UnsafeCell::new(Mutex::new(value)))
    }

    fn name(&self) -> usize {
        &raw const *self as usize
    }

    /// Waits for the lock.
    pub fn lock(&self) -> Locked<'_, T> {
        let guard = Some(self.mutex().lock().unwrap_or_else(PoisonError::into_inner));
        annotate::happens_after(self.name());
        Locked { guard, name: self.name() }
    }

    fn mutex(&self) -> &Mutex<T> {
        // SAFETY: as for Sync above.
        unsafe { &*self.0.get() }
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.mutex().try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// In a forked child: when another thread of the parent held the lock at the fork, that thread does not exist here
    /// and may have left `T` half changed. The lock is opened and `T` replaced; the old value is leaked, not dropped.
    pub fn take_back_after_fork(&self, fresh: T) {
        match self.try_lock() {
            Some(mut guard) => *guard = fresh,
            None => self.break_open(fresh),
        }
    }

    /// The same, but a value that nobody was changing at the fork is kept.
    pub fn recover_after_fork(&self, fresh: impl FnOnce() -> T) {
        if self.try_lock().is_none() {
            self.break_open(fresh());
        }
    }

    fn break_open(&self, fresh: T) {
        // SAFETY: in a freshly forked child this is the only thread, so nobody else uses the mutex, and the holder is gone.
        // The old value is overwritten without being read.
        unsafe { std::ptr::write(self.0.get(), Mutex::new(fresh)) };
    }
}

/// Lets those who hold a lock wait until others have changed what it guards.
#[derive(Default)]
pub struct Bell(Condvar);

impl Bell {
    /// Gives the lock up until somebody rings; it is held again afterwards. May end without reason.
    pub fn wait<T>(&self, locked: &mut Locked<'_, T>) {
        annotate::happens_before(locked.name);
        locked.guard = locked.guard.take().map(|guard| self.0.wait(guard).unwrap_or_else(PoisonError::into_inner));
        annotate::happens_after(locked.name);
    }

    /// The same for at most so long; whether somebody rang.
    pub fn wait_for<T>(&self, locked: &mut Locked<'_, T>, most: Duration) -> bool {
        annotate::happens_before(locked.name);
        let mut timed_out = false;
        if let Some(guard) = locked.guard.take() {
            let (guard, result) = self.0.wait_timeout(guard, most).unwrap_or_else(PoisonError::into_inner);
            (locked.guard, timed_out) = (Some(guard), result.timed_out());
        }
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
        match &self.guard {
            Some(guard) => guard,
            None => unreachable!("a bell that has the guard has the lock, too"),
        }
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.guard {
            Some(guard) => guard,
            None => unreachable!("as above"),
        }
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
