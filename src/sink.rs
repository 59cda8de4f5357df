//! Where the events of a loop go: to C functions, or into records. One type for both, so that the engine is in the library
//! once.

use crate::batch_sink::Batch;
use crate::callbacks::{self, Post, User};
use crate::inject;
use tidegate_reactor::{Event, EventLoop, Id, Sink};

/// A loop of the C library.
pub(crate) type CLoop = EventLoop<Outlet>;

/// See the module.
pub(crate) enum Outlet {
    /// C functions are called.
    Callbacks,
    /// Records are written (TG_LOOP_BATCH).
    Batch(Batch),
}

impl Outlet {
    /// The records, on a batch loop.
    pub(crate) fn batch(&self) -> Option<&Batch> {
        match self {
            Outlet::Callbacks => None,
            Outlet::Batch(batch) => Some(batch),
        }
    }
}

impl Sink for Outlet {
    type User = User;
    type Post = Post;

    #[inline(always)]
    fn has_room(&self) -> bool {
        self.batch().is_none_or(Batch::has_room)
    }

    fn events_per_turn(&self) -> u32 {
        self.batch().map_or(u32::MAX, Batch::record_capacity)
    }

    fn largest_carry(&self) -> usize {
        self.batch().map_or(usize::MAX, Batch::largest_carry)
    }

    fn accepted_user(listener: &User) -> User {
        callbacks::accepted_user(listener)
    }

    fn deliver(&self, event_loop: &CLoop, id: Id, user: &User, event: Event<'_>) {
        inject::panic_if_asked("dispatch");
        match self {
            Outlet::Callbacks => callbacks::deliver(id, user, event),
            Outlet::Batch(batch) => batch.deliver(event_loop, id, user.number(), event),
        }
    }

    #[inline(always)]
    fn deliver_bytes(&self, event_loop: &CLoop, id: Id, user: &User, bytes: &[u8]) {
        inject::panic_if_asked("dispatch");
        match self {
            Outlet::Callbacks => callbacks::deliver_bytes(id, user, bytes),
            Outlet::Batch(batch) => batch.deliver(event_loop, id, user.number(), Event::Data(bytes)),
        }
    }

    fn post(&self, event_loop: &CLoop, post: &mut Post) {
        inject::panic_if_asked("dispatch");
        match self {
            Outlet::Callbacks => post.call(event_loop.id()),
            Outlet::Batch(batch) => batch.post(event_loop.id(), post),
        }
    }

    fn released(&self, id: Id, user: User) {
        match self {
            Outlet::Callbacks => user.release(id),
            Outlet::Batch(batch) => batch.released(id, user.number()),
        }
    }

    fn post_released(&self, post: Post) {
        // A batch loop's has no function.
        post.release();
    }

    fn slow(&self, event_loop: &CLoop, user: &User, id: Id, duration_ns: i64) {
        callbacks::slow(event_loop.id(), user, id, duration_ns);
    }
}
