//! Sockets for datagrams: commands, and what their readiness becomes.

use super::core::{Core, Slot, Told};
use super::owned::Owned;
use super::{Event, EventLoop, Sink};
use crate::base::address::Address;
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::base::interest::{ERROR, HANGUP, READ, WRITE};
use crate::io::datagram::{Counts, Flushed, Outgoing, Received, Settings, Socket};
use crate::sys::Fd;
use crate::sys::datagram::{self, Receiver, Sender};
use crate::sys::socket;
use crate::sys::socket_options::{self, Family, Interface, Membership};
use std::os::fd::IntoRawFd;

/// What a record of a datagram needs besides its bytes, at most: see [`Sink::largest_carry`].
const RECORD_HEADER: usize = 512;

pub(super) struct UdpSlot {
    pub(super) owned: Owned,
    socket: Socket,
    paused: bool,
    /// Which of [`STEPS`] has the first go, so that none of them starves the others.
    next_step: usize,
}

/// What readiness can mean; one of them is delivered a turn.
#[derive(Clone, Copy)]
enum Step {
    Error,
    Flush,
    Receive,
}

const STEPS: [Step; 3] = [Step::Error, Step::Flush, Step::Receive];

/// What a loop has once for all its sockets for datagrams.
#[derive(Default)]
pub(super) struct UdpShared {
    /// Memory to receive into, while it is not in use.
    spare: Option<Box<Receiver>>,
    /// What sending needs.
    sender: Option<Box<Sender>>,
    /// Received, and not shown yet to a sink that takes one at a time.
    pending: Option<(Id, Received)>,
    /// How many it takes.
    at_once: usize,
    /// Sockets whose descriptors the kernel does not know any more.
    lost: Vec<Id>,
}

impl UdpShared {
    fn reserve(&mut self, at_once: usize) -> Result<()> {
        self.at_once = at_once;
        if self.spare.is_none() && self.pending.is_none() {
            self.spare = Some(Receiver::new()?);
        }
        Ok(())
    }

    /// Whether somebody is to be told of a lost descriptor.
    pub(super) fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// In a forked child: what was received, and not shown, is the parent's.
    pub(super) fn forget_received(&mut self) {
        if let Some((_, received)) = self.pending.take() {
            self.spare = Some(received.into_receiver());
        }
    }
}

/// How a socket is, for those who ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpStats {
    /// What it has done.
    pub counts: Counts,
    /// Datagrams that wait to be sent.
    pub queued: usize,
    /// What they count in the queue.
    pub queued_bytes: usize,
    /// Datagrams that the system has dropped because nobody read the ones before (0 where it does not say).
    pub dropped: u64,
}

impl UdpStats {
    /// Of one that has done nothing.
    pub const NONE: UdpStats = UdpStats { counts: Counts::NONE, queued: 0, queued_bytes: 0, dropped: 0 };
}

/// An option of a socket for datagrams.
#[derive(Clone, Copy, Debug)]
pub enum UdpOption {
    /// See [`socket_options::set_broadcast`].
    Broadcast(bool),
    /// See [`socket_options::set_ttl`]; 1 to 255.
    Ttl(u32),
    /// See [`socket_options::set_multicast_ttl`]; 0 to 255.
    MulticastTtl(u32),
    /// See [`socket_options::set_multicast_loop`].
    MulticastLoop(bool),
    /// See [`socket_options::set_multicast_interface`].
    MulticastInterface(Interface),
    /// See [`socket_options::set_buffers`].
    Buffers(u32, u32),
}

impl<S: Sink> EventLoop<S> {
    /// A socket for datagrams with that name.
    ///
    /// # Errors
    /// [`Error::INVALID`], [`Error::NOT_SUPPORTED`], [`Error::NO_MEMORY`], [`Error::LIMIT`], [`Error::FORKED`],
    /// [`Error::PANIC`], the system's (EADDRINUSE, EADDRNOTAVAIL, EACCES, EMFILE).
    pub fn udp_open(&self, local: &Address, settings: &Settings, user: S::User, referenced: bool) -> Result<Id> {
        let at_once = self.shown_at_once(settings)?;
        let mut core = self.core()?;
        core.udp.reserve(at_once)?;
        let (fd, state) = Socket::open(local, settings)?;
        let id = core.reserve(user, referenced)?;
        match core.own(id, fd, READ) {
            Ok(owned) => core.udp_begin(id, owned, state),
            Err(error) => {
                core.unreserve(id);
                return Err(error);
            }
        }
        Ok(id)
    }

