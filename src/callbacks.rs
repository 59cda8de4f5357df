//! Events as calls of C functions.

use crate::address::tg_address;
use crate::asyncs::{tg_async_cb, tg_post_cb};
use crate::conn::options::{ConnCallbacks, tg_conn_cb, which};
use crate::event_loop::tg_slow_cb;
use crate::file::results::{self, Owned};
use crate::file::tg_file_cb;
use crate::hooks::tg_hook_cb;
use crate::io::tg_io_cb;
use crate::listener::ListenerCallbacks;
use crate::process::tg_process_cb;
use crate::resolve::{self, tg_resolve_cb, tg_resolve_name_cb};
use crate::signal::tg_signal_cb;
use crate::timer::tg_timer_cb;
use crate::types::tg_release_cb;
use crate::udp::{self, UdpCallbacks};
use crate::watch::{tg_change, tg_watch_cb};
use crate::work::tg_work_cb;
use std::ffi::{c_int, c_void};
use std::ptr::null;
use std::rc::Rc;
use tidegate_reactor::{Event, Id, Outcome};

/// The function of a handle, by kind.
#[derive(Clone)]
pub(crate) enum Callback {
    Io(tg_io_cb),
    Timer(tg_timer_cb),
    Signal(tg_signal_cb),
    Async(tg_async_cb),
    Hook(tg_hook_cb),
    Work(tg_work_cb),
    Listener(Rc<ListenerCallbacks>),
    Conn(Rc<ConnCallbacks>),
    /// Nothing is ever told, or what is becomes a record.
    None,
    Slow(tg_slow_cb),
    Resolve(tg_resolve_cb),
    ResolveName(tg_resolve_name_cb),
    File(tg_file_cb),
    FileOwned(*const Owned),
    Process(tg_process_cb),
    Watch(tg_watch_cb),
    /// Several, apart from the others, because an entry is to fit into a cache line.
    Udp(Rc<UdpCallbacks>),
}

/// What a handle carries: whom to call, with what, and how to give it back.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) callback: Callback,
    pub(crate) user: *mut c_void,
    pub(crate) release: tg_release_cb,
}

/// What `tg_post` and `tg_defer` leave, for both kinds of loop.
pub(crate) struct Post {
    pub(crate) callback: tg_post_cb,
    pub(crate) user: *mut c_void,
    pub(crate) release: tg_release_cb,
}

// SAFETY: the library only carries the pointer to the loop's thread; whether what it points to may be used there is the
// promise of the caller of `tg_post`.
unsafe impl Send for Post {}

impl User {
    /// What it is on a batch loop.
    pub(crate) fn number(&self) -> u64 {
        self.user as u64
    }

    /// Gives everything back that came with it.
    pub(crate) fn release(self, id: Id) {
        // Without an id it is a user that was replaced, and the handle still has the memory.
        if let (Callback::FileOwned(owned), true) = (&self.callback, id != Id::NONE) {
            // SAFETY: made by Box::into_raw when the handle was opened, and a handle is released once.
            unsafe { Box::from_raw(owned.cast_mut()) }.give_back(self.user);
        }
        give_back(self.release, self.user);
    }
}

impl Post {
    pub(crate) fn call(&self, loop_id: Id) {
        if let Some(call) = self.callback {
            // SAFETY: the caller's function and pointer, not yet released.
            unsafe { call(loop_id.raw(), self.user) };
        }
    }

    pub(crate) fn release(&self) {
        give_back(self.release, self.user);
    }
}

fn give_back(release: tg_release_cb, user: *mut c_void) {
    if let Some(release) = release {
        // SAFETY: the caller's function and pointer, accepted together and called once.
        unsafe { release(user) };
    }
}

/// How a job has ended in the terms of C, for both kinds of loop: the result of work, or how many things were found.
pub(crate) fn status_and_value(outcome: &Outcome) -> (c_int, i64) {
    match outcome {
        Outcome::Failed(error) => (error.code(), 0),
        Outcome::Work(result) => (0, *result),
        Outcome::Addresses(Ok(all)) => (0, all.len() as i64),
        Outcome::Names(Ok(_)) => (0, 2),
        // These have an event of their own.
        Outcome::Opened(_) | Outcome::File(_) => (0, 0),
        Outcome::Addresses(Err(error)) | Outcome::Names(Err(error)) => (error.code(), 0),
    }
}

/// # Safety
/// The functions may be called with `data`.
#[inline(always)]
unsafe fn deliver_data(callbacks: &ConnCallbacks, id: u64, data: *mut c_void, bytes: &[u8]) {
    if let Some(call) = callbacks.on_data {
        // SAFETY: the caller's promise; the bytes live through the call.
        unsafe { call(id, data, bytes.as_ptr().cast(), bytes.len()) };
    }
}

