//! The thread-safe door of each loop: a static entry that is never freed.
//!
//! Other threads and signal handlers reach a loop only through its port, so that waking a loop that has just been
//! freed finds a closed door, and never memory or a descriptor that now belongs to somebody else. Everything here is
//! lock-free; [`Port::enter`] to [`Visit`]'s end may run in a signal handler.

use super::{Fd, annotate, fork};
use crate::base::error::{Error, Result};
use crate::base::id::{Id, MAX_GENERATION, OWNER_INDEX, TAGS};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};

/// One tag's door. Its fields are what a claim sets up and [`Claim`]'s drop takes down.
pub struct Port {
    /// The owner's generation, shifted left by two, and one of FREE, CLAIMED, OPEN.
    life: AtomicU64,
    /// The generation at which the next owner begins; 0 stands for 1.
    floor: AtomicU32,
    /// [`fork::epoch`] of the process the owner belongs to.
    epoch: AtomicU64,
    /// How many visits are going on; the owner waits for 0 before it closes the descriptor.
    visitors: AtomicU32,
    /// Whether a wake must write to the descriptor: true except while the owner is certain to look before it sleeps.
    armed: AtomicBool,
    stop: AtomicBool,
    woken: AtomicBool,
    wake_fd: AtomicI32,
    /// One bit a signal (bit 0 is signal 1) delivered since the owner last looked.
    signals: AtomicU64,
}

const FREE: u64 = 0;
const CLAIMED: u64 = 1;
const OPEN: u64 = 2;
const STATE: u64 = 3;

static PORTS: [Port; TAGS] = [const { Port::new() }; TAGS];
static HINT: AtomicU32 = AtomicU32::new(0);

/// The port of a tag.
#[inline]
pub fn port(tag: u16) -> &'static Port {
    &PORTS[tag as usize % TAGS]
}

/// A tag of one's own, until it is dropped.
pub struct Claim {
    tag: u16,
    port: &'static Port,
    generation: u32,
    /// Above every generation given out by this owner; set before the drop.
    pub next_floor: u32,
}

/// A visit to a port that was open when it began; the owner's end waits for it.
pub struct Visit(&'static Port);

impl Port {
    const fn new() -> Port {
        Port {
            life: AtomicU64::new(FREE),
            floor: AtomicU32::new(0),
            epoch: AtomicU64::new(0),
            visitors: AtomicU32::new(0),
            armed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            woken: AtomicBool::new(false),
            wake_fd: AtomicI32::new(0),
            signals: AtomicU64::new(0),
        }
    }

    /// Visits the owner of this generation.
    ///
    /// # Errors
    /// [`Error::STALE`], [`Error::FORKED`].
    pub fn enter(&'static self, generation: u32) -> Result<Visit> {
        let visit = self.enter_any()?;
        if self.life.load(Ordering::SeqCst) >> 2 != u64::from(generation) {
            return Err(Error::STALE);
        }
        Ok(visit)
    }

    /// Visits whoever owns the tag now.
    ///
    /// # Errors
    /// [`Error::STALE`], [`Error::FORKED`].
    pub fn enter_any(&'static self) -> Result<Visit> {
        self.visitors.fetch_add(1, Ordering::SeqCst);
        let visit = Visit(self);
        if self.life.load(Ordering::SeqCst) & STATE != OPEN {
            return Err(Error::STALE);
        }
        if self.epoch.load(Ordering::Relaxed) != fork::epoch() {
            return Err(Error::FORKED);
        }
        Ok(visit)
    }

    /// Whether the owner of this generation is there at this moment.
    ///
    /// # Errors
    /// [`Error::STALE`], [`Error::FORKED`].
    pub fn check(&self, generation: u32) -> Result<()> {
        if self.life.load(Ordering::SeqCst) != (u64::from(generation) << 2) | OPEN {
            return Err(Error::STALE);
        }
        if self.epoch.load(Ordering::Relaxed) != fork::epoch() { Err(Error::FORKED) } else { Ok(()) }
    }

    /// Like [`Visit::wake_if_armed`], for those who know by other means that the owner cannot shut the port meanwhile: they
    /// hold a lock that it takes first.
    pub fn wake_if_armed_unvisited(&self) {
        self.write_if_armed();
    }

    fn write_if_armed(&self) {
        // Looking first keeps the line shared between threads that post in a burst.
        if self.armed.load(Ordering::SeqCst) && self.armed.swap(false, Ordering::SeqCst) {
            write_wake(self.wake_fd.load(Ordering::SeqCst));
        }
    }

    /// From the signal handler: like [`Port::enter_any`], and never touches an inherited loop.
    pub(super) fn signal(&'static self, signum: i32) {
        self.visitors.fetch_add(1, Ordering::SeqCst);
        let visit = Visit(self);
        let open = self.life.load(Ordering::SeqCst) & STATE == OPEN;
        if open && fork::known_epoch() == Some(self.epoch.load(Ordering::Relaxed)) {
            self.signals.fetch_or(1 << (signum - 1), Ordering::SeqCst);
            visit.wake_if_armed();
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.visitors.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Visit {
    /// Makes the owner look for work: at most one write until it has looked.
    pub fn wake_if_armed(&self) {
        self.0.write_if_armed();
    }

    /// Ends the wait that is going on, or makes the next one return at once.
    pub fn wake(&self) {
        self.0.woken.store(true, Ordering::SeqCst);
        self.wake_if_armed();
    }

    /// Asks the owner's run to end.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::SeqCst);
        self.wake_if_armed();
    }
}

/// Writes to a wake descriptor that is certain to be open.
#[cfg(unix)]
pub(super) fn write_wake(fd: Fd) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: 8 bytes of ours. The descriptor is the owner's, who closes it only after the last visit has ended. It does
    // not block; it can only be full, and then it is already awake.
    unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) };
}

