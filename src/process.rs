//! Chapter: processes.

use crate::convert::{Sized_, options, out, slice, string, strings};
use crate::error::noted;
use crate::registry::find_handle;
use crate::types::{TG_UNREF, tg_fd, tg_handle, tg_loop, tg_release_cb};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::os::fd::IntoRawFd;
use std::ptr::{null, null_mut};
use tidegate_reactor::sys::process::{Command, Stdio};
use tidegate_reactor::sys::socket;
use tidegate_reactor::{Error, Result};

/// Flag of a process: in a session of its own, without a terminal (setsid).
pub const TG_PROCESS_DETACHED: u32 = 0x2;
/// Flag of a process: in a process group of its own, so that what is typed at the terminal does not reach it.
pub const TG_PROCESS_GROUP: u32 = 0x4;
/// Flag of a process: when its handle is closed before it has ended, or its loop freed, it is killed. Without it, it goes on.
pub const TG_PROCESS_KILL_ON_CLOSE: u32 = 0x8;
/// Flag of a process: as the user `uid`. Supplementary groups are dropped first.
pub const TG_PROCESS_SET_UID: u32 = 0x10;
/// Flag of a process: as the group `gid`. Supplementary groups are dropped first.
pub const TG_PROCESS_SET_GID: u32 = 0x20;

/// Descriptor of a program: the one of the same number of this process, if it is open and not marked close-on-exec.
pub const TG_STDIO_INHERIT: u32 = 0;
/// Descriptor of a program: /dev/null.
pub const TG_STDIO_NULL: u32 = 1;
/// Descriptor of a program: a duplicate of `fd`, which stays the caller's. Its flags are shared: a program may be confused by
/// one that does not block.
pub const TG_STDIO_FD: u32 = 2;
/// Descriptor of a program: a new pipe from which it reads; tg_process_take_stdio gives the end to write to.
pub const TG_STDIO_PIPE_IN: u32 = 3;
/// Descriptor of a program: a new pipe to which it writes; tg_process_take_stdio gives the end to read from.
pub const TG_STDIO_PIPE_OUT: u32 = 4;
/// Descriptor of a program: a new stream socket; tg_process_take_stdio gives its peer.
pub const TG_STDIO_SOCKET: u32 = 5;

/// What a descriptor of a program shall be.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_stdio {
    /// TG_STDIO_…
    pub kind: u32,
    /// For TG_STDIO_FD; else not looked at.
    pub fd: tg_fd,
}

/// The process has ended, and the handle closes when the callback returns. `status` is 0: `exit_code` is what it returned (0 to
/// 255) and `signum` 0, or `exit_code` is -1 and `signum` has killed it. Otherwise nothing is known but that it is over, and
/// they are -1 and 0: TG_ENOENT, somebody else in this process has reaped it (waitpid(-1), or SIGCHLD is ignored);
/// TG_ENOTSUP, it is watched and not a child of this process; TG_EFORKED, the loop was reopened in a forked child, whose
/// child it is not.
pub type tg_process_cb = Option<
    unsafe extern "C-unwind" fn(self_: tg_handle, user: *mut c_void, status: c_int, exit_code: c_int, signum: c_int),
>;

/// What shall be started and how. Set up with `TG_PROCESS_OPTIONS_INIT`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_process_options {
    /// The size of the structure.
    pub size: usize,
    /// Whom to call at the end (NULL on a batch loop).
    pub callback: tg_process_cb,
    /// Passed to the callback (a batch loop: the number in its records).
    pub user: *mut c_void,
    /// Gives `user` back; may be NULL.
    pub release: tg_release_cb,
    /// The program. Without a slash it is searched in the PATH of `env`, or of this process when `env` is NULL.
    pub file: *const c_char,
    /// Its arguments, the first of which is its name, and NULL; NULL: `file` alone.
    pub argv: *const *mut c_char,
    /// Its environment, and NULL; NULL: this process's.
    pub env: *const *mut c_char,
    /// Where it begins; NULL: where this process is.
    pub directory: *const c_char,
    /// Its descriptors 0 to `stdio_count` - 1. Of 0 to 2 those that are not named are inherited; any other it has as
    /// every program that is executed: those that are not close-on-exec, which all of this library's are.
    pub stdio: *const tg_stdio,
    /// TG_UNREF, TG_PROCESS_… or 0.
    pub flags: u32,
    /// How many `stdio` has, at most 1,024.
    pub stdio_count: u32,
    /// With TG_PROCESS_SET_UID.
    pub uid: u32,
    /// With TG_PROCESS_SET_GID.
    pub gid: u32,
}

