//! Last-writer-wins map of one ephemeral namespace, and its bytes.
//!
//! Decides which value of a key counts, whose it is and when it has lapsed. Never reads a clock: time is passed in, so that a
//! simulation with its own time stays repeatable, which Loro's `EphemeralStore` with its system clock would not allow.

use std::collections::BTreeMap;

use loro::LoroValue;

use crate::{protocol::PeerId, synchronizer::Timestamp};

/// Entries one payload, and what peers have written into one namespace, may have.
const MAX_ENTRIES: usize = 10_000;
/// UTF-8 bytes of a key taken from a peer.
const MAX_KEY_BYTES: usize = 1024;
/// Bytes of one payload.
const MAX_PAYLOAD_BYTES: usize = 4 * 1024 * 1024;
/// How far ahead of the local clock a stamp from a peer is believed.
///
/// A stamp beyond all others would win for ever, so a peer with a wrong clock could freeze a key for everybody who does not write it
/// afresh. A day tolerates wrong time zones; what lies beyond counts as written now.
const MAX_AHEAD_MS: u64 = 24 * 60 * 60 * 1000;

/// The values of one namespace, each with the stamp that decides between writers.
#[derive(Debug, Clone, Default)]
pub struct EphemeralState {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// `None` remembers a deletion, so that an older value does not come back.
    value: Option<LoroValue>,
    stamp: i64,
    author: PeerId,
    /// When it was written or last accepted, by the local clock: writers' clocks are not comparable.
    refreshed: Timestamp,
}

/// The keys whose values one step changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EphemeralChange {
    /// Keys that had no value and have one now.
    pub added: Vec<String>,
    /// Keys with another value.
    pub updated: Vec<String>,
    /// Keys that have no value any more.
    pub removed: Vec<String>,
}

/// The bytes are not the entries of an ephemeral store, or more than are accepted at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed ephemeral store bytes")]
pub struct EphemeralDecodeError;

impl EphemeralChange {
    /// Returns whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.updated.is_empty() && self.removed.is_empty()
    }

    pub(super) fn note(&mut self, key: &str, before: bool, after: bool) {
        let keys = match (before, after) {
            (false, true) => &mut self.added,
            (true, true) => &mut self.updated,
            (true, false) => &mut self.removed,
            (false, false) => return,
        };
        keys.push(key.to_owned());
    }
}

impl EphemeralState {
    /// Makes an empty namespace.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes `key` for `author`; the value wins over every one known here.
    pub fn set(&mut self, key: &str, value: LoroValue, author: &PeerId, now: Timestamp) -> EphemeralChange {
        self.write(key, Some(value), author, now)
    }

    /// Deletes `key` for `author` and remembers that, so that peers learn of it. A key without a value is left alone.
    pub fn delete(&mut self, key: &str, author: &PeerId, now: Timestamp) -> EphemeralChange {
        match self.get(key) {
            Some(_) => self.write(key, None, author, now),
            None => EphemeralChange::default(),
        }
    }

    /// Takes entries a peer sent, all or none of them; per key the strictly newer stamp wins.
    ///
    /// A key that is a peer's id belongs to that peer, other keys to `author`; a value somebody merely sent again stays whose it was.
    /// Entries with equal values refresh a key and do not count as a change.
    ///
    /// # Errors
    /// [`EphemeralDecodeError`] if the bytes are not a store's, or hold more than is accepted at once.
    pub fn apply(&mut self, bytes: &[u8], author: &PeerId, now: Timestamp) -> Result<EphemeralChange, EphemeralDecodeError> {
        let mut change = EphemeralChange::default();
        for (key, (value, stamp)) in decode(bytes, now)? {
            let known = self.entries.get(key);
            if known.map_or(self.entries.len() >= MAX_ENTRIES, |known| known.stamp >= stamp) {
                continue;
            }
            let before = known.and_then(|entry| entry.value.as_ref());
            let author = match known {
                Some(known) if known.value == value => known.author.clone(),
                _ => owner(key, author),
            };
            if before != value.as_ref() {
                change.note(key, before.is_some(), value.is_some());
            }
            self.entries.insert(key.to_owned(), Entry { value, stamp, author, refreshed: now });
        }
        Ok(change)
    }

    /// Encodes all entries, deletions included, as Loro's `EphemeralStore::encode_all` does.
    #[must_use]
    pub fn encode_all(&self) -> Vec<u8> {
        encode(self.entries.iter().map(|(key, entry)| (key.as_str(), entry)))
    }

    /// Encodes all entries, deletions included, apart by who wrote them last.
    #[must_use]
    pub fn encode_by_author(&self) -> Vec<(PeerId, Vec<u8>)> {
        let mut by_author: BTreeMap<&PeerId, Vec<(&str, &Entry)>> = BTreeMap::new();
        for (key, entry) in &self.entries {
            by_author.entry(&entry.author).or_default().push((key, entry));
        }
        by_author.into_iter().map(|(author, entries)| (author.clone(), encode(entries.into_iter()))).collect()
    }

    /// Encodes the entries of `keys`, deletions included; unknown keys are left out.
    #[must_use]
    pub fn encode(&self, keys: &[&str]) -> Vec<u8> {
        encode(keys.iter().filter_map(|key| self.entries.get(*key).map(|entry| (*key, entry))))
    }

    /// Returns the keys with a value that `author` wrote last.
    #[must_use]
    pub fn own_keys(&self, author: &PeerId) -> Vec<String> {
        self.live().filter(|(_, entry)| entry.author == *author).map(|(key, _)| key.clone()).collect()
    }

