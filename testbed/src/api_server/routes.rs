//! From a request to what it asks for.

use http::Method;

use super::errors::Refusal;
use super::resources::{Kind, Resource};
use super::storage::{Verb, Writer};

/// What a request asks for.
pub(super) struct Call {
    pub(super) action: Action,
    pub(super) kind: Kind,
    /// Empty for all of them, and for kinds that are in none.
    pub(super) namespace: String,
    /// Empty where the request is about a collection.
    pub(super) name: String,
    pub(super) status: bool,
    pub(super) query: Query,
    /// Whether the answer is to hold metadata alone.
    pub(super) metadata_only: bool,
    /// The field manager, or else the user agent.
    pub(super) manager: String,
}

impl Call {
    /// Who asks, for a write.
    pub(super) fn writer(&self, verb: Verb) -> Writer {
        Writer {
            verb,
            manager: self.manager.as_str().into(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Get,
    List,
    Watch,
    Create,
    Update,
    MergePatch,
    Apply,
    Delete,
}

/// The parameters that matter.
#[derive(Default)]
pub(super) struct Query {
    pub(super) field_manager: String,
    pub(super) force: bool,
    pub(super) label_selector: String,
    pub(super) field_selector: String,
    pub(super) limit: usize,
    pub(super) from: String,
    pub(super) resource_version: String,
    pub(super) resource_version_match: String,
    pub(super) bookmarks: bool,
    pub(super) timeout_seconds: Option<u64>,
    pub(super) propagation_policy: String,
    watch: bool,
}

impl Query {
    fn parse(query: &str) -> Result<Self, Refusal> {
        let mut parsed = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let yes = matches!(&*value, "true" | "1");
            match &*key {
                "fieldManager" => parsed.field_manager = value.into_owned(),
                "force" => parsed.force = yes,
                "labelSelector" => parsed.label_selector = value.into_owned(),
                "fieldSelector" => parsed.field_selector = value.into_owned(),
                "limit" => parsed.limit = value.parse().unwrap_or_default(),
                "continue" => parsed.from = value.into_owned(),
                "resourceVersion" => parsed.resource_version = value.into_owned(),
                "resourceVersionMatch" => parsed.resource_version_match = value.into_owned(),
                "allowWatchBookmarks" => parsed.bookmarks = yes,
                "timeoutSeconds" => parsed.timeout_seconds = value.parse().ok(),
                "propagationPolicy" => parsed.propagation_policy = value.into_owned(),
                "watch" => parsed.watch = yes,
                "fieldValidation" | "pretty" => {}
                other => return Err(Refusal::not_modelled(&format!("the parameter {other}"))),
            }
        }
        Ok(parsed)
    }
}

/// Reads a request, its body aside.
///
/// # Errors
/// 404 for what is not served, 415 for a patch of another type.
pub(super) fn call(parts: &http::request::Parts) -> Result<Call, Refusal> {
    let path = parts.uri.path().trim_matches('/');
    let segments: Vec<&str> = path.split('/').collect();
    let (group, version, rest) = match segments.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return Err(Refusal::unknown_path()),
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, plural, more @ ..]
            if !matches!(*plural, "status" | "finalize") =>
        {
            (Some(*namespace), [&[*plural], more].concat())
        }
        _ => (None, rest.to_vec()),
    };
    let (plural, name, status) = match rest.as_slice() {
        [plural] => (*plural, "", false),
        [plural, name] => (*plural, *name, false),
        [plural, name, "status"] => (*plural, *name, true),
        _ => return Err(Refusal::unknown_path()),
    };
    let served = |resource: &&Resource| {
        (resource.group, resource.version, resource.plural) == (group, version, plural)
    };
    let mut resources = Kind::ALL.iter().map(|kind| kind.resource());
    let resource = resources.find(|resource| served(resource));
    let resource = resource.ok_or_else(Refusal::unknown_path)?;
    let in_namespace = namespace.is_some();
    let misplaced = in_namespace && !resource.namespaced
        || !in_namespace && resource.namespaced && !name.is_empty()
        || status && !resource.custom;
    if misplaced {
        return Err(Refusal::unknown_path());
    }
    let header = |name| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let query = Query::parse(parts.uri.query().unwrap_or_default())?;
    let content_type = header(http::header::CONTENT_TYPE).unwrap_or_default();
    let action = action(&parts.method, name, query.watch, content_type)?;
    let manager = if query.field_manager.is_empty() {
        let agent = header(http::header::USER_AGENT).unwrap_or("unknown");
        agent.split('/').next().unwrap_or_default().to_owned()
    } else {
        query.field_manager.clone()
    };
    let accept = header(http::header::ACCEPT).unwrap_or_default();
    Ok(Call {
        action,
        kind: resource.kind,
        namespace: namespace.unwrap_or_default().to_owned(),
        name: name.to_owned(),
        status,
        metadata_only: accept.contains("as=PartialObjectMetadata"),
        query,
        manager,
    })
}

fn action(method: &Method, name: &str, watch: bool, content_type: &str) -> Result<Action, Refusal> {
    let one = !name.is_empty();
    Ok(match *method {
        Method::GET if one && !watch => Action::Get,
        Method::GET if watch && !one => Action::Watch,
        Method::GET if !one => Action::List,
        Method::POST if !one => Action::Create,
        Method::PUT if one => Action::Update,
        Method::DELETE if one => Action::Delete,
        Method::PATCH if one => match content_type.split(';').next().unwrap_or_default() {
            "application/merge-patch+json" => Action::MergePatch,
            "application/apply-patch+yaml" => Action::Apply,
            other => return Err(Refusal::not_modelled(&format!("patches of type {other:?}"))),
        },
        _ => return Err(Refusal::not_modelled(&format!("{method} here"))),
    })
}
