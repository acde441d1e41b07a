//! Messages to CBOR: definite lengths, shortest headers, keys in protocol order, absent optional values written as undefined.

use std::convert::Infallible;

use minicbor::{Encoder, encode::Error};

use super::{CAPABILITIES, kind, transmission_kind};
use crate::protocol::{
    Clock, ClockVector, DeleteStatus, DocId, EphemeralPayload, Identity, Message, RECORDS, Role, Transmission, VersionVector,
    extension::{AuthorRange, Head, Part},
    record::{encode_entries, encode_state},
};

type Result<T = ()> = std::result::Result<T, Error<Infallible>>;

/// Appends the CBOR of `message` to `out`.
pub fn encode(message: &Message, out: &mut Vec<u8>) {
    write(out, |writer| writer.message(message));
}

/// Appends the CBOR of a batch message holding messages that are already encoded.
pub(in crate::protocol) fn encode_batch(bodies: &[Vec<u8>], out: &mut Vec<u8>) {
    write(out, |writer| writer.head(2, kind::BATCH)?.key("m")?.array(bodies.len()));
    for body in bodies {
        out.extend_from_slice(body);
    }
}

fn write(out: &mut Vec<u8>, with: impl FnOnce(&mut Writer<'_>) -> Result) {
    with(&mut Writer(Encoder::new(out))).expect("a vector takes everything");
}

struct Writer<'a>(Encoder<&'a mut Vec<u8>>);

