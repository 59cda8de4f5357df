//! Chapter: looking up names.

use crate::address::{TG_IPV4, TG_IPV6, tg_address};
use crate::batch_sink::{Batch, LARGEST_CARRY};
use crate::callbacks::status_and_value;
use crate::convert::{self, Sized_, options, out};
use crate::types::{TG_UNREF, tg_handle, tg_loop, tg_release_cb};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;
use tidegate_reactor::base::address::Address;
use tidegate_reactor::sys::resolve::{Family, MAX_ADDRESSES, NameQuery, Query};
use tidegate_reactor::{Error, Outcome, Result};

/// Flag of tg_resolve_options: without a host, the address on which a server listens for everybody, instead of this
/// machine's own (127.0.0.1, ::1).
pub const TG_RESOLVE_PASSIVE: u32 = 0x10;
/// Flag of tg_resolve_options: the host is a numeric address. Nobody is asked.
pub const TG_RESOLVE_NUMERIC_HOST: u32 = 0x20;
/// Flag of tg_resolve_name_options: host and port in digits. Nobody is asked.
pub const TG_RESOLVE_NUMERIC: u32 = 0x40;
/// Flag of tg_resolve_name_options: digits in the place of the host's name will not do.
pub const TG_RESOLVE_NAME_REQUIRED: u32 = 0x80;

/// A look-up is over: `status` is 0 and there are `count` addresses, at least one, valid until the callback returns; or
/// `status` says why there are none and `addresses` is NULL: TG_ENONAME (no such host or service, or none of that
/// family), TG_ETRYAGAIN (the name servers do not answer), TG_ERESOLVE (they have failed), TG_ENOMEM, -errno
/// (-EMFILE: no descriptor for it), TG_ECANCELED, TG_EFORKED (it was going on when the process forked and the loop was reopened in the child). The handle
/// closes when the callback returns.
pub type tg_resolve_cb = Option<
    unsafe extern "C-unwind" fn(
        self_: tg_handle,
        user: *mut c_void,
        status: c_int,
        addresses: *const tg_address,
        count: usize,
    ),
>;

/// A look-up is over: `status` is 0 and there are the names of the host and the service, valid until the callback
/// returns; or they are NULL and `status` is as for tg_resolve_cb. The handle closes when the callback returns.
pub type tg_resolve_name_cb = Option<
    unsafe extern "C-unwind" fn(
        self_: tg_handle,
        user: *mut c_void,
        status: c_int,
        host: *const c_char,
        service: *const c_char,
    ),
>;

/// What shall be looked up, and how it is reported. Set up with `TG_RESOLVE_OPTIONS_INIT`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_resolve_options {
    /// The size of the structure.
    pub size: usize,
    /// Whom to call at the end (NULL on a batch loop).
    pub callback: tg_resolve_cb,
    /// Passed to the callback (a batch loop: the number in its records).
    pub user: *mut c_void,
    /// Gives `user` back; may be NULL.
    pub release: tg_release_cb,
    /// TG_UNREF, TG_RESOLVE_PASSIVE, TG_RESOLVE_NUMERIC_HOST, or 0.
    pub flags: u32,
    /// TG_IPV4, TG_IPV6; 0: both.
    pub family: u32,
}

// SAFETY: repr(C), `size` first; pointers and optional functions may have any bits, they are only carried.
unsafe impl Sized_ for tg_resolve_options {
    members!(tg_resolve_options: callback, user, release, flags, family);
    const DEFAULT: Self =
        tg_resolve_options { size: 0, callback: None, user: null_mut(), release: None, flags: 0, family: 0 };
}

/// How the names of an address shall be reported. Set up with `TG_RESOLVE_NAME_OPTIONS_INIT`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_resolve_name_options {
    /// The size of the structure.
    pub size: usize,
    /// Whom to call at the end (NULL on a batch loop).
    pub callback: tg_resolve_name_cb,
    /// Passed to the callback (a batch loop: the number in its records).
    pub user: *mut c_void,
    /// Gives `user` back; may be NULL.
    pub release: tg_release_cb,
    /// TG_UNREF, TG_RESOLVE_NUMERIC or TG_RESOLVE_NAME_REQUIRED (not both), or 0.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: repr(C), `size` first; pointers and optional functions may have any bits, they are only carried.
unsafe impl Sized_ for tg_resolve_name_options {
    members!(tg_resolve_name_options: callback, user, release, flags, reserved);
    const DEFAULT: Self =
        tg_resolve_name_options { size: 0, callback: None, user: null_mut(), release: None, flags: 0, reserved: 0 };
}

// An answer fits into a record.
const _: () = assert!(MAX_ADDRESSES * size_of::<tg_address>() <= LARGEST_CARRY);

