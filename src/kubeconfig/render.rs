//! Writing: a fixed text with quoted values.

use std::fmt::Write;

use secrecy::ExposeSecret;

use crate::credential::EncodedCredential;

/// `name` is that of the context and the cluster; the user's has `-admin` after it.
pub(super) fn render(name: &str, credential: &EncodedCredential) -> String {
    let user = quoted(&format!("{name}-admin"));
    let name = quoted(name);
    let server = quoted(credential.server.as_deref().unwrap_or_default());
    let authority = quoted(
        credential
            .certificate_authority_data
            .as_deref()
            .unwrap_or_default(),
    );
    let authentication = authentication(credential);
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: {name}\n  \
           cluster:\n    \
             server: {server}\n    \
             certificate-authority-data: {authority}\n\
         users:\n\
         - name: {user}\n  \
           user:\n\
         {authentication}\
         contexts:\n\
         - name: {name}\n  \
           context:\n    \
             cluster: {name}\n    \
             user: {user}\n\
         current-context: {name}\n\
         preferences: {{}}\n"
    )
}

fn authentication(credential: &EncodedCredential) -> String {
    let mut lines = String::new();
    let mut line = |field: &str, value: Option<&str>| {
        if let Some(value) = value {
            lines.push_str("    ");
            lines.push_str(field);
            lines.push_str(": ");
            lines.push_str(&quoted(value));
            lines.push('\n');
        }
    };
    line(
        "token",
        credential.token.as_ref().map(ExposeSecret::expose_secret),
    );
    line(
        "client-certificate-data",
        credential.client_certificate_data.as_deref(),
    );
    line(
        "client-key-data",
        credential
            .client_key_data
            .as_ref()
            .map(ExposeSecret::expose_secret),
    );
    lines
}

/// A double-quoted YAML scalar, the same string to readers of YAML 1.1 and 1.2.
///
/// Always quoted: readers differ in which plain scalars are numbers, booleans or dates (`1e5`,
/// `no`, `1:30`), so a name or token that looks like one would change its type.
fn quoted(text: &str) -> String {
    let mut scalar = String::with_capacity(text.len() + 2);
    scalar.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => scalar.extend(['\\', character]),
            ' '..='~' => scalar.push(character),
            // Everything else escaped: readers differ on line separators and control characters.
            // Eight digits, since a pair of surrogates (as in JSON) is refused by Go's reader.
            // Writing to a String cannot fail.
            _ => _ = write!(scalar, "\\U{:08X}", u32::from(character)),
        }
    }
    scalar.push('"');
    scalar
}
