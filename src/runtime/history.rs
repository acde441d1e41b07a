//! The history of a document: its changes, newest first, and its versions in the order of their Lamport times. Reads what it is asked
//! for and no more; never changes or checks out the document.

use std::{cmp::Ordering, collections::BinaryHeap};

use loro::{ChangeMeta, Frontiers, ID, LoroDoc, PeerID, VersionVector};

/// A place in the history, between changes: where [`History::page`] goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryPlace {
    /// The Lamport time of a change.
    pub lamport: u32,
    /// Its author.
    pub author: PeerID,
}

impl HistoryPlace {
    /// Returns the place of `change`.
    #[must_use]
    pub const fn of(change: &ChangeMeta) -> Self {
        Self { lamport: change.lamport, author: change.id.peer }
    }
}

/// Orders changes by their places, so that the newest of several authors' is found first.
struct Newest(ChangeMeta);

impl Ord for Newest {
    fn cmp(&self, other: &Self) -> Ordering {
        HistoryPlace::of(&self.0).cmp(&HistoryPlace::of(&other.0))
    }
}

impl PartialOrd for Newest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Newest {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Newest {}

/// The history of a document, without what is not committed yet.
#[derive(Clone)]
pub struct History(LoroDoc);

impl History {
    /// Returns the history of `doc`.
    #[must_use]
    pub const fn new(doc: LoroDoc) -> Self {
        Self(doc)
    }

    /// Returns how many changes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len_changes()
    }

    /// Returns whether there are no changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the Lamport time after the newest operation.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.0.with_oplog(|oplog| {
            let newest = oplog
                .dag()
                .frontiers()
                .iter()
                .filter_map(|id| oplog.get_change_at(id))
                .map(|change| change.lamport() + change.len() as u32);
            newest.max().unwrap_or(0)
        })
    }

    /// Returns at most `limit` changes, the newest before `before` first: by Lamport time, then by author. What a change depends on
    /// comes after it. Takes the number of authors and the limit, each times the logarithm of the history.
    #[must_use]
    pub fn page(&self, before: Option<HistoryPlace>, limit: usize) -> Vec<ChangeMeta> {
        self.0.with_oplog(|oplog| {
            let latest = |author: PeerID, end: i32| match before {
                None => oplog.get_change_at(ID::new(author, end - 1)),
                Some(place) if author < place.author => oplog.get_change_with_lamport_lte(author, place.lamport),
                Some(place) => oplog.get_change_with_lamport_lte(author, place.lamport.checked_sub(1)?),
            };
            let mut next: BinaryHeap<Newest> = oplog
                .dag()
                .vv()
                .iter()
                .filter_map(|(author, end)| latest(*author, *end))
                .map(|change| Newest(ChangeMeta::from_change(&change)))
                .collect();
            let mut page = Vec::new();
            while page.len() < limit
                && let Some(Newest(change)) = next.pop()
            {
                let earlier = change.id.counter.checked_sub(1).filter(|counter| *counter >= 0);
                if let Some(change) = earlier.and_then(|counter| oplog.get_change_at(ID::new(change.id.peer, counter))) {
                    next.push(Newest(ChangeMeta::from_change(&change)));
                }
                page.push(change);
            }
            page
        })
    }

    /// Returns the version of all operations before a Lamport time, partial changes included. Every operation comes after those it
    /// depends on, so each such version is one the document could have had. Not earlier than the history begins.
    #[must_use]
    pub fn at(&self, lamport: u32) -> Frontiers {
        let versions = self.0.with_oplog(|oplog| {
            let mut versions = VersionVector::from_im_vv(oplog.shallow_since_vv());
            let Some(last) = lamport.checked_sub(1) else { return versions };
            for author in oplog.dag().vv().keys() {
                let Some(change) = oplog.get_change_with_lamport_lte(*author, last) else { continue };
                let taken = change.len().min((lamport - change.lamport()) as usize);
                let end = change.id().counter + taken as i32;
                if versions.get(author).is_none_or(|known| *known < end) {
                    versions.insert(*author, end);
                }
            }
            versions
        });
        self.0.vv_to_frontiers(&versions)
    }
}

#[cfg(test)]
mod tests {
    use loro::ExportMode;

    use super::*;

