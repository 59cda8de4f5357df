//! Chapter: the loop.

use crate::batch_sink::Batch;
use crate::callbacks::{Callback, User};
use crate::convert::{Sized_, SizedOut, options, out, sized_out};
use crate::registry::{self, POSTS, Removed, find_loop};
use crate::sink::{CLoop, Outlet};
use crate::types::{tg_handle, tg_loop, tg_release_cb};
use std::ffi::{c_int, c_void};
use tidegate_reactor::event_loop::{self, MAX_WORK_THREADS};
use tidegate_reactor::{Error, EventLoop, Id, LoopOptions, Result};

mod contents;
mod nesting;
mod owners;
pub use contents::{tg_loop_dump, tg_loop_get_handles};
pub use nesting::{tg_loop_get_backend_fd, tg_loop_get_timeout_ns};
pub use owners::{tg_loop_attach, tg_loop_detach, tg_loop_reopen};

/// Flag of `tg_loop_options`: events come as records from `tg_batch_turn` instead of callbacks.
pub const TG_LOOP_BATCH: u32 = 0x1;

/// Called after a callback that took long, on the loop's thread. `handle` is whose callback it was, 0: a post or deferred
/// call; it may be closed by now.
pub type tg_slow_cb =
    Option<unsafe extern "C-unwind" fn(loop_: tg_loop, user: *mut c_void, handle: tg_handle, duration_ns: i64)>;

/// How a loop shall be made. Set up with `TG_LOOP_OPTIONS_INIT`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_loop_options {
    /// The size of the structure.
    pub size: usize,
    /// TG_LOOP_BATCH or 0.
    pub flags: u32,
    /// Batch loops: how many records a turn may produce, 1 to 65,536; 0: 1,024.
    pub batch_records: u32,
    /// Batch loops: how many submissions fit, 1 to 65,536; 0: 1,024.
    pub batch_submissions: u32,
    /// How many posts may wait in the loop; 0: 1,048,576.
    pub max_posts: u32,
    /// How many threads work and files may use, at most 1,024; 0: as many as there are processors, at least 4.
    pub work_threads: u32,
    /// Batch loops: how many bytes the records of a turn may carry, 131,072 to 1,073,741,824; 0: 1,048,576.
    pub batch_data: u32,
    /// How many works, look-ups (those of tg_conn_connect_name included) and operations on files may wait or run at once; 0:
    /// 1,048,576. More are TG_ENOBUFS.
    pub max_jobs: u32,
    /// 0.
    pub reserved: u32,
    /// How many bytes operations on files may hold at once in memory of the library's: what tg_file_write and tg_file_writev
    /// copy, and the room of tg_file_read; 0: 1,073,741,824. More are TG_ENOBUFS, except for one while none is held. Memory
    /// that is lent to an operation does not count.
    pub max_job_bytes: u64,
}

// SAFETY: repr(C), `size` first, integers only.
unsafe impl Sized_ for tg_loop_options {
    members!(tg_loop_options: flags, batch_records, batch_submissions, max_posts, work_threads, batch_data, max_jobs,
        reserved, max_job_bytes);
    const DEFAULT: Self = tg_loop_options {
        size: 0,
        flags: 0,
        batch_records: 0,
        batch_submissions: 0,
        max_posts: 0,
        work_threads: 0,
        batch_data: 0,
        max_jobs: 0,
        reserved: 0,
        max_job_bytes: 0,
    };
}

/// What a loop tells about itself. Times in nanoseconds, counts since the loop was made.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_loop_stats {
    /// Set by the caller to the size of the structure.
    pub size: usize,
    /// Turns begun.
    pub turns: u64,
    /// Events and posts delivered.
    pub events: u64,
    /// Time spent outside the wait, in runs.
    pub busy_ns: i64,
    /// Time spent waiting.
    pub idle_ns: i64,
    /// How late the latest timer of the last turn was.
    pub lag_ns: i64,
    /// The largest lag of all.
    pub max_lag_ns: i64,
    /// The longest callback while a slow-callback hook was set (tg_loop_set_slow_callback).
    pub longest_callback_ns: i64,
    /// How often the loop has asked the operating system for events.
    pub waits: u64,
    /// Handles open now.
    pub open_handles: u64,
    /// Those that keep the loop alive now.
    pub active_handles: u64,
    /// Posts and deferred calls waiting now.
    pub queued_posts: u64,
}

