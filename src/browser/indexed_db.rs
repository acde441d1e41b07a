//! IndexedDB as a store. Decides when the database counts as open and when it is tried again; never what is in it.

mod collections;
mod layout;
mod listing;
mod quota;
mod reading;
pub(super) mod request;
mod store;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use self::store::{IndexedDbStore, Watch};
use crate::{
    runtime::{Adapter, AdapterContext, AdapterState, ErrorCode, LocalBoxFuture, Problem, RepoError, StorageNotice, Store, StoreError},
    synchronizer::{ChannelId, ChannelKind},
};

/// Milliseconds until a database that could not be opened is tried again, doubled each time …
const RETRY_MS: u64 = 2_000;
/// … up to this.
const MAX_RETRY_MS: u64 = 60_000;

/// Keeps documents in one IndexedDB database of this origin.
pub struct IndexedDbAdapter(Rc<Inner>);

struct Inner {
    database: String,
    state: Cell<AdapterState>,
    store: RefCell<Option<Rc<dyn Store>>>,
    channel: Cell<Option<ChannelId>>,
    /// It was open before.
    opened: Cell<bool>,
}

impl std::fmt::Debug for IndexedDbAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexedDbAdapter").field("database", &self.0.database).field("state", &self.0.state).finish_non_exhaustive()
    }
}

impl IndexedDbAdapter {
    /// Makes an adapter for the database of that name, "corella" if none is given.
    #[must_use]
    pub fn new(database: Option<String>) -> Self {
        Self(Rc::new(Inner {
            database: database.unwrap_or_else(|| "corella".to_owned()),
            state: Cell::new(AdapterState::Off),
            store: RefCell::default(),
            channel: Cell::new(None),
            opened: Cell::new(false),
        }))
    }
}

impl Inner {
    /// Opens the database, and again if what stands in the way may pass.
    async fn open(self: Rc<Self>, context: AdapterContext) {
        let mut failures = 0;
        loop {
            let error = match self.open_once(&context).await {
                Ok(()) => return,
                Err(error) => error,
            };
            if self.state.get() == AdapterState::Closed {
                return;
            }
            let text = format!("database {:?} could not be opened, nothing is stored: {error}", self.database);
            let told = RepoError::new(ErrorCode::Storage, text).with_cause(error.clone());
            let passes =
                matches!(&error, StoreError::Unavailable(text) if !text.contains("newer version") && !text.contains("no IndexedDB"));
            self.state.set(if passes { AdapterState::Waiting } else { AdapterState::Closed });
            if matches!(&error, StoreError::Unavailable(text) if text.contains("newer version")) {
                context.notice(StorageNotice::Superseded(told));
            } else if failures == 0 {
                context.report(Problem::Storage(told));
            }
            context.state_changed();
            if !passes {
                return;
            }
            context.env().sleep((RETRY_MS << failures.min(5)).min(MAX_RETRY_MS)).await;
            failures += 1;
            if self.state.get() != AdapterState::Waiting {
                return;
            }
        }
    }

    async fn open_once(self: &Rc<Self>, context: &AdapterContext) -> Result<(), StoreError> {
        let watch = Watch::new(context.clone(), {
            let (weak, context) = (Rc::downgrade(self), context.clone());
            move |newer| {
                if let Some(inner) = weak.upgrade() {
                    inner.replace(&context, newer);
                }
            }
        });
        let before = quota::remembered(&self.database);
        let store = IndexedDbStore::open(&self.database, watch).await?;
        if !matches!(self.state.get(), AdapterState::Connecting | AdapterState::Waiting) {
            return Ok(());
        }
        if !self.opened.replace(true) && before.is_some_and(|before| before != store.birth()) {
            let text = format!("database {:?}, which was there last time, is gone; it was made anew", self.database);
            context.notice(StorageNotice::Evicted(RepoError::new(ErrorCode::Storage, text)));
        }
        let store: Rc<dyn Store> = Rc::new(store);
        *self.store.borrow_mut() = Some(Rc::clone(&store));
        self.state.set(AdapterState::Open);
        self.channel.set(context.open_store(store));
        context.state_changed();
        Ok(())
    }

    /// The store's database is gone, or a newer program's: what it was believed to have counts no more.
    fn replace(self: &Rc<Self>, context: &AdapterContext, newer: bool) {
        let (inner, context) = (Rc::clone(self), context.clone());
        // In a task of its own: the store may be in the middle of something.
        context.clone().env().spawn(Box::pin(async move {
            if inner.state.get() != AdapterState::Open {
                return;
            }
            inner.state.set(AdapterState::Connecting);
            let store = inner.store.borrow_mut().take();
            if let Some(channel) = inner.channel.take() {
                context.close_channel(channel);
            }
            if let Some(store) = store {
                store.close().await;
            }
            if !newer {
                let text = format!("database {:?} was deleted while it was in use; what is in memory is stored again", inner.database);
                context.notice(StorageNotice::Evicted(RepoError::new(ErrorCode::Storage, text)));
            }
            inner.open(context).await;
        }));
    }
}

impl Adapter for IndexedDbAdapter {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Storage
    }

    fn name(&self) -> &str {
        "indexeddb"
    }

    fn start(&self, context: AdapterContext) {
        self.0.state.set(AdapterState::Connecting);
        let inner = Rc::clone(&self.0);
        context.env().spawn(Box::pin(inner.open(context.clone())));
    }

    fn stop(&self) -> LocalBoxFuture<()> {
        self.0.state.set(AdapterState::Closed);
        let store = self.0.store.borrow_mut().take();
        Box::pin(async move {
            if let Some(store) = store {
                store.close().await;
            }
        })
    }

    fn state(&self) -> AdapterState {
        self.0.state.get()
    }
}
