//! Corella: a local-first repository of Loro documents.
//!
//! One crate, two builds. In the browser (`wasm32`) it is the npm package `corella`; natively it is the
//! library under the relay process `corella-hub`. Both run the same [`synchronizer`] and [`runtime`].
//!
//! Layers, each importing only what stands left of it:
//! `collections ← protocol ← synchronizer ← runtime ← browser ← js`, and `hub` beside `browser`.

pub mod collections;
pub mod protocol;
pub mod runtime;
pub mod synchronizer;

#[cfg(target_arch = "wasm32")]
pub mod browser;
#[cfg(target_arch = "wasm32")]
pub mod js;

#[cfg(all(feature = "hub", not(target_arch = "wasm32")))]
pub mod hub;

pub use protocol::{DocId, PeerId, VersionVector};
pub use runtime::{DocHandle, Repo, RepoConfig, RepoError};
