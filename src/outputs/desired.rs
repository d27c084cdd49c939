//! The Secret as it is to be.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{
    ACCESS_LABEL, Contents, Facts, Form, FoundMetadata, FoundSecret, MANAGED_BY, MANAGED_BY_LABEL,
    Marks, Source, content_hash, facts::present_labels, fields_of, format_of,
    marks::rendering_hash,
};
use crate::api::{DOClusterAccess, DeletionPolicy, Output};

/// The access that a Secret belongs to, for its owner reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Name of the access.
    pub name: String,
    /// UID of the access.
    pub uid: String,
}

/// Where the Secrets of one access go, and how.
#[derive(Clone, Debug)]
pub struct Placement {
    /// Namespace of the access and of its Secrets.
    pub namespace: String,
    /// The access.
    pub owner: Owner,
    /// Whether Secrets go with the access.
    pub deletion_policy: DeletionPolicy,
}

impl Placement {
    /// The placement of `access`; `None` for an object that no API server has stored.
    #[must_use]
    pub fn of(access: &DOClusterAccess) -> Option<Self> {
        Some(Self {
            namespace: access.metadata.namespace.clone()?,
            owner: Owner {
                name: access.metadata.name.clone()?,
                uid: access.metadata.uid.clone()?,
            },
            deletion_policy: access.spec.effective_deletion_policy(),
        })
    }

    /// The Secret that `source` makes, where the labels of the one that is there are `present`;
    /// `None` where the format is not available for this kind of credential.
    #[must_use]
    pub fn desired(
        &self,
        source: &Source<'_>,
        present: &BTreeMap<String, String>,
    ) -> Option<DesiredSecret> {
        let format = format_of(source.output.format);
        let contents = format.render(source)?;
        let form = Form::of(source.output, &contents).to_string();
        let issue = source.material.issue.clone();
        let rendering = rendering_hash(source.output, source.facts);
        let canonical = format.canonical(contents.clone());
        let uid = self.owner.uid.clone();
        let marks = Marks {
            content_hash: content_hash(&uid, &issue, &form, &rendering, &canonical),
            access_uid: uid,
            issue,
            form,
        };
        Some(self.with(source.output, Some(source.facts), present, marks, contents))
    }

    /// The Secret that was `found`, with its content as it is and all else as `output` asks for;
    /// `None` where the content is not what it asks for.
    #[must_use]
    pub fn relabelled(
        &self,
        output: &Output,
        facts: Option<&Facts>,
        found: &FoundSecret,
    ) -> Option<DesiredSecret> {
        let (outline, _) = self.outline(output, facts, &found.metadata)?;
        let contents = found.intact()?;
        Some(DesiredSecret {
            contents,
            ..outline
        })
    }

    /// Whether a Secret with this metadata has the content, labels, annotations and owner that
    /// `output` asks for, as far as metadata tells. Without `facts`, what is there counts. That it was
    /// read and found right when its [`fields`](Self::fields) were the `known` ones makes up for a
    /// record which says that others wrote it.
    #[must_use]
    pub fn is_as_wanted(
        &self,
        output: &Output,
        facts: Option<&Facts>,
        found: &FoundMetadata,
        known: Option<&str>,
    ) -> bool {
        let Some((desired, form)) = self.outline(output, facts, found) else {
            return false;
        };
        let fields = fields_of(&desired, form.keys()).digest();
        let recorded = found.owned_fields.as_deref() == Some(&fields);
        found.carries(&desired) && (recorded || known == Some(&fields))
    }

    /// Digest of the fields that a Secret with this metadata has of ours when it is as `output` asks
    /// for; `None` where its content was rendered for something else.
    #[must_use]
    pub fn fields(
        &self,
        output: &Output,
        facts: Option<&Facts>,
        found: &FoundMetadata,
    ) -> Option<String> {
        let (desired, form) = self.outline(output, facts, found)?;
        Some(fields_of(&desired, form.keys()).digest())
    }

    /// The same of a Secret that was read, whose content tells more than who wrote it: what somebody
    /// else wrote as we would have is as wanted, too.
    #[must_use]
    pub fn is_right(&self, output: &Output, facts: Option<&Facts>, found: &FoundSecret) -> bool {
        let Some((desired, form)) = self.outline(output, facts, &found.metadata) else {
            return false;
        };
        let fields = fields_of(&desired, form.keys());
        let nothing_left = found
            .owned_fields
            .as_ref()
            .is_some_and(|owned| owned.is_within(&fields));
        found.metadata.carries(&desired) && found.intact().is_some() && nothing_left
    }

