//! A disk that survives its repo: writes take time and are lost when the repo dies before they complete.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use bytes::Bytes;
use corella::{
    DocId,
    protocol::Tombstone,
    runtime::{
        Adapter, AdapterContext, AdapterState, Amendment, Committed, Env, IndexEntry, LoadedRecords, LocalBoxFuture, MemoryRecords,
        RawRecord, Record, RecordKey, RecordKind, RecordsOpening, RecordsWrite, Safety, Store, StoreError, StoredDoc, StoredInfo, Write,
    },
    synchronizer::{ChannelKind, Note},
};
use loro::{LoroDoc, LoroError, VersionVector};

use crate::life::Life;

/// What is on disk.
#[derive(Default)]
pub struct Disk {
    docs: RefCell<BTreeMap<DocId, Stored>>,
    pub records: RefCell<MemoryRecords>,
    values: RefCell<BTreeMap<&'static str, Bytes>>,
    pub loads: Cell<u64>,
    pub fail_writes: Cell<bool>,
    pub fail_loads: Cell<bool>,
    pub fail_lists: Cell<bool>,
    /// What is read is what was there when it was asked for, however long that takes.
    pub early_reads: Cell<bool>,
    /// Milliseconds everything takes longer.
    pub slow_ms: Cell<u64>,
    pub writes: Cell<u64>,
}

#[derive(Default, Clone)]
struct Stored {
    records: BTreeMap<RecordKey, Record>,
    index: IndexEntry,
}

impl Disk {
    pub fn new() -> Rc<Self> {
        Rc::default()
    }

    pub fn records(&self, doc: &str) -> usize {
        self.docs.borrow().get(&DocId::new(doc).unwrap()).map_or(0, |stored| stored.records.len())
    }

    /// Returns whether a deletion of the document is remembered.
    pub fn remembers_deletion(&self, doc: &str) -> bool {
        self.docs.borrow().get(&DocId::new(doc).unwrap()).is_some_and(|stored| stored.index.tombstone.is_some())
    }

    /// Returns a disk with the same on it.
    pub fn copy(&self) -> Rc<Self> {
        Rc::new(Self { docs: self.docs.clone(), values: self.values.clone(), ..Self::default() })
    }

    /// Puts together what the disk has of a document.
    pub fn contents(&self, doc: &str) -> LoroDoc {
        let contents = LoroDoc::new();
        if let Some(stored) = self.docs.borrow().get(&DocId::new(doc).unwrap()) {
            let of = |kind| stored.records.values().filter(move |record| record.kind == kind).map(|record| record.bytes.to_vec());
            for snapshot in of(RecordKind::Snapshot) {
                contents.import(&snapshot).unwrap();
            }
            let updates: Vec<_> = of(RecordKind::Update).collect();
            match contents.import_batch(&updates) {
                // Another tab's, which is read when what it depends on has been fetched again.
                Err(LoroError::ImportUpdatesThatDependsOnOutdatedVersion) => {
                    for update in updates {
                        let _ = contents.import(&update);
                    }
                }
                imported => _ = imported.unwrap(),
            }
        }
        contents
    }

    /// Returns what the records of a document hold, those included that can be used only when what was trimmed has been fetched again.
    pub fn version(&self, doc: &str) -> VersionVector {
        let mut version = self.contents(doc).oplog_vv();
        let docs = self.docs.borrow();
        let records = docs.get(&DocId::new(doc).unwrap()).into_iter().flat_map(|stored| stored.records.values());
        let spans: Vec<_> = records.filter_map(|record| LoroDoc::decode_import_blob_meta(&record.bytes, false).ok()).collect();
        // One may begin where another one ends.
        for _ in 0..spans.len() {
            for span in &spans {
                let begins = |(author, start): (&u64, &i32)| *start <= version.get(author).copied().unwrap_or(0);
                if span.partial_start_vv.iter().all(begins) {
                    version.merge(&span.partial_end_vv);
                }
            }
        }
        version
    }
}

