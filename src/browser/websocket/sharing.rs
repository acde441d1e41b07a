//! One stay of this tab among those that share a socket. Does what [`Leadership`] decides.
//!
//! The leader's socket carries a session for each of the others: to the hub, and to the repos on both sides, that is a connection like any
//! other. The leader reads nothing of it. A tab that was away comes back under a new id, so nothing meant for the old stay reaches it.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
};

use bytes::Bytes;
use wasm_bindgen::JsCast;
use web_sys::{BroadcastChannel, MessageEvent, WebSocket};

use super::{
    super::{
        listener::Listener,
        lock::{self, HeldLock, Office, Tenure, Watch},
    },
    Shared,
    note::{self, Note},
    traffic::Traffic,
};
use crate::{
    collections::SortedMap,
    protocol::{
        Limits, Message,
        frame::Reassembler,
        sessions::{self, SessionPayload},
    },
    runtime::{
        AdapterContext, AdapterState, Backoff, Channel, ChannelStats, Env, ErrorCode, Leadership, LeadershipAction, LeadershipInput,
        Opening, RepoError, Service, Stance,
    },
    synchronizer::ChannelId,
};

/// Returns whether tabs can share a socket here. Web Locks are there in secure contexts only; Node has some, but no tabs.
pub(super) fn available() -> bool {
    let secure = js_sys::Reflect::get(&js_sys::global(), &"isSecureContext".into()).is_ok_and(|secure| secure.is_truthy());
    let channels = js_sys::Reflect::has(&js_sys::global(), &"BroadcastChannel".into()).unwrap_or(false);
    secure && channels && lock::available()
}

pub(super) struct Stay {
    weak: Weak<Self>,
    shared: Weak<Shared>,
    context: AdapterContext,
    env: Rc<dyn Env>,
    key: String,
    id: String,
    /// To all tabs.
    all: BroadcastChannel,
    /// To this tab alone.
    inbox: BroadcastChannel,
    logic: RefCell<Leadership>,
    office: RefCell<Option<Office>>,
    life: RefCell<Option<HeldLock>>,
    /// This tab's own connection, if it has one.
    line: RefCell<Line>,
    behind: RefCell<Option<Behind>>,
    sessions: Cell<u32>,
    backoff: RefCell<Backoff>,
    /// A session that ended is not opened again before.
    pausing: Cell<bool>,
    scheduled: Cell<Option<u64>>,
    over: Cell<bool>,
    listeners: RefCell<Vec<Listener>>,
}

/// This tab's own connection, and whom it serves.
struct Line {
    term: String,
    service: Service,
    socket: Option<WebSocket>,
    next: u32,
    clients: SortedMap<String, Client>,
    tabs: SortedMap<u32, String>,
}

/// A tab that is served here.
struct Client {
    /// The tab's own number of its session.
    theirs: u32,
    /// The number on the socket.
    session: u32,
    inbox: BroadcastChannel,
    _watch: Watch,
}

/// This tab's session at another's socket.
struct Behind {
    term: String,
    number: u32,
    channel: ChannelId,
    pipe: Rc<Pipe>,
    reassembler: RefCell<Reassembler>,
    since: u64,
}

impl Stay {
    /// Joins the tabs that share a socket under `key`.
    pub(super) fn begin(shared: &Rc<Shared>, context: &AdapterContext, key: &str) -> Result<Rc<Self>, RepoError> {
        let env = context.env();
        let id = format!("{:016x}", env.random_u64());
        let channel = |name: &str| {
            BroadcastChannel::new(name)
                .map_err(|error| RepoError::new(ErrorCode::Refused, format!("this browser or mode has no BroadcastChannel: {error:?}")))
        };
        let all = channel(&format!("corella-socket/{key}"))?;
        let inbox = channel(&inbox_name(key, &id))?;
        let line = Line {
            term: String::new(),
            service: Service::Connecting,
            socket: None,
            next: 1,
            clients: SortedMap::new(),
            tabs: SortedMap::new(),
        };
        let stay = Rc::new_cyclic(|weak: &Weak<Self>| Self {
            weak: weak.clone(),
            shared: Rc::downgrade(shared),
            context: context.clone(),
            env: Rc::clone(&env),
            key: key.to_owned(),
            id,
            all,
            inbox,
            logic: RefCell::default(),
            office: RefCell::default(),
            life: RefCell::default(),
            line: RefCell::new(line),
            behind: RefCell::default(),
            sessions: Cell::new(0),
            backoff: RefCell::default(),
            pausing: Cell::new(false),
            scheduled: Cell::new(None),
            over: Cell::new(false),
            listeners: RefCell::default(),
        });
        let hear = |weak: Weak<Self>| {
            move |event: web_sys::Event| {
                if let Some(stay) = weak.upgrade().filter(|stay| !stay.over.get()) {
                    stay.hear(event.unchecked_ref());
                }
            }
        };
        *stay.listeners.borrow_mut() = vec![
            Listener::new(&stay.all, "message", hear(stay.weak.clone())),
            Listener::new(&stay.inbox, "message", hear(stay.weak.clone())),
        ];
        let (weak, life) = (stay.weak.clone(), life_name(key, &stay.id));
        env.spawn(Box::pin(async move {
            // A leader asks for it as soon as it serves this tab, so it must be held before.
            let held = HeldLock::take(&life).await;
            let Some(stay) = weak.upgrade().filter(|stay| !stay.over.get()) else { return };
            *stay.life.borrow_mut() = held;
            stay.take(LeadershipInput::Arrived);
        }));
        Ok(stay)
    }

