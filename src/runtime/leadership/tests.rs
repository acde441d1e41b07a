//! Tabs, one lock and one wire between them, in virtual time.

use std::collections::VecDeque;

use super::*;

use crate::collections::SortedMap;

/// What a page does with what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Running,
    /// It is there and keeps its lock, but nothing runs.
    Hung,
    Gone,
}

struct Tab {
    logic: Leadership,
    page: Page,
    /// What waits for it to run.
    inbox: VecDeque<LeadershipInput>,
    connections: u32,
    leading: bool,
}

/// The lock of the browser, and who waits for it.
#[derive(Default)]
struct Lock {
    holder: Option<usize>,
    queue: VecDeque<usize>,
}

struct World {
    now: u64,
    tabs: SortedMap<usize, Tab>,
    lock: Lock,
    service: Service,
    next: usize,
}

impl World {
    fn new() -> Self {
        Self { now: 1_000, tabs: SortedMap::new(), lock: Lock::default(), service: Service::Serving, next: 0 }
    }

    fn open(&mut self) -> usize {
        let id = self.next;
        self.next += 1;
        let tab = Tab { logic: Leadership::default(), page: Page::Running, inbox: VecDeque::new(), connections: 0, leading: false };
        self.tabs.insert(id, tab);
        self.give(id, LeadershipInput::Arrived);
        id
    }

    fn give(&mut self, id: usize, input: LeadershipInput) {
        let tab = self.tabs.get_mut(&id).unwrap();
        tab.inbox.push_back(input);
        self.settle();
    }

    fn crash(&mut self, id: usize) {
        self.tabs.get_mut(&id).unwrap().page = Page::Gone;
        self.lock.queue.retain(|waiting| *waiting != id);
        self.release(id);
        self.settle();
    }

    fn page(&mut self, id: usize, page: Page) {
        self.tabs.get_mut(&id).unwrap().page = page;
        self.settle();
    }

    fn release(&mut self, id: usize) {
        if self.lock.holder == Some(id) {
            self.lock.holder = None;
        }
        if self.lock.holder.is_none()
            && let Some(next) = self.lock.queue.pop_front()
        {
            self.lock.holder = Some(next);
            self.tabs.get_mut(&next).unwrap().inbox.push_back(LeadershipInput::Granted);
        }
    }

    fn settle(&mut self) {
        loop {
            let ready = self.tabs.iter().find(|(_, tab)| tab.page == Page::Running && !tab.inbox.is_empty()).map(|(id, _)| *id);
            let Some(id) = ready else { break };
            let tab = self.tabs.get_mut(&id).unwrap();
            let input = tab.inbox.pop_front().unwrap();
            let actions = tab.logic.update(input, self.now);
            for action in actions {
                self.act(id, action);
            }
            let tab = self.tabs.get_mut(&id).unwrap();
            let leading = tab.logic.stance() == Stance::Leading;
            if leading && !tab.leading {
                tab.connections += 1;
                let term = format!("{id}.{}", tab.connections);
                tab.inbox.push_back(LeadershipInput::Connection(term.clone(), Service::Connecting));
                tab.inbox.push_back(LeadershipInput::Connection(term, self.service));
            }
            tab.leading = leading;
        }
    }

    fn act(&mut self, id: usize, action: LeadershipAction) {
        match action {
            LeadershipAction::RequestLock => {
                self.lock.queue.push_back(id);
                if self.lock.holder.is_none() {
                    self.release(id);
                }
            }
            LeadershipAction::StealLock => {
                if let Some(robbed) = self.lock.holder.replace(id) {
                    self.tabs.get_mut(&robbed).unwrap().inbox.push_back(LeadershipInput::Lost);
                }
                self.tabs.get_mut(&id).unwrap().inbox.push_back(LeadershipInput::Granted);
            }
            LeadershipAction::DropLock => {
                self.lock.queue.retain(|waiting| *waiting != id);
                self.release(id);
            }
            LeadershipAction::Ask => self.post(id, &LeadershipInput::Asked),
            LeadershipAction::Tell(word) => self.post(id, &LeadershipInput::Heard(word)),
            LeadershipAction::Resign(term) => self.post(id, &LeadershipInput::Resigned(term)),
        }
    }

