//! What the runtime needs of the world around it: time, chance, tasks.

use std::{future::Future, pin::Pin};

use crate::synchronizer::Timestamp;

/// A future that stays on its thread.
pub type LocalBoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// Time, chance and tasks. One per thread that runs a repo; a simulation has a virtual one.
pub trait Env {
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> Timestamp;
    /// A uniformly random number.
    fn random_u64(&self) -> u64;
    /// Runs `task` on this thread, not before the caller returns.
    fn spawn(&self, task: LocalBoxFuture<()>);
    /// Completes after `ms` milliseconds.
    fn sleep(&self, ms: u64) -> LocalBoxFuture<()>;
}
