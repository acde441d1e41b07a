//! What becomes of a document in which the engine panicked.
//!
//! Decides that such a document is never used again, not even dropped: what it had locked may stay locked for ever. Another one takes its place under
//! the same id, made of what the stores have and of what could still be read. Whoever held the old one is told that it is closed.

use std::{cell::RefCell, mem::ManuallyDrop, rc::Rc};

use loro::{ExportMode, LoroDoc, LoroError};

use super::{
    ErrorCode, Record, RecordKey, RecordKind, Repo, RepoError, RepoEvent,
    docs::{OpenDoc, to_loro},
    inner::RepoInner,
};
use crate::{
    collections::SortedSet,
    protocol::{DocId, VersionVector},
    synchronizer::Input,
};

/// A record that could not be used: its number, and why.
type Damaged = (usize, String);

/// Why a record could not be used that depends on what was trimmed from the history.
pub(super) const MISSED: &str = "it depends on trimmed history";

/// What the engine panicked on while a store was read.
#[derive(Debug, Default)]
pub(super) struct Fragile {
    /// Documents whose records are imported one by one.
    docs: SortedSet<DocId>,
    /// Records that are not imported again.
    records: SortedSet<RecordKey>,
    /// Documents that were begun to be taken, and not to the end.
    pub(super) taking: SortedSet<DocId>,
}

impl Repo {
    /// Says that the engine panicked in the document that `is` the one, outside of the repo's own work: its handles are closed, and it is read
    /// from the stores again. Returns whether it was a document of this repo.
    pub fn lose(&self, is: impl Fn(&LoroDoc) -> bool, message: &str) -> bool {
        let lost = self.0.docs.borrow().values().find(|open| is(&open.doc)).cloned();
        let Some(lost) = lost else { return false };
        self.0.lose(&lost, message);
        self.0.pump();
        true
    }

    /// Goes on after a panic that ended the repo's own work in the middle; nothing of that work may be running any more.
    pub fn resume(&self) {
        self.0.resume();
    }
}

impl RepoInner {
    /// Runs `work` on a document. If the engine panics, that is reported and the document is replaced.
    pub(super) fn guarded<T>(&self, doc: &Rc<OpenDoc>, work: impl FnOnce(&OpenDoc) -> T) -> Result<T, RepoError> {
        self.contained(|| work(doc)).map_err(|message| self.lose(doc, &message))
    }

    /// Ends the pending edits of a document as one commit.
    ///
    /// # Errors
    /// [`ErrorCode::Panic`]; it is reported, and the document replaced.
    pub(super) fn commit(&self, doc: &Rc<OpenDoc>) -> Result<(), RepoError> {
        self.guarded(doc, |doc| doc.doc.commit())
    }

    /// Ends what a panic left half done: flags that say that somebody is at work. A repo whose own state is in use for ever can only be closed.
    fn resume(&self) {
        self.at_rest();
        let usable = self.sync.try_borrow_mut().is_ok()
            && self.docs.try_borrow_mut().is_ok()
            && self.pipes.try_borrow_mut().is_ok()
            && self.stores.try_borrow_mut().is_ok()
            && self.stored.try_borrow_mut().is_ok()
            && self.waiters.try_borrow_mut().is_ok()
            && self.flushes.try_borrow_mut().is_ok();
        if usable {
            self.pump();
        } else if !self.closed.replace(true) {
            let error = RepoError::new(ErrorCode::Panic, "the repo panicked and was closed; open another one");
            self.emit(RepoEvent::Error { error, doc: None });
            self.deliver();
        }
    }

    fn contained<T>(&self, work: impl FnOnce() -> T) -> Result<T, String> {
        let mut work = Some(work);
        let mut done = None;
        self.env.contain(&mut || {
            if let Some(work) = work.take() {
                done = Some(work());
            }
        })?;
        done.ok_or_else(|| "the work did not run".to_owned())
    }

    /// Reports a panic of the engine in a document and puts another one, read from the stores, in its place.
    pub(super) fn lose(&self, doc: &Rc<OpenDoc>, message: &str) -> RepoError {
        let text = format!("the engine panicked in document {:?}, which was closed and is read again: {message}", doc.id);
        let error = RepoError::new(ErrorCode::Panic, text);
        if let Some(fresh) = self.replace(doc) {
            self.end_waits(&doc.id, &error);
            self.emit(RepoEvent::Error { error: error.clone(), doc: Some(doc.id.clone()) });
            self.enqueue(Input::DocLost { doc: doc.id.clone(), version: fresh.version() });
        }
        error
    }

    /// Nobody waits for a version that may be gone.
    fn end_waits(&self, id: &DocId, error: &RepoError) {
        let waiters: Vec<_> = self.waiters.borrow_mut().extract_if(.., |waiter| waiter.doc == *id).collect();
        for waiter in waiters {
            let _ = waiter.done.send(Err(lost(id)));
        }
        let stored = |version: &VersionVector| self.sync.try_borrow().is_ok_and(|sync| sync.is_stored(id, version));
        let unmet = |(doc, version): &(DocId, VersionVector)| doc == id && !stored(version);
        let flushes: Vec<_> = self.flushes.borrow_mut().extract_if(.., |waiter| waiter.versions.iter().any(unmet)).collect();
        for waiter in flushes {
            let _ = waiter.done.send(Err(error.clone()));
        }
    }

