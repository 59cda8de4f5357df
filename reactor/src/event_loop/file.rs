//! Files and operations on them.
//!
//! A file is a handle, so that a stale one is an error and never somebody else's descriptor. Each operation is a job that
//! shares the file; it may be asked for while the file is being opened, and is then kept back until that is over.

use super::core::{Core, Slot};
use super::jobs::{JobKind, JobSlot, Needs, Outcome};
use super::{EventLoop, Sink};
use crate::base::error::{Error, Result};
use crate::base::file::FileResult;
use crate::base::id::Id;
use crate::io::file as steps;
use crate::sys::file::{self, At, OpenFlags};
use crate::sys::pool::Entrance;
use crate::sys::{Fd, shared_file::SharedFile};
use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

/// A file's handle.
pub(super) struct FileSlot {
    /// Its opening.
    pub(super) job: JobSlot,
    pub(super) shared: Arc<SharedFile>,
}

impl FileSlot {
    /// The descriptor. Before the program was told that the file is open it is not, whatever a thread has done.
    fn get(&self) -> Result<Arc<OwnedFd>> {
        if self.job.is_over() { self.shared.get() } else { Err(Error::BUSY.because("the file is being opened")) }
    }

    /// The same for those who look; -1 while there is none.
    pub(super) fn number(&self) -> i64 {
        self.get().map_or(-1, |fd| i64::from(fd.as_raw_fd()))
    }
}

/// Opens a file, and says that it was not opened when it is dropped before.
struct Opener {
    shared: Arc<SharedFile>,
    pool: Entrance,
}

impl Opener {
    fn open(self, path: &CString, flags: OpenFlags, mode: u32) -> Outcome {
        match file::open(path, flags, mode) {
            Ok(fd) => {
                let number = fd.as_raw_fd();
                self.shared.settle(Ok(fd), &self.pool);
                Outcome::Opened(number)
            }
            Err(error) => {
                self.shared.settle(Err(error), &self.pool);
                Outcome::Failed(error)
            }
        }
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        self.shared.settle(Err(Error::CANCELED), &self.pool);
    }
}

/// From where an operation reads or writes: -1 is the current position.
///
/// # Errors
/// [`Error::INVALID`] below that.
fn place(offset: i64) -> Result<At> {
    match offset {
        -1 => Ok(None),
        0.. => Ok(Some(offset)),
        _ => Err(Error::invalid("the offset is below -1")),
    }
}

impl OpenFlags {
    fn check(self) -> Result<OpenFlags> {
        let writes = self.truncate || self.append;
        if !(self.read || self.write || self.directory) {
            return Err(Error::invalid("a file is opened for reading, writing or both"));
        }
        if (writes && !self.write) || (self.exclusive && !self.create) || (self.directory && self.create) {
            return Err(Error::invalid("these flags do not go together"));
        }
        Ok(self)
    }
}

impl<S: Sink> EventLoop<S> {
    /// Opens a file on a thread of the pool. Its handle is told [`Outcome::Opened`], or why not, and then closes.
    ///
    /// # Errors
    /// [`Error::INVALID`] for flags that do not go together, or a mode with more than permissions; those of
    /// [`EventLoop::work_open`].
    pub fn file_open(&self, path: CString, flags: OpenFlags, mode: u32, user: S::User, referenced: bool) -> Result<Id> {
        let flags = flags.check()?;
        if mode & !0o7777 != 0 {
            return Err(Error::invalid("the mode has more than permissions"));
        }
        let mut core = self.core()?;
        let shared = SharedFile::opening();
        let opener = Opener { shared: shared.clone(), pool: core.jobs.entrance(JobKind::File) };
        let slot = |job| Slot::File(Box::new(FileSlot { job, shared }));
        core.job_start(JobKind::File, user, referenced, Needs::default(), slot, move || opener.open(&path, flags, mode))
    }

