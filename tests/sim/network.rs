//! Links between repos: delayed, ordered, breakable, counted. Every message crosses as bytes.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use corella::{
    protocol::{Limits, Message, Transmission, frame},
    runtime::{Adapter, AdapterContext, AdapterState, Channel, ChannelStats, Env, LocalBoxFuture, Opening},
    synchronizer::{ChannelId, ChannelKind},
};

/// One end of a link, an adapter of its repo.
pub struct End {
    kind: ChannelKind,
    context: RefCell<Option<AdapterContext>>,
    channel: Cell<Option<ChannelId>>,
}

impl Adapter for End {
    fn kind(&self) -> ChannelKind {
        self.kind
    }

    fn name(&self) -> &str {
        "sim"
    }

    fn start(&self, context: AdapterContext) {
        *self.context.borrow_mut() = Some(context);
    }

    fn stop(&self) -> LocalBoxFuture<()> {
        *self.context.borrow_mut() = None;
        Box::pin(std::future::ready(()))
    }

    fn state(&self) -> AdapterState {
        if self.channel.get().is_some() { AdapterState::Open } else { AdapterState::Waiting }
    }
}

/// A link between two repos.
pub struct Link {
    env: Rc<dyn Env>,
    ends: [Rc<End>; 2],
    delay_ms: Cell<u64>,
    /// Counts connections: what was under way when one broke is lost.
    connection: Cell<u64>,
    pub messages: Cell<u64>,
    /// Sent together.
    pub batches: Cell<u64>,
    pub bytes: Cell<u64>,
    counts: Cell<Counts>,
    /// Sides whose messages vanish.
    silent: Cell<[bool; 2]>,
}

/// What crossed a link, in both directions.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub messages: u64,
    pub bytes: u64,
    /// Messages that carry operations.
    pub payloads: u64,
    /// Bytes of those operations.
    pub payload_bytes: u64,
    /// Periodic comparisons.
    pub digests: u64,
    /// Ephemeral state.
    pub ephemeral: u64,
}

impl Counts {
    fn count(&mut self, message: &Message) {
        self.messages += 1;
        let carried = match message {
            Message::Give { data, .. } => Some(data.len()),
            Message::Update { transmission, .. } | Message::SyncResponse { transmission, .. } => match transmission {
                Transmission::Snapshot { data, .. } | Transmission::Update { data, .. } => Some(data.len()),
                Transmission::UpToDate { .. } | Transmission::Unavailable | Transmission::Unknown => None,
            },
            _ => None,
        };
        if let Some(bytes) = carried {
            self.payloads += 1;
            self.payload_bytes += bytes as u64;
        }
        self.digests += u64::from(matches!(message, Message::Digest { .. }));
        self.ephemeral += u64::from(matches!(message, Message::Ephemeral { .. }));
    }

    fn with(self, other: Self, op: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            messages: op(self.messages, other.messages),
            bytes: op(self.bytes, other.bytes),
            payloads: op(self.payloads, other.payloads),
            payload_bytes: op(self.payload_bytes, other.payload_bytes),
            digests: op(self.digests, other.digests),
            ephemeral: op(self.ephemeral, other.ephemeral),
        }
    }
}

impl std::ops::Add for Counts {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }
}

impl std::ops::Sub for Counts {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }
}

struct Pipe {
    link: Rc<Link>,
    from: usize,
    connection: u64,
}

impl Channel for Pipe {
    fn send(&self, messages: Vec<Message>) {
        let link = &self.link;
        link.messages.set(link.messages.get() + messages.len() as u64);
        link.batches.set(link.batches.get() + 1);
        let mut counts = link.counts.get();
        for message in &messages {
            counts.count(message);
        }
        link.counts.set(counts);
        if std::env::var_os("SIM_TRACE").is_some() {
            println!("{} {} {messages:?}", link.env.now().0 % 1_000_000, self.from);
        }
        let mut number = 0u64;
        let frames = frame::encode_transport(&messages, frame::FRAGMENT_THRESHOLD, || {
            number += 1;
            number.to_be_bytes()
        });
        let to = Rc::clone(&link.ends[1 - self.from]);
        link.bytes.set(link.bytes.get() + frames.iter().map(|frame| frame.len() as u64).sum::<u64>());
        let sleep = link.env.sleep(link.delay_ms.get());
        let silent = link.silent.get()[self.from];
        let (carrier, connection) = (Rc::clone(link), self.connection);
        link.env.spawn(Box::pin(async move {
            sleep.await;
            if carrier.connection.get() != connection || silent {
                return;
            }
            let mut reassembler = frame::Reassembler::new(Limits::default());
            for bytes in frames {
                let messages = reassembler.push(bytes.into(), 0).expect("own frames decode");
                let context = to.context.borrow().clone();
                if let (Some(context), Some(channel)) = (context, to.channel.get()) {
                    context.receive(channel, messages);
                }
            }
        }));
    }

    fn close(&self) {
        let link = Rc::clone(&self.link);
        let connection = self.connection;
        self.link.env.spawn(Box::pin(async move {
            if link.connection.get() == connection {
                link.disconnect();
            }
        }));
    }

    fn stats(&self) -> ChannelStats {
        ChannelStats::default()
    }
}

impl Link {
    pub fn new(env: Rc<dyn Env>, kind: ChannelKind, delay_ms: u64) -> Rc<Self> {
        let end = || Rc::new(End { kind, context: RefCell::new(None), channel: Cell::new(None) });
        Rc::new(Self {
            env,
            ends: [end(), end()],
            delay_ms: Cell::new(delay_ms),
            connection: Cell::new(0),
            messages: Cell::new(0),
            batches: Cell::new(0),
            bytes: Cell::new(0),
            counts: Cell::default(),
            silent: Cell::default(),
        })
    }

    /// Returns the adapter for side 0 or 1.
    pub fn end(&self, side: usize) -> Rc<dyn Adapter> {
        self.ends[side].clone()
    }

    /// Connects the two sides; side 0 begins the handshake.
    pub fn connect(self: &Rc<Self>) {
        self.disconnect();
        let connection = self.connection.get();
        for side in [1, 0] {
            let context = self.ends[side].context.borrow().clone();
            let Some(context) = context else { continue };
            let pipe = Rc::new(Pipe { link: Rc::clone(self), from: side, connection });
            let opening = if side == 0 { Opening::Initiate } else { Opening::Await };
            let sent_before = self.ends[side].channel.get();
            assert_eq!(sent_before, None);
            let channel = context.open_channel(pipe, opening);
            self.ends[side].channel.set(channel);
        }
    }

    /// Has one side's end say something that no repo said, as a peer with a mind of its own would.
    pub fn inject(self: &Rc<Self>, side: usize, message: Message) {
        Pipe { link: Rc::clone(self), from: side, connection: self.connection.get() }.send(vec![message]);
    }

    /// Has what one side sends vanish, without anybody noticing.
    pub fn silence(&self, side: usize, silent: bool) {
        let mut sides = self.silent.get();
        sides[side] = silent;
        self.silent.set(sides);
    }

    pub fn counts(&self) -> Counts {
        Counts { bytes: self.bytes.get(), ..self.counts.get() }
    }

    pub fn is_down(&self) -> bool {
        self.ends[0].channel.get().is_none()
    }

    /// Breaks the connection: both sides notice, what was under way is lost.
    pub fn disconnect(&self) {
        self.connection.set(self.connection.get() + 1);
        for end in &self.ends {
            let context = end.context.borrow().clone();
            if let (Some(context), Some(channel)) = (context, end.channel.take()) {
                context.close_channel(channel);
            }
        }
    }
}
