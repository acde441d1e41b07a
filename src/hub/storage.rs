//! Documents in one database file, written by one thread.
//!
//! Decides how records lie in the database and which writes share a commit. Never reads what a record holds.
//!
//! The database is redb: pure Rust, maintained, one file, ACID by copy-on-write B+trees, so a killed process leaves the last
//! commit whole and needs no log replay. SQLite is the better known choice and as safe, but brings a C compiler and a query language for two
//! ordered maps. fjall (a log-structured tree) writes faster in bulk, over many files and with compaction to tune. sled has had no
//! stable release since 2021.
//!
//! Every commit waits for the disk (durability "immediate"). That wait is shared: what arrives during one commit goes into the next.

mod care;
mod overlay;
mod panics;
mod records;

pub use care::{Checked, Compacted, Problem, Stats, check, compact, stats};

use std::{
    cell::RefCell,
    fs::{self, TryLockError},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use bytes::Bytes;
use futures_channel::oneshot;
use redb::{
    Builder, CommitError, Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend, StorageError, Table,
    TableDefinition, TableError, TransactionError, WriteTransaction,
};

use crate::{
    protocol::{DocId, Tombstone},
    runtime::{
        Adapter, AdapterContext, AdapterState, Amendment, Committed, IndexEntry, LoadedRecords, LocalBoxFuture, RawRecord, Record,
        RecordKey, RecordKind, RecordsOpening, RecordsWrite, Safety, Store, StoreError, StoredDoc, StoredInfo, Write, decode_index,
        encode_index,
    },
    synchronizer::{ChannelKind, Note},
};

/// `(document, record key)` to `(kind, bytes)`.
const RECORDS: TableDefinition<'_, (&str, &str), (u8, &[u8])> = TableDefinition::new("records");
/// Document to what [`encode_index`] makes of its index record.
const INDEX: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("index");

/// Name to a small value kept beside the documents.
const VALUES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("values");

const FILE: &str = "corella.redb";
/// What the database is called until it can be opened.
const UNFINISHED: &str = "corella.redb.new";
/// Locked as long as the folder is in use.
const LOCK: &str = "corella.lock";
const CACHE_BYTES: usize = 64 * 1024 * 1024;
const SNAPSHOT: u8 = 1;
const UPDATE: u8 = 2;
/// Where a commit is closed, so that the first of many waiting writes need not wait for the last.
const COMMIT_BYTES: usize = 32 * 1024 * 1024;

/// A store in a redb database.
///
/// Cheap to clone; clones share the database, which is closed by [`Store::close`] or with the last of them.
#[derive(Debug, Clone)]
pub struct RedbStore {
    jobs: mpsc::Sender<Job>,
    writable: Arc<AtomicBool>,
}

/// Gives a repo its [`RedbStore`].
#[derive(Debug)]
pub struct RedbAdapter {
    store: RefCell<Option<RedbStore>>,
}

enum Job {
    Write { writes: Vec<Write>, done: Answer<Committed> },
    Salvage { doc: DocId, done: Answer<Vec<RawRecord>> },
    Bury { doc: DocId, tombstone: Tombstone, done: Answer<()> },
    Remove { doc: DocId, done: Answer<()> },
    Confirm { confirmed: Vec<Note>, done: Answer<()> },
    Amend { name: &'static str, change: Amendment, done: Answer<Option<Bytes>> },
    Load { doc: DocId, done: Answer<Option<StoredDoc>> },
    LoadAll { docs: Vec<DocId>, done: oneshot::Sender<Vec<Loaded>> },
    Index { doc: DocId, done: Answer<Option<IndexEntry>> },
    List { done: Answer<Vec<StoredInfo>> },
    LoadRecords { opening: RecordsOpening, done: Answer<Option<LoadedRecords>> },
    WriteRecords { write: Box<RecordsWrite>, done: Answer<()> },
    Close { done: oneshot::Sender<()> },
}

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;
type Loaded = Result<Option<StoredDoc>, StoreError>;

impl RedbStore {
    /// Opens the database in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the folder cannot be written or another process has the database,
    /// [`StoreError::Corrupt`] if the file is not a database.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(|error| StoreError::Unavailable(format!("cannot create {}: {error}", folder.display())))?;
        let lock = lock(&folder.join(LOCK))?;
        let path = folder.join(FILE);
        if !path.exists() {
            make_file(folder, &path)?;
        }
        let database = open_file(&path)?;
        make_tables(&database).map_err(|error| care::named(&path, error))?;
        Self::run(database, Some(File::at(path)), Some(lock))
    }

    /// Opens a database on storage of the caller, such as one that fails on purpose. `storage` is called again after an error of it.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    pub fn on<B: StorageBackend>(storage: impl Fn() -> B + Clone + Send + 'static) -> Result<Self, StoreError> {
        let beneath = storage.clone();
        let open = move || {
            let opened = Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(storage());
            opened.map_err(|error| database_error(&error))
        };
        let look = move || overlay::look_at(beneath()).map_err(|error| database_error(&error));
        Self::run(open()?, Some(File { open: Box::new(open), look: Box::new(look) }), None)
    }

    /// Makes a database that is gone with its store.
    ///
    /// # Errors
    /// [`StoreError::Other`] if its thread cannot be started.
    pub fn in_memory() -> Result<Self, StoreError> {
        let database =
            Builder::new().create_with_backend(redb::backends::InMemoryBackend::new()).map_err(|error| database_error(&error))?;
        Self::run(database, None, None)
    }

    /// Returns whether the last commit succeeded: if not, the disk takes nothing at the moment.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    fn run(database: Database, file: Option<File>, lock: Option<fs::File>) -> Result<Self, StoreError> {
        make_tables(&database)?;
        let (jobs, inbox) = mpsc::channel();
        let writable = Arc::new(AtomicBool::new(true));
        let worker = Worker { database: Some(database), glimpse: None, file, lock, inbox, writable: Arc::clone(&writable) };
        thread::Builder::new()
            .name("corella-storage".into())
            .spawn(move || worker.run())
            .map_err(|error| StoreError::Other(format!("no thread for storage: {error}")))?;
        Ok(Self { jobs, writable })
    }

    /// Hands a job to the thread at once, whether or not the answer is waited for.
    fn ask<T: 'static>(&self, job: impl FnOnce(Answer<T>) -> Job) -> LocalBoxFuture<Result<T, StoreError>> {
        let (done, answer) = oneshot::channel();
        // A failed send drops `done`, and the answer says so.
        let _ = self.jobs.send(job(done));
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(closed())) })
    }
}

