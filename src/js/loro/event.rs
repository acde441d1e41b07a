//! Events as JavaScript sees them, with text positions in UTF-16.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use js_sys::{Array, Function, Object};
use loro::{
    Container, ContainerID, ContainerTrait, Frontiers, Index, LoroDoc, LoroText, LoroValue, TextDelta, TreeExternalDiff, TreeParentId,
    ValueOrContainer,
    event::{ContainerDiff, Diff, DiffEvent, ListDiffItem},
};
use wasm_bindgen::prelude::*;

use super::{
    value::{either_to_js, object, set, to_js as value_to_js},
    version::frontiers_to_js,
};
use crate::{
    collections::SortedMap,
    js::events,
    runtime::utf16::{TextIndexes, TextStep},
};

thread_local! {
    static TRACKED: RefCell<SortedMap<usize, Rc<RefCell<Tracked>>>> = const { RefCell::new(SortedMap::new()) };
    /// How many JavaScript objects stand for each document: a repo's document may have several, one after the other.
    static OBJECTS: RefCell<SortedMap<usize, usize>> = const { RefCell::new(SortedMap::new()) };
}

/// What is kept for a document somebody listens to.
struct Tracked {
    indexes: TextIndexes<ContainerID>,
    /// Listeners of the whole document, in order of subscription.
    listeners: Vec<u64>,
    /// The text changes of the last event, in UTF-16, for who hears of it after the indexes have followed it. Kept on demand.
    last: Option<Last>,
    _subscription: loro::Subscription,
}

#[derive(Default)]
struct Last {
    to: Frontiers,
    texts: HashMap<ContainerID, Vec<TextStep>>,
}

impl Tracked {
    /// Converts a change of a text made by the event that leads to `to`.
    fn convert(&self, target: &ContainerID, delta: &[TextDelta], to: &Frontiers) -> Vec<TextStep> {
        match self.last.as_ref().filter(|last| last.to == *to).and_then(|last| last.texts.get(target)) {
            Some(converted) => converted.clone(),
            None => self.indexes.convert(target, steps(delta)),
        }
    }

    /// Follows an event.
    fn apply(&mut self, event: &DiffEvent<'_>, to: &Frontiers) {
        let mut texts = HashMap::new();
        for change in &event.events {
            if let Diff::Text(delta) = &change.diff {
                if self.last.is_some() {
                    texts.insert(change.target.clone(), self.indexes.convert(change.target, steps(delta)));
                }
                self.indexes.apply(change.target, &steps(delta));
            }
        }
        if self.last.is_some() {
            self.last = Some(Last { to: to.clone(), texts });
        }
    }
}

/// The versions an event leads from and to.
pub(super) struct Span {
    pub(super) from: Frontiers,
    pub(super) to: Frontiers,
}

/// Identifies a document in memory.
pub(super) fn key(doc: &LoroDoc) -> usize {
    document_key(doc.inner())
}

/// As [`key`], of the engine's own type.
pub(crate) fn document_key(doc: &loro_internal::LoroDoc) -> usize {
    std::ptr::from_ref(&**doc) as usize
}

/// Counts one more object of a document.
pub(super) fn appeared(doc: &LoroDoc) {
    OBJECTS.with(|objects| *objects.borrow_mut().entry(key(doc)).or_default() += 1);
}

/// Counts one object less; with the last, what is kept for the document ends.
pub(super) fn gone(doc: &LoroDoc) {
    let key = key(doc);
    let last = OBJECTS.with(|objects| {
        let mut objects = objects.borrow_mut();
        let Some(count) = objects.get_mut(&key) else { return true };
        *count -= 1;
        let last = *count == 0;
        if last {
            objects.remove(&key);
        }
        last
    });
    if last {
        let ended = TRACKED.with(|tracked| tracked.borrow_mut().remove(&key));
        drop(ended);
    }
}

