//! Threads for what would block: started when needed, at most so many, and ended when they have nothing to do.

use super::annotate;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// What a thread of the pool runs.
pub type Job = Box<dyn FnOnce() + Send>;

/// How long a thread without work stays: long enough to serve the next request of a busy program, short enough to be
/// gone from an idle one.
const IDLE: Duration = Duration::from_secs(5);

/// See the module. Dropping it lets the threads end; those that are in a job finish it.
pub struct Pool(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    quiet: Condvar,
    most: usize,
    name: &'static str,
}

struct State {
    queue: VecDeque<Job>,
    /// Threads that are there.
    threads: usize,
    /// Those of them that wait for a job.
    idle: usize,
    ended: bool,
}

impl Pool {
    /// No thread yet; at most `most`, at least one.
    pub fn new(name: &'static str, most: usize) -> Pool {
        let state = State { queue: VecDeque::new(), threads: 0, idle: 0, ended: false };
        let (work, quiet) = (Condvar::new(), Condvar::new());
        Pool(Arc::new(Shared { state: Mutex::new(state), work, quiet, most: most.max(1), name }))
    }

    /// Runs a job when a thread is free.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`](crate::Error::NO_MEMORY); the system's when there is no thread and none can be started
    /// (EAGAIN). The job is dropped then.
    pub fn submit(&self, job: Job) -> crate::Result<()> {
        let mut state = self.0.lock();
        if let Err(error) = state.queue.try_reserve(1) {
            self.0.unlock(state);
            return Err(error.into());
        }
        if state.idle <= state.queue.len() && state.threads < self.0.most {
            let started = self.0.clone().start();
            // With a thread there the job only has to wait.
            match started {
                Ok(()) => state.threads += 1,
                Err(error) if state.threads == 0 => {
                    self.0.unlock(state);
                    return Err(error);
                }
                Err(_) => {}
            }
        }
        state.queue.push_back(job);
        self.0.unlock(state);
        self.0.work.notify_one();
        Ok(())
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        let state = self.0.lock();
        let threads = state.threads;
        self.0.unlock(state);
        threads
    }

    /// Waits until every job has been run and every thread has ended. Nothing more can be submitted.
    pub fn finish(self) {
        let mut state = self.0.lock();
        state.ended = true;
        self.0.work.notify_all();
        while state.threads > 0 {
            annotate::happens_before(self.0.name());
            self.0.quiet.wait(&mut state);
            annotate::happens_after(self.0.name());
        }
        self.0.unlock(state);
    }

    /// In a forked child: the threads are the parent's, and so may be the lock.
    pub fn leave_to_parent(self) {
        std::mem::forget(self);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.ended = true;
        self.0.unlock(state);
        self.0.work.notify_all();
    }
}

impl Shared {
    /// What helgrind knows the lock by, which it cannot see.
    fn name(&self) -> usize {
        &raw const *self as usize
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.state.lock();
        annotate::happens_after(self.name());
        state
    }

    fn unlock(&self, state: MutexGuard<'_, State>) {
        annotate::happens_before(self.name());
        drop(state);
    }

    /// Waits for something to do; whether nothing came for a long time.
    fn wait(&self, state: &mut MutexGuard<'_, State>) -> bool {
        annotate::happens_before(self.name());
        let timed_out = self.work.wait_for(state, IDLE).timed_out();
        annotate::happens_after(self.name());
        timed_out
    }

    /// A thread that blocks every signal: handlers are for the program's own threads.
    fn start(self: Arc<Shared>) -> crate::Result<()> {
        let name = self.name.to_owned();
        super::signal::with_all_blocked(|| std::thread::Builder::new().name(name).spawn(move || self.serve()))?;
        Ok(())
    }

    fn serve(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                self.unlock(state);
                // A job reports a panic itself; whatever happens, the thread goes on.
                if let Err(payload) = catch_unwind(AssertUnwindSafe(job)) {
                    std::mem::forget(payload);
                }
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let timed_out = !state.ended && self.wait(&mut state);
            state.idle -= 1;
            if state.queue.is_empty() && (timed_out || state.ended) {
                break;
            }
        }
        state.threads -= 1;
        self.quiet.notify_all();
        self.unlock(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_job_is_run_before_the_end_and_threads_stay_below_the_limit() {
        let (pool, done) = (Pool::new("test", 3), Arc::new(AtomicUsize::new(0)));
        for _ in 0..1000 {
            let done = done.clone();
            pool.submit(Box::new(move || drop(done.fetch_add(1, Ordering::SeqCst)))).unwrap();
            assert!((1..=3).contains(&pool.threads()));
        }
        pool.finish();
        assert_eq!(done.load(Ordering::SeqCst), 1000);
    }

    #[test]
    fn a_panic_in_a_job_costs_no_thread() {
        let (pool, done) = (Pool::new("test", 1), Arc::new(AtomicUsize::new(0)));
        pool.submit(Box::new(|| std::panic::resume_unwind(Box::new("asked for")))).unwrap();
        let counted = done.clone();
        pool.submit(Box::new(move || drop(counted.fetch_add(1, Ordering::SeqCst)))).unwrap();
        pool.finish();
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }
}
