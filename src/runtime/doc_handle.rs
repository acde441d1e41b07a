//! One open document.
#![allow(missing_docs, unused_variables)]
use super::*;
use crate::{
    protocol::{DocId, PeerId, VersionVector},
    synchronizer::ChannelKind,
};
#[derive(Clone)]
pub struct DocHandle {}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadyStatus {
    Pending,
    Synced,
    Absent,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyState {
    pub peer: PeerId,
    pub kind: ChannelKind,
    pub state: ReadyStatus,
    pub version: Option<VersionVector>,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncKind {
    Network,
    Storage,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitOptions {
    pub kind: SyncKind,
    pub timeout_ms: Option<u64>,
}
impl DocHandle {
    pub fn doc_id(&self) -> &DocId {
        todo!()
    }
    pub fn doc(&self) -> loro::LoroDoc {
        todo!()
    }
    pub fn touch(&self) {
        todo!()
    }
    pub fn change<T>(&self, f: impl FnOnce(&loro::LoroDoc) -> T, message: Option<&str>, origin: Option<&str>) -> Result<T, RepoError> {
        todo!()
    }
    pub fn ready_states(&self) -> Vec<ReadyState> {
        todo!()
    }
    pub fn wait_for_sync(&self, options: WaitOptions) -> LocalBoxFuture<Result<(), RepoError>> {
        todo!()
    }
    pub fn ephemeral(&self, namespace: &str) -> EphemeralHandle {
        todo!()
    }
    pub fn close(&self) {
        todo!()
    }
}
