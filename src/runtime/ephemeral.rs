//! Ephemeral state of open documents: unpersisted, per peer.
#![allow(missing_docs, unused_variables)]
use super::*;
use crate::protocol::PeerId;
use loro::LoroValue;
use std::collections::BTreeMap;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EphemeralBy {
    Local,
    Import,
    Timeout,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EphemeralEvent {
    pub by: EphemeralBy,
    pub change: EphemeralChange,
}
#[derive(Clone)]
pub struct EphemeralHandle {}
impl EphemeralHandle {
    pub fn set(&self, key: &str, value: LoroValue) {
        todo!()
    }
    pub fn delete(&self, key: &str) {
        todo!()
    }
    pub fn get(&self, key: &str) -> Option<LoroValue> {
        todo!()
    }
    pub fn all(&self) -> BTreeMap<String, LoroValue> {
        todo!()
    }
    pub fn keys(&self) -> Vec<String> {
        todo!()
    }
    pub fn set_self(&self, value: LoroValue) {
        todo!()
    }
    pub fn self_value(&self) -> Option<LoroValue> {
        todo!()
    }
    pub fn peers(&self) -> BTreeMap<PeerId, LoroValue> {
        todo!()
    }
    pub fn encode(&self, key: &str) -> Vec<u8> {
        todo!()
    }
    pub fn encode_all(&self) -> Vec<u8> {
        todo!()
    }
    pub fn apply(&self, bytes: &[u8]) -> Result<(), RepoError> {
        todo!()
    }
    pub fn on_change(&self, listener: impl Fn(&EphemeralEvent) + 'static) -> Subscription {
        todo!()
    }
    pub fn on_local_update(&self, listener: impl Fn(&[u8]) + 'static) -> Subscription {
        todo!()
    }
}
