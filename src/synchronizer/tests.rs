//! Effects of single inputs, compared by equality.

use std::cell::RefCell;

use bytes::Bytes;

mod announcements;
mod digests;
mod ephemeral;
mod extended;
mod followers;
mod hostile;
mod inputs;
mod keepers;
mod limits;
mod listing;
mod loss;
mod records;
mod settle;
mod trimmed;
mod unload;

use super::*;
use crate::{
    collections::SortedSet,
    protocol::{DeleteStatus, PeerType, Tombstone, Transmission},
};

const NOW: Timestamp = Timestamp(1_000_000);
const STORE: ChannelId = ChannelId(90);

fn id(peer: &str, peer_type: PeerType) -> Identity {
    Identity { peer_id: PeerId::from_wire(peer), name: None, peer_type, capabilities: None }
}

fn doc(name: &str) -> DocId {
    DocId::new(name).unwrap()
}

fn vv(entries: &[(u64, i32)]) -> VersionVector {
    entries.iter().copied().collect()
}

/// What the permissions under test forbid.
#[derive(Default)]
struct Forbid {
    visibility: RefCell<SortedSet<DocId>>,
    mutability: bool,
    creation: bool,
    deletion_allowed: bool,
}

impl Permissions for Forbid {
    fn visibility(&self, doc: &DocId, _: &PeerContext) -> bool {
        !self.visibility.borrow().contains(doc)
    }
    fn mutability(&self, _: &DocId, _: &PeerContext) -> bool {
        !self.mutability
    }
    fn creation(&self, _: &DocId, _: &PeerContext) -> bool {
        !self.creation
    }
    fn deletion(&self, _: &DocId, _: Option<&Creator>, _: &PeerContext) -> bool {
        self.deletion_allowed
    }
}

struct Bench {
    sync: Synchronizer,
}

impl Bench {
    fn new(interest: Interest, permissions: impl Permissions + 'static) -> Self {
        let config = Config { features: Features::default(), ..Config::new(id("1", PeerType::User), interest) };
        Self { sync: Synchronizer::new(config, Rc::new(permissions)) }
    }

    fn client() -> Self {
        Self::new(Interest::Opened, AllowAll)
    }

    fn hub() -> Self {
        Self::new(Interest::Everything, AllowAll)
    }

    fn at(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        self.sync.update(input, now)
    }

    fn on(&mut self, input: Input) -> Vec<Effect> {
        self.at(input, NOW)
    }

    /// An established pipe to `peer`.
    fn pipe(&mut self, channel: u64, kind: ChannelKind, peer: &str) -> ChannelId {
        let channel = ChannelId(channel);
        let _ = self.on(Input::ChannelOpened { channel, kind, initiate: false });
        let _ = self.receive(channel, Message::EstablishRequest(id(peer, PeerType::User)));
        channel
    }

    fn network(&mut self, channel: u64, peer: &str) -> ChannelId {
        self.pipe(channel, ChannelKind::Network, peer)
    }

    fn store(&mut self) {
        let _ = self.on(Input::StoreOpened { channel: STORE, adapter: 0, peer: PeerId::from(77), name: "store".into() });
    }

    fn receive(&mut self, channel: ChannelId, message: Message) -> Vec<Effect> {
        self.on(Input::Received { channel, message })
    }

    /// A document open and loaded, with one operation of author 7.
    fn open(&mut self, name: &str) -> DocId {
        let _ = self.on(Input::DocOpened { doc: doc(name) });
        let _ = self.on(Input::DocChanged { doc: doc(name), version: vv(&[(7, 1)]) });
        doc(name)
    }

    fn request(&mut self, channel: ChannelId, name: &str, version: VersionVector, bidirectional: bool) -> Vec<Effect> {
        self.receive(channel, Message::SyncRequest { doc: doc(name), version, ephemeral: None, bidirectional })
    }
}

fn ask(channel: ChannelId, name: &str, version: VersionVector, bidirectional: bool) -> Effect {
    Effect::Send { channel, message: Message::SyncRequest { doc: doc(name), version, ephemeral: None, bidirectional } }
}

