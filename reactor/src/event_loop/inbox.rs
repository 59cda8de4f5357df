//! The inbox: what other threads leave for a loop.

use crate::base::error::{Error, Result};
use crate::base::id::{Id, OWNER_INDEX, TAGS};
use crate::sys::annotate;
use crate::sys::lock::Lock;
use crate::sys::port::port;
use std::sync::atomic::{AtomicBool, Ordering};

/// The inboxes of all loops that share a kind of post: a static, never freed.
pub struct Registry<P>([Inbox<P>; TAGS]);

/// One loop's inbox.
pub(super) struct Inbox<P> {
    /// Nothing while the tag has no loop. (Boxed, so that the static is all zeroes and takes no room in the library's file.)
    open: Lock<Option<Box<Open<P>>>>,
    pending: AtomicBool,
}

struct Open<P> {
    /// The generation of the loop it belongs to.
    generation: u32,
    limit: u32,
    posts: Vec<P>,
}

impl<P> Default for Registry<P> {
    fn default() -> Self {
        Registry::new()
    }
}

impl<P> Registry<P> {
    /// Empty inboxes, for a static.
    pub const fn new() -> Registry<P> {
        Registry([const { Inbox::new() }; TAGS])
    }

    pub(super) fn inbox(&'static self, tag: u16) -> &'static Inbox<P> {
        &self.0[tag as usize % TAGS]
    }

    /// Leaves a post for a loop, from any thread. It is delivered in the loop's next turn.
    ///
    /// # Errors
    /// [`Error::STALE`], [`Error::FORKED`], [`Error::NO_BUFFERS`] when as many wait
    /// as the loop allows, [`Error::NO_MEMORY`]. The post is dropped then.
    pub fn post(&'static self, id: Id, post: P) -> Result<()> {
        if id.operation() != 0 || id.index() != OWNER_INDEX {
            return Err(Error::STALE);
        }
        port(id.tag()).check(id.generation())?;
        self.inbox(id.tag()).push(id, post)
    }
}

/// Visits the loop of that id.
fn enter_loop(id: Id) -> Result<crate::sys::port::Visit> {
    if id.operation() != 0 || id.index() != OWNER_INDEX {
        return Err(Error::STALE);
    }
    port(id.tag()).enter(id.generation())
}

/// Ends the wait of a loop's run, or makes its next one return at once. From any thread and from signal handlers.
///
/// # Errors
/// [`Error::STALE`], [`Error::FORKED`].
pub fn wake(id: Id) -> Result<()> {
    enter_loop(id).map(|visit| visit.wake())
}

/// Ends a loop's run after the turn that is going on; before a run, makes it return at once. From any thread.
///
/// # Errors
/// [`Error::STALE`], [`Error::FORKED`].
pub fn stop(id: Id) -> Result<()> {
    enter_loop(id).map(|visit| visit.stop())
}

impl<P> Inbox<P> {
    const fn new() -> Inbox<P> {
        Inbox { open: Lock::new(None), pending: AtomicBool::new(false) }
    }

    pub(super) fn open(&self, generation: u32, limit: u32) {
        annotate::atomic_memory(&raw const self.pending as usize, size_of::<AtomicBool>());
        *self.open.lock() = Some(Box::new(Open { generation, limit, posts: Vec::new() }));
        self.pending.store(false, Ordering::SeqCst);
    }

    /// Nothing is accepted any more; what was accepted and not delivered.
    pub(super) fn shut(&self) -> Vec<P> {
        self.open.lock().take().map_or_else(Vec::new, |open| open.posts)
    }

    pub(super) fn is_shut(&self) -> bool {
        self.open.lock().is_none()
    }

    /// In a forked child. What waited is given back only if no thread of the parent was changing it.
    pub(super) fn take_back_after_fork(&self) -> Vec<P> {
        self.open.recover_after_fork(|| None);
        self.shut()
    }

    fn push(&self, id: Id, post: P) -> Result<()> {
        let mut locked = self.open.lock();
        let open = locked.as_mut().filter(|open| open.generation == id.generation()).ok_or(Error::STALE)?;
        if open.posts.len() >= open.limit as usize {
            return Err(Error::NO_BUFFERS.because("too many posts are waiting in the loop"));
        }
        open.posts.try_reserve(1)?;
        open.posts.push(post);
        // Only a change of the flag costs a locked write; while it is up the loop will look.
        if !self.pending.load(Ordering::SeqCst) {
            self.pending.store(true, Ordering::SeqCst);
        }
        // Still under the lock that the loop takes before it shuts its port.
        port(id.tag()).wake_if_armed_unvisited();
        Ok(())
    }

    /// Whether anything waits.
    pub(super) fn pending(&self) -> bool {
        self.pending.load(Ordering::SeqCst)
    }

    /// Takes everything that waits into an empty vector, whose room is left for what comes next.
    pub(super) fn take(&self, into: &mut Vec<P>) {
        if self.pending() {
            let mut open = self.open.lock();
            self.pending.store(false, Ordering::SeqCst);
            if let Some(open) = open.as_mut() {
                std::mem::swap(&mut open.posts, into);
            }
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.open.lock().as_ref().map_or(0, |open| open.posts.len())
    }
}
