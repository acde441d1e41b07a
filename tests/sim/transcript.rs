//! Recorded sessions of the reference implementation, replayed: its clients against our hub, its server against our client.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use corella::{
    Repo, RepoConfig,
    protocol::{Limits, Message, PeerType, Transmission, frame},
    runtime::{Adapter, AdapterContext, AdapterState, Channel, ChannelStats, LocalBoxFuture, Opening},
    synchronizer::{ChannelId, ChannelKind, Interest},
};
use serde_json::Value;

use crate::world::World;

/// One recorded frame.
struct Frame {
    seq: u64,
    connection: u64,
    to_server: bool,
    event: Event,
}

enum Event {
    Open,
    Close,
    Binary(Vec<u8>),
}

/// Reads a transcript. Frames cut off by the recording are left out.
fn transcript(name: &str) -> Vec<Frame> {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let json: Value = serde_json::from_str(&text).unwrap();
    let frames = json["frames"].as_array().unwrap().iter().filter(|frame| frame["run"].as_u64().unwrap_or(1) == 1).filter_map(|frame| {
        let event = match (frame["dir"].as_str()?, frame["kind"].as_str()) {
            ("open", _) => Event::Open,
            ("close", _) => Event::Close,
            (_, Some("binary")) if frame["data_truncated"].as_bool() != Some(true) => {
                let hex = frame["data"].as_str()?;
                Event::Binary((0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect())
            }
            _ => return None,
        };
        Some(Frame { seq: frame["seq"].as_u64()?, connection: frame["conn"].as_u64()?, to_server: frame["dir"] == "c2s", event })
    });
    frames.collect()
}

/// An adapter whose other end is a recording; keeps what our side says.
#[derive(Default)]
struct Recording {
    context: RefCell<Option<AdapterContext>>,
    channels: RefCell<Vec<(u64, ChannelId, frame::Reassembler)>>,
    said: Rc<RefCell<Vec<(u64, Message)>>>,
    stopped: Cell<bool>,
}

struct Said {
    connection: u64,
    said: Rc<RefCell<Vec<(u64, Message)>>>,
}

impl Channel for Said {
    fn send(&self, messages: Vec<Message>) {
        self.said.borrow_mut().extend(messages.into_iter().map(|message| (self.connection, message)));
    }

    fn close(&self) {}

    fn stats(&self) -> ChannelStats {
        ChannelStats::default()
    }
}

impl Adapter for Recording {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Network
    }

    fn name(&self) -> &str {
        "recording"
    }

    fn start(&self, context: AdapterContext) {
        *self.context.borrow_mut() = Some(context);
    }

    fn stop(&self) -> LocalBoxFuture<()> {
        self.stopped.set(true);
        Box::pin(std::future::ready(()))
    }

    fn state(&self) -> AdapterState {
        AdapterState::Open
    }
}

impl Recording {
    fn play(&self, frame: &Frame, opening: Opening) {
        let context = self.context.borrow().clone().unwrap();
        match &frame.event {
            Event::Open => {
                let said = Said { connection: frame.connection, said: Rc::clone(&self.said) };
                let channel = context.open_channel(Rc::new(said), opening).unwrap();
                self.channels.borrow_mut().push((frame.connection, channel, frame::Reassembler::new(Limits::default())));
            }
            Event::Close => {
                let closed: Vec<_> = self.channels.borrow_mut().extract_if(.., |(known, ..)| *known == frame.connection).collect();
                for (_, channel, _) in closed {
                    context.close_channel(channel);
                }
            }
            Event::Binary(bytes) => {
                let received = {
                    let mut channels = self.channels.borrow_mut();
                    let (_, channel, reassembler) = channels.iter_mut().find(|(known, ..)| *known == frame.connection).unwrap();
                    (*channel, reassembler.push(bytes.clone().into(), context.env().now().0).unwrap())
                };
                context.receive(received.0, received.1);
            }
        }
    }
}

fn repo(world: &World, interest: Interest, peer_type: PeerType, recording: &Rc<Recording>) -> Repo {
    let adapters: Vec<Rc<dyn Adapter>> = vec![Rc::clone(recording) as Rc<dyn Adapter>];
    Repo::new(world.env(), RepoConfig { interest, peer_type, adapters, ..RepoConfig::default() })
}

