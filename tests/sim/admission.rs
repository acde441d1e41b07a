//! Judging what peers send: order, late verdicts, refusals, limits.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use corella::{
    DocId, PeerId, Repo, RepoConfig, VersionVector,
    protocol::{Capabilities, EphemeralPayload, Identity, Message, MessageKind, PeerType, RefusalReason, Role, extension::Head},
    runtime::{
        Adapter, AdapterContext, AdapterState, Admission, AdmissionRequest, Chain, Channel, ChannelStats, Decision, Durability, Env,
        ErrorCode, LocalBoxFuture, Opening, Rate, RateLimiter, RateLimits, RepoEvent, Verdict, WAITING_BYTES, WAITING_MESSAGES,
    },
    synchronizer::{ChannelId, ChannelKind, Interest, PeerContext, Timestamp},
};
use futures_channel::oneshot;

use crate::{network::Link, world::World};

const NO: Verdict = Verdict::Refuse { reason: RefusalReason::Unauthorized, retry_ms: None };

/// Opens channels whose other end is the test.
#[derive(Default)]
struct Sockets(RefCell<Option<AdapterContext>>);

impl Adapter for Sockets {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Network
    }
    fn name(&self) -> &str {
        "test"
    }
    fn start(&self, context: AdapterContext) {
        *self.0.borrow_mut() = Some(context);
    }
    fn stop(&self) -> LocalBoxFuture<()> {
        Box::pin(std::future::ready(()))
    }
    fn state(&self) -> AdapterState {
        AdapterState::Open
    }
}

#[derive(Default)]
struct Pipe {
    sent: RefCell<Vec<Message>>,
    closed: Cell<bool>,
}

impl Channel for Pipe {
    fn send(&self, messages: Vec<Message>) {
        self.sent.borrow_mut().extend(messages);
    }
    fn close(&self) {
        self.closed.set(true);
    }
    fn stats(&self) -> ChannelStats {
        ChannelStats::default()
    }
}

/// A peer played by the test.
struct Player {
    context: AdapterContext,
    channel: ChannelId,
    pipe: Rc<Pipe>,
}

impl Player {
    fn send(&self, messages: impl IntoIterator<Item = Message>) {
        self.context.receive(self.channel, messages.into_iter().collect());
    }

    /// Takes the documents of the answers to [`ask`] so far.
    fn answers(&self) -> Vec<String> {
        let sent = std::mem::take(&mut *self.pipe.sent.borrow_mut());
        let answered = sent.into_iter().filter_map(|message| match message {
            Message::DirectoryResponse { docs } => Some(docs[0].as_str().to_owned()),
            _ => None,
        });
        answered.collect()
    }

    fn refusals(&self) -> Vec<Message> {
        self.pipe.sent.borrow().iter().filter(|message| matches!(message, Message::Refusal { .. })).cloned().collect()
    }
}

fn doc(id: &str) -> DocId {
    DocId::new(id).unwrap()
}

/// A message that is answered at once, about one document.
fn ask(id: &str) -> Message {
    Message::DirectoryRequest { docs: Some(vec![doc(id)]) }
}

fn hello(peer: u64, corella: bool) -> Message {
    let capabilities = corella.then(|| Capabilities::own(Role::Leaf));
    Message::EstablishRequest(Identity { peer_id: PeerId::from(peer), name: None, peer_type: PeerType::User, capabilities })
}

/// What an admission was told: the kind, the document, the bytes and the peer.
type Seen = (MessageKind, Option<DocId>, usize, PeerId);

/// Judges by a function.
struct By<F>(F);

impl<F: Fn(&AdmissionRequest) -> Decision> Admission for By<F> {
    fn admit(&self, request: &AdmissionRequest) -> Decision {
        (self.0)(request)
    }
}

/// Keeps everybody waiting for the test's verdict on a document; admits what is about none.
#[derive(Default)]
struct Judge(RefCell<BTreeMap<String, Vec<oneshot::Sender<Verdict>>>>);