fn unavailable(channel: ChannelId, name: &str) -> Effect {
    let message = Message::SyncResponse { doc: doc(name), transmission: Transmission::Unavailable, ephemeral: None };
    Effect::Send { channel, message }
}

fn timer(timer: Timer, after_ms: u64) -> Effect {
    Effect::SetTimer { timer, after_ms }
}

fn ready_changed(name: &str) -> Effect {
    Effect::Emit(Event::ReadyStateChanged(doc(name)))
}

fn on_disk(version: &VersionVector) -> Stored {
    Stored { version: version.clone(), ..Stored::default() }
}

fn store_doc(name: &str, since: VersionVector, snapshot: bool) -> StoreDoc {
    let (confirmed, trim) = Default::default();
    StoreDoc { doc: doc(name), since, snapshot, lineage: 0, confirmed, keepers: Vec::new(), creator: None, trim }
}

fn presence(channel: ChannelId, name: &str) -> Effect {
    Effect::SendEphemeral { channel, doc: doc(name), selection: EphemeralSelection::All, hops: 0 }
}

#[test]
fn the_initiating_side_sends_its_identity() {
    let mut bench = Bench::client();
    let channel = ChannelId(1);
    assert_eq!(
        bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: true }),
        [Effect::Send { channel, message: Message::EstablishRequest(id("1", PeerType::User)) }]
    );
    assert_eq!(bench.on(Input::ChannelOpened { channel: ChannelId(2), kind: ChannelKind::Network, initiate: false }), []);
}

#[test]
fn an_establish_request_is_answered_and_open_documents_are_compared() {
    let mut bench = Bench::client();
    let name = bench.open("d");
    let channel = ChannelId(1);
    let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: false });
    assert_eq!(
        bench.receive(channel, Message::EstablishRequest(id("2", PeerType::User))),
        [
            Effect::Emit(Event::PeerConnected(PeerId::from(2))),
            Effect::Send { channel, message: Message::EstablishResponse(id("1", PeerType::User)) },
            ask(channel, "d", vv(&[(7, 1)]), true),
            timer(Timer::Verify(channel, name), 2_000),
            ready_changed("d"),
        ]
    );
}

#[test]
fn every_reconnection_compares_again_whatever_was_known_before() {
    let mut bench = Bench::client();
    bench.open("d");
    let first = bench.network(1, "2");
    let in_sync = Message::SyncResponse { doc: doc("d"), transmission: Transmission::UpToDate { version: vv(&[(7, 1)]) }, ephemeral: None };
    let _ = bench.receive(first, in_sync);
    let _ = bench.on(Input::ChannelClosed { channel: first });
    let channel = ChannelId(2);
    let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: true });
    let effects = bench.receive(channel, Message::EstablishResponse(id("2", PeerType::User)));
    assert!(effects.contains(&ask(channel, "d", vv(&[(7, 1)]), true)), "{effects:?}");
    assert!(!bench.sync.is_confirmed(&doc("d"), ChannelKind::Network, &vv(&[(7, 1)])));
}

#[test]
fn a_returning_subscriber_is_asked_though_it_says_nothing() {
    let mut bench = Bench::hub();
    let first = bench.network(1, "2");
    let _ = bench.request(first, "d", vv(&[]), false);
    let _ = bench.on(Input::ChannelClosed { channel: first });
    let channel = ChannelId(2);
    let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: false });
    let effects = bench.receive(channel, Message::EstablishRequest(id("2", PeerType::User)));
    assert!(effects.contains(&ask(channel, "d", vv(&[]), true)), "{effects:?}");
}

#[test]
fn a_peer_with_our_own_id_is_disconnected() {
    let mut bench = Bench::client();
    let channel = ChannelId(1);
    let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: false });
    assert_eq!(
        bench.receive(channel, Message::EstablishRequest(id("1", PeerType::User))),
        [Effect::Emit(Event::SamePeerId { channel }), Effect::CloseChannel { channel }]
    );
}

#[test]
fn messages_before_the_handshake_are_ignored() {
    let mut bench = Bench::hub();
    let channel = ChannelId(1);
    let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: false });
    assert_eq!(bench.request(channel, "d", vv(&[]), true), []);
}

