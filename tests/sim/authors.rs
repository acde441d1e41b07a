//! Under which author ids sessions write: few of them, and none twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use corella::{
    DocHandle, Repo, RepoConfig,
    protocol::PeerType,
    runtime::Adapter,
    synchronizer::{ChannelKind, Interest},
};

use crate::{
    disk::{Disk, Drive},
    network::Link,
    world::World,
};

/// A tab: a session on the common disk, and its line to the hub.
struct Tab {
    number: usize,
    repo: Repo,
    drive: Rc<Drive>,
    link: Rc<Link>,
    /// The hub has an end of it.
    known: bool,
    handles: BTreeMap<String, DocHandle>,
}

/// A user's disk, the hub, and everything that was ever written, by document, author and counter.
struct User {
    world: World,
    disk: Rc<Disk>,
    hub: Repo,
    tabs: usize,
    written: BTreeMap<(String, u64, i32), usize>,
}

impl User {
    fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let config =
            RepoConfig { peer_type: PeerType::Service, interest: Interest::Everything, store_delay_ms: 20, ..RepoConfig::default() };
        let hub = Repo::new(world.env(), config);
        Self { world, disk: Disk::new(), hub, tabs: 0, written: BTreeMap::new() }
    }

    /// Opens a tab whose disk answers after `delay_ms`.
    fn open(&mut self, delay_ms: u64, online: bool) -> Tab {
        self.tabs += 1;
        let link = Link::new(self.world.env(), ChannelKind::Network, 10);
        let drive = Drive::new(&self.disk, self.world.env(), delay_ms, 0);
        let adapters: Vec<Rc<dyn Adapter>> = vec![drive.clone(), link.end(0)];
        let repo = Repo::new(self.world.env(), RepoConfig { adapters, ..RepoConfig::default() });
        let mut tab = Tab { number: self.tabs, repo, drive, link, known: false, handles: BTreeMap::new() };
        if online {
            self.connect(&mut tab);
        }
        tab
    }

    fn connect(&self, tab: &mut Tab) {
        if !std::mem::replace(&mut tab.known, true) {
            self.hub.add_adapter(tab.link.end(1));
        }
        tab.link.connect();
    }

    /// Types into a document, and notes under which ids.
    fn edit(&mut self, tab: &mut Tab, doc: &str) {
        let Ok(handle) = tab.repo.get(doc) else { return };
        tab.handles.insert(doc.to_owned(), handle.clone());
        let author = handle.doc().peer_id();
        let end = |handle: &DocHandle| handle.doc().oplog_vv().get(&author).copied().unwrap_or(0);
        let before = end(&handle);
        handle.change(|doc| doc.get_text("text").insert(0, &format!("<{}>", tab.number)).unwrap(), None, None).unwrap();
        for counter in before..end(&handle) {
            let earlier = self.written.insert((doc.to_owned(), author, counter), tab.number);
            assert_eq!(earlier, None, "tab {} writes {doc} {author}@{counter} again", tab.number);
        }
    }

    fn close(&mut self, tab: Tab) {
        let closed = tab.repo.close();
        drop(tab.handles);
        let _ = self.world.wait(closed, 60_000);
        tab.link.disconnect();
        tab.drive.kill();
    }

    /// Types into a document once it has been read, and closes the tab.
    fn read_and_edit(&mut self, mut tab: Tab, doc: &str) {
        let handle = tab.repo.get(doc).unwrap();
        self.world.run(200);
        self.edit(&mut tab, doc);
        drop(handle);
        self.close(tab);
    }

    /// A tab that writes under the id another one gave back, which had written document "a" under it, without having seen that document.
    fn successor(&mut self, online: bool) -> Tab {
        let mut first = self.open(5, online);
        self.edit(&mut first, "a");
        self.world.run(200);
        self.close(first);
        let mut second = self.open(5, false);
        self.edit(&mut second, "b");
        self.world.run(200);
        second
    }

    fn crash(&mut self, tab: Tab) {
        tab.drive.kill();
        tab.link.disconnect();
        drop(tab);
    }

    fn authors(&self) -> BTreeSet<u64> {
        self.written.keys().map(|(_, author, _)| *author).collect()
    }
}

