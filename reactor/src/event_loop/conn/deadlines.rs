//! Timeouts: one timer a connection, for the next of its deadlines.
//!
//! Reading and writing only note that they happened. At the next reading of the clock, of which there is one a turn, the
//! notes become times; the timer is left alone, and finds out when it fires how long it has still to wait. So a packet
//! costs a flag, and no timeout is early.

use super::state::{Conn, UNKNOWN, flag};
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::base::interest::{READ, WRITE};
use crate::event_loop::core::{Core, Slot};
use crate::event_loop::limits::EVENTS_PER_TURN;
use crate::event_loop::noted::Noted;
use crate::event_loop::{EventLoop, Sink};
use crate::sys::stream;
use std::rc::Rc;

use super::Timeouts;

impl Timeouts {
    pub(super) fn is_any(&self) -> bool {
        self.read_ns > 0 || self.write_ns > 0 || self.idle_ns > 0 || self.connect_ns > 0
    }
}

impl<S: Sink> EventLoop<S> {
    /// Changes the timeouts of one connection; they count anew from now.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`], [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn conn_set_timeouts(&self, id: Id, timeouts: Timeouts) -> Result<()> {
        let mut core = self.core()?;
        core.conn(id)?;
        let now_ns = core.clock.monotonic_ns();
        core.conn_make_timer(id, timeouts.is_any())?;
        let conn = core.conn(id)?;
        Rc::make_mut(&mut conn.shape).timeouts = timeouts;
        conn.make_room_for_times();
        if conn.has(flag::CONNECTING) {
            conn.extra().connect_from_ns = now_ns;
        }
        core.conn_linger(id);
        core.conn_touch(id, flag::HAS_READ | flag::HAS_WRITTEN | flag::REARM);
        Ok(())
    }
}

impl<S: Sink> Core<S> {
    fn conn_make_timer(&mut self, id: Id, wanted: bool) -> Result<()> {
        if wanted && self.conn(id)?.timer.is_none() {
            let timer = self.timers.create(id.raw())?;
            self.conn(id)?.timer = Some(timer);
        }
        Ok(())
    }

    /// Prepares a new connection for its timeouts.
    pub(in crate::event_loop) fn conn_begin_deadlines(&mut self, id: Id) {
        if let Some(conn) = self.conn_mut(id).filter(|conn| conn.timer.is_some()) {
            conn.make_room_for_times();
            self.conn_touch(id, flag::HAS_READ | flag::HAS_WRITTEN | flag::REARM);
        }
    }

    /// Notes that something has happened.
    #[inline]
    pub(super) fn conn_touch(&mut self, id: Id, what: u32) {
        let Core { table, conns, .. } = self;
        if let Some(Slot::Conn(conn)) = table.get_mut(id).map(|entry| &mut entry.slot) {
            conn.touch(id, what, &mut conns.touched);
        }
    }

    /// A reading of the clock: what was noted has happened by now.
    pub(in crate::event_loop) fn conn_stamp(&mut self, now_ns: i64) {
        while let Some(id) = self.conns.touched.ids.pop() {
            self.conn_stamp_one(id, now_ns);
        }
        if self.conns.touched.take_missed() {
            self.visit_all(|core, id| core.conn_stamp_one(id, now_ns));
        }
    }

    #[inline(always)]
    fn conn_stamp_one(&mut self, id: Id, now_ns: i64) {
        let Some(conn) = self.conn_mut(id) else { return };
        let what = conn.flags;
        conn.flags &= !(flag::TOUCHED | flag::HAS_READ | flag::HAS_WRITTEN | flag::REARM);
        if what & (flag::HAS_READ | flag::HAS_WRITTEN) != 0 && what & flag::OVER == 0 {
            conn.last = now_ns;
            conn.count_anew(what & flag::HAS_READ != 0, what & flag::HAS_WRITTEN != 0, now_ns);
        }
        if what & flag::REARM != 0 {
            self.conn_arm(id, now_ns);
        }
    }

    #[inline(never)]
    fn conn_arm(&mut self, id: Id, now_ns: i64) {
        let outstanding = self.conn_look(id, now_ns);
        let Some(conn) = self.conn_mut(id).filter(|conn| !conn.has(flag::OVER)) else { return };
        let mut next = conn.next_deadline();
        if let Some(shortest) = conn.shortest_of_taking().filter(|_| outstanding) {
            // So that it is known when the peer took something, and not only that it did.
            next = next.map(|deadline| deadline.min(now_ns.saturating_add((shortest / LOOKS).max(1))));
        }
        if next.is_none_or(|deadline| deadline > now_ns) {
            conn.flags &= !flag::WAITED_FOR;
        }
        let lingers = conn.has(flag::FINISHING) && conn.timer.is_none() && next.is_some();
        if lingers && self.conn_make_timer(id, true).is_err() {
            // Without a timer there is no waiting for the peer.
            return self.conn_over(id, Error::NO_MEMORY.code());
        }
        let Some(timer) = self.conn_mut(id).and_then(|conn| conn.timer) else { return };
        match next {
            Some(deadline) => self.timers.arm(timer, deadline),
            None => self.timers.cancel(timer),
        }
    }