impl Claim {
    /// Takes a free tag; its port stays shut until [`Claim::open`].
    ///
    /// # Errors
    /// [`Error::LIMIT`] when every tag is in use or used up.
    pub fn new() -> Result<Claim> {
        let start = HINT.fetch_add(1, Ordering::Relaxed) as usize;
        // Twice: while tags change hands one that is free now may have been taken when it was looked at.
        for step in 0..2 * TAGS {
            let tag = (start + step) % TAGS;
            if let Some(claim) = Claim::take(tag as u16) {
                return Ok(claim);
            }
        }
        Err(Error::LIMIT.because("every loop and poller that a process may have is in use"))
    }

    fn take(tag: u16) -> Option<Claim> {
        let port = port(tag);
        // The owner before stores the floor first and frees the tag then: read the other way round, a tag that is seen free
        // shows the floor that belongs to it, and if it changes hands in between, the exchange below fails.
        let free = port.life.load(Ordering::Acquire);
        let generation = port.floor.load(Ordering::Acquire).max(1);
        if free & STATE != FREE || generation > MAX_GENERATION {
            return None;
        }
        let mine = (u64::from(generation) << 2) | CLAIMED;
        port.life.compare_exchange(free, mine, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        annotate::atomic_memory(&raw const *port as usize, size_of::<Port>());
        Some(Claim { tag, port, generation, next_floor: generation + 1 })
    }

    /// Opens the port: wakes write to `wake_fd`.
    pub fn open(&self, wake_fd: Fd) {
        let port = self.port;
        port.epoch.store(fork::epoch(), Ordering::Relaxed);
        port.signals.store(0, Ordering::Relaxed);
        port.stop.store(false, Ordering::Relaxed);
        port.woken.store(false, Ordering::Relaxed);
        port.armed.store(true, Ordering::Relaxed);
        port.wake_fd.store(wake_fd, Ordering::SeqCst);
        port.life.store((u64::from(self.generation) << 2) | OPEN, Ordering::SeqCst);
    }

    /// In a forked child, whose only thread is the caller: opens the inherited port anew. While the loop is running it
    /// stays disarmed.
    pub fn reopen(&self, wake_fd: Fd, running: bool) {
        self.port.visitors.store(0, Ordering::SeqCst);
        self.open(wake_fd);
        if running {
            self.disarm();
        }
    }

    /// Shuts the port and waits until nobody is inside. Afterwards the wake descriptor may be closed.
    pub fn shut(&self) {
        let port = self.port;
        port.life.store((u64::from(self.generation) << 2) | CLAIMED, Ordering::SeqCst);
        // In a forked child the visitors of the parent's other threads never leave.
        if port.epoch.load(Ordering::Relaxed) != fork::epoch() {
            port.visitors.store(0, Ordering::SeqCst);
        }
        while port.visitors.load(Ordering::SeqCst) != 0 {
            std::thread::yield_now();
        }
        annotate::happens_after(&raw const *port as usize);
    }

    /// The id of the owner itself.
    pub fn id(&self) -> Id {
        Id::new(self.tag, self.generation, OWNER_INDEX)
    }

    /// The tag.
    pub fn tag(&self) -> u16 {
        self.tag
    }

    /// Where the generations of this owner's slots begin.
    pub fn floor(&self) -> u32 {
        self.generation
    }

    /// Whether this process is a forked child of the one the owner belongs to.
    #[inline]
    pub fn is_forked(&self) -> bool {
        self.port.epoch.load(Ordering::Relaxed) != fork::epoch()
    }

    /// From now on wakes need not write: the owner looks at everything before it sleeps.
    #[inline]
    pub fn disarm(&self) {
        if self.port.armed.load(Ordering::SeqCst) {
            self.port.armed.store(false, Ordering::SeqCst);
        }
    }

    /// From now on a wake writes. The owner looks once more for work after this, and before it sleeps.
    #[inline]
    pub fn arm(&self) {
        self.port.armed.store(true, Ordering::SeqCst);
    }

    /// Takes the signals that were delivered since the last time, one bit each.
    #[inline]
    pub fn take_signals(&self) -> u64 {
        match self.port.signals.load(Ordering::SeqCst) {
            0 => 0,
            _ => self.port.signals.swap(0, Ordering::SeqCst),
        }
    }

    /// Whether there are signals to take.
    pub fn has_signals(&self) -> bool {
        self.port.signals.load(Ordering::SeqCst) != 0
    }

    /// Whether a stop was asked for.
    pub fn stop_asked(&self) -> bool {
        self.port.stop.load(Ordering::SeqCst)
    }

    /// Takes the request to stop.
    pub fn take_stop(&self) -> bool {
        self.stop_asked() && self.port.stop.swap(false, Ordering::SeqCst)
    }

    /// Whether a wake was asked for.
    pub fn wake_asked(&self) -> bool {
        self.port.woken.load(Ordering::SeqCst)
    }

    /// Takes the request to wake.
    pub fn take_wake(&self) -> bool {
        self.wake_asked() && self.port.woken.swap(false, Ordering::SeqCst)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let port = self.port;
        port.floor.store(self.next_floor.max(self.generation + 1), Ordering::Release);
        port.life.store((u64::from(self.generation) << 2) | FREE, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h01_a_reused_tag_continues_above_every_generation_given_out() {
        // mutation: Claim::drop stores the old floor.
        let mut claim = Claim::new().unwrap();
        let tag = claim.tag();
        claim.next_floor = claim.floor() + 50;
        let expected = claim.next_floor;
        drop(claim);
        let again = std::iter::from_fn(|| Claim::new().ok()).take(TAGS).find(|claim| claim.tag() == tag);
        assert_eq!(again.expect("the tag comes round").floor(), expected);
    }

    #[test]
    fn h11_visits_to_a_shut_port_are_errors() {
        // mutation: enter_any does not look at the state.
        let claim = Claim::new().unwrap();
        let generation = claim.floor();
        let door = port(claim.tag());
        assert_eq!(door.enter(generation).err(), Some(Error::STALE));
        claim.open(-1);
        assert!(door.enter(generation).is_ok());
        assert_eq!(door.enter(generation + 1).err(), Some(Error::STALE));
        claim.shut();
        assert_eq!(door.enter(generation).err(), Some(Error::STALE));
    }
}
