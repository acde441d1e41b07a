//! Effects of ephemeral state, compared by equality.

use super::{super::ephemeral::PRESENCE_HOPS, *};
use crate::{
    collections::{SortedMap, SortedSet},
    protocol::EphemeralPayload,
};

fn bench(interest: Interest) -> Bench {
    Bench { sync: Synchronizer::new(Config::new(id("1", PeerType::User), interest), Rc::new(AllowAll)) }
}

/// An established pipe to a peer of the extension.
fn pipe(bench: &mut Bench, channel: u64, peer: &str) -> ChannelId {
    let channel = ChannelId(channel);
    let identity = Identity { capabilities: Some(Capabilities::own(Role::Leaf)), ..id(peer, PeerType::User) };
    let _ = bench.on(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: false });
    let _ = bench.receive(channel, Message::EstablishRequest(identity));
    channel
}

/// A repo with "d" open, and three peers of the extension that follow it: 2, 3 and 4.
fn trio() -> (Bench, [ChannelId; 3]) {
    let mut bench = bench(Interest::Opened);
    let _ = bench.open("d");
    let channels = [(1, "2"), (2, "3"), (3, "4")].map(|(channel, peer)| pipe(&mut bench, channel, peer));
    for channel in channels {
        let _ = bench.request(channel, "d", vv(&[(7, 1)]), false);
    }
    (bench, channels)
}

fn keys(names: &[&str]) -> EphemeralKeys {
    EphemeralKeys::from([("cursors".to_owned(), names.iter().map(|name| (*name).to_owned()).collect())])
}

fn stores(author: &str) -> Vec<EphemeralPayload> {
    vec![EphemeralPayload { peer: PeerId::from_wire(author), namespace: "cursors".into(), data: Bytes::from_static(b"\0") }]
}

fn message(author: &str, hops: u32) -> Message {
    Message::Ephemeral { doc: doc("d"), hops, stores: stores(author) }
}

fn apply(channel: ChannelId, author: &str, hops: u32, present: &[&str]) -> Effect {
    let present = present.iter().map(|peer| PeerId::from_wire(peer)).collect();
    Effect::ApplyEphemeral { doc: doc("d"), channel, hops, stores: stores(author), present, from_relay: false }
}

fn nothing(author: &str) -> EphemeralNews {
    EphemeralNews { author: PeerId::from_wire(author), news: SortedMap::new(), same: false, behind: SortedMap::new() }
}

fn applied(bench: &mut Bench, channel: ChannelId, hops: u32, news: EphemeralNews) -> Vec<Effect> {
    bench.on(Input::EphemeralApplied { doc: doc("d"), channel, hops, authors: vec![news] })
}

/// The author's key is news.
fn news(bench: &mut Bench, channel: ChannelId, author: &str, hops: u32) -> Vec<Effect> {
    applied(bench, channel, hops, EphemeralNews { news: keys(&[author]), ..nothing(author) })
}

fn spread(to: &[(ChannelId, u32)], names: &[&str]) -> Effect {
    Effect::SpreadEphemeral { to: to.to_vec(), doc: doc("d"), selection: EphemeralSelection::Keys(keys(names)) }
}

#[test]
fn entries_are_applied_and_only_what_was_news_goes_on() {
    let (mut bench, [a, b, c]) = trio();
    assert_eq!(bench.receive(a, message("2", PRESENCE_HOPS)), [apply(a, "2", PRESENCE_HOPS, &[]), timer(Timer::Heartbeat, HEARTBEAT_MS)]);
    assert_eq!(news(&mut bench, a, "2", PRESENCE_HOPS), [spread(&[(b, PRESENCE_HOPS - 1), (c, PRESENCE_HOPS - 1)], &["2"])]);
    assert_eq!(applied(&mut bench, b, PRESENCE_HOPS - 1, EphemeralNews { same: true, ..nothing("9") }), []);
}

