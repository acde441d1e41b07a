//! Which relays a document that is closed here is offered to: effects compared by equality.

use super::{
    extended::{head, heads, sent},
    inputs::listed,
    *,
};
use crate::{protocol::Capabilities, synchronizer::MAX_KEEPERS};

fn leaf() -> Bench {
    let mut bench = Bench { sync: Synchronizer::new(Config::new(id("1", PeerType::User), Interest::Opened), Rc::new(AllowAll)) };
    bench.store();
    bench
}

fn met(peer: &str, home: Option<u64>) -> Identity {
    Identity { capabilities: Some(Capabilities { home, ..Capabilities::own(Role::Relay) }), ..id(peer, PeerType::Service) }
}

/// A relay this side dialled answers; returns what it is told.
fn meet(bench: &mut Bench, channel: u64, identity: Identity) -> (ChannelId, Vec<Effect>) {
    let channel = ChannelId(channel);
    let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: true });
    let effects = bench.receive(channel, Message::EstablishResponse(identity));
    (channel, sent(&effects))
}

fn kept(version: &VersionVector, keepers: &[u64]) -> Stored {
    Stored { confirmed: version.clone(), keepers: keepers.to_vec(), ..on_disk(version) }
}

/// The relay says what it has on its disk.
fn vouch(bench: &mut Bench, channel: ChannelId, version: &VersionVector) {
    let durable = Some(version.clone());
    let ack = Message::Ack { doc: doc("d"), lineage: 0, version: version.clone(), durable, settled: None };
    let _ = bench.receive(channel, ack);
}

/// What is noted of "d".
fn noted(bench: &mut Bench) -> Vec<(VersionVector, Vec<u64>)> {
    let effects = bench.on(Input::TimerFired(Timer::Note));
    let notes = effects.into_iter().filter_map(|effect| match effect {
        Effect::NoteConfirmed { docs, .. } => Some(docs),
        _ => None,
    });
    notes.flatten().map(|note| (note.confirmed, note.keepers)).collect()
}

#[test]
fn a_closed_document_is_offered_once_to_each_relay_that_is_not_known_to_keep_it() {
    let version = vv(&[(7, 3)]);
    let mut bench = leaf();
    let _ = bench.on(listed(vec![(doc("d"), kept(&version, &[100]))]));
    let (_, told) = meet(&mut bench, 1, met("2", Some(100)));
    assert_eq!(told, [], "it is known to keep it");
    let (other, told) = meet(&mut bench, 2, met("3", Some(200)));
    assert_eq!(told, [heads(other, "d", version.clone(), true)]);
    vouch(&mut bench, other, &version);
    assert_eq!(noted(&mut bench), [(version.clone(), vec![100, 200])]);
    vouch(&mut bench, other, &version);
    assert_eq!(noted(&mut bench), [], "said before");

    let mut restarted = leaf();
    let _ = restarted.on(listed(vec![(doc("d"), kept(&version, &[100, 200]))]));
    for (channel, peer, home) in [(1, "12", 100), (2, "13", 200)] {
        assert_eq!(meet(&mut restarted, channel, met(peer, Some(home))).1, [], "relays have other ids after a restart");
    }
    let (third, told) = meet(&mut restarted, 3, met("14", Some(300)));
    assert_eq!(told, [heads(third, "d", version, true)]);
}

#[test]
fn a_row_that_names_no_relay_is_offered_to_the_next_one() {
    let version = vv(&[(7, 3)]);
    let mut bench = leaf();
    let _ = bench.on(listed(vec![(doc("d"), kept(&version, &[]))]));
    let (hub, told) = meet(&mut bench, 1, met("2", Some(100)));
    assert_eq!(told, [heads(hub, "d", version.clone(), true)]);
    vouch(&mut bench, hub, &vv(&[(7, 2)]));
    assert_eq!(noted(&mut bench), [], "it lacks some of it");
    vouch(&mut bench, hub, &version);
    assert_eq!(noted(&mut bench), [(version, vec![100])]);
}

#[test]
fn a_new_version_is_offered_again_to_all_and_starts_a_new_set() {
    let (old, new) = (vv(&[(7, 3)]), vv(&[(7, 4)]));
    let mut bench = leaf();
    let stored = Stored { version: new.clone(), ..kept(&old, &[100, 200]) };
    let _ = bench.on(listed(vec![(doc("d"), stored)]));
    let (one, told) = meet(&mut bench, 1, met("2", Some(100)));
    assert_eq!(told, [heads(one, "d", new.clone(), true)]);
    let (other, told) = meet(&mut bench, 2, met("3", Some(200)));
    assert_eq!(told, [heads(other, "d", new.clone(), true)]);
    vouch(&mut bench, one, &new);
    assert_eq!(noted(&mut bench), [(new.clone(), vec![100])]);
    vouch(&mut bench, other, &new);
    assert_eq!(noted(&mut bench), [(new, vec![100, 200])]);
}

#[test]
fn a_relay_that_does_not_say_where_it_keeps_documents_is_known_by_its_id() {
    let version = vv(&[(7, 3)]);
    let mut bench = leaf();
    let _ = bench.on(listed(vec![(doc("d"), kept(&version, &[]))]));
    let (hub, told) = meet(&mut bench, 1, met("2", None));
    assert_eq!(told, [heads(hub, "d", version.clone(), true)]);
    vouch(&mut bench, hub, &version);
    let _ = bench.on(Input::ChannelClosed { channel: hub });
    assert_eq!(meet(&mut bench, 2, met("2", None)).1, [], "the same again");
    let (restarted, told) = meet(&mut bench, 3, met("3", None));
    assert_eq!(told, [heads(restarted, "d", version, true)], "it may have lost everything");
}

