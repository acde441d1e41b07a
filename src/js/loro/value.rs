//! Values across the boundary.

use js_sys::{Array, Date, Map, Object, Reflect, Uint8Array};
use loro::{ContainerID, LoroValue, ValueOrContainer};
use wasm_bindgen::{JsCast, prelude::*};

use super::container::container_to_js;
use crate::js::error;

/// Nesting a value from JavaScript may have.
const MAX_DEPTH: usize = 128;
/// Integers beyond these are not exact in JavaScript and stay floating.
const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

/// Converts to JavaScript.
pub(crate) fn to_js(value: &LoroValue) -> JsValue {
    match value {
        LoroValue::Null => JsValue::NULL,
        LoroValue::Bool(value) => JsValue::from_bool(*value),
        LoroValue::Double(value) => JsValue::from_f64(*value),
        LoroValue::I64(value) => JsValue::from_f64(*value as f64),
        LoroValue::Binary(bytes) => Uint8Array::from(bytes.as_slice()).into(),
        LoroValue::String(text) => JsValue::from_str(text),
        LoroValue::List(items) => items.iter().map(to_js).collect::<Array>().into(),
        LoroValue::Map(entries) => {
            let object = Object::new();
            for (key, value) in entries.iter() {
                set(&object, key, &to_js(value));
            }
            object.into()
        }
        LoroValue::Container(id) => JsValue::from_str(&id.to_string()),
    }
}

/// Converts a value or a container, which becomes a handle.
pub(crate) fn either_to_js(value: ValueOrContainer) -> JsValue {
    match value {
        ValueOrContainer::Value(value) => to_js(&value),
        ValueOrContainer::Container(container) => container_to_js(container),
    }
}

/// Converts from JavaScript: `undefined` becomes null, whole numbers become integers.
pub(crate) fn from_js(value: &JsValue) -> Result<LoroValue, JsValue> {
    convert(value, false, 0)
}

/// As [`from_js`], with marked container ids (`"🦜:cid:…"`) as containers.
pub(super) fn from_marked_js(value: &JsValue) -> Result<LoroValue, JsValue> {
    convert(value, true, 0)
}

fn convert(value: &JsValue, marked: bool, depth: usize) -> Result<LoroValue, JsValue> {
    if let Some(text) = value.as_string() {
        let id = if marked { ContainerID::try_from_loro_value_string(&text) } else { None };
        return Ok(id.map_or_else(|| text.into(), LoroValue::Container));
    }
    if let Some(number) = value.as_f64() {
        let whole = number.fract() == 0.0 && number.abs() <= MAX_SAFE;
        return Ok(if whole { LoroValue::I64(number as i64) } else { LoroValue::Double(number) });
    }
    if let Some(flag) = value.as_bool() {
        return Ok(flag.into());
    }
    if value.is_null() || value.is_undefined() {
        return Ok(LoroValue::Null);
    }
    if depth >= MAX_DEPTH {
        return Err(error::invalid("a value may be nested 128 levels deep at most"));
    }
    if let Some(bytes) = value.dyn_ref::<Uint8Array>() {
        return Ok(bytes.to_vec().into());
    }
    if Array::is_array(value) {
        let items: Result<Vec<_>, _> = value.unchecked_ref::<Array>().iter().map(|item| convert(&item, marked, depth + 1)).collect();
        return Ok(items?.into());
    }
    if value.is_bigint() || value.is_function() || value.is_symbol() {
        return Err(error::invalid("a document stores null, booleans, numbers, strings, Uint8Array, arrays and plain objects"));
    }
    if is_handle(value) {
        return Err(error::invalid("a container cannot be stored as a value: use setContainer, insertContainer or pushContainer"));
    }
    if value.is_instance_of::<Date>() {
        return Ok(LoroValue::Map(Default::default()));
    }
    let mut entries: Vec<(String, LoroValue)> = Vec::new();
    if let Some(map) = value.dyn_ref::<Map>() {
        let mut failed = None;
        map.for_each(&mut |item, key| match (key.as_string(), convert(&item, marked, depth + 1)) {
            (Some(key), Ok(item)) => entries.push((key, item)),
            (None, _) => failed = Some(error::invalid("the keys of a Map must be strings")),
            (_, Err(error)) => failed = Some(error),
        });
        if let Some(error) = failed {
            return Err(error);
        }
    } else {
        if Object::get_own_property_symbols(value.unchecked_ref::<Object>()).length() > 0 {
            return Err(error::invalid("Object keys must be strings: a document has no place for symbols"));
        }
        for entry in Object::entries(value.unchecked_ref()).iter() {
            let entry: Array = entry.unchecked_into();
            entries.push((entry.get(0).as_string().unwrap_or_default(), convert(&entry.get(1), marked, depth + 1)?));
        }
    }
    Ok(LoroValue::Map(entries.into_iter().collect::<std::collections::HashMap<_, _>>().into()))
}

/// Returns whether a value is an object of a wasm module, this one or another.
pub(crate) fn is_handle(value: &JsValue) -> bool {
    value.is_object() && Reflect::has(value, &"__wbg_ptr".into()).unwrap_or(false)
}

/// Sets a property of a plain object.
pub(crate) fn set(object: &Object, key: &str, value: &JsValue) {
    // Cannot fail: the object is our own and not frozen.
    let _ = Reflect::set(object, &JsValue::from_str(key), value);
}

/// Makes a plain object.
pub(crate) fn object(entries: &[(&str, JsValue)]) -> Object {
    let object = Object::new();
    for (key, value) in entries {
        set(&object, key, value);
    }
    object
}

/// Reads a property; `None` when absent, null or undefined.
pub(crate) fn get(object: &JsValue, key: &str) -> Option<JsValue> {
    let value = Reflect::get(object, &JsValue::from_str(key)).ok()?;
    (!value.is_null() && !value.is_undefined()).then_some(value)
}
