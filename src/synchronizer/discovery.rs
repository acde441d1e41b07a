//! Who has which documents.
//!
//! Decides what is announced, what an announcement leads to and what a directory shows. Never moves document data.

use super::{
    ChannelId, ChannelKind, Effect, Event, Synchronizer, Timer, Timestamp,
    deletion::MAX_TOLD_DELETIONS,
    heads::MAX_HEADS,
    model::{Doc, DocState, Known, Link, Request, Source},
};
use crate::{
    collections::SortedSet,
    protocol::{DocId, Message, Role, extension::Head},
};

/// Documents that are read at the same time for peers.
const MAX_LOADING: usize = 256;
/// Milliseconds between the peers that are told what stores have told of.
const DIRECTORY_EACH_MS: usize = 10;
/// Milliseconds after which a leaf is told of what is new …
const ANNOUNCE_DELAY_MS: u64 = 50;
/// … and those over which the leaves that are told are spread.
const ANNOUNCE_SPREAD_MS: u64 = 100;

impl Synchronizer {
    pub(super) fn doc_opened(&mut self, doc: DocId, now: Timestamp, out: &mut Vec<Effect>) {
        if self.is_deleted(&doc) {
            return;
        }
        self.model.forgotten.remove(&doc);
        let lineage = self.model.lineage(&doc).unwrap_or(0);
        self.note(&doc, lineage, out);
        if let Some(entry) = self.model.docs.get_mut(&doc) {
            let first = !std::mem::replace(&mut entry.opened, true);
            if first && self.model.is_ready(&doc) {
                self.ask_everyone(&doc, out);
            } else if first {
                self.begin_loading(&doc, now, out);
            }
            return;
        }
        self.begin(&doc, lineage, true, SortedSet::new(), Vec::new(), now, out);
    }

    pub(super) fn doc_closed(&mut self, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        if let Some(entry) = self.model.docs.get_mut(doc) {
            entry.opened = false;
            entry.used = now;
        }
        self.settle(doc, now, out);
        self.watch_memory(out);
    }

    /// Brings a document into memory, from its stores first: now, or when fewer others are being read, unless the application waits for it.
    #[expect(clippy::too_many_arguments, reason = "everything that may be waiting for it")]
    pub(super) fn begin(
        &mut self,
        doc: &DocId,
        lineage: u64,
        opened: bool,
        ask: SortedSet<ChannelId>,
        requests: Vec<Request>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let reserved = self.model.reserve(doc, &requests);
        let state = DocState::Loading { begun: false, waiting: SortedSet::new(), requests, reserved, ask, found: false, held_back: None };
        let mut entry = Doc { lineage, opened, state, used: now, ..Doc::default() };
        if let Some(known) = self.model.catalogue.get_mut(doc) {
            known.away = false;
        }
        if let Some(known) = self.model.catalogue.get(doc).filter(|known| known.lineage == lineage) {
            // What was learnt before it left memory.
            entry.confirmed.clone_from(&known.confirmed);
            entry.confirmed_on_disk.clone_from(&known.durable);
            entry.kept.clone_from(&known.kept);
            entry.announced = known.announced;
        }
        self.model.docs.insert(doc.clone(), entry);
        self.model.unsent.remove(doc);
        self.watch_memory(out);
        if opened || self.model.loading.len() < MAX_LOADING {
            self.begin_loading(doc, now, out);
        } else {
            self.model.backlog.push_back(doc.clone());
        }
    }

    pub(super) fn begin_loading(&mut self, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        let stores: Vec<_> = self.model.stores().into_iter().filter(|store| self.may_keep(*store, doc)).collect();
        let expected: Vec<_> = self.model.expected_stores.iter().copied().map(Source::Adapter).collect();
        let Some(Doc { state: DocState::Loading { begun, waiting, .. }, lineage, .. }) = self.model.docs.get_mut(doc) else { return };
        if std::mem::replace(begun, true) {
            return;
        }
        waiting.extend(stores.iter().copied().map(Source::Store).chain(expected));
        let nothing_to_wait_for = waiting.is_empty();
        out.push(Effect::CreateDoc { doc: doc.clone(), lineage: *lineage });
        for store in stores {
            self.load(store, doc, out);
        }
        if nothing_to_wait_for {
            self.finish_loading(doc, now, out);
        } else {
            self.model.loading.insert(doc.clone());
            self.model.arm(Timer::LoadTimeout(doc.clone()), super::LOAD_TIMEOUT_MS, out);
        }
    }

