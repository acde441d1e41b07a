//! The browser: WebSocket, IndexedDB, BroadcastChannel, timers, in a window or a worker.
//!
//! Decides how these behave when things go wrong. Knows nothing of documents and touches no global before an adapter starts.

mod broadcast;
mod env;
mod listener;
mod websocket;

pub use broadcast::BroadcastChannelAdapter;
pub use env::BrowserEnv;
pub use listener::Listener;
pub use websocket::{UrlSource, WebSocketAdapter};
