//! What can be done to a world, drawn at random and carried out.

use corella::synchronizer::Durability;
use loro::{ExportMode, LoroDoc};

use super::{hostile::MARK, node::Alive, table::Group, wire::Noise, world::Chaos};
use crate::chance::Chance;

/// Characters an edit may bring along: of one to four bytes, combining, joined, outside the basic plane.
const FILLERS: &[&str] = &["", "", " ", "x", "é", "🦜", "👩‍👩‍👧", "\u{301}", "漢字", "𝄞", "a\nb", "\u{0}"];

#[derive(Debug, Clone)]
pub enum Action {
    /// Places are reduced to the document's length when the edit is made.
    Edit {
        node: usize,
        doc: usize,
        edit: Edit,
        commit: Commit,
    },
    /// Whoever has the document open types in turns, slowly enough for every edit to be a record of its own.
    Typing {
        doc: usize,
        edits: u64,
    },
    SetPresence {
        node: usize,
        doc: usize,
        shared: bool,
        value: u64,
    },
    DeletePresence {
        node: usize,
        doc: usize,
    },
    Open {
        node: usize,
        doc: usize,
    },
    CloseDoc {
        node: usize,
        doc: usize,
    },
    DeleteDoc {
        node: usize,
        doc: usize,
    },
    Flush {
        node: usize,
    },
    AwaitSync {
        node: usize,
        doc: usize,
    },
    /// Shows the document as it was when it was empty; the next edit returns to the present.
    LookBack {
        node: usize,
        doc: usize,
    },
    Discover {
        node: usize,
    },
    Leave {
        node: usize,
    },
    Crash {
        node: usize,
        noticed: bool,
    },
    /// Dies at the effect after the next `effects`.
    Doom {
        node: usize,
        effects: u64,
    },
    Start {
        node: usize,
    },
    Connect {
        wire: usize,
    },
    Disconnect {
        wire: usize,
    },
    DropSide {
        wire: usize,
        side: usize,
    },
    Mute {
        wire: usize,
        side: usize,
    },
    Sweep {
        wire: usize,
    },
    Partition {
        nodes: Vec<usize>,
        noticed: bool,
    },
    Reunite,
    Noise {
        wire: usize,
        lost: u64,
        doubled: u64,
        late: u64,
    },
    Disk {
        disk: usize,
        fail_writes: bool,
        fail_loads: bool,
        fail_lists: bool,
        slow_ms: u64,
    },
    Clock {
        node: usize,
        by_ms: i64,
    },
    Lie {
        node: usize,
        wire: usize,
        seed: u64,
    },
    /// Somebody may do less with a document for a while, or as much as before; every repo is told.
    PermissionChange {
        doc: usize,
        group: usize,
        what: Right,
        denied: bool,
    },
    /// Opens a document as a new one, in place of one that is there or was deleted if `replace`.
    Create {
        node: usize,
        doc: usize,
        replace: bool,
    },
    /// Drops the local copy.
    Forget {
        node: usize,
        doc: usize,
    },
    /// Waits until a document is as safe as `level` says.
    AwaitDurable {
        node: usize,
        doc: usize,
        level: Durability,
    },
    Wait,
}

/// What a permission change is about.
#[derive(Debug, Clone, Copy)]
pub enum Right {
    Change,
    See,
    Create,
    /// Of everybody's.
    Delete,
}

#[derive(Debug, Clone)]
pub enum Edit {
    Text { place: u64, filler: &'static str, times: usize },
    EraseText { place: u64 },
    Map,
    HotKey { value: u64 },
    ListInsert { place: u64 },
    ListDelete { place: u64 },
    Move { place: u64 },
}

/// How an application commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    Change,
    Bare,
    /// Later, with the next one or with a flush.
    Never,
    /// Edits a copy, imports that and tells the repo.
    Imported,
}