impl Store for RedbStore {
    fn name(&self) -> &str {
        "redb"
    }

    fn load(&self, doc: &DocId) -> LocalBoxFuture<Result<Option<StoredDoc>, StoreError>> {
        let doc = doc.clone();
        self.ask(|done| Job::Load { doc, done })
    }

    fn load_all(&self, docs: Vec<DocId>) -> LocalBoxFuture<Vec<Loaded>> {
        let (count, (done, loaded)) = (docs.len(), oneshot::channel());
        let _ = self.jobs.send(Job::LoadAll { docs, done });
        Box::pin(async move { loaded.await.unwrap_or_else(|_| vec![Err(closed()); count]) })
    }

    fn index(&self, doc: &DocId) -> LocalBoxFuture<Result<Option<IndexEntry>, StoreError>> {
        let doc = doc.clone();
        self.ask(|done| Job::Index { doc, done })
    }

    fn list(&self) -> LocalBoxFuture<Result<Vec<StoredInfo>, StoreError>> {
        self.ask(|done| Job::List { done })
    }

    /// Every commit is strict: relays acknowledge what others rely on.
    fn commit(&self, writes: Vec<Write>, _safety: Safety) -> LocalBoxFuture<Result<Committed, StoreError>> {
        self.ask(|done| Job::Write { writes, done })
    }

    fn sync(&self) -> LocalBoxFuture<Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn salvage(&self, doc: &DocId) -> LocalBoxFuture<Result<Vec<RawRecord>, StoreError>> {
        let doc = doc.clone();
        self.ask(|done| Job::Salvage { doc, done })
    }

    fn bury(&self, doc: &DocId, tombstone: Tombstone) -> LocalBoxFuture<Result<(), StoreError>> {
        let doc = doc.clone();
        self.ask(|done| Job::Bury { doc, tombstone, done })
    }

    fn confirm(&self, confirmed: Vec<Note>) -> LocalBoxFuture<Result<(), StoreError>> {
        self.ask(|done| Job::Confirm { confirmed, done })
    }

