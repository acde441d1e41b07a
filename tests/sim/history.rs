//! Trimmed histories: what may be trimmed, who still has all of it, and what becomes of edits from before.

use std::rc::Rc;

use corella::{
    DocHandle, Repo, RepoConfig,
    protocol::{Features, Message, PeerType, RefusalReason},
    runtime::{Adapter, CollectionKind, RepoEvent},
    synchronizer::{ChannelKind, HistoryLimits, Interest},
};

use crate::{
    disk::{Disk, Drive},
    network::Link,
    world::World,
};

/// How long somebody who was not seen holds history back.
const LAPSE: u64 = 10 * 60 * 1000;
const TRIMS: HistoryLimits = HistoryLimits { keep_ms: Some(0), lapse_ms: LAPSE, look_ms: 5_000 };
const KEEPS: HistoryLimits = HistoryLimits { keep_ms: None, lapse_ms: LAPSE, look_ms: 5_000 };

fn repo(world: &World, history: HistoryLimits, adapters: Vec<Rc<dyn Adapter>>) -> Repo {
    Repo::new(world.env(), RepoConfig { history, adapters, ..RepoConfig::default() })
}

fn hub(world: &World, history: HistoryLimits, adapters: Vec<Rc<dyn Adapter>>) -> Repo {
    let interest = Interest::Everything;
    Repo::new(world.env(), RepoConfig { history, adapters, interest, peer_type: PeerType::Service, ..RepoConfig::default() })
}

fn drive(world: &World, disk: &Rc<Disk>) -> Rc<Drive> {
    Drive::new(disk, world.env(), 3, 5)
}

fn link(world: &World) -> Rc<Link> {
    Link::new(world.env(), ChannelKind::Network, 10)
}

fn text(handle: &DocHandle) -> String {
    handle.doc().get_text("text").to_string()
}

fn insert(handle: &DocHandle, content: &str) {
    handle.change(|doc| doc.get_text("text").insert(0, content).unwrap(), None, None).unwrap();
}

fn edit(world: &mut World, handle: &DocHandle, rounds: usize) {
    for round in 0..rounds {
        insert(handle, &format!("{round} "));
        world.run(300);
    }
}

/// A hub that keeps all, and repos with disks linked to it by links of their own.
struct Star {
    world: World,
    hub_disk: Rc<Disk>,
    hub: Option<(Repo, Rc<Drive>)>,
    disks: Vec<Rc<Disk>>,
    links: Vec<Rc<Link>>,
}

impl Star {
    fn new(seed: u64, leaves: usize) -> Self {
        let world = World::new(seed);
        let links = (0..leaves).map(|_| link(&world)).collect();
        let mut star = Self { world, hub_disk: Disk::new(), hub: None, disks: (0..leaves).map(|_| Disk::new()).collect(), links };
        star.start_hub(KEEPS);
        star.world.run(100);
        star
    }

    fn start_hub(&mut self, history: HistoryLimits) {
        let disk = drive(&self.world, &self.hub_disk);
        let mut adapters: Vec<Rc<dyn Adapter>> = vec![disk.clone()];
        adapters.extend(self.links.iter().map(|link| link.end(1) as Rc<dyn Adapter>));
        self.hub = Some((hub(&self.world, history, adapters), disk));
    }

    /// Starts a leaf with its disk and opens the document there.
    fn leaf(&mut self, number: usize, history: HistoryLimits) -> (Repo, DocHandle) {
        let leaf = repo(&self.world, history, vec![drive(&self.world, &self.disks[number]), self.links[number].end(0)]);
        let handle = leaf.get("d").unwrap();
        self.world.run(100);
        self.links[number].connect();
        (leaf, handle)
    }

    fn stop(&mut self, number: usize, leaf: (Repo, DocHandle)) {
        self.world.wait(leaf.0.close(), 10_000);
        self.links[number].disconnect();
        self.world.run(1_000);
    }

    fn is_trimmed(&self, number: usize) -> bool {
        self.disks[number].contents("d").is_shallow()
    }

