//! Topologies and faults: everybody converges, then nobody says anything any more.

use std::rc::Rc;

use corella::{
    DocHandle, Repo, RepoConfig,
    protocol::PeerType,
    runtime::{Adapter, Durability, ErrorCode, ReadyStatus, RepoEvent, StorageWork, SyncKind, WaitOptions},
    synchronizer::{ChannelKind, DIGEST_PERIOD_MS, Interest, MemoryBudget},
};

use crate::{
    disk::{Disk, Drive},
    network::Link,
    world::World,
};

const NETWORK: WaitOptions = WaitOptions { kind: SyncKind::Network, timeout_ms: Some(30_000) };
const STORAGE: WaitOptions = WaitOptions { kind: SyncKind::Storage, timeout_ms: Some(30_000) };

fn repo(world: &World, interest: Interest, adapters: Vec<Rc<dyn Adapter>>) -> Repo {
    let peer_type = if interest == Interest::Everything { PeerType::Service } else { PeerType::User };
    Repo::new(world.env(), RepoConfig { interest, adapters, peer_type, ..RepoConfig::default() })
}

fn text(handle: &DocHandle) -> String {
    handle.doc().get_text("text").to_string()
}

fn insert(handle: &DocHandle, at: usize, content: &str) {
    handle.change(|doc| doc.get_text("text").insert(at, content).unwrap(), None, None).unwrap();
}

/// Repos connected by network links, every one with document "d" open.
struct Net {
    world: World,
    repos: Vec<Repo>,
    handles: Vec<DocHandle>,
    links: Vec<Rc<Link>>,
}

impl Net {
    fn new(seed: u64, repos: usize, edges: &[(usize, usize)]) -> Self {
        let world = World::new(seed);
        let links: Vec<_> = edges.iter().map(|_| Link::new(world.env(), ChannelKind::Network, 5 + world.random(40))).collect();
        let repos: Vec<_> = (0..repos)
            .map(|number| {
                let ends = edges.iter().zip(&links).filter_map(|((a, b), link)| match number {
                    n if n == *a => Some(link.end(0)),
                    n if n == *b => Some(link.end(1)),
                    _ => None,
                });
                repo(&world, Interest::Opened, ends.collect())
            })
            .collect();
        let handles = repos.iter().map(|repo| repo.get("d").unwrap()).collect();
        for link in &links {
            link.connect();
        }
        Self { world, repos, handles, links }
    }

    fn messages(&self) -> u64 {
        self.links.iter().map(|link| link.messages.get()).sum()
    }

    fn assert_converged(&self) {
        let first = text(&self.handles[0]);
        for handle in &self.handles {
            assert_eq!(text(handle), first);
        }
    }

    /// Runs until quiet and checks that it is: within a virtual minute nothing but the periodic comparison, one message a link.
    fn settle(&mut self) {
        self.world.run(60_000);
        self.assert_converged();
        let before = self.messages();
        self.world.run(2 * DIGEST_PERIOD_MS);
        assert!(self.messages() - before <= 3 * self.links.len() as u64, "somebody still talks");
    }
}

/// Which schedules to try: `SEEDS` many from `SEED_FROM` on.
fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default);
    let from = number("SEED_FROM", 1);
    from..from + number("SEEDS", 8)
}

fn topology(repos: usize, edges: &[(usize, usize)]) {
    for seed in seeds() {
        println!("seed {seed}; repeat with: SEEDS=1 SEED_FROM={seed} cargo test --test sim scenarios");
        let mut net = Net::new(seed, repos, edges);
        net.world.run(1_000);
        for round in 0..10 {
            for (number, handle) in net.handles.iter().enumerate() {
                let length = handle.doc().get_text("text").len_unicode();
                insert(handle, net.world.random(length as u64 + 1) as usize, &format!("<{number}.{round}>"));
            }
            let pause = net.world.random(80);
            net.world.run(pause);
            if net.world.random(4) == 0 {
                let link = &net.links[net.world.random(net.links.len() as u64) as usize];
                link.disconnect();
                net.world.run(50);
                for link in &net.links {
                    if link.is_down() {
                        link.connect();
                    }
                }
            }
        }
        net.settle();
        assert_eq!(text(&net.handles[0]).len(), repos * 10 * 5, "seed {seed}: something typed is lost");
        for handle in &net.handles {
            assert!(
                handle.ready_states().iter().all(|state| state.state == ReadyStatus::Synced),
                "seed {seed}: {:?}",
                handle.ready_states()
            );
        }
    }
}

