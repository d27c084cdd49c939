//! One run for one API token: read its Secret, read the list of clusters, tell who waits.
//!
//! The list is also the probe of a token that does not work: it mints nothing.

use std::sync::Arc;

use secrecy::ExposeSecret;
use tracing::{debug, info, warn};

use super::accounts;
use super::context::Context;
use super::issue::reason_of;
use super::key::{Key, SecretKey, TokenSource};
use super::tokens::{LIST_FRESH_SECONDS, LIST_REFRESH_SECONDS, SECRET_REREAD_SECONDS};
use crate::api::Reason;
use crate::digitalocean::{ApiToken, Error, Operation, TokenFingerprint};
use crate::lookup::ClusterList;
use crate::rotation::EpochSeconds;

/// Runs once for `source`. Returns when to run again; `None` when nobody uses it.
pub(super) async fn tend(context: &Context, source: &TokenSource) -> Option<EpochSeconds> {
    let now = context.clock.now_seconds();
    let secret = secret_of(context, source);
    if must_read(context, source, secret.as_ref(), now)? {
        read(context, source, secret, now).await;
    }
    if let Some(token) = begin_listing(context, source, now) {
        list(context, source, &token, now).await;
    } else {
        wake_waiting_if_settled(context, source);
    }
    let reported = match source {
        TokenSource::Account(name) => accounts::report(context, name, now).await,
        TokenSource::Secret(_) => None,
    };
    let next = next_run(context, source, now)?;
    Some(reported.map_or(next, |again| again.min(next)))
}

/// Where the token is kept; `None` where there is no such DOAccount.
fn secret_of(context: &Context, source: &TokenSource) -> Option<SecretKey> {
    match source {
        TokenSource::Secret(secret) => Some(secret.clone()),
        TokenSource::Account(name) => accounts::secret_of(context, name),
    }
}

/// `None` when nobody uses the source.
fn must_read(
    context: &Context,
    source: &TokenSource,
    secret: Option<&SecretKey>,
    now: EpochSeconds,
) -> Option<bool> {
    let mut tokens = context.tokens();
    let gate = tokens
        .account(source)
        .map(|account| account.gate.clone())
        .unwrap_or_default();
    let listed_at = tokens
        .account(source)
        .map_or(EpochSeconds::MIN, |account| account.listed_at);
    let state = tokens.source_mut(source)?;
    let age = now - state.read_at;
    let wanted = state.list_wanted_since > listed_at;
    if state.secret.as_ref() != secret {
        return Some(true);
    }
    Some(match &state.held {
        None => true,
        Some(Err(_)) => age >= SECRET_REREAD_SECONDS,
        // A token that was refused may have been replaced in its Secret already.
        Some(Ok(_)) if gate.closed().is_some() => {
            age >= SECRET_REREAD_SECONDS || gate.is_suspected()
        }
        Some(Ok(_)) => wanted && age >= LIST_FRESH_SECONDS,
    })
}

async fn read(
    context: &Context,
    source: &TokenSource,
    secret: Option<SecretKey>,
    now: EpochSeconds,
) {
    let Some(place) = secret else {
        return take_over(context, source, None, Err(Reason::AccountNotFound), now);
    };
    let answer = context
        .kubernetes
        .read_secret(&place.namespace, &place.name)
        .await;
    let held = match answer {
        Ok(Some(secret)) => match secret.contents.get(&place.key) {
            Some(bytes) => ApiToken::parse(bytes).map_err(|error| {
                warn!(%error, "the Secret does not hold a usable API token");
                Reason::TokenInvalid
            }),
            None => Err(Reason::TokenSecretNotFound),
        },
        Ok(None) => Err(Reason::TokenSecretNotFound),
        Err(error) => {
            warn!(%error, "the Secret of an API token could not be read");
            match error.kind {
                // What was read before still counts while the API server is away.
                super::kubernetes::ApiErrorKind::Unavailable => {
                    let mut tokens = context.tokens();
                    if let Some(state) = tokens.source_mut(source)
                        && state.secret.as_ref().is_none_or(|before| *before == place)
                    {
                        state.secret = Some(place);
                        state.read_at = now;
                        state.held.get_or_insert(Err(Reason::TokenSecretNotFound));
                    }
                    return;
                }
                _ => Err(Reason::TokenSecretNotFound),
            }
        }
    };
    take_over(context, source, Some(place), held, now);
}

fn take_over(
    context: &Context,
    source: &TokenSource,
    secret: Option<SecretKey>,
    held: Result<ApiToken, Reason>,
    now: EpochSeconds,
) {
    let registration = held
        .as_ref()
        .ok()
        .map(|token| context.redaction.register(token.secret().expose_secret()));
    let mut tokens = context.tokens();
    let Some(state) = tokens.source_mut(source) else {
        return;
    };
    let identity = |held: &Result<ApiToken, Reason>| {
        held.as_ref()
            .map(ApiToken::fingerprint)
            .map_err(|reason| *reason)
    };
    let changed = state
        .held
        .as_ref()
        .is_some_and(|before| identity(before) != identity(&held));
    state.secret = secret;
    state.held = Some(held);
    state.registration = registration;
    state.read_at = now;
    if changed {
        info!("the API token has changed");
        if let Some(account) = tokens.account_mut(source) {
            account.gate.probe_now(now);
        }
    }
}

