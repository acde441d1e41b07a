//! Time, chance and tasks of a native thread with a tokio `LocalSet`.
//!
//! The one place of the hub that reads the system clock.

use std::{
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    runtime::{Env, LocalBoxFuture},
    synchronizer::Timestamp,
};

/// The environment of a repo on a thread that runs a `tokio::task::LocalSet`.
pub struct NativeEnv {
    on_panic: Rc<dyn Fn()>,
}

impl NativeEnv {
    /// Makes an environment. `on_panic` is called when a task panics: tokio would end that task alone and leave the repo half done.
    pub fn new(on_panic: impl Fn() + 'static) -> Self {
        Self { on_panic: Rc::new(on_panic) }
    }
}

impl std::fmt::Debug for NativeEnv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NativeEnv")
    }
}

struct PanicNotice(Rc<dyn Fn()>);

impl Drop for PanicNotice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)();
        }
    }
}

impl Env for NativeEnv {
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn random_u64(&self) -> u64 {
        u64::from_ne_bytes(random_bytes())
    }

    fn spawn(&self, task: LocalBoxFuture<()>) {
        let notice = PanicNotice(Rc::clone(&self.on_panic));
        tokio::task::spawn_local(async move {
            let _notice = notice;
            task.await;
        });
    }

    fn sleep(&self, ms: u64) -> LocalBoxFuture<()> {
        Box::pin(async move { tokio::time::sleep(Duration::from_millis(ms)).await })
    }
}

/// Returns random bytes of the operating system.
///
/// # Panics
/// If the system has none to give: ids that repeat would lose data, so nothing may go on.
#[expect(clippy::expect_used, reason = "without randomness nothing may go on")]
pub(super) fn random_bytes() -> [u8; 8] {
    let mut bytes = [0; 8];
    getrandom::getrandom(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
