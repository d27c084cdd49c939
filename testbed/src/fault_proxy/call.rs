//! Calls, by names that are the same in every run.

use std::fmt;

use http::{Method, StatusCode, Uri, request};

/// One of the two services behind the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Door {
    /// The API server.
    Kubernetes,
    /// DigitalOcean's API.
    DigitalOcean,
}

/// What a call is about. Namespaces and the ids of clusters, which differ from run to run, are not in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallName {
    /// Where it goes.
    pub door: Door,
    /// Of the API server: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    /// Otherwise the method, in small letters.
    pub verb: String,
    /// The plural name of a resource; `clusters`, `cluster`, `kubeconfig` or `credentials` of DigitalOcean; or the path,
    /// where it is nothing of the kind.
    pub resource: String,
    /// `status`, `token`, …; mostly empty.
    pub subresource: String,
    /// The object's name; empty for lists, for creations, and at DigitalOcean.
    pub name: String,
}

/// A call that came through the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number in the order of arrival at both doors, from 1.
    pub number: usize,
    /// What it is about.
    pub name: CallName,
    /// The status of the answer; of a watch, the one that it began with. `None` while nothing came from upstream.
    pub status: Option<StatusCode>,
}

impl CallName {
    /// The name of the request with this head.
    pub(super) fn of(door: Door, head: &request::Parts) -> Self {
        match door {
            Door::Kubernetes => of_kubernetes(&head.method, &head.uri),
            Door::DigitalOcean => of_digitalocean(&head.method, head.uri.path()),
        }
    }

    /// Whether this is a watch: an answer without end.
    #[must_use]
    pub fn is_watch(&self) -> bool {
        self.verb == "watch"
    }

    /// Whether it leads to a credential.
    #[must_use]
    pub fn mints(&self) -> bool {
        self.door == Door::DigitalOcean
            && ["kubeconfig", "credentials"].contains(&self.resource.as_str())
    }

    /// Whether it changes something at the API server.
    #[must_use]
    pub fn writes(&self) -> bool {
        let reads = ["get", "list", "watch"].contains(&self.verb.as_str());
        self.door == Door::Kubernetes && !reads
    }
}

impl fmt::Display for CallName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let door = match self.door {
            Door::Kubernetes => "kubernetes",
            Door::DigitalOcean => "digitalocean",
        };
        write!(formatter, "{door} {} {}", self.verb, self.resource)?;
        for part in [&self.name, &self.subresource] {
            if !part.is_empty() {
                write!(formatter, "/{part}")?;
            }
        }
        Ok(())
    }
}

fn of_digitalocean(method: &Method, path: &str) -> CallName {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let resource = match segments.as_slice() {
        ["v2", "kubernetes", "clusters"] => "clusters",
        ["v2", "kubernetes", "clusters", _] => "cluster",
        ["v2", "kubernetes", "clusters", _, what] => what,
        _ => path,
    };
    CallName {
        door: Door::DigitalOcean,
        verb: method.as_str().to_ascii_lowercase(),
        resource: resource.to_owned(),
        subresource: String::new(),
        name: String::new(),
    }
}

fn of_kubernetes(method: &Method, uri: &Uri) -> CallName {
    let path = uri.path();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let within_version = match segments.as_slice() {
        ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
        _ => &[],
    };
    let within_namespace = match within_version {
        ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
        rest => rest,
    };
    let part = |index: usize| {
        within_namespace
            .get(index)
            .copied()
            .unwrap_or_default()
            .to_owned()
    };
    let is_resource = !within_namespace.is_empty();
    let verb = match method.as_str() {
        method if !is_resource => method.to_ascii_lowercase(),
        "GET" if is_watch(uri) => "watch".to_owned(),
        "GET" if part(1).is_empty() => "list".to_owned(),
        "POST" => "create".to_owned(),
        "PUT" => "update".to_owned(),
        "DELETE" if part(1).is_empty() => "deletecollection".to_owned(),
        method => method.to_ascii_lowercase(),
    };
    CallName {
        door: Door::Kubernetes,
        verb,
        resource: if is_resource {
            part(0)
        } else {
            path.to_owned()
        },
        name: part(1),
        subresource: part(2),
    }
}

fn is_watch(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default().as_bytes();
    form_urlencoded::parse(query)
        .any(|(name, value)| name == "watch" && (value == "true" || value == "1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(door: Door, method: &str, uri: &str) -> String {
        let request = http::Request::builder().method(method).uri(uri).body(());
        let (head, ()) = request.expect("a request").into_parts();
        CallName::of(door, &head).to_string()
    }

    #[test]
    fn requests_to_the_api_server_have_the_names_that_its_audit_log_gives_them() {
        let accesses = "/apis/doclusteraccess.dev/v1alpha1/namespaces/a/doclusteraccesses";
        for (method, uri, expected) in [
            ("GET", "/version", "kubernetes get /version"),
            (
                "GET",
                "/api/v1/namespaces/a/secrets/b",
                "kubernetes get secrets/b",
            ),
            (
                "GET",
                "/api/v1/namespaces/a/secrets?limit=5",
                "kubernetes list secrets",
            ),
            (
                "GET",
                "/api/v1/secrets?&watch=true",
                "kubernetes watch secrets",
            ),
            ("GET", "/api/v1/namespaces/a", "kubernetes get namespaces/a"),
            (
                "PATCH",
                "/api/v1/namespaces/a/secrets/b?force=true",
                "kubernetes patch secrets/b",
            ),
            (
                "DELETE",
                "/api/v1/namespaces/a/secrets/b",
                "kubernetes delete secrets/b",
            ),
            (
                "DELETE",
                "/api/v1/namespaces/a/secrets",
                "kubernetes deletecollection secrets",
            ),
            (
                "PUT",
                "/apis/coordination.k8s.io/v1/namespaces/a/leases/b",
                "kubernetes update leases/b",
            ),
            (
                "POST",
                "/apis/events.k8s.io/v1/namespaces/a/events",
                "kubernetes create events",
            ),
            (
                "GET",
                &format!("{accesses}?watch=1"),
                "kubernetes watch doclusteraccesses",
            ),
            (
                "PATCH",
                &format!("{accesses}/b/status"),
                "kubernetes patch doclusteraccesses/b/status",
            ),
        ] {
            assert_eq!(
                name(Door::Kubernetes, method, uri),
                expected,
                "{method} {uri}"
            );
        }
    }

    #[test]
    fn requests_to_digitalocean_have_the_names_of_its_operations() {
        let clusters = "/v2/kubernetes/clusters";
        for (uri, expected) in [
            (format!("{clusters}?page=1"), "digitalocean get clusters"),
            (format!("{clusters}/1"), "digitalocean get cluster"),
            (
                format!("{clusters}/1/kubeconfig?type=token"),
                "digitalocean get kubeconfig",
            ),
            (
                format!("{clusters}/1/credentials"),
                "digitalocean get credentials",
            ),
            ("/v2/account".to_owned(), "digitalocean get /v2/account"),
        ] {
            assert_eq!(name(Door::DigitalOcean, "GET", &uri), expected);
        }
    }
}
