//! Decides whether bytes are one CBOR item of this protocol's subset. Never looks at what the item means.

use super::DecodeError;

use crate::collections::SortedSet;

/// Keys one map may have. Messages use six at most; the bound keeps the search for duplicates cheap.
const MAX_KEYS: u64 = 256;

const ENDED: DecodeError = DecodeError::InvalidCbor("item cut off");

/// Walks all of `payload`, which must be exactly one item with at most `depth` containers inside each other.
pub(super) fn check(payload: &[u8], depth: usize) -> Result<(), DecodeError> {
    let mut walk = Walk { payload, at: 0 };
    walk.item(depth)?;
    if walk.at == payload.len() { Ok(()) } else { Err(DecodeError::InvalidCbor("bytes after the item")) }
}

/// Returns where the item at `at` of a checked payload ends.
pub(super) fn end(payload: &[u8], at: usize) -> Result<usize, DecodeError> {
    let mut walk = Walk { payload, at };
    let mut items = 1u64;
    while items > 0 {
        items -= 1;
        match walk.head()? {
            Head::Unsigned(_) | Head::Negative(_) | Head::Scalar => {}
            Head::Bytes(len) | Head::Text(len) => walk.take(len).map(|_| ())?,
            Head::Array(len) => items = items.saturating_add(len),
            Head::Map(len) => items = items.saturating_add(len.saturating_mul(2)),
            Head::Tag => items += 1,
        }
    }
    Ok(walk.at)
}

/// Returns the bytes of the text at `at`, UTF-8 or not, or `None` for another kind of item.
pub(super) fn text(payload: &[u8], at: usize) -> Option<&[u8]> {
    let mut walk = Walk { payload, at };
    match walk.head() {
        Ok(Head::Text(len)) => walk.take(len).ok(),
        _ => None,
    }
}

/// The first bytes of an item, with its argument.
enum Head {
    Unsigned(u64),
    Negative(u64),
    Bytes(u64),
    Text(u64),
    Array(u64),
    Map(u64),
    Tag,
    Scalar,
}

/// What makes a key equal to another, however its header is written.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key<'b> {
    Unsigned(u64),
    Negative(u64),
    Text(&'b [u8]),
}

struct Walk<'b> {
    payload: &'b [u8],
    at: usize,
}

impl<'b> Walk<'b> {
    fn item(&mut self, depth: usize) -> Result<(), DecodeError> {
        match self.head()? {
            Head::Unsigned(_) | Head::Negative(_) | Head::Scalar => Ok(()),
            Head::Bytes(len) | Head::Text(len) => self.take(len).map(|_| ()),
            Head::Tag => self.item(deeper(depth)?),
            Head::Array(len) => {
                let depth = deeper(depth)?;
                (0..len).try_for_each(|_| self.item(depth))
            }
            Head::Map(len) => self.map(len, deeper(depth)?),
        }
    }

    fn map(&mut self, len: u64, depth: usize) -> Result<(), DecodeError> {
        if len > MAX_KEYS {
            return Err(DecodeError::LimitExceeded("keys in a map"));
        }
        let mut keys = SortedSet::new();
        for _ in 0..len {
            if !keys.insert(self.key()?) {
                return Err(DecodeError::InvalidCbor("duplicate key"));
            }
            self.item(depth)?;
        }
        Ok(())
    }

    fn key(&mut self) -> Result<Key<'b>, DecodeError> {
        match self.head()? {
            Head::Text(len) => Ok(Key::Text(self.take(len)?)),
            Head::Unsigned(value) => Ok(Key::Unsigned(value)),
            Head::Negative(value) => Ok(Key::Negative(value)),
            _ => Err(DecodeError::InvalidCbor("a key is neither text nor integer")),
        }
    }

    fn head(&mut self) -> Result<Head, DecodeError> {
        let first = self.byte()?;
        let (major, info) = (first >> 5, first & 0x1f);
        if major == 7 {
            return self.scalar(info);
        }
        let argument = match info {
            0..24 => u64::from(info),
            24 => match self.byte()? {
                // The reference decoder refuses this overlong form, and only this one.
                0..24 => return Err(DecodeError::InvalidCbor("overlong header")),
                byte => u64::from(byte),
            },
            25..=27 => self.take(1 << (info - 24))?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)),
            31 => return Err(DecodeError::InvalidCbor("indefinite length")),
            _ => return Err(DecodeError::InvalidCbor("reserved header")),
        };
        Ok(match major {
            0 => Head::Unsigned(argument),
            1 => Head::Negative(argument),
            2 => Head::Bytes(argument),
            3 => Head::Text(argument),
            4 => Head::Array(argument),
            5 => Head::Map(argument),
            _ => Head::Tag,
        })
    }

    fn scalar(&mut self, info: u8) -> Result<Head, DecodeError> {
        match info {
            20..=23 => Ok(Head::Scalar),
            25 => match self.take(2)? {
                [high, _] if high & 0x7c == 0x7c => Ok(Head::Scalar),
                _ => Err(DecodeError::InvalidCbor("finite half-precision float")),
            },
            26 | 27 => self.take(1 << (info - 24)).map(|_| Head::Scalar),
            _ => Err(DecodeError::InvalidCbor("unsupported simple value")),
        }
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = *self.payload.get(self.at).ok_or(ENDED)?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, len: u64) -> Result<&'b [u8], DecodeError> {
        let len = usize::try_from(len).map_err(|_| ENDED)?;
        let end = self.at.checked_add(len).ok_or(ENDED)?;
        let taken = self.payload.get(self.at..end).ok_or(ENDED)?;
        self.at = end;
        Ok(taken)
    }
}

fn deeper(depth: usize) -> Result<usize, DecodeError> {
    depth.checked_sub(1).ok_or(DecodeError::LimitExceeded("nesting"))
}
