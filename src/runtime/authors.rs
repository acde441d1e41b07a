//! Under which author ids a repo writes, so that many sessions leave few of them and no operation id is ever given twice.
//!
//! Decides which id a document is written under, and what becomes of the ids a store keeps. Does no IO and draws no chance.
//!
//! Operations are named by author and counter. An id may be written under again only by who knows every operation made under it:
//!
//! * A session leases an id, in one transaction that leaves it to nobody else: a free one of the store, or its own fresh one.
//! * It gives the id back in a commit after all it wrote under it is on disk. One that ends otherwise gives nothing back, and so the id is
//!   never used again.
//! * A document is written under a leased id once it has been read whole. Until then, and where there is no lease, it is written under an id
//!   made for this session, or for this document if it was in memory before.
//! * An id is retired at once when somebody knows more of it than is here. When a document is dropped from the store, so are the ids that
//!   were used in it: of those that are leased at that time, their session knows in which documents it has used them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    collections::{SortedMap, SortedSet},
    protocol::{DocId, VersionVector},
};

/// Leases that sessions have not given back: the oldest are forgotten beyond that, and their ids never used again.
const MAX_HELD: usize = 64;
/// Documents remembered of an id; one that was used in more is retired by whichever document is dropped.
const MAX_DOCS: usize = 1_024;
/// Dropped documents that are remembered; a session that has seen more of them go gives nothing back.
const MAX_DROPPED: usize = 256;
const FORMAT: u8 = 1;
/// The holder of a free id.
const NOBODY: u64 = 0;

/// The ids a store keeps, and which session has each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseTable {
    leases: Vec<Lease>,
    /// Documents dropped lately, by their hashes, the latest last.
    dropped: Vec<u64>,
    /// How many there were in all.
    drops: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lease {
    author: u64,
    holder: u64,
    /// [`LeaseTable::drops`] when it was leased.
    since: u64,
    /// Documents it was used in before, `None` if they are too many.
    docs: Option<SortedSet<u64>>,
}

impl LeaseTable {
    /// Reads a table; what cannot be read is an empty one, which costs ids and nothing else.
    #[must_use]
    pub fn decode(value: Option<&[u8]>) -> Self {
        let Some((&FORMAT, rest)) = value.and_then(<[u8]>::split_first) else { return Self::default() };
        postcard::from_bytes(rest).unwrap_or_default()
    }

    /// Encodes the table; nothing for an empty one.
    #[must_use]
    pub fn encode(&self) -> Option<Bytes> {
        if *self == Self::default() {
            return None;
        }
        postcard::to_extend(self, vec![FORMAT]).ok().map(Bytes::from)
    }

    /// Leases an id to a session: the first that is free, or `fresh`. A session that has one keeps it.
    pub fn take(&mut self, session: u64, fresh: u64) {
        if self.of(session).is_some() {
            return;
        }
        let drops = self.drops;
        match self.leases.iter_mut().find(|lease| lease.holder == NOBODY) {
            Some(free) => (free.holder, free.since) = (session, drops),
            None => self.put(session, fresh),
        }
        let mut surplus = self.leases.iter().filter(|lease| lease.holder != NOBODY).count().saturating_sub(MAX_HELD);
        self.leases.retain(|lease| {
            let drop = surplus > 0 && lease.holder != NOBODY && lease.holder != session;
            surplus -= usize::from(drop);
            !drop
        });
    }

    /// Leases an id nobody has to a session, in place of what it has.
    pub fn put(&mut self, session: u64, fresh: u64) {
        self.leases.retain(|lease| lease.holder != session);
        self.leases.push(Lease { author: fresh, holder: session, since: self.drops, docs: Some(SortedSet::new()) });
    }

    /// Returns what a session has leased.
    #[must_use]
    pub fn of(&self, session: u64) -> Option<u64> {
        self.leases.iter().find(|lease| lease.holder == session).map(|lease| lease.author)
    }

    /// Returns the documents in which what a session has leased was used before; `None` if they are too many, or nothing is leased.
    #[must_use]
    pub fn used_before(&self, session: u64) -> Option<SortedSet<u64>> {
        let lease = self.leases.iter().find(|lease| lease.holder == session)?;
        lease.docs.clone()
    }

