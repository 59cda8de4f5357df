//! Chapter: listeners.

use crate::address::tg_address;
use crate::callbacks::{Callback, User};
use crate::conn::options::{ConnCallbacks, TG_CONN_DUPLICATE, tg_conn_options};
use crate::convert::{self, Sized_, options, out};
use crate::handle::check_flags;
use crate::registry::{find_handle, find_loop};
use crate::types::{TG_UNREF, tg_fd, tg_handle, tg_loop, tg_release_cb};
use std::ffi::{c_int, c_void};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::ptr::{null, null_mut};
use std::rc::Rc;
use tidegate_reactor::base::address::Address;
use tidegate_reactor::event_loop::ListenerConfig;
use tidegate_reactor::sys::bound::{self, BoundPath, ListenOptions};
use tidegate_reactor::sys::socket;
use tidegate_reactor::{Error, Result};

/// Flag of `tg_listener_options`: refuse the address while connections of an earlier server are not forgotten.
pub const TG_LISTENER_NO_REUSE_ADDRESS: u32 = 0x10;
/// Flag of `tg_listener_options`: share the port with other listeners that ask for this; the system spreads the connections.
pub const TG_LISTENER_REUSE_PORT: u32 = 0x20;
/// Flag of `tg_listener_options`: an IPv6 listener takes no IPv4 connections.
pub const TG_LISTENER_V6_ONLY: u32 = 0x40;
/// Flag of `tg_listener_options`: connections for which there is no descriptor are taken and closed, instead of waiting until
/// there is one.
pub const TG_LISTENER_SHED: u32 = 0x80;

/// A listener has accepted a connection from `peer`: of IPv4 when it comes from there, although the listener be one of IPv6; a
/// Unix address without a name when the peer has none. `conn` is open, with the callbacks of `tg_listener_options.conn`; give it
/// a `user` of its own by tg_handle_set_user, or close it.
pub type tg_accept_cb =
    Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void, conn: tg_handle, peer: *const tg_address)>;

/// A listener could not accept. -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM, TG_ENOMEM: there is no room at present; it rests, and goes
/// on by itself within an eighth of a second or when one of its connections is closed. Anything else: it rests until it is
/// closed.
pub type tg_listener_error_cb = Option<unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void, status: c_int)>;

/// How a listener behaves. Set up with `TG_LISTENER_OPTIONS_INIT`. All callbacks may be NULL. In the numbers 0 stands for the
/// default.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_listener_options {
    /// The size of the structure.
    pub size: usize,
    /// A connection was accepted.
    pub on_accept: tg_accept_cb,
    /// A connection could not be accepted.
    pub on_error: tg_listener_error_cb,
    /// Passed to the callbacks (a batch loop: the number in its records).
    pub user: *mut c_void,
    /// Gives `user` back; may be NULL.
    pub release: tg_release_cb,
    /// What accepted connections are like; NULL: the defaults. Copied. Its `user` is passed to their callbacks until
    /// tg_handle_set_user gives them another; its `release` must be NULL, because it would come once a connection.
    pub conn: *const tg_conn_options,
    /// TG_UNREF, TG_LISTENER_… or 0.
    pub flags: u32,
    /// How many connections may wait in the system to be accepted. Default: 4,096 (the system may allow fewer).
    pub backlog: u32,
    /// At so many open connections, at most 16,777,216, accepting rests until one is closed. Default: 65,536.
    pub max_conns: u32,
    /// The permissions of a Unix socket's file, such as 0600; 0: as the process makes files. Of other addresses 0.
    pub mode: u32,
    /// How many connections may be accepted a turn, so that a rush leaves those that are there their turn. Default: 64.
    pub accepts_per_turn: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: repr(C), `size` first; pointers and optional functions may have any bits, they are only carried.
unsafe impl Sized_ for tg_listener_options {
    members!(tg_listener_options: on_accept, on_error, user, release, conn, flags, backlog, max_conns, mode,
            accepts_per_turn, reserved);
    const DEFAULT: Self = tg_listener_options {
        size: 0,
        on_accept: None,
        on_error: None,
        user: null_mut(),
        release: None,
        conn: null(),
        flags: 0,
        backlog: 0,
        max_conns: 0,
        mode: 0,
        accepts_per_turn: 0,
        reserved: 0,
    };
}

const USUAL_BACKLOG: u32 = 4096;
const USUAL_MAX_CONNS: u32 = 65_536;
const MOST_CONNS: u32 = 1 << 24;

/// The functions of a listener, and of the connections that it accepts.
pub(crate) struct ListenerCallbacks {
    pub(crate) on_accept: tg_accept_cb,
    pub(crate) on_error: tg_listener_error_cb,
    pub(crate) conn: Rc<ConnCallbacks>,
    pub(crate) conn_user: *mut c_void,
}

/// Options that were checked, for a kind of loop.
#[derive(Clone)]
pub(crate) struct Plan {
    options: tg_listener_options,
    conn: tg_conn_options,
    config: ListenerConfig,
}

// SAFETY: the library only carries the pointers to the threads of a group; whether what they point to may be used there is
// the promise of the caller of `tg_group_new`.
unsafe impl Send for Plan {}

