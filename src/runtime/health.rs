//! How storage is doing, as the application sees it.
//!
//! Decides what counts as a problem and when it is over. What is tried again, and when, is decided elsewhere.

use std::cell::RefCell;

use bytes::Bytes;

use super::{AdapterState, ErrorCode, RepoError, RepoEvent, StorageNotice, StoreError, inner::RepoInner};
use crate::{
    collections::SortedMap,
    protocol::{DocId, RecordId},
    synchronizer::ChannelKind,
};

/// Whether what is edited is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageState {
    /// The repo has no storage.
    None,
    /// Storage is being opened.
    Opening,
    /// It is.
    Working,
    /// Not at the moment: it is kept in memory and tried again.
    Failing,
    /// Storage cannot be used: the repo works from memory.
    Unavailable,
}

impl StorageState {
    /// Returns the state as applications see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Opening => "opening",
            Self::Working => "working",
            Self::Failing => "failing",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What is wrong with storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageProblem {
    /// The disk or quota is full.
    Quota,
    /// The connection was closed from outside, or broke.
    ConnectionLost,
    /// There is no storage: the browser or a mode of it refuses it.
    Unavailable,
    /// What was stored is gone.
    Evicted,
    /// Another tab holds an older database open.
    Blocked,
    /// A newer version of the program uses the database.
    Superseded,
    /// Stored bytes of a document are not what was written.
    Corrupt,
    /// Anything else.
    Other,
}

impl StorageProblem {
    /// Returns the problem as applications see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quota => "quota",
            Self::ConnectionLost => "connection-lost",
            Self::Unavailable => "unavailable",
            Self::Evicted => "evicted",
            Self::Blocked => "blocked",
            Self::Superseded => "superseded",
            Self::Corrupt => "corrupt",
            Self::Other => "other",
        }
    }

    /// A write or read that succeeds ends it.
    fn passes(self) -> bool {
        matches!(self, Self::Quota | Self::ConnectionLost | Self::Blocked | Self::Other)
    }
}

impl From<&StoreError> for StorageProblem {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Full(_) => Self::Quota,
            StoreError::Unavailable(_) => Self::ConnectionLost,
            StoreError::Corrupt(_) => Self::Corrupt,
            StoreError::Other(_) => Self::Other,
        }
    }
}

/// How storage is doing.
#[derive(Debug, Clone)]
pub struct StorageHealth {
    /// Whether what is edited is kept.
    pub state: StorageState,
    /// What is wrong at present.
    pub problem: Option<StorageProblem>,
    /// The same for people.
    pub error: Option<RepoError>,
    /// Whether the browser has promised to keep what is stored; `None` where nobody was asked.
    pub persisted: Option<bool>,
    /// Bytes in use, as last heard.
    pub usage: Option<u64>,
    /// Bytes there may be, as last heard.
    pub quota: Option<u64>,
    /// What was stored last time, or before the database was deleted, is gone.
    pub evicted: bool,
    /// Documents with stored bytes that cannot be read; the bytes are kept.
    pub quarantined: Vec<DocId>,
    /// Rows of records that cannot be read: kept until their records came again from another store or from peers.
    pub damaged_records: Vec<(RecordId, Bytes)>,
}

/// What is known about storage.
#[derive(Default)]
pub(super) struct Health(RefCell<Known>);

#[derive(Default)]
struct Known {
    problem: Option<(StorageProblem, RepoError)>,
    persisted: Option<bool>,
    room: Option<(u64, u64)>,
    evicted: bool,
    quarantined: SortedMap<DocId, RepoError>,
}

impl RepoInner {
    pub(super) fn storage_health(&self) -> StorageHealth {
        let known = self.health.0.borrow();
        StorageHealth {
            state: self.storage_state(known.problem.as_ref().map(|(problem, _)| *problem)),
            problem: known.problem.as_ref().map(|(problem, _)| *problem),
            error: known.problem.as_ref().map(|(_, error)| error.clone()),
            persisted: known.persisted,
            usage: known.room.map(|(usage, _)| usage),
            quota: known.room.map(|(_, quota)| quota),
            evicted: known.evicted,
            quarantined: known.quarantined.keys().cloned().collect(),
            damaged_records: self.damaged_records(),
        }
    }

