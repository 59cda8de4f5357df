//! Processes: started, signalled and reaped one by one; never "any child", which may be somebody else's.
//!
//! Where the kernel has pidfds, a process is one descriptor that becomes readable when it ends. Elsewhere (and with the
//! feature `portable-process`) a thread waits for each child and writes to a pipe. Children whose handles are closed early
//! are reaped by the [`reaper`]'s thread, or by their own.

mod reaper;
mod spawn;
mod waiter;

pub use spawn::spawn;

use super::{Fd, errno, fork};
use crate::base::error::{Error, Result};
use std::ffi::CStr;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use waiter::Waiter;

/// What a descriptor of the child shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdio {
    /// The descriptor of the same number of this process, if it is open.
    Inherit,
    /// `/dev/null`.
    Null,
    /// A duplicate of one of this process.
    Fd(Fd),
    /// The end of a new pipe from which the child reads.
    PipeIn,
    /// The end of a new pipe to which the child writes.
    PipeOut,
    /// One of a new pair of stream sockets.
    Socket,
}

/// What shall be started.
pub struct Command<'a> {
    /// The program; searched in PATH when it has no slash.
    pub file: &'a CStr,
    /// Its arguments, the first of which is its name.
    pub argv: &'a [&'a CStr],
    /// Its environment, in whose PATH it is searched then; none: this process's.
    pub env: Option<&'a [&'a CStr]>,
    /// Where it begins; none: where this process is.
    pub directory: Option<&'a CStr>,
    /// Its descriptors from 0 on; those of 0 to 2 that are not named are inherited.
    pub stdio: &'a [Stdio],
    /// In a session of its own.
    pub session: bool,
    /// In a process group of its own.
    pub group: bool,
    /// As another user; supplementary groups are dropped.
    pub uid: Option<u32>,
    /// As another group; supplementary groups are dropped.
    pub gid: Option<u32>,
}

/// How a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// 0, or the code of an error that says why the rest is not known.
    pub status: i32,
    /// What it returned; -1 when it did not.
    pub code: i32,
    /// What has killed it; 0 when nothing has.
    pub signal: i32,
}

impl Exit {
    fn unknown(why: Error) -> Exit {
        Exit { status: why.code(), code: -1, signal: 0 }
    }
}

/// A process that is watched through a descriptor, which its owner keeps beside it.
pub struct Process {
    pid: i32,
    epoch: u64,
    how: How,
}

/// What the descriptor is.
enum How {
    /// The pidfd of a child that is ours to reap.
    #[cfg_attr(any(not(target_os = "linux"), feature = "portable-process"), allow(dead_code))]
    Child,
    /// The pidfd of a process that somebody else reaps, if it is a child: the program itself.
    Stranger { child: bool },
    /// The pipe of a thread that waits for a child of ours.
    Waited(Arc<Waiter>),
}

/// A process that was started.
pub struct Spawned {
    /// To ask and to signal it.
    pub process: Process,
    /// Readable when it has ended.
    pub fd: OwnedFd,
    /// This process's ends of the pipes and sockets that were asked for. They do not block.
    pub ends: Vec<Option<OwnedFd>>,
}

/// What to wait for.
#[derive(Clone, Copy)]
enum Which {
    Pid(i32),
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    PidFd(Fd),
}

/// Asks for the end of one child of this process. `None`: it has not ended. ECHILD when it is none, or was reaped.
fn wait_for(which: Which, options: i32) -> Result<Option<Exit>> {
    // SAFETY: all zero is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { zeroed() };
    loop {
        let (kind, id) = match which {
            Which::Pid(pid) => (libc::P_PID, pid as libc::id_t),
            #[cfg(target_os = "linux")]
            Which::PidFd(fd) => (libc::P_PIDFD, fd as libc::id_t),
            #[cfg(not(target_os = "linux"))]
            Which::PidFd(_) => return Err(Error::NOT_SUPPORTED),
        };
        // SAFETY: the structure lives through the call.
        if unsafe { libc::waitid(kind, id, &mut info, libc::WEXITED | options) } == 0 {
            break;
        }
        match errno() {
            libc::EINTR => {}
            other => return Err(Error::os(other)),
        }
    }
    // SAFETY: waitid has filled these fields, or left them 0.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok(match info.si_code {
        _ if pid == 0 => None,
        libc::CLD_EXITED => Some(Exit { status: 0, code: status, signal: 0 }),
        _ => Some(Exit { status: 0, code: -1, signal: status }),
    })
}

