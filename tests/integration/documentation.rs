//! The documentation tells the truth: every manifest in it works, and every link leads somewhere.
//!
//! A block of YAML is a manifest that a reader can apply as it stands, unless the fence says
//! ```` ```yaml fragment ````: part of something else, such as the values of a chart.

mod adoption;
mod foreign;
mod links;
mod manifests;
mod markdown;
mod outcome;
mod quick_start;
mod reader;
mod references;
mod troubleshooting;

use std::collections::BTreeSet;

use do_cluster_access_testbed::control_plane::Options;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, PatchParams};
use kube::runtime::wait::await_condition;
use serde_json::json;
use tokio::time::timeout;

use self::manifests::{Manifest, Resources};
use self::markdown::Page;
use self::reader::Reader;
use crate::harness::{OperatorProcess, PATIENCE, Rights, Stage, World, repository, unavailable};

/// Every page of the documentation, and every file of manifests that it offers.
struct Documentation {
    pages: Vec<Page>,
    examples: Vec<(String, Vec<Manifest>)>,
    installations: Vec<(String, Vec<Manifest>)>,
}

impl Documentation {
    fn read() -> Self {
        Self {
            pages: markdown::pages(),
            examples: manifests::examples(),
            installations: manifests::installations(),
        }
    }

    /// The manifests, by the page or file that shows them.
    fn sources(&self) -> Vec<(&str, Vec<Manifest>)> {
        let pages = self
            .pages
            .iter()
            .map(|page| (page.path.as_str(), manifests::of_page(page)));
        let examples = self
            .examples
            .iter()
            .chain(&self.installations)
            .map(|(path, manifests)| (path.as_str(), manifests.clone()));
        let sources = pages.chain(examples);
        sources
            .filter(|(_, manifests)| !manifests.is_empty())
            .collect()
    }
}

