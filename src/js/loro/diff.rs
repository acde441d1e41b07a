//! `LoroDoc`: changes between versions as values, and applying them.

use std::borrow::Cow;

use js_sys::{Array, Object};
use loro::{
    Container, ContainerID, FractionalIndex, Frontiers, LoroDoc, TextDelta, TreeDiff, TreeDiffItem, TreeExternalDiff, TreeID, TreeParentId,
    ValueOrContainer,
    event::{Diff, DiffBatch, ListDiffItem, MapDelta},
};
use wasm_bindgen::{JsCast, prelude::*};

use super::{
    container::borrow,
    doc::{JsLoroDoc, container_id},
    event::{diff_to_js, follow, steps},
    text::delta_from_js,
    value::{either_to_js, from_marked_js, get, is_handle},
    version::frontiers_from_js,
};
use crate::{
    js::{error, events},
    runtime::utf16::{AstralIndex, TextStep},
};

/// Writes a value for JSON: containers by their marked id.
fn json_item(value: ValueOrContainer) -> JsValue {
    match value {
        ValueOrContainer::Container(container) => marked(&container).into(),
        value @ ValueOrContainer::Value(_) => either_to_js(value),
    }
}

fn marked(container: &Container) -> String {
    use loro::ContainerTrait;
    container.id().to_loro_value_string()
}

/// Reads what is put into a container: a handle, a marked id or a value.
fn item_from_js(value: &JsValue) -> Result<ValueOrContainer, JsValue> {
    if is_handle(value) {
        return borrow(value).map(ValueOrContainer::Container);
    }
    from_marked_js(value).map(ValueOrContainer::Value)
}

/// The texts of a version, read when a change of one has to be brought to UTF-16.
struct Texts<'a> {
    doc: &'a LoroDoc,
    version: &'a Frontiers,
    then: Option<LoroDoc>,
}

impl Texts<'_> {
    fn convert(&mut self, id: &ContainerID, delta: &[TextDelta]) -> Vec<TextStep> {
        let steps = steps(delta);
        if steps.iter().all(|step| matches!(step, TextStep::Insert(_))) {
            return steps;
        }
        if self.then.is_none() {
            self.then = self.doc.fork_at(self.version).ok();
        }
        match self.then.as_ref().and_then(|then| then.try_get_text(id.clone())) {
            Some(text) => AstralIndex::of(&text.to_string()).convert(&steps),
            None => steps,
        }
    }
}

fn refuse() -> JsValue {
    error::invalid("expected a diff: [[container id, { type, … }], …] as diff() returns it")
}

fn list_step_from_js(step: &JsValue) -> Result<ListDiffItem, JsValue> {
    let number = |key| get(step, key).and_then(|length| length.as_f64()).map(|length| length as usize);
    if let Some(retain) = number("retain") {
        return Ok(ListDiffItem::Retain { retain });
    }
    if let Some(delete) = number("delete") {
        return Ok(ListDiffItem::Delete { delete });
    }
    let items = get(step, "insert").filter(Array::is_array).ok_or_else(refuse)?;
    let insert: Result<Vec<_>, JsValue> = Array::from(&items).iter().map(|item| item_from_js(&item)).collect();
    Ok(ListDiffItem::Insert { insert: insert?, is_move: false })
}

/// Reads a fractional index. The engine takes pairs of hexadecimal digits and ends the module for everything else.
pub(super) fn fractional_index(text: String) -> Option<FractionalIndex> {
    let valid = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    valid.then(|| FractionalIndex::from_hex_string(text))
}

fn tree_step_from_js(step: &JsValue) -> Result<TreeDiffItem, JsValue> {
    let node = |key| {
        let id = get(step, key).and_then(|id| id.as_string());
        id.map(|id| TreeID::try_from(id.as_str()).map_err(|_| refuse())).transpose()
    };
    let parent = |key| Ok::<_, JsValue>(node(key)?.map_or(TreeParentId::Root, TreeParentId::Node));
    let number = |key| get(step, key).and_then(|at| at.as_f64()).map(|at| at as usize).ok_or_else(refuse);
    let position = || get(step, "fractionalIndex").and_then(|text| text.as_string()).and_then(fractional_index).ok_or_else(refuse);
    let action = match get(step, "action").and_then(|action| action.as_string()).as_deref() {
        Some("create") => TreeExternalDiff::Create { parent: parent("parent")?, index: number("index")?, position: position()? },
        Some("move") => TreeExternalDiff::Move {
            parent: parent("parent")?,
            index: number("index")?,
            position: position()?,
            old_parent: parent("oldParent")?,
            old_index: number("oldIndex")?,
        },
        Some("delete") => TreeExternalDiff::Delete { old_parent: parent("oldParent")?, old_index: number("oldIndex")? },
        _ => return Err(refuse()),
    };
    Ok(TreeDiffItem { target: node("target")?.ok_or_else(refuse)?, action })
}

