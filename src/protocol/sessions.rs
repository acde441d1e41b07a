//! Several repos behind one socket: the tabs of a browser, one of which holds the connection for all.
//!
//! Decides the payloads that carry a session's payloads. A client asks with the text [`SESSIONS`] once the server is ready, a server that
//! can answers with the same text before it takes any session; one that cannot ignores it, as every text it does not know. A session is
//! what a socket of its own would be: it begins with the handshake of its repo and ends when either side closes it or the socket ends.

use bytes::Bytes;

/// Text frame that asks for sessions, and that says yes.
pub const SESSIONS: &str = "sessions";

/// First byte of these payloads; the others are those of [`super::frame`].
const SESSION: u8 = 3;
const HEADER: usize = 6;
const OPEN: u8 = 0;
const DATA: u8 = 1;
const CLOSE: u8 = 2;

/// What one payload says of a session, which the client numbers. A number is used once on a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionPayload {
    /// The client begins one.
    Open(u32),
    /// A transport payload of it.
    Data(u32, Bytes),
    /// It has ended. Who did not end it answers with the same, and then forgets it.
    Close(u32),
}

impl SessionPayload {
    /// Encodes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Open(session) => header(OPEN, *session, 0),
            Self::Data(session, payload) => data(*session, payload),
            Self::Close(session) => header(CLOSE, *session, 0),
        }
    }

    /// Returns whether a payload is one of these and not one of the socket itself.
    #[must_use]
    pub fn is_one(payload: &[u8]) -> bool {
        payload.first() == Some(&SESSION)
    }

    /// Decodes a payload; `None` if it is malformed. Bytes after an opening or closing are ignored.
    #[must_use]
    pub fn decode(payload: &Bytes) -> Option<Self> {
        let [prefix, kind, session @ ..] = *payload.first_chunk::<HEADER>()?;
        let session = u32::from_be_bytes(session);
        match (prefix, kind) {
            (SESSION, OPEN) => Some(Self::Open(session)),
            (SESSION, DATA) => Some(Self::Data(session, payload.slice(HEADER..))),
            (SESSION, CLOSE) => Some(Self::Close(session)),
            _ => None,
        }
    }
}

/// Encodes a transport payload of a session.
#[must_use]
pub fn data(session: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = header(DATA, session, payload.len());
    out.extend_from_slice(payload);
    out
}

fn header(kind: u8, session: u32, more: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + more);
    out.extend_from_slice(&[SESSION, kind]);
    out.extend_from_slice(&session.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_keep_their_bytes_on_the_wire() {
        let golden: [(SessionPayload, &[u8]); 3] = [
            (SessionPayload::Open(1), &[3, 0, 0, 0, 0, 1]),
            (SessionPayload::Data(0x0102_0304, Bytes::from_static(&[0, 9])), &[3, 1, 1, 2, 3, 4, 0, 9]),
            (SessionPayload::Close(u32::MAX), &[3, 2, 255, 255, 255, 255]),
        ];
        for (payload, bytes) in golden {
            assert_eq!(payload.encode(), bytes);
            assert!(SessionPayload::is_one(bytes));
            assert_eq!(SessionPayload::decode(&Bytes::copy_from_slice(bytes)), Some(payload));
        }
        assert_eq!(SessionPayload::decode(&Bytes::from_static(&[3, 1, 0, 0, 0, 7])), Some(SessionPayload::Data(7, Bytes::new())));
    }

    #[test]
    fn malformed_payloads_are_none() {
        for bytes in [&[][..], &[3], &[3, 0, 0, 0, 0], &[3, 3, 0, 0, 0, 0], &[0, 0, 0, 0, 0, 0]] {
            assert_eq!(SessionPayload::decode(&Bytes::copy_from_slice(bytes)), None, "{bytes:?}");
        }
        assert!(!SessionPayload::is_one(&[2]) && !SessionPayload::is_one(&[]));
    }
}
