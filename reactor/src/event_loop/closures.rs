//! The sink for Rust: handles carry closures.

use super::{Event, EventLoop, LoopOptions, Registry, Sink};
use crate::base::error::Result;
use crate::base::id::Id;
use std::cell::RefCell;
use std::rc::Rc;

/// A loop whose handles carry closures.
pub type Loop = EventLoop<Closures>;

/// What a handle calls: the loop, its own id, what happened.
pub type Callback = Rc<RefCell<dyn FnMut(&Loop, Id, Event<'_>)>>;

/// What can be posted.
pub type Task = Option<Box<dyn FnOnce(&Loop) + Send>>;

/// See the module.
pub struct Closures(());

static REGISTRY: Registry<Task> = Registry::new();

impl Closures {
    /// A loop with default options.
    ///
    /// # Errors
    /// As [`EventLoop::new`].
    pub fn new_loop() -> Result<Loop> {
        Closures::new_loop_with(LoopOptions::default())
    }

    /// A loop.
    ///
    /// # Errors
    /// As [`EventLoop::new`].
    pub fn new_loop_with(options: LoopOptions) -> Result<Loop> {
        EventLoop::new(Closures(()), options, &REGISTRY)
    }

    /// Makes a callback of a closure.
    pub fn callback(call: impl FnMut(&Loop, Id, Event<'_>) + 'static) -> Callback {
        Rc::new(RefCell::new(call))
    }

    /// Runs a closure on a loop, from any thread, in its next turn.
    ///
    /// # Errors
    /// As [`Registry::post`].
    pub fn post(id: Id, call: impl FnOnce(&Loop) + Send + 'static) -> Result<()> {
        REGISTRY.post(id, Some(Box::new(call)))
    }

    /// Makes something of a closure that [`EventLoop::defer`] takes.
    pub fn task(call: impl FnOnce(&Loop) + Send + 'static) -> Task {
        Some(Box::new(call))
    }
}

impl Sink for Closures {
    type User = Callback;
    type Post = Task;

    /// The same closure, which is told of the listener's events and of those of its connections.
    fn accepted_user(listener: &Callback) -> Callback {
        listener.clone()
    }

    fn deliver(&self, event_loop: &Loop, id: Id, user: &Callback, event: Event<'_>) {
        (user.borrow_mut())(event_loop, id, event);
    }

    fn post(&self, event_loop: &Loop, post: &mut Task) {
        if let Some(call) = post.take() {
            call(event_loop);
        }
    }

    fn released(&self, _id: Id, user: Callback) {
        drop(user);
    }

    fn post_released(&self, post: Task) {
        drop(post);
    }

    /// The hook's callback is told of a timer event whose `missed` is the duration in nanoseconds.
    fn slow(&self, event_loop: &Loop, user: &Callback, id: Id, duration_ns: i64) {
        (user.borrow_mut())(event_loop, id, Event::Timer { missed: duration_ns.unsigned_abs() });
    }
}
