//! A stream's way out: what can be written goes at once, and only the rest waits, in order.

use crate::base::error::{Error, Result};
use crate::base::out_queue::{Buffer, Front, MOST_SLICES, OutQueue, Over};
use crate::sys::Fd;
use crate::sys::stream::{self, StreamKind};
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

/// A file of which parts wait in streams: closed when the last of them is written.
pub type SharedFile = Arc<OwnedFd>;

/// The most that one flush copies from a file, so that a fast peer leaves the others their turn.
const FILE_BUDGET: usize = 1 << 20;

/// The most flushes of full slices a turn, for the same reason.
const FLUSH_BUDGET: usize = 8;

/// What is read at once from a file that the kernel cannot copy by itself.
const COPY_BUFFER: usize = 65_536;

/// How far a flush came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing waits any more.
    All,
    /// The system takes no more at present.
    Some,
}

/// What waits to be written to a stream; nothing is allocated until something does.
#[derive(Default)]
pub struct Outgoing(Option<Box<OutQueue<SharedFile>>>);

impl Outgoing {
    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|queue| queue.is_empty())
    }

    /// Whether nothing waits and nothing is over: there is not even a queue.
    #[inline]
    pub fn is_unused(&self) -> bool {
        self.0.is_none()
    }

    /// What waits, as watermarks count it; see [`OutQueue::weight`].
    #[inline]
    pub fn weight(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.weight())
    }

    /// What is kept in memory, as a limit counts it; see [`OutQueue::kept`].
    #[inline]
    pub fn kept(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.kept())
    }

    /// Bytes that wait, those of files included.
    pub fn pending(&self) -> u64 {
        self.0.as_ref().map_or(0, |queue| queue.pending())
    }

    /// Notes when some of it has moved, or begun to wait.
    #[inline]
    pub fn note_moved(&mut self, now_ns: i64) {
        if let Some(queue) = &mut self.0 {
            queue.moved_ns = now_ns;
        }
    }

    /// When that was; the end of time when nothing waits or none was noted.
    pub fn moved_ns(&self) -> i64 {
        self.0.as_ref().filter(|queue| !queue.is_empty()).map_or(i64::MAX, |queue| queue.moved_ns)
    }

    fn queue(&mut self) -> &mut OutQueue<SharedFile> {
        self.0.get_or_insert_default()
    }

    /// Writes pieces, all or nothing; how many bytes went out at once.
    ///
    /// # Errors
    /// The system's, and nothing was taken; [`Error::NO_MEMORY`], and the stream is broken if bytes went out.
    #[inline]
    pub fn write(&mut self, fd: Fd, kind: StreamKind, pieces: &[IoSlice<'_>]) -> Result<usize> {
        let all: usize = pieces.iter().map(|piece| piece.len()).sum();
        let sent = if self.is_empty() { write_now(fd, kind, pieces)? } else { 0 };
        if sent < all {
            self.queue().push(pieces, sent)?;
        }
        Ok(sent)
    }

    /// Writes a buffer that stays where it is until it is over; how many bytes went out at once.
    ///
    /// # Errors
    /// The system's and [`Error::NO_MEMORY`]; the buffer comes back.
    #[allow(clippy::type_complexity)]
    pub fn write_owned(
        &mut self, fd: Fd, kind: StreamKind, buffer: Box<dyn Buffer>,
    ) -> std::result::Result<usize, (Error, Box<dyn Buffer>)> {
        if let Err(error) = self.queue().reserve() {
            return Err((error, buffer));
        }
        let mut sent = 0;
        if self.is_empty() {
            match write_now(fd, kind, &[IoSlice::new(buffer.bytes())]) {
                Ok(count) => sent = count,
                Err(error) => return Err((error, buffer)),
            }
        }
        self.queue().push_owned(buffer, sent);
        Ok(sent)
    }

    /// Lets pieces wait.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`].
    pub fn push(&mut self, pieces: &[IoSlice<'_>]) -> Result<()> {
        self.queue().push(pieces, 0)
    }

    /// Lets wait what is behind the first `sent` bytes, which are out already; how many those were.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`].
    pub fn push_rest(&mut self, bytes: &[u8], sent: usize) -> Result<usize> {
        self.queue().push(&[IoSlice::new(bytes)], sent)?;
        Ok(sent)
    }

    /// Lets a buffer wait; 0 bytes went out at once.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`]; the buffer comes back.
    #[allow(clippy::type_complexity)]
    pub fn push_owned(&mut self, buffer: Box<dyn Buffer>) -> std::result::Result<usize, (Error, Box<dyn Buffer>)> {
        if let Err(error) = self.queue().reserve() {
            return Err((error, buffer));
        }
        self.queue().push_owned(buffer, 0);
        Ok(0)
    }

    /// Lets a range of a file wait; [`Outgoing::flush`] begins with it.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`].
    pub fn push_file(&mut self, file: SharedFile, offset: i64, length: u64) -> Result<()> {
        self.queue().reserve()?;
        self.queue().push_file(file, offset, length);
        Ok(())
    }

    /// Lets bytes wait, with whose first the descriptors go; [`Outgoing::flush`] begins with them.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`].
    pub fn push_passing(&mut self, files: Vec<SharedFile>, bytes: Vec<u8>) -> Result<()> {
        self.queue().reserve()?;
        self.queue().push_passing(files, bytes);
        Ok(())
    }

    /// Lets a mark wait: it is over when everything before it is written.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`].
    pub fn push_mark(&mut self, token: u64) -> Result<()> {
        self.queue().reserve()?;
        self.queue().push_mark(token);
        Ok(())
    }

    /// Writes what the system takes, but at most so much; how many bytes.
    ///
    /// # Errors
    /// The system's; EIO when a file has become shorter than its range.
    pub fn flush(&mut self, fd: Fd, kind: StreamKind, most: usize) -> (usize, Result<Flushed>) {
        let mut sent = 0;
        for _ in 0..FLUSH_BUDGET {
            match self.flush_once(fd, kind, most - sent) {
                Ok(Some((count, more))) => {
                    sent += count;
                    if !more || sent == most {
                        break;
                    }
                }
                Ok(None) => return (sent, Ok(Flushed::All)),
                Err(error) if error.code() == -libc::EAGAIN => break,
                Err(error) => return (sent, Err(error)),
            }
        }
        let all = if self.is_empty() { Flushed::All } else { Flushed::Some };
        (sent, Ok(all))
    }

    /// One system call: how many bytes it took and whether another one could take more. `None`: there is nothing left.
    fn flush_once(&mut self, fd: Fd, kind: StreamKind, most: usize) -> Result<Option<(usize, bool)>> {
        let Some(queue) = &mut self.0 else { return Ok(None) };
        let mut slices = [IoSlice::new(&[]); MOST_SLICES];
        let (count, more) = match queue.front(&mut slices, most) {
            Front::Empty => {
                // What is left are empty pieces and marks.
                queue.advance(0);
                return Ok(None);
            }
            Front::Bytes(used) => {
                let offered: usize = slices[..used].iter().map(|slice| slice.len()).sum();
                let count = if offered == 0 { 0 } else { stream::write_vectored(fd, kind, &slices[..used])? };
                (count, count == offered)
            }
            Front::Passing { files, bytes } => {
                let part = &bytes[..bytes.len().min(most)];
                let count = stream::send_with_descriptors(fd, part, files)?;
                (count, count == bytes.len())
            }
            Front::File { file, offset, length } => {
                let part = usize::try_from(length).unwrap_or(usize::MAX).min(FILE_BUDGET).min(most);
                match send_part(fd, kind, file, offset, part)? {
                    0 if part > 0 => {
                        return Err(Error::os(libc::EIO).because("the file is shorter than what was to be sent"));
                    }
                    count => (count, count == part && part < FILE_BUDGET),
                }
            }
        };
        queue.advance(count);
        Ok(Some((count, more)))
    }

    /// The next buffer or mark that is over.
    pub fn take_over(&mut self) -> Option<Over> {
        self.0.as_mut()?.take_over()
    }

    /// Whether there is one.
    #[inline]
    pub fn has_over(&self) -> bool {
        self.0.as_ref().is_some_and(|queue| queue.has_over())
    }

    /// How many there are.
    #[inline]
    pub fn count_over(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.count_over())
    }

    /// Gives up what waits; see [`OutQueue::abandon`].
    pub fn abandon(&mut self, lose: impl FnMut(Box<dyn Buffer>)) {
        if let Some(queue) = &mut self.0 {
            queue.abandon(lose);
        }
    }

    /// Gives back the memory of a queue in which nothing is left.
    #[inline]
    pub fn shrink(&mut self) {
        if self.0.as_ref().is_some_and(|queue| queue.is_empty() && !queue.has_over()) {
            self.0 = None;
        }
    }
}

#[inline]
fn write_now(fd: Fd, kind: StreamKind, pieces: &[IoSlice<'_>]) -> Result<usize> {
    let first = &pieces[..pieces.len().min(MOST_SLICES)];
    if first.iter().all(|piece| piece.is_empty()) {
        return Ok(0);
    }
    match stream::write_vectored(fd, kind, first) {
        Err(error) if error.code() == -libc::EAGAIN => Ok(0),
        written => written,
    }
}

fn send_part(fd: Fd, kind: StreamKind, file: &SharedFile, offset: i64, length: usize) -> Result<usize> {
    match stream::send_file(fd, file.as_raw_fd(), offset, length) {
        Err(error) if [libc::EINVAL, libc::ENOSYS, libc::EOVERFLOW].contains(&-error.code()) => {
            let mut copy = Vec::new();
            copy.try_reserve_exact(COPY_BUFFER)?;
            copy.resize(length.min(COPY_BUFFER), 0);
            let count = stream::read_at(file.as_raw_fd(), &mut copy, offset)?;
            if count == 0 { Ok(0) } else { stream::write(fd, kind, &copy[..count]) }
        }
        sent => sent,
    }
}
