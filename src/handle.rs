//! Chapter: what all handles have.

use crate::callbacks::User;
use crate::convert::{Sized_, out, sized_out};
use crate::registry::find_handle;
use crate::types::{tg_handle, tg_loop, tg_release_cb};
use std::ffi::{c_int, c_void};
use tidegate_reactor::event_loop::{HandleInfo, HookKind, JobKind, Kind};
use tidegate_reactor::{Error, Result};

/// Kind of handle: watches a descriptor.
pub const TG_KIND_IO: u32 = 1;
/// Kind of handle: a timer.
pub const TG_KIND_TIMER: u32 = 2;
/// Kind of handle: watches a signal.
pub const TG_KIND_SIGNAL: u32 = 3;
/// Kind of handle: can be sent to from any thread.
pub const TG_KIND_ASYNC: u32 = 4;
/// Kind of handle: a hook before the wait.
pub const TG_KIND_PREPARE: u32 = 5;
/// Kind of handle: a hook after the I/O.
pub const TG_KIND_CHECK: u32 = 6;
/// Kind of handle: a hook of every turn, which keeps the wait from blocking.
pub const TG_KIND_IDLE: u32 = 7;

/// Kind of handle: work on another thread.
pub const TG_KIND_WORK: u32 = 8;
/// Kind of handle: accepts connections.
pub const TG_KIND_LISTENER: u32 = 15;
/// Kind of handle: a connected stream.
pub const TG_KIND_CONN: u32 = 16;
/// Kind of handle: a rate limit.
pub const TG_KIND_RATE: u32 = 17;

/// Kind of handle: a look-up of names.
pub const TG_KIND_RESOLVE: u32 = 9;
/// Kind of handle: a file.
pub const TG_KIND_FILE: u32 = 10;
/// Kind of handle: an operation on files.
pub const TG_KIND_FILE_OP: u32 = 11;

/// Kind of handle: a process.
pub const TG_KIND_PROCESS: u32 = 13;
/// Kind of handle: watches files.
pub const TG_KIND_WATCH: u32 = 14;

/// Kind of handle: a socket for datagrams.
pub const TG_KIND_UDP: u32 = 12;

/// Flag of `tg_handle_info`: something can still come of it (armed, started, with interest).
pub const TG_INFO_ACTIVE: u32 = 0x1;
/// Flag of `tg_handle_info`: it keeps the loop alive while it is active.
pub const TG_INFO_REF: u32 = 0x2;

/// What a handle is and does.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_handle_info {
    /// Set by the caller to the size of the structure.
    pub size: usize,
    /// Its id.
    pub handle: tg_handle,
    /// TG_KIND_…
    pub kind: u32,
    /// TG_INFO_…
    pub flags: u32,
    /// The descriptor (-1: a file that is not open yet), the signal's number, the timer's deadline on its clock in nanoseconds
    /// (-1: stopped), the process's number, how many directories are watched; else 0.
    pub value: i64,
    /// What an I/O watcher waits for; else 0.
    pub interest: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: repr(C), `size` first, integers only.
unsafe impl Sized_ for tg_handle_info {
    members!(tg_handle_info: handle, kind, flags, value, interest, reserved);
    const DEFAULT: Self = tg_handle_info { size: 0, handle: 0, kind: 0, flags: 0, value: 0, interest: 0, reserved: 0 };
}

/// Closes a handle of any kind. Its id is dead when this returns, no further callback of it comes, and its descriptor, if
/// it has one, has left the poller (it stays open if it is the caller's). Its `user` is released at the end of the turn, or
/// of the next one when none is going on.
///
/// Thread: the loop's.
/// Callable from callbacks: yes, the handle's own included.
/// Errors: TG_ESTALE (it is closed already: harmless), TG_EKIND (a loop or poller), TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_close(handle: tg_handle) -> c_int {
    guard!(tg_close(handle), find_handle(handle).and_then(|(found, id)| found.event_loop.close(id)))
}

/// Whether a value is the id of an open handle.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Returns: 1 when it is, 0 when it is not (any more).
/// Errors: TG_EKIND (a loop or poller), TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_handle_is_open(handle: tg_handle) -> c_int {
    guard!(tg_handle_is_open(handle), {
        let info = find_handle(handle).and_then(|(found, id)| found.event_loop.info(id));
        match info {
            Ok(_) => Ok(true),
            Err(Error::STALE) => Ok(false),
            Err(error) => Err(error),
        }
    })
}

/// Which kind of handle it is: TG_KIND_…
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND (a loop or poller), TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_handle_get_kind(handle: tg_handle, out: *mut u32) -> c_int {
    guard!(tg_handle_get_kind(handle, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            out.write(kind(info(handle)?.kind));
            Ok(())
        })
    })
}

/// Which loop it lives in.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND (a loop or poller), TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_handle_get_loop(handle: tg_handle, out: *mut tg_loop) -> c_int {
    guard!(tg_handle_get_loop(handle, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            info(handle)?;
            let (found, _) = find_handle(handle)?;
            out.write(found.event_loop.id().raw());
            Ok(())
        })
    })
}

/// The `user` pointer that it carries (on a batch loop: the number, as a pointer).
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: the pointer stays the library's until it is released.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND (a loop or poller), TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_handle_get_user(handle: tg_handle, out: *mut *mut c_void) -> c_int {
    guard!(tg_handle_get_user(handle, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let (found, id) = find_handle(handle)?;
            out.write(found.event_loop.user(id)?.user);
            Ok(())
        })
    })
}

