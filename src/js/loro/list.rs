//! `LoroList`, and what both kinds of list share.

use std::panic::AssertUnwindSafe;

use js_sys::Array;
use loro::{ContainerTrait, LoroList};
use wasm_bindgen::prelude::*;

use super::{
    container::{borrow, container_class, container_to_js},
    cursor::JsCursor,
    event::before_insert,
    text::side,
    value::{either_to_js, from_js, to_js},
    version::id_to_js,
};
use crate::js::error;

/// A list of values and containers.
#[wasm_bindgen(js_name = LoroList, skip_typescript)]
pub struct JsLoroList(pub(super) AssertUnwindSafe<LoroList>);

container_class!(JsLoroList, LoroList, "LoroList", "List");

/// The methods both list classes have.
macro_rules! list_class {
    ($class:ident, $name:literal) => {
        #[wasm_bindgen(js_class = $name)]
        impl $class {
            /// Inserts a value.
            pub fn insert(&self, pos: usize, value: &JsValue) -> Result<(), JsValue> {
                self.0.insert(pos, from_js(value)?).map_err(|error| error::engine(&error))
            }

            /// Appends a value.
            pub fn push(&self, value: &JsValue) -> Result<(), JsValue> {
                self.0.push(from_js(value)?).map_err(|error| error::engine(&error))
            }

            /// Deletes items.
            pub fn delete(&self, pos: usize, len: usize) -> Result<(), JsValue> {
                self.0.delete(pos, len).map_err(|error| error::engine(&error))
            }

            /// Deletes everything.
            pub fn clear(&self) -> Result<(), JsValue> {
                self.0.clear().map_err(|error| error::engine(&error))
            }

            /// Returns an item; undefined beyond the end.
            pub fn get(&self, index: usize) -> JsValue {
                self.0.get(index).map_or(JsValue::UNDEFINED, either_to_js)
            }

            /// Returns the number of items.
            #[wasm_bindgen(getter)]
            pub fn length(&self) -> usize {
                self.0.len()
            }

            /// Returns the items, containers as handles.
            #[wasm_bindgen(js_name = toArray)]
            pub fn to_array(&self) -> Array {
                (0..self.0.len()).map(|index| self.get(index)).collect()
            }

            /// Returns everything in it as plain values.
            #[wasm_bindgen(js_name = toJSON)]
            pub fn to_json(&self) -> JsValue {
                super::plain::plain(&self.0.get_deep_value())
            }

            /// Returns the values, containers as ids.
            #[wasm_bindgen(js_name = getShallowValue)]
            pub fn shallow_value(&self) -> JsValue {
                to_js(&self.0.get_value())
            }

            /// Inserts a detached container and returns its handle in the document.
            #[wasm_bindgen(js_name = insertContainer)]
            pub fn insert_container(&self, pos: usize, child: &JsValue) -> Result<JsValue, JsValue> {
                let child = borrow(child)?;
                before_insert(self.0.doc(), &child);
                self.0.insert_container(pos, child).map(container_to_js).map_err(|error| error::engine(&error))
            }

            /// Appends a detached container and returns its handle in the document.
            #[wasm_bindgen(js_name = pushContainer)]
            pub fn push_container(&self, child: &JsValue) -> Result<JsValue, JsValue> {
                let child = borrow(child)?;
                before_insert(self.0.doc(), &child);
                self.0.push_container(child).map(container_to_js).map_err(|error| error::engine(&error))
            }

            /// Returns a position that moves with the items; undefined while detached.
            #[wasm_bindgen(js_name = getCursor)]
            pub fn get_cursor(&self, pos: usize, side: &JsValue) -> Result<Option<JsCursor>, JsValue> {
                let side = self::side(side)?;
                Ok(self.0.get_cursor(pos, side).map(JsCursor::from_inner))
            }
        }
    };
}
pub(super) use list_class;

list_class!(JsLoroList, "LoroList");

#[wasm_bindgen(js_class = "LoroList")]
impl JsLoroList {
    /// Removes and returns the last value.
    pub fn pop(&self) -> Result<JsValue, JsValue> {
        let popped = self.0.pop().map_err(|error| error::engine(&error))?;
        Ok(popped.map_or(JsValue::UNDEFINED, |value| to_js(&value)))
    }

    /// Returns the operation that made an item.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = getIdAt)]
    pub fn id_at(&self, pos: usize) -> JsValue {
        self.0.get_id_at(pos).map_or(JsValue::UNDEFINED, id_to_js)
    }
}
