//! A request's way through: limits, faults, the operation, the answer.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::State;
use crate::simulator::Latency;
use crate::simulator::account::Scope;
use crate::simulator::answer::{Answer, ApiError, Delivery};
use crate::simulator::call::{self, Operation, Request};
use crate::simulator::cluster::{Authentication, PlacedCluster, Sso};
use crate::simulator::documents::{Access, ListPage, Secret, base64};
use crate::simulator::fault::{ErrorBody, FaultKind, Stage, Target};
use crate::simulator::history::{Entry, MintedInEntry};
use crate::simulator::limits::{Allowance, Exceeded, LimitWindow, Limits, SlidingWindow};
use crate::simulator::mint::{Mint, MintKind};
use crate::simulator::randomness::fingerprint;

/// One request on its way through.
struct Exchange<'a> {
    now: Timestamp,
    base_url: &'a str,
    method: &'a Method,
    operation: Option<Operation>,
    cluster: Option<String>,
    parameters: BTreeMap<String, String>,
    /// The API token that was sent, known or not.
    token: Option<&'a str>,
    /// The account of a known API token.
    account: Option<String>,
    request_id: String,
    faults: Vec<u64>,
    minted: Option<MintedInEntry>,
    rate_limited: Option<LimitWindow>,
}

impl Exchange<'_> {
    fn target(&self) -> Target<'_> {
        let page = (self.operation == Some(Operation::ListClusters))
            .then(|| call::paging(&self.parameters).ok())
            .flatten();
        Target {
            account: self.account.as_deref(),
            operation: self.operation,
            cluster: self.cluster.as_deref(),
            page: page.map(|(page, _)| page),
        }
    }
}

impl State {
    /// Answers a request that arrives at `now`, and records it.
    pub(crate) fn handle(&mut self, now: Timestamp, request: &Request) -> Answer {
        let token = call::bearer(request.authorization.as_deref());
        let route = call::route(&request.path);
        let mut exchange = Exchange {
            now,
            base_url: &request.base_url,
            method: &request.method,
            operation: route.as_ref().map(|route| route.operation),
            cluster: route.and_then(|route| route.cluster),
            parameters: call::parameters(&request.query),
            token,
            account: token
                .and_then(|token| self.tokens.get(token))
                .map(|token| token.account.clone()),
            request_id: self.randomness.uuid("request id"),
            faults: Vec::new(),
            minted: None,
            rate_limited: None,
        };
        let answer = self.answer(&mut exchange);
        let arrives = matches!(answer.delivery, Delivery::Complete | Delivery::CutShort);
        self.history.push(Entry {
            time: now,
            account: exchange.account,
            token: token.map(fingerprint),
            method: request.method.to_string(),
            path: request.path.clone(),
            query: request.query.clone(),
            operation: exchange.operation,
            cluster: exchange.cluster,
            user_agent: request.user_agent.clone(),
            status: arrives.then(|| answer.status.as_u16()),
            rate_limited: exchange.rate_limited,
            minted: exchange.minted,
            faults: exchange.faults,
            request_id: exchange.request_id,
        });
        answer
    }

    fn strike(&mut self, stage: Stage, exchange: &mut Exchange) -> Option<FaultKind> {
        let (id, kind) = self
            .faults
            .strike(stage, &exchange.target(), &mut self.randomness)?;
        exchange.faults.push(id);
        Some(kind)
    }

    fn answer(&mut self, exchange: &mut Exchange) -> Answer {
        if let Some(fault) = self.strike(Stage::Arrival, exchange) {
            let mut lost = Answer::new(StatusCode::OK, None, "");
            deliver_with(&fault, &mut lost, exchange.now);
            return lost;
        }
        let mut answer = self.process(exchange);
        answer.set_request_id(&exchange.request_id);
        answer.set_date(exchange.now);
        answer.delay = self.latency(exchange);
        if let Some(fault) = self.strike(Stage::Delivery, exchange) {
            deliver_with(&fault, &mut answer, exchange.now);
        }
        answer
    }

