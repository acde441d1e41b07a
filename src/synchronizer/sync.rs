//! Moving documents: requests, answers, pushes, and finding out whether they arrived.
//!
//! Decides by comparing version vectors. A peer has a version when it said so on the present connection; what was
//! sent is only the base of the next push.

use super::{
    ChannelId, ChannelKind, Creator, Effect, EphemeralSelection, Event, Interest, Purpose, Synchronizer, Timer, Timestamp,
    heads::HEADS_DELAY_MS,
    model::{DocState, Request, RequestKind},
};
use crate::{
    collections::SortedSet,
    protocol::{DocId, Message, RefusalReason, Transmission, VersionVector},
};

/// While edits keep coming, a peer is asked for confirmation at most this many quiet periods late.
const VERIFY_PATIENCE: u64 = 5;

impl Synchronizer {
    /// Asks a peer for what is missing here, unless an answer is already on its way.
    pub(super) fn ask(&mut self, channel: ChannelId, doc: &DocId, bidirectional: bool, out: &mut Vec<Effect>) {
        if !self.sees(channel, doc) {
            return;
        }
        let extended = self.model.is_extended(channel);
        let version = self.model.here(doc);
        let Some(link) = self.model.link(channel, doc) else { return };
        if link.waiting {
            return;
        }
        link.asked = true;
        link.waiting = true;
        link.attempts = link.attempts.saturating_add(1);
        // Who never answers is asked about everything it spoke of.
        let after = (self.config.verify_delay_ms << link.attempts.min(8)) + self.model.burden(channel);
        if extended {
            self.tell_heads(channel, doc, true, out);
        } else {
            let message = Message::SyncRequest { doc: doc.clone(), version, ephemeral: None, bidirectional };
            out.push(Effect::Send { channel, message });
        }
        self.model.arm(Timer::Verify(channel, doc.clone()), after, out);
    }

    pub(super) fn sync_requested(
        &mut self,
        channel: ChannelId,
        doc: DocId,
        version: VersionVector,
        bidirectional: bool,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(peer) = self.model.context(channel) else { return };
        let crowded = !self.model.catalogue.contains_key(&doc) && self.model.is_crowded(channel);
        let absurd = self.model.is_absurd_claim(channel, &doc, &version);
        if !crowded && !self.permissions.visibility(&doc, &peer) {
            self.not_created(&doc, channel);
        }
        if crowded || absurd || !self.permissions.visibility(&doc, &peer) || self.model.forgotten.contains(&doc) {
            return self.refuse(channel, doc, out);
        }
        if self.is_deleted(&doc) {
            self.refuse(channel, doc.clone(), out);
            return self.tell_tombstone(channel, &doc, out);
        }
        let request = Request { channel, version, bidirectional, kind: RequestKind::Sync };
        match self.model.docs.get_mut(&doc).map(|entry| &mut entry.state) {
            Some(DocState::Ready) => self.answer(request, &doc, now, out),
            Some(loading) => {
                loading.queue(request);
            }
            // Tabs share their storage, so reading it for one another gains nothing; the tab is pushed to if the
            // document is opened here later.
            None if peer.kind == ChannelKind::Tabs && self.config.interest == Interest::Opened => {
                if self.model.catalogue.contains_key(&doc) || self.permissions.creation(&doc, &peer) {
                    self.model.introduce(channel, &doc);
                    self.note(&doc, 0, out);
                    self.follow(channel, &doc, &request.version);
                }
                self.refuse(channel, doc, out);
            }
            None => {
                let lineage = self.model.lineage(&doc).unwrap_or(0);
                self.begin(&doc, lineage, false, SortedSet::new(), vec![request], now, out);
            }
        }
    }

