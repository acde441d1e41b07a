//! What one peer may make this side keep in mind: documents, and claims of what it has of them.
//!
//! Decides what is counted for whom, and when that is too much. Never what a peer is told then.

use super::{Doc, DocState, Model, Request};
use crate::{
    collections::SortedSet,
    protocol::{DocId, PeerId, VersionVector},
    synchronizer::{ChannelId, Timestamp},
};

/// Documents one peer may make this side keep in mind.
const MAX_DOCS_OF_PEER: usize = 200_000;
/// Peers that are remembered for having made this side know of very many documents, and how many that is.
const MAX_INTRODUCERS: usize = 4_096;
const MANY_DOCS: usize = 1_000;

/// Peers of which it is remembered that they refused the deletion of a document.
const MAX_REFUSERS: usize = 64;

/// Authors with operations that are not here in what a peer says it has of one document, and of all.
const MAX_STRANGERS: usize = 16_384;
const MAX_STRANGERS_IN_ALL: usize = 1_000_000;
/// Authors in so much of what it says after which they are counted again: those that came to be known, or whose documents went, count no more.
const COUNT_AGAIN: usize = MAX_STRANGERS_IN_ALL / 8;

/// Comparisons by sums that are answered in [`WINDOW_MS`]: a comparison that goes on takes a handful.
const MAX_MESSAGES: u32 = 64;
const WINDOW_MS: u64 = 10_000;
/// Documents looked at for them and for directories, for a peer that came by itself. What exceeds it is the last one.
pub(in crate::synchronizer) const MAX_LOOKED_AT: usize = 1_000_000;

/// How much is kept for peers, for tests.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes of messages held back until documents are read.
    pub held_back: usize,
    /// Documents that are being read, and those that wait for that.
    pub reading: usize,
    /// Documents with something known at the end of a channel, over all channels.
    pub links: usize,
    /// Channels, stores included.
    pub channels: usize,
    /// Peers that refused a deletion, over all documents.
    pub refusers: usize,
    /// Documents peers were not allowed to create.
    pub uncreated: usize,
    /// Documents peers are about to be told of, over all channels.
    pub news: usize,
}

impl Model {
    pub(in crate::synchronizer) fn footprint(&self) -> Footprint {
        let waiting = |doc: &&DocId| matches!(self.docs.get(*doc), Some(Doc { state: DocState::Loading { .. }, .. }));
        Footprint {
            held_back: self.held_back,
            reading: self.backlog.len() + self.docs.keys().filter(waiting).count(),
            links: self.channels.values().map(|entry| entry.docs.len()).sum(),
            channels: self.channels.len(),
            refusers: self.undeletable.values().map(SortedSet::len).sum(),
            news: self.channels.values().map(|entry| entry.appeared.len() + entry.gone.len()).sum(),
            uncreated: self.channels.values().map(|entry| entry.uncreated.len()).sum(),
        }
    }

    /// Returns whether a peer has made this side know of as many documents as one peer may.
    pub(in crate::synchronizer) fn is_crowded(&self, channel: ChannelId) -> bool {
        self.channels.get(&channel).is_some_and(|entry| entry.introduced >= MAX_DOCS_OF_PEER)
    }

    /// A peer makes this side know of a document.
    pub(in crate::synchronizer) fn introduce(&mut self, channel: ChannelId, doc: &DocId) {
        if !self.catalogue.contains_key(doc)
            && let Some(entry) = self.channels.get_mut(&channel)
        {
            entry.introduced += 1;
        }
    }

    /// Counts a document nobody knows of for the peer that asks for it, while stores are read; returns whose it is then.
    pub(in crate::synchronizer) fn reserve(&mut self, doc: &DocId, requests: &[Request]) -> Option<ChannelId> {
        let channel = requests.first().map(|request| request.channel).filter(|_| !self.catalogue.contains_key(doc))?;
        self.introduce(channel, doc);
        Some(channel)
    }

    /// Stores have been read, or nobody waits for that: whether a document counts for a peer is known otherwise now.
    pub(in crate::synchronizer) fn cancel(&mut self, reserved: Option<ChannelId>) {
        if let Some(entry) = reserved.and_then(|channel| self.channels.get_mut(&channel)) {
            entry.introduced = entry.introduced.saturating_sub(1);
        }
    }