    fn assert_all(&self, handles: &[&DocHandle]) {
        let expected = text(handles[0]);
        for handle in handles {
            assert_eq!(text(handle), expected);
        }
        assert_eq!(self.hub_disk.contents("d").get_text("text").to_string(), expected);
        assert!(!self.hub_disk.contents("d").is_shallow(), "the hub keeps all");
    }
}

#[test]
fn what_everybody_has_on_disk_is_trimmed_and_the_document_stays_whole() {
    let mut star = Star::new(1, 2);
    let (mine, keeper) = (star.leaf(0, TRIMS), star.leaf(1, KEEPS));
    edit(&mut star.world, &mine.1, 20);
    star.world.run(60_000);
    assert!(star.is_trimmed(0));
    assert!(!star.is_trimmed(1) && !mine.1.doc().is_shallow(), "what is in memory stays");
    star.assert_all(&[&mine.1, &keeper.1]);
    let before = text(&mine.1);
    star.stop(0, mine);
    let again = star.leaf(0, TRIMS);
    star.world.run(2_000);
    assert!(again.1.doc().is_shallow());
    assert_eq!(again.1.history().at(0), again.1.doc().shallow_since_frontiers(), "history says where it begins");
    assert_eq!(text(&again.1), before);
    insert(&again.1, "again ");
    insert(&keeper.1, "keeper ");
    star.world.run(60_000);
    star.assert_all(&[&again.1, &keeper.1]);
}

#[test]
fn without_a_hub_that_keeps_all_nothing_is_trimmed() {
    for (seed, history) in [(1, None), (2, Some(TRIMS))] {
        let mut star = Star::new(seed, 2);
        star.hub = None;
        if let Some(history) = history {
            star.start_hub(history);
        }
        let (one, two) = (star.leaf(0, TRIMS), star.leaf(1, TRIMS));
        edit(&mut star.world, &one.1, 10);
        star.world.run(300_000);
        assert!(!star.is_trimmed(0) && !star.is_trimmed(1));
        drop((one, two));
    }
}

#[test]
fn history_stays_for_as_long_as_it_is_to_be_kept() {
    let mut star = Star::new(3, 1);
    let keeps = HistoryLimits { keep_ms: Some(100_000), ..TRIMS };
    let one = star.leaf(0, keeps);
    edit(&mut star.world, &one.1, 10);
    star.world.run(30_000);
    star.stop(0, one);
    assert!(!star.is_trimmed(0));
    // What was noted is there after a restart.
    let again = star.leaf(0, keeps);
    edit(&mut star.world, &again.1, 10);
    star.world.run(40_000);
    assert!(!star.is_trimmed(0));
    star.world.run(60_000);
    assert!(star.is_trimmed(0));
    assert!(star.disks[0].contents("d").shallow_since_vv().iter().all(|(_, end)| *end < 30), "the later edits stay");
}

#[test]
fn who_left_with_less_holds_history_back_until_it_lapses_also_if_the_hub_restarts() {
    let mut star = Star::new(4, 2);
    let (mine, other) = (star.leaf(0, TRIMS), star.leaf(1, KEEPS));
    edit(&mut star.world, &mine.1, 5);
    star.world.run(10_000);
    star.stop(1, other);
    let before = star.disks[1].contents("d").oplog_vv();
    for part in 0..3 {
        edit(&mut star.world, &mine.1, 5);
        star.world.run(20_000);
        let begins = star.disks[0].contents("d").shallow_since_vv().to_vv();
        assert!(before.includes_vv(&begins), "part {part}: the one that left lacks nothing that was trimmed");
        let (repo, _) = star.hub.take().unwrap();
        star.world.wait(repo.close(), 10_000);
        star.links[0].disconnect();
        star.world.run(1_000);
        star.start_hub(KEEPS);
        star.world.run(100);
        star.links[0].connect();
    }
    star.world.run(3 * LAPSE);
    let begins = star.disks[0].contents("d").shallow_since_vv().to_vv();
    assert!(!before.includes_vv(&begins), "it was not seen for so long");
}

