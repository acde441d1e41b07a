//! What it costs two peers to find out which of many documents differ.

use std::collections::VecDeque;

use super::*;
use crate::{
    collections::SortedSet,
    protocol::{Capabilities, codec},
};

const CHANNEL: ChannelId = ChannelId(1);

/// Two synchronizers and the wire between them; operations are only counted, documents do not exist.
struct Pair {
    /// What is done to messages on their way.
    fault: Fault,
    sides: [Synchronizer; 2],
    now: Timestamp,
    wire: VecDeque<(usize, Message)>,
    timers: Vec<(u64, usize, Timer)>,
    messages: usize,
    bytes: usize,
    delivered: usize,
    /// Which of the messages delivered are second ones.
    doubled: SortedSet<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Every message overtakes those that wait with it.
    Reordered,
    /// Every message comes twice, the second time after all that wait with it.
    Doubled,
}

impl Pair {
    fn new(interests: [Interest; 2]) -> Self {
        let side = |peer: &str, interest| Synchronizer::new(Config::new(id(peer, PeerType::User), interest), Rc::new(AllowAll));
        let [one, two] = interests;
        Self {
            fault: Fault::None,
            sides: [side("1", one), side("2", two)],
            now: NOW,
            wire: VecDeque::new(),
            timers: Vec::new(),
            messages: 0,
            bytes: 0,
            delivered: 0,
            doubled: SortedSet::new(),
        }
    }

    fn on(&mut self, side: usize, input: Input) {
        let effects = self.sides[side].update(input, self.now);
        for effect in effects {
            match effect {
                Effect::Send { message, .. } => self.send(side, message),
                Effect::GiveUpdate { doc, lineage, .. } => {
                    let version = self.sides[side].model.version(&doc);
                    self.send(side, Message::Give { doc, lineage, ranges: Vec::new(), data: Bytes::new(), version });
                }
                Effect::GiveRanges { doc, lineage, ranges, .. } => {
                    let version = self.sides[side].model.version(&doc);
                    self.send(side, Message::Give { doc, lineage, ranges, data: Bytes::new(), version });
                }
                Effect::ImportDoc { doc, channel, announced, .. } => {
                    let mut version = self.sides[side].model.version(&doc);
                    version.merge(&announced);
                    self.on(side, Input::DocImported { doc, channel, version, announced, pending: VersionVector::new() });
                }
                Effect::SetTimer { timer, after_ms } => self.timers.push((self.now.0 + after_ms, side, timer)),
                _ => {}
            }
        }
    }

    fn send(&mut self, side: usize, message: Message) {
        let mut bytes = Vec::new();
        codec::encode(&message, &mut bytes);
        self.messages += 1;
        self.bytes += bytes.len();
        self.wire.push_back((1 - side, message));
    }

    fn next(&mut self) -> Option<(usize, Message)> {
        match self.fault {
            Fault::None => self.wire.pop_front(),
            Fault::Reordered => self.wire.pop_back(),
            Fault::Doubled => {
                let next = self.wire.pop_front()?;
                if !self.doubled.remove(&self.delivered) {
                    self.doubled.insert(self.delivered + 1 + self.wire.len());
                    self.wire.push_back(next.clone());
                }
                self.delivered += 1;
                Some(next)
            }
        }
    }

    /// Delivers everything, and lets `ms` milliseconds pass.
    fn run(&mut self, ms: u64) {
        let end = self.now.0 + ms;
        loop {
            while let Some((side, message)) = self.next() {
                self.on(side, Input::Received { channel: CHANNEL, message });
            }
            let next = (0..self.timers.len()).min_by_key(|at| (self.timers[*at].0, *at)).filter(|at| self.timers[*at].0 <= end);
            let Some(next) = next else { break };
            let (at, side, timer) = self.timers.remove(next);
            self.now = Timestamp(at.max(self.now.0));
            self.on(side, Input::TimerFired(timer));
        }
        self.now = Timestamp(end);
    }

    fn connect(&mut self) {
        self.on(1, Input::ChannelOpened { channel: CHANNEL, kind: ChannelKind::Network, initiate: false });
        self.on(0, Input::ChannelOpened { channel: CHANNEL, kind: ChannelKind::Network, initiate: true });
    }

    fn disconnect(&mut self) {
        self.wire.clear();
        for side in 0..2 {
            self.on(side, Input::ChannelClosed { channel: CHANNEL });
        }
    }

    fn spent(&mut self) -> (usize, usize) {
        (std::mem::take(&mut self.messages), std::mem::take(&mut self.bytes))
    }

    /// Both sides have `count` documents with one operation each and know it.
    fn with_docs(interests: [Interest; 2], count: usize) -> Self {
        let mut pair = Self::new(interests);
        for number in 0..count {
            for side in 0..2 {
                pair.on(side, Input::DocOpened { doc: name(number) });
                pair.on(side, Input::DocChanged { doc: name(number), version: vv(&[(7, 1)]) });
            }
        }
        pair.connect();
        pair.run(5_000);
        pair.spent();
        pair
    }

    fn differing(&self, count: usize) -> usize {
        (0..count).filter(|number| self.sides[0].model.version(&name(*number)) != self.sides[1].model.version(&name(*number))).count()
    }
}

fn name(number: usize) -> DocId {
    doc(&format!("document {number}"))
}

