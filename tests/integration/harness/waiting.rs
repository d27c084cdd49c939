//! Waiting: by a watch where there is one.

use std::fmt::Debug;
use std::time::Duration;

use kube::runtime::wait::await_condition;
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout_at};

/// Longer than anything takes that is not about an expiry, on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds. It is asked every 50 ms, so it should be cheap.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    eventually_some(what, async || condition().await.then_some(())).await;
}

/// Waits until `find` finds something.
pub(crate) async fn eventually_some<T>(what: &str, mut find: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = find().await {
                return found;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let Ok(found) = timeout_at(Instant::now() + PATIENCE, found).await else {
        panic!("never: {what}");
    };
    found
}

/// The object of that name, or its absence, as soon as `holds` says yes to it.
pub(crate) async fn object_until<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    holds: impl Fn(Option<&K>) -> bool,
) -> Option<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    let watched = async {
        loop {
            // A watch ends with an error while the API server is away.
            match await_condition(api.clone(), name, &holds).await {
                Ok(found) => return found,
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    };
    if let Ok(found) = timeout_at(Instant::now() + PATIENCE, watched).await {
        return found;
    }
    let found = api.get_opt(name).await;
    let found = found.map(|object| serde_json::to_string_pretty(&object).unwrap());
    let found = found.unwrap_or_else(|error| error.to_string());
    panic!("never: {name}: {what}; there is {found}")
}