/// Reaps a child if it has ended; one that somebody else has reaped is over as well.
fn reap(which: Which) -> Option<Exit> {
    wait_for(which, libc::WNOHANG).unwrap_or_else(|_| Some(Exit::unknown(Error::NOT_FOUND)))
}

/// Watches a process of whomever.
///
/// # Errors
/// [`Error::NOT_FOUND`] when there is none of that number; [`Error::NOT_SUPPORTED`] without pidfds; the system's (EINVAL
/// for the number of a thread, EMFILE).
pub fn watch(pid: i32) -> Result<(Process, OwnedFd)> {
    // SAFETY: two numbers; signal 0 only looks. (A process of somebody else exists as well: EPERM.)
    if unsafe { libc::kill(pid, 0) } != 0 && errno() == libc::ESRCH {
        return Err(Error::NOT_FOUND.because("there is no such process"));
    }
    let fd = pidfd_open(pid)?;
    let child = wait_for(Which::PidFd(fd.as_raw_fd()), libc::WNOHANG | libc::WNOWAIT).is_ok();
    Ok((Process { pid, epoch: fork::epoch(), how: How::Stranger { child } }, fd))
}

#[cfg(all(target_os = "linux", not(feature = "portable-process")))]
fn pidfd_open(pid: i32) -> Result<OwnedFd> {
    // SAFETY: two numbers; the call makes a descriptor.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd >= 0 {
        // SAFETY: just made, and nobody else's. (It is close-on-exec from the start.)
        return Ok(unsafe { OwnedFd::from_raw_fd(fd as Fd) });
    }
    Err(match errno() {
        libc::ESRCH => Error::NOT_FOUND.because("there is no such process"),
        libc::ENOSYS | libc::EPERM => Error::NOT_SUPPORTED.because("the system has no pidfds"),
        other => Error::os(other),
    })
}

#[cfg(any(not(target_os = "linux"), feature = "portable-process"))]
fn pidfd_open(_pid: i32) -> Result<OwnedFd> {
    Err(Error::NOT_SUPPORTED.because("the system has no pidfds"))
}

#[cfg(target_os = "linux")]
fn pidfd_kill(fd: Fd, signum: i32) -> Result<()> {
    let nothing = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: numbers, and no structure.
    match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signum, nothing, 0) } {
        0 => Ok(()),
        _ => Err(kill_error()),
    }
}

#[cfg(not(target_os = "linux"))]
fn pidfd_kill(_fd: Fd, _signum: i32) -> Result<()> {
    Err(Error::NOT_SUPPORTED)
}

fn kill_error() -> Error {
    match errno() {
        libc::ESRCH => Error::NOT_FOUND.because("the process is gone"),
        other => Error::os(other),
    }
}

impl Process {
    /// Its number, which another process may have once it is gone.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether it was started, or watched, by the parent of this process.
    pub fn is_inherited(&self) -> bool {
        self.epoch != fork::epoch()
    }

    /// How it has ended, if it has: a child of ours is reaped by this, a stranger's is left to its parent.
    /// Statuses: [`Error::NOT_FOUND`], the program itself has reaped it; [`Error::NOT_SUPPORTED`], it is not a child of
    /// this process; [`Error::FORKED`], it was one of the process from which this one was forked.
    pub fn exit(&self, fd: Fd) -> Option<Exit> {
        match &self.how {
            _ if self.is_inherited() => Some(Exit::unknown(Error::FORKED)),
            How::Child => reap(Which::PidFd(fd)),
            How::Waited(waiter) => waiter.exit(fd),
            How::Stranger { child } => {
                let seen = wait_for(Which::PidFd(fd), libc::WNOHANG | libc::WNOWAIT);
                // Its descriptor is readable, so it is over even where nothing can be learnt of it.
                let unseen = if *child { Error::NOT_FOUND } else { Error::NOT_SUPPORTED };
                Some(seen.ok().flatten().unwrap_or(Exit::unknown(unseen)))
            }
        }
    }

