//! How the module's memory grows.
//!
//! Decides when more is taken than is needed at once. The allocator takes what it lacks, mostly one page of 64 KiB, and to a JavaScript
//! engine each growth is news that may set its collector to work: under Node.js that can take longer than everything the memory is for.
//! Never gives memory back, which no module can.

use std::{cell::Cell, hint::black_box};

const PAGE: usize = 64 * 1024;
/// The share of all memory that is taken at once …
const SHARE: usize = 8;
/// … in bytes at least, and at most.
const LEAST: usize = 1024 * 1024;
const MOST: usize = 64 * 1024 * 1024;

thread_local! {
    /// Pages there were when it was last looked.
    static SEEN: Cell<usize> = const { Cell::new(0) };
}

/// Sees to it that memory grows seldom: if it has grown since the last call, there is room in it for much more afterwards.
pub(super) fn keep() {
    let pages = core::arch::wasm32::memory_size::<0>();
    if SEEN.get() == pages {
        return;
    }
    // The allocator keeps what it is given back, in one piece, and costs nothing where nobody writes.
    let mut room = Vec::<u8>::new();
    let _ = room.try_reserve_exact((pages / SHARE * PAGE).clamp(LEAST, MOST));
    drop(black_box(room));
    SEEN.set(core::arch::wasm32::memory_size::<0>());
}
