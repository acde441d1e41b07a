//! What damaged bytes may do: make the database or the document engine panic.
//!
//! Decides that such a panic is an error of what was read. It is told as one, and not besides.

use std::{
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook},
    sync::{Mutex, MutexGuard, PoisonError},
};

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync + 'static>;

/// How many are contained at present, and what told of panics before.
static QUIET: Mutex<(usize, Option<Hook>)> = Mutex::new((0, None));

fn quiet() -> MutexGuard<'static, (usize, Option<Hook>)> {
    QUIET.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work`; what a panic said is the error. What `work` was given must not be used again then.
pub(super) fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    {
        let mut quiet = quiet();
        if quiet.0 == 0 {
            quiet.1 = Some(take_hook());
            set_hook(Box::new(|_| ()));
        }
        quiet.0 += 1;
    }
    let outcome = catch_unwind(AssertUnwindSafe(work));
    {
        let mut quiet = quiet();
        quiet.0 -= 1;
        if quiet.0 == 0
            && let Some(hook) = quiet.1.take()
        {
            set_hook(hook);
        }
    }
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("it makes the program panic").to_owned()
    })
}
