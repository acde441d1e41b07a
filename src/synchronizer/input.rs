//! What happened, in the past tense.

use super::{ChannelId, ChannelKind, Creator, EphemeralKeys, Mark, Timer};
use crate::{
    collections::SortedSet,
    protocol::{DocId, Message, PeerId, RefusalReason, Tombstone, VersionVector},
};

/// What a store holds of a document after a load or a write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoredSize {
    /// Number of records, whoever wrote them.
    pub records: u32,
    /// Those among them that a snapshot of this repo must not replace.
    pub foreign: u32,
    /// Bytes of the newest snapshot record, 0 without one.
    pub snapshot_bytes: u64,
    /// Bytes of the update records.
    pub update_bytes: u64,
}

/// What a store remembers of a document beside its records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// What its records hold.
    pub version: VersionVector,
    /// Which creation of the document they belong to.
    pub lineage: u64,
    /// The last deletion.
    pub tombstone: Option<Tombstone>,
    /// What another machine is known to have.
    pub confirmed: VersionVector,
    /// What names the relays that have all of that.
    pub keepers: Vec<u64>,
    /// Who made the document.
    pub creator: Option<Creator>,
    /// What was known of others' copies, and when.
    pub marks: Vec<Mark>,
}

/// What a peer's message brought of one author's ephemeral entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EphemeralNews {
    /// Who wrote them.
    pub author: PeerId,
    /// What was not known here.
    pub news: EphemeralKeys,
    /// The peer has entries just as they are here.
    pub same: bool,
    /// Entries that are newer here than at the peer.
    pub behind: EphemeralKeys,
}

