//! The records in memory, with values as they came.
//!
//! Decides what is found where. Beside the records it keeps the log: those with something that not every device has, by their latest clock.

use std::ops::Bound;

use super::{
    RecordStats,
    room::{Usage, weight},
};
use crate::{
    collections::{SortedMap, SortedSet, sort},
    protocol::{
        Clock, ClockVector, RecordEntry, RecordId, RecordState,
        clock::Writer,
        record::{MAX_RECORDS, PAGE_BYTES},
    },
    synchronizer::{ChannelId, RecordLimits},
};

/// Bytes a record takes in a message beside names and values, roughly.
pub(super) const OVERHEAD: usize = 24;

#[derive(Debug, Default)]
pub(super) struct Table {
    records: SortedMap<RecordId, RecordState>,
    log: SortedSet<(Clock, RecordId)>,
    /// What every known device has.
    stable: ClockVector,
    /// Records each store lacks, or has in vain.
    dirty: SortedMap<ChannelId, SortedSet<RecordId>>,
    /// Those whose row is to be replaced and not merged with.
    reverted: SortedMap<ChannelId, SortedSet<RecordId>>,
    usage: Usage,
}

/// Returns about how many bytes a record takes in a message.
pub(super) fn size((id, state): &RecordEntry) -> usize {
    id.key.len() + state.bytes() + OVERHEAD + state.fields.len() * 4
}

/// Returns the id that comes before all others.
pub(super) fn first_id() -> RecordId {
    RecordId { collection: "".into(), owner: None, key: "".into() }
}

impl Table {
    pub(super) fn get(&self, id: &RecordId) -> Option<&RecordState> {
        self.records.get(id)
    }

    /// Iterates over all records from one on, by collection, owner and key.
    pub(super) fn from(&self, id: &RecordId) -> impl Iterator<Item = (&RecordId, &RecordState)> {
        self.records.iter_from(Bound::Included(id))
    }

    /// A store wants to hear of changes from now on; it had what every device has up to `pruned`.
    pub(super) fn add_store(&mut self, store: ChannelId, pruned: &ClockVector) {
        // What came before the store was there is not in it, as far as is known.
        let all = self.records.keys().cloned().collect();
        self.dirty.insert(store, all);
        self.stable.merge(pruned);
    }

    /// Merges a state; `source` is the store it came from. Returns the record, and whether it is gone, if it has changed.
    pub(super) fn merge(&mut self, id: &RecordId, state: &RecordState, source: Option<ChannelId>) -> Option<(RecordId, bool)> {
        let known = self.records.get_mut(id);
        let (before, changed) = match known {
            Some(known) => {
                let (before, weighed) = (known.latest(), weight(id, known));
                if !known.merge(state) {
                    // A store that has exactly this lacks nothing of it.
                    let source = source.filter(|_| *known == *state);
                    source.and_then(|source| self.dirty.get_mut(&source)).map(|dirty| dirty.remove(id));
                    return None;
                }
                self.usage.change(id, Some(weighed), Some(weight(id, known)));
                (before, &*known)
            }
            None if state.is_empty() => return None,
            None => {
                self.records.insert(id.clone(), state.clone());
                self.usage.change(id, None, Some(weight(id, state)));
                (None, state)
            }
        };
        let alive = changed.is_alive();
        let equal = changed == state;
        if let Some(before) = before {
            self.log.remove(&(before, id.clone()));
        }
        if let Some(latest) = changed.latest()
            && !(alive && changed.is_in(&self.stable))
        {
            self.log.insert((latest, id.clone()));
        }
        for (store, dirty) in &mut self.dirty {
            if source != Some(*store) || !equal {
                dirty.insert(id.clone());
            }
        }
        Some((id.clone(), !alive))
    }

    /// Returns whether there is no room for what a peer gives of a record.
    pub(super) fn is_full(&self, id: &RecordId, given: &RecordState, limits: &RecordLimits) -> bool {
        let Some(latest) = given.latest() else { return false };
        let known = self.records.get(id);
        // What replaces something at least as large needs no room.
        let grows = known.is_none_or(|known| given.bytes() > known.bytes());
        grows && self.usage.is_full(id, latest.writer.device, known.is_some(), limits)
    }

    /// Returns what is left of a record when somebody who has `version` has of it `outline`, if that is less than is here.
    pub(super) fn trimmed(&self, id: &RecordId, outline: &RecordState, version: &ClockVector) -> Option<RecordState> {
        let known = self.records.get(id)?;
        let mut trimmed = known.clone();
        trimmed.trim(outline, version);
        (trimmed != *known).then_some(trimmed)
    }

    /// Returns the records that are not among those picked.
    pub(super) fn others(&self, kept: impl Fn(&RecordId) -> bool) -> Vec<RecordId> {
        self.records.keys().filter(|id| !kept(id)).cloned().collect()
    }

    /// Takes a state in the place of what is here of a record. Returns the record, and whether it is gone, if that can be seen.
    pub(super) fn replace(&mut self, id: &RecordId, state: RecordState) -> Option<(RecordId, bool)> {
        let before = self.records.remove(id)?;
        self.usage.change(id, Some(weight(id, &before)), None);
        if let Some(latest) = before.latest() {
            self.log.remove(&(latest, id.clone()));
        }
        let alive = state.is_alive();
        self.merge(id, &state, None);
        self.soil(id);
        self.restore(id);
        (alive || before.is_alive()).then(|| (id.clone(), !alive))
    }

