//! How documents lie in the database. Decides keys and values, and refuses values of another shape.
//!
//! `records`: key `[docId, recordKey]`, value `{ kind, bytes }`. `index`: key `docId`, value the index record with the size of
//! each of the document's records, so that sums are exact without reading a record. Fields added later may be missing.
//!
//! `meta`: key "birth", value a random text that tells this database from one of the same name that was deleted; key "synced", rewritten
//! to bring to disk what was committed before; under "aside:" and a random text what a page that was left had not written, as an array of
//! `[docId, recordKey, record, index record]`; under other names the small values kept beside the documents, as bytes.
//!
//! `collections`: the records beside the documents, see `collections.rs`. `listing`: all index records once more, see `listing.rs`.
//!
//! Versions: 1 had neither `meta` nor `collections`, 2 no `listing`, which is made of `index` where it is empty. A program writes index records anew, without fields it does not know: what must not be lost that way needs
//! a higher [`VERSION`].

use bytes::Bytes;
use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::IdbKeyRange;

use super::request::explain;
use crate::{
    collections::SortedMap,
    protocol::{DocId, PeerId, Tombstone, VersionVector},
    runtime::{IndexEntry, RawRecord, Record, RecordKey, RecordKind, StoreError, Write, decode_marks, encode_marks},
    synchronizer::{Creator, Timestamp, decode_keepers, encode_keepers},
};

pub(super) const VERSION: u32 = 3;
pub(super) const RECORDS: &str = "records";
pub(super) const INDEX: &str = "index";
pub(super) const META: &str = "meta";
pub(super) const COLLECTIONS: &str = "collections";
pub(super) const LISTING: &str = "listing";
pub(super) const BIRTH: &str = "birth";
pub(super) const SYNCED: &str = "synced";
pub(super) const ASIDE: &str = "aside:";
/// Object stores every database of corella's has had from the beginning.
pub(super) const FIRST: [&str; 2] = [RECORDS, INDEX];
pub(super) const ALL: [&str; 5] = [RECORDS, INDEX, META, COLLECTIONS, LISTING];

const SNAPSHOT: &str = "snapshot";
const UPDATE: &str = "update";

pub(super) fn record_key(doc: &DocId, record: &RecordKey) -> JsValue {
    Array::of2(&doc.as_str().into(), &record.0.as_str().into()).into()
}

/// Returns the range of all records of exactly this document: arrays sort after all strings.
pub(super) fn record_range(doc: &DocId) -> Result<IdbKeyRange, StoreError> {
    let doc = JsValue::from(doc.as_str());
    IdbKeyRange::bound(&Array::of1(&doc), &Array::of2(&doc, &Array::new())).map_err(|error| explain(&error))
}

pub(super) fn aside_range() -> Result<IdbKeyRange, StoreError> {
    IdbKeyRange::bound(&ASIDE.into(), &"aside;".into()).map_err(|error| explain(&error))
}

/// A write that replaces nothing: its record, and what an index record would say had there been nothing before.
pub(super) fn aside_to_js(write: &Write) -> JsValue {
    let mut index = Index::default();
    let _ = index.entry.merge(write);
    Array::of4(&write.doc.as_str().into(), &write.record.key.0.as_str().into(), &record_to_js(&write.record), &index.to_js()).into()
}

pub(super) fn aside_from_js(value: &JsValue) -> Result<Write, StoreError> {
    let fields = Array::from(value);
    let doc =
        fields.get(0).as_string().map(|id| DocId::from_wire(&id)).filter(DocId::is_valid).ok_or_else(|| damaged("a document's id"))?;
    let record = record_from_js(value, &fields.get(2))?;
    let IndexEntry { version, updated, lineage, confirmed, keepers, creator, .. } = Index::from_js(&fields.get(3))?.entry;
    Ok(Write { doc, record, replaces: Vec::new(), version, at: updated, lineage, confirmed, keepers, creator })
}

pub(super) fn record_to_js(record: &Record) -> JsValue {
    let value = Object::new();
    let kind = match record.kind {
        RecordKind::Snapshot => SNAPSHOT,
        RecordKind::Update => UPDATE,
    };
    set(&value, "kind", &kind.into());
    set(&value, "bytes", &Uint8Array::from(&record.bytes[..]));
    value.into()
}

pub(super) fn record_from_js(key: &JsValue, value: &JsValue) -> Result<Record, StoreError> {
    let name = Array::from(key).get(1).as_string().ok_or_else(|| damaged("the key of a record"))?;
    record_of(RecordKey(name), value)
}

