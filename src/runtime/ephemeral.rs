//! Ephemeral state of documents: unpersisted, per peer.
//!
//! Carries out what the synchronizer decides about it and offers it to the application.

use std::{fmt, rc::Rc};

use bytes::Bytes;
use loro::LoroValue;

use super::{
    EphemeralChange, EphemeralState, ErrorCode, RepoError, RepoEvent, Subscription,
    ephemeral_doc::{Namespace, Presence},
    ephemeral_state::{Claim, Encoded, Merged},
    inner::RepoInner,
};
use crate::{
    collections::{SortedMap, SortedSet},
    protocol::{DocId, EphemeralPayload, Message, PeerId},
    synchronizer::{ChannelId, EphemeralKeys, EphemeralNews, EphemeralSelection, Input, Timestamp},
};

/// Entries of a peer that is still connected are dropped when not renewed for this long. Generous, because browsers slow
/// the timers of hidden tabs to one a minute; a peer that leaves takes its entries with it at once.
const LIFETIME_MS: u64 = 150_000;

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

/// Where ephemeral entries came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender {
    pub(super) channel: ChannelId,
    /// How often they may be relayed.
    pub(super) hops: u32,
    /// It passes on what many others wrote.
    pub(super) is_relay: bool,
}

impl RepoInner {
    pub(super) fn spread_ephemeral(&self, to: &[(ChannelId, u32)], id: &DocId, selection: &EphemeralSelection) {
        let Some(presence) = self.presence.get(id) else { return };
        let stores = self.encode_ephemeral(&presence, selection);
        if stores.is_empty() {
            return;
        }
        for (channel, hops) in to {
            self.send(*channel, Message::Ephemeral { doc: id.clone(), hops: *hops, stores: stores.clone() });
        }
    }

    fn encode_ephemeral(&self, presence: &Presence, selection: &EphemeralSelection) -> Vec<EphemeralPayload> {
        let now = self.env.now();
        let mut stores = Vec::new();
        let mut departed = SortedSet::new();
        for (name, namespace) in presence.namespaces.borrow_mut().iter_mut() {
            let state = &mut namespace.state;
            let encoded = match selection {
                EphemeralSelection::All => state.encode_by_author(|_| true),
                EphemeralSelection::Others => state.encode_by_author(|author| *author != self.peer_id),
                EphemeralSelection::Own => {
                    // Said anew: somebody may have been told meanwhile that this repo has left.
                    state.touch(&self.peer_id, now);
                    state.encode_keys(&state.own_keys(&self.peer_id))
                }
                EphemeralSelection::Keys(keys) => keys.get(name).map(|keys| state.encode_keys(keys)).unwrap_or_default(),
            };
            for Encoded { author, data, departed: gone } in encoded {
                if gone {
                    departed.insert(author.clone());
                }
                stores.push(EphemeralPayload { peer: author, namespace: name.clone(), data: Bytes::from(data) });
            }
        }
        let left = departed.into_iter().map(|peer| EphemeralPayload { peer, namespace: String::new(), data: Bytes::new() });
        left.chain(stores).collect()
    }

