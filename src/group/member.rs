//! One loop of a group, and its thread.

use super::{tg_group_cb, tg_group_stats};
use crate::callbacks::{Callback, Post, User};
use crate::convert::Sized_;
use crate::event_loop::{self, tg_loop_options};
use crate::listener::Plan;
use crate::registry::{self, POSTS, find_loop};
use crate::sink::CLoop;
use crate::types::{tg_handle, tg_loop};
use std::ffi::c_void;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread::JoinHandle;
use tidegate_reactor::event_loop::Kind;
use tidegate_reactor::sys::lock::{Bell, Lock};
use tidegate_reactor::sys::socket_options::refuse_newcomers;
use tidegate_reactor::sys::{annotate, fork, signal, thread};
use tidegate_reactor::{Error, Id, Result};

/// What a member is made of.
pub(super) struct Seed {
    pub(super) index: u32,
    pub(super) on_start: tg_group_cb,
    pub(super) on_stop: tg_group_cb,
    pub(super) user: *mut c_void,
    pub(super) loop_options: tg_loop_options,
    pub(super) listener: Option<(Plan, OwnedFd)>,
    /// The handle that became of it.
    pub(super) listening: Option<tg_handle>,
}

// SAFETY: the library only carries the pointer; whether what it points to may be used on another thread is the promise of
// the caller of `tg_group_new`.
unsafe impl Send for Seed {}

/// How far it is.
enum Stage {
    Starting,
    Failed(Error),
    Running,
    Over,
}

/// See the module. Shared by its thread and those who ask.
pub(super) struct Member {
    /// The process that its thread is of, by [`fork::epoch`].
    epoch: u64,
    stage: Lock<Stage>,
    changed: Bell,
    loop_id: AtomicU64,
    thread: AtomicU64,
    /// When it is to end at the latest, from the call of `stop` on; nothing was asked for while it is NEVER_ASKED.
    timeout_ns: AtomicI64,
    conns: AtomicU64,
    handles: AtomicU64,
    turns: AtomicU64,
    events: AtomicU64,
    busy_ns: AtomicI64,
    idle_ns: AtomicI64,
    max_lag_ns: AtomicI64,
}

const NEVER_ASKED: i64 = i64::MIN;

/// How long a handshake may take that has begun before a loop stops accepting: some round trips nearby.
const HANDSHAKE_NS: i64 = 10_000_000;

impl Member {
    /// Starts the thread, and waits until its loop runs.
    pub(super) fn start(seed: Seed) -> Result<(Arc<Member>, JoinHandle<()>)> {
        let member = Arc::new(Member {
            epoch: fork::epoch(),
            stage: Lock::new(Stage::Starting),
            changed: Bell::default(),
            loop_id: AtomicU64::new(0),
            thread: AtomicU64::new(0),
            timeout_ns: AtomicI64::new(NEVER_ASKED),
            conns: AtomicU64::new(0),
            handles: AtomicU64::new(0),
            turns: AtomicU64::new(0),
            events: AtomicU64::new(0),
            busy_ns: AtomicI64::new(0),
            idle_ns: AtomicI64::new(0),
            max_lag_ns: AtomicI64::new(0),
        });
        annotate::atomic_memory(Arc::as_ptr(&member) as usize, size_of::<Member>());
        let mine = member.clone();
        // Signals are for the program's own threads.
        let spawned = signal::with_all_blocked(|| {
            std::thread::Builder::new().name(format!("tidegate-{}", seed.index)).spawn(move || mine.live(seed))
        })?;
        match member.wait_for_start() {
            Ok(()) => Ok((member, spawned)),
            Err(error) => {
                let _ = spawned.join();
                Err(error)
            }
        }
    }

    fn wait_for_start(&self) -> Result<()> {
        let mut stage = self.stage.lock();
        loop {
            match *stage {
                Stage::Starting => self.changed.wait(&mut stage),
                Stage::Failed(error) => return Err(error),
                Stage::Running | Stage::Over => return Ok(()),
            }
        }
    }

    pub(super) fn wait_for_end(&self) {
        let mut stage = self.stage.lock();
        while !matches!(*stage, Stage::Over) {
            self.changed.wait(&mut stage);
        }
    }