#[test]
fn a_thousand_clean_sessions_leave_as_many_authors_as_there_were_tabs_at_once() {
    let mut user = User::new(1);
    for session in 0..1_000 {
        let mut tabs: Vec<_> = (0..if session % 100 == 0 { 3 } else { 1 }).map(|_| user.open(5, session % 100 == 1)).collect();
        for tab in &mut tabs {
            let handle = tab.repo.get("d").unwrap();
            tab.handles.insert("d".into(), handle);
        }
        user.world.run(50);
        for tab in &mut tabs {
            user.edit(tab, "d");
            if session % 10 == 0 {
                user.edit(tab, &format!("note {session}"));
            }
        }
        user.world.run(20);
        for tab in tabs {
            user.close(tab);
        }
    }
    let stored = user.disk.contents("d").oplog_vv().len();
    assert!(stored <= 3, "{stored} authors of the document");
    // Documents that are typed into before they are read are another matter: what is in them nobody knows by then.
    assert_eq!(user.disk.contents("d").get_text("text").to_string().matches('<').count(), 1_020);
}

#[test]
fn a_new_document_and_the_first_session_need_no_other_author() {
    let mut user = User::new(2);
    let mut tab = user.open(5, false);
    user.edit(&mut tab, "typed at once");
    user.world.run(50);
    user.edit(&mut tab, "typed at once");
    user.edit(&mut tab, "another");
    user.close(tab);
    assert_eq!(user.authors().len(), 1);
}

#[test]
fn an_author_is_not_used_again_after_an_unclean_end() {
    let mut user = User::new(3);
    let mut first = user.open(5, true);
    let _handle = first.repo.get("d").unwrap();
    user.world.run(50);
    user.edit(&mut first, "d");
    user.world.run(1_000);
    user.crash(first);
    let mut second = user.open(5, true);
    let _handle = second.repo.get("d").unwrap();
    user.world.run(50);
    user.edit(&mut second, "d");
    user.close(second);
    assert_eq!(user.authors().len(), 2);
}

#[test]
fn what_could_not_be_written_keeps_the_author_from_being_given_back() {
    let mut user = User::new(4);
    for _ in 0..2 {
        let mut tab = user.open(5, true);
        let handle = tab.repo.get("d").unwrap();
        user.world.run(50);
        user.disk.fail_writes.set(true);
        user.edit(&mut tab, "d");
        drop(handle);
        user.world.run(500);
        user.close(tab);
        user.disk.fail_writes.set(false);
    }
    assert_eq!(user.authors().len(), 2);
}

#[test]
fn an_author_is_retired_at_once_when_somebody_knows_it_further() {
    let mut user = User::new(5);
    let backup = {
        let mut tab = user.open(5, true);
        let _handle = tab.repo.get("d").unwrap();
        user.world.run(50);
        user.edit(&mut tab, "d");
        user.world.run(1_000);
        user.close(tab);
        user.disk.copy()
    };
    let mut tab = user.open(5, true);
    let _handle = tab.repo.get("d").unwrap();
    user.world.run(50);
    user.edit(&mut tab, "d");
    user.world.run(1_000);
    user.close(tab);
    assert_eq!(user.authors().len(), 1);
    // The disk is put back to an earlier day: what was written since is known to the hub alone.
    user.disk = backup;
    let tab = user.open(5, true);
    let handle = tab.repo.get("d").unwrap();
    user.world.run(50);
    assert!(!user.authors().contains(&handle.doc().peer_id()));
    user.world.run(1_000);
    handle.change(|doc| doc.get_text("text").insert(0, "<new>").unwrap(), None, None).unwrap();
    user.world.run(1_000);
    assert_eq!(handle.doc().get_text("text").to_string(), "<new><2><1>");
    assert_eq!(user.hub.get("d").unwrap().doc().get_text("text").to_string(), "<new><2><1>");
}

#[test]
fn a_forgotten_document_takes_its_authors_along() {
    let mut user = User::new(6);
    for _ in 0..2 {
        let mut tab = user.open(5, true);
        let handle = tab.repo.get("d").unwrap();
        user.world.run(50);
        user.edit(&mut tab, "d");
        user.world.run(1_000);
        drop(handle);
        tab.handles.clear();
        let forgotten = tab.repo.forget("d");
        user.world.wait(forgotten, 1_000).unwrap().unwrap();
        tab.link.disconnect();
        user.edit(&mut tab, "d");
        user.close(tab);
    }
}

