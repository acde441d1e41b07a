//! Effects of single inputs about records.

use super::*;
use crate::{
    protocol::{
        Capabilities, Clock, ClockVector, Device, RecordId, RecordState, RefusalReason,
        clock::{Stamp, Writer},
    },
    synchronizer::{Claim, ClaimedPage, RecordEffect, RecordInput, RecordTimer, StoredRecords},
};

const PEER: ChannelId = ChannelId(1);
const OTHER: ChannelId = ChannelId(2);

fn upto(entries: &[(u64, u64)]) -> ClockVector {
    entries.iter().map(|(device, stamp)| (Writer { device: Device(*device), number: 1 }, Stamp(*stamp))).collect()
}

fn clock(device: u64, stamp: u64) -> Clock {
    Clock { stamp: Stamp(stamp), writer: Writer { device: Device(device), number: 1 } }
}

fn record(key: &str) -> RecordId {
    RecordId { collection: "facts".into(), owner: None, key: key.into() }
}

fn entries(key: &str) -> Vec<(RecordId, RecordState)> {
    vec![(record(key), RecordState::put(clock(2, 5), []))]
}

fn have(device: u64, version: ClockVector) -> Message {
    let sum = version.sum();
    Message::RecordsHave {
        device: Device(device),
        version,
        durable: None,
        stable: ClockVector::new(),
        sum,
        reply: false,
        lazy: false,
        fresh: false,
    }
}

fn happened(bench: &mut Bench, input: RecordInput) -> Vec<Effect> {
    bench.on(Input::Records(input))
}

fn meet(bench: &mut Bench, channel: ChannelId, role: Role, device: u64, version: ClockVector) -> Vec<Effect> {
    let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: false });
    let capabilities = Some(Capabilities::own(role));
    let identity = Identity { capabilities, ..id(&device.to_string(), PeerType::User) };
    let _ = bench.receive(channel, Message::EstablishRequest(identity));
    bench.receive(channel, have(device, version))
}

fn leaf() -> Bench {
    let config = Config::new(id("1", PeerType::User), Interest::Opened);
    Bench { sync: Synchronizer::new(config, Rc::new(AllowAll)) }
}

/// A leaf with a store that has `version`.
fn stored(version: ClockVector, damaged: bool) -> Bench {
    let mut bench = leaf();
    bench.store();
    assert!(happened(&mut bench, RecordInput::Opened).contains(&Effect::Records(RecordEffect::Load { channel: STORE })));
    let stored = StoredRecords { device: Device(1), version, damaged, ..StoredRecords::default() };
    let effects = happened(&mut bench, RecordInput::Loaded { channel: STORE, stored: Some(stored) });
    assert_eq!(effects.first(), Some(&Effect::Records(RecordEffect::Open { device: Some(Device(1)) })));
    bench
}

fn requests(effects: &[Effect]) -> Vec<(ChannelId, ClockVector)> {
    let request = |effect: &Effect| match effect {
        Effect::Send { channel, message: Message::RecordsRequest { since, .. } } => Some((*channel, since.clone())),
        _ => None,
    };
    effects.iter().filter_map(request).collect()
}

fn page(bench: &mut Bench, channel: ChannelId, version: ClockVector, partial: bool) -> Vec<Effect> {
    let response =
        Message::RecordsResponse { version: version.clone(), entries: entries("a"), after: None, next: None, whole: None, partial };
    let effects = bench.receive(channel, response);
    let Some(Effect::Records(RecordEffect::Apply { claim, .. })) = effects.first() else { panic!("{effects:?}") };
    let claim = claim.clone();
    happened(bench, RecordInput::Applied { channel, claim, news: true, refused: None })
}

fn recovers(effects: &[Effect]) -> bool {
    effects.contains(&Effect::Records(RecordEffect::Recovered))
}

