//! What every store does to its rows of records; reading and writing the rows themselves is left to the store.
//!
//! A store keeps one row a record, one row of meta data, and one row for every other device.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    collections::SortedMap,
    protocol::{
        ClockVector, Device, RecordId, RecordState,
        clock::Stamp,
        record::{RecordsError, decode_state, encode_state},
    },
    synchronizer::{StoredDevice, StoredRecords, Timestamp},
};

/// What a repo proposes when it opens the records of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordsOpening {
    /// The device of a store that has none yet: a random number.
    pub device: Device,
    /// The writer this repo is unless the store has one to give: a random number.
    pub writer: u32,
}

/// Everything a store has of the records.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedRecords {
    /// What is said beside the records.
    pub stored: StoredRecords,
    /// The latest stamp minted or seen.
    pub clock: Stamp,
    /// The writer this repo is; nobody else gets it before it is released.
    pub writer: u32,
    /// The records, in any order, each a row made by [`merge_row`].
    pub records: Vec<(RecordId, Bytes)>,
}

/// What is written in one transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordsWrite {
    /// Rows to be merged with those that are there.
    pub records: Vec<(RecordId, Bytes)>,
    /// Those of `records` that replace what is there: they are in `forget` as well, and count although the store's version covers them.
    pub restored: Vec<RecordId>,
    /// Records of which what `version` covers is dropped.
    pub forget: Vec<RecordId>,
    /// What is in the store then; merged.
    pub version: ClockVector,
    /// What every device has; merged.
    pub pruned: ClockVector,
    /// The latest stamp minted or seen; merged.
    pub clock: Stamp,
    /// Rows of other devices, to be replaced, or removed of those that are gone.
    pub devices: Vec<StoredDevice>,
    /// A writer that will write no more, and all of whose records are in the store.
    pub release: Option<u32>,
}

/// The row of meta data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordsMeta {
    device: Option<Device>,
    version: ClockVector,
    pruned: ClockVector,
    clock: Stamp,
    free: Vec<u32>,
}

/// Format of the rows of meta data and of devices.
const FORMAT: u8 = 1;
/// Writers that are kept to be given again.
const MAX_FREE: usize = 64;

#[derive(Serialize, Deserialize)]
struct MetaRow {
    format: u8,
    device: Option<u64>,
    version: Vec<u8>,
    pruned: Vec<u8>,
    clock: u64,
    free: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct DeviceRow {
    format: u8,
    version: Vec<u8>,
    seen: u64,
}

impl RecordsMeta {
    /// Returns what is in the store.
    #[must_use]
    pub fn version(&self) -> &ClockVector {
        &self.version
    }

    /// Opens the records: the device is the one that was there first, the writer one that was released, if any. The row is to be written.
    #[must_use]
    pub fn open(&mut self, opening: RecordsOpening) -> u32 {
        self.device.get_or_insert(opening.device);
        self.free.pop().unwrap_or(opening.writer)
    }

    /// Merges what a write says. The row is to be written.
    pub fn merge(&mut self, write: &RecordsWrite) {
        self.version.merge(&write.version);
        self.pruned.merge(&write.pruned);
        self.clock = self.clock.max(write.clock);
        if let Some(writer) = write.release.filter(|writer| !self.free.contains(writer) && self.free.len() < MAX_FREE) {
            self.free.push(writer);
        }
    }

    /// Puts together what a store has.
    #[must_use]
    pub fn loaded(&self, writer: u32, devices: Vec<StoredDevice>, records: Vec<(RecordId, Bytes)>) -> LoadedRecords {
        let device = self.device.unwrap_or_default();
        let stored = StoredRecords { device, version: self.version.clone(), pruned: self.pruned.clone(), devices, damaged: false };
        LoadedRecords { stored, clock: self.clock, writer, records }
    }

    /// Encodes the row.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let row = MetaRow {
            format: FORMAT,
            device: self.device.map(|device| device.0),
            version: self.version.encode(),
            pruned: self.pruned.encode(),
            clock: self.clock.0,
            free: self.free.clone(),
        };
        postcard::to_allocvec(&row).expect("a vector takes everything")
    }

    /// Decodes a row.
    ///
    /// # Errors
    /// [`RecordsError`] for anything else, and for a row that a newer program wrote.
    pub fn decode(row: &[u8]) -> Result<Self, RecordsError> {
        let row: MetaRow = postcard::from_bytes(row).map_err(|_| RecordsError)?;
        if row.format != FORMAT {
            return Err(RecordsError);
        }
        Ok(Self {
            device: row.device.map(Device),
            version: ClockVector::decode(&row.version)?,
            pruned: ClockVector::decode(&row.pruned)?,
            clock: Stamp(row.clock),
            free: row.free,
        })
    }
}

