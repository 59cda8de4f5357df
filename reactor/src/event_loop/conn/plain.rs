//! The shortest ways: bytes that are read go to the program as they come, and bytes that are written go out at once. One
//! look-up each; whatever is not that simple is left to `step` and `commands`.

use super::state::flag;
use super::step::Current;
use crate::base::error::Result;
use crate::base::id::Id;
use crate::base::interest::READ;
use crate::event_loop::core::{Core, Slot};
use crate::event_loop::limits::READ_SIZE;
use crate::event_loop::{EventLoop, Sink, owned};
use crate::sys::stream;
use std::io::IoSlice;

impl<S: Sink> EventLoop<S> {
    /// As [`EventLoop::conn_write`] with one piece.
    ///
    /// # Errors
    /// As [`EventLoop::conn_write`].
    #[inline(always)]
    pub fn conn_write_bytes(&self, id: Id, bytes: &[u8]) -> Result<bool> {
        self.core_inline()?.conn_write_bytes(id, bytes)
    }

    /// Goes on with what the wait has found as long as it is nothing but bytes for the program. Whatever else comes, and
    /// whatever a callback has left to be done, is the turn's.
    pub(in crate::event_loop) fn plain_reads(&self) -> Result<()> {
        let mut core = self.core_inline()?;
        if !core.is_at_plain_read() {
            return Ok(());
        }
        core.turn.current = None;
        let mut buffer = std::mem::take(&mut core.read_buffer);
        // Whoever wants to know which callbacks are slow gets them one by one.
        while self.slow_after_ns.get() == 0 && self.sink.has_room() {
            let Some((id, user, count)) = core.next_plain_read(&mut buffer) else { break };
            drop(core);
            self.sink.deliver_bytes(self, id, &user, &buffer[..count]);
            drop(user);
            core = self.core_inline()?;
            if !core.conn_is_settled(id) {
                core.turn.current = Some(Current::of(id));
                break;
            }
        }
        core.read_buffer = buffer;
        Ok(())
    }
}

impl<S: Sink> Core<S> {
    /// Whether there are events of the wait, and nothing comes before them.
    #[inline(always)]
    fn is_at_plain_read(&mut self) -> bool {
        let at_io = self.turn.is_at_io() && self.turn.accepting.is_none() && self.read_buffer.len() == READ_SIZE;
        at_io && self.turn.current.is_none_or(|current| current.is_done() && self.conn_is_settled(current.id))
    }

    /// The next event of the wait if it is a connection's that has something to read and nothing else: reads.
    #[inline(always)]
    fn next_plain_read(&mut self, buffer: &mut [u8]) -> Option<(Id, S::User, usize)> {
        let ready =
            self.turn.ready.get(self.turn.next_ready).filter(|_| self.turn.next_tell >= self.turn.tell.len())?;
        if !owned::is_owned(ready) || !ready.readiness.is_just(READ) {
            return None;
        }
        let id = Id::from_raw(ready.key).without_operation();
        let entry = self.table.get_mut(id)?;
        let Slot::Conn(conn) = &mut entry.slot else { return None };
        if !conn.reads_plainly() {
            return None;
        }
        self.turn.next_ready += 1;
        match stream::read(conn.owned.fd(), buffer) {
            Ok(count) if count > 0 => {
                conn.bytes_in += count as u64;
                conn.touch(id, flag::HAS_READ, &mut self.conns.touched);
                self.stats.events += 1;
                Some((id, entry.user.clone(), count))
            }
            other => {
                self.conn_read_nothing(id, other);
                self.turn.current = Some(Current::of(id));
                None
            }
        }
    }

    /// Whether a callback has left nothing to be done for its connection.
    #[inline(always)]
    fn conn_is_settled(&mut self, id: Id) -> bool {
        self.conn_mut(id).is_none_or(|conn| !conn.is_pending())
    }

    #[inline(always)]
    fn conn_write_bytes(&mut self, id: Id, bytes: &[u8]) -> Result<bool> {
        let Core { table, conns, .. } = self;
        let conn = match table.get_mut(id).map(|entry| &mut entry.slot) {
            Some(Slot::Conn(conn)) if conn.writes_plainly(bytes.len()) => conn,
            _ => return self.conn_write_pieces::<true>(id, &[IoSlice::new(bytes)]),
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
                self.conn_write_failed(id, error);
                Err(error)
            }
        }
    }
}
