//! `LoroCounter`.

use std::panic::AssertUnwindSafe;

use loro::{ContainerTrait, LoroCounter};
use wasm_bindgen::prelude::*;

use super::container::container_class;
use crate::js::error;

/// A number that everybody may add to.
#[wasm_bindgen(js_name = LoroCounter, skip_typescript)]
pub struct JsLoroCounter(pub(super) AssertUnwindSafe<LoroCounter>);

container_class!(JsLoroCounter, LoroCounter, "LoroCounter", "Counter");

#[wasm_bindgen(js_class = "LoroCounter")]
impl JsLoroCounter {
    /// Adds.
    pub fn increment(&self, value: f64) -> Result<(), JsValue> {
        self.0.increment(value).map_err(|error| error::engine(&error))
    }

    /// Subtracts.
    pub fn decrement(&self, value: f64) -> Result<(), JsValue> {
        self.0.decrement(value).map_err(|error| error::engine(&error))
    }

    /// Returns the number.
    #[wasm_bindgen(getter)]
    pub fn value(&self) -> f64 {
        self.0.get_value()
    }

    /// Returns the number.
    #[wasm_bindgen(js_name = toJSON)]
    pub fn to_json(&self) -> f64 {
        self.0.get_value()
    }

    /// Returns the number.
    #[wasm_bindgen(js_name = getShallowValue)]
    pub fn shallow_value(&self) -> f64 {
        self.0.get_value()
    }
}