    fn amend(&self, name: &'static str, change: Amendment) -> LocalBoxFuture<Result<Option<Bytes>, StoreError>> {
        self.ask(|done| Job::Amend { name, change, done })
    }

    fn remove(&self, doc: &DocId) -> LocalBoxFuture<Result<(), StoreError>> {
        let doc = doc.clone();
        self.ask(|done| Job::Remove { doc, done })
    }

    fn load_records(&self, opening: RecordsOpening) -> LocalBoxFuture<Result<Option<LoadedRecords>, StoreError>> {
        self.ask(|done| Job::LoadRecords { opening, done })
    }

    fn write_records(&self, write: RecordsWrite) -> LocalBoxFuture<Result<(), StoreError>> {
        self.ask(|done| Job::WriteRecords { write: Box::new(write), done })
    }

    fn close(&self) -> LocalBoxFuture<()> {
        let (done, closed) = oneshot::channel();
        let _ = self.jobs.send(Job::Close { done });
        Box::pin(async move {
            let _ = closed.await;
        })
    }
}

impl RedbAdapter {
    /// Makes an adapter for an open store.
    #[must_use]
    pub fn new(store: RedbStore) -> Self {
        Self { store: RefCell::new(Some(store)) }
    }
}

impl Adapter for RedbAdapter {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Storage
    }

    fn name(&self) -> &str {
        "redb"
    }

    fn start(&self, context: AdapterContext) {
        let store = self.store.borrow_mut().take();
        if let Some(store) = store {
            context.open_store(Rc::new(store));
        }
    }

    fn stop(&self) -> LocalBoxFuture<()> {
        Box::pin(std::future::ready(()))
    }

    fn state(&self) -> AdapterState {
        AdapterState::Open
    }
}

/// Something that changes the database, with whoever waits for it.
enum Change {
    Write(Vec<Write>),
    Bury(DocId, Tombstone),
    Remove(DocId),
    Records(Box<RecordsWrite>),
    Confirm(Vec<Note>),
}

/// Who waits for a change.
enum Waiting {
    /// Hears which documents could not be written.
    Writer(Answer<Committed>),
    Other(Answer<()>),
}

struct Worker {
    /// `None` after an error of the disk: redb then wants the file opened again.
    database: Option<Database>,
    /// The same, to be read, as long as it cannot be opened again.
    glimpse: Option<Database>,
    file: Option<File>,
    /// The folder's.
    lock: Option<fs::File>,
    inbox: mpsc::Receiver<Job>,
    writable: Arc<AtomicBool>,
}

type Open = Box<dyn Fn() -> Result<Database, StoreError> + Send>;

/// Where a database is.
struct File {
    open: Open,
    /// Opens it without changing it: what redb writes to repair it stays in memory.
    look: Open,
}

impl File {
    fn at(path: PathBuf) -> Self {
        let again = path.clone();
        let look = move || {
            let file = fs::File::open(&path).map_err(|error| io_error(&error))?;
            overlay::look_at_file(file).map_err(|error| database_error(&error))
        };
        Self { open: Box::new(move || open_file(&again)), look: Box::new(look) }
    }
}

