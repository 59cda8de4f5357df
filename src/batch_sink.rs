//! The sink of batch records: events are written into memory that the caller reads.
//!
//! The memory is shared with C code of the same thread, between calls only. The library trusts nothing that it finds there:
//! counts are checked, and its own copies say where the arrays are.

use crate::address::tg_address;
use crate::batch::{self, tg_batch, tg_record, tg_submission};
use crate::callbacks::{Post, status_and_value};
use crate::conn::options::which;
use crate::convert::bytes_of;
use crate::error::noted;
use crate::file::results;
use crate::sink::CLoop;
use crate::udp;
use std::cell::{Cell, RefCell};
use std::os::fd::{FromRawFd, OwnedFd};
use tidegate_reactor::event_loop::{JobKind, Kind};
use tidegate_reactor::sys::Fd;
use tidegate_reactor::{Error, Event, Id, Result};

/// The most that one record carries: a whole read of a connection, or a datagram and its address.
pub(crate) const LARGEST_CARRY: usize = 65_536 + 512;

/// See the module.
pub(crate) struct Batch {
    header: *mut tg_batch,
    records: *mut tg_record,
    submissions: *mut tg_submission,
    data: *mut u8,
    data_capacity: u32,
    /// Bytes carried since the last reset.
    carried: Cell<u32>,
    record_capacity: u32,
    submission_capacity: u32,
    /// Descriptors that records have handed over since the last reset, by the records' numbers.
    passed: RefCell<Vec<(u32, Vec<Fd>)>>,
    /// Records written since the last reset.
    written: Cell<u32>,
    /// Submissions taken of those that the header counts.
    taken: Cell<u32>,
}

impl Batch {
    /// Memory for that many records, submissions and bytes.
    pub(crate) fn new(record_capacity: u32, submission_capacity: u32, data_capacity: u32) -> Result<Batch> {
        let records = Array::<tg_record>::new(record_capacity)?;
        let submissions = Array::<tg_submission>::new(submission_capacity)?;
        let data = Array::<u8>::new(data_capacity)?.into_raw();
        let (records, submissions) = (records.into_raw(), submissions.into_raw());
        let header = Box::into_raw(Box::new(tg_batch {
            size: size_of::<tg_batch>() as u32,
            record_size: size_of::<tg_record>() as u32,
            submission_size: size_of::<tg_submission>() as u32,
            record_capacity,
            submission_capacity,
            flags: 0,
            record_count: 0,
            record_cursor: 0,
            submission_count: 0,
            submission_cursor: 0,
            timeout_ns: -1,
            now_ns: 0,
            records,
            submissions,
            data,
            data_count: 0,
        }));
        Ok(Batch {
            header,
            records,
            submissions,
            data,
            data_capacity,
            carried: Cell::new(0),
            record_capacity,
            submission_capacity,
            passed: RefCell::new(Vec::new()),
            written: Cell::new(0),
            taken: Cell::new(0),
        })
    }

    /// What the caller reads and writes.
    pub(crate) fn header(&self) -> *mut tg_batch {
        self.header
    }

    fn read(&self) -> tg_batch {
        // SAFETY: ours, live and initialised; the caller may have written any integers, and the pointers are not used.
        unsafe { self.header.read() }
    }

    fn change(&self, change: impl FnOnce(&mut tg_batch)) {
        let mut header = self.read();
        change(&mut header);
        (header.records, header.submissions, header.data) = (self.records, self.submissions, self.data);
        (header.record_capacity, header.submission_capacity) = (self.record_capacity, self.submission_capacity);
        // SAFETY: ours and live.
        unsafe { self.header.write(header) };
    }

    /// Records that the caller has not consumed.
    ///
    /// # Errors
    /// [`Error::INVALID`] for a cursor beyond the records.
    pub(crate) fn unconsumed(&self) -> Result<u32> {
        let (cursor, count) = (self.read().record_cursor, self.written.get());
        count.checked_sub(cursor).ok_or_else(|| {
            let error = Error::invalid("record_cursor is beyond record_count");
            noted(error, format_args!("record_cursor = {cursor}, record_count = {count}"))
        })
    }

    /// Makes room: everything was consumed.
    pub(crate) fn reset(&self) {
        self.written.set(0);
        self.carried.set(0);
        self.passed.borrow_mut().clear();
        self.change(|header| (header.record_count, header.record_cursor, header.data_count) = (0, 0, 0));
    }

