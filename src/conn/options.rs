//! Chapter: connections (how they behave).

use crate::callbacks::{Callback, User};
use crate::convert::Sized_;
use crate::error::noted;
use crate::handle::{check_flags, no_functions};
use crate::types::{TG_UNREF, tg_fd, tg_handle, tg_release_cb};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::rc::Rc;
use tidegate_reactor::base::framing::Framing;
use tidegate_reactor::event_loop::{Shape, Timeout, Timeouts};
use tidegate_reactor::{Error, Id, Result};

/// Flag of `tg_conn_options`: reading goes on although more than the high watermark waits to be written. For a program that sends
/// much in one piece to a peer that answers before it has all of it: when both ends wait for the other to read, neither does,
/// until the write timeout ends it.
pub const TG_CONN_READ_ON: u32 = 0x10;
/// Flag of `tg_conn_options`: small writes wait for each other (Nagle's algorithm); without, they are sent at once.
pub const TG_CONN_DELAY: u32 = 0x20;
/// Flag of `tg_conn_options`: the peer of a silent TCP connection is probed.
pub const TG_CONN_KEEP_ALIVE: u32 = 0x40;
/// Flag of `tg_conn_options`: the library tells that there is something to read, and the program reads it with tg_conn_read.
/// Goes with `on_readable`; batch loops ask for it by this flag. There are neither frames nor passed descriptors then.
pub const TG_CONN_PULL: u32 = 0x80;
/// Flag of tg_conn_open: the library works on a duplicate, and the descriptor stays the caller's.
pub const TG_CONN_DUPLICATE: u32 = 0x100;

/// Flag of `tg_conn_options`: descriptors that the peer of a Unix socket passes are taken. Goes with `on_descriptors`; batch
/// loops ask for it by this flag.
pub const TG_CONN_DESCRIPTORS: u32 = 0x200;

/// Framing: whatever has arrived, as it arrives.
pub const TG_FRAMING_NONE: u32 = 0;
/// Framing: lines, without their line feed and a carriage return before it. A last line without line feed is one, too.
pub const TG_FRAMING_LINES: u32 = 1;
/// Framing: one byte says how many follow.
pub const TG_FRAMING_LENGTH8: u32 = 2;
/// Framing: two bytes in network order say how many follow.
pub const TG_FRAMING_LENGTH16: u32 = 3;
/// Framing: four bytes in network order say how many follow.
pub const TG_FRAMING_LENGTH32: u32 = 4;
/// Framing: eight bytes in network order say how many follow.
pub const TG_FRAMING_LENGTH64: u32 = 5;
/// Flag added to TG_FRAMING_LENGTH…: the lowest byte of the length comes first.
pub const TG_FRAMING_LITTLE_ENDIAN: u32 = 0x100;

/// Time that is over: nothing was received for so long.
pub const TG_TIMEOUT_READ: u32 = 1;
/// Time that is over: of what waits to be written the peer has taken nothing for so long.
pub const TG_TIMEOUT_WRITE: u32 = 2;
/// Time that is over: nothing has come or gone for so long.
pub const TG_TIMEOUT_IDLE: u32 = 3;

/// Something has come about on a connection: it is open, readable, at the peer's end, or drained.
pub type tg_conn_cb = Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void)>;

/// A connection has received bytes, or a whole frame. The memory is the library's, and valid until the callback returns.
pub type tg_conn_data_cb =
    Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void, data: *const c_void, length: usize)>;

/// Everything accepted before a tg_conn_mark was passed to the system (`status` 0), or will not be (why).
pub type tg_conn_written_cb =
    Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void, token: u64, status: c_int)>;

/// A time is over: `which` is TG_TIMEOUT_… It counts anew unless the connection is closed.
pub type tg_conn_timeout_cb = Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void, which: u32)>;

/// A connection is over. `reason` 0: both directions ended in good order, and everything accepted was passed on. Else it may
/// not have been: TG_ETIMEDOUT; TG_EFRAME; TG_ENOMEM; the system's, such as -ECONNRESET, -EPIPE, -ECONNREFUSED. If something
/// still waited to be written, the peer sees a reset instead of an end. The handle closes when the callback returns.
pub type tg_conn_close_cb = Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void, reason: c_int)>;

