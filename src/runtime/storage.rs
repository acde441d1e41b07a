//! What stores give of documents, and what is written back.
//!
//! Decides how records are named and put together. What is read or written, and when, is decided elsewhere.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use bytes::Bytes;
use futures_channel::oneshot;
use loro::LoroDoc;

use super::{
    AdapterState, Committed, ErrorCode, IndexEntry, LocalBoxFuture, RawRecord, Record, RecordKey, RecordKind, RepoError, Safety,
    StorageProblem, StorageWork, Store, StoredDoc, Write,
    docs::{OpenDoc, from_loro},
    health::storage_error,
    inner::RepoInner,
    recovery::{Fragile, MISSED},
    trim::begins,
};
use crate::{
    collections::{SortedMap, SortedSet},
    protocol::{DocId, Tombstone, VersionVector},
    synchronizer::{ChannelId, ChannelKind, Input, Note, StoreDoc, Stored, StoredSize, Timestamp},
};

/// Records of one document that may wait for operations of others.
const MAX_WAITING: usize = 8;
/// Bytes of such a record.
const MAX_WAITING_BYTES: usize = 4 * 1024 * 1024;

/// How much of a document is stored, and since when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shelved {
    pub(super) bytes: u64,
    pub(super) records: u32,
    pub(super) updated: Timestamp,
}

impl From<&IndexEntry> for Shelved {
    fn from(index: &IndexEntry) -> Self {
        Self { bytes: index.bytes, records: index.records, updated: index.updated }
    }
}

/// A store, and which of its records this repo has read or written.
pub(super) struct OpenStore {
    pub(super) store: Rc<dyn Store>,
    pub(super) adapter: usize,
    records: RefCell<SortedMap<DocId, Records>>,
    pub(super) fragile: RefCell<Fragile>,
    /// Something was committed that the disk may not have.
    relaxed: Cell<bool>,
    /// It has told which documents it has.
    pub(super) listed: Cell<bool>,
    /// How often something of any document was given to it or confirmed by it.
    pub(super) steps: Cell<u64>,
    /// Readings under way.
    readings: Cell<usize>,
    /// What was removed since the first of them began, and after how many steps.
    removed: RefCell<SortedMap<DocId, u64>>,
}

/// A reading under way. What it gives may be older than what has been done since it began.
pub(super) struct Reading {
    open: Rc<OpenStore>,
    begun: u64,
}

impl Reading {
    pub(super) fn new(open: &Rc<OpenStore>) -> Self {
        open.readings.set(open.readings.get() + 1);
        Self { open: Rc::clone(open), begun: open.steps.get() }
    }

    /// Returns whether a document was written or removed since: what was read may be older than what is known of it.
    pub(super) fn is_overtaken(&self, doc: &DocId) -> bool {
        self.is_void(doc) || self.open.records.borrow().get(doc).is_some_and(|known| known.step > self.begun)
    }

    /// Returns whether a document was removed since: what was read is of one that is gone.
    pub(super) fn is_void(&self, doc: &DocId) -> bool {
        self.open.removed.borrow().get(doc).is_some_and(|step| *step > self.begun)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.open.readings.set(self.open.readings.get() - 1);
        if self.open.readings.get() == 0 {
            self.open.removed.borrow_mut().clear();
        }
    }
}

/// The records of a document this repo has read or written.
#[derive(Debug, Default, Clone)]
struct Records {
    /// Those a snapshot of what is in memory covers.
    keys: Vec<RecordKey>,
    /// Those that wait for operations of others, and up to where theirs go: covered once memory has them.
    waiting: Vec<(RecordKey, VersionVector)>,
    size: StoredSize,
    /// What this repo has trimmed from their history.
    trimmed: VersionVector,
    /// The last step of the store that concerned them.
    step: u64,
}

