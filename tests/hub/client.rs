//! A client made of a socket, the codec and documents, without a repo.

use std::{net::SocketAddr, time::Duration};

use corella::{
    DocId, PeerId, VersionVector,
    protocol::{
        Capabilities, Identity, Limits, Message, PeerType, Role, Transmission,
        frame::{FRAGMENT_THRESHOLD, Reassembler, encode_transport},
    },
};
use futures_util::{SinkExt, StreamExt};
use loro::{ExportMode, LoroDoc};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message as Frame, protocol::CloseFrame},
};

/// How long something that must happen may take.
pub(crate) const WAIT: Duration = Duration::from_secs(10);

/// A client made of a socket, the codec and documents, without a repo.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) reassembler: Reassembler,
    pub(crate) inbox: std::collections::VecDeque<Message>,
    pub(crate) peer: PeerId,
    pub(crate) docs: std::collections::BTreeMap<DocId, LoroDoc>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum End {
    Closed(u16, String),
    Dropped,
}

impl Client {
    /// Connects and waits for the text `ready`.
    pub(crate) async fn raw(address: SocketAddr, peer: u64) -> Self {
        let (socket, _) = connect_async(format!("ws://{address}/ws?peerId=7")).await.unwrap();
        let mut client = Self {
            socket,
            reassembler: Reassembler::new(Limits::default()),
            inbox: Default::default(),
            peer: PeerId::from(peer),
            docs: Default::default(),
        };
        assert_eq!(client.frame().await.unwrap(), Frame::text("ready"));
        client
    }

    pub(crate) async fn connect(address: SocketAddr, peer: u64) -> Self {
        Self::named(address, peer, "raw").await
    }

    pub(crate) async fn named(address: SocketAddr, peer: u64, name: &str) -> Self {
        Self::introduced(address, peer, name, None).await
    }

    /// Connects as one that speaks the extension of the protocol.
    pub(crate) async fn corella(address: SocketAddr, peer: u64) -> Self {
        Self::introduced(address, peer, "corella", Some(Capabilities::own(Role::Leaf))).await
    }

    async fn introduced(address: SocketAddr, peer: u64, name: &str, capabilities: Option<Capabilities>) -> Self {
        let mut client = Self::raw(address, peer).await;
        let identity = Identity { peer_id: client.peer.clone(), name: Some(name.into()), peer_type: PeerType::User, capabilities };
        client.send(&[Message::EstablishRequest(identity)]).await;
        match client.next().await {
            Message::EstablishResponse(hub) => {
                assert_eq!((hub.name.as_deref(), &hub.peer_type), (Some("corella-hub"), &PeerType::Service));
            }
            other => panic!("expected establish-response, got {other:?}"),
        }
        client
    }

    pub(crate) async fn send(&mut self, messages: &[Message]) {
        for payload in encode_transport(messages, FRAGMENT_THRESHOLD, || 7u64.to_be_bytes()) {
            self.socket.send(Frame::Binary(payload.into())).await.unwrap();
        }
    }

    pub(crate) async fn frame(&mut self) -> Result<Frame, End> {
        match timeout(WAIT, self.socket.next()).await.expect("the hub says something") {
            Some(Ok(Frame::Close(Some(CloseFrame { code, reason })))) => Err(End::Closed(code.into(), reason.to_string())),
            Some(Ok(Frame::Close(None)) | Err(_)) | None => Err(End::Dropped),
            Some(Ok(frame)) => Ok(frame),
        }
    }

    /// Returns the next message, after doing for shared documents what it asks.
    pub(crate) async fn next(&mut self) -> Message {
        while self.inbox.is_empty() {
            if let Frame::Binary(payload) = self.frame().await.unwrap() {
                self.inbox.extend(self.reassembler.push(payload, 0).unwrap());
            }
        }
        let message = self.inbox.pop_front().unwrap();
        match &message {
            Message::SyncRequest { doc, version: theirs, .. } if self.docs.contains_key(doc) => {
                let mine = &self.docs[doc];
                let since = loro::VersionVector::decode(&theirs.encode()).unwrap();
                let data = mine.export(ExportMode::updates(&since)).unwrap().into();
                let transmission = Transmission::Update { data, version: version(mine) };
                self.send(&[Message::SyncResponse { doc: doc.clone(), transmission, ephemeral: None }]).await;
            }
            Message::SyncResponse {
                doc, transmission: Transmission::Snapshot { data, .. } | Transmission::Update { data, .. }, ..
            }
            | Message::Update { doc, transmission: Transmission::Snapshot { data, .. } | Transmission::Update { data, .. } } => {
                if let Some(mine) = self.docs.get(doc) {
                    mine.import(data).unwrap();
                }
            }
            _ => {}
        }
        message
    }

