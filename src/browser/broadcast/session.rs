//! One stay of this tab among the others. Decides who is there and who has gone.
//!
//! A tab that was away comes back under a new id, so what was meant for the old stay never reaches the new one.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
};

use wasm_bindgen::JsCast;
use web_sys::{BroadcastChannel, MessageEvent};

use super::{
    super::{
        listener::Listener,
        lock::{HeldLock, Watch},
    },
    envelope::{Envelope, Note},
};
use crate::{
    collections::{SortedMap, SortedSet},
    protocol::{
        Limits, Message,
        frame::{self, Reassembler},
    },
    runtime::{AdapterContext, Channel, ChannelStats, Env, ErrorCode, Opening, Problem, RepoError},
    synchronizer::ChannelId,
};

const BEAT_EVERY_MS: u64 = 5_000;
/// Browsers let a background tab's timers run once a minute, so a live tab may well be silent for two.
const SILENCE_MS: u64 = 150_000;
/// A beat this late says that this tab itself was asleep and cannot judge the others.
const JUMP_MS: u64 = 70_000;

struct Link {
    channel: ChannelId,
    pipe: Rc<Pipe>,
    reassembler: Rc<RefCell<Reassembler>>,
    locked: bool,
    heard: Cell<u64>,
    _watch: Option<Watch>,
}

pub(super) struct Session {
    weak: Weak<Self>,
    name: String,
    id: String,
    tabs: BroadcastChannel,
    context: AdapterContext,
    env: Rc<dyn Env>,
    links: RefCell<SortedMap<String, Link>>,
    /// Tabs whose channel the repo has closed.
    shunned: RefCell<SortedSet<String>>,
    lock: RefCell<Option<HeldLock>>,
    announced: Cell<bool>,
    over: Cell<bool>,
    /// Asks for a new stay.
    restart: Box<dyn Fn()>,
    listener: RefCell<Option<Listener>>,
}

impl Session {
    /// Joins the tabs on the channel of that name.
    pub(super) fn begin(name: &str, context: &AdapterContext, restart: impl Fn() + 'static) -> Result<Rc<Self>, RepoError> {
        let tabs = BroadcastChannel::new(name)
            .map_err(|error| RepoError::new(ErrorCode::Refused, format!("this browser or mode has no BroadcastChannel: {error:?}")))?;
        let env = context.env();
        let session = Rc::new_cyclic(|weak: &Weak<Self>| Self {
            weak: weak.clone(),
            name: name.to_owned(),
            id: format!("{:016x}", env.random_u64()),
            tabs,
            context: context.clone(),
            env,
            links: RefCell::default(),
            shunned: RefCell::default(),
            lock: RefCell::default(),
            announced: Cell::new(false),
            over: Cell::new(false),
            restart: Box::new(restart),
            listener: RefCell::default(),
        });
        let weak = session.weak.clone();
        let listener = Listener::new(&session.tabs, "message", move |event| {
            if let Some(session) = weak.upgrade() {
                session.take(event.unchecked_ref());
            }
        });
        *session.listener.borrow_mut() = Some(listener);
        session.env.spawn(Box::pin(Self::stay(session.weak.clone(), session.lock_name(&session.id))));
        Ok(session)
    }

    /// Says goodbye and closes all channels.
    pub(super) fn end(&self) {
        if self.over.replace(true) {
            return;
        }
        self.post(None, Note::Goodbye);
        self.tabs.close();
        *self.listener.borrow_mut() = None;
        *self.lock.borrow_mut() = None;
        let others: Vec<_> = self.links.borrow().keys().cloned().collect();
        for other in others {
            self.unlink(&other);
        }
    }

    async fn stay(session: Weak<Self>, lock_name: String) {
        // Others ask for the lock as soon as they hear of this tab, so it must be held before.
        let lock = HeldLock::take(&lock_name).await;
        let env = {
            let Some(session) = session.upgrade().filter(|session| !session.over.get()) else { return };
            *session.lock.borrow_mut() = lock;
            session.announced.set(true);
            session.post(None, Note::Hello { locked: session.is_locked() });
            Rc::clone(&session.env)
        };
        loop {
            let due = env.now().0 + BEAT_EVERY_MS;
            env.sleep(BEAT_EVERY_MS).await;
            let Some(session) = session.upgrade().filter(|session| !session.over.get()) else { return };
            session.beat(env.now().0.saturating_sub(due) > JUMP_MS);
        }
    }

    fn beat(&self, was_asleep: bool) {
        if !self.is_locked() {
            self.post(None, Note::Beat);
        }
        let now = self.env.now().0;
        let mut silent = Vec::new();
        for (other, link) in &*self.links.borrow() {
            if was_asleep {
                link.heard.set(now);
            } else if !link.locked && now.saturating_sub(link.heard.get()) > SILENCE_MS {
                silent.push(other.clone());
            }
        }
        for other in silent {
            self.unlink(&other);
        }
    }

