//! The synchronizer alone: what a message costs with few and many documents and peers, and what they take in memory.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types, missing_docs, reason = "a benchmark")]

use std::{collections::BTreeSet, rc::Rc, time::Instant};

use bytes::Bytes;
use corella::{
    DocId, PeerId, VersionVector,
    protocol::{Capabilities, Identity, Message, PeerType, Role, extension::Head},
    synchronizer::{AllowAll, ChannelId, ChannelKind, Config, Effect, Input, Interest, StoredSize, Synchronizer, Timer, Timestamp},
};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const FOLLOWERS: usize = 2;
const STORE: ChannelId = ChannelId(u64::MAX);

struct Relay {
    sync: Synchronizer,
    followers: usize,
    /// Different exports the last change was relayed with.
    exports: usize,
    counters: Vec<i32>,
    peers: usize,
    now: Timestamp,
    /// Timers that were set for a document or a peer and have not fired.
    timers: Vec<Timer>,
}

fn doc(number: usize) -> DocId {
    DocId::new(&format!("{:08x}-document", number.wrapping_mul(0x9e37_79b9) as u32)).unwrap()
}

fn channel(number: usize) -> ChannelId {
    ChannelId(number as u64 + 1)
}

impl Relay {
    fn new() -> Self {
        let identity = Identity { peer_id: PeerId::from(1), name: None, peer_type: PeerType::Service, capabilities: None };
        let mut sync = Synchronizer::new(Config::new(identity, Interest::Everything), Rc::new(AllowAll));
        drop(sync.update(Input::StoreOpened { channel: STORE, adapter: 0, peer: PeerId::from(2), name: "store".to_owned() }, NOW));
        drop(sync.update(Input::Listed { channel: STORE, docs: Vec::new() }, NOW));
        Self { sync, followers: FOLLOWERS, exports: 0, counters: Vec::new(), peers: 0, now: NOW, timers: Vec::new() }
    }

    fn update(&mut self, input: Input) -> Vec<Effect> {
        let effects = self.sync.update(input, self.now);
        let periodic =
            |timer: &&Timer| matches!(timer, Timer::Compare(_) | Timer::Records(_) | Timer::Digest | Timer::Trim | Timer::Memory);
        let set = effects.iter().filter_map(|effect| if let Effect::SetTimer { timer, .. } = effect { Some(timer) } else { None });
        self.timers.extend(set.filter(|timer| !periodic(timer) && **timer != Timer::StoreDue(STORE)).cloned());
        effects
    }

    /// What was to be done later is done.
    fn wait(&mut self) {
        self.now = self.now.plus(10_000);
        for timer in std::mem::take(&mut self.timers) {
            drop(self.update(Input::TimerFired(timer)));
        }
    }

    fn add_peers(&mut self, count: usize) {
        for number in 0..count {
            let (channel, peer_id) = (channel(number), PeerId::from(number as u64 + 10));
            let capabilities = Some(Capabilities::own(Role::Leaf));
            let identity = Identity { peer_id, name: None, peer_type: PeerType::User, capabilities };
            drop(self.update(Input::ChannelOpened { channel, kind: ChannelKind::Network, initiate: false }));
            drop(self.update(Input::Received { channel, message: Message::EstablishRequest(identity) }));
        }
        self.peers = count;
        self.wait();
    }

    /// The store writes what is due, in which every document has `version`. Returns how many that were.
    fn store(&mut self, version: &VersionVector) -> usize {
        let mut written = 0;
        let mut next = self.update(Input::TimerFired(Timer::StoreDue(STORE)));
        while let Some(docs) = next.iter().find_map(|effect| if let Effect::StoreDocs { docs, .. } = effect { Some(docs) } else { None }) {
            let size = StoredSize { records: 1, update_bytes: 6, ..StoredSize::default() };
            let docs: Vec<_> = docs.iter().map(|write| (write.doc.clone(), version.clone(), size)).collect();
            written += docs.len();
            next = self.update(Input::Stored { channel: STORE, docs, refused: Vec::new() });
        }
        written
    }

    fn follower(&self, number: usize, which: usize) -> ChannelId {
        channel((number + which) % self.peers)
    }

    /// Documents that exist here and that nobody follows yet.
    fn add_docs(&mut self, count: usize) {
        let version = [(7, 1)].into_iter().collect();
        let mut written = 0;
        for number in 0..count {
            let doc = doc(number);
            drop(self.update(Input::DocOpened { doc: doc.clone() }));
            let (stored, nothing, size) = Default::default();
            let loaded = Input::Loaded { channel: STORE, doc: doc.clone(), stored, version: nothing, size, whole: true };
            drop(self.update(loaded));
            drop(self.update(Input::DocChanged { doc, version: [(7, 1)].into_iter().collect() }));
            if number % 64 == 63 {
                // Few at a time: what the disk is told of many would count as memory of theirs.
                written += self.store(&version);
            }
        }
        written += self.store(&version);
        assert_eq!(written, count);
        self.wait();
        self.counters = vec![1; count];
    }

