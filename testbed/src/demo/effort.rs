//! What the operator asks of the API server for a rotation, from the audit log.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::control_plane::audit::Request;

/// Requests by what they do: `get secrets`, `patch doclusteraccesses/status`, …
pub(crate) type Effort = BTreeMap<String, usize>;

/// What `user` asked after `after` and not after `until`. Watches are left out, as they last; so is the
/// lease, which is renewed whether or not there is anything to do.
pub(crate) fn effort<'a>(
    requests: impl IntoIterator<Item = &'a Request>,
    user: &str,
    after: Timestamp,
    until: Timestamp,
) -> Effort {
    let counted = requests.into_iter().filter(|request| {
        request.user == user
            && !request.is_watch()
            && request.resource != "leases"
            && after < request.received
            && request.received <= until
    });
    let mut effort = Effort::new();
    for request in counted {
        *effort.entry(kind(request)).or_default() += 1;
    }
    effort
}

fn kind(request: &Request) -> String {
    let Request {
        verb,
        resource,
        subresource,
        uri,
        ..
    } = request;
    match (resource.as_str(), subresource.as_str()) {
        ("", _) => format!("{verb} {uri}"),
        (_, "") => format!("{verb} {resource}"),
        _ => format!("{verb} {resource}/{subresource}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATOR: &str = "system:serviceaccount:do-cluster-access:do-cluster-access";

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn request(user: &str, verb: &str, resource: &str, received: i64) -> Request {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Request {
            id: String::new(),
            user: user.to_owned(),
            verb: verb.to_owned(),
            uri: format!("/api/v1/{resource}"),
            group: String::new(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: "team-a".to_owned(),
            name: String::new(),
            code: 200,
            user_agent: String::new(),
            received: second(received),
            answered: second(received + 1),
        }
    }

    fn between_ten_and_twenty(requests: &[Request]) -> Vec<(String, usize)> {
        let effort = effort(requests, OPERATOR, second(10), second(20));
        effort.into_iter().collect()
    }

    #[test]
    fn requests_are_counted_by_what_they_do() {
        let requests = [
            request(OPERATOR, "get", "secrets", 11),
            request(OPERATOR, "patch", "secrets", 12),
            request(OPERATOR, "patch", "doclusteraccesses/status", 13),
            request(OPERATOR, "get", "secrets", 14),
        ];
        let expected = [
            ("get secrets".to_owned(), 2),
            ("patch doclusteraccesses/status".to_owned(), 1),
            ("patch secrets".to_owned(), 1),
        ];
        assert_eq!(between_ten_and_twenty(&requests), expected);
    }

    #[test]
    fn only_requests_of_the_operator_in_the_given_time_count() {
        let requests = [
            request(OPERATOR, "get", "secrets", 10),
            request(OPERATOR, "create", "events", 20),
            request(OPERATOR, "get", "secrets", 21),
            request("kubernetes-admin", "get", "secrets", 15),
        ];
        let expected = [("create events".to_owned(), 1)];
        assert_eq!(between_ten_and_twenty(&requests), expected);
    }

    #[test]
    fn watches_and_the_lease_do_not_count() {
        let requests = [
            request(OPERATOR, "watch", "secrets", 11),
            request(OPERATOR, "get", "leases", 12),
            request(OPERATOR, "update", "leases", 13),
            request(OPERATOR, "list", "secrets", 14),
        ];
        let expected = [("list secrets".to_owned(), 1)];
        assert_eq!(between_ten_and_twenty(&requests), expected);
    }

    #[test]
    fn a_request_that_is_about_no_resource_is_named_by_its_path() {
        let mut version = request(OPERATOR, "get", "", 11);
        version.uri = "/version".to_owned();
        assert_eq!(
            between_ten_and_twenty(&[version]),
            [("get /version".to_owned(), 1)]
        );
    }
}
