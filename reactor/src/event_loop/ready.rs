//! What the wait has found, one delivery at a time: async handles, lost descriptors, signals, descriptors.

use super::core::{Core, Slot, Told};
use super::owned::is_owned;
use super::timer::wall_registration;
use super::turn::WALL_KEY;
use super::{Event, Sink};
use crate::base::error::Result;
use crate::base::id::Id;
use crate::base::interest::{ERROR, HANGUP};
use crate::io::descriptors::Known;
use crate::sys::poller::{Poller, Ready, WAKE_KEY};
use crate::sys::signal;

impl<S: Sink> Core<S> {
    pub(super) fn next_async(&mut self) -> Option<(Id, S::User, Told)> {
        while let Some(id) = self.turn.asyncs.get(self.turn.next_async).copied() {
            self.turn.next_async += 1;
            if self.table.get(id).is_some() {
                return self.delivery(id, Event::Async);
            }
        }
        None
    }

    pub(super) fn next_casualty(&mut self) -> Option<(Id, S::User, Told)> {
        while let Some(casualty) = self.descriptors.take_casualty() {
            let id = casualty.watcher;
            if let Some(Slot::Io(io)) = self.table.get_mut(id).map(|entry| &mut entry.slot) {
                io.interest = 0;
                let timer = io.timer();
                if let Some(timer) = timer {
                    self.timers.cancel(timer);
                }
                self.set_active(id, false);
                return self.delivery(id, Event::Io { ready: 0, status: casualty.error.code() });
            }
        }
        None
    }

    pub(super) fn next_signal(&mut self) -> Option<(Id, S::User, Told)> {
        while let Some(id) = self.turn.signals.pop_front() {
            let Some(Slot::Signal(watched)) = self.table.get_mut(id).map(|entry| &mut entry.slot) else { continue };
            let total = signal::deliveries(watched.signum);
            let count = total - watched.seen;
            watched.seen = total;
            let signum = watched.signum;
            if count > 0 {
                return self.delivery(id, Event::Signal { signum, count });
            }
        }
        None
    }

    pub(super) fn next_io(&mut self) -> Option<(Id, S::User, Told)> {
        if let Some(told) = self.turn.more.take().and_then(|id| self.owned_more(id)) {
            return Some(told);
        }
        loop {
            if let Some(told) = self.next_datagram() {
                return Some(told);
            }
            if self.turn.current.is_some() {
                if let told @ Some(_) = self.next_of_current() {
                    return told;
                }
            }
            if self.turn.accepting.is_some() {
                if let told @ Some(_) = self.next_accepted() {
                    return told;
                }
            }
            if !self.turn.finishing.is_empty() {
                if let told @ Some(_) = self.next_finishing() {
                    return told;
                }
            }
            while let Some((id, bits)) = self.turn.tell.get(self.turn.next_tell).copied() {
                self.turn.next_tell += 1;
                if let Some(told) = self.tell_io(id, bits) {
                    return Some(told);
                }
            }
            let Some(ready) = self.turn.ready.get(self.turn.next_ready) else {
                if self.turn.regular_done {
                    return self.next_always();
                }
                self.turn.regular_done = true;
                self.clear_tell();
                self.descriptors.regular_events(&mut self.turn.tell);
                continue;
            };
            self.turn.next_ready += 1;
            if is_owned(ready) {
                match self.owned_event(ready) {
                    None => continue,
                    told => return told,
                }
            }
            if let Some((id, bits)) = self.what_is_ready(ready) {
                if let Some(told) = self.tell_io(id, bits) {
                    return Some(told);
                }
            }
        }
    }

    /// Handles whose descriptors are always ready, at the end of the turn's I/O.
    fn next_always(&mut self) -> Option<(Id, S::User, Told)> {
        while let Some((id, bits)) = self.next_always_ready() {
            let told = self.owned_ready(id, bits);
            if told.is_some() {
                return told;
            }
        }
        None
    }

    fn clear_tell(&mut self) {
        self.turn.tell.clear();
        self.turn.next_tell = 0;
    }

    /// The one watcher that it concerns; if there are several they are listed.
    #[inline]
    fn what_is_ready(&mut self, ready: Ready) -> Option<(Id, u32)> {
        match ready.key {
            WAKE_KEY => self.waker.woken(),
            WALL_KEY => self.wall_clock_was_set(),
            _ => {
                if !self.turn.tell.is_empty() {
                    self.clear_tell();
                }
                match self.descriptors.event(&self.poller, ready, &mut self.turn.tell) {
                    Known::One(id, bits) => return Some((id, bits)),
                    Known::Zombie => self.turn.zombie = true,
                    Known::Yes | Known::Closed => {}
                }
            }
        }
        None
    }

    /// What the watcher is told, as it is now: callbacks before may have changed its mind.
    #[inline]
    fn tell_io(&mut self, id: Id, bits: u32) -> Option<(Id, S::User, Told)> {
        let entry = self.table.get_mut(id)?;
        let Slot::Io(io) = &mut entry.slot else {
            self.connect_ready(id);
            return None;
        };
        let ready = bits & (u32::from(io.interest) | ERROR | HANGUP);
        if io.interest == 0 || ready == 0 {
            return None;
        }
        let told = (id, entry.user.clone(), Told::Event(Event::Io { ready, status: 0 }));
        self.stats.events += 1;
        if io.oneshot || io.timeout.is_some() {
            self.io_was_told(id);
        }
        Some(told)
    }

    /// A oneshot is stopped, and a timeout begins anew.
    fn io_was_told(&mut self, id: Id) {
        let Some(Slot::Io(io)) = self.table.get_mut(id).map(|entry| &mut entry.slot) else { return };
        let (timeout, oneshot) = (io.running_timeout(), io.oneshot);
        if oneshot {
            io.interest = 0;
            self.set_active(id, false);
        }
        match timeout {
            Some((timer, _)) if oneshot => self.timers.cancel(timer),
            Some((timer, after_ns)) => self.timers.push_back(timer, after_ns),
            None => {}
        }
    }

    fn wall_clock_was_set(&mut self) {
        if let Some(watch) = &self.wall_watch {
            // A failure leaves the wall timers to the next wait that ends for another reason.
            let _ = watch.arm();
        }
    }

    /// A registration that nobody can remove keeps reporting: a new object takes over all the others.
    pub(super) fn replace_poller(&mut self) -> Result<()> {
        let fresh = Poller::new()?;
        self.waker.register(&fresh)?;
        if let Some(watch) = &self.wall_watch {
            fresh.add(watch.fd(), wall_registration())?;
        }
        if let Some(outer) = &self.outer {
            outer.watch(fresh.fd())?;
        }
        self.poller = fresh;
        self.descriptors.move_to(&self.poller);
        self.move_owned();
        Ok(())
    }
}
