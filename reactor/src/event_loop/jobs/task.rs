//! A job's way there and back: what a thread is given, and the list in which it leaves what became of it.

use super::Outcome;
use crate::base::error::Error;
use crate::base::id::Id;
use crate::sys::lock::Lock;
use crate::sys::port::port;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub(super) type Run = Box<dyn FnOnce() -> Outcome + Send>;

/// What the thread and the loop share of one job.
pub(in crate::event_loop) struct Task {
    pub(super) id: Id,
    /// See [`Needs`](super::Needs).
    pub(super) bytes: u64,
    /// Taken by whoever comes first: the thread that runs it, or the loop that cancels it.
    pub(super) run: Lock<Option<Run>>,
    pub(super) outcome: Lock<Option<Outcome>>,
}

/// Where threads leave what has ended.
pub(super) struct Ended {
    pub(super) tasks: Lock<Vec<Arc<Task>>>,
    /// Jobs that no thread has looked at yet, those that were cancelled meanwhile included.
    pub(super) queued: AtomicUsize,
    pub(super) pending: AtomicBool,
    pub(super) owner: Id,
}

impl Task {
    pub(super) fn run(self: Arc<Task>, ended: &Ended) {
        ended.queued.fetch_sub(1, Ordering::Relaxed);
        let Some(run) = self.run.lock().take() else { return };
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        let outcome = caught.unwrap_or_else(|payload| {
            // Dropping the payload may panic again: it is leaked.
            std::mem::forget(payload);
            Outcome::Failed(Error::PANIC)
        });
        self.end(outcome, ended);
    }

    /// Takes it from the threads; whether that was still possible.
    pub(super) fn take_back(&self) -> bool {
        self.run.lock().take().is_some()
    }

    /// Whether it has been taken back, and its event did not come yet.
    pub(super) fn is_canceled(&self) -> bool {
        matches!(&*self.outcome.lock(), Some(Outcome::Failed(Error::CANCELED)))
    }

    pub(super) fn end(self: Arc<Task>, outcome: Outcome, ended: &Ended) {
        *self.outcome.lock() = Some(outcome);
        ended.push(self);
    }
}

impl Ended {
    pub(super) fn new(owner: Id) -> Arc<Ended> {
        let (queued, pending) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Ended { tasks: Lock::new(Vec::new()), queued, pending, owner })
    }

    fn push(&self, task: Arc<Task>) {
        // Room was made when it was submitted.
        self.tasks.lock().push(task);
        self.pending.store(true, Ordering::SeqCst);
        // A loop that is being freed waits for this thread and has no need to be woken.
        if let Ok(visit) = port(self.owner.tag()).enter(self.owner.generation()) {
            visit.wake_if_armed();
        }
    }
}
