//! A limiter of what peers send: a token bucket for messages and one for bytes, for every peer.
//!
//! Decides which messages come too fast, and when they would not. Reads no clock: time comes with the request.

use std::cell::{Cell, RefCell};

use super::{Admission, AdmissionRequest, Decision, Verdict};
use crate::{
    collections::SortedMap,
    protocol::{MessageKind, RefusalReason},
    synchronizer::{ChannelId, Timestamp},
};

/// Parts of a token, so that slow rates fill by the millisecond and nothing is rounded while counting.
const UNITS: u128 = 1_000_000_000;
/// Milliseconds between two searches for peers that need not be remembered.
const SWEEP_MS: u64 = 10_000;
/// A clock further back than this was set: verdicts that came late are not that old.
const CLOCK_SET_MS: u64 = 60_000;

/// How much of something may come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// What is granted each second.
    pub per_second: f64,
    /// What may come at once after a pause.
    pub burst: f64,
}

/// What a [`RateLimiter`] grants each peer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RateLimits {
    /// Messages; any number without. A document takes several to come over, so a burst below three may let none through.
    pub messages: Option<Rate>,
    /// Payload bytes, as [`AdmissionRequest::bytes`] counts them; any number without. A message larger than the burst is refused as
    /// too large, since it could never pass.
    pub bytes: Option<Rate>,
    /// The kinds that are counted and limited; all without.
    pub kinds: Option<Vec<MessageKind>>,
}

/// Refuses what a peer sends beyond its [`RateLimits`], and says when it would pass. Admits everything else at once.
///
/// Peers are told apart by their connections, since ids are what they say of themselves: a peer that connects anew starts with a full
/// bucket, and nobody can use up another's.
#[derive(Debug)]
pub struct RateLimiter {
    messages: Option<Size>,
    bytes: Option<Size>,
    kinds: Option<Vec<MessageKind>>,
    peers: RefCell<SortedMap<ChannelId, Buckets>>,
    swept: Cell<Timestamp>,
}

/// A bucket's size and what fills it, in [`UNITS`].
#[derive(Debug, Clone, Copy)]
struct Size {
    per_ms: u128,
    capacity: u128,
}

/// What a peer has left, and as of when.
#[derive(Debug, Clone, Copy)]
struct Buckets {
    messages: u128,
    bytes: u128,
    at: Timestamp,
}

impl Size {
    /// Rounds down, so that never more than asked for is granted; a message must be able to pass at all.
    fn new(rate: Rate) -> Self {
        Self { per_ms: (rate.per_second * (UNITS / 1_000) as f64) as u128, capacity: ((rate.burst * UNITS as f64) as u128).max(UNITS) }
    }

    fn filled(self, level: u128, ms: u64) -> u128 {
        level.saturating_add(self.per_ms.saturating_mul(u128::from(ms))).min(self.capacity)
    }

    /// Returns the milliseconds until `level` covers `cost`; `None` for never.
    fn wait(self, level: u128, cost: u128) -> Option<u64> {
        match cost.saturating_sub(level) {
            0 => Some(0),
            _ if self.per_ms == 0 => None,
            missing => Some(u64::try_from(missing.div_ceil(self.per_ms)).unwrap_or(u64::MAX)),
        }
    }
}

impl RateLimiter {
    /// Makes a limiter that has seen nobody.
    #[must_use]
    pub fn new(limits: RateLimits) -> Self {
        Self {
            messages: limits.messages.map(Size::new),
            bytes: limits.bytes.map(Size::new),
            kinds: limits.kinds,
            peers: RefCell::default(),
            swept: Cell::default(),
        }
    }

    fn fill(&self, buckets: &mut Buckets, now: Timestamp) {
        // A message whose verdict took long brings an old time: nothing is granted twice for that.
        if now < buckets.at && buckets.at.since(now) < CLOCK_SET_MS {
            return;
        }
        let ms = now.since(buckets.at);
        buckets.messages = self.messages.map_or(0, |size| size.filled(buckets.messages, ms));
        buckets.bytes = self.bytes.map_or(0, |size| size.filled(buckets.bytes, ms));
        buckets.at = now;
    }

    fn full(&self, now: Timestamp) -> Buckets {
        let capacity = |size: Option<Size>| size.map_or(0, |size| size.capacity);
        Buckets { messages: capacity(self.messages), bytes: capacity(self.bytes), at: now }
    }

    /// Forgets peers that have all they can have: a new one has as much.
    fn sweep(&self, now: Timestamp) {
        let swept = self.swept.get();
        if now >= swept && now.since(swept) < SWEEP_MS {
            return;
        }
        self.swept.set(now);
        let full = self.full(now);
        self.peers.borrow_mut().retain(|_, buckets| {
            self.fill(buckets, now);
            (buckets.messages, buckets.bytes) != (full.messages, full.bytes)
        });
    }
}

