//! Records: owned by one device or shared by all, through faults, restarts and wrong clocks.

mod worlds;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use bytes::Bytes;
use corella::{
    Repo, RepoConfig,
    protocol::{Device, Features, Message, PeerType, RecordId, RefusalReason},
    runtime::{
        Adapter, Collection, CollectionKind, Durability, Env, ErrorCode, RecordChange, RecordFilter, RecordStats, RepoEvent, StorageProblem,
    },
    synchronizer::{ChannelKind, Interest, PeerContext, Permissions, RecordLimits, RecordRoom},
};
use loro::LoroValue;

use crate::{
    chaos::node::NodeEnv,
    disk::{Disk, Drive},
    life::Life,
    network::Link,
    world::World,
};

fn leaf(world: &World, adapters: Vec<Rc<dyn Adapter>>) -> Repo {
    Repo::new(world.env(), RepoConfig { adapters, ..RepoConfig::default() })
}

fn hub_config(adapters: Vec<Rc<dyn Adapter>>) -> RepoConfig {
    RepoConfig { adapters, peer_type: PeerType::Service, interest: Interest::Everything, store_delay_ms: 20, ..RepoConfig::default() }
}

fn hub(world: &World, adapters: Vec<Rc<dyn Adapter>>) -> Repo {
    Repo::new(world.env(), hub_config(adapters))
}

fn shared(repo: &Repo) -> Collection {
    repo.collection("notes", CollectionKind::Shared).unwrap()
}

fn owned(repo: &Repo) -> Collection {
    repo.collection("here", CollectionKind::Owned).unwrap()
}

fn record(fields: &[(&str, i64)]) -> LoroValue {
    LoroValue::Map(
        fields.iter().map(|(name, value)| ((*name).to_owned(), LoroValue::I64(*value))).collect::<std::collections::HashMap<_, _>>().into(),
    )
}

fn put(world: &mut World, collection: &Collection, key: &str, value: &LoroValue) {
    world.wait(collection.put(key, value), 30_000).unwrap().unwrap();
}

fn update(world: &mut World, collection: &Collection, key: &str, value: &LoroValue) {
    world.wait(collection.update(key, value), 30_000).unwrap().unwrap();
}

fn delete(world: &mut World, collection: &Collection, key: &str) -> bool {
    world.wait(collection.delete(key), 30_000).unwrap().unwrap()
}

fn get(world: &mut World, collection: &Collection, key: &str) -> Option<LoroValue> {
    world.wait(collection.get(key, None), 30_000).unwrap().unwrap()
}

/// Everything in a collection, in a form that can be compared.
fn all(world: &mut World, collection: &Collection) -> BTreeMap<String, String> {
    let entries = world.wait(collection.entries(RecordFilter::default()), 30_000).unwrap().unwrap();
    entries
        .into_iter()
        .map(|entry| {
            let owner = entry.owner.map(|owner| format!("{:x}/", owner.0)).unwrap_or_default();
            (format!("{owner}{}", entry.key), text(&entry.value))
        })
        .collect()
}

fn text(value: &LoroValue) -> String {
    match value {
        LoroValue::Map(entries) => {
            let entries: BTreeMap<_, _> = entries.iter().map(|(name, value)| (name.clone(), text(value))).collect();
            format!("{entries:?}")
        }
        value => format!("{value:?}"),
    }
}

fn errors(repo: &Repo) -> Rc<RefCell<Vec<String>>> {
    let errors: Rc<RefCell<Vec<String>>> = Rc::default();
    let kept = Rc::clone(&errors);
    repo.on_event(move |event| {
        if let RepoEvent::Error { error, .. } = event {
            kept.borrow_mut().push(error.to_string());
        }
    })
    .detach();
    errors
}

#[test]
fn a_record_reaches_everybody_through_a_hub() {
    let mut world = World::new(1);
    let links: Vec<_> = (0..3).map(|_| Link::new(world.env(), ChannelKind::Network, 20)).collect();
    let hub = hub(&world, links.iter().map(|link| link.end(1)).collect());
    let repos: Vec<_> = links.iter().map(|link| leaf(&world, vec![link.end(0)])).collect();
    let notes: Vec<_> = repos.iter().map(shared).collect();
    links.iter().for_each(Link::connect);
    world.run(1_000);
    put(&mut world, &notes[0], "a", &record(&[("x", 1), ("y", 1)]));
    world.run(100);
    for notes in &notes {
        assert_eq!(get(&mut world, notes, "a"), Some(record(&[("x", 1), ("y", 1)])));
    }
    // Two fields at the same time: both stay.
    update(&mut world, &notes[1], "a", &record(&[("x", 2)]));
    update(&mut world, &notes[2], "a", &record(&[("y", 3)]));
    world.run(1_000);
    for notes in &notes {
        assert_eq!(get(&mut world, notes, "a"), Some(record(&[("x", 2), ("y", 3)])));
    }
    assert!(delete(&mut world, &notes[0], "a"));
    world.run(5_000);
    for notes in &notes {
        assert_eq!(get(&mut world, notes, "a"), None);
    }
    for repo in repos.iter().chain([&hub]) {
        assert_eq!(repo.record_stats(), RecordStats::default(), "the deletion is forgotten when everybody has it");
    }
}

