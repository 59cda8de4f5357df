//! Listeners: connections are accepted as they come, within what the program and the system allow.
//!
//! When there is no descriptor or memory left for another connection, the listener rests and tries again: after a while,
//! and when one of its connections is closed. It neither spins nor stays silent for ever.

use super::conn::Shape;
use super::core::{Core, Slot, Told};
use super::limits::{ACCEPT_RETRY_NS, ACCEPTS_PER_TURN};
use super::owned::Owned;
use super::{Event, EventLoop, Sink};
use crate::base::address::Address;
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::base::interest::READ;
use crate::base::timers::TimerKey;
use crate::sys::Fd;
use crate::sys::bound::BoundPath;
use crate::sys::stream::{self, StreamKind};
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// How a listener behaves once it listens.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// What its connections are like.
    pub shape: Shape,
    /// At so many open connections accepting rests until one is closed.
    pub max_conns: u32,
    /// How many connections may be accepted a turn; 0: [`ACCEPTS_PER_TURN`].
    pub accepts_per_turn: u32,
    /// Connections for which there is no descriptor are taken and closed, instead of waiting.
    pub shed: bool,
    /// Its connections keep the loop alive.
    pub conns_referenced: bool,
    /// The program wants to be told of each connection's opening.
    pub tells_open: bool,
}

/// A listener.
pub(super) struct Listener {
    pub(super) owned: Owned,
    shape: Rc<Shape>,
    config: ListenerConfig,
    open: u32,
    paused: bool,
    /// There is no descriptor or memory for another connection.
    starving: bool,
    /// It closes when no connection waits any more.
    finishing: bool,
    retry: TimerKey,
    /// A descriptor to give up for a moment, for shedding.
    reserve: Option<OwnedFd>,
    /// The file of a Unix socket, which is removed at the end.
    _path: Option<BoundPath>,
}

impl Listener {
    fn accepts(&self) -> bool {
        !self.paused && !self.starving && self.open < self.config.max_conns
    }
}

impl<S: Sink> EventLoop<S> {
    /// Accepts connections on a listening socket that does not block. `path` is the file that goes with it.
    ///
    /// # Errors
    /// [`Error::INVALID`] for a limit of 0, [`Error::EXISTS`] when it is being watched, [`Error::NO_MEMORY`],
    /// [`Error::LIMIT`], [`Error::FORKED`], [`Error::PANIC`], the system's. The socket comes back then.
    pub fn listener_open(
        &self, fd: &mut Option<OwnedFd>, path: Option<BoundPath>, config: ListenerConfig, user: S::User,
        referenced: bool,
    ) -> Result<Id> {
        if config.max_conns == 0 {
            return Err(Error::invalid("a listener without connections"));
        }
        let reserve = if config.shed { Some(crate::sys::bound::reserve()?) } else { None };
        let mut core = self.core()?;
        let id = core.reserve(user, referenced)?;
        let opened = core.listener_begin(id, fd, path, config, reserve);
        if opened.is_err() {
            core.unreserve(id);
        }
        opened.map(|()| id)
    }

    /// Pauses accepting, or resumes it. Connections wait in the system's queue meanwhile.
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn listener_pause(&self, id: Id, pause: bool) -> Result<()> {
        let mut core = self.core()?;
        core.listener(id)?.paused = pause;
        core.listener_rewait(id);
        Ok(())
    }

    /// Accepts what waits in the system's queue, then closes. (Closing at once resets those who wait.)
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn listener_finish(&self, id: Id) -> Result<()> {
        let mut core = self.core()?;
        let listener = core.listener(id)?;
        (listener.finishing, listener.paused, listener.starving) = (true, false, false);
        core.listener_look_again(id);
        core.listener_rewait(id);
        Ok(())
    }

    /// How many of its connections are open.
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn listener_conns(&self, id: Id) -> Result<u32> {
        self.core()?.listener(id).map(|listener| listener.open)
    }

    /// Its socket, for options that the library has no words for.
    ///
    /// # Errors
    /// [`Error::KIND`], [`Error::STALE`], [`Error::FORKED`], [`Error::PANIC`].
    pub fn listener_fd(&self, id: Id) -> Result<Fd> {
        self.core()?.listener(id).map(|listener| listener.owned.fd())
    }
}

