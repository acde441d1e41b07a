//! Decides who gets what, and when. Pure: no IO, no clock, no randomness, no document.
//!
//! [`Synchronizer::update`] only routes; each flow decides in a module of its own: `handshake`, `discovery`, `sync`,
//! `heads`, `fetch`, `digest`, `acknowledge`, `storage`, `unload`, `ephemeral`, `deletion`, `trim`,
//! `records`.

mod acknowledge;
mod channel;
mod deletion;
mod digest;
mod discovery;
mod doc_map;
mod effect;
mod ephemeral;
mod event;
mod fetch;
mod handshake;
mod heads;
mod input;
mod keepers;
mod loss;
mod model;
mod permissions;
mod records;
mod storage;
mod sync;
#[cfg(test)]
mod tests;
mod time;
mod trim;
mod unload;

use std::rc::Rc;

pub use acknowledge::Durability;
pub use channel::{ChannelId, ChannelKind};
pub use effect::{Effect, EphemeralKeys, EphemeralSelection, Note, Purpose, StoreDoc};
pub use event::Event;
pub use input::{EphemeralNews, Input, Stored, StoredSize};
pub use keepers::{MAX_KEEPERS, decode_keepers, encode_keepers, join_keepers};
#[doc(hidden)]
pub use model::Footprint;
pub use model::ReadyStatus;
pub use permissions::{AllowAll, Creator, PeerContext, Permissions};
pub use records::{Claim, ClaimedPage, RecordEffect, RecordInput, RecordLimits, RecordRoom, RecordTimer, StoredDevice, StoredRecords};
pub use time::{Timer, Timestamp};
pub use trim::{HistoryLimits, Mark};
pub use unload::MemoryBudget;

use crate::{
    collections::{SortedSet, sort_by_key},
    protocol::{Capabilities, Device, DocId, Features, Identity, Message, PeerId, RefusalReason, Role, Tombstone, VersionVector},
};
use model::{DocState, Holding, Link, Load, Model};

/// Which documents a repo fetches of those it hears of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Interest {
    /// Those the application has opened.
    #[default]
    Opened,
    /// All: a relay that keeps everything.
    Everything,
}

/// What a synchronizer is made with.
#[derive(Clone)]
pub struct Config {
    /// Who this repo is.
    pub identity: Identity,
    /// What names the place this repo keeps documents in, the same as long as what is there stays; told to peers by a relay.
    pub home: Option<u64>,
    /// Which documents it fetches.
    pub interest: Interest,
    /// Milliseconds edits are gathered before they are written.
    pub store_delay_ms: u64,
    /// Milliseconds of quiet before a peer is asked whether it has what was sent.
    pub verify_delay_ms: u64,
    /// Milliseconds between two comparisons of everything with every peer.
    pub digest_period_ms: u64,
    /// How long deletions are remembered.
    pub tombstones: TombstoneLimits,
    /// What is spoken with peers that speak it too, beyond the reference protocol.
    pub features: Features,
    /// How much of what nobody has open stays in memory.
    pub memory: MemoryBudget,
    /// A random number that peers do not know: it keeps them from choosing document ids that are slow to find.
    pub hash_key: u64,
    /// How much of the documents' history stays.
    pub history: HistoryLimits,
    /// How records are kept.
    pub records: RecordLimits,
    /// Whose records these are, unless a store says otherwise: a random number.
    pub device: Device,
}

/// How long, and how many, deletions are remembered: a peer that was away longer may bring a deleted document back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TombstoneLimits {
    /// Milliseconds.
    pub keep_ms: u64,
    /// Number of documents, and for a while an eighth more; the oldest deletions go first.
    pub max: usize,
}

impl Default for TombstoneLimits {
    /// Half a year, a hundred thousand documents.
    fn default() -> Self {
        Self { keep_ms: 180 * 24 * 60 * 60 * 1000, max: 100_000 }
    }
}

