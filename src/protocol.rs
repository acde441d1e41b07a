//! What travels between peers: ids, version vectors, messages, their bytes and the limits on them.
//!
//! Decides what bytes mean. Never holds a document, reads a clock or does IO.

pub mod clock;
pub mod codec;
pub mod extension;
pub mod frame;
mod ids;
mod kind;
mod message;
pub mod record;
pub mod sessions;
mod version;

pub use clock::{Clock, Device};
pub use extension::{Capabilities, Features, RECORDS, RefusalReason, Role, Tombstone};
pub use ids::{DocId, InvalidDocId, PeerId};
pub use kind::MessageKind;
pub use message::{DeleteStatus, EphemeralPayload, Identity, Message, PeerType, Transmission};
pub(crate) use record::{Bits, RecordsError, write_varint};
pub use record::{ClockVector, RecordEntry, RecordId, RecordState};
pub use version::{VersionError, VersionVector};

/// Bounds on what a peer may make this side hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest accepted frame in bytes, fragmented or not.
    pub frame_bytes: usize,
    /// Largest number of messages in one frame, nested batches included.
    pub messages_per_frame: usize,
    /// Largest number of nested CBOR containers (batches included).
    pub depth: usize,
    /// Bytes all open fragment batches of one connection may hold together.
    pub fragment_bytes: usize,
    /// Fragment batches one connection may have open.
    pub fragment_batches: usize,
    /// Milliseconds after which an incomplete fragment batch is dropped.
    pub fragment_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: 50 * 1024 * 1024,
            messages_per_frame: 100_000,
            depth: 16,
            fragment_bytes: 50 * 1024 * 1024,
            fragment_batches: 32,
            fragment_timeout_ms: 10_000,
        }
    }
}
