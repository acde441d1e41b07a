//! The pump: inputs in, effects out, in order.
//!
//! Decides nothing: it queues what happened, asks the synchronizer, and does what that says.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::{Rc, Weak},
};

use bytes::Bytes;
use futures_channel::{mpsc, oneshot};
use futures_util::StreamExt;
use loro::LoroError;

use super::{
    Adapter, AdapterContext, AdapterSink, AdapterState, Authors, Channel, Env, ErrorCode, LocalBoxFuture, Opening, Problem, RepoError,
    RepoEvent, Safety, StorageNotice, StorageProblem, Store,
    admission::{Gate, Line},
    docs::OpenDoc,
    ephemeral::Sender,
    ephemeral_doc::PresenceTable,
    health::Health,
    loading::Wanted,
    records::Records,
    storage::{OpenStore, Removal, Shelved, Unheard},
};
use crate::{
    collections::{SortedMap, SortedSet},
    protocol::{ClockVector, DocId, Message, PeerId, Transmission, VersionVector, extension::AuthorRange},
    synchronizer::{ChannelId, ChannelKind, Durability, Effect, Event, Input, Purpose, Synchronizer, Timer},
};

/// Payload that is gathered before it is sent; less is sent when nothing is left to do. Exports of so many bytes are kept for other peers.
const OUTBOX_BYTES: usize = 1024 * 1024;
/// So many who wait for documents are looked at in a millisecond, on average; fewer at once.
const WAITERS_A_MS: u64 = 64;
/// Exports of one document that are kept for other peers, whatever their size.
const MAX_EXPORTS: usize = 16;

pub(super) struct OpenChannel {
    pub(super) channel: Rc<dyn Channel>,
    pub(super) adapter: usize,
    pub(super) line: Line,
}

/// What somebody waits for.
pub(super) enum Awaited {
    /// A peer of a kind confirms a version.
    Synced(ChannelKind),
    /// A version is that safe.
    Durable(Durability),
}

/// Somebody waits for something to become of a version.
pub(super) struct Waiter {
    pub(super) doc: DocId,
    pub(super) awaited: Awaited,
    pub(super) version: VersionVector,
    pub(super) done: oneshot::Sender<Result<(), RepoError>>,
}

/// Somebody waits until versions are on disk.
pub(super) struct FlushWaiter {
    pub(super) versions: Vec<(DocId, VersionVector)>,
    pub(super) records: ClockVector,
    pub(super) done: oneshot::Sender<Result<(), RepoError>>,
}

type Exports = SortedMap<DocId, Vec<(Option<VersionVector>, Bytes, VersionVector)>>;
pub(super) type EventListener = Rc<dyn Fn(&RepoEvent)>;

