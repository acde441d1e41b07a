//! Panics on demand, with the engine's locks held: the worst moment there is.
//!
//! Only with the feature `failpoints`, which nothing that is published has.

use std::{cell::RefCell, collections::BTreeMap};

use loro::LoroDoc;

thread_local! {
    static ARMED: RefCell<BTreeMap<String, u32>> = const { RefCell::new(BTreeMap::new()) };
}

/// Makes the place of that name panic the next `times` times it is passed.
pub fn arm(place: &str, times: u32) {
    ARMED.with(|armed| armed.borrow_mut().insert(place.to_owned(), times));
}

/// Panics if the place is armed.
///
/// # Panics
/// That is what it is for.
pub fn hit(place: &str, doc: &LoroDoc) {
    let panics = ARMED.with(|armed| match armed.borrow_mut().get_mut(place) {
        Some(times) if *times > 0 => {
            *times -= 1;
            true
        }
        _ => false,
    });
    if panics {
        let _oplog = doc.inner().oplog().lock();
        let _state = doc.inner().app_state().lock();
        panic!("failpoint {place}");
    }
}