#[test]
fn opening_asks_the_stores_first_and_the_network_after_they_have_spoken() {
    let mut bench = Bench::client();
    bench.store();
    let peer = bench.network(1, "2");
    assert_eq!(
        bench.on(Input::DocOpened { doc: doc("d") }),
        [
            Effect::Emit(Event::DocumentAdded(doc("d"))),
            Effect::CreateDoc { doc: doc("d"), lineage: 0 },
            Effect::LoadDoc { channel: STORE, doc: doc("d") },
            timer(Timer::LoadTimeout(doc("d")), LOAD_TIMEOUT_MS),
            ready_changed("d"),
        ]
    );
    let stored = vv(&[(9, 4)]);
    let loaded = Input::Loaded {
        channel: STORE,
        doc: doc("d"),
        stored: on_disk(&stored),
        version: stored.clone(),
        size: StoredSize::default(),
        whole: true,
    };
    assert_eq!(bench.on(loaded), [ask(peer, "d", stored, true), timer(Timer::Verify(peer, doc("d")), 2_000), ready_changed("d")]);
}

#[test]
fn unknown_doc_asks_storage_before_answering_network() {
    let mut bench = Bench::hub();
    bench.store();
    let peer = bench.network(1, "2");
    assert_eq!(
        bench.request(peer, "d", vv(&[]), false),
        [
            Effect::CreateDoc { doc: doc("d"), lineage: 0 },
            Effect::LoadDoc { channel: STORE, doc: doc("d") },
            timer(Timer::LoadTimeout(doc("d")), LOAD_TIMEOUT_MS),
            ready_changed("d"),
        ]
    );
    // A second request queues behind the first.
    assert_eq!(bench.request(peer, "d", vv(&[(9, 4)]), false), []);
    let stored = vv(&[(9, 4)]);
    let loaded = Input::Loaded {
        channel: STORE,
        doc: doc("d"),
        stored: on_disk(&stored),
        version: stored.clone(),
        size: StoredSize::default(),
        whole: true,
    };
    let effects = bench.on(loaded);
    let up_to_date = Message::SyncResponse { doc: doc("d"), transmission: Transmission::UpToDate { version: stored }, ephemeral: None };
    assert_eq!(
        effects,
        [
            Effect::SendSnapshot { channel: peer, doc: doc("d"), purpose: Purpose::Answer },
            presence(peer, "d"),
            timer(Timer::Verify(peer, doc("d")), 1_000),
            Effect::Send { channel: peer, message: up_to_date },
            presence(peer, "d"),
            Effect::Emit(Event::DocumentAdded(doc("d"))),
            Effect::Emit(Event::ConfirmedChanged(doc("d"))),
            ready_changed("d"),
        ]
    );
}

#[test]
fn a_silent_store_is_waited_for_ten_seconds_and_no_longer() {
    let mut bench = Bench::hub();
    bench.store();
    let peer = bench.network(1, "2");
    let _ = bench.request(peer, "d", vv(&[]), false);
    let effects = bench.on(Input::TimerFired(Timer::LoadTimeout(doc("d"))));
    assert!(effects.contains(&Effect::SendSnapshot { channel: peer, doc: doc("d"), purpose: Purpose::Answer }), "{effects:?}");
}

#[test]
fn a_failed_load_counts_as_having_spoken_and_is_tried_again() {
    let mut bench = Bench::hub();
    bench.store();
    let peer = bench.network(1, "2");
    let _ = bench.request(peer, "d", vv(&[]), false);
    let effects = bench.on(Input::LoadFailed { channel: STORE, doc: doc("d") });
    assert!(effects.contains(&timer(Timer::Reload(STORE, doc("d")), 2_000)), "{effects:?}");
    assert!(effects.contains(&Effect::SendSnapshot { channel: peer, doc: doc("d"), purpose: Purpose::Answer }), "{effects:?}");
    assert_eq!(bench.on(Input::TimerFired(Timer::Reload(STORE, doc("d")))), [Effect::LoadDoc { channel: STORE, doc: doc("d") }]);
}

#[test]
fn a_store_that_closes_counts_as_having_spoken() {
    let mut bench = Bench::hub();
    bench.store();
    let peer = bench.network(1, "2");
    let _ = bench.request(peer, "d", vv(&[]), false);
    let effects = bench.on(Input::ChannelClosed { channel: STORE });
    assert!(effects.contains(&Effect::SendSnapshot { channel: peer, doc: doc("d"), purpose: Purpose::Answer }), "{effects:?}");
}

