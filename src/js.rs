//! The classes JavaScript sees.
//!
//! Decides how arguments are checked and how values, positions and errors cross the boundary. Never decides anything of the
//! protocol. No borrow is held while JavaScript runs: calls into it are queued and made when the work is done.

pub mod error;
pub mod events;
pub mod loro;
