//! Effects of single inputs between peers that speak the extension.

use super::*;
use crate::protocol::{
    Capabilities, RefusalReason,
    extension::{AuthorRange, Head, VERSIONS},
};

pub(super) fn extended(peer: &str, role: Role) -> Identity {
    Identity { capabilities: Some(Capabilities::own(role)), ..id(peer, PeerType::User) }
}

pub(super) fn bench(interest: Interest, permissions: impl Permissions + 'static) -> Bench {
    Bench { sync: Synchronizer::new(Config::new(id("1", PeerType::User), interest), Rc::new(permissions)) }
}

/// A peer that dialled this side, and what it was told.
pub(super) fn dialled(bench: &mut Bench, channel: u64, identity: Identity) -> (ChannelId, Vec<Effect>) {
    let channel = ChannelId(channel);
    let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: false });
    (channel, bench.receive(channel, Message::EstablishRequest(identity)))
}

/// An established pipe to a peer that speaks the extension.
pub(super) fn pipe(bench: &mut Bench, channel: u64, peer: &str) -> ChannelId {
    dialled(bench, channel, extended(peer, Role::Leaf)).0
}

pub(super) fn head(name: &str, version: VersionVector) -> Head {
    Head { doc: doc(name), lineage: 0, version }
}

pub(super) fn heads(channel: ChannelId, name: &str, version: VersionVector, reply: bool) -> Effect {
    Effect::Send { channel, message: Message::Heads { heads: vec![head(name, version)], reply } }
}

pub(super) fn told(name: &str, version: VersionVector, reply: bool) -> Message {
    Message::Heads { heads: vec![head(name, version)], reply }
}

pub(super) fn give(name: &str, version: VersionVector) -> Message {
    Message::Give { doc: doc(name), lineage: 0, ranges: Vec::new(), data: Bytes::from_static(b"ops"), version }
}

pub(super) fn import(channel: ChannelId, name: &str, announced: VersionVector) -> Effect {
    Effect::ImportDoc { doc: doc(name), channel, data: Bytes::from_static(b"ops"), announced }
}

pub(super) fn range(author: u64, start: i32, end: i32) -> AuthorRange {
    AuthorRange { author, start, end }
}

pub(super) fn want(channel: ChannelId, name: &str, ranges: &[AuthorRange]) -> Effect {
    Effect::Send { channel, message: Message::Want { doc: doc(name), lineage: 0, ranges: ranges.to_vec() } }
}

pub(super) fn refusal(channel: ChannelId, name: &str, reason: RefusalReason) -> Effect {
    Effect::Send { channel, message: Message::Refusal { doc: doc(name), reason, retry_ms: None } }
}

/// The messages and data among `effects`, without timers and news.
pub(super) fn sent(effects: &[Effect]) -> Vec<Effect> {
    let quiet = |effect: &&Effect| !matches!(effect, Effect::SetTimer { .. } | Effect::Emit(_) | Effect::SendEphemeral { .. });
    effects.iter().filter(quiet).cloned().collect()
}

/// A peer and this side have the same of "d", and both know it.
fn settled(bench: &mut Bench, channel: ChannelId) {
    let _ = bench.receive(channel, told("d", vv(&[(7, 1)]), true));
}

#[test]
fn what_is_typed_before_a_peer_that_came_back_has_said_anything_is_told_and_not_sent_with_all_before() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let _ = bench.open("d");
    let _ = bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 1)]) });
    let met = |bench: &mut Bench, channel| {
        let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: true });
        bench.receive(channel, Message::EstablishResponse(extended("2", Role::Relay)))
    };
    let [before, after] = [1, 2].map(ChannelId);
    let _ = met(&mut bench, before);
    let _ = bench.receive(before, told("d", vv(&[(7, 1)]), false));
    let _ = bench.on(Input::ChannelClosed { channel: before });
    let effects = met(&mut bench, after);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Send { message: Message::Digest { .. }, .. })), "{effects:?}");
    assert_eq!(sent(&bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 2)]) })), []);
    assert_eq!(sent(&bench.on(Input::TimerFired(Timer::Heads(after)))), [heads(after, "d", vv(&[(7, 2)]), false)]);
}

