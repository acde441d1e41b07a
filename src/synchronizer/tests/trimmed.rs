//! What may be trimmed, who is asked, and what is answered of it.

use super::{extended::*, *};
use crate::protocol::{Capabilities, ClockVector, Device, Role, extension::AuthorRange};

const LIMITS: HistoryLimits = HistoryLimits { keep_ms: Some(0), lapse_ms: 80_000, look_ms: 1_000 };

/// A synchronizer with a store, and "d" with two operations of author 7 open and stored.
fn stored(interest: Interest, history: HistoryLimits) -> Bench {
    let config = Config { history, ..Config::new(id("1", PeerType::User), interest) };
    let mut bench = Bench { sync: Synchronizer::new(config, Rc::new(AllowAll)) };
    bench.store();
    let _ = bench.on(Input::Listed { channel: STORE, docs: Vec::new() });
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    let (stored, version) = (Stored::default(), VersionVector::new());
    let _ = bench.on(Input::Loaded { channel: STORE, doc: doc("d"), stored, version, size: StoredSize::default(), whole: true });
    let _ = bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 2)]) });
    let _ = bench.on(Input::TimerFired(Timer::StoreDue(STORE)));
    let _ = bench.on(Input::Stored { channel: STORE, docs: vec![(doc("d"), vv(&[(7, 2)]), StoredSize::default())], refused: Vec::new() });
    bench
}

/// An established pipe to somebody who dialled.
fn greeted(bench: &mut Bench, channel: u64, identity: Identity) -> ChannelId {
    let channel = ChannelId(channel);
    let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: false });
    let _ = bench.receive(channel, Message::EstablishRequest(identity));
    channel
}

/// A relay that this side dialled, and that has all of "d".
fn dialled(bench: &mut Bench, channel: u64, peer: &str) -> ChannelId {
    let channel = ChannelId(channel);
    let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: true });
    let capabilities = Some(Capabilities::own(Role::Relay));
    let _ = bench.receive(channel, Message::EstablishResponse(Identity { capabilities, ..id(peer, PeerType::Service) }));
    let _ = bench.receive(channel, told("d", vv(&[(7, 2)]), false));
    channel
}

fn word(settled: Option<VersionVector>, durable: &[(u64, i32)]) -> Message {
    Message::Ack { doc: doc("d"), lineage: 0, version: vv(&[(7, 2)]), durable: Some(vv(durable)), settled }
}

fn writes(effects: &[Effect]) -> Vec<&StoreDoc> {
    effects.iter().filter_map(|effect| if let Effect::StoreDocs { docs, .. } = effect { Some(docs) } else { None }).flatten().collect()
}

fn acks(effects: &[Effect]) -> Vec<&Message> {
    effects
        .iter()
        .filter_map(|effect| {
            if let Effect::Send { message: message @ Message::Ack { settled: Some(_), .. }, .. } = effect { Some(message) } else { None }
        })
        .collect()
}

#[test]
fn a_relay_is_asked_what_is_settled_and_that_is_trimmed_as_far_as_others_have_it() {
    let mut bench = stored(Interest::Opened, LIMITS);
    let hub = dialled(&mut bench, 1, "2");
    let effects = bench.at(Input::TimerFired(Timer::Trim), NOW);
    assert_eq!(acks(&effects), [&word(Some(VersionVector::new()), &[(7, 2)])]);
    assert_eq!(acks(&bench.at(Input::TimerFired(Timer::Trim), NOW)), Vec::<&Message>::new(), "it was asked just now");
    // What it says goes no further than what it says of itself.
    let _ = bench.receive(hub, word(Some(vv(&[(7, 1)])), &[(7, 2)]));
    let effects = bench.on(Input::TimerFired(Timer::StoreDue(STORE)));
    let write = StoreDoc { trim: vv(&[(7, 1)]), ..store_doc("d", vv(&[(7, 2)]), true) };
    assert_eq!(writes(&effects).iter().map(|write| (&write.trim, write.snapshot)).collect::<Vec<_>>(), [(&write.trim, true)]);
    // Written once, and again if that failed.
    let _ = bench.on(Input::StoreFailed { channel: STORE });
    assert_eq!(writes(&bench.on(Input::TimerFired(Timer::StoreDue(STORE)))).len(), 1);
    let _ = bench.on(Input::Stored { channel: STORE, docs: vec![(doc("d"), vv(&[(7, 2)]), StoredSize::default())], refused: Vec::new() });
    let _ = bench.receive(hub, word(Some(vv(&[(7, 1)])), &[(7, 2)]));
    assert_eq!(writes(&bench.on(Input::TimerFired(Timer::StoreDue(STORE)))), Vec::<&StoreDoc>::new());
}

