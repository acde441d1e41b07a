//! How much of a document's history stays in the stores of a repo that need not keep all of it.
//!
//! Decides what may be trimmed, which is what this repo's stores, everybody known to follow the document, and a relay that keeps all have on
//! disk, and what was so for as long as history is to be kept; what a peer is answered that lacks what is not here any more; and from whom the
//! whole history is fetched when something comes that depends on it. Never knows operations; the engine trims, where it can.

use super::{
    ChannelId, ChannelKind, Effect, Event, Synchronizer, Timer, Timestamp,
    fetch::FETCH_TIMEOUT_MS,
    model::{Channel, DocState, Link, Load, Rewrite},
};
use crate::{
    collections::SortedMap,
    protocol::{Device, DocId, Features, Message, RefusalReason, Role, VersionVector, extension::AuthorRange},
};

/// Marks of one document that are remembered.
const MAX_MARKS: usize = 16;
/// Into how many parts a time is divided that marks are kept for.
const PARTS: u64 = 8;
/// How often the pause between two questions for what is settled grows, twice as long each time.
const MAX_ASKS: u32 = 10;
/// Milliseconds until somebody is looked for again who has the whole history.
const RENEW_AGAIN_MS: u64 = 30_000;

/// How much of the documents' history stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Milliseconds for which it stays after everybody has it; `None` for ever. Without a relay that keeps all of it, it stays for ever too.
    pub keep_ms: Option<u64>,
    /// Milliseconds after which somebody who was not seen holds nothing back any more; for a relay that keeps all.
    pub lapse_ms: u64,
    /// Milliseconds between two looks at what may go.
    pub look_ms: u64,
}

impl Default for HistoryLimits {
    /// All of it, ninety days, a minute.
    fn default() -> Self {
        Self { keep_ms: None, lapse_ms: 90 * 24 * 60 * 60 * 1000, look_ms: 60_000 }
    }
}

/// A version of a document, and a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// What.
    pub version: VersionVector,
    /// Somebody that left had it, and what comes after is held back until then and a while longer; otherwise it was settled then.
    pub left: bool,
    /// The device of whoever left, if it is known and nobody else's: it takes the mark back when it says what is on its disk.
    pub device: Option<Device>,
}

impl Synchronizer {
    /// Returns what was trimmed from the history in memory.
    pub(super) fn begins(&self, doc: &DocId) -> VersionVector {
        self.model.docs.get(doc).map(|entry| entry.begins.clone()).unwrap_or_default()
    }

    /// Returns whether who has `version` lacks something that was trimmed here, and has too much for a snapshot to be of use.
    pub(super) fn lacks_for(&self, doc: &DocId, version: &VersionVector) -> bool {
        !version.is_empty() && self.model.docs.get(doc).is_some_and(|entry| !version.includes(&entry.begins))
    }

    /// Whether others may rely on this repo for what they trim.
    fn is_archive(&self) -> bool {
        self.role() == Role::Relay && self.config.history.keep_ms.is_none() && self.model.has_stores()
    }

    /// Returns the relays this repo relies on: those it dialled itself, so that nobody becomes one by saying so.
    fn archives(&self) -> Vec<ChannelId> {
        let relies = |channel: &ChannelId| {
            self.model.channels.get(channel).is_some_and(|entry| {
                entry.kind == ChannelKind::Network
                    && entry.role == Role::Relay
                    && entry.initiated
                    && entry.features.includes(Features::HISTORY)
            })
        };
        self.model.pipes().into_iter().filter(relies).collect()
    }

    /// Returns what this repo's stores and everybody known here to follow the document have on disk.
    fn settled(&self, doc: &DocId, now: Timestamp) -> VersionVector {
        let mut settled = self.stored_version(doc).unwrap_or_default();
        for (_, link) in self.model.links(doc) {
            if link.is_followed() && !link.absent {
                settled = settled.common(&kept(link));
            }
        }
        let lapse = self.config.history.lapse_ms;
        if let Some(known) = self.model.catalogue.get(doc) {
            // A clock that was set back makes none last for ever.
            let holds = |mark: &&Mark| mark.left && now.since(mark.at) <= lapse && mark.at.since(now) <= lapse && !self.is_back(doc, mark);
            for mark in known.marks.iter().filter(holds) {
                settled = settled.common(&mark.version);
            }
        }
        settled
    }

