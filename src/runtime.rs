//! Owns the Loro documents and carries out what the synchronizer decides.
//!
//! Decides nothing about who gets what; knows no browser and no async runtime.

mod admission;
mod authors;
mod backoff;
mod backup;
mod channel;
mod doc_handle;
mod docs;
mod env;
mod ephemeral;
mod ephemeral_budget;
mod ephemeral_doc;
mod ephemeral_state;
mod ephemeral_store;
mod error;
#[cfg(feature = "failpoints")]
pub mod failpoint;
mod health;
mod history;
mod index_row;
mod inner;
mod leadership;
mod lease;
mod loading;
pub mod memory;
mod rate_limit;
pub mod records;
mod recovery;
mod repo;
mod storage;
mod storage_progress;
mod trim;
pub mod utf16;

pub use admission::{Admission, AdmissionRequest, Chain, Decision, Verdict, WAITING_BYTES, WAITING_MESSAGES};
pub use authors::{Authors, LeaseTable};
pub use backoff::Backoff;
pub use backup::{BackupError, Export, Import, Imported, Progress};
pub use channel::{
    Adapter, AdapterContext, AdapterSink, AdapterState, Amendment, Channel, ChannelStats, Committed, IndexEntry, Opening, Problem,
    RawRecord, Record, RecordKey, RecordKind, Safety, StorageNotice, Store, StoreError, StoredDoc, StoredInfo, Write,
};
pub use doc_handle::{DocHandle, Durability, ReadyState, ReadyStatus, SyncKind, WaitOptions, WeakDocHandle};
pub use env::{Env, LocalBoxFuture};
pub use ephemeral::{EphemeralBy, EphemeralEvent, EphemeralHandle};
pub use ephemeral_state::{EphemeralChange, EphemeralDecodeError, EphemeralState};
pub use ephemeral_store::EphemeralStore;
pub use error::{ErrorCode, RepoError};
pub use health::{StorageHealth, StorageProblem, StorageState};
pub use history::{History, HistoryPlace};
pub use index_row::{decode_index, encode_index};
pub use leadership::{Leadership, LeadershipAction, LeadershipInput, Service, Stance, Word};
pub use rate_limit::{Rate, RateLimiter, RateLimits};
pub use records::{
    Collection, CollectionKind, LoadedRecords, MemoryRecords, RecordChange, RecordFilter, RecordInfo, RecordStats, RecordTexts,
    RecordsMeta, RecordsOpening, RecordsWrite,
};
pub use repo::{AdapterInfo, ChannelInfo, DocInfo, PeerInfo, Repo, RepoConfig, RepoEvent, Subscription};
pub use storage_progress::StorageWork;
pub use trim::{decode_marks, encode_marks};