/// Follows the texts of a document from now on.
pub(super) fn track(doc: &LoroDoc) {
    if is_tracked(doc) {
        return;
    }
    let key = key(doc);
    let mut indexes = TextIndexes::new();
    collect_texts(&doc.get_deep_value_with_id(), &mut indexes);
    // The engine's own event knows where it leads from and to; the public one leaves that out.
    let subscription = doc.inner().subscribe_root(Arc::new(move |event| {
        let span = Span { from: event.event_meta.from.clone(), to: event.event_meta.to.clone() };
        dispatch(key, &DiffEvent::from(event), &span);
    }));
    let tracked = Tracked { indexes, listeners: Vec::new(), last: None, _subscription: subscription };
    TRACKED.with(|all| all.borrow_mut().insert(key, Rc::new(RefCell::new(tracked))));
}

/// Follows the texts of a document from now on, for who hears of an event after they have followed it. Returns the document's key.
pub(super) fn track_last(doc: &LoroDoc) -> usize {
    track(doc);
    let key = key(doc);
    if let Some(tracked) = tracked(key) {
        tracked.borrow_mut().last.get_or_insert_default();
    }
    key
}

/// Returns what is kept for a document. Each has a cell of its own: a panic while one is in use does not concern the others.
fn tracked(key: usize) -> Option<Rc<RefCell<Tracked>>> {
    TRACKED.with(|all| all.borrow().get(&key).cloned())
}

fn is_tracked(doc: &LoroDoc) -> bool {
    let key = key(doc);
    TRACKED.with(|tracked| tracked.borrow().contains_key(&key))
}

fn has_astral(text: &str) -> bool {
    // The first byte of four in UTF-8, which is two units in UTF-16.
    text.bytes().any(|byte| byte >= 0xf0)
}

/// Called before a text is edited. Pending edits may not take away or move what an index made after them would have to know, so a
/// document is followed from its first edit of a text with such characters, listened to or not.
pub(super) fn before_edit(text: &LoroText, inserted: &str) {
    if has_astral(inserted) || text.len_utf16() != text.len_unicode() {
        follow(text.doc());
    }
}

/// Called before a detached container with its content is put into another.
pub(super) fn before_insert(parent: Option<LoroDoc>, child: &Container) {
    fn holds_astral(value: &LoroValue) -> bool {
        match value {
            LoroValue::String(text) => has_astral(text),
            LoroValue::List(items) => items.iter().any(holds_astral),
            LoroValue::Map(entries) => entries.values().any(holds_astral),
            _ => false,
        }
    }
    let content = match child {
        Container::Text(text) => LoroValue::from(text.to_string()),
        Container::Map(map) => map.get_deep_value(),
        Container::List(list) => list.get_deep_value(),
        Container::MovableList(list) => list.get_deep_value(),
        Container::Tree(tree) => tree.get_value_with_meta(),
        Container::Counter(_) | Container::Unknown(_) => return,
    };
    if holds_astral(&content) {
        follow(parent);
    }
}

/// Called before edits of whatever kind.
pub(super) fn follow(doc: Option<LoroDoc>) {
    if let Some(doc) = doc.filter(|doc| !is_tracked(doc)) {
        track(&doc);
    }
}

fn collect_texts(value: &LoroValue, indexes: &mut TextIndexes<ContainerID>) {
    match value {
        LoroValue::List(items) => items.iter().for_each(|item| collect_texts(item, indexes)),
        LoroValue::Map(entries) => {
            if let (Some(LoroValue::String(id)), Some(LoroValue::String(text))) = (entries.get("cid"), entries.get("value"))
                && let Ok(id) = ContainerID::try_from(id.as_str())
            {
                indexes.insert(id, text);
            }
            entries.values().for_each(|entry| collect_texts(entry, indexes));
        }
        _ => {}
    }
}

/// Subscribes to one container of a document.
pub(super) fn subscribe_container(doc: &LoroDoc, container: &ContainerID, listener: Function) -> JsValue {
    track(doc);
    let key = key(doc);
    let id = events::keep(listener);
    let subscription = doc.inner().subscribe(
        container,
        Arc::new(move |event| {
            let span = Span { from: event.event_meta.from.clone(), to: event.event_meta.to.clone() };
            if let Some(listener) = events::listener(id) {
                events::enqueue1(listener, &to_js(key, &DiffEvent::from(event), &span));
            }
        }),
    );
    events::unsubscriber(id, subscription)
}

