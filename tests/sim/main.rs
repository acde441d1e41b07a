//! Several repos in one deterministic world: virtual clock, delayed and breakable links, restarts.

mod disk;
mod network;
mod scenarios;
mod world;
