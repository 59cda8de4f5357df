//! Chapter: connections.

use super::options::{TG_CONN_DUPLICATE, tg_conn_options};
use crate::address::tg_address;
use crate::convert::{self, options, out};
use crate::registry::find_loop;
use crate::types::{tg_fd, tg_handle, tg_loop};
use std::ffi::c_char;
use std::ffi::c_int;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::rc::Rc;
use tidegate_reactor::event_loop::{ConnectOptions, Shape};
use tidegate_reactor::sys::resolve::Query;
use tidegate_reactor::{Error, Result};

/// Makes a connection of a descriptor: a connected stream socket of any kind, a pipe, a terminal, a serial line. From now on
/// it belongs to the library (but see TG_CONN_DUPLICATE) and does not block. A terminal or pipe that is shared with other
/// processes goes on blocking for them where the system lets us open it anew (Linux); where not, it is made to block again
/// when the connection is closed. A descriptor that was opened for one direction only is at its end in the other. Programs that
/// are started do not get it, and a TCP socket has TCP_NODELAY (unless TG_CONN_DELAY), SO_KEEPALIVE (if TG_CONN_KEEP_ALIVE) and
/// SO_OOBINLINE from now on. Data flows from the next turn on.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `fd` (without TG_CONN_DUPLICATE) and `options->user` are the library's once 0 was returned.
/// Errors: TG_EINVAL (`out` is NULL; a number of the options is out of range; `on_readable` beside `on_data`, framing or
/// `on_descriptors`; TG_CONN_PULL without `on_readable`; functions on a batch loop; a directory, a datagram socket, a socket that
/// listens), TG_EBADFD, TG_EEXIST (it is being watched, or belongs to a handle), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND,
/// TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EMFILE (TG_CONN_DUPLICATE). That a socket is not connected, or not any more, comes
/// by `on_close`.
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable; the functions may be called with
/// `user` on the loop's thread; `fd` belongs to the caller.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_conn_open(
    loop_: tg_loop, fd: tg_fd, options: *const tg_conn_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_conn_open(loop_, fd, options, out), {
        // SAFETY: the caller's promise.
        let (options, out) = unsafe { (self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (options?, out?);
            out.write(open(loop_, fd, options)?);
            Ok(())
        })()
    })
}

fn open(loop_: tg_loop, fd: tg_fd, options: tg_conn_options) -> Result<tg_handle> {
    let found = find_loop(loop_)?;
    if fd < 0 {
        return Err(Error::BAD_FD);
    }
    let shape = Rc::new(options.shape(found.is_batch())?);
    let duplicate = options.flags & TG_CONN_DUPLICATE != 0;
    let (no_delay, keep_alive) = (options.no_delay(), options.keep_alive());
    let mut owned = if duplicate {
        Some(tidegate_reactor::sys::socket::duplicate(fd)?)
    } else {
        // SAFETY: it is the caller's, who hands it over; when the call fails it is let go again below.
        Some(unsafe { OwnedFd::from_raw_fd(fd) })
    };
    let referenced = options.referenced();
    let opened = found.event_loop.conn_open(&mut owned, shape, options.user(found.is_batch()), referenced);
    if let Ok(id) = opened {
        let fd = found.event_loop.conn_fd(id)?;
        // Options that a socket does not take are those of one that is not connected any more.
        let _ = tidegate_reactor::sys::bound::adopt_stream(fd, no_delay, keep_alive);
    }
    match owned {
        // The caller's still.
        Some(kept) if !duplicate => drop(kept.into_raw_fd()),
        kept => drop(kept),
    }
    opened.map(|id| id.raw())
}