impl Plan {
    pub(crate) fn new(options: tg_listener_options, conn: tg_conn_options, batch: bool) -> Result<Plan> {
        let known =
            TG_UNREF | TG_LISTENER_NO_REUSE_ADDRESS | TG_LISTENER_REUSE_PORT | TG_LISTENER_V6_ONLY | TG_LISTENER_SHED;
        check_flags(options.flags, known)?;
        if batch && (options.on_accept.is_some() || options.on_error.is_some() || options.release.is_some()) {
            return Err(crate::handle::no_functions());
        }
        if conn.release.is_some() {
            return Err(Error::invalid("the release of accepted connections belongs to tg_handle_set_user"));
        }
        if conn.flags & TG_CONN_DUPLICATE != 0 {
            return Err(Error::invalid("TG_CONN_DUPLICATE is for tg_conn_open"));
        }
        if options.reserved != 0 {
            return Err(Error::invalid("a reserved member is not 0"));
        }
        if options.max_conns > MOST_CONNS {
            return Err(Error::invalid("max_conns is above 16,777,216"));
        }
        if options.mode & !0o777 != 0 {
            return Err(Error::invalid("mode has other bits than permissions"));
        }
        let config = ListenerConfig {
            shape: conn.shape(batch)?,
            max_conns: if options.max_conns == 0 { USUAL_MAX_CONNS } else { options.max_conns },
            accepts_per_turn: options.accepts_per_turn,
            shed: options.flags & TG_LISTENER_SHED != 0,
            conns_referenced: conn.referenced(),
            tells_open: batch || conn.on_open.is_some(),
        };
        Ok(Plan { options, conn, config })
    }

    pub(crate) fn listen_options(&self) -> ListenOptions {
        let flag = |flag: u32| self.options.flags & flag != 0;
        ListenOptions {
            backlog: if self.options.backlog == 0 { USUAL_BACKLOG } else { self.options.backlog },
            reuse_address: !flag(TG_LISTENER_NO_REUSE_ADDRESS),
            reuse_port: flag(TG_LISTENER_REUSE_PORT),
            v6_only: flag(TG_LISTENER_V6_ONLY),
            no_delay: self.conn.no_delay(),
            keep_alive: self.conn.keep_alive(),
            mode: (self.options.mode != 0).then_some(self.options.mode),
        }
    }

    fn user(&self) -> User {
        let (user, release) = (self.options.user, self.options.release);
        let callbacks = ListenerCallbacks {
            on_accept: self.options.on_accept,
            on_error: self.options.on_error,
            conn: self.conn.callbacks(),
            conn_user: self.conn.user,
        };
        User { callback: Callback::Listener(Rc::new(callbacks)), user, release }
    }

    pub(crate) fn open(self, loop_: tg_loop, fd: &mut Option<OwnedFd>, path: Option<BoundPath>) -> Result<tg_handle> {
        let referenced = self.options.flags & TG_UNREF == 0;
        let found = find_loop(loop_)?;
        let user = self.user();
        let id = found.event_loop.listener_open(fd, path, self.config, user, referenced)?;
        Ok(id.raw())
    }
}

/// # Safety
/// `options.conn` is NULL or as large as its first member says.
unsafe fn plan(loop_: tg_loop, options: tg_listener_options) -> Result<Plan> {
    let batch = find_loop(loop_)?.is_batch();
    // SAFETY: the caller's promise.
    let conn = unsafe { convert::options(options.conn) }?;
    Plan::new(options, conn, batch)
}

/// Listens on an address and accepts connections: TCP over IPv4 or IPv6 (`::` takes IPv4, too, unless TG_LISTENER_V6_ONLY),
/// a Unix socket by its path or abstract name. Port 0 lets the system choose; tg_listener_get_local tells which. The file
/// that a dead server has left under a Unix path is replaced, that of a living one is -EADDRINUSE; closing removes the file,
/// if it is still ours (in the process that has opened it, not in those that it has forked). A server that has bound its path and does not listen yet looks like a dead one: those that may be
/// started at the same moment need an abstract name or a lock of their own.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned; the rest is copied.
/// Errors: TG_EINVAL (`address` or `out` is NULL, or not an address; unknown flags, or TG_LISTENER_V6_ONLY without IPv6,
/// TG_LISTENER_REUSE_PORT without TCP; a number out of range; members of `conn` that contradict each other, see tg_conn_open; a
/// release for accepted connections; functions on a batch loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
/// TG_EPANIC, -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -ENOENT (a path in a directory that is not there), -ENODEV (the scope is
/// no interface), -EAFNOSUPPORT, -EMFILE, -ENFILE.
///
/// # Safety
/// `address` is NULL or readable; `options` is NULL or as large as its first member says, and so is what its `conn` points
/// to; `out` is NULL or writable; the functions may be called with their `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_listener_open(
    loop_: tg_loop, address: *const tg_address, options: *const tg_listener_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_listener_open(loop_, address, options, out), {
        // SAFETY: the caller's promise.
        let (address, options, out) = unsafe { (convert::value(address), self::options(options), self::out(out)) };
        (|| {
            let (address, options, out) = (address?.to_engine()?, options?, out?);
            check_address(&address, &options)?;
            // SAFETY: the caller's promise.
            let plan = unsafe { plan(loop_, options) }?;
            let (fd, path) = bound::listen(&address, &plan.listen_options())?;
            out.write(plan.open(loop_, &mut Some(fd), path)?);
            Ok(())
        })()
    })
}

