//! Records beside the documents: small facts of one device, or shared by all.
//!
//! Decides who is told of which records, what is asked for, what is written when, and what may be forgotten. Holds vectors of clocks,
//! never a record or a value: the runtime keeps those and answers by vector.
//!
//! What makes it work is one rule: a side says that it has a clock only if it has what was written then, or what replaced it. So it takes
//! a peer's word over all at the end of all pages, or over one push if it has what the push starts from.

mod pages;
mod peers;
mod pruning;
mod recovery;
mod stores;

use super::{
    ChannelId, ChannelKind, Durability, Effect, Event, LOAD_TIMEOUT_MS, Synchronizer, Timer, Timestamp,
    model::{Load, Source},
};
use crate::{
    collections::{SortedMap, SortedSet},
    protocol::{
        Clock, ClockVector, Device, Features, Message, PeerId, RECORDS, RecordEntry, RecordId, RecordState, RefusalReason, Role,
        clock::Stamp,
    },
};

pub use pages::{Claim, ClaimedPage};
pub use stores::{StoredDevice, StoredRecords};

use peers::Peer;

/// How records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordLimits {
    /// Milliseconds by which a peer's clock may be ahead; what is later is refused.
    pub max_drift_ms: u64,
    /// Milliseconds after which a device that was not seen holds nothing back any more.
    pub lapse_ms: u64,
    /// How much room there is for what peers give: for all records, …
    pub all: RecordRoom,
    /// … those of one collection, …
    pub collection: RecordRoom,
    /// … and those one device wrote last. Beyond, a message of a peer is refused as a whole, and offered again after growing pauses.
    pub device: RecordRoom,
}

/// Room for records, deleted ones that are remembered included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordRoom {
    /// Records.
    pub records: usize,
    /// Bytes of names and values, and 24 for each record.
    pub bytes: usize,
}

impl RecordRoom {
    /// No room.
    pub const NONE: Self = Self { records: 0, bytes: 0 };
    /// As much as there is.
    pub const ANY: Self = Self { records: usize::MAX, bytes: usize::MAX };
}

impl Default for RecordLimits {
    /// Five minutes, ninety days, as much room as there is.
    fn default() -> Self {
        let (all, collection, device) = (RecordRoom::ANY, RecordRoom::ANY, RecordRoom::ANY);
        Self { max_drift_ms: 5 * 60 * 1000, lapse_ms: 90 * 24 * 60 * 60 * 1000, all, collection, device }
    }
}

/// What happened to the records.
#[derive(Debug, Clone, PartialEq)]
pub enum RecordInput {
    /// The application uses records.
    Opened,
    /// A store was read and what it had is here.
    Loaded {
        /// The store.
        channel: ChannelId,
        /// What it says beside the records; `None` if it keeps no records.
        stored: Option<StoredRecords>,
    },
    /// A store could not be read.
    LoadFailed {
        /// The store.
        channel: ChannelId,
    },
    /// The application wrote something.
    Changed {
        /// The latest clock minted.
        clock: Clock,
    },
    /// Records of a peer were merged, or refused all together.
    Applied {
        /// Where they came from.
        channel: ChannelId,
        /// What may be claimed now.
        claim: Claim,
        /// Whether anything in them was new.
        news: bool,
        /// A record whose clock was too far ahead, or for which there is no room: then nothing may be claimed.
        refused: Option<(RecordId, RefusalReason)>,
    },
    /// A store completed a write.
    Stored {
        /// The store.
        channel: ChannelId,
        /// What it has now.
        version: ClockVector,
    },
    /// A store could not write; nothing of it was kept.
    StoreFailed {
        /// The store.
        channel: ChannelId,
    },
}

