//! As much of Markdown as these tests need: fenced code, headings and links.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use crate::harness::repository;

/// A Markdown file of this repository.
pub(super) struct Page {
    /// From the root of the repository, with slashes.
    pub(super) path: String,
    /// Its fenced code, in order.
    pub(super) blocks: Vec<Block>,
    /// The targets of its links, with their lines.
    pub(super) links: Vec<(usize, String)>,
    /// What the part of a link behind `#` can name.
    pub(super) anchors: BTreeSet<String>,
}

/// Fenced code.
pub(super) struct Block {
    /// The line of the fence, from 1.
    pub(super) line: usize,
    /// What stands behind the fence: the language, and more.
    pub(super) info: String,
    /// What is between the fences.
    pub(super) text: String,
}

/// Every page that users and contributors read.
pub(super) fn pages() -> Vec<Page> {
    let root = repository();
    let mut paths = Vec::new();
    for directory in [".", ".github", "charts", "deploy", "docs", "testbed"] {
        let deep = directory != ".";
        collect(&root, &root.join(directory), deep, &mut paths);
    }
    paths.sort();
    assert!(paths.len() >= 15, "{paths:?}");
    let read =
        |path: &String| Page::parse(path, &std::fs::read_to_string(root.join(path)).unwrap());
    paths.iter().map(read).collect()
}

fn collect(root: &Path, directory: &Path, deep: bool, paths: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if deep {
                collect(root, &path, deep, paths);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let path = path.strip_prefix(root).unwrap_or(&path);
            paths.push(path.to_str().unwrap().trim_start_matches("./").to_owned());
        }
    }
}

impl Page {
    fn parse(path: &str, text: &str) -> Self {
        let mut page = Self {
            path: path.to_owned(),
            blocks: Vec::new(),
            links: Vec::new(),
            anchors: BTreeSet::new(),
        };
        let mut headings = HashMap::new();
        let mut open: Option<(&str, usize, Block)> = None;
        for (number, line) in text.lines().enumerate() {
            let trimmed = line.trim_start();
            let indent = line.len() - trimmed.len();
            match open.take() {
                Some((fence, _, block)) if trimmed.trim_end() == fence => page.blocks.push(block),
                Some((fence, indent, mut block)) => {
                    let cut = line.len() - line.trim_start().len();
                    block.text.push_str(&line[cut.min(indent)..]);
                    block.text.push('\n');
                    open = Some((fence, indent, block));
                }
                None => match fence(trimmed) {
                    Some((fence, info)) => {
                        let (line, info) = (number + 1, info.trim().to_owned());
                        open = Some((
                            fence,
                            indent,
                            Block {
                                line,
                                info,
                                text: String::new(),
                            },
                        ));
                    }
                    None => page.prose(number + 1, line, &mut headings),
                },
            }
        }
        assert!(open.is_none(), "{path}: a code block does not end");
        page
    }

    fn prose(&mut self, number: usize, line: &str, headings: &mut HashMap<String, usize>) {
        if line.starts_with('#') {
            let anchor = slug(line.trim_start_matches('#').trim());
            let seen = headings.entry(anchor.clone()).or_default();
            self.anchors.insert(if *seen == 0 {
                anchor
            } else {
                format!("{anchor}-{seen}")
            });
            *seen += 1;
        }
        let text = without_code(line);
        for (at, _) in text.match_indices("](") {
            if let Some((target, _)) = text[at + 2..].split_once(')') {
                self.links.push((number, target.trim().to_owned()));
            }
        }
    }
}

/// The fence that a line opens, and what stands behind it.
fn fence(line: &str) -> Option<(&str, &str)> {
    let length = line.len() - line.trim_start_matches('`').len();
    (length >= 3).then(|| line.split_at(length))
}

/// A line without what is in backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// The anchor of a heading, as GitHub makes it.
fn slug(heading: &str) -> String {
    let kept = |letter: char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    heading
        .to_lowercase()
        .chars()
        .filter(|letter| kept(*letter))
        .collect::<String>()
        .replace(' ', "-")
}

#[test]
fn fences_headings_and_links_are_found() {
    let text = "# A `b` (c)\n[x](y.md#z) `[not](one)`\n````yaml fragment\n```\n````\n## A b c\n";
    let page = Page::parse("page.md", text);
    assert_eq!(page.links, [(2, "y.md#z".to_owned())]);
    assert_eq!(page.anchors, ["a-b-c", "a-b-c-1"].map(str::to_owned).into());
    let [block] = page.blocks.as_slice() else {
        panic!("one block")
    };
    assert_eq!(
        (block.line, block.info.as_str(), block.text.as_str()),
        (3, "yaml fragment", "```\n")
    );
}
