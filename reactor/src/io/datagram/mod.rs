//! A socket for datagrams as a state machine: what waits to be sent, what was received, which errors came back.

mod received;
mod settings;

pub use received::{Datagram, Received};
pub use settings::{Counts, LARGEST, Settings};

use crate::base::address::Address;
use crate::base::error::{Error, Result};
use crate::sys::Fd;
use crate::sys::datagram::{self, Parcel, Receiver, Sender};
use crate::sys::socket::{self, RawAddress, SocketKind};
use crate::sys::socket_options::{self, Family};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

/// What each datagram in the send queue counts besides its bytes: what keeping it costs.
pub const QUEUE_OVERHEAD: usize = 192;

/// The bytes that the send queue may hold unless the options say otherwise: a few full buffers of the system's.
pub const DEFAULT_SEND_LIMIT: u64 = 1 << 20;

/// The most datagrams that the system cuts at once, on every kernel that can.
const MAX_CUT: usize = 64;

/// The most bytes that the system cuts at once: a datagram of IPv6 with its headers.
const LARGEST_CUT: usize = 65_487;

/// A datagram to be sent.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// To whom; nobody: to whom the socket is connected.
    pub to: Option<Address>,
    /// Its bytes.
    pub data: &'a [u8],
}

struct Queued {
    to: Option<RawAddress>,
    data: Box<[u8]>,
}

const _: () = assert!(size_of::<Queued>() <= QUEUE_OVERHEAD);

/// What flushing the queue has come to.
pub enum Flushed {
    /// Something still waits, or nothing did.
    Waiting,
    /// Nothing waits any more; said once.
    Empty,
    /// A datagram could not be sent, and is gone.
    Lost(Error, Option<Address>),
}

/// The state of one socket.
pub struct Socket {
    family: Family,
    connected: bool,
    receive_size: usize,
    receive_batch: usize,
    join: bool,
    /// Whether the system cuts datagrams; not known before it was asked.
    can_cut: Option<bool>,
    queue: VecDeque<Queued>,
    queued_bytes: usize,
    send_limit: u64,
    /// Something has waited since [`Flushed::Empty`] was last said.
    owes_drain: bool,
    counts: Counts,
}

impl Socket {
    /// A new socket with that name; one of the family only, if that is the name of nothing.
    ///
    /// # Errors
    /// [`Error::INVALID`], [`Error::NOT_SUPPORTED`], the system's (EADDRINUSE, EADDRNOTAVAIL, EACCES, EMFILE).
    pub fn open(local: &Address, settings: &Settings) -> Result<(OwnedFd, Socket)> {
        let state = Socket::new(Family::of(local), settings)?;
        let socket = socket::new_socket(local, SocketKind::Datagram)?;
        let fd = socket.as_raw_fd();
        if state.family == Family::V6 {
            socket_options::set_v6_only(fd, settings.v6_only)?;
        } else if settings.v6_only {
            return Err(Error::invalid("only sockets of IPv6 can be kept off IPv4"));
        }
        if settings.reuse_address {
            socket_options::reuse_address(fd)?;
        }
        if settings.reuse_port {
            socket_options::reuse_port(fd)?;
        }
        if state.family != Family::Unix {
            datagram::hear_own_groups_only(fd, state.family == Family::V6);
        }
        state.prepare(fd, settings)?;
        if !matches!(local, Address::Unix(name) if name.bytes().is_empty()) {
            socket::bind(fd, local)?;
        }
        Ok((socket, state))
    }

    /// The state of a socket that somebody else has made.
    ///
    /// # Errors
    /// [`Error::INVALID`] when it is not one for datagrams of a known family, or for settings that come too late,
    /// [`Error::BAD_FD`], [`Error::NOT_SUPPORTED`].
    pub fn adopt(fd: Fd, settings: &Settings) -> Result<Socket> {
        if settings.reuse_address || settings.reuse_port || settings.v6_only {
            return Err(Error::invalid("too late: the socket is there already"));
        }
        match socket_options::is_datagram(fd) {
            Err(error) if error.code() == -libc::EBADF => return Err(Error::BAD_FD),
            Ok(true) => {}
            _ => return Err(Error::invalid("not a socket for datagrams")),
        }
        let mut state = Socket::new(Family::of(&socket::local_address(fd)?), settings)?;
        state.connected = socket::peer_address(fd).is_ok();
        state.prepare(fd, settings)?;
        Ok(state)
    }