/// What is to be done with the records.
#[derive(Debug, Clone, PartialEq)]
pub enum RecordEffect {
    /// Read a store; answered by `Loaded` or `LoadFailed`.
    Load {
        /// The store.
        channel: ChannelId,
    },
    /// All stores have been read, or do not answer: the application may read and write.
    Open {
        /// Whose records these are; `None` for the device that was proposed.
        device: Option<Device>,
    },
    /// Write what is dirty in one transaction; answered by `Stored` or `StoreFailed`.
    Store {
        /// The store.
        channel: ChannelId,
        /// What is here.
        version: ClockVector,
        /// Of what is in it, deletions may be gone.
        pruned: ClockVector,
        /// What is known of other devices.
        devices: Vec<StoredDevice>,
    },
    /// Merge records of a peer; answered by `Applied`.
    Apply {
        /// Where they came from.
        channel: ChannelId,
        /// The records.
        entries: Vec<RecordEntry>,
        /// Returned with the answer.
        claim: Claim,
    },
    /// Drop what of records that were on none of the pages of `peer` is in `version`: it was deleted. What this device wrote to records
    /// that the peer has not, is not in `had`, and may be older than a deletion the peer has forgotten, is written anew.
    Sweep {
        /// Where it is.
        channel: ChannelId,
        /// Whose pages.
        peer: PeerId,
        /// What they cover.
        version: ClockVector,
        /// What the peer had before it was given anything.
        had: ClockVector,
        /// The latest deletion that the peer may have forgotten.
        forgotten: Stamp,
    },
    /// The pages of a peer will not be completed.
    DropPages {
        /// Whose.
        peer: PeerId,
    },
    /// Send what `base` lacks, as one claim over `version`.
    Push {
        /// To whom.
        channel: ChannelId,
        /// What it has.
        base: ClockVector,
        /// What is said of, by writer.
        version: ClockVector,
    },
    /// Send a page of what `since` lacks.
    Page {
        /// To whom.
        channel: ChannelId,
        /// What it has.
        since: ClockVector,
        /// Where the page before ended.
        after: Option<Clock>,
        /// To read everything, not only what not all devices have: what the peer is told of forgotten deletions.
        whole: Option<ClockVector>,
        /// What is here.
        version: ClockVector,
    },
    /// Take back what of a record is in `version`, and take what a relay has of it.
    Revert {
        /// The record.
        record: RecordId,
        /// What the relay has.
        state: RecordState,
        /// What of this side's is not taken.
        version: ClockVector,
    },
    /// What could not be read of stores came again, as far as it is anywhere: stores get what is here in its place.
    Recovered,
    /// Forget deletions that are in `stable`, and index no more what is.
    Prune {
        /// What every known device has.
        stable: ClockVector,
    },
}

/// What is known of the records.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) state: State,
    device: Option<Device>,
    /// What is here.
    version: ClockVector,
    /// Of what is in it, deletions may be gone.
    pruned: ClockVector,
    /// What every known device has.
    stable: ClockVector,
    /// What other machines said they have, in memory and on disk.
    confirmed: ClockVector,
    confirmed_on_disk: ClockVector,
    peers: SortedMap<ChannelId, Peer>,
    stores: SortedMap<ChannelId, stores::Store>,
    devices: SortedMap<Device, pruning::Known>,
    /// Devices that hold nothing back any more, and whose rows are to be removed.
    gone: Vec<Device>,
    /// Pages that a broken connection interrupted.
    interrupted: SortedMap<PeerId, pages::Reading>,
    /// Something that counts as had could not be read of a store.
    lost: Option<recovery::Lost>,
}

/// How far the records are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// The application has not asked for any: peers are told nothing.
    #[default]
    Idle,
    /// Stores have not all been read.
    Loading(SortedSet<Source>),
    Ready,
}

impl Synchronizer {
    pub(super) fn records_happened(&mut self, input: RecordInput, now: Timestamp, out: &mut Vec<Effect>) {
        if !RECORDS {
            return;
        }
        match input {
            RecordInput::Opened => self.open_records(out),
            RecordInput::Loaded { channel, stored } => self.records_loaded(channel, stored, now, out),
            RecordInput::LoadFailed { channel } => self.records_not_loaded(channel, out),
            RecordInput::Changed { clock } => self.record_written(clock, now, out),
            RecordInput::Applied { channel, claim, news, refused } => self.records_applied(channel, claim, news, refused, now, out),
            RecordInput::Stored { channel, version } => self.records_stored(channel, version, now, out),
            RecordInput::StoreFailed { channel } => self.records_not_stored(channel, out),
        }
    }

