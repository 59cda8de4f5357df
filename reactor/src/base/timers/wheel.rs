//! The wheel: timers beyond the horizon, in buckets by the digits of their deadline.
//!
//! Time is cut into granules. A granule beyond the horizon belongs to the level of its highest base-128
//! digit that differs from the horizon's, in the slot which that digit names. So a bucket of a lower
//! level always precedes those of higher levels, and within a level slots are in order of time. The
//! horizon may be raised to anything before the first occupied bucket without moving an entry.
//!
//! A bucket is a stack of fixed-size chunks from one pool: filling and emptying go through memory in
//! sequence, and any entry can be taken out by moving the bucket's last one into its place.

use super::NoMemory;
use super::node::{Node, Place, State};

/// 2^16 ns, about 66 microseconds. Measured with a million timers: 2^18 and 2^20 ns were no faster with
/// deadlines over a minute, and slower where they crowd into one millisecond, as the heap then gets them all.
const GRANULE_BITS: u32 = 16;
/// 128 slots a level: a minute is three levels. With 64 it would be four, and each costs every timer a move.
const DIGIT_BITS: u32 = 7;
const SLOTS: usize = 1 << DIGIT_BITS;
/// Enough digits for the 48 bits of a granule.
const LEVELS: usize = (64 - GRANULE_BITS).div_ceil(DIGIT_BITS) as usize;

/// Entries of a chunk: two cache lines.
pub(super) const CHUNK: usize = 32;
const NONE: u32 = u32::MAX;

/// Number of the granule that `deadline` lies in; keeps the order over the whole range of `i64`.
#[inline]
pub(super) fn granule(deadline: i64) -> u64 {
    (deadline as u64 ^ 1 << 63) >> GRANULE_BITS
}

/// Timers of one bucket.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Chunk(pub(super) [u32; CHUNK]);

impl Chunk {
    pub(super) const BLANK: Chunk = Chunk([NONE; CHUNK]);
}

/// What is known of a chunk. Apart from the chunks, so that a cancel finds the bucket in a table that
/// stays in the cache and only writes to the chunk.
#[derive(Clone, Copy)]
struct Link {
    /// The chunk below in the bucket's stack, or the next unused one.
    next: u32,
    bucket: u32,
}

/// A stack of chunks of which all but the top one are full.
#[derive(Clone, Copy)]
struct Bucket {
    head: u32,
    count: u32,
}

impl Bucket {
    const EMPTY: Bucket = Bucket { head: NONE, count: 0 };

    /// Where in its chunk the entry lies that is the `number`th of a bucket, from 0.
    #[inline]
    fn offset(number: u32) -> usize {
        number as usize % CHUNK
    }

    /// Entries in the top chunk.
    fn top_len(self) -> usize {
        if self.count == 0 { 0 } else { Bucket::offset(self.count - 1) + 1 }
    }
}

/// The first occupied bucket.
#[derive(Clone, Copy)]
pub(super) struct Earliest {
    bucket: usize,
    /// Its first granule.
    pub(super) start: u64,
    pub(super) count: u32,
}

/// A bucket's entries on their way to new places.
pub(super) struct Detached {
    head: u32,
    /// Entries in `head`; the chunks below it are full.
    fill: usize,
}

/// What [`Wheel::scan`] found.
pub(super) enum Scan {
    /// All entries belong where they are, and this timer has the earliest deadline.
    Exact(u32),
    /// Some were moved back since and belong to later buckets.
    Outdated,
}

pub(super) struct Wheel {
    /// Granules up to this one are the front's.
    horizon: u64,
    /// Which levels have an occupied bucket.
    levels: u32,
    /// Of each level, which buckets are occupied.
    slots: [u128; LEVELS],
    buckets: Vec<Bucket>,
    chunks: Vec<Chunk>,
    /// By chunk.
    links: Vec<Link>,
    /// Unused chunks, linked.
    free: u32,
}

impl Wheel {
    pub(super) const fn new() -> Wheel {
        Wheel {
            horizon: 0,
            levels: 0,
            slots: [0; LEVELS],
            buckets: Vec::new(),
            chunks: Vec::new(),
            links: Vec::new(),
            free: NONE,
        }
    }

    /// Makes room for `timers` entries however they spread, so that `insert` never allocates: only
    /// the top chunk of a bucket is ever partly filled.
    pub(super) fn reserve(&mut self, timers: usize) -> Result<(), NoMemory> {
        let buckets = LEVELS * SLOTS;
        super::room::reserve_total(&mut self.buckets, buckets)?;
        self.buckets.resize(buckets, Bucket::EMPTY);
        let chunks = timers / CHUNK + timers.min(buckets) + 1;
        super::room::reserve_seldom_used(&mut self.links, chunks)?;
        super::room::reserve_seldom_used(&mut self.chunks, chunks)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.levels == 0
    }

