//! Credentials that were handed out, and the target cluster's question whether one of them still holds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::call::Operation;
use super::randomness::fingerprint;

/// A credential that a GET of kubeconfig or credentials brought into being. The secret itself is not in it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Mint {
    /// When.
    pub time: Timestamp,
    /// Label of the account.
    pub account: String,
    /// Id of the cluster.
    pub cluster: String,
    /// The call that minted it.
    pub operation: Operation,
    /// Token or certificate.
    pub kind: MintKind,
    /// [`fingerprint`](super::fingerprint) of the token, or of the certificate's PEM.
    pub fingerprint: String,
    /// When it stops working by itself.
    pub expires_at: Timestamp,
    /// When it stopped working early, if it did.
    pub revoked_at: Option<Timestamp>,
    /// `x-request-id` of the answer that carried it.
    pub request_id: String,
}

/// What kind of credential was minted.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MintKind {
    /// A bearer token.
    Token,
    /// A client certificate. The API server checks it by itself, so that revoking it has no effect.
    Certificate,
}

/// Which minted credentials to revoke: those that match every given field; all when none is given.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MintSelector {
    /// Label of an account.
    pub account: Option<String>,
    /// Id of a cluster.
    pub cluster: Option<String>,
    /// Fingerprint of one credential.
    pub fingerprint: Option<String>,
}

impl MintSelector {
    fn matches(&self, mint: &Mint) -> bool {
        let same = |wanted: &Option<String>, actual: &String| {
            wanted.as_ref().is_none_or(|wanted| wanted == actual)
        };
        same(&self.account, &mint.account)
            && same(&self.cluster, &mint.cluster)
            && same(&self.fingerprint, &mint.fingerprint)
    }
}

/// Every mint in order, and where each is by fingerprint.
#[derive(Debug, Default)]
pub(crate) struct Mints {
    all: Vec<Mint>,
    by_fingerprint: BTreeMap<String, usize>,
}

impl Mints {
    pub(crate) fn record(&mut self, mint: Mint) {
        self.by_fingerprint
            .insert(mint.fingerprint.clone(), self.all.len());
        self.all.push(mint);
    }

    pub(crate) fn find(&self, fingerprint: &str) -> Option<&Mint> {
        self.all.get(*self.by_fingerprint.get(fingerprint)?)
    }

    pub(crate) fn all(&self) -> &[Mint] {
        &self.all
    }

    /// The mint of a token that is neither expired nor revoked at `now`.
    pub(crate) fn living_token(&self, token: &str, now: Timestamp) -> Option<&Mint> {
        let mint = self.find(&fingerprint(token))?;
        let is_token = mint.kind == MintKind::Token;
        (is_token && now < mint.expires_at && mint.revoked_at.is_none()).then_some(mint)
    }

    /// Revokes what `selector` matches and was still alive; the answer says how many that were.
    pub(crate) fn revoke(&mut self, selector: &MintSelector, now: Timestamp) -> usize {
        let living = self.all.iter_mut().filter(|mint| {
            now < mint.expires_at && mint.revoked_at.is_none() && selector.matches(mint)
        });
        living.fold(0, |revoked, mint| {
            mint.revoked_at = Some(now);
            revoked + 1
        })
    }
}
