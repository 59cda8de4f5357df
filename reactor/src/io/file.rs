//! Operations on files that take more than one call. They run on the threads of a pool.

use crate::base::error::{Error, Result};
use crate::base::file::{Carried, FileKind, FileResult};
use crate::sys::file::{self, At, OpenFlags};
use crate::sys::stream;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};

/// How much the system is asked to copy at a time: it takes about a gigabyte less than this in one call.
const LARGEST_COPY: usize = 1 << 30;

/// What is copied through memory when the system cannot do it: large enough that calls do not count.
const COPY_BUFFER: usize = 256 << 10;

/// Bytes done, and what ended it before all were.
type Done = (u64, Option<Error>);

fn behind(at: At, done: u64) -> At {
    at.map(|at| at.saturating_add_unsigned(done))
}

/// Repeats a step until `length` bytes are done, it does nothing more, or it fails.
fn repeat(length: u64, mut step: impl FnMut(u64) -> Result<usize>) -> Done {
    let mut done = 0;
    while done < length {
        match step(done) {
            Ok(0) => break,
            Ok(count) => done += count as u64,
            Err(error) => return (done, Some(error)),
        }
    }
    (done, None)
}

/// Fills memory; less than all of it only at the file's end. From the current position one read is made, because what
/// has no positions has no end either.
pub fn read_into(fd: &OwnedFd, room: &mut [MaybeUninit<u8>], at: At) -> FileResult {
    let done = match at {
        None => file::read(fd, room, at).map_or_else(|error| (0, Some(error)), |count| (count as u64, None)),
        Some(_) => {
            let length = room.len() as u64;
            repeat(length, |done| file::read(fd, &mut room[done as usize..], behind(at, done)))
        }
    };
    FileResult::count(without_late_error(done))
}

/// The same into a buffer that has room for `length` bytes.
pub fn read(fd: &OwnedFd, mut buffer: Vec<u8>, length: usize, at: At) -> FileResult {
    let most = if at.is_some() { length as u64 } else { 0 };
    let first = file::read_on(fd, &mut buffer, length, at);
    let (done, error) = match first {
        Ok(count) if count > 0 => {
            let rest = most.saturating_sub(count as u64);
            let begin = count as u64;
            let (more, error) = repeat(rest, |done| file::read_on(fd, &mut buffer, length, behind(at, begin + done)));
            without_late_error((begin + more, error))
        }
        Ok(_) => (0, None),
        Err(error) => (0, Some(error)),
    };
    FileResult { value: done, error, carried: Carried::Data(buffer), more: false }
}

/// What was read is good; who reads on will meet the error.
fn without_late_error((done, error): Done) -> Done {
    (done, error.filter(|_| done == 0))
}

/// Writes all of it, in as many writes as that takes.
pub fn write(fd: &OwnedFd, bytes: &[u8], at: At) -> FileResult {
    FileResult::count(write_all(fd, bytes, at))
}

fn write_all(fd: &OwnedFd, bytes: &[u8], at: At) -> Done {
    let (done, error) = repeat(bytes.len() as u64, |done| file::write(fd, &bytes[done as usize..], behind(at, done)));
    // A file that takes nothing and says nothing would be asked for ever.
    let stuck = error.is_none() && done < bytes.len() as u64;
    (done, if stuck { Some(Error::os(libc::EIO)) } else { error })
}

/// Copies up to `length` bytes, fewer at the end of the first file: inside the system where it can, else through memory.
pub fn copy(from: &OwnedFd, from_at: At, to: &OwnedFd, to_at: At, length: u64) -> FileResult {
    let length = match without_overlap(from, from_at, to, to_at, length) {
        Ok(length) => length,
        Err(error) => return FileResult::from(error),
    };
    let portion = |done: u64| usize::try_from(length - done).unwrap_or(LARGEST_COPY).min(LARGEST_COPY);
    let mut done =
        repeat(length, |done| file::copy_range(from, behind(from_at, done), to, behind(to_at, done), portion(done)));
    if undecided(done) && to_at.is_none() {
        done = repeat(length, |done| file::send_range(from, behind(from_at, done), to, portion(done)));
    }
    if undecided(done) {
        done = copy_through_memory(from, from_at, to, to_at, length);
    }
    FileResult::count(done)
}

