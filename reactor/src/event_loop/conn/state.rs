//! What a connection is made of.

use super::limits::MOST_RATES;
use crate::base::framing::Framing;
use crate::base::id::Id;
use crate::base::timers::TimerKey;
use crate::event_loop::owned::Owned;
use crate::io::stream::Outgoing;
use crate::sys::stream::StreamKind;
use crate::sys::tty::Saved;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// How connections behave; shared by all that are made alike. Times in nanoseconds, 0 and below: none.
#[derive(Clone, Debug)]
pub struct Shape {
    /// When to give up.
    pub timeouts: Timeouts,
    /// From so many waiting bytes on, the connection's own reading rests (if `hold`), and writes tell.
    pub high_mark: usize,
    /// At so many waiting bytes it goes on.
    pub low_mark: usize,
    /// More waiting bytes than this are refused.
    pub limit: usize,
    /// Reading rests while more than the high mark waits to be written.
    pub hold: bool,
    /// How what is read is cut into pieces.
    pub framing: Framing,
    /// The longest frame.
    pub max_frame: usize,
    /// The program reads by itself when it is told that there is something.
    pub pull: bool,
    /// Descriptors that the peer passes are taken.
    pub takes_descriptors: bool,
    /// The program wants to decide at the peer's end; else the connection is finished then.
    pub tells_eof: bool,
    /// The program wants to decide when a time is over; else the connection is closed then.
    pub tells_timeout: bool,
    /// The listener that the connection counts for.
    pub listener: Id,
}

/// After how long without something a connection is given up, or the program asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Being connected.
    pub connect_ns: i64,
    /// Bytes from the peer, while reading is not paused.
    pub read_ns: i64,
    /// Bytes taken by the peer, while some wait.
    pub write_ns: i64,
    /// Bytes either way.
    pub idle_ns: i64,
    /// The peer's end, once everything was written and the connection is being finished.
    pub linger_ns: i64,
}

/// Which time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// [`Timeouts::read_ns`].
    Read,
    /// [`Timeouts::write_ns`].
    Write,
    /// [`Timeouts::idle_ns`].
    Idle,
}

/// What a connection has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnStats {
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written to the system.
    pub bytes_out: u64,
    /// Bytes accepted and not yet written, those of files included.
    pub queued: u64,
    /// Since when it is there, on the monotonic clock.
    pub opened_ns: i64,
}

/// What holds of a connection: one bit each.
pub(in crate::event_loop) mod flag {
    /// Not connected yet.
    pub(in crate::event_loop) const CONNECTING: u32 = 1;
    /// The program has paused reading.
    pub(in crate::event_loop) const PAUSED: u32 = 1 << 1;
    /// Too much waits to be written (or the peer of a relay is full): reading rests.
    pub(in crate::event_loop) const HELD: u32 = 1 << 2;
    /// The peer has ended its direction.
    pub(in crate::event_loop) const EOF: u32 = 1 << 3;
    /// More than the high mark waits.
    pub(in crate::event_loop) const HIGH: u32 = 1 << 4;
    /// The system takes no more at present.
    pub(in crate::event_loop) const BLOCKED: u32 = 1 << 5;
    /// Our direction is to end when everything is written.
    pub(in crate::event_loop) const SHUT_WANTED: u32 = 1 << 6;
    /// Our direction has ended.
    pub(in crate::event_loop) const SHUT: u32 = 1 << 7;
    /// Reads on only to see the peer's end.
    pub(in crate::event_loop) const FINISHING: u32 = 1 << 8;
    /// It is over, for `reason`.
    pub(in crate::event_loop) const OVER: u32 = 1 << 9;
    /// A pipe or terminal, not a socket.
    pub(in crate::event_loop) const NO_SOCKET: u32 = 1 << 10;
    /// The descriptor blocked before it came here, and shall again.
    pub(in crate::event_loop) const WAS_BLOCKING: u32 = 1 << 11;
    /// There is something to read that the poller will not report again.
    pub(in crate::event_loop) const LEFTOVER: u32 = 1 << 12;
    /// A rate limit for reading is used up.
    pub(in crate::event_loop) const SLOWED: u32 = 1 << 13;
    /// A rate limit for writing is used up.
    pub(in crate::event_loop) const WRITE_SLOWED: u32 = 1 << 15;
    /// Where it is relayed to has too much waiting: reading rests.
    pub(in crate::event_loop) const PARTNER_FULL: u32 = 1 << 14;

