use super::*;
use crate::protocol::{DocId, Identity, PeerId, PeerType, Transmission, VersionVector};

fn doc(id: &str) -> Message {
    Message::DeleteRequest { doc: DocId::from_wire(id) }
}

fn update(bytes: usize) -> Message {
    let transmission = Transmission::Update { data: vec![1; bytes].into(), version: VersionVector::new() };
    Message::Update { doc: DocId::from_wire("d"), transmission }
}

fn establish() -> Message {
    Message::EstablishRequest(Identity { peer_id: PeerId::from(1), name: None, peer_type: PeerType::User, capabilities: None })
}

fn payloads(messages: &[Message], threshold: usize) -> Vec<Bytes> {
    let mut next = 0u8;
    let ids = || {
        next += 1;
        [next; 8]
    };
    encode_transport(messages, threshold, ids).into_iter().map(Bytes::from).collect()
}

fn fragments(id: u8, message: &Message, threshold: usize) -> Vec<Bytes> {
    encode_transport(std::slice::from_ref(message), threshold, || [id; 8]).into_iter().map(Bytes::from).collect()
}

fn header(id: u8, count: u32, size: u32) -> Bytes {
    prefixed(FRAGMENT_HEADER, &[&[id; 8], &count.to_be_bytes(), &size.to_be_bytes()]).into()
}

fn chunk(id: u8, index: u32, bytes: &[u8]) -> Bytes {
    prefixed(FRAGMENT_DATA, &[&[id; 8], &index.to_be_bytes(), bytes]).into()
}

fn code(result: Result<Vec<Message>, FrameError>) -> &'static str {
    result.map_or_else(|error| error.code(), |messages| if messages.is_empty() { "pending" } else { "complete" })
}

#[test]
fn one_message_travels_alone_and_several_as_a_batch() {
    assert!(payloads(&[], 100).is_empty());
    assert!(payloads(&[Message::Batch(vec![])], 100).is_empty());
    assert_eq!(payloads(&[doc("a")], 100)[0][1..], encode_frame(&doc("a")));
    let several = payloads(&[doc("a"), Message::Batch(vec![doc("b")]), doc("c")], 100);
    assert_eq!(several.len(), 1);
    assert_eq!(several[0][1..], encode_frame(&Message::Batch(vec![doc("a"), doc("b"), doc("c")])));
}

#[test]
fn handshake_messages_are_never_in_a_batch() {
    let sent = [doc("a"), establish(), doc("b"), doc("c"), establish()];
    let frames: Vec<_> = payloads(&sent, 100).iter().map(|payload| payload.slice(1..)).collect();
    let expected = [doc("a"), establish(), Message::Batch(vec![doc("b"), doc("c")]), establish()];
    assert_eq!(frames, expected.iter().map(encode_frame).collect::<Vec<_>>());
}

#[test]
fn batches_are_closed_before_they_grow_large() {
    let sent = [doc("a"), update(BATCH_BYTES), doc("b"), doc("c")];
    let frames: Vec<_> = payloads(&sent, 0).iter().map(|payload| decode_frame(&payload.slice(1..), &Limits::default()).unwrap()).collect();
    assert_eq!(frames, [vec![doc("a")], vec![update(BATCH_BYTES)], vec![Message::Batch(vec![doc("b"), doc("c")])]]);
    let many = payloads(&vec![doc("a"); BATCH_MESSAGES + 1], 0);
    assert_eq!(many.len(), 2);
}

#[test]
fn a_frame_of_exactly_the_threshold_stays_whole() {
    let frame = encode_frame(&update(500));
    assert_eq!(fragments(1, &update(500), frame.len()).len(), 1);
    let cut = fragments(1, &update(500), frame.len() - 1);
    assert_eq!(cut.iter().map(Bytes::len).collect::<Vec<_>>(), [17, 13 + frame.len() - 1, 14]);
    assert_eq!(fragments(1, &update(500), 0).len(), 1);
}

