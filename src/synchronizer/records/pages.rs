//! Records that were asked for, page by page, and records that come by themselves.
//!
//! Decides what is asked of whom, and what may be claimed of what came. A reading that a broken connection interrupts goes on where it
//! was when the same repo is there again.

use super::{RecordEffect, RecordTimer, State, peers::GRAFT_MS};
use crate::{
    protocol::{Clock, ClockVector, Message, PeerId, RecordEntry, RecordId, RecordState, RefusalReason},
    synchronizer::{ChannelId, Effect, Event, Synchronizer, Timer, Timestamp},
};

/// Milliseconds a peer may be silent before it is asked again.
const SILENCE_MS: u64 = 5_000;
/// Milliseconds until something refused for its clock, or for want of room, is asked for again, doubled each time.
pub(super) const AHEAD_MS: u64 = 30_000;
/// Pushes that wait for the end of a reading.
const MAX_DEFERRED: usize = 1_000;
/// Interrupted readings that are kept.
const MAX_INTERRUPTED: usize = 8;

/// What may be claimed when records are merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// What must be here before, of a push.
    pub since: ClockVector,
    /// What is here then.
    pub version: ClockVector,
    /// Something was not shown: it may not be claimed towards others.
    pub partial: bool,
    /// For a page of a reading: of whom, and where the next begins.
    pub page: Option<ClaimedPage>,
}

/// Which page of a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedPage {
    /// Whose pages.
    pub peer: PeerId,
    /// Where the next begins.
    pub next: Option<Clock>,
    /// It is the first.
    pub first: bool,
    /// The pages are everything; of what is in this, deletions may be missing.
    pub whole: Option<ClockVector>,
}

/// Pages being read.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    pub(super) since: ClockVector,
    after: Option<Clock>,
    whole: bool,
    /// What the first page said of all.
    version: Option<ClockVector>,
    partial: bool,
    /// What the peer had when it began.
    had: ClockVector,
    /// A page is being merged.
    merging: bool,
    /// It was asked for, or came, since the timer was set.
    active: bool,
}

/// The fields of one message.
pub(super) struct Page {
    pub(super) version: ClockVector,
    pub(super) entries: Vec<RecordEntry>,
    pub(super) after: Option<Clock>,
    pub(super) next: Option<Clock>,
    pub(super) whole: Option<ClockVector>,
    pub(super) partial: bool,
}

impl Synchronizer {
    /// What may be counted on when a peer gives records: what is here, and what it did not give in full before.
    pub(super) fn records_base(&self, channel: ChannelId) -> ClockVector {
        let records = &self.model.records;
        let mut base = records.version.clone();
        if let Some(peer) = records.peers.get(&channel) {
            base.merge(&peer.partial);
        }
        base
    }

    fn lacks_records_of(&self, channel: ChannelId) -> bool {
        let base = self.records_base(channel);
        self.restores_records(channel) || self.model.records.peers.get(&channel).is_some_and(|peer| !base.includes(&peer.known))
    }

    /// Sees to it that what a peer has comes, after a while in which it may come by itself.
    pub(super) fn ask_peer_for_news(&mut self, channel: ChannelId, after_ms: u64, out: &mut Vec<Effect>) {
        if !self.lacks_records_of(channel) {
            return;
        }
        if after_ms == 0 {
            self.read_records(channel, out);
        } else {
            self.model.arm(Timer::Records(RecordTimer::Fetch(channel)), after_ms, out);
        }
    }

    pub(super) fn fetch_records(&mut self, channel: ChannelId, now: Timestamp, out: &mut Vec<Effect>) {
        let lacks = self.lacks_records_of(channel);
        let Some(peer) = self.model.records.peers.get_mut(&channel) else { return };
        let pause = peer.asked_again.since(now);
        if pause > 0 && peer.reading.is_none() {
            return self.model.arm(Timer::Records(RecordTimer::Fetch(channel)), pause, out);
        }
        match &mut peer.reading {
            Some(reading) => {
                if !std::mem::take(&mut reading.active) && !reading.merging {
                    self.ask_for_page(channel, out);
                }
                self.model.arm(Timer::Records(RecordTimer::Fetch(channel)), SILENCE_MS, out);
            }
            None if lacks => self.read_records(channel, out),
            None => {}
        }
    }