    /// Makes what a session has leased free, if that is `author`, which the session has used in `docs`; unless one of these was dropped.
    pub fn give_back(&mut self, session: u64, author: u64, docs: &SortedSet<u64>) {
        let Some(at) = self.leases.iter().position(|lease| lease.holder == session && lease.author == author) else { return };
        let lease = &mut self.leases[at];
        let lately = self.drops - lease.since.min(self.drops);
        let remembered = usize::try_from(lately).is_ok_and(|lately| lately <= self.dropped.len());
        let meanwhile = self.dropped.iter().rev().take(usize::try_from(lately).unwrap_or(usize::MAX));
        if !remembered || meanwhile.into_iter().any(|dropped| docs.contains(dropped)) {
            self.leases.remove(at);
            return;
        }
        lease.holder = NOBODY;
        lease.docs = lease.docs.take().map(|mut before| {
            before.extend(docs);
            before
        });
        if lease.docs.as_ref().is_some_and(|docs| docs.len() > MAX_DOCS) {
            lease.docs = None;
        }
    }

    /// Sees to it that ids are never leased again, whoever has them.
    pub fn retire(&mut self, authors: &SortedSet<u64>) {
        self.leases.retain(|lease| !authors.contains(&lease.author));
    }

    /// A document is about to be dropped: what was written in it others may keep.
    pub fn drop_doc(&mut self, doc: u64) {
        self.leases.retain(|lease| lease.docs.as_ref().is_some_and(|docs| !docs.contains(&doc)));
        if self.leases.is_empty() {
            return;
        }
        self.drops += 1;
        self.dropped.push(doc);
        if self.dropped.len() > MAX_DROPPED {
            self.dropped.remove(0);
        }
    }
}

/// How far a session's lease is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nobody has asked for one.
    Unasked,
    /// A store was asked.
    Asked,
    /// It is settled: this id, or none.
    Settled(Option<u64>),
}

/// The ids of one session.
#[derive(Debug, Clone)]
pub struct Authors {
    session: u64,
    /// Made for this session, and nobody else's.
    fresh: u64,
    stage: Stage,
    /// Documents that have been in memory.
    seen: SortedSet<DocId>,
    /// All ids this session ever wrote under, those of single documents excepted.
    own: SortedSet<u64>,
    /// How much of them each document has been seen to have.
    written: SortedMap<DocId, VersionVector>,
    /// Documents of which nobody can say how far they were.
    lost: SortedSet<DocId>,
    /// Documents in which earlier sessions used what is leased, by their hashes, `None` if they are too many.
    inherited: Option<SortedSet<u64>>,
}

impl Authors {
    /// Begins a session. Both numbers are random; `fresh` is an id nobody has.
    #[must_use]
    pub fn new(session: u64, fresh: u64) -> Self {
        let session = session.max(NOBODY + 1);
        Self {
            session,
            fresh,
            stage: Stage::Unasked,
            seen: SortedSet::new(),
            own: SortedSet::from([fresh]),
            written: SortedMap::new(),
            lost: SortedSet::new(),
            inherited: Some(SortedSet::new()),
        }
    }

    /// Notes what a document has.
    pub fn note(&mut self, doc: &DocId, version: &VersionVector) {
        for author in &self.own {
            let end = version.get(*author);
            if end > 0 && self.written.get(doc).is_none_or(|written| written.get(*author) < end) {
                self.written.entry(doc.clone()).or_default().extend_to(*author, end);
            }
        }
    }

    /// Returns how much of `author` each document has been seen to have that has some.
    pub fn written(&self, author: u64) -> impl Iterator<Item = (&DocId, i32)> {
        self.written.iter().map(move |(doc, written)| (doc, written.get(author))).filter(|(_, end)| *end > 0)
    }

    /// Returns how much of `author` a document has been seen to have.
    #[must_use]
    pub fn written_in(&self, doc: &DocId, author: u64) -> i32 {
        self.written.get(doc).map_or(0, |written| written.get(author))
    }

    /// Returns the session's number in the table.
    #[must_use]
    pub fn session(&self) -> u64 {
        self.session
    }

