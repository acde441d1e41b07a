//! The hub's store on a real file.
#![cfg(all(feature = "hub", not(target_arch = "wasm32")))]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod channels;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
};

use bytes::Bytes;
use channels::{Recorder, record_stores, stores};
use corella::{
    DocId, PeerId, VersionVector,
    hub::{NativeEnv, RedbStore},
    protocol::Tombstone,
    runtime::{
        Adapter, AdapterContext, AdapterState, Amendment, Committed, LoadedRecords, LocalBoxFuture, RawRecord, Record, RecordKey,
        RecordKind, RecordsOpening, RecordsWrite, Safety, Store, StoreError, StoredDoc, StoredInfo, Write,
    },
    synchronizer::{ChannelKind, Creator, Note, Timestamp},
};
use futures_executor::block_on;
use redb::ReadableTable;

fn doc(name: &str) -> DocId {
    DocId::new(name).unwrap()
}

fn write(name: &str, key: &str, bytes: &'static [u8], end: i32, at: u64) -> Write {
    Write {
        doc: doc(name),
        record: Record { key: RecordKey(key.into()), kind: RecordKind::Update, bytes: Bytes::from_static(bytes) },
        replaces: Vec::new(),
        version: VersionVector::from_iter([(1, end)]),
        at: Timestamp(at),
        lineage: 0,
        confirmed: VersionVector::new(),
        keepers: Vec::new(),
        creator: None,
    }
}

fn keys(store: &RedbStore, name: &str) -> Vec<String> {
    let stored = block_on(store.load(&doc(name))).unwrap();
    stored.map(|stored| stored.records.into_iter().map(|record| record.key.0).collect()).unwrap_or_default()
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path()).unwrap();
    block_on(store.write(vec![write("a", "1", b"one", 3, 10), write("a", "2", b"two!", 5, 20), write("b", "1", b"", 1, 30)])).unwrap();
    block_on(store.close());
    let store = RedbStore::open(folder.path()).unwrap();
    let stored = block_on(store.load(&doc("a"))).unwrap().unwrap();
    assert_eq!(stored.records.iter().map(|record| &*record.bytes).collect::<Vec<_>>(), [b"one".as_slice(), b"two!"]);
    let index = &stored.index;
    assert_eq!((index.bytes, index.records, index.created, index.updated), (7, 2, Timestamp(10), Timestamp(20)));
    assert_eq!(index.version, VersionVector::from_iter([(1, 5)]));
    let listed = block_on(store.list()).unwrap();
    assert_eq!(listed.iter().map(|info| info.doc.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(listed[0].index, *index);
    assert_eq!(block_on(store.load(&doc("c"))).unwrap(), None);
}

#[test]
fn tombstones_creators_and_confirmed_versions_are_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path()).unwrap();
    let tombstone = Tombstone { lineage: 3, at: 40, by: PeerId::from(7) };
    let creator = Some(Creator { peer_id: PeerId::from(8), name: Some("Ada".into()) });
    let confirmed = VersionVector::from_iter([(1, 2)]);
    let kept = Write { creator: creator.clone(), confirmed: confirmed.clone(), lineage: 4, ..write("kept", "1", b"x", 3, 10) };
    block_on(store.write(vec![write("gone", "1", b"x", 3, 10), kept])).unwrap();
    for name in ["gone", "kept", "never"] {
        block_on(store.bury(&doc(name), tombstone.clone())).unwrap();
    }
    block_on(store.close());
    let store = RedbStore::open(folder.path()).unwrap();
    for name in ["gone", "never"] {
        let stored = block_on(store.load(&doc(name))).unwrap().unwrap();
        assert_eq!((stored.records.len(), stored.index.lineage, &stored.index.tombstone), (0, 3, &Some(tombstone.clone())));
        assert!(stored.index.is_deleted());
    }
    let stored = block_on(store.load(&doc("kept"))).unwrap().unwrap();
    assert_eq!(stored.records.len(), 1);
    assert_eq!((stored.index.tombstone, stored.index.creator, stored.index.confirmed), (Some(tombstone), creator, confirmed));
    assert_eq!(block_on(store.list()).unwrap().len(), 3);
    block_on(store.write(vec![Write { lineage: 3, ..write("gone", "2", b"x", 4, 20) }])).unwrap();
    assert_eq!(keys(&store, "gone"), <[&str; 0]>::default());
}

