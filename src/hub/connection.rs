//! One client's socket: payloads to messages and back, keepalive, and what a client may take.
//!
//! Decides when a client is too slow, too silent or too big. Never knows what a message is about, beyond whether the handshake began.
//! What a socket carries for other tabs is taken apart in `sessions`.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket};
use bytes::Bytes;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};
use tracing::{debug, info, warn};

use super::{config::HubLimits, env::random_bytes, sessions::Sessions};
use crate::{
    protocol::{
        DocId, EphemeralPayload, Limits, Message, Transmission,
        frame::{FRAGMENT_THRESHOLD, PING, PONG, READY, Reassembler, encode_transport},
        sessions::{self, SESSIONS, SessionPayload},
    },
    runtime::ChannelStats,
};

/// How long a client may take to receive what is queued when its connection is closed in order.
const CLOSE_TIME: Duration = Duration::from_secs(5);
/// How long the closing handshake may take.
const GOODBYE_TIME: Duration = Duration::from_secs(1);
/// Bytes beyond the largest frame that carry it in one socket message.
const PAYLOAD_OVERHEAD: usize = 16;
/// What a queued control frame costs.
const CONTROL_COST: usize = 128;
/// What a message costs beside the bytes it holds.
const MESSAGE_COST: usize = 64;
/// What an entry of a version vector costs.
const ENTRY_COST: usize = 16;
/// Unit of the inbound budget.
const ROOM_UNIT: usize = 1024;
/// Undecodable payloads of one connection that are logged as warnings.
const LOUD_ERRORS: u32 = 5;

const GOING_AWAY: u16 = 1001;
const POLICY: u16 = 1008;
const TOO_BIG: u16 = 1009;
const TRY_AGAIN: u16 = 1013;

/// What happens at sockets, in order for each connection.
pub(super) enum Inbound {
    Opened { connection: u64, pipe: Pipe },
    Received { connection: u64, messages: Vec<Message>, room: OwnedSemaphorePermit },
    Closed { connection: u64 },
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) events: mpsc::Sender<Inbound>,
    pub(super) limits: HubLimits,
    pub(super) stopping: AtomicBool,
    next: AtomicU64,
    room: Arc<Semaphore>,
}

/// A client behind a socket: the one at its end, or a tab that this one serves.
struct Sender {
    session: Option<u32>,
    traffic: Arc<Traffic>,
}

impl Sockets {
    pub(super) fn new(events: mpsc::Sender<Inbound>, limits: HubLimits) -> Self {
        let room = Arc::new(Semaphore::new(room_units(limits.inbound_bytes) as usize));
        Self { events, limits, stopping: AtomicBool::new(false), next: AtomicU64::new(1), room }
    }

    /// Numbers a client.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Relaxed)
    }

    /// Largest socket message: a whole frame and its prefix.
    pub(super) fn socket_message_bytes(&self) -> usize {
        self.limits.message_bytes.saturating_add(PAYLOAD_OVERHEAD)
    }

    /// Waits until what all clients sent and is not processed yet leaves room for `bytes`.
    async fn room_for(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = room_units(bytes).min(room_units(self.limits.inbound_bytes));
        Arc::clone(&self.room).acquire_many_owned(units).await.ok()
    }
}

fn room_units(bytes: usize) -> u32 {
    u32::try_from(bytes / ROOM_UNIT + 1).unwrap_or(u32::MAX).min((Semaphore::MAX_PERMITS).try_into().unwrap_or(u32::MAX))
}

enum Outgoing {
    Messages { messages: Vec<Message>, cost: usize, sender: Sender },
    Control(Frame),
    Last(CloseFrame),
}

/// Why a connection ends from this side.
#[derive(Debug, Clone)]
struct Ending {
    code: u16,
    reason: &'static str,
    queued: Queued,
}

/// What becomes of the queue when a connection ends.
#[derive(Debug, Clone, Copy)]
enum Queued {
    /// It is dropped.
    Dropped,
    /// It goes out first, if that is done in this time.
    SentWithin(Duration),
    /// It goes out first, as long as the client takes some of it.
    SentWhileTaken,
}

impl Ending {
    fn frame(&self) -> CloseFrame {
        CloseFrame { code: self.code, reason: self.reason.into() }
    }
}