/// Whether another way may do what this one did not: files of the kind that /proc has are empty for it, and errors
/// say that these two files are not for it.
fn undecided(done: Done) -> bool {
    let not_so = |error: Error| {
        let code = -error.code();
        // EBADF: to a file that is only appended to. What is really wrong is wrong in every way.
        [libc::ENOSYS, libc::EXDEV, libc::EINVAL, libc::EOPNOTSUPP, libc::EBADF, libc::EPERM, libc::ESPIPE]
            .contains(&code)
    };
    done.0 == 0 && done.1.is_none_or(not_so)
}

/// How much there is to copy. Within one file that is what it has now: it grows, and would never end.
///
/// # Errors
/// EINVAL when what is read would be what was written.
fn without_overlap(from: &OwnedFd, from_at: At, to: &OwnedFd, to_at: At, length: u64) -> Result<u64> {
    let source = file::stat(from)?;
    if source.kind != FileKind::Regular || !source.same_file(&file::stat(to)?) {
        return Ok(length);
    }
    let (Some(from_at), Some(to_at)) = (from_at, to_at) else { return Err(Error::os(libc::EINVAL)) };
    let length = length.min(source.file_size.saturating_sub(from_at as u64));
    if from_at.abs_diff(to_at) < length { Err(Error::os(libc::EINVAL)) } else { Ok(length) }
}

fn copy_through_memory(from: &OwnedFd, from_at: At, to: &OwnedFd, to_at: At, length: u64) -> Done {
    let mut buffer = Vec::new();
    if let Err(error) = buffer.try_reserve_exact(COPY_BUFFER) {
        return (0, Some(error.into()));
    }
    let mut done = 0;
    while done < length {
        buffer.clear();
        let most = usize::try_from(length - done).unwrap_or(COPY_BUFFER).min(COPY_BUFFER);
        match file::read_on(from, &mut buffer, most, behind(from_at, done)) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return (done, Some(error)),
        }
        let (written, error) = write_all(to, &buffer, behind(to_at, done));
        done += written;
        if error.is_some() {
            return (done, error);
        }
    }
    (done, None)
}

/// Copies a file's content and permissions to a name; `exclusive`: which must be new.
pub fn copy_path(from: &CStr, to: &CStr, exclusive: bool) -> FileResult {
    let opened = open_both(from, to, exclusive);
    opened.map_or_else(FileResult::from, |(from, to)| copy(&from, None, &to, None, u64::MAX))
}

fn open_both(from: &CStr, to: &CStr, exclusive: bool) -> Result<(OwnedFd, OwnedFd)> {
    let from = file::open(from, OpenFlags { read: true, no_wait: true, ..OpenFlags::default() }, 0)?;
    let source = file::stat(&from)?;
    match source.kind {
        FileKind::Regular | FileKind::Unknown => {}
        FileKind::Directory => return Err(Error::os(libc::EISDIR)),
        // What has no end would be copied for ever.
        _ => return Err(Error::os(libc::EINVAL)),
    }
    let flags = OpenFlags { write: true, create: true, exclusive, no_wait: true, ..OpenFlags::default() };
    let to = file::open(to, flags, source.mode & 0o777)?;
    let target = file::stat(&to)?;
    // Not while it is opened: that would empty a file that is copied to itself.
    if source.same_file(&target) || target.kind == FileKind::Fifo {
        return Err(Error::os(libc::EINVAL));
    }
    stream::set_nonblocking(to.as_raw_fd(), false)?;
    match file::truncate(&to, 0) {
        // What has no length is written to as it is.
        Err(error) if error.code() == -libc::EINVAL => {}
        truncated => truncated?,
    }
    // What the process takes away from new files counts for new ones, not for copies. Not everything has permissions, and
    // those of another user's file are not ours to change.
    let _ = file::set_mode(&to, source.mode & 0o777);
    Ok((from, to))
}
