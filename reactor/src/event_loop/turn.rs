//! One turn, as a machine that stops at every delivery: the caller makes the delivery with no borrow held and comes back.
//! A sink without room pauses it; the next call goes on where it stopped.

use super::conn::Current;
use super::core::{Core, HookKind, Slot, Told};
use super::inbox::Inbox;
use super::limits::{EVENTS_PER_TURN, LONGEST_WAIT_NS};
use super::noted::Noted;
use super::releases::Release;
use super::{Event, Sink};
use crate::base::error::{Error, Result};
use crate::base::id::Id;
use crate::base::timers::Due;
use crate::sys::poller::ReadyList;
use crate::sys::port::Claim;
use std::collections::VecDeque;

/// The key under which the watch of the wall clock reports; no id has operation 13.
pub(super) const WALL_KEY: u64 = 13 << 60;

/// Where in the turn we are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begin,
    Hooks(HookKind),
    Wait,
    Timers,
    WallTimers,
    Posts,
    Jobs,
    Asyncs,
    Conns,
    Signals,
    Io,
    Releases,
}

/// What this turn has still to do.
pub(super) struct Turn<S: Sink> {
    stage: Stage,
    hooks: VecDeque<Id>,
    pub(super) ready: ReadyList,
    pub(super) next_ready: usize,
    pub(super) regular_done: bool,
    pub(super) tell: Vec<(Id, u32)>,
    pub(super) next_tell: usize,
    posts: VecDeque<S::Post>,
    inbox_batch: Vec<S::Post>,
    pub(super) asyncs: Vec<Id>,
    pub(super) next_async: usize,
    pub(super) signals: VecDeque<Id>,
    /// Whose turn it is before the next descriptor's: it has taken more than one event.
    pub(super) more: Option<Id>,
    pub(super) zombie: bool,
    /// Connections to come by, and how far we are.
    pub(super) conns: Noted,
    pub(super) next_conn: usize,
    /// The connection whose events are being delivered.
    pub(super) current: Option<Current>,
    /// The listener whose connections are being accepted, and how many more may be.
    pub(super) accepting: Option<(Id, u32)>,
    /// Listeners that close when nobody waits.
    pub(super) finishing: Vec<Id>,
    wall_now_ns: i64,
    /// When the last wait ended, while a run goes on.
    busy_since_ns: Option<i64>,
    /// Somebody asked for the wait to end.
    pub(super) woken: bool,
    /// Waits although nothing keeps the loop alive.
    pub(super) waits_for_nothing: bool,
}

/// What the caller has to do before it comes back.
pub(super) enum Step<S: Sink> {
    Deliver(Id, S::User, Told),
    Post(S::Post),
    Release(Release<S>),
    /// Go through what the wait has found.
    Found,
    /// The sink has no room.
    Pause,
    /// The turn is over.
    End,
}

impl<S: Sink> Turn<S> {
    pub(super) fn new() -> Result<Turn<S>> {
        Ok(Turn {
            stage: Stage::Begin,
            hooks: VecDeque::new(),
            ready: ReadyList::with_capacity(EVENTS_PER_TURN)?,
            next_ready: 0,
            regular_done: true,
            tell: Vec::new(),
            next_tell: 0,
            posts: VecDeque::new(),
            inbox_batch: Vec::new(),
            asyncs: Vec::new(),
            next_async: 0,
            signals: VecDeque::new(),
            more: None,
            zombie: false,
            conns: Noted::default(),
            next_conn: 0,
            current: None,
            accepting: None,
            finishing: Vec::new(),
            wall_now_ns: 0,
            busy_since_ns: None,
            woken: false,
            waits_for_nothing: false,
        })
    }

    /// A run begins: the time since the last one was nobody's. (A batch loop's caller works between its turns.)
    pub(super) fn run_begins(&mut self) {
        self.busy_since_ns = None;
        self.waits_for_nothing = false;
    }

