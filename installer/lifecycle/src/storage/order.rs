//! Puts rows in order, and finds them by name. The same code for all kinds of rows, since each kind that
//! sorts for itself adds to the size of the program.

use std::collections::BTreeMap;

/// The rows by their keys; those of the same key stay as they were.
pub(super) fn by<T>(rows: Vec<T>, key: impl Fn(&T) -> String) -> Vec<T> {
    let mut keys: Vec<(String, usize)> = rows.iter().map(key).zip(0..).collect();
    keys.sort_unstable();
    let mut rows: Vec<Option<T>> = rows.into_iter().map(Some).collect();
    keys.iter().filter_map(|(_, at)| rows[*at].take()).collect()
}

/// Where in a list what has a name is.
#[derive(Debug, Default)]
pub(super) struct Index(BTreeMap<String, usize>);

impl Index {
    /// Of names in the order of the list.
    pub fn of(names: impl Iterator<Item = String>) -> Self {
        let mut index = Self::default();
        for (at, name) in names.enumerate() {
            index.0.insert(name, at);
        }
        index
    }

    /// What has that name.
    pub fn find<'a, T>(&self, list: &'a [T], name: &str) -> Option<&'a T> {
        list.get(*self.0.get(name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_same_key_stay_as_they_were() {
        let rows = vec![("b", 1), ("a", 2), ("b", 3), ("a", 4)];
        let ordered = by(rows, |(name, _)| (*name).to_owned());
        assert_eq!(ordered, [("a", 2), ("a", 4), ("b", 1), ("b", 3)]);
        let index = Index::of(ordered.iter().map(|(name, _)| (*name).to_owned()));
        assert_eq!(index.find(&ordered, "b"), Some(&("b", 3)));
        assert_eq!(index.find(&ordered, "c"), None);
    }
}
