//! Moving documents: requests, answers, pushes, and finding out whether they arrived.
//!
//! Decides by comparing version vectors. A peer has a version when it said so on the present connection; what was
//! sent is only the base of the next push.

use std::collections::BTreeSet;

use super::{
    ChannelId, ChannelKind, Effect, EphemeralSelection, Event, Interest, Purpose, Synchronizer, Timer, Timestamp,
    model::{DocState, Request},
};
use crate::protocol::{DocId, Message, PeerId, Transmission, VersionVector};

/// While edits keep coming, a peer is asked for confirmation at most this many quiet periods late.
const VERIFY_PATIENCE: u64 = 5;

impl Synchronizer {
    /// Asks a peer for what is missing here, unless an answer is already on its way.
    pub(super) fn ask(&mut self, channel: ChannelId, doc: &DocId, bidirectional: bool, out: &mut Vec<Effect>) {
        if !self.sees(channel, doc) {
            return;
        }
        let version = self.model.version(doc);
        let Some(link) = self.model.link(channel, doc) else { return };
        if link.waiting {
            return;
        }
        link.asked = true;
        link.waiting = true;
        link.attempts = link.attempts.saturating_add(1);
        let after = self.config.verify_delay_ms << link.attempts.min(6);
        out.push(Effect::Send { channel, message: Message::SyncRequest { doc: doc.clone(), version, ephemeral: None, bidirectional } });
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
        let gone = self.model.deleted.contains(&doc) && !self.model.docs.contains_key(&doc);
        if gone || !self.permissions.visibility(&doc, &peer) {
            return refuse(channel, doc, out);
        }
        let request = Request { channel, version, bidirectional };
        match self.model.docs.get_mut(&doc).map(|entry| &mut entry.state) {
            Some(DocState::Ready) => self.answer(request, &doc, now, out),
            Some(DocState::Loading { requests, .. }) => requests.push(request),
            // Tabs share their storage, so reading it for one another gains nothing; the tab is pushed to if the
            // document is opened here later.
            None if peer.kind == ChannelKind::Tabs && self.config.interest == Interest::Opened => {
                self.note(&doc, out);
                if let Some(link) = self.model.link(channel, &doc) {
                    link.subscribed = true;
                    link.known = Some(request.version);
                }
                refuse(channel, doc, out);
            }
            None => {
                self.begin(&doc, false, BTreeSet::new(), vec![request], now, out);
            }
        }
    }

    /// Ends loading: answers who waited, asks who has it.
    pub(super) fn finish_loading(&mut self, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        self.model.armed.remove(&Timer::LoadTimeout(doc.clone()));
        let Some(entry) = self.model.docs.get_mut(doc) else { return };
        let DocState::Loading { requests, ask, found, .. } = std::mem::replace(&mut entry.state, DocState::Ready) else { return };
        let opened = entry.opened;
        self.model.touched.insert(doc.clone());
        let exists = opened || found || !entry.version.is_empty() || !ask.is_empty();
        let mut answered = false;
        for request in requests {
            let allowed = exists
                || answered
                || (self.config.interest == Interest::Everything
                    && self.model.context(request.channel).is_some_and(|peer| self.permissions.creation(doc, &peer)));
            if allowed {
                answered = true;
                self.answer(request, doc, now, out);
            } else {
                if self.config.interest == Interest::Opened {
                    self.note(doc, out);
                    if let Some(link) = self.model.link(request.channel, doc) {
                        link.subscribed = true;
                        link.known = Some(request.version);
                    }
                }
                refuse(request.channel, doc.clone(), out);
            }
        }
        if !exists && !answered {
            self.model.docs.remove(doc);
            out.push(Effect::DropDoc { doc: doc.clone() });
            return;
        }
        self.note(doc, out);
        if opened {
            self.ask_everyone(doc, out);
        }
        for channel in ask {
            self.ask(channel, doc, true, out);
        }
        self.propagate(doc, now, out);
        self.schedule_stores(doc, now, out);
    }

