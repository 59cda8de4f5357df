//! Finds the loop or poller behind an id, and checks that the caller may use it.
//!
//! Each tag has a static entry that is never freed. A loop's pointer is followed only by the thread that owns it (or, in a
//! forked child, by its only thread), and that thread is also the only one that frees it.

use crate::callbacks::Post;
use crate::poller::Waiter;
use crate::sink::CLoop;
use std::cell::Cell;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use tidegate_reactor::base::id::{OWNER_INDEX, TAGS};
use tidegate_reactor::sys::lock::Lock;
use tidegate_reactor::sys::{annotate, fork, thread};
use tidegate_reactor::{Error, Id, Registry, Result};

/// The inboxes of all loops.
pub(crate) static POSTS: Registry<Post> = Registry::new();

pub(crate) struct Loop {
    pub(crate) event_loop: CLoop,
    /// It was freed inside one of its callbacks: the run that is going on frees it.
    pub(crate) free_asked: Cell<bool>,
    /// It is a group's, which frees it.
    of_group: bool,
}

impl Loop {
    /// Whether its events are records.
    pub(crate) fn is_batch(&self) -> bool {
        self.event_loop.sink().batch().is_some()
    }
}

struct Entry {
    /// The thread that owns the loop; NOBODY while it is detached.
    owner: AtomicU64,
    /// The generation of the loop; 0: there is none.
    generation: AtomicU32,
    epoch: AtomicU64,
    poisoned: AtomicBool,
    is_batch: AtomicBool,
    pointer: AtomicPtr<Loop>,
    /// The generation of the group; 0: there is none.
    group_generation: AtomicU32,
    /// The generation of the poller; 0: there is none. Read without the lock, which a forked child may find shut.
    poller_generation: AtomicU32,
    poller_epoch: AtomicU64,
    poller: Lock<Option<Arc<Waiter>>>,
}

const NOBODY: u64 = u64::MAX;

/// Gives up the loops of a thread when it ends, so that they are not lost for good.
struct GiveUp;

impl Drop for GiveUp {
    fn drop(&mut self) {
        let mine = thread::token();
        for entry in &ENTRIES {
            if entry.owner.load(Ordering::Acquire) == mine {
                annotate::happens_before(&raw const *entry as usize);
                entry.owner.store(NOBODY, Ordering::Release);
            }
        }
    }
}

thread_local! {
    static AT_THREAD_END: GiveUp = const { GiveUp };
}

/// The calling thread owns a loop from now on.
fn own(entry: &Entry) {
    // Made on first use; its drop runs when the thread ends.
    AT_THREAD_END.with(|_| {});
    entry.owner.store(thread::token(), Ordering::Release);
}

static ENTRIES: [Entry; TAGS] = [const {
    Entry {
        owner: AtomicU64::new(0),
        generation: AtomicU32::new(0),
        epoch: AtomicU64::new(0),
        poisoned: AtomicBool::new(false),
        is_batch: AtomicBool::new(false),
        pointer: AtomicPtr::new(null_mut()),
        group_generation: AtomicU32::new(0),
        poller_generation: AtomicU32::new(0),
        poller_epoch: AtomicU64::new(0),
        poller: Lock::new(None),
    }
}; TAGS];

static LIVE_LOOPS: AtomicU64 = AtomicU64::new(0);
static LIVE_POLLERS: AtomicU64 = AtomicU64::new(0);

/// How many loops and pollers are live.
pub(crate) fn count() -> (u64, u64) {
    (LIVE_LOOPS.load(Ordering::Relaxed), LIVE_POLLERS.load(Ordering::Relaxed))
}

#[inline(always)]
fn entry_of(id: Id) -> Result<&'static Entry> {
    if id.operation() != 0 || id == Id::NONE {
        return Err(Error::STALE);
    }
    Ok(&ENTRIES[id.tag() as usize])
}

