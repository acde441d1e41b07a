//! The repo behind the package's `Repo` class.

use std::{cell::Cell, panic::AssertUnwindSafe, rc::Rc};

use js_sys::{Array, Function, Object, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

#[cfg(feature = "backups")]
use super::backup::{WasmExport, WasmImport, import_loro_extended};
#[cfg(feature = "records")]
use super::collection::{WasmCollection, device};
use super::{
    doc_handle::WasmDocHandle,
    error, events,
    loro::{object, set},
    options, panics,
};
use crate::{
    browser::{BrowserEnv, WebSocketAdapter, env::contained},
    protocol::{RECORDS, RecordId},
    runtime::{
        ChannelInfo, DocInfo, ErrorCode, LocalBoxFuture, PeerInfo, RawRecord, RecordKind, Repo, RepoError, RepoEvent, StorageHealth,
        Subscription,
    },
};

struct Inner {
    repo: Rc<Repo>,
    sockets: Vec<(usize, Rc<WebSocketAdapter>)>,
    heard: Rc<Cell<Heard>>,
    _events: Subscription,
}

/// Which of the events that come by the thousand somebody listens to; making one for JavaScript costs more than what it tells of.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    added: bool,
    ready: bool,
    unsynced: bool,
}

impl Heard {
    fn is_heard(self, event: &RepoEvent) -> bool {
        match event {
            RepoEvent::DocumentAdded { .. } => self.added,
            RepoEvent::ReadyStateChanged { .. } => self.ready,
            RepoEvent::UnsyncedChanged { .. } => self.unsynced,
            _ => true,
        }
    }
}

/// A repo.
#[wasm_bindgen(skip_typescript)]
pub struct WasmRepo(AssertUnwindSafe<Inner>);

/// Makes a promise of a future, with the same code for all kinds of futures.
pub(super) fn to_promise(work: impl Future<Output = Result<JsValue, JsValue>> + 'static) -> Promise {
    let work: LocalBoxFuture<_> = Box::pin(work);
    future_to_promise(work)
}

/// Makes a promise of a result of the runtime.
pub(super) fn promise(work: LocalBoxFuture<Result<(), RepoError>>) -> Promise {
    to_promise(async move {
        let done = contained(work).await.unwrap_or_else(|message| Err(RepoError::new(ErrorCode::Panic, message)));
        events::drain();
        done.map(|()| JsValue::UNDEFINED).map_err(|error| error::to_js(&error))
    })
}

