//! Documents leave memory and come back.

use super::*;
use crate::{
    collections::SortedSet,
    synchronizer::unload::{MAX_UNLOADED, MemoryBudget},
};

fn frugal(interest: Interest) -> Bench {
    let memory = MemoryBudget { documents: 1, bytes: u64::MAX };
    let config = Config { features: Features::default(), memory, ..Config::new(id("1", PeerType::User), interest) };
    let mut bench = Bench { sync: Synchronizer::new(config, Rc::new(AllowAll)) };
    bench.store();
    bench
}

fn later(seconds: u64) -> Timestamp {
    NOW.plus(seconds * 1_000)
}

/// What a store does when a document with one operation of author 7 is opened and read, or edited and written.
fn stored(bench: &mut Bench, name: &str, at: Timestamp) {
    let version = vv(&[(7, 1)]);
    let size = StoredSize { records: 1, snapshot_bytes: 0, update_bytes: 10, ..StoredSize::default() };
    let _ = bench.at(Input::DocOpened { doc: doc(name) }, at);
    let stored = on_disk(&version);
    let _ = bench.at(Input::Loaded { channel: STORE, doc: doc(name), stored, version, size, whole: true }, at);
}

fn close(bench: &mut Bench, name: &str, at: Timestamp) {
    let _ = bench.at(Input::DocClosed { doc: doc(name) }, at);
}

/// Lets memory be looked at; `held` are the documents something outside holds. Returns those that leave.
fn look(bench: &mut Bench, held: &[&str], at: Timestamp) -> Vec<String> {
    let mut effects = bench.at(Input::TimerFired(Timer::Memory), at);
    if effects.contains(&Effect::CheckMemory) {
        effects = bench.at(Input::MemoryChecked { held: held.iter().map(|name| doc(name)).collect() }, at);
    }
    effects
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::UnloadDoc { doc } => Some(doc.as_str().to_owned()),
            _ => None,
        })
        .collect()
}

#[test]
fn the_least_recently_used_leaves_first() {
    let mut bench = frugal(Interest::Opened);
    for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
        stored(&mut bench, name, later(at as u64));
    }
    for (at, name) in ["b", "c", "a"].into_iter().enumerate() {
        close(&mut bench, name, later(10 + at as u64));
    }
    assert_eq!(look(&mut bench, &[], later(20)), ["b", "c"], "one may stay");
    assert_eq!(bench.sync.documents().count(), 3, "all are known of");
}

#[test]
fn what_is_open_held_dirty_or_being_read_stays() {
    let mut bench = frugal(Interest::Opened);
    for name in ["open", "held", "dirty", "kept"] {
        stored(&mut bench, name, NOW);
    }
    let _ = bench.on(Input::DocChanged { doc: doc("dirty"), version: vv(&[(7, 2)]) });
    for name in ["held", "dirty", "kept"] {
        close(&mut bench, name, later(1));
    }
    let _ = bench.on(Input::DocOpened { doc: doc("reading") });
    close(&mut bench, "reading", later(1));
    assert_eq!(look(&mut bench, &["held"], later(2)), ["kept"], "only what is on disk and wanted by nobody");
    let size = StoredSize { records: 2, snapshot_bytes: 0, update_bytes: 20, ..StoredSize::default() };
    let _ = bench.at(Input::Stored { channel: STORE, docs: vec![(doc("dirty"), vv(&[(7, 2)]), size)], refused: vec![] }, later(3));
    assert_eq!(look(&mut bench, &["held"], later(4)), [""; 0], "it is being brought to one snapshot");
    let writes = bench.at(Input::TimerFired(Timer::StoreDue(STORE)), later(4));
    assert_eq!(writes, [Effect::StoreDocs { channel: STORE, docs: vec![store_doc("dirty", vv(&[(7, 2)]), true)] }]);
    let size = StoredSize { records: 1, snapshot_bytes: 20, update_bytes: 0, ..StoredSize::default() };
    let _ = bench.at(Input::Stored { channel: STORE, docs: vec![(doc("dirty"), vv(&[(7, 2)]), size)], refused: vec![] }, later(4));
    assert_eq!(look(&mut bench, &["held"], later(5)), ["dirty"], "once it is written");
}

