//! Channels and a store in memory, for tests and native embedding.