#[test]
fn a_pair_converges_and_falls_silent() {
    topology(2, &[(0, 1)]);
}

#[test]
fn a_triangle_converges_and_falls_silent() {
    topology(3, &[(0, 1), (1, 2), (2, 0)]);
}

#[test]
fn a_chain_of_four_converges_and_falls_silent() {
    topology(4, &[(0, 1), (1, 2), (2, 3)]);
}

#[test]
fn a_star_converges_and_falls_silent() {
    topology(5, &[(0, 1), (0, 2), (0, 3), (0, 4)]);
}

#[test]
fn one_edit_in_a_triangle_crosses_each_link_a_bounded_number_of_times() {
    let mut net = Net::new(1, 3, &[(0, 1), (1, 2), (2, 0)]);
    net.world.run(5_000);
    let before = net.messages();
    insert(&net.handles[0], 0, "x");
    net.world.run(60_000);
    // A push each way at most, then one question and one answer each way.
    assert!(net.messages() - before <= 3 * 6, "{} messages for one edit", net.messages() - before);
}

#[test]
fn waiting_for_the_network_ends_when_the_peer_has_said_it_has_the_edit() {
    let mut net = Net::new(2, 2, &[(0, 1)]);
    net.world.run(1_000);
    insert(&net.handles[0], 0, "hello");
    let wait = net.handles[0].wait_for_sync(NETWORK);
    net.world.wait(wait, 5_000).expect("in time").expect("confirmed");
    assert_eq!(text(&net.handles[1]), "hello");
}

#[test]
fn hundreds_who_wait_at_once_are_told_when_each_has_what_it_waits_for() {
    let mut world = World::new(5);
    let link = Link::new(world.env(), ChannelKind::Network, 10);
    let hub = repo(&world, Interest::Everything, vec![link.end(1)]);
    let client = repo(&world, Interest::Opened, vec![link.end(0)]);
    link.connect();
    world.run(100);
    let handles: Vec<_> = (0..900).map(|number| client.get(&format!("doc-{number:03}")).unwrap()).collect();
    handles.iter().for_each(|handle| insert(handle, 0, "x"));
    assert_eq!(client.unsynced(), 900);
    let waits: Vec<_> = handles.iter().map(|handle| handle.wait_for_sync(NETWORK)).collect();
    let all = world.wait(Box::pin(futures_util::future::join_all(waits)), 60_000).expect("in time");
    assert!(all.iter().all(Result::is_ok));
    assert_eq!((hub.list().len(), client.unsynced()), (900, 0));
    handles.iter().for_each(DocHandle::close);
    assert_eq!(client.unsynced(), 0);
}

#[test]
fn waiting_does_not_end_while_the_link_is_down_and_fails_after_its_time() {
    let mut net = Net::new(3, 2, &[(0, 1)]);
    net.world.run(1_000);
    net.links[0].disconnect();
    insert(&net.handles[0], 0, "hello");
    let wait = net.handles[0].wait_for_sync(WaitOptions { timeout_ms: Some(2_000), ..NETWORK });
    let error = net.world.wait(wait, 5_000).expect("in time").expect_err("nobody is there");
    assert_eq!(error.code(), ErrorCode::Timeout);
}

