use std::rc::Rc;

use corella::{
    DocId, PeerId, VersionVector,
    browser::{IndexedDbAdapter, Listener},
    protocol::{
        Clock, ClockVector, Device, RecordId, RecordState, Tombstone,
        clock::{Stamp, Writer},
        record::{decode_state, encode_state},
    },
    runtime::{
        AdapterState, IndexEntry, Record, RecordKey, RecordKind, RecordsOpening, RecordsWrite, Safety, StorageNotice, StoreError, Write,
    },
    synchronizer::Timestamp,
};
use futures_channel::oneshot;
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::{IdbDatabase, IdbFactory, IdbOpenDbRequest, IdbRequest, IdbTransaction, IdbTransactionMode};

use super::env;
use crate::channels::{Recorder, record_stores, stores};

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
pub(super) async fn raw(database: &str, version: Option<u32>) -> IdbDatabase {
    let request: IdbOpenDbRequest = match version {
        Some(version) => factory().open_with_u32(database, version).unwrap(),
        None => factory().open(database).unwrap(),
    };
    done(&request).await.unchecked_into()
}

/// Deletes the database as somebody else would.
pub(super) async fn delete(database: &str) {
    done(&factory().delete_database(database).unwrap()).await;
}

/// Puts something else in the place of a row.
pub(super) async fn replace(database: &str, table: &str, key: &str, value: &JsValue) {
    let database = raw(database, None).await;
    let store = database.transaction_with_str_and_mode(table, IdbTransactionMode::Readwrite).unwrap().object_store(table).unwrap();
    done(&store.put_with_key(value, &key.into()).unwrap()).await;
    database.close();
}

/// Makes something else of an index record, wherever it lies.
async fn damage_index(database: &str, doc: &str) {
    replace(database, "index", doc, &7.into()).await;
    replace(database, "listing", doc, &js_sys::Uint8Array::new_with_length(1)).await;
}

pub(super) fn start(database: &str) -> Rc<Recorder> {
    Recorder::start(env(), Rc::new(IndexedDbAdapter::new(Some(database.to_owned()))))
}

pub(super) fn fresh_name() -> String {
    format!("corella-test-{:x}", env().random_u64())
}

