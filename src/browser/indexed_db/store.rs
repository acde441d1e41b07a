//! The store over one database. Decides transactions, and when the database is opened again.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    rc::Rc,
};

use bytes::Bytes;
use futures_channel::oneshot;
use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{IdbDatabase, IdbObjectStore, IdbTransaction, IdbTransactionMode};

use super::{
    super::listener::Listener,
    layout::{self, Index},
    request::{self, Outcome, done, explain, lost},
};
use crate::{
    protocol::{DocId, Tombstone},
    runtime::{
        AdapterContext, Amendment, Confirmed, ErrorCode, IndexEntry, LocalBoxFuture, Problem, RepoError, Store, StoreError, StoredDoc,
        StoredInfo, Write,
    },
};

#[wasm_bindgen]
extern "C" {
    /// A database whose transactions take options.
    type DurableDatabase;
    #[wasm_bindgen(method, catch)]
    fn transaction(this: &DurableDatabase, stores: &Array, mode: IdbTransactionMode, options: &Object) -> Result<IdbTransaction, JsValue>;
}

/// A connection that is open until the browser or another tab wants it closed.
struct Connection {
    database: IdbDatabase,
    open: Rc<Cell<bool>>,
    _listeners: [Listener; 2],
}

impl Connection {
    fn new(database: IdbDatabase, context: &AdapterContext) -> Self {
        let open = Rc::new(Cell::new(true));
        let gone = |why: &'static str| {
            let (open, context, database) = (Rc::clone(&open), context.clone(), database.clone());
            move |_| {
                if open.replace(false) {
                    database.close();
                    context.report(Problem::Storage(RepoError::new(ErrorCode::Storage, why)));
                }
            }
        };
        // A tab that wants to upgrade or delete the database waits until everybody has let go of it.
        let listeners = [
            Listener::new(
                &database,
                "versionchange",
                gone("another tab upgrades or deletes the database; it is opened again at the next use"),
            ),
            Listener::new(&database, "close", gone("the browser has closed the database; it is opened again at the next use")),
        ];
        Self { database, open, _listeners: listeners }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.set(false);
        self.database.close();
    }
}

/// Shared by the store and its operations under way.
struct Shared {
    name: String,
    context: AdapterContext,
    connection: RefCell<Option<Rc<Connection>>>,
    closed: Cell<bool>,
}

impl Shared {
    async fn connection(&self) -> Result<Rc<Connection>, StoreError> {
        if self.closed.get() {
            return Err(lost("the store is closed"));
        }
        let present = self.connection.borrow().clone();
        if let Some(present) = present.filter(|connection| connection.open.get()) {
            return Ok(present);
        }
        let database = request::open(&self.name).await?;
        let connection = Rc::new(Connection::new(database, &self.context));
        if self.closed.get() {
            return Err(lost("the store is closed"));
        }
        *self.connection.borrow_mut() = Some(Rc::clone(&connection));
        Ok(connection)
    }

    fn forget(&self, connection: &Rc<Connection>) {
        let mut present = self.connection.borrow_mut();
        if present.as_ref().is_some_and(|present| Rc::ptr_eq(present, connection)) {
            *present = None;
        }
    }

    /// Does `work`, and once more on a new connection if the present one turns out to be gone.
    ///
    /// Every operation may be done twice: record keys are unique and index records are computed from what is there.
    async fn with_database<T, F: Future<Output = Result<T, StoreError>>>(&self, work: impl Fn(IdbDatabase) -> F) -> Result<T, StoreError> {
        let connection = self.connection().await?;
        match work(connection.database.clone()).await {
            Err(StoreError::Unavailable(_)) => {}
            outcome => return outcome,
        }
        self.forget(&connection);
        drop(connection);
        let connection = self.connection().await?;
        work(connection.database.clone()).await
    }
}

/// Documents in one IndexedDB database.
pub(super) struct IndexedDbStore {
    shared: Rc<Shared>,
    /// Completes when the writes asked for so far have; each write replaces it.
    tail: RefCell<Option<oneshot::Receiver<()>>>,
}

impl IndexedDbStore {
    /// Opens the database.
    pub(super) async fn open(name: &str, context: &AdapterContext) -> Result<Self, StoreError> {
        let shared = Shared { name: name.to_owned(), context: context.clone(), connection: RefCell::default(), closed: Cell::new(false) };
        shared.connection().await?;
        Ok(Self { shared: Rc::new(shared), tail: RefCell::default() })
    }

