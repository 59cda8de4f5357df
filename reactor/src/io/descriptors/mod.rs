//! The descriptors that a loop watches: one registration each, shared by all its watchers.
//!
//! The interests of the watchers are united. Changes only mark the descriptor; [`Descriptors::flush`], once before each
//! wait, makes at most one system call for each that really differs. Opening always tries to add: what the kernel answers
//! is the only way to learn that a number now means another file than the one we knew (the kernel drops a closed
//! descriptor without a word).

mod descriptor;

use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::base::interest::{self, Mode, Readiness};
use crate::base::table::Table;
use crate::sys::Fd;
use crate::sys::poller::{Poller, Ready, Registration};
use descriptor::{Descriptor, Kernel, Watcher};
use std::collections::{HashMap, VecDeque};

/// The mark of descriptor ids, which serve as keys at the poller.
const OPERATION: u8 = 1;

/// A watcher that must be told that its descriptor is lost, and why.
#[derive(Clone, Copy, Debug)]
pub struct Casualty {
    /// The watcher; its interest is empty now.
    pub watcher: Id,
    /// [`Error::BAD_FD`], or what the system answered.
    pub error: Error,
}

/// What an event from the poller turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Of a descriptor with one watcher: whom to tell, and with what bits.
    One(Id, u32),
    /// Of a descriptor that is watched; the watchers to tell were listed.
    Yes,
    /// Of one that was closed since the wait.
    Closed,
    /// Of a registration that nobody can remove: the descriptor was closed while a duplicate keeps its file open.
    Zombie,
}

/// See the module.
pub struct Descriptors {
    table: Table<Descriptor>,
    by_fd: HashMap<Fd, Id>,
    dirty: Vec<Id>,
    regular: Vec<Id>,
    casualties: VecDeque<Casualty>,
    watchers: usize,
    removed_since_wait: bool,
}

impl Descriptors {
    /// None yet. `floor` is where the generations of the loop begin.
    pub fn new(tag: u16, floor: u32) -> Descriptors {
        Descriptors {
            table: Table::new(tag, floor, OPERATION),
            by_fd: HashMap::new(),
            dirty: Vec::new(),
            regular: Vec::new(),
            casualties: VecDeque::new(),
            watchers: 0,
            removed_since_wait: false,
        }
    }

    /// The largest generation given out.
    pub fn ceiling(&self) -> u32 {
        self.table.ceiling()
    }

    /// Begins to watch; the id names the descriptor in the other calls.
    ///
    /// # Errors
    /// [`Error::BAD_FD`]; [`Error::EXISTS`] when it is watched in another mode; [`Error::NOT_SUPPORTED`] for a mode that
    /// the platform lacks; [`Error::NO_MEMORY`], [`Error::LIMIT`]; the system's. Nothing is changed then.
    pub fn open(&mut self, poller: &Poller, fd: Fd, watcher: Id, interest: u32, mode: Mode) -> Result<Id> {
        if !poller.supports(mode) {
            return Err(Error::NOT_SUPPORTED.because("this platform lacks the trigger mode"));
        }
        self.reserve()?;
        let watcher = Watcher { id: watcher, interest };
        let known = self.by_fd.get(&fd).copied();
        let opened = match known.filter(|id| self.is_unregistered(*id)) {
            Some(id) => self.join_unregistered(poller, id, watcher, mode),
            None => self.open_fresh(poller, fd, watcher, mode, known),
        };
        self.watchers += usize::from(opened.is_ok());
        opened
    }

    /// Takes now what later steps need, so that they cannot fail.
    fn reserve(&mut self) -> Result<()> {
        self.by_fd.try_reserve(1)?;
        let all = self.table.len() + 1;
        self.dirty.try_reserve(all.saturating_sub(self.dirty.len()))?;
        self.regular.try_reserve(1)?;
        let told = self.watchers + 1;
        Ok(self.casualties.try_reserve(told.saturating_sub(self.casualties.len()))?)
    }

    fn is_unregistered(&self, id: Id) -> bool {
        self.table.get(id).is_some_and(|known| known.kernel == Kernel::Absent && !known.regular)
    }

