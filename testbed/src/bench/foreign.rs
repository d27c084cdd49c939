//! W9: what Secrets cost that are none of the operator's: the memory of a restart before and after there are
//! 20,000 of them, of 10 KB each.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};

use super::accesses::{IN_FLIGHT, ReadyCount, apply_all};
use super::contender::Contender;
use super::error::Error;
use super::figure::Figure;
use super::life::patience;
use super::process::usage;
use super::progress::say;
use super::workload::Workload;
use super::world::World;

/// The operator's own.
pub(super) const ACCESSES: usize = 100;
const SECRETS: usize = 20_000;
const BYTES: usize = 10_000;
/// Where they are.
const NAMESPACE: &str = "foreign";
/// How long a start may take.
const START: Duration = Duration::from_secs(5);

/// Measures one contender.
pub(super) async fn measure(
    world: &World,
    contender: &Contender,
    run: usize,
) -> Result<Vec<Figure>, Error> {
    contender.prepare(world).await?;
    apply_all(world, contender, 0..ACCESSES).await?;
    let mut ready = ReadyCount::start(&world.client);
    let mut process = contender.start(world, "first.log", &[])?;
    let done = async { Ok(ready.reaches(ACCESSES, patience(ACCESSES)).await) };
    process.while_running(done).await??;
    process.stop().await?;
    let without = memory(world, contender).await?;
    create_all(world).await?;
    let with = memory(world, contender).await?;
    let figure = |metric: &str, value| Figure {
        workload: Workload::W9.to_string(),
        n: ACCESSES,
        leg: contender.leg.clone(),
        run,
        metric: metric.to_owned(),
        value,
    };
    Ok(vec![
        figure("peak_rss_mib_without_foreign_secrets", without),
        figure("peak_rss_mib_with_foreign_secrets", with),
        figure("peak_rss_mib_more", with - without),
    ])
}

/// The most that was resident in a start with everything Ready.
async fn memory(world: &World, contender: &Contender) -> Result<f64, Error> {
    let mut process = contender.start(world, "restart.log", &[])?;
    process.run_for(START).await?;
    let used = usage(process.id().ok_or(Error::OperatorEnded)?)?;
    process.stop().await?;
    Ok(used.peak_rss_mib)
}

async fn create_all(world: &World) -> Result<(), Error> {
    world
        .apply_manifest(&format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}"
        ))
        .await?;
    say(&format!("    {SECRETS} foreign Secrets are made"))?;
    let secrets: &Api<Secret> = &Api::namespaced(world.client.clone(), NAMESPACE);
    let data = &BTreeMap::from([("data".to_owned(), ByteString(vec![b'x'; BYTES]))]);
    stream::iter(0..SECRETS)
        .map(|number| async move {
            let secret = Secret {
                metadata: ObjectMeta {
                    name: Some(format!("foreign-{number:06}")),
                    ..ObjectMeta::default()
                },
                data: Some(data.clone()),
                ..Secret::default()
            };
            secrets.create(&PostParams::default(), &secret).await
        })
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    Ok(())
}
