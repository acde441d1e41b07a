//! One participant: its repo for as long as it lives, and what outlives it.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use corella::{
    DocHandle, DocId, PeerId, Repo,
    runtime::{Env, LocalBoxFuture},
    synchronizer::Timestamp,
};

use super::{
    model::Run,
    plan::{NodeKind, NodePlan},
};
use crate::{life::Life, world::Clock};

/// A node's own clock, which may be wrong, over the world's.
pub struct NodeEnv {
    pub world: Rc<Clock>,
    pub offset_ms: Rc<Cell<i64>>,
}

impl Env for NodeEnv {
    fn now(&self) -> Timestamp {
        Timestamp(self.world.now().0.saturating_add_signed(self.offset_ms.get()))
    }

    fn random_u64(&self) -> u64 {
        self.world.random_u64()
    }

    fn spawn(&self, task: LocalBoxFuture<()>) {
        self.world.spawn(task);
    }

    fn sleep(&self, ms: u64) -> LocalBoxFuture<()> {
        self.world.sleep(ms)
    }
}

/// A node, alive or not.
pub struct Node {
    pub plan: NodePlan,
    pub runs: u32,
    pub alive: Option<Alive>,
    pub offset_ms: Rc<Cell<i64>>,
    /// What its application ever worked on.
    pub touched: BTreeSet<usize>,
}

/// A repo and what its application holds of it.
pub struct Alive {
    pub run: Run,
    pub repo: Repo,
    pub peer: PeerId,
    pub life: Rc<Life>,
    pub handles: BTreeMap<usize, DocHandle>,
    /// Handles the application has closed and still keeps.
    pub closed: BTreeMap<usize, DocHandle>,
    pub told: Rc<RefCell<Told>>,
    /// It is closing; the application does nothing more.
    pub leaving: Rc<Cell<bool>>,
}

/// What is there according to the events of a repo.
#[derive(Debug, Default)]
pub struct Told {
    pub docs: BTreeSet<DocId>,
    pub peers: BTreeSet<PeerId>,
}

impl Node {
    pub fn new(plan: NodePlan) -> Self {
        Self { plan, runs: 0, alive: None, offset_ms: Rc::default(), touched: BTreeSet::new() }
    }

    pub fn is_hub(&self) -> bool {
        self.plan.kind == NodeKind::Hub
    }

    pub fn is_hostile(&self) -> bool {
        self.plan.kind == NodeKind::Hostile
    }

    /// Returns the repo while its application may still work with it.
    pub fn working(&self) -> Option<&Alive> {
        self.alive.as_ref().filter(|alive| alive.life.is_alive() && !alive.leaving.get())
    }

    /// Returns the application's handle of a document that is open and not deleted.
    pub fn handle(&self, doc: usize) -> Option<&DocHandle> {
        self.working()?.handles.get(&doc).filter(|handle| !handle.is_gone())
    }
}