    /// Returns whether the device that left a mark is there again and has said what it has on disk: that holds back what comes after now.
    fn is_back(&self, doc: &DocId, mark: &Mark) -> bool {
        mark.device.is_some()
            && self.model.links(doc).any(|(channel, link)| {
                link.is_followed() && !link.absent && !link.durable.is_empty() && self.device_of(channel) == mark.device
            })
    }

    /// A peer left: what it had of documents holds back what comes after, until it has not been seen for long enough.
    pub(super) fn remember_followers(&mut self, gone: &Channel, device: Option<Device>, links: &SortedMap<DocId, Link>, now: Timestamp) {
        let trims = self.config.history.keep_ms.is_some();
        // One that was dialled is waited for.
        let relay = gone.initiated && gone.role == Role::Relay && gone.features.includes(Features::HISTORY);
        if gone.kind != ChannelKind::Network || !(self.is_archive() || trims && !relay) {
            return;
        }
        let part = (self.config.history.lapse_ms / PARTS).max(1);
        let at = Timestamp((now.0 / part + 1).saturating_mul(part));
        for (doc, link) in links.iter().filter(|(_, link)| link.is_followed() && !link.absent) {
            let version = kept(link);
            let Some(known) = self.model.catalogue.get_mut(doc).filter(|_| !version.is_empty()) else { continue };
            let before = known.marks.clone();
            // What a device has on disk is what its next session has: that takes the place of what earlier ones left with.
            let replaced = |mark: &Mark| device.is_some() && mark.device == device && !link.durable.is_empty();
            known.marks.retain(|mark| !mark.left || now.since(mark.at) <= self.config.history.lapse_ms && !replaced(mark));
            match known.marks.iter_mut().find(|mark| mark.left && mark.at == at && mark.device == device) {
                Some(mark) => mark.version = mark.version.common(&version),
                None => known.marks.push(Mark { at, version, left: true, device }),
            }
            if known.marks.iter().filter(|mark| mark.left).count() > MAX_MARKS {
                let oldest = known.marks.iter().position(|mark| mark.left).map(|at| known.marks.remove(at));
                if let (Some(oldest), Some(next)) = (oldest, known.marks.iter_mut().find(|mark| mark.left)) {
                    next.version = next.version.common(&oldest.version);
                    if next.device != oldest.device {
                        next.device = None;
                    }
                }
            }
            if known.marks != before && !known.version.is_empty() {
                self.model.unmarked.insert(doc.clone());
            }
        }
    }

    pub(super) fn schedule_trims(&mut self, out: &mut Vec<Effect>) {
        if self.config.history.keep_ms.is_some() && self.model.has_stores() && self.model.docs.keys().next().is_some() {
            self.model.arm(Timer::Trim, self.config.history.look_ms, out);
        }
    }

    /// Asks what is settled where something is here that is not known to be, and looks what may go.
    pub(super) fn trim_due(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        let archives = self.archives();
        self.model.most_archives = self.model.most_archives.max(archives.len());
        if archives.is_empty() {
            return;
        }
        let docs: Vec<DocId> = self.model.docs.keys().cloned().collect();
        for doc in docs {
            for channel in &archives {
                self.ask_settled(*channel, &doc, now, out);
            }
            self.trim(&doc, now, out);
        }
    }

    fn ask_settled(&mut self, channel: ChannelId, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        let followed = |link: &Link| link.is_followed() && link.is_agreed();
        let Some(link) = self.model.peek(channel, doc).filter(|link| followed(link)) else { return };
        let Some(version) = self.model.held(doc).map(|(_, version)| version.clone()).filter(|version| !version.is_empty()) else { return };
        let (next, asks) = link.settled_asks;
        let longest = self.config.history.look_ms << MAX_ASKS;
        // A clock that was set back makes nobody wait longer.
        let early = now < next && next.since(now) <= longest;
        if early || link.settled.includes(&version) || !self.model.is_ready(doc) || !self.sees(channel, doc) {
            return;
        }
        if let Some(link) = self.model.link(channel, doc) {
            let pause = self.config.history.look_ms << asks.min(MAX_ASKS);
            link.settled_asks = (now.plus(pause), asks.saturating_add(1));
        }
        self.tell_settled(channel, doc, VersionVector::new(), out);
    }

    fn tell_settled(&mut self, channel: ChannelId, doc: &DocId, settled: VersionVector, out: &mut Vec<Effect>) {
        let Some((lineage, version)) = self.model.held(doc).map(|(lineage, version)| (lineage, version.clone())) else { return };
        let durable = self.stored_version(doc);
        let message = Message::Ack { doc: doc.clone(), lineage, version, durable, settled: Some(settled) };
        out.push(Effect::Send { channel, message });
    }

