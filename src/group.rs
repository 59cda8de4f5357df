//! Chapter: groups of loops.

mod member;
mod table;

use crate::address::tg_address;
use crate::convert::{self, Sized_, SizedOut, options, out, sized_out};
use crate::event_loop::{self, TG_LOOP_BATCH, tg_loop_options};
use crate::listener::{Plan, check_address, tg_listener_options};
use crate::types::{tg_group, tg_loop, tg_release_cb};
use member::{Member, Seed};
use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::thread::JoinHandle;
use table::find;
use tidegate_reactor::base::address::Address;
use tidegate_reactor::sys::lock::Lock;
use tidegate_reactor::sys::port::Claim;
use tidegate_reactor::sys::{bound, socket};
use tidegate_reactor::{Error, Id, Result};

/// Called on the thread of one of a group's loops: at its start, before it runs (a negative result ends the whole group and
/// is what tg_group_new returns), and when it is being stopped, to finish what would otherwise stay open.
pub type tg_group_cb = Option<unsafe extern "C-unwind" fn(loop_: tg_loop, user: *mut c_void, index: u32) -> c_int>;

/// A group of loops. Set up with `TG_GROUP_OPTIONS_INIT`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_group_options {
    /// The size of the structure.
    pub size: usize,
    /// Called on each thread at its start; may be NULL.
    pub on_start: tg_group_cb,
    /// Called on each thread when the group is being stopped; may be NULL. Its result counts for nothing.
    pub on_stop: tg_group_cb,
    /// Passed to the callbacks, from all threads.
    pub user: *mut c_void,
    /// Gives `user` back, on the thread that frees the group; may be NULL.
    pub release: tg_release_cb,
    /// Where each loop listens (Unix sockets cannot be shared like this); NULL: nowhere. Copied.
    pub address: *const tg_address,
    /// How; its callbacks come from all threads, and its `release` must be NULL. Copied, with what its `conn` points to.
    pub listener: *const tg_listener_options,
    /// What the loops are like; NULL: the defaults. Not TG_LOOP_BATCH. Copied.
    pub loop_options: *const tg_loop_options,
    /// How many loops, each with a thread, at most 256; 0: as many as there are processors.
    pub loops: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: repr(C), `size` first; pointers and optional functions may have any bits, they are only carried.
unsafe impl Sized_ for tg_group_options {
    members!(tg_group_options: on_start, on_stop, user, release, address, listener,
        loop_options, loops, reserved);
    const DEFAULT: Self = tg_group_options {
        size: 0,
        on_start: None,
        on_stop: None,
        user: null_mut(),
        release: None,
        address: null(),
        listener: null(),
        loop_options: null(),
        loops: 0,
        reserved: 0,
    };
}

/// What the loops of a group have done, together. Times in nanoseconds.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_group_stats {
    /// Set by the caller to the size of the structure.
    pub size: usize,
    /// Loops that are running.
    pub loops: u64,
    /// Connections open now.
    pub conns: u64,
    /// Handles open now.
    pub handles: u64,
    /// Turns.
    pub turns: u64,
    /// Events and posts delivered.
    pub events: u64,
    /// Time spent outside the wait.
    pub busy_ns: i64,
    /// Time spent waiting.
    pub idle_ns: i64,
    /// The largest lag of a timer.
    pub max_lag_ns: i64,
    /// The largest share of one loop in the connections open now, in thousandths; 1,000 when there are none.
    pub largest_share: u64,
}

// SAFETY: repr(C), `size` first, integers only.
unsafe impl Sized_ for tg_group_stats {
    members!(tg_group_stats: loops, conns, handles, turns, events, busy_ns, idle_ns,
        max_lag_ns, largest_share);
    const DEFAULT: Self = tg_group_stats {
        size: 0,
        loops: 0,
        conns: 0,
        handles: 0,
        turns: 0,
        events: 0,
        busy_ns: 0,
        idle_ns: 0,
        max_lag_ns: 0,
        largest_share: 1000,
    };
}

const MOST_LOOPS: u32 = 256;

/// A group: what any thread may ask of it.
struct Group {
    claim: Claim,
    members: Vec<Arc<Member>>,
    threads: Lock<Vec<JoinHandle<()>>>,
    local: Option<Address>,
    user: *mut c_void,
    release: tg_release_cb,
}

// SAFETY: the user pointer is only carried; the functions that are called with it may be, by the promise of the caller of
// `tg_group_new`.
unsafe impl Send for Group {}
// SAFETY: as above.
unsafe impl Sync for Group {}

