//! What must hold in every world, whatever was done to it, once it was left alone.

use std::collections::{BTreeMap, BTreeSet};

use corella::{
    runtime::{ReadyStatus, SyncKind, WaitOptions},
    synchronizer::ChannelKind,
};
use loro::{LoroDoc, LoroValue, VersionVector};

use super::{
    hostile::MARK,
    model::{Fate, RemotePromise},
    node::Alive,
    table::STRANGERS,
    wire::Traffic,
    world::Chaos,
};

/// Everything is where it belongs this long after the last fault. Above the longest pauses between two attempts: 64 s for a question
/// to a peer, 30 s for a store.
pub const SETTLE_MS: u64 = 150_000;
/// How long the silence afterwards is listened to.
pub const QUIET_MS: u64 = 120_000;
/// Messages other than ephemeral state a link may carry in [`QUIET_MS`]: four periodic comparisons, of seven messages where the
/// sides differ because one refuses what the other has, and a few offers of that at growing intervals.
pub const QUIET_MESSAGES: u64 = 40;
/// Ephemeral messages per link, document and node: a renewal every 10 s, relayed at most once each way.
pub const QUIET_EPHEMERAL: u64 = 2 * (QUIET_MS / 10_000 + 1);
/// Timers a node may have pending for each document when nothing happens.
const MOST_TIMERS: usize = 16;
/// Records of a document on a disk, for each repo that uses it at once: none removes what another one has written and it has not read.
const MOST_RECORDS: usize = 64;
/// Peers of which a node remembers that they refused a deletion, for each document.
const MOST_REFUSERS: usize = 64;
/// How long a repo may take to confirm what has long arrived.
const CONFIRM_MS: u64 = 30_000;

/// What a node has of a document.
struct Copy {
    version: VersionVector,
    value: LoroValue,
    text: String,
}

impl Copy {
    fn of(doc: &LoroDoc) -> Self {
        // Asking for a container that is not there makes it, without an operation.
        let mut value = doc.get_deep_value();
        if let LoroValue::Map(roots) = &mut value {
            roots.make_mut().retain(|_, root| !root.is_empty_collection() && root.as_string().is_none_or(|text| !text.is_empty()));
        }
        Self { version: doc.oplog_vv(), text: format!("{value:?}"), value }
    }

    fn has(&self, token: &str) -> bool {
        self.text.contains(token)
    }
}

impl Chaos {
    /// Heals the world, lets it settle and returns every rule that it breaks.
    pub fn verdict(&mut self) -> Vec<String> {
        self.heal();
        self.run(SETTLE_MS);
        let mut faults = Vec::new();
        self.all_links_are_up(&mut faults);
        self.converged(&mut faults);
        self.the_deleted_converged(&mut faults);
        self.nothing_is_lost(&mut faults);
        self.memory_is_bounded(&mut faults);
        self.events_tell_what_is_there(&mut faults);
        self.open_documents_stay(&mut faults);
        self.everybody_knows_that_all_is_synced(&mut faults);
        self.the_hidden_stays_hidden(&mut faults);
        self.the_deleted_stays_deleted(&mut faults);
        self.refused_changes_stay_out(&mut faults);
        self.it_is_quiet(&mut faults);
        self.presence_is_right(&mut faults);
        self.waiting_ends(&mut faults);
        self.presence_goes_with_its_author(&mut faults);
        self.disks_hold_what_they_promised(&mut faults);
        faults.append(&mut self.model.borrow_mut().violations);
        faults
    }

    fn all_links_are_up(&self, faults: &mut Vec<String>) {
        for wire in &self.wires {
            // Whoever lies may be shown the door.
            if !wire.is_up() && !wire.nodes.iter().any(|node| self.nodes[*node].is_hostile()) {
                faults.push(format!("wire {} did not come up", wire.number));
            }
        }
    }

    fn group(&self, node: usize) -> usize {
        self.nodes[node].plan.group
    }

    fn is_read_only(&self, node: usize, doc: usize) -> bool {
        self.table.is_read_only(&self.plan.docs[doc], self.group(node))
    }

