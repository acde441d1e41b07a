//! What random worlds have found, each in its smallest form.

use std::{cell::Cell, rc::Rc};

use corella::{
    DocHandle, DocId, Repo, RepoConfig,
    protocol::{Features, Message, PeerType},
    runtime::{Adapter, ErrorCode, ReadyStatus, SyncKind, WaitOptions},
    synchronizer::{ChannelKind, Interest, MemoryBudget},
};

use super::{
    node::NodeEnv,
    table::{Seat, Table},
    trace::Trace,
    wire::{Watch, Wire, WirePlan},
};
use crate::{
    disk::{Disk, Drive},
    life::Life,
    world::World,
};

/// A world of a few nodes with wires that the test breaks by hand.
struct Bench {
    world: World,
    table: Rc<Table>,
    trace: Rc<Trace>,
}

impl Bench {
    fn new() -> Self {
        let world = World::new(1);
        let trace = Trace::new(&world.clock);
        Self { world, table: Rc::default(), trace }
    }

    fn wire(&self, nodes: [usize; 2]) -> Rc<Wire> {
        let plan = WirePlan { kind: ChannelKind::Network, nodes, lossy: false, delay_ms: 10, jitter_ms: 0, threshold: 100_000 };
        let watch: Watch = Rc::new(|_, _, _: &Message| {});
        Wire::new(0, &plan, self.world.env(), 1, Rc::clone(&self.trace), watch)
    }

    /// Starts a leaf with a clock of its own.
    fn leaf_with_clock(&self, node: usize, wires: &[&Rc<Wire>], offset_ms: &Rc<Cell<i64>>) -> Repo {
        let env = NodeEnv { world: Rc::clone(&self.world.clock), offset_ms: Rc::clone(offset_ms) };
        let life = Life::new();
        let ends = wires.iter().filter_map(|wire| Some(wire.attach(wire.side_of(node)?, &life)));
        Repo::new(Rc::new(env), RepoConfig { adapters: ends.collect(), ..RepoConfig::default() })
    }

    /// Starts a repo of group `node` at its side of every wire.
    fn repo(&self, node: usize, interest: Interest, wires: &[&Rc<Wire>], store: Option<Rc<dyn Adapter>>) -> Repo {
        self.repo_that(node, interest, wires, store, |config| config)
    }

    fn repo_that(
        &self,
        node: usize,
        interest: Interest,
        wires: &[&Rc<Wire>],
        store: Option<Rc<dyn Adapter>>,
        differs: impl FnOnce(RepoConfig) -> RepoConfig,
    ) -> Repo {
        let life = Life::new();
        let ends = wires.iter().filter_map(|wire| Some(wire.attach(wire.side_of(node)?, &life)));
        let repo = Repo::new(
            self.world.env(),
            differs(RepoConfig {
                interest,
                peer_type: if interest == Interest::Everything { PeerType::Service } else { PeerType::User },
                adapters: store.into_iter().chain(ends).collect(),
                permissions: Rc::new(Seat { table: Rc::clone(&self.table), group: node }),
                ..RepoConfig::default()
            }),
        );
        self.table.enter(repo.peer_id().clone(), node);
        repo
    }

    fn leaf(&self, node: usize, wires: &[&Rc<Wire>]) -> Repo {
        self.repo(node, Interest::Opened, wires, None)
    }

    fn hub(&self, node: usize, wires: &[&Rc<Wire>]) -> Repo {
        self.repo(node, Interest::Everything, wires, None)
    }

    fn said_in_a_minute(&mut self, wire: &Wire) -> u64 {
        self.world.run(60_000);
        let before = wire.traffic.get().other;
        self.world.run(60_000);
        wire.traffic.get().other - before
    }
}

fn write(handle: &DocHandle, text: &str) {
    handle.change(|doc| doc.get_text("text").insert(0, text).unwrap(), None, None).unwrap();
}

