//! What a panic of the engine costs a repo: the copy in memory of one document.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    time::Duration,
};

use corella::{
    DocId,
    runtime::{
        Adapter, DocHandle, Env, ErrorCode, LocalBoxFuture, Repo, RepoConfig, RepoEvent, SyncKind, WaitOptions,
        memory::{self, MemoryDisk, MemoryStoreAdapter},
    },
    synchronizer::{ChannelKind, Durability, Timestamp},
};
use loro::LoroDoc;

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

fn repo(env: &Rc<dyn Env>, adapters: Vec<Rc<dyn Adapter>>) -> Repo {
    Repo::new(Rc::clone(env), RepoConfig { adapters, ..RepoConfig::default() })
}

fn write(handle: &DocHandle, text: &str) {
    handle.change(|doc| doc.get_text("t").insert(0, text).unwrap(), None, None).unwrap();
}

fn read(handle: &DocHandle) -> String {
    handle.doc().get_text("t").to_string()
}

/// Leaves a document as a panic does that happened while it was locked.
fn poison(doc: &LoroDoc) {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _oplog = doc.inner().oplog().lock();
        panic!("meant");
    }));
    assert!(panicked.is_err());
}

fn lose(repo: &Repo, handle: &DocHandle) {
    let doc = handle.doc();
    assert!(repo.lose(|known| std::ptr::eq(&**known.inner(), &**doc.inner()), "meant"));
}

type Errors = Rc<RefCell<Vec<(ErrorCode, Option<DocId>)>>>;

/// What the repo reports from now on, and of which document.
fn errors_of(repo: &Repo) -> Errors {
    let errors = Errors::default();
    let heard = Rc::clone(&errors);
    repo.on_event(move |event| {
        if let RepoEvent::Error { error, doc } = event {
            heard.borrow_mut().push((error.code(), doc.clone()));
        }
    })
    .detach();
    errors
}

async fn until(mut met: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if met() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never");
}

async fn stored(handle: &DocHandle) {
    handle.when_durable(Durability::Disk, None).await.unwrap();
}

#[test]
fn a_lost_document_is_read_from_the_store_again_and_its_handle_is_closed() {
    run(async |env| {
        let disk = MemoryDisk::new();
        let repo = repo(&env, vec![Rc::new(MemoryStoreAdapter::new(&disk))]);
        let errors = errors_of(&repo);
        let (handle, other) = (repo.get("d").unwrap(), repo.get("other").unwrap());
        write(&handle, "stored ");
        write(&other, "untouched ");
        stored(&handle).await;
        let author = handle.doc().peer_id();
        poison(&handle.doc());
        lose(&repo, &handle);

        assert!(handle.is_lost());
        assert_eq!(handle.change(|_| (), None, None).unwrap_err().code(), ErrorCode::Closed);
        assert_eq!(errors.borrow().as_slice(), [(ErrorCode::Panic, Some(DocId::new("d").unwrap()))]);
        let again = repo.get("d").unwrap();
        until(|| read(&again) == "stored ").await;
        assert_ne!(again.doc().peer_id(), author, "operations that are gone must not be made again as others");
        write(&again, "more ");
        write(&other, "still ");
        stored(&again).await;
        stored(&other).await;
        repo.close().await.unwrap();

        let reopened = self::repo(&env, vec![Rc::new(MemoryStoreAdapter::new(&disk))]);
        let (handle, other) = (reopened.get("d").unwrap(), reopened.get("other").unwrap());
        handle.wait_for_sync(WaitOptions { kind: SyncKind::Storage, timeout_ms: None }).await.unwrap();
        until(|| read(&handle) == "more stored " && read(&other) == "still untouched ").await;
    });
}

#[test]
fn a_lost_document_whose_locks_are_free_loses_nothing() {
    run(async |env| {
        let repo = repo(&env, vec![Rc::new(MemoryStoreAdapter::new(&MemoryDisk::new()))]);
        let handle = repo.get("d").unwrap();
        write(&handle, "stored ");
        stored(&handle).await;
        write(&handle, "not yet ");
        lose(&repo, &handle);
        let again = repo.get("d").unwrap();
        until(|| read(&again) == "not yet stored ").await;
        stored(&again).await;
    });
}

