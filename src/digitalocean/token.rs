//! The API token, as users really paste it into Secrets.

use std::fmt;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Longer than any token that DigitalOcean issues (71 bytes today) by far.
const LONGEST: usize = 1024;

/// An API token that can be sent: one word of visible ASCII. `Debug` does not show it.
#[derive(Clone)]
pub struct ApiToken {
    secret: SecretString,
    fingerprint: TokenFingerprint,
}

/// Tells API tokens apart without holding one: equal exactly for equal tokens, the same in every
/// process. For keys of maps; not to be shown, since it would confirm a guessed token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenFingerprint([u8; 32]);

/// What is wrong with the bytes of an API token. Each sentence says what to do and holds
/// nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum ApiTokenError {
    /// Nothing but blanks and quotes.
    #[error("the API token is empty: store the token itself under the Secret's key")]
    Empty,
    /// `-n TOKEN`.
    #[error(
        "the API token starts with an option of echo (-n or -e) that the shell wrote into it: store it again, \
         with printf '%s' instead of echo"
    )]
    EchoOption,
    /// `Bearer TOKEN`.
    #[error("the API token starts with \"Bearer\": store the token alone")]
    BearerPrefix,
    /// A `dop_v1_…` that is base64 once more.
    #[error(
        "the API token is encoded in base64 twice: store it under stringData as it is, or under data encoded \
         once"
    )]
    EncodedTwice,
    /// Several lines.
    #[error("the API token has several lines: store the token alone, in one line")]
    SeveralLines,
    /// A blank within.
    #[error("the API token has a blank within it: store the token alone")]
    InnerBlank,
    /// Bytes that are not visible ASCII.
    #[error(
        "the API token has characters that no token has (control characters, or letters beyond ASCII): copy it \
         again, as plain text"
    )]
    NotVisibleAscii,
    /// More than 1024 bytes.
    #[error("the API token is longer than any token: store the token alone")]
    TooLong,
}

impl ApiToken {
    /// Takes an API token out of a Secret's bytes: without the blanks and quotes around it, as
    /// DigitalOcean's own clients do.
    ///
    /// # Errors
    /// When what remains cannot be a token.
    pub fn parse(bytes: &[u8]) -> Result<Self, ApiTokenError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ApiTokenError::NotVisibleAscii)?;
        let token = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\'' || c == '"');
        check(token)?;
        Ok(Self {
            secret: SecretString::from(token),
            fingerprint: TokenFingerprint(Sha256::digest(token).into()),
        })
    }

    /// What tells this token from others.
    #[must_use]
    pub fn fingerprint(&self) -> TokenFingerprint {
        self.fingerprint
    }

    /// The token, to be sent or to be registered for redaction.
    #[must_use]
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// `Bearer <token>`, marked sensitive: HTTP libraries neither log nor index it.
    pub(super) fn authorization(&self) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.secret.expose_secret()))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// The particular mistakes first: their sentences help more than the general ones.
fn check(token: &str) -> Result<(), ApiTokenError> {
    if token.is_empty() {
        return Err(ApiTokenError::Empty);
    }
    if token.len() > LONGEST {
        return Err(ApiTokenError::TooLong);
    }
    if token.contains(['\n', '\r']) {
        return Err(ApiTokenError::SeveralLines);
    }
    if let Some((first, _)) = token.split_once([' ', '\t']) {
        return Err(match first {
            "-n" | "-e" | "-ne" | "-en" => ApiTokenError::EchoOption,
            first if first.eq_ignore_ascii_case("bearer") => ApiTokenError::BearerPrefix,
            _ => ApiTokenError::InnerBlank,
        });
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ApiTokenError::NotVisibleAscii);
    }
    // base64 of dop_v1, doo_v1 and dor_v1.
    if ["ZG9wX3Yx", "ZG9vX3Yx", "ZG9yX3Yx"]
        .iter()
        .any(|prefix| token.starts_with(prefix))
    {
        return Err(ApiTokenError::EncodedTwice);
    }
    Ok(())
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiToken([REDACTED])")
    }
}

impl fmt::Debug for TokenFingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenFingerprint(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "dop_v1_5ecre7c0ffee";

    fn refused(bytes: impl AsRef<[u8]>) -> ApiTokenError {
        ApiToken::parse(bytes.as_ref()).expect_err("refused")
    }

    #[test]
    fn blanks_newlines_and_quotes_around_a_token_are_trimmed() {
        for written in [
            "dop_v1_5ecre7c0ffee",
            "dop_v1_5ecre7c0ffee\n",
            "dop_v1_5ecre7c0ffee\r\n",
            "  dop_v1_5ecre7c0ffee\t",
            "'dop_v1_5ecre7c0ffee'",
            "\"dop_v1_5ecre7c0ffee\"\n",
            " ' dop_v1_5ecre7c0ffee ' ",
        ] {
            let token = ApiToken::parse(written.as_bytes()).expect(written);
            assert_eq!(token.secret().expose_secret(), TOKEN);
        }
    }

    #[test]
    fn nothing_is_empty() {
        for nothing in ["", "\n", "  ", "''", "\"\"\n"] {
            assert_eq!(refused(nothing), ApiTokenError::Empty);
        }
    }

    #[test]
    fn every_usual_mistake_has_a_sentence_of_its_own() {
        for (written, why) in [
            ("-n  dop_v1_5ecre7c0ffee\n", ApiTokenError::EchoOption),
            ("-e dop_v1_5ecre7c0ffee", ApiTokenError::EchoOption),
            ("Bearer dop_v1_5ecre7c0ffee", ApiTokenError::BearerPrefix),
            ("ZG9wX3YxXzVlY3JlN2MwZmZlZQ==", ApiTokenError::EncodedTwice),
            ("dop_v1_5ecre7\ndop_v1_c0ffee", ApiTokenError::SeveralLines),
            ("dop_v1_5ecre7 c0ffee", ApiTokenError::InnerBlank),
            ("dop_v1_\u{feff}5ecre7", ApiTokenError::NotVisibleAscii),
            ("dop_v1_\u{1}5ecre7", ApiTokenError::NotVisibleAscii),
            (
                "\u{201c}dop_v1_5ecre7\u{201d}",
                ApiTokenError::NotVisibleAscii,
            ),
        ] {
            assert_eq!(refused(written), why, "{written}");
        }
        assert_eq!(refused([0xff, 0xfe]), ApiTokenError::NotVisibleAscii);
        assert_eq!(refused("x".repeat(1025)), ApiTokenError::TooLong);
        ApiToken::parse("x".repeat(1024).as_bytes()).expect("long, but possible");
    }

    #[test]
    fn the_fingerprint_is_that_of_the_trimmed_token() {
        let fingerprint = |text: &str| ApiToken::parse(text.as_bytes()).unwrap().fingerprint();
        assert_eq!(fingerprint("one\n"), fingerprint("'one'"));
        assert_ne!(fingerprint("one"), fingerprint("two"));
    }

    #[test]
    fn neither_debug_output_nor_the_header_shows_the_token() {
        let token = ApiToken::parse(TOKEN.as_bytes()).unwrap();
        let header = token.authorization().unwrap();
        assert_eq!(header.to_str().unwrap(), format!("Bearer {TOKEN}"));
        let shown = format!("{token:?} {:?} {header:?}", token.fingerprint());
        assert_eq!(shown, "ApiToken([REDACTED]) TokenFingerprint(…) Sensitive");
    }
}
