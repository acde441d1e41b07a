//! What may have changed of how peers stand to documents, so that only that is looked at when an input has been folded.
//!
//! Decides which peers' claims are compared with the ids this repo writes under. Never what the application is told.

use super::{DocState, Model};
use crate::{
    collections::SortedSet,
    protocol::{DocId, VersionVector},
    synchronizer::ChannelId,
};

impl Model {
    /// How the peer at a channel stands to a document may have changed.
    pub(super) fn touch(&mut self, channel: ChannelId, doc: &DocId) {
        // Keys are cloned only for what is new: this runs on every keystroke.
        match self.touched.get_mut(doc) {
            Some(Some(channels)) => drop(channels.insert(channel)),
            Some(None) => {}
            None => drop(self.touched.insert(doc.clone(), Some(SortedSet::from([channel])))),
        }
    }

    /// How every peer stands to a document may have changed.
    pub(in crate::synchronizer) fn touch_all(&mut self, doc: &DocId) {
        self.touched.insert(doc.clone(), None);
    }

    /// From now on this repo writes under these ids.
    pub(in crate::synchronizer) fn writes_under(&mut self, authors: SortedSet<u64>) {
        self.authors = authors;
        self.authors_said += 1;
    }

    /// Returns the ids this repo writes under of which somebody has more of a document than is here, of what may have changed since that was
    /// last looked at: only at `channels`, unless that is none.
    pub(in crate::synchronizer) fn overtaken(&mut self, doc: &DocId, channels: Option<&SortedSet<ChannelId>>) -> SortedSet<u64> {
        let loading = self.docs.get(doc).is_some_and(|entry| !matches!(entry.state, DocState::Ready));
        if self.authors.is_empty() || loading {
            return SortedSet::new();
        }
        let compared = match self.docs.get_mut(doc) {
            Some(entry) => entry.authors_compared.replace(self.authors_said) == Some(self.authors_said),
            None => false,
        };
        let Some((_, held)) = self.held(doc) else { return SortedSet::new() };
        let beyond = |known: Option<&VersionVector>, author: u64| known.is_some_and(|known| known.get(author) > held.get(author));
        let overtaken = |author: &u64| {
            self.holdings(doc).any(|(_, holding)| beyond(holding.version.as_ref(), *author))
                || match channels.filter(|_| compared) {
                    Some(channels) => channels.iter().any(|channel| beyond(self.claim(*channel, doc), *author)),
                    None => self.links(doc).any(|(_, link)| beyond(link.known.as_ref(), *author)),
                }
        };
        self.authors.iter().copied().filter(overtaken).collect()
    }
}
