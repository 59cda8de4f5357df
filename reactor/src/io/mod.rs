//! State machines over `sys` and `base`; no callbacks.

#![forbid(unsafe_code)]

pub mod datagram;
pub mod descriptors;
pub mod poller;