    /// A peer asks what is settled, or says so.
    pub(super) fn settled_told(
        &mut self,
        channel: ChannelId,
        doc: &DocId,
        lineage: u64,
        settled: VersionVector,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let speaks = self.model.channels.get(&channel).is_some_and(|entry| entry.features.includes(Features::HISTORY));
        if !speaks || !self.sees(channel, doc) || self.model.lineage(doc) != Some(lineage) {
            return;
        }
        if !settled.is_empty() {
            let settled = settled.common(&self.model.here(doc));
            if let Some(link) = self.model.link(channel, doc).filter(|link| link.settled != settled) {
                link.settled = settled;
                link.settled_asks.1 = 0;
            }
            return self.trim(doc, now, out);
        }
        if !self.is_archive() || self.model.peek(channel, doc).is_none_or(|link| !link.is_followed()) {
            return;
        }
        if !self.model.link(channel, doc).is_some_and(|link| link.may_ask(now)) {
            return;
        }
        let mut settled = self.settled(doc, now);
        // Those behind another relay are known to that.
        let relay = |channel: &ChannelId| self.model.channels.get(channel).is_some_and(|entry| entry.role == Role::Relay);
        if !relay(&channel) {
            let speaks =
                |channel: &ChannelId| self.model.channels.get(channel).is_some_and(|entry| entry.features.includes(Features::HISTORY));
            let relays: Vec<_> = self.model.linked_peers(doc).into_iter().filter(|other| relay(other) && speaks(other)).collect();
            for other in relays {
                self.ask_settled(other, doc, now, out);
                let told = self.model.peek(other, doc).map(|link| link.settled.clone()).unwrap_or_default();
                settled = settled.common(&told);
            }
        }
        if !settled.is_empty() {
            self.tell_settled(channel, doc, settled, out);
        }
    }

    /// Notes what is settled now, and has stores replaced what was for as long as history is kept.
    fn trim(&mut self, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(keep) = self.config.history.keep_ms else { return };
        if !self.model.is_ready(doc) || self.model.docs.get(doc).is_some_and(|entry| entry.renewal.is_some()) {
            return;
        }
        let mut settled = self.settled(doc, now);
        let archives = self.archives();
        for channel in &archives {
            settled = settled.common(&self.model.peek(*channel, doc).map(|link| link.settled.clone()).unwrap_or_default());
        }
        self.model.most_archives = self.model.most_archives.max(archives.len());
        if archives.len() < self.model.most_archives.max(1) || settled.is_empty() {
            return;
        }
        let Some(known) = self.model.catalogue.get_mut(doc) else { return };
        let (left, mut marks): (Vec<_>, Vec<_>) = std::mem::take(&mut known.marks).into_iter().partition(|mark| mark.left);
        for mark in &mut marks {
            mark.at = mark.at.min(now);
        }
        let last = marks.last();
        let due = last.is_none_or(|last| now.since(last.at) >= keep / PARTS && last.version != settled);
        let mut changed = due && marks.len() < MAX_MARKS;
        if changed {
            marks.push(Mark { at: now, version: settled.clone(), left: false, device: None });
        }
        let ripe = marks.iter().rposition(|mark| now.since(mark.at) >= keep);
        let mut version = VersionVector::new();
        if let Some(ripe) = ripe {
            // The last one stays, so that it is not noted again.
            version = settled.common(&marks[ripe].version);
            changed |= ripe > 0;
            marks.drain(..ripe);
        }
        marks.extend(left);
        known.marks = marks;
        if changed && !known.version.is_empty() {
            self.model.unmarked.insert(doc.clone());
        }
        let Some(entry) = self.model.docs.get(doc) else { return };
        if version.is_empty() || entry.trimmed.includes(&version) || entry.begins.includes(&version) {
            return;
        }
        // Records of another tab are read before they are replaced.
        let stores: Vec<_> = self.model.stores().into_iter().filter(|store| self.may_keep(*store, doc)).collect();
        let ready = |store: &ChannelId| {
            self.model
                .holding(*store, doc)
                .is_some_and(|holding| holding.load == Load::Done { whole: true } && holding.rewrite == Rewrite::None)
        };
        if !stores.iter().all(ready) {
            return;
        }
        let foreign: Vec<_> =
            stores.iter().filter(|store| self.model.holding(**store, doc).is_some_and(|holding| holding.size.foreign > 0)).collect();
        if !foreign.is_empty() {
            for store in foreign {
                out.push(Effect::LoadDoc { channel: *store, doc: doc.clone() });
            }
            return;
        }
        for store in stores {
            if let Some(holding) = self.model.holding_mut(store, doc) {
                holding.rewrite = Rewrite::Wanted(version.clone());
            }
        }
        if let Some(entry) = self.model.docs.get_mut(doc) {
            entry.trimmed = version;
        }
        self.schedule_stores(doc, now, out);
    }

