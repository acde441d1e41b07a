//! What the hub said is on its disk, when its process is killed, its disk is full, and when it starts again. Clients are repos on sockets.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    path::Path,
    process::Command,
    rc::Rc,
    time::{Duration, Instant},
};

use corella::{
    DocHandle, DocId, Repo, RepoConfig, VersionVector,
    hub::{NativeEnv, check},
    protocol::RefusalReason,
    runtime::{Adapter, Durability, RepoEvent},
};
use tokio::{task::LocalSet, time::timeout};

use crate::{
    client::{Client, WAIT, version},
    power::Chance,
    process::{Process, command},
    socket::{Address, Held, SocketAdapter},
};

struct Writer {
    repo: Repo,
    socket: Rc<SocketAdapter>,
    handles: Vec<DocHandle>,
}

impl Writer {
    fn new(address: &Address, docs: &[String]) -> Self {
        let socket = SocketAdapter::new(address);
        let adapters: Vec<Rc<dyn Adapter>> = vec![Rc::new(Held(Rc::clone(&socket)))];
        let repo = Repo::new(Rc::new(NativeEnv::new(|| panic!("a task panics"))), RepoConfig { adapters, ..RepoConfig::default() });
        let handles = docs.iter().map(|doc| repo.get(doc).unwrap()).collect();
        Self { repo, socket, handles }
    }
}

fn insert(handle: &DocHandle, content: &str) {
    handle.change(|doc| doc.get_text("text").insert(0, content).unwrap(), None, None).unwrap();
}

fn here(handle: &DocHandle) -> VersionVector {
    VersionVector::decode(&handle.doc().oplog_vv().encode()).unwrap()
}

/// What was reported to be on the hub's disk, by an acknowledgement or by a repo.
#[derive(Default)]
struct Reported(RefCell<BTreeMap<DocId, VersionVector>>);

impl Reported {
    fn take(&self, doc: &DocId, version: &VersionVector) {
        self.0.borrow_mut().entry(doc.clone()).or_default().merge(version);
    }

    fn hear(&self, writers: &[Writer]) {
        for (doc, version) in writers.iter().flat_map(|writer| writer.socket.take_durable()) {
            self.take(&doc, &version);
        }
    }

    /// Every document of which something was reported has that, on a hub that nobody else is connected to.
    async fn is_there(&self, hub: &Process, round: u64) {
        let reported = self.0.borrow().clone();
        let mut client = Client::connect(hub.address, 1).await;
        for (doc, expected) in reported.iter().filter(|(_, version)| !version.is_empty()) {
            let found = client.fetch(doc.as_str()).await;
            timeout(WAIT, async {
                while !version(&found).includes(expected) {
                    client.next().await;
                }
            })
            .await
            .unwrap_or_else(|_| panic!("round {round}: of {doc} there is {:?}, {expected:?} was reported", version(&found)));
        }
    }
}

/// The folder's check finds nothing, with the process as with the library.
fn is_sound(data: &Path, round: u64) {
    let (code, said, error) = command(&["check", "--data", data.to_str().unwrap()]);
    assert_eq!((code, error.as_str()), (0, ""), "round {round}: {said}");
}

