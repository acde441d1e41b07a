//! CBOR encoding of messages.
