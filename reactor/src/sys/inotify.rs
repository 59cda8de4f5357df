//! Changes of files and directories, as the kernel tells them: one watch a directory, numbered by the kernel.

#[cfg(not(target_os = "linux"))]
#[path = "inotify/missing.rs"]
mod imp;
#[cfg(target_os = "linux")]
#[path = "inotify/linux.rs"]
mod imp;

mod directory;

pub use directory::{Directory, Identity};
pub use imp::{open, pending, read, remove};

use crate::base::error::Result;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Room for one read: at least one event with the longest name, and usually all that are waiting.
pub const READ: usize = 4096;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    /// Of which watch; -1 for an overflow.
    pub watch: i32,
    /// What has happened: bits of [`mask`].
    pub mask: u32,
    /// Joins the two halves of a move.
    pub cookie: u32,
    /// In the watched directory; empty for the directory itself.
    pub name: &'a [u8],
}

/// The kernel's bits that are used.
pub mod mask {
    #![allow(missing_docs, reason = "they are the kernel's, see inotify(7)")]
    pub const MODIFY: u32 = 0x2;
    pub const ATTRIB: u32 = 0x4;
    pub const MOVED_FROM: u32 = 0x40;
    pub const MOVED_TO: u32 = 0x80;
    pub const CREATE: u32 = 0x100;
    pub const DELETE: u32 = 0x200;
    pub const DELETE_SELF: u32 = 0x400;
    pub const MOVE_SELF: u32 = 0x800;
    pub const UNMOUNT: u32 = 0x2000;
    pub const OVERFLOW: u32 = 0x4000;
    pub const IGNORED: u32 = 0x8000;
    pub const DIRECTORY: u32 = 0x4000_0000;
}

/// What a read has brought, event by event.
pub fn events(mut bytes: &[u8]) -> impl Iterator<Item = Raw<'_>> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_at_checked(16)?;
        let number = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (name, rest) = rest.split_at_checked(number(12) as usize)?;
        bytes = rest;
        // Names are padded with zeros.
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        Some(Raw { watch: number(0) as i32, mask: number(4), cookie: number(8), name })
    })
}

/// Whether a path is that of a directory (or of a symbolic link to one).
///
/// # Errors
/// The system's, such as ENOENT.
pub fn is_directory(path: &[u8]) -> Result<bool> {
    Ok(std::fs::metadata(OsStr::from_bytes(path))?.is_dir())
}

/// Whether there is anything of that name, even a symbolic link to nowhere.
///
/// # Errors
/// The system's, such as ENOENT.
pub fn exists(path: &[u8]) -> Result<()> {
    std::fs::symlink_metadata(OsStr::from_bytes(path))?;
    Ok(())
}

/// The path of a directory from the root of the file system, without symbolic links, so that it stays the same when the
/// program goes elsewhere, or a link is set anew.
///
/// # Errors
/// The system's, such as ENOENT.
pub fn canonical(path: &[u8]) -> Result<Vec<u8>> {
    Ok(std::fs::canonicalize(OsStr::from_bytes(path))?.into_os_string().into_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_apart_and_what_is_cut_off_is_left() {
        let mut bytes = Vec::new();
        for (watch, mask, cookie, name) in [(1, 2, 0, &b""[..]), (7, 64, 9, &b"abc\0\0\0\0\0"[..])] {
            for number in [watch, mask, cookie, name.len() as u32] {
                bytes.extend(number.to_ne_bytes());
            }
            bytes.extend(name);
        }
        let all: Vec<Raw<'_>> = events(&bytes).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0], Raw { watch: 1, mask: 2, cookie: 0, name: b"" });
        assert_eq!(all[1], Raw { watch: 7, mask: 64, cookie: 9, name: b"abc" });
        assert_eq!(events(&bytes[..bytes.len() - 1]).count(), 1);
        assert_eq!(events(&bytes[..15]).count(), 0);
    }
}
