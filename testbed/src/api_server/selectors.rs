//! Label and field selectors.

use serde_json::Value;

use super::errors::Refusal;

/// A label selector, and the fields of metadata that every kind can be selected by.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<(String, Requirement)>,
    name: Option<String>,
    namespace: Option<String>,
}

#[derive(Clone, Debug)]
enum Requirement {
    Exists,
    Missing,
    In(Vec<String>),
    NotIn(Vec<String>),
}

impl Selector {
    /// # Errors
    /// What cannot be read is 400.
    pub(super) fn parse(labels: &str, fields: &str) -> Result<Self, Refusal> {
        let mut selector = Self::default();
        for term in split_terms(labels) {
            selector.labels.push(requirement(term)?);
        }
        for term in fields.split(',').filter(|term| !term.is_empty()) {
            match term.split_once('=') {
                Some(("metadata.name", name)) => selector.name = Some(name.to_owned()),
                Some(("metadata.namespace", name)) => selector.namespace = Some(name.to_owned()),
                _ => return Err(Refusal::not_modelled(&format!("the field selector {term}"))),
            }
        }
        Ok(selector)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.name.is_none() && self.namespace.is_none()
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        let is = |wanted: &Option<String>, field: &str| {
            wanted
                .as_deref()
                .is_none_or(|wanted| metadata[field].as_str() == Some(wanted))
        };
        is(&self.name, "name")
            && is(&self.namespace, "namespace")
            && self.labels.iter().all(|(key, requirement)| {
                requirement.holds(metadata["labels"].get(key).and_then(Value::as_str))
            })
    }
}

impl Requirement {
    fn holds(&self, label: Option<&str>) -> bool {
        let among = |values: &[String]| {
            label.is_some_and(|label| values.iter().any(|value| value == label))
        };
        match self {
            Self::Exists => label.is_some(),
            Self::Missing => label.is_none(),
            Self::In(values) => among(values),
            Self::NotIn(values) => !among(values),
        }
    }
}

/// Terms are separated by commas, of which those in parentheses are none.
fn split_terms(selector: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let separates = move |character: char| {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        character == ',' && depth == 0
    };
    selector
        .split(separates)
        .filter(|term| !term.trim().is_empty())
}

fn requirement(term: &str) -> Result<(String, Requirement), Refusal> {
    let term = term.trim();
    let one = |value: &str| vec![value.trim().to_owned()];
    let set = |values: &str| {
        let values = values.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(
            values
                .split(',')
                .map(|value| value.trim().to_owned())
                .collect::<Vec<_>>(),
        )
    };
    let (key, requirement) = if let Some(key) = term.strip_prefix('!') {
        (key, Requirement::Missing)
    } else if let Some((key, value)) = term.split_once("!=") {
        (key, Requirement::NotIn(one(value)))
    } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        (key, Requirement::In(one(value)))
    } else if let Some((key, values)) = term.split_once(" notin ") {
        (
            key,
            Requirement::NotIn(set(values).ok_or_else(|| unreadable(term))?),
        )
    } else if let Some((key, values)) = term.split_once(" in ") {
        (
            key,
            Requirement::In(set(values).ok_or_else(|| unreadable(term))?),
        )
    } else {
        (term, Requirement::Exists)
    };
    let key = key.trim();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(unreadable(term));
    }
    Ok((key.to_owned(), requirement))
}

fn unreadable(term: &str) -> Refusal {
    Refusal::bad_request(format!("unable to parse requirement: {term}"))
}
