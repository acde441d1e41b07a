//! What the runtime must do, in the imperative, as ordered plain data.

use bytes::Bytes;

use super::{ChannelId, Creator, Event, Mark, Timer};
use crate::{
    collections::{SortedMap, SortedSet},
    protocol::{DocId, EphemeralPayload, Message, PeerId, Tombstone, VersionVector, extension::AuthorRange},
};

/// Keys of ephemeral state, by namespace.
pub type EphemeralKeys = SortedMap<String, Vec<String>>;

/// Which ephemeral entries to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EphemeralSelection {
    /// Everything known of the document.
    All,
    /// What this repo last wrote.
    Own,
    /// Everything but what this repo last wrote.
    Others,
    /// Some keys.
    Keys(EphemeralKeys),
}

/// One document of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreDoc {
    /// Which.
    pub doc: DocId,
    /// What the store has already.
    pub since: VersionVector,
    /// Whether to write a snapshot in place of all records read or written so far.
    pub snapshot: bool,
    /// Which creation of the document.
    pub lineage: u64,
    /// What another machine is known to have.
    pub confirmed: VersionVector,
    /// What names the relays that have all of that.
    pub keepers: Vec<u64>,
    /// Who made the document, if known.
    pub creator: Option<Creator>,
    /// Where the history in a snapshot begins, as far as the engine can; empty for all of it.
    pub trim: VersionVector,
}

/// What a store is to note of one creation of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The document.
    pub doc: DocId,
    /// Which creation of it.
    pub lineage: u64,
    /// What another machine is known to have.
    pub confirmed: VersionVector,
    /// What names the relays that have all of that, [`super::MAX_KEEPERS`] at most.
    pub keepers: Vec<u64>,
    /// What takes the place of the marks noted before; `None` if they stay.
    pub marks: Option<Vec<Mark>>,
}

/// What a document transmission answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A sync-request.
    Answer,
    /// Nothing: a push to a subscriber.
    Push,
}

