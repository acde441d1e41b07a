//! Peers that lie, flood, repeat themselves or come at a bad time, and stores that fail: each costs itself and nobody else.

use super::{
    extended::{bench, extended, give, head, heads, import, pipe, range, refusal, sent, told, want},
    *,
};
use crate::protocol::{
    RefusalReason,
    extension::{Head, Part, Sum},
};

/// A relay, a peer that speaks the extension, and what deletes may come from whom.
fn relay() -> Bench {
    bench(Interest::Everything, AllowAll)
}

fn loaded(name: &str, stored: Stored) -> Input {
    let version = stored.version.clone();
    Input::Loaded { channel: STORE, doc: doc(name), stored, version, size: StoredSize::default(), whole: true }
}

fn listed(name: &str, stored: Stored) -> Input {
    Input::Listed { channel: STORE, docs: vec![(doc(name), stored)] }
}

fn imported(channel: ChannelId, version: VersionVector, announced: VersionVector) -> Input {
    Input::DocImported { doc: doc("d"), channel, version, announced, pending: VersionVector::new() }
}

#[test]
fn a_document_that_is_announced_costs_nothing_for_peers_that_do_not_follow_it() {
    let mut bench = relay();
    let peers = [1, 2, 3].map(|number| pipe(&mut bench, number, &number.to_string().repeat(2)));
    let theirs = vv(&[(8, 1)]);
    let _ = bench.receive(peers[0], told("d", theirs.clone(), true));
    let effects = bench.on(imported(peers[0], theirs.clone(), theirs.clone()));
    assert_eq!(sent(&effects), []);
    for peer in &peers[1..] {
        assert_eq!(bench.on(Input::TimerFired(Timer::Announce(*peer))), [heads(*peer, "d", theirs.clone(), false)]);
    }
    assert_eq!(peers.map(|peer| bench.sync.model.peek(peer, &doc("d")).is_some()), [true, false, false]);
    let leaf = &mut self::bench(Interest::Opened, AllowAll);
    let hub = pipe(leaf, 1, "2");
    assert_eq!(leaf.receive(hub, told("d", vv(&[(7, 1)]), false)), [Effect::Emit(Event::DocumentAdded(doc("d")))]);
    assert!(leaf.sync.model.peek(hub, &doc("d")).is_none());
}

#[test]
fn a_repeated_handshake_is_answered_and_compares_nothing() {
    let mut bench = relay();
    let peer = pipe(&mut bench, 1, "2");
    let _ = bench.open("d");
    let answer = Message::EstablishResponse(Identity { capabilities: Some(Capabilities::own(Role::Relay)), ..id("1", PeerType::User) });
    assert_eq!(
        bench.receive(peer, Message::EstablishRequest(extended("2", Role::Relay))),
        [Effect::Send { channel: peer, message: answer }]
    );
}

#[test]
fn a_handshake_under_another_name_ends_the_connection() {
    let mut bench = relay();
    let peer = pipe(&mut bench, 1, "2");
    assert_eq!(
        bench.receive(peer, Message::EstablishRequest(extended("3", Role::Leaf))),
        [Effect::CloseChannel { channel: peer }, Effect::Emit(Event::PeerDisconnected(PeerId::from(2))),]
    );
    assert_eq!(bench.request(peer, "d", vv(&[]), true), []);
}

#[test]
fn who_claims_operations_that_are_not_made_yet_does_not_confirm_them_later() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let name = bench.open("d");
    let liar = pipe(&mut bench, 1, "2");
    let _ = bench.receive(liar, told("d", vv(&[(7, i32::MAX)]), true));
    assert_eq!(bench.sync.durability(&name, &vv(&[(7, 1)])), Durability::Hub);
    let effects = bench.on(Input::DocChanged { doc: name.clone(), version: vv(&[(7, 2)]) });
    assert_eq!(bench.sync.durability(&name, &vv(&[(7, 2)])), Durability::Memory);
    assert!(sent(&effects).iter().any(|effect| matches!(effect, Effect::GiveUpdate { .. })), "it is pushed: {effects:?}");
}

#[test]
fn operations_of_others_count_as_confirmed_by_who_said_to_have_them_before_they_came_from_elsewhere() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let name = bench.open("d");
    let (hub, other) = (pipe(&mut bench, 1, "2"), pipe(&mut bench, 2, "3"));
    let both = vv(&[(7, 1), (8, 4)]);
    let _ = bench.receive(hub, told("d", both.clone(), true));
    let _ = bench.receive(other, give("d", both.clone()));
    let _ = bench.on(imported(other, both.clone(), both.clone()));
    assert_eq!(bench.sync.durability(&name, &both), Durability::Hub);
}

