//! The document API: loro-crdt's names and behaviour over this crate's engine.
//!
//! Events are synchronous and queued: whatever a call causes is delivered before it returns, in order, never nested. Handles are
//! made anew on every access. Text positions are UTF-16.

// What only the full build's members use.
#![cfg_attr(not(feature = "full"), allow(dead_code, unused_imports))]

mod awareness;
mod container;
mod counter;
mod cursor;
mod diff;
mod doc;
mod event;
pub mod free;
mod history;
#[cfg(feature = "full")]
pub mod json;
mod list;
mod map;
mod modifier;
mod movable_list;
mod plain;
mod text;
mod tree;
mod tree_node;
mod undo;
mod value;
mod version;

pub use awareness::JsAwareness;
pub use counter::JsLoroCounter;
pub use cursor::JsCursor;
pub use doc::JsLoroDoc;
pub(crate) use event::document_key;
pub(crate) use history::change_to_js;
pub use list::JsLoroList;
pub use map::JsLoroMap;
pub use modifier::JsChangeModifier;
pub use movable_list::JsLoroMovableList;
pub use text::JsLoroText;
pub use tree::JsLoroTree;
pub use tree_node::JsLoroTreeNode;
pub use undo::JsUndoManager;
pub(crate) use value::{from_js, get, object, set, to_js};
pub use version::JsVersionVector;
pub(crate) use version::{frontiers_to_js, peer_from_js};
