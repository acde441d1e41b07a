//! Unpersisted per-peer state: presence, cursors.
//!
//! Decides to whom entries go, how far they travel and whose word is taken that somebody left. Never reads an entry.
//!
//! Between peers that speak `presence` only what is news at a repo goes on from there, so nothing circulates, and it goes to the ends of the
//! network. Who is seen to get an author's entries at least as directly is not sent them: on a full mesh each entry crosses each of its author's
//! links and no other. The hops that are left tell how far an entry has come. Peers of the reference protocol get its hops: own entries may
//! be relayed once, relayed ones not again.

use super::{
    ChannelId, ChannelKind, Effect, EphemeralKeys, EphemeralNews, EphemeralSelection, HEARTBEAT_MS, Synchronizer, Timer, model::Channel,
};
use crate::{
    collections::{SortedMap, SortedSet},
    protocol::{DocId, EphemeralPayload, Features, PeerId, Role},
};

/// What an entry's hops are on the first link between peers that speak `presence`.
pub(super) const PRESENCE_HOPS: u32 = 16;

/// What is known of those who wrote a document's ephemeral entries.
#[derive(Debug, Default)]
pub(super) struct Presence {
    authors: SortedMap<PeerId, Author>,
}

#[derive(Debug)]
struct Author {
    /// Repos its entries have come through.
    distance: u32,
    /// Peers that get them on another path.
    elsewhere: SortedSet<ChannelId>,
}

impl Synchronizer {
    pub(super) fn ephemeral_received(
        &mut self,
        channel: ChannelId,
        doc: &DocId,
        hops: u32,
        stores: Vec<EphemeralPayload>,
        out: &mut Vec<Effect>,
    ) {
        let Some(peer) = self.model.context(channel) else { return };
        if stores.is_empty() || !self.permissions.visibility(doc, &peer) || !self.is_followed(doc) {
            return;
        }
        let own = &self.config.identity.peer_id;
        let is_present = |author: &PeerId| *author != peer.peer_id && (author == own || self.model.has_peer(author));
        let present = stores.iter().map(|store| &store.peer).filter(|author| is_present(author)).cloned().collect();
        // Anybody can say that it is a relay: that counts for one that was chosen.
        let chosen = |entry: &Channel| entry.role == Role::Relay && (entry.initiated || self.role() == Role::Leaf);
        let from_relay = self.model.channels.get(&channel).is_some_and(|entry| chosen(entry));
        out.push(Effect::ApplyEphemeral { doc: doc.clone(), channel, hops, stores, present, from_relay });
        self.beat(doc, out);
    }

    /// Passes on what was news.
    pub(super) fn ephemeral_applied(
        &mut self,
        doc: &DocId,
        channel: ChannelId,
        hops: u32,
        authors: Vec<EphemeralNews>,
        out: &mut Vec<Effect>,
    ) {
        let Some(sender) = self.model.context(channel) else { return };
        let (speaks, followers) = (self.speaks_presence(channel), self.followers(doc));
        let mut spread: SortedMap<Vec<(ChannelId, u32)>, EphemeralKeys> = SortedMap::new();
        for EphemeralNews { author, news, same, behind } in authors {
            // What others have of one's own entries says nothing about how they got them.
            if author == self.config.identity.peer_id {
                continue;
            }
            let direct = author == sender.peer_id;
            let distance = match (direct, speaks) {
                (true, _) => 0,
                (false, true) => PRESENCE_HOPS.saturating_sub(hops),
                (false, false) => PRESENCE_HOPS,
            };
            let Some(presence) = self.model.present.get_mut(doc) else { return };
            let entry = presence.authors.entry(author.clone()).or_insert(Author { distance, elsewhere: SortedSet::new() });
            if !news.is_empty() {
                entry.distance = distance;
            }
            // A copy that has come no further than this one cannot have come through here.
            if same && !direct && speaks && hops > 0 && distance <= entry.distance.saturating_add(1) {
                entry.elsewhere.insert(channel);
            }
            if !behind.is_empty() && entry.elsewhere.remove(&channel) {
                out.push(Effect::SendEphemeral { channel, doc: doc.clone(), selection: EphemeralSelection::Keys(behind), hops: 0 });
            }
            if news.is_empty() || (!speaks && hops == 0) {
                continue;
            }
            let entry = &self.model.present[doc].authors[&author];
            let is_owed = |other: &ChannelId| {
                *other != channel
                    && !entry.elsewhere.contains(other)
                    && self.model.context(*other).is_some_and(|peer| peer.peer_id != author)
            };
            let left = |other| if self.speaks_presence(other) { PRESENCE_HOPS.saturating_sub(distance + 1) } else { 0 };
            let to: Vec<_> = followers.iter().copied().filter(is_owed).map(|other| (other, left(other))).collect();
            let keys = spread.entry(to).or_default();
            for (namespace, news) in news {
                keys.entry(namespace).or_default().extend(news);
            }
        }
        for (to, keys) in spread.into_iter().filter(|(to, _)| !to.is_empty()) {
            out.push(Effect::SpreadEphemeral { to, doc: doc.clone(), selection: EphemeralSelection::Keys(keys) });
        }
    }

