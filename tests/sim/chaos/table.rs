//! Who may do what in a world: one table behind every repo's permissions.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use corella::{
    DocId, PeerId,
    synchronizer::{ChannelKind, Creator, PeerContext, Permissions},
};

/// Nodes that share a disk are one group: what one of them may see, all may.
pub type Group = usize;
/// Whoever is no node of this world.
pub const STRANGERS: Group = usize::MAX;

/// What is forbidden, and which peer is which node.
#[derive(Default)]
pub struct Table {
    groups: RefCell<BTreeMap<PeerId, Group>>,
    hidden: RefCell<BTreeSet<(String, Group)>>,
    read_only: RefCell<BTreeSet<(String, Group)>>,
    uncreatable: RefCell<BTreeSet<(String, Group)>>,
    /// Documents that were hidden from a group that knew them: it may be told that it gets them no more.
    was_shown: RefCell<BTreeSet<(String, Group)>>,
    /// Whether a peer may have a document deleted elsewhere.
    pub deletion: Cell<bool>,
}

impl Table {
    pub fn enter(&self, peer: PeerId, group: Group) {
        self.groups.borrow_mut().insert(peer, group);
    }

    /// Returns whether that is news, as all that set rules do.
    pub fn hide(&self, doc: &str, from: Group, hidden: bool) -> bool {
        set(&self.hidden, doc, from, hidden)
    }

    /// Hides a document for a while from a group that may know it.
    pub fn withdraw(&self, doc: &str, from: Group, hidden: bool) {
        set(&self.was_shown, doc, from, true);
        set(&self.hidden, doc, from, hidden);
    }

    pub fn was_shown(&self, doc: &str, to: Group) -> bool {
        self.was_shown.borrow().contains(&(doc.to_owned(), to))
    }

    pub fn forbid_creation(&self, doc: &str, by: Group, forbidden: bool) -> bool {
        set(&self.uncreatable, doc, by, forbidden)
    }

    pub fn forbid_changes(&self, doc: &str, by: Group, forbidden: bool) -> bool {
        set(&self.read_only, doc, by, forbidden)
    }

    pub fn is_hidden(&self, doc: &str, from: Group) -> bool {
        self.hidden.borrow().contains(&(doc.to_owned(), from))
    }

    pub fn is_read_only(&self, doc: &str, by: Group) -> bool {
        self.read_only.borrow().contains(&(doc.to_owned(), by))
    }

    fn group(&self, peer: &PeerContext) -> Group {
        self.groups.borrow().get(&peer.peer_id).copied().unwrap_or(STRANGERS)
    }
}

fn set(table: &RefCell<BTreeSet<(String, Group)>>, doc: &str, group: Group, present: bool) -> bool {
    let entry = (doc.to_owned(), group);
    if present { table.borrow_mut().insert(entry) } else { table.borrow_mut().remove(&entry) }
}

/// The table as a repo of one group asks it.
pub struct Seat {
    pub table: Rc<Table>,
    pub group: Group,
}

impl Permissions for Seat {
    fn visibility(&self, doc: &DocId, peer: &PeerContext) -> bool {
        peer.kind == ChannelKind::Storage || !self.table.is_hidden(doc.as_str(), self.table.group(peer))
    }

    fn mutability(&self, doc: &DocId, peer: &PeerContext) -> bool {
        let group = self.table.group(peer);
        group == self.group || !self.table.is_read_only(doc.as_str(), group)
    }

    fn creation(&self, doc: &DocId, peer: &PeerContext) -> bool {
        let group = self.table.group(peer);
        group == self.group || !self.table.uncreatable.borrow().contains(&(doc.as_str().to_owned(), group))
    }

    fn deletion(&self, _doc: &DocId, _creator: Option<&Creator>, peer: &PeerContext) -> bool {
        self.table.deletion.get() && self.table.group(peer) != STRANGERS
    }
}
