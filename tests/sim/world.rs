//! A single-threaded executor over a virtual clock, seeded: the same seed gives the same run.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use corella::{
    runtime::{Env, LocalBoxFuture},
    synchronizer::Timestamp,
};
use futures_channel::oneshot;
use futures_executor::{LocalPool, LocalSpawner};
use futures_util::task::LocalSpawnExt;

use crate::chance::Chance;

/// The clock, the timers and the source of chance of a world.
pub struct Clock {
    now: Cell<u64>,
    chance: Chance,
    timers: RefCell<BTreeMap<(u64, u64), oneshot::Sender<()>>>,
    next: Cell<u64>,
    spawner: LocalSpawner,
}

impl Clock {
    /// Returns how many timers have not fired.
    pub fn pending(&self) -> usize {
        self.timers.borrow().len()
    }
}

impl Env for Clock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.get())
    }

    fn random_u64(&self) -> u64 {
        self.chance.next() >> 1
    }

    fn spawn(&self, task: LocalBoxFuture<()>) {
        self.spawner.spawn_local(task).expect("the world runs");
    }

    fn sleep(&self, ms: u64) -> LocalBoxFuture<()> {
        let (done, over) = oneshot::channel();
        let number = self.next.get();
        self.next.set(number + 1);
        self.timers.borrow_mut().insert((self.now.get() + ms, number), done);
        Box::pin(async move {
            // A dropped timer never fires, like a task that was forgotten with its world.
            let _ = over.await;
        })
    }
}

/// Everything that happens, in virtual time.
pub struct World {
    pub clock: Rc<Clock>,
    pool: LocalPool,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let pool = LocalPool::new();
        let clock = Clock {
            now: Cell::new(1_800_000_000_000),
            chance: Chance::new(seed),
            timers: RefCell::default(),
            next: Cell::new(0),
            spawner: pool.spawner(),
        };
        Self { clock: Rc::new(clock), pool }
    }

    pub fn env(&self) -> Rc<dyn Env> {
        self.clock.clone()
    }

    pub fn random(&self, below: u64) -> u64 {
        self.clock.chance.below(below)
    }

    /// Lets `ms` milliseconds pass.
    pub fn run(&mut self, ms: u64) {
        let end = self.clock.now.get() + ms;
        self.pool.run_until_stalled();
        loop {
            let due = self.clock.timers.borrow().keys().next().copied().filter(|(at, _)| *at <= end);
            let Some(key) = due else { break };
            self.clock.now.set(self.clock.now.get().max(key.0));
            let timer = self.clock.timers.borrow_mut().remove(&key);
            if let Some(timer) = timer {
                let _ = timer.send(());
            }
            self.pool.run_until_stalled();
        }
        self.clock.now.set(end);
    }

    /// Begins `future`, and returns what tells its end.
    pub fn begin<T: 'static>(&self, future: LocalBoxFuture<T>) -> oneshot::Receiver<T> {
        let (done, over) = oneshot::channel();
        self.clock.spawn(Box::pin(async move {
            let _ = done.send(future.await);
        }));
        over
    }

    /// Runs until `future` is done, at most `ms` milliseconds.
    pub fn wait<T: 'static>(&mut self, future: LocalBoxFuture<T>, ms: u64) -> Option<T> {
        let mut over = self.begin(future);
        for _ in 0..ms.div_ceil(10) {
            self.run(10);
            if let Ok(Some(value)) = over.try_recv() {
                return Some(value);
            }
        }
        None
    }
}
