//! The backup format, version 1. Decides what bytes mean and whether they are whole; never what becomes of a document.
//!
//! A file is `CORELLA\n`, the version as one byte, and entries. An entry is its tag (one byte), the length of its body (four bytes, little
//! endian), the body, and a check (eight bytes, little endian): the SipHash-1-3 (key zero) of the check before it, which is zero at first, the
//! tag and the body. So a byte that changed, and an entry that is missing, doubled or elsewhere, is found at once.
//!
//! | tag | body |
//! |---|---|
//! | 1 head | [`Head`], once, first |
//! | 2 document | [`DocRow`]; the records after it are its |
//! | 3 record | kind (1 snapshot, 2 update), then a Loro export |
//! | 4 damaged record | bytes that were stored and could not be read; kept for somebody to look at |
//! | 5 facts | records of collections, those that are there; after the documents |
//! | 0 end | [`End`], once, last: without it the file was cut off |
//!
//! Rows are postcard's; unknown tags are an error, so that a newer file is refused and not half read.

use std::hash::Hasher;

use bytes::{Buf, Bytes, BytesMut};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use siphasher::sip::SipHasher13;

use super::super::{Record, RecordKind};

const MAGIC: &[u8; 8] = b"CORELLA\n";
const VERSION: u8 = 1;
/// The longest body: the largest record there may be, and some room.
const MAX_BODY: usize = 1 << 30;

const END: u8 = 0;
const HEAD: u8 = 1;
const DOCUMENT: u8 = 2;
const RECORD: u8 = 3;
const DAMAGED: u8 = 4;
const FACTS: u8 = 5;

const SNAPSHOT: u8 = 1;
const UPDATE: u8 = 2;

/// What a file begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// When it was made, milliseconds since the Unix epoch.
    pub(super) at: u64,
    /// Documents and tombstones to come, as far as was known.
    pub(super) documents: u64,
}

/// A document, or what is remembered of a deleted one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DocRow {
    pub(super) id: String,
    pub(super) lineage: u64,
    /// Peer id and name of who made it.
    pub(super) creator: Option<(String, Option<String>)>,
    pub(super) tombstone: Option<TombstoneRow>,
}

/// A deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TombstoneRow {
    pub(super) lineage: u64,
    pub(super) at: u64,
    pub(super) by: String,
}

/// What a file ends with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) documents: u64,
    pub(super) records: u64,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Head(Head),
    Document(DocRow),
    Record(RecordKind, Bytes),
    Damaged(Bytes),
    Facts(Bytes),
    End(End),
}

/// Why bytes are not a backup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// It begins otherwise.
    #[error("this is not a corella backup")]
    Foreign,
    /// A newer program wrote it.
    #[error("the backup was written by a newer version of corella (format {0})")]
    Newer(u8),
    /// It ends too early.
    #[error("the backup ends too early, after {0} bytes")]
    Truncated(u64),
    /// Bytes are not what was written.
    #[error("the backup is damaged at byte {0}")]
    Damaged(u64),
}

/// Writes entries.
#[derive(Default)]
pub(super) struct Writer {
    check: u64,
    begun: bool,
}

impl Writer {
    /// Returns the bytes of an entry, with what comes before the first one.
    pub(super) fn put(&mut self, entry: &Entry) -> Bytes {
        let mut out = Vec::new();
        if !std::mem::replace(&mut self.begun, true) {
            out.extend_from_slice(MAGIC);
            out.push(VERSION);
        }
        let (tag, body) = match entry {
            Entry::Head(head) => (HEAD, row(head)),
            Entry::Document(document) => (DOCUMENT, row(document)),
            Entry::Record(kind, bytes) => {
                let kind = match kind {
                    RecordKind::Snapshot => SNAPSHOT,
                    RecordKind::Update => UPDATE,
                };
                (RECORD, [&[kind], &bytes[..]].concat())
            }
            Entry::Damaged(bytes) => (DAMAGED, bytes.to_vec()),
            Entry::Facts(bytes) => (FACTS, bytes.to_vec()),
            Entry::End(end) => (END, row(end)),
        };
        self.check = check(self.check, tag, &body);
        out.push(tag);
        out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&body);
        out.extend_from_slice(&self.check.to_le_bytes());
        out.into()
    }

    pub(super) fn record(&mut self, record: &Record) -> Bytes {
        self.put(&Entry::Record(record.kind, record.bytes.clone()))
    }
}

/// Reads entries from pieces of any size.
#[derive(Default)]
pub(super) struct Reader {
    buffer: BytesMut,
    read: u64,
    check: u64,
    begun: bool,
    ended: bool,
}

