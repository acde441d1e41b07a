//! What a client may take, and what becomes of one that takes more.

use std::time::Duration;

use bytes::Bytes;
use corella::{
    DocId, VersionVector,
    hub::HubLimits,
    protocol::{Message, RefusalReason, Transmission, extension::Head},
};
use futures_util::SinkExt;
use loro::{ExportMode, LoroDoc};
use tokio::time::timeout;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{self, Message as Frame},
};

use crate::{
    client::{Client, End, WAIT, version, write},
    start,
};

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
    let hub = start(HubLimits {
        outbound_bytes: 2 * 1024 * 1024,
        // It begins to read when everything was written, however long that takes on a busy machine.
        stall_time: Duration::from_secs(300),
        ..HubLimits::default()
    })
    .await;
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

fn directory() -> Message {
    Message::DirectoryRequest { docs: None }
}

/// Counts the answers to what was sent so far; the connection is still there.
async fn answers(client: &mut Client) -> usize {
    client.socket.send(Frame::text("ping")).await.unwrap();
    let mut count = 0;
    loop {
        match client.frame().await.unwrap() {
            Frame::Binary(payload) => {
                let messages = client.reassembler.push(payload, 0).unwrap();
                count += messages.iter().filter(|message| matches!(message, Message::DirectoryResponse { .. })).count();
            }
            frame if frame == Frame::text("pong") => return count,
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_client_that_floods_is_limited_and_stays_connected_and_others_notice_nothing() {
    let hub = start(HubLimits { rate_messages: 10, ..HubLimits::default() }).await;
    let mut flooding = Client::connect(hub.address(), 1).await;
    let mut other = Client::connect(hub.address(), 2).await;
    let began = std::time::Instant::now();
    for _ in 0..20 {
        flooding.send(&vec![directory(); 100]).await;
    }
    let doc = LoroDoc::new();
    write(&doc, "not affected");
    other.share("d", &doc).await;
    other.until_held("d").await;
    let mut answered = 0;
    while answered < 100 {
        answered += answers(&mut flooding).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    answered += answers(&mut flooding).await;
    let granted = 100 + began.elapsed().as_millis() as usize / 100;
    assert!(answered <= granted, "{answered} of 2000 answered, {granted} granted");
    flooding.send(&[directory()]).await;
    timeout(WAIT, async { while answers(&mut flooding).await == 0 {} }).await.expect("it is heard again after a pause");
}

#[tokio::test]
async fn a_corella_client_is_told_what_came_too_fast_and_when_to_try_again() {
    let hub = start(HubLimits { rate_messages: 2, ..HubLimits::default() }).await;
    let mut client = Client::corella(hub.address(), 1).await;
    let want = |number: usize| Message::Want { doc: DocId::new(&format!("d{number}")).unwrap(), lineage: 0, ranges: vec![] };
    client.send(&(0..30).map(want).collect::<Vec<_>>()).await;
    let mut refused = Vec::new();
    while refused.last() != Some(&DocId::new("d29").unwrap()) {
        let (doc, reason, retry_ms) = client
            .until(|message| match message {
                Message::Refusal { doc, reason, retry_ms } => Some((doc.clone(), *reason, *retry_ms)),
                _ => None,
            })
            .await;
        assert_eq!(reason, RefusalReason::RateLimited);
        assert!(retry_ms.is_some_and(|ms| (1..=500).contains(&ms)), "{retry_ms:?}");
        refused.push(doc);
    }
    assert!((8..=10).contains(&refused.len()), "the first twenty passed: {refused:?}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let head = Head { doc: DocId::new("again").unwrap(), lineage: 0, version: VersionVector::new() };
    client.send(&[Message::Heads { heads: vec![head], reply: true }]).await;
    client.until(|message| matches!(message, Message::Heads { heads, .. } if heads[0].doc.as_str() == "again").then_some(())).await;
}

#[tokio::test]
async fn bytes_are_limited_too_and_a_message_of_the_largest_size_passes() {
    let hub = start(HubLimits { message_bytes: 10_000, rate_bytes: 500, ..HubLimits::default() }).await;
    let mut client = Client::corella(hub.address(), 1).await;
    let update = |id: &str| {
        let transmission = Transmission::Update { data: vec![0; 9_000].into(), version: VersionVector::new() };
        Message::Update { doc: DocId::new(id).unwrap(), transmission }
    };
    client.send(&[update("first")]).await;
    client.send(&[update("second")]).await;
    let refusal = |message: &Message| match message {
        Message::Refusal { doc, reason: RefusalReason::RateLimited, retry_ms: Some(ms) } => Some((doc.as_str().to_owned(), *ms)),
        _ => None,
    };
    let (doc, retry_ms) = client.until(refusal).await;
    assert_eq!(doc, "second");
    assert!((10_000..=16_000).contains(&retry_ms), "{retry_ms}");
}

#[tokio::test]
async fn nothing_is_limited_when_both_rates_are_0() {
    let hub = start(HubLimits { rate_messages: 0, rate_bytes: 0, ..HubLimits::default() }).await;
    let mut client = Client::connect(hub.address(), 1).await;
    client.send(&vec![directory(); 50_000]).await;
    let mut answered = 0;
    timeout(WAIT, async {
        while answered < 50_000 {
            answered += answers(&mut client).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{answered}"));
}
