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
    event::{before_edit, inserts_to_js},
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

/// Reads a side; the middle unless told.
pub(super) fn side(side: &JsValue) -> Result<Side, JsValue> {
    if side.is_undefined() {
        return Ok(Side::Middle);
    }
    side.as_f64().and_then(|side| Side::from_i32(side as i32)).ok_or_else(|| error::invalid("a side is -1, 0 or 1"))
}

#[wasm_bindgen(js_class = "LoroText")]
impl JsLoroText {
    /// Inserts.
    pub fn insert(&self, pos: usize, text: &str) -> Result<(), JsValue> {
        #[cfg(feature = "failpoints")]
        if let Some(doc) = self.0.doc() {
            crate::runtime::failpoint::hit("text.insert", &doc);
        }
        before_edit(&self.0, text);
        self.0.insert_utf16(pos, text).map_err(|error| error::engine(&error))
    }

    /// Deletes.
    pub fn delete(&self, pos: usize, len: usize) -> Result<(), JsValue> {
        before_edit(&self.0, "");
        self.0.delete_utf16(pos, len).map_err(|error| error::engine(&error))
    }

    /// Appends.
    pub fn push(&self, text: &str) -> Result<(), JsValue> {
        before_edit(&self.0, text);
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
        let options = update_options(&options)?;
        before_edit(&self.0, text);
        self.0.update(text, options).map_err(|_| error::invalid("the time given was not enough to compare the texts"))
    }

    /// As `update`, line by line.
    #[wasm_bindgen(js_name = updateByLine)]
    pub fn update_by_line(&self, text: &str, options: JsValue) -> Result<(), JsValue> {
        let options = update_options(&options)?;
        before_edit(&self.0, text);
        let updated = self.0.update_by_line(text, options);
        updated.map_err(|_| error::invalid("the time given was not enough to compare the texts"))
    }

    /// Returns the rich text as inserts with attributes.
    #[wasm_bindgen(js_name = toDelta)]
    pub fn to_delta(&self) -> Array {
        inserts_to_js(self.0.to_handler().get_delta())
    }

    /// Returns a part of the rich text.
    #[wasm_bindgen(js_name = sliceDelta)]
    pub fn slice_delta(&self, start: usize, end: usize) -> Result<Array, JsValue> {
        let delta = self.0.slice_delta(start, end, PosType::Utf16).map_err(|error| error::engine(&error))?;
        Ok(inserts_to_js(delta))
    }

    /// Applies a change.
    #[wasm_bindgen(js_name = applyDelta)]
    pub fn apply_delta(&self, delta: &JsValue) -> Result<(), JsValue> {
        let steps = delta_from_js(&self.0, delta)?;
        for step in &steps {
            before_edit(&self.0, if let TextDelta::Insert { insert, .. } = step { insert } else { "" });
        }
        self.0.apply_delta(&steps).map_err(|error| error::engine(&error))
    }

    /// Marks a range; the key needs a configured style.
    pub fn mark(&self, range: &JsValue, key: &str, value: &JsValue) -> Result<(), JsValue> {
        let value = from_js(value)?;
        match whole_characters(&self.0, range_from_js(range)?) {
            Some(range) => self.0.mark_utf16(range, key, value).map_err(|error| error::engine(&error)),
            None => Ok(()),
        }
    }

    /// Removes a mark from a range.
    pub fn unmark(&self, range: &JsValue, key: &str) -> Result<(), JsValue> {
        match whole_characters(&self.0, range_from_js(range)?) {
            Some(range) => self.0.unmark_utf16(range, key).map_err(|error| error::engine(&error)),
            None => Ok(()),
        }
    }

    /// Returns a position that moves with the text; undefined while detached and inside a surrogate pair.
    #[wasm_bindgen(js_name = getCursor)]
    pub fn get_cursor(&self, pos: usize, side: &JsValue) -> Result<Option<JsCursor>, JsValue> {
        let side = self::side(side)?;
        let cursor = to_scalar(&self.0, pos.min(self.0.len_utf16())).ok().and_then(|at| self.0.get_cursor(at, side));
        Ok(cursor.map(JsCursor::from_inner))
    }

    /// Converts a position between "unicode", "utf16" and "utf8"; undefined beyond the end.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = convertPos)]
    pub fn convert_pos(&self, index: usize, from: &str, to: &str) -> Option<usize> {
        self.0.convert_pos(index, unit(from)?, unit(to)?)
    }

    /// Inserts at a position in UTF-8 units.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = insertUtf8)]
    pub fn insert_utf8(&self, index: usize, text: &str) -> Result<(), JsValue> {
        before_edit(&self.0, text);
        self.0.insert_utf8(index, text).map_err(|error| error::engine(&error))
    }

    /// Deletes a range in UTF-8 units.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = deleteUtf8)]
    pub fn delete_utf8(&self, index: usize, len: usize) -> Result<(), JsValue> {
        before_edit(&self.0, "");
        self.0.delete_utf8(index, len).map_err(|error| error::engine(&error))
    }