    fn is_hidden(&self, node: usize, doc: usize) -> bool {
        self.table.is_hidden(&self.plan.docs[doc], self.group(node))
    }

    /// Returns whether the node has to keep up with the document.
    fn follows(&self, node: usize, doc: usize) -> bool {
        let entry = &self.nodes[node];
        entry.alive.is_some() && !self.is_hidden(node, doc) && (entry.is_hub() || entry.handle(doc).is_some())
    }

    fn copy(&self, node: usize, doc: usize) -> Option<Copy> {
        let entry = &self.nodes[node];
        match (entry.handle(doc), entry.plan.disk) {
            (Some(handle), _) => Some(Copy::of(&handle.doc())),
            // What a hub has in memory is on its disk by now.
            (None, Some(disk)) => Some(Copy::of(&self.disks[disk].contents(&self.plan.docs[doc]))),
            (None, None) => None,
        }
    }

    /// Returns the sets of nodes between which changes of a document travel both ways.
    fn islands(&self, doc: usize) -> Vec<Vec<usize>> {
        let mut left: BTreeSet<usize> =
            (0..self.nodes.len()).filter(|node| self.follows(*node, doc) && !self.is_read_only(*node, doc)).collect();
        let mut islands = Vec::new();
        while let Some(first) = left.pop_first() {
            let mut island = vec![first];
            let mut at = 0;
            while at < island.len() {
                for wire in self.wires.iter().filter(|wire| wire.is_up()) {
                    if let Some(next) = wire.other(island[at]).filter(|next| left.remove(next)) {
                        island.push(next);
                    }
                }
                at += 1;
            }
            islands.push(island);
        }
        islands
    }

    fn immortal(&self) -> Vec<usize> {
        (0..self.plan.docs.len()).filter(|doc| !self.model.borrow().deleted.contains(doc)).collect()
    }

    fn converged(&self, faults: &mut Vec<String>) {
        for doc in self.immortal() {
            let name = &self.plan.docs[doc];
            for island in self.islands(doc) {
                let Some(first) = self.copy(island[0], doc) else { continue };
                for node in &island[1..] {
                    let Some(copy) = self.copy(*node, doc) else { continue };
                    if copy.version != first.version {
                        faults.push(format!("{name}: node {} has {:?}, node {node} {:?}", island[0], first.version, copy.version));
                    } else if copy.value != first.value {
                        faults.push(format!("{name}: node {} has {:?}, node {node} {:?}", island[0], first.value, copy.value));
                    }
                }
                // Whoever may only read has at least everything its neighbours have.
                for node in (0..self.nodes.len()).filter(|node| self.follows(*node, doc) && self.is_read_only(*node, doc)) {
                    let linked =
                        self.wires.iter().any(|wire| wire.is_up() && wire.other(node).is_some_and(|other| island.contains(&other)));
                    let Some(copy) = self.copy(node, doc).filter(|_| linked) else { continue };
                    if !includes(&copy.version, &first.version) {
                        faults.push(format!("{name}: read-only node {node} has {:?} of {:?}", copy.version, first.version));
                    }
                }
            }
        }
    }

