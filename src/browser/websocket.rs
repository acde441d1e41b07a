//! A connection to a hub over WebSocket, perhaps one for all tabs. Decides when to connect, to wait and to try again, which it does for ever.

mod connection;
mod note;
mod sharing;
mod traffic;

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
};

use futures_channel::{mpsc, oneshot};
use futures_util::{
    StreamExt,
    future::{Either, select},
};
use web_sys::{VisibilityState, WebSocket};

use self::{
    connection::{Connection, Lost, SocketEvent},
    sharing::Stay,
};
use super::listener::{self, Listener};
use crate::{
    runtime::{Adapter, AdapterContext, AdapterState, Backoff, ErrorCode, LocalBoxFuture, Problem, RepoError, Service, Stance},
    synchronizer::ChannelKind,
};

/// A URL to come, or the reason why there is none at present.
pub type UrlFuture = LocalBoxFuture<Result<String, String>>;

/// Where to connect to.
#[derive(Clone)]
pub enum UrlSource {
    /// Always there.
    Fixed(String),
    /// Asked before each attempt, for URLs that carry a token.
    Asked(Rc<dyn Fn() -> UrlFuture>),
}

impl fmt::Debug for UrlSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(url) => f.debug_tuple("Fixed").field(url).finish(),
            Self::Asked(_) => f.write_str("Asked"),
        }
    }
}

/// Which tabs and workers of this origin use one socket together. Where there are no Web Locks, nobody does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sharing {
    /// This one has its own.
    Off,
    /// All with the same URL; of one that is asked for, what comes before its query.
    ByUrl,
    /// All with this name.
    Named(String),
}

/// Connects to a hub, and again whenever the connection is lost.
#[derive(Debug)]
pub struct WebSocketAdapter {
    shared: Rc<Shared>,
}

impl WebSocketAdapter {
    /// Makes an adapter that connects to `source` once it is started.
    #[must_use]
    pub fn new(source: UrlSource, sharing: Sharing) -> Self {
        Self {
            shared: Rc::new(Shared {
                source,
                sharing,
                state: Cell::new(AdapterState::Off),
                wish: Cell::new(Wish::Connect),
                allowed: Cell::new(true),
                shares: Cell::new(false),
                present: Cell::new(true),
                context: RefCell::default(),
                stay: RefCell::default(),
                page: RefCell::default(),
                events: RefCell::default(),
                ended: RefCell::default(),
            }),
        }
    }

    /// Returns whose socket it uses.
    #[must_use]
    pub fn part(&self) -> Part {
        match self.shared.stay.borrow().as_ref().map(|stay| stay.stance()) {
            Some(Stance::Leading) => Part::Leader,
            Some(Stance::Behind(_) | Stance::Waiting(_)) => Part::Follower,
            Some(Stance::Alone | Stance::Away) | None => Part::Alone,
        }
    }

    /// Leaves the hub until [`WebSocketAdapter::resume`].
    pub fn pause(&self) {
        if self.shared.wish.get() == Wish::Connect {
            self.shared.leave_tabs();
            self.shared.want(Wish::Pause);
            if !self.shared.allowed.get() {
                self.shared.enter(AdapterState::Off);
            }
        }
    }

    /// Connects again after [`WebSocketAdapter::pause`].
    pub fn resume(&self) {
        if self.shared.wish.get() == Wish::Pause {
            self.shared.want(Wish::Connect);
            self.shared.join_tabs();
        }
    }

    /// Returns whether the application has switched it off.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.shared.wish.get() == Wish::Pause
    }
}

