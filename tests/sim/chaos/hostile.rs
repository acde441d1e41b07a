//! A peer that speaks the protocol and lies. Every frame it sends can be decoded; nothing it says can be relied on.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use bytes::Bytes;
use corella::{
    DocId, PeerId, VersionVector,
    protocol::{
        Capabilities, EphemeralPayload, Identity, Message, PeerType, RefusalReason, Role, Tombstone, Transmission,
        extension::{AuthorRange, Head, Part, Sum},
    },
};
use loro::{ExportMode, LoroDoc};

use crate::chance::Chance;

/// What it writes into documents.
pub const MARK: &str = "☠";
/// How the names of documents it makes up begin.
pub const MADE_UP: &str = "phantom-";

/// A node without a repo.
pub struct Hostile {
    pub peer: PeerId,
    /// What it was told about documents, for better lies.
    heard: RefCell<BTreeMap<DocId, VersionVector>>,
    /// Documents it made up.
    pub invented: Cell<u64>,
    /// It speaks to a relay at the moment.
    pub to_relay: Cell<bool>,
    /// It used the id of another peer, and may have seen what that one may see.
    pub posed: Cell<bool>,
}

impl Hostile {
    pub fn new(peer: PeerId) -> Self {
        Self { peer, heard: RefCell::default(), invented: Cell::new(0), to_relay: Cell::new(false), posed: Cell::new(false) }
    }

    pub fn hear(&self, messages: &[Message]) {
        for message in messages {
            match message {
                Message::SyncRequest { doc, version, .. } => {
                    self.heard.borrow_mut().entry(doc.clone()).or_default().merge(version);
                }
                Message::Heads { heads, .. } => {
                    for head in heads {
                        self.heard.borrow_mut().entry(head.doc.clone()).or_default().merge(&head.version);
                    }
                }
                Message::NewDoc { docs } | Message::DirectoryResponse { docs } => {
                    for doc in docs {
                        self.heard.borrow_mut().entry(doc.clone()).or_default();
                    }
                }
                _ => {}
            }
        }
    }

    /// Introduces itself, as itself or as one of `others`.
    pub fn greeting(&self, chance: &Chance, others: &[PeerId], answer: bool) -> Message {
        let other = if chance.percent(20) { chance.pick(others) } else { None };
        self.posed.set(self.posed.get() || other.is_some());
        let peer_id = other.unwrap_or(&self.peer).clone();
        let peer_type = if chance.percent(30) { PeerType::Service } else { PeerType::User };
        let role = if chance.percent(50) { Role::Leaf } else { Role::Relay };
        let capabilities = chance.percent(70).then(|| Capabilities::own(role));
        let identity = Identity { peer_id, name: None, peer_type, capabilities };
        if answer { Message::EstablishResponse(identity) } else { Message::EstablishRequest(identity) }
    }

    /// Makes up what to say next.
    pub fn lies(&self, chance: &Chance, docs: &[&str], others: &[PeerId], names: &[PeerId]) -> Vec<Message> {
        let doc = self.doc(chance, docs);
        match chance.below(24) {
            14 => {
                let head = Head { doc, lineage: self.lineage(chance), version: self.version(chance, docs) };
                vec![Message::Heads { heads: vec![head], reply: chance.percent(50) }]
            }
            15 => vec![Message::Want { doc, lineage: self.lineage(chance), ranges: self.ranges(chance) }],
            16..=18 => {
                let (data, version) = match self.transmission(chance, docs) {
                    Transmission::Snapshot { data, version } | Transmission::Update { data, version } => (data, version),
                    Transmission::UpToDate { version } => (Bytes::new(), version),
                    Transmission::Unavailable | Transmission::Unknown => (Bytes::new(), VersionVector::new()),
                };
                let ranges = if chance.percent(50) { self.ranges(chance) } else { Vec::new() };
                vec![Message::Give { doc, lineage: self.lineage(chance), ranges, data, version }]
            }
            19 => {
                let durable = chance.percent(50).then(|| self.version(chance, docs));
                vec![Message::Ack { doc, lineage: self.lineage(chance), version: self.version(chance, docs), durable, settled: None }]
            }
            20 => {
                let reason = chance
                    .pick(&[RefusalReason::Unavailable, RefusalReason::Mutability, RefusalReason::RateLimited, RefusalReason::Deletion])
                    .copied()
                    .unwrap_or(RefusalReason::Invalid);
                vec![Message::Refusal { doc, reason, retry_ms: chance.percent(50).then(|| chance.next() as u32 % 5_000) }]
            }
            21 => {
                let part = Part { depth: chance.below(20) as u8, prefix: chance.next() };
                let sums = vec![Sum { part: Part { depth: 0, prefix: 0 }, count: chance.next() as u32, hash: chance.next() }];
                vec![Message::Digest { sums, list: vec![part], reply: chance.percent(50), stored: chance.percent(50) }]
            }
            22 => {
                let tombstone = Tombstone { lineage: self.lineage(chance), at: chance.next(), by: self.peer.clone() };
                vec![Message::Deleted { docs: vec![(doc, tombstone)] }]
            }
            23 => vec![Message::Prune { doc }],
            0 => vec![self.greeting(chance, names, chance.percent(50))],
            1 => {
                vec![Message::SyncRequest { doc, version: self.version(chance, docs), ephemeral: None, bidirectional: chance.percent(50) }]
            }
            2 => vec![Message::SyncResponse { doc, transmission: self.transmission(chance, docs), ephemeral: None }],
            3..=5 => vec![Message::Update { doc, transmission: self.transmission(chance, docs) }],
            6 => vec![Message::DirectoryRequest { docs: None }],
            7 => vec![Message::DirectoryResponse { docs: self.inventions(chance) }],
            8 => vec![Message::NewDoc { docs: self.inventions(chance) }],
            9 => vec![Message::DeleteRequest { doc }],
            10 => {
                let data = if chance.percent(50) { Bytes::new() } else { noise(chance, 40) };
                let peer = chance.pick(others).unwrap_or(&self.peer).clone();
                let stores = vec![EphemeralPayload { peer, namespace: "cursors".into(), data }];
                vec![Message::Ephemeral { doc, hops: chance.next() as u32, stores }]
            }
            11 => vec![Message::SyncResponse { doc, transmission: Transmission::Unavailable, ephemeral: None }],
            12 => {
                let question = Message::SyncRequest { doc, version: self.version(chance, docs), ephemeral: None, bidirectional: true };
                vec![question; 100]
            }
            _ => vec![
                Message::DeleteRequest { doc: DocId::from_wire("") },
                Message::NewDoc { docs: vec![DocId::from_wire(&"x".repeat(600))] },
            ],
        }
    }

