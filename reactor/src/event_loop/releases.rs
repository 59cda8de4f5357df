//! What is given back at the end of a turn, in the order in which it came to be: the users of closed handles, which lie in
//! the table of handles until then, and everything else, which lies here.

use super::Sink;
use super::core::Core;
use crate::base::error::Result;
use crate::base::id::Id;
use crate::base::out_queue::Buffer;
use std::collections::VecDeque;

/// What is to be given back at the end of the turn.
pub(super) enum Release<S: Sink> {
    Handle(Id, S::User),
    Post(S::Post),
    /// A buffer of the program's, and what became of it.
    Buffer(Box<dyn Buffer>, i32),
}

pub(super) struct Releases<S: Sink> {
    /// Each with how many handles are to be released before it, of all there ever were.
    others: VecDeque<(u64, Release<S>)>,
    /// How many handles have come to be released, and how many were.
    offered: u64,
    taken: u64,
}

impl<S: Sink> Default for Releases<S> {
    fn default() -> Self {
        Releases { others: VecDeque::new(), offered: 0, taken: 0 }
    }
}

impl<S: Sink> Releases<S> {
    /// Makes room for so many more besides handles.
    pub(super) fn reserve(&mut self, others: usize) -> Result<()> {
        Ok(self.others.try_reserve(others)?)
    }

    pub(super) fn push(&mut self, release: Release<S>) {
        self.others.push_back((self.offered, release));
    }
}

impl<S: Sink> Core<S> {
    /// The user of a closed handle is to be released.
    pub(super) fn release_handle(&mut self, id: Id) {
        self.table.offer_rest(id);
        self.releases.offered += 1;
    }

    #[inline(always)]
    pub(super) fn next_release(&mut self) -> Option<Release<S>> {
        if self.has_releases() { self.take_release() } else { None }
    }

    #[inline(always)]
    pub(super) fn has_releases(&self) -> bool {
        !self.releases.others.is_empty() || self.table.has_rest()
    }

    fn take_release(&mut self) -> Option<Release<S>> {
        let Releases { others, taken, .. } = &mut self.releases;
        if others.front().is_some_and(|(before, _)| before <= taken) {
            return others.pop_front().map(|(_, release)| release);
        }
        let (id, user) = self.table.take_rest()?;
        self.releases.taken += 1;
        Some(Release::Handle(id, user))
    }
}