impl Adapter for WebSocketAdapter {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Network
    }

    fn name(&self) -> &str {
        "websocket"
    }

    fn start(&self, context: AdapterContext) {
        let (sender, events) = mpsc::unbounded();
        let (finished, ended) = oneshot::channel();
        *self.shared.events.borrow_mut() = Some(sender.clone());
        *self.shared.ended.borrow_mut() = Some(ended);
        let listeners = listen_for_wakes(&sender);
        let env = context.env();
        *self.shared.context.borrow_mut() = Some(context.clone());
        if self.shared.sharing != Sharing::Off && sharing::available() {
            self.shared.allowed.set(false);
            self.shared.shares.set(true);
            *self.shared.page.borrow_mut() = self.shared.listen_to_the_page();
            if self.shared.wish.get() == Wish::Connect {
                // Nobody can listen yet.
                self.shared.state.set(AdapterState::Connecting);
            }
            self.shared.join_tabs();
        }
        let driver = Driver { shared: Rc::clone(&self.shared), context, sender, _listeners: listeners };
        env.spawn(Box::pin(async move {
            driver.run(events).await;
            let _ = finished.send(());
        }));
    }

    fn stop(&self) -> LocalBoxFuture<()> {
        self.shared.page.borrow_mut().clear();
        self.shared.leave_tabs();
        self.shared.want(Wish::Stop);
        let ended = self.shared.ended.borrow_mut().take();
        if ended.is_none() {
            self.shared.state.set(AdapterState::Closed);
        }
        Box::pin(async move {
            if let Some(ended) = ended {
                let _ = ended.await;
            }
        })
    }

    fn state(&self) -> AdapterState {
        self.shared.state.get()
    }
}

/// What the application wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Connect,
    Pause,
    Stop,
}

/// Whose socket an adapter uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its own, for itself.
    Alone,
    /// Its own, for all tabs.
    Leader,
    /// Another tab's.
    Follower,
}

impl Part {
    /// Returns the part as applications see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Leader => "leader",
            Self::Follower => "follower",
        }
    }
}

struct Shared {
    source: UrlSource,
    sharing: Sharing,
    state: Cell<AdapterState>,
    wish: Cell<Wish>,
    /// This tab may have a socket of its own.
    allowed: Cell<bool>,
    /// It was asked to share its socket, and can.
    shares: Cell<bool>,
    /// The page is neither frozen nor on its way out.
    present: Cell<bool>,
    context: RefCell<Option<AdapterContext>>,
    stay: RefCell<Option<Rc<Stay>>>,
    page: RefCell<Vec<Listener>>,
    events: RefCell<Option<mpsc::UnboundedSender<Event>>>,
    ended: RefCell<Option<oneshot::Receiver<()>>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("source", &self.source)
            .field("sharing", &self.sharing)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn want(&self, wish: Wish) {
        self.wish.set(wish);
        self.nudge();
    }

    fn nudge(&self) {
        if let Some(events) = &*self.events.borrow() {
            let _ = events.unbounded_send(Event::Wish);
        }
    }

    /// Lets this tab have a socket of its own, or not.
    fn allow(&self, allowed: bool) {
        if self.allowed.replace(allowed) != allowed {
            self.nudge();
        }
    }

    /// Returns what is wanted of the driver: a tab that is served by another is paused.
    fn wanted(&self) -> Wish {
        match self.wish.get() {
            Wish::Connect if !self.allowed.get() => Wish::Pause,
            wish => wish,
        }
    }

    fn enter(&self, state: AdapterState) {
        let context = self.context.borrow().clone();
        if self.state.replace(state) != state
            && let Some(context) = context
        {
            context.state_changed();
        }
    }

    /// Begins to share, once it is known with whom.
    fn join_tabs(self: &Rc<Self>) {
        let context = self.context.borrow().clone();
        let Some(context) = context.filter(|_| self.shares.get() && self.may_join()) else { return };
        self.enter(AdapterState::Connecting);
        match (&self.sharing, &self.source) {
            (Sharing::Named(name), _) => self.stay_with(&context, name),
            (_, UrlSource::Fixed(url)) => self.stay_with(&context, url),
            (_, UrlSource::Asked(ask)) => {
                let (weak, ask, env) = (Rc::downgrade(self), Rc::clone(ask), context.env());
                env.clone().spawn(Box::pin(async move {
                    let mut backoff = Backoff::default();
                    loop {
                        let asked = ask().await;
                        let Some(shared) = weak.upgrade().filter(|shared| shared.may_join()) else { return };
                        match asked {
                            Ok(url) => return shared.stay_with(&context, url.split(['?', '#']).next().unwrap_or_default()),
                            Err(reason) => shared.no_url(&context, &reason),
                        }
                        drop(shared);
                        env.sleep(backoff.next_delay_ms(env.random_u64())).await;
                    }
                }));
            }
        }
    }

    /// Returns whether the application and the page are ready to share, and do not yet.
    fn may_join(&self) -> bool {
        self.wish.get() == Wish::Connect && self.present.get() && self.stay.borrow().is_none()
    }

