//! Calls into the application: queued, in order, made when the work that caused them is done.
//!
//! A call made while another runs waits behind it. One that throws does not stop the others; its error is reported as an
//! unhandled rejection.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

use js_sys::{Array, Function, Promise};
use wasm_bindgen::prelude::*;

use crate::collections::SortedMap;

thread_local! {
    static QUEUE: RefCell<VecDeque<(Function, Array)>> = const { RefCell::new(VecDeque::new()) };
    static DRAINING: Cell<bool> = const { Cell::new(false) };
    static SCHEDULED: Cell<bool> = const { Cell::new(false) };
    static LISTENERS: RefCell<SortedMap<u64, Function>> = const { RefCell::new(SortedMap::new()) };
    static SUBSCRIPTIONS: RefCell<SortedMap<u64, Box<dyn std::any::Any>>> = const { RefCell::new(SortedMap::new()) };
    static NEXT: Cell<u64> = const { Cell::new(1) };
}

/// Queues a call. It is made by the next [`drain`], at the latest in a microtask.
pub fn enqueue(function: Function, arguments: Array) {
    QUEUE.with(|queue| queue.borrow_mut().push_back((function, arguments)));
    if !DRAINING.get() && !SCHEDULED.replace(true) {
        wasm_bindgen_futures::spawn_local(async {
            SCHEDULED.set(false);
            drain();
        });
    }
}

/// Queues a call with one argument.
pub fn enqueue1(function: Function, argument: &JsValue) {
    enqueue(function, Array::of1(argument));
}

/// Makes the queued calls. Called from inside one it does nothing: that one returns first.
pub fn drain() {
    if DRAINING.replace(true) {
        return;
    }
    loop {
        let next = QUEUE.with(|queue| queue.borrow_mut().pop_front());
        let Some((function, arguments)) = next else { break };
        if let Err(error) = function.apply(&JsValue::UNDEFINED, &arguments) {
            report(&error);
        }
    }
    DRAINING.set(false);
}

/// Goes on after a panic that ended whoever made the calls.
pub fn resume() {
    DRAINING.set(false);
    SCHEDULED.set(false);
}

/// Reports an error nobody catches, as the platform does for one.
pub fn report(error: &JsValue) {
    drop(Promise::reject(error));
}

/// Makes the queued calls.
#[wasm_bindgen(js_name = callPendingEvents, skip_typescript)]
pub fn call_pending_events() {
    drain();
}

/// Keeps a listener and returns its number. Engine callbacks must be `Send`, so they carry the number only.
pub fn keep(listener: Function) -> u64 {
    let id = NEXT.get();
    NEXT.set(id + 1);
    LISTENERS.with(|listeners| listeners.borrow_mut().insert(id, listener));
    id
}

/// Returns a kept listener, unless it was removed.
#[must_use]
pub fn listener(id: u64) -> Option<Function> {
    LISTENERS.with(|listeners| listeners.borrow().get(&id).cloned())
}

/// Removes a listener whose source is gone.
pub fn forget(id: u64) {
    let listener = LISTENERS.with(|listeners| listeners.borrow_mut().remove(&id));
    drop(listener);
    let ended = SUBSCRIPTIONS.with(|subscriptions| subscriptions.borrow_mut().remove(&id));
    drop(ended);
}

/// Returns the function that ends a subscription: idempotent, and forgetting it ends nothing.
pub fn unsubscriber(id: u64, subscription: impl std::any::Any) -> JsValue {
    SUBSCRIPTIONS.with(|subscriptions| subscriptions.borrow_mut().insert(id, Box::new(subscription)));
    Closure::<dyn FnMut()>::new(move || forget(id)).into_js_value()
}
