//! Labels and annotations as they are kept of thousands of Secrets.

use std::collections::BTreeMap;

/// Names and their values, sorted. Of a few, a map takes several times the memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(Box<[(Box<str>, Box<str>)]>);

impl Pairs {
    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let index = self.0.binary_search_by(|(known, _)| (**known).cmp(name));
        index.ok().map(|index| &*self.0[index].1)
    }

    /// All of them as a map.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, String> {
        let pairs = self.0.iter();
        pairs
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }
}

impl FromIterator<(String, String)> for Pairs {
    /// Of several values of a name the last counts.
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Self {
        let sorted: BTreeMap<_, _> = pairs.into_iter().collect();
        let pairs = sorted.into_iter();
        Self(
            pairs
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out(map: BTreeMap<String, String>, other: String) {
            let pairs: Pairs = map.clone().into_iter().collect();
            prop_assert_eq!(&pairs.to_map(), &map);
            for name in map.keys().chain([&other]) {
                prop_assert_eq!(pairs.get(name), map.get(name).map(String::as_str));
            }
        }
    }
}
