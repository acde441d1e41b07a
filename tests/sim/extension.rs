//! What corella peers do for one another beyond the reference protocol: fetching by author, acknowledgement, refusal, deletion,
//! permissions that change, and living with peers that speak less.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
};

use corella::{
    DocHandle, DocId, Repo, RepoConfig,
    protocol::{Capabilities, Features, Identity, Message, PeerId, PeerType, RefusalReason, Role, VersionVector, extension::Head},
    runtime::{Adapter, Durability, ErrorCode, RepoEvent},
    synchronizer::{ChannelKind, Creator, Interest, PeerContext, Permissions},
};
use loro::{ExportMode, LoroDoc};

use crate::{
    disk::{Disk, Drive},
    network::Link,
    world::World,
};

/// Rules that a test changes while they are in force.
#[derive(Default)]
struct Rules {
    hidden: RefCell<BTreeSet<String>>,
    read_only: Cell<bool>,
    deletable: Cell<bool>,
}

impl Permissions for Rules {
    fn visibility(&self, doc: &DocId, peer: &PeerContext) -> bool {
        peer.kind == ChannelKind::Storage || !self.hidden.borrow().contains(doc.as_str())
    }
    fn mutability(&self, _: &DocId, peer: &PeerContext) -> bool {
        peer.kind == ChannelKind::Storage || !self.read_only.get()
    }
    fn deletion(&self, _: &DocId, _: Option<&Creator>, _: &PeerContext) -> bool {
        self.deletable.get()
    }
}

/// Lets only the creator delete, as a hub does.
struct CreatorDeletes;

impl Permissions for CreatorDeletes {
    fn deletion(&self, _: &DocId, creator: Option<&Creator>, peer: &PeerContext) -> bool {
        creator.is_some_and(|creator| creator.is(peer))
    }
}

fn leaf(world: &World, adapters: Vec<Rc<dyn Adapter>>) -> Repo {
    Repo::new(world.env(), RepoConfig { adapters, ..RepoConfig::default() })
}

fn relay(world: &World, adapters: Vec<Rc<dyn Adapter>>, permissions: Rc<dyn Permissions>) -> Repo {
    let config = RepoConfig {
        adapters,
        permissions,
        peer_type: PeerType::Service,
        interest: Interest::Everything,
        store_delay_ms: 20,
        ..RepoConfig::default()
    };
    Repo::new(world.env(), config)
}

fn text(handle: &DocHandle) -> String {
    handle.doc().get_text("text").to_string()
}

fn insert(handle: &DocHandle, content: &str) {
    handle.change(|doc| doc.get_text("text").insert(0, content).unwrap(), None, None).unwrap();
}

/// Collects what happens to a repo.
fn listen(repo: &Repo) -> Rc<RefCell<Vec<RepoEvent>>> {
    let events: Rc<RefCell<Vec<RepoEvent>>> = Rc::default();
    let kept = Rc::clone(&events);
    repo.on_event(move |event| kept.borrow_mut().push(event.clone())).detach();
    events
}

/// A document of more than 200 kB by many authors.
fn written_by_many(authors: u64) -> Vec<u8> {
    let all = LoroDoc::new();
    for author in 1..=authors {
        let one = LoroDoc::new();
        one.set_peer_id(author).unwrap();
        // Not the same text for everybody: it must not compress to nothing.
        let mut state = author;
        for key in 0..20 {
            let mut words = String::new();
            for _ in 0..40 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                words.push_str(&format!("{:x} ", state >> 40));
            }
            one.get_map("all").insert(&format!("{author}.{key}"), words).unwrap();
        }
        one.commit();
        all.import(&one.export(ExportMode::all_updates()).unwrap()).unwrap();
    }
    all.export(ExportMode::all_updates()).unwrap()
}

