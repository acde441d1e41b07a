//! Documents read together: how many transactions that takes, and what a failure in one costs.

use std::rc::Rc;

use corella::{
    DocId, Repo, RepoConfig,
    browser::IndexedDbAdapter,
    runtime::{Adapter, SyncKind, WaitOptions},
};
use futures_util::future::join_all;
use js_sys::{Function, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

use super::{
    env,
    indexed_db::{fresh_name, start, write},
};
use crate::channels::Recorder;

/// Counts what is asked of one database, until it is dropped.
struct Watched {
    counts: JsValue,
    restore: Function,
}

impl Watched {
    /// Aborts the transaction of each reading of records whose range begins with the document `broken`.
    fn new(database: &str, broken: &str) -> Self {
        let watch = Function::new_with_args(
            "name, broken",
            "const counts = { readonly: 0, readwrite: 0, getAll: 0, getAllKeys: 0 };
             const { transaction } = IDBDatabase.prototype, { getAll, getAllKeys } = IDBObjectStore.prototype;
             const ours = (store) => store.transaction.db.name === name && store.name === 'records';
             IDBDatabase.prototype.transaction = function (stores, mode, options) {
               const made = transaction.call(this, stores, mode, options);
               if (this.name === name && made.objectStoreNames.contains('records')) counts[made.mode] += 1;
               return made;
             };
             IDBObjectStore.prototype.getAll = function (range, ...more) {
               const request = getAll.call(this, range, ...more);
               if (ours(this)) {
                 counts.getAll += 1;
                 if (broken && range.lower[0] === broken) request.addEventListener('success', () => this.transaction.abort());
               }
               return request;
             };
             IDBObjectStore.prototype.getAllKeys = function (...all) {
               if (ours(this)) counts.getAllKeys += 1;
               return getAllKeys.apply(this, all);
             };
             const restore = () => {
               IDBDatabase.prototype.transaction = transaction;
               Object.assign(IDBObjectStore.prototype, { getAll, getAllKeys });
             };
             return { counts, restore };",
        );
        let watched = watch.call2(&JsValue::UNDEFINED, &database.into(), &broken.into()).unwrap();
        let field = |name: &str| Reflect::get(&watched, &name.into()).unwrap();
        Self { counts: field("counts"), restore: field("restore").unchecked_into() }
    }

    fn count(&self, what: &str) -> u32 {
        Reflect::get(&self.counts, &what.into()).unwrap().as_f64().unwrap() as u32
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.restore.call0(&JsValue::UNDEFINED).unwrap();
    }
}

fn open(database: &str) -> Repo {
    let adapters: Vec<Rc<dyn Adapter>> = vec![Rc::new(IndexedDbAdapter::new(Some(database.to_owned())))];
    Repo::new(env(), RepoConfig { adapters, ..RepoConfig::default() })
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("doc-{number:03}")).collect()
}

async fn read(repo: &Repo, ids: &[String]) -> Vec<String> {
    let handles: Vec<_> = ids.iter().map(|id| repo.get(id).unwrap()).collect();
    let stored = WaitOptions { kind: SyncKind::Storage, timeout_ms: Some(20_000) };
    for waited in join_all(handles.iter().map(|handle| handle.wait_for_sync(stored))).await {
        waited.unwrap();
    }
    handles.iter().map(|handle| handle.doc().get_text("text").to_string()).collect()
}

#[wasm_bindgen_test]
async fn documents_opened_in_a_row_are_read_and_written_in_a_few_transactions() {
    let name = fresh_name();
    let ids = ids(300);
    let watched = Watched::new(&name, "");
    let repo = open(&name);
    for id in &ids {
        repo.get(id).unwrap().change(|doc| doc.get_text("text").insert(0, id).unwrap(), None, None).unwrap();
    }
    repo.close().await.unwrap();
    let made = (watched.count("readonly"), watched.count("readwrite"));
    assert!(made.0 <= 22 && made.1 <= 6, "{made:?} transactions for making 300 documents");
    drop(watched);

    let watched = Watched::new(&name, "");
    let repo = open(&name);
    while repo.list().len() < ids.len() {
        env().sleep(1).await;
    }
    assert_eq!(read(&repo, &ids).await, ids);
    repo.close().await.unwrap();
    let counts = ["readonly", "readwrite", "getAll", "getAllKeys"].map(|what| watched.count(what));
    assert!(counts[0] <= 4, "{} transactions for reading 300 documents", counts[0]);
    assert_eq!(counts[1..], [0, 300, 0], "nothing is written, and the index says what records are called");
}

#[wasm_bindgen_test]
async fn what_is_forgotten_and_opened_again_at_once_is_empty_and_keeps_what_is_typed_then() {
    let name = fresh_name();
    let repo = open(&name);
    let typed = |text: &str| repo.get("d").unwrap().change(|doc| doc.get_text("text").insert(0, text).unwrap(), None, None).unwrap();
    typed("old");
    repo.flush().await.unwrap();
    let forgotten = repo.forget("d");
    assert_eq!(read(&repo, &["d".to_owned()]).await, [""]);
    forgotten.await.unwrap();
    typed("new");
    repo.close().await.unwrap();
    let repo = open(&name);
    assert_eq!(read(&repo, &["d".to_owned()]).await, ["new"]);
    repo.close().await.unwrap();
}

async fn three(name: &str) -> (Rc<Recorder>, Vec<DocId>) {
    let side = start(name);
    let docs = ["a", "broken", "c"].map(|id| DocId::new(id).unwrap()).to_vec();
    side.store().await.write(docs.iter().map(|doc| write(doc.as_str(), "r")).collect()).await.unwrap();
    (side, docs)
}

#[wasm_bindgen_test]
async fn what_ends_a_shared_transaction_costs_only_the_document_it_is_about() {
    let name = fresh_name();
    let (side, docs) = three(&name).await;
    let store = side.store().await;
    let before = store.load_all(docs.clone()).await;
    assert!(before.iter().all(|loaded| matches!(loaded, Ok(Some(_)))), "{before:?}");
    let watched = Watched::new(&name, "broken");
    let during = store.load_all(docs.clone()).await;
    assert!(watched.count("readonly") <= 7, "{} transactions", watched.count("readonly"));
    drop(watched);
    assert_eq!((&during[0], &during[2]), (&before[0], &before[2]), "those before and after it");
    assert!(during[1].is_err(), "never nothing: {:?}", during[1]);
    assert_eq!(store.load_all(docs).await, before, "nothing stays of that");
    side.adapter.stop().await;
}