/// One repo's connection to a disk.
pub struct Drive {
    disk: Rc<Disk>,
    env: Rc<dyn Env>,
    delay_ms: u64,
    open_after_ms: u64,
    /// What a repo had begun when it died does not happen.
    life: Rc<Life>,
    state: Rc<Cell<AdapterState>>,
}

impl Drive {
    pub fn new(disk: &Rc<Disk>, env: Rc<dyn Env>, delay_ms: u64, open_after_ms: u64) -> Rc<Self> {
        Self::of(Life::new(), disk, env, delay_ms, open_after_ms)
    }

    pub fn of(life: Rc<Life>, disk: &Rc<Disk>, env: Rc<dyn Env>, delay_ms: u64, open_after_ms: u64) -> Rc<Self> {
        Rc::new(Self { disk: Rc::clone(disk), env, delay_ms, open_after_ms, life, state: Rc::new(Cell::new(AdapterState::Connecting)) })
    }

    /// The process dies.
    pub fn kill(&self) {
        self.life.end();
    }
}

impl Adapter for Drive {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Storage
    }

    fn name(&self) -> &str {
        "disk"
    }

    fn start(&self, context: AdapterContext) {
        let connection = Rc::new(Connection {
            disk: Rc::clone(&self.disk),
            env: Rc::clone(&self.env),
            delay_ms: self.delay_ms,
            life: Rc::clone(&self.life),
        });
        let state = Rc::clone(&self.state);
        let wait = self.env.sleep(self.open_after_ms);
        self.env.spawn(Box::pin(async move {
            wait.await;
            state.set(AdapterState::Open);
            context.open_store(connection);
        }));
    }

    fn stop(&self) -> LocalBoxFuture<()> {
        Box::pin(std::future::ready(()))
    }

    fn state(&self) -> AdapterState {
        self.state.get()
    }
}

struct Connection {
    disk: Rc<Disk>,
    env: Rc<dyn Env>,
    delay_ms: u64,
    life: Rc<Life>,
}

impl Connection {
    /// Does `work` on the disk after the delay, or never if the process has died. It may die before, in between and after.
    fn later<T: 'static>(&self, work: impl FnOnce(&Disk) -> Result<T, StoreError> + 'static) -> LocalBoxFuture<Result<T, StoreError>> {
        let (disk, life) = (Rc::clone(&self.disk), Rc::clone(&self.life));
        let sleep = self.env.sleep(self.delay_ms + disk.slow_ms.get());
        let begun = life.step();
        Box::pin(async move {
            let died = StoreError::Unavailable("the process died".into());
            sleep.await;
            if !begun || !life.step() {
                return Err(died);
            }
            let outcome = work(&disk);
            if life.step() { outcome } else { Err(died) }
        })
    }
}

impl Store for Connection {
    fn name(&self) -> &str {
        "disk"
    }

    fn load(&self, doc: &DocId) -> LocalBoxFuture<Result<Option<StoredDoc>, StoreError>> {
        let doc = doc.clone();
        let early = self.disk.early_reads.get().then(|| self.disk.docs.borrow().get(&doc).cloned());
        self.later(move |disk| {
            if disk.fail_loads.get() {
                return Err(StoreError::Other("injected".into()));
            }
            disk.loads.set(disk.loads.get() + 1);
            let stored = early.unwrap_or_else(|| disk.docs.borrow().get(&doc).cloned());
            Ok(stored.map(|stored| StoredDoc { records: stored.records.into_values().collect(), index: stored.index }))
        })
    }

    fn index(&self, doc: &DocId) -> LocalBoxFuture<Result<Option<IndexEntry>, StoreError>> {
        let doc = doc.clone();
        self.later(move |disk| Ok(disk.docs.borrow().get(&doc).map(|stored| stored.index.clone())))
    }

    fn list(&self) -> LocalBoxFuture<Result<Vec<StoredInfo>, StoreError>> {
        self.later(|disk| {
            if disk.fail_lists.get() {
                return Err(StoreError::Other("injected".into()));
            }
            Ok(disk.docs.borrow().iter().map(|(doc, stored)| StoredInfo { doc: doc.clone(), index: stored.index.clone() }).collect())
        })
    }

