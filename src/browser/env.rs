//! Time, chance and tasks of a window or worker.

use js_sys::{Function, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::{
    runtime::{Env, LocalBoxFuture},
    synchronizer::Timestamp,
};

#[wasm_bindgen]
extern "C" {
    // Global in windows, workers and Node alike, unlike `window.setTimeout`.
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(handler: &Function, ms: f64) -> JsValue;
}

/// The world of a page.
#[derive(Debug, Clone, Copy, Default)]
pub struct BrowserEnv;

impl Env for BrowserEnv {
    fn now(&self) -> Timestamp {
        Timestamp(js_sys::Date::now() as u64)
    }

    fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        // Without a source of chance nothing here can work: ids would collide and documents would be damaged.
        getrandom::getrandom(&mut bytes).expect("the platform has a random number generator");
        // Below the largest value, which Loro reserves.
        u64::from_le_bytes(bytes) >> 1
    }

    fn spawn(&self, task: LocalBoxFuture<()>) {
        spawn_local(task);
    }

    fn sleep(&self, ms: u64) -> LocalBoxFuture<()> {
        // Longer delays overflow the browser's 32 bits and would fire at once.
        let ms = ms.min(i32::MAX as u64) as f64;
        let over = Promise::new(&mut |resolve, _| {
            set_timeout(&resolve, ms);
        });
        Box::pin(async move {
            // A promise that only ever resolves.
            let _ = JsFuture::from(over).await;
        })
    }
}
