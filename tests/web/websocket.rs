use std::{cell::Cell, rc::Rc};

use corella::{
    browser::{Sharing, UrlSource, WebSocketAdapter},
    protocol::{Identity, Message, PeerId, PeerType},
    runtime::{Adapter, AdapterState, Opening, Problem},
};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::{console_log, wasm_bindgen_test};
use web_sys::{Event, EventTarget};

use super::env;
use crate::channels::{Recorder, pipes};

/// A hub, such as `ws://127.0.0.1:8787/ws`.
const HUB: Option<&str> = option_env!("CORELLA_TEST_WS");
/// `examples/relay.rs`, such as `ws://127.0.0.1:8799`.
const RELAY: Option<&str> = option_env!("CORELLA_TEST_RELAY");

fn start(url: &str) -> (Rc<WebSocketAdapter>, Rc<Recorder>) {
    let adapter = Rc::new(WebSocketAdapter::new(UrlSource::Fixed(url.to_owned()), Sharing::Off));
    let side = Recorder::start(env(), adapter.clone());
    (adapter, side)
}

struct Relayed(&'static str);

impl pipes::Pipes for Relayed {
    async fn pair(&self) -> pipes::Pair {
        let url = format!("{}/{:x}", self.0, env().random_u64());
        (start(&url).1, start(&url).1)
    }
}

#[wasm_bindgen_test]
async fn the_websocket_pipe_conforms() {
    let Some(relay) = RELAY else {
        console_log!("SKIPPED the_websocket_pipe_conforms: CORELLA_TEST_RELAY was not set at build time");
        return;
    };
    pipes::all(&Relayed(relay)).await;
}

#[wasm_bindgen_test]
async fn a_hub_answers_and_the_switch_takes_it_off_and_on() {
    let Some(hub) = HUB else {
        console_log!("SKIPPED a_hub_answers_and_the_switch_takes_it_off_and_on: CORELLA_TEST_WS was not set at build time");
        return;
    };
    let (adapter, side) = start(hub);
    for round in 0..2 {
        side.until("a channel opens", |side| side.channels.borrow().len() == round + 1).await;
        let (id, channel, opening) = side.channels.borrow()[round].clone();
        assert_eq!(opening, Opening::Initiate);
        side.until("it counts as open", |_| adapter.state() == AdapterState::Open).await;
        let identity = Identity { peer_id: PeerId::from(env().random_u64()), name: None, peer_type: PeerType::User, capabilities: None };
        channel.send(vec![Message::EstablishRequest(identity)]);
        side.until("the hub answers", |side| {
            side.received.borrow().iter().any(|(on, message)| *on == id && matches!(message, Message::EstablishResponse(_)))
        })
        .await;
        adapter.pause();
        side.until("it is off", |side| adapter.state() == AdapterState::Off && side.closed.borrow().contains(&id)).await;
        env().sleep(100).await;
        assert_eq!(side.channels.borrow().len(), round + 1, "off means off");
        adapter.resume();
    }
    adapter.stop().await;
    assert_eq!(adapter.state(), AdapterState::Closed);
}

#[wasm_bindgen_test]
async fn a_server_that_never_says_ready_is_given_up() {
    let Some(relay) = RELAY else {
        console_log!("SKIPPED a_server_that_never_says_ready_is_given_up: CORELLA_TEST_RELAY was not set at build time");
        return;
    };
    let (adapter, side) = start(&format!("{relay}/mute/{:x}", env().random_u64()));
    env().sleep(5_000).await;
    assert_eq!((adapter.state(), side.channels.borrow().len()), (AdapterState::Connecting, 0));
    side.until("it gives up", |side| side.problems.borrow().len() == 1).await;
    assert!(format!("{:?}", side.problems.borrow()).contains("did not say that it is ready"), "{:?}", side.problems.borrow());
    adapter.stop().await;
    assert!(side.channels.borrow().is_empty());
}

#[wasm_bindgen_test]
async fn a_socket_that_does_not_answer_a_ping_is_dead() {
    let Some(relay) = RELAY else {
        console_log!("SKIPPED a_socket_that_does_not_answer_a_ping_is_dead: CORELLA_TEST_RELAY was not set at build time");
        return;
    };
    let (adapter, side) = start(&format!("{relay}/deaf/{:x}", env().random_u64()));
    let (id, _, _) = side.channel().await;
    let global = js_sys::global().unchecked_into::<EventTarget>();
    global.dispatch_event(&Event::new("online").unwrap()).unwrap();
    env().sleep(8_000).await;
    assert!(side.closed.borrow().is_empty(), "an answer may take ten seconds");
    side.until("it counts as dead", |side| side.closed.borrow().contains(&id)).await;
    side.until("it connects again", |side| side.channels.borrow().len() == 2).await;
    adapter.stop().await;
}

#[wasm_bindgen_test]
async fn a_lost_connection_comes_back_as_a_new_channel() {
    let Some(relay) = RELAY else {
        console_log!("SKIPPED a_lost_connection_comes_back_as_a_new_channel: CORELLA_TEST_RELAY was not set at build time");
        return;
    };
    let url = format!("{relay}/{:x}", env().random_u64());
    let ((a, side_a), (b, side_b)) = (start(&url), start(&url));
    let (id, _, _) = side_b.channel().await;
    side_a.channel().await;
    a.pause();
    side_b.until("the loss is noticed", |side| side.closed.borrow().contains(&id)).await;
    side_b.until("it is connected again", |side| side.channels.borrow().len() == 2).await;
    assert!(a.is_paused() && side_a.channels.borrow().len() == 1);
    a.stop().await;
    b.stop().await;
}

#[wasm_bindgen_test]
async fn a_bad_url_is_reported_and_final() {
    let (adapter, side) = start("ftp://127.0.0.1/ws");
    side.until("it is reported", |side| !side.problems.borrow().is_empty()).await;
    let Problem::Network(error) = side.problems.borrow()[0].clone() else { panic!("not a network problem") };
    assert_eq!(error.code().as_str(), "invalid-argument");
    side.until("it gives up", |_| adapter.state() == AdapterState::Closed).await;
    adapter.stop().await;
}

#[wasm_bindgen_test]
async fn a_refused_socket_is_reported_once_and_tried_again_when_the_network_is_back() {
    let asked = Rc::new(Cell::new(0));
    let source = UrlSource::Asked(Rc::new({
        let asked = Rc::clone(&asked);
        move || {
            asked.set(asked.get() + 1);
            // The discard port: nobody listens.
            Box::pin(std::future::ready(Ok("ws://127.0.0.1:9/ws".to_owned())))
        }
    }));
    let adapter = Rc::new(WebSocketAdapter::new(source, Sharing::Off));
    let side = Recorder::start(env(), adapter.clone());
    let global = js_sys::global().unchecked_into::<EventTarget>();
    for attempt in 1..=3 {
        side.until("it waits", |_| asked.get() >= attempt && adapter.state() == AdapterState::Waiting).await;
        global.dispatch_event(&Event::new("online").unwrap()).unwrap();
    }
    assert_eq!(side.problems.borrow().len(), 1, "{:?}", side.problems.borrow());
    assert!(matches!(&side.problems.borrow()[0], Problem::Network(_)));
    adapter.stop().await;
    assert!(side.channels.borrow().is_empty());
}

#[wasm_bindgen_test]
async fn a_source_without_url_is_asked_again() {
    let asked = Rc::new(Cell::new(0));
    let source = UrlSource::Asked(Rc::new({
        let asked = Rc::clone(&asked);
        move || {
            asked.set(asked.get() + 1);
            Box::pin(std::future::ready(Err("no token".to_owned())))
        }
    }));
    let adapter = Rc::new(WebSocketAdapter::new(source, Sharing::Off));
    let side = Recorder::start(env(), adapter.clone());
    side.until("it was asked twice", |_| asked.get() >= 2).await;
    assert!(format!("{:?}", side.problems.borrow()).contains("no token"));
    adapter.stop().await;
}

#[wasm_bindgen_test]
async fn a_source_that_never_answers_does_not_hold_up_the_end() {
    let adapter = Rc::new(WebSocketAdapter::new(UrlSource::Asked(Rc::new(|| Box::pin(std::future::pending()))), Sharing::Off));
    let side = Recorder::start(env(), adapter.clone());
    side.until("it connects", |_| adapter.state() == AdapterState::Connecting).await;
    adapter.pause();
    side.until("it is off", |_| adapter.state() == AdapterState::Off).await;
    adapter.stop().await;
    assert_eq!(adapter.state(), AdapterState::Closed);
}
