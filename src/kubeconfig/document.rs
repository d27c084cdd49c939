//! Reading: the document's shape, and what in it is refused.

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Kubeconfig, KubeconfigError, MAX_BYTES, Part, Refused};
use crate::credential::EncodedCredential;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    #[serde(rename = "apiVersion")]
    api_version: Option<String>,
    kind: Option<String>,
    clusters: Option<Vec<NamedCluster>>,
    users: Option<Vec<NamedUser>>,
    contexts: Option<Vec<NamedContext>>,
    current_context: Option<String>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: Option<String>,
    cluster: Option<Cluster>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: Option<String>,
    user: Option<User>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: Option<String>,
    context: Option<Context>,
}

#[derive(Deserialize)]
struct Context {
    cluster: Option<String>,
    user: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: Option<String>,
    certificate_authority_data: Option<String>,
    certificate_authority: Option<IgnoredAny>,
    insecure_skip_tls_verify: Option<bool>,
    proxy_url: Option<IgnoredAny>,
    tls_server_name: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<IgnoredAny>,
    client_certificate: Option<IgnoredAny>,
    client_key: Option<IgnoredAny>,
    username: Option<IgnoredAny>,
    password: Option<IgnoredAny>,
    exec: Option<IgnoredAny>,
    auth_provider: Option<IgnoredAny>,
    r#as: Option<IgnoredAny>,
    as_uid: Option<IgnoredAny>,
    as_groups: Option<IgnoredAny>,
    as_user_extra: Option<IgnoredAny>,
}

pub(super) fn parse(text: &str) -> Result<Kubeconfig, KubeconfigError> {
    if text.len() > MAX_BYTES {
        return Err(KubeconfigError::TooLong);
    }
    // The reader's own message is dropped: it can quote the document, and so a secret.
    let document: Document = serde_saphyr::from_str_with_options(text, reader_options())
        .map_err(|_| KubeconfigError::NotAKubeconfig)?;
    document.check_kind()?;
    document.take()
}

/// No aliases and no merge keys: what is checked is what is written there.
fn reader_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_nodes: 4096,
            max_events: 16_384,
            max_aliases: 0,
        },
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        with_snippet: false,
    }
}

impl Document {
    fn check_kind(&self) -> Result<(), KubeconfigError> {
        let is = |found: &Option<String>, expected: &str| {
            found.as_deref().is_none_or(|found| found == expected)
        };
        if is(&self.kind, "Config") && is(&self.api_version, "v1") {
            Ok(())
        } else {
            Err(KubeconfigError::NotAKubeconfig)
        }
    }

    fn take(self) -> Result<Kubeconfig, KubeconfigError> {
        let current = name(self.current_context, Part::CurrentContext)?;
        let entry = only(self.contexts, Part::Context)?;
        let context_name = name(entry.name, Part::Context)?;
        let context = entry
            .context
            .ok_or(KubeconfigError::Missing(Part::Context))?;
        let entry = only(self.clusters, Part::Cluster)?;
        let cluster_name = name(entry.name, Part::Cluster)?;
        let cluster = entry
            .cluster
            .ok_or(KubeconfigError::Missing(Part::Cluster))?;
        let entry = only(self.users, Part::User)?;
        let user_name = name(entry.name, Part::User)?;
        let user = entry.user.ok_or(KubeconfigError::Missing(Part::User))?;

        refers(&current, &context_name, Part::Context)?;
        refers(
            &context.cluster.unwrap_or_default(),
            &cluster_name,
            Part::Cluster,
        )?;
        refers(&context.user.unwrap_or_default(), &user_name, Part::User)?;
        cluster.check()?;
        user.check()?;
        let credential = EncodedCredential {
            server: cluster.server,
            certificate_authority_data: cluster.certificate_authority_data,
            token: user.token.map(SecretString::from),
            client_certificate_data: user.client_certificate_data,
            client_key_data: user.client_key_data.map(SecretString::from),
        };
        Ok(Kubeconfig {
            context: context_name,
            credential: credential.decode()?,
        })
    }
}

impl Cluster {
    fn check(&self) -> Result<(), KubeconfigError> {
        refuse(&[
            (
                self.certificate_authority.is_some(),
                Refused::CertificateAuthorityFile,
            ),
            (
                self.insecure_skip_tls_verify == Some(true),
                Refused::InsecureSkipTlsVerify,
            ),
            (self.proxy_url.is_some(), Refused::ProxyUrl),
            (self.tls_server_name.is_some(), Refused::TlsServerName),
        ])
    }
}

impl User {
    fn check(&self) -> Result<(), KubeconfigError> {
        refuse(&[
            (self.exec.is_some(), Refused::Exec),
            (self.auth_provider.is_some(), Refused::AuthProvider),
            (self.token_file.is_some(), Refused::TokenFile),
            (
                self.client_certificate.is_some(),
                Refused::ClientCertificateFile,
            ),
            (self.client_key.is_some(), Refused::ClientCertificateFile),
            (self.username.is_some(), Refused::BasicAuthentication),
            (self.password.is_some(), Refused::BasicAuthentication),
            (self.r#as.is_some(), Refused::Impersonation),
            (self.as_uid.is_some(), Refused::Impersonation),
            (self.as_groups.is_some(), Refused::Impersonation),
            (self.as_user_extra.is_some(), Refused::Impersonation),
        ])
    }
}

fn refuse(fields: &[(bool, Refused)]) -> Result<(), KubeconfigError> {
    match fields.iter().find(|(present, _)| *present) {
        Some((_, field)) => Err(KubeconfigError::Refused(*field)),
        None => Ok(()),
    }
}

fn only<T>(entries: Option<Vec<T>>, part: Part) -> Result<T, KubeconfigError> {
    let mut entries = entries.unwrap_or_default().into_iter();
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry),
        (None, _) => Err(KubeconfigError::Missing(part)),
        (Some(_), Some(_)) => Err(KubeconfigError::MoreThanOne(part)),
    }
}

fn name(name: Option<String>, part: Part) -> Result<String, KubeconfigError> {
    name.filter(|name| !name.is_empty())
        .ok_or(KubeconfigError::Missing(part))
}

fn refers(reference: &str, name: &str, part: Part) -> Result<(), KubeconfigError> {
    if reference == name {
        Ok(())
    } else {
        Err(KubeconfigError::DanglingReference(part))
    }
}
