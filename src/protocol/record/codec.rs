//! Bytes of records: one format for messages and for storage.
//!
//! Decides which bytes stand for which records. Clocks are written once where they repeat, writers and stamps against a table and a base:
//! most of a message is keys and values.
//!
//! ```text
//! entries  = 1 table count:varint (place state)*
//! table    = writers:varint (device:8 number:4)* base:8
//! place    = length+1:varint collection | 0 for that of the entry before; 0 | 1 owner:8; length:varint key
//! state    = base:(0 none | 1 put clock | 2 deletion clock) fields:varint (length:varint name clock length:varint value)*
//! clock    = 0 for the one before | writer+1:varint (stamp - base):varint
//! ```

use std::sync::Arc;

use bytes::Bytes;

use super::{Base, Field, MAX_RECORDS, RecordEntry, RecordId, RecordState};
use crate::{
    collections::sort,
    protocol::{
        Clock, Device,
        clock::{Stamp, Writer},
    },
};

/// The only format so far.
const FORMAT: u8 = 1;

/// The bytes are no records of a known format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed records")]
pub struct RecordsError;

/// Encodes records.
#[must_use]
pub fn encode_entries<'a>(entries: impl IntoIterator<Item = &'a RecordEntry> + Clone) -> Vec<u8> {
    let clocks = entries.clone().into_iter().flat_map(|(_, state)| state.clocks());
    let mut out = Out::new(clocks);
    let mut count = 0;
    let mut body = Vec::new();
    std::mem::swap(&mut body, &mut out.bytes);
    let mut collection: Option<&str> = None;
    for (id, state) in entries {
        count += 1;
        match collection {
            Some(before) if before == &*id.collection => out.bytes.push(0),
            _ => {
                write_varint(&mut out.bytes, id.collection.len() as u64 + 1);
                out.bytes.extend(id.collection.as_bytes());
            }
        }
        collection = Some(&id.collection);
        match id.owner {
            None => out.bytes.push(0),
            Some(owner) => {
                out.bytes.push(1);
                out.bytes.extend(owner.0.to_be_bytes());
            }
        }
        out.text(&id.key);
        out.state(state);
    }
    write_varint(&mut body, count);
    body.append(&mut out.bytes);
    body
}

/// Decodes what [`encode_entries`] wrote; at most [`MAX_RECORDS`].
///
/// # Errors
/// [`RecordsError`] for anything else. Holds no more than a fixed multiple of the bytes.
pub fn decode_entries(bytes: &[u8]) -> Result<Vec<RecordEntry>, RecordsError> {
    let mut names = Vec::new();
    let mut input = In::new(bytes, None, &mut names)?;
    let count = input.bits.varint()?;
    if count > MAX_RECORDS as u64 {
        return Err(RecordsError);
    }
    let mut entries: Vec<RecordEntry> = Vec::new();
    for _ in 0..count {
        let collection = match input.bits.varint()? {
            0 => Arc::clone(&entries.last().ok_or(RecordsError)?.0.collection),
            length => input.bits.text(length - 1)?.into(),
        };
        let owner = match input.bits.byte()? {
            0 => None,
            1 => Some(Device(u64::from_be_bytes(input.bits.array()?))),
            _ => return Err(RecordsError),
        };
        let length = input.bits.varint()?;
        let key = input.bits.text(length)?.into();
        entries.push((RecordId { collection, owner, key }, input.state()?));
    }
    input.bits.end()?;
    Ok(entries)
}

/// Encodes one record's state, for storage.
#[must_use]
pub fn encode_state(state: &RecordState) -> Vec<u8> {
    let mut out = Out::new(state.clocks());
    out.state(state);
    out.bytes
}

/// Decodes what [`encode_state`] wrote.
///
/// # Errors
/// [`RecordsError`] for anything else.
pub fn decode_state(bytes: &[u8]) -> Result<RecordState, RecordsError> {
    In::new(bytes, None, &mut Vec::new())?.only_state()
}

/// The same of one row of many: values are parts of the row, which stays in memory as long as one of them does, and names are those of the
/// rows before where they are the same.
///
/// # Errors
/// As [`decode_state`].
pub fn decode_row(row: &Bytes, names: &mut Vec<Arc<str>>) -> Result<RecordState, RecordsError> {
    In::new(row, Some(row), names)?.only_state()
}

struct Out {
    bytes: Vec<u8>,
    writers: Vec<Writer>,
    base: Stamp,
    before: Option<Clock>,
}

impl Out {
    fn new(clocks: impl Iterator<Item = Clock>) -> Self {
        let (mut writers, mut base) = (Vec::new(), None);
        for clock in clocks {
            writers.push(clock.writer);
            base = Some(base.map_or(clock.stamp, |base: Stamp| base.min(clock.stamp)));
        }
        sort(&mut writers);
        writers.dedup();
        let base = base.unwrap_or_default();
        let mut bytes = vec![FORMAT];
        write_varint(&mut bytes, writers.len() as u64);
        for writer in &writers {
            bytes.extend(writer.device.0.to_be_bytes());
            bytes.extend(writer.number.to_be_bytes());
        }
        bytes.extend(base.0.to_be_bytes());
        Self { bytes, writers, base, before: None }
    }

