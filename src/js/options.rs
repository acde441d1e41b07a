//! What a repo is opened with: identity, role, adapters, permissions, admission, limits.
//!
//! The package's JavaScript has checked the shapes; here they become values.

use std::rc::Rc;

use js_sys::{Array, Function, Object, Promise};
use wasm_bindgen::{JsCast, prelude::*};
use wasm_bindgen_futures::JsFuture;

use super::{
    admission::admission,
    error,
    loro::{get, object, set},
};
use crate::{
    browser::{BroadcastChannelAdapter, IndexedDbAdapter, Sharing, UrlSource, WebSocketAdapter},
    protocol::{Device, DocId, PeerId, PeerType, RECORDS, RecordId},
    runtime::{Adapter, RepoConfig},
    synchronizer::{AllowAll, Creator, HistoryLimits, Interest, MemoryBudget, PeerContext, Permissions, RecordLimits, TombstoneLimits},
};

/// The collection that tells of documents, by their ids.
const CATALOGUE: &str = "corella:catalogue";

/// The adapters of a repo, in order; the sockets apart, since the application can switch them.
#[derive(Default)]
pub(super) struct Adapters {
    pub(super) all: Vec<Rc<dyn Adapter>>,
    pub(super) sockets: Vec<(usize, Rc<WebSocketAdapter>)>,
}

pub(super) fn adapters(list: &JsValue) -> Result<Adapters, JsValue> {
    let mut out = Adapters::default();
    for (number, adapter) in Array::from(list).iter().enumerate() {
        let text = |key| get(&adapter, key).and_then(|value| value.as_string());
        match text("type").as_deref() {
            Some("indexeddb") => out.all.push(Rc::new(IndexedDbAdapter::new(text("database")))),
            Some("broadcast-channel") => out.all.push(Rc::new(BroadcastChannelAdapter::new(text("name")))),
            Some("websocket") => {
                let sharing = match get(&adapter, "shared") {
                    Some(name) if name.is_string() => Sharing::Named(name.as_string().unwrap_or_default()),
                    Some(shared) if shared.is_falsy() && !shared.is_undefined() => Sharing::Off,
                    _ => Sharing::ByUrl,
                };
                let socket = Rc::new(WebSocketAdapter::new(url_source(get(&adapter, "url").unwrap_or_default())?, sharing));
                if get(&adapter, "paused").is_some_and(|paused| paused.is_truthy()) {
                    socket.pause();
                }
                out.sockets.push((number, Rc::clone(&socket)));
                out.all.push(socket);
            }
            _ => return Err(error::invalid("an adapter is an IndexedDBAdapter, a WebSocketAdapter or a BroadcastChannelAdapter")),
        }
    }
    Ok(out)
}

fn url_source(url: JsValue) -> Result<UrlSource, JsValue> {
    if let Some(url) = url.as_string() {
        return Ok(UrlSource::Fixed(url));
    }
    let ask: Function = url.dyn_into().map_err(|_| error::invalid("url is a string or a function that gives one"))?;
    Ok(UrlSource::Asked(Rc::new(move || {
        let asked = ask.call0(&JsValue::UNDEFINED).map(|answer| Promise::resolve(&answer));
        Box::pin(async move {
            let answer = match asked {
                Ok(answer) => JsFuture::from(answer).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(answer) => answer.as_string().ok_or_else(|| "the url function gave no string".to_owned()),
                Err(error) => Err(format!("the url function failed: {}", describe(&error))),
            }
        })
    })))
}

fn describe(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
}

/// Reads everything but the adapters.
pub(super) fn config(options: &JsValue) -> RepoConfig {
    let text = |key| get(options, key).and_then(|value| value.as_string());
    RepoConfig {
        name: text("name"),
        peer_type: PeerType::from_wire(text("type").as_deref().unwrap_or("user")),
        peer_id: text("peerId").map(|id| PeerId::from_wire(&id)),
        permissions: Rc::new(Hooks {
            visibility: hook(options, "visibility"),
            mutability: hook(options, "mutability"),
            creation: hook(options, "creation"),
            deletion: hook(options, "deletion"),
        }),
        interest: if text("role").as_deref() == Some("relay") { Interest::Everything } else { Interest::Opened },
        admission: admission(options),
        tombstones: tombstones(options),
        memory: memory(options),
        history: history(options),
        records: records(options),
        ..RepoConfig::default()
    }
}

fn tombstones(options: &JsValue) -> TombstoneLimits {
    let number = |key| get(&get(options, "tombstones")?, key)?.as_f64();
    let default = TombstoneLimits::default();
    TombstoneLimits {
        keep_ms: number("keep").map_or(default.keep_ms, |ms| ms as u64),
        max: number("max").map_or(default.max, |max| max as usize),
    }
}

