//! Connected streams: sockets, pipes, terminals.
//!
//! `state` is what one is made of, `commands` what the program may ask for, `step` what readiness leads to, `frames` what
//! is held until it makes frames, `ending` how one ends, `deadlines` its timeouts, `limits` its rate limits, `passing`
//! descriptors that it carries, `relay` the forwarding of one into another, `plain` the shortest ways for what most of
//! them do.
//!
//! Whatever a connection has to tell comes from the loop: commands only note it in the connection's flags, and the loop
//! comes by in its next turn.

mod commands;
mod deadlines;
mod ending;
mod frames;
mod limits;
mod passing;
mod plain;
mod relay;
mod state;
mod step;

pub use state::{ConnStats, Shape, Timeout, Timeouts};

use super::noted::Noted;
use crate::sys::splice::SplicePipe;

/// What a loop knows of all connections.
#[derive(Default)]
pub(super) struct Conns {
    /// To be looked at in the next turn.
    pub(super) listed: Noted,
    /// Have read or written since the last reading of the clock.
    touched: Noted,
    pub(super) count: usize,
    /// What relays move bytes through, once one has much to move.
    pipe: Option<SplicePipe>,
    /// Buffers of the program's that wait in them.
    pub(super) buffers: usize,
}

impl Conns {
    /// In a forked child: the pipe is the parent's as well, whose bytes must not be mixed with ours.
    pub(super) fn begin_anew(&mut self) {
        self.pipe = None;
    }
}

pub(super) use state::Conn;
pub(super) use state::flag::{CONNECTING, TELL_OPEN};
pub(super) use step::Current;
