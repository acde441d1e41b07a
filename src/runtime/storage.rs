//! Reading documents from stores and writing them back.
//!
//! Decides how records are named and put together. What is read or written, and when, is decided elsewhere.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use bytes::Bytes;
use futures_channel::oneshot;

use super::{
    Confirmed, ErrorCode, IndexEntry, Record, RecordKey, RecordKind, RepoError, RepoEvent, Store, StoreError, StoredDoc, Write,
    docs::OpenDoc, inner::RepoInner, recovery::Fragile,
};
use crate::{
    protocol::{DocId, Tombstone, VersionVector},
    synchronizer::{ChannelId, Input, StoreDoc, Stored, StoredSize},
};

/// A store, and which of its records this repo has read or written.
pub(super) struct OpenStore {
    pub(super) store: Rc<dyn Store>,
    pub(super) adapter: usize,
    records: RefCell<BTreeMap<DocId, Records>>,
    fragile: RefCell<Fragile>,
}

/// The records a snapshot of this repo may replace.
#[derive(Debug, Default, Clone)]
struct Records {
    keys: Vec<RecordKey>,
    size: StoredSize,
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
}

/// What is written of one document, remembered until the store confirms it.
struct Pending {
    doc: DocId,
    version: VersionVector,
    record: Record,
    snapshot: bool,
}

