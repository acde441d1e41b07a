//! Deleting documents so that they stay deleted, and making them anew.
//!
//! Decides who is told, whose word is taken, what a tombstone covers and how long it is kept. A creation of a document has a lineage;
//! a tombstone covers one lineage and all before it, so what was deleted never merges with what was made later under the same id.

use super::{ChannelId, Creator, Effect, Event, Synchronizer, Timer, Timestamp};
use crate::{
    collections::{SortedMap, SortedSet, sort, sort_by_key},
    protocol::{DeleteStatus, DocId, Message, PeerId, RefusalReason, Role, Tombstone},
};

/// How far ahead of the local clock a peer's time or lineage is believed.
const MAX_AHEAD_MS: u64 = 24 * 60 * 60 * 1000;

/// The longest time between two looks for tombstones to forget, in milliseconds.
const LOOK_MS: u64 = 24 * 60 * 60 * 1000;

/// Milliseconds until a store that could not remove a document is asked to again.
const REMOVE_AGAIN_MS: u64 = 5_000;

/// Deletions, the latest, that a relay is told of when it is met.
pub(super) const MAX_TOLD_DELETIONS: usize = 1_000;

impl Synchronizer {
    /// The application deletes a document.
    pub(super) fn doc_deleted(&mut self, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        let lineage = self.model.lineage(doc).or_else(|| self.model.buried.get(doc).map(|tombstone| tombstone.lineage)).unwrap_or(0);
        let tombstone = Tombstone { lineage, at: now.0, by: self.config.identity.peer_id.clone() };
        self.spread_deletion(doc, &tombstone, None, out);
        self.bury(doc, tombstone, now, out);
    }

    /// The application makes a document anew; one that is here is deleted first.
    pub(super) fn doc_created(&mut self, doc: DocId, now: Timestamp, out: &mut Vec<Effect>) {
        if self.model.lineage(&doc).is_some() {
            self.doc_deleted(&doc, now, out);
        }
        // Later than every creation that was deleted, also where clocks differ.
        let lineage = self.model.buried.get(&doc).map_or(0, |tombstone| now.0.max(tombstone.lineage.saturating_add(1)));
        self.model.forgotten.remove(&doc);
        self.note(&doc, lineage, out);
        self.begin(&doc, lineage, true, SortedSet::new(), Vec::new(), now, out);
        if let Some(entry) = self.model.docs.get_mut(&doc) {
            let own = &self.config.identity;
            entry.creator = Some(super::Creator { peer_id: own.peer_id.clone(), name: own.name.clone() });
        }
    }

    /// A backup has a document: it is brought into memory, unless what is here is a later creation, or it was deleted.
    pub(super) fn doc_restored(&mut self, doc: &DocId, lineage: u64, creator: Option<Creator>, now: Timestamp, out: &mut Vec<Effect>) {
        if self.model.is_buried(doc, lineage) {
            return;
        }
        match self.model.lineage(doc) {
            Some(here) if here > lineage => return,
            Some(here) if here < lineage && self.model.is_blank(doc) => {
                self.model.adopt_lineage(doc, lineage);
                out.push(Effect::CreateDoc { doc: doc.clone(), lineage });
            }
            // The file is of a later creation: the one here was deleted, and that is not known yet.
            Some(here) if here < lineage => {
                let tombstone = Tombstone { lineage: here, at: now.0, by: self.config.identity.peer_id.clone() };
                self.spread_deletion(doc, &tombstone, None, out);
                self.bury(doc, tombstone, now, out);
            }
            Some(_) | None => {}
        }
        self.model.forgotten.remove(doc);
        self.note(doc, lineage, out);
        if !self.model.docs.contains_key(doc) {
            // As if opened: what it holds is here in a moment.
            self.begin(doc, lineage, true, SortedSet::new(), Vec::new(), now, out);
            if let Some(entry) = self.model.docs.get_mut(doc) {
                entry.opened = false;
            }
        }
        if let Some(entry) = self.model.docs.get_mut(doc) {
            entry.creator = entry.creator.take().or(creator);
        }
    }

    /// A backup knows of a deletion.
    pub(super) fn deletion_known(&mut self, doc: &DocId, tombstone: Tombstone, now: Timestamp, out: &mut Vec<Effect>) {
        if !self.model.is_buried(doc, tombstone.lineage) {
            self.spread_deletion(doc, &tombstone, None, out);
            self.bury(doc, tombstone, now, out);
        }
    }

