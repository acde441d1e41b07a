//! Carries out what [`super::Authors`] decides: asks a store for a lease, and tells documents whose they are written under.

use std::{hash::Hasher, rc::Rc, sync::Arc};

use bytes::Bytes;
use futures_channel::oneshot;
use siphasher::sip::SipHasher13;

use super::{Env, LeaseTable, LocalBoxFuture, Store, docs::OpenDoc, inner::RepoInner};
use crate::{
    collections::SortedSet,
    protocol::{DocId, VersionVector},
    synchronizer::{ChannelId, Input},
};

/// The value of a store that holds its [`LeaseTable`].
const TABLE: &str = "authors";
const RETRY_MS: u64 = 1_000;
/// A store that has failed for so long is not one to write to.
const ATTEMPTS: u32 = 20;

/// What becomes of a store's table.
type Change = Arc<dyn Fn(&mut LeaseTable) + Send + Sync>;

/// Changes a store's table, in one transaction.
fn change(store: &dyn Store, change: Change) -> LocalBoxFuture<Option<LeaseTable>> {
    let amended = store.amend(
        TABLE,
        Arc::new(move |before| {
            let mut table = LeaseTable::decode(before);
            let same = table.clone();
            change(&mut table);
            if table == same { before.map(Bytes::copy_from_slice) } else { table.encode() }
        }),
    );
    Box::pin(async move { amended.await.ok().map(|value| LeaseTable::decode(value.as_deref())) })
}

/// Changes a store's table, now or when the store works again: an id that stayed free would be used again.
fn insist(env: Rc<dyn Env>, store: Rc<dyn Store>, how: Change) -> LocalBoxFuture<()> {
    let mut changed = change(&*store, Arc::clone(&how));
    Box::pin(async move {
        for attempt in 0..ATTEMPTS {
            if changed.await.is_some() {
                return;
            }
            env.sleep(RETRY_MS << attempt.min(5)).await;
            changed = change(&*store, Arc::clone(&how));
        }
    })
}

impl RepoInner {
    /// Asks the first store for a lease, once the application has opened a document.
    pub(super) fn request_lease(&self) {
        if !self.authors.borrow().is_unasked() {
            return;
        }
        let store = self.stores.borrow().iter().next().map(|(channel, open)| (*channel, Rc::clone(open)));
        let opened = self.docs.borrow().values().any(|doc| doc.opened.get());
        let Some((channel, open)) = store.filter(|_| opened) else { return };
        if !self.authors.borrow_mut().ask() {
            return;
        }
        let (session, fresh) = (self.authors.borrow().session(), self.authors.borrow().fresh());
        let leased = change(&*open.store, Arc::new(move |table| table.take(session, fresh)));
        let weak = self.weak.clone();
        self.env.spawn(Box::pin(async move {
            let table = leased.await;
            let Some(inner) = weak.upgrade() else { return };
            // Without a lease nothing is given back, and that is all.
            let (author, before) = table.map_or((None, None), |table| (table.of(session), table.used_before(session)));
            inner.authors.borrow_mut().answered(author, before);
            inner.lease_store.set(Some(channel));
            inner.tell_authors();
            for waiter in inner.lease_waiters.take() {
                let _ = waiter.send(());
            }
            let read: Vec<_> = inner.docs.borrow().values().filter(|doc| !doc.read.borrow().is_empty()).cloned().collect();
            for doc in read {
                inner.check_author(&doc).await;
            }
            inner.pump();
        }));
    }

    fn tell_authors(&self) {
        let authors = self.authors.borrow();
        let authors = [Some(authors.fresh()), authors.leased()].into_iter().flatten().collect();
        self.enqueue(Input::WritesUnder { authors });
    }

    /// Completes when it is known whether there is a lease, or that nobody wants one.
    pub(super) async fn lease_settled(&self) {
        if !self.authors.borrow().is_asking() {
            return;
        }
        let (done, settled) = oneshot::channel();
        self.lease_waiters.borrow_mut().push(done);
        let _ = settled.await;
    }

    /// A store has given all it has of a document, and says it has `stored`.
    pub(super) fn read_whole(&self, doc: &OpenDoc, store: ChannelId, stored: &VersionVector) {
        doc.read.borrow_mut().insert(store);
        doc.stored.borrow_mut().merge(stored);
    }

    /// Decides under which id a document is written that was read before the lease was there: somebody may have written under that id, and
    /// given it back, in between.
    pub(super) async fn check_author(&self, doc: &OpenDoc) {
        self.check_lease(&doc.id).await;
        let stores: Vec<_> = self.stores.borrow().values().map(|open| Rc::clone(&open.store)).collect();
        for store in stores {
            match store.index(&doc.id).await {
                Ok(index) => {
                    let index = index.unwrap_or_default();
                    let mut stored = doc.stored.borrow_mut();
                    stored.merge(&index.version);
                    stored.merge(&index.confirmed);
                }
                Err(_) => return,
            }
        }
        self.settle_author(doc);
    }

