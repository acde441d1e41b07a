//! What the application gets to see.

use super::ChannelId;
use crate::protocol::{DocId, PeerId, RecordId, RefusalReason};

/// News for the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A document is known here that was not.
    DocumentAdded(DocId),
    /// A document is gone from here.
    DocumentRemoved(DocId),
    /// A peer's first channel is established.
    PeerConnected(PeerId),
    /// A peer's last channel is gone.
    PeerDisconnected(PeerId),
    /// [`super::Synchronizer::ready_states`] of the document has changed.
    ReadyStateChanged(DocId),
    /// A store works again after a failure.
    StorageRecovered,
    /// A peer's change was not taken: the permissions refuse it.
    ChangeRefused {
        /// The document.
        doc: DocId,
        /// The peer.
        peer: PeerId,
    },
    /// A peer did not take what this repo has of a document.
    Refused {
        /// The document.
        doc: DocId,
        /// The peer.
        peer: PeerId,
        /// Why.
        reason: RefusalReason,
        /// Milliseconds until it is offered again; `None` if it is not.
        retry_ms: Option<u64>,
    },
    /// Whether other machines have what was edited here may have changed.
    ConfirmedChanged(DocId),
    /// Other machines have more of the records than before.
    RecordsConfirmed,
    /// A peer did not take this repo's change of a record.
    RecordRefused {
        /// The record.
        record: RecordId,
        /// The peer.
        peer: PeerId,
        /// Why.
        reason: RefusalReason,
    },
    /// A peer's changes of records were not taken: its clock is too far ahead, or there is no room. They are asked for again.
    RecordsNotTaken {
        /// One of the records.
        record: RecordId,
        /// The peer.
        peer: PeerId,
        /// Why.
        reason: RefusalReason,
    },
    /// A peer uses this repo's own id; its channel was closed.
    SamePeerId {
        /// The channel.
        channel: ChannelId,
    },
}
