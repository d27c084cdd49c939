//! What goes into the content beside the credential, and the hash of it.

use proptest::prelude::*;

use super::strategies::{any_material, any_output, similar_facts, similar_outputs};
use super::*;
use crate::outputs::marks::rendering_hash;

fn render_over(
    output: &Output,
    material: &Material,
    facts: &Facts,
    present: Option<&Contents>,
) -> Option<Contents> {
    format_of(output.format).render(&Source {
        output,
        material,
        facts,
        present,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_changes_the_content_changes_the_hash(
        (one, other) in similar_outputs(), same_output: bool,
        here in similar_facts(), there in similar_facts(),
        present in prop::option::of("[abc]"), material in any_material(),
    ) {
        let other = if same_output { one.clone() } else { other };
        let present = present.map(|name| {
            let mut contents = Contents::default();
            contents.insert("name", &name);
            contents
        });
        let before = render_over(&one, &material, &here, present.as_ref());
        let after = render_over(&other, &material, &there, present.as_ref());
        if before != after {
            prop_assert_ne!(
                rendering_hash(&one, &here), rendering_hash(&other, &there),
                "{:?} became {:?}", before.map(|contents| texts(&contents)), after.map(|contents| texts(&contents))
            );
        }
    }

    #[test]
    fn what_goes_into_metadata_alone_does_not_change_the_hash(
        output in any_output(), facts in similar_facts(),
        name in "[a-z]{1,8}", labels in prop::collection::btree_map("[ab]", "[ab]", 0..3),
        tags in prop::option::of(prop::collection::vec("[ab]", 0..3)),
    ) {
        let hash = rendering_hash(&output, &facts);
        prop_assert_eq!(&rendering_hash(&output.clone(), &facts.clone()), &hash);
        let relabelled = Output {
            secret_name: name,
            annotations: labels.clone(),
            labels,
            ..output
        };
        prop_assert_eq!(rendering_hash(&relabelled, &Facts { tags, ..facts }), hash);
    }
}

#[test]
fn different_formats_have_different_hashes() {
    let hashes: Vec<_> = outputs()
        .iter()
        .map(|output| rendering_hash(output, &facts()))
        .collect();
    for (place, hash) in hashes.iter().enumerate() {
        assert!(
            !hashes[..place].contains(hash),
            "{:?}",
            outputs()[place].format
        );
    }
}

#[test]
fn a_renamed_cluster_is_rendered_anew_exactly_where_its_name_stands() {
    let renamed = Facts {
        cluster_name: "renamed".to_string(),
        ..facts()
    };
    let changed: Vec<_> = outputs()
        .iter()
        .map(|output| rendering_hash(output, &facts()) != rendering_hash(output, &renamed))
        .collect();
    assert_eq!(changed, [false, false, true, false, false, false]);
    let by_name = custom(&[("name", CustomField::ClusterName)]);
    assert_ne!(
        rendering_hash(&by_name, &facts()),
        rendering_hash(&by_name, &renamed)
    );
    let chosen = Output {
        argocd: Some(ArgoCdOptions {
            name: Some("production".to_string()),
            ..ArgoCdOptions::default()
        }),
        ..output_of(OutputFormat::ArgoCD)
    };
    assert_eq!(
        rendering_hash(&chosen, &facts()),
        rendering_hash(&chosen, &renamed)
    );
}

#[test]
fn the_hash_stands_in_the_annotation_behind_the_dot() {
    for output in outputs() {
        let marks = desired_of(&output, &token_material()).unwrap().marks;
        assert_eq!(marks.rendering(), rendering_hash(&output, &facts()));
        let (front, behind) = marks.content_hash.split_once('.').unwrap();
        assert_eq!((front.len(), behind.len()), (32, 32));
    }
}

#[test]
fn the_rendering_hash_is_the_same_in_every_version() {
    // Another value would have every Secret rendered anew after an upgrade.
    let hashes = outputs().map(|output| rendering_hash(&output, &facts()));
    let released = [
        "885be6c9f2afb1dfc39249da546fcdac",
        "9f4955609f6092a46a637eedff40e68f",
        "07ef34381f4468e158965965263cda31",
        "ca91b2da834bc1439dc4f92b9cda0ed0",
        "74ea9fe63e65f926b4294f4b6e501579",
        "d4ad7619adb89f5169fbe5577902b0a8",
    ];
    assert_eq!(hashes, released);
}
