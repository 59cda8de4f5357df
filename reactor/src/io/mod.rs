//! State machines over `sys` and `base`; no callbacks.

pub mod descriptors;
pub mod poller;
