//! The two contracts an adapter fulfils: a [`Channel`] carries messages to one peer, a [`Store`] keeps records.
//!
//! Decides nothing about documents; adapters never see one.

use std::{
    cmp::Reverse,
    rc::{Rc, Weak},
    sync::Arc,
};

use bytes::Bytes;

use super::{Env, LoadedRecords, LocalBoxFuture, RecordsOpening, RecordsWrite, RepoError};
use crate::{
    protocol::{DocId, Message, PeerId, Tombstone, VersionVector},
    synchronizer::{ChannelId, ChannelKind, Creator, Mark, Note, Timestamp, join_keepers},
};

/// What opens channels or a store: one WebSocket, one BroadcastChannel name, one database.
///
/// An adapter keeps the [`AdapterContext`] given to [`Adapter::start`] and reports through it. It may call the context
/// from anywhere except from inside [`Channel::send`].
pub trait Adapter {
    /// What its channels are.
    fn kind(&self) -> ChannelKind;
    /// A short name, such as "websocket".
    fn name(&self) -> &str;
    /// Begins to open channels. Called once, before any other method.
    fn start(&self, context: AdapterContext);
    /// Closes everything and completes when nothing more will be reported.
    fn stop(&self) -> LocalBoxFuture<()>;
    /// How it is doing.
    fn state(&self) -> AdapterState;
}

/// How an adapter is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdapterState {
    /// Not started, or switched off by the application.
    Off,
    /// Opening for the first time, or again.
    Connecting,
    /// Working.
    Open,
    /// Failed; it will try again by itself.
    Waiting,
    /// Failed for good, or stopped.
    Closed,
}

impl AdapterState {
    /// Returns the state as applications see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Connecting => "connecting",
            Self::Open => "open",
            Self::Waiting => "waiting",
            Self::Closed => "closed",
        }
    }
}

/// One live pipe to one peer (network or tabs).
pub trait Channel {
    /// Sends these messages in order, as one frame where it can. Never blocks, never calls back; a pipe that is
    /// broken drops them and reports [`AdapterContext::close_channel`] in a later task.
    fn send(&self, messages: Vec<Message>);
    /// Closes the pipe. Nothing is reported for it afterwards.
    fn close(&self);
    /// Returns whether what is sent may still arrive.
    fn is_open(&self) -> bool {
        true
    }
    /// Traffic so far.
    fn stats(&self) -> ChannelStats;
}

/// Traffic of one channel, in messages and payload bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChannelStats {
    /// Messages received.
    pub messages_in: u64,
    /// Messages sent.
    pub messages_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
}

/// Which side begins the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// This side sends the establish-request.
    Initiate,
    /// This side waits for it.
    Await,
}

/// Something that went wrong and that the application should hear of; the repo goes on.
#[derive(Debug, Clone)]
pub enum Problem {
    /// Bytes of a peer could not be decoded, a URL is bad, a socket was refused …
    Network(RepoError),
    /// Storage is not, or no longer, available, or a write failed.
    Storage(RepoError),
}

/// What a storage adapter has to tell beside failures.
#[derive(Debug, Clone)]
pub enum StorageNotice {
    /// Whether the browser has promised to keep what is stored.
    Persistence(bool),
    /// Bytes in use and bytes there may be.
    Room {
        /// In use.
        usage: u64,
        /// At most.
        quota: u64,
    },
    /// What was stored last time, or a moment ago, is gone.
    Evicted(RepoError),
    /// Another tab holds an older database open: nothing is read or written until it lets go.
    Blocked(RepoError),
    /// A newer version of the program uses the database: this one stores nothing until it is loaded anew.
    Superseded(RepoError),
    /// The connection was closed from outside; it is opened again at the next use.
    Lost(RepoError),
    /// A document's index record cannot be read.
    Damaged(DocId, RepoError),
}

/// The repo as its adapters see it. A test may put something else in its place.
pub trait AdapterSink {
    /// Adds a pipe to a peer.
    fn open_channel(&self, adapter: usize, channel: Rc<dyn Channel>, opening: Opening) -> ChannelId;
    /// Adds a store.
    fn open_store(&self, adapter: usize, store: Rc<dyn Store>) -> ChannelId;
    /// Takes what arrived on a pipe, in order.
    fn receive(&self, channel: ChannelId, messages: Vec<Message>);
    /// Hears that a pipe or store is gone.
    fn close_channel(&self, channel: ChannelId);
    /// Hears of a problem.
    fn report(&self, problem: Problem);
    /// Hears how storage is doing.
    fn notice(&self, adapter: usize, notice: StorageNotice);
    /// Hears that [`Adapter::state`] has changed.
    fn adapter_changed(&self, adapter: usize);
}

