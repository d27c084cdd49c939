//! What the operator is about when it is caught.

use serde_json::{Value, json};

use super::credential::Issue;
use super::invariants::Issues;
use super::scene::{OUTPUTS, Pace, Scene};
use crate::harness::eventually;

/// What the operator is about. All but the first begin with a published credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scenario {
    /// The program starts, finds an access, and issues for the first time.
    FirstIssue,
    /// The credential is due.
    Rotation,
    /// The spec asks for another lifetime, a shorter one: what is published is replaced.
    Lifetime,
    /// The spec asks for another label: what is published is written anew.
    Label,
    /// The spec names another output in place of one: that is filled from what is published, then the old one goes.
    Removal,
    /// A rotation is forced, and the access is deleted in the middle of it.
    Deletion,
}

/// The least time between two issues that come due.
const SHORTEST_SPACING_SECONDS: i64 = 30;

impl Scenario {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::FirstIssue => "first issue",
            Self::Rotation => "rotation",
            Self::Lifetime => "change of the lifetime",
            Self::Label => "change of a label",
            Self::Removal => "removal of an output",
            Self::Deletion => "deletion",
        }
    }

    pub(super) fn pace(self) -> Pace {
        match self {
            Self::Rotation => Pace::Waiting,
            _ => Pace::Working,
        }
    }

    /// The spec to begin with, but for cluster and outputs.
    pub(super) fn spec(self) -> Value {
        match self {
            // Due as soon as may be, and then good for two minutes more.
            Self::Rotation => json!({"expirySeconds": 150, "renewBeforeSeconds": 120}),
            // Not due before the plan is over, on the slowest machine.
            _ => json!({"expirySeconds": 7200}),
        }
    }

    /// Lets happen what the operator is to act on.
    pub(super) async fn begin(self, scene: &Scene) {
        let access = scene.access();
        match self {
            Self::FirstIssue | Self::Rotation => {}
            Self::Lifetime => access.patch_spec(json!({"expirySeconds": 3600})).await,
            Self::Label => {
                let people = json!({"secretName": "people", "labels": {"team": "payments"}});
                let flux = json!({"secretName": "flux", "format": "Flux"});
                access.patch_spec(json!({"outputs": [people, flux]})).await;
            }
            Self::Removal => {
                let people = json!({"secretName": "people"});
                let gitops = json!({"secretName": "gitops", "format": "Flux"});
                access
                    .patch_spec(json!({"outputs": [people, gitops]}))
                    .await;
            }
            Self::Deletion => access.rotate("now").await,
        }
    }

    /// The outputs in the end.
    pub(super) fn outputs(self) -> &'static [&'static str] {
        match self {
            Self::Removal => &["people", "gitops"],
            _ => OUTPUTS,
        }
    }

    /// Every Secret that there is at some time.
    pub(super) fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::Removal => &["people", "flux", "gitops"],
            _ => OUTPUTS,
        }
    }

    /// The Secrets that go.
    pub(super) fn removed(self) -> &'static [&'static str] {
        match self {
            Self::Removal => &["flux"],
            _ => &[],
        }
    }

    /// Waits for what it comes to, after it began with `first`.
    pub(super) async fn ends(self, scene: &Scene, first: Option<&Issue>) {
        let renewed = |issue: &Issue| Some(issue) != first;
        match self {
            Self::FirstIssue | Self::Removal => scene.published(self.outputs(), |_| true).await,
            Self::Rotation | Self::Lifetime | Self::Deletion => {
                scene.published(self.outputs(), renewed).await;
            }
            Self::Label => {
                let labelled = async || {
                    scene.history.present()["people"]
                        .metadata
                        .labels
                        .as_ref()
                        .unwrap()
                        .contains_key("team")
                };
                eventually("the label is there", labelled).await;
                scene.published(self.outputs(), |_| true).await;
            }
        }
    }

    /// The issues that should have been published in the end. `is_torn` says whether the crash came between the writes
    /// of two outputs.
    pub(super) fn issues(self, is_torn: bool) -> Issues {
        match self {
            Self::FirstIssue | Self::Label | Self::Removal => Issues::Between(1, 1),
            // Of two that are published, the one that lasts longest counts: here it is the one that the spec no longer
            // asks for.
            Self::Lifetime => Issues::Between(2, 2 + usize::from(is_torn)),
            Self::Rotation => Issues::EverySeconds {
                at_least: 2,
                apart: SHORTEST_SPACING_SECONDS,
            },
            Self::Deletion => Issues::Between(2, 2),
        }
    }

    /// How many events tell of it, counting that of the first issue.
    pub(super) fn events(self) -> usize {
        match self {
            Self::FirstIssue | Self::Label | Self::Removal => 1,
            Self::Rotation | Self::Lifetime | Self::Deletion => 2,
        }
    }

    /// Calls without which it would not be what it is called.
    pub(super) fn essential(self) -> &'static [&'static str] {
        const MINT: [&str; 2] = [
            "digitalocean get kubeconfig",
            "digitalocean get credentials",
        ];
        const READ: [&str; 2] = [
            "kubernetes get secrets/people",
            "kubernetes get secrets/flux",
        ];
        const WRITE: [&str; 2] = [
            "kubernetes patch secrets/people",
            "kubernetes patch secrets/flux",
        ];
        const STATUS: &str = "kubernetes patch doclusteraccesses/prod/status";
        const EVENT: &str = "kubernetes create events";
        match self {
            Self::FirstIssue => &[
                "kubernetes get /version",
                "kubernetes list doclusteraccesses",
                "kubernetes list secrets",
                "kubernetes get secrets/digitalocean",
                "digitalocean get clusters",
                READ[0],
                READ[1],
                MINT[0],
                MINT[1],
                WRITE[0],
                WRITE[1],
                STATUS,
                EVENT,
            ],
            Self::Rotation | Self::Lifetime | Self::Deletion => &[
                READ[0], READ[1], MINT[0], MINT[1], WRITE[0], WRITE[1], STATUS, EVENT,
            ],
            Self::Label => &[READ[0], READ[1], WRITE[0], STATUS],
            Self::Removal => &[
                READ[0],
                "kubernetes get secrets/gitops",
                "kubernetes patch secrets/gitops",
                "kubernetes delete secrets/flux",
                STATUS,
            ],
        }
    }
}
