//! Decides when fragments are a frame again, and which of them are given up. Never reads a clock: time is passed in.

use bytes::Bytes;

use super::{COMPLETE, FRAGMENT_DATA, FRAGMENT_HEADER, FragmentBatchId, decode_frame};
use crate::{
    collections::SortedMap,
    protocol::{Limits, Message, codec::DecodeError},
};

/// What a held chunk costs at least, so that many tiny ones do not take more memory than their bytes suggest.
const CHUNK_COST: usize = 64;

/// Why a transport payload gave no messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The payload, or the frame it completed, cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The payload is none of the three kinds, or too short for its kind.
    #[error("malformed transport payload: {0}")]
    Malformed(&'static str),
    /// The chunk's index is not below the announced count.
    #[error("fragment {index} of {count}")]
    InvalidIndex {
        /// The chunk's index.
        index: u32,
        /// The announced count.
        count: u32,
    },
    /// A chunk with this index is already there.
    #[error("fragment {0} came twice")]
    Duplicate(u32),
    /// The chunks together are not as long as announced; the batch is dropped.
    #[error("fragments of {actual} bytes, announced were {expected}")]
    SizeMismatch {
        /// Bytes announced.
        expected: usize,
        /// Bytes there so far.
        actual: usize,
    },
    /// The batch was dropped at once because too many fragments are held.
    #[error("too many fragments are held")]
    Evicted,
    /// The announced frame is longer than accepted, or cut finer than its size allows.
    #[error("announced fragments exceed the limits")]
    TooLarge,
}

impl FrameError {
    /// Returns the stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Decode(error) => error.code(),
            Self::Malformed(_) => "parse_error",
            Self::InvalidIndex { .. } => "invalid_index",
            Self::Duplicate(_) => "duplicate_fragment",
            Self::SizeMismatch { .. } => "size_mismatch",
            Self::Evicted => "evicted",
            Self::TooLarge => "limit_exceeded",
        }
    }
}

/// Turns the transport payloads of one connection back into messages.
#[derive(Debug)]
pub struct Reassembler {
    limits: Limits,
    /// Oldest first.
    open: Vec<OpenBatch>,
    dropped: u64,
}

#[derive(Debug)]
struct OpenBatch {
    id: FragmentBatchId,
    count: u32,
    size: usize,
    deadline: u64,
    chunks: SortedMap<u32, Box<[u8]>>,
    bytes: usize,
}

impl OpenBatch {
    fn cost(&self) -> usize {
        self.bytes.max(self.chunks.len() * CHUNK_COST)
    }

    fn is_complete(&self) -> bool {
        self.chunks.len() == self.count as usize
    }
}

