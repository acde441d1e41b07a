//! The browser tests in a window.
#![cfg(target_arch = "wasm32")]

mod channels;
mod web;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
