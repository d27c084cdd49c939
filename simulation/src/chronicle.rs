//! What happened, in the order in which a checker wants it: by access, by Secret, by what stood in the way.

use std::collections::BTreeMap;
use std::sync::Arc;

use do_cluster_access::api::{DOClusterAccess, DOClusterAccessSpec};
use do_cluster_access::outputs::{FIELD_MANAGER, FoundSecret, Marks};
use do_cluster_access::rotation::{EpochSeconds, Issue, Schedule, earliest_renewal, renew_at};
use do_cluster_access_testbed::api_server::{Kind, Object, Write};
use do_cluster_access_testbed::simulator::{Entry as Exchange, Mint, fingerprint};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;

use crate::journal::{End, Event, Scope};
use crate::run::Record;
use crate::time::Time;

/// The whole story.
pub struct Chronicle<'a> {
    /// What it was made from.
    pub record: &'a Record,
    /// Every access that ever was, each life of a name for itself, by birth.
    pub accesses: Vec<Access>,
    /// Every Secret that ever bore our marks, each life of a name for itself, by birth.
    pub secrets: Vec<SecretLife>,
    /// When who could not be served.
    pub impairments: Vec<Impairment>,
    /// When everything had ended that goes wrong.
    pub calm_at: Timestamp,
    /// When everything looked as it should, or must have.
    pub converged_at: Timestamp,
    /// When the record ends.
    pub end: Timestamp,
    skews: Vec<(Timestamp, usize, i64)>,
    /// Places of accesses by UID.
    by_uid: BTreeMap<String, usize>,
    /// Places of the versions that the operator wrote, by the access that they belong to.
    published: BTreeMap<String, Vec<(usize, usize)>>,
}

/// One life of an access.
pub struct Access {
    /// Its UID.
    pub uid: String,
    /// `namespace/name`.
    pub key: String,
    /// Its namespace.
    pub namespace: String,
    /// Label of its DigitalOcean account.
    pub account: String,
    /// When it was created.
    pub born: Timestamp,
    /// When, and at which version, it was deleted.
    pub gone: Option<(Timestamp, u64)>,
    /// Every version of it, oldest first.
    pub versions: Vec<AccessVersion>,
}

/// A version of an access.
pub struct AccessVersion {
    /// When it was written.
    pub at: Timestamp,
    /// Its version.
    pub version: u64,
    /// Whether the operator wrote it.
    pub ours: bool,
    /// What it is.
    pub object: DOClusterAccess,
}

/// One life of a Secret.
pub struct SecretLife {
    /// `namespace/name`.
    pub key: String,
    /// Every version of it, oldest first.
    pub versions: Vec<SecretVersion>,
    /// When, at which version, and by whom it was deleted.
    pub gone: Option<(Timestamp, u64, String)>,
}

/// A version of a Secret.
pub struct SecretVersion {
    /// When it was written.
    pub at: Timestamp,
    /// Its version.
    pub version: u64,
    /// Whether the operator wrote it.
    pub ours: bool,
    /// What it is.
    pub found: FoundSecret,
    /// What credentials are in it, as indices of the mints.
    pub credentials: Vec<usize>,
    /// Something in it looks like a credential, and was never minted.
    pub forged: bool,
}

impl SecretVersion {
    /// The marks, where they are complete.
    #[must_use]
    pub fn marks(&self) -> Option<&Marks> {
        self.found.metadata.marks.as_ref()
    }

    /// The issue that it says it holds.
    #[must_use]
    pub fn issue(&self) -> Option<&Issue> {
        self.marks().map(|marks| &marks.issue)
    }

    /// The access that it says it belongs to.
    #[must_use]
    pub fn access_uid(&self) -> Option<&str> {
        self.found.metadata.access_uid()
    }

    /// When the first of its credentials really expires.
    #[must_use]
    pub fn expires_at(&self, mints: &[Mint]) -> Option<Timestamp> {
        let expiries = self
            .credentials
            .iter()
            .map(|index| mints[*index].expires_at);
        expiries.min()
    }
}

