//! Records beside the documents: where they are kept, and how they come and go.
//!
//! Decides nothing about who gets what. Carries out what the synchronizer says of records, and tells the application what has changed.

mod collection;
mod json;
mod restore;
mod room;
mod rows;
mod table;
mod value;

use std::{
    cell::{Cell, RefCell},
    hash::Hasher,
    rc::Rc,
    sync::Arc,
};

use bytes::Bytes;
use futures_channel::oneshot;
use siphasher::sip::SipHasher13;

pub use collection::{Collection, CollectionKind, RecordFilter, RecordInfo, RecordTexts};
pub use rows::{LoadedRecords, MemoryRecords, RecordsMeta, RecordsOpening, RecordsWrite, forget_row, merge_row};

use super::{
    ErrorCode, LocalBoxFuture, RepoError, RepoEvent, StorageProblem, StoreError, health::storage_error, inner::RepoInner, repo::closed,
};
use crate::{
    collections::{SortedMap, SortedSet},
    protocol::{
        Clock, ClockVector, Device, Message, PeerId, RECORDS, RecordEntry, RecordId, RecordState, RefusalReason,
        clock::{HybridClock, Stamp, Writer, check_drift},
        record::{MAX_RECORDS, PAGE_BYTES, decode_row, decode_state, encode_state},
    },
    synchronizer::{ChannelId, Claim, Durability, Input, RecordEffect, RecordInput, RecordLimits, StoredDevice},
};
use room::Usage;
use table::Table;

/// Bytes of pages that wait for the last of them; of more, parts count before.
const PAGES_BYTES: usize = 64 * 1024 * 1024;
/// Refusals sent for one message.
const MAX_REFUSALS: usize = 100;

/// One record that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordChange {
    /// Its key.
    pub key: Arc<str>,
    /// Its owner; `None` in a shared collection.
    pub owner: Option<Device>,
    /// It is gone; otherwise it was written.
    pub deleted: bool,
    /// This repo did it.
    pub local: bool,
}

/// How many records there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordStats {
    /// Records that can be read.
    pub records: usize,
    /// Deletions that are remembered.
    pub deletions: usize,
    /// Records, deletions included, with something that not every known device has acknowledged.
    pub unacknowledged: usize,
}

type Listener = Rc<dyn Fn(&[RecordChange])>;
type Operation = Box<dyn FnOnce(&RepoInner)>;

/// Everything about the records of a repo.
pub(super) struct Records {
    table: RefCell<Table>,
    clock: Cell<HybridClock>,
    /// The last clock minted.
    minted: Cell<Option<Clock>>,
    limits: RecordLimits,
    open: Cell<bool>,
    opening: Cell<bool>,
    /// What the application did before the records were there.
    operations: RefCell<Vec<Operation>>,
    /// The latest stamp in stores, and the writers they gave.
    stored_stamp: Cell<Stamp>,
    granted: RefCell<SortedMap<ChannelId, u32>>,
    /// Rows of stores that cannot be read and may hold something that is not here.
    lost: RefCell<SortedMap<RecordId, Bytes>>,
    /// Pages of a peer that are not yet all here.
    paged: RefCell<SortedMap<PeerId, Pages>>,
    listeners: RefCell<SortedMap<u64, (Arc<str>, Listener)>>,
    changes: RefCell<SortedMap<Arc<str>, Vec<RecordChange>>>,
    kinds: RefCell<SortedMap<Arc<str>, CollectionKind>>,
    waiters: RefCell<Vec<Waiter>>,
}

/// Pages that count when all are here.
#[derive(Debug, Default)]
struct Pages {
    entries: Vec<RecordEntry>,
    bytes: usize,
    /// Everything they name, of pages of everything, and whether it is there.
    kept: SortedMap<RecordId, bool>,
    /// What of them is not here.
    room: Usage,
}

/// Somebody waits until something is safe.
struct Waiter {
    level: Durability,
    version: ClockVector,
    done: oneshot::Sender<Result<(), RepoError>>,
}

