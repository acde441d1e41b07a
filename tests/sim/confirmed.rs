//! What a client remembers of what the hub has: nothing that the hub would not have after a crash.

use std::rc::Rc;

use corella::{
    DocHandle, Repo, RepoConfig,
    protocol::PeerType,
    runtime::{Adapter, Durability},
    synchronizer::{ChannelKind, Interest, MemoryBudget},
};

use crate::{
    disk::{Disk, Drive},
    network::Link,
    world::World,
};

const NOTHING_STAYS: MemoryBudget = MemoryBudget { documents: 0, bytes: 0 };

/// A hub, its disk and the link to it.
struct Hub {
    repo: Repo,
    drive: Rc<Drive>,
    link: Rc<Link>,
}

impl Hub {
    fn start(world: &World, disk: &Rc<Disk>) -> Self {
        let link = Link::new(world.env(), ChannelKind::Network, 10);
        let drive = Drive::new(disk, world.env(), 5, 0);
        let adapters: Vec<Rc<dyn Adapter>> = vec![drive.clone(), link.end(1)];
        let (peer_type, interest) = (PeerType::Service, Interest::Everything);
        let repo = Repo::new(world.env(), RepoConfig { adapters, peer_type, interest, store_delay_ms: 20, ..RepoConfig::default() });
        Self { repo, drive, link }
    }

    fn crash(self) {
        self.drive.kill();
        self.link.disconnect();
    }
}

fn client(world: &World, disk: &Rc<Disk>, links: &[&Rc<Link>], memory: MemoryBudget) -> Repo {
    let mut adapters: Vec<Rc<dyn Adapter>> = vec![Drive::new(disk, world.env(), 5, 0)];
    adapters.extend(links.iter().map(|link| link.end(0)));
    Repo::new(world.env(), RepoConfig { adapters, memory, ..RepoConfig::default() })
}

fn insert(handle: &DocHandle, content: &str) {
    handle.change(|doc| doc.get_text("text").insert(0, content).unwrap(), None, None).unwrap();
}

fn on(disk: &Disk, doc: &str) -> String {
    disk.contents(doc).get_text("text").to_string()
}

#[test]
fn an_edit_the_hub_had_in_memory_only_is_sent_again_by_a_client_that_has_closed_the_document() {
    let mut world = World::new(61);
    let (here, there) = (Disk::new(), Disk::new());
    let hub = Hub::start(&world, &there);
    let first = client(&world, &here, &[&hub.link], MemoryBudget::default());
    hub.link.connect();
    world.run(500);
    there.fail_writes.set(true);
    let handle = first.get("d").unwrap();
    insert(&handle, "typed");
    world.run(10_000);
    assert_eq!((handle.durability(), handle.unsynced()), (Durability::Hub, 0));
    drop((handle, first));
    hub.crash();
    there.fail_writes.set(false);

    let hub = Hub::start(&world, &there);
    let offline = client(&world, &here, &[], MemoryBudget::default());
    let handle = offline.get("d").unwrap();
    world.run(500);
    assert_eq!(handle.unsynced(), 5, "nobody else is known to keep it");
    drop((handle, offline));
    let second = client(&world, &here, &[&hub.link], MemoryBudget::default());
    hub.link.connect();
    world.run(5_000);
    assert_eq!(on(&there, "d"), "typed");
    assert_eq!(second.list().iter().filter(|info| info.open).count(), 0);
    drop(second);
    world.run(100);
    let last = client(&world, &here, &[], MemoryBudget::default());
    let handle = last.get("d").unwrap();
    world.run(500);
    assert_eq!(handle.unsynced(), 0, "the hub said that it is on its disk, and that was noted");
}

#[test]
fn an_edit_the_hub_had_in_memory_only_is_sent_again_though_the_document_has_left_memory() {
    let mut world = World::new(62);
    let (here, there) = (Disk::new(), Disk::new());
    let hub = Hub::start(&world, &there);
    let next = Link::new(world.env(), ChannelKind::Network, 10);
    let client = client(&world, &here, &[&hub.link, &next], NOTHING_STAYS);
    hub.link.connect();
    world.run(500);
    there.fail_writes.set(true);
    let handle = client.get("d").unwrap();
    insert(&handle, "typed");
    world.run(1_000);
    assert_eq!(handle.durability(), Durability::Hub);
    handle.close();
    drop(handle);
    world.run(20_000);
    hub.crash();
    there.fail_writes.set(false);
    let drive = Drive::new(&there, world.env(), 5, 0);
    let (peer_type, interest) = (PeerType::Service, Interest::Everything);
    let adapters: Vec<Rc<dyn Adapter>> = vec![drive, next.end(1)];
    let hub = Repo::new(world.env(), RepoConfig { adapters, peer_type, interest, store_delay_ms: 20, ..RepoConfig::default() });
    next.connect();
    world.run(5_000);
    assert_eq!(on(&there, "d"), "typed");
    drop(hub);
}

#[test]
fn a_client_that_ended_before_the_hubs_disk_spoke_hears_of_it_at_its_next_start() {
    let mut world = World::new(63);
    let (here, there) = (Disk::new(), Disk::new());
    let hub = Hub::start(&world, &there);
    let first = client(&world, &here, &[&hub.link], MemoryBudget::default());
    hub.link.connect();
    world.run(500);
    let handle = first.get("d").unwrap();
    insert(&handle, "d");
    world.run(3_000);
    there.slow_ms.set(3_000);
    insert(&handle, "type");
    world.run(1_000);
    assert_eq!(handle.durability(), Durability::Hub);
    drop((handle, first));
    hub.link.disconnect();
    world.run(10_000);
    there.slow_ms.set(0);
    assert_eq!(on(&there, "d"), "typed");
    let loads = here.loads.get();
    let second = client(&world, &here, &[&hub.link], MemoryBudget::default());
    hub.link.connect();
    world.run(5_000);
    assert_eq!(here.loads.get(), loads, "the hub has it: nothing is read");
    drop(second);
    world.run(100);
    let last = client(&world, &here, &[], MemoryBudget::default());
    let handle = last.get("d").unwrap();
    world.run(500);
    assert_eq!(handle.unsynced(), 0);
}

#[test]
fn what_the_hub_gave_is_not_offered_to_it_nor_counted_as_unsent() {
    let mut world = World::new(64);
    let (here, there) = (Disk::new(), Disk::new());
    let hub = Hub::start(&world, &there);
    insert(&hub.repo.get("d").unwrap(), "written by others");
    world.run(500);
    let reader = client(&world, &here, &[&hub.link], MemoryBudget::default());
    hub.link.connect();
    let handle = reader.get("d").unwrap();
    world.run(2_000);
    assert_eq!(handle.doc().get_text("text").to_string(), "written by others");
    drop((handle, reader));
    world.run(100);
    let offline = client(&world, &here, &[], MemoryBudget::default());
    let handle = offline.get("d").unwrap();
    world.run(500);
    assert_eq!(handle.unsynced(), 0);
    insert(&handle, "and me, ");
    world.run(500);
    assert_eq!(handle.unsynced(), 8, "only what was written here");
}
