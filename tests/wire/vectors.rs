//! The recorded vectors: what the reference encodes, decodes and refuses.

use bytes::Bytes;
use corella::protocol::{
    Limits, Message,
    frame::{FRAGMENT_THRESHOLD, Reassembler, decode_frame, encode_frame, encode_transport},
};
use serde_json::Value;

use crate::json::{self, hex, recorded, to_hex};

/// Checks those of the vectors that a test is about; there are some.
fn each(mut check: impl FnMut(&str, &Value) -> Option<()>) {
    let vectors = recorded("wire-vectors.json");
    let vectors = vectors.as_array().unwrap();
    assert!(vectors.len() >= 120);
    let checked = vectors.iter().filter_map(|vector| check(vector["name"].as_str().unwrap(), vector)).count();
    assert!(checked > 0, "nothing was checked");
}

fn frame_of(vector: &Value) -> Option<Bytes> {
    vector["frame_hex"].as_str().map(|text| hex(text).into())
}

fn decoded(frame: &Bytes) -> Result<Vec<Message>, &'static str> {
    decode_frame(frame, &Limits::default()).map_err(|error| error.code())
}

#[test]
fn every_recorded_frame_decodes_to_the_recorded_messages_or_error() {
    each(|name, vector| {
        let (frame, expected) = (frame_of(vector)?, vector.get("decoded")?);
        let expected = match expected.get("error") {
            Some(error) => Err(error["code"].as_str().unwrap()),
            None => Ok(json::messages(&expected["ok"])),
        };
        assert_eq!(decoded(&frame), expected, "{name}");
        Some(())
    });
}

#[test]
fn every_recorded_message_encodes_to_the_recorded_frame() {
    each(|name, vector| {
        // A frame with the batch flag is only ever received.
        let frame = frame_of(vector).filter(|_| vector["message"].is_object())?;
        let message = json::message(&vector["message"]);
        let encoded = encode_frame(&message);
        assert_eq!(decoded(&encoded.clone().into()), Ok(vec![message]), "{name}");
        // The order of authors in a version vector is not determined.
        if name != "sync-request/vv-2-peers" {
            assert_eq!(to_hex(&encoded), to_hex(&frame), "{name}");
        }
        Some(())
    });
}

#[test]
fn every_recorded_transport_payload_carries_its_frame() {
    each(|name, vector| {
        let (frame, transport) = (frame_of(vector)?, vector["transport_hex"].as_str()?);
        let payload = Bytes::from(hex(transport));
        assert_eq!(payload[1..], frame, "{name}");
        let alone = decoded(&frame).map(flat);
        assert_eq!(Reassembler::new(Limits::default()).push(payload, 0).map_err(|error| error.code()), alone, "{name}");
        Some(())
    });
}

#[test]
fn non_ascii_frames_of_the_defective_encoder_are_refused() {
    each(|name, vector| {
        let frame = vector["frame_hex_tinycbor_0_3_2"].as_str()?;
        assert_eq!(decoded(&hex(frame).into()), Err("invalid_cbor"), "{name}");
        Some(())
    });
}

#[test]
fn recorded_fragments_reassemble_as_recorded() {
    each(|name, vector| {
        let payloads = vector["transport_messages_hex"].as_array()?;
        let mut reassembler = Reassembler::new(Limits::default());
        for (payload, expected) in payloads.iter().zip(vector["reassembly"].as_array().unwrap()) {
            let result = reassembler.push(hex(payload.as_str().unwrap()).into(), 0).map_err(|error| error.code());
            let expected = match expected["status"].as_str().unwrap() {
                "pending" => Ok(vec![]),
                "error" => Err(expected["error"]["type"].as_str().unwrap()),
                // The recording stops at the frame's bytes, messages come from them.
                _ => decoded(&hex(expected["data"].as_str().unwrap()).into()).map(flat),
            };
            assert_eq!(result, expected, "{name}");
        }
        Some(())
    });
}

#[test]
fn a_long_frame_is_cut_as_recorded() {
    each(|_, vector| {
        let lengths = vector["transport_lengths"].as_array()?;
        let message = json::message(&vector["message"]);
        let frame = encode_frame(&message);
        assert_eq!(frame.len() as u64, vector["frame_length"].as_u64().unwrap());
        assert_eq!(to_hex(&frame[..64]), vector["frame_first_64"].as_str().unwrap());
        let payloads = encode_transport(std::slice::from_ref(&message), FRAGMENT_THRESHOLD, || [7; 8]);
        assert_eq!(
            payloads.iter().map(|payload| payload.len() as u64).collect::<Vec<_>>(),
            lengths.iter().map(|length| length.as_u64().unwrap()).collect::<Vec<_>>()
        );
        assert_eq!(to_hex(&payloads[0][9..]), vector["header_after_batch_id"].as_str().unwrap());
        let mut reassembler = Reassembler::new(Limits::default());
        let messages: Vec<_> = payloads.into_iter().flat_map(|payload| reassembler.push(payload.into(), 0).unwrap()).collect();
        assert_eq!(messages, [message]);
        Some(())
    });
}

fn flat(messages: Vec<Message>) -> Vec<Message> {
    messages
        .into_iter()
        .flat_map(|message| match message {
            Message::Batch(inner) => flat(inner),
            message => vec![message],
        })
        .collect()
}
