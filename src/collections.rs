//! A map and a set in the order of their keys, and sorting.
//!
//! They decide nothing, and do what the standard library's B-trees do, at a fraction of the code: every kind of key and value is compiled
//! anew, and there are many. Entries lie in sorted runs of bounded length, so that one is found by two binary searches and an insertion
//! moves few others however many there are.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    ops::{Bound, Index},
    slice, vec,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest run.
const RUN: usize = 128;

/// Which run, and which entry of it.
type Place = (usize, usize);

/// Returns where what is compared is, or where it belongs: the same code for all kinds of entries.
#[inline(never)]
fn locate(runs: usize, entries: &dyn Fn(usize) -> usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Result<Place, Place> {
    let (mut run, mut end) = (0, runs);
    while run < end {
        let middle = usize::midpoint(run, end);
        match compare(middle, entries(middle) - 1) {
            Ordering::Less => run = middle + 1,
            Ordering::Equal => return Ok((middle, entries(middle) - 1)),
            Ordering::Greater => end = middle,
        }
    }
    let (mut at, mut end) = (0, entries(run));
    while at < end {
        let middle = usize::midpoint(at, end);
        match compare(run, middle) {
            Ordering::Less => at = middle + 1,
            Ordering::Equal => return Ok((run, middle)),
            Ordering::Greater => end = middle,
        }
    }
    Err((run, at))
}

/// Makes room for an entry where it belongs, and returns where that is then. Knows of entries only how large they are, so that the code is
/// shared by all that are of a size.
#[inline(never)]
fn make_room<T>(runs: &mut Vec<Vec<T>>, (run, at): Place) -> Place {
    let Some(entries) = runs.get_mut(run) else {
        if let Some(last) = runs.last().filter(|last| last.len() < RUN) {
            return (run - 1, last.len());
        }
        // Most maps never need a second run, nor that a second entry.
        runs.reserve_exact(1);
        runs.push(Vec::with_capacity(1));
        return (run, 0);
    };
    if entries.len() < RUN {
        return (run, at);
    }
    let upper = entries.split_off(RUN / 2);
    runs.insert(run + 1, upper);
    if at < RUN / 2 { (run, at) } else { (run + 1, at - RUN / 2) }
}

/// Joins a run that has become short with one beside it, or takes it out when nothing is left in it. Returns the empty run that is over: to
/// drop it takes code of its own for each kind of entry.
#[inline(never)]
fn thin_out<T>(runs: &mut Vec<Vec<T>>, run: usize) -> Option<Vec<T>> {
    let short = |run: usize| runs.get(run).is_some_and(|run| run.len() <= RUN / 4);
    if runs.get(run)?.is_empty() {
        return Some(runs.remove(run));
    }
    if !short(run) {
        return None;
    }
    let next = if short(run + 1) { run + 1 } else { run };
    if next == 0 || !short(next - 1) {
        return None;
    }
    let mut entries = runs.remove(next);
    runs[next - 1].append(&mut entries);
    Some(entries)
}

/// A map in the order of its keys.
#[derive(Clone)]
pub struct SortedMap<K, V> {
    /// None is empty, and none longer than [`RUN`].
    runs: Vec<Vec<(K, V)>>,
}

impl<K, V> SortedMap<K, V> {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self { runs: Vec::new() }
    }

    /// Returns whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Returns the number of entries; takes longer the more there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.iter().map(Vec::len).sum()
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.runs.clear();
    }

    /// Iterates over all entries.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter { runs: self.runs.iter(), entries: [].iter() }
    }

    /// Iterates over all entries, whose values may be changed.
    pub fn iter_mut(&mut self) -> IterMut<'_, K, V> {
        IterMut { runs: self.runs.iter_mut(), entries: [].iter_mut() }
    }

    /// Iterates over all keys.
    pub fn keys(&self) -> impl Iterator<Item = &K> + Clone {
        self.iter().map(|(key, _)| key)
    }

    /// Returns the last key.
    #[must_use]
    pub fn last_key(&self) -> Option<&K> {
        self.runs.last()?.last().map(|(key, _)| key)
    }

    /// Iterates over all values.
    pub fn values(&self) -> impl Iterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }

    /// Iterates over all values, which may be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.iter_mut().map(|(_, value)| value)
    }

    /// Iterates over all values and takes them.
    pub fn into_values(self) -> impl Iterator<Item = V> {
        self.into_iter().map(|(_, value)| value)
    }

    /// Keeps the entries for which `keep` returns true.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        for run in &mut self.runs {
            run.retain_mut(|(key, value)| keep(key, value));
        }
        self.runs.retain(|run| !run.is_empty());
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// Returns where a key is, or where it belongs.
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<Place, Place>
    where
        K: Borrow<Q>,
    {
        let keys = |run: usize| self.runs.get(run).map_or(0, Vec::len);
        locate(self.runs.len(), &keys, &|run, at| self.runs[run][at].0.borrow().cmp(key))
    }

    /// Adds an entry where it belongs, and returns where it is then.
    fn put(&mut self, place: Place, key: K, value: V) -> Place {
        let (run, at) = make_room(&mut self.runs, place);
        self.runs[run].insert(at, (key, value));
        (run, at)
    }

    fn take(&mut self, (run, at): Place) -> Option<(K, V)> {
        let taken = self.runs.get_mut(run)?.remove(at);
        drop(thin_out(&mut self.runs, run));
        Some(taken)
    }

    /// Sets the value of a key and returns the one it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok((run, at)) => Some(std::mem::replace(&mut self.runs[run][at].1, value)),
            Err(place) => {
                self.put(place, key, value);
                None
            }
        }
    }

    /// Removes a key and returns its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.find(key).ok()?;
        self.take(place).map(|(_, value)| value)
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (run, at) = self.find(key).ok()?;
        self.runs.get(run)?.get(at).map(|(_, value)| value)
    }

    /// Returns the value of a key, which may be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let (run, at) = self.find(key).ok()?;
        self.runs.get_mut(run)?.get_mut(at).map(|(_, value)| value)
    }

    /// Returns a key as it is kept, and its value.
    #[must_use]
    pub fn get_key_value<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let (run, at) = self.find(key).ok()?;
        self.runs.get(run)?.get(at).map(|(key, value)| (key, value))
    }

    /// Removes the first entry and returns it.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        self.take((0, 0))
    }

    /// Returns whether a key has a value.
    #[must_use]
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// Returns the place of a key, to fill it if it is empty.
    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        let place = self.find(&key);
        Entry { map: self, key, place }
    }

    /// Iterates over the entries from a key on.
    #[must_use]
    pub fn iter_from<Q: Ord + ?Sized>(&self, from: Bound<&Q>) -> Iter<'_, K, V>
    where
        K: Borrow<Q>,
    {
        let (run, at) = match from {
            Bound::Unbounded => return self.iter(),
            Bound::Included(key) => self.find(key).unwrap_or_else(|place| place),
            Bound::Excluded(key) => self.find(key).map_or_else(|place| place, |(run, at)| (run, at + 1)),
        };
        let mut runs = self.runs.get(run..).unwrap_or_default().iter();
        let entries = runs.next().and_then(|entries| entries.get(at..)).unwrap_or_default().iter();
        Iter { runs, entries }
    }
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SortedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for SortedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other)
    }
}

