//! What one socket carries for several tabs: each is a client of its own to the repo.
//!
//! Decides how many there may be and how much of incomplete frames they may hold together.

use std::collections::BTreeMap;

use bytes::Bytes;
use tracing::{debug, warn};

use super::connection::Inlet;
use crate::protocol::sessions::SessionPayload;

/// Tabs one socket may serve.
const MAX_SESSIONS: usize = 256;

/// The sessions of one socket, by the client's numbers.
#[derive(Default)]
pub(super) struct Sessions {
    open: BTreeMap<u32, Inlet>,
    /// The highest number used: each is used once, so that nothing meant for an earlier session reaches a later one.
    last: Option<u32>,
}

impl Sessions {
    /// Does what a payload says, and tells whether a handshake is in it; `None` when the hub is gone.
    pub(super) async fn take(&mut self, socket: &Inlet, payload: &Bytes, now: u64) -> Option<bool> {
        match SessionPayload::decode(payload) {
            Some(SessionPayload::Open(session)) => {
                if self.open.len() >= MAX_SESSIONS || self.last >= Some(session) {
                    warn!(connection = socket.pipe.connection(), session, open = self.open.len(), "session refused");
                    socket.pipe.tell(&SessionPayload::Close(session));
                    return Some(false);
                }
                self.last = Some(session);
                let inlet = Inlet::open(socket.pipe.of_session(session)).await?;
                debug!(connection = socket.pipe.connection(), session, number = inlet.pipe.connection(), "session opened");
                self.open.insert(session, inlet);
                Some(false)
            }
            Some(SessionPayload::Data(session, payload)) => {
                let Some(inlet) = self.open.get_mut(&session).filter(|inlet| !inlet.pipe.has_left()) else { return Some(false) };
                let established = inlet.take(payload, now).await?;
                if inlet.held() > 0 && self.open.values().map(Inlet::held).sum::<usize>() > socket.room() {
                    // The tab begins anew; what the others are in the middle of goes on.
                    warn!(connection = socket.pipe.connection(), session, "too many incomplete frames behind one socket; session closed");
                    if let Some(inlet) = self.open.get_mut(&session) {
                        inlet.abandon();
                    }
                }
                Some(established)
            }
            Some(SessionPayload::Close(session)) => {
                if let Some(inlet) = self.open.remove(&session) {
                    if !inlet.pipe.has_left() {
                        inlet.pipe.close();
                    }
                    inlet.close().await;
                }
                Some(false)
            }
            None => {
                debug!(connection = socket.pipe.connection(), "malformed session payload dropped");
                Some(false)
            }
        }
    }

    /// Tells the repo that all of them are gone.
    pub(super) async fn close(self) {
        for inlet in self.open.into_values() {
            inlet.close().await;
        }
    }
}
