//! A whole repo as one file, and such a file merged into a repo.
//!
//! Decides what goes into a backup and how one document of it is merged: as from a peer, so that nothing here is lost, and a document that
//! was deleted here stays deleted. `format` decides what the bytes mean.

mod format;

use std::{collections::VecDeque, fmt, rc::Rc};

use bytes::Bytes;

pub use self::format::BackupError;
use self::format::{DocRow, End, Entry, Head, Reader, TombstoneRow, Writer};
use super::{
    ErrorCode, RepoError, Store, StoreError,
    docs::to_loro,
    inner::RepoInner,
    repo::{Repo, closed},
};
use crate::{
    protocol::{DocId, PeerId, Tombstone, VersionVector, record::decode_entries},
    synchronizer::{Creator, Input},
};

/// Milliseconds storage may take to open.
const OPENING_MS: u64 = 30_000;
/// Documents merged before what they brought is written.
const WRITE_AFTER_DOCS: u64 = 64;
/// Bytes of them.
const WRITE_AFTER_BYTES: usize = 8 * 1024 * 1024;

/// How far an export or import is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Documents and tombstones done.
    pub documents: u64,
    /// Documents and tombstones there are, as far as is known.
    pub total: u64,
    /// Bytes of the file made or read.
    pub bytes: u64,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Documents merged.
    pub documents: u64,
    /// Deletions taken over.
    pub tombstones: u64,
    /// Documents left out: they were deleted here, or made anew since.
    pub skipped: Vec<DocId>,
    /// Documents of which records are damaged; what could be read of them is merged.
    pub damaged: Vec<DocId>,
}

/// A backup being made, piece by piece; see [`Repo::export`].
pub struct Export {
    repo: Rc<RepoInner>,
    writer: Writer,
    ids: Option<VecDeque<DocId>>,
    pieces: VecDeque<Bytes>,
    progress: Progress,
    end: End,
    ended: bool,
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export").field("progress", &self.progress).finish_non_exhaustive()
    }
}

/// A backup being merged, piece by piece; see [`Repo::import`].
pub struct Import {
    repo: Repo,
    reader: Reader,
    head: Option<Head>,
    doc: Option<(DocRow, Vec<Bytes>, bool)>,
    end: Option<End>,
    seen: End,
    done: Imported,
    unwritten: (u64, usize),
}

impl fmt::Debug for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Import").field("done", &self.done).finish_non_exhaustive()
    }
}

impl Repo {
    /// Begins a backup of every document, deletion and record known here. What is edited meanwhile may or may not be in it.
    ///
    /// # Errors
    /// [`ErrorCode::Closed`] after [`Repo::close`].
    pub fn export(&self) -> Result<Export, RepoError> {
        let repo = self.inner()?;
        Ok(Export {
            repo,
            writer: Writer::default(),
            ids: None,
            pieces: VecDeque::new(),
            progress: Progress::default(),
            end: End::default(),
            ended: false,
        })
    }

    /// Begins to merge a backup into this repo.
    ///
    /// # Errors
    /// [`ErrorCode::Closed`] after [`Repo::close`].
    pub fn import(&self) -> Result<Import, RepoError> {
        self.inner()?;
        Ok(Import {
            repo: self.clone(),
            reader: Reader::default(),
            head: None,
            doc: None,
            end: None,
            seen: End::default(),
            done: Imported::default(),
            unwritten: (0, 0),
        })
    }

    /// Merges Loro exports of a document kept elsewhere, as if they came from a peer. Returns whether it did, which it does not where the
    /// document was deleted, and whether every one of them could be read.
    ///
    /// # Errors
    /// [`ErrorCode::Closed`] after [`Repo::close`].
    pub fn merge(&self, doc: &DocId, exports: &[Bytes]) -> Result<(bool, bool), RepoError> {
        let inner = self.inner()?;
        Ok(inner.restore(doc, 0, None, exports))
    }
}