impl Admission for RateLimiter {
    fn admit(&self, request: &AdmissionRequest) -> Decision {
        if self.kinds.as_ref().is_some_and(|kinds| !kinds.contains(&request.kind)) {
            return Decision::Now(Verdict::Admit);
        }
        self.sweep(request.now);
        let mut peers = self.peers.borrow_mut();
        let buckets = peers.entry(request.peer.channel).or_insert_with(|| self.full(request.now));
        self.fill(buckets, request.now);
        let one = if self.messages.is_some() { UNITS } else { 0 };
        let size = if self.bytes.is_some() { request.bytes as u128 * UNITS } else { 0 };
        if self.bytes.is_some_and(|limit| size > limit.capacity) {
            return Decision::Now(Verdict::Refuse { reason: RefusalReason::TooLarge, retry_ms: None });
        }
        let waits = [
            self.messages.map_or(Some(0), |limit| limit.wait(buckets.messages, one)),
            self.bytes.map_or(Some(0), |limit| limit.wait(buckets.bytes, size)),
        ];
        if waits == [Some(0); 2] {
            buckets.messages -= one;
            buckets.bytes -= size;
            return Decision::Now(Verdict::Admit);
        }
        let behind = buckets.at.since(request.now);
        let wait = waits[0].zip(waits[1]).map(|(messages, bytes)| messages.max(bytes).saturating_add(behind));
        let retry_ms = wait.map(|ms| u32::try_from(ms).unwrap_or(u32::MAX));
        Decision::Now(Verdict::Refuse { reason: RefusalReason::RateLimited, retry_ms })
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::rc::Rc;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        protocol::{PeerId, PeerType},
        synchronizer::{ChannelKind, PeerContext},
    };

    const START: u64 = 1_800_000_000_000;

    fn request(peer: u64, kind: MessageKind, bytes: usize, at: u64) -> AdmissionRequest {
        let peer = PeerContext {
            peer_id: PeerId::from(peer),
            name: None,
            peer_type: PeerType::User,
            channel: ChannelId(peer),
            kind: ChannelKind::Network,
        };
        AdmissionRequest { kind, peer: Rc::new(peer), doc: None, bytes, now: Timestamp(START + at) }
    }

    fn ask(limiter: &RateLimiter, peer: u64, bytes: usize, at: u64) -> Verdict {
        match limiter.admit(&request(peer, MessageKind::Update, bytes, at)) {
            Decision::Now(verdict) => verdict,
            Decision::Later(_) => panic!("a limiter answers at once"),
        }
    }

    fn limited(retry_ms: u32) -> Verdict {
        Verdict::Refuse { reason: RefusalReason::RateLimited, retry_ms: Some(retry_ms) }
    }

    fn messages(per_second: f64, burst: f64) -> RateLimiter {
        RateLimiter::new(RateLimits { messages: Some(Rate { per_second, burst }), ..RateLimits::default() })
    }

    #[test]
    fn a_burst_passes_and_the_rest_at_the_rate() {
        let limiter = messages(10.0, 3.0);
        assert_eq!([0; 3].map(|at| ask(&limiter, 1, 0, at)), [Verdict::Admit; 3]);
        assert_eq!(ask(&limiter, 1, 0, 0), limited(100));
        assert_eq!(ask(&limiter, 1, 0, 99), limited(1));
        assert_eq!(ask(&limiter, 1, 0, 100), Verdict::Admit);
        assert_eq!(ask(&limiter, 1, 0, 100), limited(100));
    }

    #[test]
    fn one_peer_does_not_use_up_what_another_has() {
        let limiter = messages(1.0, 1.0);
        assert_eq!(ask(&limiter, 1, 0, 0), Verdict::Admit);
        assert_eq!(ask(&limiter, 1, 0, 0), limited(1_000));
        assert_eq!(ask(&limiter, 2, 0, 0), Verdict::Admit);
    }

    #[test]
    fn the_scarcer_of_messages_and_bytes_says_when() {
        let rates = |per_second, burst| Some(Rate { per_second, burst });
        let limiter = RateLimiter::new(RateLimits { messages: rates(1.0, 2.0), bytes: rates(100.0, 1_000.0), kinds: None });
        assert_eq!(ask(&limiter, 1, 900, 0), Verdict::Admit);
        assert_eq!(ask(&limiter, 1, 600, 0), limited(5_000));
        assert_eq!(ask(&limiter, 1, 100, 0), Verdict::Admit);
        assert_eq!(ask(&limiter, 1, 0, 0), limited(1_000));
    }

    #[test]
    fn what_could_never_pass_is_too_large_and_costs_nothing() {
        let limiter = RateLimiter::new(RateLimits { bytes: Some(Rate { per_second: 1.0, burst: 10.0 }), ..RateLimits::default() });
        assert_eq!(ask(&limiter, 1, 11, 0), Verdict::Refuse { reason: RefusalReason::TooLarge, retry_ms: None });
        assert_eq!(ask(&limiter, 1, 10, 0), Verdict::Admit);
    }

