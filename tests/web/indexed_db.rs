use std::rc::Rc;

use corella::{
    DocId, PeerId, VersionVector,
    browser::{IndexedDbAdapter, Listener},
    protocol::Tombstone,
    runtime::{AdapterState, Problem, Record, RecordKey, RecordKind, StoreError, Write},
    synchronizer::Timestamp,
};
use futures_channel::oneshot;
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::{IdbDatabase, IdbFactory, IdbOpenDbRequest, IdbRequest, IdbTransactionMode};

use super::env;
use crate::channels::{Recorder, stores};

fn factory() -> IdbFactory {
    js_sys::Reflect::get(&js_sys::global(), &"indexedDB".into()).unwrap().unchecked_into()
}

async fn done(request: &IdbRequest) -> JsValue {
    let (send, receive) = oneshot::channel();
    let send = std::cell::Cell::new(Some(send));
    let _listener = Listener::new(request, "success", move |_| {
        let _ = send.take().map(|send| send.send(()));
    });
    receive.await.unwrap();
    request.result().unwrap()
}

/// Opens the database beside the adapter, as it is or in a later version.
async fn raw(database: &str, version: Option<u32>) -> IdbDatabase {
    let request: IdbOpenDbRequest = match version {
        Some(version) => factory().open_with_u32(database, version).unwrap(),
        None => factory().open(database).unwrap(),
    };
    done(&request).await.unchecked_into()
}

fn start(database: &str) -> Rc<Recorder> {
    Recorder::start(env(), Rc::new(IndexedDbAdapter::new(Some(database.to_owned()))))
}

fn fresh_name() -> String {
    format!("corella-test-{:x}", env().random_u64())
}

fn write(doc: &str, key: &str) -> Write {
    Write {
        doc: DocId::new(doc).unwrap(),
        record: Record { key: RecordKey(key.to_owned()), kind: RecordKind::Update, bytes: vec![1, 2, 3].into() },
        replaces: vec![],
        version: VersionVector::from_iter([(1, 1)]),
        at: Timestamp(1),
        lineage: 0,
        confirmed: VersionVector::new(),
        creator: None,
    }
}

struct Databases;

impl stores::Stores for Databases {
    async fn open(&self, database: &str) -> Rc<Recorder> {
        let side = start(database);
        side.store().await;
        side
    }

    async fn corrupt(&self, database: &str, doc: &DocId) {
        let database = raw(database, None).await;
        let store =
            database.transaction_with_str_and_mode("records", IdbTransactionMode::Readwrite).unwrap().object_store("records").unwrap();
        let key = js_sys::Array::of2(&doc.as_str().into(), &"r".into());
        done(&store.put_with_key(&"no record".into(), &key).unwrap()).await;
        database.close();
    }
}

#[wasm_bindgen_test]
async fn the_indexed_db_store_conforms() {
    stores::all(&Databases).await;
}

#[wasm_bindgen_test]
async fn a_database_wanted_by_others_is_let_go_and_opened_again() {
    let name = fresh_name();
    let side = start(&name);
    let store = side.store().await;
    store.write(vec![write("a", "r1")]).await.unwrap();
    // It would wait for ever if the store held on to the database.
    let deletion = factory().delete_database(&name).unwrap();
    done(&deletion).await;
    assert!(matches!(&side.problems.borrow()[..], [Problem::Storage(_)]), "{:?}", side.problems.borrow());
    store.write(vec![write("b", "r1")]).await.unwrap();
    let listed: Vec<_> = store.list().await.unwrap().into_iter().map(|info| info.doc).collect();
    assert_eq!(listed, [DocId::new("b").unwrap()]);
    side.adapter.stop().await;
}

#[wasm_bindgen_test]
async fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let name = fresh_name();
    raw(&name, Some(3)).await.close();
    let side = start(&name);
    side.until("it is reported", |side| !side.problems.borrow().is_empty()).await;
    let Problem::Storage(error) = side.problems.borrow()[0].clone() else { panic!("not a storage problem") };
    assert_eq!(error.code().as_str(), "storage");
    assert!(error.message().contains("newer version"), "{error}");
    side.until("it gives up", |side| side.adapter.state() == AdapterState::Closed).await;
    assert!(side.stores.borrow().is_empty());
    let database = raw(&name, None).await;
    assert_eq!(database.version(), 3.0);
    database.close();
}

