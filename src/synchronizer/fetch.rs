//! Fetching by author: what is missing here, and which neighbour is asked for which part of it.
//!
//! Decides so that several neighbours give different authors' operations at the same time, nothing is asked for twice unless a source
//! failed, and a source that does not answer is replaced. Knows counters, never operations.

use super::{
    ChannelId, Effect, Synchronizer, Timer, Timestamp,
    model::{Doc, DocState, Fetch, LONGEST_REST_MS, Link},
};
use crate::{
    collections::{SortedMap, sort, sort_by_key},
    protocol::{DocId, Message, VersionVector, extension::AuthorRange},
};

/// Milliseconds a source has to give what it said it has.
pub(super) const FETCH_TIMEOUT_MS: u64 = 5_000;
/// Milliseconds an advertised change may take on its usual path.
pub(super) const GRAFT_DELAY_MS: u64 = 400;
/// Milliseconds the answers of other neighbours are waited for before one is asked for everything.
const GATHER_MS: u64 = 30;
/// Ranges of one message.
const MAX_RANGES: usize = 10_000;

impl Synchronizer {
    /// Asks neighbours for what they have and this side lacks, as far as it is not under way.
    ///
    /// `now_or_never` does not wait for neighbours that have not answered yet.
    pub(super) fn plan(&mut self, doc: &DocId, now_or_never: bool, now: Timestamp, out: &mut Vec<Effect>) {
        self.settle_fetches(doc);
        let Some(entry) = self.model.docs.get(doc) else { return };
        if !matches!(entry.state, DocState::Ready) {
            return;
        }
        let missing = self.missing(doc, entry, now);
        if missing.is_empty() {
            return;
        }
        let may_answer = |(channel, link): (ChannelId, &Link)| link.waiting && link.attempts <= 1 && self.model.is_extended(channel);
        let more_may_answer = self.model.links(doc).any(may_answer);
        if more_may_answer && !now_or_never {
            return self.model.arm(Timer::Graft(doc.clone()), GATHER_MS, out);
        }
        let lineage = entry.lineage;
        let mut longest = 0;
        for (channel, mut ranges) in assign(missing) {
            ranges.truncate(MAX_RANGES);
            let patience_ms = self.model.burden(channel);
            longest = longest.max(patience_ms);
            if let Some(entry) = self.model.docs.get_mut(doc) {
                for range in &ranges {
                    let fetch = Fetch { channel, end: range.end, since: now, patience_ms, answered: false, arrived: false };
                    entry.fetches.insert(range.author, fetch);
                }
            }
            if let Some(link) = self.model.link(channel, doc) {
                link.lazy = false;
            }
            out.push(Effect::Send { channel, message: Message::Want { doc: doc.clone(), lineage, ranges } });
        }
        self.watch_fetches(doc, FETCH_TIMEOUT_MS + longest, now, out);
    }

    /// Looks at the fetches of a document after so many milliseconds, also if that was to be done later.
    fn watch_fetches(&mut self, doc: &DocId, after_ms: u64, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(entry) = self.model.docs.get_mut(doc) else { return };
        let (timer, due) = (Timer::Fetch(doc.clone()), now.plus(after_ms));
        if entry.fetch_due > due {
            self.model.armed.remove(&timer);
        }
        if !self.model.armed.contains(&timer) {
            entry.fetch_due = due;
            self.model.arm(timer, after_ms, out);
        }
    }

    /// Forgets fetches whose operations are here, and those whose source has gone.
    fn settle_fetches(&mut self, doc: &DocId) {
        let channels = &self.model.channels;
        if let Some(Doc { version, fetches, .. }) = self.model.docs.get_mut(doc) {
            fetches.retain(|author, fetch| version.get(*author) < fetch.end && (fetch.arrived || channels.contains_key(&fetch.channel)));
        }
    }