    /// Returns the id made for this session.
    #[must_use]
    pub fn fresh(&self) -> u64 {
        self.fresh
    }

    /// The engine failed in a document: what was written in it may be known to others and not be here any more.
    pub fn lost(&mut self, doc: &DocId) {
        self.lost.insert(doc.clone());
    }

    /// A document is dropped here: what this session has written in it, others may have.
    pub fn dropped(&mut self, doc: &DocId) {
        if self.written.contains_key(doc) {
            self.lost(doc);
        }
    }

    /// Returns whether it is known of every document how far it was written.
    #[must_use]
    pub fn knows_all(&self) -> bool {
        self.lost.is_empty()
    }

    /// Returns the id of a document that comes into memory and has not been read: `single` is one nobody has.
    pub fn opening(&mut self, doc: &DocId, single: u64) -> u64 {
        if self.seen.insert(doc.clone()) { self.fresh } else { single }
    }

    /// Returns whether nobody has asked for a lease yet.
    #[must_use]
    pub fn is_unasked(&self) -> bool {
        self.stage == Stage::Unasked
    }

    /// Returns whether a lease is to be asked for now; it is then taken to be asked for.
    pub fn ask(&mut self) -> bool {
        let first = self.stage == Stage::Unasked;
        if first {
            self.stage = Stage::Asked;
        }
        first
    }