#[wasm_bindgen]
impl WasmRepo {
    /// Opens a repo. `listener` hears every event as `{ type, … }`, those that [`WasmRepo::listen_for`] names once that says so.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &JsValue, listener: Function) -> Result<WasmRepo, JsValue> {
        let adapters = options::adapters(&super::loro::get(options, "adapters").unwrap_or_else(|| Array::new().into()))?;
        let repo = Rc::new(Repo::new(Rc::new(BrowserEnv), options::config(options)));
        panics::register(&repo);
        let heard = Rc::new(Cell::new(Heard::default()));
        let hears = Rc::clone(&heard);
        let subscription = repo.on_event(move |event| {
            if hears.get().is_heard(event) {
                events::enqueue1(listener.clone(), &event_to_js(event));
            }
        });
        for adapter in adapters.all {
            repo.add_adapter(adapter);
        }
        events::drain();
        Ok(Self(AssertUnwindSafe(Inner { repo, sockets: adapters.sockets, heard, _events: subscription })))
    }

    /// Says whether somebody listens to "document-added", to "ready-state-changed" and to "unsynced-changed".
    #[wasm_bindgen(js_name = listenFor)]
    pub fn listen_for(&self, added: bool, ready: bool, unsynced: bool) {
        self.0.heard.set(Heard { added, ready, unsynced });
    }

    /// The repo's own id.
    #[wasm_bindgen(getter, js_name = peerId)]
    pub fn peer_id(&self) -> String {
        self.0.repo.peer_id().to_string()
    }

    /// Opens a document.
    pub fn get(&self, doc: &str) -> Result<WasmDocHandle, JsValue> {
        let handle = self.0.repo.get(doc).map(WasmDocHandle::from_inner).map_err(|error| error::to_js(&error));
        events::drain();
        handle
    }

    /// Makes a document anew and opens it.
    pub fn create(&self, doc: &str, replace: bool) -> Result<WasmDocHandle, JsValue> {
        let handle = self.0.repo.create(doc, replace).map(WasmDocHandle::from_inner).map_err(|error| error::to_js(&error));
        events::drain();
        handle
    }

    /// Lists the documents known here.
    pub fn list(&self) -> Array {
        self.0.repo.list().iter().map(doc_to_js).collect()
    }

    /// Deletes a document.
    pub fn delete(&self, doc: &str) -> Promise {
        let deleted = promise(self.0.repo.delete(doc));
        events::drain();
        deleted
    }

    /// Drops this repo's copy of a document.
    pub fn forget(&self, doc: &str) -> Promise {
        let forgotten = promise(self.0.repo.forget(doc));
        events::drain();
        forgotten
    }

    /// Says that the permissions give other answers now.
    #[wasm_bindgen(js_name = permissionsChanged)]
    pub fn permissions_changed(&self) {
        self.0.repo.permissions_changed();
        events::drain();
    }

    /// The number of operations in memory that no other machine has confirmed.
    #[wasm_bindgen(getter)]
    pub fn unsynced(&self) -> f64 {
        self.0.repo.unsynced() as f64
    }

    /// Opens a collection of records.
    #[cfg(feature = "records")]
    pub fn collection(&self, name: &str, shared: bool) -> Result<WasmCollection, JsValue> {
        WasmCollection::open(&self.0.repo, name, shared)
    }

    /// Gives the device this repo writes records as.
    #[cfg(feature = "records")]
    pub fn device(&self) -> Promise {
        device(&self.0.repo)
    }

    /// Lists the peers.
    pub fn peers(&self) -> Array {
        self.0.repo.peers().iter().map(peer_to_js).collect()
    }

    /// Lists the adapters.
    pub fn adapters(&self) -> Array {
        let describe = |adapter: crate::runtime::AdapterInfo| {
            let state = adapter.state.as_str().into();
            JsValue::from(object(&[("kind", adapter.kind.as_str().into()), ("name", adapter.name.into()), ("state", state)]))
        };
        self.0.repo.adapters().into_iter().map(describe).collect()
    }

    /// Switches a WebSocket adapter, by its number.
    #[wasm_bindgen(js_name = setConnected)]
    pub fn set_connected(&self, adapter: usize, connected: bool) {
        for (number, socket) in &self.0.sockets {
            if *number == adapter {
                if connected { socket.resume() } else { socket.pause() }
            }
        }
    }

    /// Returns whose socket a WebSocket adapter uses, by its number.
    #[wasm_bindgen(js_name = socketPart)]
    pub fn socket_part(&self, adapter: usize) -> Option<String> {
        self.0.sockets.iter().find(|(number, _)| *number == adapter).map(|(_, socket)| socket.part().as_str().to_owned())
    }

    /// Asks network peers for their documents.
    pub fn discover(&self) {
        self.0.repo.discover();
        events::drain();
    }

    /// Completes when everything is on disk.
    pub fn flush(&self) -> Promise {
        promise(self.0.repo.flush())
    }

    /// Flushes, and puts aside at once what would be lost if the page ended now.
    pub fn leave(&self) -> Promise {
        promise(self.0.repo.leave())
    }

    /// How storage is doing.
    #[wasm_bindgen(getter, js_name = storageHealth)]
    pub fn storage_health(&self) -> JsValue {
        health_to_js(&self.0.repo.storage_health())
    }

    /// Reads what storage has of a document, damaged or not.
    pub fn salvage(&self, doc: &str) -> Promise {
        let salvaging = self.0.repo.salvage(doc);
        to_promise(async move {
            let records = salvaging.await.map_err(|error| error::to_js(&error))?;
            Ok(records.iter().map(raw_to_js).collect::<Array>().into())
        })
    }

    /// Begins a backup.
    #[cfg(feature = "backups")]
    pub fn export(&self) -> Result<WasmExport, JsValue> {
        WasmExport::begin(&self.0.repo)
    }

    /// Begins to merge a backup.
    #[cfg(feature = "backups")]
    pub fn import(&self) -> Result<WasmImport, JsValue> {
        WasmImport::begin(&self.0.repo)
    }

    /// Takes over the documents of a database of loro-extended's.
    #[cfg(feature = "backups")]
    #[wasm_bindgen(js_name = importLoroExtended)]
    pub fn import_loro_extended(&self, database: Option<String>) -> Promise {
        import_loro_extended(&self.0.repo, database)
    }

    /// Flushes and leaves.
    pub fn close(&self) -> Promise {
        promise(self.0.repo.close())
    }
}