    /// Reads what waits until fewer documents are being read.
    pub(super) fn begin_waiting(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        while self.model.loading.len() < MAX_LOADING
            && let Some(next) = self.model.backlog.pop_front()
        {
            let Some(Doc { state: DocState::Loading { begun: false, requests, ask, held_back, .. }, .. }) = self.model.docs.get(&next)
            else {
                continue;
            };
            if requests.is_empty() && ask.is_empty() && held_back.as_ref().is_none_or(Vec::is_empty) {
                // Whoever wanted it has left.
                self.model.take_doc(&next);
            } else {
                self.begin_loading(&next, now, out);
            }
        }
    }

    pub(super) fn ask_everyone(&mut self, doc: &DocId, out: &mut Vec<Effect>) {
        for channel in self.model.pipes() {
            self.ask(channel, doc, true, out);
        }
    }

    /// Adds a document to those known of.
    pub(super) fn note(&mut self, doc: &DocId, lineage: u64, out: &mut Vec<Effect>) {
        if !self.model.catalogue.contains_key(doc) {
            self.model.catalogue.insert(doc.clone(), Known { lineage, ..Known::default() });
            out.push(Effect::Emit(Event::DocumentAdded(doc.clone())));
        }
    }

    /// A peer has this document.
    pub(super) fn discovered(&mut self, channel: ChannelId, doc: DocId, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(peer) = self.model.context(channel) else { return };
        if !self.permissions.visibility(&doc, &peer) {
            return self.not_created(&doc, channel);
        }
        if self.model.forgotten.contains(&doc) || self.is_deleted(&doc) {
            return;
        }
        let compared = self.model.is_extended(channel) && self.model.peek(channel, &doc).is_some_and(Link::is_compared);
        if let Some(entry) = self.model.docs.get_mut(&doc) {
            match &mut entry.state {
                DocState::Loading { ask, .. } => {
                    ask.insert(channel);
                }
                // What is compared with the peer already is kept up with.
                DocState::Ready if compared => {}
                DocState::Ready => self.ask(channel, &doc, true, out),
            }
            return;
        }
        let known = self.model.catalogue.contains_key(&doc);
        if !known && (self.model.is_crowded(channel) || !self.may_create(&doc, &peer)) {
            return;
        }
        let lineage = self.model.lineage(&doc).unwrap_or(0);
        self.model.introduce(channel, &doc);
        self.note(&doc, lineage, out);
        if self.keeps_up(channel, &doc) {
            self.begin(&doc, lineage, false, SortedSet::from([channel]), Vec::new(), now, out);
        }
    }

    /// Tells the peers that have nothing to do with a document yet that it exists: once, or `again` when they may see more.
    pub(super) fn announce(&mut self, doc: &DocId, again: bool, out: &mut Vec<Effect>) {
        let mut again = again;
        let told = match self.model.docs.get_mut(doc) {
            Some(entry) if entry.version.is_empty() => {
                // Perhaps it is only on its way from a store.
                entry.shown |= again;
                return;
            }
            Some(entry) => {
                again |= std::mem::take(&mut entry.shown);
                std::mem::replace(&mut entry.announced, true)
            }
            None => false,
        };
        if told && !again {
            return;
        }
        self.announce_to_strangers(doc, again, out);
    }

    fn announce_to_strangers(&mut self, doc: &DocId, again: bool, out: &mut Vec<Effect>) {
        for (place, channel) in (0..).zip(self.model.pipes()) {
            if !self.is_stranger(channel, doc, again) {
                continue;
            }
            if again || !self.hears_later(channel) {
                self.tell_of(channel, vec![doc.clone()], out);
            } else if let Some(entry) = self.model.channels.get_mut(&channel) {
                entry.appeared.insert(doc.clone());
                self.tell_later(channel, place, out);
            }
        }
    }

    /// Returns whether a peer may see a document and has nothing to do with it.
    fn is_stranger(&self, channel: ChannelId, doc: &DocId, again: bool) -> bool {
        // A peer of the reference protocol that was hidden from and shown again does not follow by being asked: it has to ask.
        let told = |asked: bool| asked && (!again || self.model.is_extended(channel));
        self.model.peek(channel, doc).is_none_or(|link| !link.subscribed && !told(link.asked)) && self.sees(channel, doc)
    }

    /// Returns whether a peer hears of documents it has nothing to do with some time later, of several together: a relay's leaf. Each document
    /// that each of a thousand leaves makes, told to each of them by itself, would be a million messages.
    pub(super) fn hears_later(&self, channel: ChannelId) -> bool {
        self.role() == Role::Relay && self.model.channels.get(&channel).is_some_and(|entry| entry.role == Role::Leaf)
    }

