//! What operations on files answer.

use super::error::{Error, Result};
use std::collections::VecDeque;

/// What a name in a directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FileKind {
    /// The file system does not tell.
    Unknown,
    Regular,
    Directory,
    /// A symbolic link.
    Link,
    Fifo,
    Socket,
    /// A device of characters, such as a terminal.
    Character,
    /// A device of blocks, such as a disk.
    Block,
}

/// What the system knows of a file. Times in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct FileInfo {
    pub kind: FileKind,
    /// Permissions.
    pub mode: u32,
    pub file_size: u64,
    pub inode: u64,
    pub device: u64,
    pub links: u64,
    pub uid: u32,
    pub gid: u32,
    /// Of 512 bytes each.
    pub blocks: u64,
    /// What is read and written best at a time.
    pub block_size: u64,
    pub accessed_ns: i64,
    pub modified_ns: i64,
    /// When what is told here was changed.
    pub changed_ns: i64,
}

impl FileInfo {
    /// Whether two answers are about the same file.
    pub fn same_file(&self, other: &FileInfo) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// The names in a directory, in one piece of memory: of each its kind and its length as two `u32`, its bytes, and one to
/// eight zeroes up to a multiple of eight. What one event cannot carry is in further pieces behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    packed: Vec<u8>,
    count: usize,
    /// The further pieces; those have none themselves.
    rest: VecDeque<Listing>,
}

/// Before each name.
const HEAD: usize = 8;

impl Listing {
    /// One more name, in another piece when this one would have more than `most` bytes with it.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`].
    pub fn push(&mut self, name: &[u8], kind: FileKind, most: usize) -> Result<()> {
        let needed = (HEAD + name.len() + 1).next_multiple_of(HEAD);
        if self.rest.back().unwrap_or(self).packed.len().saturating_add(needed) > most {
            self.rest.try_reserve(1)?;
            self.rest.push_back(Listing::default());
        }
        match self.rest.back_mut() {
            Some(last) => last.append(name, kind),
            None => self.append(name, kind),
        }
    }

    fn append(&mut self, name: &[u8], kind: FileKind) -> Result<()> {
        let length = u32::try_from(name.len()).map_err(|_| Error::NO_MEMORY)?;
        let end = (self.packed.len() + HEAD + name.len() + 1).next_multiple_of(HEAD);
        self.packed.try_reserve(end - self.packed.len())?;
        self.packed.extend_from_slice(&(kind as u32).to_ne_bytes());
        self.packed.extend_from_slice(&length.to_ne_bytes());
        self.packed.extend_from_slice(name);
        self.packed.resize(end, 0);
        self.count += 1;
        Ok(())
    }

    /// The further pieces, which are taken away.
    pub fn take_rest(&mut self) -> Option<Listing> {
        let mut rest = std::mem::take(&mut self.rest);
        let next = rest.pop_front()?;
        Some(Listing { rest, ..next })
    }

    /// How many names there are in this piece.
    pub fn count(&self) -> usize {
        self.count
    }

    /// All of this piece.
    pub fn bytes(&self) -> &[u8] {
        &self.packed
    }

    /// Each name of this piece with the zero behind it, and the number of its kind.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u32)> {
        let mut rest = &self.packed[..];
        std::iter::from_fn(move || {
            let (kind, behind) = rest.split_first_chunk::<4>()?;
            let (length, behind) = behind.split_first_chunk::<4>()?;
            let length = u32::from_ne_bytes(*length) as usize;
            let name = behind.get(..=length)?;
            rest = rest.get((HEAD + length + 1).next_multiple_of(HEAD)..).unwrap_or_default();
            Some((name, u32::from_ne_bytes(*kind)))
        })
    }
}

/// What an operation brings besides its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// Nothing.
    Nothing,
    /// What was read.
    Data(Vec<u8>),
    /// What the system knows of a file.
    Info(Box<FileInfo>),
    /// What is in a directory.
    Listing(Listing),
}