/// Reads the record of that name.
pub(super) fn record_of(key: RecordKey, value: &JsValue) -> Result<Record, StoreError> {
    let name = &key.0;
    let kind = match get(value, "kind").as_string().as_deref() {
        Some(SNAPSHOT) => RecordKind::Snapshot,
        Some(UPDATE) => RecordKind::Update,
        _ => return Err(damaged(&format!("the kind of record {name:?}"))),
    };
    let bytes = bytes_from_js(&get(value, "bytes")).ok_or_else(|| damaged(&format!("the bytes of record {name:?}")))?;
    Ok(Record { key, kind, bytes: Bytes::from(bytes) })
}

/// Returns how many bytes a record has; `None` if it is none.
pub(super) fn record_bytes(value: &JsValue) -> Option<u32> {
    get(value, "bytes").dyn_ref::<Uint8Array>().map(Uint8Array::length)
}

/// Reads what is there of a record that may be damaged.
pub(super) fn raw_record(key: &JsValue, value: &JsValue) -> RawRecord {
    let kind = match get(value, "kind").as_string().as_deref() {
        Some(SNAPSHOT) => Some(RecordKind::Snapshot),
        Some(UPDATE) => Some(RecordKind::Update),
        _ => None,
    };
    let bytes = bytes_from_js(&get(value, "bytes")).or_else(|| bytes_from_js(value)).unwrap_or_default();
    RawRecord { key: Array::from(key).get(1).as_string().unwrap_or_default(), kind, bytes: Bytes::from(bytes) }
}

#[wasm_bindgen]
extern "C" {
    /// An index record as it lies in the database: its fields are named in the glue, since there are as many records as documents, and
    /// a name costs more to hand over than what is under it.
    type Row;
    #[wasm_bindgen(method, getter)]
    fn version(this: &Row) -> JsValue;
    #[wasm_bindgen(method, setter)]
    fn set_version(this: &Row, value: &Uint8Array);
    #[wasm_bindgen(method, getter)]
    fn sizes(this: &Row) -> JsValue;
    #[wasm_bindgen(method, setter)]
    fn set_sizes(this: &Row, value: &Array);
    #[wasm_bindgen(method, getter)]
    fn created(this: &Row) -> JsValue;
    #[wasm_bindgen(method, setter)]
    fn set_created(this: &Row, value: f64);
    #[wasm_bindgen(method, getter)]
    fn updated(this: &Row) -> JsValue;
    #[wasm_bindgen(method, setter)]
    fn set_updated(this: &Row, value: f64);
    #[wasm_bindgen(method, getter)]
    fn lineage(this: &Row) -> JsValue;
    #[wasm_bindgen(method, setter)]
    fn set_lineage(this: &Row, value: &str);
    #[wasm_bindgen(method, getter)]
    fn confirmed(this: &Row) -> JsValue;
    #[wasm_bindgen(method, setter)]
    fn set_confirmed(this: &Row, value: &Uint8Array);
    #[wasm_bindgen(method, getter)]
    fn tombstone(this: &Row) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn marks(this: &Row) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn creator(this: &Row) -> JsValue;
}

/// An index record and the sizes of the document's records.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) entry: IndexEntry,
    pub(super) sizes: SortedMap<String, u64>,
}

impl Index {
    pub(super) fn add(&mut self, record: &Record) {
        self.sizes.insert(record.key.0.clone(), record.bytes.len() as u64);
        self.sum();
    }

    /// Forgets all records.
    pub(super) fn clear(&mut self) {
        self.sizes.clear();
        self.sum();
    }

    pub(super) fn remove(&mut self, record: &RecordKey) {
        self.sizes.remove(&record.0);
        self.sum();
    }

    fn sum(&mut self) {
        self.entry.records = u32::try_from(self.sizes.len()).unwrap_or(u32::MAX);
        self.entry.bytes = self.sizes.values().sum();
    }

