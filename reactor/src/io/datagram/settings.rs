//! How a socket for datagrams shall be, and what it has done.

/// The largest datagram that UDP has.
pub const LARGEST: u32 = 65_535;

/// How a socket shall be made.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The largest datagram to receive whole; 0: [`LARGEST`].
    pub receive_size: u32,
    /// How many datagrams to receive at once; 0: as many as there is room for.
    pub receive_batch: u32,
    /// How many bytes may wait to be sent; 0: [`DEFAULT_SEND_LIMIT`](super::DEFAULT_SEND_LIMIT).
    pub send_limit: u64,
    /// See [`crate::sys::socket_options::reuse_address`].
    pub reuse_address: bool,
    /// See [`crate::sys::socket_options::reuse_port`].
    pub reuse_port: bool,
    /// See [`crate::sys::socket_options::set_broadcast`].
    pub broadcast: bool,
    /// See [`crate::sys::socket_options::set_v6_only`].
    pub v6_only: bool,
    /// See [`crate::sys::datagram::join_received`].
    pub join: bool,
}

impl Settings {
    /// The largest datagram to receive whole.
    pub fn size(&self) -> usize {
        if self.receive_size == 0 { LARGEST as usize } else { self.receive_size as usize }
    }
}

/// What a socket has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams received, those that the system has joined counted as one.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// How many of them were cut off.
    pub truncated: u64,
    /// System calls that have received some.
    pub receive_calls: u64,
    /// Datagrams that the system has taken, those that it cuts counted as one.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// System calls that have sent some.
    pub send_calls: u64,
    /// Datagrams that were taken into the queue and could not be sent.
    pub lost: u64,
    /// Errors reported by the network.
    pub errors: u64,
}

impl Counts {
    /// Nothing yet.
    pub const NONE: Counts = Counts {
        received: 0,
        received_bytes: 0,
        truncated: 0,
        receive_calls: 0,
        sent: 0,
        sent_bytes: 0,
        send_calls: 0,
        lost: 0,
        errors: 0,
    };
}
