//! `UndoManager`.

use std::{
    cell::{Cell, RefCell},
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
};

use js_sys::{Array, Function};
use loro::{
    CounterSpan, InnerUndoManager, LoroDoc,
    event::DiffEvent,
    undo::{UndoItemMeta, UndoOrRedo},
};
use wasm_bindgen::{JsCast, prelude::*};

use super::{
    cursor::{JsCursor, cursor_from_js},
    doc::JsLoroDoc,
    event::{self, Span},
    value::{from_js, get, object, to_js},
};
use crate::{
    collections::SortedMap,
    js::{error, events},
};

thread_local! {
    /// What every manager calls. Engine callbacks must be `Send`, so they carry the manager's number only.
    static LISTENERS: RefCell<SortedMap<u64, Listeners>> = const { RefCell::new(SortedMap::new()) };
    static NEXT: Cell<u64> = const { Cell::new(1) };
}

#[derive(Default, Clone)]
struct Listeners {
    push: Option<Function>,
    pop: Option<Function>,
}

/// Undoes and redoes what this peer did.
#[wasm_bindgen(js_name = UndoManager, skip_typescript)]
pub struct JsUndoManager {
    undo: AssertUnwindSafe<Arc<InnerUndoManager>>,
    doc: AssertUnwindSafe<LoroDoc>,
    number: u64,
}

impl Drop for JsUndoManager {
    fn drop(&mut self) {
        let listeners = LISTENERS.with(|all| all.borrow_mut().remove(&self.number));
        drop(listeners);
    }
}

#[wasm_bindgen(js_class = "UndoManager")]
impl JsUndoManager {
    #[doc(hidden)]
    #[wasm_bindgen(js_name = __lose)]
    pub fn lose(&self, message: &str) -> bool {
        crate::js::panics::lose(self.doc.inner(), message)
    }
}

impl JsUndoManager {
    fn listen(&self, set: impl FnOnce(&mut Listeners)) {
        LISTENERS.with(|all| set(all.borrow_mut().entry(self.number).or_default()));
    }
}

fn listeners(number: u64) -> Listeners {
    LISTENERS.with(|all| all.borrow().get(&number).cloned().unwrap_or_default())
}

fn span_to_js(span: CounterSpan) -> JsValue {
    object(&[("start", span.start.into()), ("end", span.end.into())]).into()
}

fn meta_to_js(meta: UndoItemMeta) -> JsValue {
    let cursors: Array = meta.cursors.into_iter().map(|cursor| JsValue::from(JsCursor::from_inner(cursor.cursor))).collect();
    object(&[("value", to_js(&meta.value)), ("cursors", cursors.into())]).into()
}

/// Reads what a listener returned: `{ value, cursors }`, or nothing.
fn meta_from_js(value: &JsValue) -> Result<UndoItemMeta, JsValue> {
    let mut meta = UndoItemMeta::new();
    if let Some(value) = get(value, "value") {
        meta.set_value(from_js(&value)?);
    }
    if let Some(cursors) = get(value, "cursors") {
        for cursor in Array::from(&cursors).iter() {
            meta.add_cursor(&cursor_from_js(&cursor)?);
        }
    }
    Ok(meta)
}

/// A step is on its stack before the application is asked about it: what it returns is put there afterwards.
struct Pushed {
    undo: Weak<InnerUndoManager>,
    kind: UndoOrRedo,
    count: usize,
}

impl Pushed {
    fn count(undo: &InnerUndoManager, kind: UndoOrRedo) -> usize {
        match kind {
            UndoOrRedo::Undo => undo.undo_count(),
            UndoOrRedo::Redo => undo.redo_count(),
        }
    }

    fn tell(&self, listener: &Function, span: &JsValue, event: &JsValue) {
        let Some(undo) = self.undo.upgrade() else { return };
        // A step that was joined to the one before it keeps that one's.
        let joined = Self::count(&undo, self.kind) <= self.count;
        let is_undo = JsValue::from_bool(self.kind == UndoOrRedo::Undo);
        let told = listener.call3(&JsValue::UNDEFINED, &is_undo, span, event).and_then(|meta| meta_from_js(&meta));
        match (told, self.kind) {
            (Err(error), _) => events::report(&error),
            (Ok(_), _) if joined => {}
            (Ok(meta), UndoOrRedo::Undo) => undo.set_top_undo_meta(meta),
            (Ok(meta), UndoOrRedo::Redo) => undo.set_top_redo_meta(meta),
        }
    }
}

#[wasm_bindgen(js_class = "UndoManager")]
impl JsUndoManager {
    /// Follows a document. Options: `mergeInterval` (ms), `maxUndoSteps`, `excludeOriginPrefixes`, `onPush`, `onPop`.
    #[wasm_bindgen(constructor)]
    pub fn new(doc: &JsLoroDoc, config: &JsValue) -> Self {
        let doc = doc.engine();
        let number = |key, default| get(config, key).and_then(|value| value.as_f64()).unwrap_or(default);
        let undo = InnerUndoManager::new(doc.inner());
        undo.set_max_undo_steps(number("maxUndoSteps", 100.0) as usize);
        undo.set_merge_interval(number("mergeInterval", 1000.0) as i64);
        if let Some(prefixes) = get(config, "excludeOriginPrefixes") {
            for prefix in Array::from(&prefixes).iter().filter_map(|prefix| prefix.as_string()) {
                undo.add_exclude_origin_prefix(&prefix);
            }
        }
        let made = Self { undo: AssertUnwindSafe(Arc::new(undo)), doc: AssertUnwindSafe(doc), number: NEXT.replace(NEXT.get() + 1) };
        made.set_on_push(get(config, "onPush").unwrap_or_default());
        made.set_on_pop(get(config, "onPop").unwrap_or_default());
        made
    }

