//! Chapter: settings of sockets for datagrams.

use crate::address::tg_address;
use crate::convert::{self, out};
use crate::registry::find_handle;
use crate::types::{tg_fd, tg_handle};
use std::ffi::c_int;
use std::net::{IpAddr, SocketAddr};
use tidegate_reactor::base::address::Address;
use tidegate_reactor::event_loop::UdpOption;
use tidegate_reactor::sys::socket_options::{Interface, Membership};
use tidegate_reactor::{Error, Result};

/// Makes the socket a member of a multicast group. It receives what is sent to the group and to the socket's port, if it is
/// bound to every interface or to the group's address.
/// `interface_index` is the number of the network's interface (if_nametoindex); or, for IPv4, `interface_address` is the
/// interface's address (its port does not matter). 0 and NULL: the system chooses. For IPv6 the scope of `group` counts when the
/// index is 0. With a `source` only what that address sends is received; there may be several. Memberships end with the handle.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: everything stays the caller's.
/// Errors: TG_EINVAL (`group` is NULL, not a group's address, or of IPv6 although the socket is not; an interface given twice, or by address with IPv6; a `source` of
/// the other family), TG_ENOTSUP (a Unix socket), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the
/// system's: -ENODEV (no such interface), -EADDRINUSE (it is a member already; with the same source, Linux says -EADDRNOTAVAIL), -ENOBUFS (too many memberships).
///
/// # Safety
/// `group`, `interface_address` and `source` are NULL or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_udp_join(
    udp: tg_handle, group: *const tg_address, interface_index: u32, interface_address: *const tg_address,
    source: *const tg_address,
) -> c_int {
    guard!(tg_udp_join(udp, group, interface_index, interface_address, source), {
        // SAFETY: the caller's promise.
        let (group, named) = unsafe { (convert::value(group), convert::optional(interface_address)) };
        // SAFETY: the caller's promise.
        let source = unsafe { convert::optional(source) };
        membership(udp, group, interface_index, named, source, true)
    })
}

/// Ends a membership in a multicast group: that which tg_udp_join began with the same arguments.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: everything stays the caller's.
/// Errors: as tg_udp_join; of the system's -EADDRNOTAVAIL (it is not a member).
///
/// # Safety
/// `group`, `interface_address` and `source` are NULL or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_udp_leave(
    udp: tg_handle, group: *const tg_address, interface_index: u32, interface_address: *const tg_address,
    source: *const tg_address,
) -> c_int {
    guard!(tg_udp_leave(udp, group, interface_index, interface_address, source), {
        // SAFETY: the caller's promise.
        let (group, named) = unsafe { (convert::value(group), convert::optional(interface_address)) };
        // SAFETY: the caller's promise.
        let source = unsafe { convert::optional(source) };
        membership(udp, group, interface_index, named, source, false)
    })
}

fn membership(
    udp: tg_handle, group: Result<tg_address>, index: u32, named: Option<tg_address>, source: Option<tg_address>,
    join: bool,
) -> Result<()> {
    let (found, id) = find_handle(udp)?;
    let group = inet(group?)?;
    let index = match group {
        SocketAddr::V6(v6) if index == 0 && named.is_none() => v6.scope_id(),
        _ => index,
    };
    let what = Membership {
        group: group.ip(),
        source: source.map(inet).transpose()?.map(|source| source.ip()),
        interface: interface(index, named)?,
    };
    found.event_loop.udp_membership(id, &what, join)
}

fn inet(address: tg_address) -> Result<SocketAddr> {
    match address.to_engine()? {
        Address::Inet(inet) => Ok(inet),
        Address::Unix(_) => Err(Error::invalid("not an address of IPv4 or IPv6")),
    }
}

fn interface(index: u32, named: Option<tg_address>) -> Result<Interface> {
    match (index, named.map(inet).transpose()?.map(|address| address.ip())) {
        (0, None) => Ok(Interface::Any),
        (index, None) if c_int::try_from(index).is_ok() => Ok(Interface::Index(index)),
        (_, None) => Err(Error::invalid("no interface has such a number")),
        (0, Some(IpAddr::V4(address))) => Ok(Interface::Address(address)),
        (0, Some(IpAddr::V6(_))) => Err(Error::invalid("interfaces of IPv6 are named by their numbers")),
        _ => Err(Error::invalid("an interface is named by its number or by its address, not by both")),
    }
}