impl Records {
    /// Makes an empty table; `writer` is what this repo writes as unless a store says otherwise.
    pub(super) fn new(writer: Writer, limits: RecordLimits) -> Self {
        Self {
            table: RefCell::default(),
            clock: Cell::new(HybridClock::new(writer, Stamp::default())),
            minted: Cell::default(),
            limits,
            open: Cell::new(false),
            opening: Cell::new(false),
            operations: RefCell::default(),
            stored_stamp: Cell::default(),
            granted: RefCell::default(),
            lost: RefCell::default(),
            paged: RefCell::default(),
            listeners: RefCell::default(),
            changes: RefCell::default(),
            kinds: RefCell::default(),
            waiters: RefCell::default(),
        }
    }
}

impl RepoInner {
    pub(super) fn execute_records(&self, effect: RecordEffect) {
        if !RECORDS {
            return;
        }
        match effect {
            RecordEffect::Load { channel } => self.load_records(channel),
            RecordEffect::Open { device } => self.records_opened(device),
            RecordEffect::Store { channel, version, pruned, devices } => self.store_records(channel, version, pruned, devices),
            RecordEffect::Apply { channel, entries, claim } => self.apply_records(channel, entries, claim),
            RecordEffect::Sweep { channel, peer, version, had, forgotten } => {
                let kept = self.records.paged.borrow_mut().remove(&peer).unwrap_or_default().kept;
                self.sweep_records(channel, &kept, &version);
                self.renew_later(kept, had, forgotten);
            }
            RecordEffect::DropPages { peer } => {
                self.records.paged.borrow_mut().remove(&peer);
            }
            RecordEffect::Push { channel, base, version } => self.push_records(channel, &base, version),
            RecordEffect::Page { channel, since, after, whole, version } => self.send_page(channel, &since, after, whole, version),
            RecordEffect::Revert { record, state, version } => {
                let mut table = self.records.table.borrow_mut();
                let Some(mut reverted) = table.get(&record).cloned() else { return };
                reverted.forget(&version);
                reverted.merge(&state);
                let changed = table.replace(&record, reverted);
                drop(table);
                self.records_changed(changed.into_iter().collect(), false);
            }
            RecordEffect::Recovered => {
                let lost = std::mem::take(&mut *self.records.lost.borrow_mut());
                self.records.table.borrow_mut().rewrite(lost.keys());
                self.storage_mended();
            }
            RecordEffect::Prune { stable } => self.records.table.borrow_mut().prune(&stable),
        }
    }