    /// The descriptor is known, but nobody wanted anything of it until now.
    fn join_unregistered(&mut self, poller: &Poller, id: Id, watcher: Watcher, mode: Mode) -> Result<Id> {
        let known = self.table.get_mut(id).ok_or(Error::STALE)?;
        if known.mode != mode {
            return Err(Error::EXISTS.because("the descriptor is watched in another trigger mode"));
        }
        known.reserve()?;
        let (fd, interest) = (known.fd, known.union() | watcher.interest);
        match add(poller, fd, known.registration(id, interest)) {
            Ok(kernel) => {
                known.kernel = kernel;
                known.push(watcher).map(|()| id)
            }
            Err(error) if error.code() == -libc::EPERM => self.open_fresh(poller, fd, watcher, mode, Some(id)),
            Err(error) => Err(error),
        }
    }

    fn open_fresh(&mut self, poller: &Poller, fd: Fd, watcher: Watcher, mode: Mode, known: Option<Id>) -> Result<Id> {
        let id = self.table.insert(Descriptor {
            fd,
            mode,
            kernel: Kernel::Absent,
            regular: false,
            fresh: true,
            without_urgent: false,
            dirty: false,
            dead: false,
            first: watcher,
            others: None,
        })?;
        let how = Registration { key: id.raw(), interest: watcher.interest, mode, without_urgent: false };
        let outcome = match add(poller, fd, how) {
            Ok(kernel) => {
                self.settle(id, fd, known, kernel, false);
                return Ok(id);
            }
            Err(error) if error.code() == -libc::EPERM => match known.filter(|id| self.is_regular(*id)) {
                Some(known) => self.merge(known, watcher, mode),
                None => {
                    self.settle(id, fd, known, Kernel::Absent, true);
                    return Ok(id);
                }
            },
            Err(error) if error.code() == -libc::EEXIST => match known {
                Some(known) => self.merge(known, watcher, mode),
                // Left behind by a closed descriptor whose duplicate has come back under the same number.
                None => poller.modify(fd, how).map(|()| {
                    self.settle(id, fd, None, Kernel::Present(watcher.interest), false);
                    self.mark(id);
                    id
                }),
            },
            Err(error) => Err(error),
        };
        if outcome != Ok(id) {
            self.table.remove(id);
        }
        outcome
    }

    fn is_regular(&self, id: Id) -> bool {
        self.table.get(id).is_some_and(|known| known.regular)
    }

    /// Makes `id` what `fd` means from now on; whatever it meant before is lost.
    fn settle(&mut self, id: Id, fd: Fd, before: Option<Id>, kernel: Kernel, regular: bool) {
        if let Some(before) = before {
            self.bury(before, Error::BAD_FD);
        }
        self.by_fd.insert(fd, id);
        if let Some(descriptor) = self.table.get_mut(id) {
            descriptor.kernel = kernel;
            descriptor.regular = regular;
            descriptor.fresh = regular;
        }
        if regular {
            self.regular.push(id);
        }
    }

    fn merge(&mut self, id: Id, watcher: Watcher, mode: Mode) -> Result<Id> {
        let known = self.table.get_mut(id).ok_or(Error::STALE)?;
        if known.mode != mode {
            return Err(Error::EXISTS.because("the descriptor is watched in another trigger mode"));
        }
        known.push(watcher)?;
        known.fresh |= watcher.interest != 0;
        self.mark(id);
        Ok(id)
    }

    /// The number does not mean this descriptor any more: its watchers are told so.
    fn bury(&mut self, id: Id, error: Error) {
        let Some(descriptor) = self.table.get_mut(id) else { return };
        if descriptor.dead {
            return;
        }
        descriptor.dead = true;
        descriptor.kernel = Kernel::Absent;
        self.removed_since_wait = true;
        let fd = descriptor.fd;
        for watcher in descriptor.watchers_mut() {
            watcher.interest = 0;
            self.casualties.push_back(Casualty { watcher: watcher.id, error });
        }
        if self.by_fd.get(&fd) == Some(&id) {
            self.by_fd.remove(&fd);
        }
        self.regular.retain(|other| *other != id);
    }