#[test]
fn waiting_without_an_adapter_of_the_kind_fails_at_once() {
    let mut net = Net::new(3, 2, &[(0, 1)]);
    let wait = net.handles[0].wait_for_sync(STORAGE);
    let error = net.world.wait(wait, 10).expect("at once").expect_err("there is no store");
    assert_eq!(error.code(), ErrorCode::NoAdapter);
}

#[test]
fn an_edit_made_while_the_link_was_down_arrives_after_it_is_back() {
    let mut net = Net::new(4, 2, &[(0, 1)]);
    net.world.run(1_000);
    net.links[0].disconnect();
    insert(&net.handles[0], 0, "a");
    insert(&net.handles[1], 0, "b");
    net.world.run(1_000);
    net.links[0].connect();
    net.settle();
    assert_eq!(text(&net.handles[0]).len(), 2);
}

#[test]
fn what_a_breaking_link_swallowed_is_sent_again() {
    let mut net = Net::new(5, 2, &[(0, 1)]);
    net.world.run(1_000);
    insert(&net.handles[0], 0, "lost in transit");
    net.world.run(1);
    net.links[0].disconnect();
    net.world.run(100);
    net.links[0].connect();
    net.settle();
    assert_eq!(text(&net.handles[1]), "lost in transit");
}

#[test]
fn a_bare_commit_an_undo_and_an_import_by_the_application_are_sent() {
    let mut net = Net::new(6, 2, &[(0, 1)]);
    net.world.run(1_000);
    let doc = net.handles[0].doc();
    doc.get_text("text").insert(0, "bare").unwrap();
    doc.commit();
    net.world.run(1_000);
    assert_eq!(text(&net.handles[1]), "bare");

    let mut undo = loro::UndoManager::new(&doc);
    doc.get_text("text").insert(4, " typo").unwrap();
    doc.commit();
    undo.undo().unwrap();
    net.world.run(1_000);
    assert_eq!(text(&net.handles[1]), "bare");

    let private = loro::LoroDoc::new();
    private.get_text("other").insert(0, "imported").unwrap();
    doc.import(&private.export(loro::ExportMode::all_updates()).unwrap()).unwrap();
    net.handles[0].touch();
    net.world.run(1_000);
    assert_eq!(net.handles[1].doc().get_text("other").to_string(), "imported");
}

#[test]
fn two_live_repos_never_share_a_loro_author() {
    let net = Net::new(7, 2, &[(0, 1)]);
    let authors: Vec<u64> = net.handles.iter().map(|handle| handle.doc().peer_id()).collect();
    assert_ne!(authors[0], authors[1]);
    for (repo, author) in net.repos.iter().zip(authors) {
        assert_ne!(repo.peer_id().as_str(), author.to_string());
    }
}

#[test]
fn a_hub_serves_a_late_client_from_its_disk_after_a_restart() {
    let mut world = World::new(8);
    let disk = Disk::new();
    let link = Link::new(world.env(), ChannelKind::Network, 10);
    let drive = Drive::new(&disk, world.env(), 3, 5);
    let hub = repo(&world, Interest::Everything, vec![drive.clone(), link.end(1)]);
    let client = repo(&world, Interest::Opened, vec![link.end(0)]);
    link.connect();
    let handle = client.get("d").unwrap();
    insert(&handle, 0, "kept");
    world.run(10_000);
    drop((client, handle));
    drive.kill();
    drop(hub);
    world.run(100);

    let late = Link::new(world.env(), ChannelKind::Network, 10);
    let _hub = repo(&world, Interest::Everything, vec![Drive::new(&disk, world.env(), 3, 5), late.end(1)]);
    let client = repo(&world, Interest::Opened, vec![late.end(0)]);
    late.connect();
    let handle = client.get("d").unwrap();
    let wait = handle.wait_for_sync(NETWORK);
    world.wait(wait, 30_000).expect("in time").expect("synced");
    assert_eq!(text(&handle), "kept");
}

