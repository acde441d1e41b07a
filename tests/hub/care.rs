//! The commands that look after a data folder, as processes.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use corella::{
    DocId, VersionVector,
    hub::RedbStore,
    protocol::{PeerId, Tombstone},
    runtime::{Record, RecordKey, RecordKind, Store, Write},
    synchronizer::Timestamp,
};
use futures_executor::block_on;
use loro::{ExportMode, LoroDoc};
use redb::{ReadableTable, TableDefinition};

use crate::{
    client::{Client, text, version},
    process::{Process, command},
};

const INDEX: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("index");
const RECORDS: TableDefinition<'_, (&str, &str), (u8, &[u8])> = TableDefinition::new("records");

fn name(number: u64) -> String {
    format!("doc {number}")
}

/// Writes a document edit by edit, each in a record of its own.
fn write(store: &RedbStore, doc: &str, edits: u64, at: u64) -> LoroDoc {
    let document = LoroDoc::new();
    let writes = (0..edits).map(|edit| {
        let before = document.oplog_vv();
        document.get_text("text").insert(0, &format!("{edit} of {doc}, ")).unwrap();
        document.commit();
        Write {
            doc: DocId::new(doc).unwrap(),
            record: Record {
                key: RecordKey(format!("{edit:04}")),
                kind: RecordKind::Update,
                bytes: document.export(ExportMode::updates(&before)).unwrap().into(),
            },
            replaces: Vec::new(),
            version: version(&document),
            at: Timestamp(at + edit),
            lineage: 0,
            confirmed: VersionVector::new(),
            keepers: Vec::new(),
            creator: None,
        }
    });
    block_on(store.write(writes.collect())).unwrap();
    document
}

/// A folder with five documents of 1, 10, 20 … records and a deletion; returns what the documents say.
fn fill(data: &Path) -> BTreeMap<String, String> {
    let store = RedbStore::open(data).unwrap();
    let documents = (0..5).map(|number| (name(number), text(&write(&store, &name(number), (10 * number).max(1), 1_000 * number))));
    let documents = documents.collect();
    let tombstone = Tombstone { lineage: 0, at: 7, by: PeerId::from(1) };
    block_on(store.bury(&DocId::new("gone").unwrap(), tombstone)).unwrap();
    block_on(store.close());
    documents
}