    pub(super) fn records_received(&mut self, channel: ChannelId, message: Message, now: Timestamp, out: &mut Vec<Effect>) {
        if !self.speaks_records(channel) {
            return;
        }
        match message {
            Message::RecordsHave { device, version, durable, stable, sum, reply, lazy, fresh } => {
                let have = peers::Have { device, version, durable, stable, sum, reply, lazy, fresh };
                self.records_told(channel, have, now, out);
            }
            Message::RecordsRequest { since, after, whole } => self.records_requested(channel, since, after, whole, out),
            Message::RecordsResponse { version, entries, after, next, whole, partial } => {
                let page = pages::Page { version, entries, after, next, whole, partial };
                self.record_page_received(channel, page, out);
            }
            Message::RecordsChange { since, version, entries, partial } => {
                let claim = Claim { since, version, partial, page: None };
                self.records_pushed(channel, claim, entries, now, out);
            }
            Message::RecordsRefusal { record, reason, state } => {
                let all = matches!(reason, RefusalReason::ClockAhead | RefusalReason::Full);
                let told = all && !self.records_refused_for_now(channel, now);
                if let Some(peer) = self.model.context(channel).filter(|_| !told) {
                    out.push(Effect::Emit(Event::RecordRefused { record: record.clone(), peer: peer.peer_id.clone(), reason }));
                }
                self.record_refused(channel, record, reason, state, out);
            }
            _ => {}
        }
    }

    pub(super) fn records_due(&mut self, timer: RecordTimer, now: Timestamp, out: &mut Vec<Effect>) {
        if !RECORDS {
            return;
        }
        match timer {
            RecordTimer::Load => self.finish_records_loading(out),
            RecordTimer::Reload(channel) => self.reload_records(channel, out),
            RecordTimer::Store(channel) => self.store_records(channel, now, out),
            RecordTimer::Push(channel) => self.push_records(channel, now, out),
            RecordTimer::Tell(channel) => self.tell_records(channel, false, out),
            RecordTimer::Fetch(channel) => self.fetch_records(channel, now, out),
            RecordTimer::Verify(channel) => self.verify_records(channel, now, out),
            RecordTimer::Prune => self.prune_records(now, out),
            RecordTimer::Compare => self.compare_records(now, out),
        }
    }

    /// The application, or a peer of a relay, has use for records: they are read from the stores, and peers are told.
    pub(super) fn open_records(&mut self, out: &mut Vec<Effect>) {
        if self.model.records.state != State::Idle {
            return;
        }
        let stores = self.model.stores();
        let mut waiting: SortedSet<Source> = self.model.expected_stores.iter().copied().map(Source::Adapter).collect();
        waiting.extend(stores.iter().copied().map(Source::Store));
        let empty = waiting.is_empty();
        self.model.records.state = State::Loading(waiting);
        for channel in stores {
            self.load_records(channel, out);
        }
        if empty {
            self.finish_records_loading(out);
        } else {
            self.model.arm(Timer::Records(RecordTimer::Load), LOAD_TIMEOUT_MS, out);
        }
    }

    /// A source has nothing more to say before records are usable.
    pub(super) fn records_source_spoke(&mut self, source: Source, out: &mut Vec<Effect>) {
        if !RECORDS {
            return;
        }
        if let State::Loading(waiting) = &mut self.model.records.state {
            waiting.remove(&source);
            if waiting.is_empty() {
                self.finish_records_loading(out);
            }
        }
    }

    fn finish_records_loading(&mut self, out: &mut Vec<Effect>) {
        if !matches!(self.model.records.state, State::Loading(_)) {
            return;
        }
        self.model.records.state = State::Ready;
        out.push(Effect::Records(RecordEffect::Open { device: self.model.records.device }));
        for channel in self.record_peers() {
            self.greet_with_records(channel, out);
        }
        self.model.arm(Timer::Records(RecordTimer::Compare), self.config.digest_period_ms, out);
        for store in self.model.stores() {
            self.schedule_records_store(store, Timestamp::default(), out);
        }
    }