pub(super) struct RepoInner {
    pub(super) weak: Weak<Self>,
    pub(super) env: Rc<dyn Env>,
    pub(super) peer_id: PeerId,
    pub(super) sync: RefCell<Synchronizer>,
    pub(super) docs: RefCell<SortedMap<DocId, Rc<OpenDoc>>>,
    /// Ephemeral state, whether its document is in memory or not.
    pub(super) presence: PresenceTable,
    pub(super) pipes: RefCell<SortedMap<ChannelId, OpenChannel>>,
    pub(super) stores: RefCell<SortedMap<ChannelId, Rc<OpenStore>>>,
    /// Documents that are to be read, all of one turn together.
    pub(super) reads: RefCell<SortedMap<ChannelId, Vec<Wanted>>>,
    /// Documents whose dropping a store is told of until it has heard.
    pub(super) dropping: RefCell<SortedSet<(ChannelId, DocId)>>,
    /// Removals under way, how many of each document, and whether it is to be read after them.
    pub(super) removing: RefCell<SortedMap<(ChannelId, DocId), (u32, bool)>>,
    /// What a list shows of documents in stores.
    pub(super) stored: RefCell<SortedMap<DocId, Shelved>>,
    pub(super) adapters: RefCell<Vec<Rc<dyn Adapter>>>,
    pub(super) listeners: RefCell<Vec<(u64, EventListener)>>,
    pub(super) waiters: RefCell<Vec<Waiter>>,
    pub(super) flushes: RefCell<Vec<FlushWaiter>>,
    /// Deletions under way, taken by whoever asked for them.
    pub(super) removals: RefCell<Vec<Removal>>,
    /// Those that stores are still to hear of.
    pub(super) unheard: RefCell<Vec<Unheard>>,
    pub(super) deliveries: RefCell<VecDeque<Delivery>>,
    pub(super) changed: mpsc::UnboundedSender<DocId>,
    pub(super) writer: u64,
    pub(super) closed: Cell<bool>,
    pub(super) gate: Option<Gate>,
    pub(super) health: Health,
    /// When a write counts as done.
    pub(super) safety: Safety,
    pub(super) records: Records,
    pub(super) authors: RefCell<Authors>,
    /// Which store the lease is of.
    pub(super) lease_store: Cell<Option<ChannelId>>,
    pub(super) lease_waiters: RefCell<Vec<oneshot::Sender<()>>>,
    /// Which timer of each name is the one that was set last.
    timers: RefCell<SortedMap<Timer, u64>>,
    /// Timers to be set, by the milliseconds until they fire.
    alarms: RefCell<SortedMap<u64, Vec<(Timer, u64)>>>,
    queue: RefCell<VecDeque<Input>>,
    outbox: RefCell<Vec<(ChannelId, Vec<Message>)>>,
    outbox_bytes: Cell<usize>,
    exports: RefCell<Exports>,
    /// What was put aside last in stores, 0 if that is stored.
    pub(super) aside: Cell<u64>,
    export_bytes: Cell<usize>,
    pumping: Cell<bool>,
    /// What is to be sent is sent in a moment.
    sending: Cell<bool>,
    /// Who waits for documents is looked at in a moment.
    settling: Cell<bool>,
    delivering: Cell<bool>,
    next_id: Cell<u64>,
}

/// A call into the application, made after the pump.
pub(super) type Delivery = Box<dyn FnOnce(&RepoInner)>;

impl RepoInner {
    pub(super) fn new(
        env: Rc<dyn Env>,
        peer_id: PeerId,
        writer: u64,
        sync: Synchronizer,
        gate: Option<Gate>,
        records: Records,
        safety: Safety,
    ) -> Rc<Self> {
        let (changed, mut changes) = mpsc::unbounded::<DocId>();
        let authors = RefCell::new(Authors::new(env.random_u64(), env.random_u64()));
        let inner = Rc::new_cyclic(|weak: &Weak<Self>| Self {
            weak: weak.clone(),
            env,
            peer_id,
            sync: RefCell::new(sync),
            docs: RefCell::default(),
            presence: PresenceTable::default(),
            pipes: RefCell::default(),
            stores: RefCell::default(),
            reads: RefCell::default(),
            dropping: RefCell::default(),
            removing: RefCell::default(),
            stored: RefCell::default(),
            adapters: RefCell::default(),
            listeners: RefCell::default(),
            waiters: RefCell::default(),
            flushes: RefCell::default(),
            removals: RefCell::default(),
            unheard: RefCell::default(),
            deliveries: RefCell::default(),
            changed,
            writer,
            closed: Cell::new(false),
            gate,
            health: Health::default(),
            safety,
            records,
            authors,
            lease_store: Cell::new(None),
            lease_waiters: RefCell::default(),
            timers: RefCell::default(),
            alarms: RefCell::default(),
            queue: RefCell::default(),
            outbox: RefCell::default(),
            outbox_bytes: Cell::new(0),
            exports: RefCell::default(),
            aside: Cell::new(0),
            export_bytes: Cell::new(0),
            pumping: Cell::new(false),
            sending: Cell::new(false),
            settling: Cell::new(false),
            delivering: Cell::new(false),
            next_id: Cell::new(1),
        });
        let weak = inner.weak.clone();
        // Commits of one task become one change: the notes are read when the application has returned.
        inner.env.spawn(Box::pin(async move {
            while let Some(first) = changes.next().await {
                let Some(inner) = weak.upgrade() else { return };
                let mut next = Some(first);
                while let Some(id) = next {
                    if let Some(doc) = inner.doc(&id) {
                        inner.notice(&doc);
                    }
                    next = changes.try_recv().ok();
                }
                inner.pump();
            }
        }));
        inner
    }

    pub(super) fn next_id(&self) -> u64 {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        id
    }