/// Has a newcomer fetch a document that `sources` neighbours have; returns bytes received per byte of one export, and how many gave some.
fn fetch_from(sources: usize) -> (f64, usize) {
    let mut world = World::new(100 + sources as u64);
    let links: Vec<_> = (0..sources).map(|_| Link::new(world.env(), ChannelKind::Network, 10)).collect();
    let all = written_by_many(60);
    let repos: Vec<_> = links.iter().map(|link| leaf(&world, vec![link.end(1)])).collect();
    let handles: Vec<_> = repos.iter().map(|repo| repo.get("d").unwrap()).collect();
    for handle in &handles {
        handle.doc().import(&all).unwrap();
        handle.touch();
    }
    let newcomer = leaf(&world, links.iter().map(|link| link.end(0)).collect());
    let fetched = newcomer.get("d").unwrap();
    for link in &links {
        link.connect();
    }
    world.run(3_000);
    assert!(all.len() > 200_000);
    assert_eq!(fetched.doc().get_deep_value(), handles[0].doc().get_deep_value());
    let counts: Vec<_> = links.iter().map(|link| link.counts()).collect();
    let received: u64 = counts.iter().map(|counts| counts.payload_bytes).sum();
    (received as f64 / all.len() as f64, counts.iter().filter(|counts| counts.payloads > 0).count())
}

#[test]
fn a_newcomer_fetches_different_authors_from_different_neighbours_and_nothing_twice() {
    for sources in [2, 5] {
        let (ratio, gave) = fetch_from(sources);
        println!("{sources} sources: {ratio:.3} bytes received per byte of one export");
        assert!(ratio <= 1.10, "{sources} sources: {ratio}");
        assert_eq!(gave, sources, "every neighbour gives a part");
    }
}

#[test]
fn what_a_silent_neighbour_promised_is_fetched_from_another() {
    let mut world = World::new(21);
    let links: Vec<_> = (0..2).map(|_| Link::new(world.env(), ChannelKind::Network, 10)).collect();
    let all = written_by_many(10);
    let repos: Vec<_> = links.iter().map(|link| leaf(&world, vec![link.end(1)])).collect();
    for repo in &repos {
        let handle = repo.get("d").unwrap();
        handle.doc().import(&all).unwrap();
        handle.touch();
    }
    let newcomer = leaf(&world, links.iter().map(|link| link.end(0)).collect());
    let fetched = newcomer.get("d").unwrap();
    for link in &links {
        link.connect();
    }
    // Both have said what they have; from here on one of them is heard no more, and nobody notices.
    world.run(35);
    links[0].silence(1, true);
    world.run(12_000);
    assert_eq!(fetched.doc().get_deep_value(), repos[1].get("d").unwrap().doc().get_deep_value());
}

#[test]
fn durability_climbs_the_ladder_only_by_what_others_said() {
    let mut world = World::new(22);
    let link = Link::new(world.env(), ChannelKind::Network, 10);
    let (disk, hub_disk) = (Disk::new(), Disk::new());
    let hub = relay(&world, vec![Drive::new(&hub_disk, world.env(), 200, 0), link.end(1)], Rc::new(CreatorDeletes));
    let client = leaf(&world, vec![Drive::new(&disk, world.env(), 50, 0), link.end(0)]);
    let handle = client.get("d").unwrap();
    world.run(100);
    insert(&handle, "abc");
    assert_eq!((handle.durability(), handle.unsynced()), (Durability::Memory, 3));
    world.run(120);
    assert_eq!((handle.durability(), client.unsynced()), (Durability::Disk, 3), "nobody else was there");
    let waits = [Durability::Hub, Durability::HubDisk].map(|level| handle.when_durable(level, Some(5_000)));
    link.connect();
    world.run(2_000);
    assert_eq!((handle.durability(), handle.unsynced()), (Durability::HubDisk, 0));
    for wait in waits {
        world.wait(wait, 10).expect("at once").expect("durable");
    }

    // The hub's disk fails: it has the next edit in memory, and says no more than that.
    hub_disk.fail_writes.set(true);
    insert(&handle, "d");
    world.run(3_000);
    assert_eq!(handle.durability(), Durability::Hub);
    let wait = handle.when_durable(Durability::HubDisk, Some(1_000));
    assert_eq!(world.wait(wait, 2_000).unwrap().unwrap_err().code(), ErrorCode::Timeout);
    hub_disk.fail_writes.set(false);
    world.run(40_000);
    assert_eq!(handle.durability(), Durability::HubDisk);
    drop(hub);
}

