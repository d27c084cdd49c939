//! The API token of an access: may it use it, and does it work?

use super::super::accounts;
use super::super::key::{Key, TokenSource};
use super::super::observe::Observation;
use super::super::tokens::{LIST_FRESH_SECONDS, TokenView, UsableToken};
use super::Run;
use crate::api::{Reason, RetryClass};
use crate::rotation::{EpochSeconds, Failure, MAX_SLEEP_SECONDS};
use crate::status::Finding;

/// How long an access leaves the look into a broken token to the token's own run, in seconds.
const TOKEN_GRACE_SECONDS: i64 = 5;

impl Run<'_> {
    /// Finds out whether the access may use the account that it names.
    pub(super) fn admit(&mut self) {
        let TokenSource::Account(name) = &self.subject.source else {
            return;
        };
        match accounts::admit(self.context, name, &self.subject.key.namespace) {
            Ok(account) => self.account = Some(account),
            Err(refusal) => {
                self.finding = Some(refusal.clone());
                self.refusal = Some(refusal);
            }
        }
    }

    pub(super) fn attach_token(&mut self) {
        let mut tokens = self.context.tokens();
        // A suspended access causes no call, not even of the list that its token is watched by; nor does
        // one that may not use the token.
        if self.subject.wanted.suspend || self.refusal.is_some() {
            return tokens.detach(&self.subject.key);
        }
        let source = &self.subject.source;
        let is_new = tokens.attach(&self.subject.key, source);
        let recovered_at = tokens
            .account(source)
            .and_then(|account| account.gate.recovered_at());
        drop(tokens);
        if is_new {
            self.context.wake(Key::Token(source.clone()));
        }
        // The outage that this failure was part of is over: no need to wait for the retry.
        let part_of_it = |failure: &Failure| {
            failure.reason.retry() == RetryClass::Token
                && recovered_at.is_some_and(|recovered_at| recovered_at >= failure.at)
        };
        if self.memory.failure.as_deref().is_some_and(part_of_it) {
            self.memory.failure = None;
        }
    }

    pub(super) fn token(&self) -> TokenView {
        if self.refusal.is_some() && !self.may_be_renamed {
            // Whatever changes that wakes the access.
            return TokenView::Blocked {
                reason: Reason::NotAllowed,
                until: self.now + MAX_SLEEP_SECONDS,
            };
        }
        let list_since = self.now - LIST_FRESH_SECONDS;
        self.context.tokens().view(&self.subject.source, list_since)
    }

    pub(super) fn usable_token(&self) -> Option<UsableToken> {
        match self.token() {
            TokenView::Usable(token) => Some(token),
            _ => None,
        }
    }

    /// An issue is due, and there is no token for it now.
    pub(super) async fn wait_for_token(
        mut self,
        found: &Observation,
        view: TokenView,
    ) -> EpochSeconds {
        let TokenView::Blocked { reason, until } = view else {
            return self.park();
        };
        let finding = match (self.refusal.take(), &self.subject.source) {
            (Some(refusal), _) => refusal,
            (None, TokenSource::Account(name)) => accounts::finding(name, reason),
            (None, TokenSource::Secret(_)) => Finding::of(reason),
        };
        self.finding = Some(finding);
        // The token is looked into at that instant, and wakes the access if all is well.
        self.settle(found, until.max(self.now) + TOKEN_GRACE_SECONDS)
            .await
    }

    /// Asks for what is not known of the token; the answer wakes the access.
    pub(super) fn park(self) -> EpochSeconds {
        self.request_list(self.now - LIST_FRESH_SECONDS);
        self.now + MAX_SLEEP_SECONDS
    }

    pub(super) fn request_list(&self, since: EpochSeconds) {
        let source = &self.subject.source;
        self.context
            .tokens()
            .request(&self.subject.key, source, since);
        self.context.wake(Key::Token(source.clone()));
    }
}
