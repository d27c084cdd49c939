//! API tokens: where each is kept, what clusters it sees, and whether DigitalOcean serves it.
//!
//! Whatever is wrong with a token, or with DigitalOcean as a whole, is found out once a token and not
//! once an access: the accesses are told, and wait to be woken. State only; [`super::tend`] acts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::gate::Gate;
use super::key::{ObjectKey, SecretKey, TokenSource};
use super::shared::SharedIssues;
use crate::api::Reason;
use crate::digitalocean::{ApiToken, Budget, EpochMillis, Meta, RequestLimits, TokenFingerprint};
use crate::lookup::ClusterList;
use crate::redaction::Registration;
use crate::rotation::EpochSeconds;

/// Oldest list that an issue relies on, in seconds.
pub(super) const LIST_FRESH_SECONDS: i64 = 300;
/// Oldest list that a name is looked for in again, in seconds.
pub(super) const NAME_LIST_FRESH_SECONDS: i64 = 30;
/// Age at which the list is read again while anybody uses the token, in seconds.
pub(super) const LIST_REFRESH_SECONDS: i64 = 1800;
/// How often the Secret of a token that does not work is read again, in seconds.
pub(super) const SECRET_REREAD_SECONDS: i64 = 30;

/// Every API token in use.
#[derive(Debug)]
pub struct Tokens {
    limits: RequestLimits,
    attached: BTreeMap<ObjectKey, TokenSource>,
    sources: BTreeMap<TokenSource, Source>,
    accounts: BTreeMap<TokenFingerprint, Account>,
}

/// What a token is known by, and what was found there.
#[derive(Debug, Default)]
pub struct Source {
    /// It is looked after although no access uses it.
    kept: bool,
    users: BTreeSet<ObjectKey>,
    waiting: BTreeSet<ObjectKey>,
    /// The Secret that was read last.
    pub secret: Option<SecretKey>,
    /// What the Secret held when it was read last; `None` before.
    pub held: Option<Result<ApiToken, Reason>>,
    /// Keeps the token out of the log.
    pub registration: Option<Registration>,
    /// When the Secret was read last.
    pub read_at: EpochSeconds,
    /// Lists older than this are to be read again.
    pub list_wanted_since: EpochSeconds,
}

/// What is known of a token value, wherever it is kept.
#[derive(Debug)]
pub struct Account {
    /// Its clusters, complete; `None` before the first list.
    pub clusters: Option<Arc<ClusterList>>,
    /// When the request for that list began.
    pub listed_at: EpochSeconds,
    /// Whether DigitalOcean serves it.
    pub gate: Gate,
    /// A list call is under way.
    pub listing: bool,
    /// `ratelimit-remaining` of the last answer.
    pub remaining: Option<u32>,
    /// How many requests may still be made.
    pub budget: Budget<ObjectKey>,
    /// Issues that several accesses can use.
    pub shared: SharedIssues,
}

impl Account {
    fn new(limits: RequestLimits) -> Self {
        Self {
            clusters: None,
            listed_at: 0,
            gate: Gate::default(),
            listing: false,
            remaining: None,
            budget: Budget::new(limits),
            shared: SharedIssues::default(),
        }
    }

    /// Takes over what an answer said of the limits.
    pub fn note_limits(&mut self, meta: &Meta, now: EpochMillis) {
        self.remaining = meta.rate_limit.remaining.or(self.remaining);
        self.budget.correct(&meta.rate_limit, now);
    }
}

/// What an access can count on.
#[derive(Debug, Clone)]
pub enum TokenView {
    /// The token works as far as known.
    Usable(UsableToken),
    /// Nothing is known yet, or not recently enough: [`Tokens::request`] and be woken.
    Unknown,
    /// It does not work.
    Blocked {
        /// Why.
        reason: Reason,
        /// When that is looked into again.
        until: EpochSeconds,
    },
}

/// A token and what it sees.
#[derive(Debug, Clone)]
pub struct UsableToken {
    /// The token.
    pub token: ApiToken,
    /// Its clusters.
    pub clusters: Arc<ClusterList>,
    /// When they were listed.
    pub listed_at: EpochSeconds,
}

