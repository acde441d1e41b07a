//! Records between clients: relayed, kept, bounded.

use std::time::Duration;

use bytes::Bytes;
use corella::{
    hub::{Hub, HubConfig, HubLimits, StorageConfig},
    protocol::{
        Clock, ClockVector, Device, Message, RecordEntry, RecordId, RecordState, RefusalReason,
        clock::{Stamp, Writer},
    },
    synchronizer::RecordRoom,
};

use crate::{client::Client, memory, start};

fn writer(device: u64) -> Writer {
    Writer { device: Device(device), number: 1 }
}

fn clock(device: u64, count: u64) -> Clock {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    // Later ones of a test are later ones of the device.
    Clock { stamp: Stamp(Stamp::at(now - 60_000).0 + count), writer: writer(device) }
}

fn id(owner: Option<u64>, key: &str) -> RecordId {
    RecordId { collection: "facts".into(), owner: owner.map(Device), key: key.into() }
}

fn put(id: RecordId, clock: Clock) -> RecordEntry {
    (id, RecordState::put(clock, [("f".into(), Bytes::from_static(&[0x18, 0x2a]))]))
}

fn upto(clocks: &[Clock]) -> ClockVector {
    clocks.iter().map(|clock| (clock.writer, clock.stamp)).collect()
}

/// Says which device it is, and that it has nothing; returns what the hub has.
async fn greet(client: &mut Client, device: u64) -> ClockVector {
    let nothing = ClockVector::new;
    client
        .send(&[Message::RecordsHave {
            device: Device(device),
            version: nothing(),
            durable: None,
            stable: nothing(),
            sum: nothing().sum(),
            reply: false,
            lazy: false,
            fresh: false,
        }])
        .await;
    client.until(|message| if let Message::RecordsHave { version, .. } = message { Some(version.clone()) } else { None }).await
}

/// Sends records as one push.
async fn give(client: &mut Client, entries: Vec<RecordEntry>) {
    let clocks: Vec<_> = entries.iter().flat_map(|(_, state)| state.clocks()).collect();
    client.send(&[Message::RecordsChange { since: ClockVector::new(), version: upto(&clocks), entries, partial: false }]).await;
}

/// Waits until the hub says that its disk has something.
async fn until_on_disk(client: &mut Client, clock: Clock) {
    client
        .until(|message| match message {
            Message::RecordsHave { durable: Some(durable), .. } if durable.has(clock) => Some(()),
            _ => None,
        })
        .await;
}

async fn fetch(client: &mut Client) -> Vec<RecordEntry> {
    client.send(&[Message::RecordsRequest { since: ClockVector::new(), after: None, whole: true }]).await;
    client.until(|message| if let Message::RecordsResponse { entries, .. } = message { Some(entries.clone()) } else { None }).await
}

