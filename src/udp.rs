//! Chapter: datagrams.

use crate::address::tg_address;
use crate::batch;
use crate::batch_sink::Batch;
use crate::callbacks::{Callback, User};
use crate::convert::{self, Sized_, options, out, sized_out};
use crate::handle::{check_flags, no_functions};
use crate::registry::{find_handle, find_loop};
use crate::types::{TG_UNREF, tg_fd, tg_handle, tg_loop, tg_release_cb};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr};
use std::ptr::null_mut;
use std::rc::Rc;
use tidegate_reactor::base::address::Address;
use tidegate_reactor::event_loop::UdpStats;
use tidegate_reactor::io::datagram::{Datagram, Received, Settings};
use tidegate_reactor::sys::datagram::BATCH;
use tidegate_reactor::{Error, Event, Result};

pub mod send;
pub mod settings;

/// Flag of tg_udp_options: the name may be one that another socket has or had (SO_REUSEADDR).
pub const TG_UDP_REUSE_ADDRESS: u32 = 0x10;
/// Flag of tg_udp_options: sockets that all have this flag share the name, and what comes is spread among them (SO_REUSEPORT).
pub const TG_UDP_REUSE_PORT: u32 = 0x20;
/// Flag of tg_udp_options: datagrams may be sent to broadcast addresses.
pub const TG_UDP_BROADCAST: u32 = 0x40;
/// Flag of tg_udp_options: a socket of IPv6 keeps off IPv4. Without it it speaks both, where the system can.
pub const TG_UDP_V6_ONLY: u32 = 0x80;
/// Flag of tg_udp_options: the system may join datagrams of one sender (generic receive offload, Linux 5.0 and newer): see
/// `segment_size` of tg_datagram.
pub const TG_UDP_GRO: u32 = 0x100;

const FLAGS: u32 = TG_UNREF | TG_UDP_REUSE_ADDRESS | TG_UDP_REUSE_PORT | TG_UDP_BROADCAST | TG_UDP_V6_ONLY | TG_UDP_GRO;

/// Flag of a received datagram: it was longer than `receive_size`, and its rest is lost.
pub const TG_DATAGRAM_TRUNCATED: u32 = 0x1;

/// A datagram that was received.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_datagram {
    /// Its bytes, which must not be changed.
    pub data: *const c_void,
    /// How many there are. 0 is a datagram, too: there is no end of a socket for datagrams.
    pub length: usize,
    /// Who has sent it: an address of IPv4 even if it came to a socket of IPv6; TG_UNIX with path_length 0 for a Unix socket
    /// without a name.
    pub from: *const tg_address,
    /// TG_DATAGRAM_TRUNCATED or 0.
    pub flags: u32,
    /// Not 0 (with TG_UDP_GRO only): several datagrams in a row, each but the last of this size.
    pub segment_size: u32,
}

/// What stands before a datagram in the data of a batch.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_datagram_header {
    /// Who has sent it.
    pub from: tg_address,
    /// As in tg_datagram.
    pub flags: u32,
    /// As in tg_datagram.
    pub segment_size: u32,
    /// How many bytes follow.
    pub length: u64,
}

// SAFETY: repr(C), integers and an address, each where the one before ends.
unsafe impl convert::Plain for tg_datagram_header {}

const _: () = assert!(size_of::<tg_datagram_header>() == size_of::<tg_address>() + 16);

/// Datagrams have come: `count` of them (1 to 64), in their order, received by one system call. They are the library's and valid
/// until the callback returns.
pub type tg_udp_cb = Option<
    unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void, datagrams: *const tg_datagram, count: usize),
>;

/// Something has gone wrong; the socket stays open, and sending and receiving go on. `status` says what:
/// - the network reports that a datagram sent before has not arrived: -ECONNREFUSED (nobody listens there), -EHOSTUNREACH,
///   -EMSGSIZE …; `peer` is to whom it was sent (Linux), or NULL;
/// - a datagram that was waiting in the send queue was refused by the system when its turn came, and is lost; `peer` is to
///   whom it was to go, or NULL for the one to whom the socket is connected;
/// - receiving has failed: -ESHUTDOWN, TG_EBADFD, -EBADF …: somebody has shut down or closed the descriptor behind the
///   library's back. Receiving is paused then. TG_ENOMEM: there is no memory to receive into; it is tried again.
pub type tg_udp_error_cb =
    Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void, status: c_int, peer: *const tg_address)>;

/// Nothing waits in the send queue any more.
pub type tg_udp_drain_cb = Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void)>;