    fn follow(&mut self) {
        for number in 0..self.counters.len() {
            for which in 0..self.followers {
                let head = Head { doc: doc(number), lineage: 0, version: [(7, 1)].into_iter().collect() };
                let message = Message::Heads { heads: vec![head], reply: true };
                drop(self.update(Input::Received { channel: self.follower(number, which), message }));
            }
        }
        self.wait();
    }

    /// One follower changes a document: the change is taken, and goes to the others.
    fn change(&mut self, number: usize) -> usize {
        self.counters[number] += 1;
        let version: VersionVector = [(7, self.counters[number])].into_iter().collect();
        let (id, channel) = (doc(number), self.follower(number, 0));
        let message = Message::Give {
            doc: id.clone(),
            lineage: 0,
            ranges: Vec::new(),
            data: Bytes::from_static(b"change"),
            version: version.clone(),
        };
        let taken = self.update(Input::Received { channel, message });
        assert!(taken.iter().any(|effect| matches!(effect, Effect::ImportDoc { .. })));
        let announced = version.clone();
        let imported = Input::DocImported { doc: id, channel, version: version.clone(), announced, pending: VersionVector::new() };
        let effects = self.update(imported);
        let given = effects.iter().filter(|effect| matches!(effect, Effect::GiveUpdate { .. })).count();
        let bases: BTreeSet<Vec<u8>> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::GiveUpdate { since, .. } => Some(since.encode()),
                _ => None,
            })
            .collect();
        self.exports = bases.len();
        for which in 1..self.followers.min(self.peers) {
            let version: VersionVector = [(7, self.counters[number])].into_iter().collect();
            let message = Message::Ack { doc: doc(number), lineage: 0, version, durable: None, settled: None };
            drop(self.update(Input::Received { channel: self.follower(number, which), message }));
        }
        let stored = self.store(&version);
        assert_eq!(stored, 1);
        self.wait();
        given
    }
}

fn cost(docs: usize, peers: usize) -> f64 {
    let mut relay = Relay::new();
    relay.add_docs(docs);
    relay.add_peers(peers);
    relay.follow();
    let rounds = 20_000;
    let mut best = f64::MAX;
    for repeat in 0..5 {
        let start = Instant::now();
        for round in 0..rounds {
            // Far apart, so that no cache helps.
            let number = (round * 7_919 + repeat * 31) % docs;
            relay.change(number);
        }
        best = best.min(start.elapsed().as_secs_f64() / rounds as f64);
    }
    best * 1e6
}

/// Resident bytes of this process, as far as the system tells.
fn resident() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok().and_then(|text| text.split(' ').nth(1)?.parse::<f64>().ok());
    pages.unwrap_or(f64::NAN) * 4096.0
}

fn grown(work: impl FnOnce()) -> f64 {
    let before = resident();
    work();
    resident() - before
}

fn main() {
    let mut relay = Relay::new();
    let docs = grown(|| relay.add_docs(100_000));
    let peers = grown(|| relay.add_peers(10_000));
    let links = grown(|| relay.follow());
    println!(
        "memory: {:.0} bytes an idle document, {:.0} a peer, {:.0} a document somebody follows, for each who does",
        docs / 1e5,
        peers / 1e4,
        links / (1e5 * FOLLOWERS as f64)
    );
    assert!(relay.change(5) == FOLLOWERS - 1);
    drop(relay);

    println!(
        "synchronizer alone, one thread: a change comes from one follower, goes to the other, is stored and confirmed (timers included)"
    );
    println!("{:>10} {:>8} {:>12} {:>14} {:>10}", "documents", "peers", "us/change", "changes/s", "ratio");
    for peers in [2, 100, 10_000] {
        let mut least = f64::MAX;
        for docs in [10, 1_000, 100_000] {
            let us = cost(docs, peers);
            least = least.min(us);
            println!("{docs:>10} {peers:>8} {us:>12.2} {:>14.0} {:>10.2}", 1e6 / us, us / least);
        }
    }

    let mut relay = Relay::new();
    relay.followers = 1_000;
    relay.add_docs(1);
    relay.add_peers(1_000);
    relay.follow();
    let start = Instant::now();
    let given: usize = (0..100).map(|_| relay.change(0)).sum();
    let us = start.elapsed().as_secs_f64() / given as f64 * 1e6;
    assert_eq!((given, relay.exports), (100 * 999, 1));
    println!("one change to 1,000 subscribers: exported once, {us:.2} us each, confirmations included");
}
