//! What a program may ask of a connection.

use super::state::{Conn, ConnStats, Shape, flag};
use super::step::Current;
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::base::interest::{ERROR, READ, WRITE};
use crate::base::out_queue::Buffer;
use crate::event_loop::core::{Core, Slot};
use crate::event_loop::rate::Way;
use crate::event_loop::{EventLoop, Sink};
use crate::io::stream::SharedFile;
use crate::sys::stream::{self, StreamKind};
use crate::sys::{Fd, tty};
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

impl<S: Sink> EventLoop<S> {
    /// Takes over a descriptor: a connected stream socket, a pipe, a terminal. It does not block from now on. A terminal or
    /// pipe that others share is opened anew where the system lets us, so that it goes on blocking for them; where not, it
    /// is made to block again in the end.
    ///
    /// # Errors
    /// [`Error::INVALID`] for what is no stream and for a socket that listens, [`Error::BAD_FD`], [`Error::EXISTS`] when it is being watched,
    /// [`Error::NO_MEMORY`], [`Error::LIMIT`], [`Error::FORKED`], [`Error::PANIC`], the system's. `fd` keeps it then.
    pub fn conn_open(&self, fd: &mut Option<OwnedFd>, shape: Rc<Shape>, user: S::User, referenced: bool) -> Result<Id> {
        self.core()?.conn_adopt(fd, shape, user, referenced)
    }

    /// Writes bytes: at once what the system takes, the rest when it takes more. All or nothing is accepted, in order. Whether
    /// more than the high mark waits now.
    ///
    /// # Errors
    /// [`Error::NO_BUFFERS`] when more than the limit would wait, and nothing was taken; EPIPE after a shutdown, a finish or a
    /// failure; the system's, and the connection is over when what the peer has sent before is read;
    /// [`Error::NO_MEMORY`], [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    #[inline]
    pub fn conn_write(&self, id: Id, pieces: &[IoSlice<'_>]) -> Result<bool> {
        self.core()?.conn_write_pieces::<true>(id, pieces)
    }

    /// The same with a buffer that is not copied: it is given back when it is written, or with a status when it will not be.
    ///
    /// # Errors
    /// As [`EventLoop::conn_write`]; the buffer comes back.
    pub fn conn_write_owned(
        &self, id: Id, buffer: Box<dyn Buffer>,
    ) -> std::result::Result<bool, (Error, Box<dyn Buffer>)> {
        match self.core() {
            Ok(mut core) => core.conn_write_owned(id, buffer),
            Err(error) => Err((error, buffer)),
        }
    }

    /// Sends a range of a file behind what waits. The connection fails (EIO) when the file turns out shorter. A file that
    /// waits counts [`FILE`](crate::base::out_queue::FILE), not its bytes, which take no memory. Whether more than the high mark waits now.
    ///
    /// # Errors
    /// As [`EventLoop::conn_write`]; [`Error::NO_BUFFERS`] when more than the limit waits already.
    pub fn conn_send_file(&self, id: Id, file: SharedFile, offset: i64, length: u64) -> Result<bool> {
        let mut core = self.core()?;
        let conn = core.conn(id)?;
        conn.check_writable()?;
        let was_empty = conn.out.is_empty();
        conn.check_room(0)?;
        conn.out.push_file(file, offset, length)?;
        if !conn.has(flag::BLOCKED | flag::CONNECTING) {
            core.conn_writable(id);
        }
        let high = core.conn_mut(id).is_some_and(Conn::see_high_mark);
        if was_empty {
            // The peer's taking nothing counts from now.
            core.conn_touch(id, flag::HAS_WRITTEN | flag::REARM);
        }
        core.conn_rewait(id);
        core.conn_list_if_pending(id);
        Ok(high)
    }

    /// Tells [`Event::Written`](crate::Event::Written) with the token when everything accepted until now is written, or lost.
    ///
    /// # Errors
    /// EPIPE after a failure; [`Error::NO_BUFFERS`] above the limit, for which a mark counts [`PIECE`](crate::base::out_queue::PIECE) until it is told;
    /// [`Error::NO_MEMORY`], [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn conn_mark(&self, id: Id, token: u64) -> Result<()> {
        let mut core = self.core()?;
        let conn = core.conn(id)?;
        if conn.has(flag::OVER) {
            return Err(Error::os(libc::EPIPE));
        }
        conn.check_room(0)?;
        conn.out.push_mark(token)?;
        core.conn_list_if_pending(id);
        Ok(())
    }