    /// Makes a file of a descriptor that `take` gives away, which is called when nothing can fail any more.
    ///
    /// # Errors
    /// [`Error::BAD_FD`] when it is not open; [`Error::EXISTS`] when another handle owns it; [`Error::NO_MEMORY`],
    /// [`Error::LIMIT`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn file_adopt(&self, fd: Fd, take: impl FnOnce() -> OwnedFd, user: S::User, referenced: bool) -> Result<Id> {
        let mut core = self.core()?;
        if fd < 0 || !file::is_open(fd) {
            return Err(Error::BAD_FD);
        }
        if core.owned.contains(fd) {
            return Err(Error::EXISTS.because("the descriptor belongs to a handle"));
        }
        let id = core.reserve(user, referenced)?;
        if let Err(error) = core.owned.note(fd) {
            core.unreserve(id);
            return Err(error);
        }
        let shared = SharedFile::settled(Ok(Arc::new(take())));
        core.entry(id)?.slot = Slot::File(Box::new(FileSlot { job: JobSlot::over(JobKind::File), shared }));
        Ok(id)
    }

    /// The descriptor of a file. It stays the file's.
    ///
    /// # Errors
    /// [`Error::BUSY`] while it is being opened; [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn file_fd(&self, id: Id) -> Result<Fd> {
        Ok(self.core()?.file(id)?.as_raw_fd())
    }

    /// Reads up to `length` bytes; fewer at the end of the file. `offset` -1: one read from the current position.
    ///
    /// # Errors
    /// [`Error::INVALID`] for an offset below -1, or more bytes than one event may carry; those of every operation:
    /// [`Error::KIND`], [`Error::STALE`], and those of [`EventLoop::work_open`].
    pub fn file_read(&self, file: Id, offset: i64, length: usize, user: S::User, referenced: bool) -> Result<Id> {
        let at = place(offset)?;
        if length > self.sink.largest_carry() {
            return Err(Error::invalid("more than one event may carry"));
        }
        self.file_may_hold(file, length as u64)?;
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(length)?;
        self.on_file(file, length as u64, user, referenced, move |fd| steps::read(fd, buffer, length, at))
    }

    /// Whether an operation on the file may hold so many bytes more: asked before they are copied.
    ///
    /// # Errors
    /// [`Error::NO_BUFFERS`] when [`LoopOptions::max_job_bytes`](super::LoopOptions::max_job_bytes) would be passed,
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn file_may_hold(&self, file: Id, bytes: u64) -> Result<()> {
        let mut core = self.core()?;
        core.shared_file(file)?;
        core.jobs.check_bytes(bytes)
    }

    /// The same into memory that is lent to the operation.
    ///
    /// # Errors
    /// As [`EventLoop::file_read`].
    pub fn file_read_into<B: AsMut<[MaybeUninit<u8>]> + Send + 'static>(
        &self, file: Id, offset: i64, mut room: B, user: S::User, referenced: bool,
    ) -> Result<Id> {
        let at = place(offset)?;
        self.on_file(file, 0, user, referenced, move |fd| steps::read_into(fd, room.as_mut(), at))
    }

    /// Writes all of it. `held`: how many bytes of it are a copy that was made for this, and count for
    /// [`LoopOptions::max_job_bytes`](super::LoopOptions::max_job_bytes).
    ///
    /// # Errors
    /// As [`EventLoop::file_read`].
    pub fn file_write<B: AsRef<[u8]> + Send + 'static>(
        &self, file: Id, offset: i64, bytes: B, held: u64, user: S::User, referenced: bool,
    ) -> Result<Id> {
        let at = place(offset)?;
        self.on_file(file, held, user, referenced, move |fd| steps::write(fd, bytes.as_ref(), at))
    }

    /// Waits until what was written is on the disk.
    ///
    /// # Errors
    /// As [`EventLoop::file_read`].
    pub fn file_sync(&self, file: Id, data_only: bool, user: S::User, referenced: bool) -> Result<Id> {
        self.on_file(file, 0, user, referenced, move |fd| file::sync(fd, data_only).into())
    }

    /// What the system knows of it.
    ///
    /// # Errors
    /// As [`EventLoop::file_read`].
    pub fn file_stat(&self, file: Id, user: S::User, referenced: bool) -> Result<Id> {
        self.on_file(file, 0, user, referenced, move |fd| file::stat(fd).into())
    }

    /// Sets its length.
    ///
    /// # Errors
    /// As [`EventLoop::file_read`]; [`Error::INVALID`] for a negative length.
    pub fn file_truncate(&self, file: Id, size: i64, user: S::User, referenced: bool) -> Result<Id> {
        if size < 0 {
            return Err(Error::invalid("the length is negative"));
        }
        self.on_file(file, 0, user, referenced, move |fd| file::truncate(fd, size).into())
    }

    /// Copies up to `length` bytes from one file to another of the same loop.
    ///
    /// # Errors
    /// As [`EventLoop::file_read`].
    pub fn file_copy(
        &self, (from, from_offset): (Id, i64), (to, to_offset): (Id, i64), length: u64, user: S::User, referenced: bool,
    ) -> Result<Id> {
        let (from_at, to_at) = (place(from_offset)?, place(to_offset)?);
        let mut core = self.core()?;
        let (from, to) = (core.shared_file(from)?, core.shared_file(to)?);
        let gates = [from.clone(), to.clone()];
        let gates = Needs { files: &gates, bytes: 0 };
        core.job_start(JobKind::File, user, referenced, gates, Slot::Job, move || match (from.peek(), to.peek()) {
            (Ok(from), Ok(to)) => Outcome::File(steps::copy(from, from_at, to, to_at, length)),
            (Err(error), _) | (_, Err(error)) => Outcome::File(error.into()),
        })
    }

    /// Something about names of files that runs on a thread of the pool; it is told the most that one event may carry.
    ///
    /// # Errors
    /// As [`EventLoop::work_open`].
    pub fn path_operation(
        &self, operation: impl FnOnce(usize) -> FileResult + Send + 'static, user: S::User, referenced: bool,
    ) -> Result<Id> {
        let most = self.sink.largest_carry();
        self.core()?.job_open(JobKind::File, user, referenced, move || Outcome::File(operation(most)))
    }

    fn on_file(
        &self, file: Id, bytes: u64, user: S::User, referenced: bool,
        act: impl FnOnce(&OwnedFd) -> FileResult + Send + 'static,
    ) -> Result<Id> {
        let mut core = self.core()?;
        let file = core.shared_file(file)?;
        let gates = [file.clone()];
        let needs = Needs { files: &gates, bytes };
        core.job_start(JobKind::File, user, referenced, needs, Slot::Job, move || {
            Outcome::File(file.peek().map_or_else(FileResult::from, act))
        })
    }
}

