//! Records that count as had and cannot be read of a store any more.
//!
//! Decides from whom everything is asked again, and when enough of it came. Until then nothing that is given from here is said to be
//! everything, so nobody takes what is missing for deleted. Which records they are, only the runtime knows.

use super::{Claim, RecordEffect, State, StoredRecords};
use crate::{
    protocol::{
        ClockVector,
        clock::{Stamp, Writer},
    },
    synchronizer::{ChannelId, Effect, Synchronizer, model::Load},
};

/// What is to be had again.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// What the damaged records may be part of.
    version: ClockVector,
    /// What others gave in full since.
    restored: ClockVector,
}

impl Synchronizer {
    /// A store was read: what of it is damaged is to come again, from another store or from peers.
    pub(super) fn note_damage(&mut self, stored: &StoredRecords, out: &mut Vec<Effect>) {
        let records = &mut self.model.records;
        if !stored.damaged {
            let Some(lost) = &mut records.lost else { return };
            lost.restored.merge(&stored.version);
            if lost.restored.includes(&lost.version) {
                self.recover_records(out);
            }
            return;
        }
        let mut lost = records.lost.take().unwrap_or_default();
        lost.version.merge(&stored.version);
        if records.state != State::Ready {
            // Those read before; of a damaged one it is not known what is there.
            let whole = records.stores.values().filter(|store| matches!(store.load, Load::Done { whole: true }));
            whole.for_each(|store| lost.restored.merge(&store.known));
        }
        let elsewhere = lost.restored.includes(&lost.version);
        records.lost = Some(lost);
        if elsewhere {
            return self.recover_records(out);
        }
        records.interrupted.clear();
        records.peers.values_mut().for_each(|peer| peer.restored = false);
        for channel in self.record_peers() {
            self.ask_peer_for_news(channel, 0, out);
        }
    }

    /// Returns whether everything is to be asked of a peer, also what counts as had.
    pub(super) fn restores_records(&self, channel: ChannelId) -> bool {
        let records = &self.model.records;
        records.lost.is_some() && records.peers.get(&channel).is_some_and(|peer| peer.device.is_some() && !peer.restored)
    }

    /// A peer gave everything. That is enough if it is a relay, which has what there is to be had, or if nobody else can have more: what
    /// this device alone knew of is lost.
    pub(super) fn records_restored(&mut self, channel: ChannelId, claim: &Claim, out: &mut Vec<Effect>) {
        let relay = self.is_network(channel) && self.is_relay_peer(channel);
        let records = &mut self.model.records;
        let own = records.device;
        let (Some(lost), Some(peer)) = (&mut records.lost, records.peers.get_mut(&channel)) else { return };
        peer.restored = true;
        if !claim.partial {
            lost.restored.merge(&claim.version);
        }
        let covers = |(writer, stamp): (Writer, Stamp)| Some(writer.device) == own || lost.restored.get(writer) >= stamp;
        if relay || !claim.partial && lost.version.iter().all(covers) {
            self.recover_records(out);
        }
    }

    fn recover_records(&mut self, out: &mut Vec<Effect>) {
        self.model.records.lost = None;
        out.push(Effect::Records(RecordEffect::Recovered));
        // What was given meanwhile did not count as everything: whoever took it asks again.
        self.record_permissions_changed(out);
    }
}
