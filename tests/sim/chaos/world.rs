//! A drawn world, alive: starts, kills and heals nodes. What is done to it when is decided by `actions`, what must hold by `check`.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use corella::{
    DocHandle, DocId, PeerId, Repo, RepoConfig,
    protocol::{Message, PeerType, Transmission},
    runtime::{Adapter, Env, ErrorCode, RepoEvent, SyncKind, WaitOptions},
    synchronizer::{ChannelKind, Durability, Interest},
};

use super::{
    check::{includes, together},
    hostile::Hostile,
    model::{Fate, Model, Promise, RemotePromise, Run},
    node::{Alive, Node, NodeEnv, Told},
    plan::{Histories, NodeKind, Plan, Thrift},
    table::{STRANGERS, Seat, Table},
    trace::Trace,
    wire::{Noise, Watch, Wire},
};
use crate::{
    chance::Chance,
    disk::{Disk, Drive},
    life::Life,
    world::World,
};

pub struct Chaos {
    pub world: World,
    pub plan: Plan,
    pub thrift: Thrift,
    pub histories: Histories,
    /// Draws the schedule. The repos draw from the world's own, so a change in them does not change what is done to them.
    pub chance: Chance,
    pub trace: Rc<Trace>,
    pub table: Rc<Table>,
    pub nodes: Vec<Node>,
    pub wires: Vec<Rc<Wire>>,
    pub disks: Vec<Rc<Disk>>,
    pub hostiles: BTreeMap<usize, Rc<Hostile>>,
    pub model: Rc<RefCell<Model>>,
}

