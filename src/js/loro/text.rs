//! `LoroText`.

use std::{collections::HashMap, ops::Range, panic::AssertUnwindSafe};

use js_sys::{Array, Object};
use loro::{
    ContainerTrait, LoroText, LoroValue, TextDelta, UpdateOptions,
    cursor::{PosType, Side},
};
use wasm_bindgen::{JsCast, prelude::*};

use super::{
    container::container_class,
    cursor::JsCursor,
    event::inserts_to_js,
    value::{from_js, get},
};
use crate::js::error;

/// A text. All positions and lengths are in UTF-16 units.
#[wasm_bindgen(js_name = LoroText, skip_typescript)]
pub struct JsLoroText(pub(super) AssertUnwindSafe<LoroText>);

container_class!(JsLoroText, LoroText, "LoroText", "Text");

/// Converts a UTF-16 position to scalars; inside a surrogate pair is an error.
pub(super) fn to_scalar(text: &LoroText, at: usize) -> Result<usize, JsValue> {
    if at > text.len_utf16() {
        return Err(error::invalid(&format!("position {at} is beyond the end of the text, {}", text.len_utf16())));
    }
    if text.len_utf16() == text.len_unicode() {
        return Ok(at);
    }
    let found = text.convert_pos(at, PosType::Utf16, PosType::Unicode).filter(|scalar| to_utf16(text, *scalar) == at);
    found.ok_or_else(|| error::invalid(&format!("position {at} is inside a surrogate pair")))
}

/// Converts a position in scalars to UTF-16.
pub(super) fn to_utf16(text: &LoroText, at: usize) -> usize {
    if text.len_utf16() == text.len_unicode() {
        return at;
    }
    text.convert_pos(at, PosType::Unicode, PosType::Utf16).unwrap_or(at)
}

pub(super) fn side(side: Option<i32>) -> Result<Side, JsValue> {
    Side::from_i32(side.unwrap_or(0)).ok_or_else(|| error::invalid("a side is -1, 0 or 1"))
}

#[wasm_bindgen(js_class = "LoroText")]
impl JsLoroText {
    /// Inserts.
    pub fn insert(&self, pos: usize, text: &str) -> Result<(), JsValue> {
        self.0.insert_utf16(pos, text).map_err(|error| error::engine(&error))
    }

    /// Deletes.
    pub fn delete(&self, pos: usize, len: usize) -> Result<(), JsValue> {
        self.0.delete_utf16(pos, len).map_err(|error| error::engine(&error))
    }

    /// Appends.
    pub fn push(&self, text: &str) -> Result<(), JsValue> {
        self.0.insert_utf16(self.0.len_utf16(), text).map_err(|error| error::engine(&error))
    }

    /// Replaces a range and returns what was there.
    pub fn splice(&self, pos: usize, len: usize, text: &str) -> Result<String, JsValue> {
        let removed = self.slice(pos, pos.saturating_add(len))?;
        self.delete(pos, len)?;
        self.insert(pos, text)?;
        Ok(removed)
    }

    /// Returns a part.
    pub fn slice(&self, start_index: usize, end_index: usize) -> Result<String, JsValue> {
        self.0.slice_utf16(start_index, end_index).map_err(|error| error::engine(&error))
    }

    /// Returns the character at a position.
    #[wasm_bindgen(js_name = charAt)]
    pub fn char_at(&self, pos: usize) -> Result<String, JsValue> {
        self.0.to_handler().char_at(pos, PosType::Utf16).map(String::from).map_err(|error| error::engine(&error))
    }

    /// Calls `callback` with parts of the text until it returns false.
    pub fn iter(&self, callback: &js_sys::Function) -> Result<(), JsValue> {
        // Collected first: no lock of the engine is held while JavaScript runs.
        let mut parts = Vec::new();
        self.0.iter(|part| {
            parts.push(part.to_owned());
            true
        });
        for part in parts {
            if callback.call1(&JsValue::UNDEFINED, &part.into())?.as_bool() == Some(false) {
                break;
            }
        }
        Ok(())
    }