/// Subscribes to a whole document.
pub(super) fn subscribe(doc: &LoroDoc, listener: Function) -> JsValue {
    track(doc);
    let key = key(doc);
    let id = events::keep(listener);
    if let Some(tracked) = tracked(key) {
        tracked.borrow_mut().listeners.push(id);
    }
    events::unsubscriber(id, ())
}

/// One event of a document: one object for all its listeners, then the indexes follow.
fn dispatch(key: usize, event: &DiffEvent<'_>, span: &Span) {
    let Some(tracked) = tracked(key) else { return };
    let listeners: Vec<Function> = {
        let mut tracked = tracked.borrow_mut();
        tracked.listeners.retain(|id| events::listener(*id).is_some());
        tracked.listeners.iter().filter_map(|id| events::listener(*id)).collect()
    };
    if !listeners.is_empty() {
        let object = to_js(key, event, span);
        for listener in listeners {
            events::enqueue1(listener, &object);
        }
    }
    tracked.borrow_mut().apply(event, &span.to);
}

/// Makes the event object.
pub(super) fn to_js(key: usize, event: &DiffEvent<'_>, span: &Span) -> JsValue {
    use loro::EventTriggerKind as By;
    let by = match event.triggered_by {
        By::Local => "local",
        By::Import => "import",
        By::Checkout => "checkout",
    };
    let changes: Array = event.events.iter().map(|change| change_to_js(key, change, span)).collect();
    let out = object(&[
        ("by", by.into()),
        ("origin", event.origin.into()),
        ("events", changes.into()),
        ("from", frontiers_to_js(&span.from)),
        ("to", frontiers_to_js(&span.to)),
    ]);
    if let Some(target) = &event.current_target {
        set(&out, "currentTarget", &target.to_string().into());
    }
    out.into()
}

/// Makes the keys, positions and node ids that lead to a container.
pub(super) fn path_to_js(path: &[(ContainerID, Index)]) -> Array {
    path.iter()
        .map(|(_, index)| match index {
            Index::Key(key) => JsValue::from_str(key),
            Index::Seq(at) => JsValue::from_f64(*at as f64),
            Index::Node(node) => node.to_string().into(),
        })
        .collect()
}

fn change_to_js(key: usize, change: &ContainerDiff<'_>, span: &Span) -> JsValue {
    let path = path_to_js(change.path);
    let diff = diff_to_js(&change.diff, either_to_js, &mut |delta| match tracked(key) {
        Some(tracked) => tracked.borrow().convert(change.target, delta, &span.to),
        None => steps(delta),
    });
    object(&[("target", change.target.to_string().into()), ("diff", diff), ("path", path.into())]).into()
}

/// Makes the object for one container's change; `item` makes what was put into it, `convert` brings texts to UTF-16.
pub(super) fn diff_to_js(
    diff: &Diff<'_>,
    item: fn(ValueOrContainer) -> JsValue,
    convert: &mut dyn FnMut(&[TextDelta]) -> Vec<TextStep>,
) -> JsValue {
    let (kind, name, content): (&str, &str, JsValue) = match diff {
        Diff::Text(delta) => ("text", "diff", delta_to_js(delta, &convert(delta)).into()),
        Diff::List(items) => ("list", "diff", items.iter().map(|step| list_item_to_js(step, item)).collect::<Array>().into()),
        Diff::Map(map) => {
            let updated = Object::new();
            for (key, value) in &map.updated {
                set(&updated, key, &value.clone().map_or(JsValue::UNDEFINED, item));
            }
            ("map", "updated", updated.into())
        }
        Diff::Tree(tree) => {
            ("tree", "diff", tree.diff.iter().map(|step| tree_item_to_js(&step.target, &step.action)).collect::<Array>().into())
        }
        Diff::Counter(increment) => ("counter", "increment", JsValue::from_f64(*increment)),
        Diff::Unknown => ("unknown", "diff", JsValue::UNDEFINED),
    };
    object(&[("type", kind.into()), (name, content)]).into()
}

