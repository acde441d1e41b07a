use std::time::{Duration, UNIX_EPOCH};

use loro::awareness::EphemeralStore;
use proptest::prelude::*;

use super::*;

use crate::collections::SortedMap;

const NOW: Timestamp = Timestamp(1_790_000_000_000);
const LIFETIME: u64 = 30_000;

fn peer(id: u64) -> PeerId {
    PeerId::from(id)
}

fn value(text: &str) -> LoroValue {
    LoroValue::from(text)
}

fn with(entries: &[(&str, &str)], author: &PeerId, now: Timestamp) -> EphemeralState {
    let mut state = EphemeralState::new();
    for (key, text) in entries {
        state.set(key, value(text), author, now);
    }
    state
}

fn change(added: &[&str], updated: &[&str], removed: &[&str]) -> EphemeralChange {
    let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    EphemeralChange { added: owned(added), updated: owned(updated), removed: owned(removed) }
}

fn raw(entries: &[(&str, Option<LoroValue>, i64)]) -> Vec<u8> {
    postcard::to_allocvec(entries).unwrap()
}

fn stamp(state: &EphemeralState, key: &str) -> i64 {
    state.entries[key].stamp
}

/// The system's time, which Loro's store reads by itself.
fn system_now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "compared with a store that reads this clock")]
    let since: Duration = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(since.as_millis() as u64)
}

#[test]
fn set_and_delete_report_what_they_changed() {
    let mut state = EphemeralState::new();
    assert!(state.is_empty());
    assert_eq!(state.set("a", value("1"), &peer(1), NOW), change(&["a"], &[], &[]));
    assert_eq!(state.set("a", value("2"), &peer(1), NOW), change(&[], &["a"], &[]));
    assert_eq!((state.get("a"), state.keys()), (Some(&value("2")), vec!["a".to_owned()]));
    assert_eq!(state.delete("a", &peer(1), NOW), change(&[], &[], &["a"]));
    assert!(state.delete("a", &peer(1), NOW).is_empty());
    assert!(state.delete("never", &peer(1), NOW).is_empty());
    assert_eq!((state.get("a"), state.all(), state.is_empty()), (None, SortedMap::new(), true));
    assert_eq!(state.set("a", value("3"), &peer(1), NOW), change(&["a"], &[], &[]));
}

#[test]
fn a_later_write_wins_even_if_the_clock_went_back() {
    let mut state = with(&[("a", "1")], &peer(1), NOW);
    state.set("a", value("2"), &peer(1), Timestamp(5));
    let mut other = with(&[("a", "1")], &peer(1), NOW);
    other.apply(&state.encode_all(), &peer(1), NOW).unwrap();
    assert_eq!(other.get("a"), Some(&value("2")));
}

#[test]
fn only_a_strictly_newer_stamp_wins() {
    let mut state = EphemeralState::new();
    let at = |text: &str, stamp| raw(&[("a", Some(value(text)), stamp)]);
    assert_eq!(state.apply(&at("1", 100), &peer(2), NOW), Ok(change(&["a"], &[], &[])));
    assert_eq!(state.apply(&at("2", 100), &peer(2), NOW), Ok(change(&[], &[], &[])));
    assert_eq!(state.apply(&at("3", 99), &peer(2), NOW), Ok(change(&[], &[], &[])));
    assert_eq!(state.apply(&raw(&[("a", None, 100)]), &peer(2), NOW), Ok(change(&[], &[], &[])));
    assert_eq!(state.get("a"), Some(&value("1")));
    assert_eq!(state.apply(&at("4", 101), &peer(2), NOW), Ok(change(&[], &["a"], &[])));
    assert_eq!(state.apply(&raw(&[("a", None, 102)]), &peer(2), NOW), Ok(change(&[], &[], &["a"])));
    assert_eq!(state.apply(&at("4", 101), &peer(2), NOW), Ok(change(&[], &[], &[])));
    assert!(state.is_empty());
}