impl Records {
    fn add(&mut self, record: &Record) {
        self.keys.push(record.key.clone());
        self.size.records += 1;
        match record.kind {
            RecordKind::Snapshot => self.size.snapshot_bytes = self.size.snapshot_bytes.max(record.bytes.len() as u64),
            RecordKind::Update => self.size.update_bytes += record.bytes.len() as u64,
        }
    }

    /// Counts the waiting records that memory has caught up with among those a snapshot covers.
    fn settle(&mut self, version: &VersionVector) {
        for (key, _) in self.waiting.extract_if(.., |(_, end)| version.includes(end)) {
            self.keys.push(key);
        }
    }
}

/// A removal under way, and what tells its end.
pub(super) type Removal = (DocId, oneshot::Receiver<Result<(), RepoError>>);

/// A removal that a store hears of when it is open.
pub(super) struct Unheard {
    pub(super) adapter: usize,
    pub(super) doc: DocId,
    pub(super) done: oneshot::Sender<Result<(), RepoError>>,
}

/// What is written of one document, remembered until the store confirms it.
struct Pending {
    doc: DocId,
    version: VersionVector,
    record: Record,
    snapshot: bool,
    trims: bool,
}

impl OpenStore {
    pub(super) fn new(store: Rc<dyn Store>, adapter: usize) -> Self {
        Self {
            store,
            adapter,
            records: RefCell::default(),
            fragile: RefCell::default(),
            relaxed: Cell::new(false),
            listed: Cell::new(false),
            steps: Cell::new(0),
            readings: Cell::new(0),
            removed: RefCell::default(),
        }
    }

    fn step(&self) -> u64 {
        self.steps.set(self.steps.get() + 1);
        self.steps.get()
    }

    /// A document is removed: what is being read of it is void.
    fn void(&self, doc: &DocId) {
        self.records.borrow_mut().remove(doc);
        let step = self.step();
        if self.readings.get() > 0 {
            self.removed.borrow_mut().insert(doc.clone(), step);
        }
    }

    /// Forgets which records a document has: it left memory, and they are read when it comes back.
    pub(super) fn forget(&self, doc: &DocId) {
        self.records.borrow_mut().remove(doc);
    }
}

impl RepoInner {
    fn store(&self, channel: ChannelId) -> Option<Rc<OpenStore>> {
        self.stores.borrow().get(&channel).cloned()
    }

    pub(super) fn list_docs(&self, channel: ChannelId) {
        let Some(open) = self.store(channel) else { return };
        let weak = self.weak.clone();
        self.env.spawn(Box::pin(async move {
            let listed = open.store.list().await;
            let Some(inner) = weak.upgrade() else { return };
            match listed {
                Ok(infos) => {
                    let docs = infos.iter().map(|info| (info.doc.clone(), remembered(&info.index))).collect();
                    let live = infos.into_iter().filter(|info| !info.index.is_deleted());
                    inner.storage_works(true);
                    open.listed.set(true);
                    inner.stored.borrow_mut().extend(live.map(|info| (info.doc, Shelved::from(&info.index))));
                    inner.enqueue(Input::Listed { channel, docs });
                    return inner.remove_unheard(open.adapter);
                }
                Err(error) => {
                    inner.storage_failed(StorageProblem::from(&error), storage_error("list documents", error));
                    inner.enqueue(Input::ListFailed { channel });
                }
            }
            inner.pump();
        }));
    }