#[test]
fn what_a_read_only_peer_types_is_refused_visibly_and_taken_when_it_may_write() {
    let mut world = World::new(23);
    let link = Link::new(world.env(), ChannelKind::Network, 10);
    let rules = Rc::new(Rules::default());
    let hub = relay(&world, vec![link.end(1)], rules.clone());
    let client = leaf(&world, vec![link.end(0)]);
    let events = listen(&client);
    let (here, there) = (client.get("d").unwrap(), hub.get("d").unwrap());
    link.connect();
    insert(&there, "hub ");
    world.run(1_000);
    rules.read_only.set(true);
    insert(&here, "client ");
    world.run(2_000);
    let refusals = |events: &RefCell<Vec<RepoEvent>>| {
        let events = events.borrow();
        let reason = |event: &RepoEvent| match event {
            RepoEvent::Refused { reason, .. } => Some(*reason),
            _ => None,
        };
        events.iter().filter_map(reason).collect::<Vec<_>>()
    };
    assert_eq!(refusals(&events), [RefusalReason::Mutability]);
    assert_eq!((text(&there).as_str(), here.unsynced()), ("hub ", 7));
    // Its own changes still come.
    insert(&there, "more ");
    world.run(1_000);
    assert!(text(&here).contains("more "));

    rules.read_only.set(false);
    hub.permissions_changed();
    world.run(2_000);
    assert_eq!(text(&there), text(&here));
    assert_eq!(here.unsynced(), 0);
}

#[test]
fn a_document_that_is_hidden_stops_flowing_at_once_and_flows_again_when_it_is_shown() {
    let mut world = World::new(24);
    let links: Vec<_> = (0..2).map(|_| Link::new(world.env(), ChannelKind::Network, 10)).collect();
    let rules = Rc::new(Rules::default());
    let hub = relay(&world, links.iter().map(|link| link.end(1)).collect(), rules.clone());
    let clients: Vec<_> = links.iter().map(|link| leaf(&world, vec![link.end(0)])).collect();
    let handles: Vec<_> = clients.iter().map(|client| client.get("secret").unwrap()).collect();
    for link in &links {
        link.connect();
    }
    insert(&handles[0], "before ");
    handles[0].ephemeral("cursors").set_self("here".into());
    world.run(1_000);
    assert_eq!(text(&handles[1]), "before ");

    rules.hidden.borrow_mut().insert("secret".into());
    hub.permissions_changed();
    world.run(1_000);
    let before = links[1].counts();
    insert(&hub.get("secret").unwrap(), "hidden ");
    handles[0].ephemeral("cursors").set_self("moved".into());
    world.run(20_000);
    let after = links[1].counts() - before;
    assert_eq!((after.payloads, after.ephemeral), (0, 0), "nothing of it crosses the link");
    assert_eq!(text(&handles[1]), "before ");

    rules.hidden.borrow_mut().clear();
    hub.permissions_changed();
    world.run(2_000);
    assert_eq!(text(&handles[1]), "hidden before ");
}

/// A hub with a disk and two clients with disks, one of them made by the test's needs.
struct Trio {
    world: World,
    links: Vec<Rc<Link>>,
    disks: Vec<Rc<Disk>>,
    hub: Repo,
    clients: Vec<Repo>,
}

impl Trio {
    fn new(seed: u64, deletable: [bool; 2]) -> Self {
        let world = World::new(seed);
        let links: Vec<_> = (0..2).map(|_| Link::new(world.env(), ChannelKind::Network, 10)).collect();
        let disks: Vec<_> = (0..3).map(|_| Disk::new()).collect();
        let mut adapters: Vec<Rc<dyn Adapter>> = vec![Drive::new(&disks[2], world.env(), 5, 0)];
        adapters.extend(links.iter().map(|link| link.end(1)));
        let hub = relay(&world, adapters, Rc::new(CreatorDeletes));
        let clients = (0..2).map(|number| Self::client(&world, &disks[number], &links[number], deletable[number])).collect();
        Self { world, links, disks, hub, clients }
    }

    fn client(world: &World, disk: &Rc<Disk>, link: &Rc<Link>, deletable: bool) -> Repo {
        let rules = Rules { deletable: Cell::new(deletable), ..Rules::default() };
        let adapters: Vec<Rc<dyn Adapter>> = vec![Drive::new(disk, world.env(), 5, 0), link.end(0)];
        Repo::new(world.env(), RepoConfig { adapters, permissions: Rc::new(rules), ..RepoConfig::default() })
    }
}

