//! How results of operations on files leave, as structures for callbacks and as records.

use super::{TG_FILE_MORE, tg_file_cb, tg_file_entry, tg_file_info, tg_file_result};
use crate::batch_sink::Batch;
use crate::callbacks::{Callback, User};
use crate::convert::{Lent, bytes_of};
use crate::types::tg_free_cb;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr::null;
use tidegate_reactor::base::file::{Carried, FileInfo, FileResult, Listing};
use tidegate_reactor::event_loop::{JobKind, Kind};
use tidegate_reactor::{Error, EventLoop, Id, Outcome, Result, Sink};

/// Memory that is lent to an operation, and what its handle calls. Made for loops of callbacks, and freed when the handle
/// is released.
pub(crate) struct Owned {
    pub(crate) callback: tg_file_cb,
    free: tg_free_cb,
    data: *mut c_void,
    length: usize,
    /// It is read into, and shown to the callback.
    is_room: bool,
    status: Cell<c_int>,
}

/// The same until somebody has it: dropping it gives nothing back, because nothing was taken.
pub(crate) struct Offer(*mut Owned);

impl Drop for Offer {
    fn drop(&mut self) {
        // SAFETY: made by Box::into_raw, and forgotten when a handle has it.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

impl Owned {
    pub(crate) fn offer(callback: tg_file_cb, memory: &Lent, free: tg_free_cb, is_room: bool) -> Offer {
        let (data, length) = memory.parts();
        let status = Cell::new(Error::CANCELED.code());
        Offer(Box::into_raw(Box::new(Owned { callback, free, data: data.cast(), length, is_room, status })))
    }

    /// What the callback is shown, besides what the result brings itself.
    pub(crate) fn shown(&self, outcome: &Outcome) -> *const c_void {
        self.status.set(status_of(outcome));
        if self.is_room { self.data } else { null() }
    }

    /// Gives the memory back.
    pub(crate) fn give_back(self, user: *mut c_void) {
        if let Some(free) = self.free {
            // SAFETY: the caller's function and memory, accepted together and called once: with the handle's release.
            unsafe { free(self.data, self.length, user, self.status.get()) };
        }
    }
}

impl Offer {
    pub(crate) fn as_ref(&self) -> *const Owned {
        self.0
    }

    /// The open handle has it now, if there is one and its loop has functions.
    pub(crate) fn keep_if<T>(self, opened: Result<T>) -> Result<T> {
        // SAFETY: ours until it is forgotten below.
        let has_functions = unsafe { (*self.0).callback.is_some() };
        if opened.is_ok() && has_functions {
            std::mem::forget(self);
        }
        opened
    }
}

/// What a handle carries when memory was lent to it.
pub(crate) trait Owning: Sized {
    fn owning(self, owned: *const Owned) -> Result<Self>;
}

impl Owning for User {
    fn owning(self, owned: *const Owned) -> Result<User> {
        // SAFETY: the offer lives through the call that makes the handle.
        let free = unsafe { (*owned).free };
        match self.callback {
            // A batch loop has no functions.
            Callback::None if free.is_some() => Err(crate::handle::no_functions()),
            Callback::None => Ok(self),
            _ => Ok(User { callback: Callback::FileOwned(owned), ..self }),
        }
    }
}

/// Whether an outcome belongs to a file or an operation on files.
pub(crate) fn is_file<S: Sink>(event_loop: &EventLoop<S>, id: Id) -> bool {
    let kind = event_loop.info(id).map(|info| info.kind);
    matches!(kind, Ok(Kind::File | Kind::Job(JobKind::File)))
}

fn status_of(outcome: &Outcome) -> c_int {
    match outcome {
        Outcome::Failed(error) | Outcome::File(FileResult { error: Some(error), .. }) => error.code(),
        _ => 0,
    }
}

fn value_of(outcome: &Outcome) -> i64 {
    match outcome {
        Outcome::Opened(fd) => i64::from(*fd),
        Outcome::File(result) => i64::try_from(result.value).unwrap_or(i64::MAX),
        _ => 0,
    }
}

fn info_of(info: &FileInfo) -> tg_file_info {
    tg_file_info {
        size: size_of::<tg_file_info>(),
        file_size: info.file_size,
        blocks: info.blocks,
        block_size: info.block_size,
        inode: info.inode,
        device: info.device,
        links: info.links,
        accessed_ns: info.accessed_ns,
        modified_ns: info.modified_ns,
        changed_ns: info.changed_ns,
        file_type: info.kind as u32,
        mode: info.mode,
        uid: info.uid,
        gid: info.gid,
    }
}

fn entries_of(listing: &Listing) -> Result<Vec<tg_file_entry>> {
    let mut entries = Vec::new();
    entries.try_reserve_exact(listing.count())?;
    entries.extend(listing.iter().map(|(name, file_type)| tg_file_entry {
        name: name.as_ptr().cast(),
        name_length: name.len() as u32 - 1,
        file_type,
    }));
    Ok(entries)
}

/// Shows a result to a callback. `data` is what the handle itself brings.
pub(crate) fn tell(outcome: &Outcome, data: *const c_void, call: impl FnOnce(*const tg_file_result)) {
    let mut result = tg_file_result {
        size: size_of::<tg_file_result>(),
        value: value_of(outcome),
        data,
        entries: null(),
        info: null(),
        status: status_of(outcome),
        reserved: 0,
    };
    let (mut info, mut entries) = (None, Vec::new());
    match outcome {
        Outcome::File(FileResult { carried: Carried::Data(bytes), .. }) => result.data = bytes.as_ptr().cast(),
        Outcome::File(FileResult { carried: Carried::Info(found), .. }) => {
            result.info = &raw const *info.insert(info_of(found));
        }
        Outcome::File(FileResult { carried: Carried::Listing(listing), .. }) => match entries_of(listing) {
            Ok(found) => {
                entries = found;
                result.entries = entries.as_ptr();
            }
            Err(error) => (result.status, result.value) = (error.code(), 0),
        },
        _ => {}
    }
    call(&raw const result);
    drop((info, entries));
}

/// The bits and the value of a record.
pub(crate) fn record(outcome: &Outcome, batch: &Batch) -> (u32, i64) {
    let (status, value) = (status_of(outcome), value_of(outcome));
    let Outcome::File(FileResult { error: None, carried, value: count, more }) = outcome else {
        return (status as u32, value);
    };
    match carried {
        Carried::Nothing => (0, value),
        Carried::Data(bytes) => (*count as u32, batch.carry(&[bytes])),
        Carried::Info(info) => (0, batch.carry(&[bytes_of(&[info_of(info)])])),
        Carried::Listing(listing) => {
            let more = if *more { TG_FILE_MORE } else { 0 };
            (*count as u32 | more, batch.carry(&[listing.bytes()]))
        }
    }
}
