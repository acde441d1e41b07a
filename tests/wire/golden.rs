//! This project's own frames, in `tests/golden/frames.json`: the format must not change by accident.

use bytes::Bytes;
use corella::protocol::{
    Limits,
    frame::{decode_frame, encode_frame},
};
use serde_json::Value;

use crate::json::{self, hex, to_hex};

fn golden() -> Vec<Value> {
    serde_json::from_str(include_str!("../golden/frames.json")).unwrap()
}

#[test]
fn golden_messages_have_their_frames() {
    let mut seen = 0;
    for case in golden().iter().filter(|case| case["message"].is_object()) {
        let message = json::message(&case["message"]);
        let frame = hex(case["frame"].as_str().unwrap());
        assert_eq!(to_hex(&encode_frame(&message)), to_hex(&frame), "{}", case["name"]);
        assert_eq!(decode_frame(&frame.into(), &Limits::default()), Ok(vec![message]), "{}", case["name"]);
        seen += 1;
    }
    assert!(seen >= 12, "every message type has a golden frame");
}

#[test]
fn golden_oddities_are_taken_and_golden_faults_refused() {
    for case in golden().iter().filter(|case| case["decoded"].is_array() || case["error"].is_string()) {
        let frame = Bytes::from(hex(case["frame"].as_str().unwrap()));
        let expected = case["error"].as_str().map_or_else(|| Ok(json::messages(&case["decoded"])), Err);
        assert_eq!(decode_frame(&frame, &Limits::default()).map_err(|error| error.code()), expected, "{}", case["name"]);
    }
}
