//! The state of a loop: what every command and the turn work on.

use super::asyncs::{self, Asyncs};
use super::clock::Clock;
use super::conn::{Conn, Conns};
use super::connect_name::Connecting;
use super::file::FileSlot;
use super::jobs::{JobSlot, Jobs, Outcome};
use super::limits::FRAMES_PER_TURN;
use super::listener::Listener;
use super::process::ProcessSlot;
use super::rate::Rate;
use super::releases::{Release, Releases};
use super::stats::Stats;
use super::turn::Turn;
use super::udp::{UdpShared, UdpSlot};
use super::watch::WatchSlot;
use super::{Event, LoopOptions, Sink};
use crate::base::address::Address;
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::base::table::Table;
use crate::base::timers::{TimerKey, Timers};
use crate::event_loop::owned::OwnedSet;
use crate::io::changes::Change;
use crate::io::datagram::Received;
use crate::io::descriptors::Descriptors;
use crate::sys::clock::WallWatch;
use crate::sys::poller::{Poller, Waker};
use crate::sys::port::Claim;
use crate::sys::{Fd, signal};
use std::os::fd::OwnedFd;

/// Where in the turn a hook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookKind {
    /// Every turn, first of all; while one is started the wait does not block.
    Idle,
    /// Just before the wait.
    Prepare,
    /// After the I/O.
    Check,
}

/// How many kinds of hooks there are.
const HOOK_KINDS: usize = HookKind::Check as usize + 1;

pub(super) struct Entry<U> {
    pub(super) user: U,
    pub(super) slot: Slot,
}

/// A mark of an entry: something can still come of it.
pub(super) const ACTIVE: u32 = 1;
/// A mark of an entry: it keeps the loop alive while it is active.
pub(super) const REFERENCED: u32 = 2;

/// What a handle is.
pub(super) enum Slot {
    Io(IoSlot),
    Timer(TimerSlot),
    Signal(SignalSlot),
    Async,
    Hook(HookKind),
    Job(JobSlot),
    Listener(Box<Listener>),
    Conn(Box<Conn>),
    Rate(Box<Rate>),
    Connecting(Box<Connecting>),
    File(Box<FileSlot>),
    Udp(Box<UdpSlot>),
    /// Reserved while its parts are being made.
    Opening,
    /// Boxed like everything large: an entry is to fit into a cache line.
    Process(Box<ProcessSlot>),
    Watch(Box<WatchSlot>),
}

pub(super) struct IoSlot {
    pub(super) fd: Fd,
    pub(super) descriptor: Id,
    /// Bits of [`crate::base::interest`]; there are no more than fit.
    pub(super) interest: u8,
    pub(super) oneshot: bool,
    /// Boxed, because most watchers have none and an entry is to fit into a cache line.
    pub(super) timeout: Option<Box<IoTimeout>>,
}

/// Reports when nothing else does.
pub(super) struct IoTimeout {
    pub(super) timer: TimerKey,
    /// 0: none at present.
    pub(super) after_ns: i64,
}

impl IoSlot {
    pub(super) fn timer(&self) -> Option<TimerKey> {
        self.timeout.as_ref().map(|timeout| timeout.timer)
    }

    /// The timer and its time, if it has one at present.
    pub(super) fn running_timeout(&self) -> Option<(TimerKey, i64)> {
        let timeout = self.timeout.as_ref().filter(|timeout| timeout.after_ns > 0)?;
        Some((timeout.timer, timeout.after_ns))
    }
}

pub(super) struct TimerSlot {
    pub(super) key: TimerKey,
    pub(super) wall: bool,
    pub(super) repeats: bool,
    /// What a restart counts again, and what it repeats after if it does; -1 when it was never started with a delay.
    pub(super) again_ns: i64,
}

pub(super) struct SignalSlot {
    pub(super) signum: i32,
    /// How many deliveries the watcher has been told of.
    pub(super) seen: u64,
}

