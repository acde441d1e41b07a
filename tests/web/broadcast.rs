use std::rc::Rc;

use corella::browser::BroadcastChannelAdapter;
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::Event;

use super::env;
use crate::channels::{Recorder, pipes};

fn fresh_name() -> String {
    format!("corella-test-{:x}", env().random_u64())
}

fn tab(name: &str) -> Rc<Recorder> {
    Recorder::start(env(), Rc::new(BroadcastChannelAdapter::new(Some(name.to_owned()))))
}

struct Tabs;

impl pipes::Pipes for Tabs {
    async fn pair(&self) -> pipes::Pair {
        let name = fresh_name();
        (tab(&name), tab(&name))
    }
}

#[wasm_bindgen_test]
async fn the_broadcast_channel_pipe_conforms() {
    pipes::all(&Tabs).await;
}

#[wasm_bindgen_test]
async fn each_tab_has_one_channel_to_each_other_tab() {
    let name = fresh_name();
    let tabs = [tab(&name), tab(&name), tab(&name)];
    env().sleep(50).await;
    let late = tab(&name);
    for tab in tabs.iter().chain([&late]) {
        tab.until("all others are there", |tab| tab.channels.borrow().len() == 3).await;
    }
    env().sleep(100).await;
    assert!(tabs.iter().chain([&late]).all(|tab| tab.channels.borrow().len() == 3), "no channel is opened twice");
    late.adapter.stop().await;
    for tab in &tabs {
        tab.until("the late one has left", |tab| tab.closed.borrow().len() == 1).await;
        tab.adapter.stop().await;
    }
}

#[wasm_bindgen_test]
async fn other_names_are_other_tabs() {
    let (a, b) = (tab(&fresh_name()), tab(&fresh_name()));
    env().sleep(150).await;
    assert!(a.channels.borrow().is_empty() && b.channels.borrow().is_empty());
    a.adapter.stop().await;
    b.adapter.stop().await;
}

#[wasm_bindgen_test]
async fn a_page_that_is_put_away_leaves_and_comes_back() {
    let name = fresh_name();
    let (a, b) = (tab(&name), tab(&name));
    a.channel().await;
    b.channel().await;
    let global = js_sys::global().unchecked_into::<web_sys::EventTarget>();
    global.dispatch_event(&Event::new("pagehide").unwrap()).unwrap();
    // Both live on this page, so both leave.
    for tab in [&a, &b] {
        tab.until("the channel is closed", |tab| tab.closed.borrow().len() == 1).await;
    }
    global.dispatch_event(&Event::new("pageshow").unwrap()).unwrap();
    for tab in [&a, &b] {
        tab.until("there is a new channel", |tab| tab.channels.borrow().len() == 2).await;
    }
    a.adapter.stop().await;
    b.adapter.stop().await;
}

#[wasm_bindgen_test]
async fn foreign_messages_are_ignored() {
    let name = fresh_name();
    let side = tab(&name);
    env().sleep(50).await;
    let foreign = web_sys::BroadcastChannel::new(&name).unwrap();
    for text in [
        "1",
        "null",
        "{}",
        r#"{"corella":1}"#,
        r#"{"corella":1,"from":"x","note":"hello"}"#,
        r#"{"corella":2,"from":"x","note":"hello","body":false}"#,
    ] {
        foreign.post_message(&js_sys::JSON::parse(text).unwrap()).unwrap();
    }
    foreign.post_message(&js_sys::Uint8Array::new_with_length(3)).unwrap();
    env().sleep(100).await;
    assert!(side.channels.borrow().is_empty() && side.problems.borrow().is_empty());
    foreign.close();
    side.adapter.stop().await;
}

/// A tab that answers by hand, without locks.
fn post(channel: &web_sys::BroadcastChannel, from: &str, to: Option<&str>, note: &str, body: JsValue) {
    let object = js_sys::Object::new();
    let set = |field: &str, value: JsValue| js_sys::Reflect::set(&object, &field.into(), &value).unwrap();
    set("corella", 1.into());
    set("from", from.into());
    if let Some(to) = to {
        set("to", to.into());
    }
    set("note", note.into());
    set("body", body);
    channel.post_message(&object).unwrap();
}

#[wasm_bindgen_test]
async fn bytes_that_cannot_be_read_are_reported_and_the_channel_stays() {
    let name = fresh_name();
    let side = tab(&name);
    env().sleep(50).await;
    let peer = web_sys::BroadcastChannel::new(&name).unwrap();
    post(&peer, "zz", None, "hello", false.into());
    side.channel().await;
    post(&peer, "zz", None, "data", js_sys::Uint8Array::from(&[9u8, 9, 9][..]).into());
    side.until("it is reported", |side| side.problems.borrow().len() == 1).await;
    assert!(side.closed.borrow().is_empty());
    post(&peer, "zz", None, "goodbye", JsValue::UNDEFINED);
    side.until("it has left", |side| side.closed.borrow().len() == 1).await;
    peer.close();
    side.adapter.stop().await;
}

#[wasm_bindgen_test]
async fn a_tab_that_ends_without_goodbye_is_noticed_by_its_lock() {
    let name = fresh_name();
    let side = tab(&name);
    env().sleep(50).await;
    let peer = web_sys::BroadcastChannel::new(&name).unwrap();
    // It says that it holds a lock, and nobody does: as after a crash.
    post(&peer, "zz", None, "hello", true.into());
    side.channel().await;
    side.until("its end is noticed", |side| side.closed.borrow().len() == 1).await;
    peer.close();
    side.adapter.stop().await;
}
