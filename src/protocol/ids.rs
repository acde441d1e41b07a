//! Names of peers and documents.
//!
//! Decides which ids the application may use. Ids read from the wire are kept as they came: the protocol does
//! not constrain them, so whoever acts on one asks [`DocId::is_valid`] first.

use std::{fmt, sync::Arc};

/// One live repo. On the wire a text; for corella's own repos the decimal form of a `u64`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(Arc<str>);

impl PeerId {
    /// Takes an id as it came from a peer.
    #[must_use]
    pub fn from_wire(id: &str) -> Self {
        Self(id.into())
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<u64> for PeerId {
    fn from(id: u64) -> Self {
        Self(id.to_string().into())
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({})", self.0)
    }
}

/// A document's name: any non-empty text of at most [`DocId::MAX_BYTES`] UTF-8 bytes, no character special.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocId(Arc<str>);

/// The text is not a document id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDocId {
    /// The text is empty.
    #[error("a document id must not be empty")]
    Empty,
    /// The text is longer than [`DocId::MAX_BYTES`].
    #[error("a document id has at most {max} UTF-8 bytes, this one has {0}", max = DocId::MAX_BYTES)]
    TooLong(usize),
}

impl DocId {
    /// Length limit in UTF-8 bytes.
    pub const MAX_BYTES: usize = 512;

    /// Checks and takes a document id.
    ///
    /// # Errors
    /// [`InvalidDocId`] for an empty or too long text.
    pub fn new(id: &str) -> Result<Self, InvalidDocId> {
        match id.len() {
            0 => Err(InvalidDocId::Empty),
            n if n > Self::MAX_BYTES => Err(InvalidDocId::TooLong(n)),
            _ => Ok(Self(id.into())),
        }
    }

    /// Takes an id as it came from a peer, valid or not.
    #[must_use]
    pub fn from_wire(id: &str) -> Self {
        Self(id.into())
    }

    /// Tells whether [`DocId::new`] would accept this id.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        (1..=Self::MAX_BYTES).contains(&self.0.len())
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DocId({:?})", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doc_id_is_any_text_of_1_to_512_bytes() {
        assert_eq!(DocId::new(""), Err(InvalidDocId::Empty));
        assert!(DocId::new(&"x".repeat(512)).is_ok());
        assert_eq!(DocId::new(&"é".repeat(257)), Err(InvalidDocId::TooLong(514)));
        assert!(DocId::new("a::b/\u{0}🦜").is_ok());
        assert!(!DocId::from_wire("").is_valid());
    }
}