    /// How long the caller lets the next turn wait.
    ///
    /// # Errors
    /// [`Error::INVALID`] below -1.
    pub(crate) fn timeout_ns(&self) -> Result<i64> {
        match self.read().timeout_ns {
            timeout_ns if timeout_ns < -1 => {
                Err(noted(Error::invalid("timeout_ns is below -1"), format_args!("timeout_ns = {timeout_ns}")))
            }
            timeout_ns => Ok(timeout_ns),
        }
    }

    /// Checks the caller's count of submissions.
    ///
    /// # Errors
    /// [`Error::INVALID`] for more than there is room for.
    pub(crate) fn check_submissions(&self) -> Result<()> {
        let count = self.read().submission_count;
        if count > self.submission_capacity || count < self.taken.get() {
            let (taken, room) = (self.taken.get(), self.submission_capacity);
            let words = format_args!("submission_count = {count}, taken are {taken}, and there is room for {room}");
            return Err(noted(Error::invalid("submission_count is not possible"), words));
        }
        Ok(())
    }

    /// The next submission; it is taken, and will not be seen again. When all are taken the caller may write new ones.
    pub(crate) fn next_submission(&self) -> Option<tg_submission> {
        let taken = self.taken.get();
        if taken >= self.read().submission_count.min(self.submission_capacity) {
            self.taken.set(0);
            self.change(|header| (header.submission_count, header.submission_cursor) = (0, 0));
            return None;
        }
        self.taken.set(taken + 1);
        self.change(|header| header.submission_cursor = taken + 1);
        // SAFETY: below the capacity; plain data of ours that the caller may have filled with anything.
        Some(unsafe { self.submissions.add(taken as usize).read() })
    }

    /// Writes a record; the caller has seen that there is room.
    pub(crate) fn push(&self, record: tg_record) {
        let written = self.written.get();
        if written >= self.record_capacity {
            return;
        }
        // SAFETY: below the capacity.
        unsafe { self.records.add(written as usize).write(record) };
        self.written.set(written + 1);
    }

    /// Copies what a record carries to where the caller can read it; where that begins, or -1 when there is no room, which
    /// [`Sink::has_room`] and [`Sink::largest_carry`] rule out. Each carry begins at a multiple of 8, for structures.
    pub(crate) fn carry(&self, parts: &[&[u8]]) -> i64 {
        let begin = self.carried.get().next_multiple_of(8);
        let mut end = begin as usize;
        for part in parts {
            if end + part.len() > self.data_capacity as usize {
                return -1;
            }
            // SAFETY: the memory has room for them behind `end` (checked) and is not theirs.
            unsafe { std::ptr::copy_nonoverlapping(part.as_ptr(), self.data.add(end), part.len()) };
            end += part.len();
        }
        self.carried.set(end as u32);
        i64::from(begin)
    }

    /// Publishes what was written.
    pub(crate) fn publish(&self, flags: u32, now_ns: i64) {
        let written = self.written.get();
        self.change(|header| {
            header.record_count = written;
            header.data_count = self.carried.get().into();
            header.flags = flags;
            header.now_ns = now_ns;
        });
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let cursor = self.read().record_cursor;
        for fd in self.passed.take().into_iter().filter(|(record, _)| *record >= cursor).flat_map(|(_, fds)| fds) {
            // SAFETY: the program has not come to the record, and so has not taken it over.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        // SAFETY: made by Box::into_raw and freed only here.
        drop(unsafe { Box::from_raw(self.header) });
        free(self.records, self.record_capacity);
        free(self.submissions, self.submission_capacity);
        free(self.data, self.data_capacity);
    }
}

struct Array<T>(Vec<T>);

impl<T: Copy + Default> Array<T> {
    fn new(count: u32) -> Result<Array<T>> {
        let mut elements: Vec<T> = Vec::new();
        elements.try_reserve_exact(count as usize)?;
        elements.resize(count as usize, T::default());
        Ok(Array(elements))
    }

    fn into_raw(self) -> *mut T {
        Box::into_raw(self.0.into_boxed_slice()).cast()
    }
}

fn free<T>(first: *mut T, count: u32) {
    // SAFETY: made by `Array::into_raw` with that count, and freed once.
    drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(first, count as usize)) });
}

/// Also of one that was cancelled, whose outcome does not say what it would have been.
fn is_look_up(event_loop: &CLoop, id: Id) -> bool {
    event_loop.info(id).is_ok_and(|info| info.kind == Kind::Job(JobKind::Resolve))
}

impl Batch {
    /// Whether another record, and what it carries, can be taken.
    pub(crate) fn has_room(&self) -> bool {
        let left = self.data_capacity - self.carried.get().next_multiple_of(8).min(self.data_capacity);
        self.written.get() < self.record_capacity && left as usize >= LARGEST_CARRY
    }

