//! Effects of what applications and stores say, and of comparisons, compared by equality.

use super::*;
use crate::protocol::{
    RefusalReason,
    extension::{Head, Part, Sum},
};

fn extended(bench: &mut Bench, channel: u64, peer: &str, role: Role) -> ChannelId {
    let channel = ChannelId(channel);
    let identity = Identity { capabilities: Some(Capabilities::own(role)), ..id(peer, PeerType::User) };
    let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: role == Role::Relay });
    let greeting = if role == Role::Relay { Message::EstablishResponse(identity) } else { Message::EstablishRequest(identity) };
    let _ = bench.receive(channel, greeting);
    channel
}

fn relay() -> Bench {
    Bench { sync: Synchronizer::new(Config::new(id("1", PeerType::User), Interest::Everything), Rc::new(AllowAll)) }
}

fn heads(channel: ChannelId, name: &str, version: VersionVector, reply: bool) -> Effect {
    let heads = vec![Head { doc: doc(name), lineage: 0, version }];
    Effect::Send { channel, message: Message::Heads { heads, reply } }
}

fn buried(lineage: u64) -> Tombstone {
    Tombstone { lineage, at: NOW.0, by: PeerId::from_wire("1") }
}

fn added(name: &str) -> Effect {
    Effect::Emit(Event::DocumentAdded(doc(name)))
}

pub(super) fn listed(docs: Vec<(DocId, Stored)>) -> Input {
    Input::Listed { channel: STORE, docs }
}

#[test]
fn what_a_store_lists_is_known_and_what_no_other_machine_has_is_told_to_a_relay() {
    let mut bench = Bench { sync: Synchronizer::new(Config::new(id("1", PeerType::User), Interest::Opened), Rc::new(AllowAll)) };
    bench.store();
    let hub = ChannelId(1);
    let capabilities = Some(Capabilities { home: Some(5), ..Capabilities::own(Role::Relay) });
    let identity = Identity { capabilities, ..id("2", PeerType::Service) };
    let _ = bench.on(Input::ChannelOpened { channel: hub, kind: ChannelKind::Network, initiate: true });
    let _ = bench.receive(hub, Message::EstablishResponse(identity));
    let version = vv(&[(7, 3)]);
    let known = Stored { confirmed: version.clone(), keepers: vec![5], ..on_disk(&version) };
    let effects = bench.on(listed(vec![(doc("alone"), on_disk(&version)), (doc("safe"), known.clone())]));
    assert_eq!(effects, [added("alone"), added("safe"), heads(hub, "alone", version.clone(), true)]);
    assert_eq!(bench.on(listed(vec![(doc("safe"), known)])), [heads(hub, "alone", version, true)], "nothing is added twice");
}

#[test]
fn a_store_is_told_what_was_deleted_and_forgotten_before_it_listed() {
    let mut bench = Bench::client();
    let _ = bench.open("gone");
    let _ = bench.open("dropped");
    let _ = bench.on(Input::DocDeleted { doc: doc("gone") });
    let _ = bench.on(Input::DocForgotten { doc: doc("dropped") });
    bench.store();
    let old = on_disk(&vv(&[(7, 1)]));
    let remembered = Stored { tombstone: Some(buried(9)), ..Stored::default() };
    let docs = vec![(doc("gone"), old.clone()), (doc("dropped"), old), (doc("other"), remembered)];
    assert_eq!(
        bench.on(listed(docs)),
        [
            Effect::ForgetDoc { channel: STORE, doc: doc("dropped") },
            Effect::BuryDoc { channel: STORE, doc: doc("gone"), tombstone: buried(0) },
        ]
    );
    assert!(bench.sync.is_deleted(&doc("other")) && bench.sync.documents().next().is_none());
}

#[test]
fn a_store_that_cannot_list_is_asked_again_later_each_time() {
    let mut bench = Bench::client();
    bench.store();
    for after in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
        assert_eq!(bench.on(Input::ListFailed { channel: STORE }), [timer(Timer::Relist(STORE), after)]);
        assert_eq!(bench.on(Input::TimerFired(Timer::Relist(STORE))), [Effect::ListDocs { channel: STORE }]);
    }
}

