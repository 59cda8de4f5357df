//! The shortest ways: bytes that are read go to the program as they come, and bytes that are written go out at once. One
//! look-up each; whatever is not that simple is left to `step` and `commands`.

use super::state::flag;
use super::step::{Current, Step};
use crate::base::error::Result;
use crate::base::id::Id;
use crate::base::interest::READ;
use crate::event_loop::core::{Core, Slot, Told};
use crate::event_loop::limits::READ_SIZE;
use crate::event_loop::{EventLoop, Sink};
use crate::sys::poller::Ready;
use crate::sys::stream;
use std::io::IoSlice;

impl<S: Sink> EventLoop<S> {
    /// As [`EventLoop::conn_write`] with one piece.
    ///
    /// # Errors
    /// As [`EventLoop::conn_write`].
    #[inline]
    pub fn conn_write_bytes(&self, id: Id, bytes: &[u8]) -> Result<bool> {
        self.core()?.conn_write_bytes(id, bytes)
    }
}

impl<S: Sink> Core<S> {
    /// What the poller has reported if it is a connection that has something to read and nothing else; else `None`.
    #[inline]
    pub(in crate::event_loop) fn conn_plain_read(&mut self, id: Id, ready: Ready) -> Option<Step<S>> {
        let entry = self.table.get_mut(id)?;
        let Slot::Conn(conn) = &mut entry.slot else { return None };
        let plain = ready.readiness.is_just(READ) && conn.reads_plainly() && self.read_buffer.len() == READ_SIZE;
        if !plain {
            return None;
        }
        // Afterwards the loop looks at what the callback has noted.
        self.turn.current = Some(Current::of(id));
        match stream::read(conn.owned.fd(), &mut self.read_buffer) {
            Ok(count) if count > 0 => {
                conn.bytes_in += count as u64;
                conn.touch(id, flag::HAS_READ, &mut self.conns.touched);
                self.stats.events += 1;
                let buffer = std::mem::take(&mut self.read_buffer);
                Some(Some((id, entry.user.clone(), Told::Received { buffer, start: 0, end: count })))
            }
            other => {
                self.conn_read_nothing(id, other);
                Some(self.next_of_current())
            }
        }
    }

    #[inline]
    fn conn_write_bytes(&mut self, id: Id, bytes: &[u8]) -> Result<bool> {
        let Core { table, conns, .. } = self;
        let conn = match table.get_mut(id).map(|entry| &mut entry.slot) {
            Some(Slot::Conn(conn)) if conn.writes_plainly(bytes.len()) => conn,
            _ => return self.conn_write_pieces(id, &[IoSlice::new(bytes)]),
        };
        match stream::send(conn.owned.fd(), bytes) {
            Ok(sent) if sent == bytes.len() => {
                conn.bytes_out += sent as u64;
                conn.touch(id, flag::HAS_WRITTEN, &mut conns.touched);
                Ok(false)
            }
            sent => self.conn_sent_partly(id, bytes, sent),
        }
    }

    #[inline(never)]
    fn conn_sent_partly(&mut self, id: Id, bytes: &[u8], sent: Result<usize>) -> Result<bool> {
        let conn = self.conn(id)?;
        let sent = match sent {
            Err(error) if error.code() == -libc::EAGAIN => Ok(0),
            sent => sent,
        };
        match sent.and_then(|sent| conn.out.push_rest(bytes, sent)) {
            Ok(sent) => {
                conn.bytes_out += sent as u64;
                self.conn_queued(id, true)
            }
            Err(error) => {
                self.conn_fail(id, error);
                Err(error)
            }
        }
    }
}