    /// Ends loading: answers who waited, asks who has it.
    pub(super) fn finish_loading(&mut self, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        self.model.armed.remove(&Timer::LoadTimeout(doc.clone()));
        self.model.loading.remove(doc);
        // A store that could not be read may have what the catalogue tells of.
        let blank = self.model.is_blank(doc);
        let Some(entry) = self.model.docs.get_mut(doc) else { return };
        let DocState::Loading { requests, reserved, ask, found, held_back, .. } = std::mem::replace(&mut entry.state, DocState::Ready)
        else {
            return;
        };
        let held_back = held_back.unwrap_or_default();
        let opened = entry.opened;
        self.model.touch_all(doc);
        self.model.confirm_again(doc);
        self.model.cancel(reserved);
        let exists = opened || found || !blank || !ask.is_empty() || !held_back.is_empty();
        let mut answered = false;
        for request in requests {
            // It may have been hidden meanwhile.
            let Some(peer) = self.model.context(request.channel) else { continue };
            if !self.permissions.visibility(doc, &peer) {
                self.refuse(request.channel, doc.clone(), out);
                continue;
            }
            let welcome = !self.model.is_crowded(request.channel) && self.may_create(doc, &peer);
            if exists || answered || (self.config.interest == Interest::Everything && welcome) {
                if !answered && !exists {
                    self.model.introduce(request.channel, doc);
                    self.made_by(doc, request.channel);
                }
                answered = true;
                self.take_request(request, doc, now, out);
            } else {
                if self.config.interest == Interest::Opened && welcome {
                    self.model.introduce(request.channel, doc);
                    let lineage = self.model.lineage(doc).unwrap_or(0);
                    self.note(doc, lineage, out);
                    self.follow(request.channel, doc, &request.version);
                }
                self.refuse(request.channel, doc.clone(), out);
            }
        }
        if !exists && !answered {
            self.model.take_doc(doc);
            out.push(Effect::DropDoc { doc: doc.clone() });
            return;
        }
        let lineage = self.model.lineage(doc).unwrap_or(0);
        self.note(doc, lineage, out);
        self.trust_stores(doc);
        if !found
            && !opened
            && !answered
            && blank
            && let Some(first) = ask.first()
        {
            self.made_by(doc, *first);
        }
        if opened {
            self.ask_everyone(doc, out);
        }
        for channel in ask {
            self.ask(channel, doc, true, out);
        }
        self.propagate(doc, now, out);
        self.schedule_stores(doc, now, out);
        self.release(held_back, now, out);
    }

    /// A request that waited for the document to be read.
    fn take_request(&mut self, request: Request, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        let lineage = self.model.lineage(doc).unwrap_or(0);
        match request.kind {
            RequestKind::Sync => self.answer(request, doc, now, out),
            RequestKind::Heads => self.compare_heads(request, doc, now, out),
            RequestKind::Want(ranges) => self.wanted(request.channel, doc.clone(), lineage, ranges, now, out),
            RequestKind::Give { ranges, data } => {
                self.given(request.channel, doc.clone(), lineage, ranges, data, request.version, now, out);
            }
        }
    }

    /// A relay got to know a document from a peer: that is who made it, as far as can be known.
    fn made_by(&mut self, doc: &DocId, channel: ChannelId) {
        let Some(peer) = self.model.context(channel) else { return };
        if self.config.interest == Interest::Everything
            && let Some(entry) = self.model.docs.get_mut(doc)
        {
            entry.creator.get_or_insert(Creator { peer_id: peer.peer_id.clone(), name: peer.name.clone() });
        }
    }