/// A time during which somebody could not be served, or not in good order.
#[derive(Clone, Debug)]
pub struct Impairment {
    /// From when.
    pub from: Timestamp,
    /// Until when, the time included that it takes to recover.
    pub until: Timestamp,
    /// Whom it concerns.
    pub scope: Scope,
    /// What it was.
    pub what: String,
}

impl<'a> Chronicle<'a> {
    /// Puts a record in order.
    #[must_use]
    pub fn new(record: &'a Record) -> Self {
        let end = Time::after(record.seconds);
        let accesses = accesses(record);
        let secrets = secrets(record);
        Self {
            by_uid: places(&accesses),
            published: published(&secrets),
            calm_at: first(record, &Event::Calm, end),
            converged_at: first(record, &Event::Converged, end),
            accesses,
            secrets,
            impairments: impairments(record, end),
            skews: skews(record),
            record,
            end,
        }
    }

    /// How many seconds ahead the clock of a replica was at `at`.
    #[must_use]
    pub fn skew(&self, replica: usize, at: Timestamp) -> i64 {
        let before = self
            .skews
            .iter()
            .rev()
            .find(|(since, which, _)| *which == replica && *since <= at);
        before.map_or(0, |(_, _, seconds)| *seconds)
    }

    /// The least and the most that any clock of the operator was ahead between `from` and `until`.
    #[must_use]
    pub fn skews_between(&self, from: Timestamp, until: Timestamp) -> (i64, i64) {
        let replicas = 0..self.record.plan.replicas;
        let at_first = replicas.map(|replica| self.skew(replica, from));
        let later = self
            .skews
            .iter()
            .filter(|(since, _, _)| from < *since && *since <= until)
            .map(|(_, _, seconds)| *seconds);
        at_first
            .chain(later)
            .chain([0])
            .fold((0, 0), |(least, most), seconds| {
                (least.min(seconds), most.max(seconds))
            })
    }

    /// Whether what happens to `scope` concerns the access.
    #[must_use]
    pub fn concerns(&self, scope: &Scope, access: &Access) -> bool {
        match scope {
            Scope::Everything => true,
            Scope::Account(label) => *label == access.account,
            Scope::Cluster(id) => access.may_want(id, self.record),
            Scope::Access(key) => *key == access.key,
        }
    }

    /// What stood in the way of an access between `from` and `until`, in the order of time.
    pub fn impairments_of<'b>(
        &'b self,
        access: &'b Access,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = &'b Impairment> {
        self.impairments.iter().filter(move |impairment| {
            impairment.from < until
                && impairment.until > from
                && self.concerns(&impairment.scope, access)
        })
    }

    /// The longest time without any impairment of the access between `from` and `until`: from when, and for
    /// how many seconds.
    #[must_use]
    pub fn longest_window(
        &self,
        access: &Access,
        from: Timestamp,
        until: Timestamp,
    ) -> (Timestamp, i64) {
        let mut windows = Vec::new();
        let mut free_since = from;
        for impairment in self.impairments_of(access, from, until) {
            if impairment.from > free_since {
                windows.push((free_since, impairment.from));
            }
            free_since = free_since.max(impairment.until);
        }
        if until > free_since {
            windows.push((free_since, until));
        }
        windows
            .into_iter()
            .map(|(from, until)| (from, until.as_second() - from.as_second()))
            .max_by_key(|(_, seconds)| *seconds)
            .unwrap_or((from, 0))
    }

    /// The access with this UID.
    #[must_use]
    pub fn access(&self, uid: &str) -> Option<&Access> {
        self.accesses.get(*self.by_uid.get(uid)?)
    }

