//! `LoroDoc`: its history, version by version and change by change.

use std::ops::ControlFlow;

use js_sys::{Array, Function, Map};
use loro::{ChangeMeta, VersionVector};
use wasm_bindgen::{JsCast, prelude::*};

use super::{
    doc::JsLoroDoc,
    event::follow,
    modifier,
    value::{object, set},
    version::{JsVersionVector, frontiers_from_js, frontiers_to_js, id_from_js, ids_from_js, order_to_js, peer_from_js},
};
use crate::js::{error, events};

/// Describes a change.
pub(crate) fn change_to_js(change: &ChangeMeta) -> JsValue {
    object(&[
        ("lamport", change.lamport.into()),
        ("length", change.len.into()),
        ("peer", change.id.peer.to_string().into()),
        ("counter", change.id.counter.into()),
        ("deps", frontiers_to_js(&change.deps)),
        ("timestamp", JsValue::from_f64(change.timestamp as f64)),
        ("message", change.message.as_deref().map_or(JsValue::UNDEFINED, JsValue::from_str)),
    ])
    .into()
}

#[wasm_bindgen(js_class = "LoroDoc")]
impl JsLoroDoc {
    /// Returns all changes by peer.
    #[wasm_bindgen(js_name = getAllChanges)]
    pub fn all_changes(&self) -> Map {
        let mut changes = Vec::new();
        self.doc().with_oplog(|oplog| oplog.change_store().visit_all_changes(&mut |change| changes.push(ChangeMeta::from_change(change))));
        let all = Map::new();
        for change in &changes {
            let peer = change.id.peer.to_string().into();
            let of_peer = all.get(&peer).dyn_into().unwrap_or_else(|_| Array::new());
            of_peer.push(&change_to_js(change));
            all.set(&peer, &of_peer);
        }
        all
    }

    /// Returns the change an operation is in.
    #[wasm_bindgen(js_name = getChangeAt)]
    pub fn change_at(&self, id: &JsValue) -> Result<JsValue, JsValue> {
        let id = id_from_js(id)?;
        let found = self.doc().get_change(id).ok_or_else(|| error::invalid(&format!("there is no operation {id}")))?;
        Ok(change_to_js(&found))
    }

    /// Returns the last change of a peer that began at a Lamport time or before; undefined if there is none.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = getChangeAtLamport)]
    pub fn change_at_lamport(&self, peer: &JsValue, lamport: u32) -> Result<JsValue, JsValue> {
        let peer = peer_from_js(peer)?;
        let found = self.doc().with_oplog(|oplog| {
            let change = oplog.get_change_with_lamport_lte(peer, lamport)?;
            Some(ChangeMeta::from_change(&change))
        });
        Ok(found.map_or(JsValue::UNDEFINED, |change| change_to_js(&change)))
    }

    /// Calls `visitor` with changes and what they depend on, latest first, until it returns false.
    #[wasm_bindgen(js_name = travelChangeAncestors)]
    pub fn travel_change_ancestors(&self, ids: &JsValue, visitor: &Function) -> Result<(), JsValue> {
        let ids = ids_from_js(ids)?;
        let travelled = self.doc().travel_change_ancestors(&ids, &mut |change| {
            match visitor.call1(&JsValue::UNDEFINED, &change_to_js(&change)) {
                Ok(more) if more.as_bool() == Some(false) => return ControlFlow::Break(()),
                Ok(_) => {}
                Err(error) => events::report(&error),
            }
            ControlFlow::Continue(())
        });
        events::drain();
        travelled.map_err(|error| error::engine(&error))
    }

    /// Returns the ids of the containers that operations changed.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = getChangedContainersIn)]
    pub fn changed_containers_in(&self, id: &JsValue, len: usize) -> Result<Array, JsValue> {
        let found = self.doc().try_get_changed_containers_in(id_from_js(id)?, len);
        events::drain();
        let found = found.map_err(|error| error::engine(&error))?;
        Ok(found.iter().map(|id| JsValue::from_str(&id.to_string())).collect())
    }