#[test]
fn each_change_crosses_a_link_once_and_costs_two_messages() {
    let mut world = World::new(2);
    let links: Vec<_> = (0..4).map(|_| Link::new(world.env(), ChannelKind::Network, 20)).collect();
    let _hub = hub(&world, links.iter().map(|link| link.end(1)).collect());
    let repos: Vec<_> = links.iter().map(|link| leaf(&world, vec![link.end(0)])).collect();
    let notes: Vec<_> = repos.iter().map(shared).collect();
    links.iter().for_each(Link::connect);
    world.run(3_000);
    let before: Vec<_> = links.iter().map(|link| link.counts()).collect();
    put(&mut world, &notes[0], "a", &record(&[("x", 1)]));
    world.run(3_000);
    for (link, before) in links.iter().zip(before) {
        let spent = link.counts() - before;
        // The change, the acknowledgement, and the hub's word that all have it.
        assert!(spent.messages <= 3, "{spent:?}");
        assert!(spent.bytes < 500, "{spent:?}");
    }
}

#[test]
fn changes_do_not_circulate_in_a_mesh() {
    let mut world = World::new(3);
    let mut links = Vec::new();
    let mut ends: Vec<Vec<Rc<dyn Adapter>>> = vec![Vec::new(); 5];
    for a in 0..5 {
        for b in a + 1..5 {
            let link = Link::new(world.env(), ChannelKind::Network, 20);
            ends[a].push(link.end(0));
            ends[b].push(link.end(1));
            links.push(link);
        }
    }
    let repos: Vec<_> = ends.into_iter().map(|ends| leaf(&world, ends)).collect();
    let notes: Vec<_> = repos.iter().map(shared).collect();
    links.iter().for_each(Link::connect);
    world.run(3_000);
    // The first change finds out which paths are superfluous.
    put(&mut world, &notes[0], "a", &record(&[("x", 1)]));
    world.run(3_000);
    let before = links.iter().map(|link| link.counts().messages).sum::<u64>();
    for number in 0..10 {
        put(&mut world, &notes[0], "a", &record(&[("x", number)]));
        world.run(1_000);
    }
    let spent = links.iter().map(|link| link.counts().messages).sum::<u64>() - before;
    assert!(spent <= 10 * 40, "{spent} messages for 10 changes over 10 links");
    for notes in &notes {
        assert_eq!(get(&mut world, notes, "a"), Some(record(&[("x", 9)])));
    }
}

#[test]
fn an_owned_record_is_written_by_its_device_and_read_by_others() {
    let mut world = World::new(4);
    let link = Link::new(world.env(), ChannelKind::Network, 20);
    let (a, b) = (leaf(&world, vec![link.end(0)]), leaf(&world, vec![link.end(1)]));
    let (of_a, of_b) = (owned(&a), owned(&b));
    link.connect();
    put(&mut world, &of_a, "last", &LoroValue::I64(1));
    put(&mut world, &of_b, "last", &LoroValue::I64(2));
    world.run(1_000);
    let device_a = world.wait(of_a.device(), 10).unwrap().unwrap();
    let device_b = world.wait(of_b.device(), 10).unwrap().unwrap();
    assert_ne!(device_a, device_b);
    let seen = world.wait(of_b.get("last", Some(device_a)), 10).unwrap();
    assert_eq!(seen.unwrap(), Some(LoroValue::I64(1)));
    assert_eq!(get(&mut world, &of_b, "last"), Some(LoroValue::I64(2)));
    let of_one = world.wait(of_a.entries(RecordFilter { owner: Some(device_b), ..RecordFilter::default() }), 10).unwrap().unwrap();
    assert_eq!(of_one.len(), 1);
    assert_eq!((all(&mut world, &of_a).len(), all(&mut world, &of_a)), (2, all(&mut world, &of_b)));
}

#[test]
fn somebody_elses_owned_record_cannot_be_written_on_the_wire() {
    let mut world = World::new(5);
    let link = Link::new(world.env(), ChannelKind::Network, 20);
    let (a, b) = (leaf(&world, vec![link.end(0)]), leaf(&world, vec![link.end(1)]));
    let (of_a, of_b) = (owned(&a), owned(&b));
    let refused = errors(&b);
    link.connect();
    put(&mut world, &of_a, "k", &LoroValue::I64(1));
    put(&mut world, &of_b, "k", &LoroValue::I64(2));
    world.run(1_000);
    let device = world.wait(of_a.device(), 10).unwrap().unwrap();
    let writer = corella::protocol::clock::Writer { device: Device(7), number: 1 };
    let clock = corella::protocol::Clock { stamp: corella::protocol::clock::Stamp::at(world.env().now().0), writer };
    let id = RecordId { collection: "here".into(), owner: Some(device), key: "k".into() };
    let state = corella::protocol::RecordState::put(clock, []);
    link.inject(
        1,
        Message::RecordsChange {
            since: Default::default(),
            version: [(writer, clock.stamp)].into_iter().collect(),
            entries: vec![(id, state)],
            partial: false,
        },
    );
    world.run(1_000);
    assert_eq!(get(&mut world, &of_a, "k"), Some(LoroValue::I64(1)));
    assert!(refused.borrow().iter().any(|error| error.contains("invalid")), "{refused:?}");
}