    /// Whether a turn was begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        self.stage != Stage::Begin
    }

    /// Whether it is at what the wait has found.
    pub(super) fn is_at_io(&self) -> bool {
        self.stage == Stage::Io
    }

    /// In a forked child: the turn was that of a thread which does not exist here.
    pub(super) fn abandon(&mut self) {
        self.stage = Stage::Begin;
        self.hooks.clear();
    }

    /// Takes the posts that have not had their turn.
    pub(super) fn take_posts(&mut self) -> Vec<S::Post> {
        self.posts.drain(..).chain(self.inbox_batch.drain(..)).collect()
    }

    /// Whether posts wait for their turn.
    pub(super) fn has_posts(&self) -> bool {
        !self.posts.is_empty() || !self.inbox_batch.is_empty()
    }

    /// How many.
    pub(super) fn post_count(&self) -> usize {
        self.posts.len() + self.inbox_batch.len()
    }

    /// Takes now what a turn with one more hook, async handle or signal watcher may need.
    pub(super) fn reserve(&mut self, hooks: usize, asyncs: usize, signals: usize) -> Result<()> {
        self.hooks.try_reserve(hooks.saturating_sub(self.hooks.len()))?;
        self.asyncs.try_reserve(asyncs.saturating_sub(self.asyncs.len()))?;
        Ok(self.signals.try_reserve(signals.saturating_sub(self.signals.len()))?)
    }

    /// In a forked child: what the kernel reported belongs to the parent.
    pub(super) fn forget_events(&mut self) {
        self.ready.clear();
        self.tell.clear();
        self.asyncs.clear();
        self.signals.clear();
        (self.next_ready, self.next_tell, self.next_async) = (0, 0, 0);
        (self.regular_done, self.zombie, self.more) = (true, false, None);
        (self.current, self.accepting) = (None, None);
    }
}

impl<S: Sink> Core<S> {
    /// Goes on until something is to be delivered or the turn is over.
    pub(super) fn step(
        &mut self, claim: &Claim, inbox: &Inbox<S::Post>, sink: &S, longest_wait_ns: i64,
    ) -> Result<Step<S>> {
        loop {
            if !sink.has_room() {
                return Ok(Step::Pause);
            }
            if let Some((id, user, told)) = self.next_delivery() {
                return Ok(Step::Deliver(id, user, told));
            }
            match self.turn.stage {
                Stage::Posts => match self.turn.posts.pop_front() {
                    Some(post) => {
                        self.stats.events += 1;
                        return Ok(Step::Post(post));
                    }
                    None => self.turn.stage = Stage::Jobs,
                },
                Stage::Wait => self.wait(claim, inbox, longest_wait_ns)?,
                Stage::Releases => match self.next_release() {
                    Some(release) => return Ok(Step::Release(release)),
                    None => {
                        self.turn.stage = Stage::Begin;
                        return Ok(Step::End);
                    }
                },
                _ => {
                    self.next_stage()?;
                    if self.turn.is_at_io() && !self.turn.ready.is_empty() {
                        return Ok(Step::Found);
                    }
                }
            }
        }
    }

    /// The next event of the stage we are in, if it has one.
    fn next_delivery(&mut self) -> Option<(Id, S::User, Told)> {
        match self.turn.stage {
            Stage::Hooks(kind) => self.next_hook(kind),
            Stage::Timers => self.next_timer(false),
            Stage::WallTimers => self.next_timer(true),
            Stage::Jobs => self.next_job().map(|(id, user, outcome)| (id, user, Told::Done(Box::new(outcome)))),
            Stage::Asyncs => self.next_async(),
            Stage::Conns => self.next_listed(),
            Stage::Signals => self.next_casualty().or_else(|| self.next_signal()),
            Stage::Io => self.next_io(),
            Stage::Begin | Stage::Wait | Stage::Posts | Stage::Releases => None,
        }
    }

    fn next_stage(&mut self) -> Result<()> {
        self.turn.stage = match self.turn.stage {
            Stage::Begin => {
                self.stats.turns += 1;
                self.turn.woken = false;
                queue(&mut self.turn.posts, &mut self.deferred);
                self.enter_hooks(HookKind::Idle)
            }
            Stage::Hooks(kind) => self.after_hooks(kind),
            Stage::Timers if self.wall_timers.armed_count() > 0 => Stage::WallTimers,
            Stage::Timers | Stage::WallTimers => self.after_timers(),
            Stage::Jobs => Stage::Asyncs,
            Stage::Asyncs => {
                self.turn.conns.clear();
                self.turn.next_conn = 0;
                std::mem::swap(&mut self.turn.conns, &mut self.conns.listed);
                Stage::Conns
            }
            Stage::Conns => Stage::Signals,
            Stage::Signals => Stage::Io,
            Stage::Io => {
                if std::mem::take(&mut self.turn.zombie) {
                    self.replace_poller()?;
                }
                self.enter_hooks(HookKind::Check)
            }
            stage @ (Stage::Wait | Stage::Posts | Stage::Releases) => stage,
        };
        Ok(())
    }