#[test]
fn capabilities_are_announced_in_the_handshake_and_used_only_when_shared() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let _ = bench.open("d");
    // A leaf that keeps all of its history has nothing to say of it.
    let capabilities = Capabilities { features: Features::ALL.without(Features::HISTORY), ..Capabilities::own(Role::Leaf) };
    let own = Identity { capabilities: Some(capabilities), ..id("1", PeerType::User) };
    let [plain, new, future] = [1, 2, 3].map(ChannelId);
    for channel in [plain, new, future] {
        assert_eq!(
            bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: true }),
            [Effect::Send { channel, message: Message::EstablishRequest(own.clone()) }]
        );
    }
    let effects = bench.receive(plain, Message::EstablishResponse(id("2", PeerType::User)));
    assert_eq!(sent(&effects), [ask(plain, "d", vv(&[(7, 1)]), true)]);
    let effects = bench.receive(new, Message::EstablishResponse(extended("3", Role::Leaf)));
    assert_eq!(sent(&effects), [heads(new, "d", vv(&[(7, 1)]), true)]);
    // A version with none in common is as if nothing had been announced.
    let capabilities = Capabilities { oldest: VERSIONS.1 + 1, newest: VERSIONS.1 + 2, ..Capabilities::own(Role::Leaf) };
    let identity = Identity { capabilities: Some(capabilities), ..id("4", PeerType::User) };
    let effects = bench.receive(future, Message::EstablishResponse(identity));
    assert_eq!(sent(&effects), [ask(future, "d", vv(&[(7, 1)]), true)]);
}

#[test]
fn messages_of_the_extension_from_a_peer_that_did_not_announce_it_do_nothing() {
    let mut bench = bench(Interest::Everything, AllowAll);
    let plain = bench.network(1, "2");
    assert_eq!(bench.receive(plain, told("d", vv(&[(7, 1)]), true)), []);
    assert_eq!(bench.receive(plain, give("d", vv(&[(7, 1)]))), []);
}

#[test]
fn heads_are_answered_with_heads_and_what_is_missing_is_wanted_by_author() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let peer = pipe(&mut bench, 1, "2");
    let _ = bench.open("d");
    let effects = bench.receive(peer, told("d", vv(&[(5, 3), (8, 2)]), true));
    assert_eq!(sent(&effects), [heads(peer, "d", vv(&[(7, 1)]), false), want(peer, "d", &[range(5, 0, 3), range(8, 0, 2)])]);
}

#[test]
fn different_authors_are_wanted_from_different_neighbours() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let (one, two) = (pipe(&mut bench, 1, "2"), pipe(&mut bench, 2, "3"));
    let _ = bench.open("d");
    let version = vv(&[(5, 3), (8, 2)]);
    // Both were asked when the document was opened; the answer of the second is waited for.
    let effects = bench.receive(one, told("d", version.clone(), false));
    assert_eq!(sent(&effects), [heads(one, "d", vv(&[(7, 1)]), false)]);
    let effects = bench.receive(two, told("d", version, false));
    assert_eq!(
        sent(&effects),
        [heads(two, "d", vv(&[(7, 1)]), false), want(one, "d", &[range(5, 0, 3)]), want(two, "d", &[range(8, 0, 2)])]
    );
}

#[test]
fn a_source_that_does_not_answer_is_replaced() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let _ = bench.open("d");
    let (one, two) = (pipe(&mut bench, 1, "2"), pipe(&mut bench, 2, "3"));
    let effects = bench.receive(one, told("d", vv(&[(5, 3)]), true));
    assert!(effects.contains(&want(one, "d", &[range(5, 0, 3)])), "{effects:?}");
    let message = told("d", vv(&[(5, 3), (6, 1)]), true);
    let effects = bench.at(Input::Received { channel: two, message }, NOW.plus(100));
    assert!(effects.contains(&want(two, "d", &[range(6, 0, 1)])), "what is under way is not wanted again: {effects:?}");
    let effects = bench.at(Input::TimerFired(Timer::Fetch(doc("d"))), NOW.plus(5_000));
    assert_eq!(sent(&effects), [want(two, "d", &[range(5, 0, 3)])]);
}