    /// Reads into the program's own memory, where `pull` was asked for (or reading is paused): how many bytes, 0 at the end.
    ///
    /// # Errors
    /// EAGAIN when nothing is there or its rate limit is used up; [`Error::BUSY`] on a connection whose data comes as events; the system's, and the
    /// connection is over; [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn conn_read(&self, id: Id, buffer: &mut [u8]) -> Result<usize> {
        let mut core = self.core()?;
        let conn = core.conn(id)?;
        if !conn.shape.pull {
            return Err(Error::BUSY.because("what the connection receives comes by its callback"));
        }
        if conn.has(flag::EOF) {
            return Ok(0);
        }
        if conn.has(flag::OVER | flag::CONNECTING | flag::FINISHING) {
            return Err(Error::os(libc::ENOTCONN));
        }
        let (fd, limited) = (conn.owned.fd(), conn.is_limited());
        let most = if limited { core.conn_allowance(id, Way::Read).min(buffer.len()) } else { buffer.len() };
        if most == 0 && !buffer.is_empty() {
            return Err(Error::os(libc::EAGAIN).because("the rate limit is used up"));
        }
        let read = stream::read(fd, &mut buffer[..most]);
        match read {
            Ok(count) if count > 0 => {
                core.conn(id)?.bytes_in += count as u64;
                core.conn_spend(id, Way::Read, count);
                core.conn_touch(id, flag::HAS_READ);
            }
            // No room was given: not the end.
            Ok(_) if buffer.is_empty() => {}
            other => {
                core.conn_read_nothing(id, other);
                core.conn_list_if_pending(id);
            }
        }
        read
    }

    /// Pauses reading, or resumes it.
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn conn_pause(&self, id: Id, pause: bool) -> Result<()> {
        let mut core = self.core()?;
        let conn = core.conn(id)?;
        conn.flags = if pause { conn.flags | flag::PAUSED } else { conn.flags & !flag::PAUSED };
        if !pause {
            // The peer's silence counts from now.
            core.conn_touch(id, flag::HAS_READ | flag::REARM);
        }
        core.conn_rewait(id);
        core.conn_list_if_pending(id);
        Ok(())
    }

    /// Cuts what arrives from now on into frames.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`], [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn conn_set_framing(&self, id: Id, framing: crate::base::framing::Framing, max_frame: usize) -> Result<()> {
        let mut core = self.core()?;
        let conn = core.conn(id)?;
        let shape = Rc::make_mut(&mut conn.shape);
        (shape.framing, shape.max_frame) = (framing, max_frame);
        if let Some(extra) = &mut conn.extra {
            extra.searched = 0;
            if !extra.held.is_empty() {
                conn.flags |= flag::LEFTOVER;
            }
        }
        core.conn_list_if_pending(id);
        Ok(())
    }

    /// From how many waiting bytes on reading rests and writes tell, where that ends, and how many are refused.
    ///
    /// # Errors
    /// [`Error::INVALID`] unless low ≤ high ≤ limit; [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn conn_set_watermarks(&self, id: Id, low: usize, high: usize, limit: usize) -> Result<()> {
        if low > high || high > limit {
            return Err(Error::invalid("the low mark is above the high one, or that above the limit"));
        }
        let mut core = self.core()?;
        let conn = core.conn(id)?;
        let shape = Rc::make_mut(&mut conn.shape);
        (shape.low_mark, shape.high_mark, shape.limit) = (low, high, limit);
        conn.see_high_mark();
        core.conn_after_writing(id);
        core.conn_list_if_pending(id);
        Ok(())
    }

    /// Makes the terminal that it is raw, or as it was before.
    ///
    /// # Errors
    /// ENOTTY; [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn conn_set_raw(&self, id: Id, raw: bool) -> Result<()> {
        let mut core = self.core()?;
        let conn = core.conn(id)?;
        let fd = conn.owned.fd();
        let before = conn.extra.as_mut().and_then(|extra| extra.tty.take());
        match (raw, before) {
            (false, None) if tty::is_tty(fd) => Ok(()),
            (false, None) => Err(Error::os(libc::ENOTTY)),
            (false, Some(before)) => tty::apply(fd, &before),
            (true, Some(before)) => {
                conn.extra().tty = Some(before);
                Ok(())
            }
            (true, None) => {
                conn.extra().tty = Some(tty::set_raw(fd)?);
                Ok(())
            }
        }
    }

    /// What it has done so far.
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn conn_stats(&self, id: Id) -> Result<ConnStats> {
        let mut core = self.core()?;
        let conn = core.conn(id)?;
        Ok(ConnStats {
            bytes_in: conn.bytes_in,
            bytes_out: conn.bytes_out,
            queued: conn.out.pending(),
            opened_ns: conn.opened_ns,
        })
    }

    /// Its descriptor, for options that the library has no words for.
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn conn_fd(&self, id: Id) -> Result<Fd> {
        self.core()?.conn(id).map(|conn| conn.owned.fd())
    }
}