#[test]
fn a_closed_document_is_not_asked_about_when_a_peer_comes() {
    let mut bench = Bench::client();
    let d = bench.open("d");
    let _ = bench.open("e");
    assert_eq!(bench.on(Input::DocClosed { doc: d.clone() }), []);
    let first = bench.network(1, "2");
    // What only this side has is brought along, open or not; then it is known.
    let _ = bench.request(first, "d", vv(&[(7, 1)]), false);
    let _ = bench.on(Input::ChannelOpened { channel: ChannelId(2), kind: ChannelKind::Network, initiate: false });
    let effects = bench.receive(ChannelId(2), Message::EstablishRequest(id("3", PeerType::User)));
    assert!(effects.contains(&ask(ChannelId(2), "e", vv(&[(7, 1)]), true)), "{effects:?}");
    assert!(!effects.contains(&ask(ChannelId(2), "d", vv(&[(7, 1)]), true)), "{effects:?}");
}

#[test]
fn a_forgotten_document_is_dropped_here_and_nobody_is_told() {
    let mut bench = Bench::client();
    bench.store();
    let peer = bench.network(1, "2");
    let _ = bench.open("d");
    let _ = bench.request(peer, "d", vv(&[(7, 1)]), false);
    assert_eq!(
        bench.on(Input::DocForgotten { doc: doc("d") }),
        [
            Effect::DropDoc { doc: doc("d") },
            Effect::Emit(Event::DocumentRemoved(doc("d"))),
            Effect::ForgetDoc { channel: STORE, doc: doc("d") },
        ]
    );
    assert_eq!(bench.receive(peer, Message::NewDoc { docs: vec![doc("d")] }), [], "it stays dropped until it is opened");
    assert_eq!(bench.request(peer, "d", vv(&[]), false), [unavailable(peer, "d")]);
    assert!(!bench.sync.is_deleted(&doc("d")));
}

#[test]
fn who_waits_for_the_network_has_those_asked_that_have_not_confirmed() {
    let mut bench = Bench::client();
    let d = bench.open("d");
    let (settled, behind) = (bench.network(1, "2"), bench.network(2, "3"));
    let tab = bench.pipe(3, ChannelKind::Tabs, "4");
    let up_to_date = |version| Message::SyncResponse { doc: d.clone(), transmission: Transmission::UpToDate { version }, ephemeral: None };
    let _ = bench.receive(settled, up_to_date(vv(&[(7, 1)])));
    for peer in [behind, tab] {
        let _ = bench.receive(peer, up_to_date(vv(&[])));
    }
    // A question is under way to each anyway; once answered, asking is up to whoever waits.
    let effects = bench.on(Input::SyncWanted { doc: d.clone(), kind: ChannelKind::Network });
    let asked: Vec<_> = effects.iter().filter(|effect| matches!(effect, Effect::Send { .. })).collect();
    assert_eq!(asked, [&ask(behind, "d", vv(&[(7, 1)]), true)]);
    assert_eq!(bench.on(Input::SyncWanted { doc: d, kind: ChannelKind::Network }), [], "one question at a time");
    assert_eq!(bench.on(Input::SyncWanted { doc: doc("unknown"), kind: ChannelKind::Network }), []);
}

#[test]
fn a_flush_writes_at_once_and_once_more_after_a_write_under_way() {
    let mut bench = Bench::client();
    bench.store();
    let d = doc("d");
    let _ = bench.on(Input::DocOpened { doc: d.clone() });
    let empty = || Input::Loaded {
        channel: STORE,
        doc: doc("d"),
        stored: Stored::default(),
        version: vv(&[]),
        size: StoredSize::default(),
        whole: true,
    };
    let _ = bench.on(empty());
    assert_eq!(bench.on(Input::FlushWanted), [], "nothing is dirty");
    let _ = bench.on(Input::DocChanged { doc: d.clone(), version: vv(&[(7, 1)]) });
    let write = |since: &[(u64, i32)], snapshot| Effect::StoreDocs { channel: STORE, docs: vec![store_doc("d", vv(since), snapshot)] };
    let effects = bench.on(Input::SyncWanted { doc: d.clone(), kind: ChannelKind::Storage });
    assert_eq!(effects, [write(&[], false)], "to wait for stores is to flush");
    let _ = bench.on(Input::DocChanged { doc: d.clone(), version: vv(&[(7, 2)]) });
    assert_eq!(bench.on(Input::FlushWanted), [], "one transaction at a time");
    let stored = Input::Stored { channel: STORE, docs: vec![(d, vv(&[(7, 1)]), StoredSize::default())], refused: vec![] };
    let writes: Vec<_> = bench.on(stored).into_iter().filter(|effect| matches!(effect, Effect::StoreDocs { .. })).collect();
    assert_eq!(writes, [write(&[(7, 1)], false)]);
}