#[test]
fn deletions_travel() {
    let mut here = with(&[("a", "1"), ("b", "2")], &peer(1), NOW);
    let mut there = EphemeralState::new();
    there.apply(&here.encode_all(), &peer(1), NOW).unwrap();
    here.delete("a", &peer(1), NOW);
    assert_eq!(there.apply(&here.encode(&["a", "unknown"]), &peer(1), NOW), Ok(change(&[], &[], &["a"])));
    assert_eq!(there.keys(), ["b"]);
}

#[test]
fn a_repeated_value_is_no_change_but_refreshes() {
    let mut here = with(&[("a", "1")], &peer(1), NOW);
    let mut there = EphemeralState::new();
    there.apply(&here.encode_all(), &peer(1), NOW).unwrap();
    here.touch(&peer(1), NOW.plus(LIFETIME - 1));
    assert_eq!(there.apply(&here.encode_all(), &peer(1), NOW.plus(LIFETIME - 1)), Ok(change(&[], &[], &[])));
    assert!(there.expire(&peer(2), NOW.plus(LIFETIME), LIFETIME).is_empty());
    assert_eq!(there.expire(&peer(2), NOW.plus(2 * LIFETIME), LIFETIME), change(&[], &[], &["a"]));
}

#[test]
fn the_newest_of_a_key_given_twice_counts() {
    let mut state = EphemeralState::new();
    let bytes = raw(&[("a", Some(value("new")), 9), ("a", Some(value("old")), 8)]);
    assert_eq!(state.apply(&bytes, &peer(1), NOW), Ok(change(&["a"], &[], &[])));
    assert_eq!(state.get("a"), Some(&value("new")));
}

#[test]
fn touch_renews_only_what_the_author_wrote_last() {
    let mut state = with(&[("mine", "1"), ("shared", "1"), ("deleted", "1")], &peer(1), NOW);
    state.set("shared", value("2"), &peer(2), NOW);
    state.delete("deleted", &peer(1), NOW);
    assert_eq!(state.own_keys(&peer(1)), ["mine"]);
    assert_eq!(state.own_keys(&peer(2)), ["shared"]);
    let before = state.clone();
    state.touch(&peer(1), NOW.plus(10_000));
    assert_eq!(stamp(&state, "mine"), NOW.plus(10_000).0 as i64);
    for key in ["shared", "deleted"] {
        assert_eq!(stamp(&state, key), stamp(&before, key));
    }
}

#[test]
fn what_a_peer_sends_is_its_own_except_others_ids() {
    let mut state = EphemeralState::new();
    let bytes = raw(&[("cursor", Some(value("c")), 1), ("3", Some(value("s")), 1), ("007", Some(value("n")), 1)]);
    state.apply(&bytes, &peer(2), NOW).unwrap();
    assert_eq!(state.own_keys(&peer(2)), ["007", "cursor"]);
    assert_eq!(state.own_keys(&peer(3)), ["3"]);
}

#[test]
fn a_value_sent_again_by_another_peer_keeps_its_author() {
    let mut state = with(&[("cursor", "c")], &peer(1), NOW);
    let later = NOW.plus(5).0 as i64;
    state.apply(&raw(&[("cursor", Some(value("c")), later)]), &peer(2), NOW).unwrap();
    assert_eq!(state.own_keys(&peer(1)), ["cursor"]);
    state.apply(&raw(&[("cursor", Some(value("d")), later + 1)]), &peer(2), NOW).unwrap();
    assert_eq!(state.own_keys(&peer(2)), ["cursor"]);
}

#[test]
fn a_peer_that_goes_takes_its_values_and_its_id_along() {
    let mut state = with(&[("cursor", "c"), ("1", "self")], &peer(1), NOW);
    state.set("2", value("written by 1"), &peer(1), NOW);
    state.set("kept", value("k"), &peer(3), NOW);
    state.set("other", value("o"), &peer(2), NOW);
    assert_eq!(state.remove_author(&peer(2), NOW), change(&[], &[], &["2", "other"]));
    assert!(state.remove_author(&peer(2), NOW).is_empty());
    assert_eq!(state.keys(), ["1", "cursor", "kept"]);
    // The deletion wins over the value elsewhere.
    let mut there = with(&[("other", "o")], &peer(2), NOW);
    assert_eq!(there.apply(&state.encode_all(), &peer(9), NOW).unwrap().removed, ["other"]);
}

