//! The span between a repo's start and its death, and the very effect at which it dies.

use std::{cell::Cell, rc::Rc};

/// One run of a process. What touches the outside world asks it first.
pub struct Life {
    alive: Cell<bool>,
    fuse: Cell<Option<u64>>,
}

impl Life {
    pub fn new() -> Rc<Self> {
        Rc::new(Self { alive: Cell::new(true), fuse: Cell::new(None) })
    }

    pub fn is_alive(&self) -> bool {
        self.alive.get()
    }

    pub fn end(&self) {
        self.alive.set(false);
    }

    /// Lets it die at the effect after the next `effects`; `None` takes that back.
    pub fn fuse(&self, effects: Option<u64>) {
        self.fuse.set(effects);
    }

    /// An effect is about to happen: returns whether it still does.
    pub fn step(&self) -> bool {
        match self.fuse.get() {
            Some(0) => self.alive.set(false),
            Some(left) => self.fuse.set(Some(left - 1)),
            None => {}
        }
        self.alive.get()
    }
}