/// An adapter's way back into its repo. Cheap to clone; does nothing once the repo is closed or dropped.
#[derive(Clone)]
pub struct AdapterContext {
    sink: Weak<dyn AdapterSink>,
    adapter: usize,
    env: Rc<dyn Env>,
    peer_id: PeerId,
}

impl AdapterContext {
    /// Connects adapter number `adapter` with its repo.
    #[must_use]
    pub fn new(sink: Weak<dyn AdapterSink>, adapter: usize, env: Rc<dyn Env>, peer_id: PeerId) -> Self {
        Self { sink, adapter, env, peer_id }
    }

    /// Time, chance and tasks.
    #[must_use]
    pub fn env(&self) -> Rc<dyn Env> {
        Rc::clone(&self.env)
    }

    /// The repo's own id.
    #[must_use]
    pub fn peer_id(&self) -> &PeerId {
        &self.peer_id
    }

    /// Adds a pipe to a peer; `None` when the repo is gone.
    pub fn open_channel(&self, channel: Rc<dyn Channel>, opening: Opening) -> Option<ChannelId> {
        self.sink.upgrade().map(|sink| sink.open_channel(self.adapter, channel, opening))
    }

    /// Adds a store, one peer that is asked first; `None` when the repo is gone.
    pub fn open_store(&self, store: Rc<dyn Store>) -> Option<ChannelId> {
        self.sink.upgrade().map(|sink| sink.open_store(self.adapter, store))
    }

    /// Hands in what arrived on `channel`, in order.
    pub fn receive(&self, channel: ChannelId, messages: Vec<Message>) {
        if let Some(sink) = self.sink.upgrade() {
            sink.receive(channel, messages);
        }
    }

    /// Reports that a pipe or store is gone.
    pub fn close_channel(&self, channel: ChannelId) {
        if let Some(sink) = self.sink.upgrade() {
            sink.close_channel(channel);
        }
    }

    /// Reports a problem to the application.
    pub fn report(&self, problem: Problem) {
        if let Some(sink) = self.sink.upgrade() {
            sink.report(problem);
        }
    }

    /// Tells how storage is doing.
    pub fn notice(&self, notice: StorageNotice) {
        if let Some(sink) = self.sink.upgrade() {
            sink.notice(self.adapter, notice);
        }
    }

    /// Reports that [`Adapter::state`] has changed.
    pub fn state_changed(&self) {
        if let Some(sink) = self.sink.upgrade() {
            sink.adapter_changed(self.adapter);
        }
    }
}