#[test]
fn a_store_that_is_still_opening_is_waited_for() {
    let mut bench = Bench::client();
    let _ = bench.on(Input::StoreExpected { adapter: 0 });
    let peer = bench.network(1, "2");
    let effects = bench.on(Input::DocOpened { doc: doc("d") });
    assert!(!effects.contains(&ask(peer, "d", vv(&[]), true)), "{effects:?}");
    let effects = bench.on(Input::StoreUnavailable { adapter: 0 });
    assert!(effects.contains(&ask(peer, "d", vv(&[]), true)), "{effects:?}");
}

#[test]
fn a_relay_answers_an_unknown_document_with_an_empty_snapshot_and_asks_back() {
    let mut bench = Bench::hub();
    let peer = bench.network(1, "2");
    assert_eq!(
        bench.request(peer, "d", vv(&[]), true),
        [
            Effect::CreateDoc { doc: doc("d"), lineage: 0 },
            Effect::SendSnapshot { channel: peer, doc: doc("d"), purpose: Purpose::Answer },
            presence(peer, "d"),
            ask(peer, "d", vv(&[]), false),
            timer(Timer::Verify(peer, doc("d")), 2_000),
            Effect::Emit(Event::DocumentAdded(doc("d"))),
            ready_changed("d"),
        ]
    );
}

#[test]
fn creation_denied_leaves_nothing_behind_and_says_unavailable() {
    let mut bench = Bench::new(Interest::Everything, Forbid { creation: true, ..Forbid::default() });
    let peer = bench.network(1, "2");
    assert_eq!(
        bench.request(peer, "d", vv(&[]), true),
        [Effect::CreateDoc { doc: doc("d"), lineage: 0 }, unavailable(peer, "d"), Effect::DropDoc { doc: doc("d") }]
    );
    assert_eq!(bench.sync.documents().count(), 0);
    // Neither an announcement nor unasked-for data gets around it.
    assert_eq!(bench.receive(peer, Message::NewDoc { docs: vec![doc("d")] }), []);
    let update = Transmission::Update { data: Bytes::from_static(b"x"), version: vv(&[(2, 1)]) };
    assert_eq!(bench.receive(peer, Message::Update { doc: doc("d"), transmission: update }), []);
}

#[test]
fn a_hidden_document_is_unavailable_unannounced_and_not_in_the_directory() {
    let forbid = Forbid::default();
    forbid.visibility.borrow_mut().insert(doc("hidden"));
    let mut bench = Bench::new(Interest::Opened, forbid);
    let peer = bench.network(1, "2");
    bench.open("hidden");
    assert_eq!(bench.on(Input::DocChanged { doc: doc("hidden"), version: vv(&[(7, 2)]) }), []);
    assert_eq!(bench.request(peer, "hidden", vv(&[]), true), [unavailable(peer, "hidden")]);
    assert_eq!(
        bench.receive(peer, Message::DirectoryRequest { docs: None }),
        [Effect::Send { channel: peer, message: Message::DirectoryResponse { docs: vec![] } }]
    );
}

#[test]
fn a_request_is_answered_by_version() {
    let mut bench = Bench::client();
    bench.open("d");
    let peer = bench.network(1, "2");
    let snapshot = Effect::SendSnapshot { channel: peer, doc: doc("d"), purpose: Purpose::Answer };
    assert_eq!(bench.request(peer, "d", vv(&[]), false)[0], snapshot);
    let since = vv(&[(5, 5)]);
    let update = Effect::SendUpdate { channel: peer, doc: doc("d"), since: since.clone(), purpose: Purpose::Answer };
    assert_eq!(bench.request(peer, "d", since, false)[0], update);
    let version = vv(&[(7, 1)]);
    let up_to_date =
        Message::SyncResponse { doc: doc("d"), transmission: Transmission::UpToDate { version: version.clone() }, ephemeral: None };
    assert_eq!(bench.request(peer, "d", version, false)[0], Effect::Send { channel: peer, message: up_to_date });
}

