//! Functions that run on other threads.

use super::jobs::{JobKind, Outcome};
use super::{EventLoop, Sink};
use crate::base::error::Result;
use crate::base::id::Id;

impl<S: Sink> EventLoop<S> {
    /// Runs a function on a thread of the loop's pool; when it has returned, the handle gets [`Outcome::Work`] and closes.
    /// A panic is [`Outcome::Failed`].
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`](crate::Error::NO_MEMORY), [`Error::LIMIT`](crate::Error::LIMIT),
    /// [`Error::FORKED`](crate::Error::FORKED), [`Error::PANIC`](crate::Error::PANIC); EAGAIN when no thread can be started.
    pub fn work_open(&self, run: impl FnOnce() -> i64 + Send + 'static, user: S::User, referenced: bool) -> Result<Id> {
        self.core()?.job_open(JobKind::Work, user, referenced, || Outcome::Work(run()))
    }
}
