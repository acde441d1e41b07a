//! The ephemeral state behind the package's `EphemeralStore` class: of an open document, or on its own.

use std::{cell::RefCell, panic::AssertUnwindSafe};

use js_sys::{Array, Function, Map, Object, Uint8Array};
use wasm_bindgen::prelude::*;

use super::{
    error, events,
    loro::{from_js, object, set, to_js},
};
use crate::{
    browser::BrowserEnv,
    protocol::PeerId,
    runtime::{Env, EphemeralBy, EphemeralChange, EphemeralEvent, EphemeralHandle, EphemeralState},
};

/// A namespace of an open document.
#[wasm_bindgen(skip_typescript)]
pub struct WasmEphemeral(AssertUnwindSafe<EphemeralHandle>);

impl WasmEphemeral {
    pub(super) fn from_inner(handle: EphemeralHandle) -> Self {
        Self(AssertUnwindSafe(handle))
    }
}

fn event_to_js(by: EphemeralBy, change: &EphemeralChange) -> JsValue {
    let by = match by {
        EphemeralBy::Local => "local",
        EphemeralBy::Import => "import",
        EphemeralBy::Timeout => "timeout",
    };
    let keys = |keys: &[String]| JsValue::from(keys.iter().map(JsValue::from).collect::<Array>());
    object(&[("by", by.into()), ("added", keys(&change.added)), ("updated", keys(&change.updated)), ("removed", keys(&change.removed))])
        .into()
}

fn states_to_js<'a>(states: impl IntoIterator<Item = (&'a String, &'a loro::LoroValue)>) -> Object {
    let out = Object::new();
    for (key, value) in states {
        set(&out, key, &to_js(value));
    }
    out
}

#[wasm_bindgen]
impl WasmEphemeral {
    /// Sets an entry and sends it.
    pub fn set(&self, key: &str, value: &JsValue) -> Result<(), JsValue> {
        self.0.set(key, from_js(value)?);
        events::drain();
        Ok(())
    }

    /// Deletes an entry and sends that.
    pub fn delete(&self, key: &str) {
        self.0.delete(key);
        events::drain();
    }

    /// Returns an entry.
    pub fn get(&self, key: &str) -> JsValue {
        self.0.get(key).map_or(JsValue::UNDEFINED, |value| to_js(&value))
    }

    /// Returns all entries.
    #[wasm_bindgen(js_name = getAllStates)]
    pub fn all(&self) -> Object {
        states_to_js(&self.0.all())
    }

    /// Returns the keys.
    pub fn keys(&self) -> Vec<String> {
        self.0.keys()
    }

    /// Sets the entry that stands for this repo.
    #[wasm_bindgen(js_name = setSelf)]
    pub fn set_self(&self, value: &JsValue) -> Result<(), JsValue> {
        self.0.set_self(from_js(value)?);
        events::drain();
        Ok(())
    }

    /// Returns the entry that stands for this repo.
    #[wasm_bindgen(js_name = getSelf)]
    pub fn self_value(&self) -> JsValue {
        self.0.self_value().map_or(JsValue::UNDEFINED, |value| to_js(&value))
    }

    /// Returns the entries of other peers, by peer id.
    pub fn peers(&self) -> Map {
        let map = Map::new();
        for (peer, value) in self.0.peers() {
            map.set(&peer.as_str().into(), &to_js(&value));
        }
        map
    }

    /// Encodes one entry.
    pub fn encode(&self, key: &str) -> Vec<u8> {
        self.0.encode(key)
    }

    /// Encodes all entries.
    #[wasm_bindgen(js_name = encodeAll)]
    pub fn encode_all(&self) -> Vec<u8> {
        self.0.encode_all()
    }

    /// Applies entries got by other means.
    pub fn apply(&self, data: &[u8]) -> Result<(), JsValue> {
        let applied = self.0.apply(data).map_err(|error| error::to_js(&error));
        events::drain();
        applied
    }

