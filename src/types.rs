//! The types that every chapter uses.

use std::ffi::{c_int, c_void};

/// A descriptor: on Unix an `int`.
pub type tg_fd = c_int;

/// An object that lives in a loop. 0 is never one. A closed one is an error in every function, for ever.
pub type tg_handle = u64;

/// A loop.
pub type tg_loop = u64;

/// A poller.
pub type tg_poller = u64;

/// A group of loops.
pub type tg_group = u64;

/// Gives back a `user` pointer: called exactly once for each that was accepted, on the loop's thread, after which the
/// library never touches it again. Not to be left by longjmp; a foreign exception ends the process.
pub type tg_release_cb = Option<unsafe extern "C-unwind" fn(user: *mut c_void)>;

/// A piece of memory.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_buffer {
    /// Where it begins; may be NULL when it has no bytes.
    pub data: *const c_void,
    /// How many bytes it has.
    pub length: usize,
}

/// Gives back memory that was lent to an operation, with how that has ended: called exactly once, on the loop's thread,
/// before `user` is released. Not to be left by longjmp; a foreign exception ends the process.
pub type tg_free_cb =
    Option<unsafe extern "C-unwind" fn(data: *mut c_void, length: usize, user: *mut c_void, status: c_int)>;

/// A flag of every options structure of a handle: it does not keep the loop alive.
pub const TG_UNREF: u32 = 0x1;