    fn read_records(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        if self.model.records.state != State::Ready {
            return;
        }
        let since = if self.restores_records(channel) { ClockVector::new() } else { self.records_base(channel) };
        let id = self.model.context(channel).map(|peer| peer.peer_id.clone());
        let interrupted = id.and_then(|id| self.model.records.interrupted.remove(&id));
        let Some(peer) = self.model.records.peers.get_mut(&channel) else { return };
        if peer.reading.is_none() {
            let had = peer.known.clone();
            peer.reading = Some(interrupted.unwrap_or(Reading { since, had, ..Reading::default() }));
            self.ask_for_page(channel, out);
        }
    }

    fn ask_for_page(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        self.welcome_pushes(channel);
        let Some(reading) = self.model.records.peers.get_mut(&channel).and_then(|peer| peer.reading.as_mut()) else { return };
        reading.active = true;
        let message = Message::RecordsRequest { since: reading.since.clone(), after: reading.after, whole: reading.whole };
        out.push(Effect::Send { channel, message });
        self.model.arm(Timer::Records(RecordTimer::Fetch(channel)), SILENCE_MS, out);
    }

    pub(super) fn records_requested(
        &mut self,
        channel: ChannelId,
        since: ClockVector,
        after: Option<Clock>,
        whole: bool,
        out: &mut Vec<Effect>,
    ) {
        if self.model.records.state != State::Ready {
            return;
        }
        self.push_again(channel);
        let records = &self.model.records;
        // Deletions that it has not heard of may be forgotten here: it gets everything.
        let all = whole || !since.includes(&records.pruned);
        let after = after.filter(|_| all == whole);
        let version = records.version.clone();
        let whole = all.then(|| records.pruned.clone());
        out.push(Effect::Records(RecordEffect::Page { channel, since, after, whole, version }));
    }

    pub(super) fn record_page_received(&mut self, channel: ChannelId, page: Page, out: &mut Vec<Effect>) {
        let Some(id) = self.model.context(channel).map(|peer| peer.peer_id.clone()) else { return };
        let Some(peer) = self.model.records.peers.get_mut(&channel) else { return };
        let Some(reading) = &mut peer.reading else { return };
        let whole = page.whole.is_some();
        if whole && !reading.whole && page.after.is_none() {
            // It begins anew, with everything.
            let (since, had) = (std::mem::take(&mut reading.since), std::mem::take(&mut reading.had));
            *reading = Reading { since, had, whole: true, ..Reading::default() };
        }
        if reading.merging || reading.after != page.after || reading.whole != whole || page.next.is_some() && page.next <= page.after {
            return;
        }
        reading.active = true;
        reading.merging = true;
        reading.partial |= page.partial;
        let first = reading.version.is_none();
        let version = reading.version.get_or_insert(page.version).clone();
        let claimed = ClaimedPage { peer: id, next: page.next, first, whole: page.whole };
        let claim = Claim { since: reading.since.clone(), version, partial: reading.partial, page: Some(claimed) };
        out.push(Effect::Records(RecordEffect::Apply { channel, entries: page.entries, claim }));
    }

    pub(super) fn records_pushed(
        &mut self,
        channel: ChannelId,
        claim: Claim,
        entries: Vec<RecordEntry>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if self.model.records.state != State::Ready {
            return;
        }
        let network = self.is_network(channel);
        let mut base = self.records_base(channel);
        let Some(peer) = self.model.records.peers.get_mut(&channel).filter(|peer| peer.device.is_some()) else { return };
        peer.known.merge(&claim.version);
        base.merge(&peer.merging);
        if base.includes(&claim.since) {
            peer.merging.merge(&claim.version);
            self.know_device(channel, &claim.version, &ClockVector::new(), now);
            if network {
                self.model.records.confirmed.merge(&claim.version);
            }
            return out.push(Effect::Records(RecordEffect::Apply { channel, entries, claim }));
        }
        // What it starts from is being read, or has to be.
        if peer.reading.is_some() && peer.deferred.len() < MAX_DEFERRED {
            peer.deferred.push((claim, entries));
        }
        self.ask_peer_for_news(channel, GRAFT_MS, out);
    }