    /// Leaves: gives the lock up and closes what is open.
    pub(super) fn end(&self) {
        if self.over.get() {
            return;
        }
        self.take(LeadershipInput::Left);
        self.over.set(true);
        self.listeners.borrow_mut().clear();
        self.all.close();
        self.inbox.close();
        *self.life.borrow_mut() = None;
    }

    pub(super) fn stance(&self) -> Stance {
        self.logic.borrow().stance()
    }

    /// The tab was perhaps asleep: it looks whether something is due.
    pub(super) fn wake(&self) {
        if self.logic.borrow().due().is_some_and(|due| due <= self.env.now().0) {
            self.take(LeadershipInput::Tick);
        }
    }

    /// This tab's own connection, by number, is now so; a `socket` that serves carries sessions.
    pub(super) fn line_is(&self, number: u64, service: Service, socket: Option<&WebSocket>) {
        let term = format!("{}.{number}", self.id);
        {
            let mut line = self.line.borrow_mut();
            if line.term == term && line.service == service {
                return;
            }
            if service != Service::Serving || line.term != term {
                line.clients.clear();
                line.tabs.clear();
                line.next = 1;
            }
            line.term.clone_from(&term);
            line.service = service;
            line.socket = socket.filter(|_| service == Service::Serving).cloned();
        }
        self.take(LeadershipInput::Connection(term, service));
    }

    /// The hub says something of a session.
    pub(super) fn arrived(&self, payload: &Bytes) {
        let line = self.line.borrow();
        let find = |session: u32| line.tabs.get(&session).and_then(|tab| line.clients.get(tab)).filter(|client| client.session == session);
        match SessionPayload::decode(payload) {
            Some(SessionPayload::Data(session, payload)) => {
                if let Some(client) = find(session) {
                    self.post(&client.inbox, &Note::Data(line.term.clone(), client.theirs, payload.to_vec()));
                }
            }
            Some(SessionPayload::Close(session)) => {
                if let Some(client) = find(session) {
                    self.post(&client.inbox, &Note::Close(line.term.clone(), client.theirs));
                    drop(line);
                    self.dismiss(session);
                }
            }
            Some(SessionPayload::Open(_)) | None => {}
        }
    }

    fn post(&self, to: &BroadcastChannel, note: &Note) {
        // Fails once the channel is closed; then nobody is to hear it.
        let _ = to.post_message(&note::to_js(&self.id, note));
    }

    fn hear(&self, event: &MessageEvent) {
        let Some((from, note)) = note::from_js(&event.data()).filter(|(from, _)| *from != self.id) else { return };
        match note {
            Note::Ask => self.take(LeadershipInput::Asked),
            Note::Lead(word) => self.take(LeadershipInput::Heard(word)),
            Note::Resign(term) => self.take(LeadershipInput::Resigned(term)),
            Note::Open(term, number) => self.serve(&from, &term, number),
            Note::Data(term, number, payload) => {
                if !self.forward(&from, &term, number, &payload) {
                    self.receive(&term, number, payload);
                }
            }
            Note::Close(term, number) => {
                let session = self.client(&from, &term, number);
                match session {
                    Some(session) => self.dismiss(session),
                    None => self.hung_up(&term, number),
                }
            }
        }
    }

    fn take(&self, input: LeadershipInput) {
        if self.over.get() {
            return;
        }
        let now = self.env.now().0;
        let (before, actions, after) = {
            let mut logic = self.logic.borrow_mut();
            let before = logic.stance();
            let actions = logic.update(input, now);
            (before, actions, logic.stance())
        };
        for action in actions {
            self.act(action);
        }
        if before != after {
            self.stand(&after);
        }
        self.schedule();
    }

