//! How peers hear of documents that come into being: effects compared by equality, and how many there are.

use super::{
    extended::{bench, extended, give, head, import, pipe, sent, told},
    *,
};

const LEAVES: u64 = 300;

fn established(bench: &mut Bench, channel: u64, identity: Identity) -> ChannelId {
    let channel = ChannelId(channel);
    let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: false });
    let _ = bench.receive(channel, Message::EstablishRequest(identity));
    channel
}

/// A peer makes a document: the effects of what it said, gave, and what was imported.
fn make(bench: &mut Bench, peer: ChannelId, name: &str) -> Vec<Effect> {
    let version = vv(&[(7, 1)]);
    let mut effects = bench.receive(peer, told(name, vv(&[]), true));
    effects.extend(bench.receive(peer, give(name, version.clone())));
    assert!(effects.contains(&import(peer, name, version.clone())), "{effects:?}");
    let (announced, pending) = (version.clone(), VersionVector::new());
    effects.extend(bench.on(Input::DocImported { doc: doc(name), channel: peer, version, announced, pending }));
    effects
}

/// What is sent to others than who made it.
fn news(effects: &[Effect], maker: ChannelId) -> Vec<Effect> {
    let news = |effect: &&Effect| matches!(effect, Effect::Send { channel, .. } if *channel != maker);
    effects.iter().filter(news).cloned().collect()
}

fn due(bench: &mut Bench, channel: ChannelId) -> Vec<Effect> {
    sent(&bench.on(Input::TimerFired(Timer::Announce(channel))))
}

/// When peers are told, as set by these effects.
fn armed(effects: &[Effect]) -> Vec<(ChannelId, u64)> {
    let armed = |effect: &Effect| match effect {
        Effect::SetTimer { timer: Timer::Announce(channel), after_ms } => Some((*channel, *after_ms)),
        _ => None,
    };
    effects.iter().filter_map(armed).collect()
}

fn all_of(channel: ChannelId, names: &[&str]) -> Effect {
    let heads = names.iter().map(|name| head(name, vv(&[(7, 1)]))).collect();
    Effect::Send { channel, message: Message::Heads { heads, reply: false } }
}

#[test]
fn relays_are_told_of_new_documents_at_once_and_leaves_of_several_together() {
    let mut bench = bench(Interest::Everything, AllowAll);
    let maker = pipe(&mut bench, 1, "2");
    let leaf = pipe(&mut bench, 2, "3");
    let relay = established(&mut bench, 3, extended("4", Role::Relay));
    let plain = bench.network(4, "5");
    let first = make(&mut bench, maker, "d");
    assert_eq!(news(&first, maker), [all_of(relay, &["d"])]);
    assert_eq!(armed(&first), [(leaf, 50), (plain, 50)]);
    let second = make(&mut bench, maker, "e");
    assert_eq!((news(&second, maker), armed(&second)), (vec![all_of(relay, &["e"])], Vec::new()));
    assert_eq!(due(&mut bench, leaf), [all_of(leaf, &["d", "e"])]);
    assert_eq!(due(&mut bench, plain), [Effect::Send { channel: plain, message: Message::NewDoc { docs: vec![doc("d"), doc("e")] } }]);
    let third = make(&mut bench, maker, "f");
    assert_eq!(armed(&third), [(leaf, 50), (plain, 50)], "what comes later is told later");
    assert_eq!(due(&mut bench, leaf), [all_of(leaf, &["f"])]);
    assert_eq!(due(&mut bench, leaf), [], "once");
}

