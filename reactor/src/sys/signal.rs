//! Signals: one handler for the whole process, which counts and rings at the ports of the loops that subscribed.
//!
//! The program's own disposition is kept when the first loop subscribes to a signal, and put back when the last one has
//! left, unless the program has set another one meanwhile: that one is then left alone.

use super::lock::{Lock, Locked};
use super::port::port;
use super::{errno, fork, set_errno};
use crate::base::error::{Error, Result};
use crate::base::id::TAGS;
use std::sync::atomic::{AtomicU64, Ordering};

/// Signals are numbered from 1 to this.
pub const MAX_SIGNAL: i32 = 64;

const WORDS: usize = TAGS / 64;

/// What the handler works with: how often the signal came, and which tags want to hear of it.
struct Line {
    deliveries: AtomicU64,
    subscribers: [AtomicU64; WORDS],
}

static LINES: [Line; MAX_SIGNAL as usize] =
    [const { Line { deliveries: AtomicU64::new(0), subscribers: [const { AtomicU64::new(0) }; WORDS] } };
        MAX_SIGNAL as usize];

/// The dispositions that were found, by signal.
struct Saved([Option<libc::sigaction>; MAX_SIGNAL as usize]);

// SAFETY: a sigaction is numbers and function addresses, which every thread may read.
unsafe impl Send for Saved {}

static SAVED: Lock<Saved> = Lock::new(Saved([None; MAX_SIGNAL as usize]));

fn line(signum: i32) -> &'static Line {
    &LINES[(signum - 1) as usize]
}

/// How often the signal has been delivered to this process while anybody subscribed to it.
pub fn deliveries(signum: i32) -> u64 {
    line(signum).deliveries.load(Ordering::SeqCst)
}

/// Rings at the port of `tag` when the signal is delivered. One subscription a tag and signal.
///
/// # Errors
/// [`Error::INVALID`] for a number outside 1 to 64; the operating system's, such as EINVAL for SIGKILL and SIGSTOP.
pub fn subscribe(tag: u16, signum: i32) -> Result<()> {
    if !(1..=MAX_SIGNAL).contains(&signum) {
        return Err(Error::invalid("signal numbers go from 1 to 64"));
    }
    let mut saved = lock_saved();
    let slot = &mut saved.0[(signum - 1) as usize];
    // Not only the first time: the program may have set a disposition of its own meanwhile, to which we go back later.
    if slot.is_none() || !is_ours(signum) {
        *slot = Some(install(signum)?);
    }
    line(signum).subscribers[tag as usize / 64].fetch_or(1 << (tag % 64), Ordering::SeqCst);
    Ok(())
}

/// Ends the subscription; the last one of a signal puts the program's disposition back.
pub fn unsubscribe(tag: u16, signum: i32) {
    let mut saved = lock_saved();
    line(signum).subscribers[tag as usize / 64].fetch_and(!(1 << (tag % 64)), Ordering::SeqCst);
    let nobody = line(signum).subscribers.iter().all(|word| word.load(Ordering::SeqCst) == 0);
    if nobody {
        if let Some(before) = saved.0[(signum - 1) as usize].take() {
            restore(signum, &before);
        }
    }
}

fn install(signum: i32) -> Result<libc::sigaction> {
    let ours = ours();
    let mut before = ours;
    // SAFETY: both structures live through the call.
    if unsafe { libc::sigaction(signum, &ours, &mut before) } < 0 {
        return Err(Error::os(errno()).because("the system does not let this signal be handled"));
    }
    Ok(before)
}

fn is_ours(signum: i32) -> bool {
    let mut current = ours();
    // SAFETY: the structure lives through the call; nothing is set.
    unsafe { libc::sigaction(signum, std::ptr::null(), &mut current) };
    current.sa_sigaction == handler_address()
}

fn restore(signum: i32, before: &libc::sigaction) {
    if is_ours(signum) {
        // SAFETY: puts back what the system gave us.
        unsafe { libc::sigaction(signum, before, std::ptr::null_mut()) };
    }
}

/// SA_RESTART, so that the program's own blocking calls go on; SA_ONSTACK for programs whose threads have small stacks.
fn ours() -> libc::sigaction {
    // SAFETY: all zero is a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler_address();
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the mask is a field of ours.
    unsafe { libc::sigemptyset(&mut action.sa_mask) };
    action
}

fn handler_address() -> usize {
    handler as extern "C" fn(i32) as usize
}

/// Runs in signal context: atomics and one write a sleeping loop, and errno as it was.
extern "C" fn handler(signum: i32) {
    let errno_before = errno();
    let line = line(signum);
    line.deliveries.fetch_add(1, Ordering::SeqCst);
    for (word, bits) in line.subscribers.iter().enumerate() {
        let mut bits = bits.load(Ordering::SeqCst);
        while bits != 0 {
            let tag = word * 64 + bits.trailing_zeros() as usize;
            port(tag as u16).signal(signum);
            bits &= bits - 1;
        }
    }
    set_errno(errno_before);
}

/// Does something with every signal blocked in the calling thread: a thread that is started meanwhile keeps them blocked.
pub fn with_all_blocked<T>(act: impl FnOnce() -> T) -> T {
    // SAFETY: all zero is a valid set, and the three calls only write to sets of ours.
    let before = unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        before
    };
    let result = act();
    // SAFETY: puts back what was found above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
    result
}

/// Takes away a signal that was sent to this thread, which blocks it.
pub fn take_own(signum: i32) {
    // SAFETY: all zero is a valid set, and the calls only touch sets of ours. The thread's own signals come before the
    // process's; nothing is waited for.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        #[cfg(target_os = "linux")]
        {
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, signum);
            let now: libc::timespec = std::mem::zeroed();
            libc::sigtimedwait(&set, std::ptr::null_mut(), &now);
        }
        #[cfg(not(target_os = "linux"))]
        if libc::sigpending(&mut set) == 0 && libc::sigismember(&set, signum) == 1 {
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, signum);
            let mut taken = 0;
            libc::sigwait(&set, &mut taken);
        }
    }
}

/// In a forked child the lock may be held by a thread that exists only in the parent. Then the dispositions to go back to
/// are lost and our handler stays, which does no harm: it only rings at open ports.
fn lock_saved() -> Locked<'static, Saved> {
    static EPOCH: AtomicU64 = AtomicU64::new(0);
    let epoch = fork::epoch();
    // Only the first call in a child finds a number that is not 0 and not its own, and then there is one thread.
    let before = EPOCH.swap(epoch, Ordering::SeqCst);
    if before != 0 && before != epoch {
        SAVED.recover_after_fork(|| Saved([None; MAX_SIGNAL as usize]));
    }
    SAVED.lock()
}