#[test]
fn what_a_peer_has_more_is_asked_for_and_nothing_else() {
    let mut bench = stored(upto(&[(1, 9)]), false);
    assert_eq!(requests(&meet(&mut bench, PEER, Role::Leaf, 2, upto(&[(1, 9)]))), []);
    assert_eq!(requests(&meet(&mut bench, OTHER, Role::Leaf, 3, upto(&[(2, 5)]))), [(OTHER, upto(&[(1, 9)]))]);
}

#[test]
fn with_damage_everything_is_asked_for_also_of_a_peer_that_has_no_more() {
    let mut bench = stored(upto(&[(1, 9), (2, 5)]), true);
    assert_eq!(requests(&meet(&mut bench, PEER, Role::Leaf, 2, upto(&[(1, 9), (2, 5)]))), [(PEER, ClockVector::new())]);
    // It covers all that others wrote: that is enough, once.
    let effects = page(&mut bench, PEER, upto(&[(2, 5)]), false);
    assert!(recovers(&effects), "{effects:?}");
    assert_eq!(requests(&meet(&mut bench, OTHER, Role::Leaf, 3, upto(&[(2, 5)]))), []);
}

#[test]
fn damage_is_over_when_all_it_may_be_came_or_a_relay_has_answered() {
    let mut bench = stored(upto(&[(2, 5), (3, 5)]), true);
    let _ = meet(&mut bench, PEER, Role::Leaf, 2, upto(&[(2, 5)]));
    assert!(!recovers(&page(&mut bench, PEER, upto(&[(2, 5)]), false)), "the third device's may be more");
    let _ = meet(&mut bench, OTHER, Role::Leaf, 3, upto(&[(3, 5)]));
    assert!(recovers(&page(&mut bench, OTHER, upto(&[(3, 5)]), false)), "both together");

    let mut bench = stored(upto(&[(2, 5)]), true);
    let _ = meet(&mut bench, PEER, Role::Leaf, 2, upto(&[(2, 5)]));
    assert!(!recovers(&page(&mut bench, PEER, upto(&[(2, 5)]), true)), "it does not show everything");
    let _ = meet(&mut bench, OTHER, Role::Relay, 3, ClockVector::new());
    let effects = page(&mut bench, OTHER, ClockVector::new(), true);
    assert!(recovers(&effects), "there is nowhere else to ask");
    // Whoever was given a part meanwhile is told to ask again.
    let fresh = |effect: &Effect| matches!(effect, Effect::Send { channel: PEER, message: Message::RecordsHave { fresh: true, .. } });
    assert!(effects.iter().any(fresh));
}

#[test]
fn another_store_that_has_all_mends_it_without_peers() {
    let mut bench = leaf();
    bench.store();
    let second = ChannelId(91);
    let _ = bench.on(Input::StoreOpened { channel: second, adapter: 1, peer: PeerId::from(78), name: "second".into() });
    let _ = happened(&mut bench, RecordInput::Opened);
    let loaded = |bench: &mut Bench, channel, damaged| {
        let stored = StoredRecords { device: Device(1), version: upto(&[(1, 9)]), damaged, ..StoredRecords::default() };
        happened(bench, RecordInput::Loaded { channel, stored: Some(stored) })
    };
    assert!(!recovers(&loaded(&mut bench, STORE, true)));
    assert!(recovers(&loaded(&mut bench, second, false)));
}

#[test]
fn a_push_counts_if_what_it_starts_from_is_here_and_is_asked_for_otherwise() {
    let mut bench = stored(upto(&[(1, 9)]), false);
    let _ = meet(&mut bench, PEER, Role::Leaf, 2, ClockVector::new());
    let push = |since, version| Message::RecordsChange { since, version, entries: entries("a"), partial: false };
    let effects = bench.receive(PEER, push(ClockVector::new(), upto(&[(2, 5)])));
    let claim = Claim { since: ClockVector::new(), version: upto(&[(2, 5)]), partial: false, page: None };
    assert_eq!(effects, [Effect::Records(RecordEffect::Apply { channel: PEER, entries: entries("a"), claim: claim.clone() })]);
    let _ = happened(&mut bench, RecordInput::Applied { channel: PEER, claim, news: true, refused: None });
    assert_eq!(bench.sync.records_version(), &upto(&[(1, 9), (2, 5)]));
    let effects = bench.receive(PEER, push(upto(&[(2, 6)]), upto(&[(2, 7)])));
    assert_eq!(effects, [timer(Timer::Records(RecordTimer::Fetch(PEER)), 400)]);
    assert_eq!(bench.sync.records_version(), &upto(&[(1, 9), (2, 5)]));
}