    /// The versions of Secrets that the operator wrote for an access, in the order of time, each with its
    /// Secret.
    #[must_use]
    pub fn published<'b>(&'b self, access: &'b Access) -> Vec<(&'b SecretLife, &'b SecretVersion)> {
        let places = self.published.get(&access.uid).into_iter().flatten();
        places
            .map(|(life, version)| {
                let life = &self.secrets[*life];
                (life, &life.versions[*version])
            })
            .collect()
    }

    /// Deeds and disturbances that concern the access between `from` and `until`: descriptions.
    #[must_use]
    pub fn troubles(&self, access: &Access, from: Timestamp, until: Timestamp) -> Vec<String> {
        let deeds = self.record.journal.iter().filter_map(|entry| {
            let Event::Deed { scope, what } = &entry.event else {
                return None;
            };
            let in_time = from <= entry.at && entry.at <= until;
            (in_time && self.concerns(scope, access)).then(|| what.clone())
        });
        let impairments = self.impairments_of(access, from, until);
        deeds
            .chain(impairments.map(|impairment| impairment.what.clone()))
            .collect()
    }
}

impl Access {
    /// The version that was in force at `at`.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> Option<&AccessVersion> {
        self.versions.iter().rev().find(|version| version.at <= at)
    }

    /// The specs that were in force at any time between the two.
    pub fn specs_between(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = &DOClusterAccessSpec> {
        let before = self.at(from).map_or(0, |version| version.version);
        self.versions
            .iter()
            .filter(move |version| version.version >= before && version.at <= until)
            .map(|version| &version.object.spec)
    }

    /// Whether any of its specs names this cluster, by whatever name it ever had.
    fn may_want(&self, id: &str, record: &Record) -> bool {
        let clusters = record
            .plan
            .accounts
            .iter()
            .flat_map(|account| &account.clusters);
        let name = clusters
            .into_iter()
            .find(|cluster| cluster.id == id)
            .map(|cluster| cluster.name.as_str());
        self.versions.iter().any(|version| {
            let wanted = &version.object.spec.cluster;
            wanted.id.as_deref() == Some(id) || wanted.name.as_deref() == name
        })
    }

    /// When `issue` is renewed, by the operator's clock, whatever margin was asked for between the two: the
    /// earliest and the latest instant.
    #[must_use]
    pub fn renewal(
        &self,
        issue: &Issue,
        from: Timestamp,
        until: Timestamp,
    ) -> (EpochSeconds, EpochSeconds) {
        let schedules = self.specs_between(from, until).map(|spec| Schedule {
            uid: &self.uid,
            renew_before_seconds: spec.renew_before_seconds,
        });
        schedules.fold(
            (EpochSeconds::MAX, EpochSeconds::MIN),
            |(least, most), schedule| {
                let earliest = earliest_renewal(schedule, issue.issued_at, issue.expires_at);
                let latest = renew_at(schedule, issue.issued_at, issue.expires_at);
                (least.min(earliest), most.max(latest))
            },
        )
    }
}

fn places(accesses: &[Access]) -> BTreeMap<String, usize> {
    let places = accesses.iter().enumerate();
    places
        .map(|(place, access)| (access.uid.clone(), place))
        .collect()
}

/// The versions that the operator wrote, by access, in the order of time.
fn published(secrets: &[SecretLife]) -> BTreeMap<String, Vec<(usize, usize)>> {
    let mut published: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
    for (life, secret) in secrets.iter().enumerate() {
        for (place, version) in secret.versions.iter().enumerate() {
            if let Some(uid) = version.access_uid().filter(|_| version.ours) {
                published
                    .entry(uid.to_owned())
                    .or_default()
                    .push((life, place));
            }
        }
    }
    for versions in published.values_mut() {
        versions.sort_by_key(|(life, place)| secrets[*life].versions[*place].version);
    }
    published
}

