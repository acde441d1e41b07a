//! What one peer may cost: what is looked at for it, and what is kept of what it says.

use super::{
    extended::{bench, extended, pipe, refusal, sent, told},
    *,
};
use crate::{
    protocol::{
        RefusalReason,
        extension::{Part, Sum},
    },
    synchronizer::model::MAX_LOOKED_AT,
};

fn digest() -> Message {
    let wrong = Sum { part: Part { depth: 0, prefix: 0 }, count: 90, hash: 1 };
    Message::Digest { sums: vec![wrong], list: Vec::new(), reply: true, stored: false }
}

fn directory(docs: Option<Vec<DocId>>) -> Message {
    Message::DirectoryRequest { docs }
}

/// A relay with two documents, and another relay it is connected with.
fn relays(initiate: bool) -> (Bench, ChannelId) {
    let mut bench = bench(Interest::Everything, AllowAll);
    let _ = bench.open("a");
    let _ = bench.open("b");
    let channel = ChannelId(1);
    let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate });
    let identity = extended("2", Role::Relay);
    let _ = bench.receive(channel, if initiate { Message::EstablishResponse(identity) } else { Message::EstablishRequest(identity) });
    (bench, channel)
}

#[test]
fn comparisons_and_directories_are_counted_by_the_documents_looked_at() {
    let (mut bench, peer) = relays(false);
    let _ = bench.receive(peer, digest());
    let _ = bench.receive(peer, directory(None));
    let _ = bench.receive(peer, directory(Some(vec![doc("a")])));
    assert_eq!(bench.sync.model.channels[&peer].looks, (NOW, 1, 5));
}

#[test]
fn a_peer_that_came_by_itself_is_compared_with_until_so_many_documents_were_looked_at_for_it() {
    for (initiate, answered) in [(false, [true, false, true]), (true, [true, true, true])] {
        let (mut bench, peer) = relays(initiate);
        let mut ask = |now: Timestamp| !sent(&bench.at(Input::Received { channel: peer, message: digest() }, now)).is_empty();
        let first = ask(NOW);
        bench.sync.model.channels.get_mut(&peer).unwrap().looks.2 = MAX_LOOKED_AT;
        let mut ask = |now: Timestamp| !sent(&bench.at(Input::Received { channel: peer, message: digest() }, now)).is_empty();
        assert_eq!([first, ask(NOW), ask(NOW.plus(10_000))], answered);
    }
}

#[test]
fn a_directory_of_named_documents_shows_those_there_are_and_is_answered_until_too_many_were_looked_at() {
    let (mut bench, peer) = relays(false);
    let named = vec![doc("b"), doc("none"), doc("b")];
    let shown = Effect::Send { channel: peer, message: Message::DirectoryResponse { docs: vec![doc("b")] } };
    assert_eq!(bench.receive(peer, directory(Some(named))), [shown]);
    let mut answers = || bench.receive(peer, directory(Some(Vec::new()))).len();
    assert_eq!((0..1_000).map(|_| answers()).sum::<usize>(), 1_000);
    bench.sync.model.channels.get_mut(&peer).unwrap().looks.2 = MAX_LOOKED_AT;
    assert_eq!(bench.receive(peer, directory(Some(Vec::new()))), []);
}

fn deleting(max: usize, keep_ms: u64) -> Bench {
    let mut config = Config { features: Features::default(), ..Config::new(id("1", PeerType::User), Interest::Everything) };
    config.tombstones = TombstoneLimits { keep_ms, max };
    Bench { sync: Synchronizer::new(config, Rc::new(Forbid { deletion_allowed: true, ..Forbid::default() })) }
}

#[test]
fn tombstones_are_no_more_than_allowed_and_an_eighth_with_nobody_to_compare_with() {
    let mut bench = deleting(160, u64::MAX);
    let mut most = 0;
    for number in 0..1_000 {
        let _ = bench.at(Input::DocDeleted { doc: doc(&number.to_string()) }, NOW.plus(number));
        most = most.max(bench.sync.deletions().count());
    }
    assert_eq!(most, 180);
    assert!(bench.sync.deletion(&doc("999")).is_some() && bench.sync.deletion(&doc("0")).is_none());
}

