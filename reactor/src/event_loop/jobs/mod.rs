//! What runs on other threads and ends with one event: the way there and back.
//!
//! A job is a handle. When its function has returned, its thread leaves the outcome in the loop's list, and the loop
//! delivers it in its next turn and closes the handle. A job that was closed before runs to its end unseen; what its handle
//! carried is released only then if the function may be using it.

mod task;

use super::core::{Core, Slot};
use super::limits::{DEFAULT_MAX_JOB_BYTES, DEFAULT_MAX_JOBS, MIN_WORK_THREADS, RESOLVE_THREADS};
use super::{EventLoop, LoopOptions, Sink};
use crate::base::address::Address;
use crate::base::error::{Error, Result};
use crate::base::file::FileResult;
use crate::base::id::Id;
use crate::sys::Fd;
use crate::sys::lock::Lock;
use crate::sys::pool::{Entrance, Job, Pool};
use crate::sys::resolve::Names;
use crate::sys::shared_file::SharedFile;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use task::Ended;

pub(super) use task::Task;

/// How a job has ended.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// It was cancelled before it had begun, or it has panicked.
    Failed(Error),
    /// What the function of [`EventLoop::work_open`] returned.
    Work(i64),
    /// What [`EventLoop::resolve_open`] has found.
    Addresses(Result<Vec<Address>>),
    /// What [`EventLoop::resolve_name_open`] has found.
    Names(Result<Names>),
    /// The file is open, as that descriptor: its handle lives on.
    Opened(Fd),
    /// What became of an operation on files.
    File(FileResult),
}

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// A function of the program's.
    Work,
    /// A look-up of names.
    Resolve,
    /// Opening a file, or an operation on files.
    File,
}

/// Which threads a job may use: slow names must not keep files and work waiting.
#[derive(Clone, Copy)]
enum Lane {
    Work,
    Resolve,
}

const LANES: usize = Lane::Resolve as usize + 1;

impl JobKind {
    fn lane(self) -> Lane {
        match self {
            JobKind::Work | JobKind::File => Lane::Work,
            JobKind::Resolve => Lane::Resolve,
        }
    }

    /// Whether the thread may be using what the handle carries. A look-up has all that it needs itself.
    fn uses_user(self) -> bool {
        self != JobKind::Resolve
    }
}

pub(super) struct JobSlot {
    pub(super) kind: JobKind,
    /// Nothing once it was delivered.
    task: Option<Arc<Task>>,
}

impl JobSlot {
    /// Whether a thread may be using the program's own part of what the handle carries: a function of its own does.
    pub(super) fn uses_user(&self) -> bool {
        self.task.is_some() && self.kind == JobKind::Work
    }

    /// A job that is over and delivered, or never was.
    pub(super) fn over(kind: JobKind) -> JobSlot {
        JobSlot { kind, task: None }
    }

    /// Whether its end has been, or is being, told.
    pub(super) fn is_over(&self) -> bool {
        self.task.is_none()
    }
}

impl Slot {
    /// What runs on another thread for the handle.
    fn job_mut(&mut self) -> Option<&mut JobSlot> {
        match self {
            Slot::Job(job) => Some(job),
            Slot::File(file) => Some(&mut file.job),
            _ => None,
        }
    }
}

/// What a job takes besides a thread.
#[derive(Clone, Copy, Default)]
pub(super) struct Needs<'a> {
    /// They must be open.
    pub(super) files: &'a [Arc<SharedFile>],
    /// Bytes that it holds until its end was told or it was taken back.
    pub(super) bytes: u64,
}

/// The jobs of one loop.
pub(super) struct Jobs {
    pools: [Option<Pool>; LANES],
    most: [usize; LANES],
    /// More than this are not accepted.
    most_jobs: usize,
    /// What jobs hold, and the most that they may.
    bytes: u64,
    most_bytes: u64,
    ended: Arc<Ended>,
    /// Taken from `ended` and not delivered yet.
    taken: Vec<Arc<Task>>,
    next: usize,
    /// Closed jobs that are not over: what they carry is not released yet.
    orphans: Vec<Id>,
    /// Submitted and not yet taken from `ended`.
    outstanding: usize,
    /// The threads are the parent's, who may have held any lock at the fork.
    inherited: bool,
}

