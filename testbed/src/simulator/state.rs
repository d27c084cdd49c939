//! The simulated DigitalOcean: a state machine that is handed every request and the time at which it arrives, and
//! answers. It reads no clock, waits for nothing, and with the same seed and requests does the same again.

mod exchange;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::account::{Account, ApiToken, Scope, User};
use super::authority::Authority;
use super::cluster::{Cluster, PlacedCluster};
use super::fault::{Fault, Faults};
use super::history::Entry;
use super::limits::{Limits, SlidingWindow};
use super::mint::{MintSelector, Mints};
use super::randomness::Randomness;
use super::{Error, Latency, Settings};

/// All that the simulated DigitalOcean knows.
pub(crate) struct State {
    limits: Limits,
    latency: Latency,
    randomness: Randomness,
    accounts: BTreeMap<String, Owner>,
    tokens: BTreeMap<String, ApiToken>,
    pub(crate) mints: Mints,
    pub(crate) faults: Faults,
    pub(crate) history: Vec<Entry>,
    /// Signs client certificates.
    client_authority: Authority,
    /// PEM for clusters that were given no certificate authority.
    cluster_authority: String,
}

/// An account and what it owns.
struct Owner {
    account: Account,
    clusters: BTreeMap<String, PlacedCluster>,
}

impl State {
    pub(crate) fn new(settings: &Settings) -> Result<Self, Error> {
        let mut randomness = Randomness::new(settings.seed);
        let client_authority = match &settings.client_authority {
            Some(given) => Authority::from_pem(given),
            None => Authority::generate(
                "k8saas Client CA",
                randomness.bytes("certificate authority"),
            ),
        }?;
        let cluster_authority = Authority::generate(
            "k8saas Cluster CA",
            randomness.bytes("certificate authority"),
        )?;
        Ok(Self {
            limits: settings.limits,
            latency: settings.latency,
            randomness,
            accounts: BTreeMap::new(),
            tokens: BTreeMap::new(),
            mints: Mints::default(),
            faults: Faults::default(),
            history: Vec::new(),
            client_authority,
            cluster_authority: cluster_authority.pem().to_owned(),
        })
    }

    pub(crate) fn client_authority(&self) -> &str {
        self.client_authority.pem()
    }

    pub(crate) fn cluster_authority(&self) -> &str {
        &self.cluster_authority
    }

    // What exists.

    pub(crate) fn add_account(&mut self, account: Account) -> Result<(), Error> {
        if self.accounts.contains_key(&account.label) {
            return Err(Error::AccountExists(account.label));
        }
        let clusters = BTreeMap::new();
        self.accounts
            .insert(account.label.clone(), Owner { account, clusters });
        Ok(())
    }

    pub(crate) fn accounts(&self) -> Vec<Account> {
        let owners = self.accounts.values();
        owners.map(|owner| owner.account.clone()).collect()
    }

    /// A token that is already known changes account and scope, is no longer revoked, and keeps its used-up limits.
    pub(crate) fn add_token(
        &mut self,
        account: &str,
        token: &str,
        scope: Scope,
    ) -> Result<(), Error> {
        self.owner(account)?;
        let requests = self
            .tokens
            .remove(token)
            .map_or_else(SlidingWindow::default, |known| known.requests);
        let token_state = ApiToken {
            account: account.to_owned(),
            scope,
            revoked: false,
            requests,
        };
        self.tokens.insert(token.to_owned(), token_state);
        Ok(())
    }

    pub(crate) fn revoke_token(&mut self, token: &str) -> Result<(), Error> {
        self.tokens
            .get_mut(token)
            .ok_or(Error::UnknownToken)?
            .revoked = true;
        Ok(())
    }

    /// A new API token that looks like a personal access token.
    pub(crate) fn draw_api_token(&mut self) -> String {
        format!("dop_v1_{}", self.randomness.hexadecimal("API token"))
    }

    pub(crate) fn add_cluster(
        &mut self,
        now: Timestamp,
        account: &str,
        mut cluster: Cluster,
    ) -> Result<String, Error> {
        self.owner(account)?;
        if cluster.id.is_empty() {
            cluster.id = self.randomness.uuid("cluster");
        }
        let id = cluster.id.clone();
        if self.place_of(&id).is_some() {
            return Err(Error::ClusterExists(id));
        }
        let placed = PlacedCluster {
            cluster,
            added_at: now,
            vpc_uuid: self.randomness.uuid("cluster part"),
            node_pool_uuid: self.randomness.uuid("cluster part"),
            node_uuid: self.randomness.uuid("cluster part"),
        };
        self.owner(account)?.clusters.insert(id.clone(), placed);
        Ok(id)
    }

    pub(crate) fn clusters(&self) -> Vec<(String, Cluster)> {
        self.accounts
            .iter()
            .flat_map(|(label, owner)| {
                let clusters = owner.clusters.values();
                clusters.map(|placed| (label.clone(), placed.cluster.clone()))
            })
            .collect()
    }

    pub(crate) fn cluster(&self, id: &str) -> Result<Cluster, Error> {
        self.place_of(id)
            .map(|(_, placed)| placed.cluster.clone())
            .ok_or_else(|| Error::UnknownCluster(id.to_owned()))
    }

    /// Replaces everything about a cluster except its id.
    pub(crate) fn replace_cluster(&mut self, id: &str, cluster: Cluster) -> Result<(), Error> {
        if cluster.id != id {
            return Err(Error::ClusterIdChanged(id.to_owned()));
        }
        let mut owners = self.accounts.values_mut();
        let placed = owners
            .find_map(|owner| owner.clusters.get_mut(id))
            .ok_or_else(|| Error::UnknownCluster(id.to_owned()))?;
        placed.cluster = cluster;
        Ok(())
    }

    pub(crate) fn remove_cluster(&mut self, id: &str) -> Result<Cluster, Error> {
        let mut owners = self.accounts.values_mut();
        owners
            .find_map(|owner| owner.clusters.remove(id))
            .map(|placed| placed.cluster)
            .ok_or_else(|| Error::UnknownCluster(id.to_owned()))
    }

    fn owner(&mut self, account: &str) -> Result<&mut Owner, Error> {
        self.accounts
            .get_mut(account)
            .ok_or_else(|| Error::UnknownAccount(account.to_owned()))
    }

    fn place_of(&self, id: &str) -> Option<(&Owner, &PlacedCluster)> {
        let mut owners = self.accounts.values();
        owners.find_map(|owner| owner.clusters.get(id).map(|placed| (owner, placed)))
    }

    // What the target cluster asks.

    /// Who a minted token is, as seen from `cluster` (absent: from the cluster that it was minted for); nobody when it
    /// has expired, was revoked or never existed, or when its cluster is gone.
    pub(crate) fn review(
        &self,
        now: Timestamp,
        token: &str,
        cluster: Option<&str>,
    ) -> Option<User> {
        let mint = self.mints.living_token(token, now)?;
        let (owner, placed) = self.place_of(&mint.cluster)?;
        let is_its_own = cluster.is_none_or(|cluster| cluster == placed.cluster.id);
        is_its_own.then(|| owner.account.user.clone())
    }

    pub(crate) fn revoke_minted(&mut self, now: Timestamp, selector: &MintSelector) -> usize {
        self.mints.revoke(selector, now)
    }

    pub(crate) fn inject(&mut self, fault: Fault) -> Result<u64, Error> {
        match fault.defect() {
            Some(defect) => Err(Error::InvalidFault(defect)),
            None => Ok(self.faults.inject(fault)),
        }
    }
}
