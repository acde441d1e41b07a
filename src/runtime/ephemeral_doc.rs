//! The ephemeral state of each document, kept apart from the document: it is there for as long as somebody follows the document, in memory or not.
//!
//! Decides which namespaces there are and when nothing is left to keep. Knows no peer and sends nothing.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use loro::LoroValue;

use super::{
    EphemeralEvent, EphemeralState,
    ephemeral_budget::{Room, Senders},
};
use crate::{collections::SortedMap, protocol::DocId, synchronizer::ChannelId};

/// Namespaces a document may have; peers cannot make more.
const MAX_NAMESPACES: usize = 64;
/// Namespaces with something in them that one peer may have made.
const MAX_NAMESPACES_OF_SENDER: usize = 16;
/// UTF-8 bytes of the name of a namespace a peer makes.
const MAX_NAME_BYTES: usize = 256;

/// Hears of changes of one namespace.
pub(super) type EphemeralListener = Rc<dyn Fn(&EphemeralEvent)>;
/// Hears of the bytes of local changes of one namespace.
pub(super) type EphemeralUpdateListener = Rc<dyn Fn(&[u8])>;

/// One namespace of a document's ephemeral state.
#[derive(Default)]
pub(super) struct Namespace {
    pub(super) state: EphemeralState,
    /// What the application set as its own entry; put back when a peer with an old copy overwrites it.
    pub(super) own: Option<LoroValue>,
    pub(super) listeners: Vec<(u64, EphemeralListener)>,
    pub(super) update_listeners: Vec<(u64, EphemeralUpdateListener)>,
    /// How many handles the application has.
    pub(super) handles: usize,
    /// The channel of the peer that made it, if it was not the application.
    maker: Option<ChannelId>,
}

/// The ephemeral state of one document.
pub(super) struct Presence {
    pub(super) id: DocId,
    /// Its document was dropped from the repo: nothing of it is sent or received any more.
    pub(super) gone: Cell<bool>,
    pub(super) namespaces: RefCell<SortedMap<String, Namespace>>,
    pub(super) room: Room,
}

/// All there is, by document.
#[derive(Default)]
pub(super) struct PresenceTable {
    docs: RefCell<SortedMap<DocId, Rc<Presence>>>,
    pub(super) senders: Senders,
}

impl Namespace {
    fn is_watched(&self) -> bool {
        self.handles > 0 || self.own.is_some() || !self.listeners.is_empty() || !self.update_listeners.is_empty()
    }
}

impl Presence {
    fn new(id: &DocId, gone: bool) -> Rc<Self> {
        Rc::new(Self { id: id.clone(), gone: Cell::new(gone), namespaces: RefCell::default(), room: Room::default() })
    }

    /// Makes a namespace for what a peer sent; returns whether it is there now.
    pub(super) fn make_namespace(&self, name: &str, maker: ChannelId, by_relay: bool) -> bool {
        let mut namespaces = self.namespaces.borrow_mut();
        if namespaces.contains_key(name) {
            return true;
        }
        let made = namespaces.values().filter(|known| known.maker == Some(maker) && !known.state.is_empty()).count();
        if name.len() > MAX_NAME_BYTES || (made >= MAX_NAMESPACES_OF_SENDER && !by_relay) {
            return false;
        }
        if namespaces.len() >= MAX_NAMESPACES {
            // One in which there are but deletions to remember is the first to go.
            let spare = namespaces.iter().find(|(_, known)| known.state.is_empty() && !known.is_watched()).map(|(name, _)| name.clone());
            let Some(spare) = spare else { return false };
            namespaces.remove(&spare);
        }
        namespaces.insert(name.to_owned(), Namespace { maker: Some(maker), ..Namespace::default() });
        true
    }

    /// Drops what holds nothing; returns whether nothing is left.
    pub(super) fn tidy(&self) -> bool {
        let mut namespaces = self.namespaces.borrow_mut();
        namespaces.retain(|_, namespace| !namespace.state.is_blank() || namespace.is_watched());
        self.room.tidy();
        namespaces.is_empty()
    }
}

impl PresenceTable {
    /// Returns the state of a document; of one that is `gone`, a state nobody shares.
    pub(super) fn open(&self, id: &DocId, gone: bool) -> Rc<Presence> {
        if gone {
            return Presence::new(id, true);
        }
        let mut docs = self.docs.borrow_mut();
        if let Some(presence) = docs.get(id) {
            return Rc::clone(presence);
        }
        let presence = Presence::new(id, false);
        docs.insert(id.clone(), Rc::clone(&presence));
        presence
    }

    pub(super) fn get(&self, id: &DocId) -> Option<Rc<Presence>> {
        self.docs.borrow().get(id).cloned()
    }

    pub(super) fn all(&self) -> Vec<Rc<Presence>> {
        self.docs.borrow().values().cloned().collect()
    }

    /// A document was dropped from the repo, and its ephemeral state with it.
    pub(super) fn end(&self, id: &DocId) {
        if let Some(presence) = self.docs.borrow_mut().remove(id) {
            presence.gone.set(true);
        }
    }

    /// Drops the state of a document with nothing in it, unless somebody but the caller holds it.
    pub(super) fn release(&self, presence: &Rc<Presence>) {
        let (Ok(mut docs), Ok(_)) = (self.docs.try_borrow_mut(), presence.namespaces.try_borrow_mut()) else { return };
        if presence.tidy() && Rc::strong_count(presence) == 2 && !presence.gone.get() {
            docs.remove(&presence.id);
        }
    }
}