    pub(super) fn take_stored(&self, channel: ChannelId, open: &OpenStore, doc: &Rc<OpenDoc>, stored: Option<StoredDoc>) -> Input {
        let Some(StoredDoc { records, index }) = stored else {
            let version = doc.version();
            let (stored, size) = (Stored::default(), StoredSize::default());
            self.read_whole(doc, channel, &VersionVector::new());
            return Input::Loaded { channel, doc: doc.id.clone(), stored, version, size, whole: true };
        };
        // Records of an earlier creation must not be mixed into this one: the next write replaces them.
        let (records, index) = if index.lineage < doc.lineage.get() || index.is_deleted() {
            (
                Vec::new(),
                IndexEntry { version: VersionVector::new(), lineage: index.lineage, tombstone: index.tombstone, ..IndexEntry::default() },
            )
        } else {
            doc.lineage.set(index.lineage);
            (records, index)
        };
        let (doc, bad) = self.import_records(&self.overtaken(doc, &records), &records, &open.fragile);
        let mut damaged = SortedSet::new();
        for (number, why) in bad {
            let Some(record) = records.get(number) else { continue };
            damaged.insert(record.key.clone());
            if why == MISSED {
                // Whole as it is: it is used when what it depends on is here again.
                continue;
            }
            let text = format!("record {} of document {:?} is damaged and left as it is: {why}", record.key.0, doc.id);
            self.quarantine(&doc.id, RepoError::new(ErrorCode::Storage, text));
        }
        if damaged.is_empty() {
            self.release(&doc.id);
        }
        let version = doc.version();
        // With a damaged record nobody can say what the rest covers: everything counts as not stored, and is written again
        // beside it. Neither it nor a record that waits for missing operations is replaced.
        let stored = if damaged.is_empty() { index.version.common(&version) } else { VersionVector::new() };
        let complete = damaged.is_empty() && stored == index.version;
        let mut known = Records::default();
        for record in records.iter().filter(|record| !damaged.contains(&record.key)) {
            let end = if complete { None } else { end_of(&record.bytes) };
            match end {
                None if complete => known.add(record),
                Some(end) if version.includes(&end) => known.add(record),
                Some(end) => known.waiting.push((record.key.clone(), end)),
                None => {}
            }
        }
        let total = u32::try_from(records.len()).unwrap_or(u32::MAX);
        known.size.foreign = total - known.size.records;
        known.size.records = total;
        let size = known.size;
        open.records.borrow_mut().insert(doc.id.clone(), known);
        if complete {
            self.read_whole(&doc, channel, &index.version);
            self.read_whole(&doc, channel, &index.confirmed);
        }
        let stored = Stored { version: stored, ..remembered(&index) };
        if !index.is_deleted() {
            self.stored.borrow_mut().insert(doc.id.clone(), Shelved::from(&index));
        }
        Input::Loaded { channel, doc: doc.id.clone(), stored, version, size, whole: true }
    }

    /// Exports a document for a store. `snapshot` says whether as a whole, and afterwards whether it had to be.
    fn written(&self, open: &OpenStore, wanted: StoreDoc, snapshot: &mut bool) -> Option<Write> {
        let StoreDoc { doc: id, since, lineage, confirmed, keepers, creator, trim, .. } = wanted;
        let doc = self.doc(&id)?;
        let trimmed = open.records.borrow().get(&id).map(|known| known.trimmed.clone()).unwrap_or_default();
        // What depends on what is not stored any more is stored with that.
        *snapshot |= doc.reaches_before(&since, &trimmed);
        let export = |doc: &OpenDoc| match trim.is_empty() {
            true => doc.export((!*snapshot).then_some(&since)),
            false => doc.export_trimmed(&trim),
        };
        let (bytes, version) = self.exported(&doc, export)?;
        let kind = if *snapshot || doc.needs_snapshot(&since) { RecordKind::Snapshot } else { RecordKind::Update };
        let record = Record { key: RecordKey(format!("{:016x}-{:08x}", self.writer, self.next_id())), kind, bytes: bytes.into() };
        Some(Write { doc: id, record, replaces: Vec::new(), version, at: self.env.now(), lineage, confirmed, keepers, creator })
    }

