//! Documents read from stores, several at a time.
//!
//! Decides which reads a store is asked for together, and for how long what they gave keeps the page. Which documents are read the
//! synchronizer decides; what becomes of their records is decided in `storage`.

use std::{
    future::poll_fn,
    mem::ManuallyDrop,
    rc::{Rc, Weak},
    task::Poll,
};

use super::{
    ErrorCode, LocalBoxFuture, RepoError, StorageProblem, StorageWork, StoreError, StoredDoc,
    health::storage_error,
    inner::RepoInner,
    storage::{OpenStore, Reading},
};
use crate::{
    protocol::DocId,
    synchronizer::{ChannelId, Input},
};

/// Documents that are read together at most …
const MAX_TOGETHER: usize = 256;
/// … and what they may take in the store: a larger one is read alone, so that no other waits for it.
const MAX_TOGETHER_BYTES: u64 = 256 * 1024;
/// What one is taken to have as long as the store has not told what it has.
const UNKNOWN_BYTES: u64 = MAX_TOGETHER_BYTES / 16;
/// Milliseconds of putting documents into memory after which others get a turn.
const SLICE_MS: u64 = 12;

/// A document to be read.
pub(super) struct Wanted {
    doc: DocId,
    /// Bytes it takes in the store, if that is known.
    bytes: Option<u64>,
    records: u32,
    /// The application was told that it takes long.
    told: bool,
}

impl RepoInner {
    /// Reads a document with the others that are asked for in this turn.
    pub(super) fn load_doc(&self, channel: ChannelId, doc: DocId) {
        let Some(listed) = self.stores.borrow().get(&channel).map(|open| open.listed.get()) else { return };
        if let Some((_, wanted)) = self.removing.borrow_mut().get_mut(&(channel, doc.clone())) {
            // A read waits for no other work of its store, and would find what is about to go.
            *wanted = true;
            return;
        }
        let shelved = self.stored.borrow().get(&doc).copied();
        let bytes = shelved.map(|shelved| shelved.bytes).or(listed.then_some(0));
        let records = shelved.map_or(0, |shelved| shelved.records);
        let told = self.storage_works_on(&doc, StorageWork::Load, bytes.unwrap_or(0), records);
        let mut reads = self.reads.borrow_mut();
        let wanted = reads.entry(channel).or_default();
        wanted.push(Wanted { doc, bytes, records, told });
        if wanted.len() > 1 {
            return;
        }
        let weak = self.weak.clone();
        self.env.spawn(Box::pin(async move {
            let Some(inner) = weak.upgrade() else { return };
            let wanted = inner.reads.borrow_mut().remove(&channel).unwrap_or_default();
            for together in portions(wanted) {
                inner.read(channel, together);
            }
        }));
    }

    /// A removal of a document has ended.
    pub(super) fn removed(&self, removing: (ChannelId, DocId)) {
        let mut all = self.removing.borrow_mut();
        let Some((under_way, wanted)) = all.get_mut(&removing) else { return };
        *under_way -= 1;
        if *under_way > 0 {
            return;
        }
        let wanted = *wanted;
        all.remove(&removing);
        drop(all);
        if wanted {
            let (channel, doc) = removing;
            self.load_doc(channel, doc);
        }
    }

    fn read(&self, channel: ChannelId, together: Vec<Wanted>) {
        let Some(open) = self.stores.borrow().get(&channel).cloned() else {
            return together.iter().for_each(|wanted| self.end_reading(wanted));
        };
        let removing = |wanted: &Wanted| self.removing.borrow().contains_key(&(channel, wanted.doc.clone()));
        let (gone, together): (Vec<_>, Vec<_>) = together.into_iter().partition(removing);
        gone.into_iter().for_each(|wanted| self.read_again(channel, wanted));
        let reading = Rc::new(Reading::new(&open));
        let leased = self.authors.borrow().leased().is_some();
        let loads = open.store.load_all(together.iter().map(|wanted| wanted.doc.clone()).collect());
        let (weak, env) = (self.weak.clone(), Rc::clone(&self.env));
        self.env.spawn(Box::pin(async move {
            let loaded = loads.await;
            let mut since = env.now();
            for (wanted, loaded) in together.into_iter().zip(loaded) {
                let Some(inner) = weak.upgrade() else { return };
                if reading.is_overtaken(&wanted.doc) {
                    inner.read_again(channel, wanted);
                    continue;
                }
                let (id, told) = (wanted.doc.clone(), wanted.told);
                let taking = Rc::clone(&inner).take(channel, Rc::clone(&open), wanted, loaded, leased, Rc::downgrade(&reading));
                let mut taking: ManuallyDrop<LocalBoxFuture<()>> = ManuallyDrop::new(Box::pin(taking));
                let mut state = Poll::Pending;
                let contained = poll_fn(|context| Poll::Ready(env.contain(&mut || state = taking.as_mut().poll(context)))).await;
                match (contained, state) {
                    // What it holds may be in use for ever.
                    (Err(message), _) => inner.not_taken(channel, &open, &id, told, &message),
                    (Ok(()), Poll::Ready(())) => drop(ManuallyDrop::into_inner(taking)),
                    (Ok(()), Poll::Pending) => {
                        // Somebody has to be asked first about this one.
                        let (inner, taking, reading) = (Rc::clone(&inner), ManuallyDrop::into_inner(taking), Rc::clone(&reading));
                        env.spawn(Box::pin(async move {
                            taking.await;
                            drop(reading);
                            inner.pump();
                        }));
                    }
                }
                if env.now().since(since) >= SLICE_MS {
                    inner.pump();
                    drop(inner);
                    env.pause().await;
                    since = env.now();
                }
            }
            if let Some(inner) = weak.upgrade() {
                inner.pump();
            }
        }));
    }