    /// Sees to it that a document which was read is not written under an id of earlier sessions that was retired because somebody had
    /// dropped it: what was in it then, others may have.
    pub(super) async fn check_lease(&self, doc: &DocId) {
        if !self.authors.borrow().inherits(hash(doc)) {
            return;
        }
        let (leased, session) = (self.authors.borrow().leased(), self.authors.borrow().session());
        let store = self.lease_store.get().and_then(|channel| self.stores.borrow().get(&channel).map(|open| Rc::clone(&open.store)));
        let table = match store {
            Some(store) => change(&*store, Arc::new(|_| {})).await,
            None => None,
        };
        let stands = table.is_some_and(|table| table.of(session) == leased);
        if let Some(leased) = leased.filter(|_| !stands && self.authors.borrow().leased() == leased) {
            self.retire_authors(SortedSet::from([leased]));
        }
    }

    /// Decides under which id a document is written that was read with the lease in hand.
    pub(super) fn settle_author(&self, doc: &OpenDoc) {
        let all = self.stores.borrow().keys().all(|store| doc.read.borrow().contains(store));
        if !all || self.store_is_opening() || doc.gone.get() || self.closed.get() {
            return;
        }
        let version = doc.oplog_version();
        let author = self.authors.borrow().of_read(&doc.id, &version, &doc.stored.borrow());
        if let Some(author) = author {
            doc.write_under(author);
        }
    }

    /// Never writes under any of `authors` again, nor lets anybody else.
    pub(super) fn retire_authors(&self, authors: SortedSet<u64>) {
        if self.authors.borrow().uses(&authors) {
            let fresh = self.env.random_u64();
            self.authors.borrow_mut().renew(fresh);
            let docs: Vec<_> = self.docs.borrow().values().cloned().collect();
            for doc in docs {
                if authors.contains(&doc.author.get()) {
                    doc.write_under(fresh);
                }
            }
            self.tell_authors();
        }
        let (leased, session) = (self.authors.borrow().leased(), self.authors.borrow().session());
        let stores: Vec<_> = self.stores.borrow().iter().map(|(channel, open)| (*channel, Rc::clone(&open.store))).collect();
        for (channel, store) in stores {
            let own = leased.filter(|_| self.lease_store.get() == Some(channel));
            let authors = authors.clone();
            let how: Change = Arc::new(move |table| {
                table.retire(&authors);
                if let Some(own) = own
                    && table.of(session) != Some(own)
                {
                    table.put(session, own);
                }
            });
            self.env.spawn(insist(Rc::clone(&self.env), store, how));
        }
    }

    /// Notes what a document has, before it leaves memory at the latest.
    pub(super) fn note_written(&self, doc: &OpenDoc) {
        self.authors.borrow_mut().note(&doc.id, &doc.oplog_version());
    }

    /// Tells the table of a store that a document is about to be dropped there. Asked for before that is, it is done before. A store that
    /// fails is told once it works again: as often as the dropping is tried, and beside that by one who insists.
    pub(super) fn drop_authors(&self, channel: ChannelId, store: &Rc<dyn Store>, doc: &DocId) {
        let hash = hash(doc);
        let how: Change = Arc::new(move |table| table.drop_doc(hash));
        let dropping = (channel, doc.clone());
        if !self.dropping.borrow_mut().insert(dropping.clone()) {
            let told = change(&**store, how);
            return self.env.spawn(Box::pin(async move {
                let _ = told.await;
            }));
        }
        let (weak, told) = (self.weak.clone(), insist(Rc::clone(&self.env), Rc::clone(store), how));
        self.env.spawn(Box::pin(async move {
            told.await;
            if let Some(inner) = weak.upgrade() {
                inner.dropping.borrow_mut().remove(&dropping);
            }
        }));
    }

    /// Gives the lease back, if all that was written under it is on disk. Nothing may be written any more.
    pub(super) fn give_back(&self) -> LocalBoxFuture<()> {
        let nothing: LocalBoxFuture<()> = Box::pin(std::future::ready(()));
        let docs: Vec<_> = self.docs.borrow().values().cloned().collect();
        let mut kept = self.authors.borrow().knows_all();
        let (leased, session) = {
            let authors = self.authors.borrow();
            (authors.leased(), authors.session())
        };
        let (Some(author), Some(channel)) = (leased, self.lease_store.get()) else { return nothing };
        let Some(open) = self.stores.borrow().get(&channel).cloned() else { return nothing };
        for doc in docs {
            kept &= self.commit(&doc).is_ok();
            self.note_written(&doc);
            let written = self.authors.borrow().written_in(&doc.id, author);
            let end = doc.oplog_version().get(author).max(written);
            kept &= end == 0 || self.sync.borrow().stored_at(channel, &doc.id).get(author) >= end;
            // Whoever kept the document beyond its repo writes as somebody else.
            doc.write_under(self.env.random_u64());
        }
        if !kept {
            return nothing;
        }
        let docs: SortedSet<u64> = self.authors.borrow().written(author).map(|(doc, _)| hash(doc)).collect();
        let given = change(&*open.store, Arc::new(move |table| table.give_back(session, author, &docs)));
        Box::pin(async move {
            let _ = given.await;
        })
    }
}

/// Names a document in the table.
fn hash(doc: &DocId) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(doc.as_str().as_bytes());
    hasher.finish()
}
