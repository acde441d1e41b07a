//! Vectors of clocks: up to which clock of each writer a side has everything.
//!
//! Decides order between them. A side that has a clock has what was written then, or what replaced it.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

use super::{RecordsError, codec::Bits};
use crate::{
    collections::sort_by_key,
    protocol::{
        Clock, Device,
        clock::{Stamp, Writer},
    },
};

/// Per writer the latest clock up to which everything is known. Writers of whom nothing is known are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClockVector(Vec<(Writer, Stamp)>);

impl ClockVector {
    /// Returns the vector of a side that has nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of writers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the latest stamp known of a writer, the default if none is.
    #[must_use]
    pub fn get(&self, writer: Writer) -> Stamp {
        self.place(writer).map_or(Stamp::default(), |at| self.0[at].1)
    }

    /// Returns whether what was written at `clock` is known.
    #[must_use]
    pub fn has(&self, clock: Clock) -> bool {
        self.get(clock.writer) >= clock.stamp
    }

    /// Returns whether everything `other` knows is known here.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        let mut own = self.0.iter().copied().peekable();
        other.iter().all(|(writer, stamp)| {
            while own.next_if(|(known, _)| *known < writer).is_some() {}
            own.peek().is_some_and(|(known, known_stamp)| *known == writer && *known_stamp >= stamp)
        })
    }

    /// Adds everything of a writer up to a clock.
    pub fn raise(&mut self, clock: Clock) {
        match self.place(clock.writer) {
            Ok(at) => self.0[at].1 = self.0[at].1.max(clock.stamp),
            Err(at) if clock.stamp > Stamp::default() => self.0.insert(at, (clock.writer, clock.stamp)),
            Err(_) => {}
        }
    }

    /// Adds everything `other` knows.
    pub fn merge(&mut self, other: &Self) {
        if other.0.len() <= 4 {
            for (writer, stamp) in other.iter() {
                self.raise(Clock { stamp, writer });
            }
        } else if !self.includes(other) {
            *self = self.iter().chain(other.iter()).collect();
        }
    }

    /// Returns what both know.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        self.iter().map(|(writer, stamp)| (writer, stamp.min(other.get(writer)))).collect()
    }

    /// Returns the writers of whom more is known here than `other` knows, and how much.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Self {
        self.iter().filter(|(writer, stamp)| other.get(*writer) < *stamp).collect()
    }

    /// Returns what `other` knows of the writers that are here.
    #[must_use]
    pub fn counterpart(&self, other: &Self) -> Self {
        self.iter().map(|(writer, _)| (writer, other.get(writer))).collect()
    }

    /// Returns the latest stamp of all.
    #[must_use]
    pub fn latest(&self) -> Stamp {
        self.iter().map(|(_, stamp)| stamp).max().unwrap_or_default()
    }

    /// Iterates over writers and stamps, by writer.
    pub fn iter(&self) -> impl Iterator<Item = (Writer, Stamp)> + '_ {
        self.0.iter().copied()
    }

    /// Returns a number that two different vectors hardly ever share.
    #[must_use]
    pub fn sum(&self) -> u64 {
        let mut hasher = SipHasher13::new();
        for (writer, stamp) in self.iter() {
            hasher.write(&writer.device.0.to_le_bytes());
            hasher.write(&writer.number.to_le_bytes());
            hasher.write(&stamp.0.to_le_bytes());
        }
        hasher.finish()
    }

    /// Encodes as `devices:varint (device:8 writers:varint (number:4 stamp:8)*)*`, big-endian.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 + self.0.len() * 21);
        let groups: Vec<_> = self.0.chunk_by(|(a, _), (b, _)| a.device == b.device).collect();
        super::codec::write_varint(&mut out, groups.len() as u64);
        for group in groups {
            out.extend(group[0].0.device.0.to_be_bytes());
            super::codec::write_varint(&mut out, group.len() as u64);
            for (writer, stamp) in group {
                out.extend(writer.number.to_be_bytes());
                out.extend(stamp.0.to_be_bytes());
            }
        }
        out
    }

    /// Decodes what [`ClockVector::encode`] wrote.
    ///
    /// # Errors
    /// [`RecordsError`] for anything else. Allocates no more than twice what the bytes hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordsError> {
        let mut bits = Bits::new(bytes);
        let mut entries = Vec::new();
        for _ in 0..bits.varint()? {
            let device = Device(u64::from_be_bytes(bits.array()?));
            for _ in 0..bits.varint()? {
                let number = u32::from_be_bytes(bits.array()?);
                entries.push((Writer { device, number }, Stamp(u64::from_be_bytes(bits.array()?))));
            }
        }
        bits.end()?;
        Ok(entries.into_iter().collect())
    }

    fn place(&self, writer: Writer) -> Result<usize, usize> {
        self.0.binary_search_by_key(&writer, |(known, _)| *known)
    }
}

impl FromIterator<(Writer, Stamp)> for ClockVector {
    fn from_iter<I: IntoIterator<Item = (Writer, Stamp)>>(entries: I) -> Self {
        let mut entries: Vec<_> = entries.into_iter().filter(|(_, stamp)| *stamp > Stamp::default()).collect();
        // The latest stamp of a writer comes first and stays.
        sort_by_key(&mut entries, |(writer, stamp)| (*writer, std::cmp::Reverse(*stamp)));
        entries.dedup_by_key(|(writer, _)| *writer);
        Self(entries)
    }
}