impl Chaos {
    pub fn new(seed: u64) -> Self {
        let chance = Chance::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x5eed);
        let plan = Plan::draw(&chance);
        Self::of(seed, chance, plan)
    }

    pub fn of(seed: u64, chance: Chance, plan: Plan) -> Self {
        let world = World::new(seed);
        let trace = Trace::new(&world.clock);
        trace.action(&format!("{plan:#?}"));
        let table = Rc::new(Table::default());
        for (doc, group) in &plan.hidden {
            table.hide(&plan.docs[*doc], *group, true);
        }
        for (doc, group) in &plan.read_only {
            table.forbid_changes(&plan.docs[*doc], *group, true);
        }
        table.deletion.set(plan.remote_deletion);
        let model = Rc::new(RefCell::new(Model::default()));
        let hostiles: BTreeMap<usize, Rc<Hostile>> = (0..plan.nodes.len())
            .filter(|node| plan.nodes[*node].kind == NodeKind::Hostile)
            .map(|node| (node, Rc::new(Hostile::new(PeerId::from(chance.next() >> 1)))))
            .collect();
        let watch = watch(&plan, &table, &model, &hostiles);
        let wires = plan
            .wires
            .iter()
            .enumerate()
            .map(|(number, wire)| Wire::new(number, wire, world.env(), chance.next(), Rc::clone(&trace), Rc::clone(&watch)))
            .collect::<Vec<_>>();
        for (node, hostile) in &hostiles {
            for wire in &wires {
                if let Some(side) = wire.side_of(*node) {
                    wire.attach_hostile(side, hostile);
                }
            }
        }
        let nodes = plan.nodes.iter().cloned().map(Node::new).collect();
        let disks = (0..plan.disks).map(|_| Disk::new()).collect();
        let thrift = Thrift::draw(seed, plan.nodes.len());
        trace.action(&format!("{thrift:?}"));
        let histories = Histories::draw(seed, &plan.nodes);
        trace.action(&format!("{histories:?}"));
        let mut chaos = Self { world, plan, thrift, histories, chance, trace, table, nodes, wires, disks, hostiles, model };
        for node in 0..chaos.nodes.len() {
            chaos.start(node);
        }
        for wire in &chaos.wires {
            if chaos.chance.percent(80) {
                wire.connect();
            }
        }
        chaos
    }

    /// Begins a new life of a node that is dead.
    pub fn start(&mut self, node: usize) {
        let entry = &mut self.nodes[node];
        if entry.is_hostile() || entry.alive.is_some() {
            return;
        }
        let life = Life::new();
        let peer = PeerId::from(self.chance.next() >> 1);
        self.table.enter(peer.clone(), entry.plan.group);
        let env: Rc<dyn Env> = Rc::new(NodeEnv { world: Rc::clone(&self.world.clock), offset_ms: Rc::clone(&entry.offset_ms) });
        let mut adapters: Vec<Rc<dyn Adapter>> = Vec::new();
        if let Some(disk) = entry.plan.disk {
            let opens_after = if self.chance.percent(15) { self.chance.below(3_000) } else { self.chance.below(20) };
            adapters.push(Drive::of(Rc::clone(&life), &self.disks[disk], Rc::clone(&env), self.chance.below(8), opens_after));
        }
        for wire in &self.wires {
            if let Some(side) = wire.side_of(node) {
                adapters.push(wire.attach(side, &life));
            }
        }
        if self.chance.percent(30) {
            adapters.reverse();
        }
        let hub = entry.is_hub();
        entry.runs += 1;
        let run = Run { node, number: entry.runs };
        let config = RepoConfig {
            peer_id: Some(peer.clone()),
            peer_type: if hub { PeerType::Service } else { PeerType::User },
            interest: if hub { Interest::Everything } else { Interest::Opened },
            permissions: Rc::new(Seat { table: Rc::clone(&self.table), group: entry.plan.group }),
            adapters,
            store_delay_ms: if hub { 20 } else { 100 },
            memory: self.thrift.budget(node),
            history: self.histories.of(node),
            features: entry.plan.features,
            // Drawn by nobody: it is that of the disk.
            home: entry.plan.disk.map(|disk| disk as u64),
            ..RepoConfig::default()
        };
        let repo = Repo::new(env, config);
        let model = Rc::clone(&self.model);
        let told = Rc::new(RefCell::new(Told::default()));
        let notes = Rc::clone(&told);
        repo.on_event(move |event| {
            let mut told = notes.borrow_mut();
            let news = match event {
                RepoEvent::Error { error, doc } if error.code() == ErrorCode::Panic => {
                    model.borrow_mut().violations.push(format!("node {node}: {error} ({doc:?})"));
                    true
                }
                RepoEvent::DocumentAdded { doc } => told.docs.insert(doc.clone()),
                RepoEvent::DocumentRemoved { doc } => told.docs.remove(doc),
                RepoEvent::PeerConnected { peer } => told.peers.insert(peer.clone()),
                RepoEvent::PeerDisconnected { peer } => told.peers.remove(peer),
                _ => true,
            };
            if !news {
                model.borrow_mut().violations.push(format!("node {node} is told twice: {event:?}"));
            }
        })
        .detach();
        self.model.borrow_mut().fates.insert(run, Fate::Running);
        let alive = Alive { run, repo, peer, life, handles: BTreeMap::new(), closed: BTreeMap::new(), told, leaving: Rc::default() };
        entry.alive = Some(alive);
    }

    /// The process dies here and now. Its peers hear of it only if `noticed`.
    pub fn crash(&mut self, node: usize, noticed: bool) {
        let Some(alive) = self.nodes[node].alive.take() else { return };
        alive.life.end();
        let mut model = self.model.borrow_mut();
        if model.fate(alive.run) == Fate::Running {
            model.fates.insert(alive.run, Fate::Crashed);
        }
        drop(model);
        drop(alive);
        for wire in &self.wires {
            if let Some(side) = wire.side_of(node) {
                wire.detach(side);
                if noticed {
                    wire.drop_side(1 - side);
                }
            }
        }
    }

    /// Lets time pass and buries whoever died meanwhile.
    pub fn run(&mut self, ms: u64) {
        self.world.run(ms);
        for node in 0..self.nodes.len() {
            let ended = self.nodes[node].alive.as_ref().is_some_and(|alive| !alive.life.is_alive());
            if ended {
                let noticed = self.chance.percent(60);
                self.trace.action(&format!("node {node} is dead, noticed: {noticed}"));
                self.crash(node, noticed);
            }
        }
    }

    pub fn open(&mut self, node: usize, doc: usize) {
        let name = &self.plan.docs[doc];
        if self.table.is_hidden(name, self.nodes[node].plan.group) {
            return;
        }
        let Some(alive) = self.nodes[node].working() else { return };
        let (run, handle) = (alive.run, alive.repo.get(name));
        let Ok(handle) = handle else { return };
        self.model.borrow_mut().deleted_by.remove(&(run, doc));
        let entry = &mut self.nodes[node];
        entry.touched.insert(doc);
        if let Some(alive) = &mut entry.alive {
            alive.closed.remove(&doc);
            alive.handles.insert(doc, handle);
        }
    }

    pub fn close_doc(&mut self, node: usize, doc: usize) {
        let Some(alive) = &mut self.nodes[node].alive else { return };
        if let Some(handle) = alive.handles.remove(&doc) {
            handle.close();
            if !self.thrift.drops_handle(node) {
                alive.closed.insert(doc, handle);
            }
        }
    }

    pub fn delete_doc(&mut self, node: usize, doc: usize) {
        let Some(alive) = self.nodes[node].working() else { return };
        let mut model = self.model.borrow_mut();
        model.deleted.insert(doc);
        model.deleted_by.insert((alive.run, doc));
        drop(model);
        let deleted = alive.repo.delete(&self.plan.docs[doc]);
        let (model, disk) = (Rc::clone(&self.model), self.nodes[node].plan.disk);
        let drops = disk.map(|disk| model.borrow().drops(disk, doc));
        self.world.clock.spawn(Box::pin(async move {
            if let (Ok(()), Some(disk)) = (deleted.await, disk) {
                let mut model = model.borrow_mut();
                if drops == Some(model.drops(disk, doc)) {
                    model.buried.insert((disk, doc));
                }
            }
        }));
        self.drop_handles(node, doc);
    }

    fn drop_handles(&mut self, node: usize, doc: usize) {
        if let Some(alive) = &mut self.nodes[node].alive {
            alive.handles.remove(&doc);
            alive.closed.remove(&doc);
        }
    }

    /// Makes a document anew; whatever was there of it is deleted.
    pub fn create_doc(&mut self, node: usize, doc: usize, replace: bool) {
        let name = &self.plan.docs[doc];
        if self.table.is_hidden(name, self.nodes[node].plan.group) {
            return;
        }
        let Some(alive) = self.nodes[node].working() else { return };
        let run = alive.run;
        let mut model = self.model.borrow_mut();
        if replace {
            model.deleted.insert(doc);
            model.recreated.insert(doc);
            model.dropped.insert(doc);
        }
        let Ok(handle) = alive.repo.create(name, replace) else { return };
        model.deleted_by.remove(&(run, doc));
        drop(model);
        self.drop_handles(node, doc);
        self.nodes[node].touched.insert(doc);
        if let Some(alive) = &mut self.nodes[node].alive {
            alive.handles.insert(doc, handle);
        }
    }

    /// Only where nobody else uses the disk and relies on what is on it.
    pub fn forget_doc(&mut self, node: usize, doc: usize) {
        if self.nodes[node].is_hub() || !self.plan.has_own_disk(node) {
            return;
        }
        let Some(alive) = self.nodes[node].working() else { return };
        let forgotten = alive.repo.forget(&self.plan.docs[doc]);
        let mut model = self.model.borrow_mut();
        model.forgotten(node, self.nodes[node].plan.disk, doc);
        model.deleted_by.remove(&(alive.run, doc));
        drop(model);
        self.world.clock.spawn(Box::pin(async move {
            let _ = forgotten.await;
        }));
        self.nodes[node].touched.remove(&doc);
        self.drop_handles(node, doc);
    }

    /// Waits until a document is on a disk, here or elsewhere, and holds the world to it.
    pub fn await_durable(&self, node: usize, doc: usize, level: Durability) {
        let Some(handle) = self.nodes[node].handle(doc).cloned() else { return };
        let near = |wire: &&Rc<Wire>| wire.side_of(node).is_some();
        // Whoever lies may have said so.
        if self.wires.iter().filter(near).filter_map(|wire| wire.other(node)).any(|other| self.nodes[other].is_hostile()) {
            return;
        }
        let disks: Vec<usize> = match level {
            Durability::HubDisk => {
                let others = self.wires.iter().filter(near).filter(|wire| wire.kind == ChannelKind::Network);
                others.filter_map(|wire| self.nodes[wire.other(node)?].plan.disk).collect()
            }
            _ => self.nodes[node].plan.disk.into_iter().collect(),
        };
        let wait = handle.when_durable(level, Some(20_000));
        let version = handle.doc().oplog_vv();
        let (model, name, all) = (Rc::clone(&self.model), self.plan.docs[doc].clone(), self.disks.clone());
        let has_disk = self.nodes[node].plan.disk.is_some();
        let deleted_before = self.model.borrow().deleted.contains(&doc);
        let drops = move |model: &Model, disks: &[usize]| disks.iter().map(|disk| model.drops(*disk, doc)).sum::<u32>();
        let dropped_before = drops(&self.model.borrow(), &disks);
        self.world.clock.spawn(Box::pin(async move {
            if wait.await.is_err() || deleted_before || version.is_empty() || (level == Durability::Disk && !has_disk) {
                return;
            }
            let mut model = model.borrow_mut();
            let dropped = level == Durability::HubDisk && model.dropped.contains(&doc);
            // What was true when it was said may have been dropped since.
            if model.deleted.contains(&doc) || dropped || drops(&model, &disks) != dropped_before {
                return;
            }
            let kept: Vec<_> = disks.iter().map(|disk| all[*disk].version(&name)).collect();
            if !together(&kept, &version) {
                model
                    .violations
                    .push(format!("{name}: node {node} is told {level:?} of {version:?}, and {disks:?} together lack some of it"));
            }
            model.remote_promises.push(RemotePromise { disks, node, doc, version });
        }));
    }

    /// What a flush that begins now will promise.
    fn promise(&self, node: usize) -> Option<(Run, usize, BTreeSet<usize>, Vec<Promise>)> {
        let (entry, alive) = (&self.nodes[node], self.nodes[node].alive.as_ref()?);
        let disk = entry.plan.disk?;
        let mut docs = BTreeSet::new();
        let mut promises = Vec::new();
        for (doc, handle) in alive.handles.iter().chain(&alive.closed).filter(|(_, handle)| !handle.is_gone()) {
            handle.doc().commit();
            docs.insert(*doc);
            promises.push(Promise { disk, doc: *doc, version: handle.doc().oplog_vv(), drops: self.model.borrow().drops(disk, *doc) });
        }
        Some((alive.run, self.model.borrow().tokens.len(), docs, promises))
    }

    pub fn flush(&self, node: usize) -> Option<Rc<Cell<bool>>> {
        let promise = self.promise(node);
        let flushed = self.nodes[node].working()?.repo.flush();
        let (model, done) = (Rc::clone(&self.model), Rc::new(Cell::new(false)));
        let outcome = Rc::clone(&done);
        self.world.clock.spawn(Box::pin(async move {
            if flushed.await.is_ok() {
                outcome.set(true);
                if let Some((run, tokens, docs, promises)) = promise {
                    model.borrow_mut().flushed(run, tokens, &docs, promises);
                }
            }
        }));
        Some(done)
    }

    /// Waits until a peer has everything, and is wrong if it is told so too early.
    pub fn await_sync(&self, node: usize, doc: usize) {
        let Some(handle) = self.nodes[node].handle(doc) else { return };
        let wait = handle.wait_for_sync(WaitOptions { kind: SyncKind::Network, timeout_ms: Some(10_000) });
        let version = handle.doc().oplog_vv();
        // Judged only where it can be known what the peers have, and that they are still those that were asked.
        let peers: Option<Vec<_>> = self
            .wires
            .iter()
            .filter(|wire| wire.kind == ChannelKind::Network)
            .filter_map(|wire| Some((wire, wire.other(node)?)))
            .map(|(wire, peer)| {
                let life = Rc::clone(&self.nodes[peer].working()?.life);
                wire.is_up().then_some((life, self.nodes[peer].handle(doc)?.clone(), self.nodes[peer].plan.disk))
            })
            .collect();
        let (model, name, disks) = (Rc::clone(&self.model), self.plan.docs[doc].clone(), self.disks.clone());
        self.world.clock.spawn(Box::pin(async move {
            let (Ok(()), Some(peers)) = (wait.await, peers) else { return };
            let mut model = model.borrow_mut();
            let gone = peers.iter().any(|(life, handle, _)| !life.is_alive() || handle.is_gone());
            // One that has just started has on its disk what it has not read yet.
            let has = |handle: &DocHandle, disk: &Option<usize>| {
                let stored = || disk.is_some_and(|disk| includes(&disks[disk].version(&name), &version));
                includes(&handle.doc().oplog_vv(), &version) || stored()
            };
            if !gone && !model.dropped.contains(&doc) && !peers.iter().any(|(_, handle, disk)| has(handle, disk)) {
                model.violations.push(format!("{name}: node {node} is told that a peer has {version:?}, and none has"));
            }
        }));
    }

    /// Closes a repo in good order; the process ends when that is done.
    pub fn leave(&self, node: usize) {
        let promise = self.promise(node);
        let Some(alive) = self.nodes[node].working() else { return };
        let (repo, life, model) = (alive.repo.clone(), Rc::clone(&alive.life), Rc::clone(&self.model));
        alive.leaving.set(true);
        self.world.clock.spawn(Box::pin(async move {
            let closed = repo.close().await;
            if let (Ok(()), Some((run, tokens, docs, promises))) = (closed, promise) {
                let mut model = model.borrow_mut();
                model.flushed(run, tokens, &docs, promises);
                if model.fate(run) == Fate::Running {
                    model.fates.insert(run, Fate::Closed);
                }
            }
            life.end();
        }));
    }

    /// Takes back every fault, lets the dead live again and connects everybody.
    pub fn heal(&mut self) {
        self.trace.action("healing");
        let mut changed = Vec::new();
        for doc in 0..self.plan.docs.len() {
            for node in &self.nodes {
                let group = node.plan.group;
                let name = &self.plan.docs[doc];
                let rules = [
                    self.table.forbid_changes(name, group, self.plan.read_only.contains(&(doc, group))),
                    self.table.hide(name, group, self.plan.hidden.contains(&(doc, group))),
                    self.table.forbid_creation(name, group, false),
                ];
                changed.extend(rules.contains(&true).then_some(group));
            }
        }
        let deletion = self.table.deletion.replace(self.plan.remote_deletion) != self.plan.remote_deletion;
        self.tell_permissions(deletion, &changed);
        for disk in &self.disks {
            disk.fail_writes.set(false);
            disk.fail_loads.set(false);
            disk.fail_lists.set(false);
            disk.slow_ms.set(0);
        }
        for wire in &self.wires {
            wire.noise.set(Noise::default());
            wire.blocked.set(false);
            if wire.lossy {
                wire.disconnect();
            }
        }
        for node in 0..self.nodes.len() {
            if let Some(alive) = &self.nodes[node].alive {
                alive.life.fuse(None);
            }
        }
        self.run(1_000);
        for node in 0..self.nodes.len() {
            if self.nodes[node].working().is_none() {
                self.crash(node, true);
                self.start(node);
            }
            let touched: Vec<_> = self.nodes[node].touched.iter().copied().collect();
            for doc in touched {
                let deleted = self.model.borrow().deleted.contains(&doc);
                if self.plan.reopens && !deleted {
                    self.open(node, doc);
                }
            }
            if let Some(alive) = &self.nodes[node].alive {
                for handle in alive.handles.values() {
                    handle.doc().checkout_to_latest();
                    handle.doc().commit();
                }
            }
        }
        // A client may be back before the other side has noticed that it was gone.
        if self.chance.percent(50) {
            self.wires.iter().for_each(|wire| _ = wire.connect());
            self.run(3_000);
        }
        for wire in &self.wires {
            wire.sweep();
        }
        self.run(500);
        for wire in 0..self.wires.len() {
            self.connect(wire);
        }
        self.last_lies();
    }

    /// Who lies stays connected while the world is judged. What it last said stands.
    fn last_lies(&mut self) {
        for wire in 0..self.wires.len() {
            let Some(node) = self.wires[wire].nodes.into_iter().find(|node| self.nodes[*node].is_hostile()) else { continue };
            for _ in 0..3 {
                let pause = self.chance.below(1_000);
                self.run(pause);
                let seed = self.chance.next();
                self.lie(node, wire, seed);
            }
        }
    }

    /// The ids under which who lies may introduce itself.
    pub fn names_to_use(&self) -> Vec<PeerId> {
        if self.plan.lies_about_names() { self.peers() } else { Vec::new() }
    }

    /// The live peers' ids.
    pub fn peers(&self) -> Vec<PeerId> {
        self.nodes.iter().filter_map(|node| node.alive.as_ref()).map(|alive| alive.peer.clone()).collect()
    }
}

