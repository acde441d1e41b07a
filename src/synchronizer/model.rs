//! The state the synchronizer folds inputs into. Holds versions and states, never a document.

mod burden;
mod holdings;
mod limits;
mod links;
mod news;

use std::{collections::VecDeque, rc::Rc};

use bytes::Bytes;

use super::{
    ChannelId, ChannelKind, Creator, Effect, Mark, PeerContext, Timer, Timestamp,
    doc_map::DocMap,
    ephemeral::Presence,
    keepers::{Keepers, Relays},
    unload::{beyond, bytes_of},
};
use crate::{
    collections::{SortedMap, SortedSet},
    protocol::{DocId, Features, Identity, Message, PeerId, Role, Tombstone, VersionVector, extension::AuthorRange},
};

/// Peers whose subscriptions are remembered after they left: a reference client that returns does not ask again.
const REMEMBERED_PEERS: usize = 4096;

/// Requests of one peer about one document, and bytes they bring together, that wait until stores have been read.
const MAX_REQUESTS: usize = 16;
const MAX_REQUEST_BYTES: usize = 1024 * 1024;
pub(super) use holdings::{Holding, Load, Rewrite};
pub use limits::Footprint;
#[cfg(test)]
pub(super) use limits::MAX_LOOKED_AT;
use links::Links;
pub(super) use links::{LONGEST_REST_MS, Link};

/// What a peer must share to be spoken to in the extension.
const EXTENDED: Features = Features::HEADS.or(Features::ACK).or(Features::LINEAGE);

#[derive(Debug)]
pub(super) struct Model {
    /// When the present input came.
    pub(super) now: Timestamp,
    /// Boxed: they are looked for many times in each step, and keys close together are found faster.
    pub(super) channels: SortedMap<ChannelId, Box<Channel>>,
    /// What is known of each document at each peer: by document, so that a change costs those who follow it and nobody else.
    links: DocMap<Links>,
    stores: SortedSet<ChannelId>,
    pub(super) docs: DocMap<Doc>,
    /// Documents known of, in memory or not, and what stores have of them.
    pub(super) catalogue: DocMap<Known>,
    /// Deletions that are remembered: of documents that are gone, and of earlier creations of those that are here.
    pub(super) buried: SortedMap<DocId, Tombstone>,
    /// Deletions that peers did not allow: they are not told again.
    pub(super) undeletable: SortedMap<DocId, SortedSet<PeerId>>,
    /// Documents the application dropped: announcements of them are ignored until they are opened again.
    pub(super) forgotten: SortedSet<DocId>,
    /// Storage adapters that have not said yet whether they have a store.
    pub(super) expected_stores: SortedSet<usize>,
    /// Under which ids this repo writes.
    pub(super) authors: SortedSet<u64>,
    /// How often that was said.
    authors_said: u64,
    /// Links looked at for what the application is told of peers.
    #[cfg(test)]
    pub(super) looked_at: usize,
    pub(super) armed: SortedSet<Timer>,
    /// Documents with ephemeral entries to renew, and what is known of those who wrote them.
    pub(super) present: SortedMap<DocId, Presence>,
    /// Documents of which the application may have to be told that peers stand to them otherwise: at which channels; `None` for all.
    pub(super) touched: SortedMap<DocId, Option<SortedSet<ChannelId>>>,
    /// Documents of which more is confirmed than the application was told.
    pub(super) confirmed: SortedSet<DocId>,
    /// Bytes the documents in memory take in a store.
    pub(super) loaded_bytes: u64,
    /// Bytes of messages held back until their documents are read.
    pub(super) held_back: usize,
    /// Operations nobody else has confirmed, of documents that left memory.
    pub(super) unsent: SortedMap<DocId, u64>,
    /// Documents whose stores are being read.
    pub(super) loading: SortedSet<DocId>,
    /// Documents that are read when others have been.
    pub(super) backlog: VecDeque<DocId>,
    /// How many documents peers that left have made this side know of.
    introducers: SortedMap<PeerId, usize>,
    /// Stored documents of which more is confirmed than their stores were told.
    pub(super) unnoted: SortedSet<DocId>,
    /// Stored documents with other marks than their stores were told.
    pub(super) unmarked: SortedSet<DocId>,
    /// The largest number of relays that keep all this repo was connected with at once.
    pub(super) most_archives: usize,
    /// The relays of which it is remembered what they keep.
    pub(super) relays: Relays,
    remembered: SortedMap<PeerId, SortedSet<DocId>>,
    departures: VecDeque<PeerId>,
    pub(super) records: super::records::Records,
}

