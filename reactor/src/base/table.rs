//! A table of slots whose ids carry generations: looking up a stale id finds nothing, for ever.

use super::error::{Error, Result};
use super::id::{Id, MAX_GENERATION, OWNER_INDEX, Owner};

/// Slots of one loop. Every id it gives out carries the table's tag and operation.
///
/// A value may leave a rest behind, which keeps the slot until it is taken: so nothing has to be put elsewhere, where room
/// might be missing.
pub struct Table<T, R = ()> {
    slots: Vec<Slot<T, R>>,
    /// Slots that can be used again, linked.
    free: u32,
    /// Slots whose rests can be taken, linked in the order in which they were left.
    first_rest: u32,
    last_rest: u32,
    /// The tag and the operation.
    owner: Owner,
    /// The generation of a slot that was never used: above everything the tag's earlier owners gave out.
    floor: u32,
    ceiling: u32,
    len: usize,
}

struct Slot<T, R> {
    generation: u32,
    /// The marks of the value, or the next slot in the list in which this one is.
    word: u32,
    content: Content<T, R>,
}

enum Content<T, R> {
    Empty,
    Value(T),
    Rest(R),
}

/// The end of a list. No slot has that index.
const NONE: u32 = u32::MAX;

/// So many slots are added at least; and beyond, so much of what there is: a large table grows in place, and little of it
/// is unused.
const LEAST_GROWTH: usize = 16;
const GROWTH_DIVISOR: usize = 8;

impl<T, R> Table<T, R> {
    /// How many bytes one of its slots takes.
    pub const SLOT_SIZE: usize = size_of::<Slot<T, R>>();

    /// An empty table. Generations begin at `floor`.
    pub fn new(tag: u16, floor: u32, operation: u8) -> Table<T, R> {
        let owner = Owner::new(tag, operation);
        Table { slots: Vec::new(), free: NONE, first_rest: NONE, last_rest: NONE, owner, floor, ceiling: floor, len: 0 }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The largest generation that was given out, or the floor.
    pub fn ceiling(&self) -> u32 {
        self.ceiling
    }

    /// Puts a value into a slot and names it; its marks are 0.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`]; [`Error::LIMIT`] when every index is in use or used up.
    pub fn insert(&mut self, value: T) -> Result<Id> {
        let index = if self.free == NONE { self.grow()? } else { self.free };
        let slot = &mut self.slots[index as usize];
        self.free = std::mem::take(&mut slot.word);
        slot.content = Content::Value(value);
        self.ceiling = self.ceiling.max(slot.generation);
        self.len += 1;
        Ok(self.owner.slot(slot.generation, index))
    }

    /// One more slot. The list of free ones is empty, and its end is what the slot links to.
    fn grow(&mut self) -> Result<u32> {
        let index = self.slots.len() as u32;
        if index >= OWNER_INDEX || self.floor > MAX_GENERATION {
            return Err(Error::LIMIT);
        }
        if self.slots.len() == self.slots.capacity() {
            self.slots.try_reserve_exact((self.slots.len() / GROWTH_DIVISOR).max(LEAST_GROWTH))?;
        }
        self.slots.push(Slot { generation: self.floor, word: NONE, content: Content::Empty });
        Ok(index)
    }

    fn id(&self, index: usize) -> Id {
        self.owner.slot(self.slots[index].generation, index as u32)
    }

    /// The value, unless the id is stale or foreign.
    #[inline]
    pub fn get(&self, id: Id) -> Option<&T> {
        self.slot(id)?.value()
    }

    #[inline]
    fn slot(&self, id: Id) -> Option<&Slot<T, R>> {
        let slot = self.slots.get(id.index() as usize)?;
        id.is_slot(self.owner, slot.generation).then_some(slot)
    }

    /// The value, unless the id is stale or foreign.
    #[inline(always)]
    pub fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        self.slot_mut(id)?.value_mut()
    }

    #[inline(always)]
    fn slot_mut(&mut self, id: Id) -> Option<&mut Slot<T, R>> {
        let owner = self.owner;
        let slot = self.slots.get_mut(id.index() as usize)?;
        id.is_slot(owner, slot.generation).then_some(slot)
    }

    /// What was noted beside the value: bits that would otherwise be padding.
    pub fn marks(&self, id: Id) -> Option<u32> {
        let slot = self.slot(id)?;
        slot.value().map(|_| slot.word)
    }

