//! Last-writer-wins map of one ephemeral namespace, and its bytes.
//!
//! Decides which value of a key counts, whose it is and when it has lapsed. Never reads a clock: time is passed in, so that a
//! simulation with its own time stays repeatable, which Loro's `EphemeralStore` with its system clock would not allow.

use loro::LoroValue;

use super::ephemeral_budget::Origin;
use crate::{
    collections::SortedMap,
    protocol::PeerId,
    synchronizer::{ChannelId, Timestamp},
};

/// Entries one payload, and what peers have written into one namespace, may have.
const MAX_ENTRIES: usize = 10_000;
/// UTF-8 bytes of a key taken from a peer.
const MAX_KEY_BYTES: usize = 1024;
/// Bytes of one payload.
const MAX_PAYLOAD_BYTES: usize = 4 * 1024 * 1024;
/// How far ahead of the local clock a stamp from a peer is believed.
///
/// A stamp beyond all others would win for ever, so a peer with a wrong clock could freeze a key for everybody who does not write it
/// afresh. A day tolerates wrong time zones; what lies beyond counts as written now, after what is here: that may have been believed, before
/// either clock was set.
const MAX_AHEAD_MS: u64 = 24 * 60 * 60 * 1000;
/// Milliseconds within which such a value that is here already counts as the same message, on another path.
const SAME_MS: u64 = 1_000;

/// The values of one namespace, each with the stamp that decides between writers.
#[derive(Debug, Clone, Default)]
pub struct EphemeralState {
    entries: SortedMap<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// `None` remembers a deletion, so that an older value does not come back.
    value: Option<LoroValue>,
    stamp: i64,
    author: PeerId,
    /// When it was written or last accepted, by the local clock: writers' clocks are not comparable.
    refreshed: Timestamp,
    /// Nobody deleted it: its author is gone.
    departed: bool,
    origin: Origin,
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

/// What a peer says about the author of entries it sends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) author: &'a PeerId,
    /// The deletions among them are there because the author has gone.
    pub(super) departed: bool,
    /// It is known that the author is there.
    pub(super) present: bool,
}

/// What became of entries a peer sent.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) change: EphemeralChange,
    /// Keys of what was taken.
    pub(super) news: Vec<String>,
    /// Keys that are here as they were sent.
    pub(super) same: Vec<String>,
    /// Keys that are newer here.
    pub(super) behind: Vec<String>,
    /// Keys of an author said to be gone, written again because it is there.
    pub(super) restated: Vec<String>,
    /// Keys for which there was no room.
    pub(super) refused: usize,
}

