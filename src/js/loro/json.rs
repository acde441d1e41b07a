//! `LoroDoc`: its operations as JSON.
//!
//! Written and read here, field by field: the engine's own way, through serde, takes ten times the code.

use js_sys::{Array, JSON, Object};
use loro::{
    ContainerID, ContainerType, Frontiers, ID, IdLp, IdSpan, JsonChange, JsonFutureOp, JsonFutureOpWrapper, JsonListOp, JsonMapOp,
    JsonMovableListOp, JsonOp, JsonOpContent, JsonSchema, JsonTextOp, JsonTreeOp, LoroDoc, LoroValue, TreeID, VersionRange, VersionVector,
};
use wasm_bindgen::{JsCast, prelude::*};

use super::{
    diff::fractional_index,
    doc::{JsLoroDoc, container_id, status_to_js},
    modifier::is_inside_commit,
    value::{from_marked_js, get, object, set, to_js},
    version::{count_from_js, id_from_js, peer_from_js, version_from_js},
};
use crate::js::{error, events};

fn texts(items: impl IntoIterator<Item = impl ToString>) -> JsValue {
    items.into_iter().map(|item| JsValue::from_str(&item.to_string())).collect::<Array>().into()
}

/// Writes a value: containers by their marked id, bytes as numbers, null as `missing`.
fn value_to_js(value: &LoroValue, missing: &JsValue) -> JsValue {
    match value {
        LoroValue::Null => missing.clone(),
        LoroValue::Container(id) => JsValue::from_str(&id.to_loro_value_string()),
        LoroValue::Binary(bytes) => bytes.iter().map(|byte| JsValue::from(*byte)).collect::<Array>().into(),
        LoroValue::List(items) => items.iter().map(|item| value_to_js(item, missing)).collect::<Array>().into(),
        LoroValue::Map(entries) => {
            let out = Object::new();
            for (key, value) in entries.iter() {
                set(&out, key, &value_to_js(value, missing));
            }
            out.into()
        }
        other => to_js(other),
    }
}

fn elem_to_js(id: IdLp) -> JsValue {
    format!("L{}@{}", id.lamport, id.peer).into()
}

fn delete_to_js(pos: i32, len: i32, start_id: ID) -> Object {
    object(&[("type", "delete".into()), ("pos", pos.into()), ("len", len.into()), ("start_id", start_id.to_string().into())])
}

fn insert_to_js(pos: u32, values: &[LoroValue], missing: &JsValue) -> Object {
    let values: Array = values.iter().map(|value| value_to_js(value, missing)).collect();
    object(&[("type", "insert".into()), ("pos", pos.into()), ("value", values.into())])
}

fn node_to_js(kind: &str, target: TreeID, parent: Option<TreeID>, index: &loro::FractionalIndex, missing: &JsValue) -> Object {
    object(&[
        ("type", kind.into()),
        ("target", target.to_string().into()),
        ("parent", parent.map_or_else(|| missing.clone(), |parent| parent.to_string().into())),
        ("fractional_index", index.to_string().into()),
    ])
}

