//! Text events in UTF-16 units.
//!
//! The engine counts unicode scalars; JavaScript counts UTF-16 units. They differ only after characters beyond the basic plane, so
//! an index of those is all it takes. A deletion carries no text: the index tells how many of them it took.

use std::{collections::HashMap, hash::Hash};

/// One step of a text change, in whatever unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextStep {
    /// Leaves this much as it is.
    Retain(usize),
    /// Inserts.
    Insert(String),
    /// Removes this much.
    Delete(usize),
}

/// Positions, in scalars, of the characters of a text that take two UTF-16 units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AstralIndex(Vec<usize>);

impl AstralIndex {
    /// Indexes a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(text.chars().enumerate().filter(|(_, char)| char.len_utf16() == 2).map(|(at, _)| at).collect())
    }

    /// Returns whether both units agree everywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn count(&self, from: usize, to: usize) -> usize {
        self.0.partition_point(|at| *at < to) - self.0.partition_point(|at| *at < from)
    }

    /// Converts a change of the indexed text to UTF-16 units.
    #[must_use]
    pub fn convert(&self, steps: &[TextStep]) -> Vec<TextStep> {
        let mut at = 0;
        steps
            .iter()
            .map(|step| match step {
                TextStep::Retain(length) => {
                    at += length;
                    TextStep::Retain(length + self.count(at - length, at))
                }
                TextStep::Delete(length) => {
                    at += length;
                    TextStep::Delete(length + self.count(at - length, at))
                }
                TextStep::Insert(text) => TextStep::Insert(text.clone()),
            })
            .collect()
    }

    /// Follows a change, given in scalars.
    pub fn apply(&mut self, steps: &[TextStep]) {
        let inserts_astral =
            steps.iter().any(|step| matches!(step, TextStep::Insert(text) if text.chars().any(|char| char.len_utf16() == 2)));
        if self.0.is_empty() && !inserts_astral {
            return;
        }
        let mut after = Vec::with_capacity(self.0.len());
        let (mut old, mut new) = (0, 0);
        let mut rest = self.0.as_slice();
        let mut take = |until: usize| {
            let (taken, left) = rest.split_at(rest.partition_point(|at| *at < until));
            rest = left;
            taken
        };
        for step in steps {
            match step {
                TextStep::Retain(length) => {
                    after.extend(take(old + length).iter().map(|at| at - old + new));
                    old += length;
                    new += length;
                }
                TextStep::Delete(length) => {
                    take(old + length);
                    old += length;
                }
                TextStep::Insert(text) => {
                    after.extend(Self::of(text).0.into_iter().map(|at| at + new));
                    new += text.chars().count();
                }
            }
        }
        after.extend(take(usize::MAX).iter().map(|at| at - old + new));
        self.0 = after;
    }
}

/// The indexes of a document's texts; a text that is not in it has no such character.
#[derive(Debug, Clone, Default)]
pub struct TextIndexes<K: Hash + Eq>(HashMap<K, AstralIndex>);

impl<K: Hash + Eq + Clone> TextIndexes<K> {
    /// Makes an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self(HashMap::new())
    }

    /// Takes a text as it is now.
    pub fn insert(&mut self, key: K, text: &str) {
        let index = AstralIndex::of(text);
        if !index.is_empty() {
            self.0.insert(key, index);
        }
    }

    /// Converts a change of a text to UTF-16 units.
    #[must_use]
    pub fn convert(&self, key: &K, steps: Vec<TextStep>) -> Vec<TextStep> {
        match self.0.get(key) {
            None => steps,
            Some(index) => index.convert(&steps),
        }
    }

    /// Follows a change of a text, given in scalars.
    pub fn apply(&mut self, key: &K, steps: &[TextStep]) {
        let mut index = self.0.remove(key).unwrap_or_default();
        index.apply(steps);
        if !index.is_empty() {
            self.0.insert(key.clone(), index);
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A text as JavaScript keeps it.
    fn apply_utf16(text: &[u16], steps: &[TextStep]) -> Vec<u16> {
        let (mut out, mut at) = (Vec::new(), 0);
        for step in steps {
            match step {
                TextStep::Retain(length) => {
                    out.extend_from_slice(&text[at..at + length]);
                    at += length;
                }
                TextStep::Delete(length) => at += length,
                TextStep::Insert(inserted) => out.extend(inserted.encode_utf16()),
            }
        }
        out.extend_from_slice(&text[at..]);
        out
    }

    fn apply_scalars(text: &str, steps: &[TextStep]) -> String {
        let chars: Vec<char> = text.chars().collect();
        let (mut out, mut at) = (String::new(), 0);
        for step in steps {
            match step {
                TextStep::Retain(length) => {
                    out.extend(&chars[at..at + length]);
                    at += length;
                }
                TextStep::Delete(length) => at += length,
                TextStep::Insert(inserted) => out.push_str(inserted),
            }
        }
        out.extend(&chars[at..]);
        out
    }

    fn text() -> impl Strategy<Value = String> {
        proptest::collection::vec(prop_oneof![Just('a'), Just('é'), Just('文'), Just('😀'), Just('🦜')], 0..12).prop_map(String::from_iter)
    }

    fn fit(raw: Vec<(u8, usize, String)>, length: usize) -> Vec<TextStep> {
        let mut left = length;
        raw.into_iter()
            .filter_map(|(kind, size, inserted)| {
                let size = size.min(left);
                match kind % 3 {
                    0 if size > 0 => {
                        left -= size;
                        Some(TextStep::Retain(size))
                    }
                    1 if size > 0 => {
                        left -= size;
                        Some(TextStep::Delete(size))
                    }
                    2 => Some(TextStep::Insert(inserted)),
                    _ => None,
                }
            })
            .collect()
    }

    proptest! {
        #[test]
        fn converted_changes_do_to_utf16_what_the_originals_do_to_scalars(
            start in text(),
            changes in proptest::collection::vec(proptest::collection::vec((any::<u8>(), 0usize..6, text()), 0..6), 1..6),
        ) {
            let mut indexes = TextIndexes::new();
            indexes.insert(0, &start);
            let mut scalars = start.clone();
            let mut units: Vec<u16> = start.encode_utf16().collect();
            for raw in changes {
                let steps = fit(raw, scalars.chars().count());
                units = apply_utf16(&units, &indexes.convert(&0, steps.clone()));
                indexes.apply(&0, &steps);
                scalars = apply_scalars(&scalars, &steps);
                prop_assert_eq!(String::from_utf16(&units).unwrap(), scalars.clone());
                prop_assert_eq!(indexes.0.get(&0).cloned().unwrap_or_default(), AstralIndex::of(&scalars));
            }
        }
    }

    #[test]
    fn a_text_without_such_characters_has_no_index() {
        let mut indexes = TextIndexes::new();
        indexes.insert(0, "plain");
        indexes.apply(&0, &[TextStep::Retain(2), TextStep::Insert("é".into())]);
        assert!(indexes.0.is_empty());
    }
}
