//! The index records of all documents once more, close together: a start reads a few values, not one of each document.
//!
//! Decides how they lie in the object store "listing" and when they are packed. What the index record of a document is, "index" says: where
//! something here cannot be read, that is read instead.
//!
//! Under numbers from 0 lie *parts*, together all rows there were at the last packing. Under the id of a document lies its row if it was
//! written since, in the transaction that wrote it to "index", and null if it was removed. A row that is empty stands for one that was damaged.
//!
//! ```text
//! part  = entry*
//! entry = length:varint id length:varint row
//! ```

use bytes::Bytes;
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{IdbDatabase, IdbObjectStore, IdbTransactionMode};

use super::{
    layout::{self, INDEX, Index, LISTING},
    request::{Outcome, done, explain},
    store::{finish, transaction},
};
use crate::{
    collections::SortedMap,
    protocol::{Bits, DocId, RecordsError, write_varint},
    runtime::{IndexEntry, Safety, StoreError, StoredInfo, decode_index, encode_index},
};

/// Bytes of a part. Browsers keep larger values apart.
const PART: usize = 60_000;
/// So many rows lie by themselves before they are packed, and one more for so many documents.
const LOOSE: usize = 128;
const LOOSE_OF: usize = 32;

type Rows = SortedMap<DocId, Bytes>;

/// What was listed.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) infos: Vec<StoredInfo>,
    /// What cannot be read.
    pub(super) damaged: Vec<(DocId, StoreError)>,
    /// Rows that are not in parts.
    pub(super) loose: usize,
}

/// Returns how many rows may lie by themselves beside those of `documents`.
pub(super) fn most_loose(documents: usize) -> usize {
    LOOSE + documents / LOOSE_OF
}

/// Notes the index record of a document.
pub(super) fn note(listing: &IdbObjectStore, doc: &DocId, index: &IndexEntry) -> Result<(), StoreError> {
    put(listing, &doc.as_str().into(), &encode_index(index))
}

/// Notes that a document has none.
pub(super) fn note_removed(listing: &IdbObjectStore, doc: &DocId) -> Result<(), StoreError> {
    listing.put_with_key(&JsValue::NULL, &doc.as_str().into()).map_err(|error| explain(&error))?;
    Ok(())
}

fn put(listing: &IdbObjectStore, key: &JsValue, bytes: &[u8]) -> Result<(), StoreError> {
    listing.put_with_key(&Uint8Array::from(bytes), key).map_err(|error| explain(&error))?;
    Ok(())
}

/// Lists all documents.
pub(super) async fn list(database: IdbDatabase) -> Result<Listed, StoreError> {
    let transaction = transaction(&database, &[INDEX, LISTING], IdbTransactionMode::Readonly, Safety::Relaxed)?;
    let store = |name| transaction.object_store(name).map_err(|error| explain(&error));
    let (rows, loose) = read(&store(LISTING)?, &store(INDEX)?).await?;
    let mut listed = Listed { loose, ..Listed::default() };
    for (doc, row) in rows {
        match decode_index(&row) {
            Ok(index) => listed.infos.push(StoredInfo { doc, index }),
            Err(error) => listed.damaged.push((doc, error)),
        }
    }
    Ok(listed)
}

/// Puts all rows into parts if many lie by themselves.
pub(super) async fn pack(database: IdbDatabase) -> Result<(), StoreError> {
    let transaction = transaction(&database, &[INDEX, LISTING], IdbTransactionMode::Readwrite, Safety::Relaxed)?;
    let outcome = Outcome::of(&transaction);
    let store = |name| transaction.object_store(name).map_err(|error| explain(&error));
    let requested = pack_all(&store(LISTING)?, &store(INDEX)?).await;
    finish(&transaction, outcome, requested).await
}

async fn pack_all(listing: &IdbObjectStore, index: &IdbObjectStore) -> Result<(), StoreError> {
    let (rows, loose) = read(listing, index).await?;
    // Another tab may have done it.
    if loose < most_loose(rows.len()) / 2 {
        return Ok(());
    }
    listing.clear().map_err(|error| explain(&error))?;
    let (mut part, mut number) = (Vec::new(), 0);
    for (doc, row) in rows {
        if part.len() + doc.as_str().len() + row.len() > PART {
            put(listing, &number.into(), &part)?;
            part.clear();
            number += 1;
        }
        for bytes in [doc.as_str().as_bytes(), &row] {
            write_varint(&mut part, bytes.len() as u64);
            part.extend(bytes);
        }
    }
    put(listing, &number.into(), &part)
}

/// Reads all rows, and how many of them lie by themselves: all, if "index" had to be read.
async fn read(listing: &IdbObjectStore, index: &IdbObjectStore) -> Result<(Rows, usize), StoreError> {
    let (keys, values) = all(listing).await?;
    if let Some(read) = merged(&keys, &values) {
        return Ok(read);
    }
    let (keys, values) = all(index).await?;
    let row = |value: JsValue| Index::from_js(&value).map(|index| encode_index(&index.entry).into()).unwrap_or_default();
    let rows: Rows = keys.iter().zip(values.iter()).filter_map(|(key, value)| Some((doc(&key.as_string()?)?, row(value)))).collect();
    let loose = rows.len();
    Ok((rows, loose))
}

async fn all(store: &IdbObjectStore) -> Result<(Array, Array), StoreError> {
    let keys = store.get_all_keys().map_err(|error| explain(&error))?;
    let values = store.get_all().map_err(|error| explain(&error))?;
    Ok((Array::from(&done(&keys).await?), Array::from(&done(&values).await?)))
}

/// Puts together what parts and loose rows say; `None` without parts, and if something is of another shape.
fn merged(keys: &Array, values: &Array) -> Option<(Rows, usize)> {
    let (mut rows, mut loose, mut packed) = (Rows::new(), 0, false);
    // Numbers sort before texts.
    for (key, value) in keys.iter().zip(values.iter()) {
        let id = key.as_string();
        let bytes = if value.is_null() { None } else { Some(Bytes::from(layout::bytes_from_js(&value)?)) };
        match (id, bytes) {
            (None, bytes) => {
                packed = true;
                read_part(&bytes?, &mut rows).ok()?;
            }
            (Some(id), bytes) => {
                let id = doc(&id)?;
                loose += 1;
                match bytes {
                    Some(row) => drop(rows.insert(id, row)),
                    None => drop(rows.remove(&id)),
                }
            }
        }
    }
    packed.then_some((rows, loose))
}

fn read_part(part: &Bytes, rows: &mut Rows) -> Result<(), RecordsError> {
    let mut bits = Bits::new(part);
    while !bits.is_empty() {
        let length = bits.varint()?;
        let id = doc(bits.text(length)?).ok_or(RecordsError)?;
        let length = bits.varint()?;
        rows.insert(id, part.slice_ref(bits.take(length)?));
    }
    Ok(())
}

/// Under another key there is nothing that this program could have written or could read.
fn doc(id: &str) -> Option<DocId> {
    Some(DocId::from_wire(id)).filter(DocId::is_valid)
}
