//! Documents whose copy in memory was lost to a panic of the engine.
//!
//! Decides that such a document is read from its stores again before anything else is done with it, and that peers are asked what they have with the
//! usual pauses, never at once: what they gave may be what made the engine panic.

use super::{Effect, Synchronizer, Timer, Timestamp, model::DocState};
use crate::{
    collections::SortedSet,
    protocol::{DocId, VersionVector},
};

impl Synchronizer {
    pub(super) fn doc_lost(&mut self, doc: &DocId, version: VersionVector, now: Timestamp, out: &mut Vec<Effect>) {
        if !self.model.docs.contains_key(doc) {
            return;
        }
        self.model.touch_all(doc);
        let Some(entry) = self.model.docs.get_mut(doc) else { return };
        entry.version = version;
        entry.fetches.clear();
        // Whoever had opened it holds a handle of the copy that was lost.
        entry.opened = false;
        if let DocState::Loading { found, .. } = &mut entry.state {
            // What is being read goes into the new copy.
            *found = true;
            return;
        }
        entry.state = DocState::Loading {
            begun: false,
            waiting: SortedSet::new(),
            requests: Vec::new(),
            reserved: None,
            ask: SortedSet::new(),
            found: true,
            held_back: None,
        };
        for channel in self.model.linked_peers(doc) {
            if let Some(link) = self.model.link(channel, doc) {
                link.waiting = false;
            }
            self.model.arm(Timer::Verify(channel, doc.clone()), self.config.verify_delay_ms, out);
        }
        self.begin_loading(doc, now, out);
    }
}
