//! Links that break in every way a socket can: silently, on one side only, again and again. Some lose frames, which a socket does not.
//!
//! Side 0 is the client: it connects whenever it believes that it is not connected, while side 1 may still hold dead connections.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use corella::{
    protocol::{Limits, Message, frame},
    runtime::{Adapter, AdapterContext, AdapterState, Channel, ChannelStats, Env, LocalBoxFuture, Opening},
    synchronizer::{ChannelId, ChannelKind},
};

use super::{
    hostile::Hostile,
    trace::{Trace, brief},
};
use crate::{chance::Chance, life::Life};

/// What stands at one side of a wire.
#[derive(Clone)]
pub enum End {
    Nobody,
    Repo(Rc<RepoEnd>),
    Hostile(Rc<Hostile>),
}

/// A wire's end in one life of a repo.
pub struct RepoEnd {
    kind: ChannelKind,
    life: Rc<Life>,
    context: RefCell<Option<AdapterContext>>,
}

impl Adapter for RepoEnd {
    fn kind(&self) -> ChannelKind {
        self.kind
    }

    fn name(&self) -> &str {
        "wire"
    }

    fn start(&self, context: AdapterContext) {
        *self.context.borrow_mut() = Some(context);
    }

    fn stop(&self) -> LocalBoxFuture<()> {
        *self.context.borrow_mut() = None;
        Box::pin(std::future::ready(()))
    }

    fn state(&self) -> AdapterState {
        AdapterState::Open
    }
}

impl End {
    /// Returns whether there is somebody to connect to.
    fn is_there(&self) -> bool {
        match self {
            Self::Nobody => false,
            Self::Repo(end) => end.life.is_alive() && end.context.borrow().is_some(),
            Self::Hostile(_) => true,
        }
    }
}

/// One connection, as each of its sides sees it.
struct Connection {
    sides: [Side; 2],
}

struct Side {
    /// `None` once this side believes that the connection is gone.
    channel: Cell<Option<ChannelId>>,
    /// What it sends vanishes.
    mute: Cell<bool>,
    /// When the last frame it sent arrives: a socket keeps the order.
    last: Cell<u64>,
    reassembler: RefCell<frame::Reassembler>,
}

impl Side {
    fn new() -> Self {
        let reassembler = RefCell::new(frame::Reassembler::new(Limits::default()));
        Self { channel: Cell::new(None), mute: Cell::new(false), last: Cell::new(0), reassembler }
    }
}

/// Percentages of frames of a lossy wire.
#[derive(Debug, Clone, Copy, Default)]
pub struct Noise {
    pub lost: u64,
    pub doubled: u64,
    pub late: u64,
}

/// Messages handed to a wire so far, whether they arrived or not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traffic {
    pub ephemeral: u64,
    pub other: u64,
}

/// Sees each message before it is sent: from which node to which.
pub type Watch = Rc<dyn Fn(usize, usize, &Message)>;

/// A link between two nodes.
pub struct Wire {
    pub number: usize,
    pub kind: ChannelKind,
    pub nodes: [usize; 2],
    pub lossy: bool,
    env: Rc<dyn Env>,
    chance: Chance,
    trace: Rc<Trace>,
    watch: Watch,
    ends: RefCell<[End; 2]>,
    connections: RefCell<Vec<Rc<Connection>>>,
    delay_ms: u64,
    jitter_ms: u64,
    threshold: usize,
    batches: Cell<u64>,
    pub noise: Cell<Noise>,
    /// Nobody gets a new connection.
    pub blocked: Cell<bool>,
    pub traffic: Cell<Traffic>,
}

/// How a wire behaves for as long as the world exists.
#[derive(Debug, Clone)]
pub struct WirePlan {
    pub kind: ChannelKind,
    pub nodes: [usize; 2],
    pub lossy: bool,
    pub delay_ms: u64,
    pub jitter_ms: u64,
    pub threshold: usize,
}

struct Pipe {
    wire: Rc<Wire>,
    life: Rc<Life>,
    side: usize,
    connection: Rc<Connection>,
}

impl Channel for Pipe {
    fn send(&self, messages: Vec<Message>) {
        if self.life.step() {
            self.wire.send(&self.connection, self.side, &messages);
        }
    }

    fn close(&self) {
        // The other side hears of it as late as of everything else.
        self.connection.sides.iter().for_each(|side| side.mute.set(true));
        self.connection.sides[self.side].channel.set(None);
        let (wire, connection, other) = (Rc::clone(&self.wire), Rc::clone(&self.connection), 1 - self.side);
        let sleep = self.wire.env.sleep(self.wire.delay_ms);
        self.wire.env.spawn(Box::pin(async move {
            sleep.await;
            wire.hang_up(&connection, other);
        }));
    }