#[wasm_bindgen_test]
async fn a_database_of_the_first_version_is_taken_over_with_all_that_is_in_it() {
    let (name, template) = (fresh_name(), fresh_name());
    // What a first version held is what this one writes into the same two object stores.
    let side = start(&template);
    side.store().await.write(vec![write("a", "r")]).await.unwrap();
    let before = side.store().await.load(&DocId::new("a").unwrap()).await.unwrap();
    let present = raw(&template, None).await;
    let request = factory().open_with_u32(&name, 1).unwrap();
    let upgrade = {
        let request = request.clone();
        Listener::new(&request.clone(), "upgradeneeded", move |_| {
            let database: IdbDatabase = request.result().unwrap().unchecked_into();
            database.create_object_store("records").unwrap();
            database.create_object_store("index").unwrap();
        })
    };
    let first: IdbDatabase = done(&request).await.unchecked_into();
    drop(upgrade);
    let key = js_sys::Array::of2(&"a".into(), &"r".into());
    for (store, key) in [("records", JsValue::from(key)), ("index", "a".into())] {
        let value = done(&present.transaction_with_str(store).unwrap().object_store(store).unwrap().get(&key).unwrap()).await;
        let target = first.transaction_with_str_and_mode(store, IdbTransactionMode::Readwrite).unwrap().object_store(store).unwrap();
        done(&target.put_with_key(&value, &key).unwrap()).await;
    }
    first.close();
    present.close();
    side.adapter.stop().await;
    let side = start(&name);
    let store = side.store().await;
    assert_eq!(store.load(&DocId::new("a").unwrap()).await.unwrap(), before);
    let value = store.amend("name", std::sync::Arc::new(|before| before.is_none().then(|| vec![7].into()))).await.unwrap();
    assert_eq!(value.as_deref(), Some(&[7][..]));
    side.adapter.stop().await;
}

#[wasm_bindgen_test]
async fn a_foreign_database_is_refused() {
    let name = fresh_name();
    raw(&name, Some(1)).await.close();
    let side = start(&name);
    side.until("it is reported", |side| !side.problems.borrow().is_empty()).await;
    assert!(side.stores.borrow().is_empty());
    let database = raw(&name, None).await;
    assert_eq!((database.version(), database.object_store_names().length()), (1.0, 0), "it is as it was");
    database.close();
}

#[wasm_bindgen_test]
async fn damaged_index_records_are_reported_and_do_not_hide_the_others() {
    let name = fresh_name();
    let side = start(&name);
    let store = side.store().await;
    store.write(vec![write("a", "r"), write("b", "r")]).await.unwrap();
    let database = raw(&name, None).await;
    let index = database.transaction_with_str_and_mode("index", IdbTransactionMode::Readwrite).unwrap().object_store("index").unwrap();
    done(&index.put_with_key(&7.into(), &"a".into()).unwrap()).await;
    database.close();
    let listed: Vec<_> = store.list().await.unwrap().into_iter().map(|info| info.doc).collect();
    assert_eq!(listed, [DocId::new("b").unwrap()]);
    assert_eq!(side.problems.borrow().len(), 1);
    let written = store.write(vec![write("b", "r2"), write("a", "r2")]).await;
    assert!(matches!(written, Err(StoreError::Corrupt(_))), "{written:?}");
    let stored = store.load(&DocId::new("b").unwrap()).await.unwrap().unwrap();
    assert_eq!(stored.records.len(), 1, "nothing of a failed write is stored");
    side.adapter.stop().await;
}

#[wasm_bindgen_test]
async fn an_index_record_without_the_later_fields_is_read() {
    let name = fresh_name();
    let side = start(&name);
    let store = side.store().await;
    let id = DocId::new("a").unwrap();
    store.write(vec![write("a", "r")]).await.unwrap();
    let before = store.load(&id).await.unwrap();
    let database = raw(&name, None).await;
    let index = database.transaction_with_str_and_mode("index", IdbTransactionMode::Readwrite).unwrap().object_store("index").unwrap();
    let row = done(&index.get(&"a".into()).unwrap()).await;
    for field in ["confirmed", "tombstone", "creator"] {
        js_sys::Reflect::delete_property(row.unchecked_ref::<js_sys::Object>(), &field.into()).unwrap();
    }
    done(&index.put_with_key(&row, &"a".into()).unwrap()).await;
    database.close();
    assert_eq!(store.load(&id).await.unwrap(), before);
    side.adapter.stop().await;
}

#[wasm_bindgen_test]
async fn a_damaged_tombstone_is_an_error_and_stays() {
    let name = fresh_name();
    let side = start(&name);
    let store = side.store().await;
    let id = DocId::new("a").unwrap();
    let tombstone = Tombstone { lineage: 0, at: 1, by: PeerId::from(1) };
    store.bury(&id, tombstone.clone()).await.unwrap();
    let database = raw(&name, None).await;
    let index = database.transaction_with_str_and_mode("index", IdbTransactionMode::Readwrite).unwrap().object_store("index").unwrap();
    let row = done(&index.get(&"a".into()).unwrap()).await;
    js_sys::Reflect::set(&row, &"tombstone".into(), &7.into()).unwrap();
    done(&index.put_with_key(&row, &"a".into()).unwrap()).await;
    database.close();
    assert!(matches!(store.load(&id).await, Err(StoreError::Corrupt(_))));
    assert!(matches!(store.write(vec![write("a", "r")]).await, Err(StoreError::Corrupt(_))), "it is not taken for a living one");
    assert!(matches!(store.bury(&id, tombstone).await, Err(StoreError::Corrupt(_))));
    store.remove(&id).await.unwrap();
    assert_eq!(store.load(&id).await, Ok(None));
    side.adapter.stop().await;
}
