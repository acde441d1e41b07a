//! The hub's store on storage that loses power, fills up or becomes read-only.
//!
//! What was written and not synced is gone after a power failure, all of it or any sectors of it: a killed process cannot show that, since the
//! system keeps what it had written.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use corella::{
    DocId,
    hub::{RedbStore, check},
    runtime::{Record, RecordKey, RecordKind, Store, StoreError, Write},
    synchronizer::Timestamp,
};
use futures_executor::block_on;
use loro::{ExportMode, LoroDoc};
use redb::StorageBackend;

use crate::client::version;

const SECTOR: usize = 512;

/// A source of chance that is repeatable.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % end
    }
}

#[derive(Debug, Clone)]
enum Change {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

/// What the disk does with a write.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Fine,
    /// The file does not grow.
    Full,
    /// It may be made longer, but there is no room for what is written beyond what was there: a file with holes on a full disk.
    NoBlocks,
    ReadOnly,
    /// The next write finds something that makes the database panic.
    Cursed,
}

#[derive(Debug)]
struct Disk {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    /// Since then.
    changes: Vec<Change>,
    /// Changes until the power fails.
    left: u64,
    mood: Mood,
    room: usize,
}

#[derive(Debug, Clone)]
struct Medium(Arc<Mutex<Disk>>);

impl Medium {
    fn new(bytes: Vec<u8>) -> Self {
        let room = bytes.len();
        Self(Arc::new(Mutex::new(Disk { synced: bytes.clone(), bytes, changes: Vec::new(), left: u64::MAX, mood: Mood::Fine, room })))
    }

