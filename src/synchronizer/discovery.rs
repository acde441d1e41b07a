//! Who has which documents.
//!
//! Decides what is announced, what an announcement leads to and what a directory shows. Never moves document data.

use std::collections::BTreeSet;

use super::{
    ChannelId, ChannelKind, Effect, Event, Synchronizer, Timer, Timestamp,
    model::{Doc, DocState, Known, Request, Source},
};
use crate::protocol::{DocId, Message};

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
            }
            return;
        }
        self.begin(&doc, lineage, true, BTreeSet::new(), Vec::new(), now, out);
    }

    pub(super) fn doc_closed(&mut self, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        if let Some(entry) = self.model.docs.get_mut(doc) {
            entry.opened = false;
            entry.used = now;
        }
        self.watch_memory(out);
    }

    /// Brings a document into memory, from its stores first.
    #[expect(clippy::too_many_arguments, reason = "everything that may be waiting for it")]
    pub(super) fn begin(
        &mut self,
        doc: &DocId,
        lineage: u64,
        opened: bool,
        ask: BTreeSet<ChannelId>,
        requests: Vec<Request>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let stores: Vec<_> = self.model.stores().into_iter().filter(|store| self.may_keep(*store, doc)).collect();
        let waiting: BTreeSet<_> = stores
            .iter()
            .map(|store| Source::Store(*store))
            .chain(self.model.expected_stores.iter().map(|adapter| Source::Adapter(*adapter)))
            .collect();
        let nothing_to_wait_for = waiting.is_empty();
        let state = DocState::Loading { waiting, requests, ask, found: false, held_back: None };
        let mut entry = Doc { lineage, opened, state, used: now, ..Doc::default() };
        if let Some(known) = self.model.catalogue.get(doc).filter(|known| known.lineage == lineage) {
            // What was learnt before it left memory.
            entry.confirmed.clone_from(&known.confirmed);
            entry.confirmed_on_disk.clone_from(&known.durable);
            entry.creator.clone_from(&known.creator);
            entry.announced = known.announced;
        }
        self.model.docs.insert(doc.clone(), entry);
        self.model.unsent.remove(doc);
        self.watch_memory(out);
        out.push(Effect::CreateDoc { doc: doc.clone(), lineage });
        for store in stores {
            self.load(store, doc, out);
        }
        if nothing_to_wait_for {
            self.finish_loading(doc, now, out);
        } else {
            self.model.arm(Timer::LoadTimeout(doc.clone()), super::LOAD_TIMEOUT_MS, out);
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
        if self.model.forgotten.contains(&doc) || self.is_deleted(&doc) || !self.permissions.visibility(&doc, &peer) {
            return;
        }
        if let Some(entry) = self.model.docs.get_mut(&doc) {
            match &mut entry.state {
                DocState::Loading { ask, .. } => {
                    ask.insert(channel);
                }
                DocState::Ready => self.ask(channel, &doc, true, out),
            }
            return;
        }
        let known = self.model.catalogue.contains_key(&doc);
        if !known && (self.model.is_crowded(channel) || !self.permissions.creation(&doc, &peer)) {
            return;
        }
        let lineage = self.model.lineage(&doc).unwrap_or(0);
        self.note(&doc, lineage, out);
        if self.keeps_up(channel, &doc) {
            self.begin(&doc, lineage, false, BTreeSet::from([channel]), Vec::new(), now, out);
        }
    }

    /// Tells the peers that have nothing to do with a document yet that it exists: once, or `again` when they may see more.
    pub(super) fn announce(&mut self, doc: &DocId, again: bool, out: &mut Vec<Effect>) {
        let Some(entry) = self.model.docs.get_mut(doc).filter(|entry| !entry.version.is_empty()) else { return };
        if std::mem::replace(&mut entry.announced, true) && !again {
            return;
        }
        self.announce_to_strangers(doc, out);
    }

    /// Tells peers that may see more now of documents that left memory after they had been announced.
    pub(super) fn announce_away(&mut self, out: &mut Vec<Effect>) {
        let announced = |(doc, known): &(&DocId, &Known)| known.announced && !self.model.docs.contains_key(*doc);
        let docs: Vec<_> = self.model.catalogue.iter().filter(announced).map(|(doc, _)| doc.clone()).collect();
        for doc in docs {
            self.announce_to_strangers(&doc, out);
        }
    }

    fn announce_to_strangers(&mut self, doc: &DocId, out: &mut Vec<Effect>) {
        for channel in self.model.pipes() {
            if self.model.peek(channel, doc).is_some_and(|link| link.subscribed || link.asked) || !self.sees(channel, doc) {
                continue;
            }
            if self.model.is_extended(channel) {
                self.tell_heads(channel, doc, false, out);
            } else {
                out.push(Effect::Send { channel, message: Message::NewDoc { docs: vec![doc.clone()] } });
            }
        }
    }

    pub(super) fn directory_requested(&mut self, channel: ChannelId, filter: Option<Vec<DocId>>, out: &mut Vec<Effect>) {
        let Some(peer) = self.model.context(channel) else { return };
        let wanted: Option<BTreeSet<DocId>> = filter.map(|docs| docs.into_iter().collect());
        let docs = self
            .model
            .catalogue
            .keys()
            .filter(|doc| wanted.as_ref().is_none_or(|wanted| wanted.contains(doc)) && self.permissions.visibility(doc, &peer))
            .cloned()
            .collect();
        out.push(Effect::Send { channel, message: Message::DirectoryResponse { docs } });
    }

    pub(super) fn discovery_wanted(&mut self, out: &mut Vec<Effect>) {
        for channel in self.model.pipes() {
            if self.model.channels.get(&channel).is_some_and(|entry| entry.kind == ChannelKind::Network) {
                out.push(Effect::Send { channel, message: Message::DirectoryRequest { docs: None } });
            }
        }
    }
}