impl Chaos {
    pub fn draw(&self) -> Action {
        let (chance, families) = (&self.chance, self.plan.families);
        let node = self.real_node();
        let wire = chance.index(self.wires.len());
        let side = chance.index(2);
        let doc = chance.index(self.plan.docs.len());
        let only = |family: bool, weight: u64| if family { weight } else { 0 };
        let mortal = || chance.pick(&self.plan.mortal).copied().unwrap_or(doc);
        let weights: [(u64, &dyn Fn() -> Action); 29] = [
            (40, &|| Action::Edit { node, doc, edit: edit(chance), commit: commit(chance) }),
            (only(families.typing, 3), &|| Action::Typing { doc, edits: 20 + chance.below(60) }),
            (12, &|| Action::Open { node, doc }),
            (only(families.closing, 5), &|| Action::CloseDoc { node, doc }),
            (only(families.presence, 8), &|| Action::SetPresence { node, doc, shared: chance.percent(20), value: chance.below(100) }),
            (only(families.presence, 3), &|| Action::DeletePresence { node, doc }),
            (only(families.deletion, 3), &|| Action::DeleteDoc { node, doc: mortal() }),
            (only(families.deletion, 3), &|| Action::Create { node, doc: mortal(), replace: chance.percent(70) }),
            (only(families.deletion, 2), &|| Action::Forget { node, doc }),
            (4, &|| Action::AwaitDurable { node, doc, level: if chance.percent(60) { Durability::HubDisk } else { Durability::Disk } }),
            (6, &|| Action::Flush { node }),
            (4, &|| Action::AwaitSync { node, doc }),
            (1, &|| Action::LookBack { node, doc }),
            (1, &|| Action::Discover { node }),
            (only(families.crashes, 2), &|| Action::Leave { node }),
            (only(families.crashes, 3), &|| Action::Crash { node, noticed: chance.percent(60) }),
            (only(families.crashes, 4), &|| Action::Doom { node, effects: chance.below(12) }),
            (only(families.crashes, 8), &|| Action::Start { node: self.dead_node().unwrap_or(node) }),
            (14, &|| Action::Connect { wire }),
            (6, &|| Action::Disconnect { wire }),
            (only(families.half_open, 5), &|| Action::DropSide { wire, side }),
            (only(families.half_open, 4), &|| Action::Mute { wire, side }),
            (only(families.half_open || families.crashes, 4), &|| Action::Sweep { wire }),
            (only(families.partitions, 3), &|| Action::Partition { nodes: self.some_nodes(), noticed: chance.percent(60) }),
            (only(families.partitions, 4), &|| Action::Reunite),
            (only(families.lossy, 4), &|| Action::Noise {
                wire,
                lost: chance.below(40),
                doubled: chance.below(30),
                late: chance.below(30),
            }),
            (only(families.clock_jumps, 4), &|| Action::Clock { node, by_ms: jump(chance.below(600_000)) }),
            (if families.permissions { 6 } else { 2 }, &|| {
                let what = *chance.pick(&[Right::Change, Right::Change, Right::See, Right::See, Right::Create, Right::Delete]).unwrap();
                let what = if families.permissions { what } else { Right::Change };
                Action::PermissionChange { doc, group: self.nodes[node].plan.group, what, denied: chance.percent(60) }
            }),
            (1, &|| Action::Wait),
        ];
        let bad_disk = only(families.bad_disks && !self.disks.is_empty(), 6);
        let lie = only(families.hostile, 20);
        let mut roll = chance.below(weights.iter().map(|(weight, _)| weight).sum::<u64>() + bad_disk + lie);
        if roll < bad_disk {
            let fails = |percent| chance.percent(percent);
            let slow_ms = if fails(40) { chance.below(15_000) } else { 0 };
            let disk = chance.index(self.disks.len());
            return Action::Disk { disk, fail_writes: fails(35), fail_loads: fails(25), fail_lists: fails(15), slow_ms };
        }
        roll -= bad_disk;
        if roll < lie {
            let hostile = *self.hostiles.keys().next().unwrap_or(&0);
            let wires: Vec<_> = self.wires.iter().filter(|wire| wire.side_of(hostile).is_some()).map(|wire| wire.number).collect();
            return Action::Lie { node: hostile, wire: chance.pick(&wires).copied().unwrap_or(wire), seed: chance.next() };
        }
        roll -= lie;
        for (weight, make) in &weights {
            if roll < *weight {
                return make();
            }
            roll -= weight;
        }
        Action::Wait
    }

