//! Mutations of real documents. A plan is a list of numbers, each of which decides about one change:
//! proptest shortens a plan that breaks a rule to the changes that it takes.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::credential::fixtures::{AUTHORITY, Lifetime};
use crate::credential::to_base64;

/// Which change, and what about it.
type Change = (u8, u32, u32);

/// A handful of changes.
pub(super) fn plan() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(any::<Change>(), 0..5)
}

/// Values that a reader may stumble over.
static VALUES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let texts = [
        "",
        "~",
        "null",
        "no",
        "0x1F",
        "1e5",
        "1e400",
        "*a",
        "&a",
        "!!binary aGk=",
        "<<",
        "\0",
        "\u{feff}",
        "\u{85}",
        "\u{202e}",
        "\u{1f4a5}",
        "\\ud800",
        "\r\n",
        "two words",
        "token\n",
        " ",
        "%",
        "=",
        "[",
        "{",
        "../../etc/passwd",
        "file:///etc/passwd",
        "https://",
        "http://host",
        "https://evil.example.com",
        "https://host:99999",
        "https://host:",
        "https://user@host",
        "https://host?x",
        "https://[::1]:6443/x",
        "HTTPS://HOST",
        "-----BEGIN CERTIFICATE-----",
        "0001-01-01T00:00:00Z",
        "9999-12-30T22:00:00Z",
        "9999-12-31T23:59:60Z",
        "-009999-01-02T00:00:00Z",
        "2026-11-29T09:00:00+25:59",
        "2026-11-29",
        "1795341600",
        "2026-11-29T09:00:00Z[Europe/Berlin]",
        "true",
        "doclusteraccess.dev/access-uid",
        "Kubeconfig",
        "Secret x",
    ];
    let others = [
        Value::Null,
        true.into(),
        false.into(),
        0.into(),
        (-1).into(),
        u64::MAX.into(),
        i64::MIN.into(),
        1e308.into(),
        Value::Array(vec![]),
        Value::Object(Map::new()),
        Value::Array(vec![Value::Null]),
        nested(20),
        nested(100),
        "x".repeat(5000).into(),
    ];
    let texts = texts.into_iter().map(Value::from);
    texts.chain(others).chain(almost_pem()).collect()
});

fn hostile_value(number: u32) -> Value {
    VALUES[number as usize % VALUES.len()].clone()
}

/// Base64 of what is almost PEM.
fn almost_pem() -> impl Iterator<Item = Value> {
    let sound = AUTHORITY.pem();
    let key = AUTHORITY.issue("x", &Lifetime::CURRENT).key.serialize_pem();
    let with = |from: &str, to: &str| sound.replace(from, to);
    let all = [
        sound.clone(),
        with("-----END CERTIFICATE-----", "-----END PRIVATE KEY-----"),
        with("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE"),
        with(
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----x",
        ),
        with(
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-x-----",
        ),
        with(
            "-----BEGIN CERTIFICATE-----",
            " -----BEGIN CERTIFICATE-----",
        ),
        with("-----END CERTIFICATE-----", "-----END CERTIFICATE"),
        with("-----END CERTIFICATE-----", "-----END CERTIFICATE-----x"),
        with("\n", "\r\n"),
        with("\n", ""),
        with("\n", "\n\n"),
        with("MII", "Proc-Type: 4,ENCRYPTED\n\nMII"),
        with("=", ""),
        format!("\0{sound}\0"),
        format!("# of DigitalOcean\n{sound}"),
        format!("{sound}{sound}"),
        format!("{sound}{key}"),
        format!("{key}{sound}"),
        format!("{sound}-----BEGIN CERTIFICATE-----\n"),
        format!("-----BEGIN CERTIFICATE-----\n{sound}"),
        format!("{sound}-----END CERTIFICATE-----\n"),
        key.clone(),
        key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
        key.replace("PRIVATE KEY", "PUBLIC KEY"),
        key.replace("PRIVATE KEY", "RSA PRIVATE KEY"),
    ];
    all.into_iter().map(|text| to_base64(&text).into())
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]))
}

/// The first keys of the list below are fields of a cluster or a user.
const FIELDS: u32 = 18;

fn hostile_key(number: u32) -> &'static str {
    let keys = [
        "exec",
        "auth-provider",
        "tokenFile",
        "token",
        "client-key-data",
        "client-certificate-data",
        "client-certificate",
        "client-key",
        "certificate-authority",
        "certificate-authority-data",
        "proxy-url",
        "insecure-skip-tls-verify",
        "tls-server-name",
        "server",
        "as",
        "as-groups",
        "username",
        "password",
        "<<",
        "name",
        "Token",
        "metadata",
        "annotations",
        "labels",
        "expires_at",
        "",
        "\0",
        "spec",
        "status",
        "cluster",
        "user",
        "kind",
        "apiVersion",
        "f:data",
        ".",
        "type",
        "data",
        "id",
        "total",
        "next",
    ];
    keys[number as usize % keys.len()]
}

