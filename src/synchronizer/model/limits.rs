//! What one peer may make this side keep in mind: documents, and claims of what it has of them.
//!
//! Decides what is counted for whom, and when that is too much. Never what a peer is told then.

use super::{DocState, Model, Request};
use crate::{
    protocol::{DocId, PeerId, VersionVector},
    synchronizer::ChannelId,
};

/// Documents one peer may make this side keep in mind.
const MAX_DOCS_OF_PEER: usize = 200_000;
/// Peers that are remembered for having made this side know of very many documents, and how many that is.
const MAX_INTRODUCERS: usize = 4_096;
const MANY_DOCS: usize = 1_000;

/// Authors with operations that are not here in what a peer says it has of one document.
const MAX_STRANGERS: usize = 16_384;

impl Model {
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

    /// Returns whether a peer claims operations of more authors than anybody's document has beyond those here.
    pub(in crate::synchronizer) fn is_absurd_claim(&self, doc: &DocId, version: &VersionVector) -> bool {
        version.len() > MAX_STRANGERS && {
            let ours = self.held(doc).map(|(_, version)| version);
            version.iter().filter(|(author, _)| ours.is_none_or(|ours| ours.get(*author) == 0)).count() > MAX_STRANGERS
        }
    }
}
