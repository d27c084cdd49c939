//! `DOAccount`s: who may use which, and what their status says. The API token behind one is looked
//! after like any other ([`super::tend`]).

use std::sync::Arc;

use tracing::info;

use super::context::Context;
use super::key::{ObjectKey, SecretKey, TokenSource};
use crate::api::{ConditionStatus, ConditionType, DOAccount, DOAccountStatus, Reason};
use crate::rotation::EpochSeconds;
use crate::status::{Finding, condition};

/// The Secret that holds the token of the account; `None` where there is no such account.
#[must_use]
pub(super) fn secret_of(context: &Context, name: &str) -> Option<SecretKey> {
    let account = context.caches().account(name)?;
    let reference = &account.spec.token_secret_ref;
    Some(SecretKey {
        namespace: context.operator_namespace.clone(),
        name: reference.name.as_str().into(),
        key: reference.key.as_str().into(),
    })
}

/// The account, for an access of `namespace`.
///
/// # Errors
/// Why the access may not use it.
pub(super) fn admit(
    context: &Context,
    name: &str,
    namespace: &str,
) -> Result<Arc<DOAccount>, Finding> {
    let account = context.caches().account(name);
    match account {
        None => Err(finding(name, Reason::AccountNotFound)),
        Some(account) if account.spec.allows_namespace(namespace) => Ok(account),
        Some(_) => Err(finding(name, Reason::NotAllowed)),
    }
}

/// What a failure of the account means to an access that uses it.
#[must_use]
pub(super) fn finding(name: &str, reason: Reason) -> Finding {
    Finding {
        subject: Some(format!("DOAccount {name}")),
        ..Finding::of(reason)
    }
}

/// Writes the status of the account where it differs from the one that is there. Returns when to try
/// again if it could not be written.
pub(super) async fn report(
    context: &Context,
    name: &str,
    now: EpochSeconds,
) -> Option<EpochSeconds> {
    let account = context.caches().account(name)?;
    let source = TokenSource::Account(name.into());
    let reason = context.tokens().verdict(&source)?;
    let status = status(&account, reason, now);
    if account.status.as_ref() == Some(&status) {
        return None;
    }
    match context
        .kubernetes
        .apply_account_status(&account, &status)
        .await
    {
        Ok(written) => {
            info!(
                account = name,
                reason = reason.as_str(),
                "the DOAccount was checked"
            );
            let key = ObjectKey::new("", name);
            context.caches().accounts.observe(&key, written);
            None
        }
        Err(error) => super::report::status_retry(&error, now),
    }
}

fn status(account: &DOAccount, reason: Reason, now: EpochSeconds) -> DOAccountStatus {
    let ready = match reason {
        Reason::Usable => ConditionStatus::True,
        _ => ConditionStatus::False,
    };
    let before = account.status.as_ref();
    let previous = before.map_or(&[][..], |status| &status.conditions);
    let generation = account.metadata.generation;
    let finding = Finding::of(reason);
    let kind = ConditionType::Ready;
    DOAccountStatus {
        observed_generation: generation,
        conditions: vec![condition(previous, kind, ready, &finding, generation, now)],
    }
}