/// Everything the synchronizer can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send a message.
    Send {
        /// To whom.
        channel: ChannelId,
        /// What.
        message: Message,
    },
    /// Export and send the whole document.
    SendSnapshot {
        /// To whom.
        channel: ChannelId,
        /// Which.
        doc: DocId,
        /// As what.
        purpose: Purpose,
    },
    /// Export and send what `since` lacks.
    SendUpdate {
        /// To whom.
        channel: ChannelId,
        /// Which.
        doc: DocId,
        /// What the receiver has.
        since: VersionVector,
        /// As what.
        purpose: Purpose,
    },
    /// Export what `since` lacks and push it to a follower that speaks the extension.
    GiveUpdate {
        /// To whom.
        channel: ChannelId,
        /// Which.
        doc: DocId,
        /// Which creation of it.
        lineage: u64,
        /// What the receiver has.
        since: VersionVector,
    },
    /// Export operations by author and send them.
    GiveRanges {
        /// To whom.
        channel: ChannelId,
        /// Which.
        doc: DocId,
        /// Which creation of it.
        lineage: u64,
        /// Which operations, all of them known here.
        ranges: Vec<AuthorRange>,
        /// Whether these are all there are, so that a snapshot says the same.
        whole: bool,
    },
    /// Send ephemeral entries, if there are any.
    SendEphemeral {
        /// To whom.
        channel: ChannelId,
        /// Of which document.
        doc: DocId,
        /// Which entries.
        selection: EphemeralSelection,
        /// How often they may be relayed.
        hops: u32,
    },
    /// Encode ephemeral entries once and send them to several peers, if there are any.
    SpreadEphemeral {
        /// To whom, and how often they may be relayed there.
        to: Vec<(ChannelId, u32)>,
        /// Of which document.
        doc: DocId,
        /// Which entries.
        selection: EphemeralSelection,
    },
    /// Close a pipe.
    CloseChannel {
        /// Which.
        channel: ChannelId,
    },
    /// Have an (empty) document in memory.
    CreateDoc {
        /// Which.
        doc: DocId,
        /// Which creation of it.
        lineage: u64,
    },
    /// Drop a document from memory.
    DropDoc {
        /// Which.
        doc: DocId,
    },
    /// Tell which documents are held by handles or by somebody who waits; answered by `MemoryChecked`.
    CheckMemory,
    /// Drop a document from memory; it stays in its stores and among those known of.
    UnloadDoc {
        /// Which.
        doc: DocId,
    },
    /// Import a peer's data; answered by `DocImported` or `ImportFailed`.
    ImportDoc {
        /// Which.
        doc: DocId,
        /// Where it came from.
        channel: ChannelId,
        /// A Loro export.
        data: bytes::Bytes,
        /// What the peer has.
        announced: VersionVector,
    },
    /// Never write under these author ids again, and let nobody else: operations of theirs are not here that somebody may have.
    RetireAuthors {
        /// The ids.
        authors: SortedSet<u64>,
    },
    /// Ask a store for its documents; answered by `Listed`.
    ListDocs {
        /// Which store.
        channel: ChannelId,
    },
    /// Read a document from a store and import it; answered by `Loaded` or `LoadFailed`.
    LoadDoc {
        /// Which store.
        channel: ChannelId,
        /// Which.
        doc: DocId,
    },
    /// Write in one transaction; answered by `Stored` or `StoreFailed`.
    StoreDocs {
        /// Which store.
        channel: ChannelId,
        /// What.
        docs: Vec<StoreDoc>,
    },
    /// Note in a store what other machines are known to have of documents, of one creation each, and marks where they changed; answered
    /// only if it failed, by `NoteFailed`.
    NoteConfirmed {
        /// Which store.
        channel: ChannelId,
        /// The documents.
        docs: Vec<Note>,
    },
    /// Put a document with the whole history, as a peer gave it, in the place of one whose history is trimmed, with everything that has;
    /// answered by `HistoryBegins` and `DocImported` if it worked.
    RenewDoc {
        /// Which.
        doc: DocId,
        /// Who gave it.
        channel: ChannelId,
        /// Everything it has.
        data: Bytes,
        /// What it said it has.
        announced: VersionVector,
    },
    /// Delete a document from a store and keep its tombstone there.
    BuryDoc {
        /// Which store.
        channel: ChannelId,
        /// Which.
        doc: DocId,
        /// What is kept.
        tombstone: Tombstone,
    },
    /// Drop everything a store has of a document, its tombstone included.
    ForgetDoc {
        /// Which store.
        channel: ChannelId,
        /// Which.
        doc: DocId,
    },
    /// Apply a peer's ephemeral entries; answered by `EphemeralApplied`.
    ApplyEphemeral {
        /// Of which document.
        doc: DocId,
        /// Who sent them.
        channel: ChannelId,
        /// How often they may be relayed.
        hops: u32,
        /// The entries.
        stores: Vec<EphemeralPayload>,
        /// Authors that are known to be there, so that nobody is believed who says that they left.
        present: SortedSet<PeerId>,
        /// The sender is this repo's relay and passes on what many others wrote.
        from_relay: bool,
    },
    /// Renew the entries this repo last wrote and drop those nobody renewed; answered by `EphemeralBeaten`.
    BeatEphemeral {
        /// Of which document.
        doc: DocId,
    },
    /// Remove the entries that came over a channel that is gone, except those of peers that are connected; answered by `EphemeralChanged`.
    RemoveEphemeral {
        /// The channel.
        channel: ChannelId,
        /// The peer it led to, if that is gone with it: what it wrote is removed wherever it came from.
        peer: Option<PeerId>,
        /// Nobody else is connected: nothing needs to be remembered of them, and all is welcome when it comes again.
        forget: bool,
    },
    /// Hand `timer` back after a while: once, also if it was set before and that time is not over.
    SetTimer {
        /// Which.
        timer: Timer,
        /// Milliseconds.
        after_ms: u64,
    },
    /// Do something about the records.
    Records(super::RecordEffect),
    /// Tell the application.
    Emit(Event),
}