#[test]
fn a_deleted_document_stays_deleted_for_a_peer_that_was_away_with_edits() {
    let mut trio = Trio::new(25, [true, true]);
    let (one, two) = (trio.clients[0].get("d").unwrap(), trio.clients[1].get("d").unwrap());
    trio.links[0].connect();
    insert(&one, "written ");
    trio.world.run(500);
    trio.links[1].connect();
    trio.world.run(500);
    assert_eq!(text(&two), "written ");

    trio.links[1].disconnect();
    let delete = trio.clients[0].delete("d");
    trio.world.wait(delete, 1_000).unwrap().unwrap();
    insert(&two, "typed while away ");
    trio.world.run(500);
    assert!(trio.hub.list().is_empty(), "the creator may delete");
    trio.links[1].connect();
    trio.world.run(2_000);
    for repo in [&trio.hub, &trio.clients[0], &trio.clients[1]] {
        assert!(repo.list().is_empty());
        assert_eq!(repo.get("d").unwrap_err().code(), ErrorCode::Deleted);
    }
    for disk in &trio.disks {
        assert_eq!(disk.records("d"), 0);
    }
    // A restart remembers it.
    let link = Link::new(trio.world.env(), ChannelKind::Network, 10);
    let again = Trio::client(&trio.world, &trio.disks[1], &link, true);
    trio.world.run(500);
    assert_eq!(again.get("d").unwrap_err().code(), ErrorCode::Deleted);
}

#[test]
fn a_document_deleted_while_offline_is_deleted_everywhere_after_the_next_connection() {
    let mut trio = Trio::new(33, [true, true]);
    let (one, two) = (trio.clients[0].get("d").unwrap(), trio.clients[1].get("d").unwrap());
    trio.links[0].connect();
    insert(&one, "written ");
    trio.world.run(500);
    trio.links[1].connect();
    trio.world.run(500);
    trio.links[0].disconnect();
    let delete = trio.clients[0].delete("d");
    trio.world.wait(delete, 1_000).unwrap().unwrap();
    trio.world.run(500);
    assert_eq!(trio.hub.list().len(), 1);
    trio.links[0].connect();
    trio.world.run(1_000);
    assert!(trio.hub.list().is_empty() && two.is_gone());
}

#[test]
fn a_peer_that_claims_more_than_there_is_delays_nobody() {
    let mut world = World::new(34);
    let links: Vec<_> = (0..2).map(|_| Link::new(world.env(), ChannelKind::Network, 10)).collect();
    let author = LoroDoc::new();
    author.set_peer_id(7).unwrap();
    author.get_text("text").insert(0, "true").unwrap();
    author.commit();
    let honest = leaf(&world, vec![links[0].end(1)]);
    let there = honest.get("d").unwrap();
    there.doc().import(&author.export(ExportMode::all_updates()).unwrap()).unwrap();
    there.touch();
    let newcomer = leaf(&world, links.iter().map(|link| link.end(0)).collect());
    let fetched = newcomer.get("d").unwrap();
    for link in &links {
        link.connect();
    }
    world.run(11);
    let liar =
        Identity { peer_id: PeerId::from(4), name: None, peer_type: PeerType::User, capabilities: Some(Capabilities::own(Role::Leaf)) };
    links[1].inject(1, Message::EstablishResponse(liar));
    let version = VersionVector::from_iter([(7, i32::MAX), (8, i32::MAX)]);
    let head = Head { doc: DocId::new("d").unwrap(), lineage: 0, version };
    links[1].inject(1, Message::Heads { heads: vec![head], reply: true });
    world.run(200);
    assert_eq!(text(&fetched), "true");
    let before = links[1].counts();
    world.run(600_000);
    let asked = (links[1].counts() - before).messages;
    assert!(asked < 200, "{asked} messages to a liar in ten minutes");
}

#[test]
fn a_document_made_anew_never_merges_with_the_old_one() {
    let mut trio = Trio::new(26, [true, true]);
    let (one, two) = (trio.clients[0].get("d").unwrap(), trio.clients[1].get("d").unwrap());
    for link in &trio.links {
        link.connect();
    }
    insert(&one, "old ");
    trio.world.run(500);
    assert_eq!(text(&two), "old ");
    trio.links[1].disconnect();
    insert(&two, "old, typed while away ");
    assert_eq!(trio.clients[0].create("d", false).unwrap_err().code(), ErrorCode::Exists);
    let new = trio.clients[0].create("d", true).unwrap();
    assert_eq!(text(&new), "");
    insert(&new, "new");
    trio.world.run(500);
    assert_eq!(text(&trio.hub.get("d").unwrap()), "new");
    trio.links[1].connect();
    trio.world.run(3_000);
    assert!(two.is_gone());
    let two = trio.clients[1].get("d").unwrap();
    trio.world.run(3_000);
    assert_eq!(text(&two), "new");
    for disk in &trio.disks {
        assert!(disk.records("d") > 0);
    }
}

