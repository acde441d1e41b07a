//! Draws a world from its seed: who there is, who is linked to whom, what is forbidden, and which kinds of faults to expect.

use corella::{
    protocol::{Features, frame},
    synchronizer::{ChannelKind, HistoryLimits, MemoryBudget},
};

use super::{
    table::{Group, STRANGERS},
    wire::WirePlan,
};
use crate::chance::Chance;

#[derive(Debug, Clone)]
pub struct NodePlan {
    pub kind: NodeKind,
    pub disk: Option<usize>,
    pub group: Group,
    /// What it speaks beyond the reference protocol.
    pub features: Features,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// A page: fetches what its application opens.
    Leaf,
    /// A relay: fetches everything and keeps it.
    Hub,
    /// Lies.
    Hostile,
}

/// Kinds of events a world may see. Each is left out of many worlds: a fault hides what another one would show.
#[derive(Debug, Clone, Copy, Default)]
pub struct Families {
    pub crashes: bool,
    pub bad_disks: bool,
    pub clock_jumps: bool,
    pub half_open: bool,
    pub partitions: bool,
    pub lossy: bool,
    pub hostile: bool,
    pub deletion: bool,
    pub presence: bool,
    pub closing: bool,
    pub permissions: bool,
    pub typing: bool,
}

/// How much memory the nodes of a world may use: in half of the worlds some keep next to nothing they do not have open.
///
/// Drawn apart, so that it changes nothing else of a schedule.
#[derive(Debug)]
pub struct Thrift {
    chance: Chance,
    budgets: Vec<MemoryBudget>,
}

impl Thrift {
    pub fn draw(seed: u64, nodes: usize) -> Self {
        let chance = Chance::new(seed ^ 0x7468_7269_6674);
        let thrifty = chance.percent(50);
        let budget = |_| match chance.below(4) {
            0 | 1 if thrifty => MemoryBudget { documents: 0, bytes: 0 },
            2 if thrifty => MemoryBudget { documents: 1, bytes: u64::MAX },
            _ => MemoryBudget::default(),
        };
        let budgets = (0..nodes).map(budget).collect();
        Self { chance, budgets }
    }

    pub fn budget(&self, node: usize) -> MemoryBudget {
        self.budgets[node]
    }

    /// Whether an application that closes a document also lets its handle go: only then may it leave memory.
    pub fn drops_handle(&self, node: usize) -> bool {
        self.budgets[node] != MemoryBudget::default() && self.chance.percent(75)
    }
}

/// Whose stores keep how much history: in half of the worlds some leaves trim what everybody has. Drawn apart, like memory.
#[derive(Debug)]
pub struct Histories(Vec<HistoryLimits>);

impl Histories {
    pub fn draw(seed: u64, nodes: &[NodePlan]) -> Self {
        let chance = Chance::new(seed ^ 0x7472_696d);
        let trimming = chance.percent(50);
        let limits = |node: &NodePlan| {
            let trims = trimming && node.kind == NodeKind::Leaf && chance.percent(70);
            let keep_ms = [0, 3_000, 30_000][chance.index(3)];
            let look_ms = 500 + chance.below(4_000);
            HistoryLimits { keep_ms: trims.then_some(keep_ms), lapse_ms: 1 + chance.below(20_000), look_ms }
        };
        Self(nodes.iter().map(limits).collect())
    }

    pub fn of(&self, node: usize) -> HistoryLimits {
        self.0[node]
    }
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub topology: &'static str,
    pub nodes: Vec<NodePlan>,
    pub wires: Vec<WirePlan>,
    pub disks: usize,
    pub docs: Vec<String>,
    pub hidden: Vec<(usize, Group)>,
    pub read_only: Vec<(usize, Group)>,
    /// Documents that may be deleted; nothing is promised about them.
    pub mortal: Vec<usize>,
    /// Whether peers may have documents deleted elsewhere.
    pub remote_deletion: bool,
    pub families: Families,
    pub steps: u64,
    /// Applications open again, at the end, whatever they ever worked on.
    pub reopens: bool,
}

struct Draft {
    nodes: Vec<NodePlan>,
    edges: Vec<(usize, usize, ChannelKind)>,
    disks: usize,
}

impl Draft {
    fn node(&mut self, kind: NodeKind, disk: bool) -> usize {
        let disk = disk.then(|| {
            self.disks += 1;
            self.disks - 1
        });
        self.nodes.push(NodePlan { kind, disk, group: self.nodes.len(), features: Features::ALL });
        self.nodes.len() - 1
    }

