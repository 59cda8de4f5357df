//! What a stream has accepted and not yet passed to the system: bytes, buffers of the caller's, ranges of files, and
//! marks between them, in order.

use super::error::{Error, Result};
use std::collections::VecDeque;
use std::io::IoSlice;

/// A buffer that belongs to whoever wrote it, until it is given back.
pub trait Buffer {
    /// What is to be written.
    fn bytes(&self) -> &[u8];
    /// Gives it back: 0 when all of it was passed on, else why not.
    fn release(self: Box<Self>, status: i32);
}

/// Small writes are put together up to this size, so that many of them cost one system call and little memory.
const COALESCE: usize = 16_384;

/// The most pieces that one system call takes: what Linux copies without an allocation is 8, and more than 64 no longer
/// makes a difference.
pub const MOST_SLICES: usize = 64;

/// What a mark or a buffer counts besides its bytes, about what is kept for it: many without bytes would wait without a limit.
pub const PIECE: usize = 128;

/// What a file that waits counts: a descriptor, of which a process has far fewer than bytes of memory.
pub const FILE: usize = 16_384;

enum Item<F> {
    Bytes(Vec<u8>),
    Owned(Box<dyn Buffer>),
    File {
        file: F,
        offset: i64,
        length: u64,
    },
    /// Descriptors that go with the first of some bytes.
    Passing {
        files: Vec<F>,
        bytes: Vec<u8>,
    },
    Mark(u64),
}

impl<F> Item<F> {
    /// What it counts besides its bytes.
    fn besides(&self) -> usize {
        match self {
            Item::Bytes(_) => 0,
            Item::Owned(_) | Item::Mark(_) => PIECE,
            Item::File { .. } => FILE,
            Item::Passing { files, .. } => files.len() * FILE,
        }
    }
}

/// What the front of a queue holds.
pub enum Front<'a, F> {
    /// Bytes, in several pieces: how many slots of the array were filled.
    Bytes(usize),
    /// A range of a file.
    File {
        /// Which.
        file: &'a F,
        /// Where the rest begins.
        offset: i64,
        /// How much is left.
        length: u64,
    },
    /// Descriptors that go with the first of some bytes.
    Passing {
        /// Which.
        files: &'a [F],
        /// The bytes.
        bytes: &'a [u8],
    },
    /// Nothing.
    Empty,
}

/// What a piece was when it was over.
pub enum Over {
    /// A buffer, to be given back.
    Owned(Box<dyn Buffer>),
    /// A mark, to be told of.
    Mark(u64),
    /// A mark that will not be reached.
    Lost(u64),
}

/// See the module. `F` is a file.
pub struct OutQueue<F> {
    items: VecDeque<Item<F>>,
    /// Bytes of the first item that are passed on.
    done: usize,
    /// Bytes of memory that wait.
    bytes: usize,
    /// What the items that wait count besides their bytes.
    besides: usize,
    /// Bytes of files that wait.
    file_bytes: u64,
    over: VecDeque<Over>,
    /// When some of it was last passed on, as noted by whoever times it; the end of time: not noted yet.
    pub moved_ns: i64,
}

impl<F> Default for OutQueue<F> {
    fn default() -> Self {
        let (items, over) = (VecDeque::new(), VecDeque::new());
        OutQueue { items, done: 0, bytes: 0, besides: 0, file_bytes: 0, over, moved_ns: i64::MAX }
    }
}

impl<F> OutQueue<F> {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What waits, as watermarks count it: bytes in memory, and [`PIECE`] or [`FILE`] for what else there is.
    pub fn weight(&self) -> usize {
        self.bytes + self.besides
    }

    /// What is kept in memory, as a limit counts it: what is over and was not fetched as well.
    pub fn kept(&self) -> usize {
        self.weight() + self.over.len() * PIECE
    }

    /// How many bytes wait, those in files included.
    pub fn pending(&self) -> u64 {
        self.file_bytes.wrapping_add(self.bytes as u64)
    }

