//! Pure data structures: no operating system, no unsafe code, no callbacks.

#![forbid(unsafe_code)]

pub mod address;
pub mod change;
pub mod error;
pub mod id;
pub mod interest;
pub mod table;
pub mod timers;