impl<K: Eq, V: Eq> Eq for SortedMap<K, V> {}

impl<K: Ord, V> Extend<(K, V)> for SortedMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for SortedMap<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K: Ord + Borrow<Q>, Q: Ord + ?Sized, V> Index<&Q> for SortedMap<K, V> {
    type Output = V;

    /// # Panics
    /// If the key has no value.
    fn index(&self, key: &Q) -> &V {
        #[expect(clippy::expect_used, reason = "what indexing is")]
        self.get(key).expect("the key has a value")
    }
}

impl<'a, K, V> IntoIterator for &'a SortedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}

impl<'a, K, V> IntoIterator for &'a mut SortedMap<K, V> {
    type Item = (&'a K, &'a mut V);
    type IntoIter = IterMut<'a, K, V>;

    fn into_iter(self) -> IterMut<'a, K, V> {
        self.iter_mut()
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = IntoIter<K, V>;

    fn into_iter(self) -> IntoIter<K, V> {
        IntoIter { runs: self.runs.into_iter(), entries: Vec::new().into_iter() }
    }
}

/// The place of a key in a map.
pub struct Entry<'a, K, V> {
    map: &'a mut SortedMap<K, V>,
    key: K,
    place: Result<Place, Place>,
}

impl<'a, K: Ord, V> Entry<'a, K, V> {
    /// Returns the value that is there, or else the one `make` makes.
    pub fn or_insert_with(self, make: impl FnOnce() -> V) -> &'a mut V {
        let (run, at) = match self.place {
            Ok(place) => place,
            Err(place) => self.map.put(place, self.key, make()),
        };
        &mut self.map.runs[run][at].1
    }

    /// Returns the value that is there, or else `value`.
    pub fn or_insert(self, value: V) -> &'a mut V {
        self.or_insert_with(|| value)
    }

    /// Returns the value that is there, or else the default one.
    pub fn or_default(self) -> &'a mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }
}