fn text(handle: &DocHandle) -> String {
    handle.doc().get_text("text").to_string()
}

#[test]
fn a_peer_whose_changes_are_refused_does_not_ask_every_two_seconds() {
    let mut bench = Bench::new();
    let wire = bench.wire([0, 1]);
    bench.table.forbid_changes("d", 0, true);
    let (reader, owner) = (bench.leaf(0, &[&wire]), bench.leaf(1, &[&wire]));
    let (_owned, read) = (owner.get("d").unwrap(), reader.get("d").unwrap());
    wire.connect();
    bench.world.run(1_000);
    write(&read, "refused");
    let said = bench.said_in_a_minute(&wire);
    assert!(said <= 8, "{said} messages in a minute in which nothing happened");
}

#[test]
fn a_peer_that_is_told_a_document_is_deleted_does_not_ask_every_two_seconds() {
    let mut bench = Bench::new();
    let wire = bench.wire([0, 1]);
    let (a, b) = (bench.leaf(0, &[&wire]), bench.leaf(1, &[&wire]));
    let (kept, _deleted) = (a.get("d").unwrap(), b.get("d").unwrap());
    wire.connect();
    bench.world.run(1_000);
    write(&kept, "x");
    bench.world.run(1_000);
    drop(b.delete("d"));
    bench.world.run(1_000);
    write(&kept, "y");
    let said = bench.said_in_a_minute(&wire);
    assert!(said <= 8, "{said} messages in a minute in which nothing happened");
}

#[test]
fn what_was_typed_offline_and_closed_is_sent_when_the_link_comes_up() {
    let mut bench = Bench::new();
    let wire = bench.wire([0, 1]);
    let (leaf, hub) = (bench.leaf(0, &[&wire]), bench.hub(1, &[&wire]));
    let handle = leaf.get("d").unwrap();
    write(&handle, "typed offline");
    bench.world.run(1_000);
    handle.close();
    bench.world.run(1_000);
    wire.connect();
    bench.world.run(60_000);
    assert_eq!(text(&hub.get("d").unwrap()), "typed offline");
}

#[test]
fn a_relay_tells_others_what_its_store_lists_after_they_asked() {
    let mut bench = Bench::new();
    let disk = Disk::new();
    let store = |opens_after| -> Option<Rc<dyn Adapter>> { Some(Drive::new(&disk, bench.world.env(), 1, opens_after)) };
    let writer = bench.repo(9, Interest::Opened, &[], store(0));
    write(&writer.get("d").unwrap(), "stored");
    let closing = writer.close();
    let late = store(500);
    let wire = bench.wire([0, 1]);
    bench.world.wait(closing, 1_000).expect("in time").expect("flushed");
    let (_first, second) = (bench.repo(0, Interest::Everything, &[&wire], late), bench.hub(1, &[&wire]));
    wire.connect();
    bench.world.run(60_000);
    let listed: Vec<DocId> = second.list().into_iter().map(|info| info.doc).collect();
    assert_eq!(listed, [DocId::new("d").unwrap()]);
    assert_eq!(text(&second.get("d").unwrap()), "stored");
}

#[test]
fn a_store_that_could_not_list_is_asked_again() {
    let mut bench = Bench::new();
    let disk = Disk::new();
    let writer = bench.repo(0, Interest::Opened, &[], Some(Drive::new(&disk, bench.world.env(), 1, 0)));
    write(&writer.get("d").unwrap(), "stored");
    let closing = writer.close();
    bench.world.wait(closing, 1_000).expect("in time").expect("flushed");
    disk.fail_lists.set(true);
    let again = bench.repo(1, Interest::Opened, &[], Some(Drive::new(&disk, bench.world.env(), 1, 0)));
    bench.world.run(1_000);
    disk.fail_lists.set(false);
    bench.world.run(120_000);
    assert_eq!(again.list().len(), 1);
}