/// How an operation has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileResult {
    /// Bytes read, written or copied, or names in a directory; else 0. Bytes count even when an error has come after them.
    pub value: u64,
    /// Why not all was done.
    pub error: Option<Error>,
    /// What it brings.
    pub carried: Carried,
    /// Further events of the same operation bring the rest.
    pub more: bool,
}

impl FileResult {
    /// So many bytes, and perhaps an error behind them.
    pub fn count((done, error): (u64, Option<Error>)) -> FileResult {
        FileResult { value: done, error, carried: Carried::Nothing, more: false }
    }

    /// So many of what it brings.
    fn bringing(value: u64, carried: Carried) -> FileResult {
        FileResult { value, error: None, carried, more: false }
    }

    /// What one event cannot carry, which is taken away.
    pub fn take_rest(&mut self) -> Option<FileResult> {
        let Carried::Listing(listing) = &mut self.carried else { return None };
        let rest = listing.take_rest()?;
        self.more = true;
        Some(FileResult::from(Ok(rest)))
    }
}

impl From<Error> for FileResult {
    fn from(error: Error) -> FileResult {
        FileResult::count((0, Some(error)))
    }
}

impl From<Result<()>> for FileResult {
    fn from(result: Result<()>) -> FileResult {
        FileResult::count((0, result.err()))
    }
}

impl From<Result<FileInfo>> for FileResult {
    fn from(result: Result<FileInfo>) -> FileResult {
        let carried = |info| FileResult::bringing(0, Carried::Info(Box::new(info)));
        result.map_or_else(FileResult::from, carried)
    }
}

impl From<Result<Listing>> for FileResult {
    fn from(result: Result<Listing>) -> FileResult {
        let carried = |list: Listing| FileResult::bringing(list.count() as u64, Carried::Listing(list));
        result.map_or_else(FileResult::from, carried)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_come_out_as_they_went_in() {
        let mut listing = Listing::default();
        let names: Vec<Vec<u8>> = (1..=255).map(|length| vec![b'a' + (length % 26) as u8; length]).collect();
        for name in &names {
            listing.push(name, FileKind::Directory, usize::MAX).unwrap();
        }
        assert_eq!(listing.bytes().len() % 8, 0);
        assert_eq!(listing.count(), names.len());
        let mut out = listing.iter();
        for name in &names {
            let (found, kind) = out.next().unwrap();
            assert_eq!((&found[..found.len() - 1], found.last()), (&name[..], Some(&0)));
            assert_eq!(kind, FileKind::Directory as u32);
        }
        assert!(out.next().is_none() && Listing::default().iter().next().is_none());
    }

    /// mutation: `push` compares without what the name needs itself.
    #[test]
    fn pieces_are_as_large_as_they_may_be_and_no_larger() {
        const MOST: usize = 1000;
        let names: Vec<Vec<u8>> = (0..500).map(|number| vec![b'a' + (number % 26) as u8; 1 + number % 255]).collect();
        let mut listing = Listing::default();
        for name in &names {
            listing.push(name, FileKind::Regular, MOST).unwrap();
        }
        let mut result = FileResult::from(Ok(listing));
        let mut found: Vec<Vec<u8>> = Vec::new();
        loop {
            let rest = result.take_rest();
            let Carried::Listing(piece) = &result.carried else { panic!("{result:?}") };
            assert!(piece.bytes().len() <= MOST && piece.count() as u64 == result.value && piece.count() > 0);
            assert_eq!(result.more, rest.is_some());
            assert!(!result.more || piece.bytes().len() > MOST - 264, "{}", piece.bytes().len());
            found.extend(piece.iter().map(|(name, _)| name[..name.len() - 1].to_vec()));
            match rest {
                Some(rest) => result = rest,
                None => break,
            }
        }
        assert_eq!(found, names);
    }
}