/// Makes a group: so many loops, each on a thread of its own, which listen on the same address; the system spreads the
/// connections among them. It returns when all of them run, or with the first failure. The system lets further programs of the
/// same user listen on that port in the same way, so a server that is started twice is not told by -EADDRINUSE.
///
/// Each loop is an ordinary one, which belongs to its thread: callbacks of its handles come there, and other threads reach it
/// by tg_post and the like (tg_group_get_loop). It runs until the group is stopped, or something stops that loop.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: `options->user` is the library's once 0 was returned, until tg_group_free.
/// Errors: TG_EINVAL (`out` is NULL; more than 256 loops; a Unix address; TG_LOOP_BATCH; a release for listeners or
/// connections; and as tg_listener_open and tg_loop_new), TG_ELIMIT, TG_ENOMEM, TG_EPANIC, -EAGAIN (no thread can be started),
/// -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EMFILE, -ENFILE, and what `on_start` returns.
///
/// # Safety
/// `options` is NULL or as large as its first member says, and so is what its members point to; `out` is NULL or writable;
/// the functions may be called with their `user` on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_group_new(options: *const tg_group_options, out: *mut tg_group) -> c_int {
    guard!(tg_group_new(options, out), {
        // SAFETY: the caller's promise.
        let (options, out) = unsafe { (self::options(options), self::out(out)) };
        (|| {
            let (options, out) = (options?, out?);
            // SAFETY: the caller's promise.
            let parts = unsafe { read(&options) }?;
            out.write(make(options, parts)?);
            Ok(())
        })()
    })
}

/// What the options point to, copied and checked.
struct Parts {
    address: Option<Address>,
    plan: Option<Plan>,
    loop_options: tg_loop_options,
    count: u32,
}

/// # Safety
/// What the members point to is as large as it says, or they are NULL.
unsafe fn read(options: &tg_group_options) -> Result<Parts> {
    if options.reserved != 0 || options.loops > MOST_LOOPS {
        return Err(Error::invalid("more than 256 loops, or a reserved member is not 0"));
    }
    // SAFETY: the caller's promise.
    let loop_options = unsafe { convert::options(options.loop_options) }?;
    if loop_options.flags & TG_LOOP_BATCH != 0 {
        return Err(Error::invalid("the loops of a group have callbacks, not batches"));
    }
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get() as u32).min(MOST_LOOPS);
    let count = if options.loops == 0 { processors } else { options.loops };
    if options.address.is_null() {
        if !options.listener.is_null() {
            return Err(Error::invalid("a listener without an address"));
        }
        return Ok(Parts { address: None, plan: None, loop_options, count });
    }
    // SAFETY: the caller's promise.
    let address = unsafe { convert::value(options.address) }?.to_engine()?;
    if matches!(address, Address::Unix(_)) {
        return Err(Error::invalid("a Unix socket cannot be shared by the loops of a group"));
    }
    // SAFETY: the caller's promise.
    let listener = unsafe { convert::options(options.listener) }?;
    if listener.release.is_some() {
        return Err(Error::invalid("the release of a group's listeners would come once a loop"));
    }
    check_address(&address, &listener)?;
    // SAFETY: the caller's promise.
    let conn = unsafe { convert::options(listener.conn) }?;
    let plan = Plan::new(listener, conn, false)?;
    Ok(Parts { address: Some(address), plan: Some(plan), loop_options, count })
}

fn make(options: tg_group_options, parts: Parts) -> Result<tg_group> {
    let sockets = listen(&parts)?;
    let local = match sockets.first() {
        Some(socket) => Some(socket::local_address(socket.as_raw_fd())?),
        None => None,
    };
    let claim = Claim::new()?;
    let id = claim.id();
    let mut sockets = sockets.into_iter();
    let (mut members, mut threads) = (Vec::new(), Vec::new());
    for index in 0..parts.count {
        let seed = Seed {
            index,
            on_start: options.on_start,
            on_stop: options.on_stop,
            user: options.user,
            loop_options: parts.loop_options,
            listener: parts.plan.clone().zip(sockets.next()),
            listening: None,
        };
        match Member::start(seed) {
            Ok((member, thread)) => {
                members.push(member);
                threads.push(thread);
            }
            Err(error) => {
                end_all(&members, threads);
                return Err(error);
            }
        }
    }
    let threads = Lock::new(threads);
    table::put(Group { claim, members, threads, local, user: options.user, release: options.release });
    Ok(id.raw())
}

/// A socket for each loop, all on the port of the first.
fn listen(parts: &Parts) -> Result<Vec<OwnedFd>> {
    let (Some(mut address), Some(plan)) = (parts.address, &parts.plan) else { return Ok(Vec::new()) };
    let mut how = plan.listen_options();
    how.reuse_port = true;
    let mut sockets = Vec::new();
    for _ in 0..parts.count {
        let (socket, _) = bound::listen(&address, &how)?;
        address = address.with_port(socket::local_address(socket.as_raw_fd())?.port());
        sockets.push(socket);
    }
    Ok(sockets)
}

fn end_all(members: &[Arc<Member>], threads: Vec<JoinHandle<()>>) {
    members.iter().for_each(|member| member.stop(0));
    for thread in threads {
        // A panic on the thread was caught there.
        let _ = thread.join();
    }
}

/// Stops a group in good order, and returns at once: each loop stops accepting (those who wait in the system's queue are
/// accepted first), `on_stop` is called on each thread, and each loop ends when nothing keeps it alive, or when `timeout_ns`
/// have passed: then its connections are reset. tg_group_join waits for that. Another call can only shorten the time.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (a time below -1; -1 is for ever), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_group_stop(group: tg_group, timeout_ns: i64) -> c_int {
    guard!(tg_group_stop(group, timeout_ns), {
        find(group).and_then(|group| {
            if timeout_ns < -1 {
                return Err(Error::invalid("timeout_ns is below -1"));
            }
            group.members.iter().for_each(|member| member.stop(timeout_ns));
            Ok(())
        })
    })
}