#[test]
fn a_deletion_that_is_not_allowed_changes_nothing_and_is_answered() {
    let mut trio = Trio::new(27, [false, true]);
    let (one, two) = (trio.clients[0].get("d").unwrap(), trio.clients[1].get("d").unwrap());
    trio.links[0].connect();
    insert(&one, "mine");
    trio.world.run(500);
    trio.links[1].connect();
    trio.world.run(500);
    let events = listen(&trio.clients[1]);
    let delete = trio.clients[1].delete("d");
    trio.world.wait(delete, 1_000).unwrap().unwrap();
    trio.world.run(2_000);
    assert_eq!(text(&trio.hub.get("d").unwrap()), "mine");
    assert_eq!(text(&one), "mine");
    let refused = |event: &RepoEvent| matches!(event, RepoEvent::Refused { reason: RefusalReason::Deletion, .. });
    assert!(events.borrow().iter().any(refused), "{:?}", events.borrow());
    drop(two);
}

#[test]
fn what_was_typed_offline_reaches_the_hub_after_restarts_without_being_opened() {
    let mut world = World::new(35);
    let disk = Disk::new();
    let offline = leaf(&world, vec![Drive::new(&disk, world.env(), 5, 0)]);
    insert(&offline.get("d").unwrap(), "typed on a plane");
    world.run(500);
    drop(offline);
    let link = Link::new(world.env(), ChannelKind::Network, 10);
    let hub = relay(&world, vec![link.end(1)], Rc::new(CreatorDeletes));
    let client = leaf(&world, vec![Drive::new(&disk, world.env(), 5, 0), link.end(0)]);
    world.run(100);
    link.connect();
    world.run(20_000);
    assert_eq!(text(&hub.get("d").unwrap()), "typed on a plane");
    assert_eq!(client.list().iter().filter(|info| info.open).count(), 0);
}

/// A leaf with a disk, connected or not.
fn stored_leaf(world: &World, disk: &Rc<Disk>, link: Option<&Rc<Link>>, open_after_ms: u64) -> Repo {
    let mut adapters: Vec<Rc<dyn Adapter>> = vec![Drive::new(disk, world.env(), 5, open_after_ms)];
    adapters.extend(link.map(|link| link.end(0) as Rc<dyn Adapter>));
    leaf(world, adapters)
}

#[test]
fn what_the_hub_has_is_remembered_over_restarts_and_only_the_rest_is_read_and_sent() {
    let mut world = World::new(36);
    let disk = Disk::new();
    let link = Link::new(world.env(), ChannelKind::Network, 10);
    let hub = relay(&world, vec![link.end(1)], Rc::new(CreatorDeletes));
    let online = stored_leaf(&world, &disk, Some(&link), 0);
    link.connect();
    for number in 0..200 {
        insert(&online.get(&format!("d{number}")).unwrap(), "in sync");
    }
    world.run(10_000);
    link.disconnect();
    world.run(100);
    insert(&online.get("d7").unwrap(), "typed offline, ");
    world.run(500);
    drop(online);
    for _ in 0..3 {
        let offline = stored_leaf(&world, &disk, None, 0);
        let (synced, stranded) = (offline.get("d8").unwrap(), offline.get("d7").unwrap());
        world.run(500);
        assert_eq!((synced.unsynced(), stranded.unsynced()), (0, 15));
        drop(offline);
    }
    let loads = disk.loads.get();
    let client = stored_leaf(&world, &disk, Some(&link), 0);
    world.run(200);
    link.connect();
    world.run(5_000);
    assert_eq!(text(&hub.get("d7").unwrap()), "typed offline, in sync");
    assert_eq!(disk.loads.get() - loads, 1, "what is in sync is not read");
    drop(client);
    let last = stored_leaf(&world, &disk, None, 0);
    let sent = last.get("d7").unwrap();
    world.run(500);
    assert_eq!(sent.unsynced(), 0, "noted although the document was never opened");
}

