//! Channels as the synchronizer sees them.

/// Names one live pipe within one repo. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub u64);

/// What is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelKind {
    /// Another machine.
    Network,
    /// A store of this machine.
    Storage,
    /// Another tab or worker of this browser.
    Tabs,
}

impl ChannelKind {
    /// Returns the kind as applications see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Storage => "storage",
            Self::Tabs => "tabs",
        }
    }
}
