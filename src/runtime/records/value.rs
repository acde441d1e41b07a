//! Values of fields as bytes: CBOR of what JSON can say, and bytes.
//!
//! Decides what a record's value is made of: an object has one field a key, anything else one field without a name.

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use bytes::Bytes;
use loro::LoroValue;
use minicbor::{Decoder, Encoder, data::Type, encode::Error};

use super::{ErrorCode, RepoError};
use crate::{
    collections::sort_by_key,
    protocol::{
        RecordState,
        record::{MAX_FIELD_NAME_BYTES, MAX_FIELDS, MAX_RECORD_BYTES},
    },
};

/// Deepest nesting of a value.
pub(super) const MAX_DEPTH: usize = 64;

/// The bytes are no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoValue;

/// Takes a value apart into fields, checked against the limits of a record.
pub(super) fn to_fields(value: &LoroValue) -> Result<Vec<(Arc<str>, Bytes)>, RepoError> {
    let fields: Vec<(Arc<str>, Bytes)> = match value {
        LoroValue::Map(entries) => {
            let mut fields = Vec::with_capacity(entries.len());
            for (name, value) in entries.iter() {
                if name.is_empty() || name.len() > MAX_FIELD_NAME_BYTES {
                    return Err(invalid(format!(
                        "the name of a field has 1 to {MAX_FIELD_NAME_BYTES} UTF-8 bytes, {name:?} has {}",
                        name.len()
                    )));
                }
                fields.push((name.as_str().into(), encode(value)?));
            }
            fields
        }
        value => vec![("".into(), encode(value)?)],
    };
    check_size(fields.len(), fields.iter().map(|(name, value)| name.len() + value.len()).sum())?;
    Ok(fields)
}

/// Checks the size of a record.
pub(super) fn check_size(fields: usize, bytes: usize) -> Result<(), RepoError> {
    if fields > MAX_FIELDS {
        return Err(invalid(format!("a record has at most {MAX_FIELDS} fields, this one has {fields}")));
    }
    if bytes > MAX_RECORD_BYTES {
        return Err(invalid(format!("a record has at most {MAX_RECORD_BYTES} bytes, this one has {bytes}")));
    }
    Ok(())
}

/// Puts a record's value together.
pub(super) fn of_fields(state: &RecordState) -> Result<LoroValue, NoValue> {
    if let [field] = &state.fields[..]
        && field.name.is_empty()
    {
        return decode(&field.value);
    }
    let named = state.fields.iter().filter(|field| !field.name.is_empty());
    let entries: Result<HashMap<String, LoroValue>, NoValue> =
        named.map(|field| Ok((field.name.to_string(), decode(&field.value)?))).collect();
    Ok(LoroValue::Map(entries?.into()))
}

fn encode(value: &LoroValue) -> Result<Bytes, RepoError> {
    let mut out = Encoder::new(Vec::new());
    write(&mut out, value, MAX_DEPTH)?;
    Ok(out.into_writer().into())
}

fn write(out: &mut Encoder<Vec<u8>>, value: &LoroValue, depth: usize) -> Result<(), RepoError> {
    let written: Result<(), Error<Infallible>> = match value {
        LoroValue::Null => out.null().map(drop),
        LoroValue::Bool(value) => out.bool(*value).map(drop),
        LoroValue::I64(value) => out.i64(*value).map(drop),
        LoroValue::Double(value) => out.f64(*value).map(drop),
        LoroValue::String(text) => out.str(text).map(drop),
        LoroValue::Binary(bytes) => out.bytes(bytes).map(drop),
        LoroValue::Container(_) => return Err(invalid("a record holds values, not containers".to_owned())),
        LoroValue::List(items) => {
            let depth = deeper(depth)?;
            let _ = out.array(items.len() as u64);
            return items.iter().try_for_each(|item| write(out, item, depth));
        }
        LoroValue::Map(entries) => {
            let depth = deeper(depth)?;
            let _ = out.map(entries.len() as u64);
            // In order: the same value has the same bytes.
            let mut entries: Vec<_> = entries.iter().collect();
            sort_by_key(&mut entries, |(key, _)| *key);
            return entries.into_iter().try_for_each(|(key, value)| {
                let _ = out.str(key);
                write(out, value, depth)
            });
        }
    };
    written.expect("a vector takes everything");
    Ok(())
}

