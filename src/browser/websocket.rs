//! A WebSocket to a hub, kept for as long as the repo lives.
//!
//! Decides when to connect, when a connection is dead and when to try again. Never reads a message.

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::{Rc, Weak},
};

use bytes::Bytes;
use futures_channel::mpsc;
use futures_util::{
    StreamExt,
    future::{Either, select},
};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{BinaryType, CloseEvent, MessageEvent, WebSocket};

use super::listener::{Listener, document};
use crate::{
    protocol::{Limits, Message, frame},
    runtime::{
        Adapter, AdapterContext, AdapterState, Backoff, Channel, ChannelStats, Env, ErrorCode, LocalBoxFuture, Opening, Problem, RepoError,
    },
    synchronizer::{ChannelId, ChannelKind, Timestamp},
};

/// A connection is asked for a sign of life after this much silence …
const PING_AFTER_MS: u64 = 20_000;
/// … and is dead without one after this much more.
const PONG_WITHIN_MS: u64 = 10_000;
/// After waking up the answer has to come sooner: somebody is looking.
const WAKE_PONG_WITHIN_MS: u64 = 4_000;
/// A server that accepts the socket and says nothing.
const READY_WITHIN_MS: u64 = 15_000;

/// Where to connect to.
#[derive(Clone)]
pub enum UrlSource {
    /// Always the same address.
    Fixed(String),
    /// Asked before every attempt, for addresses that carry a token.
    Asked(Rc<dyn Fn() -> LocalBoxFuture<Result<String, RepoError>>>),
}

/// Connects to one server, again and again.
#[derive(Clone)]
pub struct WebSocketAdapter(Rc<Inner>);

struct Inner {
    source: UrlSource,
    context: RefCell<Option<AdapterContext>>,
    state: Cell<AdapterState>,
    paused: Cell<bool>,
    stopped: Cell<bool>,
    wakes: RefCell<Option<mpsc::UnboundedSender<Wake>>>,
    listeners: RefCell<Vec<Listener>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wake {
    /// The page became visible, the network came back.
    Look,
    /// Paused, resumed or stopped.
    Changed,
}

enum Heard {
    Text(String),
    Binary(Vec<u8>),
    Closed,
}

/// How a connection ended.
struct End {
    lived_ms: Option<u64>,
}

impl WebSocketAdapter {
    /// Makes an adapter; it connects once it is given to a repo.
    #[must_use]
    pub fn new(source: UrlSource) -> Self {
        Self(Rc::new(Inner {
            source,
            context: RefCell::new(None),
            state: Cell::new(AdapterState::Off),
            paused: Cell::new(false),
            stopped: Cell::new(false),
            wakes: RefCell::new(None),
            listeners: RefCell::default(),
        }))
    }

    /// Leaves the server and stays away until [`WebSocketAdapter::resume`].
    pub fn pause(&self) {
        self.0.paused.set(true);
        self.0.wake(Wake::Changed);
    }

    /// Connects again after [`WebSocketAdapter::pause`].
    pub fn resume(&self) {
        self.0.paused.set(false);
        self.0.wake(Wake::Changed);
    }
}

impl fmt::Debug for WebSocketAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebSocketAdapter").field(&self.0.state.get()).finish()
    }
}

impl Adapter for WebSocketAdapter {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Network
    }

    fn name(&self) -> &str {
        "websocket"
    }

    fn start(&self, context: AdapterContext) {
        let inner = &self.0;
        *inner.context.borrow_mut() = Some(context.clone());
        let (wakes, woken) = mpsc::unbounded();
        *inner.wakes.borrow_mut() = Some(wakes);
        let look = |weak: Weak<Inner>| {
            move |_| {
                if let Some(inner) = weak.upgrade() {
                    inner.wake(Wake::Look);
                }
            }
        };
        let weak = Rc::downgrade(inner);
        let mut listeners = vec![Listener::global("online", look(weak.clone())), Listener::global("pageshow", look(weak.clone()))];
        if let Some(document) = document() {
            let visible = weak.clone();
            let page = document.clone();
            listeners.push(Listener::new(&document, "visibilitychange", move |_| {
                if let (Some(inner), false) = (visible.upgrade(), page.hidden()) {
                    inner.wake(Wake::Look);
                }
            }));
        }
        *inner.listeners.borrow_mut() = listeners;
        context.env().spawn(Box::pin(run(weak, context.clone(), woken)));
    }

    fn stop(&self) -> LocalBoxFuture<()> {
        self.0.stopped.set(true);
        self.0.listeners.borrow_mut().clear();
        self.0.wake(Wake::Changed);
        *self.0.context.borrow_mut() = None;
        Box::pin(std::future::ready(()))
    }

    fn state(&self) -> AdapterState {
        self.0.state.get()
    }
}

