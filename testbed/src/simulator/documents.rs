//! The documents of the API: credentials, kubeconfig and list, honest or altered by a fault.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::authority::CertificateAndKey;
use super::cluster::{CertificateExpiry, Cluster, Sso};
use super::fault::{BrokenAuthority, ExpiresAt, FaultKind, KubeconfigDefect};

/// What a user authenticates with.
pub(crate) enum Secret {
    Token(String),
    Certificate {
        pair: CertificateAndKey,
        reported: CertificateExpiry,
    },
    /// Single sign-on, by a plugin.
    Exec(Sso),
}

/// All that credentials and kubeconfig are made of.
pub(crate) struct Access<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) server: String,
    /// Base64 of PEM; absent by a fault alone.
    pub(crate) authority: Option<String>,
    pub(crate) secret: Secret,
    pub(crate) expires_at: Timestamp,
}

pub(crate) fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// A time with nine fractional digits, as DigitalOcean prints it.
fn nanoseconds(time: Timestamp) -> String {
    format!("{time:.9}")
}

impl Access<'_> {
    /// Lets a fault tell another server or certificate authority.
    pub(crate) fn alter(&mut self, fault: &FaultKind) {
        match fault {
            FaultKind::Server(server) => self.server.clone_from(server),
            FaultKind::PlainHttpServer => {
                self.server = self.server.replacen("https://", "http://", 1);
            }
            FaultKind::CertificateAuthority(broken) => {
                self.authority = match broken {
                    BrokenAuthority::NotBase64 => Some("%%% this is not base64 %%%".to_owned()),
                    BrokenAuthority::NotPem => Some(base64("this is not PEM")),
                    BrokenAuthority::Absent => None,
                }
            }
            _ => {}
        }
    }

    /// The document of GET credentials.
    pub(crate) fn credentials(&self, fault: Option<&FaultKind>, now: Timestamp) -> Value {
        let mut document = Map::new();
        document.insert("server".to_owned(), json!(self.server));
        if let Some(authority) = &self.authority {
            document.insert("certificate_authority_data".to_owned(), json!(authority));
        }
        match &self.secret {
            Secret::Token(token) => {
                document.insert("client_certificate_data".to_owned(), Value::Null);
                document.insert("client_key_data".to_owned(), Value::Null);
                document.insert("token".to_owned(), json!(token));
                document.insert("expires_at".to_owned(), json!(nanoseconds(self.expires_at)));
            }
            Secret::Certificate { pair, reported } => {
                let certificate = json!(base64(&pair.certificate));
                document.insert("client_certificate_data".to_owned(), certificate);
                document.insert("client_key_data".to_owned(), json!(base64(&pair.key)));
                match reported {
                    CertificateExpiry::Absent => None,
                    CertificateExpiry::Null => Some(Value::Null),
                    CertificateExpiry::NotAfter => Some(json!(nanoseconds(self.expires_at))),
                }
                .and_then(|expiry| document.insert("expires_at".to_owned(), expiry));
            }
            Secret::Exec(_) => {}
        }
        match fault {
            Some(FaultKind::NoCredential) => {
                for field in ["token", "client_certificate_data", "client_key_data"] {
                    document.remove(field);
                }
            }
            Some(FaultKind::ExpiresAt(value)) => set_expires_at(&mut document, *value, now),
            _ => {}
        }
        Value::Object(document)
    }

    /// The document of GET kubeconfig, as YAML.
    pub(crate) fn kubeconfig(&self, fault: Option<&FaultKind>) -> Result<String, String> {
        let name = format!("do-{}-{}", self.cluster.region, self.cluster.name);
        let user_name = format!("{name}-admin");
        let mut cluster = json!({ "server": self.server });
        if let Some(authority) = &self.authority {
            cluster["certificate-authority-data"] = json!(authority);
        }
        let mut document = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "preferences": {},
            "clusters": [{ "name": name, "cluster": cluster }],
            "contexts": [{ "name": name, "context": { "cluster": name, "user": user_name } }],
            "current-context": name,
            "users": [{ "name": user_name, "user": self.user() }],
        });
        if let Some(FaultKind::Kubeconfig(defect)) = fault {
            match defect {
                KubeconfigDefect::NotYaml => return Ok("kind: [Config\n\t: }{ \"\n".to_owned()),
                KubeconfigDefect::NotAKubeconfig => return Ok("just a sentence\n".to_owned()),
                _ => spoil(&mut document, *defect),
            }
        }
        // One line for each value, as DigitalOcean prints it.
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        serde_saphyr::to_string_with_options(&document, options).map_err(|error| error.to_string())
    }

    fn user(&self) -> Value {
        match &self.secret {
            Secret::Token(token) => json!({ "token": token }),
            Secret::Certificate { pair, .. } => json!({
                "client-certificate-data": base64(&pair.certificate),
                "client-key-data": base64(&pair.key),
            }),
            Secret::Exec(sso) => json!({ "exec": {
                "apiVersion": "client.authentication.k8s.io/v1beta1",
                "command": "doctl",
                "args": [
                    "kubernetes", "cluster", "kubeconfig", "exec-credential",
                    "--version=v1beta1",
                    format!("--issuer-url={}", sso.issuer_url),
                    format!("--client-id={}", sso.client_id),
                    self.cluster.id,
                ],
                "env": null,
                "interactiveMode": "IfAvailable",
                "provideClusterInfo": false,
            }}),
        }
    }
}