    /// Refuses what was trimmed here; returns whether it did. Somebody without anything may take a snapshot instead, if nobody has more.
    pub(super) fn refuse_trimmed(&mut self, channel: ChannelId, doc: &DocId, wanted: &[AuthorRange], out: &mut Vec<Effect>) -> bool {
        let begins = self.begins(doc);
        let trimmed = wanted.iter().any(|range| range.start < begins.get(range.author));
        let Some(link) = self.model.link(channel, doc).filter(|_| trimmed) else { return false };
        let empty = link.known.as_ref().is_none_or(VersionVector::is_empty);
        let told = std::mem::replace(&mut link.told_trimmed, true);
        if told && empty {
            return false;
        }
        link.subscribed = true;
        out.push(Effect::Send { channel, message: Message::Refusal { doc: doc.clone(), reason: RefusalReason::Trimmed, retry_ms: None } });
        if told && !self.sources(doc, false).is_empty() {
            // Nobody else gave it since it was told: it may reach whoever keeps all through here only.
            self.want_whole(doc, out);
        }
        true
    }

    /// A peer has only the end of the history.
    pub(super) fn trimmed_there(&mut self, channel: ChannelId, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(peer) = self.model.context(channel) else { return };
        if !self.sees(channel, doc) || self.model.peek(channel, doc).is_none() {
            return;
        }
        let Some(entry) = self.model.docs.get_mut(doc) else { return };
        let asked = entry.fetches.values().any(|fetch| fetch.channel == channel && !fetch.arrived);
        entry.fetches.retain(|_, fetch| fetch.channel != channel || fetch.arrived);
        let (empty, renewing) = (entry.version.is_empty(), entry.renewal == Some(Some(channel)));
        let Some(link) = self.model.link(channel, doc) else { return };
        link.waiting = false;
        let news = !std::mem::replace(&mut link.trimmed, true);
        if !empty || !news {
            // It cannot give what is missing: others may, or it is not missing any more when it is looked at again.
            link.fail(now);
        }
        if !empty && news {
            let reason = RefusalReason::Trimmed;
            out.push(Effect::Emit(Event::Refused { doc: doc.clone(), peer: peer.peer_id.clone(), reason, retry_ms: None }));
        }
        if renewing {
            self.renew(doc, out);
        }
        if asked && peer.kind == ChannelKind::Tabs {
            // What it has comes from the disk both share.
            self.read_again(doc, out);
        }
        self.plan(doc, true, now, out);
    }

    /// Reads what stores have of a document that is in memory.
    fn read_again(&mut self, doc: &DocId, out: &mut Vec<Effect>) {
        for store in self.model.stores() {
            if self.may_keep(store, doc) && self.model.holding(store, doc).is_some_and(|holding| matches!(holding.load, Load::Done { .. }))
            {
                out.push(Effect::LoadDoc { channel: store, doc: doc.clone() });
            }
        }
    }

    /// The runtime looked where the history in memory begins.
    pub(super) fn history_begins(&mut self, doc: &DocId, version: VersionVector, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(entry) = self.model.docs.get_mut(doc) else { return };
        entry.begins = version;
        if !entry.begins.is_empty() || entry.renewal.take().is_none() {
            return;
        }
        entry.trimmed = VersionVector::new();
        // Everything is here again: what was refused is taken now, and stores must have what it depends on.
        self.model.armed.remove(&Timer::Renew(doc.clone()));
        for store in self.model.stores() {
            if let Some(holding) = self.model.holding_mut(store, doc).filter(|holding| matches!(holding.load, Load::Done { .. })) {
                holding.rewrite = Rewrite::Wanted(VersionVector::new());
                out.push(Effect::LoadDoc { channel: store, doc: doc.clone() });
            }
        }
        for channel in self.model.linked_peers(doc) {
            if let Some(link) = self.model.link(channel, doc) {
                (link.failed_until, link.failures) = (None, 0);
            }
            if self.model.hasten(channel, doc) {
                self.model.arm(Timer::Verify(channel, doc.clone()), self.config.verify_delay_ms, out);
            }
        }
        self.schedule_stores(doc, now, out);
    }

