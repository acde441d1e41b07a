//! Who holds what, in memory and on disk, as said by whom it concerns; and what was not taken.
//!
//! Decides when a peer is told that its changes are here, what its word is worth, and when something refused is offered again.
//! "Sent" never counts.

use super::{ChannelId, ChannelKind, Effect, Event, Synchronizer, Timer, Timestamp, unload::beyond};
use crate::protocol::{DocId, Message, RefusalReason, Role, VersionVector};

/// Milliseconds over which acknowledgements are gathered.
const ACK_DELAY_MS: u64 = 250;
/// The same for a relay without stores: nothing better than memory will follow.
const PROMPT_ACK_DELAY_MS: u64 = 20;
/// Milliseconds until something refused for good is offered again, doubled each time.
const OFFER_MS: u64 = 30_000;
/// Milliseconds until something limited without a time given is offered again, doubled each time.
const LIMITED_MS: u64 = 1_000;

/// How safe a version of a document is. Each level includes those before it, "disk" only where the repo has storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// In this repo's memory.
    Memory,
    /// In this repo's stores.
    Disk,
    /// In another machine's memory.
    Hub,
    /// On another machine's disk.
    HubDisk,
}

impl Durability {
    const NAMES: [(Self, &'static str); 4] =
        [(Self::Memory, "memory"), (Self::Disk, "disk"), (Self::Hub, "hub"), (Self::HubDisk, "hub-disk")];

    /// Returns the level as applications see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES.into_iter().find(|(level, _)| *level == self).map_or("memory", |(_, name)| name)
    }

    /// Returns the level of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(_, known)| *known == name).map(|(level, _)| level)
    }
}

impl Synchronizer {
    /// A peer's changes are here: it will be told.
    pub(super) fn owe(&mut self, channel: ChannelId, doc: &DocId, out: &mut Vec<Effect>) {
        if !self.model.is_extended(channel) {
            return;
        }
        let stores = self.model.has_stores();
        let relay = self.role() == Role::Relay;
        if let Some(link) = self.model.link(channel, doc) {
            link.awaits_disk = stores && relay;
        }
        if let Some(entry) = self.model.channels.get_mut(&channel) {
            entry.acks_due.insert(doc.clone());
        }
        let after = if relay && !stores { PROMPT_ACK_DELAY_MS } else { ACK_DELAY_MS };
        self.model.arm(Timer::Ack(channel), after, out);
    }

    pub(super) fn acks_due(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        let Some(entry) = self.model.channels.get_mut(&channel) else { return };
        for doc in std::mem::take(&mut entry.acks_due) {
            self.acknowledge(channel, &doc, out);
        }
    }

    /// A leaf has offered just what is here: it may have heard that it is in memory, and not that it is on disk.
    pub(super) fn vouch(&mut self, channel: ChannelId, doc: &DocId, out: &mut Vec<Effect>) {
        let leaf = self.model.channels.get(&channel).is_some_and(|entry| entry.kind == ChannelKind::Network && entry.role == Role::Leaf);
        if leaf && self.role() == Role::Relay && self.model.has_stores() {
            self.owe(channel, doc, out);
        }
    }

    /// Tells a peer what is here, in memory and on disk.
    fn acknowledge(&mut self, channel: ChannelId, doc: &DocId, out: &mut Vec<Effect>) {
        let loading = self.model.docs.contains_key(doc) && !self.model.is_ready(doc);
        if loading || !self.sees(channel, doc) {
            return;
        }
        let Some((lineage, version)) = self.model.held(doc).map(|(lineage, version)| (lineage, version.clone())) else { return };
        let durable = self.stored_version(doc);
        let Some(link) = self.model.link(channel, doc) else { return };
        link.awaits_disk &= durable.as_ref().is_some_and(|durable| !durable.includes(&version));
        link.sent.merge(&version);
        out.push(Effect::Send { channel, message: Message::Ack { doc: doc.clone(), lineage, version, durable, settled: None } });
    }

    /// Returns what every store has of a document; `None` without stores.
    pub(super) fn stored_version(&self, doc: &DocId) -> Option<VersionVector> {
        let mut versions = self.model.stores().into_iter().map(|store| {
            let known = self.model.holding(store, doc).and_then(|holding| holding.version.clone());
            known.or_else(|| self.model.catalogue.get(doc).map(|known| known.version.clone())).unwrap_or_default()
        });
        let first = versions.next()?;
        Some(versions.fold(first, |all, next| {
            all.iter().map(|(author, end)| (author, end.min(next.get(author)))).filter(|(_, end)| *end > 0).collect()
        }))
    }