    /// A socket for datagrams that somebody else has made. It is the loop's from now on, but its flags are left alone. If this
    /// fails it is still the caller's.
    ///
    /// # Errors
    /// As [`EventLoop::udp_open`], [`Error::BAD_FD`], [`Error::EXISTS`] while it is watched.
    pub fn udp_adopt(&self, fd: Fd, settings: &Settings, user: S::User, referenced: bool) -> Result<Id> {
        let at_once = self.shown_at_once(settings)?;
        let mut core = self.core()?;
        if core.owned.contains(fd) {
            return Err(Error::EXISTS.because("the descriptor is one of the loop's own"));
        }
        core.udp.reserve(at_once)?;
        let state = Socket::adopt(fd, settings)?;
        let id = core.reserve(user, referenced)?;
        let mut taken = None;
        let began = datagram::take_over(fd).and_then(|fd| core.own_from(id, taken.insert(Some(fd)), READ));
        match began {
            Ok(owned) => core.udp_begin(id, owned, state),
            Err(error) => {
                // The caller's again.
                let _ = taken.flatten().map(IntoRawFd::into_raw_fd);
                core.unreserve(id);
                return Err(error);
            }
        }
        Ok(id)
    }

    /// How many datagrams one event has at most: one, where events carry copies, and it must fit.
    fn shown_at_once(&self, settings: &Settings) -> Result<usize> {
        match self.sink.largest_carry() {
            usize::MAX => Ok(usize::MAX),
            largest if settings.size() + RECORD_HEADER > largest => {
                Err(Error::invalid("a record cannot carry as much as the receive size"))
            }
            _ => Ok(1),
        }
    }

    fn with_udp<T>(&self, id: Id, act: impl FnOnce(&mut UdpSlot) -> Result<T>) -> Result<T> {
        let mut core = self.core()?;
        act(core.udp_slot(id)?)
    }

