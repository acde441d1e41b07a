//! Hybrid logical clocks: points in time that order what several devices do, whatever their own clocks say.
//!
//! Decides which stamp comes next and which stamps of others are believed. Never reads a clock: the time is handed in, and what has to
//! survive a restart ([`HybridClock::last`]) is handed out.

/// Bits of a stamp that count within one millisecond.
const COUNTER_BITS: u32 = 16;
/// The last millisecond a stamp can name, in the year 10889.
const LAST_MS: u64 = (1 << 48) - 1;

/// A point in time: 48 bits of milliseconds since the Unix epoch, 16 bits that count within one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(pub u64);

impl Stamp {
    /// Returns the first stamp of a millisecond; one later than a stamp can name is the last that can.
    #[must_use]
    pub const fn at(ms: u64) -> Self {
        Self((if ms > LAST_MS { LAST_MS } else { ms }) << COUNTER_BITS)
    }

    /// Returns its milliseconds since the Unix epoch.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0 >> COUNTER_BITS
    }

    /// Returns which one of its millisecond it is.
    #[must_use]
    pub const fn counter(self) -> u16 {
        self.0 as u16
    }
}

/// One browser profile, one hub, or whatever else shares one storage. A repo without storage is a device of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device(pub u64);

/// Who mints clocks: one repo (a tab) of a device. No two live repos share one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Writer {
    /// The device.
    pub device: Device,
    /// Which of its writers.
    pub number: u32,
}

/// The time of one change. Never minted twice, and in a total order that is the same everywhere: stamp, device, writer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Clock {
    /// When.
    pub stamp: Stamp,
    /// By whom.
    pub writer: Writer,
}

/// A stamp is further ahead of this side's time than is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a clock is {ahead_ms} ms ahead, more than {max_ms} ms")]
pub struct TooFarAhead {
    /// By how many milliseconds.
    pub ahead_ms: u64,
    /// How many are believed.
    pub max_ms: u64,
}

/// Mints the clocks of one writer, each later than all it minted or saw before, however the time that is handed in jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HybridClock {
    writer: Writer,
    last: Stamp,
}

impl HybridClock {
    /// Starts after `last`, the latest stamp the device minted or saw before; the default for a new device.
    #[must_use]
    pub const fn new(writer: Writer, last: Stamp) -> Self {
        Self { writer, last }
    }

    /// Returns who mints.
    #[must_use]
    pub const fn writer(&self) -> Writer {
        self.writer
    }

    /// Returns the latest stamp minted or seen: what has to survive a restart.
    #[must_use]
    pub const fn last(&self) -> Stamp {
        self.last
    }

    /// Mints the next clock. When the time stands still or jumps back, the counter goes on, and beyond its end the millisecond.
    ///
    /// `None` when no later stamp exists: then nothing can be written any more.
    pub fn mint(&mut self, now_ms: u64) -> Option<Clock> {
        let next = Stamp(self.last.0.checked_add(1)?).max(Stamp::at(now_ms));
        self.last = next;
        Some(Clock { stamp: next, writer: self.writer })
    }

    /// Takes a stamp that was seen, so that whatever is minted afterwards is later.
    ///
    /// # Errors
    /// [`TooFarAhead`] if it is more than `max_ms` ahead of `now_ms`; then nothing has changed.
    pub fn observe(&mut self, stamp: Stamp, now_ms: u64, max_ms: u64) -> Result<(), TooFarAhead> {
        check_drift(stamp, now_ms, max_ms)?;
        self.last = self.last.max(stamp);
        Ok(())
    }

    /// Takes a stamp of this device's own storage, which is believed however far ahead it is.
    pub fn resume(&mut self, stamp: Stamp) {
        self.last = self.last.max(stamp);
    }
}

/// Tells whether a stamp is believed.
///
/// # Errors
/// [`TooFarAhead`] if it is more than `max_ms` ahead of `now_ms`.
pub const fn check_drift(stamp: Stamp, now_ms: u64, max_ms: u64) -> Result<(), TooFarAhead> {
    let ahead_ms = stamp.ms().saturating_sub(now_ms);
    if ahead_ms > max_ms { Err(TooFarAhead { ahead_ms, max_ms }) } else { Ok(()) }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