    /// What no event tells of: what the peer takes, here and, so that neither side of a relay is idle while the other one
    /// moves, there. Whether something is outstanding.
    fn conn_look(&mut self, id: Id, now_ns: i64) -> bool {
        let mut outstanding = self.conn_count_taken(id, now_ns);
        let relays = self.conn_mut(id).and_then(|conn| conn.extra.as_ref()).map(|it| [it.relay_to, it.relay_from]);
        for partner in relays.into_iter().flatten().flatten() {
            outstanding |= self.conn_count_taken(partner, now_ns);
            let moved = self.conn_mut(partner).filter(|partner| !partner.has(flag::OVER)).map(|partner| partner.last);
            if let (Some(conn), Some(moved)) = (self.conn_mut(id).filter(|conn| !conn.has(flag::OVER)), moved) {
                conn.last = conn.last.max(moved);
            }
        }
        outstanding
    }

    /// What the peer takes of what the system has already is told by no event, and not by writability either, which waits
    /// for much room. So it is looked up [`LOOKS`] times in the shortest time that it counts for; whether something is
    /// outstanding. At the first look the peer may just have taken something: nobody is given up too early.
    fn conn_count_taken(&mut self, id: Id, now_ns: i64) -> bool {
        let Some(conn) = self.conn_mut(id).filter(|conn| conn.bytes_out > 0 && !conn.has(flag::OVER)) else {
            return false;
        };
        let known = conn.extra.as_ref().map_or(UNKNOWN, |extra| extra.taken);
        let Some(left) = stream::not_taken(conn.owned.fd(), conn.kind()).filter(|left| *left > 0 || known != UNKNOWN)
        else {
            return false;
        };
        let taken = conn.bytes_out as i64 - left;
        conn.extra().taken = if left > 0 { taken } else { UNKNOWN };
        if known == UNKNOWN || taken > known {
            conn.has_taken(now_ns);
        }
        if left == 0 {
            conn.drop_unused_extra();
        }
        left > 0
    }

    /// The loop was late, and what was waited for is there by now: the time is over only if it is so after the events that
    /// tell of it, which come in this turn if all of them had room in it.
    fn conn_comes_late(&mut self, id: Id, expired: u32) -> bool {
        let all_came = self.turn.ready.len() < EVENTS_PER_TURN;
        let Some(conn) = self.conn_mut(id) else { return false };
        let read = if expired & (flag::TELL_READ | flag::TELL_IDLE) != 0 { READ } else { 0 };
        let write = if expired & (flag::TELL_WRITE | flag::TELL_IDLE | flag::CONNECTING) != 0 { WRITE } else { 0 };
        if expired & flag::FINISHING != 0 && stream::peer_has_ended(conn.owned.fd()) {
            // However many turns it takes to read what is before the end.
            self.conn_touch(id, flag::REARM);
            return true;
        }
        let helps = conn.owned.interest() & (read | write);
        if conn.has(flag::WAITED_FOR) || !stream::is_ready(conn.owned.fd(), helps) {
            conn.flags &= !flag::WAITED_FOR;
            return false;
        }
        if all_came {
            conn.flags |= flag::WAITED_FOR;
        }
        self.conn_touch(id, flag::REARM);
        true
    }

    pub(super) fn conn_cancel_timer(&mut self, id: Id) {
        if let Some(timer) = self.conn_mut(id).and_then(|conn| conn.timer) {
            self.timers.cancel(timer);
        }
    }

    /// The timer has fired: a deadline has passed, or was moved since.
    pub(in crate::event_loop) fn conn_timer(&mut self, id: Id) {
        let now_ns = self.now_ns;
        let Some(conn) = self.conn_mut(id).filter(|conn| !conn.has(flag::OVER)) else { return };
        if conn.has(flag::TOUCHED) {
            // What has happened in this turn has no time yet: the next reading of the clock gives it, and goes on from there.
            conn.flags |= flag::REARM;
            return;
        }
        self.conn_look(id, now_ns);
        let expired = self.conn_mut(id).map_or(0, |conn| conn.expired(now_ns));
        if expired != 0 && self.conn_comes_late(id, expired) {
            return;
        }
        let Some(conn) = self.conn_mut(id) else { return };
        let fatal = expired & (flag::CONNECTING | flag::FINISHING) != 0 || expired != 0 && !conn.shape.tells_timeout;
        if fatal {
            return self.conn_fail(id, Error::TIMED_OUT);
        }
        conn.flags |= expired;
        // What was reported counts anew.
        conn.count_anew(expired & flag::TELL_READ != 0, expired & flag::TELL_WRITE != 0, now_ns);
        if expired & flag::TELL_IDLE != 0 {
            conn.extra().idle_told_ns = now_ns;
        }
        self.conn_arm(id, now_ns);
        self.conn_list_if_pending(id);
    }
}

