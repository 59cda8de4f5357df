//! A table of slots whose ids carry generations: looking up a stale id finds nothing, for ever.

use super::error::{Error, Result};
use super::id::{Id, MAX_GENERATION, OWNER_INDEX, Owner};

/// Slots of one loop. Every id it gives out carries the table's tag and operation.
pub struct Table<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    /// The tag and the operation.
    owner: Owner,
    /// The generation of a slot that was never used: above everything the tag's earlier owners gave out.
    floor: u32,
    ceiling: u32,
    len: usize,
}

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Table<T> {
    /// An empty table. Generations begin at `floor`.
    pub fn new(tag: u16, floor: u32, operation: u8) -> Table<T> {
        let owner = Owner::new(tag, operation);
        Table { slots: Vec::new(), free: Vec::new(), owner, floor, ceiling: floor, len: 0 }
    }

    /// How many slots are in use.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no slot is in use.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The largest generation that was given out, or the floor.
    pub fn ceiling(&self) -> u32 {
        self.ceiling
    }

    /// Puts a value into a slot and names it.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`]; [`Error::LIMIT`] when every index is in use or used up.
    pub fn insert(&mut self, value: T) -> Result<Id> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => self.grow()?,
        };
        let slot = &mut self.slots[index as usize];
        slot.value = Some(value);
        self.ceiling = self.ceiling.max(slot.generation);
        self.len += 1;
        Ok(self.id(index, slot_generation(&self.slots, index)))
    }

    fn grow(&mut self) -> Result<u32> {
        let index = self.slots.len() as u32;
        if index >= OWNER_INDEX || self.floor > MAX_GENERATION {
            return Err(Error::LIMIT);
        }
        self.slots.try_reserve(1)?;
        // Room in the free list is taken now, so that giving a slot back can never fail.
        let missing = self.slots.len() + 1 - self.free.len();
        self.free.try_reserve(missing)?;
        self.slots.push(Slot { generation: self.floor, value: None });
        Ok(index)
    }

    fn id(&self, index: u32, generation: u32) -> Id {
        self.owner.slot(generation, index)
    }

    #[inline]
    fn slot(&self, id: Id) -> Option<&Slot<T>> {
        let slot = self.slots.get(id.index() as usize)?;
        id.is_slot(self.owner, slot.generation).then_some(slot)
    }

    /// The value, unless the id is stale or foreign.
    #[inline]
    pub fn get(&self, id: Id) -> Option<&T> {
        self.slot(id)?.value.as_ref()
    }

    /// The value, unless the id is stale or foreign.
    #[inline(always)]
    pub fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        let owner = self.owner;
        let slot = self.slots.get_mut(id.index() as usize)?;
        if id.is_slot(owner, slot.generation) { slot.value.as_mut() } else { None }
    }

    /// Takes the value out; the id is stale from now on. A slot whose generations are used up is not used again.
    pub fn remove(&mut self, id: Id) -> Option<T> {
        self.slot(id)?;
        let slot = &mut self.slots[id.index() as usize];
        let value = slot.value.take()?;
        self.len -= 1;
        if slot.generation < MAX_GENERATION {
            slot.generation += 1;
            self.free.push(id.index());
        } else {
            slot.generation = 0;
        }
        Some(value)
    }

    /// Everything in use, in index order.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            slot.value.as_ref().map(|value| (self.id(index as u32, slot.generation), value))
        })
    }

    /// All that are in use, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| slot.value.as_mut())
    }

    /// The first one in use at this index or behind it.
    pub fn first_from(&self, index: u32) -> Option<Id> {
        let behind = self.slots.iter().enumerate().skip(index as usize);
        behind
            .filter(|(_, slot)| slot.value.is_some())
            .map(|(index, slot)| self.id(index as u32, slot.generation))
            .next()
    }
}

fn slot_generation<T>(slots: &[Slot<T>], index: u32) -> u32 {
    slots[index as usize].generation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h01_stale_id_finds_nothing_for_ever() {
        // mutation: `remove` leaves the generation as it is.
        let mut table = Table::new(3, 1, 0);
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
        let mut table = Table::new(3, 1, 0);
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
        let mut table = Table::new(0, MAX_GENERATION - 1, 0);
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
        let mut table = Table::new(0, MAX_GENERATION + 1, 0);
        assert_eq!(table.insert(()), Err(Error::LIMIT));
    }

    #[test]
    fn the_ceiling_is_the_largest_generation_given_out() {
        let mut table = Table::new(0, 10, 0);
        assert_eq!(table.ceiling(), 10);
        for _ in 0..5 {
            let id = table.insert(()).unwrap();
            table.remove(id);
        }
        assert_eq!(table.ceiling(), 14);
    }
}