    /// To be told: it is connected.
    pub(in crate::event_loop) const TELL_OPEN: u32 = 1 << 16;
    /// To be told: the peer has ended its direction.
    pub(in crate::event_loop) const TELL_EOF: u32 = 1 << 17;
    /// To be told: what waits is below the low mark.
    pub(in crate::event_loop) const TELL_DRAIN: u32 = 1 << 18;
    /// To be told: it is over.
    pub(in crate::event_loop) const TELL_OVER: u32 = 1 << 19;
    /// To be told: a time is over.
    pub(in crate::event_loop) const TELL_READ: u32 = 1 << 20;
    /// To be told: a time is over.
    pub(in crate::event_loop) const TELL_WRITE: u32 = 1 << 21;
    /// To be told: a time is over.
    pub(in crate::event_loop) const TELL_IDLE: u32 = 1 << 22;
    /// All of them.
    pub(in crate::event_loop) const TELL: u32 =
        TELL_OPEN | TELL_EOF | TELL_DRAIN | TELL_OVER | TELL_READ | TELL_WRITE | TELL_IDLE;

    /// The peer has hung up, without an error.
    pub(in crate::event_loop) const HUNG_UP: u32 = 1 << 23;

    /// Listed for the next turn.
    pub(in crate::event_loop) const LISTED: u32 = 1 << 24;
    /// Listed for the next reading of the clock.
    pub(in crate::event_loop) const TOUCHED: u32 = 1 << 25;
    /// Has read since the last one.
    pub(in crate::event_loop) const HAS_READ: u32 = 1 << 26;
    /// Has written since the last one.
    pub(in crate::event_loop) const HAS_WRITTEN: u32 = 1 << 27;
    /// Its timer may be armed later than its next deadline.
    pub(in crate::event_loop) const REARM: u32 = 1 << 28;
    /// A time is over, but an event was there that may say otherwise.
    pub(in crate::event_loop) const WAITED_FOR: u32 = 1 << 29;
}

/// A connection. Boxed; what few of them need is apart, in [`Extra`].
pub(in crate::event_loop) struct Conn {
    pub(in crate::event_loop) owned: Owned,
    pub(super) timer: Option<TimerKey>,
    pub(super) flags: u32,
    pub(in crate::event_loop) shape: Rc<Shape>,
    pub(super) out: Outgoing,
    pub(super) extra: Option<Box<Extra>>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) opened_ns: i64,
    /// When bytes have last come or gone, by the reading of the clock after it. Of one that is over: why; see
    /// [`Conn::reason`].
    pub(super) last: i64,
}

/// What few connections need.
pub(super) struct Extra {
    /// The beginning of a frame, or what was read and could not be delivered.
    pub(super) held: Vec<u8>,
    /// Where what was not delivered begins in it.
    pub(super) start: usize,
    /// How much of it is known to have no end of line.
    pub(super) searched: usize,
    /// Where what is read goes.
    pub(super) relay_to: Option<Id>,
    /// The last read of a relay was a large one: moving the next inside the kernel pays.
    pub(super) bulk: bool,
    /// Where what is written comes from.
    pub(super) relay_from: Option<Id>,
    /// Descriptors that the peer has passed and that were not delivered.
    pub(super) passed: Vec<OwnedFd>,
    /// Rate limits that it obeys.
    pub(super) rates: [Id; MOST_RATES],
    /// How the terminal was before it was made raw.
    pub(super) tty: Option<Saved>,
    /// When bytes have last come, kept where that has a timeout of its own; the end of time: not noted yet.
    pub(super) last_read_ns: i64,
    /// When the time for connecting was set anew.
    pub(super) connect_from_ns: i64,
    /// When the program was last told that the connection is idle: another such time counts from then.
    pub(super) idle_told_ns: i64,
    /// When the peer must have ended its direction; 0: no matter when.
    pub(super) linger_deadline_ns: i64,
    /// Of what was written, how much the peer had taken when that was last looked up; [`UNKNOWN`] before. Not exact, but it
    /// grows when the peer takes more.
    pub(super) taken: i64,
    /// Why nothing can be written any more; 0: it can.
    pub(super) broken: i32,
}

