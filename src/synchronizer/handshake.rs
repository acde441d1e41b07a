//! Channels come and go: the identity handshake and what follows it.
//!
//! Decides whom to greet and what to compare after every (re)connection. Never touches document data.

use super::{
    ChannelId, ChannelKind, Effect, Event, Synchronizer, Timer, Timestamp,
    model::{Channel, DocState, Link, Source},
};
use crate::{
    collections::SortedSet,
    protocol::{DocId, Identity, Message, PeerType, Role},
};

/// Milliseconds the side that was greeted waits for what the other asks by itself.
const COMPARE_DELAY_MS: u64 = 300;
/// Milliseconds a comparison by sums, and what follows from it, may take.
const VERIFY_COMPARISON_MS: u64 = 2_000;
/// Comparisons by sums before the documents they left open are asked about one by one.
pub(super) const COMPARISONS: u32 = 4;

/// What came of a handshake.
#[derive(PartialEq, Eq)]
enum Established {
    /// The peer is known now.
    New,
    /// It said so again.
    Before,
    /// The channel was closed.
    Refused,
}

impl Synchronizer {
    pub(super) fn channel_opened(&mut self, channel: ChannelId, kind: ChannelKind, initiate: bool, out: &mut Vec<Effect>) {
        let mut entry = Channel::new(kind);
        entry.initiated = initiate;
        self.model.add_channel(channel, entry);
        if initiate {
            out.push(Effect::Send { channel, message: Message::EstablishRequest(self.config.identity.clone()) });
        }
    }

    pub(super) fn establish_requested(&mut self, channel: ChannelId, identity: Identity, now: Timestamp, out: &mut Vec<Effect>) {
        match self.establish(channel, identity, now, out) {
            Established::New => {
                out.push(Effect::Send { channel, message: Message::EstablishResponse(self.config.identity.clone()) });
                self.compare_all(channel, now, out);
            }
            Established::Before => out.push(Effect::Send { channel, message: Message::EstablishResponse(self.config.identity.clone()) }),
            Established::Refused => {}
        }
    }

    pub(super) fn establish_answered(&mut self, channel: ChannelId, identity: Identity, now: Timestamp, out: &mut Vec<Effect>) {
        if self.establish(channel, identity, now, out) == Established::New {
            self.compare_all(channel, now, out);
        }
    }

    fn establish(&mut self, channel: ChannelId, identity: Identity, now: Timestamp, out: &mut Vec<Effect>) -> Established {
        if identity.peer_id == self.config.identity.peer_id {
            out.push(Effect::Emit(Event::SamePeerId { channel }));
            self.part(channel, now, out);
            return Established::Refused;
        }
        let known = self.model.has_peer(&identity.peer_id);
        let Some(entry) = self.model.channels.get_mut(&channel) else { return Established::Refused };
        match entry.identity().map(|before| before.peer_id == identity.peer_id) {
            None => {}
            Some(true) => return Established::Before,
            // A connection has one peer: whatever was allowed to it would be allowed again to each new name.
            Some(false) => {
                self.part(channel, now, out);
                return Established::Refused;
            }
        }
        entry.establish(channel, identity.clone());
        entry.role = if identity.peer_type == PeerType::Service { Role::Relay } else { Role::Leaf };
        if let (Some(own), Some(theirs)) = (self.config.identity.capabilities, identity.capabilities) {
            entry.features = own.shared(theirs);
            entry.role = theirs.role;
        }
        self.meet_relay(channel, &identity, now);
        self.model.recall_introduced(channel, &identity.peer_id);
        if !known {
            out.push(Effect::Emit(Event::PeerConnected(identity.peer_id)));
        }
        if self.speaks_digest(channel) {
            self.model.arm(Timer::Digest, self.config.digest_period_ms, out);
        }
        Established::New
    }

    fn part(&mut self, channel: ChannelId, now: Timestamp, out: &mut Vec<Effect>) {
        out.push(Effect::CloseChannel { channel });
        self.channel_closed(channel, now, out);
    }