/// A document that may not be in memory.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) lineage: u64,
    /// What stores have.
    pub(super) version: VersionVector,
    /// What another machine is known to have.
    pub(super) confirmed: VersionVector,
    /// What another machine is known to have on disk.
    pub(super) durable: VersionVector,
    /// What need not be offered again: see [`Model::keep`].
    pub(super) kept: VersionVector,
    /// Relays that have all of that.
    pub(super) keepers: Keepers,
    /// What was settled, and what those that left had, and when.
    pub(super) marks: Vec<Mark>,
    pub(super) creator: Option<Creator>,
    /// Peers were told that it exists.
    pub(super) announced: bool,
    /// It was in memory and has left it: what is known of it here is all there is, also if that is nothing.
    pub(super) away: bool,
}

/// One live pipe or store.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) kind: ChannelKind,
    pub(super) state: ChannelState,
    /// Documents with a link to it.
    docs: SortedSet<DocId>,
    pub(super) store: StoreState,
    /// What both ends speak beyond the reference protocol.
    pub(super) features: Features,
    /// What the peer does for others.
    pub(super) role: Role,
    /// This side began the handshake.
    pub(super) initiated: bool,
    /// The relay's place among those that are remembered.
    pub(super) keeper: Option<Keepers>,
    /// Comparisons by sums that may still be tried before documents are asked about one by one.
    pub(super) comparisons: u32,
    /// Documents that have come into being, of which the peer is told when `Timer::Announce` fires.
    pub(super) appeared: SortedSet<DocId>,
    /// Those that were deleted, told then as well.
    pub(super) gone: SortedMap<DocId, Tombstone>,
    /// Documents whose heads the peer is told when `Timer::Heads` fires.
    pub(super) heads_due: SortedSet<DocId>,
    /// Documents whose version the peer is told when `Timer::Ack` fires.
    pub(super) acks_due: SortedSet<DocId>,
    /// Comparisons by sums and directories the peer asked for, the documents looked at for that, and since when they are counted.
    pub(super) looks: (Timestamp, u32, usize),
    /// It asked which documents there are.
    pub(super) directory: bool,
    /// Authors unknown here in what the peer said it has of documents: when they were counted, and in what it said since.
    strangers: (usize, usize),
    /// Since when, and for how many milliseconds from then, it is taken to be busy with what it was asked.
    busy: (Timestamp, u64),
    /// Documents it was not allowed to create, some of them.
    pub(super) uncreated: SortedSet<DocId>,
    /// Documents both sides followed when they were hidden from it.
    pub(super) withdrawn: SortedSet<DocId>,
    /// Documents this side knows of because of the peer, those that are gone again included.
    pub(super) introduced: usize,
}

#[derive(Debug)]
pub(super) enum ChannelState {
    Connected,
    Established(Identity, Rc<PeerContext>),
}

/// What a store is doing; idle for pipes.
#[derive(Debug, Default)]
pub(super) struct StoreState {
    pub(super) writing: bool,
    pub(super) dirty: SortedSet<DocId>,
    pub(super) flush_after: bool,
    /// When the last write completed.
    pub(super) written: Timestamp,
    pub(super) failures: u32,
    pub(super) lists_failed: u32,
}

