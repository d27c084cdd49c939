use super::*;

mod decisions;
mod endings;
mod life;
mod limits;
mod schedules;

const HOUR: i64 = 3600;
const WEEK: i64 = 604_800;

/// An instant that no arithmetic of a test can take below zero.
const NOW: EpochSeconds = 1_790_000_000;

const UID: &str = "5b1f6c0e-8f0e-4c3c-9f43-0d5f5f3f7c11";
const CLUSTER: &str = "bd5f5959-5e1e-4205-a714-a914373942af";

/// The UID of the access number `number`, as an API server would draw one.
fn uid(number: u64) -> String {
    let low = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (first, second) = (low >> 32, low & 0xffff);
    format!("{first:08x}-{second:04x}-4c3c-9f43-{number:012x}")
}

fn wanted() -> Wanted {
    Wanted {
        uid: UID.to_string(),
        generation: 1,
        suspend: false,
        renew_before_seconds: None,
        issue_hash: "cluster.rest".to_string(),
        cluster_id: Some(CLUSTER.to_string()),
        rotate: None,
    }
}

/// An issue that answers `wanted`.
fn issue_of(wanted: &Wanted, issued_at: EpochSeconds, lifetime: i64) -> Issue {
    Issue {
        issued_at,
        expires_at: issued_at + lifetime,
        cluster_id: wanted
            .cluster_id
            .clone()
            .unwrap_or_else(|| CLUSTER.to_string()),
        issue_hash: wanted.issue_hash.clone(),
        rotate: wanted.rotate.clone(),
    }
}

fn intact(issue: &Issue) -> OutputState {
    OutputState::Intact {
        issue: issue.clone(),
        as_wanted: true,
    }
}

/// One output, which holds `issue` as wanted.
fn published(issue: &Issue) -> Observed {
    Observed {
        outputs: vec![intact(issue)],
        ever_issued: true,
        last_issue_at: Some(issue.issued_at),
        ..Observed::default()
    }
}

/// One output, which is not there and never was.
fn nothing() -> Observed {
    Observed {
        outputs: vec![OutputState::Missing],
        ..Observed::default()
    }
}

fn failure(wanted: &Wanted, at: EpochSeconds, retry_at: EpochSeconds) -> Failure {
    Failure {
        attempt: wanted.attempt(),
        since: at,
        at,
        retry_at,
        reason: crate::api::Reason::ApiUnavailable,
        subject: None,
        may_have_minted: false,
    }
}

/// When a decision is to be made again, where it says so.
fn until(decision: &Decision) -> Option<EpochSeconds> {
    match decision {
        Decision::Wait { until }
        | Decision::Suspended { until }
        | Decision::Refuse { until, .. } => Some(*until),
        Decision::Publish | Decision::Repair | Decision::Verify | Decision::Issue(_) => None,
    }
}