impl Jobs {
    pub(super) fn new(owner: Id, options: &LoopOptions) -> Jobs {
        let most_jobs = if options.max_jobs == 0 { DEFAULT_MAX_JOBS } else { options.max_jobs };
        let most_bytes = if options.max_job_bytes == 0 { DEFAULT_MAX_JOB_BYTES } else { options.max_job_bytes };
        Jobs {
            pools: [const { None }; LANES],
            most: [options.work_threads as usize, RESOLVE_THREADS],
            most_jobs: most_jobs as usize,
            bytes: 0,
            most_bytes,
            ended: Ended::new(owner),
            taken: Vec::new(),
            next: 0,
            orphans: Vec::new(),
            outstanding: 0,
            inherited: false,
        }
    }

    fn reserve(&mut self, bytes: u64) -> Result<()> {
        if self.outstanding.max(self.ended.queued.load(Ordering::Relaxed)) >= self.most_jobs {
            return Err(Error::NO_BUFFERS.because("max_jobs of the loop wait already"));
        }
        self.check_bytes(bytes)?;
        self.make_room()
    }

    /// Whether a job may hold so many more. One alone may be of any size: what is too large for the limit would never be
    /// taken.
    ///
    /// # Errors
    /// [`Error::NO_BUFFERS`].
    pub(super) fn check_bytes(&self, bytes: u64) -> Result<()> {
        if bytes > 0 && self.bytes > 0 && self.bytes.saturating_add(bytes) > self.most_bytes {
            return Err(Error::NO_BUFFERS.because("more than max_job_bytes of the loop would be held"));
        }
        Ok(())
    }

    /// Takes now what the end of one more job will need, so that it cannot be lost.
    fn make_room(&mut self) -> Result<()> {
        let all = self.outstanding + 1;
        let mut ended = self.ended.tasks.lock();
        let missing = all.saturating_sub(ended.len());
        ended.try_reserve(missing)?;
        self.taken.try_reserve(all)?;
        Ok(self.orphans.try_reserve(all)?)
    }

    /// A job holds its bytes no longer.
    fn let_go(&mut self, task: &Task) {
        self.bytes = self.bytes.saturating_sub(task.bytes);
    }

    /// Has a thread run it; its outcome comes under that id. A file that is not open yet keeps its jobs back until it is.
    ///
    /// # Errors
    /// [`Error::NO_BUFFERS`], [`Error::NO_MEMORY`]; EAGAIN when no thread can be started.
    pub(super) fn submit(
        &mut self, id: Id, kind: JobKind, needs: Needs<'_>, run: impl FnOnce() -> Outcome + Send + 'static,
    ) -> Result<Arc<Task>> {
        self.reserve(needs.bytes)?;
        let task =
            Arc::new(Task { id, bytes: needs.bytes, run: Lock::new(Some(Box::new(run))), outcome: Lock::new(None) });
        let (carried, ended) = (task.clone(), self.ended.clone());
        let job: Job = Box::new(move || carried.run(&ended));
        let job = needs.files.iter().fold(job, |job, file| file.clone().before(job));
        self.ended.queued.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.pool(kind).submit(job) {
            self.ended.queued.fetch_sub(1, Ordering::Relaxed);
            return Err(error);
        }
        self.outstanding += 1;
        self.bytes += needs.bytes;
        Ok(task)
    }

    /// Nobody wants to hear of it any more.
    pub(super) fn give_up(&mut self, task: Arc<Task>) {
        if self.inherited {
            std::mem::forget(task);
        } else if task.take_back() {
            self.outstanding -= 1;
        }
    }

    fn pool(&mut self, kind: JobKind) -> &mut Pool {
        let lane = kind.lane() as usize;
        let most = self.most[lane];
        self.pools[lane].get_or_insert_with(|| Pool::new("tidegate-worker", threads(most)))
    }

