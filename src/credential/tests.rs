use super::fixtures::{
    AUTHORITY, Lifetime, SERVER, TOKEN, certificate_credential, token_credential,
};
use super::*;

fn encoded() -> EncodedCredential {
    EncodedCredential::from(&token_credential())
}

fn error(change: impl FnOnce(&mut EncodedCredential)) -> CredentialError {
    let mut encoded = encoded();
    change(&mut encoded);
    encoded.decode().expect_err("refused")
}

#[test]
fn a_token_credential_survives_encoding_and_decoding() {
    let credential = encoded().decode().expect("sound");
    assert_eq!(credential, token_credential());
    assert_eq!(credential.server(), SERVER);
    assert_eq!(credential.certificate_authority_pem(), AUTHORITY.pem());
    assert_eq!(
        credential
            .authentication()
            .token()
            .expect("a token")
            .expose_secret(),
        TOKEN
    );
    assert_eq!(credential.not_after(), None);
}

#[test]
fn a_certificate_credential_survives_and_knows_its_not_after() {
    let credential = certificate_credential();
    let decoded = EncodedCredential::from(&credential)
        .decode()
        .expect("sound");
    assert_eq!(decoded, credential);
    assert!(decoded.authentication().token().is_none());
    assert_eq!(
        decoded.not_after(),
        Some("2120-01-01T00:00:00Z".parse().expect("a time"))
    );
}

#[test]
fn of_a_chain_the_certificate_that_ends_first_counts() {
    let leaf = AUTHORITY.issue(
        "admin",
        &Lifetime {
            from_year: 2020,
            to_year: 2031,
        },
    );
    let longer = AUTHORITY.issue(
        "between",
        &Lifetime {
            from_year: 2020,
            to_year: 2040,
        },
    );
    let end = "2031-01-01T00:00:00Z".parse().expect("a time");
    let (leaf, longer) = (leaf.certificate.pem(), longer.certificate.pem());
    assert_eq!(not_after(&format!("{leaf}{longer}")), Ok(end));
    assert_eq!(not_after(&format!("{longer}{leaf}")), Ok(end));
}

#[test]
fn base64_may_be_broken_into_lines() {
    let mut broken = encoded();
    let data = broken
        .certificate_authority_data
        .take()
        .expect("an authority");
    let (one, two) = data.split_at(60);
    broken.certificate_authority_data = Some(format!("{one}\n  {two}\n"));
    assert_eq!(broken.decode(), Ok(token_credential()));
}

#[test]
fn a_truncated_authority_within_sound_armour_is_accepted() {
    let mut truncated = AUTHORITY.certificate.der().to_vec();
    truncated.truncate(100);
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        STANDARD.encode(truncated)
    );
    let token = Authentication::Token(TOKEN.into());
    Credential::new(SERVER.into(), pem, token).expect("accepted");
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(error(|e| e.server = None), CredentialError::MissingServer);
    assert_eq!(
        error(|e| e.server = Some(String::new())),
        CredentialError::MissingServer
    );
    assert_eq!(
        error(|e| e.certificate_authority_data = None),
        CredentialError::MissingCertificateAuthority
    );
    assert_eq!(error(|e| e.token = None), CredentialError::NoAuthentication);
    assert_eq!(
        error(|e| e.token = Some("".into())),
        CredentialError::NoAuthentication
    );
    assert_eq!(
        error(|e| {
            e.token = None;
            e.client_key_data = Some("a2V5".into());
        }),
        CredentialError::HalfCertificate
    );
    assert_eq!(
        error(|e| e.client_key_data = Some("a2V5".into())),
        CredentialError::TwoAuthentications
    );
}

#[test]
fn a_server_is_a_plain_https_url() {
    for server in [
        "http://host",
        "host",
        "ftp://host",
        "https://",
        "https://user:pass@host",
        "https://host?x",
        "https://host#x",
        "https://ho st",
        "https://host\\@other",
        "https://host\nname",
        "https://höst",
        "https://host:",
        "https://host:99999",
        "https://host:port",
        "https://:443",
        "//host",
    ] {
        assert_eq!(
            error(|e| e.server = Some(server.into())),
            CredentialError::ServerNotHttps
        );
    }
}

