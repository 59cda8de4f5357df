//! What a watcher waits for and what it is told: the bits and the trigger modes.

/// Bytes can be read, a connection can be accepted, or the end has come.
pub const READ: u32 = 0x1;
/// There is urgent data (out-of-band bytes of TCP, state changes of a pty).
pub const PRIORITY: u32 = 0x2;
/// Bytes can be written, or a connect has ended.
pub const WRITE: u32 = 0x4;
/// Something is wrong with the descriptor. Only reported, never asked for.
pub const ERROR: u32 = 0x8;
/// The peer is gone; asked for, also: the peer will send no more.
pub const HANGUP: u32 = 0x10;

/// What a caller may ask for.
pub const INTERESTS: u32 = READ | PRIORITY | WRITE | HANGUP;

/// When a descriptor reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// As long as it is ready.
    #[default]
    Level,
    /// When it becomes ready.
    Edge,
    /// Once; then its interest is empty until it is set again.
    Oneshot,
}

/// What the operating system said of a descriptor, before anyone's interest is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Readiness {
    /// The bits above.
    pub bits: u32,
    /// The peer has shut down its writing half (tells a half-close from a hang-up, where the system can).
    pub half_closed: bool,
}

impl Readiness {
    /// Whether the system said exactly this.
    #[inline]
    pub fn is_just(self, bits: u32) -> bool {
        self.bits == bits && !self.half_closed
    }

    /// What a watcher with this interest is told; 0: nothing.
    ///
    /// A hang-up or an error makes every direction asked for ready, so that the next read or write finds it.
    #[inline]
    pub fn for_interest(self, interest: u32) -> u32 {
        if interest == 0 {
            return 0;
        }
        let mut bits = self.bits;
        if bits & (HANGUP | ERROR) != 0 {
            bits |= READ | WRITE;
        }
        let mut told = bits & interest;
        told |= self.bits & (HANGUP | ERROR);
        if self.half_closed {
            told |= (READ | HANGUP) & interest;
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(bits: u32) -> Readiness {
        Readiness { bits, half_closed: false }
    }

    #[test]
    fn only_what_was_asked_for_is_told() {
        assert_eq!(ready(READ | WRITE).for_interest(READ), READ);
        assert_eq!(ready(READ | PRIORITY).for_interest(WRITE), 0);
        assert_eq!(ready(READ).for_interest(0), 0);
    }

    #[test]
    fn a_hang_up_wakes_every_direction_and_says_so() {
        assert_eq!(ready(HANGUP).for_interest(READ), READ | HANGUP);
        assert_eq!(ready(ERROR).for_interest(WRITE), WRITE | ERROR);
        assert_eq!(ready(HANGUP).for_interest(PRIORITY), HANGUP);
    }

    #[test]
    fn a_half_close_is_a_hang_up_only_for_those_who_ask() {
        let half = Readiness { bits: READ, half_closed: true };
        assert_eq!(half.for_interest(READ), READ);
        assert_eq!(half.for_interest(HANGUP), HANGUP);
        assert_eq!(half.for_interest(WRITE), 0);
    }
}
