//! Changes a relay does not take: the application is told, and they are offered until they are taken.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use corella::{
    DocHandle, DocId, Repo, RepoConfig,
    protocol::{PeerType, RefusalReason},
    runtime::RepoEvent,
    synchronizer::{ChannelKind, Interest, PeerContext, Permissions},
};

use crate::{network::Link, world::World};

/// Nobody may make documents here, for as long as it says so.
#[derive(Default)]
struct NoCreation(Cell<bool>);

impl Permissions for NoCreation {
    fn creation(&self, _: &DocId, _: &PeerContext) -> bool {
        !self.0.get()
    }
}

fn relay(world: &World, link: &[&Rc<Link>], sides: &[usize], permissions: &Rc<NoCreation>) -> Repo {
    let adapters = link.iter().zip(sides).map(|(link, side)| link.end(*side)).collect();
    let permissions = Rc::clone(permissions);
    let config =
        RepoConfig { adapters, permissions, peer_type: PeerType::Service, interest: Interest::Everything, ..RepoConfig::default() };
    Repo::new(world.env(), config)
}

fn insert(handle: &DocHandle, content: &str) {
    handle.change(|doc| doc.get_text("text").insert(0, content).unwrap(), None, None).unwrap();
}

fn text(handle: &DocHandle) -> String {
    handle.doc().get_text("text").to_string()
}

#[test]
fn a_document_that_may_not_be_created_is_told_once_and_arrives_when_it_may_though_only_the_hub_hears_of_that() {
    let mut world = World::new(61);
    let link = Link::new(world.env(), ChannelKind::Network, 10);
    let rules = Rc::new(NoCreation::default());
    rules.0.set(true);
    let hub = relay(&world, &[&link], &[1], &rules);
    let client = Repo::new(world.env(), RepoConfig { adapters: vec![link.end(0)], ..RepoConfig::default() });
    let told: Rc<RefCell<Vec<RefusalReason>>> = Rc::default();
    let kept = Rc::clone(&told);
    client
        .on_event(move |event| {
            if let RepoEvent::Refused { reason, retry_ms, .. } = event {
                assert!(retry_ms.is_some());
                kept.borrow_mut().push(*reason);
            }
        })
        .detach();
    let handle = client.get("d").unwrap();
    link.connect();
    world.run(2_000);
    assert!(told.borrow().is_empty(), "there is nothing to take");
    insert(&handle, "typed ");
    world.run(2_000);
    insert(&handle, "and typed ");
    world.run(200_000);
    assert_eq!(*told.borrow(), [RefusalReason::Unavailable]);
    assert_eq!(hub.list().len(), 0);
    let before = link.counts();
    world.run(600_000);
    let said = (link.counts() - before).messages;
    assert!(said <= 80, "{said} messages in ten minutes, comparisons included");
    rules.0.set(false);
    hub.permissions_changed();
    world.run(1_000_000);
    assert_eq!(text(&hub.get("d").unwrap()), "and typed typed ");
    assert_eq!(client.unsynced(), 0);
    assert_eq!(*told.borrow(), [RefusalReason::Unavailable]);
}

#[test]
fn what_a_relay_did_not_let_another_one_create_is_asked_for_when_it_may() {
    let mut world = World::new(62);
    let (bridge, link) = (Link::new(world.env(), ChannelKind::Network, 10), Link::new(world.env(), ChannelKind::Network, 10));
    let rules = Rc::new(NoCreation::default());
    rules.0.set(true);
    let hub = relay(&world, &[&bridge], &[1], &rules);
    let _other = relay(&world, &[&bridge, &link], &[0, 1], &Rc::default());
    let client = Repo::new(world.env(), RepoConfig { adapters: vec![link.end(0)], ..RepoConfig::default() });
    bridge.connect();
    link.connect();
    insert(&client.get("d").unwrap(), "typed");
    world.run(10_000);
    assert_eq!(hub.list().len(), 0);
    rules.0.set(false);
    hub.permissions_changed();
    world.run(1_000);
    assert_eq!(text(&hub.get("d").unwrap()), "typed");
}
