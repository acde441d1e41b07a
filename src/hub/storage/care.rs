//! Looking after a data folder while no hub uses it: checking, counting, compacting.
//!
//! Decides what sound data is and what is worth writing anew. Checking and counting change nothing, not even a file that was not
//! closed; compacting leaves everything alone that it does not understand.

use std::{
    fs::{self, TryLockError},
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use loro::{ExportMode, LoroDoc};
use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};

use super::{
    COMMIT_BYTES, FILE, Failure, INDEX, LOCK, RECORDS, SNAPSHOT, UPDATE, database_error, index_row, io_error, lock, make_tables, open_file,
    overlay::look_at_file, panics::contained, records, write_record,
};
use crate::{
    hub::env::random_bytes,
    protocol::{DocId, VersionVector},
    runtime::{IndexEntry, Progress, Record, RecordKey, RecordKind, StoreError, Write},
    synchronizer::Timestamp,
};

/// What [`check`] found in a data folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Documents that are not deleted.
    pub documents: u64,
    /// Deletions that are remembered.
    pub deleted: u64,
    /// Records of documents.
    pub records: u64,
    /// Bytes of those records.
    pub bytes: u64,
    /// What is wrong; empty if nothing is.
    pub problems: Vec<Problem>,
}

/// Something that is wrong in a data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The document, if it is about one.
    pub doc: Option<DocId>,
    /// What is wrong.
    pub what: String,
}

/// What is in a data folder, as its index says; see [`stats`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Documents that are not deleted.
    pub documents: u64,
    /// Deletions that are remembered.
    pub deleted: u64,
    /// Documents whose index row cannot be read.
    pub damaged: u64,
    /// Records of documents.
    pub records: u64,
    /// Bytes of those records.
    pub bytes: u64,
    /// The most bytes of one document.
    pub largest: Option<(DocId, u64)>,
    /// The document that was changed least recently, and when.
    pub oldest: Option<(DocId, Timestamp)>,
    /// The document that was changed last, and when.
    pub newest: Option<(DocId, Timestamp)>,
    /// Records of collections.
    pub collected: u64,
    /// Bytes of the database file.
    pub file_bytes: u64,
}

/// What [`compact`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Documents that were written anew.
    pub documents: u64,
    /// Documents that were left alone though they have many records, since something in them is damaged or incomplete.
    pub left: Vec<DocId>,
    /// Bytes of the database file before.
    pub before: u64,
    /// Bytes of it afterwards.
    pub after: u64,
}

/// Reads everything in a data folder and tells what is wrong with it. Changes nothing.
///
/// # Errors
/// [`StoreError::Unavailable`] if the folder has no database, cannot be read or is in use, [`StoreError::Corrupt`] if the file is no
/// database or damaged beyond reading.
pub fn check(folder: &Path, mut progress: impl FnMut(Progress)) -> Result<Checked, StoreError> {
    let mut looked = Looked::open(folder)?;
    let mut checked = Checked::default();
    let path = looked.path.clone();
    let sound = contained(|| looked.database.check_integrity()).map_err(|why| damaged(&path, &why))?;
    match sound {
        Ok(true) => {}
        Ok(false) => checked.problem(None, "the database was not consistent in itself"),
        Err(error) => return Err(named(&path, database_error(&error))),
    }
    let read = contained(|| checked.read(&looked.database, &mut progress)).map_err(|why| damaged(&path, &why))?;
    read.map_err(|failure| named(&path, failure.error))?;
    Ok(checked)
}

/// Counts what is in a data folder, by its index. Changes nothing.
///
/// # Errors
/// As [`check`].
pub fn stats(folder: &Path) -> Result<Stats, StoreError> {
    let looked = Looked::open(folder)?;
    let path = looked.path.clone();
    let count = || -> Result<Stats, Failure> {
        let mut stats = Stats { file_bytes: looked.bytes, ..Stats::default() };
        let transaction = looked.database.begin_read()?;
        if let Some(index) = table(&transaction, INDEX)? {
            for entry in index.range::<&str>(..)? {
                let (doc, row) = entry?;
                match index_row(row.value()) {
                    Ok(index) => stats.count(&DocId::from_wire(doc.value()), &index),
                    Err(_) => stats.damaged += 1,
                }
            }
        }
        stats.collected = records::count(&transaction)?;
        Ok(stats)
    };
    contained(count).map_err(|why| damaged(&path, &why))?.map_err(|failure| named(&path, failure.error))
}