    /// Offers a document and subscribes to it.
    pub(crate) async fn share(&mut self, id: &str, doc: &LoroDoc) {
        self.docs.insert(DocId::new(id).unwrap(), doc.clone());
        self.send(&[Message::SyncRequest { doc: DocId::new(id).unwrap(), version: version(doc), ephemeral: None, bidirectional: true }])
            .await;
    }

    pub(crate) async fn until_text(&mut self, doc: &LoroDoc, expected: &str) {
        timeout(WAIT, async {
            while text(doc) != expected {
                self.next().await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{expected:?} expected, there is {:?}", text(doc)));
    }

    /// Reads until `pick` takes a message.
    pub(crate) async fn until<T>(&mut self, mut pick: impl FnMut(&Message) -> Option<T>) -> T {
        timeout(WAIT, async {
            loop {
                let message = self.next().await;
                if let Some(found) = pick(&message) {
                    return found;
                }
            }
        })
        .await
        .expect("the message comes")
    }

    pub(crate) async fn ended(&mut self) -> End {
        loop {
            if let Err(end) = self.frame().await {
                return end;
            }
        }
    }

    /// Asks for a document and returns it once there is something in it.
    pub(crate) async fn fetch(&mut self, id: &str) -> LoroDoc {
        let mine = LoroDoc::new();
        self.share(id, &mine).await;
        timeout(WAIT, async {
            while mine.oplog_vv().is_empty() {
                self.next().await;
            }
        })
        .await
        .expect("the document comes");
        mine
    }

    /// Asks until the hub says it has all of a shared document, more and more seldom: it answers 64 questions about one in ten seconds.
    pub(crate) async fn until_held(&mut self, id: &str) {
        let id = DocId::new(id).unwrap();
        let mine = version(&self.docs[&id]);
        self.ask(&id).await;
        let all = async {
            let mut pause = Duration::from_millis(5);
            loop {
                match self.next().await {
                    Message::SyncResponse { doc, transmission: Transmission::UpToDate { version: has }, .. }
                        if doc == id && has.includes(&mine) =>
                    {
                        return;
                    }
                    Message::SyncResponse { doc, .. } if doc == id => {
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(Duration::from_millis(400));
                        self.ask(&id).await;
                    }
                    _ => {}
                }
            }
        };
        timeout(WAIT, all).await.expect("the hub has everything");
    }

    pub(crate) async fn ask(&mut self, id: &DocId) {
        let version = version(&self.docs[id]);
        self.send(&[Message::SyncRequest { doc: id.clone(), version, ephemeral: None, bidirectional: false }]).await;
    }

    pub(crate) async fn ping(&mut self) {
        self.socket.send(Frame::text("ping")).await.unwrap();
        while self.frame().await.unwrap() != Frame::text("pong") {}
    }
}

pub(crate) fn version(doc: &LoroDoc) -> VersionVector {
    VersionVector::decode(&doc.oplog_vv().encode()).unwrap()
}

pub(crate) fn write(doc: &LoroDoc, text: &str) {
    doc.get_text("text").insert(0, text).unwrap();
    doc.commit();
}

pub(crate) fn push(id: &str, doc: &LoroDoc) -> Message {
    let data = doc.export(ExportMode::all_updates()).unwrap().into();
    let transmission = Transmission::Update { data, version: version(doc) };
    Message::Update { doc: DocId::new(id).unwrap(), transmission }
}

pub(crate) fn text(doc: &LoroDoc) -> String {
    doc.get_text("text").to_string()
}
