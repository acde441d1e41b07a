//! How fast a client may send.
//!
//! Turns the hub's limits into an admission and says in the log that they are met. Never decides when a message comes too fast: the
//! runtime's limiter does.

use std::cell::Cell;

use super::config::HubLimits;
use crate::{
    runtime::{Admission, AdmissionRequest, Decision, Rate, RateLimiter, RateLimits, Verdict},
    synchronizer::Timestamp,
};

/// Seconds' worth a client may send at once after a pause: when it connects, everything is compared.
const BURST: f64 = 10.0;
/// Milliseconds between two lines in the log, whoever they are about.
const LOG_PAUSE_MS: u64 = 1_000;

/// Limits each client as [`HubLimits`] say.
pub(super) struct ClientLimiter {
    limiter: RateLimiter,
    logged: Cell<Timestamp>,
}

impl ClientLimiter {
    /// Makes a limiter; `None` if nothing is limited.
    pub(super) fn new(limits: &HubLimits) -> Option<Self> {
        let rate = |per_second: f64, least: f64| (per_second > 0.0).then(|| Rate { per_second, burst: (per_second * BURST).max(least) });
        let messages = rate(limits.rate_messages.into(), 1.0);
        let bytes = rate(limits.rate_bytes as f64, limits.message_bytes as f64);
        if messages.is_none() && bytes.is_none() {
            return None;
        }
        let limiter = RateLimiter::new(RateLimits { messages, bytes, kinds: None });
        Some(Self { limiter, logged: Cell::default() })
    }
}

impl Admission for ClientLimiter {
    fn admit(&self, request: &AdmissionRequest) -> Decision {
        let decision = self.limiter.admit(request);
        if let Decision::Now(Verdict::Refuse { reason, retry_ms }) = &decision
            && request.now.since(self.logged.get()) >= LOG_PAUSE_MS
        {
            self.logged.set(request.now);
            let (peer, kind, reason) = (&request.peer.peer_id, request.kind.as_str(), reason.as_str());
            tracing::warn!(%peer, kind, bytes = request.bytes, reason, retry_ms, "message of a client refused");
        }
        decision
    }
}