/// Watches what is said to whom about hidden documents.
fn watch(plan: &Plan, table: &Rc<Table>, model: &Rc<RefCell<Model>>, hostiles: &BTreeMap<usize, Rc<Hostile>>) -> Watch {
    let (table, model, hostiles) = (Rc::clone(table), Rc::clone(model), hostiles.clone());
    let groups: Vec<_> = plan.nodes.iter().map(|node| if node.kind == NodeKind::Hostile { STRANGERS } else { node.group }).collect();
    Rc::new(move |from, to, message| {
        let refusal = matches!(
            message,
            Message::SyncResponse { transmission: Transmission::Unavailable, .. }
                | Message::DeleteResponse { .. }
                | Message::Refusal { .. }
        );
        // A stranger that asks by name is told that there is nothing; who poses as another is told what that one may know.
        let exempt = hostiles.contains_key(&from) || hostiles.get(&to).is_some_and(|hostile| refusal || hostile.posed.get());
        for doc in named(message) {
            let knew = refusal && table.was_shown(doc.as_str(), groups[to]);
            if !exempt && !knew && table.is_hidden(doc.as_str(), groups[to]) {
                model.borrow_mut().violations.push(format!("{doc} is hidden from node {to}, and node {from} speaks of it: {message:?}"));
            }
        }
    })
}

