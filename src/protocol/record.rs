//! Records: small facts beside the documents, as they travel and are stored.
//!
//! Decides how two states of one record merge, and what of a record somebody lacks. Never reads a value.
//!
//! A record is the last put or deletion of it as a whole, its *base*, and its fields, each with the clock of its last writing. A put and a
//! deletion drop every field written before. So two states merge by taking the later of everything, in any order, any number of times.

mod codec;
mod vector;

use std::{borrow::Cow, cmp::Ordering, fmt, sync::Arc};

use bytes::Bytes;

pub(crate) use codec::{Bits, write_varint};
pub use codec::{RecordsError, decode_entries, decode_row, decode_state, encode_entries, encode_state};
pub use vector::ClockVector;

use super::{Clock, Device};
use crate::collections::{sort, sort_by};

/// Largest record in bytes: names and values of its fields.
pub const MAX_RECORD_BYTES: usize = 256 * 1024;
/// Most fields of a record.
pub const MAX_FIELDS: usize = 1_024;
/// Longest name of a field in UTF-8 bytes.
pub const MAX_FIELD_NAME_BYTES: usize = 256;
/// Longest name of a collection in UTF-8 bytes.
pub const MAX_COLLECTION_BYTES: usize = 128;
/// Longest key of a record in UTF-8 bytes.
pub const MAX_KEY_BYTES: usize = 512;
/// Most records in one message.
pub const MAX_RECORDS: usize = 1_000;
/// Bytes after which a message takes no further record.
pub const PAGE_BYTES: usize = 256 * 1024;

/// Names one record.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RecordId {
    /// Its collection.
    pub collection: Arc<str>,
    /// The one device that writes it; `None` in a collection that all share.
    pub owner: Option<Device>,
    /// Its key within the collection and owner.
    pub key: Arc<str>,
}

impl RecordId {
    /// Returns whether the names are not empty and not too long.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        (1..=MAX_COLLECTION_BYTES).contains(&self.collection.len()) && (1..=MAX_KEY_BYTES).contains(&self.key.len())
    }
}

impl Ord for RecordId {
    fn cmp(&self, other: &Self) -> Ordering {
        // Most records that are compared share the name of their collection.
        let collections =
            if Arc::ptr_eq(&self.collection, &other.collection) { Ordering::Equal } else { self.collection.cmp(&other.collection) };
        collections.then_with(|| self.owner.cmp(&other.owner)).then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for RecordId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordId({:?}/", &*self.collection)?;
        if let Some(owner) = self.owner {
            write!(f, "{:x}/", owner.0)?;
        }
        write!(f, "{:?})", &*self.key)
    }
}

/// One field: its last value and who wrote it when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name; empty for the value of a record that is no object.
    pub name: Arc<str>,
    /// When and by whom it was written.
    pub clock: Clock,
    /// An encoded value.
    pub value: Bytes,
}

/// The last put or deletion of a record as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Base {
    /// When and by whom.
    pub clock: Clock,
    /// A put; otherwise a deletion.
    pub alive: bool,
}

/// What is known of one record, or the part of it that somebody lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordState {
    /// Its last put or deletion, if known.
    pub base: Option<Base>,
    /// By name, each once, none written before the base.
    pub fields: Vec<Field>,
}

/// A record and a state of it.
pub type RecordEntry = (RecordId, RecordState);

impl RecordState {
    /// Returns the state right after a put.
    #[must_use]
    pub fn put(clock: Clock, fields: impl IntoIterator<Item = (Arc<str>, Bytes)>) -> Self {
        Self { base: Some(Base { clock, alive: true }), fields: fields_of(clock, fields) }
    }

    /// Returns what an update of some fields does.
    #[must_use]
    pub fn update(clock: Clock, fields: impl IntoIterator<Item = (Arc<str>, Bytes)>) -> Self {
        Self { base: None, fields: fields_of(clock, fields) }
    }

    /// Returns the state right after a deletion.
    #[must_use]
    pub fn deletion(clock: Clock) -> Self {
        Self { base: Some(Base { clock, alive: false }), fields: Vec::new() }
    }