fn content_to_js(content: &JsonOpContent, missing: &JsValue) -> Result<Object, JsValue> {
    Ok(match content {
        JsonOpContent::List(JsonListOp::Insert { pos, value }) | JsonOpContent::MovableList(JsonMovableListOp::Insert { pos, value }) => {
            insert_to_js(*pos, value, missing)
        }
        JsonOpContent::List(JsonListOp::Delete { pos, len, start_id })
        | JsonOpContent::MovableList(JsonMovableListOp::Delete { pos, len, start_id })
        | JsonOpContent::Text(JsonTextOp::Delete { pos, len, start_id }) => delete_to_js(*pos, *len, *start_id),
        JsonOpContent::MovableList(JsonMovableListOp::Move { from, to, elem_id }) => {
            object(&[("type", "move".into()), ("from", (*from).into()), ("to", (*to).into()), ("elem_id", elem_to_js(*elem_id))])
        }
        JsonOpContent::MovableList(JsonMovableListOp::Set { elem_id, value }) => {
            object(&[("type", "set".into()), ("elem_id", elem_to_js(*elem_id)), ("value", value_to_js(value, missing))])
        }
        JsonOpContent::Map(JsonMapOp::Insert { key, value }) => {
            object(&[("type", "insert".into()), ("key", key.into()), ("value", value_to_js(value, missing))])
        }
        JsonOpContent::Map(JsonMapOp::Delete { key }) => object(&[("type", "delete".into()), ("key", key.into())]),
        JsonOpContent::Text(JsonTextOp::Insert { pos, text }) => {
            object(&[("type", "insert".into()), ("pos", (*pos).into()), ("text", text.into())])
        }
        JsonOpContent::Text(JsonTextOp::Mark { start, end, style_key, style_value, info }) => object(&[
            ("type", "mark".into()),
            ("start", (*start).into()),
            ("end", (*end).into()),
            ("style_key", style_key.into()),
            ("style_value", value_to_js(style_value, missing)),
            ("info", (*info).into()),
        ]),
        JsonOpContent::Text(JsonTextOp::MarkEnd) => object(&[("type", "mark_end".into())]),
        JsonOpContent::Tree(JsonTreeOp::Create { target, parent, fractional_index }) => {
            node_to_js("create", *target, *parent, fractional_index, missing)
        }
        JsonOpContent::Tree(JsonTreeOp::Move { target, parent, fractional_index }) => {
            node_to_js("move", *target, *parent, fractional_index, missing)
        }
        JsonOpContent::Tree(JsonTreeOp::Delete { target }) => object(&[("type", "delete".into()), ("target", target.to_string().into())]),
        JsonOpContent::Future(JsonFutureOpWrapper { value, prop }) => {
            let amount = match value {
                JsonFutureOp::Counter(amount) => amount_of(amount),
                JsonFutureOp::Unknown(_) => None,
            };
            let (unit, amount) = amount.ok_or_else(|| error::invalid("the document has operations of a kind this engine does not know"))?;
            object(&[("type", "counter".into()), ("value_type", unit.into()), ("value", amount), ("prop", (*prop).into())])
        }
    })
}

/// Reads what a counter was changed by, and the type it has. The engine keeps both to itself; this is how they print.
fn amount_of(value: &impl std::fmt::Debug) -> Option<(&'static str, JsValue)> {
    let text = format!("{value:?}");
    let (unit, amount) = text.strip_suffix(')')?.split_once('(')?;
    let unit = if unit == "F64" { "f64" } else { "i64" };
    let amount = js_sys::parse_float(amount);
    (!amount.is_nan()).then(|| (unit, amount.into()))
}

/// Makes the content of an operation that changes a counter: by doing it in a document of its own, see [`amount_of`].
fn count_by(amount: f64) -> Option<JsonOpContent> {
    let doc = LoroDoc::new();
    doc.get_counter("c").increment(amount).ok()?;
    doc.commit();
    let exported = doc.export_json_in_id_span(IdSpan::new(doc.peer_id(), 0, 1));
    exported.into_iter().next()?.ops.into_iter().next().map(|op| op.content)
}

/// Writes a change. The reference has null in whole exports and undefined in parts of them: `missing`.
fn change_to_js(change: &JsonChange, missing: &JsValue) -> Result<JsValue, JsValue> {
    let ops = Array::new();
    for op in &change.ops {
        let content = content_to_js(&op.content, missing)?.into();
        ops.push(&object(&[("container", op.container.to_string().into()), ("content", content), ("counter", op.counter.into())]));
    }
    Ok(object(&[
        ("id", change.id.to_string().into()),
        ("timestamp", JsValue::from_f64(change.timestamp as f64)),
        ("deps", texts(&change.deps)),
        ("lamport", change.lamport.into()),
        ("msg", change.msg.as_deref().map_or_else(|| missing.clone(), JsValue::from_str)),
        ("ops", ops.into()),
    ])
    .into())
}

fn changes_to_js(changes: &[JsonChange], missing: &JsValue) -> Result<JsValue, JsValue> {
    changes.iter().map(|change| change_to_js(change, missing)).collect::<Result<Array, _>>().map(JsValue::from)
}