impl Judge {
    fn say(&self, id: &str, verdict: Verdict) {
        for waiting in self.0.borrow_mut().remove(id).expect("somebody waits") {
            let _ = waiting.send(verdict);
        }
    }
}

impl Admission for Judge {
    fn admit(&self, request: &AdmissionRequest) -> Decision {
        let Some(doc) = &request.doc else { return Decision::Now(Verdict::Admit) };
        let (say, said) = oneshot::channel();
        self.0.borrow_mut().entry(doc.to_string()).or_default().push(say);
        Decision::Later(Box::pin(async move { said.await.unwrap_or(NO) }))
    }
}

struct Stage {
    world: World,
    repo: Repo,
    sockets: Rc<Sockets>,
    errors: Rc<RefCell<Vec<(ErrorCode, String)>>>,
}

impl Stage {
    /// A repo with documents "a" to "d" open.
    fn new(admission: Rc<dyn Admission>) -> Self {
        let world = World::new(7);
        let sockets: Rc<Sockets> = Rc::default();
        let adapters: Vec<Rc<dyn Adapter>> = vec![sockets.clone()];
        let repo = Repo::new(world.env(), RepoConfig { adapters, admission: Some(admission), ..RepoConfig::default() });
        for id in ["a", "b", "c", "d"] {
            repo.get(id).unwrap();
        }
        let errors: Rc<RefCell<Vec<_>>> = Rc::default();
        let kept = Rc::clone(&errors);
        let listen = move |event: &RepoEvent| {
            if let RepoEvent::Error { error, .. } = event {
                kept.borrow_mut().push((error.code(), error.message().to_owned()));
            }
        };
        repo.on_event(listen).detach();
        Self { world, repo, sockets, errors }
    }

    fn stranger(&self) -> Player {
        let context = self.sockets.0.borrow().clone().unwrap();
        let pipe: Rc<Pipe> = Rc::default();
        let channel = context.open_channel(pipe.clone(), Opening::Await).unwrap();
        Player { context, channel, pipe }
    }

    fn player(&self, peer: u64, corella: bool) -> Player {
        let player = self.stranger();
        player.send([hello(peer, corella)]);
        player
    }

    fn run(&mut self) {
        self.world.run(1);
    }
}

#[test]
fn messages_go_on_in_order_though_verdicts_come_late() {
    let judge = Rc::new(Judge::default());
    let mut stage = Stage::new(judge.clone());
    let player = stage.player(1, false);
    player.send([ask("a")]);
    player.send([ask("b"), Message::DirectoryRequest { docs: None }, ask("c")]);
    stage.run();
    judge.say("c", Verdict::Admit);
    judge.say("b", NO);
    stage.run();
    assert!(player.answers().is_empty());
    judge.say("a", Verdict::Admit);
    stage.run();
    // The one about no document lists all, "a" first.
    assert_eq!(player.answers(), ["a", "a", "c"]);
    player.send([ask("d")]);
    judge.say("d", Verdict::Admit);
    stage.run();
    assert_eq!(player.answers(), ["d"]);
}

#[test]
fn a_channel_that_waits_holds_up_no_other() {
    let judge = Rc::new(Judge::default());
    let mut stage = Stage::new(judge.clone());
    let (slow, quick) = (stage.player(1, false), stage.player(2, false));
    slow.send([ask("a")]);
    quick.send([ask("b")]);
    judge.say("b", Verdict::Admit);
    stage.run();
    assert_eq!((slow.answers().len(), quick.answers()), (0, vec!["b".to_owned()]));
    judge.say("a", Verdict::Admit);
    stage.run();
    assert_eq!(slow.answers(), ["a"]);
}

#[test]
fn verdicts_at_once_need_no_later_task() {
    let stage = Stage::new(Rc::new(By(|_: &AdmissionRequest| Decision::Now(Verdict::Admit))));
    let player = stage.player(1, false);
    player.send([ask("a"), ask("b")]);
    assert_eq!(player.answers(), ["a", "b"]);
}

