//! Presence: who is shown to whom, for how long, and what that costs on every shape of network.

use std::rc::Rc;

use corella::{
    DocHandle, PeerId, Repo, RepoConfig,
    protocol::{EphemeralPayload, Features, Message, PeerType},
    runtime::{Adapter, EphemeralHandle, RepoEvent},
    synchronizer::{ChannelKind, Interest},
};

use crate::{
    disk::{Disk, Drive},
    network::{Counts, Link},
    world::World,
};

const DELAY_MS: u64 = 10;
/// The extension as it was before presence was part of it.
const BEFORE: Features = Features::HEADS.or(Features::ACK).or(Features::DIGEST).or(Features::LINEAGE);

/// Repos that all have "d" open, the first `relays` of them relays, and the links between them.
struct Net {
    world: World,
    links: Vec<((usize, usize), Rc<Link>)>,
    repos: Vec<Repo>,
    handles: Vec<DocHandle>,
}

impl Net {
    fn new(nodes: usize, relays: usize, edges: &[(usize, usize)]) -> Self {
        Self::of(nodes, relays, edges, &|_| Features::ALL, &|_| DELAY_MS)
    }

    fn of(
        nodes: usize,
        relays: usize,
        edges: &[(usize, usize)],
        features: &dyn Fn(usize) -> Features,
        delay: &dyn Fn(usize) -> u64,
    ) -> Self {
        let mut world = World::new(77);
        let links: Vec<_> =
            edges.iter().enumerate().map(|(number, edge)| (*edge, Link::new(world.env(), ChannelKind::Network, delay(number)))).collect();
        let repos: Vec<_> = (0..nodes)
            .map(|node| {
                let end = |((a, b), link): &((usize, usize), Rc<Link>)| match node {
                    n if n == *a => Some(link.end(0)),
                    n if n == *b => Some(link.end(1)),
                    _ => None,
                };
                start(&world, node < relays, links.iter().filter_map(end).collect(), features(node))
            })
            .collect();
        let handles = repos.iter().map(|repo| repo.get("d").unwrap()).collect();
        links.iter().for_each(|(_, link)| link.connect());
        world.run(2_000);
        Self { world, links, repos, handles }
    }

    fn mesh(nodes: usize) -> Self {
        let edges: Vec<_> = (0..nodes).flat_map(|a| (a + 1..nodes).map(move |b| (a, b))).collect();
        Self::new(nodes, 0, &edges)
    }

    fn star(leaves: usize) -> Self {
        Self::new(leaves + 1, 1, &(1..=leaves).map(|leaf| (leaf, 0)).collect::<Vec<_>>())
    }

    fn cursors(&self, node: usize) -> EphemeralHandle {
        self.handles[node].ephemeral("cursors")
    }

    fn set(&self, node: usize, value: i64) {
        self.cursors(node).set_self(value.into());
    }

    fn link(&self, edge: (usize, usize)) -> Rc<Link> {
        Rc::clone(&self.links.iter().find(|(known, _)| *known == edge).unwrap().1)
    }

    /// Whether `node` shows `other`.
    fn shows(&self, node: usize, other: usize) -> bool {
        self.cursors(node).peers().contains_key(self.repos[other].peer_id())
    }

    fn everybody_is_shown_everywhere(&self) -> bool {
        let nodes = 0..self.repos.len();
        nodes.clone().all(|node| nodes.clone().all(|other| node == other || self.shows(node, other)))
    }

    fn counts(&self) -> Counts {
        self.links.iter().map(|(_, link)| link.counts()).fold(Counts::default(), |sum, next| sum + next)
    }

    /// Presence messages in one heartbeat of all who set a cursor.
    fn heartbeat(&mut self, present: impl Iterator<Item = usize>) -> u64 {
        for node in present {
            self.set(node, 1);
            self.world.run(137);
        }
        self.world.run(60_000);
        let before = self.counts();
        self.world.run(100_000);
        (self.counts() - before).ephemeral / 10
    }
}