    pub fn perform(&mut self, action: Action) {
        self.trace.action(&format!("{action:?}"));
        match action {
            Action::Edit { node, doc, edit, commit } => self.edit(node, doc, &edit, commit),
            Action::Typing { doc, edits } => self.typing(doc, edits),
            Action::SetPresence { node, doc, shared, value } => {
                if let Some(handle) = self.nodes[node].handle(doc) {
                    let cursors = handle.ephemeral("cursors");
                    let value = i64::try_from(value).unwrap().into();
                    if shared { cursors.set("shared", value) } else { cursors.set_self(value) }
                }
            }
            Action::DeletePresence { node, doc } => {
                if let (Some(handle), Some(Alive { peer, .. })) = (self.nodes[node].handle(doc), self.nodes[node].working()) {
                    handle.ephemeral("cursors").delete(peer.as_str());
                }
            }
            Action::Open { node, doc } => self.open(node, doc),
            Action::CloseDoc { node, doc } => self.close_doc(node, doc),
            Action::DeleteDoc { node, doc } => self.delete_doc(node, doc),
            Action::Flush { node } => _ = self.flush(node),
            Action::AwaitSync { node, doc } => self.await_sync(node, doc),
            Action::LookBack { node, doc } => {
                if let Some(handle) = self.nodes[node].handle(doc) {
                    handle.doc().checkout(&handle.history().at(0)).unwrap();
                }
            }
            Action::Discover { node } => {
                if let Some(alive) = self.nodes[node].working() {
                    alive.repo.discover();
                }
            }
            Action::Leave { node } => self.leave(node),
            Action::Crash { node, noticed } => self.crash(node, noticed),
            Action::Doom { node, effects } => {
                if let Some(alive) = self.nodes[node].working() {
                    alive.life.fuse(Some(effects));
                }
            }
            Action::Start { node } => {
                self.start(node);
                let touched: Vec<_> = self.nodes[node].touched.iter().copied().collect();
                for doc in touched {
                    if self.chance.percent(70) {
                        self.open(node, doc);
                    }
                }
            }
            Action::Connect { wire } => _ = self.connect(wire),
            Action::Disconnect { wire } => self.wires[wire].disconnect(),
            Action::DropSide { wire, side } => self.wires[wire].drop_side(side),
            Action::Mute { wire, side } => self.wires[wire].mute(side),
            Action::Sweep { wire } => self.wires[wire].sweep(),
            Action::Partition { nodes, noticed } => {
                for wire in &self.wires {
                    if nodes.contains(&wire.nodes[0]) != nodes.contains(&wire.nodes[1]) {
                        wire.blocked.set(true);
                        wire.mute(0);
                        wire.mute(1);
                        if noticed {
                            wire.disconnect();
                        }
                    }
                }
            }
            Action::Reunite => {
                for wire in &self.wires {
                    wire.blocked.set(false);
                }
                for wire in 0..self.wires.len() {
                    self.wires[wire].sweep();
                    self.connect(wire);
                }
            }
            Action::Noise { wire, lost, doubled, late } => self.wires[wire].noise.set(Noise { lost, doubled, late }),
            Action::Disk { disk, fail_writes, fail_loads, fail_lists, slow_ms } => {
                let disk = &self.disks[disk];
                disk.fail_writes.set(fail_writes);
                disk.fail_loads.set(fail_loads);
                disk.fail_lists.set(fail_lists);
                disk.slow_ms.set(slow_ms);
            }
            Action::Clock { node, by_ms } => {
                let offset = &self.nodes[node].offset_ms;
                offset.set(offset.get() + by_ms);
                self.model.borrow_mut().clock_was_at(offset.get());
            }
            Action::Lie { node, wire, seed } => self.lie(node, wire, seed),
            Action::PermissionChange { doc, group, what, denied } => self.change_permission(doc, group, what, denied),
            Action::Create { node, doc, replace } => self.create_doc(node, doc, replace),
            Action::Forget { node, doc } => self.forget_doc(node, doc),
            Action::AwaitDurable { node, doc, level } => self.await_durable(node, doc, level),
            Action::Wait => {}
        }
    }

