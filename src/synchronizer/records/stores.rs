//! Records on disk.
//!
//! Decides when records are read and written. One transaction at a time, believed when it completed.

use super::{RecordEffect, RecordTimer, State, pruning::Known};
use crate::{
    protocol::{ClockVector, Device, RECORDS},
    synchronizer::{
        ChannelId, Effect, Event, Synchronizer, Timer, Timestamp,
        model::{Load, Source},
    },
};

const RETRY_MS: u64 = 1_000;
const MAX_RETRY_MS: u64 = 30_000;

/// What a store says beside the records themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredRecords {
    /// The device whose storage it is.
    pub device: Device,
    /// What it has.
    pub version: ClockVector,
    /// What every device had.
    pub pruned: ClockVector,
    /// Other devices.
    pub devices: Vec<StoredDevice>,
    /// Some of what it has could not be read.
    pub damaged: bool,
}

/// What is remembered of another device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredDevice {
    /// Which.
    pub device: Device,
    /// What it has.
    pub version: ClockVector,
    /// When it was last there, in milliseconds since the Unix epoch.
    pub seen: Timestamp,
}

impl StoredDevice {
    /// Says that a device need not be remembered any more.
    #[must_use]
    pub fn gone(device: Device) -> Self {
        Self { device, ..Self::default() }
    }

    /// Returns whether that is said.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        *self == Self::gone(self.device)
    }
}

/// One store.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// What it has.
    pub(super) known: ClockVector,
    pub(super) load: Load,
    writing: bool,
    written: Timestamp,
    failures: u32,
    flush_after: bool,
    /// Pruning, or devices, are to be written.
    stale: bool,
}

impl Synchronizer {
    /// A store is there.
    pub(in crate::synchronizer) fn records_store_opened(&mut self, channel: ChannelId, adapter: usize, out: &mut Vec<Effect>) {
        if !RECORDS || self.model.records.state == State::Idle {
            return;
        }
        if let State::Loading(waiting) = &mut self.model.records.state {
            waiting.insert(Source::Store(channel));
            waiting.remove(&Source::Adapter(adapter));
        }
        if !self.model.records.stores.contains_key(&channel) {
            self.load_records(channel, out);
        }
    }

    pub(super) fn load_records(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        self.model.records.stores.entry(channel).or_default().load = Load::Pending;
        out.push(Effect::Records(RecordEffect::Load { channel }));
    }

    pub(super) fn reload_records(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        if self.model.records.stores.get(&channel).is_some_and(|store| store.load == Load::Failed) {
            self.load_records(channel, out);
        }
    }

    pub(super) fn records_loaded(&mut self, channel: ChannelId, stored: Option<StoredRecords>, now: Timestamp, out: &mut Vec<Effect>) {
        if let Some(stored) = &stored {
            self.note_damage(stored, out);
        }
        let records = &mut self.model.records;
        let Some(store) = records.stores.get_mut(&channel) else { return };
        store.failures = 0;
        // A store that keeps no records is asked for nothing more.
        store.load = stored.as_ref().map_or(Load::Idle, |stored| Load::Done { whole: !stored.damaged });
        if let Some(stored) = stored {
            store.known = stored.version.clone();
            if records.state != State::Ready {
                records.device = records.device.or(Some(stored.device));
            }
            records.version.merge(&stored.version);
            records.pruned.merge(&stored.pruned);
            records.stable.merge(&stored.pruned);
            for device in stored.devices {
                let known = records.devices.entry(device.device).or_insert_with(|| Known { seen: device.seen, ..Known::default() });
                known.seen = known.seen.max(device.seen);
                known.version.merge(&device.version);
            }
        }
        if self.model.records.state == State::Ready {
            self.records_grew(None, now, out);
        }
        self.records_source_spoke(Source::Store(channel), out);
    }