    fn text(&mut self, text: &str) {
        write_varint(&mut self.bytes, text.len() as u64);
        self.bytes.extend(text.as_bytes());
    }

    fn state(&mut self, state: &RecordState) {
        match state.base {
            None => self.bytes.push(0),
            Some(base) => {
                self.bytes.push(if base.alive { 1 } else { 2 });
                self.clock(base.clock);
            }
        }
        write_varint(&mut self.bytes, state.fields.len() as u64);
        for field in &state.fields {
            self.text(&field.name);
            self.clock(field.clock);
            write_varint(&mut self.bytes, field.value.len() as u64);
            self.bytes.extend(&field.value);
        }
    }

    fn clock(&mut self, clock: Clock) {
        if self.before == Some(clock) {
            return self.bytes.push(0);
        }
        self.before = Some(clock);
        let place = self.writers.binary_search(&clock.writer).unwrap_or_default();
        write_varint(&mut self.bytes, place as u64 + 1);
        write_varint(&mut self.bytes, clock.stamp.0 - self.base.0);
    }
}

struct In<'a> {
    bits: Bits<'a>,
    /// What values are parts of; copied otherwise.
    whole: Option<&'a Bytes>,
    /// Names of fields, each where it was last.
    names: &'a mut Vec<Arc<str>>,
    writers: Vec<Writer>,
    base: u64,
    before: Option<Clock>,
}

impl<'a> In<'a> {
    fn new(bytes: &'a [u8], whole: Option<&'a Bytes>, names: &'a mut Vec<Arc<str>>) -> Result<Self, RecordsError> {
        let mut bits = Bits::new(bytes);
        if bits.byte()? != FORMAT {
            return Err(RecordsError);
        }
        let mut writers = Vec::new();
        for _ in 0..bits.varint()? {
            let device = Device(u64::from_be_bytes(bits.array()?));
            writers.push(Writer { device, number: u32::from_be_bytes(bits.array()?) });
        }
        let base = u64::from_be_bytes(bits.array()?);
        Ok(Self { bits, whole, names, writers, base, before: None })
    }

    fn only_state(mut self) -> Result<RecordState, RecordsError> {
        let state = self.state()?;
        self.bits.end()?;
        Ok(state)
    }

    fn name(&mut self, place: usize) -> Result<Arc<str>, RecordsError> {
        let length = self.bits.varint()?;
        let name = self.bits.text(length)?;
        match self.names.get_mut(place) {
            Some(known) if **known == *name => {}
            Some(known) => *known = name.into(),
            None => self.names.push(name.into()),
        }
        self.names.get(place).cloned().ok_or(RecordsError)
    }

    fn state(&mut self) -> Result<RecordState, RecordsError> {
        let base = match self.bits.byte()? {
            0 => None,
            kind @ (1 | 2) => Some(Base { clock: self.clock()?, alive: kind == 1 }),
            _ => return Err(RecordsError),
        };
        let count = self.bits.varint()?;
        // A field takes three bytes at least.
        if count > self.bits.left() as u64 / 3 {
            return Err(RecordsError);
        }
        // The count is a claim.
        let mut fields: Vec<Field> = Vec::with_capacity(count.min(8) as usize);
        for place in 0..count as usize {
            let name = self.name(place)?;
            let clock = self.clock()?;
            let length = self.bits.varint()?;
            let value = self.bits.take(length)?;
            let value = self.whole.map_or_else(|| Bytes::copy_from_slice(value), |whole| whole.slice_ref(value));
            let in_order = fields.last().is_none_or(|before| before.name < name);
            if !in_order || base.is_some_and(|base: Base| clock < base.clock) {
                return Err(RecordsError);
            }
            fields.push(Field { name, clock, value });
        }
        Ok(RecordState { base, fields })
    }

    fn clock(&mut self) -> Result<Clock, RecordsError> {
        let clock = match self.bits.varint()? {
            0 => self.before.ok_or(RecordsError)?,
            place => {
                let place = usize::try_from(place - 1).map_err(|_| RecordsError)?;
                let writer = *self.writers.get(place).ok_or(RecordsError)?;
                let stamp = self.base.checked_add(self.bits.varint()?).filter(|stamp| *stamp > 0).ok_or(RecordsError)?;
                Clock { stamp: Stamp(stamp), writer }
            }
        };
        self.before = Some(clock);
        Ok(clock)
    }
}

/// Reads bytes from the front, never beyond their end.
pub(crate) struct Bits<'a>(&'a [u8]);

impl<'a> Bits<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn end(&self) -> Result<(), RecordsError> {
        if self.0.is_empty() { Ok(()) } else { Err(RecordsError) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn left(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, RecordsError> {
        let (first, rest) = self.0.split_first().ok_or(RecordsError)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordsError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(RecordsError)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn take(&mut self, length: u64) -> Result<&'a [u8], RecordsError> {
        let length = usize::try_from(length).map_err(|_| RecordsError)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(RecordsError)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn text(&mut self, length: u64) -> Result<&'a str, RecordsError> {
        std::str::from_utf8(self.take(length)?).map_err(|_| RecordsError)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, RecordsError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return Err(RecordsError);
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordsError)
    }
}

pub(crate) fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