#[test]
fn what_a_neighbour_that_leaves_had_promised_is_wanted_from_another_at_once() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let _ = bench.open("d");
    let (one, two) = (pipe(&mut bench, 1, "2"), pipe(&mut bench, 2, "3"));
    let _ = bench.receive(one, told("d", vv(&[(5, 3)]), true));
    let _ = bench.receive(two, told("d", vv(&[(5, 3)]), true));
    assert_eq!(sent(&bench.on(Input::ChannelClosed { channel: one }))[..1], [want(two, "d", &[range(5, 0, 3)])]);
}

#[test]
fn operations_that_wait_for_others_are_not_wanted_again() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let _ = bench.open("d");
    let peer = pipe(&mut bench, 1, "2");
    settled(&mut bench, peer);
    let announced = vv(&[(5, 9), (7, 1)]);
    assert_eq!(sent(&bench.receive(peer, give("d", announced.clone()))), [import(peer, "d", announced.clone())]);
    let pending = vv(&[(5, 9)]);
    let effects = bench.on(Input::DocImported { doc: doc("d"), channel: peer, version: vv(&[(7, 1)]), announced, pending });
    assert_eq!(sent(&effects), []);
}

#[test]
fn an_edit_is_pushed_on_an_eager_path_and_only_told_on_a_redundant_one() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let _ = bench.open("d");
    let (eager, lazy) = (pipe(&mut bench, 1, "2"), pipe(&mut bench, 2, "3"));
    settled(&mut bench, eager);
    settled(&mut bench, lazy);
    assert_eq!(bench.receive(lazy, Message::Prune { doc: doc("d") }), []);
    let effects = bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 2)]) });
    assert_eq!(sent(&effects), [Effect::GiveUpdate { channel: eager, doc: doc("d"), lineage: 0, since: vv(&[(7, 1)]) }]);
    assert_eq!(sent(&bench.on(Input::TimerFired(Timer::Heads(lazy)))), [heads(lazy, "d", vv(&[(7, 2)]), false)]);
    // It did not come to it on its usual path: it asks, and the path is in use again.
    let wanted = Message::Want { doc: doc("d"), lineage: 0, ranges: vec![range(7, 1, 2)] };
    let given = Effect::GiveRanges { channel: lazy, doc: doc("d"), lineage: 0, ranges: vec![range(7, 1, 2)], whole: false };
    assert_eq!(sent(&bench.receive(lazy, wanted)), [given]);
    let effects = bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 3)]) });
    assert_eq!(sent(&effects).len(), 2);
}

#[test]
fn a_change_that_came_on_another_path_prunes_the_second_one_once() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let _ = bench.open("d");
    let peer = pipe(&mut bench, 1, "2");
    settled(&mut bench, peer);
    let _ = bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(5, 1), (7, 1)]) });
    let prune = Effect::Send { channel: peer, message: Message::Prune { doc: doc("d") } };
    assert_eq!(sent(&bench.receive(peer, give("d", vv(&[(5, 1), (7, 1)])))), [prune]);
    assert_eq!(sent(&bench.receive(peer, give("d", vv(&[(5, 1), (7, 1)])))), []);
}

#[test]
fn a_told_change_that_does_not_come_by_itself_is_wanted() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let _ = bench.open("d");
    let peer = pipe(&mut bench, 1, "2");
    settled(&mut bench, peer);
    let effects = bench.receive(peer, told("d", vv(&[(5, 4), (7, 1)]), false));
    assert_eq!(sent(&effects), []);
    assert!(effects.contains(&timer(Timer::Graft(doc("d")), fetch::GRAFT_DELAY_MS)), "{effects:?}");
    assert_eq!(sent(&bench.on(Input::TimerFired(Timer::Graft(doc("d"))))), [want(peer, "d", &[range(5, 0, 4)])]);
}

#[test]
fn absurd_ranges_are_cut_to_what_is_here() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let _ = bench.open("d");
    let peer = pipe(&mut bench, 1, "2");
    settled(&mut bench, peer);
    let ranges = vec![range(7, i32::MIN, i32::MAX), range(7, 0, 1), range(9, 0, 5), range(7, 5, 2)];
    let effects = bench.receive(peer, Message::Want { doc: doc("d"), lineage: 0, ranges });
    let ranges = vec![range(7, 0, 1)];
    assert_eq!(sent(&effects), [Effect::GiveRanges { channel: peer, doc: doc("d"), lineage: 0, ranges, whole: true }]);
    let nothing = Message::Want { doc: doc("d"), lineage: 0, ranges: vec![range(9, 0, 5)] };
    assert_eq!(sent(&bench.receive(peer, nothing)), [heads(peer, "d", vv(&[(7, 1)]), false)]);
}

