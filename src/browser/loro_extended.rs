//! Documents that loro-extended keeps in IndexedDB, read to be taken over.
//!
//! Decides which key belongs to which document. Changes nothing in the foreign database, and makes none that is not there.

use std::{cell::Cell, rc::Rc};

use bytes::Bytes;
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{IdbDatabase, IdbOpenDbRequest};

use super::{
    indexed_db::request::{self, done, explain},
    listener::Listener,
};
use crate::{collections::SortedMap, protocol::DocId, runtime::StoreError};

/// What the database is called there.
pub const LORO_EXTENDED_DATABASE: &str = "loro-extended-app";
const CHUNKS: &str = "chunks";
/// Keys are `<document>::update::<milliseconds>-<number>`.
const MIDDLE: &str = "::update::";

/// Reads all documents of such a database; `None` if there is none of that name.
///
/// # Errors
/// [`StoreError`] if it cannot be read, or is something else.
pub async fn read_loro_extended(name: &str) -> Result<Option<SortedMap<DocId, Vec<Bytes>>>, StoreError> {
    let Some(database) = open(name).await? else { return Ok(None) };
    let docs = read(&database).await;
    database.close();
    docs.map(Some)
}

async fn open(name: &str) -> Result<Option<IdbDatabase>, StoreError> {
    let request: IdbOpenDbRequest = request::factory()?.open(name).map_err(|error| explain(&error))?;
    let missing = Rc::new(Cell::new(false));
    let _upgrade = Listener::new(&request, "upgradeneeded", {
        let (request, missing) = (request.clone(), Rc::clone(&missing));
        move |_| {
            // It is not there, and must not be made.
            missing.set(true);
            let _ = request.transaction().map(|transaction| transaction.abort());
        }
    });
    let opened = done(&request).await;
    if missing.get() {
        return Ok(None);
    }
    let database: IdbDatabase = opened?.unchecked_into();
    if database.object_store_names().contains(CHUNKS) {
        return Ok(Some(database));
    }
    database.close();
    Err(StoreError::Corrupt(format!("database {name:?} is not one of loro-extended's")))
}

async fn read(database: &IdbDatabase) -> Result<SortedMap<DocId, Vec<Bytes>>, StoreError> {
    let transaction = database.transaction_with_str(CHUNKS).map_err(|error| explain(&error))?;
    let chunks = transaction.object_store(CHUNKS).map_err(|error| explain(&error))?;
    let keys = chunks.get_all_keys().map_err(|error| explain(&error))?;
    let values = chunks.get_all().map_err(|error| explain(&error))?;
    let keys = Array::from(&done(&keys).await?);
    let values = Array::from(&done(&values).await?);
    let mut docs: SortedMap<DocId, Vec<Bytes>> = SortedMap::new();
    for (key, value) in keys.iter().zip(values.iter()) {
        // The whole name is compared: by a common beginning one document would get the chunks of another.
        let Some(doc) = key.as_string().and_then(|key| document_of(&key)) else { continue };
        if let Some(bytes) = value.dyn_ref::<Uint8Array>() {
            docs.entry(doc).or_default().push(Bytes::from(bytes.to_vec()));
        }
    }
    Ok(docs)
}

/// Returns the document a chunk belongs to; its name may itself have separators.
fn document_of(key: &str) -> Option<DocId> {
    let (doc, rest) = key.rsplit_once(MIDDLE)?;
    let (ms, number) = rest.split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(ms) || !digits(number) {
        return None;
    }
    DocId::new(doc).ok()
}