fn accesses(record: &Record) -> Vec<Access> {
    let mut lives: Vec<Access> = Vec::new();
    let mut alive: BTreeMap<String, usize> = BTreeMap::new();
    for write in &record.writes {
        if write.kind != Kind::DOClusterAccess {
            continue;
        }
        let Some(object) = write.after.as_ref().or(write.before.as_ref()) else {
            continue;
        };
        let key = format!("{}/{}", object.namespace(), object.name());
        if write.after.is_none() {
            if let Some(life) = alive.remove(&key) {
                lives[life].gone = Some((write.at, write.version));
            }
            continue;
        }
        let life = *alive.entry(key.clone()).or_insert_with(|| {
            let mut plans = record.plan.accesses.iter();
            let plan = plans.find(|plan| plan.key() == key);
            let account = plan.map(|plan| record.plan.accounts[plan.account].label.clone());
            lives.push(Access {
                uid: object.uid().to_owned(),
                namespace: object.namespace().to_owned(),
                account: account.unwrap_or_default(),
                key,
                born: write.at,
                gone: None,
                versions: Vec::new(),
            });
            lives.len() - 1
        });
        if let Ok(object) = serde_json::from_value(object.value().clone()) {
            lives[life].versions.push(AccessVersion {
                at: write.at,
                version: write.version,
                ours: &*write.manager == FIELD_MANAGER,
                object,
            });
        }
    }
    lives
}

fn secrets(record: &Record) -> Vec<SecretLife> {
    let minted: BTreeMap<&str, usize> = record
        .mints
        .iter()
        .enumerate()
        .map(|(index, mint)| (mint.fingerprint.as_str(), index))
        .collect();
    let mut lives: Vec<SecretLife> = Vec::new();
    let mut alive: BTreeMap<String, usize> = BTreeMap::new();
    for write in &record.writes {
        if write.kind != Kind::Secret {
            continue;
        }
        let Some(object) = write.after.as_ref().or(write.before.as_ref()) else {
            continue;
        };
        let key = format!("{}/{}", object.namespace(), object.name());
        if write.after.is_none() {
            if let Some(life) = alive.remove(&key) {
                let by = write.manager.to_string();
                lives[life].gone = Some((write.at, write.version, by));
            }
            continue;
        }
        if let Some(version) = secret_version(write, object, &minted) {
            let life = *alive.entry(key.clone()).or_insert_with(|| {
                lives.push(SecretLife {
                    key,
                    versions: Vec::new(),
                    gone: None,
                });
                lives.len() - 1
            });
            lives[life].versions.push(version);
        }
    }
    let ours = |life: &SecretLife| life.versions.iter().any(|version| version.ours);
    lives.retain(ours);
    lives
}

fn secret_version(
    write: &Write,
    object: &Arc<Object>,
    minted: &BTreeMap<&str, usize>,
) -> Option<SecretVersion> {
    let mut value = object.value().clone();
    value["metadata"]["managedFields"] = object.managed_fields();
    let secret: Secret = serde_json::from_value(value).ok()?;
    let found = FoundSecret::new(secret)?;
    let mut credentials = Vec::new();
    let mut forged = false;
    for (_, content) in found.contents.iter() {
        for word in words(content) {
            match minted.get(fingerprint(word).as_str()) {
                Some(index) if !credentials.contains(index) => credentials.push(*index),
                Some(_) => {}
                None => forged |= word.len() == TOKEN_LENGTH,
            }
        }
    }
    Some(SecretVersion {
        at: write.at,
        version: write.version,
        ours: &*write.manager == FIELD_MANAGER,
        found,
        credentials,
        forged,
    })
}

/// What the simulator's tokens look like: so many hexadecimal digits.
const TOKEN_LENGTH: usize = 64;

/// All that looks like a token in a text of whatever form: found without the operator's help.
fn words(content: &[u8]) -> impl Iterator<Item = &str> {
    let text = std::str::from_utf8(content).unwrap_or_default();
    text.split(|letter: char| !letter.is_ascii_hexdigit())
        .filter(|word| word.len() == TOKEN_LENGTH)
}

fn skews(record: &Record) -> Vec<(Timestamp, usize, i64)> {
    let skews = record.journal.iter().filter_map(|entry| match entry.event {
        Event::Skew { replica, seconds } => Some((entry.at, replica, seconds)),
        _ => None,
    });
    skews.collect()
}

/// How long a request that a fault struck keeps somebody waiting, in seconds.
fn struck_for(what: &str) -> i64 {
    if what.contains("Hang") || what.contains("Slow") {
        // A watch or a list is given up when its connection has been silent for so long.
        170
    } else if what.contains("NoLease") {
        30
    } else {
        12
    }
}