/// Through which interface datagrams to multicast groups are sent: by its number, or for IPv4 by its address. 0 and NULL: the
/// system chooses.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: everything stays the caller's.
/// Errors: TG_EINVAL (given twice; an address on a socket of IPv6), TG_ENOTSUP (a Unix socket), TG_ESTALE, TG_EKIND,
/// TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's: -ENODEV, -EADDRNOTAVAIL.
///
/// # Safety
/// `interface_address` is NULL or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_udp_set_multicast_interface(
    udp: tg_handle, interface_index: u32, interface_address: *const tg_address,
) -> c_int {
    guard!(tg_udp_set_multicast_interface(udp, interface_index, interface_address), {
        // SAFETY: the caller's promise.
        let named = unsafe { convert::optional(interface_address) };
        (|| {
            find_handle(udp)?;
            set(udp, UdpOption::MulticastInterface(interface(interface_index, named)?))
        })()
    })
}

/// Over how many routers datagrams to multicast groups may go: 0 (this machine) to 255; at first 1, this network.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (above 255), TG_ENOTSUP (a Unix socket), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and
/// the system's.
#[unsafe(no_mangle)]
pub extern "C" fn tg_udp_set_multicast_ttl(udp: tg_handle, ttl: u32) -> c_int {
    guard!(tg_udp_set_multicast_ttl(udp, ttl), set(udp, UdpOption::MulticastTtl(ttl)))
}

/// Whether members on this machine receive what this socket sends to their groups (not 0, and so it is at first), or not (0).
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ENOTSUP (a Unix socket), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's.
#[unsafe(no_mangle)]
pub extern "C" fn tg_udp_set_multicast_loop(udp: tg_handle, on: c_int) -> c_int {
    guard!(tg_udp_set_multicast_loop(udp, on), set(udp, UdpOption::MulticastLoop(on != 0)))
}

/// Over how many routers datagrams to single receivers may go: 1 to 255.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (0, or above 255), TG_ENOTSUP (a Unix socket), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC,
/// and the system's.
#[unsafe(no_mangle)]
pub extern "C" fn tg_udp_set_ttl(udp: tg_handle, ttl: u32) -> c_int {
    guard!(tg_udp_set_ttl(udp, ttl), set(udp, UdpOption::Ttl(ttl)))
}

/// Whether datagrams may be sent to broadcast addresses (not 0), or that is refused with -EACCES (0, and so it is without
/// TG_UDP_BROADCAST).
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ENOTSUP (a Unix socket), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's.
#[unsafe(no_mangle)]
pub extern "C" fn tg_udp_set_broadcast(udp: tg_handle, on: c_int) -> c_int {
    guard!(tg_udp_set_broadcast(udp, on), set(udp, UdpOption::Broadcast(on != 0)))
}

/// Asks the system for buffers of these sizes in bytes, for what waits to be read and to be sent; 0 leaves one as it is. The
/// system has limits of its own, which it applies without a word: tg_udp_get_buffers tells.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's.
#[unsafe(no_mangle)]
pub extern "C" fn tg_udp_set_buffers(udp: tg_handle, receive: u32, send: u32) -> c_int {
    guard!(tg_udp_set_buffers(udp, receive, send), set(udp, UdpOption::Buffers(receive, send)))
}

fn set(udp: tg_handle, option: UdpOption) -> Result<()> {
    let (found, id) = find_handle(udp)?;
    found.event_loop.udp_set(id, option)
}

/// The sizes of the system's buffers, with what the system needs for itself (Linux: twice what was asked for).
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `receive` and `send` stay the caller's.
/// Errors: TG_EINVAL (one of them is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's.
///
/// # Safety
/// `receive` and `send` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_udp_get_buffers(udp: tg_handle, receive: *mut u32, send: *mut u32) -> c_int {
    guard!(tg_udp_get_buffers(udp, receive, send), {
        // SAFETY: the caller's promise.
        let (receive_out, send_out) = unsafe { (out(receive), out(send)) };
        (|| {
            let (receive_out, send_out) = (receive_out?, send_out?);
            let (found, id) = find_handle(udp)?;
            let (receive, send) = found.event_loop.udp_buffers(id)?;
            receive_out.write(receive);
            send_out.write(send);
            Ok(())
        })()
    })
}

/// The socket's descriptor, for options that the library has no words for. It stays the library's: it must not be read,
/// written, shut down or closed.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's; the descriptor is the library's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_udp_get_fd(udp: tg_handle, out: *mut tg_fd) -> c_int {
    guard!(tg_udp_get_fd(udp, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let (found, id) = find_handle(udp)?;
            out.write(found.event_loop.udp_fd(id)?);
            Ok(())
        })
    })
}
