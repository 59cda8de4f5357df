//! Chapter: batches.

use crate::batch_sink::Batch;
use crate::convert::out;
use crate::registry::find_loop;
use crate::sink::CLoop;
use crate::types::{tg_handle, tg_loop};
use std::ffi::c_int;
use tidegate_reactor::{Error, Id, Result};

/// Record: a descriptor. `bits`: what it is ready for; `value`: the status (0, TG_ETIMEDOUT, TG_EBADFD).
pub const TG_RECORD_IO: u32 = 1;
/// Record: a timer. `value`: missed ticks.
pub const TG_RECORD_TIMER: u32 = 2;
/// Record: a signal. `bits`: its number; `value`: how often.
pub const TG_RECORD_SIGNAL: u32 = 3;
/// Record: an async handle was sent to.
pub const TG_RECORD_ASYNC: u32 = 4;
/// Record: a hook. `bits`: its kind (TG_KIND_PREPARE, …).
pub const TG_RECORD_HOOK: u32 = 5;
/// Record: tg_post or tg_defer. `handle` is the loop.
pub const TG_RECORD_POST: u32 = 6;
/// Record: the handle is closed. Always the last of its id.
pub const TG_RECORD_CLOSED: u32 = 7;
/// Record: a submission failed. `handle` and `user` are the submission's, `bits` its operation, `value` the code.
pub const TG_RECORD_FAILED: u32 = 8;

/// Record: work is over. `bits`: the status as an int (0, TG_ECANCELED, TG_EFORKED); `value`: the result. The handle closes.
pub const TG_RECORD_DONE: u32 = 9;
/// Record: a file was opened, or an operation on files is over. `bits`, as an int, below 0: the status; `value`: bytes that
/// were written or copied before the error. Else, for tg_file_read, `bits`: how many bytes, `value`: where they begin in
/// the batch's `data`. tg_file_stat and tg_path_stat: `value`: where the tg_file_info begins. tg_path_list: `bits`: how many
/// entries, and TG_FILE_MORE if another record brings more; `value`: where they begin: of each its type and its name's length
/// (two uint32_t), its name, and one to eight zeroes up to a multiple of eight bytes. tg_file_open: `value`: the descriptor.
/// The others: `bits`: 0, `value`: how many bytes. The handle closes, except that of a file that was opened, and of a list of
/// which there is more.
pub const TG_RECORD_FILE: u32 = 11;

/// Record: a listener has accepted a connection. `value`: its handle; `bits`: where in `data` its address is, a tg_address.
pub const TG_RECORD_ACCEPT: u32 = 16;
/// Record: a listener could not accept. `value`: why (see tg_listener_error_cb).
pub const TG_RECORD_LISTENER_ERROR: u32 = 17;
/// Record: a connection is open.
pub const TG_RECORD_CONN_OPEN: u32 = 18;
/// Record: a connection has received bytes, or a frame. `bits`: how many; `value`: where in `data` they begin.
pub const TG_RECORD_CONN_DATA: u32 = 19;
/// Record: a connection with TG_CONN_PULL has something to read.
pub const TG_RECORD_CONN_READABLE: u32 = 20;
/// Record: the peer of a connection has ended its direction. The program decides what follows, such as tg_conn_finish: nothing
/// is finished by itself on a batch loop.
pub const TG_RECORD_CONN_EOF: u32 = 21;
/// Record: what waits in a connection is down to the low watermark.
pub const TG_RECORD_CONN_DRAIN: u32 = 22;
/// Record: a time of a connection is over. `bits`: TG_TIMEOUT_… It counts anew: the program decides, such as tg_conn_abort.
pub const TG_RECORD_CONN_TIMEOUT: u32 = 23;
/// Record: a tg_conn_mark was reached. `value`: its token; `bits`: the status as an int.
pub const TG_RECORD_CONN_WRITTEN: u32 = 24;
/// Record: a connection is over. `value`: the reason. The handle closes.
pub const TG_RECORD_CONN_CLOSE: u32 = 25;

/// Record: the peer of a connection with TG_CONN_DESCRIPTORS has passed descriptors. `bits`: how many; `value`: where in
/// `data` they are, tg_fd by tg_fd.
pub const TG_RECORD_CONN_DESCRIPTORS: u32 = 26;
/// Record: a look-up is over. `bits`, as an int: how many things were found, or a negative status (see tg_resolve_cb); `value`: where
/// they begin in `data` of the batch: the addresses, one tg_address after the other; or for tg_resolve_name_open two strings,
/// the host's name and behind its zero byte the service's. The handle closes.
pub const TG_RECORD_RESOLVED: u32 = 10;

