//! The document of get_kubeconfig.

use secrecy::ExposeSecret;
use serde_json::Value;

use super::credential::is_sound;
use super::secrecy::{CANARY, hides, logging_none, shows_no_secret};
use crate::kubeconfig::{ContextName, Kubeconfig, MAX_BYTES, parse, render};

/// Fields of a user that no accepted document has with a value.
const NEVER_IN_USER: [&str; 11] = [
    "exec",
    "auth-provider",
    "tokenFile",
    "client-certificate",
    "client-key",
    "username",
    "password",
    "as",
    "as-uid",
    "as-groups",
    "as-user-extra",
];

/// Fields of a cluster that no accepted document has with a value.
const NEVER_IN_CLUSTER: [&str; 3] = ["certificate-authority", "proxy-url", "tls-server-name"];

/// Reads `text` as a kubeconfig. True when it was accepted.
pub(crate) fn check(text: &str) -> bool {
    let kubeconfig = match logging_none(&[CANARY], || parse(text)) {
        Ok(kubeconfig) => kubeconfig,
        Err(error) => {
            shows_no_secret(&error);
            return false;
        }
    };
    assert!(text.len() <= MAX_BYTES);
    assert!(!kubeconfig.context().is_empty());
    let credential = kubeconfig.credential();
    is_sound(credential);
    let public = [kubeconfig.context(), credential.server()];
    hides(credential, &format!("{kubeconfig:?}"), &public);
    if let Ok(read) = serde_saphyr::from_str::<Value>(text) {
        is_plain(&read);
    }
    is_written_and_read(&kubeconfig);
    true
}

/// What is accepted is written, is read as what it was, and has nothing else in it.
fn is_written_and_read(kubeconfig: &Kubeconfig) {
    let name = ContextName::new("nyc1", kubeconfig.context());
    let written = render(&name, kubeconfig.credential());
    let again = parse(written.expose_secret()).expect("what is written is read");
    assert_eq!(again.context(), name.to_string());
    assert_eq!(again.credential(), kubeconfig.credential());
    let rewritten = render(&name, again.credential());
    assert_eq!(rewritten.expose_secret(), written.expose_secret());
    let read: Value = serde_saphyr::from_str(written.expose_secret()).expect("YAML");
    is_plain(&read);
    let fields = |path: &str| -> Vec<&str> {
        let object = read.pointer(path).and_then(Value::as_object);
        object.expect(path).keys().map(String::as_str).collect()
    };
    let has = |path: &str, expected: &[&str]| {
        let mut found = fields(path);
        found.sort_unstable();
        found == expected
    };
    assert!(has(
        "",
        &[
            "apiVersion",
            "clusters",
            "contexts",
            "current-context",
            "kind",
            "preferences",
            "users"
        ]
    ));
    assert!(has(
        "/clusters/0/cluster",
        &["certificate-authority-data", "server"]
    ));
    assert!(has("/contexts/0/context", &["cluster", "user"]));
    let certificate = ["client-certificate-data", "client-key-data"];
    assert!(has("/users/0/user", &["token"]) || has("/users/0/user", &certificate));
}

/// One cluster, user and context, with inline data alone, by a reader that knows no fields.
fn is_plain(document: &Value) {
    for list in ["clusters", "users", "contexts"] {
        let entries = document[list].as_array().map(Vec::len);
        assert_eq!(entries, Some(1), "{list}");
    }
    let current = document["current-context"].as_str();
    assert_eq!(current, document["contexts"][0]["name"].as_str());
    let cluster = &document["clusters"][0]["cluster"];
    let user = &document["users"][0]["user"];
    for field in NEVER_IN_USER {
        assert!(user[field].is_null(), "{field}");
    }
    for field in NEVER_IN_CLUSTER {
        assert!(cluster[field].is_null(), "{field}");
    }
    // Other readers see a word where ours sees a truth value; `false` is nothing to obey.
    let insecure = &cluster["insecure-skip-tls-verify"];
    let word = insecure.as_str().unwrap_or_default().to_ascii_lowercase();
    assert!(*insecure != Value::Bool(true));
    assert!(!["true", "yes", "on", "y"].contains(&word.as_str()));
}
