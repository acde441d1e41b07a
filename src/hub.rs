//! The native relay: the same synchronizer and runtime as in the browser, behind sockets and a file.
//!
//! Decides about sockets, files and limits. Never decides who gets what: to the protocol a hub is one more peer.

mod backup;
mod config;
mod connection;
mod env;
mod guard;
mod limiter;
mod origin;
mod relay;
mod server;
mod sessions;
mod storage;
mod www;

pub use backup::{BackupFailure, export, import};
pub use config::{DeletionRule, HubConfig, HubLimits, StorageConfig};
pub use env::NativeEnv;
pub use origin::OriginRule;
pub use server::{Hub, HubError};
pub use storage::{Checked, Compacted, Problem, RedbAdapter, RedbStore, Stats, check, compact, stats};
