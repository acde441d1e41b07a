//! One open document, as the application holds it.

use std::{
    fmt,
    rc::{Rc, Weak},
};

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use loro::{CommitOptions, LoroDoc};

use super::{
    EphemeralHandle, ErrorCode, History, LocalBoxFuture, RepoError,
    docs::{OpenDoc, from_loro},
    inner::{Awaited, RepoInner, Waiter},
    recovery::lost,
    repo::closed,
};
use crate::{
    protocol::{DocId, PeerId, VersionVector},
    synchronizer::{ChannelKind, Input},
};

pub use crate::synchronizer::{Durability, ReadyStatus};

/// A document of a repo. Clones share it.
#[derive(Clone)]
pub struct DocHandle {
    repo: Rc<RepoInner>,
    doc: Rc<OpenDoc>,
}

impl fmt::Debug for DocHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DocHandle").field(&self.doc.id).finish()
    }
}

/// Leads back to a document for as long as it is in memory; see [`DocHandle::downgrade`].
#[derive(Clone)]
pub struct WeakDocHandle {
    repo: Weak<RepoInner>,
    doc: Weak<OpenDoc>,
}

impl WeakDocHandle {
    /// Returns a handle, unless the document has left memory.
    #[must_use]
    pub fn upgrade(&self) -> Option<DocHandle> {
        Some(DocHandle { repo: self.repo.upgrade()?, doc: self.doc.upgrade()? })
    }
}

impl fmt::Debug for WeakDocHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakDocHandle")
    }
}

/// How one peer stands to the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyState {
    /// The peer.
    pub peer: PeerId,
    /// What is at the other end of its channel.
    pub kind: ChannelKind,
    /// How it stands.
    pub state: ReadyStatus,
    /// What it said it has.
    pub version: Option<VersionVector>,
}

/// Which peers [`DocHandle::wait_for_sync`] waits for. Tabs count as neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncKind {
    /// Another machine.
    Network,
    /// A store.
    Storage,
}

/// How [`DocHandle::wait_for_sync`] waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitOptions {
    /// For whom.
    pub kind: SyncKind,
    /// For how many milliseconds; `None` for as long as it takes.
    pub timeout_ms: Option<u64>,
}

impl DocHandle {
    pub(super) fn new(repo: Rc<RepoInner>, doc: Rc<OpenDoc>) -> Self {
        Self { repo, doc }
    }

    /// Returns the document, also if another one has taken its place since.
    fn open(&self) -> &Rc<OpenDoc> {
        let mut open = &self.doc;
        while let Some(renewed) = open.renewed.get() {
            open = renewed;
        }
        open
    }

    /// Returns how often another document, with its whole history, has taken this one's place: [`DocHandle::doc`] gives the last.
    #[must_use]
    pub fn renewals(&self) -> u32 {
        std::iter::successors(self.doc.renewed.get(), |open| open.renewed.get()).count() as u32
    }

    /// Returns what leads back to the document without keeping it in memory.
    #[must_use]
    pub fn downgrade(&self) -> WeakDocHandle {
        WeakDocHandle { repo: Rc::downgrade(&self.repo), doc: Rc::downgrade(self.open()) }
    }

    /// Returns the document's id.
    #[must_use]
    pub fn doc_id(&self) -> &DocId {
        &self.open().id
    }

    /// Returns the one document behind every handle of this id. Its commits are noticed by themselves, an import made by
    /// the application after [`DocHandle::touch`]. Another one takes its place when its trimmed history was fetched again.
    #[must_use]
    pub fn doc(&self) -> LoroDoc {
        self.open().doc.clone()
    }

    /// Returns the document's history.
    #[must_use]
    pub fn history(&self) -> History {
        History::new(self.doc())
    }

    /// Compares the document with what was last stored and sent, and stores and sends what is new.
    pub fn touch(&self) {
        self.repo.notice(self.open());
        self.repo.pump();
    }

    /// Edits the document in one commit.
    ///
    /// # Errors
    /// [`ErrorCode::Closed`] when the repo was closed, [`ErrorCode::Deleted`] when the document was; `f` is not called then.
    pub fn change<T>(&self, f: impl FnOnce(&LoroDoc) -> T, message: Option<&str>, origin: Option<&str>) -> Result<T, RepoError> {
        self.check()?;
        let value = f(&self.open().doc);
        let mut options = CommitOptions::new();
        if let Some(message) = message {
            options = options.commit_msg(message);
        }
        if let Some(origin) = origin {
            options = options.origin(origin);
        }
        self.open().doc.commit_with(options);
        Ok(value)
    }

    /// Returns how every peer that has, or was asked for, the document stands to it.
    #[must_use]
    pub fn ready_states(&self) -> Vec<ReadyState> {
        if self.is_gone() {
            return Vec::new();
        }
        let states = self.repo.sync.borrow().ready_states(&self.open().id);
        states
            .into_iter()
            .map(|state| ReadyState { peer: state.peer, kind: state.kind, state: state.status, version: state.version })
            .collect()
    }