    /// Compares every document that concerns the peer with it: nothing learnt on an earlier connection counts.
    fn compare_all(&mut self, channel: ChannelId, now: Timestamp, out: &mut Vec<Effect>) {
        self.records_peer_established(channel, out);
        let Some(peer) = self.model.context(channel) else { return };
        let remembered = self.model.recall(&peer.peer_id);
        let Some(entry) = self.model.channels.get(&channel) else { return };
        let (initiated, extended) = (entry.initiated, self.model.is_extended(channel));
        let relays = self.role() == Role::Relay && entry.role == Role::Relay;
        let docs: Vec<_> = self
            .model
            .docs
            .iter()
            .filter(|(doc, entry)| {
                matches!(entry.state, DocState::Ready)
                    && (entry.opened || relays || remembered.contains(doc) || entry.is_unsynced() || self.model.may_lack(channel, doc))
            })
            .map(|(doc, _)| doc.clone())
            .collect();
        if !extended {
            for doc in docs {
                self.ask(channel, &doc, true, out);
            }
            if relays {
                out.push(Effect::Send { channel, message: Message::DirectoryRequest { docs: None } });
            }
            let unsent: Vec<_> = self.model.unsent.keys().cloned().collect();
            self.compare_away(channel, remembered.into_iter().chain(unsent), now, out);
            return self.offer_stranded(channel, now, out);
        }
        let entry_role = entry.role;
        if entry_role == Role::Relay {
            self.tell_deletions(channel, out);
        }
        // Both sides remember what they followed together, so that one sum over it may be enough.
        let mut returning = false;
        for doc in &remembered {
            if self.sees(channel, doc)
                && self.model.held(doc).is_some()
                && let Some(link) = self.model.link(channel, doc)
            {
                link.subscribed = true;
                returning = true;
            }
            self.show_ephemeral(channel, doc, out);
        }
        if !initiated {
            return self.model.arm(Timer::Compare(channel), COMPARE_DELAY_MS, out);
        }
        if self.speaks_digest(channel) && (relays || (returning && docs.iter().all(|doc| remembered.contains(doc)))) {
            if let Some(entry) = self.model.channels.get_mut(&channel) {
                entry.comparisons = COMPARISONS;
            }
            self.begin_digest(channel, true, out);
            self.model.arm(Timer::Compare(channel), VERIFY_COMPARISON_MS, out);
        } else {
            for doc in docs {
                self.ask(channel, &doc, true, out);
            }
            self.compare_kept(channel, now, out);
        }
        self.offer_stranded(channel, now, out);
    }

    /// Compares what is kept here and not in memory with another relay, where no sum does it.
    fn compare_kept(&mut self, channel: ChannelId, now: Timestamp, out: &mut Vec<Effect>) {
        let relay = self.model.channels.get(&channel).is_some_and(|entry| entry.role == Role::Relay);
        if !relay || self.role() != Role::Relay || self.speaks_digest(channel) {
            return;
        }
        let unmentioned = |doc: &&DocId| self.model.peek(channel, doc).is_none_or(|link| link.known.is_none() && link.is_agreed());
        let kept: Vec<_> = self.model.catalogue.keys().filter(unmentioned).cloned().collect();
        self.compare_away(channel, kept, now, out);
    }

    /// A store has told of documents since the peer came.
    pub(super) fn compare_listed(&mut self, channel: ChannelId, now: Timestamp, out: &mut Vec<Effect>) {
        let relays = self.role() == Role::Relay && self.model.channels.get(&channel).is_some_and(|entry| entry.role == Role::Relay);
        if relays && self.speaks_digest(channel) {
            self.begin_digest(channel, false, out);
        } else if relays && self.model.is_extended(channel) {
            self.compare_kept(channel, now, out);
        }
    }