    /// Returns the length.
    #[wasm_bindgen(getter)]
    pub fn length(&self) -> usize {
        self.0.len_utf16()
    }

    /// Returns the text.
    #[wasm_bindgen(js_name = toString)]
    pub fn text(&self) -> String {
        self.0.to_string()
    }

    /// Returns the text.
    #[wasm_bindgen(js_name = toJSON)]
    pub fn to_json(&self) -> String {
        self.0.to_string()
    }

    /// Returns the text.
    #[wasm_bindgen(js_name = getShallowValue)]
    pub fn shallow_value(&self) -> String {
        self.0.to_string()
    }

    /// Turns the text into `text` by the smallest edit found.
    pub fn update(&self, text: &str, options: JsValue) -> Result<(), JsValue> {
        self.0.update(text, update_options(&options)).map_err(|_| error::invalid("the time given was not enough to compare the texts"))
    }

    /// As `update`, line by line.
    #[wasm_bindgen(js_name = updateByLine)]
    pub fn update_by_line(&self, text: &str, options: JsValue) -> Result<(), JsValue> {
        let updated = self.0.update_by_line(text, update_options(&options));
        updated.map_err(|_| error::invalid("the time given was not enough to compare the texts"))
    }

    /// Returns the rich text as inserts with attributes.
    #[wasm_bindgen(js_name = toDelta)]
    pub fn to_delta(&self) -> Array {
        inserts_to_js(&self.0.to_delta())
    }

    /// Returns a part of the rich text.
    #[wasm_bindgen(js_name = sliceDelta)]
    pub fn slice_delta(&self, start: usize, end: usize) -> Result<Array, JsValue> {
        let delta = self.0.slice_delta(start, end, PosType::Utf16).map_err(|error| error::engine(&error))?;
        Ok(inserts_to_js(&delta))
    }

    /// Applies a change.
    #[wasm_bindgen(js_name = applyDelta)]
    pub fn apply_delta(&self, delta: &JsValue) -> Result<(), JsValue> {
        let steps = delta_from_js(&self.0, delta)?;
        self.0.apply_delta(&steps).map_err(|error| error::engine(&error))
    }

    /// Marks a range; the key needs a configured style.
    pub fn mark(&self, range: &JsValue, key: &str, value: &JsValue) -> Result<(), JsValue> {
        self.0.mark_utf16(range_from_js(range)?, key, from_js(value)?).map_err(|error| error::engine(&error))
    }

    /// Removes a mark from a range.
    pub fn unmark(&self, range: &JsValue, key: &str) -> Result<(), JsValue> {
        self.0.unmark_utf16(range_from_js(range)?, key).map_err(|error| error::engine(&error))
    }

    /// Returns a position that moves with the text; undefined while detached and inside a surrogate pair.
    #[wasm_bindgen(js_name = getCursor)]
    pub fn get_cursor(&self, pos: usize, side: Option<i32>) -> Result<Option<JsCursor>, JsValue> {
        let side = self::side(side)?;
        let cursor = to_scalar(&self.0, pos.min(self.0.len_utf16())).ok().and_then(|at| self.0.get_cursor(at, side));
        Ok(cursor.map(JsCursor::from_inner))
    }

    /// Converts a position between "unicode", "utf16" and "utf8"; undefined beyond the end.
    #[wasm_bindgen(js_name = convertPos)]
    pub fn convert_pos(&self, index: usize, from: &str, to: &str) -> Option<usize> {
        self.0.convert_pos(index, unit(from)?, unit(to)?)
    }

    /// Inserts at a position in UTF-8 units.
    #[wasm_bindgen(js_name = insertUtf8)]
    pub fn insert_utf8(&self, index: usize, text: &str) -> Result<(), JsValue> {
        self.0.insert_utf8(index, text).map_err(|error| error::engine(&error))
    }