#[tokio::test]
async fn records_are_relayed_acknowledged_and_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let config = || HubConfig { storage: StorageConfig::Directory(data.path().to_owned()), ..memory() };
    let hub = Hub::start(config()).await.unwrap();
    let mut alice = Client::corella(hub.address(), 1).await;
    let mut bob = Client::corella(hub.address(), 2).await;
    greet(&mut alice, 1).await;
    greet(&mut bob, 2).await;
    let (first, second) = (clock(1, 1), clock(1, 2));
    let entries = vec![put(id(None, "shared"), first), put(id(Some(1), "own"), second)];
    give(&mut alice, entries.clone()).await;
    until_on_disk(&mut alice, second).await;
    let pushed = bob.until(|message| if let Message::RecordsChange { entries, .. } = message { Some(entries.clone()) } else { None }).await;
    assert_eq!(pushed, entries);
    hub.stop().await.unwrap();
    let hub = Hub::start(config()).await.unwrap();
    let mut late = Client::corella(hub.address(), 3).await;
    assert!(greet(&mut late, 3).await.has(second));
    assert_eq!(fetch(&mut late).await, entries);
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn nobody_writes_what_another_device_owns() {
    let hub = start(HubLimits::default()).await;
    let mut mallory = Client::corella(hub.address(), 1).await;
    greet(&mut mallory, 1).await;
    give(&mut mallory, vec![put(id(Some(2), "theirs"), clock(1, 1))]).await;
    let refused = mallory.until(|message| if let Message::RecordsRefusal { reason, .. } = message { Some(*reason) } else { None }).await;
    assert_eq!(refused, RefusalReason::Invalid);
    let mut late = Client::corella(hub.address(), 2).await;
    greet(&mut late, 2).await;
    assert_eq!(fetch(&mut late).await, []);
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn one_device_fills_its_room_only_and_is_told_why() {
    let room = RecordRoom { records: 10, bytes: 1_000_000 };
    let hub = start(HubLimits { device_records: room, ..HubLimits::default() }).await;
    let mut greedy = Client::corella(hub.address(), 1).await;
    greet(&mut greedy, 1).await;
    let many = |from: u64| (from..from + 10).map(|count| put(id(None, &format!("{count}")), clock(1, count))).collect::<Vec<_>>();
    give(&mut greedy, many(0)).await;
    until_held(&mut greedy).await;
    give(&mut greedy, many(10)).await;
    let refused = greedy.until(|message| if let Message::RecordsRefusal { reason, .. } = message { Some(*reason) } else { None }).await;
    assert_eq!(refused.as_str(), "full");
    let mut modest = Client::corella(hub.address(), 2).await;
    greet(&mut modest, 2).await;
    give(&mut modest, vec![put(id(None, "modest"), clock(2, 1))]).await;
    let mut late = Client::corella(hub.address(), 3).await;
    while greet(&mut late, 3).await.len() < 2 {}
    assert_eq!(fetch(&mut late).await.len(), 11);
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn how_far_ahead_a_clock_may_be_is_set() {
    for (drift, taken) in [(5, false), (600, true)] {
        let hub = start(HubLimits { record_drift: Duration::from_secs(drift), ..HubLimits::default() }).await;
        let mut client = Client::corella(hub.address(), 1).await;
        greet(&mut client, 1).await;
        // A minute, of which that of `clock` is taken.
        let ahead = Clock { stamp: Stamp(clock(1, 1).stamp.0 + Stamp::at(120_000).0), writer: writer(1) };
        give(&mut client, vec![put(id(None, "ahead"), ahead)]).await;
        let outcome = client
            .until(|message| match message {
                Message::RecordsRefusal { reason, .. } => Some(Err(*reason)),
                Message::RecordsHave { version, .. } if version.has(ahead) => Some(Ok(())),
                _ => None,
            })
            .await;
        assert_eq!(outcome, if taken { Ok(()) } else { Err(RefusalReason::ClockAhead) });
        hub.stop().await.unwrap();
    }
}

/// Returns whether one of two small records is refused for want of room.
pub(crate) async fn two_are_refused(client: &mut Client) -> bool {
    greet(client, 1).await;
    let (first, second) = (clock(1, 1), clock(1, 2));
    give(client, vec![put(id(None, "first"), first)]).await;
    let outcome = async |client: &mut Client, last: Clock| {
        client
            .until(|message| match message {
                Message::RecordsRefusal { reason: RefusalReason::Full, .. } => Some(true),
                Message::RecordsHave { version, .. } if version.has(last) => Some(false),
                _ => None,
            })
            .await
    };
    if outcome(client, first).await {
        return true;
    }
    let push = Message::RecordsChange {
        since: upto(&[first]),
        version: upto(&[second]),
        entries: vec![put(id(None, "second"), second)],
        partial: false,
    };
    client.send(&[push]).await;
    outcome(client, second).await
}

/// Waits until the hub says that it has something of the device's.
async fn until_held(client: &mut Client) {
    client
        .until(|message| match message {
            Message::RecordsHave { version, .. } if !version.is_empty() => Some(()),
            _ => None,
        })
        .await;
}