/// # Safety
/// The functions may be called with `data`.
#[inline]
unsafe fn deliver_conn(callbacks: &ConnCallbacks, id: u64, data: *mut c_void, event: Event<'_>) {
    let plain = |callback: tg_conn_cb| {
        if let Some(call) = callback {
            // SAFETY: the caller's promise.
            unsafe { call(id, data) };
        }
    };
    match event {
        // SAFETY: the caller's promise.
        Event::Data(bytes) => unsafe { deliver_data(callbacks, id, data, bytes) },
        Event::Opened => plain(callbacks.on_open),
        Event::Readable => plain(callbacks.on_readable),
        Event::Eof => plain(callbacks.on_eof),
        Event::Drained => plain(callbacks.on_drain),
        Event::Written { token, status } => {
            if let Some(call) = callbacks.on_written {
                // SAFETY: the caller's promise.
                unsafe { call(id, data, token, status) };
            }
        }
        Event::TimedOut(timeout) => {
            if let Some(call) = callbacks.on_timeout {
                // SAFETY: the caller's promise.
                unsafe { call(id, data, which(timeout)) };
            }
        }
        Event::Passed(descriptors) => {
            if let Some(call) = callbacks.on_descriptors {
                // SAFETY: the caller's promise; the numbers live through the call.
                unsafe { call(id, data, descriptors.as_ptr(), descriptors.len()) };
            }
        }
        Event::ConnOver { reason } => {
            if let Some(call) = callbacks.on_close {
                // SAFETY: the caller's promise.
                unsafe { call(id, data, reason) };
            }
        }
        _ => {}
    }
}

/// # Safety
/// The functions may be called with `data`.
unsafe fn deliver_listener(callbacks: &ListenerCallbacks, id: u64, data: *mut c_void, event: Event<'_>) {
    match event {
        Event::Accepted { conn, peer } => {
            if let Some(call) = callbacks.on_accept {
                let peer = tg_address::from_engine(peer);
                // SAFETY: the caller's promise; the address lives through the call.
                unsafe { call(id, data, conn.raw(), &raw const peer) };
            }
        }
        Event::ListenerError { status } => {
            if let Some(call) = callbacks.on_error {
                // SAFETY: the caller's promise.
                unsafe { call(id, data, status) };
            }
        }
        _ => {}
    }
}

/// What a connection carries that the listener has accepted.
pub(crate) fn accepted_user(listener: &User) -> User {
    match &listener.callback {
        Callback::Listener(callbacks) => {
            User { callback: Callback::Conn(callbacks.conn.clone()), user: callbacks.conn_user, release: None }
        }
        _ => User { callback: Callback::None, user: listener.user, release: None },
    }
}

/// Calls the function that an event is for.
pub(crate) fn deliver(id: Id, user: &User, event: Event<'_>) {
    let (id, data) = (id.raw(), user.user);
    // SAFETY: the caller's function, called with the pointer that was accepted with it and is not yet released.
    unsafe {
        match (&user.callback, event) {
            (Callback::Io(Some(call)), Event::Io { ready, status }) => call(id, data, ready, status),
            (Callback::Timer(Some(call)), Event::Timer { missed }) => call(id, data, missed),
            (Callback::Signal(Some(call)), Event::Signal { signum, count }) => call(id, data, signum, count),
            (Callback::Async(Some(call)), Event::Async) => call(id, data),
            (Callback::Hook(Some(call)), Event::Hook(_)) => call(id, data),
            (Callback::Work(Some(call)), Event::Done(outcome)) => {
                let (status, result) = status_and_value(outcome);
                call(id, data, status, result);
            }
            (Callback::Conn(callbacks), event) => deliver_conn(callbacks, id, data, event),
            (Callback::Listener(callbacks), event) => deliver_listener(callbacks, id, data, event),
            (Callback::Resolve(Some(call)), Event::Done(outcome)) => match resolve::addresses(outcome) {
                Ok(all) => call(id, data, 0, all.as_ptr(), all.len()),
                Err(status) => call(id, data, status, null(), 0),
            },
            (Callback::ResolveName(Some(call)), Event::Done(outcome)) => match outcome {
                Outcome::Names(Ok(names)) => call(id, data, 0, names.host.as_ptr(), names.service.as_ptr()),
                failed => call(id, data, status_and_value(failed).0, null(), null()),
            },
            (Callback::File(Some(call)), Event::Done(outcome)) => {
                results::tell(outcome, null(), |result| call(id, data, result));
            }
            (Callback::FileOwned(owned), Event::Done(outcome)) => {
                // It lives until the handle is released.
                let owned = &**owned;
                if let Some(call) = owned.callback {
                    results::tell(outcome, owned.shown(outcome), |result| call(id, data, result));
                }
            }
            (Callback::Process(Some(call)), Event::Exit { status, code, signal }) => {
                call(id, data, status, code, signal);
            }
            (Callback::Watch(Some(call)), Event::Change { status, changes, cookie, name }) => {
                let change = tg_change { size: size_of::<tg_change>(), changes, cookie, name: name.as_ptr() };
                call(id, data, status, &change);
            }
            (Callback::Udp(calls), event) => udp::deliver(calls, id, data, event),
            _ => {}
        }
    }
}

/// The same for bytes that a connection has received.
#[inline(always)]
pub(crate) fn deliver_bytes(id: Id, user: &User, bytes: &[u8]) {
    if let Callback::Conn(callbacks) = &user.callback {
        // SAFETY: as above.
        unsafe { deliver_data(callbacks, id.raw(), user.user, bytes) };
    }
}

/// Tells of a callback that took long.
pub(crate) fn slow(loop_id: Id, user: &User, id: Id, duration_ns: i64) {
    if let Callback::Slow(Some(call)) = user.callback {
        // SAFETY: the caller's function and pointer, not yet released.
        unsafe { call(loop_id.raw(), user.user, id.raw(), duration_ns) };
    }
}