    fn enter(&self, stage: Stage) {
        // In a child that one of its callbacks has forked nobody waits for this, and the lock may be shut for ever.
        if self.epoch != fork::epoch() {
            return;
        }
        *self.stage.lock() = stage;
        self.changed.ring();
    }

    /// The thread.
    fn live(self: Arc<Member>, mut seed: Seed) {
        self.thread.store(thread::token(), Ordering::SeqCst);
        let begun = catch_unwind(AssertUnwindSafe(|| self.begin(&mut seed))).unwrap_or(Err(Error::PANIC));
        if let Err(error) = begun {
            self.end();
            return self.enter(Stage::Failed(error));
        }
        self.enter(Stage::Running);
        // What a panic leaves is a loop that refuses further work and is freed.
        let _ = catch_unwind(AssertUnwindSafe(|| self.run(&seed)));
        self.end();
        self.enter(Stage::Over);
    }

    fn begin(&self, seed: &mut Seed) -> Result<()> {
        let id = registry::add_loop(event_loop::make(seed.loop_options)?, true);
        self.loop_id.store(id, Ordering::SeqCst);
        if let Some((plan, socket)) = seed.listener.take() {
            seed.listening = Some(plan.open(id, &mut Some(socket), None)?);
        }
        self.event_loop()?.hold()?;
        if let Some(call) = seed.on_start {
            // SAFETY: the caller's function, which may be called on this thread.
            let result = unsafe { call(id, seed.user, seed.index) };
            if result < 0 {
                return Err(Error::from_code(result));
            }
        }
        Ok(())
    }

    fn event_loop(&self) -> Result<&'static CLoop> {
        Ok(&find_loop(self.loop_id())?.event_loop)
    }

    fn run(&self, seed: &Seed) -> Result<()> {
        let event_loop = self.event_loop()?;
        let mut stopping = None;
        event_loop.run_watched(|event_loop| {
            self.publish(event_loop);
            let asked = self.timeout_ns.load(Ordering::SeqCst);
            if asked == NEVER_ASKED || stopping == Some(asked) {
                return;
            }
            let first = stopping.is_none();
            stopping = Some(asked);
            // A failure here means that there is no memory even for a timer: then it ends at once.
            if self.wind_up(event_loop, seed, asked, first).is_err() {
                let _ = event_loop::tg_loop_stop(self.loop_id());
            }
        })?;
        Ok(())
    }

    /// Accepts no more, lets the program finish what it has, and sees to it that the loop ends in time.
    fn wind_up(&self, event_loop: &CLoop, seed: &Seed, timeout_ns: i64, first: bool) -> Result<()> {
        if first {
            stop_listening(event_loop, seed)?;
            event_loop.unhold()?;
            if let Some(call) = seed.on_stop {
                // SAFETY: the caller's function, which may be called on this thread.
                unsafe { call(self.loop_id(), seed.user, seed.index) };
            }
        }
        if timeout_ns == 0 {
            return cut_off(event_loop);
        }
        if timeout_ns > 0 {
            later(event_loop, timeout_ns, on_time_over)?;
        }
        Ok(())
    }

    fn end(&self) {
        let id = self.loop_id();
        if id != 0 {
            let _ = catch_unwind(AssertUnwindSafe(|| event_loop::free(id)));
        }
        self.conns.store(0, Ordering::Relaxed);
        self.handles.store(0, Ordering::Relaxed);
    }

    fn publish(&self, event_loop: &CLoop) {
        let Ok(stats) = event_loop.stats() else { return };
        self.conns.store(event_loop.open_conns().unwrap_or(0) as u64, Ordering::Relaxed);
        self.handles.store(stats.open_handles, Ordering::Relaxed);
        self.turns.store(stats.turns, Ordering::Relaxed);
        self.events.store(stats.events, Ordering::Relaxed);
        self.busy_ns.store(stats.busy_ns, Ordering::Relaxed);
        self.idle_ns.store(stats.idle_ns, Ordering::Relaxed);
        self.max_lag_ns.store(stats.max_lag_ns, Ordering::Relaxed);
    }

    /// Asks it to end within `timeout_ns` (-1: whenever). A later call can only shorten that.
    pub(super) fn stop(&self, timeout_ns: i64) {
        let sooner = |known: i64| known == NEVER_ASKED || (timeout_ns >= 0 && (known < 0 || timeout_ns < known));
        let asked = |known: i64| sooner(known).then_some(timeout_ns);
        if self.timeout_ns.fetch_update(Ordering::SeqCst, Ordering::SeqCst, asked).is_ok() {
            let post = Post { callback: Some(on_wake), user: null_mut(), release: None };
            // Over already, or full of posts, and then it is about to have a turn.
            let _ = POSTS.post(Id::from_raw(self.loop_id()), post);
        }
    }

    pub(super) fn loop_id(&self) -> tg_loop {
        self.loop_id.load(Ordering::SeqCst)
    }

    /// Whether the calling thread is its own.
    pub(super) fn is_here(&self) -> bool {
        self.thread.load(Ordering::SeqCst) == thread::token()
    }

    pub(super) fn stats(&self) -> tg_group_stats {
        tg_group_stats {
            loops: u64::from(matches!(*self.stage.lock(), Stage::Running)),
            conns: self.conns.load(Ordering::Relaxed),
            handles: self.handles.load(Ordering::Relaxed),
            turns: self.turns.load(Ordering::Relaxed),
            events: self.events.load(Ordering::Relaxed),
            busy_ns: self.busy_ns.load(Ordering::Relaxed),
            idle_ns: self.idle_ns.load(Ordering::Relaxed),
            max_lag_ns: self.max_lag_ns.load(Ordering::Relaxed),
            ..tg_group_stats::DEFAULT
        }
    }
}

