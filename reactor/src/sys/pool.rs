//! Threads for what would block: started when needed, at most so many, and ended when they have nothing to do.

use super::lock::{Bell, Lock, Locked};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// What a thread of the pool runs.
pub type Job = Box<dyn FnOnce() + Send>;

/// How long a thread without work stays: long enough to serve the next request of a busy program, short enough to be
/// gone from an idle one.
const IDLE: Duration = Duration::from_secs(5);

/// See the module. Dropping it lets the threads end; those that are in a job finish it.
pub struct Pool(Arc<Shared>);

struct Shared {
    state: Lock<State>,
    work: Bell,
    quiet: Bell,
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
    /// Those that may have to be waited for; one that retires takes its own out.
    handles: Vec<JoinHandle<()>>,
}

impl Pool {
    /// No thread yet; at most `most`, at least one.
    pub fn new(name: &'static str, most: usize) -> Pool {
        let state = State { queue: VecDeque::new(), threads: 0, idle: 0, ended: false, handles: Vec::new() };
        let (work, quiet) = (Bell::default(), Bell::default());
        Pool(Arc::new(Shared { state: Lock::new(state), work, quiet, most: most.max(1), name }))
    }

    /// Runs a job when a thread is free.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`](crate::Error::NO_MEMORY); the system's when there is no thread and none can be started
    /// (EAGAIN). The job is dropped then.
    pub fn submit(&self, job: Job) -> crate::Result<()> {
        let mut state = self.0.state.lock();
        self.0.make_room(&mut state)?;
        self.0.enqueue(state, job);
        Ok(())
    }

    /// A way in for those who hand on jobs that they have kept.
    pub fn entrance(&self) -> Entrance {
        Entrance(self.0.clone())
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.0.state.lock().threads
    }

    /// Waits until every job has been run and every thread has ended. Nothing more can be submitted.
    pub fn finish(self) {
        let mut state = self.0.state.lock();
        state.ended = true;
        self.0.work.ring();
        while state.threads > 0 {
            self.0.quiet.wait(&mut state);
        }
        let handles = std::mem::take(&mut state.handles);
        drop(state);
        // They have nothing to do any more, and are gone when this returns.
        for handle in handles {
            let _ = handle.join();
        }
    }

    /// In a forked child: the threads are the parent's, and so may be the lock.
    pub fn leave_to_parent(self) {
        std::mem::forget(self);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.state.lock().ended = true;
        self.0.work.ring();
    }
}

/// See [`Pool::entrance`].
pub struct Entrance(Arc<Shared>);

impl Entrance {
    /// Hands a job to the next free thread; when that cannot be done, the caller runs it.
    pub fn pass(&self, job: Job) {
        let mut state = self.0.state.lock();
        match self.0.make_room(&mut state) {
            Ok(()) => self.0.enqueue(state, job),
            Err(_) => {
                drop(state);
                job();
            }
        }
    }
}

/// Keeps jobs back until what they need is there, without a thread's waiting for it.
pub struct Gate(Lock<Option<Vec<Job>>>);

impl Gate {
    /// A gate that is shut.
    pub const fn shut() -> Gate {
        Gate(Lock::new(Some(Vec::new())))
    }

    /// A gate that is open.
    pub const fn open() -> Gate {
        Gate(Lock::new(None))
    }

    /// Runs a job if the gate is open. It is kept if not; without memory for that it is run all the same, and must find out
    /// what it lacks.
    pub fn pass(&self, job: Job) {
        let mut kept = self.0.lock();
        if let Some(jobs) = kept.as_mut() {
            if jobs.try_reserve(1).is_ok() {
                jobs.push(job);
                return;
            }
        }
        drop(kept);
        job();
    }

    /// Opens it for good: the jobs that were kept go on to a pool.
    pub fn open_for(&self, pool: &Entrance) {
        let kept = self.0.lock().take();
        kept.into_iter().flatten().for_each(|job| pool.pass(job));
    }
}

impl Shared {
    /// Room for one more job, and a thread for it if all are busy and there may be more.
    fn make_room(self: &Arc<Shared>, state: &mut State) -> crate::Result<()> {
        state.queue.try_reserve(1)?;
        state.handles.try_reserve(1)?;
        if state.idle <= state.queue.len() && state.threads < self.most {
            match self.clone().start() {
                Ok(handle) => {
                    state.handles.push(handle);
                    state.threads += 1;
                }
                // With a thread there the job only has to wait.
                Err(error) if state.threads == 0 => return Err(error),
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn enqueue(&self, mut state: Locked<'_, State>, job: Job) {
        state.queue.push_back(job);
        drop(state);
        self.work.ring_one();
    }

    /// A thread that blocks every signal: handlers are for the program's own threads.
    fn start(self: Arc<Shared>) -> crate::Result<JoinHandle<()>> {
        let thread = std::thread::Builder::new().name(self.name.to_owned());
        Ok(super::signal::with_all_blocked(|| thread.spawn(move || self.serve()))?)
    }

    fn serve(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                drop(state);
                // A job reports a panic itself; whatever happens, the thread goes on.
                if let Err(payload) = catch_unwind(AssertUnwindSafe(job)) {
                    std::mem::forget(payload);
                }
                state = self.state.lock();
                continue;
            }
            state.idle += 1;
            let timed_out = !state.ended && !self.work.wait_for(&mut state, IDLE);
            state.idle -= 1;
            if state.queue.is_empty() && (timed_out || state.ended) {
                break;
            }
        }
        state.threads -= 1;
        if !state.ended {
            let me = std::thread::current().id();
            state.handles.retain(|handle| handle.thread().id() != me);
        }
        self.quiet.ring();
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
            pool.submit(Box::new(move || {
                done.fetch_add(1, Ordering::SeqCst);
            }))
            .unwrap();
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
        pool.submit(Box::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        }))
        .unwrap();
        pool.finish();
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn jobs_wait_at_a_gate_without_a_thread() {
        let (pool, done) = (Pool::new("test", 1), Arc::new(AtomicUsize::new(0)));
        let gate = Arc::new(Gate::shut());
        let (ran, wait_for_it) = std::sync::mpsc::channel();
        for _ in 0..10 {
            let (done, gate) = (done.clone(), gate.clone());
            let job: Job = Box::new(move || {
                done.fetch_add(1, Ordering::SeqCst);
            });
            pool.submit(Box::new(move || gate.pass(job))).unwrap();
        }
        pool.submit(Box::new(move || ran.send(()).unwrap())).unwrap();
        wait_for_it.recv().unwrap();
        assert_eq!(done.load(Ordering::SeqCst), 0, "the only thread has passed them by");
        gate.open_for(&pool.entrance());
        pool.finish();
        assert_eq!(done.load(Ordering::SeqCst), 10);
    }
}