/// Changes an index row of a closed database and returns the changed row.
fn change_row(folder: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let database = redb::Database::open(folder.join("corella.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    let table = redb::TableDefinition::<&str, &[u8]>::new("index");
    let mut row = transaction.open_table(table).unwrap().get(name).unwrap().unwrap().value().to_vec();
    change(&mut row);
    transaction.open_table(table).unwrap().insert(name, row.as_slice()).unwrap();
    transaction.commit().unwrap();
    row
}

#[test]
fn an_index_row_without_the_later_fields_is_read() {
    let folder = tempfile::tempdir().unwrap();
    // No tombstone, an empty version and no creator end a row as 0, 1 0 and 0.
    for missing in [1, 3, 4] {
        let name = missing.to_string();
        let store = RedbStore::open(folder.path()).unwrap();
        block_on(store.write(vec![Write { lineage: 5, ..write(&name, "1", b"x", 3, 10) }])).unwrap();
        let before = block_on(store.load(&doc(&name))).unwrap();
        block_on(store.close());
        change_row(folder.path(), &name, |row| row.truncate(row.len() - missing));
        let store = RedbStore::open(folder.path()).unwrap();
        assert_eq!(block_on(store.load(&doc(&name))).unwrap(), before, "{missing} bytes less");
        block_on(store.close());
    }
}

#[test]
fn an_index_row_of_a_newer_format_is_refused_and_left_alone() {
    let newer: [fn(&mut Vec<u8>); 2] = [|row| row[0] += 1, |row| row.extend([0, 0, 0])];
    for change in newer {
        let folder = tempfile::tempdir().unwrap();
        let store = RedbStore::open(folder.path()).unwrap();
        block_on(store.write(vec![write("a", "1", b"x", 3, 10), write("b", "1", b"x", 3, 10)])).unwrap();
        block_on(store.close());
        let row = change_row(folder.path(), "a", change);
        let store = RedbStore::open(folder.path()).unwrap();
        let tombstone = Tombstone { lineage: 9, at: 1, by: PeerId::from(1) };
        assert!(matches!(block_on(store.load(&doc("a"))), Err(StoreError::Corrupt(_))));
        // All in one commit: the others are written all the same.
        let refused = [store.write(vec![Write { lineage: 9, ..write("a", "2", b"x", 4, 20) }]), store.bury(&doc("a"), tombstone)];
        let mixed = store.commit(vec![write("b", "2", b"x", 4, 20), write("a", "3", b"x", 4, 20)], Safety::Strict);
        let other = store.write(vec![write("c", "1", b"x", 4, 20)]);
        for refused in refused {
            assert!(matches!(block_on(refused), Err(StoreError::Corrupt(_))));
        }
        let mixed = block_on(mixed).unwrap();
        assert_eq!(mixed.records, [(doc("b"), 2)]);
        assert!(matches!(&mixed.refused[..], [(refused, StoreError::Corrupt(_))] if *refused == doc("a")), "{mixed:?}");
        block_on(other).unwrap();
        assert_eq!((keys(&store, "b").len(), keys(&store, "c").len()), (2, 1));
        let kept = block_on(store.salvage(&doc("a"))).unwrap();
        assert_eq!(kept.iter().map(|record| (record.key.as_str(), &record.bytes[..])).collect::<Vec<_>>(), [("1", &b"x"[..])]);
        assert_eq!(block_on(store.list()).unwrap().len(), 2, "the others are there");
        block_on(store.close());
        assert_eq!(change_row(folder.path(), "a", |_| ()), row);
    }
}

#[test]
fn a_snapshot_replaces_the_records_it_names_and_no_others() {
    let store = RedbStore::in_memory().unwrap();
    block_on(store.write(vec![write("a", "1", b"11", 1, 1), write("a", "2", b"22", 2, 2), write("a", "3", b"33", 3, 3)])).unwrap();
    let snapshot = Write {
        replaces: ["1", "2", "never", "s"].map(|key| RecordKey(key.into())).into(),
        record: Record { key: RecordKey("s".into()), kind: RecordKind::Snapshot, bytes: Bytes::from_static(b"snap") },
        ..write("a", "s", b"", 2, 2)
    };
    block_on(store.write(vec![snapshot])).unwrap();
    let stored = block_on(store.load(&doc("a"))).unwrap().unwrap();
    assert_eq!(keys(&store, "a"), ["3", "s"]);
    assert_eq!(stored.records[1].kind, RecordKind::Snapshot);
    assert_eq!((stored.index.bytes, stored.index.records, stored.index.updated), (6, 2, Timestamp(3)));
    assert_eq!(stored.index.version, VersionVector::from_iter([(1, 3)]), "an older version takes nothing away");
}

#[test]
fn a_removed_document_is_gone_and_its_neighbours_are_not() {
    let store = RedbStore::in_memory().unwrap();
    for name in ["a", "a\0", "a/b", "b", "é🦜"] {
        block_on(store.write(vec![write(name, "1", b"x", 1, 1), write(name, "", b"y", 1, 1)])).unwrap();
    }
    block_on(store.remove(&doc("a"))).unwrap();
    block_on(store.remove(&doc("never"))).unwrap();
    assert_eq!(block_on(store.load(&doc("a"))).unwrap(), None);
    for name in ["a\0", "a/b", "b", "é🦜"] {
        assert_eq!(keys(&store, name), ["", "1"], "{name:?}");
    }
    assert_eq!(block_on(store.list()).unwrap().len(), 4);
    block_on(store.write(vec![write("a", "2", b"x", 1, 1)])).unwrap();
    assert_eq!(keys(&store, "a"), ["2"]);
}

#[test]
fn work_given_at_once_is_done_in_order() {
    let store = RedbStore::in_memory().unwrap();
    let first = store.write(vec![write("a", "1", b"x", 1, 1)]);
    let removed = store.remove(&doc("a"));
    let second = store.write(vec![write("a", "2", b"x", 1, 1)]);
    let loaded = store.load(&doc("a"));
    let third = store.write(vec![write("a", "3", b"x", 1, 1)]);
    let loaded = block_on(loaded).unwrap().unwrap();
    assert_eq!(loaded.records.iter().map(|record| record.key.0.as_str()).collect::<Vec<_>>(), ["2"]);
    for done in [first, removed, second, third] {
        block_on(done).unwrap();
    }
    assert_eq!(keys(&store, "a"), ["2", "3"]);
}

#[test]
fn many_writes_at_once_share_commits() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path()).unwrap();
    let pending: Vec<_> = (0..2_000).map(|n| store.write(vec![write("a", &format!("{n:04}"), b"x", n, 1)])).collect();
    for done in pending {
        block_on(done).unwrap();
    }
    assert_eq!(keys(&store, "a").len(), 2_000);
}