    fn latency(&mut self, exchange: &Exchange) -> Duration {
        let Latency { least, most } = self.latency;
        let fraction = if exchange.operation.is_some() && most > least {
            self.randomness.fraction("latency")
        } else {
            0.0
        };
        least + most.saturating_sub(least).mul_f64(fraction)
    }

    /// The limits, then faults that replace the answer, then the answer.
    fn process(&mut self, exchange: &mut Exchange) -> Answer {
        if let Err(exceeded) = self.admit(exchange) {
            exchange.rate_limited = Some(exceeded.window);
            return self.limit_exceeded(exchange, exceeded);
        }
        if let Some(fault) = self.strike(Stage::Replacement, exchange) {
            return self.replacement(exchange, &fault);
        }
        let mut answer = self
            .perform(exchange)
            .unwrap_or_else(|error| error.answer(&exchange.request_id));
        answer.set_allowance(self.allowance(exchange));
        answer
    }

    fn limits_of(&self, exchange: &Exchange) -> Limits {
        exchange
            .account
            .as_ref()
            .and_then(|label| self.accounts.get(label)?.account.limits)
            .unwrap_or(self.limits)
    }

    fn admit(&mut self, exchange: &Exchange) -> Result<(), Exceeded> {
        let limits = self.limits_of(exchange);
        match exchange.token.and_then(|token| self.tokens.get_mut(token)) {
            Some(token) if !token.revoked => token.requests.admit(exchange.now, limits),
            _ => Ok(()),
        }
    }

    fn allowance(&mut self, exchange: &Exchange) -> Allowance {
        let limits = self.limits_of(exchange);
        match exchange.token.and_then(|token| self.tokens.get_mut(token)) {
            Some(token) => token.requests.allowance(exchange.now, limits),
            None => SlidingWindow::default().allowance(exchange.now, limits),
        }
    }

    /// 429: only the burst limit says how long to wait.
    fn limit_exceeded(&mut self, exchange: &Exchange, exceeded: Exceeded) -> Answer {
        let mut answer = ApiError::of(StatusCode::TOO_MANY_REQUESTS).answer(&exchange.request_id);
        answer.set_allowance(Allowance {
            remaining: 0,
            ..self.allowance(exchange)
        });
        if exceeded.window == LimitWindow::Minute {
            answer.set_retry_after(&exceeded.retry_after.to_string());
        }
        answer
    }

    fn replacement(&mut self, exchange: &Exchange, fault: &FaultKind) -> Answer {
        // The status code was checked when the fault was injected.
        let status =
            |code: u16| StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match fault {
            FaultKind::Status {
                code,
                body,
                retry_after,
            } => {
                let status = status(*code);
                let mut answer = match body {
                    ErrorBody::Json => ApiError::of(status).answer(&exchange.request_id),
                    ErrorBody::Html => Answer::html(status),
                    ErrorBody::Empty => Answer::new(status, None, ""),
                };
                if status >= StatusCode::BAD_GATEWAY {
                    answer.set_gateway();
                } else {
                    answer.set_allowance(self.allowance(exchange));
                }
                if let Some(retry_after) = retry_after {
                    answer.set_retry_after(retry_after);
                }
                answer
            }
            FaultKind::RateLimit {
                window,
                retry_after,
                reset_seconds,
            } => {
                let mut answer =
                    ApiError::of(StatusCode::TOO_MANY_REQUESTS).answer(&exchange.request_id);
                answer.set_allowance(Allowance {
                    limit: self.limits_of(exchange).requests_per_hour,
                    remaining: 0,
                    reset: exchange.now.as_second().saturating_add(*reset_seconds),
                });
                let usual = (*window == LimitWindow::Minute).then_some("30");
                if let Some(retry_after) = retry_after.as_deref().or(usual) {
                    answer.set_retry_after(retry_after);
                }
                answer
            }
            FaultKind::Redirect { code, location } => Answer::redirect(status(*code), location),
            _ => ApiError::of(StatusCode::INTERNAL_SERVER_ERROR).answer(&exchange.request_id),
        }
    }

