//! The repo: one per process or page.
#![allow(missing_docs, unused_variables)]
use super::*;
use crate::{
    protocol::{DocId, Message, PeerId, PeerType},
    synchronizer::{AllowAll, ChannelId, ChannelKind, Interest, Permissions, Timestamp},
};
use std::{
    fmt,
    rc::{Rc, Weak},
};

pub struct RepoConfig {
    pub name: Option<String>,
    pub peer_type: PeerType,
    pub peer_id: Option<PeerId>,
    pub adapters: Vec<Rc<dyn Adapter>>,
    pub permissions: Rc<dyn Permissions>,
    pub interest: Interest,
    pub store_delay_ms: u64,
}
impl Default for RepoConfig {
    fn default() -> Self {
        Self {
            name: None,
            peer_type: PeerType::User,
            peer_id: None,
            adapters: Vec::new(),
            permissions: Rc::new(AllowAll),
            interest: Interest::Opened,
            store_delay_ms: 100,
        }
    }
}
#[derive(Clone)]
pub struct Repo(Rc<RepoInner>);
pub struct RepoInner {}
impl RepoInner {
    pub(super) fn open_channel(repo: &Weak<Self>, adapter: usize, channel: Rc<dyn Channel>, opening: Opening) -> ChannelId {
        todo!()
    }
    pub(super) fn open_store(repo: &Weak<Self>, adapter: usize, store: Rc<dyn Store>) -> ChannelId {
        todo!()
    }
    pub(super) fn receive(repo: &Weak<Self>, channel: ChannelId, messages: Vec<Message>) {
        todo!()
    }
    pub(super) fn close_channel(repo: &Weak<Self>, channel: ChannelId) {
        todo!()
    }
    pub(super) fn report(repo: &Weak<Self>, problem: Problem) {
        todo!()
    }
    pub(super) fn adapter_changed(repo: &Weak<Self>, adapter: usize) {
        todo!()
    }
}
impl Repo {
    pub fn new(env: Rc<dyn Env>, config: RepoConfig) -> Self {
        todo!()
    }
    pub fn peer_id(&self) -> &PeerId {
        todo!()
    }
    pub fn get(&self, doc: &str) -> Result<DocHandle, RepoError> {
        todo!()
    }
    pub fn list(&self) -> Vec<DocInfo> {
        todo!()
    }
    pub fn delete(&self, doc: &str) -> LocalBoxFuture<Result<(), RepoError>> {
        todo!()
    }
    pub fn peers(&self) -> Vec<PeerInfo> {
        todo!()
    }
    pub fn adapters(&self) -> Vec<AdapterInfo> {
        todo!()
    }
    pub fn add_adapter(&self, adapter: Rc<dyn Adapter>) {
        todo!()
    }
    pub fn discover(&self) {
        todo!()
    }
    pub fn on_event(&self, listener: impl Fn(&RepoEvent) + 'static) -> Subscription {
        todo!()
    }
    pub fn flush(&self) -> LocalBoxFuture<Result<(), RepoError>> {
        todo!()
    }
    pub fn close(&self) -> LocalBoxFuture<Result<(), RepoError>> {
        todo!()
    }
    pub fn is_closed(&self) -> bool {
        todo!()
    }
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocInfo {
    pub doc: DocId,
    pub open: bool,
    pub stored: bool,
    pub bytes: Option<u64>,
    pub updated: Option<Timestamp>,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerInfo {
    pub peer_id: PeerId,
    pub name: Option<String>,
    pub peer_type: PeerType,
    pub channels: Vec<ChannelInfo>,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelInfo {
    pub channel: ChannelId,
    pub kind: ChannelKind,
    pub adapter: String,
    pub established: bool,
    pub stats: ChannelStats,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterInfo {
    pub kind: ChannelKind,
    pub name: String,
    pub state: AdapterState,
}
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RepoEvent {
    DocumentAdded { doc: DocId },
    DocumentRemoved { doc: DocId },
    PeerConnected { peer: PeerId },
    PeerDisconnected { peer: PeerId },
    ReadyStateChanged { doc: DocId },
    StorageHealth { ok: bool, error: Option<RepoError> },
    AdapterChanged { adapter: usize },
    Error { error: RepoError, doc: Option<DocId> },
}
#[must_use]
pub struct Subscription(pub(super) Option<Box<dyn FnOnce()>>);
impl Subscription {
    pub fn detach(mut self) {
        self.0 = None;
    }
}
impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f()
        }
    }
}
impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subscription")
    }
}