#[test]
fn ten_thousand_records_reach_a_fresh_device_in_pages() {
    let mut world = World::new(6);
    let link = Link::new(world.env(), ChannelKind::Network, 20);
    let (a, b) = (leaf(&world, vec![link.end(0)]), leaf(&world, vec![link.end(1)]));
    let (of_a, of_b) = (shared(&a), shared(&b));
    for number in 0..10_000 {
        put(&mut world, &of_a, &format!("{number:05}"), &record(&[("n", number)]));
    }
    link.connect();
    // Cut in the middle: it goes on where it was.
    world.run(260);
    assert!(b.record_stats().records == 0 && link.counts().bytes > 100_000);
    link.disconnect();
    world.run(1_000);
    link.connect();
    world.run(5_000);
    assert_eq!(b.record_stats().records, 10_000);
    assert_eq!(all(&mut world, &of_a), all(&mut world, &of_b));
    let spent = link.counts();
    assert!(spent.messages < 2 * 11 + 16, "{spent:?}");
    assert!(spent.bytes < 11_000 * 40, "{spent:?}");
}

#[test]
fn records_survive_a_restart_and_what_was_written_offline_is_sent() {
    let mut world = World::new(7);
    let link = Link::new(world.env(), ChannelKind::Network, 20);
    let _hub = hub(&world, vec![link.end(1)]);
    let disk = Disk::new();
    let first = leaf(&world, vec![Drive::new(&disk, world.env(), 5, 10)]);
    let notes = shared(&first);
    let here = owned(&first);
    put(&mut world, &notes, "a", &record(&[("x", 1)]));
    put(&mut world, &here, "b", &LoroValue::Bool(true));
    let device = world.wait(here.device(), 10).unwrap().unwrap();
    world.wait(first.flush(), 1_000).unwrap().unwrap();
    drop((first, notes, here));
    let second = leaf(&world, vec![Drive::new(&disk, world.env(), 5, 10), link.end(0)]);
    let notes = shared(&second);
    link.connect();
    assert_eq!(get(&mut world, &notes, "a"), Some(record(&[("x", 1)])));
    assert_eq!(get(&mut world, &owned(&second), "b"), Some(LoroValue::Bool(true)));
    assert_eq!(world.wait(notes.device(), 10).unwrap().unwrap(), device);
    world.wait(notes.when_durable(Durability::Hub, Some(5_000)), 6_000).unwrap().unwrap();
}

/// Writes records on a disk and damages the rows that `damage` picks.
fn damaged_disk(world: &mut World, link: &Rc<Link>, damage: impl Fn(&RecordId) -> bool) -> Rc<Disk> {
    let disk = Disk::new();
    let first = leaf(world, vec![Drive::new(&disk, world.env(), 5, 10), link.end(0)]);
    let (notes, here) = (shared(&first), owned(&first));
    link.connect();
    for key in ["a", "b", "gone"] {
        put(world, &notes, key, &record(&[("x", 1)]));
    }
    put(world, &here, "d", &LoroValue::Bool(true));
    assert!(delete(world, &notes, "gone"));
    world.wait(notes.when_durable(Durability::Hub, Some(5_000)), 6_000).unwrap().unwrap();
    world.run(5_000);
    link.disconnect();
    put(world, &notes, "offline", &record(&[("x", 1)]));
    world.wait(first.close(), 1_000).unwrap().unwrap();
    disk.records.borrow_mut().change_rows(|id, row| {
        if damage(id) {
            *row = Bytes::from_static(b"damaged");
        }
    });
    disk
}

#[test]
fn a_record_that_cannot_be_read_is_told_of_kept_and_fetched_again() {
    let mut world = World::new(71);
    let (link, other) = (Link::new(world.env(), ChannelKind::Network, 20), Link::new(world.env(), ChannelKind::Network, 20));
    let hub = hub(&world, vec![link.end(1), other.end(1)]);
    let disk = damaged_disk(&mut world, &link, |id| matches!(&*id.key, "a" | "d"));
    let open = |world: &World| leaf(world, vec![Drive::new(&disk, world.env(), 5, 10), link.end(0)]);
    // Without anybody to ask it stays as it is, over any number of starts and changes.
    for number in 0..2 {
        let repo = open(&world);
        let problems: Rc<RefCell<Vec<_>>> = Rc::default();
        let kept = Rc::clone(&problems);
        repo.on_event(move |event| {
            if let RepoEvent::StorageHealth { problem: Some(problem), .. } = event {
                kept.borrow_mut().push(*problem);
            }
        })
        .detach();
        let notes = shared(&repo);
        assert_eq!(get(&mut world, &notes, "a"), None);
        put(&mut world, &notes, "b", &record(&[("x", number)]));
        world.wait(repo.flush(), 1_000).unwrap().unwrap();
        assert_eq!(*problems.borrow(), [StorageProblem::Corrupt]);
        let damaged = repo.storage_health().damaged_records;
        assert_eq!(damaged.iter().map(|(id, row)| (&*id.key, &row[..])).collect::<Vec<_>>(), [("d", &b"damaged"[..]), ("a", b"damaged")]);
        world.wait(repo.close(), 1_000).unwrap().unwrap();
    }
    let third = open(&world);
    let notes = shared(&third);
    link.connect();
    world.run(5_000);
    assert_eq!(get(&mut world, &notes, "a"), Some(record(&[("x", 1)])));
    assert_eq!(get(&mut world, &owned(&third), "d"), Some(LoroValue::Bool(true)));
    assert_eq!(get(&mut world, &notes, "gone"), None, "what was deleted stays so");
    assert!(third.storage_health().damaged_records.is_empty());
    // What was written meanwhile counts, for everybody.
    let fourth = leaf(&world, vec![other.end(0)]);
    let theirs = shared(&fourth);
    other.connect();
    world.wait(notes.when_durable(Durability::Hub, Some(5_000)), 6_000).unwrap().unwrap();
    world.run(2_000);
    assert_eq!(all(&mut world, &theirs), all(&mut world, &notes));
    assert_eq!(hub.record_stats().records, 4);
    assert_eq!([&third, &fourth, &hub].map(|repo| repo.record_stats().unacknowledged), [0; 3]);
    // And it is on disk again.
    link.disconnect();
    world.wait(third.close(), 1_000).unwrap().unwrap();
    let fifth = open(&world);
    let notes = shared(&fifth);
    assert_eq!(get(&mut world, &notes, "a"), Some(record(&[("x", 1)])));
    assert!(fifth.storage_health().damaged_records.is_empty());
}