    fn mark(&mut self, id: Id) {
        if let Some(descriptor) = self.table.get_mut(id).filter(|descriptor| !descriptor.dirty) {
            descriptor.dirty = true;
            self.dirty.push(id);
        }
    }

    /// What a watcher waits for from now on (from the next [`Descriptors::flush`] for the kernel).
    ///
    /// # Errors
    /// [`Error::BAD_FD`] when the descriptor was found to be closed.
    pub fn set_interest(&mut self, id: Id, watcher: Id, interest: u32) -> Result<()> {
        let descriptor = self.table.get_mut(id).ok_or(Error::STALE)?;
        if descriptor.dead {
            return Err(Error::BAD_FD.because("the descriptor was closed while it was watched"));
        }
        let mut fresh = false;
        for mine in descriptor.watchers_mut().filter(|mine| mine.id == watcher) {
            fresh = interest & !mine.interest != 0;
            mine.interest = interest;
        }
        // A regular file has no arrivals: setting its interest is what makes it report again.
        descriptor.fresh |= fresh || descriptor.regular;
        self.mark(id);
        Ok(())
    }

    /// Ends a watcher. With the last one the descriptor leaves the poller, before this returns.
    pub fn close(&mut self, poller: &Poller, id: Id, watcher: Id) {
        let Some(descriptor) = self.table.get_mut(id) else { return };
        let last = descriptor.leave(watcher);
        self.watchers -= 1;
        self.casualties.retain(|casualty| casualty.watcher != watcher);
        if !last {
            self.mark(id);
            return;
        }
        let (fd, dirty) = (descriptor.fd, descriptor.dirty);
        if dirty {
            self.dirty.retain(|other| *other != id);
        }
        if descriptor.kernel != Kernel::Absent {
            // Fails when the program has closed the descriptor already, and then nothing is left to remove.
            let _ = poller.delete(fd);
        }
        if self.by_fd.get(&fd) == Some(&id) {
            self.by_fd.remove(&fd);
        }
        if descriptor.regular {
            self.regular.retain(|other| *other != id);
        }
        self.table.remove(id);
        self.removed_since_wait = true;
    }

    /// Tells the kernel what has changed since the last time.
    pub fn flush(&mut self, poller: &Poller) {
        while let Some(id) = self.dirty.pop() {
            if let Err(error) = self.flush_one(poller, id) {
                let lost = [libc::ENOENT, libc::EBADF].map(|errno| -errno).contains(&error.code());
                self.bury(id, if lost { Error::BAD_FD } else { error });
            }
        }
    }

    /// What is closed or lost from now on may still be among the events of the wait that begins.
    pub fn wait_begins(&mut self) {
        self.removed_since_wait = false;
    }

    fn flush_one(&mut self, poller: &Poller, id: Id) -> Result<()> {
        let Some(descriptor) = self.table.get_mut(id) else { return Ok(()) };
        descriptor.dirty = false;
        if descriptor.dead || descriptor.regular {
            return Ok(());
        }
        let want = descriptor.union();
        let how = descriptor.registration(id, want);
        // Somebody who begins to wait on an edge must hear of what is ready already: modifying makes the kernel look.
        let look_again = std::mem::take(&mut descriptor.fresh) && descriptor.mode == Mode::Edge;
        descriptor.kernel = match descriptor.kernel {
            unchanged @ Kernel::Present(have) if have == want && !look_again => unchanged,
            // A level-triggered registration without interest would still report hang-ups for ever.
            Kernel::Present(_) if want == 0 => {
                poller.delete(descriptor.fd)?;
                Kernel::Absent
            }
            Kernel::Absent if want == 0 => Kernel::Absent,
            Kernel::Absent => add(poller, descriptor.fd, how)?,
            Kernel::Spent if want == 0 => Kernel::Spent,
            Kernel::Present(_) | Kernel::Spent => {
                poller.modify(descriptor.fd, how)?;
                Kernel::Present(want)
            }
        };
        Ok(())
    }