// SAFETY: repr(C), `size` first, integers only.
unsafe impl Sized_ for tg_loop_stats {
    members!(tg_loop_stats: turns, events, busy_ns, idle_ns, lag_ns, max_lag_ns, longest_callback_ns, waits, open_handles, active_handles, queued_posts);
    const DEFAULT: Self = tg_loop_stats {
        size: 0,
        turns: 0,
        events: 0,
        busy_ns: 0,
        idle_ns: 0,
        lag_ns: 0,
        max_lag_ns: 0,
        longest_callback_ns: 0,
        waits: 0,
        open_handles: 0,
        active_handles: 0,
        queued_posts: 0,
    };
}

/// Makes a loop that belongs to the calling thread. NULL options are the defaults.
///
/// Thread: any; the caller's becomes the loop's.
/// Callable from callbacks: yes.
/// Ownership: the loop is the caller's until tg_loop_free.
/// Errors: TG_EINVAL (`out` is NULL, options with a wrong size, unknown flags or numbers out of range), TG_ELIMIT (1,024
/// loops and pollers are live), TG_ENOMEM, -EMFILE, -ENFILE, TG_EPANIC.
///
/// # Safety
/// `options` is NULL or as large as its first member says; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_loop_new(options: *const tg_loop_options, out: *mut tg_loop) -> c_int {
    guard!(tg_loop_new(options, out), {
        // SAFETY: the caller's promise.
        unsafe { (self::options(options), self::out(out)) }.both().and_then(|(options, out)| {
            out.write(registry::add_loop(make(options)?, false));
            Ok(())
        })
    })
}

/// Two results as one: the first error counts.
trait Both<A, B> {
    fn both(self) -> Result<(A, B)>;
}

impl<A, B> Both<A, B> for (Result<A>, Result<B>) {
    fn both(self) -> Result<(A, B)> {
        Ok((self.0?, self.1?))
    }
}

pub(crate) fn make(options: tg_loop_options) -> Result<CLoop> {
    const MOST: u32 = 65_536;
    const USUAL: u32 = 1024;
    const DATA: std::ops::RangeInclusive<u32> = 1 << 17..=1 << 30;
    const USUAL_DATA: u32 = 1 << 20;
    if options.flags & !TG_LOOP_BATCH != 0 || options.reserved != 0 {
        return Err(Error::invalid("the options have unknown flags, or a reserved member is not 0"));
    }
    if options.batch_records > MOST || options.batch_submissions > MOST {
        return Err(Error::invalid("a batch holds at most 65,536 records and submissions"));
    }
    if options.work_threads > MAX_WORK_THREADS {
        return Err(Error::invalid("work_threads is above 1,024"));
    }
    if options.batch_data != 0 && !DATA.contains(&options.batch_data) {
        return Err(Error::invalid("batch_data is below 131,072 or above 1,073,741,824"));
    }
    let tg_loop_options { max_posts, work_threads, max_jobs, max_job_bytes, .. } = options;
    let engine = LoopOptions { max_posts, work_threads, max_jobs, max_job_bytes, ..LoopOptions::default() };
    if options.flags & TG_LOOP_BATCH == 0 {
        return EventLoop::new(Outlet::Callbacks, engine, &POSTS);
    }
    let or = |count: u32, usual: u32| if count == 0 { usual } else { count };
    let sink = Batch::new(
        or(options.batch_records, USUAL),
        or(options.batch_submissions, USUAL),
        or(options.batch_data, USUAL_DATA),
    )?;
    EventLoop::new(Outlet::Batch(sink), engine, &POSTS)
}

/// Frees a loop: closes what is open, gives every `user` back, and makes its id and those of its handles errors for ever.
/// Inside one of its callbacks the loop is stopped and freed at the end of the run, which then returns 0; until then it is
/// valid. In a forked child it closes the child's copies and leaves the parent's kernel objects alone.
///
/// A thread that ends gives up the loops that it owns, as by tg_loop_detach: another one can attach and free them.
///
/// Thread: the loop's; in a forked child, any.
/// Callable from callbacks: yes.
/// Returns: how many handles were open.
/// Errors: TG_EBUSY (it is a group's: see tg_group_stop), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_loop_free(loop_: tg_loop) -> c_int {
    guard!(tg_loop_free(loop_), {
        registry::check_not_of_group(loop_)?;
        free(loop_)
    })
}