/// Record: a process has ended. `bits`: the status as an int (see tg_process_cb); `value`: what it returned, or minus the
/// number of the signal that has killed it, or 0 when the status is not 0. The handle closes.
pub const TG_RECORD_EXIT: u32 = 14;

/// Record: something that is watched has changed. `bits`: TG_CHANGE_…; `value`: where in `data` these stand one behind another:
/// the cookie (a uint32_t), the status (an int32_t), the name and a zero byte.
pub const TG_RECORD_CHANGE: u32 = 15;

/// Record: a datagram. `value`: where in the batch's data a tg_datagram_header begins; the datagram's bytes follow it. `bits`:
/// the header's flags.
pub const TG_RECORD_DATAGRAM: u32 = 12;
/// Record: of a socket for datagrams. `bits`: the status as an int: an error (see tg_udp_error_cb), or 0: nothing waits in the
/// send queue any more. `value`: where in the batch's data the tg_address is of the one to whom the datagram was sent that has
/// caused it; -1: that is not known.
pub const TG_RECORD_UDP_ERROR: u32 = 13;

/// Submission: tg_close.
pub const TG_SUBMIT_CLOSE: u32 = 1;
/// Submission: tg_io_set_interest. `a`: the interest.
pub const TG_SUBMIT_IO_INTEREST: u32 = 2;
/// Submission: tg_timer_start. `a`: the delay, `b`: the repeat.
pub const TG_SUBMIT_TIMER_START: u32 = 3;
/// Submission: tg_timer_stop.
pub const TG_SUBMIT_TIMER_STOP: u32 = 4;
/// Submission: tg_timer_restart.
pub const TG_SUBMIT_TIMER_RESTART: u32 = 5;
/// Submission: tg_io_set_timeout. `a`: the timeout.
pub const TG_SUBMIT_IO_TIMEOUT: u32 = 6;

/// Flag of a batch: more is ready than fitted; the next turn goes on with it.
pub const TG_BATCH_MORE: u32 = 0x1;
/// Flag of a batch: tg_loop_stop was called since the turn before.
pub const TG_BATCH_STOPPED: u32 = 0x2;
/// Flag of a batch: nothing keeps the loop alive.
pub const TG_BATCH_IDLE: u32 = 0x4;

/// One event.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct tg_record {
    /// Whose.
    pub handle: tg_handle,
    /// The `user` of its options, as a number.
    pub user: u64,
    /// TG_RECORD_…
    pub kind: u32,
    /// See the kind.
    pub bits: u32,
    /// See the kind.
    pub value: i64,
}

/// One operation to be done at the beginning of the next turn.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct tg_submission {
    /// On what.
    pub handle: tg_handle,
    /// Comes back in the record if it fails.
    pub user: u64,
    /// See the operation.
    pub a: i64,
    /// See the operation.
    pub b: i64,
    /// TG_SUBMIT_…
    pub op: u32,
    /// 0.
    pub reserved: u32,
}

/// What the caller and a batch loop share. Written by the library unless it says otherwise.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_batch {
    /// The size of this structure.
    pub size: u32,
    /// The size of a record.
    pub record_size: u32,
    /// The size of a submission.
    pub submission_size: u32,
    /// How many records fit.
    pub record_capacity: u32,
    /// How many submissions fit.
    pub submission_capacity: u32,
    /// TG_BATCH_…
    pub flags: u32,
    /// How many records there are.
    pub record_count: u32,
    /// Written by the caller: how many of them it has consumed. Those it has not are presented again by the next turn.
    pub record_cursor: u32,
    /// Written by the caller: how many submissions it has written. 0 once the library has taken them all.
    pub submission_count: u32,
    /// How many of them the library has taken.
    pub submission_cursor: u32,
    /// Written by the caller: how long the next turn may wait; -1: for ever. At first -1.
    pub timeout_ns: i64,
    /// The clock reading of the turn.
    pub now_ns: i64,
    /// The records, valid until the next turn.
    pub records: *mut tg_record,
    /// Where the caller writes submissions.
    pub submissions: *mut tg_submission,
    /// What records carry (see their kinds), valid until the next turn.
    pub data: *mut u8,
    /// How many bytes of it the records of this turn use.
    pub data_count: u64,
}