pub(super) fn write(doc: &str, key: &str) -> Write {
    Write {
        doc: DocId::new(doc).unwrap(),
        record: Record { key: RecordKey(key.to_owned()), kind: RecordKind::Update, bytes: vec![1, 2, 3].into() },
        replaces: vec![],
        version: VersionVector::from_iter([(1, 1)]),
        at: Timestamp(1),
        lineage: 0,
        confirmed: VersionVector::new(),
        keepers: Vec::new(),
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

    async fn corrupt_index(&self, database: &str, doc: &DocId) {
        damage_index(database, doc.as_str()).await;
    }
}

#[wasm_bindgen_test]
async fn the_indexed_db_store_conforms() {
    stores::all(&Databases).await;
}

#[wasm_bindgen_test]
async fn the_indexed_db_store_keeps_records() {
    record_stores::all(&Databases).await;
}

fn record_id(number: u32) -> RecordId {
    RecordId { collection: "facts".into(), owner: None, key: format!("fact-{number}").into() }
}

fn facts(count: u32) -> RecordsWrite {
    let clock = |number: u32| Clock { stamp: Stamp(u64::from(number) + 1), writer: Writer { device: Device(1), number: 1 } };
    let row = |number| encode_state(&RecordState::put(clock(number), [("title".into(), vec![7; 40].into())])).into();
    let version = ClockVector::from_iter([(clock(0).writer, clock(count).stamp)]);
    RecordsWrite { records: (0..count).map(|number| (record_id(number), row(number))).collect(), version, ..RecordsWrite::default() }
}

const OPENING: RecordsOpening = RecordsOpening { device: Device(1), writer: 1 };

#[wasm_bindgen_test]
async fn ten_thousand_records_lie_in_a_few_rows_and_are_there_after_a_restart() {
    let name = fresh_name();
    let side = start(&name);
    let store = side.store().await;
    store.write_records(facts(10_000)).await.unwrap();
    let database = raw(&name, None).await;
    assert!(count(&database, "collections").await <= 258);
    database.close();
    side.adapter.stop().await;
    let side = start(&name);
    let loaded = side.store().await.load_records(OPENING).await.unwrap().unwrap();
    let mut ids: Vec<_> = loaded.records.into_iter().map(|(id, _)| id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 10_000);
}

#[wasm_bindgen_test]
async fn a_damaged_page_of_records_costs_only_what_is_on_it() {
    let name = fresh_name();
    let side = start(&name);
    let store = side.store().await;
    store.write_records(facts(2_000)).await.unwrap();
    let database = raw(&name, None).await;
    let table = database.transaction_with_str_and_mode("collections", IdbTransactionMode::Readwrite).unwrap();
    let table = table.object_store("collections").unwrap();
    done(&table.put_with_key(&js_sys::Uint8Array::from(&[1, 9, 9][..]), &7.into()).unwrap()).await;
    database.close();
    let loaded = store.load_records(OPENING).await.unwrap().unwrap();
    let readable = loaded.records.iter().filter(|(_, row)| decode_state(row).is_ok()).count();
    assert!((1_900..2_000).contains(&readable) && loaded.records.len() == readable + 1, "{readable} of {}", loaded.records.len());
    // It can be written to again, and what cannot be read stays until it is forgotten.
    let mut later = facts(4_000);
    later.records.drain(..=2_000);
    store.write_records(later).await.unwrap();
    let damaged = async || {
        let loaded = store.load_records(OPENING).await.unwrap().unwrap();
        loaded.records.into_iter().filter(|(_, row)| decode_state(row).is_err()).collect::<Vec<_>>()
    };
    let left = damaged().await;
    assert_eq!(left.iter().map(|(id, row)| (id.is_valid(), &row[..])).collect::<Vec<_>>(), [(false, &[9, 9][..])]);
    store.write_records(RecordsWrite { forget: vec![left[0].0.clone()], ..RecordsWrite::default() }).await.unwrap();
    assert_eq!(damaged().await, []);
    // Nothing else of the page went with it.
    let loaded = store.load_records(OPENING).await.unwrap().unwrap();
    assert_eq!(loaded.records.len(), readable + 1_999);
}

#[wasm_bindgen_test]
async fn many_documents_are_written_in_one_commit_and_listed_as_they_were_written() {
    let name = fresh_name();
    let side = start(&name);
    let store = side.store().await;
    store.write(vec![write("bad", "r1")]).await.unwrap();
    damage_index(&name, "bad").await;
    let id = |number: usize| format!("doc-{number:04}");
    // One of them twice, and one that cannot be written.
    let writes = (0..1_000).map(|number| write(&id(number), "r1")).chain([write("bad", "r2"), write(&id(7), "r2")]);
    let committed = store.commit(writes.collect(), Safety::Relaxed).await.unwrap();
    assert_eq!(committed.refused.iter().map(|(doc, _)| doc.as_str()).collect::<Vec<_>>(), ["bad"]);
    assert_eq!((committed.records.len(), committed.records.last().unwrap().1), (1_001, 2));
    side.adapter.stop().await;
    let side = start(&name);
    let listed = side.store().await.list().await.unwrap();
    assert_eq!(listed.iter().map(|info| info.doc.as_str().to_owned()).collect::<Vec<_>>(), (0..1_000).map(id).collect::<Vec<_>>());
    for (number, info) in listed.iter().enumerate() {
        let records = if number == 7 { 2 } else { 1 };
        let index = &info.index;
        assert_eq!((index.records, index.bytes), (records, u64::from(records) * 3), "{}", info.doc);
        assert_eq!((&index.version, index.created, index.updated), (&VersionVector::from_iter([(1, 1)]), Timestamp(1), Timestamp(1)));
    }
    side.adapter.stop().await;
}

#[wasm_bindgen_test]
async fn a_database_deleted_by_others_is_let_go_and_made_anew() {
    let name = fresh_name();
    let side = start(&name);
    let store = side.store().await;
    store.write(vec![write("a", "r1")]).await.unwrap();
    // It would wait for ever if the store held on to the database.
    let deletion = factory().delete_database(&name).unwrap();
    done(&deletion).await;
    assert!(side.notices.borrow().iter().any(|notice| matches!(notice, StorageNotice::Lost(_))), "{:?}", side.notices.borrow());
    // What the store was believed to have is gone, so it is another store that goes on.
    assert!(matches!(store.write(vec![write("b", "r1")]).await, Err(StoreError::Unavailable(_))));
    side.until("another store opens", |side| side.stores.borrow().len() == 2).await;
    assert_eq!(side.closed.borrow().len(), 1);
    assert!(side.notices.borrow().iter().any(|notice| matches!(notice, StorageNotice::Evicted(_))));
    let store = side.stores.borrow()[1].clone();
    store.write(vec![write("b", "r1")]).await.unwrap();
    let listed: Vec<_> = store.list().await.unwrap().into_iter().map(|info| info.doc).collect();
    assert_eq!(listed, [DocId::new("b").unwrap()]);
    side.adapter.stop().await;
}

#[wasm_bindgen_test]
async fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let name = fresh_name();
    raw(&name, Some(4)).await.close();
    let side = start(&name);
    side.until("it gives up", |side| side.adapter.state() == AdapterState::Closed).await;
    let notices = side.notices.borrow().clone();
    let [StorageNotice::Superseded(error)] = &notices[..] else { panic!("{notices:?}") };
    assert_eq!(error.code().as_str(), "storage");
    assert!(error.message().contains("newer version"), "{error}");
    assert!(side.stores.borrow().is_empty());
    let database = raw(&name, None).await;
    assert_eq!(database.version(), 4.0);
    database.close();
}