    fn commit(&self, writes: Vec<Write>, _safety: Safety) -> LocalBoxFuture<Result<Committed, StoreError>> {
        self.later(move |disk| {
            if disk.fail_writes.get() {
                return Err(StoreError::Full("injected".into()));
            }
            disk.writes.set(disk.writes.get() + 1);
            let mut committed = Committed::default();
            for write in writes {
                let mut docs = disk.docs.borrow_mut();
                let stored = docs.entry(write.doc.clone()).or_default();
                if !stored.index.takes(&write) {
                    continue;
                }
                if stored.index.merge(&write) {
                    stored.records.clear();
                }
                for key in &write.replaces {
                    stored.records.remove(key);
                }
                stored.records.insert(write.record.key.clone(), write.record);
                stored.index.records = stored.records.len() as u32;
                stored.index.bytes = stored.records.values().map(|record| record.bytes.len() as u64).sum();
                committed.records.push((write.doc, stored.index.records));
            }
            Ok(committed)
        })
    }

    fn sync(&self) -> LocalBoxFuture<Result<(), StoreError>> {
        self.later(|disk| if disk.fail_writes.get() { Err(StoreError::Full("injected".into())) } else { Ok(()) })
    }

    fn salvage(&self, _doc: &DocId) -> LocalBoxFuture<Result<Vec<RawRecord>, StoreError>> {
        self.later(|_| Ok(Vec::new()))
    }

    fn bury(&self, doc: &DocId, tombstone: Tombstone) -> LocalBoxFuture<Result<(), StoreError>> {
        let doc = doc.clone();
        self.later(move |disk| {
            if disk.fail_writes.get() {
                return Err(StoreError::Full("injected".into()));
            }
            let mut docs = disk.docs.borrow_mut();
            let stored = docs.entry(doc).or_default();
            if stored.index.bury(tombstone) {
                stored.records.clear();
            }
            Ok(())
        })
    }

    fn confirm(&self, confirmed: Vec<Note>) -> LocalBoxFuture<Result<(), StoreError>> {
        self.later(move |disk| {
            if disk.fail_writes.get() {
                return Err(StoreError::Full("injected".into()));
            }
            for confirmed in confirmed {
                if let Some(stored) = disk.docs.borrow_mut().get_mut(&confirmed.doc) {
                    stored.index.confirm(&confirmed);
                }
            }
            Ok(())
        })
    }

    fn amend(&self, name: &'static str, change: Amendment) -> LocalBoxFuture<Result<Option<Bytes>, StoreError>> {
        self.later(move |disk| {
            if disk.fail_writes.get() {
                return Err(StoreError::Full("injected".into()));
            }
            let mut values = disk.values.borrow_mut();
            let value = change(values.get(name).map(|value| &**value));
            match value.clone() {
                Some(value) => values.insert(name, value),
                None => values.remove(name),
            };
            Ok(value)
        })
    }

    fn remove(&self, doc: &DocId) -> LocalBoxFuture<Result<(), StoreError>> {
        let doc = doc.clone();
        self.later(move |disk| {
            if disk.fail_writes.get() {
                return Err(StoreError::Full("injected".into()));
            }
            disk.docs.borrow_mut().remove(&doc);
            Ok(())
        })
    }

    fn load_records(&self, opening: RecordsOpening) -> LocalBoxFuture<Result<Option<LoadedRecords>, StoreError>> {
        self.later(move |disk| {
            if disk.fail_loads.get() {
                return Err(StoreError::Other("injected".into()));
            }
            Ok(Some(disk.records.borrow_mut().load(opening)))
        })
    }

    fn write_records(&self, write: RecordsWrite) -> LocalBoxFuture<Result<(), StoreError>> {
        self.later(move |disk| {
            if disk.fail_writes.get() {
                return Err(StoreError::Full("injected".into()));
            }
            disk.records.borrow_mut().write(write);
            Ok(())
        })
    }

    fn close(&self) -> LocalBoxFuture<()> {
        Box::pin(std::future::ready(()))
    }
}