/// `CORELLA_SOAK` makes this the long form.
#[tokio::test]
async fn a_hub_killed_at_any_moment_has_every_operation_that_was_reported_to_be_on_its_disk() {
    let rounds = if std::env::var_os("CORELLA_SOAK").is_some() { 200 } else { 20 };
    let data = tempfile::tempdir().unwrap();
    let mut chance = Chance::new(std::env::var("SEED_FROM").ok().and_then(|text| text.parse().ok()).unwrap_or(1));
    LocalSet::new()
        .run_until(async {
            let address: Address = Rc::default();
            let docs = |writer: usize| vec![format!("own-{writer}"), "shared".to_owned(), format!("pair-{}", writer / 2)];
            let writers: Rc<Vec<_>> = Rc::new((0..4).map(|writer| Writer::new(&address, &docs(writer))).collect());
            let reported = Rc::new(Reported::default());
            let (mut told, mut edits) = (0, 0);
            for round in 0..rounds {
                let mut hub = Process::start(data.path());
                reported.is_there(&hub, round).await;
                let before = reported.0.borrow().clone();
                address.set(Some(hub.address));
                // Now and then at once, while everything is compared; mostly some time after something was reported.
                let started = Instant::now();
                let mut until = started + Duration::from_millis(chance.below(150));
                let mut quiet = round % 4 != 3;
                while Instant::now() < until || (quiet && started.elapsed() < WAIT) {
                    if quiet && *reported.0.borrow() != before {
                        quiet = false;
                        until = Instant::now() + Duration::from_millis(chance.below(350));
                    }
                    for writer in writers.iter() {
                        let handle = &writer.handles[chance.below(3) as usize];
                        let length = if chance.below(20) == 0 { 500 } else { 1 + chance.below(30) };
                        insert(handle, &"x".repeat(length as usize));
                        edits += 1;
                        let (handle, reported, version) = (handle.clone(), Rc::clone(&reported), here(handle));
                        if chance.below(10) == 0 {
                            tokio::task::spawn_local(async move {
                                // As an application asks; what comes later is reported as well.
                                if handle.when_durable(Durability::HubDisk, Some(5_000)).await.is_ok() {
                                    reported.take(handle.doc_id(), &version);
                                }
                            });
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(5 + chance.below(20))).await;
                    reported.hear(&writers);
                }
                // The clients hear nothing after this: what was reported was reported before.
                hub.child.kill().unwrap();
                hub.child.wait().unwrap();
                reported.hear(&writers);
                address.set(None);
                told += u64::from(*reported.0.borrow() != before);
                is_sound(data.path(), round);
            }
            assert!(told * 2 > rounds, "something was reported in {told} of {rounds} rounds");
            let hub = Process::start(data.path());
            reported.is_there(&hub, rounds).await;
            address.set(Some(hub.address));
            for handle in writers.iter().flat_map(|writer| &writer.handles) {
                handle.when_durable(Durability::HubDisk, Some(60_000)).await.unwrap();
            }
            println!("{edits} edits in {rounds} rounds, something was reported in {told}");
            for writer in writers.iter() {
                writer.repo.close().await.unwrap();
            }
        })
        .await;
    assert_eq!(check(data.path(), |_| ()).unwrap().documents, 7);
}

/// Lets the process have files of so many bytes, or of any size.
fn limit(hub: &Process, bytes: Option<u64>) {
    let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let status = Command::new("prlimit").args(["--pid", &hub.child.id().to_string(), &format!("--fsize={limit}:")]).status().unwrap();
    assert!(status.success());
}

/// A file that may not grow stands for a disk without room.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hub_without_room_refuses_changes_serves_what_it_has_and_goes_on_when_there_is_room() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("corella.redb");
    LocalSet::new()
        .run_until(async {
            let hub = Process::start(data.path());
            let address: Address = Rc::new(Cell::new(Some(hub.address)));
            let writer = Writer::new(&address, &["before".into(), "filling".into(), "after".into()]);
            let refusals: Rc<RefCell<Vec<(String, RefusalReason)>>> = Rc::default();
            let heard = Rc::clone(&refusals);
            let _events = writer.repo.on_event(move |event| {
                if let RepoEvent::Refused { doc, reason, .. } = event {
                    heard.borrow_mut().push((doc.as_str().to_owned(), *reason));
                }
            });
            let [before, filling, after] = &writer.handles[..] else { panic!() };
            insert(before, "kept");
            before.when_durable(Durability::HubDisk, Some(10_000)).await.unwrap();
            limit(&hub, Some(std::fs::metadata(&file).unwrap().len()));
            let letters: String = (0..4_000_000).map(|n: u64| char::from(b'a' + (n.wrapping_mul(n) % 26) as u8)).collect();
            insert(filling, &letters);
            filling.when_durable(Durability::Hub, Some(20_000)).await.unwrap();
            assert!(filling.when_durable(Durability::HubDisk, Some(2_000)).await.is_err(), "it cannot be on disk");
            insert(after, "refused at first");
            timeout(WAIT, async {
                while !refusals.borrow().contains(&("after".to_owned(), RefusalReason::Storage)) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
            .await
            .expect("the refusal is heard");
            assert_ne!(after.durability(), Durability::HubDisk);
            assert!(after.unsynced() > 0);
            let reader = Writer::new(&address, &["before".into()]);
            timeout(WAIT, async {
                while reader.handles[0].doc().get_text("text").to_string() != "kept" {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
            .await
            .expect("what is there is served");
            limit(&hub, None);
            for handle in [filling, after] {
                handle.when_durable(Durability::HubDisk, Some(90_000)).await.unwrap();
            }
            writer.repo.close().await.unwrap();
        })
        .await;
    is_sound(data.path(), 0);
    assert_eq!(check(data.path(), |_| ()).unwrap().documents, 3);
}
