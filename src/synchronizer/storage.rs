//! Stores: read first, written in one transaction at a time, believed only when they say so.
//!
//! Decides when a document is read, what waits for it, what is written and when a snapshot replaces updates. Never
//! touches bytes. Permissions: visibility decides whether a store may keep a document; what it kept is always taken.

use super::{
    ChannelId, ChannelKind, Effect, Event, Note, StoreDoc, Stored, StoredSize, Synchronizer, Timer, Timestamp,
    model::{Channel, Doc, DocState, Known, Load, Rewrite, Source},
};
use crate::{
    collections::{SortedMap, SortedSet},
    protocol::{DocId, Identity, PeerId, PeerType, Role, VersionVector},
};

/// A document is written as one snapshot when it has this many records …
const MAX_RECORDS: u32 = 48;
/// From so many records on those another tab wrote are read, so that they can be replaced as well.
const READ_AGAIN_RECORDS: u32 = 40;
/// … or some records whose updates outweigh the snapshot and this many bytes.
const MIN_COMPACTED_BYTES: u64 = 256 * 1024;
/// A document is also written as one snapshot when nothing was written of it for so many milliseconds …
const QUIET_MS: u64 = 5_000;
/// … and one more for so many bytes, so that a large one is not written whole in every pause.
const QUIET_BYTES_PER_MS: u64 = 64;
/// Updates that are read slower than a snapshot though there is nothing else.
const LARGE_UPDATE_BYTES: u64 = 64 * 1024;
/// Tabs that share a store look at different milliseconds, so that the later ones find it done.
const SPREAD_MS: u64 = 1_024;
/// Milliseconds over which it is gathered what other machines were found to keep.
const NOTE_DELAY_MS: u64 = 2_000;
const RETRY_MS: u64 = 1_000;
const MAX_RETRY_MS: u64 = 30_000;

impl Synchronizer {
    /// Returns whether a store may keep a document.
    #[must_use]
    pub fn keeps(&self, store: ChannelId, doc: &DocId) -> bool {
        self.may_keep(store, doc)
    }

    pub(super) fn may_keep(&self, store: ChannelId, doc: &DocId) -> bool {
        self.sees(store, doc)
    }

    pub(super) fn store_expected(&mut self, adapter: usize) {
        self.model.expected_stores.insert(adapter);
    }

    pub(super) fn store_unavailable(&mut self, adapter: usize, now: Timestamp, out: &mut Vec<Effect>) {
        self.model.expected_stores.remove(&adapter);
        self.source_spoke(Source::Adapter(adapter), now, out);
        self.records_source_spoke(Source::Adapter(adapter), out);
    }

    pub(super) fn store_opened(
        &mut self,
        channel: ChannelId,
        adapter: usize,
        peer: PeerId,
        name: String,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        self.model.expected_stores.remove(&adapter);
        let mut entry = Channel::new(ChannelKind::Storage);
        let identity = Identity { peer_id: peer.clone(), name: Some(name), peer_type: PeerType::Service, capabilities: None };
        entry.establish(channel, identity);
        self.model.add_channel(channel, entry);
        out.push(Effect::Emit(Event::PeerConnected(peer)));
        out.push(Effect::ListDocs { channel });
        self.records_store_opened(channel, adapter, out);
        let docs: Vec<_> = self.model.docs.keys().cloned().collect();
        for doc in docs {
            let keeps = self.may_keep(channel, &doc);
            if let Some(entry) = self.model.docs.get_mut(&doc)
                && let DocState::Loading { begun, waiting, .. } = &mut entry.state
            {
                if !*begun {
                    continue;
                }
                waiting.remove(&Source::Adapter(adapter));
                if keeps {
                    waiting.insert(Source::Store(channel));
                }
            }
            if keeps {
                self.load(channel, &doc, out);
            }
            self.source_spoke_for(&doc, Source::Adapter(adapter), now, out);
        }
    }

    pub(super) fn listed(&mut self, channel: ChannelId, docs: Vec<(DocId, Stored)>, now: Timestamp, out: &mut Vec<Effect>) {
        self.bury_unheard(channel, &docs, out);
        let mut news = false;
        for (doc, stored) in docs {
            self.take_tombstone(&doc, &stored, now, out);
            if self.model.forgotten.contains(&doc) || self.model.is_buried(&doc, stored.lineage) {
                continue;
            }
            news |= self.model.held(&doc).is_none();
            self.note(&doc, stored.lineage, out);
            self.know_stored(&doc, stored);
        }
        self.forget_tombstones(now, out);
        if news {
            self.schedule_directories(out);
        }
        for channel in self.model.pipes() {
            self.offer_stranded(channel, now, out);
        }
    }

