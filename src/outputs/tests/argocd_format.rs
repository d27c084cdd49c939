//! Format `ArgoCD`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::ExposeSecret;

use super::*;
use crate::credential::fixtures::TOKEN;

const FORMAT: OutputFormat = OutputFormat::ArgoCD;

fn with_options(options: ArgoCdOptions) -> Output {
    Output {
        argocd: Some(options),
        ..output_of(FORMAT)
    }
}

fn rendered(output: &Output) -> BTreeMap<String, String> {
    texts(&render(output, &token_material(), &facts()).unwrap())
}

/// The name that is written over a Secret which has `present` for one.
fn name_over(output: &Output, present: Option<&str>) -> String {
    let mut contents = Contents::default();
    if let Some(name) = present {
        contents.insert("name", name);
    }
    let source = Source {
        output,
        material: &token_material(),
        facts: &facts(),
        present: Some(&contents),
    };
    let contents = format_of(FORMAT).render(&source).unwrap();
    contents.text("name").unwrap().to_string()
}

#[test]
fn a_token_is_written_as_argo_cd_reads_it() {
    let authority = BASE64_STANDARD.encode(AUTHORITY.pem());
    let config = format!(
        r#"{{"bearerToken":"{TOKEN}","tlsClientConfig":{{"insecure":false,"caData":"{authority}"}}}}"#
    );
    let expected = entries(&[
        ("name", "prod-cluster-01"),
        ("server", SERVER),
        ("config", &config),
    ]);
    assert_eq!(rendered(&output_of(FORMAT)), expected);
}

#[test]
fn a_client_certificate_is_written_as_argo_cd_reads_it() {
    let material = certificate_material();
    let Authentication::Certificate {
        certificate_pem,
        key_pem,
    } = material.credential.authentication()
    else {
        panic!("a certificate");
    };
    let authority = BASE64_STANDARD.encode(AUTHORITY.pem());
    let certificate = BASE64_STANDARD.encode(certificate_pem);
    let key = BASE64_STANDARD.encode(key_pem.expose_secret());
    let config = format!(
        r#"{{"tlsClientConfig":{{"insecure":false,"caData":"{authority}","certData":"{certificate}","keyData":"{key}"}}}}"#
    );
    let contents = render(&output_of(FORMAT), &material, &facts()).unwrap();
    assert_eq!(texts(&contents)["config"], config);
}

#[test]
fn options_are_written_as_argo_cd_spells_them_and_absent_ones_are_not() {
    let text = |text: &str| Some(text.to_string());
    let namespaces = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect());
    let none = ArgoCdOptions::default;
    for (options, key, value) in [
        (
            ArgoCdOptions {
                project: text("payments"),
                ..none()
            },
            "project",
            "payments",
        ),
        (
            ArgoCdOptions {
                namespaces: namespaces(&["web"]),
                ..none()
            },
            "namespaces",
            "web",
        ),
        (
            ArgoCdOptions {
                namespaces: namespaces(&["web", "jobs"]),
                ..none()
            },
            "namespaces",
            "web,jobs",
        ),
        (
            ArgoCdOptions {
                cluster_resources: Some(true),
                ..none()
            },
            "clusterResources",
            "true",
        ),
        (
            ArgoCdOptions {
                cluster_resources: Some(false),
                ..none()
            },
            "clusterResources",
            "false",
        ),
        (
            ArgoCdOptions {
                shard: Some(0),
                ..none()
            },
            "shard",
            "0",
        ),
        (
            ArgoCdOptions {
                shard: Some(1023),
                ..none()
            },
            "shard",
            "1023",
        ),
    ] {
        let mut expected = rendered(&output_of(FORMAT));
        expected.insert(key.to_string(), value.to_string());
        assert_eq!(rendered(&with_options(options)), expected);
    }
    assert_eq!(
        rendered(&with_options(none())),
        rendered(&output_of(FORMAT))
    );
}