    /// The application drops its copy; nobody else is concerned.
    pub(super) fn doc_forgotten(&mut self, doc: &DocId, out: &mut Vec<Effect>) {
        self.model.forgotten.insert(doc.clone());
        self.model.buried.remove(doc);
        self.model.undeletable.remove(doc);
        self.drop_doc(doc, out);
        for channel in self.model.stores() {
            out.push(Effect::ForgetDoc { channel, doc: doc.clone() });
        }
    }

    /// A peer of the reference protocol asks for a deletion.
    pub(super) fn delete_requested(&mut self, channel: ChannelId, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(peer) = self.model.context(channel) else { return };
        let lineage = self.model.lineage(doc).filter(|_| self.permissions.visibility(doc, &peer));
        let allowed = lineage.is_some() && self.may_delete(channel, doc);
        if let (true, Some(lineage)) = (allowed, lineage) {
            let tombstone = Tombstone { lineage, at: now.0, by: peer.peer_id.clone() };
            self.spread_deletion(doc, &tombstone, Some(channel), out);
            self.bury(doc, tombstone, now, out);
        }
        if !allowed && lineage.is_some() {
            self.peer_deleted(channel, doc);
        }
        let status = if allowed { DeleteStatus::Deleted } else { DeleteStatus::Ignored };
        out.push(Effect::Send { channel, message: Message::DeleteResponse { doc: doc.clone(), status } });
    }

    /// A peer says that a document was deleted.
    pub(super) fn deleted_received(
        &mut self,
        channel: ChannelId,
        doc: &DocId,
        mut tombstone: Tombstone,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(peer) = self.model.context(channel) else { return };
        // How long it is kept goes by this side's clock.
        tombstone.at = tombstone.at.min(now.0);
        if self.model.channels.get(&channel).is_some_and(|entry| entry.role == Role::Leaf) {
            // It speaks for nobody else: what is kept of deletions is shared out by author.
            tombstone.by = peer.peer_id.clone();
        }
        if !self.permissions.visibility(doc, &peer) || is_absurd(tombstone.lineage, now) || self.model.is_buried(doc, tombstone.lineage) {
            return;
        }
        let here = self.model.lineage(doc);
        if here.is_none() && self.role() != Role::Relay {
            return;
        }
        if !self.may_delete(channel, doc) {
            if here.is_some_and(|lineage| lineage <= tombstone.lineage) {
                let told = self.model.peek(channel, doc).is_some_and(|link| link.refused == Some(RefusalReason::Deleted));
                self.peer_deleted(channel, doc);
                if !told {
                    // Changes made from now on reach nobody there.
                    let (doc, peer) = (doc.clone(), peer.peer_id.clone());
                    out.push(Effect::Emit(Event::Refused { doc, peer, reason: RefusalReason::Deleted, retry_ms: None }));
                }
                out.push(Effect::Send {
                    channel,
                    message: Message::Refusal { doc: doc.clone(), reason: RefusalReason::Deletion, retry_ms: None },
                });
            }
            return;
        }
        self.spread_deletion(doc, &tombstone, Some(channel), out);
        self.bury(doc, tombstone, now, out);
    }

    /// A peer has deleted a document that is kept here: it has nothing of it any more, and would answer every change the same way.
    fn peer_deleted(&mut self, channel: ChannelId, doc: &DocId) {
        if let Some(link) = self.model.link(channel, doc) {
            link.known = None;
            link.absent = true;
            link.subscribed = false;
            link.waiting = false;
            link.unconfirmed_since = None;
            link.refused = Some(RefusalReason::Deleted);
            link.refusals = 1;
        }
    }

    fn may_delete(&self, channel: ChannelId, doc: &DocId) -> bool {
        let Some(peer) = self.model.context(channel) else { return false };
        let creator =
            self.model.docs.get(doc).and_then(|entry| entry.creator.as_ref()).or_else(|| self.model.catalogue.get(doc)?.creator.as_ref());
        self.permissions.visibility(doc, &peer) && self.permissions.deletion(doc, creator, &peer)
    }

