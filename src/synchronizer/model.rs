//! The state the synchronizer folds inputs into. Holds versions and states, never a document.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{ChannelId, ChannelKind, Effect, PeerContext, StoredSize, Timer, Timestamp};
use crate::protocol::{DocId, Identity, PeerId, VersionVector};

/// Peers whose subscriptions are remembered after they left: a reference client that returns does not ask again.
const REMEMBERED_PEERS: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) channels: BTreeMap<ChannelId, Channel>,
    pub(super) docs: BTreeMap<DocId, Doc>,
    /// Documents known of, in memory or not.
    pub(super) catalogue: BTreeSet<DocId>,
    /// Documents the application deleted: announcements of them are ignored until they are opened again.
    pub(super) deleted: BTreeSet<DocId>,
    /// Storage adapters that have not said yet whether they have a store.
    pub(super) expected_stores: BTreeSet<usize>,
    pub(super) armed: BTreeSet<Timer>,
    /// Documents with ephemeral entries to renew.
    pub(super) beating: BTreeSet<DocId>,
    pub(super) touched: BTreeSet<DocId>,
    remembered: BTreeMap<PeerId, BTreeSet<DocId>>,
    departures: VecDeque<PeerId>,
}

/// One live pipe or store.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) kind: ChannelKind,
    pub(super) state: ChannelState,
    pub(super) docs: BTreeMap<DocId, Link>,
    pub(super) store: StoreState,
}

#[derive(Debug)]
pub(super) enum ChannelState {
    Connected,
    Established(Identity),
}

/// What a store is doing; idle for pipes.
#[derive(Debug, Default)]
pub(super) struct StoreState {
    pub(super) writing: bool,
    pub(super) dirty: BTreeSet<DocId>,
    pub(super) flush_after: bool,
    /// When the last write completed.
    pub(super) written: Timestamp,
    pub(super) failures: u32,
}

/// What is known of one document at one peer, on the present connection.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// What the peer said it has. Never what was sent to it.
    pub(super) known: Option<VersionVector>,
    /// What was sent on top, on this connection: the base of the next push, no proof of anything.
    pub(super) sent: VersionVector,
    /// The peer asked for the document and gets pushes.
    pub(super) subscribed: bool,
    /// It was asked at least once on this connection.
    pub(super) asked: bool,
    /// It was asked and has not answered.
    pub(super) waiting: bool,
    /// It said that it does not have the document.
    pub(super) absent: bool,
    /// The document was announced to it.
    pub(super) announced: bool,
    /// Questions since the last progress, for the back-off.
    pub(super) attempts: u32,
    pub(super) unconfirmed_since: Option<Timestamp>,
    pub(super) last_push: Timestamp,
    pub(super) load: Load,
    pub(super) size: StoredSize,
}

/// How far reading a document from a store is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    #[default]
    Idle,
    Pending,
    Done {
        whole: bool,
    },
    Failed,
}

impl Link {
    /// Returns what the peer has or will have when everything sent on this connection arrives.
    pub(super) fn base(&self) -> VersionVector {
        let mut base = self.sent.clone();
        if let Some(known) = &self.known {
            base.merge(known);
        }
        base
    }

    pub(super) fn confirms(&self, version: &VersionVector) -> bool {
        self.known.as_ref().is_some_and(|known| known.includes(version))
    }
}

/// A document in memory.
#[derive(Debug)]
pub(super) struct Doc {
    pub(super) version: VersionVector,
    /// The application holds a handle.
    pub(super) opened: bool,
    pub(super) state: DocState,
    /// Statuses last reported to the application.
    pub(super) reported: Vec<(ChannelId, ReadyStatus)>,
}

#[derive(Debug)]
pub(super) enum DocState {
    /// Stores have not all been read.
    Loading {
        waiting: BTreeSet<Source>,
        /// Requests of peers, answered when loading ends.
        requests: Vec<Request>,
        /// Peers known to have the document, asked when loading ends.
        ask: BTreeSet<ChannelId>,
        /// Whether any store had it.
        found: bool,
    },
    Ready,
}

