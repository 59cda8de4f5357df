//! The only place where user code is called. No borrow of the loop's state is held meanwhile.

use super::core::Told;
use super::releases::Release;
use super::{Event, EventLoop, Outcome, Sink};
use crate::base::file::FileResult;
use crate::base::id::Id;
use crate::sys::{Fd, clock};
use std::os::fd::IntoRawFd;

impl<S: Sink> EventLoop<S> {
    pub(super) fn dispatch(&self, id: Id, user: &S::User, told: Told) {
        let call = |event: Event<'_>| self.watched(id, || self.sink.deliver(self, id, user, event));
        match told {
            Told::Event(event) => call(event),
            Told::Received { buffer, start, end } => {
                call(Event::Data(&buffer[start..end]));
                // Whatever the callback has done: no user code runs while the loop's state is borrowed.
                self.core.borrow_mut().read_buffer = buffer;
            }
            Told::Held { buffer, start, end } => {
                call(Event::Data(&buffer[start..end]));
                self.core.borrow_mut().conn_take_back(id, buffer);
            }
            Told::Accepted(conn, peer) => call(Event::Accepted { conn, peer: &peer }),
            Told::Passed(passed) => {
                let numbers: Vec<Fd> = passed.into_iter().map(IntoRawFd::into_raw_fd).collect();
                call(Event::Passed(&numbers));
            }
            Told::Over(reason) => {
                call(Event::ConnOver { reason });
                // Stale when the callback has closed it.
                let _ = self.close(id);
            }
            Told::Done(outcome) => {
                call(Event::Done(&outcome));
                if !matches!(*outcome, Outcome::Opened(_) | Outcome::File(FileResult { more: true, .. })) {
                    // Stale when the callback has closed it.
                    let _ = self.close(id);
                }
            }
            Told::Last(event) => {
                call(event);
                let _ = self.close(id);
            }
            Told::Change(change) => call(Event::Change {
                status: change.status,
                changes: change.changes,
                cookie: change.cookie,
                name: &change.name,
            }),
            Told::Datagrams(received) => {
                call(Event::Datagrams(&received));
                self.udp_delivered(id, received);
            }
            Told::UdpError(report) => call(Event::UdpError { status: report.0, peer: report.1.as_ref() }),
        }
    }

    /// A post is released at the end of the turn in which it ran.
    pub(super) fn dispatch_post(&self, mut post: S::Post) {
        self.watched(Id::NONE, || self.sink.post(self, &mut post));
        let mut core = self.core.borrow_mut();
        if core.reserve_release().is_ok() {
            core.releases.push(Release::Post(post));
            return;
        }
        drop(core);
        self.sink.post_released(post);
    }

    pub(super) fn release(&self, release: Release<S>) {
        match release {
            Release::Handle(id, user) => self.sink.released(id, user),
            Release::Post(post) => self.sink.post_released(post),
            Release::Buffer(buffer, status) => buffer.release(status),
        }
    }

    /// Calls, and reports it if it was slow and somebody wants to know.
    #[inline]
    fn watched(&self, id: Id, call: impl FnOnce()) {
        match self.slow_after_ns.get() {
            0 => call(),
            threshold_ns => self.timed(id, threshold_ns, call),
        }
    }

    #[cold]
    fn timed(&self, id: Id, threshold_ns: i64, call: impl FnOnce()) {
        let before = clock::monotonic_ns();
        call();
        let duration_ns = clock::monotonic_ns() - before;
        let hook = {
            let mut core = self.core.borrow_mut();
            core.stats.longest_callback_ns = core.stats.longest_callback_ns.max(duration_ns);
            core.slow.as_ref().filter(|_| duration_ns >= threshold_ns).map(|slow| slow.user.clone())
        };
        if let Some(user) = hook {
            self.sink.slow(self, &user, id, duration_ns);
        }
    }
}
