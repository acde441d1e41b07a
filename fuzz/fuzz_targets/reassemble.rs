//! Any payloads at any times keep the reassembler within its limits.
#![no_main]

use bytes::Bytes;
use corella::protocol::{Limits, frame::Reassembler};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payloads: Vec<(u16, Vec<u8>)>| {
    let limits = Limits { frame_bytes: 4_096, fragment_bytes: 8_192, fragment_batches: 4, ..Limits::default() };
    let mut reassembler = Reassembler::new(limits);
    let mut now = 0;
    for (passed, payload) in payloads {
        now += u64::from(passed);
        let _ = reassembler.push(Bytes::from(payload), now);
        assert!(reassembler.held_bytes() <= limits.fragment_bytes);
    }
});