#[test]
fn a_row_whose_name_is_damaged_too_is_fetched_again() {
    let mut world = World::new(72);
    let link = Link::new(world.env(), ChannelKind::Network, 20);
    let _hub = hub(&world, vec![link.end(1)]);
    let disk = damaged_disk(&mut world, &link, |_| false);
    disk.records.borrow_mut().rename_row(|id| &*id.key == "a", RecordId { collection: "".into(), owner: None, key: "7".into() });
    let open = |world: &World| leaf(world, vec![Drive::new(&disk, world.env(), 5, 10), link.end(0)]);
    let repo = open(&world);
    let notes = shared(&repo);
    link.connect();
    world.run(5_000);
    assert_eq!(get(&mut world, &notes, "a"), Some(record(&[("x", 1)])));
    assert_eq!(get(&mut world, &notes, "gone"), None);
    link.disconnect();
    world.wait(repo.close(), 1_000).unwrap().unwrap();
    let again = open(&world);
    let notes = shared(&again);
    assert_eq!(get(&mut world, &notes, "a"), Some(record(&[("x", 1)])));
    assert!(again.storage_health().damaged_records.is_empty());
}

#[test]
fn what_a_hub_cannot_read_comes_from_whoever_has_it_and_is_lost_to_nobody() {
    let mut world = World::new(73);
    let links: Vec<_> = (0..3).map(|_| Link::new(world.env(), ChannelKind::Network, 20)).collect();
    let disk = Disk::new();
    let open = |world: &World| {
        let mut adapters: Vec<Rc<dyn Adapter>> = links.iter().map(|link| link.end(1) as Rc<dyn Adapter>).collect();
        adapters.push(Drive::new(&disk, world.env(), 5, 10));
        hub(world, adapters)
    };
    let first = open(&world);
    let repos: Vec<_> = links.iter().map(|link| leaf(&world, vec![link.end(0)])).collect();
    let notes: Vec<_> = repos[..2].iter().map(shared).collect();
    links[..2].iter().for_each(Link::connect);
    for key in ["a", "b"] {
        put(&mut world, &notes[0], key, &record(&[("x", 1)]));
        world.run(5_000);
    }
    put(&mut world, &notes[1], "gone", &record(&[("x", 1)]));
    world.run(1_000);
    assert!(delete(&mut world, &notes[0], "gone"));
    world.run(5_000);
    links[..2].iter().for_each(|link| link.disconnect());
    world.wait(first.close(), 1_000).unwrap().unwrap();
    disk.records.borrow_mut().change_rows(|id, row| {
        if &*id.key == "a" {
            *row = Bytes::from_static(b"damaged");
        }
    });
    let second = open(&world);
    // One that has nothing comes first, takes what there is, and does not make others drop the rest.
    let fresh = shared(&repos[2]);
    links[2].connect();
    world.run(5_000);
    assert_eq!(all(&mut world, &fresh).keys().collect::<Vec<_>>(), ["b"]);
    links[..2].iter().for_each(Link::connect);
    world.run(10_000);
    for notes in notes.iter().chain([&fresh]) {
        assert_eq!(all(&mut world, notes).keys().collect::<Vec<_>>(), ["a", "b"]);
    }
    put(&mut world, &fresh, "c", &record(&[("x", 1)]));
    world.run(5_000);
    for repo in repos.iter().chain([&second]) {
        assert_eq!(repo.record_stats(), RecordStats { records: 3, deletions: 0, unacknowledged: 0 });
    }
}

#[test]
fn clocks_go_on_after_a_restart_with_an_earlier_time() {
    let mut world = World::new(8);
    let disk = Disk::new();
    let offset = Rc::new(Cell::new(3_600_000i64));
    let env: Rc<dyn Env> = Rc::new(NodeEnv { world: Rc::clone(&world.clock), offset_ms: Rc::clone(&offset) });
    let open = |world: &World| {
        let adapters: Vec<Rc<dyn Adapter>> = vec![Drive::new(&disk, world.env(), 5, 10)];
        Repo::new(Rc::clone(&env), RepoConfig { adapters, ..RepoConfig::default() })
    };
    let first = open(&world);
    put(&mut world, &shared(&first), "a", &record(&[("x", 1)]));
    world.wait(first.flush(), 1_000).unwrap().unwrap();
    drop(first);
    // The computer's clock is put right, which is an hour earlier.
    offset.set(0);
    let second = open(&world);
    update(&mut world, &shared(&second), "a", &record(&[("x", 2)]));
    assert_eq!(get(&mut world, &shared(&second), "a"), Some(record(&[("x", 2)])));
}

