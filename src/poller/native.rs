//! The native poller: the kernel's own masks and errors, and the caller's own data.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tidegate_reactor::io::poller::Room;
use tidegate_reactor::sys::clock;
use tidegate_reactor::sys::native::{Control, NativeEvent, NativePoller};
use tidegate_reactor::sys::poller::Waker;
use tidegate_reactor::{Error, PollerEvent, Result};

/// The data of the waker, which no descriptor may use.
const WAKE: u64 = u64::MAX;

pub(super) struct Native {
    poller: NativePoller,
    /// An adopted descriptor is left as it is.
    waker: Option<Waker>,
    interruptible: bool,
    shut: AtomicBool,
    waits: AtomicU64,
}

impl Native {
    pub(super) fn new(adopt_fd: c_int, interruptible: bool) -> Result<Native> {
        let (poller, waker) = if adopt_fd >= 0 {
            (NativePoller::adopt(adopt_fd)?, None)
        } else {
            let (poller, waker) = (NativePoller::new()?, Waker::new()?);
            let events = (libc::EPOLLIN | libc::EPOLLET) as u32;
            poller.control(Control::Add, waker.write_fd(), NativeEvent { events, data: WAKE })?;
            (poller, Some(waker))
        };
        Ok(Native { poller, waker, interruptible, shut: AtomicBool::new(false), waits: AtomicU64::new(0) })
    }

    pub(super) fn add(&self, fd: c_int, events: u32, mode: u32, data: u64) -> Result<()> {
        check(mode, data)?;
        self.poller.control(Control::Add, fd, NativeEvent { events, data })
    }

    pub(super) fn modify(&self, fd: c_int, events: u32, mode: u32, data: u64) -> Result<()> {
        check(mode, data)?;
        self.poller.control(Control::Modify, fd, NativeEvent { events, data })
    }

    pub(super) fn remove(&self, fd: c_int) -> Result<()> {
        self.poller.control(Control::Remove, fd, NativeEvent::default())
    }

    pub(super) fn wait(&self, events: &mut Room, timeout_ns: i64) -> Result<usize> {
        let deadline = (timeout_ns >= 0).then(|| clock::monotonic_ns().saturating_add(timeout_ns));
        loop {
            let rest = deadline.map_or(-1, |deadline| deadline.saturating_sub(clock::monotonic_ns()).max(0));
            self.waits.fetch_add(1, Ordering::Relaxed);
            let (told, woken) = match self.wait_once(events, rest) {
                Err(error) if error.code() == -libc::EINTR && !self.interruptible => continue,
                waited => waited?,
            };
            if self.shut.load(Ordering::SeqCst) {
                self.ring();
                return Err(Error::STALE);
            }
            if told > 0 || woken || rest == 0 {
                return Ok(told);
            }
        }
    }

    /// How many events were written, and whether the waker's was among those found.
    fn wait_once(&self, events: &mut Room, timeout_ns: i64) -> Result<(usize, bool)> {
        let (mut told, mut woken, room) = (0, false, events.len());
        self.poller.wait(room, timeout_ns, |event| {
            if event.data == WAKE && self.waker.is_some() {
                woken = true;
            } else if let Some(slot) = events.get_mut(told) {
                slot.write(PollerEvent::new(event.data, event.events));
                told += 1;
            }
        })?;
        Ok((told, woken))
    }

    pub(super) fn wake(&self) -> Result<()> {
        match &self.waker {
            Some(waker) => waker.ring(),
            None => return Err(Error::NOT_SUPPORTED.because("the descriptor was adopted")),
        }
        Ok(())
    }

    fn ring(&self) {
        if let Some(waker) = &self.waker {
            waker.ring();
        }
    }

    pub(super) fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
        self.ring();
    }

    pub(super) fn fd(&self) -> c_int {
        self.poller.fd()
    }

    pub(super) fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }
}

fn check(mode: u32, data: u64) -> Result<()> {
    if mode != 0 {
        return Err(Error::invalid("a native poller's mode is part of its mask"));
    }
    if data == WAKE { Err(Error::invalid("the data may not be all ones")) } else { Ok(()) }
}