    fn answer(&mut self, request: Request, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        let Request { channel, version, bidirectional, .. } = request;
        self.used(doc, now);
        let ours = self.model.version(doc);
        let trimmed = self.lacks_for(doc, &version);
        let Some(link) = self.model.link(channel, doc) else { return };
        if !link.may_ask(now) {
            return;
        }
        link.subscribed = true;
        // What it forgot it may have again.
        let returns = std::mem::replace(&mut link.absent, false);
        link.known = Some(version.clone());
        link.sent = version.clone();
        link.sent.merge(&ours);
        let ask_back = bidirectional && (!link.asked || returns || !ours.includes(&version));
        let unconfirmed = !version.includes(&ours);
        if unconfirmed {
            link.unconfirmed_since.get_or_insert(now);
            link.last_push = now;
        }
        self.model.confirm(channel, doc, &version);
        out.push(if trimmed {
            // What it lacks is not here any more, and a snapshot is of use only to an empty document.
            let transmission = Transmission::Unavailable;
            Effect::Send { channel, message: Message::SyncResponse { doc: doc.clone(), transmission, ephemeral: None } }
        } else if version.is_empty() {
            Effect::SendSnapshot { channel, doc: doc.clone(), purpose: Purpose::Answer }
        } else if unconfirmed {
            Effect::SendUpdate { channel, doc: doc.clone(), since: version, purpose: Purpose::Answer }
        } else {
            let transmission = Transmission::UpToDate { version: ours };
            Effect::Send { channel, message: Message::SyncResponse { doc: doc.clone(), transmission, ephemeral: None } }
        });
        out.push(Effect::SendEphemeral { channel, doc: doc.clone(), selection: EphemeralSelection::All, hops: 0 });
        if ask_back {
            self.ask(channel, doc, false, out);
        }
        if unconfirmed {
            self.model.arm(Timer::Verify(channel, doc.clone()), self.config.verify_delay_ms, out);
        }
    }