    /// A panic ended the taking of a document, which is read again into another copy; it costs no other. One that does so again and again is
    /// tried from time to time only, and into the same copy.
    fn not_taken(&self, channel: ChannelId, open: &OpenStore, doc: &DocId, told: bool, message: &str) {
        self.enqueue(Input::LoadFailed { channel, doc: doc.clone() });
        match self.doc(doc).filter(|_| open.fragile.borrow_mut().taking.insert(doc.clone())) {
            Some(copy) => drop(self.lose(&copy, message)),
            None => self.quarantine(doc, RepoError::new(ErrorCode::Panic, format!("document {doc:?} could not be read: {message}"))),
        }
        if told {
            self.storage_worked_on(doc, StorageWork::Load, 0, 0);
        }
    }

    /// What was read of a document is not what is there: it is read once more, if it is still wanted.
    fn read_again(&self, channel: ChannelId, wanted: Wanted) {
        self.end_reading(&wanted);
        if self.doc(&wanted.doc).is_some() {
            self.load_doc(channel, wanted.doc);
        }
    }

    /// The application is told that the reading it was told of has ended.
    fn end_reading(&self, wanted: &Wanted) {
        if wanted.told {
            self.storage_worked_on(&wanted.doc, StorageWork::Load, wanted.bytes.unwrap_or(0), wanted.records);
        }
    }

    /// Takes what a store gave of a document. `leased` says whether it was asked with the lease in hand. The reading lasts until it is taken,
    /// and is not held by it: a panic would hold it for ever.
    async fn take(
        self: Rc<Self>,
        channel: ChannelId,
        open: Rc<OpenStore>,
        wanted: Wanted,
        loaded: Result<Option<StoredDoc>, StoreError>,
        leased: bool,
        reading: Weak<Reading>,
    ) {
        let id = wanted.doc.clone();
        match (loaded, self.doc(&id)) {
            (_, None) => {}
            (Ok(stored), Some(doc)) => {
                self.storage_works(true);
                // It is there to be read; who wants to know that it was, hears so when it is known under whose name it is written.
                let mut input = self.take_stored(channel, &open, &doc, stored);
                let doc = self.doc(&id).unwrap_or(doc);
                if self.authors.borrow().is_asking() {
                    self.lease_settled().await;
                    self.check_author(&doc).await;
                } else if leased || self.authors.borrow().leased().is_none() {
                    self.check_lease(&id).await;
                    self.settle_author(&doc);
                } else {
                    self.check_author(&doc).await;
                }
                if reading.upgrade().is_some_and(|reading| reading.is_void(&id)) {
                    return self.read_again(channel, wanted);
                }
                // What was typed and what came while that was asked is in it, too.
                let doc = self.doc(&id).unwrap_or(doc);
                self.notice(&doc);
                if let Input::Loaded { version, .. } = &mut input {
                    *version = doc.version();
                }
                self.note_written(&doc);
                self.tell_history(&doc);
                open.fragile.borrow_mut().taking.remove(&id);
                self.enqueue(input);
                if doc.missed.take() {
                    self.enqueue(Input::HistoryMissed { doc: id.clone(), channel, version: doc.version() });
                }
            }
            (Err(error), Some(_)) => {
                let what = format!("load document {id:?}");
                match StorageProblem::from(&error) {
                    StorageProblem::Corrupt => self.quarantine(&id, storage_error(&what, error)),
                    problem => self.storage_failed(problem, storage_error(&what, error)),
                }
                self.enqueue(Input::LoadFailed { channel, doc: id.clone() });
            }
        }
        self.end_reading(&wanted);
    }
}

/// Divides what is to be read into what is read together, in order.
fn portions(wanted: Vec<Wanted>) -> Vec<Vec<Wanted>> {
    let (mut portions, mut bytes) = (Vec::<Vec<Wanted>>::new(), 0);
    for next in wanted {
        let weight = next.bytes.unwrap_or(UNKNOWN_BYTES);
        bytes += weight;
        match portions.last_mut() {
            Some(last) if last.len() < MAX_TOGETHER && bytes <= MAX_TOGETHER_BYTES => last.push(next),
            _ => {
                bytes = weight;
                portions.push(vec![next]);
            }
        }
    }
    portions
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn portions_of(bytes: impl Iterator<Item = Option<u64>>) -> Vec<usize> {
        let doc = DocId::new("d").unwrap();
        let wanted = bytes.map(|bytes| Wanted { doc: doc.clone(), bytes, records: 1, told: false });
        portions(wanted.collect()).iter().map(Vec::len).collect()
    }

    fn sizes(bytes: &[u64]) -> Vec<usize> {
        portions_of(bytes.iter().copied().map(Some))
    }

    #[test]
    fn small_documents_are_read_together_and_a_large_one_alone() {
        assert_eq!(sizes(&[]), [] as [usize; 0]);
        assert_eq!(sizes(&[0; 1_000]), [256, 256, 256, 232]);
        assert_eq!(portions_of([None; 40].into_iter()), [16, 16, 8], "nobody knows yet how large they are");
        assert_eq!(sizes(&[1, 2, 3, MAX_TOGETHER_BYTES, 4, 5]), [3, 1, 2]);
        assert_eq!(sizes(&[MAX_TOGETHER_BYTES * 9; 3]), [1, 1, 1]);
        assert_eq!(sizes(&[MAX_TOGETHER_BYTES / 2; 5]), [2, 2, 1]);
    }
}
