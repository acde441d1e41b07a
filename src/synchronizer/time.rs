//! Points in time, handed in from outside.

/// Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Returns the point `ms` milliseconds later.
    #[must_use]
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Returns the milliseconds since `earlier`, zero if that is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Names what a timer is for. A timer that fires when its reason has gone does nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Renew ephemeral entries.
    Heartbeat,
    /// A document has waited long enough for its stores.
    LoadTimeout(crate::protocol::DocId),
    /// Read a document from a store again after a failure.
    Reload(super::ChannelId, crate::protocol::DocId),
    /// Ask a store for its documents again after a failure.
    Relist(super::ChannelId),
    /// Write what is dirty to a store.
    StoreDue(super::ChannelId),
    /// Look whether a document has gone quiet, so that a store may keep it as one snapshot.
    Settle(super::ChannelId, crate::protocol::DocId),
    /// Remove a document from a store again after a failure.
    Remove(super::ChannelId, crate::protocol::DocId),
    /// Note in stores what other machines were found to have.
    Note,
    /// Ask a peer whether what was sent has arrived.
    Verify(super::ChannelId, crate::protocol::DocId),
    /// Ask a peer that greeted us about the documents it did not mention.
    Compare(super::ChannelId),
    /// Tell a peer what stores have told of since it asked.
    Directory(super::ChannelId),
    /// Tell a peer of documents that have come into being, and of those that were deleted.
    Announce(super::ChannelId),
    /// Tell a peer the heads of documents whose changes it gets elsewhere.
    Heads(super::ChannelId),
    /// Tell a peer what of its changes is held here.
    Ack(super::ChannelId),
    /// Decide from whom to fetch what is missing, or that a source has failed.
    Fetch(crate::protocol::DocId),
    /// Fetch what was advertised and has not come by itself.
    Graft(crate::protocol::DocId),
    /// Offer a document again that was refused.
    Offer(super::ChannelId, crate::protocol::DocId),
    /// Compare everything with every peer, and forget old tombstones.
    Digest,
    /// Forget old tombstones, also where there is nobody to compare with.
    Tombstones,
    /// Look whether documents should leave memory.
    Memory,
    /// Ask what is settled, and trim what may go.
    Trim,
    /// Ask somebody for the whole history of a document.
    Renew(crate::protocol::DocId),
    /// Something about the records.
    Records(super::RecordTimer),
}
