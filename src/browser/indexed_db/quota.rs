//! What the browser grants: room, and whether it keeps what is stored.
//!
//! Decides when the browser is asked. Never touches the database.

use js_sys::{Array, Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::runtime::{AdapterContext, StorageNotice};

/// Something was stored: asks the browser to keep it, tells what it says, and remembers that there is a database of that name.
pub(super) fn keep(context: &AdapterContext, name: &str, birth: Option<&str>) {
    if let Some(birth) = birth {
        remember(name, birth);
    }
    let told = context.clone();
    spawn_local(async move {
        // A worker may only look.
        let kept = match ask("persisted").await.and_then(|kept| kept.as_bool()) {
            Some(true) => Some(true),
            looked => ask("persist").await.and_then(|kept| kept.as_bool()).or(looked),
        };
        if let Some(kept) = kept {
            told.notice(StorageNotice::Persistence(kept));
        }
    });
    tell_room(context);
}

/// Tells how much is used, and how much there may be.
pub(super) fn tell_room(context: &AdapterContext) {
    let context = context.clone();
    spawn_local(async move {
        let Some(estimate) = ask("estimate").await else { return };
        let number = |key: &str| Reflect::get(&estimate, &key.into()).ok().and_then(|value| value.as_f64()).map(|bytes| bytes as u64);
        if let (Some(usage), Some(quota)) = (number("usage"), number("quota")) {
            context.notice(StorageNotice::Room { usage, quota });
        }
    });
}

/// Calls a method of `navigator.storage`; `None` where that is not there or fails.
async fn ask(method: &str) -> Option<JsValue> {
    let field = |of: &JsValue, key: &str| Reflect::get(of, &key.into()).ok().filter(|value| !value.is_undefined() && !value.is_null());
    let storage = field(&field(&js_sys::global(), "navigator")?, "storage")?;
    let method: Function = field(&storage, method)?.dyn_into().ok()?;
    let answer: Promise = method.call0(&storage).ok()?.dyn_into().ok()?;
    JsFuture::from(answer).await.ok()
}

/// Returns which database of that name something was stored in last, as far as that is remembered: not in a worker.
pub(super) fn remembered(name: &str) -> Option<String> {
    notebook("getItem", &[entry(name)])?.as_string()
}

fn remember(name: &str, birth: &str) {
    let _ = notebook("setItem", &[entry(name), birth.into()]);
}

fn entry(name: &str) -> JsValue {
    format!("corella:{name}").into()
}

/// Calls a method of `localStorage`, which may be missing or forbidden.
fn notebook(method: &str, arguments: &[JsValue]) -> Option<JsValue> {
    let storage = Reflect::get(&js_sys::global(), &"localStorage".into()).ok().filter(JsValue::is_object)?;
    let method: Function = Reflect::get(&storage, &method.into()).ok()?.dyn_into().ok()?;
    method.apply(&storage, &arguments.iter().collect::<Array>()).ok()
}
