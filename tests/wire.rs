//! The wire format, checked against recorded vectors and transcripts of the reference design, this project's own golden frames,
//! and arbitrary bytes.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "wire/arbitrary.rs"]
mod arbitrary;
#[path = "wire/extension.rs"]
mod extension;
#[path = "wire/golden.rs"]
mod golden;
#[path = "wire/json.rs"]
mod json;
#[path = "wire/records.rs"]
mod records;
#[path = "wire/transcripts.rs"]
mod transcripts;
#[path = "wire/vectors.rs"]
mod vectors;