#[test]
fn without_a_store_everything_stays() {
    let memory = MemoryBudget { documents: 0, bytes: 0 };
    let config = Config { memory, ..Config::new(id("1", PeerType::User), Interest::Opened) };
    let mut bench = Bench { sync: Synchronizer::new(config, Rc::new(AllowAll)) };
    bench.open("a");
    close(&mut bench, "a", NOW);
    let held = SortedSet::new();
    assert!(!bench.at(Input::MemoryChecked { held }, later(100)).contains(&Effect::UnloadDoc { doc: doc("a") }));
}

#[test]
fn bytes_count_as_well_as_documents() {
    let memory = MemoryBudget { documents: 100, bytes: 25 };
    let config = Config { features: Features::default(), memory, ..Config::new(id("1", PeerType::User), Interest::Opened) };
    let mut bench = Bench { sync: Synchronizer::new(config, Rc::new(AllowAll)) };
    bench.store();
    for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
        stored(&mut bench, name, NOW);
        close(&mut bench, name, later(at as u64));
    }
    assert_eq!(look(&mut bench, &[], later(9)), ["a"], "of three times ten bytes");
}

#[test]
fn so_many_documents_leave_at_one_look_and_the_others_at_the_next() {
    let mut bench = frugal(Interest::Opened);
    for number in 0..2 * MAX_UNLOADED {
        let name = number.to_string();
        stored(&mut bench, &name, NOW);
        close(&mut bench, &name, NOW);
    }
    assert_eq!(look(&mut bench, &[], later(100)).len(), MAX_UNLOADED);
    assert_eq!(look(&mut bench, &[], later(101)).len(), MAX_UNLOADED - 1);
    assert_eq!(look(&mut bench, &[], later(102)).len(), 0);
}

/// A repo with document "a", which a peer follows, on disk and out of memory.
fn away(interest: Interest) -> (Bench, ChannelId) {
    let mut bench = frugal(interest);
    let peer = bench.network(1, "2");
    for name in ["a", "b"] {
        stored(&mut bench, name, NOW);
        let _ = bench.request(peer, name, vv(&[(7, 1)]), false);
        let transmission = Transmission::UpToDate { version: vv(&[(7, 1)]) };
        let _ = bench.receive(peer, Message::SyncResponse { doc: doc(name), transmission, ephemeral: None });
    }
    close(&mut bench, "a", later(1));
    close(&mut bench, "b", later(2));
    assert_eq!(look(&mut bench, &[], later(100)), ["a"]);
    (bench, peer)
}

#[test]
fn a_change_of_a_document_that_left_is_taken_when_it_has_been_read() {
    for interest in [Interest::Opened, Interest::Everything] {
        let (mut bench, peer) = away(interest);
        let data = Bytes::from_static(b"more");
        let transmission = Transmission::Update { data: data.clone(), version: vv(&[(7, 1), (8, 1)]) };
        let effects = bench.receive(peer, Message::Update { doc: doc("a"), transmission });
        assert!(effects.contains(&Effect::CreateDoc { doc: doc("a"), lineage: 0 }), "{effects:?}");
        assert!(effects.contains(&Effect::LoadDoc { channel: STORE, doc: doc("a") }));
        let (version, size) = (vv(&[(7, 1)]), StoredSize::default());
        let effects = bench.on(Input::Loaded { channel: STORE, doc: doc("a"), stored: on_disk(&version), version, size, whole: true });
        let import = Effect::ImportDoc { doc: doc("a"), channel: peer, data, announced: vv(&[(7, 1), (8, 1)]) };
        assert!(effects.contains(&import), "{effects:?}");
    }
}

#[test]
fn a_peer_that_asks_for_a_document_that_left_gets_it() {
    let (mut bench, peer) = away(Interest::Opened);
    let effects = bench.request(peer, "a", VersionVector::new(), false);
    assert!(effects.contains(&Effect::LoadDoc { channel: STORE, doc: doc("a") }));
    let (version, size) = (vv(&[(7, 1)]), StoredSize::default());
    let effects = bench.on(Input::Loaded { channel: STORE, doc: doc("a"), stored: on_disk(&version), version, size, whole: true });
    assert!(effects.contains(&Effect::SendSnapshot { channel: peer, doc: doc("a"), purpose: Purpose::Answer }), "{effects:?}");
}

