//! How a connection ends: half-close, finish, failure, close.

use super::state::{Conn, flag};
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::base::out_queue::Over;
use crate::event_loop::core::{Core, Slot};
use crate::event_loop::releases::Release;
use crate::event_loop::{EventLoop, Sink};
use crate::sys::stream::{self, StreamKind};
use crate::sys::tty;

impl<S: Sink> EventLoop<S> {
    /// Ends our direction when everything accepted is written. Reading goes on.
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn conn_shutdown(&self, id: Id) -> Result<()> {
        let mut core = self.core()?;
        core.conn(id)?;
        core.conn_want_shut(id);
        core.conn_list_if_pending(id);
        Ok(())
    }

    /// Ends it in good order: writes what is accepted, ends our direction, then reads and discards until the peer ends its
    /// own, or the linger time is over. Then it is [`Event::ConnOver`](crate::Event::ConnOver) with reason 0, or
    /// [`Error::TIMED_OUT`].
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn conn_finish(&self, id: Id) -> Result<()> {
        let mut core = self.core()?;
        core.conn(id)?;
        core.conn_finish(id);
        core.conn_list_if_pending(id);
        Ok(())
    }

    /// Closes it and resets the connection: the peer sees an error instead of an end. Its id is dead when this returns.
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn conn_abort(&self, id: Id) -> Result<()> {
        let mut core = self.core()?;
        match core.conn(id) {
            Ok(_) => {}
            // Not connected yet: there is nothing to reset.
            Err(error) if error.code() == -libc::ENOTCONN => return core.close(id),
            Err(error) => return Err(error),
        }
        let conn = core.conn(id)?;
        if conn.kind() == StreamKind::Socket {
            stream::reset_on_close(conn.owned.fd());
        }
        core.close(id)
    }
}

impl<S: Sink> Core<S> {
    pub(super) fn conn_want_shut(&mut self, id: Id) {
        let Some(conn) = self.conn_mut(id) else { return };
        if conn.has(flag::SHUT_WANTED | flag::OVER) {
            return;
        }
        conn.flags |= flag::SHUT_WANTED;
        if conn.out.is_empty() && !conn.has(flag::CONNECTING) {
            self.conn_shut_now(id);
        }
        self.conn_rewait(id);
    }

    /// Everything is written: ends our direction.
    pub(super) fn conn_shut_now(&mut self, id: Id) {
        let Some(conn) = self.conn_mut(id) else { return };
        conn.flags |= flag::SHUT;
        if conn.kind() == StreamKind::Socket && stream::shut_write(conn.owned.fd()).is_err() && conn.has(flag::EOF) {
            // The peer has reset it after its end, so that reading will not say it any more.
            let why = match stream::take_error(conn.owned.fd()) {
                0 => Error::os(libc::EPIPE),
                code => Error::from_code(code),
            };
            return self.conn_write_failed(id, why);
        }
        self.conn_linger(id);
        self.conn_end_if_done(id);
    }

    /// The peer's end is all that is missing: it has the linger time from now on. (What waited before had the write timeout:
    /// a peer that is slow, but takes it, loses nothing.)
    pub(super) fn conn_linger(&mut self, id: Id) {
        let now_ns = self.clock.monotonic_ns();
        let Some(conn) = self.conn_mut(id).filter(|conn| conn.has(flag::FINISHING) && conn.has(flag::SHUT)) else {
            return;
        };
        let linger_ns = conn.shape.timeouts.linger_ns;
        if !conn.has(flag::EOF) {
            conn.extra().linger_deadline_ns = if linger_ns > 0 { now_ns.saturating_add(linger_ns) } else { 0 };
            self.conn_touch(id, flag::REARM);
        }
    }

    /// Both directions have ended: it is over.
    pub(super) fn conn_end_if_done(&mut self, id: Id) {
        let Some(conn) = self.conn_mut(id) else { return };
        if conn.has(flag::SHUT) && conn.has(flag::EOF) && !conn.has(flag::TELL_EOF) {
            let reason = conn.reason();
            if reason != 0 {
                // It could not write, but has received all of what its partner is to get.
                self.conn_unrelay(id);
            }
            self.conn_over(id, reason);
        }
    }

    pub(super) fn conn_finish(&mut self, id: Id) {
        let Some(conn) = self.conn_mut(id) else { return };
        if conn.has(flag::FINISHING | flag::OVER) {
            return;
        }
        conn.flags |= flag::FINISHING;
        conn.flags &= !(flag::LEFTOVER | flag::TELL_EOF);
        if conn.has(flag::NO_SOCKET) {
            // A pipe has no peer that could end anything: what is written is all that counts.
            conn.flags |= flag::EOF;
        }
        if let Some(extra) = &mut conn.extra {
            // Neither these nor those that come from now on: what is received is dropped.
            extra.passed = Vec::new();
            extra.held = Vec::new();
        }
        if conn.has(flag::SHUT) {
            self.conn_linger(id);
        }
        self.conn_unrelay(id);
        self.conn_want_shut(id);
        self.conn_end_if_done(id);
        self.conn_rewait(id);
    }

    /// The peer has ended its direction.
    pub(super) fn conn_eof(&mut self, id: Id) {
        let Some(conn) = self.conn_mut(id) else { return };
        conn.flags |= flag::EOF;
        let held = conn.extra.as_ref().is_some_and(|extra| !extra.held.is_empty());
        if held && !conn.has(flag::FINISHING) {
            // An unfinished line is one now.
            conn.flags |= flag::LEFTOVER;
        }
        if !conn.has(flag::FINISHING) {
            conn.flags |= flag::TELL_EOF;
        }
        if let Some(to) = conn.relay_to() {
            self.conn_want_shut(to);
            self.conn_list_if_pending(to);
        }
        self.conn_end_if_done(id);
        self.conn_rewait(id);
    }

