//! The 64-bit id: one value that is poll key, timer payload and C handle.
//!
//! From the top: operation (4 bits, internal, 0 in every id that leaves the library), tag (10), generation (26),
//! index (24). No valid id is 0 (generations start at 1) and none is all ones (operation 15 is not used).

/// How many tags there are: loops and pollers alive at once in a process.
pub const TAGS: usize = 1 << TAG_BITS;
/// The largest generation a slot may reach before it is retired.
pub const MAX_GENERATION: u32 = (1 << GENERATION_BITS) - 1;
/// The index that stands for the owner of the tag itself (the loop or poller), so that slots use those below.
pub const OWNER_INDEX: u32 = (1 << INDEX_BITS) - 1;

const INDEX_BITS: u32 = 24;
const GENERATION_BITS: u32 = 26;
const TAG_BITS: u32 = 10;

/// An id. Comparing two ids compares everything, generation included.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u64);

impl Id {
    /// The id that is never valid.
    pub const NONE: Id = Id(0);

    /// Builds an id of a tag, generation and index, each within its bits.
    pub const fn new(tag: u16, generation: u32, index: u32) -> Id {
        debug_assert!((tag as usize) < TAGS && generation <= MAX_GENERATION && index <= OWNER_INDEX);
        Id(((tag as u64) << (GENERATION_BITS + INDEX_BITS)) | ((generation as u64) << INDEX_BITS) | index as u64)
    }

    /// The value that crosses the C boundary.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Any value from outside; it is checked when it is looked up.
    pub const fn from_raw(raw: u64) -> Id {
        Id(raw)
    }

    /// The same id marked for one of the engine's own purposes (1 to 14).
    pub const fn with_operation(self, operation: u8) -> Id {
        debug_assert!(operation > 0 && operation < 15);
        Id(self.0 | ((operation as u64) << 60))
    }

    /// The id as it was given out.
    pub const fn without_operation(self) -> Id {
        Id(self.0 & !(15 << 60))
    }

    /// The internal mark; 0 in every id that was given out.
    pub const fn operation(self) -> u8 {
        (self.0 >> 60) as u8
    }

    /// Which loop or poller it belongs to.
    pub const fn tag(self) -> u16 {
        ((self.0 >> (GENERATION_BITS + INDEX_BITS)) & (TAGS as u64 - 1)) as u16
    }

    /// How often the slot had been used.
    pub const fn generation(self) -> u32 {
        ((self.0 >> INDEX_BITS) as u32) & MAX_GENERATION
    }

    /// The slot.
    pub const fn index(self) -> u32 {
        (self.0 as u32) & OWNER_INDEX
    }
}

/// What the ids of one table have in common: the operation and the tag, in their place.
#[derive(Clone, Copy)]
pub(super) struct Owner(u64);

impl Owner {
    pub(super) const fn new(tag: u16, operation: u8) -> Owner {
        let id = Id::new(tag, 0, 0);
        Owner(if operation == 0 { id.0 } else { id.with_operation(operation).0 })
    }

    /// The id of a slot, each part within its bits.
    pub(super) const fn slot(self, generation: u32, index: u32) -> Id {
        Id(self.0 | ((generation as u64) << INDEX_BITS) | index as u64)
    }
}

impl Id {
    /// Whether everything but the index is that: a lookup compares it all at once.
    #[inline]
    pub(super) const fn is_slot(self, owner: Owner, generation: u32) -> bool {
        self.0 >> INDEX_BITS == (owner.0 >> INDEX_BITS) + generation as u64
    }
}

impl std::fmt::Debug for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_survive_at_their_limits() {
        for (tag, generation, index) in [(0, 1, 0), (1023, MAX_GENERATION, OWNER_INDEX), (5, 7, 11)] {
            let id = Id::new(tag, generation, index);
            assert_eq!((id.tag(), id.generation(), id.index(), id.operation()), (tag, generation, index, 0));
            let marked = id.with_operation(3);
            assert_eq!(
                (marked.tag(), marked.generation(), marked.index(), marked.operation()),
                (tag, generation, index, 3)
            );
            assert!(id.raw() != 0 && id.raw() != u64::MAX);
        }
    }
}
