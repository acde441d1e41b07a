//! Which documents leave memory, and what brings one back.
//!
//! Decides by when a document was last used, how large it is, and whether anything of it would be lost or missed: one that is open, being
//! read, not on disk in every store, or has something under way stays. What holds a document outside the model (a handle, somebody who
//! waits) is told by the runtime. A document that left is known by its index; a peer's change of it is held back until it
//! has been read again.

use super::{
    ChannelId, ChannelKind, Effect, Interest, Synchronizer, Timer, Timestamp,
    model::{Doc, DocState, Load, Rewrite},
};
use crate::{
    collections::{SortedSet, sort_by_key},
    protocol::{DocId, Message, Transmission, VersionVector},
};

/// Milliseconds between two looks at what is in memory.
const LOOK_MS: u64 = 1_000;
/// The same while all that is too much is held.
const LOOK_AGAIN_MS: u64 = 10_000;
/// Milliseconds a document stays after its last use while a peer has not confirmed what it was sent.
const PATIENCE_MS: u64 = 60_000;
/// Documents that leave at one look: it must not take long.
pub(super) const MAX_UNLOADED: usize = 4_096;
/// Bytes of messages held back for one document.
const MAX_HELD_BACK: usize = 1024 * 1024;
/// Bytes of messages held back for all documents together.
const MAX_HELD_BACK_IN_ALL: usize = 64 * 1024 * 1024;

/// How much of the documents nobody has open stays in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBudget {
    /// Number of documents.
    pub documents: usize,
    /// Bytes they take in a store, together.
    pub bytes: u64,
}

impl Default for MemoryBudget {
    /// 100 documents, 16 MiB.
    fn default() -> Self {
        Self { documents: 100, bytes: 16 * 1024 * 1024 }
    }
}

impl MemoryBudget {
    /// Everything stays.
    pub const UNLIMITED: Self = Self { documents: usize::MAX, bytes: u64::MAX };
}

impl Synchronizer {
    /// Arranges that memory is looked at, if there may be too much in it.
    pub(super) fn watch_memory(&mut self, out: &mut Vec<Effect>) {
        let budget = self.config.memory;
        if self.model.has_stores() && (self.model.docs.len() > budget.documents || self.model.loaded_bytes > budget.bytes) {
            self.model.arm(Timer::Memory, LOOK_MS, out);
        }
    }

    /// Notes that a document was used.
    pub(super) fn used(&mut self, doc: &DocId, now: Timestamp) {
        if let Some(entry) = self.model.docs.get_mut(doc) {
            entry.used = now;
        }
    }

    pub(super) fn memory_due(&mut self, out: &mut Vec<Effect>) {
        if self.over_budget(&self.idle(&SortedSet::new())) {
            out.push(Effect::CheckMemory);
        }
    }

    /// The runtime has told which documents are held outside.
    pub(super) fn memory_checked(&mut self, held: &SortedSet<DocId>, now: Timestamp, out: &mut Vec<Effect>) {
        let mut idle = self.idle(held);
        // The least recently used first; a clock that was set back makes none the latest for ever.
        sort_by_key(&mut idle, |(used, _, _)| if *used > now { Timestamp(0) } else { *used });
        let (mut documents, mut bytes) = size_of(&idle);
        let mut unloaded = 0;
        for (_, size, doc) in &idle {
            if unloaded == MAX_UNLOADED || !self.exceeds_budget(documents, bytes) {
                break;
            }
            if self.may_leave(doc, now) {
                documents -= 1;
                bytes -= size;
                unloaded += 1;
                if self.settle(doc, now, out) {
                    // It leaves when it is written.
                    self.model.arm(Timer::Memory, LOOK_MS, out);
                } else {
                    self.unload(doc, out);
                }
            }
        }
        if self.exceeds_budget(documents, bytes) {
            self.model.arm(Timer::Memory, LOOK_MS, out);
        } else if self.over_budget(&self.idle(&SortedSet::new())) {
            // Nobody tells when what holds a document lets it go.
            self.model.arm(Timer::Memory, LOOK_AGAIN_MS, out);
        }
    }

