//! The native relay.
