//! Unpersisted per-peer state: presence, cursors.
//!
//! Decides to whom entries go and how far they travel. Never reads an entry.

use super::{ChannelId, Effect, EphemeralSelection, HEARTBEAT_MS, Synchronizer, Timer};
use crate::protocol::{DocId, EphemeralPayload, Message};

impl Synchronizer {
    pub(super) fn ephemeral_received(
        &mut self,
        channel: ChannelId,
        doc: &DocId,
        hops: u32,
        stores: Vec<EphemeralPayload>,
        out: &mut Vec<Effect>,
    ) {
        if stores.is_empty() || !self.sees(channel, doc) || !self.model.docs.contains_key(doc) {
            return;
        }
        out.push(Effect::ApplyEphemeral { doc: doc.clone(), stores: stores.clone() });
        self.beat(doc, out);
        if hops == 0 {
            return;
        }
        for other in self.followers(doc) {
            if other != channel {
                let message = Message::Ephemeral { doc: doc.clone(), hops: hops.min(8) - 1, stores: stores.clone() };
                out.push(Effect::Send { channel: other, message });
            }
        }
    }

    pub(super) fn ephemeral_changed(&mut self, doc: &DocId, namespace: String, keys: Vec<String>, hops: u32, out: &mut Vec<Effect>) {
        self.beat(doc, out);
        for channel in self.followers(doc) {
            let selection = EphemeralSelection::Keys { namespace: namespace.clone(), keys: keys.clone() };
            out.push(Effect::SendEphemeral { channel, doc: doc.clone(), selection, hops });
        }
    }

    pub(super) fn heartbeat(&mut self, out: &mut Vec<Effect>) {
        let docs: Vec<_> = self.model.beating.iter().cloned().collect();
        for doc in docs {
            if !self.model.docs.contains_key(&doc) {
                self.model.beating.remove(&doc);
                continue;
            }
            out.push(Effect::BeatEphemeral { doc: doc.clone() });
            for channel in self.followers(&doc) {
                out.push(Effect::SendEphemeral { channel, doc: doc.clone(), selection: EphemeralSelection::Own, hops: 1 });
            }
        }
        if !self.model.beating.is_empty() {
            self.model.arm(Timer::Heartbeat, HEARTBEAT_MS, out);
        }
    }

    fn beat(&mut self, doc: &DocId, out: &mut Vec<Effect>) {
        if !self.model.beating.contains(doc) {
            self.model.beating.insert(doc.clone());
        }
        self.model.arm(Timer::Heartbeat, HEARTBEAT_MS, out);
    }

    fn followers(&self, doc: &DocId) -> Vec<ChannelId> {
        self.model
            .linked_pipes(doc)
            .into_iter()
            .filter(|channel| self.model.peek(*channel, doc).is_some_and(|link| link.subscribed) && self.sees(*channel, doc))
            .collect()
    }
}
