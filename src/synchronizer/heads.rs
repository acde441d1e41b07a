//! Comparing with peers that speak the extension: who holds what, and what follows from it.
//!
//! Decides what a peer is told of a document, what an answer means, which path changes take to it, and when a path is
//! redundant. What is fetched from whom is decided in `fetch`.

use super::{
    ChannelId, ChannelKind, Creator, Effect, EphemeralSelection, Event, Synchronizer, Timer, Timestamp,
    deletion::is_absurd,
    model::{Doc, DocState, Request, RequestKind},
};
use crate::protocol::{
    DocId, Message, RefusalReason, Role, VersionVector,
    extension::{AuthorRange, Head},
};

use crate::collections::{SortedSet, sort};

/// Milliseconds over which the heads told on redundant paths are gathered.
pub(super) const HEADS_DELAY_MS: u64 = 100;
/// Entries of one message.
pub(super) const MAX_HEADS: usize = 1_000;

impl Synchronizer {
    /// Tells a peer what is here; with `reply` it is asked what it has.
    pub(super) fn tell_heads(&mut self, channel: ChannelId, doc: &DocId, reply: bool, out: &mut Vec<Effect>) {
        let Some((lineage, version)) = self.model.held(doc).map(|(lineage, version)| (lineage, version.clone())) else { return };
        let Some(link) = self.model.link(channel, doc) else { return };
        link.sent.merge(&version);
        let head = Head { doc: doc.clone(), lineage, version };
        out.push(Effect::Send { channel, message: Message::Heads { heads: vec![head], reply } });
    }

    pub(super) fn heads_received(&mut self, channel: ChannelId, head: Head, reply: bool, now: Timestamp, out: &mut Vec<Effect>) {
        let Head { doc, lineage, version } = head;
        let Some(peer) = self.model.context(channel) else { return };
        if !self.permissions.visibility(&doc, &peer) {
            self.not_created(&doc, channel);
            if reply {
                self.refuse(channel, doc, out);
            }
            return;
        }
        if is_absurd(lineage, now) || self.model.is_absurd_claim(channel, &doc, &version) {
            return self.not_believed(channel, doc, out);
        }
        if self.model.is_buried(&doc, lineage) {
            // An answer all the same, if it may not be deleted there.
            if self.model.peek(channel, &doc).is_some()
                && let Some(link) = self.model.link(channel, &doc)
            {
                link.waiting = false;
            }
            return self.tell_tombstone(channel, &doc, out);
        }
        if !self.agree_on_lineage(channel, &doc, lineage, !version.is_empty(), reply, out) {
            return;
        }
        let request = Request { channel, version, bidirectional: reply, kind: RequestKind::Heads };
        match self.model.docs.get_mut(&doc).map(|entry| &mut entry.state) {
            Some(DocState::Ready) => self.compare_heads(request, &doc, now, out),
            Some(loading) => {
                loading.queue(request);
            }
            None => self.heads_of_unopened(request, doc, lineage, now, out),
        }
    }

    /// A peer says of a document what cannot be: nothing of it is taken, and sums leave the document out.
    fn not_believed(&mut self, channel: ChannelId, doc: DocId, out: &mut Vec<Effect>) {
        if self.model.peek(channel, &doc).is_some()
            && let Some(link) = self.model.link(channel, &doc)
        {
            link.denied = true;
        }
        self.not_admitted(channel, Some(doc), RefusalReason::Invalid, None, out);
    }

    /// Returns whether a peer's creation of a document is the one here, which one without content always becomes.
    fn agree_on_lineage(
        &mut self,
        channel: ChannelId,
        doc: &DocId,
        lineage: u64,
        content: bool,
        reply: bool,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(ours) = self.model.lineage(doc) else { return true };
        if ours == lineage || (self.model.is_blank(doc) && !content) {
            return true;
        }
        if self.model.is_blank(doc) && !self.believes_lineage(channel, doc, lineage) {
            return false;
        }
        if self.model.is_blank(doc) {
            self.model.adopt_lineage(doc, lineage);
            if self.model.docs.contains_key(doc) {
                out.push(Effect::CreateDoc { doc: doc.clone(), lineage });
            }
            return true;
        }
        // It has a newer creation. It answers the older one with the tombstone, and that decides, once.
        let parted = self.model.peek(channel, doc).is_some_and(|link| link.refused == Some(RefusalReason::Deleted));
        if !parted {
            self.tell_heads(channel, doc, false, out);
        } else if reply {
            self.refuse(channel, doc.clone(), out);
        }
        false
    }