impl Tokens {
    /// No tokens yet; each will be subject to `limits`.
    pub(super) fn new(limits: RequestLimits) -> Self {
        Self {
            limits,
            attached: BTreeMap::new(),
            sources: BTreeMap::new(),
            accounts: BTreeMap::new(),
        }
    }

    /// DigitalOcean's limits on each of them.
    #[must_use]
    pub fn limits(&self) -> RequestLimits {
        self.limits
    }

    /// Puts right what was noted by a clock that has been set back since: nothing was noted later than
    /// `now`, and a token that does not work is asked about at once.
    pub fn forget_the_future(&mut self, now: EpochSeconds) {
        for source in self.sources.values_mut() {
            source.read_at = source.read_at.min(now);
            source.list_wanted_since = source.list_wanted_since.min(now);
        }
        for account in self.accounts.values_mut() {
            account.listed_at = account.listed_at.min(now);
            account.gate.forget_the_future(now);
        }
    }

    /// What `source` offers now; lists from before `list_since` do not count.
    #[must_use]
    pub fn view(&self, source: &TokenSource, list_since: EpochSeconds) -> TokenView {
        let Some(Source {
            held: Some(held),
            read_at,
            ..
        }) = self.sources.get(source)
        else {
            return TokenView::Unknown;
        };
        let token = match held {
            Ok(token) => token,
            Err(reason) => {
                let until = read_at + SECRET_REREAD_SECONDS;
                return TokenView::Blocked {
                    reason: *reason,
                    until,
                };
            }
        };
        let Some(account) = self.accounts.get(&token.fingerprint()) else {
            return TokenView::Unknown;
        };
        if account.gate.is_suspected() {
            // One access met a failure; whether it is everybody's is being found out.
            return TokenView::Unknown;
        }
        if let Some((reason, until)) = account.gate.closed() {
            return TokenView::Blocked { reason, until };
        }
        match &account.clusters {
            Some(clusters) if account.listed_at >= list_since => TokenView::Usable(UsableToken {
                token: token.clone(),
                clusters: clusters.clone(),
                listed_at: account.listed_at,
            }),
            _ => TokenView::Unknown,
        }
    }

    /// The clusters of `source` as listed last, however long ago.
    #[must_use]
    pub fn last_list(&self, source: &TokenSource) -> Option<Arc<ClusterList>> {
        self.account(source)?.clusters.clone()
    }

    /// Notes that `user` needs `source`, and no other. Says whether nobody needed it before.
    pub fn attach(&mut self, user: &ObjectKey, source: &TokenSource) -> bool {
        if self.attached.get(user) == Some(source) {
            return false;
        }
        self.detach(user);
        let known = self.sources.get_key_value(source);
        let is_new = known.is_none();
        // Thousands of accesses have the same.
        let source = known.map_or(source, |(known, _)| known).clone();
        self.attached.insert(user.clone(), source.clone());
        let state = self.sources.entry(source).or_default();
        state.users.insert(user.clone());
        is_new
    }

    /// Looks after `source` although no access may use it, until it is [dropped](Self::drop_unused).
    pub fn keep(&mut self, source: &TokenSource) {
        self.sources.entry(source.clone()).or_default().kept = true;
    }

    /// Looks after `source` only as long as an access uses it.
    pub fn drop_unused(&mut self, source: &TokenSource) {
        if let Some(state) = self.sources.get_mut(source) {
            state.kept = false;
            self.forget_if_unused(source);
        }
    }

    /// Notes that `user` needs no token any more.
    pub fn detach(&mut self, user: &ObjectKey) {
        let Some(name) = self.attached.remove(user) else {
            return;
        };
        if let Some(source) = self.sources.get_mut(&name) {
            source.users.remove(user);
            source.waiting.remove(user);
            self.forget_if_unused(&name);
        }
    }

    fn forget_if_unused(&mut self, source: &TokenSource) {
        let unused = |state: &Source| state.users.is_empty() && !state.kept;
        if self.sources.get(source).is_some_and(unused) {
            self.sources.remove(source);
            self.forget_unused_accounts();
        }
    }

