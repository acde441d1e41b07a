//! What peers have, and what they are told and sent.
//!
//! Decides to whom news go at once, whom a word of it is enough, and when a peer is asked whether it has what was sent. A peer has what it
//! said on the present connection; what was sent is only the base of the next push.

use super::{RecordEffect, RecordTimer, State, pages};
use crate::{
    protocol::{ClockVector, Device, Message, RECORDS, RecordEntry, Role},
    synchronizer::{ChannelId, Effect, Event, Synchronizer, Timer, Timestamp},
};

/// Milliseconds over which changes are gathered, after one that went at once.
const PUSH_MS: u64 = 50;
/// Milliseconds over which acknowledgements are gathered.
const TELL_MS: u64 = 250;
/// The same for a relay without stores: nothing better than memory will follow.
const PROMPT_TELL_MS: u64 = 20;
/// Milliseconds news may take to come by themselves before they are asked for.
pub(super) const GRAFT_MS: u64 = 400;
/// The longest pause between two questions whether something has arrived.
const MAX_VERIFY_MS: u64 = 60_000;

/// One peer, on its present connection.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// Whose records it keeps; `None` until it said so.
    pub(super) device: Option<Device>,
    /// What it said it has.
    pub(super) known: ClockVector,
    /// What was sent on top, or will be asked for by it.
    sent: ClockVector,
    /// What it was told is here, in memory and on disk.
    told: ClockVector,
    told_durable: ClockVector,
    told_stable: ClockVector,
    greeted: bool,
    /// It gets news elsewhere and only wants to hear of them.
    lazy: bool,
    /// It was told that of what it sends a word is enough.
    told_lazy: bool,
    /// It gave something that is not on disk here.
    awaits_disk: bool,
    last_push: Timestamp,
    /// Questions since it last said something new.
    attempts: u32,
    /// It was asked what it has.
    verifying: bool,
    pub(super) reading: Option<pages::Reading>,
    /// Pushes that wait for the end of the reading.
    pub(super) deferred: Vec<(pages::Claim, Vec<RecordEntry>)>,
    /// What it gave without showing everything: had of it, and not claimed towards others.
    pub(super) partial: ClockVector,
    /// It gave everything, also what counted as had, since something was lost.
    pub(super) restored: bool,
    /// What is being merged.
    pub(super) merging: ClockVector,
    /// How often in a row something of it was refused for its clock, and when it is asked for again.
    pub(super) failures: u32,
    pub(super) asked_again: Timestamp,
    /// How often in a row it refused something for its clock, and when that is offered again.
    refusals: u32,
    offered_again: Timestamp,
}

/// The fields of one message.
pub(super) struct Have {
    pub(super) device: Device,
    pub(super) version: ClockVector,
    pub(super) durable: Option<ClockVector>,
    pub(super) stable: ClockVector,
    pub(super) sum: u64,
    pub(super) reply: bool,
    pub(super) lazy: bool,
    pub(super) fresh: bool,
}

impl Peer {
    /// Returns what it said it has and what it was sent.
    pub(super) fn offered(&self) -> ClockVector {
        let mut offered = self.sent.clone();
        offered.merge(&self.known);
        offered
    }
}

impl Synchronizer {
    /// A peer that speaks of records is there.
    pub(in crate::synchronizer) fn records_peer_established(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        if !self.speaks_records(channel) {
            return;
        }
        // A channel may be established again, by somebody else.
        self.model.records.peers.remove(&channel);
        if self.model.records.state == State::Ready {
            self.greet_with_records(channel, out);
        }
    }

    /// Returns the device that a peer said it is.
    pub(in crate::synchronizer) fn device_of(&self, channel: ChannelId) -> Option<Device> {
        self.model.records.peers.get(&channel)?.device
    }

    pub(in crate::synchronizer) fn records_channel_closed(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        if !RECORDS {
            return;
        }
        let peer_id = self.model.context(channel).map(|peer| peer.peer_id.clone());
        self.model.records.stores.remove(&channel);
        let Some(peer) = self.model.records.peers.remove(&channel) else { return };
        if let (Some(id), Some(reading)) = (peer_id, peer.reading) {
            self.interrupt_reading(id, reading, out);
        }
    }

    /// Tells a peer everything that is here; it asks for what it lacks.
    pub(super) fn greet_with_records(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        let version = self.model.records.version.clone();
        let peer = self.model.records.peers.entry(channel).or_default();
        if std::mem::replace(&mut peer.greeted, true) {
            return;
        }
        (peer.told, peer.told_durable, peer.told_stable) = Default::default();
        peer.sent = version;
        self.tell_records(channel, false, out);
        self.ask_peer_for_news(channel, 0, out);
    }