fn shows(repo: &Repo, doc: &str, text: &str) -> bool {
    format!("{:?}", repo.get(doc).unwrap().doc().get_deep_value()).contains(text)
}

#[test]
fn recorded_clients_sync_text_late_joins_presence_and_reconnects_through_our_hub() {
    let frames = transcript("transcript.json");
    let mut world = World::new(21);
    let recording = Rc::new(Recording::default());
    let hub = repo(&world, Interest::Everything, PeerType::Service, &recording);
    let until = |seq: u64, from: u64| frames.iter().filter(move |frame| (from..seq).contains(&frame.seq));
    let mut play = |seq: u64, from: u64| {
        for frame in until(seq, from).filter(|frame| frame.to_server || !matches!(frame.event, Event::Binary(_))) {
            recording.play(frame, Opening::Await);
            world.run(20);
        }
    };
    // A wrote "hello world"; B joins late.
    play(21, 0);
    assert!(shows(&hub, "doc-1", "hello world"));
    let to = |connection: u64| {
        let said = Rc::clone(&recording.said);
        move |wanted: &dyn Fn(&Message) -> bool| said.borrow().iter().any(|(to, message)| *to == connection && wanted(message))
    };
    let data = |message: &Message| {
        matches!(
            message,
            Message::SyncResponse { transmission: Transmission::Snapshot { .. } | Transmission::Update { .. }, .. }
                | Message::Update { transmission: Transmission::Snapshot { .. } | Transmission::Update { .. }, .. }
        )
    };
    assert!(to(2)(&data), "the late client was given the text");
    // Edits both ways, then presence.
    play(34, 21);
    assert!(shows(&hub, "doc-1", "> hello world!"));
    let presence = |message: &Message| matches!(message, Message::Ephemeral { hops: 0, stores, .. } if !stores.is_empty());
    assert!(to(1)(&presence) && to(2)(&presence), "presence is relayed with one hop less");
    // B drops; both edit meanwhile; B returns.
    play(70, 34);
    assert!(shows(&hub, "doc-1", "[B] > hello world! [A]"));
    assert!(to(1)(&|message| matches!(message, Message::Update { transmission: Transmission::Update { .. }, .. })));
    // Whoever returns is asked about what it follows, even when it says nothing itself.
    assert!(to(3)(&|message| matches!(message, Message::SyncRequest { doc, bidirectional: true, .. } if doc.as_str() == "doc-1")));
    world.run(5_000);
}

#[test]
fn our_client_gets_a_document_from_the_recorded_server_and_answers_what_it_asks() {
    let frames = transcript("transcript.json");
    let mut world = World::new(22);
    let recording = Rc::new(Recording::default());
    let client = repo(&world, Interest::Opened, PeerType::User, &recording);
    let handle = client.get("doc-1").unwrap();
    // A fresh repo connects to a server that has the document.
    for frame in frames.iter().filter(|frame| frame.connection == 4 && frame.seq < 110 && !frame.to_server) {
        recording.play(frame, Opening::Initiate);
        world.run(20);
    }
    assert!(shows(&client, "doc-1", "[B] > hello world! [A]"));
    let said = recording.said.borrow();
    assert!(matches!(said.first(), Some((_, Message::EstablishRequest(_)))));
    let asked = said.iter().filter(|(_, message)| matches!(message, Message::SyncRequest { doc, .. } if doc.as_str() == "doc-1")).count();
    let answered =
        said.iter().filter(|(_, message)| matches!(message, Message::SyncResponse { doc, .. } if doc.as_str() == "doc-1")).count();
    assert!(asked >= 1 && answered >= 1, "asked {asked}, answered {answered}");
    // Documents the server offers and nobody opened here are known, declined and not fetched.
    let listed: Vec<_> = client.list().into_iter().filter(|info| !info.open).map(|info| info.doc.to_string()).collect();
    for doc in &listed {
        let declined = said.iter().any(|(_, message)| {
            matches!(message, Message::SyncResponse { doc: of, transmission: Transmission::Unavailable, .. } if of.as_str() == doc)
        });
        assert!(declined, "{doc} was not declined");
    }
    drop(said);
    handle.close();
}