fn to_json(schema: &JsonSchema) -> Result<JsValue, JsValue> {
    let start = Object::new();
    for id in schema.start_version.iter() {
        set(&start, &id.peer.to_string(), &id.counter.into());
    }
    Ok(object(&[
        ("schema_version", schema.schema_version.into()),
        ("start_version", start.into()),
        ("peers", schema.peers.as_ref().map_or(JsValue::NULL, texts)),
        ("changes", changes_to_js(&schema.changes, &JsValue::NULL)?),
    ])
    .into())
}

/// A part of what is read: it says what is missing or wrong.
struct Part<'a>(&'a JsValue);

impl Part<'_> {
    fn refuse(key: &str) -> JsValue {
        error::decode(&format!("these are not exported operations: {key:?} is missing or wrong"))
    }

    fn read<T>(&self, key: &str, read: impl FnOnce(JsValue) -> Option<T>) -> Result<T, JsValue> {
        get(self.0, key).and_then(read).ok_or_else(|| Self::refuse(key))
    }

    fn text(&self, key: &str) -> Result<String, JsValue> {
        self.read(key, |value| value.as_string())
    }

    fn number(&self, key: &str) -> Result<f64, JsValue> {
        self.read(key, |value| value.as_f64())
    }

    fn list(&self, key: &str) -> Result<Array, JsValue> {
        self.read(key, |value| value.dyn_into().ok())
    }

    fn parsed<T: for<'t> TryFrom<&'t str>>(&self, key: &str) -> Result<T, JsValue> {
        self.read(key, |value| T::try_from(&value.as_string()?).ok())
    }

    fn value(&self, key: &str) -> Result<LoroValue, JsValue> {
        from_marked_js(&js_sys::Reflect::get(self.0, &key.into())?)
    }

    fn values(&self, key: &str) -> Result<Vec<LoroValue>, JsValue> {
        self.list(key)?.iter().map(|value| from_marked_js(&value)).collect()
    }

    fn elem(&self) -> Result<IdLp, JsValue> {
        self.read("elem_id", |value| {
            let text = value.as_string()?;
            let (lamport, peer) = text.strip_prefix('L')?.split_once('@')?;
            Some(IdLp { lamport: lamport.parse().ok()?, peer: peer.parse().ok()? })
        })
    }

    fn parent(&self) -> Result<Option<TreeID>, JsValue> {
        if get(self.0, "parent").is_none() { Ok(None) } else { self.parsed("parent").map(Some) }
    }

    fn position(&self) -> Result<loro::FractionalIndex, JsValue> {
        match get(self.0, "fractional_index") {
            None => Ok(Default::default()),
            Some(text) => text.as_string().and_then(fractional_index).ok_or_else(|| Self::refuse("fractional_index")),
        }
    }

    fn content(&self, container: ContainerType) -> Result<JsonOpContent, JsValue> {
        let kind = self.text("type")?;
        let kind = kind.as_str();
        let pos = || self.number("pos").map(|pos| pos as i32);
        let len = || self.number("len").map(|len| len as i32);
        let start_id = || self.parsed::<ID>("start_id");
        Ok(match (container, kind) {
            (ContainerType::List, "insert") => JsonOpContent::List(JsonListOp::Insert { pos: pos()? as u32, value: self.values("value")? }),
            (ContainerType::List, "delete") => JsonOpContent::List(JsonListOp::Delete { pos: pos()?, len: len()?, start_id: start_id()? }),
            (ContainerType::MovableList, _) => JsonOpContent::MovableList(match kind {
                "insert" => JsonMovableListOp::Insert { pos: pos()? as u32, value: self.values("value")? },
                "delete" => JsonMovableListOp::Delete { pos: pos()?, len: len()?, start_id: start_id()? },
                "move" => {
                    JsonMovableListOp::Move { from: self.number("from")? as u32, to: self.number("to")? as u32, elem_id: self.elem()? }
                }
                "set" => JsonMovableListOp::Set { elem_id: self.elem()?, value: self.value("value")? },
                _ => return Err(Self::refuse("type")),
            }),
            (ContainerType::Map, "insert") => JsonOpContent::Map(JsonMapOp::Insert { key: self.text("key")?, value: self.value("value")? }),
            (ContainerType::Map, "delete") => JsonOpContent::Map(JsonMapOp::Delete { key: self.text("key")? }),
            (ContainerType::Text, _) => JsonOpContent::Text(match kind {
                "insert" => JsonTextOp::Insert { pos: pos()? as u32, text: self.text("text")? },
                "delete" => JsonTextOp::Delete { pos: pos()?, len: len()?, start_id: start_id()? },
                "mark" => JsonTextOp::Mark {
                    start: self.number("start")? as u32,
                    end: self.number("end")? as u32,
                    style_key: self.text("style_key")?,
                    style_value: self.value("style_value")?,
                    info: self.number("info")? as u8,
                },
                "mark_end" => JsonTextOp::MarkEnd,
                _ => return Err(Self::refuse("type")),
            }),
            (ContainerType::Tree, _) => {
                let target = self.parsed("target")?;
                JsonOpContent::Tree(match kind {
                    "create" => JsonTreeOp::Create { target, parent: self.parent()?, fractional_index: self.position()? },
                    "move" => JsonTreeOp::Move { target, parent: self.parent()?, fractional_index: self.position()? },
                    "delete" => JsonTreeOp::Delete { target },
                    _ => return Err(Self::refuse("type")),
                })
            }
            (ContainerType::Counter, "counter") => count_by(self.number("value")?).ok_or_else(|| Self::refuse("value"))?,
            _ => return Err(Self::refuse("type")),
        })
    }

    fn op(&self) -> Result<JsonOp, JsValue> {
        let container: ContainerID = container_id(&self.text("container")?)?;
        let content = Part(&self.read("content", Some)?).content(container.container_type())?;
        Ok(JsonOp { content, container, counter: self.number("counter")? as i32 })
    }

    fn change(&self) -> Result<JsonChange, JsValue> {
        let dep = |dep: JsValue| dep.as_string().and_then(|id| ID::try_from(id.as_str()).ok()).ok_or_else(|| Self::refuse("deps"));
        Ok(JsonChange {
            id: self.parsed("id")?,
            timestamp: self.number("timestamp")? as i64,
            deps: self.list("deps")?.iter().map(dep).collect::<Result<_, _>>()?,
            lamport: self.number("lamport")? as u32,
            msg: get(self.0, "msg").and_then(|message| message.as_string()),
            ops: self.list("ops")?.iter().map(|op| Part(&op).op()).collect::<Result<_, _>>()?,
        })
    }

    fn schema(&self) -> Result<JsonSchema, JsValue> {
        let mut start_version = Frontiers::default();
        if let Some(start) = get(self.0, "start_version") {
            for entry in entries(&start) {
                let counter = entry.get(1).as_f64().ok_or_else(|| Self::refuse("start_version"))?;
                start_version.push(ID::new(peer_from_js(&entry.get(0))?, counter as i32));
            }
        }
        let peers = if get(self.0, "peers").is_none() { None } else { Some(self.list("peers")?) };
        Ok(JsonSchema {
            schema_version: self.number("schema_version")? as u8,
            start_version,
            peers: peers.map(|peers| peers.iter().map(|peer| peer_from_js(&peer)).collect::<Result<_, _>>()).transpose()?,
            changes: self.list("changes")?.iter().map(|change| Part(&change).change()).collect::<Result<_, _>>()?,
        })
    }
}

