//! The hub on real sockets: the library in this process, and the binary.
#![cfg(all(feature = "hub", not(target_arch = "wasm32")))]
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may fail, and knows what time it is")]

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use corella::{
    DocId, PeerId, VersionVector,
    hub::{Hub, HubConfig, HubLimits, StorageConfig},
    protocol::{
        EphemeralPayload, Identity, Limits, Message, PeerType, Transmission,
        frame::{FRAGMENT_THRESHOLD, Reassembler, encode_transport},
    },
    runtime::EphemeralState,
    synchronizer::Timestamp,
};
use futures_util::{SinkExt, StreamExt};
use loro::{ExportMode, LoroDoc};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message as Frame, client::IntoClientRequest, protocol::CloseFrame},
};

const WAIT: Duration = Duration::from_secs(10);

/// A client made of a socket, the codec and documents, without a repo.
struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    reassembler: Reassembler,
    inbox: std::collections::VecDeque<Message>,
    peer: PeerId,
    docs: std::collections::BTreeMap<DocId, LoroDoc>,
}

#[derive(Debug, PartialEq)]
enum End {
    Closed(u16, String),
    Dropped,
}

impl Client {
    /// Connects and waits for the text `ready`.
    async fn raw(address: SocketAddr, peer: u64) -> Self {
        let (socket, _) = connect_async(format!("ws://{address}/ws?peerId=7")).await.unwrap();
        let mut client = Self {
            socket,
            reassembler: Reassembler::new(Limits::default()),
            inbox: Default::default(),
            peer: PeerId::from(peer),
            docs: Default::default(),
        };
        assert_eq!(client.frame().await.unwrap(), Frame::text("ready"));
        client
    }

    async fn connect(address: SocketAddr, peer: u64) -> Self {
        let mut client = Self::raw(address, peer).await;
        let identity = Identity { peer_id: client.peer.clone(), name: Some("raw".into()), peer_type: PeerType::User };
        client.send(&[Message::EstablishRequest(identity)]).await;
        match client.next().await {
            Message::EstablishResponse(hub) => {
                assert_eq!((hub.name.as_deref(), &hub.peer_type), (Some("corella-hub"), &PeerType::Service));
            }
            other => panic!("expected establish-response, got {other:?}"),
        }
        client
    }

    async fn send(&mut self, messages: &[Message]) {
        for payload in encode_transport(messages, FRAGMENT_THRESHOLD, || 7u64.to_be_bytes()) {
            self.socket.send(Frame::Binary(payload.into())).await.unwrap();
        }
    }

    async fn frame(&mut self) -> Result<Frame, End> {
        match timeout(WAIT, self.socket.next()).await.expect("the hub says something") {
            Some(Ok(Frame::Close(Some(CloseFrame { code, reason })))) => Err(End::Closed(code.into(), reason.to_string())),
            Some(Ok(Frame::Close(None)) | Err(_)) | None => Err(End::Dropped),
            Some(Ok(frame)) => Ok(frame),
        }
    }

    /// Returns the next message, after doing for shared documents what it asks.
    async fn next(&mut self) -> Message {
        while self.inbox.is_empty() {
            if let Frame::Binary(payload) = self.frame().await.unwrap() {
                self.inbox.extend(self.reassembler.push(payload, 0).unwrap());
            }
        }
        let message = self.inbox.pop_front().unwrap();
        match &message {
            Message::SyncRequest { doc, version: theirs, .. } if self.docs.contains_key(doc) => {
                let mine = &self.docs[doc];
                let since = loro::VersionVector::decode(&theirs.encode()).unwrap();
                let data = mine.export(ExportMode::updates(&since)).unwrap().into();
                let transmission = Transmission::Update { data, version: version(mine) };
                self.send(&[Message::SyncResponse { doc: doc.clone(), transmission, ephemeral: None }]).await;
            }
            Message::SyncResponse {
                doc, transmission: Transmission::Snapshot { data, .. } | Transmission::Update { data, .. }, ..
            }
            | Message::Update { doc, transmission: Transmission::Snapshot { data, .. } | Transmission::Update { data, .. } } => {
                if let Some(mine) = self.docs.get(doc) {
                    mine.import(data).unwrap();
                }
            }
            _ => {}
        }
        message
    }

