//! Several tabs behind one socket.

use corella::{
    DocId, PeerId,
    hub::HubLimits,
    protocol::{
        EphemeralPayload, Identity, Limits, Message, PeerType, Transmission, VersionVector,
        frame::{FRAGMENT_THRESHOLD, Reassembler, encode_transport},
        sessions::{SESSIONS, SessionPayload},
    },
    runtime::EphemeralState,
    synchronizer::Timestamp,
};
use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::{client::Client, start};

/// A socket that carries sessions.
struct Carrier {
    client: Client,
    reassemblers: std::collections::BTreeMap<u32, Reassembler>,
}

/// What the hub says next.
#[derive(Debug, PartialEq)]
enum Said {
    In(u32, Vec<Message>),
    Closed(u32),
    Itself,
}

impl Carrier {
    async fn connect(address: std::net::SocketAddr, peer: u64) -> Self {
        let mut client = Client::connect(address, peer).await;
        client.socket.send(Frame::text(SESSIONS)).await.unwrap();
        while client.frame().await.unwrap() != Frame::text(SESSIONS) {}
        Self { client, reassemblers: Default::default() }
    }

    async fn tell(&mut self, payload: &SessionPayload) {
        self.client.socket.send(Frame::Binary(payload.encode().into())).await.unwrap();
    }

    async fn send(&mut self, session: u32, messages: &[Message]) {
        for payload in encode_transport(messages, FRAGMENT_THRESHOLD, || 9u64.to_be_bytes()) {
            self.tell(&SessionPayload::Data(session, payload.into())).await;
        }
    }

    /// Opens a session and greets the hub as `peer`.
    async fn open(&mut self, session: u32, peer: u64) {
        self.tell(&SessionPayload::Open(session)).await;
        let identity = Identity { peer_id: PeerId::from(peer), name: None, peer_type: PeerType::User, capabilities: None };
        self.send(session, &[Message::EstablishRequest(identity)]).await;
        let answered = self.until(session, |message| matches!(message, Message::EstablishResponse(_))).await;
        assert!(matches!(answered, Message::EstablishResponse(_)));
    }

    async fn next(&mut self) -> Said {
        loop {
            let Frame::Binary(bytes) = self.client.frame().await.unwrap() else { continue };
            match SessionPayload::decode(&bytes) {
                None => return Said::Itself,
                Some(SessionPayload::Open(session)) => panic!("the hub opened session {session}"),
                Some(SessionPayload::Close(session)) => return Said::Closed(session),
                Some(SessionPayload::Data(session, payload)) => {
                    let reassembler = self.reassemblers.entry(session).or_insert_with(|| Reassembler::new(Limits::default()));
                    let messages = reassembler.push(payload, 0).unwrap();
                    if !messages.is_empty() {
                        return Said::In(session, messages);
                    }
                }
            }
        }
    }

    async fn until(&mut self, session: u32, wanted: impl Fn(&Message) -> bool) -> Message {
        loop {
            if let Said::In(of, messages) = self.next().await
                && of == session
                && let Some(found) = messages.into_iter().find(&wanted)
            {
                return found;
            }
        }
    }
}

fn request(doc: &DocId) -> Message {
    Message::SyncRequest { doc: doc.clone(), version: VersionVector::new(), ephemeral: None, bidirectional: false }
}

#[tokio::test]
async fn tabs_behind_one_socket_are_peers_of_their_own() {
    let hub = start(HubLimits::default()).await;
    let doc = DocId::from_wire("shared");
    let mut watcher = Client::connect(hub.address(), 50).await;
    watcher.send(&[request(&doc)]).await;
    let mut carrier = Carrier::connect(hub.address(), 1).await;
    carrier.open(1, 11).await;
    carrier.open(2, 12).await;

    // What one gives arrives at the other, as if each had a socket.
    carrier.send(2, &[request(&doc)]).await;
    carrier.until(2, |message| matches!(message, Message::SyncResponse { .. })).await;
    let words = loro::LoroDoc::new();
    words.get_text("t").insert(0, "from the first tab").unwrap();
    words.commit();
    let version = VersionVector::decode(&words.oplog_vv().encode()).unwrap();
    let data = words.export(loro::ExportMode::Snapshot).unwrap().into();
    carrier.send(1, &[request(&doc)]).await;
    carrier.send(1, &[Message::Update { doc: doc.clone(), transmission: Transmission::Snapshot { data, version } }]).await;
    carrier
        .until(2, |message| {
            matches!(message, Message::Update { transmission: Transmission::Snapshot { data, .. } | Transmission::Update { data, .. }, .. } if {
                let copy = loro::LoroDoc::new();
                copy.import(data).unwrap();
                copy.get_text("t").to_string() == "from the first tab"
            })
        })
        .await;

    // Presence of a tab reaches others and goes when its session ends, while the socket stays.
    let store = presence(11);
    let mut seen = EphemeralState::new();
    carrier.send(1, &[Message::Ephemeral { doc: doc.clone(), hops: 1, stores: vec![store] }]).await;
    until_present(&mut watcher, &mut seen, true).await;
    carrier.tell(&SessionPayload::Close(1)).await;
    assert_eq!(closed(&mut carrier).await, 1, "closing is answered");
    until_present(&mut watcher, &mut seen, false).await;
    carrier.send(2, &[request(&doc)]).await;
    carrier.until(2, |message| matches!(message, Message::SyncResponse { .. })).await;
    hub.stop().await.unwrap();
}