    fn change_permission(&self, doc: usize, group: usize, what: Right, denied: bool) {
        let name = &self.plan.docs[doc];
        match what {
            Right::Change if self.plan.read_only.contains(&(doc, group)) => return,
            Right::See if self.plan.hidden.contains(&(doc, group)) => return,
            Right::Change => _ = self.table.forbid_changes(name, group, denied),
            Right::See => self.table.withdraw(name, group, denied),
            Right::Create => _ = self.table.forbid_creation(name, group, denied),
            Right::Delete => self.table.deletion.set(self.plan.remote_deletion && !denied),
        }
        self.tell_permissions(matches!(what, Right::Delete), &[group]);
    }

    /// The repos whose permissions give other answers now hear of it: who is asked about one of these groups, or all of them. Whoever is in
    /// the group, and meets nobody else of it, does not know.
    pub fn tell_permissions(&self, all: bool, groups: &[Group]) {
        for node in &self.nodes {
            let own = node.plan.group;
            let alone = self.nodes.iter().filter(|other| other.plan.group == own).count() == 1;
            let concerned = all || groups.iter().any(|group| *group != own || !alone);
            if let Some(alive) = node.working().filter(|_| concerned) {
                alive.repo.permissions_changed();
            }
        }
    }

    fn typing(&mut self, doc: usize, edits: u64) {
        for _ in 0..edits {
            let writers: Vec<_> = (0..self.nodes.len()).filter(|node| self.nodes[*node].handle(doc).is_some()).collect();
            let Some(node) = self.chance.pick(&writers).copied() else { return };
            self.edit(node, doc, &Edit::Text { place: self.chance.next(), filler: "", times: 1 }, Commit::Change);
            let pause = 40 + self.chance.below(160);
            self.run(pause);
        }
    }

    pub fn connect(&self, wire: usize) -> bool {
        let wire = &self.wires[wire];
        let connected = wire.connect();
        for (node, hostile) in self.hostiles.iter().filter(|_| connected) {
            if let Some(side) = wire.side_of(*node) {
                let greeting = hostile.greeting(&self.chance, &self.names_to_use(), side == 1);
                wire.inject(side, &[greeting]);
            }
        }
        connected
    }

    pub fn lie(&self, node: usize, wire: usize, seed: u64) {
        self.connect(wire);
        let (Some(hostile), wire) = (self.hostiles.get(&node), &self.wires[wire]) else { return };
        let (Some(side), Some(victim)) = (wire.side_of(node), wire.other(node)) else { return };
        let chance = Chance::new(seed);
        // Whoever is told of a hidden document by somebody else knows of it.
        let group = self.nodes[victim].plan.group;
        let docs: Vec<&str> = self.plan.docs.iter().map(String::as_str).filter(|doc| !self.table.is_hidden(doc, group)).collect();
        hostile.to_relay.set(self.nodes[victim].is_hub());
        let messages = hostile.lies(&chance, &docs, &self.peers(), &self.names_to_use());
        wire.inject(side, &messages);
    }

    fn edit(&mut self, node: usize, doc: usize, edit: &Edit, commit: Commit) {
        if self.nodes[node].handle(doc).is_none() && self.chance.percent(50) {
            self.open(node, doc);
        }
        let (Some(handle), Some(alive)) = (self.nodes[node].handle(doc), self.nodes[node].working()) else { return };
        let mut model = self.model.borrow_mut();
        let mut token = || model.token(alive.run, doc);
        let open = handle.doc();
        open.checkout_to_latest();
        let loro = if commit == Commit::Imported { open.fork() } else { open.clone() };
        if commit == Commit::Imported {
            loro.set_peer_id(self.chance.next() >> 1).unwrap();
        }
        let erased = match edit {
            Edit::Text { place, filler, times } => {
                let content = format!("{}{}", token(), filler.repeat(*times));
                insert(&loro, *place, &content);
                None
            }
            Edit::EraseText { place } => erase(&loro, *place),
            Edit::Map => {
                let text = token();
                loro.get_map("map").insert(&text, text.as_str()).unwrap();
                None
            }
            Edit::HotKey { value } => {
                loro.get_map("map").insert("hot", i64::try_from(*value).unwrap()).unwrap();
                None
            }
            Edit::ListInsert { place } => {
                let list = loro.get_movable_list("list");
                list.insert((*place % (list.len() as u64 + 1)) as usize, token()).unwrap();
                None
            }
            Edit::ListDelete { place } => {
                let list = loro.get_movable_list("list");
                if list.is_empty() {
                    return;
                }
                let at = (*place % list.len() as u64) as usize;
                let value = list.get(at).and_then(|value| value.into_value().ok()).and_then(|value| value.into_string().ok());
                list.delete(at, 1).unwrap();
                value.map(|text| text.to_string())
            }
            Edit::Move { place } => {
                let list = loro.get_movable_list("list");
                if list.is_empty() {
                    return;
                }
                list.mov((*place % list.len() as u64) as usize, ((*place >> 32) % list.len() as u64) as usize).unwrap();
                None
            }
        };
        if let Some(text) = erased {
            model.erase(&text);
        }
        drop(model);
        match commit {
            Commit::Change => handle.change(|_| (), None, None).unwrap(),
            Commit::Bare => loro.commit(),
            Commit::Never => {}
            Commit::Imported => {
                let update = loro.export(ExportMode::updates(&open.oplog_vv())).unwrap();
                open.import(&update).unwrap();
                handle.touch();
            }
        }
    }

