//! `ChangeModifier`, and being inside a commit.

use std::{cell::Cell, panic::AssertUnwindSafe};

use loro::ChangeModifier;
use wasm_bindgen::prelude::*;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Calls a listener that runs inside a commit, where nothing may commit.
pub(super) fn inside_commit<T>(call: impl FnOnce() -> T) -> T {
    let before = INSIDE.replace(true);
    let returned = call();
    INSIDE.set(before);
    returned
}

/// Returns whether such a listener runs.
pub(super) fn is_inside_commit() -> bool {
    INSIDE.get()
}

/// Changes a change before it is committed.
#[wasm_bindgen(js_name = ChangeModifier, skip_typescript)]
pub struct JsChangeModifier(AssertUnwindSafe<ChangeModifier>);

impl JsChangeModifier {
    pub(super) fn from_inner(modifier: ChangeModifier) -> Self {
        Self(AssertUnwindSafe(modifier))
    }
}

#[wasm_bindgen(js_class = "ChangeModifier")]
impl JsChangeModifier {
    /// Sets the commit's message.
    #[wasm_bindgen(js_name = setMessage)]
    pub fn set_message(&self, message: &str) -> JsChangeModifier {
        Self::from_inner(self.0.set_message(message).clone())
    }

    /// Sets the commit's time, in seconds.
    #[wasm_bindgen(js_name = setTimestamp)]
    pub fn set_timestamp(&self, timestamp: f64) -> JsChangeModifier {
        Self::from_inner(self.0.set_timestamp(timestamp as i64).clone())
    }
}
