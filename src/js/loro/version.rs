//! `VersionVector`.

use std::{cell::RefCell, cmp::Ordering, panic::AssertUnwindSafe};

use js_sys::{Array, BigInt, Function, Map, Uint8Array};
use loro::{Frontiers, ID, VersionVector};
use wasm_bindgen::{JsCast, prelude::*};

use super::value::{get, object};
use crate::js::error;

/// How many operations of each author are known.
#[wasm_bindgen(js_name = VersionVector, skip_typescript)]
pub struct JsVersionVector(AssertUnwindSafe<RefCell<VersionVector>>);

impl JsVersionVector {
    pub(crate) fn from_inner(version: VersionVector) -> Self {
        Self(AssertUnwindSafe(RefCell::new(version)))
    }

    pub(super) fn to_inner(&self) -> VersionVector {
        self.0.borrow().clone()
    }
}

/// Reads a peer id: a decimal string, a bigint or a number.
pub(crate) fn peer_from_js(value: &JsValue) -> Result<u64, JsValue> {
    let refuse = || error::invalid("expected a peer id: a decimal string, a bigint or a number from 0 to 2^64 - 2");
    let peer = if let Some(text) = value.as_string() {
        text.parse().map_err(|_| refuse())?
    } else if let Some(number) = value.as_f64() {
        number as u64
    } else if value.is_bigint() {
        let text = value.unchecked_ref::<BigInt>().to_string(10).map_err(|_| refuse())?;
        String::from(text).parse().map_err(|_| refuse())?
    } else {
        return Err(refuse());
    };
    if peer == u64::MAX { Err(refuse()) } else { Ok(peer) }
}

/// Reads a version vector that is part of an argument, by its encoding.
pub(super) fn version_from_js(value: &JsValue) -> Result<VersionVector, JsValue> {
    Ok(JsVersionVector::decode(&encoded(value, "a VersionVector")?)?.to_inner())
}

/// Returns what the `encode` method of an argument returns: an object of another copy of the module is no danger so.
pub(super) fn encoded(value: &JsValue, expected: &str) -> Result<Vec<u8>, JsValue> {
    let refuse = || error::invalid(&format!("expected {expected}"));
    let encode: Function = get(value, "encode").and_then(|encode| encode.dyn_into().ok()).ok_or_else(refuse)?;
    let bytes: Uint8Array = encode.call0(value)?.dyn_into().map_err(|_| refuse())?;
    Ok(bytes.to_vec())
}

/// Makes -1, 0 or 1.
pub(super) fn order_to_js(order: Ordering) -> i32 {
    match order {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }
}

/// Makes the id of an operation.
pub(super) fn id_to_js(id: ID) -> JsValue {
    object(&[("peer", id.peer.to_string().into()), ("counter", id.counter.into())]).into()
}

/// Reads the id of an operation.
pub(super) fn id_from_js(value: &JsValue) -> Result<ID, JsValue> {
    let peer = get(value, "peer").and_then(|peer| peer.as_string()).and_then(|peer| peer.parse().ok());
    let counter = get(value, "counter").and_then(|counter| counter.as_f64());
    let (Some(peer), Some(counter)) = (peer, counter) else {
        return Err(error::invalid("expected the id of an operation: { peer: \"…\", counter: … }"));
    };
    Ok(ID::new(peer, counter as i32))
}

/// Makes the list of op ids that loro-crdt calls frontiers.
pub(crate) fn frontiers_to_js(frontiers: &Frontiers) -> JsValue {
    frontiers.iter().map(id_to_js).collect::<Array>().into()
}

/// Reads a list of op ids.
pub(super) fn ids_from_js(value: &JsValue) -> Result<Vec<ID>, JsValue> {
    if !Array::is_array(value) {
        return Err(error::invalid("expected frontiers: an array of { peer: \"…\", counter: … }"));
    }
    Array::from(value).iter().map(|id| id_from_js(&id)).collect()
}

/// Reads a list of op ids as a version.
pub(super) fn frontiers_from_js(value: &JsValue) -> Result<Frontiers, JsValue> {
    ids_from_js(value).map(Frontiers::from)
}

