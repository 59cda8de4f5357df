//! Descriptors that belong to handles of the loop: listeners, connections, datagram sockets and the like.
//!
//! Nobody else may register them, so that they need no entry among the shared [`descriptors`](crate::io::descriptors): the
//! poller reports the handle's own id. As there, changes of interest only mark the handle, and one system call at most
//! tells the kernel before the wait.

use super::core::{Core, Slot, Told};
use super::noted::Noted;
use super::{EventLoop, Sink};
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::base::interest::{Mode, READ, WRITE};
use crate::sys::Fd;
use crate::sys::poller::{Poller, Ready, Registration};
use std::os::fd::{AsRawFd, OwnedFd};

/// The mark of the ids under which they are registered.
pub(super) const OPERATION: u8 = 3;

/// A descriptor that is closed with its handle.
pub(super) struct Owned {
    fd: OwnedFd,
    /// What the kernel was told.
    told: u8,
    /// What it is to be told before the next wait.
    wanted: u8,
    dirty: bool,
    /// A regular file: epoll refuses it, and it is always ready.
    always: bool,
}

impl Owned {
    pub(super) fn fd(&self) -> Fd {
        self.fd.as_raw_fd()
    }

    pub(super) fn interest(&self) -> u32 {
        u32::from(self.wanted)
    }

    fn tell(&mut self, poller: &Poller, id: Id) -> Result<()> {
        tell(poller, id, self.fd.as_raw_fd(), &mut self.told, self.wanted)
    }
}

/// What a loop knows of all of them.
#[derive(Default)]
pub(super) struct OwnedSet {
    dirty: Noted,
    always: Vec<Id>,
    next_always: usize,
    count: usize,
    /// One bit a number, so that the program's watchers are kept from them.
    numbers: Vec<u64>,
}

impl OwnedSet {
    pub(super) fn contains(&self, fd: Fd) -> bool {
        let word = usize::try_from(fd).ok().and_then(|fd| self.numbers.get(fd / 64));
        word.is_some_and(|word| word & (1 << (fd % 64)) != 0)
    }

    fn reserve(&mut self, fd: Fd) -> Result<()> {
        let words = fd as usize / 64 + 1;
        self.numbers.try_reserve(words.saturating_sub(self.numbers.len()))?;
        self.numbers.resize(words.max(self.numbers.len()), 0);
        Ok(self.always.try_reserve(1)?)
    }

    fn mark(&mut self, fd: Fd, owned: bool) {
        let bit = 1 << (fd % 64);
        let word = &mut self.numbers[fd as usize / 64];
        *word = if owned { *word | bit } else { *word & !bit };
        self.count = if owned { self.count + 1 } else { self.count - 1 };
    }

    /// Another handle owns the descriptor, without the poller.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`].
    pub(super) fn note(&mut self, fd: Fd) -> Result<()> {
        self.reserve(fd)?;
        self.mark(fd, true);
        Ok(())
    }

    /// It does so no more.
    pub(super) fn forget(&mut self, fd: Fd) {
        if self.contains(fd) {
            self.mark(fd, false);
        }
    }

    pub(super) fn turn_begins(&mut self) {
        self.next_always = 0;
    }
}

#[inline]
pub(super) fn is_owned(ready: Ready) -> bool {
    Id::from_raw(ready.key).operation() == OPERATION
}

fn registration(id: Id, interest: u8) -> Registration {
    // Urgent data is read in line (SO_OOBINLINE), and must not report by itself.
    Registration {
        key: id.with_operation(OPERATION).raw(),
        interest: interest.into(),
        mode: Mode::Level,
        without_urgent: true,
    }
}

impl<S: Sink> Core<S> {
    /// Registers a descriptor for the handle `id`, into whose slot it goes. It must not block.
    ///
    /// # Errors
    /// [`Error::EXISTS`] when a watcher of the program's has it, [`Error::NO_MEMORY`], the system's; it is closed then.
    pub(super) fn own(&mut self, id: Id, fd: OwnedFd, interest: u32) -> Result<Owned> {
        self.own_from(id, &mut Some(fd), interest)
    }