#[test]
fn an_authority_is_one_or_more_certificates_in_base64_of_pem() {
    let key = AUTHORITY.issue("x", &Lifetime::CURRENT).key.serialize_pem();
    let with_key = to_base64(&format!("{}{key}", AUTHORITY.pem()));
    let armour_only = to_base64("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
    let open = to_base64("-----BEGIN CERTIFICATE-----\nAAAA\n");
    let other_end = to_base64(&AUTHORITY.pem().replace("END CERTIFICATE", "END X509 CRL"));
    for authority in [
        &other_end,
        "%%%",
        "AAAA",
        &AUTHORITY.pem(),
        &to_base64(&key),
        &with_key,
        &armour_only,
        &open,
    ] {
        assert_eq!(
            error(|e| e.certificate_authority_data = Some(authority.into())),
            CredentialError::CertificateAuthorityNotPem,
            "{authority}"
        );
    }
    let two = to_base64(&format!("{}{}", AUTHORITY.pem(), AUTHORITY.pem()));
    let mut bundle = encoded();
    bundle.certificate_authority_data = Some(two);
    bundle.decode().expect("a bundle is sound");
}

#[test]
fn a_token_is_one_word_of_visible_ascii() {
    for token in [
        "two words",
        "line\nbreak",
        "trailing\n",
        "nul\0",
        "höh",
        "tab\t",
    ] {
        assert_eq!(
            error(|e| e.token = Some(token.into())),
            CredentialError::TokenNotVisibleAscii,
            "{token:?}"
        );
    }
}

#[test]
fn a_client_certificate_has_to_parse_and_its_key_has_to_be_pem() {
    let sound = || {
        let mut encoded = EncodedCredential::from(&certificate_credential());
        encoded.server = Some(SERVER.into());
        encoded
    };
    let mut bad = sound();
    bad.client_certificate_data = Some(to_base64(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ));
    assert_eq!(bad.decode(), Err(CredentialError::ClientCertificateInvalid));
    let mut bad = sound();
    bad.client_certificate_data = Some("%".into());
    assert_eq!(bad.decode(), Err(CredentialError::ClientCertificateInvalid));
    let encrypted = AUTHORITY.issue("x", &Lifetime::CURRENT).key.serialize_pem();
    let encrypted = encrypted.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for key in [
        "%",
        "AAAA",
        &to_base64(&AUTHORITY.pem()),
        &to_base64(&encrypted),
    ] {
        let mut bad = sound();
        bad.client_key_data = Some(key.into());
        assert_eq!(bad.decode(), Err(CredentialError::ClientKeyNotPem));
    }
}

#[test]
fn the_endpoint_is_compared_as_a_url() {
    let credential = token_credential();
    for same in [
        SERVER.to_owned(),
        format!("{SERVER}/"),
        format!("{SERVER}:443"),
        format!("{SERVER}:443/"),
        SERVER.replace("ondigitalocean", "OnDigitalOcean"),
        SERVER.replace("https", "HTTPS"),
    ] {
        assert_eq!(credential.check_endpoint(&same), Ok(()), "{same}");
    }
    for other in [
        String::new(),
        SERVER.replace("https", "http"),
        format!("{SERVER}:6443"),
        format!("{SERVER}.example.com"),
        format!("{SERVER}/other"),
        "https://example.com".to_owned(),
    ] {
        assert_eq!(
            credential.check_endpoint(&other),
            Err(CredentialError::ServerNotEndpoint),
            "{other}"
        );
    }
}

#[test]
fn no_debug_output_shows_a_secret() {
    let certificate = certificate_credential();
    let Authentication::Certificate { key_pem, .. } = certificate.authentication() else {
        panic!("a certificate");
    };
    let key_line = key_pem
        .expose_secret()
        .lines()
        .nth(1)
        .expect("a line of the key")
        .to_owned();
    let key_base64 = to_base64(key_pem.expose_secret());
    let shown = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        token_credential(),
        token_credential().authentication(),
        encoded(),
        certificate,
        EncodedCredential::from(&certificate),
    );
    for secret in [TOKEN, &key_line, &key_base64[40..80]] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