    /// Completes when a peer of the kind said, on the present connection, that it has what is here now, and everything it
    /// announced is here.
    ///
    /// # Errors
    /// [`ErrorCode::NoAdapter`] at once when there is no adapter of the kind, [`ErrorCode::Timeout`], and
    /// [`ErrorCode::Closed`].
    pub fn wait_for_sync(&self, options: WaitOptions) -> LocalBoxFuture<Result<(), RepoError>> {
        let kind = match options.kind {
            SyncKind::Network => ChannelKind::Network,
            SyncKind::Storage => ChannelKind::Storage,
        };
        let what = format!("no {} peer confirmed document {:?}", kind.as_str(), self.open().id);
        self.wait(kind, Awaited::Synced(kind), options.timeout_ms, what)
    }

    /// Completes when what is here now is as safe as `level` says: in the repo's stores, in another machine's memory, on another machine's
    /// disk. A peer that speaks only the reference protocol proves [`Durability::Hub`] at most.
    ///
    /// # Errors
    /// [`ErrorCode::NoAdapter`] at once when there is no adapter that could bring it about, [`ErrorCode::Timeout`], and [`ErrorCode::Closed`].
    pub fn when_durable(&self, level: Durability, timeout_ms: Option<u64>) -> LocalBoxFuture<Result<(), RepoError>> {
        let kind = match level {
            Durability::Memory => return Box::pin(std::future::ready(self.check())),
            Durability::Disk => ChannelKind::Storage,
            Durability::Hub | Durability::HubDisk => ChannelKind::Network,
        };
        let what = format!("document {:?} did not reach {:?}", self.open().id, level.as_str());
        self.wait(kind, Awaited::Durable(level), timeout_ms, what)
    }

    /// Returns how safe what is here now is.
    #[must_use]
    pub fn durability(&self) -> Durability {
        if self.is_gone() {
            return Durability::Memory;
        }
        let version = from_loro(&self.open().doc.oplog_vv());
        self.repo.sync.borrow().durability(&self.open().id, &version)
    }

    /// Returns the number of operations here that no other machine has confirmed.
    #[must_use]
    pub fn unsynced(&self) -> u64 {
        if self.is_gone() { 0 } else { self.repo.unsynced(self.open()) }
    }

    fn wait(&self, kind: ChannelKind, awaited: Awaited, timeout_ms: Option<u64>, unmet: String) -> LocalBoxFuture<Result<(), RepoError>> {
        if let Err(error) = self.check() {
            return Box::pin(std::future::ready(Err(error)));
        }
        if !self.repo.adapters.borrow().iter().any(|adapter| adapter.kind() == kind) {
            let error = RepoError::new(ErrorCode::NoAdapter, format!("this repo has no {} adapter to wait for", kind.as_str()));
            return Box::pin(std::future::ready(Err(error)));
        }
        if let Err(error) = self.repo.commit(self.open()) {
            self.repo.pump();
            return Box::pin(std::future::ready(Err(error)));
        }
        self.repo.notice(self.open());
        self.repo.pump_gathering();
        let (done, met) = oneshot::channel();
        let waiter = Waiter { doc: self.open().id.clone(), awaited, version: self.open().version(), done };
        self.repo.waiters.borrow_mut().push(waiter);
        self.repo.enqueue(Input::SyncWanted { doc: self.open().id.clone(), kind });
        self.repo.pump_gathering();
        let timeout = timeout_ms.map(|ms| (ms, self.repo.env.sleep(ms)));
        let repo = Rc::clone(&self.repo);
        let met = Box::pin(async move {
            met.await.unwrap_or_else(|_| Err(closed()))?;
            if kind == ChannelKind::Storage { repo.sync_stores().await } else { Ok(()) }
        });
        Box::pin(async move {
            let Some((ms, sleep)) = timeout else { return met.await };
            match select(met, sleep).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right(_) => Err(RepoError::new(ErrorCode::Timeout, format!("{unmet} within {ms} ms"))),
            }
        })
    }

    /// Returns a namespace of the document's ephemeral state.
    #[must_use]
    pub fn ephemeral(&self, namespace: &str) -> EphemeralHandle {
        let presence = self.repo.presence.open(&self.open().id, self.open().gone.get());
        EphemeralHandle::new(Rc::clone(&self.repo), presence, namespace)
    }

    /// Says that the application is done with the document; what it edited is stored and sent all the same, and its own presence ends.
    /// When all handles of it are dropped too, the document may leave memory.
    pub fn close(&self) {
        if self.open().gone.get() || self.repo.closed.get() {
            return;
        }
        // A panic is reported; there is nothing left to close then.
        let _ = self.repo.commit(self.open());
        self.repo.notice(self.open());
        self.repo.end_presence(&self.open().id);
        if self.open().opened.replace(false) {
            self.repo.enqueue(Input::DocClosed { doc: self.open().id.clone() });
        }
        self.repo.pump_gathering();
    }

    /// Returns whether the document was deleted or its repo closed.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.open().gone.get() || self.repo.closed.get()
    }

    /// Returns whether the engine panicked in this document: [`super::Repo::get`] gives the one that has taken its place.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.open().lost.get()
    }

    fn check(&self) -> Result<(), RepoError> {
        if self.repo.closed.get() {
            return Err(closed());
        }
        if self.open().lost.get() {
            return Err(lost(&self.open().id));
        }
        if self.open().gone.get() {
            return Err(RepoError::new(ErrorCode::Deleted, format!("document {:?} was deleted or forgotten", self.open().id)));
        }
        Ok(())
    }
}