/// Writes documents of several records as one snapshot each, and gives the room that is free in the file back.
///
/// # Errors
/// As [`check`], and if the file cannot be written. What was done until then is complete.
pub fn compact(folder: &Path, mut progress: impl FnMut(Progress)) -> Result<Compacted, StoreError> {
    let path = existing(folder)?;
    let lock = lock(&folder.join(LOCK))?;
    let before = length(&path)?;
    let mut database = open_file(&path)?;
    make_tables(&database).map_err(|error| named(&path, error))?;
    let mut compacted = Compacted { before, ..Compacted::default() };
    let work = contained(|| rewrite(&database, &mut compacted, &mut progress)).map_err(|why| damaged(&path, &why))?;
    work.map_err(|failure| named(&path, failure.error))?;
    // Each round moves what it can to the front; the last finds nothing more.
    while database.compact().map_err(|error| named(&path, StoreError::Other(error.to_string())))? {}
    drop(database);
    drop(lock);
    compacted.after = length(&path)?;
    Ok(compacted)
}

/// A database that is looked at.
struct Looked {
    database: Database,
    path: PathBuf,
    bytes: u64,
    _locks: [Option<fs::File>; 2],
}

impl Looked {
    fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = existing(folder)?;
        let lock = match fs::File::open(folder.join(LOCK)) {
            Ok(file) => Some(shared(file, &folder.join(LOCK))?),
            // Who uses a folder makes it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(named(&folder.join(LOCK), io_error(&error))),
        };
        let file = fs::File::open(&path).map_err(|error| named(&path, io_error(&error)))?;
        let held = shared(file.try_clone().map_err(|error| named(&path, io_error(&error)))?, &path)?;
        let bytes = length(&path)?;
        let database = contained(|| look_at_file(file)).map_err(|why| damaged(&path, &why))?;
        let database = database.map_err(|error| named(&path, database_error(&error)))?;
        Ok(Self { database, path, bytes, _locks: [lock, Some(held)] })
    }
}

impl Checked {
    fn problem(&mut self, doc: Option<&str>, what: impl Into<String>) {
        self.problems.push(Problem { doc: doc.map(DocId::from_wire), what: what.into() });
    }

    fn read(&mut self, database: &Database, progress: &mut impl FnMut(Progress)) -> Result<(), Failure> {
        let transaction = database.begin_read()?;
        let (index, stored) = (table(&transaction, INDEX)?, table(&transaction, RECORDS)?);
        let total = index.as_ref().map_or(Ok(0), ReadableTableMetadata::len)?;
        let mut done = Progress { total, ..Progress::default() };
        if let Some(index) = &index {
            for entry in index.range::<&str>(..)? {
                let (doc, row) = entry?;
                let records = stored.as_ref().map_or_else(|| Ok(Vec::new()), |stored| records_of(stored, doc.value()))?;
                self.document(doc.value(), index_row(row.value()), &records);
                done.documents += 1;
                done.bytes = self.bytes;
                progress(done);
            }
        }
        if let Some(stored) = &stored {
            self.orphans(index.as_ref(), stored)?;
        }
        for what in records::check(&transaction)? {
            self.problem(None, what);
        }
        Ok(())
    }

    fn document(&mut self, doc: &str, index: Result<IndexEntry, Failure>, records: &[(String, u8, Bytes)]) {
        let bytes: u64 = records.iter().map(|(_, _, bytes)| bytes.len() as u64).sum();
        self.records += records.len() as u64;
        self.bytes += bytes;
        let index = match index {
            Ok(index) => index,
            Err(failure) => {
                self.documents += 1;
                return self.problem(Some(doc), failure.error.to_string());
            }
        };
        if index.is_deleted() {
            self.deleted += 1;
        } else {
            self.documents += 1;
        }
        if DocId::new(doc).is_err() {
            self.problem(Some(doc), "this is no name of a document");
        }
        if u64::from(index.records) != records.len() as u64 {
            self.problem(Some(doc), format!("the index says {} records, there are {}", index.records, records.len()));
        }
        if index.bytes != bytes {
            self.problem(Some(doc), format!("the index says {} bytes, there are {bytes}", index.bytes));
        }
        let read = Read::new(records);
        for (key, why) in &read.damaged {
            self.problem(Some(doc), format!("record {key}: {why}"));
        }
        if read.damaged.is_empty() && !read.version.includes(&index.version) {
            self.problem(Some(doc), "the index says of operations that no record has");
        }
    }