    /// Returns the operations only the one and only the other of two versions has.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = findIdSpansBetween)]
    pub fn id_spans_between(&self, from: &JsValue, to: &JsValue) -> Result<JsValue, JsValue> {
        let (from, to) = (frontiers_from_js(from)?, frontiers_from_js(to)?);
        let found = self.doc().try_find_id_spans_between(&from, &to).map_err(|error| error::engine(&error))?;
        let span = |peer: u64, start: i32, end: i32| {
            JsValue::from(object(&[("peer", peer.to_string().into()), ("counter", start.into()), ("length", (end - start).into())]))
        };
        let retreat: Array = found.retreat.iter().map(|(peer, range)| span(*peer, range.start, range.end)).collect();
        let forward: Array = found.forward.iter().map(|(peer, range)| span(*peer, range.start, range.end)).collect();
        Ok(object(&[("retreat", retreat.into()), ("forward", forward.into())]).into())
    }

    /// Returns -1, 0 or 1: everything known is before, at or after a version, or beside it, which counts as before.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = cmpWithFrontiers)]
    pub fn compare_with(&self, frontiers: &JsValue) -> Result<i32, JsValue> {
        Ok(order_to_js(self.doc().cmp_with_frontiers(&frontiers_from_js(frontiers)?)))
    }

    /// Returns -1, 0 or 1; undefined when each version has something the other has not.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = cmpFrontiers)]
    pub fn compare(&self, a: &JsValue, b: &JsValue) -> Result<Option<i32>, JsValue> {
        let order = self.doc().cmp_frontiers(&frontiers_from_js(a)?, &frontiers_from_js(b)?);
        order.map(|order| order.map(order_to_js)).map_err(|error| error::engine(&error))
    }

    /// Makes edits that bring back a version.
    #[wasm_bindgen(js_name = revertTo)]
    pub fn revert_to(&self, frontiers: &JsValue) -> Result<(), JsValue> {
        follow(Some(self.engine()));
        let reverted = self.doc().revert_to(&frontiers_from_js(frontiers)?);
        events::drain();
        reverted.map_err(|error| error::engine(&error))
    }

    /// Returns whether the history does not reach back to the beginning.
    #[wasm_bindgen(js_name = isShallow)]
    pub fn is_shallow(&self) -> bool {
        self.doc().is_shallow()
    }

    /// Returns the version the history begins with.
    #[wasm_bindgen(js_name = shallowSinceVV)]
    pub fn shallow_since(&self) -> JsVersionVector {
        JsVersionVector::from_inner(VersionVector::from_im_vv(&self.doc().shallow_since_vv()))
    }

    /// Returns the version the history begins with.
    #[wasm_bindgen(js_name = shallowSinceFrontiers)]
    pub fn shallow_since_frontiers(&self) -> JsValue {
        frontiers_to_js(&self.doc().shallow_since_frontiers())
    }

    /// Exports what was imported and waits for operations it depends on; undefined if nothing does.
    #[wasm_bindgen(js_name = exportPendingUpdates)]
    pub fn export_pending_updates(&self) -> Result<Option<Vec<u8>>, JsValue> {
        self.doc().export_pending_updates().map_err(|error| error::engine(&error))
    }

    /// Writes the size of the history to the console.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = debugHistory)]
    pub fn debug_history(&self) {
        let size = self.doc().with_oplog(|oplog| format!("{:#?}", oplog.diagnose_size()));
        web_sys::console::log_1(&size.into());
    }

    /// Calls `listener({ peer })` when a peer makes its first commit here; returns the function that ends it.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = subscribeFirstCommitFromPeer)]
    pub fn subscribe_first_commit(&self, listener: Function) -> JsValue {
        let id = events::keep(listener);
        let subscription = self.doc().subscribe_first_commit_from_peer(Box::new(move |first| {
            if let Some(listener) = events::listener(id) {
                events::enqueue1(listener, &object(&[("peer", first.peer.to_string().into())]));
            }
            true
        }));
        events::unsubscriber(id, subscription)
    }

    /// Calls `listener({ changeMeta, origin, modifier })` inside every commit, which may only read and use the modifier;
    /// returns the function that ends it.
    #[wasm_bindgen(js_name = subscribePreCommit)]
    pub fn subscribe_pre_commit(&self, listener: Function) -> JsValue {
        let id = events::keep(listener);
        let subscription = self.doc().subscribe_pre_commit(Box::new(move |commit| {
            if let Some(listener) = events::listener(id) {
                let payload = object(&[("changeMeta", change_to_js(&commit.change_meta)), ("origin", commit.origin.as_str().into())]);
                set(&payload, "modifier", &modifier::JsChangeModifier::from_inner(commit.modifier.clone()).into());
                if let Err(error) = modifier::inside_commit(|| listener.call1(&JsValue::UNDEFINED, &payload)) {
                    events::report(&error);
                }
            }
            true
        }));
        events::unsubscriber(id, subscription)
    }
}
