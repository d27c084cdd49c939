//! In which form a Secret was written: its format and its keys. The Secret says so itself, so that a
//! spec which asks for another form finds in it what is there.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::{CustomField, CustomKey, Output, OutputFormat};

use super::Contents;

/// In which form a Secret was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Its format.
    pub format: OutputFormat,
    /// Its keys, in order; with what each holds where the format does not say.
    pub keys: Vec<(String, Option<CustomField>)>,
}

impl Form {
    /// The form that `contents` for `output` have.
    #[must_use]
    pub fn of(output: &Output, contents: &Contents) -> Self {
        let custom: &[CustomKey] = output.keys.as_deref().unwrap_or_default();
        let field = |key: &str| {
            custom
                .iter()
                .find(|custom| custom.key == key)
                .map(|custom| custom.field)
        };
        let keys = contents
            .iter()
            .map(|(key, _)| (key.to_string(), field(key)));
        Self {
            format: output.format,
            keys: keys.collect(),
        }
    }

    /// What [`Display`](fmt::Display) wrote; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let format = from_word(words.next()?)?;
        let keys = words.map(|word| match word.split_once('=') {
            Some((key, field)) => Some((key.to_string(), Some(from_word(field)?))),
            None => Some((word.to_string(), None)),
        });
        Some(Self {
            format,
            keys: keys.collect::<Option<_>>()?,
        })
    }

    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(key, _)| key.as_str())
    }
}

impl fmt::Display for Form {
    /// `Karmada caBundle token`, `Custom config=Kubeconfig`. No key of a Secret has a blank or `=` in it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&word(self.format))?;
        for (key, field) in &self.keys {
            write!(formatter, " {key}")?;
            if let Some(field) = field {
                write!(formatter, "={}", word(*field))?;
            }
        }
        Ok(())
    }
}

/// A unit variant as it is spelled in the API.
fn word(variant: impl Serialize) -> String {
    match serde_json::to_value(variant) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

fn from_word<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(Value::from(word)).ok()
}
