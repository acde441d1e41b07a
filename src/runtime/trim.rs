//! Trimming the history of documents, and putting a document with the whole of it in the place of a trimmed one, or a trimmed one in the place
//! of what it has overtaken.
//!
//! Decides how far the engine can do what it is told, and that nothing the trimmed document has is lost. What is trimmed when, and whose
//! history is taken, is decided elsewhere.

use std::rc::Rc;

use loro::{ExportMode, ID, LoroDoc, LoroEncodeError};

use super::{
    Record, RecordKind, RepoEvent,
    docs::{OpenDoc, from_loro, to_loro},
    inner::RepoInner,
};
use crate::{
    protocol::{Device, DocId, VersionVector},
    synchronizer::{ChannelId, Input, Mark, Timestamp},
};

/// Encodes marks for the index record of a document.
#[must_use]
pub fn encode_marks(marks: &[Mark]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Mark { at, version, left, device } in marks {
        let version = version.encode();
        bytes.push(if device.is_some() { 2 } else { u8::from(*left) });
        bytes.extend(device.iter().flat_map(|device| device.0.to_be_bytes()));
        bytes.extend(at.0.to_be_bytes());
        bytes.extend((version.len() as u32).to_be_bytes());
        bytes.extend(version);
    }
    bytes
}

/// Decodes marks of an index record; `None` if they are damaged.
#[must_use]
pub fn decode_marks(mut bytes: &[u8]) -> Option<Vec<Mark>> {
    let mut marks = Vec::new();
    while !bytes.is_empty() {
        let (kind, mut rest) = bytes.split_first()?;
        let mut device = None;
        if *kind == 2 {
            let (number, after) = rest.split_first_chunk()?;
            (device, rest) = (Some(Device(u64::from_be_bytes(*number))), after);
        }
        let (at, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (version, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        let (at, version) = (Timestamp(u64::from_be_bytes(*at)), VersionVector::decode(version).ok()?);
        marks.push(Mark { at, version, left: *kind != 0, device });
        bytes = rest;
    }
    Some(marks)
}

/// Returns what was trimmed from an export.
pub(super) fn begins(bytes: &[u8]) -> VersionVector {
    LoroDoc::decode_import_blob_meta(bytes, false).map(|meta| from_loro(&meta.partial_start_vv)).unwrap_or_default()
}

impl OpenDoc {
    /// Exports the document with a history that begins at `version`, or before where the engine needs more, and the version it has. All of the
    /// history, if `version` is none the document ever had.
    pub(super) fn export_trimmed(&self, version: &VersionVector) -> Result<(Vec<u8>, VersionVector), LoroEncodeError> {
        let whole = self.export(None)?;
        // Of a copy: the engine walks back and forth in what it exports.
        let copy = LoroDoc::new();
        if copy.import(&whole.0).is_err() {
            return Ok(whole);
        }
        // The engine panics on ids that are not there.
        let start = to_loro(&version.common(&whole.1));
        if !start.includes_vv(&copy.shallow_since_vv().to_vv()) {
            return Ok(whole);
        }
        let frontiers = copy.vv_to_frontiers(&start);
        if frontiers.is_empty() || copy.frontiers_to_vv(&frontiers).is_none_or(|reached| !start.includes_vv(&reached)) {
            return Ok(whole);
        }
        let bytes = copy.export(ExportMode::shallow_snapshot(&frontiers))?;
        // One that begins with the first operation has everything, and would refuse what begins beside that.
        Ok(if begins(&bytes).is_empty() { whole } else { (bytes, whole.1) })
    }

    /// Returns whether a trimmed history that a peer gave was left out, though nothing of the document is here: the engine does not take the
    /// document for empty while operations wait in it.
    pub(super) fn left_out(&self, data: &[u8]) -> bool {
        self.doc.oplog_vv().is_empty() && !begins(data).is_empty()
    }

    /// Returns whether something that `since` lacks depends on what is in `trimmed`, or on nothing.
    pub(super) fn reaches_before(&self, since: &VersionVector, trimmed: &VersionVector) -> bool {
        if trimmed.is_empty() || self.doc.is_shallow() {
            return false;
        }
        let before = |id: ID| id.counter < trimmed.get(id.peer);
        self.doc.oplog_vv().iter().any(|(author, end)| {
            let mut next = since.get(*author);
            while next < *end {
                let Some(change) = self.doc.get_change(ID::new(*author, next)) else { return true };
                let whole = change.id.counter == next;
                if whole && (change.deps.is_empty() || change.deps.iter().any(before)) || !whole && before(ID::new(*author, next - 1)) {
                    return true;
                }
                next = change.id.counter + change.len as i32;
            }
            false
        })
    }

    /// Returns where the history begins, if that is not what was last told.
    fn history_news(&self) -> Option<VersionVector> {
        let begins = match self.doc.is_shallow() {
            true => from_loro(&self.doc.shallow_since_vv().to_vv()),
            false => VersionVector::new(),
        };
        let news = *self.begins.borrow() != begins;
        news.then(|| {
            self.begins.replace(begins.clone());
            begins
        })
    }
}

impl RepoInner {
    /// Tells the synchronizer where the history of a document begins.
    pub(super) fn tell_history(&self, doc: &OpenDoc) {
        if let Some(version) = doc.history_news() {
            self.enqueue(Input::HistoryBegins { doc: doc.id.clone(), version });
        }
    }

    /// Puts a document with the whole history in the place of a trimmed one.
    pub(super) fn renew(&self, id: DocId, channel: ChannelId, data: &[u8], announced: VersionVector) {
        let Some(old) = self.doc(&id) else { return };
        let Some(fresh) = self.renewed(&old, |old| self.with_history(old, data)) else { return };
        let version = fresh.version();
        self.enqueue(Input::HistoryBegins { doc: id.clone(), version: VersionVector::new() });
        self.enqueue(Input::DocImported { doc: id.clone(), channel, version, announced, pending: VersionVector::new() });
        self.emit(RepoEvent::DocumentRenewed { doc: id });
    }

    /// Puts a document with a peer's trimmed history in the place of one that has nothing but operations that wait: the engine takes it into
    /// an empty one only. What waited comes again if the peer's data lacks it.
    pub(super) fn begun_with(&self, doc: &Rc<OpenDoc>, data: &[u8]) -> Option<Rc<OpenDoc>> {
        let fresh = self.renewed(doc, |old| {
            let fresh = self.fresh(old);
            fresh.doc.import(data).ok()?;
            (old.doc.oplog_vv().is_empty() && !fresh.doc.oplog_vv().is_empty()).then_some(fresh)
        })?;
        self.emit(RepoEvent::DocumentRenewed { doc: doc.id.clone() });
        Some(fresh)
    }

    /// Puts a document made of records in the place of one that lacks what was trimmed from them: the engine takes them into an empty one
    /// only. Returns the one that is there now.
    pub(super) fn overtaken(&self, doc: &Rc<OpenDoc>, records: &[Record]) -> Rc<OpenDoc> {
        let version = doc.oplog_version();
        let beyond = |record: &Record| record.kind == RecordKind::Snapshot && !version.includes(&begins(&record.bytes));
        if version.is_empty() && !doc.waits.get() || !records.iter().any(beyond) {
            return Rc::clone(doc);
        }
        let Some(fresh) = self.renewed(doc, |old| self.with_stored(old, records)) else {
            return self.doc(&doc.id).unwrap_or_else(|| Rc::clone(doc));
        };
        self.emit(RepoEvent::DocumentRenewed { doc: doc.id.clone() });
        fresh
    }

    /// Puts what `make` makes of a document in its place.
    fn renewed(&self, old: &Rc<OpenDoc>, make: impl FnOnce(&OpenDoc) -> Option<Rc<OpenDoc>>) -> Option<Rc<OpenDoc>> {
        self.commit(old).ok()?;
        self.notice(old);
        let fresh = self.guarded(old, make).ok()??;
        self.forget_exports(&old.id);
        self.authors.borrow_mut().lost(&old.id);
        // Whoever kept the engine's document gets an error for an edit that nobody would store.
        let _ = self.guarded(old, |old| old.doc.detach());
        fresh.opened.set(old.opened.get());
        fresh.read.replace(old.read.take());
        fresh.stored.replace(old.stored.take());
        let _ = old.renewed.set(Rc::clone(&fresh));
        self.docs.borrow_mut().insert(old.id.clone(), Rc::clone(&fresh));
        Some(fresh)
    }

    /// Makes a document of records and of everything that `old` has; `None` if that is not all there is, because it depends on what was trimmed.
    fn with_stored(&self, old: &OpenDoc, records: &[Record]) -> Option<Rc<OpenDoc>> {
        let fresh = self.fresh(old);
        let (snapshots, updates): (Vec<_>, Vec<_>) = records.iter().partition(|record| record.kind == RecordKind::Snapshot);
        for record in snapshots.into_iter().chain(updates) {
            // What does not fit is judged when all of them are read.
            let _ = fresh.doc.import(&record.bytes);
        }
        if !fresh.doc.oplog_vv().includes_vv(&old.doc.oplog_vv()) {
            let own = old.doc.export(ExportMode::updates(&fresh.doc.oplog_vv())).ok()?;
            fresh.doc.import(&own).ok()?;
        }
        fresh.doc.oplog_vv().includes_vv(&old.doc.oplog_vv()).then_some(fresh)
    }

    /// Makes a document of a peer's data and of everything that `old` has; `None` if that is not all there is.
    fn with_history(&self, old: &OpenDoc, data: &[u8]) -> Option<Rc<OpenDoc>> {
        let fresh = self.fresh(old);
        fresh.doc.import(data).ok()?;
        let begins = old.doc.shallow_since_vv().to_vv();
        if fresh.doc.is_shallow() || !fresh.doc.oplog_vv().includes_vv(&begins) {
            return None;
        }
        let own = old.doc.export(ExportMode::updates(&fresh.doc.oplog_vv())).ok()?;
        fresh.doc.import(&own).ok()?;
        fresh.doc.oplog_vv().includes_vv(&old.doc.oplog_vv()).then_some(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(author: u64) -> LoroDoc {
        let doc = LoroDoc::new();
        doc.set_peer_id(author).unwrap();
        doc
    }

    fn typed(doc: &LoroDoc, text: &str) {
        doc.get_text("text").insert(0, text).unwrap();
        doc.commit();
    }

    fn open(from: &LoroDoc) -> OpenDoc {
        let (changed, _) = futures_channel::mpsc::unbounded();
        let open = OpenDoc::new(DocId::new("d").unwrap(), 99, changed);
        open.doc.import(&from.export(ExportMode::all_updates()).unwrap()).unwrap();
        open
    }

    fn text(doc: &LoroDoc) -> String {
        doc.get_text("text").to_string()
    }

    #[test]
    fn marks_are_read_as_they_were_written_and_damaged_ones_are_refused() {
        let mark = |at, end, device| Mark {
            at: Timestamp(at),
            version: VersionVector::from_iter([(1, end), (u64::MAX, 2)]),
            left: end <= 2,
            device,
        };
        let marks = vec![mark(0, 1, None), mark(9, 2, Some(Device(u64::MAX - 1))), mark(u64::MAX, i32::MAX, None)];
        let bytes = encode_marks(&marks);
        assert_eq!(decode_marks(&bytes).as_ref(), Some(&marks));
        assert_eq!(decode_marks(&[]), Some(Vec::new()));
        for end in 1..bytes.len() {
            assert!(decode_marks(&bytes[..end]).is_none_or(|read| read == marks[..read.len()] && read.len() < marks.len()), "{end}");
        }
    }

    #[test]
    fn a_trimmed_export_begins_where_it_is_told_and_leaves_the_document_alone() {
        let author = doc(1);
        for round in 0..50 {
            typed(&author, &round.to_string());
        }
        let open = open(&author);
        let (bytes, version) = open.export_trimmed(&VersionVector::from_iter([(1, 40)])).unwrap();
        assert!(!open.doc.is_shallow());
        let trimmed = LoroDoc::new();
        trimmed.import(&bytes).unwrap();
        assert_eq!(text(&trimmed), text(&author));
        assert_eq!(from_loro(&trimmed.oplog_vv()), version);
        assert_eq!(from_loro(&trimmed.shallow_since_vv().to_vv()), VersionVector::from_iter([(1, 39)]));
        let first = open.export_trimmed(&VersionVector::from_iter([(1, 1)])).unwrap().0;
        let all = LoroDoc::new();
        all.import(&first).unwrap();
        assert!(!all.is_shallow(), "there is nothing before the first operation");
    }

    #[test]
    fn what_is_no_version_of_the_document_trims_nothing() {
        let (one, two) = (doc(1), doc(2));
        typed(&one, "one");
        two.import(&one.export(ExportMode::all_updates()).unwrap()).unwrap();
        typed(&two, "two");
        for claim in [vec![(2, 3)], vec![(9, 5)], vec![(2, 9)], vec![(1, 1), (2, 3)]] {
            let open = open(&two);
            let (bytes, _) = open.export_trimmed(&claim.iter().copied().collect()).unwrap();
            let read = LoroDoc::new();
            read.import(&bytes).unwrap();
            assert!(!read.is_shallow(), "{claim:?}");
            assert_eq!(text(&read), text(&two));
        }
    }

    #[test]
    fn what_depends_on_trimmed_history_is_found() {
        let author = doc(1);
        for round in 0..20 {
            typed(&author, &round.to_string());
        }
        let old = doc(2);
        old.import(&author.export(ExportMode::updates_till(&[(1, 5)].into_iter().collect::<loro::VersionVector>())).unwrap()).unwrap();
        typed(&old, "old");
        let open = open(&author);
        let (since, trimmed) = (from_loro(&open.doc.oplog_vv()), VersionVector::from_iter([(1, 10)]));
        typed(&author, "new");
        open.doc.import(&author.export(ExportMode::all_updates()).unwrap()).unwrap();
        assert!(!open.reaches_before(&since, &trimmed));
        assert!(!open.reaches_before(&since, &VersionVector::new()));
        for other in [old, {
            let other = doc(3);
            typed(&other, "from nothing");
            other
        }] {
            let both = self::open(&author);
            both.doc.import(&other.export(ExportMode::all_updates()).unwrap()).unwrap();
            assert!(both.reaches_before(&since, &trimmed));
        }
    }

    #[test]
    fn a_document_where_operations_wait_takes_no_trimmed_history() {
        let author = doc(1);
        for round in 0..20 {
            typed(&author, &round.to_string());
        }
        let (trimmed, version) = open(&author).export_trimmed(&VersionVector::from_iter([(1, 10)])).unwrap();
        let (changed, _) = futures_channel::mpsc::unbounded();
        let waits = OpenDoc::new(DocId::new("d").unwrap(), 99, changed);
        typed(&author, "later");
        waits.doc.import(&author.export(ExportMode::updates(&to_loro(&version))).unwrap()).unwrap();
        waits.doc.import(&trimmed).unwrap();
        assert!(waits.left_out(&trimmed), "the engine took it: nothing need be put in its place");
        let whole = author.export(ExportMode::Snapshot).unwrap();
        waits.doc.import(&whole).unwrap();
        assert!(!waits.left_out(&whole));
        assert_eq!(text(&waits.doc), text(&author));
    }

    /// The stores of several tabs: whole and trimmed snapshots, and updates, whichever was written first.
    #[test]
    fn snapshots_with_histories_of_different_lengths_are_read_in_any_order() {
        let author = doc(1);
        for round in 0..30 {
            typed(&author, &format!("{round} "));
        }
        let before = author.oplog_vv();
        let other = doc(2);
        other.import(&author.export(ExportMode::all_updates()).unwrap()).unwrap();
        typed(&other, "other ");
        let shared = open(&other);
        typed(&author, "later ");
        let whole = open(&author).export(None).unwrap().0;
        let late = author.export(ExportMode::updates(&before)).unwrap();
        let short = shared.export_trimmed(&VersionVector::from_iter([(1, 60)])).unwrap().0;
        let shorter = shared.export_trimmed(&VersionVector::from_iter([(1, 70)])).unwrap().0;
        let expected = LoroDoc::new();
        for record in [&whole, &other.export(ExportMode::all_updates()).unwrap()] {
            expected.import(record).unwrap();
        }
        for order in [[&whole, &short, &shorter], [&short, &shorter, &whole], [&shorter, &whole, &short], [&shorter, &short, &whole]] {
            let read = LoroDoc::new();
            for record in order {
                read.import(record).unwrap();
            }
            read.import(&late).unwrap();
            assert_eq!(text(&read), text(&expected));
        }
    }
}