#[test]
fn unconfirmed_is_what_no_write_has_confirmed_whether_or_not_one_is_under_way_or_the_document_was_read() {
    let mut bench = Bench::client();
    bench.store();
    let unconfirmed = |bench: &Bench| bench.sync.unconfirmed(STORE);
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    let _ = bench.on(Input::DocOpened { doc: doc("unread") });
    assert_eq!(unconfirmed(&bench), [], "opening alone is nothing to keep");
    let loaded = Input::Loaded {
        channel: STORE,
        doc: doc("d"),
        stored: on_disk(&vv(&[(7, 1)])),
        version: vv(&[(7, 1)]),
        size: StoredSize::default(),
        whole: true,
    };
    let _ = bench.on(loaded);
    assert_eq!(unconfirmed(&bench), []);
    let _ = bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 2)]) });
    let _ = bench.on(Input::DocChanged { doc: doc("unread"), version: vv(&[(8, 1)]) });
    assert!(matches!(bench.on(Input::FlushWanted)[..], [Effect::StoreDocs { .. }]), "it is under way");
    let _ = bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 3)]) });
    let unread = store_doc("unread", vv(&[]), false);
    let typed = store_doc("d", vv(&[(7, 1)]), false);
    let mut found = unconfirmed(&bench);
    found.sort_by(|a, b| a.doc.cmp(&b.doc));
    assert_eq!(found, [typed, unread.clone()]);
    let stored = Input::Stored { channel: STORE, docs: vec![(doc("d"), vv(&[(7, 3)]), StoredSize::default())], refused: vec![] };
    let _ = bench.on(stored);
    assert_eq!(unconfirmed(&bench), [unread]);
}

#[test]
fn discovery_asks_every_network_peer_and_no_tab() {
    let mut bench = Bench::client();
    let (one, two) = (bench.network(1, "2"), bench.network(2, "3"));
    let _ = bench.pipe(3, ChannelKind::Tabs, "4");
    let directory = |channel| Effect::Send { channel, message: Message::DirectoryRequest { docs: None } };
    assert_eq!(bench.on(Input::DiscoveryWanted), [directory(one), directory(two)]);
}

#[test]
fn a_directory_shows_what_was_asked_for_and_may_be_seen() {
    let forbid = Forbid::default();
    forbid.visibility.borrow_mut().insert(doc("hidden"));
    let mut bench = Bench::new(Interest::Opened, forbid);
    for name in ["a", "b", "hidden"] {
        let _ = bench.open(name);
    }
    let peer = bench.network(1, "2");
    let answer = |names: &[&str]| {
        vec![Effect::Send { channel: peer, message: Message::DirectoryResponse { docs: names.iter().map(|name| doc(name)).collect() } }]
    };
    assert_eq!(bench.receive(peer, Message::DirectoryRequest { docs: None }), answer(&["a", "b"]));
    let filter = Some(vec![doc("b"), doc("hidden"), doc("unknown")]);
    assert_eq!(bench.receive(peer, Message::DirectoryRequest { docs: filter }), answer(&["b"]));
    assert_eq!(bench.receive(peer, Message::DirectoryRequest { docs: Some(Vec::new()) }), answer(&[]));
}

const WHOLE: Part = Part { depth: 0, prefix: 0 };

