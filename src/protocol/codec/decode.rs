//! CBOR to messages. Reads only payloads that `wellformed` has passed.

use bytes::Bytes;
use minicbor::{Decoder, data::Type};

use super::{CAPABILITIES, DecodeError, kind, transmission_kind, wellformed};
use crate::protocol::{
    Capabilities, Clock, ClockVector, DeleteStatus, Device, DocId, EphemeralPayload, Features, Identity, Limits, Message, PeerId, PeerType,
    RECORDS, RecordEntry, RecordId, RecordState, RefusalReason, Role, Tombstone, Transmission, VersionVector,
    clock::{Stamp, Writer},
    extension::{AuthorRange, Head, Part, Sum},
    record::{decode_entries, decode_state},
};

/// List entries (document ids, stores, authors of versions) one payload may hold: each takes up to fifty times its smallest encoding.
const MAX_ENTRIES: usize = 1_000_000;

/// Names of features that are looked at.
const MAX_FEATURES: u64 = 64;

const MALFORMED: DecodeError = DecodeError::InvalidCbor("field of the wrong kind");

/// Decodes one message; update data are slices of `payload`, not copies.
///
/// # Errors
/// [`DecodeError`] for anything that is not exactly one message within `limits`.
pub fn decode(payload: &Bytes, limits: &Limits) -> Result<Message, DecodeError> {
    let mut reader = Reader::checked(payload, limits)?;
    reader.message(0)
}

/// Decodes the array of messages that a frame with the batch flag holds.
///
/// # Errors
/// [`DecodeError`] for anything that is not an array of messages within `limits`.
pub fn decode_array(payload: &Bytes, limits: &Limits) -> Result<Vec<Message>, DecodeError> {
    let mut reader = Reader::checked(payload, limits)?;
    reader.array(0, Reader::message)
}

struct Reader<'b> {
    payload: &'b Bytes,
    messages_left: usize,
    entries_left: usize,
}

/// A map's keys and where their values stand; null and undefined values are left out.
struct Fields<'b>(Vec<(&'b [u8], usize)>);

impl Fields<'_> {
    fn find(&self, key: &str) -> Option<usize> {
        self.0.iter().find(|(found, _)| *found == key.as_bytes()).map(|(_, at)| *at)
    }

    fn need(&self, key: &str) -> Result<usize, DecodeError> {
        self.find(key).ok_or(DecodeError::InvalidCbor("missing field"))
    }
}

impl<'b> Reader<'b> {
    fn checked(payload: &'b Bytes, limits: &Limits) -> Result<Self, DecodeError> {
        if payload.len() > limits.frame_bytes {
            return Err(DecodeError::LimitExceeded("bytes of a frame"));
        }
        wellformed::check(payload, limits.depth)?;
        Ok(Self { payload, messages_left: limits.messages_per_frame, entries_left: MAX_ENTRIES })
    }

