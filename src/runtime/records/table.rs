//! The records in memory, with values as they came.
//!
//! Decides what is found where. Beside the records it keeps the log: those with something that not every device has, by their latest clock.

use std::{cell::RefCell, ops::Bound};

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
    reading: RefCell<Reading>,
}

/// Everything in the order of its pages, made for the first of them and kept while somebody reads. A record that changes meanwhile is given where it was, as it is then; one
/// that comes meanwhile is not in what the first page claims.
#[derive(Debug, Default)]
struct Reading {
    order: Vec<(Clock, RecordId)>,
    /// Something has changed since: the next first page needs another.
    stale: bool,
    /// A page was given since it was last looked whether somebody still reads.
    used: bool,
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
    pub(super) fn merge(&mut self, id: RecordId, state: RecordState, source: Option<ChannelId>) -> Option<(RecordId, bool)> {
        if state.is_empty() {
            return None;
        }
        let known = self.records.entry(id.clone()).or_default();
        let mut equal = true;
        if let Some(before) = known.latest() {
            let weighed = weight(&id, known);
            let news = known.merge(&state);
            equal = *known == state;
            if !news {
                // A store that has exactly this lacks nothing of it.
                let source = source.filter(|_| equal);
                source.and_then(|source| self.dirty.get_mut(&source)).map(|dirty| dirty.remove(&id));
                return None;
            }
            self.usage.change(&id, Some(weighed), Some(weight(&id, known)));
            self.log.remove(&(before, id.clone()));
        } else {
            *known = state;
            self.usage.change(&id, None, Some(weight(&id, known)));
        }
        self.reading.get_mut().stale = true;
        let alive = known.is_alive();
        if let Some(latest) = known.latest()
            && !(alive && known.is_in(&self.stable))
        {
            self.log.insert((latest, id.clone()));
        }
        for (store, dirty) in &mut self.dirty {
            if source != Some(*store) || !equal {
                dirty.insert(id.clone());
            }
        }
        Some((id, !alive))
    }

    /// Returns whether there is no room for what a peer gives of a record, beside what waits; if there is, it waits as well.
    pub(super) fn is_full(&self, id: &RecordId, given: &RecordState, limits: &RecordLimits, waiting: &mut Usage) -> bool {
        let Some(latest) = given.latest() else { return false };
        let known = self.records.get(id);
        // What replaces something at least as large needs no room.
        let grows = known.is_none_or(|known| given.bytes() > known.bytes());
        let full = grows && self.usage.is_full(id, latest.writer.device, known.is_some(), limits, waiting);
        // Deletions make room in the end: they are not kept out by those that come with them.
        if !full && known.is_none() && given.is_alive() {
            waiting.change(id, None, Some(weight(id, given)));
        }
        full
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
        self.merge(id.clone(), state, None);
        self.soil(id);
        self.restore(id);
        (alive || before.is_alive()).then(|| (id.clone(), !alive))
    }

