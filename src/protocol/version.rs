//! Version vectors: how many operations of each author a side has.
//!
//! Decides order between versions. Never knows what the operations are.

use std::cmp::Ordering;

/// Per author (a Loro peer id) the number of operations known, which is the exclusive end of its counters.
///
/// Authors with no operations are not kept, so equal knowledge compares equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct VersionVector(
    /// By author, each once. A list: there are many of them in memory, most with few authors, and they are copied all the time.
    Vec<(u64, i32)>,
);

/// The bytes are not an encoded version vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed version vector")]
pub struct VersionError;

impl VersionVector {
    /// Returns the version of an empty document.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns whether no operation is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of operations known of `author`.
    #[must_use]
    pub fn get(&self, author: u64) -> i32 {
        self.place(author).map_or(0, |at| self.0[at].1)
    }

    /// Raises what is known of `author` to at least `end`.
    pub fn extend_to(&mut self, author: u64, end: i32) {
        match self.place(author) {
            Ok(at) => self.0[at].1 = self.0[at].1.max(end),
            Err(at) if end > 0 => self.0.insert(at, (author, end)),
            Err(_) => {}
        }
    }

    fn place(&self, author: u64) -> Result<usize, usize> {
        self.0.binary_search_by_key(&author, |(author, _)| *author)
    }

    /// Adds everything `other` knows.
    pub fn merge(&mut self, other: &Self) {
        if self.0.is_empty() {
            self.0.clone_from(&other.0);
        } else if other.0.len() <= 4 {
            for (author, end) in other.iter() {
                self.extend_to(author, end);
            }
        } else if !self.includes(other) {
            *self = self.iter().chain(other.iter()).collect();
        }
    }

    /// Returns what both know.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        if other.includes(self) {
            return self.clone();
        }
        self.iter().map(|(author, end)| (author, end.min(other.get(author)))).collect()
    }

    /// Returns the number of authors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether everything `other` knows is known here.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        let mut own = self.0.iter().copied().peekable();
        other.iter().all(|(author, end)| {
            while own.next_if(|(known, _)| *known < author).is_some() {}
            own.peek().is_some_and(|(known, known_end)| *known == author && *known_end >= end)
        })
    }

    /// Iterates over authors and counter ends, by author.
    pub fn iter(&self) -> impl Iterator<Item = (u64, i32)> + '_ {
        self.0.iter().copied()
    }

    /// Encodes as Loro does: `count:varint (author:varint counter:zigzag-varint)*`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + self.0.len() * 12);
        write_varint(&mut out, self.0.len() as u64);
        for (author, end) in self.iter() {
            write_varint(&mut out, author);
            write_varint(&mut out, u64::from(((end << 1) ^ (end >> 31)) as u32));
        }
        out
    }

    /// Decodes what [`VersionVector::encode`] or Loro wrote; trailing bytes are tolerated.
    ///
    /// # Errors
    /// [`VersionError`] for anything else. Allocates no more than the bytes can hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, VersionError> {
        let mut at = 0;
        let count = read_varint(bytes, &mut at)?;
        // An entry takes two bytes at least.
        if count > (bytes.len() as u64) / 2 {
            return Err(VersionError);
        }
        let mut entries = Vec::new();
        for _ in 0..count {
            let author = read_varint(bytes, &mut at)?;
            let raw = u32::try_from(read_varint(bytes, &mut at)?).map_err(|_| VersionError)?;
            let end = ((raw >> 1) as i32) ^ -((raw & 1) as i32);
            entries.push((author, end));
        }
        Ok(entries.into_iter().collect())
    }
}

impl PartialOrd for VersionVector {
    /// `None` when each side knows something the other does not.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.includes(other), other.includes(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }
}

impl FromIterator<(u64, i32)> for VersionVector {
    fn from_iter<I: IntoIterator<Item = (u64, i32)>>(entries: I) -> Self {
        let mut entries: Vec<_> = entries.into_iter().filter(|(_, end)| *end > 0).collect();
        // The largest end of an author comes first and stays.
        entries.sort_unstable_by_key(|(author, end)| (*author, std::cmp::Reverse(*end)));
        entries.dedup_by_key(|(author, _)| *author);
        entries.shrink_to_fit();
        Self(entries)
    }
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_varint(bytes: &[u8], at: &mut usize) -> Result<u64, VersionError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at).ok_or(VersionError)?;
        *at += 1;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            return Err(VersionError);
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(VersionError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_as_the_wire_document_shows() {
        let version = VersionVector::from_iter([(2000, 5)]);
        assert_eq!(version.encode(), [0x01, 0xd0, 0x0f, 0x0a]);
        assert_eq!(VersionVector::decode(&version.encode()), Ok(version));
        assert_eq!(VersionVector::new().encode(), [0x00]);
    }

    #[test]
    fn the_largest_author_and_counter_survive() {
        let version = VersionVector::from_iter([(u64::MAX, i32::MAX)]);
        assert_eq!(VersionVector::decode(&version.encode()), Ok(version));
    }

    #[test]
    fn malformed_bytes_are_an_error() {
        for bytes in [&[][..], &[0xff], &[1], &[1, 1], &[0xff; 12], &[2, 1, 2]] {
            assert_eq!(VersionVector::decode(bytes), Err(VersionError), "{bytes:?}");
        }
    }

    #[test]
    fn concurrent_versions_have_no_order() {
        let a = VersionVector::from_iter([(1, 2)]);
        let b = VersionVector::from_iter([(2, 1)]);
        assert_eq!(a.partial_cmp(&b), None);
        let mut both = a.clone();
        both.merge(&b);
        assert!(both > a && both > b && both.includes(&both));
    }
}
