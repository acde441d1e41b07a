//! Documents in memory, and how the runtime notices that they changed.
//!
//! Decides nothing about who gets a change.

use std::{
    cell::{Cell, OnceCell, RefCell},
    fmt,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_channel::mpsc::UnboundedSender;
use loro::{ExportMode, IdSpan, LoroDoc};

use crate::{
    collections::SortedSet,
    protocol::{DocId, VersionVector, extension::AuthorRange},
    synchronizer::ChannelId,
};

/// From so many operations on a whole document goes as a snapshot.
const SNAPSHOT_OPERATIONS: i64 = 1_000;

/// A document in memory.
pub(super) struct OpenDoc {
    pub(super) id: DocId,
    pub(super) doc: LoroDoc,
    /// Which creation of the document it is.
    pub(super) lineage: Cell<u64>,
    /// The application holds a handle.
    pub(super) opened: Cell<bool>,
    /// Dropped from the repo: the handle no longer reaches anybody.
    pub(super) gone: Cell<bool>,
    /// Gone because the engine panicked in it: another document has taken its place.
    pub(super) lost: Cell<bool>,
    /// The id it was last set to be written under; the application may have chosen another.
    pub(super) author: Cell<u64>,
    /// Stores that have given all they have of it.
    pub(super) read: RefCell<SortedSet<ChannelId>>,
    /// What those say they have, and what they say others have.
    pub(super) stored: RefCell<VersionVector>,
    /// Some of its records depend on what was trimmed from its history.
    pub(super) missed: Cell<bool>,
    /// Operations came that wait for others, perhaps still.
    pub(super) waits: Cell<bool>,
    /// What has taken its place, with the whole history.
    pub(super) renewed: OnceCell<Rc<Self>>,
    /// What was trimmed from its history, as the synchronizer was told.
    pub(super) begins: RefCell<VersionVector>,
    /// The version last told to the synchronizer.
    told: RefCell<loro::VersionVector>,
    flagged: Arc<AtomicBool>,
    _commits: loro::Subscription,
}

impl OpenDoc {
    /// Makes an empty document whose commits are announced on `changed`.
    pub(super) fn new(id: DocId, author: u64, changed: UnboundedSender<DocId>) -> Self {
        let doc = LoroDoc::new();
        // Only the reserved maximum is refused; the author made by `new` then stays.
        let _ = doc.set_peer_id(author);
        let flagged = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&flagged);
        let name = id.clone();
        // The pre-commit hook is the cheapest notice there is: it costs no event and no encoding. It runs with the
        // engine's locks held, so it only leaves a note.
        let commits = doc.subscribe_pre_commit(Box::new(move |_| {
            if !flag.swap(true, Ordering::Relaxed) {
                let _ = changed.unbounded_send(name.clone());
            }
            true
        }));
        Self {
            id,
            doc,
            lineage: Cell::new(0),
            opened: Cell::new(false),
            gone: Cell::new(false),
            lost: Cell::new(false),
            author: Cell::new(author),
            read: RefCell::default(),
            stored: RefCell::default(),
            missed: Cell::new(false),
            waits: Cell::new(false),
            renewed: OnceCell::new(),
            begins: RefCell::default(),
            told: RefCell::default(),
            flagged,
            _commits: commits,
        }
    }

    /// Writes under another id from now on, unless the application has chosen one.
    pub(super) fn write_under(&self, author: u64) {
        if self.author.get() != author && self.doc.peer_id() == self.author.get() && self.doc.set_peer_id(author).is_ok() {
            self.author.set(author);
        }
    }

    /// Returns the version, told or not.
    pub(super) fn oplog_version(&self) -> VersionVector {
        from_loro(&self.doc.oplog_vv())
    }

    /// Returns the version if it is not the one last told, and remembers it as told.
    pub(super) fn news(&self) -> Option<VersionVector> {
        self.flagged.store(false, Ordering::Relaxed);
        let version = self.doc.oplog_vv();
        if *self.told.borrow() == version {
            return None;
        }
        let converted = from_loro(&version);
        *self.told.borrow_mut() = version;
        Some(converted)
    }

    /// Returns the version and remembers it as told.
    pub(super) fn version(&self) -> VersionVector {
        let version = self.doc.oplog_vv();
        let converted = from_loro(&version);
        *self.told.borrow_mut() = version;
        converted
    }

    /// Exports what `since` lacks, or everything as a snapshot, and the version it brings a receiver to.
    pub(super) fn export(&self, since: Option<&VersionVector>) -> Result<(Vec<u8>, VersionVector), loro::LoroEncodeError> {
        let bytes = match since {
            Some(since) if !self.needs_snapshot(since) => self.doc.export(ExportMode::updates(&to_loro(since)))?,
            _ => self.doc.export(ExportMode::Snapshot)?,
        };
        Ok((bytes, from_loro(&self.doc.oplog_vv())))
    }

    /// Returns whether what `since` lacks includes operations that were trimmed from the history here. Exported as operations, the rest
    /// could never be used.
    pub(super) fn needs_snapshot(&self, since: &VersionVector) -> bool {
        self.doc.is_shallow() && !since.includes(&from_loro(&self.doc.shallow_since_vv().to_vv()))
    }

    /// Exports operations by author, or everything as a snapshot when they are `whole` and many: that is imported faster.
    pub(super) fn export_ranges(&self, ranges: &[AuthorRange], whole: bool) -> Result<(Vec<u8>, VersionVector), loro::LoroEncodeError> {
        let operations: i64 = ranges.iter().map(|range| i64::from(range.end) - i64::from(range.start)).sum();
        let start = |author| ranges.iter().find(|range| range.author == author).map_or(i32::MAX, |range| range.start);
        let trimmed = self.doc.is_shallow() && self.doc.shallow_since_vv().iter().any(|(author, end)| start(*author) < *end);
        let mode = if trimmed || whole && operations >= SNAPSHOT_OPERATIONS {
            ExportMode::Snapshot
        } else {
            ExportMode::updates_in_range(ranges.iter().map(|range| IdSpan::new(range.author, range.start, range.end)).collect::<Vec<_>>())
        };
        Ok((self.doc.export(mode)?, from_loro(&self.doc.oplog_vv())))
    }
}

impl fmt::Debug for OpenDoc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenDoc").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Converts a version vector of the engine.
pub(super) fn from_loro(version: &loro::VersionVector) -> VersionVector {
    version.iter().map(|(author, end)| (*author, *end)).collect()
}

/// Converts to a version vector of the engine.
pub(super) fn to_loro(version: &VersionVector) -> loro::VersionVector {
    let mut out = loro::VersionVector::new();
    for (author, end) in version.iter() {
        out.insert(author, end);
    }
    out
}