/// Every node below `value`, as pointers.
fn nodes(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    let escape = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(fields) => {
            for (key, child) in fields {
                nodes(child, &format!("{path}/{}", escape(key)), found);
            }
        }
        Value::Array(items) => {
            for (index, child) in items.iter().enumerate() {
                nodes(child, &format!("{path}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// Every way to give the cluster or the user of a kubeconfig one of the fields that mean something there.
pub(super) fn poisoned(document: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    for place in ["/clusters/0/cluster", "/users/0/user"] {
        for (field, value) in
            (0..FIELDS).flat_map(|field| VALUES.iter().map(move |value| (field, value)))
        {
            let mut poisoned = document.clone();
            poisoned.pointer_mut(place).expect(place)[hostile_key(field)] = value.clone();
            all.push(poisoned);
        }
    }
    all
}

/// One change of the structure.
fn change(document: &mut Value, (kind, place, what): Change) {
    let mut paths = Vec::new();
    nodes(document, "", &mut paths);
    let at = |number: u32| &paths[number as usize % paths.len()];
    let other = document.pointer(at(what)).cloned().unwrap_or_default();
    let path = at(place);
    let Some(node) = document.pointer_mut(path) else {
        return;
    };
    match kind % 8 {
        0 | 1 => *node = hostile_value(what),
        2 => *node = other,
        3 => *node = Value::Array(vec![node.take()]),
        4 => match node {
            Value::Array(items) => items.push(hostile_value(what)),
            Value::Object(fields) => {
                fields.insert(hostile_key(what).to_owned(), hostile_value(place));
            }
            _ => *node = Value::Object(Map::from_iter([("x".to_owned(), node.take())])),
        },
        5 => match node {
            Value::Array(items) => items.extend(items.clone()),
            Value::Object(fields) => {
                let key = fields
                    .keys()
                    .nth(what as usize % fields.len().max(1))
                    .cloned();
                key.and_then(|key| fields.remove(&key));
            }
            Value::String(text) => text.push_str(hostile_key(what)),
            _ => *node = Value::Null,
        },
        6 => {
            if let Value::Object(fields) = node
                && let Some(key) = fields
                    .keys()
                    .nth(what as usize % fields.len().max(1))
                    .cloned()
                && let Some(value) = fields.remove(&key)
            {
                fields.insert(hostile_key(place).to_owned(), value);
            }
        }
        _ => {
            if let Value::String(text) = node {
                let shorter: String = text.chars().skip(what as usize % 7).collect();
                *text = shorter;
            }
        }
    }
}

/// The document with its structure changed.
pub(super) fn restructured(mut document: Value, plan: &[Change]) -> Value {
    for step in plan {
        change(&mut document, *step);
    }
    document
}

const FRAGMENTS: [&str; 40] = [
    "&a ",
    "*a",
    "!!binary ",
    "!!str ",
    "!<x> ",
    "<<: *a\n",
    "<<: {exec: {}}\n",
    "---\n",
    "...\n",
    "\t",
    "\u{85}",
    "\0",
    "\u{feff}",
    "{",
    "[",
    "}",
    "]",
    "\"",
    "'",
    "|\n",
    ">-\n",
    "? ",
    "%TAG ! x\n",
    "\\ud800",
    "1e400",
    ": ",
    ",",
    "\n",
    "\r",
    "- ",
    "exec: {command: sh}\n",
    "\"token\":\"x\",",
    "\"expires_at\":1e400,",
    "null",
    "#",
    "\u{2028}",
    "retry-after: -1\n",
    "date: Sun, 31 Dec 9999 23:59:60 GMT\n",
    "ratelimit-reset: 9223372036854775807\n",
    "ratelimit-remaining: 0\n",
];

/// The text with its bytes changed.
pub(super) fn rewritten(mut text: Vec<u8>, plan: &[Change]) -> Vec<u8> {
    for (kind, place, what) in plan {
        let at = *place as usize % (text.len() + 1);
        let line_end = |from: usize| {
            let end = text[from..].iter().position(|byte| *byte == b'\n');
            end.map_or(text.len(), |end| from + end + 1)
        };
        let fragment = FRAGMENTS[*what as usize % FRAGMENTS.len()].as_bytes();
        match kind % 8 {
            0 => text.truncate(at),
            1 | 2 => drop(text.splice(at..at, fragment.iter().copied())),
            3 => {
                // At the start of a line, where a fragment of YAML or a header is one.
                let at = line_end(at);
                drop(text.splice(at..at, fragment.iter().copied()));
            }
            4 => {
                let from = line_end(at);
                let line = text[from..line_end(from)].to_vec();
                drop(text.splice(from..from, line));
            }
            5 => {
                let from = line_end(at);
                drop(text.drain(from..line_end(from)));
            }
            6 => {
                if let Some(byte) = text.get_mut(at) {
                    *byte ^= u8::try_from(*what % 255 + 1).unwrap_or(1);
                }
            }
            _ => {
                let end = (at + *what as usize % 40).min(text.len());
                let part = text[at..end].repeat(3);
                drop(text.splice(at..end, part));
            }
        }
    }
    text
}