#[test]
fn a_document_shown_again_is_compared_with_whoever_followed_it_and_need_not_know_that_it_was_hidden() {
    let forbid = Rc::new(Forbid::default());
    let config = Config::new(id("1", PeerType::User), Interest::Everything);
    let mut bench = Bench { sync: Synchronizer::new(config, forbid.clone()) };
    let peer = pipe(&mut bench, 1, "2");
    bench.open("d");
    settled(&mut bench, peer);
    let _ = bench.on(Input::DocClosed { doc: doc("d") });
    forbid.visibility.borrow_mut().insert(doc("d"));
    assert_eq!(sent(&bench.on(Input::PermissionsChanged)), []);
    assert_eq!(sent(&bench.on(Input::PermissionsChanged)), [], "still hidden");
    forbid.visibility.borrow_mut().clear();
    assert_eq!(sent(&bench.on(Input::PermissionsChanged)), [heads(peer, "d", vv(&[(7, 1)]), true)]);
}

#[test]
fn what_is_compared_with_a_peer_is_not_asked_for_again_when_its_directory_names_it() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let peer = ChannelId(1);
    let _ = bench.on(Input::ChannelOpened { channel: peer, kind: ChannelKind::Network, initiate: true });
    let _ = bench.receive(peer, Message::EstablishResponse(extended("2", Role::Relay)));
    let named = || Message::DirectoryResponse { docs: vec![doc("d")] };
    let asked = bench.on(Input::DocOpened { doc: doc("d") });
    assert_eq!(sent(&asked)[1..], [heads(peer, "d", vv(&[]), true)]);
    let _ = bench.receive(peer, told("d", vv(&[]), false));
    assert_eq!(sent(&bench.receive(peer, named())), [], "it has said what it has of it");
    // What it does not have it may have by now.
    let _ = bench.receive(peer, Message::Refusal { doc: doc("d"), reason: RefusalReason::Unavailable, retry_ms: None });
    assert_eq!(sent(&bench.receive(peer, named())), [heads(peer, "d", vv(&[]), true)]);
}

#[test]
fn a_hidden_document_is_refused_as_one_that_is_not_there() {
    let forbid = Forbid::default();
    forbid.visibility.borrow_mut().insert(doc("d"));
    let mut hidden = bench(Interest::Everything, forbid);
    let _ = hidden.open("d");
    let mut missing = bench(Interest::Everything, Forbid { creation: true, ..Forbid::default() });
    for bench in [&mut hidden, &mut missing] {
        let peer = pipe(bench, 1, "2");
        assert_eq!(sent(&bench.receive(peer, told("d", vv(&[]), true))), [refusal(peer, "d", RefusalReason::Unavailable)]);
        assert_eq!(sent(&bench.receive(peer, give("d", vv(&[(5, 1)])))), []);
        assert_eq!(
            sent(&bench.receive(peer, Message::DirectoryRequest { docs: None })),
            [Effect::Send { channel: peer, message: Message::DirectoryResponse { docs: vec![] } }]
        );
    }
}

#[test]
fn a_push_or_an_announcement_of_an_unknown_document_needs_the_creation_permission() {
    for allowed in [true, false] {
        let mut bench = bench(Interest::Everything, Forbid { creation: !allowed, ..Forbid::default() });
        let peer = pipe(&mut bench, 1, "2");
        for message in [give("d", vv(&[(5, 1)])), told("e", vv(&[(5, 1)]), false), Message::NewDoc { docs: vec![doc("f")] }] {
            let effects = bench.receive(peer, message);
            assert_eq!(effects.iter().any(|effect| matches!(effect, Effect::CreateDoc { .. })), allowed, "{effects:?}");
        }
    }
}