fn start(world: &World, relay: bool, adapters: Vec<Rc<dyn Adapter>>, features: Features) -> Repo {
    let interest = if relay { Interest::Everything } else { Interest::Opened };
    let peer_type = if relay { PeerType::Service } else { PeerType::User };
    Repo::new(world.env(), RepoConfig { interest, peer_type, adapters, features, ..RepoConfig::default() })
}

#[test]
fn presence_costs_each_peer_one_message_of_each_other_in_a_heartbeat() {
    println!("{:>6} {:>9} {:>9}   presence messages in a heartbeat", "peers", "star", "mesh");
    for peers in [2, 4, 8, 16] {
        let (star, mesh) = (Net::star(peers).heartbeat(1..=peers), Net::mesh(peers).heartbeat(0..peers));
        println!("{peers:>6} {star:>9} {mesh:>9}");
        // Each peer's own entry goes to the hub and from there to each of the others; on a mesh it goes to each of the others.
        let peers = peers as u64;
        assert!(star <= peers * peers, "{peers} peers of a hub: {star}");
        assert!(mesh <= peers * (peers - 1), "{peers} peers, each with each: {mesh}");
    }
    let ring: Vec<_> = (0..6).map(|node| (node, (node + 1) % 6)).collect();
    let bridged = [(0, 1), (2, 0), (3, 0), (4, 0), (5, 1), (6, 1), (7, 1)];
    let tabs = [(1, 0), (2, 0), (3, 0), (1, 2), (2, 3), (3, 1)];
    // Goals: each of the others once; and once more where two halves of a ring meet.
    let shapes = [
        ("ring of 6", 6, 0, &ring[..], 6 * 6),
        ("two hubs, 3 clients each", 8, 2, &bridged, 6 * 7),
        ("3 tabs, each with the hub", 4, 1, &tabs, 3 * 3),
    ];
    for (name, nodes, relays, edges, budget) in shapes {
        let mut net = Net::new(nodes, relays, edges);
        let spent = net.heartbeat(relays..nodes);
        println!("{name}: {spent}");
        assert!(spent <= budget, "{name}: {spent} presence messages, {budget} allowed");
        assert!((relays..nodes).all(|node| (relays..nodes).all(|other| node == other || net.shows(node, other))), "{name}");
    }
}

#[test]
fn presence_works_through_a_relay_that_restarted_though_nobody_edits() {
    let mut world = World::new(70);
    let disk = Disk::new();
    let links: Vec<_> = (0..2).map(|_| Link::new(world.env(), ChannelKind::Network, DELAY_MS)).collect();
    let hub = |world: &World| {
        let store: Rc<dyn Adapter> = Drive::new(&disk, world.env(), 1, 0);
        start(world, true, links.iter().map(|link| link.end(1)).chain([store]).collect(), Features::ALL)
    };
    let first = hub(&world);
    let clients: Vec<_> = links.iter().map(|link| start(&world, false, vec![link.end(0)], Features::ALL)).collect();
    let handles: Vec<_> = clients.iter().map(|client| client.get("d").unwrap()).collect();
    links.iter().for_each(|link| link.connect());
    handles[0].change(|doc| doc.get_text("text").insert(0, "x").unwrap(), None, None).unwrap();
    world.run(5_000);
    links.iter().for_each(|link| link.disconnect());
    let closing = first.close();
    world.wait(closing, 1_000).unwrap().unwrap();
    drop(first);

    let _second = hub(&world);
    world.run(1_000);
    links.iter().for_each(|link| link.connect());
    world.run(2_000);
    let cursors: Vec<_> = handles.iter().map(|handle| handle.ephemeral("cursors")).collect();
    cursors[0].set_self(1.into());
    world.run(3 * DELAY_MS);
    assert_eq!(cursors[1].peers().get(clients[0].peer_id()), Some(&1.into()));
    world.run(300_000);
    assert_eq!(cursors[1].peers().len(), 1, "heartbeats come through too");
    // Who comes later sees who is there with the handshake.
    links[1].disconnect();
    assert!(cursors[1].peers().is_empty());
    links[1].connect();
    world.run(5 * DELAY_MS);
    assert_eq!(cursors[1].peers().len(), 1);
}