#[test]
fn a_document_that_left_is_as_stored_and_as_unsent_as_before() {
    let (bench, _) = away(Interest::Opened);
    assert!(bench.sync.is_stored(&doc("a"), &vv(&[(7, 1)])));
    assert!(!bench.sync.is_stored(&doc("a"), &vv(&[(7, 2)])));
    assert_eq!(bench.sync.unsent(), 0, "the peer has it");
    let mut alone = frugal(Interest::Opened);
    for name in ["a", "b"] {
        stored(&mut alone, name, NOW);
        close(&mut alone, name, NOW);
    }
    assert_eq!(look(&mut alone, &[], later(1)), ["a"]);
    assert_eq!(alone.sync.unsent(), 1);
    // A hub of the reference protocol is met.
    let effects = {
        let _ = alone.on(Input::ChannelOpened { channel: ChannelId(5), kind: ChannelKind::Network, initiate: false });
        alone.receive(ChannelId(5), Message::EstablishRequest(id("9", PeerType::Service)))
    };
    assert!(effects.contains(&Effect::LoadDoc { channel: STORE, doc: doc("a") }), "it is read and offered: {effects:?}");
}

#[test]
fn a_document_with_unconfirmed_changes_stays_for_a_while() {
    let mut bench = frugal(Interest::Opened);
    let peer = bench.network(1, "2");
    for name in ["a", "b"] {
        stored(&mut bench, name, NOW);
        let _ = bench.request(peer, name, VersionVector::new(), false);
        close(&mut bench, name, NOW);
    }
    assert_eq!(look(&mut bench, &[], later(5)), <[&str; 0]>::default());
    assert_eq!(look(&mut bench, &[], later(70)), ["a"], "a peer that never answers keeps nothing in memory");
}

#[test]
fn a_document_without_content_is_compared_though_it_left() {
    let memory = MemoryBudget { documents: 0, bytes: 0 };
    let config = Config { memory, ..Config::new(id("1", PeerType::Service), Interest::Everything) };
    let mut bench = Bench { sync: Synchronizer::new(config, Rc::new(AllowAll)) };
    bench.store();
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    let (version, size) = (VersionVector::new(), StoredSize::default());
    let _ = bench.on(Input::Loaded { channel: STORE, doc: doc("d"), stored: Stored::default(), version, size, whole: true });
    close(&mut bench, "d", NOW);
    assert_eq!(look(&mut bench, &[], later(1)), ["d"]);
    assert_eq!(bench.sync.model.held(&doc("d")), Some((0, &VersionVector::new())));
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    assert_eq!(bench.sync.model.held(&doc("d")), None, "until it has been read again");
}

/// A relay with document "d" away, and another relay that shares all but sums.
fn away_from_relay() -> (Bench, ChannelId, Vec<Effect>) {
    let memory = MemoryBudget { documents: 0, bytes: 0 };
    let features = Features::HEADS.or(Features::ACK).or(Features::LINEAGE);
    let config = Config { memory, features, ..Config::new(id("1", PeerType::Service), Interest::Everything) };
    let mut bench = Bench { sync: Synchronizer::new(config, Rc::new(AllowAll)) };
    bench.store();
    stored(&mut bench, "d", NOW);
    close(&mut bench, "d", NOW);
    assert_eq!(look(&mut bench, &[], later(1)), ["d"]);
    let peer = ChannelId(1);
    let _ = bench.on(Input::ChannelOpened { channel: peer, kind: ChannelKind::Network, initiate: true });
    let greeting = super::extended::extended("2", crate::protocol::Role::Relay);
    let effects = bench.receive(peer, Message::EstablishResponse(greeting));
    (bench, peer, effects)
}

#[test]
fn a_relay_is_told_what_left_memory_where_no_sum_says_it_and_told_again_if_it_does_not_answer() {
    let heads = |channel| {
        let heads = vec![super::extended::head("d", vv(&[(7, 1)]))];
        Effect::Send { channel, message: Message::Heads { heads, reply: true } }
    };
    let (mut bench, peer, effects) = away_from_relay();
    assert!(effects.contains(&heads(peer)), "{effects:?}");
    let verify = Input::TimerFired(Timer::Verify(peer, doc("d")));
    assert!(bench.at(verify.clone(), later(3)).contains(&heads(peer)), "again");
    let answer = Message::Heads { heads: vec![super::extended::head("d", vv(&[(7, 1)]))], reply: false };
    let _ = bench.at(Input::Received { channel: peer, message: answer }, later(4));
    assert_eq!(bench.at(verify, later(9)), [], "it has said what it has");
}

