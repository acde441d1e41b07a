//! What every store has to do.

use std::{cell::Cell, rc::Rc, sync::Arc};

use bytes::Bytes;
use corella::{
    DocId, PeerId, VersionVector,
    protocol::Tombstone,
    runtime::{Amendment, Committed, IndexEntry, RawRecord, Record, RecordKey, RecordKind, Safety, Store, StoreError, StoredDoc, Write},
    synchronizer::{Creator, Mark, Note, Timestamp},
};
use futures_util::future::{join, join_all};

use super::Recorder;

/// Makes databases and damages them.
pub trait Stores {
    /// Connects to the database of that name, which is empty at first.
    async fn open(&self, database: &str) -> Rc<Recorder>;
    /// Changes a stored record into something it never was.
    async fn corrupt(&self, database: &str, doc: &DocId);
    /// Changes a stored index record into something it never was.
    async fn corrupt_index(&self, database: &str, doc: &DocId);
    /// Lets the disk be full, or have room again; `false` where that cannot be had.
    async fn fill(&self, _database: &str, _full: bool) -> bool {
        false
    }
    /// Lets the disk be read-only, or not; `false` where that cannot be had.
    async fn protect(&self, _database: &str, _read_only: bool) -> bool {
        false
    }
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
    run.several_documents_are_read_in_their_order_each_for_itself().await;
    run.two_connections_at_once_lose_nothing().await;
    run.writes_are_done_in_the_order_of_the_calls().await;
    run.everything_is_there_after_a_restart().await;
    run.a_removed_document_is_gone_alone().await;
    run.what_another_machine_has_is_merged_and_the_first_creator_stays().await;
    run.what_another_machine_has_can_be_noted_alone().await;
    run.marks_are_noted_and_stay_with_their_creation().await;
    run.a_value_is_amended_by_one_at_a_time_and_stays().await;
    run.a_write_to_an_older_creation_is_dropped_and_the_others_happen().await;
    run.a_write_to_a_newer_creation_replaces_all_that_is_stored().await;
    run.a_buried_document_is_its_tombstone().await;
    run.a_write_to_a_deleted_creation_is_dropped().await;
    run.a_document_made_again_keeps_the_tombstone_of_the_older_creation().await;
    run.a_newer_creation_survives_the_burial_of_an_older_one().await;
    run.a_document_that_was_never_stored_can_be_buried().await;
    run.of_two_tombstones_the_newer_creations_or_the_earlier_one_stays().await;
    run.a_removed_document_takes_its_tombstone_along().await;
    run.two_connections_at_once_agree_on_what_is_deleted().await;
    run.work_on_creations_is_done_in_the_order_of_the_calls().await;
    run.damaged_records_are_an_error_and_stay().await;
    run.damaged_records_of_a_deleted_creation_are_gone().await;
    run.a_closed_store_says_so().await;
    run.commits_tell_how_many_records_there_are().await;
    run.what_was_committed_in_any_way_is_there_after_a_restart().await;
    run.records_are_salvaged_as_they_are().await;
    run.empty_and_very_large_values_are_safe().await;
    run.a_damaged_index_record_costs_its_document_only().await;
    run.a_write_that_fails_in_the_middle_leaves_nothing().await;
    run.a_full_store_says_so_and_works_again_when_there_is_room().await;
    run.a_read_only_store_says_so_and_can_be_read().await;
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
        keepers: Vec::new(),
        creator: None,
    }
}

fn creation(lineage: u64, write: Write) -> Write {
    Write { lineage, ..write }
}

fn tombstone(lineage: u64, at: u64) -> Tombstone {
    Tombstone { lineage, at, by: PeerId::from_wire("\u{0}🦜") }
}

fn creator(peer: u64, name: Option<&str>) -> Option<Creator> {
    Some(Creator { peer_id: PeerId::from(peer), name: name.map(str::to_owned) })
}

