//! The document API: loro-crdt names and behaviour over this crate's engine.