    /// Lists in `tell` whom an event concerns, in opening order, and with what bits.
    pub fn event(&mut self, poller: &Poller, ready: Ready, tell: &mut Vec<(Id, u32)>) -> Known {
        let id = Id::from_raw(ready.key);
        let unknown = if self.removed_since_wait { Known::Closed } else { Known::Zombie };
        let Some(descriptor) = self.table.get_mut(id) else { return unknown };
        if descriptor.is_plain() {
            let bits = ready.readiness.for_interest(descriptor.first.interest);
            if ready.readiness.bits & interest::PRIORITY & !descriptor.first.interest == 0 {
                return if bits == 0 { Known::Yes } else { Known::One(descriptor.first.id, bits) };
            }
        }
        if descriptor.dead {
            return unknown;
        }
        let unwanted = ready.readiness.bits & interest::PRIORITY & !descriptor.union();
        if unwanted != 0 && !descriptor.without_urgent {
            descriptor.without_urgent = true;
            if let Kernel::Present(have) = descriptor.kernel {
                // A failure means that the descriptor is gone, which the next change of interest reports.
                let _ = poller.modify(descriptor.fd, descriptor.registration(id, have));
            }
        }
        if descriptor.mode == Mode::Oneshot {
            descriptor.kernel = Kernel::Spent;
        }
        Self::tell(descriptor, ready.readiness, tell);
        if descriptor.mode == Mode::Oneshot {
            self.mark(id);
        }
        Known::Yes
    }

    fn tell(descriptor: &mut Descriptor, readiness: Readiness, tell: &mut Vec<(Id, u32)>) {
        let oneshot = descriptor.mode == Mode::Oneshot;
        for watcher in descriptor.watchers_mut() {
            let bits = readiness.for_interest(watcher.interest);
            if bits != 0 {
                tell.push((watcher.id, bits));
                watcher.interest = if oneshot { 0 } else { watcher.interest };
            }
        }
    }

    /// Whether a regular file has something to report, so that a wait must not block.
    pub fn any_regular_ready(&self) -> bool {
        self.regular.iter().any(|id| self.table.get(*id).is_some_and(Descriptor::reports_by_itself))
    }

    /// Lists whom the regular files concern: always ready for reading and writing.
    pub fn regular_events(&mut self, tell: &mut Vec<(Id, u32)>) {
        let readiness = Readiness { bits: interest::READ | interest::WRITE, half_closed: false };
        for id in &self.regular {
            if let Some(descriptor) = self.table.get_mut(*id).filter(|descriptor| descriptor.reports_by_itself()) {
                descriptor.fresh = false;
                Self::tell(descriptor, readiness, tell);
            }
        }
    }

    /// Whether a watcher waits to be told that its descriptor is lost.
    pub fn has_casualties(&self) -> bool {
        !self.casualties.is_empty()
    }

    /// The next one to tell.
    pub fn take_casualty(&mut self) -> Option<Casualty> {
        self.casualties.pop_front()
    }

    /// In a forked child that gives everything up: the registrations are the parent's.
    pub fn forget_kernel(&mut self) {
        let all: Vec<Id> = self.table.iter().map(|(id, _)| id).collect();
        for id in all {
            if let Some(descriptor) = self.table.get_mut(id) {
                descriptor.kernel = Kernel::Absent;
            }
        }
    }

    /// Registers everything again with a new poller object.
    pub fn move_to(&mut self, poller: &Poller) {
        let live: Vec<Id> = self.table.iter().filter(|(_, one)| !one.dead).map(|(id, _)| id).collect();
        for id in live {
            if let Some(descriptor) = self.table.get_mut(id) {
                descriptor.kernel = Kernel::Absent;
            }
            self.mark(id);
        }
        self.flush(poller);
    }
}

/// Registers; without interest only to learn what the number means.
fn add(poller: &Poller, fd: Fd, how: Registration) -> Result<Kernel> {
    match poller.add(fd, how) {
        Ok(()) if how.interest == 0 => {
            poller.delete(fd)?;
            Ok(Kernel::Absent)
        }
        Ok(()) => Ok(Kernel::Present(how.interest)),
        Err(error) if error.code() == -libc::EBADF => Err(Error::BAD_FD),
        Err(error) => Err(error),
    }
}
