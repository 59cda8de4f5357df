//! What can happen to a file or directory that is watched.

/// It is new in its directory, or was found in a directory that is new.
pub const CREATED: u32 = 0x1;
/// It was removed.
pub const DELETED: u32 = 0x2;
/// Its contents were changed.
pub const MODIFIED: u32 = 0x4;
/// Its permissions, owner, times or number of names were changed.
pub const ATTRIBUTES: u32 = 0x8;
/// It was moved away from this name.
pub const MOVED_FROM: u32 = 0x10;
/// It was moved to this name.
pub const MOVED_TO: u32 = 0x20;
/// The watched directory itself is gone or has another name: nothing more will come.
pub const SELF_GONE: u32 = 0x40;
/// Changes were lost: look for yourself.
pub const OVERFLOW: u32 = 0x80;
/// Said with the others: it is a directory.
pub const DIRECTORY: u32 = 0x100;