    /// A panic with it in hand is one that a test wanted.
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self) -> Result<RedbStore, StoreError> {
        let medium = self.clone();
        RedbStore::on(move || medium.clone())
    }

    fn set(&self, mood: Mood) {
        let mut disk = self.disk();
        disk.mood = mood;
        disk.room = disk.bytes.len();
    }

    fn cut_after(&self, changes: u64) {
        self.disk().left = changes;
    }

    /// Returns what is there when the power is back.
    fn after_power_failure(&self, chance: &mut Chance) -> Vec<u8> {
        let disk = self.disk();
        let mut bytes = disk.synced.clone();
        // All is lost, all is there, or any of it.
        let kept = [0, 8, chance.below(9)][chance.below(3) as usize];
        for change in &disk.changes {
            match change {
                Change::Length(length) => {
                    if chance.below(8) < kept {
                        bytes.resize(*length, 0);
                    }
                }
                Change::Bytes(offset, data) => {
                    for (number, sector) in data.chunks(SECTOR).enumerate() {
                        if chance.below(8) < kept {
                            let start = offset + number * SECTOR;
                            let length = bytes.len().max(start + sector.len());
                            bytes.resize(length, 0);
                            bytes[start..start + sector.len()].copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        bytes
    }
}

impl Disk {
    fn step(&mut self) -> io::Result<()> {
        if self.mood == Mood::ReadOnly {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        if self.mood == Mood::Cursed {
            self.mood = Mood::Fine;
            panic!("what the database found is not what it wrote");
        }
        self.left = self.left.checked_sub(1).ok_or_else(|| io::Error::other("the power is off"))?;
        Ok(())
    }
}

impl StorageBackend for Medium {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.disk();
        let start = offset as usize;
        out.copy_from_slice(disk.bytes.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut disk = self.disk();
        disk.step()?;
        let length = length as usize;
        if disk.mood == Mood::Full && length > disk.bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.bytes.resize(length, 0);
        disk.changes.push(Change::Length(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk();
        disk.step()?;
        disk.synced = disk.bytes.clone();
        disk.changes.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut disk = self.disk();
        disk.step()?;
        let (start, end) = (offset as usize, offset as usize + data.len());
        if disk.mood == Mood::NoBlocks && end > disk.room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let length = disk.bytes.len().max(end);
        disk.bytes.resize(length, 0);
        disk.bytes[start..end].copy_from_slice(data);
        disk.changes.push(Change::Bytes(start, data.to_vec()));
        Ok(())
    }
}

/// What a store has: of each document its records.
type Content = BTreeMap<String, BTreeMap<String, Bytes>>;

/// Documents that are edited and written step by step.
struct Author {
    docs: Vec<LoroDoc>,
    content: Content,
    /// What is stored after each step.
    steps: Vec<Content>,
    number: u64,
}

impl Author {
    fn new() -> Self {
        let docs = (0..4).map(|_| LoroDoc::new()).collect();
        Self { docs, content: Content::new(), steps: vec![Content::new()], number: 0 }
    }

    /// Edits some documents and returns what is to be written, in one commit.
    fn step(&mut self, chance: &mut Chance) -> Vec<Write> {
        let mut writes = Vec::new();
        for (number, doc) in self.docs.iter().enumerate() {
            if chance.below(2) == 0 {
                continue;
            }
            let before = doc.oplog_vv();
            let most = if chance.below(8) == 0 { 1_000 } else { 40 };
            let letters = "abcdefgh".repeat(1 + chance.below(most) as usize);
            doc.get_text("text").insert(0, &letters).unwrap();
            doc.commit();
            let name = format!("d{number}");
            let records = self.content.entry(name.clone()).or_default();
            let whole = chance.below(6) == 0;
            let bytes: Bytes = doc.export(if whole { ExportMode::Snapshot } else { ExportMode::updates(&before) }).unwrap().into();
            let replaces = if whole { std::mem::take(records).into_keys().map(RecordKey).collect() } else { Vec::new() };
            self.number += 1;
            let key = format!("{:08}", self.number);
            records.insert(key.clone(), bytes.clone());
            let kind = if whole { RecordKind::Snapshot } else { RecordKind::Update };
            writes.push(Write {
                doc: DocId::new(&name).unwrap(),
                record: Record { key: RecordKey(key), kind, bytes },
                replaces,
                version: version(doc),
                at: Timestamp(self.number),
                lineage: 0,
                confirmed: Default::default(),
                keepers: Vec::new(),
                creator: None,
            });
        }
        self.steps.push(self.content.clone());
        writes
    }

    /// The documents are again as after a step.
    fn back_to(&mut self, step: usize) {
        self.steps.truncate(step + 1);
        self.content = self.steps[step].clone();
        for (number, doc) in self.docs.iter_mut().enumerate() {
            *doc = LoroDoc::new();
            let records = self.content.get(&format!("d{number}")).into_iter().flatten();
            doc.import_batch(&records.map(|(_, bytes)| bytes.to_vec()).collect::<Vec<_>>()).unwrap();
        }
    }
}

fn content(store: &RedbStore) -> Content {
    let listed = block_on(store.list()).unwrap();
    let load = |doc: &DocId| block_on(store.load(doc)).unwrap().unwrap().records;
    let records = |doc| load(doc).into_iter().map(|record| (record.key.0, record.bytes)).collect();
    listed.iter().map(|info| (info.doc.as_str().to_owned(), records(&info.doc))).collect()
}

fn is_sound(bytes: &[u8], seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("corella.redb"), bytes).unwrap();
    let checked = check(folder.path(), |_| ()).unwrap();
    assert_eq!(checked.problems, [], "seed {seed}");
    assert_eq!(std::fs::read(folder.path().join("corella.redb")).unwrap(), bytes, "seed {seed}: a look changes nothing");
}

fn seeds(few: u64, many: u64) -> std::ops::Range<u64> {
    let from = std::env::var("SEED_FROM").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    from..from + if std::env::var_os("CORELLA_SOAK").is_some() { many } else { few }
}

#[test]
fn what_was_acknowledged_is_there_after_a_power_failure_and_nothing_half() {
    for seed in seeds(8, 400) {
        let mut chance = Chance::new(seed);
        let mut author = Author::new();
        let mut medium = Medium::new(Vec::new());
        for life in 0..3 {
            let Ok(store) = medium.store() else { panic!("seed {seed}, life {life}: it opens") };
            medium.cut_after(chance.below(300));
            let mut acknowledged = author.steps.len() - 1;
            while block_on(store.write(author.step(&mut chance))).is_ok() {
                acknowledged = author.steps.len() - 1;
                assert!(acknowledged < 2_000, "seed {seed}, life {life}: it is acknowledged, and the disk was never asked");
            }
            block_on(store.close());
            let bytes = medium.after_power_failure(&mut chance);
            medium = Medium::new(bytes.clone());
            let store = medium.store().unwrap_or_else(|error| panic!("seed {seed}, life {life}: {error}"));
            let found = content(&store);
            block_on(store.close());
            let step = author.steps.iter().rposition(|step| *step == found);
            let step = step.unwrap_or_else(|| panic!("seed {seed}, life {life}: what is there was never the state"));
            assert!(step >= acknowledged, "seed {seed}, life {life}: {step} of {acknowledged} acknowledged commits are there");
            is_sound(&bytes, seed);
            author.back_to(step);
        }
    }
}

#[test]
fn a_disk_that_takes_nothing_costs_only_what_it_refuses_and_is_used_again_when_it_does() {
    let mut refused = 0;
    for seed in seeds(6, 300) {
        let mut chance = Chance::new(seed);
        let mut author = Author::new();
        let medium = Medium::new(Vec::new());
        let store = medium.store().unwrap();
        for _ in 0..16 {
            let mood = [Mood::Fine, Mood::Full, Mood::NoBlocks, Mood::ReadOnly][chance.below(4) as usize];
            medium.set(mood);
            for _ in 0..=chance.below(4) {
                let before = author.steps.len() - 1;
                match block_on(store.write(author.step(&mut chance))) {
                    Ok(_) => assert_ne!(mood, Mood::ReadOnly),
                    Err(error) => {
                        assert_ne!(mood, Mood::Fine, "seed {seed}: {error}");
                        let full = matches!(error, StoreError::Full(_) | StoreError::Unavailable(_));
                        assert!(full && !store.is_writable(), "seed {seed}: {error:?}");
                        author.back_to(before);
                        refused += 1;
                    }
                }
                assert_eq!(content(&store), author.content, "seed {seed}, {mood:?}: what is there is served");
            }
        }
        medium.set(Mood::Fine);
        block_on(store.write(author.step(&mut chance))).unwrap();
        assert!(store.is_writable());
        block_on(store.close());
        assert_eq!(content(&medium.store().unwrap()), author.content);
        is_sound(&medium.disk().bytes.clone(), seed);
    }
    assert!(refused > 0, "little changes may fit in a full file, but not all of them");
}

#[test]
fn a_panic_of_the_database_costs_the_call_it_happened_in() {
    for seed in seeds(4, 50) {
        let mut chance = Chance::new(seed);
        let mut author = Author::new();
        let medium = Medium::new(Vec::new());
        let store = medium.store().unwrap();
        for _ in 0..3 {
            block_on(store.write(author.step(&mut chance))).unwrap();
        }
        let before = author.steps.len() - 1;
        let mut writes = Vec::new();
        while writes.is_empty() {
            author.back_to(before);
            writes = author.step(&mut chance);
        }
        medium.set(Mood::Cursed);
        let refused = block_on(store.write(writes));
        assert!(matches!(refused, Err(StoreError::Corrupt(_))), "seed {seed}: {refused:?}");
        assert!(!store.is_writable(), "seed {seed}");
        author.back_to(before);
        assert_eq!(content(&store), author.content, "seed {seed}: what is there is served");
        block_on(store.write(author.step(&mut chance))).unwrap();
        assert!(store.is_writable(), "seed {seed}");
        block_on(store.close());
        is_sound(&medium.disk().bytes.clone(), seed);
    }
}
