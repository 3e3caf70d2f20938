//! [`Kept`]: a map of limited size.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

/// Most auth requests, registrations, mails and tokens that are kept, of each
/// kind: an emulator that serves a million sign-ins must not hold them all.
pub(crate) const LIMIT: usize = 10_000;

/// A map that remembers the order of insertion and forgets the oldest entries.
pub(crate) struct Kept<T> {
    map: HashMap<Uuid, T>,
    order: VecDeque<Uuid>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            map: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T> Kept<T> {
    /// Adds an entry. Returns the oldest one if it had to be removed.
    pub(crate) fn insert(&mut self, id: Uuid, value: T) -> Option<T> {
        self.map.insert(id, value);
        self.order.push_back(id);
        if self.order.len() > LIMIT {
            let oldest = self.order.pop_front()?;
            return self.map.remove(&oldest);
        }
        None
    }

    pub(crate) fn get(&self, id: &Uuid) -> Option<&T> {
        self.map.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &Uuid) -> Option<&mut T> {
        self.map.get_mut(id)
    }

    /// All entries, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.order.iter().filter_map(|id| self.map.get(id))
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.map.values_mut()
    }
}