    /// Returns the documents nobody has open, with when they were last used and how large they are.
    fn idle(&self, held: &SortedSet<DocId>) -> Vec<(Timestamp, u64, DocId)> {
        let idle = self.model.docs.iter().filter(|(doc, entry)| !entry.opened && !held.contains(*doc));
        idle.map(|(doc, entry)| (entry.used, entry.bytes, doc.clone())).collect()
    }

    fn over_budget(&self, idle: &[(Timestamp, u64, DocId)]) -> bool {
        let (documents, bytes) = size_of(idle);
        self.exceeds_budget(documents, bytes)
    }

    fn exceeds_budget(&self, documents: usize, bytes: u64) -> bool {
        documents > self.config.memory.documents || bytes > self.config.memory.bytes
    }

    fn may_leave(&self, doc: &DocId, now: Timestamp) -> bool {
        let Some(entry) = self.model.docs.get(doc) else { return false };
        let ready = matches!(entry.state, DocState::Ready) && entry.fetches.is_empty() && self.model.expected_stores.is_empty();
        let stores: Vec<_> = self.model.stores().into_iter().filter(|store| self.may_keep(*store, doc)).collect();
        let stored = !stores.is_empty()
            && stores.iter().all(|store| {
                self.model.holding(*store, doc).is_some_and(|holding| {
                    let clean = holding.rewrite == Rewrite::None && !holding.settle && holding.confirms(&entry.version);
                    clean && matches!(holding.load, Load::Done { .. })
                })
            });
        ready && stored && !self.model.owes(doc) && (self.is_settled(doc, entry) || now.since(entry.used) >= PATIENCE_MS)
    }

    /// Returns whether every peer has confirmed what it was sent, and given what it was asked for.
    fn is_settled(&self, doc: &DocId, entry: &Doc) -> bool {
        self.model.links(doc).all(|(_, link)| {
            let behind = link.known.as_ref().is_some_and(|known| !entry.version.includes(known));
            !link.waiting && link.unconfirmed_since.is_none() && !behind
        })
    }

    fn unload(&mut self, doc: &DocId, out: &mut Vec<Effect>) {
        let Some(entry) = self.model.take_doc(doc) else { return };
        if let Some(known) = self.model.catalogue.get_mut(doc) {
            known.lineage = entry.lineage;
            known.version = entry.version;
            known.confirmed.merge(&entry.confirmed);
            known.durable.merge(&entry.confirmed_on_disk);
            known.take_kept(&entry.kept, Default::default());
            known.creator = entry.creator.or_else(|| known.creator.take());
            known.announced = entry.announced;
            known.away = true;
        }
        self.model.count_unsent(doc);
        for channel in self.model.linked_peers(doc) {
            let tab = self.model.channels.get(&channel).is_some_and(|entry| entry.kind == ChannelKind::Tabs);
            if tab && self.config.interest == Interest::Opened {
                // Tabs share their stores: what another one changes is read from there.
                self.model.unlink(channel, doc);
            } else if let Some(link) = self.model.link(channel, doc) {
                link.waiting = false;
                link.unconfirmed_since = None;
                self.model.hasten(channel, doc);
            }
        }
        out.push(Effect::UnloadDoc { doc: doc.clone() });
    }

    /// Returns whether changes of a document that a peer speaks of are to be had here: it is kept up with though it may have left memory.
    pub(super) fn keeps_up(&self, channel: ChannelId, doc: &DocId) -> bool {
        self.config.interest == Interest::Everything || self.model.peek(channel, doc).is_some_and(|link| link.asked)
    }

