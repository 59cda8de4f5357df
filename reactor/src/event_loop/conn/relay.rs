//! Forwarding one connection into another, no faster than the other takes it.

use super::state::{Conn, flag};
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::event_loop::core::{Core, Slot};
use crate::event_loop::{EventLoop, Sink};
use crate::sys::splice::SplicePipe;
use crate::sys::{Fd, stream};
use std::io::IoSlice;

impl<S: Sink> EventLoop<S> {
    /// Relays both ways.
    ///
    /// # Errors
    /// As [`EventLoop::conn_relay`]; then neither way is relayed.
    pub fn conn_pipe(&self, one: Id, other: Id) -> Result<()> {
        let mut core = self.core()?;
        core.conn_check_relay(one, other)?;
        core.conn_check_relay(other, one)?;
        core.conn_begin_relay(one, other);
        core.conn_begin_relay(other, one);
        Ok(())
    }

    /// From now on what `from` receives is written to `to`: `from` gets no data events any more, its reading rests while
    /// more than the high mark waits in `to`, its end becomes the end of our direction of `to`, and when one of them breaks
    /// the other one is reset. What was received before and is held goes first. Both ways are two calls.
    ///
    /// # Errors
    /// [`Error::INVALID`] for a connection into itself, [`Error::EXISTS`] when `from` is relayed already or something else
    /// into `to`, [`Error::NO_BUFFERS`] when more is held than `to` may let wait, [`Error::KIND`], [`Error::STALE`],
    /// [`Error::FORKED`], [`Error::PANIC`]; EPIPE when our direction of `to` has ended.
    pub fn conn_relay(&self, from: Id, to: Id) -> Result<()> {
        let mut core = self.core()?;
        core.conn_check_relay(from, to)?;
        core.conn_begin_relay(from, to);
        Ok(())
    }
}

/// From so many bytes a read on the next one is moved inside the kernel: two calls that copy nothing cost less than two that
/// copy this much (measured: 0.6 to 0.9 of the time at 64 KiB, more than all of it below some KiB).
const BULK: usize = 32_768;

impl<S: Sink> Core<S> {
    /// Moves what has arrived to the other connection without copying it, if nothing waits there.
    pub(super) fn conn_move(&mut self, from: Id, to: Id) {
        let target = self.conn_mut(to).filter(|conn| {
            conn.out.is_empty() && !conn.has(flag::CONNECTING | flag::SHUT_WANTED | flag::OVER) && !conn.is_limited()
        });
        let Some(target) = target.map(|conn| conn.owned.fd()) else { return self.conn_move_by_copying(from) };
        if self.conns.pipe.is_none() {
            self.conns.pipe = SplicePipe::new().ok();
        }
        let Some(source) = self.conn_mut(from).filter(|conn| !conn.is_limited()).map(|conn| conn.owned.fd()) else {
            return self.conn_move_by_copying(from);
        };
        let Some(taken) = self.conns.pipe.as_ref().map(|pipe| pipe.take(source)) else {
            return self.conn_move_by_copying(from);
        };
        match taken {
            Ok(count) if count > 0 => self.conn_pass_on(from, to, target, count),
            Err(error) if error.code() == -libc::EINVAL => self.conn_move_by_copying(from),
            other => self.conn_read_nothing(from, other),
        }
    }

    /// The next read copies, and decides anew.
    fn conn_move_by_copying(&mut self, from: Id) {
        if let Some(conn) = self.conn_mut(from) {
            conn.extra().bulk = false;
        }
    }