    pub(super) fn list_failed(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        if let Some(entry) = self.model.channels.get_mut(&channel) {
            let after = (RETRY_MS << entry.store.lists_failed.min(5)).min(MAX_RETRY_MS);
            entry.store.lists_failed = entry.store.lists_failed.saturating_add(1);
            self.model.arm(Timer::Relist(channel), after, out);
        }
    }

    /// Deletes and forgets what was deleted and forgotten before the store was there to hear of it.
    fn bury_unheard(&self, channel: ChannelId, docs: &[(DocId, Stored)], out: &mut Vec<Effect>) {
        for (doc, _) in docs.iter().filter(|(doc, _)| self.model.forgotten.contains(doc)) {
            out.push(Effect::ForgetDoc { channel, doc: doc.clone() });
        }
        let remembered: SortedMap<&DocId, u64> =
            docs.iter().filter_map(|(doc, stored)| Some((doc, stored.tombstone.as_ref()?.lineage))).collect();
        for (doc, tombstone) in &self.model.buried {
            if remembered.get(doc).is_none_or(|lineage| *lineage < tombstone.lineage) && self.may_keep(channel, doc) {
                out.push(Effect::BuryDoc { channel, doc: doc.clone(), tombstone: tombstone.clone() });
            }
        }
    }

    /// A store remembers a deletion.
    fn take_tombstone(&mut self, doc: &DocId, stored: &Stored, now: Timestamp, out: &mut Vec<Effect>) {
        if let Some(tombstone) = &stored.tombstone {
            if self.model.lineage(doc).is_some_and(|lineage| lineage <= tombstone.lineage) {
                self.bury(doc, tombstone.clone(), now, out);
            }
            self.note_tombstone(doc, tombstone.clone());
        }
    }

    /// No store is left: nothing is known of what they had.
    pub(super) fn forget_stored(&mut self) {
        let away: Vec<_> = self.model.catalogue.keys().filter(|doc| !self.model.docs.contains_key(doc)).cloned().collect();
        for doc in away {
            if let Some(known) = self.model.catalogue.get_mut(&doc) {
                known.version = VersionVector::new();
                known.away = false;
            }
        }
        self.model.unsent.clear();
    }

    fn know_stored(&mut self, doc: &DocId, stored: Stored) {
        let keepers = self.model.keepers_named(&stored.keepers);
        if let Some(known) = self.model.catalogue.get_mut(doc) {
            if known.lineage < stored.lineage {
                *known = Known { lineage: stored.lineage, ..Known::default() };
            }
            if known.lineage == stored.lineage {
                known.version.merge(&stored.version);
                known.confirmed.merge(&stored.confirmed);
                known.take_kept(&stored.confirmed, keepers);
                known.creator = known.creator.take().or(stored.creator);
                if known.marks.is_empty() {
                    known.marks = stored.marks;
                }
            }
        }
    }

    /// Every store was read: the index says of the document what they really have.
    pub(super) fn trust_stores(&mut self, doc: &DocId) {
        let stores: Vec<_> = self.model.stores().into_iter().filter(|store| self.may_keep(*store, doc)).collect();
        let read = |store: &ChannelId| self.model.holding(*store, doc).is_some_and(|holding| matches!(holding.load, Load::Done { .. }));
        if stores.is_empty() || !stores.iter().all(read) {
            return;
        }
        let mut version = VersionVector::new();
        for holding in stores.iter().filter_map(|store| self.model.holding(*store, doc)) {
            version.merge(&holding.version.clone().unwrap_or_default());
        }
        if let Some(known) = self.model.catalogue.get_mut(doc) {
            known.version = version;
        }
    }

    pub(super) fn load(&mut self, store: ChannelId, doc: &DocId, out: &mut Vec<Effect>) {
        if let Some(holding) = self.model.holding_mut(store, doc) {
            holding.load = Load::Pending;
            out.push(Effect::LoadDoc { channel: store, doc: doc.clone() });
        }
    }