/// What the caller and the batch loop share.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: the memory is the loop's, and valid until tg_loop_free.
/// Errors: TG_EINVAL (`out` is NULL), TG_ENOTSUP (not a batch loop), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
/// TG_EPANIC.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_batch_get(loop_: tg_loop, out: *mut *mut tg_batch) -> c_int {
    guard!(tg_batch_get(loop_, out), {
        // SAFETY: the caller's promise.
        unsafe { self::out(out) }.and_then(|out| {
            let (event_loop, batch) = batch_loop(loop_)?;
            event_loop.now_ns()?;
            out.write(batch.header());
            Ok(())
        })
    })
}

/// Takes the submissions, runs at most one turn of the loop, which waits at most `timeout_ns`, and fills the records. While
/// records are left that the caller has not consumed it takes the submissions and returns at once, with those. A call
/// that is cut off (by a signal handler that does not return, say) loses nothing: what was done is in the shared memory.
/// Closing a handle does not take back records of it that are there already; TG_RECORD_CLOSED comes after them.
///
/// Thread: the loop's.
/// Callable from callbacks: a batch loop has none; yes from those of other loops.
/// Returns: how many records are to be consumed: from `record_cursor` to `record_count`.
/// Errors: TG_EINVAL (a cursor, count or timeout that is not possible), TG_ENOTSUP (not a batch loop), TG_ESTALE, TG_EKIND,
/// TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_batch_turn(loop_: tg_loop) -> c_int {
    guard!(tg_batch_turn(loop_), batch_loop(loop_).and_then(turn))
}

fn batch_loop(loop_: tg_loop) -> Result<(&'static CLoop, &'static Batch)> {
    let event_loop = &find_loop(loop_)?.event_loop;
    let batch = event_loop.sink().batch().ok_or(Error::NOT_SUPPORTED.because("not a loop made with TG_LOOP_BATCH"))?;
    Ok((event_loop, batch))
}

fn turn((event_loop, batch): (&CLoop, &Batch)) -> Result<usize> {
    event_loop.now_ns()?;
    let timeout_ns = batch.timeout_ns()?;
    batch.check_submissions()?;
    if batch.unconsumed()? == 0 {
        batch.reset();
    }
    let all_taken = take_submissions(event_loop, batch);
    let failed = batch.unconsumed()? > 0;
    let mut more = !all_taken;
    if !failed {
        event_loop.run_turn(timeout_ns)?;
        more |= !batch.has_room();
    }
    let stopped = if event_loop.take_stop() { TG_BATCH_STOPPED } else { 0 };
    let idle = if event_loop.is_alive()? { 0 } else { TG_BATCH_IDLE };
    let more = if more { TG_BATCH_MORE } else { 0 };
    batch.publish(more | stopped | idle, event_loop.now_ns()?);
    Ok(batch.unconsumed()? as usize)
}

/// Does what was submitted, as long as there is room to report failures; whether all was taken.
fn take_submissions(event_loop: &CLoop, batch: &Batch) -> bool {
    while batch.has_room() {
        let Some(submission) = batch.next_submission() else { return true };
        if let Err(error) = submit(event_loop, submission) {
            batch.push(tg_record {
                handle: submission.handle,
                user: submission.user,
                kind: TG_RECORD_FAILED,
                bits: submission.op,
                value: i64::from(error.code()),
            });
        }
    }
    false
}

fn submit(event_loop: &CLoop, submission: tg_submission) -> Result<()> {
    let id = Id::from_raw(submission.handle);
    if submission.reserved != 0 {
        return Err(Error::invalid("a reserved member is not 0"));
    }
    match submission.op {
        TG_SUBMIT_CLOSE => event_loop.close(id),
        TG_SUBMIT_IO_INTEREST => {
            let interest = u32::try_from(submission.a).map_err(|_| Error::invalid("not an interest"))?;
            event_loop.io_set_interest(id, interest)
        }
        TG_SUBMIT_TIMER_START => event_loop.timer_start(id, submission.a, submission.b),
        TG_SUBMIT_TIMER_STOP => event_loop.timer_stop(id),
        TG_SUBMIT_TIMER_RESTART => event_loop.timer_restart(id),
        TG_SUBMIT_IO_TIMEOUT => event_loop.io_set_timeout(id, submission.a),
        _ => Err(Error::invalid("an unknown operation")),
    }
}