    pub(super) fn to_js(&self) -> JsValue {
        let value = Object::new();
        let row: &Row = value.unchecked_ref();
        row.set_version(&Uint8Array::from(&self.entry.version.encode()[..]));
        let sizes = Array::new();
        for (record, size) in &self.sizes {
            sizes.push(&Array::of2(&record.as_str().into(), &(*size as f64).into()));
        }
        row.set_sizes(&sizes);
        row.set_created(self.entry.created.0 as f64);
        row.set_updated(self.entry.updated.0 as f64);
        row.set_lineage(&self.entry.lineage.to_string());
        row.set_confirmed(&Uint8Array::from(&self.entry.confirmed.encode()[..]));
        if !self.entry.keepers.is_empty() {
            set(&value, "keepers", &Uint8Array::from(&encode_keepers(&self.entry.keepers)[..]));
        }
        if !self.entry.marks.is_empty() {
            set(&value, "marks", &Uint8Array::from(&encode_marks(&self.entry.marks)[..]));
        }
        if let Some(tombstone) = &self.entry.tombstone {
            let fields = Object::new();
            set(&fields, "lineage", &digits(tombstone.lineage));
            set(&fields, "at", &digits(tombstone.at));
            set(&fields, "by", &tombstone.by.as_str().into());
            set(&value, "tombstone", &fields);
        }
        if let Some(creator) = &self.entry.creator {
            let fields = Object::new();
            set(&fields, "peerId", &creator.peer_id.as_str().into());
            if let Some(name) = &creator.name {
                set(&fields, "name", &name.as_str().into());
            }
            set(&value, "creator", &fields);
        }
        value.into()
    }

    pub(super) fn from_js(value: &JsValue) -> Result<Self, StoreError> {
        if !value.is_object() {
            return Err(damaged("the index record"));
        }
        let row: &Row = value.unchecked_ref();
        let version = version_from_js(&row.version()).ok_or_else(|| damaged("the version"))?;
        let sizes = row.sizes();
        let sizes = sizes
            .dyn_ref::<Array>()
            .and_then(|sizes| {
                let size = |line: JsValue| {
                    let line = line.dyn_ref::<Array>()?;
                    Some((line.get(0).as_string()?, line.get(1).as_f64()? as u64))
                };
                sizes.iter().map(size).collect()
            })
            .ok_or_else(|| damaged("the list of records"))?;
        let time = |at: JsValue| at.as_f64().map(|at| Timestamp(at as u64));
        let entry = IndexEntry {
            version,
            bytes: 0,
            records: 0,
            created: time(row.created()).ok_or_else(|| damaged("the time of creation"))?,
            updated: time(row.updated()).ok_or_else(|| damaged("the time of the last write"))?,
            lineage: number(&row.lineage()).ok_or_else(|| damaged("the lineage"))?,
            tombstone: optional(&row.tombstone(), "tombstone", |value| {
                let number = |field| number(&get(value, field));
                Some(Tombstone { lineage: number("lineage")?, at: number("at")?, by: peer(value, "by")? })
            })?,
            confirmed: optional(&row.confirmed(), "confirmed", version_from_js)?.unwrap_or_default(),
            keepers: optional(&get(value, "keepers"), "keepers", |value| decode_keepers(&bytes_from_js(value)?))?.unwrap_or_default(),
            marks: optional(&row.marks(), "marks", |value| decode_marks(&bytes_from_js(value)?))?.unwrap_or_default(),
            creator: optional(&row.creator(), "creator", |value| {
                Some(Creator { peer_id: peer(value, "peerId")?, name: optional(&get(value, "name"), "name", JsValue::as_string).ok()? })
            })?,
        };
        let mut index = Self { entry, sizes };
        index.sum();
        Ok(index)
    }
}

fn set(object: &Object, field: &str, value: &JsValue) {
    // Fails only for frozen objects and setters.
    let _ = Reflect::set(object, &field.into(), value);
}

/// Returns a field, `undefined` if `value` has none.
fn get(value: &JsValue, field: &str) -> JsValue {
    Reflect::get(value, &field.into()).unwrap_or(JsValue::UNDEFINED)
}

pub(super) fn bytes_from_js(value: &JsValue) -> Option<Vec<u8>> {
    value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
}

fn version_from_js(value: &JsValue) -> Option<VersionVector> {
    VersionVector::decode(&bytes_from_js(value)?).ok()
}

/// A number of JavaScript's would lose digits.
fn digits(number: u64) -> JsValue {
    number.to_string().into()
}

fn number(value: &JsValue) -> Option<u64> {
    value.as_string()?.parse().ok()
}

fn peer(value: &JsValue, field: &str) -> Option<PeerId> {
    get(value, field).as_string().map(|id| PeerId::from_wire(&id))
}

/// Reads a field that may be missing, but must not be of another shape.
fn optional<T>(value: &JsValue, field: &str, read: impl FnOnce(&JsValue) -> Option<T>) -> Result<Option<T>, StoreError> {
    if value.is_undefined() {
        return Ok(None);
    }
    read(value).map(Some).ok_or_else(|| damaged(&format!("the {field}")))
}

fn damaged(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} is not what was written"))
}
