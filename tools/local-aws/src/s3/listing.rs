//! Listing keys in order: prefixes, delimiters, pages.

use std::collections::BTreeMap;
use std::ops::Bound;

#[derive(Debug, Clone, Default)]
pub(crate) struct Listing<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) delimiter: Option<&'a str>,
    /// The listing begins after this key, or after all keys under this common prefix.
    pub(crate) after: &'a str,
    pub(crate) most: usize,
}

/// One page of a listing.
#[derive(Debug, PartialEq)]
pub(crate) struct Page<'a, T> {
    pub(crate) entries: Vec<(&'a str, &'a T)>,
    pub(crate) common_prefixes: Vec<String>,
    /// Where the next page goes on, if there is one.
    pub(crate) next: Option<String>,
}

impl Listing<'_> {
    /// Lists a page. A common prefix counts like a key, and stands among them in order.
    pub(crate) fn page<'a, T>(&self, keys: &'a BTreeMap<String, T>) -> Page<'a, T> {
        let mut page = Page {
            entries: Vec::new(),
            common_prefixes: Vec::new(),
            next: None,
        };
        if self.most == 0 {
            return page;
        }
        let mut last = String::new();
        let mut from = if self.after < self.prefix {
            Bound::Included(self.prefix.to_owned())
        } else {
            Bound::Excluded(self.after.to_owned())
        };
        'ranges: loop {
            for (key, value) in keys.range((from.clone(), Bound::Unbounded)) {
                let Some(rest) = key.strip_prefix(self.prefix) else {
                    break 'ranges;
                };
                let common = self.delimiter.and_then(|delimiter| {
                    let end = rest.find(delimiter)? + delimiter.len();
                    Some(&key[..self.prefix.len() + end])
                });
                // The common prefix is in the page before, or was just listed: skip it.
                let known = |common: &&str| {
                    *common == self.after
                        || page.common_prefixes.last().is_some_and(|l| l == *common)
                };
                let skipped = common.filter(known);
                if skipped.is_none() {
                    if page.entries.len() + page.common_prefixes.len() == self.most {
                        page.next = Some(last);
                        break 'ranges;
                    }
                    last = common.unwrap_or(key).to_owned();
                    match common {
                        None => page.entries.push((key, value)),
                        Some(common) => page.common_prefixes.push(common.to_owned()),
                    }
                }
                // Jump over the keys under the prefix instead of walking through them.
                if let Some(common) = common {
                    match successor(common) {
                        Some(next) => from = Bound::Included(next),
                        None => from = Bound::Excluded(key.clone()),
                    }
                    continue 'ranges;
                }
            }
            break;
        }
        page
    }
}

/// The first text after all that start with `prefix`: its last character, one further.
fn successor(prefix: &str) -> Option<String> {
    let last = prefix.chars().next_back()?;
    let next = match last {
        '\u{D7FF}' => '\u{E000}',
        last => char::from_u32(u32::from(last) + 1)?,
    };
    let mut text = prefix[..prefix.len() - last.len_utf8()].to_owned();
    text.push(next);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> BTreeMap<String, ()> {
        names.iter().map(|name| ((*name).to_owned(), ())).collect()
    }

    /// All pages' entries and common prefixes, in order.
    fn walk(
        keys: &BTreeMap<String, ()>,
        prefix: &str,
        delimiter: &str,
        most: usize,
    ) -> Vec<String> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let listing = Listing {
                prefix,
                delimiter: Some(delimiter),
                after: &after,
                most,
            };
            let page = listing.page(keys);
            let mut names: Vec<_> = page
                .entries
                .iter()
                .map(|(key, ())| (*key).to_owned())
                .collect();
            names.extend(page.common_prefixes.clone());
            names.sort();
            assert!(names.len() <= most);
            all.extend(names);
            match page.next {
                Some(next) => after = next,
                None => return all,
            }
        }
    }

    #[test]
    fn pages_of_any_size_list_every_key_and_common_prefix_once() {
        let keys = keys(&[
            "a",
            "b/1",
            "b/2",
            "b/2/x",
            "b0",
            "c/",
            "c/1",
            "d",
            "e/1/2",
            "é/1",
            "\u{10FFFF}/1",
        ]);
        let expected = ["a", "b/", "b0", "c/", "d", "e/", "é/", "\u{10FFFF}/"];
        for most in 1..=12 {
            assert_eq!(walk(&keys, "", "/", most), expected, "pages of {most}");
        }
        for most in 1..=4 {
            assert_eq!(walk(&keys, "b/", "/", most), ["b/1", "b/2", "b/2/"]);
            assert_eq!(walk(&keys, "c/", "/", most), ["c/", "c/1"]);
        }
    }

    #[test]
    fn the_last_page_has_no_successor_even_when_it_is_full() {
        let keys = keys(&["a/1", "a/2", "b/1"]);
        let listing = Listing {
            delimiter: Some("/"),
            most: 2,
            ..Listing::default()
        };
        assert_eq!(listing.page(&keys).next, None);
    }

    #[test]
    fn many_keys_are_listed_in_pages_of_a_thousand_from_any_key_on() {
        let names: Vec<String> = (0..100_000).map(|n| format!("raw/part-{n:06}")).collect();
        let keys: BTreeMap<String, ()> = names.iter().map(|name| (name.clone(), ())).collect();
        let mut after = names[40_499].clone();
        let mut listed = Vec::new();
        loop {
            let listing = Listing {
                prefix: "raw/",
                after: &after,
                most: 1000,
                ..Listing::default()
            };
            let page = listing.page(&keys);
            assert!(page.entries.len() == 1000 || page.next.is_none());
            listed.extend(page.entries.iter().map(|(key, ())| (*key).to_owned()));
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!(listed, names[40_500..]);
    }
}
