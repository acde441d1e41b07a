//! Channels and a store in memory, for tests and native embedding.
//!
//! Decides nothing; delivers in later tasks of the [`Env`] it is given, in order.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::{Rc, Weak},
};

use bytes::Bytes;

use super::{
    Adapter, AdapterContext, AdapterState, Amendment, Channel, ChannelStats, Committed, Env, IndexEntry, LoadedRecords, LocalBoxFuture,
    MemoryRecords, Opening, RawRecord, Record, RecordKey, RecordsOpening, RecordsWrite, Safety, Store, StoreError, StoredDoc, StoredInfo,
    Write,
};
use crate::{
    collections::SortedMap,
    protocol::{
        DocId, Limits, Message, Tombstone,
        frame::{self, Reassembler},
    },
    synchronizer::{ChannelId, ChannelKind, Note},
};

/// Returns two adapters that are connected once both have been started; the first one initiates.
#[must_use]
pub fn pair(kind: ChannelKind) -> (Rc<MemoryAdapter>, Rc<MemoryAdapter>) {
    let first = Rc::new(MemoryAdapter::new(kind, Opening::Initiate));
    let second = Rc::new(MemoryAdapter::new(kind, Opening::Await));
    *first.end.peer.borrow_mut() = Rc::downgrade(&second.end);
    *second.end.peer.borrow_mut() = Rc::downgrade(&first.end);
    (first, second)
}

/// One end of a [`pair`].
pub struct MemoryAdapter {
    kind: ChannelKind,
    end: Rc<End>,
}

struct End {
    weak: Weak<Self>,
    opening: Opening,
    peer: RefCell<Weak<Self>>,
    context: RefCell<Option<AdapterContext>>,
    state: Cell<AdapterState>,
    live: RefCell<Option<Live>>,
    inbox: RefCell<VecDeque<Arrival>>,
    draining: Cell<bool>,
}

struct Live {
    channel: ChannelId,
    pipe: Rc<Pipe>,
    reassembler: Rc<RefCell<Reassembler>>,
}

enum Arrival {
    Payload(Vec<u8>),
    Gone,
}

impl std::fmt::Debug for MemoryAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryAdapter").field("kind", &self.kind).field("state", &self.end.state).finish_non_exhaustive()
    }
}

impl MemoryAdapter {
    fn new(kind: ChannelKind, opening: Opening) -> Self {
        let end = Rc::new_cyclic(|weak| End {
            weak: weak.clone(),
            opening,
            peer: RefCell::default(),
            context: RefCell::default(),
            state: Cell::new(AdapterState::Off),
            live: RefCell::default(),
            inbox: RefCell::default(),
            draining: Cell::new(false),
        });
        Self { kind, end }
    }

    /// Breaks the connection as a cut cable would: what is under way is lost and both sides hear of it.
    pub fn cut(&self) {
        let peer = self.end.peer.borrow().upgrade();
        for end in [Some(Rc::clone(&self.end)), peer].into_iter().flatten() {
            end.inbox.borrow_mut().clear();
            end.arrive(Arrival::Gone);
        }
    }

    /// Connects again after [`MemoryAdapter::cut`], where both ends are started.
    pub fn reconnect(&self) {
        self.end.connect();
    }
}

impl Adapter for MemoryAdapter {
    fn kind(&self) -> ChannelKind {
        self.kind
    }

    fn name(&self) -> &str {
        "memory"
    }

    fn start(&self, context: AdapterContext) {
        *self.end.context.borrow_mut() = Some(context);
        self.end.enter(AdapterState::Connecting);
        self.end.connect();
    }

    fn stop(&self) -> LocalBoxFuture<()> {
        self.end.hang_up();
        self.end.enter(AdapterState::Closed);
        *self.end.context.borrow_mut() = None;
        Box::pin(std::future::ready(()))
    }

    fn state(&self) -> AdapterState {
        self.end.state.get()
    }
}

impl End {
    fn context(&self) -> Option<AdapterContext> {
        self.context.borrow().clone()
    }

    fn enter(&self, state: AdapterState) {
        let changed = self.state.replace(state) != state;
        if let Some(context) = self.context().filter(|_| changed) {
            context.state_changed();
        }
    }