impl Conn {
    pub(super) fn check_writable(&self) -> Result<()> {
        if self.has(flag::SHUT_WANTED | flag::SHUT | flag::OVER) { Err(Error::os(libc::EPIPE)) } else { Ok(()) }
    }

    /// Whether so many bytes more may wait.
    pub(super) fn check_room(&self, bytes: usize) -> Result<()> {
        if bytes.saturating_add(self.out.kept()) > self.shape.limit {
            return Err(Error::NO_BUFFERS.because("more than the connection's limit would wait"));
        }
        Ok(())
    }

    /// Whether more than the high mark waits. One that is relayed does not rest for it, since what it receives goes
    /// elsewhere: two peers that both send before they read would wait for each other.
    pub(super) fn see_high_mark(&mut self) -> bool {
        if self.out.weight() > self.shape.high_mark {
            self.flags |= flag::HIGH | if self.shape.hold && self.relay_to().is_none() { flag::HELD } else { 0 };
        }
        self.has(flag::HIGH)
    }
}

impl<S: Sink> Core<S> {
    /// Makes a connection of a descriptor that does not block.
    ///
    /// # Errors
    /// As [`EventLoop::conn_open`]; `fd` keeps the descriptor.
    pub(in crate::event_loop) fn conn_make(
        &mut self, fd: &mut Option<OwnedFd>, kind: StreamKind, shape: Rc<Shape>, flags: u32, user: S::User,
        referenced: bool,
    ) -> Result<Id> {
        let id = self.reserve(user, referenced)?;
        let interest = if flags & flag::CONNECTING != 0 { WRITE } else { READ };
        let interest = if flags & flag::EOF != 0 { ERROR } else { interest };
        let timer = if shape.timeouts.is_any() { self.timers.create(id.raw()).map(Some) } else { Ok(None) };
        let made = timer.map_err(Error::from).and_then(|timer| match self.own_from(id, fd, interest) {
            Ok(owned) => Ok((owned, timer)),
            Err(error) => {
                timer.into_iter().for_each(|timer| self.timers.destroy(timer));
                Err(error)
            }
        });
        let (owned, timer) = match made {
            Ok(parts) => parts,
            Err(error) => {
                self.unreserve(id);
                return Err(error);
            }
        };
        // What comes from a listener comes within a turn; for the others the loop's last reading may be long ago.
        let now_ns = if flags == 0 { self.now_ns } else { self.clock.monotonic_ns() };
        let mut conn = Box::new(Conn::new(owned, kind, shape, now_ns));
        conn.flags |= flags;
        conn.timer = timer;
        self.entry(id)?.slot = Slot::Conn(conn);
        self.conns.count += 1;
        self.set_active(id, true);
        self.conn_begin_deadlines(id);
        Ok(id)
    }