    /// The same; `fd` keeps it when it fails.
    pub(super) fn own_from(&mut self, id: Id, fd: &mut Option<OwnedFd>, interest: u32) -> Result<Owned> {
        let number = fd.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        if number < 0 {
            return Err(Error::BAD_FD);
        }
        self.owned.reserve(number)?;
        let (mut told, wanted, mut always) = (0, interest as u8, false);
        match tell(&self.poller, id, number, &mut told, wanted) {
            Err(error) if error.code() == -libc::EPERM => {
                always = true;
                self.owned.always.push(id);
            }
            Err(error) if error.code() == -libc::EEXIST => {
                return Err(Error::EXISTS.because("the descriptor is being watched"));
            }
            told => told?,
        }
        let fd = fd.take().ok_or(Error::BAD_FD)?;
        self.owned.mark(number, true);
        Ok(Owned { fd, told, wanted, dirty: false, always })
    }

    /// Takes it out of the poller and closes it.
    pub(super) fn disown(&mut self, id: Id, owned: Owned) {
        crate::sys::socket::close(self.release_owned(id, owned));
    }

    /// Takes it out of the poller and gives it away.
    pub(super) fn release_owned(&mut self, id: Id, owned: Owned) -> OwnedFd {
        if owned.told != 0 {
            // Fails when the program has closed it behind our back, and then nothing is left to remove.
            let _ = self.poller.delete(owned.fd());
        }
        if owned.dirty {
            self.owned.dirty.ids.retain(|other| *other != id);
        }
        if owned.always {
            self.owned.always.retain(|other| *other != id);
        }
        self.owned.mark(owned.fd(), false);
        owned.fd
    }

    /// What the handle waits for from the next wait on.
    #[inline]
    pub(super) fn owned_want(&mut self, id: Id, interest: u32) {
        let Some(owned) = self.table.get_mut(id).and_then(|entry| entry.slot.owned_mut()) else { return };
        owned.wanted = interest as u8;
        if owned.wanted != owned.told && !owned.dirty {
            owned.dirty = true;
            self.owned.dirty.push(id);
        }
    }

    /// Tells the kernel what has changed.
    #[inline(always)]
    pub(super) fn flush_owned(&mut self) {
        if !self.owned.dirty.is_empty() {
            self.flush_dirty();
        }
    }

    fn flush_dirty(&mut self) {
        while let Some(id) = self.owned.dirty.ids.pop() {
            self.flush_one_owned(id);
        }
        if self.owned.dirty.take_missed() {
            self.visit_all(Self::flush_one_owned);
        }
    }

    fn flush_one_owned(&mut self, id: Id) {
        let owned = self.table.get_mut(id).and_then(|entry| entry.slot.owned_mut());
        let Some(owned) = owned.filter(|owned| owned.dirty) else { return };
        owned.dirty = false;
        if !owned.always && owned.tell(&self.poller, id).is_err() {
            // The program has closed the descriptor: reading or writing it will say so.
            owned.told = 0;
            self.owned_lost(id);
        }
    }

    /// A new poller object: registers them all again.
    pub(super) fn move_owned(&mut self) {
        let all: Vec<Id> = self.table.iter().map(|(id, _)| id).collect();
        for id in all {
            let Some(owned) = self.table.get_mut(id).and_then(|entry| entry.slot.owned_mut()) else { continue };
            owned.told = 0;
            if !owned.always {
                // A failure means that the descriptor is gone: reading or writing it will say so.
                let _ = owned.tell(&self.poller, id);
            }
        }
    }

    /// Whether one of them is ready without the poller's saying so.
    pub(super) fn any_always_ready(&mut self) -> bool {
        let Core { owned, table, .. } = self;
        let mut wanted =
            |id: &Id| table.get_mut(*id).and_then(|entry| entry.slot.owned_mut()).map_or(0, |it| it.interest());
        owned.always.iter().any(|id| wanted(id) & (READ | WRITE) != 0)
    }

    /// The next regular file that somebody waits for.
    pub(super) fn next_always_ready(&mut self) -> Option<(Id, u32)> {
        while let Some(id) = self.owned.always.get(self.owned.next_always).copied() {
            self.owned.next_always += 1;
            let owned = self.table.get_mut(id).and_then(|entry| entry.slot.owned_mut());
            let wanted = owned.map_or(0, |owned| owned.interest());
            if wanted & (READ | WRITE) != 0 {
                return Some((id, wanted & (READ | WRITE)));
            }
        }
        None
    }