#[test]
fn what_a_store_lists_after_the_connection_is_there_is_sent_all_the_same() {
    let mut world = World::new(37);
    let disk = Disk::new();
    let offline = stored_leaf(&world, &disk, None, 0);
    insert(&offline.get("d").unwrap(), "typed on a plane");
    world.run(500);
    drop(offline);
    let link = Link::new(world.env(), ChannelKind::Network, 10);
    let hub = relay(&world, vec![link.end(1)], Rc::new(CreatorDeletes));
    let _client = stored_leaf(&world, &disk, Some(&link), 8_000);
    link.connect();
    world.run(20_000);
    assert_eq!(text(&hub.get("d").unwrap()), "typed on a plane");
}

#[test]
fn what_was_typed_offline_reaches_a_server_of_the_reference_protocol_without_being_opened() {
    let mut world = World::new(38);
    let disk = Disk::new();
    let offline = stored_leaf(&world, &disk, None, 0);
    for id in ["a", "b"] {
        insert(&offline.get(id).unwrap(), "typed on a plane");
    }
    world.run(500);
    drop(offline);
    let link = Link::new(world.env(), ChannelKind::Network, 10);
    let server = Repo::new(
        world.env(),
        RepoConfig {
            adapters: vec![link.end(1)],
            features: Features::default(),
            interest: Interest::Everything,
            peer_type: PeerType::Service,
            ..RepoConfig::default()
        },
    );
    let client = stored_leaf(&world, &disk, Some(&link), 0);
    world.run(100);
    link.connect();
    world.run(10_000);
    for id in ["a", "b"] {
        assert_eq!(text(&server.get(id).unwrap()), "typed on a plane");
    }
    drop(client);
    let last = stored_leaf(&world, &disk, None, 0);
    let sent = last.get("a").unwrap();
    world.run(500);
    assert_eq!(sent.unsynced(), 0);
}

#[test]
fn a_note_that_failed_is_made_again() {
    let mut world = World::new(39);
    let disk = Disk::new();
    let link = Link::new(world.env(), ChannelKind::Network, 10);
    let _hub = relay(&world, vec![link.end(1)], Rc::new(CreatorDeletes));
    let online = stored_leaf(&world, &disk, Some(&link), 0);
    insert(&online.get("d").unwrap(), "kept");
    world.run(500);
    disk.fail_writes.set(true);
    link.connect();
    world.run(10_000);
    disk.fail_writes.set(false);
    let writes = disk.writes.get();
    world.run(10_000);
    drop(online);
    assert_eq!(disk.writes.get(), writes, "a note is no record");
    let offline = stored_leaf(&world, &disk, None, 0);
    let handle = offline.get("d").unwrap();
    world.run(500);
    assert_eq!(handle.unsynced(), 0);
}

#[test]
fn what_others_wrote_counts_as_on_the_hubs_disk_whoever_begins_the_comparison() {
    let mut world = World::new(40);
    let disk = Disk::new();
    let links: Vec<_> = (0..2).map(|_| Link::new(world.env(), ChannelKind::Network, 10)).collect();
    let mut adapters: Vec<Rc<dyn Adapter>> = vec![Drive::new(&disk, world.env(), 5, 0)];
    adapters.extend(links.iter().map(|link| link.end(1) as Rc<dyn Adapter>));
    let config = RepoConfig {
        adapters,
        peer_id: Some(PeerId::from(500)),
        peer_type: PeerType::Service,
        interest: Interest::Everything,
        ..RepoConfig::default()
    };
    let _hub = Repo::new(world.env(), config);
    let readers: Vec<_> = links
        .iter()
        .zip([100, 900])
        .map(|(link, peer)| {
            let config = RepoConfig { adapters: vec![link.end(0)], peer_id: Some(PeerId::from(peer)), ..RepoConfig::default() };
            Repo::new(world.env(), config)
        })
        .collect();
    let handles: Vec<_> = readers.iter().map(|repo| repo.get("d").unwrap()).collect();
    for link in &links {
        link.connect();
    }
    world.run(1_000);
    for (handle, word) in handles.iter().zip(["low", "high"]) {
        insert(handle, word);
        world.run(5_000);
    }
    world.run(35_000);
    for handle in &handles {
        assert_eq!(handle.durability(), Durability::HubDisk);
    }
}

