//! The epoll shape without callbacks: register, wait into an array. Every call may come from any thread.

use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::base::interest::{self, Mode, Readiness};
use crate::base::table::Table;
use crate::sys::lock::Lock;
use crate::sys::poller::{Poller as Object, Ready, ReadyList, Registration, WAKE_KEY, Waker};
use crate::sys::{Fd, clock, fork};
use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const OPERATION: u8 = 2;
const ADDED: Error = Error::EXISTS.because("the descriptor is registered already");
const NOT_ADDED: Error = Error::NOT_FOUND.because("the descriptor is not registered");

/// One descriptor that is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PollerEvent {
    /// What was given when it was added.
    pub data: u64,
    /// The bits that were asked for and are ready, and ERROR and HANGUP unasked.
    pub ready: u32,
    /// 0.
    pub reserved: u32,
}

impl PollerEvent {
    /// That much is ready.
    pub const fn new(data: u64, ready: u32) -> PollerEvent {
        PollerEvent { data, ready, reserved: 0 }
    }
}

/// Where a wait writes what it has found: memory that need not be initialised.
pub type Room = [MaybeUninit<PollerEvent>];

/// How a poller behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct PollerOptions {
    /// Regular files are refused as the kernel does, instead of always being ready.
    pub strict: bool,
    /// A wait ends with EINTR when a signal handler ran, instead of going on.
    pub interruptible: bool,
}

/// See the module.
pub struct Poller {
    object: Object,
    waker: Waker,
    options: PollerOptions,
    state: Lock<State>,
    scratch: Lock<Option<(usize, ReadyList)>>,
    waits: AtomicU64,
    shut: AtomicBool,
    epoch: u64,
}

struct State {
    entries: Table<Entry>,
    by_fd: HashMap<Fd, Id>,
    /// Those that epoll refuses.
    regular: Vec<Id>,
}

struct Entry {
    fd: Fd,
    data: u64,
    interest: u32,
    mode: Mode,
    registered: bool,
    regular: bool,
    /// Not reported yet since it was added or changed (regular files in a mode other than level).
    fresh: bool,
    without_urgent: bool,
}

impl Entry {
    fn registration(&self, id: Id) -> Registration {
        Registration { key: id.raw(), interest: self.interest, mode: self.mode, without_urgent: self.without_urgent }
    }

    fn reports_by_itself(&self) -> bool {
        self.regular && self.interest != 0 && (self.mode == Mode::Level || self.fresh)
    }
}

impl Poller {
    /// A new one. `tag` and `floor` belong to its id.
    pub fn new(tag: u16, floor: u32, options: PollerOptions) -> Result<Poller> {
        let object = Object::new()?;
        let waker = Waker::new()?;
        waker.register(&object)?;
        let state = State { entries: Table::new(tag, floor, OPERATION), by_fd: HashMap::new(), regular: Vec::new() };
        Ok(Poller {
            object,
            waker,
            options,
            state: Lock::new(state),
            scratch: Lock::new(None),
            waits: AtomicU64::new(0),
            shut: AtomicBool::new(false),
            epoch: fork::epoch(),
        })
    }

    fn check(&self) -> Result<()> {
        if self.epoch != fork::epoch() {
            return Err(Error::FORKED);
        }
        if self.shut.load(Ordering::SeqCst) { Err(Error::STALE) } else { Ok(()) }
    }

    /// Registers a descriptor; with no interest it is known and silent.
    ///
    /// # Errors
    /// [`Error::EXISTS`], [`Error::BAD_FD`], [`Error::NOT_SUPPORTED`] for the mode, [`Error::NO_MEMORY`],
    /// [`Error::LIMIT`], the system's (EPERM for a regular file when strict).
    pub fn add(&self, fd: Fd, interest: u32, mode: Mode, data: u64) -> Result<()> {
        self.check()?;
        if !self.object.supports(mode) {
            return Err(Error::NOT_SUPPORTED.because("this platform lacks the trigger mode"));
        }
        let mut state = self.state.lock();
        state.by_fd.try_reserve(1)?;
        state.regular.try_reserve(1)?;
        let known = state.by_fd.get(&fd).copied();
        if known.and_then(|id| state.entries.get(id)).is_some_and(|entry| !entry.registered && !entry.regular) {
            return Err(ADDED);
        }
        let id = state.entries.insert(Entry {
            fd,
            data,
            interest,
            mode,
            registered: interest != 0,
            regular: false,
            fresh: true,
            without_urgent: false,
        })?;
        let outcome = self.add_to_object(&mut state, id, fd, known);
        if outcome.is_err() {
            state.entries.remove(id);
        }
        outcome
    }