/// A document in memory.
#[derive(Debug, Default)]
pub(super) struct Doc {
    pub(super) version: VersionVector,
    /// Which creation of the document: 0 unless it was deleted and made again.
    pub(super) lineage: u64,
    /// Who made it, if known.
    pub(super) creator: Option<Creator>,
    /// What another machine said it has.
    pub(super) confirmed: VersionVector,
    /// What another machine said it has on disk.
    pub(super) confirmed_on_disk: VersionVector,
    /// What need not be offered again: see [`Model::keep`].
    pub(super) kept: VersionVector,
    /// Operations asked for, by author.
    pub(super) fetches: SortedMap<u64, Fetch>,
    /// When they are looked at, if `Timer::Fetch` is armed.
    pub(super) fetch_due: Timestamp,
    /// The application holds a handle.
    pub(super) opened: bool,
    /// When it was last asked for or changed.
    pub(super) used: Timestamp,
    /// Bytes it takes in a store.
    pub(super) bytes: u64,
    pub(super) state: DocState,
    /// What stores hold of it.
    pub(super) holdings: Vec<(ChannelId, Holding)>,
    /// Peers were told that it exists.
    pub(super) announced: bool,
    /// Peers that may see more are to be told of it when it has content.
    pub(super) shown: bool,
    /// Which saying of the ids this repo writes under what peers claim was compared with.
    pub(super) authors_compared: Option<u64>,
    /// Statuses last reported to the application, in order of their channels; `None` if they were never looked at.
    pub(super) reported: Option<Vec<(ChannelId, ReadyStatus)>>,
    /// What was trimmed from the history in memory.
    pub(super) begins: VersionVector,
    /// What its stores were last told to trim.
    pub(super) trimmed: VersionVector,
    /// Something came that depends on what was trimmed: the whole history is fetched, last asked of whom.
    pub(super) renewal: Option<Option<ChannelId>>,
}

/// Operations of one author, up to `end`, that are under way or wait here for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fetch {
    pub(super) channel: ChannelId,
    pub(super) end: i32,
    pub(super) since: Timestamp,
    /// Milliseconds more than usual that it may take.
    pub(super) patience_ms: u64,
    /// The source has given what it had to give.
    pub(super) answered: bool,
    /// They came and wait for operations they depend on.
    pub(super) arrived: bool,
}

impl Doc {
    /// Something of it is on no other machine, as far as is known, or would not be any more had that one crashed.
    pub(super) fn is_unsynced(&self) -> bool {
        !self.confirmed.includes(&self.version) || !self.kept.includes(&self.version)
    }
}

#[derive(Debug, Default)]
pub(super) enum DocState {
    /// Stores have not all been read.
    Loading {
        /// Stores are being read. If not, others are read first.
        begun: bool,
        waiting: SortedSet<Source>,
        /// Requests of peers, answered when loading ends.
        requests: Vec<Request>,
        /// Who asked for it first, if nobody knew of it: it counts as one that peer made known while stores are read.
        reserved: Option<ChannelId>,
        /// Peers known to have the document, asked when loading ends.
        ask: SortedSet<ChannelId>,
        /// Whether any store had it.
        found: bool,
        /// Where it is read because of what a peer gave of it: that, until it has been.
        held_back: Option<Vec<(ChannelId, Message)>>,
    },
    #[default]
    Ready,
}

/// Where a document may still come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Store(ChannelId),
    Adapter(usize),
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) channel: ChannelId,
    pub(super) version: VersionVector,
    pub(super) bidirectional: bool,
    pub(super) kind: RequestKind,
}

/// How a request came, and so how it is answered.
#[derive(Debug)]
pub(super) enum RequestKind {
    /// As a question of the reference protocol.
    Sync,
    /// As heads.
    Heads,
    /// As a wish for operations.
    Want(Vec<AuthorRange>),
    /// As operations that are offered.
    Give { ranges: Vec<AuthorRange>, data: Bytes },
}

impl DocState {
    /// Lets a request wait until stores have been read; returns whether there is room for it.
    pub(super) fn queue(&mut self, request: Request) -> bool {
        let Self::Loading { requests, .. } = self else { return false };
        let of_channel = |other: &&Request| other.channel == request.channel;
        let bytes: usize = requests.iter().chain([&request]).map(Request::bytes).sum();
        let room = requests.iter().filter(of_channel).count() < MAX_REQUESTS && (bytes <= MAX_REQUEST_BYTES || request.bytes() == 0);
        if room {
            requests.push(request);
        }
        room
    }
}

