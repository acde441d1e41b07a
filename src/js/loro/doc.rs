//! `LoroDoc`.

use std::{borrow::Cow, cell::RefCell, panic::AssertUnwindSafe, rc::Rc};

use js_sys::{Array, Function, Map, Reflect, Uint8Array};
use loro::{
    CommitOptions, ContainerID, ContainerType, ExpandType, ExportMode, Frontiers, IdSpan, ImportStatus, LoroDoc, StyleConfig,
    StyleConfigMap, VersionRange, VersionVector,
};
use wasm_bindgen::{JsCast, prelude::*};

use super::{
    container::container_to_js,
    counter::JsLoroCounter,
    cursor::JsCursor,
    event,
    list::JsLoroList,
    map::JsLoroMap,
    movable_list::JsLoroMovableList,
    plain::plain,
    text::{JsLoroText, to_utf16},
    tree::JsLoroTree,
    value::{either_to_js, get, object, to_js},
    version::{JsVersionVector, count_from_js, frontiers_from_js, frontiers_to_js, id_from_js, peer_from_js, version_from_js},
};
use crate::js::{error, events};

type Touch = Rc<dyn Fn()>;

struct Inner {
    doc: LoroDoc,
    /// Told after an import by the application, which no commit announces.
    touched: RefCell<Option<Touch>>,
}

/// A document.
#[wasm_bindgen(js_name = LoroDoc, skip_typescript)]
pub struct JsLoroDoc(AssertUnwindSafe<Rc<Inner>>);

impl Drop for Inner {
    fn drop(&mut self) {
        event::gone(&self.doc);
    }
}

impl JsLoroDoc {
    pub(crate) fn from_inner(doc: LoroDoc) -> Self {
        event::appeared(&doc);
        Self(AssertUnwindSafe(Rc::new(Inner { doc, touched: RefCell::new(None) })))
    }

    /// The engine's document.
    pub(crate) fn engine(&self) -> LoroDoc {
        self.0.doc.clone()
    }

    /// Calls `touched` after every import by the application.
    pub(crate) fn on_touch(&self, touched: Touch) {
        *self.0.touched.borrow_mut() = Some(touched);
    }

    pub(super) fn doc(&self) -> &LoroDoc {
        &self.0.doc
    }

    pub(super) fn imported(&self) {
        let touched = self.0.touched.borrow().clone();
        if let Some(touched) = touched {
            touched();
        }
        events::drain();
    }

    /// Reads a root name or the id of a container there is.
    fn existing(&self, key: &str, kind: ContainerType) -> Result<ContainerID, JsValue> {
        let id = Self::id(key, kind)?;
        if !self.doc().has_container(&id) {
            return Err(error::invalid(&format!("there is no {kind} {key:?}")));
        }
        Ok(id)
    }

    fn id(key: &str, kind: ContainerType) -> Result<ContainerID, JsValue> {
        if key.starts_with("cid:") {
            let id = container_id(key)?;
            if id.container_type() != kind {
                return Err(error::invalid(&format!("{key:?} is not the id of a {kind}")));
            }
            return Ok(id);
        }
        if key.contains(['/', '\0']) || key.is_empty() {
            return Err(error::invalid("Invalid root container name: it must not be empty and has no \"/\" or NUL"));
        }
        Ok(ContainerID::new_root(key, kind))
    }
}

/// Reads the id of a container.
pub(super) fn container_id(text: &str) -> Result<ContainerID, JsValue> {
    ContainerID::try_from(text).map_err(|_| error::invalid(&format!("{text:?} is not a container id")))
}

fn range_to_js(range: &VersionRange) -> Map {
    let map = Map::new();
    for (peer, (start, end)) in range.iter() {
        map.set(&peer.to_string().into(), &object(&[("start", (*start).into()), ("end", (*end).into())]));
    }
    map
}