    pub(super) fn speaks_records(&self, channel: ChannelId) -> bool {
        RECORDS && self.model.channels.get(&channel).is_some_and(|entry| entry.features.includes(Features::RECORDS))
    }

    fn record_peers(&self) -> Vec<ChannelId> {
        self.model.pipes().into_iter().filter(|channel| self.speaks_records(*channel) && self.model.context(*channel).is_some()).collect()
    }

    /// The application wrote a record.
    fn record_written(&mut self, clock: Clock, now: Timestamp, out: &mut Vec<Effect>) {
        self.model.records.version.raise(clock);
        self.records_grew(None, now, out);
    }

    /// There is more here than before: stores and peers get it.
    fn records_grew(&mut self, source: Option<ChannelId>, now: Timestamp, out: &mut Vec<Effect>) {
        for store in self.model.stores() {
            self.schedule_records_store(store, now, out);
        }
        for channel in self.record_peers() {
            if Some(channel) != source {
                self.schedule_records_push(channel, now, out);
            }
        }
        self.model.arm(Timer::Records(RecordTimer::Prune), pruning::DELAY_MS, out);
    }

    /// Returns whether a peer may see a record.
    #[must_use]
    pub fn shows_record(&self, channel: ChannelId, record: &RecordId) -> bool {
        self.model.context(channel).is_some_and(|peer| self.permissions.record_visibility(record, &peer))
    }

    /// Returns why a peer's change of a record is not taken; `None` if it is.
    #[must_use]
    pub fn refuses_record(&self, channel: ChannelId, (record, state): &RecordEntry) -> Option<RefusalReason> {
        let Some(peer) = self.model.context(channel) else { return Some(RefusalReason::Unauthorized) };
        let foreign = |owner| state.clocks().any(|clock| clock.writer.device != owner);
        if !record.is_valid() || record.owner.is_some_and(foreign) {
            return Some(RefusalReason::Invalid);
        }
        if !state.is_acceptable() {
            return Some(RefusalReason::TooLarge);
        }
        if !self.permissions.record_visibility(record, &peer) {
            return Some(RefusalReason::Unavailable);
        }
        let deletes = state.base.is_some_and(|base| !base.alive);
        if deletes && !self.permissions.record_deletion(record, &peer) {
            return Some(RefusalReason::Deletion);
        }
        let writes = !state.fields.is_empty() || state.is_alive();
        (writes && !self.permissions.record_mutability(record, &peer)).then_some(RefusalReason::Mutability)
    }

    /// Returns why a record does not go although a peer, which had it, has it no more; `None` if it does.
    #[must_use]
    pub fn refuses_deletion(&self, channel: ChannelId, record: &RecordId, alive: bool) -> Option<RefusalReason> {
        let may = alive || self.model.context(channel).is_some_and(|peer| self.permissions.record_deletion(record, &peer));
        (!may).then_some(RefusalReason::Deletion)
    }

    /// A peer did not take a change. A relay's word counts for everybody, so the change is taken back here and in other tabs; with anybody
    /// else the record stays different.
    fn record_refused(&mut self, channel: ChannelId, record: RecordId, reason: RefusalReason, state: RecordState, out: &mut Vec<Effect>) {
        let tabs = self.model.channels.get(&channel).is_some_and(|entry| entry.kind == ChannelKind::Tabs);
        let ruled = matches!(reason, RefusalReason::Mutability | RefusalReason::Deletion);
        let Some(peer) = self.model.records.peers.get(&channel) else { return };
        if !ruled || !(tabs || self.is_network(channel) && self.is_relay_peer(channel)) {
            return;
        }
        let version = peer.offered();
        out.push(Effect::Records(RecordEffect::Revert { record: record.clone(), state: state.clone(), version }));
        if !tabs {
            for channel in self.record_peers() {
                if self.model.channels.get(&channel).is_some_and(|entry| entry.kind == ChannelKind::Tabs) {
                    let message = Message::RecordsRefusal { record: record.clone(), reason, state: state.clone() };
                    out.push(Effect::Send { channel, message });
                }
            }
        }
    }