    fn no_url(&self, context: &AdapterContext, reason: &str) {
        if self.state.get() != AdapterState::Waiting {
            let text = format!("not connected to the hub, trying again: no URL: {reason}");
            context.report(Problem::Network(RepoError::new(ErrorCode::Refused, text)));
            self.enter(AdapterState::Waiting);
        }
    }

    fn stay_with(self: &Rc<Self>, context: &AdapterContext, key: &str) {
        match Stay::begin(self, context, key) {
            Ok(stay) => *self.stay.borrow_mut() = Some(stay),
            Err(error) => {
                context.report(Problem::Network(error));
                self.allow(true);
            }
        }
    }

    fn leave_tabs(&self) {
        let stay = self.stay.borrow_mut().take();
        if let Some(stay) = stay {
            stay.end();
        }
        if self.shares.get() {
            self.allow(false);
        }
    }

    /// Listens to what says that the page stops, for good or for a while, and that it goes on.
    fn listen_to_the_page(self: &Rc<Self>) -> Vec<Listener> {
        let told = |present: bool| {
            let weak = Rc::downgrade(self);
            move |_| {
                let Some(shared) = weak.upgrade() else { return };
                if shared.present.replace(present) == present {
                    return;
                }
                if present {
                    shared.join_tabs();
                } else {
                    shared.leave_tabs();
                    if shared.wish.get() == Wish::Connect {
                        shared.enter(AdapterState::Waiting);
                    }
                }
            }
        };
        let mut listeners = Vec::new();
        if let Some(global) = listener::global() {
            listeners.push(Listener::new(&global, "pagehide", told(false)));
            listeners.push(Listener::new(&global, "pageshow", told(true)));
        }
        if let Some(document) = listener::document() {
            listeners.push(Listener::new(&document, "freeze", told(false)));
            listeners.push(Listener::new(&document, "resume", told(true)));
        }
        listeners
    }
}

/// What the driver hears.
enum Event {
    /// A socket, by number, says something.
    Socket(u64, SocketEvent),
    /// The network or the page is back.
    Wake,
    /// [`Shared::wish`] has changed.
    Wish,
}

/// How an attempt ended.
enum Ended {
    /// It was lost, or never came to be.
    Lost(Lost),
    /// The URL is none.
    Refused(RepoError),
    /// The application wants something else.
    Told,
}

struct Driver {
    shared: Rc<Shared>,
    context: AdapterContext,
    sender: mpsc::UnboundedSender<Event>,
    _listeners: Vec<Listener>,
}

impl Driver {
    async fn run(&self, mut events: mpsc::UnboundedReceiver<Event>) {
        let env = self.context.env();
        let mut backoff = Backoff::default();
        let mut reported = false;
        for number in 0.. {
            while self.shared.wanted() == Wish::Pause {
                if self.shared.wish.get() == Wish::Pause {
                    self.enter(AdapterState::Off);
                }
                if matches!(events.next().await, Some(Event::Wake)) {
                    self.wake_tabs();
                }
            }
            if self.shared.wanted() == Wish::Stop {
                break;
            }
            self.enter(AdapterState::Connecting);
            self.line_is(number, Service::Connecting, None);
            let (ended, up_ms) = self.attempt(number, &mut events).await;
            self.line_is(number, Service::Waiting, None);
            backoff.connection_lasted(up_ms);
            reported &= up_ms == 0;
            match ended {
                Ended::Told => continue,
                Ended::Refused(error) => {
                    self.context.report(Problem::Network(error));
                    if matches!(self.shared.source, UrlSource::Fixed(_)) {
                        self.enter(AdapterState::Closed);
                        while self.shared.wanted() == Wish::Connect {
                            events.next().await;
                        }
                        continue;
                    }
                }
                Ended::Lost(Lost(reason)) => {
                    // Once per outage: it is tried again and again.
                    if !std::mem::replace(&mut reported, true) {
                        let text = format!("not connected to the hub, trying again: {reason}");
                        self.context.report(Problem::Network(RepoError::new(ErrorCode::Refused, text)));
                    }
                }
            }
            self.enter(AdapterState::Waiting);
            let mut pause = env.sleep(backoff.next_delay_ms(env.random_u64()));
            while let Either::Left((Some(Event::Socket(..)), _)) = select(events.next(), &mut pause).await {}
        }
        self.enter(AdapterState::Closed);
    }