fn health_to_js(health: &StorageHealth) -> JsValue {
    let quarantined: Array = health.quarantined.iter().map(|doc| JsValue::from(doc.as_str())).collect();
    let records: Array =
        if RECORDS { health.damaged_records.iter().map(|(id, row)| damaged_to_js(id, row)).collect() } else { Array::new() };
    let out = object(&[
        ("state", health.state.as_str().into()),
        ("evicted", health.evicted.into()),
        ("quarantined", quarantined.into()),
        ("damagedRecords", records.into()),
    ]);
    if let Some(problem) = health.problem {
        set(&out, "problem", &problem.as_str().into());
    }
    if let Some(error) = &health.error {
        set(&out, "error", &error::to_js(error));
    }
    if let Some(persisted) = health.persisted {
        set(&out, "persisted", &persisted.into());
    }
    for (key, bytes) in [("usage", health.usage), ("quota", health.quota)] {
        if let Some(bytes) = bytes {
            set(&out, key, &(bytes as f64).into());
        }
    }
    out.into()
}

fn damaged_to_js(id: &RecordId, row: &[u8]) -> JsValue {
    let out = object(&[("bytes", Uint8Array::from(row).into())]);
    if id.is_valid() {
        set(&out, "collection", &(&*id.collection).into());
        set(&out, "key", &(&*id.key).into());
        options::owned(&out, id.owner);
    }
    out.into()
}

fn raw_to_js(record: &RawRecord) -> JsValue {
    let out = object(&[("key", record.key.as_str().into()), ("bytes", Uint8Array::from(&record.bytes[..]).into())]);
    match record.kind {
        Some(RecordKind::Snapshot) => set(&out, "kind", &"snapshot".into()),
        Some(RecordKind::Update) => set(&out, "kind", &"update".into()),
        None => {}
    }
    out.into()
}

#[wasm_bindgen]
extern "C" {
    /// What is known of a document, as the application gets it: its fields are named in the glue, since lists of them are long.
    type DocRow;
    #[wasm_bindgen(method, setter, js_name = docId)]
    fn set_doc_id(this: &DocRow, value: &str);
    #[wasm_bindgen(method, setter)]
    fn set_open(this: &DocRow, value: bool);
    #[wasm_bindgen(method, setter)]
    fn set_loaded(this: &DocRow, value: bool);
    #[wasm_bindgen(method, setter)]
    fn set_stored(this: &DocRow, value: bool);
    #[wasm_bindgen(method, setter)]
    fn set_bytes(this: &DocRow, value: f64);
    #[wasm_bindgen(method, setter)]
    fn set_updated(this: &DocRow, value: f64);
}

fn doc_to_js(info: &DocInfo) -> JsValue {
    let out: DocRow = Object::new().unchecked_into();
    out.set_doc_id(info.doc.as_str());
    out.set_open(info.open);
    out.set_loaded(info.loaded);
    out.set_stored(info.stored);
    if let Some(bytes) = info.bytes {
        out.set_bytes(bytes as f64);
    }
    if let Some(updated) = info.updated {
        out.set_updated(updated.0 as f64);
    }
    out.into()
}