    fn message(&mut self, at: usize) -> Result<Message, DecodeError> {
        spend(&mut self.messages_left, 1, "messages in a frame")?;
        let fields = self.fields(at).map_err(|_| DecodeError::InvalidType)?;
        let kind = fields.find("t").and_then(|at| self.integer(at).ok()).and_then(|kind| u8::try_from(kind).ok());
        let doc = |reader: &Self| fields.need("doc").and_then(|at| reader.doc(at));
        Ok(match kind.ok_or(DecodeError::InvalidType)? {
            kind::ESTABLISH_REQUEST => Message::EstablishRequest(self.identity(&fields)?),
            kind::ESTABLISH_RESPONSE => Message::EstablishResponse(self.identity(&fields)?),
            kind::SYNC_REQUEST => Message::SyncRequest {
                doc: doc(self)?,
                version: self.version(fields.need("v")?)?,
                ephemeral: self.optional_array(&fields, "e", Self::store)?,
                bidirectional: fields.find("bi").map_or(Ok(true), |at| self.boolean(at))?,
            },
            kind::SYNC_RESPONSE => Message::SyncResponse {
                doc: doc(self)?,
                transmission: self.transmission(fields.need("tx")?)?,
                ephemeral: self.optional_array(&fields, "e", Self::store)?,
            },
            kind::UPDATE => Message::Update { doc: doc(self)?, transmission: self.transmission(fields.need("tx")?)? },
            kind::DIRECTORY_REQUEST => Message::DirectoryRequest { docs: self.optional_array(&fields, "docs", Self::listed_doc)? },
            kind::DIRECTORY_RESPONSE => {
                Message::DirectoryResponse { docs: self.optional_array(&fields, "docs", Self::listed_doc)?.unwrap_or_default() }
            }
            kind::NEW_DOC => Message::NewDoc { docs: self.optional_array(&fields, "docs", Self::listed_doc)?.unwrap_or_default() },
            kind::DELETE_REQUEST => Message::DeleteRequest { doc: doc(self)? },
            kind::DELETE_RESPONSE => Message::DeleteResponse {
                doc: doc(self)?,
                status: match self.text(fields.need("s")?)?.as_str() {
                    "deleted" => DeleteStatus::Deleted,
                    _ => DeleteStatus::Ignored,
                },
            },
            kind::EPHEMERAL => Message::Ephemeral {
                doc: doc(self)?,
                hops: fields.find("h").map_or(Ok(0), |at| self.hops(at))?,
                stores: self.array(fields.need("st")?, Self::store)?,
            },
            kind::BATCH => Message::Batch(self.array(fields.need("m")?, Self::message)?),
            kind::HEADS => Message::Heads {
                heads: self.array(fields.need("hs")?, Self::held)?,
                reply: fields.find("r").map_or(Ok(false), |at| self.boolean(at))?,
            },
            kind::WANT => {
                Message::Want { doc: doc(self)?, lineage: self.lineage(&fields)?, ranges: self.array(fields.need("rs")?, Self::range)? }
            }
            kind::GIVE => Message::Give {
                doc: doc(self)?,
                lineage: self.lineage(&fields)?,
                ranges: self.array(fields.need("rs")?, Self::range)?,
                data: self.bytes(fields.need("d")?)?,
                version: self.version(fields.need("v")?)?,
            },
            kind::ACK => Message::Ack {
                doc: doc(self)?,
                lineage: self.lineage(&fields)?,
                version: self.version(fields.need("v")?)?,
                durable: fields.find("dv").map(|at| self.version(at)).transpose()?,
                settled: fields.find("sv").map(|at| self.version(at)).transpose()?,
            },
            kind::REFUSAL => Message::Refusal {
                doc: doc(self)?,
                reason: RefusalReason::from_wire(&self.text(fields.need("s")?)?),
                retry_ms: fields.find("ms").map(|at| self.integer(at)).transpose()?.map(|ms| u32::try_from(ms).unwrap_or(u32::MAX)),
            },
            kind::DIGEST => Message::Digest {
                sums: self.array(fields.need("su")?, Self::sum)?,
                list: self.array(fields.need("li")?, Self::part)?,
                reply: fields.find("r").map_or(Ok(false), |at| self.boolean(at))?,
                stored: fields.find("st").map_or(Ok(false), |at| self.boolean(at))?,
            },
            kind::DELETED => Message::Deleted { docs: self.array(fields.need("ds")?, Self::tombstone)? },
            kind::PRUNE => Message::Prune { doc: doc(self)? },
            kind::RECORDS_HAVE..=kind::RECORDS_REFUSAL if !RECORDS => return Err(DecodeError::InvalidType),
            kind::RECORDS_HAVE => Message::RecordsHave {
                device: Device(self.number(fields.need("d")?)?),
                version: self.clocks(fields.need("v")?)?,
                durable: fields.find("dv").map(|at| self.clocks(at)).transpose()?,
                stable: self.clocks(fields.need("sv")?)?,
                sum: self.number(fields.need("su")?)?,
                reply: fields.find("r").map_or(Ok(false), |at| self.boolean(at))?,
                lazy: fields.find("lz").map_or(Ok(false), |at| self.boolean(at))?,
                fresh: fields.find("f").map_or(Ok(false), |at| self.boolean(at))?,
            },
            kind::RECORDS_REQUEST => Message::RecordsRequest {
                since: self.clocks(fields.need("v")?)?,
                after: fields.find("a").map(|at| self.clock(at)).transpose()?,
                whole: fields.find("w").map_or(Ok(false), |at| self.boolean(at))?,
            },
            kind::RECORDS_RESPONSE => Message::RecordsResponse {
                version: self.clocks(fields.need("v")?)?,
                entries: self.records(fields.need("d")?)?,
                after: fields.find("a").map(|at| self.clock(at)).transpose()?,
                next: fields.find("n").map(|at| self.clock(at)).transpose()?,
                whole: fields.find("w").map(|at| self.clocks(at)).transpose()?,
                partial: fields.find("p").map_or(Ok(false), |at| self.boolean(at))?,
            },
            kind::RECORDS_CHANGE => Message::RecordsChange {
                since: self.clocks(fields.need("s")?)?,
                version: self.clocks(fields.need("v")?)?,
                entries: self.records(fields.need("d")?)?,
                partial: fields.find("p").map_or(Ok(false), |at| self.boolean(at))?,
            },
            kind::RECORDS_REFUSAL => Message::RecordsRefusal {
                record: RecordId {
                    collection: self.text(fields.need("c")?)?.into(),
                    owner: fields.find("o").map(|at| self.number(at).map(Device)).transpose()?,
                    key: self.text(fields.need("k")?)?.into(),
                },
                reason: RefusalReason::from_wire(&self.text(fields.need("s")?)?),
                state: self.state(fields.need("d")?)?,
            },
            _ => return Err(DecodeError::InvalidType),
        })
    }