#[test]
fn ten_thousand_unchanged_documents_cost_a_few_short_messages() {
    for interests in [[Interest::Opened; 2], [Interest::Everything; 2], [Interest::Opened, Interest::Everything]] {
        let mut pair = Pair::with_docs(interests, 10_000);
        pair.run(DIGEST_PERIOD_MS);
        let (messages, bytes) = pair.spent();
        assert!(messages <= 4 && bytes <= 2_000, "a period: {messages} messages, {bytes} bytes");
        pair.disconnect();
        pair.spent();
        pair.connect();
        pair.run(10_000);
        // Two of them are the handshake.
        let (messages, bytes) = pair.spent();
        assert!(messages <= 2 + 4 && bytes <= 2_000, "a return: {messages} messages, {bytes} bytes");
        for side in &pair.sides {
            assert!(side.ready_states(&name(77)).iter().all(|state| state.status == ReadyStatus::Synced));
        }
    }
}

#[test]
fn what_differs_is_found_at_a_cost_that_grows_with_it_and_not_with_the_rest() {
    for changed in [1, 10, 100] {
        let mut pair = Pair::with_docs([Interest::Opened, Interest::Everything], 10_000);
        pair.disconnect();
        for number in 0..changed {
            pair.on(number % 2, Input::DocChanged { doc: name(number * 97), version: vv(&[(7, 2)]) });
        }
        pair.spent();
        pair.connect();
        pair.run(10_000);
        let (messages, bytes) = pair.spent();
        println!("{changed} of 10,000 changed: {messages} messages, {bytes} bytes");
        assert_eq!(pair.differing(10_000), 0);
        assert!(messages <= 20 + 6 * changed && bytes <= 6_000 + 3_000 * changed, "{changed}: {messages} messages, {bytes} bytes");
    }
}

#[test]
fn a_lost_message_is_healed_within_two_periods() {
    let mut pair = Pair::with_docs([Interest::Opened; 2], 100);
    pair.on(0, Input::DocChanged { doc: name(5), version: vv(&[(7, 2)]) });
    pair.on(1, Input::DocChanged { doc: name(6), version: vv(&[(7, 2)]) });
    // What was pushed is lost, and so is everybody's wish to ask after it.
    pair.wire.clear();
    pair.timers.retain(|(_, _, timer)| *timer == Timer::Digest);
    pair.run(2 * DIGEST_PERIOD_MS);
    assert_eq!(pair.differing(100), 0);
}

#[test]
fn reordered_and_doubled_messages_are_healed_within_two_periods() {
    for fault in [Fault::Reordered, Fault::Doubled] {
        for interests in [[Interest::Opened; 2], [Interest::Opened, Interest::Everything]] {
            let mut pair = Pair::with_docs(interests, 100);
            pair.fault = fault;
            for round in 2..10 {
                for number in 0..20 {
                    pair.on(number % 2, Input::DocChanged { doc: name(number), version: vv(&[(7 + (number as u64 % 2), round)]) });
                }
                pair.run(700);
            }
            pair.spent();
            pair.run(2 * DIGEST_PERIOD_MS);
            assert_eq!(pair.differing(100), 0, "{fault:?}");
            // And it is quiet again: comparisons, and the second ones of them.
            pair.spent();
            pair.run(DIGEST_PERIOD_MS);
            assert!(pair.spent().0 <= 4, "{fault:?}");
        }
    }
}

#[test]
fn a_relay_that_lost_its_memory_is_told_everything_again() {
    let mut pair = Pair::with_docs([Interest::Opened, Interest::Everything], 50);
    pair.disconnect();
    let config = Config { features: Features::ALL, ..Config::new(id("2", PeerType::User), Interest::Everything) };
    pair.sides[1] = Synchronizer::new(config, Rc::new(AllowAll));
    pair.timers.retain(|(_, side, _)| *side == 0);
    pair.connect();
    pair.run(10_000);
    assert_eq!(pair.differing(50), 0);
}

#[test]
fn parts_that_do_not_exist_are_ignored() {
    let mut pair = Pair::with_docs([Interest::Opened; 2], 3);
    let part = crate::protocol::extension::Part { depth: 200, prefix: u64::MAX };
    let sums = vec![crate::protocol::extension::Sum { part, count: u32::MAX, hash: 1 }];
    let digest = Message::Digest { sums, list: vec![part; 10_000], reply: true, stored: true };
    let effects = pair.sides[0].update(Input::Received { channel: CHANNEL, message: digest }, NOW);
    assert_eq!(effects, []);
    let _ = Capabilities::own(Role::Leaf);
}

#[test]
fn a_peer_that_has_not_said_that_it_has_what_is_here_is_asked_to() {
    for (said, asked) in [(vv(&[(7, 1)]), false), (vv(&[]), true)] {
        let mut bench = super::extended::bench(Interest::Opened, AllowAll);
        let peer = super::extended::pipe(&mut bench, 1, "2");
        let _ = bench.open("d");
        let _ = bench.receive(peer, Message::Heads { heads: vec![super::extended::head("d", said)], reply: true });
        let effects = bench.on(Input::TimerFired(Timer::Digest));
        let reply = effects.iter().find_map(|effect| match effect {
            Effect::Send { message: Message::Digest { reply, .. }, .. } => Some(*reply),
            _ => None,
        });
        assert_eq!(reply, Some(asked));
    }
}
