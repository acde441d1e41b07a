//! IndexedDB requests and transactions as futures. Decides what each failure means.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use futures_channel::oneshot;
use wasm_bindgen::prelude::*;
use web_sys::{DomException, IdbDatabase, IdbFactory, IdbOpenDbRequest, IdbRequest, IdbRequestReadyState, IdbTransaction};

use super::{super::listener::Listener, layout};
use crate::runtime::StoreError;

/// Returns `indexedDB` of the window or worker.
pub(in crate::browser) fn factory() -> Result<IdbFactory, StoreError> {
    let missing = || StoreError::Unavailable("this browser or mode has no IndexedDB".to_owned());
    let factory = js_sys::Reflect::get(&js_sys::global(), &"indexedDB".into()).map_err(|_| missing())?;
    if factory.is_undefined() || factory.is_null() {
        return Err(missing());
    }
    Ok(factory.unchecked_into())
}

/// Opens the database and creates the object stores it lacks; one that somebody else made is left alone. `birth` is written where there is
/// none; `blocked` is called if another tab keeps an older one open.
pub(super) async fn open(name: &str, birth: &str, blocked: impl Fn() + 'static) -> Result<IdbDatabase, StoreError> {
    let request: IdbOpenDbRequest = factory()?.open_with_u32(name, layout::VERSION).map_err(|error| explain(&error))?;
    let foreign = Rc::new(Cell::new(false));
    let upgrade = Listener::new(&request, "upgradeneeded", {
        let (request, birth, foreign) = (request.clone(), birth.to_owned(), Rc::clone(&foreign));
        move |_| {
            // A failure here fails the request.
            let Ok(database) = request.result().map(JsCast::unchecked_into::<IdbDatabase>) else { return };
            let present = database.object_store_names();
            // An empty one is nobody's: whoever opens a database by its name alone makes it.
            if present.length() > 0 && !layout::FIRST.iter().all(|store| present.contains(store)) {
                foreign.set(true);
                let _ = request.transaction().map(|transaction| transaction.abort());
                return;
            }
            for store in layout::ALL.into_iter().filter(|store| !present.contains(store)) {
                let _ = database.create_object_store(store);
            }
            let meta = request.transaction().and_then(|transaction| transaction.object_store(layout::META).ok());
            // One that has a mark stays the same database.
            if let Some(meta) = meta.filter(|_| !present.contains(layout::META)) {
                let _ = meta.put_with_key(&birth.as_str().into(), &layout::BIRTH.into());
            }
        }
    });
    let blocked = Listener::new(&request, "blocked", move |_| blocked());
    let is_foreign = || StoreError::Corrupt(format!("database {name:?} is not one of corella's"));
    let opened = done(&request).await;
    drop((upgrade, blocked));
    if foreign.get() {
        return Err(is_foreign());
    }
    let database: IdbDatabase = opened?.unchecked_into();
    let stores = database.object_store_names();
    if layout::ALL.into_iter().all(|store| stores.contains(store)) {
        Ok(database)
    } else {
        database.close();
        Err(is_foreign())
    }
}

/// Waits for a request.
pub(in crate::browser) async fn done(request: &IdbRequest) -> Result<JsValue, StoreError> {
    if request.ready_state() == IdbRequestReadyState::Pending {
        settle(request).await;
    }
    result(request)
}

/// Returns what came of a request that is done.
pub(super) fn result(request: &IdbRequest) -> Result<JsValue, StoreError> {
    match request.error() {
        Ok(Some(error)) => Err(explain(&error)),
        Ok(None) => request.result().map_err(|error| explain(&error)),
        Err(error) => Err(explain(&error)),
    }
}

async fn settle(request: &IdbRequest) {
    let (send, receive) = oneshot::channel();
    let send = std::rc::Rc::new(std::cell::Cell::new(Some(send)));
    let finish = move |_| {
        if let Some(send) = send.take() {
            let _ = send.send(());
        }
    };
    let _listeners = [Listener::new(request, "success", finish.clone()), Listener::new(request, "error", finish)];
    let _ = receive.await;
}

