//! Whole documents as plain values.
//!
//! Decides how a value of any size crosses the boundary: as one text that JavaScript parses, which costs a fraction of a call for each key and item.
//! A value with bytes or with numbers that JSON lacks crosses item by item.

use std::fmt::Write;

use loro::LoroValue;
use wasm_bindgen::JsValue;

use super::value::to_js;

/// Converts to JavaScript.
pub(super) fn plain(value: &LoroValue) -> JsValue {
    if matches!(value, LoroValue::List(_) | LoroValue::Map(_)) {
        let mut text = String::new();
        if write(&mut text, value).is_ok()
            && let Ok(parsed) = js_sys::JSON::parse(&text)
        {
            return parsed;
        }
    }
    to_js(value)
}

fn write(out: &mut String, value: &LoroValue) -> std::fmt::Result {
    match value {
        LoroValue::Null => out.push_str("null"),
        LoroValue::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        LoroValue::Double(number) if number.is_finite() => write!(out, "{number}")?,
        LoroValue::Double(_) | LoroValue::Binary(_) => return Err(std::fmt::Error),
        LoroValue::I64(number) => write!(out, "{number}")?,
        LoroValue::String(text) => quote(out, text)?,
        LoroValue::Container(id) => quote(out, &id.to_string())?,
        LoroValue::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(out, item)?;
            }
            out.push(']');
        }
        LoroValue::Map(entries) => {
            out.push('{');
            for (at, (key, item)) in entries.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                quote(out, key)?;
                out.push(':');
                write(out, item)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn quote(out: &mut String, text: &str) -> std::fmt::Result {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let byte = special.as_bytes().first().copied().unwrap_or_default();
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            _ => write!(out, "\\u{byte:04x}")?,
        }
        rest = special.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    out.push('"');
    Ok(())
}
