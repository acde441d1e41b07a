//! The thread that runs the repo.
//!
//! Decides nothing: it hands what sockets received to the repo and what the repo sends to the sockets.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    thread,
};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    config::{DeletionRule, HubLimits},
    connection::{Inbound, Pipe},
    env::{NativeEnv, random_bytes},
    guard::DiskGuard,
    limiter::ClientLimiter,
    storage::{RedbAdapter, RedbStore},
};
use crate::{
    Repo, RepoConfig,
    protocol::{Message, PeerType},
    runtime::{
        Adapter, AdapterContext, AdapterState, Admission, Chain, Channel, ChannelStats, LocalBoxFuture, Opening, RepoError, RepoEvent,
        Store,
    },
    synchronizer::{ChannelKind, Interest, MemoryBudget, RecordLimits},
};

/// Milliseconds changes are gathered before they are written: short, since a relay acknowledges what others rely on.
const STORE_DELAY_MS: u64 = 20;

/// The running repo thread.
#[derive(Debug)]
pub(super) struct Relay {
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<Result<(), RepoError>>,
    failed: Arc<Notify>,
}

impl Relay {
    /// Starts the thread; everything arriving in `inbound` is handled there.
    pub(super) fn start(
        store: RedbStore,
        inbound: mpsc::Receiver<Inbound>,
        deletion: DeletionRule,
        limits: HubLimits,
        memory: MemoryBudget,
    ) -> std::io::Result<Self> {
        let (stop, stopping) = oneshot::channel();
        let (done, stopped) = oneshot::channel();
        let failed = Arc::new(Notify::new());
        let notice = Arc::clone(&failed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("corella-repo".into()).spawn(move || {
            let guard = FailNotice(Arc::clone(&notice));
            tokio::task::LocalSet::new().block_on(&runtime, async move {
                let home = home_of(&store).await;
                let repo = make_repo(home, store, inbound, deletion, &limits, memory, notice);
                // A dropped handle stops the repo as well.
                let _ = stopping.await;
                let _ = done.send(repo.close().await);
            });
            drop(guard);
        })?;
        Ok(Self { stop, stopped, failed })
    }

    /// Completes when the repo cannot go on.
    pub(super) fn failed(&self) -> Arc<Notify> {
        Arc::clone(&self.failed)
    }

    /// Flushes and closes the repo, and with it every connection.
    pub(super) async fn stop(self) -> Result<(), String> {
        let _ = self.stop.send(());
        match self.stopped.await {
            Ok(outcome) => outcome.map_err(|error| error.to_string()),
            Err(_) => Err("the repo thread has died".to_owned()),
        }
    }
}

struct FailNotice(Arc<Notify>);

impl Drop for FailNotice {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.notify_one();
        }
    }
}

/// Returns what names the hub's data over its restarts, kept among that; `None` if the disk takes nothing.
async fn home_of(store: &RedbStore) -> Option<u64> {
    let fresh = Bytes::copy_from_slice(&random_bytes());
    let change = Arc::new(move |before: Option<&[u8]>| Some(before.map_or_else(|| fresh.clone(), Bytes::copy_from_slice)));
    match store.amend("home", change).await {
        Ok(home) => home.and_then(|home| Some(u64::from_le_bytes(home[..].try_into().ok()?))),
        Err(error) => {
            tracing::warn!(%error, "what names the data cannot be read: clients will offer their documents again");
            None
        }
    }
}

fn make_repo(
    home: Option<u64>,
    store: RedbStore,
    inbound: mpsc::Receiver<Inbound>,
    deletion: DeletionRule,
    limits: &HubLimits,
    memory: MemoryBudget,
    failed: Arc<Notify>,
) -> Repo {
    let env = Rc::new(NativeEnv::new(move || failed.notify_one()));
    // The store comes first: whoever connects is answered from it.
    let guard = Rc::new(DiskGuard(store.clone())) as Rc<dyn Admission>;
    let limiter = ClientLimiter::new(limits).map(|limiter| Rc::new(limiter) as Rc<dyn Admission>);
    let adapters: Vec<Rc<dyn Adapter>> = vec![Rc::new(RedbAdapter::new(store)), Rc::new(HubAdapter::new(inbound))];
    let config = RepoConfig {
        name: Some("corella-hub".to_owned()),
        peer_type: PeerType::Service,
        home,
        adapters,
        interest: Interest::Everything,
        store_delay_ms: STORE_DELAY_MS,
        memory,
        permissions: Rc::new(deletion),
        admission: Some(Rc::new(Chain::new(limiter.into_iter().chain([guard])))),
        records: RecordLimits {
            all: limits.records,
            collection: limits.collection_records,
            device: limits.device_records,
            max_drift_ms: limits.record_drift.as_millis() as u64,
            lapse_ms: limits.record_lapse.as_millis() as u64,
        },
        ..RepoConfig::default()
    };
    let repo = Repo::new(env, config);
    repo.on_event(log_event).detach();
    tracing::info!(peer = %repo.peer_id(), "repo started");
    repo
}

