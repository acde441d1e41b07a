//! Documents lost to a panic of the engine.

use super::*;

fn loaded(version: &VersionVector) -> Input {
    let (stored, size) = (on_disk(version), StoredSize::default());
    Input::Loaded { channel: STORE, doc: doc("d"), stored, version: version.clone(), size, whole: true }
}

#[test]
fn a_lost_document_is_read_again_and_peers_are_asked_after_a_pause_only() {
    let mut bench = Bench::client();
    bench.store();
    let peer = bench.network(1, "2");
    let version = vv(&[(7, 1)]);
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    let _ = bench.on(loaded(&version));
    let known = Transmission::UpToDate { version: vv(&[(7, 1), (8, 3)]) };
    let _ = bench.receive(peer, Message::SyncResponse { doc: doc("d"), transmission: known, ephemeral: None });
    assert_eq!(
        bench.on(Input::DocLost { doc: doc("d"), version: VersionVector::new() }),
        [
            Effect::CreateDoc { doc: doc("d"), lineage: 0 },
            Effect::LoadDoc { channel: STORE, doc: doc("d") },
            timer(Timer::LoadTimeout(doc("d")), LOAD_TIMEOUT_MS),
            ready_changed("d"),
        ]
    );
    assert!(!bench.sync.is_confirmed(&doc("d"), ChannelKind::Storage, &version), "what is being read is not settled");
    let effects = bench.on(loaded(&version));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Send { .. } | Effect::StoreDocs { .. })), "{effects:?}");
    let effects = bench.at(Input::TimerFired(Timer::Verify(peer, doc("d"))), NOW.plus(2_000));
    assert!(effects.contains(&ask(peer, "d", version, true)), "{effects:?}");
}

#[test]
fn losing_a_document_while_it_is_read_reads_nothing_twice() {
    let mut bench = Bench::client();
    bench.store();
    let _ = bench.on(Input::DocOpened { doc: doc("d") });
    let lost = Input::DocLost { doc: doc("d"), version: VersionVector::new() };
    assert!(!bench.on(lost).iter().any(|effect| matches!(effect, Effect::LoadDoc { .. })));
    let _ = bench.on(loaded(&vv(&[(7, 1)])));
    assert!(bench.sync.is_stored(&doc("d"), &vv(&[(7, 1)])));
}
