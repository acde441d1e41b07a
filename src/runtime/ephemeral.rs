//! Ephemeral state of open documents: unpersisted, per peer.
//!
//! Carries out what the synchronizer decides about it and offers it to the application.

use std::{collections::BTreeMap, fmt, rc::Rc};

use bytes::Bytes;
use loro::LoroValue;

use super::{
    EphemeralChange, ErrorCode, RepoError, RepoEvent, Subscription,
    docs::{Namespace, OpenDoc},
    inner::RepoInner,
};
use crate::{
    protocol::{DocId, EphemeralPayload, Message, PeerId},
    synchronizer::{ChannelId, EphemeralSelection, Input, Timestamp},
};

/// Entries of a peer that is still connected are dropped when not renewed for this long. Generous, because browsers slow
/// the timers of hidden tabs to one a minute; a peer that leaves takes its entries with it at once.
const LIFETIME_MS: u64 = 150_000;
/// Namespaces a document may have; a peer cannot make more.
const MAX_NAMESPACES: usize = 64;

/// What changed an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EphemeralBy {
    /// This application.
    Local,
    /// A peer.
    Import,
    /// Nobody renewed it.
    Timeout,
}

/// A change of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EphemeralEvent {
    /// What changed it.
    pub by: EphemeralBy,
    /// Which keys.
    pub change: EphemeralChange,
}

impl RepoInner {
    pub(super) fn send_ephemeral(&self, channel: ChannelId, id: DocId, selection: &EphemeralSelection, hops: u32) {
        let Some(doc) = self.doc(&id) else { return };
        let mut stores = Vec::new();
        for (name, namespace) in doc.namespaces.borrow().iter() {
            let state = &namespace.state;
            let payload = |peer: PeerId, data: Vec<u8>| EphemeralPayload { peer, namespace: name.clone(), data: Bytes::from(data) };
            match selection {
                EphemeralSelection::All | EphemeralSelection::Others => {
                    let with_own = *selection == EphemeralSelection::All;
                    let entries = state.encode_by_author().into_iter().filter(|(author, _)| with_own || *author != self.peer_id);
                    stores.extend(entries.map(|(author, data)| payload(author, data)));
                }
                EphemeralSelection::Own => {
                    let keys = state.own_keys(&self.peer_id);
                    if !keys.is_empty() {
                        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                        stores.push(payload(self.peer_id.clone(), state.encode(&keys)));
                    }
                }
                EphemeralSelection::Keys { namespace, keys } if namespace == name => {
                    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                    stores.push(payload(self.peer_id.clone(), state.encode(&keys)));
                }
                EphemeralSelection::Keys { .. } => {}
            }
        }
        if !stores.is_empty() {
            self.send(channel, Message::Ephemeral { doc: id, hops, stores });
        }
    }

    pub(super) fn apply_ephemeral(&self, id: &DocId, stores: Vec<EphemeralPayload>) {
        let Some(doc) = self.doc(id) else { return };
        let now = self.env.now();
        for payload in stores {
            // Without data it only says that a peer has gone; the tombstones that matter come as data.
            if payload.namespace.is_empty() || payload.data.is_empty() {
                continue;
            }
            let mut namespaces = doc.namespaces.borrow_mut();
            if namespaces.len() >= MAX_NAMESPACES && !namespaces.contains_key(&payload.namespace) {
                continue;
            }
            let namespace = namespaces.entry(payload.namespace.clone()).or_default();
            match namespace.state.apply(&payload.data, &payload.peer, now) {
                Ok(change) => {
                    let restored = self.restore_own(namespace, now);
                    drop(namespaces);
                    self.tell(&doc, &payload.namespace, EphemeralBy::Import, change);
                    if let Some(change) = restored {
                        self.changed_here(&doc, &payload.namespace, change);
                    }
                }
                Err(error) => {
                    drop(namespaces);
                    let error = RepoError::new(ErrorCode::Decode, format!("ephemeral state of {id:?} could not be read")).with_cause(error);
                    self.emit(RepoEvent::Error { error, doc: Some(id.clone()) });
                }
            }
        }
    }

    /// Puts this repo's own entry back where a peer's old copy, stamped anew, has overwritten it.
    fn restore_own(&self, namespace: &mut Namespace, now: Timestamp) -> Option<EphemeralChange> {
        let own = namespace.own.clone()?;
        if namespace.state.get(self.peer_id.as_str()) == Some(&own) {
            return None;
        }
        Some(namespace.state.set(self.peer_id.as_str(), own, &self.peer_id, now))
    }

