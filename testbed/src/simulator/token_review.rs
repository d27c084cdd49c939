//! The webhook by which an API server asks who a bearer token is.

use serde::Deserialize;
use serde_json::{Value, json};

use super::account::User;

/// As much of a `TokenReview` as the answer depends on.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenReview {
    #[serde(rename = "apiVersion")]
    api_version: String,
    kind: String,
    spec: TokenReviewSpec,
}

#[derive(Debug, Deserialize)]
struct TokenReviewSpec {
    token: String,
}

impl TokenReview {
    /// The review in a request body.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let review: Self = serde_json::from_slice(body)
            .map_err(|error| format!("this is no TokenReview: {error}"))?;
        let versions = ["authentication.k8s.io/v1", "authentication.k8s.io/v1beta1"];
        if review.kind != "TokenReview" || !versions.contains(&review.api_version.as_str()) {
            let Self {
                api_version, kind, ..
            } = review;
            return Err(format!(
                "this is a {kind} of {api_version}, not a TokenReview"
            ));
        }
        Ok(review)
    }

    pub(crate) fn token(&self) -> &str {
        &self.spec.token
    }

    /// The review's answer, in the version that it was asked in.
    pub(crate) fn answer(&self, user: Option<User>) -> Value {
        let status = match user {
            Some(user) => json!({
                "authenticated": true,
                "user": { "username": user.username, "groups": user.groups },
            }),
            None => json!({ "authenticated": false }),
        };
        json!({ "apiVersion": self.api_version, "kind": "TokenReview", "status": status })
    }
}