    pub(super) fn store_docs(&self, channel: ChannelId, docs: Vec<StoreDoc>) {
        let Some(open) = self.store(channel) else { return };
        let mut writes = Vec::new();
        let mut pending = Vec::new();
        let mut compacted = Vec::new();
        for wanted in docs {
            let (id, trims, mut snapshot) = (wanted.doc.clone(), !wanted.trim.is_empty(), wanted.snapshot);
            let Some(mut write) = self.written(&open, wanted, &mut snapshot) else { continue };
            if snapshot && let Some(known) = open.records.borrow_mut().get_mut(&id) {
                known.settle(&write.version);
                write.replaces.clone_from(&known.keys);
            }
            let bytes = write.record.bytes.len() as u64;
            let replaced = u32::try_from(write.replaces.len()).unwrap_or(u32::MAX);
            if snapshot && self.storage_works_on(&id, StorageWork::Compaction, bytes, replaced) {
                compacted.push((id.clone(), bytes, replaced));
            }
            pending.push(Pending { doc: id, version: write.version.clone(), record: write.record.clone(), snapshot, trims });
            writes.push(write);
        }
        let written = open.store.commit(writes, self.safety);
        let weak = self.weak.clone();
        self.env.spawn(Box::pin(async move {
            let outcome = written.await;
            let Some(inner) = weak.upgrade() else { return };
            for (doc, bytes, records) in compacted {
                inner.storage_worked_on(&doc, StorageWork::Compaction, bytes, records);
            }
            match outcome {
                Ok(committed) => inner.wrote(channel, &open, pending, committed),
                Err(error) => {
                    let problem = StorageProblem::from(&error);
                    let error = storage_error("write", error);
                    inner.storage_failed(problem, error.clone());
                    inner.fail_flushes(&error);
                    inner.enqueue(Input::StoreFailed { channel });
                }
            }
            inner.pump();
        }));
    }

    /// Puts aside in the stores what they have not confirmed.
    pub(super) fn put_aside(&self) {
        let stores: Vec<_> = self.stores.borrow().iter().map(|(channel, open)| (*channel, Rc::clone(open))).collect();
        for (channel, open) in stores {
            let docs = self.sync.borrow().unconfirmed(channel);
            let writes: Vec<_> = docs.into_iter().filter_map(|doc| self.written(&open, doc, &mut false)).collect();
            if !writes.is_empty() {
                self.aside.set(self.next_id());
                open.store.put_aside(writes);
            }
        }
    }

    /// What was put aside is stored, if it is `what`.
    pub(super) fn nothing_aside(&self, what: u64) {
        if what != 0 && self.aside.get() == what {
            self.aside.set(0);
            self.stores.borrow().values().for_each(|open| open.store.put_aside(Vec::new()));
        }
    }

    fn wrote(&self, channel: ChannelId, open: &OpenStore, pending: Vec<Pending>, committed: Committed) {
        let now = self.env.now();
        open.relaxed.set(open.relaxed.get() || self.safety == Safety::Relaxed);
        self.storage_works(false);
        let refused: Vec<DocId> = committed.refused.iter().map(|(doc, _)| doc.clone()).collect();
        for (doc, error) in committed.refused {
            let error = storage_error(&format!("write document {doc:?}"), error);
            self.quarantine(&doc, error.clone());
            self.fail_flushes(&error);
        }
        let totals: SortedMap<DocId, u32> = committed.records.into_iter().collect();
        let mut docs = Vec::new();
        for Pending { doc, version, record, snapshot, trims } in pending {
            if refused.contains(&doc) || !self.docs.borrow().contains_key(&doc) {
                continue;
            }
            let mut records = open.records.borrow_mut();
            let known = records.entry(doc.clone()).or_default();
            if snapshot {
                let trimmed = if trims { begins(&record.bytes) } else { VersionVector::new() };
                *known = Records { trimmed, waiting: std::mem::take(&mut known.waiting), ..Records::default() };
            }
            known.add(&record);
            known.step = open.step();
            let own = u32::try_from(known.keys.len()).unwrap_or(u32::MAX);
            known.size.records = totals.get(&doc).copied().unwrap_or(own).max(own);
            known.size.foreign = known.size.records - own;
            self.stored.borrow_mut().insert(
                doc.clone(),
                Shelved { bytes: known.size.snapshot_bytes + known.size.update_bytes, records: known.size.records, updated: now },
            );
            docs.push((doc, version, known.size));
        }
        self.enqueue(Input::Stored { channel, docs, refused });
    }