#[test]
fn a_page_that_is_loaded_again_holds_back_no_more_than_it_has_on_disk() {
    let mut star = Star::new(14, 1);
    let mut page = star.leaf(0, TRIMS);
    edit(&mut star.world, &page.1, 5);
    star.stop(0, page);
    for session in 0..3 {
        let before = star.disks[0].contents("d").oplog_vv();
        page = star.leaf(0, TRIMS);
        edit(&mut star.world, &page.1, 5);
        star.world.run(LAPSE / 10);
        star.assert_all(&[&page.1]);
        star.stop(0, page);
        let begins = star.disks[0].contents("d").shallow_since_vv().to_vv();
        assert!(!before.includes_vv(&begins), "session {session}: it has what it was given since, and nobody else was there");
    }
    // One that did not come back still does.
    let mut star = Star::new(15, 2);
    let (mine, other) = (star.leaf(0, TRIMS), star.leaf(1, KEEPS));
    // Who keeps all says which device it is once it uses records.
    drop(other.0.collection("facts", CollectionKind::Shared).unwrap());
    edit(&mut star.world, &mine.1, 5);
    star.world.run(10_000);
    star.stop(1, other);
    let before = star.disks[1].contents("d").oplog_vv();
    edit(&mut star.world, &mine.1, 5);
    star.stop(0, mine);
    let mine = star.leaf(0, TRIMS);
    edit(&mut star.world, &mine.1, 5);
    star.world.run(LAPSE / 10);
    let begins = star.disks[0].contents("d").shallow_since_vv().to_vv();
    assert!(before.includes_vv(&begins), "the one that left lacks nothing that was trimmed");
}

#[test]
fn an_edit_from_before_the_trim_is_taken_after_the_whole_history_came_again() {
    let mut star = Star::new(5, 3);
    let (mine, second, away) = (star.leaf(0, TRIMS), star.leaf(1, TRIMS), star.leaf(2, KEEPS));
    edit(&mut star.world, &mine.1, 5);
    star.world.run(10_000);
    star.links[2].disconnect();
    star.world.run(1_000);
    insert(&away.1, "old ");
    edit(&mut star.world, &second.1, 10);
    // Longer than anybody is waited for.
    star.world.run(3 * LAPSE);
    assert!(star.is_trimmed(0) && star.is_trimmed(1));
    star.stop(0, mine);
    star.stop(1, second);
    let (mine, second) = (star.leaf(0, TRIMS), star.leaf(1, TRIMS));
    star.world.run(2_000);
    assert!(mine.1.doc().is_shallow() && second.1.doc().is_shallow());
    let renewed = Rc::new(std::cell::Cell::new(0));
    let count = Rc::clone(&renewed);
    mine.0.on_event(move |event| count.set(count.get() + u32::from(matches!(event, RepoEvent::DocumentRenewed { .. })))).detach();
    // It has something of its own that nobody else has seen when the old edit comes.
    star.links[0].disconnect();
    insert(&mine.1, "unsent ");
    let stale = mine.1.doc();
    star.links[2].connect();
    star.world.run(5_000);
    star.links[0].connect();
    star.world.run(60_000);
    let all = text(&mine.1);
    assert!(all.contains("old ") && all.contains("unsent "), "{all}");
    assert_eq!((renewed.get(), mine.1.renewals()), (1, 1));
    assert!(stale.get_text("text").insert(0, "lost").is_err(), "an edit nobody would store is an error");
    star.assert_all(&[&mine.1, &second.1, &away.1]);
    insert(&mine.1, "after ");
    star.world.run(60_000);
    star.assert_all(&[&mine.1, &second.1, &away.1]);
    // And its disk has all of it.
    star.stop(0, mine);
    assert_eq!(star.disks[0].contents("d").get_text("text").to_string(), text(&away.1));
    let mine = star.leaf(0, TRIMS);
    star.world.run(10_000);
    star.assert_all(&[&mine.1, &second.1, &away.1]);
}

