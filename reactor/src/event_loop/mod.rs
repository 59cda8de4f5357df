//! The loop: one turn, the only place where user code is called, and one file a concept for its commands.
//!
//! A turn goes: idle hooks, prepare hooks → wait → read the clock → timers due → inbox (deferred calls, posts, asyncs) →
//! signals and I/O → check hooks → releases. What a turn will do is settled when its wait has ended: what is posted,
//! deferred or re-armed later runs in the next one.

#![forbid(unsafe_code)]

mod asyncs;
pub mod clock;
pub mod closures;
mod conn;
mod connect;
mod connect_name;
mod core;
mod dispatch;
mod file;
mod fork;
mod handles;
mod hooks;
mod inbox;
mod io;
mod jobs;
mod limits;
mod listener;
mod nest;
mod noted;
mod owned;
mod process;
mod rate;
mod ready;
mod releases;
mod resolve;
mod run;
mod signal;
mod stats;
mod timer;
mod turn;
mod udp;
mod watch;
mod work;

pub use self::core::HookKind;
pub use asyncs::send as async_send;
pub use clock::Clock;
pub use conn::{ConnStats, Shape, Timeout, Timeouts};
pub use connect::ConnectOptions;
pub use handles::{HandleInfo, Kind};
pub use inbox::{Registry, stop, wake};
pub use jobs::{JobKind, Outcome};
pub use limits::{
    DEFAULT_MAX_JOB_BYTES, DEFAULT_MAX_JOBS, DEFAULT_MAX_POSTS, MAX_STDIO, MAX_WORK_THREADS, MIN_WORK_THREADS,
};
pub use listener::ListenerConfig;
pub use rate::RateConfig;
pub use stats::Stats;
pub use udp::{UdpOption, UdpStats};

use self::core::Core;
use crate::base::address::Address;
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::io::datagram::Received;
use crate::sys::Fd;
use crate::sys::poller::{Poller, Waker};
use crate::sys::port::Claim;
use crate::sys::thread;
use inbox::Inbox;
use std::cell::{Cell, RefCell, RefMut};