fn channel_to_js(channel: &ChannelInfo) -> JsValue {
    let number = |value: u64| JsValue::from_f64(value as f64);
    let stats = object(&[
        ("messagesIn", number(channel.stats.messages_in)),
        ("messagesOut", number(channel.stats.messages_out)),
        ("bytesIn", number(channel.stats.bytes_in)),
        ("bytesOut", number(channel.stats.bytes_out)),
    ]);
    let state = if channel.established { "established" } else { "connected" };
    object(&[
        ("channelId", number(channel.channel.0)),
        ("kind", channel.kind.as_str().into()),
        ("adapter", channel.adapter.as_str().into()),
        ("state", state.into()),
        ("stats", stats.into()),
    ])
    .into()
}

fn peer_to_js(peer: &PeerInfo) -> JsValue {
    let channels: Array = peer.channels.iter().map(channel_to_js).collect();
    let out = object(&[("peerId", peer.peer_id.as_str().into()), ("type", peer.peer_type.as_str().into()), ("channels", channels.into())]);
    if let Some(name) = &peer.name {
        set(&out, "name", &name.into());
    }
    out.into()
}

fn event_to_js(event: &RepoEvent) -> JsValue {
    let named = |name: &str, key: &str, value: &str| object(&[("type", name.into()), (key, value.into())]);
    let out: Object = match event {
        RepoEvent::DocumentAdded { doc } => named("document-added", "docId", doc.as_str()),
        RepoEvent::DocumentRemoved { doc } => named("document-removed", "docId", doc.as_str()),
        RepoEvent::PeerConnected { peer } => named("peer-connected", "peerId", peer.as_str()),
        RepoEvent::PeerDisconnected { peer } => named("peer-disconnected", "peerId", peer.as_str()),
        RepoEvent::DocumentRenewed { doc } => named("document-renewed", "docId", doc.as_str()),
        RepoEvent::ReadyStateChanged { doc } => named("ready-state-changed", "docId", doc.as_str()),
        RepoEvent::StorageHealth { ok, problem, error, doc } => {
            let out = object(&[("type", "storage-health".into()), ("ok", (*ok).into())]);
            if let Some(problem) = problem {
                set(&out, "problem", &problem.as_str().into());
            }
            if let Some(doc) = doc {
                set(&out, "docId", &doc.as_str().into());
            }
            if let Some(error) = error {
                set(&out, "error", &error::to_js(error));
            }
            out
        }
        RepoEvent::StorageProgress { doc, work, bytes, records, done } => object(&[
            ("type", "storage-progress".into()),
            ("docId", doc.as_str().into()),
            ("work", work.as_str().into()),
            ("bytes", (*bytes as f64).into()),
            ("records", (*records).into()),
            ("done", (*done).into()),
        ]),
        RepoEvent::Refused { doc, peer, reason, retry_ms } => object(&[
            ("type", "refused".into()),
            ("docId", doc.as_str().into()),
            ("peerId", peer.as_str().into()),
            ("reason", reason.as_str().into()),
            ("retryMs", retry_ms.map_or(JsValue::UNDEFINED, |ms| (ms as f64).into())),
        ]),
        RepoEvent::UnsyncedChanged { doc } => named("unsynced-changed", "docId", doc.as_str()),
        RepoEvent::RecordsConfirmed => object(&[("type", "unsynced-changed".into())]),
        RepoEvent::AdapterChanged { adapter } => object(&[("type", "adapter-changed".into()), ("adapter", (*adapter as f64).into())]),
        RepoEvent::Error { error, doc } => {
            let out = object(&[("type", "error".into()), ("error", error::to_js(error))]);
            if let Some(doc) = doc {
                set(&out, "docId", &doc.as_str().into());
            }
            out
        }
    };
    out.into()
}