    /// Holds a message back whose document is not in memory, and has that read; `None` if so. Any other message is given back.
    pub(super) fn hold_back(&mut self, channel: ChannelId, message: Message, now: Timestamp, out: &mut Vec<Effect>) -> Option<Message> {
        let Some((doc, bytes)) = carried(&message) else { return Some(message) };
        let room = self.model.held_back + bytes <= MAX_HELD_BACK_IN_ALL;
        match self.model.docs.get_mut(doc) {
            Some(Doc { state: DocState::Loading { held_back: Some(held_back), .. }, .. }) => {
                if !room || bytes_of(held_back) + bytes > MAX_HELD_BACK {
                    return Some(message);
                }
                self.model.held_back += bytes;
                held_back.push((channel, message));
                return None;
            }
            Some(_) => return Some(message),
            None => {}
        }
        let Some(lineage) = self.model.catalogue.get(doc).map(|known| known.lineage) else { return Some(message) };
        let wanted = room && bytes <= MAX_HELD_BACK && self.model.has_stores() && self.keeps_up(channel, doc) && self.sees(channel, doc);
        if !wanted || self.model.forgotten.contains(doc) || self.is_deleted(doc) {
            return Some(message);
        }
        let doc = doc.clone();
        self.begin(&doc, lineage, false, SortedSet::new(), Vec::new(), now, out);
        match self.model.docs.get_mut(&doc).map(|entry| &mut entry.state) {
            Some(DocState::Loading { held_back, .. }) => {
                *held_back = Some(vec![(channel, message)]);
                self.model.held_back += bytes;
                None
            }
            _ => Some(message),
        }
    }

    /// Compares documents that left memory with a peer: by what is known of them where it understands that, else they are read.
    pub(super) fn compare_away(
        &mut self,
        channel: ChannelId,
        docs: impl IntoIterator<Item = DocId>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        for doc in docs {
            let Some((lineage, _)) = self.model.held(&doc) else { continue };
            if !self.sees(channel, &doc) {
                continue;
            }
            if let Some(entry) = self.model.docs.get_mut(&doc) {
                // It is on its way back.
                if let DocState::Loading { ask, .. } = &mut entry.state {
                    ask.insert(channel);
                }
                continue;
            }
            if self.model.is_extended(channel) {
                self.ask(channel, &doc, true, out);
            } else {
                self.begin(&doc, lineage, false, SortedSet::from([channel]), Vec::new(), now, out);
            }
        }
    }

    /// A document was read: what was held back for it takes its course.
    pub(super) fn release(&mut self, held_back: Vec<(ChannelId, Message)>, now: Timestamp, out: &mut Vec<Effect>) {
        self.model.held_back -= bytes_of(&held_back);
        for (channel, message) in held_back {
            self.received(channel, message, now, out);
        }
    }

    /// Returns the number of operations in documents that are not in memory and that no other machine has confirmed.
    #[must_use]
    pub fn unsent(&self) -> u64 {
        self.model.unsent.values().sum()
    }
}

/// Returns how many documents these are, and the bytes they take together.
fn size_of(idle: &[(Timestamp, u64, DocId)]) -> (usize, u64) {
    (idle.len(), idle.iter().map(|(_, bytes, _)| bytes).sum())
}

/// Returns the document a message brings something of, and how many bytes. Of the extension's own messages `heads` decides.
fn carried(message: &Message) -> Option<(&DocId, usize)> {
    match message {
        Message::Update { doc, transmission } | Message::SyncResponse { doc, transmission, .. } => match transmission {
            Transmission::Snapshot { data, .. } | Transmission::Update { data, .. } => Some((doc, data.len())),
            Transmission::UpToDate { .. } | Transmission::Unavailable | Transmission::Unknown => None,
        },
        _ => None,
    }
}

/// Returns how many bytes are held back.
pub(super) fn bytes_of(held_back: &[(ChannelId, Message)]) -> usize {
    held_back.iter().filter_map(|(_, message)| carried(message)).map(|(_, bytes)| bytes).sum()
}

/// Returns the number of operations in `whole` that `part` lacks.
pub(super) fn beyond(whole: &VersionVector, part: &VersionVector) -> u64 {
    whole.iter().map(|(author, end)| u64::try_from(end - part.get(author).min(end)).unwrap_or(0)).sum()
}