#[test]
fn tombstones_are_forgotten_in_time_with_nobody_to_compare_with() {
    let mut bench = deleting(80, 5_000);
    bench.store();
    let effects = bench.on(Input::DocDeleted { doc: doc("d") });
    assert!(effects.contains(&timer(Timer::Tombstones, 5_000)), "{effects:?}");
    assert_eq!(bench.at(Input::TimerFired(Timer::Tombstones), NOW.plus(5_000)), [timer(Timer::Tombstones, 5_000)]);
    let forget = Effect::ForgetDoc { channel: STORE, doc: doc("d") };
    assert_eq!(bench.at(Input::TimerFired(Timer::Tombstones), NOW.plus(10_000)), [forget]);
}

#[test]
fn so_many_peers_are_remembered_to_have_refused_a_deletion_and_then_nobody_is_told_again() {
    let mut bench = bench(Interest::Everything, AllowAll);
    let _ = bench.open("d");
    let _ = bench.on(Input::DocDeleted { doc: doc("d") });
    let mut told = 0;
    for number in 0..100 {
        let channel = ChannelId(number);
        let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: false });
        let effects = bench.receive(channel, Message::EstablishRequest(extended(&(100 + number).to_string(), Role::Relay)));
        told += sent(&effects).iter().filter(|effect| matches!(effect, Effect::Send { message: Message::Deleted { .. }, .. })).count();
        let refused = Message::Refusal { doc: doc("d"), reason: RefusalReason::Deletion, retry_ms: None };
        let _ = bench.receive(channel, refused);
        let _ = bench.on(Input::ChannelClosed { channel });
    }
    assert_eq!((told, bench.sync.model.undeletable[&doc("d")].len()), (64, 64));
    let _ = bench.on(Input::DocForgotten { doc: doc("d") });
    assert!(bench.sync.model.undeletable.is_empty());
}

#[test]
fn claims_of_unknown_authors_are_counted_over_all_documents_of_a_peer() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let names: Vec<_> = (0..80).map(|number| number.to_string()).collect();
    for name in &names {
        let _ = bench.open(name);
    }
    let (liar, honest) = (pipe(&mut bench, 1, "2"), pipe(&mut bench, 2, "3"));
    let claim: VersionVector = (100..16_100).map(|author| (author, 1)).collect();
    let mut refused = Vec::new();
    for name in &names {
        if sent(&bench.receive(liar, told(name, claim.clone(), false))) == [refusal(liar, name, RefusalReason::Invalid)] {
            refused.push(name.clone());
        }
    }
    assert_eq!(refused, names[62..]);
    let version = vv(&[(7, 1), (8, 1)]);
    assert_ne!(sent(&bench.receive(honest, told("79", version, true))), [refusal(honest, "79", RefusalReason::Invalid)]);
}

#[test]
fn claims_that_came_true_are_counted_no_more() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let peer = pipe(&mut bench, 1, "2");
    let claim: VersionVector = (100..16_100).map(|author| (author, 1)).collect();
    for round in 0..80 {
        let name = bench.open(&round.to_string());
        let effects = bench.receive(peer, told(name.as_str(), claim.clone(), false));
        assert!(!effects.contains(&refusal(peer, name.as_str(), RefusalReason::Invalid)), "round {round}");
        let (version, announced) = (claim.clone(), claim.clone());
        let _ = bench.on(Input::DocImported { doc: name, channel: peer, version, announced, pending: VersionVector::new() });
    }
}