#[test]
fn a_restarted_repo_has_its_document_from_disk_without_any_network() {
    let mut world = World::new(9);
    let disk = Disk::new();
    let first = repo(&world, Interest::Opened, vec![Drive::new(&disk, world.env(), 3, 5)]);
    let handle = first.get("d").unwrap();
    // Edited before the store is even open.
    insert(&handle, 0, "early ");
    world.run(500);
    insert(&handle, 6, "late");
    let close = first.close();
    world.wait(close, 5_000).expect("in time").expect("flushed");
    let second = repo(&world, Interest::Opened, vec![Drive::new(&disk, world.env(), 3, 5)]);
    let handle = second.get("d").unwrap();
    world.run(100);
    assert_eq!(text(&handle), "early late");
    assert!(second.list()[0].stored);
}

#[test]
fn what_was_read_of_a_document_before_it_was_dropped_is_not_taken_for_what_is_made_after_it() {
    for dropped_first in [false, true] {
        let mut world = World::new(42);
        let disk = Disk::new();
        disk.early_reads.set(true);
        let first = repo(&world, Interest::Opened, vec![Drive::new(&disk, world.env(), 3, 5)]);
        insert(&first.get("d").unwrap(), 0, "old");
        let close = first.close();
        world.wait(close, 5_000).expect("in time").expect("flushed");
        let second = repo(&world, Interest::Opened, vec![Drive::new(&disk, world.env(), 3, 5)]);
        world.run(100);
        // The read ends before the removal, or after it.
        disk.slow_ms.set(if dropped_first { 6_000 } else { 2_000 });
        let read = second.get("d").unwrap();
        world.run(500);
        drop(read);
        disk.slow_ms.set(if dropped_first { 2_000 } else { 6_000 });
        let forgotten = second.forget("d");
        world.run(500);
        let handle = second.get("d").unwrap();
        insert(&handle, 0, "new");
        world.wait(forgotten, 20_000).expect("in time").expect("dropped");
        world.run(30_000);
        assert_eq!(
            (text(&handle), disk.contents("d").get_text("text").to_string()),
            ("new".to_owned(), "new".to_owned()),
            "{dropped_first}"
        );
    }
}

#[test]
fn opening_without_editing_writes_nothing() {
    let mut world = World::new(10);
    let disk = Disk::new();
    let one = repo(&world, Interest::Opened, vec![Drive::new(&disk, world.env(), 3, 5)]);
    let _handle = one.get("d").unwrap();
    world.run(5_000);
    let flush = one.flush();
    world.wait(flush, 1_000).expect("in time").expect("nothing to do");
    assert_eq!((disk.writes.get(), disk.records("d")), (0, 0));
}

#[test]
fn many_edits_become_few_records_and_never_more_than_64() {
    let mut world = World::new(11);
    let disk = Disk::new();
    let one = repo(&world, Interest::Opened, vec![Drive::new(&disk, world.env(), 3, 5)]);
    let handle = one.get("d").unwrap();
    world.run(100);
    for number in 0..2_000 {
        insert(&handle, 0, "x");
        if number % 10 == 0 {
            world.run(110);
            assert!(disk.records("d") <= 64, "{} records", disk.records("d"));
        }
    }
    let flush = one.flush();
    world.wait(flush, 1_000).expect("in time").expect("flushed");
    let again = repo(&world, Interest::Opened, vec![Drive::new(&disk, world.env(), 3, 5)]);
    let handle = again.get("d").unwrap();
    world.run(100);
    assert_eq!(text(&handle).len(), 2_000);
}