    fn identity(&self, fields: &Fields<'_>) -> Result<Identity, DecodeError> {
        Ok(Identity {
            peer_id: self.peer(fields.need("id")?)?,
            name: fields.find("n").map(|at| self.text(at)).transpose()?,
            peer_type: PeerType::from_wire(&self.text(fields.need("y")?)?),
            // Written by a later version, or by somebody else under the same key: then it announces nothing.
            capabilities: fields.find(CAPABILITIES).and_then(|at| self.capabilities(at).ok()),
        })
    }

    fn capabilities(&self, at: usize) -> Result<Capabilities, DecodeError> {
        let fields = self.fields(at)?;
        let versions = self.tuple::<2>(fields.need("v")?)?;
        let mut features = Features::default();
        let mut decoder = self.decoder(fields.need("f")?);
        let count = decoder.array().ok().flatten().ok_or(MALFORMED)?.min(MAX_FEATURES);
        let mut at = decoder.position();
        for _ in 0..count {
            features = features.or(Features::named(&self.text(at)?));
            at = wellformed::end(self.payload, at)?;
        }
        Ok(Capabilities {
            oldest: self.number(versions[0])?,
            newest: self.number(versions[1])?,
            role: if self.text(fields.need("role")?)? == "relay" { Role::Relay } else { Role::Leaf },
            features,
            home: fields.find("home").and_then(|at| self.number(at).ok()),
        })
    }

    fn held(&mut self, at: usize) -> Result<Head, DecodeError> {
        let [doc, lineage, version] = self.entry(at)?;
        Ok(Head { doc: self.doc(doc)?, lineage: self.number(lineage)?, version: self.version(version)? })
    }

    fn range(&mut self, at: usize) -> Result<AuthorRange, DecodeError> {
        let [author, start, end] = self.entry(at)?;
        Ok(AuthorRange { author: self.number(author)?, start: self.number(start)?, end: self.number(end)? })
    }

    fn part(&mut self, at: usize) -> Result<Part, DecodeError> {
        let [depth, prefix] = self.entry(at)?;
        Ok(Part { depth: self.number(depth)?, prefix: self.number(prefix)? })
    }

    fn sum(&mut self, at: usize) -> Result<Sum, DecodeError> {
        let [depth, prefix, count, hash] = self.entry(at)?;
        let part = Part { depth: self.number(depth)?, prefix: self.number(prefix)? };
        Ok(Sum { part, count: self.number(count)?, hash: self.number(hash)? })
    }

    fn tombstone(&mut self, at: usize) -> Result<(DocId, Tombstone), DecodeError> {
        let [doc, lineage, time, by] = self.entry(at)?;
        Ok((self.doc(doc)?, Tombstone { lineage: self.number(lineage)?, at: self.number(time)?, by: self.peer(by)? }))
    }

