//! What one change costs in every topology: payloads, control messages, bytes and time, against budgets.
//!
//! `make bench` prints the table; here the budgets are asserted.

use std::rc::Rc;

use corella::{
    DocHandle, Repo, RepoConfig,
    protocol::PeerType,
    synchronizer::{ChannelKind, Interest},
};

use crate::{
    disk::{Disk, Drive},
    network::{Counts, Link},
    world::World,
};

const DELAY_MS: u64 = 10;
const CHANGES: usize = 40;

/// A world of relays and leaves: the first `relays` nodes keep everything, the others have document "d" open.
struct Shape {
    name: &'static str,
    nodes: usize,
    relays: usize,
    edges: Vec<(usize, usize)>,
    tabs: Vec<(usize, usize)>,
    cyclic: bool,
}

fn shape(name: &'static str, nodes: usize, relays: usize, edges: &[(usize, usize)]) -> Shape {
    let cyclic = edges.len() >= nodes;
    Shape { name, nodes, relays, edges: edges.to_vec(), tabs: Vec::new(), cyclic }
}

fn shapes() -> Vec<Shape> {
    let ring: Vec<_> = (0..6).map(|node| (node, (node + 1) % 6)).collect();
    let star: Vec<_> = (1..=20).map(|leaf| (leaf, 0)).collect();
    let mut bridged = vec![(0, 1)];
    bridged.extend((2..7).map(|leaf| (leaf, 0)));
    bridged.extend((7..12).map(|leaf| (leaf, 1)));
    // A ring of eight with seven chords.
    let mut mesh: Vec<_> = (0..8).map(|node| (node, (node + 1) % 8)).collect();
    mesh.extend([(0, 3), (1, 5), (2, 6), (4, 7), (0, 5), (3, 7), (2, 4)]);
    vec![
        shape("pair", 2, 0, &[(0, 1)]),
        shape("triangle", 3, 0, &[(0, 1), (1, 2), (2, 0)]),
        shape("chain of 4", 4, 0, &[(0, 1), (1, 2), (2, 3)]),
        shape("ring of 6", 6, 0, &ring),
        shape("star of 20", 21, 1, &star),
        shape("two hubs bridged, 5 clients each", 12, 2, &bridged),
        shape("random mesh of 8", 8, 0, &mesh),
        Shape {
            name: "3 tabs, each with the hub",
            nodes: 4,
            relays: 1,
            edges: vec![(1, 0), (2, 0), (3, 0)],
            tabs: vec![(1, 2), (2, 3), (3, 1)],
            cyclic: true,
        },
    ]
}

struct Built {
    world: World,
    handles: Vec<DocHandle>,
    links: Vec<Rc<Link>>,
    _repos: Vec<Repo>,
}

fn build(shape: &Shape, seed: u64) -> Built {
    let mut world = World::new(seed);
    let kinds = shape.edges.iter().map(|edge| (edge, ChannelKind::Network)).chain(shape.tabs.iter().map(|edge| (edge, ChannelKind::Tabs)));
    let links: Vec<(_, _)> = kinds.map(|(edge, kind)| (*edge, Link::new(world.env(), kind, DELAY_MS))).collect();
    let repos: Vec<_> = (0..shape.nodes)
        .map(|number| {
            let relay = number < shape.relays;
            let mut adapters: Vec<_> = links
                .iter()
                .filter_map(|((a, b), link)| match number {
                    n if n == *a => Some(link.end(0)),
                    n if n == *b => Some(link.end(1)),
                    _ => None,
                })
                .collect();
            if relay {
                adapters.push(Drive::new(&Disk::new(), world.env(), 5, 0));
            }
            let interest = if relay { Interest::Everything } else { Interest::Opened };
            let peer_type = if relay { PeerType::Service } else { PeerType::User };
            Repo::new(world.env(), RepoConfig { interest, peer_type, adapters, ..RepoConfig::default() })
        })
        .collect();
    let handles = repos.iter().map(|repo| repo.get("d").unwrap()).collect();
    for (_, link) in &links {
        link.connect();
    }
    world.run(3_000);
    Built { world, handles, links: links.into_iter().map(|(_, link)| link).collect(), _repos: repos }
}

impl Built {
    fn counts(&self) -> Counts {
        self.links.iter().map(|link| link.counts()).fold(Counts::default(), |sum, next| sum + next)
    }

    /// One node types a word; returns the milliseconds until all have it.
    fn change(&mut self, node: usize, word: &str) -> u64 {
        self.handles[node].change(|doc| doc.get_text("text").insert(0, word).unwrap(), None, None).unwrap();
        for passed in 0..2_000 {
            self.world.run(1);
            if self.handles.iter().all(|handle| handle.doc().get_text("text").to_string().starts_with(word)) {
                return passed + 1;
            }
        }
        panic!("a change did not reach everybody in two seconds");
    }
}

struct Cost {
    payloads: f64,
    control: f64,
    bytes: f64,
    hops: f64,
}

fn measure(shape: &Shape, seed: u64) -> Cost {
    let mut built = build(shape, seed);
    let leaves = shape.nodes - shape.relays;
    for warm_up in 0..10 {
        built.change(shape.relays + warm_up % leaves, &format!("<w{warm_up}>"));
        built.world.run(1_000);
    }
    let before = built.counts();
    let mut time = 0;
    for change in 0..CHANGES {
        let node = shape.relays + built.world.random(leaves as u64) as usize;
        time += built.change(node, &format!("<{change}>"));
        built.world.run(700);
    }
    let spent = built.counts() - before;
    let per_change = |count: u64| count as f64 / CHANGES as f64;
    Cost {
        payloads: per_change(spent.payloads),
        control: per_change(spent.messages - spent.payloads - spent.digests),
        bytes: per_change(spent.bytes),
        hops: per_change(time) / DELAY_MS as f64,
    }
}

#[test]
fn after_the_last_edit_every_shape_is_quiet() {
    for shape in shapes() {
        let mut built = build(&shape, 7);
        for round in 0..5 {
            built.change(shape.relays + round % (shape.nodes - shape.relays), &format!("<{round}>"));
        }
        built.world.run(5_000);
        let before = built.counts();
        built.world.run(120_000);
        let spent = built.counts() - before;
        assert_eq!(spent.messages, spent.digests, "{}: nothing but comparisons", shape.name);
        // One in a period where both sides are equal.
        assert!(spent.digests <= 5 * built.links.len() as u64, "{}: {} comparisons", shape.name, spent.digests);
    }
}

#[test]
fn each_change_reaches_each_peer_as_payload_once() {
    println!("{:34} {:>6} {:>9} {:>8} {:>8} {:>6}", "topology", "peers", "payloads", "control", "bytes", "hops");
    for shape in shapes() {
        let cost = measure(&shape, 7);
        let goal = (shape.nodes - 1) as f64;
        println!(
            "{:34} {:>6} {:>9.2} {:>8.2} {:>8.0} {:>6.1}",
            shape.name,
            shape.nodes - 1,
            cost.payloads,
            cost.control,
            cost.bytes,
            cost.hops
        );
        let budget = if shape.cyclic { 1.05 * goal } else { goal };
        assert!(cost.payloads <= budget, "{}: {} payloads a change, {budget} allowed", shape.name, cost.payloads);
        // An acknowledgement for each payload, heads both ways on each redundant link, and some slack.
        let redundant = (shape.edges.len() + shape.tabs.len() + 1 - shape.nodes) as f64;
        let allowed = 2.0 * goal + 3.0 * redundant + 1.0;
        assert!(cost.control <= allowed, "{}: {} control messages a change, {allowed} allowed", shape.name, cost.control);
    }
}