    pub(super) fn beat_ephemeral(&self, id: &DocId) {
        let Some(doc) = self.doc(id) else { return };
        let now = self.env.now();
        let mut expired = Vec::new();
        for (name, namespace) in doc.namespaces.borrow_mut().iter_mut() {
            namespace.state.touch(&self.peer_id, now);
            expired.push((name.clone(), namespace.state.expire(&self.peer_id, now, LIFETIME_MS)));
        }
        for (name, change) in expired {
            self.tell(&doc, &name, EphemeralBy::Timeout, change);
        }
    }

    pub(super) fn remove_ephemeral_peer(&self, peer: &PeerId) {
        let now = self.env.now();
        let docs: Vec<_> = self.docs.borrow().values().cloned().collect();
        for doc in docs {
            let mut removed = Vec::new();
            for (name, namespace) in doc.namespaces.borrow_mut().iter_mut() {
                let change = namespace.state.remove_author(peer, now);
                if !change.is_empty() {
                    removed.push((name.clone(), change));
                }
            }
            for (namespace, change) in removed {
                let keys = change.removed.clone();
                self.tell(&doc, &namespace, EphemeralBy::Timeout, change);
                self.enqueue(Input::EphemeralChanged { doc: doc.id.clone(), namespace, keys, hops: 0 });
            }
        }
    }

    fn tell(&self, doc: &Rc<OpenDoc>, namespace: &str, by: EphemeralBy, change: EphemeralChange) {
        if change.is_empty() {
            return;
        }
        let doc = Rc::clone(doc);
        let namespace = namespace.to_owned();
        let event = EphemeralEvent { by, change };
        self.deliveries.borrow_mut().push_back(Box::new(move |_| {
            let listeners = doc.namespaces.borrow().get(&namespace).map(|entry| entry.listeners.clone()).unwrap_or_default();
            for (_, listener) in listeners {
                listener(&event);
            }
        }));
    }

    fn changed_here(&self, doc: &Rc<OpenDoc>, namespace: &str, change: EphemeralChange) {
        let keys: Vec<String> = [&change.added, &change.updated, &change.removed].into_iter().flatten().cloned().collect();
        if keys.is_empty() {
            return;
        }
        self.tell(doc, namespace, EphemeralBy::Local, change);
        let shared = Rc::clone(doc);
        let name = namespace.to_owned();
        let changed = keys.clone();
        self.deliveries.borrow_mut().push_back(Box::new(move |_| {
            let (listeners, bytes) = {
                let namespaces = shared.namespaces.borrow();
                let Some(entry) = namespaces.get(&name) else { return };
                if entry.update_listeners.is_empty() {
                    return;
                }
                let changed: Vec<&str> = changed.iter().map(String::as_str).collect();
                (entry.update_listeners.clone(), entry.state.encode(&changed))
            };
            for (_, listener) in listeners {
                listener(&bytes);
            }
        }));
        self.enqueue(Input::EphemeralChanged { doc: doc.id.clone(), namespace: namespace.to_owned(), keys, hops: 1 });
    }
}

impl RepoInner {
    /// Deletes what this repo wrote of a document's ephemeral state.
    pub(super) fn end_presence(&self, doc: &Rc<OpenDoc>) {
        let (now, author) = (self.env.now(), &self.peer_id);
        let names: Vec<String> = doc.namespaces.borrow().keys().cloned().collect();
        for name in names {
            let mut changes = Vec::new();
            if let Some(namespace) = doc.namespaces.borrow_mut().get_mut(&name) {
                namespace.own = None;
                for key in namespace.state.own_keys(author) {
                    changes.push(namespace.state.delete(&key, author, now));
                }
            }
            for change in changes {
                self.changed_here(doc, &name, change);
            }
        }
    }
}

/// One namespace of an open document's ephemeral state, shared with its peers.
#[derive(Clone)]
pub struct EphemeralHandle {
    pub(super) repo: Rc<RepoInner>,
    pub(super) doc: Rc<OpenDoc>,
    pub(super) namespace: String,
}

impl EphemeralHandle {
    /// Sets an entry and sends it.
    pub fn set(&self, key: &str, value: LoroValue) {
        let now = self.repo.env.now();
        let author = self.repo.peer_id.clone();
        let change = self.with(|namespace| {
            if key == author.as_str() {
                namespace.own = Some(value.clone());
            }
            namespace.state.set(key, value, &author, now)
        });
        self.finish(change);
    }