    /// A way into the pool for jobs that were kept back.
    pub(super) fn entrance(&mut self, kind: JobKind) -> Entrance {
        self.pool(kind).entrance()
    }

    /// Runs something of which nobody wants to hear on another thread, or drops it here when there is none.
    pub(super) fn aside(&mut self, kind: JobKind, job: Job) {
        let _ = self.pool(kind).submit(job);
    }

    /// Whether the threads are the parent's.
    pub(super) fn is_inherited(&self) -> bool {
        self.inherited
    }

    /// Whether a thread has left something.
    pub(super) fn pending(&self) -> bool {
        self.ended.pending.load(Ordering::SeqCst)
    }

    /// What has ended by now is for this turn.
    pub(super) fn settle(&mut self) {
        if self.next > 0 && self.next == self.taken.len() {
            self.taken.clear();
            self.next = 0;
        }
        if self.pending() && self.ended.pending.swap(false, Ordering::SeqCst) {
            let mut ended = self.ended.tasks.lock();
            self.outstanding -= ended.len();
            self.taken.append(&mut ended);
        }
    }

    fn next_ended(&mut self) -> Option<Arc<Task>> {
        let task = self.taken.get(self.next).cloned()?;
        self.next += 1;
        Some(task)
    }

    /// What one event cannot tell of an outcome is for the next turn, so that a long list leaves the others theirs. Whether
    /// there is such a rest.
    fn put_back_rest(&mut self, task: &Arc<Task>, outcome: &mut Outcome) -> bool {
        let Outcome::File(result) = outcome else { return false };
        let Some(rest) = result.take_rest() else { return false };
        *task.outcome.lock() = Some(Outcome::File(rest));
        if self.make_room().is_ok() {
            self.outstanding += 1;
            self.ended.tasks.lock().push(task.clone());
            self.ended.pending.store(true, Ordering::SeqCst);
        } else {
            // It was just taken from there, and comes again in this turn.
            self.next -= 1;
        }
        true
    }

    /// Whether a turn has more to deliver.
    pub(super) fn has_ended(&self) -> bool {
        self.next < self.taken.len()
    }

    fn take_orphan(&mut self, id: Id) -> bool {
        let at = self.orphans.iter().position(|orphan| *orphan == id);
        at.map(|at| self.orphans.swap_remove(at)).is_some()
    }

    /// Waits for what is running; which closed jobs are over now. A look-up that is going on is left alone: it
    /// may take as long as the name servers let it, uses nothing of the program's, and nobody hears of its end.
    pub(super) fn shut(&mut self) -> Vec<Id> {
        self.pools[Lane::Resolve as usize] = None;
        for pool in self.pools.iter_mut().filter_map(Option::take) {
            pool.finish();
        }
        std::mem::take(&mut self.orphans)
    }

    /// In a forked child: there are no threads, and what they had in hand will not end.
    pub(super) fn leave_threads_to_parent(&mut self) {
        self.pools.iter_mut().filter_map(Option::take).for_each(Pool::leave_to_parent);
        self.inherited = true;
    }

    /// In a forked child that goes on: new threads from now on. Which closed jobs are over now.
    pub(super) fn begin_anew(&mut self) -> Vec<Id> {
        let had_threads = self.pools.iter().any(Option::is_some);
        self.leave_threads_to_parent();
        let owner = self.ended.owner;
        let old = std::mem::replace(&mut self.ended, Ended::new(owner));
        if had_threads {
            // One of them may have been changing it.
            std::mem::forget(old);
        }
        (self.inherited, self.outstanding) = (false, 0);
        self.bytes = self.taken[self.next..].iter().map(|task| task.bytes).sum();
        std::mem::take(&mut self.orphans)
    }

    /// In a forked child: a job that was not over ends with [`Error::FORKED`].
    pub(super) fn end_inherited(&mut self, job: &mut JobSlot) {
        let undelivered = &self.taken[self.next..];
        let Some(old) = job.task.take_if(|task| !undelivered.iter().any(|other| Arc::ptr_eq(other, task))) else {
            return;
        };
        let outcome = Lock::new(Some(Outcome::Failed(Error::FORKED)));
        let task = Arc::new(Task { id: old.id, bytes: 0, run: Lock::new(None), outcome });
        // A thread of the parent may have been changing it.
        std::mem::forget(old);
        self.taken.push(task.clone());
        job.task = Some(task);
    }
}

