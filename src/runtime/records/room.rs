//! How much room the records take: all, those of a collection, and those a device wrote last.
//!
//! Decides whether there is room for one more. Never which records go: what is here stays.

use std::sync::Arc;

use super::table::OVERHEAD;
use crate::{
    protocol::{Device, RecordId, RecordState},
    synchronizer::{RecordLimits, RecordRoom},
};

/// What is counted of one record: who wrote it last, and its bytes.
pub(super) type Weight = (Device, usize);

pub(super) fn weight(id: &RecordId, state: &RecordState) -> Weight {
    (state.latest().unwrap_or_default().writer.device, id.collection.len() + id.key.len() + state.bytes() + OVERHEAD)
}

#[derive(Debug, Default)]
pub(super) struct Usage {
    all: RecordRoom,
    /// By name and by device.
    collections: Vec<(Arc<str>, RecordRoom)>,
    devices: Vec<(Device, RecordRoom)>,
}

impl Usage {
    /// A record came, went or has changed.
    pub(super) fn change(&mut self, id: &RecordId, before: Option<Weight>, after: Option<Weight>) {
        for (weight, more) in [(before, false), (after, true)] {
            let Some((device, bytes)) = weight else { continue };
            let count = |room: &mut RecordRoom| {
                if more {
                    room.records += 1;
                    room.bytes += bytes;
                } else {
                    room.records -= 1;
                    room.bytes -= bytes;
                }
            };
            count(&mut self.all);
            let at = self.collections.binary_search_by(|(name, _)| name.cmp(&id.collection)).unwrap_or_else(|at| {
                self.collections.insert(at, (Arc::clone(&id.collection), RecordRoom::NONE));
                at
            });
            count(&mut self.collections[at].1);
            if self.collections[at].1.records == 0 {
                self.collections.remove(at);
            }
            let at = self.devices.binary_search_by(|(known, _)| known.cmp(&device)).unwrap_or_else(|at| {
                self.devices.insert(at, (device, RecordRoom::NONE));
                at
            });
            count(&mut self.devices[at].1);
            if self.devices[at].1.records == 0 {
                self.devices.remove(at);
            }
        }
    }

    /// Returns whether there is no room for a record that is not here, or would grow, beside all that wait.
    pub(super) fn is_full(&self, id: &RecordId, device: Device, known: bool, limits: &RecordLimits, waiting: &Self) -> bool {
        let full = |(room, more): (RecordRoom, RecordRoom), limit: &RecordRoom| {
            !known && room.records + more.records >= limit.records || room.bytes + more.bytes >= limit.bytes
        };
        full((self.all, waiting.all), &limits.all)
            || full((self.of_collection(id), waiting.of_collection(id)), &limits.collection)
            || full((self.of_device(device), waiting.of_device(device)), &limits.device)
    }

    fn of_collection(&self, id: &RecordId) -> RecordRoom {
        let at = self.collections.binary_search_by(|(name, _)| name.cmp(&id.collection));
        at.map_or(RecordRoom::NONE, |at| self.collections[at].1)
    }

    fn of_device(&self, device: Device) -> RecordRoom {
        let at = self.devices.binary_search_by(|(known, _)| known.cmp(&device));
        at.map_or(RecordRoom::NONE, |at| self.devices[at].1)
    }
}