impl<S: Sink> Core<S> {
    fn listener(&mut self, id: Id) -> Result<&mut Listener> {
        match &mut self.entry(id)?.slot {
            Slot::Listener(listener) => Ok(listener),
            _ => Err(Error::KIND),
        }
    }

    fn listener_mut(&mut self, id: Id) -> Option<&mut Listener> {
        match &mut self.table.get_mut(id)?.slot {
            Slot::Listener(listener) => Some(listener),
            _ => None,
        }
    }

    fn listener_begin(
        &mut self, id: Id, fd: &mut Option<OwnedFd>, path: Option<BoundPath>, config: ListenerConfig,
        reserve: Option<OwnedFd>,
    ) -> Result<()> {
        let retry = self.timers.create(id.raw())?;
        let owned = match self.own_from(id, fd, READ) {
            Ok(owned) => owned,
            Err(error) => {
                self.timers.destroy(retry);
                return Err(error);
            }
        };
        let shape = Rc::new(Shape { listener: id, ..config.shape.clone() });
        let listener = Listener {
            owned,
            shape,
            config,
            open: 0,
            paused: false,
            starving: false,
            finishing: false,
            retry,
            reserve,
            _path: path,
        };
        self.entry(id)?.slot = Slot::Listener(Box::new(listener));
        self.set_active(id, true);
        Ok(())
    }

    fn listener_rewait(&mut self, id: Id) {
        let Some(listener) = self.listener_mut(id) else { return };
        let interest = if listener.accepts() { READ } else { 0 };
        if interest != listener.owned.interest() {
            self.owned_want(id, interest);
        }
    }

    /// Connections wait.
    pub(super) fn listener_ready(&mut self, id: Id) -> Option<(Id, S::User, Told)> {
        let most = match self.listener_mut(id)?.config.accepts_per_turn {
            0 => ACCEPTS_PER_TURN,
            some => some,
        };
        self.turn.accepting = Some((id, most));
        self.next_accepted()
    }

    /// A listener that is finishing looks whether anybody waits.
    pub(super) fn next_finishing(&mut self) -> Option<(Id, S::User, Told)> {
        while let Some(id) = self.turn.finishing.pop() {
            let told = self.listener_ready(id);
            if told.is_some() {
                return told;
            }
        }
        None
    }

    /// The next connection of the listener that the turn is at.
    pub(super) fn next_accepted(&mut self) -> Option<(Id, S::User, Told)> {
        while let Some((id, left)) = self.turn.accepting {
            let accepts = left > 0 && self.listener_mut(id).is_some_and(|listener| listener.accepts());
            if !accepts {
                self.listener_look_again(id);
                break;
            }
            self.turn.accepting = Some((id, left - 1));
            let fd = self.listener_mut(id)?.owned.fd();
            match stream::accept(fd) {
                Ok((conn, peer)) => {
                    if let told @ Some(_) = self.listener_accepted(id, conn, peer) {
                        return told;
                    }
                }
                Err(error) => match kind_of(error) {
                    // Linux looks for a descriptor before it looks for a connection.
                    Failure::NoRoom if !stream::somebody_waits(fd) => {
                        self.listener_waited_for(id);
                        break;
                    }
                    Failure::NoneWaits => {
                        self.listener_waited_for(id);
                        break;
                    }
                    Failure::Gone => {}
                    Failure::NoRoom => return self.listener_starves(id, error),
                    Failure::Broken => return self.listener_broken(id, error),
                },
            }
        }
        self.turn.accepting = None;
        None
    }

    /// The turn of one that is finishing comes even if nobody waits: only then is it known that nobody does.
    fn listener_look_again(&mut self, id: Id) {
        if let Some(listener) = self.listener_mut(id).filter(|listener| listener.finishing && listener.accepts()) {
            let retry = listener.retry;
            self.timers.push_back(retry, 0);
        }
    }

    /// Nobody waits any more: one that is finishing closes.
    fn listener_waited_for(&mut self, id: Id) {
        if self.listener_mut(id).is_some_and(|listener| listener.finishing) {
            // Cannot fail: it was just found.
            let _ = self.close(id);
        }
    }