#[wasm_bindgen_test]
async fn a_newer_program_takes_the_database_over_and_is_told_of() {
    let name = fresh_name();
    let side = start(&name);
    let store = side.store().await;
    store.write(vec![write("a", "r1")]).await.unwrap();
    // It would wait for ever if the store held on to the database.
    raw(&name, Some(4)).await.close();
    side.until("it gives up", |side| side.adapter.state() == AdapterState::Closed).await;
    assert!(side.notices.borrow().iter().any(|notice| matches!(notice, StorageNotice::Superseded(_))), "{:?}", side.notices.borrow());
    assert_eq!(side.closed.borrow().len(), 1);
    assert!(matches!(store.write(vec![write("b", "r1")]).await, Err(StoreError::Unavailable(_))));
    let database = raw(&name, None).await;
    assert_eq!(count(&database, "records").await, 1, "nothing of it is lost, nothing is written");
    database.close();
}

#[wasm_bindgen_test]
async fn an_upgrade_that_an_older_tab_blocks_is_told_of_and_goes_on_when_it_is_gone() {
    let name = fresh_name();
    let older = raw(&name, Some(1)).await;
    let side = start(&name);
    side.until("it is told", |side| side.notices.borrow().iter().any(|notice| matches!(notice, StorageNotice::Blocked(_)))).await;
    assert_eq!(side.adapter.state(), AdapterState::Connecting);
    older.close();
    side.store().await.write(vec![write("a", "r")]).await.unwrap();
    side.adapter.stop().await;
}

#[wasm_bindgen_test]
async fn a_foreign_database_is_refused_and_left_alone() {
    let name = fresh_name();
    made(&name, 1, &["somebody's"], |_| ()).await;
    let side = start(&name);
    side.until("it is reported", |side| !side.problems.borrow().is_empty()).await;
    assert!(side.stores.borrow().is_empty());
    let database = raw(&name, None).await;
    assert_eq!(database.version(), 1.0);
    assert_eq!(database.object_store_names().length(), 1);
    database.close();
}

#[wasm_bindgen_test]
async fn a_database_of_the_first_version_is_taken_over_with_everything_in_it() {
    let name = fresh_name();
    let side = start(&name);
    let store = side.store().await;
    store.write(vec![write("a", "r1"), write("a", "r2"), write("b", "r")]).await.unwrap();
    let tombstone = Tombstone { lineage: 0, at: 1, by: PeerId::from(1) };
    store.bury(&DocId::new("b").unwrap(), tombstone).await.unwrap();
    let (a, before) = (store.load(&DocId::new("a").unwrap()).await.unwrap(), store.list().await.unwrap());
    side.adapter.stop().await;
    let database = raw(&name, None).await;
    let mut rows = Vec::new();
    for table in ["records", "index"] {
        let store = database.transaction_with_str(table).unwrap().object_store(table).unwrap();
        let (keys, values) = (store.get_all_keys().unwrap(), store.get_all().unwrap());
        let (keys, values) = (js_sys::Array::from(&done(&keys).await), js_sys::Array::from(&done(&values).await));
        rows.extend(keys.iter().zip(values.iter()).map(|(key, value)| (table, key, value)));
    }
    database.close();
    done(&factory().delete_database(&name).unwrap()).await;
    made(&name, 1, &["records", "index"], move |transaction| {
        for (table, key, value) in &rows {
            transaction.object_store(table).unwrap().put_with_key(value, key).unwrap();
        }
    })
    .await;
    let side = start(&name);
    let store = side.store().await;
    assert_eq!(store.load(&DocId::new("a").unwrap()).await.unwrap(), a);
    assert_eq!(store.list().await.unwrap(), before);
    let value = store.amend("name", std::sync::Arc::new(|before| before.is_none().then(|| vec![7].into()))).await.unwrap();
    assert_eq!(value.as_deref(), Some(&[7][..]));
    store.write(vec![write("c", "r")]).await.unwrap();
    side.adapter.stop().await;
    let database = raw(&name, None).await;
    assert_eq!(database.version(), 3.0);
    database.close();
}

