//! How peers hear of documents that come into being: effects compared by equality, and how many there are.

use super::{
    extended::{bench, dialled, extended, give, head, import, pipe, sent, told},
    *,
};

const LEAVES: u64 = 300;

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
    let relay = dialled(&mut bench, 3, extended("4", Role::Relay)).0;
    let plain = bench.network(4, "5");
    let first = make(&mut bench, maker, "d");
    assert_eq!(news(&first, maker), [all_of(relay, &["d"])]);
    assert_eq!(armed(&first), [(leaf, 51), (plain, 53)]);
    let second = make(&mut bench, maker, "e");
    assert_eq!((news(&second, maker), armed(&second)), (vec![all_of(relay, &["e"])], Vec::new()));
    assert_eq!(due(&mut bench, leaf), [all_of(leaf, &["d", "e"])]);
    assert_eq!(due(&mut bench, plain), [Effect::Send { channel: plain, message: Message::NewDoc { docs: vec![doc("d"), doc("e")] } }]);
    let third = make(&mut bench, maker, "f");
    assert_eq!(armed(&third), [(leaf, 51), (plain, 53)], "what comes later is told later");
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
fn who_leaves_before_it_is_told_is_told_nothing_and_nothing_is_kept_for_it() {
    let mut bench = bench(Interest::Everything, AllowAll);
    let [maker, leaf] = [(1, "2"), (2, "3")].map(|(channel, peer)| pipe(&mut bench, channel, peer));
    let _ = make(&mut bench, maker, "d");
    assert_eq!(bench.sync.footprint().news, 1);
    let _ = bench.on(Input::ChannelClosed { channel: leaf });
    assert_eq!(bench.sync.footprint().news, 0);
    assert!(!bench.sync.model.armed.contains(&Timer::Announce(leaf)));
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
        assert!((50..150).contains(ms) && times.iter().filter(|(_, other)| other == ms).count() <= 4, "not all at the same time");
    }
    for leaf in &leaves {
        let effects = due(&mut bench, *leaf);
        let [Effect::Send { message: Message::Heads { heads, .. }, .. }] = effects.as_slice() else { panic!("{effects:?}") };
        assert_eq!(heads.len(), leaves.len() - 1);
    }
}

#[test]
fn more_than_a_message_holds_is_told_in_several() {
    let mut bench = bench(Interest::Everything, AllowAll);
    let (maker, leaf, plain) = (pipe(&mut bench, 1, "2"), pipe(&mut bench, 2, "3"), bench.network(3, "4"));
    let names: Vec<_> = (0..1_001).map(|number| format!("d{number:04}")).collect();
    for name in &names {
        let _ = make(&mut bench, maker, name);
    }
    let all: Vec<_> = names.iter().map(String::as_str).collect();
    let (first, last) = all.split_at(1_000);
    assert_eq!(due(&mut bench, leaf), [all_of(leaf, first), all_of(leaf, last)]);
    let new = |names: &[&str]| {
        let docs = names.iter().map(|name| doc(name)).collect();
        Effect::Send { channel: plain, message: Message::NewDoc { docs } }
    };
    assert_eq!(due(&mut bench, plain), [new(first), new(last)]);
    for name in &names {
        let _ = bench.on(Input::DocDeleted { doc: doc(name) });
    }
    assert_eq!(due(&mut bench, leaf), [deleted(leaf, first), deleted(leaf, last)]);
}

fn deleted(channel: ChannelId, names: &[&str]) -> Effect {
    let tombstone = Tombstone { lineage: 0, at: NOW.0, by: PeerId::from(1) };
    let docs = names.iter().map(|name| (doc(name), tombstone.clone())).collect();
    Effect::Send { channel, message: Message::Deleted { docs } }
}

#[test]
fn deletions_are_told_at_once_to_whom_they_concern_and_together_to_others() {
    let mut bench = bench(Interest::Everything, AllowAll);
    let maker = pipe(&mut bench, 1, "2");
    let leaf = pipe(&mut bench, 2, "3");
    let relay = dialled(&mut bench, 3, extended("4", Role::Relay)).0;
    let plain = bench.network(4, "5");
    for name in ["d", "e"] {
        let _ = make(&mut bench, maker, name);
    }
    let _ = (due(&mut bench, leaf), due(&mut bench, plain));
    for name in ["d", "e"] {
        let asked = Effect::Send { channel: plain, message: Message::DeleteRequest { doc: doc(name) } };
        let effects = bench.on(Input::DocDeleted { doc: doc(name) });
        assert_eq!(news(&effects, ChannelId(0)), [deleted(maker, &[name]), deleted(relay, &[name]), asked]);
        assert_eq!(armed(&effects), if name == "d" { vec![(leaf, 51)] } else { Vec::new() });
    }
    assert_eq!(due(&mut bench, leaf), [deleted(leaf, &["d", "e"])]);
    assert_eq!(due(&mut bench, leaf), [], "once");
}

