//! One socket, from opening to its end. Decides when it counts as ready and when as dead.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
};

use bytes::Bytes;
use futures_channel::mpsc;
use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::JsCast;
use web_sys::{BinaryType, CloseEvent, MessageEvent, WebSocket};

use super::{super::listener::Listener, Event, sharing::Stay, traffic::Traffic};
use crate::{
    protocol::{
        Limits, Message,
        frame::{self, Reassembler},
        sessions::{SESSIONS, SessionPayload},
    },
    runtime::{AdapterContext, Channel, ChannelStats, Env, ErrorCode, Opening, RepoError},
    synchronizer::ChannelId,
};

/// How long a socket may take to open and the server then to say that it is ready, each.
const READY_MS: u64 = 10_000;
const PING_EVERY_MS: u64 = 20_000;
/// How long the answer to a ping may take.
const PONG_MS: u64 = 10_000;
/// A timer this late says that the machine slept or the tab was throttled: nothing follows from a deadline that passed meanwhile.
const JUMP_MS: u64 = 5_000;

/// What a socket says.
pub(super) enum SocketEvent {
    Open,
    Text(String),
    Binary(Bytes),
    Closed(String),
    /// The repo has closed the pipe.
    Dropped,
}

/// Why a socket is of no more use.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost(pub(super) String);

enum Phase {
    Opening,
    Greeting,
    Ready(ChannelId, Rc<Pipe>),
}

/// A socket and what is known of it. Closed when dropped.
pub(super) struct Connection {
    number: u64,
    socket: WebSocket,
    context: AdapterContext,
    env: Rc<dyn Env>,
    events: mpsc::UnboundedSender<Event>,
    reassembler: RefCell<Reassembler>,
    phase: RefCell<Phase>,
    ready_at: Cell<Option<u64>>,
    due: Cell<u64>,
    awaits_pong: Cell<bool>,
    /// The tabs it may be of use to.
    tabs: Option<Weak<Stay>>,
    /// Whether the server takes several tabs on one socket, once it has said so.
    carries: Cell<Option<bool>>,
    _listeners: [Listener; 4],
}

