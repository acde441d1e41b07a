//! Reads hex and the domain form of messages that the recorded files and the golden file use.

use std::path::PathBuf;

use bytes::Bytes;
use corella::protocol::{DeleteStatus, DocId, EphemeralPayload, Identity, Message, PeerId, PeerType, Transmission, VersionVector};
use serde_json::Value;

/// Reads what was recorded of the reference.
pub(crate) fn recorded(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd number of hex digits");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn messages(value: &Value) -> Vec<Message> {
    match value {
        Value::Array(values) => values.iter().map(message).collect(),
        value => vec![message(value)],
    }
}

pub(crate) fn message(value: &Value) -> Message {
    let doc = || DocId::from_wire(text(&value["docId"]));
    let docs = || value["docIds"].as_array().into_iter().flatten().map(|id| DocId::from_wire(text(id))).collect::<Vec<_>>();
    match text(&value["type"]).strip_prefix("channel/").unwrap() {
        "establish-request" => Message::EstablishRequest(identity(&value["identity"])),
        "establish-response" => Message::EstablishResponse(identity(&value["identity"])),
        "sync-request" => Message::SyncRequest {
            doc: doc(),
            version: version(&value["requesterDocVersion"]),
            ephemeral: stores(&value["ephemeral"]),
            bidirectional: value["bidirectional"].as_bool().unwrap_or(true),
        },
        "sync-response" => {
            Message::SyncResponse { doc: doc(), transmission: transmission(&value["transmission"]), ephemeral: stores(&value["ephemeral"]) }
        }
        "update" => Message::Update { doc: doc(), transmission: transmission(&value["transmission"]) },
        "directory-request" => Message::DirectoryRequest { docs: value["docIds"].is_array().then(docs) },
        "directory-response" => Message::DirectoryResponse { docs: docs() },
        "new-doc" => Message::NewDoc { docs: docs() },
        "delete-request" => Message::DeleteRequest { doc: doc() },
        "delete-response" => Message::DeleteResponse {
            doc: doc(),
            status: if value["status"] == "deleted" { DeleteStatus::Deleted } else { DeleteStatus::Ignored },
        },
        "ephemeral" => Message::Ephemeral {
            doc: doc(),
            hops: value["hopsRemaining"].as_u64().unwrap().try_into().unwrap(),
            stores: stores(&value["stores"]).unwrap(),
        },
        "batch" => Message::Batch(messages(&value["messages"])),
        other => panic!("{other} is no message"),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn identity(value: &Value) -> Identity {
    let peer = &value["peerId"];
    Identity {
        peer_id: PeerId::from_wire(&peer.as_str().map_or_else(|| peer.to_string(), str::to_owned)),
        name: value["name"].as_str().map(str::to_owned),
        peer_type: PeerType::from_wire(text(&value["type"])),
        capabilities: None,
    }
}

fn version(value: &Value) -> VersionVector {
    value["entries"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(author, end)| (author.parse().unwrap(), i32::try_from(end.as_i64().unwrap()).unwrap()))
        .collect()
}

fn data(value: &Value) -> Bytes {
    if value["$generator"].is_string() {
        return (0..250_000u32).map(|i| (i * 31 + 7) as u8).collect::<Vec<_>>().into();
    }
    hex(text(&value["$bytes"])).into()
}

fn stores(value: &Value) -> Option<Vec<EphemeralPayload>> {
    let store = |value: &Value| EphemeralPayload {
        peer: PeerId::from_wire(text(&value["peerId"])),
        namespace: text(&value["namespace"]).to_owned(),
        data: data(&value["data"]),
    };
    value.as_array().map(|stores| stores.iter().map(store).collect())
}

fn transmission(value: &Value) -> Transmission {
    let version = || version(&value["version"]);
    match value["type"].as_str() {
        Some("up-to-date") => Transmission::UpToDate { version: version() },
        Some("snapshot") => Transmission::Snapshot { data: data(&value["data"]), version: version() },
        Some("update") => Transmission::Update { data: data(&value["data"]), version: version() },
        Some("unavailable") => Transmission::Unavailable,
        _ => Transmission::Unknown,
    }
}