    /// Does `work` after all that was queued before, in the order of the calls.
    fn queue<T: 'static>(&self, work: impl Future<Output = T> + 'static) -> LocalBoxFuture<T> {
        let (finished, tail) = oneshot::channel();
        let before = self.tail.replace(Some(tail));
        Box::pin(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            let outcome = work.await;
            let _ = finished.send(());
            outcome
        })
    }
}

impl Store for IndexedDbStore {
    fn name(&self) -> &str {
        "indexeddb"
    }

    fn load(&self, doc: &DocId) -> LocalBoxFuture<Result<Option<StoredDoc>, StoreError>> {
        let (shared, doc) = (Rc::clone(&self.shared), doc.clone());
        Box::pin(async move { shared.with_database(|database| load(database, doc.clone())).await })
    }

    fn index(&self, doc: &DocId) -> LocalBoxFuture<Result<Option<IndexEntry>, StoreError>> {
        let (shared, doc) = (Rc::clone(&self.shared), doc.clone());
        Box::pin(async move { shared.with_database(|database| index_of(database, doc.clone())).await })
    }

    fn list(&self) -> LocalBoxFuture<Result<Vec<StoredInfo>, StoreError>> {
        let shared = Rc::clone(&self.shared);
        Box::pin(async move {
            let (infos, damaged) = shared.with_database(list).await?;
            for error in damaged {
                shared.context.report(Problem::Storage(RepoError::new(ErrorCode::Storage, error.to_string()).with_cause(error)));
            }
            Ok(infos)
        })
    }

    fn write(&self, writes: Vec<Write>) -> LocalBoxFuture<Result<(), StoreError>> {
        let shared = Rc::clone(&self.shared);
        let writes = Rc::new(writes);
        self.queue(async move { shared.with_database(|database| write(database, Rc::clone(&writes))).await })
    }

    fn bury(&self, doc: &DocId, tombstone: Tombstone) -> LocalBoxFuture<Result<(), StoreError>> {
        let (shared, doc) = (Rc::clone(&self.shared), doc.clone());
        self.queue(async move { shared.with_database(|database| bury(database, doc.clone(), tombstone.clone())).await })
    }

    fn confirm(&self, confirmed: Vec<Confirmed>) -> LocalBoxFuture<Result<(), StoreError>> {
        let shared = Rc::clone(&self.shared);
        let confirmed = Rc::new(confirmed);
        self.queue(async move { shared.with_database(|database| confirm(database, Rc::clone(&confirmed))).await })
    }

    fn amend(&self, name: &'static str, change: Amendment) -> LocalBoxFuture<Result<Option<Bytes>, StoreError>> {
        let shared = Rc::clone(&self.shared);
        self.queue(async move { shared.with_database(|database| amend(database, name, Amendment::clone(&change))).await })
    }

    fn remove(&self, doc: &DocId) -> LocalBoxFuture<Result<(), StoreError>> {
        let (shared, doc) = (Rc::clone(&self.shared), doc.clone());
        self.queue(async move { shared.with_database(|database| remove(database, doc.clone())).await })
    }

    fn close(&self) -> LocalBoxFuture<()> {
        let shared = Rc::clone(&self.shared);
        self.queue(async move {
            shared.closed.set(true);
            // The browser closes it when the transactions under way are over.
            let connection = shared.connection.borrow_mut().take();
            drop(connection);
        })
    }
}

fn transaction(database: &IdbDatabase, stores: &[&str], mode: IdbTransactionMode) -> Result<IdbTransaction, StoreError> {
    let options = Object::new();
    // "Complete" is to mean that it is on disk, not that the operating system has heard of it.
    let _ = Reflect::set(&options, &"durability".into(), &"strict".into());
    let stores: Array = stores.iter().map(|store| JsValue::from(*store)).collect();
    database.unchecked_ref::<DurableDatabase>().transaction(&stores, mode, &options).map_err(|error| explain(&error))
}

fn begin(database: &IdbDatabase, mode: IdbTransactionMode) -> Result<(IdbTransaction, IdbObjectStore, IdbObjectStore), StoreError> {
    let transaction = transaction(database, &[layout::RECORDS, layout::INDEX], mode)?;
    let records = transaction.object_store(layout::RECORDS).map_err(|error| explain(&error))?;
    let index = transaction.object_store(layout::INDEX).map_err(|error| explain(&error))?;
    Ok((transaction, records, index))
}