    /// Returns a part of the rich text, given in UTF-8 units.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = sliceDeltaUtf8)]
    pub fn slice_delta_utf8(&self, start: usize, end: usize) -> Result<Array, JsValue> {
        let delta = self.0.slice_delta(start, end, PosType::Bytes).map_err(|error| error::engine(&error))?;
        Ok(inserts_to_js(delta))
    }

    /// Returns the peer that wrote the character at a position; undefined beyond the end and inside a surrogate pair.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = getEditorOf)]
    pub fn editor_of(&self, pos: usize) -> Option<String> {
        let at = to_scalar(&self.0, pos).ok()?;
        self.0.get_editor_at_unicode_pos(at).map(|peer| peer.to_string())
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

fn update_options(options: &JsValue) -> Result<UpdateOptions, JsValue> {
    if !options.is_null() && !options.is_undefined() && !options.is_object() {
        return Err(error::invalid("the options of update are an object { timeoutMs, useRefinedDiff }"));
    }
    let timeout_ms = get(options, "timeoutMs").and_then(|ms| ms.as_f64());
    let use_refined_diff = get(options, "useRefinedDiff").and_then(|flag| flag.as_bool()).unwrap_or(true);
    Ok(UpdateOptions { timeout_ms, use_refined_diff })
}

fn range_from_js(range: &JsValue) -> Result<Range<usize>, JsValue> {
    let read = |key| get(range, key).and_then(|at| at.as_f64()).filter(|at| *at >= 0.0 && at.fract() == 0.0).map(|at| at as usize);
    let (Some(start), Some(end)) = (read("start"), read("end")) else {
        return Err(error::invalid("expected a range { start, end } of UTF-16 positions"));
    };
    Ok(start..end)
}

/// Moves the ends of a range out of surrogate pairs, to the ends of these. `None` if nothing remains of it.
///
/// The engine does so in its state, but reports the range as it was given.
fn whole_characters(text: &LoroText, range: Range<usize>) -> Option<Range<usize>> {
    let rounded = |at: usize| if at <= text.len_utf16() && to_scalar(text, at).is_err() { at + 1 } else { at };
    let whole = rounded(range.start)..rounded(range.end);
    (range.is_empty() || !whole.is_empty()).then_some(whole)
}

/// Reads a delta in UTF-16 units. Lengths beyond the end stay so: whether that is an error depends on the step, and is the engine's
/// to say. A mark may end inside a surrogate pair and then counts to the pair's end, as in `mark`; an edit may not begin there.
pub(super) fn delta_from_js(text: &LoroText, delta: &JsValue) -> Result<Vec<TextDelta>, JsValue> {
    if !Array::is_array(delta) {
        return Err(error::invalid("expected a delta: an array of retain, insert and delete"));
    }
    let refuse = || error::invalid("a step of a delta has one of retain (a whole number), insert (text) and delete (a whole number)");
    let length = text.len_utf16();
    let scalars = text.len_unicode();
    // Where the steps so far end, in UTF-16 and in scalars.
    let (mut at, mut done) = (0usize, 0usize);
    let boundary = |at: usize| if at > length { Ok(at - length + scalars) } else { to_scalar(text, at) };
    let rounded = |at: usize| boundary(at).or_else(|_| boundary(at + 1));
    let mut steps = Vec::new();
    let retain = |steps: &mut Vec<TextDelta>, length: usize, attributes| {
        if length > 0 {
            steps.push(TextDelta::Retain { retain: length, attributes });
        }
    };
    for step in Array::from(delta).iter() {
        let attributes = get(&step, "attributes").map(|entries| attributes(&entries)).transpose()?;
        let number = |key| {
            let whole = |length: f64| if length >= 0.0 && length.fract() == 0.0 { Ok(length as usize) } else { Err(refuse()) };
            get(&step, key).and_then(|length| length.as_f64()).map(whole).transpose()
        };
        if let Some(insert) = get(&step, "insert").and_then(|insert| insert.as_string()) {
            let here = boundary(at)?;
            retain(&mut steps, here - done, None);
            done = here;
            steps.push(TextDelta::Insert { insert, attributes });
        } else if let Some(length) = number("retain")? {
            if attributes.is_some() {
                let here = rounded(at)?;
                retain(&mut steps, here.saturating_sub(done), None);
                at = at.saturating_add(length);
                let end = rounded(at)?;
                retain(&mut steps, end - here, attributes);
                done = end;
            } else {
                at = at.saturating_add(length);
            }
        } else if let Some(length) = number("delete")? {
            let here = boundary(at)?;
            retain(&mut steps, here - done, None);
            at = at.saturating_add(length);
            done = boundary(at)?;
            steps.push(TextDelta::Delete { delete: done - here });
        } else {
            return Err(refuse());
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