    fn post(&mut self, from: usize, input: &LeadershipInput) {
        for (_, tab) in self.tabs.iter_mut().filter(|(id, tab)| **id != from && tab.page != Page::Gone) {
            tab.inbox.push_back(input.clone());
        }
    }

    /// Lets time pass in steps of 100 ms, as timers do.
    fn pass(&mut self, ms: u64) {
        let until = self.now + ms;
        while self.now < until {
            self.now += 100;
            let due: Vec<_> = self
                .tabs
                .iter()
                .filter(|(_, tab)| tab.page == Page::Running && tab.logic.due().is_some_and(|due| due <= self.now))
                .map(|(id, _)| *id)
                .collect();
            for id in due {
                self.give(id, LeadershipInput::Tick);
            }
        }
    }

    fn leaders(&self) -> Vec<usize> {
        self.running().filter(|(_, tab)| tab.logic.stance() == Stance::Leading).map(|(id, _)| *id).collect()
    }

    fn running(&self) -> impl Iterator<Item = (&usize, &Tab)> {
        self.tabs.iter().filter(|(_, tab)| tab.page == Page::Running)
    }

    /// One leads, and every other tab that takes part is behind it.
    fn assert_settled(&self) {
        let taking_part: Vec<_> = self.running().filter(|(_, tab)| tab.logic.stance() != Stance::Away).collect();
        if taking_part.is_empty() {
            return;
        }
        let leaders = self.leaders();
        assert_eq!(leaders.len(), 1, "at {}: {:?}", self.now, self.stances());
        let term = format!("{}.{}", leaders[0], self.tabs[&leaders[0]].connections);
        for (id, tab) in taking_part {
            if *id != leaders[0] {
                assert_eq!(tab.logic.stance(), Stance::Behind(term.clone()), "tab {id} at {}: {:?}", self.now, self.stances());
            }
        }
    }

    fn stances(&self) -> Vec<(usize, Page, Stance)> {
        self.tabs.iter().map(|(id, tab)| (*id, tab.page, tab.logic.stance())).collect()
    }
}

#[test]
fn the_first_leads_and_the_others_are_behind_it_at_once() {
    let mut world = World::new();
    for _ in 0..5 {
        world.open();
        world.assert_settled();
    }
    assert_eq!(world.leaders(), [0]);
    world.pass(600_000);
    world.assert_settled();
    assert_eq!(world.leaders(), [0], "nobody takes the lock from one that answers");
}

#[test]
fn another_leads_in_the_moment_a_leader_leaves_or_crashes() {
    let mut world = World::new();
    let tabs: Vec<_> = (0..4).map(|_| world.open()).collect();
    world.crash(tabs[0]);
    world.assert_settled();
    assert_eq!(world.leaders(), [tabs[1]]);
    world.give(tabs[1], LeadershipInput::Left);
    world.assert_settled();
    assert_eq!(world.leaders(), [tabs[2]]);
    // Shown again, it stands at the end of the queue.
    world.give(tabs[1], LeadershipInput::Arrived);
    world.assert_settled();
    assert_eq!(world.leaders(), [tabs[2]]);
}

#[test]
fn a_leader_that_does_not_run_is_replaced_within_ten_seconds_and_follows_when_it_runs_again() {
    let mut world = World::new();
    let tabs: Vec<_> = (0..4).map(|_| world.open()).collect();
    world.pass(1_000);
    world.page(tabs[0], Page::Hung);
    let fell_silent = world.now;
    while world.leaders().is_empty() {
        world.pass(100);
    }
    assert!(world.now - fell_silent <= QUIET_MS + ANSWER_MS + 200, "{} ms", world.now - fell_silent);
    world.pass(1_000);
    world.assert_settled();
    let leader = world.leaders()[0];
    world.page(tabs[0], Page::Running);
    world.pass(100);
    world.assert_settled();
    assert_eq!(world.leaders(), [leader]);
    world.pass(60_000);
    world.assert_settled();
}