/// Keeps documents as records: a snapshot and the updates after it, in any order and number.
///
/// Several stores of several processes or tabs may use the same database at once. Keys are never reused.
/// Everything written by one call of [`Store::write`] is one transaction: all of it or nothing.
pub trait Store {
    /// A short name, such as "indexeddb".
    fn name(&self) -> &str;
    /// Reads all records of a document; `None` when it was never stored; one that was deleted has an index and no records. A failed read is an error, never `None`.
    fn load(&self, doc: &DocId) -> LocalBoxFuture<Result<Option<StoredDoc>, StoreError>>;
    /// Reads several documents as [`Store::load`] does, and gives them in that order: what is wrong with one costs no other.
    fn load_all(&self, docs: Vec<DocId>) -> LocalBoxFuture<Vec<Result<Option<StoredDoc>, StoreError>>> {
        // All are asked for before any is waited for.
        let loads: Vec<_> = docs.iter().map(|doc| self.load(doc)).collect();
        Box::pin(async move {
            let mut loaded = Vec::with_capacity(loads.len());
            for load in loads {
                loaded.push(load.await);
            }
            loaded
        })
    }
    /// Reads the index record of a document; `None` when it was never stored.
    fn index(&self, doc: &DocId) -> LocalBoxFuture<Result<Option<IndexEntry>, StoreError>> {
        let stored = self.load(doc);
        Box::pin(async move { Ok(stored.await?.map(|stored| stored.index)) })
    }
    /// Lists all documents from their index records, without reading any document.
    fn list(&self) -> LocalBoxFuture<Result<Vec<StoredInfo>, StoreError>>;
    /// Writes in one transaction and completes when that is as safe as `safety` says. A document whose index record is damaged is left as
    /// it is and named in the answer; the others are written.
    fn commit(&self, writes: Vec<Write>, safety: Safety) -> LocalBoxFuture<Result<Committed, StoreError>>;
    /// Writes in one transaction and completes when that is on disk; fails if a document could not be written, though others were.
    fn write(&self, writes: Vec<Write>) -> LocalBoxFuture<Result<(), StoreError>> {
        let committed = self.commit(writes, Safety::Strict);
        Box::pin(async move { committed.await?.refused.into_iter().next().map_or(Ok(()), |(_, error)| Err(error)) })
    }
    /// Completes when everything committed before is on disk, whatever safety it was committed with.
    fn sync(&self) -> LocalBoxFuture<Result<(), StoreError>>;
    /// Reads what is there of a document, damaged or not, for somebody to look at. Changes nothing.
    fn salvage(&self, doc: &DocId) -> LocalBoxFuture<Result<Vec<RawRecord>, StoreError>>;
    /// Deletes the records of the creation `tombstone` names, and of those before it, and keeps the tombstone in the index record;
    /// completes when that is on disk. A newer creation stays as it is, with the tombstone noted. A document that was never stored
    /// gets an index record. Of two tombstones that of the newer creation stays, of two of one creation the earlier.
    fn bury(&self, doc: &DocId, tombstone: Tombstone) -> LocalBoxFuture<Result<(), StoreError>>;
    /// Merges what another machine is known to have into the index records of documents, where those are of that creation; others are
    /// passed over. Completes when it is written, which need not be on disk: what is lost is found out again.
    fn confirm(&self, confirmed: Vec<Note>) -> LocalBoxFuture<Result<(), StoreError>>;
    /// Makes something else of a small value kept beside the documents, in one transaction, and gives it as it is then; completes when that
    /// is on disk, and everything written before it. What is not to change is not written.
    fn amend(&self, name: &'static str, change: Amendment) -> LocalBoxFuture<Result<Option<Bytes>, StoreError>>;
    /// Deletes all records and the index entry of a document, a tombstone included, and completes when that is on disk.
    fn remove(&self, doc: &DocId) -> LocalBoxFuture<Result<(), StoreError>>;
    /// Opens the records and reads them all, in one transaction that also keeps the device, and takes the writer, that were given. `None`
    /// if this store keeps no records. [`RecordsMeta`](super::RecordsMeta) says what becomes of the row of meta data.
    fn load_records(&self, _opening: RecordsOpening) -> LocalBoxFuture<Result<Option<LoadedRecords>, StoreError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
    /// Writes records in one transaction and completes when that is on disk. Rows are merged with those that are there, as
    /// [`records::merge_row`](super::records::merge_row) and [`records::forget_row`](super::records::forget_row) do.
    fn write_records(&self, _write: RecordsWrite) -> LocalBoxFuture<Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
    /// Puts aside what would be lost if everything ended now, in place of what was put aside before; nothing takes that away. It is asked
    /// for before the call returns, and written as by [`Store::commit`] when the database is opened next. Whoever has it
    /// written otherwise says so by putting nothing aside.
    fn put_aside(&self, _writes: Vec<Write>) {}
    /// Finishes what was begun and releases the database.
    fn close(&self) -> LocalBoxFuture<()>;
}

/// When a commit counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    /// When the operating system has it: the death of the process or page takes nothing back, a power failure might.
    Relaxed,
    /// When the disk has it.
    Strict,
}

/// What a commit did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// Number of records each document has in the store now, whoever wrote them.
    pub records: Vec<(DocId, u32)>,
    /// Documents that were not written, and why.
    pub refused: Vec<(DocId, StoreError)>,
}

/// A stored record as it is, damaged or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// Its name.
    pub key: String,
    /// What it says it holds, if that can be told.
    pub kind: Option<RecordKind>,
    /// Its bytes, as far as they are there.
    pub bytes: Bytes,
}

/// Makes the new value of [`Store::amend`] of the old one; `None` is no value. May be called again when a transaction has to be repeated.
pub type Amendment = Arc<dyn Fn(Option<&[u8]>) -> Option<Bytes> + Send + Sync>;

/// Names one record within its document. Unique for ever: made of a random writer number and a counter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey(pub String);

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// A Loro snapshot.
    Snapshot,
    /// A Loro update export.
    Update,
}

/// One stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub key: RecordKey,
    /// What it holds.
    pub kind: RecordKind,
    /// A Loro export.
    pub bytes: Bytes,
}

/// All records of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDoc {
    /// In any order.
    pub records: Vec<Record>,
    /// The index record.
    pub index: IndexEntry,
}

/// The per-document index record: enough for handshakes and lists without reading the document.
///
/// A store merges it with what another tab wrote: versions by maximum, `updated` by maximum, sizes recomputed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexEntry {
    /// The version the records give together.
    pub version: VersionVector,
    /// Bytes of all records.
    pub bytes: u64,
    /// Number of records.
    pub records: u32,
    /// When first written, milliseconds since the Unix epoch.
    pub created: Timestamp,
    /// When last written.
    pub updated: Timestamp,
    /// Which creation of the document the records belong to: 0, or what [`Write::lineage`] said when it was made again.
    pub lineage: u64,
    /// The last deletion, of this creation or of one before it.
    pub tombstone: Option<Tombstone>,
    /// What another machine is known to have.
    pub confirmed: VersionVector,
    /// What names the relays that have all of that, the latest first.
    pub keepers: Vec<u64>,
    /// Who made the document, if known.
    pub creator: Option<Creator>,
    /// What was known of others' copies, and when: what history may be trimmed by.
    pub marks: Vec<Mark>,
}