    /// Asks a peer about the documents that concern it and that it has said nothing of.
    pub(super) fn compare_unmentioned(&mut self, channel: ChannelId, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(entry) = self.model.channels.get(&channel) else { return };
        let relays = self.role() == Role::Relay && entry.role == Role::Relay;
        let extended = self.model.is_extended(channel);
        let docs: Vec<_> = self
            .model
            .docs
            .iter()
            .filter(|(doc, entry)| {
                let link = self.model.peek(channel, doc);
                let concerned = entry.opened
                    || relays
                    || entry.is_unsynced()
                    || self.model.may_lack(channel, doc)
                    || link.is_some_and(|link| link.subscribed);
                // One that only told of it does not know that it is followed here.
                let mentioned = |link: &Link| link.known.is_some() && !(extended && entry.opened && !link.asked);
                matches!(entry.state, DocState::Ready) && concerned && link.is_none_or(|link| !mentioned(link) && link.is_agreed())
            })
            .map(|(doc, _)| doc.clone())
            .collect();
        let Some(entry) = self.model.channels.get_mut(&channel) else { return };
        if !docs.is_empty() && entry.comparisons > 0 {
            // What differed has been dealt with by now: one more sum says so for all the others.
            entry.comparisons -= 1;
            if entry.initiated {
                self.begin_digest(channel, true, out);
            }
            return self.model.arm(Timer::Compare(channel), VERIFY_COMPARISON_MS, out);
        }
        for doc in docs {
            self.ask(channel, &doc, true, out);
        }
        let unmentioned =
            |doc: &DocId| self.model.peek(channel, doc).is_some_and(|link| link.subscribed && link.known.is_none() && link.is_agreed());
        let away: Vec<_> = self.model.docs_of(channel).into_iter().filter(unmentioned).collect();
        self.compare_away(channel, away, now, out);
        self.compare_kept(channel, now, out);
        let dialled = self.model.channels.get(&channel).is_none_or(|entry| entry.initiated);
        if !dialled && self.model.has_time(channel, self.model.catalogue.len(), false, now) {
            self.offer_stranded(channel, now, out);
        }
    }

    pub(super) fn channel_closed(&mut self, channel: ChannelId, now: Timestamp, out: &mut Vec<Effect>) {
        let device = self.device_of(channel);
        self.records_channel_closed(channel, out);
        let Some((mut gone, links)) = self.model.remove_channel(channel) else { return };
        self.remember_followers(&gone, device, &links, now);
        self.ephemeral_channel_closed(channel, &gone, out);
        self.model.armed.retain(|timer| match timer {
            Timer::Verify(of, _) | Timer::Reload(of, _) | Timer::Offer(of, _) | Timer::Settle(of, _) | Timer::Remove(of, _) => {
                *of != channel
            }
            Timer::StoreDue(of)
            | Timer::Relist(of)
            | Timer::Compare(of)
            | Timer::Directory(of)
            | Timer::Announce(of)
            | Timer::Heads(of)
            | Timer::Ack(of) => *of != channel,
            Timer::Records(timer) => timer.channel() != Some(channel),
            Timer::Heartbeat
            | Timer::LoadTimeout(_)
            | Timer::Note
            | Timer::Fetch(_)
            | Timer::Graft(_)
            | Timer::Digest
            | Timer::Tombstones
            | Timer::Memory
            | Timer::Trim
            | Timer::Renew(_) => true,
        });
        self.model.forget_requests(channel, &mut gone.introduced);
        // What it had promised is asked for elsewhere.
        for doc in links.keys() {
            if self.model.docs.get(doc).is_some_and(|entry| entry.fetches.values().any(|fetch| fetch.channel == channel && !fetch.arrived))
            {
                self.plan(doc, true, now, out);
            }
        }
        if gone.kind == ChannelKind::Storage {
            self.source_spoke(Source::Store(channel), now, out);
            self.records_source_spoke(Source::Store(channel), out);
            if !self.model.has_stores() {
                self.forget_stored();
            }
        }
        if let Some(identity) = gone.identity()
            && !self.model.has_peer(&identity.peer_id)
        {
            let subscriptions: SortedSet<_> =
                links.iter().filter(|(_, link)| link.subscribed && !link.absent).map(|(doc, _)| doc.clone()).collect();
            self.model.remember_introduced(identity.peer_id.clone(), gone.introduced);
            self.model.remember(identity.peer_id.clone(), subscriptions);
            out.push(Effect::Emit(Event::PeerDisconnected(identity.peer_id.clone())));
        }
    }
}
