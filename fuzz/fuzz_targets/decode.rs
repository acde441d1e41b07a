//! Any bytes give messages or an error, and what was decoded survives being encoded again.
#![no_main]

use bytes::Bytes;
use corella::protocol::{
    Limits,
    codec::decode,
    frame::{decode_frame, encode_frame},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let input = Bytes::copy_from_slice(input);
    let limits = Limits::default();
    let messages = decode(&input, &limits).into_iter().chain(decode_frame(&input, &limits).into_iter().flatten());
    for message in messages {
        assert_eq!(decode_frame(&encode_frame(&message).into(), &Limits { frame_bytes: usize::MAX, ..limits }), Ok(vec![message]));
    }
});