impl IndexEntry {
    /// Returns whether the document is deleted: there are no records, and peers are told so.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.tombstone.as_ref().is_some_and(|tombstone| tombstone.lineage >= self.lineage)
    }

    /// Returns whether a store does `write`; if not, the write is of an older creation or of a deleted one, and is dropped.
    #[must_use]
    pub fn takes(&self, write: &Write) -> bool {
        write.lineage >= self.lineage && self.tombstone.as_ref().is_none_or(|tombstone| tombstone.lineage < write.lineage)
    }

    /// Merges what a taken write says of the document. Returns whether the write begins a newer creation, so that all records stored
    /// before it are to be deleted. `bytes` and `records` are for the store to count; they are 0 where a creation begins.
    #[must_use]
    pub fn merge(&mut self, write: &Write) -> bool {
        let newer = write.lineage > self.lineage;
        if newer || self.records == 0 {
            let tombstone = self.tombstone.take();
            *self = Self { created: write.at, lineage: write.lineage, tombstone, ..Self::default() };
        }
        self.version.merge(&write.version);
        join_keepers(&mut self.confirmed, &mut self.keepers, &write.confirmed, &write.keepers);
        self.updated = self.updated.max(write.at);
        if self.creator.is_none() {
            self.creator.clone_from(&write.creator);
        }
        newer
    }

    /// Notes what another machine is known to have; returns whether that is news of the stored creation.
    pub fn confirm(&mut self, note: &Note) -> bool {
        let marks = note.marks.as_ref().filter(|marks| **marks != self.marks);
        let mut after = (self.confirmed.clone(), self.keepers.clone());
        join_keepers(&mut after.0, &mut after.1, &note.confirmed, &note.keepers);
        let more = after.0 != self.confirmed || after.1.iter().any(|home| !self.keepers.contains(home));
        if self.records == 0 || self.lineage != note.lineage || !(more || marks.is_some()) {
            return false;
        }
        (self.confirmed, self.keepers) = after;
        if let Some(marks) = marks {
            self.marks.clone_from(marks);
        }
        true
    }

    /// Notes a deletion: of two, the one of the newer creation stays, of two of one creation the earlier. Returns whether it covers the
    /// stored creation, so that all records are to be deleted; `version`, `bytes` and `records` are empty then.
    #[must_use]
    pub fn bury(&mut self, tombstone: Tombstone) -> bool {
        let covered = self.lineage <= tombstone.lineage;
        if covered {
            self.version = VersionVector::new();
            (self.bytes, self.records, self.lineage) = (0, 0, tombstone.lineage);
        }
        let rank = |tombstone: &Tombstone| (tombstone.lineage, Reverse(tombstone.at));
        if self.tombstone.as_ref().is_none_or(|stored| rank(stored) < rank(&tombstone)) {
            self.tombstone = Some(tombstone);
        }
        covered
    }
}

/// One line of a store's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInfo {
    /// The document.
    pub doc: DocId,
    /// Its index record.
    pub index: IndexEntry,
}

/// A record to add to one document, and records it replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The document.
    pub doc: DocId,
    /// The new record.
    pub record: Record,
    /// Records the new one covers; missing ones are no error.
    pub replaces: Vec<RecordKey>,
    /// The writer's version after this write, for the index record.
    pub version: VersionVector,
    /// When it is written.
    pub at: Timestamp,
    /// Which creation of the document it belongs to. A write to an older creation than the stored one, or to a deleted one, is
    /// dropped without error; one to a newer creation replaces all that is stored, the tombstone excepted.
    pub lineage: u64,
    /// What another machine is known to have; merged into the index record.
    pub confirmed: VersionVector,
    /// What names the relays that have all of that, [`crate::synchronizer::MAX_KEEPERS`] at most.
    pub keepers: Vec<u64>,
    /// Who made the document; the first one written stays.
    pub creator: Option<Creator>,
}

/// Why a store could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk or quota is full.
    #[error("storage is full: {0}")]
    Full(String),
    /// The database is not there: private mode, blocked, closed by the browser.
    #[error("storage is not available: {0}")]
    Unavailable(String),
    /// Stored bytes are not what was written.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    /// Anything else.
    #[error("storage failed: {0}")]
    Other(String),
}
