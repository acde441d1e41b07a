//! Web Locks. As a sign of life: a tab holds a lock of its own name, and whoever is granted it knows that the tab is gone. As an office: one
//! tab at a time holds it, the others wait, and one of them may take it from a holder that does not answer. Decides nothing.

use std::{cell::Cell, rc::Rc};

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

/// Returns whether there are locks here.
pub(super) fn available() -> bool {
    manager().is_some()
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

/// A lock that is waited for, then held, until dropped.
pub(super) struct Office {
    release: Function,
    abort: Option<AbortController>,
    over: Rc<Cell<bool>>,
}

/// What becomes of an [`Office`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tenure {
    /// It is held.
    Granted,
    /// It was taken away, or could not be had.
    Lost,
}

impl Office {
    /// Waits for the lock of that name, or takes it from its holder. `hear` is called later, never after this is dropped.
    pub(super) fn seek(name: &str, steal: bool, hear: impl Fn(Tenure) + 'static) -> Option<Self> {
        let manager = manager()?;
        let mut release = None;
        let held = Promise::new(&mut |resolve, _| release = Some(resolve));
        let over = Rc::new(Cell::new(false));
        let hear = Rc::new({
            let over = Rc::clone(&over);
            move |tenure| {
                if !over.get() {
                    hear(tenure);
                }
            }
        });
        let options = Object::new();
        // The two options exclude each other; what is stolen is not waited for.
        let abort = if steal { None } else { AbortController::new().ok() };
        let _ = Reflect::set(&options, &"steal".into(), &steal.into());
        if let Some(abort) = &abort {
            let _ = Reflect::set(&options, &"signal".into(), &abort.signal());
        }
        let granted = Rc::clone(&hear);
        let callback = Closure::once(move |_: JsValue| {
            granted(Tenure::Granted);
            JsValue::from(held)
        });
        let request = manager.request(name, &options, callback.as_ref().unchecked_ref()).ok()?;
        wasm_bindgen_futures::spawn_local(async move {
            // It ends well when it was released, and badly when it was stolen.
            if JsFuture::from(request).await.is_err() {
                hear(Tenure::Lost);
            }
            drop(callback);
        });
        Some(Self { release: release?, abort, over })
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.over.set(true);
        let _ = self.release.call0(&JsValue::UNDEFINED);
        // A granted request does not mind.
        if let Some(abort) = &self.abort {
            abort.abort();
        }
    }
}
