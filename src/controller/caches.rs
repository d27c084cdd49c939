//! All that the watches have told, and who is concerned by a change of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cache::{Cache, Versioned};
use super::key::{ObjectKey, TokenSource};
use super::known::KnownAccess;
use super::subject::token_source;
use crate::api::{DEFAULT_OUTPUT_SUFFIX, DOAccount, DOClusterAccess, DOClusterAccessSpec, Output};
use crate::outputs::FoundMetadata;
use crate::rotation::EpochSeconds;

/// What the watches have told.
#[derive(Debug, Default)]
pub struct Caches {
    /// The accesses.
    pub accesses: Cache<KnownAccess>,
    /// The DOAccounts, in no namespace.
    pub accounts: Cache<DOAccount>,
    /// The Secrets that bear our label.
    pub secrets: Cache<FoundMetadata>,
    /// UID of an access, and a Secret of its. Flat, since most have one: a set for each costs far more.
    secrets_by_access: BTreeSet<(Arc<str>, ObjectKey)>,
    /// Which accesses name a Secret as an output, where they say so.
    claims: BTreeMap<ObjectKey, BTreeSet<ObjectKey>>,
    /// The cluster that an access names, or led to last (its id in lower case, or its name), and the access.
    by_cluster: BTreeSet<(Arc<str>, ObjectKey)>,
}

impl Versioned for DOAccount {
    fn resource_version(&self) -> &str {
        self.metadata
            .resource_version
            .as_deref()
            .unwrap_or_default()
    }
}

impl Versioned for FoundMetadata {
    fn resource_version(&self) -> &str {
        &self.resource_version
    }
}

impl Caches {
    /// When the published credential of an access expires, as its status says.
    #[must_use]
    pub fn expires_at(&self, key: &ObjectKey) -> Option<EpochSeconds> {
        self.accesses.get(key)?.expires_at
    }

    /// Whether there is an access with this UID in `namespace`.
    #[must_use]
    pub fn access_exists(&self, namespace: &str, uid: &str) -> bool {
        self.accesses
            .in_namespace(namespace)
            .any(|(_, access)| access.uid.as_deref() == Some(uid))
    }