impl Request {
    fn bytes(&self) -> usize {
        match &self.kind {
            RequestKind::Give { data, .. } => data.len(),
            RequestKind::Sync | RequestKind::Heads | RequestKind::Want(_) => 0,
        }
    }
}

/// How a peer stands to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadyStatus {
    /// It was asked, or has asked, and both sides are not known to be equal.
    Pending,
    /// It said that it has what is here, and what it has is here.
    Synced,
    /// It said that it does not have the document.
    Absent,
}

impl Channel {
    pub(super) fn new(kind: ChannelKind) -> Self {
        Self {
            kind,
            state: ChannelState::Connected,
            docs: SortedSet::new(),
            store: StoreState::default(),
            features: Features::default(),
            role: Role::Leaf,
            initiated: false,
            keeper: None,
            comparisons: 0,
            appeared: SortedSet::new(),
            gone: SortedMap::new(),
            heads_due: SortedSet::new(),
            acks_due: SortedSet::new(),
            looks: (Timestamp::default(), 0, 0),
            directory: false,
            strangers: (0, 0),
            uncreated: SortedSet::new(),
            withdrawn: SortedSet::new(),
            introduced: 0,
            busy: (Timestamp::default(), 0),
        }
    }

    pub(super) fn establish(&mut self, channel: ChannelId, identity: Identity) -> ChannelState {
        let context = PeerContext {
            peer_id: identity.peer_id.clone(),
            name: identity.name.clone(),
            peer_type: identity.peer_type.clone(),
            channel,
            kind: self.kind,
        };
        std::mem::replace(&mut self.state, ChannelState::Established(identity, Rc::new(context)))
    }

    pub(super) fn identity(&self) -> Option<&Identity> {
        match &self.state {
            ChannelState::Connected => None,
            ChannelState::Established(identity, _) => Some(identity),
        }
    }
}

impl Model {
    /// Makes one that knows nothing; `key` keeps peers from choosing ids that collide.
    pub(super) fn new(key: u64) -> Self {
        Self {
            now: Timestamp::default(),
            channels: Default::default(),
            links: DocMap::new(key),
            stores: Default::default(),
            docs: DocMap::new(key),
            catalogue: DocMap::new(key),
            buried: Default::default(),
            undeletable: Default::default(),
            forgotten: Default::default(),
            expected_stores: Default::default(),
            authors: Default::default(),
            authors_said: 0,
            #[cfg(test)]
            looked_at: 0,
            armed: Default::default(),
            present: Default::default(),
            touched: Default::default(),
            confirmed: Default::default(),
            loaded_bytes: 0,
            held_back: 0,
            unsent: Default::default(),
            unnoted: Default::default(),
            unmarked: Default::default(),
            most_archives: 0,
            relays: Relays::default(),
            loading: Default::default(),
            backlog: Default::default(),
            introducers: Default::default(),
            remembered: Default::default(),
            departures: Default::default(),
            records: super::records::Records::default(),
        }
    }

    /// Returns the established pipes, in order of opening.
    pub(super) fn pipes(&self) -> Vec<ChannelId> {
        self.channels.iter().filter(|(_, c)| c.kind != ChannelKind::Storage && c.identity().is_some()).map(|(id, _)| *id).collect()
    }

    /// Returns the open stores.
    pub(super) fn stores(&self) -> Vec<ChannelId> {
        self.stores.iter().copied().collect()
    }

    pub(super) fn has_stores(&self) -> bool {
        !self.stores.is_empty()
    }

    pub(super) fn add_channel(&mut self, id: ChannelId, channel: Channel) {
        if channel.kind == ChannelKind::Storage {
            self.stores.insert(id);
        }
        self.channels.insert(id, Box::new(channel));
    }