    /// Renews the stamps of the values that `author` wrote last.
    pub fn touch(&mut self, author: &PeerId, now: Timestamp) {
        for entry in self.entries.values_mut().filter(|entry| entry.value.is_some() && entry.author == *author) {
            entry.stamp = next_stamp(Some(entry.stamp), now);
            entry.refreshed = now;
        }
    }

    /// Deletes what belongs to a peer that has gone: the values it wrote last and the key that is its id.
    pub fn remove_author(&mut self, author: &PeerId, now: Timestamp) -> EphemeralChange {
        let gone: Vec<_> = self
            .live()
            .filter(|(key, entry)| entry.author == *author || key.as_str() == author.as_str())
            .map(|(key, _)| key.clone())
            .collect();
        let mut change = EphemeralChange::default();
        for key in gone {
            change.removed.extend(self.write(&key, None, author, now).removed);
        }
        change
    }

    /// Removes values of others that were not refreshed for `lifetime_ms`, and forgets deletions of that age.
    ///
    /// A lapsed value leaves a deletion with its own stamp behind: the same value sent again by somebody late does not come back, a
    /// newer one does, and no peer that still holds it loses it.
    pub fn expire(&mut self, own: &PeerId, now: Timestamp, lifetime_ms: u64) -> EphemeralChange {
        let mut change = EphemeralChange::default();
        self.entries.retain(|key, entry| {
            if now.since(entry.refreshed) < lifetime_ms {
                return true;
            }
            match entry.value {
                None => false,
                Some(_) if entry.author == *own => true,
                Some(_) => {
                    entry.value = None;
                    entry.refreshed = now;
                    change.removed.push(key.clone());
                    true
                }
            }
        });
        change
    }

    /// Returns the value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&LoroValue> {
        self.entries.get(key)?.value.as_ref()
    }

    /// Returns all values by key.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, LoroValue> {
        self.entries.iter().filter_map(|(key, entry)| Some((key.clone(), entry.value.clone()?))).collect()
    }

    /// Returns the keys that have a value, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.live().map(|(key, _)| key.clone()).collect()
    }

    /// Returns whether no key has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live().next().is_none()
    }

    fn live(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.entries.iter().filter(|(_, entry)| entry.value.is_some())
    }

    fn write(&mut self, key: &str, value: Option<LoroValue>, author: &PeerId, now: Timestamp) -> EphemeralChange {
        let mut change = EphemeralChange::default();
        let known = self.entries.get(key);
        change.note(key, known.is_some_and(|entry| entry.value.is_some()), value.is_some());
        let stamp = next_stamp(known.map(|entry| entry.stamp), now);
        self.entries.insert(key.to_owned(), Entry { value, stamp, author: author.clone(), refreshed: now });
        change
    }
}

/// Returns a stamp that wins over `known` even if the clock stands still or went back.
pub(super) fn next_stamp(known: Option<i64>, now: Timestamp) -> i64 {
    let now = i64::try_from(now.0).unwrap_or(i64::MAX);
    known.map_or(now, |known| now.max(known.saturating_add(1)))
}

/// Returns whose `key` is when `author` sends it: peers send others' keys along, and those must not go when the sender goes.
fn owner(key: &str, author: &PeerId) -> PeerId {
    match key.parse::<u64>() {
        Ok(id) if PeerId::from(id).as_str() == key => PeerId::from(id),
        _ => author.clone(),
    }
}

fn encode<'a>(entries: impl Iterator<Item = (&'a str, &'a Entry)>) -> Vec<u8> {
    encode_entries(entries.map(|(key, entry)| (key, entry.value.as_ref(), entry.stamp)))
}

pub(super) fn encode_entries<'a>(entries: impl Iterator<Item = (&'a str, Option<&'a LoroValue>, i64)>) -> Vec<u8> {
    let entries: Vec<_> = entries.collect();
    postcard::to_allocvec(&entries).expect("values are plain data")
}

pub(super) type Incoming<'a> = BTreeMap<&'a str, (Option<LoroValue>, i64)>;

/// Reads entries one by one, so that a claimed number of them reserves nothing, and keeps the newest of each key.
pub(super) fn decode(bytes: &[u8], now: Timestamp) -> Result<Incoming<'_>, EphemeralDecodeError> {
    if bytes.len() > MAX_PAYLOAD_BYTES {
        return Err(EphemeralDecodeError);
    }
    let (count, mut rest) = postcard::take_from_bytes::<u64>(bytes).map_err(|_| EphemeralDecodeError)?;
    if count > MAX_ENTRIES as u64 {
        return Err(EphemeralDecodeError);
    }
    let believed = i64::try_from(now.plus(MAX_AHEAD_MS).0).unwrap_or(i64::MAX);
    let mut incoming = Incoming::new();
    for _ in 0..count {
        let ((key, value, stamp), after) =
            postcard::take_from_bytes::<(&str, Option<LoroValue>, i64)>(rest).map_err(|_| EphemeralDecodeError)?;
        rest = after;
        let stamp = if stamp > believed { next_stamp(None, now) } else { stamp };
        let newest = incoming.get(key).is_none_or(|(_, other)| stamp > *other);
        // One overlong key is no reason to lose everybody else's.
        if newest && key.len() <= MAX_KEY_BYTES {
            incoming.insert(key, (value, stamp));
        }
    }
    Ok(incoming)
}

#[cfg(test)]
#[cfg(not(target_arch = "wasm32"))]
#[path = "ephemeral_state/tests.rs"]
mod tests;
