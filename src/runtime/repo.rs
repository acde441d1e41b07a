//! The repo: one per process or page.
//!
//! The public face of the runtime; what it does is queued for the synchronizer.

use std::{fmt, rc::Rc};

use futures_channel::oneshot;

use super::{
    Adapter, AdapterState, Admission, ChannelStats, Collection, CollectionKind, DocHandle, Env, ErrorCode, LocalBoxFuture, RawRecord,
    RecordStats, RepoError, Safety, StorageHealth, StorageProblem, StorageWork,
    admission::Gate,
    inner::{FlushWaiter, RepoInner},
    records::{self, Records},
};
use crate::{
    protocol::{Device, DocId, Features, Identity, PeerId, PeerType, RefusalReason},
    synchronizer::{
        AllowAll, ChannelId, ChannelKind, Config, DIGEST_PERIOD_MS, Footprint, HistoryLimits, Input, Interest, MemoryBudget, Permissions,
        RecordLimits, Synchronizer, Timestamp, TombstoneLimits,
    },
};

/// How a repo is set up.
pub struct RepoConfig {
    /// A name for people.
    pub name: Option<String>,
    /// What kind of participant it is.
    pub peer_type: PeerType,
    /// A fixed peer id, for tests; a fresh random one otherwise.
    pub peer_id: Option<PeerId>,
    /// What names the place this repo keeps documents in: the same as long as what is there stays, another one if it is lost. Leaves
    /// know a relay by it after a restart, and offer it what it may lack only once; without it they offer everything again.
    pub home: Option<u64>,
    /// Started in this order.
    pub adapters: Vec<Rc<dyn Adapter>>,
    /// Asked at every decision. They must not call the repo.
    pub permissions: Rc<dyn Permissions>,
    /// Judges every message of a peer before it counts; without one all are admitted.
    pub admission: Option<Rc<dyn Admission>>,
    /// Which documents it fetches of those it hears of.
    pub interest: Interest,
    /// Milliseconds edits are gathered before they are written.
    pub store_delay_ms: u64,
    /// Milliseconds of quiet before a peer is asked whether it has what was sent.
    pub verify_delay_ms: u64,
    /// Milliseconds between two comparisons of everything with every peer.
    pub digest_period_ms: u64,
    /// How long deletions are remembered.
    pub tombstones: TombstoneLimits,
    /// What is spoken beyond the reference protocol with peers that speak it too.
    pub features: Features,
    /// How much of the documents without a handle stays in memory, where a store has them. The others come back when they are used.
    pub memory: MemoryBudget,
    /// How much of the documents' history stays in the stores; all of it unless told.
    pub history: HistoryLimits,
    /// How records are kept.
    pub records: RecordLimits,
}

impl Default for RepoConfig {
    fn default() -> Self {
        Self {
            name: None,
            peer_type: PeerType::User,
            peer_id: None,
            home: None,
            adapters: Vec::new(),
            permissions: Rc::new(AllowAll),
            admission: None,
            interest: Interest::Opened,
            store_delay_ms: 100,
            verify_delay_ms: 1_000,
            digest_period_ms: DIGEST_PERIOD_MS,
            tombstones: TombstoneLimits::default(),
            features: Features::ALL,
            memory: MemoryBudget::default(),
            history: HistoryLimits::default(),
            records: RecordLimits::default(),
        }
    }
}

impl fmt::Debug for RepoConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepoConfig").field("name", &self.name).field("interest", &self.interest).finish_non_exhaustive()
    }
}

/// A repository of documents, live with its peers and stores. Clones share it.
#[derive(Clone)]
pub struct Repo(pub(super) Rc<RepoInner>);

impl fmt::Debug for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Repo").field(&self.0.peer_id).finish()
    }
}

/// A document known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocInfo {
    /// Its id.
    pub doc: DocId,
    /// The application holds a handle.
    pub open: bool,
    /// It is in memory.
    pub loaded: bool,
    /// A store has it.
    pub stored: bool,
    /// Bytes it takes in the store.
    pub bytes: Option<u64>,
    /// When it was last written to the store.
    pub updated: Option<Timestamp>,
}

