//! Verification before the swap: may a new credential replace the published one?

use secrecy::ExposeSecret;

use super::context::Context;
use super::memory::HeldCredential;
use crate::api::{Reason, VerificationPolicy};
use crate::credential::Credential;
use crate::kubeconfig::{self, Kubeconfig};
use crate::outputs::Material;
use crate::rotation::EpochSeconds;
use crate::status::Verification;
use crate::target::Verdict;

/// When a credential that the cluster rejects is asked about again, in seconds after the rejection: a
/// fresh token may take a moment to be known, and refusals are cached.
const ASK_AGAIN_SECONDS: [i64; 3] = [2, 10, 30];

/// Whether a new credential may be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Clearance {
    /// Yes; what the cluster said.
    Publish(Verification),
    /// Not yet: ask again in this many seconds.
    AskAgain(i64),
    /// No.
    Blocked(Reason),
}

/// Asks the cluster, and, where that matters, about the published credential as well.
pub(super) async fn clear(
    context: &Context,
    policy: VerificationPolicy,
    held: &HeldCredential,
    published: Option<&Material>,
    now: EpochSeconds,
) -> Clearance {
    if policy == VerificationPolicy::Off {
        return Clearance::Publish(Verification::off());
    }
    let credential = &held.material.credential;
    let other = held.kubeconfig.as_ref().map(Kubeconfig::credential);
    let verdict = ask_about_both(context, credential, other).await;
    let published = match (&verdict, policy, published) {
        (Verdict::Rejected(_), VerificationPolicy::WhenReachable, Some(published))
            if ask_again(held.rejections).is_none() =>
        {
            Some(context.verifier.review(&published.credential).await)
        }
        _ => None,
    };
    judge(policy, verdict, published.as_ref(), held.rejections, now)
}

/// What the verdicts come to. `published` is the verdict on the published credential, `None` where
/// nothing is published or it was not asked about.
pub(super) fn judge(
    policy: VerificationPolicy,
    verdict: Verdict,
    published: Option<&Verdict>,
    rejections: u32,
    now: EpochSeconds,
) -> Clearance {
    let required = policy == VerificationPolicy::Required;
    match verdict {
        Verdict::Accepted { username, groups } => {
            Clearance::Publish(Verification::accepted(now, username, groups))
        }
        Verdict::Unreachable(_) if required => Clearance::Blocked(Reason::VerificationUnreachable),
        Verdict::Unreachable(_) => Clearance::Publish(unconfirmed(Reason::Unreachable)),
        Verdict::Rejected(_) => match (ask_again(rejections), published) {
            (Some(seconds), _) => Clearance::AskAgain(seconds),
            // Both are refused, or the published one cannot be asked about: from where we stand
            // publishing makes nothing worse.
            (None, Some(Verdict::Rejected(_) | Verdict::Unreachable(_))) if !required => {
                Clearance::Publish(unconfirmed(Reason::Rejected))
            }
            (None, _) => Clearance::Blocked(Reason::CredentialRejected),
        },
    }
}

fn ask_again(rejections: u32) -> Option<i64> {
    ASK_AGAIN_SECONDS.get(rejections as usize).copied()
}

fn unconfirmed(reason: Reason) -> Verification {
    Verification {
        reason,
        ..Verification::off()
    }
}

/// Asks the cluster about a published credential.
pub(super) async fn ask_about(context: &Context, published: &Material) -> Verdict {
    let document = published.kubeconfig.as_ref();
    let kubeconfig = document.and_then(|document| kubeconfig::parse(document.expose_secret()).ok());
    let other = kubeconfig.as_ref().map(Kubeconfig::credential);
    ask_about_both(context, &published.credential, other).await
}

/// What a verdict is called.
#[must_use]
pub(super) fn reason_of(verdict: &Verdict) -> Reason {
    match verdict {
        Verdict::Accepted { .. } => Reason::Accepted,
        Verdict::Rejected(_) => Reason::Rejected,
        Verdict::Unreachable(_) => Reason::Unreachable,
    }
}

/// Where an issue holds two tokens, both are asked about and the worse answer counts. Identity is
/// that of get_credentials.
async fn ask_about_both(
    context: &Context,
    credential: &Credential,
    other: Option<&Credential>,
) -> Verdict {
    let verifier = &context.verifier;
    match other.filter(|other| *other != credential) {
        Some(other) => {
            let (one, two) = verifier.review_both(credential, other).await;
            one.or_worse(two)
        }
        None => verifier.review(credential).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Rejection, Unreachability};

    const POLICIES: [VerificationPolicy; 2] = [
        VerificationPolicy::WhenReachable,
        VerificationPolicy::Required,
    ];

    fn accepted() -> Verdict {
        Verdict::Accepted {
            username: "user".to_string(),
            groups: vec!["group".to_string()],
        }
    }

    fn rejected() -> Verdict {
        Verdict::Rejected(Rejection::Unauthorized)
    }

    fn unreachable() -> Verdict {
        Verdict::Unreachable(Unreachability::Timeout)
    }

    #[test]
    fn an_accepted_credential_is_published_with_its_identity() {
        for policy in POLICIES {
            let Clearance::Publish(verification) = judge(policy, accepted(), None, 0, 7) else {
                panic!("not published");
            };
            assert_eq!(
                (verification.reason, verification.at),
                (Reason::Accepted, Some(7))
            );
            assert_eq!(verification.username.as_deref(), Some("user"));
        }
    }

    #[test]
    fn a_rejected_credential_is_asked_about_after_2_10_and_30_seconds_before_that_is_the_verdict() {
        for policy in POLICIES {
            let asked: Vec<_> = (0..4)
                .map(|n| judge(policy, rejected(), None, n, 0))
                .collect();
            let again = Clearance::AskAgain;
            let blocked = Clearance::Blocked(Reason::CredentialRejected);
            assert_eq!(asked, [again(2), again(10), again(30), blocked]);
        }
    }

    #[test]
    fn a_rejection_blocks_only_where_publishing_would_make_things_worse() {
        let judge =
            |policy, published: Option<&Verdict>| judge(policy, rejected(), published, 3, 0);
        let blocked = Clearance::Blocked(Reason::CredentialRejected);
        let [when_reachable, required] = POLICIES;
        assert_eq!(judge(when_reachable, Some(&accepted())), blocked);
        assert_eq!(judge(when_reachable, None), blocked);
        let published = Clearance::Publish(unconfirmed(Reason::Rejected));
        assert_eq!(judge(when_reachable, Some(&rejected())), published);
        assert_eq!(judge(when_reachable, Some(&unreachable())), published);
        assert_eq!(judge(required, Some(&rejected())), blocked);
    }

    #[test]
    fn an_unreachable_cluster_blocks_only_where_verification_is_required() {
        let [when_reachable, required] = POLICIES;
        assert_eq!(
            judge(when_reachable, unreachable(), None, 0, 0),
            Clearance::Publish(unconfirmed(Reason::Unreachable))
        );
        assert_eq!(
            judge(required, unreachable(), None, 0, 0),
            Clearance::Blocked(Reason::VerificationUnreachable)
        );
    }
}