    fn lineage(&self, fields: &Fields<'_>) -> Result<u64, DecodeError> {
        self.number(fields.need("l")?)
    }

    /// Returns where the items of a list entry stand, and counts the entry.
    fn entry<const N: usize>(&mut self, at: usize) -> Result<[usize; N], DecodeError> {
        spend(&mut self.entries_left, 1, "entries in a frame")?;
        self.tuple(at)
    }

    /// Returns where the first items of an array stand; further ones are a later version's.
    fn tuple<const N: usize>(&self, at: usize) -> Result<[usize; N], DecodeError> {
        let mut decoder = self.decoder(at);
        let len = decoder.array().ok().flatten().ok_or(MALFORMED)?;
        if len < N as u64 {
            return Err(MALFORMED);
        }
        let mut places = [decoder.position(); N];
        for next in 1..N {
            places[next] = wellformed::end(self.payload, places[next - 1])?;
        }
        Ok(places)
    }

    fn number<T: TryFrom<i128>>(&self, at: usize) -> Result<T, DecodeError> {
        T::try_from(self.integer(at)?).map_err(|_| MALFORMED)
    }

    fn transmission(&mut self, at: usize) -> Result<Transmission, DecodeError> {
        let fields = self.fields(at)?;
        let kind = fields.find("k").and_then(|at| self.integer(at).ok()).and_then(|kind| u8::try_from(kind).ok());
        let data = |reader: &Self| fields.need("d").and_then(|at| reader.bytes(at));
        let version = |reader: &mut Self| fields.need("v").and_then(|at| reader.version(at));
        Ok(match kind {
            Some(transmission_kind::UP_TO_DATE) => Transmission::UpToDate { version: version(self)? },
            Some(transmission_kind::SNAPSHOT) => Transmission::Snapshot { data: data(self)?, version: version(self)? },
            Some(transmission_kind::UPDATE) => Transmission::Update { data: data(self)?, version: version(self)? },
            Some(transmission_kind::UNAVAILABLE) => Transmission::Unavailable,
            _ => Transmission::Unknown,
        })
    }

    fn store(&mut self, at: usize) -> Result<EphemeralPayload, DecodeError> {
        spend(&mut self.entries_left, 1, "entries in a frame")?;
        let fields = self.fields(at)?;
        Ok(EphemeralPayload {
            peer: self.peer(fields.need("p")?)?,
            namespace: self.text(fields.need("ns")?)?,
            data: self.bytes(fields.need("d")?)?,
        })
    }

    fn listed_doc(&mut self, at: usize) -> Result<DocId, DecodeError> {
        spend(&mut self.entries_left, 1, "entries in a frame")?;
        self.doc(at)
    }

    fn doc(&self, at: usize) -> Result<DocId, DecodeError> {
        self.text(at).map(|id| DocId::from_wire(&id))
    }

    /// Reads a peer's id, which nothing on the wire forces to be text.
    fn peer(&self, at: usize) -> Result<PeerId, DecodeError> {
        match self.integer(at) {
            Ok(id) => Ok(PeerId::from_wire(&id.to_string())),
            Err(_) => self.text(at).map(|id| PeerId::from_wire(&id)),
        }
    }

    fn version(&mut self, at: usize) -> Result<VersionVector, DecodeError> {
        let bytes = self.bytes(at)?;
        // An author takes two bytes at least.
        spend(&mut self.entries_left, bytes.len() / 2, "entries in a frame")?;
        VersionVector::decode(&bytes).map_err(|_| DecodeError::InvalidCbor("malformed version vector"))
    }

    fn clocks(&mut self, at: usize) -> Result<ClockVector, DecodeError> {
        let bytes = self.bytes(at)?;
        // A writer takes twelve bytes at least.
        spend(&mut self.entries_left, bytes.len() / 12, "entries in a frame")?;
        ClockVector::decode(&bytes).map_err(|_| DecodeError::InvalidCbor("malformed vector of clocks"))
    }

    fn clock(&self, at: usize) -> Result<Clock, DecodeError> {
        let [stamp, device, number] = self.tuple(at)?;
        let writer = Writer { device: Device(self.number(device)?), number: self.number(number)? };
        Ok(Clock { stamp: Stamp(self.number(stamp)?), writer })
    }