    fn leaf(&mut self, chance: &Chance) -> usize {
        let disk = chance.percent(50);
        self.node(NodeKind::Leaf, disk)
    }

    fn hub(&mut self) -> usize {
        self.node(NodeKind::Hub, true)
    }

    fn any(&mut self, chance: &Chance) -> usize {
        if chance.percent(33) { self.hub() } else { self.leaf(chance) }
    }

    fn link(&mut self, a: usize, b: usize) {
        self.edges.push((a, b, ChannelKind::Network));
    }

    fn tabs(&mut self, count: usize) -> Vec<usize> {
        let first = self.node(NodeKind::Leaf, true);
        let (disk, group) = (self.nodes[first].disk, self.nodes[first].group);
        let mut tabs = vec![first];
        for _ in 1..count {
            self.nodes.push(NodePlan { kind: NodeKind::Leaf, disk, group, features: Features::ALL });
            tabs.push(self.nodes.len() - 1);
        }
        for (at, a) in tabs.iter().enumerate() {
            for b in &tabs[at + 1..] {
                self.edges.push((*a, *b, ChannelKind::Tabs));
            }
        }
        tabs
    }
}

impl Plan {
    /// Whether everybody takes everybody's word for a deletion, and understands it: then it is the same everywhere in the end.
    pub fn deletes_everywhere(&self) -> bool {
        self.remote_deletion
            && self.nodes.iter().all(|node| node.features.includes(Features::LINEAGE.or(Features::HEADS).or(Features::ACK)))
    }

    /// Whether who lies may go by the id of another peer: one that may delete could have everything deleted.
    pub fn lies_about_names(&self) -> bool {
        !self.remote_deletion
    }

    /// Whether two nodes tell one another what they hold in the extension.
    pub fn speak_of_heads(&self, one: usize, other: usize) -> bool {
        self.nodes[one].features.and(self.nodes[other].features).includes(Features::LINEAGE.or(Features::HEADS).or(Features::ACK))
    }

    /// Whether only this node keeps something on its disk.
    pub fn has_own_disk(&self, node: usize) -> bool {
        let disk = self.nodes[node].disk;
        self.nodes.iter().enumerate().all(|(other, plan)| other == node || plan.disk.is_none() || plan.disk != disk)
    }

    pub fn draw(chance: &Chance) -> Self {
        let mut draft = Draft { nodes: Vec::new(), edges: Vec::new(), disks: 0 };
        let topology = topology(chance, &mut draft);
        let real = draft.nodes.len();
        let families = Families {
            crashes: chance.percent(55),
            bad_disks: chance.percent(40),
            clock_jumps: chance.percent(30),
            half_open: chance.percent(40),
            partitions: chance.percent(40),
            lossy: chance.percent(20),
            hostile: chance.percent(20),
            deletion: chance.percent(25),
            presence: chance.percent(30),
            closing: chance.percent(50),
            permissions: chance.percent(35),
            typing: chance.percent(20),
        };
        if families.hostile {
            let hostile = draft.node(NodeKind::Hostile, false);
            let victims = 1 + chance.below(2);
            for _ in 0..victims {
                let victim = chance.index(real);
                if !draft.edges.iter().any(|(a, b, _)| [*a, *b] == [hostile, victim] || [*a, *b] == [victim, hostile]) {
                    let (a, b) = if chance.percent(75) { (hostile, victim) } else { (victim, hostile) };
                    draft.link(a, b);
                }
            }
        }
        let docs: Vec<String> =
            (0..1 + chance.below(3)).map(|n| format!("doc-{n}{}", if chance.percent(20) { " ü🦜" } else { "" })).collect();
        if chance.percent(35) {
            for node in &mut draft.nodes[..real] {
                node.features = features(chance);
            }
        }
        let groups: Vec<Group> = draft.nodes[..real].iter().map(|node| node.group).collect();
        let mut hidden = Vec::new();
        let mut read_only = Vec::new();
        let mut docs = docs;
        if chance.percent(25) {
            let secret = docs.len();
            docs.push("secret-doc".to_owned());
            hidden.push((secret, groups[chance.index(real)]));
            hidden.push((secret, STRANGERS));
        }
        if chance.percent(12) {
            read_only.push((chance.index(docs.len()), groups[chance.index(real)]));
        }
        if families.hostile && chance.percent(50) {
            read_only.extend((0..docs.len()).map(|doc| (doc, STRANGERS)));
        }
        let mortal = if families.deletion { vec![chance.index(docs.len())] } else { Vec::new() };
        let wires = draft
            .edges
            .iter()
            .map(|(a, b, kind)| {
                let nodes = if chance.percent(50) && draft.nodes[*b].kind != NodeKind::Hub { [*b, *a] } else { [*a, *b] };
                let tabs = *kind == ChannelKind::Tabs;
                WirePlan {
                    kind: *kind,
                    nodes,
                    lossy: families.lossy && !tabs && chance.percent(60),
                    delay_ms: if tabs { chance.below(3) } else { 1 + chance.below(120) },
                    jitter_ms: if chance.percent(50) { chance.below(100) } else { 0 },
                    threshold: if chance.percent(15) { 100 } else { frame::FRAGMENT_THRESHOLD },
                }
            })
            .collect();
        Self {
            topology,
            wires,
            disks: draft.disks,
            nodes: draft.nodes,
            docs,
            hidden,
            read_only,
            mortal,
            remote_deletion: chance.percent(50),
            families,
            steps: 15 + chance.below(60),
            reopens: chance.percent(60),
        }
    }
}