    /// What the other stream does not take of the pipe waits there like anything that is written.
    fn conn_pass_on(&mut self, from: Id, to: Id, target: Fd, count: usize) {
        let Some(pipe) = &self.conns.pipe else { return };
        let passed = match pipe.pass_on(target, count) {
            Err(error) if error.code() == -libc::EAGAIN => Ok(0),
            passed => passed,
        };
        if let Some(conn) = self.conn_mut(from) {
            conn.bytes_in += count as u64;
            conn.extra().bulk = count >= BULK;
        }
        self.conn_touch(from, flag::HAS_READ);
        match passed {
            Ok(passed) => {
                if let Some(conn) = self.conn_mut(to) {
                    conn.bytes_out += passed as u64;
                }
                self.conn_touch(to, flag::HAS_WRITTEN);
                self.conn_keep_rest(from, to, count - passed);
            }
            Err(error) => {
                // What is left in the pipe belongs to nobody.
                self.conns.pipe = None;
                self.conn_write_failed(to, error);
            }
        }
    }

    fn conn_keep_rest(&mut self, from: Id, to: Id, rest: usize) {
        if rest == 0 {
            return;
        }
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(rest).is_err() {
            self.conns.pipe = None;
            return self.conn_fail(to, Error::NO_MEMORY);
        }
        bytes.resize(rest, 0);
        let read = match &self.conns.pipe {
            Some(pipe) => stream::read(pipe.rest(), &mut bytes),
            None => Ok(0),
        };
        if read == Ok(rest) {
            return self.conn_forward(from, to, &bytes);
        }
        self.conns.pipe = None;
        self.conn_fail(to, Error::os(libc::EIO));
    }

    fn conn_check_relay(&mut self, from: Id, to: Id) -> Result<()> {
        self.conn(from)?;
        let target = self.conn(to)?;
        if from == to {
            return Err(Error::invalid("a connection cannot be relayed into itself"));
        }
        if target.has(flag::SHUT_WANTED | flag::OVER) {
            return Err(Error::os(libc::EPIPE));
        }
        if target.extra.as_ref().is_some_and(|extra| extra.relay_from.is_some()) {
            return Err(Error::EXISTS.because("another connection is relayed into this one"));
        }
        let room = target.shape.limit.saturating_sub(target.out.kept());
        let source = self.conn(from)?;
        if source.has(flag::OVER | flag::FINISHING) {
            return Err(Error::os(libc::EPIPE));
        }
        if source.relay_to().is_some() {
            return Err(Error::EXISTS.because("the connection is relayed already"));
        }
        if source.extra.as_ref().is_some_and(|extra| extra.held.len().saturating_sub(extra.start) > room) {
            return Err(Error::NO_BUFFERS.because("more is held than the other connection may let wait"));
        }
        Ok(())
    }

    fn conn_begin_relay(&mut self, from: Id, to: Id) {
        if let Some(target) = self.conn_mut(to) {
            target.extra().relay_from = Some(from);
        }
        let Some(source) = self.conn_mut(from) else { return };
        source.flags &= !(flag::LEFTOVER | flag::HELD);
        let extra = source.extra();
        extra.relay_to = Some(to);
        // Called while one of its frames is delivered, it gets the rest back afterwards, and passes that on then.
        if !(extra.held.is_empty() && extra.start > 0) {
            let held = std::mem::take(&mut extra.held);
            self.conn_pass_on_held(from, to, &held);
        }
        self.conn_rewait(from);
    }

    /// What was held when the relay began, and the end if it had come.
    pub(super) fn conn_pass_on_held(&mut self, from: Id, to: Id, held: &[u8]) {
        let Some(source) = self.conn_mut(from) else { return };
        let extra = source.extra();
        let start = std::mem::take(&mut extra.start).min(held.len());
        extra.searched = 0;
        let ended = source.has(flag::EOF);
        if start < held.len() {
            self.conn_forward(from, to, &held[start..]);
        }
        if ended {
            self.conn_want_shut(to);
        }
        self.conn_list_if_pending(to);
    }