/// The peer of a Unix socket has passed descriptors: `count` of them, with the bytes that `on_data` is called with next. (The
/// system tells of them by the read that they end. Frames before the one they came with may be in the same read, and then come
/// after them: a protocol with frames says in the frame that it is about the descriptors before it.) From now on they are the
/// program's to close. When the system has no numbers left for all of them, none comes, and the
/// connection ends with -EMFILE.
pub type tg_conn_descriptors_cb =
    Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void, descriptors: *const tg_fd, count: usize)>;

/// How a connection behaves. Set up with `TG_CONN_OPTIONS_INIT`. All callbacks may be NULL. In the numbers 0 stands for the
/// default, and in times -1 for ever.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_conn_options {
    /// The size of the structure.
    pub size: usize,
    /// It is connected, accepted or opened.
    pub on_open: tg_conn_cb,
    /// It has received something. NULL: what arrives is dropped.
    pub on_data: tg_conn_data_cb,
    /// There is something to read for tg_conn_read; told again in every turn as long as there is. Instead of `on_data`.
    pub on_readable: tg_conn_cb,
    /// The peer has ended its direction. NULL: tg_conn_finish is called (on a batch loop a record comes, and the program does it).
    pub on_eof: tg_conn_cb,
    /// What waits to be written has come down to the low watermark after it was above the high one.
    pub on_drain: tg_conn_cb,
    /// See tg_conn_mark.
    pub on_written: tg_conn_written_cb,
    /// A time is over. NULL: the connection is closed with TG_ETIMEDOUT (on a batch loop a record comes, and the program closes it).
    pub on_timeout: tg_conn_timeout_cb,
    /// It is over. It does not come after tg_close and tg_conn_abort.
    pub on_close: tg_conn_close_cb,
    /// The peer of a Unix socket has passed descriptors. NULL: the system closes them.
    pub on_descriptors: tg_conn_descriptors_cb,
    /// Passed to the callbacks (a batch loop: the number in its records).
    pub user: *mut c_void,
    /// Gives `user` back; may be NULL.
    pub release: tg_release_cb,
    /// TG_UNREF, TG_CONN_… or 0.
    pub flags: u32,
    /// TG_FRAMING_…
    pub framing: u32,
    /// The longest frame in bytes; a longer one ends the connection with TG_EFRAME, and so does one with a
    /// length that the peer's end cuts off. Default: 65,536. Batch loops: at most that.
    pub max_frame: usize,
    /// Above so many bytes waiting to be written the connection's own reading rests, and writes return 1. Each completion mark
    /// and each buffer of tg_conn_write_owned that waits counts 128 more, each file and passed descriptor 16 KiB. Default: 1 MiB.
    pub high_watermark: usize,
    /// Down to so many, `on_drain` is called and reading goes on. Default: a quarter of the high watermark.
    pub low_watermark: usize,
    /// Writes that would let more wait, counted as for the high watermark, are refused with TG_ENOBUFS, and so is a single one
    /// that is longer, although the system might take it at once. Default: 64 MiB, or four times the high watermark if that is
    /// more.
    pub limit: usize,
    /// How long connecting may take, in nanoseconds. Default: 30 s. Being over, it closes with TG_ETIMEDOUT.
    pub connect_timeout_ns: i64,
    /// How long nothing may be received while reading is not paused. Default: for ever (the idle timeout is the one that counts).
    pub read_timeout_ns: i64,
    /// How long the peer may take nothing while something waits to be written here; what it takes from the system's buffer counts
    /// (where the system tells: Linux). What waits in that buffer only is the idle timeout's matter. Default: 60 s.
    pub write_timeout_ns: i64,
    /// How long nothing may come or go; what the peer takes from the system counts as for the write timeout. Where that counts, it
    /// is never early, and may be late by as much again. Default: 1 h.
    pub idle_timeout_ns: i64,
    /// How long tg_conn_finish waits for the peer's end once everything is written (until then the write timeout counts), and the
    /// peer takes no more of it.
    /// Default: 30 s. Being over, it closes with TG_ETIMEDOUT.
    pub linger_ns: i64,
}