    /// Those started by now are called; what they start is called in the next turn.
    fn enter_hooks(&mut self, kind: HookKind) -> Stage {
        let started = &self.hooks[kind as usize];
        if started.is_empty() {
            return self.after_hooks(kind);
        }
        self.turn.hooks.extend(started);
        Stage::Hooks(kind)
    }

    fn after_hooks(&mut self, kind: HookKind) -> Stage {
        match kind {
            HookKind::Idle => self.enter_hooks(HookKind::Prepare),
            HookKind::Prepare => Stage::Wait,
            HookKind::Check => Stage::Releases,
        }
    }

    /// Straight on to the I/O, as most often, when there is nothing before it.
    fn after_timers(&mut self) -> Stage {
        let turn = &mut self.turn;
        let quiet = turn.posts.is_empty()
            && !self.jobs.has_ended()
            && turn.next_async >= turn.asyncs.len()
            && self.conns.listed.is_empty()
            && turn.signals.is_empty()
            && !self.descriptors.has_casualties();
        if quiet { Stage::Io } else { Stage::Posts }
    }

    fn next_hook(&mut self, kind: HookKind) -> Option<(Id, S::User, Told)> {
        while let Some(id) = self.turn.hooks.pop_front() {
            if self.is_active(id) {
                return self.delivery(id, Event::Hook(kind));
            }
        }
        None
    }

    /// A run ends: what it has done since its last wait counts as well.
    pub(super) fn run_ends(&mut self) {
        if let Some(since) = self.turn.busy_since_ns.take() {
            self.stats.busy_ns += self.clock.monotonic_ns() - since;
        }
    }

    fn wait(&mut self, claim: &Claim, inbox: &Inbox<S::Post>, longest_wait_ns: i64) -> Result<()> {
        self.descriptors.flush(&self.poller);
        self.flush_owned();
        let before = self.clock.monotonic_ns();
        self.stats.busy_ns += self.turn.busy_since_ns.take().map_or(0, |since| before - since);
        self.conn_stamp(before);
        // A hook may just have stopped the last thing that could end the wait.
        let pointless = !self.turn.waits_for_nothing && !self.is_alive() && !inbox.pending();
        let mut timeout = if pointless { 0 } else { self.time_to_next(before, longest_wait_ns) };
        if timeout != 0 {
            claim.arm();
            if self.outside_work(claim, inbox) {
                timeout = 0;
            }
        }
        self.stats.waits += 1;
        self.descriptors.wait_begins();
        self.waiting = true;
        let waited = self.poller.wait(&mut self.turn.ready, timeout);
        self.waiting = false;
        claim.disarm();
        self.now_ns = self.clock.monotonic_ns();
        self.stats.idle_ns += self.now_ns - before;
        self.turn.busy_since_ns = Some(self.now_ns);
        match waited {
            // A signal handler has run; if it was for us, the port knows.
            Err(error) if error.code() == -libc::EINTR => self.turn.ready.clear(),
            waited => waited?,
        }
        self.settle(claim, inbox)
    }

    /// Decides what this turn will do: whatever comes up later is for the next one.
    fn settle(&mut self, claim: &Claim, inbox: &Inbox<S::Post>) -> Result<()> {
        if self.timers.has_marked() {
            self.timers.resolve(self.now_ns);
        }
        self.timers.begin_expiry(self.now_ns);
        if self.wall_timers.armed_count() > 0 {
            self.turn.wall_now_ns = self.clock.wall_ns();
            self.wall_timers.resolve(self.turn.wall_now_ns);
            self.wall_timers.begin_expiry(self.turn.wall_now_ns);
        }
        self.stats.lag_ns = if self.timers.armed_count() > 0 { 0 } else { self.stats.lag_ns };
        if self.turn.inbox_batch.is_empty() {
            inbox.take(&mut self.turn.inbox_batch);
        }
        queue(&mut self.turn.posts, &mut self.turn.inbox_batch);
        self.jobs.settle();
        self.turn.woken = claim.take_wake();
        self.turn.asyncs.clear();
        self.asyncs.take(self.id.tag(), &mut self.turn.asyncs);
        self.settle_signals(claim.take_signals());
        (self.turn.next_ready, self.turn.next_tell, self.turn.next_async) = (0, 0, 0);
        self.turn.tell.clear();
        self.turn.regular_done = false;
        self.owned.turn_begins();
        self.turn.stage = Stage::Timers;
        Ok(())
    }

