//! Listens, routes requests, and stops in order.
//!
//! Decides who may open a socket. Never looks into one.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use axum::{
    Router,
    extract::{
        ConnectInfo, State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt,
};
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore, mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tracing::{info, warn};

use super::{
    HubConfig, OriginRule, StorageConfig,
    connection::{self, Sockets},
    origin::may_connect,
    relay::Relay,
    storage::RedbStore,
    www,
};
use crate::runtime::StoreError;

/// Socket events on their way to the repo; their bytes are bounded apart from this.
const EVENTS: usize = 1_024;
/// Bytes a connection is read by: each has so many for itself as long as it lives, and most have nothing to say.
const READ_BYTES: usize = 16 * 1024;
/// How long clients may take to say goodbye when the hub stops.
const GOODBYE_TIME: Duration = Duration::from_secs(7);
/// How long writing everything may take when the hub stops.
const FLUSH_TIME: Duration = Duration::from_secs(60);
/// How long requests under way may take when the hub stops.
const REQUEST_TIME: Duration = Duration::from_secs(1);

/// Why a hub does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The address is taken, not allowed or not an address.
    #[error("cannot listen on {listen}: {source}")]
    Listen {
        /// What was asked for.
        listen: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The data folder cannot be used.
    #[error("cannot use data folder {}: {source}", folder.display())]
    Data {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: StoreError,
    },
    /// The folder to serve is not there.
    #[error("cannot serve {}: {reason}", folder.display())]
    Www {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The machine gives no thread or the like.
    #[error("cannot start: {0}")]
    Start(String),
    /// Not everything was written when it stopped.
    #[error("stopped without writing everything: {0}")]
    Stop(String),
}

/// A running hub. It must be stopped with [`Hub::stop`] to be sure that everything is written.
#[derive(Debug)]
pub struct Hub {
    address: SocketAddr,
    sockets: Arc<Sockets>,
    slots: Arc<Semaphore>,
    connections: u32,
    relay: Relay,
    failed: Arc<Notify>,
    stop_listening: oneshot::Sender<()>,
    listening: JoinHandle<()>,
}

struct Shared {
    sockets: Arc<Sockets>,
    slots: Arc<Semaphore>,
    allow_origins: Vec<OriginRule>,
}

impl Hub {
    /// Opens the database, listens and serves.
    ///
    /// # Errors
    /// [`HubError`] if any of that is not possible; nothing runs then.
    pub async fn start(config: HubConfig) -> Result<Self, HubError> {
        if let Some(folder) = config.www.as_ref() {
            check_folder(folder)?;
        }
        let listener =
            TcpListener::bind(&config.listen).await.map_err(|source| HubError::Listen { listen: config.listen.clone(), source })?;
        let address = listener.local_addr().map_err(|source| HubError::Listen { listen: config.listen.clone(), source })?;
        let store =
            tokio::task::spawn_blocking(move || open_store(config.storage)).await.map_err(|error| HubError::Start(error.to_string()))??;
        let (events, inbound) = mpsc::channel(EVENTS);
        let relay = Relay::start(store, inbound, config.deletion, config.limits.clone(), config.memory)
            .map_err(|error| HubError::Start(error.to_string()))?;
        let connections = u32::try_from(config.limits.connections.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let slots = Arc::new(Semaphore::new(connections as usize));
        let sockets = Arc::new(Sockets::new(events, config.limits));
        let shared = Shared { sockets: Arc::clone(&sockets), slots: Arc::clone(&slots), allow_origins: config.allow_origins };
        let mut router = Router::new().route("/ws", get(open_socket)).route("/healthz", get(healthz)).with_state(Arc::new(shared));
        if let Some(folder) = config.www.as_ref() {
            router = router.fallback_service(www::router(folder));
        }
        let (stop_listening, stopping) = oneshot::channel();
        let listener = listener.tap_io(|stream| {
            // Edits are small and are waited for.
            let _ = stream.set_nodelay(true);
        });
        let listening = tokio::spawn(async move {
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            let served = axum::serve(listener, service).with_graceful_shutdown(async {
                let _ = stopping.await;
            });
            if let Err(error) = served.await {
                warn!(%error, "listening ended");
            }
        });
        info!(%address, "listening");
        let failed = relay.failed();
        Ok(Self { address, sockets, slots, connections, relay, failed, stop_listening, listening })
    }

    /// Returns the address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Completes when a defect has ended the repo; what was stored is safe, but the hub must be started again.
    pub async fn failed(&self) {
        self.failed.notified().await;
    }

    /// Writes everything, says goodbye to clients and releases address and data folder.
    ///
    /// # Errors
    /// [`HubError::Stop`] if not everything could be written.
    pub async fn stop(self) -> Result<(), HubError> {
        info!("stopping");
        self.sockets.stopping.store(true, Relaxed);
        let _ = self.stop_listening.send(());
        let stopped = timeout(FLUSH_TIME, self.relay.stop()).await;
        if timeout(GOODBYE_TIME, self.slots.acquire_many(self.connections)).await.is_err() {
            warn!("some clients did not close their connection");
        }
        let aborter = self.listening.abort_handle();
        if timeout(REQUEST_TIME, self.listening).await.is_err() {
            aborter.abort();
        }
        match stopped {
            Ok(outcome) => outcome.map_err(HubError::Stop),
            Err(_) => Err(HubError::Stop("storage takes too long".to_owned())),
        }
    }
}

fn check_folder(folder: &std::path::Path) -> Result<(), HubError> {
    let refused = |reason: String| HubError::Www { folder: folder.to_owned(), reason };
    let about = std::fs::metadata(folder).map_err(|error| refused(error.to_string()))?;
    if about.is_dir() { Ok(()) } else { Err(refused("it is not a folder".to_owned())) }
}

fn open_store(storage: StorageConfig) -> Result<RedbStore, HubError> {
    match storage {
        StorageConfig::Directory(folder) => RedbStore::open(&folder).map_err(|source| HubError::Data { folder, source }),
        StorageConfig::Memory => RedbStore::in_memory().map_err(|error| HubError::Start(error.to_string())),
    }
}

async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    if shared.sockets.events.is_closed() { (StatusCode::SERVICE_UNAVAILABLE, "stopped").into_response() } else { "ok".into_response() }
}

async fn open_socket(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if !may_connect(&headers, &shared.allow_origins) {
        let origin = headers.get("origin").map(|origin| String::from_utf8_lossy(origin.as_bytes()).into_owned());
        warn!(%remote, origin, "page of a foreign origin refused");
        return (StatusCode::FORBIDDEN, "pages of this origin may not connect\n").into_response();
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    if shared.sockets.stopping.load(Relaxed) || shared.sockets.events.is_closed() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    let Ok(slot) = Arc::clone(&shared.slots).try_acquire_owned() else {
        warn!(%remote, "too many connections; one refused");
        return (StatusCode::SERVICE_UNAVAILABLE, "too many connections\n").into_response();
    };
    let sockets = Arc::clone(&shared.sockets);
    let bytes = sockets.socket_message_bytes();
    upgrade.read_buffer_size(READ_BYTES).max_message_size(bytes).max_frame_size(bytes).on_upgrade(async move |socket| {
        connection::serve(socket, sockets, remote).await;
        drop(slot);
    })
}