/// An event, and what it borrows when it is delivered.
pub(super) enum Told {
    Event(Event<'static>),
    Done(Box<Outcome>),
    /// A listener has a connection, from that address.
    Accepted(Id, Box<Address>),
    /// Bytes in the loop's reading buffer.
    Received {
        buffer: Vec<u8>,
        start: usize,
        end: usize,
    },
    /// Bytes of a connection's own, which it gets back.
    Held {
        buffer: Vec<u8>,
        start: usize,
        end: usize,
    },
    /// Descriptors that a peer has passed; they are the program's from then on.
    Passed(Vec<OwnedFd>),
    /// A connection is over, and closes after this.
    Over(i32),
    /// After it the handle closes.
    Last(Event<'static>),
    Change(Box<Change>),
    Datagrams(Received),
    /// The code, and whose datagram has caused it.
    UdpError(Box<(i32, Option<Address>)>),
}

/// The slow-callback hook.
pub(super) struct SlowHook<U> {
    pub(super) user: U,
}

pub(super) struct Core<S: Sink> {
    pub(super) id: Id,
    /// What is closed leaves its user there until that is released.
    pub(super) table: Table<Entry<S::User>, S::User>,
    pub(super) timers: Timers,
    pub(super) wall_timers: Timers,
    pub(super) wall_watch: Option<WallWatch>,
    pub(super) descriptors: Descriptors,
    pub(super) poller: Poller,
    pub(super) waker: Waker,
    /// The stable descriptor that a foreign loop watches, once it was asked for.
    pub(super) outer: Option<crate::sys::nest::Outer>,
    /// Started hooks by kind, in the order in which they were started.
    pub(super) hooks: [Vec<Id>; HOOK_KINDS],
    pub(super) signals: Vec<(i32, Id)>,
    pub(super) asyncs: &'static Asyncs,
    pub(super) asyncs_open: usize,
    pub(super) owned: OwnedSet,
    pub(super) conns: Conns,
    /// What connections read into.
    pub(super) read_buffer: Vec<u8>,
    /// How many frames one connection may deliver a turn.
    pub(super) frames_per_turn: u32,
    pub(super) jobs: Jobs,
    pub(super) udp: UdpShared,
    pub(super) deferred: Vec<S::Post>,
    pub(super) releases: Releases<S>,
    pub(super) active: usize,
    pub(super) holds: usize,
    pub(super) clock: Clock,
    pub(super) now_ns: i64,
    /// Nothing is half done: the loop is in the middle of its wait.
    pub(super) waiting: bool,
    pub(super) turn: Turn<S>,
    pub(super) stats: Stats,
    pub(super) slow: Option<SlowHook<S::User>>,
}

impl<S: Sink> Core<S> {
    pub(super) fn new(claim: &Claim, poller: Poller, waker: Waker, options: &LoopOptions) -> Result<Core<S>> {
        let (tag, floor) = (claim.tag(), claim.floor());
        let clock = options.clock.clone();
        let now_ns = clock.monotonic_ns();
        Ok(Core {
            id: claim.id(),
            table: Table::new(tag, floor, 0),
            timers: Timers::new(),
            wall_timers: Timers::new(),
            wall_watch: None,
            descriptors: Descriptors::new(tag, floor),
            poller,
            waker,
            outer: None,
            hooks: [const { Vec::new() }; HOOK_KINDS],
            signals: Vec::new(),
            asyncs: asyncs::of(tag),
            asyncs_open: 0,
            owned: OwnedSet::default(),
            conns: Conns::default(),
            read_buffer: Vec::new(),
            frames_per_turn: FRAMES_PER_TURN,
            jobs: Jobs::new(claim.id(), options),
            udp: UdpShared::default(),
            deferred: Vec::new(),
            releases: Releases::default(),
            active: 0,
            holds: 0,
            clock,
            now_ns,
            waiting: false,
            turn: Turn::new()?,
            stats: Stats::default(),
            slow: None,
        })
    }

    /// The largest generation that was given out.
    pub(super) fn ceiling(&self) -> u32 {
        self.table.ceiling().max(self.descriptors.ceiling())
    }

    /// An id for a handle that is being made: its parts need the id, and it needs them.
    ///
    /// Its release needs no room besides its slot, so that closing can never fail.
    pub(super) fn reserve(&mut self, user: S::User, referenced: bool) -> Result<Id> {
        let id = self.table.insert(Entry { user, slot: Slot::Opening })?;
        self.table.set_marks(id, if referenced { REFERENCED } else { 0 });
        Ok(id)
    }

    /// Makes room for one more release besides those that may come of the buffers that wait.
    pub(super) fn reserve_release(&mut self) -> Result<()> {
        let Core { releases, conns, .. } = self;
        releases.reserve(conns.buffers + 1)
    }

    /// Undoes [`Core::reserve`] when a part could not be had; the user stays with the caller.
    pub(super) fn unreserve(&mut self, id: Id) {
        self.table.remove(id);
    }

    pub(super) fn entry(&mut self, id: Id) -> Result<&mut Entry<S::User>> {
        match self.table.get_mut(id) {
            Some(entry) => Ok(entry),
            None if id == self.id => Err(Error::KIND),
            None => Err(Error::STALE),
        }
    }

    /// Whether something can still come of the handle, for the count that keeps the loop alive.
    pub(super) fn set_active(&mut self, id: Id, active: bool) {
        let Some(marks) = self.table.marks(id).filter(|marks| (marks & ACTIVE != 0) != active) else { return };
        self.table.set_marks(id, marks ^ ACTIVE);
        if marks & REFERENCED != 0 {
            self.active = if active { self.active + 1 } else { self.active - 1 };
        }
    }

    /// Whether something can still come of the handle.
    pub(super) fn is_active(&self, id: Id) -> bool {
        self.table.marks(id).is_some_and(|marks| marks & ACTIVE != 0)
    }

    pub(super) fn set_referenced(&mut self, id: Id, referenced: bool) -> Result<()> {
        self.entry(id)?;
        let Some(marks) = self.table.marks(id).filter(|marks| (marks & REFERENCED != 0) != referenced) else {
            return Ok(());
        };
        self.table.set_marks(id, marks ^ REFERENCED);
        if marks & ACTIVE != 0 {
            self.active = if referenced { self.active + 1 } else { self.active - 1 };
        }
        Ok(())
    }

    /// Takes a handle out of everything; its user is released at the end of the turn.
    pub(super) fn close(&mut self, id: Id) -> Result<()> {
        self.entry(id)?;
        self.set_active(id, false);
        let slot = self.table.leave_rest(id, |entry| (entry.slot, entry.user)).ok_or(Error::STALE)?;
        if self.dispose(id, slot) {
            self.release_handle(id);
        }
        Ok(())
    }

    /// Takes a closed handle apart; whether nobody uses its user any more.
    fn dispose(&mut self, id: Id, slot: Slot) -> bool {
        match slot {
            Slot::Io(io) => {
                self.descriptors.close(&self.poller, io.descriptor, id);
                if let Some(timer) = io.timer() {
                    self.timers.destroy(timer);
                }
            }
            Slot::Timer(timer) => self.timers_of(timer.wall).destroy(timer.key),
            Slot::Signal(watched) => self.drop_signal(watched.signum, id),
            Slot::Async => {
                self.asyncs.close(id);
                self.asyncs_open -= 1;
            }
            Slot::Hook(kind) => self.hooks[kind as usize].retain(|other| *other != id),
            Slot::Job(job) => return self.job_close(id, job),
            Slot::Listener(listener) => self.listener_dispose(id, *listener),
            Slot::Conn(conn) => self.conn_dispose(id, *conn),
            Slot::Connecting(connecting) => self.connect_dispose(id, *connecting),
            Slot::Rate(rate) => self.rate_dispose(*rate),
            Slot::File(file) => return self.file_close(id, *file),
            Slot::Udp(udp) => self.disown(id, udp.owned),
            Slot::Opening => {}
            Slot::Process(slot) => self.process_close(id, *slot),
            Slot::Watch(slot) => self.disown(id, slot.owned),
        }
        true
    }

    fn drop_signal(&mut self, signum: i32, id: Id) {
        self.signals.retain(|(_, other)| *other != id);
        if !self.signals.iter().any(|(other, _)| *other == signum) {
            signal::unsubscribe(self.id.tag(), signum);
        }
    }

    pub(super) fn timers_of(&mut self, wall: bool) -> &mut Timers {
        if wall { &mut self.wall_timers } else { &mut self.timers }
    }

    /// Closes every handle; how many there were. An inherited poller is left to the parent untouched.
    pub(super) fn close_everything(&mut self, forked: bool) -> usize {
        let open = self.table.len();
        self.conns_end(forked);
        if forked {
            self.descriptors.forget_kernel();
            self.leave_poller_to_parent();
            self.jobs.leave_threads_to_parent();
        }
        let mut place = 0;
        while let Some(id) = self.table.first_from(place) {
            place = id.index();
            // Cannot fail: the id was just found.
            let _ = self.close(id);
        }
        let over = self.jobs.shut();
        for id in over {
            self.release_handle(id);
        }
        self.release_undelivered();
        if let Some(slow) = self.slow.take() {
            self.releases.push(Release::Handle(Id::NONE, slow.user));
        }
        open
    }

    /// Posts and deferred calls that will not have their turn.
    pub(super) fn release_undelivered(&mut self) {
        let (posts, deferred) = (self.turn.take_posts(), std::mem::take(&mut self.deferred));
        self.release_posts(posts);
        self.release_posts(deferred);
    }

    pub(super) fn release_posts(&mut self, posts: Vec<S::Post>) {
        for post in posts {
            self.releases.push(Release::Post(post));
        }
    }

    /// Puts a fresh poller object in the place of the inherited one.
    pub(super) fn leave_poller_to_parent(&mut self) {
        if let Ok(fresh) = Poller::new() {
            std::mem::replace(&mut self.poller, fresh).leave_to_parent();
        }
    }

    /// Whether a run has anything to wait for or to do.
    pub(super) fn is_alive(&self) -> bool {
        self.active > 0 || self.holds > 0 || self.has_work()
    }

    /// Whether there is something to do without any event from outside.
    pub(super) fn has_work(&self) -> bool {
        !self.deferred.is_empty()
            || self.has_releases()
            || self.turn.has_posts()
            || self.descriptors.has_casualties()
            || self.jobs.has_ended()
            || !self.conns.listed.is_empty()
            || self.udp.has_lost()
    }

    /// A user for one delivery: the loop holds no borrow of the slot while it is used.
    pub(super) fn user(&self, id: Id) -> Option<S::User> {
        self.table.get(id).map(|entry| entry.user.clone())
    }

    pub(super) fn delivery(&mut self, id: Id, event: Event<'static>) -> Option<(Id, S::User, Told)> {
        let user = self.user(id)?;
        self.stats.events += 1;
        Some((id, user, Told::Event(event)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Slot, Table};
    use crate::base::id::Id;
    use crate::base::timers::Timers;
    use crate::event_loop::conn::Conn;

    /// As large as what the C library's loops carry.
    type User = [usize; 4];

    #[test]
    fn an_idle_connection_counts_at_most_200_bytes() {
        // mutation: a connection has room for what few of them need.
        const ALLOCATOR: usize = 8;
        let noted = size_of::<Id>();
        let all = [size_of::<Conn>() + ALLOCATOR, Table::<Entry<User>, User>::SLOT_SIZE, Timers::BYTES, noted];
        assert!(all.iter().sum::<usize>() <= 200, "{all:?}");
    }

    #[test]
    fn a_slot_of_the_table_is_a_cache_line() {
        // mutation: the interest of an I/O watcher has 32 bits.
        assert_eq!([size_of::<Slot>(), Table::<Entry<User>, User>::SLOT_SIZE], [24, 64]);
    }
}