    /// A peer gave something for a document.
    pub(super) fn transmitted(
        &mut self,
        channel: ChannelId,
        doc: &DocId,
        transmission: Transmission,
        purpose: Purpose,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(peer) = self.model.context(channel) else { return };
        if !self.permissions.visibility(doc, &peer) {
            return;
        }
        if self.is_deleted(doc) && !matches!(transmission, Transmission::Unavailable | Transmission::Unknown) {
            return self.tell_tombstone(channel, doc, out);
        }
        if !self.model.docs.contains_key(doc) {
            let has_it = !matches!(transmission, Transmission::Unavailable | Transmission::Unknown);
            if has_it {
                self.discovered(channel, doc.clone(), now, out);
            }
            return;
        }
        let ours = self.model.version(doc);
        let said = match &transmission {
            Transmission::UpToDate { version } | Transmission::Snapshot { version, .. } | Transmission::Update { version, .. } => {
                Some(version)
            }
            Transmission::Unavailable | Transmission::Unknown => None,
        };
        if said.is_some_and(|said| self.model.is_absurd_claim(channel, doc, said)) {
            return;
        }
        let Some(link) = self.model.link(channel, doc) else { return };
        if purpose == Purpose::Answer {
            link.waiting = false;
            // An answer that brings nothing new does not end the back-off: it would be asked for every second for ever.
            if said.is_some_and(|said| link.known.as_ref() != Some(said) || (ours.includes(said) && said.includes(&ours))) {
                self.model.hasten(channel, doc);
            }
        }
        let Some(link) = self.model.link(channel, doc) else { return };
        link.absent = transmission == Transmission::Unavailable;
        if let Some(entry) = self.model.docs.get_mut(doc)
            && let DocState::Loading { ask, .. } = &mut entry.state
        {
            ask.insert(channel);
            return;
        }
        let (announced, data) = match transmission {
            Transmission::UpToDate { version } => (version, None),
            Transmission::Snapshot { data, version } | Transmission::Update { data, version } => (version, Some(data)),
            Transmission::Unavailable => (VersionVector::new(), None),
            Transmission::Unknown => return,
        };
        let missing = !ours.includes(&announced);
        self.model.confirm(channel, doc, &announced);
        let renewing = self.is_renewed_by(channel, doc);
        let Some(link) = self.model.link(channel, doc) else { return };
        link.known = Some(announced.clone());
        if link.confirms(&ours) {
            link.unconfirmed_since = None;
        }
        let settled = link.confirms(&ours) || !link.subscribed;
        if !settled || missing {
            self.model.arm(Timer::Verify(channel, doc.clone()), self.config.verify_delay_ms, out);
        }
        let Some(data) = data.filter(|_| missing || renewing) else { return };
        if renewing {
            out.push(Effect::RenewDoc { doc: doc.clone(), channel, data, announced });
        } else if self.permissions.mutability(doc, &peer) {
            out.push(Effect::ImportDoc { doc: doc.clone(), channel, data, announced });
        } else {
            // It is not asked for again: the protocol has no way to say why it was not taken.
            if let Some(link) = self.model.link(channel, doc) {
                link.denied = true;
            }
            out.push(Effect::Emit(Event::ChangeRefused { doc: doc.clone(), peer: peer.peer_id.clone() }));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one input")]
    pub(super) fn doc_imported(
        &mut self,
        doc: &DocId,
        channel: ChannelId,
        version: VersionVector,
        announced: &VersionVector,
        pending: &VersionVector,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let complete = version.includes(announced);
        self.used(doc, now);
        self.settle_given(channel, doc, &version, pending, now);
        let before = self.model.version(doc);
        self.take_version(doc, version);
        self.model.confirm_again(doc);
        self.model.keep_given(channel, doc, &before);
        self.propagate(doc, now, out);
        self.schedule_stores(doc, now, out);
        if self.model.is_extended(channel) {
            self.owe(channel, doc, out);
            self.note_pending(channel, doc, pending, now, out);
            return self.plan(doc, true, now, out);
        }
        // Operations it depends on are missing: the peer is asked for all of it.
        if !complete {
            self.ask(channel, doc, true, out);
        }
    }

    pub(super) fn import_failed(&mut self, doc: &DocId, channel: ChannelId, now: Timestamp, out: &mut Vec<Effect>) {
        if self.model.is_extended(channel) {
            let message = Message::Refusal { doc: doc.clone(), reason: RefusalReason::Invalid, retry_ms: None };
            out.push(Effect::Send { channel, message });
            if let Some(entry) = self.model.docs.get_mut(doc) {
                entry.fetches.retain(|_, fetch| fetch.channel != channel);
            }
            if let Some(link) = self.model.link(channel, doc) {
                link.fail(now);
                // It does not have what it said, or cannot say it: the others count.
                link.known = None;
            }
            return self.plan(doc, true, now, out);
        }
        // Asking again at once would bring the same bytes: only the back-off of the next question remains.
        if let Some(link) = self.model.link(channel, doc) {
            link.attempts = link.attempts.max(5);
        }
    }

    pub(super) fn doc_changed(&mut self, doc: &DocId, version: VersionVector, now: Timestamp, out: &mut Vec<Effect>) {
        self.used(doc, now);
        self.model.doubt_claims(doc, &version);
        self.take_version(doc, version);
        if self.model.is_ready(doc) {
            self.propagate(doc, now, out);
            self.schedule_stores(doc, now, out);
        }
    }

    pub(super) fn take_version(&mut self, doc: &DocId, version: VersionVector) {
        if let Some(entry) = self.model.docs.get_mut(doc) {
            entry.version = version;
            self.model.touch_all(doc);
        }
    }

    /// Pushes what subscribers do not have and were not sent; tells the others once that the document exists.
    pub(super) fn propagate(&mut self, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        let ours = self.model.version(doc);
        if ours.is_empty() {
            return;
        }
        let begins = self.begins(doc);
        for channel in self.model.linked_peers(doc) {
            if !self.sees(channel, doc) {
                continue;
            }
            let extended = self.model.is_extended(channel);
            if self.model.peek(channel, doc).is_some_and(|link| link.absent) && self.insists(channel, doc) {
                // It had nothing when there was nothing to offer.
                if !self.model.armed.contains(&Timer::Offer(channel, doc.clone())) {
                    self.ask(channel, doc, true, out);
                }
                continue;
            }
            let Some(link) = self.model.link(channel, doc).filter(|link| link.subscribed && link.refused.is_none()) else { continue };
            let base = link.base();
            if base.includes(&ours) {
                continue;
            }
            // Who lacks what is not here any more has others, perhaps, that keep all.
            let trimmed = !base.includes(&begins);
            if trimmed && !extended && !base.is_empty() {
                continue;
            }
            // Who has said nothing of it yet may have nearly all: it is told what is here, and asks.
            if link.lazy || (extended && (trimmed || link.known.is_none())) {
                link.unconfirmed_since.get_or_insert(now);
                link.last_push = now;
                if let Some(entry) = self.model.channels.get_mut(&channel) {
                    entry.heads_due.insert(doc.clone());
                }
                self.model.arm(Timer::Heads(channel), HEADS_DELAY_MS, out);
                self.model.arm(Timer::Verify(channel, doc.clone()), self.config.verify_delay_ms, out);
                continue;
            }
            link.sent.merge(&ours);
            link.unconfirmed_since.get_or_insert(now);
            link.last_push = now;
            let doc = doc.clone();
            // Something new to say ends the back-off.
            self.model.hasten(channel, &doc);
            self.model.arm(Timer::Verify(channel, doc.clone()), self.config.verify_delay_ms, out);
            let lineage = self.model.lineage(&doc).unwrap_or(0);
            out.push(if extended {
                Effect::GiveUpdate { channel, doc, lineage, since: base }
            } else if base.is_empty() {
                Effect::SendSnapshot { channel, doc, purpose: Purpose::Push }
            } else {
                Effect::SendUpdate { channel, doc, since: base, purpose: Purpose::Push }
            });
        }
        self.announce(doc, false, out);
    }

    /// Asks whether what was sent has arrived, or once more for what is missing.
    pub(super) fn verify(&mut self, channel: ChannelId, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        if self.model.peek(channel, doc).is_none() {
            return;
        }
        if !self.model.is_ready(doc) {
            return self.verify_away(channel, doc, out);
        }
        let ours = self.model.version(doc);
        let delay = self.config.verify_delay_ms;
        let Some(link) = self.model.link(channel, doc) else { return };
        if link.refused.is_some() {
            return;
        }
        let behind = !link.denied && link.known.as_ref().is_some_and(|known| !ours.includes(known));
        let unconfirmed = link.subscribed && !link.absent && !link.confirms(&ours);
        if !(behind || unconfirmed || link.waiting) {
            link.unconfirmed_since = None;
            link.attempts = 0;
            return;
        }
        // A clock that was set back must not make what was sent long ago count as just sent.
        let lately = |then: Timestamp, ms: u64| then <= now && now.since(then) < ms;
        let typing = lately(link.last_push, delay);
        let patient = link.unconfirmed_since.is_none_or(|since| lately(since, delay * VERIFY_PATIENCE));
        if typing && patient && !behind && !link.waiting {
            return self.model.arm(Timer::Verify(channel, doc.clone()), delay, out);
        }
        link.waiting = false;
        if unconfirmed {
            link.unconfirmed_since = Some(now);
        }
        self.ask(channel, doc, true, out);
    }

    /// Asks again about a document that left memory, if there was no answer. One that is being read is asked about when it has been.
    fn verify_away(&mut self, channel: ChannelId, doc: &DocId, out: &mut Vec<Effect>) {
        if self.model.docs.contains_key(doc) || self.model.held(doc).is_none() {
            return;
        }
        if let Some(link) = self.model.link(channel, doc)
            && std::mem::take(&mut link.waiting)
            && link.refused.is_none()
        {
            self.ask(channel, doc, true, out);
        }
    }

    pub(super) fn sync_wanted(&mut self, doc: &DocId, kind: ChannelKind, out: &mut Vec<Effect>) {
        if kind == ChannelKind::Storage {
            return self.flush_wanted(out);
        }
        if !self.model.is_ready(doc) {
            return;
        }
        let ours = self.model.version(doc);
        for channel in self.model.pipes() {
            let right_kind = self.model.channels.get(&channel).is_some_and(|entry| entry.kind == kind);
            let settled = self.model.peek(channel, doc).is_some_and(|link| link.confirms(&ours));
            if right_kind && !settled {
                self.ask(channel, doc, true, out);
            }
        }
    }
}
