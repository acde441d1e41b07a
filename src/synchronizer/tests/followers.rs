//! What the application is told of how peers stand to a document that very many follow, and what that costs.

use super::{
    extended::{bench, give, pipe, told},
    *,
};

const FOLLOWERS: u64 = 300;

/// A relay with a store, a document in it, and followers that have all of it.
fn relay() -> (Bench, Vec<ChannelId>) {
    let mut bench = bench(Interest::Everything, AllowAll);
    bench.store();
    let _ = bench.on(Input::Listed { channel: STORE, docs: Vec::new() });
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    let (stored, version, size) = Default::default();
    let _ = bench.on(Input::Loaded { channel: STORE, doc: doc("d"), stored, version, size, whole: true });
    let _ = bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 1)]) });
    let _ = bench.on(Input::WritesUnder { authors: [7].into() });
    let followers = (0..FOLLOWERS).map(|number| pipe(&mut bench, 1_000 + number, &(10 + number).to_string()));
    let followers: Vec<_> = followers.collect();
    for channel in &followers {
        let _ = bench.receive(*channel, told("d", vv(&[(7, 1)]), true));
    }
    (bench, followers)
}

/// What was noted is what all followers give when they are looked at together.
fn assert_noted(bench: &Bench) {
    let noted = bench.sync.model.docs[&doc("d")].reported.clone().unwrap_or_default();
    let now: Vec<_> = bench.sync.ready_states(&doc("d")).into_iter().map(|state| (state.channel, state.status)).collect();
    assert_eq!(noted, now);
}

fn ack(version: &VersionVector) -> Message {
    Message::Ack { doc: doc("d"), lineage: 0, version: version.clone(), durable: None, settled: None }
}

#[test]
fn what_a_follower_says_costs_no_look_at_the_others() {
    let (mut bench, followers) = relay();
    let version = vv(&[(7, 1), (8, 1)]);
    let _ = bench.receive(followers[0], give("d", version.clone()));
    let (announced, pending) = (version.clone(), VersionVector::new());
    let _ = bench.on(Input::DocImported { doc: doc("d"), channel: followers[0], version: version.clone(), announced, pending });
    let before = bench.sync.model.looked_at;
    for channel in &followers[1..] {
        let news = bench.receive(*channel, ack(&version)).contains(&Effect::Emit(Event::ReadyStateChanged(doc("d"))));
        assert!(news, "it has the change");
        let _ = bench.on(Input::TimerFired(Timer::Verify(*channel, doc("d"))));
    }
    let looked_at = bench.sync.model.looked_at - before;
    assert!(looked_at <= 2 * followers.len(), "{looked_at}");
    assert_noted(&bench);
}

#[test]
fn the_application_is_told_of_every_change_of_how_a_follower_stands_and_of_nothing_else() {
    let (mut bench, followers) = relay();
    let changed = Effect::Emit(Event::ReadyStateChanged(doc("d")));
    let (one, two, same) = (followers[3], followers[4], vv(&[(7, 1)]));
    let absent = Message::Refusal { doc: doc("d"), reason: RefusalReason::Unavailable, retry_ms: None };
    let inputs = [
        (Input::Received { channel: one, message: ack(&same) }, false),
        (Input::Received { channel: one, message: absent }, true),
        (Input::Received { channel: one, message: told("d", same.clone(), false) }, true),
        (Input::Received { channel: two, message: told("d", vv(&[(7, 1), (9, 1)]), false) }, true),
        (Input::DocChanged { doc: doc("d"), version: vv(&[(7, 2)]) }, true),
        (Input::Received { channel: one, message: ack(&vv(&[(7, 2)])) }, true),
        (Input::ChannelClosed { channel: two }, true),
        (Input::DocLost { doc: doc("d"), version: VersionVector::new() }, true),
    ];
    for (number, (input, news)) in inputs.into_iter().enumerate() {
        assert_eq!(bench.on(input).contains(&changed), news, "{number}");
        assert_noted(&bench);
    }
}

#[test]
fn an_id_this_repo_begins_to_write_under_is_given_up_if_a_follower_has_more_of_it() {
    let (mut bench, followers) = relay();
    // Said while this repo did not write under it.
    let _ = bench.receive(followers[9], told("d", vv(&[(7, 1), (9, 5)]), false));
    let retires =
        |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::RetireAuthors { authors } if authors.contains(&9)));
    let _ = bench.on(Input::WritesUnder { authors: [7, 9].into() });
    assert!(retires(&bench.receive(followers[1], ack(&vv(&[(7, 1)])))));
    assert!(!retires(&bench.receive(followers[1], ack(&vv(&[(7, 1)])))), "once");
}