#[test]
fn a_clock_too_far_ahead_is_refused_and_reported_until_it_is_right() {
    let mut world = World::new(9);
    let link = Link::new(world.env(), ChannelKind::Network, 20);
    let offset = Rc::new(Cell::new(600_000i64));
    let env: Rc<dyn Env> = Rc::new(NodeEnv { world: Rc::clone(&world.clock), offset_ms: Rc::clone(&offset) });
    let ahead = Repo::new(env, RepoConfig { adapters: vec![link.end(0)], ..RepoConfig::default() });
    let right = leaf(&world, vec![link.end(1)]);
    let (of_ahead, of_right) = (shared(&ahead), shared(&right));
    let (told, reported) = (errors(&ahead), errors(&right));
    link.connect();
    world.run(1_000);
    put(&mut world, &of_ahead, "a", &record(&[("x", 1)]));
    put(&mut world, &of_right, "b", &record(&[("x", 1)]));
    world.run(2_000);
    assert_eq!(get(&mut world, &of_right, "a"), None);
    assert_eq!(get(&mut world, &of_ahead, "b"), Some(record(&[("x", 1)])), "the other direction goes on");
    assert!(told.borrow().iter().any(|error| error.contains("clock-ahead")), "{told:?}");
    assert!(reported.borrow().iter().any(|error| error.contains("more than 300000 ms ahead")), "{reported:?}");
    let messages = link.counts().messages;
    world.run(120_000);
    assert!(link.counts().messages - messages < 60, "it is not asked for again and again");
    offset.set(0);
    world.run(600_000);
    assert_eq!(get(&mut world, &of_right, "a"), Some(record(&[("x", 1)])), "time has caught up");
}

#[test]
fn what_a_relay_has_no_room_for_stays_where_it_was_made_until_there_is_room() {
    let mut world = World::new(31);
    let links: Vec<_> = (0..2).map(|_| Link::new(world.env(), ChannelKind::Network, 20)).collect();
    let records = RecordLimits { device: RecordRoom { records: 20, bytes: 1_000_000 }, ..RecordLimits::default() };
    let hub = Repo::new(world.env(), RepoConfig { records, ..hub_config(links.iter().map(|link| link.end(1)).collect()) });
    let (greedy, modest) = (leaf(&world, vec![links[0].end(0)]), leaf(&world, vec![links[1].end(0)]));
    let (of_greedy, of_modest) = (shared(&greedy), shared(&modest));
    let (told, reported) = (errors(&greedy), errors(&hub));
    links.iter().for_each(Link::connect);
    for number in 0..40 {
        put(&mut world, &of_greedy, &format!("greedy {number}"), &record(&[("x", number)]));
        world.run(200);
    }
    put(&mut world, &of_modest, "modest", &record(&[("x", 1)]));
    world.run(3_000);
    assert_eq!(hub.record_stats().records, 21, "no more than that of one device, and of others all the same");
    assert_eq!((all(&mut world, &of_greedy).len(), all(&mut world, &of_modest).len()), (41, 21), "nothing is lost");
    assert!(told.borrow().iter().any(|error| error.contains(": full")), "{told:?}");
    assert!(reported.borrow().iter().any(|error| error.contains("there is no room for")), "{reported:?}");
    assert!(greedy.unsynced() > 0);
    // What is deleted and forgotten by all makes room.
    for number in 0..15 {
        world.wait(of_modest.delete(&format!("greedy {number}")), 1_000).unwrap().unwrap();
    }
    for number in 15..40 {
        world.wait(of_greedy.delete(&format!("greedy {number}")), 1_000).unwrap().unwrap();
    }
    world.run(20 * 60_000);
    for side in [&of_greedy, &of_modest] {
        assert_eq!(all(&mut world, side).into_keys().collect::<Vec<_>>(), ["modest"]);
    }
    assert_eq!((hub.record_stats().records, greedy.unsynced()), (1, 0));
}

#[test]
fn what_a_relay_reads_page_by_page_takes_no_more_room_than_there_is() {
    let mut world = World::new(32);
    let link = Link::new(world.env(), ChannelKind::Network, 20);
    let records = RecordLimits { device: RecordRoom { records: 2_500, bytes: 100_000_000 }, ..RecordLimits::default() };
    let hub = Repo::new(world.env(), RepoConfig { records, ..hub_config(vec![link.end(1)]) });
    let greedy = leaf(&world, vec![link.end(0)]);
    let of_greedy = shared(&greedy);
    let told = errors(&greedy);
    for number in 0..4_000 {
        drop(of_greedy.put(&number.to_string(), &record(&[("x", number)])));
    }
    link.connect();
    world.run(120_000);
    assert_eq!(hub.record_stats().records, 0, "all of it would be too much");
    assert!(told.borrow().iter().any(|error| error.contains(": full")), "{told:?}");
    // Deletions of what never came are taken, and so is what is left.
    for number in 0..3_900 {
        drop(of_greedy.delete(&number.to_string()));
    }
    world.run(60 * 60_000);
    assert_eq!((hub.record_stats().records, greedy.unsynced()), (100, 0));
}

