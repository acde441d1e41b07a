//! Event listeners that remove themselves. Decides nothing.

use wasm_bindgen::prelude::*;
use web_sys::{Event, EventTarget};

/// Listens to one event of one target until dropped.
pub struct Listener {
    target: EventTarget,
    event: &'static str,
    handler: Closure<dyn Fn(Event)>,
}

impl Listener {
    /// Calls `handler` for each `event` of `target`. The handler may drop the listener it belongs to.
    #[must_use]
    pub fn new(target: &EventTarget, event: &'static str, handler: impl Fn(Event) + 'static) -> Self {
        let listener = Self { target: target.clone(), event, handler: Closure::new(handler) };
        // It fails only for a target that is none, which then stays silent.
        let _ = listener.target.add_event_listener_with_callback(event, listener.handler.as_ref().unchecked_ref());
        listener
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.target.remove_event_listener_with_callback(self.event, self.handler.as_ref().unchecked_ref());
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("event", &self.event).finish_non_exhaustive()
    }
}

/// Returns the window or the worker's global scope; `None` where that sends no events.
pub(super) fn global() -> Option<EventTarget> {
    js_sys::global().dyn_into().ok()
}

/// Returns the document; `None` in a worker.
pub(super) fn document() -> Option<web_sys::Document> {
    web_sys::window().and_then(|window| window.document())
}
