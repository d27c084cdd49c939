//! After the story: everything stays up to be played with.

use std::path::Path;

use tokio::sync::watch;

use super::error::Error;
use super::follow::{AccessStatus, Condition, Published};
use super::names::{ACCESS, NAMESPACE, SECRET};
use super::stage::Stage;
use super::terminal::{BAD, BOLD, GOOD};
use super::timeline::Timeline;

/// What to try, for a shell on this machine.
pub(super) fn suggestions(stage: &Stage, operator_log: &Path) -> String {
    let control_plane = &stage.control_plane;
    let kubectl = control_plane.kubectl();
    let kubectl = kubectl.as_std();
    let mut words = vec![kubectl.get_program().to_string_lossy()];
    words.extend(kubectl.get_args().map(|word| word.to_string_lossy()));
    let faults = format!("{}/_simulator/faults", stage.served.url());
    format!(
        "\n{BOLD}Everything stays up until Ctrl-C.{BOLD:#} In another terminal:

  export KUBECONFIG={kubeconfig}
  alias kubectl='{kubectl}'

  kubectl get doca --all-namespaces
  kubectl describe doca {ACCESS} --namespace {NAMESPACE}
  {quiet}# the Secret is deleted, and back at once{quiet_end}
  kubectl delete secret {SECRET} --namespace {NAMESPACE}
  {quiet}# one rotation right now{quiet_end}
  kubectl annotate doca {ACCESS} --namespace {NAMESPACE} --overwrite doclusteraccess.dev/rotate=\"$(date +%s)\"
  {quiet}# DigitalOcean fails at the next renewal: it is tried again, and the Secret stays as it is{quiet_end}
  curl {faults} --data '{{\"kind\": {{\"status\": {{\"code\": 503, \"body\": \"html\"}}}}, \"times\": 3}}'
  {quiet}# the operator's log{quiet_end}
  tail -f {log}
",
        kubeconfig = control_plane.kubeconfig().display(),
        kubectl = words.join(" "),
        log = operator_log.display(),
        quiet = super::terminal::QUIET,
        quiet_end = format_args!("{:#}", super::terminal::QUIET),
    )
}

/// Goes on telling what happens.
pub(super) async fn narrate(
    timeline: &Timeline<'_>,
    mut secret: watch::Receiver<Option<Published>>,
    mut access: watch::Receiver<Option<AccessStatus>>,
) -> Result<(), Error> {
    let mut published = secret.borrow_and_update().clone();
    let mut status = access.borrow_and_update().clone();
    loop {
        tokio::select! {
            changed = secret.changed() => {
                changed.map_err(|_| Error::WatchEnded("the Secret"))?;
                let now = secret.borrow_and_update().clone();
                tell_secret(timeline, published.as_ref(), now.as_ref())?;
                published = now;
            }
            changed = access.changed() => {
                changed.map_err(|_| Error::WatchEnded("the access"))?;
                let now = access.borrow_and_update().clone();
                tell_access(timeline, status.as_ref(), now.as_ref())?;
                status = now;
            }
        }
    }
}

fn tell_secret(
    timeline: &Timeline<'_>,
    before: Option<&Published>,
    now: Option<&Published>,
) -> Result<(), Error> {
    match (before, now) {
        (Some(_), None) => timeline.entry(BAD, "lost", "the Secret is gone, or unusable")?,
        (None, Some(_)) => timeline.entry(GOOD, "healed", "the Secret is back")?,
        (Some(before), Some(now)) if before.token != now.token => {
            timeline.entry(GOOD, "rotated", "a new token in the same Secret")?;
        }
        _ => {}
    }
    Ok(())
}

fn tell_access(
    timeline: &Timeline<'_>,
    before: Option<&AccessStatus>,
    now: Option<&AccessStatus>,
) -> Result<(), Error> {
    type Part = fn(&AccessStatus) -> &Condition;
    let Some(now) = now else {
        return Ok(timeline.entry(BAD, "deleted", "the DOClusterAccess is gone")?);
    };
    let conditions: [(&str, Part); 3] = [
        ("Ready", |status| &status.ready),
        ("Synced", |status| &status.synced),
        ("Verified", |status| &status.verified),
    ];
    for (name, condition) in conditions {
        let (before, now) = (before.map(condition), condition(now));
        if before.is_some_and(|before| before.reason == now.reason) {
            continue;
        }
        let style = if now.holds() { GOOD } else { BAD };
        let told = format!("{}: {}", now.reason, now.message);
        timeline.entry(style, &format!("{name}={}", now.status), &told)?;
    }
    Ok(())
}
