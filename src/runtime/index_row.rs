//! The index record of a document as bytes, one encoding for every store.
//!
//! Decides what a row is, and refuses any other. Knows no store.
//!
//! ```text
//! row      = 1 version bytes:varint records:varint created:varint updated:varint lineage:varint
//!            [tombstone [confirmed [creator [marks [keepers]]]]]
//! version, confirmed, marks, keepers = length:varint bytes
//! tombstone = 0 | 1 lineage:varint at:varint by:text
//! creator   = 0 | 1 peer:text (0 | 1 name:text)
//! text      = length:varint UTF-8
//! ```
//!
//! A row may end before any of the fields in brackets; a field added later comes after them and is left out where it is empty, so that programs that do not know it read
//! the rows without it. One that has it they refuse: written again without that field the row would have lost it.

use super::{IndexEntry, StoreError, decode_marks, encode_marks};
use crate::{
    protocol::{Bits, PeerId, RecordsError, Tombstone, VersionVector, write_varint},
    synchronizer::{Creator, Timestamp, decode_keepers, encode_keepers},
};

const FORMAT: u8 = 1;

/// Encodes an index record.
#[must_use]
pub fn encode_index(index: &IndexEntry) -> Vec<u8> {
    let mut out = vec![FORMAT];
    bytes(&mut out, &index.version.encode());
    for number in [index.bytes, u64::from(index.records), index.created.0, index.updated.0, index.lineage] {
        write_varint(&mut out, number);
    }
    out.push(u8::from(index.tombstone.is_some()));
    if let Some(tombstone) = &index.tombstone {
        write_varint(&mut out, tombstone.lineage);
        write_varint(&mut out, tombstone.at);
        bytes(&mut out, tombstone.by.as_str().as_bytes());
    }
    bytes(&mut out, &index.confirmed.encode());
    out.push(u8::from(index.creator.is_some()));
    if let Some(creator) = &index.creator {
        bytes(&mut out, creator.peer_id.as_str().as_bytes());
        out.push(u8::from(creator.name.is_some()));
        if let Some(name) = &creator.name {
            bytes(&mut out, name.as_bytes());
        }
    }
    if !index.marks.is_empty() || !index.keepers.is_empty() {
        bytes(&mut out, &encode_marks(&index.marks));
    }
    if !index.keepers.is_empty() {
        bytes(&mut out, &encode_keepers(&index.keepers));
    }
    out
}

/// Decodes what [`encode_index`] wrote.
///
/// # Errors
/// [`StoreError::Corrupt`] for anything else, a row with fields that are not known included.
pub fn decode_index(row: &[u8]) -> Result<IndexEntry, StoreError> {
    let damaged = |what: &str| StoreError::Corrupt(format!("an index row {what}"));
    let mut bits = Bits::new(row);
    if bits.byte() != Ok(FORMAT) {
        return Err(damaged("is of an unknown format"));
    }
    let index = fields(&mut bits).map_err(|_| damaged("is damaged"))?;
    // A newer program wrote it; without that field the row must not be written again.
    bits.end().map_err(|_| damaged("has fields that are not known"))?;
    Ok(index)
}

fn fields(bits: &mut Bits<'_>) -> Result<IndexEntry, RecordsError> {
    let mut index = IndexEntry {
        version: version(bits)?,
        bytes: bits.varint()?,
        records: u32::try_from(bits.varint()?).map_err(|_| RecordsError)?,
        created: Timestamp(bits.varint()?),
        updated: Timestamp(bits.varint()?),
        lineage: bits.varint()?,
        ..IndexEntry::default()
    };
    if !bits.is_empty() && flag(bits)? {
        index.tombstone = Some(Tombstone { lineage: bits.varint()?, at: bits.varint()?, by: PeerId::from_wire(text(bits)?) });
    }
    if !bits.is_empty() {
        index.confirmed = version(bits)?;
    }
    if !bits.is_empty() && flag(bits)? {
        let peer_id = PeerId::from_wire(text(bits)?);
        let name = if flag(bits)? { Some(text(bits)?.to_owned()) } else { None };
        index.creator = Some(Creator { peer_id, name });
    }
    if !bits.is_empty() {
        let length = bits.varint()?;
        index.marks = decode_marks(bits.take(length)?).ok_or(RecordsError)?;
    }
    if !bits.is_empty() {
        let length = bits.varint()?;
        index.keepers = decode_keepers(bits.take(length)?).ok_or(RecordsError)?;
    }
    Ok(index)
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn version(bits: &mut Bits<'_>) -> Result<VersionVector, RecordsError> {
    let length = bits.varint()?;
    match bits.take(length)? {
        [] => Ok(VersionVector::new()),
        bytes => VersionVector::decode(bytes).map_err(|_| RecordsError),
    }
}

fn flag(bits: &mut Bits<'_>) -> Result<bool, RecordsError> {
    match bits.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(RecordsError),
    }
}

fn text<'a>(bits: &mut Bits<'a>) -> Result<&'a str, RecordsError> {
    let length = bits.varint()?;
    bits.text(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synchronizer::Mark;

    fn full() -> IndexEntry {
        IndexEntry {
            version: VersionVector::from_iter([(7, 3)]),
            bytes: 300,
            records: 2,
            created: Timestamp(4),
            updated: Timestamp(5),
            lineage: 6,
            tombstone: Some(Tombstone { lineage: 1, at: 2, by: PeerId::from(9) }),
            confirmed: VersionVector::from_iter([(7, 1)]),
            keepers: vec![3],
            creator: Some(Creator { peer_id: PeerId::from(8), name: Some("é".to_owned()) }),
            marks: vec![Mark { at: Timestamp(1), version: VersionVector::from_iter([(7, 1)]), left: true, device: None }],
        }
    }

    #[test]
    fn a_row_is_read_as_it_was_written_and_is_what_it_always_was() {
        let mut without = full();
        without.marks.clear();
        without.keepers.clear();
        let golden = [1, 3, 1, 7, 6, 172, 2, 2, 4, 5, 6, 1, 1, 2, 1, b'9', 3, 1, 7, 2, 1, 1, b'8', 1, 2, 0xc3, 0xa9];
        assert_eq!(encode_index(&without), golden);
        let alone = IndexEntry { keepers: vec![3], ..without.clone() };
        for index in [without, alone, full(), IndexEntry::default()] {
            assert_eq!(decode_index(&encode_index(&index)), Ok(index));
        }
    }

    #[test]
    fn a_row_may_end_before_any_later_field_and_nowhere_else() {
        let row = encode_index(&full());
        let whole: Vec<_> = (0..=row.len()).filter(|end| decode_index(&row[..*end]).is_ok()).collect();
        let marked = 27 + 1 + encode_marks(&full().marks).len();
        assert_eq!(whole, [11, 16, 20, 27, marked, row.len()]);
        let shortest = decode_index(&row[..11]).unwrap();
        assert_eq!((shortest.version, shortest.tombstone, shortest.creator), (full().version, None, None));
    }

    #[test]
    fn what_is_no_row_is_an_error() {
        let mut newer = encode_index(&full());
        newer.push(0);
        for (row, what) in [(&[][..], "unknown format"), (&[2], "unknown format"), (&[1, 9], "damaged"), (&newer, "not known")] {
            let error = decode_index(row).unwrap_err();
            assert!(matches!(&error, StoreError::Corrupt(text) if text.contains(what)), "{error}");
        }
    }
}