/// See [`Extra::taken`].
pub(super) const UNKNOWN: i64 = i64::MIN;

impl Extra {
    /// Whether a connection could as well do without it.
    fn is_unused(&self) -> bool {
        let relayed = self.relay_to.is_some() || self.relay_from.is_some();
        let times = (self.last_read_ns, self.connect_from_ns, self.idle_told_ns, self.linger_deadline_ns, self.taken);
        let holds = !self.held.is_empty() || !self.passed.is_empty() || self.rates != [Id::NONE; MOST_RATES];
        !relayed
            && !holds
            && self.tty.is_none()
            && self.broken == 0
            && times == (i64::MAX, i64::MIN, i64::MIN, 0, UNKNOWN)
    }
}

impl Default for Extra {
    fn default() -> Self {
        Extra {
            held: Vec::new(),
            start: 0,
            searched: 0,
            relay_to: None,
            bulk: false,
            relay_from: None,
            passed: Vec::new(),
            rates: [Id::NONE; MOST_RATES],
            tty: None,
            last_read_ns: i64::MAX,
            connect_from_ns: i64::MIN,
            idle_told_ns: i64::MIN,
            linger_deadline_ns: 0,
            taken: UNKNOWN,
            broken: 0,
        }
    }
}

impl Conn {
    pub(super) fn new(owned: Owned, kind: StreamKind, shape: Rc<Shape>, now_ns: i64) -> Conn {
        let flags = if kind == StreamKind::Other { flag::NO_SOCKET } else { 0 };
        Conn {
            owned,
            timer: None,
            flags,
            shape,
            out: Outgoing::default(),
            extra: None,
            bytes_in: 0,
            bytes_out: 0,
            opened_ns: now_ns,
            last: now_ns,
        }
    }

    #[inline]
    pub(super) fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    #[inline]
    pub(super) fn kind(&self) -> StreamKind {
        if self.has(flag::NO_SOCKET) { StreamKind::Other } else { StreamKind::Socket }
    }

    /// Why it is over, or going to be; 0 while it is not.
    pub(super) fn reason(&self) -> i32 {
        let broken = self.extra.as_ref().map_or(0, |extra| extra.broken);
        if self.has(flag::OVER) { self.last as i32 } else { broken }
    }