    /// Forgets a channel; returns it with what was known of documents at its end.
    pub(super) fn remove_channel(&mut self, id: ChannelId) -> Option<(Channel, SortedMap<DocId, Link>)> {
        let links = self.unlink_channel(id);
        if self.stores.remove(&id) {
            self.forget_store(id);
        }
        Some((*self.channels.remove(&id)?, links))
    }

    /// There is news of a document: the pauses between questions to a peer are short again. Returns whether one under way was ended.
    pub(super) fn hasten(&mut self, id: ChannelId, doc: &DocId) -> bool {
        let long = self.link(id, doc).is_some_and(|link| std::mem::take(&mut link.attempts) > 1);
        long && self.armed.remove(&Timer::Verify(id, doc.clone()))
    }

    /// Takes a document out of memory.
    pub(super) fn take_doc(&mut self, doc: &DocId) -> Option<Doc> {
        let mut entry = self.docs.remove(doc)?;
        self.loaded_bytes -= entry.bytes;
        if let DocState::Loading { reserved, held_back, .. } = &mut entry.state {
            let (reserved, held_back) = (reserved.take(), held_back.take());
            self.held_back -= bytes_of(&held_back.unwrap_or_default());
            self.cancel(reserved);
        }
        Some(entry)
    }

    /// Notes how large a document in memory is in the store that has most of it.
    pub(super) fn measure(&mut self, doc: &DocId) {
        let sizes = self.holdings(doc).map(|(_, holding)| holding.size.snapshot_bytes + holding.size.update_bytes);
        let bytes = sizes.max().unwrap_or(0);
        if let Some(entry) = self.docs.get_mut(doc) {
            self.loaded_bytes = self.loaded_bytes - entry.bytes + bytes;
            entry.bytes = bytes;
        }
    }

    /// Counts what of a document that is not in memory no other machine has confirmed.
    pub(super) fn count_unsent(&mut self, doc: &DocId) {
        let away = self.catalogue.get(doc).filter(|_| !self.docs.contains_key(doc));
        match away.map_or(0, |known| beyond(&known.version, &known.confirmed)) {
            0 => drop(self.unsent.remove(doc)),
            operations => drop(self.unsent.insert(doc.clone(), operations)),
        }
    }

    /// Returns whether a peer is about to be told something of the document.
    pub(super) fn owes(&self, doc: &DocId) -> bool {
        self.links(doc).any(|(channel, _)| {
            self.channels.get(&channel).is_some_and(|entry| entry.acks_due.contains(doc) || entry.heads_due.contains(doc))
        })
    }

    pub(super) fn context(&self, channel: ChannelId) -> Option<Rc<PeerContext>> {
        match &self.channels.get(&channel)?.state {
            ChannelState::Connected => None,
            ChannelState::Established(_, context) => Some(Rc::clone(context)),
        }
    }

    /// Returns the documents that only stores have and that a peer which keeps them is to be offered.
    pub(super) fn stranded(&self, channel: ChannelId) -> Vec<DocId> {
        let stranded = |doc: &&DocId| !self.docs.contains_key(doc) && self.may_lack(channel, doc);
        self.catalogue.keys().filter(stranded).cloned().collect()
    }

    pub(super) fn version(&self, doc: &DocId) -> VersionVector {
        self.docs.get(doc).map(|doc| doc.version.clone()).unwrap_or_default()
    }

    pub(super) fn is_ready(&self, doc: &DocId) -> bool {
        matches!(self.docs.get(doc), Some(Doc { state: DocState::Ready, .. }))
    }

    /// Returns whether the peer on `channel` speaks the extension.
    pub(super) fn is_extended(&self, channel: ChannelId) -> bool {
        self.channels.get(&channel).is_some_and(|entry| entry.features.includes(EXTENDED))
    }

    /// Returns which creation of a document is here; `None` if none is.
    pub(super) fn lineage(&self, doc: &DocId) -> Option<u64> {
        self.docs.get(doc).map(|entry| entry.lineage).or_else(|| self.catalogue.get(doc).map(|known| known.lineage))
    }