/// Iterates over the entries of a map.
pub struct Iter<'a, K, V> {
    runs: slice::Iter<'a, Vec<(K, V)>>,
    entries: slice::Iter<'a, (K, V)>,
}

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Self { runs: self.runs.clone(), entries: self.entries.clone() }
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.entries.next() {
                return Some((key, value));
            }
            self.entries = self.runs.next()?.iter();
        }
    }
}

/// Iterates over the entries of a map, whose values may be changed.
pub struct IterMut<'a, K, V> {
    runs: slice::IterMut<'a, Vec<(K, V)>>,
    entries: slice::IterMut<'a, (K, V)>,
}

impl<'a, K, V> Iterator for IterMut<'a, K, V> {
    type Item = (&'a K, &'a mut V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.entries.next() {
                return Some((key, value));
            }
            self.entries = self.runs.next()?.iter_mut();
        }
    }
}

/// Takes the entries of a map, one after the other.
pub struct IntoIter<K, V> {
    runs: vec::IntoIter<Vec<(K, V)>>,
    entries: vec::IntoIter<(K, V)>,
}

impl<K, V> Iterator for IntoIter<K, V> {
    type Item = (K, V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.entries.next() {
                return Some(entry);
            }
            self.entries = self.runs.next()?.into_iter();
        }
    }
}

/// A set in the order of its members.
#[derive(Clone, PartialEq, Eq)]
pub struct SortedSet<T>(SortedMap<T, ()>);

impl<T> SortedSet<T> {
    /// An empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self(SortedMap::new())
    }

    /// Returns whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of members; takes longer the more there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Iterates over all members.
    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.0.keys()
    }

    /// Returns the first member.
    #[must_use]
    pub fn first(&self) -> Option<&T> {
        self.iter().next()
    }

    /// Keeps the members for which `keep` returns true.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.0.retain(|member, ()| keep(member));
    }
}

impl<T: Ord> SortedSet<T> {
    /// Adds a member and returns whether it is new.
    pub fn insert(&mut self, member: T) -> bool {
        match self.0.find(&member) {
            Ok(_) => false,
            Err(place) => {
                self.0.put(place, member, ());
                true
            }
        }
    }

    /// Removes a member and returns whether it was there.
    pub fn remove<Q: Ord + ?Sized>(&mut self, member: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.remove(member).is_some()
    }

    /// Returns whether something is a member.
    #[must_use]
    pub fn contains<Q: Ord + ?Sized>(&self, member: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.contains_key(member)
    }

    /// Iterates over the members from one on.
    pub fn iter_from<Q: Ord + ?Sized>(&self, from: Bound<&Q>) -> impl Iterator<Item = &T>
    where
        T: Borrow<Q>,
    {
        self.0.iter_from(from).map(|(member, ())| member)
    }
}

impl<T> Default for SortedSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for SortedSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<T: Ord> Extend<T> for SortedSet<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, members: I) {
        for member in members {
            self.insert(member);
        }
    }
}

impl<'a, T: Ord + Copy + 'a> Extend<&'a T> for SortedSet<T> {
    fn extend<I: IntoIterator<Item = &'a T>>(&mut self, members: I) {
        self.extend(members.into_iter().copied());
    }
}

impl<T: Ord> FromIterator<T> for SortedSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(members: I) -> Self {
        let mut set = Self::new();
        set.extend(members);
        set
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for SortedSet<T> {
    fn from(members: [T; N]) -> Self {
        members.into_iter().collect()
    }
}

impl<'a, T> IntoIterator for &'a SortedSet<T> {
    type Item = &'a T;
    type IntoIter = std::iter::Map<Iter<'a, T, ()>, fn((&'a T, &'a ())) -> &'a T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|(member, ())| member)
    }
}

impl<T> IntoIterator for SortedSet<T> {
    type Item = T;
    type IntoIter = std::iter::Map<IntoIter<T, ()>, fn((T, ())) -> T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(member, ())| member)
    }
}

impl<T: Serialize> Serialize for SortedSet<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().collect::<Vec<_>>())
    }
}

impl<'de, T: Deserialize<'de> + Ord> Deserialize<'de> for SortedSet<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(|members| members.into_iter().collect())
    }
}