    /// The DOAccount of this name.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<Arc<DOAccount>> {
        self.accounts.get(&ObjectKey::new("", name))
    }

    /// The accesses that name the DOAccount, allowed or not.
    #[must_use]
    pub fn users_of_account(&self, name: &str) -> Vec<ObjectKey> {
        let account = TokenSource::Account(name.into());
        let users = self
            .accesses
            .iter()
            .filter(|(key, access)| token_source(key, &access.spec) == account);
        users.map(|(key, _)| key.clone()).collect()
    }

    /// The accesses that name the Secret with this key as an output.
    #[must_use]
    pub fn claimants(&self, secret: &ObjectKey) -> Vec<ObjectKey> {
        let explicit = self.claims.get(secret).into_iter().flatten().cloned();
        let default = secret
            .name
            .strip_suffix(DEFAULT_OUTPUT_SUFFIX)
            .map(|name| ObjectKey::new(&secret.namespace, name))
            .filter(|key| {
                let access = self.accesses.get(key);
                access.is_some_and(|access| access.spec.outputs.is_none())
            });
        explicit.chain(default).collect()
    }

    /// The name of an older access that names the same Secret in an output that `could` have it: of two
    /// that may have a Secret, the older gets it.
    #[must_use]
    pub fn older_claimant(
        &self,
        access: &DOClusterAccess,
        secret: &ObjectKey,
        could: impl Fn(&Output) -> bool,
    ) -> Option<Arc<str>> {
        let created_at = access.metadata.creation_timestamp.as_ref();
        let ours = (
            created_at.map(|time| time.0),
            access.metadata.uid.as_deref(),
        );
        let names_it = |key: &ObjectKey, other: &KnownAccess| {
            let outputs = other.spec.effective_outputs(&key.name);
            let mut same = outputs.iter();
            same.any(|output| *output.secret_name == *secret.name && could(output))
        };
        let is_older = |key: &ObjectKey| {
            self.accesses.get(key).is_some_and(|other| {
                other.deleted_at.is_none()
                    && (other.created_at, other.uid.as_deref()) < ours
                    && names_it(key, &other)
            })
        };
        let claimants = self.claimants(secret);
        claimants.into_iter().find(is_older).map(|key| key.name)
    }

    /// The accesses that name the cluster with this id and name, or led to it last.
    pub fn accesses_of_cluster<'a>(
        &'a self,
        id: &'a str,
        name: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a ObjectKey, Arc<KnownAccess>)> {
        let clusters = [Some(id), name].into_iter().flatten();
        let keys: BTreeSet<_> = clusters
            .flat_map(|cluster| under(&self.by_cluster, cluster))
            .collect();
        keys.into_iter()
            .filter_map(|key| Some((key, self.accesses.get(key)?)))
    }

    /// Notes which cluster an access is for, and forgets which it was for.
    fn follow_cluster(
        &mut self,
        key: &ObjectKey,
        before: Option<&KnownAccess>,
        after: Option<&KnownAccess>,
    ) {
        let before: BTreeSet<Arc<str>> = before.into_iter().flat_map(clusters_of).collect();
        let after: BTreeSet<Arc<str>> = after.into_iter().flat_map(clusters_of).collect();
        for gone in before.difference(&after) {
            self.by_cluster.remove(&(gone.clone(), key.clone()));
        }
        for new in after.difference(&before) {
            self.by_cluster.insert((new.clone(), key.clone()));
        }
    }

    /// Takes over an access unless a newer version is there. Says whether it did, and which other
    /// accesses may now have a Secret that this one no longer claims.
    pub fn observe_access(
        &mut self,
        key: &ObjectKey,
        access: DOClusterAccess,
    ) -> (bool, Vec<ObjectKey>) {
        let before = self.accesses.get(key);
        if !self.accesses.observe(key, KnownAccess::of(access)) {
            return (false, Vec::new());
        }
        let after = self.accesses.get(key);
        self.follow_cluster(key, before.as_deref(), after.as_deref());
        // One that was made anew in the meantime is younger.
        let same_claims = before
            .as_ref()
            .zip(after.as_ref())
            .is_some_and(|(before, after)| {
                before.uid == after.uid && before.spec.outputs == after.spec.outputs
            });
        if same_claims {
            return (true, Vec::new());
        }
        let released = self.unclaim(key, before.as_deref());
        for secret in after
            .iter()
            .flat_map(|access| explicit_claims(key, &access.spec))
        {
            self.claims.entry(secret).or_default().insert(key.clone());
        }
        (true, released)
    }

    /// Forgets an access, unless what is there is newer. Says whether it did, and which other
    /// accesses may now have a Secret that this one claimed.
    pub fn remove_access(
        &mut self,
        key: &ObjectKey,
        resource_version: &str,
    ) -> (bool, Vec<ObjectKey>) {
        let before = self.accesses.get(key);
        if !self.accesses.remove(key, resource_version) {
            return (false, Vec::new());
        }
        self.follow_cluster(key, before.as_deref(), None);
        (true, self.unclaim(key, before.as_deref()))
    }

    /// Forgets the accesses of `namespace` (of all, if `None`) that are not `listed`. Says which
    /// accesses that concerns.
    pub fn retain_listed_accesses(
        &mut self,
        namespace: Option<&str>,
        listed: &BTreeSet<ObjectKey>,
    ) -> Vec<ObjectKey> {
        let before: BTreeMap<_, _> = self
            .accesses
            .iter()
            .filter(|(key, _)| !listed.contains(*key))
            .map(|(key, access)| (key.clone(), access.clone()))
            .collect();
        let gone = self.accesses.retain_listed(namespace, listed);
        let mut concerned = gone.clone();
        for key in &gone {
            let access = before.get(key).map(Arc::as_ref);
            self.follow_cluster(key, access, None);
            concerned.extend(self.unclaim(key, access));
        }
        concerned
    }

    fn unclaim(&mut self, key: &ObjectKey, access: Option<&KnownAccess>) -> Vec<ObjectKey> {
        let Some(access) = access else {
            return Vec::new();
        };
        for secret in explicit_claims(key, &access.spec) {
            if let Some(claimants) = self.claims.get_mut(&secret) {
                claimants.remove(key);
                if claimants.is_empty() {
                    self.claims.remove(&secret);
                }
            }
        }
        let outputs = access.spec.effective_outputs(&key.name);
        let secrets = outputs
            .iter()
            .map(|output| ObjectKey::new(&key.namespace, &output.secret_name));
        secrets
            .flat_map(|secret| self.claimants(&secret))
            .filter(|claimant| claimant != key)
            .collect()
    }

    /// The Secrets that belong to the access with this UID.
    pub fn secrets_of(&self, uid: &str) -> impl Iterator<Item = Arc<FoundMetadata>> {
        under(&self.secrets_by_access, uid).filter_map(|key| self.secrets.get(key))
    }

    /// Takes over a Secret unless a newer version is there. Says which accesses it concerns: the
    /// one that it belongs to, and the one that it belonged to before.
    pub fn observe_secret(&mut self, secret: FoundMetadata) -> Vec<ObjectKey> {
        let key = secret_key(&secret);
        let before = self.secrets.get(&key);
        let uid = secret.access_uid().map(Arc::from);
        if !self.secrets.observe(&key, secret) {
            return Vec::new();
        }
        let mut concerned = before
            .as_ref()
            .map(|before| self.unlink(&key, before))
            .unwrap_or_default();
        if let Some(uid) = uid {
            self.secrets_by_access.insert((uid, key.clone()));
        }
        let after = self.secrets.get(&key);
        concerned.extend(after.as_deref().and_then(access_key));
        let was_owned = before
            .as_ref()
            .is_some_and(|before| before.access_uid().is_some());
        if was_owned && after.is_some_and(|after| after.access_uid().is_none()) {
            // It was let go: those whom it was in the way of.
            concerned.extend(self.claimants(&key));
        }
        concerned.sort();
        concerned.dedup();
        concerned
    }

    /// Forgets a Secret, unless what is there is newer. Says which accesses that concerns.
    pub fn remove_secret(&mut self, key: &ObjectKey, resource_version: &str) -> Vec<ObjectKey> {
        let before = self.secrets.get(key);
        if !self.secrets.remove(key, resource_version) {
            return Vec::new();
        }
        let mut concerned = before
            .map(|before| self.unlink(key, &before))
            .unwrap_or_default();
        // Those whom it was in the way of.
        concerned.extend(self.claimants(key));
        concerned.sort();
        concerned.dedup();
        concerned
    }

    /// Forgets the Secrets of `namespace` (of all, if `None`) that are not `listed`. Says which
    /// accesses that concerns.
    pub fn retain_listed_secrets(
        &mut self,
        namespace: Option<&str>,
        listed: &BTreeSet<ObjectKey>,
    ) -> Vec<ObjectKey> {
        let before: BTreeMap<_, _> = self
            .secrets
            .iter()
            .filter(|(key, _)| !listed.contains(*key))
            .map(|(key, secret)| (key.clone(), secret.clone()))
            .collect();
        let gone = self.secrets.retain_listed(namespace, listed);
        let mut concerned = Vec::new();
        for (key, secret) in gone.iter().filter_map(|key| before.get_key_value(key)) {
            concerned.extend(self.unlink(key, secret));
            // Those whom it was in the way of.
            concerned.extend(self.claimants(key));
        }
        concerned
    }

    fn unlink(&mut self, key: &ObjectKey, secret: &FoundMetadata) -> Vec<ObjectKey> {
        if let Some(uid) = secret.access_uid() {
            self.secrets_by_access.remove(&(uid.into(), key.clone()));
        }
        access_key(secret).into_iter().collect()
    }
}