#[derive(Debug, Default)]
struct Traffic {
    messages_in: AtomicU64,
    messages_out: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

/// The sending end of a connection, or of one session of it, usable from any thread. Never blocks.
#[derive(Clone)]
pub(super) struct Pipe {
    connection: u64,
    session: Option<u32>,
    /// The session was closed from this side.
    left: Arc<AtomicBool>,
    queue: mpsc::UnboundedSender<Outgoing>,
    queued: Arc<AtomicUsize>,
    ending: watch::Sender<Option<Ending>>,
    traffic: Arc<Traffic>,
    sockets: Arc<Sockets>,
}

impl Pipe {
    /// Returns the pipe of another client behind the same socket.
    pub(super) fn of_session(&self, session: u32) -> Self {
        let connection = self.sockets.number();
        Self { connection, session: Some(session), left: Arc::default(), traffic: Arc::default(), ..self.clone() }
    }

    /// Returns the client's number.
    pub(super) fn connection(&self) -> u64 {
        self.connection
    }

    /// Returns whether the session was closed from this side.
    pub(super) fn has_left(&self) -> bool {
        self.left.load(Relaxed)
    }

    /// Queues messages, or ends the connection when too much is queued: the client connects again and starts over.
    pub(super) fn send(&self, messages: Vec<Message>) {
        if self.has_left() || self.ending.borrow().is_some() {
            return;
        }
        let cost = messages.iter().map(cost).sum::<usize>();
        let count = messages.len() as u64;
        let sender = Sender { session: self.session, traffic: Arc::clone(&self.traffic) };
        if self.enqueue(Outgoing::Messages { messages, cost, sender }, cost) {
            self.traffic.messages_out.fetch_add(count, Relaxed);
        }
    }

    /// Returns whether what is sent is still queued.
    pub(super) fn is_open(&self) -> bool {
        self.ending.borrow().is_none()
    }

    /// Queues one item, or ends the connection when too much is queued.
    ///
    /// What is queued then still goes out: a client with a slow link gets further with every connection.
    fn enqueue(&self, item: Outgoing, cost: usize) -> bool {
        let queued = self.queued.fetch_add(cost, Relaxed) + cost;
        // One item may be larger than the limit: then it is alone.
        if queued > self.sockets.limits.outbound_bytes && queued > cost {
            let ending = Ending { code: TRY_AGAIN, reason: "Too slow", queued: Queued::SentWhileTaken };
            if self.end(ending) {
                warn!(connection = self.connection, queued, "client reads too slowly; disconnected");
            }
            return false;
        }
        self.queue.send(item).is_ok()
    }

    pub(super) fn close(&self) {
        if let Some(session) = self.session {
            if !self.left.swap(true, Relaxed) {
                self.tell(&SessionPayload::Close(session));
            }
            return;
        }
        let stopping = self.sockets.stopping.load(Relaxed);
        let (code, reason) = if stopping { (GOING_AWAY, "Server shutting down") } else { (POLICY, "Refused") };
        self.end(Ending { code, reason, queued: Queued::SentWithin(CLOSE_TIME) });
    }

    pub(super) fn stats(&self) -> ChannelStats {
        ChannelStats {
            messages_in: self.traffic.messages_in.load(Relaxed),
            messages_out: self.traffic.messages_out.load(Relaxed),
            bytes_in: self.traffic.bytes_in.load(Relaxed),
            bytes_out: self.traffic.bytes_out.load(Relaxed),
        }
    }

    /// Says something about a session.
    pub(super) fn tell(&self, payload: &SessionPayload) {
        self.control(Frame::Binary(payload.encode().into()));
    }

    /// Queues a control frame; they count too, since a client may ask for any number of them and read none.
    fn control(&self, frame: Frame) {
        if self.ending.borrow().is_none() {
            self.enqueue(Outgoing::Control(frame), CONTROL_COST);
        }
    }