fn set_expires_at(document: &mut Map<String, Value>, value: ExpiresAt, now: Timestamp) {
    let value = match value {
        ExpiresAt::Absent => {
            document.remove("expires_at");
            return;
        }
        ExpiresAt::Null => Value::Null,
        ExpiresAt::YearOne => json!("0001-01-01T00:00:00Z"),
        ExpiresAt::Past => json!(nanoseconds(now - SignedDuration::from_hours(1))),
        ExpiresAt::Unparsable => json!("next Tuesday"),
        ExpiresAt::Empty => json!(""),
    };
    document.insert("expires_at".to_owned(), value);
}

/// Makes a kubeconfig what nobody should put into a Secret.
fn spoil(document: &mut Value, defect: KubeconfigDefect) {
    let duplicate = |list: &mut Value| {
        let mut copy = list[0].clone();
        copy["name"] = json!("second");
        if let Some(list) = list.as_array_mut() {
            list.push(copy);
        }
    };
    let user = &mut document["users"][0]["user"];
    match defect {
        KubeconfigDefect::Exec => {
            *user = json!({ "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": "/bin/sh",
                "args": ["-c", "echo pwned"],
                "interactiveMode": "Never",
            }});
        }
        KubeconfigDefect::AuthProvider => {
            *user = json!({ "auth-provider": { "name": "oidc", "config": {} } });
        }
        KubeconfigDefect::TokenFile => *user = json!({ "tokenFile": "/etc/hostname" }),
        KubeconfigDefect::ClientCertificateFile => {
            *user = json!({ "client-certificate": "/tmp/tls.crt", "client-key": "/tmp/tls.key" });
        }
        KubeconfigDefect::NoCredential => *user = json!({}),
        KubeconfigDefect::TwoUsers => duplicate(&mut document["users"]),
        KubeconfigDefect::TwoClusters => duplicate(&mut document["clusters"]),
        KubeconfigDefect::TwoContexts => duplicate(&mut document["contexts"]),
        KubeconfigDefect::CertificateAuthorityFile => {
            let cluster = &mut document["clusters"][0]["cluster"];
            *cluster = json!({
                "server": cluster["server"],
                "certificate-authority": "/etc/ssl/certs/ca.pem",
            });
        }
        KubeconfigDefect::ProxyUrl => {
            document["clusters"][0]["cluster"]["proxy-url"] =
                json!("http://proxy.example.com:3128");
        }
        KubeconfigDefect::InsecureSkipTlsVerify => {
            document["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = json!(true);
        }
        // These replace the whole document.
        KubeconfigDefect::NotYaml | KubeconfigDefect::NotAKubeconfig => {}
    }
}

/// Which part of the list was asked for, and what a fault does to it.
pub(crate) struct ListPage<'a> {
    pub(crate) page: u64,
    pub(crate) per_page: u64,
    /// `per_page` is part of the links when the client sent it.
    pub(crate) per_page_was_sent: bool,
    pub(crate) base_url: &'a str,
    pub(crate) fault: Option<&'a FaultKind>,
}

impl ListPage<'_> {
    /// Which of `total` clusters the page shows.
    pub(crate) fn range(&self, total: usize) -> Range<usize> {
        // A page so far away that its offset does not fit is as empty as any other beyond the last.
        let offset = (self.page - 1).saturating_mul(self.per_page);
        let index = |number: u64| usize::try_from(number).map_or(total, |index| index.min(total));
        let start = index(offset);
        let end = index(offset.saturating_add(self.per_page));
        let missing = match self.fault {
            Some(FaultKind::ShortPage(missing)) => *missing,
            _ => 0,
        };
        start..end.saturating_sub(missing).max(start)
    }

    /// The document of the page; `clusters` are those in its range.
    pub(crate) fn document(&self, clusters: &[Value], total: usize) -> Value {
        let last = (total as u64).div_ceil(self.per_page).max(1);
        let mut document = json!({ "kubernetes_clusters": clusters, "meta": { "total": total } });
        let mut pages = Map::new();
        if self.page > 1 {
            let previous = (self.page - 1).min(last);
            pages.insert("first".to_owned(), json!(self.link(1, self.base_url)));
            pages.insert("prev".to_owned(), json!(self.link(previous, self.base_url)));
        }
        if self.page < last {
            let host = match self.fault {
                Some(FaultKind::ForeignNextLink(host)) => host.trim_end_matches('/'),
                _ => self.base_url,
            };
            pages.insert("next".to_owned(), json!(self.link(self.page + 1, host)));
            pages.insert("last".to_owned(), json!(self.link(last, host)));
        }
        if !pages.is_empty() {
            document["links"] = json!({ "pages": pages });
        }
        document
    }

    fn link(&self, page: u64, base_url: &str) -> String {
        let per_page = if self.per_page_was_sent {
            format!("&per_page={}", self.per_page)
        } else {
            String::new()
        };
        format!("{base_url}/v2/kubernetes/clusters?page={page}{per_page}")
    }
}
