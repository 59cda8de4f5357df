//! Connecting to a host by its name: look-up on a thread, then attempts at its addresses, which race.
//!
//! The addresses of both families take turns, and each attempt has a head start of a quarter of a second before the next one
//! begins beside it (RFC 8305, "Happy Eyeballs", sections 4 and 5). The first that succeeds becomes the connection; the
//! others are closed. One deadline counts for all of it.

use super::conn::{Shape, Timeouts};
use super::connect::{ConnectOptions, begin};
use super::core::{Core, Slot, Told};
use super::jobs::{JobKind, Needs, Outcome, Task};
use super::limits::ATTEMPT_DELAY_NS;
use super::{EventLoop, Sink};
use crate::base::address::Address;
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::base::interest::{Mode, WRITE};
use crate::base::timers::TimerKey;
use crate::sys::resolve::{self, Query};
use crate::sys::{socket, stream};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

/// A connection that is being made.
pub(super) struct Connecting {
    shape: Rc<Shape>,
    options: ConnectOptions,
    /// The look-up, as long as it is going on.
    look_up: Option<Arc<Task>>,
    /// Addresses that were not tried.
    addresses: VecDeque<Address>,
    attempts: Vec<Attempt>,
    timer: TimerKey,
    /// When it is given up; [`i64::MAX`]: never.
    deadline_ns: i64,
    /// Why the last attempt failed.
    error: Error,
    /// It is over, and that is to be told.
    failed: bool,
}

struct Attempt {
    fd: OwnedFd,
    /// Its registration, as a watched descriptor.
    descriptor: Id,
}

impl<S: Sink> EventLoop<S> {
    /// Connects to a host by name. Until it is [`Event::Opened`](crate::Event::Opened) the connection can only be closed.
    ///
    /// # Errors
    /// [`Error::INVALID`] without a port; [`Error::NO_MEMORY`], [`Error::LIMIT`], [`Error::FORKED`], [`Error::PANIC`]; EAGAIN when no thread can be started.
    /// What comes later is the reason of [`Event::ConnOver`](crate::Event::ConnOver).
    pub fn conn_connect_name(
        &self, query: Query, options: ConnectOptions, shape: Rc<Shape>, user: S::User, referenced: bool,
    ) -> Result<Id> {
        if query.is_without_port() {
            return Err(Error::invalid("nobody can be reached at port 0"));
        }
        let mut core = self.core()?;
        let id = core.reserve(user, referenced)?;
        let begun = core.connect_begin(id, query, options, shape);
        match begun {
            Ok(()) => core.set_active(id, true),
            Err(_) => core.unreserve(id),
        }
        begun.map(|()| id)
    }
}

impl<S: Sink> Core<S> {
    fn connect_begin(&mut self, id: Id, query: Query, options: ConnectOptions, shape: Rc<Shape>) -> Result<()> {
        let timer = self.timers.create(id.raw())?;
        let look_up = self
            .jobs
            .submit(id, JobKind::Resolve, Needs::default(), move || Outcome::Addresses(resolve::look_up(&query)));
        let look_up = match look_up {
            Ok(task) => Some(task),
            Err(error) => {
                self.timers.destroy(timer);
                return Err(error);
            }
        };
        let Timeouts { connect_ns, .. } = shape.timeouts;
        let deadline_ns = if connect_ns > 0 { self.clock.monotonic_ns().saturating_add(connect_ns) } else { i64::MAX };
        self.timers.arm(timer, deadline_ns);
        let (addresses, attempts) = (VecDeque::new(), Vec::new());
        let error = Error::NO_NAME;
        self.entry(id)?.slot = Slot::Connecting(Box::new(Connecting {
            shape,
            options,
            look_up,
            addresses,
            attempts,
            timer,
            deadline_ns,
            error,
            failed: false,
        }));
        Ok(())
    }

    fn connecting(&mut self, id: Id) -> Option<&mut Connecting> {
        match &mut self.table.get_mut(id)?.slot {
            Slot::Connecting(connecting) => Some(connecting),
            _ => None,
        }
    }

    /// The look-up is over.
    pub(super) fn connect_resolved(&mut self, id: Id, outcome: Outcome) {
        let Some(connecting) = self.connecting(id) else { return };
        connecting.look_up = None;
        let addresses = match outcome {
            Outcome::Addresses(found) => found,
            Outcome::Failed(error) => Err(error),
            _ => Err(Error::RESOLVE),
        };
        match addresses {
            Ok(addresses) => {
                connecting.addresses = take_turns(addresses);
                self.connect_next(id);
            }
            Err(error) => self.connect_fail(id, error),
        }
    }

    /// Tries the next address, and those behind it as long as they fail at once.
    fn connect_next(&mut self, id: Id) {
        while let Some(connecting) = self.connecting(id).filter(|connecting| !connecting.failed) {
            let Some(address) = connecting.addresses.pop_front() else { break };
            match begin(&address, &connecting.options) {
                Ok((fd, true)) => return self.connect_won(id, fd),
                Ok((fd, false)) => match self.connect_watch(id, fd) {
                    Ok(()) => break,
                    Err(error) => self.connect_note(id, error),
                },
                Err(error) => self.connect_note(id, error),
            }
        }
        self.connect_wait(id);
    }

    fn connect_note(&mut self, id: Id, error: Error) {
        if let Some(connecting) = self.connecting(id) {
            connecting.error = error;
        }
    }

    fn connect_watch(&mut self, id: Id, fd: OwnedFd) -> Result<()> {
        if let Some(connecting) = self.connecting(id) {
            connecting.attempts.try_reserve(1)?;
        }
        let descriptor = self.descriptors.open(&self.poller, fd.as_raw_fd(), id, WRITE, Mode::Level)?;
        if let Some(connecting) = self.connecting(id) {
            connecting.attempts.push(Attempt { fd, descriptor });
        }
        Ok(())
    }