/// The key of a Secret: text that is kept anyway.
pub(super) fn secret_key(secret: &FoundMetadata) -> ObjectKey {
    ObjectKey {
        namespace: secret.namespace.clone(),
        name: secret.name.clone(),
    }
}

/// The access that a Secret says it belongs to. Only a hint whom to wake: what counts is the UID.
fn access_key(secret: &FoundMetadata) -> Option<ObjectKey> {
    secret
        .access_name()
        .map(|name| ObjectKey::new(&secret.namespace, name))
}

/// What `access` calls its cluster, and the id that it led to last.
fn clusters_of(access: &KnownAccess) -> impl Iterator<Item = Arc<str>> {
    let spec = &access.spec.cluster;
    let id = spec.id.as_deref().map(|id| id.to_ascii_lowercase().into());
    let name = spec.name.as_deref().map(Arc::from);
    id.into_iter().chain(access.cluster_id.clone()).chain(name)
}

/// The keys that an index has under a name, in order.
fn under<'a>(
    index: &'a BTreeSet<(Arc<str>, ObjectKey)>,
    name: &str,
) -> impl Iterator<Item = &'a ObjectKey> + use<'a> {
    let name: Arc<str> = name.into();
    index
        .range((name.clone(), ObjectKey::new("", ""))..)
        .take_while(move |(under, _)| *under == name)
        .map(|(_, key)| key)
}

/// The Secrets that the outputs in `spec` name. Without any, its name says it.
fn explicit_claims(key: &ObjectKey, spec: &DOClusterAccessSpec) -> Vec<ObjectKey> {
    let outputs = spec.outputs.iter().flatten();
    outputs
        .map(|output| ObjectKey::new(&key.namespace, &output.secret_name))
        .collect()
}

#[cfg(test)]
mod tests;
