//! What is known of each document at each peer, on the present connections.
//!
//! Decides what was said and what was only sent. Never what is sent next.

use super::{Model, Timer};
use crate::{
    collections::SortedMap,
    protocol::{DocId, RefusalReason, VersionVector},
    synchronizer::{ChannelId, ChannelKind, Timestamp},
};

/// Milliseconds a source that failed is left alone, doubled each time.
const RETRY_SOURCE_MS: u64 = 10_000;
/// The longest such rest; one that seems longer is a clock's that was set back.
pub(in crate::synchronizer) const LONGEST_REST_MS: u64 = RETRY_SOURCE_MS << 6;
/// Requests of one peer for the same document that are answered in a window of so many milliseconds.
const MAX_ANSWERS: u32 = 64;
const ANSWERS_WINDOW_MS: u64 = 10_000;

/// What is known of one document at each channel, in order of their opening.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<(ChannelId, Box<Link>)>);

impl Links {
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (ChannelId, &mut Link)> {
        self.0.iter_mut().map(|(channel, link)| (*channel, link.as_mut()))
    }

    fn place(&self, channel: ChannelId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&channel, |(channel, _)| *channel)
    }

    fn remove(&mut self, channel: ChannelId) -> Option<Link> {
        self.place(channel).ok().map(|at| *self.0.remove(at).1)
    }
}

/// What is known of one document at one peer, on the present connection.
#[derive(Debug, Default)]
pub(in crate::synchronizer) struct Link {
    /// What the peer said it has. Never what was sent to it.
    pub(in crate::synchronizer) known: Option<VersionVector>,
    /// What was sent on top, on this connection: the base of the next push, no proof of anything.
    pub(in crate::synchronizer) sent: VersionVector,
    /// The peer asked for the document and gets pushes.
    pub(in crate::synchronizer) subscribed: bool,
    /// It was asked at least once on this connection.
    pub(in crate::synchronizer) asked: bool,
    /// It was asked and has not answered.
    pub(in crate::synchronizer) waiting: bool,
    /// It said that it does not have the document.
    pub(in crate::synchronizer) absent: bool,
    /// Questions since the last progress, for the back-off.
    pub(in crate::synchronizer) attempts: u32,
    pub(in crate::synchronizer) unconfirmed_since: Option<Timestamp>,
    pub(in crate::synchronizer) last_push: Timestamp,
    /// Changes travel to the peer on another path: it is only told of them.
    pub(in crate::synchronizer) lazy: bool,
    /// The peer took nothing lately, and why.
    pub(in crate::synchronizer) refused: Option<RefusalReason>,
    /// How often in a row.
    pub(in crate::synchronizer) refusals: u32,
    /// The reason the application was told last.
    pub(in crate::synchronizer) last_refusal: Option<RefusalReason>,
    /// It was told that its changes are not taken here.
    pub(in crate::synchronizer) denied: bool,
    /// What the peer said it has on disk.
    pub(in crate::synchronizer) durable: VersionVector,
    /// It gave changes that are not on disk here.
    pub(in crate::synchronizer) awaits_disk: bool,
    /// When it may be asked again after it did not give what it said it has.
    pub(in crate::synchronizer) failed_until: Option<Timestamp>,
    /// How often it failed in a row.
    pub(in crate::synchronizer) failures: u32,
    /// How often it asked for the same document, and since when that is counted.
    pub(in crate::synchronizer) answers: (Timestamp, u32),
    /// What everybody that it knows to follow the document has on disk, it itself included, which keeps all of the history.
    pub(in crate::synchronizer) settled: VersionVector,
    /// When it may be asked for that again, and how often it was since it had news.
    pub(in crate::synchronizer) settled_asks: (Timestamp, u32),
    /// It said that it keeps only the end of the history.
    pub(in crate::synchronizer) trimmed: bool,
    /// It was told so of this side.
    pub(in crate::synchronizer) told_trimmed: bool,
}

impl Link {
    /// Returns what the peer has or will have when everything sent on this connection arrives.
    pub(in crate::synchronizer) fn base(&self) -> VersionVector {
        let mut base = self.sent.clone();
        if let Some(known) = &self.known {
            base.merge(known);
        }
        base
    }

    /// It did not give what it said it has: others are asked first for a while.
    pub(in crate::synchronizer) fn fail(&mut self, now: Timestamp) {
        self.failed_until = Some(now.plus(RETRY_SOURCE_MS << self.failures.min(6)));
        self.failures = self.failures.saturating_add(1);
    }

