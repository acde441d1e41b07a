//! A disk that survives its repo: writes take time and are lost when the repo dies before they complete.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use corella::{
    DocId,
    protocol::Tombstone,
    runtime::{
        Adapter, AdapterContext, AdapterState, Env, IndexEntry, LocalBoxFuture, Record, RecordKey, Store, StoreError, StoredDoc,
        StoredInfo, Write,
    },
    synchronizer::ChannelKind,
};

/// What is on disk.
#[derive(Default)]
pub struct Disk {
    docs: RefCell<BTreeMap<DocId, Stored>>,
    pub fail_writes: Cell<bool>,
    pub fail_loads: Cell<bool>,
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
}

/// One repo's connection to a disk.
pub struct Drive {
    disk: Rc<Disk>,
    env: Rc<dyn Env>,
    delay_ms: u64,
    open_after_ms: u64,
    /// Cleared when the repo dies: what it had begun does not happen.
    alive: Rc<Cell<bool>>,
    state: Rc<Cell<AdapterState>>,
}

impl Drive {
    pub fn new(disk: &Rc<Disk>, env: Rc<dyn Env>, delay_ms: u64, open_after_ms: u64) -> Rc<Self> {
        Rc::new(Self {
            disk: Rc::clone(disk),
            env,
            delay_ms,
            open_after_ms,
            alive: Rc::new(Cell::new(true)),
            state: Rc::new(Cell::new(AdapterState::Connecting)),
        })
    }

    /// The process dies.
    pub fn kill(&self) {
        self.alive.set(false);
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
            alive: Rc::clone(&self.alive),
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
    alive: Rc<Cell<bool>>,
}

impl Connection {
    /// Does `work` on the disk after the delay, or never if the process has died.
    fn later<T: 'static>(&self, work: impl FnOnce(&Disk) -> Result<T, StoreError> + 'static) -> LocalBoxFuture<Result<T, StoreError>> {
        let (disk, alive, sleep) = (Rc::clone(&self.disk), Rc::clone(&self.alive), self.env.sleep(self.delay_ms));
        Box::pin(async move {
            sleep.await;
            if !alive.get() {
                return Err(StoreError::Unavailable("the process died".into()));
            }
            work(&disk)
        })
    }
}

impl Store for Connection {
    fn name(&self) -> &str {
        "disk"
    }

    fn load(&self, doc: &DocId) -> LocalBoxFuture<Result<Option<StoredDoc>, StoreError>> {
        let doc = doc.clone();
        self.later(move |disk| {
            if disk.fail_loads.get() {
                return Err(StoreError::Other("injected".into()));
            }
            let stored = disk.docs.borrow().get(&doc).cloned();
            Ok(stored.map(|stored| StoredDoc { records: stored.records.into_values().collect(), index: stored.index }))
        })
    }

    fn list(&self) -> LocalBoxFuture<Result<Vec<StoredInfo>, StoreError>> {
        self.later(|disk| {
            Ok(disk.docs.borrow().iter().map(|(doc, stored)| StoredInfo { doc: doc.clone(), index: stored.index.clone() }).collect())
        })
    }

    fn write(&self, writes: Vec<Write>) -> LocalBoxFuture<Result<(), StoreError>> {
        self.later(move |disk| {
            if disk.fail_writes.get() {
                return Err(StoreError::Full("injected".into()));
            }
            disk.writes.set(disk.writes.get() + 1);
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
            }
            Ok(())
        })
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

    fn remove(&self, doc: &DocId) -> LocalBoxFuture<Result<(), StoreError>> {
        let doc = doc.clone();
        self.later(move |disk| {
            disk.docs.borrow_mut().remove(&doc);
            Ok(())
        })
    }

    fn close(&self) -> LocalBoxFuture<()> {
        Box::pin(std::future::ready(()))
    }
}