    /// A peer has left: nobody waits for its answers, and documents it asked for count for the next who did, if that may have more.
    pub(in crate::synchronizer) fn forget_requests(&mut self, channel: ChannelId, introduced: &mut usize) {
        for doc in self.docs.values_mut() {
            let DocState::Loading { requests, reserved, ask, .. } = &mut doc.state else { continue };
            requests.retain(|request| request.channel != channel);
            ask.remove(&channel);
            if *reserved != Some(channel) {
                continue;
            }
            *introduced = introduced.saturating_sub(1);
            let next = requests.first().map(|request| request.channel);
            *reserved = next.filter(|next| self.channels.get(next).is_some_and(|entry| entry.introduced < MAX_DOCS_OF_PEER));
            match reserved.and_then(|next| self.channels.get_mut(&next)) {
                Some(entry) => entry.introduced += 1,
                None => requests.clear(),
            }
        }
    }

    /// A peer has come, perhaps again.
    pub(in crate::synchronizer) fn recall_introduced(&mut self, channel: ChannelId, peer: &PeerId) {
        if let Some(entry) = self.channels.get_mut(&channel) {
            entry.introduced += self.introducers.remove(peer).unwrap_or(0);
        }
    }

    /// A peer has left.
    pub(in crate::synchronizer) fn remember_introduced(&mut self, peer: PeerId, introduced: usize) {
        if introduced >= MANY_DOCS && self.introducers.len() < MAX_INTRODUCERS {
            *self.introducers.entry(peer).or_default() += introduced;
        }
    }

    /// Returns whether a peer is not told again that a document was deleted, since it refused that, or as many have as are remembered.
    pub(in crate::synchronizer) fn is_undeletable(&self, doc: &DocId, peer: &PeerId) -> bool {
        self.undeletable.get(doc).is_some_and(|peers| peers.contains(peer) || peers.len() >= MAX_REFUSERS)
    }

    /// Returns whether a peer claims operations of more authors than anybody's documents have beyond those here.
    pub(in crate::synchronizer) fn is_absurd_claim(&mut self, channel: ChannelId, doc: &DocId, version: &VersionVector) -> bool {
        let strangers = self.strangers(doc, version);
        if strangers == 0 || strangers > MAX_STRANGERS {
            return strangers > 0;
        }
        let Some(entry) = self.channels.get_mut(&channel) else { return false };
        entry.strangers.1 += strangers;
        if entry.strangers.1 >= COUNT_AGAIN {
            let claimed = |doc: &DocId| self.claim(channel, doc).map(|known| self.strangers(doc, known));
            let counted = self.docs_of(channel).iter().filter_map(claimed).sum();
            if let Some(entry) = self.channels.get_mut(&channel) {
                entry.strangers = (counted, strangers);
            }
        }
        self.channels.get(&channel).is_some_and(|entry| entry.strangers.0 + entry.strangers.1 > MAX_STRANGERS_IN_ALL)
    }

    fn strangers(&self, doc: &DocId, version: &VersionVector) -> usize {
        let ours = self.held(doc).map(|(_, version)| version);
        version.iter().filter(|(author, _)| ours.is_none_or(|ours| ours.get(*author) == 0)).count()
    }

    /// Returns the number of documents with something known at the end of a channel.
    pub(in crate::synchronizer) fn linked(&self, channel: ChannelId) -> usize {
        self.channels.get(&channel).map_or(0, |entry| entry.docs.len())
    }

    /// Returns whether a peer has not had more looked at lately than anybody needs, if `documents` more are looked at for it. Comparisons are
    /// counted as well.
    pub(in crate::synchronizer) fn has_time(&mut self, channel: ChannelId, documents: usize, comparison: bool, now: Timestamp) -> bool {
        let Some(entry) = self.channels.get_mut(&channel) else { return false };
        let (since, count, looked_at) = &mut entry.looks;
        if now < *since || now.since(*since) >= WINDOW_MS {
            (*since, *count, *looked_at) = (now, 0, 0);
        }
        *count += u32::from(comparison);
        let time = *count <= MAX_MESSAGES && (entry.initiated || *looked_at < MAX_LOOKED_AT);
        if time {
            *looked_at += documents;
        }
        time
    }
}