    fn connect(&self) {
        let peer = self.peer.borrow().upgrade();
        let (Some(context), Some(peer)) = (self.context(), peer) else { return };
        let (Some(me), Some(_)) = (self.weak.upgrade(), peer.context()) else { return };
        context.env().spawn(Box::pin(async move {
            // The waiting side first, so that it knows the channel when the request arrives.
            let (first, second) = if me.opening == Opening::Await { (me, peer) } else { (peer, me) };
            first.open();
            second.open();
        }));
    }

    fn open(&self) {
        let (Some(context), None) = (self.context(), self.live.borrow().as_ref().map(|_| ())) else { return };
        let pipe = Rc::new(Pipe { end: self.weak.clone(), closed: Cell::new(false), stats: Cell::default() });
        if let Some(channel) = context.open_channel(Rc::clone(&pipe) as Rc<dyn Channel>, self.opening) {
            let reassembler = Rc::new(RefCell::new(Reassembler::new(Limits::default())));
            *self.live.borrow_mut() = Some(Live { channel, pipe, reassembler });
            self.enter(AdapterState::Open);
        }
    }

    /// Closes this end and tells the other.
    fn hang_up(&self) {
        self.lose();
        if let Some(peer) = self.peer.borrow().upgrade() {
            peer.arrive(Arrival::Gone);
        }
    }

    fn lose(&self) {
        let live = self.live.borrow_mut().take();
        let Some(live) = live else { return };
        self.enter(AdapterState::Waiting);
        if let (false, Some(context)) = (live.pipe.closed.replace(true), self.context()) {
            context.close_channel(live.channel);
        }
    }

    fn arrive(&self, arrival: Arrival) {
        let Some(context) = self.context() else { return };
        self.inbox.borrow_mut().push_back(arrival);
        if self.draining.replace(true) {
            return;
        }
        let weak = self.weak.clone();
        context.env().spawn(Box::pin(async move {
            let Some(end) = weak.upgrade() else { return };
            end.draining.set(false);
            let arrivals = end.inbox.take();
            for arrival in arrivals {
                match arrival {
                    Arrival::Payload(payload) => end.take(payload),
                    Arrival::Gone => end.lose(),
                }
            }
        }));
    }

    fn take(&self, payload: Vec<u8>) {
        let live = self.live.borrow().as_ref().map(|live| (live.channel, Rc::clone(&live.pipe), Rc::clone(&live.reassembler)));
        let (Some(context), Some((channel, pipe, reassembler))) = (self.context(), live) else { return };
        if pipe.closed.get() {
            return;
        }
        let length = payload.len() as u64;
        let taken = reassembler.borrow_mut().push(Bytes::from(payload), context.env().now().0);
        // Both ends are this code.
        let messages = taken.unwrap_or_default();
        pipe.count(|stats| {
            stats.bytes_in += length;
            stats.messages_in += messages.len() as u64;
        });
        if !messages.is_empty() {
            context.receive(channel, messages);
        }
    }
}

struct Pipe {
    end: Weak<End>,
    closed: Cell<bool>,
    stats: Cell<ChannelStats>,
}

impl Pipe {
    fn count(&self, change: impl FnOnce(&mut ChannelStats)) {
        let mut stats = self.stats.get();
        change(&mut stats);
        self.stats.set(stats);
    }
}

impl Channel for Pipe {
    fn send(&self, messages: Vec<Message>) {
        let Some(end) = self.end.upgrade().filter(|_| !self.closed.get()) else { return };
        let (Some(peer), Some(context)) = (end.peer.borrow().upgrade(), end.context()) else { return };
        self.count(|stats| stats.messages_out += messages.len() as u64);
        for payload in frame::encode_transport(&messages, frame::FRAGMENT_THRESHOLD, || context.env().random_u64().to_be_bytes()) {
            self.count(|stats| stats.bytes_out += payload.len() as u64);
            peer.arrive(Arrival::Payload(payload));
        }
    }

    fn close(&self) {
        if !self.closed.replace(true)
            && let Some(end) = self.end.upgrade()
        {
            end.hang_up();
        }
    }

