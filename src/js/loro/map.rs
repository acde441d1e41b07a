//! `LoroMap`.

use std::panic::AssertUnwindSafe;

use js_sys::Array;
use loro::{Container, ContainerTrait, LoroMap};
use wasm_bindgen::prelude::*;

use super::{
    container::{borrow, container_class, container_to_js},
    event::before_insert,
    plain::plain,
    value::{either_to_js, from_js, to_js},
};
use crate::js::error;

/// A map from strings to values and containers.
#[wasm_bindgen(js_name = LoroMap, skip_typescript)]
pub struct JsLoroMap(pub(super) AssertUnwindSafe<LoroMap>);

container_class!(JsLoroMap, LoroMap, "LoroMap", "Map");

#[wasm_bindgen(js_class = "LoroMap")]
impl JsLoroMap {
    /// Sets a value. Setting an equal value makes no operation.
    pub fn set(&self, key: &str, value: &JsValue) -> Result<(), JsValue> {
        self.0.insert(key, from_js(value)?).map_err(|error| error::engine(&error))
    }

    /// Returns a value or container; undefined if there is none.
    pub fn get(&self, key: &str) -> JsValue {
        self.0.get(key).map_or(JsValue::UNDEFINED, either_to_js)
    }

    /// Deletes a key.
    pub fn delete(&self, key: &str) -> Result<(), JsValue> {
        self.0.delete(key).map_err(|error| error::engine(&error))
    }

    /// Deletes everything.
    pub fn clear(&self) -> Result<(), JsValue> {
        self.0.clear().map_err(|error| error::engine(&error))
    }

    /// Returns the keys.
    pub fn keys(&self) -> Array {
        self.0.keys().map(|key| JsValue::from_str(&key)).collect()
    }

    /// Returns the values and containers.
    pub fn values(&self) -> Array {
        self.0.values().map(either_to_js).collect()
    }

    /// Returns `[key, value or container]` pairs.
    pub fn entries(&self) -> Array {
        self.0.keys().map(|key| JsValue::from(Array::of2(&JsValue::from_str(&key), &self.get(&key)))).collect()
    }

    /// Returns the number of keys.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// Returns everything in it as plain values.
    #[wasm_bindgen(js_name = toJSON)]
    pub fn to_json(&self) -> JsValue {
        plain(&self.0.get_deep_value())
    }

    /// Returns the values, containers as ids.
    #[wasm_bindgen(js_name = getShallowValue)]
    pub fn shallow_value(&self) -> JsValue {
        to_js(&self.0.get_value())
    }

    /// Puts a detached container under a key and returns its handle in the document.
    #[wasm_bindgen(js_name = setContainer)]
    pub fn set_container(&self, key: &str, child: &JsValue) -> Result<JsValue, JsValue> {
        let child = borrow(child)?;
        before_insert(self.0.doc(), &child);
        self.0.insert_container(key, child).map(container_to_js).map_err(|error| error::engine(&error))
    }

    /// Returns the container under a key, put there if there is none.
    #[wasm_bindgen(js_name = getOrCreateContainer)]
    #[expect(deprecated, reason = "bindings written for loro-crdt call it")]
    pub fn get_or_create_container(&self, key: &str, child: &JsValue) -> Result<JsValue, JsValue> {
        let child = borrow(child)?;
        before_insert(self.0.doc(), &child);
        self.0.get_or_create_container(key, child).map(container_to_js).map_err(|error| error::engine(&error))
    }

    /// Returns the container of a kind under a key: one that is the same for all peers that make it at once.
    #[wasm_bindgen(js_name = __ensureMergeable)]
    pub fn ensure_mergeable(&self, key: &str, kind: &str) -> Result<JsValue, JsValue> {
        let made = match kind {
            "Text" => self.0.ensure_mergeable_text(key).map(Container::Text),
            "Map" => self.0.ensure_mergeable_map(key).map(Container::Map),
            "List" => self.0.ensure_mergeable_list(key).map(Container::List),
            "MovableList" => self.0.ensure_mergeable_movable_list(key).map(Container::MovableList),
            "Tree" => self.0.ensure_mergeable_tree(key).map(Container::Tree),
            _ => self.0.ensure_mergeable_counter(key).map(Container::Counter),
        };
        made.map(container_to_js).map_err(|error| error::engine(&error))
    }

    /// Returns the peer that last set a key.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = getLastEditor)]
    pub fn last_editor(&self, key: &str) -> Option<String> {
        self.0.get_last_editor(key).map(|peer| peer.to_string())
    }
}
