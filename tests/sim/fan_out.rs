//! One change to many subscribers is exported once, whatever its size.

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;
use corella::{
    DocId, Repo, RepoConfig,
    protocol::{Capabilities, Identity, Message, PeerId, PeerType, Role, VersionVector, extension::Head},
    runtime::{Adapter, AdapterContext, AdapterState, Channel, ChannelStats, LocalBoxFuture, Opening},
    synchronizer::{ChannelId, ChannelKind, Interest},
};

use crate::{chance::Chance, world::World};

const SUBSCRIBERS: u64 = 1_000;
const CHANGE_BYTES: usize = 100_000;

/// What was pushed, and to nobody: the same bytes in memory are the same export.
type Pushed = Rc<RefCell<Vec<Bytes>>>;

struct Ear(Pushed);

impl Channel for Ear {
    fn send(&self, messages: Vec<Message>) {
        let given = messages.into_iter().filter_map(|message| match message {
            Message::Give { data, .. } => Some(data),
            _ => None,
        });
        self.0.borrow_mut().extend(given);
    }
    fn close(&self) {}
    fn stats(&self) -> ChannelStats {
        ChannelStats::default()
    }
}

struct Crowd {
    pushed: Pushed,
    context: RefCell<Option<AdapterContext>>,
}

impl Crowd {
    fn say(&self, channel: ChannelId, message: Message) {
        self.context.borrow().as_ref().unwrap().receive(channel, vec![message]);
    }
}

impl Adapter for Crowd {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Network
    }
    fn name(&self) -> &str {
        "crowd"
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

#[test]
fn a_large_change_to_a_thousand_subscribers_is_exported_once() {
    let mut world = World::new(63);
    let crowd = Rc::new(Crowd { pushed: Rc::default(), context: RefCell::default() });
    let config = RepoConfig {
        adapters: vec![Rc::clone(&crowd) as Rc<dyn Adapter>],
        interest: Interest::Everything,
        peer_type: PeerType::Service,
        ..RepoConfig::default()
    };
    let hub = Repo::new(world.env(), config);
    let handle = hub.get("d").unwrap();
    for peer in 0..SUBSCRIBERS {
        let ear = Rc::new(Ear(Rc::clone(&crowd.pushed)));
        let channel = crowd.context.borrow().as_ref().unwrap().open_channel(ear, Opening::Await).unwrap();
        let capabilities = Some(Capabilities::own(Role::Leaf));
        let identity = Identity { peer_id: PeerId::from(1_000 + peer), name: None, peer_type: PeerType::User, capabilities };
        crowd.say(channel, Message::EstablishRequest(identity));
        let head = Head { doc: DocId::new("d").unwrap(), lineage: 0, version: VersionVector::new() };
        crowd.say(channel, Message::Heads { heads: vec![head], reply: true });
    }
    world.run(100);
    let chance = Chance::new(1);
    let change: String = (0..CHANGE_BYTES).map(|_| char::from(b'a' + chance.below(26) as u8)).collect();
    handle.change(|doc| doc.get_text("text").insert(0, &change).unwrap(), None, None).unwrap();
    world.run(100);
    let pushed = crowd.pushed.borrow();
    assert_eq!(pushed.len() as u64, SUBSCRIBERS);
    assert!(pushed.iter().all(|data| data.len() >= CHANGE_BYTES && data.as_ptr() == pushed[0].as_ptr()), "more than one export");
}