    /// Puts the rest of some pieces, of which `skip` bytes are passed on already, at the end: all or nothing.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`].
    pub fn push(&mut self, pieces: &[IoSlice<'_>], mut skip: usize) -> Result<()> {
        let all: usize = pieces.iter().map(|piece| piece.len()).sum();
        let rest = all - skip.min(all);
        self.items.try_reserve(1)?;
        let joins = matches!(self.items.back(), Some(Item::Bytes(last)) if last.len() + rest <= COALESCE);
        if !joins {
            let mut fresh = Vec::new();
            // Room for what will probably follow, unless this alone is large. Behind others it takes what it needs: a mark
            // between each two small writes would make them cost a hundred times what they count.
            let follows = !self.items.is_empty();
            fresh.try_reserve_exact(if !follows && rest < COALESCE / 4 { COALESCE / 4 } else { rest })?;
            self.items.push_back(Item::Bytes(fresh));
        }
        let Some(Item::Bytes(last)) = self.items.back_mut() else { return Err(Error::NO_MEMORY) };
        last.try_reserve(rest)?;
        for piece in pieces {
            let passed = skip.min(piece.len());
            skip -= passed;
            last.extend_from_slice(&piece[passed..]);
        }
        self.bytes += rest;
        Ok(())
    }

    /// Takes now what the next `push_owned`, `push_file` or `push_mark` needs.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`].
    pub fn reserve(&mut self) -> Result<()> {
        self.items.try_reserve(1)?;
        let all = self.items.len() + 1;
        Ok(self.over.try_reserve(all)?)
    }

    /// Puts a buffer of which `done` bytes are passed on at the end. Room was reserved.
    pub fn push_owned(&mut self, buffer: Box<dyn Buffer>, done: usize) {
        let length = buffer.bytes().len();
        if done >= length {
            self.over.push_back(Over::Owned(buffer));
            return;
        }
        if self.items.is_empty() {
            self.done = done;
            self.bytes += length - done;
        } else {
            self.bytes += length;
        }
        self.push_item(Item::Owned(buffer));
    }

    fn push_item(&mut self, item: Item<F>) {
        self.besides += item.besides();
        self.items.push_back(item);
    }

    /// Puts a range of a file at the end. Room was reserved.
    pub fn push_file(&mut self, file: F, offset: i64, length: u64) {
        // Ranges beyond the ends of files may add up to more than there are numbers.
        self.file_bytes = self.file_bytes.wrapping_add(length);
        self.push_item(Item::File { file, offset, length });
    }

    /// Puts bytes at the end, with whose first the descriptors go. Room was reserved.
    pub fn push_passing(&mut self, files: Vec<F>, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        self.push_item(Item::Passing { files, bytes });
    }

    /// Puts a mark at the end: it is over when everything before it is. Room was reserved.
    pub fn push_mark(&mut self, token: u64) {
        if self.items.is_empty() {
            self.over.push_back(Over::Mark(token));
        } else {
            self.push_item(Item::Mark(token));
        }
    }

    /// What is to be passed on next. Consecutive bytes, at most so many, are listed in `slices`.
    pub fn front<'a>(&'a self, slices: &mut [IoSlice<'a>; MOST_SLICES], mut most: usize) -> Front<'a, F> {
        if let Some(Item::File { file, offset, length }) = self.items.front() {
            return Front::File { file, offset: *offset, length: *length };
        }
        if let Some(Item::Passing { files, bytes }) = self.items.front() {
            return Front::Passing { files, bytes };
        }
        let (mut count, mut skip) = (0, self.done);
        for item in &self.items {
            let bytes = match item {
                Item::Bytes(bytes) => bytes.as_slice(),
                Item::Owned(buffer) => buffer.bytes(),
                Item::Mark(_) => continue,
                Item::File { .. } | Item::Passing { .. } => break,
            };
            if count == MOST_SLICES || most == 0 {
                break;
            }
            let part = &bytes[skip..bytes.len().min(skip.saturating_add(most))];
            slices[count] = IoSlice::new(part);
            most -= part.len();
            (count, skip) = (count + 1, 0);
        }
        if count == 0 { Front::Empty } else { Front::Bytes(count) }
    }

    /// So many bytes of the front were passed on.
    pub fn advance(&mut self, mut count: usize) {
        while let Some(item) = self.items.front_mut() {
            let left = match item {
                Item::Bytes(bytes) => bytes.len() - self.done,
                Item::Owned(buffer) => buffer.bytes().len() - self.done,
                Item::Mark(_) => 0,
                Item::Passing { bytes, .. } => {
                    if count == 0 {
                        return;
                    }
                    // The descriptors have gone with the first byte.
                    let bytes = Item::Bytes(std::mem::take(bytes));
                    self.besides -= std::mem::replace(item, bytes).besides();
                    continue;
                }
                Item::File { offset, length, .. } => {
                    let part = (count as u64).min(*length);
                    (*offset, *length) = (*offset + part as i64, *length - part);
                    self.file_bytes = self.file_bytes.wrapping_sub(part);
                    count -= part as usize;
                    if *length > 0 {
                        return;
                    }
                    self.pop();
                    continue;
                }
            };
            if count < left {
                self.done += count;
                self.bytes -= count;
                return;
            }
            count -= left;
            self.bytes -= left;
            self.pop();
        }
    }

    /// The file at the front has ended before its range did: the rest of it is left out.
    pub fn end_file(&mut self) {
        if let Some(Item::File { length, .. }) = self.items.front() {
            self.file_bytes = self.file_bytes.wrapping_sub(*length);
            self.pop();
            self.advance(0);
        }
    }

    fn pop(&mut self) {
        self.done = 0;
        let item = self.items.pop_front();
        self.besides -= item.as_ref().map_or(0, Item::besides);
        match item {
            Some(Item::Owned(buffer)) => self.over.push_back(Over::Owned(buffer)),
            Some(Item::Mark(token)) => self.over.push_back(Over::Mark(token)),
            _ => {}
        }
    }

    /// The next piece that is over.
    pub fn take_over(&mut self) -> Option<Over> {
        self.over.pop_front()
    }

    /// Whether some are.
    pub fn has_over(&self) -> bool {
        !self.over.is_empty()
    }

    /// How many are.
    pub fn count_over(&self) -> usize {
        self.over.len()
    }

    /// Gives up what waits: its buffers go to `lose`, its marks are over and lost.
    pub fn abandon(&mut self, mut lose: impl FnMut(Box<dyn Buffer>)) {
        (self.bytes, self.besides, self.file_bytes, self.done) = (0, 0, 0, 0);
        for item in self.items.drain(..) {
            match item {
                Item::Owned(buffer) => lose(buffer),
                Item::Mark(token) => self.over.push_back(Over::Lost(token)),
                Item::Bytes(_) | Item::File { .. } | Item::Passing { .. } => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    struct Noting(Vec<u8>, Rc<RefCell<Vec<i32>>>);

    impl Buffer for Noting {
        fn bytes(&self) -> &[u8] {
            &self.0
        }
        fn release(self: Box<Self>, status: i32) {
            self.1.borrow_mut().push(status);
        }
    }

    /// Everything that waits in memory, read through `front` in steps of `step`.
    fn drain(queue: &mut OutQueue<&'static [u8]>, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let mut slices = [IoSlice::new(&[]); MOST_SLICES];
            let part: Vec<u8> = match queue.front(&mut slices, 1_000_000) {
                Front::Empty => return all,
                Front::Passing { bytes, .. } => bytes[..bytes.len().min(step)].to_vec(),
                Front::Bytes(count) => slices[..count].iter().flat_map(|slice| slice.to_vec()).take(step).collect(),
                Front::File { file, offset, length } => file[offset as usize..][..(length as usize).min(step)].to_vec(),
            };
            queue.advance(part.len());
            all.extend(part);
        }
    }

    #[test]
    fn h45_everything_leaves_in_the_order_in_which_it_came() {
        // mutation: front does not stop at a file; advance does not reset `done`.
        for step in [1, 2, 3, 7, 100_000] {
            let statuses = Rc::new(RefCell::new(Vec::new()));
            let mut queue = OutQueue::default();
            queue.push(&[IoSlice::new(b"skipped"), IoSlice::new(b"ab")], 8).unwrap();
            queue.reserve().unwrap();
            queue.push_owned(Box::new(Noting(b"cde".to_vec(), statuses.clone())), 0);
            queue.reserve().unwrap();
            queue.push_mark(1);
            queue.reserve().unwrap();
            queue.push_file(b"..fgh..".as_slice(), 2, 3);
            queue.reserve().unwrap();
            queue.push_passing(vec![b"passed"], b"i".to_vec());
            queue.push(&[IoSlice::new(&[b'j'; 20_000])], 0).unwrap();
            queue.reserve().unwrap();
            queue.push_mark(2);
            assert_eq!(queue.pending(), 1 + 3 + 3 + 1 + 20_000);
            let all = drain(&mut queue, step);
            assert_eq!(&all[..8], b"bcdefghi", "step {step}");
            assert_eq!(all.len(), 20_008);
            assert_eq!((queue.pending(), queue.weight(), queue.is_empty()), (0, 0, true));
            let mut marks = Vec::new();
            while let Some(over) = queue.take_over() {
                match over {
                    Over::Owned(buffer) => buffer.release(0),
                    Over::Mark(token) => marks.push(token),
                    Over::Lost(token) => panic!("{token}"),
                }
            }
            assert_eq!((marks, statuses.borrow().as_slice()), (vec![1, 2], [0].as_slice()));
        }
    }

    #[test]
    fn h41_empty_writes_leave_nothing_behind() {
        // mutation: advance(0) keeps an item without bytes.
        let mut queue: OutQueue<()> = OutQueue::default();
        queue.push(&[IoSlice::new(b"")], 0).unwrap();
        queue.advance(0);
        assert!(queue.is_empty());
        queue.reserve().unwrap();
        queue.push_mark(5);
        assert!(queue.is_empty() && queue.has_over());
    }

    #[test]
    fn h41_pieces_without_bytes_count() {
        // mutation: an item counts nothing besides its bytes; what is over counts nothing.
        let mut queue = OutQueue::default();
        queue.push(&[IoSlice::new(b"ab")], 0).unwrap();
        assert_eq!((queue.weight(), queue.kept()), (2, 2));
        queue.reserve().unwrap();
        queue.push_mark(1);
        queue.push_file(b"cd".as_slice(), 0, 2);
        assert_eq!((queue.pending(), queue.weight()), (4, 2 + PIECE + FILE));
        queue.push_passing(vec![b"", b""], b"e".to_vec());
        assert_eq!(queue.weight(), 3 + PIECE + 3 * FILE);
        queue.advance(4);
        assert_eq!((queue.weight(), queue.kept()), (1 + 2 * FILE, 1 + 2 * FILE + PIECE));
        queue.advance(1);
        assert_eq!((queue.weight(), queue.kept()), (0, PIECE));
        assert!(matches!(queue.take_over(), Some(Over::Mark(1))));
        assert_eq!(queue.kept(), 0);
    }

    #[test]
    fn what_is_given_up_is_given_back() {
        let statuses = Rc::new(RefCell::new(Vec::new()));
        let mut queue: OutQueue<()> = OutQueue::default();
        queue.reserve().unwrap();
        queue.push_owned(Box::new(Noting(b"abc".to_vec(), statuses.clone())), 1);
        queue.reserve().unwrap();
        queue.push_mark(9);
        assert_eq!(queue.weight(), 2 + 2 * PIECE);
        queue.abandon(|buffer| buffer.release(-1));
        assert!(matches!(queue.take_over(), Some(Over::Lost(9))));
        assert_eq!(*statuses.borrow(), [-1]);
        assert_eq!((queue.pending(), queue.weight(), queue.kept()), (0, 0, 0));
    }
}
