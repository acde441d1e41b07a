//! Records as text, for a page that parses faster than it is told of every field.
//!
//! Decides which records can be said as JSON without saying less; the others are left out and read as values.

use std::fmt::Write;

use minicbor::{Decoder, data::Type};

use super::value::{MAX_DEPTH, NoValue};
use crate::protocol::{RecordId, RecordState};

/// The largest whole number that is the same in a double.
const MAX_SAFE: i64 = (1 << 53) - 1;

/// Appends `{"key":…,"owner":…` of a record.
pub(super) fn write_name(out: &mut String, id: &RecordId) {
    out.push_str("{\"key\":");
    write_text(out, &id.key);
    if let Some(owner) = id.owner {
        let _ = write!(out, ",\"owner\":\"{:016x}\"", owner.0);
    }
}

/// Appends the value of a record. `false`, with a part of it appended, if JSON cannot say it.
pub(super) fn write_value(out: &mut String, state: &RecordState) -> Result<bool, NoValue> {
    if let [field] = &state.fields[..]
        && field.name.is_empty()
    {
        return write_field(out, &field.value);
    }
    out.push('{');
    let mut first = true;
    for field in state.fields.iter().filter(|field| !field.name.is_empty()) {
        separate(out, &mut first);
        write_text(out, &field.name);
        out.push(':');
        if !write_field(out, &field.value)? {
            return Ok(false);
        }
    }
    out.push('}');
    Ok(true)
}

fn separate(out: &mut String, first: &mut bool) {
    if !std::mem::take(first) {
        out.push(',');
    }
}

fn write_field(out: &mut String, bytes: &[u8]) -> Result<bool, NoValue> {
    let mut input = Decoder::new(bytes);
    let said = copy(out, &mut input, MAX_DEPTH)?;
    if said && input.position() != bytes.len() { Err(NoValue) } else { Ok(said) }
}

fn copy(out: &mut String, input: &mut Decoder<'_>, depth: usize) -> Result<bool, NoValue> {
    let whole = |length: Option<u64>| length.ok_or(NoValue);
    match input.datatype().map_err(|_| NoValue)? {
        Type::Null => {
            input.null().map_err(|_| NoValue)?;
            out.push_str("null");
        }
        Type::Bool => out.push_str(if input.bool().map_err(|_| NoValue)? { "true" } else { "false" }),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
            let number = input.i64().map_err(|_| NoValue)?;
            if !(-MAX_SAFE..=MAX_SAFE).contains(&number) {
                return Ok(false);
            }
            let _ = write!(out, "{number}");
        }
        Type::F64 => {
            let number = input.f64().map_err(|_| NoValue)?;
            if !number.is_finite() {
                return Ok(false);
            }
            let _ = write!(out, "{number:e}");
        }
        Type::String => write_text(out, input.str().map_err(|_| NoValue)?),
        Type::Bytes => return Ok(false),
        Type::Array => {
            let depth = depth.checked_sub(1).ok_or(NoValue)?;
            let (length, mut first) = (whole(input.array().map_err(|_| NoValue)?)?, true);
            out.push('[');
            for _ in 0..length {
                separate(out, &mut first);
                if !copy(out, input, depth)? {
                    return Ok(false);
                }
            }
            out.push(']');
        }
        Type::Map => {
            let depth = depth.checked_sub(1).ok_or(NoValue)?;
            let (length, mut first) = (whole(input.map().map_err(|_| NoValue)?)?, true);
            out.push('{');
            for _ in 0..length {
                separate(out, &mut first);
                write_text(out, input.str().map_err(|_| NoValue)?);
                out.push(':');
                if !copy(out, input, depth)? {
                    return Ok(false);
                }
            }
            out.push('}');
        }
        _ => return Err(NoValue),
    }
    Ok(true)
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        out.push_str(&rest[..at]);
        let _ = write!(out, "\\u{:04x}", rest.as_bytes()[at]);
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use loro::LoroValue;
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{protocol::Clock, runtime::records::value};

    fn said(value: &LoroValue) -> Option<serde_json::Value> {
        let state = RecordState::put(Clock::default(), value::to_fields(value).expect("it fits"));
        let mut out = String::new();
        write_value(&mut out, &state).expect("it is a value").then(|| serde_json::from_str(&out).expect("it is JSON"))
    }

    #[test]
    fn what_json_cannot_say_is_left_to_others() {
        for value in [LoroValue::Binary(vec![1].into()), LoroValue::I64(MAX_SAFE + 1), LoroValue::Double(f64::INFINITY)] {
            assert_eq!(said(&value), None);
            assert_eq!(said(&LoroValue::List(vec![value].into())), None);
        }
        assert_eq!(said(&LoroValue::I64(-MAX_SAFE)), Some(serde_json::json!(-MAX_SAFE)));
        assert_eq!(said(&LoroValue::Double(-1.5e-300)), Some(serde_json::json!(-1.5e-300)));
    }

    proptest! {
        #[test]
        fn json_says_the_same(text in ".{0,20}", name in ".{1,9}", number in -MAX_SAFE..=MAX_SAFE, on in any::<bool>()) {
            let list = LoroValue::List(vec![LoroValue::String(text.as_str().into()), LoroValue::I64(number), LoroValue::Bool(on), LoroValue::Null].into());
            let map = LoroValue::Map(std::collections::HashMap::from([(name.clone(), list)]).into());
            prop_assert_eq!(said(&map), Some(serde_json::json!({ name: [text, number, on, null] })));
        }

        #[test]
        fn any_bytes_are_said_or_an_error_and_what_is_said_is_json(bytes in vec(any::<u8>(), 0..100)) {
            let mut out = String::new();
            if write_field(&mut out, &bytes) == Ok(true) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{}", out);
            }
        }
    }
}