#[test]
fn tabs_are_one_device_and_never_the_same_writer() {
    let mut world = World::new(10);
    let disk = Disk::new();
    let link = Link::new(world.env(), ChannelKind::Tabs, 1);
    let tab = |side| leaf(&world, vec![Drive::new(&disk, world.env(), 5, 10), link.end(side)]);
    let (a, b) = (tab(0), tab(1));
    let (of_a, of_b) = (owned(&a), owned(&b));
    link.connect();
    put(&mut world, &of_a, "a", &LoroValue::I64(1));
    put(&mut world, &of_b, "b", &LoroValue::I64(2));
    assert_eq!(world.wait(of_a.device(), 10).unwrap().unwrap(), world.wait(of_b.device(), 10).unwrap().unwrap());
    // The same key at the same time: one of the two stays, in both.
    put(&mut world, &of_a, "c", &LoroValue::I64(1));
    put(&mut world, &of_b, "c", &LoroValue::I64(2));
    world.run(1_000);
    assert_eq!(all(&mut world, &of_a), all(&mut world, &of_b));
    assert_eq!(all(&mut world, &of_a).len(), 3);
    world.wait(a.close(), 1_000).unwrap().unwrap();
    world.wait(b.close(), 1_000).unwrap().unwrap();
    let third = leaf(&world, vec![Drive::new(&disk, world.env(), 5, 10)]);
    assert_eq!(all(&mut world, &owned(&third)).len(), 3);
}

#[test]
fn sessions_that_end_cleanly_leave_no_writers_behind() {
    let mut world = World::new(11);
    let disk = Disk::new();
    for session in 0..20 {
        let repo = leaf(&world, vec![Drive::new(&disk, world.env(), 5, 10)]);
        put(&mut world, &shared(&repo), "a", &record(&[("n", session)]));
        world.wait(repo.close(), 1_000).unwrap().unwrap();
    }
    let loaded = disk.records.borrow_mut().load(corella::runtime::RecordsOpening { device: Device(1), writer: 1 });
    assert_eq!(loaded.stored.version.len(), 1);
}

#[test]
fn a_device_away_too_long_is_brought_up_from_state_and_keeps_what_it_wrote() {
    const LAPSE: u64 = 24 * 60 * 60 * 1000;
    let mut world = World::new(12);
    let records = RecordLimits { lapse_ms: LAPSE, ..RecordLimits::default() };
    let links: Vec<_> = (0..2).map(|_| Link::new(world.env(), ChannelKind::Network, 20)).collect();
    let config = hub_config(links.iter().map(|link| link.end(1)).collect());
    let hub = Repo::new(world.env(), RepoConfig { records, ..config });
    let open = |link: &Link| Repo::new(world.env(), RepoConfig { records, adapters: vec![link.end(0)], ..RepoConfig::default() });
    let (stays, leaves) = (open(&links[0]), open(&links[1]));
    let (of_stays, of_leaves) = (shared(&stays), shared(&leaves));
    links.iter().for_each(Link::connect);
    for key in ["kept", "deleted", "edited"] {
        put(&mut world, &of_stays, key, &record(&[("x", 1), ("y", 1)]));
    }
    world.run(5_000);
    assert_eq!(hub.record_stats(), RecordStats { records: 3, ..RecordStats::default() }, "all is acknowledged");
    links[1].disconnect();
    // While it is away it holds back what is new …
    assert!(delete(&mut world, &of_stays, "deleted"));
    update(&mut world, &of_stays, "edited", &record(&[("x", 2)]));
    world.run(LAPSE / 2);
    assert_eq!(hub.record_stats(), RecordStats { records: 2, deletions: 1, unacknowledged: 2 });
    put(&mut world, &of_leaves, "own", &record(&[("x", 5)]));
    update(&mut world, &of_leaves, "edited", &record(&[("y", 5)]));
    update(&mut world, &of_leaves, "deleted", &record(&[("y", 5)]));
    // … until it has been away too long.
    world.run(LAPSE);
    put(&mut world, &of_stays, "another", &record(&[("x", 1)]));
    world.run(5_000);
    assert_eq!(hub.record_stats(), RecordStats { records: 3, deletions: 0, unacknowledged: 0 });
    links[1].connect();
    world.run(5_000);
    let expected = all(&mut world, &of_stays);
    assert_eq!(expected.keys().map(String::as_str).collect::<Vec<_>>(), ["another", "edited", "kept", "own"]);
    assert_eq!(get(&mut world, &of_stays, "edited"), Some(record(&[("x", 2), ("y", 5)])));
    assert_eq!(all(&mut world, &of_leaves), expected);
    world.run(5_000);
    for repo in [&hub, &stays, &leaves] {
        assert_eq!(repo.record_stats().unacknowledged, 0, "{:?}", repo.record_stats());
    }
}

#[test]
fn a_hub_that_lost_its_memory_is_told_everything_again() {
    let mut world = World::new(13);
    let links: Vec<_> = (0..2).map(|_| Link::new(world.env(), ChannelKind::Network, 20)).collect();
    let ends = |_: ()| links.iter().map(|link| link.end(1)).collect::<Vec<_>>();
    let first = hub(&world, ends(()));
    let repos: Vec<_> = links.iter().map(|link| leaf(&world, vec![link.end(0)])).collect();
    let notes: Vec<_> = repos.iter().map(shared).collect();
    links.iter().for_each(Link::connect);
    put(&mut world, &notes[0], "a", &record(&[("x", 1)]));
    put(&mut world, &notes[1], "b", &record(&[("x", 1)]));
    assert!({
        world.run(3_000);
        delete(&mut world, &notes[0], "b")
    });
    world.run(3_000);
    links.iter().for_each(|link| link.disconnect());
    drop(first);
    let second = hub(&world, ends(()));
    links.iter().for_each(Link::connect);
    world.run(3_000);
    assert_eq!(second.record_stats().records, 1);
    for notes in &notes {
        assert_eq!(all(&mut world, notes).len(), 1);
    }
}