/// Returns what an index record of version 2 looked like.
fn second_index(version: &[u8], records: &[(&str, u32)], updated: u32, lineage: &str) -> js_sys::Object {
    let row = js_sys::Object::new();
    let set = |field: &str, value: JsValue| js_sys::Reflect::set(&row, &field.into(), &value).unwrap();
    set("version", js_sys::Uint8Array::from(version).into());
    let sizes = records.iter().map(|(key, size)| js_sys::Array::of2(&(*key).into(), &(*size).into()));
    set("sizes", sizes.collect::<js_sys::Array>().into());
    set("created", 5.into());
    set("updated", updated.into());
    set("lineage", lineage.into());
    set("confirmed", js_sys::Uint8Array::from(&[1, 1, 2][..]).into());
    row
}

#[wasm_bindgen_test]
async fn a_database_of_the_second_version_is_taken_over_with_everything_in_it() {
    let name = fresh_name();
    let id = |number: usize| format!("doc-{number:04}");
    made(&name, 2, &["records", "index", "meta", "collections"], move |transaction| {
        let put = |table: &str, key: &JsValue, value: &JsValue| {
            transaction.object_store(table).unwrap().put_with_key(value, key).unwrap();
        };
        put("meta", &"birth".into(), &"0123456789abcdef".into());
        for number in 0..300 {
            let record = js_sys::Object::new();
            js_sys::Reflect::set(&record, &"kind".into(), &"update".into()).unwrap();
            js_sys::Reflect::set(&record, &"bytes".into(), &js_sys::Uint8Array::from(&[1, 2, 3][..])).unwrap();
            put("records", &js_sys::Array::of2(&id(number).into(), &"r".into()), &record);
            put("index", &id(number).into(), &second_index(&[1, 1, 2], &[("r", 3)], 6, "0"));
        }
        let deleted = second_index(&[0], &[], 6, "2");
        let tombstone = js_sys::Object::new();
        for (field, value) in [("lineage", "2"), ("at", "18446744073709551615"), ("by", "9")] {
            js_sys::Reflect::set(&tombstone, &field.into(), &value.into()).unwrap();
        }
        js_sys::Reflect::set(&deleted, &"tombstone".into(), &tombstone).unwrap();
        put("index", &"gone".into(), &deleted);
        put("index", &"damaged".into(), &7.into());
    })
    .await;
    let expected = IndexEntry {
        version: VersionVector::from_iter([(1, 1)]),
        bytes: 3,
        records: 1,
        created: Timestamp(5),
        updated: Timestamp(6),
        confirmed: VersionVector::from_iter([(1, 1)]),
        ..IndexEntry::default()
    };
    // The second start reads what the first one packed.
    for _ in 0..2 {
        let side = start(&name);
        let store = side.store().await;
        let listed = store.list().await.unwrap();
        assert_eq!(listed.len(), 301);
        for (number, info) in listed[..300].iter().enumerate() {
            assert_eq!((info.doc.as_str(), &info.index), (&*id(number), &expected));
        }
        assert!(listed[300].index.is_deleted() && listed[300].index.tombstone.as_ref().unwrap().at == u64::MAX);
        let told = |notice: &StorageNotice| matches!(notice, StorageNotice::Damaged(doc, _) if doc.as_str() == "damaged");
        assert!(side.notices.borrow().iter().any(told));
        let database = raw(&name, None).await;
        while count(&database, "listing").await != 1 {
            env().sleep(5).await;
        }
        let meta = database.transaction_with_str("meta").unwrap().object_store("meta").unwrap();
        assert_eq!(done(&meta.get(&"birth".into()).unwrap()).await, JsValue::from("0123456789abcdef"), "it is the same database");
        assert_eq!(database.version(), 3.0);
        database.close();
        assert_eq!(store.load(&DocId::new(&id(7)).unwrap()).await.unwrap().unwrap().index, expected);
        assert!(matches!(store.load(&DocId::new("damaged").unwrap()).await, Err(StoreError::Corrupt(_))));
        side.adapter.stop().await;
    }
    let side = start(&name);
    side.store().await.write(vec![write(&id(0), "r2"), write("new", "r")]).await.unwrap();
    side.adapter.stop().await;
    let side = start(&name);
    let listed = side.store().await.list().await.unwrap();
    assert_eq!((listed.len(), listed[0].index.records), (302, 2));
    side.adapter.stop().await;
}

