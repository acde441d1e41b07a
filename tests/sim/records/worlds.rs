//! Random worlds of records: devices with one or two tabs around a hub, some of them linked to one another, through crashes, broken and
//! silent links, full disks, wrong clocks and long absences. In the end all have the same, and nothing is left to acknowledge.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use corella::{
    Repo, RepoConfig,
    protocol::{Device, PeerType},
    runtime::{Adapter, Collection, CollectionKind, Env, LocalBoxFuture, RecordFilter, RecordStats},
    synchronizer::{ChannelKind, Interest, RecordLimits},
};
use loro::LoroValue;

use super::{record, text};
use crate::{
    chance::Chance,
    chaos::node::NodeEnv,
    disk::{Disk, Drive},
    life::Life,
    network::Link,
    world::World,
};

const LAPSE_MS: u64 = 60_000;
const DRIFT_MS: u64 = 10_000;
const KEYS: u64 = 6;

struct Node {
    is_hub: bool,
    disk: Option<Rc<Disk>>,
    offset_ms: Rc<Cell<i64>>,
    ends: Vec<Rc<dyn Adapter>>,
    alive: Option<Alive>,
}

struct Alive {
    repo: Repo,
    life: Rc<Life>,
    shared: Collection,
    owned: Collection,
}

/// What a device is known to have on its disk: the number that a node last wrote in its record of the device.
type Durable = Rc<RefCell<BTreeMap<(Device, usize), i64>>>;

struct Records {
    world: World,
    chance: Chance,
    nodes: Vec<Node>,
    links: Vec<(Rc<Link>, usize, usize)>,
    count: i64,
    durable: Durable,
    trace: bool,
}

impl Records {
    fn new(seed: u64) -> Self {
        let (world, chance) = (World::new(seed), Chance::new(seed ^ 0x7e57));
        let mut nodes =
            vec![Node { is_hub: true, disk: chance.percent(70).then(Disk::new), offset_ms: Rc::default(), ends: Vec::new(), alive: None }];
        let mut plan = Vec::new();
        for _ in 0..2 + chance.below(3) {
            let disk = chance.percent(75).then(Disk::new);
            let tabs = if disk.is_some() && chance.percent(30) { 2 } else { 1 };
            let first = nodes.len();
            for _ in 0..tabs {
                plan.push((0, nodes.len(), ChannelKind::Network));
                nodes.push(Node { is_hub: false, disk: disk.clone(), offset_ms: Rc::default(), ends: Vec::new(), alive: None });
            }
            if tabs == 2 {
                plan.push((first, first + 1, ChannelKind::Tabs));
            }
            if first > 1 && chance.percent(30) {
                plan.push((1, first, ChannelKind::Network));
            }
        }
        let mut links = Vec::new();
        for (a, b, kind) in plan {
            let link = Link::new(world.env(), kind, 1 + chance.below(80));
            nodes[a].ends.push(link.end(0));
            nodes[b].ends.push(link.end(1));
            links.push((link, a, b));
        }
        let trace = std::env::var_os("RECORD_TRACE").is_some();
        let mut this = Self { world, chance, nodes, links, count: 0, durable: Rc::default(), trace };
        (0..this.nodes.len()).for_each(|node| this.start(node));
        this
    }

    fn say(&self, text: impl FnOnce() -> String) {
        if self.trace {
            println!("-- {} {}", self.world.clock.now().0 % 10_000_000, text());
        }
    }

    fn start(&mut self, node: usize) {
        let world = &self.world;
        let life = Life::new();
        let it = &mut self.nodes[node];
        let env: Rc<dyn Env> = Rc::new(NodeEnv { world: Rc::clone(&world.clock), offset_ms: Rc::clone(&it.offset_ms) });
        let mut adapters: Vec<Rc<dyn Adapter>> = it.ends.clone();
        if let Some(disk) = &it.disk {
            let delay = 1 + self.chance.below(40);
            adapters.push(Drive::of(Rc::clone(&life), disk, world.env(), delay, self.chance.below(60)));
        }
        let repo = Repo::new(
            env,
            RepoConfig {
                adapters,
                peer_type: if it.is_hub { PeerType::Service } else { PeerType::User },
                interest: if it.is_hub { Interest::Everything } else { Interest::Opened },
                records: RecordLimits { max_drift_ms: DRIFT_MS, lapse_ms: LAPSE_MS, ..RecordLimits::default() },
                ..RepoConfig::default()
            },
        );
        let shared = repo.collection("notes", CollectionKind::Shared).unwrap();
        let owned = repo.collection("here", CollectionKind::Owned).unwrap();
        it.alive = Some(Alive { repo, life, shared, owned });
    }

    fn kill(&mut self, node: usize) {
        self.say(|| format!("kill {node}"));
        for (link, a, b) in &self.links {
            if *a == node || *b == node {
                link.disconnect();
            }
        }
        if let Some(alive) = self.nodes[node].alive.take() {
            alive.life.end();
        }
    }