fn named(message: &Message) -> Vec<&DocId> {
    match message {
        Message::EstablishRequest(_) | Message::EstablishResponse(_) => Vec::new(),
        Message::SyncRequest { doc, .. }
        | Message::SyncResponse { doc, .. }
        | Message::Update { doc, .. }
        | Message::DeleteRequest { doc }
        | Message::DeleteResponse { doc, .. }
        | Message::Ephemeral { doc, .. } => vec![doc],
        Message::DirectoryRequest { docs } => docs.iter().flatten().collect(),
        Message::DirectoryResponse { docs } | Message::NewDoc { docs } => docs.iter().collect(),
        Message::Batch(messages) => messages.iter().flat_map(named).collect(),
        Message::Heads { heads, .. } => heads.iter().map(|head| &head.doc).collect(),
        Message::Want { doc, .. }
        | Message::Give { doc, .. }
        | Message::Ack { doc, .. }
        | Message::Refusal { doc, .. }
        | Message::Prune { doc } => vec![doc],
        Message::Digest { .. }
        | Message::RecordsHave { .. }
        | Message::RecordsRequest { .. }
        | Message::RecordsResponse { .. }
        | Message::RecordsChange { .. }
        | Message::RecordsRefusal { .. } => Vec::new(),
        Message::Deleted { docs } => docs.iter().map(|(doc, _)| doc).collect(),
    }
}