    /// Whether nothing can be written any more, while something may still be read.
    pub(super) fn is_broken(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.broken != 0)
    }

    pub(super) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// With it goes a part of the short cuts, and memory.
    pub(super) fn drop_unused_extra(&mut self) {
        self.extra.take_if(|extra| extra.is_unused());
    }

    /// Whether it passes on, or is passed, what another one reads.
    #[inline]
    pub(super) fn is_relayed(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.relay_to.is_some() || extra.relay_from.is_some())
    }

    /// Where what is read is to go inside the kernel.
    #[inline]
    pub(super) fn bulk_to(&self) -> Option<Id> {
        self.extra.as_ref().filter(|extra| extra.bulk).and_then(|extra| extra.relay_to)
    }

    pub(super) fn relay_to(&self) -> Option<Id> {
        self.extra.as_ref().and_then(|extra| extra.relay_to)
    }

    /// Whether it is to look for what the peer sends.
    #[inline(always)]
    pub(super) fn reads(&self) -> bool {
        if self.has(flag::FINISHING) {
            return !self.has(flag::EOF | flag::OVER);
        }
        const RESTS: u32 = flag::CONNECTING | flag::PAUSED | flag::HELD | flag::SLOWED | flag::PARTNER_FULL;
        !self.has(RESTS | flag::EOF | flag::OVER)
    }

    /// Whether the program wants what is held.
    #[inline(always)]
    pub(super) fn delivers(&self) -> bool {
        self.has(flag::LEFTOVER) && !self.has(flag::PAUSED | flag::HELD | flag::FINISHING | flag::OVER)
    }

    /// The rate limits that it obeys.
    pub(super) fn rates(&self) -> [Id; MOST_RATES] {
        self.extra.as_ref().map_or([Id::NONE; MOST_RATES], |extra| extra.rates)
    }

    /// Whether it obeys any.
    #[inline]
    pub(super) fn is_limited(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.rates != [Id::NONE; MOST_RATES])
    }

    /// Whether descriptors are to be delivered.
    fn has_passed(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| !extra.passed.is_empty()) && !self.has(flag::OVER | flag::PAUSED)
    }

    /// Whether another one is relayed into it.
    pub(super) fn is_relayed_into(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.relay_from.is_some())
    }

    /// Whether it has nothing to wait for but that its peer goes, after it has ended its direction.
    pub(super) fn waits_for_the_last(&self) -> bool {
        const ELSE: u32 = flag::SHUT | flag::OVER | flag::TELL_EOF | flag::LEFTOVER | flag::BLOCKED | flag::HUNG_UP;
        self.has(flag::EOF) && !self.has(ELSE)
    }

    /// Whether it is to wait until the system takes more.
    #[inline]
    pub(super) fn writes(&self) -> bool {
        self.has(flag::CONNECTING | flag::BLOCKED) && !self.has(flag::OVER | flag::WRITE_SLOWED)
    }

    /// Whether what is read goes to the program as it comes, and nothing else is to be told or done.
    #[inline(always)]
    pub(super) fn reads_plainly(&self) -> bool {
        const ELSE: u32 = flag::TELL | flag::LEFTOVER | flag::FINISHING;
        let shape = &*self.shape;
        !self.has(ELSE)
            && self.reads()
            && self.extra.is_none()
            && shape.framing == Framing::None
            && !shape.pull
            && !shape.takes_descriptors
            && !self.out.has_over()
    }

    /// Whether so many bytes may be sent at once, with nothing before them.
    #[inline(always)]
    pub(super) fn writes_plainly(&self, length: usize) -> bool {
        const ELSE: u32 = flag::CONNECTING | flag::SHUT_WANTED | flag::SHUT | flag::OVER | flag::NO_SOCKET;
        !self.has(ELSE) && self.out.is_unused() && !self.is_limited() && length > 0 && length <= self.shape.limit
    }

    /// Whether there is something to do or to tell without the poller's saying so.
    #[inline(always)]
    pub(super) fn is_pending(&self) -> bool {
        let delivers = self.delivers();
        // The end comes behind what is held, and waits with it.
        let tells = if self.has(flag::LEFTOVER) && !delivers { flag::TELL & !flag::TELL_EOF } else { flag::TELL };
        self.has(tells) || self.out.has_over() || delivers || self.has_passed()
    }
}

#[cfg(test)]
mod tests {
    use super::{Conn, Extra, Id};

    #[test]
    fn an_idle_connection_is_small() {
        // With the allocator's 8 bytes it takes 80.
        assert!(size_of::<Conn>() <= 72, "{}", size_of::<Conn>());
    }

    #[test]
    fn an_extra_that_says_something_is_kept() {
        // mutation: `is_unused` does not look at one of them.
        assert!(Extra::default().is_unused());
        let some = Some(Id::from_raw(1));
        let says: [fn(&mut Extra, Option<Id>); 11] = [
            |it, _| it.held = vec![1],
            |it, id| it.relay_to = id,
            |it, id| it.relay_from = id,
            |it, _| it.passed = vec![std::fs::File::open("/dev/null").unwrap().into()],
            |it, id| it.rates[1] = id.unwrap(),
            |it, _| it.last_read_ns = 5,
            |it, _| it.connect_from_ns = 5,
            |it, _| it.idle_told_ns = 5,
            |it, _| it.linger_deadline_ns = 5,
            |it, _| it.taken = 5,
            |it, _| it.broken = -5,
        ];
        for (at, say) in says.iter().enumerate() {
            let mut extra = Extra::default();
            say(&mut extra, some);
            assert!(!extra.is_unused(), "{at}");
        }
    }
}