    fn records(&mut self, at: usize) -> Result<Vec<RecordEntry>, DecodeError> {
        let entries = decode_entries(&self.bytes(at)?).map_err(|_| DecodeError::InvalidCbor("malformed records"))?;
        let held = entries.iter().map(|(_, state)| 1 + state.fields.len()).sum();
        spend(&mut self.entries_left, held, "entries in a frame")?;
        Ok(entries)
    }

    fn state(&mut self, at: usize) -> Result<RecordState, DecodeError> {
        let state = decode_state(&self.bytes(at)?).map_err(|_| DecodeError::InvalidCbor("malformed records"))?;
        spend(&mut self.entries_left, state.fields.len(), "entries in a frame")?;
        Ok(state)
    }

    fn hops(&self, at: usize) -> Result<u32, DecodeError> {
        match self.integer(at)? {
            hops if hops < 0 => Err(MALFORMED),
            hops => Ok(u32::try_from(hops).unwrap_or(u32::MAX)),
        }
    }

    fn optional_array<T>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        item: impl FnMut(&mut Self, usize) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        fields.find(key).map(|at| self.array(at, item)).transpose()
    }

    fn array<T>(&mut self, at: usize, mut item: impl FnMut(&mut Self, usize) -> Result<T, DecodeError>) -> Result<Vec<T>, DecodeError> {
        let mut decoder = self.decoder(at);
        let len = decoder.array().ok().flatten().ok_or(MALFORMED)?;
        // The claimed length may be anything; the vector grows with what is really there.
        let mut items = Vec::new();
        let mut at = decoder.position();
        for _ in 0..len {
            items.push(item(self, at)?);
            at = wellformed::end(self.payload, at)?;
        }
        Ok(items)
    }

    fn fields(&self, at: usize) -> Result<Fields<'b>, DecodeError> {
        let mut decoder = self.decoder(at);
        let len = decoder.map().ok().flatten().ok_or(MALFORMED)?;
        let mut fields = Vec::new();
        let mut at = decoder.position();
        for _ in 0..len {
            let value = wellformed::end(self.payload, at)?;
            if let Some(key) = wellformed::text(self.payload, at)
                && !matches!(self.decoder(value).datatype(), Ok(Type::Null | Type::Undefined))
            {
                fields.push((key, value));
            }
            at = wellformed::end(self.payload, value)?;
        }
        Ok(Fields(fields))
    }

    /// Reads an integer, or a float that is one.
    fn integer(&self, at: usize) -> Result<i128, DecodeError> {
        let mut decoder = self.decoder(at);
        let float = match decoder.datatype().map_err(|_| MALFORMED)? {
            Type::F32 => f64::from(decoder.f32().map_err(|_| MALFORMED)?),
            Type::F64 => decoder.f64().map_err(|_| MALFORMED)?,
            _ => return decoder.int().map(i128::from).map_err(|_| MALFORMED),
        };
        if float.fract() == 0.0 && float.abs() < 2f64.powi(64) { Ok(float as i128) } else { Err(MALFORMED) }
    }

    fn boolean(&self, at: usize) -> Result<bool, DecodeError> {
        self.decoder(at).bool().map_err(|_| MALFORMED)
    }

    fn bytes(&self, at: usize) -> Result<Bytes, DecodeError> {
        let bytes = self.decoder(at).bytes().map_err(|_| MALFORMED)?;
        Ok(self.payload.slice_ref(bytes))
    }

    /// Reads a text; what is not UTF-8 becomes U+FFFD.
    fn text(&self, at: usize) -> Result<String, DecodeError> {
        wellformed::text(self.payload, at).map(|text| String::from_utf8_lossy(text).into_owned()).ok_or(MALFORMED)
    }

    fn decoder(&self, at: usize) -> Decoder<'b> {
        let mut decoder = Decoder::new(self.payload);
        decoder.set_position(at);
        decoder
    }
}

fn spend(left: &mut usize, cost: usize, what: &'static str) -> Result<(), DecodeError> {
    *left = left.checked_sub(cost).ok_or(DecodeError::LimitExceeded(what))?;
    Ok(())
}
