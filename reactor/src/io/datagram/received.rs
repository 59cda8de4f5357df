//! What one system call has received.

use crate::base::address::{Address, UnixName};
use crate::sys::datagram::Receiver;
use crate::sys::socket::RawAddress;

/// One datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Its bytes; none are a datagram, too.
    pub data: &'a [u8],
    /// Who has sent it. A Unix socket without a name has an empty one.
    pub from: Address,
    /// It was longer.
    pub truncated: bool,
    /// Several of this size were joined in it; 0: it stands alone.
    pub segment_size: u32,
}

/// Datagrams, as many as are shown at once.
pub struct Received {
    receiver: Box<Receiver>,
    begin: usize,
    end: usize,
}

impl Received {
    /// The first of those that were received, at most `most` at once.
    pub fn new(receiver: Box<Receiver>, most: usize) -> Received {
        let end = receiver.count().min(most);
        Received { receiver, begin: 0, end }
    }

    /// How many are shown.
    pub fn len(&self) -> usize {
        self.end - self.begin
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.end == self.begin
    }

    /// Those that are shown.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        (self.begin..self.end).map(|index| Datagram {
            data: self.receiver.data(index),
            from: address(self.receiver.sender(index)).unwrap_or(NOBODY),
            truncated: self.receiver.is_truncated(index),
            segment_size: self.receiver.segment_size(index),
        })
    }

    /// Shows the next one, or gives the memory back.
    ///
    /// # Errors
    /// The memory, when all have been shown.
    pub fn next(mut self) -> Result<Received, Box<Receiver>> {
        if self.end == self.receiver.count() {
            return Err(self.receiver);
        }
        (self.begin, self.end) = (self.end, self.end + 1);
        Ok(self)
    }

    /// The memory.
    pub fn into_receiver(self) -> Box<Receiver> {
        self.receiver
    }
}

const NOBODY: Address = Address::Unix(UnixName::NONE);

/// What the system's address says; one of IPv4 that came to a socket of IPv6 is one of IPv4.
pub(super) fn address(raw: &RawAddress) -> Option<Address> {
    raw.decode().ok().map(Address::unmapped)
}

impl PartialEq for Received {
    fn eq(&self, other: &Received) -> bool {
        self.iter().eq(other.iter())
    }
}

impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