    fn orphans(
        &mut self,
        index: Option<&ReadOnlyTable<&'static str, &'static [u8]>>,
        stored: &ReadOnlyTable<(&'static str, &'static str), (u8, &'static [u8])>,
    ) -> Result<(), Failure> {
        let mut last = None;
        for entry in stored.iter()? {
            let (key, _) = entry?;
            let doc = key.value().0;
            if last.as_deref() == Some(doc) {
                continue;
            }
            last = Some(doc.to_owned());
            if index.map_or(Ok(None), |index| index.get(doc))?.is_none() {
                self.problem(Some(doc), "there are records and no index row");
            }
        }
        Ok(())
    }
}

impl Stats {
    fn count(&mut self, doc: &DocId, index: &IndexEntry) {
        if index.is_deleted() {
            self.deleted += 1;
            return;
        }
        self.documents += 1;
        self.records += u64::from(index.records);
        self.bytes += index.bytes;
        if self.largest.as_ref().is_none_or(|(_, bytes)| *bytes < index.bytes) {
            self.largest = Some((doc.clone(), index.bytes));
        }
        if self.oldest.as_ref().is_none_or(|(_, at)| index.updated < *at) {
            self.oldest = Some((doc.clone(), index.updated));
        }
        if self.newest.as_ref().is_none_or(|(_, at)| index.updated > *at) {
            self.newest = Some((doc.clone(), index.updated));
        }
    }
}

/// A document read from its records.
struct Read {
    doc: LoroDoc,
    version: VersionVector,
    /// Records that cannot be read, and why.
    damaged: Vec<(String, String)>,
    /// Operations wait for others that no record has.
    incomplete: bool,
}

impl Read {
    fn new(records: &[(String, u8, Bytes)]) -> Self {
        let unknown = records.iter().filter(|(_, kind, _)| ![SNAPSHOT, UPDATE].contains(kind));
        let mut damaged: Vec<_> = unknown.map(|(key, kind, _)| (key.clone(), format!("it is of unknown kind {kind}"))).collect();
        let doc = Self::at_once(records).unwrap_or_else(|| Self::one_by_one(records, &mut damaged));
        let version = from_loro(&doc.oplog_vv());
        let waits = |bytes: &Bytes| {
            let end = LoroDoc::decode_import_blob_meta(bytes, false).map(|meta| from_loro(&meta.partial_end_vv));
            end.is_ok_and(|end| !version.includes(&end))
        };
        let incomplete = records.iter().any(|(_, _, bytes)| waits(bytes));
        Self { doc, version, damaged, incomplete }
    }

    fn at_once(records: &[(String, u8, Bytes)]) -> Option<LoroDoc> {
        let doc = LoroDoc::new();
        let of = |wanted| records.iter().filter(move |(_, kind, _)| *kind == wanted).map(|(_, _, bytes)| bytes);
        let import = || {
            // A snapshot of a trimmed history is of use only to an empty document.
            for bytes in of(SNAPSHOT) {
                doc.import(bytes)?;
            }
            doc.import_batch(&of(UPDATE).map(|bytes| bytes.to_vec()).collect::<Vec<_>>())
        };
        match contained(import) {
            Ok(Ok(_)) => Some(doc),
            Ok(Err(_)) => None,
            Err(_) => {
                // What the panic left locked may make it panic again.
                let _ = contained(|| drop(doc));
                None
            }
        }
    }

