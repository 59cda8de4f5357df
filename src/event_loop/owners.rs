//! Which thread a loop belongs to, and what becomes of it in a forked child.

use crate::registry;
use crate::types::tg_loop;
use std::ffi::c_int;

/// Gives the loop up, so that another thread can take it over by tg_loop_attach. Until then no thread may use it, except
/// for what any thread may do.
///
/// Thread: the loop's.
/// Callable from callbacks: not of the same loop.
/// Errors: TG_EBUSY (it is running, or a group's), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_loop_detach(loop_: tg_loop) -> c_int {
    guard!(tg_loop_detach(loop_), registry::detach(loop_))
}

/// Takes a loop over that was given up by tg_loop_detach.
///
/// Thread: any; the caller's becomes the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EWRONGTHREAD (a thread owns it), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_loop_attach(loop_: tg_loop) -> c_int {
    guard!(tg_loop_attach(loop_), registry::attach(loop_))
}

/// In a forked child: rebuilds the inherited loop with kernel objects of its own. Its handles live on in the child; posts,
/// deferred calls and signals that were on their way stay with the parent (their users are released in the child). Inside a
/// callback the run goes on when the callback returns.
///
/// Thread: the child's first; it becomes the loop's.
/// Callable from callbacks: yes.
/// Errors: TG_EINVAL (not an inherited loop), TG_EBUSY (another thread of the parent was inside the loop at the fork: it can
/// only be freed), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_ENOMEM, -EMFILE, -ENFILE, TG_EPANIC.
#[unsafe(no_mangle)]
pub extern "C" fn tg_loop_reopen(loop_: tg_loop) -> c_int {
    guard!(tg_loop_reopen(loop_), {
        registry::inherit_loop(loop_).and_then(|found| {
            found.event_loop.reopen()?;
            registry::reopened(loop_);
            Ok(())
        })
    })
}