impl<S: Sink> Core<S> {
    fn file_slot(&mut self, id: Id) -> Result<&FileSlot> {
        match &self.entry(id)?.slot {
            Slot::File(file) => Ok(file),
            _ => Err(Error::KIND),
        }
    }

    fn shared_file(&mut self, id: Id) -> Result<Arc<SharedFile>> {
        Ok(self.file_slot(id)?.shared.clone())
    }

    /// The descriptor of a file, for as long as the caller holds it, whatever becomes of the handle.
    pub(super) fn file(&mut self, id: Id) -> Result<Arc<OwnedFd>> {
        self.file_slot(id)?.get()
    }

    /// A file's handle is closed. The operations on it go on; closing a descriptor can wait for a disk, so that a thread
    /// of the pool does it, unless none can be had. The answer is that of [`Core::job_close`].
    pub(super) fn file_close(&mut self, id: Id, file: FileSlot) -> bool {
        if let Ok(fd) = file.get() {
            self.owned.forget(fd.as_raw_fd());
        }
        let FileSlot { job, shared } = file;
        if self.jobs.is_inherited() {
            drop(shared.after_fork());
        } else if shared.get().is_ok() {
            self.jobs.aside(JobKind::File, Box::new(move || drop(shared)));
        }
        self.job_close(id, job)
    }
}