/// A repo with a trimmed history and no hub any more, and a link to it.
fn trimmed_alone(star: &mut Star) -> (Repo, DocHandle, Rc<Link>) {
    let mine = star.leaf(0, TRIMS);
    edit(&mut star.world, &mine.1, 10);
    star.world.run(60_000);
    assert!(star.is_trimmed(0));
    star.stop(0, mine);
    star.hub = None;
    let direct = link(&star.world);
    let alone = repo(&star.world, TRIMS, vec![drive(&star.world, &star.disks[0]), direct.end(0)]);
    let handle = alone.get("d").unwrap();
    star.world.run(500);
    assert!(handle.doc().is_shallow());
    (alone, handle, direct)
}

#[test]
fn who_has_nothing_gets_the_trimmed_document_whatever_it_speaks() {
    for (seed, features) in [(6, Features::default()), (7, Features::ALL)] {
        let mut star = Star::new(seed, 1);
        let (_alone, handle, direct) = trimmed_alone(&mut star);
        let config = RepoConfig { features, adapters: vec![direct.end(1)], ..RepoConfig::default() };
        let empty = Repo::new(star.world.env(), config);
        let other = empty.get("d").unwrap();
        direct.connect();
        star.world.run(20_000);
        assert_eq!(text(&other), text(&handle));
        insert(&other, "theirs ");
        insert(&handle, "mine ");
        star.world.run(20_000);
        assert_eq!(text(&other), text(&handle));
    }
}

#[test]
fn who_has_nothing_gets_the_trimmed_document_also_if_a_change_of_it_comes_first() {
    let mut renewed = 0;
    for after in (0..160).step_by(8) {
        let mut star = Star::new(10 + after, 1);
        let (_alone, handle, direct) = trimmed_alone(&mut star);
        let empty = Repo::new(star.world.env(), RepoConfig { adapters: vec![direct.end(1)], ..RepoConfig::default() });
        let other = empty.get("d").unwrap();
        direct.connect();
        star.world.run(after);
        // It waits there for what it depends on.
        insert(&handle, "new ");
        star.world.run(30_000);
        assert_eq!(text(&other), text(&handle), "{after} ms");
        renewed += other.renewals();
        insert(&other, "theirs ");
        insert(&handle, "mine ");
        star.world.run(20_000);
        assert_eq!(text(&other), text(&handle), "{after} ms");
        assert!(text(&other).contains("theirs ") && text(&other).contains("mine "));
    }
    assert!(renewed > 0, "no change came before what it depends on");
}

#[test]
fn who_lacks_what_was_trimmed_is_told_so_and_gets_it_from_the_hub() {
    let mut star = Star::new(8, 2);
    // It was there at the beginning.
    let early = star.leaf(1, KEEPS);
    insert(&early.1, "early ");
    star.world.run(5_000);
    star.stop(1, early);
    star.world.run(3 * LAPSE);
    let (_alone, handle, direct) = trimmed_alone(&mut star);
    let late = repo(&star.world, KEEPS, vec![drive(&star.world, &star.disks[1]), direct.end(1), star.links[1].end(0)]);
    let reasons = Rc::new(std::cell::RefCell::new(Vec::new()));
    let told = Rc::clone(&reasons);
    late.on_event(move |event| {
        if let RepoEvent::Refused { reason, .. } = event {
            told.borrow_mut().push(*reason);
        }
    })
    .detach();
    let other = late.get("d").unwrap();
    star.world.run(100);
    direct.connect();
    star.world.run(60_000);
    assert_eq!(*reasons.borrow(), vec![RefusalReason::Trimmed]);
    assert_eq!(text(&other), "early ", "nothing half");
    star.start_hub(KEEPS);
    star.world.run(100);
    star.links[1].connect();
    star.world.run(200_000);
    assert_eq!(text(&other), text(&handle));
    assert!(!other.doc().is_shallow());
}

