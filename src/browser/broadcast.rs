//! The other tabs and workers of this origin over a BroadcastChannel. Decides when this tab is among them.

mod envelope;
mod session;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use self::session::Session;
use super::listener::{self, Listener};
use crate::{
    runtime::{Adapter, AdapterContext, AdapterState, LocalBoxFuture, Problem},
    synchronizer::ChannelKind,
};

/// Opens one channel per other tab or worker of this origin that uses the same name.
pub struct BroadcastChannelAdapter {
    shared: Rc<Shared>,
}

impl std::fmt::Debug for BroadcastChannelAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BroadcastChannelAdapter")
            .field("name", &self.shared.name)
            .field("state", &self.shared.state)
            .finish_non_exhaustive()
    }
}

impl BroadcastChannelAdapter {
    /// Makes an adapter for the BroadcastChannel of that name, "corella" if none is given.
    #[must_use]
    pub fn new(name: Option<String>) -> Self {
        Self {
            shared: Rc::new(Shared {
                name: name.unwrap_or_else(|| "corella".to_owned()),
                state: Cell::new(AdapterState::Off),
                context: RefCell::default(),
                session: RefCell::default(),
                page: RefCell::default(),
            }),
        }
    }
}

impl Adapter for BroadcastChannelAdapter {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Tabs
    }

    fn name(&self) -> &str {
        "broadcast-channel"
    }

    fn start(&self, context: AdapterContext) {
        *self.shared.context.borrow_mut() = Some(context);
        if let Some(global) = listener::global() {
            let (hidden, shown) = (Rc::downgrade(&self.shared), Rc::downgrade(&self.shared));
            *self.shared.page.borrow_mut() = vec![
                // The page is unloaded or frozen for the back button; only in the latter case `pageshow` follows.
                Listener::new(&global, "pagehide", move |_| {
                    if let Some(shared) = hidden.upgrade() {
                        shared.leave(AdapterState::Waiting);
                    }
                }),
                Listener::new(&global, "pageshow", move |_| {
                    if let Some(shared) = shown.upgrade().filter(|shared| shared.state.get() == AdapterState::Waiting) {
                        shared.join();
                    }
                }),
            ];
        }
        self.shared.join();
    }

    fn stop(&self) -> LocalBoxFuture<()> {
        self.shared.page.borrow_mut().clear();
        self.shared.leave(AdapterState::Closed);
        *self.shared.context.borrow_mut() = None;
        Box::pin(std::future::ready(()))
    }

    fn state(&self) -> AdapterState {
        self.shared.state.get()
    }
}

struct Shared {
    name: String,
    state: Cell<AdapterState>,
    context: RefCell<Option<AdapterContext>>,
    session: RefCell<Option<Rc<Session>>>,
    page: RefCell<Vec<Listener>>,
}

impl Shared {
    fn join(self: &Rc<Self>) {
        let context = self.context.borrow().clone();
        let Some(context) = context else { return };
        let shared = Rc::downgrade(self);
        let rejoin = move || {
            if let Some(shared) = shared.upgrade() {
                shared.leave(AdapterState::Waiting);
                shared.join();
            }
        };
        match Session::begin(&self.name, &context, rejoin) {
            Ok(session) => {
                *self.session.borrow_mut() = Some(session);
                self.enter(AdapterState::Open);
            }
            Err(error) => {
                self.enter(AdapterState::Closed);
                context.report(Problem::Network(error));
            }
        }
    }

    fn leave(&self, state: AdapterState) {
        let session = self.session.borrow_mut().take();
        if let Some(session) = session {
            session.end();
        }
        self.enter(state);
    }

    fn enter(&self, state: AdapterState) {
        let context = self.context.borrow().clone();
        if self.state.replace(state) != state
            && let Some(context) = context
        {
            context.state_changed();
        }
    }
}