    /// It is broken.
    pub(super) fn conn_fail(&mut self, id: Id, error: Error) {
        self.conn_over(id, error.code());
    }

    /// Nothing can be written any more. What a peer that has gone has sent before is still there to be read, its answer perhaps:
    /// it is over after that, unless the program does not read.
    pub(super) fn conn_write_failed(&mut self, id: Id, error: Error) {
        const ENDS_NOW: u32 = flag::FINISHING | flag::PAUSED | flag::OVER;
        let gone = [-libc::EPIPE, -libc::ECONNRESET].contains(&error.code());
        let Some(conn) = self.conn_mut(id) else { return };
        let all_read = conn.has(flag::EOF) && !conn.has(flag::TELL_EOF);
        if !gone || all_read || conn.has(ENDS_NOW) {
            if gone && all_read && conn.relay_to().is_some() {
                // All that it has sent is its partner's.
                self.conn_unrelay(id);
            }
            return self.conn_fail(id, error);
        }
        conn.extra().broken = error.code();
        conn.flags |= flag::SHUT_WANTED | flag::SHUT;
        conn.flags &= !(flag::BLOCKED | flag::HIGH | flag::HELD | flag::WRITE_SLOWED | flag::TELL_DRAIN);
        self.conn_abandon(id, error.code());
        self.conn_stop_source(id, error.code());
        self.conn_touch(id, flag::REARM);
        self.conn_rewait(id);
        self.conn_list_if_pending(id);
    }

    /// The peer has ended its direction before, and now it has gone. With an error it has broken the connection; without one
    /// nothing is lost yet, and there is nothing more to hear of it.
    pub(super) fn conn_peer_gone(&mut self, id: Id, broken: bool) {
        let Some(conn) = self.conn_mut(id) else { return };
        if !broken {
            conn.flags |= flag::HUNG_UP;
            return self.conn_rewait(id);
        }
        let code = if conn.kind() == StreamKind::Socket { stream::take_error(conn.owned.fd()) } else { 0 };
        self.conn_write_failed(id, if code == 0 { Error::os(libc::EPIPE) } else { Error::from_code(code) });
    }

    /// What waits to be written will not be.
    fn conn_abandon(&mut self, id: Id, reason: i32) {
        let Core { releases, conns, table, .. } = self;
        if let Some(Slot::Conn(conn)) = table.get_mut(id).map(|entry| &mut entry.slot) {
            conn.out.abandon(|buffer| {
                conns.buffers -= 1;
                releases.push(Release::Buffer(buffer, reason));
            });
        }
    }

    /// It is over: nothing is read or written any more, and the program is told.
    pub(super) fn conn_over(&mut self, id: Id, reason: i32) {
        let Some(conn) = self.conn_mut(id).filter(|conn| !conn.has(flag::OVER)) else { return };
        conn.flags |= flag::OVER | flag::TELL_OVER;
        conn.flags &= !(flag::TELL_EOF | flag::TELL_DRAIN | flag::LEFTOVER | flag::BLOCKED | flag::CONNECTING);
        conn.last = reason.into();
        let relays = conn.extra.as_ref().map(|extra| (extra.relay_to, extra.relay_from));
        if reason != 0 && !conn.out.is_empty() {
            // Cut off in the middle, it must not look to the peer as if it had ended well.
            self.conn_reset_on_close(id);
        }
        self.conn_abandon(id, reason);
        self.conn_cancel_timer(id);
        self.conn_rewait(id);
        self.conn_list(id);
        if let Some((to, from)) = relays.filter(|_| reason != 0) {
            // Cut off in the middle, neither it nor its partners may look as if they had ended well.
            if from.is_some() {
                self.conn_reset_on_close(id);
            }
            for partner in [to, from].into_iter().flatten() {
                self.conn_reset_partner(partner, reason);
            }
        }
    }

    pub(super) fn conn_reset_partner(&mut self, id: Id, reason: i32) {
        if self.conn_mut(id).is_some_and(|conn| !conn.has(flag::OVER)) {
            self.conn_reset_on_close(id);
            self.conn_over(id, reason);
        }
    }

    fn conn_reset_on_close(&mut self, id: Id) {
        if let Some(conn) = self.conn_mut(id).filter(|conn| conn.kind() == StreamKind::Socket) {
            stream::reset_on_close(conn.owned.fd());
        }
    }

    /// Takes a closed connection apart.
    pub(in crate::event_loop) fn conn_dispose(&mut self, id: Id, mut conn: Conn) {
        while let Some(over) = conn.out.take_over() {
            if let Over::Owned(buffer) = over {
                self.conns.buffers -= 1;
                self.releases.push(Release::Buffer(buffer, 0));
            }
        }
        let Core { releases, conns, .. } = self;
        conn.out.abandon(|buffer| {
            conns.buffers -= 1;
            releases.push(Release::Buffer(buffer, Error::CANCELED.code()));
        });
        if let Some(timer) = conn.timer {
            self.timers.destroy(timer);
        }
        self.conns.count -= 1;
        if let Some(before) = conn.extra.as_mut().and_then(|extra| extra.tty.take()) {
            let _ = tty::apply(conn.owned.fd(), &before);
        }
        if conn.has(flag::WAS_BLOCKING) {
            let _ = stream::set_nonblocking(conn.owned.fd(), false);
        }
        if !conn.has(flag::OVER) {
            self.conn_end_partners(&conn);
        }
        let listener = conn.shape.listener;
        self.disown(id, conn.owned);
        self.listener_conn_closed(listener);
    }
}
