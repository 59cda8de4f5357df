//! Starting a program. Everything is prepared here; what the child does before it becomes the program is in [`child`], and
//! is nothing but system calls.
//!
//! On Linux the child shares this process's memory until then (as vfork does, on a stack of its own and with every signal
//! blocked), so that starting one costs the same however large this process is; only a child that changes its user gets a
//! copy, because processes of different users must not share memory. The calling thread waits meanwhile. Elsewhere it is a
//! plain fork.

use super::waiter;
use super::{Command, How, Process, Spawned, Stdio, pipe, set_nonblocking};
use crate::base::error::{Error, Result};
use crate::sys::{Fd, errno, fork, signal};
use libc::{c_char, c_int, c_void};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Where programs are searched when there is no PATH.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// No user or group is to be set.
const UNCHANGED: u32 = u32::MAX;

/// Starts a program.
///
/// # Errors
/// What kept it from being started, in this process or in the child before it became the program: ENOENT, EACCES, ENOEXEC,
/// E2BIG, ENOTDIR, EPERM and others; [`Error::BAD_FD`] for a descriptor that is not open; [`Error::NO_MEMORY`]; EAGAIN,
/// EMFILE.
pub fn spawn(command: &Command<'_>) -> Result<Spawned> {
    let stdio = Descriptors::new(command.stdio)?;
    let files = candidates(command.file, command.env)?;
    let (files, argv) = (pointers(files.iter().map(CString::as_c_str))?, pointers(command.argv.iter().copied())?);
    let env = command.env.map(|env| pointers(env.iter().copied())).transpose()?;
    let (status, status_write) = pipe(false, true)?;
    let mut sources = stdio.sources;
    let mut plan = Plan {
        files: files.as_ptr(),
        argv: argv.as_ptr(),
        env: env.as_ref().map_or_else(inherited_environment, |env| env.as_ptr()),
        directory: command.directory.map_or(std::ptr::null(), CStr::as_ptr),
        sources: sources.as_mut_ptr(),
        source_count: sources.len(),
        status: status_write.as_raw_fd(),
        session: command.session,
        group: command.group,
        uid: command.uid.unwrap_or(UNCHANGED),
        gid: command.gid.unwrap_or(UNCHANGED),
    };
    let started = start(&mut plan)?;
    drop(status_write);
    if let Some(error) = failure(&status, started.waited) {
        started.process.wait_for_the_end(&started.fd);
        return Err(error);
    }
    Ok(Spawned { process: started.process, fd: started.fd, ends: stdio.ends })
}

/// What the child's descriptors are made from, and this process's ends.
struct Descriptors {
    sources: Vec<Fd>,
    ends: Vec<Option<OwnedFd>>,
    /// Closed in this process when the child has them.
    _children: Vec<OwnedFd>,
}

/// A descriptor of the child that is left as it is: the one of the same number here, if that is not closed on exec.
const INHERITED: Fd = -1;

impl Descriptors {
    fn new(wanted: &[Stdio]) -> Result<Descriptors> {
        let (mut sources, mut ends, mut children) = (Vec::new(), Vec::new(), Vec::new());
        sources.try_reserve(wanted.len())?;
        ends.try_reserve(wanted.len())?;
        children.try_reserve(wanted.len())?;
        for kind in wanted {
            let (child, end) = match *kind {
                Stdio::Inherit => (None, None),
                Stdio::Fd(fd) => {
                    check_open(fd)?;
                    sources.push(fd);
                    ends.push(None);
                    continue;
                }
                Stdio::Null => (Some(open_null()?), None),
                Stdio::PipeIn => {
                    let (read, write) = pipe(true, false)?;
                    (Some(read), Some(write))
                }
                Stdio::PipeOut => {
                    let (read, write) = pipe(false, true)?;
                    (Some(write), Some(read))
                }
                Stdio::Socket => {
                    let (ours, childs) = socket_pair()?;
                    (Some(childs), Some(ours))
                }
            };
            sources.push(child.as_ref().map_or(INHERITED, AsRawFd::as_raw_fd));
            children.extend(child);
            ends.push(end);
        }
        Ok(Descriptors { sources, ends, _children: children })
    }
}

fn check_open(fd: Fd) -> Result<()> {
    // SAFETY: only asks.
    if fd < 0 || unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 { Err(Error::BAD_FD) } else { Ok(()) }
}

