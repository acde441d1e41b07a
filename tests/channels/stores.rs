//! What every store has to do.

use std::{cell::Cell, rc::Rc};

use bytes::Bytes;
use corella::{
    DocId, VersionVector,
    runtime::{Record, RecordKey, RecordKind, Store, StoreError, StoredDoc, Write},
    synchronizer::Timestamp,
};
use futures_util::future::{join, join_all};

use super::Recorder;

/// Makes databases and damages them.
pub trait Stores {
    /// Connects to the database of that name, which is empty at first.
    async fn open(&self, database: &str) -> Rc<Recorder>;
    /// Changes a stored record into something it never was.
    async fn corrupt(&self, database: &str, doc: &DocId);
}

/// Runs them all, each in a database of its own.
pub async fn all(stores: &impl Stores) {
    let run = Run { stores, count: Cell::new(0), nonce: stores.open("nonce").await.env.random_u64() };
    run.nothing_is_there_at_first().await;
    run.what_was_written_is_read().await;
    run.a_snapshot_replaces_updates_in_the_same_write().await;
    run.ids_with_common_beginnings_do_not_mix().await;
    run.any_valid_id_is_safe().await;
    run.many_records_and_a_large_one().await;
    run.two_connections_at_once_lose_nothing().await;
    run.writes_are_done_in_the_order_of_the_calls().await;
    run.everything_is_there_after_a_restart().await;
    run.a_removed_document_is_gone_alone().await;
    run.damaged_records_are_an_error_and_stay().await;
    run.a_closed_store_says_so().await;
}

struct Run<'a, S> {
    stores: &'a S,
    count: Cell<u32>,
    nonce: u64,
}

fn doc(id: &str) -> DocId {
    DocId::new(id).unwrap()
}

fn record(key: &str, kind: RecordKind, bytes: impl Into<Bytes>) -> Record {
    Record { key: RecordKey(key.to_owned()), kind, bytes: bytes.into() }
}

fn write(id: &DocId, key: &str, bytes: impl Into<Bytes>, version: (u64, i32)) -> Write {
    Write {
        doc: id.clone(),
        record: record(key, RecordKind::Update, bytes),
        replaces: Vec::new(),
        version: VersionVector::from_iter([version]),
        at: Timestamp(1_000),
        lineage: 0,
        confirmed: VersionVector::new(),
        creator: None,
    }
}

fn keys(stored: &StoredDoc) -> Vec<&str> {
    let mut keys: Vec<_> = stored.records.iter().map(|record| record.key.0.as_str()).collect();
    keys.sort_unstable();
    keys
}

async fn load(store: &Rc<dyn Store>, id: &DocId) -> StoredDoc {
    store.load(id).await.unwrap().unwrap_or_else(|| panic!("{id:?} is not there"))
}