fn entries(object: &JsValue) -> Vec<Array> {
    Object::entries(object.unchecked_ref()).iter().map(|entry| entry.unchecked_into()).collect()
}

fn from_json(json: &JsValue) -> Result<JsonSchema, JsValue> {
    match json.as_string() {
        Some(text) => {
            let parsed = JSON::parse(&text).map_err(|_| error::decode("these are not exported operations: no JSON"))?;
            Part(&parsed).schema()
        }
        None => Part(json).schema(),
    }
}

fn version(value: &JsValue) -> Result<Option<VersionVector>, JsValue> {
    if value.is_null() || value.is_undefined() { Ok(None) } else { version_from_js(value).map(Some) }
}

#[wasm_bindgen(js_class = "LoroDoc")]
impl JsLoroDoc {
    /// Exports operations as JSON, those after `start` and up to `end` where given.
    #[wasm_bindgen(js_name = exportJsonUpdates)]
    pub fn export_json_updates(&self, start: &JsValue, end: &JsValue, compress_peers: Option<bool>) -> Result<JsValue, JsValue> {
        let start = version(start)?.unwrap_or_default();
        let end = version(end)?.unwrap_or_else(|| self.doc().oplog_vv());
        let exported = self.doc().inner().try_export_json_updates(&start, &end, compress_peers.unwrap_or(true));
        events::drain();
        to_json(&exported.map_err(|error| error::engine(&error))?)
    }

