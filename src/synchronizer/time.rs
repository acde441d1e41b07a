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
    /// Write what is dirty to a store.
    StoreDue(super::ChannelId),
    /// Ask a peer whether what was sent has arrived.
    Verify(super::ChannelId, crate::protocol::DocId),
}