#[test]
fn presence_crosses_bridged_hubs_and_chains_of_tabs_and_ends_everywhere_at_once() {
    // Two browsers, each with a tab that has a connection and one that has none.
    let mut net = Net::new(6, 2, &[(0, 1), (2, 0), (3, 2), (4, 1), (5, 4)]);
    for node in 0..6 {
        net.set(node, 1);
    }
    net.world.run(6 * DELAY_MS);
    assert!(net.everybody_is_shown_everywhere());
    net.world.run(200_000);
    assert!(net.everybody_is_shown_everywhere());
    // The connected tab goes, and with it the one that had only that.
    net.link((2, 0)).disconnect();
    net.world.run(5 * DELAY_MS);
    for node in [0, 1, 4, 5] {
        assert!(!net.shows(node, 2) && !net.shows(node, 3), "at {node}");
    }
    assert!(net.shows(2, 3) && net.shows(3, 2));
    net.link((2, 0)).connect();
    net.world.run(12 * DELAY_MS);
    assert!(net.everybody_is_shown_everywhere());
}

#[test]
fn one_of_two_paths_may_break_and_nobody_vanishes_for_long() {
    let mut net = Net::mesh(5);
    for node in 0..5 {
        net.set(node, 1);
    }
    // The paths have settled.
    net.world.run(100_000);
    net.link((0, 1)).disconnect();
    net.world.run(6 * DELAY_MS);
    assert!(net.everybody_is_shown_everywhere());
    net.set(0, 2);
    net.world.run(6 * DELAY_MS);
    assert_eq!(net.cursors(1).peers().get(net.repos[0].peer_id()), Some(&2.into()));
    // A link that is silently dead for one peer is one of many.
    net.link((0, 2)).silence(0, true);
    net.world.run(200_000);
    assert!(net.everybody_is_shown_everywhere());
}

#[test]
fn who_deletes_its_entry_is_believed_and_who_is_said_to_have_left_is_not_gone() {
    let mut net = Net::of(3, 0, &[(0, 1), (1, 2), (2, 0)], &|_| Features::ALL, &|link| if link == 0 { 200 } else { 5 });
    net.set(0, 1);
    net.world.run(60_000);
    // Faster by way of the third peer than by its own link.
    net.cursors(0).delete(net.repos[0].peer_id().as_str());
    net.world.run(1_000);
    assert!(!net.shows(1, 0) && !net.shows(2, 0) && net.cursors(0).self_value().is_none());
    net.set(0, 2);
    net.world.run(1_000);
    // The third peer loses it, and learns from the others that it is there.
    net.link((2, 0)).disconnect();
    net.world.run(1_000);
    assert!(net.shows(1, 0) && net.shows(2, 0));
}

#[test]
fn peers_without_the_capability_and_with_it_show_one_another() {
    for features in [Features::default(), BEFORE] {
        let mut net = Net::of(4, 1, &[(1, 0), (2, 0), (3, 0)], &|node| if node < 3 { Features::ALL } else { features }, &|_| DELAY_MS);
        for node in 0..4 {
            net.set(node, 1);
        }
        net.world.run(30_000);
        assert!(net.everybody_is_shown_everywhere());
        let before = net.counts();
        net.world.run(100_000);
        let spent = (net.counts() - before).ephemeral / 10;
        assert!(spent <= 16, "{spent} presence messages in a heartbeat");
        net.link((1, 0)).disconnect();
        net.world.run(1_000);
        assert!(!net.shows(3, 1) && !net.shows(2, 1));
        // A relay of the reference protocol passes things on once.
        let mut net = Net::of(3, 1, &[(1, 0), (2, 0)], &|node| if node == 0 { features } else { Features::ALL }, &|_| DELAY_MS);
        net.set(1, 1);
        net.world.run(3 * DELAY_MS);
        assert!(net.shows(2, 1));
    }
}

