//! What readiness, and what was noted before, leads to: one event a step.

use super::state::{Conn, Timeout, flag};
use crate::base::error::{Error, Result};
use crate::base::framing::Framing;
use crate::base::id::Id;
use crate::base::interest::{ERROR, READ, WRITE};
use crate::base::out_queue::Over;
use crate::event_loop::core::{Core, Slot, Told};
use crate::event_loop::limits::READ_SIZE;
use crate::event_loop::rate::Way;
use crate::event_loop::releases::Release;
use crate::event_loop::{Event, Sink};
use crate::io::stream::Flushed;
use crate::sys::stream;

/// The connection that the turn is at.
#[derive(Clone, Copy)]
pub(in crate::event_loop) struct Current {
    pub(super) id: Id,
    /// What it is ready for and has not yet done.
    bits: u32,
    /// Frames that it has delivered.
    pub(super) frames: u32,
    /// Completions that were there when it came to its turn: what its callbacks complete is told in the next one, or
    /// answering each with another write would keep all others waiting. `None`: it has not begun.
    over_left: Option<usize>,
}

impl Current {
    /// That has become it without the poller's saying so.
    pub(super) fn of(id: Id) -> Current {
        Current { id, bits: 0, frames: 0, over_left: None }
    }

    /// What it was ready for is done.
    pub(super) fn is_done(self) -> bool {
        self.bits == 0
    }
}

/// A step's outcome.
pub(super) type Step<S> = Option<(Id, <S as Sink>::User, Told)>;

impl<S: Sink> Core<S> {
    pub(in crate::event_loop) fn conn(&mut self, id: Id) -> Result<&mut Conn> {
        match &mut self.entry(id)?.slot {
            Slot::Conn(conn) => Ok(conn),
            Slot::Connecting(_) => Err(Error::os(libc::ENOTCONN)),
            _ => Err(Error::KIND),
        }
    }

    #[inline]
    pub(super) fn conn_mut(&mut self, id: Id) -> Option<&mut Conn> {
        match &mut self.table.get_mut(id)?.slot {
            Slot::Conn(conn) => Some(conn),
            _ => None,
        }
    }

    /// Makes the loop come by in its next turn.
    pub(super) fn conn_list(&mut self, id: Id) {
        let Some(conn) = self.conn_mut(id).filter(|conn| !conn.has(flag::LISTED)) else { return };
        conn.flags |= flag::LISTED;
        self.conns.listed.push(id);
    }

    /// Lists it if there is anything to come by for.
    pub(super) fn conn_list_if_pending(&mut self, id: Id) {
        if self.conn_mut(id).is_some_and(|conn| conn.is_pending()) {
            self.conn_list(id);
        }
    }

    /// Tells the poller what the connection waits for now.
    #[inline]
    pub(super) fn conn_rewait(&mut self, id: Id) {
        let Some(conn) = self.conn_mut(id) else { return };
        let mut interest = if conn.reads() { READ } else { 0 } | if conn.writes() { WRITE } else { 0 };
        if interest == 0 && conn.waits_for_the_last() {
            interest = ERROR;
        }
        if interest != conn.owned.interest() {
            self.owned_want(id, interest);
        }
    }

    /// The poller has reported it.
    #[inline]
    pub(in crate::event_loop) fn conn_ready(&mut self, id: Id, bits: u32) -> Step<S> {
        self.turn.current = Some(Current { bits, ..Current::of(id) });
        if self.conn_mut(id)?.owned.interest() == ERROR {
            self.turn.current = Some(Current::of(id));
            self.conn_peer_gone(id, bits & ERROR != 0);
        }
        self.next_of_current()
    }

    /// The next listed connection's next event.
    pub(in crate::event_loop) fn next_listed(&mut self) -> Step<S> {
        loop {
            if let told @ Some(_) = self.next_of_current() {
                return told;
            }
            let Core { turn, table, .. } = self;
            let id = turn.conns.next(&mut turn.next_conn, |index| table.first_from(index))?;
            if let Some(conn) = self.conn_mut(id) {
                conn.flags &= !flag::LISTED;
                self.turn.current = Some(Current::of(id));
            } else if let told @ Some(_) = self.connect_tell(id) {
                return told;
            }
        }
    }

