use std::rc::Rc;

use corella::{
    DocHandle, Repo, RepoConfig,
    browser::IndexedDbAdapter,
    runtime::{
        Adapter, Durability, ErrorCode, StoreError,
        memory::{self, MemoryDisk, MemoryStoreAdapter},
    },
    synchronizer::{ChannelKind, Interest},
};
use wasm_bindgen_test::wasm_bindgen_test;

use super::env;

fn indexed_db() -> Rc<dyn Adapter> {
    Rc::new(IndexedDbAdapter::new(Some(format!("corella-test-{:x}", env().random_u64()))))
}

/// A leaf with IndexedDB, connected to a relay with the store given.
fn leaf_and_relay(store: Rc<dyn Adapter>) -> (Repo, Repo) {
    let (near, far) = memory::pair(ChannelKind::Network);
    let relay = Repo::new(env(), RepoConfig { adapters: vec![store, far], interest: Interest::Everything, ..RepoConfig::default() });
    let leaf = Repo::new(env(), RepoConfig { adapters: vec![indexed_db(), near], ..RepoConfig::default() });
    (leaf, relay)
}

fn write(handle: &DocHandle, text: &str) {
    handle.change(|doc| doc.get_text("t").insert(0, text).unwrap(), None, None).unwrap();
}

#[wasm_bindgen_test]
async fn what_is_on_both_disks_is_as_durable_as_can_be() {
    let (leaf, relay) = leaf_and_relay(indexed_db());
    let handle = leaf.get("d").unwrap();
    write(&handle, "hello");
    assert_eq!((handle.durability(), leaf.unsynced()), (Durability::Memory, 5));
    handle.when_durable(Durability::Disk, Some(10_000)).await.unwrap();
    assert!(handle.durability() >= Durability::Disk);
    handle.when_durable(Durability::HubDisk, Some(10_000)).await.unwrap();
    assert_eq!((handle.durability(), handle.unsynced(), leaf.unsynced()), (Durability::HubDisk, 0, 0));
    write(&handle, "x");
    assert_eq!((handle.durability(), handle.unsynced()), (Durability::Memory, 1));
    leaf.close().await.unwrap();
    relay.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn a_relay_whose_disk_fails_proves_its_memory_only_until_the_disk_works() {
    let disk = MemoryDisk::new();
    disk.fail_writes(2, &StoreError::Full("no space".to_owned()));
    let (leaf, relay) = leaf_and_relay(Rc::new(MemoryStoreAdapter::new(&disk)));
    let handle = leaf.get("d").unwrap();
    write(&handle, "hello");
    handle.when_durable(Durability::Hub, Some(10_000)).await.unwrap();
    assert_eq!(handle.unsynced(), 0);
    let early = handle.when_durable(Durability::HubDisk, Some(20)).await.unwrap_err();
    assert_eq!(early.code(), ErrorCode::Timeout);
    handle.when_durable(Durability::HubDisk, Some(20_000)).await.unwrap();
    assert!(disk.writes() > 0);
    leaf.close().await.unwrap();
    relay.close().await.unwrap();
}