    /// Returns whether a peer is believed that a document of which nothing is here was made anew: on a relay only one that might have deleted
    /// it, since everybody else would be held to that creation. A leaf holds nobody to anything, and takes what it is given.
    fn believes_lineage(&self, channel: ChannelId, doc: &DocId, lineage: u64) -> bool {
        if lineage == 0 || !self.model.is_blank(doc) || self.role() == Role::Leaf {
            return true;
        }
        self.model.context(channel).is_some_and(|peer| {
            let maker = Creator { peer_id: peer.peer_id.clone(), name: peer.name.clone() };
            self.permissions.deletion(doc, Some(&maker), &peer)
        })
    }

    fn heads_of_unopened(&mut self, request: Request, doc: DocId, lineage: u64, now: Timestamp, out: &mut Vec<Effect>) {
        let Request { channel, ref version, bidirectional: reply, .. } = request;
        let Some(peer) = self.model.context(channel) else { return };
        let known_here = self.model.catalogue.contains_key(&doc);
        let welcome = (known_here || (!self.model.is_crowded(channel) && self.may_create(&doc, &peer)))
            && self.believes_lineage(channel, &doc, lineage);
        if self.model.forgotten.contains(&doc) || !welcome {
            if reply {
                self.refuse(channel, doc, out);
            }
            return;
        }
        let same = self.model.held(&doc).is_some_and(|(_, held)| held == version);
        if same {
            // Stores have just that: there is no need to read it.
            self.follow(channel, &doc, version);
            if let Some(link) = self.model.link(channel, &doc) {
                link.waiting = false;
                self.model.hasten(channel, &doc);
            }
            if reply {
                self.tell_heads(channel, &doc, false, out);
                self.vouch(channel, &doc, out);
                self.show_ephemeral(channel, &doc, out);
            }
            return;
        }
        let wanted = self.keeps_up(channel, &doc);
        if reply && (wanted || peer.kind != ChannelKind::Tabs) {
            return self.begin(&doc, lineage, false, Default::default(), vec![request], now, out);
        }
        if reply || wanted || self.model.peek(channel, &doc).is_some() {
            self.follow(channel, &doc, version);
        }
        self.model.introduce(channel, &doc);
        self.note(&doc, lineage, out);
        if wanted {
            self.begin(&doc, lineage, false, [channel].into(), Vec::new(), now, out);
        } else if reply {
            self.refuse(channel, doc, out);
        }
    }

    /// The peer follows a document, and has `version` of it.
    pub(super) fn follow(&mut self, channel: ChannelId, doc: &DocId, version: &VersionVector) {
        let Some(link) = self.model.link(channel, doc) else { return };
        link.subscribed = true;
        let unavailable = link.refused.is_none() && link.last_refusal.is_none_or(|reason| reason == RefusalReason::Unavailable);
        if std::mem::replace(&mut link.absent, false) && unavailable {
            link.last_refusal = None;
            link.refusals = 0;
        }
        self.model.unlearn(channel, doc, version);
        self.model.learn(channel, doc, version);
    }

    /// Both sides' versions of a document in memory are known now.
    pub(super) fn compare_heads(&mut self, request: Request, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        let Request { channel, version, bidirectional: reply, .. } = request;
        let Some(peer) = self.model.context(channel) else { return };
        self.used(doc, now);
        let ours = self.model.version(doc);
        let progress = self.model.peek(channel, doc).is_none_or(|link| !link.confirms(&version));
        self.follow(channel, doc, &version);
        let taken = self.permissions.mutability(doc, &peer);
        let Some(link) = self.model.link(channel, doc) else { return };
        link.denied &= !taken;
        let answered = std::mem::replace(&mut link.waiting, false);
        if (progress || (ours.includes(&version) && version.includes(&ours))) && self.model.hasten(channel, doc) {
            self.model.arm(Timer::Verify(channel, doc.clone()), self.config.verify_delay_ms, out);
        }
        let Some(link) = self.model.link(channel, doc) else { return };
        let current = link.confirms(&ours);
        let told = link.base().includes(&ours);
        if current {
            link.unconfirmed_since = None;
        } else {
            link.unconfirmed_since.get_or_insert(now);
        }
        if reply {
            link.asked = true;
            self.tell_heads(channel, doc, false, out);
            if !ours.is_empty() && version == ours {
                self.vouch(channel, doc, out);
            }
            out.push(Effect::SendEphemeral { channel, doc: doc.clone(), selection: EphemeralSelection::Others, hops: 0 });
        } else if !current && !told {
            self.tell_heads(channel, doc, false, out);
        }
        if reply || answered {
            // Once to each peer that begins to follow, and from it to those it follows with.
            let hops = self.own_hops(channel);
            out.push(Effect::SendEphemeral { channel, doc: doc.clone(), selection: EphemeralSelection::Own, hops });
        }
        if !ours.includes(&version) {
            if !taken {
                self.deny(channel, doc, reply, out);
            } else if reply || answered {
                self.plan(doc, false, now, out);
            } else {
                // Told without having been asked: the change is on its way here on another path, most likely.
                self.model.arm(Timer::Graft(doc.clone()), super::fetch::GRAFT_DELAY_MS, out);
            }
        }
        if !current {
            let after = self.config.verify_delay_ms + self.model.delay_ms(channel);
            self.model.arm(Timer::Verify(channel, doc.clone()), after, out);
        }
    }