/// Refuses what an address of that kind cannot have.
pub(crate) fn check_address(address: &Address, options: &tg_listener_options) -> Result<()> {
    let is_path = matches!(address, Address::Unix(name) if name.is_path());
    if options.mode != 0 && !is_path {
        return Err(Error::invalid("only the file of a Unix socket has a mode"));
    }
    if options.flags & TG_LISTENER_V6_ONLY != 0 && !address.is_v6() {
        return Err(Error::invalid("TG_LISTENER_V6_ONLY is for addresses of IPv6"));
    }
    if options.flags & TG_LISTENER_REUSE_PORT != 0 && matches!(address, Address::Unix(_)) {
        return Err(Error::invalid("TG_LISTENER_REUSE_PORT is for TCP"));
    }
    Ok(())
}

/// Accepts connections on a socket that listens already, such as one that was inherited (socket activation). It does not
/// block from now on. What the system was told about it before stays; `backlog`, `mode` and the flags about addresses must
/// be 0.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `fd` and `options->user` are the library's once 0 was returned.
/// Errors: TG_EINVAL (not a listening stream socket; and as tg_listener_open), TG_EBADFD, TG_EEXIST (it is being watched),
/// TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// As tg_listener_open; `fd` belongs to the caller.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_listener_adopt(
    loop_: tg_loop, fd: tg_fd, options: *const tg_listener_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_listener_adopt(loop_, fd, options, out), {
        // SAFETY: the caller's promise.
        let (options, out) = unsafe { (self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (options?, out?);
            let about_address = TG_LISTENER_NO_REUSE_ADDRESS | TG_LISTENER_REUSE_PORT | TG_LISTENER_V6_ONLY;
            if options.backlog != 0 || options.mode != 0 || options.flags & about_address != 0 {
                return Err(Error::invalid("the socket is bound already: backlog, mode and such flags must be 0"));
            }
            // SAFETY: the caller's promise.
            let plan = unsafe { plan(loop_, options) }?;
            if fd < 0 {
                return Err(Error::BAD_FD);
            }
            bound::adopt_listener(fd, &plan.listen_options())?;
            // SAFETY: it is the caller's, who hands it over; when the call fails it is let go again.
            let mut owned = Some(unsafe { OwnedFd::from_raw_fd(fd) });
            let opened = plan.open(loop_, &mut owned, None);
            if let Some(kept) = owned {
                // The caller's still.
                let _ = kept.into_raw_fd();
            }
            out.write(opened?);
            Ok(())
        })()
    })
}

/// Pauses accepting: connections wait in the system.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_listener_pause(listener: tg_handle) -> c_int {
    guard!(tg_listener_pause(listener), {
        find_handle(listener).and_then(|(found, id)| found.event_loop.listener_pause(id, true))
    })
}

/// Resumes accepting; harmless when it is not paused.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_listener_resume(listener: tg_handle) -> c_int {
    guard!(tg_listener_resume(listener), {
        find_handle(listener).and_then(|(found, id)| found.event_loop.listener_pause(id, false))
    })
}

/// Ends a listener in good order: accepts the connections that wait in the system's queue, then closes. Closing it at once
/// (tg_close) would reset them. At `max_conns` it waits for room first. Those whose connecting is under way at the moment of
/// closing are reset. One that fails for good meanwhile closes after `on_error`. Connections that it has accepted live on in
/// either case.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_listener_finish(listener: tg_handle) -> c_int {
    guard!(tg_listener_finish(listener), {
        find_handle(listener).and_then(|(found, id)| found.event_loop.listener_finish(id))
    })
}

/// How many of the connections that it has accepted are open.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_listener_get_conns(listener: tg_handle, out: *mut u32) -> c_int {
    guard!(tg_listener_get_conns(listener, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let (found, id) = find_handle(listener)?;
            out.write(found.event_loop.listener_conns(id)?);
            Ok(())
        })
    })
}

/// The address that it listens on, with the port that the system has chosen.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_listener_get_local(listener: tg_handle, out: *mut tg_address) -> c_int {
    guard!(tg_listener_get_local(listener, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let (found, id) = find_handle(listener)?;
            let fd = found.event_loop.listener_fd(id)?;
            out.write(tg_address::from_engine(&socket::local_address(fd)?));
            Ok(())
        })
    })
}

/// Its socket, for options that the library has no words for. It must not be closed or accepted from.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's; the socket stays the library's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_listener_get_fd(listener: tg_handle, out: *mut tg_fd) -> c_int {
    guard!(tg_listener_get_fd(listener, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let (found, id) = find_handle(listener)?;
            out.write(found.event_loop.listener_fd(id)?);
            Ok(())
        })
    })
}
