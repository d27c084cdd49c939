//! Answers without what differs from run to run.

use serde_json::{Map, Value, json};

/// Numbers UIDs and versions as they are first seen.
pub(super) struct Normaliser {
    namespace: String,
    uids: Vec<String>,
    versions: Vec<String>,
    newest: u64,
}

impl Normaliser {
    pub(super) fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            uids: Vec::new(),
            versions: Vec::new(),
            newest: 0,
        }
    }

    pub(super) fn normalise(&mut self, answer: Value) -> Value {
        self.learn(&answer, false);
        self.value("", answer)
    }

    /// Takes note of UIDs and versions of objects. The version of a list or a bookmark is that of the whole API
    /// server, which others write to.
    fn learn(&mut self, value: &Value, is_bookmark: bool) {
        let bookmark = is_bookmark || value["type"] == "BOOKMARK";
        if let Some(metadata) = value["metadata"].as_object() {
            if let Some(uid) = metadata.get("uid").and_then(Value::as_str)
                && !self.uids.iter().any(|known| known == uid)
            {
                self.uids.push(uid.to_owned());
            }
            let is_list = value["items"].is_array();
            if let Some(version) = metadata.get("resourceVersion").and_then(Value::as_str)
                && !is_list
                && !bookmark
                && !self.versions.iter().any(|known| known == version)
            {
                self.versions.push(version.to_owned());
                self.newest = self.newest.max(version.parse().unwrap());
            }
        }
        let inner: Vec<&Value> = match value {
            Value::Object(object) => object.values().collect(),
            Value::Array(array) => array.iter().collect(),
            _ => Vec::new(),
        };
        for value in inner {
            self.learn(value, bookmark);
        }
    }

    fn value(&self, key: &str, value: Value) -> Value {
        match value {
            Value::Object(object) => self.object(object),
            Value::Array(items) if matches!(key, "managedFields" | "causes") => {
                let mut items: Vec<_> =
                    items.into_iter().map(|item| self.value("", item)).collect();
                // The order of the former depends on the second in which each was written, that of the latter on chance.
                items.sort_by_key(Value::to_string);
                items.into()
            }
            Value::Array(items) => items
                .into_iter()
                .map(|item| self.value("item", item))
                .collect(),
            Value::String(text) => self.string(key, &text),
            other => other,
        }
    }

    fn object(&self, mut object: Map<String, Value>) -> Value {
        let is_bookmark = object.get("type").is_some_and(|kind| kind == "BOOKMARK");
        let is_list = object.get("items").is_some_and(Value::is_array);
        if is_bookmark || is_list {
            let metadata = if is_bookmark {
                &mut object["object"]["metadata"]
            } else {
                &mut object["metadata"]
            };
            let version = metadata["resourceVersion"]
                .as_str()
                .and_then(|text| text.parse::<u64>().ok());
            let is_new = version.is_some_and(|version| version >= self.newest);
            metadata["resourceVersion"] = json!(if is_new { "<current>" } else { "<old>" });
        }
        if let Some(items) = object.get_mut("items").and_then(Value::as_array_mut) {
            // Lists of built-in kinds leave the type of their items out.
            for item in items.iter_mut().filter_map(Value::as_object_mut) {
                item.remove("apiVersion");
                item.remove("kind");
            }
        }
        let entries = object
            .into_iter()
            .map(|(key, value)| (self.text(&key), self.value(&key, value)));
        Value::Object(entries.collect())
    }

    fn string(&self, key: &str, text: &str) -> Value {
        match key {
            "creationTimestamp" | "deletionTimestamp" | "time" => "<time>".into(),
            "continue" if !text.is_empty() => "<continue>".into(),
            _ => self.text(text).into(),
        }
    }

    /// Text with what differs replaced wherever it stands.
    pub(super) fn text(&self, text: &str) -> String {
        let mut text = text.replace(&self.namespace, "<namespace>");
        for (number, uid) in self.uids.iter().enumerate() {
            text = text.replace(uid, &format!("<uid {number}>"));
        }
        let versions = self.versions.iter().enumerate();
        for (number, version) in versions {
            text = replace_number(&text, version, &format!("<version {number}>"));
        }
        if let Some((sentence, _)) = text.split_once("too old resource version: ") {
            text = format!("{sentence}too old resource version: …");
        }
        if let Some((sentence, _)) = text.split_once(", current: ") {
            text = format!("{sentence}, current: …");
        }
        if text.contains("\n- ") {
            // Conflicts come in the order of what they name, UIDs included.
            let mut lines: Vec<_> = text.lines().collect();
            lines.sort_unstable();
            text = lines.join("\n");
        }
        if let Some((before, after)) = text.split_once("continue=") {
            let rest = after.split_once(['&', ' ']).map_or("", |(_, rest)| rest);
            text = format!("{before}continue=… {rest}");
        }
        text
    }
}

/// Replaces a number where it stands alone.
fn replace_number(text: &str, number: &str, replacement: &str) -> String {
    let parts: Vec<_> = text.split(number).collect();
    let mut replaced = parts[0].to_owned();
    for part in &parts[1..] {
        let joined = |character: Option<char>| {
            character.is_some_and(|character| character.is_ascii_alphanumeric() || character == '-')
        };
        let alone = !joined(replaced.chars().last()) && !joined(part.chars().next());
        replaced.push_str(if alone { replacement } else { number });
        replaced.push_str(part);
    }
    replaced
}