#[test]
fn a_relay_that_was_not_dialled_is_not_asked_and_not_believed() {
    let mut bench = stored(Interest::Opened, LIMITS);
    let channel = greeted(&mut bench, 1, extended("2", Role::Relay));
    let _ = bench.receive(channel, told("d", vv(&[(7, 2)]), true));
    let _ = bench.on(Input::TimerFired(Timer::Trim));
    let effects = bench.receive(channel, word(Some(vv(&[(7, 2)])), &[(7, 2)]));
    assert_eq!((acks(&effects), writes(&bench.on(Input::TimerFired(Timer::StoreDue(STORE))))), (Vec::new(), Vec::new()));
}

#[test]
fn who_keeps_all_says_what_everybody_has_and_remembers_those_that_left() {
    let mut bench = stored(Interest::Everything, HistoryLimits { keep_ms: None, ..LIMITS });
    let [asks, other] = [(2, "2"), (3, "3")].map(|(channel, peer)| greeted(&mut bench, channel, extended(peer, Role::Leaf)));
    for channel in [asks, other] {
        let _ = bench.receive(channel, told("d", vv(&[(7, 2)]), true));
    }
    let question = || word(Some(VersionVector::new()), &[(7, 2)]);
    let _ = bench.receive(other, word(None, &[(7, 1)]));
    assert_eq!(acks(&bench.receive(asks, question())), [&word(Some(vv(&[(7, 1)])), &[(7, 2)])], "the other one has less on disk");
    let _ = bench.on(Input::ChannelClosed { channel: other });
    assert_eq!(acks(&bench.receive(asks, question())), [&word(Some(vv(&[(7, 1)])), &[(7, 2)])], "also when it has left");
    let noted = bench.on(Input::TimerFired(Timer::Note));
    assert!(
        matches!(&noted[..], [Effect::NoteConfirmed { docs, .. }] if docs[0].marks.as_ref().is_some_and(|marks| marks.len() == 1)),
        "{noted:?}"
    );
    let question = Input::Received { channel: asks, message: question() };
    assert_eq!(acks(&bench.at(question, NOW.plus(LIMITS.lapse_ms * 2))), [&word(Some(vv(&[(7, 2)])), &[(7, 2)])]);
}

/// A page of a device, on a connection of its own, that says what it has on disk if that is not empty.
fn page(bench: &mut Bench, channel: u64, device: u64, durable: &[(u64, i32)]) -> ChannelId {
    let channel = greeted(bench, channel, extended(&channel.to_string(), Role::Leaf));
    let _ = bench.receive(channel, told("d", vv(&[(7, 2)]), true));
    let (version, stable) = (ClockVector::new(), ClockVector::new());
    let device = Device(device);
    let have = Message::RecordsHave { device, version, durable: None, stable, sum: 0, reply: false, lazy: false, fresh: false };
    let _ = bench.receive(channel, have);
    if !durable.is_empty() {
        let _ = bench.receive(channel, word(None, durable));
    }
    channel
}

