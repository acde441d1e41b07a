//! Finding out which of many documents differ, by sums over all that both sides follow.
//!
//! Decides which parts are compared more closely. Equal sums cost one short message whatever the number of documents; what differs is
//! followed down to the documents concerned. A sum is the wrapping sum of 64-bit SipHash-1-3 hashes (key zero) of each document's id,
//! lineage and version.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::{ChannelId, ChannelKind, Effect, Synchronizer, Timer, Timestamp, handshake::COMPARISONS, heads::MAX_HEADS};
use crate::protocol::{
    DocId, Features, Message, Role, VersionVector,
    extension::{Head, Part, Sum},
};

use crate::collections::{SortedSet, sort, sort_by};

/// Parts with this many documents on both sides together are listed instead of divided.
const LISTED_DOCS: u64 = 24;
/// Digits of a hash that are ever looked at.
const MAX_DEPTH: u8 = 8;
/// Parts looked at for one message.
const MAX_PARTS: usize = 4_096;

const WHOLE: Part = Part { depth: 0, prefix: 0 };

/// A document both sides follow.
struct Followed {
    doc: DocId,
    place: u64,
    hash: u64,
    /// Sum of the hashes before it.
    before: u64,
}

impl Synchronizer {
    pub(super) fn speaks_digest(&self, channel: ChannelId) -> bool {
        self.model.is_extended(channel) && self.model.channels.get(&channel).is_some_and(|entry| entry.features.includes(Features::DIGEST))
    }

    /// Compares everything with every peer that is due: of two peers, the one with the lower id begins.
    pub(super) fn digest_due(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        self.forget_tombstones(now, out);
        let mut any = false;
        for channel in self.model.pipes() {
            if !self.speaks_digest(channel) {
                continue;
            }
            any = true;
            let begins = self
                .model
                .channels
                .get(&channel)
                .and_then(|entry| entry.identity())
                .is_some_and(|peer| self.config.identity.peer_id < peer.peer_id);
            if begins {
                // Who is asked nothing says nothing: of what others wrote it is not known otherwise that it is on the relay's disk.
                let reply = self.misses_disk(channel) || self.misses_word(channel);
                self.begin_digest(channel, reply, out);
            }
        }
        if any {
            self.model.arm(Timer::Digest, self.config.digest_period_ms, out);
        }
    }

    /// Returns whether a peer has not said of a document that it has what is here: it may have come to it from somebody else.
    fn misses_word(&self, channel: ChannelId) -> bool {
        self.model.docs_of(channel).iter().any(|doc| {
            let Some(link) = self.model.peek(channel, doc) else { return false };
            let doubtful = || self.model.held(doc).is_some_and(|(_, version)| !link.confirms(version));
            link.is_followed() && link.is_agreed() && doubtful()
        })
    }

    /// Returns whether a relay has documents of which it is not known that all is on another machine's disk.
    fn misses_disk(&self, channel: ChannelId) -> bool {
        let relay = self.model.channels.get(&channel).is_some_and(|entry| entry.kind == ChannelKind::Network && entry.role == Role::Relay);
        relay
            && self.role() == Role::Leaf
            && self.model.docs_of(channel).iter().any(|doc| {
                let followed = self.model.peek(channel, doc).is_some_and(|link| link.is_followed() && link.is_agreed());
                let in_memory = self.model.docs.get(doc).map(|entry| !entry.confirmed_on_disk.includes(&entry.version));
                let away = || self.model.catalogue.get(doc).is_some_and(|known| !known.kept.includes(&known.version));
                followed && in_memory.unwrap_or_else(away)
            })
    }

