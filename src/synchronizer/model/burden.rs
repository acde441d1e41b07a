//! How long a peer is given to answer when it was asked much at once.
//!
//! Decides by how much it was asked lately. Who is asked for thousands of documents in a row, and once more for each that has not come in the usual
//! time, has more to do the longer it takes.

use super::Model;
use crate::synchronizer::{ChannelId, Timestamp};

/// Milliseconds a peer is given for each of the things it was asked …
const ANSWER_MS: u64 = 2;
/// … beyond those it answers in the usual time …
const USUAL_MS: u64 = 256;
/// … and in all.
const MAX_BUSY_MS: u64 = 600_000;
/// Given in steps, so that what was asked in a row is asked again together.
const STEP_MS: u64 = 1_024;

/// Returns for how many milliseconds a peer is busy that was for `ms` at `since`: for none if the clock was set back after that.
fn left((since, ms): (Timestamp, u64), now: Timestamp) -> u64 {
    if now < since { 0 } else { ms.saturating_sub(now.since(since)) }
}

/// Returns how much longer than usual that is.
fn beyond(left: u64) -> u64 {
    left.saturating_sub(USUAL_MS).div_ceil(STEP_MS) * STEP_MS
}

impl Model {
    /// A peer is asked for something; returns how many milliseconds more than usual the answer may take.
    pub(in crate::synchronizer) fn burden(&mut self, channel: ChannelId) -> u64 {
        let now = self.now;
        let Some(entry) = self.channels.get_mut(&channel) else { return 0 };
        let left = left(entry.busy, now);
        entry.busy = (now, (left + ANSWER_MS).min(MAX_BUSY_MS));
        beyond(left)
    }

    /// Returns how many milliseconds more than usual an answer of a peer may take.
    pub(in crate::synchronizer) fn delay_ms(&self, channel: ChannelId) -> u64 {
        self.channels.get(&channel).map_or(0, |entry| beyond(left(entry.busy, self.now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synchronizer::{ChannelKind, model::Channel};

    #[test]
    fn who_is_asked_much_at_once_is_given_time_for_it_and_no_more_than_that() {
        let mut model = Model::new(0);
        let peer = ChannelId(1);
        model.channels.insert(peer, Box::new(Channel::new(ChannelKind::Network)));
        model.now = Timestamp(1_000_000);
        let few: u64 = (0..128).map(|_| model.burden(peer)).sum();
        assert_eq!((few, model.delay_ms(peer)), (0, 0), "a few are answered in the usual time");
        let last = (0..10_000).map(|_| model.burden(peer)).last();
        assert_eq!((last, model.delay_ms(peer)), (Some(20 * STEP_MS), 20 * STEP_MS));
        model.now = model.now.plus(15_000);
        assert_eq!(model.delay_ms(peer), 5 * STEP_MS);
        let _: u64 = (0..1_000_000).map(|_| model.burden(peer)).sum();
        assert_eq!(model.delay_ms(peer), (MAX_BUSY_MS - USUAL_MS).next_multiple_of(STEP_MS));
        // A clock that is set back, however far, makes nobody busy for that long.
        model.now = Timestamp(1_014_999);
        assert_eq!((model.delay_ms(peer), model.burden(peer)), (0, 0));
        model.now = Timestamp(1_000);
        assert_eq!((model.delay_ms(peer), model.burden(peer)), (0, 0));
        assert_eq!(model.delay_ms(ChannelId(2)), 0);
    }
}
