//! Records of collections in the database. Decides how they lie in one object store; what becomes of a row is what every store does.
//!
//! A request costs more than a small record, so records lie together: under a number from 0 to 255, picked by a sum over the record's names, a
//! *page* with the rows of all those records. A row that is large lies alone, under its names as bytes, and its page says so by an empty
//! row. What cannot be read of a page stays as an entry without a collection, whose key is the page's number. Under "meta" lies the row of meta data, under "device" and a number in hexadecimal digits what is known of another device.
//!
//! ```text
//! page  = 1 entry*
//! entry = length of the collection:2 (0 | 1):1 owner:8 length of the key:2 length of the row:4 collection key row, numbers little-endian
//! ```

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{IdbDatabase, IdbObjectStore, IdbRequest, IdbTransactionMode};

use super::{
    layout::{self, COLLECTIONS},
    request::{Outcome, done, explain},
    store::{finish, transaction},
};
use crate::{
    collections::{sort, sort_by},
    protocol::{ClockVector, Device, RecordId},
    runtime::{
        LoadedRecords, RecordsMeta, RecordsOpening, RecordsWrite, Safety, StoreError,
        records::{forget_row, merge_row},
    },
    synchronizer::StoredDevice,
};

/// Format of pages.
const FORMAT: u8 = 1;
/// Bytes of a row that is not large.
const MAX_ROW: usize = 4096;
const META: &str = "meta";
const DEVICE: &str = "device";
const HEAD: usize = 17;

type Row = (RecordId, Bytes);

/// One page, as it is read and written.
struct Page {
    number: u8,
    /// By id.
    rows: Vec<Row>,
    changed: bool,
}

/// Names what of a page cannot be read.
fn damaged(number: u8) -> RecordId {
    RecordId { collection: "".into(), owner: None, key: number.to_string().into() }
}