    pub(super) fn enqueue(&self, input: Input) {
        self.queue.borrow_mut().push_back(input);
    }

    /// Compares a document with what the synchronizer was told of it.
    pub(super) fn notice(&self, doc: &OpenDoc) {
        if doc.gone.get() || self.closed.get() {
            return;
        }
        if let Some(version) = doc.news() {
            self.tell_history(doc);
            self.authors.borrow_mut().note(&doc.id, &version);
            self.enqueue(Input::DocChanged { doc: doc.id.clone(), version });
        }
    }

    /// Commits and notices what is pending in every open document.
    ///
    /// # Errors
    /// [`ErrorCode::Panic`] of the first document the engine panicked in; the others are done all the same.
    pub(super) fn notice_all(&self) -> Result<(), RepoError> {
        let docs: Vec<_> = self.docs.borrow().values().cloned().collect();
        let mut outcome = Ok(());
        for doc in docs {
            if doc.opened.get() {
                outcome = outcome.and(self.commit(&doc));
                self.notice(&doc);
            }
        }
        outcome
    }

    /// Works until nothing is left to do, then calls the application. A call from inside only queues.
    pub(super) fn pump(&self) {
        self.work(true);
    }

    /// Does the same, but sends messages and sets timers together with those of other calls in this turn: an application opens many documents
    /// in a row.
    pub(super) fn pump_gathering(&self) {
        self.work(false);
        let nothing = self.outbox.borrow().is_empty() && self.alarms.borrow().is_empty();
        if nothing || self.sending.replace(true) {
            return;
        }
        let weak = self.weak.clone();
        self.env.spawn(Box::pin(async move {
            let Some(inner) = weak.upgrade() else { return };
            inner.sending.set(false);
            inner.pump();
        }));
    }

    fn work(&self, send: bool) {
        if self.pumping.replace(true) {
            return;
        }
        loop {
            let next = self.queue.borrow_mut().pop_front();
            if let Some(input) = next {
                let now = self.env.now();
                let effects = self.sync.borrow_mut().update(input, now);
                for effect in effects {
                    self.execute(effect);
                    if self.outbox_bytes.get() > OUTBOX_BYTES {
                        self.send_outbox();
                    }
                }
                self.env.stepped();
                continue;
            }
            if self.judge_next() {
                continue;
            }
            self.exports.borrow_mut().clear();
            self.export_bytes.set(0);
            if !send || !self.send_outbox() {
                break;
            }
        }
        if send {
            self.set_timers();
        }
        self.settle_waiters();
        self.pumping.set(false);
        self.deliver();
    }

    fn deliver_soon(&self) {
        if !self.pumping.get() {
            self.deliver();
        }
    }

    /// Sends what was gathered; returns whether there was anything.
    fn send_outbox(&self) -> bool {
        self.outbox_bytes.set(0);
        let outbox = std::mem::take(&mut *self.outbox.borrow_mut());
        let any = !outbox.is_empty();
        for (channel, messages) in outbox {
            if let Some(pipe) = self.pipe(channel) {
                pipe.send(messages);
            }
        }
        any
    }

    fn pipe(&self, channel: ChannelId) -> Option<Rc<dyn Channel>> {
        self.pipes.borrow().get(&channel).map(|pipe| Rc::clone(&pipe.channel))
    }

    /// Returns whether what is sent now may arrive: otherwise there is no point in exporting it.
    fn is_open(&self, channel: ChannelId) -> bool {
        self.pipe(channel).is_some_and(|pipe| pipe.is_open())
    }

    /// Calls the application, in order. A delivery made from inside one is queued behind it.
    pub(super) fn deliver(&self) {
        if self.delivering.replace(true) {
            return;
        }
        loop {
            let next = self.deliveries.borrow_mut().pop_front();
            let Some(delivery) = next else { break };
            delivery(self);
        }
        self.delivering.set(false);
    }

    /// Nobody pumps or delivers: a panic has ended whoever did.
    pub(super) fn at_rest(&self) {
        self.pumping.set(false);
        self.delivering.set(false);
    }

    pub(super) fn emit(&self, event: RepoEvent) {
        self.deliveries.borrow_mut().push_back(Box::new(move |inner| {
            let listeners: Vec<_> = inner.listeners.borrow().clone();
            for (id, listener) in listeners {
                // A listener removed by an earlier one of this round is not called any more.
                if inner.listeners.borrow().iter().any(|(known, _)| *known == id) {
                    listener(&event);
                }
            }
        }));
    }