#[test]
fn a_push_reaches_a_peer_that_came_back_before_its_old_channel_was_known_to_be_dead() {
    let mut bench = Bench::new();
    let wire = bench.wire([0, 1]);
    let (leaf, hub) = (bench.leaf(0, &[&wire]), bench.hub(1, &[&wire]));
    let (here, there) = (leaf.get("d").unwrap(), hub.get("d").unwrap());
    wire.connect();
    bench.world.run(1_000);
    wire.drop_side(0);
    bench.world.run(100);
    wire.connect_beside();
    bench.world.run(5_000);
    write(&there, "pushed");
    bench.world.run(5_000);
    wire.sweep();
    bench.world.run(120_000);
    assert_eq!(text(&here), "pushed");
}

#[test]
fn a_clock_set_back_does_not_delay_the_question_whether_an_edit_has_arrived() {
    let mut bench = Bench::new();
    let wire = bench.wire([0, 1]);
    let offset = Rc::new(Cell::new(0));
    let (a, b) = (bench.leaf_with_clock(0, &[&wire], &offset), bench.leaf(1, &[&wire]));
    let (here, _there) = (a.get("d").unwrap(), b.get("d").unwrap());
    wire.connect();
    bench.world.run(1_000);
    write(&here, "x");
    bench.world.run(10);
    offset.set(-300_000);
    bench.world.run(60_000);
    assert!(here.ready_states().iter().all(|state| state.state == ReadyStatus::Synced), "{:?}", here.ready_states());
}

#[test]
fn a_peer_that_deleted_a_document_does_not_count_as_having_it() {
    let mut bench = Bench::new();
    let wire = bench.wire([0, 1]);
    let (a, b) = (bench.leaf(0, &[&wire]), bench.leaf(1, &[&wire]));
    let (kept, _deleted) = (a.get("d").unwrap(), b.get("d").unwrap());
    wire.connect();
    write(&kept, "x");
    bench.world.run(5_000);
    drop(b.delete("d"));
    bench.world.run(1_000);
    let wait = kept.wait_for_sync(WaitOptions { kind: SyncKind::Network, timeout_ms: Some(5_000) });
    let error = bench.world.wait(wait, 10_000).expect("in time").expect_err("nobody else has it");
    assert_eq!(error.code(), ErrorCode::Timeout);
}

#[test]
fn what_was_deleted_before_a_store_was_open_is_deleted_there_too() {
    let mut bench = Bench::new();
    let disk = Disk::new();
    let store = |bench: &Bench, opens_after| -> Option<Rc<dyn Adapter>> { Some(Drive::new(&disk, bench.world.env(), 1, opens_after)) };
    let writer = bench.repo(0, Interest::Opened, &[], store(&bench, 0));
    write(&writer.get("d").unwrap(), "stored");
    let closing = writer.close();
    bench.world.wait(closing, 1_000).expect("in time").expect("flushed");
    let deleter = bench.repo(0, Interest::Opened, &[], store(&bench, 500));
    drop(deleter.delete("d"));
    bench.world.run(5_000);
    assert!(disk.remembers_deletion("d") && disk.records("d") == 0);
    drop(deleter);
    let again = bench.repo(0, Interest::Opened, &[], store(&bench, 0));
    bench.world.run(1_000);
    assert!(again.list().is_empty());
}