/// Connects to an address, numeric or of a Unix socket. The connection is there at once and can be written to: what is written
/// goes out when it is connected, which `on_open` tells. A failure comes by `on_close`, except what the system refuses at once.
/// For names see tg_conn_connect_name.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned; the rest is copied.
/// Errors: TG_EINVAL (`address` or `out` is NULL, or not an address; a number of the options is out of range), TG_ENOMEM,
/// TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and what the system refuses at once:
/// -ECONNREFUSED, -ENOENT, -EINVAL (an empty path), -EPROTOTYPE (a datagram socket's path) and -EAGAIN (as many wait to be
/// accepted as the server allows: try again later) of Unix sockets, -ENETUNREACH, -EADDRNOTAVAIL, -EACCES, -EMFILE, -ENFILE.
///
/// # Safety
/// `address` is NULL or readable; `options` is NULL or as large as its first member says; `out` is NULL or writable; the
/// functions may be called with `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_conn_connect(
    loop_: tg_loop, address: *const tg_address, options: *const tg_conn_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_conn_connect(loop_, address, options, out), {
        // SAFETY: the caller's promise.
        let (address, options, out) = unsafe { (convert::value(address), self::options(options), self::out(out)) };
        (|| {
            let (address, options, out) = (address?, options?, out?);
            out.write(connect(loop_, address, options)?);
            Ok(())
        })()
    })
}

fn connect(loop_: tg_loop, address: tg_address, options: tg_conn_options) -> Result<tg_handle> {
    let address = address.to_engine()?;
    let found = find_loop(loop_)?;
    let (shape, how, referenced) = plan(&options, found.is_batch())?;
    let user = options.user(found.is_batch());
    let id = found.event_loop.conn_connect(&address, &how, shape, user, referenced)?;
    Ok(id.raw())
}

/// Connects to a host by its name: the name is looked up on a thread, then its addresses of both families are tried in turns,
/// each with a head start of 250 ms before the next one (RFC 8305); the first to succeed becomes the connection. `on_open` tells
/// of it; until then every call but those of all handles and tg_conn_abort answers -ENOTCONN. A failure comes by `on_close`:
/// TG_ENONAME, TG_ETRYAGAIN, TG_ERESOLVE, -EMFILE, TG_ETIMEDOUT (the connect timeout counts for all of it), or what the last
/// address answered. tg_close ends it at any moment.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned; the rest is copied.
/// Errors: TG_EINVAL (a NULL; a name of more than 1,024 bytes; a port of 0 or above 65,535; a number of the options is out of range),
/// TG_ENOBUFS (max_jobs of the loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC,
/// -EAGAIN (no thread can be started).
///
/// # Safety
/// `host` and `service` are NULL or strings; `options` is NULL or as large as its first member says; `out` is NULL or
/// writable; the functions may be called with `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_conn_connect_name(
    loop_: tg_loop, host: *const c_char, service: *const c_char, options: *const tg_conn_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_conn_connect_name(loop_, host, service, options, out), {
        // SAFETY: the caller's promise.
        let (host, service, options, out) =
            unsafe { (convert::string(host), convert::string(service), self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (options?, out?);
            out.write(connect_name(loop_, Query::new(Some(host?), Some(service?))?, options)?);
            Ok(())
        })()
    })
}

fn connect_name(loop_: tg_loop, query: Query, options: tg_conn_options) -> Result<tg_handle> {
    let found = find_loop(loop_)?;
    let (shape, how, referenced) = plan(&options, found.is_batch())?;
    let user = options.user(found.is_batch());
    let id = found.event_loop.conn_connect_name(query, how, shape, user, referenced)?;
    Ok(id.raw())
}

/// What connecting by address and by name have in common.
fn plan(options: &tg_conn_options, batch: bool) -> Result<(Rc<Shape>, ConnectOptions, bool)> {
    let shape = Rc::new(options.shape(batch)?);
    if options.flags & TG_CONN_DUPLICATE != 0 {
        return Err(Error::invalid("TG_CONN_DUPLICATE is for tg_conn_open"));
    }
    let how = ConnectOptions { no_delay: options.no_delay(), keep_alive: options.keep_alive(), local: None };
    Ok((shape, how, options.referenced()))
}