/// A peer with an established channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerInfo {
    /// Its id.
    pub peer_id: PeerId,
    /// Its name, if it gave one.
    pub name: Option<String>,
    /// What kind of participant it is.
    pub peer_type: PeerType,
    /// Its channels, in order of opening.
    pub channels: Vec<ChannelInfo>,
}

/// One channel of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelInfo {
    /// Its number.
    pub channel: ChannelId,
    /// What is at the other end.
    pub kind: ChannelKind,
    /// The adapter's name.
    pub adapter: String,
    /// Whether the handshake is done.
    pub established: bool,
    /// Traffic so far; zero for stores.
    pub stats: ChannelStats,
}

/// How an adapter is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterInfo {
    /// What its channels are.
    pub kind: ChannelKind,
    /// Its name.
    pub name: String,
    /// How it is doing.
    pub state: AdapterState,
}

/// News for the application, delivered after the repo has done its work: a listener may call anything.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RepoEvent {
    /// A document is known here that was not.
    DocumentAdded {
        /// The document.
        doc: DocId,
    },
    /// A document is gone from here.
    DocumentRemoved {
        /// The document.
        doc: DocId,
    },
    /// A peer's first channel is established.
    PeerConnected {
        /// The peer.
        peer: PeerId,
    },
    /// A peer's last channel is gone.
    PeerDisconnected {
        /// The peer.
        peer: PeerId,
    },
    /// [`DocHandle::ready_states`] has changed.
    ReadyStateChanged {
        /// The document.
        doc: DocId,
    },
    /// How storage is doing has changed; see [`Repo::storage_health`].
    StorageHealth {
        /// Whether it works and this is no bad news.
        ok: bool,
        /// What is wrong, or was noticed.
        problem: Option<StorageProblem>,
        /// The same for people.
        error: Option<RepoError>,
        /// The document it concerns, if it is one.
        doc: Option<DocId>,
    },
    /// Work on a large document's records has begun, or has ended.
    StorageProgress {
        /// The document.
        doc: DocId,
        /// What is done.
        work: StorageWork,
        /// Bytes read or written.
        bytes: u64,
        /// Records read or replaced.
        records: u32,
        /// Whether it has ended, well or not.
        done: bool,
    },
    /// A peer did not take what is here of a document; it is offered again.
    Refused {
        /// The document.
        doc: DocId,
        /// The peer.
        peer: PeerId,
        /// Why.
        reason: RefusalReason,
        /// Milliseconds until it is offered again; `None` if it is not.
        retry_ms: Option<u64>,
    },
    /// The whole history of a document was fetched again, since something came that depends on what was trimmed: [`DocHandle::doc`] gives
    /// another document now, with all the one before had, and that one refuses edits.
    DocumentRenewed {
        /// The document.
        doc: DocId,
    },
    /// [`DocHandle::unsynced`] or [`DocHandle::durability`] may have changed.
    UnsyncedChanged {
        /// The document.
        doc: DocId,
    },
    /// Other machines have more of the records than before.
    RecordsConfirmed,
    /// An adapter's state has changed.
    AdapterChanged {
        /// Its number, as in [`Repo::adapters`].
        adapter: usize,
    },
    /// Something went wrong; the repo goes on.
    Error {
        /// What.
        error: RepoError,
        /// The document concerned.
        doc: Option<DocId>,
    },
}

/// Ends a subscription when dropped.
#[must_use = "dropping it ends the subscription"]
pub struct Subscription(Option<Box<dyn FnOnce()>>);

impl Subscription {
    pub(super) fn new(end: impl FnOnce() + 'static) -> Self {
        Self(Some(Box::new(end)))
    }

    /// Keeps the subscription for as long as the repo lives.
    pub fn detach(mut self) {
        self.0 = None;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subscription")
    }
}

