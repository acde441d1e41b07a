//! `AwarenessWasm`: what loro-crdt had before `EphemeralStore`.
#![expect(deprecated, reason = "bindings written for loro-crdt call it")]

use std::{cell::RefCell, panic::AssertUnwindSafe};

use js_sys::{Array, Object};
use loro::awareness::Awareness;
use wasm_bindgen::prelude::*;

use super::{
    value::{from_js, object, set, to_js},
    version::peer_from_js,
};
use crate::js::error;

/// One value per peer, newest first.
#[wasm_bindgen(js_name = AwarenessWasm, skip_typescript)]
pub struct JsAwareness(AssertUnwindSafe<RefCell<Awareness>>);

fn peers_to_js(peers: impl IntoIterator<Item = u64>) -> Array {
    peers.into_iter().map(|peer| JsValue::from_str(&peer.to_string())).collect()
}

#[wasm_bindgen(js_class = "AwarenessWasm")]
impl JsAwareness {
    /// Makes an empty one whose values lapse after `timeout` milliseconds.
    #[wasm_bindgen(constructor)]
    pub fn new(peer: &JsValue, timeout: f64) -> Result<JsAwareness, JsValue> {
        Ok(Self(AssertUnwindSafe(RefCell::new(Awareness::new(peer_from_js(peer)?, timeout as i64)))))
    }

    /// Encodes the values of some peers.
    pub fn encode(&self, peers: &Array) -> Result<Vec<u8>, JsValue> {
        let peers: Result<Vec<u64>, JsValue> = peers.iter().map(|peer| peer_from_js(&peer)).collect();
        Ok(self.0.borrow().encode(&peers?))
    }

    /// Encodes all values.
    #[wasm_bindgen(js_name = encodeAll)]
    pub fn encode_all(&self) -> Vec<u8> {
        self.0.borrow().encode_all()
    }

    /// Applies another's bytes; returns whose values are other and whose are new.
    pub fn apply(&self, data: &[u8]) -> Result<JsValue, JsValue> {
        let (updated, added) = self.0.borrow_mut().try_apply(data).map_err(|error| error::decode(&error))?;
        Ok(object(&[("updated", peers_to_js(updated).into()), ("added", peers_to_js(added).into())]).into())
    }

    /// Sets this peer's value.
    #[wasm_bindgen(js_name = setLocalState)]
    pub fn set_local_state(&self, value: &JsValue) -> Result<(), JsValue> {
        let value = from_js(value)?;
        self.0.borrow_mut().set_local_state(value);
        Ok(())
    }

    /// Returns this peer.
    pub fn peer(&self) -> String {
        self.0.borrow().peer().to_string()
    }

    /// Returns the peers that have a value.
    pub fn peers(&self) -> Array {
        peers_to_js(self.0.borrow().get_all_states().keys().copied())
    }

    /// Returns all values by peer.
    #[wasm_bindgen(js_name = getAllStates)]
    pub fn all_states(&self) -> Object {
        let all = Object::new();
        for (peer, state) in self.0.borrow().get_all_states() {
            set(&all, &peer.to_string(), &to_js(&state.state));
        }
        all
    }

    /// Returns a peer's value.
    #[wasm_bindgen(js_name = getState)]
    pub fn state(&self, peer: &JsValue) -> Result<JsValue, JsValue> {
        let peer = peer_from_js(peer)?;
        Ok(self.0.borrow().get_all_states().get(&peer).map_or(JsValue::UNDEFINED, |state| to_js(&state.state)))
    }

    /// Returns when a peer's value came.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = getTimestamp)]
    pub fn timestamp(&self, peer: &JsValue) -> Result<Option<f64>, JsValue> {
        let peer = peer_from_js(peer)?;
        Ok(self.0.borrow().get_all_states().get(&peer).map(|state| state.timestamp as f64))
    }

    /// Forgets lapsed values; returns whose they were.
    #[wasm_bindgen(js_name = removeOutdated)]
    pub fn remove_outdated(&self) -> Array {
        peers_to_js(self.0.borrow_mut().remove_outdated())
    }

    /// Returns the number of values.
    #[cfg(feature = "full")]
    pub fn length(&self) -> usize {
        self.0.borrow().get_all_states().len()
    }

    /// Returns whether there are none.
    #[wasm_bindgen(js_name = isEmpty)]
    pub fn is_empty(&self) -> bool {
        self.0.borrow().get_all_states().is_empty()
    }
}
