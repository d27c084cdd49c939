//! What is measured: the operator, the two baselines of this program, and whatever a leg file names. Each
//! is a process that makes a Secret of every access.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kube::api::DynamicObject;
use kube::discovery::pinned_kind;
use kube::{Api, Client};
use serde::Deserialize;
use tokio::process::Command;

use super::accesses::name;
use super::error::Error;
use super::figure::Leg;
use super::variant::Variant;
use super::world::{NAMESPACE, World};
use crate::demo::names::{OPERATOR, TOKEN_SECRET};
use crate::demo::operator::Operator;

/// A rate limit that nothing here reaches.
const NO_LIMIT: &str = "100000000";
/// What the operator's image sets.
const ENVIRONMENT: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=65536");

/// A process, and what it works on. In all texts `{kubeconfig}`, `{digitalocean}`, `{token}`, `{namespace}`,
/// and in those for one access `{name}`, `{cluster}` and `{cluster_id}`, are replaced.
#[derive(Clone, Debug)]
pub(super) struct Contender {
    pub(super) leg: Leg,
    pub(super) variant: Variant,
    command: Vec<String>,
    environment: BTreeMap<String, String>,
    /// Applied by kubectl before it starts.
    manifests: Vec<PathBuf>,
    object: String,
    secret: String,
    /// The annotation whose change has all credentials replaced when it starts again, where it takes one.
    rotate: Option<String>,
}

/// A controller that this repository does not hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LegFile {
    name: String,
    command: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    manifests: Vec<PathBuf>,
    object: String,
    secret: String,
    rotate: Option<String>,
}

impl Contender {
    /// The operator.
    pub(super) fn operator(program: &Path, variant: Variant) -> Self {
        let arguments = [
            "run",
            "--digitalocean-api-url={digitalocean}",
            "--admin-address=127.0.0.1:0",
        ];
        let more = [
            format!("--operator-namespace={OPERATOR}"),
            format!("--digitalocean-requests-per-minute={NO_LIMIT}"),
            format!("--digitalocean-requests-per-hour={NO_LIMIT}"),
        ];
        Self {
            leg: Leg::Operator,
            variant,
            command: std::iter::once(program.display().to_string())
                .chain(arguments.map(ToOwned::to_owned))
                .chain(more)
                .collect(),
            environment: [ENVIRONMENT]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            manifests: Vec::new(),
            object: access(variant.fields()),
            secret: "{name}-kubeconfig".to_owned(),
            rotate: Some("doclusteraccess.dev/rotate".to_owned()),
        }
    }

    /// A baseline of this program, by its name on the command line.
    pub(super) fn baseline(leg: Leg) -> Result<Self, Error> {
        let program = std::env::current_exe()?;
        let environment = [
            ("DIGITALOCEAN_API_URL", "{digitalocean}"),
            ("DIGITALOCEAN_ACCESS_TOKEN", "{token}"),
        ];
        Ok(Self {
            command: vec![
                program.display().to_string(),
                "baseline".to_owned(),
                leg.as_str().to_owned(),
            ],
            leg,
            variant: Variant::VerificationOff,
            environment: environment
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            manifests: Vec::new(),
            object: access(r#""cluster": {"id": "{cluster_id}"}"#),
            secret: "{name}-kubeconfig".to_owned(),
            rotate: None,
        })
    }

    /// What a leg file describes.
    pub(super) fn read(file: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(file).map_err(Error::file(file))?;
        let leg: LegFile = serde_saphyr::from_str(&text).map_err(|error| Error::LegFile {
            path: file.to_owned(),
            why: error.to_string(),
        })?;
        let directory = file.parent().unwrap_or(Path::new("."));
        Ok(Self {
            leg: Leg::External(leg.name),
            variant: Variant::VerificationOff,
            command: leg.command,
            environment: leg.environment,
            manifests: leg
                .manifests
                .iter()
                .map(|manifest| directory.join(manifest))
                .collect(),
            object: leg.object,
            secret: leg.secret,
            rotate: leg.rotate,
        })
    }

    /// Whether it works on accesses and says in their status when they are Ready.
    pub(super) fn reports(&self) -> bool {
        !matches!(self.leg, Leg::External(_))
    }

    /// Whether it issues for everything anew whenever it starts: it has no memory.
    pub(super) fn forgets(&self) -> bool {
        matches!(self.leg, Leg::Minimal | Leg::Naive)
    }

    /// Whether all its credentials can be made due at once.
    pub(super) fn rotates(&self) -> bool {
        self.rotate.is_some() || self.forgets()
    }

    /// Ends the names of its metrics: the others never verify.
    pub(super) fn suffix(&self) -> &'static str {
        if self.leg == Leg::Operator {
            self.variant.suffix()
        } else {
            ""
        }
    }

