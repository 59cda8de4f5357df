//! Chapter: sending datagrams.

use crate::address::tg_address;
use crate::convert;
use crate::error::noted;
use crate::registry::find_handle;
use crate::shown::{Shown, display};
use crate::types::tg_handle;
use std::ffi::{c_int, c_void};
use tidegate_reactor::base::address::Address;
use tidegate_reactor::io::datagram::Outgoing;
use tidegate_reactor::{Error, Result};

/// A datagram to be sent.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_outgoing {
    /// To whom; NULL: to whom the socket is connected.
    pub to: *const tg_address,
    /// Its bytes; may be NULL if there are none.
    pub data: *const c_void,
    /// How many there are.
    pub length: usize,
}

/// Sends one datagram: at once when nothing waits in the send queue and the system has room, else as soon as it has; in order.
/// It is sent once and may be lost on its way, as datagrams may; what the network reports about it comes to `on_error`.
/// Of Unix sockets only what goes to the connected peer can wait: the room is in the receiver, and the system tells only of
/// the peer's.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: everything stays the caller's; what waits is copied.
/// Errors: TG_EINVAL (`to` is not an address of the socket's family, has port 0, or is NULL though it is not connected; `data` is
/// NULL), TG_ENOBUFS (the send queue is full), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's, such as
/// -EMSGSIZE, -EACCES (a broadcast address), -ENETUNREACH; of Unix sockets -EAGAIN (the receiver has no room), -ENOENT,
/// -ECONNREFUSED.
///
/// # Safety
/// `to` is NULL or readable; `data` is NULL or has `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_udp_send(
    udp: tg_handle, to: *const tg_address, data: *const c_void, length: usize,
) -> c_int {
    guard!(tg_udp_send(udp, to, data, length), {
        // SAFETY: the caller's promise.
        let (to, data) = unsafe { (convert::optional(to), convert::bytes(data.cast(), length)) };
        (|| {
            let (found, id) = find_handle(udp)?;
            let one = [Outgoing { to: engine(to)?, data: data? }];
            found.event_loop.udp_send(id, &one).map(drop)
        })()
    })
}

fn engine(to: Option<tg_address>) -> Result<Option<Address>> {
    to.map(tg_address::to_engine).transpose()
}

/// Sends many datagrams in their order, 64 a system call where it can (sendmmsg). Each is treated as by tg_udp_send; when one
/// cannot be taken those behind it are not, either. All are looked at before the first is sent.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: everything stays the caller's; what waits is copied.
/// Returns: how many were taken: all, or those before the first that could not be. Sending the rest again says why.
/// Errors: if none was taken, as tg_udp_send; TG_EINVAL also when `all` is NULL and `count` is not 0.
///
/// # Safety
/// `all` is NULL or has `count` elements, each with pointers as tg_udp_send wants them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_udp_send_many(udp: tg_handle, all: *const tg_outgoing, count: usize) -> c_int {
    guard!(tg_udp_send_many(udp, all, count), {
        // SAFETY: the caller's promise.
        let all = unsafe { convert::slice(all, count) };
        (|| {
            let (found, id) = find_handle(udp)?;
            let all = all?;
            let mut converted = Vec::new();
            converted.try_reserve_exact(all.len())?;
            for (index, one) in all.iter().enumerate() {
                // SAFETY: the caller's promise.
                let (to, data) = unsafe { (convert::optional(one.to), convert::bytes(one.data.cast(), one.length)) };
                let to = engine(to).map_err(|error| noted(error, format_args!("all[{index}].to = {}", shown(one))))?;
                let data = data.map_err(|error| {
                    noted(error, format_args!("all[{index}] = {{.data = {:?}, .length = {}}}", one.data, one.length))
                })?;
                converted.push(Outgoing { to, data });
            }
            found.event_loop.udp_send(id, &converted).map_err(|error| receivers(error, all))
        })()
    })
}

fn shown(one: &tg_outgoing) -> impl std::fmt::Display {
    // SAFETY: the promise of tg_udp_send_many.
    unsafe { Shown::new(&one.to) }.named("to")
}