#[wasm_bindgen]
extern "C" {
    /// A transaction that need not wait until it is known that nothing more is asked of it. Older browsers have none.
    type PromptTransaction;
    #[wasm_bindgen(method, catch)]
    fn commit(this: &PromptTransaction) -> Result<(), JsValue>;
}

/// Says that nothing more is asked of a transaction: the browser then finishes it also when the page has ended.
pub(super) fn commit(transaction: &IdbTransaction) {
    // Where that cannot be said it is found out.
    let _ = transaction.unchecked_ref::<PromptTransaction>().commit();
}

thread_local! {
    static UNDER_WAY: RefCell<Vec<IdbTransaction>> = const { RefCell::new(Vec::new()) };
}

/// Gives up what still waits for something it reads in a database, to be done once more if there is somebody to do it.
///
/// If the page ends it comes to nothing anyway, and Chromium gives up with it what waits behind it.
pub(super) fn give_way(database: &IdbDatabase) {
    let under_way = UNDER_WAY.with_borrow(Vec::clone);
    for transaction in under_way.iter().filter(|transaction| transaction.db() == *database) {
        // What was told to commit refuses.
        let _ = transaction.abort();
    }
}

/// Hears how a transaction ends; made before its first request.
pub(super) struct Outcome {
    transaction: IdbTransaction,
    ended: oneshot::Receiver<bool>,
    _listeners: [Listener; 2],
}

impl Outcome {
    pub(super) fn of(transaction: &IdbTransaction) -> Self {
        let (send, ended) = oneshot::channel();
        let send = std::rc::Rc::new(std::cell::Cell::new(Some(send)));
        let finish = move |complete: bool| {
            let send = send.clone();
            move |_| {
                if let Some(send) = send.take() {
                    let _ = send.send(complete);
                }
            }
        };
        let listeners = [Listener::new(transaction, "complete", finish(true)), Listener::new(transaction, "abort", finish(false))];
        UNDER_WAY.with_borrow_mut(|under_way| under_way.push(transaction.clone()));
        Self { transaction: transaction.clone(), ended, _listeners: listeners }
    }

    /// Completes when the transaction has, of which nothing more is asked: only then is it on disk.
    pub(super) async fn complete(mut self) -> Result<(), StoreError> {
        commit(&self.transaction);
        if let Ok(true) = (&mut self.ended).await {
            return Ok(());
        }
        // Without a reason it was the browser that closed the database.
        Err(self.transaction.error().map_or_else(|| lost("the transaction was aborted"), |error| explain(&error)))
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        UNDER_WAY.with_borrow_mut(|under_way| under_way.retain(|transaction| *transaction != self.transaction));
    }
}

/// Returns the error of a connection that is gone.
pub(super) fn lost(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}

/// Turns what IndexedDB threw into a store error.
pub(in crate::browser) fn explain(error: &JsValue) -> StoreError {
    let Some(exception) = error.dyn_ref::<DomException>() else {
        return StoreError::Other(format!("{error:?}"));
    };
    let text = format!("{}: {}", exception.name(), exception.message());
    match exception.name().as_str() {
        "QuotaExceededError" => StoreError::Full(text),
        "VersionError" => {
            StoreError::Unavailable(format!("the database was written by a newer version of corella and is left alone ({text})"))
        }
        "DataCloneError" | "DataError" => StoreError::Other(text),
        "NotReadableError" => StoreError::Corrupt(text),
        // Closed, closing, private mode, no permission, disk trouble: another connection may do better.
        "InvalidStateError" | "AbortError" | "UnknownError" | "SecurityError" | "TransactionInactiveError" => StoreError::Unavailable(text),
        _ => StoreError::Other(text),
    }
}
