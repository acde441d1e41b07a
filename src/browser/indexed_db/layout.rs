//! How documents lie in the database. Decides keys and values, and refuses values of another shape.
//!
//! `records`: key `[docId, recordKey]`, value `{ kind, bytes }`. `index`: key `docId`, value the index record with the size of
//! each of the document's records, so that sums are exact without reading a record.

use std::collections::BTreeMap;

use bytes::Bytes;
use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::IdbKeyRange;

use super::request::explain;
use crate::{
    protocol::{DocId, VersionVector},
    runtime::{IndexEntry, Record, RecordKey, RecordKind, StoreError},
    synchronizer::Timestamp,
};

pub(super) const VERSION: u32 = 1;
pub(super) const RECORDS: &str = "records";
pub(super) const INDEX: &str = "index";

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
    let kind = match get(value, "kind").as_string().as_deref() {
        Some(SNAPSHOT) => RecordKind::Snapshot,
        Some(UPDATE) => RecordKind::Update,
        _ => return Err(damaged(&format!("the kind of record {name:?}"))),
    };
    let bytes = bytes(value, "bytes").ok_or_else(|| damaged(&format!("the bytes of record {name:?}")))?;
    Ok(Record { key: RecordKey(name), kind, bytes: Bytes::from(bytes) })
}

/// An index record and the sizes of the document's records.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) entry: IndexEntry,
    sizes: BTreeMap<String, u64>,
}

impl Index {
    pub(super) fn add(&mut self, record: &Record) {
        self.sizes.insert(record.key.0.clone(), record.bytes.len() as u64);
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
        set(&value, "version", &Uint8Array::from(&self.entry.version.encode()[..]));
        let sizes = Array::new();
        for (record, size) in &self.sizes {
            sizes.push(&Array::of2(&record.as_str().into(), &(*size as f64).into()));
        }
        set(&value, "sizes", &sizes);
        set(&value, "created", &(self.entry.created.0 as f64).into());
        set(&value, "updated", &(self.entry.updated.0 as f64).into());
        // A number would lose digits.
        set(&value, "lineage", &self.entry.lineage.to_string().into());
        if let Some(tombstone) = &self.entry.tombstone {
            set(&value, "tombstone", &(tombstone.at as f64).into());
        }
        value.into()
    }

    pub(super) fn from_js(value: &JsValue) -> Result<Self, StoreError> {
        let version = bytes(value, "version").and_then(|bytes| VersionVector::decode(&bytes).ok()).ok_or_else(|| damaged("the version"))?;
        let sizes = get(value, "sizes");
        if !Array::is_array(&sizes) {
            return Err(damaged("the list of records"));
        }
        let sizes = Array::from(&sizes)
            .iter()
            .map(|line| {
                let line = Array::from(&line);
                Some((line.get(0).as_string()?, line.get(1).as_f64()? as u64))
            })
            .collect::<Option<_>>()
            .ok_or_else(|| damaged("the list of records"))?;
        let time = |field| get(value, field).as_f64().map(|at| Timestamp(at as u64));
        let entry = IndexEntry {
            version,
            bytes: 0,
            records: 0,
            created: time("created").ok_or_else(|| damaged("the time of creation"))?,
            updated: time("updated").ok_or_else(|| damaged("the time of the last write"))?,
            lineage: get(value, "lineage").as_string().and_then(|text| text.parse().ok()).ok_or_else(|| damaged("the lineage"))?,
            ..IndexEntry::default()
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

fn bytes(value: &JsValue, field: &str) -> Option<Vec<u8>> {
    get(value, field).dyn_into::<Uint8Array>().ok().map(|bytes| bytes.to_vec())
}

fn damaged(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} is not what was written"))
}
