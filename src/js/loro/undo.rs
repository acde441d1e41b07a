//! `UndoManager`.

use std::{cell::RefCell, panic::AssertUnwindSafe};

use loro::UndoManager;
use wasm_bindgen::prelude::*;

use super::{doc::JsLoroDoc, value::get};
use crate::js::{error, events};

/// Undoes and redoes what this peer did.
#[wasm_bindgen(js_name = UndoManager, skip_typescript)]
pub struct JsUndoManager(AssertUnwindSafe<RefCell<UndoManager>>);

#[wasm_bindgen(js_class = "UndoManager")]
impl JsUndoManager {
    /// Follows a document. Options: `mergeInterval` (ms), `maxUndoSteps`, `excludeOriginPrefixes`.
    #[wasm_bindgen(constructor)]
    pub fn new(doc: &JsLoroDoc, config: &JsValue) -> Self {
        let mut undo = UndoManager::new(&doc.engine());
        if let Some(interval) = get(config, "mergeInterval").and_then(|value| value.as_f64()) {
            undo.set_merge_interval(interval as i64);
        }
        if let Some(steps) = get(config, "maxUndoSteps").and_then(|value| value.as_f64()) {
            undo.set_max_undo_steps(steps as usize);
        }
        if let Some(prefixes) = get(config, "excludeOriginPrefixes") {
            for prefix in js_sys::Array::from(&prefixes).iter().filter_map(|prefix| prefix.as_string()) {
                undo.add_exclude_origin_prefix(&prefix);
            }
        }
        Self(AssertUnwindSafe(RefCell::new(undo)))
    }

    /// Undoes the last step; returns whether there was one.
    pub fn undo(&self) -> Result<bool, JsValue> {
        let undone = self.0.borrow_mut().undo().map_err(|error| error::engine(&error));
        events::drain();
        undone
    }

    /// Redoes the last undone step; returns whether there was one.
    pub fn redo(&self) -> Result<bool, JsValue> {
        let redone = self.0.borrow_mut().redo().map_err(|error| error::engine(&error));
        events::drain();
        redone
    }

    /// Returns whether there is a step to undo.
    #[wasm_bindgen(js_name = canUndo)]
    pub fn can_undo(&self) -> bool {
        self.0.borrow().can_undo()
    }

    /// Returns whether there is a step to redo.
    #[wasm_bindgen(js_name = canRedo)]
    pub fn can_redo(&self) -> bool {
        self.0.borrow().can_redo()
    }

    /// Forgets all steps.
    pub fn clear(&self) {
        self.0.borrow().clear();
    }

    /// Ignores commits whose origin begins so.
    #[wasm_bindgen(js_name = addExcludeOriginPrefix)]
    pub fn add_exclude_origin_prefix(&self, prefix: &str) {
        self.0.borrow_mut().add_exclude_origin_prefix(prefix);
    }

    /// Joins commits less than this many milliseconds apart into one step.
    #[wasm_bindgen(js_name = setMergeInterval)]
    pub fn set_merge_interval(&self, interval: f64) {
        self.0.borrow_mut().set_merge_interval(interval as i64);
    }

    /// Keeps at most this many steps.
    #[wasm_bindgen(js_name = setMaxUndoSteps)]
    pub fn set_max_undo_steps(&self, steps: usize) {
        self.0.borrow_mut().set_max_undo_steps(steps);
    }

    /// Returns the peer whose steps it follows.
    pub fn peer(&self) -> String {
        self.0.borrow().peer().to_string()
    }
}