    /// Ends the connection; the first reason counts. Returns whether it was this one.
    fn end(&self, ending: Ending) -> bool {
        let frame = ending.frame();
        let silent = matches!(ending.queued, Queued::Dropped);
        let first = self.ending.send_if_modified(|known| {
            let first = known.is_none();
            if first {
                *known = Some(ending);
            }
            first
        });
        if first && !silent {
            let _ = self.queue.send(Outgoing::Last(frame));
        }
        first
    }
}

/// Serves one client until it leaves or is disconnected.
pub(super) async fn serve(mut socket: WebSocket, sockets: Arc<Sockets>, remote: SocketAddr) {
    let connection = sockets.number();
    if socket.send(Frame::text(READY)).await.is_err() {
        return;
    }
    let (queue, outgoing) = mpsc::unbounded_channel();
    let (ending, ended) = watch::channel(None);
    let pipe = Pipe {
        connection,
        session: None,
        left: Arc::default(),
        queue,
        queued: Arc::default(),
        ending,
        traffic: Arc::default(),
        sockets: Arc::clone(&sockets),
    };
    let Some(inlet) = Inlet::open(pipe.clone()).await else { return };
    debug!(connection, %remote, "connected");
    let (sink, mut stream) = socket.split();
    let writer =
        tokio::spawn(write(sink, outgoing, ended.clone(), Arc::clone(&pipe.queued), Arc::clone(&pipe.traffic), sockets.limits.stall_time));
    let mut reader = Reader::new(inlet, &sockets);
    let why = reader.run(&mut stream, ended).await;
    reader.close().await;
    pipe.end(why.unwrap_or(Ending { code: 1000, reason: "", queued: Queued::Dropped }));
    let _ = writer.await;
    // The client's half of the closing handshake; leaving before it could cost the client what was sent last.
    let _ = timeout(GOODBYE_TIME, async { while let Some(Ok(_)) = stream.next().await {} }).await;
    let stats = pipe.stats();
    debug!(connection, bytes_in = stats.bytes_in, bytes_out = stats.bytes_out, "disconnected");
}

/// The receiving end of one client.
pub(super) struct Inlet {
    pub(super) pipe: Pipe,
    reassembler: Reassembler,
    errors: u32,
}

impl Inlet {
    /// Announces a client to the repo; `None` when that is gone.
    pub(super) async fn open(pipe: Pipe) -> Option<Self> {
        let frame_bytes = pipe.sockets.limits.message_bytes;
        let limits = Limits { frame_bytes, fragment_bytes: frame_bytes, ..Limits::default() };
        let opened = Inbound::Opened { connection: pipe.connection, pipe: pipe.clone() };
        pipe.sockets.events.send(opened).await.ok()?;
        Some(Self { pipe, reassembler: Reassembler::new(limits), errors: 0 })
    }

    /// Tells the repo that the client is gone.
    pub(super) async fn close(self) {
        let _ = self.pipe.sockets.events.send(Inbound::Closed { connection: self.pipe.connection }).await;
    }

    /// Returns about how many bytes of incomplete frames all behind its socket may hold.
    pub(super) fn room(&self) -> usize {
        self.pipe.sockets.limits.message_bytes
    }

    /// Ends it from this side.
    pub(super) fn abandon(&mut self) {
        self.pipe.close();
        self.reassembler = Reassembler::new(Limits::default());
    }

    /// Returns about how many bytes of incomplete frames it holds.
    pub(super) fn held(&self) -> usize {
        self.reassembler.held_cost()
    }

    /// Hands on what a payload completes, and tells whether the handshake is in it; `None` when the hub is gone.
    pub(super) async fn take(&mut self, payload: Bytes, now: u64) -> Option<bool> {
        let bytes = payload.len();
        let connection = self.pipe.connection;
        self.pipe.traffic.bytes_in.fetch_add(bytes as u64, Relaxed);
        match self.reassembler.push(payload, now) {
            Ok(messages) if messages.is_empty() => Some(false),
            Ok(messages) => {
                let established = messages.iter().any(|message| matches!(message, Message::EstablishRequest(_)));
                self.pipe.traffic.messages_in.fetch_add(messages.len() as u64, Relaxed);
                let room = self.pipe.sockets.room_for(messages.iter().map(cost).sum()).await?;
                self.pipe.sockets.events.send(Inbound::Received { connection, messages, room }).await.ok()?;
                Some(established)
            }
            Err(error) => {
                self.errors = self.errors.saturating_add(1);
                if self.errors <= LOUD_ERRORS {
                    warn!(connection, bytes, code = error.code(), %error, "payload dropped");
                } else {
                    debug!(connection, bytes, code = error.code(), %error, "payload dropped");
                }
                Some(false)
            }
        }
    }
}

struct Reader<'a> {
    inlet: Inlet,
    sockets: &'a Sockets,
    /// What the client asked to carry for others, if it did.
    sessions: Option<Sessions>,
    started: Instant,
    heard: Instant,
    established: bool,
}

impl<'a> Reader<'a> {
    fn new(inlet: Inlet, sockets: &'a Sockets) -> Self {
        let now = Instant::now();
        Self { inlet, sockets, sessions: None, started: now, heard: now, established: false }
    }

