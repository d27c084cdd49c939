//! The watches: accesses, and the metadata of the Secrets that bear our label. No Secret's data is
//! ever watched or cached.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::stream::{Stream, StreamExt, select_all};
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource, ResourceExt};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::caches::secret_key;
use super::context::Context;
use super::key::{Key, ObjectKey, TokenSource};
use super::watched::Watched;
use crate::api::{DOAccount, DOClusterAccess};
use crate::outputs::{FoundMetadata, MANAGED_SELECTOR};

/// Objects read at a time when a watch starts. The text of a page and what is made of it are in memory at the
/// same time, several kilobytes an object: more than all that is kept of them.
const PAGE_SIZE: u32 = 100;

/// Something that a watch told, and where it watches: a namespace, or all.
pub(super) struct Told {
    scope: usize,
    what: What,
}

enum What {
    Access(Box<Event<Watched<DOClusterAccess>>>),
    Secret(Box<Event<PartialObjectMeta<Secret>>>),
    Account(Box<Event<Watched<DOAccount>>>),
    /// DOAccounts are not served: we may not see them, or nobody knows the kind.
    NoAccounts,
    Trouble,
}

/// All watches together, and what has been listed so far.
pub(super) struct Watches {
    namespaces: Vec<Option<String>>,
    accesses: Vec<Listing>,
    secrets: Vec<Listing>,
    accounts: Listing,
}

#[derive(Default)]
struct Listing {
    seen: BTreeSet<ObjectKey>,
    complete: bool,
}

/// What the watches tell.
pub(super) type ToldStream = Pin<Box<dyn Stream<Item = Told> + Send>>;

impl Watches {
    /// Watches `namespaces`, or all where there are none.
    #[must_use]
    pub(super) fn start(client: &kube::Client, namespaces: &[String]) -> (Self, ToldStream) {
        let scopes: Vec<Option<String>> = if namespaces.is_empty() {
            vec![None]
        } else {
            let distinct: BTreeSet<_> = namespaces.iter().cloned().collect();
            distinct.into_iter().map(Some).collect()
        };
        let mut streams: Vec<ToldStream> = Vec::new();
        for (scope, namespace) in scopes.iter().enumerate() {
            let accesses = match namespace {
                Some(namespace) => Api::namespaced(client.clone(), namespace),
                None => Api::all(client.clone()),
            };
            let secrets: Api<PartialObjectMeta<Secret>> = match namespace {
                Some(namespace) => Api::namespaced(client.clone(), namespace),
                None => Api::all(client.clone()),
            };
            streams.push(watch_accesses(scope, accesses));
            streams.push(watch_secrets(scope, secrets));
        }
        streams.push(watch_accounts(Api::all(client.clone())));
        let listings = || scopes.iter().map(|_| Listing::default()).collect();
        let watches = Self {
            accesses: listings(),
            secrets: listings(),
            accounts: Listing::default(),
            namespaces: scopes,
        };
        (watches, select_all(streams).boxed())
    }

    /// Whether every watch has told all there is once.
    #[must_use]
    pub(super) fn are_synced(&self) -> bool {
        self.accesses
            .iter()
            .chain(&self.secrets)
            .chain([&self.accounts])
            .all(|listing| listing.complete)
    }

    /// Takes over what was told, and says which accesses to look at.
    pub(super) fn take_over(&mut self, context: &Context, told: Told) -> Vec<Key> {
        let namespace = self.namespaces[told.scope].as_deref();
        let concerned = match told.what {
            What::Access(event) => {
                take_over_access(context, &mut self.accesses[told.scope], namespace, *event)
            }
            What::Secret(event) => {
                take_over_secret(context, &mut self.secrets[told.scope], namespace, *event)
            }
            What::Account(event) => {
                return take_over_account(context, &mut self.accounts, *event);
            }
            What::NoAccounts => {
                self.accounts.complete = true;
                Vec::new()
            }
            What::Trouble => Vec::new(),
        };
        concerned.into_iter().map(Key::Access).collect()
    }
}

fn watch_accesses(scope: usize, api: Api<Watched<DOClusterAccess>>) -> ToldStream {
    let config = watcher::Config::default().page_size(PAGE_SIZE);
    watcher::watcher(api, config)
        .backoff(SteadyBackoff::default())
        .map(move |event| Told {
            scope,
            what: event.map_or_else(
                |error| trouble(&error, "DOClusterAccess"),
                |event| What::Access(Box::new(event)),
            ),
        })
        .boxed()
}

fn watch_secrets(scope: usize, api: Api<PartialObjectMeta<Secret>>) -> ToldStream {
    let config = watcher::Config::default()
        .page_size(PAGE_SIZE)
        .labels(MANAGED_SELECTOR);
    watcher::watcher(api, config)
        .backoff(SteadyBackoff::default())
        .map(move |event| Told {
            scope,
            what: event.map_or_else(
                |error| trouble(&error, "Secret"),
                |event| What::Secret(Box::new(event)),
            ),
        })
        .boxed()
}