/// The token to list with, if a list is due and nobody else is about it.
fn begin_listing(context: &Context, source: &TokenSource, now: EpochSeconds) -> Option<ApiToken> {
    let mut tokens = context.tokens();
    let state = tokens.source_mut(source)?;
    let token = state.held.as_ref()?.as_ref().ok()?.clone();
    let wanted_since = state.list_wanted_since;
    let account = tokens.account_mut(source)?;
    let due = match account.gate.closed() {
        Some((_, next_probe_at)) => now >= next_probe_at,
        None => {
            account.clusters.is_none()
                || account.listed_at < wanted_since
                || now - account.listed_at >= LIST_REFRESH_SECONDS
        }
    };
    if !due || account.listing {
        return None;
    }
    account.listing = true;
    Some(token)
}

async fn list(context: &Context, source: &TokenSource, token: &ApiToken, now: EpochSeconds) {
    // A run that is cut short must not leave the mark behind: nobody would list ever again.
    let _listing = Listing {
        context,
        token: token.fingerprint(),
    };
    let call = context.digitalocean.list_clusters(token);
    let answer = context
        .metrics
        .time_call(Operation::ListClusters, call)
        .await;
    let done_at = context.clock.now_seconds();
    match answer {
        Ok(answer) => {
            debug!(clusters = answer.value.len(), "listed the clusters");
            let mut tokens = context.tokens();
            if let Some(account) = tokens.account_of(token.fingerprint()) {
                if account.gate.closed().is_some() {
                    info!("DigitalOcean serves the API token again");
                }
                account.clusters = Some(Arc::new(ClusterList::new(answer.value)));
                account.listed_at = now;
                let now = context.steady_millis();
                account.budget.spend(answer.meta.requests, now);
                account.note_limits(&answer.meta, now);
                account.gate.open(done_at);
            }
            drop(tokens);
            wake_users(context, source);
        }
        Err(error) => {
            close(context, source, token, &error, done_at);
            wake_waiting(context, source);
        }
    }
}

fn close(
    context: &Context,
    source: &TokenSource,
    token: &ApiToken,
    error: &Error,
    now: EpochSeconds,
) {
    let reason = reason_of(error);
    let most_urgent = most_urgent(context, source, now);
    let mut tokens = context.tokens();
    let Some(account) = tokens.account_of(token.fingerprint()) else {
        return;
    };
    account
        .budget
        .spend(error.meta.requests, context.steady_millis());
    let wait = error
        .retry_after()
        .or_else(|| match error.kind {
            crate::digitalocean::ErrorKind::RateLimited { .. } => {
                error.meta.rate_limit.wait(context.clock.now())
            }
            _ => None,
        })
        .map(|wait| now + wait.as_secs().cast_signed());
    if account
        .gate
        .closed()
        .is_none_or(|(before, _)| before != reason)
    {
        warn!(request_id = error.meta.request_id, %error, "DigitalOcean does not serve the API token");
    }
    account.gate.fail(reason, now, wait, most_urgent);
}

/// When the first credential expires that depends on this token.
fn most_urgent(context: &Context, source: &TokenSource, now: EpochSeconds) -> Option<EpochSeconds> {
    let users = context.tokens().users_of_token(source);
    let caches = context.caches();
    users
        .iter()
        .filter_map(|user| caches.expires_at(user))
        .filter(|at| *at > now)
        .min()
}

/// Takes the mark of a list call under way back.
struct Listing<'a> {
    context: &'a Context,
    token: TokenFingerprint,
}

impl Drop for Listing<'_> {
    fn drop(&mut self) {
        if let Some(account) = self.context.tokens().account_of(self.token) {
            account.listing = false;
        }
    }
}

/// Every access that the list concerns.
fn wake_users(context: &Context, source: &TokenSource) {
    let sharing = context.tokens().sharing(source);
    for source in sharing {
        let mut tokens = context.tokens();
        drop(tokens.take_waiting(&source));
        let users = tokens.users(&source);
        drop(tokens);
        for user in users {
            context.wake(Key::Access(user));
        }
    }
}

/// Every access that waits to be told.
fn wake_waiting(context: &Context, source: &TokenSource) {
    let sharing = context.tokens().sharing(source);
    for source in sharing {
        let waiting = context.tokens().take_waiting(&source);
        for user in waiting {
            context.wake(Key::Access(user));
        }
    }
}

/// Without a list call under way, those who wait are told what is known.
fn wake_waiting_if_settled(context: &Context, source: &TokenSource) {
    if !context
        .tokens()
        .account(source)
        .is_some_and(|account| account.listing)
    {
        wake_waiting(context, source);
    }
}

fn next_run(context: &Context, source: &TokenSource, now: EpochSeconds) -> Option<EpochSeconds> {
    let mut tokens = context.tokens();
    let account = tokens.account(source);
    let gate = account
        .map(|account| account.gate.clone())
        .unwrap_or_default();
    let listed_at = account.map_or(now, |account| account.listed_at);
    let state = tokens.source_mut(source)?;
    let reread_at = state.read_at + SECRET_REREAD_SECONDS;
    let next = match (&state.held, gate.closed()) {
        (Some(Err(_)) | None, _) => reread_at,
        (_, Some((_, next_probe_at))) => next_probe_at.min(reread_at),
        _ => listed_at + LIST_REFRESH_SECONDS,
    };
    Some(next.max(now + 1))
}