/// A relay that follows "a" and "b" with a peer of the extension.
fn followed() -> (Bench, ChannelId) {
    let mut bench = relay();
    let peer = extended(&mut bench, 1, "2", Role::Leaf);
    for name in ["a", "b"] {
        let _ = bench.open(name);
        let heads = vec![Head { doc: doc(name), lineage: 0, version: vv(&[(7, 1)]) }];
        let _ = bench.receive(peer, Message::Heads { heads, reply: true });
    }
    (bench, peer)
}

fn digest(sums: Vec<Sum>, list: Vec<Part>, reply: bool) -> Message {
    Message::Digest { sums, list, reply, stored: false }
}

/// What the relay says of everything.
fn whole(bench: &mut Bench) -> Sum {
    let _ = bench.on(Input::TimerFired(Timer::Digest));
    let effects = bench.sync.update(Input::TimerFired(Timer::Digest), NOW);
    let sums = effects.into_iter().find_map(|effect| match effect {
        Effect::Send { message: Message::Digest { sums, .. }, .. } => Some(sums),
        _ => None,
    });
    sums.expect("the lower id begins")[0]
}

#[test]
fn an_equal_sum_is_answered_only_if_that_was_asked_for() {
    let (mut bench, peer) = followed();
    let ours = whole(&mut bench);
    assert_eq!((ours.part, ours.count), (WHOLE, 2));
    assert_eq!(bench.receive(peer, digest(vec![ours], Vec::new(), false)), []);
    let answer = Effect::Send { channel: peer, message: digest(vec![ours], Vec::new(), false) };
    assert_eq!(bench.receive(peer, digest(vec![ours], Vec::new(), true)), [answer]);
}

#[test]
fn a_differing_sum_over_few_documents_is_answered_with_their_heads() {
    let (mut bench, peer) = followed();
    let ours = whole(&mut bench);
    let theirs = Sum { hash: ours.hash ^ 1, ..ours };
    let effects = bench.receive(peer, digest(vec![theirs], Vec::new(), false));
    let [Effect::Send { message: Message::Heads { heads, reply: false }, .. }, list] = &effects[..] else { panic!("{effects:?}") };
    let mut told: Vec<_> = heads.iter().map(|head| (head.doc.as_str(), &head.version)).collect();
    told.sort_by_key(|(name, _)| *name);
    assert_eq!(told, [("a", &vv(&[(7, 1)])), ("b", &vv(&[(7, 1)]))]);
    assert_eq!(*list, Effect::Send { channel: peer, message: digest(Vec::new(), vec![WHOLE], false) }, "and the peer's are wanted");
}

#[test]
fn a_differing_sum_over_many_documents_is_answered_with_sixteen_closer_ones() {
    let (mut bench, peer) = followed();
    let theirs = Sum { part: WHOLE, count: 10_000, hash: 5 };
    let effects = bench.receive(peer, digest(vec![theirs], Vec::new(), true));
    let [Effect::Send { message: Message::Digest { sums, list, reply: true, stored: false }, .. }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert!(list.is_empty());
    assert_eq!(sums.iter().map(|sum| sum.part).collect::<Vec<_>>(), (0..16).map(|prefix| Part { depth: 1, prefix }).collect::<Vec<_>>());
    assert_eq!(sums.iter().map(|sum| sum.count).sum::<u32>(), 2);
}

#[test]
fn a_wanted_part_is_answered_with_its_heads_and_a_hidden_document_is_in_none() {
    let (mut bench, peer) = followed();
    let effects = bench.receive(peer, digest(Vec::new(), vec![WHOLE, WHOLE], false));
    let [Effect::Send { message: Message::Heads { heads, reply: false }, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(heads.len(), 2);
    let _ = bench.receive(peer, Message::Refusal { doc: doc("a"), reason: RefusalReason::Unavailable, retry_ms: None });
    let effects = bench.receive(peer, digest(Vec::new(), vec![WHOLE], false));
    assert_eq!(effects, [heads_of(peer, "b")], "what is not agreed on is in no sum");
}

fn heads_of(channel: ChannelId, name: &str) -> Effect {
    heads(channel, name, vv(&[(7, 1)]), false)
}
