//! An open file as its handle and the operations on it share it: closed when the last of them has let go.

use super::pool::{Entrance, Gate, Job};
use crate::base::error::{Error, Result};
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};

/// See the module.
pub struct SharedFile {
    opened: OnceLock<Result<Arc<OwnedFd>>>,
    /// Operations that were asked for before the file was open.
    gate: Gate,
}

const BUSY: Error = Error::BUSY.because("the file is being opened");

impl SharedFile {
    /// A file that is going to be opened.
    pub fn opening() -> Arc<SharedFile> {
        Arc::new(SharedFile { opened: OnceLock::new(), gate: Gate::shut() })
    }

    /// A file that is open, or that will never be.
    pub fn settled(opened: Result<Arc<OwnedFd>>) -> Arc<SharedFile> {
        Arc::new(SharedFile { opened: OnceLock::from(opened), gate: Gate::open() })
    }

    /// Says how the opening has ended, the first time that it is called, and lets the operations go on.
    pub fn settle(&self, opened: Result<OwnedFd>, pool: &Entrance) {
        // Only the first answer counts; a descriptor that comes too late is closed.
        let _ = self.opened.set(opened.map(Arc::new));
        self.gate.open_for(pool);
    }

    /// The descriptor, for the loop's thread.
    ///
    /// # Errors
    /// As [`SharedFile::peek`].
    pub fn get(&self) -> Result<Arc<OwnedFd>> {
        self.opened.get().cloned().unwrap_or(Err(BUSY))
    }

    /// The descriptor, for operations: their share is that of the structure alone, so that it can be told apart after a fork.
    ///
    /// # Errors
    /// Why it could not be opened; [`Error::BUSY`] while it is being opened.
    pub fn peek(&self) -> Result<&OwnedFd> {
        match self.opened.get() {
            Some(opened) => opened.as_deref().map_err(|error| *error),
            None => Err(BUSY),
        }
    }

    /// The job, to be run when the file is open.
    pub fn before(self: Arc<SharedFile>, job: Job) -> Job {
        Box::new(move || self.gate.pass(job))
    }

    /// In a forked child, to which no thread of the pool has come: the descriptor, without those threads' share in it.
    ///
    /// # Errors
    /// [`Error::FORKED`] when it was being opened, or why it could not be.
    pub fn after_fork(self: Arc<SharedFile>) -> Result<Arc<OwnedFd>> {
        let opened = match self.opened.get() {
            Some(opened) => opened.clone(),
            None => Err(Error::FORKED),
        };
        if Arc::strong_count(&self) == 1 && self.opened.get().is_some() {
            return opened;
        }
        // A thread of the parent may have been changing it, and what those threads held is never given back.
        std::mem::forget(self);
        if let Ok(fd) = &opened {
            // SAFETY: this count is that of the structure which was just leaked: nothing that holds the structure lives in
            // this process, so that nobody will ever take it back. The clone above keeps the descriptor.
            unsafe { Arc::decrement_strong_count(Arc::as_ptr(fd)) };
        }
        opened
    }
}