impl Export {
    /// Returns how far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Returns the next piece of the file; `None` when it is complete.
    ///
    /// # Errors
    /// [`ErrorCode::Storage`] when storage could not be read, [`ErrorCode::Closed`]; the file is of no use then.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RepoError> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                self.progress.bytes += piece.len() as u64;
                return Ok(Some(piece));
            }
            if self.repo.closed.get() {
                return Err(closed());
            }
            if self.ended {
                return Ok(None);
            }
            self.go_on().await?;
        }
    }

    async fn go_on(&mut self) -> Result<(), RepoError> {
        let Some(ids) = &mut self.ids else {
            self.repo.stores_opened().await?;
            let ids = self.repo.everything().await?;
            let head = Head { at: self.repo.env.now().0, documents: ids.len() as u64 };
            self.progress.total = head.documents;
            self.pieces.push_back(self.writer.put(&Entry::Head(head)));
            self.ids = Some(ids);
            return Ok(());
        };
        let Some(id) = ids.pop_front() else {
            self.ended = true;
            for facts in self.repo.records_to_back_up().await? {
                self.pieces.push_back(self.writer.put(&Entry::Facts(facts)));
            }
            self.pieces.push_back(self.writer.put(&Entry::End(self.end.clone())));
            return Ok(());
        };
        let copy = self.repo.copy_of(&id).await?;
        if let Some(Copy { row, records, damaged }) = copy {
            self.end.documents += 1;
            self.pieces.push_back(self.writer.put(&Entry::Document(row)));
            let (snapshots, updates): (Vec<_>, Vec<_>) = records.iter().partition(|record| record.kind == super::RecordKind::Snapshot);
            for record in snapshots.into_iter().chain(updates) {
                self.end.records += 1;
                self.pieces.push_back(self.writer.record(record));
            }
            for bytes in damaged {
                self.pieces.push_back(self.writer.put(&Entry::Damaged(bytes)));
            }
        }
        self.progress.documents += 1;
        Ok(())
    }
}

