//! Format `ArgoCD`: the Secret by which Argo CD knows a cluster.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Contents, Facts, Form, Format, Parts, Source};
use crate::api::{ArgoCdOptions, Output};
use crate::credential::EncodedCredential;

const NAME: &str = "name";
const SERVER: &str = "server";
const CONFIG: &str = "config";
const PROJECT: &str = "project";
const NAMESPACES: &str = "namespaces";
const CLUSTER_RESOURCES: &str = "clusterResources";
const SHARD: &str = "shard";
const SECRET_TYPE_LABEL: &str = "argocd.argoproj.io/secret-type";

/// Format `ArgoCD`.
pub(super) struct ArgoCD;

impl Format for ArgoCD {
    fn holds_kubeconfig(&self, _: &Output) -> bool {
        false
    }

    fn labels(&self, _: &Output) -> BTreeMap<String, String> {
        BTreeMap::from([(SECRET_TYPE_LABEL.to_string(), "cluster".to_string())])
    }

    fn has_fact_labels(&self) -> bool {
        true
    }

    fn inputs(&self, output: &Output, facts: &Facts) -> Vec<String> {
        // A name that was kept gives way when nothing says any more that it is to be.
        let kept = output.adopt && chosen_name(output).is_none();
        let name = [name(output, facts, None), format!("kept={kept}")];
        let options = options(output);
        let options = options.iter().map(|(key, value)| format!("{key}={value}"));
        name.into_iter().chain(options).collect()
    }

    fn render(&self, source: &Source<'_>) -> Option<Contents> {
        let credential = &source.material.credential;
        let mut contents = Contents::default();
        contents.insert(NAME, &name(source.output, source.facts, source.present));
        contents.insert(SERVER, credential.server());
        contents.insert_secret(CONFIG, &config(&EncodedCredential::from(credential)));
        for (key, value) in options(source.output) {
            contents.insert(key, &value);
        }
        Some(contents)
    }

    fn read(&self, contents: &Contents, _: &Form) -> Parts {
        let config: Option<Config> = contents
            .get(CONFIG)
            .and_then(|config| serde_json::from_slice(config).ok());
        let Some(config) = config else {
            return Parts::default();
        };
        let decoded = EncodedCredential {
            server: contents.text(SERVER).map(str::to_string),
            certificate_authority_data: Some(config.tls.ca_data),
            client_certificate_data: config.tls.cert_data,
            client_key_data: config.tls.key_data.map(SecretString::from),
            token: config.bearer_token.map(SecretString::from),
        }
        .decode();
        decoded.map_or_else(|_| Parts::default(), |credential| Parts::of_credential(&credential))
    }

    /// Argo CD, which writes the Secret when somebody invalidates its cache of the cluster, writes the
    /// configuration in an order of its own, and leaves out what is false.
    fn canonical(&self, mut contents: Contents) -> Contents {
        // What says something twice means something else to every reader; only this type refuses it.
        let sound = |config: &&[u8]| serde_json::from_slice::<Config>(config).is_ok();
        let config: Option<Value> = contents
            .get(CONFIG)
            .filter(sound)
            .and_then(|config| serde_json::from_slice(config).ok());
        if let Some(mut config) = config {
            config.sort_all_objects();
            contents.insert(CONFIG, &config.to_string());
        }
        if contents.get(CLUSTER_RESOURCES).is_none() {
            contents.insert(CLUSTER_RESOURCES, "false");
        }
        contents
    }
}

/// The name that Argo CD shows: the user's, else, of a Secret that was taken over, the one that
/// applications refer to already, else the cluster's.
fn name(output: &Output, facts: &Facts, present: Option<&Contents>) -> String {
    let kept = || {
        let present = present.filter(|_| output.adopt)?;
        let name = present.text(NAME).filter(|name| !name.is_empty())?;
        Some(name.to_string())
    };
    chosen_name(output)
        .or_else(kept)
        .unwrap_or_else(|| facts.cluster_name.clone())
}

fn chosen_name(output: &Output) -> Option<String> {
    output.argocd.as_ref()?.name.clone()
}

/// The options that are set, as Argo CD spells them.
fn options(output: &Output) -> Vec<(&'static str, String)> {
    let Some(ArgoCdOptions {
        name: _,
        project,
        namespaces,
        cluster_resources,
        shard,
    }) = &output.argocd
    else {
        return Vec::new();
    };
    let joined = namespaces.as_ref().map(|namespaces| namespaces.join(","));
    [
        (PROJECT, project.clone()),
        (NAMESPACES, joined),
        (CLUSTER_RESOURCES, cluster_resources.map(|all| all.to_string())),
        (SHARD, shard.map(|shard| shard.to_string())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
    .collect()
}

/// Argo CD's `ClusterConfig`, as far as it is used here.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bearer_token: Option<String>,
    #[serde(rename = "tlsClientConfig")]
    tls: Tls,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tls {
    #[serde(default)]
    insecure: bool,
    ca_data: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cert_data: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_data: Option<String>,
}

fn config(credential: &EncodedCredential) -> SecretString {
    let exposed = |secret: &Option<SecretString>| {
        secret
            .as_ref()
            .map(|secret| secret.expose_secret().to_string())
    };
    let config = Config {
        bearer_token: exposed(&credential.token),
        tls: Tls {
            insecure: false,
            ca_data: credential
                .certificate_authority_data
                .clone()
                .unwrap_or_default(),
            cert_data: credential.client_certificate_data.clone(),
            key_data: exposed(&credential.client_key_data),
        },
    };
    // Strings and one boolean: there is nothing that JSON could not say.
    serde_json::to_string(&config).unwrap_or_default().into()
}