#[test]
fn a_batch_is_dropped_when_its_time_is_over() {
    let parts = fragments(1, &update(100), 50);
    let mut reassembler = Reassembler::new(Limits::default());
    for part in &parts[..parts.len() - 1] {
        assert_eq!(code(reassembler.push(part.clone(), 1_000)), "pending");
    }
    let mut late = Reassembler::new(Limits::default());
    parts[..parts.len() - 1].iter().for_each(|part| assert_eq!(code(late.push(part.clone(), 1_000)), "pending"));
    assert_eq!(code(reassembler.push(parts[parts.len() - 1].clone(), 10_999)), "complete");
    assert_eq!(code(late.push(parts[parts.len() - 1].clone(), 11_000)), "pending");
    assert_eq!((reassembler.dropped(), late.dropped(), late.held_bytes()), (0, 1, 0));
}

#[test]
fn the_oldest_batch_goes_when_too_many_are_open() {
    let limits = Limits { fragment_batches: 2, ..Limits::default() };
    let mut reassembler = Reassembler::new(limits);
    for id in 1..=3 {
        assert_eq!(code(reassembler.push(header(id, 1, 23), 0)), "pending");
    }
    let frame = encode_frame(&doc("12345678"));
    assert_eq!(frame.len(), 24);
    assert_eq!(code(reassembler.push(chunk(1, 0, &frame[..23]), 0)), "pending");
    assert_eq!(code(reassembler.push(chunk(2, 0, &frame[..23]), 0)), "truncated_frame");
    assert_eq!(reassembler.dropped(), 1);
}

#[test]
fn the_oldest_batch_goes_when_too_much_is_held() {
    let limits = Limits { frame_bytes: 1_000, fragment_bytes: 1_000, ..Limits::default() };
    let mut reassembler = Reassembler::new(limits);
    for id in 1..=2 {
        assert_eq!(code(reassembler.push(header(id, 2, 1_000), 0)), "pending");
    }
    assert_eq!(code(reassembler.push(chunk(1, 0, &[0; 600]), 0)), "pending");
    assert_eq!(code(reassembler.push(chunk(2, 0, &[0; 600]), 0)), "pending");
    assert_eq!((reassembler.held_bytes(), reassembler.dropped()), (600, 1));
    // The oldest may be the one that is being filled.
    assert_eq!(code(reassembler.push(header(3, 2, 1_000), 0)), "pending");
    assert_eq!(code(reassembler.push(chunk(3, 0, &[0; 300]), 0)), "pending");
    let last = chunk(2, 1, &[0; 399]);
    let tight = Limits { fragment_bytes: 500, ..limits };
    let mut alone = Reassembler::new(tight);
    assert_eq!(code(alone.push(header(2, 2, 1_000), 0)), "pending");
    assert_eq!(code(alone.push(chunk(2, 0, &[0; 600]), 0)), "evicted");
    assert_eq!(code(alone.push(last, 0)), "pending");
    assert_eq!(alone.held_bytes(), 0);
}

#[test]
fn announcements_that_cannot_be_kept_are_refused_at_once() {
    let limits = Limits { frame_bytes: 1_000, ..Limits::default() };
    let mut reassembler = Reassembler::new(limits);
    assert_eq!(code(reassembler.push(header(1, 2, 1_001), 0)), "limit_exceeded");
    assert_eq!(code(reassembler.push(header(1, u32::MAX, 1_000), 0)), "limit_exceeded");
    assert_eq!(code(reassembler.push(header(1, 5, 4), 0)), "limit_exceeded");
    assert_eq!(code(reassembler.push(header(1, 2, 1_000), 0)), "pending");
    assert_eq!(code(reassembler.push(chunk(1, 1, &[0; 1_001]), 0)), "size_mismatch");
    assert_eq!((reassembler.held_bytes(), reassembler.dropped()), (0, 1));
}

#[test]
fn a_frame_longer_than_accepted_is_refused() {
    let frame = encode_frame(&update(100));
    let limits = Limits { frame_bytes: frame.len() - 1, ..Limits::default() };
    assert_eq!(decode_frame(&frame.into(), &limits), Err(DecodeError::LimitExceeded("bytes of a frame")));
}

#[test]
fn nested_batches_come_out_flat_and_in_order() {
    let nested = Message::Batch(vec![doc("a"), Message::Batch(vec![doc("b"), Message::Batch(vec![])]), doc("c")]);
    let payload = prefixed(COMPLETE, &[&encode_frame(&nested)]);
    assert_eq!(Reassembler::new(Limits::default()).push(payload.into(), 0), Ok(vec![doc("a"), doc("b"), doc("c")]));
}