#[test]
fn durability_of_records_climbs_the_ladder_only_by_what_others_said() {
    let mut world = World::new(14);
    let link = Link::new(world.env(), ChannelKind::Network, 20);
    let hub_disk = Disk::new();
    let _hub = hub(&world, vec![link.end(1), Drive::new(&hub_disk, world.env(), 50, 10)]);
    let disk = Disk::new();
    let repo = leaf(&world, vec![link.end(0), Drive::new(&disk, world.env(), 50, 10)]);
    let notes = shared(&repo);
    world.run(1_000);
    put(&mut world, &notes, "a", &record(&[("x", 1)]));
    let level = |world: &mut World| world.wait(notes.durability(), 10).unwrap().unwrap();
    assert_eq!(level(&mut world), Durability::Memory);
    world.wait(notes.when_durable(Durability::Disk, Some(1_000)), 2_000).unwrap().unwrap();
    assert_eq!(level(&mut world), Durability::Disk);
    hub_disk.fail_writes.set(true);
    link.connect();
    world.wait(notes.when_durable(Durability::Hub, Some(5_000)), 6_000).unwrap().unwrap();
    let stuck = world.wait(notes.when_durable(Durability::HubDisk, Some(2_000)), 6_000).unwrap();
    assert_eq!(stuck.unwrap_err().code(), ErrorCode::Timeout);
    hub_disk.fail_writes.set(false);
    world.wait(notes.when_durable(Durability::HubDisk, Some(40_000)), 60_000).unwrap().unwrap();
}

#[test]
fn a_peer_without_the_feature_hears_nothing_of_records() {
    let mut world = World::new(15);
    let link = Link::new(world.env(), ChannelKind::Network, 20);
    let other = Link::new(world.env(), ChannelKind::Network, 20);
    let features = Features::HEADS.or(Features::ACK).or(Features::DIGEST).or(Features::LINEAGE);
    let old = Repo::new(world.env(), RepoConfig { adapters: vec![link.end(1)], features, ..RepoConfig::default() });
    let new = leaf(&world, vec![link.end(0), other.end(0)]);
    let idle = leaf(&world, vec![other.end(1)]);
    let notes = shared(&new);
    let theirs = shared(&old);
    link.connect();
    other.connect();
    world.run(1_000);
    let counts = link.counts().messages;
    put(&mut world, &notes, "a", &record(&[("x", 1)]));
    put(&mut world, &theirs, "b", &record(&[("x", 1)]));
    world.run(2_000);
    assert_eq!(link.counts().messages, counts);
    assert_eq!(all(&mut world, &notes).len(), 1);
    // Neither does one whose application uses none get any; documents go on as ever.
    assert_eq!(idle.record_stats(), RecordStats::default());
    new.get("d").unwrap().change(|doc| doc.get_text("text").insert(0, "x").unwrap(), None, None).unwrap();
    let doc = old.get("d").unwrap();
    world.run(2_000);
    assert_eq!(doc.doc().get_text("text").to_string(), "x");
}

#[derive(Default)]
struct Rules {
    hidden: RefCell<BTreeSet<String>>,
    read_only: Cell<bool>,
    keep: Cell<bool>,
}

impl Permissions for Rules {
    fn record_visibility(&self, record: &RecordId, _: &PeerContext) -> bool {
        !self.hidden.borrow().contains(&*record.key)
    }
    fn record_mutability(&self, _: &RecordId, _: &PeerContext) -> bool {
        !self.read_only.get()
    }
    fn record_deletion(&self, _: &RecordId, _: &PeerContext) -> bool {
        !self.keep.get()
    }
}