    /// Sends datagrams, as many as there is room for; how many. See [`Socket::send`].
    ///
    /// # Errors
    /// As [`Socket::send`]; [`Error::STALE`], [`Error::KIND`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn udp_send(&self, id: Id, all: &[Outgoing<'_>]) -> Result<usize> {
        self.core()?.udp_send_with(id, |slot, sender| slot.socket.send(slot.owned.fd(), sender, all))?
    }

    /// Sends datagrams of one size. See [`Socket::send_segments`].
    ///
    /// # Errors
    /// As [`EventLoop::udp_send`]; [`Error::INVALID`] for a size of 0.
    pub fn udp_send_segments(&self, id: Id, to: Option<&Address>, data: &[u8], size: u16) -> Result<usize> {
        if size == 0 {
            return Err(Error::invalid("the size of a segment is 0"));
        }
        self.core()?
            .udp_send_with(id, |slot, sender| slot.socket.send_segments(slot.owned.fd(), sender, to, data, size))?
    }

    /// Receives from and sends to one peer; nobody: everybody.
    ///
    /// # Errors
    /// As [`Socket::connect`]; [`Error::STALE`], [`Error::KIND`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn udp_connect(&self, id: Id, to: Option<&Address>) -> Result<()> {
        self.with_udp(id, |slot| slot.socket.connect(slot.owned.fd(), to))
    }

    /// Its own name.
    ///
    /// # Errors
    /// [`Error::STALE`], [`Error::KIND`], [`Error::FORKED`], [`Error::PANIC`], the system's.
    pub fn udp_local(&self, id: Id) -> Result<Address> {
        self.with_udp(id, |slot| socket::local_address(slot.owned.fd()))
    }

    /// To whom it is connected.
    ///
    /// # Errors
    /// As [`EventLoop::udp_local`]; ENOTCONN of the system's.
    pub fn udp_peer(&self, id: Id) -> Result<Address> {
        self.with_udp(id, |slot| socket::peer_address(slot.owned.fd()))
    }

    /// Its descriptor, which stays the loop's.
    ///
    /// # Errors
    /// [`Error::STALE`], [`Error::KIND`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn udp_fd(&self, id: Id) -> Result<Fd> {
        self.with_udp(id, |slot| Ok(slot.owned.fd()))
    }

    /// Stops or goes on receiving. What comes meanwhile waits in the system, as far as there is room.
    ///
    /// # Errors
    /// [`Error::STALE`], [`Error::KIND`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn udp_pause(&self, id: Id, paused: bool) -> Result<()> {
        let mut core = self.core()?;
        core.udp_slot(id)?.paused = paused;
        core.udp_want(id);
        Ok(())
    }

    /// What it has done.
    ///
    /// # Errors
    /// [`Error::STALE`], [`Error::KIND`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn udp_stats(&self, id: Id) -> Result<UdpStats> {
        self.with_udp(id, |slot| {
            let (queued, queued_bytes) = slot.socket.queued();
            let dropped = datagram::dropped(slot.owned.fd());
            Ok(UdpStats { counts: slot.socket.counts(), queued, queued_bytes, dropped })
        })
    }

    /// Begins or ends the membership in a group.
    ///
    /// # Errors
    /// [`Error::INVALID`], [`Error::NOT_SUPPORTED`] for Unix sockets, [`Error::STALE`], [`Error::KIND`],
    /// [`Error::FORKED`], [`Error::PANIC`], the system's.
    pub fn udp_membership(&self, id: Id, what: &Membership, join: bool) -> Result<()> {
        self.with_udp(id, |slot| {
            if slot.socket.inet()? == Family::V4 && what.group.is_ipv6() {
                return Err(Error::invalid("the group is of another family than the socket"));
            }
            let fd = slot.owned.fd();
            if join { socket_options::join(fd, what) } else { socket_options::leave(fd, what) }
        })
    }

    /// Sets an option.
    ///
    /// # Errors
    /// [`Error::INVALID`], [`Error::NOT_SUPPORTED`] for Unix sockets, [`Error::STALE`], [`Error::KIND`],
    /// [`Error::FORKED`], [`Error::PANIC`], the system's.
    pub fn udp_set(&self, id: Id, option: UdpOption) -> Result<()> {
        self.with_udp(id, |slot| {
            let (fd, family) = (slot.owned.fd(), slot.socket.family());
            match option {
                UdpOption::Buffers(receive, send) => socket_options::set_buffers(fd, receive, send),
                UdpOption::Broadcast(on) => slot.socket.inet().and_then(|_| socket_options::set_broadcast(fd, on)),
                UdpOption::Ttl(0) => Err(Error::invalid("a time to live goes from 1 to 255")),
                UdpOption::Ttl(ttl) => socket_options::set_ttl(fd, family, check_ttl(ttl)?),
                UdpOption::MulticastTtl(ttl) => socket_options::set_multicast_ttl(fd, family, check_ttl(ttl)?),
                UdpOption::MulticastLoop(on) => socket_options::set_multicast_loop(fd, family, on),
                UdpOption::MulticastInterface(interface) => {
                    socket_options::set_multicast_interface(fd, family, interface)
                }
            }
        })
    }

    /// The sizes of the system's buffers: (receive, send).
    ///
    /// # Errors
    /// As [`EventLoop::udp_local`].
    pub fn udp_buffers(&self, id: Id) -> Result<(u32, u32)> {
        self.with_udp(id, |slot| socket_options::buffers(slot.owned.fd()))
    }

    /// After the delivery: the memory goes back, or shows the next one.
    pub(super) fn udp_delivered(&self, id: Id, received: Received) {
        // In a forked child the loop refuses everything, and the memory is freed.
        let Ok(mut core) = self.core() else { return };
        match received.next() {
            Ok(next) => core.udp.pending = Some((id, next)),
            Err(memory) => core.udp.spare = Some(memory),
        }
    }
}

fn check_ttl(ttl: u32) -> Result<u8> {
    u8::try_from(ttl).map_err(|_| Error::invalid("a time to live is at most 255"))
}

impl<S: Sink> Core<S> {
    fn udp_slot(&mut self, id: Id) -> Result<&mut UdpSlot> {
        match &mut self.entry(id)?.slot {
            Slot::Udp(slot) => Ok(slot),
            _ => Err(Error::KIND),
        }
    }

    fn udp_begin(&mut self, id: Id, owned: Owned, socket: Socket) {
        if let Some(entry) = self.table.get_mut(id) {
            entry.slot = Slot::Udp(Box::new(UdpSlot { owned, socket, paused: false, next_step: 0 }));
        }
        self.set_active(id, true);
    }

    /// Sends, and waits for what there is to wait for after it.
    fn udp_send_with<T>(&mut self, id: Id, act: impl FnOnce(&mut UdpSlot, &mut Sender) -> T) -> Result<T> {
        let mut sender = self.udp.sender.take().unwrap_or_default();
        let done = self.udp_slot(id).map(|slot| act(slot, &mut sender));
        self.udp.sender = Some(sender);
        self.udp_want(id);
        done
    }

    /// Waits for what there is to wait for.
    fn udp_want(&mut self, id: Id) {
        let Ok(slot) = self.udp_slot(id) else { return };
        let read = if slot.paused { 0 } else { READ };
        let write = if slot.socket.wants_flush() { WRITE } else { 0 };
        self.owned_want(id, read | write);
        self.set_active(id, read | write != 0);
    }

