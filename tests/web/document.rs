//! The document API in a browser, through the exported classes.

use corella::js::loro::{JsLoroCounter, JsLoroDoc, JsLoroMap, JsLoroTree, JsLoroTreeNode, JsUndoManager};
use js_sys::{Array, Function, JSON, Reflect};
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};
use wasm_bindgen_test::wasm_bindgen_test;

fn json(value: &JsValue) -> String {
    JSON::stringify(value).unwrap().into()
}

fn read(value: &JsValue, key: &str) -> JsValue {
    Reflect::get(value, &key.into()).unwrap()
}

fn document(peer: f64) -> JsLoroDoc {
    let doc = JsLoroDoc::new();
    doc.set_peer_id(&peer.into()).unwrap();
    doc
}

/// A list of what a listener was called with, and the listener.
fn listener() -> (Array, Function) {
    let calls = Array::new();
    let kept = calls.clone();
    let listener = Closure::<dyn FnMut(JsValue)>::new(move |event: JsValue| {
        kept.push(&event);
    });
    (calls, listener.into_js_value().unchecked_into())
}

#[wasm_bindgen_test]
fn nodes_of_a_tree_are_made_moved_and_deleted() {
    let doc = document(1.0);
    let tree = doc.get_tree("tree").unwrap();
    let (events, on_event) = listener();
    tree.subscribe(on_event).unwrap();
    let root = tree.create_node(None, None).unwrap();
    let first = root.create_node(None).unwrap();
    let second = tree.create_node(Some(root.id()), Some(0)).unwrap();
    first.data().unwrap().set("name", &"first".into()).unwrap();
    assert_eq!((first.index(), second.index()), (Some(1), Some(0)));
    first.move_before(&second).unwrap();
    second.move_to(&JsValue::UNDEFINED, Some(0)).unwrap();
    assert_eq!(tree.roots().length(), 2);
    assert!(tree.move_to(&root.id(), Some(first.id()), None).is_err(), "under its own child");
    doc.commit(&JsValue::UNDEFINED).unwrap();
    tree.delete(&root.id()).unwrap();
    doc.commit(&JsValue::UNDEFINED).unwrap();
    assert!(first.is_deleted().unwrap() && tree.is_node_deleted(&root.id()).unwrap());
    assert_eq!(events.length(), 2);
    let steps: Array = read(&read(&read(&events.get(1), "events").unchecked_into::<Array>().get(0), "diff"), "diff").unchecked_into();
    assert_eq!(read(&steps.get(0), "action"), "delete");
    assert_eq!(tree.to_array().unwrap().length(), 1);
}

#[wasm_bindgen_test]
fn a_detached_tree_is_put_into_a_document() {
    let tree = JsLoroTree::new();
    let node: JsLoroTreeNode = tree.create_node(None, None).unwrap();
    node.data().unwrap().set("k", &1.into()).unwrap();
    assert!(tree.to_array().is_err() && node.fractional_index().is_err());
    let doc = document(1.0);
    let attached = doc.get_map("m").unwrap().set_container("tree", &tree.into()).unwrap();
    assert_eq!(read(&attached, "id"), "cid:0@1:Tree");
    assert_eq!(json(&read(&read(&doc.to_json(), "m"), "tree")).matches(r#""k":1"#).count(), 1);
}

#[wasm_bindgen_test]
fn counters_add_up() {
    let (a, b) = (document(1.0), document(2.0));
    a.get_counter("c").unwrap().increment(2.5).unwrap();
    b.get_counter("c").unwrap().decrement(1.0).unwrap();
    let update = js_sys::Object::new();
    Reflect::set(&update, &"mode".into(), &"update".into()).unwrap();
    a.import(&b.export(&update).unwrap()).unwrap();
    assert_eq!(a.get_counter("c").unwrap().value(), 1.5);
    let nested = a.get_map("m").unwrap().set_container("n", &JsLoroCounter::new().into()).unwrap();
    assert_eq!(read(&nested, "value"), 0.0);
    assert!(a.get_map("m").unwrap().set("x", &JsLoroMap::new().into()).is_err(), "a container is no value");
}

#[wasm_bindgen_test]
fn undo_asks_what_to_keep_and_gives_it_back() {
    let doc = document(1.0);
    let text = doc.get_text("t").unwrap();
    let kept = js_sys::JSON::parse(r#"{ "value": { "at": 3 }, "cursors": [] }"#).unwrap();
    let pushed = Array::new();
    let noted = pushed.clone();
    let on_push = Closure::<dyn FnMut(JsValue, JsValue, JsValue) -> JsValue>::new(move |is_undo: JsValue, _: JsValue, event: JsValue| {
        noted.push(&is_undo);
        // What an undo makes for the redo has no event.
        noted.push(&if event.is_undefined() { event } else { read(&event, "by") });
        kept.clone()
    });
    let popped = Array::new();
    let seen = popped.clone();
    let on_pop = Closure::<dyn FnMut(JsValue, JsValue, JsValue)>::new(move |is_undo: JsValue, meta: JsValue, range: JsValue| {
        seen.push(&is_undo);
        seen.push(&read(&meta, "value"));
        seen.push(&range);
    });
    let undo = JsUndoManager::new(&doc, &JsValue::UNDEFINED);
    undo.set_on_push(on_push.into_js_value());
    undo.set_on_pop(on_pop.into_js_value());
    text.insert(0, "a😀b").unwrap();
    doc.commit(&JsValue::UNDEFINED).unwrap();
    assert_eq!(json(&undo.top_undo_value()), r#"{"at":3}"#);
    assert!(undo.undo().unwrap());
    assert_eq!((text.length(), undo.can_redo()), (0, true));
    assert_eq!(json(&popped), r#"[true,{"at":3},{"start":0,"end":3}]"#);
    assert_eq!(json(&pushed), r#"[true,"local",false,null]"#);
    undo.set_on_push(JsValue::UNDEFINED);
    assert!(undo.redo().unwrap());
    assert_eq!(text.length(), 4);
}

#[wasm_bindgen_test]
fn json_updates_and_diffs_make_the_same_document() {
    let a = document(1.0);
    a.get_text("t").unwrap().insert(0, "a😀b").unwrap();
    a.get_counter("c").unwrap().increment(0.25).unwrap();
    a.get_tree("tree").unwrap().create_node(None, None).unwrap();
    a.get_map("m").unwrap().set("list", &JSON::parse(r#"[1, "x", null, { "deep": true }]"#).unwrap()).unwrap();
    let updates = a.export_json_updates(&JsValue::UNDEFINED, &JsValue::UNDEFINED, None).unwrap();
    let (b, c) = (document(2.0), document(3.0));
    b.import_json_updates(&json(&updates).into()).unwrap();
    assert_eq!(json(&b.export_json_updates(&JsValue::UNDEFINED, &JsValue::UNDEFINED, None).unwrap()), json(&updates));
    assert_eq!(a.version().compare(&b.version()), Some(0));
    c.apply_diff(&a.diff(&Array::new(), &a.frontiers(), None).unwrap().into(), &JsValue::UNDEFINED).unwrap();
    assert_eq!(c.get_text("t").unwrap().text(), "a😀b");
    assert_eq!(c.get_counter("c").unwrap().value(), 0.25);
    assert!(b.import_json_updates(&"{}".into()).is_err());
}