/// Reads a number of operations.
pub(super) fn count_from_js(span: &JsValue, key: &str) -> Result<i32, JsValue> {
    let count = get(span, key).and_then(|count| count.as_f64());
    count.map(|count| count as i32).ok_or_else(|| error::invalid(&format!("expected a span of operations with {key:?}, a number")))
}

#[wasm_bindgen(js_class = "VersionVector")]
impl JsVersionVector {
    /// Makes one of a Map from peer id to counter, of its encoding, or an empty one.
    #[wasm_bindgen(constructor)]
    pub fn new(value: &JsValue) -> Result<JsVersionVector, JsValue> {
        // An array of entries is none, except that it has nothing to be refused when it is empty: so it is in the engine's own package.
        if value.is_null() || value.is_undefined() || value.dyn_ref::<Array>().is_some_and(|array| array.length() == 0) {
            return Ok(Self::from_inner(VersionVector::new()));
        }
        if let Some(bytes) = value.dyn_ref::<Uint8Array>() {
            return Self::decode(&bytes.to_vec());
        }
        if !value.is_instance_of::<Map>() && get(value, "encode").is_some() {
            return version_from_js(value).map(Self::from_inner);
        }
        Self::parse_json(value)
    }

    /// Makes one of a Map from peer id to counter.
    #[wasm_bindgen(js_name = parseJSON)]
    pub fn parse_json(value: &JsValue) -> Result<JsVersionVector, JsValue> {
        let map = value.dyn_ref::<Map>().ok_or_else(|| error::invalid("expected a Map from peer id to counter"))?;
        let mut version = VersionVector::new();
        let mut failed = None;
        map.for_each(&mut |counter, peer| match (peer_from_js(&peer), counter.as_f64()) {
            (Ok(peer), Some(counter)) => {
                version.insert(peer, counter as i32);
            }
            (Err(error), _) => failed = Some(error),
            (_, None) => failed = Some(error::invalid("a counter is a number")),
        });
        failed.map_or(Ok(Self::from_inner(version)), Err)
    }

    /// Returns a Map from peer id to counter.
    #[wasm_bindgen(js_name = toJSON)]
    pub fn to_json(&self) -> Map {
        let map = Map::new();
        for (peer, counter) in self.0.borrow().iter() {
            map.set(&peer.to_string().into(), &(*counter).into());
        }
        map
    }

    /// Encodes it.
    pub fn encode(&self) -> Vec<u8> {
        self.0.borrow().encode()
    }

    /// Decodes what `encode` wrote.
    pub fn decode(bytes: &[u8]) -> Result<JsVersionVector, JsValue> {
        let version = crate::VersionVector::decode(bytes).map_err(|_| error::decode("these are not the bytes of a version vector"))?;
        let mut out = VersionVector::new();
        for (peer, counter) in version.iter() {
            out.insert(peer, counter);
        }
        Ok(Self::from_inner(out))
    }

    /// Returns how many operations of a peer are known.
    pub fn get(&self, peer_id: &JsValue) -> Result<Option<i32>, JsValue> {
        Ok(self.0.borrow().get(&peer_from_js(peer_id)?).copied())
    }

    /// Returns -1, 0 or 1; undefined when each knows something the other does not.
    pub fn compare(&self, other: &JsVersionVector) -> Option<i32> {
        self.0.borrow().partial_cmp(&other.0.borrow()).map(order_to_js)
    }

    /// Returns the number of peers.
    pub fn length(&self) -> usize {
        self.0.borrow().len()
    }

    /// Forgets a peer.
    #[cfg(feature = "full")]
    pub fn remove(&self, peer: &JsValue) -> Result<(), JsValue> {
        self.0.borrow_mut().remove(&peer_from_js(peer)?);
        Ok(())
    }

    /// Makes it know a peer up to but without an operation.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = setEnd)]
    pub fn set_end(&self, id: &JsValue) -> Result<(), JsValue> {
        self.0.borrow_mut().set_end(id_from_js(id)?);
        Ok(())
    }

    /// Makes it know a peer up to an operation.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = setLast)]
    pub fn set_last(&self, id: &JsValue) -> Result<(), JsValue> {
        self.0.borrow_mut().set_last(id_from_js(id)?);
        Ok(())
    }
}