#[test]
fn forgetting_drops_only_the_own_copy() {
    let mut trio = Trio::new(28, [true, true]);
    let one = trio.clients[0].get("d").unwrap();
    for link in &trio.links {
        link.connect();
    }
    insert(&one, "kept by the hub");
    trio.world.run(500);
    let forgotten = trio.clients[0].forget("d");
    trio.world.wait(forgotten, 1_000).unwrap().unwrap();
    insert(&trio.hub.get("d").unwrap(), "and changed there, ");
    trio.world.run(500);
    assert!(trio.clients[0].list().is_empty());
    assert_eq!(trio.disks[0].records("d"), 0);
    let again = trio.clients[0].get("d").unwrap();
    trio.world.run(500);
    assert_eq!(text(&again), "and changed there, kept by the hub");
}

#[test]
fn peers_of_the_reference_protocol_and_corella_peers_share_a_hub() {
    let mut world = World::new(29);
    let links: Vec<_> = (0..3).map(|_| Link::new(world.env(), ChannelKind::Network, 10)).collect();
    let _hub = relay(&world, links.iter().map(|link| link.end(1)).collect(), Rc::new(CreatorDeletes));
    let features = [Features::ALL, Features::default(), Features::HEADS];
    let repos: Vec<_> = links
        .iter()
        .zip(features)
        .map(|(link, features)| Repo::new(world.env(), RepoConfig { adapters: vec![link.end(0)], features, ..RepoConfig::default() }))
        .collect();
    let handles: Vec<_> = repos.iter().map(|repo| repo.get("d").unwrap()).collect();
    for link in &links {
        link.connect();
    }
    for round in 0..10 {
        for (number, handle) in handles.iter().enumerate() {
            insert(handle, &format!("<{number}.{round}>"));
        }
        world.run(130);
        let link = &links[world.random(3) as usize];
        link.disconnect();
        world.run(20);
        link.connect();
    }
    world.run(5_000);
    for handle in &handles {
        assert_eq!(text(handle), text(&handles[0]));
        assert_eq!(text(handle).len(), 3 * 10 * 5);
    }
    assert_eq!(handles[1].durability(), Durability::Hub, "an answer of the reference protocol proves that much");
}

#[test]
fn a_lost_message_is_healed_by_the_next_comparison() {
    let mut world = World::new(30);
    let link = Link::new(world.env(), ChannelKind::Network, 10);
    let one = leaf(&world, vec![link.end(0)]);
    let two = leaf(&world, vec![link.end(1)]);
    let (here, there) = (one.get("d").unwrap(), two.get("d").unwrap());
    link.connect();
    insert(&here, "a");
    world.run(1_000);
    // Everything is lost for a while, and nobody notices that the link is down.
    link.silence(0, true);
    link.silence(1, true);
    insert(&here, "b");
    insert(&there, "c");
    world.run(20_000);
    link.silence(0, false);
    link.silence(1, false);
    world.run(60_000);
    assert_eq!(text(&here), text(&there));
    assert_eq!(text(&here).len(), 3);
}

#[test]
fn a_newcomer_sees_everybody_present_with_the_handshake() {
    let mut world = World::new(32);
    let links: Vec<_> = (0..4).map(|_| Link::new(world.env(), ChannelKind::Network, 10)).collect();
    let _hub = relay(&world, links.iter().map(|link| link.end(1)).collect(), Rc::new(CreatorDeletes));
    let repos: Vec<_> = links.iter().map(|link| leaf(&world, vec![link.end(0)])).collect();
    let cursors: Vec<_> = repos.iter().map(|repo| repo.get("d").unwrap().ephemeral("cursors")).collect();
    for (number, link) in links.iter().enumerate().take(3) {
        link.connect();
        cursors[number].set_self(i64::try_from(number).unwrap().into());
    }
    world.run(5_000);
    links[3].connect();
    // Greeting, answer, question, answer.
    world.run(45);
    assert_eq!(cursors[3].peers().len(), 3);
}

#[test]
fn what_is_typed_before_a_relay_has_answered_arrives_with_the_rest() {
    for delay in [1, 5, 30] {
        let mut world = World::new(11);
        let link = Link::new(world.env(), ChannelKind::Network, delay);
        let writer = leaf(&world, vec![link.end(0)]);
        let _hub = relay(&world, vec![link.end(1)], Rc::new(Rules::default()));
        link.connect();
        world.run(100);
        let handle = writer.get("d").unwrap();
        for _ in 0..20 {
            insert(&handle, "x");
            world.run(1);
        }
        world.run(600);
        assert_eq!(handle.durability(), Durability::Hub, "after a second, over a link of {delay} ms");
    }
}