/// Waits until every loop of a group has ended and its thread is gone.
///
/// Thread: any but those of the group.
/// Callable from callbacks: no, not of the group's loops.
/// Errors: TG_EREENTRANT (on a thread of the group), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_group_join(group: tg_group) -> c_int {
    guard!(tg_group_join(group), find(group).and_then(|group| group.join()))
}

impl Group {
    /// A thread of the group cannot wait for it.
    fn check_elsewhere(&self) -> Result<()> {
        match self.members.iter().any(|member| member.is_here()) {
            true => Err(Error::REENTRANT.because("a thread of the group cannot wait for itself")),
            false => Ok(()),
        }
    }

    fn join(&self) -> Result<()> {
        self.check_elsewhere()?;
        loop {
            // One by one, so that several may wait.
            let Some(thread) = self.threads.lock().pop() else { break };
            let _ = thread.join();
        }
        self.members.iter().for_each(|member| member.wait_for_end());
        Ok(())
    }

    /// By the one that has taken the group out of the table.
    fn give_user_back(&self) {
        if let Some(release) = self.release {
            // SAFETY: the caller's function and pointer, accepted together and called once in this process.
            unsafe { release(self.user) };
        }
    }
}

/// Frees a group: stops it without waiting for connections to finish, waits for its threads, and gives `user` back. In a forked
/// child, where there are no threads, it frees the child's copies of the loops as tg_loop_free does, and gives `user` back. A
/// child that was forked on a thread of the group is inside the callback that forked, and cannot free it there.
///
/// Thread: any but those of the group.
/// Callable from callbacks: no, not of the group's loops.
/// Errors: TG_EREENTRANT (on a thread of the group, also in a child that was forked there), TG_ESTALE, TG_EKIND, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_group_free(group: tg_group) -> c_int {
    guard!(tg_group_free(group), free(group))
}

fn free(raw: tg_group) -> Result<()> {
    let group = match find(raw) {
        Err(Error::FORKED) => return forget(raw),
        found => found?,
    };
    group.check_elsewhere()?;
    group.members.iter().for_each(|member| member.stop(0));
    group.join()?;
    table::take(Id::from_raw(raw))?;
    group.give_user_back();
    Ok(())
}

/// In a forked child: the loops are freed as any inherited ones; what else the threads of the parent hold may be half
/// changed, and is left alone.
fn forget(raw: tg_group) -> Result<()> {
    let group = table::take_inherited(Id::from_raw(raw), Group::check_elsewhere)?;
    for member in &group.members {
        // Stale when it is over, or the child has freed it.
        let _ = event_loop::free(member.loop_id());
    }
    group.give_user_back();
    Ok(())
}

/// One of the loops, for tg_post and what else any thread may do.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's; the loop stays the group's and must not be freed.
/// Errors: TG_EINVAL (`out` is NULL, or there are fewer loops), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_group_get_loop(group: tg_group, index: u32, out: *mut tg_loop) -> c_int {
    guard!(tg_group_get_loop(group, index, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let group = find(group)?;
            let member = group.members.get(index as usize).ok_or(Error::invalid("the group has fewer loops"))?;
            out.write(member.loop_id());
            Ok(())
        })
    })
}

/// The address that the loops listen on, with the port that the system has chosen.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ENOENT (the group does not listen), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_group_get_local(group: tg_group, out: *mut tg_address) -> c_int {
    guard!(tg_group_get_local(group, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let address = find(group)?.local.ok_or(Error::NOT_FOUND.because("the group does not listen"))?;
            out.write(tg_address::from_engine(&address));
            Ok(())
        })
    })
}

/// What the loops have done, together, as of their last turns. `out->size` is set by the caller (`TG_GROUP_STATS_INIT`).
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL, or its size is not set), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or as large as its first member says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_group_get_stats(group: tg_group, out: *mut tg_group_stats) -> c_int {
    guard!(tg_group_get_stats(group, out), {
        // SAFETY: the caller's promise.
        unsafe { sized_out(out) }.and_then(|out| sum(&*find(group)?, out))
    })
}

fn sum(group: &Group, out: SizedOut<tg_group_stats>) -> Result<()> {
    let mut all = tg_group_stats::DEFAULT;
    let mut most = 0;
    for member in &group.members {
        let one = member.stats();
        most = most.max(one.conns);
        all.loops += one.loops;
        all.conns += one.conns;
        all.handles += one.handles;
        all.turns += one.turns;
        all.events += one.events;
        all.busy_ns += one.busy_ns;
        all.idle_ns += one.idle_ns;
        all.max_lag_ns = all.max_lag_ns.max(one.max_lag_ns);
    }
    all.largest_share = (most * 1000).checked_div(all.conns).unwrap_or(1000);
    out.write(all);
    Ok(())
}