/// How a socket for datagrams shall be. Set up with `TG_UDP_OPTIONS_INIT`. On a batch loop the functions are NULL.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_udp_options {
    /// The size of the structure.
    pub size: usize,
    /// Whom to call with datagrams.
    pub callback: tg_udp_cb,
    /// Whom to tell of errors; may be NULL.
    pub on_error: tg_udp_error_cb,
    /// Whom to tell that the send queue is empty again; may be NULL.
    pub on_drain: tg_udp_drain_cb,
    /// Passed to the callbacks (a batch loop: the number in its records).
    pub user: *mut c_void,
    /// Gives `user` back; may be NULL.
    pub release: tg_release_cb,
    /// TG_UNREF, TG_UDP_…, or 0.
    pub flags: u32,
    /// The largest datagram to be received whole, in bytes: at most 1,048,576, on a batch loop 65,536; with TG_UDP_GRO at least
    /// 65,535. 0: 65,535, which cuts off none that UDP can have. Of longer ones the rest is lost, and the flag says so.
    pub receive_size: u32,
    /// How many datagrams a callback gets at most, up to 64; 0: as many as fit into 1 MiB, which each loop has once for all
    /// its sockets: 16 of the default size, 64 of 16 KiB or less.
    pub receive_batch: u32,
    /// 0.
    pub reserved: u32,
    /// How many bytes may wait in the send queue, each datagram counting its length and 192 more; 0: 1,048,576.
    pub send_limit: u64,
}

// SAFETY: repr(C), `size` first; pointers and optional functions may have any bits, they are only carried.
unsafe impl Sized_ for tg_udp_options {
    members!(tg_udp_options: callback, on_error, on_drain, user, release, flags,
        receive_size, receive_batch, reserved, send_limit);
    const DEFAULT: Self = tg_udp_options {
        size: 0,
        callback: None,
        on_error: None,
        on_drain: None,
        user: null_mut(),
        release: None,
        flags: 0,
        receive_size: 0,
        receive_batch: 0,
        reserved: 0,
        send_limit: 0,
    };
}

/// What a socket for datagrams has done so far, and what waits. Set up with `TG_UDP_STATS_INIT`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_udp_stats {
    /// Set by the caller to the size of the structure.
    pub size: usize,
    /// Datagrams received; those that the system has joined (TG_UDP_GRO) count as one.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// How many of them were cut off.
    pub truncated: u64,
    /// System calls that have received them.
    pub receive_calls: u64,
    /// Datagrams given to the system; those that it cuts (tg_udp_send_segments) count as one.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// System calls that have sent them.
    pub send_calls: u64,
    /// Datagrams that were taken into the send queue, and could not be sent.
    pub lost: u64,
    /// Errors that the network has reported.
    pub errors: u64,
    /// Datagrams that the system has dropped because its buffer was full (Linux; else 0).
    pub dropped: u64,
    /// Datagrams in the send queue.
    pub queued: u64,
    /// How many bytes they count there.
    pub queued_bytes: u64,
}

// SAFETY: repr(C), `size` first, integers only.
unsafe impl Sized_ for tg_udp_stats {
    members!(tg_udp_stats: received, received_bytes, truncated, receive_calls, sent,
        sent_bytes, send_calls, lost, errors, dropped, queued, queued_bytes);
    const DEFAULT: Self = tg_udp_stats::of(&UdpStats::NONE);
}

impl tg_udp_stats {
    const fn of(stats: &UdpStats) -> tg_udp_stats {
        let counts = &stats.counts;
        tg_udp_stats {
            size: 0,
            received: counts.received,
            received_bytes: counts.received_bytes,
            truncated: counts.truncated,
            receive_calls: counts.receive_calls,
            sent: counts.sent,
            sent_bytes: counts.sent_bytes,
            send_calls: counts.send_calls,
            lost: counts.lost,
            errors: counts.errors,
            dropped: stats.dropped,
            queued: stats.queued as u64,
            queued_bytes: stats.queued_bytes as u64,
        }
    }
}

/// The functions of one socket.
pub(crate) struct UdpCallbacks {
    datagrams: tg_udp_cb,
    error: tg_udp_error_cb,
    drain: tg_udp_drain_cb,
}