    fn new(family: Family, settings: &Settings) -> Result<Socket> {
        let size = settings.size();
        if size > datagram::ARENA {
            return Err(Error::invalid("the receive size is above 1 MiB"));
        }
        if settings.join && size < LARGEST as usize {
            return Err(Error::invalid("joined datagrams need the largest receive size"));
        }
        let most = if settings.receive_batch == 0 { datagram::BATCH } else { settings.receive_batch as usize };
        let send_limit = if settings.send_limit == 0 { DEFAULT_SEND_LIMIT } else { settings.send_limit };
        Ok(Socket {
            family,
            connected: false,
            receive_size: size,
            receive_batch: most,
            join: settings.join,
            can_cut: None,
            queue: VecDeque::new(),
            queued_bytes: 0,
            send_limit,
            owes_drain: false,
            counts: Counts::NONE,
        })
    }

    fn prepare(&self, fd: Fd, settings: &Settings) -> Result<()> {
        if self.family != Family::Unix {
            datagram::keep_errors(fd, self.family == Family::V6)?;
        }
        if settings.broadcast {
            self.inet()?;
            socket_options::set_broadcast(fd, true)?;
        }
        if settings.join {
            self.inet()?;
            datagram::join_received(fd)?;
        }
        Ok(())
    }

    /// The family, if it is one of the internet's.
    ///
    /// # Errors
    /// [`Error::NOT_SUPPORTED`] for Unix sockets.
    pub fn inet(&self) -> Result<Family> {
        match self.family {
            Family::Unix => Err(Error::NOT_SUPPORTED.because("not for Unix sockets")),
            family => Ok(family),
        }
    }

    /// Its family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// What it has done.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many datagrams wait to be sent, and what they count.
    pub fn queued(&self) -> (usize, usize) {
        (self.queue.len(), self.queued_bytes)
    }

    /// Whether flushing has something to do or to say.
    pub fn wants_flush(&self) -> bool {
        self.owes_drain
    }

    /// Forgets what waits to be sent.
    pub fn forget_queue(&mut self) {
        self.queue.clear();
        self.owes_drain = false;
        self.queued_bytes = 0;
    }

    /// Receives and sends with one peer only; nobody: with everybody.
    ///
    /// # Errors
    /// [`Error::INVALID`] while datagrams for the one before wait to be sent, or for another family; the system's.
    pub fn connect(&mut self, fd: Fd, to: Option<&Address>) -> Result<()> {
        if !self.queue.is_empty() {
            return Err(Error::invalid("datagrams wait to be sent"));
        }
        match to {
            Some(to) => datagram::connect(&fd, &self.encode(to)?)?,
            None => datagram::disconnect(&fd)?,
        }
        self.connected = to.is_some();
        Ok(())
    }

    /// As the system wants it for this socket.
    fn encode(&self, to: &Address) -> Result<RawAddress> {
        match (self.family, to) {
            (Family::V6, Address::Inet(SocketAddr::V4(v4))) => {
                let mapped = IpAddr::V6(v4.ip().to_ipv6_mapped());
                Ok(RawAddress::encode(&Address::Inet(SocketAddr::new(mapped, v4.port()))))
            }
            (family, to) if Family::of(to) == family => Ok(RawAddress::encode(to)),
            _ => Err(Error::invalid("the address is of another family than the socket")),
        }
    }

    /// Whether it can be sent from here.
    fn check(&self, to: Option<&Address>) -> Result<()> {
        match to {
            Some(Address::Inet(to)) if to.port() == 0 => Err(Error::invalid("nobody receives at port 0")),
            Some(to) => self.encode(to).map(drop),
            None if self.connected => Ok(()),
            None => Err(Error::invalid("the socket is not connected, so a datagram needs an address")),
        }
    }

