//! A connection to a hub over WebSocket. Decides when to connect, to wait and to try again, which it does for ever.

mod connection;

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
use web_sys::VisibilityState;

use self::connection::{Connection, Lost, SocketEvent};
use super::listener::{self, Listener};
use crate::{
    runtime::{Adapter, AdapterContext, AdapterState, Backoff, ErrorCode, LocalBoxFuture, Problem, RepoError},
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

/// Connects to a hub, and again whenever the connection is lost.
#[derive(Debug)]
pub struct WebSocketAdapter {
    shared: Rc<Shared>,
}

impl WebSocketAdapter {
    /// Makes an adapter that connects to `source` once it is started.
    #[must_use]
    pub fn new(source: UrlSource) -> Self {
        Self {
            shared: Rc::new(Shared {
                source,
                state: Cell::new(AdapterState::Off),
                wish: Cell::new(Wish::Connect),
                events: RefCell::default(),
                ended: RefCell::default(),
            }),
        }
    }

    /// Leaves the hub until [`WebSocketAdapter::resume`].
    pub fn pause(&self) {
        if self.shared.wish.get() == Wish::Connect {
            self.shared.want(Wish::Pause);
        }
    }

    /// Connects again after [`WebSocketAdapter::pause`].
    pub fn resume(&self) {
        if self.shared.wish.get() == Wish::Pause {
            self.shared.want(Wish::Connect);
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
        let driver = Driver { shared: Rc::clone(&self.shared), context, sender, _listeners: listeners };
        env.spawn(Box::pin(async move {
            driver.run(events).await;
            let _ = finished.send(());
        }));
    }

    fn stop(&self) -> LocalBoxFuture<()> {
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

#[derive(Debug)]
struct Shared {
    source: UrlSource,
    state: Cell<AdapterState>,
    wish: Cell<Wish>,
    events: RefCell<Option<mpsc::UnboundedSender<Event>>>,
    ended: RefCell<Option<oneshot::Receiver<()>>>,
}

impl Shared {
    fn want(&self, wish: Wish) {
        self.wish.set(wish);
        if let Some(events) = &*self.events.borrow() {
            let _ = events.unbounded_send(Event::Wish);
        }
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
            while self.shared.wish.get() == Wish::Pause {
                self.enter(AdapterState::Off);
                events.next().await;
            }
            if self.shared.wish.get() == Wish::Stop {
                break;
            }
            self.enter(AdapterState::Connecting);
            let (ended, up_ms) = self.attempt(number, &mut events).await;
            backoff.connection_lasted(up_ms);
            reported &= up_ms == 0;
            match ended {
                Ended::Told => continue,
                Ended::Refused(error) => {
                    self.context.report(Problem::Network(error));
                    if matches!(self.shared.source, UrlSource::Fixed(_)) {
                        self.enter(AdapterState::Closed);
                        while self.shared.wish.get() == Wish::Connect {
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
                        Either::Left(_) if self.shared.wish.get() != Wish::Connect => return (Ended::Told, 0),
                        Either::Left(_) => {}
                        Either::Right((Ok(url), _)) => break url,
                        Either::Right((Err(reason), _)) => return (Ended::Lost(Lost(format!("no URL: {reason}"))), 0),
                    }
                }
            }
        };
        let connection = match Connection::open(number, &url, self.context.clone(), self.sender.clone()) {
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
            if self.shared.wish.get() != Wish::Connect {
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
            if connection.is_ready() {
                self.enter(AdapterState::Open);
            }
        }
    }

    fn enter(&self, state: AdapterState) {
        if self.shared.state.replace(state) != state {
            self.context.state_changed();
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