    /// Reads until the connection ends; gives the reason if it is this side's.
    async fn run(&mut self, stream: &mut SplitStream<WebSocket>, mut ended: watch::Receiver<Option<Ending>>) -> Option<Ending> {
        let limits = &self.sockets.limits;
        let mut ping = interval((limits.idle_time / 3).max(Duration::from_millis(1)));
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.reset();
        loop {
            let idle = self.heard + limits.idle_time;
            let deadline = if self.established { idle } else { idle.min(self.started + limits.establish_time) };
            let frame = tokio::select! {
                biased;
                _ = ended.wait_for(Option::is_some) => return None,
                // The repo has ended, perhaps before it took this connection.
                () = self.sockets.events.closed() => {
                    return Some(Ending { code: GOING_AWAY, reason: "Server shutting down", queued: Queued::SentWithin(CLOSE_TIME) });
                }
                frame = stream.next() => frame,
                () = sleep_until(deadline) => {
                    let reason = if self.established { "Idle" } else { "No handshake" };
                    info!(connection = self.inlet.pipe.connection, reason, "client is silent; disconnected");
                    return Some(Ending { code: POLICY, reason, queued: Queued::Dropped });
                }
                _ = ping.tick() => {
                    self.inlet.pipe.control(Frame::Ping(Bytes::new()));
                    continue;
                }
            };
            let frame = match frame {
                None => return None,
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return self.broken(&error),
            };
            self.heard = Instant::now();
            match frame {
                Frame::Text(text) if text.as_str() == PING => self.inlet.pipe.control(Frame::text(PONG)),
                Frame::Text(text) if text.as_str() == SESSIONS => {
                    self.sessions.get_or_insert_default();
                    self.inlet.pipe.control(Frame::text(SESSIONS));
                }
                Frame::Binary(payload) => self.take(payload).await?,
                Frame::Close(_) => return None,
                Frame::Text(_) | Frame::Ping(_) | Frame::Pong(_) => {}
            }
        }
    }

    fn broken(&self, error: &axum::Error) -> Option<Ending> {
        let text = error.to_string();
        let connection = self.inlet.pipe.connection;
        debug!(connection, error = text, "connection broken");
        // The socket library's own words for a message beyond the limit; its error type is not ours to name.
        text.contains("too long").then(|| {
            warn!(connection, "message too big; disconnected");
            Ending { code: TOO_BIG, reason: "Message too big", queued: Queued::SentWithin(CLOSE_TIME) }
        })
    }

    /// Hands on what a payload completes; `None` when the hub is gone.
    async fn take(&mut self, payload: Bytes) -> Option<()> {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Some(sessions) = self.sessions.as_mut().filter(|_| SessionPayload::is_one(&payload)) {
            self.established |= sessions.take(&self.inlet, &payload, now).await?;
        } else {
            self.established |= self.inlet.take(payload, now).await?;
        }
        Some(())
    }

    /// Tells the repo that everybody behind the socket is gone.
    async fn close(self) {
        if let Some(sessions) = self.sessions {
            sessions.close().await;
        }
        self.inlet.close().await;
    }
}

type Sink = SplitSink<WebSocket, Frame>;

async fn write(
    mut sink: Sink,
    mut outgoing: mpsc::UnboundedReceiver<Outgoing>,
    mut ended: watch::Receiver<Option<Ending>>,
    queued: Arc<AtomicUsize>,
    traffic: Arc<Traffic>,
    stall_time: Duration,
) {
    let ending = {
        let mut work = std::pin::pin!(async {
            while let Some(item) = outgoing.recv().await {
                if !transmit(&mut sink, item, &queued, &traffic).await {
                    break;
                }
            }
        });
        let ending = tokio::select! {
            biased;
            () = &mut work => return,
            ending = ended.wait_for(Option::is_some) => ending.ok().and_then(|ending| ending.clone()),
        };
        match ending {
            Some(Ending { queued: Queued::SentWithin(time), .. }) => {
                let _ = timeout(time, work).await;
                return;
            }
            Some(Ending { queued: Queued::SentWhileTaken, .. }) => {
                let mut taken = traffic.bytes_out.load(Relaxed);
                while timeout(stall_time, &mut work).await.is_err() {
                    let before = std::mem::replace(&mut taken, traffic.bytes_out.load(Relaxed));
                    if taken == before {
                        break;
                    }
                }
                return;
            }
            ending => ending,
        }
    };
    let frame = ending.map(|ending| ending.frame());
    let _ = timeout(GOODBYE_TIME, sink.send(Frame::Close(frame))).await;
}