    fn stats(&self) -> ChannelStats {
        ChannelStats::default()
    }
}

impl Wire {
    pub fn new(number: usize, plan: &WirePlan, env: Rc<dyn Env>, seed: u64, trace: Rc<Trace>, watch: Watch) -> Rc<Self> {
        Rc::new(Self {
            number,
            kind: plan.kind,
            nodes: plan.nodes,
            lossy: plan.lossy,
            env,
            chance: Chance::new(seed),
            trace,
            watch,
            ends: RefCell::new([End::Nobody, End::Nobody]),
            connections: RefCell::default(),
            delay_ms: plan.delay_ms,
            jitter_ms: plan.jitter_ms,
            threshold: plan.threshold,
            batches: Cell::new(0),
            noise: Cell::default(),
            blocked: Cell::new(false),
            traffic: Cell::default(),
        })
    }

    pub fn side_of(&self, node: usize) -> Option<usize> {
        self.nodes.iter().position(|known| *known == node)
    }

    pub fn other(&self, node: usize) -> Option<usize> {
        self.side_of(node).map(|side| self.nodes[1 - side])
    }

    /// Makes the end for a repo that begins to live at `side`.
    pub fn attach(&self, side: usize, life: &Rc<Life>) -> Rc<dyn Adapter> {
        let end = Rc::new(RepoEnd { kind: self.kind, life: Rc::clone(life), context: RefCell::default() });
        self.ends.borrow_mut()[side] = End::Repo(Rc::clone(&end));
        end
    }

    pub fn attach_hostile(&self, side: usize, hostile: &Rc<Hostile>) {
        self.ends.borrow_mut()[side] = End::Hostile(Rc::clone(hostile));
    }

    fn end(&self, side: usize) -> End {
        self.ends.borrow()[side].clone()
    }

    /// Returns whether both sides believe in the same connection and it carries what they say.
    pub fn is_up(&self) -> bool {
        self.connections
            .borrow()
            .iter()
            .any(|connection| connection.sides.iter().all(|side| side.channel.get().is_some() && !side.mute.get()))
    }

    fn believes(&self, side: usize) -> bool {
        self.connections.borrow().iter().any(|connection| connection.sides[side].channel.get().is_some())
    }

    /// Connects, if the client does not believe that it is connected and nothing is in the way.
    pub fn connect(self: &Rc<Self>) -> bool {
        self.connect_beside()
    }

    /// As [`Wire::connect`], whatever else the other side still believes in.
    pub fn connect_beside(self: &Rc<Self>) -> bool {
        let ends = [self.end(0), self.end(1)];
        if self.blocked.get() || self.believes(0) || !ends.iter().all(End::is_there) {
            return false;
        }
        let connection = Rc::new(Connection { sides: [Side::new(), Side::new()] });
        self.connections.borrow_mut().push(Rc::clone(&connection));
        // The waiting side first, so that it knows the channel when the request arrives.
        for side in [1, 0] {
            match &ends[side] {
                End::Nobody => {}
                End::Hostile(_) => connection.sides[side].channel.set(Some(ChannelId(0))),
                End::Repo(end) => {
                    let Some(context) = end.context.borrow().clone() else { continue };
                    let pipe = Pipe { wire: Rc::clone(self), life: Rc::clone(&end.life), side, connection: Rc::clone(&connection) };
                    let opening = if side == 0 { Opening::Initiate } else { Opening::Await };
                    connection.sides[side].channel.set(context.open_channel(Rc::new(pipe), opening));
                }
            }
        }
        true
    }

    /// `side` notices that a connection is gone; the other one goes on believing.
    fn hang_up(&self, connection: &Connection, side: usize) {
        connection.sides.iter().for_each(|side| side.mute.set(true));
        let Some(channel) = connection.sides[side].channel.take() else { return };
        if let End::Repo(end) = self.end(side) {
            let context = end.context.borrow().clone();
            if let Some(context) = context.filter(|_| end.life.is_alive()) {
                context.close_channel(channel);
            }
        }
    }

    /// `side` notices that all its connections are gone.
    pub fn drop_side(&self, side: usize) {
        let connections = self.connections.borrow().clone();
        for connection in &connections {
            self.hang_up(connection, side);
        }
        self.connections.borrow_mut().retain(|connection| connection.sides.iter().any(|side| side.channel.get().is_some()));
    }