async fn closed(carrier: &mut Carrier) -> u32 {
    loop {
        if let Said::Closed(session) = carrier.next().await {
            return session;
        }
    }
}

/// An entry of the key "here".
fn presence(peer: u64) -> EphemeralPayload {
    let mut state = EphemeralState::new();
    state.set("here", true.into(), &PeerId::from(peer), now());
    EphemeralPayload { peer: PeerId::from(peer), data: state.encode_all().into(), namespace: "presence".into() }
}

fn now() -> Timestamp {
    Timestamp(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64)
}

/// Waits until the watcher, who has `seen` so much, hears that somebody is there, or that nobody is.
async fn until_present(watcher: &mut Client, seen: &mut EphemeralState, present: bool) {
    while seen.get("here").is_some() != present {
        let Message::Ephemeral { stores, .. } = watcher.next().await else { continue };
        for store in stores {
            if store.data.is_empty() {
                *seen = EphemeralState::new();
            } else {
                seen.apply(&store.data, &store.peer, now()).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_session_number_is_used_once_and_what_nobody_opened_is_ignored() {
    let hub = start(HubLimits::default()).await;
    let mut carrier = Carrier::connect(hub.address(), 1).await;
    let doc = DocId::from_wire("d");
    carrier.send(9, &[request(&doc)]).await;
    carrier.tell(&SessionPayload::Close(9)).await;
    carrier.client.socket.send(Frame::Binary(vec![3, 77].into())).await.unwrap();
    carrier.open(5, 15).await;
    for number in [5, 4] {
        carrier.tell(&SessionPayload::Open(number)).await;
        assert_eq!(closed(&mut carrier).await, number);
    }
    carrier.send(5, &[request(&doc)]).await;
    carrier.until(5, |message| matches!(message, Message::SyncResponse { .. })).await;
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn one_socket_serves_so_many_tabs_and_no_more() {
    let hub = start(HubLimits::default()).await;
    let mut carrier = Carrier::connect(hub.address(), 1).await;
    for number in 0..256 {
        carrier.tell(&SessionPayload::Open(number)).await;
    }
    carrier.tell(&SessionPayload::Open(256)).await;
    assert_eq!(carrier.next().await, Said::Closed(256));
    carrier.tell(&SessionPayload::Close(0)).await;
    assert_eq!(closed(&mut carrier).await, 0);
    carrier.open(257, 12).await;
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn incomplete_frames_of_all_tabs_together_stay_within_the_limit_of_one() {
    let hub = start(HubLimits { message_bytes: 300_000, ..HubLimits::default() }).await;
    let mut carrier = Carrier::connect(hub.address(), 1).await;
    for session in 1..=4 {
        carrier.open(session, 10 + u64::from(session)).await;
    }
    let large = Message::Update {
        doc: DocId::from_wire("d"),
        transmission: Transmission::Snapshot { data: vec![7; 250_000].into(), version: VersionVector::new() },
    };
    let payloads = encode_transport(&[large], FRAGMENT_THRESHOLD, || 9u64.to_be_bytes());
    // The header and the first chunk: 100 kB of each frame are held.
    for session in 1..=3 {
        for payload in &payloads[..2] {
            carrier.tell(&SessionPayload::Data(session, payload.clone().into())).await;
        }
    }
    assert_eq!(closed(&mut carrier).await, 3);
    carrier.send(4, &[request(&DocId::from_wire("d"))]).await;
    carrier.until(4, |message| matches!(message, Message::SyncResponse { .. })).await;
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn a_socket_that_did_not_ask_carries_no_sessions() {
    let hub = start(HubLimits::default()).await;
    let mut client = Client::connect(hub.address(), 1).await;
    client.socket.send(Frame::Binary(SessionPayload::Open(1).encode().into())).await.unwrap();
    client.send(&[request(&DocId::from_wire("d"))]).await;
    assert!(matches!(client.next().await, Message::SyncResponse { .. } | Message::SyncRequest { .. }), "the socket itself goes on");
    hub.stop().await.unwrap();
}