pub(super) fn status_to_js(status: &ImportStatus) -> JsValue {
    let pending = status.pending.as_ref().map_or(JsValue::NULL, |pending| range_to_js(pending).into());
    object(&[("success", range_to_js(&status.success).into()), ("pending", pending)]).into()
}

fn commit_options(options: &JsValue) -> Result<CommitOptions, JsValue> {
    if !options.is_object() {
        return Err(error::invalid("the options of a commit are an object { origin, message, timestamp }"));
    }
    let mut out = CommitOptions::new();
    if let Some(origin) = get(options, "origin").and_then(|origin| origin.as_string()) {
        out = out.origin(&origin);
    }
    if let Some(message) = get(options, "message").and_then(|message| message.as_string()) {
        out = out.commit_msg(&message);
    }
    if let Some(timestamp) = get(options, "timestamp").and_then(|timestamp| timestamp.as_f64()) {
        out = out.timestamp(timestamp as i64);
    }
    Ok(out)
}

fn style(config: &JsValue) -> Result<StyleConfig, JsValue> {
    let expand = match get(config, "expand").and_then(|expand| expand.as_string()).as_deref() {
        Some("before") => ExpandType::Before,
        Some("after") => ExpandType::After,
        None => return Err(error::invalid("a style is an object { expand }, which is before, after, none or both")),
        Some("none") => ExpandType::None,
        Some("both") => ExpandType::Both,
        Some(other) => return Err(error::invalid(&format!("expand is before, after, none or both, not {other:?}"))),
    };
    Ok(StyleConfig { expand })
}