#[test]
fn a_claim_of_more_authors_than_anybody_has_is_refused_and_not_kept() {
    let mut bench = relay();
    let name = bench.open("d");
    let liar = pipe(&mut bench, 1, "2");
    let absurd: VersionVector = (0..100_000).map(|author| (author, 1)).collect();
    let effects = bench.receive(liar, told("d", absurd, true));
    assert_eq!(sent(&effects), [refusal(liar, "d", RefusalReason::Invalid)]);
    assert!(bench.sync.model.peek(liar, &name).is_none_or(|link| link.known.is_none()));
}

#[test]
fn who_gives_something_else_than_it_said_is_replaced_at_once() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let name = bench.open("d");
    let (liar, honest) = (pipe(&mut bench, 1, "2"), pipe(&mut bench, 2, "3"));
    let theirs = vv(&[(7, 1), (8, 100)]);
    let _ = bench.receive(liar, told("d", theirs.clone(), true));
    let _ = bench.receive(honest, told("d", theirs.clone(), true));
    let missing = [range(8, 0, 100)];
    assert_eq!(bench.sync.model.docs[&name].fetches[&8].channel, liar);
    let junk = Message::Give {
        doc: name.clone(),
        lineage: 0,
        ranges: missing.to_vec(),
        data: Bytes::from_static(b"ops"),
        version: theirs.clone(),
    };
    let effects = bench.receive(liar, junk);
    assert_eq!(sent(&effects), [import(liar, "d", theirs.clone())]);
    let effects = bench.on(imported(liar, vv(&[(7, 1)]), theirs.clone()));
    assert!(sent(&effects).contains(&want(honest, "d", &missing)), "{effects:?}");
    // Nor does it come back by claiming an older version with the same answer.
    let old = Message::Give { doc: name, lineage: 0, ranges: missing.to_vec(), data: Bytes::new(), version: vv(&[(7, 1)]) };
    let effects = bench.receive(liar, old);
    assert!(!sent(&effects).iter().any(|effect| matches!(effect, Effect::Send { message: Message::Want { .. }, .. })), "{effects:?}");
}

#[test]
fn a_document_named_many_times_in_one_message_is_answered_once() {
    let mut bench = relay();
    let _ = bench.open("d");
    let peer = pipe(&mut bench, 1, "2");
    let many = Message::Heads { heads: vec![head("d", vv(&[(7, 1)])); 10_000], reply: true };
    assert_eq!(sent(&bench.receive(peer, many)), [heads(peer, "d", vv(&[(7, 1)]), false)]);
}

#[test]
fn a_peer_that_keeps_asking_for_the_same_document_is_answered_so_often_and_later_again() {
    let mut bench = relay();
    let _ = bench.open("d");
    let peer = pipe(&mut bench, 1, "2");
    let ask = || Message::Want { doc: doc("d"), lineage: 0, ranges: vec![range(7, 0, 1)] };
    let answers = |bench: &mut Bench, now| {
        let effects = bench.at(Input::Received { channel: peer, message: ask() }, now);
        effects.iter().filter(|effect| matches!(effect, Effect::GiveRanges { .. })).count()
    };
    assert_eq!((0..1_000).map(|_| answers(&mut bench, NOW)).sum::<usize>(), 64);
    assert_eq!(answers(&mut bench, NOW.plus(10_000)), 1);
}

#[test]
fn equal_parts_of_a_comparison_are_looked_at_once_and_comparisons_are_counted() {
    let mut bench = relay();
    for number in 0..100 {
        let _ = bench.open(&format!("d{number}"));
    }
    let peer = ChannelId(1);
    let _ = bench.on(Input::ChannelOpened { channel: peer, kind: ChannelKind::Network, initiate: false });
    let _ = bench.receive(peer, Message::EstablishRequest(extended("2", Role::Relay)));
    let wrong = Sum { part: Part { depth: 0, prefix: 0 }, count: 90, hash: 1 };
    let digest = || Message::Digest { sums: vec![wrong; 4_096], list: Vec::new(), reply: true, stored: false };
    let effects = bench.receive(peer, digest());
    let sums = effects.iter().find_map(|effect| match effect {
        Effect::Send { message: Message::Digest { sums, .. }, .. } => Some((sums.len(), sums.iter().map(|sum| sum.count).sum::<u32>())),
        _ => None,
    });
    assert_eq!(sums, Some((16, 100)));
    let answered = (0..1_000).filter(|_| !sent(&bench.receive(peer, digest())).is_empty()).count();
    assert_eq!(answered, 63);
}