#[test]
fn every_relative_link_in_the_documentation_leads_somewhere() {
    let broken = links::broken(&markdown::pages());
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_page_of_the_documentation_can_be_reached_from_the_readme() {
    let pages = markdown::pages();
    let unreachable = links::unreachable(&pages, "README.md");
    assert!(unreachable.is_empty(), "{unreachable:#?}");
}

#[test]
fn every_block_of_yaml_is_complete_or_says_that_it_is_a_fragment() {
    let documentation = Documentation::read();
    let faults: Vec<String> = documentation
        .pages
        .iter()
        .flat_map(manifests::faults)
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_recipe_and_every_example_has_an_access() {
    let documentation = Documentation::read();
    let sources = documentation.sources();
    let with_access = |path: &str| {
        sources.iter().any(|(source, manifests)| {
            *source == path
                && manifests
                    .iter()
                    .any(|manifest| manifest.kind() == "DOClusterAccess")
        })
    };
    let recipes = documentation.pages.iter().map(|page| page.path.as_str());
    let recipes =
        recipes.filter(|path| path.starts_with("docs/recipes/") && !path.ends_with("README.md"));
    let examples = documentation.examples.iter().map(|(path, _)| path.as_str());
    let expected: Vec<_> = recipes.chain(examples).collect();
    assert!(expected.len() >= 17, "{expected:?}");
    for path in expected {
        assert!(with_access(path), "{path} has no DOClusterAccess");
    }
}

/// Applies what a reader would apply, in order, with the server's strict validation; lets the operator
/// serve the accesses; and looks in the Secrets for what the consumers' own manifests name.
#[tokio::test]
async fn every_manifest_in_the_documentation_works() {
    if unavailable() || foreign::unavailable() {
        return;
    }
    let documentation = Documentation::read();
    let world = World::start(Options::default()).await;
    let stage = Stage::with_rights(&world, Rights::everywhere).await;
    foreign::install(&stage.client).await;
    let resources = Resources::discover(&stage.client).await;
    let _operator = OperatorProcess::start_everywhere(&stage, &["--leader-elect=false"]).await;
    let sources = documentation.sources();
    let mut reader = Reader::new(&stage, &resources);
    for (_, manifests) in &sources {
        reader.provide_clusters(manifests);
    }

    let (mut kinds, mut references, mut adopted) = (BTreeSet::new(), 0, 0);
    for (_, manifests) in &sources {
        reader.provide_tokens(manifests).await;
        let to_adopt = reader.provide_secrets_to_adopt(manifests).await;
        adopted += to_adopt.len();
        for manifest in manifests {
            let created = resources
                .apply(manifest, &PatchParams::apply("reader"))
                .await;
            assert!(created.is_ok(), "{}: {created:?}", manifest.origin);
            if kinds.insert(manifest.kind_and_version()) {
                refuses_what_it_does_not_know(&resources, manifest).await;
            }
        }
        reader.accesses_become_ready(manifests).await;
        reader.adoption_kept_what_was_there(&to_adopt).await;
        references += reader.secrets_hold_what_consumers_name(manifests).await;
        references += reader.argo_cd_finds_its_clusters(manifests).await;
    }
    assert!(kinds.len() >= 20, "{kinds:#?}");
    assert!(adopted >= 1, "the recipe for Argo CD adopts a Secret");
    assert!(references >= 20, "{references} references to Secrets");
}

/// The pages whose commands a newcomer types.
const PAGES_TO_FOLLOW: [&str; 2] = ["README.md", "docs/quick-start.md"];

#[test]
fn every_command_of_the_quick_start_is_run_or_says_what_it_needs() {
    let pages = markdown::pages();
    let pages = pages
        .iter()
        .filter(|page| PAGES_TO_FOLLOW.contains(&page.path.as_str()));
    let faults: Vec<String> = pages.flat_map(quick_start::faults).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test]
async fn the_readme_can_be_followed() {
    let Some((run, compared)) = follow("README.md").await else {
        return;
    };
    assert!(run >= 3 && compared >= 1, "{run} run, {compared} compared");
}

#[tokio::test]
async fn the_quick_start_can_be_followed() {
    let Some((run, compared)) = follow("docs/quick-start.md").await else {
        return;
    };
    assert!(run >= 9 && compared >= 3, "{run} run, {compared} compared");
}

/// Types all that a page says, where nothing is installed yet. Returns how many blocks of commands there were, and how
/// many outputs.
async fn follow(path: &str) -> Option<(usize, usize)> {
    if unavailable() {
        return None;
    }
    let world = World::start(Options::default()).await;
    let stage = Stage::on(&world).await;
    let definitions: Api<CustomResourceDefinition> = Api::all(stage.client.clone());
    for name in [
        "doclusteraccesses.doclusteraccess.dev",
        "doaccounts.doclusteraccess.dev",
    ] {
        definitions
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
        let gone = await_condition(definitions.clone(), name, |found: Option<&_>| {
            found.is_none()
        });
        timeout(PATIENCE, gone).await.unwrap().unwrap();
    }
    stage.add_cluster(stage.cluster("prod-cluster-01"));
    let pages = markdown::pages();
    let page = pages.iter().find(|page| page.path == path).unwrap();
    Some(quick_start::follow(page, &world, &stage).await)
}

#[test]
fn troubleshooting_has_an_entry_for_every_reason() {
    let pages = markdown::pages();
    let faults = troubleshooting::faults(&pages);
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn configuration_speaks_of_every_flag() {
    let page = |path: &str| std::fs::read_to_string(repository().join(path)).unwrap();
    let (reference, configuration) = (
        page("docs/reference/command-line.md"),
        page("docs/configuration.md"),
    );
    let rows = reference.lines();
    let flags = rows.filter_map(|row| row.strip_prefix("| `--")?.split([' ', '`']).next());
    let flags: Vec<&str> = flags.collect();
    assert!(flags.len() >= 10, "{flags:?}");
    for flag in flags {
        let row = format!("| `--{flag}` |");
        assert!(configuration.contains(&row), "no row {row}");
    }
}

/// A kind whose schema takes anything would let every mistake pass.
async fn refuses_what_it_does_not_know(resources: &Resources, manifest: &Manifest) {
    let mut misspelt = manifest.clone();
    let object = misspelt.value.as_object_mut().unwrap();
    let place = if object.contains_key("spec") {
        "spec"
    } else {
        "metadata"
    };
    object[place]["misspelt"] = json!("field");
    let parameters = PatchParams {
        dry_run: true,
        ..PatchParams::apply("reader")
    };
    let refused = resources.apply(&misspelt, &parameters).await;
    let refused = refused.err().unwrap_or_else(|| "accepted".to_owned());
    assert!(
        refused.contains("misspelt"),
        "{}: {refused}",
        manifest.origin
    );
}