#[test]
fn members_of_a_batch_are_judged_one_by_one_and_handshakes_never() {
    let seen: Rc<RefCell<Vec<Seen>>> = Rc::default();
    let told = Rc::clone(&seen);
    let stage = Stage::new(Rc::new(By(move |request: &AdmissionRequest| {
        assert_eq!((request.peer.kind, &request.peer.peer_type), (ChannelKind::Network, &PeerType::User));
        told.borrow_mut().push((request.kind, request.doc.clone(), request.bytes, request.peer.peer_id.clone()));
        Decision::Now(if request.doc == Some(doc("b")) { NO } else { Verdict::Admit })
    })));
    let player = stage.stranger();
    let store = EphemeralPayload { peer: PeerId::from(1), namespace: "cursors".into(), data: b"123"[..].into() };
    let ephemeral = Message::Ephemeral { doc: doc("d"), hops: 0, stores: vec![store] };
    // In one frame, as some clients send it: who it is from is known by then.
    player.send([ask("a"), hello(1, false), Message::Batch(vec![ask("a"), Message::Batch(vec![ask("b"), ask("c")]), ephemeral]), ask("d")]);
    assert_eq!(player.answers(), ["a", "c", "d"]);
    let asked = |id| (MessageKind::DirectoryRequest, Some(doc(id)), 1, PeerId::from(1));
    let state = (MessageKind::Ephemeral, Some(doc("d")), 11, PeerId::from(1));
    assert_eq!(*seen.borrow(), [asked("a"), asked("b"), asked("c"), state, asked("d")]);
}

#[test]
fn who_understands_refusals_is_told_of_every_document_and_others_of_none() {
    let limited = Verdict::Refuse { reason: RefusalReason::RateLimited, retry_ms: Some(1_234) };
    let stage = Stage::new(Rc::new(By(move |_: &AdmissionRequest| Decision::Now(limited))));
    let (corella, plain) = (stage.player(1, true), stage.player(2, false));
    let head = |id| Head { doc: DocId::from_wire(id), lineage: 0, version: VersionVector::new() };
    for player in [&corella, &plain] {
        player
            .send([Message::Heads { heads: vec![head("a"), head(""), head("b")], reply: true }, Message::DirectoryRequest { docs: None }]);
        player.send([Message::DeleteRequest { doc: doc("c") }]);
    }
    let refusal = |id| Message::Refusal { doc: doc(id), reason: RefusalReason::RateLimited, retry_ms: Some(1_234) };
    assert_eq!(corella.refusals(), [refusal("a"), refusal("b"), refusal("c")]);
    assert!(plain.refusals().is_empty() && plain.answers().is_empty());
    assert!(!corella.pipe.closed.get() && stage.errors.borrow().is_empty());
}

#[test]
fn a_refused_refusal_is_not_answered() {
    let stage = Stage::new(Rc::new(By(|_: &AdmissionRequest| Decision::Now(NO))));
    let player = stage.player(1, true);
    player.send([Message::Refusal { doc: doc("a"), reason: RefusalReason::RateLimited, retry_ms: None }]);
    assert!(player.refusals().is_empty());
}

#[test]
fn what_panics_refuses_and_is_told_of_once() {
    for late in [false, true] {
        let mut stage = Stage::new(Rc::new(By(move |request: &AdmissionRequest| match &request.doc {
            Some(id) if *id != doc("b") => {
                if late {
                    return Decision::Later(Box::pin(async { panic!("a defect") }));
                }
                panic!("a defect")
            }
            _ => Decision::Now(Verdict::Admit),
        })));
        let player = stage.player(1, true);
        player.send([ask("a"), ask("b"), ask("a")]);
        stage.run();
        assert_eq!(player.refusals().len(), 2);
        assert_eq!(player.answers(), ["b"]);
        let errors = stage.errors.take();
        assert_eq!((errors.len(), errors[0].0), (1, ErrorCode::Panic), "{errors:?}");
    }
}

