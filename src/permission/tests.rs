use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const ID: &str = "bd5f5959-5e1e-4205-a714-a914373942af";
const OTHER_ID: &str = "cd5f5959-5e1e-4205-a714-a914373942af";

fn account(fields: Value) -> DOAccountSpec {
    let mut spec = json!({"tokenSecretRef": {"name": "digitalocean"}});
    let Value::Object(fields) = fields else {
        panic!("{fields} are no fields");
    };
    spec.as_object_mut().unwrap().extend(fields);
    serde_json::from_value(spec).unwrap()
}

fn namespaces(globs: &[&str]) -> DOAccountSpec {
    account(json!({"allowedNamespaces": globs}))
}

fn names(globs: &[&str]) -> DOAccountSpec {
    account(json!({"allowedClusters": {"names": globs}}))
}

#[test]
fn an_account_without_lists_allows_nothing() {
    for fields in [
        json!({}),
        json!({"allowedNamespaces": [], "allowedClusters": {}}),
        json!({"allowedClusters": {"ids": [], "names": []}}),
    ] {
        let account = account(fields);
        for text in ["", "default", "a", ID] {
            assert!(!account.allows_namespace(text), "{text}");
            assert!(!account.allows_cluster(text, text), "{text}");
            assert!(!account.allows_cluster_name(text), "{text}");
            assert!(!account.allows_cluster_id(text), "{text}");
        }
    }
}

#[test]
fn a_namespace_is_allowed_by_its_name_or_by_a_glob() {
    let account = namespaces(&["argocd", "team-*", "ci-?"]);
    for namespace in ["argocd", "team-", "team-a", "team-a-b", "ci-1"] {
        assert!(account.allows_namespace(namespace), "{namespace}");
    }
    for namespace in ["argocd-2", "my-argocd", "team", "a-team-b", "ci-", "ci-12"] {
        assert!(!account.allows_namespace(namespace), "{namespace}");
    }
}

#[test]
fn what_allows_namespaces_allows_no_cluster_and_the_other_way_round() {
    assert!(!namespaces(&["*"]).allows_cluster(ID, "prod"));
    assert!(!names(&["*"]).allows_namespace("prod"));
}

#[test]
fn the_whole_name_has_to_match() {
    assert!(!namespaces(&["team"]).allows_namespace("team-a"));
    assert!(!names(&["prod"]).allows_cluster_name("prod\n"));
    assert!(!names(&["prod"]).allows_cluster_name("xprod"));
}

#[test]
fn nothing_but_star_and_question_mark_is_special() {
    assert!(names(&["[a-z]+.$^\\d{2}(x|y)"]).allows_cluster_name("[a-z]+.$^\\d{2}(x|y)"));
    assert!(!names(&["[a-z]"]).allows_cluster_name("b"));
    assert!(!names(&["a.c"]).allows_cluster_name("abc"));
    assert!(!names(&["\\*"]).allows_cluster_name("*"));
    // No path semantics either: a dot at the start and a slash are characters like any other.
    assert!(names(&["*"]).allows_cluster_name(".a/b"));
    assert!(names(&["a?b"]).allows_cluster_name("a/b"));
}

#[test]
fn characters_that_are_more_than_a_byte_count_once() {
    assert!(names(&["gr?n"]).allows_cluster_name("grün"));
    assert!(!names(&["gr?n"]).allows_cluster_name("gr\u{75}\u{308}n"));
}

#[test]
fn upper_and_lower_case_differ_in_names_and_do_not_in_ids() {
    assert!(!names(&["prod"]).allows_cluster_name("Prod"));
    let upper = account(json!({"allowedClusters": {"ids": [ID.to_uppercase()]}}));
    assert!(upper.allows_cluster_id(ID));
    let lower = account(json!({"allowedClusters": {"ids": [ID]}}));
    assert!(lower.allows_cluster_id(&ID.to_uppercase()));
}

#[test]
fn a_cluster_is_allowed_by_its_id_or_by_its_name() {
    let both = account(json!({"allowedClusters": {"ids": [ID], "names": ["prod-*"]}}));
    assert!(both.allows_cluster(ID, "staging"));
    assert!(both.allows_cluster(OTHER_ID, "prod-1"));
    assert!(both.allows_cluster(ID, "prod-1"));
    assert!(!both.allows_cluster(OTHER_ID, "staging"));
}

#[test]
fn an_id_is_no_name_and_a_name_no_id() {
    let ids = account(json!({"allowedClusters": {"ids": [ID]}}));
    assert!(!ids.allows_cluster(OTHER_ID, ID));
    assert!(!names(&[ID]).allows_cluster(ID, "prod"));
}

#[test]
fn an_id_alone_is_decided_where_its_name_makes_no_difference() {
    assert!(names(&["prod-*", "*"]).allows_cluster_id(ID));
    assert!(names(&["**"]).allows_cluster_id(ID));
    assert!(!names(&["?*"]).allows_cluster_id(ID), "a name may be empty");
    assert!(!names(&["prod-*"]).allows_cluster_id(ID));
    assert!(!names(&[""]).allows_cluster_id(ID));
    let listed = account(json!({"allowedClusters": {"ids": [OTHER_ID, ID]}}));
    assert!(listed.allows_cluster_id(ID));
    assert!(!listed.allows_cluster_id(""));
}

#[test]
fn the_worst_of_globs_is_decided_at_once() {
    // A matcher that backtracks into every star would not end in anybody's lifetime.
    let worst = names(&[&"*a".repeat(127)]);
    assert!(!worst.allows_cluster_name(&format!("{}b", "a".repeat(254))));
}

/// The definition, literally: exponential, and obviously right.
fn reference(glob: &[char], text: &[char]) -> bool {
    match glob.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|skipped| reference(rest, &text[skipped..])),
        Some(('?', rest)) => !text.is_empty() && reference(rest, &text[1..]),
        Some((char, rest)) => text.first() == Some(char) && reference(rest, &text[1..]),
    }
}

fn matches_by_definition(glob: &str, text: &str) -> bool {
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    reference(&chars(glob), &chars(text))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_glob_matches_what_the_definition_says(glob in "[ab*?]{0,8}", text in "[abc]{0,8}") {
        let expected = matches_by_definition(&glob, &text);
        prop_assert_eq!(names(&[&glob]).allows_cluster_name(&text), expected);
        prop_assert_eq!(namespaces(&[&glob]).allows_namespace(&text), expected);
    }

    #[test]
    fn a_text_may_hold_the_special_characters(glob in "[aü*?]{0,8}", text in "[aü*?]{0,8}") {
        let expected = matches_by_definition(&glob, &text);
        prop_assert_eq!(names(&[&glob]).allows_cluster_name(&text), expected);
    }

    #[test]
    fn a_list_allows_what_one_of_its_globs_allows(
        globs in proptest::collection::vec("[ab*?]{1,4}", 0..5),
        text in "[ab]{0,5}",
    ) {
        let list: Vec<_> = globs.iter().map(String::as_str).collect();
        let expected = globs.iter().any(|glob| matches_by_definition(glob, &text));
        prop_assert_eq!(namespaces(&list).allows_namespace(&text), expected);
    }

    #[test]
    fn an_id_that_is_let_in_without_its_name_is_let_in_with_any(
        globs in proptest::collection::vec("[ab*?]{1,3}", 0..3),
        name in "[ab]{0,4}",
    ) {
        let list: Vec<_> = globs.iter().map(String::as_str).collect();
        let account = names(&list);
        prop_assert!(!account.allows_cluster_id(ID) || account.allows_cluster(ID, &name));
    }
}