    /// A write completed: peers whose changes were in it are told.
    pub(super) fn acknowledge_stored(&mut self, doc: &DocId, out: &mut Vec<Effect>) {
        for channel in self.model.linked_peers(doc) {
            if self.model.peek(channel, doc).is_some_and(|link| link.awaits_disk) {
                if let Some(entry) = self.model.channels.get_mut(&channel) {
                    entry.acks_due.remove(doc);
                }
                self.acknowledge(channel, doc, out);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(super) fn acknowledged(
        &mut self,
        channel: ChannelId,
        doc: &DocId,
        lineage: u64,
        version: &VersionVector,
        durable: Option<VersionVector>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if !self.sees(channel, doc) || self.model.lineage(doc) != Some(lineage) {
            return;
        }
        if durable.iter().chain([version]).any(|version| self.model.is_absurd_claim(channel, doc, version)) {
            return;
        }
        self.model.learn(channel, doc, version);
        let ours = self.model.here(doc);
        match &durable {
            Some(durable) => self.model.keep(channel, doc, durable),
            None if self.model.channels.get(&channel).is_some_and(|entry| entry.role == Role::Relay) => {
                self.model.keep(channel, doc, version)
            }
            None => {}
        }
        let network = self.model.channels.get(&channel).is_some_and(|entry| entry.kind == ChannelKind::Network);
        if let Some(durable) = durable {
            let durable = durable.common(&ours);
            if let Some(link) = self.model.link(channel, doc) {
                link.durable.merge(&durable);
            }
            if network && let Some(known) = self.model.catalogue.get_mut(doc) {
                known.durable.merge(&durable);
            }
            if network
                && let Some(entry) = self.model.docs.get_mut(doc)
                && !entry.confirmed_on_disk.includes(&durable)
            {
                entry.confirmed_on_disk.merge(&durable);
                self.model.confirmed.insert(doc.clone());
            }
        }
        let Some(link) = self.model.link(channel, doc) else { return };
        link.refused = None;
        link.last_refusal = None;
        link.refusals = 0;
        link.unconfirmed_since = (!link.confirms(&ours)).then_some(now);
        if !ours.includes(version) {
            self.model.arm(Timer::Graft(doc.clone()), super::fetch::GRAFT_DELAY_MS, out);
        }
    }

    /// Says that a document is not given, without saying whether it is here.
    pub(super) fn refuse(&mut self, channel: ChannelId, doc: DocId, out: &mut Vec<Effect>) {
        let message = if self.model.is_extended(channel) {
            Message::Refusal { doc, reason: RefusalReason::Unavailable, retry_ms: None }
        } else {
            let transmission = crate::protocol::Transmission::Unavailable;
            Message::SyncResponse { doc, transmission, ephemeral: None }
        };
        out.push(Effect::Send { channel, message });
    }

    /// A peer's message was not admitted here: it is told, if it understands that.
    pub(super) fn not_admitted(
        &mut self,
        channel: ChannelId,
        doc: Option<DocId>,
        reason: RefusalReason,
        retry_ms: Option<u32>,
        out: &mut Vec<Effect>,
    ) {
        let Some(doc) = doc else { return };
        // It may be what was asked for: that is asked for again as soon as it is offered again.
        if let Some(entry) = self.model.docs.get_mut(&doc) {
            entry.fetches.retain(|_, fetch| fetch.channel != channel || fetch.arrived);
        }
        if self.model.is_extended(channel) {
            out.push(Effect::Send { channel, message: Message::Refusal { doc, reason, retry_ms } });
        }
    }

    /// A peer did not take, or does not give, a document.
    pub(super) fn refused(&mut self, channel: ChannelId, doc: &DocId, reason: RefusalReason, retry_ms: Option<u32>, out: &mut Vec<Effect>) {
        let Some(peer) = self.model.context(channel) else { return };
        if !self.sees(channel, doc) {
            return;
        }
        if reason == RefusalReason::Deletion {
            // It keeps its copy; this side's deletion stands.
            if !self.model.buried.contains_key(doc) || self.model.is_undeletable(doc, &peer.peer_id) {
                return;
            }
            self.model.undeletable.entry(doc.clone()).or_default().insert(peer.peer_id.clone());
            return out.push(Effect::Emit(Event::Refused { doc: doc.clone(), peer: peer.peer_id.clone(), reason, retry_ms: None }));
        }
        if self.model.peek(channel, doc).is_none() {
            return;
        }
        let unavailable = reason == RefusalReason::Unavailable;
        let (insists, unconfirmed) = (self.insists(channel, doc), self.is_unconfirmed(doc));
        let offer = Timer::Offer(channel, doc.clone());
        let offering = self.model.armed.contains(&offer);
        let Some(link) = self.model.link(channel, doc) else { return };
        link.waiting = false;
        if unavailable {
            link.absent = true;
            link.subscribed = false;
            link.unconfirmed_since = None;
            // It has nothing any more of what it may have had.
            link.known = None;
            link.durable = VersionVector::new();
            link.settled = VersionVector::new();
            if !insists {
                return;
            }
        } else {
            link.refused = Some(reason);
        }
        // What was sent did not arrive: the next offer starts from what the peer said it has.
        link.sent = VersionVector::new();
        let news = link.last_refusal != Some(reason) && (!unavailable || unconfirmed);
        if news {
            link.last_refusal = Some(reason);
        }
        let base = if reason == RefusalReason::RateLimited { LIMITED_MS } else { OFFER_MS };
        // Longer every time: an offer and what follows it are several messages, and the time is that of one.
        let wait = retry_ms.map_or(base, u64::from).max(1) << link.refusals.min(5);
        // Everything sent until the next offer is refused for the same cause.
        link.refusals = if offering { link.refusals.max(1) } else { link.refusals.saturating_add(1) };
        if let Some(entry) = self.model.docs.get_mut(doc).filter(|_| !unavailable) {
            entry.fetches.retain(|_, fetch| fetch.channel != channel || fetch.arrived);
        }
        self.model.arm(offer, wait, out);
        if news {
            out.push(Effect::Emit(Event::Refused { doc: doc.clone(), peer: peer.peer_id.clone(), reason, retry_ms: Some(wait) }));
        }
    }

    /// Returns whether a peer that says it has nothing of a document is offered it again: a relay, which keeps everything it may, by a leaf
    /// that has something of it, and by another relay if nobody else is known to have it.
    pub(super) fn insists(&self, channel: ChannelId, doc: &DocId) -> bool {
        let relay = self.model.is_extended(channel) && self.model.channels.get(&channel).is_some_and(|entry| entry.role == Role::Relay);
        relay
            && self.model.held(doc).is_some_and(|(_, version)| !version.is_empty())
            && (self.role() == Role::Leaf || self.is_unconfirmed(doc))
    }

    fn is_unconfirmed(&self, doc: &DocId) -> bool {
        let away = || self.model.unsent.contains_key(doc);
        self.model.docs.get(doc).map_or_else(away, |entry| !entry.confirmed.includes(&entry.version))
    }

    /// The reason for a refusal may have passed.
    pub(super) fn offer_again(&mut self, channel: ChannelId, doc: &DocId, out: &mut Vec<Effect>) {
        let away = !self.model.docs.contains_key(doc) && self.model.held(doc).is_some();
        if !self.model.is_ready(doc) && !away {
            return;
        }
        let Some(link) = self.model.link(channel, doc) else { return };
        link.refused = None;
        self.ask(channel, doc, true, out);
    }

    /// Returns how safe `version` of a document is.
    #[must_use]
    pub fn durability(&self, doc: &DocId, version: &VersionVector) -> Durability {
        let Some(entry) = self.model.docs.get(doc) else { return Durability::Memory };
        let loaded = matches!(entry.state, super::model::DocState::Ready);
        if !loaded || !self.is_stored(doc, version) {
            return Durability::Memory;
        }
        if entry.confirmed_on_disk.includes(version) {
            Durability::HubDisk
        } else if entry.confirmed.includes(version) {
            Durability::Hub
        } else if !self.model.has_stores() {
            Durability::Memory
        } else {
            Durability::Disk
        }
    }

    /// Returns what another machine said it has of a document.
    #[must_use]
    pub fn confirmed(&self, doc: &DocId) -> VersionVector {
        self.model.docs.get(doc).map(|entry| entry.confirmed.clone()).unwrap_or_default()
    }

    /// Returns the number of operations of a document in memory that no other machine has confirmed, as far as changes of it were told.
    #[must_use]
    pub fn unsynced(&self, doc: &DocId) -> u64 {
        self.model.docs.get(doc).map_or(0, |entry| beyond(&entry.version, &entry.confirmed))
    }
}
