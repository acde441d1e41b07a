//! Several repos in one deterministic world: virtual clock, delayed and breakable links, restarts.
#![cfg(not(target_arch = "wasm32"))]
#![allow(unreachable_pub, clippy::unwrap_used, reason = "one test binary, no public surface")]

mod admission;
mod authors;
mod backup;
mod chance;
mod chaos;
mod confirmed;
mod deletion;
mod disk;
mod extension;
mod fan_out;
mod history;
mod life;
mod many;
mod moving;
mod network;
mod presence;
mod records;
mod refused;
mod replay;
mod scenarios;
mod settle;
mod topologies;
mod transcript;
mod world;