impl Import {
    /// Returns how far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let total = self.head.as_ref().map_or(0, |head| head.documents);
        Progress { documents: self.seen.documents, total, bytes: self.reader.read() }
    }

    /// Takes the next piece of the file, of any size. A document is merged when all of it has come and is what was written.
    ///
    /// # Errors
    /// [`ErrorCode::Decode`] for bytes that are no backup, or damaged: what came before them is merged. [`ErrorCode::Storage`] and
    /// [`ErrorCode::Closed`].
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), RepoError> {
        self.reader.push(bytes);
        if self.head.is_none() {
            self.repo.inner()?.stores_opened().await?;
        }
        loop {
            let Some(entry) = self.reader.next().map_err(|error| self.refused(error))? else { return Ok(()) };
            match entry {
                Entry::Head(head) if self.head.is_none() => self.head = Some(head),
                Entry::Document(row) if self.head.is_some() => {
                    self.merge().await?;
                    self.doc = Some((row, Vec::new(), false));
                }
                Entry::Record(_, bytes) if self.doc.is_some() => {
                    self.seen.records += 1;
                    if let Some((_, records, _)) = &mut self.doc {
                        records.push(bytes);
                    }
                }
                Entry::Damaged(_) if self.doc.is_some() => {
                    if let Some((_, _, damaged)) = &mut self.doc {
                        *damaged = true;
                    }
                }
                Entry::Facts(bytes) if self.head.is_some() => {
                    self.merge().await?;
                    let entries = decode_entries(&bytes).map_err(|_| self.refused(BackupError::Damaged(self.reader.read())))?;
                    self.repo.inner()?.restore_records(entries).await?;
                }
                Entry::End(end) if self.head.is_some() => {
                    self.merge().await?;
                    if end != self.seen {
                        return Err(self.refused(BackupError::Damaged(self.reader.read())));
                    }
                    self.end = Some(end);
                }
                _ => return Err(self.refused(BackupError::Damaged(self.reader.read()))),
            }
        }
    }

    /// Says that the file is over, and completes when all of it is on disk, where there is storage.
    ///
    /// # Errors
    /// [`ErrorCode::Decode`] for a file that ends too early: what came before is merged; [`ErrorCode::Storage`], [`ErrorCode::Closed`].
    pub async fn finish(self) -> Result<Imported, RepoError> {
        self.reader.finish().map_err(|error| self.refused(error))?;
        self.repo.flush().await?;
        Ok(self.done)
    }

    fn refused(&self, error: BackupError) -> RepoError {
        let text = format!("{error}; {} documents before that were merged", self.seen.documents);
        RepoError::new(ErrorCode::Decode, text).with_cause(error)
    }

    async fn merge(&mut self) -> Result<(), RepoError> {
        let Some((row, records, mut damaged)) = self.doc.take() else { return Ok(()) };
        let inner = self.repo.inner()?;
        self.seen.documents += 1;
        let Ok(id) = DocId::new(&row.id) else {
            return Err(self.refused(BackupError::Damaged(self.reader.read())));
        };
        if let Some(TombstoneRow { lineage, at, by }) = row.tombstone {
            self.done.tombstones += 1;
            inner.enqueue(Input::DeletionKnown { doc: id.clone(), tombstone: Tombstone { lineage, at, by: PeerId::from_wire(&by) } });
            inner.pump();
        }
        if !records.is_empty() {
            let creator = row.creator.map(|(peer, name)| Creator { peer_id: PeerId::from_wire(&peer), name });
            let (merged, whole) = inner.restore(&id, row.lineage, creator, &records);
            damaged |= merged && !whole;
            if merged { self.done.documents += 1 } else { self.done.skipped.push(id.clone()) }
        }
        if damaged {
            self.done.damaged.push(id);
        }
        self.unwritten.0 += 1;
        self.unwritten.1 += records.iter().map(Bytes::len).sum::<usize>();
        if self.unwritten.0 >= WRITE_AFTER_DOCS || self.unwritten.1 >= WRITE_AFTER_BYTES {
            self.unwritten = (0, 0);
            // So that it can leave memory again.
            self.repo.flush().await?;
        }
        Ok(())
    }
}

/// What a backup has of one document.
struct Copy {
    row: DocRow,
    records: Vec<super::Record>,
    damaged: Vec<Bytes>,
}

impl RepoInner {
    fn all_stores(&self) -> Vec<Rc<dyn Store>> {
        self.stores.borrow().values().map(|open| Rc::clone(&open.store)).collect()
    }

    /// Completes when no store is being opened any more.
    async fn stores_opened(&self) -> Result<(), RepoError> {
        let patience = self.env.now().plus(OPENING_MS);
        while self.store_is_opening() {
            if self.env.now() > patience {
                return Err(RepoError::new(ErrorCode::Storage, "storage is not open yet"));
            }
            self.env.sleep(20).await;
        }
        Ok(())
    }

    /// Returns the names of all documents and deletions, in memory and in stores.
    async fn everything(&self) -> Result<VecDeque<DocId>, RepoError> {
        let mut ids: crate::collections::SortedSet<DocId> = {
            let sync = self.sync.borrow();
            sync.documents().cloned().chain(sync.deletions().map(|(doc, _)| doc.clone())).collect()
        };
        for store in self.all_stores() {
            let listed = store.list().await.map_err(|error| super::health::storage_error("list documents", error))?;
            ids.extend(listed.into_iter().map(|info| info.doc));
        }
        ids.extend(self.storage_health().quarantined);
        Ok(ids.into_iter().collect())
    }

