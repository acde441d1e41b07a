//! What can be said of any message without taking it apart: its kind, its documents, its size.
//!
//! Decides nothing.

use super::{ClockVector, DocId, EphemeralPayload, Message, RecordEntry, Transmission, VersionVector};

/// What an entry of a version vector, a range or a sum counts, in bytes.
const ENTRY_BYTES: usize = 16;
/// What a writer of a vector of clocks counts, in bytes.
const WRITER_BYTES: usize = 20;

/// The kinds of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum MessageKind {
    /// [`Message::EstablishRequest`].
    EstablishRequest,
    /// [`Message::EstablishResponse`].
    EstablishResponse,
    /// [`Message::SyncRequest`].
    SyncRequest,
    /// [`Message::SyncResponse`].
    SyncResponse,
    /// [`Message::Update`].
    Update,
    /// [`Message::DirectoryRequest`].
    DirectoryRequest,
    /// [`Message::DirectoryResponse`].
    DirectoryResponse,
    /// [`Message::NewDoc`].
    NewDoc,
    /// [`Message::DeleteRequest`].
    DeleteRequest,
    /// [`Message::DeleteResponse`].
    DeleteResponse,
    /// [`Message::Ephemeral`].
    Ephemeral,
    /// [`Message::Batch`].
    Batch,
    /// [`Message::Heads`].
    Heads,
    /// [`Message::Want`].
    Want,
    /// [`Message::Give`].
    Give,
    /// [`Message::Ack`].
    Ack,
    /// [`Message::Refusal`].
    Refusal,
    /// [`Message::Digest`].
    Digest,
    /// [`Message::Deleted`].
    Deleted,
    /// [`Message::Prune`].
    Prune,
    /// [`Message::RecordsHave`].
    RecordsHave,
    /// [`Message::RecordsRequest`].
    RecordsRequest,
    /// [`Message::RecordsResponse`].
    RecordsResponse,
    /// [`Message::RecordsChange`].
    RecordsChange,
    /// [`Message::RecordsRefusal`].
    RecordsRefusal,
}

impl MessageKind {
    const NAMES: [(Self, &'static str); 25] = [
        (Self::EstablishRequest, "establish-request"),
        (Self::EstablishResponse, "establish-response"),
        (Self::SyncRequest, "sync-request"),
        (Self::SyncResponse, "sync-response"),
        (Self::Update, "update"),
        (Self::DirectoryRequest, "directory-request"),
        (Self::DirectoryResponse, "directory-response"),
        (Self::NewDoc, "new-doc"),
        (Self::DeleteRequest, "delete-request"),
        (Self::DeleteResponse, "delete-response"),
        (Self::Ephemeral, "ephemeral"),
        (Self::Batch, "batch"),
        (Self::Heads, "heads"),
        (Self::Want, "want"),
        (Self::Give, "give"),
        (Self::Ack, "ack"),
        (Self::Refusal, "refusal"),
        (Self::Digest, "digest"),
        (Self::Deleted, "deleted"),
        (Self::Prune, "prune"),
        (Self::RecordsHave, "records-have"),
        (Self::RecordsRequest, "records-request"),
        (Self::RecordsResponse, "records-response"),
        (Self::RecordsChange, "records-change"),
        (Self::RecordsRefusal, "records-refusal"),
    ];

    /// Returns the kind as applications see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES.into_iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// Returns the kind of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(_, known)| *known == name).map(|(kind, _)| kind)
    }
}

