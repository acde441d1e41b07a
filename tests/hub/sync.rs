//! Documents and presence between clients.

use bytes::Bytes;
use corella::{
    DocId, PeerId,
    hub::{DeletionRule, Hub, HubConfig, HubLimits, StorageConfig},
    protocol::{
        Capabilities, DeleteStatus, EphemeralPayload, Identity, Limits, Message, PeerType, Role,
        frame::{Reassembler, encode_transport},
    },
    runtime::EphemeralState,
    synchronizer::Timestamp,
};
use futures_util::{SinkExt, StreamExt};
use loro::LoroDoc;
use tokio::time::timeout;
use tokio_tungstenite::{connect_async, tungstenite::Message as Frame};

use crate::{
    client::{Client, WAIT, push, text, write},
    memory, start,
};

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
    let identity = Identity { peer_id: PeerId::from(1), name: None, peer_type: PeerType::User, capabilities: None };
    for payload in encode_transport(&[Message::EstablishRequest(identity)], 0, || [0; 8]) {
        socket.send(Frame::Binary(payload.into())).await.unwrap();
    }
    assert_eq!(socket.next().await.unwrap().unwrap(), Frame::text("ready"));
    let Frame::Binary(payload) = timeout(WAIT, socket.next()).await.unwrap().unwrap().unwrap() else { panic!("binary expected") };
    let messages = Reassembler::new(Limits::default()).push(payload, 0).unwrap();
    assert!(matches!(messages[0], Message::EstablishResponse(_)), "{messages:?}");
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
async fn the_creator_may_delete_a_document_and_others_as_configured() {
    for (deletion, by_creator, by_other) in
        [(DeletionRule::Nobody, false, false), (DeletionRule::Creator, true, false), (DeletionRule::Anyone, true, true)]
    {
        for (peer, allowed) in [(1, by_creator), (2, by_other)] {
            let hub = Hub::start(HubConfig { deletion, ..memory() }).await.unwrap();
            let mut creator = Client::connect(hub.address(), 1).await;
            let doc = LoroDoc::new();
            write(&doc, "mine");
            creator.share("d", &doc).await;
            creator.until_held("d").await;
            let id = DocId::new("d").unwrap();
            let mut client = if peer == 1 { creator } else { Client::named(hub.address(), peer, "somebody else").await };
            client.send(&[Message::DeleteRequest { doc: id }]).await;
            let status =
                client.until(|message| if let Message::DeleteResponse { status, .. } = message { Some(*status) } else { None }).await;
            assert_eq!(status == DeleteStatus::Deleted, allowed, "{deletion:?}, peer {peer}");
            hub.stop().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_creator_that_comes_back_under_a_new_id_may_delete_after_the_hub_restarted() {
    for bob_first in [false, true] {
        let data = tempfile::tempdir().unwrap();
        let config = || HubConfig { storage: StorageConfig::Directory(data.path().to_owned()), ..memory() };
        let hub = Hub::start(config()).await.unwrap();
        let (doc, theirs) = (LoroDoc::new(), LoroDoc::new());
        write(&doc, "mine");
        let mut alice = Client::named(hub.address(), 1, "alice").await;
        alice.share("d", &doc).await;
        alice.until_held("d").await;
        let mut bob = Client::named(hub.address(), 2, "bob").await;
        bob.share("d", &theirs).await;
        while text(&theirs) != "mine" {
            bob.next().await;
        }
        drop((alice, bob));
        hub.stop().await.unwrap();
        let hub = Hub::start(config()).await.unwrap();
        let mut bob = Client::named(hub.address(), 12, "bob").await;
        if bob_first {
            // It asks before the hub has read the document.
            bob.share("d", &theirs).await;
        }
        let mut alice = Client::named(hub.address(), 11, "alice").await;
        if !bob_first {
            alice.share("d", &doc).await;
            alice.until_held("d").await;
            bob.share("d", &theirs).await;
        }
        bob.until(|message| matches!(message, Message::SyncResponse { .. }).then_some(())).await;
        alice.send(&[Message::DeleteRequest { doc: DocId::new("d").unwrap() }]).await;
        let status = alice.until(|message| if let Message::DeleteResponse { status, .. } = message { Some(*status) } else { None }).await;
        assert_eq!(status, DeleteStatus::Deleted, "bob first: {bob_first}");
        bob.until(|message| matches!(message, Message::DeleteRequest { .. }).then_some(())).await;
        hub.stop().await.unwrap();
    }
}

#[tokio::test]
async fn what_names_the_hubs_data_stays_over_restarts_and_goes_with_the_data() {
    async fn home(config: HubConfig) -> u64 {
        let hub = Hub::start(config).await.unwrap();
        let mut client = Client::raw(hub.address(), 1).await;
        let capabilities = Some(Capabilities::own(Role::Leaf));
        let identity = Identity { peer_id: PeerId::from(1), name: None, peer_type: PeerType::User, capabilities };
        client.send(&[Message::EstablishRequest(identity)]).await;
        let Message::EstablishResponse(hub_is) = client.next().await else { panic!("an answer is expected") };
        hub.stop().await.unwrap();
        hub_is.capabilities.unwrap().home.unwrap()
    }
    let directory = |data: &tempfile::TempDir| HubConfig { storage: StorageConfig::Directory(data.path().to_owned()), ..memory() };
    let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = home(directory(&data)).await;
    assert_eq!(home(directory(&data)).await, first);
    assert_ne!(home(directory(&other)).await, first);
    assert_ne!(home(memory()).await, home(memory()).await, "nothing of it is there after a restart");
}