#[test]
fn a_change_that_may_not_be_made_is_refused_and_not_wanted() {
    let mut bench = bench(Interest::Opened, Forbid { mutability: true, ..Forbid::default() });
    let _ = bench.open("d");
    let peer = pipe(&mut bench, 1, "2");
    let effects = bench.receive(peer, told("d", vv(&[(5, 1), (7, 1)]), true));
    assert_eq!(sent(&effects), [heads(peer, "d", vv(&[(7, 1)]), false), refusal(peer, "d", RefusalReason::Mutability)]);
    assert_eq!(sent(&bench.receive(peer, told("d", vv(&[(5, 2), (7, 1)]), false))), []);
    let pushed = give("d", vv(&[(5, 2), (7, 1)]));
    assert_eq!(sent(&bench.receive(peer, pushed)), [refusal(peer, "d", RefusalReason::Mutability)]);
}

#[test]
fn a_refused_document_is_not_pushed_and_is_offered_again_later() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let _ = bench.open("d");
    let peer = pipe(&mut bench, 1, "2");
    settled(&mut bench, peer);
    let refused = |retry_ms| Message::Refusal { doc: doc("d"), reason: RefusalReason::RateLimited, retry_ms };
    let event = Event::Refused { doc: doc("d"), peer: PeerId::from_wire("2"), reason: RefusalReason::RateLimited, retry_ms: Some(250) };
    let effects = bench.receive(peer, refused(Some(250)));
    assert!(effects.contains(&Effect::Emit(event)), "{effects:?}");
    assert!(effects.contains(&timer(Timer::Offer(peer, doc("d")), 250)), "{effects:?}");
    assert_eq!(sent(&bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 2)]) })), []);
    assert_eq!(sent(&bench.on(Input::TimerFired(Timer::Offer(peer, doc("d"))))), [heads(peer, "d", vv(&[(7, 2)]), true)]);
}

#[test]
fn what_is_not_admitted_is_answered_to_those_who_understand() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let (peer, plain) = (pipe(&mut bench, 1, "2"), bench.network(2, "3"));
    let refused = |channel| Input::Refused { channel, doc: Some(doc("d")), reason: RefusalReason::TooLarge, retry_ms: None };
    assert_eq!(bench.on(refused(peer)), [refusal(peer, "d", RefusalReason::TooLarge)]);
    assert_eq!(bench.on(refused(plain)), []);
}

#[test]
fn what_was_imported_is_acknowledged_from_memory_and_again_when_it_is_on_disk() {
    let mut bench = bench(Interest::Everything, AllowAll);
    bench.store();
    let peer = pipe(&mut bench, 1, "2");
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    let loaded = Input::Loaded {
        channel: STORE,
        doc: doc("d"),
        stored: Stored::default(),
        version: vv(&[]),
        size: StoredSize::default(),
        whole: true,
    };
    let _ = bench.on(loaded);
    let _ = bench.receive(peer, told("d", vv(&[]), false));
    let version = vv(&[(5, 1)]);
    let _ = bench.receive(peer, give("d", version.clone()));
    let imported =
        Input::DocImported { doc: doc("d"), channel: peer, version: version.clone(), announced: version.clone(), pending: vv(&[]) };
    let _ = bench.on(imported);
    let ack = |durable| {
        let message = Message::Ack { doc: doc("d"), lineage: 0, version: vv(&[(5, 1)]), durable: Some(durable), settled: None };
        Effect::Send { channel: peer, message }
    };
    assert_eq!(sent(&bench.on(Input::TimerFired(Timer::Ack(peer)))), [ack(vv(&[]))]);
    let _ = bench.on(Input::TimerFired(Timer::StoreDue(STORE)));
    let effects = bench.on(Input::Stored { channel: STORE, docs: vec![(doc("d"), version, StoredSize::default())], refused: vec![] });
    assert_eq!(sent(&effects), [ack(vv(&[(5, 1)]))]);
}

#[test]
fn bytes_that_cannot_be_imported_are_refused_and_fetched_from_another() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let _ = bench.open("d");
    let (one, two) = (pipe(&mut bench, 1, "2"), pipe(&mut bench, 2, "3"));
    let _ = bench.receive(one, told("d", vv(&[(5, 3)]), true));
    let _ = bench.receive(two, told("d", vv(&[(5, 3)]), true));
    let effects = bench.on(Input::ImportFailed { doc: doc("d"), channel: one });
    assert_eq!(sent(&effects), [refusal(one, "d", RefusalReason::Invalid), want(two, "d", &[range(5, 0, 3)])]);
}