    /// Tells a peer what it was not told yet.
    pub(super) fn tell_records(&mut self, channel: ChannelId, reply: bool, out: &mut Vec<Effect>) {
        let Some(device) = self.model.records.device.or(Some(self.config.device)) else { return };
        let durable = self.durable_records();
        let relay = self.role() == Role::Relay;
        // To whom does not show everything, what it gave counts as had.
        let all = self.records_base(channel);
        let records = &mut self.model.records;
        let Some(peer) = records.peers.get_mut(&channel).filter(|peer| peer.greeted) else { return };
        let version = all.beyond(&peer.told);
        let stable = if relay { records.stable.beyond(&peer.told_stable) } else { ClockVector::new() };
        let news = durable.as_ref().map(|durable| durable.beyond(&peer.told_durable));
        peer.told.merge(&version);
        peer.told_stable.merge(&stable);
        if let Some(news) = &news {
            peer.told_durable.merge(news);
        }
        peer.awaits_disk &= durable.as_ref().is_some_and(|durable| !durable.includes(&records.version));
        let message = Message::RecordsHave { device, version, durable: news, stable, sum: all.sum(), reply, lazy: false, fresh: false };
        out.push(Effect::Send { channel, message });
    }

    /// What all stores that keep records have; `None` without one.
    fn durable_records(&self) -> Option<ClockVector> {
        let mut stores = self.model.records.stores.values().filter(|store| store.load != crate::synchronizer::model::Load::Idle);
        let first = stores.next()?.known.clone();
        Some(stores.fold(first, |all, store| all.common(&store.known)))
    }

    /// A peer said what it has.
    pub(super) fn records_told(&mut self, channel: ChannelId, have: Have, now: Timestamp, out: &mut Vec<Effect>) {
        let network = self.is_network(channel);
        let records = &mut self.model.records;
        let peer = records.peers.entry(channel).or_default();
        let first = peer.device.is_none();
        // For as long as it is connected: whoever says something else every time is not remembered as many.
        peer.device.get_or_insert(have.device);
        if have.fresh {
            peer.partial = ClockVector::new();
        }
        peer.lazy |= have.lazy;
        let before = peer.known.clone();
        peer.known.merge(&have.version);
        let equal = have.sum == records.version.sum();
        if equal {
            peer.known.merge(&records.version);
        }
        if peer.known != before {
            peer.attempts = 0;
        }
        if std::mem::take(&mut peer.verifying) {
            // It has told all: what of that which was sent is not in it did not arrive.
            peer.sent = ClockVector::new();
        }
        let known = peer.known.clone();
        if network {
            if !records.confirmed.includes(&known) {
                out.push(Effect::Emit(Event::RecordsConfirmed));
            }
            records.confirmed.merge(&known);
            if let Some(durable) = &have.durable {
                records.confirmed_on_disk.merge(durable);
            }
        }
        self.know_device(channel, &known, &have.stable, now);
        if self.role() == Role::Relay {
            // Whoever keeps and passes on everything begins when there is something.
            self.open_records(out);
        }
        if self.model.records.state != State::Ready {
            return;
        }
        self.greet_with_records(channel, out);
        if have.reply {
            if let Some(peer) = self.model.records.peers.get_mut(&channel)
                && !equal
            {
                peer.told = ClockVector::new();
            }
            self.tell_records(channel, false, out);
        }
        // What it greets with is asked for at once; of what it tells later a part is on its way.
        self.ask_peer_for_news(channel, if first || have.fresh { 0 } else { GRAFT_MS }, out);
        self.schedule_records_push(channel, now, out);
        self.schedule_prune(out);
    }

    /// Sends a peer what it lacks: at once after a pause, gathered otherwise.
    pub(super) fn schedule_records_push(&mut self, channel: ChannelId, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(peer) = self.model.records.peers.get(&channel) else { return };
        if now.since(peer.last_push) >= PUSH_MS && !self.model.armed.contains(&Timer::Records(RecordTimer::Push(channel))) {
            self.push_records(channel, now, out);
        } else {
            self.model.arm(Timer::Records(RecordTimer::Push(channel)), PUSH_MS, out);
        }
    }

    pub(super) fn push_records(&mut self, channel: ChannelId, now: Timestamp, out: &mut Vec<Effect>) {
        let verify = self.config.verify_delay_ms;
        let records = &mut self.model.records;
        let Some(peer) = records.peers.get_mut(&channel).filter(|peer| peer.greeted && peer.device.is_some()) else { return };
        let base = peer.offered();
        let version = records.version.beyond(&base);
        if version.is_empty() {
            peer.refusals = 0;
            return;
        }
        let pause = peer.offered_again.since(now);
        if pause > 0 {
            return self.model.arm(Timer::Records(RecordTimer::Push(channel)), pause, out);
        }
        peer.last_push = now;
        peer.sent.merge(&version);
        // What was pruned since is no more to be found by its clock.
        if peer.lazy || !base.includes(&records.pruned) {
            return self.tell_records(channel, false, out);
        }
        peer.told.merge(&version);
        out.push(Effect::Records(RecordEffect::Push { channel, base, version }));
        self.model.arm(Timer::Records(RecordTimer::Verify(channel)), verify, out);
    }