impl<S: Sink> EventLoop<S> {
    /// Keeps a job from being begun: its event then says [`Error::CANCELED`]. Whether it can be kept from it; when not, it
    /// is running or over and its event comes as usual.
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn job_cancel(&self, id: Id) -> Result<bool> {
        let mut core = self.core()?;
        let job = core.entry(id)?.slot.job_mut().ok_or(Error::KIND)?;
        let Some(task) = job.task.clone() else { return Ok(false) };
        if task.take_back() {
            task.end(Outcome::Failed(Error::CANCELED), &core.jobs.ended);
            return Ok(true);
        }
        Ok(task.is_canceled())
    }
}

impl<S: Sink> Core<S> {
    /// Opens a handle for a function that runs on another thread.
    pub(super) fn job_open(
        &mut self, kind: JobKind, user: S::User, referenced: bool, run: impl FnOnce() -> Outcome + Send + 'static,
    ) -> Result<Id> {
        self.job_start(kind, user, referenced, Needs::default(), Slot::Job, run)
    }

    /// The same for a handle that is more than the job, or a job that needs files to be open.
    pub(super) fn job_start(
        &mut self, kind: JobKind, user: S::User, referenced: bool, needs: Needs<'_>,
        slot: impl FnOnce(JobSlot) -> Slot, run: impl FnOnce() -> Outcome + Send + 'static,
    ) -> Result<Id> {
        let id = self.reserve(user, referenced)?;
        match self.jobs.submit(id, kind, needs, run) {
            Ok(task) => {
                self.entry(id)?.slot = slot(JobSlot { kind, task: Some(task) });
                self.set_active(id, true);
                Ok(id)
            }
            Err(error) => {
                self.unreserve(id);
                Err(error)
            }
        }
    }

    /// A job's handle is closed; whether what it carries can be released. It waits for the job's end if its thread may be
    /// using it.
    pub(super) fn job_close(&mut self, id: Id, job: JobSlot) -> bool {
        let over = match job.task {
            Some(task) if self.jobs.inherited => {
                std::mem::forget(task);
                true
            }
            Some(task) if task.take_back() => {
                self.jobs.outstanding -= 1;
                self.jobs.let_go(&task);
                true
            }
            Some(_) => !job.kind.uses_user(),
            None => true,
        };
        if !over {
            self.jobs.orphans.push(id);
        }
        over
    }

    /// The next job that has ended; the users of those that were closed meanwhile are released.
    pub(super) fn next_job(&mut self) -> Option<(Id, S::User, Outcome)> {
        while let Some(task) = self.jobs.next_ended() {
            let Some(mut outcome) = task.outcome.lock().take() else { continue };
            self.jobs.let_go(&task);
            if self.jobs.take_orphan(task.id) {
                self.release_handle(task.id);
                continue;
            }
            if matches!(self.table.get(task.id).map(|entry| &entry.slot), Some(Slot::Connecting(_))) {
                self.connect_resolved(task.id, outcome);
                continue;
            }
            let goes_on = self.jobs.put_back_rest(&task, &mut outcome);
            self.set_active(task.id, goes_on);
            let Some(entry) = self.table.get_mut(task.id) else { continue };
            if let Some(job) = entry.slot.job_mut().filter(|_| !goes_on) {
                job.task = None;
            }
            if let Outcome::Opened(fd) = outcome {
                // Without memory it is only unknown to those that are asked to take it as well.
                let _ = self.owned.note(fd);
            }
            self.stats.events += 1;
            return Some((task.id, entry.user.clone(), outcome));
        }
        None
    }
}

/// How many threads a pool may have. The system is asked only when one is made: its answer takes reading some files.
fn threads(asked: usize) -> usize {
    match asked {
        0 => crate::sys::thread::processors().max(MIN_WORK_THREADS as usize),
        some => some,
    }
}
