//! What every store that keeps records has to do.

use std::rc::Rc;

use bytes::Bytes;
use corella::{
    protocol::{
        Clock, ClockVector, Device, RecordId, RecordState,
        clock::{Stamp, Writer},
        record::{decode_state, encode_state},
    },
    runtime::{LoadedRecords, RecordsOpening, RecordsWrite, Store, StoreError},
    synchronizer::{StoredDevice, Timestamp},
};
use futures_util::future::join_all;

use super::stores::Stores;

/// Runs them all, each in a database of its own.
pub async fn all(stores: &impl Stores) {
    let nonce = stores.open("records-nonce").await.env.random_u64();
    let database = |name: &str| format!("corella-records-{nonce:x}-{name}");
    what_was_written_is_read_after_a_restart(stores, &database("restart")).await;
    the_first_device_stays_and_writers_are_given_again(stores, &database("device")).await;
    rows_of_two_connections_are_merged(stores, &database("merge")).await;
    names_with_common_beginnings_do_not_mix(stores, &database("names")).await;
    what_is_forgotten_is_gone_and_does_not_come_back(stores, &database("forget")).await;
    a_row_that_replaces_is_not_merged_with(stores, &database("replace")).await;
    a_damaged_row_stays_as_it_is_until_it_is_replaced_or_forgotten(stores, &database("damaged")).await;
    many_rows_and_a_large_one(stores, &database("many")).await;
    a_closed_store_says_so(stores, &database("closed")).await;
}

fn opening(device: u64, writer: u32) -> RecordsOpening {
    RecordsOpening { device: Device(device), writer }
}

fn clock(stamp: u64, device: u64) -> Clock {
    Clock { stamp: Stamp(stamp), writer: Writer { device: Device(device), number: 1 } }
}

fn upto(clocks: &[Clock]) -> ClockVector {
    clocks.iter().map(|clock| (clock.writer, clock.stamp)).collect()
}

fn id(collection: &str, owner: Option<u64>, key: &str) -> RecordId {
    RecordId { collection: collection.into(), owner: owner.map(Device), key: key.into() }
}

fn put(at: Clock, value: &'static [u8]) -> RecordState {
    RecordState::put(at, [("f".into(), Bytes::from_static(value))])
}

fn write(id: &RecordId, state: &RecordState, version: ClockVector) -> RecordsWrite {
    RecordsWrite { records: vec![(id.clone(), encode_state(state).into())], version, ..RecordsWrite::default() }
}

async fn load(store: &Rc<dyn Store>) -> LoadedRecords {
    store.load_records(opening(1, 1)).await.unwrap().expect("it keeps records")
}

fn states(loaded: &LoadedRecords) -> Vec<(RecordId, RecordState)> {
    let mut states: Vec<_> = loaded.records.iter().map(|(id, row)| (id.clone(), decode_state(row).unwrap())).collect();
    states.sort_by(|a, b| a.0.cmp(&b.0));
    states
}

async fn what_was_written_is_read_after_a_restart(stores: &impl Stores, database: &str) {
    let side = stores.open(database).await;
    let store = side.store().await;
    let first = load(&store).await;
    assert_eq!((first.stored.device, first.records.len(), first.stored.version.is_empty()), (Device(1), 0, true));
    let devices = vec![StoredDevice { device: Device(9), version: upto(&[clock(3, 9)]), seen: Timestamp(77) }];
    let left = StoredDevice { device: Device(8), ..devices[0].clone() };
    let both = [&devices[..], &[left]].concat();
    let (a, b) = (id("c", None, "a"), id("c", Some(1), "a"));
    let written = RecordsWrite {
        records: vec![(a.clone(), encode_state(&put(clock(5, 1), b"a")).into()), (b.clone(), encode_state(&put(clock(6, 1), b"b")).into())],
        version: upto(&[clock(6, 1)]),
        pruned: upto(&[clock(4, 1)]),
        clock: Stamp(8),
        devices: both,
        ..RecordsWrite::default()
    };
    store.write_records(written).await.unwrap();
    let gone = vec![StoredDevice::gone(Device(8)), StoredDevice::gone(Device(7))];
    store.write_records(RecordsWrite { devices: gone, ..RecordsWrite::default() }).await.unwrap();
    store.close().await;
    let side = stores.open(database).await;
    let again = load(&side.store().await).await;
    assert_eq!(states(&again), [(a, put(clock(5, 1), b"a")), (b, put(clock(6, 1), b"b"))]);
    assert_eq!((again.stored.version, again.stored.pruned), (upto(&[clock(6, 1)]), upto(&[clock(4, 1)])));
    assert_eq!((again.clock, again.stored.devices), (Stamp(8), devices));
}