async fn listed(store: &Rc<dyn Store>, id: &DocId) -> Option<IndexEntry> {
    store.list().await.unwrap().into_iter().find(|info| info.doc == *id).map(|info| info.index)
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
        assert_eq!(store.index(&id).await.unwrap().as_ref(), Some(&listed[0].index));
        assert_eq!(store.index(&doc("never-there")).await, Ok(None));
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

    async fn several_documents_are_read_in_their_order_each_for_itself(&self) {
        let database = self.database();
        let side = self.stores.open(&database).await;
        let store = side.store().await;
        assert_eq!(store.load_all(vec![]).await, []);
        let two = doc("two");
        store.write(vec![write(&two, "b", vec![2], (1, 1)), write(&two, "a", vec![1], (1, 1))]).await.unwrap();
        // The order of these texts is not everywhere the same.
        let odd = doc("odd");
        store.write(vec![write(&odd, "\u{ffff}", vec![3], (1, 1)), write(&odd, "🦜", vec![4], (1, 1))]).await.unwrap();
        for bad in ["bad", "worse"] {
            store.write(vec![write(&doc(bad), "r", vec![5], (1, 1))]).await.unwrap();
        }
        store.bury(&doc("gone"), tombstone(0, 7)).await.unwrap();
        self.stores.corrupt(&database, &doc("bad")).await;
        self.stores.corrupt_index(&database, &doc("worse")).await;
        let asked = ["worse", "two", "never-there", "odd", "bad", "gone", "two"].map(doc);
        let mut loaded = store.load_all(asked.to_vec()).await;
        assert_eq!(loaded.len(), 7);
        for (at, id) in asked.iter().enumerate() {
            assert_eq!(store.load(id).await, loaded[at], "{id:?} alone");
        }
        for stored in loaded.iter_mut().flatten().flatten() {
            stored.records.sort_by(|a, b| a.key.cmp(&b.key));
        }
        let records = |at: usize| loaded[at].clone().unwrap().unwrap().records;
        let update = |key, bytes| record(key, RecordKind::Update, bytes);
        assert!(matches!((&loaded[0], &loaded[4]), (Err(StoreError::Corrupt(_)), Err(StoreError::Corrupt(_)))), "{loaded:?}");
        assert_eq!(records(1), [update("a", vec![1]), update("b", vec![2])]);
        assert_eq!(loaded[1], loaded[6]);
        assert_eq!(loaded[2], Ok(None));
        assert_eq!(records(3), [update("\u{ffff}", vec![3]), update("🦜", vec![4])]);
        assert_eq!(
            loaded[5].as_ref().unwrap().as_ref().map(|stored| (stored.records.len(), &stored.index.tombstone)),
            Some((0, &Some(tombstone(0, 7))))
        );
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

    async fn what_another_machine_has_is_merged_and_the_first_creator_stays(&self) {
        let database = self.database();
        let side = self.stores.open(&database).await;
        let store = side.store().await;
        let (named, unnamed) = (doc("named"), doc("unnamed"));
        let confirmed = |entries: &[(u64, i32)], write| Write { confirmed: entries.iter().copied().collect(), ..write };
        store.write(vec![confirmed(&[(1, 5), (u64::MAX, 2)], write(&named, "1", vec![1], (1, 9)))]).await.unwrap();
        let index = load(&store, &named).await.index;
        assert_eq!((index.lineage, index.creator), (0, None), "as the writer said");
        let first = Write { creator: creator(u64::MAX, Some("")), ..confirmed(&[(1, 4), (2, 1)], write(&named, "2", vec![1], (1, 9))) };
        let second = Write { creator: creator(2, Some("Ä\u{0}🦜")), ..write(&named, "3", vec![1], (1, 9)) };
        let other = Write { creator: creator(3, None), ..write(&unnamed, "1", vec![1], (1, 1)) };
        store.write(vec![first, second, other]).await.unwrap();
        let index = load(&store, &named).await.index;
        assert_eq!(index.confirmed, VersionVector::from_iter([(1, 5), (2, 1), (u64::MAX, 2)]));
        assert_eq!(index.version, VersionVector::from_iter([(1, 9)]), "what others have is not what is stored");
        assert_eq!(index.creator, creator(u64::MAX, Some("")));
        assert_eq!(listed(&store, &named).await, Some(index));
        let index = load(&store, &unnamed).await.index;
        assert_eq!((index.creator, index.confirmed), (creator(3, None), VersionVector::new()));
    }

    async fn what_another_machine_has_can_be_noted_alone(&self) {
        let (_side, store) = self.fresh().await;
        let (id, other, absent, deleted) = (doc("a"), doc("other"), doc("absent"), doc("deleted"));
        store.write(vec![write(&id, "r", vec![1], (1, 9)), creation(3, write(&other, "r", vec![1], (1, 9)))]).await.unwrap();
        store.write(vec![write(&deleted, "r", vec![1], (1, 9))]).await.unwrap();
        store.bury(&deleted, Tombstone { lineage: 0, at: 5, by: PeerId::from(1) }).await.unwrap();
        let before = load(&store, &id).await;
        let note = |doc: &DocId, lineage, end| Note {
            doc: doc.clone(),
            lineage,
            confirmed: VersionVector::from_iter([(1, end)]),
            keepers: vec![end as u64],
            marks: None,
        };
        let notes = vec![note(&id, 0, 4), note(&other, 2, 9), note(&absent, 0, 9), note(&deleted, 0, 9)];
        store.confirm(notes).await.unwrap();
        store.confirm(vec![note(&id, 0, 3)]).await.unwrap();
        let confirmed = IndexEntry { confirmed: VersionVector::from_iter([(1, 4)]), keepers: vec![4], ..before.index };
        assert_eq!(load(&store, &id).await, StoredDoc { index: confirmed.clone(), ..before });
        assert_eq!(listed(&store, &id).await, Some(confirmed));
        assert_eq!(load(&store, &other).await.index.confirmed, VersionVector::new(), "said of another creation");
        assert_eq!(load(&store, &deleted).await.index.confirmed, VersionVector::new());
        assert_eq!(store.load(&absent).await, Ok(None), "nothing comes into being by it");
    }

    async fn marks_are_noted_and_stay_with_their_creation(&self) {
        let (_side, store) = self.fresh().await;
        let id = doc("a");
        store.write(vec![write(&id, "r", vec![1], (1, 9))]).await.unwrap();
        let mark = |at, end| Mark {
            at: Timestamp(at),
            version: VersionVector::from_iter([(1, end), (u64::MAX, 3)]),
            left: end == 1,
            device: None,
        };
        let note = |lineage, marks| Note { doc: id.clone(), lineage, confirmed: VersionVector::new(), keepers: Vec::new(), marks };
        store.confirm(vec![note(0, Some(vec![mark(5, 1), mark(1 << 60, 4)]))]).await.unwrap();
        store.confirm(vec![note(0, None), note(3, Some(Vec::new()))]).await.unwrap();
        store.write(vec![write(&id, "s", vec![1], (1, 10))]).await.unwrap();
        assert_eq!(load(&store, &id).await.index.marks, vec![mark(5, 1), mark(1 << 60, 4)]);
        assert_eq!(listed(&store, &id).await.unwrap().marks.len(), 2);
        store.confirm(vec![note(0, Some(Vec::new()))]).await.unwrap();
        assert!(load(&store, &id).await.index.marks.is_empty());
        store.confirm(vec![note(0, Some(vec![mark(5, 1)]))]).await.unwrap();
        store.write(vec![creation(1, write(&id, "t", vec![1], (1, 1)))]).await.unwrap();
        assert!(load(&store, &id).await.index.marks.is_empty(), "another creation");
    }

    async fn a_value_is_amended_by_one_at_a_time_and_stays(&self) {
        let database = self.database();
        let (a, b) = (self.stores.open(&database).await, self.stores.open(&database).await);
        let (store_a, store_b) = (a.store().await, b.store().await);
        let count =
            |store: &Rc<dyn Store>| store.amend("count", Arc::new(|before| Some(Bytes::from(vec![0; before.map_or(0, <[u8]>::len) + 1]))));
        let counted = join_all((0..20).map(|n| count(if n % 2 == 0 { &store_a } else { &store_b })).collect::<Vec<_>>()).await;
        let mut lengths: Vec<_> = counted.into_iter().map(|value| value.unwrap().unwrap().len()).collect();
        lengths.sort_unstable();
        assert_eq!(lengths, (1..=20).collect::<Vec<_>>(), "each saw what the one before it made");
        assert_eq!(store_a.amend("another", Arc::new(|before| before.map(Bytes::copy_from_slice))).await, Ok(None));
        store_a.write(vec![write(&doc("count"), "count", vec![1], (1, 1))]).await.unwrap();
        store_a.remove(&doc("count")).await.unwrap();
        assert!(store_a.list().await.unwrap().is_empty(), "values are no documents");
        store_a.close().await;
        store_b.close().await;
        a.adapter.stop().await;
        b.adapter.stop().await;
        let again = self.stores.open(&database).await.store().await;
        let same: Amendment = Arc::new(|before| before.map(Bytes::copy_from_slice));
        assert_eq!(again.amend("count", Arc::clone(&same)).await, Ok(Some(Bytes::from(vec![0; 20]))));
        assert_eq!(again.amend("count", Arc::new(|_| None)).await, Ok(None));
        assert_eq!(again.amend("count", same).await, Ok(None));
    }

    async fn a_write_to_an_older_creation_is_dropped_and_the_others_happen(&self) {
        let (_side, store) = self.fresh().await;
        let (id, other) = (doc("a"), doc("b"));
        store.write(vec![creation(7, write(&id, "kept", vec![1], (1, 1)))]).await.unwrap();
        let before = load(&store, &id).await;
        let late = Write {
            replaces: vec![RecordKey("kept".to_owned())],
            confirmed: VersionVector::from_iter([(2, 2)]),
            creator: creator(2, None),
            at: Timestamp(9_000),
            ..creation(6, write(&id, "late", vec![1], (2, 2)))
        };
        store.write(vec![late, write(&other, "r", vec![1], (1, 1))]).await.unwrap();
        assert_eq!(load(&store, &id).await, before);
        load(&store, &other).await;
        let writes = [8, 20, 9].map(|lineage| creation(lineage, write(&id, &lineage.to_string(), vec![1], (lineage, 1))));
        store.write(writes.to_vec()).await.unwrap();
        let stored = load(&store, &id).await;
        assert_eq!((keys(&stored), stored.index.lineage), (vec!["20"], 20), "also of one call");
    }

    async fn a_write_to_a_newer_creation_replaces_all_that_is_stored(&self) {
        let (_side, store) = self.fresh().await;
        let (id, neighbour) = (doc("a"), doc("a\u{0}"));
        let old = |key| Write {
            confirmed: VersionVector::from_iter([(1, 3)]),
            creator: creator(1, Some("old")),
            at: Timestamp(5_000),
            ..write(&id, key, vec![0; 10], (1, 3))
        };
        store.write(vec![old("1"), old("2"), write(&neighbour, "1", vec![1], (1, 1))]).await.unwrap();
        let lineage = (1 << 53) + 1;
        let new = Write { confirmed: VersionVector::from_iter([(2, 1)]), ..creation(lineage, write(&id, "2", vec![0; 3], (2, 2))) };
        store.write(vec![new]).await.unwrap();
        let expected = IndexEntry {
            marks: Vec::new(),
            version: VersionVector::from_iter([(2, 2)]),
            bytes: 3,
            records: 1,
            created: Timestamp(1_000),
            updated: Timestamp(1_000),
            lineage,
            tombstone: None,
            confirmed: VersionVector::from_iter([(2, 1)]),
            keepers: Vec::new(),
            creator: None,
        };
        let stored = load(&store, &id).await;
        assert_eq!((stored.records, &stored.index), (vec![record("2", RecordKind::Update, vec![0; 3])], &expected));
        assert_eq!(listed(&store, &id).await, Some(expected));
        load(&store, &neighbour).await;
        store.write(vec![Write { creator: creator(2, None), ..creation(lineage, write(&id, "3", vec![0; 4], (2, 3))) }]).await.unwrap();
        let stored = load(&store, &id).await;
        assert_eq!(keys(&stored), ["2", "3"], "the creation goes on");
        assert_eq!((stored.index.bytes, stored.index.records, stored.index.creator), (7, 2, creator(2, None)));
    }

    async fn a_buried_document_is_its_tombstone(&self) {
        let database = self.database();
        let side = self.stores.open(&database).await;
        let store = side.store().await;
        let (id, neighbours) = (doc("a"), ["a\u{0}", "a/b", "b"]);
        store.write(["1", "2"].map(|key| creation(4, write(&id, key, vec![0; 10], (1, 3)))).to_vec()).await.unwrap();
        store.write(neighbours.map(|name| write(&doc(name), "1", vec![1], (1, 1))).to_vec()).await.unwrap();
        store.bury(&id, tombstone(4, u64::MAX - 1)).await.unwrap();
        let stored = load(&store, &id).await;
        assert_eq!(stored.records, []);
        assert!(stored.index.is_deleted());
        assert_eq!((stored.index.lineage, &stored.index.tombstone), (4, &Some(tombstone(4, u64::MAX - 1))));
        assert_eq!((&stored.index.version, stored.index.bytes, stored.index.records), (&VersionVector::new(), 0, 0));
        assert_eq!(listed(&store, &id).await.as_ref(), Some(&stored.index));
        for name in neighbours {
            assert_eq!(keys(&load(&store, &doc(name)).await), ["1"]);
        }
        store.close().await;
        side.adapter.stop().await;
        let store = self.stores.open(&database).await.store().await;
        assert_eq!(load(&store, &id).await, stored, "also after a restart");
    }

    async fn a_write_to_a_deleted_creation_is_dropped(&self) {
        let (_side, store) = self.fresh().await;
        let (id, other) = (doc("a"), doc("b"));
        store.write(vec![creation(4, write(&id, "1", vec![1], (1, 3)))]).await.unwrap();
        store.bury(&id, tombstone(6, 50)).await.unwrap();
        let buried = load(&store, &id).await;
        assert_eq!((buried.records.len(), buried.index.lineage), (0, 6), "those before the named creation are deleted with it");
        for lineage in [0, 4, 5, 6] {
            let late = creation(lineage, write(&id, "late", vec![1], (1, 4)));
            store.write(vec![late, write(&other, &lineage.to_string(), vec![1], (1, 1))]).await.unwrap();
            assert_eq!(load(&store, &id).await, buried);
        }
        assert_eq!(keys(&load(&store, &other).await), ["0", "4", "5", "6"]);
    }

    async fn a_document_made_again_keeps_the_tombstone_of_the_older_creation(&self) {
        let (_side, store) = self.fresh().await;
        let id = doc("a");
        store.write(vec![Write { creator: creator(1, None), ..write(&id, "1", vec![1], (1, 3)) }]).await.unwrap();
        store.bury(&id, tombstone(0, 50)).await.unwrap();
        let again = Write { creator: creator(2, None), at: Timestamp(3_000), ..creation(1, write(&id, "2", vec![1], (2, 1))) };
        store.write(vec![again]).await.unwrap();
        let stored = load(&store, &id).await;
        assert_eq!(keys(&stored), ["2"]);
        let index = stored.index;
        assert!(!index.is_deleted());
        assert_eq!((index.lineage, index.created, &index.tombstone), (1, Timestamp(3_000), &Some(tombstone(0, 50))));
        assert_eq!((&index.version, &index.creator), (&VersionVector::from_iter([(2, 1)]), &creator(2, None)));
        store.write(vec![creation(1, write(&id, "3", vec![1], (2, 2)))]).await.unwrap();
        assert_eq!(listed(&store, &id).await.unwrap().tombstone, Some(tombstone(0, 50)));
    }

    async fn a_newer_creation_survives_the_burial_of_an_older_one(&self) {
        let (_side, store) = self.fresh().await;
        let id = doc("a");
        store.write(vec![creation(5, write(&id, "1", vec![1, 2], (1, 3)))]).await.unwrap();
        let before = load(&store, &id).await;
        store.bury(&id, tombstone(4, 50)).await.unwrap();
        let after = load(&store, &id).await;
        assert_eq!(after.records, before.records);
        assert_eq!(after.index, IndexEntry { tombstone: Some(tombstone(4, 50)), ..before.index });
        assert!(!after.index.is_deleted());
    }

    async fn a_document_that_was_never_stored_can_be_buried(&self) {
        let (_side, store) = self.fresh().await;
        for lineage in [0, u64::MAX] {
            let id = doc(&lineage.to_string());
            store.bury(&id, tombstone(lineage, 50)).await.unwrap();
            let index = IndexEntry { lineage, tombstone: Some(tombstone(lineage, 50)), ..IndexEntry::default() };
            assert_eq!(listed(&store, &id).await.as_ref(), Some(&index));
            assert_eq!(load(&store, &id).await, StoredDoc { records: vec![], index });
        }
    }

    async fn of_two_tombstones_the_newer_creations_or_the_earlier_one_stays(&self) {
        let (_side, store) = self.fresh().await;
        let id = doc("a");
        for (next, stays) in [((5, 50), (5, 50)), ((4, 10), (5, 50)), ((5, 60), (5, 50)), ((5, 40), (5, 40)), ((6, 90), (6, 90))] {
            store.bury(&id, tombstone(next.0, next.1)).await.unwrap();
            let index = load(&store, &id).await.index;
            assert_eq!((index.lineage, index.tombstone), (stays.0, Some(tombstone(stays.0, stays.1))), "after {next:?}");
        }
        let again = Tombstone { by: PeerId::from(1), ..tombstone(6, 90) };
        store.bury(&id, again).await.unwrap();
        assert_eq!(load(&store, &id).await.index.tombstone, Some(tombstone(6, 90)), "of equal ones the first");
    }

    async fn a_removed_document_takes_its_tombstone_along(&self) {
        let (_side, store) = self.fresh().await;
        let id = doc("a");
        store.write(vec![write(&id, "1", vec![1], (1, 3))]).await.unwrap();
        store.bury(&id, tombstone(3, 50)).await.unwrap();
        store.remove(&id).await.unwrap();
        assert_eq!((store.load(&id).await, store.list().await), (Ok(None), Ok(vec![])));
        store.write(vec![write(&id, "2", vec![1], (1, 1))]).await.unwrap();
        let stored = load(&store, &id).await;
        assert_eq!((keys(&stored), stored.index.lineage, &stored.index.tombstone), (vec!["2"], 0, &None));
    }

    async fn two_connections_at_once_agree_on_what_is_deleted(&self) {
        let database = self.database();
        let (a, b) = (self.stores.open(&database).await, self.stores.open(&database).await);
        let (store_a, store_b) = (a.store().await, b.store().await);
        let id = doc("shared");
        let old = (0..20).map(|n| store_a.write(vec![write(&id, &format!("old-{n}"), vec![0; 3], (1, n + 1))]));
        let new = (0..20).map(|n| {
            let store = if n % 2 == 0 { &store_a } else { &store_b };
            store.write(vec![creation(9, write(&id, &format!("new-{n:02}"), vec![0; 5], (2, n + 1)))])
        });
        let burials = [(8, 70), (0, 20), (8, 60)].map(|(lineage, at)| store_b.bury(&id, tombstone(lineage, at)));
        let mut work: Vec<_> = Vec::new();
        let mut burials = burials.into_iter();
        for (old, new) in old.zip(new) {
            work.push(old);
            work.extend(burials.next());
            work.push(new);
        }
        let outcomes = join_all(work).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        for store in [&store_a, &store_b] {
            let stored = load(store, &id).await;
            assert_eq!(keys(&stored), (0..20).map(|n| format!("new-{n:02}")).collect::<Vec<_>>());
            assert_eq!((stored.index.lineage, stored.index.records, stored.index.bytes), (9, 20, 100));
            assert_eq!(stored.index.version, VersionVector::from_iter([(2, 20)]));
            assert_eq!(stored.index.tombstone, Some(tombstone(8, 60)));
        }
    }

    async fn work_on_creations_is_done_in_the_order_of_the_calls(&self) {
        let (_side, store) = self.fresh().await;
        let id = doc("a");
        let work = vec![
            store.write(vec![write(&id, "1", vec![1], (1, 1))]),
            store.bury(&id, tombstone(0, 50)),
            store.write(vec![write(&id, "2", vec![1], (1, 1))]),
            store.remove(&id),
            store.write(vec![write(&id, "3", vec![1], (1, 1))]),
            store.bury(&id, tombstone(0, 60)),
            store.write(vec![creation(1, write(&id, "4", vec![1], (1, 1)))]),
        ];
        assert!(join_all(work).await.iter().all(Result::is_ok));
        let stored = load(&store, &id).await;
        assert_eq!((keys(&stored), stored.index.tombstone.as_ref()), (vec!["4"], Some(&tombstone(0, 60))));
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

    async fn damaged_records_of_a_deleted_creation_are_gone(&self) {
        let database = self.database();
        let side = self.stores.open(&database).await;
        let store = side.store().await;
        let (buried, renewed) = (doc("buried"), doc("renewed"));
        store.write([&buried, &renewed].map(|id| write(id, "r", vec![1], (1, 1))).to_vec()).await.unwrap();
        self.stores.corrupt(&database, &buried).await;
        self.stores.corrupt(&database, &renewed).await;
        store.bury(&buried, tombstone(0, 50)).await.unwrap();
        store.write(vec![creation(1, write(&renewed, "new", vec![1], (1, 1)))]).await.unwrap();
        assert_eq!(load(&store, &buried).await.records, []);
        assert_eq!(keys(&load(&store, &renewed).await), ["new"]);
    }

    async fn a_closed_store_says_so(&self) {
        let (_side, store) = self.fresh().await;
        store.close().await;
        let loaded = store.load(&doc("a")).await;
        assert!(matches!(loaded, Err(StoreError::Unavailable(_))), "{loaded:?}");
        let loaded = store.load_all(vec![doc("a"), doc("b")]).await;
        assert!(matches!(&loaded[..], [Err(StoreError::Unavailable(_)), Err(StoreError::Unavailable(_))]), "{loaded:?}");
        let written = store.write(vec![write(&doc("a"), "r", vec![1], (1, 1))]).await;
        assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
        let buried = store.bury(&doc("a"), tombstone(0, 1)).await;
        assert!(matches!(buried, Err(StoreError::Unavailable(_))), "{buried:?}");
    }

    async fn commits_tell_how_many_records_there_are(&self) {
        let database = self.database();
        let (a, b) = (self.stores.open(&database).await, self.stores.open(&database).await);
        let (store_a, store_b) = (a.store().await, b.store().await);
        let id = doc("a");
        let records = |committed: Result<Committed, StoreError>| committed.unwrap().records;
        assert_eq!(records(store_a.commit(vec![write(&id, "1", vec![1], (1, 1))], Safety::Relaxed).await), [(id.clone(), 1)]);
        assert_eq!(records(store_b.commit(vec![write(&id, "2", vec![1], (2, 1))], Safety::Strict).await), [(id.clone(), 2)]);
        let replaces = vec![RecordKey("1".to_owned())];
        let writes = vec![Write { replaces, ..write(&id, "3", vec![1], (1, 2)) }, write(&doc("b"), "1", vec![1], (1, 1))];
        assert_eq!(records(store_a.commit(writes, Safety::Relaxed).await), [(id, 2), (doc("b"), 1)], "whoever wrote them");
    }

    async fn what_was_committed_in_any_way_is_there_after_a_restart(&self) {
        let database = self.database();
        let side = self.stores.open(&database).await;
        let store = side.store().await;
        store.commit(vec![write(&doc("relaxed"), "r", vec![1], (1, 1))], Safety::Relaxed).await.unwrap();
        store.commit(vec![write(&doc("strict"), "r", vec![2], (1, 1))], Safety::Strict).await.unwrap();
        store.sync().await.unwrap();
        store.close().await;
        side.adapter.stop().await;
        assert!(matches!(store.sync().await, Err(StoreError::Unavailable(_))) || store.name() == "redb");
        let store = self.stores.open(&database).await.store().await;
        for (id, byte) in [("relaxed", 1), ("strict", 2)] {
            assert_eq!(load(&store, &doc(id)).await.records[0].bytes, vec![byte]);
        }
    }

    async fn records_are_salvaged_as_they_are(&self) {
        let (_side, store) = self.fresh().await;
        let id = doc("a");
        assert_eq!(store.salvage(&id).await, Ok(vec![]));
        let snapshot = Write { record: record("s", RecordKind::Snapshot, vec![1, 2]), ..write(&id, "", vec![], (1, 1)) };
        store.write(vec![snapshot, write(&id, "u", vec![3], (1, 1)), write(&doc("ab"), "x", vec![4], (1, 1))]).await.unwrap();
        let mut raw = store.salvage(&id).await.unwrap();
        raw.sort_by(|a, b| a.key.cmp(&b.key));
        let expected = |key: &str, kind, bytes: Vec<u8>| RawRecord { key: key.to_owned(), kind: Some(kind), bytes: bytes.into() };
        assert_eq!(raw, [expected("s", RecordKind::Snapshot, vec![1, 2]), expected("u", RecordKind::Update, vec![3])]);
    }

    async fn empty_and_very_large_values_are_safe(&self) {
        let (_side, store) = self.fresh().await;
        let id = doc("large");
        let large = Bytes::from(vec![0xa5; 64 * 1024 * 1024]);
        store.write(vec![write(&id, "large", large.clone(), (1, 1)), write(&id, "empty", Bytes::new(), (1, 1))]).await.unwrap();
        let stored = load(&store, &id).await;
        assert_eq!((stored.index.records, stored.index.bytes), (2, large.len() as u64));
        for record in &stored.records {
            let expected = if record.key.0 == "large" { &large[..] } else { &[] };
            assert!(record.bytes == expected, "{} unchanged", record.key.0);
        }
        store.remove(&id).await.unwrap();
    }

    async fn a_damaged_index_record_costs_its_document_only(&self) {
        let database = self.database();
        let first = self.stores.open(&database).await;
        let store = first.store().await;
        let (bad, good) = (doc("bad"), doc("good"));
        store.write(vec![write(&bad, "r", vec![1], (1, 1)), write(&good, "r", vec![1], (1, 1))]).await.unwrap();
        self.stores.corrupt_index(&database, &bad).await;
        let store = self.stores.open(&database).await.store().await;
        assert!(matches!(store.load(&bad).await, Err(StoreError::Corrupt(_))));
        assert_eq!(store.list().await.unwrap().iter().map(|info| info.doc.as_str()).collect::<Vec<_>>(), ["good"]);
        let both = vec![write(&bad, "r2", vec![2], (1, 2)), write(&good, "r2", vec![2], (1, 2))];
        let committed = store.commit(both, Safety::Relaxed).await.unwrap();
        assert!(matches!(&committed.refused[..], [(refused, StoreError::Corrupt(_))] if *refused == bad), "{committed:?}");
        assert_eq!(committed.records, [(good.clone(), 2)]);
        assert_eq!(keys(&load(&store, &good).await), ["r", "r2"]);
        assert!(matches!(store.bury(&bad, tombstone(0, 1)).await, Err(StoreError::Corrupt(_))));
        let kept = store.salvage(&bad).await.unwrap();
        assert_eq!(kept.iter().map(|record| (record.key.as_str(), &record.bytes[..])).collect::<Vec<_>>(), [("r", &[1][..])]);
        store.remove(&bad).await.unwrap();
        store.write(vec![write(&bad, "r", vec![1], (1, 1))]).await.unwrap();
        assert_eq!(keys(&load(&store, &bad).await), ["r"], "removed, it may begin anew");
    }

    async fn a_write_that_fails_in_the_middle_leaves_nothing(&self) {
        let database = self.database();
        let side = self.stores.open(&database).await;
        let store = side.store().await;
        let id = doc("a");
        store.write(vec![write(&id, "u1", vec![1], (1, 1))]).await.unwrap();
        if !self.stores.fill(&database, true).await {
            return;
        }
        let replaces = vec![RecordKey("u1".to_owned())];
        let snapshot =
            Write { record: record("s", RecordKind::Snapshot, vec![7; 4 * 1024 * 1024]), replaces, ..write(&id, "", vec![], (1, 2)) };
        let failed = store.write(vec![write(&doc("b"), "r", vec![1], (1, 1)), snapshot]).await;
        assert!(matches!(failed, Err(StoreError::Full(_))), "{failed:?}");
        self.stores.fill(&database, false).await;
        let stored = load(&store, &id).await;
        assert_eq!((keys(&stored), &stored.index.version), (vec!["u1"], &VersionVector::from_iter([(1, 1)])), "what it replaces is there");
        assert_eq!(store.load(&doc("b")).await, Ok(None));
    }

    async fn a_full_store_says_so_and_works_again_when_there_is_room(&self) {
        let database = self.database();
        let side = self.stores.open(&database).await;
        let store = side.store().await;
        store.write(vec![write(&doc("before"), "r", vec![1], (1, 1))]).await.unwrap();
        if !self.stores.fill(&database, true).await {
            return;
        }
        let large = write(&doc("large"), "r", vec![7; 4 * 1024 * 1024], (1, 1));
        assert!(matches!(store.write(vec![large.clone()]).await, Err(StoreError::Full(_))));
        load(&store, &doc("before")).await;
        self.stores.fill(&database, false).await;
        store.write(vec![large]).await.unwrap();
        assert_eq!(store.list().await.unwrap().len(), 2);
    }

    async fn a_read_only_store_says_so_and_can_be_read(&self) {
        let database = self.database();
        let side = self.stores.open(&database).await;
        let store = side.store().await;
        let id = doc("a");
        store.write(vec![write(&id, "r", vec![1], (1, 1))]).await.unwrap();
        if !self.stores.protect(&database, true).await {
            return;
        }
        assert!(matches!(store.write(vec![write(&id, "r2", vec![1], (1, 2))]).await, Err(StoreError::Unavailable(_))));
        assert!(store.bury(&id, tombstone(0, 1)).await.is_err());
        assert_eq!(keys(&load(&store, &id).await), ["r"]);
        self.stores.protect(&database, false).await;
        store.write(vec![write(&id, "r2", vec![1], (1, 2))]).await.unwrap();
        assert_eq!(keys(&load(&store, &id).await), ["r", "r2"]);
    }
}