/// Gives it another `user` with its own `release` (on a batch loop: NULL). The one before is released at the end of the
/// turn.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `user` is the library's once 0 was returned, until `release` gives it back.
/// Errors: TG_EINVAL (a `release` on a batch loop), TG_EBUSY (work that is not over), TG_ENOMEM, TG_ESTALE, TG_EKIND (a loop or poller), TG_EWRONGTHREAD,
/// TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `release` may be called with `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_handle_set_user(handle: tg_handle, user: *mut c_void, release: tg_release_cb) -> c_int {
    guard!(tg_handle_set_user(handle, user, release), {
        find_handle(handle).and_then(|(found, id)| {
            if release.is_some() && found.is_batch() {
                return Err(no_functions());
            }
            found.event_loop.change_user(id, |before| User { callback: before.callback.clone(), user, release })
        })
    })
}

/// Everything that the library tells about a handle. `out->size` is set by the caller (`TG_HANDLE_INFO_INIT`).
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL, or its size is not set), TG_ESTALE, TG_EKIND (a loop or poller), TG_EWRONGTHREAD,
/// TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or as large as its first member says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_handle_get_info(handle: tg_handle, out: *mut tg_handle_info) -> c_int {
    guard!(tg_handle_get_info(handle, out), {
        // SAFETY: the caller's promise.
        unsafe { sized_out(out) }.and_then(|out| {
            let info = info(handle)?;
            let active = if info.active { TG_INFO_ACTIVE } else { 0 };
            let referenced = if info.referenced { TG_INFO_REF } else { 0 };
            out.write(tg_handle_info {
                size: 0,
                handle,
                kind: kind(info.kind),
                flags: active | referenced,
                value: info.value,
                interest: info.interest,
                reserved: 0,
            });
            Ok(())
        })
    })
}

/// Makes the handle keep the loop alive while it is active (as it does from the start, without TG_UNREF).
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND (a loop or poller), TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_handle_ref(handle: tg_handle) -> c_int {
    guard!(tg_handle_ref(handle), set_referenced(handle, true))
}

/// Lets runs end although the handle is active.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND (a loop or poller), TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_handle_unref(handle: tg_handle) -> c_int {
    guard!(tg_handle_unref(handle), set_referenced(handle, false))
}

fn set_referenced(handle: tg_handle, referenced: bool) -> Result<()> {
    let (found, id) = find_handle(handle)?;
    found.event_loop.set_referenced(id, referenced)
}

fn info(handle: tg_handle) -> Result<HandleInfo> {
    let (found, id) = find_handle(handle)?;
    found.event_loop.info(id)
}

fn kind(kind: Kind) -> u32 {
    match kind {
        Kind::Io => TG_KIND_IO,
        Kind::Timer => TG_KIND_TIMER,
        Kind::Signal => TG_KIND_SIGNAL,
        Kind::Async => TG_KIND_ASYNC,
        Kind::Hook(kind) => hook_kind(kind),
        Kind::Job(JobKind::Work) => TG_KIND_WORK,
        Kind::Listener => TG_KIND_LISTENER,
        Kind::Conn => TG_KIND_CONN,
        Kind::Rate => TG_KIND_RATE,
        Kind::Job(JobKind::Resolve) => TG_KIND_RESOLVE,
        Kind::Job(JobKind::File) => TG_KIND_FILE_OP,
        Kind::File => TG_KIND_FILE,
        Kind::Process => TG_KIND_PROCESS,
        Kind::Watch => TG_KIND_WATCH,
        Kind::Udp => TG_KIND_UDP,
    }
}

pub(crate) fn hook_kind(kind: HookKind) -> u32 {
    match kind {
        HookKind::Idle => TG_KIND_IDLE,
        HookKind::Prepare => TG_KIND_PREPARE,
        HookKind::Check => TG_KIND_CHECK,
    }
}

pub(crate) fn no_functions() -> Error {
    Error::invalid("a batch loop takes no functions: its events and releases are records")
}

/// What every options structure of a handle has: turns it into what the handle carries and does `open` with it.
///
/// # Errors
/// [`Error::INVALID`] for unknown flags, for no callback on a loop of callbacks, and for functions on a batch loop.
macro_rules! open_with {
    ($loop:expr, $($rest:tt)+) => {
        open_in!($crate::registry::find_loop($loop)?, $($rest)+)
    };
}

/// The same in a loop that was found already.
macro_rules! open_in {
    ($found:expr, $options:expr, $kind:ident, $known_flags:expr, |$event_loop:ident, $user:ident, $referenced:ident| $open:expr) => {{
        let options = $options;
        $crate::handle::check_flags(options.flags, $known_flags)?;
        let $referenced = options.flags & $crate::types::TG_UNREF == 0;
        let found = $found;
        let $user = $crate::callbacks::User {
            callback: match (found.is_batch(), options.callback.is_some()) {
                (false, true) => $crate::callbacks::Callback::$kind(options.callback),
                (false, false) => return Err(tidegate_reactor::Error::invalid("the options have no callback")),
                (true, false) if options.release.is_none() => $crate::callbacks::Callback::None,
                (true, _) => return Err($crate::handle::no_functions()),
            },
            user: options.user,
            release: options.release,
        };
        let $event_loop = &found.event_loop;
        $open
    }};
}

pub(crate) fn check_flags(flags: u32, known: u32) -> Result<()> {
    if flags & !known != 0 { Err(Error::invalid("the options have unknown flags")) } else { Ok(()) }
}