    /// Undoes the last step; returns whether there was one.
    pub fn undo(&self) -> Result<bool, JsValue> {
        let undone = self.undo.undo().map_err(|error| error::engine(&error));
        events::drain();
        undone
    }

    /// Redoes the last undone step; returns whether there was one.
    pub fn redo(&self) -> Result<bool, JsValue> {
        let redone = self.undo.redo().map_err(|error| error::engine(&error));
        events::drain();
        redone
    }

    /// Returns whether there is a step to undo.
    #[wasm_bindgen(js_name = canUndo)]
    pub fn can_undo(&self) -> bool {
        self.undo.can_undo()
    }

    /// Returns whether there is a step to redo.
    #[wasm_bindgen(js_name = canRedo)]
    pub fn can_redo(&self) -> bool {
        self.undo.can_redo()
    }

    /// Makes one step of everything until `groupEnd`.
    #[wasm_bindgen(js_name = groupStart)]
    pub fn group_start(&self) -> Result<(), JsValue> {
        self.undo.group_start().map_err(|error| error::engine(&error))
    }

    /// Ends the step `groupStart` began.
    #[wasm_bindgen(js_name = groupEnd)]
    pub fn group_end(&self) {
        self.undo.group_end();
    }

    /// Takes no further steps until `resume`.
    pub fn pause(&self) {
        self.undo.pause();
    }

    /// Takes steps again.
    pub fn resume(&self) {
        self.undo.resume();
    }

    /// Returns whether it takes no steps.
    #[wasm_bindgen(js_name = isPaused)]
    pub fn is_paused(&self) -> bool {
        self.undo.is_paused()
    }

    /// Forgets all steps.
    pub fn clear(&self) {
        self.undo.clear();
    }

    /// Forgets the steps to redo.
    #[wasm_bindgen(js_name = clearRedo)]
    pub fn clear_redo(&self) {
        self.undo.clear_redo();
    }

    /// Forgets the steps to undo.
    #[wasm_bindgen(js_name = clearUndo)]
    pub fn clear_undo(&self) {
        self.undo.clear_undo();
    }

    /// Returns the value kept with the step to undo next.
    #[wasm_bindgen(js_name = topUndoValue)]
    pub fn top_undo_value(&self) -> JsValue {
        self.undo.top_undo_value().map_or(JsValue::UNDEFINED, |value| to_js(&value))
    }

    /// Returns the value kept with the step to redo next.
    #[wasm_bindgen(js_name = topRedoValue)]
    pub fn top_redo_value(&self) -> JsValue {
        self.undo.top_redo_value().map_or(JsValue::UNDEFINED, |value| to_js(&value))
    }

    /// Ignores commits whose origin begins so.
    #[wasm_bindgen(js_name = addExcludeOriginPrefix)]
    pub fn add_exclude_origin_prefix(&self, prefix: &str) {
        self.undo.add_exclude_origin_prefix(prefix);
    }

    /// Joins commits less than this many milliseconds apart into one step.
    #[wasm_bindgen(js_name = setMergeInterval)]
    pub fn set_merge_interval(&self, interval: f64) {
        self.undo.set_merge_interval(interval as i64);
    }

    /// Keeps at most this many steps.
    #[wasm_bindgen(js_name = setMaxUndoSteps)]
    pub fn set_max_undo_steps(&self, steps: usize) {
        self.undo.set_max_undo_steps(steps);
    }

    /// Returns the peer whose steps it follows.
    pub fn peer(&self) -> String {
        self.undo.peer().to_string()
    }

    /// Calls `listener(isUndo, range, event)` for every new step; the `{ value, cursors }` it returns are kept with the step.
    #[wasm_bindgen(js_name = setOnPush)]
    pub fn set_on_push(&self, listener: JsValue) {
        let listener = listener.dyn_into::<Function>().ok();
        if listener.is_none() {
            self.undo.set_on_push(None);
        } else {
            let key = event::track_last(&self.doc);
            let (undo, number) = (Arc::downgrade(&self.undo), self.number);
            self.undo.set_on_push(Some(Box::new(move |kind, span, event| {
                if let (Some(listener), Some(manager)) = (listeners(number).push, undo.upgrade()) {
                    let pushed = Pushed { undo: undo.clone(), kind, count: Pushed::count(&manager, kind) };
                    let event = event.map_or(JsValue::UNDEFINED, |event| {
                        let versions = Span { from: event.event_meta.from.clone(), to: event.event_meta.to.clone() };
                        event::to_js(key, &DiffEvent::from(event), &versions)
                    });
                    let tell = Closure::once_into_js(move || pushed.tell(&listener, &span_to_js(span), &event));
                    events::enqueue(tell.unchecked_into(), Array::new());
                }
                UndoItemMeta::new()
            })));
        }
        self.listen(|listeners| listeners.push = listener);
    }

    /// Calls `listener(isUndo, { value, cursors }, range)` for every step taken back or done again.
    #[wasm_bindgen(js_name = setOnPop)]
    pub fn set_on_pop(&self, listener: JsValue) {
        let listener = listener.dyn_into::<Function>().ok();
        if listener.is_none() {
            self.undo.set_on_pop(None);
        } else {
            let number = self.number;
            self.undo.set_on_pop(Some(Box::new(move |kind, span, meta| {
                if let Some(listener) = listeners(number).pop {
                    let is_undo = JsValue::from_bool(kind == UndoOrRedo::Undo);
                    events::enqueue(listener, Array::of3(&is_undo, &meta_to_js(meta), &span_to_js(span)));
                }
            })));
        }
        self.listen(|listeners| listeners.pop = listener);
    }
}