#[test]
fn the_next_page_of_a_device_takes_the_place_of_the_last_once_it_says_what_is_on_its_disk() {
    let mut bench = stored(Interest::Everything, HistoryLimits { keep_ms: None, ..LIMITS });
    let asks = greeted(&mut bench, 2, extended("2", Role::Leaf));
    let _ = bench.receive(asks, told("d", vv(&[(7, 2)]), true));
    let settled = |bench: &mut Bench| {
        let effects = bench.receive(asks, word(Some(VersionVector::new()), &[(7, 2)]));
        match acks(&effects)[..] {
            [Message::Ack { settled: Some(settled), .. }] => settled.clone(),
            _ => panic!("{effects:?}"),
        }
    };
    let (less, all) = (vv(&[(7, 1)]), vv(&[(7, 2)]));
    let first = page(&mut bench, 3, 9, &[(7, 1)]);
    let _ = bench.on(Input::ChannelClosed { channel: first });
    assert_eq!(settled(&mut bench), less);
    // Pages that say nothing of a disk, and those of others, change nothing, there or gone.
    for (channel, device, durable) in [(4, 9, &[][..]), (5, 10, &[(7, 2)])] {
        let other = page(&mut bench, channel, device, durable);
        assert_eq!(settled(&mut bench), less);
        let _ = bench.on(Input::ChannelClosed { channel: other });
        assert_eq!(settled(&mut bench), less);
    }
    let next = page(&mut bench, 6, 9, &[(7, 2)]);
    assert_eq!(settled(&mut bench), all);
    let _ = bench.on(Input::ChannelClosed { channel: next });
    assert_eq!(settled(&mut bench), all);
    // One that has less again, from a copy of the disk, holds back what comes after that.
    let old = page(&mut bench, 7, 9, &[(7, 1)]);
    assert_eq!(settled(&mut bench), less);
    let _ = bench.on(Input::ChannelClosed { channel: old });
    assert_eq!(settled(&mut bench), less);
}

#[test]
fn pages_of_more_devices_than_are_remembered_hold_back_what_comes_after_the_least_of_them() {
    let mut bench = stored(Interest::Everything, HistoryLimits { keep_ms: None, ..LIMITS });
    let first = page(&mut bench, 100, 100, &[(7, 1)]);
    let _ = bench.on(Input::ChannelClosed { channel: first });
    for device in 101..130 {
        let channel = page(&mut bench, device, device, &[(7, 2)]);
        let _ = bench.on(Input::ChannelClosed { channel });
    }
    // It is remembered together with another, so it cannot be told that nothing is held back for it any more.
    let back = page(&mut bench, 200, 100, &[(7, 2)]);
    let effects = bench.receive(back, word(Some(VersionVector::new()), &[(7, 2)]));
    assert_eq!(acks(&effects), [&word(Some(vv(&[(7, 1)])), &[(7, 2)])]);
}

#[test]
fn who_trims_says_nothing_of_what_everybody_has() {
    let mut bench = stored(Interest::Everything, LIMITS);
    let asks = greeted(&mut bench, 1, extended("2", Role::Leaf));
    let _ = bench.receive(asks, told("d", vv(&[(7, 2)]), true));
    assert_eq!(acks(&bench.receive(asks, word(Some(VersionVector::new()), &[(7, 2)]))), Vec::<&Message>::new());
}