fn diff_from_js(doc: &LoroDoc, id: &ContainerID, diff: &JsValue) -> Result<Diff<'static>, JsValue> {
    let kind = get(diff, "type").and_then(|kind| kind.as_string());
    let list = |key| get(diff, key).filter(Array::is_array).map(|steps| Array::from(&steps)).ok_or_else(refuse);
    match kind.as_deref() {
        Some("text") => {
            let known = doc.has_container(id).then(|| doc.try_get_text(id.clone())).flatten();
            Ok(Diff::Text(delta_from_js(&known.unwrap_or_default(), &list("diff")?.into())?))
        }
        Some("list") => Ok(Diff::List(list("diff")?.iter().map(|step| list_step_from_js(&step)).collect::<Result<_, _>>()?)),
        Some("tree") => {
            let diff = list("diff")?.iter().map(|step| tree_step_from_js(&step)).collect::<Result<_, _>>()?;
            Ok(Diff::Tree(Cow::Owned(TreeDiff { diff })))
        }
        Some("map") => {
            let mut delta = MapDelta { updated: Default::default() };
            let updated = get(diff, "updated").ok_or_else(refuse)?;
            for entry in Object::entries(updated.unchecked_ref()).iter() {
                let entry: Array = entry.unchecked_into();
                let value = entry.get(1);
                let value = if value.is_undefined() { None } else { Some(item_from_js(&value)?) };
                delta.updated.insert(Cow::Owned(entry.get(0).as_string().unwrap_or_default()), value);
            }
            Ok(Diff::Map(delta))
        }
        Some("counter") => get(diff, "increment").and_then(|by| by.as_f64()).map(Diff::Counter).ok_or_else(refuse),
        _ => Err(refuse()),
    }
}

#[wasm_bindgen(js_class = "LoroDoc")]
impl JsLoroDoc {
    /// Returns what leads from one version to another: `[[container id, diff], …]`, for JSON unless told otherwise.
    pub fn diff(&self, from: &JsValue, to: &JsValue, for_json: Option<bool>) -> Result<Array, JsValue> {
        let (from, to) = (frontiers_from_js(from)?, frontiers_from_js(to)?);
        let found = self.doc().diff(&from, &to);
        events::drain();
        let found = found.map_err(|error| error::engine(&error))?;
        let item = if for_json.unwrap_or(true) { json_item } else { either_to_js };
        let mut texts = Texts { doc: self.doc(), version: &from, then: None };
        let entry = |(id, diff): (&ContainerID, &Diff<'static>)| {
            let diff = diff_to_js(diff, item, &mut |delta| texts.convert(id, delta));
            JsValue::from(Array::of2(&id.to_string().into(), &diff))
        };
        Ok(found.iter().map(entry).collect())
    }

    /// Makes the edits a diff describes. `{ fullState: true }` says that it comes from `diff`.
    #[wasm_bindgen(js_name = applyDiff)]
    pub fn apply_diff(&self, diff: &JsValue, options: &JsValue) -> Result<(), JsValue> {
        if !Array::is_array(diff) {
            return Err(refuse());
        }
        let mut batch = DiffBatch::default();
        for entry in Array::from(diff).iter() {
            let entry: Array = entry.dyn_into().map_err(|_| refuse())?;
            let id = container_id(&entry.get(0).as_string().ok_or_else(refuse)?)?;
            let diff = diff_from_js(self.doc(), &id, &entry.get(1))?;
            batch.push(id, diff).map_err(|_| error::invalid("a diff names every container once"))?;
        }
        batch.set_full_state(get(options, "fullState").is_some_and(|flag| flag.is_truthy()));
        follow(Some(self.engine()));
        let applied = self.doc().apply_diff(batch);
        events::drain();
        applied.map_err(|error| error::engine(&error))
    }
}