    fn answer(&mut self, request: Request, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        let Request { channel, version, bidirectional } = request;
        let ours = self.model.version(doc);
        let Some(link) = self.model.link(channel, doc) else { return };
        link.subscribed = true;
        link.absent = false;
        link.known = Some(version.clone());
        link.sent = version.clone();
        link.sent.merge(&ours);
        let ask_back = bidirectional && (!link.asked || !ours.includes(&version));
        let unconfirmed = !version.includes(&ours);
        if unconfirmed {
            link.unconfirmed_since.get_or_insert(now);
            link.last_push = now;
        }
        out.push(if version.is_empty() {
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
        if !self.model.docs.contains_key(doc) {
            let has_it = !matches!(transmission, Transmission::Unavailable | Transmission::Unknown);
            if has_it {
                self.discovered(channel, doc.clone(), now, out);
            }
            return;
        }
        let ours = self.model.version(doc);
        let Some(link) = self.model.link(channel, doc) else { return };
        if purpose == Purpose::Answer {
            link.waiting = false;
            link.attempts = 0;
        }
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
        let Some(link) = self.model.link(channel, doc) else { return };
        link.known = Some(announced.clone());
        if link.confirms(&ours) {
            link.unconfirmed_since = None;
        }
        let settled = link.confirms(&ours) || !link.subscribed;
        if !settled || missing {
            self.model.arm(Timer::Verify(channel, doc.clone()), self.config.verify_delay_ms, out);
        }
        let Some(data) = data.filter(|_| missing) else { return };
        if self.permissions.mutability(doc, &peer) {
            out.push(Effect::ImportDoc { doc: doc.clone(), channel, data, announced });
        } else {
            out.push(Effect::Emit(Event::ChangeRefused { doc: doc.clone(), peer: peer.peer_id }));
        }
    }

    pub(super) fn doc_imported(
        &mut self,
        doc: &DocId,
        channel: ChannelId,
        version: VersionVector,
        announced: &VersionVector,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let complete = version.includes(announced);
        self.take_version(doc, version);
        self.propagate(doc, now, out);
        self.schedule_stores(doc, now, out);
        // Operations it depends on are missing: the peer is asked for all of it.
        if !complete {
            self.ask(channel, doc, true, out);
        }
    }

    pub(super) fn import_failed(&mut self, doc: &DocId, channel: ChannelId) {
        // Asking again at once would bring the same bytes: only the back-off of the next question remains.
        if let Some(link) = self.model.link(channel, doc) {
            link.attempts = link.attempts.max(5);
        }
    }

    pub(super) fn doc_changed(&mut self, doc: &DocId, version: VersionVector, now: Timestamp, out: &mut Vec<Effect>) {
        self.take_version(doc, version);
        if self.model.is_ready(doc) {
            self.propagate(doc, now, out);
            self.schedule_stores(doc, now, out);
        }
    }

    pub(super) fn take_version(&mut self, doc: &DocId, version: VersionVector) {
        if let Some(entry) = self.model.docs.get_mut(doc) {
            entry.version = version;
            self.model.touched.insert(doc.clone());
        }
    }

    /// Pushes what subscribers do not have and were not sent; tells the others once that the document exists.
    pub(super) fn propagate(&mut self, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        let ours = self.model.version(doc);
        if ours.is_empty() {
            return;
        }
        let mut served: BTreeSet<PeerId> = BTreeSet::new();
        for channel in self.model.pipes() {
            let Some(peer) = self.model.context(channel) else { continue };
            if !self.permissions.visibility(doc, &peer) {
                continue;
            }
            let Some(link) = self.model.link(channel, doc) else { continue };
            if !link.subscribed {
                self.announce(channel, doc, out);
                continue;
            }
            if !served.insert(peer.peer_id) {
                continue;
            }
            let base = link.base();
            if base.includes(&ours) {
                continue;
            }
            link.sent.merge(&ours);
            link.unconfirmed_since.get_or_insert(now);
            link.last_push = now;
            let doc = doc.clone();
            self.model.arm(Timer::Verify(channel, doc.clone()), self.config.verify_delay_ms, out);
            out.push(if base.is_empty() {
                Effect::SendSnapshot { channel, doc, purpose: Purpose::Push }
            } else {
                Effect::SendUpdate { channel, doc, since: base, purpose: Purpose::Push }
            });
        }
    }

    /// Asks whether what was sent has arrived, or once more for what is missing.
    pub(super) fn verify(&mut self, channel: ChannelId, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        if !self.model.is_ready(doc) || self.model.peek(channel, doc).is_none() {
            return;
        }
        let ours = self.model.version(doc);
        let delay = self.config.verify_delay_ms;
        let Some(link) = self.model.link(channel, doc) else { return };
        let behind = link.known.as_ref().is_some_and(|known| !ours.includes(known));
        let unconfirmed = link.subscribed && !link.confirms(&ours);
        if !(behind || unconfirmed || link.waiting) {
            link.unconfirmed_since = None;
            link.attempts = 0;
            return;
        }
        let typing = now.since(link.last_push) < delay;
        let patient = link.unconfirmed_since.is_none_or(|since| now.since(since) < delay * VERIFY_PATIENCE);
        if typing && patient && !behind && !link.waiting {
            return self.model.arm(Timer::Verify(channel, doc.clone()), delay, out);
        }
        link.waiting = false;
        if unconfirmed {
            link.unconfirmed_since = Some(now);
        }
        self.ask(channel, doc, true, out);
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

fn refuse(channel: ChannelId, doc: DocId, out: &mut Vec<Effect>) {
    out.push(Effect::Send { channel, message: Message::SyncResponse { doc, transmission: Transmission::Unavailable, ephemeral: None } });
}