    /// What became of a handle's descriptor is told to its state machine, which says whom to tell what.
    #[inline]
    pub(super) fn owned_event(&mut self, ready: Ready) -> Option<(Id, S::User, Told)> {
        let id = Id::from_raw(ready.key).without_operation();
        let wanted = self.table.get_mut(id)?.slot.owned_mut()?.interest();
        let bits = ready.readiness.for_interest(wanted);
        if bits == 0 { None } else { self.owned_ready(id, bits) }
    }
}

fn tell(poller: &Poller, id: Id, fd: Fd, told: &mut u8, wanted: u8) -> Result<()> {
    match (*told, wanted) {
        (told, wanted) if told == wanted => {}
        // A level-triggered registration without interest would still report hang-ups for ever.
        (_, 0) => poller.delete(fd)?,
        (0, wanted) => poller.add(fd, registration(id, wanted))?,
        (_, wanted) => poller.modify(fd, registration(id, wanted))?,
    }
    *told = wanted;
    Ok(())
}

impl Slot {
    /// The descriptor that is closed with the handle, if it has one.
    #[inline]
    pub(super) fn owned_mut(&mut self) -> Option<&mut Owned> {
        match self {
            Slot::Conn(conn) => Some(&mut conn.owned),
            Slot::Listener(listener) => Some(&mut listener.owned),
            Slot::Process(slot) => Some(&mut slot.owned),
            Slot::Watch(slot) => Some(&mut slot.owned),
            Slot::Udp(udp) => Some(&mut udp.owned),
            _ => None,
        }
    }
}

impl<S: Sink> Core<S> {
    /// One step of the handle's state machine.
    #[inline]
    pub(super) fn owned_ready(&mut self, id: Id, bits: u32) -> Option<(Id, S::User, Told)> {
        match self.table.get_mut(id)?.slot {
            Slot::Conn(_) => self.conn_ready(id, bits),
            Slot::Listener(_) => self.listener_ready(id),
            Slot::Process(_) => self.process_ready(id),
            Slot::Watch(_) => self.watch_ready(id),
            Slot::Udp(_) => self.udp_ready(id, bits),
            _ => None,
        }
    }

    /// What the handle has left to tell of what it has taken before.
    #[inline]
    pub(super) fn owned_more(&mut self, id: Id) -> Option<(Id, S::User, Told)> {
        match self.table.get_mut(id)?.slot {
            Slot::Watch(_) => self.next_change(id),
            _ => None,
        }
    }

    /// In a forked child: another descriptor in the place of one that is shared with the parent. [`Core::move_owned`] comes
    /// later.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`].
    pub(super) fn replace_owned(&mut self, id: Id, fd: OwnedFd) -> Result<()> {
        let Core { owned: set, table, .. } = self;
        set.reserve(fd.as_raw_fd())?;
        if let Some(owned) = table.get_mut(id).and_then(|entry| entry.slot.owned_mut()) {
            set.mark(owned.fd(), false);
            owned.fd = fd;
            set.mark(owned.fd(), true);
        }
        Ok(())
    }

    /// In a forked child: the handle is ready whatever its descriptor says, until it wants nothing more.
    pub(super) fn owned_always(&mut self, id: Id) {
        let Some(owned) = self.table.get_mut(id).and_then(|entry| entry.slot.owned_mut()) else { return };
        if !owned.always {
            owned.always = true;
            self.owned.always.push(id);
        }
    }

    /// The kernel does not know a handle's descriptor any more.
    fn owned_lost(&mut self, id: Id) {
        if let Some(Slot::Udp(_)) = self.table.get(id).map(|entry| &entry.slot) {
            self.udp_lost(id);
        }
    }
}

impl<S: Sink> EventLoop<S> {
    /// The descriptor of a handle that owns one, for options that the library has no words for. It stays the loop's: it must
    /// not be closed, read or written.
    ///
    /// # Errors
    /// [`Error::KIND`] for handles without one, [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn owned_fd(&self, id: Id) -> Result<Fd> {
        let mut core = self.core()?;
        core.entry(id)?.slot.owned_mut().map(|owned| owned.fd()).ok_or(Error::KIND)
    }
}