async fn the_first_device_stays_and_writers_are_given_again(stores: &impl Stores, database: &str) {
    let side = stores.open(database).await;
    let store = side.store().await;
    let given = |loaded: LoadedRecords| (loaded.stored.device.0, loaded.writer);
    let open = async |device, writer| given(store.load_records(opening(device, writer)).await.unwrap().unwrap());
    assert_eq!(open(1, 10).await, (1, 10));
    assert_eq!(open(2, 20).await, (1, 20));
    store.write_records(RecordsWrite { release: Some(10), ..RecordsWrite::default() }).await.unwrap();
    // Whoever comes next gets it, and nobody else.
    assert_eq!(open(3, 30).await, (1, 10));
    assert_eq!(open(4, 40).await, (1, 40));
}

async fn rows_of_two_connections_are_merged(stores: &impl Stores, database: &str) {
    let side = stores.open(database).await;
    let (one, two) = (side.store().await, stores.open(database).await);
    let two = two.store().await;
    let record = id("c", None, "r");
    let mut expected = put(clock(5, 1), b"1");
    let update = RecordState::update(clock(6, 2), [("g".into(), Bytes::from_static(b"2"))]);
    let written = join_all([
        one.write_records(write(&record, &expected, upto(&[clock(5, 1)]))),
        two.write_records(write(&record, &update, upto(&[clock(6, 2)]))),
    ]);
    assert!(written.await.iter().all(Result::is_ok));
    expected.merge(&update);
    let loaded = load(&one).await;
    assert_eq!(states(&loaded), [(record, expected)]);
    assert_eq!(loaded.stored.version, upto(&[clock(5, 1), clock(6, 2)]));
}

async fn names_with_common_beginnings_do_not_mix(stores: &impl Stores, database: &str) {
    let side = stores.open(database).await;
    let store = side.store().await;
    let long = "k".repeat(512);
    let ids: Vec<_> = [
        ("c", None, "a"),
        ("c", None, "a1"),
        ("c", Some(0), "a"),
        ("ca", None, "a"),
        ("c", Some(u64::MAX), "a\u{0}🦜"),
        ("c", None, &*long),
    ]
    .into_iter()
    .map(|(collection, owner, key)| id(collection, owner, key))
    .collect();
    for (number, id) in ids.iter().enumerate() {
        let at = clock(number as u64 + 1, 1);
        store.write_records(write(id, &put(at, b"x"), upto(&[at]))).await.unwrap();
    }
    let mut expected = ids.clone();
    expected.sort();
    assert_eq!(states(&load(&store).await).into_iter().map(|(id, _)| id).collect::<Vec<_>>(), expected);
    store
        .write_records(RecordsWrite { forget: vec![ids[0].clone()], version: upto(&[clock(1, 1)]), ..RecordsWrite::default() })
        .await
        .unwrap();
    assert_eq!(load(&store).await.records.len(), ids.len() - 1);
}

async fn what_is_forgotten_is_gone_and_does_not_come_back(stores: &impl Stores, database: &str) {
    let side = stores.open(database).await;
    let store = side.store().await;
    let record = id("c", None, "r");
    store.write_records(write(&record, &put(clock(5, 1), b"1"), upto(&[clock(5, 1)]))).await.unwrap();
    let later = RecordState::update(clock(9, 2), [("g".into(), Bytes::from_static(b"2"))]);
    store.write_records(write(&record, &later, ClockVector::new())).await.unwrap();
    let forget = |version| RecordsWrite { forget: vec![record.clone()], version, ..RecordsWrite::default() };
    store.write_records(forget(upto(&[clock(7, 1)]))).await.unwrap();
    assert_eq!(states(&load(&store).await), [(record.clone(), later)], "what is later stays");
    store.write_records(forget(upto(&[clock(9, 2)]))).await.unwrap();
    assert!(load(&store).await.records.is_empty());
    // Another tab that has not heard of it.
    store.write_records(write(&record, &put(clock(5, 1), b"1"), ClockVector::new())).await.unwrap();
    assert!(load(&store).await.records.is_empty());
}