#[test]
fn what_was_trimmed_is_refused_and_somebody_with_nothing_gets_the_rest_when_it_asks_again() {
    let mut bench = stored(Interest::Everything, HistoryLimits { keep_ms: None, ..LIMITS });
    let _ = bench.on(Input::HistoryBegins { doc: doc("d"), version: vv(&[(7, 1)]) });
    let refusal =
        |channel| Effect::Send { channel, message: Message::Refusal { doc: doc("d"), reason: RefusalReason::Trimmed, retry_ms: None } };
    let want = || Message::Want { doc: doc("d"), lineage: 0, ranges: vec![AuthorRange { author: 7, start: 0, end: 2 }] };
    let [empty, old] = [(2, "2"), (3, "3")].map(|(channel, peer)| greeted(&mut bench, channel, extended(peer, Role::Leaf)));
    let _ = bench.receive(empty, told("d", VersionVector::new(), true));
    assert_eq!(sent(&bench.receive(empty, want())), [refusal(empty)]);
    assert!(matches!(&sent(&bench.receive(empty, want()))[..], [Effect::GiveRanges { .. }]));
    let _ = bench.receive(old, told("d", vv(&[(8, 1)]), true));
    for _ in 0..2 {
        assert_eq!(sent(&bench.receive(old, want())), [refusal(old)]);
    }
    // In the reference protocol.
    let plain = bench.network(4, "4");
    let effects = bench.request(plain, "d", vv(&[(8, 1)]), false);
    assert!(effects.contains(&unavailable(plain, "d")), "{effects:?}");
    let plain = bench.network(5, "5");
    let effects = bench.request(plain, "d", VersionVector::new(), false);
    assert!(effects.contains(&Effect::SendSnapshot { channel: plain, doc: doc("d"), purpose: Purpose::Answer }), "{effects:?}");
}

#[test]
fn an_edit_from_before_makes_one_after_the_other_be_asked_for_everything() {
    let mut bench = stored(Interest::Opened, LIMITS);
    let _ = bench.on(Input::HistoryBegins { doc: doc("d"), version: vv(&[(7, 1)]) });
    let [first, second] = [(2, "2"), (3, "3")].map(|(channel, peer)| dialled(&mut bench, channel, peer));
    let everything = |channel| {
        let ranges = vec![AuthorRange { author: 7, start: 0, end: 2 }];
        Effect::Send { channel, message: Message::Want { doc: doc("d"), lineage: 0, ranges } }
    };
    let effects = bench.on(Input::HistoryMissed { doc: doc("d"), channel: second, version: vv(&[(7, 2)]) });
    assert!(effects.contains(&everything(first)), "{effects:?}");
    let effects = bench.receive(first, Message::Refusal { doc: doc("d"), reason: RefusalReason::Trimmed, retry_ms: None });
    assert!(effects.contains(&everything(second)), "{effects:?}");
    let (ranges, data) = (vec![AuthorRange { author: 7, start: 0, end: 2 }], Bytes::from_static(b"all"));
    let message = Message::Give { doc: doc("d"), lineage: 0, ranges, data: data.clone(), version: vv(&[(7, 2)]) };
    let renewal = Effect::RenewDoc { doc: doc("d"), channel: second, data, announced: vv(&[(7, 2)]) };
    assert!(bench.receive(second, message.clone()).contains(&renewal));
    // It worked: stores get all of it, in place of what they have.
    let effects = bench.on(Input::HistoryBegins { doc: doc("d"), version: VersionVector::new() });
    assert!(effects.contains(&Effect::LoadDoc { channel: STORE, doc: doc("d") }), "{effects:?}");
    let effects = bench.on(Input::TimerFired(Timer::StoreDue(STORE)));
    assert!(matches!(&writes(&effects)[..], [StoreDoc { snapshot: true, trim, .. }] if trim.is_empty()), "{effects:?}");
    assert!(!bench.receive(second, message).contains(&renewal), "once");
}