/// Calls the function that an event is for.
pub(crate) fn deliver(calls: &UdpCallbacks, id: tg_handle, user: *mut c_void, event: Event<'_>) {
    match event {
        Event::Datagrams(received) => deliver_datagrams(calls, id, user, received),
        Event::UdpError { status, peer } => {
            let peer = peer.map(tg_address::from_engine);
            let peer = peer.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
            if let Some(call) = calls.error {
                // SAFETY: the caller's function, called with the pointer that was accepted with it and is not yet released.
                unsafe { call(id, user, status, peer) };
            }
        }
        Event::UdpDrained => {
            if let Some(call) = calls.drain {
                // SAFETY: as above.
                unsafe { call(id, user) };
            }
        }
        _ => {}
    }
}

fn deliver_datagrams(calls: &UdpCallbacks, id: tg_handle, user: *mut c_void, received: &Received) {
    let Some(call) = calls.datagrams else { return };
    let mut addresses = [const { MaybeUninit::<tg_address>::uninit() }; BATCH];
    let mut datagrams = [const { MaybeUninit::<tg_datagram>::uninit() }; BATCH];
    let mut count = 0;
    for (datagram, (from, to)) in received.iter().zip(addresses.iter_mut().zip(&mut datagrams)) {
        let from = std::ptr::from_ref(from.write(tg_address::from_engine(&datagram.from)));
        to.write(tg_datagram {
            data: datagram.data.as_ptr().cast(),
            length: datagram.data.len(),
            from,
            flags: flags(&datagram),
            segment_size: datagram.segment_size,
        });
        count += 1;
    }
    // SAFETY: as above; the first `count` datagrams are written and, like their addresses and bytes, live through the call.
    unsafe { call(id, user, datagrams.as_ptr().cast(), count) };
}

fn flags(datagram: &Datagram<'_>) -> u32 {
    if datagram.truncated { TG_DATAGRAM_TRUNCATED } else { 0 }
}

/// Kind, bits and value of the record of a datagram.
pub(crate) fn datagram_record(batch: &Batch, received: &Received) -> (u32, u32, i64) {
    // A sink of records is shown one at a time.
    let Some(datagram) = received.iter().next() else { return (batch::TG_RECORD_DATAGRAM, 0, -1) };
    let header = tg_datagram_header {
        from: tg_address::from_engine(&datagram.from),
        flags: flags(&datagram),
        segment_size: datagram.segment_size,
        length: datagram.data.len() as u64,
    };
    let value = batch.carry(&[convert::bytes_of(&[header]), datagram.data]);
    (batch::TG_RECORD_DATAGRAM, header.flags, value)
}

/// Kind, bits and value of the record of an error.
pub(crate) fn error_record(batch: &Batch, status: c_int, peer: Option<&Address>) -> (u32, u32, i64) {
    let value = peer.map_or(-1, |peer| batch.carry(&[convert::bytes_of(&[tg_address::from_engine(peer)])]));
    (batch::TG_RECORD_UDP_ERROR, status as u32, value)
}

/// Opens a socket for datagrams and receives from it: UDP over IPv4 or IPv6, or Unix datagrams, by the family of `local`, which
/// is the socket's name. Port 0: the system chooses one; TG_UNIX with path_length 0: no name. NULL: IPv4, every interface, a
/// port that the system chooses. The file of a Unix socket's path is not removed, neither here nor when the handle is closed.
/// At most one system call receives a turn, so a flooded socket leaves the others their share. On Linux a socket is told only
/// of multicast groups that it has joined itself.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: everything stays the caller's, except `options->user`, which is the library's once 0 was returned.
/// Errors: TG_EINVAL (`out` is NULL; not an address; unknown flags; no callback; functions on a batch loop; TG_UDP_V6_ONLY
/// without IPv6; a size that is too large, or too small for TG_UDP_GRO), TG_ENOTSUP (TG_UDP_GRO or TG_UDP_BROADCAST not to be
/// had), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's, such as
/// -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EMFILE.
///
/// # Safety
/// `local` is NULL or readable; `options` is NULL or as large as its first member says; `out` is NULL or writable; the
/// functions may be called with `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_udp_open(
    loop_: tg_loop, local: *const tg_address, options: *const tg_udp_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_udp_open(loop_, local, options, out), {
        // SAFETY: the caller's promise.
        let (local, options, out) = unsafe { (convert::optional(local), self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (options?, out?);
            let any = Address::Inet(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
            let local = local.map_or(Ok(any), tg_address::to_engine)?;
            out.write(open(loop_, Origin::Named(local), options)?);
            Ok(())
        })()
    })
}