#[test]
fn bytes_held_back_for_a_document_that_is_dropped_meanwhile_are_held_no_more() {
    let (mut bench, peer) = away(Interest::Opened);
    let transmission = Transmission::Update { data: Bytes::from_static(b"more"), version: vv(&[(7, 1), (8, 1)]) };
    let _ = bench.receive(peer, Message::Update { doc: doc("a"), transmission });
    assert_eq!(bench.sync.model.held_back, 4);
    let _ = bench.on(Input::DocDeleted { doc: doc("a") });
    assert_eq!(bench.sync.model.held_back, 0);
}

/// Hides everything from one peer, for as long as it is set.
struct HiddenFrom(RefCell<Option<PeerId>>);

impl Permissions for HiddenFrom {
    fn visibility(&self, _: &DocId, peer: &PeerContext) -> bool {
        self.0.borrow().as_ref() != Some(&peer.peer_id)
    }
}

#[test]
fn a_document_that_left_memory_is_told_of_once_to_whom_it_is_shown() {
    let hides = Rc::new(HiddenFrom(RefCell::new(Some(PeerId::from_wire("3")))));
    let config = Config { memory: MemoryBudget { documents: 0, bytes: 0 }, ..Config::new(id("1", PeerType::User), Interest::Everything) };
    let mut bench = Bench { sync: Synchronizer::new(config, hides.clone()) };
    bench.store();
    let [_, hidden] = [(1, "2"), (2, "3")].map(|(channel, peer)| super::extended::pipe(&mut bench, channel, peer));
    stored(&mut bench, "d", NOW);
    close(&mut bench, "d", NOW);
    assert_eq!(look(&mut bench, &[], later(600)), ["d"]);
    hides.0.take();
    let effects = bench.on(Input::PermissionsChanged);
    let told = effects.iter().filter(|effect| matches!(effect, Effect::Send { channel, .. } if *channel == hidden));
    let heads = vec![super::extended::head("d", vv(&[(7, 1)]))];
    assert_eq!(told.collect::<Vec<_>>(), [&Effect::Send { channel: hidden, message: Message::Heads { heads, reply: false } }]);
}

#[test]
fn a_document_shown_while_it_is_on_its_way_back_is_told_of_when_it_is_here() {
    for fails in [false, true] {
        let hides = Rc::new(HiddenFrom(RefCell::new(Some(PeerId::from_wire("3")))));
        let memory = MemoryBudget { documents: 0, bytes: 0 };
        let config = Config { features: Features::default(), memory, ..Config::new(id("1", PeerType::User), Interest::Everything) };
        let mut bench = Bench { sync: Synchronizer::new(config, hides.clone()) };
        bench.store();
        let [follows, hidden] = [(1, "2"), (2, "3")].map(|(channel, peer)| bench.network(channel, peer));
        stored(&mut bench, "d", NOW);
        let _ = bench.request(follows, "d", vv(&[(7, 1)]), false);
        close(&mut bench, "d", NOW);
        assert_eq!(look(&mut bench, &[], later(600)), ["d"]);
        hides.0.take();
        // Who follows it is compared with, and it is read for that.
        let effects = bench.on(Input::PermissionsChanged);
        assert!(effects.contains(&Effect::LoadDoc { channel: STORE, doc: doc("d") }), "{effects:?}");
        if fails {
            let _ = bench.on(Input::LoadFailed { channel: STORE, doc: doc("d") });
        }
        let (version, size) = (vv(&[(7, 1)]), StoredSize::default());
        let loaded =
            || Input::Loaded { channel: STORE, doc: doc("d"), stored: on_disk(&version), version: version.clone(), size, whole: true };
        let news = Effect::Send { channel: hidden, message: Message::NewDoc { docs: vec![doc("d")] } };
        let effects = bench.on(loaded());
        assert!(effects.contains(&news), "{fails}: {effects:?}");
        assert!(!bench.on(loaded()).contains(&news), "once");
    }
}