    /// Takes what every device has out of the log, and forgets deletions among it.
    pub(super) fn prune(&mut self, stable: &ClockVector) {
        self.stable.merge(stable);
        let settled: Vec<_> =
            self.log.iter().filter(|(_, id)| self.records.get(id).is_none_or(|state| state.is_in(&self.stable))).cloned().collect();
        for entry in settled {
            self.log.remove(&entry);
            let (_, id) = entry;
            if self.records.get(&id).is_some_and(|state| !state.is_alive())
                && let Some(gone) = self.records.remove(&id)
            {
                self.usage.change(&id, Some(weight(&id, &gone)), None);
                self.soil(&id);
            }
        }
    }

    /// Returns what `base` lacks of the writers in `version`, as far as it is in `claimed`.
    pub(super) fn since(&self, base: &ClockVector, version: &ClockVector, claimed: &ClockVector) -> Vec<RecordEntry> {
        let first = version.iter().map(|(writer, _)| base.get(writer)).min().unwrap_or_default();
        let from = (Clock { stamp: first, writer: Writer::default() }, first_id());
        self.log
            .iter_from(Bound::Included(&from))
            .filter_map(|(_, id)| self.records.get(id)?.within(claimed).missing(base).map(|missing| (id.clone(), missing)))
            .collect()
    }

    /// Returns a page of what `since` lacks, of the log or of everything, and where the next begins.
    pub(super) fn page(
        &self,
        since: &ClockVector,
        after: Option<Clock>,
        whole: bool,
        claimed: &ClockVector,
    ) -> (Vec<RecordEntry>, Option<Clock>) {
        let order = if whole { self.next_of_all(after) } else { self.next_of_log(after) };
        let mut page = Vec::new();
        let mut bytes = 0;
        let mut last = None;
        let mut rest = order.into_iter();
        for (clock, id) in rest.by_ref() {
            let Some(state) = self.records.get(id).map(|state| state.within(claimed)) else { continue };
            // Of everything it is said that it is there.
            let given = if whole { Some(state.outline(since)).filter(|outline| !outline.is_empty()) } else { state.missing(since) };
            let Some(given) = given else {
                last = Some(clock);
                continue;
            };
            let entry = (id.clone(), given);
            bytes += size(&entry);
            if page.len() >= MAX_RECORDS || !page.is_empty() && bytes > PAGE_BYTES {
                return (page, last);
            }
            page.push(entry);
            last = Some(clock);
        }
        // Of everything only the first are looked at.
        let more = whole && last.is_some_and(|last| self.records.values().any(|state| state.latest() > Some(last)));
        (page, last.filter(|_| more))
    }

    fn next_of_log(&self, after: Option<Clock>) -> Vec<(Clock, &RecordId)> {
        let from = (after.unwrap_or_default(), first_id());
        self.log.iter_from(Bound::Included(&from)).filter(|(clock, _)| Some(*clock) > after).map(|(clock, id)| (*clock, id)).collect()
    }

    fn next_of_all(&self, after: Option<Clock>) -> Vec<(Clock, &RecordId)> {
        let mut order: Vec<_> =
            self.records.iter().filter_map(|(id, state)| Some((state.latest()?, id))).filter(|(clock, _)| Some(*clock) > after).collect();
        if order.len() > MAX_RECORDS {
            order.select_nth_unstable(MAX_RECORDS - 1);
            order.truncate(MAX_RECORDS);
        }
        sort(&mut order);
        order
    }

    /// The row of a record that is to be written takes the place of what stores have, or count as had.
    pub(super) fn restore(&mut self, id: &RecordId) {
        for store in self.dirty.keys() {
            self.reverted.entry(*store).or_default().insert(id.clone());
        }
    }

    /// Rows of records are written anew, or removed where there is nothing.
    pub(super) fn rewrite<'a>(&mut self, ids: impl Iterator<Item = &'a RecordId>) {
        ids.for_each(|id| self.soil(id));
    }

    /// Every store lacks the record as it is now.
    fn soil(&mut self, id: &RecordId) {
        for dirty in self.dirty.values_mut() {
            dirty.insert(id.clone());
        }
    }

    /// Returns the records a store lacks, and those of them whose row is to be replaced.
    pub(super) fn take_dirty(&mut self, store: ChannelId) -> (SortedSet<RecordId>, SortedSet<RecordId>) {
        let dirty = self.dirty.get_mut(&store).map(std::mem::take).unwrap_or_default();
        (dirty, self.reverted.remove(&store).unwrap_or_default())
    }

    pub(super) fn dirty_again(&mut self, store: ChannelId, ids: SortedSet<RecordId>, reverted: SortedSet<RecordId>) {
        self.dirty.entry(store).or_default().extend(ids);
        self.reverted.entry(store).or_default().extend(reverted);
    }

    /// Returns how many records have something that is not in a version.
    pub(super) fn beyond(&self, version: &ClockVector) -> u64 {
        self.records.values().filter(|state| !state.is_in(version)).count() as u64
    }

    pub(super) fn stats(&self) -> RecordStats {
        let alive = self.records.values().filter(|state| state.is_alive()).count();
        RecordStats { records: alive, deletions: self.records.len() - alive, unacknowledged: self.log.len() }
    }
}