    fn act(&self, action: LeadershipAction) {
        match action {
            LeadershipAction::RequestLock => self.seek(false),
            LeadershipAction::StealLock => self.seek(true),
            LeadershipAction::DropLock => {
                let office = self.office.borrow_mut().take();
                drop(office);
            }
            LeadershipAction::Ask => self.post(&self.all, &Note::Ask),
            LeadershipAction::Tell(word) => self.post(&self.all, &Note::Lead(word)),
            LeadershipAction::Resign(term) => self.post(&self.all, &Note::Resign(term)),
        }
    }

    fn seek(&self, steal: bool) {
        let weak = self.weak.clone();
        let office = Office::seek(&format!("corella-socket/{}", self.key), steal, move |tenure| {
            if let Some(stay) = weak.upgrade() {
                stay.take(match tenure {
                    Tenure::Granted => LeadershipInput::Granted,
                    Tenure::Lost => LeadershipInput::Lost,
                });
            }
        });
        *self.office.borrow_mut() = office;
    }

    /// Arranges what the tab's new place among the others asks for.
    fn stand(&self, stance: &Stance) {
        let Some(shared) = self.shared.upgrade() else { return };
        let still_behind =
            matches!(stance, Stance::Behind(term) if self.behind.borrow().as_ref().is_some_and(|behind| behind.term == *term));
        if !still_behind {
            self.leave_session();
        }
        if *stance != Stance::Leading {
            self.dismiss_all();
        }
        shared.allow(matches!(stance, Stance::Leading | Stance::Alone));
        match stance {
            Stance::Leading => {
                let (term, service) = {
                    let line = self.line.borrow();
                    (line.term.clone(), line.service)
                };
                if !term.is_empty() {
                    self.take(LeadershipInput::Connection(term, service));
                }
            }
            Stance::Behind(_) if self.pausing.get() => shared.enter(AdapterState::Waiting),
            Stance::Behind(term) => self.open_session(term),
            Stance::Waiting(Some(Service::Waiting)) => shared.enter(AdapterState::Waiting),
            Stance::Waiting(_) => shared.enter(AdapterState::Connecting),
            Stance::Away | Stance::Alone => {}
        }
    }

    fn schedule(&self) {
        let Some(due) = self.logic.borrow().due() else { return };
        if self.scheduled.get().is_some_and(|at| at <= due) {
            return;
        }
        self.scheduled.set(Some(due));
        let (weak, env) = (self.weak.clone(), Rc::clone(&self.env));
        env.clone().spawn(Box::pin(async move {
            env.sleep(due.saturating_sub(env.now().0)).await;
            let Some(stay) = weak.upgrade().filter(|stay| !stay.over.get() && stay.scheduled.get() == Some(due)) else { return };
            stay.scheduled.set(None);
            stay.take(LeadershipInput::Tick);
        }));
    }

    // As the leader.

    /// Opens a session for another tab.
    fn serve(&self, tab: &str, term: &str, number: u32) {
        if self.stance() != Stance::Leading || self.line.borrow().term != term {
            return;
        }
        let before = self.line.borrow().clients.get(tab).map(|client| client.session);
        if let Some(before) = before {
            self.dismiss(before);
        }
        let Ok(inbox) = BroadcastChannel::new(&inbox_name(&self.key, tab)) else { return };
        let session = {
            let mut line = self.line.borrow_mut();
            let session = line.next;
            line.next += 1;
            session
        };
        let (weak, name) = (self.weak.clone(), life_name(&self.key, tab));
        let watch = Watch::new(&name, move || {
            if let Some(stay) = weak.upgrade() {
                stay.dismiss(session);
            }
        });
        let mut line = self.line.borrow_mut();
        line.clients.insert(tab.to_owned(), Client { theirs: number, session, inbox, _watch: watch });
        line.tabs.insert(session, tab.to_owned());
        line.send(&SessionPayload::Open(session).encode());
    }

    fn client(&self, tab: &str, term: &str, number: u32) -> Option<u32> {
        let line = self.line.borrow();
        line.clients.get(tab).filter(|client| line.term == term && client.theirs == number).map(|client| client.session)
    }

    /// Sends what another tab has to say; tells whether it is served here.
    fn forward(&self, tab: &str, term: &str, number: u32, payload: &[u8]) -> bool {
        let Some(session) = self.client(tab, term, number) else { return false };
        self.line.borrow().send(&sessions::data(session, payload));
        true
    }

    /// Ends a session at the hub.
    fn dismiss(&self, session: u32) {
        let gone = {
            let mut line = self.line.borrow_mut();
            let tab = line.tabs.remove(&session);
            let gone = tab.and_then(|tab| line.clients.remove(&tab));
            if gone.is_some() {
                line.send(&SessionPayload::Close(session).encode());
            }
            gone
        };
        if let Some(client) = gone {
            client.inbox.close();
        }
    }

    fn dismiss_all(&self) {
        let sessions: Vec<_> = self.line.borrow().tabs.keys().copied().collect();
        for session in sessions {
            self.dismiss(session);
        }
    }