#[test]
fn two_who_make_a_document_anew_at_the_same_time_agree_on_the_later_one_without_a_storm() {
    let mut bench = Bench::new();
    bench.table.deletion.set(true);
    let wires = [bench.wire([1, 0]), bench.wire([2, 0]), bench.wire([1, 2])];
    let [a, b, c] = &wires;
    let (hub, one, two) = (bench.hub(0, &[a, b]), bench.leaf(1, &[a, c]), bench.leaf(2, &[b, c]));
    wires.iter().for_each(|wire| _ = wire.connect());
    write(&one.get("d").unwrap(), "old");
    bench.world.run(5_000);
    let _second = two.get("d").unwrap();
    bench.world.run(5_000);
    wires.iter().for_each(|wire| wire.disconnect());
    let earlier = one.create("d", true).unwrap();
    write(&earlier, "earlier");
    bench.world.run(1_000);
    let later = two.create("d", true).unwrap();
    write(&later, "later");
    bench.world.run(1_000);
    let before: u64 = wires.iter().map(|wire| wire.traffic.get().other).sum();
    wires.iter().for_each(|wire| _ = wire.connect());
    bench.world.run(20_000);
    let said = wires.iter().map(|wire| wire.traffic.get().other).sum::<u64>() - before;
    assert!(said < 100, "{said} messages");
    let copies = [&hub, &one, &two].map(|repo| repo.get("d").unwrap());
    bench.world.run(5_000);
    assert_eq!(copies.each_ref().map(text), ["later"; 3]);
}

#[test]
fn making_a_document_does_not_delete_one_that_is_being_read_for_a_peer() {
    let mut bench = Bench::new();
    let disk = Disk::new();
    let wire = bench.wire([1, 0]);
    let store = |bench: &Bench, delay| -> Option<Rc<dyn Adapter>> { Some(Drive::new(&disk, bench.world.env(), delay, 0)) };
    let writer = bench.repo(0, Interest::Opened, &[], store(&bench, 1));
    write(&writer.get("d").unwrap(), "stored");
    let closing = writer.close();
    bench.world.wait(closing, 1_000).expect("in time").expect("flushed");
    let (slow, peer) = (bench.repo(0, Interest::Opened, &[&wire], store(&bench, 2_000)), bench.leaf(1, &[&wire]));
    let asking = peer.get("d").unwrap();
    wire.connect();
    bench.world.run(1_000);
    let made = slow.create("d", false).unwrap();
    bench.world.run(20_000);
    assert_eq!((text(&made), text(&asking)), ("stored".to_owned(), "stored".to_owned()));
}

/// Compares documents by their heads, and not by sums.
const HEADS_ONLY: Features = Features::HEADS.or(Features::ACK).or(Features::LINEAGE);

#[test]
fn relays_without_sums_compare_what_left_memory() {
    for initiates in [0, 1] {
        let mut bench = Bench::new();
        let wire = bench.wire([initiates, 1 - initiates]);
        let store = |disk: &Rc<Disk>| -> Option<Rc<dyn Adapter>> { Some(Drive::new(disk, bench.world.env(), 1, 0)) };
        let frugal = |config| RepoConfig { features: HEADS_ONLY, memory: MemoryBudget { documents: 0, bytes: 0 }, ..config };
        let (full, empty) = (Disk::new(), Disk::new());
        let one = bench.repo_that(0, Interest::Everything, &[&wire], store(&full), frugal);
        let other = bench.repo_that(1, Interest::Everything, &[&wire], store(&empty), frugal);
        let handle = one.get("d").unwrap();
        write(&handle, "written before");
        handle.close();
        drop(handle);
        bench.world.run(60_000);
        assert!(one.list().iter().all(|info| !info.loaded), "it left memory");
        wire.connect();
        bench.world.run(30_000);
        assert_eq!(empty.contents("d").get_text("text").to_string(), "written before");
        drop(other);
    }
}

#[test]
fn what_is_typed_at_any_time_while_a_document_is_read_reaches_others() {
    for pause in (0..3_000).step_by(100) {
        let mut bench = Bench::new();
        let disk = Disk::new();
        let wire = bench.wire([0, 1]);
        let leaf = bench.repo(0, Interest::Opened, &[&wire], Some(Drive::new(&disk, bench.world.env(), 500, 0)));
        let hub = bench.hub(1, &[&wire]);
        wire.connect();
        let handle = leaf.get("d").unwrap();
        bench.world.run(pause);
        write(&handle, "typed");
        bench.world.run(30_000);
        assert_eq!(text(&hub.get("d").unwrap()), "typed", "after {pause} ms");
        assert!(handle.ready_states().iter().all(|state| state.state == ReadyStatus::Synced), "after {pause} ms");
    }
}

