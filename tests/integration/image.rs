//! The image, as `make image` makes it: what is in it, and that the program works with nothing else.
//!
//! `make test-image` runs these tests where they may mount and bind port 53: as root of namespaces of their own, with a
//! loopback and no other network. By themselves they say that there is no image, and pass.

mod container;
mod layout;
mod network;

use std::path::PathBuf;

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use secrecy::ExposeSecret;
use serde_json::json;

use self::container::Container;
use self::layout::Image;
use self::network::{Names, TlsFront};
use crate::harness::{Access, OperatorProcess, Stage, text, whoami};

/// Where `make test-image` says that the image is: an OCI image layout.
const VARIABLE: &str = "DO_CLUSTER_ACCESS_IMAGE";

/// A name that no resolver but the tests' own knows.
const DIGITALOCEAN: &str = "digitalocean.test";

/// 15 MB: of what is pulled, and of what it takes on a node, too.
const LARGEST_IMAGE: u64 = 15_000_000;

fn image() -> Option<Image> {
    if let Some(path) = std::env::var_os(VARIABLE) {
        return Some(Image::read(&PathBuf::from(path)));
    }
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("\n*** SKIPPED: {test}: there is no image: run `make test-image` ***\n");
    None
}

#[test]
fn the_image_holds_one_program_what_it_trusts_and_licences_and_is_small() {
    let Some(image) = image() else { return };
    assert_eq!(
        image.files(),
        [
            ("do-cluster-access", 0o755),
            ("etc/ssl/certs/ca-certificates.crt", 0o644),
            ("usr/share/doc/do-cluster-access/LICENSE", 0o644),
            ("usr/share/doc/do-cluster-access/NOTICES", 0o644),
        ]
        .map(|(path, mode)| (path.to_owned(), mode))
    );
    let (pulled, unpacked) = (image.compressed_bytes(), image.unpacked_bytes());
    println!("the image: {pulled} bytes to pull, {unpacked} bytes unpacked");
    assert!(unpacked <= LARGEST_IMAGE, "{unpacked} bytes unpacked");
    assert!(pulled <= LARGEST_IMAGE, "{pulled} bytes to pull");
    let bundle = image.root().join("etc/ssl/certs/ca-certificates.crt");
    let authorities = layout::certificates(&std::fs::read(bundle).unwrap());
    assert!(
        authorities.len() >= 100,
        "{} authorities",
        authorities.len()
    );
}