    fn add_to_object(&self, state: &mut State, id: Id, fd: Fd, known: Option<Id>) -> Result<()> {
        let entry = state.entries.get_mut(id).ok_or(Error::STALE)?;
        match self.object.add(fd, entry.registration(id)) {
            Ok(()) if entry.interest == 0 => self.object.delete(fd)?,
            Ok(()) => {}
            Err(error) if error.code() == -libc::EPERM && !self.options.strict => {
                entry.registered = false;
                entry.regular = true;
            }
            Err(error) if error.code() == -libc::EEXIST => return Err(ADDED),
            Err(error) if error.code() == -libc::EBADF => return Err(Error::BAD_FD),
            Err(error) => return Err(error),
        }
        let regular = entry.regular;
        if let Some(known) = known {
            if regular && state.entries.get(known).is_some_and(|entry| entry.regular) {
                return Err(ADDED);
            }
            // The number means another file now: the one we knew was closed without being removed.
            state.forget(known);
        }
        state.by_fd.insert(fd, id);
        if regular {
            state.regular.push(id);
        }
        Ok(())
    }

    /// Changes what a descriptor is registered for; re-arms a oneshot.
    ///
    /// # Errors
    /// [`Error::NOT_FOUND`], [`Error::BAD_FD`], [`Error::NOT_SUPPORTED`], the system's.
    pub fn modify(&self, fd: Fd, interest: u32, mode: Mode, data: u64) -> Result<()> {
        self.check()?;
        if !self.object.supports(mode) {
            return Err(Error::NOT_SUPPORTED.because("this platform lacks the trigger mode"));
        }
        let mut state = self.state.lock();
        let id = *state.by_fd.get(&fd).ok_or(NOT_ADDED)?;
        let entry = state.entries.get_mut(id).ok_or(NOT_ADDED)?;
        let how = Registration { key: id.raw(), interest, mode, without_urgent: entry.without_urgent };
        if !entry.regular {
            let changed = match (entry.registered, interest != 0) {
                (true, true) => self.object.modify(fd, how),
                (true, false) => self.object.delete(fd),
                (false, true) => self.object.add(fd, how),
                (false, false) => Ok(()),
            };
            changed.map_err(|error| match -error.code() {
                libc::EBADF => Error::BAD_FD,
                libc::ENOENT => NOT_ADDED,
                _ => error,
            })?;
            entry.registered = interest != 0;
        }
        (entry.interest, entry.mode, entry.data, entry.fresh) = (interest, mode, data, true);
        Ok(())
    }

    /// Removes a descriptor; nothing of it is reported by waits that begin afterwards.
    ///
    /// # Errors
    /// [`Error::NOT_FOUND`].
    pub fn remove(&self, fd: Fd) -> Result<()> {
        self.check()?;
        let mut state = self.state.lock();
        let id = *state.by_fd.get(&fd).ok_or(NOT_ADDED)?;
        if state.entries.get(id).is_some_and(|entry| entry.registered) {
            // Fails when the program has closed the descriptor already, and then nothing is left to remove.
            let _ = self.object.delete(fd);
        }
        state.forget(id);
        Ok(())
    }

    /// Waits at most `timeout_ns` (-1: for ever) and fills `events` from its start; how many. 0: the time is over, or
    /// somebody called [`Poller::wake`].
    ///
    /// # Errors
    /// EINTR when interruptible; [`Error::STALE`] when it is shut meanwhile; [`Error::NO_MEMORY`].
    pub fn wait(&self, events: &mut Room, timeout_ns: i64) -> Result<usize> {
        let deadline = (timeout_ns >= 0).then(|| clock::monotonic_ns().saturating_add(timeout_ns));
        let (capacity, mut list) = self.borrow_list(events.len())?;
        let outcome = self.wait_until(&mut list, events, deadline);
        *self.scratch.lock() = Some((capacity, list));
        outcome
    }

    /// The list of the last wait of that size, or a new one when another thread has it.
    fn borrow_list(&self, room: usize) -> Result<(usize, ReadyList)> {
        /// The most events that one wait takes from the kernel.
        const MOST: usize = 1024;
        let capacity = room.clamp(1, MOST);
        if let Some(kept) = self.scratch.lock().take_if(|kept| kept.0 == capacity) {
            return Ok(kept);
        }
        Ok((capacity, ReadyList::with_capacity(capacity)?))
    }

