//! What the applications typed and what they were promised, independent of any document.

use std::collections::{BTreeMap, BTreeSet};

use loro::VersionVector;

/// One run of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    pub node: usize,
    pub number: u32,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Running,
    /// The repo was closed and said that all is on disk.
    Closed,
    Crashed,
}

/// Something typed, found again by searching for its text.
#[derive(Debug, Clone)]
pub struct Token {
    pub text: String,
    pub run: Run,
    pub doc: usize,
    /// Somebody deleted it: it may be gone.
    pub erased: bool,
    /// A flush begun after it was typed has completed.
    pub flushed: bool,
}

/// A disk holds at least this.
#[derive(Debug, Clone)]
pub struct Promise {
    pub disk: usize,
    pub doc: usize,
    pub version: VersionVector,
    /// How often the document had been dropped from the disk when the promise was asked for.
    pub drops: u32,
}

/// A machine other than the one that typed it has this on disk.
#[derive(Debug, Clone)]
pub struct RemotePromise {
    /// The disks it may be on.
    pub disks: Vec<usize>,
    pub node: usize,
    pub doc: usize,
    pub version: VersionVector,
}

/// Everything the checks compare the world with.
#[derive(Debug, Default)]
pub struct Model {
    pub tokens: Vec<Token>,
    pub promises: Vec<Promise>,
    pub remote_promises: Vec<RemotePromise>,
    /// Deletions that were completed, by disk and document.
    pub buried: BTreeSet<(usize, usize)>,
    /// Documents made anew after they were there, or were deleted.
    pub recreated: BTreeSet<usize>,
    /// Documents somebody dropped its copy of: what it said of that may not have been taken back yet.
    pub dropped: BTreeSet<usize>,
    /// How often a document was dropped from a disk: what was promised of it before is void.
    drops: BTreeMap<(usize, usize), u32>,
    pub fates: BTreeMap<Run, Fate>,
    /// Documents somebody deleted: nothing is promised about what is in them.
    pub deleted: BTreeSet<usize>,
    /// Who deleted what, and has not opened it again.
    pub deleted_by: BTreeSet<(Run, usize)>,
    /// The furthest that clocks went ahead of the world's time and fell behind, in milliseconds: how far they differ.
    clocks: (i64, i64),
    /// Rules broken while the world ran.
    pub violations: Vec<String>,
}

impl Model {
    pub fn token(&mut self, run: Run, doc: usize) -> String {
        let text = format!("⟦n{}·{}⟧", run.node, self.tokens.len());
        self.tokens.push(Token { text: text.clone(), run, doc, erased: false, flushed: false });
        text
    }

    pub fn erase(&mut self, text: &str) {
        for token in self.tokens.iter_mut().filter(|token| token.text == text) {
            token.erased = true;
        }
    }

    /// A flush of `run`, begun when there were `tokens` tokens, has completed.
    pub fn flushed(&mut self, run: Run, tokens: usize, docs: &BTreeSet<usize>, mut promises: Vec<Promise>) {
        promises.retain(|promise| promise.drops == self.drops(promise.disk, promise.doc));
        for token in self.tokens[..tokens].iter_mut().filter(|token| token.run == run && docs.contains(&token.doc)) {
            token.flushed = true;
        }
        self.promises.extend(promises);
    }

    pub fn drops(&self, disk: usize, doc: usize) -> u32 {
        self.drops.get(&(disk, doc)).copied().unwrap_or(0)
    }

    /// A node has dropped its copy of a document: what only it had is gone.
    pub fn forgotten(&mut self, node: usize, disk: Option<usize>, doc: usize) {
        for token in self.tokens.iter_mut().filter(|token| token.run.node == node && token.doc == doc) {
            token.erased = true;
        }
        self.dropped.insert(doc);
        if let Some(disk) = disk {
            *self.drops.entry((disk, doc)).or_default() += 1;
        }
        self.promises.retain(|promise| promise.doc != doc || Some(promise.disk) != disk);
        self.remote_promises.retain(|promise| promise.doc != doc || !disk.is_some_and(|disk| promise.disks.contains(&disk)));
        self.buried.retain(|(buried, other)| *other != doc || Some(*buried) != disk);
    }

    pub fn clock_was_at(&mut self, offset_ms: i64) {
        self.clocks = (self.clocks.0.max(offset_ms), self.clocks.1.min(offset_ms));
    }

    /// Whether clocks differed by more than the time within which what is said of another time is believed.
    pub fn clocks_disagree(&self) -> bool {
        self.clocks.0 - self.clocks.1 > 24 * 3_600_000
    }

    /// Whether a clock may have shown that a deletion need not be remembered any more.
    pub fn deletions_lapse(&self) -> bool {
        self.clocks.0 - self.clocks.1 > 180 * 24 * 3_600_000
    }

    pub fn fate(&self, run: Run) -> Fate {
        self.fates.get(&run).copied().unwrap_or(Fate::Crashed)
    }
}
