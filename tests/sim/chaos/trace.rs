//! What happened in a schedule: a hash that two equal runs share, and with `SIM_TRACE=1` one line for each event.

use std::{cell::Cell, rc::Rc};

use corella::protocol::{Message, Transmission};

use crate::world::Clock;
use corella::runtime::Env;

/// Hears of every action and of every delivered frame.
pub struct Trace {
    clock: Rc<Clock>,
    begun: u64,
    hash: Cell<u64>,
    pub printing: bool,
}

impl Trace {
    pub fn new(clock: &Rc<Clock>) -> Rc<Self> {
        let printing = std::env::var("SIM_TRACE").is_ok_and(|value| value != "0" && !value.is_empty());
        Rc::new(Self { clock: Rc::clone(clock), begun: clock.now().0, hash: Cell::new(0xcbf2_9ce4_8422_2325), printing })
    }

    pub fn hash(&self) -> u64 {
        self.hash.get()
    }

    /// Something was done to the world.
    pub fn action(&self, text: &str) {
        self.fold(text.as_bytes());
        self.print(text);
    }

    /// A frame arrives on side `to` of link `link`.
    pub fn frame(&self, link: usize, to: usize, bytes: &[u8]) {
        self.fold(&[link as u8, to as u8]);
        self.fold(bytes);
    }

    pub fn print(&self, text: &str) {
        if self.printing {
            println!("{:>8} ms  {text}", self.clock.now().0 - self.begun);
        }
    }

    fn fold(&self, bytes: &[u8]) {
        let mut hash = self.hash.get();
        for byte in self.clock.now().0.to_le_bytes().iter().chain(bytes) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.hash.set(hash);
    }
}

/// Describes a message in a few words.
pub fn brief(message: &Message) -> String {
    let given = |transmission: &Transmission| match transmission {
        Transmission::UpToDate { version } => format!("up to date {version:?}"),
        Transmission::Snapshot { data, version } => format!("snapshot of {} bytes, {version:?}", data.len()),
        Transmission::Update { data, version } => format!("update of {} bytes, {version:?}", data.len()),
        Transmission::Unavailable => "unavailable".to_owned(),
        Transmission::Unknown => "unknown".to_owned(),
    };
    match message {
        Message::SyncResponse { doc, transmission, .. } => format!("sync-response {doc}: {}", given(transmission)),
        Message::Update { doc, transmission } => format!("update {doc}: {}", given(transmission)),
        Message::SyncRequest { doc, version, bidirectional, .. } => format!("sync-request {doc}: {version:?} both ways: {bidirectional}"),
        Message::Ephemeral { doc, hops, .. } => format!("ephemeral {doc}, {hops} hops"),
        other => format!("{other:?}").chars().take(200).collect(),
    }
}