#[test]
fn values_of_others_lapse_by_local_time() {
    let mut state = with(&[("mine", "1")], &peer(1), NOW);
    // The writer's clock is years behind; that alone makes nothing lapse.
    let bytes = raw(&[("theirs", Some(value("t")), 7)]);
    state.apply(&bytes, &peer(2), NOW).unwrap();
    assert!(state.expire(&peer(1), NOW.plus(LIFETIME - 1), LIFETIME).is_empty());
    assert_eq!(state.expire(&peer(1), NOW.plus(LIFETIME), LIFETIME), change(&[], &[], &["theirs"]));
    assert_eq!(state.keys(), ["mine"]);
    // Sent again unchanged by somebody late it stays gone, renewed it is back.
    assert!(state.apply(&bytes, &peer(3), NOW.plus(LIFETIME)).unwrap().is_empty());
    assert_eq!(state.apply(&raw(&[("theirs", Some(value("t")), 8)]), &peer(2), NOW.plus(LIFETIME)).unwrap().added, ["theirs"]);
}

#[test]
fn deletions_are_forgotten_after_a_lifetime() {
    let mut state = with(&[("a", "1")], &peer(1), NOW);
    state.delete("a", &peer(1), NOW);
    state.expire(&peer(1), NOW.plus(LIFETIME - 1), LIFETIME);
    assert_eq!(state.entries.len(), 1);
    assert!(state.expire(&peer(1), NOW.plus(LIFETIME), LIFETIME).is_empty());
    assert_eq!(state.encode_all(), [0]);
}

#[test]
fn a_stamp_from_the_far_future_counts_as_now() {
    let mut state = EphemeralState::new();
    let now = NOW.0 as i64;
    for far in [i64::MAX, NOW.plus(MAX_AHEAD_MS).0 as i64 + 1] {
        state.apply(&raw(&[("a", Some(value("wrong clock")), far)]), &peer(2), NOW).unwrap();
        assert_eq!(stamp(&state, "a"), now);
    }
    let right = raw(&[("a", Some(value("right clock")), now + 1)]);
    assert_eq!(state.apply(&right, &peer(3), NOW.plus(1)), Ok(change(&[], &["a"], &[])));
    // A day ahead is believed, and a local write still wins.
    let ahead = NOW.plus(MAX_AHEAD_MS).0 as i64;
    state.apply(&raw(&[("a", Some(value("ahead")), ahead)]), &peer(2), NOW).unwrap();
    assert_eq!(stamp(&state, "a"), ahead);
    state.set("a", value("local"), &peer(1), NOW);
    assert_eq!(stamp(&state, "a"), ahead + 1);
}

#[test]
fn a_value_stays_and_changes_though_a_clock_was_set_so_far_that_its_stamps_are_not_believed() {
    let mut state = EphemeralState::new();
    let now = NOW.0 as i64;
    // Believed once, and then its writer's clock goes on to where it is not.
    let ahead = NOW.plus(MAX_AHEAD_MS).0 as i64;
    state.apply(&raw(&[("a", Some(value("1")), ahead)]), &peer(2), NOW).unwrap();
    let far = ahead + 1_000_000;
    for beat in 1..=40 {
        let at = NOW.plus(10_000 * beat);
        let _ = state.apply(&raw(&[("a", Some(value("1")), far + at.0 as i64)]), &peer(2), at).unwrap();
        assert_eq!(state.expire(&peer(1), at.plus(1), 150_000), EphemeralChange::default(), "renewed: {beat}");
    }
    let at = NOW.plus(400_001);
    let changed = raw(&[("a", Some(value("2")), far + at.0 as i64 + 1)]);
    assert_eq!(state.apply(&changed, &peer(2), at), Ok(change(&[], &["a"], &[])));
    let taken = stamp(&state, "a");
    assert!(taken > ahead && taken < far, "{now}");
    // The same on another path changes nothing, so that it does not go round.
    let _ = state.apply(&changed, &peer(3), at.plus(200)).unwrap();
    assert_eq!(stamp(&state, "a"), taken);
    // This clock is set back: what was here before is beyond belief, and goes on all the same.
    let back = Timestamp(NOW.0 - 20 * MAX_AHEAD_MS);
    let again = raw(&[("a", Some(value("3")), now)]);
    assert_eq!(state.apply(&again, &peer(2), back), Ok(change(&[], &["a"], &[])));
}