    pub(super) fn send(&self, channel: ChannelId, message: Message) {
        self.outbox_bytes.set(self.outbox_bytes.get() + message.payload_bytes());
        let mut outbox = self.outbox.borrow_mut();
        match outbox.iter_mut().find(|(known, _)| *known == channel) {
            Some((_, messages)) => messages.push(message),
            None => outbox.push((channel, vec![message])),
        }
    }

    fn execute(&self, effect: Effect) {
        match effect {
            Effect::Send { channel, message } => self.send(channel, message),
            Effect::SendSnapshot { channel, doc, purpose } => self.send_doc(channel, doc, None, purpose),
            Effect::SendUpdate { channel, doc, since, purpose } => self.send_doc(channel, doc, Some(since), purpose),
            Effect::GiveUpdate { channel, .. } | Effect::GiveRanges { channel, .. } if !self.is_open(channel) => {}
            Effect::GiveUpdate { channel, doc, lineage, since } => {
                let exported = self.export(&doc, (!since.is_empty()).then_some(&since));
                self.give(channel, doc, lineage, Vec::new(), exported);
            }
            Effect::GiveRanges { channel, doc, lineage, ranges, whole } => {
                let exported = self.export_ranges(&doc, &ranges, whole);
                self.give(channel, doc, lineage, ranges, exported);
            }
            Effect::SendEphemeral { channel, doc, selection, hops } => self.spread_ephemeral(&[(channel, hops)], &doc, &selection),
            Effect::SpreadEphemeral { to, doc, selection } => self.spread_ephemeral(&to, &doc, &selection),
            Effect::CloseChannel { channel } => {
                let pipe = self.pipes.borrow_mut().remove(&channel);
                if let Some(pipe) = pipe {
                    pipe.channel.close();
                }
            }
            Effect::CreateDoc { doc, lineage } => self.open_doc(&doc).lineage.set(lineage),
            Effect::DropDoc { doc } => {
                self.stored.borrow_mut().remove(&doc);
                let dropped = self.docs.borrow_mut().remove(&doc);
                if let Some(dropped) = dropped {
                    self.note_written(&dropped);
                    self.authors.borrow_mut().dropped(&doc);
                    dropped.gone.set(true);
                }
                self.presence.end(&doc);
                let waiters: Vec<_> = self.waiters.borrow_mut().extract_if(.., |waiter| waiter.doc == doc).collect();
                for waiter in waiters {
                    let _ = waiter.done.send(Err(RepoError::new(ErrorCode::Deleted, format!("document {doc:?} was deleted or forgotten"))));
                }
            }
            Effect::CheckMemory => self.enqueue(Input::MemoryChecked { held: self.held_docs() }),
            Effect::UnloadDoc { doc } => self.unload(&doc),
            Effect::ImportDoc { doc, channel, data, announced } => self.import(doc, channel, &data, announced),
            Effect::RenewDoc { doc, channel, data, announced } => self.renew(doc, channel, &data, announced),
            Effect::ListDocs { channel } => self.list_docs(channel),
            Effect::LoadDoc { channel, doc } => self.load_doc(channel, doc),
            Effect::StoreDocs { channel, docs } => self.store_docs(channel, docs),
            Effect::RetireAuthors { authors } => self.retire_authors(authors),
            Effect::NoteConfirmed { channel, docs } => self.note_confirmed(channel, docs),
            Effect::BuryDoc { channel, doc, tombstone } => self.remove_doc(channel, doc, Some(tombstone)),
            Effect::ForgetDoc { channel, doc } => self.remove_doc(channel, doc, None),
            Effect::ApplyEphemeral { doc, channel, hops, stores, present, from_relay } => {
                self.apply_ephemeral(doc, Sender { channel, hops, is_relay: from_relay }, &stores, &present);
            }
            Effect::BeatEphemeral { doc } => self.beat_ephemeral(doc),
            Effect::RemoveEphemeral { channel, peer, forget } => self.remove_ephemeral(channel, peer.as_ref(), forget),
            Effect::SetTimer { timer, after_ms } => {
                let id = self.next_id();
                self.timers.borrow_mut().insert(timer.clone(), id);
                self.alarms.borrow_mut().entry(after_ms).or_default().push((timer, id));
            }
            Effect::Records(effect) => self.execute_records(effect),
            Effect::Emit(event) => self.emit_decision(event),
        }
    }