/// As tg_udp_open, with a socket that the caller has already: an inherited one, or one with options of its own. It is closed with
/// the handle; until then it is the library's, and must not be read, written, shut down or closed. Its flags are left as they
/// are, except that programs which are started do not inherit it.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: the descriptor and `options->user` are the library's once 0 was returned; after an error both are the caller's.
/// Errors: TG_EINVAL (`out` is NULL; not a socket for datagrams over IPv4, IPv6 or Unix; unknown flags, TG_UDP_REUSE_… or
/// TG_UDP_V6_ONLY; no callback; functions on a batch loop; a size that is too large, or too small for TG_UDP_GRO), TG_EBADFD (not
/// open), TG_EEXIST (it is being watched), TG_ENOTSUP (TG_UDP_GRO or TG_UDP_BROADCAST not to be had), TG_ENOMEM, TG_ELIMIT,
/// TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's.
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable; the functions may be called with
/// `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_udp_adopt(
    loop_: tg_loop, fd: tg_fd, options: *const tg_udp_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_udp_adopt(loop_, fd, options, out), {
        // SAFETY: the caller's promise.
        let (options, out) = unsafe { (self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (options?, out?);
            out.write(open(loop_, Origin::Made(fd), options)?);
            Ok(())
        })()
    })
}

/// Where the socket of a new handle comes from.
enum Origin {
    Named(Address),
    Made(tg_fd),
}

fn open(loop_: tg_loop, origin: Origin, options: tg_udp_options) -> Result<tg_handle> {
    let settings = settings_of(&options)?;
    let referenced = options.flags & TG_UNREF == 0;
    let calls = UdpCallbacks { datagrams: options.callback, error: options.on_error, drain: options.on_drain };
    let found = find_loop(loop_)?;
    let any = calls.datagrams.is_some() || calls.error.is_some() || calls.drain.is_some() || options.release.is_some();
    let callback = match found.is_batch() {
        true if any => return Err(no_functions()),
        true => Callback::None,
        false if calls.datagrams.is_none() => return Err(Error::invalid("the options have no callback")),
        false => Callback::Udp(Rc::new(calls)),
    };
    let user = User { callback, user: options.user, release: options.release };
    let opened = match origin {
        Origin::Named(local) => found.event_loop.udp_open(&local, &settings, user, referenced),
        Origin::Made(fd) => found.event_loop.udp_adopt(fd, &settings, user, referenced),
    };
    opened.map(|id| id.raw())
}

fn settings_of(options: &tg_udp_options) -> Result<Settings> {
    check_flags(options.flags, FLAGS)?;
    if options.reserved != 0 {
        return Err(Error::invalid("a reserved member is not 0"));
    }
    if options.receive_batch as usize > tidegate_reactor::sys::datagram::BATCH {
        return Err(Error::invalid("receive_batch is above 64"));
    }
    let has = |flag| options.flags & flag != 0;
    Ok(Settings {
        receive_size: options.receive_size,
        receive_batch: options.receive_batch,
        send_limit: options.send_limit,
        reuse_address: has(TG_UDP_REUSE_ADDRESS),
        reuse_port: has(TG_UDP_REUSE_PORT),
        broadcast: has(TG_UDP_BROADCAST),
        v6_only: has(TG_UDP_V6_ONLY),
        join: has(TG_UDP_GRO),
    })
}

/// Stops receiving: what comes waits in the system, as far as it has room. What was received already still comes. While nothing
/// waits to be sent either, the handle is not active, and errors are not reported.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_udp_pause(udp: tg_handle) -> c_int {
    guard!(tg_udp_pause(udp), pause(udp, true))
}

/// Goes on receiving after tg_udp_pause.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_udp_resume(udp: tg_handle) -> c_int {
    guard!(tg_udp_resume(udp), pause(udp, false))
}

fn pause(udp: tg_handle, paused: bool) -> Result<()> {
    let (found, id) = find_handle(udp)?;
    found.event_loop.udp_pause(id, paused)
}

/// What the socket has done, and what waits. `out->size` is set by the caller (`TG_UDP_STATS_INIT`).
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL, or its size is not set), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or as large as its first member says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_udp_get_stats(udp: tg_handle, out: *mut tg_udp_stats) -> c_int {
    guard!(tg_udp_get_stats(udp, out), {
        // SAFETY: the caller's promise.
        unsafe { sized_out(out) }.and_then(|out| {
            let (found, id) = find_handle(udp)?;
            let stats = found.event_loop.udp_stats(id)?;
            out.write(tg_udp_stats::of(&stats));
            Ok(())
        })
    })
}