    /// A handle that was being connected by name is a connection from now on.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`], the system's; the socket is closed, and the handle is what it was.
    pub(in crate::event_loop) fn conn_become(&mut self, id: Id, fd: OwnedFd, shape: Rc<Shape>) -> Result<()> {
        let timer = if shape.timeouts.is_any() { Some(self.timers.create(id.raw())?) } else { None };
        let owned = match self.own(id, fd, READ) {
            Ok(owned) => owned,
            Err(error) => {
                timer.into_iter().for_each(|timer| self.timers.destroy(timer));
                return Err(error);
            }
        };
        let mut conn = Box::new(Conn::new(owned, StreamKind::Socket, shape, self.now_ns));
        conn.flags |= flag::TELL_OPEN;
        conn.timer = timer;
        if let Slot::Connecting(before) = std::mem::replace(&mut self.entry(id)?.slot, Slot::Conn(conn)) {
            self.connect_dispose(id, *before);
        }
        self.conns.count += 1;
        self.conn_begin_deadlines(id);
        self.conn_list_if_pending(id);
        Ok(())
    }

    /// What a new connection has to tell comes in the next turn.
    pub(in crate::event_loop) fn conn_list_new(&mut self, id: Id) {
        self.conn_list_if_pending(id);
    }

    /// An accepted connection tells of its opening right after its acceptance was told.
    pub(in crate::event_loop) fn conn_tell_open_now(&mut self, id: Id) {
        if let Some(conn) = self.conn_mut(id) {
            conn.flags |= flag::TELL_OPEN;
            self.turn.current = Some(Current::of(id));
        }
    }

    fn conn_adopt(
        &mut self, fd: &mut Option<OwnedFd>, shape: Rc<Shape>, user: S::User, referenced: bool,
    ) -> Result<Id> {
        let given = fd.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        if self.owned.contains(given) {
            return Err(Error::EXISTS.because("the descriptor belongs to a handle of the loop"));
        }
        let kind = stream::stream_kind(given)?;
        if kind == StreamKind::Socket && stream::listens(given)? {
            return Err(Error::invalid("the socket listens"));
        }
        let access = tty::access(given)?;
        let mut flags = flag::TELL_OPEN;
        if !access.reads {
            flags |= flag::EOF;
        }
        if !access.writes {
            flags |= flag::SHUT | flag::SHUT_WANTED;
        }
        let mut anew = match (kind, &fd) {
            (StreamKind::Other, Some(fd)) => tty::reopen(fd).ok(),
            _ => None,
        };
        let id = if anew.is_some() {
            self.conn_make(&mut anew, kind, shape, flags, user, referenced)?
        } else {
            if !stream::set_nonblocking(given, true)? {
                flags |= flag::WAS_BLOCKING;
            }
            let made = self.conn_make(fd, kind, shape, flags, user, referenced);
            if made.is_err() && flags & flag::WAS_BLOCKING != 0 {
                stream::set_nonblocking(given, false)?;
            }
            made?
        };
        *fd = None;
        self.conn_list_new(id);
        Ok(id)
    }

    /// What was put into an empty queue goes as far as the rate limits let it.
    fn conn_writable_unless_connecting(&mut self, id: Id, was_empty: bool) {
        if was_empty && self.conn_mut(id).is_some_and(|conn| !conn.has(flag::CONNECTING)) {
            self.conn_touch(id, flag::HAS_WRITTEN | flag::REARM);
            self.conn_writable(id);
            self.conn_list_if_pending(id);
        }
    }

