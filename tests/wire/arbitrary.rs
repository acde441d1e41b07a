//! Any bytes give messages or an error; any messages survive the way there and back.

use bytes::Bytes;
use corella::protocol::{
    Capabilities, DeleteStatus, DocId, EphemeralPayload, Features, Identity, Limits, Message, PeerId, PeerType, RefusalReason, Role,
    Tombstone, Transmission, VersionVector,
    codec::{decode, encode},
    extension::{AuthorRange, Head, Part, Sum},
    frame::{Reassembler, decode_frame, encode_frame, encode_transport},
};
use proptest::{collection::vec, option, prelude::*};

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

fn doc() -> impl Strategy<Value = DocId> {
    ".{0,40}".prop_map(|id| DocId::from_wire(&id))
}

fn version() -> impl Strategy<Value = VersionVector> {
    vec((any::<u64>(), any::<i32>()), 0..6).prop_map(VersionVector::from_iter)
}

fn stores() -> impl Strategy<Value = Vec<EphemeralPayload>> {
    let store = (".{0,20}", ".{0,30}", bytes());
    vec(store.prop_map(|(peer, namespace, data)| EphemeralPayload { peer: PeerId::from_wire(&peer), namespace, data }), 0..4)
}

fn transmission() -> impl Strategy<Value = Transmission> {
    prop_oneof![
        version().prop_map(|version| Transmission::UpToDate { version }),
        (bytes(), version()).prop_map(|(data, version)| Transmission::Snapshot { data, version }),
        (bytes(), version()).prop_map(|(data, version)| Transmission::Update { data, version }),
        Just(Transmission::Unavailable),
        Just(Transmission::Unknown),
    ]
}

fn capabilities() -> impl Strategy<Value = Capabilities> {
    let all = vec![Features::HEADS, Features::ACK, Features::DIGEST, Features::LINEAGE, Features::PRESENCE, Features::RECORDS];
    let features = vec(prop::sample::select(all), 0..5).prop_map(|features| features.into_iter().fold(Features::default(), Features::or));
    (any::<u32>(), any::<u32>(), prop_oneof![Just(Role::Leaf), Just(Role::Relay)], features, option::of(any::<u64>()))
        .prop_map(|(oldest, newest, role, features, home)| Capabilities { oldest, newest, role, features, home })
}

fn identity() -> impl Strategy<Value = Identity> {
    let kind = prop_oneof![Just("user"), Just("bot"), Just("service"), Just("robot")];
    (any::<u64>(), option::of(".{0,30}"), kind, option::of(capabilities())).prop_map(|(peer, name, kind, capabilities)| Identity {
        peer_id: PeerId::from(peer),
        name,
        peer_type: PeerType::from_wire(kind),
        capabilities,
    })
}

fn ranges() -> impl Strategy<Value = Vec<AuthorRange>> {
    vec((any::<u64>(), any::<i32>(), any::<i32>()).prop_map(|(author, start, end)| AuthorRange { author, start, end }), 0..5)
}

fn part() -> impl Strategy<Value = Part> {
    (any::<u8>(), any::<u64>()).prop_map(|(depth, prefix)| Part { depth, prefix })
}

fn refusal() -> impl Strategy<Value = RefusalReason> {
    use RefusalReason::*;
    prop::sample::select(vec![
        Unavailable,
        Mutability,
        Creation,
        Deletion,
        RateLimited,
        TooLarge,
        Unauthorized,
        Deleted,
        Storage,
        Invalid,
        ClockAhead,
        Full,
    ])
}

