//! What a hub with a disk does in a second, and what it keeps in memory, measured at the binary over sockets.
//!
//! Clients send one small edit of a document of their own, wait until the hub says that it is on its disk, and go on. They run in this
//! process, on the same machine. `CORELLA_HUB` names another binary.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark may fail, and knows what time it is")]

#[cfg(not(target_arch = "wasm32"))]
#[path = "../tests/hub/client.rs"]
#[allow(dead_code, unreachable_pub, reason = "made for the tests")]
mod client;

#[cfg(target_arch = "wasm32")]
fn main() {}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    // `cargo test` runs benchmarks to see whether they work.
    let quick = !std::env::args().any(|argument| argument == "--bench");
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(native::run(quick));
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::{
        io::{BufRead, BufReader},
        net::SocketAddr,
        path::Path,
        process::{Child, Command, Stdio},
        sync::Arc,
        time::{Duration, Instant},
    };

    use corella::{
        DocId, VersionVector,
        hub::RedbStore,
        protocol::{Message, extension::Head},
        runtime::{Record, RecordKey, RecordKind, Store, Write},
        synchronizer::Timestamp,
    };
    use loro::{ExportMode, LoroDoc};

    use crate::client::{Client, version};

    struct Hub {
        process: Child,
        address: SocketAddr,
    }

    impl Hub {
        fn start(data: &Path) -> Self {
            let built = env!("CARGO_BIN_EXE_corella-hub").to_owned();
            let mut process = Command::new(std::env::var("CORELLA_HUB").unwrap_or(built))
                .args(["--listen", "127.0.0.1:0", "--log", "error", "--max-connections", "2000", "--data"])
                .arg(data)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let address = line.trim().rsplit("http://").next().unwrap().parse().unwrap();
            Self { process, address }
        }

        /// Returns how many bytes are in memory, after a while without work.
        async fn memory(&self) -> u64 {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
        }
    }

    impl Drop for Hub {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    pub(crate) async fn run(quick: bool) {
        let (time, most, docs) = if quick { (300, 10, 100) } else { (8_000, 1_000, 20_000) };
        println!("hub: edits acknowledged as on its disk, one at a time from each connection");
        println!("{:>12} {:>12} {:>10} {:>10} {:>10}", "connections", "edits/s", "p50 ms", "p99 ms", "max ms");
        for connections in [1, 100, 1_000] {
            if connections <= most {
                edits(connections, Duration::from_millis(time)).await;
            }
        }
        memory(most, docs).await;
    }

    async fn edits(connections: u64, time: Duration) {
        let data = tempfile::tempdir().unwrap();
        let hub = Hub::start(data.path());
        let address = hub.address;
        let ready = Arc::new(tokio::sync::Barrier::new(usize::try_from(connections).unwrap()));
        let clients: Vec<_> = (0..connections)
            .map(|number| {
                let ready = Arc::clone(&ready);
                tokio::spawn(async move {
                    let mut writer = Writer::connect(address, number).await;
                    ready.wait().await;
                    let until = Instant::now() + time;
                    let mut waits = Vec::new();
                    while Instant::now() < until {
                        waits.push(writer.edit().await);
                    }
                    waits
                })
            })
            .collect();
        let mut waits = Vec::new();
        for client in clients {
            waits.extend(client.await.unwrap());
        }
        waits.sort_unstable();
        let at = |part: f64| waits[((waits.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
        let rate = waits.len() as f64 / time.as_secs_f64();
        println!("{connections:>12} {rate:>12.0} {:>10.1} {:>10.1} {:>10.1}", at(0.5), at(0.99), at(1.0));
    }

    /// A client with a document of its own.
    struct Writer {
        client: Client,
        id: DocId,
        doc: LoroDoc,
    }

    impl Writer {
        async fn connect(address: SocketAddr, number: u64) -> Self {
            let client = Client::corella(address, number + 1).await;
            let mut writer = Self { client, id: DocId::new(&format!("doc {number}")).unwrap(), doc: LoroDoc::new() };
            writer.doc.get_text("text").insert(0, "begun").unwrap();
            writer.doc.commit();
            let head = Head { doc: writer.id.clone(), lineage: 0, version: version(&writer.doc) };
            writer.client.send(&[Message::Heads { heads: vec![head], reply: true }]).await;
            writer.until_durable().await;
            writer
        }

        /// Types a little and returns how long it took until that was on the hub's disk.
        async fn edit(&mut self) -> Duration {
            let before = self.doc.oplog_vv();
            let text = self.doc.get_text("text");
            text.insert(text.len_unicode(), "typed ").unwrap();
            self.doc.commit();
            let data = self.doc.export(ExportMode::updates(&before)).unwrap().into();
            let started = Instant::now();
            let version = version(&self.doc);
            let push = Message::Give { doc: self.id.clone(), lineage: 0, ranges: Vec::new(), data, version };
            self.client.send(&[push]).await;
            self.until_durable().await;
            started.elapsed()
        }

        async fn until_durable(&mut self) {
            let expected = version(&self.doc);
            loop {
                match self.client.next().await {
                    Message::Ack { durable: Some(durable), .. } if durable.includes(&expected) => return,
                    Message::Want { lineage, ranges, .. } => {
                        let data = self.doc.export(ExportMode::all_updates()).unwrap().into();
                        let give = Message::Give { doc: self.id.clone(), lineage, ranges, data, version: expected.clone() };
                        self.client.send(&[give]).await;
                    }
                    _ => {}
                }
            }
        }
    }

    async fn memory(connections: u64, docs: u64) {
        let data = tempfile::tempdir().unwrap();
        let hub = Hub::start(data.path());
        let empty = hub.memory().await;
        let mut clients = Vec::new();
        for number in 0..connections {
            clients.push(Client::corella(hub.address, number + 1).await);
        }
        let connected = hub.memory().await;
        drop(clients);
        drop(hub);
        let folder = data.path().to_owned();
        tokio::task::spawn_blocking(move || fill(&folder, docs)).await.unwrap();
        let hub = Hub::start(data.path());
        let filled = hub.memory().await;
        println!("{:>12} bytes in memory of an empty hub", empty);
        println!("{:>12} bytes for each of {connections} idle connections", connected.saturating_sub(empty) / connections);
        println!("{:>12} bytes for each of {docs} documents at rest", filled.saturating_sub(empty) / docs);
    }

    fn fill(folder: &Path, docs: u64) {
        let doc = LoroDoc::new();
        doc.get_text("text").insert(0, "a short note").unwrap();
        doc.commit();
        let bytes: bytes::Bytes = doc.export(ExportMode::Snapshot).unwrap().into();
        let store = RedbStore::open(folder).unwrap();
        let write = |number| Write {
            doc: DocId::new(&format!("doc {number}")).unwrap(),
            record: Record { key: RecordKey("0".into()), kind: RecordKind::Snapshot, bytes: bytes.clone() },
            replaces: Vec::new(),
            version: version(&doc),
            at: Timestamp(number),
            lineage: 0,
            confirmed: VersionVector::new(),
            keepers: Vec::new(),
            creator: None,
        };
        futures_executor::block_on(store.write((0..docs).map(write).collect())).unwrap();
        futures_executor::block_on(store.close());
    }
}