impl Repo {
    /// Makes a repo and starts its adapters. It is usable at once.
    #[must_use]
    pub fn new(env: Rc<dyn Env>, config: RepoConfig) -> Self {
        let peer_id = config.peer_id.unwrap_or_else(|| PeerId::from(env.random_u64()));
        let identity = Identity { peer_id: peer_id.clone(), name: config.name, peer_type: config.peer_type, capabilities: None };
        // Names this repo's records; peers never see it.
        let writer = env.random_u64();
        let author = records::writer_of(&peer_id);
        let decisions = Config {
            identity,
            home: config.home,
            interest: config.interest,
            store_delay_ms: config.store_delay_ms,
            verify_delay_ms: config.verify_delay_ms,
            digest_period_ms: config.digest_period_ms,
            tombstones: config.tombstones,
            features: config.features,
            memory: config.memory,
            hash_key: writer,
            history: config.history,
            records: config.records,
            device: author.device,
        };
        let records = Records::new(author, config.records);
        let gate = config.admission.map(Gate::new);
        // A relay acknowledges what others rely on.
        let safety = if config.interest == Interest::Everything { Safety::Strict } else { Safety::Relaxed };
        let sync = Synchronizer::new(decisions, config.permissions);
        let inner = RepoInner::new(env, peer_id, writer, sync, gate, records, safety);
        for adapter in config.adapters {
            inner.add_adapter(adapter);
        }
        if config.history.keep_ms.is_some() {
            // With records comes which device this is: its sessions hold one another's history back no more.
            inner.use_records();
        }
        Self(inner)
    }

    /// Returns the repo's own id, fresh for every repo.
    #[must_use]
    pub fn peer_id(&self) -> &PeerId {
        &self.0.peer_id
    }

    /// Opens a document. It is there at once; what stores and peers have of it arrives by itself.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidArgument`] for an id that is empty or too long, [`ErrorCode::Closed`] after [`Repo::close`].
    pub fn get(&self, doc: &str) -> Result<DocHandle, RepoError> {
        self.check_open()?;
        let id = doc_id(doc)?;
        if self.0.sync.borrow().is_deleted(&id) {
            return Err(RepoError::new(ErrorCode::Deleted, format!("document {id:?} was deleted; create it with replace to make it anew")));
        }
        let open = self.0.open_doc(&id);
        if !open.opened.replace(true) {
            self.0.request_lease();
            self.0.enqueue(Input::DocOpened { doc: id });
            self.0.pump_gathering();
        }
        Ok(DocHandle::new(Rc::clone(&self.0), open))
    }

    /// Makes a document anew and opens it. One that was deleted, or is here and to be replaced, starts a new lineage: nothing of the
    /// old one ever merges into it, except through peers that speak only the reference protocol.
    ///
    /// # Errors
    /// As [`Repo::get`], and [`ErrorCode::Exists`] for a document that is known here, or was deleted, without `replace`.
    pub fn create(&self, doc: &str, replace: bool) -> Result<DocHandle, RepoError> {
        self.check_open()?;
        let id = doc_id(doc)?;
        let (known, deleted) = {
            let sync = self.0.sync.borrow();
            (sync.knows(&id), sync.is_deleted(&id))
        };
        if (known || deleted) && !replace {
            let what = if deleted { "was deleted" } else { "exists" };
            return Err(RepoError::new(ErrorCode::Exists, format!("document {id:?} {what}; replace it to make it anew")));
        }
        if !replace && self.0.docs.borrow().contains_key(&id) {
            // Its stores are being read for a peer: whatever they have of it stays.
            return self.get(doc);
        }
        self.0.enqueue(Input::DocCreated { doc: id.clone() });
        self.0.pump();
        self.get(doc)
    }

    /// Drops this repo's copy of a document, in memory and in its stores. Nobody else is concerned: opened again, it comes back from those
    /// who have it. Edits that no other machine has are lost. Completes when the stores have done it.
    ///
    /// # Errors
    /// As [`Repo::delete`].
    pub fn forget(&self, doc: &str) -> LocalBoxFuture<Result<(), RepoError>> {
        self.remove(doc, |doc| Input::DocForgotten { doc })
    }

    /// Says that the permissions give other answers now: what may no longer be seen stops flowing at once, what may be seen now is compared.
    pub fn permissions_changed(&self) {
        self.0.enqueue(Input::PermissionsChanged);
        self.0.pump();
    }

