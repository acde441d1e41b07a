//! Documents at rest: one snapshot each, whoever wrote them, and nothing is written to get there that nobody edited.

use std::rc::Rc;

use corella::{DocHandle, Repo, RepoConfig, runtime::Adapter, synchronizer::ChannelKind};

use crate::{
    disk::{Disk, Drive},
    network::Link,
    world::World,
};

fn tab(world: &World, disk: &Rc<Disk>, link: Option<Rc<dyn Adapter>>) -> Repo {
    let mut adapters: Vec<Rc<dyn Adapter>> = vec![Drive::new(disk, world.env(), 3, 5)];
    adapters.extend(link);
    Repo::new(world.env(), RepoConfig { adapters, ..RepoConfig::default() })
}

fn text(handle: &DocHandle) -> String {
    handle.doc().get_text("text").to_string()
}

fn type_in(world: &mut World, handle: &DocHandle, times: usize) {
    for _ in 0..times {
        handle.change(|doc| doc.get_text("text").insert(0, "x").unwrap(), None, None).unwrap();
        world.run(150);
    }
}

#[test]
fn typing_ends_as_one_snapshot_when_it_pauses_when_the_handle_is_closed_and_with_the_repo() {
    let mut world = World::new(70);
    let disk = Disk::new();
    let one = tab(&world, &disk, None);
    let handle = one.get("d").unwrap();
    world.run(100);
    type_in(&mut world, &handle, 20);
    assert!(disk.records("d") > 10, "{} records", disk.records("d"));
    world.run(10_000);
    assert_eq!(disk.records("d"), 1, "a pause");
    let writes = disk.writes.get();
    world.run(60_000);
    assert_eq!(disk.writes.get(), writes, "and no more");
    type_in(&mut world, &handle, 5);
    handle.close();
    world.run(1_000);
    assert_eq!(disk.records("d"), 1, "the handle");
    let handle = one.get("d").unwrap();
    world.run(100);
    type_in(&mut world, &handle, 5);
    let closed = one.close();
    world.wait(closed, 1_000).expect("in time").expect("written");
    world.run(100);
    assert_eq!(disk.records("d"), 1, "the repo");
    let writes = disk.writes.get();
    let again = tab(&world, &disk, None);
    let handle = again.get("d").unwrap();
    world.run(10_000);
    assert_eq!(text(&handle).len(), 30);
    let closed = again.close();
    world.wait(closed, 1_000).expect("in time").expect("nothing to do");
    assert_eq!(disk.writes.get(), writes, "opening and never editing writes nothing");
}

#[test]
fn tabs_bring_a_document_they_share_to_few_records_and_then_leave_it_alone() {
    for seed in 71..81 {
        let mut world = World::new(seed);
        let disk = Disk::new();
        let link = Link::new(world.env(), ChannelKind::Tabs, 2);
        let tabs = [0, 1].map(|side| tab(&world, &disk, Some(link.end(side))));
        link.connect();
        let handles: Vec<_> = tabs.iter().map(|tab| tab.get("d").unwrap()).collect();
        world.run(500);
        for handle in handles.iter().cycle().take(8) {
            type_in(&mut world, handle, 3);
        }
        world.run(30_000);
        assert_eq!(disk.records("d"), 1, "seed {seed}");
        let writes = disk.writes.get();
        world.run(60_000);
        assert_eq!(disk.writes.get(), writes, "seed {seed}");
        let again = tab(&world, &disk, None);
        let handle = again.get("d").unwrap();
        world.run(100);
        assert_eq!(text(&handle).len(), 24, "seed {seed}");
    }
}