    pub(super) fn records_not_loaded(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        let Some(store) = self.model.records.stores.get_mut(&channel) else { return };
        store.load = Load::Failed;
        let after = (RETRY_MS << store.failures.min(5)).min(MAX_RETRY_MS);
        store.failures = store.failures.saturating_add(1);
        // It knows which device this is: it is waited for, up to the end of all waiting.
        self.model.arm(Timer::Records(RecordTimer::Reload(channel)), after, out);
    }

    /// Arranges that a store gets what it lacks.
    pub(super) fn schedule_records_store(&mut self, channel: ChannelId, now: Timestamp, out: &mut Vec<Effect>) {
        let (delay, ready) = (self.config.store_delay_ms, self.model.records.state == State::Ready);
        let records = &self.model.records;
        let Some(store) = records.stores.get(&channel) else { return };
        if !ready || store.writing || !matches!(store.load, Load::Done { .. }) || !store.stale && store.known.includes(&records.version) {
            return;
        }
        // The first change after a pause is written at once: a page may be gone in a moment. Those that follow are gathered.
        let after = if now.since(store.written) >= delay { 0 } else { delay };
        self.model.arm(Timer::Records(RecordTimer::Store(channel)), after, out);
    }

    pub(super) fn store_records(&mut self, channel: ChannelId, _now: Timestamp, out: &mut Vec<Effect>) {
        let records = &mut self.model.records;
        let Some(store) = records.stores.get_mut(&channel) else { return };
        if store.writing || !matches!(store.load, Load::Done { .. }) || records.state != State::Ready {
            return;
        }
        if !std::mem::take(&mut store.stale) && store.known.includes(&records.version) {
            return;
        }
        store.writing = true;
        store.flush_after = false;
        let gone = std::mem::take(&mut records.gone).into_iter().map(StoredDevice::gone);
        let known = records.devices.iter_mut().filter_map(|(device, known)| {
            std::mem::take(&mut known.dirty).then(|| StoredDevice { device: *device, version: known.version.clone(), seen: known.seen })
        });
        // One that is back comes last.
        let devices = gone.chain(known).collect();
        let (version, pruned) = (records.version.clone(), records.pruned.clone());
        out.push(Effect::Records(RecordEffect::Store { channel, version, pruned, devices }));
    }

    pub(super) fn records_stored(&mut self, channel: ChannelId, version: ClockVector, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(store) = self.model.records.stores.get_mut(&channel) else { return };
        store.writing = false;
        store.written = now;
        store.known.merge(&version);
        let again = store.flush_after;
        if std::mem::take(&mut store.failures) > 0 {
            out.push(Effect::Emit(Event::StorageRecovered));
        }
        if again {
            self.store_records(channel, now, out);
        } else {
            self.schedule_records_store(channel, now, out);
        }
        self.tell_records_stored(out);
    }

    pub(super) fn records_not_stored(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        let records = &mut self.model.records;
        let Some(store) = records.stores.get_mut(&channel) else { return };
        store.writing = false;
        store.flush_after = false;
        store.stale = true;
        let after = (RETRY_MS << store.failures.min(5)).min(MAX_RETRY_MS);
        store.failures = store.failures.saturating_add(1);
        records.devices.values_mut().for_each(|known| known.dirty = true);
        self.model.arm(Timer::Records(RecordTimer::Store(channel)), after, out);
    }

    /// What is pruned, or known of devices, has changed: stores get it in their own time.
    pub(super) fn records_went_stale(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        for channel in self.model.stores() {
            if let Some(store) = self.model.records.stores.get_mut(&channel) {
                store.stale = true;
            }
            self.schedule_records_store(channel, now, out);
        }
    }

    pub(in crate::synchronizer) fn flush_records(&mut self, out: &mut Vec<Effect>) {
        if !RECORDS {
            return;
        }
        for channel in self.model.stores() {
            let Some(store) = self.model.records.stores.get_mut(&channel) else { continue };
            if store.writing {
                store.flush_after = true;
            } else {
                self.store_records(channel, Timestamp::default(), out);
            }
        }
    }
}