    /// Sets the timers this pump has asked for: those after the same time fire together, since each costs, and what they lead to.
    fn set_timers(&self) {
        for (after_ms, timers) in self.alarms.take() {
            let fire = async move |inner: Rc<Self>| {
                for (timer, id) in timers {
                    // One that was set again since does not fire for the earlier time.
                    let last = inner.timers.borrow().get(&timer) == Some(&id);
                    if last {
                        inner.timers.borrow_mut().remove(&timer);
                        inner.enqueue(Input::TimerFired(timer));
                    }
                }
            };
            self.later(fire, self.env.sleep(after_ms));
        }
    }

    /// Runs `work` once `first` is done, then pumps. Does nothing once the repo is gone.
    fn later<F: AsyncFnOnce(Rc<Self>) + 'static>(&self, work: F, first: LocalBoxFuture<()>) {
        let weak = self.weak.clone();
        self.env.spawn(Box::pin(async move {
            first.await;
            let Some(inner) = weak.upgrade() else { return };
            if inner.closed.get() {
                return;
            }
            work(Rc::clone(&inner)).await;
            inner.pump();
        }));
    }

    pub(super) fn open_doc(&self, id: &DocId) -> Rc<OpenDoc> {
        if let Some(doc) = self.docs.borrow().get(id) {
            return Rc::clone(doc);
        }
        let author = self.authors.borrow_mut().opening(id, self.env.random_u64());
        let doc = Rc::new(OpenDoc::new(id.clone(), author, self.changed.clone()));
        self.docs.borrow_mut().insert(id.clone(), Rc::clone(&doc));
        doc
    }

    pub(super) fn doc(&self, id: &DocId) -> Option<Rc<OpenDoc>> {
        self.docs.borrow().get(id).cloned()
    }

    /// Returns the documents that must stay in memory: held by a handle, waited for, or with something not noticed yet.
    fn held_docs(&self) -> SortedSet<DocId> {
        let mut held: SortedSet<DocId> = self.waiters.borrow().iter().map(|waiter| waiter.doc.clone()).collect();
        let docs: Vec<_> = self.docs.borrow().values().map(Rc::downgrade).collect();
        for doc in docs {
            let handles = doc.strong_count() > 1;
            let Some(doc) = doc.upgrade() else { continue };
            if handles || doc.opened.get() {
                held.insert(doc.id.clone());
                continue;
            }
            // Somebody may have kept the engine's document beyond its handle.
            let news = self.guarded(&doc, |doc| {
                doc.doc.commit();
                doc.news()
            });
            if let Ok(Some(version)) = news {
                self.enqueue(Input::DocChanged { doc: doc.id.clone(), version });
                held.insert(doc.id.clone());
            }
        }
        held
    }

    fn unload(&self, id: &DocId) {
        for store in self.stores.borrow().values() {
            store.forget(id);
        }
        let unloaded = self.docs.borrow_mut().remove(id);
        if let Some(doc) = unloaded {
            self.note_written(&doc);
            // Whoever kept the engine's document beyond its handle gets an error for an edit that nobody would store.
            let _ = self.guarded(&doc, |doc| doc.doc.detach());
        }
    }

    fn send_doc(&self, channel: ChannelId, doc: DocId, since: Option<VersionVector>, purpose: Purpose) {
        if !self.is_open(channel) {
            return;
        }
        let Some((data, version)) = self.export(&doc, since.as_ref()) else { return };
        let transmission = match since {
            None => Transmission::Snapshot { data, version },
            Some(_) => Transmission::Update { data, version },
        };
        let message = match purpose {
            Purpose::Answer => Message::SyncResponse { doc, transmission, ephemeral: None },
            Purpose::Push => Message::Update { doc, transmission },
        };
        self.send(channel, message);
    }

    fn give(&self, channel: ChannelId, doc: DocId, lineage: u64, ranges: Vec<AuthorRange>, exported: Option<(Bytes, VersionVector)>) {
        if let Some((data, version)) = exported {
            self.send(channel, Message::Give { doc, lineage, ranges, data, version });
        }
    }

    fn export_ranges(&self, id: &DocId, ranges: &[AuthorRange], whole: bool) -> Option<(Bytes, VersionVector)> {
        let (data, version) = self.exported(&self.doc(id)?, |doc| doc.export_ranges(ranges, whole))?;
        Some((data.into(), version))
    }

    /// Exports; a failure is reported.
    pub(super) fn exported(
        &self,
        doc: &Rc<OpenDoc>,
        export: impl FnOnce(&OpenDoc) -> Result<(Vec<u8>, VersionVector), loro::LoroEncodeError>,
    ) -> Option<(Vec<u8>, VersionVector)> {
        match self.guarded(doc, export).ok()? {
            Ok(exported) => Some(exported),
            Err(error) => {
                let error = RepoError::new(ErrorCode::Panic, format!("document {:?} could not be exported: {error}", doc.id));
                self.emit(RepoEvent::Error { error, doc: Some(doc.id.clone()) });
                None
            }
        }
    }

    /// Exports, or takes the same export made earlier in this pump for another peer.
    fn export(&self, id: &DocId, since: Option<&VersionVector>) -> Option<(Bytes, VersionVector)> {
        if let Some(cached) = self.exports.borrow().get(id)
            && let Some((_, data, version)) = cached.iter().find(|(key, ..)| key.as_ref() == since)
        {
            return Some((data.clone(), version.clone()));
        }
        let (data, version) = self.exported(&self.doc(id)?, |doc| doc.export(since))?;
        let data = Bytes::from(data);
        let mut exports = self.exports.borrow_mut();
        self.export_bytes.set(self.export_bytes.get() + data.len());
        if self.export_bytes.get() > OUTBOX_BYTES {
            exports.retain(|known, _| known == id);
            self.export_bytes.set(data.len());
        }
        let exports = exports.entry(id.clone()).or_default();
        if exports.len() == MAX_EXPORTS {
            exports.remove(0);
        }
        exports.push((since.cloned(), data.clone(), version.clone()));
        Some((data, version))
    }

    fn import(&self, id: DocId, channel: ChannelId, data: &[u8], announced: VersionVector) {
        let Some(mut doc) = self.doc(&id) else { return };
        self.forget_exports(&id);
        let (mut pending, mut left_out) = (VersionVector::new(), false);
        let mut own = None;
        let imported = self.guarded(&doc, |doc| {
            // The engine would commit what the application has not, and it would seem to come from the peer.
            doc.doc.commit();
            own = doc.news();
            #[cfg(feature = "failpoints")]
            super::failpoint::hit("import", &doc.doc);
            let status = doc.doc.import(data)?;
            left_out = doc.left_out(data);
            if let Some(waiting) = status.pending.filter(|waiting| !left_out && !waiting.is_empty()) {
                doc.waits.set(true);
                self.keep_waiting(doc, data);
                // What comes after a gap of the same author does not say that the gap is on its way.
                let here = doc.version();
                let joined = waiting.iter().filter(|(author, (start, _))| *start <= here.get(**author));
                pending = joined.map(|(author, (_, end))| (*author, *end)).collect();
            }
            loro::LoroResult::Ok(())
        });
        if let Some(version) = own {
            self.authors.borrow_mut().note(&id, &version);
            self.enqueue(Input::DocChanged { doc: id.clone(), version });
        }
        match imported {
            Ok(Ok(())) => {
                if left_out && let Some(fresh) = self.begun_with(&doc, data) {
                    doc = fresh;
                }
                self.tell_history(&doc);
                let version = doc.version();
                self.enqueue(Input::DocImported { doc: id, channel, version, announced, pending });
            }
            Ok(Err(LoroError::ImportUpdatesThatDependsOnOutdatedVersion)) if doc.doc.is_shallow() => {
                // Part of it may have been taken.
                let version = doc.version();
                self.enqueue(Input::HistoryMissed { doc: id, channel, version });
            }
            Ok(Err(error)) => {
                let error = RepoError::new(ErrorCode::Decode, format!("data could not be imported: {error}"));
                self.emit(RepoEvent::Error { error, doc: Some(id.clone()) });
                self.enqueue(Input::ImportFailed { doc: id, channel });
            }
            // Reported already, and the document is read again: the peer's bytes are left alone for a while.
            Err(_) => self.enqueue(Input::ImportFailed { doc: id, channel }),
        }
    }

    /// Forgets the exports made of a document in this pump.
    pub(super) fn forget_exports(&self, id: &DocId) {
        self.exports.borrow_mut().remove(id);
    }

    fn emit_decision(&self, event: Event) {
        self.emit(match event {
            Event::DocumentAdded(doc) => RepoEvent::DocumentAdded { doc },
            Event::DocumentRemoved(doc) => RepoEvent::DocumentRemoved { doc },
            Event::PeerConnected(peer) => RepoEvent::PeerConnected { peer },
            Event::PeerDisconnected(peer) => RepoEvent::PeerDisconnected { peer },
            Event::ReadyStateChanged(doc) => RepoEvent::ReadyStateChanged { doc },
            Event::StorageRecovered => return self.storage_works(false),
            Event::ChangeRefused { doc, peer } => RepoEvent::Error {
                error: RepoError::new(
                    ErrorCode::Refused,
                    format!("a change of {doc:?} by peer {peer} was refused by the mutability permission"),
                ),
                doc: Some(doc),
            },
            Event::Refused { doc, peer, reason, retry_ms } => RepoEvent::Refused { doc, peer, reason, retry_ms },
            Event::ConfirmedChanged(doc) => RepoEvent::UnsyncedChanged { doc },
            Event::RecordsConfirmed => RepoEvent::RecordsConfirmed,
            Event::RecordRefused { record, peer, reason } => return self.record_refused(&record, &peer, reason),
            Event::RecordsNotTaken { record, peer, reason } => return self.records_not_taken(&record, &peer, reason),
            Event::SamePeerId { .. } => RepoEvent::Error {
                error: RepoError::new(ErrorCode::Refused, format!("a peer uses this repo's own id {}; it was disconnected", self.peer_id)),
                doc: None,
            },
        });
    }

    fn settle_waiters(&self) {
        self.settle_syncs();
        self.settle_flushes();
    }

    /// Tells who waits for documents and has not to wait any more. Many are looked at later, together: each of many documents that are
    /// confirmed one by one would cost a look at all.
    fn settle_syncs(&self) {
        let later = self.waiters.borrow().len() as u64 / WAITERS_A_MS;
        if later == 0 {
            return self.settle_syncs_now();
        }
        if self.settling.replace(true) {
            return;
        }
        let (weak, sleep) = (self.weak.clone(), self.env.sleep(later));
        self.env.spawn(Box::pin(async move {
            sleep.await;
            if let Some(inner) = weak.upgrade() {
                inner.settling.set(false);
                inner.settle_syncs_now();
            }
        }));
    }

    fn settle_syncs_now(&self) {
        let ready: Vec<Waiter> = {
            let sync = self.sync.borrow();
            self.waiters
                .borrow_mut()
                .extract_if(.., |waiter| {
                    waiter.done.is_canceled()
                        || match waiter.awaited {
                            Awaited::Synced(kind) => sync.is_confirmed(&waiter.doc, kind, &waiter.version),
                            Awaited::Durable(level) => sync.durability(&waiter.doc, &waiter.version) >= level,
                        }
                })
                .collect()
        };
        for waiter in ready {
            let _ = waiter.done.send(Ok(()));
        }
    }

    fn settle_flushes(&self) {
        let flushed: Vec<FlushWaiter> = {
            let sync = self.sync.borrow();
            let opening = self.store_is_opening();
            self.flushes
                .borrow_mut()
                .extract_if(.., |waiter| {
                    let kept = sync.records_are_stored(&waiter.records);
                    waiter.done.is_canceled()
                        || (!opening && kept && waiter.versions.iter().all(|(doc, version)| sync.is_stored(doc, version)))
                })
                .collect()
        };
        for waiter in flushed {
            let _ = waiter.done.send(Ok(()));
        }
        self.settle_record_waiters();
    }

    /// Returns the number of operations of a document that no other machine has confirmed.
    pub(super) fn unsynced(&self, doc: &OpenDoc) -> u64 {
        let confirmed = self.sync.borrow().confirmed(&doc.id);
        let version = doc.doc.oplog_vv();
        version.iter().map(|(author, end)| u64::try_from(end - confirmed.get(*author).min(*end)).unwrap_or(0)).sum()
    }

    /// Returns whether a storage adapter has not said yet whether it has a store.
    pub(super) fn store_is_opening(&self) -> bool {
        self.adapters.borrow().iter().any(|adapter| adapter.kind() == ChannelKind::Storage && adapter.state() == AdapterState::Connecting)
    }

    pub(super) fn fail_flushes(&self, error: &RepoError) {
        for waiter in std::mem::take(&mut *self.flushes.borrow_mut()) {
            let _ = waiter.done.send(Err(error.clone()));
        }
    }

    pub(super) fn add_adapter(&self, adapter: Rc<dyn Adapter>) {
        let number = self.adapters.borrow().len();
        self.adapters.borrow_mut().push(Rc::clone(&adapter));
        if adapter.kind() == ChannelKind::Storage {
            self.enqueue(Input::StoreExpected { adapter: number });
        }
        let sink: Weak<dyn AdapterSink> = self.weak.clone();
        adapter.start(AdapterContext::new(sink, number, Rc::clone(&self.env), self.peer_id.clone()));
        self.pump();
    }
}

