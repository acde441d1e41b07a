//! Deleting documents.
//!
//! Decides who is told and who may ask for it. A document deleted here is gone from memory and from every store.

use super::{ChannelId, Effect, Event, Synchronizer};
use crate::protocol::{DeleteStatus, DocId, Message};

impl Synchronizer {
    pub(super) fn doc_deleted(&mut self, doc: &DocId, out: &mut Vec<Effect>) {
        for channel in self.model.pipes() {
            let concerned = self.model.peek(channel, doc).is_some_and(|link| link.subscribed || link.asked);
            if concerned && self.sees(channel, doc) {
                out.push(Effect::Send { channel, message: Message::DeleteRequest { doc: doc.clone() } });
            }
        }
        self.forget(doc, out);
    }

    pub(super) fn delete_requested(&mut self, channel: ChannelId, doc: &DocId, out: &mut Vec<Effect>) {
        let Some(peer) = self.model.context(channel) else { return };
        let allowed =
            self.model.catalogue.contains(doc) && self.permissions.visibility(doc, &peer) && self.permissions.deletion(doc, None, &peer);
        if allowed {
            self.forget(doc, out);
        }
        let status = if allowed { DeleteStatus::Deleted } else { DeleteStatus::Ignored };
        out.push(Effect::Send { channel, message: Message::DeleteResponse { doc: doc.clone(), status } });
    }

    fn forget(&mut self, doc: &DocId, out: &mut Vec<Effect>) {
        self.model.docs.remove(doc);
        self.model.deleted.insert(doc.clone());
        for channel in self.model.channels.values_mut() {
            channel.docs.remove(doc);
            channel.store.dirty.remove(doc);
        }
        out.push(Effect::DropDoc { doc: doc.clone() });
        for channel in self.model.stores() {
            out.push(Effect::ForgetDoc { channel, doc: doc.clone() });
        }
        if self.model.catalogue.remove(doc) {
            out.push(Effect::Emit(Event::DocumentRemoved(doc.clone())));
        }
    }
}