impl Config {
    /// Returns the defaults for a repo.
    #[must_use]
    pub fn new(identity: Identity, interest: Interest) -> Self {
        Self {
            identity,
            home: None,
            interest,
            store_delay_ms: 100,
            verify_delay_ms: 1_000,
            digest_period_ms: DIGEST_PERIOD_MS,
            tombstones: TombstoneLimits::default(),
            features: Features::ALL,
            memory: MemoryBudget::default(),
            hash_key: 0,
            history: HistoryLimits::default(),
            records: RecordLimits::default(),
            device: Device::default(),
        }
    }
}

/// Milliseconds a document waits for its stores before the network is answered without them.
pub const LOAD_TIMEOUT_MS: u64 = 10_000;
/// Milliseconds between two renewals of ephemeral entries.
pub const HEARTBEAT_MS: u64 = 10_000;

/// Milliseconds between two comparisons of everything with every peer.
pub const DIGEST_PERIOD_MS: u64 = 30_000;

/// The state machine.
pub struct Synchronizer {
    config: Config,
    permissions: Rc<dyn Permissions>,
    model: Model,
}

/// How one peer stands to a document, on its present channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerReadiness {
    /// The peer.
    pub peer: PeerId,
    /// Its channel.
    pub channel: ChannelId,
    /// What is at the other end.
    pub kind: ChannelKind,
    /// How it stands.
    pub status: ReadyStatus,
    /// What it said it has.
    pub version: Option<VersionVector>,
}

impl Synchronizer {
    /// Makes a synchronizer that knows nobody and nothing.
    #[must_use]
    pub fn new(mut config: Config, permissions: Rc<dyn Permissions>) -> Self {
        let role = role_of(config.interest);
        if role == Role::Leaf && config.history.keep_ms.is_none() {
            // Nobody need ask it, and it asks nobody.
            config.features = config.features.without(Features::HISTORY);
        }
        let home = config.home.filter(|_| role == Role::Relay);
        config.identity.capabilities =
            (config.features != Features::default()).then(|| Capabilities { features: config.features, home, ..Capabilities::own(role) });
        let key = config.hash_key;
        Self { config, permissions, model: Model::new(key) }
    }

    fn role(&self) -> Role {
        role_of(self.config.interest)
    }