    /// Returns whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.fields.is_empty()
    }

    /// Returns whether the record is there. An update alone does not bring it into being, nor back after a deletion; a put does.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.base.is_some_and(|base| base.alive)
    }

    /// Returns the clocks of all that is known.
    pub fn clocks(&self) -> impl Iterator<Item = Clock> + '_ {
        self.base.iter().map(|base| base.clock).chain(self.fields.iter().map(|field| field.clock))
    }

    /// Returns the latest clock.
    #[must_use]
    pub fn latest(&self) -> Option<Clock> {
        self.clocks().max()
    }

    /// Returns the bytes of all names and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.fields.iter().map(|field| field.name.len() + field.value.len()).sum()
    }

    /// Takes the later of everything. Returns whether anything has changed.
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut changed = false;
        // Clocks are unique; should two things have one all the same, everybody takes the same of them.
        if other.base > self.base {
            self.base = other.base;
            changed = true;
        }
        let floor = self.base.map(|base| base.clock);
        if changed {
            self.fields.retain(|field| Some(field.clock) >= floor);
        }
        for field in other.fields.iter().filter(|field| Some(field.clock) >= floor) {
            match self.fields.binary_search_by(|known| known.name.cmp(&field.name)) {
                Ok(at) => {
                    let known = &mut self.fields[at];
                    if (known.clock, &known.value) < (field.clock, &field.value) {
                        known.clone_from(field);
                        changed = true;
                    }
                }
                Err(at) => {
                    self.fields.insert(at, field.clone());
                    changed = true;
                }
            }
        }
        changed
    }

    /// Returns what of it is not in `since`; `None` if that is nothing.
    #[must_use]
    pub fn missing(&self, since: &ClockVector) -> Option<Self> {
        let missing = Self {
            base: self.base.filter(|base| !since.has(base.clock)),
            fields: self.fields.iter().filter(|field| !since.has(field.clock)).cloned().collect(),
        };
        (!missing.is_empty()).then_some(missing)
    }

    /// Returns the part of it that is in `version`.
    #[must_use]
    pub fn within(&self, version: &ClockVector) -> Cow<'_, Self> {
        if self.is_in(version) {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self {
            base: self.base.filter(|base| version.has(base.clock)),
            fields: self.fields.iter().filter(|field| version.has(field.clock)).cloned().collect(),
        })
    }

    /// Returns all of it, with empty values for what is in `since`: of everything it is said that it is there.
    #[must_use]
    pub fn outline(&self, since: &ClockVector) -> Self {
        let mut outline = self.clone();
        for field in outline.fields.iter_mut().filter(|field| since.has(field.clock)) {
            field.value = Bytes::new();
        }
        outline
    }

    /// Returns the part of an outline that has values and is not in `since`; `None` if that is nothing.
    #[must_use]
    pub fn content(&self, since: &ClockVector) -> Option<Self> {
        let mut content = self.missing(since)?;
        content.fields.retain(|field| !field.value.is_empty());
        (!content.is_empty()).then_some(content)
    }

    /// Drops what somebody who has `version`, and of the record exactly `outline`, has replaced or deleted.
    pub fn trim(&mut self, outline: &Self, version: &ClockVector) {
        self.base = self.base.filter(|base| outline.base == Some(*base) || !version.has(base.clock));
        let listed = |field: &Field| outline.fields.iter().any(|other| other.name == field.name && other.clock == field.clock);
        self.fields.retain(|field| !version.has(field.clock) || listed(field));
    }

    /// Gives what `old` picks later clocks, in their order. With the base all fields get one, since none is older than that.
    pub fn restamp(&mut self, old: impl Fn(Clock) -> bool, mut mint: impl FnMut() -> Option<Clock>) {
        let with_base = self.base.is_some_and(|base| old(base.clock));
        let mut clocks: Vec<Clock> = self.clocks().filter(|clock| with_base || old(*clock)).collect();
        sort(&mut clocks);
        clocks.dedup();
        for before in clocks {
            let Some(after) = mint() else { return };
            if let Some(base) = self.base.as_mut().filter(|base| base.clock == before) {
                base.clock = after;
            }
            for field in self.fields.iter_mut().filter(|field| field.clock == before) {
                field.clock = after;
            }
        }
    }

    /// Returns whether all of it is in `version`.
    #[must_use]
    pub fn is_in(&self, version: &ClockVector) -> bool {
        self.clocks().all(|clock| version.has(clock))
    }

    /// Drops what is in `version`. Returns whether anything has changed.
    pub fn forget(&mut self, version: &ClockVector) -> bool {
        let before = self.clocks().count();
        self.base = self.base.filter(|base| !version.has(base.clock));
        self.fields.retain(|field| !version.has(field.clock));
        self.clocks().count() != before
    }

    /// Returns whether names and sizes are within the limits; a state merged of several changes may be up to four times as large as one.
    #[must_use]
    pub fn is_acceptable(&self) -> bool {
        self.fields.len() <= 4 * MAX_FIELDS
            && self.bytes() <= 4 * MAX_RECORD_BYTES
            && self.fields.iter().all(|field| field.name.len() <= MAX_FIELD_NAME_BYTES)
    }
}

fn fields_of(clock: Clock, fields: impl IntoIterator<Item = (Arc<str>, Bytes)>) -> Vec<Field> {
    let mut fields: Vec<_> = fields.into_iter().map(|(name, value)| Field { name, clock, value }).collect();
    sort_by(&mut fields, |a, b| a.name.cmp(&b.name));
    // The last of a name given twice.
    fields.reverse();
    fields.dedup_by(|a, b| a.name == b.name);
    fields.reverse();
    fields
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