async fn load(database: IdbDatabase, doc: DocId) -> Result<Option<StoredDoc>, StoreError> {
    let (_, records, index) = begin(&database, IdbTransactionMode::Readonly)?;
    let range = layout::record_range(&doc)?;
    let keys = records.get_all_keys_with_key(&range).map_err(|error| explain(&error))?;
    let values = records.get_all_with_key(&range).map_err(|error| explain(&error))?;
    let index = index.get(&doc.as_str().into()).map_err(|error| explain(&error))?;
    let keys = Array::from(&done(&keys).await?);
    let values = Array::from(&done(&values).await?);
    let index = done(&index).await?;
    let records: Vec<_> =
        keys.iter().zip(values.iter()).map(|(key, value)| layout::record_from_js(&key, &value)).collect::<Result<_, _>>()?;
    let index = read(&index)?.entry;
    // Without records only a deleted document is one.
    Ok((!records.is_empty() || index.tombstone.is_some()).then_some(StoredDoc { records, index }))
}

async fn index_of(database: IdbDatabase, doc: DocId) -> Result<Option<IndexEntry>, StoreError> {
    let transaction = transaction(&database, &[layout::INDEX], IdbTransactionMode::Readonly)?;
    let index = transaction.object_store(layout::INDEX).map_err(|error| explain(&error))?;
    let value = done(&index.get(&doc.as_str().into()).map_err(|error| explain(&error))?).await?;
    if value.is_undefined() { Ok(None) } else { Index::from_js(&value).map(|index| Some(index.entry)) }
}

/// Lists what can be read, and the errors of what cannot.
async fn list(database: IdbDatabase) -> Result<(Vec<StoredInfo>, Vec<StoreError>), StoreError> {
    let (_, _, index) = begin(&database, IdbTransactionMode::Readonly)?;
    let keys = index.get_all_keys().map_err(|error| explain(&error))?;
    let values = index.get_all().map_err(|error| explain(&error))?;
    let keys = Array::from(&done(&keys).await?);
    let values = Array::from(&done(&values).await?);
    let (mut infos, mut damaged) = (Vec::new(), Vec::new());
    for (key, value) in keys.iter().zip(values.iter()) {
        let Some(doc) = key.as_string().map(|id| DocId::from_wire(&id)).filter(DocId::is_valid) else {
            damaged.push(StoreError::Corrupt("an index record belongs to no document".to_owned()));
            continue;
        };
        match Index::from_js(&value) {
            Ok(index) => infos.push(StoredInfo { doc, index: index.entry }),
            Err(error) => damaged.push(error),
        }
    }
    Ok((infos, damaged))
}

async fn write(database: IdbDatabase, writes: Rc<Vec<Write>>) -> Result<(), StoreError> {
    let (transaction, records, index) = begin(&database, IdbTransactionMode::Readwrite)?;
    let outcome = Outcome::of(&transaction);
    let requested = write_all(&records, &index, &writes).await;
    finish(&transaction, outcome, requested).await
}

async fn bury(database: IdbDatabase, doc: DocId, tombstone: Tombstone) -> Result<(), StoreError> {
    let (transaction, records, index) = begin(&database, IdbTransactionMode::Readwrite)?;
    let outcome = Outcome::of(&transaction);
    let requested = bury_one(&records, &index, &doc, tombstone).await;
    finish(&transaction, outcome, requested).await
}

/// Waits until the transaction has ended, which is given up if not all could be requested.
async fn finish(transaction: &IdbTransaction, outcome: Outcome, requested: Result<(), StoreError>) -> Result<(), StoreError> {
    let Err(error) = requested else { return outcome.complete().await };
    // It may have aborted already, with the reason that matters.
    let _ = transaction.abort();
    match (error, outcome.complete().await) {
        (error @ (StoreError::Corrupt(_) | StoreError::Full(_) | StoreError::Other(_)), _) | (error, Ok(())) => Err(error),
        (_, Err(reason)) => Err(reason),
    }
}

