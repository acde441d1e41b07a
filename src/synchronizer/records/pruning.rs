//! What every device has.
//!
//! Decides which records need no index by clock any more and which deletions may be forgotten. That is never a risk: a side that may have
//! forgotten a deletion answers whoever lacks it with everything, and what is not in everything was deleted.

use super::{RecordEffect, RecordTimer};
use crate::{
    protocol::{ClockVector, Device, Role},
    synchronizer::{ChannelId, Effect, Synchronizer, Timer, Timestamp},
};

/// Milliseconds between two looks at what every device has.
pub(super) const DELAY_MS: u64 = 1_000;
/// Devices that are remembered; the one not seen longest goes first.
const MAX_DEVICES: usize = 10_000;

/// Another device.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What it has.
    pub(super) version: ClockVector,
    /// For a relay: what every device it hears of has, as it said since this repo began.
    pub(super) stable: Option<ClockVector>,
    pub(super) seen: Timestamp,
    /// It is to be written to stores.
    pub(super) dirty: bool,
}

impl Synchronizer {
    /// A device said what it has.
    pub(super) fn know_device(&mut self, channel: ChannelId, version: &ClockVector, stable: &ClockVector, now: Timestamp) {
        let relay = self.is_relay_peer(channel);
        let Some(device) = self.model.records.peers.get(&channel).and_then(|peer| peer.device) else { return };
        let known = self.model.records.devices.entry(device).or_default();
        known.dirty |= !known.version.includes(version) || now.since(known.seen) > DELAY_MS;
        known.version.merge(version);
        known.seen = known.seen.max(now);
        if relay {
            known.stable.get_or_insert_default().merge(stable);
        }
        if self.model.records.devices.len() > MAX_DEVICES {
            let oldest = self.model.records.devices.iter().min_by_key(|(_, known)| known.seen).map(|(device, _)| *device);
            oldest.and_then(|device| self.model.records.devices.remove(&device));
            self.model.records.gone.extend(oldest);
        }
    }

    pub(super) fn prune_records(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        let lapse = self.config.records.lapse_ms;
        let connected: Vec<Device> = self.model.records.peers.values().filter_map(|peer| peer.device).collect();
        let relays: Vec<Device> = self
            .record_peers()
            .into_iter()
            .filter(|channel| self.is_relay_peer(*channel))
            .filter_map(|channel| self.model.records.peers.get(&channel)?.device)
            .collect();
        let records = &mut self.model.records;
        for device in &connected {
            if let Some(known) = records.devices.get_mut(device) {
                known.seen = known.seen.max(now);
            }
        }
        let lapsed = |known: &Known| now.since(known.seen) > lapse;
        if records.devices.iter().any(|(device, _)| Some(*device) != records.device)
            && records.devices.iter().all(|(device, known)| Some(*device) == records.device || lapsed(known))
        {
            // Nobody was there for so long: it is this device that was away.
            return;
        }
        records.gone.extend(records.devices.iter().filter(|(_, known)| lapsed(known)).map(|(device, _)| *device));
        records.devices.retain(|_, known| !lapsed(known));
        let silent = |device: &Device| records.devices.get(device).is_some_and(|known| known.stable.is_none());
        if relays.iter().any(silent) {
            // What it says of the devices it hears of is on its way.
            return;
        }
        let mut stable = records.version.clone();
        for (device, known) in &records.devices {
            if Some(*device) == records.device {
                continue;
            }
            stable = stable.common(&known.version);
            if let Some(told) = &known.stable {
                stable = stable.common(told);
            }
        }
        // Two tabs are one device and get everything one by one.
        for peer in records.peers.values().filter(|peer| peer.device.is_some()) {
            stable = stable.common(&peer.known);
        }
        let news = !records.stable.includes(&stable);
        records.stable.merge(&stable);
        records.pruned.merge(&stable);
        // Also without news: something may have come that all had before.
        out.push(Effect::Records(RecordEffect::Prune { stable }));
        if !news {
            return;
        }
        if self.role() == Role::Relay {
            for channel in self.record_peers() {
                self.schedule_records_word(channel, out);
            }
        }
        self.records_went_stale(now, out);
    }

    /// Something that devices have may have become what all have.
    pub(super) fn schedule_prune(&mut self, out: &mut Vec<Effect>) {
        self.model.arm(Timer::Records(RecordTimer::Prune), DELAY_MS, out);
    }
}