#[test]
fn hostile_bytes_change_nothing() {
    let mut state = with(&[("a", "1")], &peer(1), NOW);
    let good = raw(&[("b", Some(value("2")), 5), ("c", None, 6)]);
    for cut in 0..good.len() {
        assert_eq!(state.apply(&good[..cut], &peer(2), NOW), Err(EphemeralDecodeError), "{cut}");
    }
    let mut nested = vec![1, 1, b'k', 1];
    nested.extend([5, 1].repeat(100_000));
    let claims =
        [&[0xff; 10][..], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[1, 1, 0xff, 0, 0], &[1, 1, b'k', 2, 0], &[1, 1, b'k', 1, 9, 0], &nested];
    for bytes in claims {
        assert_eq!(state.apply(bytes, &peer(2), NOW), Err(EphemeralDecodeError));
    }
    assert_eq!(state.keys(), ["a"]);
}

#[test]
fn peers_cannot_fill_a_namespace_without_end() {
    let mut state = with(&[("mine", "1")], &peer(1), NOW);
    let keys: Vec<_> = (0..MAX_ENTRIES).map(|n| format!("k{n}")).collect();
    let entries: Vec<_> = keys.iter().map(|key| (key.as_str(), Some(LoroValue::Null), 1)).collect();
    state.apply(&raw(&entries), &peer(2), NOW).unwrap();
    assert_eq!(state.entries.len(), MAX_ENTRIES);
    // What is known can still change, and local writes always can.
    assert_eq!(state.apply(&raw(&[("k1", Some(value("x")), 2)]), &peer(2), NOW).unwrap().updated, ["k1"]);
    assert_eq!(state.set("new", value("n"), &peer(1), NOW).added, ["new"]);

    let mut too_many = entries.clone();
    too_many.push(("one more", None, 1));
    assert_eq!(state.apply(&raw(&too_many), &peer(2), NOW), Err(EphemeralDecodeError));
    let long = "k".repeat(MAX_KEY_BYTES + 1);
    let mut empty = EphemeralState::new();
    empty.apply(&raw(&[(&long, Some(LoroValue::Null), 1), ("short", Some(LoroValue::Null), 1)]), &peer(2), NOW).unwrap();
    assert_eq!(empty.keys(), ["short"]);
}

fn every_kind_of_value() -> Vec<(&'static str, LoroValue)> {
    let list = LoroValue::List(vec![LoroValue::Null, value("x")].into());
    vec![
        ("null", LoroValue::Null),
        ("bool", true.into()),
        ("double", 1.5.into()),
        ("int", LoroValue::I64(-3)),
        ("text", value("é🦜")),
        ("bytes", LoroValue::Binary(vec![0, 255].into())),
        ("map", LoroValue::Map([("k".to_owned(), list.clone())].into_iter().collect::<std::collections::HashMap<_, _>>().into())),
        ("list", list),
    ]
}

#[test]
fn loro_reads_what_is_written_here() {
    let mut state = EphemeralState::new();
    let now = system_now();
    for (key, value) in every_kind_of_value() {
        state.set(key, value, &peer(1), now);
    }
    state.set("gone", value("1"), &peer(1), now);
    let store = EphemeralStore::new(i64::from(i32::MAX));
    store.apply(&state.encode_all()).unwrap();
    state.delete("gone", &peer(1), now);
    store.apply(&state.encode(&["gone"])).unwrap();
    assert_eq!(store.get_all_states().into_iter().collect::<SortedMap<_, _>>(), state.all());
}

#[test]
fn what_loro_writes_is_read_here() {
    let store = EphemeralStore::new(i64::from(i32::MAX));
    for (key, value) in every_kind_of_value() {
        store.set(key, value);
    }
    store.set("gone", "1");
    store.delete("gone");
    let mut state = EphemeralState::new();
    state.apply(&store.encode_all(), &peer(2), system_now()).unwrap();
    assert_eq!(state.all(), store.get_all_states().into_iter().collect());
    assert_eq!(EphemeralState::new().encode_all(), EphemeralStore::new(1).encode_all());
}

