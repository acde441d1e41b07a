//! What a panic in an exported call leaves behind, and how work goes on.
//!
//! A panic ends in a trap: nothing the call held is released, and the instance stays usable. Decides which document the call was about, that it is
//! never used again where its locks are held, and that the repos go on. The package's JavaScript catches the trap and calls this.

use std::{
    cell::RefCell,
    mem::ManuallyDrop,
    rc::{Rc, Weak},
};

use loro_internal::LoroDoc;
use wasm_bindgen::prelude::*;

use super::{events, loro::document_key};
use crate::{
    browser::{BrowserEnv, panics},
    collections::SortedSet,
    runtime::{Env, Repo},
};

thread_local! {
    /// Documents that are not used again.
    static LOST: RefCell<SortedSet<usize>> = const { RefCell::new(SortedSet::new()) };
    static REPOS: RefCell<Vec<Weak<Repo>>> = const { RefCell::new(Vec::new()) };
}

/// Tells a repo of panics for as long as it lives.
pub(super) fn register(repo: &Rc<Repo>) {
    REPOS.with(|repos| {
        let mut repos = repos.borrow_mut();
        repos.retain(|known| known.strong_count() > 0);
        repos.push(Rc::downgrade(repo));
    });
}

fn repos() -> Vec<Rc<Repo>> {
    REPOS.with(|repos| repos.borrow().iter().filter_map(Weak::upgrade).collect())
}

/// Gives up a document in which an exported call panicked. Returns whether it had been given up before.
pub(crate) fn lose(doc: &LoroDoc, message: &str) -> bool {
    let key = document_key(doc);
    if LOST.with(|lost| lost.borrow().contains(&key)) {
        return true;
    }
    let mut of_a_repo = false;
    for repo in repos() {
        of_a_repo |= repo.lose(|known| document_key(known.inner()) == key, message);
    }
    let locked = is_locked(doc);
    if of_a_repo && !locked {
        // Edits of a document that no repo keeps would vanish: they fail from now on.
        let _never_unlocked = ManuallyDrop::new(doc.oplog().lock());
    }
    if of_a_repo || locked {
        let _never_dropped = ManuallyDrop::new(doc.clone());
        LOST.with(|lost| lost.borrow_mut().insert(key));
    }
    false
}

fn is_locked(doc: &LoroDoc) -> bool {
    let pending = || {
        BrowserEnv.contain(&mut || {
            let _ = doc.get_pending_txn_len();
        })
    };
    doc.oplog().is_locked() || doc.app_state().is_locked() || pending().is_err()
}

/// Returns what the last panic said, once.
#[wasm_bindgen(js_name = __takePanic, skip_typescript)]
pub fn take_panic() -> Option<String> {
    panics::take_message()
}

/// Goes on after a panic. Called when nothing of this module is on the stack any more.
#[wasm_bindgen(js_name = __resume, skip_typescript)]
pub fn resume() {
    events::resume();
    for repo in repos() {
        repo.resume();
    }
    events::drain();
}

/// Makes a place panic when it is passed.
#[cfg(feature = "failpoints")]
#[wasm_bindgen(js_name = __failpoint, skip_typescript)]
pub fn failpoint(place: &str, times: u32) {
    crate::runtime::failpoint::arm(place, times);
}