    /// Passes on what was received. The limit is not looked at: reading rests above the high mark, so that no more than one
    /// read comes on top of it.
    pub(super) fn conn_forward(&mut self, from: Id, to: Id, bytes: &[u8]) {
        if let Some(source) = self.conn_mut(from) {
            source.extra().bulk = bytes.len() >= BULK;
        }
        match self.conn_write_pieces::<false>(to, &[IoSlice::new(bytes)]) {
            Ok(false) => {}
            Ok(true) => {
                if let Some(source) = self.conn_mut(from) {
                    source.flags |= flag::PARTNER_FULL;
                }
                self.conn_rewait(from);
            }
            // Nobody takes it any more, but what comes the other way may still have to be delivered.
            // It is told in the end.
            Err(error) if self.conn_mut(to).is_some_and(|target| target.is_broken()) => {
                if let Some(source) = self.conn_mut(from) {
                    source.extra().broken = error.code();
                }
            }
            // All that the other one had to say is passed on, and so this one is being finished already.
            Err(_) if self.conn_mut(from).is_some_and(|source| source.relay_to() != Some(to)) => {}
            // The program has ended the other one's direction: this one has nowhere to go.
            Err(error) => self.conn_fail(from, error),
        }
    }

    /// What waited in a connection has gone: the one that is relayed into it goes on.
    pub(super) fn conn_let_source_go_on(&mut self, to: Id) {
        let source = self.conn_mut(to).and_then(|conn| conn.extra.as_ref()).and_then(|extra| extra.relay_from);
        if let Some(source) = source {
            if let Some(conn) = self.conn_mut(source).filter(|conn| conn.has(flag::PARTNER_FULL)) {
                conn.flags &= !flag::PARTNER_FULL;
                self.conn_reads_again(source);
            }
            self.conn_rewait(source);
        }
    }

    /// What is relayed into it goes nowhere any more. The other side of a pipe is read on, and dropped, so that what comes the
    /// other way still arrives there; a source that gets nothing in return is cut off.
    pub(super) fn conn_stop_source(&mut self, to: Id, reason: i32) {
        let Some(extra) = self.conn_mut(to).and_then(|conn| conn.extra.as_mut()) else { return };
        match extra.relay_from {
            Some(from) if extra.relay_to == Some(from) => self.conn_let_source_go_on(to),
            Some(from) => self.conn_reset_partner(from, reason),
            None => {}
        }
    }

    /// It relays nothing any more: what its partner has got until now is all that comes, and what the one that is relayed into
    /// it still sends has no place to go.
    pub(super) fn conn_unrelay(&mut self, id: Id) {
        let Some(extra) = self.conn_mut(id).and_then(|conn| conn.extra.as_mut()) else { return };
        let (to, from) = (extra.relay_to.take(), extra.relay_from.take());
        if let Some(target) = to.and_then(|to| self.conn_mut(to)) {
            target.extra().relay_from = None;
        }
        if let Some(source) = from.and_then(|from| self.conn_mut(from)) {
            source.extra().relay_to = None;
        }
        if let Some(to) = to {
            self.conn_want_shut(to);
            self.conn_list_if_pending(to);
        }
        if let Some(from) = from {
            self.conn_finish(from);
            self.conn_list_if_pending(from);
        }
    }

    /// One end of a relay was closed in the middle: what the other end was to send has no end, or what it receives no place
    /// to go.
    pub(super) fn conn_end_partners(&mut self, conn: &Conn) {
        let Some(extra) = &conn.extra else { return };
        if let Some(to) = extra.relay_to.filter(|_| !conn.has(flag::EOF)) {
            self.conn_reset_partner(to, Error::CANCELED.code());
        }
        let from = extra.relay_from.filter(|from| self.conn_mut(*from).is_some_and(|conn| !conn.has(flag::EOF)));
        if let Some(from) = from {
            self.conn_reset_partner(from, Error::CANCELED.code());
        }
    }

    /// All are going to be closed, in a forked child without a trace at what is shared with the parent.
    pub(in crate::event_loop) fn conns_end(&mut self, forked: bool) {
        for entry in self.table.values_mut() {
            let Slot::Conn(conn) = &mut entry.slot else { continue };
            if forked {
                conn.flags &= !flag::WAS_BLOCKING;
            }
            if let Some(extra) = &mut conn.extra {
                (extra.relay_to, extra.relay_from) = (None, None);
                extra.tty = extra.tty.take().filter(|_| !forked);
            }
        }
    }
}