    /// A peer takes nothing, for its clock or for want of room: it is offered again after a growing pause.
    pub(super) fn records_refused_for_now(&mut self, channel: ChannelId, now: Timestamp) -> bool {
        let Some(peer) = self.model.records.peers.get_mut(&channel) else { return false };
        if peer.offered_again > now {
            return false;
        }
        peer.offered_again = now.plus(pages::AHEAD_MS << peer.refusals.min(6));
        peer.refusals = peer.refusals.saturating_add(1);
        true
    }

    /// Returns the word of news that is sent in place of a push that would be too large.
    #[must_use]
    pub fn records_word(&self, version: ClockVector) -> Message {
        let records = &self.model.records;
        let device = records.device.unwrap_or(self.config.device);
        let durable = self.durable_records().map(|_| ClockVector::new());
        let sum = records.version.sum();
        Message::RecordsHave { device, version, durable, stable: ClockVector::new(), sum, reply: false, lazy: false, fresh: false }
    }

    /// Asks whether what was sent has arrived, after growing pauses.
    pub(super) fn verify_records(&mut self, channel: ChannelId, now: Timestamp, out: &mut Vec<Effect>) {
        let base = self.config.verify_delay_ms;
        let Some(peer) = self.model.records.peers.get_mut(&channel) else { return };
        if peer.known.includes(&peer.sent) {
            peer.attempts = 0;
            return;
        }
        let pause = (base << peer.attempts.min(8)).min(MAX_VERIFY_MS).max(peer.offered_again.since(now));
        peer.attempts = peer.attempts.saturating_add(1);
        peer.verifying = true;
        // Told in full: it may have lost what it was told as well.
        peer.told = ClockVector::new();
        self.tell_records(channel, true, out);
        self.model.arm(Timer::Records(RecordTimer::Verify(channel)), pause.max(base), out);
    }

    /// Compares everything with everybody, by sums.
    pub(super) fn compare_records(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        for channel in self.record_peers() {
            let initiated = self.model.channels.get(&channel).is_some_and(|entry| entry.initiated);
            if let Some(peer) = self.model.records.peers.get_mut(&channel)
                && peer.device.is_some()
                && initiated
            {
                peer.verifying = true;
                self.tell_records(channel, true, out);
            }
        }
        self.records_went_stale(now, out);
        self.model.arm(Timer::Records(RecordTimer::Compare), self.config.digest_period_ms, out);
    }

    /// A peer's records are here: it will be told.
    pub(super) fn owe_records(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        let (stores, relay) = (self.model.has_stores(), self.role() == Role::Relay);
        if let Some(peer) = self.model.records.peers.get_mut(&channel) {
            peer.awaits_disk |= stores && relay;
        }
        let after = if relay && !stores { PROMPT_TELL_MS } else { TELL_MS };
        self.model.arm(Timer::Records(RecordTimer::Tell(channel)), after, out);
    }

    /// A peer is to hear something, some time soon.
    pub(super) fn schedule_records_word(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        if self.model.records.peers.get(&channel).is_some_and(|peer| peer.device.is_some()) {
            self.model.arm(Timer::Records(RecordTimer::Tell(channel)), TELL_MS, out);
        }
    }

    /// A write completed: peers whose records were in it are told.
    pub(super) fn tell_records_stored(&mut self, out: &mut Vec<Effect>) {
        for channel in self.record_peers() {
            if self.model.records.peers.get(&channel).is_some_and(|peer| peer.awaits_disk) {
                self.tell_records(channel, false, out);
            }
        }
    }

    /// What a peer sent was here already: one path is enough from now on.
    pub(super) fn ask_for_words_only(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        let Some(peer) = self.model.records.peers.get_mut(&channel) else { return };
        if !std::mem::replace(&mut peer.told_lazy, true) {
            let mut message = self.records_word(ClockVector::new());
            if let Message::RecordsHave { lazy, .. } = &mut message {
                *lazy = true;
            }
            out.push(Effect::Send { channel, message });
        }
    }

    /// A peer that was asked for words only is asked for records: the other path is gone.
    pub(super) fn welcome_pushes(&mut self, channel: ChannelId) {
        if let Some(peer) = self.model.records.peers.get_mut(&channel) {
            peer.told_lazy = false;
        }
    }

    /// A peer asks for records: it wants them from here again.
    pub(super) fn push_again(&mut self, channel: ChannelId) {
        if let Some(peer) = self.model.records.peers.get_mut(&channel) {
            peer.lazy = false;
        }
    }
}
