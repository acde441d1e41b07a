//! Documents that went quiet are kept as one snapshot.

use super::*;

const READ: StoredSize = StoredSize { records: 2, snapshot_bytes: 6_400, update_bytes: 64, foreign: 0 };
const SEVERAL: StoredSize = StoredSize { records: 3, ..READ };
const ONE: StoredSize = StoredSize { records: 1, snapshot_bytes: 6_464, update_bytes: 0, foreign: 0 };
/// After which nothing more is expected to be written of such a document.
const QUIET: u64 = 5_000 + 6_464 / 64;

fn later(ms: u64) -> Timestamp {
    NOW.plus(ms)
}

fn settle() -> Timer {
    Timer::Settle(STORE, doc("d"))
}

fn loaded(size: StoredSize, version: VersionVector) -> Input {
    Input::Loaded { channel: STORE, doc: doc("d"), stored: on_disk(&version), version, size, whole: true }
}

fn written(operations: i32, size: StoredSize) -> Input {
    Input::Stored { channel: STORE, docs: vec![(doc("d"), vv(&[(7, operations)]), size)], refused: vec![] }
}

fn write(since: i32, snapshot: bool) -> Effect {
    Effect::StoreDocs { channel: STORE, docs: vec![store_doc("d", vv(&[(7, since)]), snapshot)] }
}

/// A document with one operation that was read from a snapshot and an update.
fn read(interest: Interest) -> Bench {
    let mut bench = Bench::new(interest, AllowAll);
    bench.store();
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    let _ = bench.on(loaded(READ, vv(&[(7, 1)])));
    bench
}

/// Has an operation written, as one record more.
fn edit(bench: &mut Bench, operations: i32, at: Timestamp, size: StoredSize) -> Vec<Effect> {
    let _ = bench.at(Input::DocChanged { doc: doc("d"), version: vv(&[(7, operations)]) }, at);
    assert_eq!(bench.at(Input::TimerFired(Timer::StoreDue(STORE)), at), [write(operations - 1, false)]);
    bench.at(written(operations, size), at)
}

#[test]
fn a_document_that_went_quiet_after_an_edit_is_written_as_a_snapshot_once() {
    let mut bench = read(Interest::Opened);
    assert!(edit(&mut bench, 2, NOW, SEVERAL).contains(&timer(settle(), QUIET)));
    assert_eq!(bench.at(Input::TimerFired(settle()), later(QUIET - 1)), [timer(settle(), 1)], "not yet");
    assert_eq!(bench.at(Input::TimerFired(settle()), later(QUIET)), [timer(Timer::StoreDue(STORE), 0)]);
    assert_eq!(bench.at(Input::TimerFired(Timer::StoreDue(STORE)), later(QUIET)), [write(2, true)]);
    assert_eq!(bench.at(written(2, ONE), later(QUIET)), []);
    assert_eq!(bench.on(Input::DocClosed { doc: doc("d") }), [], "it is one already");
}

#[test]
fn what_was_only_opened_and_what_a_relay_keeps_stays_as_it_is() {
    let mut bench = read(Interest::Opened);
    assert_eq!(bench.on(Input::Closing), []);
    assert_eq!(bench.on(Input::DocClosed { doc: doc("d") }), []);
    let mut relay = read(Interest::Everything);
    assert!(!edit(&mut relay, 2, NOW, SEVERAL).contains(&timer(settle(), QUIET)));
    assert_eq!(relay.on(Input::DocClosed { doc: doc("d") }), []);
}

#[test]
fn a_document_that_is_closed_is_written_as_a_snapshot_at_once() {
    for closing in [Input::Closing, Input::DocClosed { doc: doc("d") }] {
        let mut bench = read(Interest::Opened);
        let _ = edit(&mut bench, 2, NOW, SEVERAL);
        let _ = bench.on(closing.clone());
        assert_eq!(bench.on(Input::FlushWanted), [write(2, true)]);
        // With what was not written yet.
        let mut bench = read(Interest::Opened);
        let _ = bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 2)]) });
        let _ = bench.on(closing);
        assert_eq!(bench.on(Input::FlushWanted), [write(1, true)]);
    }
}

#[test]
fn a_snapshot_that_could_not_be_written_does_not_keep_the_next_edit_from_being_written() {
    let mut bench = read(Interest::Opened);
    let _ = edit(&mut bench, 2, NOW, SEVERAL);
    let _ = bench.on(Input::DocClosed { doc: doc("d") });
    assert_eq!(bench.on(Input::FlushWanted), [write(2, true)]);
    let _ = bench.on(Input::StoreFailed { channel: STORE });
    assert_eq!(bench.on(Input::TimerFired(Timer::StoreDue(STORE))), [], "all of it is stored");
    let _ = bench.on(Input::DocChanged { doc: doc("d"), version: vv(&[(7, 3)]) });
    assert_eq!(bench.on(Input::TimerFired(Timer::StoreDue(STORE))), [write(2, false)]);
}

#[test]
fn what_another_tab_wrote_is_read_before_and_nothing_is_written_if_that_tab_was_first() {
    for (size, writes) in [(SEVERAL, true), (ONE, false)] {
        let mut bench = read(Interest::Opened);
        let both = StoredSize { records: 4, foreign: 2, ..SEVERAL };
        // Each tab after its own time.
        assert!(edit(&mut bench, 2, NOW, both).contains(&timer(settle(), QUIET + 49)));
        let due = later(QUIET + 49);
        assert_eq!(bench.at(Input::TimerFired(settle()), due), [Effect::LoadDoc { channel: STORE, doc: doc("d") }]);
        let _ = bench.at(loaded(size, vv(&[(7, 2)])), due);
        let expected = if writes { vec![write(2, true)] } else { vec![] };
        assert_eq!(bench.at(Input::TimerFired(Timer::StoreDue(STORE)), due), expected);
    }
}
