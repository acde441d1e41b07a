//! The messages of the sync protocol and of its extension, as plain data.
//!
//! Decides nothing; `codec` turns these into bytes and back.

use bytes::Bytes;

use super::{Capabilities, Clock, ClockVector, Device, DocId, PeerId, RecordEntry, RecordId, RecordState, VersionVector, extension};

/// Who a peer says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The live repo.
    pub peer_id: PeerId,
    /// A name for people, if given.
    pub name: Option<String>,
    /// What kind of participant it is.
    pub peer_type: PeerType,
    /// What it speaks beyond the reference protocol; `None` for a peer that speaks only that.
    pub capabilities: Option<Capabilities>,
}

/// Kind of participant. Unknown kinds travel unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerType {
    /// A person's repo.
    User,
    /// An automated participant.
    Bot,
    /// A relay or other service.
    Service,
    /// A kind this version does not know.
    Other(String),
}

impl PeerType {
    /// Returns the text used on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::User => "user",
            Self::Bot => "bot",
            Self::Service => "service",
            Self::Other(text) => text,
        }
    }

    /// Reads the text used on the wire.
    #[must_use]
    pub fn from_wire(text: &str) -> Self {
        match text {
            "user" => Self::User,
            "bot" => Self::Bot,
            "service" => Self::Service,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// The encoded entries of one namespace of a document's ephemeral state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EphemeralPayload {
    /// The author or sender, for events and ownership.
    pub peer: PeerId,
    /// The namespace.
    pub namespace: String,
    /// Store bytes; empty says that `peer` has gone.
    pub data: Bytes,
}

/// What a side gives for a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transmission {
    /// The receiver has everything.
    UpToDate {
        /// The sender's whole version.
        version: VersionVector,
    },
    /// A Loro snapshot export.
    Snapshot {
        /// The Loro export.
        data: Bytes,
        /// The sender's whole version, not the export's.
        version: VersionVector,
    },
    /// A Loro update export.
    Update {
        /// The Loro export.
        data: Bytes,
        /// The sender's whole version, not the export's.
        version: VersionVector,
    },
    /// The sender does not have the document.
    Unavailable,
    /// A kind this version does not know; the message is otherwise well formed.
    Unknown,
}

/// The answer to a delete request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteStatus {
    /// The document was deleted.
    Deleted,
    /// Nothing was done.
    Ignored,
}