    /// Finds out which record is damaged.
    fn one_by_one(records: &[(String, u8, Bytes)], damaged: &mut Vec<(String, String)>) -> LoroDoc {
        let doc = LoroDoc::new();
        for wanted in [SNAPSHOT, UPDATE] {
            for (key, _, bytes) in records.iter().filter(|(_, kind, _)| *kind == wanted) {
                match contained(|| doc.import(bytes)) {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => damaged.push((key.clone(), error.to_string())),
                    Err(why) => {
                        damaged.push((key.clone(), why));
                        // Nothing may be asked of it any more.
                        let _ = contained(|| drop(doc));
                        return LoroDoc::new();
                    }
                }
            }
        }
        doc
    }
}

fn rewrite(database: &Database, compacted: &mut Compacted, progress: &mut impl FnMut(Progress)) -> Result<(), Failure> {
    let mut names = Vec::new();
    let mut done = Progress::default();
    {
        let transaction = database.begin_read()?;
        for entry in transaction.open_table(INDEX)?.range::<&str>(..)? {
            let (doc, row) = entry?;
            match index_row(row.value()) {
                Ok(index) if index.records > 1 => names.push(doc.value().to_owned()),
                Ok(_) => {}
                Err(_) => compacted.left.push(DocId::from_wire(doc.value())),
            }
        }
    }
    done.total = names.len() as u64;
    let mut writes = Vec::new();
    let mut bytes = 0;
    for name in names {
        let doc = DocId::from_wire(&name);
        match snapshot(database, &doc)? {
            Some(write) => {
                bytes += write.record.bytes.len();
                done.bytes += write.record.bytes.len() as u64;
                writes.push(write);
                compacted.documents += 1;
            }
            None => compacted.left.push(doc),
        }
        if bytes >= COMMIT_BYTES {
            commit(database, std::mem::take(&mut writes))?;
            bytes = 0;
        }
        done.documents += 1;
        progress(done);
    }
    commit(database, writes)
}

fn commit(database: &Database, writes: Vec<Write>) -> Result<(), Failure> {
    let transaction = database.begin_write()?;
    for write in &writes {
        write_record(&transaction, write)?;
    }
    Ok(transaction.commit()?)
}

/// Makes the write that puts a snapshot in the place of a document's records; `None` if it would not hold all that they do.
fn snapshot(database: &Database, doc: &DocId) -> Result<Option<Write>, Failure> {
    let transaction = database.begin_read()?;
    let Some(row) = transaction.open_table(INDEX)?.get(doc.as_str())? else { return Ok(None) };
    let index = index_row(row.value())?;
    let stored = records_of(&transaction.open_table(RECORDS)?, doc.as_str())?;
    let read = Read::new(&stored);
    if !read.damaged.is_empty() || read.incomplete || !read.version.includes(&index.version) {
        return Ok(None);
    }
    let Ok(Ok(bytes)) = contained(|| read.doc.export(ExportMode::Snapshot)) else { return Ok(None) };
    // Believed once it was read.
    let again = Read::new(&[(String::new(), SNAPSHOT, Bytes::from(bytes.clone()))]);
    let same = contained(|| again.doc.get_deep_value() == read.doc.get_deep_value()).unwrap_or(false);
    if !again.damaged.is_empty() || again.version != read.version || !same {
        return Ok(None);
    }
    let key = RecordKey(format!("{:016x}-{:08x}", u64::from_ne_bytes(random_bytes()), 0));
    Ok(Some(Write {
        doc: doc.clone(),
        record: Record { key, kind: RecordKind::Snapshot, bytes: bytes.into() },
        replaces: stored.into_iter().map(|(key, _, _)| RecordKey(key)).collect(),
        version: read.version,
        at: index.updated,
        lineage: index.lineage,
        confirmed: VersionVector::new(),
        keepers: Vec::new(),
        creator: None,
    }))
}

/// Returns key, kind and bytes of each record of a document.
fn records_of(
    stored: &ReadOnlyTable<(&'static str, &'static str), (u8, &'static [u8])>,
    doc: &str,
) -> Result<Vec<(String, u8, Bytes)>, Failure> {
    let mut records = Vec::new();
    for entry in stored.range((doc, "")..)? {
        let (key, value) = entry?;
        let (owner, name) = key.value();
        if owner != doc {
            break;
        }
        let (kind, bytes) = value.value();
        records.push((name.to_owned(), kind, Bytes::copy_from_slice(bytes)));
    }
    Ok(records)
}

/// Opens a table; `None` if an older program has not made it.
pub(super) fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
    transaction: &ReadTransaction,
    definition: TableDefinition<'_, K, V>,
) -> Result<Option<ReadOnlyTable<K, V>>, Failure> {
    match transaction.open_table(definition) {
        Ok(table) => Ok(Some(table)),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn from_loro(version: &loro::VersionVector) -> VersionVector {
    version.iter().map(|(author, end)| (*author, *end)).collect()
}

/// Returns where the database of a folder is, if there is one.
fn existing(folder: &Path) -> Result<PathBuf, StoreError> {
    let path = folder.join(FILE);
    match path.try_exists() {
        Ok(true) => Ok(path),
        Ok(false) => Err(StoreError::Unavailable(format!("{}: there is no database", path.display()))),
        Err(error) => Err(named(&path, io_error(&error))),
    }
}

fn length(path: &Path) -> Result<u64, StoreError> {
    fs::metadata(path).map(|data| data.len()).map_err(|error| named(path, io_error(&error)))
}

fn shared(file: fs::File, path: &Path) -> Result<fs::File, StoreError> {
    match file.try_lock_shared() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(named(path, StoreError::Unavailable("another process is using it".to_owned()))),
        // Some network file systems have no locks.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(named(path, io_error(&error))),
    }
}

/// Says that a file is damaged, as something that panicked on it said.
pub(super) fn damaged(path: &Path, why: &str) -> StoreError {
    named(path, StoreError::Corrupt(why.lines().next().unwrap_or_default().to_owned()))
}

/// Says in an error which file it is about.
pub(super) fn named(path: &Path, error: StoreError) -> StoreError {
    let name = |text: String| format!("{}: {text}", path.display());
    match error {
        StoreError::Unavailable(text) => StoreError::Unavailable(name(text)),
        StoreError::Corrupt(text) => StoreError::Corrupt(name(text)),
        StoreError::Full(text) => StoreError::Full(name(text)),
        StoreError::Other(text) => StoreError::Other(name(text)),
    }
}