impl OpenStore {
    pub(super) fn new(store: Rc<dyn Store>, adapter: usize) -> Self {
        Self { store, adapter, records: RefCell::default(), fragile: RefCell::default() }
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
                    inner.stored.borrow_mut().extend(live.map(|info| (info.doc, info.index)));
                    inner.enqueue(Input::Listed { channel, docs });
                }
                Err(error) => {
                    inner.emit(RepoEvent::StorageHealth { ok: false, error: Some(storage_error("list documents", error)) });
                    inner.enqueue(Input::ListFailed { channel });
                }
            }
            inner.pump();
        }));
    }

    pub(super) fn load_doc(&self, channel: ChannelId, id: DocId) {
        let Some(open) = self.store(channel) else { return };
        let weak = self.weak.clone();
        let leased = self.authors.borrow().leased().is_some();
        self.env.spawn(Box::pin(async move {
            let loaded = open.store.load(&id).await;
            let Some(inner) = weak.upgrade() else { return };
            match (loaded, inner.doc(&id)) {
                (_, None) => {}
                (Ok(stored), Some(doc)) => {
                    // It is there to be read; who wants to know that it was, hears so when it is known under whose name it is written.
                    let input = inner.take_stored(channel, &open, &doc, stored);
                    let doc = inner.doc(&id).unwrap_or(doc);
                    if inner.authors.borrow().is_asking() {
                        inner.lease_settled().await;
                        inner.check_author(&doc).await;
                    } else if leased || inner.authors.borrow().leased().is_none() {
                        inner.settle_author(&doc);
                    } else {
                        inner.check_author(&doc).await;
                    }
                    inner.note_written(&doc);
                    inner.enqueue(input);
                }
                (Err(error), Some(_)) => {
                    let error = storage_error(&format!("load document {id:?}"), error);
                    inner.emit(RepoEvent::StorageHealth { ok: false, error: Some(error) });
                    inner.enqueue(Input::LoadFailed { channel, doc: id });
                }
            }
            inner.pump();
        }));
    }

    fn take_stored(&self, channel: ChannelId, open: &OpenStore, doc: &Rc<OpenDoc>, stored: Option<StoredDoc>) -> Input {
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
        let mut known = Records::default();
        for record in &records {
            known.add(record);
        }
        let size = known.size;
        let (doc, damaged) = self.import_records(doc, &records, &open.fragile);
        let usable = damaged.is_empty();
        for (number, why) in damaged {
            let Some(record) = records.get(number) else { continue };
            let text = format!("record {} of document {:?} is damaged: {why}", record.key.0, doc.id);
            self.emit(RepoEvent::StorageHealth { ok: false, error: Some(RepoError::new(ErrorCode::Storage, text)) });
        }
        let version = doc.version();
        // With a damaged record nobody can say what the rest covers: everything counts as not stored, and is written again
        // beside it. Records that wait for missing operations are likewise never replaced.
        let stored = if usable { index.version.common(&version) } else { VersionVector::new() };
        let whole = usable && stored == index.version;
        if whole {
            open.records.borrow_mut().insert(doc.id.clone(), known);
        }
        if whole {
            self.read_whole(&doc, channel, &index.version);
            self.read_whole(&doc, channel, &index.confirmed);
        }
        let stored = Stored { version: stored, ..remembered(&index) };
        if !index.is_deleted() {
            self.stored.borrow_mut().insert(doc.id.clone(), index);
        }
        Input::Loaded { channel, doc: doc.id.clone(), stored, version, size, whole }
    }

    pub(super) fn store_docs(&self, channel: ChannelId, docs: Vec<StoreDoc>) {
        let Some(open) = self.store(channel) else { return };
        let at = self.env.now();
        let mut writes = Vec::new();
        let mut pending = Vec::new();
        for StoreDoc { doc: id, since, snapshot, lineage, confirmed, creator } in docs {
            let Some(doc) = self.doc(&id) else { continue };
            let Some((bytes, version)) = self.exported(&doc, |doc| doc.export((!snapshot).then_some(&since))) else { continue };
            let bytes = Bytes::from(bytes);
            let kind = if snapshot || doc.needs_snapshot(&since) { RecordKind::Snapshot } else { RecordKind::Update };
            let record = Record { key: RecordKey(format!("{:016x}-{:08x}", self.writer, self.next_id())), kind, bytes };
            let replaces =
                if snapshot { open.records.borrow().get(&id).map(|known| known.keys.clone()).unwrap_or_default() } else { Vec::new() };
            writes.push(Write {
                doc: id.clone(),
                record: record.clone(),
                replaces,
                version: version.clone(),
                at,
                lineage,
                confirmed,
                creator,
            });
            pending.push(Pending { doc: id, version, record, snapshot });
        }
        let written = open.store.write(writes);
        let weak = self.weak.clone();
        self.env.spawn(Box::pin(async move {
            let outcome = written.await;
            let Some(inner) = weak.upgrade() else { return };
            match outcome {
                Ok(()) => inner.wrote(channel, &open, pending),
                Err(error) => {
                    let error = storage_error("write", error);
                    inner.emit(RepoEvent::StorageHealth { ok: false, error: Some(error.clone()) });
                    inner.fail_flushes(&error);
                    inner.enqueue(Input::StoreFailed { channel });
                }
            }
            inner.pump();
        }));
    }

    fn wrote(&self, channel: ChannelId, open: &OpenStore, pending: Vec<Pending>) {
        let now = self.env.now();
        let mut docs = Vec::new();
        for Pending { doc, version, record, snapshot } in pending {
            let mut records = open.records.borrow_mut();
            let known = records.entry(doc.clone()).or_default();
            if snapshot {
                *known = Records::default();
            }
            known.add(&record);
            let mut stored = self.stored.borrow_mut();
            if !self.docs.borrow().contains_key(&doc) {
                continue;
            }
            let index = stored.entry(doc.clone()).or_insert_with(|| IndexEntry { created: now, ..IndexEntry::default() });
            index.version.merge(&version);
            index.records = known.size.records;
            index.bytes = known.size.snapshot_bytes + known.size.update_bytes;
            index.updated = now;
            docs.push((doc, version, known.size));
        }
        self.enqueue(Input::Stored { channel, docs });
    }

    /// Notes in a store what other machines have.
    pub(super) fn note_confirmed(&self, channel: ChannelId, docs: Vec<(DocId, u64, VersionVector)>) {
        let Some(open) = self.store(channel) else { return };
        let names: Vec<_> = docs.iter().map(|(doc, ..)| doc.clone()).collect();
        let noted = open.store.confirm(docs.into_iter().map(|(doc, lineage, version)| Confirmed { doc, lineage, version }).collect());
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

    /// Deletes a document from a store, with or without leaving a tombstone.
    pub(super) fn remove_doc(&self, channel: ChannelId, doc: DocId, tombstone: Option<Tombstone>) {
        let Some(open) = self.store(channel) else { return };
        let (done, removed) = oneshot::channel();
        self.removals.borrow_mut().push(removed);
        open.records.borrow_mut().remove(&doc);
        let weak = self.weak.clone();
        // Both are asked for now, so that what is written next comes after them.
        let noted = self.drop_authors(&open.store, &doc);
        let removed = match tombstone {
            Some(tombstone) => open.store.bury(&doc, tombstone),
            None => open.store.remove(&doc),
        };
        self.env.spawn(noted);
        self.env.spawn(Box::pin(async move {
            let removed = removed.await;
            let outcome = removed.map_err(|error| storage_error(&format!("delete document {doc:?}"), error));
            if let (Err(error), Some(inner)) = (&outcome, weak.upgrade()) {
                inner.emit(RepoEvent::StorageHealth { ok: false, error: Some(error.clone()) });
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
        creator: index.creator.clone(),
    }
}

fn storage_error(what: &str, error: StoreError) -> RepoError {
    RepoError::new(ErrorCode::Storage, format!("could not {what}: {error}")).with_cause(error)
}