    /// Takes what every device has out of the log, and forgets deletions among it.
    pub(super) fn prune(&mut self, stable: &ClockVector) {
        self.stable.merge(stable);
        let reading = self.reading.get_mut();
        if !std::mem::take(&mut reading.used) {
            reading.order = Vec::new();
        }
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

    /// Returns what `base` lacks of the writers in `version`, as far as it is in `claimed`; no more than one record too many for a message.
    pub(super) fn since(&self, base: &ClockVector, version: &ClockVector, claimed: &ClockVector) -> Vec<RecordEntry> {
        let first = version.iter().map(|(writer, _)| base.get(writer)).min().unwrap_or_default();
        let from = (Clock { stamp: first, writer: Writer::default() }, first_id());
        self.log
            .iter_from(Bound::Included(&from))
            .filter_map(|(_, id)| self.records.get(id)?.within(claimed).missing(base).map(|missing| (id.clone(), missing)))
            .take(MAX_RECORDS + 1)
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
        let (mut page, mut bytes, mut last) = (Vec::new(), 0, None);
        let mut reading = self.reading.borrow_mut();
        let first = (after.unwrap_or_else(|| self.first_missing(since, claimed)), first_id());
        if whole && (reading.order.is_empty() || reading.stale && after.is_none()) {
            reading.stale = false;
            reading.order = self.records.iter().filter_map(|(id, state)| Some((state.latest()?, id.clone()))).collect();
            sort(&mut reading.order);
        }
        reading.used |= whole;
        let at = reading.order.partition_point(|(clock, _)| Some(*clock) <= after);
        let all = whole.then(|| reading.order[at..].iter());
        let log = (!whole).then(|| self.log.iter_from(Bound::Included(&first)).filter(|(clock, _)| Some(*clock) > after));
        for (clock, id) in all.into_iter().flatten().chain(log.into_iter().flatten()) {
            let Some(state) = self.records.get(id).map(|state| state.within(claimed)) else { continue };
            // Of everything it is said that it is there.
            let given = if whole { Some(state.outline(since)).filter(|outline| !outline.is_empty()) } else { state.missing(since) };
            if let Some(given) = given {
                let entry = (id.clone(), given);
                bytes += size(&entry);
                if page.len() >= MAX_RECORDS || !page.is_empty() && bytes > PAGE_BYTES {
                    return (page, last);
                }
                page.push(entry);
            }
            last = Some(*clock);
        }
        (page, None)
    }

    /// Returns a clock before which there is nothing that is claimed and not in `since`.
    fn first_missing(&self, since: &ClockVector, claimed: &ClockVector) -> Clock {
        let stamps = claimed.beyond(since);
        Clock { stamp: stamps.iter().map(|(writer, _)| since.get(writer)).min().unwrap_or_default(), writer: Writer::default() }
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

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::protocol::clock::Stamp;

    fn clock(at: u64) -> Clock {
        Clock { stamp: Stamp(at), writer: Writer::default() }
    }

    fn id(number: u64) -> RecordId {
        // Clocks and keys are in different orders.
        RecordId { collection: "facts".into(), owner: None, key: format!("{}", number * 7_919 % 10_007).into() }
    }

    fn put(table: &mut Table, number: u64, at: u64) {
        table.merge(id(number), RecordState::put(clock(at), [("n".into(), vec![0].into())]), None);
    }

    fn filled(count: u64) -> Table {
        let mut table = Table::default();
        (1..=count).for_each(|number| put(&mut table, number, number));
        table
    }

    fn next(table: &Table, after: Option<Clock>, seen: &mut Vec<RecordId>) -> Option<Clock> {
        let claimed = ClockVector::from_iter([(Writer::default(), Stamp(u64::MAX))]);
        let (page, next) = table.page(&ClockVector::new(), after, true, &claimed);
        assert!(page.len() <= MAX_RECORDS);
        seen.extend(page.into_iter().map(|(id, _)| id));
        next
    }

    #[test]
    fn everything_is_put_in_order_once_for_all_pages() {
        let mut table = filled(4_500);
        let (mut seen, mut orders, mut after) = (Vec::new(), Vec::new(), None);
        loop {
            after = next(&table, after, &mut seen);
            orders.push(table.reading.borrow().order.as_ptr());
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, (1..=4_500).map(id).collect::<Vec<_>>());
        assert_eq!(orders.len(), 5);
        // Also for others that begin, until something has changed.
        let _ = next(&table, None, &mut seen);
        orders.push(table.reading.borrow().order.as_ptr());
        assert!(orders.iter().all(|order| *order == orders[0]), "made again for a later page");
        put(&mut table, 4_501, 4_501);
        let _ = next(&table, Some(clock(4_000)), &mut Vec::new());
        assert_eq!(table.reading.borrow().order.len(), 4_500);
        let _ = next(&table, None, &mut Vec::new());
        assert_eq!(table.reading.borrow().order.len(), 4_501);
    }

    #[test]
    fn readings_at_once_name_everything_that_was_there_when_they_began_whatever_changes() {
        let mut table = filled(3_500);
        let (mut one, mut two) = (Vec::new(), Vec::new());
        let first = next(&table, None, &mut one);
        // One that was given, one that was not, one whose last writing is taken back, and one that is new.
        put(&mut table, 10, 10_000);
        put(&mut table, 3_000, 10_001);
        table.replace(&id(2_000), RecordState::put(clock(5), []));
        put(&mut table, 5_000, 10_002);
        let second = next(&table, first, &mut one);
        let mut other = next(&table, None, &mut two);
        put(&mut table, 3_200, 10_003);
        let mut after = next(&table, second, &mut one);
        while other.is_some() {
            other = next(&table, other, &mut two);
        }
        while after.is_some() {
            after = next(&table, after, &mut one);
        }
        for seen in [one, two] {
            assert!((1..=3_500).all(|number| seen.contains(&id(number))));
        }
    }

    #[test]
    fn an_order_that_nobody_reads_any_more_goes() {
        let mut table = filled(2_500);
        let after = next(&table, None, &mut Vec::new());
        table.prune(&ClockVector::new());
        assert_eq!(table.reading.borrow().order.len(), 2_500);
        table.prune(&ClockVector::new());
        assert_eq!(table.reading.borrow().order.capacity(), 0);
        let mut seen = Vec::new();
        assert!(next(&table, after, &mut seen).is_some());
        assert_eq!(seen, (1_001..=2_000).map(id).collect::<Vec<_>>(), "it goes on where it was");
    }

    #[test]
    fn a_page_of_the_log_is_looked_for_from_what_is_missing_on() {
        let table = filled(2_500);
        let (since, claimed) =
            (ClockVector::from_iter([(Writer::default(), Stamp(2_400))]), ClockVector::from_iter([(Writer::default(), Stamp(2_500))]));
        assert_eq!(table.first_missing(&since, &claimed), Clock { stamp: Stamp(2_400), writer: Writer::default() });
        let (page, next) = table.page(&since, None, false, &claimed);
        assert_eq!(page.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), (2_401..=2_500).map(id).collect::<Vec<_>>());
        assert_eq!(next, None);
    }
}
