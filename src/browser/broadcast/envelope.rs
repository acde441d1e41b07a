//! What tabs post to each other. Decides its shape, and ignores every other one.

use js_sys::{Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

/// Raised when tabs with older code cannot understand newer ones; they then do not see each other.
const VERSION: f64 = 1.0;

#[derive(Debug, PartialEq)]
pub(super) enum Note {
    /// "I am here", to all.
    Hello { locked: bool },
    /// "I am here too".
    Welcome { locked: bool },
    /// "I have gone", to all or to one.
    Goodbye,
    /// "I am still here", to all.
    Beat,
    /// "I do not know you".
    Stranger,
    /// A transport payload.
    Data(Vec<u8>),
}

#[derive(Debug, PartialEq)]
pub(super) struct Envelope {
    pub(super) from: String,
    pub(super) to: Option<String>,
    pub(super) note: Note,
}

impl Envelope {
    pub(super) fn to_js(&self) -> JsValue {
        let object = Object::new();
        let set = |field: &str, value: JsValue| {
            // Fails only for frozen objects and setters.
            let _ = Reflect::set(&object, &field.into(), &value);
        };
        set("corella", VERSION.into());
        set("from", self.from.as_str().into());
        if let Some(to) = &self.to {
            set("to", to.as_str().into());
        }
        let (note, body) = match &self.note {
            Note::Hello { locked } => ("hello", (*locked).into()),
            Note::Welcome { locked } => ("welcome", (*locked).into()),
            Note::Goodbye => ("goodbye", JsValue::UNDEFINED),
            Note::Beat => ("beat", JsValue::UNDEFINED),
            Note::Stranger => ("stranger", JsValue::UNDEFINED),
            Note::Data(bytes) => ("data", Uint8Array::from(&bytes[..]).into()),
        };
        set("note", note.into());
        set("body", body);
        object.into()
    }

    /// Reads what is addressed to all or to `me`.
    pub(super) fn from_js(value: &JsValue, me: &str) -> Option<Self> {
        let get = |field: &str| Reflect::get(value, &field.into()).ok();
        if get("corella")?.as_f64()? != VERSION {
            return None;
        }
        let from = get("from")?.as_string()?;
        let to = get("to")?.as_string();
        if from == me || to.as_deref().is_some_and(|to| to != me) {
            return None;
        }
        let body = get("body")?;
        let note = match get("note")?.as_string()?.as_str() {
            "hello" => Note::Hello { locked: body.as_bool()? },
            "welcome" => Note::Welcome { locked: body.as_bool()? },
            "goodbye" => Note::Goodbye,
            "beat" => Note::Beat,
            "stranger" => Note::Stranger,
            "data" => Note::Data(body.dyn_into::<Uint8Array>().ok()?.to_vec()),
            _ => return None,
        };
        Some(Self { from, to, note })
    }
}