impl AdapterSink for RepoInner {
    fn open_channel(&self, adapter: usize, channel: Rc<dyn Channel>, opening: Opening) -> ChannelId {
        let id = ChannelId(self.next_id());
        let kind = self.adapters.borrow().get(adapter).map_or(ChannelKind::Network, |adapter| adapter.kind());
        self.pipes.borrow_mut().insert(id, OpenChannel { channel, adapter, line: Line::default() });
        self.enqueue(Input::ChannelOpened { channel: id, kind, initiate: opening == Opening::Initiate });
        self.pump();
        id
    }

    fn open_store(&self, adapter: usize, store: Rc<dyn Store>) -> ChannelId {
        let id = ChannelId(self.next_id());
        let name = store.name().to_owned();
        self.stores.borrow_mut().insert(id, Rc::new(OpenStore::new(store, adapter)));
        let peer = PeerId::from(self.env.random_u64());
        self.request_lease();
        self.enqueue(Input::StoreOpened { channel: id, adapter, peer, name });
        self.pump();
        id
    }

    fn receive(&self, channel: ChannelId, messages: Vec<Message>) {
        if !self.pipes.borrow().contains_key(&channel) {
            return;
        }
        match &self.gate {
            Some(gate) => gate.take(channel, messages),
            None => messages.into_iter().for_each(|message| self.enqueue(Input::Received { channel, message })),
        }
        self.pump();
    }

