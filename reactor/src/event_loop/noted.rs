//! Handles that the loop is to come by at. Noting one cannot fail, and costs no memory of those that are not noted.

use super::Sink;
use super::core::Core;
use crate::base::id::Id;

/// See the module. What is noted of a handle is to be seen from itself as well: ids of closed ones may be among these.
#[derive(Default)]
pub(super) struct Noted {
    pub(super) ids: Vec<Id>,
    /// There was no memory to note another one: besides these, all handles are to be looked at.
    missed: bool,
}

impl Noted {
    #[inline(always)]
    pub(super) fn push(&mut self, id: Id) {
        if self.ids.len() < self.ids.capacity() {
            self.ids.push(id);
        } else {
            self.push_growing(id);
        }
    }

    #[cold]
    fn push_growing(&mut self, id: Id) {
        match self.ids.try_reserve(1) {
            Ok(()) => self.ids.push(id),
            Err(_) => self.missed = true,
        }
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty() && !self.missed
    }

    pub(super) fn clear(&mut self) {
        self.ids.clear();
        self.missed = false;
    }

    /// Whether all handles are to be looked at; not again after this.
    #[inline(always)]
    pub(super) fn take_missed(&mut self) -> bool {
        std::mem::take(&mut self.missed)
    }

    /// The one at a place, which is moved on. Behind the last one it goes through all handles, if that is needed: `behind`
    /// says which is the first at an index or behind it.
    pub(super) fn next(&self, place: &mut usize, behind: impl FnOnce(u32) -> Option<Id>) -> Option<Id> {
        if let Some(id) = self.ids.get(*place) {
            *place += 1;
            return Some(*id);
        }
        if !self.missed {
            return None;
        }
        let id = behind((*place - self.ids.len()) as u32)?;
        *place = self.ids.len() + id.index() as usize + 1;
        Some(id)
    }
}

impl<S: Sink> Core<S> {
    /// Comes by at every handle.
    #[cold]
    pub(super) fn visit_all(&mut self, mut visit: impl FnMut(&mut Self, Id)) {
        let mut next = self.table.first_from(0);
        while let Some(id) = next {
            visit(self, id);
            next = self.table.first_from(id.index() + 1);
        }
    }
}
