//! What a connection receives: read, discarded, passed on, or cut into frames.

use super::state::flag;
use super::step::Step;
use crate::base::error::{Error, Result};
use crate::base::framing::Framing;
use crate::base::id::Id;
use crate::event_loop::core::{Core, Told};
use crate::event_loop::limits::{HELD_KEPT, READ_SIZE};
use crate::event_loop::rate::Way;
use crate::event_loop::{Event, Sink};
use crate::sys::stream;

impl<S: Sink> Core<S> {
    /// One read, at most the loop's buffer: what one connection gets in a turn.
    #[inline]
    pub(super) fn conn_read(&mut self, id: Id) -> Step<S> {
        let mut buffer = self.take_read_buffer(id)?;
        let conn = self.conn_mut(id)?;
        // What is held comes first, or a peer that floods us with tiny frames would fill the memory.
        if !conn.reads() || conn.has(flag::LEFTOVER) {
            self.read_buffer = buffer;
            return None;
        }
        if conn.shape.pull && !conn.has(flag::FINISHING) && conn.relay_to().is_none() {
            self.read_buffer = buffer;
            return self.delivery(id, Event::Readable);
        }
        if let Some(to) = conn.bulk_to() {
            self.read_buffer = buffer;
            self.conn_move(id, to);
            return None;
        }
        let fd = conn.owned.fd();
        let most = if conn.is_limited() { self.conn_allowance(id, Way::Read).min(READ_SIZE) } else { READ_SIZE };
        if most == 0 {
            self.read_buffer = buffer;
            return None;
        }
        let read = if self.conn_mut(id)?.shape.takes_descriptors {
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
        if self.conn_mut(id)?.is_limited() {
            self.conn_spend(id, Way::Read, count);
        }
        let conn = self.conn_mut(id)?;
        if conn.has(flag::FINISHING) {
            self.read_buffer = buffer;
            return None;
        }
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

    /// Keeps bytes until they make a frame.
    pub(super) fn conn_hold(&mut self, id: Id, bytes: &[u8]) -> Result<()> {
        let conn = self.conn(id)?;
        let extra = conn.extra();
        extra.held.try_reserve(bytes.len())?;
        extra.held.extend_from_slice(bytes);
        conn.flags |= flag::LEFTOVER;
        Ok(())
    }

    /// The next whole frame of what is held.
    pub(super) fn conn_frame(&mut self, id: Id) -> Step<S> {
        let conn = self.conn_mut(id)?;
        if !conn.delivers() {
            return None;
        }
        let (shape, ended) = (conn.shape.clone(), conn.has(flag::EOF));
        let extra = conn.extra();
        let rest = &extra.held[extra.start..];
        let found = match shape.framing.first(rest, extra.searched, shape.max_frame) {
            Ok(None) if ended => shape.framing.last(rest),
            Ok(found) => found,
            Err(error) => {
                self.conn_fail(id, error);
                return None;
            }
        };
        let Some(frame) = found else {
            extra.searched = rest.len();
            extra.held.drain(..std::mem::take(&mut extra.start));
            if extra.held.capacity() > HELD_KEPT && extra.held.len() < HELD_KEPT / 2 {
                extra.held.shrink_to(HELD_KEPT / 2);
            }
            conn.flags &= !flag::LEFTOVER;
            return None;
        };
        if let Some(current) = self.turn.current.as_mut().filter(|current| current.id == id) {
            if current.frames_left == 0 {
                // The others first; the loop comes by again.
                return None;
            }
            current.frames_left -= 1;
        }
        let extra = self.conn_mut(id)?.extra();
        let (start, end) = (extra.start + frame.start, extra.start + frame.end);
        (extra.start, extra.searched) = (extra.start + frame.next, 0);
        let held = std::mem::take(&mut extra.held);
        self.stats.events += 1;
        Some((id, self.user(id)?, Told::Held { buffer: held, start, end }))
    }

    /// A frame was delivered: what was held comes back, unless the connection is gone.
    pub(in crate::event_loop) fn conn_take_back(&mut self, id: Id, buffer: Vec<u8>) {
        let Some(conn) = self.conn_mut(id).filter(|conn| !conn.has(flag::FINISHING)) else { return };
        match conn.relay_to() {
            Some(to) => self.conn_pass_on_held(id, to, &buffer),
            None => conn.extra().held = buffer,
        }
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
