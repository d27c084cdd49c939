//! The door to the clusters.

use bytes::Bytes;
use do_cluster_access::credential::Authentication;
use do_cluster_access::target::{
    TargetError, TargetRequest, TargetService, TlsFailure, Unreachability, boxed_service,
};
use do_cluster_access_testbed::simulator::{MintKind, Simulator, User, fingerprint};
use http::{Response, StatusCode};
use http_body_util::Full;
use secrecy::ExposeSecret;
use serde_json::json;
use tower::service_fn;

use super::{Process, hang};
use crate::journal::{Event, ProbeAnswer};
use crate::time::Time;
use crate::weather::{Door, Point, TargetFault};
use crate::world::World;

/// The door for one process.
pub(super) fn door(world: &World, process: &Process) -> TargetService {
    let clusters = world.digitalocean.clone();
    let (process, time) = (process.clone(), world.time.clone());
    boxed_service(service_fn(move |request| {
        let (clusters, process, time) = (clusters.clone(), process.clone(), time.clone());
        async move { review(&clusters, &process, &time, request).await }
    }))
}

async fn review(
    clusters: &Simulator,
    process: &Process,
    time: &Time,
    target: TargetRequest,
) -> Result<Response<Full<Bytes>>, TargetError> {
    process.pass(Door::Target, Point::BeforeEffect).await;
    let host = target.request.uri().host().unwrap_or_default();
    let cluster = host.split('.').next().unwrap_or_default().to_owned();
    let credential = fingerprint_of(&target.authentication);
    let answer = answer(clusters, process, time, &cluster, &target).await;
    process.journal.note(Event::Probe {
        replica: process.replica,
        cluster,
        credential,
        answer: match &answer {
            Ok(answer) if answer.status().is_success() => ProbeAnswer::Accepted,
            Ok(answer) if answer.status() == StatusCode::UNAUTHORIZED => ProbeAnswer::Rejected,
            Err(TargetError::Tls(_)) => ProbeAnswer::Rejected,
            _ => ProbeAnswer::Unreachable,
        },
    });
    process.pass(Door::Target, Point::Answered).await;
    answer
}

async fn answer(
    clusters: &Simulator,
    process: &Process,
    time: &Time,
    cluster: &str,
    target: &TargetRequest,
) -> Result<Response<Full<Bytes>>, TargetError> {
    let user = who(clusters, time, cluster, &target.authentication, 0);
    let Some(fault) = process.weather.target_fault(cluster) else {
        let authority = clusters.cluster_certificate_authority();
        if clusters.cluster(cluster).is_err() {
            return Err(TargetError::Unreachable(Unreachability::Connect));
        }
        if authority.trim() != target.certificate_authority_pem.trim() {
            return Err(TargetError::Tls(TlsFailure::UnknownIssuer));
        }
        return Ok(reviewed(user));
    };
    process.journal.count(match fault {
        TargetFault::Unreachable => "cluster: unreachable",
        TargetFault::Hang => "cluster: no answer",
        TargetFault::Status(_) => "cluster: error",
        TargetFault::Reject => "cluster: rejects",
        TargetFault::SlowToKnow(_) => "cluster: slow to know a token",
        TargetFault::WrongCertificate => "cluster: another certificate",
    });
    match fault {
        TargetFault::Unreachable => Err(TargetError::Unreachable(Unreachability::Connect)),
        TargetFault::Hang => hang().await,
        TargetFault::Status(code) => Ok(response(code, String::new())),
        TargetFault::Reject => Ok(reviewed(None)),
        TargetFault::SlowToKnow(seconds) => Ok(reviewed(who(
            clusters,
            time,
            cluster,
            &target.authentication,
            seconds,
        ))),
        TargetFault::WrongCertificate => Err(TargetError::Tls(TlsFailure::UnknownIssuer)),
    }
}

/// Who the credential is, as the cluster knows it once it is so many seconds old.
fn who(
    clusters: &Simulator,
    time: &Time,
    cluster: &str,
    authentication: &Authentication,
    age: u64,
) -> Option<User> {
    let fingerprint = fingerprint_of(authentication);
    let mint = clusters.mint(&fingerprint)?;
    let known_at = mint.time.as_second() + age.cast_signed();
    let now = time.now();
    let alive =
        now < mint.expires_at && (mint.revoked_at.is_none() || mint.kind == MintKind::Certificate);
    (mint.cluster == cluster && alive && now.as_second() >= known_at).then(|| User {
        username: "operator@example.com".to_owned(),
        groups: vec!["k8saas:authenticated".to_owned()],
    })
}

fn fingerprint_of(authentication: &Authentication) -> String {
    match authentication {
        Authentication::Token(token) => fingerprint(token.expose_secret()),
        Authentication::Certificate {
            certificate_pem, ..
        } => fingerprint(certificate_pem),
    }
}

fn reviewed(user: Option<User>) -> Response<Full<Bytes>> {
    let Some(user) = user else {
        return response(401, "Unauthorized".to_owned());
    };
    let review = json!({
        "kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {},
        "status": {"userInfo": {"username": user.username, "groups": user.groups}},
    });
    response(201, review.to_string())
}

fn response(code: u16, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
    response
}