#[test]
fn states_that_exchange_everything_become_equal() {
    let mut one = with(&[("a", "1"), ("b", "1")], &peer(1), NOW);
    let mut two = with(&[("b", "2"), ("c", "2")], &peer(2), NOW.plus(1));
    two.delete("c", &peer(2), NOW.plus(2));
    let (from_one, from_two) = (one.encode_all(), two.encode_all());
    one.apply(&from_two, &peer(2), NOW.plus(3)).unwrap();
    two.apply(&from_one, &peer(1), NOW.plus(3)).unwrap();
    assert_eq!(one.all(), two.all());
    assert_eq!(one.encode_all(), two.encode_all());
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_entries_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut state = EphemeralState::new();
        match state.apply(&bytes, &peer(1), NOW) {
            // An entry takes three bytes at least.
            Ok(_) => prop_assert!(state.entries.len() <= bytes.len() / 3),
            Err(EphemeralDecodeError) => prop_assert!(state.entries.is_empty()),
        }
    }
}

#[test]
fn who_is_gone_is_deleted_just_after_its_last_word_and_what_it_says_next_counts() {
    let mut author = with(&[("2", "here")], &peer(2), NOW);
    let mut other = EphemeralState::new();
    other.apply(&author.encode_all(), &peer(2), NOW).unwrap();
    let later = NOW.plus(60_000);
    assert_eq!(other.depart(|_, author, _| *author == peer(2), later), change(&[], &[], &["2"]));
    assert_eq!(stamp(&other, "2"), stamp(&author, "2") + 1);
    assert!(other.encode_keys(&["2".to_owned()]).iter().all(|encoded| encoded.departed && encoded.author == peer(2)));
    author.touch(&peer(2), NOW.plus(1_000));
    assert_eq!(other.apply(&author.encode_all(), &peer(2), later), Ok(change(&["2"], &[], &[])));
    assert_eq!(other.forget(|_, author, _| *author == peer(2)), change(&[], &[], &["2"]));
    assert!(other.is_blank());
    assert_eq!(other.apply(&author.encode_all(), &peer(2), later), Ok(change(&["2"], &[], &[])), "nothing is remembered of it");
}

#[test]
fn an_author_that_is_there_stays_whoever_says_that_it_left_unless_it_deleted_the_entry_itself() {
    let author = peer(2);
    let here = with(&[("2", "here")], &author, NOW);
    let gone = raw(&[("2", None, NOW.0 as i64 + 1)]);
    for (departed, present, left) in [(true, true, false), (true, false, true), (false, true, true)] {
        let mut state = here.clone();
        let claim = Claim { author: &author, departed, present };
        let merged = state.merge(&gone, claim, NOW, &mut |_, _| Some(Origin::default())).unwrap();
        assert_eq!((merged.news.is_empty(), state.get("2").is_none()), (!left, left), "departed {departed}, present {present}");
        assert_eq!(merged.restated.is_empty(), left);
        assert!(left || stamp(&state, "2") > NOW.0 as i64 + 1, "it wins over the word that it left");
    }
}

#[test]
fn what_a_message_brings_is_told_apart() {
    let author = peer(2);
    let mut state = EphemeralState::new();
    let at = |key: &'static str, stamp: i64| (key, Some(value(key)), stamp);
    state.apply(&raw(&[at("same", 5), at("newer", 5), at("older", 5)]), &author, NOW).unwrap();
    let bytes = raw(&[at("same", 5), at("newer", 6), at("older", 4), at("unknown", 1), ("too much", Some(value(&"x".repeat(1_000))), 1)]);
    let claim = Claim { author: &author, departed: false, present: false };
    let merged = state.merge(&bytes, claim, NOW, &mut |bytes, _| (bytes < 900).then(Origin::default)).unwrap();
    assert_eq!(merged.news, ["newer", "unknown"]);
    assert_eq!((merged.same, merged.behind, merged.refused), (vec!["same".to_owned()], vec!["older".to_owned()], 1));
    assert_eq!(state.get("too much"), None);
}