    /// Returns whether that creation of the document was deleted. A later one says so even when the tombstone is forgotten.
    pub(super) fn is_buried(&self, doc: &DocId, lineage: u64) -> bool {
        let later = self.lineage(doc).is_some_and(|here| here > lineage) && !self.is_blank(doc);
        later || self.buried.get(doc).is_some_and(|tombstone| tombstone.lineage >= lineage)
    }

    /// Returns whether nothing of a document is here: then its lineage is what somebody said, and proves nothing.
    pub(super) fn is_blank(&self, doc: &DocId) -> bool {
        self.docs.get(doc).is_none_or(|entry| entry.version.is_empty())
            && self.catalogue.get(doc).is_none_or(|known| known.version.is_empty())
    }

    /// Takes a document without content to be another creation.
    pub(super) fn adopt_lineage(&mut self, doc: &DocId, lineage: u64) {
        if let Some(entry) = self.docs.get_mut(doc) {
            entry.lineage = lineage;
        }
        if let Some(known) = self.catalogue.get_mut(doc) {
            known.lineage = lineage;
        }
    }

    /// Returns what is here of a document, in memory or in stores.
    pub(super) fn held(&self, doc: &DocId) -> Option<(u64, &VersionVector)> {
        match (self.docs.get(doc), self.catalogue.get(doc)) {
            (Some(entry), _) if matches!(entry.state, DocState::Ready) => Some((entry.lineage, &entry.version)),
            (_, Some(known)) if known.away || !known.version.is_empty() => Some((known.lineage, &known.version)),
            _ => None,
        }
    }

    /// Returns what is in memory of a document, or in stores if it is not in memory.
    pub(super) fn here(&self, doc: &DocId) -> VersionVector {
        let away = || self.catalogue.get(doc).map(|known| known.version.clone());
        self.docs.get(doc).map(|entry| entry.version.clone()).or_else(away).unwrap_or_default()
    }

    /// Takes what a peer says it has.
    pub(super) fn learn(&mut self, channel: ChannelId, doc: &DocId, version: &VersionVector) {
        let Some(link) = self.link(channel, doc) else { return };
        link.known.get_or_insert_default().merge(version);
        self.confirm(channel, doc, version);
    }

    /// A peer says that it has `version` and no more: what it had beyond that, and is not here either, it cannot give any more.
    pub(super) fn unlearn(&mut self, channel: ChannelId, doc: &DocId, version: &VersionVector) {
        let ours = self.here(doc);
        let Some(known) = self.link(channel, doc).and_then(|link| link.known.as_mut()) else { return };
        if !version.includes(known) && !ours.includes(known) {
            let end = |(author, end): (u64, i32)| (author, end.min(version.get(author).max(ours.get(author))));
            *known = known.iter().map(end).filter(|(_, end)| *end > 0).collect();
        }
    }

    /// Another machine says it has `version`. Only what is here counts: nobody has what is not made yet.
    pub(super) fn confirm(&mut self, channel: ChannelId, doc: &DocId, version: &VersionVector) {
        if self.channels.get(&channel).is_none_or(|entry| entry.kind != ChannelKind::Network) {
            return;
        }
        if let Some(known) = self.catalogue.get_mut(doc)
            && !known.confirmed.includes(version)
        {
            let here = self.docs.get(doc).map_or(&known.version, |entry| &entry.version);
            let both = here.common(version);
            if !known.confirmed.includes(&both) {
                known.confirmed.merge(&both);
                if self.unsent.contains_key(doc) {
                    self.count_unsent(doc);
                }
            }
        }
        if let Some(entry) = self.docs.get_mut(doc)
            && !entry.confirmed.includes(version)
        {
            let both = entry.version.common(version);
            if !entry.confirmed.includes(&both) {
                entry.confirmed.merge(&both);
                self.confirmed.insert(doc.clone());
            }
        }
        if !self.is_extended(channel) {
            // It never says more than this.
            self.keep(channel, doc, version);
        }
    }