fn handles_of(event_loop: &CLoop, kind: Kind) -> Result<Vec<Id>> {
    let mut all = Vec::new();
    all.try_reserve(event_loop.open_handles())?;
    event_loop.for_each_handle(|id| all.push(id))?;
    all.retain(|id| event_loop.info(*id).is_ok_and(|info| info.kind == kind));
    Ok(all)
}

/// No new connections. Those whose handshake is going on would be reset if the listener closed: they get the time to come in.
fn stop_listening(event_loop: &CLoop, seed: &Seed) -> Result<()> {
    let listening = seed.listening.map(|raw| event_loop.listener_fd(Id::from_raw(raw)));
    match listening {
        // Stale when a callback has closed it.
        Some(Ok(fd)) if refuse_newcomers(fd).is_ok() => later(event_loop, HANDSHAKE_NS, on_all_are_in),
        _ => finish_listeners(event_loop),
    }
}

fn finish_listeners(event_loop: &CLoop) -> Result<()> {
    for id in handles_of(event_loop, Kind::Listener)? {
        match event_loop.listener_finish(id) {
            // Closed meanwhile.
            Ok(()) | Err(Error::STALE) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Calls something once, if the loop is still there.
fn later(event_loop: &CLoop, delay_ns: i64, call: unsafe extern "C-unwind" fn(u64, *mut c_void, u64)) -> Result<()> {
    let nobody = User { callback: Callback::Timer(Some(call)), user: null_mut(), release: None };
    let timer = event_loop.timer_open(nobody, false)?;
    event_loop.timer_start(timer, delay_ns, 0)
}

/// The time is over: connections are reset, and the loop ends. Without memory for a list of them they are closed with the loop.
fn cut_off(event_loop: &CLoop) -> Result<()> {
    for id in handles_of(event_loop, Kind::Conn).unwrap_or_default() {
        // Stale when closing another one has closed it.
        let _ = event_loop.conn_abort(id);
    }
    tidegate_reactor::event_loop::stop(event_loop.id())
}

/// Gives the loop a turn, after which it looks at what was asked.
unsafe extern "C-unwind" fn on_wake(_loop: tg_loop, _user: *mut c_void) {}

unsafe extern "C-unwind" fn on_all_are_in(timer: u64, _user: *mut c_void, _missed: u64) {
    let Ok((found, _)) = registry::find_handle(timer) else { return };
    if finish_listeners(&found.event_loop).is_err() {
        // No memory even for a list of the listeners, which would keep the loop alive for ever.
        let _ = cut_off(&found.event_loop);
    }
}

unsafe extern "C-unwind" fn on_time_over(timer: u64, _user: *mut c_void, _missed: u64) {
    let Ok((found, _)) = registry::find_handle(timer) else { return };
    let _ = cut_off(&found.event_loop);
}
