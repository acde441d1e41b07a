//! Repos on real databases that are taken away, damaged and shared.

use std::{cell::RefCell, rc::Rc};

use corella::{
    DocHandle, Repo, RepoConfig,
    browser::IndexedDbAdapter,
    runtime::{CollectionKind, Durability, RecordFilter, RepoEvent, StorageProblem, StorageState, SyncKind, WaitOptions},
};
use futures_util::future::join_all;
use loro::LoroValue;
use wasm_bindgen_test::wasm_bindgen_test;

use super::{
    env,
    indexed_db::{count, delete, fresh_name, raw, replace},
};

const STORED: WaitOptions = WaitOptions { kind: SyncKind::Storage, timeout_ms: Some(20_000) };

fn open(database: &str) -> Repo {
    let adapters: Vec<Rc<dyn corella::runtime::Adapter>> = vec![Rc::new(IndexedDbAdapter::new(Some(database.to_owned())))];
    Repo::new(env(), RepoConfig { adapters, ..RepoConfig::default() })
}

fn type_in(handle: &DocHandle, what: &str) {
    handle.change(|doc| doc.get_text("text").insert(0, what).unwrap(), None, None).unwrap();
}

fn text(handle: &DocHandle) -> String {
    handle.doc().get_text("text").to_string()
}

/// Notes what a repo says of its storage.
fn problems(repo: &Repo) -> Rc<RefCell<Vec<Option<StorageProblem>>>> {
    let told = Rc::new(RefCell::new(Vec::new()));
    let notes = Rc::clone(&told);
    repo.on_event(move |event| {
        if let RepoEvent::StorageHealth { problem, .. } = event {
            notes.borrow_mut().push(*problem);
        }
    })
    .detach();
    told
}

async fn read(database: &str, doc: &str) -> String {
    let repo = open(database);
    let handle = repo.get(doc).unwrap();
    handle.wait_for_sync(STORED).await.unwrap();
    let read = text(&handle);
    repo.close().await.unwrap();
    read
}

#[wasm_bindgen_test]
async fn what_is_in_memory_is_stored_again_when_the_database_was_deleted() {
    let name = fresh_name();
    let repo = open(&name);
    let told = problems(&repo);
    let handle = repo.get("d").unwrap();
    type_in(&handle, "before");
    repo.flush().await.unwrap();
    assert_eq!(repo.storage_health().state, StorageState::Working);
    delete(&name).await;
    // An edit never fails because of storage.
    type_in(&handle, "after ");
    for _ in 0..200 {
        if repo.storage_health().evicted && repo.storage_health().state == StorageState::Working {
            break;
        }
        env().sleep(20).await;
    }
    repo.flush().await.unwrap();
    assert!(told.borrow().contains(&Some(StorageProblem::Evicted)), "{:?}", told.borrow());
    repo.close().await.unwrap();
    assert_eq!(read(&name, "d").await, "after before");
}