#[test]
fn the_users_name_goes_before_the_one_that_is_there_and_that_before_the_clusters() {
    let chosen = ArgoCdOptions {
        name: Some("production".to_string()),
        ..ArgoCdOptions::default()
    };
    for (options, adopt, present, expected) in [
        (Some(&chosen), true, Some("legacy"), "production"),
        (Some(&chosen), false, None, "production"),
        (None, true, Some("legacy"), "legacy"),
        (None, true, Some(""), "prod-cluster-01"),
        (None, true, None, "prod-cluster-01"),
        // Only what was taken over was somebody else's to name.
        (None, false, Some("legacy"), "prod-cluster-01"),
    ] {
        let output = Output {
            argocd: options.cloned(),
            adopt,
            ..output_of(FORMAT)
        };
        assert_eq!(name_over(&output, present), expected, "{adopt} {present:?}");
    }
}

#[test]
fn a_kept_name_outlives_renewals_and_a_renamed_cluster() {
    let output = Output {
        adopt: true,
        ..output_of(FORMAT)
    };
    let mut present = Contents::default();
    present.insert("name", "legacy");
    let mut facts = facts();
    for name in ["prod-cluster-01", "renamed", "renamed-again"] {
        facts.cluster_name = name.to_string();
        let material = token_material();
        let source = Source {
            output: &output,
            material: &material,
            facts: &facts,
            present: Some(&present),
        };
        present = format_of(FORMAT).render(&source).unwrap();
        assert_eq!(present.text("name"), Some("legacy"));
    }
}

/// The Secret of an `ArgoCD` output, with another `config`.
fn with_config(change: impl FnOnce(&str) -> String) -> FoundSecret {
    let mut secret = stored(&desired_of(&output_of(FORMAT), &token_material()).unwrap());
    let config = secret.data.as_mut().unwrap().get_mut("config").unwrap();
    let changed = change(std::str::from_utf8(&config.0).unwrap());
    assert_ne!(changed.as_bytes(), config.0);
    config.0 = changed.into_bytes();
    found(secret)
}

#[test]
fn the_same_configuration_in_another_order_or_layout_is_intact() {
    let reordered = |config: &str| {
        let config: Value = serde_json::from_str(config).unwrap();
        let tls = &config["tlsClientConfig"];
        format!(
            r#"{{"tlsClientConfig":{{"caData":{},"insecure":{}}},"bearerToken":{}}}"#,
            tls["caData"], tls["insecure"], config["bearerToken"]
        )
    };
    let spaced = |config: &str| {
        let config: Value = serde_json::from_str(config).unwrap();
        serde_json::to_string_pretty(&config).unwrap()
    };
    let escaped = |config: &str| config.replace("dop_v1_", r"dop\u005fv1\u005f");
    for secret in [
        with_config(reordered),
        with_config(spaced),
        with_config(escaped),
    ] {
        assert!(
            secret.intact().is_some(),
            "{:?}",
            secret.contents.text("config")
        );
        let read = secret.parts().unwrap().into_material(issue()).unwrap();
        assert_eq!(read.credential, token_credential());
    }
}

#[test]
fn another_configuration_is_not_intact() {
    for (from, to) in [
        (TOKEN, "another"),
        (r#""insecure":false"#, r#""insecure":true"#),
        (r#""insecure":false,"#, ""),
        (r#""insecure":false"#, r#""insecure":"false""#),
        (r#"{"bearer"#, r#"{"username":"admin","bearer"#),
        ("}}", "}"),
        ("bearerToken", "bearertoken"),
    ] {
        let secret = with_config(|config| config.replacen(from, to, 1));
        assert!(secret.intact().is_none(), "{to}");
        assert!(secret.parts().is_none(), "{to}");
    }
    assert!(with_config(|_| String::new()).intact().is_none());
    assert!(with_config(|_| "null".to_string()).intact().is_none());
}

#[test]
fn a_configuration_that_cannot_be_read_gives_no_part_of_a_credential() {
    for config in [
        "",
        "null",
        "{}",
        "[]",
        r#"{"bearerToken":"t"}"#,
        r#"{"tlsClientConfig":{"caData":"-"}}"#,
    ] {
        let mut contents = render(&output_of(FORMAT), &token_material(), &facts()).unwrap();
        contents.insert("config", config);
        let form = Form::of(&output_of(FORMAT), &contents);
        let parts = format_of(FORMAT).read(&contents, &form);
        assert!(parts.authentication.is_none(), "{config}");
        assert!(parts.into_material(issue()).is_none(), "{config}");
    }
}
