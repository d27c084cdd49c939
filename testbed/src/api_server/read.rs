//! Reads: one object, or lists of them in pages.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::json;

use super::errors::Refusal;
use super::object::Object;
use super::routes::Call;
use super::selectors::Selector;
use super::storage::State;

impl State {
    /// GET of one object.
    pub(super) fn read(&self, call: &Call) -> Result<Arc<Object>, Refusal> {
        let found = self.get(call.kind, &call.namespace, &call.name);
        let missing = || Refusal::not_found(call.kind.resource(), &call.name);
        found.cloned().ok_or_else(missing)
    }

    /// GET of a collection.
    pub(super) fn list(&self, call: &Call) -> Result<Bytes, Refusal> {
        let query = &call.query;
        let selector = Selector::parse(&query.label_selector, &query.field_selector)?;
        let mut version = self.version;
        let mut start = String::new();
        let mut past = None;
        if !query.from.is_empty() {
            (version, start) = read_token(&query.from)?;
            past = Some(self.past(call, version, true)?);
        } else if let Ok(wanted @ 1..) = query.resource_version.parse() {
            if wanted > self.version {
                return Err(Refusal::too_large_version(wanted, self.version));
            }
            if query.resource_version_match == "Exact" {
                version = wanted;
                past = Some(self.past(call, version, false)?);
            }
        }
        let objects = past.as_ref().unwrap_or_else(|| self.objects(call.kind));
        let page = Page::of(objects, call, &selector, &start);
        Ok(page.render(call, version, selector.is_empty()))
    }

    fn past(
        &self,
        call: &Call,
        version: u64,
        continued: bool,
    ) -> Result<BTreeMap<String, Arc<Object>>, Refusal> {
        if version < self.compacted || !self.knows(call.kind, version) {
            return Err(Refusal::expired(if continued {
                "The provided continue parameter is too old to display a consistent list result. You can start \
                 a new list without the continue parameter."
            } else {
                "The resourceVersion for the provided list is too old."
            }));
        }
        Ok(self.snapshot(call.kind, version))
    }
}

/// Objects of a page, and what comes after it.
struct Page<'a> {
    items: Vec<&'a Arc<Object>>,
    next: Option<&'a str>,
    remaining: usize,
}

impl<'a> Page<'a> {
    fn of(
        objects: &'a BTreeMap<String, Arc<Object>>,
        call: &Call,
        selector: &Selector,
        start: &str,
    ) -> Self {
        let prefix = match call.namespace.as_str() {
            "" => String::new(),
            namespace => format!("{namespace}/"),
        };
        let first = if start.is_empty() { &prefix } else { start };
        let from = (Bound::Included(first), Bound::Unbounded);
        let in_namespace = |(key, _): &(&String, _)| key.starts_with(&prefix);
        let mut selected = objects
            .range::<str, _>(from)
            .take_while(in_namespace)
            .filter(|(_, object)| selector.is_empty() || selector.matches(&object.value));
        let limit = if call.query.limit == 0 {
            usize::MAX
        } else {
            call.query.limit
        };
        let items = selected
            .by_ref()
            .take(limit)
            .map(|(_, object)| object)
            .collect();
        let next = selected.next();
        Self {
            items,
            next: next.map(|(key, _)| key.as_str()),
            remaining: selected.count() + 1,
        }
    }

    fn render(&self, call: &Call, version: u64, is_whole: bool) -> Bytes {
        let resource = call.kind.resource();
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if let Some(next) = self.next {
            metadata["continue"] = URL_SAFE_NO_PAD.encode(format!("{version}:{next}")).into();
            if is_whole {
                metadata["remainingItemCount"] = json!(self.remaining);
            }
        } else if resource.custom && !call.metadata_only {
            metadata["continue"] = "".into();
        }
        let (kind, api_version) = if call.metadata_only {
            ("PartialObjectMetadata", "meta.k8s.io/v1")
        } else {
            (resource.name, &*resource.api_version)
        };
        let head = format!(
            r#"{{"kind":"{kind}List","apiVersion":"{api_version}","metadata":{metadata},"items":["#
        );
        let mut body = head.into_bytes();
        for (number, object) in self.items.iter().enumerate() {
            if number > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&object.body(call.metadata_only));
        }
        body.extend_from_slice(b"]}");
        body.into()
    }
}

fn read_token(token: &str) -> Result<(u64, String), Refusal> {
    let decoded = URL_SAFE_NO_PAD.decode(token).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let parsed = text.as_deref().and_then(|text| {
        let (version, start) = text.split_once(':')?;
        Some((version.parse().ok()?, start.to_owned()))
    });
    parsed
        .ok_or_else(|| Refusal::bad_request("continue key is not valid: the token cannot be read"))
}
