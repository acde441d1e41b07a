//! Decides how long to wait before trying again: exponential backoff with full jitter, for ever. Draws no randomness itself.

const BASE_MS: u64 = 1_000;
const CAP_MS: u64 = 30_000;
/// A connection that lasted this long was a good one.
const STEADY_MS: u64 = 5_000;

/// The waits between attempts of one connection. Never gives up.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Returns how many milliseconds to wait after another failure: anything up to a bound that doubles each time, at most 30 s.
    ///
    /// `random` is uniform over its whole range.
    pub fn next_delay_ms(&mut self, random: u64) -> u64 {
        let bound = BASE_MS.saturating_mul(1 << self.failures.min(16)).min(CAP_MS);
        self.failures = self.failures.saturating_add(1);
        random % (bound + 1)
    }

    /// Takes note of a connection that was up for `ms`; one that held makes the next wait short again.
    pub fn connection_lasted(&mut self, ms: u64) {
        if ms >= STEADY_MS {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_cap_and_attempts_never_end() {
        let mut backoff = Backoff::default();
        for bound in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            assert_eq!(backoff.clone().next_delay_ms(bound), bound);
            assert_eq!(backoff.clone().next_delay_ms(bound + 1), 0);
            assert_eq!(backoff.next_delay_ms(0), 0, "full jitter reaches zero");
        }
        backoff.failures = u32::MAX;
        assert_eq!(backoff.next_delay_ms(CAP_MS), CAP_MS);
    }

    #[test]
    fn only_a_connection_that_held_starts_over() {
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            backoff.next_delay_ms(0);
        }
        backoff.connection_lasted(STEADY_MS - 1);
        assert_eq!(backoff.clone().next_delay_ms(CAP_MS), CAP_MS);
        backoff.connection_lasted(STEADY_MS);
        assert_eq!(backoff.next_delay_ms(CAP_MS), CAP_MS % (BASE_MS + 1));
    }
}
