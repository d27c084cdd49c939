//! The null writer: the floor of anything that publishes as the operator does. 16 accesses in flight, one
//! server-side apply of the Secret and one of the status for each, nothing else.

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use serde_json::Value;

use super::accesses::{IN_FLIGHT, ReadyCount, api, apply_all};
use super::contender::Contender;
use super::effort::Audited;
use super::error::Error;
use super::figure::{Figure, Leg, count};
use super::life::patience;
use super::sample::Sample;
use super::seen::Seen;
use super::workload::Workload;
use super::world::{NAMESPACE, World};

/// Measures how fast `n` accesses are written, by the marks that the operator is measured by.
pub(super) async fn measure(
    world: &World,
    operator: &Contender,
    sample: &Sample,
    n: usize,
    run: usize,
) -> Result<Vec<Figure>, Error> {
    apply_all(world, operator, 0..n).await?;
    let objects = objects(world, sample).await?;
    // The watches are part of the load under which the others are measured.
    let _seen = Seen::start(&world.client);
    let mut ready = ReadyCount::start(&world.client);
    let before = world.control_plane.audit_log().position().await?;
    let writer = Writer::new(world).await?;
    stream::iter(objects)
        .map(|(secret, status)| writer.write(secret, status))
        .buffer_unordered(IN_FLIGHT)
        .try_collect::<()>()
        .await?;
    ready.reaches(n, patience(n)).await?;
    let audited = Audited::since(world, before).await?;
    let requests = count(audited.efforts()) / count(n);
    let figure = |metric: &str, value| Figure {
        workload: Workload::W1.to_string(),
        n,
        leg: Leg::NullWriter,
        run,
        metric: metric.to_owned(),
        value,
    };
    let rate = count(n) / audited.span_of_work()?.as_secs_f64();
    Ok(vec![
        figure("accesses_per_second", rate),
        figure("api_requests_per_first_issue", requests),
    ])
}

/// Secret and status of every access.
async fn objects(world: &World, sample: &Sample) -> Result<Vec<(Value, Value)>, Error> {
    let accesses = api(&world.client).list(&ListParams::default()).await?;
    let of = |access: DynamicObject| {
        let name = access.metadata.name.unwrap_or_default();
        let uid = access.metadata.uid.unwrap_or_default();
        sample.of(&name, &uid)
    };
    accesses.items.into_iter().map(of).collect()
}

struct Writer {
    secrets: Api<Secret>,
    accesses: Api<DynamicObject>,
    parameters: PatchParams,
}

impl Writer {
    async fn new(world: &World) -> Result<Self, Error> {
        let client = world.operator_client().await?;
        Ok(Self {
            secrets: Api::namespaced(client.clone(), NAMESPACE),
            accesses: api(&client),
            parameters: PatchParams::apply("do-cluster-access").force(),
        })
    }

    async fn write(&self, secret: Value, status: Value) -> Result<(), Error> {
        let secret_name = name_of(&secret)?;
        let patch = Patch::Apply(&secret);
        self.secrets
            .patch_metadata(&secret_name, &self.parameters, &patch)
            .await?;
        let access = name_of(&status)?;
        let patch = Patch::Apply(&status);
        self.accesses
            .patch_status(&access, &self.parameters, &patch)
            .await?;
        Ok(())
    }
}

fn name_of(object: &Value) -> Result<String, Error> {
    let name = object["metadata"]["name"].as_str();
    let name = name.map(ToOwned::to_owned);
    name.ok_or_else(|| Error::Unexpected(object["kind"].to_string()))
}