impl Message {
    /// Returns what kind of message it is.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        match self {
            Self::EstablishRequest(_) => MessageKind::EstablishRequest,
            Self::EstablishResponse(_) => MessageKind::EstablishResponse,
            Self::SyncRequest { .. } => MessageKind::SyncRequest,
            Self::SyncResponse { .. } => MessageKind::SyncResponse,
            Self::Update { .. } => MessageKind::Update,
            Self::DirectoryRequest { .. } => MessageKind::DirectoryRequest,
            Self::DirectoryResponse { .. } => MessageKind::DirectoryResponse,
            Self::NewDoc { .. } => MessageKind::NewDoc,
            Self::DeleteRequest { .. } => MessageKind::DeleteRequest,
            Self::DeleteResponse { .. } => MessageKind::DeleteResponse,
            Self::Ephemeral { .. } => MessageKind::Ephemeral,
            Self::Batch(_) => MessageKind::Batch,
            Self::Heads { .. } => MessageKind::Heads,
            Self::Want { .. } => MessageKind::Want,
            Self::Give { .. } => MessageKind::Give,
            Self::Ack { .. } => MessageKind::Ack,
            Self::Refusal { .. } => MessageKind::Refusal,
            Self::Digest { .. } => MessageKind::Digest,
            Self::Deleted { .. } => MessageKind::Deleted,
            Self::Prune { .. } => MessageKind::Prune,
            Self::RecordsHave { .. } => MessageKind::RecordsHave,
            Self::RecordsRequest { .. } => MessageKind::RecordsRequest,
            Self::RecordsResponse { .. } => MessageKind::RecordsResponse,
            Self::RecordsChange { .. } => MessageKind::RecordsChange,
            Self::RecordsRefusal { .. } => MessageKind::RecordsRefusal,
        }
    }

    /// Returns the documents it names, in its order; none for a batch.
    #[must_use]
    pub fn docs(&self) -> Vec<&DocId> {
        match self {
            Self::DirectoryRequest { docs: Some(docs) } | Self::DirectoryResponse { docs } | Self::NewDoc { docs } => docs.iter().collect(),
            Self::Heads { heads, .. } => heads.iter().map(|head| &head.doc).collect(),
            Self::Deleted { docs } => docs.iter().map(|(doc, _)| doc).collect(),
            _ => self.doc().into_iter().collect(),
        }
    }

    /// Returns the document it is about, if that is exactly one.
    #[must_use]
    pub fn doc(&self) -> Option<&DocId> {
        match self {
            Self::SyncRequest { doc, .. }
            | Self::SyncResponse { doc, .. }
            | Self::Update { doc, .. }
            | Self::DeleteRequest { doc }
            | Self::DeleteResponse { doc, .. }
            | Self::Ephemeral { doc, .. }
            | Self::Want { doc, .. }
            | Self::Give { doc, .. }
            | Self::Ack { doc, .. }
            | Self::Refusal { doc, .. }
            | Self::Prune { doc } => Some(doc),
            Self::DirectoryRequest { docs: Some(docs) } | Self::DirectoryResponse { docs } | Self::NewDoc { docs } => only(docs),
            Self::Heads { heads, .. } => only(heads).map(|head| &head.doc),
            Self::Deleted { docs } => only(docs).map(|(doc, _)| doc),
            Self::EstablishRequest(_)
            | Self::EstablishResponse(_)
            | Self::DirectoryRequest { docs: None }
            | Self::Batch(_)
            | Self::Digest { .. }
            | Self::RecordsHave { .. }
            | Self::RecordsRequest { .. }
            | Self::RecordsResponse { .. }
            | Self::RecordsChange { .. }
            | Self::RecordsRefusal { .. } => None,
        }
    }

    /// Returns how many bytes of payload it carries: document data, ephemeral entries, and the entries of its lists and version vectors.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        let listed = |docs: &[DocId]| docs.iter().map(|doc| doc.as_str().len()).sum();
        match self {
            Self::SyncRequest { version, ephemeral, .. } => entries(version) + stores(ephemeral.as_deref().unwrap_or_default()),
            Self::SyncResponse { transmission, ephemeral, .. } => given(transmission) + stores(ephemeral.as_deref().unwrap_or_default()),
            Self::Update { transmission, .. } => given(transmission),
            Self::DirectoryRequest { docs } => listed(docs.as_deref().unwrap_or_default()),
            Self::DirectoryResponse { docs } | Self::NewDoc { docs } => listed(docs),
            Self::Ephemeral { stores: sent, .. } => stores(sent),
            Self::Batch(messages) => messages.iter().map(Self::payload_bytes).sum(),
            Self::Heads { heads, .. } => heads.iter().map(|head| head.doc.as_str().len() + entries(&head.version)).sum(),
            Self::Want { ranges, .. } => ranges.len() * ENTRY_BYTES,
            Self::Give { ranges, data, version, .. } => ranges.len() * ENTRY_BYTES + data.len() + entries(version),
            Self::Ack { version, durable, settled, .. } => {
                entries(version) + durable.as_ref().map_or(0, entries) + settled.as_ref().map_or(0, entries)
            }
            Self::Digest { sums, list, .. } => (sums.len() + list.len()) * ENTRY_BYTES,
            Self::Deleted { docs } => docs.iter().map(|(doc, tombstone)| doc.as_str().len() + tombstone.by.as_str().len()).sum(),
            Self::RecordsHave { version, durable, stable, .. } => {
                (version.len() + durable.as_ref().map_or(0, ClockVector::len) + stable.len()) * WRITER_BYTES
            }
            Self::RecordsRequest { since, .. } => since.len() * WRITER_BYTES,
            Self::RecordsResponse { version, entries, whole, .. } => {
                (version.len() + whole.as_ref().map_or(0, ClockVector::len)) * WRITER_BYTES + records(entries)
            }
            Self::RecordsChange { since, version, entries, .. } => (since.len() + version.len()) * WRITER_BYTES + records(entries),
            Self::RecordsRefusal { record, state, .. } => record.key.len() + state.bytes(),
            Self::EstablishRequest(_)
            | Self::EstablishResponse(_)
            | Self::DeleteRequest { .. }
            | Self::DeleteResponse { .. }
            | Self::Refusal { .. }
            | Self::Prune { .. } => 0,
        }
    }
}