    fn settle_signals(&mut self, delivered: u64) {
        if delivered == 0 {
            return;
        }
        let watchers = self.signals.iter().filter(|(signum, _)| delivered & (1 << (signum - 1)) != 0);
        self.turn.signals.extend(watchers.map(|(_, id)| *id));
    }

    /// Work that other threads and signal handlers have left. Looked at after the port was armed: what comes later writes.
    fn outside_work(&self, claim: &Claim, inbox: &Inbox<S::Post>) -> bool {
        inbox.pending()
            || self.asyncs.pending()
            || self.jobs.pending()
            || claim.has_signals()
            || claim.stop_asked()
            || claim.wake_asked()
    }

    /// How long the wait may be; -1: for ever.
    pub(super) fn time_to_next(&mut self, now_ns: i64, longest_wait_ns: i64) -> i64 {
        let idle = !self.hooks[HookKind::Idle as usize].is_empty();
        if idle || self.has_work() || self.descriptors.any_regular_ready() || self.any_always_ready() {
            return 0;
        }
        if self.timers.has_marked() {
            self.timers.resolve(now_ns);
        }
        let mut rest = if longest_wait_ns < 0 { i64::MAX } else { longest_wait_ns };
        if let Some(deadline) = self.timers.next_deadline() {
            rest = rest.min(deadline.saturating_sub(now_ns));
        }
        if self.wall_timers.armed_count() > 0 {
            let wall_now = self.clock.wall_ns();
            self.wall_timers.resolve(wall_now);
            let deadline = self.wall_timers.next_deadline().unwrap_or(i64::MAX);
            rest = rest.min(deadline.saturating_sub(wall_now));
        }
        if rest == i64::MAX { -1 } else { rest.clamp(0, LONGEST_WAIT_NS) }
    }

    fn next_timer(&mut self, wall: bool) -> Option<(Id, S::User, Told)> {
        while let Some(due) = self.timers_of(wall).pop_due() {
            let id = Id::from_raw(due.owner);
            if let Some(event) = self.expire(id, due, wall) {
                return self.delivery(id, event);
            }
        }
        None
    }

    fn expire(&mut self, id: Id, due: Due, wall: bool) -> Option<Event<'static>> {
        let now = if wall { self.turn.wall_now_ns } else { self.now_ns };
        if !wall {
            let lag = now.saturating_sub(due.deadline);
            self.stats.lag_ns = self.stats.lag_ns.max(lag);
            self.stats.max_lag_ns = self.stats.max_lag_ns.max(lag);
        }
        match &self.table.get(id)?.slot {
            Slot::Timer(timer) if !timer.repeats => {
                self.set_active(id, false);
                Some(Event::Timer { missed: 0 })
            }
            Slot::Timer(timer) => {
                let repeat = timer.again_ns;
                let missed = now.saturating_sub(due.deadline) / repeat;
                let next = due.deadline.saturating_add(repeat.saturating_mul(missed.saturating_add(1)));
                self.timers_of(wall).arm(due.key, next);
                Some(Event::Timer { missed: missed as u64 })
            }
            Slot::Io(io) => {
                let (timer, after_ns) = io.running_timeout()?;
                self.timers.push_back(timer, after_ns);
                Some(Event::Io { ready: 0, status: Error::TIMED_OUT.code() })
            }
            Slot::Conn(_) => {
                self.conn_timer(id);
                None
            }
            Slot::Connecting(_) => {
                self.connect_timer(id);
                None
            }
            Slot::Rate(_) => {
                self.rate_let_on(id);
                None
            }
            Slot::Listener(_) => {
                self.listener_retry(id);
                None
            }
            _ => None,
        }
    }
}

/// Moves everything to the end of the queue; nothing is lost when there is no memory: it stays for the next turn.
fn queue<P>(to: &mut VecDeque<P>, from: &mut Vec<P>) {
    if !from.is_empty() && to.try_reserve(from.len()).is_ok() {
        to.extend(from.drain(..));
    }
}
