//! What the browser's adapters have to do, the same in a window and in a dedicated worker.

#![allow(clippy::unwrap_used, reason = "tests")]

mod broadcast;
mod document;
mod durability;
mod indexed_db;
mod listener;
mod loro_extended;
mod reading;
mod storage;
mod websocket;

use std::rc::Rc;

use corella::{browser::BrowserEnv, runtime::Env};
use wasm_bindgen_test::wasm_bindgen_test;

fn env() -> Rc<dyn Env> {
    Rc::new(BrowserEnv)
}

#[wasm_bindgen_test]
async fn time_passes_and_numbers_differ() {
    let env = env();
    let before = env.now();
    env.sleep(30).await;
    assert!(env.now().since(before) >= 29);
    assert_ne!(env.random_u64(), env.random_u64());
    drop(env.sleep(1));
    env.sleep(20).await;
}