    #[test]
    fn a_rate_of_nothing_never_grants_again() {
        let limiter = messages(0.0, 1.0);
        assert_eq!(ask(&limiter, 1, 0, 0), Verdict::Admit);
        assert_eq!(ask(&limiter, 1, 0, 1_000_000), Verdict::Refuse { reason: RefusalReason::RateLimited, retry_ms: None });
    }

    #[test]
    fn kinds_that_are_not_named_pass_and_are_not_counted() {
        let kinds = Some(vec![MessageKind::Ephemeral]);
        let limiter = RateLimiter::new(RateLimits { messages: Some(Rate { per_second: 1.0, burst: 1.0 }), kinds, ..RateLimits::default() });
        for _ in 0..10 {
            assert_eq!(ask(&limiter, 1, 0, 0), Verdict::Admit);
        }
        let ephemeral = || matches!(limiter.admit(&request(1, MessageKind::Ephemeral, 0, 0)), Decision::Now(Verdict::Admit));
        assert_eq!([ephemeral(), ephemeral()], [true, false]);
    }

    #[test]
    fn peers_that_have_been_silent_are_forgotten() {
        let limiter = messages(1.0, 10.0);
        for peer in 0..10_000 {
            ask(&limiter, peer, 0, peer);
        }
        ask(&limiter, 1, 0, 25_000);
        assert_eq!(limiter.peers.borrow().len(), 1);
    }

    #[test]
    fn a_late_verdict_grants_nothing_twice_and_a_clock_set_back_blocks_nobody() {
        let limiter = messages(1.0, 1.0);
        assert_eq!(ask(&limiter, 1, 0, 100_000), Verdict::Admit);
        assert_eq!(ask(&limiter, 1, 0, 95_000), limited(6_000));
        assert_eq!(ask(&limiter, 1, 0, 100_500), limited(500));
        assert_eq!(ask(&limiter, 1, 0, 0), limited(500));
        assert_eq!(ask(&limiter, 1, 0, 500), Verdict::Admit);
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate_times_the_time(
            per_second in 1u32..500,
            burst in 1u32..50,
            steps in proptest::collection::vec((0u64..300, 0usize..40), 1..200),
        ) {
            let rate = Some(Rate { per_second: per_second.into(), burst: burst.into() });
            let limiter = RateLimiter::new(RateLimits { messages: rate, bytes: rate, kinds: None });
            // What was admitted up to which time, from every admission on.
            let (mut at, mut passed) = (0, Vec::new());
            for (pause, bytes) in steps {
                at += pause;
                if ask(&limiter, 1, bytes, at) == Verdict::Admit {
                    passed.push((at, bytes));
                }
            }
            for (number, (from, _)) in passed.iter().enumerate() {
                let (mut count, mut sum) = (0, 0);
                for (until, bytes) in &passed[number..] {
                    (count, sum) = (count + 1, sum + *bytes as u64);
                    let granted = u64::from(burst) * 1_000 + u64::from(per_second) * (until - from);
                    prop_assert!(count * 1_000 <= granted, "{} messages in {} ms", count, until - from);
                    prop_assert!(sum * 1_000 <= granted, "{} bytes in {} ms", sum, until - from);
                }
            }
        }

        #[test]
        fn after_the_wait_it_says_a_message_passes_and_not_a_millisecond_earlier(
            per_second in 0.1f64..500.0,
            burst in 1u32..50,
            steps in proptest::collection::vec((0u64..300, 0usize..50), 1..100),
        ) {
            let limiter = || {
                let rate = Some(Rate { per_second, burst: burst.into() });
                RateLimiter::new(RateLimits { messages: rate, bytes: rate, kinds: None })
            };
            let (mut at, mut so_far) = (0, Vec::new());
            for (pause, bytes) in steps {
                at += pause;
                let replayed = || {
                    let limiter = limiter();
                    for (at, bytes) in &so_far {
                        ask(&limiter, 1, *bytes, *at);
                    }
                    limiter
                };
                match ask(&replayed(), 1, bytes, at) {
                    Verdict::Refuse { reason: RefusalReason::RateLimited, retry_ms: Some(wait) } => {
                        prop_assert!(wait > 0);
                        prop_assert_eq!(ask(&replayed(), 1, bytes, at + u64::from(wait)), Verdict::Admit);
                        prop_assert_eq!(ask(&replayed(), 1, bytes, at + u64::from(wait) - 1), limited(1));
                    }
                    Verdict::Refuse { reason, retry_ms } => {
                        prop_assert_eq!((reason, retry_ms), (RefusalReason::TooLarge, None));
                        prop_assert!(bytes > burst as usize);
                    }
                    Verdict::Admit => {}
                }
                so_far.push((at, bytes));
            }
        }
    }
}
