//! What the application hears of storage work that takes long.
//!
//! Decides which work is worth telling of: that on a document of [`LONG_BYTES`] or more. Never reads or writes anything.

use super::{RepoEvent, inner::RepoInner};
use crate::protocol::DocId;

/// Bytes from which on work is told of.
const LONG_BYTES: u64 = 1024 * 1024;

/// What is done with the records of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageWork {
    /// They are read and put into memory.
    Load,
    /// One snapshot takes their place.
    Compaction,
}

impl StorageWork {
    /// The name applications know it by.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Compaction => "compaction",
        }
    }
}

impl RepoInner {
    /// Tells that work on a document has begun, if it is long. `records` are those read, or replaced.
    pub(super) fn storage_works_on(&self, doc: &DocId, work: StorageWork, bytes: u64, records: u32) -> bool {
        let long = bytes >= LONG_BYTES;
        if long {
            self.emit(RepoEvent::StorageProgress { doc: doc.clone(), work, bytes, records, done: false });
        }
        long
    }

    /// Tells that long work has ended, well or not.
    pub(super) fn storage_worked_on(&self, doc: &DocId, work: StorageWork, bytes: u64, records: u32) {
        self.emit(RepoEvent::StorageProgress { doc: doc.clone(), work, bytes, records, done: true });
    }
}