async fn write_all(records: &IdbObjectStore, index: &IdbObjectStore, writes: &[Write]) -> Result<(), StoreError> {
    for write in writes {
        let id = JsValue::from(write.doc.as_str());
        let mut merged = stored(index, &id).await?;
        if !merged.entry.takes(write) {
            continue;
        }
        if merged.entry.merge(write) {
            merged.clear();
            delete_all(records, &write.doc)?;
        }
        for key in write.replaces.iter().filter(|key| **key != write.record.key) {
            merged.remove(key);
            records.delete(&layout::record_key(&write.doc, key)).map_err(|error| explain(&error))?;
        }
        merged.add(&write.record);
        let key = layout::record_key(&write.doc, &write.record.key);
        records.put_with_key(&layout::record_to_js(&write.record), &key).map_err(|error| explain(&error))?;
        index.put_with_key(&merged.to_js(), &id).map_err(|error| explain(&error))?;
    }
    Ok(())
}

async fn bury_one(records: &IdbObjectStore, index: &IdbObjectStore, doc: &DocId, tombstone: Tombstone) -> Result<(), StoreError> {
    let id = JsValue::from(doc.as_str());
    let mut merged = stored(index, &id).await?;
    if merged.entry.bury(tombstone) {
        merged.clear();
        delete_all(records, doc)?;
    }
    index.put_with_key(&merged.to_js(), &id).map_err(|error| explain(&error))?;
    Ok(())
}

async fn confirm(database: IdbDatabase, confirmed: Rc<Vec<Confirmed>>) -> Result<(), StoreError> {
    let (transaction, _, index) = begin(&database, IdbTransactionMode::Readwrite)?;
    let outcome = Outcome::of(&transaction);
    let requested = confirm_all(&index, &confirmed).await;
    finish(&transaction, outcome, requested).await
}

async fn confirm_all(index: &IdbObjectStore, confirmed: &[Confirmed]) -> Result<(), StoreError> {
    for confirmed in confirmed {
        let id = JsValue::from(confirmed.doc.as_str());
        let mut known = stored(index, &id).await?;
        if known.entry.confirm(confirmed) {
            index.put_with_key(&known.to_js(), &id).map_err(|error| explain(&error))?;
        }
    }
    Ok(())
}

async fn amend(database: IdbDatabase, name: &str, change: Amendment) -> Result<Option<Bytes>, StoreError> {
    let transaction = transaction(&database, &[layout::VALUES], IdbTransactionMode::Readwrite)?;
    let values = transaction.object_store(layout::VALUES).map_err(|error| explain(&error))?;
    let outcome = Outcome::of(&transaction);
    let changed = amend_one(&values, name, &change).await;
    let requested = changed.as_ref().map(drop).map_err(Clone::clone);
    finish(&transaction, outcome, requested).await?;
    changed
}

async fn amend_one(values: &IdbObjectStore, name: &str, change: &Amendment) -> Result<Option<Bytes>, StoreError> {
    let key = JsValue::from(name);
    let before = done(&values.get(&key).map_err(|error| explain(&error))?).await?;
    // What is no bytes is none of ours, and counts as nothing.
    let before = layout::bytes_from_js(&before);
    let value = change(before.as_deref());
    match &value {
        value if value.as_deref() == before.as_deref() => {}
        Some(value) => {
            values.put_with_key(&Uint8Array::from(&value[..]), &key).map_err(|error| explain(&error))?;
        }
        None => {
            values.delete(&key).map_err(|error| explain(&error))?;
        }
    }
    Ok(value)
}

fn delete_all(records: &IdbObjectStore, doc: &DocId) -> Result<(), StoreError> {
    let range = layout::record_range(doc)?;
    records.delete(&range).map_err(|error| explain(&error))?;
    Ok(())
}

/// Returns the index record as the transaction sees it, an empty one if there is none.
async fn stored(index: &IdbObjectStore, id: &JsValue) -> Result<Index, StoreError> {
    read(&done(&index.get(id).map_err(|error| explain(&error))?).await?)
}

fn read(index: &JsValue) -> Result<Index, StoreError> {
    if index.is_undefined() { Ok(Index::default()) } else { Index::from_js(index) }
}

async fn remove(database: IdbDatabase, doc: DocId) -> Result<(), StoreError> {
    let (transaction, records, index) = begin(&database, IdbTransactionMode::Readwrite)?;
    let outcome = Outcome::of(&transaction);
    delete_all(&records, &doc)?;
    index.delete(&doc.as_str().into()).map_err(|error| explain(&error))?;
    outcome.complete().await
}