#[test]
fn a_document_a_peer_has_deleted_and_made_anew_is_not_compared_with_it_whatever_it_says() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let peer = pipe(&mut bench, 1, "2");
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    let _ = bench.receive(peer, told("d", vv(&[]), false));
    let tombstone = Tombstone { lineage: 5, at: NOW.0, by: PeerId::from(2) };
    let _ = bench.receive(peer, Message::Deleted { docs: vec![(doc("d"), tombstone)] });
    let anew = crate::protocol::extension::Head { doc: doc("d"), lineage: 6, version: vv(&[]) };
    let _ = bench.receive(peer, Message::Heads { heads: vec![anew], reply: false });
    assert!(!bench.sync.model.peek(peer, &doc("d")).unwrap().is_agreed());
}

#[test]
fn a_peer_that_keeps_a_deleted_document_has_answered_and_is_not_asked_again() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let peer = pipe(&mut bench, 1, "2");
    bench.open("d");
    let _ = bench.on(Input::DocDeleted { doc: doc("d") });
    let _ = bench.on(Input::DocCreated { doc: doc("d") });
    assert!(bench.sync.model.peek(peer, &doc("d")).unwrap().waiting);
    let _ = bench.receive(peer, told("d", vv(&[]), false));
    assert!(!bench.sync.model.peek(peer, &doc("d")).unwrap().waiting);
    assert_eq!(sent(&bench.on(Input::TimerFired(Timer::Verify(peer, doc("d"))))), []);
}

#[test]
fn who_never_answers_is_asked_ever_less_often() {
    let mut bench = Bench::client();
    let peer = bench.network(1, "2");
    bench.open("d");
    let verify = Timer::Verify(peer, doc("d"));
    let pauses: Vec<u64> = (0..10)
        .filter_map(|_| {
            let effects = bench.on(Input::TimerFired(verify.clone()));
            effects.iter().find_map(|effect| match effect {
                Effect::SetTimer { timer, after_ms } if *timer == verify => Some(*after_ms),
                _ => None,
            })
        })
        .collect();
    assert_eq!(pauses, [4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 256_000, 256_000, 256_000]);
}

struct Closed(std::cell::Cell<bool>);

impl Permissions for Closed {
    fn creation(&self, doc: &DocId, _: &PeerContext) -> bool {
        !self.0.get() && doc.as_str() != "never"
    }
}

#[test]
fn a_document_known_by_name_only_is_asked_for_as_well_when_a_peer_may_create_it() {
    let rules = Rc::new(Closed(std::cell::Cell::new(true)));
    let mut bench = Bench { sync: Synchronizer::new(Config::new(id("1", PeerType::User), Interest::Everything), rules.clone()) };
    bench.store();
    let peer = pipe(&mut bench, 1, "2");
    let _ = bench.on(Input::Listed { channel: STORE, docs: vec![(doc("a"), Stored::default())] });
    let _ = bench.receive(peer, told("a", vv(&[(8, 1)]), true));
    let nothing = Input::Loaded {
        channel: STORE,
        doc: doc("a"),
        stored: Stored::default(),
        version: vv(&[]),
        size: StoredSize::default(),
        whole: true,
    };
    assert_eq!(sent(&bench.on(nothing)), [refusal(peer, "a", RefusalReason::Unavailable), Effect::DropDoc { doc: doc("a") }]);
    assert_eq!(sent(&bench.on(Input::PermissionsChanged)), []);
    rules.0.set(false);
    let asked = Effect::Send { channel: peer, message: directory(Some(vec![doc("a")])) };
    assert_eq!(sent(&bench.on(Input::PermissionsChanged)), [asked]);
}

