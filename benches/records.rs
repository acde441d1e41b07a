//! Records natively: two repos joined in memory, what a change, a fresh device and a record in memory cost.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a benchmark")]

use std::{collections::HashMap, fs, rc::Rc, time::Duration, time::Instant};

use corella::{
    Repo, RepoConfig,
    runtime::{Collection, CollectionKind, Env, LocalBoxFuture, RecordFilter, memory},
    synchronizer::{ChannelKind, Interest, Timestamp},
};
use futures_util::future::join_all;
use loro::LoroValue;

struct TokioEnv(Instant);

impl Env for TokioEnv {
    fn now(&self) -> Timestamp {
        Timestamp(1_800_000_000_000 + self.0.elapsed().as_millis() as u64)
    }

    fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        getrandom::getrandom(&mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn spawn(&self, task: LocalBoxFuture<()>) {
        tokio::task::spawn_local(task);
    }

    fn sleep(&self, ms: u64) -> LocalBoxFuture<()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(ms)))
    }
}

fn value(number: usize) -> LoroValue {
    let fields = [
        ("title", LoroValue::String(format!("Title {number}").into())),
        ("at", LoroValue::I64(number as i64)),
        ("done", LoroValue::Bool(false)),
    ];
    LoroValue::Map(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<HashMap<_, _>>().into())
}

/// Bytes this process has in memory.
fn resident() -> f64 {
    let pages = fs::read_to_string("/proc/self/statm").ok().and_then(|text| text.split(' ').nth(1)?.parse::<f64>().ok());
    pages.unwrap_or_default() * 4096.0
}

async fn until(there: &Collection, count: usize) {
    while there.entries(RecordFilter::default()).await.unwrap().len() < count {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn measure(count: usize) {
    let env: Rc<dyn Env> = Rc::new(TokioEnv(Instant::now()));
    let open = |adapters, interest| Repo::new(Rc::clone(&env), RepoConfig { adapters, interest, ..RepoConfig::default() });
    let shared = |repo: &Repo| repo.collection("facts", CollectionKind::Shared).unwrap();
    let (a, b) = memory::pair(ChannelKind::Network);
    let (c, d) = memory::pair(ChannelKind::Network);
    let (hub, writer) = (open(vec![b, d], Interest::Everything), open(vec![a], Interest::Opened));
    let (here, there) = (shared(&writer), shared(&hub));
    let before = resident();
    let begin = Instant::now();
    join_all((0..count).map(|number| here.put(&format!("record/{number}"), &value(number)))).await;
    let written = begin.elapsed();
    until(&there, count).await;
    let arrived = begin.elapsed();
    let bytes = (resident() - before) / 2.0 / count as f64;
    let begin = Instant::now();
    let fresh = open(vec![c], Interest::Opened);
    until(&shared(&fresh), count).await;
    let fetched = begin.elapsed();
    let begin = Instant::now();
    assert_eq!(here.entries(RecordFilter::default()).await.unwrap().len(), count);
    let listed = begin.elapsed();
    println!(
        "{count:>8}   {:>12.0}   {:>12.0}   {:>12.1}   {:>10.1}   {bytes:>10.0}",
        count as f64 / written.as_secs_f64(),
        count as f64 / arrived.as_secs_f64(),
        fetched.as_secs_f64() * 1e3,
        listed.as_secs_f64() * 1e3,
    );
}

fn main() {
    println!("\nrecords natively, two repos joined in memory\n");
    println!(" records      written/s        applied/s   to a fresh (ms)   listed (ms)   bytes each");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for count in [10_000, 100_000] {
        tokio::task::LocalSet::new().block_on(&runtime, measure(count));
    }
}