/// Looks up the addresses of a host, as getaddrinfo does, on a thread: the answer comes to the callback, in the system's
/// order, each address once, at most 256, and the handle closes. Look-ups have 8 threads of each loop for themselves, so
/// slow ones keep neither work nor files waiting; further ones wait in the order of these calls. (In a forked child the system's
/// look-ups may hang for ever if a thread of the parent was in the middle of one at the fork: the C library's locks stay as they
/// were. Fork while no look-up is going on, or look up before.)
///
/// `host` is a name or a numeric address, of at most 1,024 bytes that are passed to the system unchanged (names in other
/// alphabets in their ASCII form). NULL: this machine, or everybody with TG_RESOLVE_PASSIVE. `service` is a name or a
/// port in decimal. NULL: the addresses have port 0.
///
/// Closing the handle drops the answer; a look-up that is going on ends unseen, and `user` is released without waiting
/// for it. tg_loop_free does not wait for it either.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: the names are copied; `options->user` is the library's once 0 was returned.
/// Errors: TG_EINVAL (`out` is NULL; a name of more than 1,024 bytes; a port that is no decimal number up to 65,535; an unknown family; unknown flags;
/// no callback; functions on a batch loop), TG_ENOBUFS (max_jobs of the loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND,
/// TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EAGAIN (no thread can be started).
///
/// # Safety
/// `host` and `service` are NULL or strings; `options` is NULL or as large as its first member says; `out` is
/// NULL or writable; the functions may be called with `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_resolve_open(
    loop_: tg_loop, host: *const c_char, service: *const c_char, options: *const tg_resolve_options,
    out: *mut tg_handle,
) -> c_int {
    guard!(tg_resolve_open(loop_, host, service, options, out), {
        // SAFETY: the caller's promise.
        let (host, service) = unsafe { (convert::string_or_null(host), convert::string_or_null(service)) };
        // SAFETY: the caller's promise.
        let (options, out) = unsafe { (self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (options?, out?);
            out.write(open(loop_, host, service, options)?);
            Ok(())
        })()
    })
}

fn open(loop_: tg_loop, host: Option<&CStr>, service: Option<&CStr>, options: tg_resolve_options) -> Result<tg_handle> {
    const FLAGS: u32 = TG_UNREF | TG_RESOLVE_PASSIVE | TG_RESOLVE_NUMERIC_HOST;
    let mut query = Query::new(host, service)?;
    query.family = match options.family {
        0 => Family::Any,
        TG_IPV4 => Family::V4,
        TG_IPV6 => Family::V6,
        _ => return Err(Error::invalid("the family is not 0, TG_IPV4 or TG_IPV6")),
    };
    query.passive = options.flags & TG_RESOLVE_PASSIVE != 0;
    query.numeric_host = options.flags & TG_RESOLVE_NUMERIC_HOST != 0;
    let id = open_with!(loop_, options, Resolve, FLAGS, |event_loop, user, referenced| {
        event_loop.resolve_open(query, user, referenced)
    })?;
    Ok(id.raw())
}

/// Looks up what an address and its port are called, as getnameinfo does, on a thread: the names come to the callback,
/// and the handle closes. Where there is no name the digits are given instead. The threads, closing and freeing are as
/// with tg_resolve_open.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: the address is copied; `options->user` is the library's once 0 was returned.
/// Errors: TG_EINVAL (`address` or `out` is NULL; not an address of IPv4 or IPv6; unknown flags, or both of
/// TG_RESOLVE_NUMERIC and TG_RESOLVE_NAME_REQUIRED; no callback; functions on a batch loop), TG_ENOBUFS (max_jobs of the
/// loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EAGAIN (no thread can be
/// started).
///
/// # Safety
/// `address` is NULL or readable; `options` is NULL or as large as its first member says; `out` is NULL or
/// writable; the functions may be called with `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_resolve_name_open(
    loop_: tg_loop, address: *const tg_address, options: *const tg_resolve_name_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_resolve_name_open(loop_, address, options, out), {
        // SAFETY: the caller's promise.
        let (address, options, out) = unsafe { (convert::value(address), self::options(options), self::out(out)) };
        (|| {
            let (address, options, out) = (address?.to_engine()?, options?, out?);
            out.write(open_name(loop_, address, options)?);
            Ok(())
        })()
    })
}

fn open_name(loop_: tg_loop, address: Address, options: tg_resolve_name_options) -> Result<tg_handle> {
    const FLAGS: u32 = TG_UNREF | TG_RESOLVE_NUMERIC | TG_RESOLVE_NAME_REQUIRED;
    if options.reserved != 0 {
        return Err(Error::invalid("a reserved member is not 0"));
    }
    let query = NameQuery {
        address,
        numeric: options.flags & TG_RESOLVE_NUMERIC != 0,
        required: options.flags & TG_RESOLVE_NAME_REQUIRED != 0,
    };
    let id = open_with!(loop_, options, ResolveName, FLAGS, |event_loop, user, referenced| {
        event_loop.resolve_name_open(query, user, referenced)
    })?;
    Ok(id.raw())
}

/// The addresses as C has them, or the status.
pub(crate) fn addresses(outcome: &Outcome) -> std::result::Result<Vec<tg_address>, c_int> {
    let Outcome::Addresses(Ok(found)) = outcome else { return Err(status_and_value(outcome).0) };
    let mut all = Vec::new();
    all.try_reserve_exact(found.len()).map_err(|_| Error::NO_MEMORY.code())?;
    all.extend(found.iter().map(tg_address::from_engine));
    Ok(all)
}

/// What a record says of it: `bits` and `value`.
pub(crate) fn record(batch: &Batch, outcome: &Outcome) -> (u32, i64) {
    let carried = match outcome {
        Outcome::Names(Ok(names)) => {
            Ok(batch.carry(&[names.host.as_bytes_with_nul(), names.service.as_bytes_with_nul()]))
        }
        _ => addresses(outcome).map(|all| batch.carry(&[convert::bytes_of(&all)])),
    };
    match carried {
        Ok(begin) => (status_and_value(outcome).1 as u32, begin),
        Err(status) => (status as u32, 0),
    }
}
