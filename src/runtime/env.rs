//! What the runtime needs of the world around it: time, chance, tasks, and surviving a panic.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
};

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

    /// Completes when others have had a turn, without delay also in a hidden page, whose timers browsers keep waiting.
    fn pause(&self) -> LocalBoxFuture<()> {
        self.sleep(0)
    }

    /// Called after each step of work.
    fn stepped(&self) {}

    /// Runs `work` at once, and survives its panic. What the work had borrowed or locked may stay so for ever.
    ///
    /// # Errors
    /// The panic's message.
    fn contain(&self, work: &mut dyn FnMut()) -> Result<(), String> {
        catch_unwind(AssertUnwindSafe(work)).map_err(|panic| message_of(panic.as_ref()))
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
