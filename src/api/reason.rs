//! One table of every reason: its condition, its sentence, whether it stalls, how it is retried, and
//! the type of its event.

use super::condition::{ConditionType, Status};

/// Type of a Kubernetes event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// Something went as it should.
    Normal,
    /// Something needs attention.
    Warning,
}

/// Who decides when the next attempt comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryClass {
    /// Nothing is to be retried.
    Never,
    /// The access, by the retry rule of [`crate::rotation`].
    Access,
    /// The API token: one probe for all accesses that use it.
    Token,
    /// The user: not before the spec changes.
    SpecChange,
}

/// Why a condition has its status. The words are part of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Ready: every output is right.
    Published,
    /// Ready, of a DOAccount: DigitalOcean serves its API token.
    Usable,
    /// Not ready: there is no credential yet.
    NotIssued,
    /// Not ready: the published credential has expired.
    Expired,
    /// Not ready: a Secret is missing, or is not ours.
    OutputMissing,
    /// Not ready: a Secret does not hold what the spec asks for.
    OutOfDate,
    /// Synced: nothing is left to do.
    UpToDate,
    /// Not synced: `spec.suspend`.
    Suspended,
    /// The DOAccount does not exist or is not served.
    AccountNotFound,
    /// The DOAccount does not allow this namespace or cluster.
    NotAllowed,
    /// The Secret or key of the API token does not exist.
    TokenSecretNotFound,
    /// The Secret does not hold a usable API token.
    TokenInvalid,
    /// DigitalOcean answered 401.
    Unauthorized,
    /// DigitalOcean answered 403.
    Forbidden,
    /// No such cluster in the account.
    ClusterNotFound,
    /// Several clusters have that name.
    ClusterAmbiguous,
    /// The cluster has no credentials to give yet.
    ClusterNotReady,
    /// The cluster was deleted.
    ClusterGone,
    /// The cluster accepts SSO only.
    SsoRequired,
    /// DigitalOcean answered 429.
    RateLimited,
    /// DigitalOcean cannot be reached or answered 5xx.
    ApiUnavailable,
    /// DigitalOcean's answer cannot be used.
    ApiResponseInvalid,
    /// The format is not available for this cluster, or not in this version.
    FormatNotSupported,
    /// The cluster rejected the new credential.
    CredentialRejected,
    /// The cluster could not be asked, and `verification: Required`.
    VerificationUnreachable,
    /// A Secret of that name exists and is not ours.
    SecretConflict,
    /// The API server refused or failed a write.
    SecretWriteFailed,
    /// Too many unscheduled issues within an hour.
    IssueLimitReached,
    /// Verified: the cluster accepted the published credential.
    Accepted,
    /// Not verified: the cluster rejected it.
    Rejected,
    /// Verified is unknown: the cluster could not be asked.
    Unreachable,
    /// Verified is unknown: `verification: Off`, or nothing is published.
    Off,
}

/// A row of the table.
struct Row {
    word: &'static str,
    condition: ConditionType,
    status: Status,
    stalls: bool,
    retry: RetryClass,
    event: EventType,
    sentence: &'static str,
}

const fn row(
    word: &'static str,
    condition: ConditionType,
    status: Status,
    sentence: &'static str,
) -> Row {
    Row {
        word,
        condition,
        status,
        stalls: false,
        retry: RetryClass::Never,
        event: EventType::Normal,
        sentence,
    }
}

const fn failure(word: &'static str, retry: RetryClass, sentence: &'static str) -> Row {
    Row {
        word,
        condition: ConditionType::Synced,
        status: Status::False,
        stalls: false,
        retry,
        event: EventType::Warning,
        sentence,
    }
}

const fn stalling(word: &'static str, retry: RetryClass, sentence: &'static str) -> Row {
    let mut row = failure(word, retry, sentence);
    row.stalls = true;
    row
}