    /// Deletes an entry and sends that.
    pub fn delete(&self, key: &str) {
        let now = self.repo.env.now();
        let author = self.repo.peer_id.clone();
        let change = self.with(|namespace| {
            if key == author.as_str() {
                namespace.own = None;
            }
            namespace.state.delete(key, &author, now)
        });
        self.finish(change);
    }

    /// Returns an entry.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<LoroValue> {
        self.with(|namespace| namespace.state.get(key).cloned())
    }

    /// Returns all entries.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, LoroValue> {
        self.with(|namespace| namespace.state.all())
    }

    /// Returns the keys of all entries.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.with(|namespace| namespace.state.keys())
    }

    /// Sets the entry that stands for this repo: its key is the repo's peer id.
    pub fn set_self(&self, value: LoroValue) {
        let key = self.repo.peer_id.clone();
        self.set(key.as_str(), value);
    }

    /// Returns the entry that stands for this repo.
    #[must_use]
    pub fn self_value(&self) -> Option<LoroValue> {
        self.get(self.repo.peer_id.as_str())
    }

    /// Returns the entries whose key is another peer's id.
    #[must_use]
    pub fn peers(&self) -> BTreeMap<PeerId, LoroValue> {
        self.all()
            .into_iter()
            .filter(|(key, _)| key != self.repo.peer_id.as_str() && key.parse::<u64>().is_ok())
            .map(|(key, value)| (PeerId::from_wire(&key), value))
            .collect()
    }

    /// Encodes one entry.
    #[must_use]
    pub fn encode(&self, key: &str) -> Vec<u8> {
        self.with(|namespace| namespace.state.encode(&[key]))
    }

    /// Encodes all entries.
    #[must_use]
    pub fn encode_all(&self) -> Vec<u8> {
        self.with(|namespace| namespace.state.encode_all())
    }

    /// Applies entries the application got by other means.
    ///
    /// # Errors
    /// [`ErrorCode::Decode`] for malformed bytes; nothing is changed then.
    pub fn apply(&self, bytes: &[u8]) -> Result<(), RepoError> {
        let now = self.repo.env.now();
        let author = self.repo.peer_id.clone();
        let change = self
            .with(|namespace| namespace.state.apply(bytes, &author, now))
            .map_err(|error| RepoError::new(ErrorCode::Decode, "these are not the bytes of an ephemeral store").with_cause(error))?;
        self.repo.tell(&self.doc, &self.namespace, EphemeralBy::Import, change);
        self.repo.pump();
        Ok(())
    }

    /// Calls `listener` after every change.
    pub fn on_change(&self, listener: impl Fn(&EphemeralEvent) + 'static) -> Subscription {
        let id = self.repo.next_id();
        self.with(|namespace| namespace.listeners.push((id, Rc::new(listener))));
        let end = self.later(move |namespace| namespace.listeners.retain(|(known, _)| *known != id));
        Subscription::new(end)
    }

    /// Calls `listener` with the bytes of every local change.
    pub fn on_local_update(&self, listener: impl Fn(&[u8]) + 'static) -> Subscription {
        let id = self.repo.next_id();
        self.with(|namespace| namespace.update_listeners.push((id, Rc::new(listener))));
        let end = self.later(move |namespace| namespace.update_listeners.retain(|(known, _)| *known != id));
        Subscription::new(end)
    }

    /// Returns what does `work` if the document is still there; it does not keep it in memory.
    fn later(&self, work: impl FnOnce(&mut Namespace) + 'static) -> impl FnOnce() + 'static {
        let (doc, name) = (Rc::downgrade(&self.doc), self.namespace.clone());
        move || {
            if let Some(doc) = doc.upgrade()
                && let Some(namespace) = doc.namespaces.borrow_mut().get_mut(&name)
            {
                work(namespace);
            }
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Namespace) -> T) -> T {
        f(self.doc.namespaces.borrow_mut().entry(self.namespace.clone()).or_default())
    }

    fn finish(&self, change: EphemeralChange) {
        if self.doc.gone.get() || self.repo.closed.get() {
            return;
        }
        self.repo.changed_here(&self.doc, &self.namespace, change);
        self.repo.pump();
    }
}

impl fmt::Debug for EphemeralHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EphemeralHandle").field("doc", &self.doc.id).field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