impl StoredDevice {
    /// Encodes the row of a device, whose number is the key.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let row = DeviceRow { format: FORMAT, version: self.version.encode(), seen: self.seen.0 };
        postcard::to_allocvec(&row).expect("a vector takes everything")
    }

    /// Decodes the row of a device.
    ///
    /// # Errors
    /// [`RecordsError`] for anything else.
    pub fn decode(device: Device, row: &[u8]) -> Result<Self, RecordsError> {
        let row: DeviceRow = postcard::from_bytes(row).map_err(|_| RecordsError)?;
        if row.format != FORMAT {
            return Err(RecordsError);
        }
        Ok(Self { device, version: ClockVector::decode(&row.version)?, seen: Timestamp(row.seen) })
    }
}

/// Merges a row with the one that is there: another tab may have written it. A damaged one is replaced. What `version`, the store's before
/// this write, covers and the store does not have was deleted by another tab and stays so; `None` if nothing is left then.
#[must_use]
pub fn merge_row(stored: Option<&[u8]>, row: &Bytes, version: &ClockVector) -> Option<Bytes> {
    let Ok(mut written) = decode_state(row) else { return Some(row.clone()) };
    let mut state = match stored.map(decode_state) {
        Some(Err(_)) => return Some(row.clone()),
        Some(Ok(state)) => state,
        None => RecordState::default(),
    };
    let whole = written.clone();
    written.forget(version);
    state.merge(&written);
    match state.is_empty() {
        true => None,
        false if state == whole => Some(row.clone()),
        false => Some(encode_state(&state).into()),
    }
}

/// Drops what `version` covers of a row; `None` if nothing is left of it.
#[must_use]
pub fn forget_row(stored: &[u8], version: &ClockVector) -> Option<Bytes> {
    let mut state = decode_state(stored).ok()?;
    state.forget(version);
    (!state.is_empty()).then(|| encode_state(&state).into())
}

/// Rows in memory, as a store keeps them; for stores in memory and for tests.
#[derive(Debug, Clone, Default)]
pub struct MemoryRecords {
    meta: RecordsMeta,
    devices: SortedMap<Device, StoredDevice>,
    rows: SortedMap<RecordId, Bytes>,
}

impl MemoryRecords {
    /// Does what [`Store::load_records`](crate::runtime::Store::load_records) says.
    #[must_use]
    pub fn load(&mut self, opening: RecordsOpening) -> LoadedRecords {
        let writer = self.meta.open(opening);
        let records = self.rows.iter().map(|(id, row)| (id.clone(), row.clone())).collect();
        self.meta.loaded(writer, self.devices.values().cloned().collect(), records)
    }

    /// Does what [`Store::write_records`](crate::runtime::Store::write_records) says.
    pub fn write(&mut self, write: RecordsWrite) {
        let before = self.meta.version.clone();
        self.meta.merge(&write);
        for id in &write.forget {
            let left = self.rows.get(id).map(|row| forget_row(row, &write.version));
            match left {
                Some(Some(row)) => drop(self.rows.insert(id.clone(), row)),
                Some(None) => drop(self.rows.remove(id)),
                None => {}
            }
        }
        for (id, row) in write.records {
            let covered = if write.restored.contains(&id) { ClockVector::new() } else { before.clone() };
            if let Some(merged) = merge_row(self.rows.get(&id).map(|row| &**row), &row, &covered) {
                self.rows.insert(id, merged);
            }
        }
        for device in write.devices {
            if device.is_gone() {
                self.devices.remove(&device.device);
            } else {
                self.devices.insert(device.device, device);
            }
        }
    }

    /// Gives every row to `change`; for tests of what becomes of damaged ones.
    pub fn change_rows(&mut self, mut change: impl FnMut(&RecordId, &mut Bytes)) {
        self.rows.iter_mut().for_each(|(id, row)| change(id, row));
    }

    /// Puts the first row that `pick` picks under another name; for tests.
    pub fn rename_row(&mut self, pick: impl Fn(&RecordId) -> bool, name: RecordId) {
        let picked = self.rows.keys().find(|id| pick(id)).cloned();
        let row = picked.and_then(|id| self.rows.remove(&id));
        self.rows.extend(row.map(|row| (name, row)));
    }

    /// Returns the number of rows of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether there is no row of a record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
