//! The browser: WebSocket, IndexedDB, BroadcastChannel, timers.
