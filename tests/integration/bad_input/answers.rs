//! Answers that are none: refusals, errors, and what never or only half arrives.

use do_cluster_access::api::Reason;
use do_cluster_access_testbed::simulator::{
    ErrorBody, Fault, FaultKind, LimitWindow, Moment, Operation,
};
use jiff::Timestamp;

use super::{Case, Heals, Scene, Stranger, Trouble, always, cases, on, play};
use Operation::{GetCredentials, GetKubeconfig, ListClusters};
use Reason::{ApiResponseInvalid, ApiUnavailable, RateLimited};

fn status(code: u16, body: ErrorBody) -> FaultKind {
    FaultKind::Status {
        code,
        body,
        retry_after: None,
    }
}

fn rate_limit(window: LimitWindow, retry_after: Option<&str>, reset_seconds: i64) -> FaultKind {
    let retry_after = retry_after.map(str::to_owned);
    FaultKind::RateLimit {
        window,
        retry_after,
        reset_seconds,
    }
}

fn oversize(chunked: bool) -> FaultKind {
    FaultKind::Oversize {
        bytes: 10 * 1024 * 1024,
        chunked,
    }
}

fn html() -> FaultKind {
    FaultKind::ContentType("text/html".to_owned())
}

cases! {
    // ---- refusals and errors ---------------------------------------------------------------------

    the_burst_limit:
        always(rate_limit(LimitWindow::Minute, Some("2"), 60), RateLimited);
    the_hourly_limit:
        always(rate_limit(LimitWindow::Hour, None, 3), RateLimited);
    the_hourly_limit_with_a_reset_in_the_past:
        always(rate_limit(LimitWindow::Hour, None, -60), RateLimited);
    the_burst_limit_met_by_credentials_is_the_tokens:
        Case::ends_in(
            Trouble::Answer(
                Fault::new(rate_limit(LimitWindow::Minute, Some("2"), 60)).on(GetCredentials),
            ),
            RateLimited,
            Heals::Probe,
        );
    an_internal_error:
        always(status(500, ErrorBody::Json), ApiUnavailable);
    an_internal_error_on_credentials_alone:
        on(GetCredentials, status(500, ErrorBody::Json), ApiUnavailable);
    an_internal_error_on_the_kubeconfig_alone:
        on(GetKubeconfig, status(500, ErrorBody::Json), ApiUnavailable);
    an_unavailable_service_with_a_page_of_html:
        always(status(503, ErrorBody::Html), ApiUnavailable);
    a_bad_gateway_without_a_word:
        always(status(502, ErrorBody::Empty), ApiUnavailable);
    a_status_that_makes_no_sense:
        on(GetCredentials, status(418, ErrorBody::Empty), ApiResponseInvalid);

    // ---- what never or only half arrives ---------------------------------------------------------

    a_connection_that_is_reset:
        always(FaultKind::ConnectionReset(Moment::BeforeEffect), ApiUnavailable);
    a_connection_that_is_reset_after_a_credential_was_minted:
        on(GetCredentials, FaultKind::ConnectionReset(Moment::AfterEffect), ApiUnavailable);
    a_list_that_never_arrives:
        on(ListClusters, FaultKind::Hang(Moment::BeforeEffect), ApiUnavailable);
    credentials_that_never_arrive:
        on(GetCredentials, FaultKind::Hang(Moment::BeforeEffect), ApiUnavailable);
    a_kubeconfig_that_never_arrives_though_it_was_minted:
        on(GetKubeconfig, FaultKind::Hang(Moment::AfterEffect), ApiUnavailable);
    a_list_that_breaks_off:
        on(ListClusters, FaultKind::TruncatedBody, ApiUnavailable);
    credentials_that_break_off:
        on(GetCredentials, FaultKind::TruncatedBody, ApiUnavailable);
    a_kubeconfig_that_breaks_off:
        on(GetKubeconfig, FaultKind::TruncatedBody, ApiUnavailable);

    // ---- what arrives and is not the answer ------------------------------------------------------

    an_empty_list:
        on(ListClusters, status(200, ErrorBody::Empty), ApiResponseInvalid);
    empty_credentials:
        on(GetCredentials, status(200, ErrorBody::Empty), ApiResponseInvalid);
    an_empty_kubeconfig:
        on(GetKubeconfig, status(200, ErrorBody::Empty), ApiResponseInvalid);
    the_page_of_a_captive_portal:
        always(status(200, ErrorBody::Html), ApiResponseInvalid);
    a_truncated_list:
        on(ListClusters, FaultKind::TruncatedDocument, ApiResponseInvalid);
    truncated_credentials:
        on(GetCredentials, FaultKind::TruncatedDocument, ApiResponseInvalid);
    a_truncated_kubeconfig:
        on(GetKubeconfig, FaultKind::TruncatedDocument, ApiResponseInvalid);
    a_list_that_lacks_a_cluster:
        on(ListClusters, FaultKind::ShortPage(1), ApiResponseInvalid);
    a_list_of_ten_megabytes:
        on(ListClusters, oversize(false), ApiResponseInvalid);
    credentials_of_ten_megabytes:
        on(GetCredentials, oversize(false), ApiResponseInvalid);
    credentials_of_ten_megabytes_of_unknown_length:
        on(GetCredentials, oversize(true), ApiResponseInvalid);
    a_kubeconfig_of_ten_megabytes:
        on(GetKubeconfig, oversize(false), ApiResponseInvalid);
    a_kubeconfig_of_ten_megabytes_of_unknown_length:
        on(GetKubeconfig, oversize(true), ApiResponseInvalid);
    a_wrong_content_type_over_the_right_content_works:
        Case::works_in_spite_of(Trouble::Answer(Fault::new(html())));
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let stage = stage!();
    let stranger = Stranger::new().await;
    let redirect = FaultKind::Redirect {
        code: 302,
        location: stranger.url("http"),
    };
    play(stage, always(redirect, ApiResponseInvalid)).await;
    stranger.assert_left_alone();
}

#[tokio::test]
async fn a_redirect_of_credentials_to_another_host_is_not_followed() {
    let stage = stage!();
    let stranger = Stranger::new().await;
    let redirect = FaultKind::Redirect {
        code: 307,
        location: stranger.url("http"),
    };
    play(stage, on(GetCredentials, redirect, ApiResponseInvalid)).await;
    stranger.assert_left_alone();
}

#[tokio::test]
async fn a_link_to_the_next_page_on_another_host_is_not_followed() {
    let stage = stage!();
    let stranger = Stranger::new().await;
    // More than fit on a page; the one that is asked for is on the last.
    for number in 0..200 {
        stage.add_cluster(stage.cluster(&format!("other-{number}")));
    }
    let link = Fault::new(FaultKind::ForeignNextLink(stranger.url("http")));
    play(stage, Case::works_in_spite_of(Trouble::Answer(link))).await;
    stranger.assert_left_alone();
}

#[tokio::test]
async fn digitalocean_is_left_alone_for_as_long_as_it_asks() {
    let limit = Fault::new(rate_limit(LimitWindow::Minute, None, 60)).times(1);
    let trouble = Trouble::Answer(limit);
    let scene = Scene::set(stage!(), &trouble).await;
    scene.ends_in(RateLimited).await;
    scene.first.ready().await;
    scene.is_rotated().await;
    let requests = scene.stage.digitalocean_requests();
    let told = requests
        .iter()
        .position(|request| request.status == Some(429))
        .unwrap();
    let second = |time: Timestamp| time.as_second();
    let waited = second(requests[told + 1].time) - second(requests[told].time);
    assert!((29..60).contains(&waited), "{waited} s instead of 30");
}