    /// Tells a peer that its changes are not taken: once, and again when it offers them.
    pub(super) fn deny(&mut self, channel: ChannelId, doc: &DocId, offered: bool, out: &mut Vec<Effect>) {
        let Some(link) = self.model.link(channel, doc) else { return };
        if !std::mem::replace(&mut link.denied, true) || offered {
            let message = Message::Refusal { doc: doc.clone(), reason: RefusalReason::Mutability, retry_ms: None };
            out.push(Effect::Send { channel, message });
        }
    }

    /// Heads that were gathered for a peer on a redundant path.
    pub(super) fn heads_due(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        let Some(entry) = self.model.channels.get_mut(&channel) else { return };
        for doc in std::mem::take(&mut entry.heads_due) {
            let told = self.model.peek(channel, &doc).is_none_or(|link| link.base().includes(&self.model.version(&doc)));
            if !told && self.sees(channel, &doc) {
                self.tell_heads(channel, &doc, false, out);
            }
        }
    }

    pub(super) fn wanted(
        &mut self,
        channel: ChannelId,
        doc: DocId,
        lineage: u64,
        ranges: Vec<AuthorRange>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if !self.sees(channel, &doc) {
            return self.refuse(channel, doc, out);
        }
        if self.model.is_buried(&doc, lineage) {
            return self.tell_tombstone(channel, &doc, out);
        }
        let request = |ranges| Request { channel, version: VersionVector::new(), bidirectional: false, kind: RequestKind::Want(ranges) };
        let (ours, same) = match self.model.docs.get_mut(&doc) {
            Some(Doc { state: DocState::Ready, version, lineage: here, .. }) => (version.clone(), *here == lineage),
            Some(Doc { state: loading, .. }) => {
                loading.queue(request(ranges));
                return;
            }
            None => {
                // It was told of what a store has: that is read now.
                if let Some(known) = self.model.catalogue.get(&doc).filter(|known| !known.version.is_empty()) {
                    let lineage = known.lineage;
                    self.begin(&doc, lineage, false, SortedSet::new(), vec![request(ranges)], now, out);
                }
                return;
            }
        };
        let mut given: Vec<AuthorRange> = ranges
            .into_iter()
            .map(|range| AuthorRange { start: range.start.max(0), end: range.end.min(ours.get(range.author)), ..range })
            .filter(|range| same && range.start < range.end)
            .collect();
        sort(&mut given);
        given.dedup_by_key(|range| range.author);
        if given.is_empty() {
            return self.tell_heads(channel, &doc, false, out);
        }
        if self.refuse_trimmed(channel, &doc, &given, out) {
            return;
        }
        let whole = given.len() == ours.iter().count() && given.iter().all(|range| range.start == 0 && range.end == ours.get(range.author));
        let Some(link) = self.model.link(channel, &doc) else { return };
        if !link.may_ask(now) {
            return;
        }
        link.subscribed = true;
        link.lazy = false;
        for range in &given {
            link.sent.extend_to(range.author, range.end);
        }
        out.push(Effect::GiveRanges { channel, doc, lineage, ranges: given, whole });
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(super) fn given(
        &mut self,
        channel: ChannelId,
        doc: DocId,
        lineage: u64,
        ranges: Vec<AuthorRange>,
        data: bytes::Bytes,
        version: VersionVector,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(peer) = self.model.context(channel) else { return };
        if !self.permissions.visibility(&doc, &peer) {
            return;
        }
        if is_absurd(lineage, now) || self.model.is_absurd_claim(channel, &doc, &version) {
            return self.not_believed(channel, doc, out);
        }
        if self.model.is_buried(&doc, lineage) {
            return self.tell_tombstone(channel, &doc, out);
        }
        let ours = match self.model.docs.get_mut(&doc) {
            None => {
                return self.given_unloaded(
                    channel,
                    lineage,
                    doc,
                    Request { channel, version, bidirectional: false, kind: RequestKind::Give { ranges, data } },
                    now,
                    out,
                );
            }
            Some(entry) if entry.lineage != lineage => {
                if !self.agree_on_lineage(channel, &doc, lineage, true, false, out) {
                    return;
                }
                VersionVector::new()
            }
            Some(entry) => match &mut entry.state {
                DocState::Ready => entry.version.clone(),
                loading => {
                    let request = Request { channel, version, bidirectional: false, kind: RequestKind::Give { ranges, data } };
                    if !loading.queue(request)
                        && let DocState::Loading { ask, .. } = loading
                    {
                        ask.insert(channel);
                    }
                    return;
                }
            },
        };
        self.follow(channel, &doc, &version);
        if !self.permissions.mutability(&doc, &peer) {
            out.push(Effect::Emit(Event::ChangeRefused { doc: doc.clone(), peer: peer.peer_id.clone() }));
            return self.deny(channel, &doc, true, out);
        }
        if !ranges.is_empty() && self.is_renewed_by(channel, &doc) {
            return out.push(Effect::RenewDoc { doc, channel, data, announced: version });
        }
        if let Some(entry) = self.model.docs.get_mut(&doc) {
            for range in &ranges {
                if let Some(fetch) = entry.fetches.get_mut(&range.author)
                    && fetch.channel == channel
                    && fetch.end <= range.end
                {
                    fetch.answered = true;
                }
            }
        }
        if ours.includes(&version) {
            self.settle_given(channel, &doc, &ours, &VersionVector::new(), now);
            // It came before on another path: one of the two is enough from now on.
            let Some(link) = self.model.link(channel, &doc) else { return };
            if ranges.is_empty() && !std::mem::replace(&mut link.lazy, true) {
                out.push(Effect::Send { channel, message: Message::Prune { doc: doc.clone() } });
            }
            return self.owe(channel, &doc, out);
        }
        out.push(Effect::ImportDoc { doc, channel, data, announced: version });
    }

    /// Operations of a document that is not in memory: a relay reads what stores have of it, and then takes them.
    fn given_unloaded(&mut self, channel: ChannelId, lineage: u64, doc: DocId, request: Request, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(peer) = self.model.context(channel) else { return };
        let stored = self.model.lineage(&doc) == Some(lineage) && !self.model.forgotten.contains(&doc);
        if stored && self.keeps_up(channel, &doc) && self.permissions.mutability(&doc, &peer) {
            return self.begin(&doc, lineage, false, SortedSet::new(), vec![request], now, out);
        }
        self.heads_received(channel, Head { doc, lineage, version: request.version }, false, now, out);
    }

    pub(super) fn pruned(&mut self, channel: ChannelId, doc: &DocId) {
        if self.model.is_extended(channel)
            && self.model.peek(channel, doc).is_some()
            && let Some(link) = self.model.link(channel, doc)
        {
            link.lazy = true;
        }
    }
}

/// Joins the heads told to one peer into few messages, in the place of the first.
pub(super) fn join_heads(effects: &mut Vec<Effect>) {
    let mut first: crate::collections::SortedMap<(ChannelId, bool), usize> = crate::collections::SortedMap::new();
    let mut joined: Vec<Effect> = Vec::with_capacity(effects.len());
    for effect in effects.drain(..) {
        if let Effect::Send { channel, message: Message::Heads { heads, reply } } = &effect
            && let Some(at) = first.get(&(*channel, *reply))
            && let Some(Effect::Send { message: Message::Heads { heads: before, .. }, .. }) = joined.get_mut(*at)
            && before.len() < MAX_HEADS
        {
            before.extend(heads.iter().cloned());
            continue;
        }
        if let Effect::Send { channel, message: Message::Heads { reply, .. } } = &effect {
            first.insert((*channel, *reply), joined.len());
        }
        joined.push(effect);
    }
    *effects = joined;
}
