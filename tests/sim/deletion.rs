//! Deletions, and hubs that were restarted before.

use std::rc::Rc;

use corella::{
    Repo, RepoConfig,
    protocol::PeerType,
    runtime::Adapter,
    synchronizer::{ChannelKind, Creator, Interest, PeerContext, Permissions},
};

use crate::{
    disk::{Disk, Drive},
    network::Link,
    world::World,
};

/// Lets only the creator delete, as a hub does.
struct CreatorDeletes;

impl Permissions for CreatorDeletes {
    fn deletion(&self, _: &corella::DocId, creator: Option<&Creator>, peer: &PeerContext) -> bool {
        creator.is_some_and(|creator| creator.is(peer))
    }
}

/// Lets everybody delete.
struct AnybodyDeletes;

impl Permissions for AnybodyDeletes {
    fn deletion(&self, _: &corella::DocId, _: Option<&Creator>, _: &PeerContext) -> bool {
        true
    }
}

fn named(world: &World, name: &str, adapters: Vec<Rc<dyn Adapter>>) -> Repo {
    let (name, permissions) = (Some(name.to_owned()), Rc::new(AnybodyDeletes));
    Repo::new(world.env(), RepoConfig { adapters, name, permissions, ..RepoConfig::default() })
}

#[test]
fn after_a_restart_of_all_a_deletion_still_reaches_whoever_only_stores_the_document() {
    let mut world = World::new(81);
    let links: Vec<_> = (0..2).map(|_| Link::new(world.env(), ChannelKind::Network, 20)).collect();
    let disks: Vec<_> = (0..3).map(|_| Disk::new()).collect();
    let hub = |world: &World| {
        let mut adapters: Vec<Rc<dyn Adapter>> = links.iter().map(|link| link.end(1) as Rc<dyn Adapter>).collect();
        adapters.push(Drive::new(&disks[2], world.env(), 5, 10));
        let (interest, permissions) = (Interest::Everything, Rc::new(CreatorDeletes));
        Repo::new(world.env(), RepoConfig { adapters, peer_type: PeerType::Service, interest, permissions, ..RepoConfig::default() })
    };
    let leaf = |world: &World, name: &str, number: usize| {
        named(world, name, vec![links[number].end(0), Drive::new(&disks[number], world.env(), 5, 10)])
    };
    let first = hub(&world);
    let (ada, bob) = (leaf(&world, "Ada", 0), leaf(&world, "Bob", 1));
    links.iter().for_each(Link::connect);
    world.run(500);
    let plan = ada.create("plan", false).unwrap();
    plan.doc().get_text("text").insert(0, "x").unwrap();
    plan.doc().commit();
    world.run(2_000);
    let theirs = bob.get("plan").unwrap();
    world.run(2_000);
    assert_eq!(theirs.doc().get_text("text").to_string(), "x");
    drop((plan, theirs));
    links.iter().for_each(|link| link.disconnect());
    drop(first);
    for repo in [&ada, &bob] {
        world.wait(repo.close(), 5_000).unwrap().unwrap();
    }
    let _second = hub(&world);
    let (ada, bob) = (leaf(&world, "Ada", 0), leaf(&world, "Bob", 1));
    links.iter().for_each(Link::connect);
    world.run(2_000);
    assert_eq!(bob.list().len(), 1);
    world.wait(ada.delete("plan"), 5_000).unwrap().unwrap();
    world.run(2_000);
    assert_eq!((ada.list().len(), bob.list().len()), (0, 0));
}