pub(crate) fn free(loop_: tg_loop) -> Result<usize> {
    match registry::remove_loop(loop_)? {
        Removed::Now(mut removed) => {
            let open = removed.event_loop.shutdown();
            if open.is_none() {
                std::mem::forget(removed);
            }
            Ok(open.unwrap_or(0))
        }
        Removed::Later => {
            // A forked child cannot stop what it inherited; the run returns by itself there.
            let _ = event_loop::stop(Id::from_raw(loop_));
            Ok(registry::open_handles(loop_))
        }
    }
}

/// Runs `how`, and afterwards frees the loop if a callback asked for it.
fn run(loop_: tg_loop, how: impl FnOnce(&CLoop) -> Result<bool>) -> Result<bool> {
    let found = find_loop(loop_)?;
    let event_loop = &found.event_loop;
    if found.is_batch() {
        return Err(Error::NOT_SUPPORTED.because("a batch loop is run by tg_batch_turn"));
    }
    let outcome = how(event_loop);
    if found.free_asked.get() && !event_loop.is_running() {
        free(loop_)?;
        return outcome.map(|_| false);
    }
    outcome
}

/// Runs the loop until nothing keeps it alive (no active referenced handle, nothing posted or deferred, no hold) or it is
/// stopped.
///
/// Thread: the loop's.
/// Callable from callbacks: no, not of the same loop.
/// Returns: 1 when something is left, 0 when not.
/// Errors: TG_EREENTRANT (inside one of its callbacks), TG_ENOTSUP (a batch loop), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD,
/// TG_EFORKED (also when a callback forked: in the child), TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_loop_run(loop_: tg_loop) -> c_int {
    guard!(tg_loop_run(loop_), run(loop_, |event_loop| event_loop.run()))
}

/// Runs turns until one has delivered an event; waits for it. Ends without one when the loop is woken or stopped. When
/// nothing keeps it alive it runs one turn that does not wait.
///
/// Thread: the loop's.
/// Callable from callbacks: no, not of the same loop.
/// Returns: 1 when something is left, 0 when not.
/// Errors: as tg_loop_run: TG_EREENTRANT, TG_ENOTSUP, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_loop_run_once(loop_: tg_loop) -> c_int {
    guard!(tg_loop_run_once(loop_), run(loop_, |event_loop| event_loop.run_once()))
}

/// Runs one turn that does not wait, also when nothing keeps the loop alive. (None after a stop.)
///
/// Thread: the loop's.
/// Callable from callbacks: no, not of the same loop.
/// Returns: 1 when something is left, 0 when not.
/// Errors: as tg_loop_run: TG_EREENTRANT, TG_ENOTSUP, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_loop_run_nowait(loop_: tg_loop) -> c_int {
    guard!(tg_loop_run_nowait(loop_), run(loop_, |event_loop| event_loop.run_nowait()))
}

/// Runs the loop until tg_now_ns() reaches `deadline_ns`, or there is another reason to end. One turn is run even when the
/// deadline has passed or nothing keeps the loop alive (then it does not wait).
///
/// Thread: the loop's.
/// Callable from callbacks: no, not of the same loop.
/// Returns: 1 when something is left, 0 when not.
/// Errors: as tg_loop_run: TG_EREENTRANT, TG_ENOTSUP, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_loop_run_until(loop_: tg_loop, deadline_ns: i64) -> c_int {
    guard!(tg_loop_run_until(loop_, deadline_ns), run(loop_, |event_loop| event_loop.run_until(deadline_ns)))
}

/// Ends the run after the turn that is going on. A stop before a run counts for the next one.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_loop_stop(loop_: tg_loop) -> c_int {
    guard!(tg_loop_stop(loop_), stop(loop_))
}

/// A loop that has failed inside can still be told to stop.
fn stop(loop_: tg_loop) -> Result<()> {
    match registry::check_from_any_thread(loop_) {
        Ok(()) | Err(Error::PANIC) => event_loop::stop(Id::from_raw(loop_)),
        error => error,
    }
}