    fn stats(&self) -> ChannelStats {
        self.stats.get()
    }
}

/// What is stored, shared by all [`MemoryStore`]s made from it; it outlives them as a disk does.
#[derive(Debug, Default)]
pub struct MemoryDisk {
    docs: RefCell<SortedMap<DocId, Stored>>,
    records: RefCell<MemoryRecords>,
    values: RefCell<SortedMap<&'static str, Bytes>>,
    failing_writes: RefCell<VecDeque<StoreError>>,
    failing_loads: RefCell<VecDeque<StoreError>>,
    writes: Cell<u64>,
    quota: Cell<Option<u64>>,
    read_only: Cell<bool>,
}

#[derive(Debug, Default, Clone)]
struct Stored {
    records: SortedMap<RecordKey, Record>,
    damaged: bool,
    unreadable: bool,
    index: IndexEntry,
}

impl Stored {
    fn clear(&mut self) {
        self.records.clear();
        self.damaged = false;
    }
}

impl MemoryDisk {
    /// Makes an empty disk.
    #[must_use]
    pub fn new() -> Rc<Self> {
        Rc::default()
    }

    /// Lets the next `times` writes, burials and removals fail; nothing of them is stored.
    pub fn fail_writes(&self, times: usize, error: &StoreError) {
        self.failing_writes.borrow_mut().extend(std::iter::repeat_n(error.clone(), times));
    }

    /// Lets the next `times` loads and lists fail.
    pub fn fail_loads(&self, times: usize, error: &StoreError) {
        self.failing_loads.borrow_mut().extend(std::iter::repeat_n(error.clone(), times));
    }

    /// Damages the records of a document: loading it is an error from now on. Does nothing if it is not stored.
    pub fn corrupt(&self, doc: &DocId) {
        if let Some(stored) = self.docs.borrow_mut().get_mut(doc) {
            stored.damaged = true;
        }
    }

    /// Damages the index record of a document: it can be neither read nor written from now on. Does nothing if it is not stored.
    pub fn corrupt_index(&self, doc: &DocId) {
        if let Some(stored) = self.docs.borrow_mut().get_mut(doc) {
            stored.unreadable = true;
        }
    }

    /// Lets no more than `quota` bytes of records be stored; `None` for any number.
    pub fn set_quota(&self, quota: Option<u64>) {
        self.quota.set(quota);
    }

    /// Lets every write, burial and removal fail.
    pub fn set_read_only(&self, read_only: bool) {
        self.read_only.set(read_only);
    }