/// What a handle is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    /// A descriptor is ready (`ready` has bits of [`crate::base::interest`], `status` is 0), or `ready` is 0 and `status`
    /// says why: [`Error::TIMED_OUT`] after the watcher's timeout, [`Error::BAD_FD`] when the descriptor is lost.
    Io {
        /// What it is ready for.
        ready: u32,
        /// 0 or an error code.
        status: i32,
    },
    /// A timer is due; `missed` further ticks of a repeating one have passed meanwhile.
    Timer {
        /// Ticks of the grid that get no event of their own.
        missed: u64,
    },
    /// A signal was delivered `count` times since the last report.
    Signal {
        /// Which.
        signum: i32,
        /// How often; at least 1.
        count: u64,
    },
    /// Somebody sent to an async handle, once or more.
    Async,
    /// A hook's place in the turn has come.
    Hook(HookKind),
    /// What was to be done on another thread has ended; the handle closes after this.
    Done(&'a Outcome),
    /// A listener has accepted a connection.
    Accepted {
        /// The connection, which is open.
        conn: Id,
        /// Where it comes from.
        peer: &'a Address,
    },
    /// A listener could not accept: it tries again by itself after a lack of descriptors or memory, and rests after anything
    /// else.
    ListenerError {
        /// Why.
        status: i32,
    },
    /// A connection is connected.
    Opened,
    /// A connection has received bytes, or a frame of them.
    Data(&'a [u8]),
    /// The peer of a connection has passed descriptors, which belong to the program from now on.
    Passed(&'a [Fd]),
    /// A connection has something to read, which the program does by itself.
    Readable,
    /// The peer has ended its direction.
    Eof,
    /// What waited to be written is below the low mark again.
    Drained,
    /// Nothing has come or gone for that long.
    TimedOut(Timeout),
    /// Everything accepted before the mark was written, or lost.
    Written {
        /// The mark's.
        token: u64,
        /// 0, or why it was lost.
        status: i32,
    },
    /// A connection is over; the handle closes after this.
    ConnOver {
        /// 0 when both directions ended in good order.
        reason: i32,
    },
    /// A process has ended; the handle closes after this.
    Exit {
        /// 0, or why the rest is not known: [`Error::NOT_FOUND`], the program itself has reaped it;
        /// [`Error::NOT_SUPPORTED`], it is no child of this process; [`Error::FORKED`], it is one of the parent's.
        status: i32,
        /// What it returned; -1 when it did not.
        code: i32,
        /// What has killed it; else 0.
        signal: i32,
    },
    /// Something that is watched has changed.
    Change {
        /// 0, or the code of an error that concerns `name`: it is not watched (any more).
        status: i32,
        /// Bits of [`crate::base::change`].
        changes: u32,
        /// The same for both halves of a move; else 0.
        cookie: u32,
        /// Below the watched directory; empty for the watched path itself.
        name: &'a std::ffi::CStr,
    },
    /// Datagrams have come: one at least, and only one where [`Sink::largest_carry`] has a limit.
    Datagrams(&'a Received),
    /// The network, or the system, has refused datagrams that were sent, or receiving has failed.
    UdpError {
        /// An error code.
        status: i32,
        /// To whom the datagram was sent that has caused it, where that is known.
        peer: Option<&'a Address>,
    },
    /// No datagram waits to be sent any more.
    UdpDrained,
}

/// Where events go: the only exit to user code. The loop holds no borrow while it calls these, so they may call any of its
/// methods except those that run it.
pub trait Sink: Sized + 'static {
    /// What a handle carries for its owner.
    type User: Clone;
    /// What can be posted from any thread.
    type Post: Send + 'static;

    /// Whether another event can be taken now. When not, the turn pauses and goes on where it stopped.
    fn has_room(&self) -> bool {
        true
    }
    /// How many events fit into a turn: one connection must not take all of them.
    fn events_per_turn(&self) -> u32 {
        u32::MAX
    }
    /// The most bytes that one event may carry: operations that could bring more are refused.
    fn largest_carry(&self) -> usize {
        usize::MAX
    }
    /// What a connection carries that a listener has accepted.
    fn accepted_user(listener: &Self::User) -> Self::User;
    /// A handle has an event.
    fn deliver(&self, event_loop: &EventLoop<Self>, id: Id, user: &Self::User, event: Event<'_>);
    /// As [`Sink::deliver`] with [`Event::Data`]: the event of which there are most.
    #[inline]
    fn deliver_bytes(&self, event_loop: &EventLoop<Self>, id: Id, user: &Self::User, bytes: &[u8]) {
        self.deliver(event_loop, id, user, Event::Data(bytes));
    }
    /// A post or deferred call has its turn.
    fn post(&self, event_loop: &EventLoop<Self>, post: &mut Self::Post);
    /// The handle is gone for good and its user is given back.
    fn released(&self, id: Id, user: Self::User);
    /// The post has had its turn, or the loop is being freed.
    fn post_released(&self, post: Self::Post);
    /// An event (`id`; [`Id::NONE`]: a post) took longer than the threshold.
    fn slow(&self, event_loop: &EventLoop<Self>, user: &Self::User, id: Id, duration_ns: i64);
}

/// How a loop shall be made.
#[derive(Clone, Debug, Default)]
pub struct LoopOptions {
    /// How many posts may wait; 0: [`DEFAULT_MAX_POSTS`].
    pub max_posts: u32,
    /// Which clocks it reads.
    pub clock: Clock,
    /// How many threads [`EventLoop::work_open`] and files may use; 0: as many as processors, at least
    /// [`MIN_WORK_THREADS`].
    pub work_threads: u32,
    /// How many works, look-ups and operations on files may wait or run; 0: [`DEFAULT_MAX_JOBS`].
    pub max_jobs: u32,
    /// How many bytes operations on files may hold that are not lent; 0: [`DEFAULT_MAX_JOB_BYTES`].
    pub max_job_bytes: u64,
}

/// See the module. It belongs to one thread; other threads reach it through its id (see [`Registry`]).
pub struct EventLoop<S: Sink> {
    core: RefCell<Core<S>>,
    sink: S,
    claim: Claim,
    inbox: &'static Inbox<S::Post>,
    /// The thread whose run is going on; 0: none is.
    runner: Cell<u64>,
    poisoned: Cell<bool>,
    max_posts: u32,
    /// From which duration on a callback is reported; 0: none is, and nobody looks at the clock.
    slow_after_ns: Cell<i64>,
}

impl<S: Sink> EventLoop<S> {
    /// A loop whose posts go through `registry`.
    ///
    /// # Errors
    /// [`Error::LIMIT`], [`Error::NO_MEMORY`], the system's (EMFILE, ENFILE).
    pub fn new(sink: S, options: LoopOptions, registry: &'static Registry<S::Post>) -> Result<EventLoop<S>> {
        let claim = Claim::new()?;
        let poller = Poller::new()?;
        let waker = Waker::new()?;
        waker.register(&poller)?;
        let inbox = registry.inbox(claim.tag());
        let max_posts = if options.max_posts == 0 { DEFAULT_MAX_POSTS } else { options.max_posts };
        let mut core = Core::new(&claim, poller, waker, &options)?;
        core.frames_per_turn = core.frames_per_turn.min(sink.events_per_turn() / limits::SHARE_OF_EVENTS).max(1);
        inbox.open(claim.floor(), max_posts);
        claim.open(core.waker.write_fd());
        Ok(EventLoop {
            core: RefCell::new(core),
            sink,
            claim,
            inbox,
            runner: Cell::new(0),
            poisoned: Cell::new(false),
            max_posts,
            slow_after_ns: Cell::new(0),
        })
    }

    /// The loop's own id.
    pub fn id(&self) -> Id {
        self.claim.id()
    }

    /// Where its events go.
    pub fn sink(&self) -> &S {
        &self.sink
    }

    /// Whether a run is going on: the caller is inside one of its callbacks. In a forked child only the thread that forked
    /// lives on; the run of another one is over.
    pub fn is_running(&self) -> bool {
        let runner = self.runner.get();
        runner != 0 && (runner == thread::token() || !self.claim.is_forked())
    }

    /// How many handles are open, whatever has become of the loop.
    pub fn open_handles(&self) -> usize {
        self.core.try_borrow().map_or(0, |core| core.table.len())
    }

    /// After a panic inside: every call from now on is [`Error::PANIC`].
    pub fn poison(&self) {
        self.poisoned.set(true);
    }

    /// The state, for the length of one command. Not inlined: every command begins with it, and few are in a hurry.
    #[inline(never)]
    fn core(&self) -> Result<RefMut<'_, Core<S>>> {
        self.core_inline()
    }

    /// The same for what is called once a request or more often.
    #[inline(always)]
    fn core_inline(&self) -> Result<RefMut<'_, Core<S>>> {
        if self.claim.is_forked() {
            return Err(Error::FORKED);
        }
        if self.poisoned.get() {
            return Err(Error::PANIC);
        }
        // Only a signal handler can find it borrowed: user code is never called while it is.
        self.core.try_borrow_mut().map_err(|_| Error::REENTRANT)
    }

    /// Closes everything that is open and gives every user back; how many handles were open. The loop is of no use
    /// afterwards. Not to be called from its callbacks.
    ///
    /// `None` in a forked child, when a thread of the parent was changing the loop at the fork: its state may be half
    /// changed, and the loop must be leaked ([`std::mem::forget`]), not dropped.
    pub fn shutdown(&mut self) -> Option<usize> {
        let forked = self.claim.is_forked();
        let undelivered = if forked { self.inbox.take_back_after_fork() } else { self.inbox.shut() };
        self.claim.shut();
        self.poisoned.set(true);
        // Borrowed still: at the fork another thread was in the middle of something. If it was only waiting, its state is
        // whole; if not, it is better leaked than touched.
        let whole = self.core.try_borrow_mut().is_ok() || self.core.get_mut().waiting;
        if !whole {
            std::mem::forget(undelivered);
            return None;
        }
        let open = self.core.get_mut().close_everything(forked);
        for post in undelivered {
            self.sink.post_released(post);
        }
        loop {
            let next = self.core.get_mut().next_release();
            match next {
                Some(release) => self.release(release),
                None => return Some(open),
            }
        }
    }
}

impl<S: Sink> Drop for EventLoop<S> {
    fn drop(&mut self) {
        if !self.inbox.is_shut() {
            self.shutdown();
        }
        self.claim.next_floor = self.core.get_mut().ceiling() + 1;
    }
}