fn open_null() -> Result<OwnedFd> {
    // SAFETY: a string that ends with a zero.
    let fd = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    if fd < 0 {
        return Err(Error::os(errno()));
    }
    // SAFETY: just made, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// This process's end, which does not block, and the child's, which does.
fn socket_pair() -> Result<(OwnedFd, OwnedFd)> {
    let (ours, childs) = std::os::unix::net::UnixStream::pair()?;
    let (ours, childs) = (OwnedFd::from(ours), OwnedFd::from(childs));
    set_nonblocking(&ours)?;
    Ok((ours, childs))
}

/// Where the program may be, in the order in which it is tried.
fn candidates(file: &CStr, env: Option<&[&CStr]>) -> Result<Vec<CString>> {
    let name = file.to_bytes();
    let mut files = Vec::new();
    if name.is_empty() {
        return Err(Error::os(libc::ENOENT).because("the name of the program is empty"));
    }
    if name.contains(&b'/') {
        files.try_reserve(1)?;
        files.push(joined(b"", name)?);
        return Ok(files);
    }
    let inherited = if env.is_none() { std::env::var_os("PATH") } else { None };
    let path = match env {
        Some(env) => env.iter().find_map(|entry| entry.to_bytes().strip_prefix(b"PATH=")),
        None => inherited.as_deref().map(std::os::unix::ffi::OsStrExt::as_bytes),
    };
    for directory in path.unwrap_or(DEFAULT_PATH).split(|byte| *byte == b':') {
        files.try_reserve(1)?;
        files.push(joined(if directory.is_empty() { b"." } else { directory }, name)?);
    }
    Ok(files)
}

fn joined(directory: &[u8], name: &[u8]) -> Result<CString> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(directory.len() + name.len() + 2)?;
    if !directory.is_empty() {
        bytes.extend_from_slice(directory);
        bytes.push(b'/');
    }
    bytes.extend_from_slice(name);
    // Both come from strings that end with a zero and so have none inside.
    CString::new(bytes).map_err(|_| Error::invalid("a zero in a name"))
}

/// As execve wants them.
fn pointers<'a>(strings: impl ExactSizeIterator<Item = &'a CStr>) -> Result<Vec<*const c_char>> {
    let mut list = Vec::new();
    list.try_reserve_exact(strings.len() + 1)?;
    list.extend(strings.map(CStr::as_ptr));
    list.push(std::ptr::null());
    Ok(list)
}

#[cfg(not(target_vendor = "apple"))]
fn inherited_environment() -> *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: the C library's variable. As with its own functions, who changes the environment while another thread
    // starts programs has to expect the worst.
    unsafe { environ }
}

#[cfg(target_vendor = "apple")]
fn inherited_environment() -> *const *const c_char {
    // SAFETY: the C library's variable.
    unsafe { (*libc::_NSGetEnviron()).cast_const().cast() }
}

/// What the child has to say if it did not become the program: nothing is good.
fn failure(status: &OwnedFd, waited: bool) -> Option<Error> {
    let mut bytes = [0u8; 4];
    loop {
        // SAFETY: room for that many bytes.
        let got = unsafe { libc::read(status.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) };
        match got {
            4 => {
                return Some(
                    Error::os(i32::from_ne_bytes(bytes)).because("said by the child before it was the program"),
                );
            }
            -1 if errno() == libc::EINTR => {}
            // The writing end may be open still: in another child that has not become its program yet. Where the
            // call that made ours has waited, the matter is decided; elsewhere we wait.
            -1 if errno() == libc::EAGAIN && !waited => wait_readable(status),
            _ => return None,
        }
    }
}

fn wait_readable(fd: &OwnedFd) {
    let mut item = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: an array of one.
    unsafe { libc::poll(&mut item, 1, -1) };
}

struct Started {
    process: Process,
    fd: OwnedFd,
    /// It is decided whether the child has become the program.
    waited: bool,
}