    /// The next event of the connection that the turn is at.
    #[inline]
    pub(in crate::event_loop) fn next_of_current(&mut self) -> Step<S> {
        let Current { id, bits, .. } = self.turn.current?;
        // Done with, or closed by a callback.
        if self.conn_mut(id).is_none_or(|conn| bits == 0 && !conn.is_pending()) {
            self.turn.current = None;
            return None;
        }
        self.next_of_pending(id, bits)
    }

    /// The same when there may be one.
    fn next_of_pending(&mut self, id: Id, bits: u32) -> Step<S> {
        if bits & WRITE != 0 {
            self.done_with(WRITE);
            self.conn_writable(id);
        }
        let over = self.conn_mut(id)?.out.count_over();
        self.turn.current.as_mut()?.over_left.get_or_insert(over);
        if let told @ Some(_) = self.conn_tell(id) {
            return told;
        }
        if bits & READ != 0 {
            self.done_with(READ);
            if let told @ Some(_) = self.conn_read(id) {
                return told;
            }
            if let told @ Some(_) = self.conn_tell(id) {
                return told;
            }
        }
        self.turn.current = None;
        // What its callbacks have noted since.
        self.conn_list_if_pending(id);
        None
    }

    fn done_with(&mut self, bit: u32) {
        if let Some(current) = &mut self.turn.current {
            current.bits &= !bit;
        }
    }

    /// The next thing that was noted for the program.
    #[inline]
    fn conn_tell(&mut self, id: Id) -> Step<S> {
        if !self.conn_mut(id)?.is_pending() {
            return None;
        }
        self.conn_tell_pending(id)
    }

    fn conn_tell_pending(&mut self, id: Id) -> Step<S> {
        let conn = self.conn_mut(id)?;
        if take(conn, flag::TELL_OPEN) {
            return self.delivery(id, Event::Opened);
        }
        if let Some((token, status)) = self.conn_next_mark(id) {
            return self.delivery(id, Event::Written { token, status });
        }
        if let told @ Some(_) = self.conn_passed(id) {
            return told;
        }
        if let told @ Some(_) = self.conn_frame(id) {
            return told;
        }
        let conn = self.conn_mut(id)?;
        let times =
            [(flag::TELL_READ, Timeout::Read), (flag::TELL_WRITE, Timeout::Write), (flag::TELL_IDLE, Timeout::Idle)];
        for (bit, which) in times {
            if take(conn, bit) {
                return self.delivery(id, Event::TimedOut(which));
            }
        }
        if take(conn, flag::TELL_DRAIN) {
            return self.delivery(id, Event::Drained);
        }
        if !conn.has(flag::LEFTOVER) && take(conn, flag::TELL_EOF) {
            return self.conn_tell_eof(id);
        }
        // The end comes behind all completions.
        if !conn.out.has_over() && take(conn, flag::TELL_OVER) {
            let reason = conn.reason();
            self.set_active(id, false);
            self.stats.events += 1;
            return Some((id, self.user(id)?, Told::Over(reason)));
        }
        None
    }

    /// The peer has ended its direction: the program decides, or the connection is finished.
    fn conn_tell_eof(&mut self, id: Id) -> Step<S> {
        let conn = self.conn_mut(id)?;
        if conn.shape.tells_eof {
            self.conn_end_if_done(id);
            self.conn_rewait(id);
            return self.delivery(id, Event::Eof);
        }
        // Into which another one is relayed, it has still to send what comes from there.
        if !conn.is_relayed_into() {
            self.conn_finish(id);
        }
        self.conn_end_if_done(id);
        self.conn_rewait(id);
        self.conn_tell(id)
    }

    /// The next mark that is over; buffers that are over are given back.
    fn conn_next_mark(&mut self, id: Id) -> Option<(u64, i32)> {
        loop {
            let left = self.turn.current.as_mut()?.over_left.as_mut()?;
            let may = *left > 0;
            *left = left.saturating_sub(1);
            let conn = self.conn_mut(id)?;
            let reason = conn.reason();
            if !may {
                conn.out.shrink();
                return None;
            }
            match conn.out.take_over() {
                Some(Over::Mark(token)) => return Some((token, 0)),
                Some(Over::Lost(token)) => return Some((token, reason)),
                Some(Over::Owned(buffer)) => {
                    self.conns.buffers -= 1;
                    self.releases.push(Release::Buffer(buffer, 0));
                }
                None => {
                    conn.out.shrink();
                    return None;
                }
            }
        }
    }