impl<S: Stores> Run<'_, S> {
    fn database(&self) -> String {
        self.count.set(self.count.get() + 1);
        format!("corella-test-{:x}-{}", self.nonce, self.count.get())
    }

    async fn fresh(&self) -> (Rc<Recorder>, Rc<dyn Store>) {
        let side = self.stores.open(&self.database()).await;
        let store = side.store().await;
        (side, store)
    }

    async fn nothing_is_there_at_first(&self) {
        let (_side, store) = self.fresh().await;
        assert_eq!(store.load(&doc("a")).await, Ok(None));
        assert_eq!(store.list().await, Ok(vec![]));
        assert_eq!(store.write(vec![]).await, Ok(()));
        assert_eq!(store.list().await, Ok(vec![]));
    }

    async fn what_was_written_is_read(&self) {
        let (_side, store) = self.fresh().await;
        let id = doc("a");
        let snapshot = Write {
            record: record("r2", RecordKind::Snapshot, vec![0, 255, 1]),
            at: Timestamp(2_000),
            ..write(&id, "", vec![], (u64::MAX, i32::MAX))
        };
        store.write(vec![write(&id, "r1", vec![1, 2], (7, 3)), snapshot.clone()]).await.unwrap();
        let mut stored = load(&store, &id).await;
        stored.records.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(stored.records, vec![record("r1", RecordKind::Update, vec![1, 2]), snapshot.record]);
        let index = stored.index;
        assert_eq!((index.records, index.bytes), (2, 5));
        assert_eq!((index.created, index.updated, &index.tombstone), (Timestamp(1_000), Timestamp(2_000), &None));
        assert_eq!(index.version, VersionVector::from_iter([(7, 3), (u64::MAX, i32::MAX)]));
        let listed = store.list().await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!((&listed[0].doc, &listed[0].index), (&id, &index), "the list says the same");
        store.write(vec![write(&id, "r3", vec![], (7, 1))]).await.unwrap();
        let after = load(&store, &id).await.index;
        assert_eq!((after.lineage, after.created, after.updated), (index.lineage, index.created, Timestamp(2_000)), "times do not go back");
        assert_eq!(after.version, index.version, "nor do versions");
    }

    async fn a_snapshot_replaces_updates_in_the_same_write(&self) {
        let (_side, store) = self.fresh().await;
        let id = doc("a");
        for key in ["u1", "u2", "u3"] {
            store.write(vec![write(&id, key, vec![0; 10], (1, 1))]).await.unwrap();
        }
        let replaces = ["u1", "u2", "never-there"].map(|key| RecordKey(key.to_owned())).to_vec();
        let record = record("s1", RecordKind::Snapshot, vec![0; 7]);
        store.write(vec![Write { record, replaces, ..write(&id, "", vec![], (1, 9)) }]).await.unwrap();
        let stored = load(&store, &id).await;
        assert_eq!(keys(&stored), ["s1", "u3"]);
        assert_eq!((stored.index.records, stored.index.bytes), (2, 17));
    }

    async fn ids_with_common_beginnings_do_not_mix(&self) {
        let (_side, store) = self.fresh().await;
        let ids = ["doc1", "doc10", "doc", "doc1::update::x", "doc1/", "doc1,a", "doc1\u{0}", "doc1\u{ffff}", "[doc1]", "doc2"];
        for id in ids {
            store.write(vec![write(&doc(id), "same-key", id.to_owned(), (1, 1))]).await.unwrap();
        }
        for id in ids {
            let stored = load(&store, &doc(id)).await;
            assert_eq!(stored.records, vec![record("same-key", RecordKind::Update, id.to_owned())], "{id:?}");
        }
        store.remove(&doc("doc1")).await.unwrap();
        assert_eq!(store.load(&doc("doc1")).await, Ok(None));
        for id in &ids[1..] {
            load(&store, &doc(id)).await;
        }
        assert_eq!(store.list().await.unwrap().len(), ids.len() - 1);
    }

    async fn any_valid_id_is_safe(&self) {
        let (_side, store) = self.fresh().await;
        let ids = [
            "x".repeat(512),
            "é".repeat(256),
            "🦜".repeat(128),
            "\u{0}".into(),
            " ".into(),
            "\"'\\".into(),
            "__proto__".into(),
            "é".into(),
            "e\u{301}".into(),
        ];
        for id in &ids {
            store.write(vec![write(&doc(id), "", id.clone(), (1, 1)), write(&doc(id), "::/\u{0}🦜", vec![], (1, 1))]).await.unwrap();
        }
        for id in &ids {
            let stored = load(&store, &doc(id)).await;
            assert_eq!(keys(&stored), ["", "::/\u{0}🦜"]);
            assert!(stored.records.iter().any(|record| record.bytes == id.as_bytes()), "{id:?}");
        }
        let mut listed: Vec<_> = store.list().await.unwrap().into_iter().map(|info| info.doc).collect();
        let mut expected: Vec<_> = ids.iter().map(|id| doc(id)).collect();
        listed.sort();
        expected.sort();
        assert_eq!(listed, expected);
    }

    async fn many_records_and_a_large_one(&self) {
        let (_side, store) = self.fresh().await;
        let id = doc("many");
        let writes = (0..64).map(|n| write(&id, &format!("{n:04}"), vec![n as u8; n], (1, n as i32))).collect();
        store.write(writes).await.unwrap();
        let large: Vec<u8> = (0..5_000_000u32).map(|i| (i % 253) as u8).collect();
        store.write(vec![write(&doc("large"), "r", large.clone(), (1, 1))]).await.unwrap();
        let stored = load(&store, &id).await;
        assert_eq!((stored.records.len(), stored.index.records, stored.index.bytes), (64, 64, (0..64).sum()));
        for record in &stored.records {
            let n: usize = record.key.0.parse().unwrap();
            assert_eq!(record.bytes, vec![n as u8; n]);
        }
        let stored = load(&store, &doc("large")).await;
        assert_eq!(stored.index.bytes, 5_000_000);
        assert!(stored.records[0].bytes == large, "five million bytes unchanged");
    }

    async fn two_connections_at_once_lose_nothing(&self) {
        let database = self.database();
        let (a, b) = (self.stores.open(&database).await, self.stores.open(&database).await);
        let (store_a, store_b) = (a.store().await, b.store().await);
        let id = doc("shared");
        let writes = (0..40).map(|n| {
            let (store, author) = if n % 2 == 0 { (&store_a, 1) } else { (&store_b, 2) };
            store.write(vec![write(&id, &format!("{author}-{n}"), vec![0; 3], (author, n + 1))])
        });
        let outcomes = join_all(writes.collect::<Vec<_>>()).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        for store in [&store_a, &store_b] {
            let stored = load(store, &id).await;
            assert_eq!((stored.records.len(), stored.index.records, stored.index.bytes), (40, 40, 120));
            assert_eq!(stored.index.version, VersionVector::from_iter([(1, 39), (2, 40)]));
        }
        // Both compact what they know of at once.
        let compact = |store: &Rc<dyn Store>, author: u64, key: &str| {
            let replaces = (0..40).map(|n| RecordKey(format!("{author}-{n}"))).collect();
            store.write(vec![Write {
                record: record(key, RecordKind::Snapshot, vec![0; 5]),
                replaces,
                ..write(&id, "", vec![], (author, 1))
            }])
        };
        let outcomes = join(compact(&store_a, 1, "s-a"), compact(&store_b, 2, "s-b")).await;
        assert_eq!(outcomes, (Ok(()), Ok(())));
        let stored = load(&store_a, &id).await;
        assert_eq!(keys(&stored), ["s-a", "s-b"]);
        assert_eq!((stored.index.records, stored.index.bytes), (2, 10));
    }

    async fn writes_are_done_in_the_order_of_the_calls(&self) {
        let (_side, store) = self.fresh().await;
        let id = doc("a");
        let add = store.write(vec![write(&id, "u1", vec![1], (1, 1))]);
        let replace = store.write(vec![Write { replaces: vec![RecordKey("u1".to_owned())], ..write(&id, "s1", vec![2], (1, 2)) }]);
        let outcomes = join(replace, add).await;
        assert_eq!(outcomes, (Ok(()), Ok(())));
        assert_eq!(keys(&load(&store, &id).await), ["s1"]);
    }

    async fn everything_is_there_after_a_restart(&self) {
        let database = self.database();
        let id = doc("a");
        let first = self.stores.open(&database).await;
        let store = first.store().await;
        let written = store.write(vec![write(&id, "r", vec![1, 2, 3], (1, 1))]);
        let closed = store.close();
        assert_eq!(join(written, closed).await.0, Ok(()), "closing waits for what was begun");
        first.adapter.stop().await;
        let second = self.stores.open(&database).await;
        assert_eq!(load(&second.store().await, &id).await.records, vec![record("r", RecordKind::Update, vec![1, 2, 3])]);
    }

    async fn a_removed_document_is_gone_alone(&self) {
        let (_side, store) = self.fresh().await;
        store.write(vec![write(&doc("a"), "r", vec![1], (1, 1)), write(&doc("b"), "r", vec![1], (1, 1))]).await.unwrap();
        store.remove(&doc("a")).await.unwrap();
        store.remove(&doc("never-there")).await.unwrap();
        assert_eq!(store.load(&doc("a")).await, Ok(None));
        let listed = store.list().await.unwrap();
        assert_eq!(listed.iter().map(|info| info.doc.as_str()).collect::<Vec<_>>(), ["b"]);
        store.write(vec![write(&doc("a"), "r", vec![1], (1, 1))]).await.unwrap();
        assert_eq!(load(&store, &doc("a")).await.index.records, 1, "nothing is left to keep it from being stored again");
    }

    async fn damaged_records_are_an_error_and_stay(&self) {
        let database = self.database();
        let side = self.stores.open(&database).await;
        let store = side.store().await;
        store.write(vec![write(&doc("a"), "r", vec![1], (1, 1)), write(&doc("b"), "r", vec![1], (1, 1))]).await.unwrap();
        self.stores.corrupt(&database, &doc("a")).await;
        for _ in 0..2 {
            let loaded = store.load(&doc("a")).await;
            assert!(matches!(loaded, Err(StoreError::Corrupt(_))), "{loaded:?}");
        }
        load(&store, &doc("b")).await;
    }

    async fn a_closed_store_says_so(&self) {
        let (_side, store) = self.fresh().await;
        store.close().await;
        let loaded = store.load(&doc("a")).await;
        assert!(matches!(loaded, Err(StoreError::Unavailable(_))), "{loaded:?}");
        let written = store.write(vec![write(&doc("a"), "r", vec![1], (1, 1))]).await;
        assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
    }
}