impl Writer<'_> {
    fn message(&mut self, message: &Message) -> Result {
        match message {
            Message::EstablishRequest(identity) => self.identity(kind::ESTABLISH_REQUEST, identity),
            Message::EstablishResponse(identity) => self.identity(kind::ESTABLISH_RESPONSE, identity),
            Message::SyncRequest { doc, version, ephemeral, bidirectional } => {
                self.head(5, kind::SYNC_REQUEST)?.doc(doc)?.key("v")?.version(version)?;
                self.key("e")?.optional(ephemeral.as_deref(), Self::stores)?;
                self.key("bi")?.0.bool(*bidirectional)?;
                Ok(())
            }
            Message::SyncResponse { doc, transmission, ephemeral } => {
                self.head(4, kind::SYNC_RESPONSE)?.doc(doc)?.key("tx")?.transmission(transmission)?;
                self.key("e")?.optional(ephemeral.as_deref(), Self::stores)
            }
            Message::Update { doc, transmission } => self.head(3, kind::UPDATE)?.doc(doc)?.key("tx")?.transmission(transmission),
            Message::DirectoryRequest { docs } => self.head(2, kind::DIRECTORY_REQUEST)?.key("docs")?.optional(docs.as_deref(), Self::docs),
            Message::DirectoryResponse { docs } => self.head(2, kind::DIRECTORY_RESPONSE)?.key("docs")?.docs(docs),
            Message::NewDoc { docs } => self.head(2, kind::NEW_DOC)?.key("docs")?.docs(docs),
            Message::DeleteRequest { doc } => self.head(2, kind::DELETE_REQUEST)?.doc(doc).map(|_| ()),
            Message::DeleteResponse { doc, status } => {
                let status = match status {
                    DeleteStatus::Deleted => "deleted",
                    DeleteStatus::Ignored => "ignored",
                };
                self.head(3, kind::DELETE_RESPONSE)?.doc(doc)?.key("s")?.0.str(status)?;
                Ok(())
            }
            Message::Ephemeral { doc, hops, stores } => {
                self.head(4, kind::EPHEMERAL)?.doc(doc)?.key("h")?.0.u32(*hops)?;
                self.key("st")?.stores(stores)
            }
            Message::Batch(messages) => {
                self.head(2, kind::BATCH)?.key("m")?.array(messages.len())?;
                messages.iter().try_for_each(|message| self.message(message))
            }
            Message::Heads { heads, reply } => {
                self.head(3, kind::HEADS)?.key("r")?.0.bool(*reply)?;
                self.key("hs")?.array(heads.len())?;
                heads.iter().try_for_each(|head| self.held(head))
            }
            Message::Want { doc, lineage, ranges } => {
                self.head(4, kind::WANT)?.doc(doc)?.key("l")?.0.u64(*lineage)?;
                self.key("rs")?.ranges(ranges)
            }
            Message::Give { doc, lineage, ranges, data, version } => {
                self.head(6, kind::GIVE)?.doc(doc)?.key("l")?.0.u64(*lineage)?;
                self.key("rs")?.ranges(ranges)?;
                self.key("d")?.0.bytes(data)?;
                self.key("v")?.version(version)
            }
            Message::Ack { doc, lineage, version, durable, settled } => {
                self.head(5 + u64::from(settled.is_some()), kind::ACK)?.doc(doc)?.key("l")?.0.u64(*lineage)?;
                self.key("v")?.version(version)?;
                self.key("dv")?.optional(durable.as_ref(), Self::version)?;
                settled.as_ref().map_or(Ok(()), |settled| self.key("sv")?.version(settled))
            }
            Message::Refusal { doc, reason, retry_ms } => {
                self.head(4, kind::REFUSAL)?.doc(doc)?.key("s")?.0.str(reason.as_str())?;
                self.key("ms")?.optional(retry_ms.as_ref(), |writer, ms| {
                    writer.0.u32(*ms)?;
                    Ok(())
                })
            }
            Message::Digest { sums, list, reply, stored } => {
                self.head(5, kind::DIGEST)?.key("r")?.0.bool(*reply)?;
                self.key("st")?.0.bool(*stored)?;
                self.key("su")?.array(sums.len())?;
                for sum in sums {
                    self.0.array(4)?.u8(sum.part.depth)?.u64(sum.part.prefix)?.u32(sum.count)?.u64(sum.hash)?;
                }
                self.key("li")?.array(list.len())?;
                list.iter().try_for_each(|part: &Part| {
                    self.0.array(2)?.u8(part.depth)?.u64(part.prefix)?;
                    Ok(())
                })
            }
            Message::Deleted { docs } => {
                self.head(2, kind::DELETED)?.key("ds")?.array(docs.len())?;
                for (doc, tombstone) in docs {
                    self.0.array(4)?.str(doc.as_str())?.u64(tombstone.lineage)?.u64(tombstone.at)?.str(tombstone.by.as_str())?;
                }
                Ok(())
            }
            Message::Prune { doc } => self.head(2, kind::PRUNE)?.doc(doc).map(|_| ()),
            Message::RecordsHave { .. }
            | Message::RecordsRequest { .. }
            | Message::RecordsResponse { .. }
            | Message::RecordsChange { .. }
            | Message::RecordsRefusal { .. }
                if !RECORDS =>
            {
                unreachable!("this build makes no such message")
            }
            Message::RecordsHave { device, version, durable, stable, sum, reply, lazy, fresh } => {
                self.head(9, kind::RECORDS_HAVE)?.key("d")?.0.u64(device.0)?;
                self.key("v")?.0.bytes(&version.encode())?;
                self.key("dv")?.optional(durable.as_ref(), Self::clocks)?;
                self.key("sv")?.0.bytes(&stable.encode())?;
                self.key("su")?.0.u64(*sum)?;
                self.key("r")?.0.bool(*reply)?;
                self.key("lz")?.0.bool(*lazy)?;
                self.key("f")?.0.bool(*fresh)?;
                Ok(())
            }
            Message::RecordsRequest { since, after, whole } => {
                self.head(4, kind::RECORDS_REQUEST)?.key("v")?.0.bytes(&since.encode())?;
                self.key("a")?.optional(after.as_ref(), Self::clock)?;
                self.key("w")?.0.bool(*whole)?;
                Ok(())
            }
            Message::RecordsResponse { version, entries, after, next, whole, partial } => {
                self.head(7, kind::RECORDS_RESPONSE)?.key("v")?.0.bytes(&version.encode())?;
                self.key("a")?.optional(after.as_ref(), Self::clock)?;
                self.key("n")?.optional(next.as_ref(), Self::clock)?;
                self.key("w")?.optional(whole.as_ref(), Self::clocks)?;
                self.key("p")?.0.bool(*partial)?;
                self.key("d")?.0.bytes(&encode_entries(entries))?;
                Ok(())
            }
            Message::RecordsChange { since, version, entries, partial } => {
                self.head(5, kind::RECORDS_CHANGE)?.key("s")?.0.bytes(&since.encode())?;
                self.key("v")?.0.bytes(&version.encode())?;
                self.key("p")?.0.bool(*partial)?;
                self.key("d")?.0.bytes(&encode_entries(entries))?;
                Ok(())
            }
            Message::RecordsRefusal { record, reason, state } => {
                self.head(6, kind::RECORDS_REFUSAL)?.key("c")?.0.str(&record.collection)?;
                self.key("o")?.optional(record.owner.as_ref(), |writer, owner| {
                    writer.0.u64(owner.0)?;
                    Ok(())
                })?;
                self.key("k")?.0.str(&record.key)?;
                self.key("s")?.0.str(reason.as_str())?;
                self.key("d")?.0.bytes(&encode_state(state))?;
                Ok(())
            }
        }
    }

    fn head(&mut self, fields: u64, kind: u8) -> Result<&mut Self> {
        self.0.map(fields)?;
        self.key("t")?.0.u8(kind)?;
        Ok(self)
    }

    fn key(&mut self, key: &str) -> Result<&mut Self> {
        self.0.str(key)?;
        Ok(self)
    }

    fn doc(&mut self, doc: &DocId) -> Result<&mut Self> {
        self.key("doc")?.0.str(doc.as_str())?;
        Ok(self)
    }

    fn array(&mut self, len: usize) -> Result {
        self.0.array(len as u64)?;
        Ok(())
    }

    fn optional<T: ?Sized>(&mut self, value: Option<&T>, with: impl FnOnce(&mut Self, &T) -> Result) -> Result {
        match value {
            Some(value) => with(self, value),
            None => {
                self.0.undefined()?;
                Ok(())
            }
        }
    }

    fn version(&mut self, version: &VersionVector) -> Result {
        self.0.bytes(&version.encode())?;
        Ok(())
    }

    fn clocks(&mut self, version: &ClockVector) -> Result {
        self.0.bytes(&version.encode())?;
        Ok(())
    }

    fn clock(&mut self, clock: &Clock) -> Result {
        self.0.array(3)?.u64(clock.stamp.0)?.u64(clock.writer.device.0)?.u32(clock.writer.number)?;
        Ok(())
    }

    fn docs(&mut self, docs: &[DocId]) -> Result {
        self.array(docs.len())?;
        for doc in docs {
            self.0.str(doc.as_str())?;
        }
        Ok(())
    }

    fn identity(&mut self, kind: u8, identity: &Identity) -> Result {
        self.head(4 + u64::from(identity.capabilities.is_some()), kind)?.key("id")?.0.str(identity.peer_id.as_str())?;
        self.key("n")?.optional(identity.name.as_deref(), |writer, name| {
            writer.0.str(name)?;
            Ok(())
        })?;
        self.key("y")?.0.str(identity.peer_type.as_str())?;
        let Some(capabilities) = identity.capabilities else { return Ok(()) };
        let role = match capabilities.role {
            Role::Leaf => "leaf",
            Role::Relay => "relay",
        };
        self.key(CAPABILITIES)?.0.map(3 + u64::from(capabilities.home.is_some()))?;
        self.key("v")?.0.array(2)?.u32(capabilities.oldest)?.u32(capabilities.newest)?;
        self.key("role")?.0.str(role)?;
        self.key("f")?.array(capabilities.features.names().count())?;
        for name in capabilities.features.names() {
            self.0.str(name)?;
        }
        if let Some(home) = capabilities.home {
            self.key("home")?.0.u64(home)?;
        }
        Ok(())
    }

    fn held(&mut self, head: &Head) -> Result {
        self.0.array(3)?.str(head.doc.as_str())?.u64(head.lineage)?;
        self.version(&head.version)
    }

    fn ranges(&mut self, ranges: &[AuthorRange]) -> Result {
        self.array(ranges.len())?;
        for range in ranges {
            self.0.array(3)?.u64(range.author)?.i32(range.start)?.i32(range.end)?;
        }
        Ok(())
    }

    fn stores(&mut self, stores: &[EphemeralPayload]) -> Result {
        self.array(stores.len())?;
        for store in stores {
            self.0.map(3)?;
            self.key("p")?.0.str(store.peer.as_str())?;
            self.key("d")?.0.bytes(&store.data)?;
            self.key("ns")?.0.str(&store.namespace)?;
        }
        Ok(())
    }

    fn transmission(&mut self, transmission: &Transmission) -> Result {
        let (kind, data, version) = match transmission {
            Transmission::UpToDate { version } => (transmission_kind::UP_TO_DATE, None, Some(version)),
            Transmission::Snapshot { data, version } => (transmission_kind::SNAPSHOT, Some(data), Some(version)),
            Transmission::Update { data, version } => (transmission_kind::UPDATE, Some(data), Some(version)),
            Transmission::Unavailable => (transmission_kind::UNAVAILABLE, None, None),
            Transmission::Unknown => (transmission_kind::UNKNOWN, None, None),
        };
        self.0.map(1 + u64::from(data.is_some()) + u64::from(version.is_some()))?;
        self.key("k")?.0.u8(kind)?;
        if let Some(data) = data {
            self.key("d")?.0.bytes(data)?;
        }
        if let Some(version) = version {
            self.key("v")?.version(version)?;
        }
        Ok(())
    }
}