pub(super) fn steps(delta: &[TextDelta]) -> Vec<TextStep> {
    delta
        .iter()
        .map(|step| match step {
            TextDelta::Retain { retain, .. } => TextStep::Retain(*retain),
            TextDelta::Insert { insert, .. } => TextStep::Insert(insert.clone()),
            TextDelta::Delete { delete } => TextStep::Delete(*delete),
        })
        .collect()
}

/// Makes a delta of the original's attributes and the converted lengths.
fn delta_to_js(delta: &[TextDelta], converted: &[TextStep]) -> Array {
    delta
        .iter()
        .zip(converted)
        .map(|(step, converted)| {
            let attributes = match step {
                TextDelta::Retain { attributes, .. } | TextDelta::Insert { attributes, .. } => attributes.as_ref(),
                TextDelta::Delete { .. } => None,
            };
            let out = match converted {
                TextStep::Retain(length) => object(&[("retain", (*length as f64).into())]),
                TextStep::Insert(text) => object(&[("insert", text.into())]),
                TextStep::Delete(length) => object(&[("delete", (*length as f64).into())]),
            };
            if let Some(attributes) = attributes.filter(|attributes| !attributes.is_empty()) {
                let entries = Object::new();
                for (key, value) in attributes {
                    set(&entries, key, &value_to_js(value));
                }
                set(&out, "attributes", &entries);
            }
            JsValue::from(out)
        })
        .collect()
}

/// Makes a delta of whole inserts, which needs no conversion. A mark that was removed is none.
pub(super) fn inserts_to_js(delta: Vec<TextDelta>) -> Array {
    let shown = |step| match step {
        TextDelta::Insert { insert, attributes: Some(mut attributes) } => {
            attributes.retain(|_, value| !value.is_null());
            TextDelta::Insert { insert, attributes: Some(attributes) }
        }
        other => other,
    };
    let delta: Vec<TextDelta> = delta.into_iter().map(shown).collect();
    delta_to_js(&delta, &steps(&delta))
}

fn list_item_to_js(step: &ListDiffItem, item: fn(ValueOrContainer) -> JsValue) -> JsValue {
    match step {
        ListDiffItem::Insert { insert, .. } => {
            let values: Array = insert.iter().cloned().map(item).collect();
            object(&[("insert", values.into())])
        }
        ListDiffItem::Delete { delete } => object(&[("delete", (*delete as f64).into())]),
        ListDiffItem::Retain { retain } => object(&[("retain", (*retain as f64).into())]),
    }
    .into()
}

fn tree_item_to_js(target: &loro::TreeID, action: &TreeExternalDiff) -> JsValue {
    let node = |parent: &TreeParentId| match parent {
        TreeParentId::Node(id) => JsValue::from_str(&id.to_string()),
        TreeParentId::Root | TreeParentId::Deleted | TreeParentId::Unexist => JsValue::UNDEFINED,
    };
    let number = |value: &usize| JsValue::from_f64(*value as f64);
    let target = ("target", JsValue::from_str(&target.to_string()));
    match action {
        TreeExternalDiff::Create { parent, index, position } => object(&[
            target,
            ("action", "create".into()),
            ("parent", node(parent)),
            ("index", number(index)),
            ("fractionalIndex", position.to_string().into()),
        ]),
        TreeExternalDiff::Move { parent, index, position, old_parent, old_index } => object(&[
            target,
            ("action", "move".into()),
            ("parent", node(parent)),
            ("index", number(index)),
            ("fractionalIndex", position.to_string().into()),
            ("oldParent", node(old_parent)),
            ("oldIndex", number(old_index)),
        ]),
        TreeExternalDiff::Delete { old_parent, old_index } => {
            object(&[target, ("action", "delete".into()), ("oldParent", node(old_parent)), ("oldIndex", number(old_index))])
        }
    }
    .into()
}