#[test]
fn a_peer_that_fills_all_it_can_leaves_room_for_others() {
    let mut net = Net::star(3);
    let hub_told = Rc::new(std::cell::Cell::new(0));
    let told = Rc::clone(&hub_told);
    net.repos[0].on_event(move |event| told.set(told.get() + u64::from(matches!(event, RepoEvent::Error { .. })))).detach();
    let junk = |namespace: &str, key: &str, bytes: usize| {
        let entries = [(key, Some(loro::LoroValue::from("x".repeat(bytes))), 1_900_000_000_000_i64)];
        let data = postcard::to_allocvec(&entries[..]).unwrap().into();
        EphemeralPayload { peer: PeerId::from(1), namespace: namespace.to_owned(), data }
    };
    let say = |stores: Vec<EphemeralPayload>| {
        let message = Message::Ephemeral { doc: net.handles[0].doc_id().clone(), hops: 1, stores };
        net.link((1, 0)).inject(0, message);
    };
    say((0..200).map(|number| junk(&format!("junk-{number}"), "k", 10)).collect());
    for number in 0..30 {
        say(vec![junk("junk-1", &format!("big-{number}"), 200 * 1024)]);
    }
    say(vec![junk("junk-1", "too big", 3 * 1024 * 1024), junk(&"n".repeat(10_000), "k", 1)]);
    net.world.run(1_000);
    let kept = |node: usize| -> usize {
        let sizes = (0..200).flat_map(|number| net.handles[node].ephemeral(&format!("junk-{number}")).all().into_values());
        sizes.map(|value| value.into_string().unwrap().len()).sum()
    };
    assert!(kept(0) <= 1024 * 1024 && kept(2) <= 1024 * 1024, "{} bytes", kept(0));
    assert_eq!((0..200).filter(|number| !net.handles[0].ephemeral(&format!("junk-{number}")).keys().is_empty()).count(), 16);
    assert_eq!(hub_told.get(), 1, "the application is told once");
    net.set(2, 1);
    net.handles[3].ephemeral("selections").set_self(1.into());
    net.world.run(1_000);
    assert!(net.shows(3, 2));
    assert_eq!(net.handles[2].ephemeral("selections").peers().len(), 1);
    // It goes, and all of it with it.
    net.link((1, 0)).disconnect();
    net.world.run(1_000);
    assert_eq!((0..200).flat_map(|number| net.handles[3].ephemeral(&format!("junk-{number}")).keys()).count(), 0);
}

#[test]
fn nothing_is_sent_when_the_last_entry_is_gone() {
    let mut net = Net::star(2);
    net.set(1, 1);
    net.world.run(30_000);
    net.cursors(1).delete(net.repos[1].peer_id().as_str());
    net.world.run(200_000);
    let (before, timers) = (net.counts(), net.world.clock.pending());
    net.world.run(100_000);
    assert_eq!((net.counts() - before).ephemeral, 0);
    assert!(net.world.clock.pending() <= timers);
}

#[test]
fn presence_ends_when_its_document_is_closed_or_deleted() {
    let mut net = Net::star(3);
    for node in 1..4 {
        net.set(node, 1);
    }
    net.world.run(1_000);
    net.handles[1].close();
    net.world.run(1_000);
    assert!(!net.shows(2, 1) && net.shows(2, 3));
    let cursors = net.cursors(2);
    drop(net.repos[2].forget("d"));
    net.world.run(1_000);
    cursors.set_self(2.into());
    net.world.run(15_000);
    assert_ne!(net.cursors(3).peers().get(net.repos[2].peer_id()), Some(&2.into()), "nobody hears of it any more");
}