/// Ends the wait that is going on, or makes the next one return at once. Nothing is delivered. A failure leaves no words in
/// tg_last_error: a signal handler could not make them.
///
/// Thread: any, and signal handlers.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE (also the id of a poller or handle: a signal handler cannot ask), TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_loop_wake(loop_: tg_loop) -> c_int {
    guard_signal!(tg_loop_wake(loop_), event_loop::wake(Id::from_raw(loop_)))
}

/// Keeps runs going although no handle does, until as many tg_loop_unhold.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_loop_hold(loop_: tg_loop) -> c_int {
    guard!(tg_loop_hold(loop_), find_loop(loop_).and_then(|found| found.event_loop.hold()))
}

/// Takes one tg_loop_hold back.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (the loop is not held), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_loop_unhold(loop_: tg_loop) -> c_int {
    guard!(tg_loop_unhold(loop_), find_loop(loop_).and_then(|found| found.event_loop.unhold()))
}

/// The clock reading of the turn (outside a run: of the last one), in nanoseconds: cheaper than tg_now_ns, and as old as
/// the turn.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_loop_get_now_ns(loop_: tg_loop, out: *mut i64) -> c_int {
    guard!(tg_loop_get_now_ns(loop_, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            out.write(find_loop(loop_)?.event_loop.now_ns()?);
            Ok(())
        })
    })
}

/// What the loop tells about itself. `out->size` is set by the caller (`TG_LOOP_STATS_INIT`).
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Errors: TG_EINVAL (`out` is NULL, or its size is not set), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
/// TG_EPANIC.
///
/// # Safety
/// `out` is NULL or as large as its first member says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_loop_get_stats(loop_: tg_loop, out: *mut tg_loop_stats) -> c_int {
    guard!(tg_loop_get_stats(loop_, out), {
        // SAFETY: the caller's promise.
        unsafe { sized_out(out) }.and_then(|out| write_stats(loop_, out))
    })
}

fn write_stats(loop_: tg_loop, out: SizedOut<tg_loop_stats>) -> Result<()> {
    let stats = find_loop(loop_)?.event_loop.stats()?;
    out.write(tg_loop_stats {
        size: 0,
        turns: stats.turns,
        events: stats.events,
        busy_ns: stats.busy_ns,
        idle_ns: stats.idle_ns,
        lag_ns: stats.lag_ns,
        max_lag_ns: stats.max_lag_ns,
        longest_callback_ns: stats.longest_callback_ns,
        waits: stats.waits,
        open_handles: stats.open_handles,
        active_handles: stats.active_handles,
        queued_posts: stats.queued_posts,
    });
    Ok(())
}

/// Reports every callback that took `threshold_ns` or longer, at the price of reading the clock around each. 0 ends it
/// (`callback`, `user` and `release` are then NULL). The user of the hook before is released at the end of the turn.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `user` is the library's once 0 was returned, until `release` gives it back.
/// Errors: TG_EINVAL (a negative threshold; a threshold without callback, or a threshold of 0 with any of the others),
/// TG_ENOTSUP (a batch loop), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
///
/// # Safety
/// `callback` and `release` may be called with `user` on the loop's thread until it is released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_loop_set_slow_callback(
    loop_: tg_loop, threshold_ns: i64, callback: tg_slow_cb, user: *mut c_void, release: tg_release_cb,
) -> c_int {
    guard!(tg_loop_set_slow_callback(loop_, threshold_ns, callback, user, release), {
        find_loop(loop_).and_then(|found| {
            if found.is_batch() {
                return Err(Error::NOT_SUPPORTED.because("a batch loop calls nobody"));
            }
            if threshold_ns < 0 || (threshold_ns > 0) != callback.is_some() {
                return Err(Error::invalid("a threshold above 0 goes with a callback, and 0 without"));
            }
            if threshold_ns == 0 && (release.is_some() || !user.is_null()) {
                return Err(Error::invalid("without a callback nothing is done with the user"));
            }
            let user = User { callback: Callback::Slow(callback), user, release };
            found.event_loop.set_slow_hook((threshold_ns > 0).then_some((threshold_ns, user)))
        })
    })
}
