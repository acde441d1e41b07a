//! Collections of records behind the package's `repo.collection()`.

use std::panic::AssertUnwindSafe;

use js_sys::{Array, Function, JSON, Promise};
use loro::LoroValue;
use wasm_bindgen::prelude::*;

use super::{
    error, events,
    loro::{from_js, object, to_js},
    options::{device_to_js, owned},
    repo::{promise, to_promise},
};
use crate::{
    browser::env::contained,
    protocol::Device,
    runtime::{Collection, CollectionKind, ErrorCode, LocalBoxFuture, RecordChange, RecordFilter, RecordInfo, Repo, RepoError},
    synchronizer::Durability,
};

/// A collection.
#[wasm_bindgen(skip_typescript)]
pub struct WasmCollection(AssertUnwindSafe<Collection>);

/// Makes a promise of a value.
fn promised(work: LocalBoxFuture<Result<JsValue, RepoError>>) -> Promise {
    let promise = to_promise(async move {
        let done = contained(work).await.unwrap_or_else(|message| Err(RepoError::new(ErrorCode::Panic, message)));
        events::drain();
        done.map_err(|error| error::to_js(&error))
    });
    events::drain();
    promise
}

fn device_from_js(device: Option<String>) -> Option<Device> {
    // The package has checked it.
    device.and_then(|digits| u64::from_str_radix(&digits, 16).ok()).map(Device)
}

fn change_to_js(change: &RecordChange) -> JsValue {
    let out = object(&[("key", (&*change.key).into()), ("deleted", change.deleted.into()), ("local", change.local.into())]);
    owned(&out, change.owner);
    out.into()
}

fn info_to_js(info: &RecordInfo) -> JsValue {
    let out = object(&[("key", (&*info.key).into()), ("value", to_js(&info.value))]);
    owned(&out, info.owner);
    out.into()
}

impl WasmCollection {
    pub(super) fn open(repo: &Repo, name: &str, shared: bool) -> Result<Self, JsValue> {
        let kind = if shared { CollectionKind::Shared } else { CollectionKind::Owned };
        let opened = repo.collection(name, kind).map_err(|error| error::to_js(&error));
        events::drain();
        opened.map(|collection| Self(AssertUnwindSafe(collection)))
    }
}

#[wasm_bindgen]
impl WasmCollection {
    /// Reads a record.
    pub fn get(&self, key: &str, owner: Option<String>) -> Promise {
        let reading = self.0.get(key, device_from_js(owner));
        promised(Box::pin(async move { Ok(reading.await?.as_ref().map_or(JsValue::UNDEFINED, to_js)) }))
    }

    /// Writes a record: `how` is "put", "insert" or "update".
    pub fn write(&self, how: &str, key: &str, value: &JsValue) -> Result<Promise, JsValue> {
        let value: LoroValue = from_js(value)?;
        let written = promise(match how {
            "insert" => self.0.insert(key, &value),
            "update" => self.0.update(key, &value),
            _ => self.0.put(key, &value),
        });
        events::drain();
        Ok(written)
    }

    /// Deletes a record, and tells whether it was there.
    pub fn delete(&self, key: &str) -> Promise {
        let deleting = self.0.delete(key);
        promised(Box::pin(async move { Ok(deleting.await?.into()) }))
    }

    /// Lists records, with values or without.
    pub fn entries(&self, owner: Option<String>, prefix: Option<String>, limit: Option<f64>, values: bool) -> Promise {
        let limit = limit.map(|limit| limit as usize);
        let listing = self.0.texts(RecordFilter { owner: device_from_js(owner), prefix, limit }, values);
        promised(Box::pin(async move {
            let listed = listing.await?;
            let mut out = Array::new();
            for text in &listed.texts {
                let part = JSON::parse(text).map_err(|_| RepoError::new(ErrorCode::Decode, "the list of records cannot be parsed"))?;
                out = if out.length() == 0 { part.into() } else { out.concat(&part.into()) };
            }
            listed.others.iter().for_each(|(place, info)| out.set(*place as u32, info_to_js(info)));
            Ok(out.into())
        }))
    }

    /// Calls `listener` with every change; returns the function that ends it.
    pub fn subscribe(&self, listener: Function) -> JsValue {
        let id = events::keep(listener);
        let subscription = self.0.subscribe(move |changes| {
            if let Some(listener) = events::listener(id) {
                events::enqueue1(listener, &changes.iter().map(change_to_js).collect::<Array>().into());
            }
        });
        events::unsubscriber(id, subscription)
    }

    /// How safe all records are.
    pub fn durability(&self) -> Promise {
        let asking = self.0.durability();
        promised(Box::pin(async move { Ok(asking.await?.as_str().into()) }))
    }

    /// Waits until all records are as safe as `level` says; no `timeout` waits for ever.
    #[wasm_bindgen(js_name = whenDurable)]
    pub fn when_durable(&self, level: &str, timeout: Option<f64>) -> Result<Promise, JsValue> {
        let level = Durability::named(level).ok_or_else(|| error::invalid(r#"a level is "memory", "disk", "hub" or "hub-disk""#))?;
        let waiting = promise(self.0.when_durable(level, timeout.map(|ms| ms as u64)));
        events::drain();
        Ok(waiting)
    }
}

/// Gives the device.
pub(super) fn device(repo: &Repo) -> Promise {
    let asking = repo.device();
    promised(Box::pin(async move { asking.await.map(device_to_js) }))
}