#[test]
fn a_failing_disk_is_reported_and_gets_the_edits_once_it_works_again() {
    let mut world = World::new(12);
    let disk = Disk::new();
    disk.fail_writes.set(true);
    let one = repo(&world, Interest::Opened, vec![Drive::new(&disk, world.env(), 3, 5)]);
    let health = Rc::new(std::cell::RefCell::new(Vec::new()));
    let seen = Rc::clone(&health);
    let _listening = one.on_event(move |event| {
        if let RepoEvent::StorageHealth { ok, .. } = event {
            seen.borrow_mut().push(*ok);
        }
    });
    let handle = one.get("d").unwrap();
    insert(&handle, 0, "kept");
    let flush = one.flush();
    let error = world.wait(flush, 1_000).expect("in time").expect_err("the disk is full");
    assert_eq!(error.code(), ErrorCode::Storage);
    assert_eq!(text(&handle), "kept");
    disk.fail_writes.set(false);
    world.run(60_000);
    assert_eq!(health.borrow().first(), Some(&false));
    assert_eq!(health.borrow().last(), Some(&true));
    assert_eq!(disk.records("d"), 1);
}

#[test]
fn long_work_on_the_records_of_a_large_document_is_told_when_it_begins_and_when_it_ends() {
    let mut world = World::new(14);
    let disk = Disk::new();
    let start = |world: &World| {
        let repo = repo(world, Interest::Opened, vec![Drive::new(&disk, world.env(), 3, 5)]);
        let told = Rc::new(std::cell::RefCell::new(Vec::new()));
        let heard = Rc::clone(&told);
        repo.on_event(move |event| {
            if let RepoEvent::StorageProgress { doc, work, bytes, records, done } = event {
                assert!(*bytes >= 1024 * 1024, "{bytes} bytes");
                heard.borrow_mut().push((doc.to_string(), *work, *records, *done));
            }
        })
        .detach();
        (repo, told)
    };
    let (one, told) = start(&world);
    let (large, small) = (one.get("large").unwrap(), one.get("small").unwrap());
    insert(&small, 0, "x");
    let mut state = 1_u32;
    let noise: String = (0..2_000_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b' ' + (state >> 24) as u8 % 95)
        })
        .collect();
    for part in [&noise[..1_000_000], &noise[1_000_000..]].into_iter().chain(["."; 8]) {
        insert(&large, 0, part);
        world.run(1_000);
    }
    let close = one.close();
    world.wait(close, 1_000).expect("in time").expect("flushed");
    let compacted = |done| ("large".to_owned(), StorageWork::Compaction, 9, done);
    assert_eq!(*told.borrow(), [compacted(false), compacted(true)]);

    let (two, told) = start(&world);
    world.run(100);
    let handle = two.get("large").unwrap();
    world.run(100);
    assert_eq!(text(&handle).len(), 2_000_008);
    let loaded = |done| ("large".to_owned(), StorageWork::Load, disk.records("large") as u32, done);
    assert_eq!(*told.borrow(), [loaded(false), loaded(true)]);
}

#[test]
fn a_document_that_cannot_be_read_is_never_overwritten() {
    let mut world = World::new(13);
    let disk = Disk::new();
    let one = repo(&world, Interest::Opened, vec![Drive::new(&disk, world.env(), 3, 5)]);
    insert(&one.get("d").unwrap(), 0, "precious");
    let close = one.close();
    world.wait(close, 1_000).expect("in time").expect("flushed");
    disk.fail_loads.set(true);
    let two = repo(&world, Interest::Opened, vec![Drive::new(&disk, world.env(), 3, 5)]);
    let handle = two.get("d").unwrap();
    insert(&handle, 0, "new ");
    world.run(1_000);
    assert!(disk.records("d") >= 1);
    disk.fail_loads.set(false);
    world.run(60_000);
    let merged = text(&handle);
    assert!(merged.contains("precious") && merged.contains("new "), "{merged}");
}