impl Worker {
    fn run(mut self) {
        let mut changes: Vec<(Change, Waiting)> = Vec::new();
        while let Ok(first) = self.inbox.recv() {
            let mut next = Some(first);
            let mut bytes = 0;
            let mut other = None;
            while let Some(job) = next.take() {
                match job {
                    Job::Write { writes, done } => {
                        bytes += writes.iter().map(|write| write.record.bytes.len()).sum::<usize>();
                        changes.push((Change::Write(writes), Waiting::Writer(done)));
                    }
                    Job::Bury { doc, tombstone, done } => changes.push((Change::Bury(doc, tombstone), Waiting::Other(done))),
                    Job::Remove { doc, done } => changes.push((Change::Remove(doc), Waiting::Other(done))),
                    Job::WriteRecords { write, done } => {
                        bytes += write.records.iter().map(|(_, row)| row.len()).sum::<usize>();
                        changes.push((Change::Records(write), Waiting::Other(done)));
                    }
                    Job::Confirm { confirmed, done } => changes.push((Change::Confirm(confirmed), Waiting::Other(done))),
                    job => other = Some(job),
                }
                if other.is_none() && bytes < COMMIT_BYTES {
                    next = self.inbox.try_recv().ok();
                }
            }
            self.commit(&mut changes);
            match other {
                Some(Job::Load { doc, done }) => {
                    let _ = done.send(self.read(|database| load(database, &doc)));
                }
                Some(Job::LoadAll { docs, done }) => {
                    let loaded = self.read(|database| load_all(database, &docs));
                    // What stands in the way of one must not cost the others.
                    let each = |_| docs.iter().map(|doc| self.read(|database| load(database, doc))).collect();
                    let _ = done.send(loaded.unwrap_or_else(each));
                }
                Some(Job::Salvage { doc, done }) => {
                    let _ = done.send(self.read(|database| salvage(database, &doc)));
                }
                Some(Job::Index { doc, done }) => {
                    let _ = done.send(self.read(|database| index_of(database, &doc)));
                }
                Some(Job::List { done }) => {
                    let _ = done.send(self.read(list));
                }
                Some(Job::LoadRecords { opening, done }) => {
                    let _ = done.send(self.with(|database| records::load(database, opening)).map(Some));
                }
                Some(Job::Amend { name, change, done }) => {
                    let _ = done.send(self.with(|database| amend(database, name, &change)));
                }
                Some(Job::Close { done }) => {
                    drop(self.database.take());
                    drop(self.glimpse.take());
                    drop(self.lock.take());
                    let _ = done.send(());
                    return;
                }
                Some(Job::Write { .. } | Job::Bury { .. } | Job::Remove { .. } | Job::Confirm { .. } | Job::WriteRecords { .. }) | None => {
                }
            }
        }
    }

    fn commit(&mut self, changes: &mut Vec<(Change, Waiting)>) {
        if changes.is_empty() {
            return;
        }
        let outcome = self.with(|database| apply(database, changes.iter().map(|(change, _)| change)));
        self.writable.store(outcome.is_ok(), Ordering::Relaxed);
        let mut outcome = outcome.map(Vec::into_iter);
        for (_, waiting) in changes.drain(..) {
            let committed = match &mut outcome {
                Ok(all) => Ok(all.next().unwrap_or_default()),
                Err(error) => Err(error.clone()),
            };
            match waiting {
                Waiting::Writer(done) => drop(done.send(committed)),
                Waiting::Other(done) => {
                    let first =
                        committed.and_then(|committed| committed.refused.into_iter().next().map_or(Ok(()), |(_, error)| Err(error)));
                    drop(done.send(first));
                }
            }
        }
    }

    fn with<T>(&mut self, work: impl FnOnce(&Database) -> Result<T, Failure>) -> Result<T, StoreError> {
        // It shows what was there before.
        self.glimpse = None;
        let database = match (self.database.take(), &self.file) {
            (Some(database), _) => database,
            (None, Some(file)) => (file.open)()?,
            (None, None) => return Err(closed()),
        };
        let outcome = guarded(|| work(&database));
        if matches!(outcome, Err(Failure { reopen: true, .. })) {
            let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
        } else {
            self.database = Some(database);
        }
        outcome.map_err(|failure| failure.error)
    }

    /// Does what changes nothing, also while the disk takes no writes.
    fn read<T>(&mut self, work: impl FnOnce(&Database) -> Result<T, Failure>) -> Result<T, StoreError> {
        if self.database.is_none() && self.glimpse.is_none() {
            let Some(file) = &self.file else { return Err(closed()) };
            match (file.open)() {
                Ok(database) => self.database = Some(database),
                Err(error) => self.glimpse = Some((file.look)().map_err(|_| error)?),
            }
        }
        match (&self.database, &self.glimpse) {
            (None, Some(database)) => guarded(|| work(database)).map_err(|failure| failure.error),
            _ => self.with(work),
        }
    }
}

/// Damaged pages can make redb panic: that costs the call, and the file is opened again.
fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let error = StoreError::Corrupt("the database made the program panic; `corella-hub check` tells where it is damaged".to_owned());
        Err(Failure { error, reopen: true, row: false })
    })
}

