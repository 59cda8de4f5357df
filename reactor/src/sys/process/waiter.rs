//! Waiting for a child without pidfds: a thread a child, which writes how it has ended into a pipe.

use super::{Exit, Which, kill_error, pipe, wait_for};
use crate::base::error::{Error, Result};
use crate::sys::lock::Lock;
use crate::sys::{Fd, signal};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// What the thread and the handle of one child share.
pub(super) struct Waiter {
    /// Its number, until it was reaped: from then on it may be another's.
    pid: Lock<Option<i32>>,
    /// The end of the pipe that the thread writes to and closes.
    write: Lock<Option<OwnedFd>>,
}

/// A thread that does not yet know which child it is to wait for.
pub(super) struct Ready {
    waiter: Arc<Waiter>,
    read: OwnedFd,
    pid: Sender<i32>,
}

const LENGTH: usize = 12;

/// Starts the thread before the child, so that there is no child that cannot be waited for.
pub(super) fn ready() -> Result<Ready> {
    let (read, write) = pipe(false, true)?;
    let (pid, told) = channel();
    let waiter = Arc::new(Waiter { pid: Lock::new(None), write: Lock::new(Some(write)) });
    let mine = waiter.clone();
    let builder = std::thread::Builder::new().name("tidegate-waiter".to_owned()).stack_size(64 * 1024);
    signal::with_all_blocked(|| builder.spawn(move || mine.serve(&told)))?;
    Ok(Ready { waiter, read, pid })
}

impl Ready {
    /// The child is there.
    pub(super) fn wait_for(self, pid: i32) -> (Arc<Waiter>, OwnedFd) {
        *self.waiter.pid.lock() = Some(pid);
        // The thread is there until it is told, or the sender is gone.
        let _ = self.pid.send(pid);
        (self.waiter, self.read)
    }
}

impl Waiter {
    fn serve(&self, told: &Receiver<i32>) {
        let Ok(pid) = told.recv() else { return };
        // Looks without reaping first: while the number is still the child's, the lock can be taken.
        let _ = wait_for(Which::Pid(pid), libc::WNOWAIT);
        let exit = {
            let mut known = self.pid.lock();
            *known = None;
            wait_for(Which::Pid(pid), libc::WNOHANG).ok().flatten().unwrap_or(Exit::unknown(Error::NOT_FOUND))
        };
        let mut bytes = [0u8; LENGTH];
        for (place, number) in bytes.chunks_exact_mut(4).zip([exit.status, exit.code, exit.signal]) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        // Nobody may be reading any more; SIGPIPE is blocked in this thread, like every signal.
        let mut write = self.write.lock();
        let fd = write.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        // SAFETY: bytes of ours, and an open descriptor.
        unsafe { libc::write(fd, bytes.as_ptr().cast(), LENGTH) };
        *write = None;
    }

    pub(super) fn exit(&self, read: Fd) -> Option<Exit> {
        let mut bytes = [0u8; LENGTH];
        // SAFETY: room for that many bytes.
        let got = unsafe { libc::read(read, bytes.as_mut_ptr().cast(), LENGTH) };
        if got < 0 {
            return None;
        }
        let mut numbers = bytes.chunks_exact(4).map(|four| i32::from_ne_bytes([four[0], four[1], four[2], four[3]]));
        let mut next = || numbers.next().unwrap_or(0);
        Some(match got as usize {
            LENGTH => Exit { status: next(), code: next(), signal: next() },
            _ => Exit::unknown(Error::NOT_FOUND),
        })
    }

    pub(super) fn kill(&self, signum: i32) -> Result<()> {
        let known = self.pid.lock();
        let pid = (*known).ok_or(Error::NOT_FOUND.because("the process is gone"))?;
        // SAFETY: two numbers. While the lock is held the child is not reaped, so the number is its own, unless the program
        // reaps it behind our back.
        match unsafe { libc::kill(pid, signum) } {
            0 => Ok(()),
            _ => Err(kill_error()),
        }
    }

    /// In a forked child, where the thread is not: closes its end of the pipe.
    pub(super) fn close_inherited(&self) {
        self.write.recover_after_fork(|| None);
        *self.write.lock() = None;
    }
}