impl Entry {
    /// The loop, if the calling thread may use it.
    #[inline(always)]
    fn get(&self) -> Result<&Loop> {
        if self.owner.load(Ordering::Acquire) != thread::token() {
            return Err(self.why_not());
        }
        if self.poisoned.load(Ordering::Relaxed) {
            return Err(Error::PANIC);
        }
        let pointer = self.pointer.load(Ordering::Relaxed);
        // SAFETY: only the owner frees it, and that is the calling thread, so that it is live for as long as the caller
        // keeps from `tg_loop_free`, which puts itself off while a run is on this stack.
        unsafe { pointer.as_ref() }.ok_or(Error::STALE)
    }

    #[cold]
    fn why_not(&self) -> Error {
        if self.generation.load(Ordering::Acquire) == 0 {
            return Error::STALE;
        }
        if self.epoch.load(Ordering::Relaxed) != fork::epoch() { Error::FORKED } else { Error::WRONG_THREAD }
    }
}

/// The loop of that id.
///
/// # Errors
/// [`Error::STALE`], [`Error::KIND`] for the id of a handle or poller, [`Error::WRONG_THREAD`], [`Error::PANIC`];
/// [`Error::FORKED`] comes from the loop itself.
#[inline(never)]
pub(crate) fn find_loop(raw: u64) -> Result<&'static Loop> {
    let id = Id::from_raw(raw);
    let entry = entry_of(id)?;
    if id.index() != OWNER_INDEX {
        return Err(not_a_loop(id, entry));
    }
    if entry.generation.load(Ordering::Acquire) != id.generation() {
        return Err(if is_poller(id) || is_group(id) { Error::KIND } else { Error::STALE });
    }
    entry.get()
}

#[cold]
fn not_a_loop(id: Id, entry: &'static Entry) -> Error {
    match entry.get() {
        Ok(found) => match found.event_loop.is_open(id) {
            Ok(true) => Error::KIND,
            Ok(false) => Error::STALE,
            Err(error) => error,
        },
        Err(error) => error,
    }
}

/// The loop that a handle belongs to, and the handle as the engine knows it. (Not inlined: nearly every function begins with
/// it, and few are in a hurry.)
///
/// # Errors
/// [`Error::STALE`], [`Error::WRONG_THREAD`], [`Error::PANIC`]; the rest comes from the loop itself.
#[inline(never)]
pub(crate) fn find_handle(raw: u64) -> Result<(&'static Loop, Id)> {
    find_handle_inline(raw)
}

/// The same for what is called once a request or more often.
#[inline(always)]
pub(crate) fn find_handle_inline(raw: u64) -> Result<(&'static Loop, Id)> {
    let id = Id::from_raw(raw);
    let entry = entry_of(id)?;
    if id.index() == OWNER_INDEX && (is_poller(id) || is_group(id)) {
        return Err(Error::KIND);
    }
    Ok((entry.get()?, id))
}

/// Whether the id is that of a live loop of batch records; from any thread.
///
/// # Errors
/// [`Error::STALE`].
pub(crate) fn is_batch(raw: u64) -> Result<bool> {
    let id = Id::from_raw(raw);
    let entry = entry_of(id)?;
    if id.index() == OWNER_INDEX && entry.generation.load(Ordering::Acquire) != id.generation() {
        return Err(Error::STALE);
    }
    Ok(entry.is_batch.load(Ordering::Relaxed))
}

/// What the engine cannot know of an id that a thread posts to: [`Error::PANIC`], and [`Error::KIND`] for a poller or an
/// open handle.
#[inline]
pub(crate) fn check_from_any_thread(raw: u64) -> Result<()> {
    let id = Id::from_raw(raw);
    let entry = entry_of(id)?;
    if id.index() != OWNER_INDEX {
        // Only the loop's own thread may look whether it is an open handle.
        return Err(match not_a_loop(id, entry) {
            Error::WRONG_THREAD => Error::STALE,
            error => error,
        });
    }
    if entry.generation.load(Ordering::Acquire) == id.generation() {
        return if entry.poisoned.load(Ordering::Relaxed) { Err(Error::PANIC) } else { Ok(()) };
    }
    if is_poller(id) || is_group(id) { Err(Error::KIND) } else { Ok(()) }
}