/// Keeps other processes out of the folder for as long as the file lives.
fn lock(path: &Path) -> Result<fs::File, StoreError> {
    let named = |text: String| StoreError::Unavailable(format!("{}: {text}", path.display()));
    let file = fs::File::options().create(true).truncate(false).write(true).open(path).map_err(|error| named(error.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(named("another process is using it".to_owned())),
        // Some network file systems have no locks.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(named(error.to_string())),
    }
}

/// Makes an empty database under another name first: a process killed meanwhile would leave a file that redb takes for a foreign one.
fn make_file(folder: &Path, path: &Path) -> Result<(), StoreError> {
    let unfinished = folder.join(UNFINISHED);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(&error)),
        Ok(()) | Err(_) => {}
    }
    let database = open_file(&unfinished)?;
    make_tables(&database)?;
    drop(database);
    fs::rename(&unfinished, path).map_err(|error| io_error(&error))?;
    // The file's name is an entry of the folder and is not on disk before the folder is; the same goes for a folder made just now.
    let above = folder.canonicalize().ok().and_then(|folder| folder.parent().map(Path::to_owned));
    if let Some(above) = above {
        // It may be somebody else's, who lets nobody look into it.
        let _ = fs::File::open(above).and_then(|folder| folder.sync_all());
    }
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| io_error(&error))
}

fn open_file(path: &Path) -> Result<Database, StoreError> {
    // Found after a kill; checked here so that the message can name the file.
    // It was never made so: something was here.
    if fs::metadata(path).is_ok_and(|file| file.len() == 0) {
        return Err(care::named(path, StoreError::Corrupt("the file is empty".to_owned())));
    }
    let opened = panics::contained(|| Builder::new().set_cache_size(CACHE_BYTES).create(path)).map_err(|why| care::damaged(path, &why))?;
    opened.map_err(|error| care::named(path, database_error(&error)))
}

/// Makes all tables, so that reads find them.
fn make_tables(database: &Database) -> Result<(), StoreError> {
    let make = || -> Result<(), Failure> {
        // A disk without room is no reason not to serve what is there.
        if has_tables(database)? {
            return Ok(());
        }
        let transaction = database.begin_write()?;
        transaction.open_table(RECORDS)?;
        transaction.open_table(INDEX)?;
        records::make_tables(&transaction)?;
        transaction.open_table(VALUES)?;
        transaction.commit()?;
        Ok(())
    };
    panics::contained(make).map_err(StoreError::Corrupt)?.map_err(|failure| failure.error)
}

fn has_tables(database: &Database) -> Result<bool, Failure> {
    let transaction = database.begin_read()?;
    let documents = care::table(&transaction, RECORDS)?.is_some() && care::table(&transaction, INDEX)?.is_some();
    Ok(documents && care::table(&transaction, VALUES)?.is_some() && records::has_tables(&transaction)?)
}

/// Makes all changes in one commit and returns what of each was refused: a damaged index row costs its own document only.
fn apply<'a>(database: &Database, changes: impl Iterator<Item = &'a Change>) -> Result<Vec<Committed>, Failure> {
    let transaction = database.begin_write()?;
    let mut all = Vec::new();
    for change in changes {
        let mut committed = Committed::default();
        match change {
            Change::Write(writes) => {
                for write in writes {
                    let written = write_record(&transaction, write).map(|records| committed.records.push((write.doc.clone(), records)));
                    refuse_damaged(written, &write.doc, &mut committed)?;
                }
            }
            Change::Bury(doc, tombstone) => refuse_damaged(bury_doc(&transaction, doc, tombstone), doc, &mut committed)?,
            Change::Remove(doc) => remove_doc(&transaction, doc)?,
            Change::Records(write) => records::write(&transaction, write)?,
            Change::Confirm(confirmed) => {
                for confirmed in confirmed {
                    refuse_damaged(confirm_doc(&transaction, confirmed), &confirmed.doc, &mut committed)?;
                }
            }
        }
        all.push(committed);
    }
    transaction.commit()?;
    Ok(all)
}

fn refuse_damaged(done: Result<(), Failure>, doc: &DocId, committed: &mut Committed) -> Result<(), Failure> {
    match done {
        Err(Failure { error, row: true, .. }) => {
            committed.refused.push((doc.clone(), error));
            Ok(())
        }
        done => done,
    }
}

