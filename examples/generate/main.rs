//! Writes what is generated from the operator's own types: `crds/` and `docs/reference/`. Run by `make generate`,
//! from the root of the repository.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "what it is given is compiled in: a surprise is a mistake of the programmer's"
)]

mod command_line;
mod custom_resource;
mod field;
mod markdown;
mod metrics;
mod reasons;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use do_cluster_access::api::custom_resource_definitions;

fn main() -> io::Result<()> {
    write_directory(Path::new("crds"), &definitions()?)?;
    write_directory(Path::new("docs/reference"), &reference())
}

/// Names and contents of the files in `crds/`: just what `do-cluster-access crd` prints, a file each.
fn definitions() -> io::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for definition in custom_resource_definitions() {
        let yaml = serde_saphyr::to_string(&definition).map_err(io::Error::other)?;
        let name = format!("{}.yaml", definition.spec.names.plural);
        files.insert(name, format!("---\n{yaml}"));
    }
    Ok(files)
}

/// Names and contents of the files in `docs/reference/`.
fn reference() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    for definition in custom_resource_definitions() {
        let name = format!("{}.md", definition.spec.names.kind.to_lowercase());
        pages.insert(name, custom_resource::page(&definition));
    }
    pages.insert("reasons.md".to_owned(), reasons::page());
    pages.insert("command-line.md".to_owned(), command_line::page());
    pages.insert("metrics.md".to_owned(), metrics::page());
    let index = index(&pages);
    pages.insert("README.md".to_owned(), index);
    pages
}

/// The page that links to every other one, by its title.
fn index(pages: &BTreeMap<String, String>) -> String {
    let link = |(name, page): (&String, &String)| {
        let title = page.lines().next().and_then(|line| line.strip_prefix("# "));
        format!("[{}]({name})", title.expect("a title"))
    };
    let links = markdown::points(pages.iter().map(link));
    markdown::page("Reference", "the operator itself", &[links])
}

/// Makes a directory hold these files and no others. One that is right is not touched, so that what is made from it is
/// not made again.
fn write_directory(directory: &Path, files: &BTreeMap<String, String>) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let wanted: Vec<PathBuf> = files.keys().map(|name| directory.join(name)).collect();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if !wanted.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    for (path, content) in wanted.iter().zip(files.values()) {
        if fs::read_to_string(path).ok().as_ref() != Some(content) {
            fs::write(path, content)?;
        }
    }
    Ok(())
}
