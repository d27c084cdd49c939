//! The API server model answers as the real API server does.
//!
//! The simulation runs the operator against a model of the API server in memory; what it proves is worth
//! as much as the model is right. So every case here puts the same requests to both and compares the
//! answers, status codes and bodies whole: error sentences and `managedFields` included. What differs from
//! run to run, UIDs and versions, is numbered as it is first seen.

mod apply;
mod create;
mod delete;
mod garbage;
mod list;
mod normal;
mod paths;
mod sequences;
mod status;
mod subject;
mod update;
mod watch;

use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream;

use do_cluster_access_testbed::control_plane::Options;

use self::subject::{Exchange, Subject};
use crate::harness::{World, unavailable};

/// A case: requests to make.
struct Case {
    name: &'static str,
    run: for<'a> fn(&'a mut Subject) -> BoxFuture<'a, ()>,
}

/// The cases of a module: asynchronous functions that take a [`Subject`].
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(super) const CASES: &[super::Case] = &[$(super::Case {
            name: concat!(module_path!(), "::", stringify!($name)),
            run: |subject| Box::pin($name(subject)),
        }),*];
    };
}
use cases;

/// How many cases are put to the real API server at a time.
const AT_ONCE: usize = 8;

fn all() -> Vec<&'static Case> {
    let modules = [
        create::CASES,
        apply::CASES,
        status::CASES,
        update::CASES,
        delete::CASES,
        list::CASES,
        watch::CASES,
        garbage::CASES,
    ];
    let chosen = std::env::var("CASE").unwrap_or_default();
    let cases = modules.into_iter().flatten();
    cases.filter(|case| case.name.contains(&chosen)).collect()
}

#[tokio::test]
async fn the_api_server_model_answers_every_case_as_the_real_api_server_does() {
    if unavailable() {
        return;
    }
    // A world of its own: where hundreds of other tests leave namespaces to be removed, the one that a case
    // waits for has to wait its turn.
    let world = Arc::new(World::start(Options::default()).await);
    let cases = all();
    let results: Vec<_> = stream::iter(&cases)
        .map(|case| compare(&world, case))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let different: Vec<_> = results.into_iter().flatten().collect();
    assert!(
        different.is_empty(),
        "{} of {} cases differ:\n{}",
        different.len(),
        cases.len(),
        different.join("\n")
    );
}

#[test]
fn there_are_enough_cases_and_each_has_a_name_of_its_own() {
    let mut names: Vec<_> = all().iter().map(|case| case.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count >= 60 || std::env::var("CASE").is_ok(), "{count}");
}

/// Puts a case to both, and says where they differ.
async fn compare(world: &Arc<World>, case: &'static Case) -> Option<String> {
    let mut subject = Subject::real(world).await;
    (case.run)(&mut subject).await;
    let real = subject.finish().await;
    let model = subject::by_model(|mut subject| async move {
        (case.run)(&mut subject).await;
        subject.finish().await
    });
    subject::first_difference(&real, &model)
        .map(|difference| format!("--- {}\n{difference}", case.name))
}

/// What a case came to.
type Record = Vec<Exchange>;