#[test]
fn a_channel_with_too_many_messages_waiting_is_closed() {
    let judge = Rc::new(Judge::default());
    let mut stage = Stage::new(judge.clone());
    let (greedy, other) = (stage.player(1, false), stage.player(2, false));
    greedy.send((0..WAITING_MESSAGES).map(|_| ask("a")));
    stage.run();
    assert!(!greedy.pipe.closed.get());
    greedy.send([ask("a"), ask("b")]);
    stage.run();
    assert!(greedy.pipe.closed.get());
    assert_eq!(stage.repo.peers().len(), 1);
    let errors = stage.errors.take();
    assert_eq!((errors.len(), errors[0].0), (1, ErrorCode::Refused), "{errors:?}");
    assert!(errors[0].1.contains("peer 1") && errors[0].1.contains("16384 messages"), "{errors:?}");
    judge.say("a", Verdict::Admit);
    other.send([ask("c")]);
    judge.say("c", Verdict::Admit);
    stage.run();
    assert_eq!((greedy.answers().len(), other.answers()), (0, vec!["c".to_owned()]));
}

#[test]
fn a_channel_with_too_many_bytes_waiting_is_closed_unless_it_is_one_message() {
    let judge = Rc::new(Judge::default());
    let mut stage = Stage::new(judge.clone());
    let player = stage.player(1, false);
    let big = || {
        let data = vec![0; WAITING_BYTES + 1].into();
        let stores = vec![EphemeralPayload { peer: PeerId::from(1), namespace: "n".into(), data }];
        Message::Ephemeral { doc: doc("a"), hops: 0, stores }
    };
    player.send([big()]);
    judge.say("a", NO);
    stage.run();
    player.send([big()]);
    stage.run();
    assert!(!player.pipe.closed.get());
    player.send([ask("b")]);
    stage.run();
    assert!(player.pipe.closed.get());
    assert!(stage.errors.borrow()[0].1.contains("bytes"), "{:?}", stage.errors.borrow());
}

#[test]
fn what_waits_is_dropped_with_its_channel() {
    let judge = Rc::new(Judge::default());
    let mut stage = Stage::new(judge.clone());
    let player = stage.player(1, false);
    player.send([ask("a"), ask("b")]);
    player.context.close_channel(player.channel);
    stage.run();
    assert!(judge.0.borrow().values().flatten().all(oneshot::Sender::is_canceled), "its verdicts are not waited for any more");
    judge.say("a", Verdict::Admit);
    let again = stage.player(1, false);
    stage.run();
    again.send([ask("c")]);
    judge.say("c", Verdict::Admit);
    stage.run();
    assert_eq!((player.answers().len(), again.answers()), (0, vec!["c".to_owned()]));
}

#[test]
fn a_handshake_waits_in_line_and_one_under_another_name_ends_the_connection() {
    let judge = Rc::new(Judge::default());
    let asked: Rc<RefCell<Vec<PeerId>>> = Rc::default();
    let (kept, inner) = (Rc::clone(&asked), judge.clone());
    let mut stage = Stage::new(Rc::new(By(move |request: &AdmissionRequest| {
        kept.borrow_mut().push(request.peer.peer_id.clone());
        inner.admit(request)
    })));
    let player = stage.player(1, false);
    player.send([ask("a"), hello(1, false), ask("b"), hello(2, false), ask("c")]);
    stage.run();
    assert_eq!(*asked.borrow(), [PeerId::from(1)]);
    judge.say("a", Verdict::Admit);
    stage.run();
    assert_eq!((player.answers(), stage.repo.peers().len()), (vec!["a".to_owned()], 1));
    judge.say("b", Verdict::Admit);
    stage.run();
    assert_eq!(stage.repo.peers().len(), 0);
    assert_eq!(*asked.borrow(), [1, 1].map(PeerId::from));
}