fn watch_accounts(api: Api<Watched<DOAccount>>) -> ToldStream {
    let config = watcher::Config::default().page_size(PAGE_SIZE);
    let forbidden = Arc::new(AtomicBool::new(false));
    let backoff = AccountBackoff {
        forbidden: forbidden.clone(),
        refusals: 0,
        otherwise: SteadyBackoff::default(),
    };
    watcher::watcher(api, config)
        .inspect(move |event| {
            let refused = event.as_ref().err().and_then(status_code) == Some(403);
            forbidden.store(refused, Ordering::Relaxed);
        })
        .backoff(backoff)
        .map(|event| Told {
            scope: 0,
            what: event.map_or_else(
                |error| match status_code(&error) {
                    Some(code @ (403 | 404)) => {
                        debug!(code, "DOAccounts are not served");
                        What::NoAccounts
                    }
                    _ => trouble(&error, "DOAccount"),
                },
                |event| What::Account(Box::new(event)),
            ),
        })
        .boxed()
}

/// The status code that the API server refused a watch with.
fn status_code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status.code),
        _ => None,
    }
}

fn trouble(error: &watcher::Error, kind: &str) -> What {
    warn!(%error, kind, "a watch was interrupted and starts again");
    What::Trouble
}

/// How long a watch must have gone well before its next failure counts as the first.
const BACKOFF_RESET: Duration = Duration::from_secs(120);

/// Waits 0.5 s, doubling to 30 s, between attempts to watch. kube's own adds a random share, so that
/// no two runs of a simulation were the same.
#[derive(Clone, Debug, Default)]
struct SteadyBackoff {
    failures: u32,
    failed_at: Option<Instant>,
}

impl Iterator for SteadyBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let recent = |failed_at: Instant| now - failed_at < BACKOFF_RESET;
        self.failures = if self.failed_at.is_some_and(recent) {
            self.failures + 1
        } else {
            0
        };
        self.failed_at = Some(now);
        let wait = Duration::from_millis(500 << self.failures.min(6));
        Some(wait.min(Duration::from_secs(30)))
    }
}

impl Backoff for SteadyBackoff {
    /// Does nothing: a watch says that it starts before it has asked for anything, so that going well
    /// for a moment says nothing. Time alone makes up for failures.
    fn reset(&mut self) {}
}

/// How rarely a watch is asked for that is forbidden: who serves chosen namespaces alone may never be
/// given the right.
const FORBIDDEN_WAIT: Duration = Duration::from_secs(600);
/// Refusals after which it is asked again sooner: an API server that has just started refuses everybody
/// for a moment.
const SOON_AFTER_REFUSALS: u32 = 2;

/// Waits like [`SteadyBackoff`], and long while the watch is forbidden.
#[derive(Clone, Debug)]
struct AccountBackoff {
    forbidden: Arc<AtomicBool>,
    /// Refusals in a row.
    refusals: u32,
    otherwise: SteadyBackoff,
}

impl Iterator for AccountBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if !self.forbidden.load(Ordering::Relaxed) {
            self.refusals = 0;
            return self.otherwise.next();
        }
        self.refusals += 1;
        let soon = self.refusals <= SOON_AFTER_REFUSALS;
        Some(if soon {
            FORBIDDEN_WAIT / 20
        } else {
            FORBIDDEN_WAIT
        })
    }
}

impl Backoff for AccountBackoff {
    fn reset(&mut self) {}
}

fn take_over_access(
    context: &Context,
    listing: &mut Listing,
    namespace: Option<&str>,
    event: Event<Watched<DOClusterAccess>>,
) -> Vec<ObjectKey> {
    match event {
        Event::Init => {
            listing.seen.clear();
            Vec::new()
        }
        Event::InitApply(access) => {
            let key = observe_access(context, access);
            let (key, concerned) = key.unzip();
            listing.seen.extend(key);
            concerned.unwrap_or_default()
        }
        Event::Apply(access) => observe_access(context, access)
            .map(|(_, concerned)| concerned)
            .unwrap_or_default(),
        Event::InitDone => {
            listing.complete = true;
            let seen = std::mem::take(&mut listing.seen);
            context.caches().retain_listed_accesses(namespace, &seen)
        }
        Event::Delete(access) => {
            let Some((key, version)) = identity(&access) else {
                return Vec::new();
            };
            let (gone, mut concerned) = context.caches().remove_access(&key, &version);
            if gone && let Some(uid) = &access.meta().uid {
                context.memories.forget(uid);
            }
            concerned.push(key);
            concerned
        }
    }
}

/// Takes over an access; says which accesses to look at. One that cannot be decoded is left out, and
/// said to be: it disturbs no other.
fn observe_access(
    context: &Context,
    access: Watched<DOClusterAccess>,
) -> Option<(ObjectKey, Vec<ObjectKey>)> {
    let (key, version) = identity(&access)?;
    let (changed, mut concerned) = match access.0 {
        Ok(access) => context.caches().observe_access(&key, access),
        Err(invalid) => {
            warn!(access = %key, error = %invalid.error, "an access cannot be decoded and is not served: correct it, or upgrade the operator");
            context.caches().remove_access(&key, &version)
        }
    };
    concerned.extend(changed.then(|| key.clone()));
    Some((key, concerned))
}