    /// Deletes a range in UTF-8 units.
    #[wasm_bindgen(js_name = deleteUtf8)]
    pub fn delete_utf8(&self, index: usize, len: usize) -> Result<(), JsValue> {
        self.0.delete_utf8(index, len).map_err(|error| error::engine(&error))
    }

    /// Returns a part of the rich text, given in UTF-8 units.
    #[wasm_bindgen(js_name = sliceDeltaUtf8)]
    pub fn slice_delta_utf8(&self, start: usize, end: usize) -> Result<Array, JsValue> {
        let delta = self.0.slice_delta(start, end, PosType::Bytes).map_err(|error| error::engine(&error))?;
        Ok(inserts_to_js(&delta))
    }

    /// Returns the peer that wrote the character at a position.
    #[wasm_bindgen(js_name = getEditorOf)]
    pub fn editor_of(&self, pos: usize) -> Result<Option<String>, JsValue> {
        let at = to_scalar(&self.0, pos)?;
        Ok(self.0.get_editor_at_unicode_pos(at).map(|peer| peer.to_string()))
    }
}

fn unit(name: &str) -> Option<PosType> {
    match name {
        "unicode" => Some(PosType::Unicode),
        "utf16" => Some(PosType::Utf16),
        "utf8" => Some(PosType::Bytes),
        _ => None,
    }
}

fn update_options(options: &JsValue) -> UpdateOptions {
    let timeout_ms = get(options, "timeoutMs").and_then(|ms| ms.as_f64());
    let use_refined_diff = get(options, "useRefinedDiff").and_then(|flag| flag.as_bool()).unwrap_or(true);
    UpdateOptions { timeout_ms, use_refined_diff }
}

fn range_from_js(range: &JsValue) -> Result<Range<usize>, JsValue> {
    let read = |key| get(range, key).and_then(|at| at.as_f64()).filter(|at| *at >= 0.0).map(|at| at as usize);
    let (Some(start), Some(end)) = (read("start"), read("end")) else {
        return Err(error::invalid("expected a range { start, end } of UTF-16 positions"));
    };
    Ok(start..end)
}

/// Reads a delta in UTF-16 units.
pub(super) fn delta_from_js(text: &LoroText, delta: &JsValue) -> Result<Vec<TextDelta>, JsValue> {
    if !Array::is_array(delta) {
        return Err(error::invalid("expected a delta: an array of retain, insert and delete"));
    }
    let mut at = 0usize;
    let mut span = |length: f64| -> Result<usize, JsValue> {
        let from = to_scalar(text, at)?;
        at = at.saturating_add(length.max(0.0) as usize);
        Ok(to_scalar(text, at)? - from)
    };
    let mut steps = Vec::new();
    for step in Array::from(delta).iter() {
        let attributes = get(&step, "attributes").map(|entries| attributes(&entries)).transpose()?;
        if let Some(insert) = get(&step, "insert").and_then(|insert| insert.as_string()) {
            steps.push(TextDelta::Insert { insert, attributes });
        } else if let Some(retain) = get(&step, "retain").and_then(|length| length.as_f64()) {
            steps.push(TextDelta::Retain { retain: span(retain)?, attributes });
        } else if let Some(delete) = get(&step, "delete").and_then(|length| length.as_f64()) {
            steps.push(TextDelta::Delete { delete: span(delete)? });
        } else {
            return Err(error::invalid("a step of a delta has one of retain, insert (text) and delete"));
        }
    }
    Ok(steps)
}

pub(super) fn attributes<S: std::hash::BuildHasher + Default>(entries: &JsValue) -> Result<HashMap<String, LoroValue, S>, JsValue> {
    Object::entries(entries.unchecked_ref())
        .iter()
        .map(|entry| {
            let entry: Array = entry.unchecked_into();
            Ok((entry.get(0).as_string().unwrap_or_default(), from_js(&entry.get(1))?))
        })
        .collect()
}