    pub fn disconnect(&self) {
        self.drop_side(0);
        self.drop_side(1);
    }

    /// What `side` says from now on vanishes; nobody notices.
    pub fn mute(&self, side: usize) {
        for connection in self.connections.borrow().iter() {
            connection.sides[side].mute.set(true);
        }
    }

    /// Ends connections of which one side or the other already knows that they are gone, or which carry nothing one way.
    pub fn sweep(&self) {
        let broken: Vec<_> = {
            let connections = self.connections.borrow();
            let is_broken =
                |connection: &&Rc<Connection>| connection.sides.iter().any(|side| side.channel.get().is_none() || side.mute.get());
            connections.iter().filter(is_broken).cloned().collect()
        };
        for connection in broken {
            self.hang_up(&connection, 0);
            self.hang_up(&connection, 1);
        }
        self.connections.borrow_mut().retain(|connection| connection.sides.iter().any(|side| side.channel.get().is_some()));
    }

    /// The repo at `side` has died: its side of everything is gone without a word.
    pub fn detach(&self, side: usize) {
        self.ends.borrow_mut()[side] = End::Nobody;
        for connection in self.connections.borrow().iter() {
            connection.sides.iter().for_each(|side| side.mute.set(true));
            connection.sides[side].channel.set(None);
        }
    }

    /// Says something in the name of `side`, where no repo is.
    pub fn inject(self: &Rc<Self>, side: usize, messages: &[Message]) {
        let connection = self.connections.borrow().iter().rev().find(|c| c.sides[side].channel.get().is_some()).cloned();
        if let Some(connection) = connection {
            self.send(&connection, side, messages);
        }
    }

    fn send(self: &Rc<Self>, connection: &Rc<Connection>, from: usize, messages: &[Message]) {
        let mute = connection.sides[from].mute.get();
        for message in messages {
            (self.watch)(self.nodes[from], self.nodes[1 - from], message);
            let mut traffic = self.traffic.get();
            match message {
                Message::Ephemeral { .. } => traffic.ephemeral += 1,
                _ => traffic.other += 1,
            }
            self.traffic.set(traffic);
            if self.trace.printing {
                let lost = if mute { " (vanishes)" } else { "" };
                self.trace.print(&format!("  {} → {}: {}{lost}", self.nodes[from], self.nodes[1 - from], brief(message)));
            }
        }
        if mute {
            return;
        }
        let frames = frame::encode_transport(messages, self.threshold, || {
            self.batches.set(self.batches.get() + 1);
            self.batches.get().to_be_bytes()
        });
        for bytes in frames {
            let noise = if self.lossy { self.noise.get() } else { Noise::default() };
            if self.chance.percent(noise.lost) {
                self.trace.print("    a frame of it is lost");
                continue;
            }
            if self.chance.percent(noise.doubled) {
                self.carry(connection, from, bytes.clone(), false);
            }
            let late = self.chance.percent(noise.late);
            self.carry(connection, from, bytes, late);
        }
    }

    /// Delivers a frame after its delay, in order unless it is `late`.
    fn carry(self: &Rc<Self>, connection: &Rc<Connection>, from: usize, bytes: Vec<u8>, late: bool) {
        let now = self.env.now().0;
        let side = &connection.sides[from];
        let delay = self.delay_ms + self.chance.below(self.jitter_ms + 1);
        let at = if late { now + delay + self.chance.below(2_000) } else { (now + delay).max(side.last.get()) };
        if !late {
            side.last.set(at);
        }
        let sleep = self.env.sleep(at - now);
        let (wire, connection) = (Rc::clone(self), Rc::clone(connection));
        self.env.spawn(Box::pin(async move {
            sleep.await;
            wire.deliver(&connection, 1 - from, bytes);
        }));
    }

    fn deliver(&self, connection: &Connection, to: usize, bytes: Vec<u8>) {
        let Some(channel) = connection.sides[to].channel.get() else { return };
        self.trace.frame(self.number, to, &bytes);
        // A frame some fragments of which were lost or doubled is lost with them.
        let now = self.env.now().0;
        let Ok(messages) = connection.sides[to].reassembler.borrow_mut().push(bytes.into(), now) else { return };
        match self.end(to) {
            End::Nobody => {}
            End::Hostile(hostile) => hostile.hear(&messages),
            End::Repo(end) => {
                let context = end.context.borrow().clone();
                if let Some(context) = context.filter(|_| end.life.is_alive()) {
                    context.receive(channel, messages);
                }
            }
        }
    }
}
