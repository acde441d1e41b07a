//! `Cursor`.

use std::panic::AssertUnwindSafe;

use loro::cursor::Cursor;
use wasm_bindgen::prelude::*;

use super::version::{encoded, id_to_js};
use crate::js::error;

/// A position that moves with the text or list it was made in.
#[wasm_bindgen(js_name = Cursor, skip_typescript)]
pub struct JsCursor(pub(super) AssertUnwindSafe<Cursor>);

impl JsCursor {
    pub(super) fn from_inner(cursor: Cursor) -> Self {
        Self(AssertUnwindSafe(cursor))
    }
}

/// Reads a cursor that is part of an argument.
pub(super) fn cursor_from_js(value: &JsValue) -> Result<Cursor, JsValue> {
    Cursor::decode(&encoded(value, "a Cursor")?).map_err(|_| error::invalid("expected a Cursor"))
}

#[wasm_bindgen(js_class = "Cursor")]
impl JsCursor {
    /// Returns the container it is in.
    #[wasm_bindgen(js_name = containerId)]
    pub fn container_id(&self) -> String {
        self.0.container.to_string()
    }

    /// Returns the operation it is anchored to.
    pub fn pos(&self) -> JsValue {
        self.0.id.map_or(JsValue::UNDEFINED, id_to_js)
    }

    /// Returns on which side of its anchor it is.
    pub fn side(&self) -> i32 {
        self.0.side.to_i32()
    }

    /// Returns the kind of object.
    pub fn kind(&self) -> String {
        "Cursor".to_owned()
    }

    /// Encodes it.
    pub fn encode(&self) -> Vec<u8> {
        self.0.encode()
    }

    /// Decodes what `encode` wrote.
    pub fn decode(data: &[u8]) -> Result<JsCursor, JsValue> {
        Cursor::decode(data).map(Self::from_inner).map_err(|_| error::decode("these are not the bytes of a cursor"))
    }
}