/// What travels over a network or tabs channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Identity of the connecting side.
    EstablishRequest(Identity),
    /// Identity of the accepting side.
    EstablishResponse(Identity),
    /// "I have `version`; send me the rest and subscribe me."
    SyncRequest {
        /// The document.
        doc: DocId,
        /// What the sender has.
        version: VersionVector,
        /// The sender's ephemeral state.
        ephemeral: Option<Vec<EphemeralPayload>>,
        /// Whether the receiver should ask back.
        bidirectional: bool,
    },
    /// The answer to a sync request.
    SyncResponse {
        /// The document.
        doc: DocId,
        /// What is given.
        transmission: Transmission,
        /// The sender's ephemeral state.
        ephemeral: Option<Vec<EphemeralPayload>>,
    },
    /// Unasked-for operations for a subscriber.
    Update {
        /// The document.
        doc: DocId,
        /// What is given.
        transmission: Transmission,
    },
    /// Asks which documents there are.
    DirectoryRequest {
        /// Only these, if given.
        docs: Option<Vec<DocId>>,
    },
    /// The documents the asker may know of.
    DirectoryResponse {
        /// Document ids.
        docs: Vec<DocId>,
    },
    /// Announces documents.
    NewDoc {
        /// Document ids.
        docs: Vec<DocId>,
    },
    /// Asks to delete a document.
    DeleteRequest {
        /// The document.
        doc: DocId,
    },
    /// Tells what became of a delete request.
    DeleteResponse {
        /// The document.
        doc: DocId,
        /// The outcome.
        status: DeleteStatus,
    },
    /// Ephemeral state.
    Ephemeral {
        /// The document.
        doc: DocId,
        /// How often it may still be relayed.
        hops: u32,
        /// The state, by namespace.
        stores: Vec<EphemeralPayload>,
    },
    /// Several messages in order.
    Batch(Vec<Message>),
    /// "I follow these documents and hold these versions of them."
    Heads {
        /// One entry a document.
        heads: Vec<extension::Head>,
        /// Whether the receiver should tell what it holds.
        reply: bool,
    },
    /// Asks for operations by author.
    Want {
        /// The document.
        doc: DocId,
        /// Which creation of it.
        lineage: u64,
        /// Which operations.
        ranges: Vec<extension::AuthorRange>,
    },
    /// Operations: the answer to [`Message::Want`], or a push to a follower.
    Give {
        /// The document.
        doc: DocId,
        /// Which creation of it.
        lineage: u64,
        /// The wanted ranges this answers; empty for a push.
        ranges: Vec<extension::AuthorRange>,
        /// A Loro export.
        data: Bytes,
        /// The sender's whole version.
        version: VersionVector,
    },
    /// What the sender holds, in memory and on disk.
    Ack {
        /// The document.
        doc: DocId,
        /// Which creation of it.
        lineage: u64,
        /// In memory.
        version: VersionVector,
        /// On disk; `None` for a sender without storage.
        durable: Option<VersionVector>,
        /// What everybody known to follow the document has on disk, from one who keeps all of its history; empty: "what is that?"
        settled: Option<VersionVector>,
    },
    /// Something about a document was not taken or is not given.
    Refusal {
        /// The document.
        doc: DocId,
        /// Why.
        reason: extension::RefusalReason,
        /// Milliseconds after which trying again makes sense, if that is known.
        retry_ms: Option<u32>,
    },
    /// Sums over the documents both sides follow, to find out which differ.
    Digest {
        /// Sums of the sender, to be compared.
        sums: Vec<extension::Sum>,
        /// Parts of which the sender wants to see every document.
        list: Vec<extension::Part>,
        /// Whether the sender wants to hear that the sums are equal.
        reply: bool,
        /// Whether all of the documents are on the sender's disk.
        stored: bool,
    },
    /// Documents that were deleted.
    Deleted {
        /// One entry a document.
        docs: Vec<(DocId, extension::Tombstone)>,
    },
    /// "I get this document's changes elsewhere: tell me of them, and I ask when they do not come."
    Prune {
        /// The document.
        doc: DocId,
    },
    /// What the sender has of the records: its greeting, its acknowledgement, and its word of news.
    RecordsHave {
        /// Whose records it keeps.
        device: Device,
        /// What it has, added to what it said before on this connection.
        version: ClockVector,
        /// What it has on disk, likewise; `None` for a sender without storage.
        durable: Option<ClockVector>,
        /// What every device that it hears of has, likewise; a leaf leaves it empty.
        stable: ClockVector,
        /// The sum of all it has, to be compared.
        sum: u64,
        /// Whether the receiver should tell what it has, unless that has the same sum.
        reply: bool,
        /// "What you sent me I had already: from now on only tell me of news."
        lazy: bool,
        /// "I show you more, or less, than before: what I did not show in full, ask for again."
        fresh: bool,
    },
    /// Asks for the records written since, in pages.
    RecordsRequest {
        /// What the sender has.
        since: ClockVector,
        /// The page after the one that ended here.
        after: Option<Clock>,
        /// Whether pages of everything are being read, as an earlier response said.
        whole: bool,
    },
    /// A page of what was asked for.
    RecordsResponse {
        /// What the receiver has when it has all pages; the first page's counts.
        version: ClockVector,
        /// The records, or parts of them, in the order of their latest clocks.
        entries: Vec<RecordEntry>,
        /// Which page it is, as it was asked for.
        after: Option<Clock>,
        /// Where the next page begins; `None` for the last.
        next: Option<Clock>,
        /// These are the pages of everything: what `version` covers and they do not name was deleted or replaced; values that the receiver has
        /// are empty. Then, of what is in this, the sender may have forgotten deletions.
        whole: Option<ClockVector>,
        /// Something is not shown to the receiver, so it must not tell others that it has `version`.
        partial: bool,
    },
    /// Records nobody asked for, for a receiver that has `since`.
    RecordsChange {
        /// What the receiver must have of the writers in `version`.
        since: ClockVector,
        /// What it has then.
        version: ClockVector,
        /// The records, or parts of them.
        entries: Vec<RecordEntry>,
        /// Something is not shown to the receiver.
        partial: bool,
    },
    /// A change of a record was not taken.
    RecordsRefusal {
        /// The record.
        record: RecordId,
        /// Why.
        reason: extension::RefusalReason,
        /// What the sender has of it.
        state: RecordState,
    },
}
