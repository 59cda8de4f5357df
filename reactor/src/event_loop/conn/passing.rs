//! Descriptors that go from process to process over Unix sockets.

use super::state::{Conn, flag};
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::event_loop::core::{Core, Told};
use crate::event_loop::{EventLoop, Sink};
use crate::io::stream::SharedFile;
use crate::sys::Fd;
use crate::sys::stream::{self, MOST_DESCRIPTORS};

impl<S: Sink> EventLoop<S> {
    /// Passes descriptors to the peer with the first of some bytes, behind what waits. They are the peer's as well then;
    /// those given here are closed when they are sent, or with the connection.
    ///
    /// # Errors
    /// [`Error::INVALID`] for none or more than 253, for no bytes, or when it is no Unix socket;
    /// [`Error::NO_BUFFERS`], EPIPE, [`Error::NO_MEMORY`], [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`],
    /// [`Error::PANIC`].
    pub fn conn_pass(&self, id: Id, files: Vec<SharedFile>, bytes: &[u8]) -> Result<bool> {
        if files.is_empty() || files.len() > MOST_DESCRIPTORS || bytes.is_empty() {
            return Err(Error::invalid("1 to 253 descriptors go with at least one byte"));
        }
        let mut core = self.core()?;
        let conn = core.conn(id)?;
        conn.check_writable()?;
        if !stream::is_unix(conn.owned.fd()) {
            return Err(Error::invalid("descriptors can be passed over Unix sockets only"));
        }
        conn.check_room(bytes.len())?;
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len())?;
        copy.extend_from_slice(bytes);
        conn.out.push_passing(files, copy)?;
        if !conn.has(flag::BLOCKED | flag::CONNECTING) {
            core.conn_touch(id, flag::HAS_WRITTEN | flag::REARM);
            core.conn_writable(id);
        }
        let high = core.conn_mut(id).is_some_and(Conn::see_high_mark);
        core.conn_rewait(id);
        core.conn_list_if_pending(id);
        Ok(high)
    }
}

impl<S: Sink> Core<S> {
    /// Reads, and keeps the descriptors that came along until they are delivered.
    pub(super) fn conn_read_passed(&mut self, id: Id, fd: Fd, buffer: &mut [u8]) -> Result<usize> {
        stream::read_with_descriptors(fd, buffer, &mut self.conn(id)?.extra().passed)
    }

    /// Descriptors are delivered before the bytes with which they came.
    pub(super) fn conn_passed(&mut self, id: Id) -> Option<(Id, S::User, Told)> {
        let conn = self.conn_mut(id)?;
        if conn.has(flag::OVER | flag::PAUSED) {
            return None;
        }
        let passed = std::mem::take(&mut conn.extra.as_mut()?.passed);
        if passed.is_empty() {
            return None;
        }
        self.stats.events += 1;
        Some((id, self.user(id)?, Told::Passed(passed)))
    }
}