/// Changes tables of a closed database.
fn damage(data: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = redb::Database::open(data.join("corella.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

fn bytes(data: &Path) -> Vec<u8> {
    fs::read(data.join("corella.redb")).unwrap()
}

#[test]
fn a_sound_folder_is_checked_and_counted_and_not_changed() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    fill(data.path());
    let before = bytes(data.path());
    let (code, said, error) = command(&["check", "--data", folder]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(said.starts_with("5 documents, 1 deletions, 101 records, "), "{said}");
    let (code, said, error) = command(&["stats", "--data", folder]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(said.contains("documents           5\ndeleted             1\n") && said.contains(": doc 4\n"), "{said}");
    let (code, said, _) = command(&["stats", "--data", folder, "--json"]);
    let stats: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(code, 0);
    assert_eq!((&stats["documents"], &stats["deleted"], &stats["records"]), (&5.into(), &1.into(), &101.into()));
    assert_eq!((&stats["largest"]["id"], &stats["newest"]["id"]), (&"doc 4".into(), &"doc 4".into()));
    assert_eq!((&stats["oldest"]["id"], &stats["oldest"]["updated"]), (&"doc 0".into(), &0.into()));
    assert_eq!(stats["fileBytes"], before.len());
    assert_eq!(bytes(data.path()), before);
}

#[tokio::test]
async fn the_folder_of_a_killed_hub_is_checked_as_it_is_and_one_in_use_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let mut hub = Process::start(data.path());
    let mut client = Client::connect(hub.address, 1).await;
    let doc = LoroDoc::new();
    crate::client::write(&doc, "kept");
    client.share("d", &doc).await;
    client.until_held("d").await;
    for arguments in [["check", "--data", folder], ["compact", "--data", folder], ["stats", "--data", folder]] {
        let (code, said, error) = command(&arguments);
        assert_eq!((code, said.as_str(), error.lines().count()), (1, "", 1), "{error}");
        assert!(error.contains("another process is using it"), "{error}");
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    hub.child.kill().unwrap();
    hub.child.wait().unwrap();
    let before = bytes(data.path());
    let (code, said, error) = command(&["check", "--data", folder]);
    assert_eq!((code, error.as_str()), (0, ""), "{said}");
    assert_eq!(bytes(data.path()), before, "it was not closed, and is not now");
}

#[test]
fn what_is_damaged_is_told_by_document_and_costs_the_others_nothing() {
    type Damage = fn(&redb::WriteTransaction);
    let cases: [(&str, Damage); 6] = [
        ("document \"doc 2\": record 0003: ", |transaction| {
            transaction.open_table(RECORDS).unwrap().insert(("doc 2", "0003"), (2, [0xff; 40].as_slice())).unwrap();
        }),
        ("document \"doc 2\": record 0003: it is of unknown kind 9", |transaction| {
            transaction.open_table(RECORDS).unwrap().insert(("doc 2", "0003"), (9, [1].as_slice())).unwrap();
        }),
        ("document \"doc 2\": the index says 20 records, there are 19", |transaction| {
            transaction.open_table(RECORDS).unwrap().remove(("doc 2", "0019")).unwrap();
        }),
        ("document \"doc 2\": the index says of operations that no record has", |transaction| {
            transaction.open_table(RECORDS).unwrap().remove(("doc 2", "0000")).unwrap();
        }),
        ("document \"doc 2\": ", |transaction| {
            let mut table = transaction.open_table(INDEX).unwrap();
            let mut row = table.get("doc 2").unwrap().unwrap().value().to_vec();
            row[0] += 1;
            table.insert("doc 2", row.as_slice()).unwrap();
        }),
        ("document \"doc 2\": there are records and no index row", |transaction| {
            transaction.open_table(INDEX).unwrap().remove("doc 2").unwrap();
        }),
    ];
    for (expected, change) in cases {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().to_str().unwrap();
        let documents = fill(data.path());
        damage(data.path(), change);
        let before = bytes(data.path());
        let (code, said, error) = command(&["check", "--data", folder]);
        assert_eq!(code, 1, "{expected}: {said}");
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(said.lines().all(|line| line.contains("doc 2") || line.contains("deletions")), "only that one: {said}");
        assert!(error.ends_with(" problems\n") && error.lines().count() == 1, "{error}");
        assert_eq!(bytes(data.path()), before);
        let (code, _, error) = command(&["compact", "--data", folder]);
        assert_eq!((code, error.as_str()), (0, ""), "{expected}");
        let (_, again, _) = command(&["check", "--data", folder]);
        assert!(again.contains(expected), "compacting leaves it alone: {again}");
        let store = RedbStore::open(data.path()).unwrap();
        for (name, content) in documents.iter().filter(|(name, _)| *name != "doc 2") {
            let stored = block_on(store.load(&DocId::new(name).unwrap())).unwrap().unwrap();
            let document = LoroDoc::new();
            document.import_batch(&stored.records.iter().map(|record| record.bytes.to_vec()).collect::<Vec<_>>()).unwrap();
            assert_eq!((text(&document), stored.records.len()), (content.clone(), 1));
        }
    }
}

#[test]
fn compacting_keeps_every_operation_and_makes_the_file_smaller() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let store = RedbStore::open(data.path()).unwrap();
    let documents: Vec<_> = (0..12).map(|number| (name(number), write(&store, &name(number), 10, number))).collect();
    for number in 12..60 {
        write(&store, &name(number), 10, number);
    }
    for number in 12..60 {
        block_on(store.remove(&DocId::new(&name(number)).unwrap())).unwrap();
    }
    block_on(store.close());
    let before = bytes(data.path()).len();
    let (code, said, error) = command(&["compact", "--data", folder]);
    assert_eq!(code, 0, "{error}");
    let after = bytes(data.path()).len();
    assert!(after < before, "{said}");
    assert_eq!(said.trim(), format!("{before} bytes before, {after} bytes after, 12 documents written anew"));
    let (code, said, error) = command(&["check", "--data", folder]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(said.starts_with("12 documents, 0 deletions, 12 records, "), "{said}");
    let store = RedbStore::open(data.path()).unwrap();
    for (number, (name, document)) in documents.iter().enumerate() {
        let stored = block_on(store.load(&DocId::new(name).unwrap())).unwrap().unwrap();
        let found = LoroDoc::new();
        found.import(&stored.records[0].bytes).unwrap();
        assert_eq!((text(&found), version(&found)), (text(document), stored.index.version.clone()));
        assert_eq!((stored.index.created, stored.index.updated), (Timestamp(number as u64), Timestamp(number as u64 + 9)));
    }
    block_on(store.close());
    let (_, said, _) = command(&["compact", "--data", folder]);
    assert!(said.contains(", 0 documents written anew"), "{said}");
}

#[test]
fn a_file_that_is_torn_cut_or_somebody_elses_is_refused_and_left_as_it_is() {
    let sound = tempfile::tempdir().unwrap();
    fill(sound.path());
    let whole = bytes(sound.path());
    let mut torn = whole.clone();
    torn[..4096].fill(0);
    let mut garbage = whole.clone();
    for (at, byte) in garbage.iter_mut().enumerate() {
        *byte ^= (at.wrapping_mul(131) % 251) as u8;
    }
    let mut pages = whole.clone();
    let length = pages.len();
    pages[4096..length].fill(0xa5);
    for (what, content) in
        [("torn", torn), ("cut", whole[..whole.len() / 3].to_vec()), ("garbage", garbage), ("pages", pages), ("empty", Vec::new())]
    {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().to_str().unwrap();
        let file = data.path().join("corella.redb");
        for arguments in [
            vec!["check", "--data", folder],
            vec!["stats", "--data", folder],
            vec!["compact", "--data", folder],
            vec!["export", "--data", folder, "/dev/null/backup"],
            vec!["--listen", "127.0.0.1:0", "--data", folder],
        ] {
            fs::write(&file, &content).unwrap();
            let (code, said, error) = command(&arguments);
            assert_eq!((code, said.as_str()), (1, ""), "{what}, {arguments:?}: {error}");
            assert_eq!(error.lines().count(), 1, "{what}, {arguments:?}: {error}");
            assert!(error.contains("corella.redb") || error.contains("/dev/null"), "{what}, {arguments:?}: {error}");
            assert!(fs::read(&file).unwrap() == content, "{what}, {arguments:?}: it is left as it is");
        }
    }
}

#[test]
fn a_folder_without_a_database_is_named_and_none_is_made() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    for arguments in [["check", "--data", folder], ["compact", "--data", folder], ["stats", "--data", folder]] {
        let (code, _, error) = command(&arguments);
        assert_eq!((code, error.contains("there is no database"), error.lines().count()), (1, true, 1), "{error}");
    }
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
    // Nobody may write there, not even the administrator.
    #[cfg(target_os = "linux")]
    for arguments in [vec!["--listen", "127.0.0.1:0", "--data", "/sys/corella"], vec!["import", "--data", "/sys/corella", "/dev/null"]] {
        let (code, _, error) = command(&arguments);
        assert_eq!((code, error.contains("/sys/corella"), error.lines().count()), (1, true, 1), "{error}");
    }
}
