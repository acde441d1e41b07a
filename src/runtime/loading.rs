//! Documents read from stores, several at a time.
//!
//! Decides which reads a store is asked for together, and for how long what they gave keeps the page. Which documents are read the
//! synchronizer decides; what becomes of their records is decided in `storage`.

use std::{future::poll_fn, rc::Rc, task::Poll};

use super::{
    LocalBoxFuture, StorageProblem, StorageWork, StoreError, StoredDoc, health::storage_error, inner::RepoInner, storage::OpenStore,
};
use crate::{
    protocol::DocId,
    synchronizer::{ChannelId, Input},
};

/// Documents that are read together at most …
const MAX_TOGETHER: usize = 256;
/// … and what they may take in the store: a larger one is read alone, so that no other waits for it.
const MAX_TOGETHER_BYTES: u64 = 256 * 1024;
/// Milliseconds of putting documents into memory after which others get a turn.
const SLICE_MS: u64 = 12;

/// A document to be read.
pub(super) struct Wanted {
    doc: DocId,
    bytes: u64,
    records: u32,
    /// The application was told that it takes long.
    told: bool,
}

impl RepoInner {
    /// Reads a document with the others that are asked for in this turn.
    pub(super) fn load_doc(&self, channel: ChannelId, doc: DocId) {
        if !self.stores.borrow().contains_key(&channel) {
            return;
        }
        let (bytes, records) = self.stored.borrow().get(&doc).map_or((0, 0), |shelved| (shelved.bytes, shelved.records));
        let told = self.storage_works_on(&doc, StorageWork::Load, bytes, records);
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

    fn read(&self, channel: ChannelId, together: Vec<Wanted>) {
        let Some(open) = self.stores.borrow().get(&channel).cloned() else { return };
        let leased = self.authors.borrow().leased().is_some();
        let loads = open.store.load_all(together.iter().map(|wanted| wanted.doc.clone()).collect());
        let (weak, env) = (self.weak.clone(), Rc::clone(&self.env));
        self.env.spawn(Box::pin(async move {
            let loaded = loads.await;
            let mut since = env.now();
            for (wanted, loaded) in together.into_iter().zip(loaded) {
                let Some(inner) = weak.upgrade() else { return };
                let mut taking: LocalBoxFuture<()> = Box::pin(Rc::clone(&inner).take(channel, Rc::clone(&open), wanted, loaded, leased));
                if poll_fn(|context| Poll::Ready(taking.as_mut().poll(context))).await.is_pending() {
                    // Somebody has to be asked first about this one.
                    let inner = Rc::clone(&inner);
                    env.spawn(Box::pin(async move {
                        taking.await;
                        inner.pump();
                    }));
                }
                if env.now().since(since) >= SLICE_MS {
                    inner.pump();
                    drop(inner);
                    env.sleep(0).await;
                    since = env.now();
                }
            }
            if let Some(inner) = weak.upgrade() {
                inner.pump();
            }
        }));
    }

    /// Takes what a store gave of a document. `leased` says whether it was asked with the lease in hand.
    async fn take(
        self: Rc<Self>,
        channel: ChannelId,
        open: Rc<OpenStore>,
        wanted: Wanted,
        loaded: Result<Option<StoredDoc>, StoreError>,
        leased: bool,
    ) {
        let Wanted { doc: id, bytes, records, told } = wanted;
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
                // What was typed and what came while that was asked is in it, too.
                let doc = self.doc(&id).unwrap_or(doc);
                self.notice(&doc);
                if let Input::Loaded { version, .. } = &mut input {
                    *version = doc.version();
                }
                self.note_written(&doc);
                self.tell_history(&doc);
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
        if told {
            self.storage_worked_on(&id, StorageWork::Load, bytes, records);
        }
    }
}

/// Divides what is to be read into what is read together, in order.
fn portions(wanted: Vec<Wanted>) -> Vec<Vec<Wanted>> {
    let (mut portions, mut bytes) = (Vec::<Vec<Wanted>>::new(), 0);
    for next in wanted {
        bytes += next.bytes;
        match portions.last_mut() {
            Some(last) if last.len() < MAX_TOGETHER && bytes <= MAX_TOGETHER_BYTES => last.push(next),
            _ => {
                bytes = next.bytes;
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

    fn sizes(bytes: &[u64]) -> Vec<usize> {
        let doc = DocId::new("d").unwrap();
        let wanted = bytes.iter().map(|bytes| Wanted { doc: doc.clone(), bytes: *bytes, records: 1, told: false });
        portions(wanted.collect()).iter().map(Vec::len).collect()
    }

    #[test]
    fn small_documents_are_read_together_and_a_large_one_alone() {
        assert_eq!(sizes(&[]), [] as [usize; 0]);
        assert_eq!(sizes(&[0; 1_000]), [256, 256, 256, 232]);
        assert_eq!(sizes(&[1, 2, 3, MAX_TOGETHER_BYTES, 4, 5]), [3, 1, 2]);
        assert_eq!(sizes(&[MAX_TOGETHER_BYTES * 9; 3]), [1, 1, 1]);
        assert_eq!(sizes(&[MAX_TOGETHER_BYTES / 2; 5]), [2, 2, 1]);
    }
}
