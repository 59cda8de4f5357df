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
    state: Lock<State<P>>,
    pending: AtomicBool,
}

struct State<P> {
    /// The generation of the loop it belongs to; 0: nobody's.
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
    /// [`Error::STALE`], [`Error::KIND`] for the id of a handle, [`Error::FORKED`], [`Error::NO_BUFFERS`] when as many wait
    /// as the loop allows, [`Error::NO_MEMORY`]. The post is dropped then.
    pub fn post(&'static self, id: Id, post: P) -> Result<()> {
        let visit = enter_loop(id)?;
        self.inbox(id.tag()).push(id.generation(), post)?;
        visit.wake_if_armed();
        Ok(())
    }
}

/// Visits the loop of that id.
fn enter_loop(id: Id) -> Result<crate::sys::port::Visit> {
    if id.operation() != 0 {
        return Err(Error::STALE);
    }
    if id.index() != OWNER_INDEX {
        return Err(port(id.tag()).enter_any().map_or_else(|error| error, |_| Error::KIND));
    }
    port(id.tag()).enter(id.generation())
}

/// Ends the wait of a loop's run, or makes its next one return at once. From any thread and from signal handlers.
///
/// # Errors
/// [`Error::STALE`], [`Error::KIND`], [`Error::FORKED`].
pub fn wake(id: Id) -> Result<()> {
    enter_loop(id).map(|visit| visit.wake())
}

/// Ends a loop's run after the turn that is going on; before a run, makes it return at once. From any thread.
///
/// # Errors
/// [`Error::STALE`], [`Error::KIND`], [`Error::FORKED`].
pub fn stop(id: Id) -> Result<()> {
    enter_loop(id).map(|visit| visit.stop())
}

impl<P> Inbox<P> {
    const fn new() -> Inbox<P> {
        Inbox {
            state: Lock::new(State { generation: 0, limit: 0, posts: Vec::new() }),
            pending: AtomicBool::new(false),
        }
    }

    pub(super) fn open(&self, generation: u32, limit: u32) {
        annotate::atomic_memory(&raw const self.pending as usize, size_of::<AtomicBool>());
        let mut state = self.state.lock();
        (state.generation, state.limit) = (generation, limit);
        self.pending.store(false, Ordering::SeqCst);
    }

    /// Nothing is accepted any more; what was accepted and not delivered.
    pub(super) fn shut(&self) -> Vec<P> {
        let mut state = self.state.lock();
        state.generation = 0;
        std::mem::take(&mut state.posts)
    }

    pub(super) fn is_shut(&self, generation: u32) -> bool {
        self.state.lock().generation != generation
    }

    /// In a forked child. What waited is given back only if no thread of the parent was changing it.
    pub(super) fn take_back_after_fork(&self) -> Vec<P> {
        self.state.recover_after_fork(|| State { generation: 0, limit: 0, posts: Vec::new() });
        self.shut()
    }

    fn push(&self, generation: u32, post: P) -> Result<()> {
        let mut state = self.state.lock();
        if state.generation != generation {
            return Err(Error::STALE);
        }
        if state.posts.len() >= state.limit as usize {
            return Err(Error::NO_BUFFERS.because("too many posts are waiting in the loop"));
        }
        state.posts.try_reserve(1)?;
        state.posts.push(post);
        // Only a change of the flag costs a locked write; while it is up the loop will look.
        if !self.pending.load(Ordering::SeqCst) {
            self.pending.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Whether anything waits.
    pub(super) fn pending(&self) -> bool {
        self.pending.load(Ordering::SeqCst)
    }

    /// Takes everything that waits, leaving an empty vector with room behind.
    pub(super) fn take(&self, into: &mut Vec<P>) {
        if self.pending() {
            let mut state = self.state.lock();
            self.pending.store(false, Ordering::SeqCst);
            std::mem::swap(&mut state.posts, into);
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        if self.pending() { self.state.lock().posts.len() } else { 0 }
    }
}