    /// Where everybody takes everybody's word, a deleted document, or what was made in its place, is the same for all who are linked.
    fn the_deleted_converged(&self, faults: &mut Vec<String>) {
        // A creation of a time that is far ahead is not believed, and a deletion not for ever.
        if !self.plan.deletes_everywhere() || !self.hostiles.is_empty() || self.model.borrow().clocks_disagree() {
            return;
        }
        let listed = |node: usize, doc: usize| {
            let alive = self.nodes[node].working();
            alive.is_some_and(|alive| alive.repo.list().iter().any(|info| info.doc.as_str() == self.plan.docs[doc]))
        };
        for doc in (0..self.plan.docs.len()).filter(|doc| !self.immortal().contains(doc)) {
            let name = &self.plan.docs[doc];
            for wire in self.wires.iter().filter(|wire| wire.is_up()) {
                if wire.nodes.iter().any(|node| self.is_hidden(*node, doc) || self.is_read_only(*node, doc)) {
                    continue;
                }
                let [a, b] = wire.nodes.map(|node| self.nodes[node].handle(doc).map(|handle| Copy::of(&handle.doc())));
                match (a, b) {
                    (Some(a), Some(b)) if a.version != b.version || a.value != b.value => {
                        faults.push(format!("{name}: {:?} have {:?} and {:?}", wire.nodes, a.version, b.version));
                    }
                    (Some(copy), None) | (None, Some(copy)) if !copy.version.is_empty() => {
                        for hub in wire.nodes.into_iter().filter(|node| self.nodes[*node].is_hub() && !listed(*node, doc)) {
                            faults.push(format!("{name}: hub {hub} does not have what its neighbour on {:?} has", wire.nodes));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// What was typed in a run that did not crash, or was flushed, is in every copy it can reach and on the disk it was promised for.
    fn nothing_is_lost(&self, faults: &mut Vec<String>) {
        let model = self.model.borrow();
        for doc in self.immortal() {
            let name = &self.plan.docs[doc];
            let islands = self.islands(doc);
            let copies: BTreeMap<usize, Copy> = (0..self.nodes.len()).filter_map(|node| Some((node, self.copy(node, doc)?))).collect();
            for token in model.tokens.iter().filter(|token| token.doc == doc && !token.erased) {
                let node = token.run.node;
                let fate = model.fate(token.run);
                let on_disk = token.flushed || fate == Fate::Closed;
                let entry = &self.nodes[node];
                if let Some(copy) = copies.get(&node).filter(|_| entry.handle(doc).is_some() && (on_disk || fate == Fate::Running))
                    && !copy.has(&token.text)
                {
                    faults.push(format!("{name}: {} is gone from the node that typed it", token.text));
                }
                if fate != Fate::Running || self.is_read_only(node, doc) {
                    continue;
                }
                let network = self.wires.iter().filter(|wire| wire.is_up() && wire.kind == ChannelKind::Network);
                let hubs: Vec<_> = network.filter_map(|wire| wire.other(node).filter(|hub| self.nodes[*hub].is_hub())).collect();
                let elsewhere = |other: usize| self.nodes[other].plan.disk.is_none_or(|disk| entry.plan.disk != Some(disk));
                let kept = copies.iter().any(|(other, copy)| *other != node && elsewhere(*other) && copy.has(&token.text));
                // Also if the application has closed the document meanwhile.
                for hub in hubs {
                    // A server of the reference protocol is given what no other machine keeps.
                    if kept && entry.handle(doc).is_none() && !self.plan.speak_of_heads(node, hub) {
                        continue;
                    }
                    let reached = islands.iter().any(|island| island.contains(&hub));
                    if reached && copies.get(&hub).is_some_and(|copy| !copy.has(&token.text)) {
                        let open = entry.handle(doc).is_some();
                        faults.push(format!("{name}: {} did not reach hub {hub} (open where it was typed: {open})", token.text));
                    }
                }
            }
        }
    }

    fn memory_is_bounded(&self, faults: &mut Vec<String>) {
        let invented: u64 = self.hostiles.values().map(|hostile| hostile.invented.get()).sum();
        let most = self.plan.docs.len() + invented as usize;
        for (node, alive) in self.living() {
            let known = alive.repo.list().len();
            if known > most {
                faults.push(format!("node {node} knows of {known} documents where there are {most}"));
            }
            let kept = alive.repo.footprint();
            let bounded = kept.held_back == 0
                && kept.reading == 0
                && kept.links <= most * kept.channels
                && kept.refusers <= most * MOST_REFUSERS
                && kept.uncreated <= most * kept.channels;
            if !bounded {
                faults.push(format!("node {node} keeps {kept:?} for {most} documents"));
            }
        }
    }

    /// Whoever only listens to events knows what whoever asks is told.
    fn events_tell_what_is_there(&self, faults: &mut Vec<String>) {
        for (node, alive) in self.living() {
            let told = alive.told.borrow();
            let listed: BTreeSet<_> = alive.repo.list().into_iter().map(|info| info.doc).collect();
            if told.docs != listed {
                faults.push(format!("node {node} was told of {:?} and lists {listed:?}", told.docs));
            }
            let peers: BTreeSet<_> = alive.repo.peers().into_iter().map(|peer| peer.peer_id).collect();
            if told.peers != peers {
                faults.push(format!("node {node} was told of peers {:?} and has {peers:?}", told.peers));
            }
        }
    }

    /// A document nobody deleted is there for as long as it is open.
    fn open_documents_stay(&self, faults: &mut Vec<String>) {
        for (node, alive) in self.living() {
            for doc in self.immortal() {
                let Some(handle) = alive.handles.get(&doc) else { continue };
                let listed = alive.repo.list().into_iter().any(|info| info.doc == *handle.doc_id() && info.open);
                if handle.is_gone() || !listed {
                    faults.push(format!("{} is gone from node {node}, and nobody deleted it", self.plan.docs[doc]));
                }
            }
        }
    }

    fn everybody_knows_that_all_is_synced(&self, faults: &mut Vec<String>) {
        for doc in self.immortal() {
            for island in self.islands(doc) {
                for wire in self.wires.iter().filter(|wire| wire.is_up() && wire.nodes.iter().all(|node| island.contains(node))) {
                    for (node, other) in [(wire.nodes[0], wire.nodes[1]), (wire.nodes[1], wire.nodes[0])] {
                        let (Some(handle), Some(peer)) = (self.nodes[node].handle(doc), self.nodes[other].working()) else { continue };
                        // Who lies may go by the same id, on a channel of its own.
                        let states: Vec<_> =
                            handle.ready_states().into_iter().filter(|state| state.peer == peer.peer).map(|state| state.state).collect();
                        if !states.contains(&ReadyStatus::Synced) {
                            faults.push(format!("{}: node {node} takes node {other} to be {states:?}", self.plan.docs[doc]));
                        }
                    }
                }
            }
        }
    }

    fn living(&self) -> impl Iterator<Item = (usize, &Alive)> {
        self.nodes.iter().enumerate().filter_map(|(node, entry)| Some((node, entry.working()?)))
    }

    fn the_hidden_stays_hidden(&self, faults: &mut Vec<String>) {
        for (node, alive) in self.living() {
            for info in alive.repo.list() {
                if self.table.is_hidden(info.doc.as_str(), self.group(node)) {
                    faults.push(format!("node {node} lists {}, which is hidden from it", info.doc));
                }
            }
        }
    }

    /// Not by whoever deleted it, nor after a restart where a disk remembers the deletion.
    fn the_deleted_stays_deleted(&self, faults: &mut Vec<String>) {
        let model = self.model.borrow();
        let lists = |node: usize, doc: usize| {
            let alive = self.nodes[node].working();
            alive.is_some_and(|alive| alive.repo.list().iter().any(|info| info.doc.as_str() == self.plan.docs[doc]))
        };
        if model.deletions_lapse() {
            return;
        }
        for (run, doc) in model.deleted_by.iter().filter(|(_, doc)| !model.recreated.contains(doc)) {
            if self.nodes[run.node].working().is_some_and(|alive| alive.run == *run) && lists(run.node, *doc) {
                faults.push(format!("node {} lists {} again, which it deleted", run.node, self.plan.docs[*doc]));
            }
        }
        for (disk, doc) in model.buried.iter().filter(|(_, doc)| !model.recreated.contains(doc)) {
            // Another tab may have it in memory, and need not take this one's word.
            let keeps = |node: &usize| self.nodes[*node].plan.disk == Some(*disk) && self.plan.has_own_disk(*node);
            for node in (0..self.nodes.len()).filter(keeps).filter(|node| lists(*node, *doc)) {
                faults.push(format!("node {node} lists {} again, which its disk knows to be deleted", self.plan.docs[*doc]));
            }
        }
    }

    fn refused_changes_stay_out(&self, faults: &mut Vec<String>) {
        let model = self.model.borrow();
        let posed = self.hostiles.values().any(|hostile| hostile.posed.get());
        for (doc, group) in &self.plan.read_only {
            for node in (0..self.nodes.len()).filter(|node| !self.nodes[*node].is_hostile() && self.group(*node) != *group) {
                let Some(copy) = self.copy(node, *doc) else { continue };
                let name = &self.plan.docs[*doc];
                if *group == STRANGERS && !posed && copy.has(MARK) {
                    faults.push(format!("{name}: node {node} has taken what a stranger wrote"));
                }
                for token in model.tokens.iter().filter(|token| token.doc == *doc && self.group(token.run.node) == *group) {
                    if copy.has(&token.text) {
                        faults.push(format!("{name}: node {node} has {}, typed by one who may only read", token.text));
                    }
                }
            }
        }
    }

    fn presence_is_right(&self, faults: &mut Vec<String>) {
        // A stranger may write anybody's entry until its owner writes it again; a clock that jumped delays what is due.
        if !self.hostiles.is_empty() {
            return;
        }
        let peers = self.peers();
        for doc in self.immortal() {
            let name = &self.plan.docs[doc];
            for wire in self.wires.iter().filter(|wire| wire.is_up()) {
                for (of, at) in [(wire.nodes[0], wire.nodes[1]), (wire.nodes[1], wire.nodes[0])] {
                    let (Some(source), Some(handle)) = (self.nodes[of].handle(doc), self.nodes[at].handle(doc)) else { continue };
                    let Some(alive) = self.nodes[of].working() else { continue };
                    let set = source.ephemeral("cursors").self_value();
                    let seen = handle.ephemeral("cursors").peers().remove(&alive.peer);
                    if set != seen {
                        faults.push(format!("{name}: node {of} is at {set:?}, its neighbour {at} sees it at {seen:?}"));
                    }
                }
            }
            for node in (0..self.nodes.len()).filter(|_| !self.plan.families.clock_jumps) {
                let Some(handle) = self.nodes[node].handle(doc) else { continue };
                for peer in handle.ephemeral("cursors").peers().keys().filter(|peer| !peers.contains(peer)) {
                    faults.push(format!("{name}: node {node} still shows {peer}, who is gone"));
                }
            }
        }
    }

    /// Who disconnects is at once no longer shown by those it was connected with.
    fn presence_goes_with_its_author(&mut self, faults: &mut Vec<String>) {
        if !self.hostiles.is_empty() || !self.plan.families.presence {
            return;
        }
        let leaver = self.chance.index(self.nodes.len());
        let Some(peer) = self.nodes[leaver].working().map(|alive| alive.peer.clone()) else { return };
        let wires: Vec<_> = self.wires.iter().filter(|wire| wire.side_of(leaver).is_some()).cloned().collect();
        wires.iter().for_each(|wire| wire.disconnect());
        self.run(5_000);
        for neighbour in wires.iter().filter_map(|wire| wire.other(leaver)) {
            for doc in self.immortal() {
                let Some(handle) = self.nodes[neighbour].handle(doc) else { continue };
                if handle.ephemeral("cursors").peers().contains_key(&peer) {
                    let name = &self.plan.docs[doc];
                    faults.push(format!("{name}: node {neighbour} still shows node {leaver}, whose connection is gone"));
                }
            }
        }
        wires.iter().for_each(|wire| _ = wire.connect());
        self.run(5_000);
    }

    fn it_is_quiet(&mut self, faults: &mut Vec<String>) {
        let before: Vec<Traffic> = self.wires.iter().map(|wire| wire.traffic.get()).collect();
        self.run(QUIET_MS);
        let renewals = QUIET_EPHEMERAL * (self.plan.docs.len() * self.nodes.len()) as u64;
        let timers = self.world.clock.pending();
        if timers > MOST_TIMERS * self.nodes.len() * self.plan.docs.len() {
            faults.push(format!("{timers} timers are pending"));
        }
        for (wire, before) in self.wires.iter().zip(before) {
            let after = wire.traffic.get();
            let (other, ephemeral) = (after.other - before.other, after.ephemeral - before.ephemeral);
            if other > QUIET_MESSAGES {
                faults.push(format!("{other} messages on wire {} ({:?}) though nothing happens", wire.number, wire.nodes));
            }
            if ephemeral > if self.plan.families.presence { renewals } else { 0 } {
                faults.push(format!("{ephemeral} ephemeral messages on wire {} ({:?})", wire.number, wire.nodes));
            }
        }
    }

    /// Whoever waits for a hub to have everything is told so.
    fn waiting_ends(&mut self, faults: &mut Vec<String>) {
        for doc in self.immortal() {
            let writers: Vec<_> = (0..self.nodes.len()).filter(|node| !self.is_read_only(*node, doc)).collect();
            for node in writers {
                let linked = self.wires.iter().any(|wire| {
                    let hub = wire
                        .other(node)
                        .filter(|hub| self.nodes[*hub].is_hub() && !self.is_hidden(*hub, doc) && !self.is_read_only(*hub, doc));
                    wire.is_up() && hub.is_some()
                });
                let Some(handle) = self.nodes[node].handle(doc).filter(|_| linked) else { continue };
                let wait = handle.wait_for_sync(WaitOptions { kind: SyncKind::Network, timeout_ms: Some(CONFIRM_MS) });
                match self.world.wait(wait, CONFIRM_MS + 1_000) {
                    Some(Ok(())) => {}
                    other => faults.push(format!("{}: node {node} waits for the network in vain: {other:?}", self.plan.docs[doc])),
                }
            }
        }
    }

    /// Everybody flushes and dies; then the disks alone are looked at.
    fn disks_hold_what_they_promised(&mut self, faults: &mut Vec<String>) {
        let flushes: Vec<_> = (0..self.nodes.len()).filter_map(|node| Some((node, self.flush(node)?))).collect();
        self.run(CONFIRM_MS);
        for (node, done) in flushes {
            if !done.get() {
                faults.push(format!("node {node} cannot flush"));
            }
        }
        for node in 0..self.nodes.len() {
            self.crash(node, true);
        }
        self.run(1_000);
        let model = self.model.borrow();
        for (number, doc) in model.buried.iter().filter(|(_, doc)| !model.recreated.contains(doc) && !model.deletions_lapse()) {
            if !self.disks[*number].remembers_deletion(&self.plan.docs[*doc]) {
                faults.push(format!("{}: the deletion is forgotten on disk {number}", self.plan.docs[*doc]));
            }
        }
        for RemotePromise { disks, node, doc, version } in &model.remote_promises {
            let name = &self.plan.docs[*doc];
            let contents: Vec<_> = disks.iter().map(|disk| self.disks[*disk].contents(name).oplog_vv()).collect();
            if !together(&contents, version) && !model.deleted.contains(doc) {
                faults.push(format!("{name}: node {node} was told that {version:?} is on disks, and {disks:?} together lack some of it"));
            }
        }
        for doc in self.immortal() {
            let name = &self.plan.docs[doc];
            for (number, disk) in self.disks.iter().enumerate() {
                let writers = self.nodes.iter().filter(|node| node.plan.disk == Some(number)).count();
                let records = disk.records(name);
                // What cannot be read is appended to, and stays long until the next write after it could be.
                if records > MOST_RECORDS * writers && !self.plan.families.bad_disks {
                    faults.push(format!("{name}: disk {number} has {records} records"));
                }
                let copy = Copy::of(&disk.contents(name));
                for promise in model.promises.iter().filter(|promise| promise.doc == doc && promise.disk == number) {
                    if !includes(&copy.version, &promise.version) {
                        faults.push(format!("{name}: disk {number} has {:?}, {:?} was flushed", copy.version, promise.version));
                    }
                }
                let written_here = |node: usize| self.nodes[node].plan.disk == Some(number);
                for token in
                    model.tokens.iter().filter(|token| token.doc == doc && token.flushed && !token.erased && written_here(token.run.node))
                {
                    if !copy.has(&token.text) {
                        faults.push(format!("{name}: {} was flushed and is not on disk {number}", token.text));
                    }
                }
            }
        }
    }
}

/// Returns whether each operation is in one of them.
pub fn together(wholes: &[VersionVector], part: &VersionVector) -> bool {
    part.iter().all(|(author, end)| wholes.iter().any(|whole| whole.get(author).is_some_and(|known| known >= end)))
}

pub fn includes(whole: &VersionVector, part: &VersionVector) -> bool {
    together(std::slice::from_ref(whole), part)
}