#[test]
fn a_tab_without_a_hub_reads_what_another_one_has_trimmed_on_the_disk_they_share() {
    for edits in [false, true] {
        let mut star = Star::new(9, 1);
        let tabs = Link::new(star.world.env(), ChannelKind::Tabs, 2);
        let mine = star.leaf(0, TRIMS);
        insert(&mine.1, "early ");
        star.world.run(5_000);
        // It hears nothing of the others, as one whose messages got lost.
        let behind = repo(&star.world, TRIMS, vec![drive(&star.world, &star.disks[0]), tabs.end(0)]);
        let other = behind.get("d").unwrap();
        star.world.run(500);
        assert_eq!(text(&other), "early ");
        edit(&mut star.world, &mine.1, 10);
        star.world.run(60_000);
        assert!(star.is_trimmed(0));
        star.stop(0, mine);
        let again = repo(&star.world, TRIMS, vec![drive(&star.world, &star.disks[0]), tabs.end(1), star.links[0].end(0)]);
        let handle = again.get("d").unwrap();
        star.world.run(500);
        assert!(handle.doc().is_shallow());
        let renewed = Rc::new(std::cell::Cell::new(0));
        let seen = Rc::clone(&renewed);
        behind
            .on_event(move |event| {
                if matches!(event, RepoEvent::DocumentRenewed { .. }) {
                    seen.set(seen.get() + 1);
                }
            })
            .detach();
        if edits {
            // Depends on what is not on the disk any more: whoever has a hub gets all of it from there.
            insert(&other, "behind ");
            star.links[0].connect();
        }
        tabs.connect();
        star.world.run(60_000);
        assert_eq!(text(&other), text(&handle), "{edits}");
        assert_eq!(text(&other).contains("behind"), edits);
        assert!(edits || renewed.get() == 1, "{}", renewed.get());
        insert(&other, "goes on ");
        star.world.run(20_000);
        assert_eq!(text(&handle), text(&other));
    }
}

#[test]
fn who_claims_to_keep_all_is_believed_only_if_it_was_dialled() {
    let mut world = World::new(9);
    let (disk, liar_disk) = (Disk::new(), Disk::new());
    let direct = link(&world);
    // The relay dials the repo, which has not chosen it.
    let liar = hub(&world, KEEPS, vec![drive(&world, &liar_disk), direct.end(0)]);
    let mine = repo(&world, TRIMS, vec![drive(&world, &disk), direct.end(1)]);
    let handle = mine.get("d").unwrap();
    world.run(100);
    direct.connect();
    edit(&mut world, &handle, 10);
    world.run(120_000);
    let version: corella::protocol::VersionVector = handle.doc().oplog_vv().iter().map(|(author, end)| (*author, *end)).collect();
    let settled = Some(version.clone());
    direct.inject(1, Message::Ack { doc: handle.doc_id().clone(), lineage: 0, version: version.clone(), durable: Some(version), settled });
    world.run(120_000);
    assert_eq!(text(&handle), liar_disk.contents("d").get_text("text").to_string());
    assert!(!disk.contents("d").is_shallow());
    drop(liar);
}

#[test]
fn a_follower_that_claims_more_than_there_is_trims_nothing_that_others_lack() {
    let mut star = Star::new(10, 2);
    let (mine, other) = (star.leaf(0, TRIMS), star.leaf(1, KEEPS));
    edit(&mut star.world, &mine.1, 5);
    star.world.run(2_000);
    // It cannot write: what it has is in memory only.
    star.disks[1].fail_writes.set(true);
    edit(&mut star.world, &mine.1, 10);
    let claim: corella::protocol::VersionVector =
        mine.1.doc().oplog_vv().iter().map(|(author, end)| (*author, *end + 1_000)).chain([(77, 500)]).collect();
    star.links[0].inject(
        1,
        Message::Ack { doc: mine.1.doc_id().clone(), lineage: 0, version: claim.clone(), durable: Some(claim.clone()), settled: None },
    );
    star.world.run(60_000);
    let kept = star.disks[1].contents("d").oplog_vv();
    let begins = star.disks[0].contents("d").shallow_since_vv().to_vv();
    assert!(kept.includes_vv(&begins), "{begins:?} beyond {kept:?}");
    drop(other);
}