#[test]
fn a_refused_deletion_counts_for_whoever_refused_it_and_only_if_there_was_one() {
    let mut bench = relay();
    let _ = bench.open("d");
    let _ = bench.open("e");
    let peer = pipe(&mut bench, 1, "2");
    let refuse = |name| Message::Refusal { doc: doc(name), reason: RefusalReason::Deletion, retry_ms: None };
    assert_eq!(bench.receive(peer, refuse("e")), []);
    let _ = bench.on(Input::DocDeleted { doc: doc("d") });
    assert_eq!(bench.receive(peer, refuse("d")).len(), 1);
    assert_eq!(bench.receive(peer, refuse("d")), []);
    let tombstone = Tombstone { lineage: 0, at: NOW.0, by: PeerId::from(1) };
    let mut meet = |channel: u64, peer: &str| {
        let channel = ChannelId(channel);
        let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: false });
        sent(&bench.receive(channel, Message::EstablishRequest(extended(peer, Role::Relay))))
            .contains(&Effect::Send { channel, message: Message::Deleted { docs: vec![(doc("d"), tombstone.clone())] } })
    };
    assert_eq!([meet(2, "2"), meet(3, "3")], [false, true]);
}

#[test]
fn a_deletion_that_is_not_allowed_is_told_to_the_application_once() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let _ = bench.open("d");
    let hub = pipe(&mut bench, 1, "2");
    let _ = bench.receive(hub, told("d", vv(&[(7, 1)]), true));
    let tombstone = Tombstone { lineage: 0, at: NOW.0, by: PeerId::from(2) };
    let deleted = || Message::Deleted { docs: vec![(doc("d"), tombstone.clone())] };
    let refused = Event::Refused { doc: doc("d"), peer: PeerId::from(2), reason: RefusalReason::Deleted, retry_ms: None };
    let kept = refusal(hub, "d", RefusalReason::Deletion);
    assert_eq!(bench.receive(hub, deleted()), [Effect::Emit(refused), kept.clone(), ready_changed("d")]);
    assert_eq!(bench.receive(hub, deleted()), [kept]);
}

#[test]
fn a_creation_from_far_in_the_future_is_refused() {
    let mut bench = relay();
    let peer = pipe(&mut bench, 1, "2");
    let heads = vec![Head { doc: doc("d"), lineage: u64::MAX, version: vv(&[(8, 1)]) }];
    assert_eq!(bench.receive(peer, Message::Heads { heads, reply: true }), [refusal(peer, "d", RefusalReason::Invalid)]);
}

#[test]
fn a_document_of_which_a_peer_says_what_cannot_be_is_left_out_of_sums_until_it_says_something_else() {
    let mut bench = relay();
    let peer = pipe(&mut bench, 1, "2");
    bench.open("d");
    let _ = bench.receive(peer, told("d", vv(&[(7, 1)]), true));
    let counted = |bench: &mut Bench| {
        let effects = bench.on(Input::TimerFired(Timer::Digest));
        effects.iter().any(
            |effect| matches!(effect, Effect::Send { message: Message::Digest { sums, .. }, .. } if sums.iter().any(|sum| sum.count == 1)),
        )
    };
    assert!(counted(&mut bench));
    let future = Head { lineage: NOW.0 * 1_000, ..head("d", vv(&[(9, 1)])) };
    let effects = bench.receive(peer, Message::Heads { heads: vec![future], reply: false });
    assert_eq!(sent(&effects), [refusal(peer, "d", RefusalReason::Invalid)]);
    assert!(!counted(&mut bench), "both sides know that it differs");
    let _ = bench.receive(peer, told("d", vv(&[(7, 1)]), false));
    assert!(counted(&mut bench));
}