    /// Lets something happen without waiting for it.
    fn spawn<T: 'static>(&self, future: LocalBoxFuture<T>) {
        self.world.clock.spawn(Box::pin(async move { drop(future.await) }));
    }

    fn step(&mut self) {
        let node = self.chance.index(self.nodes.len());
        let key = format!("k{}", self.chance.below(KEYS));
        let number = self.chance.below(1_000) as i64;
        match self.chance.below(20) {
            0..=8 => {
                let Some(alive) = &self.nodes[node].alive else { return };
                self.say(|| format!("{node} works on {key} {number}"));
                match self.chance.below(6) {
                    0 | 1 => self.spawn(alive.shared.put(&key, &record(&[("a", number), ("b", number)]))),
                    2 => self.spawn(alive.shared.update(&key, &record(&[("a", number)]))),
                    3 => self.spawn(alive.shared.update(&key, &record(&[("b", number)]))),
                    4 => self.spawn(alive.shared.delete(&key)),
                    _ => {
                        self.count += 1;
                        let count = self.count;
                        let (device, put) = (alive.owned.device(), alive.owned.put(&format!("count{node}"), &LoroValue::I64(count)));
                        let (repo, life, durable) = (alive.repo.clone(), Rc::clone(&alive.life), Rc::clone(&self.durable));
                        let has_disk = self.nodes[node].disk.is_some();
                        self.spawn(Box::pin(async move {
                            let (Ok(device), true) = (device.await, has_disk) else { return };
                            if put.await.is_ok() && repo.flush().await.is_ok() && life.is_alive() {
                                let mut durable = durable.borrow_mut();
                                let known = durable.entry((device, node)).or_default();
                                *known = (*known).max(count);
                            }
                        }));
                        self.spawn(if self.chance.percent(50) {
                            alive.owned.put(&key, &LoroValue::I64(number))
                        } else {
                            let deleted = alive.owned.delete(&key);
                            Box::pin(async move { deleted.await.map(drop) })
                        });
                    }
                }
            }
            9 | 10 => {
                let (link, a, b) = &self.links[self.chance.index(self.links.len())];
                if link.is_down() && self.nodes[*a].alive.is_some() && self.nodes[*b].alive.is_some() {
                    self.say(|| format!("connect {a} {b}"));
                    link.silence(0, false);
                    link.silence(1, false);
                    link.connect();
                } else {
                    self.say(|| format!("disconnect {a} {b}"));
                    link.disconnect();
                }
            }
            11 => {
                let (link, ..) = &self.links[self.chance.index(self.links.len())];
                link.silence(self.chance.index(2), self.chance.percent(50));
            }
            12 => match &self.nodes[node].alive {
                Some(alive) if self.chance.percent(50) => alive.life.fuse(Some(self.chance.below(6))),
                Some(_) => self.kill(node),
                None => self.start(node),
            },
            13 => {
                let jump = [0, 0, 3_000, -3_000, -600_000, 20_000][self.chance.index(6)];
                self.say(|| format!("{node}'s clock is {jump} ms off"));
                self.nodes[node].offset_ms.set(jump);
            }
            14 => {
                if let Some(disk) = &self.nodes[node].disk {
                    disk.fail_writes.set(self.chance.percent(40));
                    disk.fail_loads.set(self.chance.percent(10));
                }
            }
            15 => {
                let long = self.chance.percent(30);
                self.world.run(if long { self.chance.below(2 * LAPSE_MS) } else { 3_000 });
            }
            _ => {}
        }
        let pause = self.chance.below(200);
        self.world.run(pause);
        let dead: Vec<_> =
            (0..self.nodes.len()).filter(|node| self.nodes[*node].alive.as_ref().is_some_and(|alive| !alive.life.is_alive())).collect();
        dead.into_iter().for_each(|node| self.kill(node));
    }

    fn heal(&mut self) {
        self.say(|| "heal".to_owned());
        for node in 0..self.nodes.len() {
            self.nodes[node].offset_ms.set(0);
            if let Some(disk) = &self.nodes[node].disk {
                disk.fail_writes.set(false);
                disk.fail_loads.set(false);
            }
            match &self.nodes[node].alive {
                Some(alive) => alive.life.fuse(None),
                None => self.start(node),
            }
        }
        for (link, ..) in &self.links {
            link.silence(0, false);
            link.silence(1, false);
            link.connect();
        }
        // Clocks that were ahead are believed in the end, refused changes offered again.
        self.world.run(LAPSE_MS * 12);
    }

    fn contents(&mut self, node: usize) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        let Some(alive) = &self.nodes[node].alive else { return all };
        for collection in [alive.shared.clone(), alive.owned.clone()] {
            let entries = self.world.wait(collection.entries(RecordFilter::default()), 10).unwrap().unwrap();
            for entry in entries {
                let owner = entry.owner.map(|owner| format!("{:x}/", owner.0)).unwrap_or_default();
                all.insert(format!("{}/{owner}{}", collection.name(), entry.key), text(&entry.value));
            }
        }
        all
    }

    fn judge(&mut self, seed: u64) {
        let expected = self.contents(0);
        for node in 1..self.nodes.len() {
            assert_eq!(self.contents(node), expected, "node {node} and the hub differ; seed {seed}");
        }
        for (number, node) in self.nodes.iter().enumerate() {
            let Some(alive) = &node.alive else { continue };
            let stats = alive.repo.record_stats();
            let settled = RecordStats { records: expected.len(), deletions: 0, unacknowledged: 0 };
            assert_eq!(stats, settled, "node {number}; seed {seed}");
        }
        for ((device, node), count) in self.durable.borrow().iter() {
            let here = expected
                .get(&format!("here/{:x}/count{node}", device.0))
                .and_then(|text| text.strip_prefix("I64(")?.strip_suffix(')')?.parse().ok());
            assert!(here >= Some(*count), "{here:?} is left of {count} on the disk of {device:?}; seed {seed}");
        }
    }
}

fn run(seed: u64) {
    let mut records = Records::new(seed);
    let steps = 40 + records.chance.below(160);
    (0..steps).for_each(|_| records.step());
    records.heal();
    records.judge(seed);
}

#[test]
fn records_of_random_worlds_become_the_same_everywhere() {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (from, count) = (number("SEED_FROM", 1), number("RECORD_SEEDS", 40));
    (from..from + count).for_each(run);
}
