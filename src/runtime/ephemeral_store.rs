//! Ephemeral state of no document, as loro-crdt's `EphemeralStore` keeps it.
//!
//! Decides as that class does, by the stamps alone: which value counts, when it has lapsed and what is told of it. One thing is
//! meant to differ: a second write within a millisecond wins over the first. Never reads a clock and calls nobody.

use loro::LoroValue;

use super::{
    EphemeralChange, EphemeralDecodeError,
    ephemeral_state::{Written, decode, next_stamp},
};
use crate::{collections::SortedMap, synchronizer::Timestamp};

/// Values by key, each with the stamp of its writer's clock.
#[derive(Debug, Default)]
pub struct EphemeralStore {
    entries: SortedMap<String, Entry>,
    timeout_ms: i64,
}

#[derive(Debug)]
struct Entry {
    /// `None` is a deletion others are to learn of.
    value: Option<LoroValue>,
    stamp: i64,
}

impl EphemeralStore {
    /// Makes an empty store whose entries, its own and others', lapse when their stamps are older than `timeout_ms`.
    #[must_use]
    pub fn new(timeout_ms: i64) -> Self {
        Self { timeout_ms, ..Self::default() }
    }

    /// Writes `key`, or deletes it. A deletion counts as one whenever something is remembered of the key.
    pub fn write(&mut self, key: &str, value: Option<LoroValue>, now: Timestamp) -> EphemeralChange {
        let known = self.entries.get(key);
        let mut change = EphemeralChange::default();
        change.note(key, known.is_some(), value.is_some());
        let stamp = next_stamp(known.map(|entry| entry.stamp), now);
        self.entries.insert(key.to_owned(), Entry { value, stamp });
        change
    }

    /// Takes another store's entries, all or none of them; per key the strictly newer stamp wins, and lapsed ones are left out.
    ///
    /// # Errors
    /// [`EphemeralDecodeError`] if the bytes are not a store's, or hold more than is accepted at once.
    pub fn apply(&mut self, bytes: &[u8], now: Timestamp) -> Result<EphemeralChange, EphemeralDecodeError> {
        let mut change = EphemeralChange::default();
        for (key, Written { value, stamp, .. }) in decode(bytes, now)? {
            let known = self.entries.get(key);
            if self.is_lapsed(stamp, now) || known.is_some_and(|known| known.stamp >= stamp) {
                continue;
            }
            change.note(key, known.is_some(), value.is_some());
            self.entries.insert(key.to_owned(), Entry { value, stamp });
        }
        Ok(change)
    }

    /// Forgets what has lapsed.
    pub fn remove_outdated(&mut self, now: Timestamp) -> EphemeralChange {
        let timeout_ms = self.timeout_ms;
        let mut change = EphemeralChange::default();
        self.entries.retain(|key, entry| {
            let lapsed = lapsed(entry.stamp, timeout_ms, now);
            if lapsed && entry.value.is_some() {
                change.removed.push(key.clone());
            }
            !lapsed
        });
        change
    }

    /// Encodes one entry. One that has lapsed gives no bytes, a key nothing is known of gives an empty store's.
    #[must_use]
    pub fn encode(&self, key: &str, now: Timestamp) -> Vec<u8> {
        match self.entries.get_key_value(key) {
            Some((_, entry)) if self.is_lapsed(entry.stamp, now) => Vec::new(),
            found => encode(found.into_iter()),
        }
    }

    /// Encodes all entries that have not lapsed, deletions included.
    #[must_use]
    pub fn encode_all(&self, now: Timestamp) -> Vec<u8> {
        encode(self.entries.iter().filter(|(_, entry)| !self.is_lapsed(entry.stamp, now)))
    }

    /// Returns the value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&LoroValue> {
        self.entries.get(key)?.value.as_ref()
    }

    /// Returns the values by key, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &LoroValue)> {
        self.entries.iter().filter_map(|(key, entry)| Some((key, entry.value.as_ref()?)))
    }

    fn is_lapsed(&self, stamp: i64, now: Timestamp) -> bool {
        lapsed(stamp, self.timeout_ms, now)
    }
}

fn lapsed(stamp: i64, timeout_ms: i64, now: Timestamp) -> bool {
    i64::try_from(now.0).unwrap_or(i64::MAX).saturating_sub(stamp) > timeout_ms
}

fn encode<'a>(entries: impl Iterator<Item = (&'a String, &'a Entry)>) -> Vec<u8> {
    super::ephemeral_state::encode_entries(entries.map(|(key, entry)| (key.as_str(), entry.value.as_ref(), entry.stamp)))
}

#[cfg(test)]
#[cfg(not(target_arch = "wasm32"))]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp(1_000_000);

    fn keys(change: &EphemeralChange) -> [Vec<&str>; 3] {
        [&change.added, &change.updated, &change.removed].map(|keys| keys.iter().map(String::as_str).collect())
    }

    #[test]
    fn own_entries_lapse_by_their_stamps_and_are_not_sent_after_that() {
        let mut store = EphemeralStore::new(10);
        store.write("a", Some(1.into()), T);
        store.write("gone", None, T);
        let at_last = T.plus(10);
        assert!(store.remove_outdated(at_last).is_empty());
        assert_ne!(store.encode("a", at_last), Vec::<u8>::new());
        let after = T.plus(11);
        assert_eq!((store.encode("a", after), store.encode_all(after)), (vec![], vec![0]));
        assert_eq!(keys(&store.remove_outdated(after)), [vec![], vec![], vec!["a"]]);
        assert_eq!(store.iter().count() + store.entries.len(), 0);
    }

    #[test]
    fn lapsed_and_older_entries_of_others_are_not_taken() {
        let (mut a, mut b) = (EphemeralStore::new(1000), EphemeralStore::new(10));
        a.write("k", Some("old".into()), T);
        a.write("later", Some("new".into()), T.plus(11));
        let bytes = a.encode_all(T.plus(11));
        assert_eq!(keys(&b.apply(&bytes, T.plus(11)).unwrap()), [vec!["later"], vec![], vec![]]);
        b.write("later", None, T.plus(12));
        assert!(b.apply(&bytes, T.plus(13)).unwrap().is_empty());
        assert_eq!(b.get("later"), None);
        assert!(b.apply(&[], T).is_err());
    }

    #[test]
    fn every_write_within_one_millisecond_wins_over_the_one_before() {
        let (mut a, mut b) = (EphemeralStore::new(10), EphemeralStore::new(10));
        for value in [Some(LoroValue::from(1)), Some(2.into()), None, Some(3.into())] {
            a.write("k", value.clone(), T);
            b.apply(&a.encode("k", T), T).unwrap();
            assert_eq!(b.get("k"), value.as_ref());
        }
    }
}