#[test]
fn a_database_in_use_is_not_available_and_free_once_closed() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path()).unwrap();
    match RedbStore::open(folder.path()) {
        Err(StoreError::Unavailable(text)) => assert!(text.contains("another process is using it"), "{text}"),
        other => panic!("{other:?}"),
    }
    block_on(store.close());
    RedbStore::open(folder.path()).unwrap();
    assert!(matches!(block_on(store.list()), Err(StoreError::Unavailable(_))));
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("corella.redb");
    std::fs::write(&file, "somebody's notes").unwrap();
    assert!(RedbStore::open(folder.path()).is_err());
    assert_eq!(std::fs::read(&file).unwrap(), b"somebody's notes");
}

#[test]
fn a_database_whose_making_was_cut_short_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    // What redb leaves when it is killed before it has written its first page.
    std::fs::write(folder.path().join("corella.redb.new"), vec![0; 1_056_768]).unwrap();
    let store = RedbStore::open(folder.path()).unwrap();
    block_on(store.write(vec![write("a", "1", b"x", 1, 1)])).unwrap();
    block_on(store.close());
    assert_eq!(keys(&RedbStore::open(folder.path()).unwrap(), "a"), ["1"]);
    assert!(!folder.path().join("corella.redb.new").exists());
}

/// A store whose file can be taken away and given back, so that it can be damaged meanwhile.
struct Shelf(RefCell<RedbStore>);

