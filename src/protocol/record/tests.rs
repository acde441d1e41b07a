use proptest::{collection::vec, prelude::*};

use super::*;
use crate::protocol::clock::{Stamp, Writer};

fn clock(stamp: u64, device: u64, number: u32) -> Clock {
    Clock { stamp: Stamp(stamp), writer: Writer { device: Device(device), number } }
}

fn named(name: &str, value: &'static [u8]) -> (Arc<str>, Bytes) {
    (name.into(), Bytes::from_static(value))
}

fn id(key: &str) -> RecordId {
    RecordId { collection: "notes".into(), owner: None, key: key.into() }
}

fn merged(states: &[&RecordState]) -> RecordState {
    let mut all = RecordState::default();
    for state in states {
        all.merge(state);
    }
    all
}

#[test]
fn a_put_replaces_all_fields_and_an_update_its_own() {
    let first = RecordState::put(clock(1, 1, 1), [named("a", b"1"), named("b", b"1")]);
    let update = RecordState::update(clock(2, 2, 1), [named("b", b"2")]);
    let both = merged(&[&update, &first]);
    assert_eq!(both.fields.iter().map(|field| (&*field.name, &*field.value)).collect::<Vec<_>>(), [("a", &b"1"[..]), ("b", b"2")]);
    let second = RecordState::put(clock(3, 1, 1), [named("c", b"3")]);
    assert_eq!(merged(&[&second, &both]), second);
}

#[test]
fn of_concurrent_changes_the_later_one_stays_field_by_field() {
    let first = RecordState::put(clock(1, 1, 1), [named("a", b"0"), named("b", b"0")]);
    let one = RecordState::update(clock(5, 1, 1), [named("a", b"one")]);
    let other = RecordState::update(clock(5, 2, 1), [named("a", b"other"), named("b", b"other")]);
    let all = merged(&[&one, &other, &first]);
    assert_eq!(all.fields.iter().map(|field| &*field.value).collect::<Vec<_>>(), [b"other", b"other"]);
}

#[test]
fn an_update_brings_no_deleted_record_back_and_a_put_does() {
    let deleted = RecordState::deletion(clock(5, 1, 1));
    let update = RecordState::update(clock(6, 2, 1), [named("a", b"1")]);
    assert!(!merged(&[&deleted, &update]).is_alive());
    let put = RecordState::put(clock(7, 2, 1), [named("b", b"1")]);
    let back = merged(&[&deleted, &put, &update]);
    assert!(back.is_alive());
    assert_eq!(back, put);
    assert!(!merged(&[&RecordState::put(clock(4, 2, 1), []), &deleted]).is_alive());
}

#[test]
fn what_is_missing_is_what_was_written_later() {
    let mut state = RecordState::put(clock(1, 1, 1), [named("a", b"1"), named("b", b"1")]);
    state.merge(&RecordState::update(clock(3, 2, 1), [named("b", b"2")]));
    let since = ClockVector::from_iter([(clock(1, 1, 1).writer, Stamp(2))]);
    assert_eq!(state.missing(&since), Some(RecordState::update(clock(3, 2, 1), [named("b", b"2")])));
    let mut all = since.clone();
    all.raise(clock(3, 2, 1));
    assert_eq!(state.missing(&all), None);
    assert!(state.is_in(&all) && !state.is_in(&since));
    assert!(state.forget(&since));
    assert_eq!(state, RecordState::update(clock(3, 2, 1), [named("b", b"2")]));
}

#[test]
fn a_change_among_a_hundred_costs_little_beside_its_key_and_value() {
    let entries: Vec<_> = (0..100u64)
        .map(|number| {
            let at = clock(Stamp::at(1_800_000_000_000 + number).0, 0x1234_5678_9abc_def0, 77);
            (id(&format!("key-{number:04}")), RecordState::put(at, [named("t", b"12345678"), named("u", b"12345678")]))
        })
        .collect();
    let bytes = encode_entries(&entries);
    let content = 100 * (8 + 2 + 16);
    assert!(bytes.len() < content + 100 * 16, "{} bytes, {content} of them content", bytes.len());
    assert_eq!(decode_entries(&bytes), Ok(entries));
}

#[test]
fn more_records_than_a_message_may_hold_are_refused() {
    let entry = |number: usize| (id(&number.to_string()), RecordState::deletion(clock(1, 1, 1)));
    let most: Vec<_> = (0..MAX_RECORDS).map(entry).collect();
    assert!(decode_entries(&encode_entries(&most)).is_ok());
    let more: Vec<_> = (0..=MAX_RECORDS).map(entry).collect();
    assert_eq!(decode_entries(&encode_entries(&more)), Err(RecordsError));
}