async fn a_row_that_replaces_is_not_merged_with(stores: &impl Stores, database: &str) {
    let side = stores.open(database).await;
    let store = side.store().await;
    let record = id("c", None, "r");
    store.write_records(write(&record, &put(clock(9, 1), b"refused"), upto(&[clock(9, 1)]))).await.unwrap();
    let before = put(clock(5, 2), b"before");
    let revert = RecordsWrite {
        forget: vec![record.clone()],
        restored: vec![record.clone()],
        ..write(&record, &before, upto(&[clock(9, 1), clock(5, 2)]))
    };
    store.write_records(revert).await.unwrap();
    assert_eq!(states(&load(&store).await), [(record, before)]);
}

async fn a_damaged_row_stays_as_it_is_until_it_is_replaced_or_forgotten(stores: &impl Stores, database: &str) {
    let side = stores.open(database).await;
    let store = side.store().await;
    let ids: Vec<_> = ["a", "b", "c"].map(|key| id("c", None, key)).into();
    let damaged = Bytes::from_static(b"damaged");
    let records = ids.iter().map(|id| (id.clone(), damaged.clone())).collect();
    store.write_records(RecordsWrite { records, version: upto(&[clock(9, 1)]), ..RecordsWrite::default() }).await.unwrap();
    // Enough others that they share whatever the store puts together.
    let others =
        (0..600).map(|number| (id("c", None, &format!("other {number}")), encode_state(&put(clock(10, 1), b"x")).into())).collect();
    store.write_records(RecordsWrite { records: others, version: upto(&[clock(10, 1)]), ..RecordsWrite::default() }).await.unwrap();
    let rows = async |id: &RecordId| {
        let loaded = load(&store).await;
        loaded.records.into_iter().find(|(known, _)| known == id).map(|(_, row)| row)
    };
    for id in &ids {
        assert_eq!(rows(id).await, Some(damaged.clone()));
    }
    let state = put(clock(5, 1), b"again");
    let replace =
        RecordsWrite { forget: vec![ids[0].clone()], restored: vec![ids[0].clone()], ..write(&ids[0], &state, ClockVector::new()) };
    store.write_records(replace).await.unwrap();
    store.write_records(RecordsWrite { forget: vec![ids[1].clone()], ..RecordsWrite::default() }).await.unwrap();
    assert_eq!(rows(&ids[0]).await, Some(encode_state(&state).into()), "it counts although the store's version covers it");
    assert_eq!((rows(&ids[1]).await, rows(&ids[2]).await), (None, Some(damaged)));
}

async fn many_rows_and_a_large_one(stores: &impl Stores, database: &str) {
    let side = stores.open(database).await;
    let store = side.store().await;
    let mut records: Vec<(RecordId, Bytes)> =
        (0..2_000).map(|number| (id("c", None, &format!("{number:05}")), encode_state(&put(clock(number + 1, 1), b"x")).into())).collect();
    let large = RecordState::put(clock(3_000, 1), [("f".into(), Bytes::from(vec![7; 256 * 1024]))]);
    records.push((id("c", None, "large"), encode_state(&large).into()));
    store.write_records(RecordsWrite { records, version: upto(&[clock(3_000, 1)]), ..RecordsWrite::default() }).await.unwrap();
    let states = states(&load(&store).await);
    assert_eq!((states.len(), &states[2_000].1), (2_001, &large));
}

async fn a_closed_store_says_so(stores: &impl Stores, database: &str) {
    let side = stores.open(database).await;
    let store = side.store().await;
    store.close().await;
    let loaded = store.load_records(opening(1, 1)).await;
    assert!(matches!(loaded, Err(StoreError::Unavailable(_))), "{:?}", loaded.is_ok());
    let written = store.write_records(RecordsWrite::default()).await;
    assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
}
