//! A session of the extension's first version, in `tests/golden/session.json`: two clients and a hub, replayed against each side as it is now.
//!
//! In it both clients open "d"; the first one types, shows its cursor, types without a connection, comes back, and makes "e" and asks to have it deleted.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use corella::{
    Repo, RepoConfig,
    protocol::{Limits, Message, PeerType, frame},
    runtime::{Adapter, AdapterContext, AdapterState, Channel, ChannelStats, LocalBoxFuture, Opening},
    synchronizer::{ChannelId, ChannelKind, Interest},
};
use serde_json::Value;

use crate::{
    disk::{Disk, Drive},
    world::World,
};

/// One end of every link of the session; the other ends are what was recorded.
#[derive(Default)]
struct Stage {
    context: RefCell<Option<AdapterContext>>,
    channels: RefCell<[Option<ChannelId>; 2]>,
    said: Rc<RefCell<Vec<(usize, Message)>>>,
    closed: Rc<Cell<bool>>,
}

struct Said {
    link: usize,
    said: Rc<RefCell<Vec<(usize, Message)>>>,
    closed: Rc<Cell<bool>>,
}

impl Channel for Said {
    fn send(&self, messages: Vec<Message>) {
        self.said.borrow_mut().extend(messages.into_iter().map(|message| (self.link, message)));
    }

    fn close(&self) {
        self.closed.set(true);
    }

    fn stats(&self) -> ChannelStats {
        ChannelStats::default()
    }
}

impl Adapter for Stage {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Network
    }

    fn name(&self) -> &str {
        "session"
    }

    fn start(&self, context: AdapterContext) {
        *self.context.borrow_mut() = Some(context);
    }

    fn stop(&self) -> LocalBoxFuture<()> {
        Box::pin(std::future::ready(()))
    }

    fn state(&self) -> AdapterState {
        AdapterState::Open
    }
}

impl Stage {
    /// Plays what `part` said on the links that `on` names, in the session's time.
    fn play(&self, world: &mut World, part: &str, on: &dyn Fn(usize) -> bool) {
        let context = self.context.borrow().clone().unwrap();
        let mut now = 0;
        for event in session()["events"].as_array().unwrap() {
            let number = |key: &str| event[key].as_u64().unwrap();
            let link = number("link") as usize;
            world.run(number("at") - now);
            now = number("at");
            let channel = self.channels.borrow()[link];
            match event["what"].as_str().unwrap() {
                _ if !on(link) => {}
                "open" => {
                    let said = Said { link, said: Rc::clone(&self.said), closed: Rc::clone(&self.closed) };
                    let opening = if part == "client" { Opening::Await } else { Opening::Initiate };
                    let opened = context.open_channel(Rc::new(said), opening);
                    self.channels.borrow_mut()[link] = opened;
                }
                "close" => {
                    self.channels.borrow_mut()[link] = None;
                    context.close_channel(channel.unwrap());
                }
                what if what == part => {
                    let bytes = hex(event["frame"].as_str().unwrap());
                    let messages = frame::Reassembler::new(Limits::default()).push(bytes.into(), 0).unwrap();
                    context.receive(channel.unwrap(), messages);
                }
                _ => {}
            }
        }
        world.run(2_000);
    }

    fn said(&self, link: usize, what: impl Fn(&Message) -> bool) -> bool {
        self.said.borrow().iter().any(|(known, message)| *known == link && what(message))
    }
}

fn session() -> Value {
    serde_json::from_str(include_str!("../golden/session.json")).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn text(repo: &Repo) -> String {
    repo.get("d").unwrap().doc().get_text("text").to_string()
}

#[test]
fn clients_of_the_first_version_are_served_as_they_were_by_their_own_hub() {
    let mut world = World::new(91);
    let (stage, disk) = (Rc::new(Stage::default()), Disk::new());
    let store: Rc<dyn Adapter> = Drive::new(&disk, world.env(), 3, 0);
    let config = RepoConfig {
        interest: Interest::Everything,
        peer_type: PeerType::Service,
        permissions: Rc::new(ClientsDelete),
        adapters: vec![store, stage.clone()],
        ..RepoConfig::default()
    };
    let hub = Repo::new(world.env(), config);
    stage.play(&mut world, "client", &|_| true);
    assert!(!stage.closed.get(), "nobody is thrown out");
    assert_eq!(text(&hub), session()["text"].as_str().unwrap());
    assert_eq!(disk.contents("d").get_text("text").to_string(), text(&hub));
    let about = |message: &Message, name: &str| match message {
        Message::Give { doc, .. } | Message::Ack { doc, .. } | Message::Ephemeral { doc, .. } => doc.as_str() == name,
        _ => false,
    };
    assert!(stage.said(1, |message| matches!(message, Message::Give { .. }) && about(message, "d")), "the other client is given it");
    assert!(stage.said(0, |message| matches!(message, Message::Ack { durable: Some(_), .. }) && about(message, "d")), "it is acknowledged");
    assert!(
        stage.said(1, |message| matches!(message, Message::Ephemeral { hops: 0, .. }) && about(message, "d")),
        "presence is relayed once"
    );
    assert!(disk.remembers_deletion("e") && hub.list().iter().all(|info| info.doc.as_str() != "e"));
}

#[test]
fn a_client_gets_from_a_hub_of_the_first_version_what_its_own_clients_got() {
    let mut world = World::new(92);
    let stage = Rc::new(Stage::default());
    let config = RepoConfig { adapters: vec![stage.clone()], ..RepoConfig::default() };
    let client = Repo::new(world.env(), config);
    let handle = client.get("d").unwrap();
    let cursors = handle.ephemeral("cursors");
    let seen = Rc::new(Cell::new(0));
    let count = Rc::clone(&seen);
    cursors.on_change(move |event| count.set(count.get().max(event.change.added.len()))).detach();
    stage.play(&mut world, "hub", &|link| link == 1);
    assert!(!stage.closed.get());
    assert_eq!(text(&client), session()["text"].as_str().unwrap());
    assert_eq!(seen.get(), 1, "the other client's cursor was shown");
    assert!(stage.said(1, |message| matches!(message, Message::Ack { .. })), "it says what it has taken");
}

struct ClientsDelete;

impl corella::synchronizer::Permissions for ClientsDelete {
    fn deletion(&self, _: &corella::DocId, _: Option<&corella::synchronizer::Creator>, _: &corella::synchronizer::PeerContext) -> bool {
        true
    }
}
