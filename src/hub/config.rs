//! What a hub can be told.
//!
//! Plain values with their defaults; how they are given (arguments, environment) is the binary's affair.

use std::{path::PathBuf, str::FromStr, time::Duration};

use super::OriginRule;
use crate::{
    protocol::DocId,
    synchronizer::{Creator, MemoryBudget, PeerContext, Permissions, RecordLimits, RecordRoom},
};

/// How a hub is set up.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// Host and port to listen on; port 0 takes a free one.
    pub listen: String,
    /// Where documents are kept.
    pub storage: StorageConfig,
    /// A folder served over HTTP.
    pub www: Option<PathBuf>,
    /// Origins of pages that may connect, besides the hub's own host and loopback.
    pub allow_origins: Vec<OriginRule>,
    /// Bounds on what clients may take.
    pub limits: HubLimits,
    /// Who may delete documents.
    pub deletion: DeletionRule,
    /// How much stays in memory of documents the database has.
    pub memory: MemoryBudget,
}

/// Who may delete documents on the hub, and with it for everybody.
///
/// Clients say themselves who they are: where that is not enough, put something that knows them in front of the hub.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeletionRule {
    /// Nobody.
    Nobody,
    /// Who brought the document to the hub: the same repo, or one with the same name.
    #[default]
    Creator,
    /// Everybody who can see it.
    Anyone,
}

impl FromStr for DeletionRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "nobody" => Ok(Self::Nobody),
            "creator" => Ok(Self::Creator),
            "anyone" => Ok(Self::Anyone),
            other => Err(format!("{other:?} is none of nobody, creator, anyone")),
        }
    }
}

impl Permissions for DeletionRule {
    fn deletion(&self, _doc: &DocId, creator: Option<&Creator>, peer: &PeerContext) -> bool {
        match self {
            Self::Nobody => false,
            Self::Creator => creator.is_some_and(|creator| creator.is(peer)),
            Self::Anyone => true,
        }
    }
}

/// Where documents are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageConfig {
    /// In a database file in this folder, which is made if it is not there.
    Directory(PathBuf),
    /// In memory: gone when the hub stops.
    Memory,
}

/// Bounds on what clients may take.
#[derive(Debug, Clone)]
pub struct HubLimits {
    /// Largest accepted message in bytes, fragmented or not.
    pub message_bytes: usize,
    /// Connections at a time.
    pub connections: usize,
    /// Bytes waiting for one client; one that lags further behind is disconnected and starts over.
    pub outbound_bytes: usize,
    /// Bytes received from all clients together that wait to be processed; readers pause beyond.
    pub inbound_bytes: usize,
    /// Messages a second of one client, ten seconds' worth of them at once after a pause; 0 for any number. More are refused.
    pub rate_messages: u32,
    /// Payload bytes a second of one client, likewise; the burst is never smaller than the largest message.
    pub rate_bytes: u64,
    /// Room for all records; they are kept in memory.
    pub records: RecordRoom,
    /// Room for the records of one collection.
    pub collection_records: RecordRoom,
    /// Room for the records one device wrote last.
    pub device_records: RecordRoom,
    /// By how much the clock of whoever writes a record may be ahead.
    pub record_drift: Duration,
    /// How long a device that was not seen holds back what everybody is to have of records.
    pub record_lapse: Duration,
    /// How long a client may take to introduce itself.
    pub establish_time: Duration,
    /// How long a client that lags too far behind may take nothing of what is still queued for it.
    pub stall_time: Duration,
    /// How long a client may be silent; it is pinged three times in that span.
    pub idle_time: Duration,
}

impl Default for HubLimits {
    fn default() -> Self {
        Self {
            message_bytes: 50 * 1024 * 1024,
            connections: 1_000,
            outbound_bytes: 64 * 1024 * 1024,
            inbound_bytes: 256 * 1024 * 1024,
            rate_messages: 2_000,
            rate_bytes: 32 * 1024 * 1024,
            records: RecordRoom { records: 2_000_000, bytes: 1024 * 1024 * 1024 },
            collection_records: RecordRoom { records: 1_000_000, bytes: 512 * 1024 * 1024 },
            device_records: RecordRoom { records: 250_000, bytes: 128 * 1024 * 1024 },
            record_drift: Duration::from_millis(RecordLimits::default().max_drift_ms),
            record_lapse: Duration::from_millis(RecordLimits::default().lapse_ms),
            establish_time: Duration::from_secs(30),
            stall_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(90),
        }
    }
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8787".to_owned(),
            storage: StorageConfig::Directory("corella-data".into()),
            www: None,
            allow_origins: Vec::new(),
            limits: HubLimits::default(),
            deletion: DeletionRule::default(),
            memory: MemoryBudget { documents: 1_000, bytes: 64 * 1024 * 1024 },
        }
    }
}