    /// Offers a document and subscribes to it.
    async fn share(&mut self, id: &str, doc: &LoroDoc) {
        self.docs.insert(DocId::new(id).unwrap(), doc.clone());
        self.send(&[Message::SyncRequest { doc: DocId::new(id).unwrap(), version: version(doc), ephemeral: None, bidirectional: true }])
            .await;
    }

    async fn until_text(&mut self, doc: &LoroDoc, expected: &str) {
        timeout(WAIT, async {
            while text(doc) != expected {
                self.next().await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{expected:?} expected, there is {:?}", text(doc)));
    }

    /// Reads until `pick` takes a message.
    async fn until<T>(&mut self, mut pick: impl FnMut(&Message) -> Option<T>) -> T {
        timeout(WAIT, async {
            loop {
                let message = self.next().await;
                if let Some(found) = pick(&message) {
                    return found;
                }
            }
        })
        .await
        .expect("the message comes")
    }

    async fn ended(&mut self) -> End {
        loop {
            if let Err(end) = self.frame().await {
                return end;
            }
        }
    }

    /// Asks for a document and returns it once there is something in it.
    async fn fetch(&mut self, id: &str) -> LoroDoc {
        let mine = LoroDoc::new();
        self.share(id, &mine).await;
        timeout(WAIT, async {
            while mine.oplog_vv().is_empty() {
                self.next().await;
            }
        })
        .await
        .expect("the document comes");
        mine
    }

    /// Asks until the hub says it has all of a shared document.
    async fn until_held(&mut self, id: &str) {
        let id = DocId::new(id).unwrap();
        let mine = version(&self.docs[&id]);
        self.ask(&id).await;
        let all = async {
            loop {
                match self.next().await {
                    Message::SyncResponse { doc, transmission: Transmission::UpToDate { version: has }, .. } if doc == id => {
                        if has.includes(&mine) {
                            return;
                        }
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        self.ask(&id).await;
                    }
                    Message::SyncResponse { doc, .. } if doc == id => self.ask(&id).await,
                    _ => {}
                }
            }
        };
        timeout(WAIT, all).await.expect("the hub has everything");
    }

    async fn ask(&mut self, id: &DocId) {
        let version = version(&self.docs[id]);
        self.send(&[Message::SyncRequest { doc: id.clone(), version, ephemeral: None, bidirectional: false }]).await;
    }

    async fn ping(&mut self) {
        self.socket.send(Frame::text("ping")).await.unwrap();
        while self.frame().await.unwrap() != Frame::text("pong") {}
    }
}

fn version(doc: &LoroDoc) -> VersionVector {
    VersionVector::decode(&doc.oplog_vv().encode()).unwrap()
}

fn write(doc: &LoroDoc, text: &str) {
    doc.get_text("text").insert(0, text).unwrap();
    doc.commit();
}

fn push(id: &str, doc: &LoroDoc) -> Message {
    let data = doc.export(ExportMode::all_updates()).unwrap().into();
    let transmission = Transmission::Update { data, version: version(doc) };
    Message::Update { doc: DocId::new(id).unwrap(), transmission }
}

fn text(doc: &LoroDoc) -> String {
    doc.get_text("text").to_string()
}

fn memory() -> HubConfig {
    HubConfig { listen: "127.0.0.1:0".into(), storage: StorageConfig::Memory, ..HubConfig::default() }
}

async fn start(limits: HubLimits) -> Hub {
    Hub::start(HubConfig { limits, ..memory() }).await.unwrap()
}

/// The binary, killed when dropped.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_corella-hub"))
            .args(["--listen", "127.0.0.1:0", "--log", "warn", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("corella-hub listening on http://").expect(&line).parse().unwrap();
        Self { child, address }
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the binary to its end and returns exit code and standard error.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_corella-hub")).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn says_ready_and_answers_ping() {
    let hub = start(HubLimits::default()).await;
    let mut client = Client::raw(hub.address(), 1).await;
    client.ping().await;
    client.socket.send(Frame::text("anything else")).await.unwrap();
    client.ping().await;
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn an_establish_request_sent_before_ready_is_answered() {
    let hub = start(HubLimits::default()).await;
    let (mut socket, _) = connect_async(format!("ws://{}/ws", hub.address())).await.unwrap();
    let identity = Identity { peer_id: PeerId::from(1), name: None, peer_type: PeerType::User };
    for payload in encode_transport(&[Message::EstablishRequest(identity)], 0, || [0; 8]) {
        socket.send(Frame::Binary(payload.into())).await.unwrap();
    }
    assert_eq!(socket.next().await.unwrap().unwrap(), Frame::text("ready"));
    let Frame::Binary(payload) = timeout(WAIT, socket.next()).await.unwrap().unwrap().unwrap() else { panic!("binary expected") };
    let messages = Reassembler::new(Limits::default()).push(payload, 0).unwrap();
    assert!(matches!(messages[0], Message::EstablishResponse(_)), "{messages:?}");
}

#[tokio::test]
async fn serves_health_and_files_with_types_and_cache_rules() {
    let www = tempfile::tempdir().unwrap();
    std::fs::create_dir(www.path().join("assets")).unwrap();
    for (name, content) in [
        ("index.html", "<p>hello"),
        ("sw.js", "1"),
        ("app.webmanifest", "{}"),
        ("assets/engine-Bx3_k0Zq.wasm", "\0asm"),
        ("assets/index-DzAbXy1Q.js", "1"),
    ] {
        std::fs::write(www.path().join(name), content).unwrap();
    }
    std::fs::write(www.path().parent().unwrap().join("corella-secret"), "no").unwrap();
    let hub = Hub::start(HubConfig { www: Some(www.path().into()), ..memory() }).await.unwrap();
    let base = format!("http://{}", hub.address());
    let get = async |path: &str| {
        let response = reqwest::get(format!("{base}{path}")).await.unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let (kind, cache) = (header("content-type"), header("cache-control"));
        (response.status().as_u16(), kind, cache, response.text().await.unwrap())
    };
    let health = get("/healthz").await;
    assert_eq!((health.0, health.3.as_str()), (200, "ok"));
    let page = get("/").await;
    assert_eq!((page.0, page.1.as_str(), page.2.as_str(), page.3.as_str()), (200, "text/html", "no-cache", "<p>hello"));
    let immutable = "public, max-age=31536000, immutable";
    for (path, kind, cache) in [
        ("/sw.js", "text/javascript", "no-cache"),
        ("/app.webmanifest", "application/manifest+json", "no-cache"),
        ("/assets/engine-Bx3_k0Zq.wasm", "application/wasm", immutable),
        ("/assets/index-DzAbXy1Q.js", "text/javascript", immutable),
    ] {
        let answer = get(path).await;
        assert_eq!((answer.0, answer.1.as_str(), answer.2.as_str()), (200, kind, cache), "{path}");
    }
    for path in ["/missing", "/assets/gone-Bx3_k0Zq.js", "/..%2fcorella-secret", "/%2e%2e/corella-secret"] {
        let answer = get(path).await;
        assert_eq!((answer.0, answer.2.as_str()), (404, "no-cache"), "{path}");
    }
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn pages_of_foreign_origins_cannot_connect() {
    let hub = Hub::start(HubConfig { allow_origins: vec!["https://app.example".parse().unwrap()], ..memory() }).await.unwrap();
    let open = async |origin: &str| {
        let mut request = format!("ws://{}/ws", hub.address()).into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        match connect_async(request).await {
            Ok(_) => 101,
            Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(open("https://evil.example").await, 403);
    assert_eq!(open("null").await, 403);
    assert_eq!(open("https://app.example").await, 101);
    assert_eq!(open("http://localhost:5173").await, 101);
    assert_eq!(open(&format!("http://{}", hub.address())).await, 101);
}

#[tokio::test]
async fn one_connection_too_many_is_refused_until_another_leaves() {
    let hub = start(HubLimits { connections: 1, ..HubLimits::default() }).await;
    let mut first = Client::connect(hub.address(), 1).await;
    match connect_async(format!("ws://{}/ws", hub.address())).await {
        Err(tungstenite::Error::Http(response)) => assert_eq!(response.status().as_u16(), 503),
        other => panic!("{other:?}"),
    }
    first.socket.close(None).await.unwrap();
    first.ended().await;
    timeout(WAIT, async {
        while connect_async(format!("ws://{}/ws", hub.address())).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_message_beyond_the_limit_ends_the_connection() {
    let hub = start(HubLimits { message_bytes: 10_000, ..HubLimits::default() }).await;
    let mut client = Client::connect(hub.address(), 1).await;
    client.socket.send(Frame::Binary(vec![0; 20_000].into())).await.unwrap();
    assert_eq!(client.ended().await, End::Closed(1009, "Message too big".into()));
    Client::connect(hub.address(), 2).await.ping().await;
}

#[tokio::test]
async fn fragments_beyond_the_limit_are_dropped_and_the_connection_goes_on() {
    let hub = start(HubLimits { message_bytes: 10_000, ..HubLimits::default() }).await;
    let mut client = Client::connect(hub.address(), 1).await;
    let mut header = vec![1];
    header.extend([9; 8]);
    header.extend(100u32.to_be_bytes());
    header.extend(1_000_000u32.to_be_bytes());
    client.socket.send(Frame::Binary(header.into())).await.unwrap();
    client.ping().await;
}

#[tokio::test]
async fn who_does_not_introduce_itself_is_disconnected() {
    let hub = start(HubLimits { establish_time: Duration::from_millis(200), ..HubLimits::default() }).await;
    let mut silent = Client::raw(hub.address(), 1).await;
    let mut polite = Client::connect(hub.address(), 2).await;
    silent.ping().await;
    assert_eq!(silent.ended().await, End::Closed(1008, "No handshake".into()));
    polite.ping().await;
}

#[tokio::test]
async fn a_dead_client_is_disconnected_and_one_that_answers_pings_is_not() {
    let hub = start(HubLimits { idle_time: Duration::from_millis(600), ..HubLimits::default() }).await;
    let mut alive = Client::connect(hub.address(), 1).await;
    let dead = Client::connect(hub.address(), 2).await;
    let (tx, rx) = tokio::sync::oneshot::channel();
    // Reading answers the hub's pings.
    let reading = tokio::spawn(async move {
        let _ = timeout(Duration::from_millis(1_800), async { while alive.frame().await.is_ok() {} }).await;
        alive.ping().await;
        let _ = tx.send(());
    });
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let mut dead = dead;
    assert_ne!(dead.ended().await, End::Closed(1001, "Server shutting down".into()));
    rx.await.unwrap();
    reading.await.unwrap();
}

#[tokio::test]
async fn two_clients_and_a_late_one_share_a_document() {
    let hub = start(HubLimits::default()).await;
    let mut alice = Client::connect(hub.address(), 1).await;
    let mut bob = Client::connect(hub.address(), 2).await;
    let (a, b) = (LoroDoc::new(), LoroDoc::new());
    bob.share("notes", &b).await;
    write(&a, "hello");
    alice.share("notes", &a).await;
    alice.until_held("notes").await;
    bob.until_text(&b, "hello").await;
    write(&b, "well, ");
    bob.send(&[push("notes", &b)]).await;
    alice.until_text(&a, "well, hello").await;
    let mut late = Client::connect(hub.address(), 3).await;
    assert_eq!(text(&late.fetch("notes").await), "well, hello");
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn many_clients_that_edit_at_once_end_with_the_same_document() {
    const CLIENTS: u64 = 60;
    let hub = start(HubLimits::default()).await;
    let address = hub.address();
    let gate = std::sync::Arc::new(tokio::sync::Barrier::new(CLIENTS as usize));
    let clients: Vec<_> = (1..=CLIENTS)
        .map(|peer| {
            let gate = std::sync::Arc::clone(&gate);
            tokio::spawn(async move {
                let mut client = Client::connect(address, peer).await;
                let doc = LoroDoc::new();
                client.share("crowd", &doc).await;
                gate.wait().await;
                doc.get_map("seen").insert(&peer.to_string(), true).unwrap();
                doc.commit();
                client.send(&[push("crowd", &doc)]).await;
                while doc.get_map("seen").len() < CLIENTS as usize {
                    client.next().await;
                }
                doc.get_deep_value()
            })
        })
        .collect();
    let mut contents = Vec::new();
    for client in clients {
        contents.push(timeout(WAIT * 3, client).await.expect("everybody gets everything").unwrap());
    }
    assert!(contents.windows(2).all(|pair| pair[0] == pair[1]));
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn a_document_larger_than_a_fragment_arrives_whole() {
    let hub = start(HubLimits::default()).await;
    let mut alice = Client::connect(hub.address(), 1).await;
    let doc = LoroDoc::new();
    let mut seed = 1u64;
    let noise: String = (0..400_000)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b' ' + (seed >> 33) as u8 % 90)
        })
        .collect();
    write(&doc, &noise);
    alice.share("long", &doc).await;
    alice.until_held("long").await;
    let mut bob = Client::connect(hub.address(), 2).await;
    assert_eq!(text(&bob.fetch("long").await), noise);
}

#[tokio::test]
async fn presence_is_relayed_once_and_removed_when_its_owner_vanishes() {
    let hub = start(HubLimits::default()).await;
    let mut alice = Client::connect(hub.address(), 1).await;
    let mut bob = Client::connect(hub.address(), 2).await;
    let doc = LoroDoc::new();
    write(&doc, "x");
    alice.share("room", &doc).await;
    alice.until_held("room").await;
    bob.fetch("room").await;
    let mut state = EphemeralState::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    state.set("1", "here".into(), &alice.peer, Timestamp(now));
    let payload = |data: Vec<u8>| EphemeralPayload { peer: PeerId::from(1), namespace: "presence".into(), data: Bytes::from(data) };
    let id = DocId::new("room").unwrap();
    alice.send(&[Message::Ephemeral { doc: id.clone(), hops: 1, stores: vec![payload(state.encode_all())] }]).await;
    let mut seen = EphemeralState::new();
    let mut take = |message: &Message| {
        if let Message::Ephemeral { hops, stores, .. } = message {
            assert_eq!(*hops, 0, "the hub is the last to relay");
            for store in stores.iter().filter(|store| !store.data.is_empty()) {
                seen.apply(&store.data, &store.peer, Timestamp(now)).unwrap();
            }
        }
        seen.get("1").cloned()
    };
    let value = bob.until(&mut take).await;
    assert_eq!(value, "here".into());
    drop(alice);
    bob.until(|message| match message {
        Message::Ephemeral { stores, .. } if stores.iter().any(|store| store.data.is_empty() && store.peer == PeerId::from(1)) => Some(()),
        message => take(message).is_none().then_some(()),
    })
    .await;
}

#[tokio::test]
async fn hostile_payloads_cost_only_themselves() {
    let hub = start(HubLimits::default()).await;
    let mut client = Client::connect(hub.address(), 1).await;
    for payload in
        [vec![], vec![0], vec![9, 9, 9], vec![0, 2, 0, 255, 255, 255, 255], vec![1, 0], vec![2; 40], vec![0, 2, 1, 0, 0, 0, 1, 0x9f]]
    {
        client.socket.send(Frame::Binary(payload.into())).await.unwrap();
    }
    let garbage = Transmission::Update { data: Bytes::from_static(b"not a loro export"), version: VersionVector::from_iter([(9, 9)]) };
    client.send(&[Message::Update { doc: DocId::new("d").unwrap(), transmission: garbage }]).await;
    let doc = LoroDoc::new();
    write(&doc, "still works");
    client.share("d", &doc).await;
    client.until_held("d").await;
    client.ping().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let hub = start(HubLimits { outbound_bytes: 2 * 1024 * 1024, ..HubLimits::default() }).await;
    let mut writer = Client::connect(hub.address(), 1).await;
    let mut slow = Client::connect(hub.address(), 2).await;
    let doc = LoroDoc::new();
    write(&doc, "x");
    writer.share("big", &doc).await;
    writer.until_held("big").await;
    slow.fetch("big").await;
    // More than what the system's buffers of both ends take.
    for round in 0..24 {
        let before = doc.oplog_vv();
        doc.get_map("map").insert("noise", noise(round)).unwrap();
        doc.commit();
        let data = doc.export(ExportMode::updates(&before)).unwrap().into();
        let transmission = Transmission::Update { data, version: version(&doc) };
        writer.send(&[Message::Update { doc: DocId::new("big").unwrap(), transmission }]).await;
        writer.until_held("big").await;
    }
    let end = slow.ended().await;
    assert!(matches!(end, End::Dropped | End::Closed(1013, _)), "{end:?}");
    writer.ping().await;
}

#[tokio::test]
async fn a_client_that_lags_behind_gets_what_is_queued_before_it_is_disconnected() {
    let hub = start(HubLimits { outbound_bytes: 2 * 1024 * 1024, ..HubLimits::default() }).await;
    let mut writer = Client::connect(hub.address(), 1).await;
    let mut slow = Client::connect(hub.address(), 2).await;
    let doc = LoroDoc::new();
    write(&doc, "x");
    writer.share("big", &doc).await;
    writer.until_held("big").await;
    let theirs = slow.fetch("big").await;
    for round in 0..16 {
        let before = doc.oplog_vv();
        doc.get_list("list").push(noise(round)).unwrap();
        doc.commit();
        let data = doc.export(ExportMode::updates(&before)).unwrap().into();
        let transmission = Transmission::Update { data, version: version(&doc) };
        writer.send(&[Message::Update { doc: DocId::new("big").unwrap(), transmission }]).await;
        writer.until_held("big").await;
    }
    // Now it reads: all that was queued when the limit was passed, and only then the end.
    let mut received = 0;
    let end = loop {
        match slow.frame().await {
            Ok(Frame::Binary(payload)) => {
                received += payload.len();
                for message in slow.reassembler.push(payload, 0).unwrap() {
                    if let Message::Update { transmission: Transmission::Update { data, .. }, .. } = message {
                        theirs.import(&data).unwrap();
                    }
                }
            }
            Ok(_) => {}
            Err(end) => break end,
        }
    };
    assert_eq!(end, End::Closed(1013, "Too slow".into()));
    assert!(received > 2 * 1024 * 1024, "{received}");
    assert!(theirs.get_list("list").len() < 16, "the limit was never passed");
    let mut again = Client::connect(hub.address(), 3).await;
    again.share("big", &theirs).await;
    timeout(WAIT, async {
        while theirs.get_list("list").len() < 16 {
            again.next().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(theirs.get_deep_value(), doc.get_deep_value());
}

#[tokio::test]
async fn answers_to_pings_are_not_queued_without_bound() {
    let hub = start(HubLimits { outbound_bytes: 64 * 1024, ..HubLimits::default() }).await;
    let mut flood = Client::connect(hub.address(), 1).await;
    let flooding = async {
        loop {
            for _ in 0..1_000 {
                flood.socket.feed(Frame::text("ping")).await?;
            }
            flood.socket.flush().await?;
        }
    };
    let ended: Result<(), tungstenite::Error> = timeout(Duration::from_secs(60), flooding).await.expect("the hub ends the flood");
    assert!(ended.is_err());
    Client::connect(hub.address(), 2).await.ping().await;
}

/// A mebibyte that does not compress.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as u8
    };
    (0..1024 * 1024).map(|_| next()).collect()
}

#[tokio::test]
async fn stopping_says_goodbye_and_keeps_what_was_just_written() {
    let data = tempfile::tempdir().unwrap();
    let config = || HubConfig { storage: StorageConfig::Directory(data.path().join("deep/er")), ..memory() };
    let hub = Hub::start(config()).await.unwrap();
    let mut client = Client::connect(hub.address(), 1).await;
    let doc = LoroDoc::new();
    write(&doc, "kept");
    client.share("d", &doc).await;
    client.until_held("d").await;
    let (stopped, end) = tokio::join!(hub.stop(), client.ended());
    stopped.unwrap();
    assert_eq!(end, End::Closed(1001, "Server shutting down".into()));
    let hub = Hub::start(config()).await.unwrap();
    assert_eq!(text(&Client::connect(hub.address(), 2).await.fetch("d").await), "kept");
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_hub_has_everything_it_had_time_to_write() {
    let data = tempfile::tempdir().unwrap();
    let doc = LoroDoc::new();
    for round in 0..3 {
        let mut hub = Process::start(data.path());
        let mut client = Client::connect(hub.address, 1).await;
        write(&doc, &format!("{round} "));
        client.share("d", &doc).await;
        client.until_held("d").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        hub.child.kill().unwrap();
        hub.child.wait().unwrap();
        let hub = Process::start(data.path());
        let found = Client::connect(hub.address, 2).await.fetch("d").await;
        assert_eq!(text(&found), text(&doc));
    }
}

#[tokio::test]
async fn signals_end_the_process_with_a_goodbye_and_code_0() {
    for name in ["TERM", "INT"] {
        let data = tempfile::tempdir().unwrap();
        let mut hub = Process::start(data.path());
        let mut client = Client::connect(hub.address, 1).await;
        hub.signal(name);
        assert_eq!(client.ended().await, End::Closed(1001, "Server shutting down".into()));
        let status = tokio::task::spawn_blocking(move || hub.child.wait().unwrap()).await.unwrap();
        assert_eq!(status.code(), Some(0), "{name}");
    }
}

#[test]
fn what_cannot_be_used_is_named_in_one_line() {
    let data = tempfile::tempdir().unwrap();
    let hub = Process::start(data.path());
    let address = hub.address.to_string();
    let folder = data.path().to_str().unwrap();
    let file = data.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let bad = tempfile::tempdir().unwrap();
    std::fs::write(bad.path().join("corella.redb"), "this is no database at all").unwrap();
    for (arguments, expected) in [
        (vec!["--in-memory", "--listen", &address], "cannot listen on"),
        (vec!["--in-memory", "--listen", "nonsense"], "cannot listen on nonsense"),
        (vec!["--listen", "127.0.0.1:0", "--data", folder], "another process is using it"),
        (vec!["--listen", "127.0.0.1:0", "--data", file.to_str().unwrap()], "cannot create"),
        (vec!["--listen", "127.0.0.1:0", "--data", bad.path().to_str().unwrap()], "corella.redb"),
        (vec!["--listen", "127.0.0.1:0", "--in-memory", "--www", "/nowhere"], "cannot serve /nowhere"),
    ] {
        let (code, error) = refused(&arguments);
        assert_eq!((code, error.trim().lines().count()), (Some(1), 1), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    for (arguments, expected) in [
        (vec!["--what"], "--what"),
        (vec!["more"], "more"),
        (vec!["--listen"], "--listen"),
        (vec!["--max-connections", "many"], "--max-connections"),
        (vec!["--max-connections", "0"], "--max-connections"),
        (vec!["--max-message-bytes", "0"], "--max-message-bytes"),
        (vec!["--allow-origin", "example.com"], "an origin looks like"),
        (vec!["--log", "a=b=c"], "--log a=b=c"),
        (vec!["--log", "verbose"], "--log verbose"),
    ] {
        let (code, error) = refused(&arguments);
        assert_eq!((code, error.trim().lines().count()), (Some(2), 1), "{arguments:?}: {error}");
        assert!(error.starts_with("corella-hub: ") && error.contains(expected), "{arguments:?}: {error}");
    }
}