    /// Three authors who type beside and after one another, their changes ending where a message begins a new one.
    fn world(seed: u64) -> LoroDoc {
        let docs: Vec<LoroDoc> = (1..=3)
            .map(|author| {
                let doc = LoroDoc::new();
                doc.set_peer_id(author).unwrap();
                doc
            })
            .collect();
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as usize % below
        };
        for step in 0..120 {
            let (me, other) = (random(3), random(3));
            if random(3) == 0 {
                let update = docs[other].export(ExportMode::updates(&docs[me].oplog_vv())).unwrap();
                docs[me].import(&update).unwrap();
            }
            let text = docs[me].get_text("text");
            text.insert(random(text.len_unicode() + 1), &"abcde"[..=random(5)]).unwrap();
            if random(4) == 0 {
                docs[me].set_next_commit_message(&format!("step {step}"));
            }
            docs[me].commit();
        }
        for other in &docs[1..] {
            docs[0].import(&other.export(ExportMode::all_updates()).unwrap()).unwrap();
        }
        docs[0].clone()
    }

    fn all_changes(doc: &LoroDoc) -> Vec<ChangeMeta> {
        let mut all = Vec::new();
        doc.with_oplog(|oplog| oplog.change_store().visit_all_changes(&mut |change| all.push(ChangeMeta::from_change(change))));
        all.sort_by_key(|change| std::cmp::Reverse(HistoryPlace::of(change)));
        all
    }

    fn places(changes: &[ChangeMeta]) -> Vec<(u32, u64, usize)> {
        changes.iter().map(|change| (change.lamport, change.id.peer, change.len)).collect()
    }

    #[test]
    fn pages_of_any_size_give_every_change_once_newest_first() {
        for seed in 1..6 {
            let doc = world(seed);
            let history = History::new(doc.clone());
            let expected = places(&all_changes(&doc));
            assert_eq!(history.len(), expected.len());
            assert_eq!(places(&history.page(None, usize::MAX)), expected);
            for limit in [1, 2, 7] {
                let mut found = Vec::new();
                loop {
                    let page = history.page(found.last().map(HistoryPlace::of), limit);
                    if page.is_empty() {
                        break;
                    }
                    assert!(page.len() <= limit);
                    found.extend(page);
                }
                assert_eq!(places(&found), expected, "seed {seed}, pages of {limit}");
            }
        }
    }

    #[test]
    fn every_lamport_time_is_a_version_with_all_operations_before_it() {
        for seed in 1..3 {
            let doc = world(seed);
            let history = History::new(doc.clone());
            let changes = all_changes(&doc);
            for lamport in 0..=history.end() {
                let mut expected = VersionVector::new();
                for change in &changes {
                    let taken = change.len.min(lamport.saturating_sub(change.lamport) as usize) as i32;
                    let known = expected.get(&change.id.peer).copied().unwrap_or(0);
                    if taken > 0 {
                        expected.insert(change.id.peer, known.max(change.id.counter + taken));
                    }
                }
                let version = history.at(lamport);
                assert_eq!(doc.frontiers_to_vv(&version), Some(expected), "seed {seed}, time {lamport}");
                if lamport % 16 == 0 {
                    doc.checkout(&version).unwrap();
                }
            }
            assert_eq!(history.at(history.end()), doc.oplog_frontiers());
            assert_eq!(history.at(u32::MAX), doc.oplog_frontiers());
        }
    }

    #[test]
    fn what_comes_between_pages_moves_no_page() {
        let doc = world(5);
        let history = History::new(doc.clone());
        let first = history.page(None, 4);
        let rest = places(&history.page(first.last().map(HistoryPlace::of), usize::MAX));
        doc.get_text("text").insert(0, "later").unwrap();
        doc.commit();
        assert_eq!(places(&history.page(first.last().map(HistoryPlace::of), usize::MAX)), rest);
    }

    #[test]
    fn a_shallow_history_begins_where_it_was_cut() {
        let doc = world(3);
        let cut = History::new(doc.clone()).at(40);
        let shallow = LoroDoc::new();
        shallow.import(&doc.export(ExportMode::shallow_snapshot(&cut)).unwrap()).unwrap();
        let history = History::new(shallow.clone());
        assert_eq!(history.at(0), shallow.shallow_since_frontiers());
        assert_eq!(places(&history.page(None, usize::MAX)), places(&all_changes(&shallow)));
        for lamport in 0..=history.end() {
            shallow.checkout(&history.at(lamport)).unwrap();
        }
    }

    #[test]
    fn an_empty_document_has_no_history() {
        let history = History::new(LoroDoc::new());
        assert!(history.is_empty());
        assert_eq!(history.end(), 0);
        assert!(history.page(None, 10).is_empty());
        assert!(history.at(5).is_empty());
    }
}