    /// The peer asks for the document; returns whether it has not asked more often than anybody needs: each answer is an export.
    pub(in crate::synchronizer) fn may_ask(&mut self, now: Timestamp) -> bool {
        let (since, count) = &mut self.answers;
        if now < *since || now.since(*since) >= ANSWERS_WINDOW_MS {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= MAX_ANSWERS
    }

    /// Both sides follow the document.
    pub(in crate::synchronizer) fn is_followed(&self) -> bool {
        self.subscribed || self.asked
    }

    /// Neither side refuses what the other has of the document.
    pub(in crate::synchronizer) fn is_agreed(&self) -> bool {
        !self.absent && !self.denied && self.refusals == 0
    }

    /// The peer was asked about the document, and has said what it has.
    pub(in crate::synchronizer) fn is_compared(&self) -> bool {
        self.asked && !self.waiting && self.known.is_some() && self.is_agreed()
    }

    pub(in crate::synchronizer) fn confirms(&self, version: &VersionVector) -> bool {
        self.known.as_ref().is_some_and(|known| known.includes(version))
    }
}

impl Model {
    /// Forgets what is known of documents at the end of a channel, and returns it.
    pub(in crate::synchronizer) fn unlink_channel(&mut self, id: ChannelId) -> SortedMap<DocId, Link> {
        let docs = self.channels.get_mut(&id).map(|entry| std::mem::take(&mut entry.docs)).unwrap_or_default();
        docs.into_iter().filter_map(|doc| self.take_link(id, &doc).map(|link| (doc, link))).collect()
    }

    fn take_link(&mut self, id: ChannelId, doc: &DocId) -> Option<Link> {
        let links = self.links.get_mut(doc)?;
        let link = links.remove(id);
        if links.0.is_empty() {
            self.links.remove(doc);
        }
        self.touch(id, doc);
        link
    }

    pub(in crate::synchronizer) fn unlink(&mut self, id: ChannelId, doc: &DocId) {
        if let Some(entry) = self.channels.get_mut(&id) {
            entry.docs.remove(doc);
        }
        self.take_link(id, doc);
        self.armed.remove(&Timer::Verify(id, doc.clone()));
    }

    /// Forgets what is known of a document everywhere.
    pub(in crate::synchronizer) fn unlink_doc(&mut self, doc: &DocId) {
        for store in self.stores() {
            if let Some(entry) = self.channels.get_mut(&store) {
                entry.store.dirty.remove(doc);
            }
        }
        for (id, _) in self.links.remove(doc).unwrap_or_default().0 {
            if let Some(entry) = self.channels.get_mut(&id) {
                entry.docs.remove(doc);
                entry.heads_due.remove(doc);
                entry.acks_due.remove(doc);
            }
        }
    }

    pub(in crate::synchronizer) fn link(&mut self, channel: ChannelId, doc: &DocId) -> Option<&mut Link> {
        if self.channels.get(&channel)?.kind == ChannelKind::Storage {
            return None;
        }
        self.touch(channel, doc);
        if !self.links.contains_key(doc) {
            self.links.insert(doc.clone(), Links::default());
        }
        let links = self.links.get_mut(doc)?;
        let at = links.place(channel).unwrap_or_else(|at| {
            if let Some(entry) = self.channels.get_mut(&channel) {
                entry.docs.insert(doc.clone());
            }
            links.0.insert(at, (channel, Box::default()));
            at
        });
        links.0.get_mut(at).map(|(_, link)| link.as_mut())
    }

    pub(in crate::synchronizer) fn peek(&self, channel: ChannelId, doc: &DocId) -> Option<&Link> {
        let links = self.links.get(doc)?;
        links.place(channel).ok().and_then(|at| links.0.get(at)).map(|(_, link)| link.as_ref())
    }

    /// Returns what a peer said it has of a document.
    pub(in crate::synchronizer) fn claim(&self, channel: ChannelId, doc: &DocId) -> Option<&VersionVector> {
        self.peek(channel, doc)?.known.as_ref()
    }

    /// Returns what is known of a document at each channel, in order of their opening.
    pub(in crate::synchronizer) fn links(&self, doc: &DocId) -> impl Iterator<Item = (ChannelId, &Link)> {
        self.links.get(doc).into_iter().flat_map(|links| &links.0).map(|(channel, link)| (*channel, link.as_ref()))
    }

    /// Returns the channels of peers with something known of a document.
    pub(in crate::synchronizer) fn linked_peers(&self, doc: &DocId) -> Vec<ChannelId> {
        self.links(doc).map(|(channel, _)| channel).collect()
    }

    /// Returns the documents with something known at the end of a channel.
    pub(in crate::synchronizer) fn docs_of(&self, channel: ChannelId) -> Vec<DocId> {
        self.channels.get(&channel).map(|entry| entry.docs.iter().cloned().collect()).unwrap_or_default()
    }
}
