//! `VersionVector`.

use std::{cmp::Ordering, panic::AssertUnwindSafe};

use js_sys::{BigInt, Map};
use loro::VersionVector;
use wasm_bindgen::{JsCast, prelude::*};

use crate::js::error;

/// How many operations of each author are known.
#[wasm_bindgen(js_name = VersionVector, skip_typescript)]

impl JsVersionVector {
    pub(crate) fn from_inner(version: VersionVector) -> Self {
        Self(AssertUnwindSafe(version))
    }
}

/// Reads a peer id: a decimal string, a bigint or a number.
pub(super) fn peer_from_js(value: &JsValue) -> Result<u64, JsValue> {
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

#[wasm_bindgen(js_class = "VersionVector")]
impl JsVersionVector {
    /// Makes one of a Map from peer id to counter, of its encoding, or an empty one.
    #[wasm_bindgen(constructor)]
    pub fn new(value: &JsValue) -> Result<JsVersionVector, JsValue> {
        if value.is_null() || value.is_undefined() {
            return Ok(Self::from_inner(VersionVector::new()));
        }
        if let Some(bytes) = value.dyn_ref::<js_sys::Uint8Array>() {
            return Self::decode(&bytes.to_vec());
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
        for (peer, counter) in self.0.iter() {
            map.set(&peer.to_string().into(), &(*counter).into());
        }
        map
    }

    /// Encodes it.
    pub fn encode(&self) -> Vec<u8> {
        self.0.encode()
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
        Ok(self.0.get(&peer_from_js(peer_id)?).copied())
    }

    /// Returns -1, 0 or 1; undefined when each knows something the other does not.
    pub fn compare(&self, other: &JsVersionVector) -> Option<i32> {
        self.0.partial_cmp(&*other.0).map(|order| match order {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        })
    }

    /// Returns the number of peers.
    pub fn length(&self) -> usize {
        self.0.len()
    }
}