#[test]
fn a_peer_that_may_create_documents_now_is_asked_which_of_those_it_offered_are_there() {
    let rules = Rc::new(Closed(std::cell::Cell::new(true)));
    let config = Config::new(id("1", PeerType::User), Interest::Everything);
    let mut bench = Bench { sync: Synchronizer::new(config, rules.clone()) };
    let (peer, other) = (pipe(&mut bench, 1, "2"), bench.network(2, "3"));
    for name in ["a", "never"] {
        let effects = bench.receive(peer, told(name, vv(&[(8, 1)]), true));
        assert_eq!(sent(&effects), [refusal(peer, name, RefusalReason::Unavailable)]);
    }
    let _ = bench.request(other, "b", vv(&[]), true);
    assert_eq!(sent(&bench.on(Input::PermissionsChanged)), []);
    rules.0.set(false);
    let asked = |channel, name| Effect::Send { channel, message: directory(Some(vec![doc(name)])) };
    assert_eq!(sent(&bench.on(Input::PermissionsChanged)), [asked(peer, "a"), asked(other, "b")]);
    assert_eq!(sent(&bench.on(Input::PermissionsChanged)), [], "once");
}

#[test]
fn a_request_to_delete_a_hidden_document_leaves_no_trace() {
    let forbid = Forbid::default();
    forbid.visibility.borrow_mut().insert(doc("d"));
    let mut bench = Bench::new(Interest::Opened, forbid);
    let _ = bench.open("d");
    let peer = bench.network(1, "2");
    let ignored = Message::DeleteResponse { doc: doc("d"), status: DeleteStatus::Ignored };
    assert_eq!(bench.receive(peer, Message::DeleteRequest { doc: doc("d") }), [Effect::Send { channel: peer, message: ignored }]);
    assert!(bench.sync.model.peek(peer, &doc("d")).is_none());
}

#[test]
fn a_relay_that_takes_nothing_of_a_document_is_offered_it_again_after_growing_pauses() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let relay = ChannelId(1);
    let _ = bench.on(Input::ChannelOpened { channel: relay, kind: ChannelKind::Network, initiate: true });
    let _ = bench.receive(relay, Message::EstablishResponse(extended("2", Role::Relay)));
    let unavailable = || Message::Refusal { doc: doc("d"), reason: RefusalReason::Unavailable, retry_ms: None };
    let offer = Timer::Offer(relay, doc("d"));
    let offered = |bench: &mut Bench| sent(&bench.on(Input::TimerFired(Timer::Offer(relay, doc("d"))))).len();
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    assert_eq!(bench.receive(relay, unavailable()), [ready_changed("d")], "there is nothing of it here either");
    let asked = bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 1)]) });
    let heads = |version| extended::heads(relay, "d", version, true);
    assert_eq!(sent(&asked), [heads(vv(&[(7, 1)]))]);
    let event = Event::Refused { doc: doc("d"), peer: PeerId::from(2), reason: RefusalReason::Unavailable, retry_ms: Some(30_000) };
    let effects = bench.receive(relay, unavailable());
    assert!(effects.contains(&timer(offer.clone(), 30_000)) && effects.contains(&Effect::Emit(event)), "{effects:?}");
    assert_eq!(sent(&bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 2)]) })), [], "it is offered in time");
    assert_eq!(offered(&mut bench), 1);
    let effects = bench.receive(relay, unavailable());
    assert!(effects.contains(&timer(offer, 60_000)), "{effects:?}");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Emit(Event::Refused { .. }))), "told once");
    assert_eq!(offered(&mut bench), 1);
    let taken = bench.receive(relay, told("d", vv(&[]), true));
    assert_eq!(sent(&taken), [extended::heads(relay, "d", vv(&[(7, 2)]), false)]);
    assert!(bench.sync.model.peek(relay, &doc("d")).unwrap().is_agreed());
}

#[test]
fn a_peer_that_said_it_has_nothing_and_asks_again_is_asked_back() {
    let mut bench = Bench::client();
    let peer = bench.network(1, "2");
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    let nothing = Message::SyncResponse { doc: doc("d"), transmission: Transmission::Unavailable, ephemeral: None };
    let _ = bench.receive(peer, nothing);
    let effects = bench.request(peer, "d", vv(&[]), true);
    assert!(effects.contains(&ask(peer, "d", vv(&[]), false)), "{effects:?}");
}
