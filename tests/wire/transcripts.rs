//! The recorded conversations: every frame in them is understood.

use corella::protocol::{
    Limits,
    frame::{PING, PONG, READY, Reassembler},
};

use crate::json::{hex, recorded};

#[test]
fn every_frame_of_the_recorded_conversations_is_understood() {
    for name in ["transcript.json", "transcript-server-restart.json"] {
        let transcript = recorded(name);
        let mut reassemblers = std::collections::BTreeMap::new();
        let (mut texts, mut messages, mut cut) = (0, 0, 0);
        for frame in transcript["frames"].as_array().unwrap() {
            let Some(data) = frame["data"].as_str() else { continue };
            if frame["kind"] == "text" {
                assert!([READY, PING, PONG].contains(&data), "{name}: {data:?}");
                texts += 1;
                continue;
            }
            if frame["data_truncated"].is_boolean() || frame["data_truncated"].is_number() {
                assert_eq!(&data[..2], "02", "{name}: only fragments are long");
                cut += 1;
                continue;
            }
            let direction = (frame["conn"].as_u64(), frame["dir"].as_str().map(str::to_owned));
            let reassembler = reassemblers.entry(direction).or_insert_with(|| Reassembler::new(Limits::default()));
            let result = reassembler.push(hex(data).into(), frame["t"].as_u64().unwrap());
            match &data[..2] {
                "00" => {
                    let found = result.unwrap_or_else(|error| panic!("{name} {}: {error}", frame["seq"]));
                    assert!(!found.is_empty(), "{name} {}", frame["seq"]);
                    messages += found.len();
                }
                _ => assert_eq!(result, Ok(vec![])),
            }
        }
        println!("{name}: {texts} texts, {messages} messages, {cut} fragments cut off in the recording");
        assert!(texts > 0 && messages > 10);
    }
}