fn any_clock() -> impl Strategy<Value = Clock> {
    (prop_oneof![1u64..20, 1..u64::MAX], 0u64..3, 0u32..2).prop_map(|(stamp, device, number)| clock(stamp, device, number))
}

fn any_state() -> impl Strategy<Value = RecordState> {
    let change = (any_clock(), 0..3, vec(("[a-d]", vec(any::<u8>(), 0..4)), 0..4)).prop_map(|(clock, kind, fields)| {
        let fields = fields.into_iter().map(|(name, value)| (name.into(), value.into()));
        match kind {
            0 => RecordState::put(clock, fields),
            1 => RecordState::update(clock, fields),
            _ => RecordState::deletion(clock),
        }
    });
    vec(change, 0..6).prop_map(|changes| merged(&changes.iter().collect::<Vec<_>>()))
}

fn any_vector() -> impl Strategy<Value = ClockVector> {
    vec(any_clock(), 0..8).prop_map(|clocks| clocks.into_iter().map(|clock| (clock.writer, clock.stamp)).collect())
}

proptest! {
    #[test]
    fn states_merge_in_any_order_any_number_of_times(a in any_state(), b in any_state(), c in any_state()) {
        let all = merged(&[&a, &b, &c]);
        prop_assert_eq!(&merged(&[&c, &b, &a]), &all);
        prop_assert_eq!(&merged(&[&b, &merged(&[&a, &c]), &a]), &all);
        let mut again = all.clone();
        prop_assert!(!again.merge(&b) && again == all);
    }

    #[test]
    fn who_gets_what_is_missing_has_it_all(state in any_state(), other in any_state(), since in any_vector()) {
        // Who has `since` has everything in it, or what replaced it.
        let mut known = state.clone();
        known.fields.retain(|field| since.has(field.clock));
        known.base = known.base.filter(|base| since.has(base.clock));
        known.merge(&other);
        let expected = merged(&[&state, &known]);
        if let Some(missing) = state.missing(&since) {
            known.merge(&missing);
        }
        prop_assert_eq!(known, expected);
    }

    #[test]
    fn records_survive_the_way_there_and_back(states in vec((".{0,9}", ".{0,9}", proptest::option::of(any::<u64>()), any_state()), 0..9)) {
        let entries: Vec<_> = states
            .into_iter()
            .map(|(collection, key, owner, state)| (RecordId { collection: collection.into(), owner: owner.map(Device), key: key.into() }, state))
            .collect();
        let bytes = encode_entries(&entries);
        prop_assert_eq!(decode_entries(&bytes), Ok(entries.clone()));
        let mut names = Vec::new();
        for (_, state) in entries {
            let row = Bytes::from(encode_state(&state));
            prop_assert_eq!(decode_row(&row, &mut names), Ok(state.clone()));
            prop_assert_eq!(decode_state(&row), Ok(state));
        }
    }

    #[test]
    fn records_are_ordered_by_collection_owner_and_key(names in vec((0..2_u8, proptest::option::of(0..2_u64), "[ab]{1,2}"), 2)) {
        let shared: [Arc<str>; 2] = ["a".into(), "b".into()];
        let id = |(collection, owner, key): &(u8, Option<u64>, String), own: bool| {
            let name = &shared[usize::from(*collection)];
            let collection = if own { (**name).into() } else { Arc::clone(name) };
            RecordId { collection, owner: owner.map(Device), key: key.as_str().into() }
        };
        for own in [false, true] {
            prop_assert_eq!(id(&names[0], false).cmp(&id(&names[1], own)), names[0].cmp(&names[1]));
        }
    }

    #[test]
    fn any_bytes_are_records_or_an_error(mut bytes in vec(any::<u8>(), 0..200)) {
        let _ = (decode_entries(&bytes), decode_state(&bytes), ClockVector::decode(&bytes));
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        let _ = (decode_entries(&bytes), decode_state(&bytes));
    }

    #[test]
    fn vectors_survive_and_are_ordered(a in any_vector(), b in any_vector(), clock in any_clock()) {
        prop_assert_eq!(ClockVector::decode(&a.encode()), Ok(a.clone()));
        let mut both = a.clone();
        both.merge(&b);
        prop_assert!(both.includes(&a) && both.includes(&b));
        prop_assert_eq!(both.has(clock), a.has(clock) || b.has(clock));
        prop_assert_eq!(a.common(&b).has(clock), a.has(clock) && b.has(clock));
        let mut rest = b.clone();
        rest.merge(&a.beyond(&b));
        prop_assert_eq!(rest, both);
        prop_assert_eq!(a.sum() == b.sum(), a == b);
    }
}