#[wasm_bindgen_test]
async fn ten_thousand_documents_are_listed_from_a_few_rows_as_two_tabs_wrote_them() {
    let name = fresh_name();
    let tabs = [start(&name), start(&name)];
    let stores = [tabs[0].store().await, tabs[1].store().await];
    let id = |number: usize| format!("doc-{number:05}");
    for batch in 0..100 {
        let docs = |tab: usize| (0..50).map(|at| write(&id(batch * 100 + at * 2 + tab), "r")).collect::<Vec<_>>();
        let both = stores.iter().enumerate().map(|(tab, store)| store.commit(docs(tab), Safety::Relaxed));
        futures_util::future::join_all(both).await.into_iter().for_each(|written| drop(written.unwrap()));
    }
    let removed = DocId::new(&id(3)).unwrap();
    stores[0].remove(&removed).await.unwrap();
    stores[1].bury(&DocId::new(&id(5)).unwrap(), Tombstone { lineage: 0, at: 1, by: PeerId::from(1) }).await.unwrap();
    for tab in &tabs {
        tab.adapter.stop().await;
    }
    let database = raw(&name, None).await;
    let rows = count(&database, "listing").await;
    assert!(rows <= 1_600, "{rows}");
    // Without it the index says the same.
    for damage in [None, Some(js_sys::Uint8Array::from(&[9, 9][..]))] {
        if let Some(damage) = damage {
            let listing = database.transaction_with_str_and_mode("listing", IdbTransactionMode::Readwrite).unwrap();
            done(&listing.object_store("listing").unwrap().put_with_key(&damage, &0.into()).unwrap()).await;
        }
        let side = start(&name);
        let listed = side.store().await.list().await.unwrap();
        side.adapter.stop().await;
        let expected: Vec<_> = (0..10_000).filter(|number| *number != 3).map(id).collect();
        assert_eq!(listed.iter().map(|info| info.doc.as_str()).collect::<Vec<_>>(), expected);
        let deleted: Vec<_> = listed.iter().filter(|info| info.index.is_deleted()).map(|info| info.doc.as_str().to_owned()).collect();
        assert_eq!(deleted, [id(5)]);
        assert!(listed.iter().all(|info| info.index.is_deleted() || info.index.bytes == 3));
    }
    database.close();
}

/// Makes a database of a version.
pub(super) async fn made(name: &str, version: u32, stores: &'static [&'static str], fill: impl FnOnce(&IdbTransaction) + 'static) {
    let request = factory().open_with_u32(name, version).unwrap();
    let fill = std::cell::Cell::new(Some(fill));
    let asked = request.clone();
    let _upgrade = Listener::new(&request, "upgradeneeded", move |_| {
        let database: IdbDatabase = asked.result().unwrap().unchecked_into();
        for store in stores {
            database.create_object_store(store).unwrap();
        }
        let _ = fill.take().map(|fill| fill(&asked.transaction().unwrap()));
    });
    done(&request).await.unchecked_into::<IdbDatabase>().close();
}

pub(super) async fn count(database: &IdbDatabase, table: &str) -> u32 {
    let store = database.transaction_with_str(table).unwrap().object_store(table).unwrap();
    done(&store.count().unwrap()).await.as_f64().unwrap() as u32
}

#[wasm_bindgen_test]
async fn damaged_index_records_are_told_of_and_cost_no_other_document() {
    let name = fresh_name();
    let side = start(&name);
    let store = side.store().await;
    store.write(vec![write("a", "r"), write("b", "r")]).await.unwrap();
    damage_index(&name, "a").await;
    let listed: Vec<_> = store.list().await.unwrap().into_iter().map(|info| info.doc).collect();
    assert_eq!(listed, [DocId::new("b").unwrap()]);
    let told = |side: &Recorder| {
        side.notices.borrow().iter().any(|notice| matches!(notice, StorageNotice::Damaged(doc, _) if doc.as_str() == "a"))
    };
    assert!(told(&side));
    let committed = store.commit(vec![write("b", "r2"), write("a", "r2")], Safety::Relaxed).await.unwrap();
    assert!(matches!(&committed.refused[..], [(doc, StoreError::Corrupt(_))] if doc.as_str() == "a"), "{committed:?}");
    assert_eq!(committed.records, [(DocId::new("b").unwrap(), 2)]);
    let stored = store.load(&DocId::new("b").unwrap()).await.unwrap().unwrap();
    assert_eq!(stored.records.len(), 2);
    let kept = store.salvage(&DocId::new("a").unwrap()).await.unwrap();
    assert_eq!(kept.iter().map(|record| (record.key.as_str(), &record.bytes[..])).collect::<Vec<_>>(), [("r", &[1, 2, 3][..])]);
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
