//! What a panic said. The trap that it ends in says nothing.

use std::cell::RefCell;

use wasm_bindgen::{JsCast, JsValue};

thread_local! {
    static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the messages of panics from now on, and prints them.
pub(crate) fn watch() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.to_string();
        web_sys::console::error_1(&message.as_str().into());
        MESSAGE.with(|kept| *kept.borrow_mut() = Some(message));
    }));
}

/// Returns what the last panic said, once.
pub(crate) fn take_message() -> Option<String> {
    MESSAGE.with(|kept| kept.borrow_mut().take())
}

/// Returns what an error says.
pub(crate) fn message_of(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| "no message".to_owned(), |error| String::from(error.message()))
}
