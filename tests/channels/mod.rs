//! What every pipe and every store has to do, written once and run against each of them.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "shared by test binaries that each use a part of it")]

pub mod pipes;
pub mod record_stores;
pub mod stores;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use corella::{
    protocol::{Message, PeerId},
    runtime::{Adapter, AdapterContext, AdapterSink, Channel, Env, Opening, Problem, StorageNotice, Store},
    synchronizer::ChannelId,
};

/// A channel as the adapter opened it.
pub type Opened = (ChannelId, Rc<dyn Channel>, Opening);

/// Stands in for a repo and remembers what its adapter reports.
pub struct Recorder {
    pub env: Rc<dyn Env>,
    pub adapter: Rc<dyn Adapter>,
    pub channels: RefCell<Vec<Opened>>,
    pub stores: RefCell<Vec<Rc<dyn Store>>>,
    pub received: RefCell<Vec<(ChannelId, Message)>>,
    pub closed: RefCell<Vec<ChannelId>>,
    pub problems: RefCell<Vec<Problem>>,
    pub notices: RefCell<Vec<StorageNotice>>,
    next: Cell<u64>,
}

impl Recorder {
    /// Starts the adapter.
    pub fn start(env: Rc<dyn Env>, adapter: Rc<dyn Adapter>) -> Rc<Self> {
        let recorder = Rc::new(Self {
            env: Rc::clone(&env),
            adapter: Rc::clone(&adapter),
            channels: RefCell::default(),
            stores: RefCell::default(),
            received: RefCell::default(),
            closed: RefCell::default(),
            problems: RefCell::default(),
            notices: RefCell::default(),
            next: Cell::new(1),
        });
        let sink: Rc<dyn AdapterSink> = recorder.clone();
        adapter.start(AdapterContext::new(Rc::downgrade(&sink), 0, Rc::clone(&env), PeerId::from(env.random_u64())));
        recorder
    }

    /// Waits until `condition` holds; fails after ten seconds.
    pub async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = self.env.now().plus(10_000);
        while !condition(self) {
            assert!(self.env.now() < deadline, "waited in vain until {what}; problems: {:?}", self.problems.borrow());
            self.env.sleep(5).await;
        }
    }

    /// Waits for the first open channel.
    pub async fn channel(&self) -> Opened {
        self.until("a channel opens", |side| !side.channels.borrow().is_empty()).await;
        self.channels.borrow()[0].clone()
    }

    /// Waits for the store.
    pub async fn store(&self) -> Rc<dyn Store> {
        self.until("a store opens", |side| !side.stores.borrow().is_empty()).await;
        self.stores.borrow()[0].clone()
    }

    pub fn messages(&self) -> Vec<Message> {
        self.received.borrow().iter().map(|(_, message)| message.clone()).collect()
    }

    fn id(&self) -> ChannelId {
        self.next.set(self.next.get() + 1);
        ChannelId(self.next.get())
    }
}

impl AdapterSink for Recorder {
    fn open_channel(&self, _: usize, channel: Rc<dyn Channel>, opening: Opening) -> ChannelId {
        let id = self.id();
        self.channels.borrow_mut().push((id, channel, opening));
        id
    }

    fn open_store(&self, _: usize, store: Rc<dyn Store>) -> ChannelId {
        self.stores.borrow_mut().push(store);
        self.id()
    }

    fn receive(&self, channel: ChannelId, messages: Vec<Message>) {
        self.received.borrow_mut().extend(messages.into_iter().map(|message| (channel, message)));
    }

    fn close_channel(&self, channel: ChannelId) {
        self.closed.borrow_mut().push(channel);
    }

    fn report(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    fn notice(&self, _: usize, notice: StorageNotice) {
        self.notices.borrow_mut().push(notice);
    }

    fn adapter_changed(&self, _: usize) {}
}
