//! The document behind the package's `DocHandle` class.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;

use super::{
    ephemeral::WasmEphemeral,
    error, events,
    loro::{JsLoroDoc, JsVersionVector, change_to_js, frontiers_to_js, object, peer_from_js, set},
    repo::promise,
};
use crate::runtime::{DocHandle, Durability, HistoryPlace, ReadyState, ReadyStatus, SyncKind, WaitOptions};

/// An open document.
#[wasm_bindgen(skip_typescript)]
pub struct WasmDocHandle(AssertUnwindSafe<DocHandle>);

impl WasmDocHandle {
    pub(super) fn from_inner(handle: DocHandle) -> Self {
        Self(AssertUnwindSafe(handle))
    }
}

#[wasm_bindgen]
impl WasmDocHandle {
    /// Makes the handle's `LoroDoc`; the caller keeps the one it got. Its commits carry their time.
    pub fn doc(&self) -> JsLoroDoc {
        let doc = self.0.doc();
        doc.set_record_timestamp(true);
        let doc = JsLoroDoc::from_inner(doc);
        // A document the page keeps must not hold what its handle has let go.
        let handle = self.0.downgrade();
        doc.on_touch(Rc::new(move || {
            if let Some(handle) = handle.upgrade() {
                handle.touch();
            }
        }));
        doc
    }

    /// What has become of the document, in one call since every edit asks: 1 if it was deleted or its repo closed, 2 if the engine panicked
    /// in it, and 4 for each time another has taken its place, of which `doc` makes the last.
    #[wasm_bindgen(getter)]
    pub fn state(&self) -> u32 {
        u32::from(self.0.is_gone()) | u32::from(self.0.is_lost()) << 1 | self.0.renewals() << 2
    }

    #[doc(hidden)]
    #[wasm_bindgen(js_name = __lose)]
    pub fn lose(&self, message: &str) -> bool {
        super::panics::lose(self.0.doc().inner(), message)
    }

    /// How every peer stands to the document.
    #[wasm_bindgen(js_name = readyStates)]
    pub fn ready_states(&self) -> Array {
        self.0.ready_states().iter().map(state_to_js).collect()
    }

    /// Waits for a peer's confirmation; no `timeout` waits for ever.
    #[wasm_bindgen(js_name = waitForSync)]
    pub fn wait_for_sync(&self, storage: bool, timeout: Option<f64>) -> Promise {
        let kind = if storage { SyncKind::Storage } else { SyncKind::Network };
        let waiting = promise(self.0.wait_for_sync(WaitOptions { kind, timeout_ms: timeout.map(|ms| ms as u64) }));
        events::drain();
        waiting
    }

    /// Waits until what is here now is as safe as `level` says; no `timeout` waits for ever.
    #[wasm_bindgen(js_name = whenDurable)]
    pub fn when_durable(&self, level: &str, timeout: Option<f64>) -> Result<Promise, JsValue> {
        let level = Durability::named(level).ok_or_else(|| error::invalid(r#"a level is "memory", "disk", "hub" or "hub-disk""#))?;
        let waiting = promise(self.0.when_durable(level, timeout.map(|ms| ms as u64)));
        events::drain();
        Ok(waiting)
    }

    /// How safe what is here now is.
    #[wasm_bindgen(getter)]
    pub fn durability(&self) -> String {
        self.0.durability().as_str().to_owned()
    }

    /// The number of operations here that no other machine has confirmed.
    #[wasm_bindgen(getter)]
    pub fn unsynced(&self) -> f64 {
        self.0.unsynced() as f64
    }

    /// How many changes the document's history has.
    #[wasm_bindgen(getter, js_name = historyLength)]
    pub fn history_length(&self) -> usize {
        self.0.history().len()
    }

    /// The Lamport time after the newest operation.
    #[wasm_bindgen(getter, js_name = historyEnd)]
    pub fn history_end(&self) -> u32 {
        self.0.history().end()
    }

    /// At most `limit` changes, the newest first: all, or those before an author's at a Lamport time.
    #[wasm_bindgen(js_name = historyPage)]
    pub fn history_page(&self, author: &JsValue, lamport: u32, limit: usize) -> Result<Array, JsValue> {
        let before = match author.is_undefined() {
            true => None,
            false => Some(HistoryPlace { lamport, author: peer_from_js(author)? }),
        };
        Ok(self.0.history().page(before, limit).iter().map(change_to_js).collect())
    }

    /// The version of all operations before a Lamport time.
    #[wasm_bindgen(js_name = historyAt)]
    pub fn history_at(&self, lamport: u32) -> JsValue {
        frontiers_to_js(&self.0.history().at(lamport))
    }

    /// Opens a namespace of the ephemeral state.
    pub fn ephemeral(&self, namespace: &str) -> WasmEphemeral {
        WasmEphemeral::from_inner(self.0.ephemeral(namespace))
    }

    /// Says that the application is done with the document.
    pub fn close(&self) {
        self.0.close();
        events::drain();
    }
}

fn state_to_js(state: &ReadyState) -> JsValue {
    let status = match state.state {
        ReadyStatus::Pending => "pending",
        ReadyStatus::Synced => "synced",
        ReadyStatus::Absent => "absent",
    };
    let out = object(&[("peerId", state.peer.as_str().into()), ("kind", state.kind.as_str().into()), ("state", status.into())]);
    if let Some(version) = &state.version {
        let mut vector = loro::VersionVector::new();
        for (author, end) in version.iter() {
            vector.insert(author, end);
        }
        set(&out, "version", &JsVersionVector::from_inner(vector).into());
    }
    out.into()
}
