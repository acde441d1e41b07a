//! The ephemeral state behind the package's `EphemeralStore` class: of an open document, or on its own.

use std::{cell::RefCell, panic::AssertUnwindSafe};

use js_sys::{Array, Function, Map, Object, Uint8Array};
use loro::LoroValue;
use wasm_bindgen::prelude::*;

use super::{
    error, events,
    loro::{from_js, object, set, to_js},
};
use crate::{
    browser::BrowserEnv,
    runtime::{Env, EphemeralBy, EphemeralChange, EphemeralEvent, EphemeralHandle, EphemeralStore},
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

fn states_to_js<'a>(states: impl IntoIterator<Item = (&'a String, &'a LoroValue)>) -> Object {
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

/// Ephemeral state of no document, without a timer.
#[wasm_bindgen(js_name = EphemeralStoreWasm, skip_typescript)]
pub struct WasmEphemeralStore {
    store: AssertUnwindSafe<RefCell<EphemeralStore>>,
    /// The numbers of the listeners, in order of subscription.
    listeners: RefCell<Vec<u64>>,
    local_listeners: RefCell<Vec<u64>>,
}

impl Drop for WasmEphemeralStore {
    fn drop(&mut self) {
        for id in self.listeners.get_mut().drain(..).chain(self.local_listeners.get_mut().drain(..)) {
            events::forget(id);
        }
    }
}

/// Returns those listeners that have not ended, and forgets the others.
fn current(listeners: &RefCell<Vec<u64>>) -> Vec<Function> {
    let mut listeners = listeners.borrow_mut();
    listeners.retain(|id| events::listener(*id).is_some());
    listeners.iter().filter_map(|id| events::listener(*id)).collect()
}

impl WasmEphemeralStore {
    fn tell(&self, by: EphemeralBy, change: &EphemeralChange) {
        let listeners = current(&self.listeners);
        if !listeners.is_empty() {
            let event = event_to_js(by, change);
            for listener in listeners {
                events::enqueue1(listener, &event);
            }
        }
        events::drain();
    }

    fn write(&self, key: &str, value: Option<LoroValue>) {
        let now = BrowserEnv.now();
        let change = self.store.borrow_mut().write(key, value, now);
        let listeners = current(&self.local_listeners);
        if !listeners.is_empty() {
            let bytes = Uint8Array::from(self.store.borrow().encode(key, now).as_slice());
            for listener in listeners {
                events::enqueue1(listener, &bytes);
            }
        }
        // A deletion of what nobody knew is sent all the same, but nothing has changed here.
        if change.is_empty() {
            events::drain();
        } else {
            self.tell(EphemeralBy::Local, &change);
        }
    }
}

#[wasm_bindgen(js_class = "EphemeralStoreWasm")]
impl WasmEphemeralStore {
    /// Makes an empty store whose entries lapse `timeout` milliseconds after they were written.
    #[wasm_bindgen(constructor)]
    pub fn new(timeout: f64) -> Self {
        Self {
            store: AssertUnwindSafe(RefCell::new(EphemeralStore::new(timeout as i64))),
            listeners: RefCell::default(),
            local_listeners: RefCell::default(),
        }
    }

    /// Sets an entry.
    pub fn set(&self, key: &str, value: &JsValue) -> Result<(), JsValue> {
        self.write(key, Some(from_js(value)?));
        Ok(())
    }

    /// Deletes an entry.
    pub fn delete(&self, key: &str) {
        self.write(key, None);
    }

    /// Applies another store's bytes.
    pub fn apply(&self, data: &[u8]) -> Result<(), JsValue> {
        let applied = self.store.borrow_mut().apply(data, BrowserEnv.now());
        let change = applied.map_err(|error| error::decode(&error.to_string()))?;
        self.tell(EphemeralBy::Import, &change);
        Ok(())
    }

    /// Drops lapsed entries.
    #[wasm_bindgen(js_name = removeOutdated)]
    pub fn remove_outdated(&self) {
        let change = self.store.borrow_mut().remove_outdated(BrowserEnv.now());
        self.tell(EphemeralBy::Timeout, &change);
    }

    /// Returns an entry.
    pub fn get(&self, key: &str) -> JsValue {
        self.store.borrow().get(key).map_or(JsValue::UNDEFINED, to_js)
    }

    /// Returns all entries.
    #[wasm_bindgen(js_name = getAllStates)]
    pub fn all(&self) -> Object {
        states_to_js(self.store.borrow().iter())
    }

    /// Returns the keys.
    pub fn keys(&self) -> Vec<String> {
        self.store.borrow().iter().map(|(key, _)| key.clone()).collect()
    }

    /// Returns whether there is no entry.
    #[wasm_bindgen(js_name = isEmpty)]
    pub fn is_empty(&self) -> bool {
        self.store.borrow().iter().next().is_none()
    }

    /// Encodes one entry.
    pub fn encode(&self, key: &str) -> Vec<u8> {
        self.store.borrow().encode(key, BrowserEnv.now())
    }

    /// Encodes all entries.
    #[wasm_bindgen(js_name = encodeAll)]
    pub fn encode_all(&self) -> Vec<u8> {
        self.store.borrow().encode_all(BrowserEnv.now())
    }

    /// Calls `listener` after every change; returns the function that ends it.
    pub fn subscribe(&self, listener: Function) -> JsValue {
        let id = events::keep(listener);
        self.listeners.borrow_mut().push(id);
        events::unsubscriber(id, ())
    }

    /// Calls `listener` with the bytes of every local change; returns the function that ends it.
    #[wasm_bindgen(js_name = subscribeLocalUpdates)]
    pub fn subscribe_local_updates(&self, listener: Function) -> JsValue {
        let id = events::keep(listener);
        self.local_listeners.borrow_mut().push(id);
        events::unsubscriber(id, ())
    }
}