/// Returns the number of records the document has afterwards.
fn write_record(transaction: &WriteTransaction, write: &Write) -> Result<u32, Failure> {
    let doc = write.doc.as_str();
    let mut records = transaction.open_table(RECORDS)?;
    let mut table = transaction.open_table(INDEX)?;
    let mut index = read_index(&table, doc)?;
    if !index.takes(write) {
        return Ok(index.records);
    }
    if index.merge(write) {
        remove_records(&mut records, doc)?;
    }
    for key in write.replaces.iter().filter(|key| **key != write.record.key) {
        if let Some(old) = records.remove((doc, key.0.as_str()))? {
            index.records = index.records.saturating_sub(1);
            index.bytes = index.bytes.saturating_sub(old.value().1.len() as u64);
        }
    }
    let kind = match write.record.kind {
        RecordKind::Snapshot => SNAPSHOT,
        RecordKind::Update => UPDATE,
    };
    match records.insert((doc, write.record.key.0.as_str()), (kind, &*write.record.bytes))? {
        Some(old) => index.bytes = index.bytes.saturating_sub(old.value().1.len() as u64),
        None => index.records += 1,
    }
    index.bytes += write.record.bytes.len() as u64;
    table.insert(doc, encode_index(&index).as_slice())?;
    Ok(index.records)
}

fn bury_doc(transaction: &WriteTransaction, doc: &DocId, tombstone: &Tombstone) -> Result<(), Failure> {
    let doc = doc.as_str();
    let mut table = transaction.open_table(INDEX)?;
    let mut index = read_index(&table, doc)?;
    if index.bury(tombstone.clone()) {
        remove_records(&mut transaction.open_table(RECORDS)?, doc)?;
    }
    table.insert(doc, encode_index(&index).as_slice())?;
    Ok(())
}

fn confirm_doc(transaction: &WriteTransaction, confirmed: &Note) -> Result<(), Failure> {
    let doc = confirmed.doc.as_str();
    let mut table = transaction.open_table(INDEX)?;
    let mut index = read_index(&table, doc)?;
    if index.confirm(confirmed) {
        table.insert(doc, encode_index(&index).as_slice())?;
    }
    Ok(())
}

fn amend(database: &Database, name: &str, change: &Amendment) -> Result<Option<Bytes>, Failure> {
    let transaction = database.begin_write()?;
    let before = transaction.open_table(VALUES)?.get(name)?.map(|value| Bytes::copy_from_slice(value.value()));
    let value = change(before.as_deref());
    if value == before {
        transaction.abort()?;
        return Ok(value);
    }
    match &value {
        Some(value) => transaction.open_table(VALUES)?.insert(name, &**value)?.map(drop),
        None => transaction.open_table(VALUES)?.remove(name)?.map(drop),
    };
    transaction.commit()?;
    Ok(value)
}

fn remove_doc(transaction: &WriteTransaction, doc: &DocId) -> Result<(), Failure> {
    remove_records(&mut transaction.open_table(RECORDS)?, doc.as_str())?;
    transaction.open_table(INDEX)?.remove(doc.as_str())?;
    Ok(())
}

fn remove_records(records: &mut Table<'_, (&str, &str), (u8, &[u8])>, doc: &str) -> Result<(), Failure> {
    let mut keys = Vec::new();
    for entry in records.range((doc, "")..)? {
        let (key, _) = entry?;
        if key.value().0 != doc {
            break;
        }
        keys.push(key.value().1.to_owned());
    }
    for key in keys {
        records.remove((doc, key.as_str()))?;
    }
    Ok(())
}

fn read_index(table: &Table<'_, &str, &[u8]>, doc: &str) -> Result<IndexEntry, Failure> {
    table.get(doc)?.map_or_else(|| Ok(IndexEntry::default()), |row| index_row(row.value()))
}

fn load(database: &Database, doc: &DocId) -> Result<Option<StoredDoc>, Failure> {
    load_in(&database.begin_read()?, doc)
}

/// Reads several documents in one transaction. What cannot be read of one is its own error.
fn load_all(database: &Database, docs: &[DocId]) -> Result<Vec<Loaded>, Failure> {
    let transaction = database.begin_read()?;
    let one = |doc| match load_in(&transaction, doc) {
        Err(Failure { error, row: true, .. }) => Ok(Err(error)),
        loaded => loaded.map(Ok),
    };
    docs.iter().map(one).collect()
}