#[test]
fn a_tab_that_did_not_run_itself_asks_again_before_it_judges() {
    let mut tab = Leadership::default();
    assert_eq!(tab.update(LeadershipInput::Arrived, 0), [LeadershipAction::RequestLock, LeadershipAction::Ask]);
    let word = Word { term: "a".into(), since: 0, service: Service::Serving };
    assert!(tab.update(LeadershipInput::Heard(word.clone()), 10).is_empty());
    assert_eq!(tab.due(), Some(10 + QUIET_MS));
    assert_eq!(tab.update(LeadershipInput::Tick, 10 + QUIET_MS), [LeadershipAction::Ask]);
    let late = 10 + QUIET_MS + ANSWER_MS + LATE_MS;
    assert_eq!(tab.update(LeadershipInput::Tick, late), [LeadershipAction::Ask], "its timers run once a minute");
    assert!(tab.update(LeadershipInput::Heard(word), late + 5).is_empty());
    assert_eq!(tab.stance(), Stance::Behind("a".into()));
    assert_eq!(tab.update(LeadershipInput::Tick, late + ANSWER_MS), [LeadershipAction::Ask], "it has been answered");
}

#[test]
fn a_server_of_one_tab_per_connection_makes_everybody_connect_and_stay_connected() {
    let mut world = World::new();
    world.service = Service::Unable;
    let tabs: Vec<_> = (0..3).map(|_| world.open()).collect();
    let alone = |world: &World| tabs[1..].iter().all(|tab| world.tabs[tab].logic.stance() == Stance::Alone);
    assert!(alone(&world));
    world.give(tabs[0], LeadershipInput::Connection("0.1".into(), Service::Waiting));
    assert!(alone(&world), "the leader's lost connection is not theirs");
    world.give(tabs[0], LeadershipInput::Connection("0.2".into(), Service::Serving));
    assert_eq!(world.tabs[&tabs[1]].logic.stance(), Stance::Behind("0.2".into()), "the server learnt it");
}

#[test]
fn a_lost_connection_of_the_leader_is_told_and_a_new_one_has_another_term() {
    let mut world = World::new();
    let tabs: Vec<_> = (0..2).map(|_| world.open()).collect();
    world.give(tabs[0], LeadershipInput::Connection("0.1".into(), Service::Waiting));
    assert_eq!(world.tabs[&tabs[1]].logic.stance(), Stance::Waiting(Some(Service::Waiting)));
    world.give(tabs[0], LeadershipInput::Connection("0.2".into(), Service::Serving));
    assert_eq!(world.tabs[&tabs[1]].logic.stance(), Stance::Behind("0.2".into()));
}

#[test]
fn a_robbed_leader_that_answers_before_it_knows_is_not_believed() {
    let mut tab = Leadership::default();
    let _ = tab.update(LeadershipInput::Arrived, 0);
    let word = |term: &str, since| LeadershipInput::Heard(Word { term: term.into(), since, service: Service::Serving });
    let _ = tab.update(word("new", 9_000), 9_100);
    let _ = tab.update(word("old", 100), 9_200);
    let _ = tab.update(LeadershipInput::Resigned("old".into()), 9_201);
    assert_eq!(tab.stance(), Stance::Behind("new".into()));
}

/// Random worlds: whatever happens to the tabs, ten seconds of calm later one leads and all others are behind it.
#[test]
fn whatever_happens_one_leads_in_the_end() {
    for seed in 1..=300u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut draw = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut world = World::new();
        for _ in 0..60 {
            let live: Vec<_> = world.tabs.iter().filter(|(_, tab)| tab.page != Page::Gone).map(|(id, _)| *id).collect();
            let pick = if live.is_empty() { None } else { Some(live[draw(live.len() as u64) as usize]) };
            match (draw(9), pick) {
                (0, _) | (_, None) => {
                    world.open();
                }
                (1, Some(tab)) => world.crash(tab),
                (2 | 3, Some(tab)) => world.page(tab, Page::Hung),
                (4 | 5, Some(tab)) => world.page(tab, Page::Running),
                (6, Some(tab)) => world.give(tab, LeadershipInput::Left),
                (7, Some(tab)) => world.give(tab, LeadershipInput::Arrived),
                (_, Some(_)) => world.pass(draw(12_000)),
            }
        }
        for tab in world.tabs.values_mut().filter(|tab| tab.page == Page::Hung) {
            tab.page = Page::Running;
        }
        world.settle();
        world.pass(10_000);
        world.assert_settled();
    }
}
