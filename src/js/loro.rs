//! The document API: loro-crdt's names and behaviour over this crate's engine.
//!
//! Events are synchronous and queued: whatever a call causes is delivered before it returns, in order, never nested. Handles are
//! made anew on every access. Text positions are UTF-16.

mod container;
mod cursor;
mod doc;
mod event;
mod free;
mod list;
mod map;
mod text;
mod undo;
mod value;
mod version;

pub use cursor::JsCursor;
pub use doc::JsLoroDoc;
pub use list::{JsLoroList, JsLoroMovableList};
pub use map::JsLoroMap;
pub use text::JsLoroText;
pub use undo::JsUndoManager;
pub(crate) use value::{from_js, get, object, to_js};
pub use version::JsVersionVector;
