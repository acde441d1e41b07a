//! Channels come and go: the identity handshake and what follows it.
//!
//! Decides whom to greet and what to compare after every (re)connection. Never touches document data.

use std::collections::BTreeSet;

use super::{
    ChannelId, ChannelKind, Effect, Event, Interest, Synchronizer, Timestamp,
    model::{Channel, ChannelState, DocState, Source},
};
use crate::protocol::{Identity, Message, PeerType};

impl Synchronizer {
    pub(super) fn channel_opened(&mut self, channel: ChannelId, kind: ChannelKind, initiate: bool, out: &mut Vec<Effect>) {
        self.model.channels.insert(channel, Channel::new(kind));
        if initiate {
            out.push(Effect::Send { channel, message: Message::EstablishRequest(self.config.identity.clone()) });
        }
    }

    pub(super) fn establish_requested(&mut self, channel: ChannelId, identity: Identity, now: Timestamp, out: &mut Vec<Effect>) {
        if self.establish(channel, identity, now, out) {
            out.push(Effect::Send { channel, message: Message::EstablishResponse(self.config.identity.clone()) });
            self.compare_all(channel, out);
        }
    }

    pub(super) fn establish_answered(&mut self, channel: ChannelId, identity: Identity, now: Timestamp, out: &mut Vec<Effect>) {
        if self.establish(channel, identity, now, out) {
            self.compare_all(channel, out);
        }
    }

    fn establish(&mut self, channel: ChannelId, identity: Identity, now: Timestamp, out: &mut Vec<Effect>) -> bool {
        if identity.peer_id == self.config.identity.peer_id {
            out.push(Effect::Emit(Event::SamePeerId { channel }));
            out.push(Effect::CloseChannel { channel });
            self.channel_closed(channel, now, out);
            return false;
        }
        let known = self.model.has_peer(&identity.peer_id);
        let Some(entry) = self.model.channels.get_mut(&channel) else { return false };
        let before = match std::mem::replace(&mut entry.state, ChannelState::Established(identity.clone())) {
            ChannelState::Established(before) if before.peer_id != identity.peer_id => Some(before.peer_id),
            _ => None,
        };
        if let Some(before) = before {
            entry.docs.clear();
            if !self.model.has_peer(&before) {
                out.push(Effect::Emit(Event::PeerDisconnected(before)));
            }
        }
        if !known {
            out.push(Effect::Emit(Event::PeerConnected(identity.peer_id)));
        }
        true
    }

    /// Asks the peer about every document it concerns: nothing learnt on an earlier connection counts.
    fn compare_all(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        let Some(peer) = self.model.context(channel) else { return };
        let remembered = self.model.recall(&peer.peer_id);
        let relay = self.config.interest == Interest::Everything && peer.peer_type == PeerType::Service;
        let docs: Vec<_> = self
            .model
            .docs
            .iter()
            .filter(|(doc, entry)| matches!(entry.state, DocState::Ready) && (entry.opened || relay || remembered.contains(doc)))
            .map(|(doc, _)| doc.clone())
            .collect();
        for doc in docs {
            self.ask(channel, &doc, true, out);
        }
        if relay {
            out.push(Effect::Send { channel, message: Message::DirectoryRequest { docs: None } });
        }
    }

    pub(super) fn channel_closed(&mut self, channel: ChannelId, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(gone) = self.model.channels.remove(&channel) else { return };
        for doc in gone.docs.keys() {
            self.model.touched.insert(doc.clone());
        }
        self.model.armed.retain(|timer| match timer {
            super::Timer::Verify(of, _) | super::Timer::Reload(of, _) | super::Timer::StoreDue(of) => *of != channel,
            super::Timer::Heartbeat | super::Timer::LoadTimeout(_) => true,
        });
        for doc in self.model.docs.values_mut() {
            if let DocState::Loading { requests, ask, .. } = &mut doc.state {
                requests.retain(|request| request.channel != channel);
                ask.remove(&channel);
            }
        }
        if gone.kind == ChannelKind::Storage {
            self.source_spoke(Source::Store(channel), now, out);
        }
        if let Some(identity) = gone.identity()
            && !self.model.has_peer(&identity.peer_id)
        {
            let subscriptions: BTreeSet<_> = gone.docs.iter().filter(|(_, link)| link.subscribed).map(|(doc, _)| doc.clone()).collect();
            self.model.remember(identity.peer_id.clone(), subscriptions);
            out.push(Effect::RemoveEphemeralPeer { peer: identity.peer_id.clone() });
            out.push(Effect::Emit(Event::PeerDisconnected(identity.peer_id.clone())));
        }
    }
}