    /// To relays, which do not believe it: a leaf that has nothing of a document takes whichever creation it is given first.
    fn lineage(&self, chance: &Chance) -> u64 {
        if chance.percent(80) || !self.to_relay.get() { 0 } else { chance.next() >> chance.below(64) }
    }

    fn ranges(&self, chance: &Chance) -> Vec<AuthorRange> {
        let counter = || chance.next() as i32 >> chance.below(31);
        (0..3).map(|_| AuthorRange { author: chance.next(), start: counter(), end: counter() }).collect()
    }

    fn doc(&self, chance: &Chance, docs: &[&str]) -> DocId {
        match chance.pick(docs) {
            Some(doc) if chance.percent(85) => DocId::from_wire(doc),
            _ => self.invent(),
        }
    }

    fn invent(&self) -> DocId {
        self.invented.set(self.invented.get() + 1);
        DocId::from_wire(&format!("{MADE_UP}{}-{}", self.peer, self.invented.get()))
    }

    fn inventions(&self, chance: &Chance) -> Vec<DocId> {
        (0..chance.below(6)).map(|_| self.invent()).collect()
    }

    fn version(&self, chance: &Chance, docs: &[&str]) -> VersionVector {
        let heard = self.heard.borrow();
        let known = chance.pick(docs).and_then(|doc| heard.get(&DocId::from_wire(doc))).cloned().unwrap_or_default();
        match chance.below(5) {
            0 => VersionVector::new(),
            1 => known,
            2 => known.iter().map(|(author, end)| (author, end.saturating_add(chance.below(1_000) as i32))).collect(),
            3 => known.iter().map(|(author, end)| (author, end / 2)).collect(),
            _ => [(chance.next(), i32::MAX), (u64::MAX, 1)].into_iter().collect(),
        }
    }

    fn transmission(&self, chance: &Chance, docs: &[&str]) -> Transmission {
        let version = self.version(chance, docs);
        match chance.below(6) {
            0 => Transmission::UpToDate { version },
            1 => Transmission::Update { data: noise(chance, 200), version },
            2 => Transmission::Snapshot { data: noise(chance, 200), version },
            kind => {
                let forged = LoroDoc::new();
                // Any author but the reserved one.
                let _ = forged.set_peer_id(chance.next() >> 1);
                let text = forged.get_text("text");
                let edits = 1 + chance.below(3);
                for _ in 0..edits {
                    // An empty document takes an insertion at its beginning.
                    let _ = text.insert(0, MARK);
                    forged.commit();
                }
                let whole = forged.oplog_vv();
                let mode = match kind {
                    3 => ExportMode::Snapshot,
                    4 => ExportMode::all_updates(),
                    // Operations without those they depend on.
                    _ => {
                        let mut since = loro::VersionVector::new();
                        since.insert(forged.peer_id(), 1);
                        return Transmission::Update { data: export(&forged, ExportMode::updates(&since)), version };
                    }
                };
                let honest = whole.iter().map(|(author, end)| (*author, *end)).collect();
                Transmission::Update { data: export(&forged, mode), version: if chance.percent(70) { honest } else { version } }
            }
        }
    }
}

fn export(doc: &LoroDoc, mode: ExportMode) -> Bytes {
    doc.export(mode).unwrap().into()
}

fn noise(chance: &Chance, most: u64) -> Bytes {
    (0..chance.below(most)).map(|_| chance.next() as u8).collect::<Vec<_>>().into()
}