#[test]
fn nothing_is_sent_back_to_its_author_or_to_who_gets_it_as_directly() {
    let (mut bench, [a, b, c]) = trio();
    let _ = bench.receive(a, message("2", PRESENCE_HOPS));
    let _ = news(&mut bench, a, "2", PRESENCE_HOPS);
    // Peer 3 has got it from its author too.
    let _ = applied(&mut bench, b, PRESENCE_HOPS - 1, EphemeralNews { same: true, ..nothing("2") });
    assert_eq!(news(&mut bench, a, "2", PRESENCE_HOPS), [spread(&[(c, PRESENCE_HOPS - 1)], &["2"])]);
    // By way of another peer it does not go to its author.
    assert_eq!(news(&mut bench, c, "2", PRESENCE_HOPS - 1), []);
    // It turns out not to have the latest.
    let behind = EphemeralNews { behind: keys(&["2"]), ..nothing("2") };
    let again = Effect::SendEphemeral { channel: b, doc: doc("d"), selection: EphemeralSelection::Keys(keys(&["2"])), hops: 0 };
    assert_eq!(applied(&mut bench, b, PRESENCE_HOPS - 1, behind), [again]);
    assert_eq!(news(&mut bench, a, "2", PRESENCE_HOPS), [spread(&[(b, PRESENCE_HOPS - 1), (c, PRESENCE_HOPS - 1)], &["2"])]);
}

#[test]
fn a_copy_that_may_have_come_through_here_proves_nothing() {
    let (mut bench, [a, b, c]) = trio();
    let _ = bench.receive(a, message("2", PRESENCE_HOPS));
    let _ = news(&mut bench, a, "2", PRESENCE_HOPS);
    for hops in [PRESENCE_HOPS - 2, 0] {
        let _ = applied(&mut bench, b, hops, EphemeralNews { same: true, ..nothing("2") });
        let both = spread(&[(b, PRESENCE_HOPS - 1), (c, PRESENCE_HOPS - 1)], &["2"]);
        assert_eq!(news(&mut bench, a, "2", PRESENCE_HOPS), [both], "{hops} hops left");
    }
}

#[test]
fn peers_of_the_reference_protocol_get_its_hops() {
    let mut bench = Bench::hub();
    let (a, b, c) = (bench.network(1, "2"), bench.network(2, "3"), bench.network(3, "4"));
    for peer in [a, b] {
        let _ = bench.request(peer, "d", vv(&[]), false);
    }
    let _ = c;
    assert_eq!(bench.receive(a, message("2", 1)), [apply(a, "2", 1, &[]), timer(Timer::Heartbeat, HEARTBEAT_MS)]);
    assert_eq!(news(&mut bench, a, "2", 1), [spread(&[(b, 0)], &["2"])]);
    assert_eq!(bench.receive(a, message("2", 0)), [apply(a, "2", 0, &[])]);
    assert_eq!(news(&mut bench, a, "2", 0), []);
    let changed = Input::EphemeralChanged { doc: doc("d"), keys: keys(&["1"]), hops: 1 };
    assert_eq!(bench.on(changed), [spread(&[(a, 1), (b, 1)], &["1"])]);
}

#[test]
fn who_is_connected_is_known_to_be_there() {
    let (mut bench, [a, b, _]) = trio();
    for author in ["3", "1"] {
        let effects = bench.receive(a, message(author, 3));
        assert_eq!(effects.first(), Some(&apply(a, author, 3, &[author])), "another's word about {author}");
    }
    assert_eq!(bench.receive(b, message("3", 3)).first(), Some(&apply(b, "3", 3, &[])), "its own word");
    assert_eq!(bench.receive(b, message("9", 3)).first(), Some(&apply(b, "9", 3, &[])), "about a stranger");
}