fn only<T>(list: &[T]) -> Option<&T> {
    if let [one] = list { Some(one) } else { None }
}

fn entries(version: &VersionVector) -> usize {
    version.iter().count() * ENTRY_BYTES
}

fn records(entries: &[RecordEntry]) -> usize {
    entries.iter().map(|(id, state)| id.key.len() + state.bytes()).sum()
}

fn given(transmission: &Transmission) -> usize {
    match transmission {
        Transmission::Snapshot { data, version } | Transmission::Update { data, version } => data.len() + entries(version),
        Transmission::UpToDate { version } => entries(version),
        Transmission::Unavailable | Transmission::Unknown => 0,
    }
}

fn stores(stores: &[EphemeralPayload]) -> usize {
    stores.iter().map(|store| store.peer.as_str().len() + store.namespace.len() + store.data.len()).sum()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        for (kind, name) in MessageKind::NAMES {
            assert_eq!((kind.as_str(), MessageKind::named(name)), (name, Some(kind)));
        }
        assert_eq!(MessageKind::named("nonsense"), None);
    }

    #[test]
    fn a_message_about_several_documents_is_about_none_of_them_alone() {
        let (a, b) = (DocId::from_wire("a"), DocId::from_wire("bc"));
        let one = Message::NewDoc { docs: vec![a.clone()] };
        assert_eq!((one.doc(), one.docs(), one.payload_bytes()), (Some(&a), vec![&a], 1));
        let two = Message::NewDoc { docs: vec![a.clone(), b.clone()] };
        assert_eq!((two.doc(), two.docs(), two.payload_bytes()), (None, vec![&a, &b], 3));
    }

    #[test]
    fn payload_is_data_and_entries() {
        let version = VersionVector::from_iter([(1, 1), (2, 5)]);
        let transmission = Transmission::Update { data: Bytes::from_static(b"12345"), version };
        assert_eq!(Message::Update { doc: DocId::from_wire("a"), transmission }.payload_bytes(), 5 + 32);
        assert_eq!(Message::DeleteRequest { doc: DocId::from_wire("a") }.payload_bytes(), 0);
    }
}
