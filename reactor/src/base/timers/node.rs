//! What is known of one timer, and where its single queue entry lies.

/// Place of a timer's queue entry, packed into 32 bits: two bits of kind, thirty of position.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

/// A [`Place`] taken apart.
pub(super) enum At {
    /// In a bucket of the wheel, at this position of its pool.
    Wheel(u32),
    /// In the front heap, at this index.
    Front(usize),
    /// Set aside until the current expiry pass ends, at this index.
    Aside(usize),
    /// In no queue: stopped, or marked and waiting for the clock.
    Nowhere,
}

const KIND_SHIFT: u32 = 30;
const POSITION: u32 = (1 << KIND_SHIFT) - 1;

impl Place {
    pub(super) const NOWHERE: Place = Place(u32::MAX);

    #[inline]
    pub(super) fn wheel(position: u32) -> Place {
        debug_assert!(position <= POSITION);
        Place(position)
    }

    #[inline]
    pub(super) fn front(index: usize) -> Place {
        Place(1 << KIND_SHIFT | index as u32)
    }

    #[inline]
    pub(super) fn aside(index: usize) -> Place {
        Place(2 << KIND_SHIFT | index as u32)
    }

    #[inline]
    pub(super) fn at(self) -> At {
        let position = self.0 & POSITION;
        match self.0 >> KIND_SHIFT {
            0 => At::Wheel(position),
            1 => At::Front(position as usize),
            2 => At::Aside(position as usize),
            _ => At::Nowhere,
        }
    }

    #[inline]
    pub(super) fn in_wheel(self) -> bool {
        self.0 <= POSITION
    }
}

/// The node exists (was created and not destroyed).
const LIVE: u32 = 1;
/// Pushed back; its deadline waits for the next reading of the clock.
const MARKED: u32 = 2;
/// Its index is in the list of marked timers. Outlives MARKED (a cancel does not search the list) and
/// even the node, so that an index is never listed twice and the list never outgrows the nodes.
const LISTED: u32 = 4;
/// Where in that list is above these.
const FLAG_BITS: u32 = 3;
const FLAGS: u32 = (1 << FLAG_BITS) - 1;

/// What all operations look at, and moving an entry writes: 8 bytes, apart from the rest of the timer, so
/// that cancelling one of a million touches little memory.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub(super) place: Place,
    flags: u32,
}

/// What firing reads of a timer.
#[derive(Clone, Copy, Default)]
pub(super) struct Node {
    /// When it fires. While an entry is queued, that entry surfaces no later than this, possibly
    /// earlier: moving a deadline back does not touch the queue.
    pub(super) deadline: i64,
    /// Arming order, unique over all timers and all armings.
    pub(super) order: u64,
    /// The caller's value. Here because firing has just read the other fields.
    pub(super) owner: u64,
}

impl State {
    pub(super) const FREE: State = State { place: Place::NOWHERE, flags: 0 };

    #[inline]
    fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    #[inline]
    fn put(&mut self, flag: u32, on: bool) {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
    }

    #[inline]
    pub(super) fn is_live(&self) -> bool {
        self.has(LIVE)
    }

    pub(super) fn set_live(&mut self, on: bool) {
        self.put(LIVE, on);
    }

    #[inline]
    pub(super) fn is_marked(&self) -> bool {
        self.has(MARKED)
    }

    #[inline]
    pub(super) fn set_marked(&mut self, on: bool) {
        self.put(MARKED, on);
    }

    #[inline]
    pub(super) fn listed_at(&self) -> Option<usize> {
        self.has(LISTED).then_some((self.flags >> FLAG_BITS) as usize)
    }

    #[inline]
    pub(super) fn set_listed_at(&mut self, at: usize) {
        debug_assert!(at <= (u32::MAX >> FLAG_BITS) as usize);
        self.flags = self.flags & FLAGS | LISTED | (at as u32) << FLAG_BITS;
    }

    #[inline]
    pub(super) fn set_unlisted(&mut self) {
        self.put(LISTED, false);
    }

    #[inline]
    pub(super) fn is_armed(&self) -> bool {
        self.place != Place::NOWHERE || self.is_marked()
    }
}