/// With a pidfd from the first moment.
#[cfg(all(target_os = "linux", not(feature = "portable-process")))]
fn start(plan: &mut Plan) -> Result<Started> {
    let stack = Stack::new()?;
    let mut pidfd: c_int = -1;
    let shared = if plan.uid == UNCHANGED && plan.gid == UNCHANGED { libc::CLONE_VM } else { 0 };
    let flags = shared | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let argument = std::ptr::from_mut(plan).cast::<c_void>();
    // SAFETY: `child` gets the plan, whose pointers are good until this returns, and a stack of its own; it never returns,
    // never allocates and never panics. This thread sleeps until it has become the program or has ended, so the memory
    // that they share is used by one of them at a time as far as this thread's is concerned; every signal is blocked, so
    // no handler of the program runs in it.
    let pid = signal::with_all_blocked(|| unsafe { libc::clone(child, stack.top(), flags, argument, &mut pidfd) });
    if pid < 0 {
        return Err(Error::os(errno()));
    }
    if pidfd < 0 {
        return without_pidfd(pid);
    }
    // SAFETY: just made for us.
    let fd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Started { process: Process { pid, epoch: fork::epoch(), how: How::Child }, fd, waited: true })
}

/// A kernel that ignores the wish for a pidfd: a thread waits for the child.
#[cfg(all(target_os = "linux", not(feature = "portable-process")))]
fn without_pidfd(pid: i32) -> Result<Started> {
    match waiter::ready() {
        Ok(ready) => Ok(waited_for(ready, pid, true)),
        Err(error) => {
            // SAFETY: our child, which nobody has reaped.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            while super::reap(super::Which::Pid(pid)).is_none() {
                std::thread::yield_now();
            }
            Err(error)
        }
    }
}

#[cfg(any(not(target_os = "linux"), feature = "portable-process"))]
fn start(plan: &mut Plan) -> Result<Started> {
    let ready = waiter::ready()?;
    let argument = std::ptr::from_mut(plan).cast::<c_void>();
    let pid = signal::with_all_blocked(|| {
        // SAFETY: the child only runs `child`, which makes system calls and never returns.
        match unsafe { libc::fork() } {
            0 => child(argument),
            pid => pid,
        }
    });
    if pid < 0 {
        return Err(Error::os(errno()));
    }
    Ok(waited_for(ready, pid, false))
}

fn waited_for(ready: waiter::Ready, pid: i32, waited: bool) -> Started {
    let (waiter, fd) = ready.wait_for(pid);
    Started { process: Process { pid, epoch: fork::epoch(), how: How::Waited(waiter) }, fd, waited }
}

/// Memory for the child's few calls.
#[cfg(all(target_os = "linux", not(feature = "portable-process")))]
struct Stack(*mut c_void);

#[cfg(all(target_os = "linux", not(feature = "portable-process")))]
impl Stack {
    /// More than enough: the deepest call is one of the C library's into the kernel.
    const SIZE: usize = 64 * 1024;

