use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use super::answers::{Given, check_clusters, check_credentials, check_headers, check_kubeconfig};
use super::mutation::{plan, poisoned, restructured, rewritten};
use super::{kubeconfig, resources, secrets, seeds};

type Seeds = LazyLock<Vec<Vec<u8>>>;

static KUBECONFIGS: Seeds = Seeds::new(seeds::kubeconfigs);
static CREDENTIALS: Seeds = Seeds::new(seeds::credentials);
static CLUSTERS: Seeds = Seeds::new(seeds::clusters);
static RESPONSES: Seeds = Seeds::new(seeds::responses);
static RESOURCES: Seeds = Seeds::new(seeds::resources);
static SECRETS: Seeds = Seeds::new(seeds::secrets);

/// How many of the seeds are accepted, and of how many.
fn accepted(seeds: &[Vec<u8>], check: impl Fn(&[u8]) -> bool) -> (usize, usize) {
    let accepted = seeds.iter().filter(|seed| check(seed)).count();
    (accepted, seeds.len())
}

fn check_text(bytes: &[u8]) -> bool {
    kubeconfig::check(&String::from_utf8_lossy(bytes))
}

#[test]
fn of_the_seeds_some_are_accepted_and_some_are_not() {
    let counts = [
        accepted(&KUBECONFIGS, check_text),
        accepted(&CREDENTIALS, |body| check_credentials(&Given::body(body))),
        accepted(&CLUSTERS, |body| check_clusters(&Given::body(body))),
        accepted(&RESPONSES, |bytes| check_headers(&Given::parse(bytes))),
        accepted(&RESOURCES, resources::check),
        accepted(&SECRETS, secrets::check),
    ];
    assert_eq!(
        counts,
        [(10, 41), (9, 26), (9, 30), (61, 61), (3, 4), (6, 6)]
    );
}

#[test]
fn a_kubeconfig_with_one_more_field_is_sound_or_refused_whatever_its_value() {
    let honest: Value = serde_saphyr::from_slice(&KUBECONFIGS[0]).expect("YAML");
    let mut counts = [0, 0];
    for poisoned in poisoned(&honest) {
        let accepted = check_text(poisoned.to_string().as_bytes());
        counts[usize::from(accepted)] += 1;
    }
    assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
}

#[test]
fn whatever_two_headers_say_nobody_waits_for_ever_or_not_at_all() {
    let values = [
        "",
        "0",
        "00",
        "1",
        "-1",
        "+3",
        "3600",
        "3601",
        "1.5",
        "1e3",
        "4294967296",
        "9223372036854775807",
        "-9223372036854775808",
        "99999999999999999999999",
        "1795341600",
        "soon",
        "29, 30",
        "\u{a0}29",
        "Sun, 22 Nov 2026 09:00:00 GMT",
        "Sun, 22 Nov 2026 08:59:59 GMT",
        "Sun, 22 Nov 2026 10:30:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:60 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
    ];
    let mut understood = 0;
    for (one, other) in [
        ("retry-after", "date"),
        ("ratelimit-reset", "ratelimit-remaining"),
    ] {
        for (said, said_besides) in values
            .iter()
            .flat_map(|a| values.iter().map(move |b| (a, b)))
        {
            let answer = format!("429\n{one}: {said}\n{other}: {said_besides}\n\n");
            understood += usize::from(check_headers(&Given::parse(answer.as_bytes())));
        }
    }
    assert_eq!(understood, 459);
}

/// A seed whose structure and then whose text is changed; as YAML where it is to be.
fn mutated(seeds: &[Vec<u8>], yaml: bool, mutation: &Mutation) -> Vec<u8> {
    let (seed, structure, text) = mutation;
    let seed = seed.get(seeds);
    let document: Option<Value> = if yaml {
        serde_saphyr::from_slice(seed).ok()
    } else {
        serde_json::from_slice(seed).ok()
    };
    let written = match document.filter(|_| !structure.is_empty()) {
        Some(document) => {
            let document = restructured(document, structure);
            // JSON is YAML, and block style is what DigitalOcean writes.
            let block = yaml && structure.len() % 2 == 1;
            let block = block
                .then(|| serde_saphyr::to_string(&document).ok())
                .flatten();
            block.unwrap_or_else(|| document.to_string()).into_bytes()
        }
        None => seed.clone(),
    };
    rewritten(written, text)
}

type Changes = Vec<(u8, u32, u32)>;
type Mutation = (Index, Changes, Changes);

fn mutation() -> impl Strategy<Value = Mutation> {
    let text = prop_oneof![2 => Just(Vec::new()), 1 => plan()];
    (any::<Index>(), plan(), text)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_kubeconfig_is_sound_or_refused(mutation in mutation()) {
        check_text(&mutated(&KUBECONFIGS, true, &mutation));
    }

    #[test]
    fn credentials_are_sound_or_refused(mutation in mutation()) {
        check_credentials(&Given::body(&mutated(&CREDENTIALS, false, &mutation)));
    }

    #[test]
    fn clusters_are_sound_or_refused(mutation in mutation()) {
        check_clusters(&Given::body(&mutated(&CLUSTERS, false, &mutation)));
    }

    #[test]
    fn headers_make_nobody_wait_for_ever_or_not_at_all(mutation in mutation()) {
        check_headers(&Given::parse(&mutated(&RESPONSES, false, &mutation)));
    }

    #[test]
    fn a_resource_disturbs_nobody(mutation in mutation()) {
        resources::check(&mutated(&RESOURCES, false, &mutation));
    }

    #[test]
    fn a_secret_is_ours_or_not(mutation in mutation()) {
        secrets::check(&mutated(&SECRETS, false, &mutation));
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_text(&bytes);
        let body = Given::body(&bytes);
        check_credentials(&body);
        check_clusters(&body);
        check_kubeconfig(&body);
        check_headers(&Given::parse(&bytes));
        resources::check(&bytes);
        secrets::check(&bytes);
    }
}