impl Reader {
    /// Takes the next bytes of the file.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that were read so far.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// Returns the next entry if all of it is here.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, BackupError> {
        if !self.begun {
            let known = self.buffer.len().min(MAGIC.len());
            if self.buffer[..known] != MAGIC[..known] {
                return Err(BackupError::Foreign);
            }
            match self.buffer.get(MAGIC.len()) {
                None => return Ok(None),
                Some(&VERSION) => {}
                Some(newer) => return Err(BackupError::Newer(*newer)),
            }
            self.skip(MAGIC.len() + 1);
            self.begun = true;
        }
        let damaged = BackupError::Damaged(self.read);
        if self.ended {
            return if self.buffer.is_empty() { Ok(None) } else { Err(damaged) };
        }
        let Some((&tag, length)) = self.buffer.split_first() else { return Ok(None) };
        if tag > FACTS {
            return Err(damaged);
        }
        let Some(length) = length.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_BODY {
            return Err(damaged);
        }
        if self.buffer.len() < 5 + length + 8 {
            return Ok(None);
        }
        self.skip(5);
        let mut body = self.buffer.split_to(length).freeze();
        self.read += length as u64;
        let said = self.buffer.get_u64_le();
        self.read += 8;
        self.check = check(self.check, tag, &body);
        if self.check != said {
            return Err(damaged);
        }
        let entry = match tag {
            HEAD => Entry::Head(parsed(&body).ok_or(damaged)?),
            DOCUMENT => Entry::Document(parsed(&body).ok_or(damaged)?),
            RECORD => {
                let kind = match body.first() {
                    Some(&SNAPSHOT) => RecordKind::Snapshot,
                    Some(&UPDATE) => RecordKind::Update,
                    _ => return Err(damaged),
                };
                body.advance(1);
                Entry::Record(kind, body)
            }
            DAMAGED => Entry::Damaged(body),
            FACTS => Entry::Facts(body),
            _ => {
                self.ended = true;
                Entry::End(parsed(&body).ok_or(damaged)?)
            }
        };
        Ok(Some(entry))
    }

    /// The file is over: it must have said so.
    pub(super) fn finish(&self) -> Result<(), BackupError> {
        if self.ended && self.buffer.is_empty() {
            Ok(())
        } else if !self.begun && self.read == 0 && self.buffer.len() < MAGIC.len() {
            Err(BackupError::Foreign)
        } else {
            Err(BackupError::Truncated(self.read + self.buffer.len() as u64))
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.buffer.advance(bytes);
        self.read += bytes as u64;
    }
}

fn check(before: u64, tag: u8, body: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(&before.to_le_bytes());
    hasher.write(&[tag]);
    hasher.write(body);
    hasher.finish()
}

fn row(row: &impl Serialize) -> Vec<u8> {
    // Rows of texts and numbers always can be written.
    postcard::to_allocvec(row).unwrap_or_default()
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((row, [])) => Some(row),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let tombstone = Some(TombstoneRow { lineage: 3, at: 4, by: "5".into() });
        vec![
            Entry::Head(Head { at: 1, documents: 2 }),
            Entry::Document(DocRow { id: "ü🦜".into(), lineage: 0, creator: Some(("1".into(), None)), tombstone: None }),
            Entry::Record(RecordKind::Snapshot, Bytes::from_static(b"snapshot")),
            Entry::Record(RecordKind::Update, Bytes::new()),
            Entry::Damaged(Bytes::from_static(b"?")),
            Entry::Document(DocRow { id: "gone".into(), lineage: 3, creator: None, tombstone }),
            Entry::End(End { documents: 2, records: 2 }),
        ]
    }

    fn file() -> Vec<u8> {
        let mut writer = Writer::default();
        entries().iter().flat_map(|entry| writer.put(entry)).collect()
    }

    fn read(bytes: &[u8], piece: usize) -> Result<Vec<Entry>, BackupError> {
        let mut reader = Reader::default();
        let mut found = Vec::new();
        for piece in bytes.chunks(piece) {
            reader.push(piece);
            while let Some(entry) = reader.next()? {
                found.push(entry);
            }
        }
        reader.finish().map(|()| found)
    }

    #[test]
    fn what_was_written_is_read_from_pieces_of_any_size() {
        for piece in [1, 2, 7, 100, 10_000] {
            assert_eq!(read(&file(), piece), Ok(entries()));
        }
    }

    #[test]
    fn every_cut_is_noticed() {
        let file = file();
        for length in 0..file.len() {
            assert!(matches!(read(&file[..length], 3), Err(BackupError::Truncated(_) | BackupError::Foreign)), "{length}");
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let file = file();
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 0x41;
            assert!(read(&changed, 64).is_err(), "byte {at}");
        }
    }

    #[test]
    fn missing_doubled_and_further_entries_are_noticed() {
        let mut writer = Writer::default();
        let pieces: Vec<Bytes> = entries().iter().map(|entry| writer.put(entry)).collect();
        let join = |order: &[usize]| order.iter().flat_map(|at| pieces[*at].clone()).collect::<Vec<u8>>();
        for order in [vec![0, 1, 3, 4, 5, 6], vec![0, 1, 2, 2, 3, 4, 5, 6], vec![0, 1, 3, 2, 4, 5, 6], vec![0, 1, 2, 3, 4, 5, 6, 6]] {
            assert!(read(&join(&order), 64).is_err(), "{order:?}");
        }
    }

    #[test]
    fn other_files_and_newer_ones_are_refused() {
        assert_eq!(read(b"{\"json\": true}", 4), Err(BackupError::Foreign));
        assert_eq!(read(b"", 4), Err(BackupError::Foreign));
        let mut newer = file();
        newer[8] = 2;
        assert_eq!(read(&newer, 64), Err(BackupError::Newer(2)));
    }
}