    /// Of one that was checked.
    fn parcel<'a>(&self, outgoing: &Outgoing<'a>) -> Parcel<'a> {
        let to = outgoing.to.as_ref().and_then(|to| self.encode(to).ok());
        Parcel { to, data: outgoing.data, segment: 0 }
    }

    /// Sends datagrams in their order, as many as the system and then the queue have room for; how many. All are looked at
    /// before the first is sent.
    ///
    /// # Errors
    /// If none was taken: [`Error::INVALID`] for a wrong address, [`Error::NO_BUFFERS`] when the queue is full,
    /// [`Error::NO_MEMORY`], the system's (EMSGSIZE, EAGAIN from Unix sockets, for a receiver other than the peer).
    pub fn send(&mut self, fd: Fd, sender: &mut Sender, all: &[Outgoing<'_>]) -> Result<usize> {
        for outgoing in all {
            self.check(outgoing.to.as_ref())?;
        }
        let mut taken = 0;
        while taken < all.len() && self.queue.is_empty() {
            match self.send_parcels(fd, sender, all.len() - taken, |this, index| this.parcel(&all[taken + index])) {
                Ok(count) => taken += count,
                Err(error) if would_block(error) => break,
                Err(error) if taken == 0 => return Err(error),
                Err(_) => return Ok(taken),
            }
        }
        while taken < all.len() {
            match self.enqueue(&all[taken]) {
                Ok(()) => taken += 1,
                Err(error) if taken == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(taken)
    }

    /// An error that an earlier datagram has caused must not be taken for one of these: the call that reports it has taken
    /// it out of the socket, and the next one tells the truth. Where errors are kept, it is reported from there.
    fn send_parcels<'a>(
        &mut self, fd: Fd, sender: &mut Sender, count: usize, parcel: impl Fn(&Socket, usize) -> Parcel<'a>,
    ) -> Result<usize> {
        let sent = match sender.send(fd, count, |index| parcel(self, index)) {
            Err(error) if !would_block(error) => sender.send(fd, count, |index| parcel(self, index)),
            sent => sent,
        }?;
        let bytes: usize = (0..sent).map(|index| parcel(self, index).data.len()).sum();
        self.counts.sent += sent as u64;
        self.counts.sent_bytes += bytes as u64;
        self.counts.send_calls += 1;
        Ok(sent)
    }

    /// Whether the system says when there is room again. Of Unix sockets it does so only for the connected peer, because
    /// the room is in the receiver's buffer.
    fn may_wait(&self, to: Option<&Address>) -> bool {
        self.family != Family::Unix || to.is_none()
    }

    fn enqueue(&mut self, outgoing: &Outgoing<'_>) -> Result<()> {
        if !self.may_wait(outgoing.to.as_ref()) {
            return Err(Error::os(libc::EAGAIN).because("the receiver has no room, and cannot be waited for"));
        }
        let cost = outgoing.data.len() + QUEUE_OVERHEAD;
        if (self.queued_bytes + cost) as u64 > self.send_limit {
            return Err(Error::NO_BUFFERS.because("the send queue is full"));
        }
        let to = self.parcel(outgoing).to;
        let mut data = Vec::new();
        data.try_reserve_exact(outgoing.data.len())?;
        data.extend_from_slice(outgoing.data);
        self.queue.try_reserve(1)?;
        self.queue.push_back(Queued { to, data: data.into_boxed_slice() });
        self.queued_bytes += cost;
        self.owes_drain = true;
        Ok(())
    }

    /// Sends what waits, in one system call.
    pub fn flush(&mut self, fd: Fd, sender: &mut Sender) -> Flushed {
        if self.queue.is_empty() {
            return self.drained();
        }
        let queue = std::mem::take(&mut self.queue);
        let sent = self.send_parcels(fd, sender, queue.len(), |_, index| {
            let queued = &queue[index];
            Parcel { to: queued.to, data: &queued.data, segment: 0 }
        });
        self.queue = queue;
        match sent {
            Ok(count) => self.drop_first(count),
            Err(error) if would_block(error) => {}
            Err(error) => {
                let to = self.queue.front().and_then(|first| first.to);
                self.drop_first(1);
                self.counts.lost += 1;
                return Flushed::Lost(error, to.and_then(|to| received::address(&to)));
            }
        }
        self.drained()
    }

    fn drained(&mut self) -> Flushed {
        if !self.queue.is_empty() {
            return Flushed::Waiting;
        }
        if std::mem::take(&mut self.owes_drain) { Flushed::Empty } else { Flushed::Waiting }
    }

    fn drop_first(&mut self, count: usize) {
        let gone = self.queue.drain(..count);
        self.queued_bytes -= gone.map(|queued| queued.data.len() + QUEUE_OVERHEAD).sum::<usize>();
        if self.queue.is_empty() {
            // A burst that is over does not hold memory.
            self.queue.shrink_to(datagram::BATCH);
        }
    }

    /// Sends bytes as datagrams of one size, the last of which may be shorter. The system cuts them, where it can and the
    /// queue is empty; how many datagrams were taken.
    ///
    /// # Errors
    /// As [`Socket::send`].
    pub fn send_segments(
        &mut self, fd: Fd, sender: &mut Sender, to: Option<&Address>, data: &[u8], size: u16,
    ) -> Result<usize> {
        self.check(to)?;
        let to = to.copied();
        let first = self.parcel(&Outgoing { to, data });
        let a_cut = (LARGEST_CUT / usize::from(size).max(1)).min(MAX_CUT) * usize::from(size);
        let mut taken = 0;
        let mut rest = data;
        while self.can_cut(fd) && self.queue.is_empty() && rest.len() > usize::from(size) && a_cut > usize::from(size) {
            let (now, later) = rest.split_at(a_cut.min(rest.len()));
            let segment = if now.len() > usize::from(size) { size } else { 0 };
            match self.send_parcels(fd, sender, 1, |_, _| Parcel { to: first.to, data: now, segment }) {
                Ok(_) => {
                    taken += now.len().div_ceil(size.into());
                    rest = later;
                }
                // No room; or datagrams of this size, on this way, cannot be cut by the system. What follows finds out.
                Err(_) => break,
            }
        }
        if rest.is_empty() && taken > 0 {
            return Ok(taken);
        }
        match self.send_pieces(fd, sender, to, rest, size) {
            Ok(count) => Ok(taken + count),
            Err(_) if taken > 0 => Ok(taken),
            Err(error) => Err(error),
        }
    }

    fn can_cut(&mut self, fd: Fd) -> bool {
        let inet = self.family != Family::Unix;
        *self.can_cut.get_or_insert_with(|| inet && datagram::can_cut(fd))
    }

    fn send_pieces(
        &mut self, fd: Fd, sender: &mut Sender, to: Option<Address>, data: &[u8], size: u16,
    ) -> Result<usize> {
        let mut pieces = Vec::new();
        pieces.try_reserve_exact(data.len().div_ceil(size.into()).max(1))?;
        pieces.extend(data.chunks(size.into()).map(|data| Outgoing { to, data }));
        if pieces.is_empty() {
            pieces.push(Outgoing { to, data });
        }
        self.send(fd, sender, &pieces)
    }

    /// Receives what is there, in one system call; `None` when nothing is.
    ///
    /// # Errors
    /// The system's.
    pub fn receive(&mut self, fd: Fd, receiver: &mut Receiver) -> Result<Option<usize>> {
        let mut receive = || receiver.receive(fd, self.receive_size, self.receive_batch, self.join);
        let received = match receive() {
            // The error of an earlier datagram hides what has come: it is out of the socket now, and is reported from
            // where errors are kept.
            Err(error) if !would_block(error) && self.family != Family::Unix && KEEPS_ERRORS => receive(),
            received => received,
        };
        let count = match received {
            Ok(count) => count,
            Err(error) if would_block(error) => return Ok(None),
            Err(error) => return Err(error),
        };
        self.counts.receive_calls += 1;
        self.counts.received += count as u64;
        for index in 0..count {
            self.counts.received_bytes += receiver.data(index).len() as u64;
            self.counts.truncated += u64::from(receiver.is_truncated(index));
        }
        Ok(Some(count))
    }

    /// The next error that waits in the socket, and whose datagram has caused it.
    ///
    /// # Errors
    /// The system's.
    pub fn take_error(&mut self, fd: Fd) -> Result<Option<(Error, Option<Address>)>> {
        let taken = datagram::take_error(fd)?;
        self.counts.errors += u64::from(taken.is_some());
        Ok(taken.map(|(error, name)| (error, name.and_then(|name| received::address(&name)))))
    }
}

/// Whether an error is reported from where errors are kept, and so may be skipped where it is in the way.
const KEEPS_ERRORS: bool = cfg!(any(target_os = "linux", target_os = "android"));

fn would_block(error: Error) -> bool {
    error.code() == -libc::EAGAIN || error.code() == -libc::EWOULDBLOCK
}