#[test]
fn a_peer_that_floods_with_deletions_pushes_out_its_own_and_not_those_of_others() {
    let deletion_allowed = Forbid { deletion_allowed: true, ..Forbid::default() };
    let mut config = Config::new(id("1", PeerType::User), Interest::Everything);
    config.tombstones.max = 10;
    let mut bench = Bench { sync: Synchronizer::new(config, Rc::new(deletion_allowed)) };
    let (honest, flood) = (pipe(&mut bench, 1, "2"), pipe(&mut bench, 2, "3"));
    let deleted = |from: u64, numbers: std::ops::Range<u64>| {
        let docs = numbers.map(|number| (doc(&format!("{from}-{number}")), Tombstone { lineage: 0, at: u64::MAX, by: PeerId::from(9) }));
        Message::Deleted { docs: docs.collect() }
    };
    let _ = bench.receive(honest, deleted(2, 0..3));
    let _ = bench.at(Input::Received { channel: flood, message: deleted(3, 0..1_000) }, NOW.plus(1));
    assert_eq!(bench.sync.model.buried[&doc("2-0")], Tombstone { lineage: 0, at: NOW.0, by: PeerId::from(2) });
    let _ = bench.at(Input::TimerFired(Timer::Digest), NOW.plus(2));
    let kept = |from: &str| bench.sync.model.buried.keys().filter(|doc| doc.as_str().starts_with(from)).count();
    assert_eq!((kept("2-"), kept("3-")), (3, 7));
}

#[test]
fn a_store_that_could_not_bury_a_document_is_asked_again() {
    let mut bench = relay();
    bench.store();
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    let _ = bench.on(loaded("d", on_disk(&vv(&[(7, 1)]))));
    let bury = |effects: &[Effect]| effects.iter().filter(|effect| matches!(effect, Effect::BuryDoc { channel: STORE, .. })).count();
    assert_eq!(bury(&bench.on(Input::DocDeleted { doc: doc("d") })), 1);
    let again = timer(Timer::Remove(STORE, doc("d")), 5_000);
    assert_eq!(bench.on(Input::RemovalFailed { channel: STORE, doc: doc("d") }), std::slice::from_ref(&again));
    assert_eq!(bury(&bench.on(Input::TimerFired(Timer::Remove(STORE, doc("d"))))), 1);
    let _ = bench.on(Input::DocForgotten { doc: doc("d") });
    assert_eq!(bench.on(Input::RemovalFailed { channel: STORE, doc: doc("d") }), [again]);
    let forget = Effect::ForgetDoc { channel: STORE, doc: doc("d") };
    assert_eq!(bench.on(Input::TimerFired(Timer::Remove(STORE, doc("d")))), [forget]);
}

#[test]
fn who_asks_while_a_store_cannot_read_a_document_does_not_become_its_creator() {
    let maker = Creator { peer_id: PeerId::from(5), name: None };
    let stored = Stored { creator: Some(maker.clone()), ..on_disk(&vv(&[(7, 1)])) };
    let mut bench = relay();
    bench.store();
    let _ = bench.on(listed("d", stored.clone()));
    let peer = pipe(&mut bench, 1, "2");
    let _ = bench.receive(peer, told("d", vv(&[]), true));
    let _ = bench.on(Input::LoadFailed { channel: STORE, doc: doc("d") });
    assert_eq!(bench.sync.model.docs[&doc("d")].creator, None);
    let _ = bench.on(Input::TimerFired(Timer::Reload(STORE, doc("d"))));
    let _ = bench.on(loaded("d", stored));
    assert_eq!(bench.sync.model.docs[&doc("d")].creator, Some(maker));
}

#[test]
fn a_document_hidden_while_it_was_read_is_not_given_to_those_who_waited() {
    let forbid = Rc::new(Forbid::default());
    let config = Config { features: Features::default(), ..Config::new(id("1", PeerType::User), Interest::Everything) };
    let mut bench = Bench { sync: Synchronizer::new(config, forbid.clone()) };
    bench.store();
    let peer = bench.network(1, "2");
    let _ = bench.request(peer, "d", vv(&[]), true);
    forbid.visibility.borrow_mut().insert(doc("d"));
    let _ = bench.on(Input::PermissionsChanged);
    let effects = bench.on(loaded("d", on_disk(&vv(&[(7, 1)]))));
    assert_eq!(sent(&effects), [unavailable(peer, "d")]);
}