    /// The system takes more, or has connected.
    pub(super) fn conn_writable(&mut self, id: Id) {
        let Some(conn) = self.conn_mut(id) else { return };
        if conn.has(flag::CONNECTING) {
            return self.conn_connected(id);
        }
        if conn.has(flag::OVER) {
            return;
        }
        let (fd, kind) = (conn.owned.fd(), conn.kind());
        let limited = conn.is_limited();
        let allowance = if limited { self.conn_allowance(id, Way::Write) } else { usize::MAX };
        let Some(conn) = self.conn_mut(id) else { return };
        if allowance == 0 {
            conn.flags |= flag::BLOCKED;
            return;
        }
        let (sent, flushed) = conn.out.flush(fd, kind, allowance);
        conn.bytes_out += sent as u64;
        if limited {
            self.conn_spend(id, Way::Write, sent);
        }
        let Some(conn) = self.conn_mut(id) else { return };
        match flushed {
            Ok(Flushed::All) => {
                conn.flags &= !flag::BLOCKED;
                conn.out.shrink();
            }
            Ok(Flushed::Some) => conn.flags |= flag::BLOCKED,
            Err(error) => return self.conn_write_failed(id, error),
        }
        if sent > 0 {
            self.conn_touch(id, flag::HAS_WRITTEN);
        }
        self.conn_after_writing(id);
    }

    /// Marks, half-close and interest as they are after some bytes have gone.
    pub(super) fn conn_after_writing(&mut self, id: Id) {
        let Some(conn) = self.conn_mut(id) else { return };
        if conn.has(flag::HIGH) && conn.out.weight() <= conn.shape.low_mark {
            let rested = conn.has(flag::HELD);
            conn.flags &= !(flag::HIGH | flag::HELD);
            conn.flags |= flag::TELL_DRAIN;
            if rested {
                self.conn_reads_again(id);
            }
            self.conn_let_source_go_on(id);
        }
        let Some(conn) = self.conn_mut(id) else { return };
        if conn.has(flag::SHUT_WANTED) && !conn.has(flag::SHUT) && conn.out.is_empty() {
            self.conn_shut_now(id);
        }
        self.conn_rewait(id);
    }

    /// Reading has rested and goes on: the peer's silence counts from now.
    pub(super) fn conn_reads_again(&mut self, id: Id) {
        if self.conn_mut(id).is_some_and(|conn| conn.shape.timeouts.read_ns > 0) {
            self.conn_touch(id, flag::HAS_READ | flag::REARM);
        }
    }

    fn conn_connected(&mut self, id: Id) {
        let Some(conn) = self.conn_mut(id) else { return };
        match stream::take_error(conn.owned.fd()) {
            0 => {
                conn.flags &= !flag::CONNECTING;
                conn.flags |= flag::TELL_OPEN;
                self.conn_touch(id, flag::HAS_READ | flag::HAS_WRITTEN | flag::REARM);
                self.conn_writable(id);
            }
            code => self.conn_fail(id, Error::os(-code)),
        }
    }

    /// One read, at most the loop's buffer: what one connection gets in a turn.
    #[inline]
    fn conn_read(&mut self, id: Id) -> Step<S> {
        let mut buffer = self.take_read_buffer(id)?;
        let conn = self.conn_mut(id)?;
        // What is held comes first, or a peer that floods us with tiny frames would fill the memory.
        if !conn.reads() || conn.has(flag::LEFTOVER) {
            self.read_buffer = buffer;
            return None;
        }
        if conn.shape.pull && !conn.has(flag::FINISHING) && conn.relay_to().is_none() {
            self.read_buffer = buffer;
            return self.conn_tell_readable(id);
        }
        if let Some(to) = conn.bulk_to() {
            self.read_buffer = buffer;
            self.conn_move(id, to);
            return None;
        }
        let fd = conn.owned.fd();
        // What is only discarded goes as fast as it can.
        let limited = conn.is_limited() && !conn.has(flag::FINISHING);
        let most = if limited { self.conn_allowance(id, Way::Read).min(READ_SIZE) } else { READ_SIZE };
        if most == 0 {
            self.read_buffer = buffer;
            return None;
        }
        let read = if self.conn_mut(id).is_some_and(|conn| conn.shape.takes_descriptors && !conn.has(flag::FINISHING)) {
            self.conn_read_passed(id, fd, &mut buffer[..most])
        } else {
            stream::read(fd, &mut buffer[..most])
        };
        match read {
            Ok(count) if count > 0 => self.conn_received(id, buffer, count),
            other => {
                self.read_buffer = buffer;
                self.conn_read_nothing(id, other);
                None
            }
        }
    }

