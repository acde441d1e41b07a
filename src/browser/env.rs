//! Time, chance and tasks of a window or worker. Decides nothing.

use std::{
    future::Future,
    mem::ManuallyDrop,
    pin::Pin,
    task::{Context, Poll},
};

use futures_channel::oneshot;
use wasm_bindgen::prelude::*;
use web_sys::MessageChannel;

use super::{headroom, panics};
use crate::{
    runtime::{Env, LocalBoxFuture},
    synchronizer::Timestamp,
};

/// Longest delay `setTimeout` takes; it fires at once for more.
const MAX_TIMEOUT_MS: u64 = i32::MAX as u64;
/// What is due later than that is no reason for a process of Node to go on.
const LONG_MS: u64 = 600_000;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(handler: &js_sys::Function, ms: f64) -> JsValue;
    type NodeTimer;
    #[wasm_bindgen(method, catch)]
    fn unref(this: &NodeTimer) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
    /// Calls a closure from JavaScript, which survives the trap that a panic ends in.
    #[wasm_bindgen(js_namespace = Reflect, js_name = apply, catch)]
    fn call_contained(work: &mut dyn FnMut(), this: &JsValue, arguments: &js_sys::Array) -> Result<JsValue, JsValue>;
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
        spawn(task);
    }

    fn sleep(&self, ms: u64) -> LocalBoxFuture<()> {
        Box::pin(Sleep::new(ms))
    }

    fn pause(&self) -> LocalBoxFuture<()> {
        Box::pin(async {
            let Ok(channel) = MessageChannel::new() else { return Sleep::new(0).await };
            let (turn, come) = oneshot::channel();
            let resume = Closure::once_into_js(move || {
                let _ = turn.send(());
            });
            channel.port1().set_onmessage(Some(resume.unchecked_ref()));
            if channel.port2().post_message(&JsValue::NULL).is_ok() {
                let _ = come.await;
            }
            channel.port1().close();
        })
    }

    fn stepped(&self) {
        headroom::keep();
    }

    fn contain(&self, work: &mut dyn FnMut()) -> Result<(), String> {
        panics::take_message();
        let done = NONE.with(|none| call_contained(&mut || work(), &JsValue::UNDEFINED, none));
        done.map(drop).map_err(|error| panics::take_message().unwrap_or_else(|| panics::message_of(&error)))
    }
}

thread_local! {
    static NONE: js_sys::Array = js_sys::Array::new();
}

/// Runs a task. Its panic ends it and no other.
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) {
    wasm_bindgen_futures::spawn_local(async move {
        // The error is thrown again where nobody is in the way of it.
        if let Err(message) = contained(task).await {
            drop(js_sys::Promise::reject(&js_sys::Error::new(&message).into()));
        }
    });
}

/// Waits for a task.
///
/// # Errors
/// The message of its panic.
pub(crate) async fn contained<T>(task: impl Future<Output = T>) -> Result<T, String> {
    let mut task = Some(Box::pin(task));
    std::future::poll_fn(|context| {
        let mut polled = Poll::Pending;
        let contained = BrowserEnv.contain(&mut || {
            if let Some(task) = &mut task {
                polled = task.as_mut().poll(context);
            }
        });
        match contained {
            Ok(()) => polled.map(Ok),
            Err(message) => {
                // What the task holds may be in use for ever.
                let _never_dropped = task.take().map(ManuallyDrop::new);
                Poll::Ready(Err(message))
            }
        }
    })
    .await
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
        if ms >= LONG_MS {
            // Not a method where timers are numbers.
            let _ = timer.unchecked_ref::<NodeTimer>().unref();
        }
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