#[test]
fn a_reciprocal_request_is_not_answered_with_another() {
    let mut bench = Bench::client();
    bench.open("d");
    let peer = bench.network(1, "2");
    let asked =
        |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Send { message: Message::SyncRequest { .. }, .. }));
    // Asked at establishment already, and the peer has nothing we lack.
    assert!(!asked(&bench.request(peer, "d", vv(&[]), true)));
    assert!(!asked(&bench.request(peer, "d", vv(&[(7, 1)]), false)));
}

#[test]
fn a_local_change_is_pushed_from_what_the_peer_has_and_was_sent() {
    let mut bench = Bench::client();
    bench.open("d");
    let peer = bench.network(1, "2");
    let _ = bench.request(peer, "d", vv(&[(7, 1)]), true);
    let push = |since: VersionVector| Effect::SendUpdate { channel: peer, doc: doc("d"), since, purpose: Purpose::Push };
    let effects = bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 2)]) });
    assert_eq!(effects, [push(vv(&[(7, 1)])), ready_changed("d")]);
    assert_eq!(bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 3)]) }), [push(vv(&[(7, 2)]))]);
}

#[test]
fn sent_is_not_synced() {
    let mut bench = Bench::client();
    bench.open("d");
    let peer = bench.network(1, "2");
    let _ = bench.request(peer, "d", vv(&[(7, 1)]), true);
    let now = vv(&[(7, 2)]);
    let _ = bench.on(Input::DocChanged { doc: doc("d"), version: now.clone() });
    assert!(!bench.sync.is_confirmed(&doc("d"), ChannelKind::Network, &now));
    let answer = Message::SyncResponse { doc: doc("d"), transmission: Transmission::UpToDate { version: now.clone() }, ephemeral: None };
    let _ = bench.receive(peer, answer);
    assert!(bench.sync.is_confirmed(&doc("d"), ChannelKind::Network, &now));
}

#[test]
fn an_unconfirmed_push_is_asked_about_after_a_while_of_quiet() {
    let mut bench = Bench::client();
    bench.open("d");
    let peer = bench.network(1, "2");
    let answer = Message::SyncResponse { doc: doc("d"), transmission: Transmission::UpToDate { version: vv(&[(7, 1)]) }, ephemeral: None };
    let _ = bench.receive(peer, answer);
    let _ = bench.request(peer, "d", vv(&[(7, 1)]), false);
    let verify = Input::TimerFired(Timer::Verify(peer, doc("d")));
    assert_eq!(bench.on(verify.clone()), [], "nothing to confirm");
    let _ = bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 2)]) });
    // Still typing: later.
    let _ = bench.at(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 3)]) }, NOW.plus(900));
    assert_eq!(bench.at(verify.clone(), NOW.plus(1_000)), [timer(Timer::Verify(peer, doc("d")), 1_000)]);
    let effects = bench.at(verify, NOW.plus(2_000));
    assert_eq!(effects, [ask(peer, "d", vv(&[(7, 3)]), true), timer(Timer::Verify(peer, doc("d")), 2_000)]);
}

#[test]
fn data_is_imported_once_and_only_if_it_brings_something() {
    let mut bench = Bench::client();
    bench.open("d");
    let peer = bench.network(1, "2");
    let data = Bytes::from_static(b"ops");
    let update =
        |version: VersionVector| Message::Update { doc: doc("d"), transmission: Transmission::Update { data: data.clone(), version } };
    let theirs = vv(&[(7, 1), (8, 3)]);
    let effects = bench.receive(peer, update(theirs.clone()));
    let import = Effect::ImportDoc { doc: doc("d"), channel: peer, data: data.clone(), announced: theirs.clone() };
    assert!(effects.contains(&import), "{effects:?}");
    let _ = bench.on(Input::DocImported {
        doc: doc("d"),
        channel: peer,
        version: theirs.clone(),
        announced: theirs.clone(),
        pending: VersionVector::new(),
    });
    assert!(!bench.receive(peer, update(theirs)).contains(&import));
}

