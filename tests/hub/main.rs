//! The hub on real sockets: the library in this process, and the binary.
#![cfg(all(feature = "hub", not(target_arch = "wasm32")))]
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may fail, and knows what time it is")]

mod care;
mod client;
mod durable;
mod http;
mod limits;
mod power;
mod process;
mod records;
mod sessions;
mod socket;
mod sync;

use corella::hub::{Hub, HubConfig, HubLimits, StorageConfig};

pub(crate) fn memory() -> HubConfig {
    HubConfig { listen: "127.0.0.1:0".into(), storage: StorageConfig::Memory, ..HubConfig::default() }
}

pub(crate) async fn start(limits: HubLimits) -> Hub {
    Hub::start(HubConfig { limits, ..memory() }).await.unwrap()
}
