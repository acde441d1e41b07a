//! A database file that is read and never changed.
//!
//! Decides where what redb writes goes: into memory, and away with it. redb repairs a file that was not closed before it reads it, so
//! without this a look at the folder of a killed hub would change it.

use std::{
    collections::BTreeMap,
    fs, io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use redb::{Builder, Database, DatabaseError, StorageBackend, backends::FileBackend};

use super::CACHE_BYTES;

const PAGE: u64 = 4096;

/// Opens a database that stays as it is.
pub(super) fn look_at(file: impl StorageBackend) -> Result<Database, DatabaseError> {
    Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(Overlay::new(file)?)
}

/// The same of a file, which is open for reading.
pub(super) fn look_at_file(file: fs::File) -> Result<Database, DatabaseError> {
    look_at(FileBackend::new(file)?)
}

/// A file beneath and what was written on top of it.
#[derive(Debug)]
struct Overlay<B> {
    file: B,
    top: Mutex<Top>,
}

#[derive(Debug)]
struct Top {
    length: u64,
    /// Up to where the file beneath counts: less than its length once it was cut.
    beneath: u64,
    pages: BTreeMap<u64, Box<[u8]>>,
}

impl<B: StorageBackend> Overlay<B> {
    /// Lays an empty top over a file. One without content would be taken for a database to be made.
    fn new(file: B) -> io::Result<Self> {
        let length = file.len()?;
        if length == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty"));
        }
        Ok(Self { file, top: Mutex::new(Top { length, beneath: length, pages: BTreeMap::new() }) })
    }

    fn top(&self) -> MutexGuard<'_, Top> {
        self.top.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads from the file alone; what is beyond its end is zero.
    fn read_beneath(&self, beneath: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = usize::try_from(beneath.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
        let (there, beyond) = out.split_at_mut(there);
        beyond.fill(0);
        if there.is_empty() { Ok(()) } else { self.file.read(offset, there) }
    }
}

/// Cuts `length` bytes at `offset` into pieces that lie in one page each: page, start in it, start in the bytes, length.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let here = offset + at as u64;
        let start = (here % PAGE) as usize;
        let piece = (PAGE as usize - start).min(length - at);
        (piece > 0).then(|| {
            at += piece;
            (here / PAGE, start, at - piece, piece)
        })
    })
}

impl<B: StorageBackend> StorageBackend for Overlay<B> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.top().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let top = self.top();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > top.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_beneath(top.beneath, offset, out)?;
        if top.pages.is_empty() {
            return Ok(());
        }
        for (page, start, at, length) in pieces(offset, out.len()) {
            if let (Some(page), Some(out)) = (top.pages.get(&page), out.get_mut(at..at + length)) {
                out.copy_from_slice(&page[start..start + length]);
            }
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut top = self.top();
        if length < top.length {
            top.beneath = top.beneath.min(length);
            drop(top.pages.split_off(&length.div_ceil(PAGE)));
            if let Some(last) = top.pages.get_mut(&(length / PAGE)) {
                last[(length % PAGE) as usize..].fill(0);
            }
        }
        top.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut top = self.top();
        for (number, start, at, length) in pieces(offset, data.len()) {
            if !top.pages.contains_key(&number) {
                let mut page = vec![0; PAGE as usize].into_boxed_slice();
                self.read_beneath(top.beneath, number * PAGE, &mut page)?;
                top.pages.insert(number, page);
            }
            if let (Some(page), Some(data)) = (top.pages.get_mut(&number), data.get(at..at + length)) {
                page[start..start + length].copy_from_slice(data);
            }
        }
        top.length = top.length.max(offset + data.len() as u64);
        Ok(())
    }
}