fn memory(options: &JsValue) -> MemoryBudget {
    let number = |key| get(&get(options, "memory")?, key)?.as_f64();
    let default = MemoryBudget::default();
    MemoryBudget {
        documents: number("documents").map_or(default.documents, |documents| documents as usize),
        bytes: number("bytes").map_or(default.bytes, |bytes| bytes as u64),
    }
}

fn history(options: &JsValue) -> HistoryLimits {
    let days = get(options, "historyDays").and_then(|days| days.as_f64());
    HistoryLimits { keep_ms: days.map(|days| (days * 86_400_000.0) as u64), ..HistoryLimits::default() }
}

fn records(options: &JsValue) -> RecordLimits {
    let number = |key| get(&get(options, "records")?, key)?.as_f64();
    let default = RecordLimits::default();
    RecordLimits {
        max_drift_ms: number("drift").map_or(default.max_drift_ms, |ms| ms as u64),
        lapse_ms: number("lapse").map_or(default.lapse_ms, |ms| ms as u64),
        ..default
    }
}

fn hook(options: &JsValue, name: &str) -> Option<Function> {
    get(&get(options, "permissions")?, name)?.dyn_into().ok()
}

/// Permissions asked of JavaScript: plain data in, a boolean out. The functions never throw; the package wraps them.
struct Hooks {
    visibility: Option<Function>,
    mutability: Option<Function>,
    creation: Option<Function>,
    deletion: Option<Function>,
}

fn name_to_js(name: Option<&str>) -> JsValue {
    name.map_or(JsValue::UNDEFINED, JsValue::from_str)
}

/// Makes plain data of the peer a hook is asked about.
pub(super) fn peer_to_js(peer: &PeerContext) -> JsValue {
    let peer = object(&[
        ("peerId", peer.peer_id.as_str().into()),
        ("name", name_to_js(peer.name.as_deref())),
        ("type", peer.peer_type.as_str().into()),
        ("channelId", (peer.channel.0 as f64).into()),
        ("kind", peer.kind.as_str().into()),
    ]);
    peer.into()
}

fn ask(hook: &Function, doc: &DocId, creator: Option<&Creator>, peer: &PeerContext) -> bool {
    let about = object(&[("id", doc.as_str().into())]);
    if let Some(creator) = creator {
        let creator = object(&[("peerId", creator.peer_id.as_str().into()), ("name", name_to_js(creator.name.as_deref()))]);
        set(&about, "creator", &creator);
    }
    answers(hook, &about, peer)
}

/// The hooks are those of documents; the `id` is that of the document a record of the catalogue is about.
fn ask_record(hook: Option<&Function>, record: &RecordId, peer: &PeerContext) -> bool {
    if !RECORDS {
        return false;
    }
    let Some(hook) = hook else { return true };
    let id = if &*record.collection == CATALOGUE { &*record.key } else { "" };
    let about = object(&[("id", id.into()), ("collection", (&*record.collection).into()), ("record", (&*record.key).into())]);
    owned(&about, record.owner);
    answers(hook, &about, peer)
}

pub(super) fn device_to_js(device: Device) -> JsValue {
    format!("{:016x}", device.0).into()
}

/// Says whose record it is.
pub(super) fn owned(out: &Object, owner: Option<Device>) {
    if let Some(owner) = owner {
        set(out, "owner", &device_to_js(owner));
    }
}

fn answers(hook: &Function, about: &Object, peer: &PeerContext) -> bool {
    hook.call2(&JsValue::UNDEFINED, about, &peer_to_js(peer)).is_ok_and(|answer| answer.as_bool() == Some(true))
}

impl Permissions for Hooks {
    fn visibility(&self, doc: &DocId, peer: &PeerContext) -> bool {
        self.visibility.as_ref().map_or_else(|| AllowAll.visibility(doc, peer), |hook| ask(hook, doc, None, peer))
    }

    fn mutability(&self, doc: &DocId, peer: &PeerContext) -> bool {
        self.mutability.as_ref().map_or_else(|| AllowAll.mutability(doc, peer), |hook| ask(hook, doc, None, peer))
    }

    fn creation(&self, doc: &DocId, peer: &PeerContext) -> bool {
        self.creation.as_ref().map_or_else(|| AllowAll.creation(doc, peer), |hook| ask(hook, doc, None, peer))
    }

    fn deletion(&self, doc: &DocId, creator: Option<&Creator>, peer: &PeerContext) -> bool {
        self.deletion.as_ref().map_or_else(|| AllowAll.deletion(doc, creator, peer), |hook| ask(hook, doc, creator, peer))
    }

    fn record_visibility(&self, record: &RecordId, peer: &PeerContext) -> bool {
        ask_record(self.visibility.as_ref(), record, peer)
    }

    fn record_mutability(&self, record: &RecordId, peer: &PeerContext) -> bool {
        ask_record(self.mutability.as_ref(), record, peer)
    }

    fn record_deletion(&self, record: &RecordId, peer: &PeerContext) -> bool {
        ask_record(self.deletion.as_ref(), record, peer)
    }
}
