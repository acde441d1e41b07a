//! Who may do what, asked at every decision.

use super::{ChannelId, ChannelKind, Effect, Synchronizer, Timestamp, model::DocState};
use crate::{
    collections::SortedSet,
    protocol::{DocId, Message, PeerId, PeerType, RecordId, Role, VersionVector, extension::Head},
};

/// Documents one peer was not allowed to see or create, of which it is remembered. The others it offers again by itself, later.
const MAX_UNCREATED: usize = 1_000;

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
    /// May `peer` know of and read `record`?
    fn record_visibility(&self, _record: &RecordId, _peer: &PeerContext) -> bool {
        true
    }
    /// May `peer` write `record`, or fields of it?
    fn record_mutability(&self, _record: &RecordId, _peer: &PeerContext) -> bool {
        true
    }
    /// May `peer` delete `record`?
    fn record_deletion(&self, _record: &RecordId, _peer: &PeerContext) -> bool {
        true
    }
}

/// The defaults of [`Permissions`].
#[derive(Debug, Clone, Copy, Default)]
pub struct AllowAll;

impl Permissions for AllowAll {}

impl Synchronizer {
    /// Returns whether a peer may make a document come into being; a relay, which keeps everything it may, remembers which it may not.
    pub(super) fn may_create(&mut self, doc: &DocId, peer: &PeerContext) -> bool {
        let may = self.permissions.creation(doc, peer);
        if !may {
            self.not_created(doc, peer.channel);
        }
        may
    }

    /// A peer spoke of a document that it may not see, or not create.
    pub(super) fn not_created(&mut self, doc: &DocId, channel: ChannelId) {
        if self.role() == Role::Relay
            && let Some(entry) = self.model.channels.get_mut(&channel)
            && entry.uncreated.len() < MAX_UNCREATED
        {
            entry.uncreated.insert(doc.clone());
        }
    }

    /// Asks a peer which of the documents are there that it was not allowed to see or create, and is now; also those known here by name only:
    /// of one without content it is not told.
    fn ask_for_uncreated(&mut self, channel: ChannelId, peer: &PeerContext, out: &mut Vec<Effect>) {
        let Some(entry) = self.model.channels.get_mut(&channel) else { return };
        let unknown = std::mem::take(&mut entry.uncreated).into_iter().filter(|doc| self.model.is_blank(doc));
        let may = |doc: &DocId| self.permissions.visibility(doc, peer) && self.permissions.creation(doc, peer);
        let (mut docs, mut rest) = (Vec::new(), SortedSet::new());
        for doc in unknown {
            if may(&doc) {
                docs.push(doc);
            } else {
                rest.insert(doc);
            }
        }
        if let Some(entry) = self.model.channels.get_mut(&channel) {
            entry.uncreated = rest;
        }
        // What was deleted here may have been made anew there: of that a directory says nothing.
        let extended = self.model.is_extended(channel);
        let buried = |doc: &DocId| self.model.buried.get(doc).filter(|_| extended).map(|tombstone| tombstone.lineage);
        let heads = docs.iter().filter_map(|doc| Some(Head { doc: doc.clone(), lineage: buried(doc)?, version: VersionVector::new() }));
        let heads: Vec<_> = heads.collect();
        docs.retain(|doc| buried(doc).is_none());
        if !heads.is_empty() {
            out.push(Effect::Send { channel, message: Message::Heads { heads, reply: true } });
        }
        if !docs.is_empty() {
            out.push(Effect::Send { channel, message: Message::DirectoryRequest { docs: Some(docs) } });
        }
    }

    /// The permissions give other answers now: what may no longer be seen stops flowing, what may be seen is compared.
    pub(super) fn permissions_changed(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        self.record_permissions_changed(out);
        for channel in self.model.pipes() {
            let Some(peer) = self.model.context(channel) else { continue };
            let (mut shown, mut hidden) = (SortedSet::new(), SortedSet::new());
            for doc in self.model.docs_of(channel) {
                if !self.permissions.visibility(&doc, &peer) {
                    let followed = self.model.peek(channel, &doc).is_some_and(|link| link.is_followed());
                    self.model.unlink(channel, &doc);
                    if followed && let Some(entry) = self.model.channels.get_mut(&channel) {
                        entry.withdrawn.insert(doc);
                    }
                } else if let Some(link) = self.model.link(channel, &doc) {
                    link.denied = false;
                    link.refused = None;
                    link.refusals = 0;
                    link.waiting = false;
                    self.model.hasten(channel, &doc);
                    shown.insert(doc);
                }
            }
            let Some(entry) = self.model.channels.get_mut(&channel) else { continue };
            entry.heads_due.retain(|doc| shown.contains(doc));
            entry.acks_due.retain(|doc| shown.contains(doc));
            // The peer may never have been told: it follows them all the time, and need not ask.
            for doc in std::mem::take(&mut entry.withdrawn) {
                if !self.permissions.visibility(&doc, &peer) {
                    hidden.insert(doc);
                } else if self.model.held(&doc).is_some() {
                    shown.insert(doc);
                }
            }
            if let Some(entry) = self.model.channels.get_mut(&channel) {
                entry.withdrawn = hidden;
            }
            let compared: Vec<DocId> = self
                .model
                .docs
                .iter()
                .filter(|(doc, entry)| matches!(entry.state, DocState::Ready) && (entry.opened || shown.contains(*doc)))
                .map(|(doc, _)| doc.clone())
                .collect();
            for doc in compared {
                self.ask(channel, &doc, true, out);
            }
            self.compare_away(channel, shown, now, out);
            self.ask_for_uncreated(channel, &peer, out);
        }
        // Also what only stores have: a peer may have been refused it.
        let docs: Vec<_> = self.model.catalogue.keys().filter(|doc| self.model.held(doc).is_some()).cloned().collect();
        for doc in docs {
            self.announce(&doc, true, out);
            if !self.model.is_ready(&doc) {
                continue;
            }
            self.propagate(&doc, now, out);
            self.schedule_stores(&doc, now, out);
        }
    }
}