    /// Collects what there is of a document: every record of every store, and what only memory has.
    async fn copy_of(&self, id: &DocId) -> Result<Option<Copy>, RepoError> {
        let (lineage, tombstone, creator) = {
            let sync = self.sync.borrow();
            (sync.lineage(id), sync.deletion(id).cloned(), sync.creator(id).cloned())
        };
        let mut row = DocRow {
            id: id.as_str().to_owned(),
            lineage: lineage.unwrap_or(0),
            creator: creator.map(|creator| (creator.peer_id.as_str().to_owned(), creator.name)),
            tombstone: tombstone.map(|it| TombstoneRow { lineage: it.lineage, at: it.at, by: it.by.as_str().to_owned() }),
        };
        let (mut records, mut damaged, mut stored) = (Vec::new(), Vec::new(), VersionVector::new());
        for store in self.all_stores() {
            match store.load(id).await {
                Ok(None) => {}
                Ok(Some(found)) => {
                    if row.lineage < found.index.lineage {
                        (row.lineage, records, stored) = (found.index.lineage, Vec::new(), VersionVector::new());
                    }
                    if row.lineage == found.index.lineage {
                        stored.merge(&found.index.version);
                        records.extend(found.records);
                    }
                    let told =
                        found.index.tombstone.map(|it| TombstoneRow { lineage: it.lineage, at: it.at, by: it.by.as_str().to_owned() });
                    row.tombstone = row.tombstone.or(told);
                    row.creator = row.creator.or(found.index.creator.map(|it| (it.peer_id.as_str().to_owned(), it.name)));
                }
                Err(StoreError::Corrupt(_)) => {
                    let what = format!("read document {id:?}");
                    let raw = store.salvage(id).await.map_err(|error| super::health::storage_error(&what, error))?;
                    damaged.extend(raw.into_iter().map(|record| record.bytes));
                }
                Err(error) => return Err(super::health::storage_error(&format!("read document {id:?}"), error)),
            }
        }
        let open = self.doc(id).filter(|doc| doc.lineage.get() == row.lineage);
        if let Some(doc) = open {
            doc.doc.commit();
            let version = doc.doc.oplog_vv();
            let missing = !stored.includes(&super::docs::from_loro(&version));
            if missing {
                let since = if records.is_empty() { None } else { Some(&stored) };
                let (bytes, _) = doc
                    .export(since)
                    .map_err(|error| RepoError::new(ErrorCode::Panic, format!("document {id:?} could not be exported: {error}")))?;
                let kind = if since.is_none() { super::RecordKind::Snapshot } else { super::RecordKind::Update };
                records.push(super::Record { key: super::RecordKey(String::new()), kind, bytes: bytes.into() });
            }
        }
        let anything = !records.is_empty() || !damaged.is_empty() || row.tombstone.is_some();
        Ok(anything.then_some(Copy { row, records, damaged }))
    }

    /// Merges exports into a creation of a document. Returns whether it is the one here, and whether every export could be read.
    fn restore(&self, id: &DocId, lineage: u64, creator: Option<Creator>, exports: &[Bytes]) -> (bool, bool) {
        self.enqueue(Input::DocRestored { doc: id.clone(), lineage, creator });
        self.pump();
        let Some(doc) = self.doc(id).filter(|doc| doc.lineage.get() == lineage) else { return (false, true) };
        // One by one, in their order: a snapshot of a trimmed history is of use only to an empty document, so it comes first.
        let mut whole = true;
        for bytes in exports {
            whole &= matches!(self.guarded(&doc, |doc| doc.doc.import(bytes).map(drop)), Ok(Ok(())));
        }
        // What waits for operations that the file does not have is kept as it is.
        let version = doc.doc.oplog_vv();
        for bytes in exports.iter().filter(|bytes| !covers(&version, bytes)) {
            self.keep_waiting(&doc, bytes);
        }
        self.notice(&doc);
        self.pump();
        (true, whole)
    }
}

/// Returns whether a version has everything of an export; also if that cannot be read.
fn covers(version: &loro::VersionVector, export: &[u8]) -> bool {
    super::storage::end_of(export).is_none_or(|end| {
        let end = to_loro(&end);
        end.iter().all(|(author, counter)| version.get(author).is_some_and(|known| known >= counter))
    })
}