/// Where a document may still come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Store(ChannelId),
    Adapter(usize),
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) channel: ChannelId,
    pub(super) version: VersionVector,
    pub(super) bidirectional: bool,
}

/// How a peer stands to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadyStatus {
    /// It was asked, or has asked, and both sides are not known to be equal.
    Pending,
    /// It said that it has what is here, and what it has is here.
    Synced,
    /// It said that it does not have the document.
    Absent,
}

impl Channel {
    pub(super) fn new(kind: ChannelKind) -> Self {
        Self { kind, state: ChannelState::Connected, docs: BTreeMap::new(), store: StoreState::default() }
    }

    pub(super) fn identity(&self) -> Option<&Identity> {
        match &self.state {
            ChannelState::Connected => None,
            ChannelState::Established(identity) => Some(identity),
        }
    }
}

impl Model {
    /// Returns the established pipes, in order of opening.
    pub(super) fn pipes(&self) -> Vec<ChannelId> {
        self.channels.iter().filter(|(_, c)| c.kind != ChannelKind::Storage && c.identity().is_some()).map(|(id, _)| *id).collect()
    }

    /// Returns the open stores.
    pub(super) fn stores(&self) -> Vec<ChannelId> {
        self.channels.iter().filter(|(_, c)| c.kind == ChannelKind::Storage).map(|(id, _)| *id).collect()
    }

    pub(super) fn context(&self, channel: ChannelId) -> Option<PeerContext> {
        let entry = self.channels.get(&channel)?;
        let identity = entry.identity()?;
        Some(PeerContext {
            peer_id: identity.peer_id.clone(),
            name: identity.name.clone(),
            peer_type: identity.peer_type.clone(),
            channel,
            kind: entry.kind,
        })
    }

    pub(super) fn link(&mut self, channel: ChannelId, doc: &DocId) -> Option<&mut Link> {
        let entry = self.channels.get_mut(&channel)?;
        self.touched.insert(doc.clone());
        // The key is cloned only for a new link: this runs on every keystroke.
        if !entry.docs.contains_key(doc) {
            entry.docs.insert(doc.clone(), Link::default());
        }
        entry.docs.get_mut(doc)
    }

    pub(super) fn peek(&self, channel: ChannelId, doc: &DocId) -> Option<&Link> {
        self.channels.get(&channel)?.docs.get(doc)
    }

    pub(super) fn version(&self, doc: &DocId) -> VersionVector {
        self.docs.get(doc).map(|doc| doc.version.clone()).unwrap_or_default()
    }

    pub(super) fn is_ready(&self, doc: &DocId) -> bool {
        matches!(self.docs.get(doc), Some(Doc { state: DocState::Ready, .. }))
    }

    pub(super) fn has_peer(&self, peer: &PeerId) -> bool {
        self.channels.values().any(|channel| channel.identity().is_some_and(|identity| identity.peer_id == *peer))
    }

    /// Arms a timer once; a second call before it fires changes nothing.
    pub(super) fn arm(&mut self, timer: Timer, after_ms: u64, effects: &mut Vec<Effect>) {
        if self.armed.insert(timer.clone()) {
            effects.push(Effect::SetTimer { timer, after_ms });
        }
    }

    pub(super) fn remember(&mut self, peer: PeerId, docs: BTreeSet<DocId>) {
        if docs.is_empty() {
            return;
        }
        if self.remembered.insert(peer.clone(), docs).is_none() {
            self.departures.push_back(peer);
        }
        while self.departures.len() > REMEMBERED_PEERS {
            if let Some(oldest) = self.departures.pop_front() {
                self.remembered.remove(&oldest);
            }
        }
    }

    pub(super) fn recall(&mut self, peer: &PeerId) -> BTreeSet<DocId> {
        self.departures.retain(|departed| departed != peer);
        self.remembered.remove(peer).unwrap_or_default()
    }
}