#[test]
fn a_document_shown_again_is_told_of_though_only_a_store_has_it() {
    let forbid = Rc::new(Forbid::default());
    forbid.visibility.borrow_mut().insert(doc("d"));
    let config = Config::new(id("1", PeerType::User), Interest::Everything);
    let mut bench = Bench { sync: Synchronizer::new(config, forbid.clone()) };
    let peer = pipe(&mut bench, 1, "2");
    bench.store();
    let _ = bench.on(listed("d", on_disk(&vv(&[(7, 1)]))));
    assert_eq!(sent(&bench.receive(peer, told("d", vv(&[]), true))), [refusal(peer, "d", RefusalReason::Unavailable)]);
    forbid.visibility.borrow_mut().clear();
    let effects = bench.on(Input::PermissionsChanged);
    assert_eq!(sent(&effects), [heads(peer, "d", vv(&[(7, 1)]), false)]);
}

#[test]
fn a_peer_of_the_reference_protocol_is_told_of_a_document_shown_again_though_it_is_asked_for_it() {
    let forbid = Rc::new(Forbid::default());
    let config = Config::new(id("1", PeerType::User), Interest::Everything);
    let mut bench = Bench { sync: Synchronizer::new(config, forbid.clone()) };
    let peer = bench.network(1, "2");
    bench.open("d");
    let _ = bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 1)]) });
    let _ = bench.request(peer, "d", vv(&[]), true);
    forbid.visibility.borrow_mut().insert(doc("d"));
    let _ = bench.on(Input::PermissionsChanged);
    forbid.visibility.borrow_mut().clear();
    let effects = bench.on(Input::PermissionsChanged);
    // Who is only asked gives, but does not follow.
    assert!(sent(&effects).contains(&Effect::Send { channel: peer, message: Message::NewDoc { docs: vec![doc("d")] } }), "{effects:?}");
}

#[test]
fn a_document_that_was_made_anew_while_that_was_hidden_is_asked_for_though_the_one_before_was_deleted() {
    let forbid = Rc::new(Forbid { deletion_allowed: true, ..Forbid::default() });
    let config = Config::new(id("1", PeerType::User), Interest::Everything);
    let mut bench = Bench { sync: Synchronizer::new(config, forbid.clone()) };
    let peer = pipe(&mut bench, 1, "2");
    let tombstone = Tombstone { lineage: 6, at: NOW.0, by: PeerId::from(2) };
    let _ = bench.receive(peer, Message::Deleted { docs: vec![(doc("d"), tombstone)] });
    let anew = Message::Heads { heads: vec![Head { lineage: 7, ..head("d", vv(&[(8, 1)])) }], reply: false };
    forbid.visibility.borrow_mut().insert(doc("d"));
    assert_eq!(bench.receive(peer, anew.clone()), []);
    forbid.visibility.borrow_mut().clear();
    let question = Message::Heads { heads: vec![Head { lineage: 6, ..head("d", vv(&[])) }], reply: true };
    assert_eq!(sent(&bench.on(Input::PermissionsChanged)), [Effect::Send { channel: peer, message: question.clone() }]);
    let asked = Message::Heads { heads: vec![Head { lineage: 7, ..head("d", vv(&[])) }], reply: true };
    assert!(bench.receive(peer, anew.clone()).contains(&Effect::Send { channel: peer, message: asked }));

    // Whoever has it answers with what it has.
    let mut leaf = self::bench(Interest::Opened, AllowAll);
    let relay = pipe(&mut leaf, 1, "2");
    let _ = leaf.on(Input::DocRestored { doc: doc("d"), lineage: 7, creator: None });
    let _ = leaf.on(Input::DocChanged { doc: doc("d"), version: vv(&[(8, 1)]) });
    let told = leaf.receive(relay, question);
    assert!(told.contains(&Effect::Send { channel: relay, message: anew }), "{told:?}");
}

