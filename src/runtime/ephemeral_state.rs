//! Last-writer-wins map of one ephemeral namespace, and its bytes. Pure: time is passed in.
#![allow(missing_docs, unused_variables)]
use crate::{protocol::PeerId, synchronizer::Timestamp};
use loro::LoroValue;
use std::collections::BTreeMap;
#[derive(Debug, Clone, Default)]
pub struct EphemeralState {}
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EphemeralChange {
    pub added: Vec<String>,
    pub updated: Vec<String>,
    pub removed: Vec<String>,
}
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed ephemeral store bytes")]
pub struct EphemeralDecodeError;
impl EphemeralState {
    pub fn new() -> Self {
        todo!()
    }
    pub fn set(&mut self, key: &str, value: LoroValue, author: &PeerId, now: Timestamp) -> EphemeralChange {
        todo!()
    }
    pub fn delete(&mut self, key: &str, author: &PeerId, now: Timestamp) -> EphemeralChange {
        todo!()
    }
    pub fn apply(&mut self, bytes: &[u8], author: &PeerId, now: Timestamp) -> Result<EphemeralChange, EphemeralDecodeError> {
        todo!()
    }
    pub fn encode_by_author(&self) -> Vec<(PeerId, Vec<u8>)> {
        todo!()
    }
    pub fn encode_all(&self) -> Vec<u8> {
        todo!()
    }
    pub fn encode(&self, keys: &[&str]) -> Vec<u8> {
        todo!()
    }
    pub fn own_keys(&self, author: &PeerId) -> Vec<String> {
        todo!()
    }
    pub fn touch(&mut self, author: &PeerId, now: Timestamp) {
        todo!()
    }
    pub fn remove_author(&mut self, author: &PeerId, now: Timestamp) -> EphemeralChange {
        todo!()
    }
    pub fn expire(&mut self, own: &PeerId, now: Timestamp, lifetime_ms: u64) -> EphemeralChange {
        todo!()
    }
    pub fn get(&self, key: &str) -> Option<&LoroValue> {
        todo!()
    }
    pub fn all(&self) -> BTreeMap<String, LoroValue> {
        todo!()
    }
    pub fn keys(&self) -> Vec<String> {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        todo!()
    }
}
impl EphemeralChange {
    pub fn is_empty(&self) -> bool {
        todo!()
    }
}
