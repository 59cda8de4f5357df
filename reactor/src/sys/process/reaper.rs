//! Reaps children whose handles were closed before they ended: one thread for all, which is there only while it has some.

use super::{Which, pipe, reap};
use crate::base::error::Result;
use crate::sys::lock::{Lock, Locked};
use crate::sys::{fork, signal};
use std::os::fd::{AsRawFd, OwnedFd};

struct State {
    /// Of which process all this is.
    epoch: u64,
    /// The pidfds of children that are to be reaped.
    left: Vec<OwnedFd>,
    /// Wakes the thread while there is one.
    wake: Option<OwnedFd>,
}

static STATE: Lock<State> = Lock::new(State { epoch: 0, left: Vec::new(), wake: None });

/// Takes a child over, by its pidfd.
pub(super) fn adopt(pidfd: OwnedFd) {
    if reap(Which::PidFd(pidfd.as_raw_fd())).is_some() {
        return;
    }
    let mut state = lock();
    state.left.push(pidfd);
    match &state.wake {
        // Fails only when the pipe is full, and then the thread is awake.
        Some(wake) => ring(wake),
        // Without a thread at present it stays in the list, for the next one that is adopted.
        None => drop(start(&mut state)),
    }
}

/// In a forked child the children are the parent's, and its thread is not here.
fn lock() -> Locked<'static, State> {
    let epoch = fork::epoch();
    let fresh = || State { epoch, left: Vec::new(), wake: None };
    if fork_seen(epoch) {
        STATE.recover_after_fork(fresh);
    }
    let mut state = STATE.lock();
    if state.epoch != epoch {
        *state = fresh();
    }
    state
}

/// Whether this is the first call in a forked child, when there is one thread only.
fn fork_seen(epoch: u64) -> bool {
    use std::sync::atomic::{AtomicU64, Ordering};
    static EPOCH: AtomicU64 = AtomicU64::new(0);
    let before = EPOCH.swap(epoch, Ordering::SeqCst);
    before != 0 && before != epoch
}

fn ring(wake: &OwnedFd) {
    // SAFETY: one byte of ours, to an open descriptor that does not block.
    unsafe { libc::write(wake.as_raw_fd(), [1u8].as_ptr().cast(), 1) };
}

fn start(state: &mut State) -> Result<()> {
    let (read, write) = pipe(false, false)?;
    let builder = std::thread::Builder::new().name("tidegate-reaper".to_owned()).stack_size(64 * 1024);
    signal::with_all_blocked(|| builder.spawn(move || serve(&read)))?;
    state.wake = Some(write);
    Ok(())
}

/// A function of its own in the compiled code, too: tools that look at memory in a forked child, which does not have this
/// thread's stack, know by its name what was lost with it.
#[inline(never)]
fn serve(wake: &OwnedFd) {
    let mut watched: Vec<libc::pollfd> = Vec::new();
    loop {
        watched.clear();
        watched.push(readable(wake));
        {
            let mut state = lock();
            state.left.retain(|pidfd| reap(Which::PidFd(pidfd.as_raw_fd())).is_none());
            if state.left.is_empty() {
                state.wake = None;
                return;
            }
            // They stay open meanwhile: only this thread takes any away.
            watched.extend(state.left.iter().map(readable));
        }
        // SAFETY: an array of that many elements. What fails is tried again.
        unsafe { libc::poll(watched.as_mut_ptr(), watched.len() as libc::nfds_t, -1) };
        let mut bytes = [0u8; 64];
        // SAFETY: room for that many bytes; the descriptor does not block.
        while unsafe { libc::read(wake.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) } > 0 {}
    }
}

fn readable(fd: &OwnedFd) -> libc::pollfd {
    libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }
}
