//! Which relays keep a document that is closed here, so that each is offered what it may lack, and nothing twice.
//!
//! Decides which relays are remembered, what a set of them says, and which documents one is to be offered. Only what
//! relays said themselves counts; one that came by itself cannot pass for one this repo dialled, nor take its place. A set that is lost costs
//! another offer. Never reads a document.

use super::{
    ChannelId, ChannelKind, Synchronizer, Timestamp,
    digest::hash_of,
    model::{Known, Model},
};
use crate::protocol::{DocId, Identity, Role, VersionVector};

/// Relays that are remembered: of one document in a store, and of all in memory.
pub const MAX_KEEPERS: usize = 8;

/// Set in the name of one that never says what is on its disk: what it had may be gone with its id.
const FLEETING: u64 = 1 << 63;

/// Remembered relays, as places in [`Relays`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Keepers(u8);

impl Keepers {
    fn of(place: usize) -> Self {
        Self(1 << (place % MAX_KEEPERS))
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    const fn includes(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What names relays over their restarts, and when each was last met.
#[derive(Debug, Default)]
pub(super) struct Relays(Vec<(u64, Timestamp)>);

impl Relays {
    fn place(&self, home: u64) -> Option<usize> {
        self.0.iter().position(|(known, _)| *known == home)
    }

    /// Remembers a relay some store speaks of, if there is room.
    fn hear_of(&mut self, home: u64) -> Keepers {
        let place = self.place(home).or_else(|| {
            (self.0.len() < MAX_KEEPERS).then(|| {
                self.0.push((home, Timestamp::default()));
                self.0.len() - 1
            })
        });
        place.map_or(Keepers::default(), Keepers::of)
    }

    /// Returns those of `keepers` that have it also after they were started again.
    fn lasting(&self, keepers: Keepers) -> Keepers {
        let fleeting = self.0.iter().enumerate().filter(|(_, (home, _))| home & FLEETING != 0);
        keepers.without(fleeting.fold(Keepers::default(), |all, (place, _)| all.or(Keepers::of(place))))
    }

    fn names(&self, keepers: Keepers) -> Vec<u64> {
        let named = |(place, (home, _)): (usize, &(u64, Timestamp))| keepers.includes(Keepers::of(place)).then_some(*home);
        self.0.iter().enumerate().filter_map(named).collect()
    }
}

/// Returns who has all of two versions together, of those who have all of the one and those who have all of the other.
fn joint<T>(one: (&VersionVector, T), other: (&VersionVector, T), and: impl Fn(&T, &T) -> T, or: impl Fn(T, T) -> T) -> T {
    let mut both = and(&one.1, &other.1);
    let (more, less) = (one.0.includes(other.0), other.0.includes(one.0));
    if less {
        both = or(other.1, both);
    }
    if more {
        both = or(one.1, both);
    }
    both
}

/// Joins what a store remembers, that `keepers` have all of `version`, with what is known since.
pub fn join_keepers(version: &mut VersionVector, keepers: &mut Vec<u64>, later: &VersionVector, theirs: &[u64]) {
    let and = |one: &Vec<u64>, other: &Vec<u64>| one.iter().copied().filter(|home| other.contains(home)).collect();
    let or = |mut one: Vec<u64>, other: Vec<u64>| {
        one.extend(other);
        one
    };
    let mut all = joint((later, theirs.to_vec()), (version, std::mem::take(keepers)), and, or);
    // The latest first: they stay.
    let mut seen = Vec::new();
    all.retain(|home| {
        let new = !seen.contains(home) && seen.len() < MAX_KEEPERS;
        seen.extend(new.then_some(*home));
        new
    });
    *keepers = all;
    version.merge(later);
}

/// Returns names of relays as they are stored: eight bytes each, the lowest first.
#[must_use]
pub fn encode_keepers(keepers: &[u64]) -> Vec<u8> {
    keepers.iter().flat_map(|home| home.to_le_bytes()).collect()
}

/// Reads stored names of relays; `None` if they are none.
#[must_use]
pub fn decode_keepers(bytes: &[u8]) -> Option<Vec<u64>> {
    let (names, rest) = bytes.as_chunks::<8>();
    (rest.is_empty() && names.len() <= MAX_KEEPERS).then(|| names.iter().map(|name| u64::from_le_bytes(*name)).collect())
}

impl Known {
    /// Returns whether it is no news that `keepers` have all of `version`.
    pub(super) fn is_kept_by(&self, version: &VersionVector, keepers: Keepers) -> bool {
        self.kept.includes(version) && self.keepers.includes(keepers)
    }

    /// Takes what a store remembers, or a relay said: that `keepers` have all of `version`. Returns whether that is news.
    pub(super) fn take_kept(&mut self, version: &VersionVector, keepers: Keepers) -> bool {
        let before = self.keepers;
        self.keepers = joint((version, keepers), (&self.kept, before), |one, other| one.and(*other), Keepers::or);
        let more = !self.kept.includes(version);
        if more {
            self.kept.merge(version);
        }
        more || !before.includes(self.keepers)
    }
}

impl Model {
    /// Returns the relays that stores speak of.
    pub(super) fn keepers_named(&mut self, names: &[u64]) -> Keepers {
        names.iter().take(MAX_KEEPERS).fold(Keepers::default(), |all, home| all.or(self.relays.hear_of(*home)))
    }

    /// Returns what names the relays that have all that is kept of a document.
    pub(super) fn keepers_of(&self, doc: &DocId, lineage: u64) -> Vec<u64> {
        let known = self.catalogue.get(doc).filter(|known| known.lineage == lineage);
        known.map(|known| self.relays.names(known.keepers)).unwrap_or_default()
    }

    /// Gives a relay that is met a place: if need be, and if this side dialled it, that of the one not met for longest.
    fn meet(&mut self, home: u64, dialled: bool, now: Timestamp) -> Option<Keepers> {
        let here = self.channels.values().filter_map(|entry| entry.keeper).fold(Keepers::default(), Keepers::or);
        let place = match self.relays.place(home) {
            Some(place) => place,
            None if self.relays.0.len() < MAX_KEEPERS => {
                self.relays.0.push((home, now));
                self.relays.0.len() - 1
            }
            None if !dialled => return None,
            None => {
                let free = (0..MAX_KEEPERS).filter(|place| !here.includes(Keepers::of(*place)));
                let place = free.min_by_key(|place| self.relays.0.get(*place).map(|(_, met)| *met))?;
                let gone = Keepers::of(place);
                for known in self.catalogue.values_mut() {
                    known.keepers = known.keepers.without(gone);
                }
                place
            }
        };
        *self.relays.0.get_mut(place)? = (home, now);
        Some(Keepers::of(place))
    }

    /// Returns whether a peer that keeps documents is to be offered one that is closed here: no other machine is known to keep all of it, or
    /// the peer is not known to. One of the reference protocol, to which every document has to be read, is not offered what somebody keeps for
    /// good.
    pub(super) fn may_lack(&self, channel: ChannelId, doc: &DocId) -> bool {
        let Some(known) = self.catalogue.get(doc) else { return false };
        let version = self.docs.get(doc).map_or(&known.version, |entry| &entry.version);
        let unknown = |keeper| {
            let nobody = Keepers::default();
            let offered = self.is_extended(channel) || (known.keepers != nobody && self.relays.lasting(known.keepers) == nobody);
            offered && !known.keepers.includes(keeper)
        };
        let keeper = self.channels.get(&channel).and_then(|entry| entry.keeper);
        !version.is_empty() && (!known.kept.includes(version) || keeper.is_some_and(unknown))
    }
}

impl Synchronizer {
    /// A peer has introduced itself: if it is a relay, this leaf will know it again.
    pub(super) fn meet_relay(&mut self, channel: ChannelId, identity: &Identity, now: Timestamp) {
        let Some(entry) = self.model.channels.get(&channel) else { return };
        let (relay, dialled) = (entry.kind == ChannelKind::Network && entry.role == Role::Relay, entry.initiated);
        if relay && self.role() == Role::Leaf {
            let extended = self.model.is_extended(channel);
            // One that does not say where it keeps documents is another one after a restart.
            let home = identity.capabilities.and_then(|capabilities| capabilities.home).filter(|_| extended);
            let home = home.unwrap_or_else(|| hash_of(identity.peer_id.as_str()));
            let home = if dialled { home } else { hash_of(&format!("came by itself: {home}")) };
            let home = if extended { home & !FLEETING } else { home | FLEETING };
            let keeper = self.model.meet(home, dialled, now);
            if let Some(entry) = self.model.channels.get_mut(&channel) {
                entry.keeper = keeper;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vv(entries: &[(u64, i32)]) -> VersionVector {
        entries.iter().copied().collect()
    }

    fn joined(one: (&[(u64, i32)], &[u64]), later: (&[(u64, i32)], &[u64])) -> (VersionVector, Vec<u64>) {
        let (mut version, mut keepers) = (vv(one.0), one.1.to_vec());
        join_keepers(&mut version, &mut keepers, &vv(later.0), later.1);
        (version, keepers)
    }

    #[test]
    fn a_new_version_starts_a_new_set_and_an_older_one_changes_nothing() {
        let old: (&[_], &[_]) = (&[(7, 1)], &[1, 2]);
        assert_eq!(joined(old, (&[(7, 2)], &[3])), (vv(&[(7, 2)]), vec![3]));
        assert_eq!(joined((&[(7, 2)], &[3]), old), (vv(&[(7, 2)]), vec![3]));
        assert_eq!(joined(old, (&[(7, 1)], &[3, 2])), (vv(&[(7, 1)]), vec![3, 2, 1]), "both said it of the same");
        assert_eq!(joined(old, (&[(8, 1)], &[2, 3])), (vv(&[(7, 1), (8, 1)]), vec![2]), "who has either has both");
        assert_eq!(joined(old, (&[], &[])), (vv(&[(7, 1)]), vec![1, 2]));
    }

    #[test]
    fn a_set_is_bounded_and_the_latest_stay() {
        let many: Vec<u64> = (0..8).collect();
        let (_, keepers) = joined((&[(7, 1)], &many), (&[(7, 1)], &[100, 3]));
        assert_eq!(keepers, [100, 3, 0, 1, 2, 4, 5, 6]);
        assert_eq!(decode_keepers(&encode_keepers(&keepers)), Some(keepers));
        assert_eq!(decode_keepers(&[0; 72]), None, "nine");
        assert_eq!(decode_keepers(&[0; 7]), None);
        assert_eq!(decode_keepers(&[]), Some(Vec::new()));
    }
}