    /// Folds one input into the model and returns what the runtime must do, in order.
    ///
    /// Reads no clock and draws no randomness: the same inputs give the same effects.
    #[must_use]
    pub fn update(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        self.model.now = now;
        let mut effects = Vec::new();
        let out = &mut effects;
        match input {
            Input::ChannelOpened { channel, kind, initiate } => self.channel_opened(channel, kind, initiate, out),
            Input::ChannelClosed { channel } => self.channel_closed(channel, now, out),
            Input::StoreExpected { adapter } => self.store_expected(adapter),
            Input::StoreUnavailable { adapter } => self.store_unavailable(adapter, now, out),
            Input::StoreOpened { channel, adapter, peer, name } => self.store_opened(channel, adapter, peer, name, now, out),
            Input::Listed { channel, docs } => self.listed(channel, docs, now, out),
            Input::ListFailed { channel } => self.list_failed(channel, out),
            Input::Loaded { channel, doc, stored, version, size, whole } => {
                self.loaded(channel, &doc, stored, &version, size, whole, now, out);
            }
            Input::LoadFailed { channel, doc } => self.load_failed(channel, &doc, now, out),
            Input::Stored { channel, docs, refused } => self.stored(channel, docs, &refused, now, out),
            Input::StoreFailed { channel } => self.store_failed(channel, out),
            Input::RemovalFailed { channel, doc } => self.removal_failed(channel, doc, out),
            Input::NoteFailed { docs } => self.note_failed(docs),
            Input::Received { channel, message } => self.received(channel, message, now, out),
            Input::Refused { channel, doc, reason, retry_ms } => self.not_admitted(channel, doc, reason, retry_ms, out),
            Input::DocOpened { doc } => self.doc_opened(doc, now, out),
            Input::DocClosed { doc } => self.doc_closed(&doc, now, out),
            Input::DocChanged { doc, version } => self.doc_changed(&doc, version, now, out),
            Input::DocImported { doc, channel, version, announced, pending } => {
                self.doc_imported(&doc, channel, version, &announced, &pending, now, out);
            }
            Input::ImportFailed { doc, channel } => self.import_failed(&doc, channel, now, out),
            Input::HistoryBegins { doc, version } => self.history_begins(&doc, version, now, out),
            Input::HistoryMissed { doc, channel, version } => self.history_missed(&doc, channel, version, now, out),
            Input::DocCreated { doc } => self.doc_created(doc, now, out),
            Input::DocDeleted { doc } => self.doc_deleted(&doc, now, out),
            Input::DocRestored { doc, lineage, creator } => self.doc_restored(&doc, lineage, creator, now, out),
            Input::DeletionKnown { doc, tombstone } => self.deletion_known(&doc, tombstone, now, out),
            Input::DocForgotten { doc } => self.doc_forgotten(&doc, out),
            Input::DocLost { doc, version } => self.doc_lost(&doc, version, now, out),
            Input::WritesUnder { authors } => self.model.writes_under(authors),
            Input::PermissionsChanged => self.permissions_changed(now, out),
            Input::SyncWanted { doc, kind } => self.sync_wanted(&doc, kind, out),
            Input::FlushWanted => self.flush_wanted(out),
            Input::Closing => self.closing(now, out),
            Input::MemoryChecked { held } => self.memory_checked(&held, now, out),
            Input::DiscoveryWanted => self.discovery_wanted(out),
            Input::EphemeralChanged { doc, keys, hops } => self.ephemeral_changed(&doc, keys, hops, out),
            Input::EphemeralApplied { doc, channel, hops, authors } => self.ephemeral_applied(&doc, channel, hops, authors, out),
            Input::EphemeralBeaten { doc, authors } => self.ephemeral_beaten(&doc, &authors),
            Input::Records(input) => self.records_happened(input, now, out),
            Input::TimerFired(timer) => self.timer_fired(timer, now, out),
        }
        self.begin_waiting(now, out);
        self.report_readiness(out);
        self.schedule_notes(out);
        self.schedule_trims(out);
        heads::join_heads(out);
        effects
    }

    fn received(&mut self, channel: ChannelId, message: Message, now: Timestamp, out: &mut Vec<Effect>) {
        match message {
            Message::EstablishRequest(identity) => return self.establish_requested(channel, identity, now, out),
            Message::EstablishResponse(identity) => return self.establish_answered(channel, identity, now, out),
            _ if self.model.context(channel).is_none() => return,
            Message::Batch(messages) => {
                for message in messages {
                    self.received(channel, message, now, out);
                }
                return;
            }
            _ => {}
        }
        let named = match &message {
            Message::SyncRequest { doc, .. }
            | Message::SyncResponse { doc, .. }
            | Message::Update { doc, .. }
            | Message::DeleteRequest { doc }
            | Message::DeleteResponse { doc, .. }
            | Message::Want { doc, .. }
            | Message::Give { doc, .. }
            | Message::Ack { doc, .. }
            | Message::Refusal { doc, .. }
            | Message::Prune { doc }
            | Message::Ephemeral { doc, .. } => doc.is_valid(),
            _ => true,
        };
        if !named {
            return;
        }
        let Some(message) = self.hold_back(channel, message, now, out) else { return };
        match message {
            Message::SyncRequest { doc, version, ephemeral, bidirectional } => {
                self.sync_requested(channel, doc.clone(), version, bidirectional, now, out);
                if let Some(stores) = ephemeral {
                    self.ephemeral_received(channel, &doc, 1, stores, out);
                }
            }
            Message::SyncResponse { doc, transmission, ephemeral } => {
                if let Some(stores) = ephemeral {
                    self.ephemeral_received(channel, &doc, 0, stores, out);
                }
                self.transmitted(channel, &doc, transmission, Purpose::Answer, now, out);
            }
            Message::Update { doc, transmission } => self.transmitted(channel, &doc, transmission, Purpose::Push, now, out),
            Message::DirectoryRequest { docs } => self.directory_requested(channel, docs, now, out),
            Message::DirectoryResponse { docs } | Message::NewDoc { docs } => {
                for doc in docs.into_iter().filter(DocId::is_valid) {
                    self.discovered(channel, doc, now, out);
                }
            }
            Message::DeleteRequest { doc } => self.delete_requested(channel, &doc, now, out),
            Message::DeleteResponse { .. } => {}
            Message::Ephemeral { doc, hops, stores } => self.ephemeral_received(channel, &doc, hops, stores, out),
            Message::EstablishRequest(_) | Message::EstablishResponse(_) | Message::Batch(_) => {}
            records @ (Message::RecordsHave { .. }
            | Message::RecordsRequest { .. }
            | Message::RecordsResponse { .. }
            | Message::RecordsChange { .. }
            | Message::RecordsRefusal { .. }) => self.records_received(channel, records, now, out),
            extended if self.model.is_extended(channel) => self.received_extended(channel, extended, now, out),
            // Never announced, so nothing is owed.
            _ => {}
        }
    }