    /// Returns how many writes have been stored.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.get()
    }

    fn load(&self, doc: &DocId) -> Result<Option<StoredDoc>, StoreError> {
        next_failure(&self.failing_loads)?;
        match self.docs.borrow().get(doc) {
            Some(stored) if stored.damaged || stored.unreadable => {
                Err(StoreError::Corrupt(format!("the records of {doc:?} are not what was written")))
            }
            Some(stored) => Ok(Some(StoredDoc { records: stored.records.values().cloned().collect(), index: stored.index.clone() })),
            None => Ok(None),
        }
    }

    fn list(&self) -> Result<Vec<StoredInfo>, StoreError> {
        next_failure(&self.failing_loads)?;
        let docs = self.docs.borrow();
        let readable = docs.iter().filter(|(_, stored)| !stored.unreadable);
        Ok(readable.map(|(doc, stored)| StoredInfo { doc: doc.clone(), index: stored.index.clone() }).collect())
    }

    fn commit(&self, writes: Vec<Write>) -> Result<Committed, StoreError> {
        next_failure(&self.failing_writes)?;
        self.may_write()?;
        let bytes: u64 = writes.iter().map(|write| write.record.bytes.len() as u64).sum();
        if self.quota.get().is_some_and(|quota| self.bytes() + bytes > quota) {
            return Err(StoreError::Full(format!("{bytes} bytes more do not fit")));
        }
        self.writes.set(self.writes.get() + 1);
        let mut docs = self.docs.borrow_mut();
        let mut committed = Committed::default();
        for write in writes {
            let stored = docs.entry(write.doc.clone()).or_default();
            if stored.unreadable {
                committed
                    .refused
                    .push((write.doc.clone(), StoreError::Corrupt(format!("the index record of {:?} is not what was written", write.doc))));
                continue;
            }
            if !stored.index.takes(&write) {
                continue;
            }
            if stored.index.merge(&write) {
                stored.clear();
            }
            for key in &write.replaces {
                stored.records.remove(key);
            }
            stored.records.insert(write.record.key.clone(), write.record);
            stored.index.records = u32::try_from(stored.records.len()).unwrap_or(u32::MAX);
            stored.index.bytes = stored.records.values().map(|record| record.bytes.len() as u64).sum();
            committed.records.push((write.doc, stored.index.records));
        }
        Ok(committed)
    }

    fn may_write(&self) -> Result<(), StoreError> {
        if self.read_only.get() { Err(StoreError::Unavailable("the disk is read-only".to_owned())) } else { Ok(()) }
    }

    fn bytes(&self) -> u64 {
        self.docs.borrow().values().map(|stored| stored.index.bytes).sum()
    }

    fn salvage(&self, doc: &DocId) -> Vec<RawRecord> {
        let docs = self.docs.borrow();
        let records = docs.get(doc).into_iter().flat_map(|stored| stored.records.values());
        records.map(|record| RawRecord { key: record.key.0.clone(), kind: Some(record.kind), bytes: record.bytes.clone() }).collect()
    }

    fn bury(&self, doc: &DocId, tombstone: Tombstone) -> Result<(), StoreError> {
        next_failure(&self.failing_writes)?;
        self.may_write()?;
        let mut docs = self.docs.borrow_mut();
        let stored = docs.entry(doc.clone()).or_default();
        if stored.unreadable {
            return Err(StoreError::Corrupt(format!("the index record of {doc:?} is not what was written")));
        }
        if stored.index.bury(tombstone) {
            stored.clear();
        }
        Ok(())
    }

    fn load_records(&self, opening: RecordsOpening) -> Result<Option<LoadedRecords>, StoreError> {
        next_failure(&self.failing_loads)?;
        Ok(Some(self.records.borrow_mut().load(opening)))
    }

    fn write_records(&self, write: RecordsWrite) -> Result<(), StoreError> {
        next_failure(&self.failing_writes)?;
        self.records.borrow_mut().write(write);
        Ok(())
    }

    fn confirm(&self, confirmed: &[Note]) -> Result<(), StoreError> {
        next_failure(&self.failing_writes)?;
        let mut docs = self.docs.borrow_mut();
        for confirmed in confirmed {
            if let Some(stored) = docs.get_mut(&confirmed.doc) {
                let _ = stored.index.confirm(confirmed);
            }
        }
        Ok(())
    }

    fn amend(&self, name: &'static str, change: &Amendment) -> Result<Option<Bytes>, StoreError> {
        next_failure(&self.failing_writes)?;
        let mut values = self.values.borrow_mut();
        let value = change(values.get(name).map(|value| &**value));
        match value.clone() {
            Some(value) => values.insert(name, value),
            None => values.remove(name),
        };
        Ok(value)
    }

    fn remove(&self, doc: &DocId) -> Result<(), StoreError> {
        next_failure(&self.failing_writes)?;
        self.may_write()?;
        self.docs.borrow_mut().remove(doc);
        Ok(())
    }
}

fn next_failure(failures: &RefCell<VecDeque<StoreError>>) -> Result<(), StoreError> {
    failures.borrow_mut().pop_front().map_or(Ok(()), Err)
}

/// One connection to a [`MemoryDisk`].
pub struct MemoryStore {
    disk: Rc<MemoryDisk>,
    env: Rc<dyn Env>,
    closed: Rc<Cell<bool>>,
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").field("closed", &self.closed).finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// Connects to a disk.
    #[must_use]
    pub fn new(disk: &Rc<MemoryDisk>, env: Rc<dyn Env>) -> Self {
        Self { disk: Rc::clone(disk), env, closed: Rc::default() }
    }