    /// Connects and stays until the connection ends; tells for how many milliseconds it was ready.
    async fn attempt(&self, number: u64, events: &mut mpsc::UnboundedReceiver<Event>) -> (Ended, u64) {
        let url = match &self.shared.source {
            UrlSource::Fixed(url) => url.clone(),
            UrlSource::Asked(ask) => {
                let mut asked = ask();
                loop {
                    match select(events.next(), &mut asked).await {
                        Either::Left(_) if self.shared.wanted() != Wish::Connect => return (Ended::Told, 0),
                        Either::Left(_) => {}
                        Either::Right((Ok(url), _)) => break url,
                        Either::Right((Err(reason), _)) => return (Ended::Lost(Lost(format!("no URL: {reason}"))), 0),
                    }
                }
            }
        };
        let carried = self.shared.stay.borrow().as_ref().map(Rc::downgrade);
        let connection = match Connection::open(number, &url, self.context.clone(), self.sender.clone(), carried) {
            Ok(connection) => connection,
            Err(error) => return (Ended::Refused(error), 0),
        };
        let ended = self.stay(&connection, events).await;
        (ended, connection.up_ms())
    }

    async fn stay(&self, connection: &Connection, events: &mut mpsc::UnboundedReceiver<Event>) -> Ended {
        let env = self.context.env();
        let mut alarm_at = connection.due();
        let mut alarm = env.sleep(alarm_at.saturating_sub(env.now().0));
        loop {
            if self.shared.wanted() != Wish::Connect {
                connection.leave();
                return Ended::Told;
            }
            let outcome = match select(events.next(), &mut alarm).await {
                Either::Left((Some(Event::Socket(number, event)), _)) => connection.on_event(number, event),
                Either::Left((Some(Event::Wake), _)) => {
                    connection.probe();
                    Ok(())
                }
                Either::Left((Some(Event::Wish), _)) => Ok(()),
                Either::Left((None, _)) => Err(Lost("the adapter is gone".to_owned())),
                Either::Right(_) => {
                    // A later deadline may have been set since the alarm was.
                    let outcome = if env.now().0 >= connection.due() { connection.on_due() } else { Ok(()) };
                    alarm_at = connection.due();
                    alarm = env.sleep(alarm_at.saturating_sub(env.now().0));
                    outcome
                }
            };
            if let Err(lost) = outcome {
                return Ended::Lost(lost);
            }
            if connection.due() < alarm_at {
                alarm_at = connection.due();
                alarm = env.sleep(alarm_at.saturating_sub(env.now().0));
            }
            // What is on its way out does not count as open any more.
            if connection.is_ready() && self.shared.wanted() == Wish::Connect {
                self.enter(AdapterState::Open);
                match connection.carries() {
                    Some(true) => self.line_is(connection.number(), Service::Serving, Some(connection.socket())),
                    Some(false) => self.line_is(connection.number(), Service::Unable, None),
                    None => {}
                }
            }
        }
    }

    fn enter(&self, state: AdapterState) {
        self.shared.enter(state);
    }

    /// Tells the other tabs how this one's connection is doing.
    fn line_is(&self, number: u64, service: Service, socket: Option<&WebSocket>) {
        let stay = self.shared.stay.borrow().clone();
        if let Some(stay) = stay {
            stay.line_is(number, service, socket);
        }
    }

    fn wake_tabs(&self) {
        let stay = self.shared.stay.borrow().clone();
        if let Some(stay) = stay {
            stay.wake();
        }
    }
}

/// Listens to what says that the network or the page is back.
fn listen_for_wakes(sender: &mpsc::UnboundedSender<Event>) -> Vec<Listener> {
    let wake = || {
        let sender = sender.clone();
        move |_| {
            let _ = sender.unbounded_send(Event::Wake);
        }
    };
    let mut listeners = Vec::new();
    if let Some(global) = listener::global() {
        listeners.push(Listener::new(&global, "online", wake()));
        listeners.push(Listener::new(&global, "pageshow", wake()));
    }
    if let Some(document) = listener::document() {
        let sender = sender.clone();
        listeners.push(Listener::new(&document.clone(), "visibilitychange", move |_| {
            if document.visibility_state() == VisibilityState::Visible {
                let _ = sender.unbounded_send(Event::Wake);
            }
        }));
    }
    listeners
}
