//! When to try again: exponential pauses with full jitter, for ever.

/// Pauses between attempts to connect.
///
/// Full jitter spreads the clients of a restarted hub over the whole pause instead of letting them return together.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The first pause lasts up to this many milliseconds.
    pub const BASE_MS: u64 = 500;
    /// No pause is longer, in milliseconds.
    pub const MAX_MS: u64 = 30_000;
    /// A connection that lived this many milliseconds was a good one: the next pause is short again.
    pub const GOOD_MS: u64 = 5_000;

    /// Returns the pause after one more failure, or after a connection that lived `lived_ms`.
    #[must_use]
    pub fn pause_ms(&mut self, lived_ms: Option<u64>, random: u64) -> u64 {
        if lived_ms.is_some_and(|ms| ms >= Self::GOOD_MS) {
            self.failures = 0;
        }
        let ceiling = (Self::BASE_MS << self.failures.min(16)).min(Self::MAX_MS);
        self.failures = self.failures.saturating_add(1);
        random % (ceiling + 1)
    }

    /// The world has changed: the next failure counts as the first.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_never_end() {
        let mut backoff = Backoff::default();
        let ceilings: Vec<u64> = (0..10).map(|failures| (Backoff::BASE_MS << failures).min(Backoff::MAX_MS)).collect();
        for ceiling in ceilings {
            assert_eq!(backoff.pause_ms(None, ceiling), ceiling);
        }
        for _ in 0..1_000 {
            assert_eq!(backoff.pause_ms(None, Backoff::MAX_MS), Backoff::MAX_MS);
        }
    }

    #[test]
    fn a_connection_that_lived_makes_the_next_pause_short_again() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            let _ = backoff.pause_ms(Some(10), 0);
        }
        assert!(backoff.pause_ms(Some(Backoff::GOOD_MS), u64::MAX) <= Backoff::BASE_MS);
    }

    #[test]
    fn the_whole_pause_is_jitter() {
        assert_eq!(Backoff::default().pause_ms(None, 0), 0);
    }
}
