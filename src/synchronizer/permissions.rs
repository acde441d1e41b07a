//! Who may do what, asked at every decision.

use super::{ChannelId, ChannelKind};
use crate::protocol::{DocId, PeerId, PeerType};

/// The peer a permission is asked about, on one of its channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerContext {
    /// Its id.
    pub peer_id: PeerId,
    /// Its name, if it gave one.
    pub name: Option<String>,
    /// What kind of participant it is.
    pub peer_type: PeerType,
    /// The channel.
    pub channel: ChannelId,
    /// What is at the other end of the channel.
    pub kind: ChannelKind,
}

/// Who made a document, as far as it is known: identities are what peers say of themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creator {
    /// The repo that made it.
    pub peer_id: PeerId,
    /// The name it gave.
    pub name: Option<String>,
}

impl Creator {
    /// Returns whether `peer` is the one: the same repo, or one that goes by the same name.
    #[must_use]
    pub fn is(&self, peer: &PeerContext) -> bool {
        self.peer_id == peer.peer_id || (self.name.is_some() && self.name == peer.name)
    }
}

/// Synchronous predicates. They must not call back into the repo.
pub trait Permissions {
    /// May `peer` know of and read `doc`?
    fn visibility(&self, _doc: &DocId, _peer: &PeerContext) -> bool {
        true
    }
    /// May changes of `doc` come from `peer`?
    fn mutability(&self, _doc: &DocId, _peer: &PeerContext) -> bool {
        true
    }
    /// May `peer` make `doc` come into being here?
    fn creation(&self, _doc: &DocId, _peer: &PeerContext) -> bool {
        true
    }
    /// May `peer` have `doc`, made by `creator`, deleted here? By default only one's own other tabs may.
    fn deletion(&self, _doc: &DocId, _creator: Option<&Creator>, peer: &PeerContext) -> bool {
        peer.kind == ChannelKind::Tabs
    }
}

/// The defaults of [`Permissions`].
#[derive(Debug, Clone, Copy, Default)]
pub struct AllowAll;

impl Permissions for AllowAll {}
