//! How much room peers' ephemeral entries may take.
//!
//! Decides whether there is room for one more entry. What this repo writes itself takes none.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use crate::{collections::SortedMap, synchronizer::ChannelId};

/// Bytes of one entry.
pub(super) const MAX_ENTRY_BYTES: usize = 256 * 1024;
/// Bytes of one document's entries.
const MAX_DOC_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of one document's entries that came over one channel.
const MAX_DOC_BYTES_OF_SENDER: usize = 1024 * 1024;
/// Bytes of all entries that came over one channel.
const MAX_BYTES_OF_SENDER: usize = 16 * 1024 * 1024;

/// Bytes in use.
type Purse = Rc<Cell<usize>>;

/// What all documents' entries take, by the channel they came over.
#[derive(Debug, Default)]
pub(super) struct Senders(RefCell<SortedMap<ChannelId, Purse>>);

/// What one document's entries take.
#[derive(Debug, Default)]
pub(super) struct Room {
    doc: Purse,
    accounts: RefCell<SortedMap<ChannelId, Rc<Account>>>,
}

/// What one document's entries that came over one channel take.
#[derive(Debug)]
pub(super) struct Account {
    channel: ChannelId,
    own: Cell<usize>,
    limit: usize,
    doc: Purse,
    sender: Purse,
    /// The application was told that there is no more room.
    pub(super) is_told: Cell<bool>,
}

/// Over which channel an entry came; it takes room there for as long as this is kept.
#[derive(Debug, Default)]
pub(super) struct Origin(Option<(Rc<Account>, usize)>);

impl Senders {
    /// Returns the account of a channel in one document; all the document's room may be taken by a relay that passes on what others wrote.
    pub(super) fn account(&self, room: &Room, channel: ChannelId, is_relay: bool) -> Rc<Account> {
        let sender = || Rc::clone(self.0.borrow_mut().entry(channel).or_default());
        let limit = if is_relay { MAX_DOC_BYTES } else { MAX_DOC_BYTES_OF_SENDER };
        let make = || {
            let doc = Rc::clone(&room.doc);
            Rc::new(Account { channel, own: Cell::default(), limit, doc, sender: sender(), is_told: Cell::default() })
        };
        Rc::clone(room.accounts.borrow_mut().entry(channel).or_insert_with(make))
    }

    /// A channel is gone; what came over it and is still there goes on taking room in its document.
    pub(super) fn close(&self, channel: ChannelId) {
        self.0.borrow_mut().remove(&channel);
    }
}

impl Room {
    /// Closes the accounts with nothing on them.
    pub(super) fn tidy(&self) {
        self.accounts.borrow_mut().retain(|_, account| account.own.get() > 0);
    }

    /// A channel is gone.
    pub(super) fn close(&self, channel: ChannelId) {
        self.accounts.borrow_mut().remove(&channel);
    }
}

impl Account {
    /// Takes room for an entry that replaces one from `replaced`, if there is any.
    pub(super) fn admit(self: &Rc<Self>, bytes: usize, replaced: Option<&Origin>) -> Option<Origin> {
        let freed = replaced.map_or(0, Origin::bytes);
        let freed_here = replaced.filter(|origin| origin.via() == Some(self.channel)).map_or(0, Origin::bytes);
        let fits = bytes <= MAX_ENTRY_BYTES
            && self.doc.get() + bytes <= MAX_DOC_BYTES + freed
            && self.own.get() + bytes <= self.limit + freed_here
            && self.sender.get() + bytes <= MAX_BYTES_OF_SENDER + freed_here;
        fits.then(|| Origin::charge(self, bytes))
    }

    fn purses(&self) -> [&Cell<usize>; 3] {
        [&self.own, &self.doc, &self.sender]
    }
}

impl Origin {
    fn charge(account: &Rc<Account>, bytes: usize) -> Self {
        for purse in account.purses() {
            purse.set(purse.get() + bytes);
        }
        Self(Some((Rc::clone(account), bytes)))
    }

    /// Returns the channel, nothing for what was written here.
    pub(super) fn via(&self) -> Option<ChannelId> {
        self.0.as_ref().map(|(account, _)| account.channel)
    }

    fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |(_, bytes)| *bytes)
    }

    /// Gives back what is more than `bytes`.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let Some((account, taken)) = &mut self.0 else { return };
        let less = taken.saturating_sub(bytes);
        for purse in account.purses() {
            purse.set(purse.get() - less);
        }
        *taken -= less;
    }
}

impl Clone for Origin {
    fn clone(&self) -> Self {
        self.0.as_ref().map_or_else(Self::default, |(account, bytes)| Self::charge(account, *bytes))
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ChannelId = ChannelId(1);
    const TWO: ChannelId = ChannelId(2);
    const BIG: usize = MAX_ENTRY_BYTES;

    #[test]
    fn one_sender_leaves_room_for_others_and_gets_its_own_back() {
        let (senders, room) = (Senders::default(), Room::default());
        let greedy = senders.account(&room, ONE, false);
        let taken: Vec<_> = std::iter::from_fn(|| greedy.admit(BIG, None)).collect();
        assert_eq!(taken.len(), MAX_DOC_BYTES_OF_SENDER / BIG);
        assert!(greedy.admit(1, None).is_none());
        assert!(greedy.admit(BIG, taken.first()).is_some(), "an entry may be replaced");
        assert!(senders.account(&room, TWO, false).admit(BIG, None).is_some());
        drop(taken);
        assert!(greedy.admit(BIG, None).is_some());
    }

    #[test]
    fn a_document_and_a_sender_have_limits_of_their_own() {
        let (senders, room) = (Senders::default(), Room::default());
        let fill = |room: &Room, channel| {
            let account = senders.account(room, channel, false);
            std::iter::from_fn(|| account.admit(BIG, None)).collect::<Vec<_>>()
        };
        let in_one: Vec<_> = (1..=5).map(|channel| fill(&room, ChannelId(channel)).len()).collect();
        assert_eq!(in_one, [4; 5], "what was dropped is free again");
        let kept: Vec<_> = (1..=5).map(|channel| fill(&room, ChannelId(channel))).collect();
        assert_eq!(kept.iter().map(Vec::len).sum::<usize>(), MAX_DOC_BYTES / BIG);
        let rooms: Vec<_> = (0..20).map(|_| Room::default()).collect();
        let everywhere: Vec<_> = rooms.iter().map(|room| fill(room, TWO)).collect();
        assert_eq!(everywhere.iter().map(Vec::len).sum::<usize>(), (MAX_BYTES_OF_SENDER - MAX_DOC_BYTES_OF_SENDER) / BIG);
    }

    #[test]
    fn what_is_only_remembered_as_deleted_takes_less() {
        let (senders, room) = (Senders::default(), Room::default());
        let mut origin = senders.account(&room, ONE, false).admit(BIG, None).unwrap();
        origin.shrink(10);
        assert_eq!(room.doc.get(), 10);
        assert_eq!(origin.clone().via(), Some(ONE));
        drop(origin);
        assert_eq!(room.doc.get(), 0);
        room.tidy();
        assert!(room.accounts.borrow().is_empty());
    }
}
