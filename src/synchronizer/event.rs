//! What the application gets to see.

use super::ChannelId;
use crate::protocol::{DocId, PeerId};

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
    /// A peer uses this repo's own id; its channel was closed.
    SamePeerId {
        /// The channel.
        channel: ChannelId,
    },
}