    /// Calls `listener` after every change.
    pub fn subscribe(&self, listener: Function) -> JsValue {
        let id = events::keep(listener);
        let subscription = self.0.on_change(move |event: &EphemeralEvent| {
            if let Some(listener) = events::listener(id) {
                events::enqueue1(listener, &event_to_js(event.by, &event.change));
            }
        });
        events::unsubscriber(id, subscription)
    }

    /// Calls `listener` with the bytes of every local change.
    #[wasm_bindgen(js_name = subscribeLocalUpdates)]
    pub fn subscribe_local_updates(&self, listener: Function) -> JsValue {
        let id = events::keep(listener);
        let subscription = self.0.on_local_update(move |bytes| {
            if let Some(listener) = events::listener(id) {
                events::enqueue1(listener, &Uint8Array::from(bytes));
            }
        });
        events::unsubscriber(id, subscription)
    }
}

/// Ephemeral state of no document. The package's JavaScript calls its listeners and its timer.
#[wasm_bindgen(skip_typescript)]
pub struct WasmEphemeralStore {
    state: AssertUnwindSafe<RefCell<EphemeralState>>,
    author: AssertUnwindSafe<PeerId>,
    lifetime_ms: u64,
}

#[wasm_bindgen]
impl WasmEphemeralStore {
    /// Makes an empty store whose foreign entries lapse after `timeout` milliseconds.
    #[wasm_bindgen(constructor)]
    pub fn new(timeout: f64) -> Self {
        let author = PeerId::from(BrowserEnv.random_u64());
        Self { state: AssertUnwindSafe(RefCell::default()), author: AssertUnwindSafe(author), lifetime_ms: timeout as u64 }
    }

    /// Sets an entry; returns the event.
    pub fn set(&self, key: &str, value: &JsValue) -> Result<JsValue, JsValue> {
        let value = from_js(value)?;
        let change = self.state.borrow_mut().set(key, value, &self.author, BrowserEnv.now());
        Ok(event_to_js(EphemeralBy::Local, &change))
    }

    /// Deletes an entry; returns the event.
    pub fn delete(&self, key: &str) -> JsValue {
        let change = self.state.borrow_mut().delete(key, &self.author, BrowserEnv.now());
        event_to_js(EphemeralBy::Local, &change)
    }

    /// Applies another store's bytes; returns the event.
    pub fn apply(&self, data: &[u8]) -> Result<JsValue, JsValue> {
        let remote = PeerId::from_wire("remote");
        let change = self.state.borrow_mut().apply(data, &remote, BrowserEnv.now());
        let change = change.map_err(|error| error::decode(&error.to_string()))?;
        Ok(event_to_js(EphemeralBy::Import, &change))
    }

    /// Drops lapsed entries; returns the event.
    #[wasm_bindgen(js_name = removeOutdated)]
    pub fn remove_outdated(&self) -> JsValue {
        let change = self.state.borrow_mut().expire(&self.author, BrowserEnv.now(), self.lifetime_ms);
        event_to_js(EphemeralBy::Timeout, &change)
    }

    /// Returns an entry.
    pub fn get(&self, key: &str) -> JsValue {
        self.state.borrow().get(key).map_or(JsValue::UNDEFINED, to_js)
    }

    /// Returns all entries.
    #[wasm_bindgen(js_name = getAllStates)]
    pub fn all(&self) -> Object {
        states_to_js(&self.state.borrow().all())
    }

    /// Returns the keys.
    pub fn keys(&self) -> Vec<String> {
        self.state.borrow().keys()
    }

    /// Encodes one entry.
    pub fn encode(&self, key: &str) -> Vec<u8> {
        self.state.borrow().encode(&[key])
    }

    /// Encodes all entries.
    #[wasm_bindgen(js_name = encodeAll)]
    pub fn encode_all(&self) -> Vec<u8> {
        self.state.borrow().encode_all()
    }
}
