//! Records in backups.
//!
//! Decides what of a backed up record is written anew here: what neither was here before nor is older than what is. So what was deleted stays
//! deleted, and everybody gets what came back like any other change.

use bytes::Bytes;

use super::{RepoInner, table, value};
use crate::{
    protocol::{
        RecordEntry, RecordState,
        record::{MAX_RECORDS, PAGE_BYTES, encode_entries},
    },
    runtime::{LocalBoxFuture, RepoError},
};

impl RepoInner {
    /// Gives all records that are there, encoded, in pieces.
    pub(in crate::runtime) fn records_to_back_up(&self) -> LocalBoxFuture<Result<Vec<Bytes>, RepoError>> {
        self.use_records();
        self.with_records(|repo| {
            let table = repo.records.table.borrow();
            let (mut pieces, mut piece, mut bytes) = (Vec::new(), Vec::new(), 0);
            for (id, state) in table.from(&table::first_id()).filter(|(_, state)| state.is_alive()) {
                let entry = (id.clone(), state.clone());
                bytes += table::size(&entry);
                piece.push(entry);
                if piece.len() == MAX_RECORDS || bytes > PAGE_BYTES {
                    pieces.push(encode_entries(&std::mem::take(&mut piece)).into());
                    bytes = 0;
                }
            }
            if !piece.is_empty() {
                pieces.push(encode_entries(&piece).into());
            }
            Ok(pieces)
        })
    }

    /// Merges records of a backup.
    pub(in crate::runtime) fn restore_records(&self, entries: Vec<RecordEntry>) -> LocalBoxFuture<Result<(), RepoError>> {
        self.use_records();
        self.with_records(move |repo| entries.into_iter().try_for_each(|entry| repo.restore_record(entry)))
    }

    fn restore_record(&self, (id, state): RecordEntry) -> Result<(), RepoError> {
        let foreign = id.owner.is_some_and(|owner| owner != self.own_device());
        let readable = state.fields.iter().all(|field| value::check(&field.value).is_ok());
        if foreign || !id.is_valid() || !state.is_alive() || !state.is_acceptable() || !readable {
            return Ok(());
        }
        // What counts as had and is not here was replaced or deleted.
        let Some(missing) = state.missing(&self.records_version()) else { return Ok(()) };
        let known = self.records.table.borrow().get(&id).cloned().unwrap_or_default();
        let whole = missing.base.is_some() && missing.base > known.base;
        let newer = |name: &str, clock| known.fields.iter().all(|field| &*field.name != name || field.clock < clock);
        let fields = if whole { &state.fields } else { &missing.fields };
        let fields: Vec<_> = fields
            .iter()
            .filter(|field| whole || Some(field.clock) > known.base.map(|base| base.clock) && newer(&field.name, field.clock))
            .map(|field| (field.name.clone(), field.value.clone()))
            .collect();
        if whole {
            self.write_record(&id, |clock| RecordState::put(clock, fields))
        } else if known.is_alive() && !fields.is_empty() {
            self.write_record(&id, |clock| RecordState::update(clock, fields))
        } else {
            Ok(())
        }
    }
}