impl Inner {
    fn wake(&self, wake: Wake) {
        if let Some(wakes) = &*self.wakes.borrow() {
            let _ = wakes.unbounded_send(wake);
        }
    }

    fn set_state(&self, state: AdapterState) {
        if self.state.replace(state) != state {
            let context = self.context.borrow().clone();
            if let Some(context) = context {
                context.state_changed();
            }
        }
    }

    fn wanted(&self) -> bool {
        !self.paused.get() && !self.stopped.get()
    }
}

async fn run(weak: Weak<Inner>, context: AdapterContext, mut woken: mpsc::UnboundedReceiver<Wake>) {
    let env = context.env();
    let mut backoff = Backoff::default();
    loop {
        let Some(inner) = weak.upgrade() else { return };
        if inner.stopped.get() {
            return inner.set_state(AdapterState::Closed);
        }
        if inner.paused.get() {
            inner.set_state(AdapterState::Off);
            drop(inner);
            if woken.next().await.is_none() {
                return;
            }
            backoff.reset();
            continue;
        }
        inner.set_state(AdapterState::Connecting);
        let source = inner.source.clone();
        drop(inner);
        let url = match &source {
            UrlSource::Fixed(url) => Ok(url.clone()),
            UrlSource::Asked(ask) => ask().await,
        };
        let opened = match url {
            Ok(url) => open(&url).map_err(|error| (error, matches!(source, UrlSource::Fixed(_)))),
            Err(error) => Err((error, false)),
        };
        let end = match opened {
            Ok(socket) => serve(&weak, &context, &socket, &mut woken).await,
            Err((error, for_good)) => {
                context.report(Problem::Network(error));
                if for_good {
                    if let Some(inner) = weak.upgrade() {
                        inner.set_state(AdapterState::Closed);
                    }
                    return;
                }
                End { lived_ms: None }
            }
        };
        let Some(inner) = weak.upgrade() else { return };
        if !inner.wanted() {
            continue;
        }
        inner.set_state(AdapterState::Waiting);
        drop(inner);
        let pause = backoff.pause_ms(end.lived_ms, env.random_u64());
        // Waking ends the pause: the reason to wait may have passed.
        if let Either::Left((wake, _)) = select(woken.next(), env.sleep(pause)).await {
            if wake.is_none() {
                return;
            }
            backoff.reset();
        }
    }
}

fn open(url: &str) -> Result<WebSocket, RepoError> {
    let socket = WebSocket::new(url).map_err(|error| {
        let reason = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message())).unwrap_or_default();
        RepoError::new(ErrorCode::InvalidArgument, format!("{url:?} is not a WebSocket address: {reason}"))
    })?;
    socket.set_binary_type(BinaryType::Arraybuffer);
    Ok(socket)
}

/// Serves one connection until it ends.
async fn serve(weak: &Weak<Inner>, context: &AdapterContext, socket: &WebSocket, woken: &mut mpsc::UnboundedReceiver<Wake>) -> End {
    let env = context.env();
    let (heard, mut hears) = mpsc::unbounded();
    let listeners = listen(socket, &heard);
    let started = env.now();
    let mut limits = Deadlines { last_heard: started, pinged: None, ready: false };
    let stats = Rc::new(Cell::new(ChannelStats::default()));
    let mut reassembler = frame::Reassembler::new(Limits::default());
    let mut channel: Option<ChannelId> = None;
    let mut ready_at = None;
    loop {
        let tick = env.sleep(limits.next_check(env.now()));
        let event = match select(hears.next(), select(woken.next(), tick)).await {
            Either::Left((event, _)) => event,
            Either::Right((Either::Left((wake, _)), _)) => {
                if !weak.upgrade().is_some_and(|inner| inner.wanted()) {
                    break;
                }
                if wake == Some(Wake::Look) && limits.ready {
                    let _ = socket.send_with_str(frame::PING);
                    limits.pinged = Some((env.now(), WAKE_PONG_WITHIN_MS));
                }
                continue;
            }
            Either::Right((Either::Right(_), _)) => {
                let now = env.now();
                if limits.expired(now) {
                    break;
                }
                if limits.silent(now) {
                    let _ = socket.send_with_str(frame::PING);
                    limits.pinged = Some((now, PONG_WITHIN_MS));
                }
                continue;
            }
        };
        let Some(event) = event else { break };
        limits.heard(env.now());
        match event {
            Heard::Closed => break,
            Heard::Text(text) if text == frame::READY && channel.is_none() => {
                limits.ready = true;
                ready_at = Some(env.now());
                if let Some(inner) = weak.upgrade() {
                    inner.set_state(AdapterState::Open);
                }
                let pipe = SocketChannel { socket: socket.clone(), stats: Rc::clone(&stats), env: env.clone() };
                channel = context.open_channel(Rc::new(pipe), Opening::Initiate);
                if channel.is_none() {
                    break;
                }
            }
            Heard::Text(_) => {}
            Heard::Binary(bytes) => {
                let Some(channel) = channel else { continue };
                let mut counted = stats.get();
                counted.bytes_in += bytes.len() as u64;
                let received = reassembler.push(Bytes::from(bytes), env.now().0);
                if let Ok(messages) = &received {
                    counted.messages_in += messages.len() as u64;
                }
                stats.set(counted);
                match received {
                    Ok(messages) => context.receive(channel, messages),
                    Err(error) => {
                        let error = RepoError::new(ErrorCode::Decode, format!("a frame of the server could not be read: {error}"));
                        context.report(Problem::Network(error));
                    }
                }
                // A message lost in fragments is noticed by nobody else: a new connection compares everything.
                if reassembler.dropped() > 0 {
                    break;
                }
            }
        }
    }
    drop(listeners);
    let _ = socket.close_with_code_and_reason(1000, "Client disconnecting");
    if let Some(channel) = channel {
        context.close_channel(channel);
    }
    let now = env.now();
    End { lived_ms: ready_at.map(|ready: Timestamp| now.since(ready)) }
}