/// Everything the synchronizer can be told.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A pipe to a peer is there.
    ChannelOpened {
        /// The pipe.
        channel: ChannelId,
        /// Network or tabs.
        kind: ChannelKind,
        /// Whether this side begins the handshake.
        initiate: bool,
    },
    /// A pipe or store is gone.
    ChannelClosed {
        /// Which.
        channel: ChannelId,
    },
    /// A storage adapter was started and will open a store, or say that it cannot.
    StoreExpected {
        /// The adapter's number.
        adapter: usize,
    },
    /// A storage adapter cannot open its store for now.
    StoreUnavailable {
        /// The adapter's number.
        adapter: usize,
    },
    /// A store is there.
    StoreOpened {
        /// Its channel.
        channel: ChannelId,
        /// The adapter's number.
        adapter: usize,
        /// The id it has as a peer.
        peer: PeerId,
        /// Its name.
        name: String,
    },
    /// A store told which documents it has, and which it remembers as deleted.
    Listed {
        /// The store.
        channel: ChannelId,
        /// Its documents.
        docs: Vec<(DocId, Stored)>,
    },
    /// A store could not tell which documents it has.
    ListFailed {
        /// The store.
        channel: ChannelId,
    },
    /// A store was read and what it had is imported.
    Loaded {
        /// The store.
        channel: ChannelId,
        /// The document.
        doc: DocId,
        /// What the store has; the default when it does not know the document.
        stored: Stored,
        /// What the document has now.
        version: VersionVector,
        /// How much the store holds.
        size: StoredSize,
        /// Whether every record could be used, so that a snapshot may replace them.
        whole: bool,
    },
    /// A store could not be read.
    LoadFailed {
        /// The store.
        channel: ChannelId,
        /// The document.
        doc: DocId,
    },
    /// A store completed a write.
    Stored {
        /// The store.
        channel: ChannelId,
        /// What it has now, and how much.
        docs: Vec<(DocId, VersionVector, StoredSize)>,
        /// Documents it could not write, though it wrote the others: their index cannot be read.
        refused: Vec<DocId>,
    },
    /// A store could not bury or forget a document.
    RemovalFailed {
        /// The store.
        channel: ChannelId,
        /// The document.
        doc: DocId,
    },
    /// A store could not write; nothing of it was kept.
    StoreFailed {
        /// The store.
        channel: ChannelId,
    },
    /// A store could not note what other machines have.
    NoteFailed {
        /// Of which documents.
        docs: Vec<DocId>,
    },
    /// A peer's message arrived.
    Received {
        /// On which pipe.
        channel: ChannelId,
        /// The message.
        message: Message,
    },
    /// A peer's message was not admitted.
    Refused {
        /// On which pipe it came.
        channel: ChannelId,
        /// The document it is about, if it is about one.
        doc: Option<DocId>,
        /// Why.
        reason: RefusalReason,
        /// Milliseconds after which it would be, if that is known.
        retry_ms: Option<u32>,
    },
    /// The application opened a document.
    DocOpened {
        /// Which.
        doc: DocId,
    },
    /// The application closed its handle.
    DocClosed {
        /// Which.
        doc: DocId,
    },
    /// The document has new operations of the application.
    DocChanged {
        /// Which.
        doc: DocId,
        /// What it has now.
        version: VersionVector,
    },
    /// Data of a peer was imported.
    DocImported {
        /// Which.
        doc: DocId,
        /// Where it came from.
        channel: ChannelId,
        /// What it has now.
        version: VersionVector,
        /// What the peer said it has.
        announced: VersionVector,
        /// Ends of the operations that are here, follow without a gap what the document has of their author, and wait for those of others.
        pending: VersionVector,
    },
    /// Data of a peer could not be imported; the document is as before.
    ImportFailed {
        /// Which.
        doc: DocId,
        /// Where it came from.
        channel: ChannelId,
    },
    /// The history in memory begins elsewhere than was told: before it is trimmed `version`, nothing at first.
    HistoryBegins {
        /// Which document.
        doc: DocId,
        /// What is not in the history.
        version: VersionVector,
    },
    /// Data of a peer or store depends on what was trimmed from the history here.
    HistoryMissed {
        /// Which document.
        doc: DocId,
        /// Where it came from.
        channel: ChannelId,
        /// What the document has now.
        version: VersionVector,
    },
    /// The application makes a document anew.
    DocCreated {
        /// Which.
        doc: DocId,
    },
    /// The application deleted a document.
    DocDeleted {
        /// Which.
        doc: DocId,
    },
    /// The application brings back a document from a backup: what it holds follows as `DocChanged`.
    DocRestored {
        /// Which.
        doc: DocId,
        /// Which creation of it.
        lineage: u64,
        /// Who made it, if known.
        creator: Option<Creator>,
    },
    /// A backup knows of a deletion.
    DeletionKnown {
        /// The document.
        doc: DocId,
        /// The deletion.
        tombstone: Tombstone,
    },
    /// The application drops its copy of a document.
    DocForgotten {
        /// Which.
        doc: DocId,
    },
    /// The engine panicked in a document: another one is in its place, with little or nothing in it, and nobody holds a handle of that.
    DocLost {
        /// Which.
        doc: DocId,
        /// What it has now.
        version: VersionVector,
    },
    /// The repo writes under these author ids, and nobody else does.
    WritesUnder {
        /// The ids.
        authors: SortedSet<u64>,
    },
    /// The permissions give other answers now.
    PermissionsChanged,
    /// The application waits until a peer of `kind` confirms what is here now.
    SyncWanted {
        /// Which.
        doc: DocId,
        /// Network or storage.
        kind: ChannelKind,
    },
    /// The application wants everything dirty on disk.
    FlushWanted,
    /// The repo closes: what stores have is brought into the form in which it is read quickest, as far as it was written to.
    Closing,
    /// The runtime has looked which documents are held.
    MemoryChecked {
        /// Those that must stay in memory.
        held: SortedSet<DocId>,
    },
    /// The application asks which documents its network peers have.
    DiscoveryWanted,
    /// Ephemeral keys changed here, or were removed with their peer.
    EphemeralChanged {
        /// Which document.
        doc: DocId,
        /// Which keys.
        keys: EphemeralKeys,
        /// How often others may relay it.
        hops: u32,
    },
    /// A peer's ephemeral entries were applied.
    EphemeralApplied {
        /// Which document.
        doc: DocId,
        /// Who sent them.
        channel: ChannelId,
        /// How often they may be relayed.
        hops: u32,
        /// What became of them, one for each author.
        authors: Vec<EphemeralNews>,
    },
    /// Ephemeral entries were renewed, and lapsed ones dropped.
    EphemeralBeaten {
        /// Which document.
        doc: DocId,
        /// Who has written what is left.
        authors: SortedSet<PeerId>,
    },
    /// Something about the records.
    Records(super::RecordInput),
    /// Time asked for with [`super::Effect::SetTimer`] is over.
    TimerFired(Timer),
}
