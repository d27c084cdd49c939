//! Paths of the resources.

/// The collection of a kind in a namespace.
pub(super) fn collection(plural: &str, namespace: &str) -> String {
    let prefix = match plural {
        "secrets" => "/api/v1",
        "leases" => "/apis/coordination.k8s.io/v1",
        "events" => "/apis/events.k8s.io/v1",
        "doaccounts" => return "/apis/doclusteraccess.dev/v1alpha1/doaccounts".to_owned(),
        "namespaces" => return "/api/v1/namespaces".to_owned(),
        _ => "/apis/doclusteraccess.dev/v1alpha1",
    };
    format!("{prefix}/namespaces/{namespace}/{plural}")
}

/// The `apiVersion` and `kind` of its objects.
pub(super) fn types(plural: &str) -> (&'static str, &'static str) {
    match plural {
        "secrets" => ("v1", "Secret"),
        "namespaces" => ("v1", "Namespace"),
        "leases" => ("coordination.k8s.io/v1", "Lease"),
        "events" => ("events.k8s.io/v1", "Event"),
        "doaccounts" => ("doclusteraccess.dev/v1alpha1", "DOAccount"),
        _ => ("doclusteraccess.dev/v1alpha1", "DOClusterAccess"),
    }
}