#[test]
fn of_several_admissions_the_first_refusal_counts() {
    let calls: Rc<RefCell<String>> = Rc::default();
    let link = |name: char, refused: &'static str| -> Rc<dyn Admission> {
        let calls = Rc::clone(&calls);
        Rc::new(By(move |request: &AdmissionRequest| {
            calls.borrow_mut().push(name);
            let verdict = if request.doc == Some(doc(refused)) { NO } else { Verdict::Admit };
            if name.is_uppercase() { Decision::Later(Box::pin(async move { verdict })) } else { Decision::Now(verdict) }
        }))
    };
    let mut stage = Stage::new(Rc::new(Chain::new([link('x', "a"), link('Y', "b"), link('z', "c"), link('W', "none")])));
    let player = stage.player(1, false);
    for (id, expected) in [("a", "x"), ("b", "xY"), ("c", "xYz"), ("d", "xYzW")] {
        player.send([ask(id)]);
        stage.run();
        assert_eq!(std::mem::take(&mut *calls.borrow_mut()), expected);
    }
    assert_eq!(player.answers(), ["d"]);
    assert!(matches!(Chain::new([]).admit(&request()), Decision::Now(Verdict::Admit)));
}

fn request() -> AdmissionRequest {
    let peer =
        PeerContext { peer_id: PeerId::from(1), name: None, peer_type: PeerType::User, channel: ChannelId(1), kind: ChannelKind::Tabs };
    AdmissionRequest { kind: MessageKind::Ack, peer: Rc::new(peer), doc: None, bytes: 0, now: Timestamp(0) }
}

/// A client of a relay that judges what it sends.
struct Pair {
    world: World,
    link: Rc<Link>,
    client: Repo,
    relay: Repo,
}

impl Pair {
    fn new(admission: impl FnOnce(Rc<dyn Env>) -> Rc<dyn Admission>) -> Self {
        let mut world = World::new(11);
        let link = Link::new(world.env(), ChannelKind::Network, 10);
        let client = Repo::new(world.env(), RepoConfig { adapters: vec![link.end(0)], ..RepoConfig::default() });
        let config = RepoConfig {
            adapters: vec![link.end(1)],
            admission: Some(admission(world.env())),
            interest: Interest::Everything,
            peer_type: PeerType::Service,
            ..RepoConfig::default()
        };
        let relay = Repo::new(world.env(), config);
        link.connect();
        world.run(100);
        Self { world, link, client, relay }
    }

    /// Types 200 characters in a second; returns after how many milliseconds the relay confirmed all, 60 seconds at most.
    fn typed(&mut self) -> Option<u64> {
        let handle = self.client.get("d").unwrap();
        for _ in 0..200 {
            handle.change(|doc| doc.get_text("text").insert(0, "x").unwrap(), None, None).unwrap();
            self.world.run(5);
        }
        for waited in (0..60_000).step_by(10) {
            if handle.durability() >= Durability::Hub {
                assert_eq!(self.relay.get("d").unwrap().doc().get_text("text").to_string().len(), 200);
                return Some(waited);
            }
            self.world.run(10);
        }
        None
    }
}

#[test]
fn what_was_limited_arrives_soon_after() {
    for (per_second, burst, within) in [(5.0, 5.0, 3_000), (20.0, 3.0, 3_000), (1.0, 10.0, 15_000)] {
        let limits = RateLimits { messages: Some(Rate { per_second, burst }), ..RateLimits::default() };
        let confirmed = Pair::new(|_| Rc::new(RateLimiter::new(limits))).typed();
        assert!(confirmed.is_some_and(|ms| ms <= within), "{per_second} a second, {burst} at once: {confirmed:?} ms");
    }
}

#[test]
fn late_verdicts_lose_nothing() {
    let mut pair = Pair::new(|env| {
        Rc::new(By(move |_: &AdmissionRequest| {
            let pause = env.sleep(env.random_u64() % 30);
            Decision::Later(Box::pin(async move {
                pause.await;
                Verdict::Admit
            }))
        }))
    });
    let confirmed = pair.typed();
    assert!(confirmed.is_some_and(|ms| ms <= 500), "{confirmed:?} ms");
}

#[test]
fn a_peer_that_is_refused_everything_does_not_keep_asking() {
    let mut pair = Pair::new(|_| Rc::new(By(|_: &AdmissionRequest| Decision::Now(NO))));
    assert_eq!(pair.typed(), None);
    assert!(pair.relay.list().is_empty());
    assert!(pair.link.messages.get() < 1_000, "{} messages", pair.link.messages.get());
}
