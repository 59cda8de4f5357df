//! State machines over `sys` and `base`; no callbacks.

#![forbid(unsafe_code)]

pub mod changes;
pub mod datagram;
pub mod descriptors;
pub mod file;
pub mod poller;
pub mod stream;