    fn spread_deletion(&mut self, doc: &DocId, tombstone: &Tombstone, except: Option<ChannelId>, out: &mut Vec<Effect>) {
        for (place, channel) in (0..).zip(self.model.pipes()) {
            if let Some(entry) = self.model.channels.get_mut(&channel) {
                entry.appeared.remove(doc);
            }
            if Some(channel) == except || !self.sees(channel, doc) {
                continue;
            }
            let follows = self.model.peek(channel, doc).is_some_and(|link| link.subscribed || link.asked);
            let concerned = follows || self.is_announced(doc);
            // Who only stores it has not said so: everybody hears it from a relay.
            let relay = self.role() == Role::Relay || self.model.channels.get(&channel).is_some_and(|entry| entry.role == Role::Relay);
            let extended = self.model.is_extended(channel);
            if extended && !follows && self.hears_later(channel) {
                if let Some(entry) = self.model.channels.get_mut(&channel) {
                    entry.gone.insert(doc.clone(), tombstone.clone());
                }
                self.tell_later(channel, place, out);
            } else if extended && (concerned || relay) {
                out.push(Effect::Send { channel, message: Message::Deleted { docs: vec![(doc.clone(), tombstone.clone())] } });
            } else if concerned {
                out.push(Effect::Send { channel, message: Message::DeleteRequest { doc: doc.clone() } });
            }
        }
    }

    fn is_announced(&self, doc: &DocId) -> bool {
        self.model.docs.get(doc).is_some_and(|entry| entry.announced)
    }

    /// Answers a peer that still has a deleted document.
    pub(super) fn tell_tombstone(&mut self, channel: ChannelId, doc: &DocId, out: &mut Vec<Effect>) {
        // That there is a later creation says that all before it are gone, also those made elsewhere meanwhile.
        let before = self.model.lineage(doc).and_then(|lineage| lineage.checked_sub(1));
        let tombstone = match (self.model.buried.get(doc), before) {
            (Some(tombstone), Some(before)) => Tombstone { lineage: before.max(tombstone.lineage), ..tombstone.clone() },
            (Some(tombstone), None) => tombstone.clone(),
            (None, Some(before)) => Tombstone { lineage: before, at: 0, by: self.config.identity.peer_id.clone() },
            (None, None) => return,
        };
        let message = if self.model.is_extended(channel) {
            Message::Deleted { docs: vec![(doc.clone(), tombstone)] }
        } else {
            Message::DeleteRequest { doc: doc.clone() }
        };
        out.push(Effect::Send { channel, message });
        if self.model.lineage(doc).is_some() && self.model.is_extended(channel) {
            self.tell_heads(channel, doc, false, out);
        }
    }

    /// Tells a peer that keeps documents which ones were deleted: it may not have been there.
    pub(super) fn tell_deletions(&mut self, channel: ChannelId, out: &mut Vec<Effect>) {
        let Some(peer) = self.model.context(channel) else { return };
        let mut recent: Vec<_> = self
            .model
            .buried
            .iter()
            .filter(|(doc, _)| {
                let refused = self.model.is_undeletable(doc, &peer.peer_id);
                self.model.lineage(doc).is_none() && !refused && self.permissions.visibility(doc, &peer)
            })
            .map(|(doc, tombstone)| (doc.clone(), tombstone.clone()))
            .collect();
        if recent.is_empty() {
            return;
        }
        sort_by_key(&mut recent, |(_, tombstone)| std::cmp::Reverse(tombstone.at));
        recent.truncate(MAX_TOLD_DELETIONS);
        out.push(Effect::Send { channel, message: Message::Deleted { docs: recent } });
    }

    /// Deletes what a tombstone covers, in memory and in stores, and keeps the tombstone.
    pub(super) fn bury(&mut self, doc: &DocId, tombstone: Tombstone, now: Timestamp, out: &mut Vec<Effect>) {
        for channel in self.model.stores() {
            if self.may_keep(channel, doc) {
                out.push(Effect::BuryDoc { channel, doc: doc.clone(), tombstone: tombstone.clone() });
            }
        }
        if self.model.lineage(doc).is_some_and(|lineage| lineage <= tombstone.lineage) {
            self.drop_doc(doc, out);
        }
        self.note_tombstone(doc, tombstone);
        let max = self.config.tombstones.max;
        if self.model.buried.len() > max + (max / 8).max(16) {
            // Not at each: it looks at all of them.
            self.forget_tombstones(now, out);
        }
        self.watch_tombstones(out);
    }

    fn watch_tombstones(&mut self, out: &mut Vec<Effect>) {
        if !self.model.buried.is_empty() {
            self.model.arm(Timer::Tombstones, self.config.tombstones.keep_ms.clamp(1_000, LOOK_MS), out);
        }
    }