    fn perform(&mut self, exchange: &mut Exchange) -> Result<Answer, ApiError> {
        let operation = exchange
            .operation
            .ok_or_else(|| ApiError::of(StatusCode::NOT_FOUND))?;
        if exchange.method != Method::GET {
            return Err(ApiError::of(StatusCode::METHOD_NOT_ALLOWED));
        }
        let account = self.authorize(exchange, operation)?;
        match operation {
            Operation::ListClusters => self.list(exchange, &account),
            Operation::GetCluster => {
                let placed = self.visible_cluster(exchange, &account)?;
                let document = json!({ "kubernetes_cluster": placed.document(exchange.now) });
                Ok(Answer::json(StatusCode::OK, &document))
            }
            Operation::GetKubeconfig | Operation::GetCredentials => {
                self.access(exchange, operation, &account)
            }
        }
    }

    fn authorize(&self, exchange: &Exchange, operation: Operation) -> Result<String, ApiError> {
        let token = exchange
            .token
            .and_then(|token| self.tokens.get(token))
            .filter(|token| !token.revoked)
            .ok_or_else(|| ApiError::of(StatusCode::UNAUTHORIZED))?;
        match (token.scope, operation.mints()) {
            (Scope::Full, _) | (Scope::ReadOnly, false) => Ok(token.account.clone()),
            (Scope::ReadOnly, true) | (Scope::None, _) => Err(ApiError::of(StatusCode::FORBIDDEN)),
        }
    }

    fn list(&mut self, exchange: &mut Exchange, account: &str) -> Result<Answer, ApiError> {
        let (page, per_page) = call::paging(&exchange.parameters).map_err(ApiError::bad_request)?;
        let fault = self.strike(Stage::Content, exchange);
        let owner = self.accounts.get(account);
        let mut clusters: Vec<&PlacedCluster> = owner
            .map(|owner| owner.clusters.values().collect())
            .unwrap_or_default();
        // Newest first; the map's order, by id, decides between those of one instant.
        clusters.sort_by_key(|placed| std::cmp::Reverse(placed.created_at()));
        let list = ListPage {
            page,
            per_page,
            per_page_was_sent: exchange.parameters.contains_key("per_page"),
            base_url: exchange.base_url,
            fault: fault.as_ref(),
        };
        let documents: Vec<Value> = clusters[list.range(clusters.len())]
            .iter()
            .map(|placed| placed.document(exchange.now))
            .collect();
        let document = list.document(&documents, clusters.len());
        Ok(Answer::json(StatusCode::OK, &document))
    }

    fn visible_cluster(
        &self,
        exchange: &Exchange,
        account: &str,
    ) -> Result<&PlacedCluster, ApiError> {
        self.accounts
            .get(account)
            .and_then(|owner| owner.clusters.get(exchange.cluster.as_ref()?))
            .ok_or_else(|| ApiError::of(StatusCode::NOT_FOUND))
    }

    /// GET kubeconfig and GET credentials.
    fn access(
        &mut self,
        exchange: &mut Exchange,
        operation: Operation,
        account: &str,
    ) -> Result<Answer, ApiError> {
        let lifetime = call::expiry_seconds(&exchange.parameters).map_err(ApiError::bad_request)?;
        let placed = self.visible_cluster(exchange, account)?.clone();
        if !placed.serves_credentials(exchange.now) {
            return Err(ApiError::of(StatusCode::NOT_FOUND));
        }
        let plugin = plugin_wanted(exchange, operation, &placed)?;
        if plugin.is_none() && placed.requires_sso() {
            return Err(ApiError::of(StatusCode::FORBIDDEN));
        }
        let (secret, expires_at) = match plugin {
            Some(sso) => (Secret::Exec(sso), exchange.now),
            None => self.mint(exchange, operation, account, &placed, lifetime)?,
        };
        let authority = placed
            .cluster
            .certificate_authority
            .as_ref()
            .unwrap_or(&self.cluster_authority);
        let mut access = Access {
            cluster: &placed.cluster,
            server: placed.endpoint(),
            authority: Some(base64(authority)),
            secret,
            expires_at,
        };
        let fault = self.strike(Stage::Content, exchange);
        if let Some(fault) = &fault {
            access.alter(fault);
        }
        if operation == Operation::GetCredentials {
            let document = access.credentials(fault.as_ref(), exchange.now);
            return Ok(Answer::json(StatusCode::OK, &document));
        }
        let document = access
            .kubeconfig(fault.as_ref())
            .map_err(internal_server_error)?;
        Ok(Answer::yaml(document))
    }