    /// There is something to tell the peer in this `place`: soon, and not all of them at the same time.
    pub(super) fn tell_later(&mut self, channel: ChannelId, place: u64, out: &mut Vec<Effect>) {
        self.model.arm(Timer::Announce(channel), ANNOUNCE_DELAY_MS + place % ANNOUNCE_SPREAD_MS, out);
    }

    /// Tells a peer what was gathered for it: documents that are new, or gone.
    pub(super) fn announcements_due(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        let Some(entry) = self.model.channels.get_mut(&channel) else { return };
        let (appeared, gone) = (std::mem::take(&mut entry.appeared), std::mem::take(&mut entry.gone));
        // Either may have been hidden from the peer meanwhile.
        let mut gone = gone.into_iter().filter(|(doc, _)| self.sees(channel, doc)).peekable();
        while gone.peek().is_some() {
            let docs = gone.by_ref().take(MAX_TOLD_DELETIONS).collect();
            out.push(Effect::Send { channel, message: Message::Deleted { docs } });
        }
        drop(gone);
        for doc in &appeared {
            if self.model.held(doc).is_none()
                && let Some(entry) = self.model.docs.get_mut(doc)
            {
                // It is being read again. Then it is told.
                entry.announced = false;
            }
        }
        // It may have asked for some.
        let docs = appeared.into_iter().filter(|doc| !self.model.is_blank(doc) && self.is_stranger(channel, doc, false)).collect();
        self.tell_of(channel, docs, out);
    }

    /// Tells everybody what was gathered, since there is no later.
    pub(super) fn announce_now(&mut self, out: &mut Vec<Effect>) {
        for channel in self.model.pipes() {
            self.announcements_due(channel, out);
        }
    }

    /// Tells a peer that documents exist. No link comes of it: most peers have nothing to do with most documents.
    fn tell_of(&self, channel: ChannelId, docs: Vec<DocId>, out: &mut Vec<Effect>) {
        let held = docs.into_iter().filter_map(|doc| {
            let (lineage, version) = self.model.held(&doc)?;
            Some(Head { lineage, version: version.clone(), doc })
        });
        let mut held = held.peekable();
        let extended = self.model.is_extended(channel);
        while held.peek().is_some() {
            let heads = held.by_ref().take(MAX_HEADS);
            let message = if extended {
                Message::Heads { heads: heads.collect(), reply: false }
            } else {
                Message::NewDoc { docs: heads.map(|head| head.doc).collect() }
            };
            out.push(Effect::Send { channel, message });
        }
    }

    pub(super) fn directory_requested(&mut self, channel: ChannelId, filter: Option<Vec<DocId>>, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(peer) = self.model.context(channel) else { return };
        if !self.model.has_time(channel, filter.as_ref().map_or(self.model.catalogue.len(), Vec::len), false, now) {
            return;
        }
        if let Some(entry) = self.model.channels.get_mut(&channel) {
            entry.directory |= filter.is_none();
        }
        let docs = match filter {
            Some(docs) => {
                let named: SortedSet<DocId> = docs.into_iter().filter(|doc| self.model.catalogue.contains_key(doc)).collect();
                named.into_iter().filter(|doc| self.permissions.visibility(doc, &peer)).collect()
            }
            None => self.model.catalogue.keys().filter(|doc| self.permissions.visibility(doc, &peer)).cloned().collect(),
        };
        out.push(Effect::Send { channel, message: Message::DirectoryResponse { docs } });
    }

    /// A store has told of documents: who asked for all before hears of them, and another relay compares them, one after the other.
    pub(super) fn schedule_directories(&mut self, out: &mut Vec<Effect>) {
        let relay = self.role() == Role::Relay;
        let concerned = |channel: &ChannelId| {
            self.model.channels.get(channel).is_some_and(|entry| entry.directory || relay && entry.role == Role::Relay)
        };
        let channels: Vec<_> = self.model.pipes().into_iter().filter(concerned).collect();
        for (after_ms, channel) in (0..).step_by(DIRECTORY_EACH_MS).zip(channels) {
            self.model.arm(Timer::Directory(channel), after_ms, out);
        }
    }

    /// A store has told of documents since the peer asked.
    pub(super) fn directory_due(&mut self, channel: ChannelId, now: Timestamp, out: &mut Vec<Effect>) {
        if self.model.channels.get(&channel).is_some_and(|entry| entry.directory) {
            self.directory_requested(channel, None, now, out);
        }
        self.compare_listed(channel, now, out);
    }

    pub(super) fn discovery_wanted(&mut self, out: &mut Vec<Effect>) {
        for channel in self.model.pipes() {
            if self.model.channels.get(&channel).is_some_and(|entry| entry.kind == ChannelKind::Network) {
                out.push(Effect::Send { channel, message: Message::DirectoryRequest { docs: None } });
            }
        }
    }
}