    fn received_extended(&mut self, channel: ChannelId, message: Message, now: Timestamp, out: &mut Vec<Effect>) {
        match message {
            Message::Heads { heads, reply } => {
                let mut told = SortedSet::new();
                for head in heads.into_iter().filter(|head| head.doc.is_valid()) {
                    // Each is answered: a document told of a thousand times is answered once.
                    if told.insert(head.doc.clone()) {
                        self.heads_received(channel, head, reply, now, out);
                    }
                }
            }
            Message::Want { doc, lineage, ranges } => self.wanted(channel, doc, lineage, ranges, now, out),
            Message::Give { doc, lineage, ranges, data, version } => self.given(channel, doc, lineage, ranges, data, version, now, out),
            Message::Ack { doc, lineage, version, durable, settled } => {
                self.acknowledged(channel, &doc, lineage, &version, durable, now, out);
                if let Some(settled) = settled {
                    self.settled_told(channel, &doc, lineage, settled, now, out);
                }
            }
            Message::Refusal { doc, reason: RefusalReason::Trimmed, .. } => self.trimmed_there(channel, &doc, now, out),
            Message::Refusal { doc, reason, retry_ms } => self.refused(channel, &doc, reason, retry_ms, out),
            Message::Digest { sums, list, reply, stored } => self.digest_received(channel, sums, list, reply, stored, now, out),
            Message::Deleted { docs } => {
                for (doc, tombstone) in docs.into_iter().filter(|(doc, _)| doc.is_valid()) {
                    self.deleted_received(channel, &doc, tombstone, now, out);
                }
            }
            Message::Prune { doc } => self.pruned(channel, &doc),
            Message::EstablishRequest(_)
            | Message::EstablishResponse(_)
            | Message::SyncRequest { .. }
            | Message::SyncResponse { .. }
            | Message::Update { .. }
            | Message::DirectoryRequest { .. }
            | Message::DirectoryResponse { .. }
            | Message::NewDoc { .. }
            | Message::DeleteRequest { .. }
            | Message::DeleteResponse { .. }
            | Message::Ephemeral { .. }
            | Message::Batch(_)
            | Message::RecordsHave { .. }
            | Message::RecordsRequest { .. }
            | Message::RecordsResponse { .. }
            | Message::RecordsChange { .. }
            | Message::RecordsRefusal { .. } => {}
        }
    }