    /// The end, an error, or nothing.
    pub(super) fn conn_read_nothing(&mut self, id: Id, read: Result<usize>) {
        match read {
            // The error was told to a write: what was received may have been cut off.
            Ok(_) if self.conn_mut(id).is_some_and(|conn| conn.reason() == -libc::ECONNRESET) => {
                self.conn_fail(id, Error::os(libc::ECONNRESET));
            }
            Ok(_) => self.conn_eof(id),
            Err(error) if error.code() == -libc::EAGAIN => {}
            // What a terminal says when its other side has gone.
            Err(error) if error.code() == -libc::EIO && self.conn_mut(id).is_some_and(|it| it.has(flag::NO_SOCKET)) => {
                self.conn_eof(id);
            }
            Err(error) => self.conn_fail(id, error),
        }
    }

    #[inline]
    fn conn_received(&mut self, id: Id, buffer: Vec<u8>, count: usize) -> Step<S> {
        let conn = self.conn_mut(id)?;
        conn.bytes_in += count as u64;
        let plain = conn.shape.framing == Framing::None && conn.extra.is_none() && !conn.has(flag::FINISHING);
        self.conn_touch(id, flag::HAS_READ);
        if !plain {
            return self.conn_received_specially(id, buffer, count);
        }
        let Some(user) = self.user(id) else {
            self.read_buffer = buffer;
            return None;
        };
        self.stats.events += 1;
        Some((id, user, Told::Received { buffer, start: 0, end: count }))
    }

    /// Discarded, forwarded, or cut into frames.
    fn conn_received_specially(&mut self, id: Id, buffer: Vec<u8>, count: usize) -> Step<S> {
        let conn = self.conn_mut(id)?;
        if conn.has(flag::FINISHING) {
            self.read_buffer = buffer;
            return None;
        }
        if conn.is_limited() {
            self.conn_spend(id, Way::Read, count);
        }
        let conn = self.conn_mut(id)?;
        if let Some(to) = conn.relay_to() {
            self.conn_forward(id, to, &buffer[..count]);
            self.read_buffer = buffer;
            return None;
        }
        let (framing, most) = (conn.shape.framing, conn.shape.max_frame);
        let empty = conn.extra.as_ref().is_none_or(|extra| extra.held.is_empty() && extra.passed.is_empty());
        if empty {
            // Most often exactly one frame, or some, has arrived: those that are whole need no copy but the last.
            match framing.first(&buffer[..count], 0, most) {
                Ok(Some(frame)) if frame.next == count => {
                    self.stats.events += 1;
                    return Some((id, self.user(id)?, Told::Received { buffer, start: frame.start, end: frame.end }));
                }
                Err(error) => {
                    self.read_buffer = buffer;
                    self.conn_fail(id, error);
                    return None;
                }
                _ => {}
            }
        }
        let held = self.conn_hold(id, &buffer[..count]);
        self.read_buffer = buffer;
        if let Err(error) = held {
            self.conn_fail(id, error);
        }
        None
    }

    /// The loop's buffer, made when it is first needed.
    #[inline]
    fn take_read_buffer(&mut self, id: Id) -> Option<Vec<u8>> {
        let buffer = std::mem::take(&mut self.read_buffer);
        if buffer.len() == READ_SIZE { Some(buffer) } else { self.make_read_buffer(id) }
    }

    #[cold]
    fn make_read_buffer(&mut self, id: Id) -> Option<Vec<u8>> {
        let mut fresh = Vec::new();
        if fresh.try_reserve_exact(READ_SIZE).is_err() {
            self.conn_fail(id, Error::NO_MEMORY);
            return None;
        }
        fresh.resize(READ_SIZE, 0);
        Some(fresh)
    }
}

fn take(conn: &mut Conn, bit: u32) -> bool {
    let had = conn.has(bit);
    conn.flags &= !bit;
    had
}