#[test]
fn a_document_without_content_is_compared_when_it_is_shown_to_whoever_asked_for_it_while_it_was_hidden() {
    for known in [true, false] {
        let forbid = Rc::new(Forbid::default());
        forbid.visibility.borrow_mut().insert(doc("d"));
        let config = Config::new(id("1", PeerType::User), Interest::Everything);
        let mut bench = Bench { sync: Synchronizer::new(config, forbid.clone()) };
        let [asks, announces] = [(1, "2"), (2, "3")].map(|(channel, peer)| bench.network(channel, peer));
        let tells = pipe(&mut bench, 3, "4");
        if known {
            let _ = bench.on(Input::DocOpened { doc: doc("d") });
        }
        assert_eq!(sent(&bench.request(asks, "d", vv(&[]), true)), [unavailable(asks, "d")]);
        assert_eq!(bench.receive(announces, Message::NewDoc { docs: vec![doc("d")] }), []);
        assert_eq!(sent(&bench.receive(tells, told("d", vv(&[]), true))), [refusal(tells, "d", RefusalReason::Unavailable)]);
        forbid.visibility.borrow_mut().clear();
        // An announcement would say nothing: there is no content. They are asked whether they still have it.
        let effects = bench.on(Input::PermissionsChanged);
        for channel in [asks, announces, tells] {
            let question = Effect::Send { channel, message: Message::DirectoryRequest { docs: Some(vec![doc("d")]) } };
            assert!(effects.contains(&question), "{known} {channel:?}: {effects:?}");
        }
        let effects = bench.receive(asks, Message::DirectoryResponse { docs: vec![doc("d")] });
        assert!(known || sent(&effects).contains(&ask(asks, "d", vv(&[]), true)), "{effects:?}");
    }
}

#[test]
fn a_leaf_does_not_list_what_a_peer_asks_for_unless_the_peer_may_create_it() {
    for (creation, known) in [(true, false), (false, true)] {
        let mut bench = Bench::new(Interest::Opened, Forbid { creation, ..Forbid::default() });
        let peer = bench.network(1, "2");
        let effects = bench.request(peer, "d", vv(&[]), true);
        assert!(sent(&effects).contains(&unavailable(peer, "d")));
        let tab = bench.pipe(2, ChannelKind::Tabs, "3");
        let _ = bench.request(tab, "e", vv(&[]), true);
        assert_eq!(bench.sync.documents().count(), if known { 2 } else { 0 });
    }
}

#[test]
fn documents_of_peers_are_read_so_many_at_a_time_and_those_of_the_application_at_once() {
    let mut bench = relay();
    bench.store();
    let peer = pipe(&mut bench, 1, "2");
    let loads = |effects: &[Effect]| effects.iter().filter(|effect| matches!(effect, Effect::LoadDoc { .. })).count();
    let docs: Vec<_> = (0..1_000).map(|number| doc(&format!("d{number:04}"))).collect();
    let effects = bench.receive(peer, Message::NewDoc { docs: docs.clone() });
    assert_eq!(loads(&effects), 256);
    assert_eq!(loads(&bench.on(Input::DocOpened { doc: docs[999].clone() })), 1);
    let mut read = loads(&effects) + 1;
    for doc in &docs {
        let stored = Stored::default();
        let (version, size) = (VersionVector::new(), StoredSize::default());
        let done = Input::Loaded { channel: STORE, doc: doc.clone(), stored, version, size, whole: true };
        read += loads(&bench.on(done));
    }
    assert_eq!(read, 1_000);
    assert!(docs.iter().all(|doc| bench.sync.model.is_ready(doc)));
}

#[test]
fn a_document_nobody_waits_for_any_more_is_not_read() {
    let mut bench = relay();
    bench.store();
    let peer = pipe(&mut bench, 1, "2");
    let docs: Vec<_> = (0..300).map(|number| doc(&format!("d{number:04}"))).collect();
    let _ = bench.receive(peer, Message::NewDoc { docs: docs.clone() });
    let _ = bench.on(Input::ChannelClosed { channel: peer });
    for doc in &docs[..256] {
        let (version, size) = (VersionVector::new(), StoredSize::default());
        let done = Input::Loaded { channel: STORE, doc: doc.clone(), stored: Stored::default(), version, size, whole: true };
        let effects = bench.on(done);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::LoadDoc { .. })), "{effects:?}");
    }
    assert!(bench.sync.model.docs.is_empty());
}

#[test]
fn what_a_peer_makes_known_is_counted_for_it_also_when_it_deletes_it_or_comes_again() {
    let mut bench = bench(Interest::Everything, Forbid { deletion_allowed: true, ..Forbid::default() });
    let peer = pipe(&mut bench, 1, "2");
    for round in 0..2 {
        let docs: Vec<_> = (0..100_000).map(|number| doc(&format!("{round}-{number}"))).collect();
        let _ = bench.receive(peer, Message::NewDoc { docs: docs.clone() });
        if round == 0 {
            let tombstone = Tombstone { lineage: 0, at: 0, by: PeerId::from(2) };
            let _ = bench.receive(peer, Message::Deleted { docs: docs.into_iter().map(|doc| (doc, tombstone.clone())).collect() });
        }
    }
    assert!(bench.sync.model.is_crowded(peer));
    let _ = bench.on(Input::ChannelClosed { channel: peer });
    let peer = pipe(&mut bench, 2, "2");
    let _ = bench.receive(peer, Message::NewDoc { docs: vec![doc("one more")] });
    assert!(!bench.sync.documents().any(|known| *known == doc("one more")));
}

