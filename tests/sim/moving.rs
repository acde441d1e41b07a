//! A leaf that meets another hub: what it has closed gets there, too.

use std::rc::Rc;

use corella::{
    Repo, RepoConfig,
    protocol::PeerType,
    runtime::Adapter,
    synchronizer::{ChannelKind, Interest, MemoryBudget},
};

use crate::{
    disk::{Disk, Drive},
    network::Link,
    world::World,
};

const DOCS: usize = 300;

fn hub(world: &World, disk: &Rc<Disk>, link: &Rc<Link>, home: u64) -> Repo {
    let adapters: Vec<Rc<dyn Adapter>> = vec![Drive::new(disk, world.env(), 5, 0), link.end(1)];
    let (peer_type, interest) = (PeerType::Service, Interest::Everything);
    Repo::new(world.env(), RepoConfig { adapters, peer_type, interest, store_delay_ms: 20, home: Some(home), ..RepoConfig::default() })
}

fn leaf(world: &World, disk: &Rc<Disk>, link: Option<&Rc<Link>>, memory: MemoryBudget) -> Repo {
    let mut adapters: Vec<Rc<dyn Adapter>> = vec![Drive::new(disk, world.env(), 5, 0)];
    adapters.extend(link.map(|link| link.end(0) as Rc<dyn Adapter>));
    Repo::new(world.env(), RepoConfig { adapters, memory, ..RepoConfig::default() })
}

fn write(world: &mut World, repo: &Repo, number: usize, content: &str) {
    let handle = repo.get(&format!("d{number}")).unwrap();
    handle.change(|doc| doc.get_text("text").insert(0, content).unwrap(), None, None).unwrap();
    world.run(5);
    handle.close();
}

fn has_all(disk: &Disk) -> bool {
    (0..DOCS).all(|number| disk.contents(&format!("d{number}")).get_text("text").to_string() == "written")
}

#[test]
fn all_closed_documents_reach_a_new_hub_and_are_read_only_because_it_asks() {
    let mut world = World::new(240);
    let (here, old, new) = (Disk::new(), Disk::new(), Disk::new());
    let link = Link::new(world.env(), ChannelKind::Network, 10);
    let first = hub(&world, &old, &link, 1);
    let client = leaf(&world, &here, Some(&link), MemoryBudget::default());
    link.connect();
    for number in 0..DOCS {
        write(&mut world, &client, number, "written");
    }
    world.run(20_000);
    assert!(has_all(&old));
    drop((client, first));

    let move_to = |world: &mut World, disk: &Rc<Disk>, home| {
        let link = Link::new(world.env(), ChannelKind::Network, 10);
        let hub = hub(world, disk, &link, home);
        let client = leaf(world, &here, Some(&link), MemoryBudget::default());
        world.run(200);
        let loads = here.loads.get();
        link.connect();
        world.run(60_000);
        assert_eq!(client.list().iter().filter(|info| info.open).count(), 0);
        drop((client, hub));
        (here.loads.get() - loads, link.counts())
    };
    let (loads, _) = move_to(&mut world, &new, 2);
    assert!(has_all(&new), "without being opened");
    assert_eq!(loads, DOCS as u64, "each once");
    for (disk, home) in [(&new, 2), (&old, 1)] {
        let (loads, counts) = move_to(&mut world, disk, home);
        assert_eq!(loads, 0, "hub {home}");
        assert!(counts.messages <= 8 && counts.payloads == 0, "hub {home} is offered nothing it is known to keep: {counts:?}");
    }
    // The same hub without its data is another one.
    let emptied = Disk::new();
    move_to(&mut world, &emptied, 3);
    assert!(has_all(&emptied));
}

#[test]
fn a_closed_document_reaches_both_of_two_hubs_that_do_not_know_of_each_other() {
    let mut world = World::new(241);
    let (here, disks) = (Disk::new(), [Disk::new(), Disk::new()]);
    let links = [0, 1].map(|_| Link::new(world.env(), ChannelKind::Network, 10));
    let _hubs: Vec<_> = (0..2).map(|at| hub(&world, &disks[at], &links[at], at as u64)).collect();
    let mut adapters: Vec<Rc<dyn Adapter>> = vec![Drive::new(&here, world.env(), 5, 0)];
    adapters.extend(links.iter().map(|link| link.end(0) as Rc<dyn Adapter>));
    let memory = MemoryBudget { documents: 0, bytes: 0 };
    let client = Repo::new(world.env(), RepoConfig { adapters, memory, ..RepoConfig::default() });
    links[0].connect();
    for number in 0..DOCS {
        write(&mut world, &client, number, "written");
    }
    world.run(70_000);
    assert!(has_all(&disks[0]) && !has_all(&disks[1]));
    links[1].connect();
    world.run(60_000);
    assert!(has_all(&disks[1]));
}
