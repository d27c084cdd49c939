//! Links from page to page.

use std::collections::BTreeSet;

use super::markdown::Page;
use crate::harness::repository;

/// Relative links to what is not there, a line for each.
pub(super) fn broken(pages: &[Page]) -> Vec<String> {
    let mut broken = Vec::new();
    for page in pages {
        for (line, link) in page.links.iter().filter(|(_, link)| is_relative(link)) {
            let (path, anchor) = target(page, link);
            let found = match pages.iter().find(|page| page.path == path) {
                Some(page) => anchor.is_none_or(|anchor| page.anchors.contains(anchor)),
                None => anchor.is_none() && repository().join(&path).exists(),
            };
            if !found {
                broken.push(format!("{}:{line}: {link}", page.path));
            }
        }
    }
    broken
}

/// Pages of the documentation that no chain of links leads to from `start`.
pub(super) fn unreachable<'a>(pages: &'a [Page], start: &'a str) -> Vec<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start.to_owned()];
    while let Some(path) = open.pop() {
        let Some(page) = pages.iter().find(|page| page.path == path) else {
            continue;
        };
        if reached.insert(page.path.as_str()) {
            let links = page.links.iter().filter(|(_, link)| is_relative(link));
            open.extend(links.map(|(_, link)| target(page, link).0));
        }
    }
    let paths = pages.iter().map(|page| page.path.as_str());
    let documentation = |path: &&str| path.starts_with("docs/") || path.starts_with("deploy/");
    paths
        .filter(documentation)
        .filter(|path| !reached.contains(path))
        .collect()
}

fn is_relative(link: &str) -> bool {
    !link.contains("://") && !link.starts_with("mailto:")
}

/// The path, from the root of the repository, and the anchor that a link on `page` leads to.
fn target<'a>(page: &Page, link: &'a str) -> (String, Option<&'a str>) {
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (link, None),
    };
    if path.is_empty() {
        return (page.path.clone(), anchor);
    }
    let mut parts: Vec<&str> = page.path.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    (parts.join("/"), anchor)
}
