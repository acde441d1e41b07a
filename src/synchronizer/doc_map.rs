//! What is kept for each document, found by hash and iterated in order of arrival.
//!
//! Decides nothing. The order does not depend on the hash key, so the same inputs give the same effects whatever the key; a removal moves
//! the last document to the place of the removed one.

use std::hash::{BuildHasher, Hash};

use indexmap::{Equivalent, IndexMap};
use siphasher::sip::SipHasher13;

use crate::protocol::DocId;

/// Makes hashers with a secret key: document ids are chosen by peers.
#[derive(Debug, Clone, Copy, Default)]
struct Keyed(u64);

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, !self.0)
    }
}

/// A map from documents to boxed values: values do not move when the map grows.
#[derive(Debug)]
pub(super) struct DocMap<V>(IndexMap<DocId, Box<V>, Keyed>);

impl<V> DocMap<V> {
    pub(super) fn new(key: u64) -> Self {
        Self(IndexMap::with_hasher(Keyed(key)))
    }

    pub(super) fn get<Q: ?Sized + Hash + Equivalent<DocId>>(&self, doc: &Q) -> Option<&V> {
        self.0.get(doc).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, doc: &DocId) -> Option<&mut V> {
        self.0.get_mut(doc).map(Box::as_mut)
    }

    pub(super) fn contains_key(&self, doc: &DocId) -> bool {
        self.0.contains_key(doc)
    }

    pub(super) fn insert(&mut self, doc: DocId, value: V) {
        self.0.insert(doc, Box::new(value));
    }

    pub(super) fn remove(&mut self, doc: &DocId) -> Option<V> {
        self.0.swap_remove(doc).map(|value| *value)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &DocId> {
        self.0.keys()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&DocId, &V)> {
        self.0.iter().map(|(doc, value)| (doc, value.as_ref()))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.values_mut().map(Box::as_mut)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V> std::ops::Index<&DocId> for DocMap<V> {
    type Output = V;

    fn index(&self, doc: &DocId) -> &V {
        &self.0[doc]
    }
}
