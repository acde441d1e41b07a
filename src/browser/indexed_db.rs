//! IndexedDB as a store. Decides when the database counts as open; never what is in it.

mod layout;
mod request;
mod store;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use self::store::IndexedDbStore;
use crate::{
    runtime::{Adapter, AdapterContext, AdapterState, ErrorCode, LocalBoxFuture, Problem, RepoError, Store},
    synchronizer::ChannelKind,
};

/// Keeps documents in one IndexedDB database of this origin.
pub struct IndexedDbAdapter {
    database: String,
    state: Rc<Cell<AdapterState>>,
    store: Rc<RefCell<Option<Rc<dyn Store>>>>,
}

impl std::fmt::Debug for IndexedDbAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexedDbAdapter").field("database", &self.database).field("state", &self.state).finish_non_exhaustive()
    }
}

impl IndexedDbAdapter {
    /// Makes an adapter for the database of that name, "corella" if none is given.
    #[must_use]
    pub fn new(database: Option<String>) -> Self {
        Self {
            database: database.unwrap_or_else(|| "corella".to_owned()),
            state: Rc::new(Cell::new(AdapterState::Off)),
            store: Rc::default(),
        }
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
        self.state.set(AdapterState::Connecting);
        let (state, slot, name) = (Rc::clone(&self.state), Rc::clone(&self.store), self.database.clone());
        context.env().spawn(Box::pin(async move {
            let opened = IndexedDbStore::open(&name, &context).await;
            if state.get() != AdapterState::Connecting {
                return;
            }
            match opened {
                Ok(store) => {
                    let store: Rc<dyn Store> = Rc::new(store);
                    *slot.borrow_mut() = Some(Rc::clone(&store));
                    state.set(AdapterState::Open);
                    context.open_store(store);
                }
                Err(error) => {
                    state.set(AdapterState::Closed);
                    let text = format!("database {name:?} could not be opened, nothing is stored: {error}");
                    context.report(Problem::Storage(RepoError::new(ErrorCode::Storage, text).with_cause(error)));
                }
            }
            context.state_changed();
        }));
    }

    fn stop(&self) -> LocalBoxFuture<()> {
        self.state.set(AdapterState::Closed);
        let store = self.store.borrow_mut().take();
        Box::pin(async move {
            if let Some(store) = store {
                store.close().await;
            }
        })
    }

    fn state(&self) -> AdapterState {
        self.state.get()
    }
}
