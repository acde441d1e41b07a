//! Web Locks as a sign of life: a tab holds a lock of its own name, and whoever is granted it knows that the tab is gone.

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, AbortSignal};

#[wasm_bindgen]
extern "C" {
    type LockManager;
    #[wasm_bindgen(method, catch)]
    fn request(this: &LockManager, name: &str, options: &Object, granted: &Function) -> Result<Promise, JsValue>;
}

/// Returns `navigator.locks`; `None` in old browsers and insecure contexts.
fn manager() -> Option<LockManager> {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).ok()?;
    let locks = Reflect::get(&navigator, &"locks".into()).ok()?;
    locks.is_object().then(|| locks.unchecked_into())
}

/// A lock that is held until dropped.
pub(super) struct HeldLock {
    release: Function,
}

impl HeldLock {
    /// Takes the lock of that name, which nobody else asks for yet; `None` where there are no locks.
    pub(super) async fn take(name: &str) -> Option<Self> {
        let manager = manager()?;
        let mut release = None;
        let held = Promise::new(&mut |resolve, _| release = Some(resolve));
        let lock = Self { release: release? };
        let (granted, heard) = oneshot::channel();
        let callback = Closure::once(move |_: JsValue| {
            let _ = granted.send(());
            JsValue::from(held)
        });
        let request = manager.request(name, &Object::new(), callback.as_ref().unchecked_ref()).ok()?;
        let (ended, end) = oneshot::channel();
        wasm_bindgen_futures::spawn_local(async move {
            let _ = JsFuture::from(request).await;
            drop(callback);
            let _ = ended.send(());
        });
        match select(heard, end).await {
            Either::Left((Ok(()), _)) => Some(lock),
            _ => None,
        }
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        let _ = self.release.call0(&JsValue::UNDEFINED);
    }
}

/// Waits for the end of another tab until dropped.
pub(super) struct Watch {
    abort: Option<AbortController>,
}

impl Watch {
    /// Calls `gone` when nobody holds the lock of that name any more.
    pub(super) fn new(name: &str, gone: impl FnOnce() + 'static) -> Self {
        let abort = AbortController::new().ok();
        let promise = abort.as_ref().and_then(|abort| ask(name, &abort.signal()));
        if let Some((promise, callback)) = promise {
            wasm_bindgen_futures::spawn_local(async move {
                if JsFuture::from(promise).await.is_ok() {
                    gone();
                }
                drop(callback);
            });
        }
        Self { abort }
    }
}

type Granted = Closure<dyn FnMut(JsValue)>;

fn ask(name: &str, signal: &AbortSignal) -> Option<(Promise, Granted)> {
    let options = Object::new();
    Reflect::set(&options, &"signal".into(), signal).ok()?;
    let callback = Closure::once(|_: JsValue| ());
    let promise = manager()?.request(name, &options, callback.as_ref().unchecked_ref()).ok()?;
    Some((promise, callback))
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(abort) = &self.abort {
            abort.abort();
        }
    }
}