fn extended() -> impl Strategy<Value = Message> {
    let head = (doc(), any::<u64>(), version()).prop_map(|(doc, lineage, version)| Head { doc, lineage, version });
    let sum = (part(), any::<u32>(), any::<u64>()).prop_map(|(part, count, hash)| Sum { part, count, hash });
    let tombstone = (doc(), any::<u64>(), any::<u64>(), any::<u64>())
        .prop_map(|(doc, lineage, at, by)| (doc, Tombstone { lineage, at, by: PeerId::from(by) }));
    prop_oneof![
        (vec(head, 0..5), any::<bool>()).prop_map(|(heads, reply)| Message::Heads { heads, reply }),
        (doc(), any::<u64>(), ranges()).prop_map(|(doc, lineage, ranges)| Message::Want { doc, lineage, ranges }),
        (doc(), any::<u64>(), ranges(), bytes(), version()).prop_map(|(doc, lineage, ranges, data, version)| Message::Give {
            doc,
            lineage,
            ranges,
            data,
            version
        }),
        (doc(), any::<u64>(), version(), option::of(version()), option::of(version()))
            .prop_map(|(doc, lineage, version, durable, settled)| Message::Ack { doc, lineage, version, durable, settled }),
        (doc(), refusal(), option::of(any::<u32>())).prop_map(|(doc, reason, retry_ms)| Message::Refusal { doc, reason, retry_ms }),
        (vec(sum, 0..20), vec(part(), 0..5), any::<bool>(), any::<bool>()).prop_map(|(sums, list, reply, stored)| Message::Digest {
            sums,
            list,
            reply,
            stored
        }),
        vec(tombstone, 0..5).prop_map(|docs| Message::Deleted { docs }),
        doc().prop_map(|doc| Message::Prune { doc }),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let single = prop_oneof![
        identity().prop_map(Message::EstablishRequest),
        identity().prop_map(Message::EstablishResponse),
        (doc(), version(), option::of(stores()), any::<bool>())
            .prop_map(|(doc, version, ephemeral, bidirectional)| { Message::SyncRequest { doc, version, ephemeral, bidirectional } }),
        (doc(), transmission(), option::of(stores())).prop_map(|(doc, transmission, ephemeral)| Message::SyncResponse {
            doc,
            transmission,
            ephemeral
        }),
        (doc(), transmission()).prop_map(|(doc, transmission)| Message::Update { doc, transmission }),
        option::of(vec(doc(), 0..5)).prop_map(|docs| Message::DirectoryRequest { docs }),
        vec(doc(), 0..30).prop_map(|docs| Message::DirectoryResponse { docs }),
        vec(doc(), 0..5).prop_map(|docs| Message::NewDoc { docs }),
        doc().prop_map(|doc| Message::DeleteRequest { doc }),
        (doc(), prop_oneof![Just(DeleteStatus::Deleted), Just(DeleteStatus::Ignored)])
            .prop_map(|(doc, status)| Message::DeleteResponse { doc, status }),
        extended(),
        crate::records::message(),
        (doc(), any::<u32>(), stores()).prop_map(|(doc, hops, stores)| Message::Ephemeral { doc, hops, stores }),
    ];
    single.prop_recursive(3, 20, 5, |inner| vec(inner, 0..5).prop_map(Message::Batch))
}

/// Counts what a peer made this side hold.
fn held(messages: &[Message]) -> usize {
    let listed = |docs: &[DocId]| docs.iter().map(|doc| 1 + doc.as_str().len()).sum::<usize>();
    let stored = |stores: &[EphemeralPayload]| stores.iter().map(|store| 3 + store.namespace.len() + store.data.len()).sum::<usize>();
    messages
        .iter()
        .map(|message| {
            1 + match message {
                Message::DirectoryRequest { docs } => docs.as_deref().map_or(0, listed),
                Message::DirectoryResponse { docs } | Message::NewDoc { docs } => listed(docs),
                Message::Ephemeral { stores, .. } => stored(stores),
                Message::SyncRequest { version, ephemeral, .. } => 2 * version.iter().count() + ephemeral.as_deref().map_or(0, stored),
                Message::Batch(inner) => held(inner),
                Message::Heads { heads, .. } => {
                    heads.iter().map(|head| 1 + head.doc.as_str().len() + 2 * head.version.iter().count()).sum()
                }
                Message::Want { ranges, .. } => ranges.len(),
                Message::Give { ranges, data, version, .. } => ranges.len() + data.len() + 2 * version.iter().count(),
                Message::Digest { sums, list, .. } => sums.len() + list.len(),
                Message::Deleted { docs } => docs.iter().map(|(doc, _)| 1 + doc.as_str().len()).sum(),
                _ => 0,
            }
        })
        .sum()
}

fn flat(messages: &[Message], into: &mut Vec<Message>) {
    for message in messages {
        match message {
            Message::Batch(inner) => flat(inner, into),
            message => into.push(message.clone()),
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_give_a_message_or_an_error(input in vec(any::<u8>(), 0..600)) {
        let input = Bytes::from(input);
        // Lenient decoding may turn one bad byte into the three of U+FFFD.
        let bound = 3 * input.len() + 1;
        if let Ok(message) = decode(&input, &Limits::default()) {
            prop_assert!(held(&[message]) <= bound);
        }
        if let Ok(messages) = decode_frame(&input, &Limits::default()) {
            prop_assert!(held(&messages) <= bound);
        }
    }

    #[test]
    fn arbitrary_bytes_behind_a_frame_header_give_messages_or_an_error(flags in any::<u8>(), input in vec(any::<u8>(), 0..300)) {
        let mut frame = vec![2, flags];
        frame.extend((input.len() as u32).to_be_bytes());
        frame.extend(&input);
        if let Ok(messages) = decode_frame(&frame.into(), &Limits::default()) {
            prop_assert!(held(&messages) <= 3 * input.len() + 1);
        }
    }

    #[test]
    fn arbitrary_payloads_never_make_the_reassembler_hold_more_than_allowed(
        payloads in vec((0u8..4, 0u8..3, vec(0u8..4, 0..40), 0u64..4_000), 0..60),
    ) {
        let limits = Limits { frame_bytes: 4_096, fragment_bytes: 8_192, fragment_batches: 3, ..Limits::default() };
        let mut reassembler = Reassembler::new(limits);
        let mut now = 0;
        for (prefix, id, rest, passed) in payloads {
            now += passed;
            let mut payload = vec![prefix];
            payload.extend([id; 8]);
            payload.extend(rest);
            let _ = reassembler.push(payload.into(), now);
            prop_assert!(reassembler.held_bytes() <= limits.fragment_bytes);
        }
        reassembler.expire(now + limits.fragment_timeout_ms);
        prop_assert_eq!(reassembler.held_bytes(), 0);
    }

    #[test]
    fn any_message_survives_encoding(message in message()) {
        let mut bytes = Vec::new();
        encode(&message, &mut bytes);
        prop_assert_eq!(decode(&bytes.into(), &Limits::default()), Ok(message));
    }

    #[test]
    fn any_messages_survive_the_transport(messages in vec(message(), 0..6), threshold in 0usize..200) {
        let mut id = 0u64;
        let payloads = encode_transport(&messages, threshold, || { id += 1; id.to_be_bytes() });
        let mut reassembler = Reassembler::new(Limits::default());
        let mut received = Vec::new();
        for payload in payloads {
            received.extend(reassembler.push(payload.into(), 0).unwrap());
        }
        let mut sent = Vec::new();
        flat(&messages, &mut sent);
        prop_assert_eq!(received, sent);
        prop_assert_eq!(reassembler.dropped(), 0);
    }

    #[test]
    fn a_truncated_frame_is_an_error(message in message(), cut in any::<prop::sample::Index>()) {
        let frame = Bytes::from(encode_frame(&message));
        let error = decode_frame(&frame.slice(..cut.index(frame.len())), &Limits::default()).unwrap_err();
        prop_assert_eq!(error.code(), "truncated_frame");
    }

    #[test]
    fn a_truncated_payload_is_an_error(message in message(), cut in any::<prop::sample::Index>()) {
        let mut payload = Vec::new();
        encode(&message, &mut payload);
        payload.truncate(cut.index(payload.len()));
        prop_assert_eq!(decode(&payload.into(), &Limits::default()).unwrap_err().code(), "invalid_cbor");
    }

    #[test]
    fn a_flipped_bit_gives_messages_or_an_error(message in message(), bit in any::<prop::sample::Index>()) {
        let mut frame = encode_frame(&message);
        let bit = bit.index(frame.len() * 8);
        frame[bit / 8] ^= 1 << (bit % 8);
        let bound = 3 * frame.len() + 1;
        if let Ok(messages) = decode_frame(&frame.into(), &Limits::default()) {
            prop_assert!(held(&messages) <= bound);
        }
    }
}
