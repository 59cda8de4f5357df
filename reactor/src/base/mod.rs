//! Pure data structures: no operating system, no unsafe code, no callbacks.

pub mod error;
pub mod id;
pub mod interest;
pub mod table;
pub mod timers;