    /// Sends it a signal (0: only looks whether it is there). Never reaches another process.
    ///
    /// # Errors
    /// [`Error::NOT_FOUND`] when it is gone, the system's (EPERM, EINVAL).
    pub fn kill(&self, fd: Fd, signum: i32) -> Result<()> {
        match &self.how {
            How::Stranger { .. } => pidfd_kill(fd, signum),
            How::Child => match pidfd_kill(fd, signum) {
                // Where only this call is not to be had (older kernels, filters, valgrind) the number has to do. It is the
                // child's own as long as nobody has reaped it.
                Err(error) if error.code() == -libc::ENOSYS => {
                    let there = wait_for(Which::PidFd(fd), libc::WNOHANG | libc::WNOWAIT);
                    there.map_err(|_| Error::NOT_FOUND.because("the process is gone"))?;
                    // SAFETY: two numbers.
                    if unsafe { libc::kill(self.pid, signum) } == 0 { Ok(()) } else { Err(kill_error()) }
                }
                sent => sent,
            },
            How::Waited(waiter) => waiter.kill(signum),
        }
    }

    /// For a child that is just about to end: waits, and reaps it.
    fn wait_for_the_end(&self, fd: &OwnedFd) {
        if let How::Child = self.how {
            let _ = wait_for(Which::PidFd(fd.as_raw_fd()), 0);
        }
    }

    /// Kills and reaps a child that was just started: it is not to be, because there is no place for it.
    pub fn end_now(self) {
        match &self.how {
            How::Child => {
                // SAFETY: two numbers. The child was not reaped, so its number is its own.
                unsafe { libc::kill(self.pid, libc::SIGKILL) };
                let _ = wait_for(Which::Pid(self.pid), 0);
            }
            How::Waited(waiter) => drop(waiter.kill(libc::SIGKILL)),
            How::Stranger { .. } => {}
        }
    }

    /// Nobody asks for it any more: a child of ours goes on, or is killed, and is reaped when it ends.
    pub fn leave(self, fd: OwnedFd, kill: bool) {
        if self.is_inherited() {
            if let How::Waited(waiter) = &self.how {
                waiter.close_inherited();
            }
            return;
        }
        if kill {
            // Fails when it has ended already.
            let _ = self.kill(fd.as_raw_fd(), libc::SIGKILL);
        }
        if let How::Child = self.how {
            reaper::adopt(fd);
        }
    }
}

/// A pipe of which only the ends that are asked for do not block; both are closed in programs that are started.
fn pipe(reading_blocks: bool, writing_blocks: bool) -> Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: room for two descriptors.
    if unsafe { make_pipe(&mut ends) } < 0 {
        return Err(Error::os(errno()));
    }
    // SAFETY: just made, and nobody else's.
    let ends = unsafe { ends.map(|fd| OwnedFd::from_raw_fd(fd)) };
    for (end, blocks) in ends.iter().zip([reading_blocks, writing_blocks]) {
        if !blocks {
            set_nonblocking(end)?;
        }
    }
    let [read, write] = ends;
    Ok((read, write))
}

#[cfg(not(target_vendor = "apple"))]
unsafe fn make_pipe(ends: &mut [Fd; 2]) -> i32 {
    // SAFETY: room for two descriptors.
    unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }
}

#[cfg(target_vendor = "apple")]
unsafe fn make_pipe(ends: &mut [Fd; 2]) -> i32 {
    // SAFETY: room for two descriptors, which exist when they are changed.
    unsafe {
        let made = libc::pipe(ends.as_mut_ptr());
        if made == 0 {
            ends.iter().for_each(|fd| drop(libc::fcntl(*fd, libc::F_SETFD, libc::FD_CLOEXEC)));
        }
        made
    }
}

fn set_nonblocking(fd: &OwnedFd) -> Result<()> {
    // SAFETY: an open descriptor of ours, and flags.
    let done = unsafe {
        let flags = libc::fcntl(fd.as_raw_fd(), libc::F_GETFL);
        libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK)
    };
    if done < 0 { Err(Error::os(errno())) } else { Ok(()) }
}