impl Reason {
    /// Every reason, for tests and generated documentation.
    pub const ALL: [Self; 32] = [
        Self::Published,
        Self::Usable,
        Self::NotIssued,
        Self::Expired,
        Self::OutputMissing,
        Self::OutOfDate,
        Self::UpToDate,
        Self::Suspended,
        Self::AccountNotFound,
        Self::NotAllowed,
        Self::TokenSecretNotFound,
        Self::TokenInvalid,
        Self::Unauthorized,
        Self::Forbidden,
        Self::ClusterNotFound,
        Self::ClusterAmbiguous,
        Self::ClusterNotReady,
        Self::ClusterGone,
        Self::SsoRequired,
        Self::RateLimited,
        Self::ApiUnavailable,
        Self::ApiResponseInvalid,
        Self::FormatNotSupported,
        Self::CredentialRejected,
        Self::VerificationUnreachable,
        Self::SecretConflict,
        Self::SecretWriteFailed,
        Self::IssueLimitReached,
        Self::Accepted,
        Self::Rejected,
        Self::Unreachable,
        Self::Off,
    ];

    #[rustfmt::skip]
    fn row(self) -> Row {
        use ConditionType::{Ready, Synced, Verified};
        use RetryClass::{Access, SpecChange, Token};
        use Status::{False, True, Unknown};
        match self {
            Self::Published => row("Published", Ready, True, "Every output holds an unexpired credential"),
            Self::Usable => row("Usable", Ready, True, "DigitalOcean serves the API token of this account"),
            Self::NotIssued => row("NotIssued", Ready, False, "No credential has been issued yet; the condition Synced says why"),
            Self::Expired => row("Expired", Ready, False, "The published credential has expired; the condition Synced says why it was not renewed"),
            Self::OutputMissing => row("OutputMissing", Ready, False, "A Secret is missing or does not belong to this access; the condition Synced says why"),
            Self::OutOfDate => row("OutOfDate", Ready, False, "A Secret does not hold what the spec asks for; the condition Synced says why"),
            Self::UpToDate => row("UpToDate", Synced, True, "Nothing is left to do until the credential is renewed"),
            Self::Suspended => row("Suspended", Synced, Unknown, "spec.suspend is true: set it to false to go on"),
            Self::AccountNotFound => stalling("AccountNotFound", Token, "There is no such DOAccount, or the operator may not read DOAccounts (chart value rbac.accounts): create it, correct spec.accountRef, or set spec.tokenSecretRef"),
            Self::NotAllowed => stalling("NotAllowed", Token, "The DOAccount does not allow this namespace or this cluster: ask its owner to extend allowedNamespaces or allowedClusters"),
            Self::TokenSecretNotFound => stalling("TokenSecretNotFound", Token, "The Secret of the API token does not exist or lacks the key: create it as tokenSecretRef names it"),
            Self::TokenInvalid => stalling("TokenInvalid", Token, "The Secret does not hold a usable API token: store the bare token, without quotes, spaces or line breaks inside"),
            Self::Unauthorized => stalling("Unauthorized", Token, "DigitalOcean does not accept the API token (401): store a valid one in its Secret"),
            Self::Forbidden => stalling("Forbidden", Token, "The API token may not do this (403): give it the scopes kubernetes:read and kubernetes:access_cluster"),
            Self::ClusterNotFound => failure("ClusterNotFound", Access, "The account has no such cluster: check spec.cluster, and that the API token belongs to the right team"),
            Self::ClusterAmbiguous => stalling("ClusterAmbiguous", Access, "Several clusters have that name: set spec.cluster.id instead"),
            Self::ClusterNotReady => failure("ClusterNotReady", Access, "The cluster does not give out credentials in its present state: wait, or look at it in the control panel"),
            Self::ClusterGone => stalling("ClusterGone", Access, "The cluster was deleted: delete this access, or point spec.cluster to another cluster"),
            Self::SsoRequired => stalling("SsoRequired", Access, "The cluster accepts single sign-on only: allow other credentials in its settings"),
            Self::RateLimited => failure("RateLimited", Token, "DigitalOcean's rate limit for this API token is used up (429): renewal goes on when it allows"),
            Self::ApiUnavailable => failure("ApiUnavailable", Token, "DigitalOcean's API cannot be reached or reports a fault of its own: renewal is tried again"),
            Self::ApiResponseInvalid => failure("ApiResponseInvalid", Access, "DigitalOcean's answer cannot be used: it is asked again, and the published credential stays"),
            Self::FormatNotSupported => stalling("FormatNotSupported", SpecChange, "This output format is not available here: choose another format"),
            Self::CredentialRejected => failure("CredentialRejected", Access, "The cluster rejected the new credential, so it was not published: it is tried again"),
            Self::VerificationUnreachable => failure("Unreachable", Access, "The cluster could not be asked about the new credential, and verification is Required: make it reachable, or set verification to WhenReachable"),
            Self::SecretConflict => stalling("SecretConflict", Access, "The Secret is not this access's own, or somebody else keeps changing it: delete it, choose another secretName, set adopt to true, or stop the other writer"),
            Self::SecretWriteFailed => failure("SecretWriteFailed", Access, "The API server did not take the Secret: the issued credential is kept and written when it does"),
            Self::IssueLimitReached => failure("IssueLimitReached", Access, "A credential had to be issued anew too often within an hour: find out what deletes or edits the Secret, or spoils the answers; it goes on within the hour"),
            Self::Accepted => row("Accepted", Verified, True, "The cluster accepted the published credential"),
            Self::Rejected => row("Rejected", Verified, False, "The cluster rejected the published credential"),
            Self::Unreachable => row("Unreachable", Verified, Unknown, "The cluster could not be asked from here"),
            Self::Off => row("Off", Verified, Unknown, "The published credential has not been checked against the cluster"),
        }
    }