    /// Sends the sum over everything; with `reply` the peer also says when it is equal.
    pub(super) fn begin_digest(&mut self, channel: ChannelId, reply: bool, out: &mut Vec<Effect>) {
        let followed = self.followed(channel);
        // A relay that has nothing wants what another one has.
        let relay = self.role() == Role::Relay && self.model.channels.get(&channel).is_some_and(|entry| entry.role == Role::Relay);
        if followed.is_empty() && !relay {
            return;
        }
        let stored = self.all_stored(&followed);
        let sums = vec![sum_of(WHOLE, &followed)];
        out.push(Effect::Send { channel, message: Message::Digest { sums, list: Vec::new(), reply, stored } });
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(super) fn digest_received(
        &mut self,
        channel: ChannelId,
        sums: Vec<Sum>,
        mut list: Vec<Part>,
        reply: bool,
        stored: bool,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if !self.speaks_digest(channel) {
            return;
        }
        let documents = if self.compares_all(channel) { self.model.catalogue.len() } else { self.model.linked(channel) };
        if !self.model.has_time(channel, documents, true, now) {
            return;
        }
        if reply
            && let Some(entry) = self.model.channels.get_mut(&channel)
            && !entry.initiated
        {
            entry.comparisons = COMPARISONS;
        }
        let followed = self.followed(channel);
        let mut closer = Vec::new();
        let mut wanted = Vec::new();
        let mut looked_at = SortedSet::new();
        for sum in sums.into_iter().take(MAX_PARTS).filter(|sum| sum.part.depth <= MAX_DEPTH) {
            if !looked_at.insert(sum.part) {
                continue;
            }
            let ours = sum_of(sum.part, &followed);
            if ours == sum {
                if sum.part == WHOLE {
                    self.all_equal(channel, &followed, stored, now);
                    if reply {
                        let stored = self.all_stored(&followed);
                        out.push(Effect::Send {
                            channel,
                            message: Message::Digest { sums: vec![ours], list: Vec::new(), reply: false, stored },
                        });
                    }
                }
            } else if u64::from(ours.count) + u64::from(sum.count) <= LISTED_DOCS || sum.part.depth == MAX_DEPTH {
                list.push(sum.part);
                wanted.push(sum.part);
            } else {
                closer.extend(
                    (0..16).map(|digit| sum_of(Part { depth: sum.part.depth + 1, prefix: sum.part.prefix << 4 | digit }, &followed)),
                );
            }
        }
        list.truncate(MAX_PARTS);
        sort(&mut list);
        list.dedup();
        let mut heads = Vec::new();
        for part in list.into_iter().filter(|part| part.depth <= MAX_DEPTH) {
            for Followed { doc, .. } in within(part, &followed) {
                if let Some((lineage, version)) = self.model.held(doc) {
                    heads.push(Head { doc: doc.clone(), lineage, version: version.clone() });
                }
            }
        }
        for heads in heads.chunks(MAX_HEADS) {
            for Head { doc, version, .. } in heads {
                if let Some(link) = self.model.link(channel, doc) {
                    link.sent.merge(version);
                }
            }
            out.push(Effect::Send { channel, message: Message::Heads { heads: heads.to_vec(), reply: false } });
        }
        if !closer.is_empty() || !wanted.is_empty() {
            out.push(Effect::Send { channel, message: Message::Digest { sums: closer, list: wanted, reply, stored: false } });
        }
    }

    /// Both sides have the same of every document.
    fn all_equal(&mut self, channel: ChannelId, followed: &[Followed], stored: bool, now: Timestamp) {
        for Followed { doc, .. } in followed {
            if !self.model.is_ready(doc) && (self.model.docs.contains_key(doc) || self.model.peek(channel, doc).is_none()) {
                continue;
            }
            let Some(ours) = self.model.held(doc).map(|(_, version)| version.clone()) else { continue };
            self.follow(channel, doc, &ours);
            if stored {
                self.model.keep(channel, doc, &ours);
            }
            if stored
                && let Some(entry) = self.model.docs.get_mut(doc)
                && self.model.channels.get(&channel).is_some_and(|entry| entry.kind == ChannelKind::Network)
                && !entry.confirmed_on_disk.includes(&ours)
            {
                entry.confirmed_on_disk.merge(&ours);
                self.model.confirmed.insert(doc.clone());
            }
            if let Some(link) = self.model.link(channel, doc) {
                link.asked = true;
                link.waiting = false;
                link.unconfirmed_since = None;
                link.last_push = now;
                link.sent.merge(&ours);
                self.model.hasten(channel, doc);
            }
        }
    }

    fn all_stored(&self, followed: &[Followed]) -> bool {
        self.model.has_stores()
            && followed.iter().all(|Followed { doc, .. }| {
                self.model.held(doc).is_some_and(|(_, version)| self.stored_version(doc).is_some_and(|stored| stored.includes(version)))
            })
    }

    /// Returns the documents that both sides follow and that the peer may see.
    fn followed(&self, channel: ChannelId) -> Vec<Followed> {
        let Some(entry) = self.model.channels.get(&channel) else { return Vec::new() };
        let relays = self.compares_all(channel);
        let mut docs: Vec<DocId> = if relays { self.model.catalogue.keys().cloned().collect() } else { self.model.docs_of(channel) };
        docs.retain(|doc| self.model.peek(channel, doc).map_or(relays, |link| (relays || link.is_followed()) && link.is_agreed()));
        if entry.kind == ChannelKind::Tabs {
            // Tabs share their stores: only what is open concerns another tab.
            docs.retain(|doc| self.model.docs.contains_key(doc));
        }
        let mut followed: Vec<_> = docs
            .into_iter()
            .filter_map(|doc| {
                let (lineage, version) = self.model.held(&doc)?;
                let (place, hash) = (place(&doc), hash(&doc, lineage, version));
                self.sees(channel, &doc).then_some(Followed { doc, place, hash, before: 0 })
            })
            .collect();
        sort_by(&mut followed, |a, b| (a.place, &a.doc).cmp(&(b.place, &b.doc)));
        let mut sum = 0u64;
        for followed in &mut followed {
            followed.before = sum;
            sum = sum.wrapping_add(followed.hash);
        }
        followed
    }

    /// Returns whether both sides keep everything: then all of it is compared.
    fn compares_all(&self, channel: ChannelId) -> bool {
        self.role() == Role::Relay && self.model.channels.get(&channel).is_some_and(|entry| entry.role == Role::Relay)
    }
}

/// Returns the documents of a part; they are in order of their places.
fn within(part: Part, followed: &[Followed]) -> &[Followed] {
    let shift = 64 - 4 * u32::from(part.depth.min(16));
    let prefix_of = |followed: &Followed| followed.place.checked_shr(shift).unwrap_or(0);
    if part.depth == 0 {
        return followed;
    }
    let start = followed.partition_point(|followed| prefix_of(followed) < part.prefix);
    let end = followed.partition_point(|followed| prefix_of(followed) <= part.prefix);
    followed.get(start..end).unwrap_or_default()
}

fn sum_of(part: Part, followed: &[Followed]) -> Sum {
    let within = within(part, followed);
    let hash = match (within.first(), within.last()) {
        (Some(first), Some(last)) => last.before.wrapping_add(last.hash).wrapping_sub(first.before),
        _ => 0,
    };
    Sum { part, count: u32::try_from(within.len()).unwrap_or(u32::MAX), hash }
}

fn place(doc: &DocId) -> u64 {
    hash_of(doc.as_str())
}

pub(super) fn hash_of(text: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}

fn hash(doc: &DocId, lineage: u64, version: &VersionVector) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(&(doc.as_str().len() as u64).to_le_bytes());
    hasher.write(doc.as_str().as_bytes());
    hasher.write(&lineage.to_le_bytes());
    for (author, end) in version.iter() {
        hasher.write(&author.to_le_bytes());
        hasher.write(&end.to_le_bytes());
    }
    hasher.finish()
}
