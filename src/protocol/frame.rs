//! Frames, transport payloads and fragmentation.
//!
//! Decides how messages become the payloads of a socket and how payloads become messages again. Never reads a clock: time is passed in.

mod reassembler;

use bytes::Bytes;

use super::{
    Limits, Message,
    codec::{self, DecodeError},
};

pub use reassembler::{FrameError, Reassembler};

/// Text frame of the accepting side: it listens now.
pub const READY: &str = "ready";
/// Text frame that asks for [`PONG`].
pub const PING: &str = "ping";
/// Text frame that answers [`PING`].
pub const PONG: &str = "pong";

/// Largest frame sent whole; longer ones are cut into chunks of this size.
pub const FRAGMENT_THRESHOLD: usize = 102_400;

/// Names the chunks of one frame.
pub type FragmentBatchId = [u8; 8];

const VERSION: u8 = 2;
const BATCH_FLAG: u8 = 1;
const HEADER: usize = 6;
/// Where a batch is closed: a lost frame takes all its messages along, so frames stay far below what a peer accepts.
const BATCH_BYTES: usize = 1024 * 1024;
/// Messages in one batch, below every limit on them.
const BATCH_MESSAGES: usize = 10_000;

const COMPLETE: u8 = 0;
const FRAGMENT_HEADER: u8 = 1;
const FRAGMENT_DATA: u8 = 2;

/// Encodes one message as a frame.
#[must_use]
pub fn encode_frame(message: &Message) -> Vec<u8> {
    frame(|out| codec::encode(message, out))
}

/// Decodes one frame: one message, or those of a frame with the batch flag; bytes after the declared payload are ignored.
///
/// # Errors
/// [`DecodeError`] if any part of it cannot be decoded; nothing of such a frame is kept.
pub fn decode_frame(bytes: &Bytes, limits: &Limits) -> Result<Vec<Message>, DecodeError> {
    let [version, flags, length @ ..] =
        *bytes.first_chunk::<HEADER>().ok_or(DecodeError::TruncatedFrame { expected: HEADER, actual: bytes.len() })?;
    if version != VERSION {
        return Err(DecodeError::UnsupportedVersion(version));
    }
    let expected = (u32::from_be_bytes(length) as usize).saturating_add(HEADER);
    if bytes.len() < expected {
        return Err(DecodeError::TruncatedFrame { expected, actual: bytes.len() });
    }
    if expected > limits.frame_bytes {
        return Err(DecodeError::LimitExceeded("bytes of a frame"));
    }
    let payload = bytes.slice(HEADER..expected);
    match flags & BATCH_FLAG {
        0 => codec::decode(&payload, limits).map(|message| vec![message]),
        _ => codec::decode_array(&payload, limits),
    }
}

/// Encodes messages as the payloads that carry them, in order: neighbours share a batch, long frames are cut into fragments.
///
/// Handshake messages travel alone, since a peer reads them before it takes anything else. A `threshold` of 0 turns fragments off.
/// `batch_id` is asked for each frame that is cut.
#[must_use]
pub fn encode_transport(messages: &[Message], threshold: usize, mut batch_id: impl FnMut() -> FragmentBatchId) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut open = OpenBatch::default();
    flatten(messages, &mut |message| {
        let mut body = Vec::new();
        codec::encode(message, &mut body);
        if matches!(message, Message::EstablishRequest(_) | Message::EstablishResponse(_)) {
            frames.extend(open.close());
            frames.push(frame(|out| out.extend_from_slice(&body)));
        } else {
            if !open.has_room_for(&body) {
                frames.extend(open.close());
            }
            open.push(body);
        }
    });
    frames.extend(open.close());
    let mut payloads = Vec::with_capacity(frames.len());
    for frame in frames {
        cut(frame, threshold, &mut batch_id, &mut payloads);
    }
    payloads
}

#[derive(Default)]
struct OpenBatch {
    bodies: Vec<Vec<u8>>,
    bytes: usize,
}

impl OpenBatch {
    fn has_room_for(&self, body: &[u8]) -> bool {
        self.bytes + body.len() <= BATCH_BYTES && self.bodies.len() < BATCH_MESSAGES
    }

    fn push(&mut self, body: Vec<u8>) {
        self.bytes += body.len();
        self.bodies.push(body);
    }

    fn close(&mut self) -> Option<Vec<u8>> {
        let Self { bodies, .. } = std::mem::take(self);
        match bodies.as_slice() {
            [] => None,
            [only] => Some(frame(|out| out.extend_from_slice(only))),
            several => Some(frame(|out| codec::encode_batch(several, out))),
        }
    }
}

fn flatten(messages: &[Message], each: &mut impl FnMut(&Message)) {
    for message in messages {
        match message {
            Message::Batch(inner) => flatten(inner, each),
            message => each(message),
        }
    }
}

fn frame(payload: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = vec![VERSION, 0, 0, 0, 0, 0];
    payload(&mut frame);
    let length = u32::try_from(frame.len() - HEADER).unwrap_or(u32::MAX);
    frame[2..HEADER].copy_from_slice(&length.to_be_bytes());
    frame
}

fn cut(frame: Vec<u8>, threshold: usize, batch_id: &mut impl FnMut() -> FragmentBatchId, payloads: &mut Vec<Vec<u8>>) {
    if threshold == 0 || frame.len() <= threshold {
        payloads.push(prefixed(COMPLETE, &[&frame]));
        return;
    }
    let id = batch_id();
    let count = u32::try_from(frame.len().div_ceil(threshold)).unwrap_or(u32::MAX);
    let total = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    payloads.push(prefixed(FRAGMENT_HEADER, &[&id, &count.to_be_bytes(), &total.to_be_bytes()]));
    for (index, chunk) in (0u32..).zip(frame.chunks(threshold)) {
        payloads.push(prefixed(FRAGMENT_DATA, &[&id, &index.to_be_bytes(), chunk]));
    }
}

fn prefixed(prefix: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    payload.push(prefix);
    for part in parts {
        payload.extend_from_slice(part);
    }
    payload
}

#[cfg(test)]
mod tests;