    pub(super) fn records_applied(
        &mut self,
        channel: ChannelId,
        claim: Claim,
        news: bool,
        refused: Option<(RecordId, RefusalReason)>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(peer) = self.model.records.peers.get_mut(&channel) else { return };
        if let Some((record, reason)) = refused {
            let pause = AHEAD_MS << peer.failures.min(6);
            peer.failures = peer.failures.saturating_add(1);
            peer.asked_again = now.plus(pause);
            if claim.page.is_some() {
                self.stop_reading(channel, out);
            }
            if let Some(peer) = self.model.context(channel) {
                out.push(Effect::Emit(Event::RecordsNotTaken { record: record.clone(), peer: peer.peer_id.clone(), reason }));
                let message = Message::RecordsRefusal { record, reason, state: RecordState::default() };
                out.push(Effect::Send { channel, message });
            }
            return self.model.arm(Timer::Records(RecordTimer::Fetch(channel)), pause, out);
        }
        let Some(page) = &claim.page else {
            peer.merging = ClockVector::new();
            return self.push_applied(channel, claim, news, now, out);
        };
        let Some(reading) = &mut peer.reading else { return };
        reading.merging = false;
        reading.active = true;
        if page.next.is_some() {
            reading.after = page.next;
            return self.ask_for_page(channel, out);
        }
        peer.failures = 0;
        let Reading { had, since, .. } = peer.reading.take().unwrap_or_default();
        let deferred = std::mem::take(&mut peer.deferred);
        // Whoever does not show everything does not say what was deleted either.
        if let Some(pruned) = page.whole.as_ref().filter(|_| !claim.partial) {
            // A deletion that is known only by what is missing cannot be told: whoever lacks it gets everything from here as well.
            self.model.records.pruned.merge(pruned);
            let (peer, version, forgotten) = (page.peer.clone(), claim.version.clone(), pruned.latest());
            out.push(Effect::Records(RecordEffect::Sweep { channel, peer, version, had, forgotten }));
        } else {
            out.push(Effect::Records(RecordEffect::DropPages { peer: page.peer.clone() }));
        }
        if since.is_empty() {
            self.records_restored(channel, &claim, out);
        }
        self.claim(channel, &claim, now, out);
        for (claim, entries) in deferred {
            self.records_pushed(channel, claim, entries, now, out);
        }
        self.ask_peer_for_news(channel, GRAFT_MS, out);
    }

    fn push_applied(&mut self, channel: ChannelId, claim: Claim, news: bool, now: Timestamp, out: &mut Vec<Effect>) {
        if claim.version.is_empty() {
            return;
        }
        let base = self.records_base(channel);
        if base.includes(&claim.version) {
            // It came before on another path.
            if !news {
                self.ask_for_words_only(channel, out);
            }
            return self.owe_records(channel, out);
        }
        if base.includes(&claim.since) {
            return self.claim(channel, &claim, now, out);
        }
        // What came before it was refused.
        self.ask_peer_for_news(channel, GRAFT_MS, out);
    }

    /// Everything that a claim covers is here.
    fn claim(&mut self, channel: ChannelId, claim: &Claim, now: Timestamp, out: &mut Vec<Effect>) {
        self.owe_records(channel, out);
        let records = &mut self.model.records;
        // What was given on top of what is not shown in full is not everything either.
        if claim.partial || !records.version.includes(&claim.since) {
            if let Some(peer) = records.peers.get_mut(&channel) {
                peer.partial.merge(&claim.version);
            }
            // It is not claimed towards others, but here it is, and it is stored.
            return self.records_went_stale(now, out);
        }
        if !records.version.includes(&claim.version) {
            records.version.merge(&claim.version);
            self.records_grew(Some(channel), now, out);
        }
    }

    fn stop_reading(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        let id = self.model.context(channel).map(|peer| peer.peer_id.clone());
        if let Some(peer) = self.model.records.peers.get_mut(&channel) {
            peer.reading = None;
            peer.deferred.clear();
        }
        if let Some(peer) = id {
            out.push(Effect::Records(RecordEffect::DropPages { peer }));
        }
    }

    /// Keeps where a reading was, in case the same repo comes back.
    pub(super) fn interrupt_reading(&mut self, peer: PeerId, mut reading: Reading, out: &mut Vec<Effect>) {
        let records = &mut self.model.records;
        if reading.version.is_none() || reading.merging {
            return out.push(Effect::Records(RecordEffect::DropPages { peer }));
        }
        reading.active = false;
        records.interrupted.insert(peer, reading);
        while records.interrupted.len() > MAX_INTERRUPTED {
            if let Some((peer, _)) = records.interrupted.pop_first() {
                out.push(Effect::Records(RecordEffect::DropPages { peer }));
            }
        }
    }
}