/// Makes the loop that an id belongs to refuse further work.
pub(crate) fn poison(raw: u64) {
    let id = Id::from_raw(raw);
    let Ok(entry) = entry_of(id) else { return };
    let live = entry.generation.load(Ordering::Acquire);
    // A handle's generation is at least that of its loop; an older id is nobody's.
    if live == 0 || id.generation() < live || (id.index() == OWNER_INDEX && id.generation() != live) {
        return;
    }
    entry.poisoned.store(true, Ordering::Relaxed);
    if entry.owner.load(Ordering::Acquire) == thread::token() {
        // SAFETY: as in `Entry::get`: the calling thread owns the loop.
        if let Some(found) = unsafe { entry.pointer.load(Ordering::Relaxed).as_ref() } {
            // Ends a run that is going on.
            found.event_loop.poison();
        }
    }
}

/// How many handles are open in a loop that is running on this thread, whatever has become of it.
pub(crate) fn open_handles(raw: u64) -> usize {
    let Ok(entry) = entry_of(Id::from_raw(raw)) else { return 0 };
    // SAFETY: as in `Entry::get`: `remove_loop` has just found that the calling thread owns it.
    let found = unsafe { entry.pointer.load(Ordering::Relaxed).as_ref() };
    found.map_or(0, |found| found.event_loop.open_handles())
}

/// Puts a new loop under its id, owned by the calling thread.
pub(crate) fn add_loop(event_loop: CLoop, of_group: bool) -> u64 {
    let id = event_loop.id();
    let entry = &ENTRIES[id.tag() as usize];
    annotate::atomic_memory(&raw const *entry as usize, size_of::<Entry>());
    entry.is_batch.store(event_loop.sink().batch().is_some(), Ordering::Relaxed);
    entry.poisoned.store(false, Ordering::Relaxed);
    entry.epoch.store(fork::epoch(), Ordering::Relaxed);
    let made = Box::new(Loop { event_loop, free_asked: Cell::new(false), of_group });
    entry.pointer.store(Box::into_raw(made), Ordering::Relaxed);
    entry.generation.store(id.generation(), Ordering::Release);
    own(entry);
    LIVE_LOOPS.fetch_add(1, Ordering::Relaxed);
    id.raw()
}

/// What freeing a loop found.
pub(crate) enum Removed {
    /// It is out of the registry and the caller's.
    Now(Box<Loop>),
    /// It is running: it ends at the end of the turn, and its run frees it.
    Later,
}

/// Takes a loop out. A forked child may take out what it inherited from any thread, and a poisoned loop can be taken too.
///
/// # Errors
/// [`Error::STALE`], [`Error::KIND`], [`Error::WRONG_THREAD`].
pub(crate) fn remove_loop(raw: u64) -> Result<Removed> {
    let id = Id::from_raw(raw);
    let entry = entry_of(id)?;
    let (generation, forked) = (entry.generation.load(Ordering::Acquire), is_forked(entry));
    if id.index() != OWNER_INDEX || generation != id.generation() {
        return Err(find_loop(raw).err().unwrap_or(Error::STALE));
    }
    if entry.owner.load(Ordering::Acquire) != thread::token() && !forked {
        return Err(Error::WRONG_THREAD);
    }
    let pointer = entry.pointer.load(Ordering::Relaxed);
    // SAFETY: the generation says that it is live, and the calling thread owns it.
    let found = unsafe { &*pointer };
    if found.event_loop.is_running() {
        found.free_asked.set(true);
        return Ok(Removed::Later);
    }
    entry.generation.store(0, Ordering::Release);
    entry.owner.store(0, Ordering::Release);
    entry.pointer.store(null_mut(), Ordering::Relaxed);
    LIVE_LOOPS.fetch_sub(1, Ordering::Relaxed);
    // SAFETY: made by Box::into_raw in `add_loop`, and taken out of the entry only here, once.
    Ok(Removed::Now(unsafe { Box::from_raw(pointer) }))
}

