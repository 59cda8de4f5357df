//! One descriptor and its watchers.

use crate::base::error::Result;
use crate::base::id::Id;
use crate::base::interest::Mode;
use crate::sys::Fd;
use crate::sys::poller::Registration;

pub(super) struct Descriptor {
    pub(super) fd: Fd,
    pub(super) mode: Mode,
    pub(super) kernel: Kernel,
    /// epoll refuses it; it is ready whenever anyone wants it to be.
    pub(super) regular: bool,
    /// A regular file in a mode other than level has something to report (since it was opened or its interest set).
    pub(super) fresh: bool,
    pub(super) without_urgent: bool,
    pub(super) dirty: bool,
    /// The number does not mean this descriptor any more.
    pub(super) dead: bool,
    /// In opening order. Nearly always there is one, and then it is here, in the same cache line.
    pub(super) first: Watcher,
    pub(super) others: Option<Box<Others>>,
}

/// Watchers after the first.
#[derive(Default)]
pub(super) struct Others(Vec<Watcher>);

#[derive(Clone, Copy)]
pub(super) struct Watcher {
    /// [`Id::NONE`] when it has left.
    pub(super) id: Id,
    pub(super) interest: u32,
}

/// What the kernel holds for a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kernel {
    Absent,
    Present(u32),
    /// Oneshot that has reported: registered, silent, to be modified.
    Spent,
}

impl Descriptor {
    pub(super) fn union(&self) -> u32 {
        let others = self.others.iter().flat_map(|others| &others.0);
        others.fold(self.first.interest, |all, watcher| all | watcher.interest)
    }

    pub(super) fn watchers_mut(&mut self) -> impl Iterator<Item = &mut Watcher> {
        let others = self.others.iter_mut().flat_map(|others| &mut others.0);
        std::iter::once(&mut self.first).chain(others).filter(|watcher| watcher.id != Id::NONE)
    }

    pub(super) fn reserve(&mut self) -> Result<()> {
        Ok(self.others.get_or_insert_default().0.try_reserve(1)?)
    }

    pub(super) fn push(&mut self, watcher: Watcher) -> Result<()> {
        self.reserve()?;
        self.others.get_or_insert_default().0.push(watcher);
        Ok(())
    }

    /// Takes a watcher out; whether it was the last one.
    pub(super) fn leave(&mut self, watcher: Id) -> bool {
        let others = self.others.as_mut().map(|others| &mut others.0);
        if self.first.id != watcher {
            others.into_iter().for_each(|others| others.retain(|other| other.id != watcher));
            return self.first.id == Id::NONE;
        }
        self.first = match others {
            Some(others) if !others.is_empty() => others.remove(0),
            _ => Watcher { id: Id::NONE, interest: 0 },
        };
        self.first.id == Id::NONE
    }

    pub(super) fn registration(&self, id: Id, interest: u32) -> Registration {
        Registration { key: id.raw(), interest, mode: self.mode, without_urgent: self.without_urgent }
    }

    /// Nothing out of the ordinary: what nearly every event finds.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        !self.dead && self.others.is_none() && self.mode != Mode::Oneshot
    }

    pub(super) fn reports_by_itself(&self) -> bool {
        self.regular && self.union() != 0 && (self.mode == Mode::Level || self.fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::Descriptor;

    #[test]
    fn a_descriptor_and_its_generation_fit_into_a_cache_line() {
        assert!(size_of::<Descriptor>() <= 56, "{}", size_of::<Descriptor>());
    }
}