// SAFETY: repr(C), `size` first; pointers and optional functions may have any bits, they are only carried.
unsafe impl Sized_ for tg_conn_options {
    members!(tg_conn_options: on_open, on_data, on_readable, on_eof, on_drain, on_written,
        on_timeout, on_close, on_descriptors, user, release, flags, framing, max_frame, high_watermark, low_watermark, limit,
        connect_timeout_ns, read_timeout_ns, write_timeout_ns, idle_timeout_ns, linger_ns);
    const DEFAULT: Self = tg_conn_options {
        size: 0,
        on_open: None,
        on_data: None,
        on_readable: None,
        on_eof: None,
        on_drain: None,
        on_written: None,
        on_timeout: None,
        on_close: None,
        on_descriptors: None,
        user: null_mut(),
        release: None,
        flags: 0,
        framing: 0,
        max_frame: 0,
        high_watermark: 0,
        low_watermark: 0,
        limit: 0,
        connect_timeout_ns: 0,
        read_timeout_ns: 0,
        write_timeout_ns: 0,
        idle_timeout_ns: 0,
        linger_ns: 0,
    };
}

const SECOND: i64 = 1_000_000_000;
const USUAL_FRAME: usize = 65_536;
const USUAL_HIGH: usize = 1 << 20;
const USUAL_LIMIT: usize = 64 << 20;

/// The functions of a connection, shared by all that are made alike.
pub(crate) struct ConnCallbacks {
    pub(crate) on_open: tg_conn_cb,
    pub(crate) on_data: tg_conn_data_cb,
    pub(crate) on_readable: tg_conn_cb,
    pub(crate) on_eof: tg_conn_cb,
    pub(crate) on_drain: tg_conn_cb,
    pub(crate) on_written: tg_conn_written_cb,
    pub(crate) on_timeout: tg_conn_timeout_cb,
    pub(crate) on_close: tg_conn_close_cb,
    pub(crate) on_descriptors: tg_conn_descriptors_cb,
}

impl tg_conn_options {
    pub(crate) fn callbacks(&self) -> Rc<ConnCallbacks> {
        Rc::new(ConnCallbacks {
            on_open: self.on_open,
            on_data: self.on_data,
            on_readable: self.on_readable,
            on_eof: self.on_eof,
            on_drain: self.on_drain,
            on_written: self.on_written,
            on_timeout: self.on_timeout,
            on_close: self.on_close,
            on_descriptors: self.on_descriptors,
        })
    }

    pub(crate) fn user(&self, batch: bool) -> User {
        let callback = if batch { Callback::None } else { Callback::Conn(self.callbacks()) };
        User { callback, user: self.user, release: self.release }
    }

    pub(crate) fn referenced(&self) -> bool {
        self.flags & TG_UNREF == 0
    }

    pub(crate) fn no_delay(&self) -> bool {
        self.flags & TG_CONN_DELAY == 0
    }

    pub(crate) fn keep_alive(&self) -> bool {
        self.flags & TG_CONN_KEEP_ALIVE != 0
    }

    /// A batch loop has no functions; a loop of callbacks has no pull without one.
    ///
    /// # Errors
    /// [`Error::INVALID`].
    pub(crate) fn check_functions(&self, batch: bool) -> Result<()> {
        let some = [self.on_open, self.on_readable, self.on_eof, self.on_drain].iter().any(Option::is_some)
            || self.on_data.is_some()
            || self.on_written.is_some()
            || self.on_timeout.is_some()
            || self.on_close.is_some()
            || self.on_descriptors.is_some()
            || self.release.is_some();
        match batch {
            true if some => Err(no_functions()),
            false if self.flags & TG_CONN_PULL != 0 && self.on_readable.is_none() => {
                Err(Error::invalid("TG_CONN_PULL without on_readable"))
            }
            false if self.flags & TG_CONN_DESCRIPTORS != 0 && self.on_descriptors.is_none() => {
                Err(Error::invalid("TG_CONN_DESCRIPTORS without on_descriptors"))
            }
            _ => Ok(()),
        }
    }

