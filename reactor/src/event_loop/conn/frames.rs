//! What is held until it makes frames, and is delivered frame by frame.

use super::state::flag;
use super::step::Step;
use crate::base::error::Result;
use crate::base::id::Id;
use crate::event_loop::Sink;
use crate::event_loop::core::{Core, Told};
use crate::event_loop::limits::HELD_KEPT;

impl<S: Sink> Core<S> {
    /// Keeps bytes until they make a frame.
    pub(super) fn conn_hold(&mut self, id: Id, bytes: &[u8]) -> Result<()> {
        let conn = self.conn(id)?;
        let extra = conn.extra();
        extra.held.try_reserve(bytes.len())?;
        extra.held.extend_from_slice(bytes);
        conn.flags |= flag::LEFTOVER;
        Ok(())
    }

    /// The next whole frame of what is held.
    pub(super) fn conn_frame(&mut self, id: Id) -> Step<S> {
        let conn = self.conn_mut(id)?;
        if !conn.delivers() {
            return None;
        }
        let (shape, ended) = (conn.shape.clone(), conn.has(flag::EOF));
        let extra = conn.extra();
        let rest = &extra.held[extra.start..];
        let first = match shape.framing.first(rest, extra.searched, shape.max_frame) {
            Ok(None) if ended => shape.framing.last(rest, shape.max_frame),
            first => first,
        };
        let found = match first {
            Ok(found) => found,
            Err(error) => {
                self.conn_fail(id, error);
                return None;
            }
        };
        let Some(frame) = found else {
            extra.searched = rest.len();
            extra.held.drain(..std::mem::take(&mut extra.start));
            if extra.held.capacity() > HELD_KEPT && extra.held.len() <= HELD_KEPT {
                extra.held.shrink_to(if extra.held.is_empty() { 0 } else { HELD_KEPT });
            }
            conn.flags &= !flag::LEFTOVER;
            return None;
        };
        if let Some(current) = self.turn.current.as_mut().filter(|current| current.id == id) {
            if current.frames >= self.frames_per_turn {
                // The others first; the loop comes by again.
                return None;
            }
            current.frames += 1;
        }
        let extra = self.conn_mut(id)?.extra();
        let (start, end) = (extra.start + frame.start, extra.start + frame.end);
        (extra.start, extra.searched) = (extra.start + frame.next, 0);
        let held = std::mem::take(&mut extra.held);
        self.stats.events += 1;
        Some((id, self.user(id)?, Told::Held { buffer: held, start, end }))
    }

    /// A frame was delivered: what was held comes back, unless the connection is gone.
    pub(in crate::event_loop) fn conn_take_back(&mut self, id: Id, buffer: Vec<u8>) {
        let Some(conn) = self.conn_mut(id).filter(|conn| !conn.has(flag::FINISHING)) else { return };
        match conn.relay_to() {
            Some(to) => self.conn_pass_on_held(id, to, &buffer),
            None => conn.extra().held = buffer,
        }
    }
}