    /// A store still has what was removed: it would be back at the next start.
    pub(super) fn removal_failed(&mut self, channel: ChannelId, doc: DocId, out: &mut Vec<Effect>) {
        if self.model.channels.contains_key(&channel) {
            self.model.arm(Timer::Remove(channel, doc), REMOVE_AGAIN_MS, out);
        }
    }

    pub(super) fn remove_again(&mut self, channel: ChannelId, doc: DocId, out: &mut Vec<Effect>) {
        match self.model.buried.get(&doc) {
            Some(tombstone) if self.may_keep(channel, &doc) => {
                out.push(Effect::BuryDoc { channel, tombstone: tombstone.clone(), doc });
            }
            None if self.model.lineage(&doc).is_none() => out.push(Effect::ForgetDoc { channel, doc }),
            // It was made again: what is written of it replaces the rest.
            _ => {}
        }
    }

    pub(super) fn note_tombstone(&mut self, doc: &DocId, tombstone: Tombstone) {
        if self.model.buried.get(doc).is_none_or(|known| known.lineage < tombstone.lineage) {
            self.model.buried.insert(doc.clone(), tombstone);
        }
    }

    fn drop_doc(&mut self, doc: &DocId, out: &mut Vec<Effect>) {
        self.model.take_doc(doc);
        self.model.unsent.remove(doc);
        self.model.loading.remove(doc);
        self.model.unlink_doc(doc);
        out.push(Effect::DropDoc { doc: doc.clone() });
        if self.model.catalogue.remove(doc).is_some() {
            out.push(Effect::Emit(Event::DocumentRemoved(doc.clone())));
        }
    }

    /// Forgets tombstones that are old enough, and of those beyond the number kept the oldest of whoever left most.
    pub(super) fn forget_tombstones(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        let limits = self.config.tombstones;
        let is_old = |tombstone: &Tombstone| now.since(Timestamp(tombstone.at)) > limits.keep_ms;
        let mut gone: Vec<DocId> = self.model.buried.iter().filter(|(_, t)| is_old(t)).map(|(doc, _)| doc.clone()).collect();
        let excess = (self.model.buried.len() - gone.len()).saturating_sub(limits.max);
        if excess > 0 {
            let mut by_author: SortedMap<&PeerId, Vec<(u64, &DocId)>> = SortedMap::new();
            for (doc, tombstone) in self.model.buried.iter().filter(|(_, t)| !is_old(t)) {
                by_author.entry(&tombstone.by).or_default().push((tombstone.at, doc));
            }
            gone.extend(beyond_fair_share(by_author.into_values().collect(), excess).into_iter().cloned());
        }
        for doc in gone {
            self.model.buried.remove(&doc);
            self.model.undeletable.remove(&doc);
            if self.model.lineage(&doc).is_none() {
                for channel in self.model.stores() {
                    out.push(Effect::ForgetDoc { channel, doc: doc.clone() });
                }
            }
        }
        self.watch_tombstones(out);
    }

    /// Returns whether a document was deleted and not made again.
    #[must_use]
    pub fn is_deleted(&self, doc: &DocId) -> bool {
        self.model.buried.contains_key(doc) && self.model.lineage(doc).is_none()
    }
}

/// Returns whether a lineage lies further ahead than clocks differ: nothing could ever be made after it.
pub(super) fn is_absurd(lineage: u64, now: Timestamp) -> bool {
    lineage > now.plus(MAX_AHEAD_MS).0
}

/// Returns the `excess` tombstones to forget: the oldest of each author beyond the number that all may keep.
fn beyond_fair_share(mut authors: Vec<Vec<(u64, &DocId)>>, excess: usize) -> Vec<&DocId> {
    sort_by_key(&mut authors, Vec::len);
    let total: usize = authors.iter().map(Vec::len).sum();
    let mut room = total.saturating_sub(excess);
    let mut left = authors.len();
    let mut gone = Vec::with_capacity(excess);
    for mut tombstones in authors {
        // Whoever left few keeps all; what they do not use is the others'.
        let share = tombstones.len().min(room.div_ceil(left.max(1)));
        room -= share;
        left -= 1;
        sort(&mut tombstones);
        let beyond = tombstones.len() - share;
        gone.extend(tombstones.into_iter().take(beyond).map(|(_, doc)| doc));
    }
    gone
}