    /// The permissions give other answers now: what was hidden may be asked for.
    pub(super) fn record_permissions_changed(&mut self, out: &mut Vec<Effect>) {
        if !RECORDS || self.model.records.state != State::Ready {
            return;
        }
        for channel in self.record_peers() {
            if self.model.records.peers.get(&channel).is_some_and(|peer| peer.device.is_some()) {
                let mut message = self.records_word(self.model.records.version.clone());
                if let Message::RecordsHave { fresh, .. } = &mut message {
                    *fresh = true;
                }
                out.push(Effect::Send { channel, message });
            }
        }
    }

    /// Returns what is here of the records.
    #[must_use]
    pub fn records_version(&self) -> &ClockVector {
        &self.model.records.version
    }

    /// Returns whether records may be read and written.
    #[must_use]
    pub fn records_are_open(&self) -> bool {
        self.model.records.state == State::Ready
    }

    /// Returns what other devices were found to have; `None` if that is all there is.
    #[must_use]
    pub fn records_confirmed(&self) -> Option<ClockVector> {
        if !RECORDS {
            return None;
        }
        let records = &self.model.records;
        let mut confirmed = records.confirmed.clone();
        for (_, known) in records.devices.iter().filter(|(device, _)| Some(**device) != records.device) {
            confirmed.merge(&known.version);
        }
        (!confirmed.includes(&records.version)).then_some(confirmed)
    }

    /// Returns how safe what `version` covers is.
    #[must_use]
    pub fn records_durability(&self, version: &ClockVector) -> Durability {
        let records = &self.model.records;
        if !self.records_are_stored(version) || !records.version.includes(version) {
            Durability::Memory
        } else if records.confirmed_on_disk.includes(version) {
            Durability::HubDisk
        } else if records.confirmed.includes(version) {
            Durability::Hub
        } else if self.model.has_stores() {
            Durability::Disk
        } else {
            Durability::Memory
        }
    }

    fn is_network(&self, channel: ChannelId) -> bool {
        self.model.channels.get(&channel).is_some_and(|entry| entry.kind == ChannelKind::Network)
    }

    fn is_relay_peer(&self, channel: ChannelId) -> bool {
        self.model.channels.get(&channel).is_some_and(|entry| entry.role == Role::Relay)
    }
}

/// What a timer of the records is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordTimer {
    /// The stores have had time enough.
    Load,
    /// Read a store again after a failure.
    Reload(ChannelId),
    /// Write what is dirty to a store.
    Store(ChannelId),
    /// Send a peer what was gathered.
    Push(ChannelId),
    /// Tell a peer what is here.
    Tell(ChannelId),
    /// Ask for what a peer has and did not send, or again for what it did not answer.
    Fetch(ChannelId),
    /// Ask a peer whether what was sent has arrived.
    Verify(ChannelId),
    /// See what every device has.
    Prune,
    /// Compare everything with every peer.
    Compare,
}

impl RecordTimer {
    /// Returns the channel it is about.
    #[must_use]
    pub fn channel(self) -> Option<ChannelId> {
        match self {
            Self::Reload(channel)
            | Self::Store(channel)
            | Self::Push(channel)
            | Self::Tell(channel)
            | Self::Fetch(channel)
            | Self::Verify(channel) => Some(channel),
            Self::Load | Self::Prune | Self::Compare => None,
        }
    }
}

// Used by the runtime's flush as well.
impl Synchronizer {
    /// Returns whether every open store that keeps records has `version` on disk.
    #[must_use]
    pub fn records_are_stored(&self, version: &ClockVector) -> bool {
        !RECORDS
            || self.model.records.stores.values().all(|store| match store.load {
                Load::Idle => true,
                Load::Pending | Load::Failed | Load::Refused | Load::Done { .. } => store.known.includes(version),
            })
    }
}