#[test]
fn a_server_of_the_reference_protocol_is_offered_only_what_nobody_keeps() {
    let version = vv(&[(7, 3)]);
    let mut bench = leaf();
    let docs = vec![(doc("d"), kept(&version, &[100])), (doc("alone"), on_disk(&version))];
    let _ = bench.on(listed(docs));
    let (_, told) = meet(&mut bench, 1, id("2", PeerType::Service));
    assert!(matches!(&told[..], [Effect::CreateDoc { doc: created, .. }, Effect::LoadDoc { .. }] if *created == doc("alone")), "{told:?}");
}

/// It may have had it in memory only, and never says so.
#[test]
fn what_only_a_server_of_the_reference_protocol_had_is_offered_to_the_one_that_takes_its_place() {
    let version = vv(&[(7, 3)]);
    let mut bench = leaf();
    let _ = bench.on(listed(vec![(doc("d"), on_disk(&version))]));
    let loads = |told: &[Effect]| told.iter().filter(|effect| matches!(effect, Effect::LoadDoc { .. })).count();
    let (server, told) = meet(&mut bench, 1, id("2", PeerType::Service));
    assert_eq!(loads(&told), 1);
    let (stored, size) = (on_disk(&version), StoredSize::default());
    let loaded = Input::Loaded { channel: STORE, doc: doc("d"), stored, version: version.clone(), size, whole: true };
    assert_eq!(sent(&bench.on(loaded)), [ask(server, "d", version.clone(), true)]);
    let transmission = Transmission::UpToDate { version: version.clone() };
    let _ = bench.receive(server, Message::SyncResponse { doc: doc("d"), transmission, ephemeral: None });
    let [(_, keepers)] = &noted(&mut bench)[..] else { panic!() };

    let mut restarted = leaf();
    let _ = restarted.on(listed(vec![(doc("d"), kept(&version, keepers))]));
    let (_, told) = meet(&mut restarted, 1, id("2", PeerType::Service));
    assert_eq!(told, [], "the same again");
    let (_, told) = meet(&mut restarted, 2, id("3", PeerType::Service));
    assert_eq!(loads(&told), 1);

    let (hub, told) = meet(&mut bench, 3, met("4", Some(100)));
    assert_eq!(told, [heads(hub, "d", version.clone(), true)]);
    vouch(&mut bench, hub, &version);
    assert_eq!(meet(&mut bench, 4, id("5", PeerType::Service)).1, [], "a hub keeps it");
}

#[test]
fn a_document_that_is_closed_and_in_memory_is_compared_with_a_relay_that_may_lack_it() {
    let mut bench = leaf();
    let (one, _) = meet(&mut bench, 1, met("2", Some(100)));
    let d = bench.open("d");
    let version = vv(&[(7, 1)]);
    let _ = bench.on(Input::Loaded {
        channel: STORE,
        doc: d.clone(),
        stored: Stored::default(),
        version: version.clone(),
        size: StoredSize::default(),
        whole: true,
    });
    let told = Message::Heads { heads: vec![head("d", version.clone())], reply: false };
    let _ = bench.receive(one, told);
    vouch(&mut bench, one, &version);
    let _ = bench.on(Input::DocClosed { doc: d });
    let _ = bench.on(Input::ChannelClosed { channel: one });
    let again = meet(&mut bench, 2, met("4", Some(100))).1;
    assert_eq!(again, []);
    let (other, told) = meet(&mut bench, 3, met("3", Some(200)));
    assert_eq!(told, [heads(other, "d", version, true)]);
}

#[test]
fn relays_beyond_what_is_remembered_take_the_place_of_those_not_met_for_longest() {
    let version = vv(&[(7, 3)]);
    let mut bench = leaf();
    let _ = bench.on(listed(vec![(doc("d"), kept(&version, &[]))]));
    let many = MAX_KEEPERS as u64;
    for home in 0..=many {
        let now = Timestamp(NOW.0 + home);
        let channel = ChannelId(1 + home);
        let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: true });
        let answer = Message::EstablishResponse(met(&format!("2{home}"), Some(home)));
        let told = bench.at(Input::Received { channel, message: answer }, now);
        assert_eq!(sent(&told), [heads(channel, "d", version.clone(), true)], "{home}");
        vouch(&mut bench, channel, &version);
        let _ = bench.on(Input::ChannelClosed { channel });
    }
    let [(_, keepers)] = &noted(&mut bench)[..] else { panic!() };
    assert_eq!(*keepers, [8, 1, 2, 3, 4, 5, 6, 7], "the first is forgotten");
    let (first, told) = meet(&mut bench, 50, met("99", Some(0)));
    assert_eq!(told, [heads(first, "d", version, true)], "and offered it again");
}

#[test]
fn a_relay_that_came_by_itself_is_offered_closed_documents_and_cannot_pass_for_another() {
    let version = vv(&[(7, 3)]);
    let mut bench = leaf();
    let _ = bench.on(listed(vec![(doc("d"), kept(&version, &[100]))]));
    let channel = ChannelId(1);
    let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: false });
    let _ = bench.receive(channel, Message::EstablishRequest(met("2", Some(200))));
    let told = bench.on(Input::TimerFired(Timer::Compare(channel)));
    assert_eq!(sent(&told), [heads(channel, "d", version.clone(), true)]);
    vouch(&mut bench, channel, &version);
    let (hub, told) = meet(&mut bench, 2, met("3", Some(200)));
    assert_eq!(told, [heads(hub, "d", version, true)], "another one said that it has it");
}