    /// As spelled in `status.conditions[].reason`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().word
    }

    /// The condition that this reason belongs to.
    #[must_use]
    pub fn condition(self) -> ConditionType {
        self.row().condition
    }

    /// The status of that condition.
    #[must_use]
    pub fn status(self) -> Status {
        self.row().status
    }

    /// Whether nothing but a user's action will help.
    #[must_use]
    pub fn stalls(self) -> bool {
        self.row().stalls
    }

    /// Who decides when the next attempt comes.
    #[must_use]
    pub fn retry(self) -> RetryClass {
        self.row().retry
    }

    /// Type of the event that announces it.
    #[must_use]
    pub fn event_type(self) -> EventType {
        self.row().event
    }

    /// What it means and what to do, in one stable sentence.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        self.row().sentence
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_is_listed_once_and_is_unique_within_its_condition() {
        let words: BTreeSet<_> = Reason::ALL
            .iter()
            .map(|reason| (reason.condition(), reason.as_str()))
            .collect();
        assert_eq!(words.len(), Reason::ALL.len());
    }

    #[test]
    fn only_a_failure_stalls_or_warns_or_is_retried() {
        for reason in Reason::ALL {
            let fails =
                reason.condition() == ConditionType::Synced && reason.status() == Status::False;
            assert!(fails || !reason.stalls(), "{reason:?}");
            assert_eq!(
                fails,
                reason.event_type() == EventType::Warning,
                "{reason:?}"
            );
            assert_eq!(fails, reason.retry() != RetryClass::Never, "{reason:?}");
        }
    }

    #[test]
    fn a_sentence_holds_no_digits_that_could_be_a_count_or_a_time() {
        for reason in Reason::ALL {
            let digits: String = reason
                .sentence()
                .chars()
                .filter(char::is_ascii_digit)
                .collect();
            assert!(
                matches!(digits.as_str(), "" | "401" | "403" | "429"),
                "{reason:?}"
            );
            assert!(reason.sentence().len() < 200 && !reason.sentence().ends_with('.'));
        }
    }

    #[test]
    fn the_documentation_has_an_entry_for_every_reason() {
        let documentation = include_str!("../../docs/how-it-works.md");
        for reason in Reason::ALL {
            let word = format!("`{}`", reason.as_str());
            assert!(documentation.contains(&word), "{word} is not explained");
        }
    }

    #[test]
    fn the_sentence_for_403_names_the_scope() {
        assert!(
            Reason::Forbidden
                .sentence()
                .contains("kubernetes:access_cluster")
        );
    }
}