#[test]
fn permissions_are_asked_for_every_record() {
    let mut world = World::new(16);
    let links: Vec<_> = (0..2).map(|_| Link::new(world.env(), ChannelKind::Network, 20)).collect();
    let rules: Rc<Rules> = Rc::default();
    rules.hidden.borrow_mut().insert("secret".into());
    let config = hub_config(links.iter().map(|link| link.end(1)).collect());
    let hub = Repo::new(world.env(), RepoConfig { permissions: Rc::clone(&rules) as Rc<dyn Permissions>, ..config });
    let of_hub = shared(&hub);
    let repos: Vec<_> = links.iter().map(|link| leaf(&world, vec![link.end(0)])).collect();
    let notes: Vec<_> = repos.iter().map(shared).collect();
    let refused = errors(&repos[0]);
    put(&mut world, &of_hub, "secret", &record(&[("x", 1)]));
    put(&mut world, &of_hub, "open", &record(&[("x", 1)]));
    links.iter().for_each(Link::connect);
    world.run(2_000);
    assert_eq!(all(&mut world, &notes[0]).into_keys().collect::<Vec<_>>(), ["open"]);
    let settled = links[0].counts().messages;
    world.run(10_000);
    assert!(links[0].counts().messages - settled < 8, "what is hidden is not asked for again and again");
    rules.read_only.set(true);
    update(&mut world, &notes[0], "open", &record(&[("x", 2)]));
    world.run(2_000);
    // A hub's word counts for everybody: the change is taken back where it was made.
    assert_eq!(get(&mut world, &notes[0], "open"), Some(record(&[("x", 1)])));
    rules.read_only.set(false);
    rules.keep.set(true);
    assert!(delete(&mut world, &notes[0], "open"));
    assert_eq!(get(&mut world, &notes[0], "open"), None);
    world.run(5_000);
    assert_eq!(get(&mut world, &notes[0], "open"), Some(record(&[("x", 1)])));
    assert_eq!(refused.borrow().len(), 2, "{refused:?}");
    // The rules change: what was hidden is there, and what was refused may be tried again.
    rules.hidden.borrow_mut().clear();
    rules.keep.set(false);
    hub.permissions_changed();
    world.run(3_000);
    update(&mut world, &notes[1], "secret", &record(&[("x", 3)]));
    assert!(delete(&mut world, &notes[0], "open"));
    world.run(3_000);
    for notes in notes.iter().chain([&of_hub]) {
        assert_eq!(get(&mut world, notes, "secret"), Some(record(&[("x", 3)])));
        assert_eq!(all(&mut world, notes).len(), 1);
    }
}

#[test]
fn listeners_hear_of_all_changes_of_a_task_at_once() {
    let mut world = World::new(17);
    let link = Link::new(world.env(), ChannelKind::Network, 20);
    let (a, b) = (leaf(&world, vec![link.end(0)]), leaf(&world, vec![link.end(1)]));
    let (of_a, of_b) = (shared(&a), shared(&b));
    link.connect();
    world.run(1_000);
    let heard: Rc<RefCell<Vec<Vec<RecordChange>>>> = Rc::default();
    let kept = Rc::clone(&heard);
    let subscription = of_b.subscribe(move |changes| kept.borrow_mut().push(changes.to_vec()));
    for key in ["a", "b", "c", "d"] {
        drop(of_a.put(key, &record(&[("x", 1)])));
    }
    world.run(1_000);
    let keys: Vec<Vec<String>> = heard.borrow().iter().map(|batch| batch.iter().map(|change| change.key.to_string()).collect()).collect();
    assert_eq!(keys, [vec!["a"], vec!["b", "c", "d"]], "the first goes at once, the others together");
    assert!(heard.borrow().iter().flatten().all(|change| !change.deleted && !change.local && change.owner.is_none()));
    heard.borrow_mut().clear();
    drop(subscription);
    drop(of_a.delete("a"));
    world.run(1_000);
    assert!(heard.borrow().is_empty());
    assert_eq!(get(&mut world, &of_b, "a"), None);
}

#[test]
fn arguments_are_checked() {
    let mut world = World::new(18);
    let repo = leaf(&world, vec![]);
    let notes = shared(&repo);
    let code = |world: &mut World, outcome| world.wait::<Result<(), corella::RepoError>>(outcome, 10).unwrap().unwrap_err().code();
    assert_eq!(code(&mut world, notes.put("", &LoroValue::Null)), ErrorCode::InvalidArgument);
    assert_eq!(code(&mut world, notes.put(&"k".repeat(513), &LoroValue::Null)), ErrorCode::InvalidArgument);
    assert_eq!(code(&mut world, notes.put("k", &LoroValue::String("x".repeat(256 * 1024).into()))), ErrorCode::InvalidArgument);
    assert_eq!(code(&mut world, notes.update("k", &record(&[("x", 1)]))), ErrorCode::NotFound);
    put(&mut world, &notes, "k", &record(&[("x", 1)]));
    assert_eq!(code(&mut world, notes.insert("k", &LoroValue::Null)), ErrorCode::Exists);
    assert_eq!(code(&mut world, notes.update("k", &LoroValue::Null)), ErrorCode::InvalidArgument);
    assert_eq!(repo.collection("notes", CollectionKind::Owned).unwrap_err().code(), ErrorCode::InvalidArgument);
    assert_eq!(world.wait(notes.get("k", Some(Device(1))), 10).unwrap().unwrap_err().code(), ErrorCode::InvalidArgument);
    assert!(!delete(&mut world, &notes, "nothing"));
    let keys = |world: &mut World, filter| {
        let entries = world.wait(notes.entries(filter), 10).unwrap().unwrap();
        entries.into_iter().map(|entry| entry.key.to_string()).collect::<Vec<_>>()
    };
    for key in ["ka", "kb", "l"] {
        put(&mut world, &notes, key, &LoroValue::Null);
    }
    let prefix = |prefix: &str, limit| RecordFilter { prefix: Some(prefix.into()), limit, ..RecordFilter::default() };
    assert_eq!(keys(&mut world, prefix("k", None)), ["k", "ka", "kb"]);
    assert_eq!(keys(&mut world, prefix("k", Some(2))), ["k", "ka"]);
    assert_eq!(keys(&mut world, prefix("z", None)), [] as [&str; 0]);
    world.wait(repo.close(), 1_000).unwrap().unwrap();
    assert_eq!(code(&mut world, notes.put("k", &LoroValue::Null)), ErrorCode::Closed);
    let _ = (RefusalReason::ClockAhead, Life::new());
}