    /// Returns whether a store was asked for a lease and has not answered.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.stage == Stage::Asked
    }

    /// A store has leased an id, or could not; `before` are the documents it was used in, `None` if they are too many.
    pub fn answered(&mut self, author: Option<u64>, before: Option<SortedSet<u64>>) {
        if self.stage == Stage::Asked {
            self.stage = Stage::Settled(author);
            self.own.extend(author);
            self.inherited = before;
        }
    }

    /// Returns whether an earlier session may have used what is leased in a document. Somebody may have dropped it since, and others
    /// may have what was in it: whether the lease still stands is to be asked.
    #[must_use]
    pub fn inherits(&self, doc: u64) -> bool {
        self.leased().is_some() && self.inherited.as_ref().is_none_or(|docs| docs.contains(&doc))
    }

    /// Returns what is leased.
    #[must_use]
    pub fn leased(&self) -> Option<u64> {
        match self.stage {
            Stage::Settled(author) => author,
            Stage::Unasked | Stage::Asked => None,
        }
    }

    /// Returns the id a document is written under that has been read whole; `None` if it stays as it is. `stored` is what stores say they
    /// have and what others said they have, all of which is here.
    #[must_use]
    pub fn of_read(&self, doc: &DocId, version: &VersionVector, stored: &VersionVector) -> Option<u64> {
        let Stage::Settled(leased) = self.stage else { return None };
        let author = leased.unwrap_or(self.fresh);
        let written = self.written_in(doc, author);
        (!self.lost.contains(doc) && version.get(author) >= stored.get(author).max(written)).then_some(author)
    }

    /// Returns whether documents of this session are written under one of `authors`.
    #[must_use]
    pub fn uses(&self, authors: &SortedSet<u64>) -> bool {
        authors.contains(&self.fresh) || self.leased().is_some_and(|leased| authors.contains(&leased))
    }

    /// Writes under another id from now on, which nobody has; what was leased before is not given back.
    pub fn renew(&mut self, fresh: u64) {
        self.fresh = fresh;
        self.own.insert(fresh);
        self.inherited = Some(SortedSet::new());
        self.stage = match self.stage {
            Stage::Settled(Some(_)) => Stage::Settled(Some(fresh)),
            stage => stage,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: SortedSet<u64> = SortedSet::new();

    #[test]
    fn a_free_id_is_leased_to_one_and_given_back_by_that_one_alone() {
        let mut table = LeaseTable::default();
        table.take(1, 100);
        table.take(2, 200);
        table.take(2, 300);
        assert_eq!((table.of(1), table.of(2)), (Some(100), Some(200)));
        table.give_back(2, 100, &NONE);
        table.give_back(1, 200, &NONE);
        table.take(3, 400);
        assert_eq!(table.of(3), Some(400), "nothing was free");
        table.give_back(1, 100, &NONE);
        table.take(4, 500);
        assert_eq!((table.of(4), table.of(1)), (Some(100), None));
        table.put(4, 450);
        table.put(4, 100);
        table.retire(&SortedSet::from([100, 200]));
        table.give_back(4, 100, &NONE);
        table.take(5, 600);
        assert_eq!((table.of(5), table.leases.len()), (Some(600), 2), "what was retired does not come back");
    }

    #[test]
    fn a_dropped_document_retires_the_ids_that_were_used_in_it_and_no_other() {
        let mut table = LeaseTable::default();
        let [one, two] = [1, 2].map(|doc| SortedSet::from([doc]));
        table.take(11, 100);
        table.take(12, 200);
        table.give_back(11, 100, &one);
        table.give_back(12, 200, &two);
        table.drop_doc(2);
        table.take(13, 300);
        table.take(14, 400);
        assert_eq!((table.of(13), table.of(14)), (Some(100), Some(400)));
        table.drop_doc(7);
        table.give_back(14, 400, &SortedSet::from([7]));
        assert_eq!(table.of(13), Some(100));
        table.drop_doc(1);
        assert_eq!(table.of(13), None, "it was used there by an earlier session");
        table.take(15, 500);
        assert_eq!(table.of(15), Some(500), "400 was used in what was dropped meanwhile");
        for doc in 1_000..2_000 {
            table.drop_doc(doc);
        }
        table.give_back(15, 500, &NONE);
        assert_eq!(table.leases.len(), 0, "nobody knows any more what was dropped");
    }

    #[test]
    fn sessions_that_ended_badly_do_not_fill_the_table_and_free_ids_stay() {
        let mut table = LeaseTable::default();
        for session in 1..500 {
            table.take(session, session * 1_000);
        }
        assert_eq!(table.leases.len(), MAX_HELD);
        assert_eq!(table.of(499), Some(499_000));
        table.give_back(499, 499_000, &(0..2_000).collect());
        table.drop_doc(5_000);
        assert_eq!(table.leases.len(), MAX_HELD - 1, "one that was used in too many documents goes with any");
    }

    #[test]
    fn a_table_keeps_its_bytes() {
        let mut table = LeaseTable::default();
        assert_eq!(table.encode(), None);
        table.take(7, 300);
        let bytes = table.encode().unwrap();
        assert_eq!(&bytes[..], [1, 1, 172, 2, 7, 0, 1, 0, 0, 0]);
        assert_eq!(LeaseTable::decode(Some(&bytes)), table);
        for damaged in [&[][..], &[2], &bytes[..5], b"something else"] {
            assert_eq!(LeaseTable::decode(Some(damaged)), LeaseTable::default(), "{damaged:?}");
        }
    }

    #[test]
    fn a_document_is_written_under_the_lease_only_when_all_of_that_author_is_here() {
        let doc = DocId::from_wire("d");
        let mut authors = Authors::new(1, 10);
        assert_eq!(authors.opening(&doc, 77), 10);
        assert_eq!(authors.opening(&doc, 77), 77, "it has been here before, and may have been written to");
        assert!(authors.ask() && !authors.ask());
        let [none, five, six] = [0, 5, 6].map(|end| VersionVector::from_iter((end > 0).then_some((20, end))));
        assert_eq!(authors.of_read(&doc, &five, &five), None, "not before it is known which");
        authors.answered(Some(20), Some(NONE));
        assert_eq!(authors.of_read(&doc, &five, &five), Some(20));
        assert_eq!(authors.of_read(&doc, &none, &five), None, "something was lost");
        authors.note(&doc, &six);
        assert_eq!(authors.of_read(&doc, &five, &five), None, "it was dropped and came back with less");
        assert_eq!(authors.written(20).collect::<Vec<_>>(), [(&doc, 6)]);
        authors.lost(&doc);
        assert_eq!((authors.of_read(&doc, &six, &five), authors.knows_all()), (None, false));
        authors.lost.clear();
        authors.renew(30);
        authors.answered(Some(20), Some(NONE));
        assert_eq!((authors.of_read(&doc, &none, &five), authors.leased()), (Some(30), Some(30)));
    }
}