// SAFETY: repr(C), `size` first; pointers and optional functions may have any bits, they are only carried.
unsafe impl Sized_ for tg_process_options {
    members!(tg_process_options: callback, user, release, file, argv, env, directory,
        stdio, flags, stdio_count, uid, gid);
    const DEFAULT: Self = tg_process_options {
        size: 0,
        callback: None,
        user: null_mut(),
        release: None,
        file: null(),
        argv: null(),
        env: null(),
        directory: null(),
        stdio: null(),
        flags: 0,
        stdio_count: 0,
        uid: 0,
        gid: 0,
    };
}

/// How a process shall be watched. Set up with `TG_PROCESS_WATCH_OPTIONS_INIT`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_process_watch_options {
    /// The size of the structure.
    pub size: usize,
    /// Whom to call at the end (NULL on a batch loop).
    pub callback: tg_process_cb,
    /// Passed to the callback (a batch loop: the number in its records).
    pub user: *mut c_void,
    /// Gives `user` back; may be NULL.
    pub release: tg_release_cb,
    /// TG_UNREF or 0.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: as above.
unsafe impl Sized_ for tg_process_watch_options {
    members!(tg_process_watch_options: callback, user, release, flags, reserved);
    const DEFAULT: Self =
        tg_process_watch_options { size: 0, callback: None, user: null_mut(), release: None, flags: 0, reserved: 0 };
}

/// Starts a program. When it has ended the callback is told, and the handle closes. This library reaps this child and no
/// other: no handler of SIGCHLD is needed or set, and `system` and `waitpid(pid)` of the program's own go on as ever. A handle
/// that is closed early, also by tg_loop_free, leaves no zombie: a thread of the library's reaps the child when it ends.
/// The program starts with every signal at its default and none blocked. What keeps it from being started is this call's
/// answer, also where that happens in the child. The calling thread waits until the child has become the program (some
/// hundred microseconds).
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned; everything else is read during the call.
/// Errors: TG_EINVAL (`out` or `file` is NULL; `argv` is empty; an unknown kind of stdio, or too many; unknown flags; no
/// callback; functions on a batch loop), TG_EBADFD (an `fd` that is not open), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND,
/// TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOENT (no such program, or directory), -EACCES, -ENOTDIR, -ENOEXEC (a script
/// without a first line that names its interpreter, among others), -E2BIG, -EPERM (the user or group may not be set), -EAGAIN
/// (no more processes), -EMFILE, -ENFILE, and others of execve(2).
///
/// # Safety
/// `options` is NULL or as large as its first member says, and what it points to is readable: strings that end with a
/// zero, lists that end with NULL, `stdio_count` elements of `stdio`; `out` is NULL or writable; the functions may be called
/// with `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_process_open(
    loop_: tg_loop, options: *const tg_process_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_process_open(loop_, options, out), {
        // SAFETY: the caller's promise.
        let (options, out) = unsafe { (self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (options?, out?);
            // SAFETY: the caller's promise about what the options point to.
            out.write(unsafe { open(loop_, options) }?);
            Ok(())
        })()
    })
}

const FLAGS: u32 = TG_UNREF
    | TG_PROCESS_DETACHED
    | TG_PROCESS_GROUP
    | TG_PROCESS_KILL_ON_CLOSE
    | TG_PROCESS_SET_UID
    | TG_PROCESS_SET_GID;

/// # Safety
/// What the options point to is readable.
unsafe fn open(loop_: tg_loop, options: tg_process_options) -> Result<tg_handle> {
    // SAFETY: the caller's promise, for each of them.
    let (file, argv, env, directory, stdio) = unsafe {
        let directory = if options.directory.is_null() { None } else { Some(string(options.directory)?) };
        let stdio = slice(options.stdio, options.stdio_count as usize)?;
        (string(options.file)?, strings(options.argv.cast())?, strings(options.env.cast())?, directory, stdio)
    };
    let flag = |flag: u32| options.flags & flag != 0;
    let name: [&CStr; 1] = [file];
    let command = Command {
        file,
        argv: argv.as_deref().unwrap_or(&name),
        env: env.as_deref(),
        directory,
        stdio: &descriptors(stdio)?,
        session: flag(TG_PROCESS_DETACHED),
        group: flag(TG_PROCESS_GROUP),
        uid: flag(TG_PROCESS_SET_UID).then_some(options.uid),
        gid: flag(TG_PROCESS_SET_GID).then_some(options.gid),
    };
    if [command.uid, command.gid].contains(&Some(u32::MAX)) {
        // To the system it says "as it is": a look-up that has failed must not keep the rights of the caller.
        return Err(Error::invalid("no user or group has the number 4,294,967,295"));
    }
    let kill_on_close = flag(TG_PROCESS_KILL_ON_CLOSE);
    let id = open_with!(loop_, options, Process, FLAGS, |event_loop, user, referenced| {
        event_loop.process_open(&command, kill_on_close, user, referenced).map_err(|error| closed(error, stdio))
    })?;
    Ok(id.raw())
}