#[test]
fn a_deleted_document_is_gone_from_the_disk_and_stays_gone_after_a_restart() {
    let mut world = World::new(14);
    let disk = Disk::new();
    let one = repo(&world, Interest::Opened, vec![Drive::new(&disk, world.env(), 3, 5)]);
    let handle = one.get("d").unwrap();
    insert(&handle, 0, "x");
    world.run(1_000);
    assert_eq!(disk.records("d"), 1);
    insert(&handle, 0, "y");
    let delete = one.delete("d");
    world.wait(delete, 1_000).expect("in time").expect("deleted");
    world.run(5_000);
    assert_eq!(disk.records("d"), 0);
    assert!(one.list().is_empty());
    assert_eq!(handle.change(|_| (), None, None).unwrap_err().code(), ErrorCode::Deleted);
    let two = repo(&world, Interest::Opened, vec![Drive::new(&disk, world.env(), 3, 5)]);
    world.run(1_000);
    assert!(two.list().is_empty());
}

#[test]
fn presence_travels_through_a_hub_and_ends_with_the_connection() {
    let mut world = World::new(15);
    let links: Vec<_> = (0..2).map(|_| Link::new(world.env(), ChannelKind::Network, 10)).collect();
    let _hub = repo(&world, Interest::Everything, vec![links[0].end(1), links[1].end(1)]);
    let clients: Vec<_> = links.iter().map(|link| repo(&world, Interest::Opened, vec![link.end(0)])).collect();
    let handles: Vec<_> = clients.iter().map(|client| client.get("d").unwrap()).collect();
    for link in &links {
        link.connect();
    }
    world.run(1_000);
    let cursors: Vec<_> = handles.iter().map(|handle| handle.ephemeral("cursors")).collect();
    cursors[0].set_self("at 3".into());
    cursors[0].set_self("at 4".into());
    world.run(100);
    assert_eq!(cursors[1].peers().get(clients[0].peer_id()), Some(&"at 4".into()));
    // Heartbeats keep it alive for as long as the connection.
    world.run(600_000);
    assert_eq!(cursors[1].peers().len(), 1);
    links[0].disconnect();
    world.run(1_000);
    assert!(cursors[1].peers().is_empty());
    links[0].connect();
    world.run(11_000);
    assert_eq!(cursors[1].peers().get(clients[0].peer_id()), Some(&"at 4".into()));
}

#[test]
fn a_tab_without_network_is_served_by_another_tab() {
    let mut world = World::new(16);
    let (network, tabs) = (Link::new(world.env(), ChannelKind::Network, 20), Link::new(world.env(), ChannelKind::Tabs, 1));
    let hub = repo(&world, Interest::Everything, vec![network.end(1)]);
    let online = repo(&world, Interest::Opened, vec![network.end(0), tabs.end(0)]);
    let offline = repo(&world, Interest::Opened, vec![tabs.end(1)]);
    network.connect();
    tabs.connect();
    let (a, b) = (online.get("d").unwrap(), offline.get("d").unwrap());
    world.run(1_000);
    insert(&a, 0, "from the online tab. ");
    insert(&b, 0, "from the offline tab. ");
    world.run(5_000);
    assert_eq!(text(&a), text(&b));
    assert_eq!(text(&a), text(&hub.get("d").unwrap()));
    assert_eq!(b.wait_for_sync(NETWORK).as_mut().now_or_never_code(), Some(ErrorCode::NoAdapter));
}

#[test]
fn a_client_knows_of_documents_others_made_without_fetching_them() {
    let mut world = World::new(17);
    let links: Vec<_> = (0..2).map(|_| Link::new(world.env(), ChannelKind::Network, 10)).collect();
    let _hub = repo(&world, Interest::Everything, vec![links[0].end(1), links[1].end(1)]);
    let clients: Vec<_> = links.iter().map(|link| repo(&world, Interest::Opened, vec![link.end(0)])).collect();
    for link in &links {
        link.connect();
    }
    let handle = clients[0].get("made by one").unwrap();
    insert(&handle, 0, "x");
    world.run(5_000);
    let listed = clients[1].list();
    assert_eq!(listed.len(), 1);
    assert!(!listed[0].open && !listed[0].stored);
    let late = clients[1].get("made by one").unwrap();
    world.run(1_000);
    assert_eq!(text(&late), "x");
}