    /// Stores what a peer gave and what waits for operations of others: an export of the document would leave it out.
    pub(super) fn keep_waiting(&self, doc: &OpenDoc, data: &[u8]) {
        let Some(end) = end_of(data).filter(|_| data.len() <= MAX_WAITING_BYTES) else { return };
        let stores: Vec<_> = self.stores.borrow().iter().map(|(channel, open)| (*channel, Rc::clone(open))).collect();
        for (channel, open) in stores {
            let known = open.records.borrow().get(&doc.id).map_or(0, |known| known.waiting.len());
            if known >= MAX_WAITING || !self.sync.borrow().keeps(channel, &doc.id) {
                continue;
            }
            let key = RecordKey(format!("{:016x}-{:08x}", self.writer, self.next_id()));
            let write = Write {
                doc: doc.id.clone(),
                record: Record { key: key.clone(), kind: RecordKind::Update, bytes: Bytes::copy_from_slice(data) },
                replaces: Vec::new(),
                version: VersionVector::new(),
                at: self.env.now(),
                lineage: doc.lineage.get(),
                confirmed: VersionVector::new(),
                keepers: Vec::new(),
                creator: None,
            };
            let step = open.step();
            let mut records = open.records.borrow_mut();
            let known = records.entry(doc.id.clone()).or_default();
            known.waiting.push((key, end.clone()));
            known.step = step;
            drop(records);
            let written = open.store.commit(vec![write], self.safety);
            self.env.spawn(Box::pin(async move {
                // A failure costs nothing: whoever gave it has it still, and has not been told that it is kept.
                let _ = written.await;
            }));
        }
    }

    /// Completes when the disks have what the stores have.
    pub(super) fn sync_stores(&self) -> LocalBoxFuture<Result<(), RepoError>> {
        let stores: Vec<_> = self.stores.borrow().values().filter(|open| open.relaxed.get()).cloned().collect();
        Box::pin(async move {
            for open in stores {
                open.relaxed.set(false);
                if let Err(error) = open.store.sync().await {
                    open.relaxed.set(true);
                    return Err(storage_error("bring to the disk what was written", error));
                }
            }
            Ok(())
        })
    }

    /// Reads what the stores have of a document, damaged or not.
    pub(super) fn salvage(&self, doc: DocId) -> LocalBoxFuture<Result<Vec<RawRecord>, RepoError>> {
        let stores: Vec<_> = self.stores.borrow().values().cloned().collect();
        Box::pin(async move {
            let mut records = Vec::new();
            for open in stores {
                records.extend(open.store.salvage(&doc).await.map_err(|error| storage_error(&format!("read document {doc:?}"), error))?);
            }
            Ok(records)
        })
    }

    /// Notes in a store what other machines have.
    pub(super) fn note_confirmed(&self, channel: ChannelId, docs: Vec<Note>) {
        let Some(open) = self.store(channel) else { return };
        let names: Vec<_> = docs.iter().map(|note| note.doc.clone()).collect();
        // A flush waits for it.
        open.relaxed.set(true);
        let noted = open.store.confirm(docs);
        let weak = self.weak.clone();
        self.env.spawn(Box::pin(async move {
            // Nothing of the application's is at stake: there is nothing to tell it.
            if noted.await.is_err()
                && let Some(inner) = weak.upgrade()
            {
                inner.enqueue(Input::NoteFailed { docs: names });
                inner.pump();
            }
        }));
    }

