//! Free functions of the document API.

use wasm_bindgen::prelude::*;

use super::{
    value::{is_handle, object},
    version::{JsVersionVector, frontiers_from_js, frontiers_to_js},
};
use crate::js::error;

/// Returns the engine's version.
#[wasm_bindgen(js_name = LORO_VERSION, skip_typescript)]
#[must_use]
pub fn loro_version() -> String {
    loro::LORO_VERSION.to_owned()
}

/// Returns whether a value is a container handle.
#[wasm_bindgen(js_name = isContainer, skip_typescript)]
#[must_use]
pub fn is_container(value: &JsValue) -> bool {
    is_handle(value) && js_sys::Reflect::has(value, &"__lend".into()).unwrap_or(false)
}

/// Returns whether a text is a container id.
#[wasm_bindgen(js_name = isContainerId, skip_typescript)]
#[must_use]
pub fn is_container_id(text: &str) -> bool {
    loro::ContainerID::try_from(text).is_ok()
}

/// Returns whether a text is a container id.
#[wasm_bindgen(js_name = isValidContainerId, skip_typescript)]
#[must_use]
pub fn is_valid_container_id(text: &str) -> bool {
    is_container_id(text)
}

/// Tells what an export holds without importing it.
#[wasm_bindgen(js_name = decodeImportBlobMeta, skip_typescript)]
pub fn decode_import_blob_meta(blob: &[u8], check_checksum: bool) -> Result<JsValue, JsValue> {
    let meta = loro::LoroDoc::decode_import_blob_meta(blob, check_checksum).map_err(|error| error::decode(&error.to_string()))?;
    let version = |vv: loro::VersionVector| JsValue::from(JsVersionVector::from_inner(vv));
    Ok(object(&[
        ("partialStartVersionVector", version(meta.partial_start_vv)),
        ("partialEndVersionVector", version(meta.partial_end_vv)),
        ("startFrontiers", frontiers_to_js(&meta.start_frontiers)),
        ("startTimestamp", JsValue::from_f64(meta.start_timestamp as f64)),
        ("endTimestamp", JsValue::from_f64(meta.end_timestamp as f64)),
        ("mode", JsValue::from_str(&meta.mode.to_string())),
        ("changeNum", meta.change_num.into()),
    ])
    .into())
}

/// Encodes frontiers.
#[wasm_bindgen(js_name = encodeFrontiers, skip_typescript)]
pub fn encode_frontiers(frontiers: &JsValue) -> Result<Vec<u8>, JsValue> {
    Ok(frontiers_from_js(frontiers)?.encode())
}

/// Decodes what `encodeFrontiers` wrote.
#[wasm_bindgen(js_name = decodeFrontiers, skip_typescript)]
pub fn decode_frontiers(bytes: &[u8]) -> Result<JsValue, JsValue> {
    let frontiers = loro::Frontiers::decode(bytes).map_err(|_| error::decode("these are not the bytes of frontiers"))?;
    Ok(frontiers_to_js(&frontiers))
}
