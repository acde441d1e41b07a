//! What a hub does while its disk takes nothing.
//!
//! Decides that changes are refused then, with a reason: kept in memory alone they would be lost with the process, and fill it. What is
//! here is served all the same. When the disk works again is found out by the repo, which keeps trying to write what it has.

use crate::{
    hub::storage::RedbStore,
    protocol::{MessageKind, RefusalReason},
    runtime::{Admission, AdmissionRequest, Decision, Verdict},
};

/// Milliseconds after which a client may try again; it waits longer each time.
const RETRY_MS: u32 = 1_000;

/// Refuses changes while the last commit of a store has failed.
pub(super) struct DiskGuard(pub(super) RedbStore);

impl Admission for DiskGuard {
    fn admit(&self, request: &AdmissionRequest) -> Decision {
        // A peer of the reference protocol would not hear of it, and send nothing again.
        let brings = matches!(request.kind, MessageKind::Give | MessageKind::RecordsChange | MessageKind::RecordsResponse);
        Decision::Now(if brings && request.bytes > 0 && !self.0.is_writable() {
            Verdict::Refuse { reason: RefusalReason::Storage, retry_ms: Some(RETRY_MS) }
        } else {
            Verdict::Admit
        })
    }
}
