//! Which clocks a loop reads: the system's, or in tests ones that are set by hand.

use crate::sys::clock;
use std::cell::Cell;
use std::rc::Rc;

/// A source of time in nanoseconds.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's.
    #[default]
    System,
    /// Set by hand. Waits still sleep by the system's clock, so such a loop is run without waiting.
    Manual(Rc<ManualClock>),
}

/// Clocks that stand still until they are set.
#[derive(Debug, Default)]
pub struct ManualClock {
    /// The monotonic one.
    pub monotonic_ns: Cell<i64>,
    /// The wall clock.
    pub wall_ns: Cell<i64>,
}

impl Clock {
    #[inline]
    pub(super) fn monotonic_ns(&self) -> i64 {
        match self {
            Clock::System => clock::monotonic_ns(),
            Clock::Manual(manual) => manual.monotonic_ns.get(),
        }
    }

    pub(super) fn wall_ns(&self) -> i64 {
        match self {
            Clock::System => clock::wall_ns(),
            Clock::Manual(manual) => manual.wall_ns.get(),
        }
    }
}
