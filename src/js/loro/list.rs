//! `LoroList` and `LoroMovableList`.

use std::panic::AssertUnwindSafe;

use js_sys::Array;
use loro::{ContainerTrait, LoroList, LoroMovableList};
use wasm_bindgen::prelude::*;

use super::{
    container::{borrow, container_class, container_to_js},
    cursor::JsCursor,
    text::side,
    value::{either_to_js, from_js, to_js},
};
use crate::js::error;

/// A list of values and containers.
#[wasm_bindgen(js_name = LoroList, skip_typescript)]
pub struct JsLoroList(pub(super) AssertUnwindSafe<LoroList>);

/// A list whose items can be moved and replaced.
#[wasm_bindgen(js_name = LoroMovableList, skip_typescript)]
pub struct JsLoroMovableList(pub(super) AssertUnwindSafe<LoroMovableList>);

container_class!(JsLoroList, LoroList, "LoroList", "List");
container_class!(JsLoroMovableList, LoroMovableList, "LoroMovableList", "MovableList");

/// The methods both list classes have.
macro_rules! list_class {
    ($class:ident, $name:literal) => {
        impl $class {
            /// Refuses what the engine would answer with a panic or a vague error.
            fn check(&self, pos: usize, limit: usize) -> Result<(), JsValue> {
                if pos > limit {
                    return Err(error::invalid(&format!("index {pos} is beyond the end of the list, {}", self.0.len())));
                }
                Ok(())
            }
        }

        #[wasm_bindgen(js_class = $name)]
        impl $class {
            /// Inserts a value.
            pub fn insert(&self, pos: usize, value: &JsValue) -> Result<(), JsValue> {
                self.check(pos, self.0.len())?;
                self.0.insert(pos, from_js(value)?).map_err(|error| error::engine(&error))
            }

            /// Appends a value.
            pub fn push(&self, value: &JsValue) -> Result<(), JsValue> {
                self.0.push(from_js(value)?).map_err(|error| error::engine(&error))
            }

            /// Deletes items.
            pub fn delete(&self, pos: usize, len: usize) -> Result<(), JsValue> {
                self.check(pos.saturating_add(len), self.0.len())?;
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
                to_js(&self.0.get_deep_value())
            }

            /// Returns the values, containers as ids.
            #[wasm_bindgen(js_name = getShallowValue)]
            pub fn shallow_value(&self) -> JsValue {
                to_js(&self.0.get_value())
            }

            /// Inserts a detached container and returns its handle in the document.
            #[wasm_bindgen(js_name = insertContainer)]
            pub fn insert_container(&self, pos: usize, child: &JsValue) -> Result<JsValue, JsValue> {
                self.check(pos, self.0.len())?;
                let child = borrow(child)?;
                self.0.insert_container(pos, child).map(container_to_js).map_err(|error| error::engine(&error))
            }

            /// Appends a detached container and returns its handle in the document.
            #[wasm_bindgen(js_name = pushContainer)]
            pub fn push_container(&self, child: &JsValue) -> Result<JsValue, JsValue> {
                let child = borrow(child)?;
                self.0.push_container(child).map(container_to_js).map_err(|error| error::engine(&error))
            }

            /// Returns a position that moves with the items; undefined while detached.
            #[wasm_bindgen(js_name = getCursor)]
            pub fn get_cursor(&self, pos: usize, side: Option<i32>) -> Result<Option<JsCursor>, JsValue> {
                self.check(pos, self.0.len())?;
                let side = self::side(side)?;
                Ok(self.0.get_cursor(pos, side).map(JsCursor::from_inner))
            }
        }
    };
}

list_class!(JsLoroList, "LoroList");
list_class!(JsLoroMovableList, "LoroMovableList");

#[wasm_bindgen(js_class = "LoroList")]
impl JsLoroList {
    /// Removes and returns the last value.
    pub fn pop(&self) -> Result<JsValue, JsValue> {
        let popped = self.0.pop().map_err(|error| error::engine(&error))?;
        Ok(popped.map_or(JsValue::UNDEFINED, |value| to_js(&value)))
    }
}

#[wasm_bindgen(js_class = "LoroMovableList")]
impl JsLoroMovableList {
    /// Removes and returns the last item.
    pub fn pop(&self) -> Result<JsValue, JsValue> {
        let popped = self.0.pop().map_err(|error| error::engine(&error))?;
        Ok(popped.map_or(JsValue::UNDEFINED, either_to_js))
    }

    /// Replaces an item by a value.
    pub fn set(&self, pos: usize, value: &JsValue) -> Result<(), JsValue> {
        self.check(pos.saturating_add(1), self.0.len())?;
        self.0.set(pos, from_js(value)?).map_err(|error| error::engine(&error))
    }

    /// Replaces an item by a detached container and returns its handle in the document.
    #[wasm_bindgen(js_name = setContainer)]
    pub fn set_container(&self, pos: usize, child: &JsValue) -> Result<JsValue, JsValue> {
        self.check(pos.saturating_add(1), self.0.len())?;
        let child = borrow(child)?;
        self.0.set_container(pos, child).map(container_to_js).map_err(|error| error::engine(&error))
    }

    /// Moves an item.
    #[wasm_bindgen(js_name = move)]
    pub fn move_item(&self, from: usize, to: usize) -> Result<(), JsValue> {
        self.check(from.saturating_add(1), self.0.len())?;
        self.check(to.saturating_add(1), self.0.len())?;
        self.0.mov(from, to).map_err(|error| error::engine(&error))
    }
}