    /// Returns the number of operations that no other machine has confirmed, in documents that are or were in memory, and of records
    /// with something that no other machine has confirmed.
    #[must_use]
    pub fn unsynced(&self) -> u64 {
        let docs: Vec<_> = self.0.docs.borrow().values().cloned().collect();
        // Only what the application holds may have changed since it was last looked at; asking the engine takes longer.
        let known = |doc: &super::docs::OpenDoc| self.0.sync.borrow().unsynced(&doc.id);
        let unsynced = docs.iter().map(|doc| if doc.opened.get() { self.0.unsynced(doc) } else { known(doc) });
        unsynced.sum::<u64>() + self.0.sync.borrow().unsent() + self.0.unsynced_records()
    }

    /// Returns how much the synchronizer keeps for peers, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        self.0.sync.borrow().footprint()
    }

    /// Returns every document known here, open or not, by id.
    #[must_use]
    pub fn list(&self) -> Vec<DocInfo> {
        let stored = self.0.stored.borrow();
        let docs = self.0.docs.borrow();
        self.0
            .sync
            .borrow()
            .documents()
            .map(|doc| {
                let index = stored.get(doc);
                DocInfo {
                    doc: doc.clone(),
                    open: docs.get(doc).is_some_and(|open| open.opened.get()),
                    loaded: docs.contains_key(doc),
                    stored: index.is_some(),
                    bytes: index.map(|index| index.bytes),
                    updated: index.map(|index| index.updated),
                }
            })
            .collect()
    }

    /// Deletes a document from this repo and its stores, and asks the peers that follow it to do the same where their permissions allow it. The
    /// deletion is remembered, so that nobody who was away brings the document back.
    /// Completes when the stores have done it.
    ///
    /// # Errors
    /// As [`Repo::get`], and [`ErrorCode::Storage`] when a store could not delete it.
    pub fn delete(&self, doc: &str) -> LocalBoxFuture<Result<(), RepoError>> {
        self.remove(doc, |doc| Input::DocDeleted { doc })
    }

    fn remove(&self, doc: &str, how: impl FnOnce(DocId) -> Input) -> LocalBoxFuture<Result<(), RepoError>> {
        let id = match self.check_open().and_then(|()| doc_id(doc)) {
            Ok(id) => id,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let unheard = self.0.await_unheard(&id);
        self.0.removals.borrow_mut().clear();
        self.0.enqueue(how(id));
        self.0.pump();
        let removals = std::mem::take(&mut *self.0.removals.borrow_mut());
        Box::pin(async move {
            for (_, removal) in removals {
                if let Ok(outcome) = removal.await {
                    outcome?;
                }
            }
            for heard in unheard {
                heard.await.unwrap_or_else(|_| Err(closed()))?;
            }
            Ok(())
        })
    }

    /// Returns the peers with an established channel, stores included.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerInfo> {
        let pipes = self.0.pipes.borrow();
        let stores = self.0.stores.borrow();
        let adapters = self.0.adapters.borrow();
        let name = |adapter: usize| adapters.get(adapter).map(|adapter| adapter.name().to_owned()).unwrap_or_default();
        let describe = |(channel, kind): (ChannelId, ChannelKind)| {
            let (adapter, stats) = match (pipes.get(&channel), stores.get(&channel)) {
                (Some(pipe), _) => (name(pipe.adapter), pipe.channel.stats()),
                (None, Some(store)) => (name(store.adapter), ChannelStats::default()),
                (None, None) => (String::new(), ChannelStats::default()),
            };
            ChannelInfo { channel, kind, adapter, established: true, stats }
        };
        self.0
            .sync
            .borrow()
            .peers()
            .into_iter()
            .map(|(identity, channels)| PeerInfo {
                peer_id: identity.peer_id,
                name: identity.name,
                peer_type: identity.peer_type,
                channels: channels.into_iter().map(describe).collect(),
            })
            .collect()
    }

    /// Returns how the adapters are doing, in order of addition.
    #[must_use]
    pub fn adapters(&self) -> Vec<AdapterInfo> {
        let describe =
            |adapter: &Rc<dyn Adapter>| AdapterInfo { kind: adapter.kind(), name: adapter.name().to_owned(), state: adapter.state() };
        self.0.adapters.borrow().iter().map(describe).collect()
    }

    /// Opens a collection of records. Its records are read from the stores first; others come by themselves.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidArgument`] for a bad name, or one that is open as the other kind, and [`ErrorCode::Closed`].
    pub fn collection(&self, name: &str, kind: CollectionKind) -> Result<Collection, RepoError> {
        self.check_open()?;
        Collection::open(Rc::clone(&self.0), name, kind)
    }

    /// Gives the device this repo writes records as: that of its storage, or one of its own without any.
    ///
    /// # Errors
    /// [`ErrorCode::Closed`].
    #[must_use]
    pub fn device(&self) -> LocalBoxFuture<Result<Device, RepoError>> {
        self.0.use_records();
        self.0.with_records(|repo| Ok(repo.own_device()))
    }

    /// Returns how many records there are.
    #[must_use]
    pub fn record_stats(&self) -> RecordStats {
        self.0.record_stats()
    }

    /// Adds and starts an adapter.
    pub fn add_adapter(&self, adapter: Rc<dyn Adapter>) {
        if !self.0.closed.get() {
            self.0.add_adapter(adapter);
        }
    }

    /// Asks the network peers which documents they have; the answers arrive as [`RepoEvent::DocumentAdded`].
    pub fn discover(&self) {
        self.0.enqueue(Input::DiscoveryWanted);
        self.0.pump();
    }

    /// Calls `listener` for every event.
    pub fn on_event(&self, listener: impl Fn(&RepoEvent) + 'static) -> Subscription {
        let id = self.0.next_id();
        self.0.listeners.borrow_mut().push((id, Rc::new(listener)));
        let weak = Rc::downgrade(&self.0);
        Subscription::new(move || {
            if let Some(inner) = weak.upgrade() {
                inner.listeners.borrow_mut().retain(|(known, _)| *known != id);
            }
        })
    }

    /// Completes when everything edited so far is on disk. Without a storage adapter that is at once.
    ///
    /// # Errors
    /// [`ErrorCode::Storage`] when a store failed or is not available; the edits stay dirty and are tried again.
    /// [`ErrorCode::Panic`] when the engine panicked in a document that was to be written.
    pub fn flush(&self) -> LocalBoxFuture<Result<(), RepoError>> {
        self.flush_all(false)
    }

    fn flush_all(&self, closing: bool) -> LocalBoxFuture<Result<(), RepoError>> {
        let inner = Rc::clone(&self.0);
        if inner.closed.get() {
            return Box::pin(std::future::ready(Err(closed())));
        }
        let noticed = inner.notice_all();
        if closing {
            inner.enqueue(Input::Closing);
        }
        inner.pump();
        if let Err(error) = noticed {
            return Box::pin(std::future::ready(Err(error)));
        }
        let unavailable = {
            let stores = inner.stores.borrow();
            let adapters = inner.adapters.borrow();
            let mut missing = adapters.iter().enumerate().filter(|(number, adapter)| {
                adapter.kind() == ChannelKind::Storage
                    && adapter.state() != AdapterState::Connecting
                    && !stores.values().any(|store| store.adapter == *number)
            });
            missing.next().map(|(_, adapter)| adapter.name().to_owned())
        };
        if let StorageHealth { problem: Some(StorageProblem::Blocked), error: Some(error), .. } = inner.storage_health() {
            return Box::pin(std::future::ready(Err(error)));
        }
        let docs: Vec<_> = inner.docs.borrow().values().cloned().collect();
        let versions: Vec<_> = docs.iter().map(|doc| (doc.id.clone(), doc.version())).filter(|(_, version)| !version.is_empty()).collect();
        let records = inner.records_version();
        if let (Some(name), false) = (unavailable, versions.is_empty() && records.is_empty()) {
            let error = RepoError::new(ErrorCode::Storage, format!("the {name} store is not available"));
            return Box::pin(std::future::ready(Err(error)));
        }
        let damaged = versions.iter().filter(|(doc, version)| !inner.sync.borrow().is_stored(doc, version));
        if let Some(error) = damaged.filter_map(|(doc, _)| inner.quarantined(doc)).next() {
            inner.enqueue(Input::FlushWanted);
            inner.pump();
            return Box::pin(std::future::ready(Err(error)));
        }
        let (done, flushed) = oneshot::channel();
        inner.flushes.borrow_mut().push(FlushWaiter { versions, records, done });
        inner.enqueue(Input::FlushWanted);
        inner.pump();
        Box::pin(async move {
            flushed.await.unwrap_or_else(|_| Err(closed()))?;
            inner.sync_stores().await
        })
    }

    /// Flushes where everything may end with this call, as when a page is hidden or left: what is not on disk is put aside before this returns,
    /// as far as a store can, and is there when the store is opened next.
    ///
    /// # Errors
    /// As [`Repo::flush`].
    pub fn leave(&self) -> LocalBoxFuture<Result<(), RepoError>> {
        let inner = Rc::clone(&self.0);
        let flushed = self.flush();
        inner.put_aside();
        let aside = inner.aside.get();
        Box::pin(async move {
            flushed.await?;
            inner.nothing_aside(aside);
            Ok(())
        })
    }

    /// Returns how storage is doing.
    #[must_use]
    pub fn storage_health(&self) -> StorageHealth {
        self.0.storage_health()
    }

    /// Reads what the stores have of a document as it is, damaged or not, whether or not it can be opened. Changes nothing.
    ///
    /// # Errors
    /// As [`Repo::get`], and [`ErrorCode::Storage`] when a store could not be read.
    pub fn salvage(&self, doc: &str) -> LocalBoxFuture<Result<Vec<RawRecord>, RepoError>> {
        let id = match self.check_open().and_then(|()| doc_id(doc)) {
            Ok(id) => id,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        self.0.salvage(id)
    }

    /// Flushes, leaves every peer and releases everything. A second call does nothing.
    ///
    /// # Errors
    /// What [`Repo::flush`] gives; the repo is closed all the same.
    pub fn close(&self) -> LocalBoxFuture<Result<(), RepoError>> {
        let inner = Rc::clone(&self.0);
        if inner.closed.get() {
            return Box::pin(std::future::ready(Ok(())));
        }
        let flushed = self.flush_all(true);
        Box::pin(async move {
            let outcome = flushed.await;
            if inner.closed.replace(true) {
                return Ok(());
            }
            for waiter in std::mem::take(&mut *inner.waiters.borrow_mut()) {
                let _ = waiter.done.send(Err(closed()));
            }
            inner.fail_flushes(&closed());
            inner.give_back().await;
            inner.close_records();
            if outcome.is_ok() {
                for released in inner.release_writers() {
                    // One that is not given back is only one writer more.
                    let _ = released.await;
                }
            }
            let adapters = std::mem::take(&mut *inner.adapters.borrow_mut());
            let stores: Vec<_> = std::mem::take(&mut *inner.stores.borrow_mut()).into_values().collect();
            let pipes = std::mem::take(&mut *inner.pipes.borrow_mut());
            for pipe in pipes.into_values() {
                pipe.channel.close();
            }
            for adapter in adapters {
                adapter.stop().await;
            }
            for store in stores {
                store.store.close().await;
            }
            for doc in inner.docs.borrow().values() {
                doc.gone.set(true);
            }
            inner.listeners.borrow_mut().clear();
            outcome
        })
    }

    /// Returns whether [`Repo::close`] has completed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.closed.get()
    }

    pub(super) fn inner(&self) -> Result<Rc<RepoInner>, RepoError> {
        self.check_open().map(|()| Rc::clone(&self.0))
    }

    fn check_open(&self) -> Result<(), RepoError> {
        if self.0.closed.get() { Err(closed()) } else { Ok(()) }
    }
}

pub(super) fn closed() -> RepoError {
    RepoError::new(ErrorCode::Closed, "the repo is closed")
}

fn doc_id(doc: &str) -> Result<DocId, RepoError> {
    DocId::new(doc).map_err(|error| RepoError::new(ErrorCode::InvalidArgument, error.to_string()).with_cause(error))
}
