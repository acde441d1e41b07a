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
use web_sys::{Event, IdbDatabase, IdbObjectStore, IdbTransaction, IdbTransactionMode, IdbVersionChangeEvent};

use super::{
    super::listener::Listener,
    collections,
    layout::{self, Index},
    listing, quota,
    reading::{self, Loaded},
    request::{self, Outcome, done, explain, lost},
};
use crate::{
    collections::{SortedMap, SortedSet},
    protocol::{DocId, RECORDS, Tombstone},
    runtime::{
        AdapterContext, Amendment, Committed, ErrorCode, IndexEntry, LoadedRecords, LocalBoxFuture, RawRecord, RecordsOpening,
        RecordsWrite, RepoError, Safety, StorageNotice, Store, StoreError, StoredDoc, StoredInfo, Write,
    },
    synchronizer::Note,
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
    fn new(database: IdbDatabase, watch: &Rc<Watch>) -> Self {
        let open = Rc::new(Cell::new(true));
        let gone = |tell: fn(&Watch, &Event)| {
            let (open, watch, database) = (Rc::clone(&open), Rc::clone(watch), database.clone());
            move |event: Event| {
                if open.replace(false) {
                    database.close();
                    tell(&watch, &event);
                }
            }
        };
        // A tab that wants to upgrade or delete the database waits until everybody has let go of it.
        let listeners = [
            Listener::new(&database, "versionchange", gone(Watch::wanted_by_others)),
            Listener::new(&database, "close", gone(|watch, _| watch.lost("the browser has closed the database"))),
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

/// What the store tells its adapter.
pub(super) struct Watch {
    context: AdapterContext,
    /// A newer program has the database now.
    superseded: Cell<bool>,
    /// Called when the database turns out to be another one than before, or with `true` to be a newer program's.
    replaced: Box<dyn Fn(bool)>,
}

impl Watch {
    pub(super) fn new(context: AdapterContext, replaced: impl Fn(bool) + 'static) -> Rc<Self> {
        Rc::new(Self { context, superseded: Cell::new(false), replaced: Box::new(replaced) })
    }

    pub(super) fn is_superseded(&self) -> bool {
        self.superseded.get()
    }

    fn wanted_by_others(&self, event: &Event) {
        let newer = event.dyn_ref::<IdbVersionChangeEvent>().and_then(IdbVersionChangeEvent::new_version);
        if newer.is_some() {
            self.supersede("another tab runs a newer version of this page, which has taken over storage; reload this one");
        } else {
            self.lost("another tab deletes the database");
        }
    }

    fn lost(&self, why: &str) {
        let text = format!("{why}; it is opened again at the next use");
        self.context.notice(StorageNotice::Lost(RepoError::new(ErrorCode::Storage, text)));
    }

    fn supersede(&self, why: &str) {
        if !self.superseded.replace(true) {
            self.context.notice(StorageNotice::Superseded(RepoError::new(ErrorCode::Storage, why)));
            (self.replaced)(true);
        }
    }
}

/// Shared by the store and its operations under way.
struct Shared {
    name: String,
    watch: Rc<Watch>,
    /// Tells the database from another one of the same name.
    birth: RefCell<Option<String>>,
    connection: RefCell<Option<Rc<Connection>>>,
    closed: Cell<bool>,
    /// Something was written since the browser was asked to keep it.
    written: Cell<bool>,
    /// Where this store puts things aside.
    aside: String,
    /// Documents whose index records were written since the listing was packed …
    unpacked: RefCell<SortedSet<DocId>>,
    /// … of so many.
    listed: Cell<usize>,
}

impl Shared {
    async fn connection(&self) -> Result<Rc<Connection>, StoreError> {
        if self.closed.get() || self.watch.is_superseded() {
            return Err(lost("the store is closed"));
        }
        let present = self.connection.borrow().clone();
        if let Some(present) = present.filter(|connection| connection.open.get()) {
            return Ok(present);
        }
        let fresh = format!("{:016x}", self.watch.context.env().random_u64());
        let blocked = {
            let context = self.watch.context.clone();
            move || {
                let text = "another tab keeps an older database open; close it or reload it";
                context.notice(StorageNotice::Blocked(RepoError::new(ErrorCode::Storage, text)));
            }
        };
        let database = request::open(&self.name, &fresh, blocked).await?;
        let connection = Rc::new(Connection::new(database, &self.watch));
        let birth = birth_of(&connection.database).await?;
        if self.closed.get() {
            return Err(lost("the store is closed"));
        }
        let known = self.birth.borrow().clone();
        if known.is_some_and(|known| known != birth) {
            self.closed.set(true);
            // What this store was believed to have is not there.
            (self.watch.replaced)(false);
            return Err(lost("the database was deleted and made anew"));
        }
        *self.birth.borrow_mut() = Some(birth);
        *self.connection.borrow_mut() = Some(Rc::clone(&connection));
        Ok(connection)
    }

    /// Something was to be written: after the first time the browser is asked to keep it.
    fn tried(&self, error: Option<&StoreError>, nothing: bool) {
        match error {
            None if nothing || self.written.replace(true) => {}
            None => quota::keep(&self.watch.context, &self.name, self.birth.borrow().as_deref()),
            Some(StoreError::Full(_)) => quota::tell_room(&self.watch.context),
            Some(_) => {}
        }
    }

    /// Index records were written: packs the listing when they are many. Nothing depends on that.
    async fn pack_after(&self, docs: impl Iterator<Item = &DocId>) {
        self.unpacked.borrow_mut().extend(docs.cloned());
        let many = self.unpacked.borrow().len();
        if many >= listing::most_loose(self.listed.get()) {
            self.pack(self.listed.get() + many).await;
        }
    }

    async fn pack(&self, listed: usize) {
        self.unpacked.borrow_mut().clear();
        self.listed.set(listed);
        let _ = self.with_database(listing::pack).await;
    }

    fn forget(&self, connection: &Rc<Connection>) {
        let mut present = self.connection.borrow_mut();
        if present.as_ref().is_some_and(|present| Rc::ptr_eq(present, connection)) {
            *present = None;
        }
    }

    /// Reads documents in one transaction.
    async fn read(&self, docs: Rc<Vec<DocId>>) -> Result<Vec<Loaded>, StoreError> {
        let read = |database| {
            let docs = Rc::clone(&docs);
            async move {
                let loaded = reading::load_all(database, &docs).await?;
                match loaded.iter().find_map(|loaded| loaded.as_ref().err().filter(|error| matches!(error, StoreError::Unavailable(_)))) {
                    Some(error) if docs.len() == 1 => Err(error.clone()),
                    _ => Ok(loaded),
                }
            }
        };
        self.with_database(read).await
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

/// Documents and records in one IndexedDB database.
pub(super) struct IndexedDbStore {
    shared: Rc<Shared>,
    /// Completes when the writes asked for so far have; each write replaces it.
    tail: RefCell<Option<oneshot::Receiver<()>>>,
}

impl IndexedDbStore {
    /// Opens the database.
    pub(super) async fn open(name: &str, watch: Rc<Watch>) -> Result<Self, StoreError> {
        let shared = Shared {
            name: name.to_owned(),
            aside: format!("{}{:016x}", layout::ASIDE, watch.context.env().random_u64()),
            watch,
            birth: RefCell::default(),
            connection: RefCell::default(),
            closed: Cell::new(false),
            written: Cell::new(false),
            unpacked: RefCell::default(),
            listed: Cell::new(0),
        };
        let connection = shared.connection().await?;
        // What cannot be written now stays aside.
        let _ = take_back(&connection.database).await;
        Ok(Self { shared: Rc::new(shared), tail: RefCell::default() })
    }

    /// Returns what tells this database from another one of the same name.
    pub(super) fn birth(&self) -> String {
        self.shared.birth.borrow().clone().unwrap_or_default()
    }

    /// Gives what completes when all that was queued before is done, and what the next one waits for to be dropped.
    fn turn(&self) -> (LocalBoxFuture<()>, oneshot::Sender<()>) {
        let (finished, tail) = oneshot::channel();
        let before = self.tail.replace(Some(tail));
        let turn = Box::pin(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
        });
        (turn, finished)
    }

    /// Does `work` after all that was queued before, in the order of the calls.
    fn queue<T: 'static>(&self, work: impl Future<Output = T> + 'static) -> LocalBoxFuture<T> {
        let (turn, finished) = self.turn();
        Box::pin(async move {
            turn.await;
            let outcome = work.await;
            drop(finished);
            outcome
        })
    }
}

impl Store for IndexedDbStore {
    fn name(&self) -> &str {
        "indexeddb"
    }

    fn load(&self, doc: &DocId) -> LocalBoxFuture<Result<Option<StoredDoc>, StoreError>> {
        let loaded = self.load_all(vec![doc.clone()]);
        Box::pin(async move { loaded.await.pop().unwrap_or_else(|| Err(lost("nothing was read"))) })
    }

    fn load_all(&self, docs: Vec<DocId>) -> LocalBoxFuture<Vec<Loaded>> {
        let (shared, docs) = (Rc::clone(&self.shared), Rc::new(docs));
        Box::pin(async move {
            let mut loaded = match shared.read(Rc::clone(&docs)).await {
                Ok(loaded) => loaded,
                Err(error) => return vec![Err(error); docs.len()],
            };
            // What ended the transaction must not cost those that were still to come.
            for (doc, loaded) in docs.iter().zip(&mut loaded).filter(|_| docs.len() > 1) {
                if matches!(loaded, Err(error) if !matches!(error, StoreError::Corrupt(_))) {
                    let alone = shared.read(Rc::new(vec![doc.clone()])).await;
                    *loaded = alone.and_then(|mut alone| alone.pop().unwrap_or_else(|| Err(lost("nothing was read"))));
                }
            }
            loaded
        })
    }

    fn index(&self, doc: &DocId) -> LocalBoxFuture<Result<Option<IndexEntry>, StoreError>> {
        let (shared, doc) = (Rc::clone(&self.shared), doc.clone());
        Box::pin(async move { shared.with_database(|database| index_of(database, doc.clone())).await })
    }

    fn list(&self) -> LocalBoxFuture<Result<Vec<StoredInfo>, StoreError>> {
        let shared = Rc::clone(&self.shared);
        Box::pin(async move {
            let listed = shared.with_database(listing::list).await?;
            shared.listed.set(listed.infos.len());
            if listed.loose >= listing::most_loose(listed.infos.len()) {
                let shared = Rc::clone(&shared);
                shared.watch.context.env().spawn(Box::pin(async move { shared.pack(shared.listed.get()).await }));
            }
            for (doc, error) in listed.damaged {
                let told = RepoError::new(ErrorCode::Storage, format!("document {doc:?}: {error}")).with_cause(error);
                shared.watch.context.notice(StorageNotice::Damaged(doc, told));
            }
            Ok(listed.infos)
        })
    }

    fn commit(&self, writes: Vec<Write>, safety: Safety) -> LocalBoxFuture<Result<Committed, StoreError>> {
        let shared = Rc::clone(&self.shared);
        let writes = Rc::new(writes);
        self.queue(async move {
            let outcome = shared.with_database(|database| write(database, Rc::clone(&writes), safety)).await;
            shared.tried(outcome.as_ref().err(), writes.is_empty());
            if outcome.is_ok() {
                shared.pack_after(writes.iter().map(|write| &write.doc)).await;
            }
            outcome
        })
    }

    fn sync(&self) -> LocalBoxFuture<Result<(), StoreError>> {
        let shared = Rc::clone(&self.shared);
        self.queue(async move { shared.with_database(sync).await })
    }

    fn salvage(&self, doc: &DocId) -> LocalBoxFuture<Result<Vec<RawRecord>, StoreError>> {
        let (shared, doc) = (Rc::clone(&self.shared), doc.clone());
        Box::pin(async move { shared.with_database(|database| salvage(database, doc.clone())).await })
    }

    fn bury(&self, doc: &DocId, tombstone: Tombstone) -> LocalBoxFuture<Result<(), StoreError>> {
        let (shared, doc) = (Rc::clone(&self.shared), doc.clone());
        self.queue(async move { shared.with_database(|database| bury(database, doc.clone(), tombstone.clone())).await })
    }

    fn confirm(&self, confirmed: Vec<Note>) -> LocalBoxFuture<Result<(), StoreError>> {
        let shared = Rc::clone(&self.shared);
        let confirmed = Rc::new(confirmed);
        self.queue(async move {
            shared.with_database(|database| confirm(database, Rc::clone(&confirmed))).await?;
            shared.pack_after(confirmed.iter().map(|confirmed| &confirmed.doc)).await;
            Ok(())
        })
    }

    fn amend(&self, name: &'static str, change: Amendment) -> LocalBoxFuture<Result<Option<Bytes>, StoreError>> {
        let shared = Rc::clone(&self.shared);
        self.queue(async move { shared.with_database(|database| amend(database, name, Amendment::clone(&change))).await })
    }

    fn load_records(&self, opening: RecordsOpening) -> LocalBoxFuture<Result<Option<LoadedRecords>, StoreError>> {
        if !RECORDS {
            return Box::pin(std::future::ready(Ok(None)));
        }
        let shared = Rc::clone(&self.shared);
        self.queue(async move { shared.with_database(|database| collections::load(database, opening)).await.map(Some) })
    }

    fn write_records(&self, write: RecordsWrite) -> LocalBoxFuture<Result<(), StoreError>> {
        if !RECORDS {
            return Box::pin(std::future::ready(Ok(())));
        }
        let shared = Rc::clone(&self.shared);
        let write = Rc::new(write);
        self.queue(async move {
            let outcome = shared.with_database(|database| collections::write(database, Rc::clone(&write))).await;
            shared.tried(outcome.as_ref().err(), write.records.is_empty());
            outcome
        })
    }

    fn remove(&self, doc: &DocId) -> LocalBoxFuture<Result<(), StoreError>> {
        let (shared, doc) = (Rc::clone(&self.shared), doc.clone());
        self.queue(async move { shared.with_database(|database| remove(database, doc.clone())).await })
    }

    fn put_aside(&self, writes: Vec<Write>) {
        let connection = self.shared.connection.borrow().clone();
        if let Some(connection) = connection.filter(|connection| connection.open.get()) {
            // Nobody may be there to hear of a failure: this is done beside what is done anyway.
            if !writes.is_empty() {
                request::give_way(&connection.database);
            }
            let _ = put_aside(&connection.database, &self.shared.aside, &writes);
        }
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

pub(super) fn transaction(
    database: &IdbDatabase,
    stores: &[&str],
    mode: IdbTransactionMode,
    safety: Safety,
) -> Result<IdbTransaction, StoreError> {
    let options = Object::new();
    let durability = match safety {
        // "Complete" means that the operating system has it.
        Safety::Relaxed => "relaxed",
        // It means that the disk has it.
        Safety::Strict => "strict",
    };
    let _ = Reflect::set(&options, &"durability".into(), &durability.into());
    let stores: Array = stores.iter().map(|store| JsValue::from(*store)).collect();
    database.unchecked_ref::<DurableDatabase>().transaction(&stores, mode, &options).map_err(|error| explain(&error))
}

fn begin(database: &IdbDatabase, mode: IdbTransactionMode, safety: Safety) -> Result<(IdbTransaction, Tables), StoreError> {
    let transaction = transaction(database, &[layout::RECORDS, layout::INDEX, layout::LISTING], mode, safety)?;
    let tables = Tables::of(&transaction)?;
    Ok((transaction, tables))
}

/// The object stores of documents, within a transaction.
struct Tables {
    records: IdbObjectStore,
    index: IdbObjectStore,
    listing: IdbObjectStore,
}

impl Tables {
    fn of(transaction: &IdbTransaction) -> Result<Self, StoreError> {
        let store = |name| transaction.object_store(name).map_err(|error| explain(&error));
        Ok(Self { records: store(layout::RECORDS)?, index: store(layout::INDEX)?, listing: store(layout::LISTING)? })
    }

    fn put_index(&self, doc: &DocId, index: &Index) -> Result<(), StoreError> {
        self.index.put_with_key(&index.to_js(), &doc.as_str().into()).map_err(|error| explain(&error))?;
        listing::note(&self.listing, doc, &index.entry)
    }

    fn delete_records(&self, doc: &DocId) -> Result<(), StoreError> {
        let range = layout::record_range(doc)?;
        self.records.delete(&range).map_err(|error| explain(&error))?;
        Ok(())
    }
}

async fn birth_of(database: &IdbDatabase) -> Result<String, StoreError> {
    let meta = transaction(database, &[layout::META], IdbTransactionMode::Readonly, Safety::Relaxed)?;
    let meta = meta.object_store(layout::META).map_err(|error| explain(&error))?;
    let birth = done(&meta.get(&layout::BIRTH.into()).map_err(|error| explain(&error))?).await?;
    birth.as_string().ok_or_else(|| StoreError::Corrupt("the database does not say which one it is".to_owned()))
}

/// A strict transaction brings those before it to the disk, if it writes something.
async fn sync(database: IdbDatabase) -> Result<(), StoreError> {
    let transaction = transaction(&database, &[layout::META], IdbTransactionMode::Readwrite, Safety::Strict)?;
    let outcome = Outcome::of(&transaction);
    let meta = transaction.object_store(layout::META).map_err(|error| explain(&error))?;
    meta.put_with_key(&js_sys::Date::now().into(), &layout::SYNCED.into()).map_err(|error| explain(&error))?;
    outcome.complete().await
}

async fn salvage(database: IdbDatabase, doc: DocId) -> Result<Vec<RawRecord>, StoreError> {
    let (_, Tables { records, .. }) = begin(&database, IdbTransactionMode::Readonly, Safety::Relaxed)?;
    let range = layout::record_range(&doc)?;
    let keys = records.get_all_keys_with_key(&range).map_err(|error| explain(&error))?;
    let values = records.get_all_with_key(&range).map_err(|error| explain(&error))?;
    let keys = Array::from(&done(&keys).await?);
    let values = Array::from(&done(&values).await?);
    Ok(keys.iter().zip(values.iter()).map(|(key, value)| layout::raw_record(&key, &value)).collect())
}

async fn index_of(database: IdbDatabase, doc: DocId) -> Result<Option<IndexEntry>, StoreError> {
    let transaction = transaction(&database, &[layout::INDEX], IdbTransactionMode::Readonly, Safety::Relaxed)?;
    let index = transaction.object_store(layout::INDEX).map_err(|error| explain(&error))?;
    let value = done(&index.get(&doc.as_str().into()).map_err(|error| explain(&error))?).await?;
    if value.is_undefined() { Ok(None) } else { Index::from_js(&value).map(|index| Some(index.entry)) }
}

async fn write(database: IdbDatabase, writes: Rc<Vec<Write>>, safety: Safety) -> Result<Committed, StoreError> {
    let (transaction, tables) = begin(&database, IdbTransactionMode::Readwrite, safety)?;
    let outcome = Outcome::of(&transaction);
    let mut committed = Committed::default();
    let requested = write_all(&tables, &writes, &mut committed).await;
    finish(&transaction, outcome, requested).await.map(|()| committed)
}

/// Writes without reading first, so that nothing is left to be done here: of a page that ends, the browser finishes only transactions that
/// were told to commit.
fn put_aside(database: &IdbDatabase, key: &str, writes: &[Write]) -> Result<(), JsValue> {
    let transaction = database.transaction_with_str_and_mode(layout::META, IdbTransactionMode::Readwrite)?;
    let store = transaction.object_store(layout::META)?;
    let key = JsValue::from(key);
    if writes.is_empty() {
        store.delete(&key)?;
    } else {
        let aside: Array = writes.iter().map(layout::aside_to_js).collect();
        store.put_with_key(&aside, &key)?;
    }
    request::commit(&transaction);
    Ok(())
}

/// Writes what was put aside as it would have been.
async fn take_back(database: &IdbDatabase) -> Result<(), StoreError> {
    let range = layout::aside_range()?;
    let meta = transaction(database, &[layout::META], IdbTransactionMode::Readonly, Safety::Relaxed)?;
    let meta = meta.object_store(layout::META).map_err(|error| explain(&error))?;
    if done(&meta.count_with_key(&range).map_err(|error| explain(&error))?).await?.as_f64() == Some(0.0) {
        return Ok(());
    }
    let all = [layout::RECORDS, layout::INDEX, layout::LISTING, layout::META];
    let transaction = transaction(database, &all, IdbTransactionMode::Readwrite, Safety::Strict)?;
    let outcome = Outcome::of(&transaction);
    let meta = transaction.object_store(layout::META).map_err(|error| explain(&error))?;
    let requested = take_all_back(&Tables::of(&transaction)?, &meta, &range).await;
    finish(&transaction, outcome, requested).await
}

async fn take_all_back(tables: &Tables, meta: &IdbObjectStore, range: &JsValue) -> Result<(), StoreError> {
    let keys = meta.get_all_keys_with_key(range).map_err(|error| explain(&error))?;
    let values = meta.get_all_with_key(range).map_err(|error| explain(&error))?;
    let keys = Array::from(&done(&keys).await?);
    let values = Array::from(&done(&values).await?);
    for (key, value) in keys.iter().zip(values.iter()) {
        // What cannot be read stays.
        let Ok(writes) = Array::from(&value).iter().map(|write| layout::aside_from_js(&write)).collect::<Result<Vec<_>, _>>() else {
            continue;
        };
        let mut committed = Committed::default();
        write_all(tables, &writes, &mut committed).await?;
        if committed.refused.is_empty() {
            meta.delete(&key).map_err(|error| explain(&error))?;
        }
    }
    Ok(())
}

async fn bury(database: IdbDatabase, doc: DocId, tombstone: Tombstone) -> Result<(), StoreError> {
    let (transaction, tables) = begin(&database, IdbTransactionMode::Readwrite, Safety::Strict)?;
    let outcome = Outcome::of(&transaction);
    let requested = bury_one(&tables, &doc, tombstone).await;
    finish(&transaction, outcome, requested).await
}

/// Waits until the transaction has ended, which is given up if not all could be requested.
pub(super) async fn finish(transaction: &IdbTransaction, outcome: Outcome, requested: Result<(), StoreError>) -> Result<(), StoreError> {
    let Err(error) = requested else { return outcome.complete().await };
    // It may have aborted already, with the reason that matters.
    let _ = transaction.abort();
    match (error, outcome.complete().await) {
        (error @ (StoreError::Corrupt(_) | StoreError::Full(_) | StoreError::Other(_)), _) | (error, Ok(())) => Err(error),
        (_, Err(reason)) => Err(reason),
    }
}

async fn write_all(tables: &Tables, writes: &[Write], committed: &mut Committed) -> Result<(), StoreError> {
    let mut present = stored_all(&tables.index, writes.iter().map(|write| &write.doc)).await?;
    for write in writes {
        let merged = match present.get_mut(&write.doc) {
            Some(Ok(merged)) => merged,
            // One damaged index record must not cost the other documents.
            Some(Err(error)) => {
                committed.refused.push((write.doc.clone(), error.clone()));
                continue;
            }
            None => continue,
        };
        if !merged.entry.takes(write) {
            continue;
        }
        if merged.entry.merge(write) {
            merged.clear();
            tables.delete_records(&write.doc)?;
        }
        for key in write.replaces.iter().filter(|key| **key != write.record.key) {
            merged.remove(key);
            tables.records.delete(&layout::record_key(&write.doc, key)).map_err(|error| explain(&error))?;
        }
        merged.add(&write.record);
        let key = layout::record_key(&write.doc, &write.record.key);
        tables.records.put_with_key(&layout::record_to_js(&write.record), &key).map_err(|error| explain(&error))?;
        tables.put_index(&write.doc, merged)?;
        committed.records.push((write.doc.clone(), merged.entry.records));
    }
    Ok(())
}

async fn bury_one(tables: &Tables, doc: &DocId, tombstone: Tombstone) -> Result<(), StoreError> {
    let mut merged = stored(&tables.index, &doc.as_str().into()).await?;
    if merged.entry.bury(tombstone) {
        merged.clear();
        tables.delete_records(doc)?;
    }
    tables.put_index(doc, &merged)
}

async fn confirm(database: IdbDatabase, confirmed: Rc<Vec<Note>>) -> Result<(), StoreError> {
    let (transaction, tables) = begin(&database, IdbTransactionMode::Readwrite, Safety::Relaxed)?;
    let outcome = Outcome::of(&transaction);
    let requested = confirm_all(&tables, &confirmed).await;
    finish(&transaction, outcome, requested).await
}

async fn confirm_all(tables: &Tables, confirmed: &[Note]) -> Result<(), StoreError> {
    let mut present = stored_all(&tables.index, confirmed.iter().map(|confirmed| &confirmed.doc)).await?;
    for confirmed in confirmed {
        let Some(known) = present.get_mut(&confirmed.doc) else { continue };
        let known = known.as_mut().map_err(|error| error.clone())?;
        if known.entry.confirm(confirmed) {
            tables.put_index(&confirmed.doc, known)?;
        }
    }
    Ok(())
}

async fn amend(database: IdbDatabase, name: &str, change: Amendment) -> Result<Option<Bytes>, StoreError> {
    let transaction = transaction(&database, &[layout::META], IdbTransactionMode::Readwrite, Safety::Strict)?;
    let values = transaction.object_store(layout::META).map_err(|error| explain(&error))?;
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

/// Returns the index record as the transaction sees it, an empty one if there is none.
async fn stored(index: &IdbObjectStore, id: &JsValue) -> Result<Index, StoreError> {
    read(&done(&index.get(id).map_err(|error| explain(&error))?).await?)
}

/// Returns the index records of documents as the transaction sees them. All are asked for before any has come: they come together.
async fn stored_all(
    index: &IdbObjectStore,
    docs: impl Iterator<Item = &DocId>,
) -> Result<SortedMap<DocId, Result<Index, StoreError>>, StoreError> {
    let mut requests = Vec::new();
    for doc in docs {
        requests.push((doc.clone(), index.get(&doc.as_str().into()).map_err(|error| explain(&error))?));
    }
    let mut present = SortedMap::new();
    // When the last has come all have.
    for (doc, request) in requests.into_iter().rev() {
        let row = match done(&request).await {
            Err(error @ StoreError::Corrupt(_)) => Err(error),
            row => read(&row?),
        };
        present.insert(doc, row);
    }
    Ok(present)
}

pub(super) fn read(index: &JsValue) -> Result<Index, StoreError> {
    if index.is_undefined() { Ok(Index::default()) } else { Index::from_js(index) }
}

async fn remove(database: IdbDatabase, doc: DocId) -> Result<(), StoreError> {
    let (transaction, tables) = begin(&database, IdbTransactionMode::Readwrite, Safety::Strict)?;
    let outcome = Outcome::of(&transaction);
    tables.delete_records(&doc)?;
    tables.index.delete(&doc.as_str().into()).map_err(|error| explain(&error))?;
    listing::note_removed(&tables.listing, &doc)?;
    outcome.complete().await
}