#[test]
fn imported_data_is_forwarded_to_others_and_not_to_its_source() {
    let mut bench = Bench::hub();
    let (a, b) = (bench.network(1, "2"), bench.network(2, "3"));
    let c = bench.network(3, "4");
    for peer in [a, b] {
        let _ = bench.request(peer, "d", vv(&[]), false);
    }
    let theirs = vv(&[(8, 3)]);
    let update = Transmission::Update { data: Bytes::from_static(b"ops"), version: theirs.clone() };
    let _ = bench.receive(a, Message::Update { doc: doc("d"), transmission: update });
    let effects = bench.on(Input::DocImported {
        doc: doc("d"),
        channel: a,
        version: theirs.clone(),
        announced: theirs,
        pending: VersionVector::new(),
    });
    assert_eq!(
        effects,
        [
            timer(Timer::Verify(b, doc("d")), 1_000),
            Effect::SendSnapshot { channel: b, doc: doc("d"), purpose: Purpose::Push },
            timer(Timer::Announce(c), 52),
            Effect::Emit(Event::ConfirmedChanged(doc("d"))),
            ready_changed("d"),
        ]
    );
}

#[test]
fn an_import_that_misses_operations_asks_for_all_of_them() {
    let mut bench = Bench::client();
    bench.open("d");
    let peer = bench.network(1, "2");
    let answer = Message::SyncResponse { doc: doc("d"), transmission: Transmission::UpToDate { version: vv(&[]) }, ephemeral: None };
    let _ = bench.receive(peer, answer);
    let ours = vv(&[(7, 1)]);
    let effects = bench.on(Input::DocImported {
        doc: doc("d"),
        channel: peer,
        version: ours.clone(),
        announced: vv(&[(8, 9)]),
        pending: VersionVector::new(),
    });
    assert_eq!(effects, [ask(peer, "d", ours, true)]);
}

#[test]
fn a_refused_change_is_not_imported_and_the_application_hears_of_it() {
    let mut bench = Bench::new(Interest::Opened, Forbid { mutability: true, ..Forbid::default() });
    bench.open("d");
    let peer = bench.network(1, "2");
    let update = Transmission::Update { data: Bytes::from_static(b"ops"), version: vv(&[(8, 1)]) };
    let effects = bench.receive(peer, Message::Update { doc: doc("d"), transmission: update });
    assert!(effects.contains(&Effect::Emit(Event::ChangeRefused { doc: doc("d"), peer: PeerId::from(2) })), "{effects:?}");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::ImportDoc { .. })), "{effects:?}");
}

#[test]
fn unavailable_makes_a_peer_absent_until_it_says_otherwise() {
    let mut bench = Bench::client();
    bench.open("d");
    let peer = bench.network(1, "2");
    let response = |transmission| Message::SyncResponse { doc: doc("d"), transmission, ephemeral: None };
    let _ = bench.receive(peer, response(Transmission::Unavailable));
    assert_eq!(bench.sync.ready_states(&doc("d"))[0].status, ReadyStatus::Absent);
    let _ = bench.receive(peer, response(Transmission::UpToDate { version: vv(&[(7, 1)]) }));
    assert_eq!(bench.sync.ready_states(&doc("d"))[0].status, ReadyStatus::Synced);
}

#[test]
fn a_tab_is_not_served_from_the_storage_both_share_but_gets_the_document_when_it_is_opened() {
    let mut bench = Bench::client();
    bench.store();
    let tab = bench.pipe(1, ChannelKind::Tabs, "2");
    assert_eq!(bench.request(tab, "d", vv(&[]), true), [Effect::Emit(Event::DocumentAdded(doc("d"))), unavailable(tab, "d")]);
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    let stored = vv(&[(9, 4)]);
    let loaded = Input::Loaded {
        channel: STORE,
        doc: doc("d"),
        stored: on_disk(&stored),
        version: stored,
        size: StoredSize::default(),
        whole: true,
    };
    let effects = bench.on(loaded);
    assert!(effects.contains(&Effect::SendSnapshot { channel: tab, doc: doc("d"), purpose: Purpose::Push }), "{effects:?}");
}