fn listen(socket: &WebSocket, heard: &mpsc::UnboundedSender<Heard>) -> [Listener; 3] {
    let (messages, closed, errors) = (heard.clone(), heard.clone(), heard.clone());
    [
        Listener::new(socket, "message", move |event| {
            let Ok(event) = event.dyn_into::<MessageEvent>() else { return };
            let data: JsValue = event.data();
            let _ = match data.as_string() {
                Some(text) => messages.unbounded_send(Heard::Text(text)),
                None => messages.unbounded_send(Heard::Binary(js_sys::Uint8Array::new(&data).to_vec())),
            };
        }),
        Listener::new(socket, "close", move |event| {
            let _: Result<CloseEvent, _> = event.dyn_into();
            let _ = closed.unbounded_send(Heard::Closed);
        }),
        Listener::new(socket, "error", move |_| {
            let _ = errors.unbounded_send(Heard::Closed);
        }),
    ]
}

/// When a connection has to have said something.
struct Deadlines {
    last_heard: Timestamp,
    pinged: Option<(Timestamp, u64)>,
    ready: bool,
}

impl Deadlines {
    fn heard(&mut self, now: Timestamp) {
        self.last_heard = now;
        self.pinged = None;
    }

    fn next_check(&self, now: Timestamp) -> u64 {
        let due = match self.pinged {
            Some((at, within)) => at.plus(within),
            None if self.ready => self.last_heard.plus(PING_AFTER_MS),
            None => self.last_heard.plus(READY_WITHIN_MS),
        };
        // One more: a timer may fire a fraction early.
        due.since(now) + 1
    }

    fn expired(&self, now: Timestamp) -> bool {
        match self.pinged {
            Some((at, within)) => now.since(at) >= within,
            None => !self.ready && now.since(self.last_heard) >= READY_WITHIN_MS,
        }
    }

    fn silent(&self, now: Timestamp) -> bool {
        self.ready && self.pinged.is_none() && now.since(self.last_heard) >= PING_AFTER_MS
    }
}

struct SocketChannel {
    socket: WebSocket,
    stats: Rc<Cell<ChannelStats>>,
    env: Rc<dyn Env>,
}

impl Channel for SocketChannel {
    fn send(&self, messages: Vec<Message>) {
        if self.socket.ready_state() != WebSocket::OPEN {
            return;
        }
        let frames = frame::encode_transport(&messages, frame::FRAGMENT_THRESHOLD, || self.env.random_u64().to_be_bytes());
        let mut stats = self.stats.get();
        stats.messages_out += messages.len() as u64;
        for bytes in frames {
            stats.bytes_out += bytes.len() as u64;
            // Refused only by a socket that is closing, whose close event follows.
            let _ = self.socket.send_with_u8_array(&bytes);
        }
        self.stats.set(stats);
    }

    fn close(&self) {
        let _ = self.socket.close_with_code_and_reason(1000, "Client disconnecting");
    }

    fn stats(&self) -> ChannelStats {
        self.stats.get()
    }
}
