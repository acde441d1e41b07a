use proptest::{collection::vec, prelude::*};

use super::*;

fn writer(device: u64, number: u32) -> Writer {
    Writer { device: Device(device), number }
}

#[test]
fn a_stamp_is_milliseconds_and_a_counter() {
    let stamp = Stamp(Stamp::at(1_800_000_000_000).0 + 7);
    assert_eq!((stamp.ms(), stamp.counter()), (1_800_000_000_000, 7));
    assert_eq!(Stamp::at(u64::MAX), Stamp::at((1 << 48) - 1));
}

#[test]
fn a_full_millisecond_goes_on_in_the_next() {
    let mut clock = HybridClock::new(writer(1, 1), Stamp(Stamp::at(5).0 | 0xffff));
    assert_eq!(clock.mint(5).map(|clock| (clock.stamp.ms(), clock.stamp.counter())), Some((6, 0)));
    assert_eq!(clock.mint(9).map(|clock| clock.stamp), Some(Stamp::at(9)));
}

#[test]
fn the_end_of_time_is_said_and_not_wrapped() {
    let mut clock = HybridClock::new(writer(1, 1), Stamp(u64::MAX - 1));
    assert_eq!(clock.mint(0).map(|clock| clock.stamp), Some(Stamp(u64::MAX)));
    assert_eq!(clock.mint(u64::MAX), None);
}

#[test]
fn a_stamp_too_far_ahead_is_refused_and_changes_nothing() {
    let mut clock = HybridClock::new(writer(1, 1), Stamp::default());
    assert_eq!(clock.observe(Stamp::at(1_501), 1_000, 500), Err(TooFarAhead { ahead_ms: 501, max_ms: 500 }));
    assert_eq!(clock.last(), Stamp::default());
    assert_eq!(clock.observe(Stamp::at(1_500), 1_000, 500), Ok(()));
    assert!(clock.mint(1_000).is_some_and(|clock| clock.stamp > Stamp::at(1_500)));
}

#[test]
fn clocks_of_one_stamp_are_ordered_by_device_and_writer() {
    let clock = |stamp, device, number| Clock { stamp: Stamp(stamp), writer: writer(device, number) };
    let mut clocks = [clock(2, 1, 1), clock(1, 2, 1), clock(1, 1, 2), clock(1, 1, 1)];
    clocks.sort_unstable();
    assert_eq!(clocks, [clock(1, 1, 1), clock(1, 1, 2), clock(1, 2, 1), clock(2, 1, 1)]);
}

/// What happens to one of a few devices, whose times are anything.
#[derive(Debug, Clone)]
enum Step {
    Mint { at: usize, now: u64 },
    Tell { from: usize, to: usize, now: u64 },
    Restart { at: usize },
}

fn step() -> impl Strategy<Value = Step> {
    // Near one another, so that they meet, and anywhere.
    let now = || prop_oneof![1_000u64..1_010, 0u64..2_000_000, any::<u64>()];
    prop_oneof![
        (0usize..3, now()).prop_map(|(at, now)| Step::Mint { at, now }),
        (0usize..3, 0usize..3, now()).prop_map(|(from, to, now)| Step::Tell { from, to, now }),
        (0usize..3).prop_map(|at| Step::Restart { at }),
    ]
}

proptest! {
    #[test]
    fn what_happened_before_is_earlier(steps in vec(step(), 1..200)) {
        const DRIFT: u64 = 60_000;
        // Two writers of one device, and another device.
        let writers = [writer(1, 1), writer(1, 2), writer(2, 1)];
        let mut clocks = writers.map(|writer| HybridClock::new(writer, Stamp::default()));
        // For each, the latest clock that happened before whatever it does next.
        let mut before: [Option<Clock>; 3] = [None; 3];
        let mut minted = crate::collections::SortedSet::new();
        for step in steps {
            match step {
                Step::Mint { at, now } => {
                    let Some(clock) = clocks[at].mint(now) else { continue };
                    prop_assert!(before[at].is_none_or(|earlier| earlier < clock), "{earlier:?} {clock:?}", earlier = before[at]);
                    prop_assert!(minted.insert(clock), "{clock:?} was minted twice");
                    before[at] = Some(clock);
                }
                Step::Tell { from, to, now } => {
                    let Some(told) = before[from] else { continue };
                    let last = clocks[to].last();
                    match clocks[to].observe(told.stamp, now, DRIFT) {
                        Ok(()) => before[to] = before[to].max(Some(told)),
                        Err(refused) => {
                            prop_assert!(told.stamp.ms() - now > DRIFT && refused.ahead_ms > DRIFT);
                            prop_assert_eq!(clocks[to].last(), last);
                        }
                    }
                }
                Step::Restart { at } => clocks[at] = HybridClock::new(clocks[at].writer(), clocks[at].last()),
            }
        }
    }

    #[test]
    fn a_right_time_is_followed_to_the_millisecond(times in vec(1_000u64..2_000_000, 1..100)) {
        let mut clock = HybridClock::new(writer(1, 1), Stamp::default());
        let mut latest = 0;
        for now in times {
            let Some(minted) = clock.mint(now) else { return Err(TestCaseError::fail("there is time enough")) };
            latest = latest.max(now);
            prop_assert_eq!(minted.stamp.ms(), latest);
        }
    }
}
