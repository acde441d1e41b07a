//! What a hub can be told.
//!
//! Plain values with their defaults; how they are given (arguments, environment) is the binary's affair.

use std::{path::PathBuf, time::Duration};

use super::OriginRule;

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
    /// How long a client may take to introduce itself.
    pub establish_time: Duration,
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
            establish_time: Duration::from_secs(30),
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
        }
    }
}