fn page_of(id: &RecordId) -> u8 {
    if id.collection.is_empty() {
        return id.key.parse().unwrap_or_default();
    }
    let mut sum = 0x811c_9dc5_u32;
    for byte in place(id) {
        sum = (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    (sum ^ (sum >> 16)) as u8
}

/// Returns the names of a record as bytes: an entry without a row.
fn place(id: &RecordId) -> Vec<u8> {
    let mut out = Vec::new();
    write_entry(&mut out, id, &[]);
    out
}

fn write_entry(out: &mut Vec<u8>, id: &RecordId, row: &[u8]) {
    out.extend((id.collection.len() as u16).to_le_bytes());
    out.push(u8::from(id.owner.is_some()));
    out.extend(id.owner.unwrap_or_default().0.to_le_bytes());
    out.extend((id.key.len() as u16).to_le_bytes());
    out.extend((row.len() as u32).to_le_bytes());
    out.extend(id.collection.as_bytes());
    out.extend(id.key.as_bytes());
    out.extend(row);
}

/// Reads entries. What cannot be read is one row under a name that no record has.
fn read_entries(number: u8, mut rest: Bytes, collection: &mut Arc<str>, rows: &mut Vec<Row>) {
    while !rest.is_empty() {
        let entry = read_entry(&rest, collection);
        let Some((id, row, length)) = entry else {
            rows.push((damaged(number), rest));
            return;
        };
        rows.push((id, rest.slice(row..length)));
        rest = rest.slice(length..);
    }
}

/// Reads the first entry: the names, where the row begins, and where it ends.
fn read_entry(bytes: &[u8], collection: &mut Arc<str>) -> Option<(RecordId, usize, usize)> {
    let head = bytes.get(..HEAD)?;
    let number = |from: usize, to: usize| head[from..to].iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let names = HEAD + number(0, 2) as usize;
    let row = names + number(11, 13) as usize;
    let end = row.checked_add(number(13, 17) as usize).filter(|end| *end <= bytes.len())?;
    let text = |from: usize, to: usize| std::str::from_utf8(&bytes[from..to]).ok();
    let name = text(HEAD, names)?;
    if name != &**collection {
        *collection = name.into();
    }
    let owner = (head[2] == 1).then(|| Device(number(3, 11)));
    Some((RecordId { collection: Arc::clone(collection), owner, key: text(names, row)?.into() }, row, end))
}

fn read_page(number: u8, value: &JsValue, collection: &mut Arc<str>, rows: &mut Vec<Row>) {
    let bytes = Bytes::from(layout::bytes_from_js(value).unwrap_or_default());
    match bytes.first() {
        Some(&FORMAT) => read_entries(number, bytes.slice(1..), collection, rows),
        // Not even empty: a page is never, and an empty row says something else.
        None => rows.push((damaged(number), Bytes::from_static(&[0]))),
        Some(_) => rows.push((damaged(number), bytes)),
    }
}

fn js(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

fn asked(request: Result<IdbRequest, JsValue>) -> Result<IdbRequest, StoreError> {
    request.map_err(|error| explain(&error))
}

async fn get(store: &IdbObjectStore, key: &JsValue) -> Result<JsValue, StoreError> {
    done(&asked(store.get(key))?).await
}

fn put(store: &IdbObjectStore, key: &JsValue, value: &[u8]) -> Result<(), StoreError> {
    asked(store.put_with_key(&js(value), key)).map(drop)
}

fn read_meta(value: &JsValue) -> Result<RecordsMeta, StoreError> {
    match layout::bytes_from_js(value) {
        None if value.is_undefined() => Ok(RecordsMeta::default()),
        row => row
            .and_then(|row| RecordsMeta::decode(&row).ok())
            .ok_or_else(|| StoreError::Corrupt("what the database says of its records is damaged, or newer".to_owned())),
    }
}

fn device_key(device: Device) -> JsValue {
    format!("{DEVICE}{:016x}", device.0).into()
}

/// Opens the records and reads them all.
pub(super) async fn load(database: IdbDatabase, opening: RecordsOpening) -> Result<LoadedRecords, StoreError> {
    // What is said here of who writes must not be unsaid by a power cut.
    let transaction = transaction(&database, &[COLLECTIONS], IdbTransactionMode::Readwrite, Safety::Strict)?;
    let store = transaction.object_store(COLLECTIONS).map_err(|error| explain(&error))?;
    let outcome = Outcome::of(&transaction);
    let loaded = load_from(&store, opening).await;
    let requested = loaded.as_ref().map(drop).map_err(Clone::clone);
    finish(&transaction, outcome, requested).await?;
    loaded
}

async fn load_from(store: &IdbObjectStore, opening: RecordsOpening) -> Result<LoadedRecords, StoreError> {
    let (keys, values) = (asked(store.get_all_keys())?, asked(store.get_all())?);
    let mut meta = read_meta(&get(store, &META.into()).await?)?;
    let before = meta.clone();
    let writer = meta.open(opening);
    if meta != before {
        put(store, &META.into(), &meta.encode())?;
    }
    let (keys, values) = (Array::from(&done(&keys).await?), Array::from(&done(&values).await?));
    let (mut records, mut devices) = (Vec::new(), Vec::new());
    // One text for all records of a collection that follow each other.
    let mut collection = "".into();
    for (key, value) in keys.iter().zip(values.iter()) {
        if let Some(number) = key.as_f64() {
            read_page(number as u8, &value, &mut collection, &mut records);
        } else if let Some(name) = key.as_string() {
            let device = name.strip_prefix(DEVICE).and_then(|digits| u64::from_str_radix(digits, 16).ok());
            let row = layout::bytes_from_js(&value).unwrap_or_default();
            // One that cannot be read is one that was never seen.
            devices.extend(device.and_then(|device| StoredDevice::decode(Device(device), &row).ok()));
        } else if let Some((id, ..)) = read_entry(&Uint8Array::new(&key).to_vec(), &mut collection) {
            // Never empty, so that it counts as damaged if it is.
            records.push((id, layout::bytes_from_js(&value).filter(|row| !row.is_empty()).unwrap_or_else(|| vec![0]).into()));
        }
    }
    // Those lie alone.
    records.retain(|(_, row)| !row.is_empty());
    Ok(meta.loaded(writer, devices, records))
}

/// Writes what a repo has to say in one transaction.
pub(super) async fn write(database: IdbDatabase, write: Rc<RecordsWrite>) -> Result<(), StoreError> {
    let transaction = transaction(&database, &[COLLECTIONS], IdbTransactionMode::Readwrite, Safety::Strict)?;
    let store = transaction.object_store(COLLECTIONS).map_err(|error| explain(&error))?;
    let outcome = Outcome::of(&transaction);
    let requested = write_to(&store, &write).await;
    finish(&transaction, outcome, requested).await
}

async fn write_to(store: &IdbObjectStore, write: &RecordsWrite) -> Result<(), StoreError> {
    let mut meta = read_meta(&get(store, &META.into()).await?)?;
    let covered = meta.version().clone();
    meta.merge(write);
    put(store, &META.into(), &meta.encode())?;
    let mut pages = read_pages(store, write).await?;
    for id in &write.forget {
        change_row(store, &mut pages, id, |stored| stored.and_then(|row| forget_row(row, &write.version))).await?;
    }
    for (id, row) in &write.records {
        let covered = if write.restored.contains(id) { &ClockVector::new() } else { &covered };
        change_row(store, &mut pages, id, |stored| {
            // One of which nothing is left by what is written stays as it is.
            merge_row(stored, row, covered).or_else(|| stored.map(Bytes::copy_from_slice))
        })
        .await?;
    }
    for page in pages.iter().filter(|page| page.changed) {
        let key = JsValue::from_f64(page.number.into());
        if page.rows.is_empty() {
            asked(store.delete(&key))?;
            continue;
        }
        let mut bytes = vec![FORMAT];
        for (id, row) in &page.rows {
            write_entry(&mut bytes, id, row);
        }
        put(store, &key, &bytes)?;
    }
    for device in &write.devices {
        if device.is_gone() {
            asked(store.delete(&device_key(device.device)))?;
        } else {
            put(store, &device_key(device.device), &device.encode())?;
        }
    }
    Ok(())
}

/// Reads the pages of all records that are written, by number.
async fn read_pages(store: &IdbObjectStore, write: &RecordsWrite) -> Result<Vec<Page>, StoreError> {
    let mut numbers: Vec<u8> = write.records.iter().map(|(id, _)| id).chain(&write.forget).map(page_of).collect();
    sort(&mut numbers);
    numbers.dedup();
    let mut requests = Vec::with_capacity(numbers.len());
    for number in &numbers {
        requests.push(asked(store.get(&JsValue::from_f64((*number).into())))?);
    }
    let mut pages = Vec::with_capacity(numbers.len());
    for (number, request) in numbers.into_iter().zip(requests) {
        let value = done(&request).await?;
        let mut rows = Vec::new();
        if !value.is_undefined() {
            read_page(number, &value, &mut "".into(), &mut rows);
        }
        sort_by(&mut rows, |a, b| a.0.cmp(&b.0));
        pages.push(Page { number, rows, changed: false });
    }
    Ok(pages)
}

async fn change_row(
    store: &IdbObjectStore,
    pages: &mut [Page],
    id: &RecordId,
    change: impl FnOnce(Option<&[u8]>) -> Option<Bytes>,
) -> Result<(), StoreError> {
    let number = page_of(id);
    let Ok(page) = pages.binary_search_by(|page| page.number.cmp(&number)) else { return Ok(()) };
    let page = &mut pages[page];
    let at = page.rows.binary_search_by(|(known, _)| known.cmp(id));
    let mut stored = at.ok().map(|at| page.rows[at].1.clone());
    let alone = stored.as_ref().is_some_and(Bytes::is_empty);
    if alone {
        stored = layout::bytes_from_js(&get(store, &js(&place(id))).await?).map(Bytes::from);
    }
    let changed = change(stored.as_deref());
    if changed == stored {
        return Ok(());
    }
    let large = changed.as_ref().filter(|row| row.len() > MAX_ROW);
    if let Some(row) = large {
        put(store, &js(&place(id)), row)?;
        if alone {
            return Ok(());
        }
    } else if alone {
        asked(store.delete(&js(&place(id))))?;
    }
    page.changed = true;
    let row = if large.is_some() { Some(Bytes::new()) } else { changed };
    match (at, row) {
        (Ok(at), Some(row)) => page.rows[at].1 = row,
        (Ok(at), None) => drop(page.rows.remove(at)),
        (Err(at), Some(row)) => page.rows.insert(at, (id.clone(), row)),
        (Err(_), None) => {}
    }
    Ok(())
}