/// None was taken, and which of them was refused only the engine knows: the first ones are named.
fn receivers(error: Error, all: &[tg_outgoing]) -> Error {
    const MOST: usize = 4;
    let list = display(|f| {
        all.iter().take(MOST).enumerate().try_for_each(|(index, one)| {
            write!(f, "{}all[{index}].to = {}", if index > 0 { ", " } else { "" }, shown(one))
        })
    });
    noted(error, format_args!("{list}"))
}

/// Sends bytes as datagrams of `segment_size` bytes each, the last of which may be shorter: ceil(length / segment_size) of them,
/// one if there are no bytes. The system cuts up to 64 of them in one pass (generic segmentation offload, Linux 4.18 and newer);
/// where it cannot, the library does.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: everything stays the caller's; what waits is copied.
/// Returns: how many datagrams were taken: all, or those before the first that could not be.
/// Errors: if none was taken, as tg_udp_send; TG_EINVAL also when `segment_size` is 0.
///
/// # Safety
/// `to` is NULL or readable; `data` is NULL or has `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_udp_send_segments(
    udp: tg_handle, to: *const tg_address, data: *const c_void, length: usize, segment_size: u16,
) -> c_int {
    guard!(tg_udp_send_segments(udp, to, data, length, segment_size), {
        // SAFETY: the caller's promise.
        let (to, data) = unsafe { (convert::optional(to), convert::bytes(data.cast(), length)) };
        (|| {
            let (found, id) = find_handle(udp)?;
            let (to, data) = (engine(to)?, data?);
            found.event_loop.udp_send_segments(id, to.as_ref(), data, segment_size)
        })()
    })
}

/// Connects the socket: it receives only from `peer`, sends there when no address is given, and is told of what the network
/// reports everywhere. Nothing is sent, and nobody is asked. A connected socket may be connected to somebody else.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: everything stays the caller's.
/// Errors: TG_EINVAL (NULL, or not an address of the socket's family; datagrams wait in the send queue), TG_ESTALE, TG_EKIND,
/// TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's, such as -ENETUNREACH; of Unix sockets -ENOENT, -ECONNREFUSED.
///
/// # Safety
/// `peer` is NULL or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_udp_connect(udp: tg_handle, peer: *const tg_address) -> c_int {
    guard!(tg_udp_connect(udp, peer), {
        // SAFETY: the caller's promise.
        let peer = unsafe { convert::value(peer) };
        (|| {
            let (found, id) = find_handle(udp)?;
            let peer = peer?.to_engine()?;
            found.event_loop.udp_connect(id, Some(&peer))
        })()
    })
}

/// Receives from everybody again. (On Linux a socket whose port the system has chosen may get another one at its next send.)
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (datagrams wait in the send queue), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the
/// system's.
#[unsafe(no_mangle)]
pub extern "C" fn tg_udp_disconnect(udp: tg_handle) -> c_int {
    guard!(tg_udp_disconnect(udp), find_handle(udp).and_then(|(found, id)| found.event_loop.udp_connect(id, None)))
}

/// The socket's own name, with the port that the system has chosen.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_udp_get_local(udp: tg_handle, out: *mut tg_address) -> c_int {
    guard!(tg_udp_get_local(udp, out), {
        // SAFETY: the caller's promise.
        unsafe { convert::out(out) }.and_then(|out| {
            let (found, id) = find_handle(udp)?;
            out.write(tg_address::from_engine(&found.event_loop.udp_local(id)?));
            Ok(())
        })
    })
}

/// To whom the socket is connected.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's: -ENOTCONN.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_udp_get_peer(udp: tg_handle, out: *mut tg_address) -> c_int {
    guard!(tg_udp_get_peer(udp, out), {
        // SAFETY: the caller's promise.
        unsafe { convert::out(out) }.and_then(|out| {
            let (found, id) = find_handle(udp)?;
            out.write(tg_address::from_engine(&found.event_loop.udp_peer(id)?));
            Ok(())
        })
    })
}
