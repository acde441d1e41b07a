//! Other tabs and workers of the same origin, over one BroadcastChannel.
//!
//! Decides who is there and who has left. Every tab is one pipe; messages are addressed, `[kind, from, to, bytes]`.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
    rc::Rc,
};

use bytes::Bytes;
use futures_channel::oneshot;
use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{BroadcastChannel, MessageEvent};

use super::listener::Listener;
use crate::{
    protocol::{Limits, Message, frame},
    runtime::{Adapter, AdapterContext, AdapterState, Channel, ChannelStats, ErrorCode, LocalBoxFuture, Opening, Problem, RepoError},
    synchronizer::{ChannelId, ChannelKind, Timestamp},
};

/// Tabs say that they are there this often, in milliseconds.
const BEAT_MS: u64 = 20_000;
/// Without Web Locks a tab silent for this long has left. Hidden tabs may run their timers only once a minute.
const SILENT_MS: u64 = 150_000;

/// Connects the tabs that use the same name.
#[derive(Clone)]
pub struct BroadcastChannelAdapter(Rc<Inner>);

struct Inner {
    name: String,
    live: RefCell<Option<Live>>,
    state: Cell<AdapterState>,
}

struct Live {
    context: AdapterContext,
    me: String,
    channel: BroadcastChannel,
    tabs: BTreeMap<String, Tab>,
    /// Held for as long as this tab is there, so that others notice a crash.
    lock: Option<Lock>,
    _listeners: Vec<Listener>,
}

struct Tab {
    id: ChannelId,
    stats: Rc<Cell<ChannelStats>>,
    heard: Timestamp,
}

/// A Web Lock held until dropped.
struct Lock {
    release: Option<oneshot::Sender<()>>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            let _ = release.send(());
        }
    }
}

impl BroadcastChannelAdapter {
    /// The name used when none is given.
    pub const DEFAULT_NAME: &str = "corella";

    /// Makes an adapter; it looks for other tabs once it is given to a repo.
    #[must_use]
    pub fn new(name: Option<String>) -> Self {
        let name = name.unwrap_or_else(|| Self::DEFAULT_NAME.to_owned());
        Self(Rc::new(Inner { name, live: RefCell::new(None), state: Cell::new(AdapterState::Off) }))
    }
}

impl fmt::Debug for BroadcastChannelAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BroadcastChannelAdapter").field(&self.0.name).finish()
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
        let inner = &self.0;
        let channel = match BroadcastChannel::new(&inner.name) {
            Ok(channel) => channel,
            Err(_) => {
                let error = RepoError::new(ErrorCode::NoAdapter, "this browser context has no BroadcastChannel");
                context.report(Problem::Network(error));
                inner.state.set(AdapterState::Closed);
                return;
            }
        };
        let weak = Rc::downgrade(inner);
        let on = |handler: fn(&Inner)| {
            let weak = weak.clone();
            move |_| {
                if let Some(inner) = weak.upgrade() {
                    handler(&inner);
                }
            }
        };
        let heard = weak.clone();
        let listeners = vec![
            Listener::new(&channel, "message", move |event| {
                if let (Some(inner), Ok(event)) = (heard.upgrade(), event.dyn_into::<MessageEvent>()) {
                    inner.heard(&event.data());
                }
            }),
            Listener::global("pagehide", on(Inner::leave)),
            Listener::global("pageshow", on(|inner| inner.post("hello", "", None))),
        ];
        let me = context.peer_id().as_str().to_owned();
        let env = context.env();
        let lock_name = inner.lock_name(&me);
        *inner.live.borrow_mut() = Some(Live { context, me, channel, tabs: BTreeMap::new(), lock: None, _listeners: listeners });
        inner.state.set(AdapterState::Open);
        env.clone().spawn(Box::pin(async move {
            // The lock comes before the greeting: whoever hears of this tab can watch it.
            let lock = hold(lock_name).await;
            if let Some(inner) = weak.upgrade() {
                if let Some(live) = &mut *inner.live.borrow_mut() {
                    live.lock = lock;
                }
                inner.post("hello", "", None);
            }
            loop {
                env.sleep(BEAT_MS).await;
                let Some(inner) = weak.upgrade() else { return };
                if inner.live.borrow().is_none() {
                    return;
                }
                inner.post("here", "", None);
                inner.drop_silent(env.now());
            }
        }));
    }

    fn stop(&self) -> LocalBoxFuture<()> {
        self.0.leave();
        if let Some(live) = self.0.live.borrow_mut().take() {
            live.channel.close();
        }
        self.0.state.set(AdapterState::Closed);
        Box::pin(std::future::ready(()))
    }

    fn state(&self) -> AdapterState {
        self.0.state.get()
    }
}

