//! Event listeners that end with their owner.

use std::fmt;

use wasm_bindgen::{JsCast, prelude::*};
use web_sys::{Event, EventTarget};

/// Owns a listener and removes it when dropped.
pub struct Listener {
    target: EventTarget,
    event: &'static str,
    closure: Closure<dyn FnMut(Event)>,
}

impl Listener {
    /// Listens to `event` of `target`.
    pub fn new(target: &EventTarget, event: &'static str, handler: impl FnMut(Event) + 'static) -> Self {
        let closure = Closure::<dyn FnMut(Event)>::new(handler);
        // Fails only for a target that is no event target, which the type excludes.
        let _ = target.add_event_listener_with_callback(event, closure.as_ref().unchecked_ref());
        Self { target: target.clone(), event, closure }
    }

    /// Listens to `event` of the window or worker.
    pub fn global(event: &'static str, handler: impl FnMut(Event) + 'static) -> Self {
        Self::new(&js_sys::global().unchecked_into(), event, handler)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.target.remove_event_listener_with_callback(self.event, self.closure.as_ref().unchecked_ref());
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.event).finish()
    }
}

/// Returns the document, which only a window has.
pub(super) fn document() -> Option<web_sys::Document> {
    js_sys::global().dyn_into::<web_sys::Window>().ok()?.document()
}