    /// Notes something else beside the value.
    pub fn set_marks(&mut self, id: Id, marks: u32) {
        if let Some(slot) = self.slot_mut(id).filter(|slot| slot.value().is_some()) {
            slot.word = marks;
        }
    }

    /// Takes the value out; the id is stale from now on. A slot whose generations are used up is not used again.
    pub fn remove(&mut self, id: Id) -> Option<T> {
        self.get(id)?;
        let index = id.index();
        let content = std::mem::replace(&mut self.slots[index as usize].content, Content::Empty);
        self.len -= 1;
        self.vacate(index);
        match content {
            Content::Value(value) => Some(value),
            Content::Empty | Content::Rest(_) => None,
        }
    }

    fn vacate(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        if slot.generation < MAX_GENERATION {
            slot.generation += 1;
            slot.word = self.free;
            self.free = index;
        } else {
            slot.generation = 0;
        }
    }

    /// Takes the value apart; the id is stale from now on, but the rest of the value keeps the slot.
    pub fn leave_rest<O>(&mut self, id: Id, part: impl FnOnce(T) -> (O, R)) -> Option<O> {
        let slot = self.slot_mut(id)?;
        match std::mem::replace(&mut slot.content, Content::Empty) {
            Content::Value(value) => {
                let (other, rest) = part(value);
                slot.content = Content::Rest(rest);
                self.len -= 1;
                Some(other)
            }
            content => {
                slot.content = content;
                None
            }
        }
    }

    /// The rest that was left by `id` is next to be taken, behind those before it. To be called once.
    pub fn offer_rest(&mut self, id: Id) {
        let index = id.index();
        let Some(slot) = self.slot_mut(id).filter(|slot| matches!(slot.content, Content::Rest(_))) else { return };
        slot.word = NONE;
        match self.last_rest {
            NONE => self.first_rest = index,
            last => self.slots[last as usize].word = index,
        }
        self.last_rest = index;
    }

    /// Whether there is a rest to be taken.
    #[inline(always)]
    pub fn has_rest(&self) -> bool {
        self.first_rest != NONE
    }

    /// The next rest and the id that it had; its slot is free again.
    pub fn take_rest(&mut self) -> Option<(Id, R)> {
        let index = self.first_rest;
        let slot = self.slots.get_mut(index as usize)?;
        let content = std::mem::replace(&mut slot.content, Content::Empty);
        self.first_rest = slot.word;
        if self.first_rest == NONE {
            self.last_rest = NONE;
        }
        let id = self.id(index as usize);
        self.vacate(index);
        match content {
            Content::Rest(rest) => Some((id, rest)),
            Content::Empty | Content::Value(_) => None,
        }
    }

    /// All values, in index order.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        let values = self.slots.iter().enumerate().filter_map(|(index, slot)| slot.value().map(|value| (index, value)));
        values.map(|(index, value)| (self.id(index), value))
    }

    /// All values, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(Slot::value_mut)
    }

    /// The first value at this index or behind it.
    pub fn first_from(&self, index: u32) -> Option<Id> {
        let behind = self.slots.get(index as usize..)?;
        let at = behind.iter().position(|slot| slot.value().is_some())?;
        Some(self.id(index as usize + at))
    }
}

impl<T, R> Slot<T, R> {
    #[inline]
    fn value(&self) -> Option<&T> {
        match &self.content {
            Content::Value(value) => Some(value),
            Content::Empty | Content::Rest(_) => None,
        }
    }