/// Sends one item; gives whether more may follow.
async fn transmit(sink: &mut Sink, item: Outgoing, queued: &AtomicUsize, traffic: &Traffic) -> bool {
    match item {
        Outgoing::Messages { messages, cost, sender } => {
            let payloads = encode_transport(&messages, FRAGMENT_THRESHOLD, random_bytes);
            drop(messages);
            for payload in payloads {
                let bytes = payload.len() as u64;
                let payload = match sender.session {
                    Some(session) => {
                        sender.traffic.bytes_out.fetch_add(bytes, Relaxed);
                        sessions::data(session, &payload)
                    }
                    None => payload,
                };
                if sink.feed(Frame::Binary(payload.into())).await.is_err() {
                    return false;
                }
                traffic.bytes_out.fetch_add(bytes, Relaxed);
            }
            let flushed = sink.flush().await.is_ok();
            queued.fetch_sub(cost, Relaxed);
            flushed
        }
        Outgoing::Control(frame) => {
            let sent = sink.send(frame).await.is_ok();
            queued.fetch_sub(CONTROL_COST, Relaxed);
            sent
        }
        Outgoing::Last(frame) => {
            let _ = sink.send(Frame::Close(Some(frame))).await;
            false
        }
    }
}

/// Returns about how many bytes a message holds.
fn cost(message: &Message) -> usize {
    let stores = |stores: &[EphemeralPayload]| stores.iter().map(|store| MESSAGE_COST + store.namespace.len() + store.data.len()).sum();
    let given = |transmission: &Transmission| match transmission {
        Transmission::Snapshot { data, version } | Transmission::Update { data, version } => {
            data.len() + version.iter().count() * ENTRY_COST
        }
        Transmission::UpToDate { version } => version.iter().count() * ENTRY_COST,
        Transmission::Unavailable | Transmission::Unknown => 0,
    };
    let named = |doc: &DocId| doc.as_str().len();
    let list = |docs: &[DocId]| docs.iter().map(|doc| MESSAGE_COST + named(doc)).sum();
    let held = match message {
        Message::SyncRequest { doc, version, ephemeral, .. } => {
            named(doc) + version.iter().count() * ENTRY_COST + ephemeral.as_deref().map_or(0, stores)
        }
        Message::SyncResponse { doc, transmission, ephemeral } => named(doc) + given(transmission) + ephemeral.as_deref().map_or(0, stores),
        Message::Update { doc, transmission } => named(doc) + given(transmission),
        Message::Ephemeral { doc, stores: sent, .. } => named(doc) + stores(sent),
        Message::DirectoryRequest { docs } => docs.as_deref().map_or(0, list),
        Message::DirectoryResponse { docs } | Message::NewDoc { docs } => list(docs),
        Message::DeleteRequest { doc } | Message::DeleteResponse { doc, .. } => named(doc),
        Message::Batch(messages) => messages.iter().map(cost).sum(),
        Message::Heads { heads, .. } => {
            heads.iter().map(|head| MESSAGE_COST + named(&head.doc) + head.version.iter().count() * ENTRY_COST).sum()
        }
        Message::Want { doc, ranges, .. } => named(doc) + ranges.len() * ENTRY_COST,
        Message::Give { doc, ranges, data, version, .. } => named(doc) + data.len() + (ranges.len() + version.iter().count()) * ENTRY_COST,
        Message::Ack { doc, version, durable, settled, .. } => {
            let optional = |version: &Option<crate::VersionVector>| version.as_ref().map_or(0, |version| version.iter().count());
            named(doc) + (version.iter().count() + optional(durable) + optional(settled)) * ENTRY_COST
        }
        Message::Refusal { doc, .. } | Message::Prune { doc } => named(doc),
        Message::Digest { sums, list, .. } => (2 * sums.len() + list.len()) * ENTRY_COST,
        Message::Deleted { docs } => docs.iter().map(|(doc, _)| MESSAGE_COST + named(doc)).sum(),
        Message::RecordsHave { .. } | Message::RecordsRequest { .. } | Message::RecordsRefusal { .. } => message.payload_bytes(),
        Message::RecordsResponse { entries, .. } | Message::RecordsChange { entries, .. } => {
            message.payload_bytes() + entries.iter().map(|(_, state)| MESSAGE_COST + state.fields.len() * MESSAGE_COST).sum::<usize>()
        }
        Message::EstablishRequest(identity) | Message::EstablishResponse(identity) => {
            identity.peer_id.as_str().len() + identity.name.as_ref().map_or(0, String::len) + identity.peer_type.as_str().len()
        }
    };
    MESSAGE_COST + held
}
