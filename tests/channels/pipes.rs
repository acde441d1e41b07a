//! What every pipe has to do.

use std::rc::Rc;

use bytes::Bytes;
use corella::{
    DocId, VersionVector,
    protocol::{Message, Transmission},
    runtime::{AdapterState, Opening},
};

use super::Recorder;

/// Two repos' ends of one fresh pipe, both started.
pub type Pair = (Rc<Recorder>, Rc<Recorder>);

/// Makes fresh pairs.
pub trait Pipes {
    async fn pair(&self) -> Pair;
}

/// Runs them all.
pub async fn all(pipes: &impl Pipes) {
    one_side_initiates(pipes).await;
    messages_arrive_in_order_both_ways(pipes).await;
    batches_arrive_as_their_messages(pipes).await;
    a_large_message_arrives_whole_and_in_its_place(pipes).await;
    many_messages_arrive_in_order(pipes).await;
    the_other_side_hears_of_a_close(pipes).await;
    the_other_side_hears_of_a_stop(pipes).await;
}

fn announce(n: usize) -> Message {
    Message::NewDoc { docs: vec![DocId::new(&format!("doc-{n}")).unwrap()] }
}

fn update(bytes: usize) -> Message {
    let data: Vec<u8> = (0..bytes).map(|i| (i * 31 % 251) as u8).collect();
    let version = VersionVector::from_iter([(u64::MAX, 7)]);
    Message::Update {
        doc: DocId::new("großes/dokument").unwrap(), transmission: Transmission::Update { data: Bytes::from(data), version }
    }
}

async fn finish(pair: Pair) {
    pair.0.adapter.stop().await;
    pair.1.adapter.stop().await;
    assert_eq!(pair.0.adapter.state(), AdapterState::Closed);
}

pub async fn one_side_initiates(pipes: &impl Pipes) {
    let (a, b) = pipes.pair().await;
    let openings = [a.channel().await.2, b.channel().await.2];
    assert!(openings.contains(&Opening::Initiate), "nobody would begin: {openings:?}");
    a.until("it counts as open", |side| side.adapter.state() == AdapterState::Open).await;
    a.env.sleep(100).await;
    assert_eq!((a.channels.borrow().len(), b.channels.borrow().len()), (1, 1), "one pipe, not two");
    finish((a, b)).await;
}

pub async fn messages_arrive_in_order_both_ways(pipes: &impl Pipes) {
    let (a, b) = pipes.pair().await;
    let (to_b, to_a) = (a.channel().await.1, b.channel().await.1);
    for n in 0..20 {
        to_b.send(vec![announce(n)]);
        to_a.send(vec![announce(100 + n)]);
    }
    a.until("all have arrived", |side| side.messages().len() >= 20).await;
    b.until("all have arrived", |side| side.messages().len() >= 20).await;
    assert_eq!(b.messages(), (0..20).map(announce).collect::<Vec<_>>());
    assert_eq!(a.messages(), (100..120).map(announce).collect::<Vec<_>>());
    let stats = to_b.stats();
    assert_eq!((stats.messages_out, stats.messages_in), (20, 20));
    assert!(stats.bytes_out > 0 && stats.bytes_in > 0);
    finish((a, b)).await;
}

pub async fn batches_arrive_as_their_messages(pipes: &impl Pipes) {
    let (a, b) = pipes.pair().await;
    a.channel().await.1.send((0..50).map(announce).collect());
    b.until("all have arrived", |side| side.messages().len() >= 50).await;
    assert_eq!(b.messages(), (0..50).map(announce).collect::<Vec<_>>());
    finish((a, b)).await;
}

pub async fn a_large_message_arrives_whole_and_in_its_place(pipes: &impl Pipes) {
    let (a, b) = pipes.pair().await;
    let channel = a.channel().await.1;
    channel.send(vec![announce(1)]);
    channel.send(vec![update(300_000)]);
    channel.send(vec![announce(2), update(1_500_000), announce(3)]);
    b.until("all have arrived", |side| side.messages().len() >= 5).await;
    assert_eq!(b.messages(), vec![announce(1), update(300_000), announce(2), update(1_500_000), announce(3)]);
    finish((a, b)).await;
}

pub async fn many_messages_arrive_in_order(pipes: &impl Pipes) {
    let (a, b) = pipes.pair().await;
    let channel = a.channel().await.1;
    for n in 0..2_000 {
        channel.send(vec![announce(n)]);
    }
    b.until("all have arrived", |side| side.messages().len() >= 2_000).await;
    assert_eq!(b.messages(), (0..2_000).map(announce).collect::<Vec<_>>());
    finish((a, b)).await;
}

pub async fn the_other_side_hears_of_a_close(pipes: &impl Pipes) {
    let (a, b) = pipes.pair().await;
    let (id_a, to_b, _) = a.channel().await;
    let (id_b, to_a, _) = b.channel().await;
    to_b.send(vec![announce(1)]);
    b.until("the message has arrived", |side| side.messages().len() == 1).await;
    to_b.close();
    to_b.send(vec![announce(2)]);
    to_a.send(vec![announce(3)]);
    b.until("the close is noticed", |side| side.closed.borrow().contains(&id_b)).await;
    to_a.send(vec![announce(4)]);
    a.env.sleep(100).await;
    let of = |side: &Recorder, id| side.received.borrow().iter().filter(|(channel, _)| *channel == id).count();
    assert_eq!(of(&b, id_b), 1, "nothing is delivered after a close");
    assert_eq!(of(&a, id_a), 0, "nothing is delivered after a close");
    assert!(!a.closed.borrow().contains(&id_a), "who closes is not told of it");
    finish((a, b)).await;
}

pub async fn the_other_side_hears_of_a_stop(pipes: &impl Pipes) {
    let (a, b) = pipes.pair().await;
    let (id_b, _, _) = b.channel().await;
    a.channel().await.1.send(vec![announce(1)]);
    b.until("the message has arrived", |side| side.messages().len() == 1).await;
    a.adapter.stop().await;
    b.until("the stop is noticed", |side| side.closed.borrow().contains(&id_b)).await;
    finish((a, b)).await;
}