impl Reassembler {
    /// Makes a reassembler with nothing open.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, open: Vec::new(), dropped: 0 }
    }

    /// Takes one transport payload at time `now` in milliseconds and returns the messages it completes, batches flattened.
    ///
    /// No messages and no error means that more fragments are needed, or that the payload belongs to nothing open.
    ///
    /// # Errors
    /// [`FrameError`] if the payload is lost. What else is open stays open and the reassembler remains usable.
    pub fn push(&mut self, payload: Bytes, now: u64) -> Result<Vec<Message>, FrameError> {
        self.expire(now);
        match payload.first() {
            None => Err(FrameError::Malformed("empty payload")),
            Some(&COMPLETE) => self.messages(&payload.slice(1..)),
            Some(&FRAGMENT_HEADER) => self.open(&payload, now).map(|()| Vec::new()),
            Some(&FRAGMENT_DATA) => match self.add(&payload)? {
                Some(frame) => self.messages(&frame),
                None => Ok(Vec::new()),
            },
            Some(_) => Err(FrameError::Malformed("unknown prefix")),
        }
    }

    /// Drops fragment batches whose time is over at `now`; [`Reassembler::push`] does this by itself.
    pub fn expire(&mut self, now: u64) {
        let before = self.open.len();
        self.open.retain(|batch| now < batch.deadline);
        self.dropped += (before - self.open.len()) as u64;
    }

    /// Returns how many fragment batches were given up incomplete; each one was a frame that never arrived.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns how many bytes of incomplete frames are held.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.open.iter().map(|batch| batch.bytes).sum()
    }

    /// Returns about how many bytes of memory incomplete frames take.
    #[must_use]
    pub fn held_cost(&self) -> usize {
        self.open.iter().map(OpenBatch::cost).sum()
    }

    fn messages(&self, frame: &Bytes) -> Result<Vec<Message>, FrameError> {
        let mut messages = Vec::new();
        flatten(decode_frame(frame, &self.limits)?, &mut messages);
        Ok(messages)
    }

    fn open(&mut self, payload: &[u8], now: u64) -> Result<(), FrameError> {
        let (id, rest) = batch_id(payload).ok_or(FrameError::Malformed("fragment header too short"))?;
        let (count, rest) = number(rest).ok_or(FrameError::Malformed("fragment header too short"))?;
        let (size, _) = number(rest).ok_or(FrameError::Malformed("fragment header too short"))?;
        if count == 0 {
            return Err(FrameError::Malformed("fragment count is zero"));
        }
        if self.open.iter().any(|batch| batch.id == id) {
            return Ok(());
        }
        // A chunk has a byte at least, and chunks so small that their cost exceeds every frame are no honest cut.
        let (size, chunks) = (size as usize, count as usize);
        if size > self.limits.frame_bytes || chunks > size || chunks > (self.limits.frame_bytes / CHUNK_COST).max(1) {
            return Err(FrameError::TooLarge);
        }
        while self.open.len() >= self.limits.fragment_batches.max(1) {
            self.evict_oldest();
        }
        let deadline = now.saturating_add(self.limits.fragment_timeout_ms);
        self.open.push(OpenBatch { id, count, size, deadline, chunks: SortedMap::new(), bytes: 0 });
        Ok(())
    }

    fn add(&mut self, payload: &[u8]) -> Result<Option<Bytes>, FrameError> {
        let (id, rest) = batch_id(payload).ok_or(FrameError::Malformed("fragment data too short"))?;
        let (index, chunk) = number(rest).ok_or(FrameError::Malformed("fragment data too short"))?;
        if chunk.is_empty() {
            return Err(FrameError::Malformed("fragment data too short"));
        }
        let Some(at) = self.open.iter().position(|batch| batch.id == id) else { return Ok(None) };
        let batch = &mut self.open[at];
        if index >= batch.count {
            return Err(FrameError::InvalidIndex { index, count: batch.count });
        }
        if batch.chunks.contains_key(&index) {
            return Err(FrameError::Duplicate(index));
        }
        // A copy: a slice would keep whatever larger buffer the transport read it into.
        batch.chunks.insert(index, chunk.into());
        batch.bytes += chunk.len();
        if batch.bytes > batch.size || (batch.is_complete() && batch.bytes != batch.size) {
            let error = FrameError::SizeMismatch { expected: batch.size, actual: batch.bytes };
            self.open.remove(at);
            self.dropped += 1;
            return Err(error);
        }
        if batch.is_complete() {
            let batch = self.open.remove(at);
            let mut frame = Vec::with_capacity(batch.bytes);
            batch.chunks.into_values().for_each(|chunk| frame.extend_from_slice(&chunk));
            return Ok(Some(frame.into()));
        }
        while self.held_cost() > self.limits.fragment_bytes {
            self.evict_oldest();
        }
        if self.open.iter().any(|batch| batch.id == id) { Ok(None) } else { Err(FrameError::Evicted) }
    }

    fn evict_oldest(&mut self) {
        self.open.remove(0);
        self.dropped += 1;
    }
}

fn batch_id(payload: &[u8]) -> Option<(FragmentBatchId, &[u8])> {
    payload.get(1..)?.split_first_chunk().map(|(id, rest)| (*id, rest))
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes.split_first_chunk().map(|(number, rest)| (u32::from_be_bytes(*number), rest))
}

fn flatten(messages: Vec<Message>, into: &mut Vec<Message>) {
    for message in messages {
        match message {
            Message::Batch(inner) => flatten(inner, into),
            message => into.push(message),
        }
    }
}