    fn close_channel(&self, channel: ChannelId) {
        let store = self.stores.borrow_mut().remove(&channel).is_some();
        if store && self.stores.borrow().is_empty() {
            self.stored.borrow_mut().clear();
        }
        let known = self.pipes.borrow_mut().remove(&channel).is_some() | store;
        if known {
            self.enqueue(Input::ChannelClosed { channel });
            self.pump();
        }
    }

    fn report(&self, problem: Problem) {
        self.emit(match problem {
            Problem::Network(error) => RepoEvent::Error { error, doc: None },
            Problem::Storage(error) => {
                self.storage_failed(StorageProblem::Unavailable, error);
                return self.deliver_soon();
            }
        });
        self.deliver_soon();
    }

    fn notice(&self, _adapter: usize, notice: StorageNotice) {
        self.storage_notice(notice);
        self.deliver_soon();
    }

    fn adapter_changed(&self, adapter: usize) {
        let entry = self.adapters.borrow().get(adapter).cloned();
        let Some(entry) = entry else { return };
        let unavailable = matches!(entry.state(), AdapterState::Off | AdapterState::Waiting | AdapterState::Closed);
        if entry.kind() == ChannelKind::Storage && unavailable {
            self.enqueue(Input::StoreUnavailable { adapter });
            // As if it had not been expected.
            self.settle_unheard(|unheard| unheard.adapter == adapter, &Ok(()));
            self.fail_flushes(&RepoError::new(ErrorCode::Storage, format!("the {} store is not available", entry.name())));
        }
        self.emit(RepoEvent::AdapterChanged { adapter });
        self.pump();
    }
}