    /// See [`EventLoop::conn_write`].
    pub(in crate::event_loop) fn conn_write_pieces<const LIMITED: bool>(
        &mut self, id: Id, pieces: &[IoSlice<'_>],
    ) -> Result<bool> {
        let conn = self.conn(id)?;
        conn.check_writable()?;
        let all = pieces.iter().fold(0, |all: usize, piece| all.saturating_add(piece.len()));
        if LIMITED {
            conn.check_room(all)?;
        }
        let was_empty = conn.out.is_empty();
        if conn.is_limited() && !conn.has(flag::CONNECTING) {
            return self.conn_write_limited(id, pieces, was_empty);
        }
        if conn.has(flag::CONNECTING) {
            conn.out.push(pieces)?;
            return Ok(conn.see_high_mark());
        }
        let (fd, kind) = (conn.owned.fd(), conn.kind());
        match conn.out.write(fd, kind, pieces) {
            Ok(sent) if sent == all => {
                conn.bytes_out += sent as u64;
                // An empty write behind others that wait.
                let high = conn.has(flag::HIGH);
                self.conn_touch(id, flag::HAS_WRITTEN);
                Ok(high)
            }
            Ok(sent) => {
                conn.bytes_out += sent as u64;
                self.conn_queued(id, was_empty)
            }
            Err(error) => {
                self.conn_write_failed(id, error);
                Err(error)
            }
        }
    }

    /// As much as the rate limits let pass goes at once.
    fn conn_write_limited(&mut self, id: Id, pieces: &[IoSlice<'_>], was_empty: bool) -> Result<bool> {
        let conn = self.conn(id)?;
        conn.out.push(pieces)?;
        if was_empty {
            self.conn_writable(id);
        }
        let conn = self.conn(id)?;
        if conn.has(flag::SHUT | flag::OVER) {
            return Err(Error::from_code(conn.reason()));
        }
        if conn.out.is_empty() { Ok(false) } else { self.conn_queued(id, was_empty) }
    }

    /// Something waits to be written: what that changes.
    pub(super) fn conn_queued(&mut self, id: Id, was_empty: bool) -> Result<bool> {
        let conn = self.conn(id)?;
        conn.flags |= flag::BLOCKED;
        let high = conn.see_high_mark();
        if was_empty {
            self.conn_touch(id, flag::HAS_WRITTEN | flag::REARM);
        }
        self.conn_rewait(id);
        Ok(high)
    }

    fn conn_write_owned(
        &mut self, id: Id, buffer: Box<dyn Buffer>,
    ) -> std::result::Result<bool, (Error, Box<dyn Buffer>)> {
        if let Err(error) = self.reserve_release() {
            return Err((error, buffer));
        }
        let conn = match self.conn(id).and_then(|conn| conn.check_writable().map(|()| conn)) {
            Ok(conn) => conn,
            Err(error) => return Err((error, buffer)),
        };
        let all = buffer.bytes().len();
        if let Err(error) = conn.check_room(all) {
            return Err((error, buffer));
        }
        let was_empty = conn.out.is_empty();
        let (fd, kind) = (conn.owned.fd(), conn.kind());
        let connecting = conn.has(flag::CONNECTING) || conn.is_limited();
        let written = if connecting { conn.out.push_owned(buffer) } else { conn.out.write_owned(fd, kind, buffer) };
        let sent = match written {
            Ok(sent) => sent,
            Err((error, buffer)) => {
                if error != Error::NO_MEMORY {
                    self.conn_write_failed(id, error);
                }
                return Err((error, buffer));
            }
        };
        conn.bytes_out += sent as u64;
        self.conns.buffers += 1;
        if sent == all {
            self.conn_touch(id, flag::HAS_WRITTEN);
            self.conn_list_if_pending(id);
            return Ok(self.conn(id).is_ok_and(|conn| conn.has(flag::HIGH)));
        }
        if connecting {
            self.conn_writable_unless_connecting(id, was_empty);
            return Ok(self.conn_mut(id).is_some_and(Conn::see_high_mark));
        }
        Ok(self.conn_queued(id, was_empty).unwrap_or(false))
    }
}
