//! What corella peers say to one another beyond the reference protocol, and how they find out that they may.
//!
//! Decides which capabilities two peers share. A peer that announced none gets the plain reference protocol.

use super::{DocId, PeerId, VersionVector};

/// Versions of the extension this build speaks, first and last.
pub const VERSIONS: (u32, u32) = (1, 1);

/// What a peer announces in its handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Oldest version of the extension it speaks.
    pub oldest: u32,
    /// Newest version it speaks.
    pub newest: u32,
    /// What it does for others.
    pub role: Role,
    /// What it can do.
    pub features: Features,
    /// What names the place a relay keeps documents in, over its restarts; `None` if it does not say.
    pub home: Option<u64>,
}

/// What a peer does for others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// Fetches what its own application opens.
    #[default]
    Leaf,
    /// Keeps and passes on every document.
    Relay,
}

/// Whether this build has records; without them, nothing that is about them is left in it.
pub const RECORDS: bool = cfg!(feature = "records");

/// A set of features. Names that this version does not know are dropped when read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features(u32);

impl Features {
    /// Per-author sync: heads, want, give, prune.
    pub const HEADS: Self = Self(1);
    /// Acknowledgement and refusal.
    pub const ACK: Self = Self(2);
    /// Comparison of many documents by sums.
    pub const DIGEST: Self = Self(4);
    /// Tombstones and lineages.
    pub const LINEAGE: Self = Self(8);
    /// Ephemeral state is passed on to whoever does not get it otherwise, and never twice.
    pub const PRESENCE: Self = Self(16);
    /// Records beside the documents.
    pub const RECORDS: Self = Self(32);
    /// What everybody is known to have of a document's history, asked of one who keeps all of it.
    pub const HISTORY: Self = Self(64);
    /// All of this build.
    pub const ALL: Self = Self(if RECORDS { 127 } else { 127 & !32 });
    /// What concerns documents.
    pub const DOCUMENTS: Self = Self(31 | 64);

    const NAMES: [(Self, &'static str); 7] = [
        (Self::HEADS, "heads"),
        (Self::ACK, "ack"),
        (Self::DIGEST, "digest"),
        (Self::LINEAGE, "lineage"),
        (Self::PRESENCE, "presence"),
        (Self::RECORDS, "records"),
        (Self::HISTORY, "history"),
    ];

    /// Returns the features' names on the wire.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(feature, _)| self.includes(*feature)).map(|(_, name)| name)
    }

    /// Returns the feature of a name, nothing for an unknown one.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::NAMES.into_iter().find(|(_, known)| *known == name).map_or(Self(0), |(feature, _)| feature)
    }

    /// Returns whether all of `other` are here.
    #[must_use]
    pub const fn includes(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the features of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the features that `other` does not have.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns the features of either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Capabilities {
    /// Returns what this build announces.
    #[must_use]
    pub fn own(role: Role) -> Self {
        Self { oldest: VERSIONS.0, newest: VERSIONS.1, role, features: Features::ALL, home: None }
    }

    /// Returns what both sides can do: nothing if they have no version in common.
    #[must_use]
    pub fn shared(self, peer: Self) -> Features {
        if self.oldest <= peer.newest && peer.oldest <= self.newest { self.features.and(peer.features) } else { Features::default() }
    }
}

/// What a peer holds of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The document.
    pub doc: DocId,
    /// Which creation of it; 0 unless it was deleted and made again.
    pub lineage: u64,
    /// What it holds.
    pub version: VersionVector,
}

/// Operations of one author: counters from `start` up to and without `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuthorRange {
    /// The author.
    pub author: u64,
    /// First counter.
    pub start: i32,
    /// Counter after the last.
    pub end: i32,
}

/// Part of all documents: those whose hashed id begins with `prefix`, `depth` hexadecimal digits long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// Number of digits, 16 at most.
    pub depth: u8,
    /// The digits, in the lowest bits.
    pub prefix: u64,
}

/// What a side has in one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// Which part.
    pub part: Part,
    /// Number of documents.
    pub count: u32,
    /// Sum of the hashes of each document's id, lineage and version.
    pub hash: u64,
}

/// Says that a document was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// The deleted creation, and all before it.
    pub lineage: u64,
    /// When, in milliseconds since the Unix epoch, by the deleting peer's clock.
    pub at: u64,
    /// Who.
    pub by: PeerId,
}

/// Why something about a document was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// The refusing side does not have it, or does not show that it does.
    Unavailable,
    /// The peer may not change it.
    Mutability,
    /// The peer may not create it.
    Creation,
    /// The peer may not delete it.
    Deletion,
    /// It comes too fast.
    RateLimited,
    /// It is too large.
    TooLarge,
    /// An outside authority refused it.
    Unauthorized,
    /// It was deleted.
    Deleted,
    /// The bytes could not be imported.
    Invalid,
    /// Its clock is too far ahead.
    ClockAhead,
    /// The refusing side's disk takes nothing at the moment.
    Storage,
    /// The refusing side keeps only the end of the history, and the peer lacks what is before that.
    Trimmed,
    /// There is no room for it.
    Full,
}

impl RefusalReason {
    const NAMES: [(Self, &'static str); 13] = [
        (Self::Unavailable, "unavailable"),
        (Self::Mutability, "mutability"),
        (Self::Creation, "creation"),
        (Self::Deletion, "deletion"),
        (Self::RateLimited, "rate-limited"),
        (Self::TooLarge, "too-large"),
        (Self::Unauthorized, "unauthorized"),
        (Self::Deleted, "deleted"),
        (Self::Invalid, "invalid"),
        (Self::ClockAhead, "clock-ahead"),
        (Self::Storage, "storage"),
        (Self::Trimmed, "trimmed"),
        (Self::Full, "full"),
    ];

    /// Returns the reason as applications see it and as it travels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES.into_iter().find(|(reason, _)| *reason == self).map_or("unauthorized", |(_, name)| name)
    }

    /// Reads a reason; one this version does not know is an outside authority's.
    #[must_use]
    pub fn from_wire(name: &str) -> Self {
        Self::NAMES.into_iter().find(|(_, known)| *known == name).map_or(Self::Unauthorized, |(reason, _)| reason)
    }
}