    fn listener_accepted(&mut self, id: Id, fd: OwnedFd, peer: Option<Address>) -> Option<(Id, S::User, Told)> {
        let listener = self.listener_mut(id)?;
        let (shape, referenced) = (listener.shape.clone(), listener.config.conns_referenced);
        let user = S::accepted_user(&self.user(id)?);
        match self.conn_make_accepted(fd, shape, user, referenced) {
            Ok(conn) => {
                let listener = self.listener_mut(id)?;
                listener.open += 1;
                let tells_open = listener.config.tells_open;
                self.listener_rewait(id);
                if tells_open {
                    self.conn_tell_open_now(conn);
                }
                self.stats.events += 1;
                let peer = peer.unwrap_or(Address::Unix(crate::base::address::UnixName::default()));
                Some((id, self.user(id)?, Told::Accepted(conn, Box::new(peer))))
            }
            // The peer sees its connection closed; that there is no memory is reported.
            Err(error) => self.listener_starves(id, error),
        }
    }

    /// Rests until there may be room, and says so once.
    fn listener_starves(&mut self, id: Id, error: Error) -> Option<(Id, S::User, Told)> {
        self.turn.accepting = None;
        if self.listener_sheds(id) {
            // One that is finishing may have nobody to wait for now.
            self.listener_look_again(id);
            return self.delivery(id, Event::ListenerError { status: error.code() });
        }
        let listener = self.listener_mut(id)?;
        listener.starving = true;
        let retry = listener.retry;
        self.timers.push_back(retry, ACCEPT_RETRY_NS);
        self.listener_rewait(id);
        self.delivery(id, Event::ListenerError { status: error.code() })
    }

    /// Takes and closes what waits, with the descriptor that was kept for this; whether it could.
    fn listener_sheds(&mut self, id: Id) -> bool {
        let Some(listener) = self.listener_mut(id) else { return false };
        if !listener.config.shed {
            return false;
        }
        for _ in 0..ACCEPTS_PER_TURN {
            listener.reserve = None;
            let taken = stream::accept(listener.owned.fd());
            let went = taken.is_ok();
            drop(taken);
            listener.reserve = crate::sys::bound::reserve().ok();
            if !went {
                break;
            }
        }
        listener.reserve.is_some()
    }

    /// It cannot go on: the program is told, and closes it; one that is finishing closes by itself.
    fn listener_broken(&mut self, id: Id, error: Error) -> Option<(Id, S::User, Told)> {
        self.turn.accepting = None;
        let event = Event::ListenerError { status: error.code() };
        let listener = self.listener_mut(id)?;
        listener.paused = true;
        if listener.finishing {
            let user = self.user(id)?;
            self.stats.events += 1;
            return Some((id, user, Told::Last(event)));
        }
        self.listener_rewait(id);
        self.delivery(id, event)
    }

    /// There may be room again.
    pub(super) fn listener_retry(&mut self, id: Id) {
        if let Some(listener) = self.listener_mut(id) {
            listener.starving = false;
            if listener.finishing {
                self.turn.finishing.push(id);
            }
            self.listener_rewait(id);
        }
    }

    /// One of its connections is closed.
    pub(super) fn listener_conn_closed(&mut self, id: Id) {
        let Some(listener) = self.listener_mut(id) else { return };
        listener.open -= 1;
        if std::mem::take(&mut listener.starving) {
            let retry = listener.retry;
            self.timers.cancel(retry);
        }
        self.listener_look_again(id);
        self.listener_rewait(id);
    }

    pub(super) fn listener_dispose(&mut self, id: Id, listener: Listener) {
        self.timers.destroy(listener.retry);
        self.disown(id, listener.owned);
    }

    fn conn_make_accepted(&mut self, fd: OwnedFd, shape: Rc<Shape>, user: S::User, referenced: bool) -> Result<Id> {
        self.conn_make(&mut Some(fd), StreamKind::Socket, shape, 0, user, referenced)
    }
}

/// What the failure of an accept means.
enum Failure {
    NoneWaits,
    /// That connection only: the next one may be well.
    Gone,
    NoRoom,
    Broken,
}

fn kind_of(error: Error) -> Failure {
    match -error.code() {
        libc::EAGAIN => Failure::NoneWaits,
        libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM => Failure::NoRoom,
        // accept(2) of Linux names the network's errors, which belong to the connection that was being taken.
        libc::ECONNABORTED
        | libc::EINTR
        | libc::EPROTO
        | libc::EPERM
        | libc::ENETDOWN
        | libc::ENOPROTOOPT
        | libc::EHOSTDOWN
        | libc::EHOSTUNREACH
        | libc::ENETUNREACH
        | libc::ETIMEDOUT => Failure::Gone,
        _ => Failure::Broken,
    }
}
