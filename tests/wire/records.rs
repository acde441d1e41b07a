//! Frames of records as the feature's first version writes them, in `tests/golden/records.json`, and what bytes may do to them.

use bytes::Bytes;
use corella::protocol::{
    Capabilities, Clock, ClockVector, Device, Features, Identity, Limits, Message, PeerId, PeerType, RecordEntry, RecordId, RecordState,
    RefusalReason, Role,
    clock::{Stamp, Writer},
    frame::{decode_frame, encode_frame},
    record::MAX_RECORDS,
};
use proptest::{collection::vec, option, prelude::*};
use serde_json::Value;

use crate::json::to_hex;

fn clock(ms: u64, device: u64, number: u32) -> Clock {
    Clock { stamp: Stamp(Stamp::at(ms).0 + 3), writer: Writer { device: Device(device), number } }
}

fn messages() -> Vec<(&'static str, Message)> {
    let early = clock(1_800_000_000_000, 7, 1);
    let late = clock(1_800_000_000_500, u64::MAX, u32::MAX);
    let version: ClockVector = [early, late].into_iter().map(|clock| (clock.writer, clock.stamp)).collect();
    let since: ClockVector = [(early.writer, early.stamp)].into_iter().collect();
    let shared = |key: &str| RecordId { collection: "notes".into(), owner: None, key: key.into() };
    let owned = RecordId { collection: "here ü".into(), owner: Some(Device(7)), key: "last".into() };
    let field = |name: &str, value: &'static [u8]| (name.into(), Bytes::from_static(value));
    let mut edited = RecordState::put(early, [field("a", &[1]), field("b", &[0x61, 0x78])]);
    edited.merge(&RecordState::update(late, [field("b", &[0xf6])]));
    let entries =
        vec![(shared("one"), edited), (shared("two"), RecordState::deletion(late)), (owned, RecordState::put(early, [field("", &[0xf5])]))];
    let features = Features::HEADS.or(Features::ACK).or(Features::DIGEST).or(Features::LINEAGE).or(Features::RECORDS);
    let capabilities = Capabilities { oldest: 1, newest: 1, role: Role::Leaf, features, home: None };
    let identity = Identity { peer_id: PeerId::from(42), name: None, peer_type: PeerType::User, capabilities: Some(capabilities) };
    vec![
        ("establish-response with records", Message::EstablishResponse(identity)),
        (
            "records-have",
            Message::RecordsHave {
                device: Device(7),
                version: version.clone(),
                durable: Some(since.clone()),
                stable: ClockVector::new(),
                sum: version.sum(),
                reply: true,
                lazy: false,
                fresh: true,
            },
        ),
        ("records-request", Message::RecordsRequest { since: since.clone(), after: Some(early), whole: true }),
        (
            "records-response",
            Message::RecordsResponse {
                version: version.clone(),
                entries: entries.clone(),
                after: None,
                next: Some(late),
                whole: Some(since.clone()),
                partial: true,
            },
        ),
        ("records-change", Message::RecordsChange { since, version, entries: entries.clone(), partial: false }),
        (
            "records-refusal",
            Message::RecordsRefusal { record: entries[2].0.clone(), reason: RefusalReason::ClockAhead, state: entries[0].1.clone() },
        ),
    ]
}

#[test]
fn messages_of_records_have_the_frames_of_their_first_version() {
    let golden: Value = serde_json::from_str(include_str!("../golden/records.json")).unwrap();
    for (name, message) in messages() {
        let frame = encode_frame(&message);
        assert_eq!(golden[name].as_str(), Some(to_hex(&frame).as_str()), "{name}");
        assert_eq!(decode_frame(&frame.into(), &Limits::default()), Ok(vec![message]), "{name}");
    }
}

#[test]
fn a_message_of_too_many_records_is_refused() {
    let at = clock(1, 1, 1);
    let entry = |number: usize| {
        let id = RecordId { collection: "c".into(), owner: None, key: number.to_string().into() };
        (id, RecordState::deletion(at))
    };
    let of = |count| {
        let change = Message::RecordsChange {
            since: ClockVector::new(),
            version: ClockVector::new(),
            entries: (0..count).map(entry).collect(),
            partial: false,
        };
        decode_frame(&encode_frame(&change).into(), &Limits::default()).map(|messages| messages.len()).map_err(|error| error.code())
    };
    assert_eq!((of(MAX_RECORDS), of(MAX_RECORDS + 1)), (Ok(1), Err("invalid_cbor")));
}

fn any_clock() -> impl Strategy<Value = Clock> {
    (1..u64::MAX, any::<u64>(), any::<u32>())
        .prop_map(|(stamp, device, number)| Clock { stamp: Stamp(stamp), writer: Writer { device: Device(device), number } })
}

fn any_vector() -> impl Strategy<Value = ClockVector> {
    vec(any_clock(), 0..5).prop_map(|clocks| clocks.into_iter().map(|clock| (clock.writer, clock.stamp)).collect())
}

fn any_id() -> impl Strategy<Value = RecordId> {
    (".{0,20}", option::of(any::<u64>()), ".{0,20}").prop_map(|(collection, owner, key)| RecordId {
        collection: collection.into(),
        owner: owner.map(Device),
        key: key.into(),
    })
}

fn any_state() -> impl Strategy<Value = RecordState> {
    let fields = vec((".{0,9}", vec(any::<u8>(), 0..20)), 0..4)
        .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.into(), Bytes::from(value))).collect::<Vec<_>>());
    (any_clock(), any_clock(), fields, 0..4).prop_map(|(one, other, fields, kind)| {
        let mut state = match kind {
            0 => RecordState::default(),
            1 => RecordState::put(one, fields.clone()),
            2 => RecordState::update(one, fields.clone()),
            _ => RecordState::deletion(one),
        };
        state.merge(&RecordState::update(other, fields.into_iter().take(1)));
        state
    })
}

fn any_entries() -> impl Strategy<Value = Vec<RecordEntry>> {
    vec((any_id(), any_state()), 0..4)
}

/// Any message about records.
pub(crate) fn message() -> impl Strategy<Value = Message> {
    let reasons = vec![RefusalReason::Mutability, RefusalReason::ClockAhead, RefusalReason::Invalid];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let have = (any::<u64>(), any_vector(), option::of(any_vector()), any_vector(), any::<u64>(), flags);
    prop_oneof![
        have.prop_map(|(device, version, durable, stable, sum, (reply, lazy, fresh))| Message::RecordsHave {
            device: Device(device),
            version,
            durable,
            stable,
            sum,
            reply,
            lazy,
            fresh
        }),
        (any_vector(), option::of(any_clock()), any::<bool>()).prop_map(|(since, after, whole)| Message::RecordsRequest {
            since,
            after,
            whole
        }),
        (any_vector(), any_entries(), option::of(any_clock()), option::of(any_clock()), option::of(any_vector()), any::<bool>()).prop_map(
            |(version, entries, after, next, whole, partial)| Message::RecordsResponse { version, entries, after, next, whole, partial }
        ),
        (any_vector(), any_vector(), any_entries(), any::<bool>()).prop_map(|(since, version, entries, partial)| Message::RecordsChange {
            since,
            version,
            entries,
            partial
        }),
        (any_id(), prop::sample::select(reasons), any_state()).prop_map(|(record, reason, state)| Message::RecordsRefusal {
            record,
            reason,
            state
        }),
    ]
}