#[test]
fn a_deletion_is_told_with_its_tombstone_and_answers_whoever_still_has_the_document() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let _ = bench.open("d");
    let peer = pipe(&mut bench, 1, "2");
    settled(&mut bench, peer);
    let tombstone = Tombstone { lineage: 0, at: NOW.0, by: PeerId::from_wire("1") };
    let deleted = Effect::Send { channel: peer, message: Message::Deleted { docs: vec![(doc("d"), tombstone)] } };
    assert_eq!(sent(&bench.on(Input::DocDeleted { doc: doc("d") })), [deleted.clone(), Effect::DropDoc { doc: doc("d") }]);
    for message in [told("d", vv(&[(5, 3)]), true), give("d", vv(&[(5, 3)]))] {
        assert_eq!(bench.receive(peer, message), std::slice::from_ref(&deleted));
    }
    // Made anew, it is another document, and any made before is answered with a tombstone that covers it.
    let _ = bench.on(Input::DocCreated { doc: doc("d") });
    let effects = bench.receive(peer, told("d", vv(&[(5, 3)]), true));
    let covering = Tombstone { lineage: NOW.0 - 1, at: NOW.0, by: PeerId::from_wire("1") };
    let covering = Effect::Send { channel: peer, message: Message::Deleted { docs: vec![(doc("d"), covering)] } };
    assert!(effects.contains(&covering), "{effects:?}");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Send { message: Message::Want { .. }, .. })), "{effects:?}");
}

#[test]
fn a_deletion_by_a_peer_needs_permission_and_is_passed_on() {
    for deletion_allowed in [true, false] {
        let mut bench = bench(Interest::Opened, Forbid { deletion_allowed, ..Forbid::default() });
        let _ = bench.open("d");
        let (peer, other) = (pipe(&mut bench, 1, "2"), pipe(&mut bench, 2, "3"));
        settled(&mut bench, peer);
        settled(&mut bench, other);
        let docs = vec![(doc("d"), Tombstone { lineage: 0, at: 5, by: PeerId::from_wire("2") })];
        let effects = sent(&bench.receive(peer, Message::Deleted { docs: docs.clone() }));
        if deletion_allowed {
            assert_eq!(effects, [Effect::Send { channel: other, message: Message::Deleted { docs } }, Effect::DropDoc { doc: doc("d") }]);
        } else {
            assert_eq!(effects, [refusal(peer, "d", RefusalReason::Deletion)]);
        }
    }
}

#[test]
fn tombstones_are_forgotten_when_old_and_beyond_their_number() {
    let tombstones = TombstoneLimits { keep_ms: 1_000, max: 2 };
    let config = Config { tombstones, ..Config::new(id("1", PeerType::User), Interest::Opened) };
    let mut bench = Bench { sync: Synchronizer::new(config, Rc::new(AllowAll)) };
    bench.store();
    let _ = pipe(&mut bench, 1, "2");
    for (number, name) in ["a", "b", "c"].into_iter().enumerate() {
        let _ = bench.at(Input::DocDeleted { doc: doc(name) }, NOW.plus(number as u64));
    }
    let forget = |name: &str| Effect::ForgetDoc { channel: STORE, doc: doc(name) };
    assert_eq!(sent(&bench.at(Input::TimerFired(Timer::Digest), NOW.plus(10))), [forget("a")]);
    assert_eq!(sent(&bench.at(Input::TimerFired(Timer::Digest), NOW.plus(1_002))), [forget("b")]);
    assert!(bench.sync.is_deleted(&doc("c")));
}

#[test]
fn changed_permissions_take_effect_at_once() {
    let forbid = Rc::new(Forbid::default());
    let mut bench =
        Bench { sync: Synchronizer::new(Config::new(id("1", PeerType::User), Interest::Opened), forbid.clone() as Rc<dyn Permissions>) };
    let _ = bench.open("d");
    let peer = pipe(&mut bench, 1, "2");
    settled(&mut bench, peer);
    forbid.visibility.borrow_mut().insert(doc("d"));
    assert_eq!(sent(&bench.on(Input::PermissionsChanged)), []);
    assert_eq!(sent(&bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 2)]) })), []);
    forbid.visibility.borrow_mut().clear();
    assert_eq!(sent(&bench.on(Input::PermissionsChanged)), [heads(peer, "d", vv(&[(7, 2)]), true)]);
}