#[test]
fn documents_a_peer_asks_for_count_for_it_while_they_wait_to_be_read() {
    let ask = |names: std::ops::Range<u32>, extended: bool| -> Vec<Message> {
        let docs = names.map(|number| number.to_string());
        if extended {
            let heads: Vec<_> = docs.map(|name| head(&name, vv(&[]))).collect();
            return heads.chunks(1_000).map(|heads| Message::Heads { heads: heads.to_vec(), reply: true }).collect();
        }
        docs.map(|name| Message::SyncRequest { doc: doc(&name), version: vv(&[]), ephemeral: None, bidirectional: true }).collect()
    };
    for (extended, peers) in [(true, ["2", "3"]), (false, ["4", "5"])] {
        let mut bench = relay();
        bench.store();
        let [first, second] = [1, 2].map(|number: u64| match extended {
            true => pipe(&mut bench, number, peers[number as usize - 1]),
            false => bench.network(number, peers[number as usize - 1]),
        });
        bench.sync.model.channels.get_mut(&first).unwrap().introduced = 199_500;
        let _ = ask(0..490, extended).into_iter().flat_map(|message| bench.receive(first, message)).count();
        let refused = |bench: &mut Bench, peer, names| {
            let refusals = |effect: &Effect| {
                let Effect::Send { message, .. } = effect else { return false };
                matches!(
                    message,
                    Message::Refusal { reason: RefusalReason::Unavailable, .. }
                        | Message::SyncResponse { transmission: Transmission::Unavailable, .. }
                )
            };
            let effects: Vec<_> = ask(names, extended).into_iter().flat_map(|message| bench.receive(peer, message)).collect();
            effects.iter().filter(|effect| refusals(effect)).count()
        };
        assert_eq!(refused(&mut bench, first, 490..520), 20);
        assert_eq!(bench.sync.model.docs.len(), 500);
        assert_eq!(refused(&mut bench, second, 500..520), 0, "others may go on");
        // Who waits for the same has it counted when the first one leaves.
        assert_eq!(refused(&mut bench, second, 0..100), 0);
        let _ = bench.on(Input::ChannelClosed { channel: first });
        assert_eq!(bench.sync.model.channels[&second].introduced, 120);
        let (version, size) = (VersionVector::new(), StoredSize::default());
        let read = |name: &str| Input::Loaded { channel: STORE, doc: doc(name), stored: Stored::default(), version, size, whole: true };
        let _ = bench.on(read("0"));
        assert_eq!(bench.sync.model.channels[&second].introduced, 120, "it came into being");
    }
}

#[test]
fn operations_that_come_while_a_document_is_read_are_taken_when_it_is() {
    let mut bench = relay();
    bench.store();
    let _ = bench.on(listed("d", on_disk(&vv(&[(7, 1)]))));
    let peer = pipe(&mut bench, 1, "2");
    let both = vv(&[(7, 1), (8, 1)]);
    assert_eq!(
        sent(&bench.receive(peer, give("d", both.clone()))),
        [Effect::CreateDoc { doc: doc("d"), lineage: 0 }, Effect::LoadDoc { channel: STORE, doc: doc("d") }]
    );
    let effects = bench.on(loaded("d", on_disk(&vv(&[(7, 1)]))));
    assert!(sent(&effects).contains(&import(peer, "d", both)), "{effects:?}");
}

#[test]
fn what_only_a_store_has_is_offered_also_when_the_store_is_listed_after_the_connection() {
    let mut bench = bench(Interest::Opened, AllowAll);
    bench.store();
    let hub = ChannelId(1);
    let _ = bench.on(Input::ChannelOpened { channel: hub, kind: ChannelKind::Network, initiate: true });
    let _ = bench.receive(hub, Message::EstablishResponse(extended("2", Role::Relay)));
    let offered = bench.on(listed("d", on_disk(&vv(&[(7, 1)]))));
    assert_eq!(sent(&offered), [heads(hub, "d", vv(&[(7, 1)]), true)]);
}