    pub(super) fn reload(&mut self, store: ChannelId, doc: &DocId, out: &mut Vec<Effect>) {
        let failed = self.model.holding(store, doc).is_some_and(|holding| holding.load == Load::Failed);
        if failed && self.model.docs.contains_key(doc) {
            out.push(Effect::LoadDoc { channel: store, doc: doc.clone() });
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one input")]
    pub(super) fn loaded(
        &mut self,
        store: ChannelId,
        doc: &DocId,
        stored: Stored,
        version: &VersionVector,
        size: StoredSize,
        whole: bool,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        self.take_tombstone(doc, &stored, now, out);
        let Some(entry) = self.model.docs.get_mut(doc) else { return };
        let has_it = !stored.version.is_empty() && stored.lineage >= entry.lineage;
        if has_it {
            // Opened before the store said which creation it is: it is that one.
            entry.lineage = stored.lineage;
            entry.creator = stored.creator.clone().or_else(|| entry.creator.take());
            entry.kept.merge(&stored.confirmed);
            if !entry.confirmed.includes(&stored.confirmed) {
                entry.confirmed.merge(&stored.confirmed);
                self.model.confirmed.insert(doc.clone());
            }
        }
        let known = if has_it { stored.version.clone() } else { VersionVector::new() };
        self.know_stored(doc, stored);
        let Some(holding) = self.model.holding_mut(store, doc) else { return };
        holding.version = Some(known);
        holding.size = size;
        holding.stuck = size.foreign;
        holding.attempts = 0;
        holding.load = Load::Done { whole };
        holding.settle &= whole && is_scattered(holding.size, holding.stuck);
        self.model.measure(doc);
        self.watch_memory(out);
        self.take_version(doc, version.clone());
        if let Some(entry) = self.model.docs.get_mut(doc)
            && let DocState::Loading { found, .. } = &mut entry.state
        {
            *found |= has_it;
        }
        if self.model.is_ready(doc) {
            self.propagate(doc, now, out);
            self.schedule_stores(doc, now, out);
        }
        self.source_spoke_for(doc, Source::Store(store), now, out);
    }

    pub(super) fn load_failed(&mut self, store: ChannelId, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(holding) = self.model.holding_mut(store, doc) else { return };
        holding.load = Load::Failed;
        holding.attempts = holding.attempts.saturating_add(1);
        let after = (RETRY_MS << holding.attempts.min(5)).min(MAX_RETRY_MS);
        self.model.arm(Timer::Reload(store, doc.clone()), after, out);
        self.source_spoke_for(doc, Source::Store(store), now, out);
        if self.model.is_ready(doc) {
            self.schedule_stores(doc, now, out);
        }
    }

    pub(super) fn load_timed_out(&mut self, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        self.finish_loading(doc, now, out);
    }

    /// A source has nothing more to say about any document.
    pub(super) fn source_spoke(&mut self, source: Source, now: Timestamp, out: &mut Vec<Effect>) {
        let docs: Vec<_> =
            self.model.docs.iter().filter(|(_, doc)| matches!(doc.state, DocState::Loading { .. })).map(|(id, _)| id.clone()).collect();
        for doc in docs {
            self.source_spoke_for(&doc, source, now, out);
        }
    }

    fn source_spoke_for(&mut self, doc: &DocId, source: Source, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(entry) = self.model.docs.get_mut(doc) else { return };
        let DocState::Loading { begun: true, waiting, .. } = &mut entry.state else { return };
        waiting.remove(&source);
        if waiting.is_empty() {
            self.finish_loading(doc, now, out);
        }
    }

    /// Arranges that every store gets what it lacks of the document.
    pub(super) fn schedule_stores(&mut self, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        for store in self.model.stores() {
            if self.is_dirty(store, doc) {
                let delay = self.config.store_delay_ms;
                let Some(entry) = self.model.channels.get_mut(&store) else { continue };
                entry.store.dirty.insert(doc.clone());
                if !entry.store.writing {
                    // The first edit after a pause is written at once: a page may be gone in a moment. Those that follow are gathered.
                    let after = if now.since(entry.store.written) >= delay { 0 } else { delay };
                    self.model.arm(Timer::StoreDue(store), after, out);
                }
            }
        }
    }

    fn is_dirty(&self, store: ChannelId, doc: &DocId) -> bool {
        let Some(entry) = self.model.docs.get(doc) else { return false };
        let Some(holding) = self.model.holding(store, doc) else { return false };
        // Opening alone writes nothing.
        let crowded = holding.rewrite != Rewrite::None
            || holding.settle && holding.size.foreign <= holding.stuck
            || holding.written.is_some() && outgrown(holding.load, holding.size) && holding.size.records >= READ_AGAIN_RECORDS;
        matches!(holding.load, Load::Done { .. } | Load::Failed)
            && !entry.version.is_empty()
            && (crowded || !holding.confirms(&entry.version))
    }

    pub(super) fn store_due(&mut self, store: ChannelId, out: &mut Vec<Effect>) {
        let Some(entry) = self.model.channels.get_mut(&store) else { return };
        if entry.store.writing {
            return;
        }
        let candidates = std::mem::take(&mut entry.store.dirty);
        let mut docs = Vec::new();
        for doc in candidates {
            if !self.is_dirty(store, &doc) || !self.may_keep(store, &doc) {
                continue;
            }
            let Some(holding) = self.model.holding_mut(store, &doc) else { continue };
            let (since, rewrite) = (holding.version.clone().unwrap_or_default(), std::mem::take(&mut holding.rewrite));
            // Asked for once: nothing is at stake if it fails, and the snapshot may be what there is no room for.
            let settle = std::mem::take(&mut holding.settle) && holding.load == Load::Done { whole: true };
            let snapshot = rewrite != Rewrite::None || settle || outgrown(holding.load, holding.size);
            let trim = match rewrite {
                Rewrite::None => VersionVector::new(),
                Rewrite::Wanted(version) | Rewrite::Writing(version) => {
                    holding.rewrite = Rewrite::Writing(version.clone());
                    version
                }
            };
            // The write carries it.
            self.model.unnoted.remove(&doc);
            docs.extend(self.write_of(doc, since, snapshot, trim));
        }
        let Some(entry) = self.model.channels.get_mut(&store) else { return };
        entry.store.flush_after = false;
        if !docs.is_empty() {
            entry.store.writing = true;
            // Kept until the store confirms: a failed write must find them again.
            entry.store.dirty.extend(docs.iter().map(|write| write.doc.clone()));
            out.push(Effect::StoreDocs { channel: store, docs });
        }
    }

    fn settle_spread(&self) -> u64 {
        self.config.identity.peer_id.as_str().bytes().fold(0, |sum, byte| (sum * 31 + u64::from(byte)) % SPREAD_MS)
    }

    pub(super) fn settle_due(&mut self, store: ChannelId, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(holding) = self.model.holding(store, doc) else { return };
        let Some(written) = holding.written else { return };
        match quiet_ms(holding.size).saturating_sub(now.since(written)) {
            0 => drop(self.settle(doc, now, out)),
            rest => self.model.arm(Timer::Settle(store, doc.clone()), rest, out),
        }
    }

    /// Has stores keep a document that was written to here as one snapshot, which is read far quicker than one with updates beside it;
    /// returns whether there is something to do. A relay keeps too many documents for that.
    pub(super) fn settle(&mut self, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) -> bool {
        let mut begun = false;
        for store in self.model.stores() {
            let version = self.model.version(doc);
            let works = self.model.channels.get(&store).is_some_and(|entry| entry.store.failures == 0);
            if self.role() == Role::Relay || !works || !self.may_keep(store, doc) || self.model.holding(store, doc).is_none() {
                continue;
            }
            let Some(holding) = self.model.holding_mut(store, doc) else { continue };
            let mut size = holding.size;
            let clean = holding.confirms(&version);
            size.records += u32::from(!clean);
            if holding.load != (Load::Done { whole: true }) || clean && holding.written.is_none() || !is_scattered(size, holding.stuck) {
                continue;
            }
            (holding.settle, begun) = (true, true);
            if clean && size.foreign > holding.stuck {
                // Another tab wrote them: read, they can be replaced, if it has not done that itself.
                out.push(Effect::LoadDoc { channel: store, doc: doc.clone() });
            }
        }
        if begun {
            self.schedule_stores(doc, now, out);
        }
        begun
    }

    /// The repo closes, and with it every document.
    pub(super) fn closing(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        let docs: Vec<_> = self.model.docs.keys().cloned().collect();
        for doc in docs {
            self.settle(&doc, now, out);
        }
        self.announce_now(out);
    }

    fn write_of(&self, doc: DocId, since: VersionVector, snapshot: bool, trim: VersionVector) -> Option<StoreDoc> {
        let entry = self.model.docs.get(&doc)?;
        let (lineage, confirmed, creator) = (entry.lineage, entry.kept.clone(), entry.creator.clone());
        let keepers = self.model.keepers_of(&doc, lineage);
        Some(StoreDoc { doc, since, snapshot, lineage, confirmed, keepers, creator, trim })
    }

    /// Returns what a store has not confirmed of the documents in memory, whether or not that is being written, or the document was read.
    #[must_use]
    pub fn unconfirmed(&self, store: ChannelId) -> Vec<StoreDoc> {
        let lacks = |(doc, entry): (&DocId, &Doc)| {
            let holding = self.model.holding(store, doc)?;
            let lacks = holding.load != Load::Refused && !entry.version.is_empty() && !holding.confirms(&entry.version);
            let since = holding.version.clone().unwrap_or_default();
            (lacks && self.may_keep(store, doc)).then(|| self.write_of(doc.clone(), since, false, VersionVector::new()))?
        };
        self.model.docs.iter().filter_map(lacks).collect()
    }

    pub(super) fn stored(
        &mut self,
        store: ChannelId,
        docs: Vec<(DocId, VersionVector, StoredSize)>,
        refused: &[DocId],
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(entry) = self.model.channels.get_mut(&store) else { return };
        entry.store.writing = false;
        entry.store.written = now;
        if std::mem::take(&mut entry.store.failures) > 0 {
            out.push(Effect::Emit(Event::StorageRecovered));
        }
        for doc in refused {
            if let Some(entry) = self.model.channels.get_mut(&store) {
                entry.store.dirty.remove(doc);
            }
            if let Some(holding) = self.model.holding_mut(store, doc) {
                holding.load = Load::Refused;
            }
        }
        for (doc, version, size) in docs {
            if !self.model.docs.contains_key(&doc) {
                continue;
            }
            let Some(holding) = self.model.holding_mut(store, &doc) else { continue };
            holding.version.get_or_insert_default().merge(&version);
            let more = size.records >= READ_AGAIN_RECORDS && size.foreign > holding.stuck;
            holding.size = size;
            holding.written = Some(now);
            let scattered = is_scattered(size, holding.stuck);
            if matches!(holding.rewrite, Rewrite::Writing(_)) {
                holding.rewrite = Rewrite::None;
            }
            if more {
                // Another tab wrote them: read, they can be replaced.
                holding.stuck = size.foreign;
                out.push(Effect::LoadDoc { channel: store, doc: doc.clone() });
            }
            if scattered && self.role() == Role::Leaf {
                let spread = if size.foreign > 0 { self.settle_spread() } else { 0 };
                self.model.arm(Timer::Settle(store, doc.clone()), quiet_ms(size) + spread, out);
            }
            self.model.measure(&doc);
            let lineage = self.model.lineage(&doc).unwrap_or(0);
            self.know_stored(&doc, Stored { version, lineage, ..Stored::default() });
            self.acknowledge_stored(&doc, out);
            let dirty = self.is_dirty(store, &doc);
            if let Some(entry) = self.model.channels.get_mut(&store)
                && !dirty
            {
                entry.store.dirty.remove(&doc);
            }
        }
        self.watch_memory(out);
        let delay = self.config.store_delay_ms;
        let Some(entry) = self.model.channels.get(&store) else { return };
        if entry.store.flush_after {
            self.store_due(store, out);
        } else if !entry.store.dirty.is_empty() {
            self.model.arm(Timer::StoreDue(store), delay, out);
        }
    }

    pub(super) fn store_failed(&mut self, store: ChannelId, out: &mut Vec<Effect>) {
        let Some(entry) = self.model.channels.get_mut(&store) else { return };
        entry.store.writing = false;
        entry.store.flush_after = false;
        entry.store.failures = entry.store.failures.saturating_add(1);
        let after = (RETRY_MS << (entry.store.failures - 1).min(5)).min(MAX_RETRY_MS);
        self.model.arm(Timer::StoreDue(store), after, out);
    }

    /// Arranges that stores note what other machines keep: it tells the next start what is still to be sent, and costs nothing if lost.
    pub(super) fn schedule_notes(&mut self, out: &mut Vec<Effect>) {
        if self.model.unnoted.is_empty() && self.model.unmarked.is_empty() {
            return;
        }
        let stores = self.model.has_stores();
        // A relay compares everything with every relay it meets, and its clients come to it.
        if self.role() == Role::Relay || !stores {
            self.model.unnoted.clear();
        }
        if !stores {
            self.model.unmarked.clear();
        } else if !(self.model.unnoted.is_empty() && self.model.unmarked.is_empty()) {
            self.model.arm(Timer::Note, NOTE_DELAY_MS, out);
        }
    }

    /// A store could not note what others have: it is tried again.
    pub(super) fn note_failed(&mut self, docs: Vec<DocId>) {
        let marked = |doc: &&DocId| self.model.catalogue.get(*doc).is_some_and(|known| !known.marks.is_empty());
        let marked: Vec<_> = docs.iter().filter(marked).cloned().collect();
        self.model.unmarked.extend(marked);
        self.model.unnoted.extend(docs);
    }

    pub(super) fn note_confirmed(&mut self, out: &mut Vec<Effect>) {
        let stores = self.model.stores();
        let writing = |entry: &Channel, doc: &DocId| entry.store.dirty.contains(doc);
        // What is about to be written carries it.
        let dirty = |doc: &DocId| stores.iter().filter_map(|store| self.model.channels.get(store)).any(|entry| writing(entry, doc));
        let (later, mut now): (SortedSet<_>, SortedSet<_>) = self.model.unnoted.iter().cloned().partition(dirty);
        self.model.unnoted = later;
        let marked = std::mem::take(&mut self.model.unmarked);
        now.extend(marked.iter().cloned());
        for store in stores {
            let known = |doc: &DocId| {
                let known = self.model.catalogue.get(doc).filter(|known| !known.version.is_empty())?;
                Some(Note {
                    doc: doc.clone(),
                    lineage: known.lineage,
                    confirmed: known.kept.clone(),
                    keepers: self.model.keepers_of(doc, known.lineage),
                    marks: marked.contains(doc).then(|| known.marks.clone()),
                })
            };
            let docs: Vec<_> = now.iter().filter(|doc| self.may_keep(store, doc)).filter_map(known).collect();
            if !docs.is_empty() {
                out.push(Effect::NoteConfirmed { channel: store, docs });
            }
        }
    }

    /// Offers a peer that keeps documents what is only in stores here and, as far as is known, kept by no other machine, or not by that one.
    pub(super) fn offer_stranded(&mut self, channel: ChannelId, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(entry) = self.model.channels.get(&channel) else { return };
        let extended = self.model.is_extended(channel);
        if entry.kind != ChannelKind::Network || entry.role != Role::Relay || !(entry.initiated || extended) {
            return;
        }
        for doc in self.model.stranded(channel) {
            if !self.sees(channel, &doc) || self.model.peek(channel, &doc).is_some_and(|link| link.known.is_some() || link.waiting) {
                continue;
            }
            if extended {
                // Read only if it is wanted.
                self.tell_heads(channel, &doc, true, out);
            } else {
                let lineage = self.model.lineage(&doc).unwrap_or(0);
                self.begin(&doc, lineage, false, SortedSet::from([channel]), Vec::new(), now, out);
            }
        }
    }

    pub(super) fn flush_wanted(&mut self, out: &mut Vec<Effect>) {
        self.flush_records(out);
        self.note_confirmed(out);
        for store in self.model.stores() {
            let Some(entry) = self.model.channels.get_mut(&store) else { continue };
            if entry.store.writing {
                entry.store.flush_after = true;
            } else {
                self.store_due(store, out);
            }
        }
    }
}

/// Returns whether records that could be one are several; `stuck` of them cannot be replaced.
fn is_scattered(size: StoredSize, stuck: u32) -> bool {
    size.records.saturating_sub(size.foreign.min(stuck)) > 1 || size.update_bytes >= LARGE_UPDATE_BYTES
}

/// Returns the milliseconds after which nothing more is expected to be written of a document.
fn quiet_ms(size: StoredSize) -> u64 {
    QUIET_MS + (size.snapshot_bytes + size.update_bytes) / QUIET_BYTES_PER_MS
}

fn outgrown(load: Load, size: StoredSize) -> bool {
    let own = size.records.saturating_sub(size.foreign);
    let heavy = own > 8 && size.update_bytes > size.snapshot_bytes.max(MIN_COMPACTED_BYTES);
    load == Load::Done { whole: true } && (own >= MAX_RECORDS || (own >= MAX_RECORDS / 2 && size.records >= READ_AGAIN_RECORDS) || heavy)
}