impl Inner {
    fn lock_name(&self, tab: &str) -> String {
        format!("corella/tab/{}/{tab}", self.name)
    }

    fn post(&self, kind: &str, to: &str, bytes: Option<&[u8]>) {
        if let Some(live) = &*self.live.borrow() {
            post(&live.channel, kind, &live.me, to, bytes);
        }
    }

    fn leave(&self) {
        self.post("bye", "", None);
        let (context, tabs) = match &mut *self.live.borrow_mut() {
            Some(live) => (live.context.clone(), std::mem::take(&mut live.tabs)),
            None => return,
        };
        for tab in tabs.into_values() {
            context.close_channel(tab.id);
        }
    }

    fn heard(self: &Rc<Self>, data: &JsValue) {
        let Some(parts) = data.dyn_ref::<Array>() else { return };
        let (Some(kind), Some(from), Some(to)) = (parts.get(0).as_string(), parts.get(1).as_string(), parts.get(2).as_string()) else {
            return;
        };
        let me = match &*self.live.borrow() {
            Some(live) => live.me.clone(),
            None => return,
        };
        if from == me || !(to.is_empty() || to == me) {
            return;
        }
        match kind.as_str() {
            "bye" => self.gone(&from),
            "hello" => {
                // A tab that greets again has lost its channels, as after a return from the back-forward cache.
                self.gone(&from);
                self.post("here", &from, None);
                self.meet(&from);
            }
            "here" => self.meet(&from),
            "data" => self.receive(&from, &parts.get(3)),
            _ => {}
        }
    }

    /// Opens a pipe to a tab not known yet. The greater id begins the handshake, so that exactly one side does.
    fn meet(self: &Rc<Self>, tab: &str) {
        let (context, me, channel) = {
            let mut live = self.live.borrow_mut();
            let Some(live) = &mut *live else { return };
            if let Some(known) = live.tabs.get_mut(tab) {
                known.heard = live.context.env().now();
                return;
            }
            (live.context.clone(), live.me.clone(), live.channel.clone())
        };
        let stats = Rc::new(Cell::new(ChannelStats::default()));
        let pipe = TabChannel { channel, me: me.clone(), to: tab.to_owned(), stats: Rc::clone(&stats) };
        let opening = if me.as_str() > tab { Opening::Initiate } else { Opening::Await };
        let Some(id) = context.open_channel(Rc::new(pipe), opening) else { return };
        let heard = context.env().now();
        if let Some(live) = &mut *self.live.borrow_mut() {
            live.tabs.insert(tab.to_owned(), Tab { id, stats, heard });
        }
        self.watch(&context, tab.to_owned(), id);
    }

    /// Waits for the lock of another tab: it is granted when that tab is gone, however it went.
    fn watch(self: &Rc<Self>, context: &AdapterContext, tab: String, id: ChannelId) {
        let weak = Rc::downgrade(self);
        let name = self.lock_name(&tab);
        context.env().spawn(Box::pin(async move {
            if !released(name).await {
                return;
            }
            let Some(inner) = weak.upgrade() else { return };
            let same = inner.live.borrow().as_ref().is_some_and(|live| live.tabs.get(&tab).is_some_and(|known| known.id == id));
            if same {
                inner.gone(&tab);
            }
        }));
    }

    fn gone(&self, tab: &str) {
        let removed = match &mut *self.live.borrow_mut() {
            Some(live) => live.tabs.remove(tab).map(|tab| (live.context.clone(), tab.id)),
            None => None,
        };
        if let Some((context, id)) = removed {
            context.close_channel(id);
        }
    }