    fn mint(
        &mut self,
        exchange: &mut Exchange,
        operation: Operation,
        account: &str,
        placed: &PlacedCluster,
        lifetime: i64,
    ) -> Result<(Secret, Timestamp), ApiError> {
        let (secret, expires_at, kind, identity) = match placed.cluster.authentication {
            Authentication::Token => {
                let token = self.randomness.hexadecimal("minted token");
                let expires_at = later(exchange.now, lifetime);
                let identity = fingerprint(&token);
                (Secret::Token(token), expires_at, MintKind::Token, identity)
            }
            Authentication::Certificate {
                lifetime_seconds,
                expires_at: reported,
            } => {
                let not_after = later(whole_second(exchange.now), lifetime_seconds.into());
                let user = self.accounts.get(account).map(|owner| &owner.account.user);
                let pair = self
                    .client_authority
                    .issue(
                        user.ok_or_else(|| ApiError::of(StatusCode::UNAUTHORIZED))?,
                        self.randomness.bytes("client key"),
                        self.randomness.bytes("client certificate serial number"),
                        exchange.now,
                        not_after,
                    )
                    .map_err(internal_server_error)?;
                let identity = fingerprint(&pair.certificate);
                let secret = Secret::Certificate { pair, reported };
                (secret, not_after, MintKind::Certificate, identity)
            }
        };
        exchange.minted = Some(MintedInEntry {
            fingerprint: identity.clone(),
            expires_at,
        });
        self.mints.record(Mint {
            time: exchange.now,
            account: account.to_owned(),
            cluster: placed.cluster.id.clone(),
            operation,
            kind,
            fingerprint: identity,
            expires_at,
            revoked_at: None,
            request_id: exchange.request_id.clone(),
        });
        Ok((secret, expires_at))
    }
}

/// The single sign-on that a kubeconfig shall use, if it shall.
fn plugin_wanted(
    exchange: &Exchange,
    operation: Operation,
    placed: &PlacedCluster,
) -> Result<Option<Sso>, ApiError> {
    let sso = placed.cluster.sso.clone().filter(|sso| sso.enabled);
    let wanted = exchange.parameters.get("type").map(String::as_str);
    match (operation, wanted) {
        (Operation::GetKubeconfig, None) => Ok(sso),
        (Operation::GetKubeconfig, Some("sso")) => sso.map(Some).ok_or_else(|| {
            ApiError::bad_request("single sign-on is not enabled for this cluster".to_owned())
        }),
        (Operation::GetKubeconfig, Some(other)) if other != "token" => Err(ApiError::bad_request(
            "type must be one of token, sso".to_owned(),
        )),
        _ => Ok(None),
    }
}

fn internal_server_error(error: impl std::fmt::Display) -> ApiError {
    ApiError {
        message: format!("the simulator failed: {error}"),
        ..ApiError::of(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// What a fault does to an answer on its way.
fn deliver_with(fault: &FaultKind, answer: &mut Answer, now: Timestamp) {
    match fault {
        FaultKind::ConnectionReset(_) => answer.delivery = Delivery::Reset,
        FaultKind::Hang(_) => answer.delivery = Delivery::Never,
        FaultKind::TruncatedDocument => answer.body.truncate(answer.body.len() / 2),
        FaultKind::TruncatedBody => answer.delivery = Delivery::CutShort,
        FaultKind::ContentType(content_type) => answer.set_content_type(content_type),
        FaultKind::Oversize { bytes, chunked } => {
            answer.pad(*bytes);
            answer.chunked = *chunked;
        }
        FaultKind::Delay(milliseconds) => answer.delay += Duration::from_millis(*milliseconds),
        FaultKind::DateSkew(seconds) => answer.set_date(later(now, *seconds)),
        _ => {}
    }
}

/// So many seconds after `time`, or the last instant that there is.
fn later(time: Timestamp, seconds: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