    pub(super) fn ephemeral_changed(&mut self, doc: &DocId, keys: EphemeralKeys, hops: u32, out: &mut Vec<Effect>) {
        self.beat(doc, out);
        self.spread(doc, EphemeralSelection::Keys(keys), hops, out);
    }

    pub(super) fn heartbeat(&mut self, out: &mut Vec<Effect>) {
        let docs: Vec<_> = self.model.present.keys().cloned().collect();
        for doc in docs {
            out.push(Effect::BeatEphemeral { doc: doc.clone() });
            self.spread(&doc, EphemeralSelection::Own, 1, out);
        }
        if !self.model.present.is_empty() {
            self.model.arm(Timer::Heartbeat, HEARTBEAT_MS, out);
        }
    }

    /// Where nothing is left, nothing is renewed any more.
    pub(super) fn ephemeral_beaten(&mut self, doc: &DocId, authors: &SortedSet<PeerId>) {
        if authors.is_empty() {
            self.model.present.remove(doc);
        } else if let Some(presence) = self.model.present.get_mut(doc) {
            presence.authors.retain(|author, _| authors.contains(author));
        }
    }

    /// Shows a peer that follows a document who is there.
    pub(super) fn show_ephemeral(&self, channel: ChannelId, doc: &DocId, out: &mut Vec<Effect>) {
        let follows = self.model.peek(channel, doc).is_some_and(|link| link.subscribed);
        if follows && self.model.present.contains_key(doc) && self.sees(channel, doc) {
            out.push(Effect::SendEphemeral { channel, doc: doc.clone(), selection: EphemeralSelection::Others, hops: 0 });
            let hops = self.own_hops(channel);
            out.push(Effect::SendEphemeral { channel, doc: doc.clone(), selection: EphemeralSelection::Own, hops });
        }
    }

    /// What came over a connection goes with it.
    pub(super) fn ephemeral_channel_closed(&mut self, channel: ChannelId, gone: &Channel, out: &mut Vec<Effect>) {
        let Some(identity) = gone.identity().filter(|_| gone.kind != ChannelKind::Storage) else { return };
        let peer = (!self.model.has_peer(&identity.peer_id)).then(|| identity.peer_id.clone());
        for presence in self.model.present.values_mut() {
            for author in presence.authors.values_mut() {
                author.elsewhere.remove(&channel);
            }
        }
        if !self.model.present.is_empty() {
            out.push(Effect::RemoveEphemeral { channel, peer, forget: self.model.pipes().is_empty() });
        }
    }

    /// How often own entries may be relayed behind a peer.
    pub(super) fn own_hops(&self, channel: ChannelId) -> u32 {
        if self.speaks_presence(channel) { PRESENCE_HOPS } else { 1 }
    }

    fn spread(&self, doc: &DocId, selection: EphemeralSelection, hops: u32, out: &mut Vec<Effect>) {
        let own = |channel| if hops > 0 { self.own_hops(channel) } else { 0 };
        let to: Vec<_> = self.followers(doc).into_iter().map(|channel| (channel, own(channel))).collect();
        if !to.is_empty() {
            out.push(Effect::SpreadEphemeral { to, doc: doc.clone(), selection });
        }
    }

    fn beat(&mut self, doc: &DocId, out: &mut Vec<Effect>) {
        if !self.model.present.contains_key(doc) {
            self.model.present.insert(doc.clone(), Presence::default());
        }
        self.model.arm(Timer::Heartbeat, HEARTBEAT_MS, out);
    }

    fn speaks_presence(&self, channel: ChannelId) -> bool {
        self.model.channels.get(&channel).is_some_and(|entry| entry.features.includes(Features::PRESENCE))
    }

    /// Returns whether anybody here or at a peer has to do with the document: it need not be in memory.
    fn is_followed(&self, doc: &DocId) -> bool {
        self.model.docs.contains_key(doc)
            || (!self.is_deleted(doc)
                && self
                    .model
                    .linked_peers(doc)
                    .into_iter()
                    .any(|channel| self.model.peek(channel, doc).is_some_and(|link| link.subscribed)))
    }

    fn followers(&self, doc: &DocId) -> Vec<ChannelId> {
        self.model
            .linked_peers(doc)
            .into_iter()
            .filter(|channel| self.model.peek(*channel, doc).is_some_and(|link| link.subscribed) && self.sees(*channel, doc))
            .collect()
    }
}