#[test]
fn a_panic_while_a_document_is_read_costs_none_of_those_read_with_it() {
    run(async |env| {
        let disk = MemoryDisk::new();
        let first = repo(&env, vec![Rc::new(MemoryStoreAdapter::new(&disk))]);
        let handle = first.get("sound").unwrap();
        write(&handle, "stored ");
        stored(&handle).await;
        first.close().await.unwrap();

        let repo = repo(&env, vec![Rc::new(MemoryStoreAdapter::new(&disk))]);
        let errors = errors_of(&repo);
        let (broken, sound) = (repo.get("broken").unwrap(), repo.get("sound").unwrap());
        poison(&broken.doc());
        until(|| read(&sound) == "stored ").await;
        until(|| broken.is_lost()).await;
        assert_eq!(errors.borrow().as_slice(), [(ErrorCode::Panic, Some(DocId::new("broken").unwrap()))]);
        let again = repo.get("broken").unwrap();
        write(&again, "new ");
        stored(&again).await;
        write(&sound, "more ");
        stored(&sound).await;
    });
}

#[test]
fn a_document_whose_reading_panics_every_time_is_read_again_once_and_then_from_time_to_time() {
    run(async |env| {
        let repo = repo(&env, vec![Rc::new(MemoryStoreAdapter::new(&MemoryDisk::new()))]);
        let panics = Rc::new(RefCell::new(0));
        let (counted, again) = (Rc::clone(&panics), repo.clone());
        repo.on_event(move |event| {
            if let RepoEvent::Error { .. } = event {
                *counted.borrow_mut() += 1;
                if *counted.borrow() < 100 {
                    poison(&again.get("broken").unwrap().doc());
                }
            }
        })
        .detach();
        poison(&repo.get("broken").unwrap().doc());
        until(|| *panics.borrow() > 0).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(*panics.borrow() <= 2, "{panics:?} panics");
    });
}

#[test]
fn a_panic_while_the_store_is_written_costs_that_document_only() {
    run(async |env| {
        let repo = repo(&env, vec![Rc::new(MemoryStoreAdapter::new(&MemoryDisk::new()))]);
        let (handle, other) = (repo.get("d").unwrap(), repo.get("other").unwrap());
        write(&handle, "stored ");
        stored(&handle).await;
        write(&other, "other ");
        // The next export of it panics.
        poison(&handle.doc());
        repo.flush().await.unwrap_err();
        assert!(handle.is_lost());
        stored(&other).await;
        let again = repo.get("d").unwrap();
        until(|| read(&again) == "stored ").await;
        repo.flush().await.unwrap();
    });
}

#[test]
fn what_only_a_peer_has_comes_back_from_it() {
    run(async |env| {
        let (here, there) = memory::pair(ChannelKind::Network);
        let (here, there) = (repo(&env, vec![here]), repo(&env, vec![there]));
        let (a, b) = (here.get("d").unwrap(), there.get("d").unwrap());
        write(&b, "theirs ");
        until(|| read(&a) == "theirs ").await;
        poison(&a.doc());
        lose(&here, &a);
        let again = here.get("d").unwrap();
        until(|| read(&again) == "theirs ").await;
        write(&again, "ours ");
        until(|| read(&b) == "ours theirs ").await;
    });
}

#[test]
fn who_waits_for_a_lost_version_is_told() {
    run(async |env| {
        let (here, _there) = memory::pair(ChannelKind::Network);
        let repo = repo(&env, vec![here]);
        let handle = repo.get("d").unwrap();
        write(&handle, "x");
        let waiting = handle.when_durable(Durability::HubDisk, None);
        poison(&handle.doc());
        lose(&repo, &handle);
        assert_eq!(waiting.await.unwrap_err().code(), ErrorCode::Closed);
        assert_eq!(handle.when_durable(Durability::HubDisk, None).await.unwrap_err().code(), ErrorCode::Closed);
    });
}