/// How often it is looked up in a timeout what the peer has taken: no timeout is later than by this part of it.
const LOOKS: i64 = 4;

impl Conn {
    /// The shortest of the times that what the peer takes counts for, if one does now.
    fn shortest_of_taking(&self) -> Option<i64> {
        let timeouts = &self.shape.timeouts;
        let lingers = self.extra.as_ref().is_some_and(|extra| extra.linger_deadline_ns > 0);
        let of = |timeout: i64, counts: bool| (counts && timeout > 0).then_some(timeout);
        let write = of(timeouts.write_ns, !self.out.is_empty());
        let idle = of(timeouts.idle_ns, !self.has(flag::FINISHING));
        [write, idle, of(timeouts.linger_ns, lingers)].into_iter().flatten().min()
    }

    /// See [`Core::conn_touch`].
    #[inline(always)]
    pub(super) fn touch(&mut self, id: Id, what: u32, touched: &mut Noted) {
        // One without times of its own may be relayed with one that has some.
        if self.timer.is_none() && what & flag::REARM == 0 && !self.is_relayed() {
            return;
        }
        self.flags |= what;
        if !self.has(flag::TOUCHED) {
            self.flags |= flag::TOUCHED;
            touched.push(id);
        }
    }

    /// The timeouts of reading, of writing or of both count from now.
    #[inline(always)]
    fn count_anew(&mut self, read: bool, written: bool, now_ns: i64) {
        if let Some(extra) = self.extra.as_mut().filter(|_| read) {
            extra.last_read_ns = now_ns;
        }
        if written {
            self.out.note_moved(now_ns);
        }
    }

    /// The peer has taken something of what was written.
    fn has_taken(&mut self, now_ns: i64) {
        self.last = now_ns;
        self.out.note_moved(now_ns);
        let linger_ns = self.shape.timeouts.linger_ns;
        if let Some(extra) = self.extra.as_mut().filter(|extra| extra.linger_deadline_ns > 0) {
            extra.linger_deadline_ns = now_ns.saturating_add(linger_ns);
        }
    }

    /// Room for the time of the last reading, which few need apart. It counts from the touch that follows.
    fn make_room_for_times(&mut self) {
        if self.shape.timeouts.read_ns > 0 {
            self.extra();
        }
    }

    /// Its deadlines, and what it is to be told when they pass (what ends it: the flag of its state).
    fn deadlines(&self) -> [(i64, u32); 5] {
        let timeouts = &self.shape.timeouts;
        let after = |since: i64, timeout: i64, counts: bool| {
            if counts && timeout > 0 { since.saturating_add(timeout) } else { i64::MAX }
        };
        let finishing = self.has(flag::FINISHING);
        // A rate limit that holds bytes back is ours: the peer is neither silent nor has it refused them.
        let slowed = self.has(flag::SLOWED | flag::WRITE_SLOWED);
        let connecting = self.has(flag::CONNECTING);
        let since = self.extra.as_ref().map_or(self.opened_ns, |extra| self.opened_ns.max(extra.connect_from_ns));
        let linger = self.extra.as_ref().map_or(0, |extra| extra.linger_deadline_ns);
        let read = self.extra.as_ref().map_or(i64::MAX, |extra| extra.last_read_ns);
        let last = self.extra.as_ref().map_or(self.last, |extra| self.last.max(extra.idle_told_ns));
        [
            (after(since, timeouts.connect_ns, connecting), flag::CONNECTING),
            (if finishing && linger > 0 { linger } else { i64::MAX }, flag::FINISHING),
            (after(read, timeouts.read_ns, !finishing && self.reads()), flag::TELL_READ),
            (
                after(self.out.moved_ns(), timeouts.write_ns, !connecting && !self.has(flag::WRITE_SLOWED)),
                flag::TELL_WRITE,
            ),
            (after(last, timeouts.idle_ns, !finishing && !connecting && !slowed), flag::TELL_IDLE),
        ]
    }

    fn next_deadline(&self) -> Option<i64> {
        let first = self.deadlines().iter().map(|deadline| deadline.0).min();
        first.filter(|deadline| *deadline != i64::MAX)
    }

    fn expired(&self, now_ns: i64) -> u32 {
        let passed = self.deadlines().into_iter().filter(|deadline| deadline.0 <= now_ns);
        passed.fold(0, |all, deadline| all | deadline.1)
    }
}
