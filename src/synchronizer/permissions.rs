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
    /// May `peer` have `doc` deleted here?
    fn deletion(&self, _doc: &DocId, _peer: &PeerContext) -> bool {
        false
    }
}

/// The defaults of [`Permissions`].
#[derive(Debug, Clone, Copy, Default)]
pub struct AllowAll;

impl Permissions for AllowAll {}