#[test]
fn the_image_runs_as_nobody_in_particular_and_says_what_it_is() {
    let Some(image) = image() else { return };
    let config = &image.config["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], json!(["/do-cluster-access"]));
    assert_eq!(config["Cmd"], json!(["run"]));
    let set = config["Env"].as_array().unwrap();
    let tunables = json!("GLIBC_TUNABLES=glibc.malloc.mmap_threshold=65536");
    assert!(set.contains(&tunables), "{set:?}");
    let labels = &config["Labels"];
    let version = &labels["org.opencontainers.image.version"];
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    assert_eq!(labels["org.opencontainers.image.licenses"], "Apache-2.0");
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    assert_eq!(image.config["architecture"], architecture);
    assert_eq!(image.config["os"], "linux");
}

#[tokio::test]
async fn the_program_in_the_image_prints_its_version_and_the_definitions() {
    let Some(image) = image() else { return };
    let container = Container::of(&image);
    let version = container.command(&["--version"]).output().await.unwrap();
    assert_eq!(
        String::from_utf8_lossy(&version.stdout),
        concat!("do-cluster-access ", env!("CARGO_PKG_VERSION"), "\n"),
        "{}",
        String::from_utf8_lossy(&version.stderr)
    );
    let definitions = container.command(&["crd"]).output().await.unwrap();
    let definitions = String::from_utf8(definitions.stdout).unwrap();
    assert_eq!(
        definitions
            .matches("kind: CustomResourceDefinition")
            .count(),
        2
    );
}

/// Name resolution by DNS, TLS with the authorities of the image, the identity of a pod: all that a program has to
/// find on the file system it runs on.
#[tokio::test]
async fn the_operator_works_from_the_image_alone_read_only_and_without_any_right() {
    let Some(image) = image() else { return };
    let pod = Pod::of(&image, stage!()).await;
    pod.container.trust(&pod.front.certificate_authority);

    let operator = pod.run().await;
    container::assert_confined(operator.id());
    let access = pod.access().await;
    access.ready().await;
    let kubeconfig = text(&access.secret().await, "kubeconfig");
    assert!(whoami(&kubeconfig).await.is_ok());
    assert!(pod.names.asked() > 0, "the name was not looked up by DNS");
    assert!(
        pod.front.connections() > 0,
        "DigitalOcean was reached otherwise"
    );
}

#[tokio::test]
async fn a_bundle_that_is_mounted_and_named_by_ssl_cert_file_is_trusted() {
    let Some(image) = image() else { return };
    let mut pod = Pod::of(&image, stage!()).await;
    let bundle = "etc/proxy/authorities.pem";
    pod.container.put(bundle, &pod.front.certificate_authority);
    pod.container.set("SSL_CERT_FILE", &format!("/{bundle}"));

    let _operator = pod.run().await;
    pod.access().await.ready().await;
    assert!(
        pod.front.handshakes() > 0,
        "DigitalOcean was reached otherwise"
    );
}

#[tokio::test]
async fn an_authority_that_the_image_does_not_know_is_not_trusted() {
    let Some(image) = image() else { return };
    let pod = Pod::of(&image, stage!()).await;

    let _operator = pod.run().await;
    pod.access().await.synced("ApiUnavailable").await;
    assert!(pod.front.connections() > 0, "nobody tried");
    assert_eq!(pod.front.handshakes(), 0);
}

/// The image in a pod, with a DigitalOcean that answers by TLS to a name.
struct Pod {
    stage: Stage,
    names: Names,
    front: TlsFront,
    container: Container,
}

impl Pod {
    /// With what the kubelet puts into every pod: its ServiceAccount, and where the name server and the API server are.
    async fn of(image: &Image, stage: Stage) -> Self {
        let names = Names::serve(DIGITALOCEAN).await;
        let front = TlsFront::serve(DIGITALOCEAN, &stage.digitalocean_url).await;
        let mut container = Container::of(image);
        let resolver = format!("nameserver {}\noptions ndots:5\n", names.address);
        container.put("etc/resolv.conf", &resolver);
        let kubeconfig = Kubeconfig::read_from(&stage.operator_kubeconfig).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let token = config.unwrap().auth_info.token.unwrap();
        let namespace = &stage.namespace;
        for (name, content) in [
            ("token", token.expose_secret()),
            ("ca.crt", &stage.certificate_authority),
            ("namespace", namespace),
        ] {
            let directory = "var/run/secrets/kubernetes.io/serviceaccount";
            container.put(&format!("{directory}/{name}"), content);
        }
        let (host, port) = stage
            .server
            .strip_prefix("https://")
            .and_then(|server| server.split_once(':'))
            .unwrap();
        container.set("KUBERNETES_SERVICE_HOST", host);
        container.set("KUBERNETES_SERVICE_PORT", port);
        container.set("POD_NAMESPACE", namespace);
        Self {
            stage,
            names,
            front,
            container,
        }
    }

    /// Starts the operator.
    async fn run(&self) -> OperatorProcess {
        let command = self.container.command(&[
            "run",
            "--leader-elect=false",
            "--admin-address=127.0.0.1:0",
            &format!("--watch-namespace={}", self.stage.namespace),
            &format!("--digitalocean-api-url={}", self.front.url),
        ]);
        let mut operator = OperatorProcess::from_command(command);
        operator.serves().await;
        operator
    }

    /// Something to do: a cluster, and an access to it.
    async fn access(&self) -> Access {
        self.stage.add_cluster(self.stage.cluster("prod"));
        let spec = json!({"cluster": {"name": "prod"}});
        self.stage.create_access("prod", spec).await
    }
}