#[test]
fn a_deletion_is_told_whatever_became_of_the_document_and_its_tombstone_meanwhile_unless_it_was_hidden() {
    let forbid = Rc::new(Forbid::default());
    let mut config = Config::new(id("1", PeerType::User), Interest::Everything);
    config.tombstones.max = 1;
    let mut bench = Bench { sync: Synchronizer::new(config, forbid.clone()) };
    let [maker, leaf] = [(1, "2"), (2, "3")].map(|(channel, peer)| pipe(&mut bench, channel, peer));
    let names: Vec<_> = (0..40).map(|number| format!("d{number:02}")).collect();
    for name in &names {
        let _ = make(&mut bench, maker, name);
    }
    let _ = due(&mut bench, leaf);
    for name in &names {
        let _ = bench.on(Input::DocDeleted { doc: doc(name) });
    }
    assert!(bench.sync.deletions().count() < names.len(), "not all are remembered");
    let _ = bench.on(Input::DocForgotten { doc: doc("d39") });
    forbid.visibility.borrow_mut().insert(doc("d38"));
    let _ = bench.on(Input::DocOpened { doc: doc("d37") });
    let shown: Vec<_> = names.iter().map(String::as_str).filter(|name| *name != "d38").collect();
    assert_eq!(due(&mut bench, leaf), [deleted(leaf, &shown)]);
}

#[test]
fn a_document_that_came_and_went_is_no_news() {
    let mut bench = bench(Interest::Everything, AllowAll);
    let (maker, leaf, plain) = (pipe(&mut bench, 1, "2"), pipe(&mut bench, 2, "3"), bench.network(3, "4"));
    let _ = make(&mut bench, maker, "d");
    let _ = bench.on(Input::DocDeleted { doc: doc("d") });
    assert_eq!(due(&mut bench, plain), []);
    // It may have an older copy.
    assert_eq!(due(&mut bench, leaf), [deleted(leaf, &["d"])]);
}

#[test]
fn a_repo_that_closes_tells_what_it_has_gathered() {
    let mut bench = bench(Interest::Everything, AllowAll);
    let [maker, leaf] = [(1, "2"), (2, "3")].map(|(channel, peer)| pipe(&mut bench, channel, peer));
    let _ = make(&mut bench, maker, "d");
    let _ = make(&mut bench, maker, "e");
    let _ = bench.on(Input::DocDeleted { doc: doc("d") });
    assert_eq!(news(&bench.on(Input::Closing), maker), [deleted(leaf, &["d"]), all_of(leaf, &["e"])]);
}

#[test]
fn a_document_that_is_lost_before_it_was_told_of_is_told_of_when_it_is_back() {
    let mut bench = bench(Interest::Everything, AllowAll);
    bench.store();
    let _ = bench.on(Input::Listed { channel: STORE, docs: Vec::new() });
    let [maker, leaf] = [(1, "2"), (2, "3")].map(|(channel, peer)| pipe(&mut bench, channel, peer));
    let (stored, version, size) = Default::default();
    let _ = bench.receive(maker, told("d", vv(&[]), true));
    let _ = bench.on(Input::Loaded { channel: STORE, doc: doc("d"), stored, version, size, whole: true });
    let _ = make(&mut bench, maker, "d");
    let _ = bench.on(Input::DocLost { doc: doc("d"), version: vv(&[]) });
    assert_eq!(due(&mut bench, leaf), []);
    let (stored, size) = Default::default();
    let effects = bench.on(Input::Loaded { channel: STORE, doc: doc("d"), stored, version: vv(&[(7, 1)]), size, whole: true });
    assert_eq!(armed(&effects), [(leaf, 51)]);
    assert_eq!(due(&mut bench, leaf), [all_of(leaf, &["d"])]);
}

#[test]
fn a_leaf_tells_the_few_it_is_connected_with_at_once() {
    let mut bench = bench(Interest::Opened, AllowAll);
    let other = pipe(&mut bench, 1, "2");
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    let third = pipe(&mut bench, 2, "3");
    let effects = bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 1)]) });
    assert_eq!((armed(&effects), news(&effects, other)), (Vec::new(), vec![all_of(third, &["d"])]));
}
