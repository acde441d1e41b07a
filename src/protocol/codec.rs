//! CBOR encoding of messages.
//!
//! Decides which bytes stand for which message and which bytes are refused. Never keeps anything between calls.
//!
//! Decoding takes two passes: `wellformed` walks all bytes once and refuses what a CBOR decoder of this protocol must refuse;
//! `decode` then picks the known fields out of maps it can trust, so unknown keys cost nothing and `t` may stand anywhere.

mod decode;
mod encode;
mod wellformed;

pub use decode::{decode, decode_array};
pub use encode::encode;
pub(in crate::protocol) use encode::encode_batch;

/// Types of messages on the wire, the value of `t`.
mod kind {
    pub(super) const ESTABLISH_REQUEST: u8 = 0x01;
    pub(super) const ESTABLISH_RESPONSE: u8 = 0x02;
    pub(super) const SYNC_REQUEST: u8 = 0x10;
    pub(super) const SYNC_RESPONSE: u8 = 0x11;
    pub(super) const UPDATE: u8 = 0x12;
    pub(super) const DIRECTORY_REQUEST: u8 = 0x20;
    pub(super) const DIRECTORY_RESPONSE: u8 = 0x21;
    pub(super) const NEW_DOC: u8 = 0x22;
    pub(super) const DELETE_REQUEST: u8 = 0x30;
    pub(super) const DELETE_RESPONSE: u8 = 0x31;
    pub(super) const EPHEMERAL: u8 = 0x40;
    pub(super) const BATCH: u8 = 0x50;
    /// Sent only to peers that announced the extension.
    pub(super) const HEADS: u8 = 0x60;
    pub(super) const WANT: u8 = 0x61;
    pub(super) const GIVE: u8 = 0x62;
    pub(super) const ACK: u8 = 0x63;
    pub(super) const REFUSAL: u8 = 0x64;
    pub(super) const DIGEST: u8 = 0x65;
    pub(super) const DELETED: u8 = 0x66;
    pub(super) const PRUNE: u8 = 0x67;
    /// Sent only to peers that announced the feature "records".
    pub(super) const RECORDS_HAVE: u8 = 0x68;
    pub(super) const RECORDS_REQUEST: u8 = 0x69;
    pub(super) const RECORDS_RESPONSE: u8 = 0x6a;
    pub(super) const RECORDS_CHANGE: u8 = 0x6b;
    pub(super) const RECORDS_REFUSAL: u8 = 0x6c;
}

/// Key of the capabilities in a handshake; peers of the reference protocol ignore it.
const CAPABILITIES: &str = "corella";

/// Types of transmissions on the wire, the value of `k`.
mod transmission_kind {
    pub(super) const UP_TO_DATE: u8 = 0;
    pub(super) const SNAPSHOT: u8 = 1;
    pub(super) const UPDATE: u8 = 2;
    pub(super) const UNAVAILABLE: u8 = 3;
    /// No peer sends this; it keeps a decoded [`Transmission::Unknown`](crate::protocol::Transmission) what it is when encoded again.
    pub(super) const UNKNOWN: u8 = 0xff;
}

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The frame ends before its header or its declared payload does.
    #[error("frame truncated: expected {expected} bytes, got {actual}")]
    TruncatedFrame {
        /// Bytes the frame should have.
        expected: usize,
        /// Bytes it has.
        actual: usize,
    },
    /// The frame's version byte is not the one spoken here.
    #[error("unsupported wire version {0}")]
    UnsupportedVersion(u8),
    /// The payload is not CBOR of this protocol, or a field is missing or of the wrong kind.
    #[error("malformed payload: {0}")]
    InvalidCbor(&'static str),
    /// The payload holds something that is no message of a known type.
    #[error("unknown message type")]
    InvalidType,
    /// The payload is larger, longer or deeper than allowed.
    #[error("limit exceeded: {0}")]
    LimitExceeded(&'static str),
}

impl DecodeError {
    /// Returns the stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TruncatedFrame { .. } => "truncated_frame",
            Self::UnsupportedVersion(_) => "unsupported_version",
            Self::InvalidCbor(_) => "invalid_cbor",
            Self::InvalidType => "invalid_type",
            Self::LimitExceeded(_) => "limit_exceeded",
        }
    }
}

#[cfg(test)]
mod tests;