/// The entries of one author, encoded.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) author: PeerId,
    pub(super) data: Vec<u8>,
    /// The author has gone, and that is why some are deleted.
    pub(super) departed: bool,
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
        let claim = Claim { author, departed: false, present: false };
        Ok(self.merge(bytes, claim, now, &mut |_, _| Some(Origin::default()))?.change)
    }

    /// As [`EphemeralState::apply`], for entries that take room: `admit` gets the bytes one takes and, if it comes from where the one it
    /// replaces came from, the bytes that become free.
    pub(super) fn merge(
        &mut self,
        bytes: &[u8],
        claim: Claim<'_>,
        now: Timestamp,
        admit: &mut dyn FnMut(usize, Option<&Origin>) -> Option<Origin>,
    ) -> Result<Merged, EphemeralDecodeError> {
        let mut merged = Merged::default();
        for (key, Written { value, mut stamp, beyond_belief }) in decode(bytes, now)? {
            let owned = || key.to_owned();
            if let Some(known) = self.entries.get_mut(key) {
                if beyond_belief {
                    if known.value == value && known.refreshed <= now && now.since(known.refreshed) < SAME_MS {
                        merged.same.push(owned());
                        continue;
                    }
                    stamp = next_stamp(Some(known.stamp), now);
                }
                if known.stamp > stamp || (known.stamp == stamp && value.is_none() && known.value.is_some()) {
                    merged.behind.push(owned());
                    continue;
                }
                if known.stamp == stamp {
                    if known.value == value {
                        merged.same.push(owned());
                    }
                    continue;
                }
                if claim.departed && claim.present && value.is_none() && known.value.is_some() && known.author == *claim.author {
                    known.stamp = stamp.saturating_add(1);
                    known.refreshed = now;
                    merged.restated.push(owned());
                    continue;
                }
            } else if self.entries.len() >= MAX_ENTRIES {
                merged.refused += 1;
                continue;
            }
            let known = self.entries.get(key);
            let Some(origin) = admit(weight(key, value.as_ref()), known.map(|known| &known.origin)) else {
                merged.refused += 1;
                continue;
            };
            let before = known.and_then(|entry| entry.value.as_ref());
            let author = match known {
                Some(known) if known.value == value => known.author.clone(),
                _ => owner(key, claim.author),
            };
            if before != value.as_ref() {
                merged.change.note(key, before.is_some(), value.is_some());
            }
            let departed = claim.departed && value.is_none();
            self.entries.insert(owned(), Entry { value, stamp, author, refreshed: now, departed, origin });
            merged.news.push(owned());
        }
        Ok(merged)
    }

    /// Encodes all entries, deletions included, as Loro's `EphemeralStore::encode_all` does.
    #[must_use]
    pub fn encode_all(&self) -> Vec<u8> {
        encode(self.entries.iter().map(|(key, entry)| (key.as_str(), entry)))
    }

    /// Encodes the entries whose authors `wanted` names, deletions included, apart by author.
    pub(super) fn encode_by_author(&self, wanted: impl Fn(&PeerId) -> bool) -> Vec<Encoded> {
        apart(self.entries.iter().filter(|(_, entry)| wanted(&entry.author)))
    }

    /// Encodes some entries, deletions included, apart by author; unknown keys are left out.
    pub(super) fn encode_keys(&self, keys: &[String]) -> Vec<Encoded> {
        apart(keys.iter().filter_map(|key| self.entries.get_key_value(key)))
    }

    /// Returns who wrote `key` last.
    pub(super) fn author(&self, key: &str) -> Option<&PeerId> {
        self.entries.get(key).map(|entry| &entry.author)
    }

    /// Returns who has written what is here, deletions included.
    pub(super) fn authors(&self) -> impl Iterator<Item = &PeerId> {
        self.entries.values().map(|entry| &entry.author)
    }

    /// Returns whether there is not even a deletion to remember.
    pub(super) fn is_blank(&self) -> bool {
        self.entries.is_empty()
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

    /// Renews the stamps of the values that `author` wrote last, unless that was done at this very time.
    pub fn touch(&mut self, author: &PeerId, now: Timestamp) {
        let stale = |entry: &&mut Entry| entry.value.is_some() && entry.author == *author && entry.refreshed != now;
        for entry in self.entries.values_mut().filter(stale) {
            entry.stamp = next_stamp(Some(entry.stamp), now);
            entry.refreshed = now;
        }
    }

    /// Deletes what belongs to a peer that has gone: the values it wrote last and the key that is its id.
    pub fn remove_author(&mut self, author: &PeerId, now: Timestamp) -> EphemeralChange {
        self.depart(|key, writer, _| writer == author || key == author.as_str(), now)
    }

    /// Deletes the values whose key, author and channel `gone` names, in their authors' names.
    ///
    /// The deletion is just newer than the value: whatever the author does when it is back is newer still.
    pub(super) fn depart(&mut self, gone: impl Fn(&str, &PeerId, Option<ChannelId>) -> bool, now: Timestamp) -> EphemeralChange {
        let mut change = EphemeralChange::default();
        for (key, entry) in &mut self.entries {
            if entry.value.is_some() && gone(key, &entry.author, entry.origin.via()) {
                change.removed.push(key.clone());
                entry.value = None;
                entry.stamp = entry.stamp.saturating_add(1);
                entry.refreshed = now;
                entry.departed = true;
                entry.origin.shrink(weight(key, None));
            }
        }
        change
    }

    /// Drops the entries whose author and channel `gone` names, and remembers nothing of them.
    pub(super) fn forget(&mut self, gone: impl Fn(&str, &PeerId, Option<ChannelId>) -> bool) -> EphemeralChange {
        let mut change = EphemeralChange::default();
        self.entries.retain(|key, entry| {
            let goes = gone(key, &entry.author, entry.origin.via());
            if goes && entry.value.is_some() {
                change.removed.push(key.clone());
            }
            !goes
        });
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
                    entry.departed = true;
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
    pub fn all(&self) -> SortedMap<String, LoroValue> {
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
        let entry = Entry { value, stamp, author: author.clone(), refreshed: now, departed: false, origin: Origin::default() };
        self.entries.insert(key.to_owned(), entry);
        change
    }
}

/// Encodes entries apart by who wrote them last.
fn apart<'a>(entries: impl Iterator<Item = (&'a String, &'a Entry)>) -> Vec<Encoded> {
    let mut by_author: SortedMap<&PeerId, Vec<(&str, &Entry)>> = SortedMap::new();
    for (key, entry) in entries {
        by_author.entry(&entry.author).or_default().push((key, entry));
    }
    let encoded = |(author, entries): (&PeerId, Vec<(&str, &Entry)>)| Encoded {
        author: author.clone(),
        departed: entries.iter().any(|(_, entry)| entry.departed),
        data: encode(entries.into_iter()),
    };
    by_author.into_iter().map(encoded).collect()
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

/// Returns the bytes an entry takes in memory, about.
fn weight(key: &str, value: Option<&LoroValue>) -> usize {
    size_of::<Entry>() + 2 * key.len() + value.map_or(0, weight_of)
}

fn weight_of(value: &LoroValue) -> usize {
    let content = match value {
        LoroValue::Null | LoroValue::Bool(_) | LoroValue::Double(_) | LoroValue::I64(_) => 0,
        LoroValue::Binary(bytes) => bytes.len(),
        LoroValue::String(text) => text.len(),
        LoroValue::List(list) => list.iter().map(weight_of).sum(),
        LoroValue::Map(map) => map.iter().map(|(key, value)| key.len() + weight_of(value)).sum(),
        LoroValue::Container(_) => size_of::<loro::ContainerID>(),
    };
    size_of::<LoroValue>() + content
}

fn encode<'a>(entries: impl Iterator<Item = (&'a str, &'a Entry)>) -> Vec<u8> {
    encode_entries(entries.map(|(key, entry)| (key, entry.value.as_ref(), entry.stamp)))
}

pub(super) fn encode_entries<'a>(entries: impl Iterator<Item = (&'a str, Option<&'a LoroValue>, i64)>) -> Vec<u8> {
    let entries: Vec<_> = entries.collect();
    postcard::to_allocvec(&entries).expect("values are plain data")
}

/// What a peer says of one key.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) value: Option<LoroValue>,
    /// The local time if that is not believed.
    pub(super) stamp: i64,
    pub(super) beyond_belief: bool,
}

pub(super) type Incoming<'a> = SortedMap<&'a str, Written>;

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
        let beyond_belief = stamp > believed;
        let stamp = if beyond_belief { next_stamp(None, now) } else { stamp };
        let newest = incoming.get(key).is_none_or(|other| stamp > other.stamp);
        // One overlong key is no reason to lose everybody else's.
        if newest && key.len() <= MAX_KEY_BYTES {
            incoming.insert(key, Written { value, stamp, beyond_belief });
        }
    }
    Ok(incoming)
}

#[cfg(test)]
#[cfg(not(target_arch = "wasm32"))]
#[path = "ephemeral_state/tests.rs"]
mod tests;