    /// All of the Secret but its content; `None` where that was rendered for something else.
    fn outline(
        &self,
        output: &Output,
        facts: Option<&Facts>,
        found: &FoundMetadata,
    ) -> Option<(DesiredSecret, Form)> {
        let marks = found.marks.clone()?;
        let facts = facts.filter(|facts| facts.cluster_id == marks.issue.cluster_id);
        let form = Form::parse(&marks.form)?;
        let outline = is_rendered_for(&marks, &form, output, facts).then(|| {
            self.with(
                output,
                facts,
                &found.labels.to_map(),
                marks,
                Contents::default(),
            )
        })?;
        Some((outline, form))
    }

    fn with(
        &self,
        output: &Output,
        facts: Option<&Facts>,
        present: &BTreeMap<String, String>,
        marks: Marks,
        contents: Contents,
    ) -> DesiredSecret {
        let format = format_of(output.format);
        let mut labels = output.labels.clone();
        if format.has_fact_labels() {
            labels.extend(match facts {
                Some(facts) => facts.labels(present),
                None => present_labels(present),
            });
        }
        labels.extend(format.labels(output));
        labels.insert(MANAGED_BY_LABEL.to_string(), MANAGED_BY.to_string());
        labels.insert(ACCESS_LABEL.to_string(), self.owner.name.clone());
        let mut annotations = output.annotations.clone();
        annotations.extend(marks.annotations(false));
        let owned = self.deletion_policy == DeletionPolicy::Delete && !output.adopt;
        DesiredSecret {
            namespace: self.namespace.clone(),
            name: output.secret_name.clone(),
            secret_type: format.secret_type().to_string(),
            labels,
            annotations,
            owner: owned.then(|| self.owner.clone()),
            marks,
            contents,
        }
    }
}

/// Whether content with these marks was rendered from what `output` and `facts` say now.
fn is_rendered_for(marks: &Marks, form: &Form, output: &Output, facts: Option<&Facts>) -> bool {
    form.format == output.format
        && facts.is_none_or(|facts| rendering_hash(output, facts) == marks.rendering())
}

/// A Secret as it is to be.
#[derive(Clone, Debug)]
pub struct DesiredSecret {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `type`.
    pub secret_type: String,
    /// Labels, ours and the user's.
    pub labels: BTreeMap<String, String>,
    /// Annotations, ours and the user's.
    pub annotations: BTreeMap<String, String>,
    /// The access that owns it; `None` where it is to outlive the access.
    pub owner: Option<Owner>,
    /// Its marks; contained in the annotations.
    pub marks: Marks,
    /// Keys and values.
    pub contents: Contents,
}

impl DesiredSecret {
    /// The Secret as it was found, without owner reference and marks of ownership. The data stays in
    /// it: an apply of less would delete the keys. `None` for a Secret without marks.
    #[must_use]
    pub fn released(found: &FoundSecret) -> Option<Self> {
        let metadata = &found.metadata;
        let marks = metadata.marks.clone()?;
        let form = Form::parse(&marks.form)?;
        let mut labels = metadata.labels.to_map();
        labels.remove(ACCESS_LABEL);
        let kept = marks.annotations(true);
        let mut annotations = metadata.annotations();
        annotations
            .retain(|key, _| !key.starts_with("doclusteraccess.dev/") || kept.contains_key(key));
        Some(Self {
            namespace: metadata.namespace.to_string(),
            name: metadata.name.to_string(),
            secret_type: found.secret_type.clone(),
            labels,
            annotations,
            owner: None,
            marks,
            contents: found.contents.restricted_to(form.keys()),
        })
    }

    /// The body of a server-side apply. `precondition` names fields of `metadata` that the API
    /// server compares: `resourceVersion`, `uid`.
    #[must_use]
    pub fn apply_body(&self, precondition: &[(&str, &str)]) -> Value {
        let data: BTreeMap<_, _> = self
            .contents
            .iter()
            .map(|(key, value)| (key, BASE64_STANDARD.encode(value)))
            .collect();
        let mut metadata = json!({
            "namespace": self.namespace,
            "name": self.name,
            "labels": self.labels,
            "annotations": self.annotations,
        });
        if let Some(owner) = &self.owner {
            metadata["ownerReferences"] = json!([{
                "apiVersion": "doclusteraccess.dev/v1alpha1",
                "kind": "DOClusterAccess",
                "name": owner.name,
                "uid": owner.uid,
                "controller": true,
            }]);
        }
        for (field, value) in precondition {
            metadata[*field] = json!(value);
        }
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": self.secret_type,
            "data": data,
        })
    }
}