#[test]
fn an_announced_document_is_fetched_by_a_relay_and_only_noted_by_others() {
    let mut client = Bench::client();
    let peer = client.network(1, "2");
    let announce = Message::NewDoc { docs: vec![doc("d"), DocId::from_wire("")] };
    assert_eq!(client.receive(peer, announce.clone()), [Effect::Emit(Event::DocumentAdded(doc("d")))]);
    assert_eq!(client.receive(peer, announce.clone()), []);
    let mut hub = Bench::hub();
    let peer = hub.network(1, "2");
    let effects = hub.receive(peer, announce);
    assert!(effects.contains(&ask(peer, "d", vv(&[]), true)), "{effects:?}");
}

#[test]
fn edits_are_written_together_once_and_again_only_after_the_store_confirmed() {
    let mut bench = Bench::client();
    bench.store();
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    let empty = Input::Loaded {
        channel: STORE,
        doc: doc("d"),
        stored: Stored::default(),
        version: vv(&[]),
        size: StoredSize::default(),
        whole: true,
    };
    let _ = bench.on(empty);
    let edit = |end| Input::DocChanged { doc: doc("d"), version: vv(&[(7, end)]) };
    let write = |since: VersionVector| Effect::StoreDocs { channel: STORE, docs: vec![store_doc("d", since, false)] };
    assert_eq!(bench.on(edit(1)), [timer(Timer::StoreDue(STORE), 0), ready_changed("d")], "at once after a pause");
    assert_eq!(bench.on(edit(2)), []);
    assert_eq!(bench.on(Input::TimerFired(Timer::StoreDue(STORE))), [write(vv(&[]))]);
    assert_eq!(bench.on(edit(3)), [], "one transaction at a time");
    let stored = Input::Stored { channel: STORE, docs: vec![(doc("d"), vv(&[(7, 2)]), StoredSize::default())], refused: vec![] };
    assert_eq!(bench.on(stored), [timer(Timer::StoreDue(STORE), 100)]);
    assert!(!bench.sync.is_stored(&doc("d"), &vv(&[(7, 3)])));
    assert_eq!(bench.on(Input::TimerFired(Timer::StoreDue(STORE))), [write(vv(&[(7, 2)]))]);
}

#[test]
fn a_failed_write_is_repeated_with_a_growing_pause() {
    let mut bench = Bench::client();
    bench.store();
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    let empty = Input::Loaded {
        channel: STORE,
        doc: doc("d"),
        stored: Stored::default(),
        version: vv(&[]),
        size: StoredSize::default(),
        whole: true,
    };
    let _ = bench.on(empty);
    let _ = bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 1)]) });
    for pause in [1_000, 2_000, 4_000] {
        let effects = bench.on(Input::TimerFired(Timer::StoreDue(STORE)));
        assert!(matches!(effects[..], [Effect::StoreDocs { .. }]), "{effects:?}");
        assert_eq!(bench.on(Input::StoreFailed { channel: STORE }), [timer(Timer::StoreDue(STORE), pause)]);
    }
    let _ = bench.on(Input::TimerFired(Timer::StoreDue(STORE)));
    let stored = Input::Stored { channel: STORE, docs: vec![(doc("d"), vv(&[(7, 1)]), StoredSize::default())], refused: vec![] };
    assert_eq!(bench.on(stored), [Effect::Emit(Event::StorageRecovered), ready_changed("d")]);
}

#[test]
fn a_snapshot_replaces_many_updates_but_never_a_document_that_was_not_read_whole() {
    let size = StoredSize { records: 60, snapshot_bytes: 0, update_bytes: 100, ..StoredSize::default() };
    for (whole, snapshot) in [(true, true), (false, false)] {
        let mut bench = Bench::client();
        bench.store();
        let _ = bench.on(Input::DocOpened { doc: doc("d") });
        let stored = vv(&[(9, 1)]);
        let _ = bench.on(Input::Loaded { channel: STORE, doc: doc("d"), stored: on_disk(&stored), version: stored.clone(), size, whole });
        let _ = bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 1), (9, 1)]) });
        let docs = vec![store_doc("d", stored, snapshot)];
        assert_eq!(bench.on(Input::TimerFired(Timer::StoreDue(STORE))), [Effect::StoreDocs { channel: STORE, docs }]);
    }
}

