//! Which of several tabs holds the one connection, and how the others reach it.
//!
//! Decides when a tab asks for the lock that makes it the leader, when it takes that from a leader that has fallen silent, when it gives it
//! up, and whether it connects by itself. Never touches a lock, a socket or a clock: what happened is passed in, with the time.
//!
//! The lock says who leads: whoever is granted it. A tab that is closed or crashes loses it in that moment, and the next in the queue has
//! it. What a lock cannot show is a page that is there but does not run. So a tab that hears nothing of the leader asks, the leader answers
//! at once, without a timer, and one that does not answer loses the lock to who asked.

/// Milliseconds without a word of the leader after which it is asked for one.
const QUIET_MS: u64 = 2_500;
/// Milliseconds the answer may take.
const ANSWER_MS: u64 = 4_000;
/// A tick this late says that this tab itself did not run, and cannot judge others.
const LATE_MS: u64 = 2_000;

/// What a leader's connection is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// It is being made.
    Connecting,
    /// It was lost and is tried again after a pause.
    Waiting,
    /// It carries what the other tabs have to say.
    Serving,
    /// The server takes one tab per connection: everybody connects for himself.
    Unable,
}

/// What a leader says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Names the leader and its present connection.
    pub term: String,
    /// When it began to lead, in milliseconds since the Unix epoch: the latest is believed.
    pub since: u64,
    /// What it can do.
    pub service: Service,
}

/// Something a tab hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeadershipInput {
    /// The page runs: it was opened, shown again, or sharing was switched on.
    Arrived,
    /// The page is about to be frozen or unloaded, or sharing was switched off.
    Left,
    /// The lock is this tab's.
    Granted,
    /// The lock was taken away, or not given.
    Lost,
    /// A leader says how it is doing.
    Heard(Word),
    /// The leader of that term leads no more.
    Resigned(String),
    /// Somebody asks who leads.
    Asked,
    /// This tab's own connection is now so, in that term.
    Connection(String, Service),
    /// [`Leadership::due`] has come.
    Tick,
}

/// What a tab does about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeadershipAction {
    /// Join the queue for the lock.
    RequestLock,
    /// Take the lock from whoever has it.
    StealLock,
    /// Leave the queue, or give the lock up.
    DropLock,
    /// Ask all tabs who leads.
    Ask,
    /// Tell all tabs.
    Tell(Word),
    /// Tell all tabs that the leader of that term leads no more.
    Resign(String),
}

/// Where a tab stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Stance {
    /// It takes no part and has no connection.
    #[default]
    Away,
    /// It holds the connection for all.
    Leading,
    /// It is served by the leader of that term.
    Behind(String),
    /// It connects for itself alone.
    Alone,
    /// It has no connection: no leader is known, or that has none. What the leader said last, if one is known.
    Waiting(Option<Service>),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Away,
    Following {
        leader: Option<Word>,
        /// When the leader, or anything that excuses its silence, was heard of last.
        heard: u64,
        asked: Option<u64>,
    },
    Leading(Word),
}

/// One tab's part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leadership {
    stage: Stage,
}

impl Leadership {
    /// Returns where the tab stands.
    #[must_use]
    pub fn stance(&self) -> Stance {
        match &self.stage {
            Stage::Away => Stance::Away,
            Stage::Leading(_) => Stance::Leading,
            Stage::Following { leader, .. } => match leader {
                Some(Word { service: Service::Unable, .. }) => Stance::Alone,
                Some(Word { service: Service::Serving, term, .. }) => Stance::Behind(term.clone()),
                leader => Stance::Waiting(leader.as_ref().map(|word| word.service)),
            },
        }
    }

    /// Returns when [`LeadershipInput::Tick`] is to be given, in milliseconds since the Unix epoch; `None` if nothing is waited for.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        match &self.stage {
            Stage::Following { asked: Some(asked), .. } => Some(asked + ANSWER_MS),
            Stage::Following { heard, .. } => Some(heard + QUIET_MS),
            Stage::Away | Stage::Leading(_) => None,
        }
    }

    /// Takes what happened and returns what to do, in order. [`Leadership::stance`] may be another afterwards.
    #[must_use]
    pub fn update(&mut self, input: LeadershipInput, now: u64) -> Vec<LeadershipAction> {
        use LeadershipAction::{Ask, DropLock, RequestLock, Resign, StealLock, Tell};
        match (input, &mut self.stage) {
            (LeadershipInput::Arrived, Stage::Away) => {
                self.follow(now);
                vec![RequestLock, Ask]
            }
            (LeadershipInput::Left, Stage::Leading(word)) => {
                let term = word.term.clone();
                self.stage = Stage::Away;
                vec![Resign(term), DropLock]
            }
            (LeadershipInput::Left, Stage::Following { .. }) => {
                self.stage = Stage::Away;
                vec![DropLock]
            }
            (LeadershipInput::Granted, Stage::Following { .. }) => {
                let word = Word { term: String::new(), since: now, service: Service::Connecting };
                self.stage = Stage::Leading(word);
                vec![]
            }
            (LeadershipInput::Lost, Stage::Leading(word)) => {
                let term = word.term.clone();
                self.follow(now);
                vec![Resign(term), RequestLock, Ask]
            }
            // Somebody was quicker.
            (LeadershipInput::Lost, Stage::Following { .. }) => {
                self.follow(now);
                vec![RequestLock, Ask]
            }
            (LeadershipInput::Heard(word), Stage::Following { leader, heard, asked }) => {
                // One that lost the lock while it did not run may answer before it learns of that.
                if leader.as_ref().is_none_or(|known| known.since <= word.since) {
                    *leader = Some(word);
                    *heard = now;
                    *asked = None;
                }
                vec![]
            }
            (LeadershipInput::Resigned(term), Stage::Following { leader, heard, asked }) => {
                if leader.as_ref().is_some_and(|word| word.term == term) {
                    *leader = None;
                    *heard = now;
                    *asked = None;
                }
                vec![]
            }
            (LeadershipInput::Asked, Stage::Leading(word)) if !word.term.is_empty() => vec![Tell(word.clone())],
            (LeadershipInput::Connection(term, service), Stage::Leading(word)) => {
                // While those who connect for themselves are connected, it is nothing to them that this one is not.
                let known_unable = word.service == Service::Unable && matches!(service, Service::Connecting | Service::Waiting);
                let service = if known_unable { Service::Unable } else { service };
                let told = Word { term, since: word.since, service };
                if *word == told {
                    return vec![];
                }
                *word = told.clone();
                vec![Tell(told)]
            }
            (LeadershipInput::Tick, Stage::Following { heard, asked, leader }) => match *asked {
                None if now >= *heard + QUIET_MS => {
                    *asked = Some(now);
                    vec![Ask]
                }
                Some(at) if now >= at + ANSWER_MS + LATE_MS => {
                    *asked = Some(now);
                    vec![Ask]
                }
                Some(at) if now >= at + ANSWER_MS => {
                    *asked = None;
                    *heard = now;
                    *leader = None;
                    // It takes the place of the request in the queue.
                    vec![DropLock, StealLock]
                }
                _ => vec![],
            },
            _ => vec![],
        }
    }

    fn follow(&mut self, now: u64) {
        self.stage = Stage::Following { leader: None, heard: now, asked: None };
    }
}

#[cfg(test)]
mod tests;
