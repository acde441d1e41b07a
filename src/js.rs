//! The classes JavaScript sees.
//!
//! Decides how arguments are checked and how values, positions and errors cross the boundary. Never decides anything of the
//! protocol. No borrow is held while JavaScript runs: calls into it are queued and made when the work is done.
//!
//! The document API (`loro`) is exported as it is. The repo is exported as `Wasm…` classes that the package's own JavaScript wraps:
//! there its classes can exist before the module is loaded.

pub mod admission;
#[cfg(feature = "backups")]
pub mod backup;
#[cfg(feature = "records")]
pub mod collection;
pub mod doc_handle;
pub mod ephemeral;
pub mod error;
pub mod events;
pub mod loro;
pub mod options;
pub mod panics;
pub mod repo;