/// Which descriptor it is that is not open.
fn closed(error: Error, stdio: &[tg_stdio]) -> Error {
    let bad = |wanted: &tg_stdio| socket::duplicate(wanted.fd).is_err_and(|error| error.is(Error::BAD_FD));
    match stdio.iter().position(|wanted| wanted.kind == TG_STDIO_FD && bad(wanted)) {
        Some(index) if error.is(Error::BAD_FD) => noted(error, format_args!("stdio[{index}].fd = {}", stdio[index].fd)),
        _ => error,
    }
}

fn descriptors(stdio: &[tg_stdio]) -> Result<Vec<Stdio>> {
    if stdio.len() > tidegate_reactor::event_loop::MAX_STDIO {
        return Err(Error::invalid("more than 1,024 descriptors"));
    }
    let mut list = Vec::new();
    list.try_reserve_exact(stdio.len())?;
    for (index, wanted) in stdio.iter().enumerate() {
        list.push(match wanted.kind {
            TG_STDIO_INHERIT => Stdio::Inherit,
            TG_STDIO_NULL => Stdio::Null,
            TG_STDIO_FD => Stdio::Fd(wanted.fd),
            TG_STDIO_PIPE_IN => Stdio::PipeIn,
            TG_STDIO_PIPE_OUT => Stdio::PipeOut,
            TG_STDIO_SOCKET => Stdio::Socket,
            kind => {
                let error = Error::invalid("an unknown kind of stdio");
                return Err(noted(error, format_args!("stdio[{index}].kind = {kind}")));
            }
        });
    }
    Ok(list)
}

/// Watches any process by its number. When it has ended the callback is told, and the handle closes. How it has ended is
/// known of children of this process that nobody has reaped yet; they are left to be reaped by whoever has started them.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned.
/// Errors: TG_EINVAL (`out` is NULL; `pid` is below 1; unknown flags; no callback; functions on a batch loop), TG_ENOENT (there
/// is no such process), TG_ENOTSUP (the system has no pidfds), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD,
/// TG_EFORKED, TG_EPANIC, -EINVAL (the number of a thread that is not the first of its process), -EMFILE, -ENFILE.
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable; the functions may be called with
/// `user` on the loop's thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_process_watch(
    loop_: tg_loop, pid: c_int, options: *const tg_process_watch_options, out: *mut tg_handle,
) -> c_int {
    guard!(tg_process_watch(loop_, pid, options, out), {
        // SAFETY: the caller's promise.
        let (options, out) = unsafe { (self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (options?, out?);
            out.write(watch(loop_, pid, options)?);
            Ok(())
        })()
    })
}

fn watch(loop_: tg_loop, pid: c_int, options: tg_process_watch_options) -> Result<tg_handle> {
    if options.reserved != 0 {
        return Err(Error::invalid("a reserved member is not 0"));
    }
    let id = open_with!(loop_, options, Process, TG_UNREF, |event_loop, user, referenced| {
        event_loop.process_watch(pid, user, referenced)
    })?;
    Ok(id.raw())
}

/// Sends a signal to the process (0: only looks whether it is there). It never reaches another process that has got the
/// same number since.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (a number outside 0 to 64), TG_ENOENT (the process is gone), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED
/// (also for a process of the parent's, after tg_loop_reopen), TG_EPANIC, -EPERM, -EINVAL.
#[unsafe(no_mangle)]
pub extern "C" fn tg_process_kill(process: tg_handle, signum: c_int) -> c_int {
    guard!(tg_process_kill(process, signum), {
        find_handle(process).and_then(|(found, id)| found.event_loop.process_kill(id, signum))
    })
}

/// The number of the process. Once the process has ended and its handle has closed, another one may get it.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_process_get_pid(process: tg_handle, out: *mut c_int) -> c_int {
    guard!(tg_process_get_pid(process, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let (found, id) = find_handle(process)?;
            out.write(found.event_loop.process_pid(id)?);
            Ok(())
        })
    })
}

/// This process's end of the pipe or socket that was made for the program's descriptor `index`. It does not block (the
/// program's end does), and is closed when another program is executed; tg_conn_open makes a connection of it. Ends that were not
/// taken are closed with the handle.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: the descriptor is the caller's, who closes it.
/// Errors: TG_EINVAL (`out` is NULL; `index` is not below `stdio_count`), TG_ENOENT (it is not a pipe or socket, or was
/// taken), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_process_take_stdio(process: tg_handle, index: u32, out: *mut tg_fd) -> c_int {
    guard!(tg_process_take_stdio(process, index, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let (found, id) = find_handle(process)?;
            let end = found.event_loop.process_take_stdio(id, index as usize)?;
            out.write(end.into_raw_fd());
            Ok(())
        })
    })
}
