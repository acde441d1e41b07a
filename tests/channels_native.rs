//! The conformance suite against what lives in memory.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "tests")]

mod channels;

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use channels::{Recorder, pipes, record_stores, stores};
use corella::{
    DocId,
    runtime::{
        Adapter, Env, LocalBoxFuture, Store, StoreError,
        memory::{self, MemoryDisk, MemoryStoreAdapter},
    },
    synchronizer::{ChannelKind, Timestamp},
};

/// The clock and tasks of a tokio runtime.
struct TokioEnv(tokio::time::Instant);

impl Env for TokioEnv {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.elapsed().as_millis() as u64)
    }

    fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        getrandom::getrandom(&mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn spawn(&self, task: LocalBoxFuture<()>) {
        tokio::task::spawn_local(task);
    }

    fn sleep(&self, ms: u64) -> LocalBoxFuture<()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(ms)))
    }
}

fn run(test: impl AsyncFnOnce(Rc<dyn Env>)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async { test(Rc::new(TokioEnv(tokio::time::Instant::now()))).await });
}

struct MemoryPipes(Rc<dyn Env>);

impl pipes::Pipes for MemoryPipes {
    async fn pair(&self) -> pipes::Pair {
        let (a, b) = memory::pair(ChannelKind::Network);
        (Recorder::start(Rc::clone(&self.0), a), Recorder::start(Rc::clone(&self.0), b))
    }
}

struct MemoryStores {
    env: Rc<dyn Env>,
    disks: RefCell<BTreeMap<String, Rc<MemoryDisk>>>,
}

impl stores::Stores for MemoryStores {
    async fn open(&self, database: &str) -> Rc<Recorder> {
        let disk = Rc::clone(self.disks.borrow_mut().entry(database.to_owned()).or_default());
        Recorder::start(Rc::clone(&self.env), Rc::new(MemoryStoreAdapter::new(&disk)))
    }

    async fn corrupt(&self, database: &str, doc: &DocId) {
        self.disks.borrow()[database].corrupt(doc);
    }

    async fn corrupt_index(&self, database: &str, doc: &DocId) {
        self.disks.borrow()[database].corrupt_index(doc);
    }

    async fn fill(&self, database: &str, full: bool) -> bool {
        self.disks.borrow()[database].set_quota(full.then_some(1_000));
        true
    }

    async fn protect(&self, database: &str, read_only: bool) -> bool {
        self.disks.borrow()[database].set_read_only(read_only);
        true
    }
}

#[test]
fn the_memory_pipe_conforms() {
    run(async |env| pipes::all(&MemoryPipes(env)).await);
}

#[test]
fn the_memory_store_conforms() {
    run(async |env| stores::all(&MemoryStores { env, disks: RefCell::default() }).await);
}

#[test]
fn a_memory_store_keeps_records_as_the_contract_says() {
    run(async |env| record_stores::all(&MemoryStores { env, disks: RefCell::default() }).await);
}

#[test]
fn a_cut_memory_pipe_is_noticed_by_both_and_can_be_connected_again() {
    run(async |env| {
        let (a, b) = memory::pair(ChannelKind::Network);
        let (side_a, side_b) = (Recorder::start(Rc::clone(&env), a.clone()), Recorder::start(env, b));
        side_a.channel().await;
        a.cut();
        for side in [&side_a, &side_b] {
            side.until("the cut is noticed", |side| side.closed.borrow().len() == 1).await;
        }
        a.reconnect();
        for side in [&side_a, &side_b] {
            side.until("it is connected again", |side| side.channels.borrow().len() == 2).await;
        }
    });
}

#[test]
fn injected_failures_reach_the_caller_and_change_nothing() {
    run(async |env| {
        let disk = MemoryDisk::new();
        let adapter = MemoryStoreAdapter::new(&disk);
        let full = StoreError::Full("injected".to_owned());
        disk.fail_writes(1, &full);
        disk.fail_loads(1, &full);
        assert_eq!(adapter.kind(), ChannelKind::Storage);
        let store = memory::MemoryStore::new(&disk, env);
        let doc = DocId::new("a").unwrap();
        assert_eq!(store.remove(&doc).await, Err(full.clone()));
        assert_eq!(store.load(&doc).await, Err(full));
        assert_eq!((store.remove(&doc).await, store.load(&doc).await, disk.writes()), (Ok(()), Ok(None), 0));
    });
}
