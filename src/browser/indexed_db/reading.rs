//! Documents read from the database, many in one transaction. Decides what is asked for, and what a failure says of which document.
//!
//! A transaction costs more than what is read in it, and so does each request. The index record names the records, so that their keys need not be
//! read beside them unless it and they do not agree.

use js_sys::Array;
use wasm_bindgen::prelude::*;
use web_sys::{IdbDatabase, IdbObjectStore, IdbRequest, IdbTransactionMode};

use super::{
    layout::{self, Index},
    request::{done, explain, result},
    store::{read, transaction},
};
use crate::{
    protocol::DocId,
    runtime::{Record, RecordKey, Safety, StoreError, StoredDoc},
};

pub(super) type Loaded = Result<Option<StoredDoc>, StoreError>;

/// What was asked for of one document.
struct Asked {
    values: IdbRequest,
    index: IdbRequest,
}

impl Asked {
    fn of(doc: &DocId, records: &IdbObjectStore, index: &IdbObjectStore) -> Result<Self, StoreError> {
        let values = records.get_all_with_key(&*layout::record_range(doc)?).map_err(|error| explain(&error))?;
        Ok(Self { values, index: index.get(&doc.as_str().into()).map_err(|error| explain(&error))? })
    }

    /// Returns the values and the index record, once they are there.
    fn answer(&self) -> Result<(Vec<JsValue>, Index), StoreError> {
        Ok((Array::from(&result(&self.values)?).to_vec(), read(&result(&self.index)?)?))
    }
}

/// Reads documents in one transaction, in their order. If that ends early, those that were still to come say [`StoreError::Unavailable`].
pub(super) async fn load_all(database: IdbDatabase, docs: &[DocId]) -> Result<Vec<Loaded>, StoreError> {
    let transaction = transaction(&database, &[layout::RECORDS, layout::INDEX], IdbTransactionMode::Readonly, Safety::Relaxed)?;
    let store = |name| transaction.object_store(name).map_err(|error| explain(&error));
    let (records, index) = (store(layout::RECORDS)?, store(layout::INDEX)?);
    let asked = docs.iter().map(|doc| Asked::of(doc, &records, &index)).collect::<Result<Vec<_>, _>>()?;
    // They come in this order: when the last is there all are.
    if let Some(last) = asked.last() {
        let _ = done(&last.index).await;
    }
    let mut loaded = Vec::with_capacity(docs.len());
    let mut unnamed = Vec::new();
    // What was read goes as it is taken: together they may be large.
    for (at, (doc, asked)) in docs.iter().zip(asked).enumerate() {
        loaded.push(match asked.answer() {
            Err(error) => Err(error),
            Ok((values, index)) => match named(&values, &index) {
                Some(records) => records.map(|records| stored(records, index)),
                None => {
                    let keys =
                        layout::record_range(doc).and_then(|range| records.get_all_keys_with_key(&range).map_err(|error| explain(&error)));
                    unnamed.push((at, keys, values, index));
                    Ok(None)
                }
            },
        });
    }
    for (at, keys, values, index) in unnamed {
        loaded[at] = match keys {
            Err(error) => Err(error),
            Ok(keys) => done(&keys).await.and_then(|keys| {
                let read = |(key, value)| layout::record_from_js(&key, &value);
                let records = Array::from(&keys).iter().zip(values).map(read).collect::<Result<Vec<_>, _>>();
                records.map(|records| stored(records, index))
            }),
        };
    }
    Ok(loaded)
}

/// Returns records under the keys the index record has for them; `None` if these need not be theirs.
fn named(values: &[JsValue], index: &Index) -> Option<Result<Vec<Record>, StoreError>> {
    let agrees = index.sizes.len() == values.len()
        && index.sizes.iter().zip(values).all(|((key, size), value)| {
            // The order of other texts is another one in the database.
            key.is_ascii() && layout::record_bytes(value).is_some_and(|bytes| u64::from(bytes) == *size)
        });
    let read = |(key, value): (&String, &JsValue)| layout::record_of(RecordKey(key.clone()), value);
    agrees.then(|| index.sizes.keys().zip(values).map(read).collect())
}

/// Without records only a deleted document is one.
fn stored(records: Vec<Record>, index: Index) -> Option<StoredDoc> {
    let index = index.entry;
    (!records.is_empty() || index.tombstone.is_some()).then_some(StoredDoc { records, index })
}