    /// Exports operations of one peer as JSON: `{ peer, counter, length }`.
    #[wasm_bindgen(js_name = exportJsonInIdSpan)]
    pub fn export_json_in_id_span(&self, span: &JsValue) -> Result<JsValue, JsValue> {
        let id = id_from_js(span)?;
        let span = IdSpan::new(id.peer, id.counter, id.counter.saturating_add(count_from_js(span, "length")?));
        let export = || self.doc().export_json_in_id_span(span);
        // Inside a commit nothing may commit.
        let exported = if is_inside_commit() { export() } else { self.doc().inner().with_barrier(export) };
        events::drain();
        changes_to_js(&exported, &JsValue::UNDEFINED)
    }

    /// Returns the change an operation is in, as JSON.
    #[wasm_bindgen(js_name = __changeAsJson)]
    pub fn change_as_json(&self, id: &JsValue) -> Result<JsValue, JsValue> {
        let id = id_from_js(id)?;
        let change = self.doc().get_change(id).ok_or_else(|| error::invalid(&format!("there is no operation {id}")))?;
        let end = change.id.counter.saturating_add(change.len as i32);
        let exported = self.doc().export_json_in_id_span(IdSpan::new(change.id.peer, change.id.counter, end));
        exported.first().map_or(Ok(JsValue::UNDEFINED), |change| change_to_js(change, &JsValue::NULL))
    }

    /// Imports what `exportJsonUpdates` returned, or its JSON.
    #[wasm_bindgen(js_name = importJsonUpdates)]
    pub fn import_json_updates(&self, json: &JsValue) -> Result<JsValue, JsValue> {
        let status = self.doc().inner().import_json_updates(from_json(json)?);
        self.imported();
        status.map(|status| status_to_js(&status)).map_err(|error| error::decode(&error.to_string()))
    }

    /// Returns the operations not committed yet as JSON; undefined if there are none.
    #[wasm_bindgen(js_name = getUncommittedOpsAsJson)]
    pub fn uncommitted_as_json(&self) -> Result<JsValue, JsValue> {
        self.doc().inner().get_uncommitted_ops_as_json().map_or(Ok(JsValue::UNDEFINED), |pending| to_json(&pending))
    }
}

/// Takes the content out of exported operations: `{ peer: [start, end] }`.
#[wasm_bindgen(js_name = redactJsonUpdates, skip_typescript)]
pub fn redact_json_updates(json: &JsValue, range: &JsValue) -> Result<JsValue, JsValue> {
    let refuse = || error::invalid("expected ranges { peer: [start, end] }");
    let mut json = from_json(json)?;
    let mut ranges = VersionRange::new();
    for entry in entries(range) {
        let range: Array = entry.get(1).dyn_into().map_err(|_| refuse())?;
        let (Some(start), Some(end), 2) = (range.get(0).as_f64(), range.get(1).as_f64(), range.length()) else {
            return Err(refuse());
        };
        ranges.insert(peer_from_js(&entry.get(0))?, start as i32, end as i32);
    }
    loro::json::redact(&mut json, ranges).map_err(|error| error::invalid(&error.to_string()))?;
    to_json(&json)
}