fn load_in(transaction: &ReadTransaction, doc: &DocId) -> Result<Option<StoredDoc>, Failure> {
    let Some(row) = transaction.open_table(INDEX)?.get(doc.as_str())? else { return Ok(None) };
    let index = index_row(row.value())?;
    let mut records = Vec::new();
    for entry in transaction.open_table(RECORDS)?.range((doc.as_str(), "")..)? {
        let (key, value) = entry?;
        let (owner, name) = key.value();
        if owner != doc.as_str() {
            break;
        }
        let (kind, bytes) = value.value();
        let kind = match kind {
            SNAPSHOT => RecordKind::Snapshot,
            UPDATE => RecordKind::Update,
            other => return Err(corrupt(format!("record {name} of document {doc:?} is of unknown kind {other}"))),
        };
        records.push(Record { key: RecordKey(name.to_owned()), kind, bytes: Bytes::copy_from_slice(bytes) });
    }
    Ok(Some(StoredDoc { records, index }))
}

fn salvage(database: &Database, doc: &DocId) -> Result<Vec<RawRecord>, Failure> {
    let transaction = database.begin_read()?;
    let mut records = Vec::new();
    for entry in transaction.open_table(RECORDS)?.range((doc.as_str(), "")..)? {
        let (key, value) = entry?;
        let (owner, name) = key.value();
        if owner != doc.as_str() {
            break;
        }
        let (kind, bytes) = value.value();
        let kind = match kind {
            SNAPSHOT => Some(RecordKind::Snapshot),
            UPDATE => Some(RecordKind::Update),
            _ => None,
        };
        records.push(RawRecord { key: name.to_owned(), kind, bytes: Bytes::copy_from_slice(bytes) });
    }
    Ok(records)
}

fn index_of(database: &Database, doc: &DocId) -> Result<Option<IndexEntry>, Failure> {
    let transaction = database.begin_read()?;
    let row = transaction.open_table(INDEX)?.get(doc.as_str())?;
    row.map(|row| index_row(row.value())).transpose()
}

fn list(database: &Database) -> Result<Vec<StoredInfo>, Failure> {
    let transaction = database.begin_read()?;
    let mut infos = Vec::new();
    for entry in transaction.open_table(INDEX)?.range::<&str>(..)? {
        let (doc, row) = entry?;
        match index_row(row.value()) {
            Ok(index) => infos.push(StoredInfo { doc: DocId::from_wire(doc.value()), index }),
            // One damaged row must not hide the other documents; loading this one gives the error.
            Err(failure) => tracing::error!(doc = doc.value(), error = %failure.error, "index row is damaged"),
        }
    }
    Ok(infos)
}

fn index_row(row: &[u8]) -> Result<IndexEntry, Failure> {
    decode_index(row).map_err(|error| Failure { error, reopen: false, row: true })
}

/// Why work on the database failed, and whether the file must be opened again.
struct Failure {
    error: StoreError,
    reopen: bool,
    /// It is one row that cannot be read, found before anything was changed.
    row: bool,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, reopen: false, row: false }
    }
}

fn corrupt(text: String) -> Failure {
    Failure { error: StoreError::Corrupt(text), reopen: false, row: true }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        let reopen = matches!(error, StorageError::Io(_) | StorageError::PreviousIo);
        Self { error: storage_error(&error), reopen, row: false }
    }
}

impl From<TransactionError> for Failure {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Storage(error) => error.into(),
            error => StoreError::Other(error.to_string()).into(),
        }
    }
}

impl From<TableError> for Failure {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Storage(error) => error.into(),
            error => StoreError::Corrupt(error.to_string()).into(),
        }
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Storage(error) => error.into(),
            error => StoreError::Other(error.to_string()).into(),
        }
    }
}

fn database_error(error: &DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::Unavailable("another process is using it".to_owned()),
        DatabaseError::Storage(error) => storage_error(error),
        DatabaseError::UpgradeRequired(_) | DatabaseError::RepairAborted => StoreError::Corrupt(error.to_string()),
        error => StoreError::Other(error.to_string()),
    }
}

fn storage_error(error: &StorageError) -> StoreError {
    match error {
        StorageError::Io(error) => io_error(error),
        StorageError::Corrupted(text) => StoreError::Corrupt(text.clone()),
        StorageError::PreviousIo | StorageError::DatabaseClosed => StoreError::Unavailable(error.to_string()),
        error => StoreError::Other(error.to_string()),
    }
}

fn io_error(error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => StoreError::Full(error.to_string()),
        io::ErrorKind::InvalidData => StoreError::Corrupt("not a database of this program, or damaged".to_owned()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}