    pub(super) fn apply_ephemeral(&self, id: DocId, sender: Sender, stores: &[EphemeralPayload], present: &SortedSet<PeerId>) {
        let Sender { channel, hops, is_relay } = sender;
        let now = self.env.now();
        let presence = self.presence.open(&id, false);
        let account = self.presence.senders.account(&presence.room, channel, is_relay);
        // Without namespace and data a payload says that the deletions in the peer's name are there because it left.
        let departed: SortedSet<&PeerId> =
            stores.iter().filter(|store| store.namespace.is_empty() && store.data.is_empty()).map(|store| &store.peer).collect();
        let mut authors: SortedMap<PeerId, EphemeralNews> = SortedMap::new();
        let mut restated = EphemeralKeys::new();
        let mut refused = 0;
        for store in stores.iter().filter(|store| !store.namespace.is_empty() && !store.data.is_empty()) {
            if !presence.make_namespace(&store.namespace, channel, is_relay) {
                refused += 1;
                continue;
            }
            let mut namespaces = presence.namespaces.borrow_mut();
            let Some(namespace) = namespaces.get_mut(&store.namespace) else { continue };
            let author = &store.peer;
            let claim = Claim { author, departed: departed.contains(author), present: present.contains(author) };
            let merged = match namespace.state.merge(&store.data, claim, now, &mut |bytes, known| account.admit(bytes, known)) {
                Ok(merged) => merged,
                Err(error) => {
                    let error = RepoError::new(ErrorCode::Decode, format!("ephemeral state of {id:?} could not be read")).with_cause(error);
                    self.emit(RepoEvent::Error { error, doc: Some(id.clone()) });
                    continue;
                }
            };
            refused += merged.refused;
            report(&mut authors, namespace, &store.namespace, &merged);
            if !merged.restated.is_empty() {
                restated.entry(store.namespace.clone()).or_default().extend(merged.restated);
            }
            let restored = self.restore_own(namespace, now);
            drop(namespaces);
            self.tell(&presence, &store.namespace, EphemeralBy::Import, merged.change);
            if let Some(change) = restored {
                self.changed_here(&presence, &store.namespace, change);
            }
        }
        if refused > 0 && !account.is_told.replace(true) {
            let error = RepoError::new(ErrorCode::Refused, format!("there is no room for all ephemeral entries a peer sent for {id:?}"));
            self.emit(RepoEvent::Error { error, doc: Some(id.clone()) });
        }
        if !restated.is_empty() {
            self.enqueue(Input::EphemeralChanged { doc: id.clone(), keys: restated, hops: 1 });
        }
        if !authors.is_empty() {
            self.enqueue(Input::EphemeralApplied { doc: id, channel, hops, authors: authors.into_values().collect() });
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

    pub(super) fn beat_ephemeral(&self, id: DocId) {
        let mut authors = SortedSet::new();
        if let Some(presence) = self.presence.get(&id) {
            let now = self.env.now();
            let mut expired = Vec::new();
            for (name, namespace) in presence.namespaces.borrow_mut().iter_mut() {
                namespace.state.touch(&self.peer_id, now);
                expired.push((name.clone(), namespace.state.expire(&self.peer_id, now, LIFETIME_MS)));
                authors.extend(namespace.state.authors().cloned());
            }
            // Whoever has newer entries and did not send them says so now.
            self.expire(&presence, expired);
            self.presence.release(&presence);
        }
        self.enqueue(Input::EphemeralBeaten { doc: id, authors });
    }

    pub(super) fn remove_ephemeral(&self, channel: ChannelId, peer: Option<&PeerId>, forget: bool) {
        let now = self.env.now();
        self.presence.senders.close(channel);
        let goes = |key: &str, author: &PeerId, via: Option<ChannelId>| {
            let is_peers = peer.is_some_and(|peer| author == peer || key == peer.as_str());
            is_peers || (via == Some(channel) && *author != self.peer_id && !self.sync.borrow().is_connected(author))
        };
        for presence in self.presence.all() {
            presence.room.close(channel);
            let mut removed = Vec::new();
            for (name, namespace) in presence.namespaces.borrow_mut().iter_mut() {
                let change = if forget { namespace.state.forget(goes) } else { namespace.state.depart(goes, now) };
                removed.push((name.clone(), change));
            }
            self.expire(&presence, removed);
            self.presence.release(&presence);
        }
    }

    /// Tells the application and those who follow the document what is gone.
    fn expire(&self, presence: &Rc<Presence>, removed: Vec<(String, EphemeralChange)>) {
        let mut keys = EphemeralKeys::new();
        for (namespace, change) in removed.into_iter().filter(|(_, change)| !change.is_empty()) {
            keys.insert(namespace.clone(), change.removed.clone());
            self.tell(presence, &namespace, EphemeralBy::Timeout, change);
        }
        if !keys.is_empty() {
            self.enqueue(Input::EphemeralChanged { doc: presence.id.clone(), keys, hops: 0 });
        }
    }

    /// Deletes what this repo wrote of a document's ephemeral state.
    pub(super) fn end_presence(&self, id: &DocId) {
        let Some(presence) = self.presence.get(id) else { return };
        let now = self.env.now();
        let names: Vec<String> = presence.namespaces.borrow().keys().cloned().collect();
        for name in names {
            let mut changes = EphemeralChange::default();
            if let Some(namespace) = presence.namespaces.borrow_mut().get_mut(&name) {
                namespace.own = None;
                for key in namespace.state.own_keys(&self.peer_id) {
                    changes.removed.extend(namespace.state.delete(&key, &self.peer_id, now).removed);
                }
            }
            self.changed_here(&presence, &name, changes);
        }
    }

    fn tell(&self, presence: &Rc<Presence>, namespace: &str, by: EphemeralBy, change: EphemeralChange) {
        if change.is_empty() {
            return;
        }
        let presence = Rc::clone(presence);
        let namespace = namespace.to_owned();
        let event = EphemeralEvent { by, change };
        self.deliveries.borrow_mut().push_back(Box::new(move |_| {
            let listeners = presence.namespaces.borrow().get(&namespace).map(|entry| entry.listeners.clone()).unwrap_or_default();
            for (_, listener) in listeners {
                listener(&event);
            }
        }));
    }

    fn changed_here(&self, presence: &Rc<Presence>, namespace: &str, change: EphemeralChange) {
        let keys: Vec<String> = [&change.added, &change.updated, &change.removed].into_iter().flatten().cloned().collect();
        if keys.is_empty() {
            return;
        }
        self.tell(presence, namespace, EphemeralBy::Local, change);
        let shared = Rc::clone(presence);
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
        let keys = EphemeralKeys::from([(namespace.to_owned(), keys)]);
        self.enqueue(Input::EphemeralChanged { doc: presence.id.clone(), keys, hops: 1 });
    }
}

/// Adds what became of a payload's entries to what is told of their authors.
fn report(authors: &mut SortedMap<PeerId, EphemeralNews>, namespace: &Namespace, name: &str, merged: &Merged) {
    let mut about = |key: &String, note: &dyn Fn(&mut EphemeralNews)| {
        if let Some(author) = namespace.state.author(key) {
            let blank = || EphemeralNews { author: author.clone(), news: EphemeralKeys::new(), same: false, behind: EphemeralKeys::new() };
            note(authors.entry(author.clone()).or_insert_with(blank));
        }
    };
    for key in &merged.news {
        about(key, &|news| news.news.entry(name.to_owned()).or_default().push(key.clone()));
    }
    for key in &merged.same {
        about(key, &|news| news.same = true);
    }
    for key in &merged.behind {
        about(key, &|news| news.behind.entry(name.to_owned()).or_default().push(key.clone()));
    }
}

/// One namespace of an open document's ephemeral state, shared with its peers.
pub struct EphemeralHandle {
    repo: Rc<RepoInner>,
    presence: Rc<Presence>,
    namespace: String,
}

impl EphemeralHandle {
    pub(super) fn new(repo: Rc<RepoInner>, presence: Rc<Presence>, namespace: &str) -> Self {
        presence.namespaces.borrow_mut().entry(namespace.to_owned()).or_default().handles += 1;
        Self { repo, presence, namespace: namespace.to_owned() }
    }

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
        self.read(|state| state.get(key).cloned())
    }

    /// Returns all entries.
    #[must_use]
    pub fn all(&self) -> SortedMap<String, LoroValue> {
        self.read(|state| state.all())
    }

    /// Returns the keys of all entries.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.read(|state| state.keys())
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
    pub fn peers(&self) -> SortedMap<PeerId, LoroValue> {
        self.all()
            .into_iter()
            .filter(|(key, _)| key != self.repo.peer_id.as_str() && key.parse::<u64>().is_ok())
            .map(|(key, value)| (PeerId::from_wire(&key), value))
            .collect()
    }

    /// Encodes one entry.
    #[must_use]
    pub fn encode(&self, key: &str) -> Vec<u8> {
        self.read(|state| state.encode(&[key]))
    }

    /// Encodes all entries.
    #[must_use]
    pub fn encode_all(&self) -> Vec<u8> {
        self.read(|state| state.encode_all())
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
        self.repo.tell(&self.presence, &self.namespace, EphemeralBy::Import, change);
        self.repo.pump();
        Ok(())
    }

    /// Calls `listener` after every change.
    pub fn on_change(&self, listener: impl Fn(&EphemeralEvent) + 'static) -> Subscription {
        let id = self.repo.next_id();
        self.with(|namespace| namespace.listeners.push((id, Rc::new(listener))));
        Subscription::new(self.later(move |namespace| namespace.listeners.retain(|(known, _)| *known != id)))
    }

    /// Calls `listener` with the bytes of every local change.
    pub fn on_local_update(&self, listener: impl Fn(&[u8]) + 'static) -> Subscription {
        let id = self.repo.next_id();
        self.with(|namespace| namespace.update_listeners.push((id, Rc::new(listener))));
        Subscription::new(self.later(move |namespace| namespace.update_listeners.retain(|(known, _)| *known != id)))
    }

    /// Returns what does `work` on the namespace if that is still there.
    fn later(&self, work: impl FnOnce(&mut Namespace) + 'static) -> impl FnOnce() + 'static {
        let (presence, name) = (Rc::downgrade(&self.presence), self.namespace.clone());
        move || {
            if let Some(presence) = presence.upgrade()
                && let Some(namespace) = presence.namespaces.borrow_mut().get_mut(&name)
            {
                work(namespace);
            }
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Namespace) -> T) -> T {
        f(self.presence.namespaces.borrow_mut().entry(self.namespace.clone()).or_default())
    }

    fn read<T: Default>(&self, f: impl FnOnce(&EphemeralState) -> T) -> T {
        self.presence.namespaces.borrow().get(&self.namespace).map(|namespace| f(&namespace.state)).unwrap_or_default()
    }

    fn finish(&self, change: EphemeralChange) {
        if self.presence.gone.get() || self.repo.closed.get() {
            return;
        }
        self.repo.changed_here(&self.presence, &self.namespace, change);
        self.repo.pump();
    }
}

impl Clone for EphemeralHandle {
    fn clone(&self) -> Self {
        Self::new(Rc::clone(&self.repo), Rc::clone(&self.presence), &self.namespace)
    }
}

impl Drop for EphemeralHandle {
    fn drop(&mut self) {
        // A handle that goes with a listener goes while these are borrowed; its namespace then stays as long as the document's other state.
        if let Ok(mut namespaces) = self.presence.namespaces.try_borrow_mut()
            && let Some(namespace) = namespaces.get_mut(&self.namespace)
        {
            namespace.handles -= 1;
        }
        self.repo.presence.release(&self.presence);
    }
}

impl fmt::Debug for EphemeralHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EphemeralHandle").field("doc", &self.presence.id).field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