#[test]
fn what_is_refused_for_want_of_room_is_told_and_asked_for_again_later() {
    let mut bench = stored(upto(&[(1, 9)]), false);
    let _ = meet(&mut bench, PEER, Role::Leaf, 2, ClockVector::new());
    let claim = Claim { version: upto(&[(2, 5)]), ..Claim::default() };
    let refused = Some((record("a"), RefusalReason::Full));
    let effects = happened(&mut bench, RecordInput::Applied { channel: PEER, claim, news: false, refused });
    let (peer, reason) = (PeerId::from_wire("2"), RefusalReason::Full);
    assert_eq!(
        effects,
        [
            Effect::Emit(Event::RecordsNotTaken { record: record("a"), peer, reason }),
            Effect::Send { channel: PEER, message: Message::RecordsRefusal { record: record("a"), reason, state: RecordState::default() } },
            timer(Timer::Records(RecordTimer::Fetch(PEER)), 30_000),
        ]
    );
    assert_eq!(bench.sync.records_version(), &upto(&[(1, 9)]));
}

#[test]
fn a_written_record_goes_to_the_store_and_a_failed_write_is_tried_again() {
    let mut bench = stored(ClockVector::new(), false);
    let effects = happened(&mut bench, RecordInput::Changed { clock: clock(1, 9) });
    assert_eq!(effects, [timer(Timer::Records(RecordTimer::Store(STORE)), 0), timer(Timer::Records(RecordTimer::Prune), 1_000)]);
    let store =
        Effect::Records(RecordEffect::Store { channel: STORE, version: upto(&[(1, 9)]), pruned: ClockVector::new(), devices: Vec::new() });
    let due = |bench: &mut Bench| bench.on(Input::TimerFired(Timer::Records(RecordTimer::Store(STORE))));
    assert_eq!(due(&mut bench), std::slice::from_ref(&store));
    assert_eq!(due(&mut bench), [], "one at a time");
    let effects = happened(&mut bench, RecordInput::StoreFailed { channel: STORE });
    assert_eq!(effects, [timer(Timer::Records(RecordTimer::Store(STORE)), 1_000)]);
    assert!(!bench.sync.records_are_stored(&upto(&[(1, 9)])));
    assert_eq!(due(&mut bench), [store]);
    let effects = happened(&mut bench, RecordInput::Stored { channel: STORE, version: upto(&[(1, 9)]) });
    assert_eq!(effects, [Effect::Emit(Event::StorageRecovered)]);
    assert!(bench.sync.records_are_stored(&upto(&[(1, 9)])));
}

#[test]
fn deletions_are_forgotten_when_every_known_device_has_them() {
    let mut bench = stored(upto(&[(1, 9)]), false);
    let prune = |bench: &mut Bench| {
        let effects = bench.on(Input::TimerFired(Timer::Records(RecordTimer::Prune)));
        effects
            .into_iter()
            .find_map(|effect| if let Effect::Records(RecordEffect::Prune { stable }) = effect { Some(stable) } else { None })
    };
    let _ = meet(&mut bench, PEER, Role::Leaf, 2, upto(&[(1, 9)]));
    let _ = meet(&mut bench, OTHER, Role::Leaf, 3, upto(&[(1, 4)]));
    assert_eq!(prune(&mut bench), Some(upto(&[(1, 4)])));
    let _ = bench.receive(OTHER, have(3, upto(&[(1, 9)])));
    assert_eq!(prune(&mut bench), Some(upto(&[(1, 9)])));
}