/// Sorts; what is equal stays in its order.
///
/// Slower than the standard library's, which is compiled anew for each kind of item and takes some thousand bytes each time.
pub fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let order = sorted_places(items.len(), &|a, b| compare(&items[a], &items[b]));
    arrange(order, &mut |a, b| items.swap(a, b));
}

/// The same by natural order.
pub fn sort<T: Ord>(items: &mut [T]) {
    sort_by(items, T::cmp);
}

/// The same by the order of keys.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(items, |a, b| key(a).cmp(&key(b)));
}

#[inline(never)]
fn sorted_places(items: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items).collect();
    order.sort_by(|a, b| compare(*a, *b));
    order
}

/// Brings to each place what the order has for it.
#[inline(never)]
fn arrange(mut order: Vec<usize>, swap: &mut dyn FnMut(usize, usize)) {
    for first in 0..order.len() {
        let mut at = first;
        while order[at] != first {
            let from = std::mem::replace(&mut order[at], at);
            swap(at, from);
            at = from;
        }
        order[at] = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_shrank_are_joined() {
        let mut map: SortedMap<_, _> = (0..10_000).map(|key| (key, ())).collect();
        assert_eq!(map.runs.len(), 10_000_usize.div_ceil(RUN));
        for key in (0..10_000).filter(|key| key % 100 != 0) {
            map.remove(&key);
        }
        assert_eq!(map.len(), 100);
        assert!(map.runs.len() <= 100 / (RUN / 8), "{} runs", map.runs.len());
    }

    #[test]
    fn sorting_keeps_what_is_equal_in_its_order() {
        let mut words: Vec<_> = "sorting keeps what is equal in its order".split(' ').map(str::to_owned).collect();
        let (mut natural, mut expected) = (words.clone(), words.clone());
        sort_by_key(&mut words, String::len);
        expected.sort_by_key(String::len);
        assert_eq!(words, expected);
        sort(&mut natural);
        expected.sort();
        assert_eq!(natural, expected);
    }

    #[test]
    fn a_set_keeps_its_bytes() {
        let set = SortedSet::from([3_u64, 1, 2, 3]);
        assert_eq!(postcard::to_allocvec(&set).unwrap(), [3, 1, 2, 3]);
        assert_eq!(postcard::from_bytes::<SortedSet<u64>>(&[3, 2, 1, 2]).unwrap(), SortedSet::from([1, 2]));
        assert_eq!(format!("{set:?}"), "{1, 2, 3}");
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod properties {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u16),
        Remove(u16),
        Entry(u16),
        Retain(u16),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // Few keys, so that most are met again; some worlds with more than several runs hold.
        prop_oneof![Just(40_u16), Just(2_000)].prop_flat_map(|keys| {
            let step = prop_oneof![
                8 => (0..keys).prop_map(Step::Insert),
                3 => (0..keys).prop_map(Step::Remove),
                2 => (0..keys).prop_map(Step::Entry),
                1 => (2..50_u16).prop_map(Step::Retain),
            ];
            (prop::collection::vec(step, 0..1_500), any::<bool>()).prop_map(move |(mut steps, filled)| {
                if filled {
                    steps.splice(0..0, (0..keys).map(Step::Insert));
                }
                steps
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_map_does_what_a_b_tree_does(steps in steps()) {
            let (mut map, mut model) = (SortedMap::new(), BTreeMap::new());
            for (at, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(key) => prop_assert_eq!(map.insert(key, at), model.insert(key, at)),
                    Step::Remove(key) => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                    Step::Entry(key) => {
                        *map.entry(key).or_default() += 1;
                        *model.entry(key).or_default() += 1;
                    }
                    Step::Retain(divisor) => {
                        map.retain(|key, _| key % divisor != 0);
                        model.retain(|key, _| key % divisor != 0);
                    }
                }
                prop_assert!(map.runs.iter().all(|run| (1..=RUN).contains(&run.len())));
            }
            prop_assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
            prop_assert!(map.iter().eq(&model));
            for key in 0..60 {
                prop_assert_eq!(map.get(&key), model.get(&key));
                prop_assert!(map.iter_from(Bound::Included(&key)).eq(model.range(key..)));
                prop_assert!(map.iter_from(Bound::Excluded(&key)).eq(model.range((Bound::Excluded(key), Bound::Unbounded))));
            }
            prop_assert!(map.iter_mut().map(|(key, value)| (*key, *value)).eq(model.clone()));
            prop_assert_eq!(map.clone(), model.clone().into_iter().collect::<SortedMap<_, _>>());
            prop_assert!(map.into_iter().eq(model));
        }
    }
}