fn log_event(event: &RepoEvent) {
    match event {
        RepoEvent::DocumentAdded { doc } => tracing::debug!(%doc, "document added"),
        RepoEvent::DocumentRemoved { doc } => tracing::debug!(%doc, "document removed"),
        RepoEvent::PeerConnected { peer } => tracing::info!(%peer, "peer connected"),
        RepoEvent::PeerDisconnected { peer } => tracing::info!(%peer, "peer disconnected"),
        RepoEvent::StorageProgress { doc, work, bytes, records, done } => {
            tracing::debug!(%doc, work = work.as_str(), bytes, records, done, "work on a large document's records");
        }
        RepoEvent::StorageHealth { ok: true, .. } => tracing::info!("storage works again"),
        RepoEvent::StorageHealth { error: Some(error), .. } => tracing::error!(%error, "storage failed"),
        RepoEvent::StorageHealth { error: None, .. } => tracing::error!("storage failed"),
        RepoEvent::Error { error, doc } => tracing::warn!(%error, doc = doc.as_ref().map(tracing::field::display), "refused"),
        RepoEvent::Refused { doc, peer, reason, .. } => tracing::info!(%doc, %peer, reason = reason.as_str(), "a peer took nothing"),
        RepoEvent::DocumentRenewed { doc } => tracing::info!(%doc, "whole history fetched again"),
        RepoEvent::ReadyStateChanged { .. }
        | RepoEvent::UnsyncedChanged { .. }
        | RepoEvent::RecordsConfirmed
        | RepoEvent::AdapterChanged { .. } => {}
    }
}

/// Opens one channel per socket.
struct HubAdapter {
    inbound: RefCell<Option<mpsc::Receiver<Inbound>>>,
    state: Cell<AdapterState>,
    stop: Rc<Notify>,
}

impl HubAdapter {
    fn new(inbound: mpsc::Receiver<Inbound>) -> Self {
        Self { inbound: RefCell::new(Some(inbound)), state: Cell::new(AdapterState::Off), stop: Rc::new(Notify::new()) }
    }
}

impl Adapter for HubAdapter {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Network
    }

    fn name(&self) -> &str {
        "websocket"
    }

    fn start(&self, context: AdapterContext) {
        let Some(inbound) = self.inbound.borrow_mut().take() else { return };
        self.state.set(AdapterState::Open);
        let stop = Rc::clone(&self.stop);
        context.env().spawn(Box::pin(async move {
            tokio::select! {
                () = stop.notified() => {}
                () = deliver(context, inbound) => {}
            }
        }));
    }

    fn stop(&self) -> LocalBoxFuture<()> {
        self.state.set(AdapterState::Closed);
        self.stop.notify_one();
        Box::pin(std::future::ready(()))
    }

    fn state(&self) -> AdapterState {
        self.state.get()
    }
}

async fn deliver(context: AdapterContext, mut inbound: mpsc::Receiver<Inbound>) {
    let mut channels = HashMap::new();
    while let Some(event) = inbound.recv().await {
        match event {
            Inbound::Opened { connection, pipe } => {
                if let Some(channel) = context.open_channel(Rc::new(SocketChannel(pipe)), Opening::Await) {
                    channels.insert(connection, channel);
                }
            }
            Inbound::Received { connection, messages, room } => {
                if let Some(channel) = channels.get(&connection) {
                    context.receive(*channel, messages);
                }
                drop(room);
            }
            Inbound::Closed { connection } => {
                if let Some(channel) = channels.remove(&connection) {
                    context.close_channel(channel);
                }
            }
        }
    }
}

struct SocketChannel(Pipe);

impl Channel for SocketChannel {
    fn send(&self, messages: Vec<Message>) {
        self.0.send(messages);
    }

    fn close(&self) {
        self.0.close();
    }

    fn is_open(&self) -> bool {
        self.0.is_open()
    }

    fn stats(&self) -> ChannelStats {
        self.0.stats()
    }
}