/// The key and the resource version of an object, which may be one that cannot be decoded. What is not in
/// a namespace has an empty one.
fn identity(object: &impl Resource) -> Option<(ObjectKey, String)> {
    let metadata = object.meta();
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let key = ObjectKey::new(namespace, metadata.name.as_deref()?);
    Some((key, metadata.resource_version.clone().unwrap_or_default()))
}

fn take_over_account(
    context: &Context,
    listing: &mut Listing,
    event: Event<Watched<DOAccount>>,
) -> Vec<Key> {
    match event {
        Event::Init => {
            listing.seen.clear();
            Vec::new()
        }
        Event::InitApply(account) | Event::Apply(account) => {
            let Some((key, _)) = identity(&account) else {
                return Vec::new();
            };
            listing.seen.insert(key.clone());
            observe_account(context, &key, account)
        }
        Event::InitDone => {
            listing.complete = true;
            let seen = std::mem::take(&mut listing.seen);
            let gone = context.caches().accounts.retain_listed(None, &seen);
            let concerned = gone.iter().flat_map(|key| account_gone(context, &key.name));
            concerned.collect()
        }
        Event::Delete(account) => {
            let Some((key, version)) = identity(&account) else {
                return Vec::new();
            };
            if context.caches().accounts.remove(&key, &version) {
                account_gone(context, &key.name)
            } else {
                Vec::new()
            }
        }
    }
}

/// Takes over an account. One that cannot be decoded allows nothing.
fn observe_account(context: &Context, key: &ObjectKey, account: Watched<DOAccount>) -> Vec<Key> {
    let version = account.resource_version().unwrap_or_default();
    let account = match account.0 {
        Ok(account) => account,
        Err(invalid) => {
            warn!(account = %key.name, error = %invalid.error, "a DOAccount cannot be decoded and is not served: correct it, or upgrade the operator");
            context.caches().accounts.remove(key, &version);
            return account_gone(context, &key.name);
        }
    };
    let mut caches = context.caches();
    let before = caches.accounts.get(key);
    let same = |before: &DOAccount| {
        before.metadata.uid == account.metadata.uid && before.spec == account.spec
    };
    let unchanged = before.is_some_and(|before| same(&before));
    if !caches.accounts.observe(key, account) || unchanged {
        return Vec::new();
    }
    drop(caches);
    let source = TokenSource::Account(key.name.clone());
    context.tokens().keep(&source);
    concerned_by_account(context, source)
}

fn account_gone(context: &Context, name: &str) -> Vec<Key> {
    let source = TokenSource::Account(name.into());
    context.tokens().drop_unused(&source);
    concerned_by_account(context, source)
}

/// The account's token, and every access that names the account.
fn concerned_by_account(context: &Context, source: TokenSource) -> Vec<Key> {
    let users = match &source {
        TokenSource::Account(name) => context.caches().users_of_account(name),
        TokenSource::Secret(_) => Vec::new(),
    };
    let users = users.into_iter().map(Key::Access);
    std::iter::once(Key::Token(source)).chain(users).collect()
}

fn take_over_secret(
    context: &Context,
    listing: &mut Listing,
    namespace: Option<&str>,
    event: Event<PartialObjectMeta<Secret>>,
) -> Vec<ObjectKey> {
    let observe = |secret: PartialObjectMeta<Secret>| {
        let metadata = FoundMetadata::new(&secret.metadata)?;
        let key = secret_key(&metadata);
        Some((key, context.caches().observe_secret(metadata)))
    };
    match event {
        Event::Init => {
            listing.seen.clear();
            Vec::new()
        }
        Event::InitApply(secret) => {
            let Some((key, concerned)) = observe(secret) else {
                return Vec::new();
            };
            listing.seen.insert(key);
            concerned
        }
        Event::Apply(secret) => observe(secret)
            .map(|(_, concerned)| concerned)
            .unwrap_or_default(),
        Event::InitDone => {
            listing.complete = true;
            let seen = std::mem::take(&mut listing.seen);
            context.caches().retain_listed_secrets(namespace, &seen)
        }
        Event::Delete(secret) => {
            let Some(metadata) = FoundMetadata::new(&secret.metadata) else {
                return Vec::new();
            };
            debug!(
                namespace = &*metadata.namespace,
                secret = &*metadata.name,
                "a Secret of ours is gone"
            );
            let key = secret_key(&metadata);
            context
                .caches()
                .remove_secret(&key, &metadata.resource_version)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn attempts_to_watch_grow_rarer_although_each_begins_well() {
        let mut backoff = SteadyBackoff::default();
        let mut waits = Vec::new();
        for _ in 0..8 {
            // What a watch tells before it has asked for anything.
            backoff.reset();
            let wait = backoff.next().unwrap();
            tokio::time::sleep(wait).await;
            waits.push(wait.as_millis());
        }
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);

        tokio::time::sleep(BACKOFF_RESET).await;
        backoff.reset();
        assert_eq!(backoff.next(), Some(Duration::from_millis(500)));
    }
}