#[test]
fn a_deletion_is_done_when_a_store_that_was_still_opening_has_it() {
    let mut bench = Bench::new();
    let disk = Disk::new();
    let repo = bench.repo(0, Interest::Opened, &[], Some(Drive::new(&disk, bench.world.env(), 1, 500)));
    let mut deleted = bench.world.begin(repo.delete("d"));
    bench.world.run(400);
    assert!(deleted.try_recv().unwrap().is_none(), "no store has heard of it");
    bench.world.run(1_000);
    assert!(deleted.try_recv().unwrap().expect("told").is_ok());
    assert!(disk.remembers_deletion("d"));
}

#[test]
fn a_peer_that_takes_nothing_is_not_asked_more_often_after_every_edit() {
    let mut bench = Bench::new();
    let wire = bench.wire([0, 1]);
    let plain = |config| RepoConfig { features: Features::default(), ..config };
    let writer = bench.repo_that(0, Interest::Opened, &[&wire], None, plain);
    let reader = bench.repo_that(1, Interest::Opened, &[&wire], None, plain);
    bench.table.forbid_changes("d", 0, true);
    let (typed, _read) = (writer.get("d").unwrap(), reader.get("d").unwrap());
    wire.connect();
    for _ in 0..20 {
        write(&typed, "x");
        bench.world.run(6_000);
    }
    bench.world.run(120_000);
    let said = bench.said_in_a_minute(&wire);
    assert!(said <= 8, "{said} messages in a minute in which nothing happened");
}

#[test]
fn what_a_peer_had_before_it_dropped_the_document_is_not_wanted_from_it_for_ever() {
    let mut bench = Bench::new();
    let wire = bench.wire([0, 1]);
    let (a, b) = (bench.leaf(0, &[&wire]), bench.leaf(1, &[&wire]));
    bench.table.forbid_changes("d", 1, true);
    let (here, there) = (a.get("d").unwrap(), b.get("d").unwrap());
    wire.connect();
    bench.world.run(1_000);
    write(&here, "kept");
    bench.world.run(1_000);
    write(&there, "dropped");
    bench.world.run(5_000);
    drop(b.forget("d"));
    let again = b.get("d").unwrap();
    bench.world.run(5_000);
    bench.table.forbid_changes("d", 1, false);
    a.permissions_changed();
    b.permissions_changed();
    let said = bench.said_in_a_minute(&wire);
    assert!(said <= 8, "{said} messages in a minute in which nothing happened");
    assert_eq!((text(&here), text(&again)), ("kept".to_owned(), "kept".to_owned()));
    assert!(here.ready_states().iter().all(|state| state.state == ReadyStatus::Synced), "{:?}", here.ready_states());
}

#[test]
fn what_was_not_committed_when_a_change_came_does_not_count_as_the_peers() {
    let mut bench = Bench::new();
    let wire = bench.wire([0, 1]);
    let (leaf, hub) = (bench.leaf(0, &[&wire]), bench.hub(1, &[&wire]));
    let (here, there) = (leaf.get("d").unwrap(), hub.get("d").unwrap());
    wire.connect();
    bench.world.run(1_000);
    here.doc().get_text("text").insert(0, "typed").unwrap();
    write(&there, "given ");
    // The hub dies with all it had before it could say that it keeps anything.
    bench.world.run(15);
    wire.disconnect();
    drop((there, hub));
    assert!(text(&here).contains("given") && text(&here).contains("typed"));
    here.close();
    let next = bench.hub(1, &[&wire]);
    wire.connect();
    bench.world.run(30_000);
    assert!(text(&next.get("d").unwrap()).contains("typed"));
}
