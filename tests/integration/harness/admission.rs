//! An API server that refuses to write one Secret.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use super::stage::Stage;
use super::waiting::eventually;

/// An admission policy that is in force.
pub(crate) struct Refusal {
    client: Client,
    secrets: Api<Secret>,
    /// Name of the policy and of its binding.
    policy: String,
    /// Name of the Secret.
    secret: String,
}

impl Refusal {
    /// From now on nobody can write the Secret of that name on this stage.
    pub(crate) async fn of(stage: &Stage, secret: &str) -> Self {
        let policy = format!("{}-{secret}", stage.namespace);
        let matched = format!(
            "request.namespace == '{}' && request.name == '{secret}'",
            stage.namespace
        );
        let object: ValidatingAdmissionPolicy = serde_json::from_value(json!({
            "metadata": {"name": policy},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {
                    "namespaceSelector": {
                        "matchLabels": {"kubernetes.io/metadata.name": stage.namespace},
                    },
                    "resourceRules": [{
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["secrets"],
                    }],
                },
                "matchConditions": [{"name": "that-secret", "expression": matched}],
                "validations": [{"expression": "false", "message": "not in this cluster"}],
            },
        }))
        .unwrap();
        let binding: ValidatingAdmissionPolicyBinding = serde_json::from_value(json!({
            "metadata": {"name": policy},
            "spec": {"policyName": policy, "validationActions": ["Deny"]},
        }))
        .unwrap();
        let refusal = Self {
            client: stage.client.clone(),
            secrets: stage.secrets(),
            policy,
            secret: secret.to_owned(),
        };
        let parameters = PostParams::default();
        let policies = Api::all(refusal.client.clone());
        policies.create(&parameters, &object).await.unwrap();
        let bindings = Api::all(refusal.client.clone());
        bindings.create(&parameters, &binding).await.unwrap();
        eventually("the policy is in force", async || refusal.refuses().await).await;
        refusal
    }

    /// Takes it back.
    pub(crate) async fn lift(self) {
        let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(self.client.clone());
        let policies: Api<ValidatingAdmissionPolicy> = Api::all(self.client.clone());
        let parameters = DeleteParams::default();
        bindings.delete(&self.policy, &parameters).await.unwrap();
        policies.delete(&self.policy, &parameters).await.unwrap();
        eventually("the policy is gone", async || !self.refuses().await).await;
    }

    async fn refuses(&self) -> bool {
        let parameters = PatchParams::apply("probe").dry_run();
        let patch = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self.secret, "annotations": {"example.com/probe": "yes"}},
        });
        let answer = self
            .secrets
            .patch_metadata(&self.secret, &parameters, &Patch::Apply(patch))
            .await;
        answer.is_err()
    }
}