    /// How the engine is to treat the connection.
    ///
    /// # Errors
    /// [`Error::INVALID`] for what is unknown, out of range or contradicts itself.
    pub(crate) fn shape(&self, batch: bool) -> Result<Shape> {
        let known = TG_UNREF
            | TG_CONN_READ_ON
            | TG_CONN_DELAY
            | TG_CONN_KEEP_ALIVE
            | TG_CONN_PULL
            | TG_CONN_DUPLICATE
            | TG_CONN_DESCRIPTORS;
        check_flags(self.flags, known)?;
        self.check_functions(batch)?;
        let (framing, max_frame) = framing(self.framing, self.max_frame, batch)?;
        let pull = self.on_readable.is_some() || self.flags & TG_CONN_PULL != 0;
        if pull && (self.on_data.is_some() || framing != Framing::None) {
            return Err(Error::invalid("who reads by itself gets neither data nor frames"));
        }
        if pull && (self.on_descriptors.is_some() || self.flags & TG_CONN_DESCRIPTORS != 0) {
            return Err(Error::invalid("who reads by itself gets no descriptors"));
        }
        let (low_mark, high_mark, limit) = watermarks(self.low_watermark, self.high_watermark, self.limit)?;
        Ok(Shape {
            timeouts: self.timeouts()?,
            high_mark,
            low_mark,
            limit,
            hold: self.flags & TG_CONN_READ_ON == 0,
            framing,
            max_frame,
            pull,
            takes_descriptors: self.on_descriptors.is_some() || self.flags & TG_CONN_DESCRIPTORS != 0,
            tells_eof: batch || self.on_eof.is_some(),
            tells_timeout: batch || self.on_timeout.is_some(),
            listener: Id::NONE,
        })
    }

    fn timeouts(&self) -> Result<Timeouts> {
        timeouts(
            self.connect_timeout_ns,
            self.read_timeout_ns,
            self.write_timeout_ns,
            self.idle_timeout_ns,
            self.linger_ns,
        )
    }
}

/// Times as C has them, 0 the defaults.
pub(super) fn timeouts(connect: i64, read: i64, write: i64, idle: i64, linger: i64) -> Result<Timeouts> {
    let one = |given: i64, usual: i64| match given {
        ..=-2 => Err(Error::invalid("a timeout is below -1")),
        0 => Ok(usual),
        given => Ok(given),
    };
    Ok(Timeouts {
        connect_ns: one(connect, 30 * SECOND)?,
        read_ns: one(read, -1)?,
        write_ns: one(write, 60 * SECOND)?,
        idle_ns: one(idle, 3600 * SECOND)?,
        linger_ns: one(linger, 30 * SECOND)?,
    })
}

/// Marks as C has them, 0 the defaults.
pub(super) fn watermarks(low: usize, high: usize, limit: usize) -> Result<(usize, usize, usize)> {
    let high = if high == 0 { USUAL_HIGH } else { high };
    let low = if low == 0 { high / 4 } else { low };
    let limit = if limit == 0 { USUAL_LIMIT.max(high.saturating_mul(4)) } else { limit };
    if low > high || high > limit {
        let error = Error::invalid("the low watermark is above the high one, or that above the limit");
        return Err(noted(error, format_args!("low = {low}, high = {high}, limit = {limit}")));
    }
    Ok((low, high, limit))
}

pub(super) fn framing(framing: u32, max_frame: usize, batch: bool) -> Result<(Framing, usize)> {
    let max_frame = if max_frame == 0 { USUAL_FRAME } else { max_frame };
    if batch && max_frame > USUAL_FRAME {
        return Err(Error::invalid("frames of a batch loop have at most 65,536 bytes"));
    }
    let little_endian = framing & TG_FRAMING_LITTLE_ENDIAN != 0;
    let counted = |bytes: u8| Ok((Framing::Length { bytes, little_endian }, max_frame));
    match framing & !TG_FRAMING_LITTLE_ENDIAN {
        TG_FRAMING_NONE if !little_endian => Ok((Framing::None, max_frame)),
        TG_FRAMING_LINES if !little_endian => Ok((Framing::Lines, max_frame)),
        TG_FRAMING_LENGTH8 => counted(1),
        TG_FRAMING_LENGTH16 => counted(2),
        TG_FRAMING_LENGTH32 => counted(4),
        TG_FRAMING_LENGTH64 => counted(8),
        _ => Err(Error::invalid("not one of the TG_FRAMING_ numbers")),
    }
}

pub(crate) fn which(timeout: Timeout) -> u32 {
    match timeout {
        Timeout::Read => TG_TIMEOUT_READ,
        Timeout::Write => TG_TIMEOUT_WRITE,
        Timeout::Idle => TG_TIMEOUT_IDLE,
    }
}