    /// Puts an empty document in the place of one in which the engine panicked, with what of that could still be read.
    fn replace(&self, doc: &Rc<OpenDoc>) -> Option<Rc<OpenDoc>> {
        let current = self.doc(&doc.id).is_some_and(|open| Rc::ptr_eq(&open, doc));
        if !current || doc.gone.replace(true) {
            return None;
        }
        doc.lost.set(true);
        self.authors.borrow_mut().lost(&doc.id);
        let _never_dropped = ManuallyDrop::new(doc.doc.clone());
        self.forget_exports(&doc.id);
        // What no store has: readable only if the panic left the locks alone. Stores have the rest.
        let stored = self.sync.try_borrow().ok().and_then(|sync| sync.kept(&doc.id).map(to_loro)).unwrap_or_default();
        let saved = self.contained(|| doc.doc.export(ExportMode::updates(&stored)));
        let mut fresh = self.fresh(doc);
        if let Ok(Ok(bytes)) = saved
            && self.contained(|| fresh.doc.import(&bytes).map(drop)).is_err()
        {
            let _never_dropped = ManuallyDrop::new(fresh.doc.clone());
            fresh = self.fresh(doc);
        }
        self.docs.borrow_mut().insert(doc.id.clone(), Rc::clone(&fresh));
        Some(fresh)
    }

    /// Makes an empty document with the identity of another: a new author, since nobody knows how far the old one got.
    pub(super) fn fresh(&self, of: &OpenDoc) -> Rc<OpenDoc> {
        let fresh = OpenDoc::new(of.id.clone(), self.env.random_u64(), self.changed.clone());
        fresh.lineage.set(of.lineage.get());
        Rc::new(fresh)
    }

    /// Imports stored records; one that is damaged does not cost the others. Returns the document they are in now.
    ///
    /// A record the engine panicked on is remembered in `fragile` and not tried again.
    pub(super) fn import_records(&self, doc: &Rc<OpenDoc>, records: &[Record], fragile: &RefCell<Fragile>) -> (Rc<OpenDoc>, Vec<Damaged>) {
        let mut open = Rc::clone(doc);
        let mut damaged = Vec::new();
        let known = fragile.borrow().docs.contains(&doc.id);
        if !known {
            let (snapshots, updates): (Vec<_>, Vec<_>) = records.iter().partition(|record| record.kind == RecordKind::Snapshot);
            let updates: Vec<Vec<u8>> = updates.into_iter().map(|record| record.bytes.to_vec()).collect();
            // A snapshot of a trimmed history is of use only to an empty document, and a batch would put it behind the updates.
            let batch = self.contained(|| {
                for record in snapshots {
                    open.doc.import(&record.bytes)?;
                }
                let status = open.doc.import_batch(&updates)?;
                open.waits.set(open.waits.get() || status.pending.is_some_and(|waiting| !waiting.is_empty()));
                loro::LoroResult::Ok(())
            });
            match batch {
                Ok(Ok(())) => return (open, damaged),
                Ok(Err(_)) => {}
                Err(message) => {
                    fragile.borrow_mut().docs.insert(doc.id.clone());
                    open = self.restart(&open, &message);
                }
            }
        }
        for (number, record) in records.iter().enumerate() {
            if fragile.borrow().records.contains(&record.key) {
                damaged.push((number, "the engine panics on it".to_owned()));
                continue;
            }
            match self.contained(|| open.doc.import(&record.bytes).map(drop)) {
                Ok(Ok(())) => {}
                Ok(Err(LoroError::ImportUpdatesThatDependsOnOutdatedVersion)) if open.doc.is_shallow() => {
                    open.missed.set(true);
                    damaged.push((number, MISSED.to_owned()));
                }
                Ok(Err(why)) => damaged.push((number, why.to_string())),
                Err(message) => {
                    fragile.borrow_mut().records.insert(record.key.clone());
                    open = self.restart(&open, &message);
                    damaged.push((number, message));
                    for (before, sound) in records.iter().enumerate().take(number) {
                        if !damaged.iter().any(|(bad, _)| *bad == before) {
                            let _ = self.contained(|| open.doc.import(&sound.bytes).map(drop));
                        }
                    }
                }
            }
        }
        (open, damaged)
    }

    /// Loses a document and returns the one in its place, or the same if there is none.
    fn restart(&self, doc: &Rc<OpenDoc>, message: &str) -> Rc<OpenDoc> {
        self.lose(doc, message);
        self.doc(&doc.id).unwrap_or_else(|| Rc::clone(doc))
    }
}

/// The error of a handle whose document was lost.
pub(super) fn lost(doc: &DocId) -> RepoError {
    RepoError::new(ErrorCode::Closed, format!("document {doc:?} was closed because the engine panicked in it; open it again"))
}