    fn wait_until(&self, list: &mut ReadyList, events: &mut Room, deadline: Option<i64>) -> Result<usize> {
        loop {
            self.check()?;
            let rest = deadline.map_or(-1, |deadline| deadline.saturating_sub(clock::monotonic_ns()).max(0));
            let timeout = if self.state.lock().any_regular_ready() { 0 } else { rest };
            self.waits.fetch_add(1, Ordering::Relaxed);
            match self.object.wait(list, timeout) {
                Err(error) if error.code() == -libc::EINTR && !self.options.interruptible => continue,
                waited => waited?,
            }
            if self.shut.load(Ordering::SeqCst) {
                // The next waiter must learn of it too.
                self.wake_object();
                return Err(Error::STALE);
            }
            let (count, woken) = self.collect(list, events);
            if count > 0 || woken || rest == 0 {
                return Ok(count);
            }
        }
    }

    fn collect(&self, list: &ReadyList, events: &mut Room) -> (usize, bool) {
        let mut state = self.state.lock();
        let mut woken = false;
        let mut out = events.iter_mut();
        let mut count = 0;
        for ready in (0..list.len()).filter_map(|index| list.get(index)) {
            if ready.key == WAKE_KEY {
                self.waker.woken();
                woken = true;
            } else if let Some(event) = state.event(&self.object, ready) {
                if let Some(slot) = out.next() {
                    slot.write(event);
                    count += 1;
                }
            }
        }
        count += state.regular_events(out);
        (count, woken)
    }

    /// Ends one wait, or the next one when none is going on.
    pub fn wake(&self) -> Result<()> {
        self.check()?;
        self.wake_object();
        Ok(())
    }

    fn wake_object(&self) {
        self.waker.ring();
    }

    /// From now on every call is [`Error::STALE`], waits that are going on included.
    pub fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
        if self.epoch == fork::epoch() {
            self.wake_object();
        }
    }

    /// Its own descriptor, readable while anything is ready.
    pub fn fd(&self) -> Result<Fd> {
        self.check().map(|()| self.object.fd())
    }

    /// How often it has asked the system.
    pub fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }

    /// Ends an inherited poller in a forked child without a trace in the parent.
    pub fn leave_to_parent(self) {
        self.object.leave_to_parent();
    }
}

impl State {
    fn forget(&mut self, id: Id) {
        let Some(entry) = self.entries.remove(id) else { return };
        if self.by_fd.get(&entry.fd) == Some(&id) {
            self.by_fd.remove(&entry.fd);
        }
        if entry.regular {
            self.regular.retain(|other| *other != id);
        }
    }

    fn event(&mut self, object: &Object, ready: Ready) -> Option<PollerEvent> {
        let id = Id::from_raw(ready.key);
        let entry = self.entries.get_mut(id)?;
        if ready.readiness.bits & interest::PRIORITY & !entry.interest != 0 && !entry.without_urgent {
            entry.without_urgent = true;
            // A oneshot is silent anyway; a failure means that the descriptor is gone.
            if entry.mode != Mode::Oneshot {
                let _ = object.modify(entry.fd, entry.registration(id));
            }
        }
        let bits = ready.readiness.for_interest(entry.interest);
        (bits != 0).then_some(PollerEvent::new(entry.data, bits))
    }

    fn any_regular_ready(&self) -> bool {
        self.regular.iter().any(|id| self.entries.get(*id).is_some_and(Entry::reports_by_itself))
    }

    /// Fills `out` from the regular files; each wait begins with another one, so that none is left out for ever.
    fn regular_events(&mut self, mut out: std::slice::IterMut<'_, MaybeUninit<PollerEvent>>) -> usize {
        if self.regular.is_empty() {
            return 0;
        }
        let readiness = Readiness { bits: interest::READ | interest::WRITE, half_closed: false };
        self.regular.rotate_left(1);
        let mut count = 0;
        for id in &self.regular {
            let Some(entry) = self.entries.get_mut(*id).filter(|entry| entry.reports_by_itself()) else { continue };
            let Some(slot) = out.next() else { break };
            entry.fresh = false;
            slot.write(PollerEvent::new(entry.data, readiness.for_interest(entry.interest)));
            count += 1;
        }
        count
    }
}