    pub(super) fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.count as usize).sum()
    }

    /// Whether `deadline` is for the wheel rather than for the front.
    #[inline]
    pub(super) fn is_beyond(&self, deadline: i64) -> bool {
        granule(deadline) > self.horizon
    }

    /// Raises the horizon to `target` as far as no occupied bucket is reached. An empty wheel takes
    /// any target when `free` says that the front is empty too.
    #[inline]
    pub(super) fn raise_horizon(&mut self, target: u64, free: bool) {
        let limit = self.earliest().map_or(u64::MAX, |first| first.start - 1);
        if target > self.horizon {
            self.horizon = target.min(limit);
        } else if free && self.is_empty() {
            self.horizon = target;
        }
    }

    #[inline]
    fn bucket_of(&self, granule: u64) -> usize {
        let level = (63 - (granule ^ self.horizon).leading_zeros()) / DIGIT_BITS;
        let slot = granule >> (level * DIGIT_BITS) & (SLOTS as u64 - 1);
        level as usize * SLOTS + slot as usize
    }

    #[inline]
    pub(super) fn earliest(&self) -> Option<Earliest> {
        if self.is_empty() {
            return None;
        }
        let level = self.levels.trailing_zeros();
        let slot = self.slots[level as usize].trailing_zeros();
        let shift = level * DIGIT_BITS;
        let above = self.horizon >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS);
        let bucket = level as usize * SLOTS + slot as usize;
        let start = above | u64::from(slot) << shift;
        Some(Earliest { bucket, start, count: self.buckets[bucket].count })
    }

    /// Queues a timer whose deadline is beyond the horizon; its place is for the caller to write.
    #[inline]
    pub(super) fn insert(&mut self, deadline: i64, index: u32) -> Place {
        let number = self.bucket_of(granule(deadline));
        let at = Bucket::offset(self.buckets[number].count);
        if at == 0 {
            self.grow(number);
        }
        let bucket = &mut self.buckets[number];
        self.chunks[bucket.head as usize].0[at] = index;
        let place = Place::wheel(bucket.head * CHUNK as u32 + at as u32);
        bucket.count += 1;
        place
    }

    /// Puts an empty chunk on top of a bucket.
    fn grow(&mut self, number: usize) {
        let chunk = self.take_chunk();
        let bucket = &mut self.buckets[number];
        self.links[chunk as usize] = Link { next: bucket.head, bucket: number as u32 };
        bucket.head = chunk;
        self.slots[number / SLOTS] |= 1 << (number % SLOTS);
        self.levels |= 1 << (number / SLOTS);
    }

    fn take_chunk(&mut self) -> u32 {
        if self.free == NONE {
            self.chunks.push(Chunk::BLANK);
            self.links.push(Link { next: NONE, bucket: NONE });
            return self.chunks.len() as u32 - 1;
        }
        let chunk = self.free;
        self.free = self.links[chunk as usize].next;
        chunk
    }

    fn give_chunk(&mut self, chunk: u32) {
        self.links[chunk as usize].next = self.free;
        self.free = chunk;
    }

    /// Takes out the entry at `position`; its node's place is left for the caller to write.
    pub(super) fn remove(&mut self, states: &mut [State], position: u32) {
        let (chunk, at) = (position as usize / CHUNK, position as usize % CHUNK);
        let number = self.links[chunk].bucket as usize;
        let bucket = &mut self.buckets[number];
        bucket.count -= 1;
        let (head, last) = (bucket.head as usize, Bucket::offset(bucket.count));
        if (head, last) != (chunk, at) {
            let moved = self.chunks[head].0[last];
            self.chunks[chunk].0[at] = moved;
            states[moved as usize].place = Place::wheel(position);
        }
        if last == 0 {
            self.shrink(number);
        }
    }

    /// Drops a bucket's top chunk, which has become empty.
    fn shrink(&mut self, number: usize) {
        let bucket = &mut self.buckets[number];
        let chunk = bucket.head;
        bucket.head = self.links[chunk as usize].next;
        if bucket.head == NONE {
            self.vacate(number);
        }
        self.give_chunk(chunk);
    }

    fn vacate(&mut self, number: usize) {
        let slots = &mut self.slots[number / SLOTS];
        *slots &= !(1 << (number % SLOTS));
        if *slots == 0 {
            self.levels &= !(1 << (number / SLOTS));
        }
    }

    /// Raises the horizon to the start of the first bucket and takes its entries out.
    pub(super) fn open(&mut self, first: Earliest) -> Detached {
        self.horizon = first.start;
        self.detach(first)
    }

    /// Takes all entries out of a bucket, to be inserted anew one by one.
    pub(super) fn detach(&mut self, first: Earliest) -> Detached {
        let bucket = std::mem::replace(&mut self.buckets[first.bucket], Bucket::EMPTY);
        self.vacate(first.bucket);
        Detached { head: bucket.head, fill: bucket.top_len() }
    }

    /// The next chunk's worth of detached entries. The chunk itself is free again at once: entries on
    /// their way need no room, so the pool's bound holds while they move.
    #[inline]
    pub(super) fn next_entries<'a>(&mut self, rest: &mut Detached, room: &'a mut Chunk) -> Option<&'a [u32]> {
        if rest.head == NONE {
            return None;
        }
        let (chunk, fill) = (rest.head, rest.fill);
        *room = self.chunks[chunk as usize];
        *rest = Detached { head: self.links[chunk as usize].next, fill: CHUNK };
        self.give_chunk(chunk);
        Some(&room.0[..fill])
    }

    /// Looks for the earliest deadline in the first bucket, moving nothing.
    pub(super) fn scan(&self, nodes: &[Node], first: Earliest) -> Scan {
        let bucket = self.buckets[first.bucket];
        let (mut chunk, mut fill) = (bucket.head, bucket.top_len());
        let mut best = NONE;
        let mut earliest = i64::MAX;
        while chunk != NONE {
            for &index in &self.chunks[chunk as usize].0[..fill] {
                let deadline = nodes[index as usize].deadline;
                if self.bucket_of(granule(deadline)) != first.bucket {
                    return Scan::Outdated;
                }
                if deadline < earliest || best == NONE {
                    (earliest, best) = (deadline, index);
                }
            }
            (chunk, fill) = (self.links[chunk as usize].next, CHUNK);
        }
        Scan::Exact(best)
    }
}
