//! Frames of the extension's first version, in `tests/golden/extension.json`: peers of that version are out there, so they must be written and
//! read as they were.

use bytes::Bytes;
use corella::{
    DocId, PeerId, VersionVector,
    protocol::{
        Capabilities, Features, Identity, Limits, Message, PeerType, RefusalReason, Role, Tombstone,
        extension::{AuthorRange, Head, Part, Sum},
        frame::{decode_frame, encode_frame},
    },
};
use serde_json::Value;

use crate::json::{hex, to_hex};

fn messages() -> Vec<(&'static str, Message)> {
    let doc = || DocId::new("note ü").unwrap();
    let version = || VersionVector::from_iter([(7, 3), (u64::MAX - 1, 200)]);
    let features = Features::HEADS.or(Features::ACK).or(Features::DIGEST).or(Features::LINEAGE);
    let capabilities = Capabilities { oldest: 1, newest: 1, role: Role::Relay, features, home: None };
    let identity =
        Identity { peer_id: PeerId::from(42), name: Some("hub".into()), peer_type: PeerType::Service, capabilities: Some(capabilities) };
    let range = AuthorRange { author: 7, start: 1, end: 300 };
    let part = Part { depth: 2, prefix: 0x3f };
    vec![
        ("establish-request with capabilities", Message::EstablishRequest(identity)),
        ("heads", Message::Heads { heads: vec![Head { doc: doc(), lineage: 0, version: version() }], reply: true }),
        ("want", Message::Want { doc: doc(), lineage: 5, ranges: vec![range] }),
        ("give", Message::Give { doc: doc(), lineage: 5, ranges: vec![range], data: Bytes::from_static(b"\x00ops"), version: version() }),
        ("ack", Message::Ack { doc: doc(), lineage: 0, version: version(), durable: Some(VersionVector::new()), settled: None }),
        ("ack without storage", Message::Ack { doc: doc(), lineage: 0, version: version(), durable: None, settled: None }),
        ("ack with what is settled", Message::Ack { doc: doc(), lineage: 0, version: version(), durable: None, settled: Some(version()) }),
        ("refusal", Message::Refusal { doc: doc(), reason: RefusalReason::RateLimited, retry_ms: Some(1500) }),
        (
            "digest",
            Message::Digest {
                sums: vec![Sum { part, count: 9, hash: 0xfeed_f00d_dead_beef }],
                list: vec![part],
                reply: false,
                stored: true,
            },
        ),
        ("deleted", Message::Deleted { docs: vec![(doc(), Tombstone { lineage: 5, at: 1_800_000_000_000, by: PeerId::from(42) })] }),
        ("prune", Message::Prune { doc: doc() }),
    ]
}

#[test]
fn messages_of_the_extension_have_the_frames_of_its_first_version() {
    let golden: Value = serde_json::from_str(include_str!("../golden/extension.json")).unwrap();
    for (name, message) in messages() {
        let frame = encode_frame(&message);
        assert_eq!(golden[name].as_str(), Some(to_hex(&frame).as_str()), "{name}");
        assert_eq!(decode_frame(&frame.into(), &Limits::default()), Ok(vec![message]), "{name}");
    }
}

#[test]
fn what_a_later_version_adds_is_passed_over() {
    // An establish-request whose capabilities name a feature, a key and a role that this version does not know.
    let golden: Value = serde_json::from_str(include_str!("../golden/extension.json")).unwrap();
    let frame = hex(golden["a later version greets"].as_str().unwrap());
    let Ok(messages) = decode_frame(&frame.into(), &Limits::default()) else { panic!("it can be read") };
    let [Message::EstablishRequest(Identity { capabilities: Some(capabilities), .. })] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!((capabilities.oldest, capabilities.newest, capabilities.role), (1, 9, Role::Leaf));
    assert!(capabilities.features.includes(Features::HEADS) && !capabilities.features.includes(Features::DIGEST));
}
