//! Time, chance and tasks of a window or worker. Decides nothing.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures_channel::oneshot;
use wasm_bindgen::prelude::*;

use crate::{
    runtime::{Env, LocalBoxFuture},
    synchronizer::Timestamp,
};

/// Longest delay `setTimeout` takes; it fires at once for more.
const MAX_TIMEOUT_MS: u64 = i32::MAX as u64;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(handler: &js_sys::Function, ms: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
}

/// The [`Env`] of a window or worker.
#[derive(Debug, Clone, Copy, Default)]
pub struct BrowserEnv;

impl Env for BrowserEnv {
    fn now(&self) -> Timestamp {
        Timestamp(js_sys::Date::now() as u64)
    }

    fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        if getrandom::getrandom(&mut bytes).is_err() {
            // No `crypto` at all: ids still have to differ.
            return js_sys::Math::random().to_bits().rotate_left(32) ^ js_sys::Math::random().to_bits();
        }
        u64::from_le_bytes(bytes)
    }

    fn spawn(&self, task: LocalBoxFuture<()>) {
        wasm_bindgen_futures::spawn_local(task);
    }

    fn sleep(&self, ms: u64) -> LocalBoxFuture<()> {
        Box::pin(Sleep::new(ms))
    }
}

/// A timeout that is cleared when nobody waits for it any more.
struct Sleep {
    timer: JsValue,
    elapsed: oneshot::Receiver<()>,
    _fire: Closure<dyn FnMut()>,
}

impl Sleep {
    fn new(ms: u64) -> Self {
        let (fired, elapsed) = oneshot::channel();
        let fire = Closure::once(move || {
            let _ = fired.send(());
        });
        let timer = set_timeout(fire.as_ref().unchecked_ref(), ms.min(MAX_TIMEOUT_MS) as f64);
        Self { timer, elapsed, _fire: fire }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.elapsed).poll(context).map(|_| ())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        clear_timeout(&self.timer);
    }
}