    /// Does something with the records as soon as they are there, in the order of the calls.
    pub(super) fn with_records<T: 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, RepoError> + 'static,
    ) -> LocalBoxFuture<Result<T, RepoError>> {
        if !RECORDS {
            let error = RepoError::new(ErrorCode::Refused, "this build of corella has no records");
            return Box::pin(std::future::ready(Err(error)));
        }
        if self.closed.get() {
            return Box::pin(std::future::ready(Err(closed())));
        }
        if self.records.open.get() && self.records.operations.borrow().is_empty() {
            return Box::pin(std::future::ready(work(self)));
        }
        let (done, outcome) = oneshot::channel();
        self.records.operations.borrow_mut().push(Box::new(move |inner| drop(done.send(work(inner)))));
        Box::pin(async move { outcome.await.unwrap_or_else(|_| Err(closed())) })
    }

    /// Says that the application uses records.
    pub(super) fn use_records(&self) {
        if RECORDS && !self.closed.get() && !self.records.opening.replace(true) {
            self.enqueue(Input::Records(RecordInput::Opened));
            self.pump();
        }
    }

    fn records_opened(&self, device: Option<Device>) {
        let proposed = self.records.clock.get();
        let number = self.records.granted.borrow().values().next().copied().unwrap_or(proposed.writer().number);
        let writer = Writer { device: device.unwrap_or(proposed.writer().device), number };
        self.records.clock.set(HybridClock::new(writer, self.records.stored_stamp.get().max(proposed.last())));
        self.records.open.set(true);
        // Not from inside the pump: they may read what the synchronizer knows.
        self.deliveries.borrow_mut().push_back(Box::new(|inner| {
            let operations = std::mem::take(&mut *inner.records.operations.borrow_mut());
            for operation in operations {
                operation(inner);
            }
        }));
    }

    fn load_records(&self, channel: ChannelId) {
        let Some(open) = self.stores.borrow().get(&channel).cloned() else { return };
        let writer = self.records.clock.get().writer();
        let loading = open.store.load_records(RecordsOpening { device: writer.device, writer: writer.number });
        let weak = self.weak.clone();
        self.env.spawn(Box::pin(async move {
            let loaded = loading.await;
            let Some(inner) = weak.upgrade() else { return };
            inner.enqueue(Input::Records(match loaded {
                Ok(Some(loaded)) => RecordInput::Loaded { channel, stored: Some(inner.take_loaded(channel, loaded)) },
                Ok(None) => RecordInput::Loaded { channel, stored: None },
                Err(error) => {
                    inner.storage_failed(StorageProblem::from(&error), storage_error("read records", error));
                    RecordInput::LoadFailed { channel }
                }
            }));
            inner.pump();
        }));
    }

    fn take_loaded(&self, channel: ChannelId, loaded: LoadedRecords) -> crate::synchronizer::StoredRecords {
        let LoadedRecords { mut stored, clock, writer, records } = loaded;
        self.records.stored_stamp.set(self.records.stored_stamp.get().max(clock));
        self.records.granted.borrow_mut().entry(channel).or_insert(writer);
        let mut damaged: SortedMap<RecordId, Bytes> = SortedMap::default();
        let mut changed = Vec::new();
        {
            let mut table = self.records.table.borrow_mut();
            table.add_store(channel, &stored.pruned);
            let open = self.records.open.get();
            let mut names = Vec::new();
            for (id, row) in records {
                let Some(state) = decode_row(&row, &mut names).ok().filter(|_| id.is_valid()) else {
                    // While records are open, one that is here is here as a whole, and is written again.
                    if !open || table.get(&id).is_none() {
                        damaged.insert(id, row);
                    }
                    continue;
                };
                // What this device wrote is complete in its own storage, also where the last word of it was not written.
                for clock in state.clocks() {
                    self.records.stored_stamp.set(self.records.stored_stamp.get().max(clock.stamp));
                    if clock.writer.device == stored.device {
                        stored.version.raise(clock);
                    }
                }
                changed.extend(table.merge(id, state, Some(channel)));
            }
        }
        self.records_changed(changed, false);
        stored.damaged = !damaged.is_empty();
        if stored.damaged {
            let error = StoreError::Corrupt(format!("{} records are not what was written; they are asked for again", damaged.len()));
            self.records.lost.borrow_mut().extend(damaged);
            self.storage_damaged(storage_error("read records", error));
        }
        stored
    }

    fn store_records(&self, channel: ChannelId, mut version: ClockVector, pruned: ClockVector, devices: Vec<StoredDevice>) {
        let Some(open) = self.stores.borrow().get(&channel).cloned() else { return };
        // What was written a moment ago is in the table, and so it is in the store.
        if let Some(minted) = self.records.minted.get() {
            version.raise(minted);
        }
        let (mut dirty, mut reverted) = self.records.table.borrow_mut().take_dirty(channel);
        // Damaged rows stay until it is known that everything they may have held is here.
        let lost = self.records.lost.borrow();
        if !lost.is_empty() {
            let keep = |ids: &mut SortedSet<RecordId>| {
                let kept = ids.iter().filter(|id| lost.contains_key(*id)).cloned().collect();
                ids.retain(|id| !lost.contains_key(id));
                kept
            };
            self.records.table.borrow_mut().dirty_again(channel, keep(&mut dirty), keep(&mut reverted));
        }
        drop(lost);
        let mut write =
            RecordsWrite { version: version.clone(), pruned, devices, clock: self.records.clock.get().last(), ..RecordsWrite::default() };
        {
            let table = self.records.table.borrow();
            for id in &dirty {
                match table.get(id) {
                    Some(state) => {
                        write.records.push((id.clone(), Bytes::from(encode_state(state))));
                        if reverted.contains(id) {
                            // What is there is dropped first: it is not to be merged with.
                            write.forget.push(id.clone());
                            write.restored.push(id.clone());
                        }
                    }
                    None => write.forget.push(id.clone()),
                }
            }
        }
        let writing = open.store.write_records(write);
        let weak = self.weak.clone();
        self.env.spawn(Box::pin(async move {
            let outcome = writing.await;
            let Some(inner) = weak.upgrade() else { return };
            match outcome {
                Ok(()) => inner.enqueue(Input::Records(RecordInput::Stored { channel, version })),
                Err(error) => {
                    inner.records.table.borrow_mut().dirty_again(channel, dirty, reverted);
                    let problem = StorageProblem::from(&error);
                    let error = storage_error("write records", error);
                    inner.storage_failed(problem, error.clone());
                    inner.fail_flushes(&error);
                    inner.enqueue(Input::Records(RecordInput::StoreFailed { channel }));
                }
            }
            inner.pump();
        }));
    }

    /// Gives stores the writers back that they granted, so that the number of writers does not grow with every session.
    pub(super) fn release_writers(&self) -> Vec<LocalBoxFuture<Result<(), StoreError>>> {
        if !RECORDS {
            return Vec::new();
        }
        let granted = std::mem::take(&mut *self.records.granted.borrow_mut());
        let stores = self.stores.borrow();
        let release = |(channel, number): (ChannelId, u32)| {
            let open = stores.get(&channel)?;
            let clock = self.records.clock.get().last();
            Some(open.store.write_records(RecordsWrite { release: Some(number), clock, ..RecordsWrite::default() }))
        };
        granted.into_iter().filter_map(release).collect()
    }

    fn apply_records(&self, channel: ChannelId, mut entries: Vec<RecordEntry>, claim: Claim) {
        let now = self.env.now().0;
        let late = |(_, state): &&RecordEntry| {
            state.clocks().any(|clock| check_drift(clock.stamp, now, self.records.limits.max_drift_ms).is_err())
        };
        let ahead = entries.iter().find(late).map(|(id, _)| (id.clone(), RefusalReason::ClockAhead));
        let mut paged = self.records.paged.borrow_mut();
        let mut pushed = Pages::default();
        let pages = match &claim.page {
            Some(page) => paged.entry(page.peer.clone()).or_default(),
            None => &mut pushed,
        };
        if claim.page.as_ref().is_some_and(|page| page.first) {
            *pages = Pages::default();
        }
        let refused = ahead.or_else(|| {
            let table = self.records.table.borrow();
            let full = entries.iter().find(|(id, state)| table.is_full(id, state, &self.records.limits, &mut pages.room));
            full.map(|(id, _)| (id.clone(), RefusalReason::Full))
        });
        if refused.is_some() {
            return self.enqueue(Input::Records(RecordInput::Applied { channel, claim, news: false, refused }));
        }
        if let Some(page) = &claim.page {
            if page.whole.is_some() {
                pages.kept.extend(entries.iter().map(|(id, state)| (id.clone(), state.is_alive())));
            }
            pages.bytes += entries.iter().map(table::size).sum::<usize>();
            pages.entries.append(&mut entries);
            if page.next.is_some() && pages.bytes < PAGES_BYTES {
                return self.enqueue(Input::Records(RecordInput::Applied { channel, claim, news: false, refused: None }));
            }
            entries = std::mem::take(&mut pages.entries);
            (pages.bytes, pages.room) = (0, Usage::default());
        }
        drop(paged);
        let whole = claim.page.as_ref().is_some_and(|page| page.whole.is_some());
        let (mut refusals, mut changed, mut news) = (Vec::new(), Vec::new(), false);
        let nothing = ClockVector::new();
        {
            let sync = self.sync.borrow();
            let mut table = self.records.table.borrow_mut();
            let mut clock = self.records.clock.get();
            for (id, state) in entries {
                // What counts as had and is not here was replaced or deleted, and stays so, unless it could not be read.
                let lost = self.may_be_lost(&table, &id);
                let had = if lost { &nothing } else { sync.records_version() };
                let content = if whole { state.content(had) } else { state.missing(had) };
                let given = (id, content.unwrap_or_default());
                if !given.1.is_empty() {
                    let invalid =
                        || given.1.fields.iter().any(|field| value::check(&field.value).is_err()).then_some(RefusalReason::Invalid);
                    if let Some(reason) = sync.refuses_record(channel, &given).or_else(invalid) {
                        refusals.push((given.0.clone(), reason, shown(&table, &given.0, reason)));
                        continue;
                    }
                }
                if let Some(latest) = given.1.latest() {
                    clock.resume(latest.stamp);
                }
                let (id, content) = given;
                let mut change = None;
                if whole && let Some(trimmed) = table.trimmed(&id, &state, &claim.version) {
                    match sync.refuses_deletion(channel, &id, trimmed.is_alive()) {
                        Some(reason) => {
                            refusals.push((id.clone(), reason, shown(&table, &id, reason)));
                            continue;
                        }
                        None => change = table.replace(&id, trimmed),
                    }
                }
                change = table.merge(id.clone(), content, None).or(change);
                if lost && change.is_some() {
                    // Stores take it although they count it as had.
                    table.restore(&id);
                }
                news |= change.is_some();
                changed.extend(change);
            }
            self.records.clock.set(clock);
        }
        self.records_changed(changed, false);
        self.refuse_records(channel, refusals);
        self.enqueue(Input::Records(RecordInput::Applied { channel, claim, news, refused: None }));
    }

    /// Returns whether what counts as had of a record may be in a row that cannot be read.
    fn may_be_lost(&self, table: &Table, id: &RecordId) -> bool {
        let lost = self.records.lost.borrow();
        // A row whose name cannot be read may be any that is not here.
        lost.contains_key(id) || lost.keys().any(|id| !id.is_valid()) && table.get(id).is_none()
    }

    fn refuse_records(&self, channel: ChannelId, refusals: Vec<(RecordId, RefusalReason, RecordState)>) {
        for (record, reason, state) in refusals.into_iter().take(MAX_REFUSALS) {
            self.send(channel, Message::RecordsRefusal { record, reason, state });
        }
    }

    /// Drops what in `version` is not named by whoever named all they have.
    fn sweep_records(&self, channel: ChannelId, kept: &SortedMap<RecordId, bool>, version: &ClockVector) {
        let (mut refusals, mut changed) = (Vec::new(), Vec::new());
        {
            let sync = self.sync.borrow();
            let mut table = self.records.table.borrow_mut();
            for id in table.others(|id| kept.contains_key(id)) {
                let Some(trimmed) = table.trimmed(&id, &RecordState::default(), version) else { continue };
                match sync.refuses_deletion(channel, &id, trimmed.is_alive()) {
                    Some(reason) => refusals.push((id.clone(), reason, shown(&table, &id, reason))),
                    None => changed.extend(table.replace(&id, trimmed)),
                }
            }
        }
        self.records_changed(changed, false);
        self.refuse_records(channel, refusals);
    }

    /// Reads the stores before: another tab may have written something later to the same record.
    fn renew_later(&self, kept: SortedMap<RecordId, bool>, had: ClockVector, forgotten: Stamp) {
        let threatened = {
            let table = self.records.table.borrow();
            let old = |at: Clock| at.stamp <= forgotten && !had.has(at);
            let others = table.others(|id| kept.get(id) == Some(&true));
            others.iter().any(|id| table.get(id).is_some_and(|state| state.is_alive() && state.clocks().any(old)))
        };
        let opening = RecordsOpening { device: self.own_writer().device, writer: self.own_writer().number };
        let stores: Vec<_> = self.stores.borrow().iter().map(|(channel, open)| (*channel, Rc::clone(open))).collect();
        if !threatened {
            return;
        }
        let weak = self.weak.clone();
        self.env.spawn(Box::pin(async move {
            for (channel, open) in stores {
                let Ok(Some(loaded)) = open.store.load_records(opening).await else { continue };
                let Some(inner) = weak.upgrade() else { return };
                if loaded.writer != opening.writer {
                    let write = RecordsWrite { release: Some(loaded.writer), ..RecordsWrite::default() };
                    inner.env.spawn(Box::pin({
                        let writing = open.store.write_records(write);
                        async move { drop(writing.await) }
                    }));
                }
                let changed = {
                    // What counts as had and is not here is gone, and its row is about to be.
                    let version = inner.records_version();
                    let mut table = inner.records.table.borrow_mut();
                    let states = loaded.records.into_iter().filter_map(|(id, row)| Some((id, decode_state(&row).ok()?.missing(&version)?)));
                    states.filter_map(|(id, state)| table.merge(id, state, Some(channel))).collect()
                };
                inner.records_changed(changed, false);
            }
            let Some(inner) = weak.upgrade().filter(|inner| !inner.closed.get()) else { return };
            inner.renew_records(&kept, &had, forgotten);
            inner.pump();
        }));
    }

    fn own_writer(&self) -> Writer {
        self.records.clock.get().writer()
    }

    /// Writes anew what this device wrote and might be older than a deletion that is forgotten by some and remembered by others.
    fn renew_records(&self, kept: &SortedMap<RecordId, bool>, had: &ClockVector, forgotten: Stamp) {
        let mut table = self.records.table.borrow_mut();
        let mut clock = self.records.clock.get();
        let now = self.env.now().0;
        let device = self.own_writer().device;
        let old = |at: Clock| at.writer.device == device && at.stamp <= forgotten && !had.has(at);
        let mut minted = None;
        for id in table.others(|id| kept.get(id) == Some(&true)) {
            let Some(state) = table.get(&id).filter(|state| state.is_alive() && state.clocks().any(old)) else { continue };
            let mut renewed = state.clone();
            renewed.restamp(old, || {
                minted = clock.mint(now).or(minted);
                minted
            });
            table.replace(&id, renewed);
        }
        self.records.clock.set(clock);
        if let Some(clock) = minted {
            self.records.minted.set(Some(clock));
            self.enqueue(Input::Records(RecordInput::Changed { clock }));
        }
    }

    /// Returns what of some records a peer lacks and may see, and whether something is hidden from it.
    fn shown(&self, channel: ChannelId, entries: Vec<RecordEntry>) -> (Vec<RecordEntry>, bool) {
        let sync = self.sync.borrow();
        let before = entries.len();
        let shown: Vec<_> = entries.into_iter().filter(|(id, _)| sync.shows_record(channel, id)).collect();
        let partial = shown.len() < before || !self.records.lost.borrow().is_empty();
        (shown, partial)
    }

    fn push_records(&self, channel: ChannelId, base: &ClockVector, version: ClockVector) {
        let lacking = self.records.table.borrow().since(base, &version, &self.claimed());
        if lacking.len() > MAX_RECORDS || lacking.iter().map(table::size).sum::<usize>() > PAGE_BYTES {
            let word = self.sync.borrow().records_word(version);
            return self.send(channel, word);
        }
        let (entries, partial) = self.shown(channel, lacking);
        let since = version.counterpart(base);
        self.send(channel, Message::RecordsChange { since, version, entries, partial });
    }

    fn send_page(&self, channel: ChannelId, since: &ClockVector, after: Option<Clock>, whole: Option<ClockVector>, version: ClockVector) {
        let (page, next) = self.records.table.borrow().page(since, after, whole.is_some(), &self.claimed());
        let (entries, partial) = self.shown(channel, page);
        self.send(channel, Message::RecordsResponse { version, entries, after, next, whole, partial });
    }

    /// Returns what may be given to others: what is claimed, and what was written here a moment ago. What somebody does not show in full
    /// is not passed on.
    fn claimed(&self) -> ClockVector {
        let mut claimed = self.records_version();
        if let Some(minted) = self.records.minted.get() {
            claimed.raise(minted);
        }
        claimed
    }

    /// Tells the application after the pump, all changes of a collection at once.
    fn records_changed(&self, changed: Vec<(RecordId, bool)>, local: bool) {
        if changed.is_empty() || self.records.listeners.borrow().is_empty() {
            return;
        }
        let mut changes = self.records.changes.borrow_mut();
        if changes.is_empty() {
            self.deliveries.borrow_mut().push_back(Box::new(Self::deliver_record_changes));
        }
        for (id, deleted) in changed {
            let change = RecordChange { key: id.key, owner: id.owner, deleted, local };
            changes.entry(id.collection).or_default().push(change);
        }
    }

    fn deliver_record_changes(&self) {
        for (collection, changes) in std::mem::take(&mut *self.records.changes.borrow_mut()) {
            let listeners: Vec<_> = {
                let listeners = self.records.listeners.borrow();
                listeners.iter().filter(|(_, (of, _))| *of == collection).map(|(id, (_, listener))| (*id, Rc::clone(listener))).collect()
            };
            for (id, listener) in listeners {
                // A listener removed by an earlier one of this round is not called any more.
                if self.records.listeners.borrow().contains_key(&id) {
                    listener(&changes);
                }
            }
        }
    }

    /// Writes one record; the state is made of the clock minted for it.
    fn write_record(&self, id: &RecordId, state: impl FnOnce(Clock) -> RecordState) -> Result<(), RepoError> {
        let mut clock = self.records.clock.get();
        let Some(minted) = clock.mint(self.env.now().0) else {
            return Err(RepoError::new(ErrorCode::Refused, "no later time than that of the last record can be written"));
        };
        self.records.clock.set(clock);
        self.records.minted.set(Some(minted));
        let state = state(minted);
        if state.base.is_some() {
            // Nothing of what was there before is left.
            self.records.lost.borrow_mut().remove(id);
        }
        let changed = self.records.table.borrow_mut().merge(id.clone(), state, None);
        self.records_changed(changed.into_iter().collect(), true);
        self.enqueue(Input::Records(RecordInput::Changed { clock: minted }));
        self.pump();
        Ok(())
    }

    /// Returns what this repo has written and read of records.
    pub(super) fn records_version(&self) -> ClockVector {
        self.sync.borrow().records_version().clone()
    }

    /// Returns how many records have something that no other machine has confirmed.
    pub(super) fn unsynced_records(&self) -> u64 {
        if !RECORDS {
            return 0;
        }
        let confirmed = self.sync.borrow().records_confirmed();
        let confirmed = confirmed.as_ref();
        confirmed.map_or(0, |confirmed| self.records.table.borrow().beyond(confirmed))
    }

    pub(super) fn settle_record_waiters(&self) {
        if !RECORDS || self.records.waiters.borrow().is_empty() {
            return;
        }
        let ready: Vec<Waiter> = {
            let sync = self.sync.borrow();
            let met = |waiter: &mut Waiter| waiter.done.is_canceled() || sync.records_durability(&waiter.version) >= waiter.level;
            self.records.waiters.borrow_mut().extract_if(.., met).collect()
        };
        for waiter in ready {
            let _ = waiter.done.send(Ok(()));
        }
    }

    /// Lets nobody wait any more, and drops what was to be done.
    pub(super) fn close_records(&self) {
        if !RECORDS {
            return;
        }
        self.records.operations.borrow_mut().clear();
        self.records.listeners.borrow_mut().clear();
        for waiter in std::mem::take(&mut *self.records.waiters.borrow_mut()) {
            let _ = waiter.done.send(Err(closed()));
        }
    }

    /// Returns the rows that could not be read, and whose records are still to come again.
    pub(super) fn damaged_records(&self) -> Vec<(RecordId, Bytes)> {
        if !RECORDS {
            return Vec::new();
        }
        self.records.lost.borrow().iter().map(|(id, row)| (id.clone(), row.clone())).collect()
    }

    /// Returns how many records there are.
    pub(super) fn record_stats(&self) -> RecordStats {
        self.records.table.borrow().stats()
    }

    pub(super) fn record_refused(&self, record: &RecordId, peer: &PeerId, reason: RefusalReason) {
        let text = format!("peer {peer} did not take a change of record {record:?}: {}", reason.as_str());
        self.emit(RepoEvent::Error { error: RepoError::new(ErrorCode::Refused, text), doc: None });
    }

    pub(super) fn records_not_taken(&self, record: &RecordId, peer: &PeerId, reason: RefusalReason) {
        let why = match reason {
            RefusalReason::Full => format!("there is no room for {record:?}"),
            _ => format!("the clock of {record:?} is more than {} ms ahead", self.records.limits.max_drift_ms),
        };
        let text = format!("records of peer {peer} were not taken: {why}");
        self.emit(RepoEvent::Error { error: RepoError::new(ErrorCode::Refused, text), doc: None });
    }
}

/// Returns what is here of a record, for a peer that may see it and whose change of it was not taken.
fn shown(table: &Table, id: &RecordId, reason: RefusalReason) -> RecordState {
    match reason {
        RefusalReason::Mutability | RefusalReason::Deletion => table.get(id).cloned().unwrap_or_default(),
        _ => RecordState::default(),
    }
}

/// Returns what a repo writes as unless a store says otherwise: as random as its id, and as new.
pub(super) fn writer_of(peer: &PeerId) -> Writer {
    let hash = |salt: u8| {
        let mut hasher = SipHasher13::new();
        hasher.write_u8(salt);
        hasher.write(peer.as_str().as_bytes());
        hasher.finish()
    };
    Writer { device: Device(hash(0)), number: hash(1) as u32 }
}

/// Makes a name shared, checked.
fn name(what: &str, text: &str, max: usize) -> Result<Arc<str>, RepoError> {
    match text.len() {
        0 => Err(RepoError::new(ErrorCode::InvalidArgument, format!("{what} must not be empty"))),
        length if length > max => {
            Err(RepoError::new(ErrorCode::InvalidArgument, format!("{what} has at most {max} UTF-8 bytes, this one has {length}")))
        }
        _ => Ok(text.into()),
    }
}