#[test]
fn a_lineage_without_content_gives_way_to_one_with_content() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let (liar, honest) = (pipe(&mut bench, 1, "2"), pipe(&mut bench, 2, "3"));
    let claim = Head { lineage: 5, ..head("d", vv(&[])) };
    let _ = bench.receive(liar, Message::Heads { heads: vec![claim], reply: false });
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    let effects = bench.receive(honest, told("d", vv(&[(5, 3)]), false));
    assert!(effects.contains(&Effect::CreateDoc { doc: doc("d"), lineage: 0 }), "{effects:?}");
    let effects = bench.on(Input::TimerFired(Timer::Graft(doc("d"))));
    assert_eq!(sent(&effects), [want(honest, "d", &[range(5, 0, 3)])]);
}

#[test]
fn peers_that_cannot_agree_on_a_lineage_say_so_once() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let _ = bench.open("d");
    let peer = pipe(&mut bench, 1, "2");
    settled(&mut bench, peer);
    let newer = Head { lineage: 5, ..head("d", vv(&[(9, 1)])) };
    let tombstone = Tombstone { lineage: 4, at: 1, by: PeerId::from_wire("2") };
    let refused = refusal(peer, "d", RefusalReason::Deletion);
    assert_eq!(sent(&bench.receive(peer, Message::Deleted { docs: vec![(doc("d"), tombstone)] })), [refused]);
    assert_eq!(sent(&bench.receive(peer, Message::Heads { heads: vec![newer], reply: false })), []);
}

#[test]
fn a_relay_believes_a_later_creation_only_from_who_might_have_deleted_the_earlier_one() {
    for deletion_allowed in [true, false] {
        let mut bench = bench(Interest::Everything, Forbid { deletion_allowed, ..Forbid::default() });
        let peer = pipe(&mut bench, 1, "2");
        let claim = Head { lineage: 5, ..head("d", vv(&[(9, 1)])) };
        let effects = bench.receive(peer, Message::Heads { heads: vec![claim], reply: true });
        assert_eq!(effects.contains(&Effect::CreateDoc { doc: doc("d"), lineage: 5 }), deletion_allowed, "{effects:?}");
    }
}

#[test]
fn a_relay_that_dialled_and_only_told_of_a_document_learns_that_it_is_followed() {
    let version = vv(&[(7, 3)]);
    let mut bench = bench(Interest::Opened, AllowAll);
    let open = bench.open("d");
    let _ = bench.on(Input::DocChanged { doc: open, version: version.clone() });
    let channel = ChannelId(1);
    let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: false });
    let relay = Identity { capabilities: Some(Capabilities::own(Role::Relay)), ..id("2", PeerType::Service) };
    let _ = bench.receive(channel, Message::EstablishRequest(relay));
    let told = bench.receive(channel, Message::Heads { heads: vec![head("d", version.clone())], reply: false });
    assert_eq!(sent(&told), [], "both have the same");
    let told = bench.on(Input::TimerFired(Timer::Compare(channel)));
    assert_eq!(sent(&told), [heads(channel, "d", version, true)]);
}

#[test]
fn a_source_that_takes_the_place_of_a_busy_one_is_given_the_usual_time() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let open = bench.open("d");
    let (busy, other) = (pipe(&mut bench, 1, "2"), pipe(&mut bench, 2, "3"));
    let _: u64 = (0..10_000).map(|_| bench.sync.model.burden(busy)).sum();
    let version = vv(&[(9, 1)]);
    let asked = bench.receive(busy, told("d", version.clone(), true));
    assert!(sent(&asked).contains(&want(busy, "d", &[range(9, 0, 1)])), "{asked:?}");
    let patient = |effect: &Effect| matches!(effect, Effect::SetTimer { timer: Timer::Fetch(_), after_ms } if *after_ms > 15_000);
    assert!(asked.iter().any(patient), "{asked:?}");
    let _ = bench.receive(other, told("d", version, true));
    let left = bench.on(Input::ChannelClosed { channel: busy });
    assert!(sent(&left).contains(&want(other, "d", &[range(9, 0, 1)])), "{left:?}");
    assert!(left.contains(&timer(Timer::Fetch(open), fetch::FETCH_TIMEOUT_MS)), "{left:?}");
}
