//! Threads for what would block: started when needed, at most so many, and ended when they have nothing to do.

use super::annotate;
use parking_lot::{Condvar, Mutex};
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
        let mut state = self.0.state.lock();
        state.queue.try_reserve(1)?;
        if state.idle <= state.queue.len() && state.threads < self.0.most {
            let started = self.0.clone().start();
            // With a thread there the job only has to wait.
            if state.threads == 0 {
                started?;
                state.threads = 1;
            } else if started.is_ok() {
                state.threads += 1;
            }
        }
        annotate::happens_before(Arc::as_ptr(&self.0) as usize);
        state.queue.push_back(job);
        drop(state);
        self.0.work.notify_one();
        Ok(())
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.0.state.lock().threads
    }

    /// Waits until every job has been run and every thread has ended. Nothing more can be submitted.
    pub fn finish(self) {
        let mut state = self.0.state.lock();
        state.ended = true;
        self.0.work.notify_all();
        while state.threads > 0 {
            self.0.quiet.wait(&mut state);
        }
        annotate::happens_after(Arc::as_ptr(&self.0) as usize + 1);
    }

    /// In a forked child: the threads are the parent's, and so may be the lock.
    pub fn leave_to_parent(self) {
        std::mem::forget(self);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.state.lock().ended = true;
        self.0.work.notify_all();
    }
}

impl Shared {
    /// A thread that blocks every signal: handlers are for the program's own threads.
    fn start(self: Arc<Shared>) -> crate::Result<()> {
        let name = self.name.to_owned();
        super::signal::with_all_blocked(|| std::thread::Builder::new().name(name).spawn(move || self.serve()))?;
        Ok(())
    }

    fn serve(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                drop(state);
                annotate::happens_after(&raw const *self as usize);
                // A job reports a panic itself; whatever happens, the thread goes on.
                if let Err(payload) = catch_unwind(AssertUnwindSafe(job)) {
                    std::mem::forget(payload);
                }
                state = self.state.lock();
                continue;
            }
            state.idle += 1;
            let timed_out = !state.ended && self.work.wait_for(&mut state, IDLE).timed_out();
            state.idle -= 1;
            if state.queue.is_empty() && (timed_out || state.ended) {
                break;
            }
        }
        state.threads -= 1;
        annotate::happens_before(&raw const *self as usize + 1);
        self.quiet.notify_all();
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