fn deeper(depth: usize) -> Result<usize, RepoError> {
    depth.checked_sub(1).ok_or_else(|| invalid(format!("a record nests at most {MAX_DEPTH} deep")))
}

/// Tells whether bytes are a value.
pub(super) fn check(bytes: &[u8]) -> Result<(), NoValue> {
    decode(bytes).map(drop)
}

pub(super) fn decode(bytes: &[u8]) -> Result<LoroValue, NoValue> {
    let mut input = Decoder::new(bytes);
    let value = read(&mut input, MAX_DEPTH)?;
    if input.position() == bytes.len() { Ok(value) } else { Err(NoValue) }
}

fn read(input: &mut Decoder<'_>, depth: usize) -> Result<LoroValue, NoValue> {
    let value = match input.datatype().map_err(|_| NoValue)? {
        Type::Null => input.null().map(|()| LoroValue::Null),
        Type::Bool => input.bool().map(LoroValue::Bool),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 => input.i64().map(LoroValue::I64),
        Type::F64 => input.f64().map(LoroValue::Double),
        Type::String => input.str().map(|text| LoroValue::String(text.into())),
        Type::Bytes => input.bytes().map(|bytes| LoroValue::Binary(bytes.to_vec().into())),
        Type::Array => {
            let depth = depth.checked_sub(1).ok_or(NoValue)?;
            let length = input.array().ok().flatten().ok_or(NoValue)?;
            // The length is a claim: the list grows with what is really there.
            let mut items = Vec::new();
            for _ in 0..length {
                items.push(read(input, depth)?);
            }
            return Ok(LoroValue::List(items.into()));
        }
        Type::Map => {
            let depth = depth.checked_sub(1).ok_or(NoValue)?;
            let length = input.map().ok().flatten().ok_or(NoValue)?;
            let mut entries = HashMap::new();
            for _ in 0..length {
                let key = input.str().map_err(|_| NoValue)?.to_owned();
                entries.insert(key, read(input, depth)?);
            }
            return Ok(LoroValue::Map(entries.into()));
        }
        _ => return Err(NoValue),
    };
    value.map_err(|_| NoValue)
}

fn invalid(message: String) -> RepoError {
    RepoError::new(ErrorCode::InvalidArgument, message)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn any_value() -> impl Strategy<Value = LoroValue> {
        let leaf = prop_oneof![
            Just(LoroValue::Null),
            any::<bool>().prop_map(LoroValue::Bool),
            any::<i64>().prop_map(LoroValue::I64),
            any::<f64>().prop_filter("equal to itself", |value| !value.is_nan()).prop_map(LoroValue::Double),
            ".{0,9}".prop_map(|text| LoroValue::String(text.into())),
            vec(any::<u8>(), 0..9).prop_map(|bytes| LoroValue::Binary(bytes.into())),
        ];
        leaf.prop_recursive(4, 30, 5, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..5).prop_map(|items| LoroValue::List(items.into())),
                vec((".{1,9}", inner), 0..5).prop_map(|entries| LoroValue::Map(entries.into_iter().collect::<HashMap<_, _>>().into())),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_survive_the_way_there_and_back(value in any_value()) {
            let fields = to_fields(&value).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let state = RecordState::put(crate::protocol::Clock::default(), fields);
            prop_assert_eq!(of_fields(&state), Ok(value));
        }

        #[test]
        fn any_bytes_are_a_value_or_an_error(bytes in vec(any::<u8>(), 0..100)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn what_is_too_large_or_too_deep_is_refused() {
        let text = |length: usize| LoroValue::String("x".repeat(length).into());
        assert!(to_fields(&text(MAX_RECORD_BYTES - 5)).is_ok());
        let refused = to_fields(&text(MAX_RECORD_BYTES)).map_err(|error| (error.code(), error.to_string()));
        assert_eq!(refused, Err((ErrorCode::InvalidArgument, "a record has at most 262144 bytes, this one has 262149".to_owned())));
        let deep = |levels| (0..levels).fold(LoroValue::Null, |inner, _| LoroValue::List(vec![inner].into()));
        assert!(to_fields(&deep(MAX_DEPTH)).is_ok() && to_fields(&deep(MAX_DEPTH + 1)).is_err());
        assert_eq!(decode(&[0x81].repeat(100_000)), Err(NoValue));
        assert_eq!(decode(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]), Err(NoValue));
    }
}