    /// How many records fit.
    pub(crate) fn record_capacity(&self) -> u32 {
        self.record_capacity
    }

    /// The most that one record carries.
    pub(crate) fn largest_carry(&self) -> usize {
        LARGEST_CARRY
    }

    /// Writes the record of an event.
    pub(crate) fn deliver(&self, event_loop: &CLoop, id: Id, user: u64, event: Event<'_>) {
        let (kind, bits, value) = match event {
            Event::Io { ready, status } => (batch::TG_RECORD_IO, ready, i64::from(status)),
            Event::Timer { missed } => (batch::TG_RECORD_TIMER, 0, i64::try_from(missed).unwrap_or(i64::MAX)),
            Event::Signal { signum, count } => {
                (batch::TG_RECORD_SIGNAL, signum as u32, i64::try_from(count).unwrap_or(i64::MAX))
            }
            Event::Async => (batch::TG_RECORD_ASYNC, 0, 0),
            Event::Hook(kind) => (batch::TG_RECORD_HOOK, crate::handle::hook_kind(kind), 0),
            Event::Accepted { conn, peer } => {
                let peer = tg_address::from_engine(peer);
                (batch::TG_RECORD_ACCEPT, self.carry(&[bytes_of(&[peer])]) as u32, conn.raw() as i64)
            }
            Event::ListenerError { status } => (batch::TG_RECORD_LISTENER_ERROR, 0, status.into()),
            Event::Opened => (batch::TG_RECORD_CONN_OPEN, 0, 0),
            Event::Data(bytes) => (batch::TG_RECORD_CONN_DATA, bytes.len() as u32, self.carry(&[bytes])),
            Event::Passed(descriptors) => {
                self.passed.borrow_mut().push((self.written.get(), descriptors.to_vec()));
                let numbers: Vec<[u8; 4]> = descriptors.iter().map(|fd| fd.to_ne_bytes()).collect();
                (batch::TG_RECORD_CONN_DESCRIPTORS, descriptors.len() as u32, self.carry(&[numbers.as_flattened()]))
            }
            Event::Readable => (batch::TG_RECORD_CONN_READABLE, 0, 0),
            Event::Eof => (batch::TG_RECORD_CONN_EOF, 0, 0),
            Event::Drained => (batch::TG_RECORD_CONN_DRAIN, 0, 0),
            Event::TimedOut(timeout) => (batch::TG_RECORD_CONN_TIMEOUT, which(timeout), 0),
            Event::Written { token, status } => (batch::TG_RECORD_CONN_WRITTEN, status as u32, token as i64),
            Event::ConnOver { reason } => (batch::TG_RECORD_CONN_CLOSE, 0, reason.into()),
            Event::Done(outcome) if is_look_up(event_loop, id) => {
                let (bits, value) = crate::resolve::record(self, outcome);
                (batch::TG_RECORD_RESOLVED, bits, value)
            }
            Event::Done(outcome) if results::is_file(event_loop, id) => {
                let (bits, value) = results::record(outcome, self);
                (batch::TG_RECORD_FILE, bits, value)
            }
            Event::Done(outcome) => {
                let (status, value) = status_and_value(outcome);
                (batch::TG_RECORD_DONE, status as u32, value)
            }
            Event::Exit { status, code, signal } => {
                let how = if signal == 0 { code } else { -signal };
                (batch::TG_RECORD_EXIT, status as u32, if status == 0 { i64::from(how) } else { 0 })
            }
            Event::Change { status, changes, cookie, name } => {
                let (cookie, status) = (cookie.to_ne_bytes(), status.to_ne_bytes());
                (batch::TG_RECORD_CHANGE, changes, self.carry(&[&cookie, &status, name.to_bytes_with_nul()]))
            }
            Event::Datagrams(received) => udp::datagram_record(self, received),
            Event::UdpError { status, peer } => udp::error_record(self, status, peer),
            Event::UdpDrained => udp::error_record(self, 0, None),
        };
        self.push(tg_record { handle: id.raw(), user, kind, bits, value });
    }

    /// Writes the record of a post.
    pub(crate) fn post(&self, loop_id: Id, post: &Post) {
        let (handle, user) = (loop_id.raw(), post.user as u64);
        self.push(tg_record { handle, user, kind: batch::TG_RECORD_POST, bits: 0, value: 0 });
    }

    /// The last record of an id. A user that was only replaced leaves none.
    pub(crate) fn released(&self, id: Id, user: u64) {
        if id != Id::NONE {
            self.push(tg_record { handle: id.raw(), user, kind: batch::TG_RECORD_CLOSED, bits: 0, value: 0 });
        }
    }
}