#[test]
fn a_document_that_was_dropped_is_not_written_under_an_id_of_an_earlier_session() {
    let mut user = User::new(4);
    let second = user.successor(true);
    let forgotten = second.repo.forget("a");
    user.world.wait(forgotten, 1_000).unwrap().unwrap();
    user.read_and_edit(second, "a");
}

#[test]
fn a_session_that_dropped_what_it_wrote_before_its_store_was_there_gives_nothing_back() {
    let mut user = User::new(5);
    let mut first = user.open(30, true);
    user.edit(&mut first, "a");
    first.handles.clear();
    let forgotten = first.repo.forget("a");
    user.world.wait(forgotten, 1_000).unwrap().unwrap();
    user.world.run(200);
    user.edit(&mut first, "c");
    user.world.run(200);
    user.close(first);
    let second = user.open(5, false);
    user.read_and_edit(second, "a");
}

#[test]
fn a_disk_that_stays_broken_does_not_gather_attempts_to_tell_it_of_a_dropped_document() {
    let mut user = User::new(7);
    let second = user.successor(false);
    let before = user.world.clock.pending();
    user.disk.fail_writes.set(true);
    let _refused = second.repo.forget("a");
    user.world.run(600_000);
    let pending = user.world.clock.pending();
    assert!(pending <= before + 4, "{pending} timers are pending, {before} before");
    user.disk.fail_writes.set(false);
    user.world.run(5_100);
    user.read_and_edit(second, "a");
}

/// Whatever happens to tabs, disk and link, no operation id is given twice.
#[test]
fn no_two_sessions_ever_write_under_the_same_id() {
    for seed in (1..=40).chain([112, 174]) {
        let mut user = User::new(1_000 + seed);
        let mut tabs: Vec<Tab> = Vec::new();
        for _ in 0..120 {
            let docs = ["a", "b", "c"];
            let doc = docs[user.world.random(3) as usize];
            let pick = user.world.random(tabs.len().max(1) as u64) as usize;
            match user.world.random(16) {
                0 | 1 if tabs.len() < 3 => {
                    let (delay, online) = (user.world.random(40), user.world.random(2) == 0);
                    tabs.push(user.open(delay, online));
                }
                _ if tabs.is_empty() => tabs.push(user.open(3, true)),
                2 => {
                    let tab = tabs.swap_remove(pick);
                    user.close(tab);
                }
                3 => {
                    let tab = tabs.swap_remove(pick);
                    user.crash(tab);
                }
                4 if tabs[pick].link.is_down() => user.connect(&mut tabs[pick]),
                4 => tabs[pick].link.disconnect(),
                5 => user.disk.fail_writes.set(user.world.random(4) == 0),
                6 => {
                    tabs[pick].handles.remove(doc);
                    let forgotten = tabs[pick].repo.forget(doc);
                    user.disk.fail_writes.set(false);
                    let _ = user.world.wait(forgotten, 5_000);
                }
                7 => {
                    let _ = tabs[pick].repo.get(doc);
                }
                8 => user.disk.slow_ms.set(user.world.random(60)),
                9..=11 => user.world.run(1 + user.world.random(400)),
                _ => {
                    let mut tab = tabs.swap_remove(pick);
                    user.edit(&mut tab, doc);
                    tabs.push(tab);
                }
            }
        }
        user.disk.fail_writes.set(false);
        // What everybody ends with holds every operation that reached the hub, once.
        let mut last = user.open(1, true);
        for tab in tabs {
            user.close(tab);
        }
        let handles: Vec<_> = ["a", "b", "c"].iter().map(|doc| last.repo.get(doc).unwrap()).collect();
        user.world.run(120_000);
        for handle in &handles {
            let there = user.hub.get(handle.doc_id().as_str()).unwrap();
            assert_eq!(there.doc().get_deep_value(), handle.doc().get_deep_value(), "seed {seed}");
        }
        user.edit(&mut last, "a");
    }
}