    /// Does `work` in the order of the calls; the caller hears of it in a later task.
    fn soon<T: 'static>(&self, work: impl FnOnce(&MemoryDisk) -> Result<T, StoreError>) -> LocalBoxFuture<Result<T, StoreError>> {
        let outcome = if self.closed.get() { Err(StoreError::Unavailable("the store is closed".to_owned())) } else { work(&self.disk) };
        let pause = self.env.sleep(0);
        Box::pin(async move {
            pause.await;
            outcome
        })
    }
}

impl Store for MemoryStore {
    fn name(&self) -> &str {
        "memory"
    }

    fn load(&self, doc: &DocId) -> LocalBoxFuture<Result<Option<StoredDoc>, StoreError>> {
        self.soon(|disk| disk.load(doc))
    }

    fn index(&self, doc: &DocId) -> LocalBoxFuture<Result<Option<IndexEntry>, StoreError>> {
        self.soon(|disk| Ok(disk.docs.borrow().get(doc).map(|stored| stored.index.clone())))
    }

    fn list(&self) -> LocalBoxFuture<Result<Vec<StoredInfo>, StoreError>> {
        self.soon(MemoryDisk::list)
    }

    fn commit(&self, writes: Vec<Write>, _safety: Safety) -> LocalBoxFuture<Result<Committed, StoreError>> {
        self.soon(|disk| disk.commit(writes))
    }

    fn sync(&self) -> LocalBoxFuture<Result<(), StoreError>> {
        self.soon(|_| Ok(()))
    }

    fn salvage(&self, doc: &DocId) -> LocalBoxFuture<Result<Vec<RawRecord>, StoreError>> {
        self.soon(|disk| Ok(disk.salvage(doc)))
    }

    fn bury(&self, doc: &DocId, tombstone: Tombstone) -> LocalBoxFuture<Result<(), StoreError>> {
        self.soon(|disk| disk.bury(doc, tombstone))
    }

    fn confirm(&self, confirmed: Vec<Note>) -> LocalBoxFuture<Result<(), StoreError>> {
        self.soon(|disk| disk.confirm(&confirmed))
    }

    fn amend(&self, name: &'static str, change: Amendment) -> LocalBoxFuture<Result<Option<Bytes>, StoreError>> {
        self.soon(|disk| disk.amend(name, &change))
    }

    fn remove(&self, doc: &DocId) -> LocalBoxFuture<Result<(), StoreError>> {
        self.soon(|disk| disk.remove(doc))
    }

    fn load_records(&self, opening: RecordsOpening) -> LocalBoxFuture<Result<Option<LoadedRecords>, StoreError>> {
        self.soon(|disk| disk.load_records(opening))
    }

    fn write_records(&self, write: RecordsWrite) -> LocalBoxFuture<Result<(), StoreError>> {
        self.soon(|disk| disk.write_records(write))
    }

    fn close(&self) -> LocalBoxFuture<()> {
        self.closed.set(true);
        Box::pin(std::future::ready(()))
    }
}

/// Opens a [`MemoryStore`].
pub struct MemoryStoreAdapter {
    disk: Rc<MemoryDisk>,
    state: Cell<AdapterState>,
}

impl std::fmt::Debug for MemoryStoreAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStoreAdapter").field("state", &self.state).finish_non_exhaustive()
    }
}

impl MemoryStoreAdapter {
    /// Makes an adapter for a disk.
    #[must_use]
    pub fn new(disk: &Rc<MemoryDisk>) -> Self {
        Self { disk: Rc::clone(disk), state: Cell::new(AdapterState::Off) }
    }
}

impl Adapter for MemoryStoreAdapter {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Storage
    }

    fn name(&self) -> &str {
        "memory"
    }

    fn start(&self, context: AdapterContext) {
        self.state.set(AdapterState::Open);
        context.open_store(Rc::new(MemoryStore::new(&self.disk, context.env())));
        context.state_changed();
    }

    fn stop(&self) -> LocalBoxFuture<()> {
        self.state.set(AdapterState::Closed);
        Box::pin(std::future::ready(()))
    }

    fn state(&self) -> AdapterState {
        self.state.get()
    }
}
