//! A repo's connection to a hub: a real WebSocket that comes again.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use corella::{
    DocId, VersionVector,
    protocol::{
        Limits, Message,
        frame::{FRAGMENT_THRESHOLD, READY, Reassembler, encode_transport},
    },
    runtime::{Adapter, AdapterContext, AdapterState, Channel, ChannelStats, LocalBoxFuture, Opening},
    synchronizer::ChannelKind,
};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio_tungstenite::{connect_async, tungstenite::Message as Frame};

/// Where a hub listens at present, if it does.
pub(crate) type Address = Rc<Cell<Option<SocketAddr>>>;

/// Connects a repo with the hub at an address, again and again. To be used on a `LocalSet`.
pub(crate) struct SocketAdapter {
    address: Address,
    /// What hubs said is on their disk, of every document.
    durable: RefCell<Vec<(DocId, VersionVector)>>,
}

impl SocketAdapter {
    pub(crate) fn new(address: &Address) -> Rc<Self> {
        Rc::new(Self { address: Rc::clone(address), durable: RefCell::default() })
    }

    /// Returns what hubs said is on their disk since this was asked last.
    pub(crate) fn take_durable(&self) -> Vec<(DocId, VersionVector)> {
        self.durable.take()
    }

    fn hear(&self, messages: &[Message]) {
        for message in messages {
            if let Message::Ack { doc, durable: Some(durable), .. } = message {
                self.durable.borrow_mut().push((doc.clone(), durable.clone()));
            }
        }
    }

    async fn connection(&self, address: SocketAddr, context: &AdapterContext) {
        let Ok((mut socket, _)) = connect_async(format!("ws://{address}/ws")).await else { return };
        match socket.next().await {
            Some(Ok(Frame::Text(text))) if text.as_str() == READY => {}
            _ => return,
        }
        let (out, mut outgoing) = mpsc::unbounded_channel();
        let Some(channel) = context.open_channel(Rc::new(Pipe(out)), Opening::Initiate) else { return };
        let mut reassembler = Reassembler::new(Limits::default());
        loop {
            tokio::select! {
                frame = socket.next() => match frame {
                    Some(Ok(Frame::Binary(payload))) => {
                        let messages = reassembler.push(payload, 0).unwrap();
                        self.hear(&messages);
                        context.receive(channel, messages);
                    }
                    Some(Ok(Frame::Close(_)) | Err(_)) | None => break,
                    Some(Ok(_)) => {}
                },
                messages = outgoing.recv() => {
                    let Some(messages) = messages else { break };
                    for payload in encode_transport(&messages, FRAGMENT_THRESHOLD, || context.env().random_u64().to_be_bytes()) {
                        // The end is noticed where it is read.
                        let _ = socket.send(Frame::Binary(payload.into())).await;
                    }
                }
            }
        }
        context.close_channel(channel);
    }
}

/// What an adapter gives its repo to hold.
pub(crate) struct Held(pub(crate) Rc<SocketAdapter>);

impl Adapter for Held {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Network
    }

    fn name(&self) -> &str {
        "socket"
    }

    fn start(&self, context: AdapterContext) {
        let adapter = Rc::downgrade(&self.0);
        let env = context.env();
        env.spawn(Box::pin(async move {
            while let Some(adapter) = adapter.upgrade() {
                if let Some(address) = adapter.address.get() {
                    adapter.connection(address, &context).await;
                }
                drop(adapter);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }));
    }

    fn stop(&self) -> LocalBoxFuture<()> {
        Box::pin(std::future::ready(()))
    }

    fn state(&self) -> AdapterState {
        AdapterState::Open
    }
}

struct Pipe(mpsc::UnboundedSender<Vec<Message>>);

impl Channel for Pipe {
    fn send(&self, messages: Vec<Message>) {
        let _ = self.0.send(messages);
    }

    fn close(&self) {}

    fn stats(&self) -> ChannelStats {
        ChannelStats::default()
    }
}