    fn timer_fired(&mut self, timer: Timer, now: Timestamp, out: &mut Vec<Effect>) {
        if !self.model.armed.remove(&timer) {
            return;
        }
        match timer {
            Timer::Heartbeat => self.heartbeat(out),
            Timer::LoadTimeout(doc) => self.load_timed_out(&doc, now, out),
            Timer::Reload(channel, doc) => self.reload(channel, &doc, out),
            Timer::Relist(channel) => out.push(Effect::ListDocs { channel }),
            Timer::StoreDue(channel) => self.store_due(channel, out),
            Timer::Settle(channel, doc) => self.settle_due(channel, &doc, now, out),
            Timer::Remove(channel, doc) => self.remove_again(channel, doc, out),
            Timer::Note => self.note_confirmed(out),
            Timer::Verify(channel, doc) => self.verify(channel, &doc, now, out),
            Timer::Directory(channel) => self.directory_due(channel, now, out),
            Timer::Compare(channel) => self.compare_unmentioned(channel, now, out),
            Timer::Announce(channel) => self.announcements_due(channel, out),
            Timer::Heads(channel) => self.heads_due(channel, out),
            Timer::Ack(channel) => self.acks_due(channel, out),
            Timer::Fetch(doc) => self.fetch_due(&doc, now, out),
            Timer::Graft(doc) => self.plan(&doc, true, now, out),
            Timer::Offer(channel, doc) => self.offer_again(channel, &doc, out),
            Timer::Digest => self.digest_due(now, out),
            Timer::Tombstones => self.forget_tombstones(now, out),
            Timer::Memory => self.memory_due(out),
            Timer::Trim => self.trim_due(now, out),
            Timer::Renew(doc) => self.renew_due(&doc, out),
            Timer::Records(timer) => self.records_due(timer, now, out),
        }
    }