    /// Returns what neighbours have that is neither here nor under way, with those who have it, the best first.
    ///
    /// Of an author, the part that most of them have comes first: one that claims more than there is delays nothing but its own claim.
    fn missing(&self, doc: &DocId, entry: &Doc, now: Timestamp) -> Vec<(AuthorRange, Vec<ChannelId>)> {
        let mut missing: SortedMap<u64, (AuthorRange, Vec<(u8, ChannelId)>)> = SortedMap::new();
        for (channel, link) in self.model.links(doc).filter(|(_, link)| !link.absent) {
            let Some(known) = &link.known else { continue };
            let resting = link.failed_until.is_some_and(|until| now < until && until.since(now) <= LONGEST_REST_MS);
            if resting || !self.model.is_extended(channel) || entry.version.includes(known) {
                continue;
            }
            let Some(peer) = self.model.context(channel) else { continue };
            if !self.permissions.visibility(doc, &peer) || !self.permissions.mutability(doc, &peer) {
                continue;
            }
            for (author, end) in known.iter() {
                let start = entry.version.get(author).max(entry.fetches.get(&author).map_or(0, |fetch| fetch.end));
                if end > start {
                    let (range, sources) = missing.entry(author).or_insert((AuthorRange { author, start, end }, Vec::new()));
                    range.end = range.end.min(end);
                    // One that usually only tells comes after the others, and last who has no more than the end of the history.
                    sources.push((u8::from(link.lazy) + 2 * u8::from(link.trimmed), channel));
                }
            }
        }
        let mut missing: Vec<_> = missing
            .into_values()
            .map(|(range, mut sources)| {
                sort(&mut sources);
                if sources.first().is_some_and(|(rank, _)| *rank < 2) {
                    sources.retain(|(rank, _)| *rank < 2);
                }
                (range, sources.into_iter().map(|(_, channel)| channel).collect::<Vec<_>>())
            })
            .collect();
        sort_by_key(&mut missing, |(range, _)| (i64::from(range.start) - i64::from(range.end), range.author));
        missing
    }

    /// A source had long enough.
    pub(super) fn fetch_due(&mut self, doc: &DocId, now: Timestamp, out: &mut Vec<Effect>) {
        self.settle_fetches(doc);
        let Some(entry) = self.model.docs.get_mut(doc) else { return };
        let (late, rest): (SortedMap<_, _>, SortedMap<_, _>) = std::mem::take(&mut entry.fetches)
            .into_iter()
            .partition(|(_, fetch)| fetch.since > now || now.since(fetch.since) >= FETCH_TIMEOUT_MS + fetch.patience_ms);
        let next = rest.values().map(|fetch| fetch.since.plus(FETCH_TIMEOUT_MS + fetch.patience_ms).since(now)).min();
        entry.fetches = rest;
        for fetch in late.values().filter(|fetch| !fetch.arrived) {
            if let Some(link) = self.model.link(fetch.channel, doc) {
                link.fail(now);
            }
        }
        if let Some(after) = next {
            self.watch_fetches(doc, after.max(1), now, out);
        }
        if !late.is_empty() {
            self.plan(doc, true, now, out);
        }
    }

    /// A source gave something, which brings this side to `version`, with `pending` waiting: did it give what it was asked for?
    pub(super) fn settle_given(
        &mut self,
        channel: ChannelId,
        doc: &DocId,
        version: &VersionVector,
        pending: &VersionVector,
        now: Timestamp,
    ) {
        let Some(entry) = self.model.docs.get_mut(doc) else { return };
        let (mut came, mut failed) = (false, false);
        entry.fetches.retain(|author, fetch| {
            if fetch.channel != channel || !fetch.answered {
                return true;
            }
            let here = version.get(*author) >= fetch.end;
            fetch.arrived |= pending.get(*author) >= fetch.end;
            came |= here || fetch.arrived;
            failed |= !here && !fetch.arrived;
            !here && fetch.arrived
        });
        let Some(link) = self.model.link(channel, doc) else { return };
        if failed {
            // What it gave is not what it said it has: the others count.
            link.fail(now);
        } else if came {
            link.failures = 0;
            link.failed_until = None;
        }
    }

    /// Operations came that wait for others: they are not asked for again.
    pub(super) fn note_pending(&mut self, channel: ChannelId, doc: &DocId, pending: &VersionVector, now: Timestamp, out: &mut Vec<Effect>) {
        if pending.is_empty() {
            return;
        }
        let Some(entry) = self.model.docs.get_mut(doc) else { return };
        for (author, end) in pending.iter() {
            let fetch =
                entry.fetches.entry(author).or_insert(Fetch { channel, end, since: now, patience_ms: 0, answered: true, arrived: true });
            fetch.end = fetch.end.max(end);
        }
        self.watch_fetches(doc, FETCH_TIMEOUT_MS, now, out);
    }
}

/// Gives every range to one of its sources, the largest ranges first and each to the one with the least to do.
fn assign(missing: Vec<(AuthorRange, Vec<ChannelId>)>) -> SortedMap<ChannelId, Vec<AuthorRange>> {
    let mut assigned: SortedMap<ChannelId, (u64, Vec<AuthorRange>)> = SortedMap::new();
    for (range, sources) in missing {
        let load = |channel: &ChannelId| assigned.get(channel).map_or(0, |(load, _)| *load);
        // The first of equals: sources come with the best first.
        let Some(channel) = sources.iter().copied().min_by_key(load) else { continue };
        let entry = assigned.entry(channel).or_default();
        entry.0 += u64::from(range.end.abs_diff(range.start));
        entry.1.push(range);
    }
    assigned.into_iter().map(|(channel, (_, ranges))| (channel, ranges)).collect()
}