    /// Another machine has `version` and will have it when it starts again, as far as it ever says: on its disk, or in the memory of one that
    /// has no disk, or does not tell. Only that is remembered over restarts here: what was merely in memory there is offered again.
    pub(super) fn keep(&mut self, channel: ChannelId, doc: &DocId, version: &VersionVector) {
        if self.channels.get(&channel).is_none_or(|entry| entry.kind != ChannelKind::Network) {
            return;
        }
        let keeper = self.channels.get(&channel).and_then(|entry| entry.keeper).unwrap_or_default();
        let here = self.docs.get(doc).map(|entry| &entry.version);
        if let Some(known) = self.catalogue.get_mut(doc)
            && !known.is_kept_by(version, keeper)
        {
            let both = here.unwrap_or(&known.version).common(version);
            if known.take_kept(&both, keeper) {
                // Also while the store is still writing the document for the first time: that write does not carry it.
                self.unnoted.insert(doc.clone());
            }
        }
        if let Some(entry) = self.docs.get_mut(doc)
            && !entry.kept.includes(version)
        {
            entry.kept.merge(&entry.version.common(version));
        }
    }

    /// Another machine gave what the document has beyond `before`: who made it sees to it that it is kept.
    pub(super) fn keep_given(&mut self, channel: ChannelId, doc: &DocId, before: &VersionVector) {
        let Some(entry) = self.docs.get(doc) else { return };
        // What was made here before theirs, under the same name, must not count with them.
        let given = |(author, end): &(u64, i32)| *end > before.get(*author) && entry.kept.get(*author) >= before.get(*author);
        let given: VersionVector = entry.version.iter().filter(given).collect();
        self.keep(channel, doc, &given);
    }

    /// Operations of others are here now: whoever said that it has them has them.
    pub(super) fn confirm_again(&mut self, doc: &DocId) {
        let said: Vec<_> = self.links(doc).filter_map(|(channel, link)| Some((channel, link.known.clone()?))).collect();
        for (channel, version) in said {
            self.confirm(channel, doc, &version);
        }
    }

    /// The application adds operations, up to `version`: who claimed to have them before is not believed, and gets them.
    pub(super) fn doubt_claims(&mut self, doc: &DocId, version: &VersionVector) {
        let Some(Doc { version: before, holdings, .. }) = self.docs.get_mut(doc) else { return };
        let stored = holdings.iter_mut().filter_map(|(_, holding)| holding.version.as_mut());
        let links = self.links.get_mut(doc).map(Links::iter_mut).into_iter().flatten();
        for known in stored.chain(links.filter_map(|(_, link)| link.known.as_mut())) {
            if !before.includes(known) {
                let end =
                    |(author, end)| (author, if version.get(author) > before.get(author) { before.get(author).min(end) } else { end });
                *known = known.iter().map(end).collect();
            }
        }
    }

    pub(super) fn has_peer(&self, peer: &PeerId) -> bool {
        self.channels.values().any(|channel| channel.identity().is_some_and(|identity| identity.peer_id == *peer))
    }

    /// Arms a timer once; a second call before it fires changes nothing.
    pub(super) fn arm(&mut self, timer: Timer, after_ms: u64, effects: &mut Vec<Effect>) {
        if self.armed.insert(timer.clone()) {
            effects.push(Effect::SetTimer { timer, after_ms });
        }
    }

    pub(super) fn remember(&mut self, peer: PeerId, docs: SortedSet<DocId>) {
        if docs.is_empty() {
            return;
        }
        if self.remembered.insert(peer.clone(), docs).is_none() {
            self.departures.push_back(peer);
        }
        while self.departures.len() > REMEMBERED_PEERS {
            if let Some(oldest) = self.departures.pop_front() {
                self.remembered.remove(&oldest);
            }
        }
    }

    pub(super) fn recall(&mut self, peer: &PeerId) -> SortedSet<DocId> {
        self.departures.retain(|departed| departed != peer);
        self.remembered.remove(peer).unwrap_or_default()
    }
}
