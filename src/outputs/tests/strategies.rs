//! Outputs, facts and credentials of every kind, for properties. The alphabets are small, so that
//! equal ones come up, too.

use proptest::prelude::*;

use super::*;

pub(super) const FORMATS: [OutputFormat; 6] = [
    OutputFormat::Kubeconfig,
    OutputFormat::Flux,
    OutputFormat::ArgoCD,
    OutputFormat::ClusterAPI,
    OutputFormat::Karmada,
    OutputFormat::Custom,
];

pub(super) const FIELDS: [CustomField; 12] = [
    CustomField::Kubeconfig,
    CustomField::Server,
    CustomField::Token,
    CustomField::CertificateAuthority,
    CustomField::CertificateAuthorityBase64,
    CustomField::ClientCertificate,
    CustomField::ClientKey,
    CustomField::ExpiresAt,
    CustomField::ClusterId,
    CustomField::ClusterName,
    CustomField::Region,
    CustomField::Version,
];

/// Every key that a Secret can have is made of these characters.
pub(super) const KEY: &str = "[-._a-zA-Z0-9]{1,20}";

fn options() -> impl Strategy<Value = ArgoCdOptions> {
    (
        prop::option::of("[ab]"),
        prop::option::of("[ab]"),
        prop::option::of(prop::collection::vec("[ab]", 1..3)),
        prop::option::of(any::<bool>()),
        prop::option::of(0..3),
    )
        .prop_map(
            |(name, project, namespaces, cluster_resources, shard)| ArgoCdOptions {
                name,
                project,
                namespaces,
                cluster_resources,
                shard,
            },
        )
}

fn custom_keys(key: &'static str) -> impl Strategy<Value = Vec<CustomKey>> {
    let fields = prop::collection::btree_map(key, prop::sample::select(&FIELDS[..]), 1..5);
    let key = |(key, field)| CustomKey { key, field };
    fields.prop_map(move |fields| fields.into_iter().map(key).collect())
}

fn output_in(format: OutputFormat, key: &'static str) -> impl Strategy<Value = Output> {
    let options = prop::option::of(options());
    (options, custom_keys(key), any::<bool>()).prop_map(move |(options, keys, adopt)| Output {
        argocd: options.filter(|_| format == OutputFormat::ArgoCD),
        keys: (format == OutputFormat::Custom).then_some(keys),
        adopt,
        ..output_of(format)
    })
}

/// Outputs of every format with every option.
pub(super) fn any_output() -> impl Strategy<Value = Output> {
    prop::sample::select(&FORMATS[..]).prop_flat_map(|format| output_in(format, KEY))
}

/// Two outputs of one format, mostly one that has options, often with the same ones.
pub(super) fn similar_outputs() -> impl Strategy<Value = (Output, Output)> {
    let formats = prop_oneof![
        3 => Just(OutputFormat::ArgoCD),
        2 => Just(OutputFormat::Custom),
        1 => prop::sample::select(&FORMATS[..]),
    ];
    formats.prop_flat_map(|format| (output_in(format, "[ab]"), output_in(format, "[ab]")))
}

pub(super) fn similar_facts() -> impl Strategy<Value = Facts> {
    (
        prop::array::uniform4("[ab]"),
        prop::option::of(prop::collection::vec("[ab]", 0..3)),
    )
        .prop_map(
            |([cluster_id, cluster_name, region, version], tags)| Facts {
                cluster_id,
                cluster_name,
                region,
                version,
                tags,
            },
        )
}

pub(super) fn any_material() -> impl Strategy<Value = Material> {
    any::<bool>().prop_map(|certificate| {
        if certificate {
            certificate_material()
        } else {
            token_material()
        }
    })
}