#[wasm_bindgen_test]
async fn records_are_stored_again_when_the_database_was_deleted_and_the_connection_closed() {
    let name = fresh_name();
    let repo = open(&name);
    let told = problems(&repo);
    let facts = repo.collection("facts", CollectionKind::Shared).unwrap();
    for number in 0..100 {
        facts.put(&format!("before {number}"), &LoroValue::I64(number)).await.unwrap();
    }
    repo.flush().await.unwrap();
    delete(&name).await;
    // A record never fails because of storage.
    facts.put("after", &LoroValue::I64(100)).await.unwrap();
    for _ in 0..200 {
        if repo.storage_health().evicted && repo.storage_health().state == StorageState::Working {
            break;
        }
        env().sleep(20).await;
    }
    facts.when_durable(Durability::Disk, Some(20_000)).await.unwrap();
    assert!(told.borrow().contains(&Some(StorageProblem::Evicted)), "{:?}", told.borrow());
    repo.close().await.unwrap();
    let again = open(&name);
    let facts = again.collection("facts", CollectionKind::Shared).unwrap();
    assert_eq!(facts.entries(RecordFilter::default()).await.unwrap().len(), 101);
    again.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn a_database_that_vanished_since_last_time_is_noticed() {
    let name = fresh_name();
    let repo = open(&name);
    type_in(&repo.get("d").unwrap(), "x");
    repo.flush().await.unwrap();
    repo.close().await.unwrap();
    delete(&name).await;
    let repo = open(&name);
    repo.get("d").unwrap().wait_for_sync(STORED).await.unwrap();
    // A worker has nowhere to remember that there was one.
    assert_eq!(repo.storage_health().evicted, web_sys::window().is_some());
    repo.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn opening_without_editing_writes_nothing() {
    let name = fresh_name();
    let repo = open(&name);
    type_in(&repo.get("d").unwrap(), "x");
    repo.flush().await.unwrap();
    repo.close().await.unwrap();
    let before = rows(&name).await;
    let repo = open(&name);
    repo.get("d").unwrap().wait_for_sync(STORED).await.unwrap();
    repo.get("other").unwrap().wait_for_sync(STORED).await.unwrap();
    env().sleep(300).await;
    repo.flush().await.unwrap();
    repo.close().await.unwrap();
    assert_eq!(rows(&name).await, before);
}

async fn rows(name: &str) -> (u32, u32) {
    let database = raw(name, None).await;
    let rows = (count(&database, "records").await, count(&database, "index").await);
    database.close();
    rows
}

#[wasm_bindgen_test]
async fn a_damaged_document_is_kept_apart_and_the_rest_works() {
    let name = fresh_name();
    let repo = open(&name);
    for doc in ["good", "bad"] {
        type_in(&repo.get(doc).unwrap(), doc);
    }
    repo.flush().await.unwrap();
    repo.close().await.unwrap();
    replace(&name, "index", "bad", &7.into()).await;
    let repo = open(&name);
    let told = problems(&repo);
    let (good, bad) = (repo.get("good").unwrap(), repo.get("bad").unwrap());
    good.wait_for_sync(STORED).await.unwrap();
    type_in(&good, "still ");
    good.wait_for_sync(STORED).await.unwrap();
    type_in(&bad, "new");
    env().sleep(500).await;
    let error = repo.flush().await.unwrap_err();
    assert_eq!(error.code().as_str(), "storage", "{error}");
    assert_eq!(repo.storage_health().quarantined.iter().map(|doc| doc.as_str()).collect::<Vec<_>>(), ["bad"]);
    assert!(told.borrow().contains(&Some(StorageProblem::Corrupt)));
    let kept = repo.salvage("bad").await.unwrap();
    assert_eq!(kept.len(), 1);
    let doc = loro::LoroDoc::new();
    doc.import(&kept[0].bytes).unwrap();
    assert_eq!(doc.get_text("text").to_string(), "bad", "its bytes can be had");
    let _ = repo.close().await;
    assert_eq!(read(&name, "good").await, "still good");
}

#[wasm_bindgen_test]
async fn two_tabs_keep_the_records_of_a_document_few_and_lose_nothing() {
    let name = fresh_name();
    let tabs = [open(&name), open(&name)];
    let handles: Vec<_> = tabs.iter().map(|tab| tab.get("d").unwrap()).collect();
    join_all(handles.iter().map(|handle| handle.wait_for_sync(STORED))).await.into_iter().for_each(|read| read.unwrap());
    let mut most = 0;
    for round in 0..90 {
        for (handle, mark) in handles.iter().zip(["a", "b"]) {
            type_in(handle, mark);
        }
        // Every edit a record of its own.
        join_all(tabs.iter().map(|tab| tab.flush())).await.into_iter().for_each(|stored| stored.unwrap());
        if round % 10 == 9 {
            most = most.max(rows(&name).await.0);
        }
    }
    assert!(most <= 64, "{most} records");
    for tab in &tabs {
        tab.close().await.unwrap();
    }
    let all = read(&name, "d").await;
    assert_eq!((all.matches('a').count(), all.matches('b').count()), (90, 90));
    assert!(rows(&name).await.0 <= 64);
}