#[test]
fn what_came_over_a_connection_goes_with_it() {
    let (mut bench, [a, b, c]) = trio();
    let _ = bench.receive(a, message("2", PRESENCE_HOPS));
    let twice = pipe(&mut bench, 4, "2");
    let removal = |channel, peer: Option<&str>, forget| Effect::RemoveEphemeral { channel, peer: peer.map(PeerId::from_wire), forget };
    let mut closed = |channel| {
        let effects = bench.on(Input::ChannelClosed { channel });
        effects.into_iter().find(|effect| matches!(effect, Effect::RemoveEphemeral { .. }))
    };
    assert_eq!(closed(a), Some(removal(a, None, false)), "the peer is connected otherwise");
    assert_eq!(closed(twice), Some(removal(twice, Some("2"), false)));
    assert_eq!(closed(b), Some(removal(b, Some("3"), false)));
    assert_eq!(closed(c), Some(removal(c, Some("4"), true)), "nobody is left who could bring old entries back");
}

#[test]
fn the_heartbeat_renews_only_what_this_repo_last_wrote_and_ends_with_the_last_entry() {
    let mut bench = Bench::client();
    bench.open("d");
    let peer = bench.network(1, "2");
    let _ = bench.request(peer, "d", vv(&[(7, 1)]), false);
    let _ = bench.on(Input::EphemeralChanged { doc: doc("d"), keys: keys(&["1"]), hops: 1 });
    let beat = [
        Effect::BeatEphemeral { doc: doc("d") },
        Effect::SpreadEphemeral { to: vec![(peer, 1)], doc: doc("d"), selection: EphemeralSelection::Own },
        timer(Timer::Heartbeat, HEARTBEAT_MS),
    ];
    assert_eq!(bench.on(Input::TimerFired(Timer::Heartbeat)), beat);
    let _ = bench.on(Input::EphemeralBeaten { doc: doc("d"), authors: SortedSet::from([PeerId::from(1)]) });
    assert_eq!(bench.on(Input::TimerFired(Timer::Heartbeat)), beat);
    let _ = bench.on(Input::EphemeralBeaten { doc: doc("d"), authors: SortedSet::new() });
    assert_eq!(bench.on(Input::TimerFired(Timer::Heartbeat)), []);
}

#[test]
fn entries_of_a_followed_document_count_though_it_is_not_in_memory() {
    let mut bench = bench(Interest::Everything);
    bench.store();
    let _ = bench.on(Input::Listed { channel: STORE, docs: vec![(doc("d"), on_disk(&vv(&[(7, 1)])))] });
    let (a, b) = (pipe(&mut bench, 1, "2"), pipe(&mut bench, 2, "3"));
    assert_eq!(bench.receive(a, message("2", PRESENCE_HOPS)), [], "nobody follows it");
    let heads = crate::protocol::extension::Head { doc: doc("d"), lineage: 0, version: vv(&[(7, 1)]) };
    for peer in [a, b] {
        let _ = bench.receive(peer, Message::Heads { heads: vec![heads.clone()], reply: true });
    }
    let effects = bench.receive(a, message("2", PRESENCE_HOPS));
    assert_eq!(effects, [apply(a, "2", PRESENCE_HOPS, &[]), timer(Timer::Heartbeat, HEARTBEAT_MS)]);
    assert_eq!(news(&mut bench, a, "2", PRESENCE_HOPS), [spread(&[(b, PRESENCE_HOPS - 1)], &["2"])]);
    // A newcomer that follows it is shown who is there, and the document stays where it is.
    let late = pipe(&mut bench, 3, "4");
    let effects = bench.receive(late, Message::Heads { heads: vec![heads], reply: true });
    let show = |selection, hops| Effect::SendEphemeral { channel: late, doc: doc("d"), selection, hops };
    assert!(effects.ends_with(&[show(EphemeralSelection::Others, 0), show(EphemeralSelection::Own, PRESENCE_HOPS)]), "{effects:?}");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::LoadDoc { .. } | Effect::CreateDoc { .. })), "{effects:?}");
}