    fn new() -> Result<Stack> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: a fresh anonymous mapping.
        let memory =
            unsafe { libc::mmap(std::ptr::null_mut(), Stack::SIZE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if memory == libc::MAP_FAILED { Err(Error::NO_MEMORY) } else { Ok(Stack(memory)) }
    }

    /// Stacks grow down on everything that we run on.
    fn top(&self) -> *mut c_void {
        self.0.wrapping_byte_add(Stack::SIZE)
    }
}

#[cfg(all(target_os = "linux", not(feature = "portable-process")))]
impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`; the child is done with it.
        unsafe { libc::munmap(self.0, Stack::SIZE) };
    }
}

/// What the child works with: pointers to what this process has prepared.
struct Plan {
    files: *const *const c_char,
    argv: *const *const c_char,
    env: *const *const c_char,
    directory: *const c_char,
    sources: *mut Fd,
    source_count: usize,
    status: Fd,
    session: bool,
    group: bool,
    uid: u32,
    gid: u32,
}

/// The child, with every signal blocked, up to its becoming the program. Whatever it calls must be safe in a signal handler,
/// and must not panic: it may be sharing the memory of a process with many threads.
extern "C" fn child(plan: *mut c_void) -> c_int {
    // SAFETY: the caller's plan, which nobody else uses now.
    let plan = unsafe { &mut *plan.cast::<Plan>() };
    let error = become_program(plan).to_ne_bytes();
    // SAFETY: four bytes of ours; then the end of this process.
    unsafe {
        libc::write(plan.status, error.as_ptr().cast(), 4);
        libc::_exit(127)
    }
}

/// Only returns on failure, with the errno.
fn become_program(plan: &mut Plan) -> i32 {
    // SAFETY: system calls with pointers of the plan, which are good; see each step.
    unsafe {
        default_signals();
        if plan.session && libc::setsid() < 0 {
            return errno();
        }
        if plan.group && !plan.session && libc::setpgid(0, 0) < 0 {
            return errno();
        }
        if !place_descriptors(plan) || !change_user(plan) {
            return errno();
        }
        if !plan.directory.is_null() && libc::chdir(plan.directory) < 0 {
            return errno();
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        execute(plan)
    }
}

/// Handlers must be gone before signals are let through; ignored ones would stay ignored in the program.
unsafe fn default_signals() {
    // SAFETY: all zero is a valid sigaction, SIG_DFL; numbers that cannot be set are errors without effect.
    unsafe {
        let action: libc::sigaction = std::mem::zeroed();
        for signum in 1..=signal::MAX_SIGNAL {
            libc::sigaction(signum, &action, std::ptr::null_mut());
        }
    }
}

/// Puts each descriptor at its number. The table of descriptors is the child's own.
unsafe fn place_descriptors(plan: &mut Plan) -> bool {
    let count = plan.source_count as Fd;
    // SAFETY: the plan's array has that many elements; the rest are calls with numbers.
    unsafe {
        // What stands where another is to go moves away first.
        if plan.status < count {
            match libc::fcntl(plan.status, libc::F_DUPFD_CLOEXEC, count) {
                -1 => return false,
                moved => plan.status = moved,
            }
        }
        for number in 0..plan.source_count {
            let source = plan.sources.add(number);
            if *source != INHERITED && *source < count && *source != number as Fd {
                match libc::fcntl(*source, libc::F_DUPFD_CLOEXEC, count) {
                    -1 => return false,
                    moved => *source = moved,
                }
            }
        }
        for number in 0..count {
            let source = *plan.sources.add(number as usize);
            if source == INHERITED {
                // Whatever has the number: the library's own are closed on exec, and so may be the program's.
                continue;
            }
            if source == number {
                libc::fcntl(number, libc::F_SETFD, 0);
            } else if libc::dup2(source, number) < 0 {
                return false;
            }
        }
    }
    true
}

/// By the plain system calls: those of the C library concern every thread of a process, and this child has only one.
unsafe fn change_user(plan: &Plan) -> bool {
    if plan.uid == UNCHANGED && plan.gid == UNCHANGED {
        return true;
    }
    // SAFETY: numbers, and no list of groups.
    unsafe {
        drop_groups() == 0
            && (plan.gid == UNCHANGED || set_gid(plan.gid) == 0)
            && (plan.uid == UNCHANGED || set_uid(plan.uid) == 0)
    }
}

#[cfg(target_os = "linux")]
unsafe fn drop_groups() -> i32 {
    // SAFETY: an empty list.
    unsafe { libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()) as i32 }
}

#[cfg(target_os = "linux")]
unsafe fn set_gid(gid: u32) -> i32 {
    // SAFETY: a number.
    unsafe { libc::syscall(libc::SYS_setgid, gid) as i32 }
}

#[cfg(target_os = "linux")]
unsafe fn set_uid(uid: u32) -> i32 {
    // SAFETY: a number.
    unsafe { libc::syscall(libc::SYS_setuid, uid) as i32 }
}

#[cfg(not(target_os = "linux"))]
unsafe fn drop_groups() -> i32 {
    // SAFETY: an empty list.
    unsafe { libc::setgroups(0, std::ptr::null()) }
}

#[cfg(not(target_os = "linux"))]
unsafe fn set_gid(gid: u32) -> i32 {
    // SAFETY: a number.
    unsafe { libc::setgid(gid) }
}

#[cfg(not(target_os = "linux"))]
unsafe fn set_uid(uid: u32) -> i32 {
    // SAFETY: a number.
    unsafe { libc::setuid(uid) }
}

/// Tries every place where the program may be; why none of them worked.
unsafe fn execute(plan: &Plan) -> i32 {
    let mut error = libc::ENOENT;
    let mut next = plan.files;
    // SAFETY: the lists end with a null pointer, and there is at least one file.
    unsafe {
        let search = !(*next.add(1)).is_null();
        while !(*next).is_null() {
            libc::execve(*next, plan.argv, plan.env);
            match errno() {
                // There, but not to be executed: remembered in case no other is found.
                libc::EACCES => error = libc::EACCES,
                libc::ENOENT | libc::ENOTDIR if search => {}
                other => return other,
            }
            next = next.add(1);
        }
    }
    error
}