    fn is_locked(&self) -> bool {
        self.lock.borrow().is_some()
    }

    fn lock_name(&self, id: &str) -> String {
        format!("corella-tab/{}/{id}", self.name)
    }

    fn post(&self, to: Option<&str>, note: Note) {
        let envelope = Envelope { from: self.id.clone(), to: to.map(str::to_owned), note };
        // Fails once the channel is closed; then nobody is to hear it.
        let _ = self.tabs.post_message(&envelope.to_js());
    }

    fn take(&self, event: &MessageEvent) {
        if self.over.get() || !self.announced.get() {
            return;
        }
        let Some(Envelope { from, note, .. }) = Envelope::from_js(&event.data(), &self.id) else { return };
        if self.shunned.borrow().contains(&from) {
            return;
        }
        let known = self.links.borrow().get(&from).map(|link| link.heard.set(self.env.now().0)).is_some();
        match note {
            Note::Hello { locked } => {
                // Before the channel opens: the other side must know of it before anything arrives on it.
                self.post(Some(&from), Note::Welcome { locked: self.is_locked() });
                self.link(&from, locked);
            }
            Note::Welcome { locked } => self.link(&from, locked),
            Note::Goodbye => self.unlink(&from),
            Note::Stranger if known => (self.restart)(),
            Note::Stranger => {}
            Note::Beat | Note::Data(_) if !known => self.post(Some(&from), Note::Stranger),
            Note::Beat => {}
            Note::Data(payload) => self.receive(&from, payload),
        }
    }

    fn link(&self, other: &str, locked: bool) {
        if self.links.borrow().contains_key(other) {
            return;
        }
        // Both sides must agree, also when they hear of each other at the same moment.
        let opening = if self.id.as_str() < other { Opening::Initiate } else { Opening::Await };
        let pipe = Rc::new(Pipe { session: self.weak.clone(), other: other.to_owned(), closed: Cell::new(false), stats: Cell::default() });
        let Some(channel) = self.context.open_channel(Rc::clone(&pipe) as Rc<dyn Channel>, opening) else { return };
        if pipe.closed.get() {
            return;
        }
        let watch = locked.then(|| {
            let (session, gone) = (self.weak.clone(), other.to_owned());
            Watch::new(&self.lock_name(other), move || {
                if let Some(session) = session.upgrade() {
                    session.unlink(&gone);
                }
            })
        });
        let link = Link {
            channel,
            pipe,
            reassembler: Rc::new(RefCell::new(Reassembler::new(Limits::default()))),
            locked,
            heard: Cell::new(self.env.now().0),
            _watch: watch,
        };
        self.links.borrow_mut().insert(other.to_owned(), link);
    }

    fn unlink(&self, other: &str) {
        let link = self.links.borrow_mut().remove(other);
        if let Some(link) = link
            && !link.pipe.closed.replace(true)
        {
            self.context.close_channel(link.channel);
        }
    }

    fn receive(&self, from: &str, payload: Vec<u8>) {
        let link = self.links.borrow().get(from).map(|link| (link.channel, Rc::clone(&link.pipe), Rc::clone(&link.reassembler)));
        let Some((channel, pipe, reassembler)) = link else { return };
        let length = payload.len() as u64;
        let taken = reassembler.borrow_mut().push(payload.into(), self.env.now().0);
        pipe.count(|stats| stats.bytes_in += length);
        match taken {
            Ok(messages) => {
                pipe.count(|stats| stats.messages_in += messages.len() as u64);
                self.context.receive(channel, messages);
            }
            Err(error) => {
                let text = format!("another tab sent what cannot be read ({}): {error}", error.code());
                self.context.report(Problem::Network(RepoError::new(ErrorCode::Decode, text).with_cause(error)));
            }
        }
    }
}

/// The way to one other tab.
struct Pipe {
    session: Weak<Session>,
    other: String,
    closed: Cell<bool>,
    stats: Cell<ChannelStats>,
}

impl Pipe {
    fn count(&self, change: impl FnOnce(&mut ChannelStats)) {
        let mut stats = self.stats.get();
        change(&mut stats);
        self.stats.set(stats);
    }
}

impl Channel for Pipe {
    fn send(&self, messages: Vec<Message>) {
        let Some(session) = self.session.upgrade().filter(|_| !self.closed.get()) else { return };
        self.count(|stats| stats.messages_out += messages.len() as u64);
        // Tabs take messages of any size, so nothing is cut.
        for payload in frame::encode_transport(&messages, 0, || [0; 8]) {
            self.count(|stats| stats.bytes_out += payload.len() as u64);
            session.post(Some(&self.other), Note::Data(payload));
        }
    }

    fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        if let Some(session) = self.session.upgrade() {
            session.shunned.borrow_mut().insert(self.other.clone());
            session.post(Some(&self.other), Note::Goodbye);
            let link = session.links.borrow_mut().remove(&self.other);
            drop(link);
        }
    }

    fn stats(&self) -> ChannelStats {
        self.stats.get()
    }
}