    /// Something came that depends on what was trimmed.
    pub(super) fn history_missed(
        &mut self,
        doc: &DocId,
        channel: ChannelId,
        version: VersionVector,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        self.take_version(doc, version);
        let Some(entry) = self.model.docs.get_mut(doc) else { return };
        entry.fetches.retain(|_, fetch| fetch.channel != channel);
        if let Some(link) = self.model.link(channel, doc) {
            link.fail(now);
        }
        self.propagate(doc, now, out);
        self.schedule_stores(doc, now, out);
        self.want_whole(doc, out);
    }

    /// Begins to ask for the whole history.
    fn want_whole(&mut self, doc: &DocId, out: &mut Vec<Effect>) {
        let Some(entry) = self.model.docs.get_mut(doc) else { return };
        if entry.renewal.is_none() {
            entry.renewal = Some(None);
            self.renew(doc, out);
        }
    }

    /// Returns those who may have the whole history; of those who said that they trimmed it, none unless `trimmed`.
    fn sources(&self, doc: &DocId, trimmed: bool) -> Vec<ChannelId> {
        let Some(entry) = self.model.docs.get(doc) else { return Vec::new() };
        self.model
            .links(doc)
            .filter(|(channel, link)| {
                let has = link.known.as_ref().is_some_and(|known| known.includes(&entry.begins));
                has && (trimmed || !link.trimmed) && !link.absent && self.sees(*channel, doc)
            })
            .map(|(channel, _)| channel)
            .collect()
    }

    /// Returns whether a peer was asked for the whole history.
    pub(super) fn is_renewed_by(&self, channel: ChannelId, doc: &DocId) -> bool {
        self.model.docs.get(doc).is_some_and(|entry| entry.renewal == Some(Some(channel)))
    }

    /// Nobody has given the whole history for a while.
    pub(super) fn renew_due(&mut self, doc: &DocId, out: &mut Vec<Effect>) {
        let sources = self.sources(doc, false);
        // Who said that it trimmed its own may have fetched it anew since.
        self.renew_from(doc, if sources.is_empty() { self.sources(doc, true) } else { sources }, out);
    }

    /// Asks the next of those who may have it for the whole history.
    fn renew(&mut self, doc: &DocId, out: &mut Vec<Effect>) {
        self.renew_from(doc, self.sources(doc, false), out);
    }

    fn renew_from(&mut self, doc: &DocId, sources: Vec<ChannelId>, out: &mut Vec<Effect>) {
        let Some(entry) = self.model.docs.get(doc) else { return };
        let Some(last) = entry.renewal else { return };
        let next = sources.iter().find(|channel| Some(**channel) > last).or(sources.first()).copied();
        let ready = matches!(entry.state, DocState::Ready);
        let Some(channel) = next.filter(|_| ready) else {
            return self.model.arm(Timer::Renew(doc.clone()), if ready { RENEW_AGAIN_MS } else { FETCH_TIMEOUT_MS }, out);
        };
        let lineage = entry.lineage;
        if let Some(entry) = self.model.docs.get_mut(doc) {
            entry.renewal = Some(Some(channel));
        }
        let extended = self.model.is_extended(channel);
        let Some(link) = self.model.link(channel, doc) else { return };
        let known = link.known.clone().unwrap_or_default();
        let message = if extended {
            let ranges = known.iter().map(|(author, end)| AuthorRange { author, start: 0, end }).collect();
            Message::Want { doc: doc.clone(), lineage, ranges }
        } else {
            (link.asked, link.waiting) = (true, true);
            Message::SyncRequest { doc: doc.clone(), version: VersionVector::new(), ephemeral: None, bidirectional: false }
        };
        out.push(Effect::Send { channel, message });
        self.model.armed.remove(&Timer::Renew(doc.clone()));
        let after = if sources.len() > 1 { FETCH_TIMEOUT_MS } else { RENEW_AGAIN_MS };
        self.model.arm(Timer::Renew(doc.clone()), after, out);
    }
}

/// Returns what a follower has on disk, as far as it said: what it has at all where it has no disk or does not speak of it.
fn kept(link: &Link) -> VersionVector {
    if link.durable.is_empty() { link.known.clone().unwrap_or_default() } else { link.durable.clone() }
}
