//! The cluster that credentials are for: does it accept them?

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use super::stage::Stage;

/// Who the target cluster says that the holder of a kubeconfig is, or the status of its refusal.
pub(crate) async fn whoami(kubeconfig: &str) -> Result<String, u16> {
    ask_who_i_am(&target(kubeconfig).await).await
}

/// The target cluster, for the holder of a kubeconfig.
pub(crate) async fn target(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

/// Who the target cluster says that the holder of this client is, or the status of its refusal.
pub(crate) async fn ask_who_i_am(target: &Client) -> Result<String, u16> {
    let reviews: Api<SelfSubjectReview> = Api::all(target.clone());
    match reviews
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await
    {
        Ok(review) => Ok(review.status.unwrap().user_info.unwrap().username.unwrap()),
        Err(kube::Error::Api(status)) => Err(status.code),
        Err(error) => panic!("the target cluster did not answer: {error}"),
    }
}

/// The same for a bearer token of a cluster on this stage.
pub(crate) async fn whoami_by_token(stage: &Stage, token: &str) -> Result<String, u16> {
    whoami(&kubeconfig_of_token(stage, token)).await
}

/// A kubeconfig for the holder of a bearer token of a cluster on this stage.
pub(crate) fn kubeconfig_of_token(stage: &Stage, token: &str) -> String {
    let authority = k8s_openapi::ByteString(stage.certificate_authority.clone().into_bytes());
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "target",
        "contexts": [{"name": "target", "context": {"cluster": "target", "user": "target"}}],
        "clusters": [{"name": "target", "cluster": {
            "server": stage.server,
            "certificate-authority-data": authority,
        }}],
        "users": [{"name": "target", "user": {"token": token}}],
    });
    kubeconfig.to_string()
}

/// The token in a kubeconfig.
pub(crate) fn token_in(kubeconfig: &str) -> String {
    let document: Value = serde_saphyr::from_str(kubeconfig).unwrap();
    document["users"][0]["user"]["token"]
        .as_str()
        .unwrap()
        .to_owned()
}
