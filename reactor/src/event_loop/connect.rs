//! Connecting to an address.

use super::conn::{CONNECTING, Shape, TELL_OPEN};
use super::{EventLoop, Sink};
use crate::base::address::Address;
use crate::base::error::Result;
use crate::base::id::Id;
use crate::sys::bound::prepare_stream;
use crate::sys::socket::{SocketKind, bind, new_socket};
use crate::sys::stream::{self, StreamKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

/// How sockets that connect shall be made.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectOptions {
    /// Small writes are sent at once.
    pub no_delay: bool,
    /// The peer is probed when nothing comes from it.
    pub keep_alive: bool,
    /// Where to connect from.
    pub local: Option<Address>,
}

impl<S: Sink> EventLoop<S> {
    /// Connects to an address. The connection is there at once, and can be written to: it is sent when it is connected.
    ///
    /// # Errors
    /// The system's, when it refuses at once (ECONNREFUSED and ENOENT of Unix sockets, ENETUNREACH, EADDRNOTAVAIL, EMFILE);
    /// [`Error::NO_MEMORY`](crate::Error::NO_MEMORY), [`Error::LIMIT`](crate::Error::LIMIT),
    /// [`Error::FORKED`](crate::Error::FORKED), [`Error::PANIC`](crate::Error::PANIC).
    pub fn conn_connect(
        &self, address: &Address, options: &ConnectOptions, shape: Rc<Shape>, user: S::User, referenced: bool,
    ) -> Result<Id> {
        let mut core = self.core()?;
        let (fd, connected) = begin(address, options)?;
        let flags = if connected { TELL_OPEN } else { CONNECTING };
        let id = core.conn_make(&mut Some(fd), StreamKind::Socket, shape, flags, user, referenced)?;
        core.conn_list_new(id);
        Ok(id)
    }
}

/// A socket on its way to the address; whether it is there already.
pub(super) fn begin(address: &Address, options: &ConnectOptions) -> Result<(OwnedFd, bool)> {
    let fd = new_socket(address, SocketKind::Stream)?;
    if let Address::Inet(_) = address {
        prepare_stream(&fd, options.no_delay, options.keep_alive)?;
    }
    if let Some(local) = &options.local {
        bind(fd.as_raw_fd(), local)?;
    }
    let connected = stream::connect(fd.as_raw_fd(), address)?;
    Ok((fd, connected))
}