    #[inline(always)]
    fn value_mut(&mut self) -> Option<&mut T> {
        match &mut self.content {
            Content::Value(value) => Some(value),
            Content::Empty | Content::Rest(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h01_stale_id_finds_nothing_for_ever() {
        // mutation: `remove` leaves the generation as it is.
        let mut table = Table::<_>::new(3, 1, 0);
        let first = table.insert("a").unwrap();
        assert_eq!(table.remove(first), Some("a"));
        for _ in 0..1000 {
            let next = table.insert("b").unwrap();
            assert_eq!(table.get(first), None);
            assert_eq!(table.remove(first), None);
            table.remove(next);
        }
    }

    #[test]
    fn foreign_ids_find_nothing() {
        let mut table = Table::<_>::new(3, 1, 0);
        let mine = table.insert(1).unwrap();
        let other_tag = Id::new(4, mine.generation(), mine.index());
        assert_eq!(table.get(other_tag), None);
        assert_eq!(table.get_mut(other_tag), None);
        assert_eq!(table.get(mine.with_operation(1)), None);
        assert_eq!(table.get_mut(mine.with_operation(1)), None);
        assert_eq!(table.get(Id::NONE), None);
        assert_eq!(table.get(Id::from_raw(u64::MAX)), None);
    }

    #[test]
    fn a_used_up_slot_is_retired() {
        let mut table = Table::<_>::new(0, MAX_GENERATION - 1, 0);
        let first = table.insert(()).unwrap();
        table.remove(first);
        let last = table.insert(()).unwrap();
        assert_eq!((last.index(), last.generation()), (0, MAX_GENERATION));
        table.remove(last);
        let next = table.insert(()).unwrap();
        assert_eq!(next.index(), 1, "index 0 has no generation left");
        assert_eq!(table.get(last), None);
    }

    #[test]
    fn a_used_up_tag_gives_no_ids() {
        let mut table = Table::<_>::new(0, MAX_GENERATION + 1, 0);
        assert_eq!(table.insert(()), Err(Error::LIMIT));
    }

    #[test]
    fn the_ceiling_is_the_largest_generation_given_out() {
        let mut table = Table::<_>::new(0, 10, 0);
        assert_eq!(table.ceiling(), 10);
        for _ in 0..5 {
            let id = table.insert(()).unwrap();
            table.remove(id);
        }
        assert_eq!(table.ceiling(), 14);
    }

    #[test]
    fn h01_a_value_that_leaves_a_rest_is_gone_and_its_slot_is_not_used_again_yet() {
        // mutation: leave_rest puts the slot into the list of free ones.
        let mut table: Table<(u8, &str), &str> = Table::new(0, 1, 0);
        let ids = ["a", "b", "c"].map(|name| table.insert((7, name)).unwrap());
        assert_eq!(table.leave_rest(ids[0], |value| value), Some(7));
        assert_eq!(table.leave_rest(ids[2], |value| value), Some(7));
        assert_eq!(table.get(ids[0]), None);
        assert_eq!(table.get_mut(ids[2]), None);
        assert_eq!(table.remove(ids[2]), None);
        assert_eq!(table.leave_rest(ids[0], |value| value), None);
        assert_eq!((table.len(), table.iter().count(), table.first_from(0)), (1, 1, Some(ids[1])));
        let next = table.insert((8, "d")).unwrap();
        assert_eq!(next.index(), 3);
        assert!(!table.has_rest(), "none was offered");
        table.offer_rest(ids[2]);
        table.offer_rest(ids[0]);
        assert_eq!(table.take_rest(), Some((ids[2], "c")));
        let reused = table.insert((9, "e")).unwrap();
        assert_eq!((reused.index(), reused.generation()), (2, ids[2].generation() + 1));
        assert_eq!(table.take_rest(), Some((ids[0], "a")));
        assert_eq!(table.take_rest(), None);
        assert!(!table.has_rest());
        assert_eq!(table.get(reused), Some(&(9, "e")));
    }

    #[test]
    fn slots_are_used_again_before_there_are_more() {
        // mutation: vacate does not link the slot to the free ones before it.
        let mut table: Table<u32, u32> = Table::new(0, 1, 0);
        for _ in 0..3 {
            let ids: Vec<Id> = (0..100).map(|value| table.insert(value).unwrap()).collect();
            assert!(ids.iter().all(|id| id.index() < 100));
            let (removed, left) = ids.split_at(50);
            removed.iter().for_each(|id| assert!(table.remove(*id).is_some()));
            for id in left {
                table.leave_rest(*id, |value| ((), value));
                table.offer_rest(*id);
            }
            assert_eq!(std::iter::from_fn(|| table.take_rest()).count(), 50);
        }
    }

    #[test]
    fn marks_go_with_the_value() {
        let mut table: Table<u8> = Table::new(0, 1, 0);
        let id = table.insert(1).unwrap();
        table.set_marks(id, 6);
        assert_eq!(table.marks(id), Some(6));
        table.remove(id);
        table.set_marks(id, 7);
        assert_eq!(table.marks(id), None);
        let next = table.insert(2).unwrap();
        assert_eq!((next.index(), table.marks(next)), (id.index(), Some(0)));
    }
}