trait NowOrNever {
    fn now_or_never_code(self) -> Option<ErrorCode>;
}

impl<F: Future<Output = Result<(), corella::RepoError>> + Unpin> NowOrNever for F {
    fn now_or_never_code(self) -> Option<ErrorCode> {
        futures_util::FutureExt::now_or_never(self)?.err().map(|error| error.code())
    }
}

/// A hub with room for `documents` nobody has open.
fn small_hub(world: &World, documents: usize, adapters: Vec<Rc<dyn Adapter>>) -> Repo {
    let memory = MemoryBudget { documents, bytes: u64::MAX };
    let config = RepoConfig { interest: Interest::Everything, peer_type: PeerType::Service, memory, adapters, ..RepoConfig::default() };
    Repo::new(world.env(), config)
}

fn loaded(repo: &Repo) -> usize {
    repo.list().iter().filter(|info| info.loaded).count()
}

#[test]
fn a_hub_keeps_few_documents_in_memory_and_serves_them_all() {
    let mut world = World::new(7);
    let disk = Disk::new();
    let links: Vec<_> = (0..2).map(|_| Link::new(world.env(), ChannelKind::Network, 5)).collect();
    let mut adapters: Vec<Rc<dyn Adapter>> = vec![Drive::new(&disk, world.env(), 2, 1)];
    adapters.extend(links.iter().map(|link| link.end(1)));
    let hub = small_hub(&world, 3, adapters);
    let clients: Vec<_> = links.iter().map(|link| repo(&world, Interest::Opened, vec![link.end(0)])).collect();
    links.iter().for_each(|link| link.connect());
    let name = |number: usize| format!("d{number}");
    let first: Vec<_> = (0..40).map(|number| clients[0].get(&name(number)).unwrap()).collect();
    for (number, handle) in first.iter().enumerate() {
        insert(handle, 0, &number.to_string());
    }
    let second: Vec<_> = (0..40).map(|number| clients[1].get(&name(number)).unwrap()).collect();
    world.run(10_000);
    assert!(loaded(&hub) <= 3, "{} in memory", loaded(&hub));
    assert_eq!(hub.list().len(), 40);
    // Both go on to edit what has left memory, and a third client reads it.
    for (a, b) in first.iter().zip(&second) {
        insert(a, 0, "a");
        insert(b, 0, "b");
    }
    world.run(10_000);
    for (number, (a, b)) in first.iter().zip(&second).enumerate() {
        assert_eq!(text(a), text(b));
        assert!(text(a).ends_with(&number.to_string()) && text(a).len() > 2, "{}", text(a));
        assert_eq!(disk.contents(&name(number)).get_text("text").to_string(), text(a));
    }
    assert!(loaded(&hub) <= 3, "{} in memory", loaded(&hub));
    let wait = world.wait(first[17].when_durable(Durability::HubDisk, Some(5_000)), 6_000);
    assert_eq!(wait.map(|outcome| outcome.is_ok()), Some(true));
}

#[test]
fn presence_reaches_followers_of_a_document_the_hub_had_put_away() {
    let mut world = World::new(8);
    let links: Vec<_> = (0..2).map(|_| Link::new(world.env(), ChannelKind::Network, 5)).collect();
    let mut adapters: Vec<Rc<dyn Adapter>> = vec![Drive::new(&Disk::new(), world.env(), 2, 1)];
    adapters.extend(links.iter().map(|link| link.end(1)));
    let hub = small_hub(&world, 0, adapters);
    let clients: Vec<_> = links.iter().map(|link| repo(&world, Interest::Opened, vec![link.end(0)])).collect();
    links.iter().for_each(|link| link.connect());
    let handles: Vec<_> = clients.iter().map(|client| client.get("d").unwrap()).collect();
    insert(&handles[0], 0, "x");
    world.run(10_000);
    assert_eq!(loaded(&hub), 0);
    handles[0].ephemeral("cursors").set_self(5.into());
    world.run(1_000);
    assert_eq!(handles[1].ephemeral("cursors").peers().get(clients[0].peer_id()), Some(&5.into()));
    assert_eq!(loaded(&hub), 0, "presence needs no document");
    handles[0].close();
    world.run(20_000);
    assert!(handles[1].ephemeral("cursors").peers().is_empty(), "presence ends with the handle");
    assert_eq!(loaded(&hub), 0);
}

