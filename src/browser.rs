//! The browser: WebSocket, IndexedDB, BroadcastChannel, timers.
//!
//! Decides when pipes and stores are opened, kept and opened again; never what travels through them. Everything works in a
//! window and in a dedicated worker, and no browser global is touched before an adapter is started.

mod broadcast;
pub(crate) mod env;
mod headroom;
mod indexed_db;
mod listener;
mod lock;
mod loro_extended;
pub(crate) mod panics;
mod websocket;

pub use broadcast::BroadcastChannelAdapter;
pub use env::BrowserEnv;
pub use indexed_db::IndexedDbAdapter;
pub use listener::Listener;
pub use loro_extended::{LORO_EXTENDED_DATABASE, read_loro_extended};
pub use websocket::{Part, Sharing, UrlFuture, UrlSource, WebSocketAdapter};