fn is_forked(entry: &Entry) -> bool {
    entry.epoch.load(Ordering::Relaxed) != fork::epoch()
}

/// In a forked child: the loop belongs to the calling thread, whatever thread of the parent owned it.
///
/// # Errors
/// [`Error::STALE`], [`Error::KIND`], [`Error::INVALID`] in the process that made it.
pub(crate) fn inherit_loop(raw: u64) -> Result<&'static Loop> {
    let id = Id::from_raw(raw);
    let entry = entry_of(id)?;
    if id.index() != OWNER_INDEX || entry.generation.load(Ordering::Acquire) != id.generation() {
        return Err(find_loop(raw).err().unwrap_or(Error::STALE));
    }
    if is_forked(entry) {
        own(entry);
    }
    entry.get()
}

/// The inherited loop was rebuilt for this process.
pub(crate) fn reopened(raw: u64) {
    if let Ok(entry) = entry_of(Id::from_raw(raw)) {
        entry.epoch.store(fork::epoch(), Ordering::Relaxed);
    }
}

/// What lives as long as its group cannot be freed or given up by itself. Any other mistake is for the caller to find.
///
/// # Errors
/// [`Error::BUSY`].
pub(crate) fn check_not_of_group(raw: u64) -> Result<()> {
    match find_loop(raw) {
        Ok(found) if found.of_group => Err(Error::BUSY.because("the loop is a group's")),
        _ => Ok(()),
    }
}

/// The calling thread gives the loop up.
///
/// # Errors
/// As [`find_loop`]; [`Error::BUSY`] while it runs.
pub(crate) fn detach(raw: u64) -> Result<()> {
    let found = find_loop(raw)?;
    let entry = entry_of(Id::from_raw(raw))?;
    if is_forked(entry) {
        return Err(Error::FORKED);
    }
    if found.event_loop.is_running() {
        return Err(Error::BUSY.because("the loop is running"));
    }
    check_not_of_group(raw)?;
    annotate::happens_before(&raw const *entry as usize);
    entry.owner.store(NOBODY, Ordering::Release);
    Ok(())
}

/// The calling thread takes over a loop that was given up.
///
/// # Errors
/// [`Error::STALE`], [`Error::KIND`], [`Error::WRONG_THREAD`] when a thread owns it, [`Error::FORKED`].
pub(crate) fn attach(raw: u64) -> Result<()> {
    let id = Id::from_raw(raw);
    let entry = entry_of(id)?;
    if id.index() != OWNER_INDEX || entry.generation.load(Ordering::Acquire) != id.generation() {
        return Err(find_loop(raw).err().unwrap_or(Error::STALE));
    }
    if is_forked(entry) {
        return Err(Error::FORKED);
    }
    let taken = entry.owner.compare_exchange(NOBODY, thread::token(), Ordering::AcqRel, Ordering::Relaxed);
    taken.map_err(|_| Error::WRONG_THREAD.because("a thread owns the loop"))?;
    if entry.generation.load(Ordering::Acquire) != id.generation() {
        // Another thread has taken it over and freed it, and the tag is another loop's that was given up, too.
        entry.owner.store(NOBODY, Ordering::Release);
        return Err(Error::STALE);
    }
    own(entry);
    annotate::happens_after(&raw const *entry as usize);
    Ok(())
}

fn is_poller(id: Id) -> bool {
    let live = ENTRIES[id.tag() as usize].poller_generation.load(Ordering::Acquire);
    live != 0 && id == Id::new(id.tag(), live, OWNER_INDEX)
}