    // Behind the leader.

    fn open_session(&self, term: &str) {
        let Some(shared) = self.shared.upgrade() else { return };
        if self.behind.borrow().is_some() {
            return;
        }
        let Some((leader, _)) = term.rsplit_once('.') else { return };
        let Ok(inbox) = BroadcastChannel::new(&inbox_name(&self.key, leader)) else { return };
        let number = self.sessions.get() + 1;
        self.sessions.set(number);
        let pipe = Rc::new(Pipe {
            stay: self.weak.clone(),
            id: self.id.clone(),
            term: term.to_owned(),
            number,
            leader: inbox,
            env: Rc::clone(&self.env),
            closed: Cell::new(false),
            traffic: Traffic::default(),
        });
        pipe.post(&Note::Open(term.to_owned(), number));
        let Some(channel) = self.context.open_channel(Rc::clone(&pipe) as Rc<dyn Channel>, Opening::Initiate) else { return };
        let reassembler = RefCell::new(Reassembler::new(Limits::default()));
        *self.behind.borrow_mut() = Some(Behind { term: term.to_owned(), number, channel, pipe, reassembler, since: self.env.now().0 });
        shared.enter(AdapterState::Open);
    }

    /// Ends this tab's session, and tells the leader and the repo.
    fn leave_session(&self) {
        let behind = self.behind.borrow_mut().take();
        let Some(behind) = behind else { return };
        behind.pipe.post(&Note::Close(behind.term.clone(), behind.number));
        behind.pipe.leader.close();
        self.backoff.borrow_mut().connection_lasted(self.env.now().0.saturating_sub(behind.since));
        if !behind.pipe.closed.replace(true) {
            self.context.close_channel(behind.channel);
        }
    }

    /// The hub, or the repo, has ended this tab's session: another is opened after a pause.
    fn hung_up(&self, term: &str, number: u32) {
        if self.behind.borrow().as_ref().is_none_or(|behind| behind.term != term || behind.number != number) {
            return;
        }
        self.leave_session();
        self.pausing.set(true);
        if let Some(shared) = self.shared.upgrade() {
            shared.enter(AdapterState::Waiting);
        }
        let pause = self.backoff.borrow_mut().next_delay_ms(self.env.random_u64());
        let (weak, env) = (self.weak.clone(), Rc::clone(&self.env));
        env.clone().spawn(Box::pin(async move {
            env.sleep(pause).await;
            let Some(stay) = weak.upgrade().filter(|stay| !stay.over.get()) else { return };
            stay.pausing.set(false);
            if let Stance::Behind(term) = stay.stance() {
                stay.open_session(&term);
            }
        }));
    }

    fn receive(&self, term: &str, number: u32, payload: Vec<u8>) {
        let (channel, pipe, bytes, read) = {
            let behind = self.behind.borrow();
            let Some(behind) = behind.as_ref().filter(|behind| behind.term == term && behind.number == number) else { return };
            let bytes = payload.len();
            let read = behind.reassembler.borrow_mut().push(payload.into(), self.env.now().0);
            (behind.channel, Rc::clone(&behind.pipe), bytes, read)
        };
        pipe.traffic.received(&self.context, channel, bytes, read);
    }
}

impl Line {
    fn send(&self, payload: &[u8]) {
        if let Some(socket) = self.socket.as_ref().filter(|socket| socket.ready_state() == WebSocket::OPEN) {
            let _ = socket.send_with_u8_array(payload);
        }
    }
}

fn inbox_name(key: &str, tab: &str) -> String {
    format!("corella-socket/{key}/{tab}")
}

fn life_name(key: &str, tab: &str) -> String {
    format!("corella-socket-tab/{key}/{tab}")
}

/// The repo's end of a session at another tab's socket.
struct Pipe {
    stay: Weak<Stay>,
    id: String,
    term: String,
    number: u32,
    leader: BroadcastChannel,
    env: Rc<dyn Env>,
    closed: Cell<bool>,
    traffic: Traffic,
}

impl Pipe {
    fn post(&self, note: &Note) {
        let _ = self.leader.post_message(&note::to_js(&self.id, note));
    }
}

impl Channel for Pipe {
    fn send(&self, messages: Vec<Message>) {
        if self.closed.get() {
            return;
        }
        for payload in self.traffic.payloads(&messages, &*self.env) {
            self.post(&Note::Data(self.term.clone(), self.number, payload));
        }
    }

    fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        let (stay, term, number) = (self.stay.clone(), self.term.clone(), self.number);
        self.env.spawn(Box::pin(async move {
            if let Some(stay) = stay.upgrade() {
                stay.hung_up(&term, number);
            }
        }));
    }

    fn stats(&self) -> ChannelStats {
        self.traffic.stats()
    }
}
