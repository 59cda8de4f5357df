//! Pure data structures: no operating system, no unsafe code, no callbacks.

#![forbid(unsafe_code)]

pub mod address;
pub mod error;
pub mod file;
pub mod id;
pub mod interest;
pub mod table;
pub mod timers;