    fn storage_state(&self, problem: Option<StorageProblem>) -> StorageState {
        let adapters = self.adapters.borrow();
        let states: Vec<_> =
            adapters.iter().filter(|adapter| adapter.kind() == ChannelKind::Storage).map(|adapter| adapter.state()).collect();
        if states.is_empty() {
            StorageState::None
        } else if !self.stores.borrow().is_empty() {
            if problem.is_some() { StorageState::Failing } else { StorageState::Working }
        } else if states.contains(&AdapterState::Connecting) {
            StorageState::Opening
        } else {
            StorageState::Unavailable
        }
    }

    /// Something is wrong with storage as a whole.
    pub(super) fn storage_failed(&self, problem: StorageProblem, error: RepoError) {
        self.health.0.borrow_mut().problem = Some((problem, error.clone()));
        self.tell_health(Some(problem), Some(error), None);
    }

    /// A write succeeded, or with `reading` only a read: what was wrong is over.
    pub(super) fn storage_works(&self, reading: bool) {
        let over =
            self.health.0.borrow_mut().problem.take_if(|(problem, _)| problem.passes() && !(reading && *problem == StorageProblem::Quota));
        if over.is_some() {
            self.tell_health(None, None, None);
        }
    }

    /// Some stored bytes that belong to no document cannot be read; the rest works.
    pub(super) fn storage_damaged(&self, error: RepoError) {
        self.tell_health(Some(StorageProblem::Corrupt), Some(error), None);
    }

    /// What could not be read and belongs to no document is there again.
    pub(super) fn storage_mended(&self) {
        let problem = self.health.0.borrow().problem.clone();
        let (problem, error) = problem.unzip();
        self.tell_health(problem, error, None);
    }

    /// Stored bytes of a document cannot be read.
    pub(super) fn quarantine(&self, doc: &DocId, error: RepoError) {
        let known = self.health.0.borrow_mut().quarantined.insert(doc.clone(), error.clone());
        // It is tried again from time to time; that is no news.
        if known.is_none() {
            self.tell_health(Some(StorageProblem::Corrupt), Some(error), Some(doc.clone()));
        }
    }

    /// All stored bytes of a document could be read, or they are gone.
    pub(super) fn release(&self, doc: &DocId) {
        self.health.0.borrow_mut().quarantined.remove(doc);
    }

    /// Returns why what is edited in a document cannot be stored.
    pub(super) fn quarantined(&self, doc: &DocId) -> Option<RepoError> {
        self.health.0.borrow().quarantined.get(doc).cloned()
    }

    pub(super) fn storage_notice(&self, notice: StorageNotice) {
        match notice {
            StorageNotice::Persistence(persisted) => {
                if self.health.0.borrow_mut().persisted.replace(persisted) != Some(persisted) {
                    self.tell_health(None, None, None);
                }
            }
            StorageNotice::Room { usage, quota } => {
                self.health.0.borrow_mut().room = Some((usage, quota));
                let problem = self.health.0.borrow().problem.clone();
                if let Some((StorageProblem::Quota, error)) = problem {
                    self.tell_health(Some(StorageProblem::Quota), Some(error), None);
                }
            }
            StorageNotice::Evicted(error) => {
                self.health.0.borrow_mut().evicted = true;
                self.tell_health(Some(StorageProblem::Evicted), Some(error), None);
            }
            StorageNotice::Blocked(error) => {
                self.fail_flushes(&error);
                self.settle_unheard(|_| true, &Err(error.clone()));
                self.storage_failed(StorageProblem::Blocked, error);
            }
            StorageNotice::Superseded(error) => {
                self.fail_flushes(&error);
                self.settle_unheard(|_| true, &Err(error.clone()));
                self.storage_failed(StorageProblem::Superseded, error);
            }
            StorageNotice::Lost(error) => self.storage_failed(StorageProblem::ConnectionLost, error),
            StorageNotice::Damaged(doc, error) => self.quarantine(&doc, error),
        }
    }

    fn tell_health(&self, problem: Option<StorageProblem>, error: Option<RepoError>, doc: Option<DocId>) {
        let ok = self.storage_health().state == StorageState::Working && problem.is_none();
        self.emit(RepoEvent::StorageHealth { ok, problem, error, doc });
    }
}

/// Says what could not be done with storage.
pub(super) fn storage_error(what: &str, error: StoreError) -> RepoError {
    RepoError::new(ErrorCode::Storage, format!("could not {what}: {error}")).with_cause(error)
}