impl Store for Shelf {
    fn name(&self) -> &str {
        "redb"
    }
    fn load(&self, doc: &DocId) -> LocalBoxFuture<Result<Option<StoredDoc>, StoreError>> {
        self.0.borrow().load(doc)
    }
    fn list(&self) -> LocalBoxFuture<Result<Vec<StoredInfo>, StoreError>> {
        self.0.borrow().list()
    }
    fn commit(&self, writes: Vec<Write>, safety: Safety) -> LocalBoxFuture<Result<Committed, StoreError>> {
        self.0.borrow().commit(writes, safety)
    }
    fn sync(&self) -> LocalBoxFuture<Result<(), StoreError>> {
        self.0.borrow().sync()
    }
    fn salvage(&self, doc: &DocId) -> LocalBoxFuture<Result<Vec<RawRecord>, StoreError>> {
        self.0.borrow().salvage(doc)
    }
    fn bury(&self, doc: &DocId, tombstone: Tombstone) -> LocalBoxFuture<Result<(), StoreError>> {
        self.0.borrow().bury(doc, tombstone)
    }
    fn confirm(&self, confirmed: Vec<Note>) -> LocalBoxFuture<Result<(), StoreError>> {
        self.0.borrow().confirm(confirmed)
    }
    fn amend(&self, name: &'static str, change: Amendment) -> LocalBoxFuture<Result<Option<Bytes>, StoreError>> {
        self.0.borrow().amend(name, change)
    }
    fn remove(&self, doc: &DocId) -> LocalBoxFuture<Result<(), StoreError>> {
        self.0.borrow().remove(doc)
    }
    fn load_records(&self, opening: RecordsOpening) -> LocalBoxFuture<Result<Option<LoadedRecords>, StoreError>> {
        self.0.borrow().load_records(opening)
    }

    fn write_records(&self, write: RecordsWrite) -> LocalBoxFuture<Result<(), StoreError>> {
        self.0.borrow().write_records(write)
    }

    fn close(&self) -> LocalBoxFuture<()> {
        self.0.borrow().close()
    }
}

struct ShelfAdapter(Rc<Shelf>);

impl Adapter for ShelfAdapter {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Storage
    }
    fn name(&self) -> &str {
        "redb"
    }
    fn start(&self, context: AdapterContext) {
        context.open_store(self.0.clone());
    }
    fn stop(&self) -> LocalBoxFuture<()> {
        Box::pin(std::future::ready(()))
    }
    fn state(&self) -> AdapterState {
        AdapterState::Open
    }
}

/// Databases in folders; one that is open is shared, as a hub has one store only.
struct Folders {
    root: tempfile::TempDir,
    open: RefCell<BTreeMap<String, Rc<Shelf>>>,
}

impl Folders {
    fn path(&self, database: &str) -> PathBuf {
        self.root.path().join(database)
    }
}

impl stores::Stores for Folders {
    async fn open(&self, database: &str) -> Rc<Recorder> {
        let shelf = match RedbStore::open(&self.path(database)) {
            Ok(store) => Rc::new(Shelf(RefCell::new(store))),
            Err(_) => Rc::clone(&self.open.borrow()[database]),
        };
        self.open.borrow_mut().insert(database.to_owned(), Rc::clone(&shelf));
        Recorder::start(Rc::new(NativeEnv::new(|| ())), Rc::new(ShelfAdapter(shelf)))
    }

    async fn corrupt(&self, database: &str, doc: &DocId) {
        let shelf = Rc::clone(&self.open.borrow()[database]);
        shelf.close().await;
        let raw = redb::Database::open(self.path(database).join("corella.redb")).unwrap();
        let transaction = raw.begin_write().unwrap();
        let table = redb::TableDefinition::<(&str, &str), (u8, &[u8])>::new("records");
        transaction.open_table(table).unwrap().insert((doc.as_str(), "r"), (9, [0xff].as_slice())).unwrap();
        transaction.commit().unwrap();
        drop(raw);
        shelf.0.replace(RedbStore::open(&self.path(database)).unwrap());
    }

    async fn corrupt_index(&self, database: &str, doc: &DocId) {
        let shelf = Rc::clone(&self.open.borrow()[database]);
        shelf.close().await;
        change_row(&self.path(database), doc.as_str(), |row| row[0] += 1);
        shelf.0.replace(RedbStore::open(&self.path(database)).unwrap());
    }
}

#[tokio::test]
async fn the_redb_store_conforms() {
    let folders = Folders { root: tempfile::tempdir().unwrap(), open: RefCell::default() };
    stores::all(&folders).await;
}

#[tokio::test]
async fn the_redb_store_keeps_records_as_the_contract_says() {
    let folders = Folders { root: tempfile::tempdir().unwrap(), open: RefCell::default() };
    record_stores::all(&folders).await;
}