#[test]
fn of_a_new_document_is_told_what_is_here_when_it_is_told_and_only_to_whom_it_is_still_news() {
    let forbid = Rc::new(Forbid::default());
    let mut bench = Bench { sync: Synchronizer::new(Config::new(id("1", PeerType::User), Interest::Everything), forbid.clone()) };
    let maker = pipe(&mut bench, 1, "2");
    let [asks, listens] = [(2, "3"), (3, "4")].map(|(channel, peer)| pipe(&mut bench, channel, peer));
    for name in ["asked", "changed", "dropped", "hidden"] {
        let _ = make(&mut bench, maker, name);
    }
    let _ = bench.receive(asks, told("asked", vv(&[]), true));
    let version = vv(&[(7, 5)]);
    let (announced, pending) = (version.clone(), VersionVector::new());
    let _ = bench.on(Input::DocImported { doc: doc("changed"), channel: maker, version: version.clone(), announced, pending });
    let _ = bench.on(Input::DocForgotten { doc: doc("dropped") });
    forbid.visibility.borrow_mut().insert(doc("hidden"));
    let changed = head("changed", version);
    let message = |heads: Vec<_>| Message::Heads { heads, reply: false };
    assert_eq!(due(&mut bench, asks), [Effect::Send { channel: asks, message: message(vec![changed.clone()]) }]);
    let heads = vec![head("asked", vv(&[(7, 1)])), changed];
    assert_eq!(due(&mut bench, listens), [Effect::Send { channel: listens, message: message(heads) }]);
}

#[test]
fn who_leaves_before_it_is_told_is_told_nothing() {
    let mut bench = bench(Interest::Everything, AllowAll);
    let [maker, leaf] = [(1, "2"), (2, "3")].map(|(channel, peer)| pipe(&mut bench, channel, peer));
    let _ = make(&mut bench, maker, "d");
    let _ = bench.on(Input::ChannelClosed { channel: leaf });
    assert_eq!(due(&mut bench, leaf), []);
}

#[test]
fn documents_that_many_leaves_make_at_once_are_told_to_each_in_one_message() {
    let mut bench = bench(Interest::Everything, AllowAll);
    let leaves: Vec<_> = (0..LEAVES).map(|number| pipe(&mut bench, number, &(10 + number).to_string())).collect();
    let (mut told, mut times) = (0, Vec::new());
    for leaf in &leaves {
        let effects = make(&mut bench, *leaf, &format!("made by {leaf:?}"));
        told += news(&effects, *leaf).len();
        times.extend(armed(&effects));
    }
    assert_eq!(told, 0, "all of it waits");
    assert_eq!(times.len(), leaves.len());
    for ms in times.iter().map(|(_, ms)| ms) {
        assert!(times.iter().filter(|(_, other)| other == ms).count() <= 10, "not all at the same time");
    }
    for leaf in &leaves {
        let effects = due(&mut bench, *leaf);
        let [Effect::Send { message: Message::Heads { heads, .. }, .. }] = effects.as_slice() else { panic!("{effects:?}") };
        assert_eq!(heads.len(), leaves.len() - 1);
    }
}

#[test]
fn deletions_are_told_at_once_to_whom_they_concern_and_together_to_others() {
    let mut bench = bench(Interest::Everything, AllowAll);
    let maker = pipe(&mut bench, 1, "2");
    let leaf = pipe(&mut bench, 2, "3");
    let relay = established(&mut bench, 3, extended("4", Role::Relay));
    let plain = bench.network(4, "5");
    for name in ["d", "e"] {
        let _ = make(&mut bench, maker, name);
    }
    let _ = due(&mut bench, plain);
    let tombstone = Tombstone { lineage: 0, at: NOW.0, by: PeerId::from(1) };
    let deleted = |channel, names: &[&str]| {
        let docs = names.iter().map(|name| (doc(name), tombstone.clone())).collect();
        Effect::Send { channel, message: Message::Deleted { docs } }
    };
    for name in ["d", "e"] {
        let asked = Effect::Send { channel: plain, message: Message::DeleteRequest { doc: doc(name) } };
        let effects = bench.on(Input::DocDeleted { doc: doc(name) });
        assert_eq!(news(&effects, ChannelId(0)), [deleted(maker, &[name]), deleted(relay, &[name]), asked]);
    }
    assert_eq!(due(&mut bench, leaf), [deleted(leaf, &["d", "e"])], "they were new a moment ago, and are gone");
}

#[test]
fn a_peer_of_the_reference_protocol_is_not_told_of_what_came_and_went() {
    let mut bench = bench(Interest::Everything, AllowAll);
    let (maker, plain) = (pipe(&mut bench, 1, "2"), bench.network(2, "3"));
    let _ = make(&mut bench, maker, "d");
    let _ = bench.on(Input::DocDeleted { doc: doc("d") });
    assert_eq!(due(&mut bench, plain), []);
}