fn is_group(id: Id) -> bool {
    let live = ENTRIES[id.tag() as usize].group_generation.load(Ordering::Acquire);
    live != 0 && id == Id::new(id.tag(), live, OWNER_INDEX)
}

/// From now on the id is that of a group; with 0 it is none any more.
pub(crate) fn set_group(id: Id, generation: u32) {
    ENTRIES[id.tag() as usize].group_generation.store(generation, Ordering::Release);
}

/// Whether an id is that of a group, of this process or inherited. Without a lock, which a forked child may find shut.
///
/// # Errors
/// [`Error::STALE`], [`Error::KIND`] for a live loop or poller, or a handle of the calling thread.
pub(crate) fn check_group(id: Id) -> Result<()> {
    let entry = entry_of(id)?;
    match is_group(id) {
        true => Ok(()),
        false if is_poller(id) => Err(Error::KIND),
        false => Err(not_a_poller(id, entry)),
    }
}

/// Puts a new poller under its id.
pub(crate) fn add_poller(id: Id, waiter: Arc<Waiter>) {
    let entry = &ENTRIES[id.tag() as usize];
    annotate::atomic_memory(&raw const *entry as usize, size_of::<Entry>());
    if entry.poller_epoch.load(Ordering::Acquire) != fork::epoch() {
        // A thread of the parent may have left it shut; none of this process has taken it (see `find_poller`).
        entry.poller.recover_after_fork(|| None);
    }
    *entry.poller.lock() = Some(waiter);
    entry.poller_epoch.store(fork::epoch(), Ordering::Release);
    entry.poller_generation.store(id.generation(), Ordering::Release);
    LIVE_POLLERS.fetch_add(1, Ordering::Relaxed);
}

/// The poller of that id; it stays valid for the caller when another thread frees it.
///
/// # Errors
/// [`Error::STALE`], [`Error::KIND`] for a live loop or handle of the calling thread, [`Error::FORKED`].
pub(crate) fn find_poller(raw: u64) -> Result<Arc<Waiter>> {
    let id = Id::from_raw(raw);
    let entry = entry_of(id)?;
    if !is_poller(id) {
        return Err(not_a_poller(id, entry));
    }
    if entry.poller_epoch.load(Ordering::Acquire) != fork::epoch() {
        return Err(Error::FORKED);
    }
    let poller = entry.poller.lock();
    // Looked at again: it may have been freed, and the tag given to another one.
    poller.as_ref().filter(|_| is_poller(id)).cloned().ok_or(Error::STALE)
}

#[cold]
fn not_a_poller(id: Id, entry: &'static Entry) -> Error {
    if id.index() == OWNER_INDEX {
        let live = entry.generation.load(Ordering::Acquire) == id.generation();
        return if live || is_group(id) { Error::KIND } else { Error::STALE };
    }
    let open = entry.get().and_then(|found| found.event_loop.is_open(id));
    if open == Ok(true) { Error::KIND } else { Error::STALE }
}

/// Takes a poller out, in a forked child too; whether it was inherited. Nothing comes out when a thread that exists only in
/// the parent was changing it at the fork.
///
/// # Errors
/// [`Error::STALE`], [`Error::KIND`].
pub(crate) fn remove_poller(raw: u64) -> Result<(Option<Arc<Waiter>>, bool)> {
    let id = Id::from_raw(raw);
    let entry = entry_of(id)?;
    if !is_poller(id) {
        return Err(not_a_poller(id, entry));
    }
    let forked = entry.poller_epoch.load(Ordering::Acquire) != fork::epoch();
    if forked {
        entry.poller.recover_after_fork(|| None);
    }
    let mut poller = entry.poller.lock();
    if !is_poller(id) {
        return Err(Error::STALE);
    }
    entry.poller_generation.store(0, Ordering::Release);
    LIVE_POLLERS.fetch_sub(1, Ordering::Relaxed);
    Ok((poller.take(), forked))
}