    fn drop_silent(&self, now: Timestamp) {
        let silent: Vec<String> = match &*self.live.borrow() {
            Some(live) => live.tabs.iter().filter(|(_, tab)| now.since(tab.heard) > SILENT_MS).map(|(name, _)| name.clone()).collect(),
            None => return,
        };
        for tab in silent {
            self.gone(&tab);
        }
    }

    fn receive(self: &Rc<Self>, from: &str, bytes: &JsValue) {
        self.meet(from);
        let Some(bytes) = bytes.dyn_ref::<Uint8Array>() else { return };
        let bytes = Bytes::from(bytes.to_vec());
        let (context, id, stats) = {
            let live = self.live.borrow();
            let Some(live) = &*live else { return };
            let Some(tab) = live.tabs.get(from) else { return };
            (live.context.clone(), tab.id, Rc::clone(&tab.stats))
        };
        let mut counted = stats.get();
        counted.bytes_in += bytes.len() as u64;
        match frame::Reassembler::new(Limits::default()).push(bytes, context.env().now().0) {
            Ok(messages) => {
                counted.messages_in += messages.len() as u64;
                stats.set(counted);
                context.receive(id, messages);
            }
            Err(error) => {
                let error = RepoError::new(ErrorCode::Decode, format!("a message of another tab could not be read: {error}"));
                context.report(Problem::Network(error));
            }
        }
    }
}

fn post(channel: &BroadcastChannel, kind: &str, from: &str, to: &str, bytes: Option<&[u8]>) {
    let parts = Array::of3(&kind.into(), &from.into(), &to.into());
    if let Some(bytes) = bytes {
        parts.push(&Uint8Array::from(bytes));
    }
    // Fails only once the channel is closed.
    let _ = channel.post_message(&parts);
}

struct TabChannel {
    channel: BroadcastChannel,
    me: String,
    to: String,
    stats: Rc<Cell<ChannelStats>>,
}

impl Channel for TabChannel {
    fn send(&self, messages: Vec<Message>) {
        let mut stats = self.stats.get();
        stats.messages_out += messages.len() as u64;
        // Nothing on the way limits a message, so nothing is cut.
        for bytes in frame::encode_transport(&messages, 0, || [0; 8]) {
            stats.bytes_out += bytes.len() as u64;
            post(&self.channel, "data", &self.me, &self.to, Some(&bytes));
        }
        self.stats.set(stats);
    }

    fn close(&self) {
        post(&self.channel, "bye", &self.me, &self.to, None);
    }

    fn stats(&self) -> ChannelStats {
        self.stats.get()
    }
}

/// Returns `navigator.locks`, which insecure contexts do not have.
fn locks() -> Option<JsValue> {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).ok()?;
    let locks = Reflect::get(&navigator, &"locks".into()).ok()?;
    locks.is_object().then_some(locks)
}

fn request(name: &str, granted: &Function) -> Option<Promise> {
    let locks = locks()?;
    let request: Function = Reflect::get(&locks, &"request".into()).ok()?.dyn_into().ok()?;
    request.call2(&locks, &name.into(), granted).ok()?.dyn_into().ok()
}

/// Takes a lock and holds it until the result is dropped.
async fn hold(name: String) -> Option<Lock> {
    let (release, released) = oneshot::channel::<()>();
    let (granted, grant) = oneshot::channel::<()>();
    let until_released = wasm_bindgen_futures::future_to_promise(async move {
        let _ = released.await;
        Ok(JsValue::UNDEFINED)
    });
    let on_grant = Closure::once_into_js(move || {
        let _ = granted.send(());
        until_released
    });
    let _held = request(&name, on_grant.unchecked_ref())?;
    grant.await.ok()?;
    Some(Lock { release: Some(release) })
}

/// Completes with `true` when the holder of a lock is gone; with `false` at once where there are no locks.
async fn released(name: String) -> bool {
    let on_grant = Closure::once_into_js(|| JsValue::UNDEFINED);
    match request(&name, on_grant.unchecked_ref()) {
        Some(done) => JsFuture::from(done).await.is_ok(),
        None => false,
    }
}