fn topology(chance: &Chance, draft: &mut Draft) -> &'static str {
    match chance.below(8) {
        0 => {
            let a = draft.leaf(chance);
            let b = draft.any(chance);
            draft.link(a, b);
            "pair"
        }
        1 => {
            let nodes: Vec<_> = (0..3).map(|_| draft.any(chance)).collect();
            ring(draft, &nodes);
            "triangle"
        }
        2 => {
            let nodes: Vec<_> = (0..3 + chance.below(2)).map(|_| draft.any(chance)).collect();
            for pair in nodes.windows(2) {
                draft.link(pair[0], pair[1]);
            }
            "chain"
        }
        3 => {
            let nodes: Vec<_> = (0..4 + chance.below(2)).map(|_| draft.any(chance)).collect();
            ring(draft, &nodes);
            "ring"
        }
        4 => {
            let hub = draft.hub();
            for _ in 0..2 + chance.below(3) {
                let leaf = draft.leaf(chance);
                draft.link(leaf, hub);
            }
            "star"
        }
        5 => {
            let hubs = [draft.hub(), draft.hub()];
            draft.link(hubs[0], hubs[1]);
            for _ in 0..2 + chance.below(2) {
                let leaf = draft.leaf(chance);
                draft.link(leaf, hubs[chance.index(2)]);
            }
            "two hubs"
        }
        6 => {
            let nodes: Vec<_> = (0..3 + chance.below(3)).map(|_| draft.any(chance)).collect();
            for at in 1..nodes.len() {
                draft.link(nodes[at], nodes[chance.index(at)]);
            }
            for _ in 0..chance.below(4) {
                let (a, b) = (*chance.pick(&nodes).unwrap(), *chance.pick(&nodes).unwrap());
                let known = draft.edges.iter().any(|(x, y, _)| [*x, *y] == [a, b] || [*x, *y] == [b, a]);
                if a != b && !known {
                    draft.link(a, b);
                }
            }
            "mesh"
        }
        _ => {
            let hub = draft.hub();
            let count = 2 + chance.index(2);
            let tabs = draft.tabs(count);
            for (at, tab) in tabs.iter().enumerate() {
                if at == 0 || chance.percent(60) {
                    draft.link(*tab, hub);
                }
            }
            if chance.percent(60) {
                let leaf = draft.leaf(chance);
                draft.link(leaf, hub);
            }
            "tabs"
        }
    }
}

/// Draws what a node speaks: everything, the plain reference protocol, or some of what there is.
fn features(chance: &Chance) -> Features {
    const EACH: [Features; 5] = [Features::HEADS, Features::ACK, Features::DIGEST, Features::LINEAGE, Features::PRESENCE];
    match chance.below(4) {
        0 => Features::ALL,
        1 => Features::default(),
        // Without one of the first three it is spoken to in the reference protocol.
        2 => EACH.into_iter().filter(|_| chance.percent(70)).fold(Features::default(), Features::or),
        _ => {
            let spoken = Features::HEADS.or(Features::ACK).or(Features::LINEAGE);
            [Features::DIGEST, Features::PRESENCE].into_iter().filter(|_| chance.percent(50)).fold(spoken, Features::or)
        }
    }
}

fn ring(draft: &mut Draft, nodes: &[usize]) {
    for (at, node) in nodes.iter().enumerate() {
        draft.link(*node, nodes[(at + 1) % nodes.len()]);
    }
}
