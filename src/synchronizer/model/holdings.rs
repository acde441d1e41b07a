//! What each store holds of a document in memory.
//!
//! Decides nothing: `storage` does.

use super::Model;
use crate::{
    protocol::{DocId, VersionVector},
    synchronizer::{ChannelId, StoredSize, Timestamp},
};

/// What one store holds of a document in memory.
#[derive(Debug, Default)]
pub(in crate::synchronizer) struct Holding {
    /// What the store said it has. Never what was given to it.
    pub(in crate::synchronizer) version: Option<VersionVector>,
    pub(in crate::synchronizer) load: Load,
    /// Readings in a row that failed, for the back-off.
    pub(in crate::synchronizer) attempts: u32,
    pub(in crate::synchronizer) size: StoredSize,
    /// When this repo last wrote to it.
    pub(in crate::synchronizer) written: Option<Timestamp>,
    /// The next write is a snapshot, since the document has gone quiet.
    pub(in crate::synchronizer) settle: bool,
    /// Records that could not be read into what a snapshot covers, when it was last looked.
    pub(in crate::synchronizer) stuck: u32,
    /// Everything it has of the document is to be replaced.
    pub(in crate::synchronizer) rewrite: Rewrite,
}

/// Whether a snapshot is to take the place of everything a store has of a document, and where its history is to begin.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::synchronizer) enum Rewrite {
    #[default]
    None,
    Wanted(VersionVector),
    Writing(VersionVector),
}

/// How far reading a document from a store is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::synchronizer) enum Load {
    #[default]
    Idle,
    Pending,
    Done {
        whole: bool,
    },
    Failed,
    /// The store cannot write the document: its index there is damaged. Nothing is tried until that is gone.
    Refused,
}

impl Holding {
    pub(in crate::synchronizer) fn confirms(&self, version: &VersionVector) -> bool {
        self.version.as_ref().is_some_and(|held| held.includes(version))
    }
}

impl Model {
    /// Returns what a store holds of a document in memory, if it was asked for that.
    pub(in crate::synchronizer) fn holding(&self, store: ChannelId, doc: &DocId) -> Option<&Holding> {
        self.holdings(doc).find(|(id, _)| *id == store).map(|(_, holding)| holding)
    }

    /// Returns what is known of what a store holds of a document in memory, to be changed.
    pub(in crate::synchronizer) fn holding_mut(&mut self, store: ChannelId, doc: &DocId) -> Option<&mut Holding> {
        if !self.stores.contains(&store) || !self.docs.contains_key(doc) {
            return None;
        }
        self.touch(store, doc);
        let holdings = &mut self.docs.get_mut(doc)?.holdings;
        let at = holdings.iter().position(|(id, _)| *id == store).unwrap_or_else(|| {
            // Nearly always there is one store.
            holdings.reserve_exact(1);
            holdings.push((store, Holding::default()));
            holdings.len() - 1
        });
        holdings.get_mut(at).map(|(_, holding)| holding)
    }

    /// Returns what stores hold of a document in memory.
    pub(in crate::synchronizer) fn holdings(&self, doc: &DocId) -> impl Iterator<Item = (ChannelId, &Holding)> {
        self.docs.get(doc).into_iter().flat_map(|entry| &entry.holdings).map(|(store, holding)| (*store, holding))
    }

    /// A store is gone.
    pub(super) fn forget_store(&mut self, store: ChannelId) {
        let held = |(_, entry): &(&DocId, &super::Doc)| entry.holdings.iter().any(|(id, _)| *id == store);
        let docs: Vec<_> = self.docs.iter().filter(held).map(|(doc, _)| doc.clone()).collect();
        for doc in docs {
            if let Some(entry) = self.docs.get_mut(&doc) {
                entry.holdings.retain(|(id, _)| *id != store);
            }
            self.touch(store, &doc);
        }
    }
}
