//! What a store tells of after peers have come: effects compared by equality.

use super::{
    extended::{bench, dialled, extended, head, sent},
    inputs::listed,
    *,
};
use crate::protocol::{
    Capabilities,
    extension::{Part, Sum},
};

/// A relay that dialled this side, with some of the features.
fn relay(bench: &mut Bench, features: Features) -> (ChannelId, Vec<Effect>) {
    let capabilities = Some(Capabilities { features, ..Capabilities::own(Role::Relay) });
    dialled(bench, 1, Identity { capabilities, ..extended("2", Role::Relay) })
}

/// Who is told what stores have told of, and when.
fn due(effects: &[Effect]) -> Vec<(ChannelId, u64)> {
    let due = |effect: &Effect| match effect {
        Effect::SetTimer { timer: Timer::Directory(channel), after_ms } => Some((*channel, *after_ms)),
        _ => None,
    };
    effects.iter().filter_map(due).collect()
}

/// Two documents that others have as well.
fn two() -> Vec<(DocId, Stored)> {
    let version = vv(&[(7, 3)]);
    ["d", "e"].into_iter().map(|name| (doc(name), Stored { confirmed: version.clone(), ..on_disk(&version) })).collect()
}

#[test]
fn who_asked_what_there_is_before_a_store_was_read_is_told_of_what_it_has() {
    let hidden = SortedSet::from([doc("e")]);
    let mut bench = Bench::new(Interest::Everything, Forbid { visibility: RefCell::new(hidden), ..Forbid::default() });
    bench.store();
    let (asked, _) = (bench.network(1, "2"), bench.network(2, "3"));
    assert_eq!(
        bench.receive(asked, Message::DirectoryRequest { docs: None }),
        [Effect::Send { channel: asked, message: Message::DirectoryResponse { docs: Vec::new() } }]
    );
    assert_eq!(due(&bench.on(listed(two()))), [(asked, 0)]);
    assert_eq!(
        bench.on(Input::TimerFired(Timer::Directory(asked))),
        [Effect::Send { channel: asked, message: Message::DirectoryResponse { docs: vec![doc("d")] } }]
    );
    assert_eq!(due(&bench.on(listed(two()))), [], "nothing is new the second time");
}

#[test]
fn relays_compare_what_a_store_told_of_after_they_had_met() {
    let mut comparing = bench(Interest::Everything, AllowAll);
    comparing.store();
    let (channel, _) = relay(&mut comparing, Features::ALL);
    assert_eq!(due(&comparing.on(listed(two()))), [(channel, 0)]);
    let told = sent(&comparing.on(Input::TimerFired(Timer::Directory(channel))));
    let [Effect::Send { channel: to, message: Message::Digest { sums, reply: false, .. } }] = told.as_slice() else { panic!("{told:?}") };
    let whole = Part { depth: 0, prefix: 0 };
    assert!(matches!(sums.as_slice(), [Sum { part, count: 2, .. }] if *part == whole) && *to == channel, "{told:?}");

    let mut plain = bench(Interest::Everything, AllowAll);
    plain.store();
    let features = Features::HEADS.or(Features::ACK).or(Features::LINEAGE);
    let (channel, _) = relay(&mut plain, features);
    assert_eq!(due(&plain.on(listed(two()))), [(channel, 0)]);
    let told = sent(&plain.on(Input::TimerFired(Timer::Directory(channel))));
    let heads = ["d", "e"].map(|name| head(name, vv(&[(7, 3)]))).to_vec();
    assert_eq!(told, [Effect::Send { channel, message: Message::Heads { heads, reply: true } }]);
}

#[test]
fn those_who_asked_are_told_one_after_the_other_and_each_only_as_much_as_it_may_have_looked_at() {
    let mut bench = Bench::hub();
    bench.store();
    let peers = [bench.network(1, "2"), bench.network(2, "3"), bench.network(3, "4")];
    for peer in peers {
        let _ = bench.receive(peer, Message::DirectoryRequest { docs: None });
    }
    let many: Vec<_> = (0..1_000).map(|number| (doc(&format!("d{number}")), on_disk(&vv(&[(7, 3)])))).collect();
    assert_eq!(due(&bench.on(listed(many))), [(peers[0], 0), (peers[1], 10), (peers[2], 20)]);
    let all = bench.on(Input::TimerFired(Timer::Directory(peers[0])));
    assert!(matches!(all.as_slice(), [Effect::Send { message: Message::DirectoryResponse { docs }, .. }] if docs.len() == 1_000));
    for _ in 0..crate::synchronizer::model::MAX_LOOKED_AT / 1_000 {
        let _ = bench.receive(peers[1], Message::DirectoryRequest { docs: None });
    }
    assert_eq!(bench.on(Input::TimerFired(Timer::Directory(peers[1]))), []);
}

#[test]
fn a_peer_that_does_not_speak_all_that_sums_lead_to_is_sent_none() {
    let mut bench = bench(Interest::Everything, AllowAll);
    bench.store();
    let (_, met) = relay(&mut bench, Features::HEADS.or(Features::LINEAGE).or(Features::DIGEST));
    assert!(!met.iter().any(|effect| matches!(effect, Effect::SetTimer { timer: Timer::Digest, .. })), "{met:?}");
    let _ = bench.on(listed(two()));
    assert_eq!(sent(&bench.on(Input::TimerFired(Timer::Digest))), []);
}
