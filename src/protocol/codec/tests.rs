use bytes::Bytes;

use super::*;
use crate::protocol::{DocId, Limits, Message, Transmission, VersionVector};

fn encoded(message: &Message) -> Bytes {
    let mut out = Vec::new();
    encode(message, &mut out);
    out.into()
}

fn new_doc(ids: usize) -> Message {
    Message::NewDoc { docs: (0..ids).map(|_| DocId::from_wire("")).collect() }
}

fn nested(levels: usize) -> Message {
    (0..levels).fold(new_doc(0), |message, _| Message::Batch(vec![message]))
}

#[test]
fn update_data_are_slices_of_the_payload() {
    let data = Bytes::from(vec![7; 1000]);
    let message =
        Message::Update { doc: DocId::from_wire("d"), transmission: Transmission::Update { data, version: VersionVector::new() } };
    let payload = encoded(&message);
    let Ok(Message::Update { transmission: Transmission::Update { data, .. }, .. }) = decode(&payload, &Limits::default()) else {
        panic!("an update comes back");
    };
    assert!(payload.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn limits_on_messages_and_nesting_are_kept() {
    let limits = Limits { messages_per_frame: 3, depth: 6, ..Limits::default() };
    let batch = |messages| encoded(&Message::Batch(vec![new_doc(0); messages]));
    assert!(decode(&batch(2), &limits).is_ok());
    assert_eq!(decode(&batch(3), &limits), Err(DecodeError::LimitExceeded("messages in a frame")));
    // A batch is a map and an array, and so is the message in it.
    assert!(decode(&encoded(&nested(2)), &limits).is_ok());
    assert_eq!(decode(&encoded(&nested(3)), &limits), Err(DecodeError::LimitExceeded("nesting")));
}

#[test]
fn limits_on_bytes_and_entries_are_kept() {
    let payload = encoded(&new_doc(1_000_001));
    assert_eq!(decode(&payload, &Limits::default()), Err(DecodeError::LimitExceeded("entries in a frame")));
    let limits = Limits { frame_bytes: payload.len() - 1, ..Limits::default() };
    assert_eq!(decode(&payload, &limits), Err(DecodeError::LimitExceeded("bytes of a frame")));
    assert!(decode(&encoded(&new_doc(1_000_000)), &Limits::default()).is_ok());
}

#[test]
fn deeply_nested_bytes_of_every_kind_are_refused_without_recursing() {
    for opening in [&[0x81][..], &[0xc1], &[0xa1, 0x00], &[0xd9, 0x01, 0x00]] {
        let payload = Bytes::from(opening.repeat(1_000_000));
        assert_eq!(decode(&payload, &Limits::default()), Err(DecodeError::LimitExceeded("nesting")));
    }
}

#[test]
fn a_map_of_many_keys_is_refused() {
    let mut payload = vec![0xb9, 0x01, 0x01];
    (0u16..257).for_each(|key| payload.extend([0x19, (key >> 8) as u8, key as u8, 0]));
    assert_eq!(decode(&payload.into(), &Limits::default()), Err(DecodeError::LimitExceeded("keys in a map")));
}

#[test]
fn hops_beyond_what_is_kept_are_the_most_that_is() {
    let payload = b"\xa4\x61t\x18\x40\x63doc\x61d\x61h\x1b\xff\xff\xff\xff\xff\xff\xff\xff\x62st\x80";
    let expected = Message::Ephemeral { doc: DocId::from_wire("d"), hops: u32::MAX, stores: vec![] };
    assert_eq!(decode(&Bytes::from_static(payload), &Limits::default()), Ok(expected));
}

#[test]
fn floats_that_are_no_integers_are_no_types() {
    for float in [f64::NAN, f64::INFINITY, 34.5, -34.0, 1e300] {
        let mut payload = vec![0xa1, 0x61, b't', 0xfb];
        payload.extend(float.to_be_bytes());
        assert_eq!(decode(&payload.into(), &Limits::default()), Err(DecodeError::InvalidType), "{float}");
    }
}