#[test]
fn pages_are_taken_one_after_the_other_and_claimed_with_the_last() {
    let mut bench = stored(ClockVector::new(), false);
    let _ = meet(&mut bench, PEER, Role::Leaf, 2, upto(&[(2, 9)]));
    let page = |after, next| Message::RecordsResponse {
        version: upto(&[(2, 9)]),
        entries: entries("a"),
        after,
        next,
        whole: None,
        partial: false,
    };
    let next = Some(clock(2, 5));
    assert_eq!(bench.receive(PEER, page(next, None)), [], "not the one that was asked for");
    let _ = bench.receive(PEER, page(None, next));
    let claimed = |next, first| Claim {
        version: upto(&[(2, 9)]),
        page: Some(ClaimedPage { peer: PeerId::from_wire("2"), next, first, whole: None }),
        ..Claim::default()
    };
    let applied = |claim| RecordInput::Applied { channel: PEER, claim, news: true, refused: None };
    let effects = happened(&mut bench, applied(claimed(next, true)));
    assert_eq!(
        effects.first(),
        Some(&Effect::Send { channel: PEER, message: Message::RecordsRequest { since: ClockVector::new(), after: next, whole: false } })
    );
    assert_eq!(bench.sync.records_version(), &ClockVector::new());
    let effects = bench.receive(PEER, page(next, None));
    let apply = RecordEffect::Apply { channel: PEER, entries: entries("a"), claim: claimed(None, false) };
    assert_eq!(effects, [Effect::Records(apply)]);
    let effects = happened(&mut bench, applied(claimed(None, false)));
    assert_eq!(effects.first(), Some(&Effect::Records(RecordEffect::DropPages { peer: PeerId::from_wire("2") })));
    assert_eq!(bench.sync.records_version(), &upto(&[(2, 9)]));
}

#[test]
fn a_device_that_lapsed_is_removed_from_stores_and_one_connection_is_one_device() {
    let mut bench = stored(upto(&[(1, 9)]), false);
    let _ = meet(&mut bench, PEER, Role::Leaf, 2, upto(&[(1, 9)]));
    let _ = bench.receive(PEER, have(7, upto(&[(1, 9)])));
    let _ = bench.on(Input::ChannelClosed { channel: PEER });
    let written = |bench: &mut Bench, now| {
        let timers = [RecordTimer::Prune, RecordTimer::Compare, RecordTimer::Store(STORE)];
        let effects: Vec<_> = timers.into_iter().flat_map(|timer| bench.at(Input::TimerFired(Timer::Records(timer)), now)).collect();
        let _ = bench.at(Input::Records(RecordInput::Stored { channel: STORE, version: upto(&[(1, 9)]) }), now);
        let devices = effects.into_iter().filter_map(|effect| match effect {
            Effect::Records(RecordEffect::Store { devices, .. }) => Some(devices),
            _ => None,
        });
        devices.flatten().map(|device| (device.device.0, device.is_gone())).collect::<Vec<_>>()
    };
    assert_eq!(written(&mut bench, NOW), [(2, false)]);
    let later = NOW.plus(91 * 24 * 60 * 60 * 1000);
    let _ = bench.at(Input::ChannelOpened { channel: OTHER, kind: ChannelKind::Network, initiate: false }, later);
    let identity = Identity { capabilities: Some(Capabilities::own(Role::Leaf)), ..id("3", PeerType::User) };
    let _ = bench.at(Input::Received { channel: OTHER, message: Message::EstablishRequest(identity) }, later);
    let _ = bench.at(Input::Received { channel: OTHER, message: have(3, upto(&[(1, 9)])) }, later);
    assert_eq!(written(&mut bench, later), [(2, true), (3, false)]);
}