/// How long an answer may have told to wait, in seconds.
fn told_to_wait(exchange: &Exchange) -> i64 {
    if exchange.status == Some(429) { 660 } else { 0 }
}

/// How long after a disturbance has ended it may still delay somebody, in seconds.
fn aftermath(what: &str, lease_seconds: i64) -> i64 {
    if what.contains("OtherUser") {
        // Until the requests leave the hourly window.
        3700
    } else if what.contains("RateLimit") {
        // As long as the answer told to wait.
        660
    } else if what.contains("retry_after: Some") {
        40
    } else if what.contains("NoLease") || what.contains("Down") || what.contains("Overlap") {
        lease_seconds
    } else if what.contains("Lag") {
        100
    } else {
        0
    }
}

fn impairments(record: &Record, end: Timestamp) -> Vec<Impairment> {
    let lease = record.plan.election.map_or(0, |timing| {
        (timing.duration + 3 * timing.period)
            .as_secs()
            .cast_signed()
            + 30
    });
    let mut impairments = Vec::new();
    let mut open: BTreeMap<u64, (Timestamp, &Scope, &str)> = BTreeMap::new();
    let after = |at: Timestamp, seconds: i64| at + jiff::SignedDuration::from_secs(seconds);
    for entry in &record.journal {
        match &entry.event {
            Event::Begin { id, scope, what } => {
                open.insert(*id, (entry.at, scope, what));
            }
            Event::Finish { id } => {
                if let Some((from, scope, what)) = open.remove(id) {
                    impairments.push(Impairment {
                        from,
                        until: after(entry.at, aftermath(what, lease)),
                        scope: scope.clone(),
                        what: what.to_owned(),
                    });
                }
            }
            Event::Ended { replica, how } => {
                let again = if *how == End::Stop { 25 } else { 25 + lease };
                impairments.push(Impairment {
                    from: entry.at,
                    until: after(entry.at, again + 15),
                    scope: Scope::Everything,
                    what: format!("replica {replica} ended: {how:?}"),
                });
            }
            Event::Jump { seconds } => impairments.push(Impairment {
                // Nothing could be done while the machine was suspended, nor noticed until the next look at
                // the clock.
                from: after(entry.at, -seconds),
                until: after(entry.at, 60 + lease),
                scope: Scope::Everything,
                what: format!("suspended for {seconds} s"),
            }),
            Event::Struck { what } => impairments.push(Impairment {
                from: entry.at,
                until: after(entry.at, struck_for(what)),
                scope: Scope::Everything,
                what: what.clone(),
            }),
            Event::Skew { .. } => impairments.push(Impairment {
                from: entry.at,
                until: after(entry.at, 60),
                scope: Scope::Everything,
                what: "clock step".to_owned(),
            }),
            Event::Deed { scope, what } if what.starts_with("RenameCluster") => {
                impairments.push(Impairment {
                    from: entry.at,
                    until: after(first(record, &Event::Calm, end), 60),
                    scope: scope.clone(),
                    what: what.clone(),
                });
            }
            _ => {}
        }
    }
    for exchange in &record.exchanges {
        if !exchange.faults.is_empty() {
            impairments.push(Impairment {
                from: exchange.time,
                until: after(exchange.time, 15 + told_to_wait(exchange)),
                scope: exchange
                    .account
                    .clone()
                    .map_or(Scope::Everything, Scope::Account),
                what: "DigitalOcean struck".to_owned(),
            });
        }
    }
    for (from, scope, what) in open.into_values() {
        impairments.push(Impairment {
            from,
            until: end,
            scope: scope.clone(),
            what: what.to_owned(),
        });
    }
    impairments.sort_by_key(|impairment| impairment.from);
    impairments
}

/// When this was first noted, or else the end.
fn first(record: &Record, event: &Event, end: Timestamp) -> Timestamp {
    let mut entries = record.journal.iter();
    entries
        .find(|entry| entry.event == *event)
        .map_or(end, |entry| entry.at)
}
