//! The API token, as users store it, and as DigitalOcean takes it.

use do_cluster_access::api::Reason;
use do_cluster_access_testbed::simulator::Scope;

use super::{Case, Heals, Trouble, cases};

/// The Secret does not give a token that could be sent.
fn unusable(data: &'static [(&'static str, &'static str)], reason: Reason) -> Case {
    Case::ends_in(Trouble::Token(data), reason, Heals::Probe)
}

/// The Secret gives the token in spite of it.
fn usable(data: &'static [(&'static str, &'static str)]) -> Case {
    Case::works_in_spite_of(Trouble::Token(data))
}

cases! {
    a_token_secret_that_is_missing:
        Case::ends_in(Trouble::NoTokenSecret, Reason::TokenSecretNotFound, Heals::Probe);
    a_token_secret_without_the_key:
        unusable(&[("token", "TOKEN")], Reason::TokenSecretNotFound);
    an_empty_token:
        unusable(&[("access-token", "")], Reason::TokenInvalid);
    a_token_of_blanks_alone:
        unusable(&[("access-token", " \n")], Reason::TokenInvalid);
    a_token_with_a_blank_within:
        unusable(&[("access-token", "TOKEN and more")], Reason::TokenInvalid);
    a_token_of_several_lines:
        unusable(&[("access-token", "TOKEN\nTOKEN\n")], Reason::TokenInvalid);
    a_token_with_bearer_before_it:
        unusable(&[("access-token", "Bearer TOKEN")], Reason::TokenInvalid);
    a_token_with_a_quote_within_is_another_token:
        unusable(&[("access-token", "TOKEN\"x")], Reason::Unauthorized);
    a_token_with_a_trailing_newline_works:
        usable(&[("access-token", "TOKEN\n")]);
    a_token_in_quotes_works:
        usable(&[("access-token", "\"TOKEN\"")]);
    a_token_between_blanks_and_other_quotes_works:
        usable(&[("access-token", " 'TOKEN' \r\n")]);
    a_token_that_is_not_accepted:
        Case::ends_in(Trouble::Revoked, Reason::Unauthorized, Heals::Probe);
    a_token_that_may_do_nothing:
        Case::ends_in(Trouble::Scope(Scope::None), Reason::Forbidden, Heals::Probe);
    a_token_that_may_read_but_not_access_clusters:
        Case::ends_in(Trouble::Scope(Scope::ReadOnly), Reason::Forbidden, Heals::Retry);
}