    /// Waits for an attempt, the next one's time, or the deadline; without any attempt left it has failed.
    fn connect_wait(&mut self, id: Id) {
        let now_ns = self.now_ns;
        let Some(connecting) = self.connecting(id).filter(|connecting| !connecting.failed) else { return };
        if connecting.attempts.is_empty() && connecting.addresses.is_empty() {
            let error = connecting.error;
            return self.connect_fail(id, error);
        }
        let next = if connecting.addresses.is_empty() { i64::MAX } else { now_ns.saturating_add(ATTEMPT_DELAY_NS) };
        let (timer, due) = (connecting.timer, next.min(connecting.deadline_ns));
        self.timers.arm(timer, due);
    }

    /// An attempt has ended, one way or the other.
    pub(super) fn connect_ready(&mut self, id: Id) {
        let mut failed = false;
        let mut at = 0;
        while let Some(attempt) = self.connecting(id).and_then(|connecting| connecting.attempts.get(at)) {
            let fd = attempt.fd.as_raw_fd();
            if socket::peer_address(fd).is_ok() {
                let attempt = self.connect_take(id, at);
                return attempt.into_iter().for_each(|attempt| self.connect_won(id, attempt.fd));
            }
            match stream::take_error(fd) {
                0 => at += 1,
                code => {
                    failed = true;
                    self.connect_note(id, Error::from_code(code));
                    drop(self.connect_take(id, at));
                }
            }
        }
        if failed {
            // No need to wait for the next one's time.
            self.connect_next(id);
        }
    }

    fn connect_take(&mut self, id: Id, at: usize) -> Option<Attempt> {
        let attempt = self.connecting(id)?.attempts.remove(at);
        self.descriptors.close(&self.poller, attempt.descriptor, id);
        Some(attempt)
    }

    /// The next attempt's time has come, or all of its time is over.
    pub(super) fn connect_timer(&mut self, id: Id) {
        let now_ns = self.now_ns;
        match self.connecting(id) {
            Some(connecting) if now_ns >= connecting.deadline_ns => {
                // The loop may be late, and an attempt have succeeded long ago.
                self.connect_ready(id);
                self.connect_fail(id, Error::TIMED_OUT);
            }
            Some(_) => self.connect_next(id),
            None => {}
        }
    }

    fn connect_won(&mut self, id: Id, fd: OwnedFd) {
        self.connect_drop_parts(id);
        let Some(connecting) = self.connecting(id) else { return };
        let shape = connecting.shape.clone();
        if let Err(error) = self.conn_become(id, fd, shape) {
            self.connect_fail(id, error);
        }
    }

    /// It has failed: told in the next turn.
    pub(super) fn connect_fail(&mut self, id: Id, error: Error) {
        self.connect_drop_parts(id);
        let Some(connecting) = self.connecting(id).filter(|connecting| !connecting.failed) else { return };
        (connecting.failed, connecting.error) = (true, error);
        let timer = connecting.timer;
        connecting.addresses.clear();
        self.timers.cancel(timer);
        self.conns.listed.push(id);
    }

    /// In a forked child: the look-up is the parent's, whose thread may have it in hand, and does not count here.
    pub(super) fn connect_after_fork(&mut self, id: Id) {
        std::mem::forget(self.connecting(id).and_then(|connecting| connecting.look_up.take()));
        self.connect_fail(id, Error::FORKED);
    }

    /// What a listed one has to tell.
    pub(super) fn connect_tell(&mut self, id: Id) -> Option<(Id, S::User, Told)> {
        let reason = self.connecting(id).filter(|connecting| connecting.failed)?.error.code();
        self.set_active(id, false);
        self.stats.events += 1;
        Some((id, self.user(id)?, Told::Over(reason)))
    }

    /// Ends the look-up and all attempts.
    fn connect_drop_parts(&mut self, id: Id) {
        while self.connecting(id).is_some_and(|connecting| !connecting.attempts.is_empty()) {
            drop(self.connect_take(id, 0));
        }
        if let Some(task) = self.connecting(id).and_then(|connecting| connecting.look_up.take()) {
            self.jobs.give_up(task);
        }
    }

    /// Takes a closed one apart.
    pub(super) fn connect_dispose(&mut self, id: Id, connecting: Connecting) {
        for attempt in connecting.attempts {
            self.descriptors.close(&self.poller, attempt.descriptor, id);
        }
        if let Some(task) = connecting.look_up {
            self.jobs.give_up(task);
        }
        self.timers.destroy(connecting.timer);
    }
}

/// The families take turns, beginning with that of the first address; each keeps its own order.
fn take_turns(addresses: Vec<Address>) -> VecDeque<Address> {
    let first = addresses.first().is_some_and(Address::is_v6);
    let (mut ones, mut others): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_v6() == first);
    let mut all = VecDeque::new();
    while let Some(address) = ones.pop_front() {
        all.push_back(address);
        all.extend(others.pop_front());
    }
    all.extend(others);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_and_keep_their_order() {
        let address = |text: &&str| Address::parse(text, 1).unwrap();
        for (given, expected) in [
            (vec!["::1", "::2", "::3", "1.1.1.1", "2.2.2.2"], vec!["::1", "1.1.1.1", "::2", "2.2.2.2", "::3"]),
            (vec!["1.1.1.1", "::1", "::2"], vec!["1.1.1.1", "::1", "::2"]),
            (vec!["1.1.1.1"], vec!["1.1.1.1"]),
            (vec![], vec![]),
        ] {
            let turns = take_turns(given.iter().map(address).collect());
            assert_eq!(turns, expected.iter().map(address).collect::<Vec<_>>());
        }
    }
}