#[test]
fn a_document_hidden_from_storage_is_neither_read_nor_written() {
    let forbid = Forbid::default();
    forbid.visibility.borrow_mut().insert(doc("private"));
    let mut bench = Bench::new(Interest::Opened, forbid);
    bench.store();
    let effects = bench.on(Input::DocOpened { doc: doc("private") });
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::LoadDoc { .. })), "{effects:?}");
    assert_eq!(bench.on(Input::DocChanged { doc: doc("private"), version: vv(&[(7, 1)]) }), []);
}

#[test]
fn a_deleted_document_leaves_every_store_and_announcements_do_not_bring_it_back() {
    let mut bench = Bench::client();
    bench.store();
    let peer = bench.network(1, "2");
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    let empty = Input::Loaded {
        channel: STORE,
        doc: doc("d"),
        stored: Stored::default(),
        version: vv(&[]),
        size: StoredSize::default(),
        whole: true,
    };
    let _ = bench.on(empty);
    assert_eq!(
        bench.on(Input::DocDeleted { doc: doc("d") }),
        [
            Effect::Send { channel: peer, message: Message::DeleteRequest { doc: doc("d") } },
            Effect::BuryDoc { channel: STORE, doc: doc("d"), tombstone: Tombstone { lineage: 0, at: NOW.0, by: PeerId::from_wire("1") } },
            Effect::DropDoc { doc: doc("d") },
            Effect::Emit(Event::DocumentRemoved(doc("d"))),
            timer(Timer::Tombstones, 24 * 60 * 60 * 1000),
        ]
    );
    assert_eq!(bench.receive(peer, Message::NewDoc { docs: vec![doc("d")] }), []);
    assert_eq!(
        bench.request(peer, "d", vv(&[]), true),
        [unavailable(peer, "d"), Effect::Send { channel: peer, message: Message::DeleteRequest { doc: doc("d") } }]
    );
}

#[test]
fn a_delete_request_needs_permission() {
    for (deletion_allowed, status) in [(true, DeleteStatus::Deleted), (false, DeleteStatus::Ignored)] {
        let mut bench = Bench::new(Interest::Everything, Forbid { deletion_allowed, ..Forbid::default() });
        let peer = bench.network(1, "2");
        let _ = bench.request(peer, "d", vv(&[]), false);
        let effects = bench.receive(peer, Message::DeleteRequest { doc: doc("d") });
        let answer = Effect::Send { channel: peer, message: Message::DeleteResponse { doc: doc("d"), status } };
        assert!(effects.contains(&answer), "{effects:?}");
        assert_eq!(effects.contains(&Effect::DropDoc { doc: doc("d") }), deletion_allowed);
    }
}

#[test]
fn a_timer_whose_reason_is_gone_does_nothing() {
    let mut bench = Bench::client();
    let peer = ChannelId(1);
    for stale in [
        Timer::Heartbeat,
        Timer::LoadTimeout(doc("d")),
        Timer::Reload(STORE, doc("d")),
        Timer::StoreDue(STORE),
        Timer::Verify(peer, doc("d")),
    ] {
        assert_eq!(bench.on(Input::TimerFired(stale)), []);
    }
}

#[test]
fn a_push_after_long_silence_is_asked_about_soon_also_when_other_news_had_ended_the_silence() {
    for news in 0..3 {
        let mut bench = Bench::client();
        let name = bench.open("d");
        let peer = bench.network(1, "2");
        let verify = Timer::Verify(peer, name.clone());
        for _ in 0..8 {
            let _ = bench.on(Input::TimerFired(verify.clone()));
        }
        // The next question is minutes away.
        let effects = match news {
            0 => bench.on(Input::PermissionsChanged),
            1 => {
                let transmission = Transmission::UpToDate { version: vv(&[]) };
                bench.receive(peer, Message::SyncResponse { doc: name.clone(), transmission, ephemeral: None })
            }
            _ => Vec::new(),
        };
        let asked = bench.request(peer, "d", vv(&[]), false);
        let pushed = bench.on(Input::DocChanged { doc: name.clone(), version: vv(&[(7, 2)]) });
        let soon = |effect: &Effect| matches!(effect, Effect::SetTimer { timer, after_ms: ..=2_000 } if *timer == verify);
        assert!(effects.iter().chain(&asked).chain(&pushed).any(soon), "{news}: {effects:?} {asked:?} {pushed:?}");
    }
}
