//! Records in the database: a table of rows, one of devices, one of meta data.
//!
//! Decides how rows are named; what becomes of them is what every store does.

use bytes::Bytes;
use redb::{Database, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};

use super::{Failure, care::table, corrupt};
use crate::{
    protocol::{ClockVector, Device, RecordId, record::decode_state},
    runtime::{LoadedRecords, RecordsMeta, RecordsOpening, RecordsWrite, records::forget_row, records::merge_row},
    synchronizer::StoredDevice,
};

/// `(collection, 1 with an owner, owner, key)` to the row.
const ROWS: TableDefinition<'_, (&str, u8, u64, &str), &[u8]> = TableDefinition::new("collections");
/// Device to its row.
const DEVICES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("collection-devices");
/// One row, under [`META_KEY`].
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("collection-meta");
const META_KEY: &str = "meta";

fn place(id: &RecordId) -> (&str, u8, u64, &str) {
    (&id.collection, u8::from(id.owner.is_some()), id.owner.map_or(0, |owner| owner.0), &id.key)
}

/// Makes the tables, so that they are there.
pub(super) fn make_tables(transaction: &WriteTransaction) -> Result<(), Failure> {
    transaction.open_table(ROWS)?;
    transaction.open_table(DEVICES)?;
    transaction.open_table(META)?;
    Ok(())
}

/// Returns whether they are.
pub(super) fn has_tables(transaction: &ReadTransaction) -> Result<bool, Failure> {
    Ok(table(transaction, ROWS)?.is_some() && table(transaction, DEVICES)?.is_some() && table(transaction, META)?.is_some())
}

fn read_meta(transaction: &WriteTransaction) -> Result<RecordsMeta, Failure> {
    let table = transaction.open_table(META)?;
    let row = table.get(META_KEY)?;
    row.map_or_else(
        || Ok(RecordsMeta::default()),
        |row| RecordsMeta::decode(row.value()).map_err(|_| corrupt("the row of records is damaged or newer".to_owned())),
    )
}

fn write_meta(transaction: &WriteTransaction, meta: &RecordsMeta) -> Result<(), Failure> {
    transaction.open_table(META)?.insert(META_KEY, meta.encode().as_slice())?;
    Ok(())
}

/// Returns the number of rows.
pub(super) fn count(transaction: &ReadTransaction) -> Result<u64, Failure> {
    Ok(table(transaction, ROWS)?.map_or(Ok(0), |rows| rows.len())?)
}

/// Reads every row and returns what is wrong with which.
pub(super) fn check(transaction: &ReadTransaction) -> Result<Vec<String>, Failure> {
    let mut problems = Vec::new();
    if let Some(rows) = table(transaction, ROWS)? {
        for entry in rows.iter()? {
            let (key, row) = entry?;
            if let Err(error) = decode_state(row.value()) {
                let (collection, _, _, key) = key.value();
                problems.push(format!("record {key:?} of collection {collection:?}: {error}"));
            }
        }
    }
    if let Some(devices) = table(transaction, DEVICES)? {
        for entry in devices.iter()? {
            let (device, row) = entry?;
            if let Err(error) = StoredDevice::decode(Device(device.value()), row.value()) {
                problems.push(format!("device {:016x} of the collections: {error}", device.value()));
            }
        }
    }
    if let Some(meta) = table(transaction, META)?
        && let Some(row) = meta.get(META_KEY)?
        && let Err(error) = RecordsMeta::decode(row.value())
    {
        problems.push(format!("the row of the collections: {error}"));
    }
    Ok(problems)
}

/// Opens the records and reads them all.
pub(super) fn load(database: &Database, opening: RecordsOpening) -> Result<LoadedRecords, Failure> {
    let transaction = database.begin_write()?;
    let mut meta = read_meta(&transaction)?;
    let writer = meta.open(opening);
    write_meta(&transaction, &meta)?;
    let mut records = Vec::new();
    for entry in transaction.open_table(ROWS)?.iter()? {
        let (key, row) = entry?;
        let (collection, owned, owner, key) = key.value();
        let owner = (owned == 1).then_some(Device(owner));
        records.push((RecordId { collection: collection.into(), owner, key: key.into() }, Bytes::copy_from_slice(row.value())));
    }
    let mut devices = Vec::new();
    for entry in transaction.open_table(DEVICES)?.iter()? {
        let (device, row) = entry?;
        // One that cannot be read is one that was never seen.
        devices.extend(StoredDevice::decode(Device(device.value()), row.value()).ok());
    }
    transaction.commit()?;
    Ok(meta.loaded(writer, devices, records))
}

/// Writes rows as part of a transaction.
pub(super) fn write(transaction: &WriteTransaction, write: &RecordsWrite) -> Result<(), Failure> {
    let mut meta = read_meta(transaction)?;
    let before = meta.version().clone();
    meta.merge(write);
    write_meta(transaction, &meta)?;
    let mut table = transaction.open_table(ROWS)?;
    for id in &write.forget {
        let left = table.get(place(id))?.map(|row| forget_row(row.value(), &write.version));
        match left {
            Some(Some(row)) => drop(table.insert(place(id), &*row)?),
            Some(None) => drop(table.remove(place(id))?),
            None => {}
        }
    }
    for (id, row) in &write.records {
        let covered = if write.restored.contains(id) { &ClockVector::new() } else { &before };
        let merged = {
            let stored = table.get(place(id))?;
            merge_row(stored.as_ref().map(redb::AccessGuard::value), row, covered)
        };
        if let Some(merged) = merged {
            table.insert(place(id), &*merged)?;
        }
    }
    let mut devices = transaction.open_table(DEVICES)?;
    for device in &write.devices {
        if device.is_gone() {
            devices.remove(device.device.0)?;
        } else {
            devices.insert(device.device.0, device.encode().as_slice())?;
        }
    }
    Ok(())
}
