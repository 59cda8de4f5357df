//! Forwarding one connection into another, no faster than the other takes it.

use super::state::flag;
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::event_loop::core::Core;
use crate::event_loop::{EventLoop, Sink};
use std::io::IoSlice;

impl<S: Sink> EventLoop<S> {
    /// Relays both ways.
    ///
    /// # Errors
    /// As [`EventLoop::conn_relay`]; then neither way is relayed.
    pub fn conn_pipe(&self, one: Id, other: Id) -> Result<()> {
        self.core()?.conn_check_relay(one, other)?;
        self.core()?.conn_check_relay(other, one)?;
        self.conn_relay(one, other)?;
        self.conn_relay(other, one)
    }

    /// From now on what `from` receives is written to `to`: `from` gets no data events any more, its reading rests while
    /// more than the high mark waits in `to`, its end becomes the end of our direction of `to`, and when one of them breaks
    /// the other one is reset. What was received before and is held goes first. Both ways are two calls.
    ///
    /// # Errors
    /// [`Error::INVALID`] for a connection into itself, [`Error::EXISTS`] when `from` is relayed already or something else
    /// into `to`, [`Error::NO_MEMORY`], [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`]; EPIPE when
    /// our direction of `to` has ended.
    pub fn conn_relay(&self, from: Id, to: Id) -> Result<()> {
        let mut core = self.core()?;
        core.conn_check_relay(from, to)?;
        let (held, ended) = core.conn(from)?.take_held();
        if !held.is_empty() {
            if let Err(error) = core.conn_write_pieces(to, &[IoSlice::new(&held)]) {
                core.conn(from)?.extra().held = held;
                return Err(error);
            }
        }
        let source = core.conn(from)?;
        source.flags &= !flag::LEFTOVER;
        source.extra().relay_to = Some(to);
        core.conn(to)?.extra().relay_from = Some(from);
        if ended {
            core.conn_want_shut(to);
        }
        core.conn_rewait(from);
        core.conn_list_if_pending(to);
        Ok(())
    }
}

impl<S: Sink> Core<S> {
    fn conn_check_relay(&mut self, from: Id, to: Id) -> Result<()> {
        if from == to {
            return Err(Error::invalid("a connection cannot be relayed into itself"));
        }
        let target = self.conn(to)?;
        if target.has(flag::SHUT_WANTED | flag::OVER) {
            return Err(Error::os(libc::EPIPE));
        }
        if target.extra.as_ref().is_some_and(|extra| extra.relay_from.is_some()) {
            return Err(Error::EXISTS.because("another connection is relayed into this one"));
        }
        let source = self.conn(from)?;
        if source.has(flag::OVER | flag::FINISHING) {
            return Err(Error::os(libc::EPIPE));
        }
        if source.relay_to().is_some() {
            return Err(Error::EXISTS.because("the connection is relayed already"));
        }
        Ok(())
    }

    /// Passes on what was received.
    pub(super) fn conn_forward(&mut self, from: Id, to: Id, bytes: &[u8]) {
        match self.conn_write_pieces(to, &[IoSlice::new(bytes)]) {
            Ok(false) => {}
            Ok(true) => {
                if let Some(source) = self.conn_mut(from) {
                    source.flags |= flag::PARTNER_FULL;
                }
                self.conn_rewait(from);
            }
            // The other one's own failure is told as its own; without it this one has nowhere to go.
            Err(error) => self.conn_fail(from, error),
        }
    }

    /// What waited in a connection has gone: the one that is relayed into it goes on.
    pub(super) fn conn_let_source_go_on(&mut self, to: Id) {
        let source = self.conn_mut(to).and_then(|conn| conn.extra.as_ref()).and_then(|extra| extra.relay_from);
        if let Some(source) = source {
            if let Some(conn) = self.conn_mut(source).filter(|conn| conn.has(flag::PARTNER_FULL)) {
                conn.flags &= !flag::PARTNER_FULL;
                self.conn_reads_again(source);
            }
            self.conn_rewait(source);
        }
    }
}
