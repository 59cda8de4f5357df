//! Pure data structures: no operating system, no unsafe code, no callbacks.

#![forbid(unsafe_code)]

pub mod address;
pub mod change;
pub mod error;
pub mod file;
pub mod framing;
pub mod id;
pub mod interest;
pub mod out_queue;
pub mod rate;
pub mod table;
pub mod timers;