    fn real_node(&self) -> usize {
        loop {
            let node = self.chance.index(self.nodes.len());
            if !self.nodes[node].is_hostile() {
                return node;
            }
        }
    }

    fn dead_node(&self) -> Option<usize> {
        (0..self.nodes.len()).find(|node| !self.nodes[*node].is_hostile() && self.nodes[*node].alive.is_none())
    }

    fn some_nodes(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|_| self.chance.percent(50)).collect()
    }
}

fn edit(chance: &Chance) -> Edit {
    let place = chance.next();
    match chance.below(20) {
        0..=9 => {
            let times = if chance.percent(5) { 300 } else { 1 };
            Edit::Text { place, filler: FILLERS[chance.index(FILLERS.len())], times }
        }
        10 | 11 => Edit::EraseText { place },
        12 | 13 => Edit::Map,
        14 => Edit::HotKey { value: place >> 40 },
        15 | 16 => Edit::ListInsert { place },
        17 => Edit::ListDelete { place },
        _ => Edit::Move { place },
    }
}

fn commit(chance: &Chance) -> Commit {
    match chance.below(10) {
        0 => Commit::Never,
        1 | 2 => Commit::Bare,
        3 => Commit::Imported,
        _ => Commit::Change,
    }
}

/// Inserts at the beginning or right behind a token: inside one it would tear it apart.
fn insert(doc: &LoroDoc, place: u64, content: &str) {
    let text = doc.get_text("text");
    let ends: Vec<usize> = std::iter::once(0)
        .chain(text.to_string().chars().enumerate().filter(|(_, char)| *char == '⟧' || MARK.contains(*char)).map(|(at, _)| at + 1))
        .collect();
    text.insert(ends[(place % ends.len() as u64) as usize], content).unwrap();
}

/// Deletes a token and returns it.
fn erase(doc: &LoroDoc, place: u64) -> Option<String> {
    let text = doc.get_text("text");
    let chars: Vec<char> = text.to_string().chars().collect();
    let starts: Vec<usize> = chars.iter().enumerate().filter(|(_, char)| **char == '⟦').map(|(at, _)| at).collect();
    if starts.is_empty() {
        return None;
    }
    let start = starts[(place % starts.len() as u64) as usize];
    let end = start + chars[start..].iter().position(|char| *char == '⟧')?;
    text.delete(start, end + 1 - start).unwrap();
    Some(chars[start..=end].iter().collect())
}

/// Returns how far a clock jumps: minutes, and one time in eight hours, days or most of a year.
fn jump(drawn: u64) -> i64 {
    const HOUR_MS: i64 = 3_600_000;
    const FAR: [i64; 6] = [2 * HOUR_MS, 23 * HOUR_MS, 25 * HOUR_MS, 10 * 24 * HOUR_MS, 100 * 24 * HOUR_MS, 200 * 24 * HOUR_MS];
    let far = drawn / 8;
    match drawn % 8 {
        0 if far.is_multiple_of(2) => FAR[(far / 2) as usize % FAR.len()],
        0 => -FAR[(far / 2) as usize % FAR.len()],
        _ => drawn as i64 - 300_000,
    }
}