impl Connection {
    /// Opens a socket; fails if the URL is none.
    pub(super) fn open(
        number: u64,
        url: &str,
        context: AdapterContext,
        events: mpsc::UnboundedSender<Event>,
        tabs: Option<Weak<Stay>>,
    ) -> Result<Self, RepoError> {
        let socket = WebSocket::new(url).map_err(|error| {
            let reason = error.dyn_ref::<web_sys::DomException>().map_or_else(|| format!("{error:?}"), web_sys::DomException::message);
            RepoError::new(ErrorCode::InvalidArgument, format!("{url:?} cannot be the URL of a WebSocket: {reason}"))
        })?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let tell = |event: &'static str, read: fn(&web_sys::Event) -> Option<SocketEvent>| {
            let events = events.clone();
            Listener::new(&socket, event, move |event| {
                if let Some(event) = read(&event) {
                    let _ = events.unbounded_send(Event::Socket(number, event));
                }
            })
        };
        let listeners = [
            tell("open", |_| Some(SocketEvent::Open)),
            tell("message", read_message),
            tell("close", |event| Some(SocketEvent::Closed(describe_close(event.unchecked_ref())))),
            // A close event follows, but may take its time.
            tell("error", |_| Some(SocketEvent::Closed("the connection failed".to_owned()))),
        ];
        let env = context.env();
        let due = Cell::new(env.now().0 + READY_MS);
        Ok(Self {
            number,
            socket,
            context,
            env,
            events,
            reassembler: RefCell::new(Reassembler::new(Limits::default())),
            phase: RefCell::new(Phase::Opening),
            ready_at: Cell::new(None),
            due,
            awaits_pong: Cell::new(false),
            tabs,
            carries: Cell::new(None),
            _listeners: listeners,
        })
    }

    /// Returns when [`Connection::on_due`] is to be called, in milliseconds since the Unix epoch.
    pub(super) fn due(&self) -> u64 {
        self.due.get()
    }

    /// Returns whether messages can travel.
    pub(super) fn is_ready(&self) -> bool {
        self.ready_at.get().is_some()
    }

    /// Returns its number.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the socket.
    pub(super) fn socket(&self) -> &WebSocket {
        &self.socket
    }

    /// Returns whether the server takes several tabs on it; `None` as long as that is not known.
    pub(super) fn carries(&self) -> Option<bool> {
        self.carries.get()
    }

    /// Returns for how long messages could travel.
    pub(super) fn up_ms(&self) -> u64 {
        self.ready_at.get().map_or(0, |at| self.env.now().0.saturating_sub(at))
    }

    pub(super) fn on_event(&self, number: u64, event: SocketEvent) -> Result<(), Lost> {
        if number != self.number {
            return Ok(());
        }
        // Whatever arrives proves the socket alive.
        self.awaits_pong.set(false);
        match event {
            SocketEvent::Open => {
                let mut phase = self.phase.borrow_mut();
                if matches!(*phase, Phase::Opening) {
                    *phase = Phase::Greeting;
                    self.due.set(self.env.now().0 + READY_MS);
                }
            }
            SocketEvent::Text(text) if text == frame::READY => return self.become_ready(),
            SocketEvent::Text(text) => {
                // A server that does not know the question ignores it, and answers the ping that follows it.
                if self.tabs.is_some() && self.carries.get().is_none() {
                    self.carries.set(Some(text == SESSIONS));
                }
                self.next_ping();
            }
            SocketEvent::Binary(bytes) if self.carries.get() == Some(true) && SessionPayload::is_one(&bytes) => {
                self.next_ping();
                if let Some(tabs) = self.tabs.as_ref().and_then(Weak::upgrade) {
                    tabs.arrived(&bytes);
                }
            }
            SocketEvent::Binary(bytes) => self.take(bytes),
            SocketEvent::Closed(reason) => return Err(Lost(reason)),
            SocketEvent::Dropped => return Err(Lost("the repo closed the channel".to_owned())),
        }
        Ok(())
    }

    /// Asks a ready socket whether it is alive.
    pub(super) fn probe(&self) {
        if self.is_ready() && !self.awaits_pong.replace(true) {
            self.ping();
        }
    }

    pub(super) fn on_due(&self) -> Result<(), Lost> {
        let late = self.env.now().0.saturating_sub(self.due.get());
        match &*self.phase.borrow() {
            Phase::Opening => return Err(Lost("the server did not answer in time".to_owned())),
            Phase::Greeting => return Err(Lost("the server did not say that it is ready".to_owned())),
            Phase::Ready(..) => {}
        }
        if self.awaits_pong.get() && late < JUMP_MS {
            return Err(Lost("the server has gone silent".to_owned()));
        }
        self.awaits_pong.set(true);
        self.ping();
        Ok(())
    }

    /// Says goodbye.
    pub(super) fn leave(&self) {
        let _ = self.socket.close_with_code_and_reason(1000, "Client disconnecting");
    }

    fn become_ready(&self) -> Result<(), Lost> {
        if self.is_ready() {
            return Ok(());
        }
        let pipe = Rc::new(Pipe {
            number: self.number,
            socket: self.socket.clone(),
            env: Rc::clone(&self.env),
            events: self.events.clone(),
            closed: Cell::new(false),
            traffic: Traffic::default(),
        });
        self.ready_at.set(Some(self.env.now().0));
        self.next_ping();
        if self.tabs.is_some() {
            let _ = self.socket.send_with_str(SESSIONS);
            let _ = self.socket.send_with_str(frame::PING);
        }
        let channel = self.context.open_channel(Rc::clone(&pipe) as Rc<dyn Channel>, Opening::Initiate);
        let channel = channel.ok_or_else(|| Lost("the repo is gone".to_owned()))?;
        *self.phase.borrow_mut() = Phase::Ready(channel, pipe);
        Ok(())
    }

    fn take(&self, bytes: Bytes) {
        self.next_ping();
        let (channel, pipe) = match &*self.phase.borrow() {
            Phase::Ready(channel, pipe) if !pipe.closed.get() => (*channel, Rc::clone(pipe)),
            _ => return,
        };
        let length = bytes.len();
        let read = self.reassembler.borrow_mut().push(bytes, self.env.now().0);
        pipe.traffic.received(&self.context, channel, length, read);
    }

    fn next_ping(&self) {
        if self.is_ready() {
            self.due.set(self.env.now().0 + PING_EVERY_MS);
        }
    }

    fn ping(&self) {
        let _ = self.socket.send_with_str(frame::PING);
        self.due.set(self.env.now().0 + PONG_MS);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if matches!(self.socket.ready_state(), WebSocket::CONNECTING | WebSocket::OPEN) {
            let _ = self.socket.close();
        }
        let phase = std::mem::replace(&mut *self.phase.borrow_mut(), Phase::Opening);
        if let Phase::Ready(channel, pipe) = phase
            && !pipe.closed.replace(true)
        {
            self.context.close_channel(channel);
        }
    }
}

fn read_message(event: &web_sys::Event) -> Option<SocketEvent> {
    let data = event.unchecked_ref::<MessageEvent>().data();
    if let Some(text) = data.as_string() {
        return Some(SocketEvent::Text(text));
    }
    let buffer = data.dyn_into::<ArrayBuffer>().ok()?;
    Some(SocketEvent::Binary(Uint8Array::new(&buffer).to_vec().into()))
}

fn describe_close(event: &CloseEvent) -> String {
    match event.reason() {
        reason if reason.is_empty() => format!("the connection was closed with code {}", event.code()),
        reason => format!("the connection was closed with code {}: {reason}", event.code()),
    }
}

/// The repo's end of a ready socket.
struct Pipe {
    number: u64,
    socket: WebSocket,
    env: Rc<dyn Env>,
    events: mpsc::UnboundedSender<Event>,
    closed: Cell<bool>,
    traffic: Traffic,
}

impl Channel for Pipe {
    fn send(&self, messages: Vec<Message>) {
        if self.closed.get() || self.socket.ready_state() != WebSocket::OPEN {
            return;
        }
        for payload in self.traffic.payloads(&messages, &*self.env) {
            let _ = self.socket.send_with_u8_array(&payload);
        }
    }

    fn close(&self) {
        if !self.closed.replace(true) {
            let _ = self.events.unbounded_send(Event::Socket(self.number, SocketEvent::Dropped));
        }
    }

    fn stats(&self) -> ChannelStats {
        self.traffic.stats()
    }
}