    /// The annotation to change for that.
    pub(super) fn rotate_annotation(&self) -> Option<&str> {
        self.rotate.as_deref()
    }

    /// The name of the Secret that an access becomes.
    pub(super) fn secret_name(&self, world: &World, number: usize) -> String {
        world.fill_in_for(&self.secret, number)
    }

    /// The object that asks for the access.
    pub(super) fn object(&self, world: &World, number: usize) -> Result<DynamicObject, Error> {
        let text = world.fill_in_for(&self.object, number);
        let mut object: DynamicObject =
            serde_saphyr::from_str(&text).map_err(|error| Error::Unexpected(error.to_string()))?;
        object.metadata.name = Some(name(number));
        object.metadata.namespace = Some(NAMESPACE.to_owned());
        Ok(object)
    }

    /// The objects of the kind that it works on.
    pub(super) async fn api(
        &self,
        world: &World,
        client: &Client,
    ) -> Result<Api<DynamicObject>, Error> {
        let object = self.object(world, 0)?;
        let types = object.types.unwrap_or_default();
        let kind = kube::core::GroupVersionKind::try_from(&types)
            .map_err(|error| Error::Unexpected(error.to_string()))?;
        let (resource, _) = pinned_kind(client, &kind).await?;
        Ok(Api::namespaced_with(client.clone(), NAMESPACE, &resource))
    }

    /// Applies what it needs before it starts.
    pub(super) async fn prepare(&self, world: &World) -> Result<(), Error> {
        if self.leg != Leg::Operator {
            world.allow_everything().await?;
        }
        for manifest in &self.manifests {
            let text = std::fs::read_to_string(manifest).map_err(Error::file(manifest))?;
            world.apply_manifest(&world.fill_in(&text)).await?;
        }
        Ok(())
    }

    /// Starts it, in an environment that holds nothing else, with `flags` more.
    pub(super) fn start(
        &self,
        world: &World,
        log: &str,
        flags: &[&str],
    ) -> Result<Operator, Error> {
        let mut words = self.command.iter().map(|word| world.fill_in(word));
        let program = words
            .next()
            .ok_or_else(|| Error::Unexpected("the command of a leg file".to_owned()))?;
        let mut command = Command::new(program);
        command
            .args(words)
            .args(flags)
            .env_clear()
            .env("KUBECONFIG", world.kubeconfig());
        for (name, value) in &self.environment {
            command.env(name, world.fill_in(value));
        }
        Ok(Operator::spawn(command, &world.log(log))?)
    }
}

/// A DOClusterAccess with these fields in its spec.
fn access(fields: &str) -> String {
    format!(
        r#"{{"apiVersion": "doclusteraccess.dev/v1alpha1", "kind": "DOClusterAccess", "metadata": {{}}, "spec": {{{fields}, "tokenSecretRef": {{"name": "{TOKEN_SECRET}"}}}}}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_is_measured_as_its_image_runs_it() {
        let dockerfile = include_str!("../../../Dockerfile");
        let (name, value) = ENVIRONMENT;
        assert!(dockerfile.contains(&format!("\nENV {name}={value}\n")));
    }

    #[test]
    fn a_leg_file_names_a_command_and_what_it_works_on() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("leg.yaml");
        let text = "name: other\ncommand: [other, '--kubeconfig={kubeconfig}']\nmanifests: [crd.yaml]\n\
                    object: |\n  {kind: Other}\nsecret: '{name}-secret'\n";
        std::fs::write(&file, text).expect("a file");
        let contender = Contender::read(&file).expect("a leg");
        assert_eq!(contender.leg.as_str(), "other");
        assert_eq!(contender.manifests, [directory.path().join("crd.yaml")]);
        assert!(!contender.rotates() && !contender.reports());

        std::fs::write(&file, format!("{text}comand: []\n")).expect("a file");
        let error = Contender::read(&file).expect_err("a mistyped field");
        assert!(error.to_string().contains("comand"), "{error}");
    }
}