#[test]
fn a_closed_document_leaves_memory_and_is_kept_up_to_date() {
    let mut world = World::new(9);
    let disk = Disk::new();
    let link = Link::new(world.env(), ChannelKind::Network, 5);
    let memory = MemoryBudget { documents: 0, bytes: 0 };
    let adapters: Vec<Rc<dyn Adapter>> = vec![Drive::new(&disk, world.env(), 2, 1), link.end(0)];
    let here = Repo::new(world.env(), RepoConfig { memory, adapters, ..RepoConfig::default() });
    let there = repo(&world, Interest::Everything, vec![link.end(1)]);
    link.connect();
    let handle = here.get("d").unwrap();
    insert(&handle, 0, "mine");
    handle.close();
    world.run(5_000);
    assert_eq!(loaded(&here), 1, "the handle is still there");
    let kept = handle.doc();
    drop(handle);
    world.run(20_000);
    assert_eq!(loaded(&here), 0);
    assert!(kept.get_text("text").insert(0, "lost").is_err(), "an edit nobody would store is an error");
    insert(&there.get("d").unwrap(), 0, "theirs ");
    world.run(5_000);
    assert_eq!(disk.contents("d").get_text("text").to_string(), "theirs mine", "the peer's change was stored");
    assert_eq!(here.get("d").unwrap().doc().get_text("text").to_string(), "");
    world.run(1_000);
    assert_eq!(text(&here.get("d").unwrap()), "theirs mine");
}

/// A document whose history before its last edits is trimmed, put into a repo by the application.
fn trimmed(handle: &DocHandle) -> String {
    let whole = loro::LoroDoc::new();
    whole.set_peer_id(5).unwrap();
    for round in 0..50 {
        whole.get_text("text").insert(0, &format!("{round} ")).unwrap();
        whole.commit();
    }
    let bytes = whole.export(loro::ExportMode::shallow_snapshot(&whole.oplog_frontiers())).unwrap();
    handle.doc().import(&bytes).unwrap();
    handle.touch();
    assert!(handle.doc().is_shallow());
    whole.get_text("text").to_string()
}

#[test]
fn a_trimmed_history_is_stored_and_given_whole() {
    let mut world = World::new(41);
    let (disk, hub_disk) = (Disk::new(), Disk::new());
    let (link, late) = (Link::new(world.env(), ChannelKind::Network, 10), Link::new(world.env(), ChannelKind::Network, 10));
    let hub = repo(&world, Interest::Everything, vec![Drive::new(&hub_disk, world.env(), 3, 5), link.end(1)]);
    let one = repo(&world, Interest::Opened, vec![Drive::new(&disk, world.env(), 3, 5), link.end(0)]);
    world.run(100);
    link.connect();
    let handle = one.get("d").unwrap();
    world.run(100);
    let expected = trimmed(&handle);
    world.run(2_000);
    insert(&handle, 0, "new ");
    world.run(10_000);
    let expected = format!("new {expected}");
    for disk in [&disk, &hub_disk] {
        assert_eq!(disk.contents("d").get_text("text").to_string(), expected);
    }
    // Who comes later gets all of it, from a hub that has read it from its disk.
    drop(hub);
    let again = repo(&world, Interest::Everything, vec![Drive::new(&hub_disk, world.env(), 3, 5), late.end(1)]);
    let two = repo(&world, Interest::Opened, vec![late.end(0)]);
    late.connect();
    let other = two.get("d").unwrap();
    world.run(10_000);
    assert_eq!(text(&other), expected);
    drop(again);
}