    /// One event a turn: the registration is level-triggered, and reports the rest in the next.
    pub(super) fn udp_ready(&mut self, id: Id, bits: u32) -> Option<(Id, S::User, Told)> {
        for _ in STEPS {
            let slot = self.udp_slot(id).ok()?;
            let step = STEPS[slot.next_step];
            slot.next_step = (slot.next_step + 1) % STEPS.len();
            let told = match step {
                Step::Error if bits & ERROR != 0 => self.udp_error(id),
                Step::Flush if bits & WRITE != 0 => self.udp_flush(id),
                Step::Receive if bits & READ != 0 => self.udp_receive(id),
                _ => None,
            };
            if told.is_some() {
                return self.udp_told(id, told);
            }
        }
        let fd = self.udp_slot(id).ok()?.owned.fd();
        if bits & HANGUP != 0 || bits & READ != 0 && datagram::receives_no_more(fd) {
            // Somebody has shut it down: that is reported for ever, and nothing will come.
            let told = self.udp_broken(id, Error::os(libc::ESHUTDOWN));
            return self.udp_told(id, told);
        }
        None
    }

    fn udp_told(&mut self, id: Id, told: Option<Told>) -> Option<(Id, S::User, Told)> {
        let (user, told) = (self.user(id)?, told?);
        self.stats.events += 1;
        Some((id, user, told))
    }

    fn udp_error(&mut self, id: Id) -> Option<Told> {
        let slot = self.udp_slot(id).ok()?;
        let (error, peer) = slot.socket.take_error(slot.owned.fd()).ok()??;
        Some(Told::UdpError(Box::new((error.code(), peer))))
    }

    fn udp_flush(&mut self, id: Id) -> Option<Told> {
        match self.udp_send_with(id, |slot, sender| slot.socket.flush(slot.owned.fd(), sender)).ok()? {
            Flushed::Waiting => None,
            Flushed::Empty => Some(Told::Event(Event::UdpDrained)),
            Flushed::Lost(error, peer) => Some(Told::UdpError(Box::new((error.code(), peer)))),
        }
    }

    fn udp_receive(&mut self, id: Id) -> Option<Told> {
        if self.udp_slot(id).ok()?.paused {
            return None;
        }
        let mut memory = match self.udp.spare.take().map_or_else(Receiver::new, Ok) {
            Ok(memory) => memory,
            Err(error) => return Some(Told::UdpError(Box::new((error.code(), None)))),
        };
        let slot = self.udp_slot(id).ok()?;
        let received = slot.socket.receive(slot.owned.fd(), &mut memory);
        match received {
            Ok(Some(_)) => {
                let most = self.udp.at_once;
                return Some(Told::Datagrams(Received::new(memory, most)));
            }
            Ok(None) => {}
            Err(error) if is_broken(error) => {
                self.udp.spare = Some(memory);
                return self.udp_broken(id, error);
            }
            Err(error) => {
                self.udp.spare = Some(memory);
                return Some(Told::UdpError(Box::new((error.code(), None))));
            }
        }
        self.udp.spare = Some(memory);
        None
    }

    /// Nothing more will come: receiving stops, and says why.
    fn udp_broken(&mut self, id: Id, error: Error) -> Option<Told> {
        self.udp_slot(id).ok()?.paused = true;
        self.udp_want(id);
        Some(Told::UdpError(Box::new((error.code(), None))))
    }

    /// The program has closed the descriptor behind our back.
    pub(super) fn udp_lost(&mut self, id: Id) {
        // Without memory nobody is told, and sending will say it.
        if self.udp.lost.try_reserve(1).is_ok() {
            self.udp.lost.push(id);
        }
    }

    /// What was received and not shown yet, or a descriptor that was lost.
    pub(super) fn next_datagram(&mut self) -> Option<(Id, S::User, Told)> {
        while let Some(id) = self.udp.lost.pop() {
            let told = self.udp_broken(id, Error::BAD_FD);
            if told.is_some() {
                return self.udp_told(id, told);
            }
        }
        let (id, received) = self.udp.pending.take()?;
        if self.table.get(id).is_none() {
            self.udp.spare = Some(received.into_receiver());
            return None;
        }
        self.udp_told(id, Some(Told::Datagrams(received)))
    }

    /// In a forked child: what waited to be sent will be sent by the parent.
    pub(super) fn udp_begin_anew(&mut self, id: Id) {
        if let Ok(slot) = self.udp_slot(id) {
            slot.socket.forget_queue();
        }
        self.udp_want(id);
    }
}

/// Whether a socket is of no use any more: the program has closed its descriptor, or put something else in its place.
fn is_broken(error: Error) -> bool {
    [libc::EBADF, libc::ENOTSOCK, libc::EINVAL, libc::EOPNOTSUPP].contains(&-error.code())
}