#[test]
fn who_has_trimmed_its_history_is_asked_for_it_again_later_if_nobody_else_has_it() {
    let mut bench = stored(Interest::Opened, LIMITS);
    let _ = bench.on(Input::HistoryBegins { doc: doc("d"), version: vv(&[(7, 1)]) });
    let other = dialled(&mut bench, 2, "2");
    let refusal = || Message::Refusal { doc: doc("d"), reason: RefusalReason::Trimmed, retry_ms: None };
    let _ = bench.receive(other, refusal());
    let ranges = vec![AuthorRange { author: 7, start: 0, end: 2 }];
    let everything = Effect::Send { channel: other, message: Message::Want { doc: doc("d"), lineage: 0, ranges: ranges.clone() } };
    let effects = bench.on(Input::HistoryMissed { doc: doc("d"), channel: other, version: vv(&[(7, 2)]) });
    assert!(!effects.contains(&everything), "it has just said that it does not have it");
    let due = Timer::Renew(doc("d"));
    assert!(effects.contains(&timer(due.clone(), 30_000)), "{effects:?}");
    for _ in 0..2 {
        assert!(bench.on(Input::TimerFired(due.clone())).contains(&everything));
        assert!(!bench.receive(other, refusal()).iter().any(|effect| matches!(effect, Effect::Send { .. })), "not at once");
    }
    let _ = bench.on(Input::TimerFired(due));
    let data = Bytes::from_static(b"all");
    let effects = bench.receive(other, Message::Give { doc: doc("d"), lineage: 0, ranges, data: data.clone(), version: vv(&[(7, 2)]) });
    assert!(effects.contains(&Effect::RenewDoc { doc: doc("d"), channel: other, data, announced: vv(&[(7, 2)]) }), "{effects:?}");
}

#[test]
fn who_asks_again_for_what_was_trimmed_gets_it_through_here_from_a_relay_that_keeps_all() {
    let mut bench = stored(Interest::Opened, LIMITS);
    let _ = bench.on(Input::HistoryBegins { doc: doc("d"), version: vv(&[(7, 1)]) });
    let back = greeted(&mut bench, 1, extended("2", Role::Leaf));
    let _ = bench.receive(back, told("d", vv(&[(9, 1)]), false));
    let ask = || Message::Want { doc: doc("d"), lineage: 0, ranges: vec![AuthorRange { author: 7, start: 0, end: 2 }] };
    let refusal =
        Effect::Send { channel: back, message: Message::Refusal { doc: doc("d"), reason: RefusalReason::Trimmed, retry_ms: None } };
    for _ in 0..3 {
        assert_eq!(bench.receive(back, ask()).iter().filter(|effect| **effect != refusal).count(), 0, "nobody here has it");
    }
    let hub = dialled(&mut bench, 2, "3");
    let again = greeted(&mut bench, 3, extended("4", Role::Leaf));
    let _ = bench.receive(again, told("d", vv(&[(9, 1)]), false));
    let everything = Effect::Send { channel: hub, message: ask() };
    assert!(!bench.receive(again, ask()).contains(&everything), "others may have it, and are asked first");
    assert!(bench.receive(again, ask()).contains(&everything));
    assert!(!bench.receive(again, ask()).contains(&everything), "once");
}

#[test]
fn what_another_tab_has_trimmed_is_read_from_the_disk_they_share() {
    for (kind, reads) in [(ChannelKind::Tabs, true), (ChannelKind::Network, false)] {
        let mut bench = stored(Interest::Opened, LIMITS);
        let other = ChannelId(1);
        let _ = bench.on(Input::ChannelOpened { channel: other, kind, initiate: false });
        let _ = bench.receive(other, Message::EstablishRequest(extended("2", Role::Leaf)));
        let refused = || Message::Refusal { doc: doc("d"), reason: RefusalReason::Trimmed, retry_ms: None };
        let read = Effect::LoadDoc { channel: STORE, doc: doc("d") };
        assert!(!bench.receive(other, refused()).contains(&read), "nothing was asked");
        let effects = bench.receive(other, told("d", vv(&[(7, 5)]), true));
        let effects = effects.into_iter().chain(bench.on(Input::TimerFired(Timer::Graft(doc("d"))))).collect::<Vec<_>>();
        let later = NOW.plus(60_000);
        let again = bench.at(Input::Received { channel: other, message: told("d", vv(&[(7, 5)]), true) }, later);
        assert!(effects.iter().chain(&again).any(|effect| *effect == want(other, "d", &[range(7, 2, 5)])), "{effects:?} {again:?}");
        assert_eq!(bench.receive(other, refused()).contains(&read), reads, "{kind:?}");
    }
}