#[wasm_bindgen(js_class = "LoroDoc")]
impl JsLoroDoc {
    /// Makes an empty document with a random peer id.
    #[wasm_bindgen(constructor)]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::from_inner(LoroDoc::new())
    }

    #[doc(hidden)]
    #[wasm_bindgen(js_name = __lose)]
    pub fn lose(&self, message: &str) -> bool {
        crate::js::panics::lose(self.doc().inner(), message)
    }

    /// Makes a document of a snapshot.
    #[wasm_bindgen(js_name = fromSnapshot)]
    pub fn from_snapshot(snapshot: &[u8]) -> Result<JsLoroDoc, JsValue> {
        LoroDoc::from_snapshot(snapshot).map(Self::from_inner).map_err(|error| error::decode(&error.to_string()))
    }

    /// Returns a text by root name or id, made if there is none.
    #[wasm_bindgen(js_name = getText)]
    pub fn get_text(&self, key: &str) -> Result<JsLoroText, JsValue> {
        Ok(JsLoroText::from_inner(self.doc().get_text(self.existing(key, ContainerType::Text)?)))
    }

    /// Returns a map by root name or id, made if there is none.
    #[wasm_bindgen(js_name = getMap)]
    pub fn get_map(&self, key: &str) -> Result<JsLoroMap, JsValue> {
        Ok(JsLoroMap::from_inner(self.doc().get_map(self.existing(key, ContainerType::Map)?)))
    }

    /// Returns a list by root name or id, made if there is none.
    #[wasm_bindgen(js_name = getList)]
    pub fn get_list(&self, key: &str) -> Result<JsLoroList, JsValue> {
        Ok(JsLoroList::from_inner(self.doc().get_list(self.existing(key, ContainerType::List)?)))
    }

    /// Returns a movable list by root name or id, made if there is none.
    #[wasm_bindgen(js_name = getMovableList)]
    pub fn get_movable_list(&self, key: &str) -> Result<JsLoroMovableList, JsValue> {
        Ok(JsLoroMovableList::from_inner(self.doc().get_movable_list(self.existing(key, ContainerType::MovableList)?)))
    }

    /// Returns a tree by root name or id, made if there is none.
    #[wasm_bindgen(js_name = getTree)]
    pub fn get_tree(&self, key: &str) -> Result<JsLoroTree, JsValue> {
        Ok(JsLoroTree::from_inner(self.doc().get_tree(self.existing(key, ContainerType::Tree)?)))
    }

    /// Returns a counter by root name or id, made if there is none.
    #[wasm_bindgen(js_name = getCounter)]
    pub fn get_counter(&self, key: &str) -> Result<JsLoroCounter, JsValue> {
        Ok(JsLoroCounter::from_inner(self.doc().get_counter(self.existing(key, ContainerType::Counter)?)))
    }

    /// Returns a container by id; undefined if there is none.
    #[wasm_bindgen(js_name = getContainerById)]
    pub fn get_container_by_id(&self, id: &str) -> Result<JsValue, JsValue> {
        let id = container_id(id)?;
        let found = if self.doc().has_container(&id) { self.doc().get_container(id) } else { None };
        Ok(found.map_or(JsValue::UNDEFINED, container_to_js))
    }

    /// Returns whether a container exists.
    #[wasm_bindgen(js_name = hasContainer)]
    pub fn has_container(&self, id: &str) -> bool {
        ContainerID::try_from(id).is_ok_and(|id| self.doc().has_container(&id))
    }

    /// Returns the keys, positions and node ids that lead to a container; undefined if there is none.
    #[wasm_bindgen(js_name = getPathToContainer)]
    pub fn path_to_container(&self, id: &str) -> Result<Option<Array>, JsValue> {
        Ok(self.doc().get_path_to_container(&container_id(id)?).map(|path| event::path_to_js(&path)))
    }

    /// Leaves root containers nobody filled out of `toJSON`.
    #[wasm_bindgen(js_name = setHideEmptyRootContainers)]
    pub fn set_hide_empty_root_containers(&self, hide: bool) {
        self.doc().set_hide_empty_root_containers(hide);
    }

    /// Empties a root container and leaves it out of `toJSON`.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = deleteRootContainer)]
    pub fn delete_root_container(&self, id: &str) -> Result<(), JsValue> {
        let id = container_id(id)?;
        event::follow(Some(self.engine()));
        self.doc().delete_root_container(id);
        Ok(())
    }

    /// Returns what is at a path such as `"list/0/key"`; undefined if nothing is.
    #[wasm_bindgen(js_name = getByPath)]
    pub fn get_by_path(&self, path: &str) -> JsValue {
        self.doc().get_by_str_path(path).map_or(JsValue::UNDEFINED, either_to_js)
    }

    /// Ends the pending edits as one commit and delivers their events.
    pub fn commit(&self, options: &JsValue) -> Result<(), JsValue> {
        if options.is_null() || options.is_undefined() {
            self.doc().commit();
        } else {
            self.doc().commit_with(commit_options(options)?);
        }
        events::drain();
        Ok(())
    }

    /// Sets the message of the next commit.
    #[wasm_bindgen(js_name = setNextCommitMessage)]
    pub fn set_next_commit_message(&self, message: &str) {
        self.doc().set_next_commit_message(message);
    }

    /// Sets the origin of the next commit.
    #[wasm_bindgen(js_name = setNextCommitOrigin)]
    pub fn set_next_commit_origin(&self, origin: &str) {
        self.doc().set_next_commit_origin(origin);
    }

    /// Sets the timestamp of the next commit, in seconds.
    #[wasm_bindgen(js_name = setNextCommitTimestamp)]
    pub fn set_next_commit_timestamp(&self, timestamp: f64) {
        self.doc().set_next_commit_timestamp(timestamp as i64);
    }

    /// Sets the options of the next commit.
    #[wasm_bindgen(js_name = setNextCommitOptions)]
    pub fn set_next_commit_options(&self, options: &JsValue) -> Result<(), JsValue> {
        self.doc().set_next_commit_options(commit_options(options)?);
        Ok(())
    }

    /// Forgets the options of the next commit.
    #[wasm_bindgen(js_name = clearNextCommitOptions)]
    pub fn clear_next_commit_options(&self) {
        self.doc().clear_next_commit_options();
    }

    /// Returns the number of operations not committed yet.
    #[wasm_bindgen(js_name = getPendingTxnLength)]
    pub fn pending_length(&self) -> usize {
        self.doc().get_pending_txn_len()
    }

    /// Imports an export of any mode.
    pub fn import(&self, update_or_snapshot: &[u8]) -> Result<JsValue, JsValue> {
        let status = self.doc().import(update_or_snapshot).map_err(|error| error::decode(&error.to_string()));
        self.imported();
        status.map(|status| status_to_js(&status))
    }

    /// Imports several exports at once.
    #[wasm_bindgen(js_name = importBatch)]
    pub fn import_batch(&self, data: &Array) -> Result<JsValue, JsValue> {
        let blobs: Result<Vec<Vec<u8>>, JsValue> = data
            .iter()
            .map(|blob| {
                blob.dyn_into::<Uint8Array>().map(|bytes| bytes.to_vec()).map_err(|_| error::invalid("expected an array of Uint8Array"))
            })
            .collect();
        let status = self.doc().import_batch(&blobs?).map_err(|error| error::decode(&error.to_string()));
        self.imported();
        status.map(|status| status_to_js(&status))
    }

    /// Exports: `{ mode: "update", from? }`, `"snapshot"`, `"shallow-snapshot"` with `frontiers`, or `"updates-in-range"` with `spans`.
    pub fn export(&self, mode: &JsValue) -> Result<Vec<u8>, JsValue> {
        let name = get(mode, "mode").and_then(|name| name.as_string()).unwrap_or_default();
        let exported = match name.as_str() {
            "snapshot" => self.doc().export(ExportMode::Snapshot),
            "update" => {
                // `null` is refused: whoever meant a version would get everything.
                let from = Reflect::get(mode, &"from".into())?;
                let from = if from.is_undefined() { VersionVector::new() } else { version_from_js(&from)? };
                self.doc().export(ExportMode::updates(&from))
            }
            "shallow-snapshot" => {
                let frontiers: Frontiers = frontiers_from_js(&get(mode, "frontiers").unwrap_or_default())?;
                self.doc().export(ExportMode::ShallowSnapshot(Cow::Owned(frontiers)))
            }
            "updates-in-range" => {
                let spans = get(mode, "spans").ok_or_else(|| error::invalid("expected spans"))?;
                let span = |span: JsValue| {
                    let id = id_from_js(&get(&span, "id").unwrap_or_default())?;
                    Ok(IdSpan::new(id.peer, id.counter, id.counter.saturating_add(count_from_js(&span, "len")?)))
                };
                let spans: Result<Vec<IdSpan>, JsValue> = Array::from(&spans).iter().map(span).collect();
                self.doc().export(ExportMode::UpdatesInRange { spans: Cow::Owned(spans?) })
            }
            other => {
                return Err(error::invalid(&format!(
                    "{other:?} is no export mode: update, snapshot, shallow-snapshot or updates-in-range"
                )));
            }
        };
        events::drain();
        exported.map_err(|error| error::engine(&error))
    }

    /// Returns the version of the state shown.
    pub fn version(&self) -> JsVersionVector {
        JsVersionVector::from_inner(self.doc().state_vv())
    }

    /// Returns the version of everything known.
    #[wasm_bindgen(js_name = oplogVersion)]
    pub fn oplog_version(&self) -> JsVersionVector {
        JsVersionVector::from_inner(self.doc().oplog_vv())
    }

    /// Returns the frontiers of the state shown.
    pub fn frontiers(&self) -> JsValue {
        frontiers_to_js(&self.doc().state_frontiers())
    }

    /// Returns the frontiers of everything known.
    #[wasm_bindgen(js_name = oplogFrontiers)]
    pub fn oplog_frontiers(&self) -> JsValue {
        frontiers_to_js(&self.doc().oplog_frontiers())
    }

    /// Converts frontiers to a version vector.
    #[wasm_bindgen(js_name = frontiersToVV)]
    pub fn frontiers_to_vv(&self, frontiers: &JsValue) -> Result<JsVersionVector, JsValue> {
        let version = self.doc().frontiers_to_vv(&frontiers_from_js(frontiers)?);
        version.map(JsVersionVector::from_inner).ok_or_else(|| error::invalid("these frontiers are not in the document"))
    }

    /// Converts a version vector to frontiers.
    #[wasm_bindgen(js_name = vvToFrontiers)]
    pub fn vv_to_frontiers(&self, version: &JsVersionVector) -> JsValue {
        frontiers_to_js(&self.doc().vv_to_frontiers(&version.to_inner()))
    }

    /// Returns everything as plain values.
    #[wasm_bindgen(js_name = toJSON)]
    pub fn to_json(&self) -> JsValue {
        plain(&self.doc().get_deep_value())
    }

    /// Returns the ids of the root containers by name.
    #[wasm_bindgen(js_name = getShallowValue)]
    pub fn shallow_value(&self) -> JsValue {
        to_js(&self.doc().get_value())
    }

    /// Calls `listener` for every change; returns the function that ends it.
    pub fn subscribe(&self, listener: Function) -> JsValue {
        event::subscribe(self.doc(), listener)
    }

    /// Calls `listener` with the bytes of every local commit; returns the function that ends it.
    #[wasm_bindgen(js_name = subscribeLocalUpdates)]
    pub fn subscribe_local_updates(&self, listener: Function) -> JsValue {
        let id = events::keep(listener);
        let subscription = self.doc().subscribe_local_update(Box::new(move |bytes| {
            if let Some(listener) = events::listener(id) {
                events::enqueue1(listener, &Uint8Array::from(bytes.as_slice()));
            }
            true
        }));
        events::unsubscriber(id, subscription)
    }

    /// Returns the peer id new operations are made under.
    #[wasm_bindgen(getter, js_name = peerId)]
    pub fn peer_id(&self) -> u64 {
        self.doc().peer_id()
    }

    /// Returns it as a decimal string.
    #[wasm_bindgen(getter, js_name = peerIdStr)]
    pub fn peer_id_str(&self) -> String {
        self.doc().peer_id().to_string()
    }

    /// Sets it; pending edits are committed under the old one.
    #[wasm_bindgen(js_name = setPeerId)]
    pub fn set_peer_id(&self, peer_id: &JsValue) -> Result<(), JsValue> {
        let set = self.doc().set_peer_id(peer_from_js(peer_id)?).map_err(|error| error::engine(&error));
        events::drain();
        set
    }

    /// Returns the number of operations known.
    #[wasm_bindgen(js_name = opCount)]
    pub fn op_count(&self) -> usize {
        self.doc().len_ops()
    }

    /// Returns the number of changes known.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = changeCount)]
    pub fn change_count(&self) -> usize {
        self.doc().len_changes()
    }

    /// Returns an independent copy with a peer id of its own.
    pub fn fork(&self) -> JsLoroDoc {
        let fork = Self::from_inner(self.doc().fork());
        events::drain();
        fork
    }

    /// Returns an independent copy as of a version.
    #[wasm_bindgen(js_name = forkAt)]
    pub fn fork_at(&self, frontiers: &JsValue) -> Result<JsLoroDoc, JsValue> {
        let fork = self.doc().fork_at(&frontiers_from_js(frontiers)?).map(Self::from_inner).map_err(|error| error::engine(&error));
        events::drain();
        fork
    }

    /// Shows a version; the document is detached then.
    pub fn checkout(&self, frontiers: &JsValue) -> Result<(), JsValue> {
        let shown = self.doc().checkout(&frontiers_from_js(frontiers)?).map_err(|error| error::engine(&error));
        events::drain();
        shown
    }

    /// Shows the latest version and attaches the document.
    #[wasm_bindgen(js_name = checkoutToLatest)]
    pub fn checkout_to_latest(&self) {
        self.doc().checkout_to_latest();
        events::drain();
    }

    /// Shows the latest version and attaches the document.
    pub fn attach(&self) {
        self.doc().attach();
        events::drain();
    }

    /// Stops showing what is imported.
    pub fn detach(&self) {
        self.doc().detach();
        events::drain();
    }

    /// Returns whether the state shown is not the latest.
    #[wasm_bindgen(js_name = isDetached)]
    pub fn is_detached(&self) -> bool {
        self.doc().is_detached()
    }

    /// Allows edits of a document whose state is not the latest.
    #[wasm_bindgen(js_name = setDetachedEditing)]
    pub fn set_detached_editing(&self, enable: bool) {
        self.doc().set_detached_editing(enable);
        events::drain();
    }

    /// Returns whether such edits are allowed.
    #[wasm_bindgen(js_name = isDetachedEditingEnabled)]
    pub fn is_detached_editing_enabled(&self) -> bool {
        self.doc().is_detached_editing_enabled()
    }

    /// Gives changes the time of their commit.
    #[wasm_bindgen(js_name = setRecordTimestamp)]
    pub fn set_record_timestamp(&self, record: bool) {
        self.doc().set_record_timestamp(record);
    }

    /// Joins commits up to this many seconds apart into one change.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = setChangeMergeInterval)]
    pub fn set_change_merge_interval(&self, interval: f64) {
        self.doc().set_change_merge_interval(interval as i64);
    }

    /// Keeps at most this many decoded values of containers.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = setDecodedValueCacheLimit)]
    pub fn set_decoded_value_cache_limit(&self, limit: f64) -> Result<(), JsValue> {
        if limit.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&limit) {
            return Err(error::invalid("the limit is a whole number from 0 to 4294967295"));
        }
        self.doc().set_decoded_value_cache_limit(limit as usize);
        Ok(())
    }

    /// Returns how many decoded values of containers are kept at most.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = getDecodedValueCacheLimit)]
    pub fn decoded_value_cache_limit(&self) -> usize {
        self.doc().decoded_value_cache_limit()
    }

    /// Configures how marks grow: `{ bold: { expand: "after" } }`.
    #[wasm_bindgen(js_name = configTextStyle)]
    pub fn config_text_style(&self, styles: &JsValue) -> Result<(), JsValue> {
        if !styles.is_object() {
            return Err(error::invalid("expected an object of styles: { bold: { expand: \"after\" } }"));
        }
        let mut config = StyleConfigMap::new();
        for entry in js_sys::Object::entries(styles.unchecked_ref()).iter() {
            let entry: Array = entry.unchecked_into();
            let key = entry.get(0).as_string().unwrap_or_default();
            config.insert(key.as_str().into(), style(&entry.get(1))?);
        }
        self.doc().config_text_style(config);
        Ok(())
    }

    /// Configures how marks without a configuration grow; undefined forbids them.
    #[wasm_bindgen(js_name = configDefaultTextStyle)]
    pub fn config_default_text_style(&self, config: &JsValue) -> Result<(), JsValue> {
        let style = if config.is_undefined() { None } else { Some(style(config)?) };
        self.doc().config_default_text_style(style);
        Ok(())
    }

    /// Returns where a cursor is now: `{ offset, side, update? }`; undefined if it cannot be found.
    #[wasm_bindgen(js_name = getCursorPos)]
    pub fn get_cursor_pos(&self, cursor: &JsCursor) -> JsValue {
        let found = self.doc().get_cursor_pos(&cursor.0);
        events::drain();
        let Ok(found) = found else { return JsValue::UNDEFINED };
        let offset = match self.doc().get_container(cursor.0.container.clone()) {
            Some(loro::Container::Text(text)) => to_utf16(&text, found.current.pos),
            _ => found.current.pos,
        };
        let out = object(&[("offset", (offset as f64).into()), ("side", found.current.side.to_i32().into())]);
        if let Some(update) = found.update {
            super::value::set(&out, "update", &JsCursor::from_inner(update).into());
        }
        out.into()
    }
}
