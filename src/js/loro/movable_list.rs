//! `LoroMovableList`.

use std::panic::AssertUnwindSafe;

use js_sys::Array;
use loro::{ContainerTrait, LoroMovableList, ValueOrContainer};
use wasm_bindgen::prelude::*;

use super::{
    container::{borrow, container_class, container_to_js},
    cursor::JsCursor,
    event::before_insert,
    list::list_class,
    text::side,
    value::{either_to_js, from_js, to_js},
};
use crate::js::error;

/// A list whose items can be moved and replaced.
#[wasm_bindgen(js_name = LoroMovableList, skip_typescript)]
pub struct JsLoroMovableList(pub(super) AssertUnwindSafe<LoroMovableList>);

container_class!(JsLoroMovableList, LoroMovableList, "LoroMovableList", "MovableList");
list_class!(JsLoroMovableList, "LoroMovableList");

#[wasm_bindgen(js_class = "LoroMovableList")]
impl JsLoroMovableList {
    /// Removes and returns the last item, a container as its id.
    pub fn pop(&self) -> Result<JsValue, JsValue> {
        let popped = self.0.pop().map_err(|error| error::engine(&error))?;
        Ok(popped.map_or(JsValue::UNDEFINED, |item| match item {
            ValueOrContainer::Value(value) => to_js(&value),
            ValueOrContainer::Container(container) => container.id().to_string().into(),
        }))
    }

    /// Replaces an item by a value.
    pub fn set(&self, pos: usize, value: &JsValue) -> Result<(), JsValue> {
        self.0.set(pos, from_js(value)?).map_err(|error| error::engine(&error))
    }

    /// Replaces an item by a detached container and returns its handle in the document.
    #[wasm_bindgen(js_name = setContainer)]
    pub fn set_container(&self, pos: usize, child: &JsValue) -> Result<JsValue, JsValue> {
        let child = borrow(child)?;
        before_insert(self.0.doc(), &child);
        self.0.set_container(pos, child).map(container_to_js).map_err(|error| error::engine(&error))
    }

    /// Moves an item.
    #[wasm_bindgen(js_name = move)]
    pub fn move_item(&self, from: usize, to: usize) -> Result<(), JsValue> {
        self.0.mov(from, to).map_err(|error| error::engine(&error))
    }

    /// Returns the peer that made an item.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = getCreatorAt)]
    pub fn creator_at(&self, pos: usize) -> Option<String> {
        self.0.get_creator_at(pos).map(|peer| peer.to_string())
    }

    /// Returns the peer that last moved an item.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = getLastMoverAt)]
    pub fn last_mover_at(&self, pos: usize) -> Option<String> {
        self.0.get_last_mover_at(pos).map(|peer| peer.to_string())
    }

    /// Returns the peer that last replaced an item.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = getLastEditorAt)]
    pub fn last_editor_at(&self, pos: usize) -> Option<String> {
        self.0.get_last_editor_at(pos).map(|peer| peer.to_string())
    }
}