    /// Returns how much is kept for peers, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        self.model.footprint()
    }

    /// Returns the documents known of, in memory or not.
    pub fn documents(&self) -> impl Iterator<Item = &DocId> {
        self.model.catalogue.keys()
    }

    /// Returns whether a document is known of.
    #[must_use]
    pub fn knows(&self, doc: &DocId) -> bool {
        self.model.catalogue.contains_key(doc)
    }

    /// Returns which creation of a document is here; `None` if none is.
    #[must_use]
    pub fn lineage(&self, doc: &DocId) -> Option<u64> {
        self.model.lineage(doc)
    }

    /// Returns the deletions that are remembered.
    pub fn deletions(&self) -> impl Iterator<Item = (&DocId, &Tombstone)> {
        self.model.buried.iter()
    }

    /// Returns the last deletion of a document.
    #[must_use]
    pub fn deletion(&self, doc: &DocId) -> Option<&Tombstone> {
        self.model.buried.get(doc)
    }

    /// Returns who made a document, if known.
    #[must_use]
    pub fn creator(&self, doc: &DocId) -> Option<&Creator> {
        let in_memory = self.model.docs.get(doc).and_then(|entry| entry.creator.as_ref());
        in_memory.or_else(|| self.model.catalogue.get(doc)?.creator.as_ref())
    }

    /// Returns the peers with an established channel, and their channels in order of opening.
    #[must_use]
    pub fn peers(&self) -> Vec<(Identity, Vec<(ChannelId, ChannelKind)>)> {
        let mut peers: Vec<(Identity, Vec<(ChannelId, ChannelKind)>)> = Vec::new();
        for (id, channel) in &self.model.channels {
            let Some(identity) = channel.identity() else { continue };
            match peers.iter_mut().find(|(known, _)| known.peer_id == identity.peer_id) {
                Some((_, channels)) => channels.push((*id, channel.kind)),
                None => peers.push((identity.clone(), vec![(*id, channel.kind)])),
            }
        }
        peers
    }

    /// Returns whether a peer has an established channel.
    #[must_use]
    pub fn is_connected(&self, peer: &PeerId) -> bool {
        self.model.has_peer(peer)
    }

    /// Returns who is at the other end of a channel, once that is established.
    #[must_use]
    pub fn peer(&self, channel: ChannelId) -> Option<Rc<PeerContext>> {
        self.model.context(channel)
    }

    /// Returns how every peer that has, or was asked for, the document stands to it.
    #[must_use]
    pub fn ready_states(&self, doc: &DocId) -> Vec<PeerReadiness> {
        let Some(entry) = self.model.docs.get(doc) else { return Vec::new() };
        let ready = matches!(entry.state, DocState::Ready);
        let stores = self.model.holdings(doc).map(|(id, holding)| (id, status_of_store(holding, &entry.version), &holding.version));
        let peers = self.model.links(doc).map(|(id, link)| (id, status(link, &entry.version, ready), &link.known));
        let mut states: Vec<_> = stores
            .chain(peers)
            .filter_map(|(channel, status, version)| {
                let peer = self.model.context(channel)?;
                Some(PeerReadiness { peer: peer.peer_id.clone(), channel, kind: peer.kind, status: status?, version: version.clone() })
            })
            .collect();
        sort_by_key(&mut states, |state| state.channel);
        states
    }

    /// Returns whether a peer of `kind` said, on its present channel, that it has `version`, and all it announced is here.
    #[must_use]
    pub fn is_confirmed(&self, doc: &DocId, kind: ChannelKind, version: &VersionVector) -> bool {
        let Some(entry) = self.model.docs.get(doc) else { return false };
        if !matches!(entry.state, DocState::Ready) {
            return false;
        }
        let is_here = |known: &Option<VersionVector>| known.as_ref().is_some_and(|known| entry.version.includes(known));
        let of_kind = |channel: &ChannelId| self.model.channels.get(channel).is_some_and(|entry| entry.kind == kind);
        let confirmed = |link: &Link| !link.waiting && link.confirms(version) && is_here(&link.known);
        let stored = |holding: &Holding| holding.load != Load::Pending && holding.confirms(version) && is_here(&holding.version);
        self.model.links(doc).any(|(channel, link)| of_kind(&channel) && confirmed(link))
            || kind == ChannelKind::Storage && self.model.holdings(doc).any(|(_, holding)| stored(holding))
    }

    /// Returns what stores are known to have of a document.
    #[must_use]
    pub fn kept(&self, doc: &DocId) -> Option<&VersionVector> {
        self.model.catalogue.get(doc).map(|known| &known.version)
    }

    /// Returns whether every open store has `version` of the document on disk.
    #[must_use]
    pub fn is_stored(&self, doc: &DocId, version: &VersionVector) -> bool {
        self.model.stores().into_iter().all(|channel| {
            version.is_empty()
                || !self.may_keep(channel, doc)
                || match self.model.docs.contains_key(doc) {
                    true => self.model.holding(channel, doc).is_some_and(|holding| holding.confirms(version)),
                    // It left memory, which it does when every store has it.
                    false => self.model.catalogue.get(doc).is_some_and(|known| known.version.includes(version)),
                }
        })
    }

    /// Gives up ids of which somebody has more than is here: what is written under them would be taken for what they have.
    fn retire_overtaken(&mut self, doc: &DocId, channels: Option<&SortedSet<ChannelId>>, out: &mut Vec<Effect>) {
        let authors = self.model.overtaken(doc, channels);
        if !authors.is_empty() {
            self.model.authors.retain(|author| !authors.contains(author));
            out.push(Effect::RetireAuthors { authors });
        }
    }

    /// Returns what a store said it has of a document.
    #[must_use]
    pub fn stored_at(&self, store: ChannelId, doc: &DocId) -> VersionVector {
        self.model.holding(store, doc).and_then(|holding| holding.version.clone()).unwrap_or_default()
    }

    fn report_readiness(&mut self, out: &mut Vec<Effect>) {
        for doc in std::mem::take(&mut self.model.confirmed) {
            out.push(Effect::Emit(Event::ConfirmedChanged(doc)));
        }
        for (doc, channels) in std::mem::take(&mut self.model.touched) {
            self.retire_overtaken(&doc, channels.as_ref(), out);
            if self.look_at_readiness(&doc, channels) {
                out.push(Effect::Emit(Event::ReadyStateChanged(doc)));
            }
        }
    }

    /// Notes how the peers at `channels` stand to a document, or all; returns whether any stands otherwise than was noted. Of one that
    /// thousands follow, a message of one of them costs no look at the others.
    fn look_at_readiness(&mut self, doc: &DocId, channels: Option<SortedSet<ChannelId>>) -> bool {
        let Some(entry) = self.model.docs.get(doc) else { return false };
        #[cfg(test)]
        {
            let some = channels.as_ref().filter(|_| entry.reported.is_some()).map(SortedSet::len);
            self.model.looked_at += some.unwrap_or_else(|| self.model.links(doc).count() + self.model.holdings(doc).count());
        }
        let ready = matches!(entry.state, DocState::Ready);
        let status_at = |id: ChannelId| match self.model.holding(id, doc) {
            Some(holding) => status_of_store(holding, &entry.version),
            None => status(self.model.peek(id, doc)?, &entry.version, ready),
        };
        match (&entry.reported, channels) {
            (Some(reported), Some(channels)) => {
                let place = |id: ChannelId| reported.binary_search_by_key(&id, |(id, _)| *id);
                let changed: Vec<_> = channels
                    .iter()
                    .map(|id| (*id, status_at(*id)))
                    .filter(|(id, now)| *now != place(*id).ok().map(|at| reported[at].1))
                    .collect();
                let news = !changed.is_empty();
                if let Some(reported) = self.model.docs.get_mut(doc).and_then(|entry| entry.reported.as_mut()) {
                    for (id, now) in changed {
                        match (reported.binary_search_by_key(&id, |(id, _)| *id), now) {
                            (Ok(at), Some(now)) => reported[at].1 = now,
                            (Ok(at), None) => drop(reported.remove(at)),
                            (Err(at), Some(now)) => reported.insert(at, (id, now)),
                            (Err(_), None) => {}
                        }
                    }
                }
                news
            }
            (before, _) => {
                let stores = self.model.holdings(doc).map(|(id, holding)| (id, status_of_store(holding, &entry.version)));
                let peers = self.model.links(doc).map(|(id, link)| (id, status(link, &entry.version, ready)));
                let mut states: Vec<_> = stores.chain(peers).filter_map(|(id, status)| Some((id, status?))).collect();
                sort_by_key(&mut states, |(id, _)| *id);
                let news = states != before.as_deref().unwrap_or_default();
                if let Some(entry) = self.model.docs.get_mut(doc) {
                    entry.reported = Some(states);
                }
                news
            }
        }
    }

    fn sees(&self, channel: ChannelId, doc: &DocId) -> bool {
        self.model.context(channel).is_some_and(|peer| self.permissions.visibility(doc, &peer))
    }
}

fn role_of(interest: Interest) -> Role {
    match interest {
        Interest::Opened => Role::Leaf,
        Interest::Everything => Role::Relay,
    }
}

/// Returns how a peer stands, or `None` if it has nothing to do with the document.
fn status(link: &Link, version: &VersionVector, ready: bool) -> Option<ReadyStatus> {
    if link.absent {
        return Some(ReadyStatus::Absent);
    }
    match &link.known {
        Some(known) if ready && known.includes(version) && version.includes(known) => Some(ReadyStatus::Synced),
        Some(_) => Some(ReadyStatus::Pending),
        None if link.asked => Some(ReadyStatus::Pending),
        None => None,
    }
}

/// Returns how a store stands, or `None` if it was not asked for the document.
fn status_of_store(holding: &Holding, version: &VersionVector) -> Option<ReadyStatus> {
    match holding.load {
        Load::Idle => None,
        Load::Done { .. } if holding.confirms(version) => Some(ReadyStatus::Synced),
        Load::Pending | Load::Failed | Load::Refused | Load::Done { .. } => Some(ReadyStatus::Pending),
    }
}