    /// Returns what tells that a removal is done in the stores that are still opening, and hear of it then.
    pub(super) fn await_unheard(&self, doc: &DocId) -> Vec<oneshot::Receiver<Result<(), RepoError>>> {
        let adapters = self.adapters.borrow();
        let opening = adapters
            .iter()
            .enumerate()
            .filter(|(_, adapter)| adapter.kind() == ChannelKind::Storage && adapter.state() == AdapterState::Connecting);
        opening
            .map(|(adapter, _)| {
                let (done, heard) = oneshot::channel();
                self.unheard.borrow_mut().push(Unheard { adapter, doc: doc.clone(), done });
                heard
            })
            .collect()
    }

    /// Tells those who wait for a store to hear of a removal what came of it.
    pub(super) fn settle_unheard(&self, which: impl Fn(&Unheard) -> bool, outcome: &Result<(), RepoError>) {
        let settled: Vec<_> = self.unheard.borrow_mut().extract_if(.., |unheard| which(unheard)).collect();
        for unheard in settled {
            let _ = unheard.done.send(outcome.clone());
        }
    }

    /// A store has told what it has, and so hears of what was deleted and dropped before: whoever waits for that is told when it is done.
    fn remove_unheard(&self, adapter: usize) {
        self.removals.borrow_mut().clear();
        self.pump();
        let removals = std::mem::take(&mut *self.removals.borrow_mut());
        let waiting: Vec<_> = self.unheard.borrow_mut().extract_if(.., |unheard| unheard.adapter == adapter).collect();
        if waiting.is_empty() {
            return;
        }
        self.env.spawn(Box::pin(async move {
            let mut failed = SortedMap::new();
            for (doc, removal) in removals {
                if let Ok(Err(error)) = removal.await {
                    failed.insert(doc, error);
                }
            }
            for Unheard { doc, done, .. } in waiting {
                let _ = done.send(failed.get(&doc).map_or(Ok(()), |error| Err(error.clone())));
            }
        }));
    }

    /// Deletes a document from a store, with or without leaving a tombstone.
    pub(super) fn remove_doc(&self, channel: ChannelId, doc: DocId, tombstone: Option<Tombstone>) {
        let Some(open) = self.store(channel) else { return };
        let (done, removed) = oneshot::channel();
        self.removals.borrow_mut().push((doc.clone(), removed));
        open.void(&doc);
        self.release(&doc);
        self.authors.borrow_mut().dropped(&doc);
        let removing = (channel, doc.clone());
        self.removing.borrow_mut().entry(removing.clone()).or_default().0 += 1;
        let weak = self.weak.clone();
        // Both are asked for now, so that what is written next comes after them.
        self.drop_authors(channel, &open.store, &doc);
        let removed = match tombstone {
            Some(tombstone) => open.store.bury(&doc, tombstone),
            None => open.store.remove(&doc),
        };
        self.env.spawn(Box::pin(async move {
            let removed = removed.await;
            let problem = removed.as_ref().err().map(StorageProblem::from);
            if let Some(inner) = weak.upgrade() {
                inner.removed(removing);
            }
            let outcome = removed.map_err(|error| storage_error(&format!("delete document {doc:?}"), error));
            if let (Err(error), Some(problem), Some(inner)) = (&outcome, problem, weak.upgrade()) {
                inner.storage_failed(problem, error.clone());
                inner.enqueue(Input::RemovalFailed { channel, doc });
                inner.pump();
            }
            let _ = done.send(outcome);
        }));
    }
}

/// Returns what an index record says beside sizes and times.
fn remembered(index: &IndexEntry) -> Stored {
    Stored {
        version: index.version.clone(),
        lineage: index.lineage,
        tombstone: index.tombstone.clone(),
        confirmed: index.confirmed.clone(),
        keepers: index.keepers.clone(),
        creator: index.creator.clone(),
        marks: index.marks.clone(),
    }
}

/// Returns up to where the operations of an export go; `None` if that cannot be read.
pub(super) fn end_of(bytes: &[u8]) -> Option<VersionVector> {
    LoroDoc::decode_import_blob_meta(bytes, false).ok().map(|meta| from_loro(&meta.partial_end_vv))
}