    /// Asks for a list from `list_since` or later; `user` is woken when there is one, or when it is
    /// known why there is none.
    pub fn request(&mut self, user: &ObjectKey, source: &TokenSource, list_since: EpochSeconds) {
        let source = self.sources.entry(source.clone()).or_default();
        source.waiting.insert(user.clone());
        source.list_wanted_since = source.list_wanted_since.max(list_since);
    }

    /// A source in use.
    pub fn source_mut(&mut self, source: &TokenSource) -> Option<&mut Source> {
        self.sources.get_mut(source)
    }

    /// The account of the token that `source` holds.
    #[must_use]
    pub fn account(&self, source: &TokenSource) -> Option<&Account> {
        let held = self.sources.get(source)?.held.as_ref()?;
        self.accounts.get(&held.as_ref().ok()?.fingerprint())
    }

    /// The account of this token, wherever it is kept, while anybody uses it.
    pub fn account_of(&mut self, token: TokenFingerprint) -> Option<&mut Account> {
        self.accounts.get_mut(&token)
    }

    /// The account of the token that `source` holds, made if need be.
    pub fn account_mut(&mut self, source: &TokenSource) -> Option<&mut Account> {
        let held = self.sources.get(source)?.held.as_ref()?;
        let fingerprint = held.as_ref().ok()?.fingerprint();
        let limits = self.limits;
        Some(
            self.accounts
                .entry(fingerprint)
                .or_insert_with(|| Account::new(limits)),
        )
    }

    /// The sources that hold the same token as `source`, itself included.
    #[must_use]
    pub fn sharing(&self, source: &TokenSource) -> Vec<TokenSource> {
        let fingerprint = |source: &Source| match &source.held {
            Some(Ok(token)) => Some(token.fingerprint()),
            _ => None,
        };
        let Some(wanted) = self.sources.get(source).and_then(fingerprint) else {
            return vec![source.clone()];
        };
        let same = self
            .sources
            .iter()
            .filter(|(_, other)| fingerprint(other) == Some(wanted));
        same.map(|(source, _)| source.clone()).collect()
    }

    /// The accesses that use the same token as `source`, wherever it is kept.
    #[must_use]
    pub fn users_of_token(&self, source: &TokenSource) -> Vec<ObjectKey> {
        let sharing = self.sharing(source);
        sharing
            .iter()
            .flat_map(|source| self.users(source))
            .collect()
    }

    /// The accesses that use `source`.
    #[must_use]
    pub fn users(&self, source: &TokenSource) -> Vec<ObjectKey> {
        self.sources
            .get(source)
            .map(|source| source.users.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// The accesses that wait for `source`; they are no longer waiting afterwards.
    pub fn take_waiting(&mut self, source: &TokenSource) -> Vec<ObjectKey> {
        let source = self.sources.get_mut(source);
        source
            .map(|source| std::mem::take(&mut source.waiting).into_iter().collect())
            .unwrap_or_default()
    }

    /// Every source in use.
    pub fn sources(&self) -> impl Iterator<Item = &TokenSource> {
        self.sources.keys()
    }

    /// Whether DigitalOcean serves the token of `source` ([`Reason::Usable`]), or why not; `None` while that is
    /// being found out.
    #[must_use]
    pub fn verdict(&self, source: &TokenSource) -> Option<Reason> {
        if let Err(reason) = self.sources.get(source)?.held.as_ref()? {
            return Some(*reason);
        }
        let account = self.account(source)?;
        match account.gate.closed() {
            Some(_) if account.gate.is_suspected() => None,
            Some((reason, _)) => Some(reason),
            None => account.clusters.as_ref().map(|_| Reason::Usable),
        }
    }

    fn forget_unused_accounts(&mut self) {
        let used: BTreeSet<_> = self
            .sources
            .values()
            .filter_map(|source| Some(source.held.as_ref()?.as_ref().ok()?.fingerprint()))
            .collect();
        self.accounts
            .retain(|fingerprint, _| used.contains(fingerprint));
    }
}
